"""The simulator: the shipped services of three nodes over a fake clock, network and store, from one seed."""
