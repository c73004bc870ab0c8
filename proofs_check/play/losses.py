"""What play loses, round by round, under the dynamics that T7 compares."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.core._simplex import kl, safe_log
from hqre_jax.core._types import PerPlayer, Policy, Scalar, StateValues
from hqre_jax.learning import best_response_dynamics, mirror_dynamics, noisy_best_response_dynamics
from proofs_check.numerics.compiled import each_game

# Rounds played; what is compared holds for any number of them, even for best responses.
ROUNDS, NOISY_ROUNDS, MIRROR_ROUNDS = 40, 500, 160


class Losses(NamedTuple):
    """What one run loses, in units of payoff.

    Attributes:
        gap: Σ_k gaps, per player.
        external: External regret, per player.
        regularised: ``τ_i KL(π_i ‖ BR_i)``, by round and player.
        apart: Rounds in which the first and the last player differ.
    """

    gap: PerPlayer
    external: PerPlayer
    regularised: Float[Array, "round player"]
    apart: Scalar


def losses_of(problem: hq.Problem, policies: Float[Array, "round player state action"]) -> Losses:
    """Losses of rounds 0, …, K−1, where everybody has one information state."""
    mask = problem.mask

    def of_round(total: tuple[StateValues, Scalar], policy: Policy):
        log_policy = safe_log(policy, mask)
        values = problem.evaluate(log_policy).action_values
        best = problem.log_policy(values / problem.tau[..., None] + problem.log_reference)
        earned = jnp.sum(policy * values, axis=-1)
        gap = jnp.max(jnp.where(mask, values, -jnp.inf), axis=-1) - earned
        apart = jnp.any(policy[0] != policy[-1])
        regularised = jnp.sum(problem.tau * kl(log_policy, best, mask), axis=-1)
        step = (jnp.sum(gap, axis=-1), values - earned[..., None], apart.astype(values.dtype))
        return jax.tree.map(jnp.add, total, step), regularised

    zeros = jnp.zeros_like(problem.log_reference)
    start = (zeros[:, 0, 0], zeros, zeros[0, 0, 0])
    (gap, surplus, apart), regularised = jax.lax.scan(of_round, start, policies)
    external = jnp.max(jnp.where(mask, surplus, -jnp.inf), axis=(1, 2))
    return Losses(gap, external, regularised, apart)


@each_game
def best_response_losses(problem: hq.Problem, start: Policy, key: Any) -> Losses:
    """Losses of best responses, game by game."""
    return losses_of(problem, best_response_dynamics(problem.game, start, ROUNDS - 1, key))


@each_game
def noisy_losses(problem: hq.Problem, start: Policy, noise: PerPlayer, inertia: PerPlayer, key: Any) -> Losses:
    """Losses of noisy best responses, game by game."""
    rounds = NOISY_ROUNDS - 1
    policies = noisy_best_response_dynamics(problem.game, start, rounds, key, noise=noise, inertia=inertia)
    return losses_of(problem, policies)


@each_game
def mirror_losses(problem: hq.Problem, start: Policy, step: Scalar, key: Any) -> tuple[Losses, Array]:
    """Losses of mirror updates game by game, and the policies of the first player."""
    policies = mirror_dynamics(problem, start, MIRROR_ROUNDS - 1, key, step=step)
    return losses_of(problem, policies), policies[:, 0, 0]
