"""HTTP: one file a resource; a route is parse, call, render."""
