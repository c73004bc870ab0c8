"""Stage games of a Markov game: the Shapley operator and the nested contraction, measured for T4."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import hqre_jax as hq
from hqre_jax.core._namespace import namespace
from hqre_jax.core._simplex import center, span
from hqre_jax.core._types import LogPolicy, PerPlayer, StateValues
from hqre_jax.equilibrium._residual import soft_values
from hqre_jax.games._world_states import StageGame
from proofs_check.comparison import Sides
from proofs_check.experiment import Drawing, each_game
from proofs_check.numerics import accuracy
from proofs_check.numerics.equilibria import defect, find_equilibria
from proofs_check.t4_markov.games import CertifiedNested
from proofs_check.t4_markov.pairs import CLOSE, NEARLY, backup, backup_rounding

SHAPLEY = "(d) Shapley operator: γ"
NESTED = "(e) nested: γ(1+G/κ)"


def _stage(problem: hq.Problem, targets: Array) -> hq.Problem:
    """The problem whose continuation values are frozen."""
    return eqx.tree_at(lambda p: p.game, problem, StageGame(problem.game, targets))


def _stage_equilibrium(problem: hq.Problem, targets: Array, key: Any) -> tuple[hq.Problem, LogPolicy]:
    """The stage problem and an approximate HQRE of it."""
    stage = _stage(problem, targets)
    return stage, find_equilibria(stage, 1, key)[0][0]


def _saddle_value(problem: hq.Problem, values: Array, key: Any) -> tuple[Array, Array]:
    """Saddle value of each stage game and how far it can be off: the gap between what either player can secure."""
    stage, policy = _stage_equilibrium(problem, jnp.stack([values, -values]), key)
    game = problem.game
    best = soft_values(stage.evaluate(policy).action_values, problem)
    ceded = -problem.bonus(policy)

    def total(at_states: StateValues) -> Array:
        return game.gather(game.at_worlds(at_states))

    most = total(best)[0] + total(ceded)[1]
    least = -(total(best)[1] + total(ceded)[0])
    worth = game.evaluate(policy, problem.bonus(policy), "zero_sum", targets=stage.game.targets).continuation[0]
    return worth, jnp.abs(most - least)


class ZeroSum(NamedTuple):
    """Zero-sum games; leading axis (game)."""

    problem: hq.Problem


class Values(NamedTuple):
    """Where pairs of values begin, as parts of the box, and a key for the search for stage HQRE."""

    noise: Array
    key: Any


@each_game
def shapley(case: ZeroSum, sample: Values) -> Sides:
    """(d): ``‖TV − TV'‖_∞ ≤ γ ‖V − V'‖_∞`` for the Shapley operator T.

    At a pair that differs by noise and at one that differs by little more than a constant.
    """
    problem, noise, key = case.problem, sample.noise, sample.key
    game, gamma = problem.game, problem.game.discount_factor()
    half = 0.5 * game.payoff_range()[0] / (1 - gamma)
    first, step = half * noise

    mixed = jnp.array([[0.0], [1.0], [NEARLY]])
    values = first[None] + mixed * step[None] + jnp.array([[0.0], [0.0], [1 - NEARLY]]) * half
    worth, gaps = jax.vmap(lambda v: _saddle_value(problem, v, key))(values)
    point = (
        jnp.zeros_like(problem.log_reference),
        jnp.broadcast_to(jnp.max(jnp.abs(values), axis=0), (2, step.size)),
    )
    off = jnp.max(gaps, axis=1) + 4 * jnp.max(backup_rounding(problem, point))
    apart = jnp.max(jnp.abs(worth[1:] - worth[:1]), axis=1)
    return Sides(apart, gamma * jnp.max(jnp.abs(values[1:] - values[:1]), axis=1), off[1:] + off[:1])


def saddle_values(cases: ZeroSum, sample: Values) -> dict[str, Sides]:
    """(d) of every game."""
    return {SHAPLEY: shapley(cases, sample)}


def sample_values(cases: ZeroSum, drawing: Drawing) -> Values:
    """Two policies' worth of noise for each game."""
    keys = drawing.keys()
    shape = (drawing.num, 2, cases.problem.game.transitions.shape[-1])
    return Values(drawing.rng.uniform(-1, 1, shape), keys)


