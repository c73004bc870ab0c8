"""Exit codes, and the one line that goes with them."""

import sys

from hqre_jax.core._text import harmless

DONE, NOT_REACHED, BAD_INPUT = 0, 1, 2


def say(message: str) -> None:
    """One line to stderr, whatever characters the message quotes."""
    print(f"hqre: {harmless(message)}", file=sys.stderr)
