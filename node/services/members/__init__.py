"""Members: their accounts, what they are told, links, transfers, appeals, and being forgotten."""
