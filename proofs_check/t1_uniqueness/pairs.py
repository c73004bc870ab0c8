"""Pairs of policies whose interaction comes close to what a margin leaves to it: where T1 is looked at."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from hqre_jax.core._simplex import log_softmax
from hqre_jax.core._types import LogPolicy, Scalar
from proofs_check.comparison import Sides

NUM_PAIRS = 8
_ASCENT_STEPS, _FIRST_LENGTH, _SHORTENING = 30, 0.5, 0.9
# How far apart the two policies of a pair are, in logits: nearly infinitesimal, and plainly not.
_REACHES = (0.05, 2.0)
# Logits of actions that a two-action start leaves out.
_OUT = -5.0


def adversarial_pairs(
    sides: Callable[[LogPolicy, LogPolicy], Sides], mask: Array, key: Any
) -> tuple[LogPolicy, LogPolicy]:
    """Log-policies that gradient ascent on observed/bound finds.

    Args:
        sides: Both sides of a claim about two policies.
        mask: Valid actions.
        key: Typed key of the starts.

    Returns:
        The two policies of each pair, leading axis (pair).
    """

    def pair(z: Array, direction: Array, reach: Scalar) -> tuple[LogPolicy, LogPolicy]:
        direction = reach * direction / jnp.maximum(jnp.max(jnp.abs(direction)), 1e-3)
        return log_softmax(z, mask), log_softmax(z + direction, mask)

    def ratio(z: Array, direction: Array, reach: Scalar) -> Scalar:
        observed, bound, *_ = sides(*pair(z, direction, reach))
        return observed / jnp.maximum(bound, 1e-300)

    def ascend(z: Array, direction: Array, reach: Scalar) -> tuple[LogPolicy, LogPolicy]:
        def step(point, length):
            gradients = jax.grad(ratio, argnums=(0, 1))(*point, reach)
            units = [g / jnp.maximum(jnp.max(jnp.abs(g)), 1e-300) for g in gradients]
            return (point[0] + length * units[0], point[1] + length * units[1]), None

        lengths = _FIRST_LENGTH * _SHORTENING ** jnp.arange(_ASCENT_STEPS, dtype=z.dtype)
        (z, direction), _ = jax.lax.scan(step, (z, direction), lengths)
        return pair(z, direction, reach)

    def start(key: Any, two_actions: Array) -> tuple[Array, Array]:
        noise = jax.random.normal(key, (2, *mask.shape))
        # The interaction is largest between policies on two actions: the two of largest noise.
        rank = jnp.sum(jnp.where(mask, noise[0], -jnp.inf)[..., None, :] > noise[0][..., None], axis=-1)
        corner = jnp.where(rank < 2, 0.0, _OUT)
        across = jnp.where(rank == 0, 1.0, jnp.where(rank == 1, -1.0, 0.0)) * jnp.sign(noise[1, ..., :1])
        z = jnp.where(two_actions, corner, 1.5 * noise[0])
        return jnp.where(mask, z, 0.0), jnp.where(mask, jnp.where(two_actions, across, noise[1]), 0.0)

    lane = jnp.arange(NUM_PAIRS)
    z, direction = jax.vmap(start)(jax.random.split(key, NUM_PAIRS), lane % 2 == 0)
    return jax.vmap(ascend)(z, direction, jnp.asarray(_REACHES)[(lane // 2) % 2])
