"""A tour of what brands, members, support and auditors do, played over real node processes."""
