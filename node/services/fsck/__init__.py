"""The check of a whole store, table by table."""
