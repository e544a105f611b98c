"""Settlement of a window: lines, statement, differences between two sides, states (specs/settlement.md)."""
