"""Random certified problems: families of games of two to six players, temperatures at a chosen margin.

A margin moves with the temperatures: at fixed weights ``M(τ + c) = M(τ) + cW``, so ``κ(τ + c) = κ(τ) + c``. Any
pattern of temperatures is therefore brought to any wanted margin by adding one number to all of them, and games
can be drawn just above the threshold κ = 0, where the statements are hardest to satisfy.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import hqre_jax as hq
from hqre_jax.bounds import Bounds, bounds
from hqre_jax.games.random._draws import family_payoffs, random_edges, random_type_law
from proofs_check.numerics.compiled import each_game

# Logits of the reference policy, and how far temperatures may be apart before they are moved.
_REFERENCE_SPREAD, _LEAST_SPREAD, _LARGEST_SPREAD = 0.5, 1e-2, 1.5
# How often temperatures are moved towards the wanted margin, at most.
_SHIFTS = 4


class Certified(NamedTuple):
    """Problems with one leading axis (game), and what the library's certificate says of each."""

    problem: hq.Problem
    known: Bounds


class Family(NamedTuple):
    """A kind of random game.

    Attributes:
        name: What the tables call it.
        draw: ``(rng, num) -> arrays``, each with leading axis (game).
        build: The game of one slice of these arrays.
    """

    name: str
    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, ...]]
    build: Callable[..., hq.AbstractGame]


def _payoffs(rng: np.random.Generator, family: str, num: int, worlds: tuple[int, ...], actions: tuple[int, ...]):
    """Payoffs ``(game, player, *worlds, *actions)``."""
    return np.moveaxis(family_payoffs(rng, family, len(actions), (num, *worlds), actions), 1, 0)


