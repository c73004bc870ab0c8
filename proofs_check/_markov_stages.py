"""Stage games of a Markov game: the Shapley operator and the nested contraction, measured for T4."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import hqre_jax as hq
from hqre_jax.core._simplex import center, span
from hqre_jax.core._types import LogPolicy, PerPlayer, Scalar, StateValues
from hqre_jax.equilibrium._residual import soft_values
from hqre_jax.games._world_states import StageGame
from proofs_check import _accuracy as accuracy
from proofs_check import _markov_cases as markov
from proofs_check._cases import quick_jit
from proofs_check._equilibria import defect, find_equilibria
from proofs_check._markov_pairs import (
    _CLOSE,
    _NEARLY,
    _backup,
    _backup_rounding,
)
from proofs_check._statement import Comparison

SHAPLEY = "(d) Shapley operator: γ"
NESTED = "(e) nested: γ(1+G/κ)"


def _stage(problem: hq.Problem, targets: Array) -> hq.Problem:
    """The problem whose continuation values are frozen."""
    return eqx.tree_at(lambda p: p.game, problem, StageGame(problem.game, targets))


def _stage_equilibrium(problem: hq.Problem, targets: Array, key: Any) -> tuple[hq.Problem, LogPolicy]:
    """The stage problem and an approximate HQRE of it."""
    stage = _stage(problem, targets)
    return stage, find_equilibria(stage, 1, key)[0][0]


def _saddle_values(problem: hq.Problem, values: Array, key: Any) -> tuple[Array, Array]:
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


@quick_jit
def _measure_shapley(problem: hq.Problem, noise: Array, keys: Any):
    """Claim (d) at a pair that differs by noise and at one that differs by little more than a constant."""

    def one(problem, noise, key):
        game, gamma = problem.game, problem.game.discount_factor()
        half = 0.5 * game.payoff_range()[0] / (1 - gamma)
        first, step = half * noise

        mixed = jnp.array([[0.0], [1.0], [_NEARLY]])
        values = first[None] + mixed * step[None] + jnp.array([[0.0], [0.0], [1 - _NEARLY]]) * half
        worth, gaps = jax.vmap(lambda v: _saddle_values(problem, v, key))(values)
        point = (
            jnp.zeros_like(problem.log_reference),
            jnp.broadcast_to(jnp.max(jnp.abs(values), axis=0), (2, step.size)),
        )
        off = jnp.max(gaps, axis=1) + 4 * jnp.max(_backup_rounding(problem, point))
        apart = jnp.max(jnp.abs(worth[1:] - worth[:1]), axis=1)
        return apart, gamma * jnp.max(jnp.abs(values[1:] - values[:1]), axis=1), off[1:] + off[:1]

    return jax.vmap(one)(problem, noise, keys)


def _steepest(problem: hq.Problem, w: PerPlayer, values: StateValues, policy: LogPolicy) -> StateValues:
    """Change of V that moves one soft value at the stage HQRE most, by the implicit function theorem."""
    z = center(policy, problem.mask).ravel()

    def answer(values, z):
        return soft_values(_backup(problem, problem.log_policy(z.reshape(problem.mask.shape)), values), problem)

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


@quick_jit
def _nested_image(cases: markov.NestedCases, values: Array, keys: Any) -> tuple[Array, Array, Array]:
    """Soft values at the stage HQRE, a bound on their error in the norm of (e), and the HQRE itself."""

    def one(problem, w, known, values, key):
        stage, policy = _stage_equilibrium(problem, values, key)
        rounding = _backup_rounding(problem, (jnp.zeros_like(problem.log_reference), values))
        spans = span(accuracy.operator(stage, policy), problem.mask)
        spans = spans + 4 * rounding[:, None] + 4 * problem.tau * accuracy.log_rounding(problem, policy)
        # T1 (b) bounds what Newton's method left over, (*) what it does to the values.
        off = accuracy.weighted_norm(spans, w[:, None] * accuracy.used(problem)) / (2 * known.margin)
        error = known.reach * off + _nested_norm(rounding[:, None], w)
        return soft_values(stage.evaluate(policy).action_values, problem), error, policy

    return jax.vmap(one)(cases.problem, cases.weights, cases.known, values, keys)


def _nested_norm(values: StateValues, w: PerPlayer) -> Scalar:
    return jnp.sqrt(jnp.sum(w * jnp.max(jnp.abs(values), axis=1) ** 2))


@quick_jit
def _uphill(cases: markov.NestedCases, values: Array, policies: Array) -> Array:
    return jax.vmap(_steepest)(cases.problem, cases.weights, values, policies)


def _nesting(family: str, cases: markov.NestedCases, factor: np.ndarray, rng: np.random.Generator) -> Comparison:
    """Claim (e) at two pairs of values: anywhere in the box, and near a corner of it in the steepest direction."""
    half = 0.5 * np.broadcast_to(np.asarray(cases.width)[..., None], cases.problem.tau.shape)
    keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), len(half))
    corner = (1 - 2 * _CLOSE) * half * rng.choice([-1.0, 1.0], half.shape)
    at_corner = _nested_image(cases, corner, keys)
    uphill = np.asarray(_uphill(cases, corner, at_corner[2]))
    close = corner + _CLOSE * uphill / np.max(np.abs(uphill) / half, axis=(-2, -1), keepdims=True)
    ends = half * rng.uniform(-1, 1, (2, *half.shape))
    norm = jax.vmap(_nested_norm)
    sides = []
    for first, now, second in ((corner, at_corner, close), (ends[0], _nested_image(cases, ends[0], keys), ends[1])):
        then = _nested_image(cases, second, keys)
        moved = norm(now[0] - then[0], cases.weights), factor * norm(first - second, cases.weights)
        sides.append([np.asarray(part) for part in (*moved, now[1] + then[1])])
    measured = (np.stack(part, axis=1) for part in zip(*sides, strict=True))
    return Comparison(NESTED, family, *measured, problems=cases.problem)


def _shapley(family: str, problem: hq.Problem, rng: np.random.Generator) -> Comparison:
    num = len(problem.tau)
    keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), num)
    noise = jnp.asarray(rng.uniform(-1, 1, (num, 2, problem.game.transitions.shape[-1])))
    sides = _measure_shapley(problem, noise, keys)
    return Comparison(SHAPLEY, family, *(np.asarray(part) for part in sides), problems=problem)
