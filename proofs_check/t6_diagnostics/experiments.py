"""The random games of T6, and those in which its constants are attained."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

import hqre_jax as hq
from hqre_jax.stability import LEAST_RATIO
from proofs_check.comparison import Comparison, Sides, select
from proofs_check.experiment import Claims, Drawing, Experiment, Pooled
from proofs_check.games.certified import BAYESIAN, COORDINATION, NEAR_ZERO_SUM, certified, posed
from proofs_check.games.conventions import COORDINATION as CONVENTIONS
from proofs_check.games.conventions import PAIRED
from proofs_check.statement import Example
from proofs_check.t6_diagnostics.claims import COVERAGE, FALSE, MISSED, RATIO, directional, exact, rate
from proofs_check.t6_diagnostics.rollouts import Seen, Trial, experiment
from proofs_check.t6_diagnostics.trials import BOUNDARY, boundary, large_steps, random_policies, swings_and_drifts

# Experiments over all monotone families, and over all pathological ones; rollouts under each policy.
_TRIALS, _PLAYS = (4096, 2048), (500, 1500)
# Rates are those of all games together: small ones need many experiments to be told from chance.
_MONOTONE = "all of these games"
_PATHOLOGIES = "conventions: swings, drifts, large steps"
# Part of the temperatures at which the control's play diverges.
_COOLER = 0.8
FAMILIES = (COORDINATION, NEAR_ZERO_SUM, BAYESIAN, BOUNDARY)


class Pairs(NamedTuple):
    """Games with a margin, and two policies for each."""

    family: str
    known: Any
    trials: Trial

    @property
    def problem(self) -> hq.Problem:
        """The problems."""
        return self.trials.problem


class Rollouts(NamedTuple):
    """How often each trial is repeated, and the key of all rollouts."""

    repetitions: int
    key: Any


def _draw(drawing: Drawing) -> Pairs:
    """Two random policies for each certified game; on the boundary small moves."""
    if drawing.family is BOUNDARY:
        cases, trials = boundary(drawing.rng, drawing.num)
    else:
        cases = certified(drawing.family, drawing.rng, drawing.num)
        trials = random_policies(drawing.rng, cases)
    return Pairs(drawing.family.name, cases.known, trials)


def _draw_sample(pairs: Pairs, drawing: Drawing) -> Rollouts:
    del pairs
    key = jax.random.fold_in(jax.random.fold_in(drawing.key, 1), drawing.index)
    return Rollouts(-(-_TRIALS[0] // drawing.total), key)


def _repeated(pairs: Pairs, sample: Rollouts, *, understate: bool = False) -> tuple[np.ndarray, Seen]:
    """Which intervals miss the exact value, and what the experiments report."""
    times = sample.repetitions
    repeated = jax.tree.map(lambda x: np.repeat(x, times, axis=0), pairs.trials)
    seen = experiment(repeated, _PLAYS[0], sample.key, understate=understate)
    value = np.repeat(exact(pairs.trials).margin, times)
    return ~((seen.lower <= value) & (value <= seen.upper)), seen


def _joined(nominal: float, low: float, high: float) -> Callable[[list[np.ndarray]], Sides]:
    return lambda parts: rate(np.concatenate(parts)[None], nominal, low, high)


def sides(pairs: Pairs, sample: Rollouts) -> Claims:
    """(a) game by game; (b) and (d) as one rate each."""
    missed, seen = _repeated(pairs, sample)
    return directional(pairs.known, exact(pairs.trials)) | {
        COVERAGE: Pooled(missed, _joined(0.05, 0.03, 0.07), _MONOTONE),
        FALSE: Pooled(seen.alarm, _joined(0.005, 0.0, 0.01), _MONOTONE),
    }


class Pathologies:
    """(c): experiments with the games of T7, whose number does not depend on that of the other games."""

    def run(self, key: Any, num_games: int) -> tuple[list[Comparison], Counter[str]]:
        """2,048 experiments; see `Experiment.run`."""
        del num_games
        rng = np.random.default_rng(np.asarray(jax.random.key_data(jax.random.fold_in(key, 2))))
        quarter, missed = _TRIALS[1] // 4, []
        for k, draw in enumerate(
            (*(lambda rng, num, f=f: swings_and_drifts(f, rng, num) for f in PAIRED), large_steps)
        ):
            trials = draw(rng, quarter)
            missed.append(~experiment(trials, _PLAYS[1], jax.random.fold_in(jax.random.fold_in(key, 3), k)).alarm)
        return [Comparison.of(MISSED, _PATHOLOGIES, _joined(0.0, 0.0, 0.01)(missed), None)], Counter()


def _halved(pairs: Pairs) -> dict[str, Sides]:
    """(a) as if half of every interaction were all of it, and as if no ratio were negative.

    At a common temperature, as on the boundary, half of C leaves ``(κ + τ)/2``, and half of Λ leaves L/2.
    """
    known, tau = pairs.known, np.asarray(pairs.problem.tau)[:, 0, 0]
    half = known._replace(margin=0.5 * (known.margin + tau), lipschitz=0.5 * known.lipschitz)
    claims = directional(half, exact(pairs.trials))
    return claims | {RATIO: claims[RATIO]._replace(bound=np.zeros(len(tau)))}


def _missed(pairs: Pairs, sample: Rollouts) -> Sides:
    """(c) for moves too small for so few rollouts, in the direction in which play at four fifths of τ diverges."""
    chosen = select(pairs.trials, np.arange(len(pairs.known.margin)) % 2 == 0)
    cooler = eqx.tree_at(lambda problem: problem.tau, chosen.problem, _COOLER * chosen.problem.tau)
    repeated = jax.tree.map(lambda x: np.repeat(x, sample.repetitions, axis=0), chosen._replace(problem=cooler))
    seen = experiment(repeated, _PLAYS[0], jax.random.fold_in(sample.key, 1))
    return rate(~seen.alarm.reshape(-1, sample.repetitions), 0.0, 0.0, 0.01)._replace(problem=cooler)


def _judged_wrongly(pairs: Pairs, sample: Rollouts) -> Claims:
    """Standard errors as if every rollout had tried every action, and alarms (game by game) from point estimates."""
    # In a hundred experiments half of which raise an alarm, chance is no excuse for any single game.
    sample = sample._replace(repetitions=100)
    missed, seen = _repeated(pairs, sample, understate=True)
    claims = {
        COVERAGE: Pooled(missed, _joined(0.05, 0.0, 0.07)),
        FALSE: rate(seen.pointwise.reshape(-1, sample.repetitions), 0.005, 0.0, 0.01),
    }
    return claims if pairs.family == COORDINATION.name else claims | _halved(pairs) | {MISSED: _missed(pairs, sample)}


EXPERIMENT = Experiment(FAMILIES, sides, _draw_sample, draw=_draw)
CONTROL = Experiment((COORDINATION, BOUNDARY), _judged_wrongly, _draw_sample, draw=_draw)


def examples() -> tuple[Example, ...]:
    """The three constants of (a) at two-action c·I, moves of size 1e-4 about the uniform policy."""
    size, move = np.ones(2), 1e-4
    payoffs = np.broadcast_to(np.eye(3), (2, 2, 3, 3))
    mask = np.broadcast_to(np.arange(3) < 2, (2, 2, 1, 3))
    cases = posed(CONVENTIONS.build, (payoffs, mask), np.array([0.75, 0.5 * (2 + 3**0.5)]) * size)
    sides = np.array([[1.0, 1.0], [1.0, -1.0]])[:, :, None, None] * move * np.array([1.0, -1.0, 0.0])
    policies = [(0.5 + sign * sides) * mask for sign in (1, -1)]
    trials = Trial(cases.problem, cases.known.weights, *policies, cases.known.max_step)
    seen, known = exact(trials), cases.known
    name = "coordination 1·I, 2 actions"
    return (
        Example(f"{name}, τ = 3/4, common move", "κ / κ_d", float(known.margin[0]), float(seen.margin[0])),
        Example(f"{name}, τ = 3/4, common move", "L_d / L", float(seen.lipschitz[0]), float(known.lipschitz[0])),
        Example(f"{name}, τ = 1 + √3/2, opposed move", "r_d / (1 − 2/√3)", float(seen.ratio[1]), LEAST_RATIO),
    )
