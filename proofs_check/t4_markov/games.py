"""Random Markov games: families that go on, at temperatures that put T4's factor where it is wanted.

The factor moves with the temperatures: ``spr(γI + B diag(1/τ)) = γ + spr(B diag(1/τ))``, and the second term halves
when all temperatures double. Stage margins move by whatever is added to all of them (`proofs_check.games.certified`).
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.bounds import Nested, nested_constants
from hqre_jax.core._types import PerPlayer
from hqre_jax.games._world_states import AbstractWorldStateGame, legal_actions
from hqre_jax.games.random._draws import family_payoffs, random_kernel, random_type_law
from proofs_check.games.certified import Family, known_bounds, pose, shape_of
from proofs_check.numerics.compiled import each_game

_REFERENCE_SPREAD = 0.5
# Discounts, and where between γ and 1 the contraction factor is put.
_DISCOUNTS, _PARTS = (0.05, 0.95), (0.02, 0.98)
# Nested iteration: a discount near 1 would ask for temperatures at which everybody plays the reference.
_NESTED_DISCOUNTS = (0.05, 0.6)
# How much lower temperatures are under ``plain``, at most.
_COOLEST = 0.2


class CertifiedMarkov(NamedTuple):
    """Problems with one leading axis (game) and T4's constants, computed here from their definitions.

    Attributes:
        problem: The problems; games are centred.
        influence: ``B_ij``, units of payoff.
        swing: ``S_i``, by how much i's own action values may differ, units of payoff.
        width: Width of the box that holds ``V_i``, centred at 0.
        weights: Perron vector v of A, largest entry 1.
        factor: q, as the library certifies it.
        excess: ``max_i (Av)_i/v_i − spr A``, both computed here: what rounding of v adds to a factor.
    """

    problem: hq.Problem
    influence: Float[Array, "game player player"]
    swing: Float[Array, "game player"]
    width: Float[Array, "game player"]
    weights: Float[Array, "game player"]
    factor: Float[Array, " game"]
    excess: Float[Array, " game"]


class CertifiedNested(NamedTuple):
    """Problems with one leading axis (game) whose stage games all have a margin.

    Attributes:
        problem: The problems; games are centred.
        width: Width of the box of ``V_i``.
        weights: w, one per player.
        known: κ of every stage game whose continuation values lie in the box, G and the factor, as the library
            proves them.
    """

    problem: hq.Problem
    width: Float[Array, "game player"]
    weights: Float[Array, "game player"]
    known: Nested


def _kernel(rng: np.random.Generator, num: int, worlds: tuple[int, ...], actions: tuple[int, ...], targets: int):
    """Kernels in which actions matter little in some games and are everything in others."""
    moved = random_kernel(rng, (num, *worlds, *actions), targets, None, 0.5)
    ones = (1,) * len(actions)
    unmoved = random_kernel(rng, (num, *worlds, *ones), targets, None, 0.5)
    share = (10.0 ** rng.uniform(-2, 0, num)).reshape(num, *(1 for _ in worlds), *ones, 1)
    return share * moved + (1 - share) * unmoved


def _markov(name: str, states: int, actions: tuple[int, ...], payoffs: str = "uniform") -> Family:
    def draw(rng: np.random.Generator, num: int) -> tuple[np.ndarray, ...]:
        u = np.moveaxis(family_payoffs(rng, payoffs, len(actions), (num, states), actions), 1, 0)
        return u, _kernel(rng, num, (states,), actions, states), rng.uniform(*_DISCOUNTS, num)

    return Family(name, draw, hq.MarkovGame)


def _public_private(name: str, payoffs: str = "uniform") -> Family:
    """Two public states, two correlated types each, two actions each."""
    worlds, actions = (2, 2, 2), (2, 2)

    def draw(rng: np.random.Generator, num: int) -> tuple[np.ndarray, ...]:
        u = np.moveaxis(family_payoffs(rng, payoffs, 2, (num, *worlds), actions), 1, 0)
        prior = random_type_law(rng, (num, 2), (2, 2), False)
        return u, _kernel(rng, num, worlds, actions, 2), prior, rng.uniform(*_DISCOUNTS, num)

    return Family(name, draw, hq.PublicPrivateGame)


TWO = _markov("Markov, 2 players, 3 states", 3, (3, 2))
THREE = _markov("Markov, 3 players, 2 states", 2, (2, 2, 2))
LONG = _markov("Markov, 2 players, 5 states", 5, (3, 2))
PUBLIC = _public_private("public state, private types")
ZERO_SUM = _markov("zero-sum Markov, 3 states", 3, (3, 2), "zero_sum")
ZERO_SUM_PUBLIC = _public_private("zero sum, private types", "zero_sum")


def _pairs_of_actions(array: Float[Array, "*rest actions"]) -> Float[Array, "*rest first second"]:
    return array[..., :, None] - array[..., None, :]


def swings(game: AbstractWorldStateGame) -> tuple[Float[Array, "player player"], Float[Array, " player"]]:
    """``max_{w,a,a_j'} [|Δr_i| + γ width(V_i) TV]``, i = j included, and the width of the box, over valid actions."""
    payoffs, kernel, gamma = game.world_payoffs(), game.world_transitions(), game.discount_factor()
    legal = legal_actions(game.action_mask, game.information_map(), payoffs.shape[2:])
    axes = tuple(range(1, payoffs.ndim))
    top = jnp.max(jnp.where(legal[None], payoffs, -jnp.inf), axis=axes)
    width = (top - jnp.min(jnp.where(legal[None], payoffs, jnp.inf), axis=axes)) / (1 - gamma)
    columns = []
    for j in range(game.num_players):
        change = jnp.abs(_pairs_of_actions(jnp.moveaxis(payoffs, j + 2, -1)))
        moved = _pairs_of_actions(jnp.moveaxis(kernel, (-1, j + 1), (0, -1)))
        distance = 0.5 * jnp.sum(jnp.abs(moved), axis=0)
        total = change + gamma * width.reshape(-1, *(1,) * distance.ndim) * distance[None]
        may = jnp.moveaxis(legal, j + 1, -1)
        may = may[..., :, None] & may[..., None, :]
        columns.append(jnp.max(jnp.where(may[None], total, 0.0), axis=tuple(range(1, total.ndim))))
    return jnp.stack(columns, axis=1), width


def influence(game: AbstractWorldStateGame) -> tuple[Float[Array, "player player"], Float[Array, " player"]]:
    """``B_ij``, half of what j's action may change i's payoff by, and the width of the box."""
    swing, width = swings(game)
    return 0.5 * swing * (1 - jnp.eye(game.num_players)), width


@each_game
def influences(
    problem: hq.Problem,
) -> tuple[Float[Array, "player player"], Float[Array, " player"], Float[Array, " player"]]:
    """``B_ij``, the widths of the boxes and the own swings ``S_i``, of each game."""
    return (*influence(problem.game), jnp.diagonal(swings(problem.game)[0]))


def perron(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spectral radius and right Perron vector of irreducible non-negative matrices."""
    values, vectors = np.linalg.eig(matrix)
    top = np.argmax(values.real, axis=-1)
    vector = np.abs(np.take_along_axis(vectors, top[:, None, None], axis=-1)[..., 0].real)
    return np.take_along_axis(values.real, top[:, None], axis=-1)[:, 0], vector / vector.max(-1, keepdims=True)


def contracting(
    family: Family, rng: np.random.Generator, num: int, continuation: Literal["soft", "plain"] = "soft"
) -> CertifiedMarkov:
    """Games at heterogeneous temperatures with T4's factor spread between γ and 1.

    Args:
        family: Where to draw from.
        rng: Source of randomness.
        num: Number of games.
        continuation: Under ``plain`` temperatures are lower, so that one's own steepness counts; the factor may
            exceed 1.

    Returns:
        The cases.
    """
    arrays = family.draw(rng, num)
    shape = shape_of(family, arrays)
    pattern = rng.uniform(0.5, 1.5, (num, *shape[:2]))
    logits = _REFERENCE_SPREAD * rng.standard_normal((num, *shape))
    gamma = arrays[-1]
    influence = np.asarray(influences(pose(family.build, arrays, pattern, logits))[0])
    wanted = (1 - gamma) * rng.uniform(*_PARTS, num)
    radius, _ = perron(influence / pattern.min(-1)[:, None, :])
    tau = pattern * (radius / wanted)[:, None, None]
    if continuation == "plain":
        tau = tau * _COOLEST ** rng.random((num, 1, 1))
    return settled(family.build, arrays, tau, logits, continuation)


def settled(
    build: Callable[..., hq.AbstractGame],
    arrays: tuple,
    tau: np.ndarray,
    logits: np.ndarray,
    continuation: Literal["soft", "plain"] = "soft",
) -> CertifiedMarkov:
    """Given games at given temperatures, with T4's constants.

    Args:
        build: The game of one slice of the arrays, whose last is the discount.
        arrays: Arrays with leading axis (game).
        tau: Temperatures ``(game, player, state)``.
        logits: Of the reference policy.
        continuation: Whose entropy counts in values.

    Returns:
        The cases.
    """
    return known_cases(centred(pose(build, arrays, tau, logits, continuation)))


def known_cases(problem: hq.Problem) -> CertifiedMarkov:
    """T4's constants of given problems.

    Args:
        problem: Problems that go on, leading axis (game); games are centred.

    Returns:
        The cases.
    """
    influence, width, swing = influences(problem)
    matrix = growth(problem, influence, swing)
    radius, weights = perron(matrix)
    quotient = np.max(np.einsum("gij,gj->gi", matrix, weights) / weights, axis=-1)
    excess = np.maximum(quotient * (1 + 16 * np.finfo(float).eps) - radius, 0.0)
    factor = known_bounds(problem).contraction
    return CertifiedMarkov(problem, influence, swing, width, weights, factor, excess)


def growth(problem: hq.Problem, influence: np.ndarray, swing: np.ndarray) -> Float[np.ndarray, "game player player"]:
    """``γI + B diag(1/τ)``; under ``plain`` ``γ diag(c) + B diag(1/τ)``.

    Args:
        problem: The problems, leading axis (game).
        influence: B.
        swing: S.

    Returns:
        The matrices whose spectral radius is T4's factor.
    """
    eye, tau = np.eye(influence.shape[-1]), least_temperatures(problem)
    stretch = np.ones_like(tau)
    if problem.continuation == "plain":
        ratio = np.maximum(swing / tau, 1.0)
        stretch = 1 + (ratio - 1) ** 2 / (2 * ratio)
    gamma = np.asarray(problem.game.discount)
    return (gamma[:, None] * stretch)[:, :, None] * eye + influence / tau[:, None, :]


def least_temperatures(problem: hq.Problem) -> Float[np.ndarray, "game player"]:
    """``τ_j``, the least over j's states."""
    used = np.asarray(problem.game.action_mask).any(axis=-1)
    return np.where(used, np.asarray(problem.tau), np.inf).min(axis=-1)


def zero_sum(family: Family, rng: np.random.Generator, num: int) -> hq.Problem:
    """Zero-sum games at temperatures from 0.1 to 3 that differ between players and states; not centred.

    Args:
        family: Where to draw from.
        rng: Source of randomness.
        num: Number of games.

    Returns:
        The problems.
    """
    arrays = family.draw(rng, num)
    shape = shape_of(family, arrays)
    tau = 10.0 ** rng.uniform(-1.0, 0.5, (num, shape[0], 1)) * rng.uniform(0.7, 1.4, (num, *shape[:2]))
    return pose(family.build, arrays, tau, _REFERENCE_SPREAD * rng.standard_normal((num, *shape)), "zero_sum")


@each_game
def centred(problem: hq.Problem) -> hq.Problem:
    """The problems on games without their strategically irrelevant payoff terms."""
    return problem.centered()


def nested(family: Family, rng: np.random.Generator, num: int) -> CertifiedNested:
    """Fully observed Markov games whose nested iteration has a factor ``γ(1 + G/κ)`` spread between γ and 1.

    Args:
        family: Where to draw from; discounts are drawn anew.
        rng: Source of randomness.
        num: Number of games.

    Returns:
        The cases; weights are random, for the statement holds for every choice.
    """
    gamma = rng.uniform(*_NESTED_DISCOUNTS, num)
    arrays = (*family.draw(rng, num)[:-1], gamma)
    shape = shape_of(family, arrays)
    pattern = 1.0 + rng.uniform(-0.5, 0.5, (num, *shape[:2]))
    logits = _REFERENCE_SPREAD * rng.standard_normal((num, *shape))
    weights = np.exp(0.5 * rng.standard_normal((num, shape[0])))
    first = known_nested(centred(pose(family.build, arrays, pattern, logits)), weights).known
    factor = gamma + (1 - gamma) * rng.uniform(*_PARTS, num)
    wanted = gamma * np.asarray(first.reach) / (factor - gamma)
    tau = pattern + (wanted - np.asarray(first.margin))[:, None, None]
    return known_nested(centred(pose(family.build, arrays, tau, logits)), weights)


@each_game
def _nested_constants(problem: hq.Problem, weights: PerPlayer) -> Nested:
    return nested_constants(problem, problem.game, weights)


def known_nested(problem: hq.Problem, weights: np.ndarray) -> CertifiedNested:
    """What the library proves of the stage games of given problems.

    Args:
        problem: Fully observed problems, leading axis (game); games are centred.
        weights: w, axes (game, player).

    Returns:
        The cases; κ may be negative.
    """
    return CertifiedNested(problem, influences(problem)[1], weights, _nested_constants(problem, weights))
