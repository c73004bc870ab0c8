"""T4: in Markov games soft Q-iteration, its mirror form and two-level schemes contract, with known factors."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from hqre_jax.core._simplex import probabilities
from hqre_jax.core._types import StateValues
from proofs_check.comparison import Sides
from proofs_check.numerics import accuracy
from proofs_check.t4_markov.games import CertifiedMarkov
from proofs_check.t4_markov.pairs import (
    REACH,
    Noise,
    Point,
    backup_rounding,
    column,
    compare,
    coupled_iteration,
    joined,
    plain_iteration,
    policy_of,
    room_of,
    soft_iteration,
    stretched,
    two_actions,
)

SOFT = "(a) soft Q-iteration: q"
COUPLED = "(b) coupled update: 1−α(1−q)"
FIXED_POINT = "(c) residual ≤ e/2τ(1−γ)"
PLAIN = "(f) plain Q-iteration: spr(γ diag c + B/τ)"

# Size of the logits of far pairs.
_FAR = 5.0
# After how many soft Q-iterations the policies are confronted with their exact values.
_ITERATIONS = (3, 12)


def soft_pairs(case: CertifiedMarkov, noise: Noise) -> Sides:
    """(a): ``‖TQ − TQ'‖ ≤ q ‖Q − Q'‖`` for soft Q-iteration T, at stretched and at far pairs of Q in the box."""
    problem, v, mask = case.problem, case.weights, case.problem.mask
    reach, half, scale = room_of(problem, v, case.width)
    box = jnp.broadcast_to(half[..., None], mask.shape)

    def image(point: Point) -> Point:
        return soft_iteration(problem, point)

    def near(noise):
        level = half * jnp.sign(noise[2, ..., 0])
        corner = scale * (two_actions(mask, noise[0]) - problem.log_reference)
        start = jnp.where(mask, level[..., None] + corner, 0.0)
        signs = jnp.where(mask, jnp.sign(noise[1]), 0.0)
        return stretched(image, v, ((-box, box),), (scale,), reach, (start,), (signs,))

    def far(noise):
        return (jnp.where(mask, box * noise[0], 0.0),)

    pairs = joined(jax.vmap(near)(noise.near), jax.vmap(jax.vmap(far))(noise.far))
    return jax.vmap(lambda pair: compare(problem, image, v, case.factor, case.excess, pair))(pairs)


def plain_pairs(case: CertifiedMarkov, noise: Noise) -> Sides:
    """(f): as (a) for plain Q-iteration, where spans of rows are at most the own swing ``S_i``."""
    problem, v, mask, width, swing = case.problem, case.weights, case.problem.mask, case.width, case.swing
    least = jnp.min(jnp.where(accuracy.used(problem) > 0, problem.tau, jnp.inf), axis=1)
    reach = REACH * jnp.min(jnp.minimum(least, swing) / v)
    scale = jnp.broadcast_to(problem.tau[..., None], mask.shape)
    half = 0.5 * swing[:, None] - (reach * v)[:, None] * jnp.ones_like(problem.tau)
    room = 0.5 * (width - swing)[:, None]

    def image(point: Point) -> Point:
        return plain_iteration(problem, point)

    def near(noise):
        level = (room * jnp.sign(noise[2, ..., 0]))[..., None] * jnp.ones_like(scale)
        corner = two_actions(mask, noise[0])
        start, kept = scale * (corner - problem.log_reference), (corner == 0).astype(scale.dtype)
        middle = jnp.sum(kept * start, axis=-1, keepdims=True) / jnp.maximum(jnp.sum(kept, axis=-1, keepdims=True), 1)
        start = level + start - middle
        signs = jnp.where(mask, jnp.sign(noise[1]), 0.0)
        box = level - half[..., None], level + half[..., None]
        return stretched(image, v, (box,), (scale,), reach, (start,), (signs,))

    def far(noise):
        return (jnp.where(mask, room[..., None] * noise[1, ..., :1] + half[..., None] * noise[0], 0.0),)

    pairs = joined(jax.vmap(near)(noise.near), jax.vmap(jax.vmap(far))(noise.far))
    return jax.vmap(lambda pair: compare(problem, image, v, case.factor, case.excess, pair))(pairs)


def coupled_pairs(case: CertifiedMarkov, alpha: StateValues, noise: Noise, on_policy: bool = False) -> Sides:
    """(b): as (a) for the coupled update with constant ``1 − α(1−q)``, at pairs (z, V), V in the box.

    Args:
        case: The game, with q.
        alpha: α of each information state.
        noise: Where the pairs begin.
        on_policy: Back up what π(z) is worth instead of the soft value: a negative control.

    Returns:
        Both sides at every pair.
    """
    problem, v, mask = case.problem, case.weights, case.problem.mask
    reach, half, scale = room_of(problem, v, case.width)
    bound = 1 - jnp.min(jnp.where(accuracy.used(problem) > 0, alpha, 1.0)) * (1 - case.factor)
    anywhere = jnp.full_like(scale, jnp.inf)
    box, scales = ((-anywhere, anywhere), (-half, half)), (scale, half)

    def image(point: Point) -> Point:
        return coupled_iteration(problem, alpha, point, on_policy)

    def near(noise):
        corner = scale * (two_actions(mask, noise[0]) - problem.log_reference)
        start = jnp.where(mask, corner, 0.0), half * jnp.sign(noise[2, ..., 0])
        signs = jnp.where(mask, jnp.sign(noise[1]), 0.0), jnp.sign(noise[3, ..., 0])
        return stretched(image, v, box, scales, reach, start, signs)

    def far(noise):
        return jnp.where(mask, _FAR * scale * noise[0], 0.0), half * noise[1, ..., 0]

    pairs = joined(jax.vmap(near)(noise.near), jax.vmap(jax.vmap(far))(noise.far))
    return jax.vmap(lambda pair: compare(problem, image, v, bound, case.excess, pair))(pairs)


def exact_residuals(case: CertifiedMarkov, noise: Array) -> Sides:
    """(c): ``max_a|π − softmax(Q^π/τ + log ρ)| ≤ e/2τ(1−γ)`` per information state, after few and more iterations."""
    problem, mask, gamma = case.problem, case.problem.mask, case.problem.game.discount_factor()
    used = accuracy.used(problem)

    def iterate(q, count):
        q = jax.lax.fori_loop(0, count, lambda _, q: soft_iteration(problem, (q,))[0], q)
        log_policy = policy_of(problem, q)
        off = jnp.max(jnp.abs(soft_iteration(problem, (q,))[0] - q))
        answer = problem.log_policy(problem.response_logits(log_policy))
        gap = jnp.abs(probabilities(log_policy, mask) - probabilities(answer, mask))
        # Values of π: one linear solve, LU's backward error being below 16 n² eps times the largest value.
        size = problem.game.world_transitions().shape[-1]
        image = jnp.max(backup_rounding(problem, (q,)))
        solve = 16 * size**2 * accuracy.EPS * (1 + gamma) / (1 - gamma) * jnp.max(jnp.abs(q)) / (1 - gamma)
        steepness = used / (2 * problem.tau)
        slack = steepness * ((image / (1 - gamma)) + image + solve) + 16 * accuracy.EPS
        return q, (jnp.max(gap, axis=-1), steepness * off / (1 - gamma), slack)

    q = jnp.where(mask, noise * column(0.5 * problem.game.payoff_range() / (1 - gamma), noise), 0.0)
    _, sides = jax.lax.scan(iterate, q, jnp.asarray(_ITERATIONS))
    return Sides(*sides)
