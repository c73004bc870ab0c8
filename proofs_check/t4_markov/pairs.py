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
from proofs_check.comparison import Sides
from proofs_check.numerics import accuracy
from proofs_check.numerics.compiled import largest

_NUM_STRETCHED, _NUM_FAR = 2, 2
_ASCENT_STEPS, _FIRST_LENGTH, _SHORTENING = 24, 0.5, 0.85
# Distance of stretched pairs beside temperature and box; logits of actions that a two-action start leaves out.
REACH, _OUT = 1e-3, -6.0
# Distance of close pairs of values beside the box; how much noise there is in a nearly constant difference.
CLOSE, NEARLY = 1e-3, 0.05

# Differences and points are tuples of arrays (player, …); images too.
Point = tuple[Array, ...]
Image = Callable[[Point], Point]


def column(per_player: PerPlayer, like: Array) -> Array:
    """One number per player, to be broadcast over the other axes of an array."""
    return per_player.reshape(-1, *(1,) * (like.ndim - 1))


def weighted_size(point: Point, v: PerPlayer) -> Scalar:
    """``max_i ‖·_i‖_∞ / v_i``."""
    return largest(jnp.concatenate([(jnp.abs(part) / column(v, part)).ravel() for part in point]))


def policy_of(problem: hq.Problem, z: ActionValues) -> LogPolicy:
    """``π ∝ ρ exp(z/τ)``."""
    return problem.log_policy(z / problem.tau[..., None] + problem.log_reference)


@jax.jit
def backup(problem: hq.Problem, log_policy: LogPolicy, values: StateValues) -> ActionValues:
    """``Q(V, π)``."""
    game = problem.game
    targets = game.gather(game.at_worlds(values))
    return game.evaluate(log_policy, jnp.zeros_like(problem.tau), "soft", targets=targets).action_values


def soft_iteration(problem: hq.Problem, point: Point) -> Point:
    """``Q(ℓ(Q), π(Q))``."""
    (q,) = point
    return (backup(problem, policy_of(problem, q), soft_values(q, problem)),)


def plain_iteration(problem: hq.Problem, point: Point) -> Point:
    """Q-iteration without entropies: each agent is worth what its policy earns."""
    (q,) = point
    log_policy = policy_of(problem, q)
    return (backup(problem, log_policy, jnp.sum(probabilities(log_policy, problem.mask) * q, axis=-1)),)


def coupled_iteration(problem: hq.Problem, alpha: StateValues, point: Point, on_policy: bool) -> Point:
    """One coupled update; ``on_policy`` backs up what π(z) is worth instead of the soft value."""
    z, values = point
    log_policy = policy_of(problem, z)
    q = backup(problem, log_policy, values)
    worth = soft_values(q, problem)
    if on_policy:
        worth = jnp.sum(probabilities(log_policy, problem.mask) * q, axis=-1) + problem.bonus(log_policy)
    return z + alpha[..., None] * (q - z), values + alpha * (worth - values)


def backup_rounding(problem: hq.Problem, point: Point) -> PerPlayer:
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


def compare(problem: hq.Problem, image: Image, v: PerPlayer, factor: Scalar, excess: Scalar, pair: Point) -> Sides:
    """Distance of two images, ``factor`` times that of the points, and what rounding of images and of v may add."""
    before = weighted_size(tuple(part[0] - part[1] for part in pair), v)
    errors = jax.vmap(lambda point: backup_rounding(problem, point))(pair)
    slack = jnp.max(jnp.sum(errors, axis=0) / v) + excess * before
    return Sides(weighted_size(_images_apart(image, pair), v), factor * before, slack)


def stretched(
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
        return weighted_size(_images_apart(image, pair(p, d)), v)

    def climb(state, length):
        p, d = state
        uphill, outwards = jax.grad(spread, argnums=(0, 1))(p, d)
        moved = []
        for part, slope, scale, ends in zip(p, uphill, scales, box, strict=True):
            top = jnp.abs(slope) if slope.ndim == 2 else jnp.max(jnp.abs(slope), axis=-1, keepdims=True)
            moved.append(jnp.clip(part + length * scale * slope / jnp.maximum(top, 1e-300), *ends))
        return (tuple(moved), tuple(column(v, part) * jnp.sign(part) for part in outwards)), None

    start = tuple(jnp.clip(part, *ends) for part, ends in zip(start, box, strict=True))
    signs = tuple(column(v, part) * part for part in signs)
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


def draw_noise(rng: np.random.Generator, num: int, *shape: int) -> Noise:
    """Noise for every game of a batch."""
    sizes = (num, _NUM_STRETCHED, 4, *shape), (num, _NUM_FAR, 2, 2, *shape), (num, *shape)
    return Noise(*(rng.uniform(-1, 1, size) for size in sizes))


def two_actions(mask: Array, noise: Array) -> Array:
    """0 at two random actions of each information state, far below at the others."""
    noise = jnp.where(mask, noise, -2.0)
    rank = jnp.sum(noise[..., None, :] > noise[..., None], axis=-1)
    return jnp.where(rank < 2, 0.0, _OUT)


class Room(NamedTuple):
    """What every comparison of one game starts from: an infinitesimal reach, boxes that leave room for it, scales."""

    reach: Scalar
    half: StateValues
    scale: ActionValues


def room_of(problem: hq.Problem, v: PerPlayer, width: PerPlayer) -> Room:
    """The room of one game: v of T4's norm, widths of the boxes of values."""
    least = jnp.min(jnp.where(accuracy.used(problem) > 0, problem.tau, jnp.inf), axis=1)
    reach = REACH * jnp.min(jnp.minimum(least, width) / v)
    half = jnp.broadcast_to((0.5 * width - reach * v)[:, None], problem.tau.shape)
    return Room(reach, half, jnp.broadcast_to(problem.tau[..., None], problem.mask.shape))


def joined(close: Point, apart: Point) -> Point:
    """Stretched pairs, then far ones."""
    return tuple(map(lambda *parts: jnp.concatenate(parts), close, apart))
