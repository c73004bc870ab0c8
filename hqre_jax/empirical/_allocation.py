"""Which profiles to play next: the fewest plays after which every probability is known to ±ε."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hqre_jax.core._module import AbstractModule
from hqre_jax.core._programs import compiled
from hqre_jax.core._temperatures import concrete
from hqre_jax.core._types import InputError, Scalar, checked_count
from hqre_jax.empirical._confidence import Confidence, check_solution, confidence_region, play_spread
from hqre_jax.empirical._influence import log_policy_gradient, play_variances
from hqre_jax.empirical._moments import AbstractEmpiricalGame
from hqre_jax.empirical._quantiles import fisher_quantile
from hqre_jax.rollouts._observations import checked_level
from hqre_jax.solving._solution import Solution

# The allocation is found to this part of the least possible number of plays, or after so many steps.
_GAP = 1e-3
_MAX_STEPS = 3_000


class RolloutPlan(AbstractModule):
    """How many more plays of which profiles.

    Attributes:
        additional: Plays to add, ``(*profile)``.
        num_rollouts: Their sum: one play of a profile shows the payoffs of all players.
        lower_bound: No allocation gets by with fewer (dual bound, before rounding up).
        uniform: What the same ε costs if all profiles are played equally often from here on.
        half_width: The largest half-width at present.
        eps: The largest half-width that is wanted.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> spread = np.broadcast_to(np.eye(2)[:, :, None, None], (2, 2, 2, 2))
        >>> stag_hunt = hq.load_game("stag_hunt").payoffs
        >>> empirical = hq.EmpiricalGame.from_moments(np.full((2, 2), 100), stag_hunt, spread)
        >>> plan = hq.empirical.plan_rollouts(empirical, hq.solve(empirical.game, 8.0), eps=0.001)
        >>> bool(plan.lower_bound <= plan.num_rollouts), bool(plan.num_rollouts <= plan.uniform)
        (True, True)
    """

    additional: Int[Array, "*profile"]
    num_rollouts: Int[Array, ""]
    lower_bound: Scalar
    uniform: Int[Array, ""]
    half_width: Scalar
    eps: Scalar

    def __repr__(self) -> str:
        if not concrete(self.eps) or np.ndim(self.num_rollouts):
            return "RolloutPlan(batch)"
        return (
            f"RolloutPlan({int(self.num_rollouts)} more plays (uniform: {int(self.uniform)}) "
            f"from ±{float(self.half_width):.3g} to ±{float(self.eps):g})"
        )

    def batch(self, num_rollouts: int) -> Int[np.ndarray, "*profile"]:
        """The first plays of the plan: its proportions, rounded so that they sum to ``num_rollouts``.

        Args:
            num_rollouts: How many; all of the plan where that is less.

        Returns:
            Plays per profile, ``(*profile)``.
        """
        checked_count(num_rollouts, "num_rollouts", least=0)
        wanted = np.asarray(self.additional)
        if num_rollouts >= wanted.sum():
            return wanted
        share = wanted * (num_rollouts / wanted.sum())
        whole = np.floor(share).astype(wanted.dtype)
        left = num_rollouts - int(whole.sum())
        whole.flat[np.argsort(whole - share, axis=None, kind="stable")[:left]] += 1
        return whole


def plan_rollouts(empirical: AbstractEmpiricalGame, solution: Solution, eps: Any, *, level: Any = 0.95) -> RolloutPlan:
    """The fewest plays until every probability of the equilibrium is known to ±eps, and of which profiles.

    A play of profile a adds ``c_e(a) = g_e(a)ᵀ S(a) g_e(a)`` to n times the variance of probability e, where
    ``g_e = ∂π_e/∂u`` is its influence. Minimise ``Σ_a n(a)`` subject to ``Σ_a c_e(a)/n(a) ≤ (ε/t_e)²`` for *every*
    e and to the plays that exist: a convex problem, solved through its dual, ``n = max(n₀, √(Σ_e μ_e c_e))``, by
    multiplicative steps in μ. For one probability this is Neyman's allocation, plays in proportion to influence
    times standard deviation.

    Influences and variances are estimates: play a part of the plan (`RolloutPlan.batch`), solve again, plan again.
    Each variance is taken with one more degree of freedom at the mean variance over profiles, so that a profile
    whose few plays happened to pay the same is not forgotten.

    Args:
        empirical: The empirical game so far; every profile has two plays.
        solution: A solution of ``empirical.game``.
        eps: Largest half-width, in probability, strictly between 0 and 1.
        level: Level of the intervals.

    Returns:
        The plan; all zeros where the equilibrium is known to ±eps already. Works under ``jit`` and ``vmap``.

    Raises:
        InputError: As `confidence_region`; eps is out of range; a counted prior or profiles of unknown
            payoffs leave more uncertainty than eps, which no further play of profiles removes.

    Source: Neyman (1934) for one quantity; Pukelsheim (2006), ch. 6, for the dual of a minimax design.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> spread = np.broadcast_to(np.eye(2)[:, :, None, None], (2, 2, 2, 2))
        >>> stag_hunt = hq.load_game("stag_hunt").payoffs
        >>> empirical = hq.EmpiricalGame.from_moments(np.full((2, 2), 100), stag_hunt, spread)
        >>> plan = hq.empirical.plan_rollouts(empirical, hq.solve(empirical.game, 8.0), eps=0.001)
        >>> print(plan.additional)
        [[3732 4063]
         [4063 4369]]
    """
    eps = checked_level(eps, "eps", "a half-width in probability")
    check_solution(empirical, solution)
    if empirical.missing == "range":
        raise InputError(
            "empirical", "may have profiles that were never played: play each of them twice before planning"
        )
    if empirical.prior is not None and concrete(empirical.prior_plays) and np.isfinite(float(empirical.prior_plays)):
        raise InputError(
            "empirical", "has a prior that was counted, which no allocation to profiles improves; give prior="
        )
    confidence = confidence_region(empirical, solution, level)
    return _plan(empirical, solution, confidence, jnp.asarray(eps, solution.policy.dtype))


@compiled
def _plan(empirical: AbstractEmpiricalGame, solution: Solution, confidence: Confidence, eps: Scalar) -> RolloutPlan:
    gradient = solution.policy.reshape(-1, 1, 1) * log_policy_gradient(
        solution.problem, solution.log_policy, "payoffs"
    ).reshape(solution.policy.size, empirical.means.shape[0], -1)
    n, spread = play_spread(empirical)
    freedom = (n - 1.0)[None, None]
    pooled = jnp.sum(freedom * spread, -1, keepdims=True) / jnp.maximum(jnp.sum(freedom), 1.0)
    spread = (freedom * spread + pooled) / (freedom + 1.0)
    cost = jnp.diagonal(play_variances(gradient, spread)).T
    t_squared = fisher_quantile(confidence.level, jnp.ones(cost.shape[0]), confidence.degrees_of_freedom.ravel())
    # Intervals are symmetric in log-odds and a little wider than ±t·error on one side: aim as much lower.
    linear = jnp.max(jnp.sqrt(t_squared) * confidence.standard_error.ravel())
    bend = jnp.where(linear > 0, confidence.half_width / jnp.where(linear > 0, linear, 1.0), 1.0)
    done = confidence.half_width <= eps
    goal = eps / (1.0 + (bend - 1.0) * jnp.minimum(1.0, eps / confidence.half_width))
    scaled = cost * t_squared[:, None] / goal**2  # constraint: Σ_a scaled/n ≤ 1
    counts, bound = least_plays(scaled, n)
    added = jnp.where(done, 0.0, jnp.ceil(counts - n - 1e-9))
    each = _uniform(scaled, n)
    shape = empirical.counts.shape
    return RolloutPlan(
        additional=added.astype(int).reshape(shape),
        num_rollouts=jnp.sum(added).astype(int),
        lower_bound=jnp.where(done, 0.0, jnp.maximum(bound - jnp.sum(n), 0.0)),
        uniform=jnp.where(done, 0.0, jnp.ceil(each) * n.size).astype(int),
        half_width=confidence.half_width,
        eps=eps,
    )


def least_plays(
    cost: Float[Array, "entry profile"], floor: Float[Array, " profile"]
) -> tuple[Float[Array, " profile"], Scalar]:
    """Minimise ``Σ_a n(a)`` subject to ``Σ_a cost[e, a]/n(a) ≤ 1`` for every e, and ``n ≥ floor > 0``.

    Args:
        cost: Variance per play, in units of the largest allowed one; not negative.
        floor: Plays that exist.

    Returns:
        A feasible n, and the dual bound, below which no feasible sum lies.
    """

    def allocation(mu):
        weight = mu @ cost
        n = jnp.maximum(floor, jnp.sqrt(weight))
        load = jnp.sum(cost / n[None], axis=-1)
        bound = jnp.sum(n + weight / n) - jnp.sum(mu)
        # Where loads are too large, more of everything that matters is feasible.
        return jnp.where(weight > 0, n * jnp.maximum(1.0, jnp.max(load)), n), load, bound

    def unfinished(state):
        step, _, n, bound, _ = state
        return (step < _MAX_STEPS) & (jnp.sum(n) > (1.0 + _GAP) * bound)

    def advance(state):
        step, mu, best, bound, load = state
        mu = mu * load
        n, load, dual = allocation(mu)
        best = jnp.where(jnp.sum(n) < jnp.sum(best), n, best)
        return step + 1, mu, best, jnp.maximum(bound, dual), load

    # Neyman's allocation for each entry alone, shared out evenly.
    start = jnp.sum(jnp.sqrt(cost), axis=-1) ** 2 / cost.shape[0]
    n, load, bound = allocation(start)
    _, _, best, bound, _ = jax.lax.while_loop(unfinished, advance, (0, start, n, bound, load))
    return best, bound


def _uniform(cost: Float[Array, "entry profile"], floor: Float[Array, " profile"]) -> Scalar:
    """The least k, a real number, with ``Σ_a cost/(floor + k) ≤ 1`` for every entry, by bisection."""
    high = jnp.max(jnp.sum(cost, axis=-1))

    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        good = jnp.max(jnp.sum(cost / (floor[None] + middle), axis=-1)) <= 1.0
        return jnp.where(good, low, middle), jnp.where(good, middle, high)

    return jax.lax.fori_loop(0, 60, halve, (jnp.zeros_like(high), high))[1]
