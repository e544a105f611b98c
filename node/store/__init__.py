"""All SQL: the tables of one ledger on SQLite or PostgreSQL, their single writer and their readers."""
