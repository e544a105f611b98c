"""The Tallystick protocol as a pure library: what a node runs and what an auditor imports."""
