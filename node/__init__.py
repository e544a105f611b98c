"""The Tallystick node: the service that keeps one brand's ledger and settles with its partners."""
