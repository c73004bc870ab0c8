"""What a sweep asks: families of games × temperatures × solvers × seeds, read from TOML and checked before any work."""

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from hqre_jax.core._types import InputError
from hqre_jax.games._game import Continuation
from hqre_jax.problem import Entropy
from hqre_jax.solvers import SOLVERS
from hqre_jax.sweeps._families import KINDS, GameFamily

# A shard is solved and written as one: what an interruption can lose.
_SHARD_GAMES = 1000
_MOST_SHARDS = 1_000_000  # files of one folder; a list of them is made


@dataclass(frozen=True)
class Cell:
    """One combination of a sweep: the same random games for every temperature and solver.

    Attributes:
        family: Where the games come from.
        tau: Temperature in units of payoff, common or one per player.
        solver: Name of the solver.
        seed: Seed of the games.
    """

    family: GameFamily
    tau: float | tuple[float, ...]
    solver: str
    seed: int

    @property
    def title(self) -> str:
        """A line for progress bars and tables."""
        return f"{self.family.title}, tau {shown_tau(self.tau)}, {self.solver}, seed {self.seed}"


@dataclass(frozen=True)
class Shard:
    """Some consecutive games of one cell."""

    number: int
    cell: Cell
    first: int
    count: int

    @property
    def file(self) -> str:
        """Its name inside the sweep's folder."""
        return f"shards/{self.number:06d}.parquet"


