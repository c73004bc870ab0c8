"""The bootstrap: plays drawn again within each profile, every resampled game solved, as a check on the delta method."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hqre_jax.core._module import AbstractModule
from hqre_jax.core._programs import compiled
from hqre_jax.core._types import InputError, Policy, checked_count, checked_kind
from hqre_jax.empirical._confidence import check_solution
from hqre_jax.empirical._moments import AbstractEmpiricalGame
from hqre_jax.empirical._plays import observed, profile_index, simultaneous_plays
from hqre_jax.rollouts._observations import checked_level
from hqre_jax.rollouts._rollout_log import RolloutLog
from hqre_jax.solving._solution import Solution
from hqre_jax.solving._solve import solve


class Bootstrap(AbstractModule):
    """Equilibria of resampled games.

    Attributes:
        policies: ``(resample, player, information state, action)``.
        successful: Whether each was found; the others are left out of what follows.
        level: Level of the intervals.
        lower: Lower percentiles of each probability.
        upper: Upper percentiles.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> policies = jnp.array([[[[0.4, 0.6]]], [[[0.5, 0.5]]], [[[0.6, 0.4]]]])
        >>> found = hq.empirical.Bootstrap(policies, jnp.array([True, True, True]), level=0.5)
        >>> print(found.lower, found.upper)
        [[[0.45 0.45]]] [[[0.55 0.55]]]
    """

    policies: Float[Array, "resample player state action"]
    successful: Bool[Array, " resample"]
    level: float = eqx.field(static=True)

    @property
    def lower(self) -> Policy:
        """Lower ends of the percentile intervals."""
        return jnp.quantile(self.policies[np.asarray(self.successful)], 0.5 * (1 - self.level), axis=0)

    @property
    def upper(self) -> Policy:
        """Upper ends of the percentile intervals."""
        return jnp.quantile(self.policies[np.asarray(self.successful)], 0.5 * (1 + self.level), axis=0)

    @property
    def half_width(self) -> Float[Array, ""]:
        """Half the length of the longest percentile interval."""
        return jnp.max(self.upper - self.lower) / 2


def bootstrap(
    log: RolloutLog,
    empirical: AbstractEmpiricalGame,
    solution: Solution,
    *,
    level: float = 0.95,
    num_resamples: int = 1000,
    seed: int = 0,
) -> Bootstrap:
    """Draws the plays of each profile again, with replacement, and solves each resampled game.

    Unlike `confidence_region` it is not of first order: where the two differ, errors of the payoffs are so large
    that the equilibrium is no linear function of them (it may leave its branch). It needs profiles of many plays:
    the spread of n resampled plays is ``(n − 1)/n`` times too small.

    Args:
        log: The log from which ``empirical`` was made.
        empirical: The empirical game; its choices about failed and missing plays hold here too.
        solution: A solution of ``empirical.game``; its temperatures and reference are used.
        level: Level of the percentile intervals.
        num_resamples: Resampled games.
        seed: Of numpy's generator.

    Returns:
        The `Bootstrap`.

    Raises:
        InputError: If the log is not that of the empirical game, or the solution not its solution.

    Source: Efron & Tibshirani (1993), ch. 13.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> draw = np.random.default_rng(0)
        >>> plays = draw.integers(2, size=(400, 2))
        >>> paid = (plays[:, :1] == plays[:, 1:]) + draw.normal(size=(400, 2))
        >>> log = hq.RolloutLog.from_plays(plays, paid, num_actions=[[2], [2]])
        >>> empirical = hq.EmpiricalGame.from_log(log)
        >>> found = hq.empirical.bootstrap(log, empirical, hq.solve(empirical.game, 8.0), num_resamples=20)
        >>> int(found.successful.sum()), bool(found.half_width < 0.05)
        (20, True)
    """
    level, num_resamples = checked_level(level), checked_count(num_resamples, "num_resamples")
    checked_count(seed, "seed", least=0)
    check_solution(empirical, solution)
    flat, payoffs = _observed_plays(log, empirical)
    size, players = empirical.counts.size, payoffs.shape[1]
    counts = np.bincount(flat, minlength=size)
    observed = counts.reshape(empirical.counts.shape) > 0
    if not np.array_equal(counts + empirical.pseudo_plays, np.asarray(empirical.counts).ravel()):
        raise InputError("log", "is not the one from which the empirical game was made")
    if not empirical.pseudo_plays and not np.allclose(
        _means(flat, payoffs, counts).reshape(empirical.means.shape)[..., observed],
        np.asarray(empirical.means)[..., observed],
        rtol=1e-9,
        atol=1e-12,
    ):
        raise InputError("log", "holds other payoffs than the empirical game: it is of another game")
    order = np.argsort(flat, kind="stable")
    flat, payoffs = flat[order], payoffs[order]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    centered = payoffs - _means(flat, payoffs, counts)[:, flat].T
    rng = np.random.default_rng(seed)
    moved = np.empty((num_resamples, players, size))
    for k in range(num_resamples):
        drawn = starts[flat] + (rng.random(len(flat)) * counts[flat]).astype(int)
        moved[k] = _means(flat, centered[drawn], counts)
    # Plays that were added by smoothing are no sample: they stay as they are.
    moved *= counts / np.maximum(np.asarray(empirical.counts).ravel(), 1)
    payoffs = np.asarray(empirical.means) + moved.reshape(num_resamples, *empirical.means.shape)
    priors = None
    if empirical.prior is not None:
        prior, plays = np.asarray(empirical.prior), float(empirical.prior_plays)
        drawn = rng.multinomial(int(plays), prior.ravel(), num_resamples) / plays if np.isfinite(plays) else prior
        priors = np.broadcast_to(np.reshape(drawn, (-1, *prior.shape)), (num_resamples, *prior.shape))
    policies, successful = _solve_all(empirical, solution, jnp.asarray(payoffs), priors)
    return Bootstrap(policies, successful, level)


@compiled
def _solve_all(empirical: AbstractEmpiricalGame, solution: Solution, payoffs, priors):
    problem = solution.problem
    reference = jnp.where(problem.mask, jnp.exp(problem.log_reference), 0.0)

    def equilibrium(means, prior):
        game = eqx.tree_at(lambda e: e.means, empirical, means)
        if prior is not None:
            game = eqx.tree_at(lambda e: e.prior, game, prior)
        found = solve(game.game, problem.tau, reference=reference, solver="principal_branch", throw=False)
        return found.policy, found.successful

    if priors is None:
        return jax.vmap(lambda means: equilibrium(means, None))(payoffs)
    return jax.vmap(equilibrium)(payoffs, jnp.asarray(priors))


def _means(flat: np.ndarray, payoffs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means per profile, ``(player, profile)``; 0 where nothing was played."""
    sums = np.stack([np.bincount(flat, payoffs[:, i], len(counts)) for i in range(payoffs.shape[1])])
    return sums / np.maximum(counts, 1)


def _observed_plays(log: RolloutLog, empirical: AbstractEmpiricalGame) -> tuple[np.ndarray, np.ndarray]:
    """Profile (flat index) and payoffs ``(play, player)`` of each play that an empirical game counts."""
    checked_kind(log, RolloutLog, "log")
    players, shape = empirical.means.shape[0], empirical.counts.shape
    actions = shape[-players:]
    states = (1,) * players if empirical.prior is None else empirical.prior.shape
    types, played, payoffs, broken = simultaneous_plays(log, states, actions)
    return observed(profile_index(types, played, states, actions), payoffs, broken, empirical.failed_payoff)
