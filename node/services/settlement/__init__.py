"""Settlement: windows, their lines, statements and what disputes them."""