@dataclass(frozen=True)
class Config:
    """A whole sweep.

    Attributes:
        families: Kinds of games with their sizes.
        temperatures: τ in units of payoff; each a number, or one per player.
        solvers: Names as in `solve`.
        seeds: Seeds of the games.
        num_games: Games per cell.
        shard_games: Games per shard.
        continuation: As in `solve`.
        entropy: As in `solve`.
        tol: Largest acceptable residual; None for the default of `solve`.
        max_steps: Largest number of steps; None for each solver's own.

    Example:
        >>> import hqre_jax as hq
        >>> ask = {"games": [{"families": ["uniform"], "sizes": [[2, 2]]}], "temperatures": [1.0, 8.0], "num_games": 4}
        >>> config = hq.sweeps.read_config(ask)
        >>> len(config.cells), config.solvers
        (2, ('auto',))
    """

    families: tuple[GameFamily, ...]
    temperatures: tuple[float | tuple[float, ...], ...]
    solvers: tuple[str, ...] = ("auto",)
    seeds: tuple[int, ...] = (0,)
    num_games: int = 1000
    shard_games: int = _SHARD_GAMES
    continuation: Continuation = "soft"
    entropy: Entropy = "kl"
    tol: float | None = None
    max_steps: int | None = None

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every combination; those that share a compiled program follow each other."""
        return tuple(
            Cell(family, tau, solver, seed)
            for family in self.families
            for solver in self.solvers
            for tau in self.temperatures
            for seed in self.seeds
            if not isinstance(tau, tuple) or len(tau) == family.num_players
        )

    @property
    def shards(self) -> tuple[Shard, ...]:
        """All the work, in order."""
        starts = range(0, self.num_games, self.shard_games)
        work = [(cell, first) for cell in self.cells for first in starts]
        return tuple(
            Shard(k, cell, first, min(self.shard_games, self.num_games - first)) for k, (cell, first) in enumerate(work)
        )

    @property
    def digest(self) -> str:
        """SHA-256 of everything that determines the shards."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def read_config(source: Any) -> Config:
    """A configuration from a TOML file, or from the dictionary such a file would give.

    Args:
        source: Path of a TOML file, a dictionary, or a `sweeps.Config`, which is returned as it is.

    Returns:
        The configuration.

    Raises:
        InputError: Naming the file, the table and the key at fault.

    Example:
        >>> import hqre_jax as hq
        >>> ask = {"games": [{"families": ["uniform"], "sizes": [[2, 2]]}], "temperatures": [8.0], "num_games": 4}
        >>> hq.sweeps.read_config(ask).temperatures
        (8.0,)
        >>> hq.sweeps.read_config(ask | {"num_games": -4})
        Traceback (most recent call last):
            ...
        hqre_jax.core._input.InputError: config: num_games: is -4; a whole number, 1 or more is wanted
    """
    if isinstance(source, Config):
        return source
    if isinstance(source, dict):
        return _Reader("config", source).config()
    path = Path(source)
    try:
        return _Reader(str(source), tomllib.loads(path.read_bytes().decode("utf-8-sig"))).config()
    except OSError as error:
        raise InputError(str(source), f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(str(source), f"is not TOML: {error}") from None


class _Reader:
    """Takes values out of a parsed file, each with its check; what is left over at the end is a mistake."""

    def __init__(self, name: str, table: dict[str, Any]):
        self.name, self.table = name, dict(table)

    def config(self) -> Config:
        games = self.take("games", _tables, None, "one or more tables [[games]]")
        families = tuple(family for k, game in enumerate(games) for family in self.families(k, game))
        config = Config(
            families=families,
            temperatures=self.take("temperatures", _temperatures, None, "a list of positive temperatures"),
            solvers=self.take("solvers", _solvers, ("auto",), f"a list of auto, {', '.join(SOLVERS)}"),
            seeds=self.take("seeds", lambda v: _wholes(v, 0), (0,), "a list of whole numbers, 0 or more"),
            num_games=self.take("num_games", lambda v: _whole(v, 1), 1000, "a whole number, 1 or more"),
            shard_games=self.take("shard_games", lambda v: _whole(v, 1), _SHARD_GAMES, "a whole number, 1 or more"),
            continuation=self.take("continuation", _one_of(get_args(Continuation)), "soft", _listed(Continuation)),
            entropy=self.take("entropy", _one_of(get_args(Entropy)), "kl", _listed(Entropy)),
            tol=self.take("tol", _tol, 0, "a number between 0 and 1") or None,
            max_steps=self.take("max_steps", lambda v: _whole(v, 0), -1, "a whole number, 0 or more"),
        )
        if config.max_steps == -1:
            config = Config(**{**config.__dict__, "max_steps": None})
        self.finish()
        if not config.cells:
            raise InputError(f"{self.name}: temperatures", "fit no family: each lists one per player of another size")
        if (count := len(config.cells) * -(-config.num_games // config.shard_games)) > _MOST_SHARDS:
            wanted = f"make {count:,} shards, and {_MOST_SHARDS:,} are possible: raise shard_games"
            raise InputError(f"{self.name}: num_games", f"{config.num_games:,} games a cell {wanted}")
        return config

    def families(self, number: int, table: dict[str, Any]) -> list[GameFamily]:
        reader = _Reader(f"{self.name}: games[{number}]", table)
        kind = reader.take("kind", _one_of(tuple(KINDS)), "normal_form", f"one of {', '.join(KINDS)}")
        payoffs = reader.take("families", _names, ("uniform",), "a list of families, as in `random_normal_form`")
        sizes = reader.take("sizes", _sizes, None, "a list of lists: the number of actions of each player")
        rest = {key: tuple(v) if isinstance(v, list) else v for key, v in reader.table.items()}
        made = []
        for payoff in payoffs:
            for size in sizes:
                try:
                    made.append(GameFamily(kind, payoff, size, tuple(sorted(rest.items()))).checked())
                except InputError as error:
                    raise InputError(f"{reader.name}: {error.field}", error.problem) from None
        return made

    def take(self, key: str, check: Any, default: Any, wanted: str) -> Any:
        if key not in self.table:
            if default is None:
                raise InputError(f"{self.name}: {key}", f"is missing; {wanted} is wanted")
            return default
        value = self.table.pop(key)
        try:
            return check(value)
        except (TypeError, ValueError):
            raise InputError(f"{self.name}: {key}", f"is {value!r}; {wanted} is wanted") from None

    def finish(self) -> None:
        if self.table:
            known = "games, temperatures, solvers, seeds, num_games, shard_games, continuation, entropy, tol, max_steps"
            raise InputError(f"{self.name}: {next(iter(self.table))}", f"is not known; a sweep has {known}")


def _tables(value: Any) -> list[dict[str, Any]]:
    if not (isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value)):
        raise ValueError
    return value


def _whole(value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError
    return value


def _nonempty(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError
    return list(value)


def _wholes(value: Any, least: int) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_whole(entry, least) for entry in _nonempty(value)))


def _sizes(value: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(_whole(a, 1) for a in _nonempty(size)) for size in _nonempty(value))


def _names(value: Any) -> tuple[str, ...]:
    if not all(isinstance(entry, str) for entry in _nonempty(value)):
        raise ValueError
    return tuple(value)


def _solvers(value: Any) -> tuple[str, ...]:
    names = _names(value)
    if not set(names) <= {"auto", *SOLVERS}:
        raise ValueError
    return names


def _temperatures(value: Any) -> tuple[float | tuple[float, ...], ...]:
    def one(tau: Any) -> float | tuple[float, ...]:
        if isinstance(tau, list | tuple):
            return tuple(float(one(entry)) for entry in _nonempty(tau))  # type: ignore[arg-type]
        if isinstance(tau, bool) or not isinstance(tau, int | float) or not 0 < tau < float("inf"):
            raise ValueError
        return float(tau)

    return tuple(one(tau) for tau in _nonempty(value))


def _tol(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ValueError
    return float(value)


def _one_of(names: tuple[str, ...]) -> Any:
    def check(value: Any) -> str:
        if value not in names:
            raise ValueError
        return value

    return check


def _listed(literal: Any) -> str:
    return f"one of {', '.join(get_args(literal))}"


def shown_tau(tau: float | tuple[float, ...]) -> str:
    """``2`` or ``2,0.5``.

    Args:
        tau: Temperatures of a cell, one or one per player, units of payoff.

    Returns:
        Them as one word, for tables.

    Example:
        >>> import hqre_jax as hq
        >>> hq.sweeps.shown_tau(2.0), hq.sweeps.shown_tau((2.0, 0.5))
        ('2', '2,0.5')
    """
    return ",".join(f"{t:g}" for t in tau) if isinstance(tau, tuple) else f"{tau:g}"
