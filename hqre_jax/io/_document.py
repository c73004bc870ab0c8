"""Games as documents: the constructor's argument names as keys, whatever the file format.

A document is ``{"kind": .., <constructor arguments>, <names>}``. Its arrays are nested lists (JSON) or
numpy arrays (NPZ). Keys are read off the constructors, so that they cannot differ from them.
"""

import inspect
import json
import math
import sys
from collections import Counter
from difflib import get_close_matches
from itertools import chain
from typing import Any

import numpy as np

from hqre_jax import games
from hqre_jax.core._types import InputError, Labels

KINDS: dict[str, type] = {
    "normal_form": games.NormalFormGame,
    "polymatrix": games.PolymatrixGame,
    "bayesian": games.BayesianGame,
    "markov": games.MarkovGame,
    "incomplete_information_markov": games.IncompleteInformationMarkovGame,
    "public_private": games.PublicPrivateGame,
    "extensive_form": games.ExtensiveFormGame,
}
_INTEGERS = ("edges", "observations", "parent", "player", "information_set", "branch")
_TYPES: dict[str, type] = dict.fromkeys(_INTEGERS, np.int64) | {"action_mask": np.bool_}
_NAME_DEPTHS = {"title": 0, "source": 0, "players": 1, "information_states": 2, "actions": 3}
_DETAILS = ("nodes", "outcomes", "chance_moves", "chance_actions")
_NAME_DEPTHS |= dict.fromkeys(_DETAILS, 1)
NAME_KEYS = tuple(_NAME_DEPTHS)
# What parts a kind of game has that only such a game has names for.
_DETAILS_OF = {"normal_form": ("outcomes",), "extensive_form": _DETAILS}
# Names that mean something without the game.
GENERAL_NAME_KEYS = tuple(key for key in NAME_KEYS if key not in _DETAILS)
_LARGEST = {np.float64: sys.float_info.max, np.int64: 2**63 - 1, np.bool_: 1}


