"""Confidence regions of an equilibrium whose payoffs were estimated from play (delta method)."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hqre_jax.core._module import AbstractModule
from hqre_jax.core._programs import compiled
from hqre_jax.core._simplex import safe_log
from hqre_jax.core._temperatures import concrete
from hqre_jax.core._types import ActionMask, InputError, LogPolicy, Policy, Scalar, checked_kind
from hqre_jax.empirical._branch_ends import branch_to, log_odds, odds_within
from hqre_jax.empirical._influence import log_policy_gradient, play_variances
from hqre_jax.empirical._moments import AbstractEmpiricalGame
from hqre_jax.empirical._plays import possible_profiles
from hqre_jax.empirical._quantiles import fisher_quantile
from hqre_jax.rollouts._observations import checked_level
from hqre_jax.solving._solution import Solution

# Fewer plays of a profile say too little of their own spread.
_FEWEST = 20
# Third cumulant over cubed error of an estimate, beyond which its law is too lopsided for Student's quantile.
_LOPSIDED = 0.2
# Part of the error that is left to a branch that goes to another equilibrium.
_ELSEWHERE = 0.1
_DOUBTS = (
    f"profiles of fewer than {_FEWEST} plays",
    "profiles whose payoffs never varied, and no payoff_range that bounds them",
    "payoffs too lopsided for so few plays, or of unknown skewness",
    "a branch that could not be followed at all likely payoffs, or does not end at this solution",
)


class Confidence(AbstractModule):
    """What sampled payoffs say about where the equilibrium of the true payoffs is.

    Attributes:
        level: Probability with which each interval, and separately the joint region, covers where it is `trusted`.
        policy: The equilibrium of the mean payoffs, ``(player, information state, action)``.
        lower: Lower ends of the intervals of single probabilities.
        upper: Upper ends.
        standard_error: Of each probability.
        degrees_of_freedom: Of each interval (Welch–Satterthwaite).
        unknown: How far profiles that were never played may move each probability, to first order; it is part
            of the intervals, not of the joint region.
        log_covariance: Covariance of ``log π̂``, entries in the order of the flattened policy.
        joint_degrees_of_freedom: Of the joint region.
        stretch: By what the longer side of an interval of log-odds is longer than to first order, because the
            equilibrium bends, or may be another, within the likely payoffs.
        doubts: What speaks against the level, in the order of `reasons`.
        mask: Valid actions.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> spread = np.broadcast_to(np.eye(2)[:, :, None, None], (2, 2, 2, 2))
        >>> counts, means = np.full((2, 2), 100), hq.load_game("stag_hunt").payoffs
        >>> empirical = hq.EmpiricalGame.from_moments(counts, means, spread, third=np.zeros((2, 2, 2)))
        >>> known = hq.empirical.confidence_region(empirical, hq.solve(empirical.game, 8.0))
        >>> bool(known.covers(known.policy).all()), known.reasons
        (True, ())
    """

    level: Scalar
    policy: Policy
    lower: Policy
    upper: Policy
    standard_error: Policy
    degrees_of_freedom: Policy
    unknown: Policy
    log_policy: LogPolicy
    log_covariance: Float[Array, "entry entry"]
    joint_degrees_of_freedom: Scalar
    stretch: Policy
    doubts: Bool[Array, " doubt"]
    mask: ActionMask

    @property
    def trusted(self) -> Bool[Array, ""]:
        """Whether the level can be relied upon; if not, `reasons` says why, and intervals may cover less often."""
        return ~jnp.any(self.doubts)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the level is not to be trusted; empty where it is."""
        return tuple(reason for reason, holds in zip(_DOUBTS, np.asarray(self.doubts), strict=True) if holds)

    @property
    def half_width(self) -> Scalar:
        """The largest distance between a probability and an end of its interval."""
        return jnp.max(jnp.maximum(self.upper - self.policy, self.policy - self.lower))

    def distance(self, policy: Policy) -> Scalar:
        """Hotelling's ``T² = δᵀ Σ⁻¹ δ`` of a policy, δ the difference of log-ratios to each row's last action.

        Args:
            policy: Interior policy of the same shape.

        Returns:
            T², infinite where the policy differs in a direction in which nothing is uncertain.
        """
        basis, free = _log_ratios(self.mask)
        delta = basis @ (safe_log(policy, self.mask) - self.log_policy).ravel()
        covariance = basis @ self.log_covariance @ basis.T
        scale = jnp.sqrt(jnp.diagonal(covariance))
        # Coordinates that stand for nothing, and those that are known exactly, get a unit of their own.
        sure = scale == 0
        impossible = jnp.any(sure & free & (delta != 0))
        scale = jnp.where(sure, 1.0, scale)
        correlation = covariance / scale[:, None] / scale[None, :] + jnp.diag(jnp.where(sure, 1.0, 0.0))
        delta = jnp.where(sure, 0.0, delta / scale)
        return jnp.where(impossible, jnp.inf, delta @ jnp.linalg.solve(correlation, delta))

    @property
    def radius(self) -> Scalar:
        """The largest T² of the joint region, ``dν/(ν − d + 1)`` times the quantile of F(d, ν − d + 1), stretched."""
        d = jnp.sum(_log_ratios(self.mask)[1]).astype(self.level.dtype)
        rest = jnp.maximum(self.joint_degrees_of_freedom - d + 1.0, 1.0)
        return jnp.max(self.stretch) ** 2 * d * (rest + d - 1.0) / rest * fisher_quantile(self.level, d, rest)

    def contains(self, policy: Policy) -> Bool[Array, ""]:
        """Whether a policy lies in the joint region, an ellipsoid of log-ratios."""
        return self.distance(policy) <= self.radius

    def covers(self, policy: Policy) -> Bool[Array, "player state action"]:
        """Whether each probability of a policy lies in its interval; padding does."""
        return (self.lower <= policy) & (policy <= self.upper)

    def __repr__(self) -> str:
        if not concrete(self.policy) or self.policy.ndim != 3:
            return "Confidence(batch)"
        shown = f"level={float(self.level):g}, half_width={float(self.half_width):.3g}"
        doubt = f", level not to be trusted: {'; '.join(self.reasons)}" if self.reasons else ""
        return f"Confidence({shown}{doubt})"


