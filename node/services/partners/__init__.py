"""Partners, from the invitation to the end of the run-off, and a store that is behind what they know."""
