"""The random games of T7s, and those in which its constants are attained."""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from proofs_check.comparison import Sides
from proofs_check.experiment import Claims, Drawing, Experiment, Pooled
from proofs_check.games.certified import posed
from proofs_check.games.conventions import (
    COORDINATION,
    NUM_ACTIONS,
    PAIRED,
    ConventionGames,
    Opposed,
    alternating_losses,
    draw_opposed,
    table_of,
)
from proofs_check.numerics.compiled import split_keys
from proofs_check.play.losses import ROUNDS
from proofs_check.play.sampled import NUM_ROUNDS
from proofs_check.statement import Example
from proofs_check.t7s_sampled_pathologies.claims import (
    DRIFT,
    FALSE_ALARM,
    NUM_REPEATS,
    OSCILLATION,
    POOLED,
    SELECTION,
    SLOPE,
    Drift,
    drift,
    errors_of_many,
    few_samples,
    observed,
    oscillation,
    pooled,
    selection,
    unselected,
)
from proofs_check.t7s_sampled_pathologies.responses import sampled_responses

# Of the control: how often agents play their last action again, and how many rounds of alternation are judged by (d).
_STAY, _MANY_ROUNDS = 0.5, 10**9


class Sample(NamedTuple):
    """What comes out of sampled play, which draws as it goes; and the probability of a false alarm in each game."""

    oscillation: Sides
    selection: Sides | None
    drift: Drift
    alarm: float


def draw_sample(games: ConventionGames, drawing: Drawing) -> Sample:
    """Runs with many samples, with few, and of mirror play."""
    rng, seen = drawing.rng, observed(games, drawing.rng)
    many = oscillation(games, seen, rng, errors_of_many(seen, rng))
    selected, _ = selection(games, seen, drawing.keys())
    return Sample(many, selected, few_samples(seen, rng), FALSE_ALARM / (2 * drawing.total))


def _draw_wrongly(games: ConventionGames, drawing: Drawing) -> Sample:
    rng, seen = drawing.rng, observed(games, drawing.rng)
    too_few = oscillation(games, seen, rng, seen.error)
    inattentive = few_samples(seen, rng, _STAY)
    # One family's play of HQRE, which takes longest, is enough.
    selected = selection(games, seen, drawing.keys())[0] if games.family is COORDINATION else None
    return Sample(too_few, selected, inattentive, FALSE_ALARM / (2 * drawing.num))


def sides(games: ConventionGames, sample: Sample) -> Claims:
    """All claims; (c) for coordination games only."""
    assert sample.selection is not None
    claims: dict[str, Sides | Pooled] = {
        OSCILLATION: sample.oscillation,
        SELECTION: sample.selection,
        DRIFT: drift(sample.drift, sample.alarm),
        POOLED: Pooled(sample.drift, partial(pooled, claim=POOLED, alarm=FALSE_ALARM / 8)),
    }
    if games.family is COORDINATION:
        claims[SLOPE] = Pooled(sample.drift, partial(pooled, claim=SLOPE, alarm=FALSE_ALARM / 8))
    return claims


def _judged_wrongly(games: ConventionGames, sample: Sample) -> Claims:
    """Play of one kind, judged as if it were of another.

    Too few samples by (a); agents who look every second time only by (b) and (c); best responses to many samples, which
    alternate for ever, by (d).
    """
    claims: dict[str, Sides | Pooled] = {
        OSCILLATION: sample.oscillation,
        DRIFT: drift(sample.drift, sample.alarm),
        POOLED: Pooled(sample.drift, partial(pooled, claim=POOLED, alarm=FALSE_ALARM)),
    }
    if games.family is COORDINATION:
        claims[SLOPE] = Pooled(sample.drift, partial(pooled, claim=SLOPE, alarm=FALSE_ALARM))
    if sample.selection is not None:
        claims[SELECTION] = unselected(games, sample.selection, _MANY_ROUNDS)
    return claims


EXPERIMENT = Experiment(PAIRED, sides, draw_sample, draw=draw_opposed)
CONTROL = Experiment(PAIRED, _judged_wrongly, _draw_wrongly, draw=draw_opposed)


def examples() -> tuple[Example, ...]:
    """Slopes in c·I with c = 1 and five actions, per round and agent: measured, against the closed forms."""
    payoffs = np.broadcast_to(np.eye(NUM_ACTIONS), (1, 2, NUM_ACTIONS, NUM_ACTIONS))
    cases = posed(COORDINATION.build, (payoffs, np.ones((1, 2, 1, NUM_ACTIONS), bool)), np.ones(1))
    opposed, rng = Opposed(np.zeros(1, int), np.ones(1, int), table_of(cases.problem.game)), np.random.default_rng(0)
    games = ConventionGames(COORDINATION, cases, opposed)
    seen = observed(games, rng)._replace(error=np.full(1, 0.5))
    many = errors_of_many(seen, rng)
    alternating = sampled_responses(seen.table, seen.valid, seen.start, many, (1, ROUNDS), rng)
    few = few_samples(seen, rng)
    keys = split_keys(jax.random.key(int(rng.integers(2**31))), 1)
    comparison, kept = selection(games, seen, keys)
    name, circling = "coordination 1·I, 5 actions", alternating_losses(games, NUM_ROUNDS)
    return (
        Example(name, "many samples: Σ gaps / cK", float(alternating.gap[0, 0, 0]), float(ROUNDS)),
        Example(name, "many samples: external regret / ½cK", float(alternating.external[0, 0, 0]), 0.5 * ROUNDS),
        Example(name, "few samples: S / E S", float(few.apart[0]), NUM_REPEATS * float(few.rounds_apart.expected[0])),
        Example(name, "HQRE, τ = 1: Σ regularised gaps / bound", float(kept[0, 0]), float(comparison.bound[0, 0])),
        Example(name, "HQRE, τ = 1: the same / that of best responses", float(kept[0, 0]), float(circling[0, 0, 2])),
    )
