"""T6: what rollouts under two policies say of the stability of play, how surely, and what they cannot say.

Problem
    Agents play π for n rounds and π' for n rounds; ``d = π − π'``. Nobody knows the game: there are the policies (or
    the logged propensities) and the payoffs of the rollouts. ``Q̂_i(x, a)`` is the mean of agent i's payoffs where it
    was at x and played a. Temperatures τ, weights w, step η. Can one tell whether play is unstable?

Statement
    With ``J = Σ_a d(a) (log π − log π')(a)`` at each decision point, and ``⟨ΔQ, d⟩ = ⟨Q(π) − Q(π'), d⟩``, let

        κ_d = (Σ w τ J − Σ w ⟨ΔQ, d⟩) / Σ w J,          L_d = ‖½ span ΔQ‖_w / ‖d‖_w,
        r_d = (Σ w J + η Σ w ⟨ΔQ, d⟩) / Σ w (1+ητ) J.

    (a) ``κ ≤ κ_d`` and ``L_d ≤ L``, whatever the game; if κ > 0 and ``η ≤ κ/L²``, then ``1 − 2/√3 ≤ r_d < 1``. So
        κ_d < 0 refutes the margin at w, and r_d < 1 − 2/√3 = −0.1547 the step. A large κ_d certifies nothing.
    (b) κ̂ (Q̂ in place of Q) is unbiased, and its 95 % interval covers κ_d in 93 to 97 % of all experiments.
    (c) With at most 2,000 rollouts per policy and information state the alarm (κ̂ or r̂ beyond its limit at 99 %
        confidence) is raised in at least 99 % of the games that T7 is about: best responses and too large steps that
        swing between two conventions, noisy play that drifts from one to the other, each with a tenth of the play
        spent on exploring.
    (d) In games with κ > 0 at w, for steps ``η ≤ κ/L²``, it is raised in at most 1 %, on the boundary κ → 0 as well.

Proof
    (a) T1's inequality ``Σ w ⟨ΔQ, d⟩ ≤ Σ w (τ − κ) J``, divided by Σ w J. As in T2,
    ``½ span(ΔQ_x) ≤ Σ_y Λ_xy ‖d_y‖₁``, so that L_d ≤ L. For r_d: C has no negative entry and M − κW is positive
    semidefinite, so that with |d| the vector of the norms ‖d_x‖₁
    ``|Σ w ⟨ΔQ, d⟩| ≤ ½ |d|'C|d| ≤ Σ w (τ − κ) ‖d‖₁² ≤ B = Σ w (τ − κ) J``; and ``|Σ w ⟨ΔQ, d⟩| ≤ L ‖d‖_w² ≤ LA`` with
    A = Σ w J. Hence r_d < 1, and r_d is at least ``(A − η min(LA, B))/(A + ηκA + ηB)``. If ηL ≤ 1 this is not negative.
    Otherwise it is least at B = LA: ``(1 − ηL)/(1 + ηκ + ηL)``, which falls in η; put ``s = κ/L`` and η = κ/L²:
    ``(1 − s)/(1 + s + s²)`` is least at s = 1 + √3.

    (b) Given which rollouts had i at x playing a, the others' actions and what i could not see are independent draws
    from the law that defines Q_i(x, a): Q̂ is unbiased, and κ̂ is a linear form ``c'Q̂ − c'Q̂'`` plus a constant. The two
    sets of rollouts are independent; within one, agents share rollouts. Its variance is c'Σc with Σ the covariance of
    all means, estimated by sums over rollouts; Student's quantile at Welch and Satterthwaite's degrees of freedom.
    (This is exact for normal payoffs, equal variances and one agent, and asymptotic otherwise: hence the band.)

    (c) In a swing from (a, b) to (b, a) with exploration ε, ``d_i = (1−ε)(e_a − e_b)`` and
    ``⟨ΔQ_i, d_i⟩ = −(1−ε)² D_i``, ``D_i = T_i[a,a] + T_i[b,b] − T_i[a,b] − T_i[b,a] > 0``; in a drift from (a, a) to
    (b, b) it is +(1−ε)² D_i. Either way ``J_i = 2(1−ε) log(1 + n(1−ε)/ε)``. So r_d < −½ for logit responses at
    τ_i < ¼ D_i, whatever w (n ≤ 5, ε = 0.1), and κ_d < 0 where all ``τ_i < ½ (1−ε) D_i / log(1 + n(1−ε)/ε)``. Then the
    alarm is a matter of the standard error: temperatures are drawn up to 0.9 of the former and 0.5 of the latter.

    (d) By (a) a false alarm needs an interval that misses: of each of the two alarms, one side of 99.5 %. ∎

Tightness
    Two-action coordination c·I near the uniform policy: κ_d → κ and L_d → L = c/2 for small common moves, and for
    opposed moves r_d → 1 − 2/√3 at τ = (2 + √3) c/2, η = κ/L². In (d) the rate is half of 0.5 % on the boundary. The
    negative controls: intervals whose standard errors come from all rollouts instead of those that played the action
    cover too little, and point estimates raise the alarm in half of the games on the boundary.

Reference
    theory.md, T6. Welch (1947), Satterthwaite (1946); Bernstein's inequality for the rates.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import hqre_jax as hq
from hqre_jax.core._simplex import span
from hqre_jax.core._types import Scalar
from hqre_jax.stability import LEAST_RATIO
from proofs_check import _accuracy as accuracy
from proofs_check._cases import (
    BAYESIAN,
    COORDINATION,
    NEAR_ZERO_SUM,
    Cases,
    Family,
    batches,
    certified,
    posed,
    quick_jit,
)
from proofs_check._conventions import COORDINATION as CONVENTIONS
from proofs_check._conventions import (
    NUM_ACTIONS,
    PAIRED,
    World,
    alternation,
    opposed_starts,
    scales,
)
from proofs_check._rollouts import Seen, Trial, experiment
from proofs_check._statement import Comparison, Example, Outcome, Statement

MARGIN = "(a) κ ≤ κ_d"
STEEPNESS = "(a) L_d ≤ L"
RATIO = "(a) 1 − 2/√3 ≤ r_d"
COVERAGE = "(b) 3 % ≤ misses of 95 % intervals ≤ 7 %"
MISSED = "(c) missed alarms ≤ 1 %"
FALSE = "(d) false alarms ≤ 1 %"

# Experiments in each monotone family and over all pathological ones; rollouts under each policy; share of exploration.
_TRIALS, _PLAYS, _EXPLORING = (1024, 2048), (500, 1500), 0.1
# Probability that chance alone breaks a rate that is what it should be.
_FALSE_ALARM = 1e-9
# Least probability of an action in policies drawn at random.
_FLOOR = 0.12
# Rates are those of all games together: small ones need many experiments to be told from chance.
_MONOTONE = "all of these games"
_PATHOLOGIES = "conventions: swings, drifts, large steps"
_CERTIFIED = (COORDINATION, NEAR_ZERO_SUM, BAYESIAN)
BOUNDARY = Family("boundary of (a), c·I", lambda rng, num: (scales(rng, (num,)),), lambda c: c)


class Exact(NamedTuple):
    """κ_d, L_d and r_d from the game itself, with what rounding may add to each."""

    margin: Scalar
    lipschitz: Scalar
    ratio: Scalar
    error: Scalar
    ratio_error: Scalar


@quick_jit
def exact(trials: Trial) -> Exact:
    """The directional quantities of every trial, from the action values of the game."""

    def one(trial: Trial) -> Exact:
        problem, w, eta = trial.problem.centered(), trial.weights, trial.step
        logs = [jnp.log(jnp.where(problem.mask, p, 1.0)) for p in (trial.policy, trial.other)]
        values = [accuracy.action_values(problem, log_policy) for log_policy in logs]
        d, shift = trial.policy - trial.other, values[0] - values[1]
        moved = jnp.sum(jnp.abs(d), axis=-1)
        total = w * accuracy.symmetric_kl(*logs, problem)
        pull = jnp.sum(w[..., None] * shift * d)
        heat = jnp.sum(problem.tau * total)
        damped = jnp.sum(total) + eta * heat
        size = accuracy.weighted_norm(moved, w)
        # Values err by value_rounding each, probabilities and logarithms by a few eps.
        wrong = accuracy.value_rounding(problem)
        error = jnp.sum(w * moved * 2 * wrong) + 64 * accuracy.EPS * (
            heat + jnp.sum(w * moved * span(shift, problem.mask))
        )
        return Exact(
            (heat - pull) / jnp.sum(total),
            accuracy.weighted_norm(0.5 * span(shift, problem.mask), w) / size,
            (jnp.sum(total) + eta * pull) / damped,
            error / jnp.minimum(jnp.sum(total), size**2) + accuracy.weighted_norm(2 * wrong, w) / size,
            eta * error / damped + 64 * accuracy.EPS,
        )

    return jax.tree.map(lambda x: x, jax.vmap(one)(trials))


def _mixed(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Random policies with no probability below the floor (less for many actions)."""
    weights = rng.gamma(1.0, size=mask.shape) * mask
    random = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300)
    floor = np.minimum(_FLOOR, 0.5 / np.maximum(mask.sum(-1, keepdims=True), 1))
    return mask * floor + (1 - floor * mask.sum(-1, keepdims=True)) * random