@compiled
def _confidence(empirical: AbstractEmpiricalGame, solution: Solution, level: Scalar) -> Confidence:
    problem, log_policy, mask = solution.problem, solution.log_policy, solution.problem.mask
    branch = branch_to(problem, log_policy)
    gradient = branch.gradients[-1]
    players = gradient.shape[1]
    gradient = gradient.reshape(gradient.shape[0], players, -1)
    n, spread = play_spread(empirical)
    rare, level_left = _rare(empirical, n, level)
    shares = play_variances(gradient, spread) / n[None, None]
    covariance = jnp.sum(shares, axis=-1)
    freedom = jnp.maximum(n - 1.0, 1.0)
    own = jnp.diagonal(shares).T  # (entry, profile)
    if empirical.prior is not None:
        counted = _prior_share(empirical, solution)
        covariance = covariance + counted
        own = jnp.concatenate([own, jnp.diagonal(counted)[:, None]], axis=-1)
        freedom = jnp.append(freedom, jnp.maximum(empirical.prior_plays - 1.0, 1.0))
    variance = jnp.sum(own, axis=-1)
    nu = _ratio(variance**2, jnp.sum(own**2 / freedom[None], axis=-1))
    # On the scale of log-odds intervals stay within [0, 1] and errors are closer to normal.
    policy = solution.policy
    others = jnp.sum(jnp.where(mask, policy, 0.0), -1, keepdims=True) - policy
    per_odds = 1.0 / jnp.where(mask & (others > 0), others, jnp.inf)  # d log-odds / d log π
    shape = mask.shape
    error = jnp.sqrt(variance).reshape(shape)
    known_range = jnp.isfinite(empirical.width)
    half = empirical.unknown.reshape(players, -1) + jnp.where(known_range, rare, 0.0)
    unknown = jnp.sum(jnp.abs(gradient) * half[None], axis=(1, 2)).reshape(shape)
    quantile = jnp.sqrt(fisher_quantile(level_left, jnp.ones(shape), nu.reshape(shape)))
    odds = log_odds(log_policy, mask)
    reach = per_odds * quantile * error
    rest = _ELSEWHERE * (1.0 - level_left)
    elsewhere = jnp.sqrt(fisher_quantile(1.0 - rest, jnp.ones_like(quantile), nu.reshape(shape)))
    least, largest, found = odds_within(problem, branch, spread / n[None, None], quantile, elsewhere)
    down, up = jnp.maximum(reach, odds - least), jnp.maximum(reach, largest - odds)
    stretch = jnp.where(mask & (reach > 0), jnp.maximum(down, up) / jnp.where(reach > 0, reach, 1.0), 1.0)
    possible = (
        jnp.ones(n.shape, bool)
        if empirical.prior is None
        else jnp.broadcast_to(
            (empirical.prior > 0).reshape(empirical.prior.shape + (1,) * players), empirical.counts.shape
        ).ravel()
    )
    played = possible & (jnp.max(empirical.unknown.reshape(players, -1), axis=0) == 0)
    third = jnp.where(played[None], empirical.third.reshape(players, -1), 0.0)
    cubes = jnp.sum(jnp.abs(gradient**3 * third[None] / n[None, None] ** 2), axis=(1, 2))
    lopsided = (variance > 0) & ~(cubes <= _LOPSIDED * variance**1.5)
    doubts = jnp.stack(
        [
            jnp.any(played & (n < _FEWEST)),
            jnp.any(rare * played[None] > 0) & ~known_range,
            jnp.any(lopsided),
            ~(branch.arrives & found),
        ]
    )
    return Confidence(
        level=level,
        policy=policy,
        lower=jnp.where(mask & (others > 0), _sigmoid(odds - down - per_odds * unknown), policy),
        upper=jnp.where(mask & (others > 0), _sigmoid(odds + up + per_odds * unknown), policy),
        standard_error=policy * error,
        degrees_of_freedom=nu.reshape(shape),
        unknown=policy * unknown,
        log_policy=log_policy,
        log_covariance=covariance,
        joint_degrees_of_freedom=_joint_freedom(shares, covariance, n, mask),
        stretch=stretch,
        doubts=doubts,
        mask=mask,
    )


