"""DICE-FT: adapters trained by mirror steps, a temperature for every type of token, and what that is compared with."""
