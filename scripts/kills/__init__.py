"""Two real nodes killed at random moments while members convert in both directions, and held to account afterwards."""
