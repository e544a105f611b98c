"""Writes the catalogue of codes that the program carries, out of the page that lists them."""
