"""How far a change of log-odds moves policies, lane by lane."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.solvers.batch._interleaved import LogOdds, Policies, largest, total

PerLane = Float[Array, " lane"]


def cube_root(x: PerLane) -> PerLane:
    """Of a number in [0, 1], to a few percent: from square roots, of which processors take several at once."""
    # x^(1/4 + 1/16 + 1/64)
    fourth = jnp.sqrt(jnp.sqrt(x))
    sixteenth = jnp.sqrt(jnp.sqrt(fourth))
    return fourth * sixteenth * jnp.sqrt(jnp.sqrt(sixteenth))


def dot(x: LogOdds, y: LogOdds) -> PerLane:
    return total(jnp.stack([total(a * b) for a, b in zip(x, y, strict=True)]))


def largest_change(pi: Policies, change: LogOdds) -> PerLane:
    """Largest change of a probability, to first order, when log-odds change."""
    most = jnp.zeros_like(pi[0][0])
    for p, d in zip(pi, change, strict=True):
        weighted = p[1:] * d
        mean = total(weighted)
        most = jnp.maximum(most, largest(jnp.abs(weighted - p[1:] * mean), 0.0))
        most = jnp.maximum(most, jnp.abs(p[0] * mean))
    return most


def largest_log_odds_change(pi: Policies, change: LogOdds) -> PerLane:
    """Largest change of log-odds, actions that are hardly played left out."""
    most = jnp.zeros_like(pi[0][0])
    for p, d in zip(pi, change, strict=True):
        most = jnp.maximum(most, largest(jnp.where(p[1:] > 1e-6, jnp.abs(d), 0.0), 0.0))
    return most
