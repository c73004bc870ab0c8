"""`diagnose`: from what was played and what it paid to a verdict on the stability of play, and a cure."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from hqre_jax.bounds import bounds
from hqre_jax.core._temperatures import full_tau, real_numbers
from hqre_jax.core._types import InputError, Labels, checked_kind, checked_labels
from hqre_jax.problem import Problem, full_policy, posed
from hqre_jax.rollouts._observations import checked_level, checked_mask, checked_number
from hqre_jax.stability._directional import (
    LEAST_RATIO,
    Directional,
    checked_step,
    directional,
    effective_temperature,
    soft_gap,
)
from hqre_jax.stability._estimates import ActionValueEstimates
from hqre_jax.stability._interactions import InteractionEstimates
from hqre_jax.stability._intervals import Interval
from hqre_jax.stability._path import drift_index, oscillation_index

Table = Float[np.ndarray, "player state"]


class Stability(StrEnum):
    """What the data say of play at these temperatures, with this step.

    Example:
        >>> import hqre_jax as hq
        >>> hq.stability.Stability.stable == "stable", [str(verdict) for verdict in hq.stability.Stability]
        (True, ['stable', 'unstable', 'not_enough_data'])
    """

    stable = "stable"
    unstable = "unstable"
    not_enough_data = "not_enough_data"


@dataclass(frozen=True)
class Alarm:
    """A hypothesis of convergence that the data refute.

    Attributes:
        kind: ``"divergence"``: play moves away from itself, the margin at these weights is negative;
            ``"overshooting"``: the step is too large for any positive margin.
        rounds: The two policies that show it, numbered from 0.
        value: Directional margin (units of payoff) or contraction ratio (pure number).
        culprits: The decision points (player, information state) that are responsible beyond doubt; all that
            moved, where no single one is.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> margin = hq.stability.Interval(jnp.array(-0.7), jnp.array(-0.8), jnp.array(-0.6))
        >>> alarm = hq.stability.Alarm("divergence", rounds=(0, 1), value=margin, culprits=((0, 0),))
        >>> print(f"{alarm.kind} between rounds {alarm.rounds}: margin {alarm.value}")
        divergence between rounds (0, 1): margin -0.7 [-0.8, -0.6]
    """

    kind: str
    rounds: tuple[int, int]
    value: Interval
    culprits: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class StabilityReport:
    """A verdict on the stability of play, with the evidence.

    Attributes:
        verdict: ``unstable``: an alarm; ``stable``: no alarm, and the estimated interactions give a positive margin at
            the confidence level; ``not_enough_data`` otherwise.
        alarms: What was refuted. Overshooting is none where ``contraction`` is below 1 at the confidence level: play
            then swings while it converges.
        reasons: Why the data are not enough, or what limits the verdict.
        tau: Temperatures that were judged, ``(player, information state)``, units of payoff.
        margin: Margin κ from estimated interactions, with its lower confidence limit (no upper one is known, as other
            weights may do better); None where interactions are unknown. With three agents or more whose payoffs are
            not sums over pairs it is the margin about the policies that were played.
        contraction: ``spr(T⁻¹Λ)`` of the logit map (T1) from estimated interactions, with its upper confidence limit.
            Below 1 mirror updates of every step converge: their logits obey
            ``span(e⁺) ≤ (1 + ηT)⁻¹(1 + ηΛ) span(e)``, decision point by decision point.
        max_step: Largest step ``κ/L²`` of T2 in the estimated game, 1/payoff; not a number without a margin.
        directions: Pairs of rounds, and what each pair shows. Margins there are upper bounds: large ones
            certify nothing.
        gaps: Regularised gap of each round and player (with the logged frequencies of information states where
            these are known), units of payoff.
        regret: Sum of the gaps over rounds, per player.
        oscillation: Oscillation index, ``(player, information state)``; 0 with fewer than three policies.
        drift: Drift index, ``(player, information state)``.
        effective_tau: Temperatures that the last policy acts by, with intervals.
        least_tau: Least temperatures that would make the estimated margin positive; None if unknown.
        level: Confidence level of every alarm and limit.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> path = [[[[0.9, 0.1]], [[0.1, 0.9]]], [[[0.1, 0.9]], [[0.9, 0.1]]], [[[0.9, 0.1]], [[0.1, 0.9]]]]
        >>> one, many = np.ones((2, 1, 2)), np.full((2, 1, 2), 1e4)
        >>> values = 1 - np.array(path)
        >>> estimates = [hq.stability.ActionValueEstimates.independent(value, one, many) for value in values]
        >>> report = hq.diagnose(path, estimates, 0.1)
        >>> report.culprits, {alarm.kind for alarm in report.alarms}
        (((0, 0), (1, 0)), {'overshooting'})
        >>> print(str(report).splitlines()[0])
        unstable (99 % confidence, 3 policies)
    """

    verdict: Stability
    alarms: tuple[Alarm, ...]
    reasons: tuple[str, ...]
    tau: Table
    margin: Interval | None
    contraction: Interval | None
    max_step: float
    directions: tuple[tuple[tuple[int, int], Directional], ...]
    gaps: Float[np.ndarray, "round player"]
    regret: Float[np.ndarray, " player"]
    oscillation: Table
    drift: Table
    effective_tau: Interval
    least_tau: Table | None
    level: float
    used: Bool[np.ndarray, "player state"]
    labels: Labels = field(default_factory=Labels)

    @property
    def culprits(self) -> tuple[tuple[int, int], ...]:
        """Decision points (player, information state) that some alarm holds responsible."""
        return tuple(sorted({point for alarm in self.alarms for point in alarm.culprits}))

    def __str__(self) -> str:
        percent = f"{100 * self.level:g} %"
        lines = [f"{self.verdict.replace('_', ' ')} ({percent} confidence, {len(self.gaps)} policies)"]
        for alarm in self.alarms:
            what = "margin" if alarm.kind == "divergence" else "contraction ratio"
            rounds = f"between policies {alarm.rounds[0]} and {alarm.rounds[1]}"
            lines.append(f"  {alarm.kind}: {what} {alarm.value} {rounds}")
        if self.culprits:
            lines.append("  cause: " + ", ".join(self._name(*point) for point in self.culprits))
        lines += [f"  {reason}" for reason in self.reasons]
        if self.margin is not None:
            step = f"; steps up to {self.max_step:.3g} converge" if self.max_step > 0 else ""
            estimate, lower = float(self.margin.estimate), float(self.margin.lower)
            lines.append(f"  margin from interactions: {estimate:.4g}, at least {lower:.4g}{step}")
        if self.contraction is not None and self.contraction.upper < 1:
            lines.append(f"  contraction at most {float(self.contraction.upper):.4g}: updates of every step converge")
        lines.append("  regret so far: " + ", ".join(f"{x:.4g}" for x in self.regret))
        cures = () if self.least_tau is None else np.argwhere(self.used & (self.least_tau > self.tau))
        for i, x in (map(int, point) for point in cures):
            now, then = self.tau[i, x], self.least_tau[i, x]  # pyright: ignore[reportOptionalSubscript]
            lines.append(f"  cure: raise the temperature of {self._name(i, x)} from {now:.4g} to {then:.4g}")
        return "\n".join(lines)

    def _name(self, i: int, x: int) -> str:
        player = self.labels.players[i] if i < len(self.labels.players) else f"player {i + 1}"
        alone = self.used[i].sum() == 1
        return player if alone else f"{player} at {self.labels.information_state(i, x)}"


def diagnose(
    policies: Any,
    estimates: Sequence[ActionValueEstimates],
    tau: Any,
    *,
    interactions: InteractionEstimates | None = None,
    step: Any = np.inf,
    weights: Any = None,
    reference: Any = None,
    action_mask: Any = None,
    margin: float | None = None,
    level: float = 0.99,
    labels: Labels | None = None,
) -> StabilityReport:
    """Judge the stability of play from rollouts alone.

    Each round's policy is compared with the next one, and the first with the last. An alarm is raised where the
    confidence interval of the directional margin lies below 0 or that of the contraction ratio below
    ``1 − 2/√3`` (see `directional`), Bonferroni over all comparisons: with exact weights a problem that T2
    certifies raises one with probability ``1 − level`` at most. Silence certifies nothing: "stable" needs a positive
    lower limit of the margin from interactions.

    Args:
        policies: π^0, …, π^K, ``(time, player, information state, action)``, interior, K ≥ 1.
        estimates: Estimates of the action values under each of them, from different rollouts.
        tau: Temperatures as in `solve`, units of payoff; or a `Problem`, which says reference, valid actions and
            names too.
        interactions: Estimated payoffs of pairs, for the margin and the cure.
        step: η of the agents' updates, 1/payoff; infinite for logit responses.
        weights: w of the margin, as ``tau``; by default those that are best in the estimated game, else 1.
        reference: ρ, uniform by default.
        action_mask: Valid actions; by default those of positive probability.
        margin: Margin that the cure is to reach, units of payoff; by default 1 % of the largest temperature.
        level: Confidence level.
        labels: Names for the report.

    Returns:
        `StabilityReport`; ``str`` of it is meant to be read.

    Raises:
        InputError: On bad input.

    Source: theory.md, T6.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> path = [[[[0.9, 0.1]], [[0.1, 0.9]]], [[[0.1, 0.9]], [[0.9, 0.1]]], [[[0.9, 0.1]], [[0.1, 0.9]]]]
        >>> values = [[[[0.1, 0.9]], [[0.9, 0.1]]], [[[0.9, 0.1]], [[0.1, 0.9]]], [[[0.1, 0.9]], [[0.9, 0.1]]]]
        >>> one, many = np.ones((2, 1, 2)), np.full((2, 1, 2), 1e4)
        >>> estimates = [hq.stability.ActionValueEstimates.independent(v, one, many) for v in values]
        >>> hq.diagnose(path, estimates, 0.1).verdict
        <Stability.unstable: 'unstable'>
    """
    level = checked_level(level)
    estimates = listed(estimates, "estimates", ActionValueEstimates)
    if isinstance(tau, Problem):
        problem = posed(tau, reference=reference)
        if action_mask is not None and not np.array_equal(action_mask, problem.mask):
            raise InputError("action_mask", "is not what the problem says: give it once, to the game")
        tau, reference, action_mask = problem.tau, problem.reference(), problem.mask
        labels = labels or problem.game.labels
    path = np.asarray(real_numbers(policies, "policies"), np.float64)
    if path.ndim != 4 or len(path) < 2 or len(estimates) != len(path):
        raise InputError(
            "policies",
            f"have shape {path.shape}, with {len(estimates)} estimates; two policies or more, (time, player, "
            "information state, action), and estimates of each are wanted",
        )
    mask = checked_mask(np.any(path > 0, axis=0) if action_mask is None else action_mask)
    for k, (policy, estimate) in enumerate(zip(path, estimates, strict=True)):
        full_policy(policy, jnp.asarray(mask), path.dtype, f"policies[{k}]", interior=True)
        if estimate.mean.shape != mask.shape:
            raise InputError(f"estimates[{k}]", f"have shape {estimate.mean.shape}, where {mask.shape} is wanted")
    _check_parts(interactions, mask, margin, labels)
    used = np.asarray(np.any(mask, axis=-1))
    full = np.asarray(full_tau(tau, jnp.asarray(mask), path.dtype))
    given = None if weights is None else full_tau(weights, jnp.asarray(mask), path.dtype, "weights")
    checked_step(step, path.dtype)
    if reference is not None:
        full_policy(reference, jnp.asarray(mask), path.dtype, "reference", interior=True)
    known = _Known.of(interactions, full, mask, margin, level)
    w = known.weights if given is None else given
    rounds = sorted({*itertools.pairwise(range(len(path))), (0, len(path) - 1)})
    rounds = [(j, k) for j, k in rounds if not np.array_equal(path[j], path[k])]
    share = 1 - (1 - level) / max(2 * len(rounds), 1)
    found = tuple(
        ((j, k), _compare(path[j], path[k], estimates[j], estimates[k], full, step, w, mask, share)) for j, k in rounds
    )
    converges = known.contraction is not None and float(known.contraction.upper) < 1
    alarms = tuple(alarm for pair, seen in found for alarm in _alarms(pair, seen, converges))
    reasons = known.reasons + _missing(found, estimates, mask)
    gaps = [soft_gap(p, q, full, reference=reference, action_mask=mask, level=level)
            for p, q in zip(path, estimates, strict=True)]  # fmt: skip
    visits = np.stack([np.asarray(q.count).sum(-1) for q in estimates])
    reach = visits / np.maximum(visits.sum(-1, keepdims=True), 1)
    losses = np.sum(reach * np.stack([np.asarray(g.estimate) for g in gaps]), axis=-1)
    certified = known.margin is not None and float(known.margin.lower) > 0
    verdict = Stability.unstable if alarms else Stability.stable if certified else Stability.not_enough_data
    acting = effective_temperature(path[-1], estimates[-1], reference=reference, action_mask=mask, level=level)
    return StabilityReport(
        verdict=verdict,
        alarms=alarms,
        reasons=() if verdict == Stability.stable else reasons,
        tau=full,
        margin=known.margin,
        contraction=known.contraction,
        max_step=known.max_step,
        directions=found,
        gaps=losses,
        regret=losses.sum(0),
        oscillation=np.asarray(oscillation_index(path)) if len(path) > 2 else np.zeros(used.shape),
        drift=np.asarray(drift_index(path)),
        effective_tau=acting,
        least_tau=known.least_tau,
        level=level,
        used=used,
        labels=checked_labels(labels),
    )


def listed(values: Any, field: str, kind: type) -> Sequence[Any]:
    """A list of objects of one kind."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InputError(field, f"is a {type(values).__name__}; a list of {kind.__name__} is wanted")
    return [checked_kind(value, kind, f"{field}[{k}]") for k, value in enumerate(values)]


