"""``hqre``: reads the words, runs the command, turns whatever happened into an exit code.

Nothing that a command needs is imported before its words are understood: help, and a refusal, come at once.
"""

import importlib
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from hqre_jax.cli._exits import BAD_INPUT, DONE, say
from hqre_jax.cli._interrupts import INTERRUPTED, goes_on_with, hear_interrupts, interruption
from hqre_jax.cli._parser import build_parser
from hqre_jax.core._input import InputError
from hqre_jax.games.named._catalogue import list_games

# The module and the function of each command.
_COMMANDS = {
    "solve": ("_solve", "run_solve"),
    "certify": ("_certify", "run_certify"),
    "trace": ("_trace", "run_trace"),
    "sweep": ("_sweep", "run_sweep"),
    "verify": ("_verify", "verify"),
    "demo": ("_demo", "run_demo"),
    "llm": ("_llm", "llm"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command of ``hqre``.

    64-bit numbers are switched on for the process, and compiled programs are kept for the next.

    Args:
        argv: The words after ``hqre``; those of the process by default.

    Returns:
        The exit code: 0 done, 1 tolerance not reached, 2 bad input, 130 interrupted.
    """
    try:
        for stream in (sys.stdout, sys.stderr):
            # A terminal that knows no Greek shows question marks rather than a traceback.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        if argv is None:
            hear_interrupts()
        goes_on_with(None)
        arguments = build_parser().parse_args(argv)
        code = _command(arguments.command, arguments.cache)(arguments)
        sys.stdout.flush()
        return code
    except InputError as error:
        say(f"{error.field}: {error.problem}")
        return BAD_INPUT
    except KeyboardInterrupt:
        say(interruption())
        if argv is None:
            # An orderly end would pull the floor from under compiled code that may still be running.
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has seen enough
        _forget_output()
        return DONE
    except OSError as error:
        if error.filename is not None or error.strerror is None:
            raise
        _forget_output()
        say(f"output: cannot be written: {error.strerror.lower()}")
        return BAD_INPUT
    except SystemExit as finished:  # --help and --version
        return int(finished.code or 0)


def _forget_output() -> None:
    """What is still buffered and cannot be written must go nowhere, or Python complains on its way out."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _command(name: str, cache: bool) -> Callable[[Namespace], int]:
    """The function of a command, loaded now, and with it JAX, set up."""
    if name == "games":
        return _games
    from hqre_jax.cli._jax import enable_double_precision
    from hqre_jax.cli._program_cache import keep_programs

    enable_double_precision()
    if cache:
        keep_programs()
    module, function = _COMMANDS[name]
    return getattr(importlib.import_module(f"hqre_jax.cli.{module}"), function)


def _games(arguments: Namespace) -> int:
    del arguments
    entries = list_games()
    width = max(len(entry.name) for entry in entries)
    lines = []
    for entry in entries:
        tau = entry.tau if isinstance(entry.tau, tuple) else (entry.tau,)
        shown = ",".join(f"{t:g}" for t in tau)
        lines.append(f"{entry.name:<{width}}  --tau {shown:<16}  --continuation {entry.continuation:<8}  {entry.title}")
    sys.stdout.write("\n".join(lines) + "\n")
    return DONE
