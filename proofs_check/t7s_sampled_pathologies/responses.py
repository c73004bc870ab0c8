"""Best responses of agents who know of the game what they have seen: plays of them, and the law of such play."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr

# Nodes of the trapezoidal rule, in standard deviations.
_NODES = np.arange(-9.0, 9.0 + 0.125, 0.25)


class Seen(NamedTuple):
    """What runs of one batch of games lost, in units of payoff.

    Attributes:
        gap: Σ_k gaps, axes (game, run, player).
        external: External regret, same axes.
        apart: Rounds in which the two agents differ, axes (game, run).
    """

    gap: np.ndarray
    external: np.ndarray
    apart: np.ndarray


def sampled_responses(
    table: Float[np.ndarray, "game 2 a a"],
    valid: Float[np.ndarray, "game a"],
    start: Int[np.ndarray, "game 2"],
    error: Float[np.ndarray, " game"],
    shape: tuple[int, int],
    rng: np.random.Generator,
    stay: float = 0.0,
) -> Seen:
    """Everybody plays the action that looked best in the last round.

    Args:
        table: ``T_i[own, other]``.
        valid: Which actions there are, 1 or 0.
        start: Actions of the first round.
        error: Standard deviation of the mean of what was seen of one action.
        shape: Runs, and rounds K.
        rng: Source of randomness.
        stay: Probability of playing the last action again, whatever was seen.

    Returns:
        What was lost in rounds 0, …, K−1.
    """
    num, runs, rounds = len(table), *shape
    game = np.arange(num)[:, None, None]
    player = np.arange(2)[None, None, :]
    own = np.broadcast_to(start[:, None, :], (num, runs, 2))
    gap, surplus, apart = np.zeros(own.shape), np.zeros((*own.shape, valid.shape[1])), np.zeros((num, runs))
    offered = valid[:, None, None, :] > 0
    for _ in range(rounds):
        worth = table[game, player, :, own[..., ::-1]]
        earned = np.take_along_axis(worth, own[..., None], axis=-1)
        gap += np.where(offered, worth, -np.inf).max(axis=-1) - earned[..., 0]
        surplus += worth - earned
        apart += own[..., 0] != own[..., 1]
        seen = worth + error[:, None, None, None] * rng.standard_normal(worth.shape)
        best = np.where(offered, seen, -np.inf).argmax(axis=-1)
        own = np.where(rng.random(own.shape) < stay, own, best)
    return Seen(gap, np.where(offered, surplus, -np.inf).max(axis=-1), apart)


def response_law(
    table: Float[np.ndarray, "game 2 a a"], valid: Float[np.ndarray, "game a"], error: Float[np.ndarray, " game"]
) -> Float[np.ndarray, "game 2 a a"]:
    """``R_i[x|y] = ∫ φ(z) Π_{x'≠x} Φ(z + (T_i[x,y] − T_i[x',y])/e) dz``: how often x looks best against y.

    By the trapezoidal rule, whose error for an integrand that is entire is at most ``2M/(e^{2πa/h} − 1)``, M its
    integral at distance a from the real line: with h = ¼, a = 4 and at most four factors less than 1e-22. The tails
    are 3e-19.

    Args:
        table: ``T_i[own, other]``.
        valid: Which actions there are.
        error: e of each game, units of payoff.

    Returns:
        R, axes (game, player, x, y); 0 where an action is missing.
    """
    lead = (table[:, :, :, None, :] - table[:, :, None, :, :]) / error[:, None, None, None, None]
    beats = ndtr(_NODES + lead[..., None])
    count = valid.shape[1]
    # Who is not there, or is x itself, is no rival.
    rival = (valid[:, None, None, :, None] > 0) & ~np.eye(count, dtype=bool)[None, None, :, :, None]
    density = np.exp(-0.5 * _NODES**2) * (_NODES[1] - _NODES[0]) / np.sqrt(2 * np.pi)
    law = np.where(rival[..., None], beats, 1.0).prod(axis=3) @ density
    return law * valid[:, None, :, None] * valid[:, None, None, :]


class Law(NamedTuple):
    """Expectation of Σ_k gaps, axes (game, player), and Σ_k w_k² of its concentration."""

    expected: np.ndarray
    squares: np.ndarray


def losses_under(
    table: Float[np.ndarray, "game 2 a a"],
    valid: Float[np.ndarray, "game a"],
    start: Int[np.ndarray, "game 2"],
    law: Float[np.ndarray, "game 2 a a"],
    rounds: int,
) -> Law:
    """Claim (b) of T7s in numbers: the Markov chain on pairs of actions, K rounds of it.

    Args:
        table: ``T_i[own, other]``.
        valid: Which actions there are.
        start: Actions of the first round.
        law: R.
        rounds: K.

    Returns:
        The expectation and the squares of the martingale's ranges.
    """
    both = valid[:, :, None] * valid[:, None, :] > 0
    missed = np.einsum("giyy->giy", table)[:, :, None, :] - table
    # Axes (game, player, action of the first, action of the second).
    loss = np.where(both[:, None], np.stack([missed[:, 0], np.swapaxes(missed[:, 1], 1, 2)], axis=1), 0.0)
    to_go, squares = loss, np.zeros(loss.shape[:2])
    for _ in range(rounds - 1):
        squares = squares + _span(to_go, both) ** 2
        to_go = loss + np.einsum("guy,gvx,gpuv->gpxy", law[:, 0], law[:, 1], to_go, optimize=True)
    game = np.arange(len(table))
    return Law(to_go[game, :, start[:, 0], start[:, 1]], squares)


def _span(values: np.ndarray, both: np.ndarray) -> np.ndarray:
    inside = both[:, None]
    return np.where(inside, values, -np.inf).max(axis=(2, 3)) - np.where(inside, values, np.inf).min(axis=(2, 3))