def _steepest(problem: hq.Problem, w: PerPlayer, values: StateValues, policy: LogPolicy) -> StateValues:
    """Change of V that moves one soft value at the stage HQRE most, by the implicit function theorem."""
    z = center(policy, problem.mask).ravel()

    def answer(values, z):
        return soft_values(backup(problem, problem.log_policy(z.reshape(problem.mask.shape)), values), problem)

    def equation(values, z):
        return defect(_stage(problem, values), z)

    moved = -jnp.linalg.solve(
        jax.jacfwd(equation, 1)(values, z), jax.jacfwd(equation)(values, z).reshape(z.size, values.size)
    )
    through = jax.jacfwd(answer, 1)(values, z).reshape(values.size, z.size) @ moved
    rows = (jax.jacfwd(answer)(values, z).reshape(values.size, -1) + through).reshape(*values.shape, *values.shape)
    # In the norm √(Σ w_j max|δ_j|²) the worst δ for one row has δ_j = ± Σ_s|row_j| / w_j.
    size = jnp.sum(jnp.abs(rows), axis=-1)
    gain = w[:, None] * jnp.sum(size**2 / w[None, None], axis=-1)
    i, x = jnp.unravel_index(jnp.argmax(gain), gain.shape)
    return jnp.sign(rows[i, x]) * (size[i, x] / w)[:, None]


@each_game
def _nested_image(case: CertifiedNested, values: Array, key: Any) -> tuple[Array, Array, Array]:
    """Soft values at the stage HQRE, a bound on their error in the norm of (e), and the HQRE itself."""
    problem, w, known = case.problem, case.weights, case.known
    stage, policy = _stage_equilibrium(problem, values, key)
    rounding = backup_rounding(problem, (jnp.zeros_like(problem.log_reference), values))
    spans = span(accuracy.operator(stage, policy), problem.mask)
    spans = spans + 4 * rounding[:, None] + 4 * problem.tau * accuracy.log_rounding(problem, policy)
    # T1 (b) bounds what Newton's method left over, (*) what it does to the values.
    off = accuracy.weighted_norm(spans, w[:, None] * accuracy.used(problem)) / (2 * known.margin)
    error = known.reach * off + _nested_norm(rounding[:, None], w)
    return soft_values(stage.evaluate(policy).action_values, problem), error, policy


def _nested_norm(values: Any, w: Any) -> Any:
    """The norm of (e), of one game or game by game."""
    xp = namespace(values)
    return xp.sqrt(xp.sum(w * xp.max(xp.abs(values), axis=-1) ** 2, axis=-1))


@each_game
def _uphill(case: CertifiedNested, values: Array, policy: Array) -> Array:
    return _steepest(case.problem, case.weights, values, policy)


class Ends(NamedTuple):
    """A corner of the box and two points of it, as parts of its half width, and keys for stage HQRE."""

    corner: Array
    ends: Array
    keys: Any


def sample_nested(cases: CertifiedNested, drawing: Drawing) -> Ends:
    """Random corners and points."""
    rng, shape = drawing.rng, cases.problem.tau.shape
    keys = drawing.keys()
    return Ends(rng.choice([-1.0, 1.0], shape), rng.uniform(-1, 1, (2, *shape)), keys)


def nested_iteration(cases: CertifiedNested, sample: Ends) -> dict[str, Sides]:
    """(e) at two pairs of values: anywhere in the box, and near a corner of it in the steepest direction."""
    half = 0.5 * np.broadcast_to(cases.width[..., None], cases.problem.tau.shape)
    corner, factor, keys = (1 - 2 * CLOSE) * half * sample.corner, cases.known.factor, sample.keys
    at_corner = _nested_image(cases, corner, keys)
    uphill = _uphill(cases, corner, at_corner[2])
    close = corner + CLOSE * uphill / np.max(np.abs(uphill) / half, axis=(-2, -1), keepdims=True)
    ends = half * sample.ends
    sides = []
    for first, now, second in ((corner, at_corner, close), (ends[0], _nested_image(cases, ends[0], keys), ends[1])):
        then = _nested_image(cases, second, keys)
        moved = _nested_norm(now[0] - then[0], cases.weights), factor * _nested_norm(first - second, cases.weights)
        sides.append([*moved, now[1] + then[1]])
    return {NESTED: Sides(*(np.stack(part, axis=1) for part in zip(*sides, strict=True)))}
