"""Random games that satisfy a hypothesis, with what is certified of them."""
