"""Who calls, and what each may do: credentials, members' tokens, and how often they may ask."""