def confidence_region(empirical: AbstractEmpiricalGame, solution: Solution, level: Any = 0.95) -> Confidence:
    """Confidence intervals of the probabilities of an HQRE, and a joint region, by the delta method.

    With ``g_e = ∂ log π_e/∂u`` from the implicit function theorem, ``cov(log π̂) = Σ_a g(a)ᵀ S(a) g(a)/n(a)``.
    Intervals are symmetric in log-odds, with Student's quantile t at Welch–Satterthwaite degrees of freedom; the
    joint region is Hotelling's in log-ratios, with the degrees of freedom of Krishnamoorthy & Yu (2004). Intervals
    are lengthened to the least and the largest log-odds within t standard errors of the payoffs (profile likelihood),
    where these are farther. To which equilibrium the principal branch goes is decided on its way, next to a fork or
    at a fold: if payoffs within the quantile of a tenth of the error, in the direction to which that place is most
    sensitive, lead elsewhere, the interval reaches there. The joint region is stretched by as much. What that cannot
    make good (few plays, payoffs that never varied, lopsided ones, a branch that cannot be followed) is said by
    `trusted` and `Confidence.reasons`; then compare with `bootstrap`.

    Args:
        empirical: The empirical game. Every profile needs two plays. One whose payoffs never varied may pay something
            else by ``1 − δ^{1/(n−1)}`` of a stated range, δ half of the error left, shared by all of these.
        solution: A solution of ``empirical.game``, at any temperatures.
        level: Probability of covering; 0.95 by default.

    Returns:
        The `Confidence`. Works under ``jit`` and ``vmap``.

    Raises:
        InputError: If the solution is of another game, a profile has fewer than two plays, or level is no
            probability.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> spread = np.broadcast_to(np.eye(2)[:, :, None, None], (2, 2, 2, 2))
        >>> counts, means = np.full((2, 2), 100), hq.load_game("stag_hunt").payoffs
        >>> empirical = hq.EmpiricalGame.from_moments(counts, means, spread, third=np.zeros((2, 2, 2)))
        >>> known = hq.empirical.confidence_region(empirical, hq.solve(empirical.game, 8.0))
        >>> print(known.lower[0].round(3), known.upper[0].round(3))
        [[0.455 0.532]] [[0.468 0.545]]
    """
    level = checked_level(level)
    check_solution(empirical, solution)
    return _confidence(empirical, solution, jnp.asarray(level, solution.policy.dtype))


def check_solution(empirical: AbstractEmpiricalGame, solution: Solution) -> None:
    """Rejects a solution of another game, and profiles whose payoffs have no variance yet."""
    checked_kind(empirical, AbstractEmpiricalGame, "empirical", "EmpiricalGame.from_log(log) gives one")
    checked_kind(solution, Solution, "solution", "solve(empirical.game, tau) gives one")
    game = solution.problem.game
    payoffs = getattr(game, "payoffs", None)
    if payoffs is None or payoffs.shape != empirical.means.shape:
        raise InputError("solution", "is of another game: solve empirical.game")
    if not (concrete(payoffs) and concrete(empirical.means)):
        return
    relevant = _relevant(empirical)
    if not np.array_equal(np.asarray(payoffs) * relevant, np.asarray(empirical.means) * relevant):
        raise InputError("solution", "is of other payoffs: solve empirical.game")
    known = np.asarray(empirical.unknown).max(0) == 0
    few = np.argwhere(known & relevant & (np.asarray(empirical.counts) < 2))
    if few.size:
        raise InputError(
            "empirical", f"has {len(few)} profiles of fewer than two plays, {tuple(map(int, few[0]))} first: play them"
        )


