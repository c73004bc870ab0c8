"""The command line, ``hqre``: results to stdout, everything else to stderr, errors in one line."""

from collections.abc import Sequence

from hqre_jax.cli._interrupts import quitting_at_once


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command of ``hqre``.

    64-bit numbers are switched on for the process.

    Args:
        argv: The words after ``hqre``; those of the process by default.

    Returns:
        The exit code: 0 done, 1 tolerance not reached, 2 bad input, 130 interrupted.
    """
    with quitting_at_once(argv is None):  # to import the commands takes seconds
        from hqre_jax.cli._main import main as run
    return run(argv)


__all__ = ["main"]
