"""The command line `tallystick`: what operators, partners' engineers and auditors type."""
