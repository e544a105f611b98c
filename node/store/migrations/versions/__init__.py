"""The versions, each written by hand and never changed once released."""