def _repeated(tree: Any, times: int) -> Any:
    return jax.tree.map(lambda x: jnp.repeat(x, times, axis=0), tree)


def _trials_of(rng: np.random.Generator, cases: Cases) -> Trial:
    """Two random policies for each certified game, and the largest step of T2."""
    mask = np.asarray(cases.problem.game.action_mask)
    policies = [jnp.asarray(_mixed(rng, mask)) for _ in range(2)]
    return Trial(cases.problem, cases.known.weights, *policies, cases.known.max_step)


def boundary(rng: np.random.Generator, num: int) -> tuple[Cases, Trial]:
    """Two-action c·I (padded to three actions) and small moves about the uniform policy, where (a) is attained.

    Every other game is just above τ = c/2 and both agents move the same way; the others are at τ = (2 + √3) c/2 and
    the agents move in opposite directions.
    """
    size, opposed = scales(rng, (num,)), np.arange(num) % 2 == 1
    payoffs = size[:, None, None, None] * np.broadcast_to(np.eye(3), (num, 2, 3, 3))
    mask = np.broadcast_to(np.arange(3) < 2, (num, 2, 1, 3))
    cases = posed(CONVENTIONS.family.build, (payoffs, mask), np.where(opposed, 1 + 0.75**0.5, 0.501) * size)
    small = rng.uniform(0.02, 0.1, (num, 1, 1, 1)) * np.array([1.0, -1.0, 0.0])
    sides = np.stack([np.ones(num), np.where(opposed, -1.0, 1.0)], axis=1)[:, :, None, None]
    policies = [jnp.asarray((0.5 + sign * sides * small) * mask) for sign in (1, -1)]
    return cases, Trial(cases.problem, cases.known.weights, *policies, cases.known.max_step)


