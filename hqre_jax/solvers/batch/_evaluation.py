"""What is said of lanes whose equilibria are known: policies, values, residuals, and a first certificate."""

import itertools
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hqre_jax.games._game import Continuation, share
from hqre_jax.problem import Entropy
from hqre_jax.solvers.batch._interleaved import (
    Interleaved,
    LogOdds,
    Policies,
    average,
    gains,
    largest,
    policies,
    softmax_and_logarithm,
    total,
    unfused,
)


class LaneEvaluation(NamedTuple):
    """Policies ``(lane, player, action)``, their logarithms, values ``(lane, player)`` and residuals ``(lane,)``."""

    policy: Float[Array, "lane player action"]
    log_policy: Float[Array, "lane player action"]
    values: Float[Array, "lane player"]
    residual: Float[Array, " lane"]


def evaluate_lanes(
    games: Interleaved,
    log_odds: LogOdds,
    mask: Bool[Array, "lane player action"] | None,
    uniform: bool,
    entropy: Entropy,
    continuation: Continuation,
    go: Bool[Array, ""],
) -> LaneEvaluation:
    """Evaluate the games at log-odds.

    Args:
        games: The games.
        log_odds: The log-odds that were found.
        mask: Valid actions, or None where all are.
        uniform: Whether the references are uniform over all actions.
        entropy: "kl" or "shannon": the values depend on it,
        continuation: and on who is paid it.
        go: Whether there is anything to do.

    Returns:
        The `LaneEvaluation`; the residual is that of exactly this policy.
    """

    def residual(gain: LogOdds, pi: Policies) -> Float[Array, " lane"]:
        response = policies(tuple(r + g for r, g in zip(games.reference, gain, strict=True)))
        return largest(jnp.concatenate([jnp.abs(p - q) for p, q in zip(pi, response, strict=True)]), 0.0)

    def values(gain: LogOdds, pi: Policies, logs: Policies) -> Float[Array, "lane player"]:
        worth, bonus = [], []
        for i, (p, log_p) in enumerate(zip(pi, logs, strict=True)):
            # The normaliser is log Σ exp of the reference's log-odds, the entropy of a uniform one.
            log_normalizer = jnp.log(float(len(p))) if uniform else jnp.log(1.0 + total(jnp.exp(games.reference[i])))
            log_reference = -log_normalizer if uniform else softmax_and_logarithm(games.reference[i])[1]
            # KL(π‖ρ); terms of absent actions are 0 times a finite number.
            divergence = total(p * (log_p - log_reference))
            bonus.append(games.tau[i] * ((log_normalizer if entropy == "shannon" else 0.0) - divergence))
            others = [pi[j] for j in range(len(pi)) if j != i]
            worth.append(average(games.floor[i][None], others)[0] + games.tau[i] * total(p[1:] * gain[i]))
        return (jnp.stack(worth) + share(jnp.stack(bonus), continuation)).T

    def lanes_first(parts: Policies) -> Float[Array, "lane player action"]:
        most = max(p.shape[0] for p in parts)
        return jnp.stack([_lengthened(x, most) for x in parts]).transpose(2, 0, 1)

    def arranged(pi: Policies, logs: Policies) -> tuple[Array, Array]:
        log_policy = lanes_first(logs)
        return lanes_first(pi), log_policy if mask is None else jnp.where(mask, log_policy, 0.0)

    pi, logs = zip(*(unfused(go, softmax_and_logarithm, z) for z in log_odds), strict=True)
    gain = unfused(go, lambda p: gains(games, p), pi)
    policy, log_policy = unfused(go, arranged, pi, logs)
    return LaneEvaluation(policy, log_policy, unfused(go, values, gain, pi, logs), unfused(go, residual, gain, pi))


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
