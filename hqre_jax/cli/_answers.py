"""How commands end: a picture, the answer on stdout, the exit code."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from hqre_jax.cli._exits import DONE, NOT_REACHED, say
from hqre_jax.cli._inputs import check_writable
from hqre_jax.core._results import RESULTS
from hqre_jax.core._types import InputError


def judged(result: RESULTS, solver: str) -> int:
    """The exit code; what is not a success is said on stderr."""
    if result == RESULTS.successful:
        return DONE
    say(f"{result}: {result.message_of(solver)}")
    return NOT_REACHED


def picture_file(arguments: Namespace) -> Path | None:
    """Where ``--plot`` wants the picture, known to be writable."""
    return None if arguments.plot is None else check_writable(arguments.plot, "plot")


def save(figure: Any, path: Path) -> None:
    """Write the picture, and say so.

    Raises:
        InputError: The disk will not have it.
    """
    try:
        figure.savefig(path)
    except OSError as error:
        raise InputError("plot", f"{str(path)!a} cannot be written: {error.strerror}") from None
    say(f"picture: {path}")


def show(text: str) -> None:
    """Results, whole or not at all: nothing is printed before everything is known."""
    sys.stdout.write(text)
