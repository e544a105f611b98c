"""What the log tells the systems of a programme: the feed of events, and webhooks."""
