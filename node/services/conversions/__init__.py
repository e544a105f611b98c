"""Conversions, from the agreements on their rates to the orders."""
