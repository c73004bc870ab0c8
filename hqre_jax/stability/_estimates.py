"""What rollouts say of the worth of actions: means, how sure they are, and how their errors go together."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from hqre_jax.core._module import AbstractModule
from hqre_jax.core._namespace import Array, add_up, namespace
from hqre_jax.core._programs import compiled_later, few_so_far
from hqre_jax.core._temperatures import as_float_array, concrete, real_numbers
from hqre_jax.core._types import ActionValues, InputError, Scalar
from hqre_jax.rollouts._observations import check_within, checked_mask, checked_plays, checked_range
from hqre_jax.stability._intervals import Interval, interval

# Payoffs that a cell counts as missing if it always showed the same: see `from_rollouts`.
_RARE = 7.0


class ActionValueEstimates(AbstractModule):
    """Estimates ``Q̂_i(x, a)`` of the action values of one policy.

    A *cell* is a triple (player, information state, action); cells are numbered in the order of the flattened array.

    Attributes:
        mean: ``Q̂``, units of payoff; 0 where nothing was seen.
        covariance: Covariance matrix of the means, ``(cell, cell)``, squared units of payoff. Agents who share a
            rollout share its luck: their entries are not independent, and what is computed from both must know that.
        count: Number of payoffs behind each mean. With fewer than two nothing is known of its error.
        bias: How much what was not seen may move each mean, units of payoff: payoffs that are missing, and other
            payoffs than the one that a cell always showed.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> plays = [[0, 0], [0, 1], [1, 0], [1, 1]] * 2
        >>> payoffs = [[10.0, 10.0], [1.0, 8.0], [8.0, 1.0], [5.0, 5.0]] * 2
        >>> seen = hq.stability.ActionValueEstimates.from_rollouts(plays, payoffs, np.ones((2, 1, 2), bool))
        >>> print(seen.mean[0], seen.count[0])
        [[5.5 6.5]] [[4. 4.]]
    """

    mean: ActionValues
    covariance: Float[Array, "cell cell"]
    count: ActionValues
    bias: ActionValues

    @classmethod
    def independent(cls, mean: Any, variance: Any, count: Any) -> "ActionValueEstimates":
        """Estimates from rollouts of their own for every cell.

        Args:
            mean: Sample means, ``(player, information state, action)``, units of payoff.
            variance: Unbiased sample variances of single payoffs, same shape.
            count: Numbers of payoffs, same shape.

        Returns:
            The estimates, with a diagonal covariance.

        Raises:
            InputError: If the shapes differ, or something is negative.
        """
        mean = as_float_array(mean, "mean")
        parts = {"variance": as_float_array(variance, "variance"), "count": as_float_array(count, "count")}
        for name, part in parts.items():
            if part.shape != mean.shape:
                raise InputError(name, f"has shape {part.shape}, where that of mean, {mean.shape}, is wanted")
            if concrete(part) and not np.all(np.asarray(part) >= 0):
                raise InputError(name, "has an entry that is negative or no number")
        if mean.ndim != 3 or (concrete(mean) and not np.isfinite(np.asarray(mean)).all()):
            raise InputError("mean", "must be finite numbers, (player, information state, action)")
        return cls(*_independent(mean, parts["variance"], parts["count"]))

    @classmethod
    def from_rollouts(
        cls,
        actions: Any,
        payoffs: Any,
        action_mask: Any,
        *,
        information_states: Any = 0,
        cluster: Any = None,
        payoff_range: Any = None,
    ) -> "ActionValueEstimates":
        """Estimates from rollouts in which everybody follows one policy.

        ``Q̂_i(x, a)`` is the mean of i's payoffs where i was at x and played a: the others' actions, and what i could
        not see, are then drawn as they should be. The covariance is that of the means of independent clusters of
        rows, ``Σ_clusters ψψᵀ`` with ``ψ_c = Σ_rows 1_c (y − Q̂_c)/√(n_c(n_c−1))``; its diagonal is exactly ``s²/n``
        where a cluster sees a cell once.

        The bias is the part of payoffs that are missing, times the range of payoffs: any of them could have been
        anything in it. A cell that always showed one payoff counts 7 missing ones: a payoff that shows itself with a
        probability above ``7/n`` is not seen in n plays with probability ``e⁻⁷ < 0.001``.

        Args:
            actions: Actions ``(rollout, player)``; −1 where the player did not act or, if the payoff is not a
                number, may have acted and it is not known how.
            payoffs: Payoffs (one-shot) or payoffs to go, ``(rollout, player)``, units of payoff; not a number
                where unknown.
            action_mask: Valid actions ``(player, information state, action)``.
            information_states: ``(rollout, player)``, or a number.
            cluster: Number of the independent cluster that each rollout belongs to; by default one of its own.
            payoff_range: Least and largest possible of these payoffs; by default those seen of each player.

        Returns:
            The estimates; traceable where ``cluster`` is None.

        Raises:
            InputError: If shapes do not fit, an action is not valid, or a payoff is outside its range.
        """
        if all(map(concrete, (actions, payoffs, action_mask, information_states))):
            mask = checked_mask(action_mask)
            actions, payoffs, states = checked_plays(actions, payoffs, mask, information_states)
            check_within(payoffs, checked_range(payoff_range), "payoffs")
        else:
            mask, states = action_mask, jnp.broadcast_to(information_states, jnp.shape(actions))
        mask, actions, states = jnp.asarray(mask, bool), jnp.asarray(actions), jnp.asarray(states)
        payoffs = as_float_array(payoffs, "payoffs")
        stated = checked_range(payoff_range)
        width = jnp.asarray(np.nan if stated is None else stated[1] - stated[0], payoffs.dtype)
        if cluster is None:
            return _means(actions, states, payoffs, mask, width, None, num_clusters=len(actions))
        given = np.asarray(real_numbers(cluster, "cluster"))
        if given.shape != actions.shape[:1]:
            raise InputError(
                "cluster", f"has shape {given.shape}, where one number for each of {len(actions)} is wanted"
            )
        number = np.unique(given, return_inverse=True)[1]
        clusters = int(number.max(initial=-1)) + 1
        return _means(actions, states, payoffs, mask, width, jnp.asarray(number), num_clusters=clusters)

    def known(self) -> Bool[Array, "player state action"]:
        """Cells with two payoffs or more."""
        return self.count >= 2


@compiled_later(few_so_far)
def _independent(mean: ActionValues, variance: ActionValues, count: ActionValues) -> tuple[Any, ...]:
    xp = namespace(mean)
    squares = variance / xp.maximum(count, 1)
    return xp.where(count > 0, mean, 0.0), xp.diag(squares.ravel()), count, xp.zeros_like(mean)


@compiled_later(few_so_far)
def _means(
    actions: Int[Array, "rollout player"],
    states: Int[Array, "rollout player"],
    payoffs: Float[Array, "rollout player"],
    mask: Bool[Array, "player state action"],
    width: Scalar,
    cluster: Int[Array, " rollout"] | None,
    *,
    num_clusters: int,
) -> ActionValueEstimates:
    xp, (players, num_states, num_actions) = namespace(payoffs), mask.shape
    # Of an action that is not known it is known where it was taken: it may have been any, and stands for the first.
    cells = (xp.arange(players)[None, :] * num_states + states) * num_actions + xp.maximum(actions, 0)
    there = cells[:, :, None] == xp.arange(mask.size)[None, None, :]
    acted = (actions >= 0) & xp.isfinite(payoffs)
    seen = there & acted[:, :, None]
    paid = payoffs[:, :, None]
    total = xp.sum(xp.where(seen, paid, 0.0), axis=1)
    times = xp.sum(seen, axis=1).astype(payoffs.dtype)
    count = xp.sum(times, axis=0)
    mean = xp.sum(total, axis=0) / xp.maximum(count, 1)
    pull = (total - times * mean[None]) / xp.sqrt(xp.maximum(count * (count - 1), 1))[None]
    if cluster is not None:
        pull = add_up(xp, pull, cluster, num_clusters)
    covariance = xp.einsum("kc,kd->cd", pull, pull)
    # The share of the payoffs of each cell that are missing, times their range.
    low = xp.min(xp.where(seen, paid, xp.inf), axis=(0, 1), initial=xp.inf)
    high = xp.max(xp.where(seen, paid, -xp.inf), axis=(0, 1), initial=-xp.inf)
    lost = xp.sum(there & xp.isnan(paid), axis=(0, 1)).astype(payoffs.dtype)
    lost = lost + xp.where((count > 0) & ~(high > low), _RARE, 0.0)
    own = (players, num_states * num_actions)
    spread = xp.max(high.reshape(own), axis=1) - xp.min(low.reshape(own), axis=1)
    span = xp.where(xp.isnan(width), xp.where(xp.isfinite(spread), spread, xp.inf), width)
    span = xp.broadcast_to(span[:, None], own).ravel()
    bias = xp.where(lost > 0, span * lost / xp.maximum(lost + count, 1), 0.0)
    return ActionValueEstimates(
        mean.reshape(mask.shape), covariance, count.reshape(mask.shape), bias.reshape(mask.shape)
    )


def linear_interval(forms: tuple[tuple[ActionValues, ActionValueEstimates], ...], level: Scalar | float) -> Interval:
    """Confidence interval of ``Σ_k ⟨c_k, Q_k⟩`` from independent estimates of each Q_k.

    The variance ``Σ_k c_kᵀ Σ_k c_k`` is exact for a linear form. Degrees of freedom after Welch and Satterthwaite,
    ``(Σ v)²/Σ v²/(n−1)`` with ``v = c² s²/n`` of each cell. What may be biased is added, ``Σ_k ⟨|c_k|, bias_k⟩``.

    Args:
        forms: Pairs of coefficients and estimates.
        level: Two-sided confidence level.

    Returns:
        The interval; infinite where a coefficient is not 0 at a cell with fewer than two payoffs.

    Source: Welch (1947), Satterthwaite (1946).

    Example:
        >>> import numpy as np
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> ones = np.ones((1, 1, 2))
        >>> seen = hq.stability.ActionValueEstimates.independent([[[3.0, 1.0]]], ones, 100 * ones)
        >>> print(hq.stability.linear_interval(((jnp.array([[[1.0, -1.0]]]), seen),), 0.95))
        2 [1.721, 2.279]
    """
    xp = namespace(forms[0][0])
    value = variance = total = squares = bias = xp.zeros((), forms[0][0].dtype)
    blind = xp.zeros((), bool)
    for coefficients, estimates in forms:
        flat, count = coefficients.ravel(), estimates.count.ravel()
        blind = blind | xp.any((flat != 0) & (count < 2))
        parts = flat**2 * xp.diagonal(estimates.covariance)
        value = value + flat @ estimates.mean.ravel()
        bias = bias + xp.sum(xp.where(flat != 0, xp.abs(flat) * estimates.bias.ravel(), 0.0))
        variance = variance + flat @ estimates.covariance @ flat
        total = total + xp.sum(parts)
        squares = squares + xp.sum(parts**2 / xp.maximum(count - 1, 1))
    freedom = xp.where(squares > 0, total**2 / xp.where(squares > 0, squares, 1.0), 1e6)
    # Where covariances cancel, rounding may leave less than nothing.
    variance = xp.where(blind, xp.inf, xp.maximum(variance, 0.0))
    return interval(value, variance, xp.minimum(freedom, 1e6), level).widened(bias)