def _explored(policy: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return (1 - _EXPLORING) * policy + _EXPLORING * mask / mask.sum(-1, keepdims=True)


def swings_and_drifts(world: World, rng: np.random.Generator, num: int) -> Trial:
    """Half of the games swing between two conventions, the other half drift from one to the other."""
    arrays = world.family.draw(rng, num)
    cases = posed(world.family.build, arrays, np.ones(num))
    opposed, mask = opposed_starts(cases, rng), np.asarray(cases.problem.game.action_mask)
    first, second = opposed.own(world), opposed.faced(world)
    earned = [opposed.earned(*pair) for pair in ((first, first), (second, second), (first, second), (second, first))]
    gain = earned[0] + earned[1] - earned[2] - earned[3]
    drift = np.arange(num) % 2 == 1
    actions = mask[:, 0, 0].sum(-1)
    start = np.where(drift[:, None], first[:, :1], first)
    end = np.where(drift[:, None], second[:, :1], second)
    limit = 0.5 * (1 - _EXPLORING) * gain / np.log(1 + actions * (1 - _EXPLORING) / _EXPLORING)[:, None]
    part = np.where(drift, rng.uniform(0.1, 0.5, num), rng.uniform(0.1, 0.9, num))[:, None]
    tau = part * np.where(drift[:, None], limit, 0.25 * gain)
    policies = [jnp.asarray(_explored(np.eye(NUM_ACTIONS)[own][:, :, None], mask)) for own in (start, end)]
    problem = jax.vmap(hq.Problem)(cases.problem.game, jnp.asarray(tau))
    return Trial(problem, jnp.ones((num, 2, 1)), *policies, jnp.full(num, jnp.inf))


def large_steps(rng: np.random.Generator, num: int) -> Trial:
    """The alternation of T7 (b), explored."""
    size = scales(rng, (num,))
    tau = size * rng.uniform(0.05, 0.4, num)
    eta = rng.uniform(1.5, 10, num) * 2 / (size / 2 - tau)
    payoffs = size[:, None, None, None] * np.broadcast_to(np.eye(NUM_ACTIONS), (num, 2, NUM_ACTIONS, NUM_ACTIONS))
    mask = np.broadcast_to(np.arange(NUM_ACTIONS) < 2, (num, 2, 1, NUM_ACTIONS))
    problem = posed(CONVENTIONS.family.build, (payoffs, mask), tau).problem
    likely = 1 / (1 + np.exp(-alternation(eta, tau, size)))
    policy = np.zeros(mask.shape)
    policy[:, 0, 0, 0] = policy[:, 1, 0, 1] = likely
    policy[:, 0, 0, 1] = policy[:, 1, 0, 0] = 1 - likely
    policies = [jnp.asarray(_explored(p, mask)) for p in (policy, policy[:, ::-1])]
    return Trial(problem, jnp.ones((num, 2, 1)), *policies, jnp.asarray(eta))


def deviation(rate: float, num: np.ndarray | int) -> np.ndarray:
    """By how much a frequency in ``num`` trials may exceed its probability, by Bernstein's inequality."""
    spread = np.log(1 / _FALSE_ALARM) / np.asarray(num)
    return spread / 3 + np.sqrt((spread / 3) ** 2 + 2 * rate * (1 - rate) * spread)


def _rate(claim: str, family: str, flags: np.ndarray, nominal: float, low: float, high: float) -> Comparison:
    """``low ≤ frequency ≤ high``, or as far beyond as chance may lead from the nominal rate; axes (row, trial)."""
    frequency, off = flags.mean(axis=1), deviation(nominal, flags.shape[1])
    top = np.full(len(flags), max(high, nominal + off))
    bottom = np.full(len(flags), min(low, max(nominal - off, 0.0)))
    if low == 0:
        return Comparison(claim, family, frequency, top, np.zeros(len(flags)))
    observed, bound = np.stack([frequency, bottom], axis=1), np.stack([top, frequency], axis=1)
    return Comparison(claim, family, observed, bound, np.zeros(observed.shape))


def _exactly(family: str, cases: Cases, trials: Trial) -> list[Comparison]:
    known, seen = jax.tree.map(np.asarray, (cases.known, exact(trials)))
    return [
        Comparison(MARGIN, family, known.margin, seen.margin, seen.error),
        Comparison(STEEPNESS, family, seen.lipschitz, known.lipschitz, seen.error),
        Comparison(RATIO, family, -seen.ratio, np.full(len(seen.ratio), -LEAST_RATIO), seen.ratio_error),
    ]


def _monotone(key: Any, num_games: int) -> Iterator[tuple[str, Cases, Trial, int, Any]]:
    """Games with a margin: family, cases, trials, repetitions of each, key."""
    plan = list(batches(key, num_games, (*_CERTIFIED, BOUNDARY)))
    repetitions = -(-_TRIALS[0] * (len(_CERTIFIED) + 1) // sum(num for _, _, num in plan))
    for b, (family, rng, num) in enumerate(plan):
        if family is BOUNDARY:
            cases, trials = boundary(rng, num)
        else:
            cases = certified(family, rng, num)
            trials = _trials_of(rng, cases)
        yield family.name, cases, trials, repetitions, jax.random.fold_in(jax.random.fold_in(key, 1), b)


def _covered(trials: Trial, seen: Seen, repetitions: int) -> np.ndarray:
    value = np.repeat(np.asarray(exact(trials).margin), repetitions)
    return (seen.lower <= value) & (value <= seen.upper)


def check(key: Any, num_games: int) -> Outcome:
    """T6 on random games.

    Args:
        key: Typed key.
        num_games: Number of games with a margin, over all families. At least 4,096 experiments are made with
            them, and 2,048 with the games of T7.

    Returns:
        (a) game by game; (b), (c) and (d) as one rate each.
    """
    comparisons, drawn, flags = [], 0, {}
    for family, cases, trials, repetitions, trial_key in _monotone(key, num_games):
        comparisons += _exactly(family, cases, trials)
        seen = experiment(_repeated(trials, repetitions), _PLAYS[0], trial_key)
        missed = ~_covered(trials, seen, repetitions)
        flags.setdefault((COVERAGE, _MONOTONE), []).append(missed)
        flags.setdefault((FALSE, _MONOTONE), []).append(seen.alarm)
        drawn += len(trials.weights)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(jax.random.fold_in(key, 2))))
    pathological = [
        *(swings_and_drifts(world, rng, _TRIALS[1] // 4) for world in PAIRED),
        large_steps(rng, _TRIALS[1] // 4),
    ]
    for k, trials in enumerate(pathological):
        seen = experiment(trials, _PLAYS[1], jax.random.fold_in(jax.random.fold_in(key, 3), k))
        flags.setdefault((MISSED, _PATHOLOGIES), []).append(~seen.alarm)
    for (claim, family), parts in flags.items():
        nominal, low, high = {COVERAGE: (0.05, 0.03, 0.07), FALSE: (0.005, 0.0, 0.01), MISSED: (0.0, 0.0, 0.01)}[claim]
        comparisons.append(_rate(claim, family, np.concatenate(parts)[None], nominal, low, high))
    return Outcome(tuple(sorted(comparisons, key=lambda c: c.claim)), drawn)


def negative_control(key: Any, num_games: int) -> Outcome:
    """Standard errors as if every rollout had tried every action, and alarms (game by game) from point estimates."""
    comparisons, drawn = [], 0
    for family, _, trials, repetitions, trial_key in _monotone(key, num_games):
        if family not in (COORDINATION.name, BOUNDARY.name):
            continue
        # In a hundred experiments half of which raise an alarm, chance is no excuse for any single game.
        repetitions = max(repetitions, 100)
        seen = experiment(_repeated(trials, repetitions), _PLAYS[0], trial_key, understate=True)
        missed = ~_covered(trials, seen, repetitions)
        comparisons.append(_rate(COVERAGE, family, missed[None], 0.05, 0.0, 0.07))
        comparisons.append(_rate(FALSE, family, seen.pointwise.reshape(-1, repetitions), 0.005, 0.0, 0.01))
        drawn += len(trials.weights)
    return Outcome(tuple(sorted(comparisons, key=lambda c: c.claim)), drawn)


def sharpness() -> tuple[Example, ...]:
    """The three constants of (a) at two-action c·I, moves of size 1e-4 about the uniform policy."""
    size, move = np.ones(2), 1e-4
    payoffs = np.broadcast_to(np.eye(3), (2, 2, 3, 3))
    mask = np.broadcast_to(np.arange(3) < 2, (2, 2, 1, 3))
    cases = posed(CONVENTIONS.family.build, (payoffs, mask), np.array([0.75, 0.5 * (2 + 3**0.5)]) * size)
    sides = np.array([[1.0, 1.0], [1.0, -1.0]])[:, :, None, None] * move * np.array([1.0, -1.0, 0.0])
    policies = [jnp.asarray((0.5 + sign * sides) * mask) for sign in (1, -1)]
    trials = Trial(cases.problem, cases.known.weights, *policies, cases.known.max_step)
    seen, known = jax.tree.map(np.asarray, (exact(trials), cases.known))
    name = "coordination 1·I, 2 actions"
    return (
        Example(f"{name}, τ = 3/4, common move", "κ / κ_d", float(known.margin[0]), float(seen.margin[0])),
        Example(f"{name}, τ = 3/4, common move", "L_d / L", float(seen.lipschitz[0]), float(known.lipschitz[0])),
        Example(f"{name}, τ = 1 + √3/2, opposed move", "r_d / (1 − 2/√3)", float(seen.ratio[1]), LEAST_RATIO),
    )


T6 = Statement(
    name="T6",
    title="diagnostics from rollouts",
    check=check,
    control="standard errors are those of all rollouts, and alarms are raised by point estimates",
    negative_control=negative_control,
    sharpness=sharpness,
    share=0.2,
)
