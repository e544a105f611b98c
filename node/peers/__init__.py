"""Bytes to and from other nodes; nothing here knows what they mean."""
