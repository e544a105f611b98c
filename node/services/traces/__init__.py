"""The path of one conversion, with what proves each step."""
