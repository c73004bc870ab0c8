"""Plays of games with two agents, drawn one by one: actions from the policies, payoffs with noise of their own."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

import hqre_jax as hq
from hqre_jax.core._types import Policy, Scalar, StateValues
from hqre_jax.stability import ActionValueEstimates, Directional, directional
from proofs_check.numerics.compiled import each_game, split_keys

# Standard deviation of a payoff's noise, in parts of the largest payoff; half of its variance is common to both agents.
NOISE = 0.25
# Trials that are drawn at the same time, which bounds memory.
_AT_ONCE = 32


class Trial(NamedTuple):
    """One experiment: two policies, rollouts under each, and what is asked of them.

    Attributes:
        problem: Game of two agents and temperatures.
        weights: w.
        policy: π.
        other: π'.
        step: η.
    """

    problem: hq.Problem
    weights: StateValues
    policy: Policy
    other: Policy
    step: Scalar


class Seen(NamedTuple):
    """What one experiment reports.

    Attributes:
        lower: Lower end of the 95 % interval of κ̂.
        upper: Upper end.
        alarm: Whether the rule of `hq.diagnose` calls play unstable, at 99 % and for one pair of policies.
        pointwise: Whether the point estimates alone would have.
    """

    lower: Scalar
    upper: Scalar
    alarm: Bool[Array, ""]
    pointwise: Bool[Array, ""]


def plays(
    game: hq.AbstractGame, policy: Policy, num: int, key: Any
) -> tuple[Int[Array, "play 2"], Int[Array, "play 2"], Float[Array, "play 2"]]:
    """Information states, actions and payoffs of independent plays."""
    payoffs, prior = game.payoffs, jnp.ones((1, 1))  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(game, hq.BayesianGame):
        prior = game.prior
    else:
        payoffs = payoffs[:, None, None]
    type_key, action_key, common_key, own_key = jax.random.split(key, 4)
    world = _draw(jnp.broadcast_to(prior.ravel(), (num, prior.size)), jax.random.uniform(type_key, (num,)))
    states = jnp.stack(jnp.divmod(world, prior.shape[1]), axis=1)
    luck = jax.random.uniform(action_key, (2, num))
    actions = jnp.stack([_draw(policy[i, states[:, i]], luck[i]) for i in range(2)], axis=1)
    paid = payoffs[:, states[:, 0], states[:, 1], actions[:, 0], actions[:, 1]].T
    noise = jax.random.normal(common_key, (num, 1)) + jax.random.normal(own_key, (num, 2))
    return states, actions, paid + NOISE * jnp.max(jnp.abs(payoffs)) * np.sqrt(0.5) * noise


def _draw(probabilities: Float[Array, "play a"], luck: Float[Array, " play"]) -> Int[Array, " play"]:
    """Inverse of the distribution function; rounding never reaches an action beyond the last one."""
    below = jnp.cumsum(probabilities, axis=1)[:, :-1]
    # Padded actions have probability 0: the last valid one ends the sum.
    last = jnp.sum(below < (1 - 1e-12) * jnp.sum(probabilities, axis=1, keepdims=True), axis=1)
    return jnp.minimum(jnp.sum(luck[:, None] >= below, axis=1), last)


def _estimates(trial: Trial, policy: Policy, num: int, key: Any) -> ActionValueEstimates:
    states, actions, payoffs = plays(trial.problem.game, policy, num, key)
    return ActionValueEstimates.from_rollouts(actions, payoffs, trial.problem.mask, information_states=states)


def _understated(estimates: ActionValueEstimates, understate: Bool[Array, ""]) -> ActionValueEstimates:
    """If asked for, the same means with standard errors as if every rollout had tried every action."""
    share = estimates.count / jnp.maximum(jnp.sum(estimates.count, axis=-1, keepdims=True), 1)
    root = jnp.where(understate, jnp.sqrt(share), 1.0).ravel()
    covariance = estimates.covariance * root[:, None] * root[None, :]
    return ActionValueEstimates(estimates.mean, covariance, estimates.count, estimates.bias)


def _look(trial: Trial, estimates: tuple[ActionValueEstimates, ActionValueEstimates], level: float) -> Directional:
    return directional(
        trial.policy,
        trial.other,
        *estimates,
        trial.problem.tau,
        step=trial.step,
        weights=trial.weights,
        action_mask=trial.problem.mask,
        level=level,
    )


def experiment(trials: Trial, num_plays: int, key: Any, *, understate: bool = False) -> Seen:
    """Rollouts under both policies of every trial, and what the diagnostics make of them.

    Args:
        trials: Trials with a leading axis.
        num_plays: Rollouts under each policy.
        key: Typed key.
        understate: Standard errors as if every rollout had tried every action (a negative control).

    Returns:
        `Seen`, numpy arrays with the leading axis.
    """
    num = len(trials.weights)
    return _experiments(num_plays)(trials, split_keys(key, num), np.full(num, understate))


@functools.cache
def _experiments(num_plays: int) -> Callable[..., Seen]:
    def one(trial: Trial, key: Any, understate: Bool[Array, ""]) -> Seen:
        def seen_under(policy: Policy, key: Any) -> ActionValueEstimates:
            return _understated(_estimates(trial, policy, num_plays, key), understate)

        both = jax.vmap(seen_under)(jnp.stack([trial.policy, trial.other]), jax.random.split(key))
        pair = jax.tree.map(lambda x: x[0], both), jax.tree.map(lambda x: x[1], both)
        seen = _look(trial, pair, 0.95)
        # As `diagnose` splits 1 % between two alarms.
        strict = _look(trial, pair, 0.995)
        zero = strict._replace(margin=_degenerate(strict.margin), ratio=_degenerate(strict.ratio))
        return Seen(
            seen.margin.lower,
            seen.margin.upper,
            strict.diverges | strict.overshoots,
            zero.diverges | zero.overshoots,
        )

    return each_game(one, size=_AT_ONCE, better=True)


def _degenerate(interval):
    return interval._replace(lower=interval.estimate, upper=interval.estimate)
