"""Tables of TOML files, read strictly: every value has its check, and every mistake its place and its remedy."""

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hqre_jax.core._types import InputError

_Entry = TypeVar("_Entry")
# Kinds of documents, each by the tables that no other has.
_KINDS = {"agents": "a team file", "roles": "a configuration of fine-tuning"}


def read_document(source: str | Path | Mapping[str, Any], name: str, hint: str = "") -> "Table":
    """The outermost table of a TOML file, or of the dictionary that such a file would give.

    Args:
        source: Path of the file, or a dictionary.
        name: What messages call a dictionary.
        hint: What to say where there is no such file.

    Raises:
        InputError: The file cannot be read, or is not TOML.
    """
    if isinstance(source, Mapping):
        return Table(name, source)
    try:
        document = tomllib.loads(Path(source).read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError | tomllib.TOMLDecodeError):
            raise InputError(str(source), f"is not TOML: {error}") from None
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(
            str(source), f"cannot be read: {reason}{hint * isinstance(error, FileNotFoundError)}"
        ) from None
    return Table(str(source), document)


class Table:
    """Takes values out of a table, each with its check; what is left over is a mistake."""

    def __init__(self, name: str, values: Mapping[str, Any]):
        self.name, self.values, self.known = name, dict(values), list[str]()

    def take(self, key: str, check: Callable[[Any], _Entry], wanted: str, *default: Any) -> _Entry:
        """A value, checked.

        Args:
            key: Its key.
            check: Turns it into what is wanted; raises where it cannot.
            wanted: What that is, in words.
            *default: What it is where the key is missing; without one the key must be there.
        """
        self.known.append(key)
        if key not in self.values:
            if default:
                return default[0]
            raise InputError(f"{self.name}: {key}", f"is missing; {wanted} is wanted")
        value = self.values.pop(key)
        try:
            return check(value)
        except (TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self.name}: {key}", f"is {value!a:.80}; {wanted} is wanted") from None

    def is_of(self, own: str) -> None:
        """Refuse a document of another kind, by the tables that only such a one has: ``own`` are those of this kind."""
        for key, kind in _KINDS.items():
            if key in self.values and own not in self.values:
                raise InputError(self.name, f"is {kind}, for it has [[{key}]]; {_KINDS[own]} has [[{own}]]")

    def tables(self, key: str, what: str) -> "list[Table]":
        """Tables of one kind, one or more."""
        entries = self.take(key, mappings, f"one or more tables [[{key}]], {what},")
        return [Table(f"{self.name}: {key}[{k}]", entry) for k, entry in enumerate(entries)]

    def finish(self) -> None:
        """Refuse what is left: it would have no effect."""
        if self.values:
            raise InputError(
                f"{self.name}: {next(iter(self.values))}", f"is not known; here are {', '.join(self.known)}"
            )


def distinct(name: str, called: Sequence[str]) -> None:
    """Refuse two that are called alike."""
    for word in called:
        if called.count(word) > 1:
            raise InputError(name, f"has several that are called {word!a}; give each its own name")


def mapping(value: Any) -> dict[str, Any]:
    """A table."""
    if not isinstance(value, dict):
        raise TypeError
    return value


def mappings(value: Any) -> list[dict[str, Any]]:
    """Tables, one or more."""
    if not isinstance(value, list) or not value:
        raise TypeError
    return [mapping(entry) for entry in value]


def text(value: Any) -> str:
    """A text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise TypeError
    return value


def words(value: Any) -> tuple[str, ...]:
    """Texts, one or more, each once."""
    if not isinstance(value, list) or not value:
        raise TypeError
    return tuple(dict.fromkeys(text(entry) for entry in value))


def whole(value: Any, least: int, most: int = 2**31) -> int:
    """A whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError
    return value


def amount(value: Any) -> float:
    """A number, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError
    return float(value)


def one_of(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """A check for one of some words."""

    def check(value: Any) -> Any:
        if value not in names:
            raise ValueError
        return value

    return check


def subset(known: Sequence[str]) -> Callable[[Any], tuple[str, ...]]:
    """A check for texts that are all known."""

    def check(value: Any) -> tuple[str, ...]:
        if not set(chosen := words(value)) <= set(known):
            raise ValueError
        return chosen

    return check


def some_of(names: tuple[Any, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """A check for some of some words, none perhaps; they come out in the order of all of them."""

    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not set(map(text, value)) <= set(names):
            raise ValueError
        return tuple(name for name in names if name in value)

    return check
