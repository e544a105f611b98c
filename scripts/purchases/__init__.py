"""A year of real purchases, replayed as a grocer's points, and counted again by other code."""