def _check_parts(interactions: Any, mask: Bool[np.ndarray, "player state action"], margin: Any, labels: Any) -> None:
    if interactions is not None:
        checked_kind(interactions, InteractionEstimates, "interactions", "InteractionEstimates are wanted")
    if interactions is not None and interactions.action_mask.shape != mask.shape:
        shape = interactions.action_mask.shape
        raise InputError("interactions", f"are of a game of shape {shape}, where {mask.shape} is wanted")
    if margin is not None:
        checked_number(margin, "margin", above=0.0)
    checked_labels(labels)


@dataclass(frozen=True, eq=False)
class _Known:
    """What the estimated interactions say."""

    weights: Table
    margin: Interval | None
    contraction: Interval | None
    max_step: float
    least_tau: Table | None
    reasons: tuple[str, ...]

    @classmethod
    def of(
        cls,
        interactions: InteractionEstimates | None,
        tau: Table,
        mask: Bool[np.ndarray, "player state action"],
        margin: float | None,
        level: float,
    ) -> "_Known":
        ones = np.ones(tau.shape)
        if interactions is None or not interactions.meets.any():
            return cls(
                ones, None, None, np.nan, None, ("no plays that show two agents acting at once: margin unknown",)
            )
        points = len(interactions.visits)
        known = bounds(Problem(interactions.game(), tau.reshape(points, 1)))
        weights = np.asarray(known.weights).reshape(points)
        root = np.sqrt(np.where(weights > 0, weights, 1.0))
        off = interactions.radius(level)
        # By Weyl: κ falls by at most half the largest eigenvalue of what C may be too small by.
        error = 0.25 * (weights[:, None] * off + (weights[:, None] * off).T) / (root[:, None] * root[None, :])
        lost = 0.5 * np.linalg.eigvalsh(error)[-1] if np.isfinite(error).all() else np.inf
        kappa = float(known.margin)
        goal = 0.01 * float(tau[mask.any(-1)].max()) if margin is None else margin
        least = interactions.least_temperatures(goal)
        reasons = interactions.doubts()
        if kappa <= 0:
            reasons += ("the estimated margin is not positive: nothing rules out that play will go wrong",)
        elif kappa <= lost and np.isfinite(lost):
            reasons += (
                f"the margin is uncertain by {lost:.3g}: about {(lost / kappa) ** 2:.1f} times the plays needed",
            )
        limits = Interval(*(jnp.asarray(part) for part in (kappa, kappa - lost, np.inf)))
        w = np.where(weights > 0, weights, 1.0).reshape(tau.shape)
        influence = interactions.influence()
        pulls = [part / tau.reshape(points, 1) for part in (influence, influence + 0.25 * off)]
        radii = [float(np.abs(np.linalg.eigvals(m)).max()) if np.isfinite(m).all() else np.inf for m in pulls]
        contraction = Interval(*(jnp.asarray(part) for part in (radii[0], 0.0, radii[1])))
        return cls(w, limits, contraction, float(known.max_step), least, reasons)


