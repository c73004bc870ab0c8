"""The built-in games: ``hqre_jax/games/named/catalogue.toml`` describes the files beside it."""

import functools
import math
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hqre_jax.core._input import InputError

_FOLDER = Path(__file__).parent
_CONTINUATIONS = ("plain", "soft", "zero_sum")


@dataclass(frozen=True)
class CatalogueEntry:
    """A built-in game and the question that is usually asked of it.

    Args:
        name: What the command line and `load_game` call it.
        title: What people call it.
        source: The publication it is taken from.
        path: The file that holds it.
        tau: Temperature, in units of payoff: common, or one per player.
        continuation: Whose entropy counts in continuation values: ``plain``, ``soft`` or ``zero_sum``.

    Example:
        >>> import hqre_jax as hq
        >>> hq.named_game("stag_hunt").path.name
        'stag_hunt.nfg'
    """

    name: str
    title: str
    source: str
    path: Path
    tau: float | tuple[float, ...]
    continuation: str


@functools.cache
def list_games() -> tuple[CatalogueEntry, ...]:
    """Returns the built-in games, in the order of the catalogue.

    Raises:
        InputError: The catalogue itself is damaged.

    Example:
        >>> import hqre_jax as hq
        >>> [entry.name for entry in hq.list_games()][:2]
        ['matching_pennies', 'asymmetric_matching_pennies']
    """
    return read_catalogue(_FOLDER / "catalogue.toml")


def read_catalogue(path: Path) -> tuple[CatalogueEntry, ...]:
    """Reads a catalogue: per game a table ``[name]`` with file, title, source, tau and continuation.

    Args:
        path: The TOML file; the files it names lie beside it.

    Returns:
        One entry per table, in the order of the file.

    Raises:
        InputError: The file cannot be read, or an entry is incomplete.
    """
    try:
        tables = tomllib.loads(path.read_bytes().decode())
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise InputError(path.name, f"cannot be read: {error}") from None
    return tuple(_entry(name, table, path) for name, table in tables.items())


def _entry(name: str, table: Any, path: Path) -> CatalogueEntry:
    def fail(key: str, problem: str):
        raise InputError(f"{path.name}: {name}.{key}", problem)

    keys = ("file", "title", "source", "tau", "continuation")
    if not isinstance(table, dict) or set(table) != set(keys):
        raise InputError(f"{path.name}: {name}", f"must be a table with exactly the keys {', '.join(keys)}")
    for key in ("file", "title", "source"):
        if not isinstance(table[key], str) or not table[key]:
            fail(key, "must be a text")
    file = path.parent / table["file"]
    if not file.is_file():
        fail("file", f"there is no {table['file']} beside the catalogue")
    if table["continuation"] not in _CONTINUATIONS:
        fail("continuation", f"must be one of {', '.join(_CONTINUATIONS)}")
    several = isinstance(table["tau"], list)
    temperatures = table["tau"] if several else [table["tau"]]
    if not temperatures or not all(type(t) in (int, float) and 0 < t < math.inf for t in temperatures):
        fail("tau", "must be a positive number, or a list of one per player")
    tau = tuple(map(float, temperatures)) if several else float(table["tau"])
    return CatalogueEntry(name, table["title"], table["source"], file, tau, table["continuation"])


def named_game(name: str) -> CatalogueEntry:
    """Returns the catalogue's entry of a built-in game.

    Args:
        name: Its name, as `list_games` gives it.

    Returns:
        The entry, with the path of the game's file.

    Raises:
        InputError: There is no such game; the message offers the closest names.

    Example:
        >>> import hqre_jax as hq
        >>> entry = hq.named_game("stag_hunt")
        >>> entry.title, entry.tau
        ('Stag hunt', 1.0)
    """
    entries = {entry.name: entry for entry in list_games()}
    if name not in entries:
        close = get_close_matches(name.lower().replace("-", "_").replace(" ", "_"), entries, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "`hqre games` lists the built-in games"
        raise InputError("game", f"{name!a} is neither a file nor a built-in game; {hint}")
    return entries[name]
