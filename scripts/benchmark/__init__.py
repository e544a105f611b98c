"""What a node does in a second, measured with everything durable, beside plain databases in the same run."""
