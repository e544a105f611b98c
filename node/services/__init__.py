"""Use cases: what the API and the workers can ask of a node, in the program's own words."""
