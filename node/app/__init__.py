"""The composition root: makes a node's directory, opens it, and serves it as one process."""
