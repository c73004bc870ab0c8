"""T7s: the pathologies of T7 on sampled payoffs: they need few samples, and none protect; a margin does."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hqre_jax.core._simplex import safe_log, span
from hqre_jax.core._types import PerPlayer, Policy, Scalar
from proofs_check.comparison import Sides, between
from proofs_check.experiment import each_game
from proofs_check.games.certified import Certified
from proofs_check.games.conventions import ConventionGames, alternating_losses, miscoordination
from proofs_check.numerics import accuracy
from proofs_check.numerics.confidence import betting_lower_bound
from proofs_check.play.losses import ROUNDS
from proofs_check.play.sampled import (
    NUM_ROUNDS,
    NUM_RUNS,
    Constants,
    Play,
    excess,
    harmonic,
    logarithmic,
    play,
    reach_of,
    steepness_of,
    variance_of,
    width_of,
)
from proofs_check.t7s_sampled_pathologies.responses import Law, losses_under, response_law, sampled_responses

OSCILLATION = "(a) many samples: loss = ½K(…)"
DRIFT = "(b) few samples: loss = W ± …"
POOLED = "(b) few samples: loss of all games = W ± …"
SLOPE = "(c) c·I: S of all runs = K(1−1/n) + … ± …"
SELECTION = "(d) HQRE: E Σ g ≤ G (1/k0 + log …)"

# Runs of (b) and (c), their rounds; weight of the uniform policy in interior starts of (d).
NUM_REPEATS, _ROUNDS, _TREMBLE = 16, 200, 0.01
# Probability of an error in one run of (a); that chance alone breaks one of (a) to (c), or a comparison of (d).
_SLIP, FALSE_ALARM, _ALARM = 1e-14, 1e-9, 1e-3 / (100_000 * 32)
# Noise of the means that few samples leave, in parts of the average lead; of one payoff, in parts of Δ.
_ERROR, _NOISE = (0.4, 1.5), (0.1, 3.0)


class Observed(NamedTuple):
    """Games from opposed starts, and how well they are seen.

    Attributes:
        table: T.
        valid: Which actions there are, 1 or 0; the same for both.
        start: (a, b).
        lead: Δ.
        error: e of (b), (c) and (d).
    """

    table: np.ndarray
    valid: np.ndarray
    start: np.ndarray
    lead: np.ndarray
    error: np.ndarray


def observed(games: ConventionGames, rng: np.random.Generator) -> Observed:
    """The games of a batch, with a size of the noise for each."""
    valid, table = np.asarray(games.problem.game.action_mask)[:, 0, 0], games.opposed.table
    lead = np.einsum("giyy->giy", table)[:, :, None, :] - table
    others = valid[:, None, :, None] & valid[:, None, None, :] & ~np.eye(valid.shape[1], dtype=bool)
    least = np.where(others, lead, np.inf).min(axis=(1, 2, 3))
    average = lead.sum(axis=(1, 2, 3), where=others) / np.broadcast_to(others, lead.shape).sum(axis=(1, 2, 3))
    error = average * rng.uniform(*_ERROR, len(table))
    return Observed(table, valid.astype(float), games.opposed.own(games.family), least, error)


def _rounding(seen: Observed, rounds: int) -> np.ndarray:
    """What rounding may add to a sum of losses.

    R errs by its 73 terms and by what four factors Φ make of their arguments' rounding; in every round the law of play
    moves by that of both agents, and stays moved at most.
    """
    size = np.abs(seen.table).max(axis=(1, 2, 3))
    return accuracy.EPS * rounds**2 * (512 + 16 * size / seen.error) * size


def oscillation(games: ConventionGames, seen: Observed, rng: np.random.Generator, error: np.ndarray) -> Sides:
    """(a), judging runs whose means err by ``error``."""
    runs = sampled_responses(seen.table, seen.valid, seen.start, error, (1, ROUNDS), rng)
    measured = np.stack([runs.gap[:, 0], runs.external[:, 0]], axis=-1)
    closed = alternating_losses(games, ROUNDS)[..., :2]
    return between(closed, measured, closed, _rounding(seen, ROUNDS)[:, None, None] * np.ones(measured.shape))


def errors_of_many(seen: Observed, rng: np.random.Generator) -> np.ndarray:
    """``s/√m`` for the least m of (a), s being drawn."""
    size = seen.lead * rng.uniform(*_NOISE, len(seen.lead))
    needed = 4 * (size / seen.lead) ** 2 * np.log((seen.valid.sum(axis=1) - 1) * ROUNDS / _SLIP)
    return size / np.sqrt(np.ceil(needed))


class Drift(NamedTuple):
    """Runs of one batch of games.

    Attributes:
        gap: Σ_k gaps, summed over runs; axes (game, player).
        apart: Miscoordinated rounds of all runs.
        law: What (b) expects of one run.
        responses: R.
        num_actions: n.
        scale: Largest payoff.
        slack: What rounding may add to the losses of one run, in units of the scale.
    """

    gap: np.ndarray
    apart: np.ndarray
    law: Law
    responses: np.ndarray
    num_actions: np.ndarray
    scale: np.ndarray
    slack: np.ndarray

    @property
    def rounds_apart(self) -> Law:
        """What (c) expects, in c·I, where every convention is found again with the same probability."""
        num = self.num_actions
        mistaken = (1 - self.responses[:, :, 0, 0]) * (num / (num - 1))[:, None]
        chain = miscoordination(num, mistaken, np.zeros_like(mistaken), _ROUNDS)
        return Law(chain.expected, chain.squares)


def few_samples(seen: Observed, rng: np.random.Generator, stay: float = 0.0) -> Drift:
    """Sixteen runs of each game, of agents who stay with probability ``stay`` whatever they see."""
    law, size = response_law(seen.table, seen.valid, seen.error), np.abs(seen.table).max(axis=(1, 2, 3))
    runs = sampled_responses(seen.table, seen.valid, seen.start, seen.error, (NUM_REPEATS, _ROUNDS), rng, stay)
    return Drift(
        runs.gap.sum(axis=1),
        runs.apart.sum(axis=1),
        losses_under(seen.table, seen.valid, seen.start, law, _ROUNDS),
        law,
        seen.valid.sum(axis=1),
        size,
        _rounding(seen, _ROUNDS) / size,
    )


def _deviation(squares: np.ndarray, alarm: float) -> np.ndarray:
    return np.sqrt(0.5 * np.log(2 / alarm) * NUM_REPEATS * squares)


def drift(played: Drift, alarm: float) -> Sides:
    """(b), game by game and player by player."""
    expected, off = NUM_REPEATS * played.law.expected, _deviation(played.law.squares, alarm)
    slack = NUM_REPEATS * (played.slack * played.scale)[:, None] * np.ones(off.shape)
    return between(np.maximum(expected - off, 0.0), played.gap, expected + off, slack)


def pooled(drifts: list[Drift], claim: str, alarm: float) -> Sides:
    """(b) for the first agent's losses in all games, each in units of its payoffs; (c) for all S."""
    total, mean, squares = 0.0, 0.0, 0.0
    for drift in drifts:
        if claim == SLOPE:
            parts = drift.apart, *drift.rounds_apart
        else:
            one = drift.scale
            parts = drift.gap[:, 0] / one, drift.law.expected[:, 0] / one, drift.law.squares[:, 0] / one**2
        total, mean, squares = total + parts[0].sum(), mean + NUM_REPEATS * parts[1].sum(), squares + parts[2].sum()
    off, middle = _deviation(np.array([squares]), alarm), np.array([mean])
    slack = np.array([NUM_REPEATS * sum(drift.slack.sum() for drift in drifts)])
    return between(middle - off, np.array([total]), middle + off, slack)


