"""The command line, ``hqre``: results to stdout, everything else to stderr, errors in one line."""

from hqre_jax.cli._main import main

__all__ = ["main"]
