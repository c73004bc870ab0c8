"""Pairs of points of a Markov game, near and far, and what value iteration does to their distance: for T4."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import hqre_jax as hq
from hqre_jax.core._simplex import probabilities
from hqre_jax.core._types import ActionValues, LogPolicy, PerPlayer, Scalar, StateValues
from hqre_jax.equilibrium._residual import soft_values
from proofs_check import _accuracy as accuracy

_NUM_STRETCHED, _NUM_FAR = 2, 2
_ASCENT_STEPS, _FIRST_LENGTH, _SHORTENING = 24, 0.5, 0.85
# Distance of stretched pairs beside temperature and box; logits of actions that a two-action start leaves out.
_REACH, _OUT = 1e-3, -6.0
# Size of the logits of far pairs.
_FAR = 5.0
# Distance of close pairs of values beside the box; how much noise there is in a nearly constant difference.
_CLOSE, _NEARLY = 1e-3, 0.05
# After how many soft Q-iterations the policies are confronted with their exact values.
_ITERATIONS = (3, 12)

# Differences and points are tuples of arrays (player, …); images too.
Point = tuple[Array, ...]
Image = Callable[[Point], Point]


def _column(per_player: PerPlayer, like: Array) -> Array:
    return per_player.reshape(-1, *(1,) * (like.ndim - 1))


def _size(point: Point, v: PerPlayer) -> Scalar:
    """``max_i ‖·_i‖_∞ / v_i``."""
    return jnp.max(jnp.stack([jnp.max(jnp.abs(part) / _column(v, part)) for part in point]))


def _policy_of(problem: hq.Problem, z: ActionValues) -> LogPolicy:
    """``π ∝ ρ exp(z/τ)``."""
    return problem.log_policy(z / problem.tau[..., None] + problem.log_reference)


def _backup(problem: hq.Problem, log_policy: LogPolicy, values: StateValues) -> ActionValues:
    """``Q(V, π)``."""
    game = problem.game
    targets = game.gather(game.at_worlds(values))
    return game.evaluate(log_policy, jnp.zeros_like(problem.tau), "soft", targets=targets).action_values


def soft_iteration(problem: hq.Problem, point: Point) -> Point:
    (q,) = point
    return (_backup(problem, _policy_of(problem, q), soft_values(q, problem)),)


def plain_iteration(problem: hq.Problem, point: Point) -> Point:
    """Q-iteration without entropies: each agent is worth what its policy earns."""
    (q,) = point
    log_policy = _policy_of(problem, q)
    return (_backup(problem, log_policy, jnp.sum(probabilities(log_policy, problem.mask) * q, axis=-1)),)


def _coupled(problem: hq.Problem, alpha: StateValues, point: Point, on_policy: bool) -> Point:
    """One coupled update; ``on_policy`` backs up what π(z) is worth instead of the soft value."""
    z, values = point
    log_policy = _policy_of(problem, z)
    q = _backup(problem, log_policy, values)
    worth = soft_values(q, problem)
    if on_policy:
        worth = jnp.sum(probabilities(log_policy, problem.mask) * q, axis=-1) + problem.bonus(log_policy)
    return z + alpha[..., None] * (q - z), values + alpha * (worth - values)


def _backup_rounding(problem: hq.Problem, point: Point) -> PerPlayer:
    """Largest rounding error of an image, per player, units of payoff.

    Q is a sum of at most m terms, m the number of a player's payoffs and of the kernel's entries, each at most
    ``max|r_i| + γ max|V_i|``, with weights that are products of N − 1 probabilities whose relative errors are a few
    eps times the logits; soft values err by a few eps of theirs.
    """
    game = problem.game
    payoffs, players = game.world_payoffs(), game.num_players
    highest = jnp.max(jnp.abs(payoffs).reshape(players, -1), axis=1)
    largest = jnp.stack([jnp.max(jnp.abs(part).reshape(players, -1), axis=1) for part in point]).max(axis=0)
    logits = jnp.max(jnp.abs(point[0] / problem.tau[..., None])) + jnp.max(jnp.abs(problem.log_reference))
    terms = payoffs.size / players + game.world_transitions().size + 16 + 8 * players * (1 + logits)
    tau = jnp.max(jnp.where(accuracy.used(problem) > 0, problem.tau, 0.0), axis=1)
    return accuracy.EPS * (terms * (highest + largest) + 8 * tau * (1 + logits))


def _images_apart(image: Image, pair: Point) -> Point:
    """Difference of the images of a pair, whose arrays have a leading axis of two."""
    return tuple(part[0] - part[1] for part in jax.vmap(image)(pair))


def compare(problem: hq.Problem, image: Image, v: PerPlayer, factor: Scalar, excess: Scalar, pair: Point):
    """Distance of two images, ``factor`` times that of the points, and what rounding of images and of v may add."""
    before = _size(tuple(part[0] - part[1] for part in pair), v)
    errors = jax.vmap(lambda point: _backup_rounding(problem, point))(pair)
    slack = jnp.max(jnp.sum(errors, axis=0) / v) + excess * before
    return _size(_images_apart(image, pair), v), factor * before, slack


def _stretched(
    image: Image,
    v: PerPlayer,
    box: tuple[tuple[Array, Array], ...],
    scales: Point,
    reach: Scalar,
    start: Point,
    signs: Point,
) -> Point:
    """A pair ``p ± reach·d`` with ``|d_i| ≤ v_i``, d the worst signs and p climbing towards where they stretch most.

    p stays within ``box``, the lower and the upper ends of each part.
    """

    def pair(p: Point, d: Point) -> Point:
        return tuple(jnp.stack([x + reach * y, x - reach * y]) for x, y in zip(p, d, strict=True))

    def spread(p: Point, d: Point) -> Scalar:
        return _size(_images_apart(image, pair(p, d)), v)

    def climb(state, length):
        p, d = state
        uphill, outwards = jax.grad(spread, argnums=(0, 1))(p, d)
        moved = []
        for part, slope, scale, ends in zip(p, uphill, scales, box, strict=True):
            top = jnp.abs(slope) if slope.ndim == 2 else jnp.max(jnp.abs(slope), axis=-1, keepdims=True)
            moved.append(jnp.clip(part + length * scale * slope / jnp.maximum(top, 1e-300), *ends))
        return (tuple(moved), tuple(_column(v, part) * jnp.sign(part) for part in outwards)), None

    start = tuple(jnp.clip(part, *ends) for part, ends in zip(start, box, strict=True))
    signs = tuple(_column(v, part) * part for part in signs)
    lengths = _FIRST_LENGTH * _SHORTENING ** jnp.arange(_ASCENT_STEPS, dtype=v.dtype)
    (p, d), _ = jax.lax.scan(climb, (start, signs), lengths)
    return pair(p, d)


class Noise(NamedTuple):
    """Uniform in [−1, 1], drawn outside compiled programs, which random numbers would make slow to compile.

    Attributes:
        near: ``(pair, role, player, state, action)`` for the starts of stretched pairs.
        far: ``(pair, end, role, player, state, action)``.
        first: ``(player, state, action)``, where soft Q-iteration begins.
    """

    near: Array
    far: Array
    first: Array


def _noise(rng: np.random.Generator, num: int, *shape: int) -> Noise:
    sizes = (num, _NUM_STRETCHED, 4, *shape), (num, _NUM_FAR, 2, 2, *shape), (num, *shape)
    return Noise(*(jnp.asarray(rng.uniform(-1, 1, size)) for size in sizes))


def _two_actions(mask: Array, noise: Array) -> Array:
    """0 at two random actions of each information state, far below at the others."""
    noise = jnp.where(mask, noise, -2.0)
    rank = jnp.sum(noise[..., None, :] > noise[..., None], axis=-1)
    return jnp.where(rank < 2, 0.0, _OUT)


class _Draw(NamedTuple):
    """What every comparison of one game starts from: an infinitesimal reach, boxes that leave room for it."""

    reach: Scalar
    half: StateValues
    scale: ActionValues


def _draw(problem: hq.Problem, v: PerPlayer, width: PerPlayer) -> _Draw:
    least = jnp.min(jnp.where(accuracy.used(problem) > 0, problem.tau, jnp.inf), axis=1)
    reach = _REACH * jnp.min(jnp.minimum(least, width) / v)
    half = jnp.broadcast_to((0.5 * width - reach * v)[:, None], problem.tau.shape)
    return _Draw(reach, half, jnp.broadcast_to(problem.tau[..., None], problem.mask.shape))


def _soft_pairs(problem: hq.Problem, v: PerPlayer, width: PerPlayer, factor: Scalar, excess: Scalar, noise: Noise):
    """Claim (a) at stretched and at far pairs of Q in the box."""
    mask = problem.mask
    reach, half, scale = _draw(problem, v, width)
    box = jnp.broadcast_to(half[..., None], mask.shape)

    def image(point: Point) -> Point:
        return soft_iteration(problem, point)

    def near(noise):
        level = half * jnp.sign(noise[2, ..., 0])
        corner = scale * (_two_actions(mask, noise[0]) - problem.log_reference)
        start = jnp.where(mask, level[..., None] + corner, 0.0)
        signs = jnp.where(mask, jnp.sign(noise[1]), 0.0)
        return _stretched(image, v, ((-box, box),), (scale,), reach, (start,), (signs,))

    def far(noise):
        return (jnp.where(mask, box * noise[0], 0.0),)

    pairs = _joined(jax.vmap(near)(noise.near), jax.vmap(jax.vmap(far))(noise.far))
    return jax.vmap(lambda pair: compare(problem, image, v, factor, excess, pair))(pairs)


def _plain_pairs(
    problem: hq.Problem,
    v: PerPlayer,
    width: PerPlayer,
    swing: PerPlayer,
    factor: Scalar,
    excess: Scalar,
    noise: Noise,
):
    """Claim (f) at stretched and at far pairs of Q in the box whose rows have spans of at most the own swing."""
    mask = problem.mask
    least = jnp.min(jnp.where(accuracy.used(problem) > 0, problem.tau, jnp.inf), axis=1)
    reach = _REACH * jnp.min(jnp.minimum(least, swing) / v)
    scale = jnp.broadcast_to(problem.tau[..., None], mask.shape)
    half = 0.5 * swing[:, None] - (reach * v)[:, None] * jnp.ones_like(problem.tau)
    room = 0.5 * (width - swing)[:, None]

    def image(point: Point) -> Point:
        return plain_iteration(problem, point)

    def near(noise):
        level = (room * jnp.sign(noise[2, ..., 0]))[..., None] * jnp.ones_like(scale)
        corner = _two_actions(mask, noise[0])
        start, kept = scale * (corner - problem.log_reference), (corner == 0).astype(scale.dtype)
        middle = jnp.sum(kept * start, axis=-1, keepdims=True) / jnp.maximum(jnp.sum(kept, axis=-1, keepdims=True), 1)
        start = level + start - middle
        signs = jnp.where(mask, jnp.sign(noise[1]), 0.0)
        box = level - half[..., None], level + half[..., None]
        return _stretched(image, v, (box,), (scale,), reach, (start,), (signs,))

    def far(noise):
        return (jnp.where(mask, room[..., None] * noise[1, ..., :1] + half[..., None] * noise[0], 0.0),)

    pairs = _joined(jax.vmap(near)(noise.near), jax.vmap(jax.vmap(far))(noise.far))
    return jax.vmap(lambda pair: compare(problem, image, v, factor, excess, pair))(pairs)


def _coupled_pairs(
    problem: hq.Problem,
    v: PerPlayer,
    width: PerPlayer,
    factor: Scalar,
    excess: Scalar,
    alpha: StateValues,
    on_policy: bool,
    noise: Noise,
):
    """Claim (b) at stretched and at far pairs (z, V), V in the box."""
    mask = problem.mask
    reach, half, scale = _draw(problem, v, width)
    bound = 1 - jnp.min(jnp.where(accuracy.used(problem) > 0, alpha, 1.0)) * (1 - factor)
    anywhere = jnp.full_like(scale, jnp.inf)
    box, scales = ((-anywhere, anywhere), (-half, half)), (scale, half)

    def image(point: Point) -> Point:
        return _coupled(problem, alpha, point, on_policy)

    def near(noise):
        corner = scale * (_two_actions(mask, noise[0]) - problem.log_reference)
        start = jnp.where(mask, corner, 0.0), half * jnp.sign(noise[2, ..., 0])
        signs = jnp.where(mask, jnp.sign(noise[1]), 0.0), jnp.sign(noise[3, ..., 0])
        return _stretched(image, v, box, scales, reach, start, signs)

    def far(noise):
        return jnp.where(mask, _FAR * scale * noise[0], 0.0), half * noise[1, ..., 0]

    pairs = _joined(jax.vmap(near)(noise.near), jax.vmap(jax.vmap(far))(noise.far))
    return jax.vmap(lambda pair: compare(problem, image, v, bound, excess, pair))(pairs)


def _joined(close: Point, apart: Point) -> Point:
    """Stretched pairs, then far ones."""
    return tuple(map(lambda *parts: jnp.concatenate(parts), close, apart))


def _exact_residuals(problem: hq.Problem, noise: Array):
    """Claim (c) per player after a few and after more soft Q-iterations: observed, bound, slack."""
    mask, gamma = problem.mask, problem.game.discount_factor()
    used = accuracy.used(problem)

    def iterate(q, count):
        q = jax.lax.fori_loop(0, count, lambda _, q: soft_iteration(problem, (q,))[0], q)
        log_policy = _policy_of(problem, q)
        off = jnp.max(jnp.abs(soft_iteration(problem, (q,))[0] - q))
        answer = problem.log_policy(problem.response_logits(log_policy))
        gap = jnp.abs(probabilities(log_policy, mask) - probabilities(answer, mask))
        # Values of π: one linear solve, LU's backward error being below 16 n² eps times the largest value.
        size = problem.game.world_transitions().shape[-1]
        image = jnp.max(_backup_rounding(problem, (q,)))
        solve = 16 * size**2 * accuracy.EPS * (1 + gamma) / (1 - gamma) * jnp.max(jnp.abs(q)) / (1 - gamma)
        steepness = used / (2 * problem.tau)
        slack = steepness * ((image / (1 - gamma)) + image + solve) + 16 * accuracy.EPS
        return q, (jnp.max(gap, axis=-1), steepness * off / (1 - gamma), slack)

    q = jnp.where(mask, noise * _column(0.5 * problem.game.payoff_range() / (1 - gamma), noise), 0.0)
    _, sides = jax.lax.scan(iterate, q, jnp.asarray(_ITERATIONS))
    return sides
