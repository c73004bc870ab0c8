"""T7: what goes wrong where nobody selects an equilibrium, and what one positive margin repairs."""

from typing import Any, NamedTuple

import jax
import numpy as np

from proofs_check.comparison import Sides, between
from proofs_check.games.certified import posed
from proofs_check.games.conventions import (
    COORDINATION,
    NUM_ACTIONS,
    Chain,
    ConventionGames,
    alternating_losses,
    alternation,
    miscoordination,
)
from proofs_check.numerics import accuracy
from proofs_check.numerics.compiled import split_keys
from proofs_check.play.losses import MIRROR_ROUNDS, NOISY_ROUNDS, Losses, mirror_losses, noisy_losses

OSCILLATION = "(a) best response: loss = ½K(…)"
LARGE_STEPS = "(b) large steps: loss = K c p̂(2p̂−1) ± …"
DRIFT = "(c) noise: δ E S − … ≤ loss ≤ Δ E S + …"
RATE = "(c) noise: S of all runs = E S ± …"


def oscillation(games: ConventionGames, losses: Losses, rounds: int) -> Sides:
    """(a) for any losses: gap, external regret and regularised gap of every player."""
    measured = np.stack([losses.gap, losses.external, losses.regularised.sum(axis=1)], axis=-1)
    closed = alternating_losses(games, rounds)
    # Values err by a few eps of the payoffs (and τ log ρ); so do the sums, by K eps of their absolute values.
    pull = (games.problem.tau * np.max(np.abs(games.problem.log_reference), axis=-1))[..., 0]
    size = np.abs(games.opposed.table).max(axis=(1, 2, 3))[:, None] + pull
    slack = accuracy.EPS * rounds * (rounds + 32) * 2 * size[..., None] * np.ones(3)
    return between(closed, measured, closed, slack)


