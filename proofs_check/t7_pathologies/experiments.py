"""The random games of T7, and those in which its constants are attained."""

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from proofs_check.comparison import Sides
from proofs_check.experiment import Claims, Drawing, Experiment, Pooled
from proofs_check.games.certified import posed
from proofs_check.games.conventions import (
    COORDINATION,
    NUM_ACTIONS,
    PAIRED,
    TWO_SIDED,
    ConventionGames,
    Opposed,
    draw_opposed,
    scales,
    table_of,
)
from proofs_check.numerics.compiled import split_keys
from proofs_check.play.losses import MIRROR_ROUNDS, ROUNDS, best_response_losses, mirror_losses
from proofs_check.statement import Example
from proofs_check.t7_pathologies.claims import (
    DRIFT,
    LARGE_STEPS,
    OSCILLATION,
    RATE,
    Noise,
    chain_of,
    drift,
    large_steps,
    noisy_play,
    oscillation,
    rate,
)
from proofs_check.t7_pathologies.selection import SELECTION, selection, unselected

# Weight of the uniform policy in interior starts.
_TREMBLE = 0.01
# Probability that chance alone raises an alarm in one run of the statement.
_FALSE_ALARM = 1e-9
# Of whom (b) speaks, beside coordination games.
_TWO_ACTIONS = "coordination c·I, 2 actions"
# Of the control: how often agents stay, and how many rounds of best responses are judged by (d).
_STAY, _MANY_ROUNDS = 0.5, 1_000_000


class Sample(NamedTuple):
    """What is random besides games and starts.

    Attributes:
        keys: Of play, one for each game.
        steps: c, τ, η and the start of two-action games, of which (b) speaks; None if there are none.
        noise: Of noisy best responses, where (c) speaks of them.
        alarm: Probability of a false alarm in each game.
    """

    keys: Any
    steps: tuple[np.ndarray, ...] | None
    noise: Noise | None
    alarm: float


def draw_sample(games: ConventionGames, drawing: Drawing) -> Sample:
    """As many two-action games as there are coordination games, and noise for pairs of agents."""
    keys = drawing.keys()
    steps = _drawn_steps(drawing.rng, drawing.num) if games.family is COORDINATION else None
    noise = _drawn_noise(drawing) if games.family in PAIRED else None
    return Sample(keys, steps, noise, _FALSE_ALARM / (2 * drawing.total))


def _drawn_steps(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """c, τ, η above ``2/(c/2 − τ)``, and where to start, of two-action games."""
    size = scales(rng, (num,))
    tau = size * rng.uniform(0.05, 0.4, num)
    return size, tau, rng.uniform(1.5, 10, num) * 2 / (size / 2 - tau), rng.uniform(0.3, 0.9, num)


def _drawn_noise(drawing: Drawing) -> Noise:
    """Mistakes of all sizes, and inertia in half of the games."""
    rng, shape = drawing.rng, (drawing.num, 2)
    noise, inertia = rng.uniform(0.1, 0.6, shape), rng.uniform(0, 0.6, shape)
    return Noise(noise, inertia * (rng.random((drawing.num, 1)) < 0.5), drawing.keys())


def sides(games: ConventionGames, sample: Sample) -> Claims:
    """All claims; (c) for pairs of agents, (b) beside coordination games."""
    played = best_response_losses(games.problem, games.starts(), sample.keys)
    claims: dict[str, Sides | Pooled] = {
        OSCILLATION: oscillation(games, played, ROUNDS),
        SELECTION: selection(games.cases, games.starts(_TREMBLE)),
    }
    if sample.steps is not None:
        claims[LARGE_STEPS] = Pooled(large_steps(*sample.steps), _one_after_the_other, _TWO_ACTIONS)
    if sample.noise is not None:
        noisy = noisy_play(games, sample.noise)
        claims[DRIFT] = drift(games, noisy, sample.alarm)
        claims[RATE] = Pooled(noisy, partial(rate, alarm=_FALSE_ALARM / (2 * len(PAIRED))))
    return claims


def _one_after_the_other(parts: list[Sides]) -> Sides:
    return Sides(*(np.concatenate(part) for part in zip(*(sides[:3] for sides in parts), strict=True)))


def _judged_wrongly(games: ConventionGames, sample: Sample) -> Claims:
    """Play of one kind, judged as if it were of another.

    HQRE play at a positive margin as best response: nothing of the kind is lost. Large steps as best responses.
    Agents without mistakes, each of whom stays every second time, as if they erred. Best responses, which lose the
    same in every second round, as HQRE play.
    """
    keys = split_keys(jax.random.key(0), len(games.problem.tau))
    settled, _ = mirror_losses(games.problem, games.starts(_TREMBLE), games.cases.known.max_step, keys)
    restless = best_response_losses(games.problem, games.starts(), sample.keys)
    lost = restless.regularised.mean(axis=1)
    claims: dict[str, Sides | Pooled] = {
        OSCILLATION: oscillation(games, settled, MIRROR_ROUNDS),
        SELECTION: unselected(games.cases, games.starts(_TREMBLE), lost, _MANY_ROUNDS),
    }
    if sample.steps is not None:
        steps = large_steps(*sample.steps, outright=True)
        claims[LARGE_STEPS] = Pooled(steps, _one_after_the_other, _TWO_ACTIONS)
    if sample.noise is not None:
        told = sample.noise._replace(inertia=np.full_like(sample.noise.inertia, _STAY))
        played = noisy_play(games, told._replace(mistakes=0 * told.mistakes))
        wrong = played._replace(chain=chain_of(games, told))
        claims[DRIFT] = drift(games, wrong, sample.alarm)
        claims[RATE] = Pooled(wrong, partial(rate, alarm=_FALSE_ALARM / (2 * len(PAIRED))))
    return claims


EXPERIMENT = Experiment(TWO_SIDED, sides, draw_sample, draw=draw_opposed)
CONTROL = Experiment(TWO_SIDED, _judged_wrongly, draw_sample, draw=draw_opposed)


def examples() -> tuple[Example, ...]:
    """The slopes of (a) and (b) in c·I with c = 1."""
    one = np.ones(1)
    payoffs = np.broadcast_to(np.eye(NUM_ACTIONS), (1, 2, NUM_ACTIONS, NUM_ACTIONS))
    cases = posed(COORDINATION.build, (payoffs, np.ones((1, 2, 1, NUM_ACTIONS), bool)), one)
    opposed = Opposed(np.zeros(1, int), np.ones(1, int), table_of(cases.problem.game))
    starts = ConventionGames(COORDINATION, cases, opposed).starts()
    losses = best_response_losses(cases.problem, starts, split_keys(jax.random.key(0), 1))
    steps = large_steps(one, 0.2 * one, 20.0 * one, 0.5 * one)
    return (
        Example("coordination 1·I, 5 actions", "best response: Σ gaps / cK", float(losses.gap[0, 0]), float(ROUNDS)),
        Example("coordination 1·I, 5 actions", "external regret / ½cK", float(losses.external[0, 0]), 0.5 * ROUNDS),
        Example(
            "coordination 1·I, τ = 0.2, η = 20",
            "mirror steps: later gaps / slope",
            float(steps.observed[0, 1, 1]),
            float(0.5 * (steps.observed[0, 1, 0] + steps.bound[0, 1, 1])),
        ),
    )