def _compare(p, q, first, second, tau, step, weights, mask, level) -> Directional:
    return directional(p, q, first, second, tau, step=step, weights=weights, action_mask=mask, level=level)


def _alarms(pair: tuple[int, int], seen: Directional, converges: bool) -> list[Alarm]:
    """Refuted hypotheses, with the points whose own terms refute them."""
    out, moved = [], np.isfinite(np.asarray(seen.ratios.estimate))
    if seen.diverges:
        out.append(Alarm("divergence", pair, seen.margin, _points(np.asarray(seen.terms.upper) < 0, moved)))
    if seen.overshoots and not converges:
        out.append(Alarm("overshooting", pair, seen.ratio, _points(np.asarray(seen.ratios.upper) < LEAST_RATIO, moved)))
    return out


def _points(beyond_doubt: np.ndarray, moved: np.ndarray) -> tuple[tuple[int, int], ...]:
    chosen = beyond_doubt & moved if np.any(beyond_doubt & moved) else moved
    return tuple((int(i), int(x)) for i, x in np.argwhere(chosen))


def _missing(found: tuple, estimates: Sequence[ActionValueEstimates], mask: np.ndarray) -> tuple[str, ...]:
    if not found:
        return ("the policies are all equal: nothing is seen of what happens when they move",)
    poor = sum(int((mask & ~np.asarray(q.known())).sum()) for q in estimates)
    return (f"{poor} actions were tried less than twice under some policy",) if poor else ()
