"""Play that several statements speak of, and what it loses."""