@each_game
def _selected(
    case: Certified, start: Policy, error: Scalar, key: Any
) -> tuple[Float[Array, "player run"], PerPlayer, PerPlayer]:
    """Sums of regularised gaps of sampled mirror play, their bounds, and what rounding may add."""
    plain, known = case.problem, case.known
    problem, weights, sampled = plain.centered(), known.weights, jnp.ones((), bool)
    mask, log_start = plain.mask, safe_log(start, plain.mask)
    constants = Constants(
        plain.tau,
        weights,
        steepness_of(plain, weights),
        width_of(plain),
        variance_of(plain, error, sampled),
        known.margin,
        known.lipschitz,
        jnp.sum(weights * -jnp.min(jnp.where(mask, log_start, 0.0), axis=-1)),
        span(log_start - plain.log_reference, mask) + plain.game.payoff_range()[:, None] / plain.tau,
    )
    steps, reach = constants.decreasing(NUM_ROUNDS), reach_of(plain)

    def run(key: Any) -> Play:
        return play(problem, reach, log_start, steps, (error, jnp.zeros(mask.shape)), sampled, key)

    runs = jax.vmap(run)(jax.random.split(key, NUM_RUNS))
    bound = logarithmic(constants, NUM_ROUNDS) * harmonic(constants.offset, NUM_ROUNDS)
    slack = excess(problem, constants, constants, steps, jnp.max(runs.error, axis=0))
    return runs.total.T, jnp.sum(reach * bound, axis=-1), jnp.sum(reach * jnp.sum(slack, axis=0), axis=-1)


def selection(games: ConventionGames, seen: Observed, keys: Any) -> tuple[Sides, np.ndarray]:
    """(d), and the mean sums of regularised gaps."""
    starts = games.starts(_TREMBLE)
    totals, bound, slack = _selected(games.cases, starts, seen.error, keys)
    return Sides(betting_lower_bound(totals, _ALARM), bound, slack), totals.mean(axis=-1)


def unselected(games: ConventionGames, told: Sides, rounds: int) -> Sides:
    """(d) for agents who see enough to alternate for ever (a): a negative control.

    Of G only ``(K−1)/(K+k0)`` depends on K, and G grows no faster: what it is for few rounds bounds it for many.

    Args:
        games: The games.
        told: (d) of HQRE play in `NUM_ROUNDS` rounds.
        rounds: How many rounds are played, an even number.

    Returns:
        Both sides, of every player.
    """
    known, few = games.cases.known, NUM_ROUNDS
    k0 = np.maximum(1.0, 4 * (known.lipschitz / known.margin) ** 2)
    more = (rounds - 1) / (rounds + k0) / ((few - 1) / (few + k0))
    longer = (1 / k0 + np.log1p((rounds - 1) / k0)) / (1 / k0 + np.log1p((few - 1) / k0))
    observed = alternating_losses(games, rounds)[..., 2]
    bound = told.bound * (more * longer)[:, None]
    return Sides(observed, bound, 64 * accuracy.EPS * (observed + bound))
