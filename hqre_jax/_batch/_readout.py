"""What is said of lanes whose equilibria are known: policies, values, residuals, and a first certificate."""

import functools
import itertools
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hqre_jax._batch._interleaved import (
    Interleaved,
    Odds,
    apart,
    average,
    gains,
    largest,
    log_softmax,
    policies,
    softmax,
    total,
)
from hqre_jax._game import Continuation, share
from hqre_jax._problem import Entropy

# Power iterations before a bound on a spectral radius is read off.
_POWERS = 6


class Readout(NamedTuple):
    """Policies ``(lane, player, action)``, their logarithms, values ``(lane, player)`` and residuals ``(lane,)``."""

    policy: Float[Array, "lane player action"]
    log_policy: Float[Array, "lane player action"]
    values: Float[Array, "lane player"]
    residual: Float[Array, " lane"]


def read_out(
    games: Interleaved,
    odds: Odds,
    mask: Bool[Array, "lane player action"] | None,
    entropy: Entropy,
    continuation: Continuation,
) -> Readout:
    """Evaluate the games at log-odds.

    Args:
        games: The games.
        odds: The log-odds that were found.
        mask: Valid actions, or None where all are.
        entropy: "kl" or "shannon": the values depend on it,
        continuation: and on who is paid it.

    Returns:
        The `Readout`; the residual is that of exactly this policy.
    """
    go = jnp.ones((), bool) | jnp.any(games.tau[0] > 0)
    pi, logs = apart(go, lambda z: ([softmax(x) for x in z], [log_softmax(x) for x in z]), odds)
    gain = apart(go, lambda p: gains(games, p), pi)
    response = policies(tuple(r + g for r, g in zip(games.reference, gain, strict=True)))
    residual = jnp.zeros_like(pi[0][0])
    worth, bonus = [], []
    for i, (p, q, log_p) in enumerate(zip(pi, response, logs, strict=True)):
        residual = largest(jnp.abs(p - q), residual)
        # KL(π‖ρ); terms of absent actions are 0 times a finite number.
        log_ratio = log_p - log_softmax(games.reference[i])
        rent = jnp.log(1.0 + total(jnp.exp(games.reference[i]))) if entropy == "shannon" else 0.0
        bonus.append(games.tau[i] * (rent - total(p * log_ratio)))
        others = [pi[j] for j in range(len(pi)) if j != i]
        worth.append(average(games.floor[i][None], others)[0] + games.tau[i] * total(p[1:] * gain[i]))
    values = jnp.stack(worth) + share(jnp.stack(bonus), continuation)
    most = max(p.shape[0] for p in pi)
    policy, log_policy = (jnp.stack([_lengthened(x, most) for x in parts]).transpose(2, 0, 1) for parts in (pi, logs))
    if mask is not None:
        log_policy = jnp.where(mask, log_policy, 0.0)
    return Readout(policy, log_policy, values.T, residual)


def contracts(games: Interleaved) -> Bool[Array, " lane"]:
    """Whether the logit map is a contraction, ``spr(T⁻¹Λ) < 1``, by a bound on the spectral radius (T1).

    For every positive x, ``spr(M) ≤ max_i (Mx)_i/x_i`` (Collatz and Wielandt).
    """
    players = range(len(games.advantage))
    matrix = {(i, j): _interaction(games.advantage[i], i, j) for i in players for j in players if i != j}
    slack = 1 + 64 * len(players) * float(jnp.finfo(games.tau.dtype).eps)
    if len(players) == 2:
        return matrix[0, 1] * matrix[1, 0] * slack**2 < 1
    x = jnp.ones_like(games.tau)
    for _ in range(_POWERS):
        image = jnp.stack(
            [functools.reduce(jnp.add, (matrix[i, j] * x[j] for j in players if j != i)) for i in players]
        )
        bound = largest(image / x, 0.0)
        x = x + image
    return jnp.less(bound * slack, 1)


def _interaction(advantage: Float[Array, "own *others lane"], player: int, other: int) -> Float[Array, " lane"]:
    """``Λ_ij/τ_i = ¼ max dd(u_i)/τ_i``, between a player's actions and those of one other."""
    axis = other if other > player else other + 1
    spread = jnp.zeros(advantage.shape[-1:], advantage.dtype)
    rows = [advantage[a] for a in range(advantage.shape[0])]
    pairs = [*rows, *(b - a for a, b in itertools.combinations(rows, 2))]
    for difference in pairs:
        by_action = [jnp.take(difference, k, axis=axis - 1) for k in range(difference.shape[axis - 1])]
        high, low = by_action[0], by_action[0]
        for x in by_action[1:]:
            high, low = jnp.maximum(high, x), jnp.minimum(low, x)
        width = (high - low).reshape(-1, advantage.shape[-1])
        spread = jnp.maximum(spread, largest(width, 0.0))
    return 0.25 * spread


def _lengthened(x: Float[Array, "action lane"], most: int) -> Float[Array, "most lane"]:
    return jnp.pad(x, ((0, most - x.shape[0]), (0, 0)))