def _relevant(empirical: AbstractEmpiricalGame) -> np.ndarray:
    """Profiles whose types are possible."""
    shape = empirical.means.shape[1:]
    return np.ones(shape, bool) if empirical.prior is None else possible_profiles(np.asarray(empirical.prior), shape)


def play_spread(
    empirical: AbstractEmpiricalGame,
) -> tuple[Float[Array, " profile"], Float[Array, "player player profile"]]:
    """Plays of each profile, and covariances of one play; what is not known adds nothing here."""
    players = empirical.means.shape[0]
    n = jnp.maximum(empirical.counts.reshape(-1), 1.0)
    spread = empirical.covariances.reshape(players, players, -1)
    return n, jnp.where(jnp.isnan(spread), 0.0, spread)


def _rare(
    empirical: AbstractEmpiricalGame, n: Float[Array, " profile"], level: Scalar
) -> tuple[Float[Array, "player profile"], Scalar]:
    """How far means that never varied may be off (1 where no range is stated), and the level left to the rest."""
    players = empirical.means.shape[0]
    variance = jnp.moveaxis(jnp.diagonal(empirical.covariances), -1, 0).reshape(players, -1)
    rounding = (4 * jnp.finfo(variance.dtype).eps * empirical.means.reshape(players, -1)) ** 2
    constant = (variance <= rounding) & (empirical.counts.reshape(1, -1) >= 2)
    number = jnp.maximum(jnp.sum(constant), 1)
    bounded = jnp.isfinite(empirical.width) & jnp.any(constant)
    delta = 0.5 * (1.0 - level) / number
    share = -jnp.expm1(jnp.log(delta) / jnp.maximum(n - 1.0, 1.0))
    width = jnp.where(jnp.isfinite(empirical.width), empirical.width, 1.0)
    return jnp.where(constant, width * share[None], 0.0), jnp.where(bounded, 0.5 * (1.0 + level), level)


def _prior_share(empirical: AbstractEmpiricalGame, solution: Solution) -> Float[Array, "entry entry"]:
    """Covariance of ``log π̂`` by the sampling error of a counted prior: multinomial."""
    gradient = log_policy_gradient(solution.problem, solution.log_policy, "prior")
    gradient = gradient.reshape(gradient.shape[0], -1)
    prior = solution.problem.game.prior.reshape(-1)  # pyright: ignore[reportAttributeAccessIssue]
    mean = gradient @ prior
    return ((gradient * prior[None]) @ gradient.T - mean[:, None] * mean[None, :]) / empirical.prior_plays


def _log_ratios(mask: ActionMask) -> tuple[Float[Array, "entry entry"], Bool[Array, " entry"]]:
    """The matrix from ``log π`` to log-ratios to each row's last valid action, and which of them are free."""
    last = mask.shape[-1] - 1 - jnp.argmax(mask[..., ::-1], axis=-1)  # (player, state)
    index = jnp.arange(mask.size).reshape(mask.shape)
    reference = jnp.take_along_axis(index, last[..., None], axis=-1)
    free = mask & (index != reference)
    rows = jnp.broadcast_to(reference, mask.shape).ravel()
    basis = jnp.eye(mask.size) - jnp.eye(mask.size)[rows]
    return jnp.where(free.ravel()[:, None], basis, 0.0), free.ravel()


def _joint_freedom(shares, covariance, n, mask) -> Scalar:
    """``(d + d²) / Σ_a [tr((Σ_a Σ⁻¹)²) + tr(Σ_a Σ⁻¹)²]/(n_a − 1)`` in log-ratios."""
    basis, free = _log_ratios(mask)
    d = jnp.sum(free)
    total = basis @ covariance @ basis.T
    scale = jnp.sqrt(jnp.diagonal(total))
    sure = scale == 0
    scale = jnp.where(sure, 1.0, scale)
    reduced = jnp.einsum("ie,efa,jf->aij", basis, shares, basis) / (scale[:, None] * scale[None, :])[None]
    total = total / scale[:, None] / scale[None, :] + jnp.diag(jnp.where(sure, 1.0, 0.0))
    part = jnp.linalg.solve(total[None], reduced)
    trace = jnp.trace(part, axis1=1, axis2=2)
    square = jnp.einsum("aij,aji->a", part, part)
    return _ratio(d + d**2, jnp.sum((square + trace**2) / jnp.maximum(n - 1.0, 1.0)))


def _ratio(a, b):
    """``a/b``, infinite where nothing is uncertain."""
    return jnp.where(b > 0, a / jnp.where(b > 0, b, 1.0), jnp.inf)


def _sigmoid(x):
    return 1.0 / (1.0 + jnp.exp(-x))
