"""Sums over plays, from which estimates, their standard errors and their confidence intervals follow."""

from statistics import NormalDist
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hqre_jax.core._types import ActionMask, ActionValues
from hqre_jax.rollouts._observations import checked_level

Interval = Literal["bernstein", "normal"]
_TAIL = NormalDist()
# Effective plays below which nothing is known of an error: one play then has more than four fifths of the weight.
_FEWEST = 1.5


class Moments(NamedTuple):
    """Sums over plays of weights W and weighted returns S = Σ_t w_t G_t; they add up over batches.

    A cell is a player's action at one of its information states; W and S of a cell are summed within a play first,
    so that the returns of one play, which are not independent, count as one observation.

    Attributes:
        weight: ΣW, ``(player, information state, action)``.
        total: ΣS.
        weight_squared: ΣW².
        cross: ΣSW.
        total_squared: ΣS².
        visits: Number of plays with a visit.
        cut: Σ w γ^r over visits of plays that were cut off r steps later: what a continuation could still add, per
            unit of return.
        paid: Σ w times the regularisation that is paid at the visit itself.
        episodes: Number of plays that did not fail.
        failed: Number of plays that did.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> one = jnp.ones((2, 1, 2))
        >>> sums = hq.sampled.Moments.zero(one > 0, float)._replace(weight=one, total=5 * one)
        >>> more = sums._replace(total=7 * one)
        >>> print(sums.plus(more).weight[0], sums.plus(more).total[0])
        [[2. 2.]] [[12. 12.]]
    """

    weight: ActionValues
    total: ActionValues
    weight_squared: ActionValues
    cross: ActionValues
    total_squared: ActionValues
    visits: Int[Array, "player state action"]
    cut: ActionValues
    paid: ActionValues
    episodes: Int[Array, ""]
    failed: Int[Array, ""]

    @classmethod
    def zero(cls, mask: ActionMask, dtype) -> "Moments":
        """No plays."""
        blank, none = jnp.zeros(mask.shape, dtype), jnp.zeros((), int)
        visits = jnp.zeros(mask.shape, int)
        return cls(blank, blank, blank, blank, blank, visits, blank, blank, none, none)

    def plus(self, other: "Moments") -> "Moments":
        """Those of both sets of plays."""
        return Moments(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Estimate(NamedTuple):
    """Estimated action values, with what is known of their errors; units of payoff.

    Attributes:
        action_values: ``Q̂_i(x, a)``; 0 where nothing was seen.
        standard_errors: Estimated standard deviation of each; inf where fewer than two plays say anything.
        counts: Plays in which the action was taken there.
        effective_sample_size: ``(ΣW)²/ΣW²``: equally weighted plays that would say as much.
        truncation: Bound on the error from plays that were cut off, per unit of the range of returns.
        num_episodes: Number of plays that did not fail.
        num_failed: Number of plays that did; they are in no average.

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> problem = hq.Problem(hq.SampledGame.from_game(hq.load_game("stag_hunt")), 8.0)
        >>> uniform = [[[0.5, 0.5]], [[0.5, 0.5]]]
        >>> found = hq.sampled.estimate_action_values(problem, uniform, 400, jax.random.key(0))
        >>> lower, upper = found.interval(0.99)
        >>> bool((lower[0, 0, 0] < 5.5) & (5.5 < upper[0, 0, 0])), found.num_episodes.item()
        (True, 400)
    """

    action_values: ActionValues
    standard_errors: ActionValues
    counts: Int[Array, "player state action"]
    effective_sample_size: ActionValues
    truncation: ActionValues
    num_episodes: Int[Array, ""]
    num_failed: Int[Array, ""]

    def interval(self, level: float = 0.95) -> tuple[ActionValues, ActionValues]:
        """Confidence interval of each action value by itself, from the normal law.

        Args:
            level: Probability with which each interval shall hold its value, in (0, 1).

        Returns:
            Lower and upper ends, ``(player, information state, action)``; infinite where nothing is known.

        Raises:
            InputError: If the level is no probability.
        """
        reach = _TAIL.inv_cdf(0.5 + checked_level(level) / 2) * self.standard_errors
        return self.action_values - reach, self.action_values + reach


def estimate(moments: Moments, baseline: ActionValues | None = None) -> Estimate:
    """Ratio estimates ``Q̂ = ΣS/ΣW`` and their standard errors by linearisation.

    ``Var Q̂ ≈ n/(n−1) Σ_e (S_e − Q̂W_e)² / (ΣW)²`` over the n plays e that visit the cell. Where every play visits a
    cell once with weight 1, Q̂ is the mean and unbiased.

    Args:
        moments: Sums over plays.
        baseline: What was subtracted from every return; added again.

    Returns:
        The `Estimate`.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> one = jnp.ones((2, 1, 2))  # four plays that paid 10, 1, 8 and 5
        >>> sums = hq.sampled.Moments.zero(one > 0, float)._replace(weight=4 * one, weight_squared=4 * one)
        >>> sums = sums._replace(visits=4 * one.astype(int), total=24 * one, cross=24 * one, total_squared=190 * one)
        >>> found = hq.sampled.estimate(sums)
        >>> print(found.action_values[0], found.standard_errors[0].round(3))
        [[6. 6.]] [[1.958 1.958]]
    """
    seen = moments.weight > 0
    weight = jnp.where(seen, moments.weight, 1.0)
    mean = jnp.where(seen, moments.total / weight, 0.0)
    spread = moments.total_squared - 2 * mean * moments.cross + mean**2 * moments.weight_squared
    n = moments.visits
    factor = jnp.where(n > 1, n / jnp.maximum(n - 1, 1), jnp.inf)
    error = jnp.where(seen & (n > 1), jnp.sqrt(factor * jnp.maximum(spread, 0.0)) / weight, jnp.inf)
    squares = jnp.where(seen, moments.weight_squared, 1.0)
    error = jnp.where(seen & dominated(weight, squares), jnp.inf, error)
    return Estimate(
        action_values=mean if baseline is None else jnp.where(seen, mean + baseline, 0.0),
        standard_errors=error,
        counts=n,
        effective_sample_size=jnp.where(seen, weight**2 / squares, 0.0),
        truncation=jnp.where(seen, moments.cut / weight, 0.0),
        num_episodes=moments.episodes,
        num_failed=moments.failed,
    )


def dominated(weight: Float[Array, "*b"], squares: Float[Array, "*b"]) -> Bool[Array, "*b"]:
    """Whether a mean is one play's, however many there are: it shows no error of its own."""
    return weight**2 < _FEWEST * squares


def half_widths(moments: Moments, log_error: Float[Array, ""], width: Float[Array, " player"], kind: Interval):
    """Half-widths of confidence intervals of all cells, each missing its value with probability ``exp(log_error)``.

    ``bernstein`` holds for any number of plays of weight 1 and returns within a range R (Maurer & Pontil 2009):
    ``√(2V log(4/δ)/n) + 7R log(4/δ)/(3(n−1))`` with the sample variance V. ``normal`` is the asymptotic
    ``√(2 log(2/δ))`` standard errors, a bound on the normal quantile. Truncation and failed plays are added: a play
    that failed could have returned anything.

    Args:
        moments: Sums over plays.
        log_error: ``log δ``.
        width: R, per player.
        kind: Which interval.

    Returns:
        ``(player, information state, action)``, at most R.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> one = jnp.ones((2, 1, 2))  # a hundred plays that paid 0 or 1, as often as not
        >>> sums = hq.sampled.Moments.zero(one > 0, float)._replace(weight=100 * one, weight_squared=100 * one)
        >>> sums = sums._replace(visits=100 * one.astype(int), total=50 * one, cross=50 * one, total_squared=50 * one)
        >>> print(hq.sampled.half_widths(sums, jnp.log(0.05), jnp.ones(2), "bernstein")[0].round(3))
        [[0.252 0.252]]
    """
    known = estimate(moments)
    range_ = width[:, None, None]
    n = moments.visits
    if kind == "bernstein":
        log_term = jnp.log(4.0) - log_error
        reach = known.standard_errors * jnp.sqrt(2 * log_term) + 7 * range_ * log_term / (3 * jnp.maximum(n - 1, 1))
    else:
        reach = known.standard_errors * jnp.sqrt(2 * (jnp.log(2.0) - log_error))
    plays = jnp.maximum(moments.episodes + moments.failed, 1)
    lost = (moments.failed / plays).astype(width.dtype)
    reach = reach + range_ * (known.truncation + lost)
    return jnp.where(n > 1, jnp.minimum(reach, range_), range_)