def large_steps(size: np.ndarray, tau: np.ndarray, eta: np.ndarray, part: np.ndarray, outright: bool = False) -> Sides:
    """(b) for two-action c·I, padded to five actions so that (d)'s program serves; ``x₀ = part·x̂``.

    Args:
        size: c.
        tau: τ.
        eta: η.
        part: x₀ as a part of x̂.
        outright: Take the slope of best responses, at which p̂ would be 1: a negative control.

    Returns:
        Both sides, of all rounds and of the later half of them.
    """
    num, limit = len(size), alternation(eta, tau, size)
    first = part * limit
    payoffs = size[:, None, None, None] * np.broadcast_to(np.eye(NUM_ACTIONS), (num, 2, NUM_ACTIONS, NUM_ACTIONS))
    mask = np.broadcast_to(np.arange(NUM_ACTIONS) < 2, (num, 2, 1, NUM_ACTIONS))
    problem = posed(COORDINATION.build, (payoffs, mask), tau).problem
    starts = np.zeros((num, 2, 1, NUM_ACTIONS))
    starts[:, 0, 0, 0] = starts[:, 1, 0, 1] = 1 / (1 + np.exp(-first))
    starts[:, 0, 0, 1] = starts[:, 1, 0, 0] = 1 / (1 + np.exp(first))
    _, policies = mirror_losses(problem, starts, eta, split_keys(jax.random.key(0), num))
    path = np.log(policies[:, :, 0]) - np.log(policies[:, :, 1])
    p = 1 / (1 + np.exp(-np.abs(path)))
    gaps = size[:, None] * p * (2 * p - 1)
    chord = (limit - (eta * size * np.tanh(first / 2) - first) / (1 + eta * tau)) / (limit - first)
    rate = np.maximum(chord, 1 / (1 + eta * tau))
    since = np.array([0, MIRROR_ROUNDS // 2])
    top = np.ones(num) if outright else 1 / (1 + np.exp(-limit))
    slope = (size * top * (2 * top - 1))[:, None] * (MIRROR_ROUNDS - since)
    transient = (0.75 * size * (limit - first) / (1 - rate))[:, None] * rate[:, None] ** since
    measured = gaps[:, ::-1].cumsum(axis=1)[:, ::-1][:, since]
    slack = 0.75 * size * _wandering(path, size, tau, eta).sum(axis=1)
    slack = (slack + accuracy.EPS * MIRROR_ROUNDS**2 * size)[:, None] * np.ones(2)
    return between(slope - transient, measured, slope + transient, slack)


def _wandering(path: np.ndarray, size: np.ndarray, tau: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """How far rounding may have led from the exact orbit, by round, to first order and doubled.

    Near (x, −x) the update's Jacobian has the sup norm ``(1 + ½ηc/cosh²(x/2))/(1+ητ)``: where it exceeds 1, an error
    that breaks the symmetry grows.
    """
    growth = (1 + 0.5 * (eta * size)[:, None] / np.cosh(path / 2) ** 2) / (1 + eta * tau)[:, None]
    fresh = 32 * accuracy.EPS * (np.abs(path) + (size / tau)[:, None])
    error = np.zeros_like(path)
    error[:, 0] = fresh[:, 0]
    for k in range(1, path.shape[1]):
        error[:, k] = growth[:, k - 1] * error[:, k - 1] + fresh[:, k]
    return 2 * error


class Noise(NamedTuple):
    """Probabilities of mistakes and of staying, axes (game, player), and keys of noisy play."""

    mistakes: np.ndarray
    inertia: np.ndarray
    keys: Any


class Drift(NamedTuple):
    """Noisy runs of one batch of games: what they lost, rounds counted apart, and what (c) says of them."""

    losses: Losses
    chain: Chain


def noisy_play(games: ConventionGames, noise: Noise) -> Drift:
    """One run of each game."""
    losses = noisy_losses(games.problem, games.starts(), noise.mistakes, noise.inertia, noise.keys)
    return Drift(losses, chain_of(games, noise))


def chain_of(games: ConventionGames, noise: Noise) -> Chain:
    """What (c) expects of the games' noisy runs."""
    num_actions = np.asarray(games.problem.game.action_mask)[:, 0, 0].sum(-1)
    return miscoordination(num_actions, noise.mistakes, noise.inertia, NOISY_ROUNDS)


def drift(games: ConventionGames, played: Drift, alarm: float) -> Sides:
    """(c), game by game; ``alarm`` is the probability of a false one in each."""
    table, losses, chain = games.opposed.table, played.losses, played.chain
    mask = np.asarray(games.problem.game.action_mask)[:, :, 0]
    deviation = np.sqrt(0.5 * np.log(2 / alarm) * chain.squares)
    # Gap of playing x against y, x ≠ y.
    missed = np.einsum("giyy->giy", table)[:, :, None] - table
    pairs = mask[..., :, None] & mask[..., None, :] & ~np.eye(mask.shape[-1], dtype=bool)
    least = np.where(pairs, missed, np.inf).min(axis=(2, 3))
    largest = np.where(pairs, missed, -np.inf).max(axis=(2, 3))
    low = least * np.maximum(chain.expected - deviation, 0)[:, None]
    high = largest * (chain.expected + deviation)[:, None]
    slack = accuracy.EPS * NOISY_ROUNDS * (NOISY_ROUNDS + 32) * np.abs(table).max(axis=(2, 3))
    return between(low, losses.gap, high, slack)


def rate(drifts: list[Drift], alarm: float) -> Sides:
    """(c) for the sum over all runs: one comparison, many times sharper."""
    apart, expected, squares = (
        sum(part.sum() for part in parts)
        for parts in zip(*((d.losses.apart, d.chain.expected, d.chain.squares) for d in drifts), strict=True)
    )
    deviation = np.sqrt(0.5 * np.log(2 / alarm) * squares)
    both = between(*(np.array([part]) for part in (expected - deviation, apart, expected + deviation)), np.zeros(1))
    return both._replace(slack=64 * accuracy.EPS * both.bound)
