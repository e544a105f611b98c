"""What a node does by itself, each a `step` that a thread, a task or a simulator calls again and again."""
