"""This ledger's own log, as outsiders read it: published, cosigned, packed."""
