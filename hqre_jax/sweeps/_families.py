"""Random games for sweeps: drawn in blocks of fixed size, so that a game does not depend on who asks for it."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import jax
import numpy as np

from hqre_jax.core._types import InputError
from hqre_jax.games import BayesianGame, MarkovGame, NormalFormGame, PolymatrixGame
from hqre_jax.games._game import AbstractGame
from hqre_jax.games.random._draws import Family, family_payoffs, random_edges, random_kernel, random_type_law

# Graphs with the same number of edges every time.
_GRAPHS = ("complete", "cycle", "star")
# Games drawn at once from one generator.
_BLOCK = 256


@dataclass(frozen=True)
class GameFamily:
    """A kind of random game of one size.

    Attributes:
        kind: A key of `KINDS`.
        payoffs: Family of payoffs, as in `random_normal_form`.
        num_actions: Number of actions of each player.
        options: What the kind needs beyond that, as sorted pairs: ``graph`` of polymatrix games,
            ``types`` (a number per player) of Bayesian ones, ``states`` and ``discount`` of Markov ones.
    """

    kind: str
    payoffs: str
    num_actions: tuple[int, ...]
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def num_players(self) -> int:
        """Number of players."""
        return len(self.num_actions)

    @property
    def title(self) -> str:
        """A few words for tables."""
        size = "x".join(map(str, self.num_actions))
        extra = "".join(f" {key} {_shown(value)}" for key, value in self.options)
        return f"{self.payoffs} {self.kind} {size}{extra}"

    def checked(self) -> "GameFamily":
        """This family, its options completed; an `InputError` names the key that is wrong."""
        if self.payoffs not in get_args(Family):
            raise InputError("families", f"has {self.payoffs!r}; it must be one of {', '.join(get_args(Family))}")
        wanted = KINDS[self.kind].options
        given = dict(self.options)
        for key in given:
            if key not in wanted:
                known = ", ".join(("kind", "families", "sizes", *wanted))
                raise InputError(key, f"is not known for {self.kind}; it takes {known}")
        full = {key: given.get(key, default) for key, default in wanted.items()}
        for key, value in full.items():
            if value is None:
                raise InputError(key, f"is missing; {self.kind} needs it")
        KINDS[self.kind].check(self.num_actions, full)
        return GameFamily(self.kind, self.payoffs, self.num_actions, tuple(sorted(full.items())))

    def draw(self, seed: int, first: int, count: int) -> AbstractGame:
        """Games ``first … first + count − 1`` of this family and seed, stacked.

        Args:
            seed: Seed.
            first: Number of the first game.
            count: How many.

        Returns:
            A stacked game. Each game depends on the family, the seed and its own number only.
        """
        kind, options = KINDS[self.kind], dict(self.options)
        name = zlib.crc32(repr((self.kind, self.payoffs, self.num_actions, self.options)).encode())
        blocks = []
        for block in range(first // _BLOCK, -(-(first + count) // _BLOCK)):
            rng = np.random.default_rng([seed, name, block])
            arrays = kind.draw(rng, self.payoffs, self.num_actions, options)
            low, high = max(first - block * _BLOCK, 0), min(first + count - block * _BLOCK, _BLOCK)
            blocks.append(tuple(array[low:high] for array in arrays))
        arrays = tuple(np.concatenate(parts) for parts in zip(*blocks, strict=True))
        return jax.vmap(kind.build(options))(*arrays)


@dataclass(frozen=True)
class Kind:
    """How games of one class are drawn: ``draw`` gives arrays of a whole block, ``build`` makes a game of a slice."""

    options: dict[str, Any]
    check: Callable[[tuple[int, ...], dict[str, Any]], None]
    draw: Callable[[np.random.Generator, str, tuple[int, ...], dict[str, Any]], tuple[np.ndarray, ...]]
    build: Callable[[dict[str, Any]], Callable[..., AbstractGame]]


def _payoffs(rng: np.random.Generator, family: str, actions: tuple[int, ...], worlds: tuple[int, ...] = ()):
    """``(game, player, *worlds, *actions)``."""
    return np.moveaxis(family_payoffs(rng, family, len(actions), (_BLOCK, *worlds), actions), 1, 0)


def _draw_polymatrix(rng: np.random.Generator, family: str, actions: tuple[int, ...], options: dict[str, Any]):
    edges = random_edges(rng, len(actions), options["graph"], 2.0)
    pairs = family_payoffs(rng, family, 2, (_BLOCK, len(edges)), (actions[0], actions[0]))
    mask = np.ones((_BLOCK, len(actions), 1, actions[0]), bool)
    return np.tile(edges, (_BLOCK, 1, 1)), np.moveaxis(pairs, 0, 2), mask


def _check_polymatrix(actions: tuple[int, ...], options: dict[str, Any]) -> None:
    if len(set(actions)) > 1:
        raise InputError("sizes", f"has {list(actions)}; all players of a random polymatrix game have as many actions")
    if options["graph"] not in _GRAPHS:
        raise InputError("graph", f"is {options['graph']!r}; it must be one of {', '.join(_GRAPHS)}")


def _check_bayesian(actions: tuple[int, ...], options: dict[str, Any]) -> None:
    types = options["types"]
    if not isinstance(types, tuple) or len(types) != len(actions) or not all(_is_whole(t) for t in types):
        raise InputError("types", f"is {types!r}; a whole number for each of the {len(actions)} players is wanted")


def _check_markov(actions: tuple[int, ...], options: dict[str, Any]) -> None:
    del actions
    if not _is_whole(options["states"]):
        raise InputError("states", f"is {options['states']!r}; a whole number, 1 or more, is wanted")
    discount = options["discount"]
    if isinstance(discount, bool) or not isinstance(discount, int | float) or not 0 <= discount < 1:
        raise InputError("discount", f"is {discount!r}; a number in [0, 1) is wanted")


def _draw_bayesian(rng: np.random.Generator, family: str, actions: tuple[int, ...], options: dict[str, Any]):
    law = random_type_law(rng, (_BLOCK,), options["types"], False)
    return law, _payoffs(rng, family, actions, options["types"])


def _draw_markov(rng: np.random.Generator, family: str, actions: tuple[int, ...], options: dict[str, Any]):
    states = options["states"]
    payoffs = _payoffs(rng, family, actions, (states,))
    return payoffs, random_kernel(rng, (_BLOCK, states, *actions), states, None, options["discount"])


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _shown(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


KINDS: dict[str, Kind] = {
    "normal_form": Kind(
        {}, lambda actions, options: None, lambda rng, family, actions, _: (_payoffs(rng, family, actions),),
        lambda _: NormalFormGame,
    ),
    "polymatrix": Kind(
        {"graph": "cycle"}, _check_polymatrix, _draw_polymatrix,
        lambda _: lambda edges, u, mask: PolymatrixGame(edges, u, action_mask=mask),
    ),
    "bayesian": Kind({"types": None}, _check_bayesian, _draw_bayesian, lambda _: BayesianGame),
    "markov": Kind(
        {"states": None, "discount": 0.9}, _check_markov, _draw_markov,
        lambda options: lambda u, p: MarkovGame(u, p, options["discount"]),
    ),
}  # fmt: skip
