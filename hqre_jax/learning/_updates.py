"""Learning dynamics: what agents do, round after round, who do not compute an equilibrium.

All share one signature, ``(game or problem, policy0, num_rounds, key) -> policies``, and one scan. Two of them go
wrong where several conventions compete (theory.md, T7); the third is the update of T2.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.core._programs import compiled
from hqre_jax.core._simplex import mirror_step, probabilities, safe_log
from hqre_jax.core._temperatures import as_float_array, concrete
from hqre_jax.core._types import ActionMask, InputError, LogPolicy, PerPlayer, Policy, Scalar
from hqre_jax.games._game import AbstractGame
from hqre_jax.problem import Problem, full_policy

Policies = Float[Array, "time player state action"]


def best_response_dynamics(game: AbstractGame, policy0: Any, num_rounds: int, key: Any) -> Policies:
    """Simultaneous best response: everybody plays an action that was best against the last round.

    ``π_i^{k+1}(x) ∈ argmax_a Q_i^{π^k}(x, a)``, ties broken at random; where play goes on, Q is the value of one
    step against π^k and then π^k for ever.

    Args:
        game: The game.
        policy0: π⁰, ``(player, information state, action)``.
        num_rounds: Number of updates K.
        key: Typed key; it only breaks ties.

    Returns:
        π⁰, …, π^K, the first axis being time; all but π⁰ are pure.

    Raises:
        InputError: On a bad policy or number of rounds.

    Failure modes: in coordination games it may never coordinate (T7).
    """
    return noisy_best_response_dynamics(game, policy0, num_rounds, key, noise=0.0)


def noisy_best_response_dynamics(
    game: AbstractGame, policy0: Any, num_rounds: int, key: Any, *, noise: Any, inertia: Any = 0.0
) -> Policies:
    """Best response with mistakes, and with agents that do not always look.

    At each of its information states player i, independently of everybody else, draws its action again from its
    last policy with probability ``inertia_i``; otherwise it errs, choosing uniformly, with probability ``noise_i``,
    and else plays a best response to the last round, ties broken at random.

    Args:
        game: The game.
        policy0: π⁰, ``(player, information state, action)``.
        num_rounds: Number of updates K.
        key: Typed key.
        noise: Probability of a mistake, in [0, 1]; a number or one per player.
        inertia: Probability of staying, in [0, 1]; a number or one per player.

    Returns:
        π⁰, …, π^K, the first axis being time; all but π⁰ are pure: what was played.

    Raises:
        InputError: On a bad policy, probability or number of rounds.

    Failure modes: it wanders between conventions (T7).

    Source: Kandori, Mailath & Rob (1993); Young (1993).
    """
    start = full_policy(policy0, game.action_mask, game.dtype, "policy0")
    stay, err = _chances(inertia, "inertia", game), _chances(noise, "noise", game)
    return _noisy_path(game, start, _checked_rounds(num_rounds), key, stay, err)


def mirror_dynamics(problem: Problem, policy0: Any, num_rounds: int, key: Any, *, step: Any) -> Policies:
    """Simultaneous mirror updates, ``π⁺ ∝ π^{1/(1+ητ)} ρ^{ητ/(1+ητ)} exp(ηQ(π)/(1+ητ))``.

    With a positive margin κ and ``η ≤ κ/L²`` they converge to the one HQRE at a linear rate (T2), and regret stays
    bounded (T3). With larger steps they may oscillate (T7).

    Args:
        problem: The problem: game, temperatures, reference.
        policy0: π⁰, ``(player, information state, action)``, positive at every valid action.
        num_rounds: Number of updates K.
        key: Not used, the updates being deterministic; here so that dynamics can be exchanged.
        step: η, in units of 1/payoff; infinite for the logit response itself.

    Returns:
        π⁰, …, π^K, the first axis being time.

    Raises:
        InputError: On a bad policy, step or number of rounds.
    """
    eta = as_float_array(step, "step", problem.tau.dtype)
    if eta.shape or (concrete(eta) and not float(eta) > 0):
        raise InputError("step", f"is {step!r}; it must be one number greater than 0")
    start = full_policy(policy0, problem.mask, problem.game.dtype, "policy0", interior=True)
    return _mirror_path(problem, start, _checked_rounds(num_rounds), key, eta)


@compiled
def _noisy_path(
    game: AbstractGame, start: Policy, num_rounds: int, key: Any, stay: PerPlayer, err: PerPlayer
) -> Policies:
    mask = game.action_mask
    bonus = jnp.zeros(mask.shape[:2], game.dtype)
    stay, err = stay[:, None, None], err[:, None, None]

    def update(policy: Policy, key: Any) -> Policy:
        values = game.evaluate(safe_log(policy, mask), bonus, "plain").action_values
        best = mask & (values == jnp.max(jnp.where(mask, values, -jnp.inf), axis=-1, keepdims=True))
        chances = stay * policy + (1 - stay) * (err * _uniform(mask) + (1 - err) * _uniform(best))
        played = jax.random.categorical(key, jnp.log(chances))
        return jnp.where(mask, jax.nn.one_hot(played, mask.shape[-1], dtype=policy.dtype), 0.0)

    return _path(update, start, num_rounds, key)


@compiled
def _mirror_path(problem: Problem, start: Policy, num_rounds: int, key: Any, eta: Scalar) -> Policies:
    def update(log_policy: LogPolicy, key: Any) -> LogPolicy:
        return problem.log_policy(mirror_step(log_policy, problem.response_logits(log_policy), eta * problem.tau))

    # Log-policies, not policies, are carried: a probability that underflows must be able to come back.
    path = _path(update, safe_log(start, problem.mask), num_rounds, key)
    return jax.vmap(probabilities, (0, None))(path, problem.mask)


def _path(update: Callable[[Any, Any], Any], start: Any, num_rounds: int, key: Any) -> Any:
    """The start and everything that follows from it, stacked."""

    def advance(now, key):
        following = update(now, key)
        return following, following

    _, path = jax.lax.scan(advance, start, jax.random.split(key, num_rounds))
    return jnp.concatenate([start[None], path])


def _checked_rounds(num_rounds: Any) -> int:
    if isinstance(num_rounds, bool) or not isinstance(num_rounds, int) or num_rounds < 0:
        raise InputError("num_rounds", f"is {num_rounds!r}; it must be a whole number, 0 or more")
    return num_rounds


def _uniform(choices: ActionMask) -> Policy:
    return choices / jnp.maximum(jnp.sum(choices, axis=-1, keepdims=True), 1)


def _chances(value: Any, field: str, game: AbstractGame) -> PerPlayer:
    """Probabilities, one per player."""
    array = as_float_array(value, field, game.dtype)
    if array.shape not in ((), (game.num_players,)):
        raise InputError(field, f"has shape {array.shape}; a number, or one per player ({game.num_players}), is wanted")
    if concrete(array) and not bool(jnp.all((array >= 0) & (array <= 1))):
        raise InputError(field, f"is {value!r}; probabilities lie between 0 and 1")
    return jnp.broadcast_to(array, (game.num_players,))
