"""How the tables came to be, one version after the other; run by `Database.migrate`."""