def arguments_from_document(document: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Checks a document's keys and turns it into a constructor call.

    Args:
        document: ``kind``, the constructor's arguments under their own names, and optionally
            ``action_mask``, ``title``, ``source``, ``players``, ``information_states``, ``actions``.

    Returns:
        The kind, and the constructor's keyword arguments: arrays and ``labels``.

    Raises:
        InputError: A key is missing, unknown or ill-formed; the field names it and the place within it.
    """
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        problem = f"is {_show(kind)}" if "kind" in document else "is missing"
        raise InputError("kind", f"{problem}; it must be one of {', '.join(KINDS)}")
    required, optional = argument_names(KINDS[kind])
    known = ("kind", *required, *optional, *_names_of(kind))
    for key in document:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"its keys are {', '.join(known[1:])}"
            raise InputError(_show(key)[1:-1], f"is no key of a {kind} game; {hint}")
    for key in required:
        if key not in document:
            raise InputError(key, f"is missing; a {kind} game needs {', '.join(required)}")
    arguments: dict[str, Any] = {
        key: as_array(document[key], key, _TYPES.get(key, np.float64))
        for key in (*required, *optional)
        if key in document
    }
    return kind, arguments | {"labels": labels_from_document(document)}


def labels_from_document(document: dict[str, Any]) -> Labels:
    """Returns the names that a document holds under `NAME_KEYS`.

    Raises:
        InputError: They are not texts, nested as deep as they should be.
    """
    return Labels(**{key: _names(document[key], key, _NAME_DEPTHS[key]) for key in NAME_KEYS if key in document})


def document_from_labels(labels: Labels, keys: tuple[str, ...] = GENERAL_NAME_KEYS) -> dict[str, Any]:
    """Returns the names under some keys as texts and lists of texts, nested or not, those left empty aside."""
    names = {key: getattr(labels, key) for key in keys}
    return {key: _lists(value) for key, value in names.items() if value}


def build_game(kind: str, arguments: dict[str, Any]) -> Any:
    """Calls the constructor, then checks that the names fit the game.

    Args:
        kind: A key of `KINDS`.
        arguments: The constructor's keyword arguments, ``labels`` among them.

    Returns:
        The game.

    Raises:
        InputError: The constructor rejects the arguments, or the numbers of names differ from the game's.
    """
    game = KINDS[kind](**arguments)
    parts = game.parent.size if kind == "extensive_form" else math.prod(game.payoffs.shape[1:])
    _check_names(arguments["labels"], np.asarray(game.action_mask), parts)
    return game


def kind_of(game: Any) -> str | None:
    """The name by which files know this kind of game; None of kinds that they do not know."""
    return next((kind for kind, cls in KINDS.items() if type(game) is cls), None)


def document_from_game(game: Any) -> dict[str, Any]:
    """Returns the document of a game: arrays as numpy arrays, names as (nested) lists of strings.

    Raises:
        InputError: The game is of no kind that files know.
    """
    kind = kind_of(game)
    if kind is None:
        raise InputError("game", f"a {type(game).__name__} cannot be saved; only {', '.join(KINDS)} games can")
    required, optional = argument_names(KINDS[kind])
    document: dict[str, Any] = {"kind": kind}
    document |= {key: np.asarray(getattr(game, key)) for key in (*required, *optional)}
    # A mask that allows everything says nothing, except where it counts players without an edge.
    if kind != "polymatrix" and document["action_mask"].all():
        del document["action_mask"]
    return document | document_from_labels(game.labels, _names_of(kind))


def _names_of(kind: str) -> tuple[str, ...]:
    return (*GENERAL_NAME_KEYS, *_DETAILS_OF.get(kind, ()))


def argument_names(cls: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the required and the optional array arguments of a game's constructor."""
    parameters = [p for p in inspect.signature(cls).parameters.values() if p.name != "labels"]
    required = tuple(p.name for p in parameters if p.default is p.empty)
    return required, tuple(p.name for p in parameters if p.name not in required)


def as_array(value: Any, key: str, dtype: type) -> np.ndarray:
    """Turns nested lists, or an array, into a finite array of the wanted type.

    Args:
        value: What stands under the key.
        key: The key, for error messages.
        dtype: ``np.float64``, ``np.int64`` or ``np.bool_``. Integers pass as floats and 0/1 as booleans;
            nothing else is converted.

    Returns:
        The array; floating arrays keep their precision.

    Raises:
        InputError: The lists are ragged or hold something that is no such number; the field is the place.
    """
    if not isinstance(value, np.ndarray):
        return _array_from_lists(value, key, dtype)
    allowed = {np.float64: "fiu", np.int64: "iu", np.bool_: "b"}[dtype]
    if value.dtype.kind not in allowed:
        raise InputError(key, f"has type {value.dtype}, where {_wanted(dtype)} belongs in every entry")
    if value.size == 0:
        raise InputError(key, "is empty")
    if dtype is np.float64 and not np.isfinite(value).all():
        place = tuple(np.argwhere(~np.isfinite(value))[0])
        raise InputError(key + _path(place), f"is {value[place]}; it must be finite")
    if dtype is np.int64 and value.max() > _LARGEST[np.int64]:
        raise InputError(key, f"holds {value.max()}, which is too large")
    return value if value.dtype.kind == np.dtype(dtype).kind else value.astype(dtype)


def _array_from_lists(value: Any, key: str, dtype: type) -> np.ndarray:
    """Flattens level by level, so that depth costs no recursion and the place of a fault is known."""
    shape: list[int] = []
    level = [value]

    def fail(k: int, problem: str):
        raise InputError(key + _path(np.unravel_index(k, shape) if shape else ()), problem)

    while any(isinstance(entry, list) for entry in level):
        lengths = [len(entry) if isinstance(entry, list) else -1 for entry in level]
        usual = Counter(lengths).most_common(1)[0][0]
        for k, length in enumerate(lengths):
            if length != usual:
                siblings = f"where its siblings have {usual}" if usual >= 0 else "where its siblings are no lists"
                fail(k, (f"has {length} entries " if length >= 0 else "is no list ") + siblings)
        if usual == 0:
            fail(0, "is an empty list")
        if len(shape) == 32:
            raise InputError(key, "is nested more than 32 lists deep")
        shape.append(usual)
        level = list(chain.from_iterable(level))
    types = {np.float64: {int, float}, np.int64: {int}, np.bool_: {bool, int}}[dtype]
    if not set(map(type, level)) <= types:
        k = next(k for k, entry in enumerate(level) if type(entry) not in types)
        fail(k, f"is {_show(level[k])}, where {_wanted(dtype)} belongs")
    for k, entry in enumerate(level):
        if not -_LARGEST[dtype] <= entry <= _LARGEST[dtype]:  # NaN fails every comparison
            fail(k, f"is {_show(entry)}, where {_wanted(dtype)} belongs")
    return np.array(level, dtype).reshape(shape)


def _names(value: Any, key: str, depth: int) -> Any:
    """Turns lists of names, ``depth`` lists deep, into tuples."""
    if depth == 0:
        if not isinstance(value, str):
            raise InputError(key, f"is {_show(value)}, where a text belongs")
        return value
    if not isinstance(value, list):
        raise InputError(key, f"is {_show(value)}, where a list belongs")
    return tuple(_names(entry, f"{key}[{k}]", depth - 1) for k, entry in enumerate(value))


def _lists(names: Any) -> Any:
    return names if isinstance(names, str) else [_lists(entry) for entry in names]


def _check_names(labels: Labels, mask: np.ndarray, num_parts: int) -> None:
    """Checks that there is a name for everything or, in an empty list, for nothing."""

    def expect(names: tuple, key: str, least: int, most: int) -> None:
        if names and not least <= len(names) <= most:
            raise InputError(key, f"has {len(names)} names, where the game has {least}")

    num_players, _, num_actions = mask.shape
    expect(labels.players, "players", num_players, num_players)
    expect(labels.information_states, "information_states", num_players, num_players)
    expect(labels.actions, "actions", num_players, num_players)
    for key in _DETAILS:
        expect(getattr(labels, key), key, num_parts, num_parts)
    num_states = [int(own.any(-1).sum()) for own in mask]
    for i, names in enumerate(labels.information_states):
        expect(names, f"information_states[{i}]", num_states[i], num_states[i])
    for i, own in enumerate(labels.actions):
        expect(own, f"actions[{i}]", num_states[i], num_states[i])
        for x, names in enumerate(own):
            # Masked actions may have names too, and how many there are the mask alone does not say.
            expect(names, f"actions[{i}][{x}]", int(np.flatnonzero(mask[i, x])[-1]) + 1, num_actions)


def _path(place: Any) -> str:
    return "".join(f"[{k}]" for k in place)


def _wanted(dtype: type) -> str:
    return {np.float64: "a finite number", np.int64: "a whole number", np.bool_: "true or false"}[dtype]


def _show(value: Any) -> str:
    """Shows a value of a document as JSON writes it, shortened to one short line."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):  # an array, or a whole number beyond Python's limit of digits
        return f"an entry of type {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."