def _ragged(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Three players with two or three actions each, padded to three."""
    counts = rng.integers(2, 4, (num, 3, 1, 1))
    return _payoffs(rng, "normal", num, (), (3, 3, 3)), np.arange(3) < counts


def _bimatrix(family: str) -> Family:
    return Family(family, lambda rng, num: (_payoffs(rng, family, num, (), (3, 3)),), hq.NormalFormGame)


def _cycle(rng: np.random.Generator, num: int) -> tuple[np.ndarray, ...]:
    """Four players with two actions each around a cycle: edges, payoffs, valid actions."""
    edges = random_edges(rng, 4, "cycle", 2.0)
    payoffs = np.moveaxis(family_payoffs(rng, "uniform", 2, (num, len(edges)), (2, 2)), 0, 2)
    return np.tile(edges, (num, 1, 1)), payoffs, np.ones((num, 4, 1, 2), bool)


def _graph(rng: np.random.Generator, num: int) -> tuple[np.ndarray, ...]:
    """Five or six players with two actions each on graphs between a star and a cycle; a sixth who is not there."""
    size = rng.integers(5, 7, (num, 1))
    # Player k > 0 meets an earlier one, in half of the games always player 0; three chords close cycles.
    parents = rng.integers(0, np.arange(1, 6), (num, 5)) * (rng.random((num, 1)) < 0.5)
    chords = np.broadcast_to(np.array([[1, 2], [2, 3], [3, 4]]), (num, 3, 2))
    tree = np.stack([parents, np.broadcast_to(np.arange(1, 6), parents.shape)], axis=-1)
    edges = np.concatenate([tree, chords], axis=1)
    present = np.concatenate([np.arange(1, 6) < size, rng.random((num, 3)) < 0.5], axis=1)
    payoffs = present[..., None, None, None] * rng.uniform(-1, 1, (num, 8, 2, 2, 2))
    # Who is not there has one action, with which the others' payoffs are 0.
    mask = (np.arange(6) < size)[:, :, None, None] | (np.arange(2) < 1)
    return edges, payoffs, mask


def _zero_sum(rng: np.random.Generator, num: int) -> tuple[np.ndarray]:
    """Two players with opposite interests, one of them paid in another currency."""
    payoffs = _payoffs(rng, "zero_sum", num, (), (3, 3))
    return (payoffs * np.stack([np.ones(num), 5.0 ** rng.uniform(-1, 1, num)], axis=1)[:, :, None, None],)


def _zero_sum_cycle(rng: np.random.Generator, num: int) -> tuple[np.ndarray, ...]:
    """Four players around a cycle, opposite interests on every edge."""
    edges, payoffs, mask = _cycle(rng, num)
    return edges, np.stack([payoffs[:, :, 0], -payoffs[:, :, 0]], axis=2), mask


def _typed(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Two players, two types each, correlated; three actions against two."""
    return random_type_law(rng, (num,), (2, 2), False), _payoffs(rng, "uniform", num, (2, 2), (3, 2))


GENERAL_SUM = Family("general sum, 3 players", _ragged, lambda u, mask: hq.NormalFormGame(u, action_mask=mask))
NEAR_ZERO_SUM = _bimatrix("near_zero_sum")._replace(name="near zero sum, 2 players")
COORDINATION = _bimatrix("coordination")._replace(name="coordination, 2 players")
GRAPH = Family("polymatrix graph, 5–6 players", _graph, lambda e, u, mask: hq.PolymatrixGame(e, u, action_mask=mask))
BAYESIAN = Family("Bayesian, 2 players", _typed, hq.BayesianGame)
ZERO_SUM = NEAR_ZERO_SUM._replace(name="zero sum scaled, 2 players", draw=_zero_sum)
ZERO_SUM_CYCLE = GRAPH._replace(name="zero-sum cycle, 4 players", draw=_zero_sum_cycle)
ZERO_SUM_FAMILIES = (ZERO_SUM, ZERO_SUM_CYCLE)
FAMILIES = (GENERAL_SUM, NEAR_ZERO_SUM, GRAPH, BAYESIAN)


def pose(
    build: Callable[..., hq.AbstractGame], arrays: tuple, tau_of: Any, logits_of: Any, continuation: Any = "soft"
) -> hq.Problem:
    """Problems from arrays with leading axis (game): games, temperatures, and logits of the reference policies."""
    return _posing(build, continuation)(arrays, tau_of, logits_of)


@functools.cache
def _posing(build: Callable[..., hq.AbstractGame], continuation: Any) -> Callable[..., hq.Problem]:
    def one(arrays, tau, logits):
        game = build(*arrays)
        mask = game.action_mask
        reference = jax.nn.softmax(logits.reshape(mask.shape), axis=-1, where=mask)
        tau = jnp.broadcast_to(tau, mask.shape[:2]) if tau.ndim == 0 else tau.reshape(mask.shape[:2])
        return hq.Problem(game, tau, reference=jnp.where(mask, reference, 0.0), continuation=continuation)

    return each_game(one)


known_bounds = each_game(bounds)


def shape_of(family: Family, arrays: tuple[np.ndarray, ...]) -> tuple[int, int, int]:
    """``(player, information state, action)`` of the family's games."""
    one = jax.eval_shape(family.build, *(jax.ShapeDtypeStruct(a.shape[1:], a.dtype) for a in arrays))
    return one.action_mask.shape


def as_certified(problem: hq.Problem) -> Certified:
    """Given problems, leading axis (game), with what the library proves of each."""
    return Certified(problem, known_bounds(problem))


def given_certified(problem: hq.Problem) -> Certified | None:
    """The same, or None where no margin is positive, as in all games that go on: then nothing need be measured."""
    cases = as_certified(problem)
    return cases if (cases.known.margin > 0).any() else None


def certified(family: Family, rng: np.random.Generator, num: int) -> Certified:
    """Games at heterogeneous temperatures that put the margin between 0.001 and 1, payoffs being of order 1.

    Args:
        family: Where to draw from.
        rng: Source of randomness.
        num: Number of games.

    Returns:
        The cases; their certificates are computed anew at the final temperatures.
    """
    arrays = family.draw(rng, num)
    shape = shape_of(family, arrays)
    spread = _LEAST_SPREAD * (_LARGEST_SPREAD / _LEAST_SPREAD) ** rng.random((num, 1, 1))
    pattern = 1.0 + spread * rng.uniform(-0.5, 0.5, (num, *shape[:2]))
    logits = _REFERENCE_SPREAD * rng.standard_normal((num, *shape))
    wanted, tau = 10.0 ** rng.uniform(-3.0, 0.0, num), pattern
    known = known_bounds(pose(family.build, arrays, tau, logits))
    # Once is enough but for a few games, where the search ends at worse weights than before.
    for _ in range(_SHIFTS):
        short = ~(known.margin > 0) | (tau is pattern)
        tau = tau + np.where(short, wanted - known.margin, 0.0)[:, None, None]
        problem = pose(family.build, arrays, tau, logits)
        known = known_bounds(problem)
        if (known.margin > 0).all():
            break
    return Certified(problem, known)


def scaled(family: Family, rng: np.random.Generator, num: int, low: float, high: float) -> Certified:
    """Games at a common temperature between ``low`` and ``high`` times the least certified one.

    Args:
        family: Where to draw from.
        rng: Source of randomness.
        num: Number of games.
        low: Least factor.
        high: Largest factor; below 1 no game is certified.

    Returns:
        The cases, around the uniform reference.
    """
    arrays = family.draw(rng, num)
    shape = shape_of(family, arrays)
    ones, logits = np.ones((num, *shape[:2])), np.zeros((num, *shape))
    threshold = 1.0 - known_bounds(pose(family.build, arrays, ones, logits)).margin
    tau = threshold * rng.uniform(low, high, num)
    problem = pose(family.build, arrays, ones * tau[:, None, None], logits)
    return as_certified(problem)


def posed(build: Callable[..., hq.AbstractGame], arrays: tuple[np.ndarray, ...], tau: np.ndarray) -> Certified:
    """Given games at given common temperatures, uniform reference.

    Args:
        build: The game of one slice of the arrays.
        arrays: Arrays with leading axis (game).
        tau: Temperature of each game, units of payoff.

    Returns:
        The cases.
    """
    shape = shape_of(Family("", lambda rng, num: arrays, build), arrays)
    problem = pose(build, arrays, tau[:, None, None] * np.ones((len(tau), *shape[:2])), np.zeros((len(tau), *shape)))
    return as_certified(problem)


def matching_pennies(tau: np.ndarray) -> Certified:
    """Payoffs ±1, at each of the given temperatures; padded to three actions, so that the check's program serves."""
    one = np.pad([[1.0, -1.0], [-1.0, 1.0]], (0, 1))
    mask = np.broadcast_to(np.arange(3) < 2, (len(tau), 2, 1, 3))
    payoffs = np.tile(np.stack([one, -one]), (len(tau), 1, 1, 1))
    return posed(lambda u, mask: hq.NormalFormGame(u, action_mask=mask), (payoffs, mask), tau)
