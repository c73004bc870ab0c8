"""From words and files to the arguments of the library. Whatever is wrong becomes one `InputError`."""

import io
import json
import tempfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax.core._temperatures import full_tau
from hqre_jax.core._types import InputError
from hqre_jax.games._game import AbstractGame
from hqre_jax.io import list_games, load_game
from hqre_jax.problem import full_policy


class Question(NamedTuple):
    """What `solve`, `certify` and `trace_branch` are asked.

    Attributes:
        game: The game.
        tau: Temperatures, units of payoff; None where the command has its own (``trace``).
        options: ``reference``, ``entropy`` and ``continuation``.
        tau_origin: Where the temperatures come from, for the reader: "given", "file" or "catalogue".
    """

    game: AbstractGame
    tau: Any
    options: dict[str, Any]
    tau_origin: str


def read_question(arguments: Namespace) -> Question:
    """The game, its temperatures and the options that all commands share.

    Raises:
        InputError: Naming the option, or the file and the place in it.
    """
    game = _in_double_precision(load_game(arguments.game))
    tau, origin = None, "given"
    if "tau" in arguments:
        tau, origin = _temperatures(arguments, game)
    reference = None
    if arguments.reference_file is not None:
        name = arguments.reference_file
        value = _unpadded(_read_array(name))
        reference = full_policy(value, game.action_mask, game.dtype, f"{name}: reference", interior=True)
    options = {"reference": reference, "entropy": arguments.entropy, "continuation": arguments.continuation}
    return Question(game, tau, options, origin)


def _in_double_precision(game: AbstractGame) -> AbstractGame:
    """An ``.npz`` file may hold single-precision numbers; what is computed from them here is not."""
    return jax.tree.map(lambda leaf: leaf.astype(float) if eqx.is_inexact_array(leaf) else leaf, game)


def _temperatures(arguments: Namespace, game: AbstractGame) -> tuple[Any, str]:
    if arguments.tau is not None:
        return numbers(arguments.tau, "tau"), "given"
    if arguments.tau_file is not None:
        name = arguments.tau_file
        return full_tau(
            _padded_tau(_read_array(name), game, name), game.action_mask, game.dtype, f"{name}: tau"
        ), "file"
    own = {entry.name: entry.tau for entry in list_games()}
    if arguments.game not in own:
        raise InputError("tau", "is missing: give --tau T (or T1,T2,.. per player) or --tau-file FILE")
    tau = own[arguments.game]
    return (tau if isinstance(tau, float) else np.array(tau)), "catalogue"


def numbers(text: str, field: str) -> Any:
    """``"2"`` as a number, ``"2,0.5"`` as an array of one per player."""
    values = []
    for word in text.split(","):
        try:
            values.append(float(word))
        except ValueError:
            what = f"{word.strip()!a} is no number" if word.strip() else "a number is missing"
            raise InputError(field, f"is {text!a}: {what}; write T, or T1,T2,.. with one per player") from None
    return values[0] if len(values) == 1 else np.array(values)


def number(text: str | None, field: str, kind: Callable[[str], Any], wanted: str) -> Any:
    """An optional option's value converted by ``kind``, or an `InputError` that names it."""
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        raise InputError(field, f"is {text[:60]!a}; {wanted} is wanted") from None


def accuracy(arguments: Namespace) -> dict[str, Any]:
    """``tol`` and ``max_steps`` as `solve` takes them."""
    return {
        "tol": number(arguments.tol, "tol", float, "a number between 0 and 1"),
        "max_steps": number(arguments.max_steps, "max_steps", int, "a whole number, 0 or more"),
    }


def _read_array(name: str) -> Any:
    """Nested lists from JSON, or an array from ``.npy``."""
    path = Path(name)
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(name, f"cannot be read: {getattr(error, 'strerror', None) or error}".lower()) from None
    if path.suffix.lower() == ".npy":
        # What numpy raises on damaged files is open-ended; here every exception means bad data.
        try:
            return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        except Exception as error:
            raise InputError(name, f"is no .npy array of numbers ({error})") from None
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(name, "is neither JSON text nor a file whose name ends in .npy") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{name}:{error.lineno}:{error.colno}", f"is not JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise InputError(name, "holds too long a number or too deep a nesting") from None


def _padded_tau(value: Any, game: AbstractGame, name: str) -> Any:
    """Fills up lists of one temperature per information state where players have different numbers of states."""
    if not (isinstance(value, list) and value and all(isinstance(row, list) for row in value)):
        return value
    used = np.asarray(jnp.any(game.action_mask, axis=-1))
    padded: list[list[Any]] = []
    for i, row in enumerate(value):
        wanted = int(used[i].sum()) if i < len(used) else len(row)
        if len(row) not in (wanted, used.shape[1]):
            raise InputError(f"{name}: tau[{i}]", f"has {len(row)} temperatures, where the player has {wanted} states")
        padded.append(row + [1.0] * (used.shape[1] - len(row)))
    return padded


def _unpadded(value: Any) -> Any:
    """A policy file must hold lists or an array; a lone number is left for the shape check to reject."""
    return value if isinstance(value, list | np.ndarray) else np.asarray(value)


def check_writable(name: str, field: str) -> Path:
    """Says now, not after the work, that a picture could not be written.

    Raises:
        InputError: The folder does not exist or cannot be written to, or the name's ending is no picture format.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    path = Path(name)
    known = sorted(FigureCanvasBase.get_supported_filetypes())
    if path.suffix.lower().lstrip(".") not in known:
        raise InputError(field, f"{name!a} does not end in a picture format: .{', .'.join(known)}")
    check_folder(path.parent, field)
    try:
        # Opened for appending, a file that is there stays as it is.
        if path.exists():
            path.open("ab").close()
    except OSError as error:
        raise InputError(field, f"{name!a} cannot be written: {error.strerror}") from None
    return path


def check_folder(folder: Path, field: str) -> None:
    """Tries to write into a folder."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(field, f"cannot write into {str(folder)!a}: {reason}") from None
