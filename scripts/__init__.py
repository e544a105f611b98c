"""Programs for people who work on Tallystick: run, test, measure, simulate."""
