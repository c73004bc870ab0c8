"""What is said of lanes whose equilibria are known: policies, values, residuals, and a first certificate."""

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
    total,
)
from hqre_jax._game import Continuation, share
from hqre_jax._problem import Entropy


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
    pi, logs = apart(go, lambda z: (policies(z), tuple(log_softmax(x) for x in z)), odds)
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
    """Whether the logit map of a two-player game is a contraction, ``Λ_12 Λ_21 < τ_1 τ_2`` (T1).

    With more players the bound costs more than the solution and holds seldom: nothing is claimed here.
    """
    if len(games.advantage) != 2:
        return jnp.zeros(games.tau.shape[1:], bool)
    slack = 1 + 64 * float(jnp.finfo(games.tau.dtype).eps)
    return _interaction(games.advantage[0]) * _interaction(games.advantage[1]) * slack < 1


def _interaction(advantage: Float[Array, "_ _ lane"]) -> Float[Array, " lane"]:
    """``Λ/τ = ¼ max dd(u)/τ`` of a player who meets one other."""
    rows = list(advantage)
    spread = jnp.zeros(advantage.shape[-1:], advantage.dtype)
    for difference in [*rows, *(b - a for a, b in itertools.combinations(rows, 2))]:
        spread = jnp.maximum(spread, largest(difference, -jnp.inf) + largest(-difference, -jnp.inf))
    return 0.25 * spread


def _lengthened(x: Float[Array, "_ lane"], most: int) -> Float[Array, "_ lane"]:
    return jnp.pad(x, ((0, most - x.shape[0]), (0, 0)))
