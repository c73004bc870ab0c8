"""Games with conventions, and opposed starts: two sides that meet each other, each at a convention of its own.

A *convention* is an action a with which everybody best answers a, strictly. What happens from opposed starts is
known in closed form (T7), from the payoffs alone: nothing here asks the library what an action is worth.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import hqre_jax as hq
from proofs_check.games.certified import Certified, certified

NUM_ACTIONS, _SIDE = 5, 3


class TwoSided(NamedTuple):
    """A `Family` of games with conventions whose agents stand on two sides.

    Attributes:
        name: As in `Family`.
        draw: As in `Family`.
        build: As in `Family`.
        sides: Which side each agent is on.
    """

    name: str
    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, ...]]
    build: Callable[..., hq.AbstractGame]
    sides: tuple[int, ...]


def scales(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Between 0.2 and 5, evenly in the logarithm."""
    return 5.0 ** rng.uniform(-1, 1, shape)


def _valid(rng: np.random.Generator, num: int) -> np.ndarray:
    """Two to five actions, the same number for both agents."""
    counts = rng.integers(2, NUM_ACTIONS + 1, (num, 1, 1, 1))
    return np.broadcast_to(np.arange(NUM_ACTIONS) < counts, (num, 2, 1, NUM_ACTIONS))


def _coordination(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    """c·I for both agents, c drawn for each game."""
    stakes = scales(rng, (num, 1, 1, 1))
    return stakes * np.broadcast_to(np.eye(NUM_ACTIONS), (num, 2, NUM_ACTIONS, NUM_ACTIONS)), _valid(rng, num)


def _battle(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Every convention has its own worth, to either agent another; without one nothing is earned."""
    worth = scales(rng, (num, 2, NUM_ACTIONS))
    return worth[..., None] * np.eye(NUM_ACTIONS), _valid(rng, num)


def _matching(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Any payoffs off the diagonal; on it more than any other answer to the same action, each by its own amount."""
    mask = _valid(rng, num)
    table = rng.uniform(-1, 1, (num, 2, NUM_ACTIONS, NUM_ACTIONS))
    others = np.where(np.eye(NUM_ACTIONS, dtype=bool) | ~np.swapaxes(mask, 2, 3), -np.inf, table)
    diagonal = np.arange(NUM_ACTIONS)
    table[..., diagonal, diagonal] = others.max(axis=2) + scales(rng, (num, 2, NUM_ACTIONS))
    return np.stack([table[:, 0], np.swapaxes(table[:, 1], 1, 2)], axis=1), mask


def _network(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three agents against three; about half of the pairs meet, each with its own stakes for either agent."""
    edges = np.array([(i, _SIDE + j) for i in range(_SIDE) for j in range(_SIDE)])
    meets = (rng.random((num, len(edges))) < 0.5) | (edges[:, 1] - edges[:, 0] == _SIDE)
    stakes = meets[:, :, None, None, None] * scales(rng, (num, len(edges), 2, 1, 1))
    return np.tile(edges, (num, 1, 1)), stakes * np.eye(3), np.ones((num, 2 * _SIDE, 1, 3), bool)


def _bimatrix(name: str, draw: Callable[..., Any]) -> TwoSided:
    return TwoSided(name, draw, lambda u, mask: hq.NormalFormGame(u, action_mask=mask), (0, 1))


COORDINATION = _bimatrix("coordination c·I, 2–5 actions", _coordination)
BATTLE = _bimatrix("battle of the sexes, 2–5 actions", _battle)
MATCHING = _bimatrix("matching, 2–5 actions", _matching)
NETWORK = TwoSided(
    "bipartite network, 6 players",
    _network,
    lambda e, u, mask: hq.PolymatrixGame(e, u, action_mask=mask),
    (0,) * _SIDE + (1,) * _SIDE,
)
TWO_SIDED = (COORDINATION, BATTLE, MATCHING, NETWORK)
# Two agents, for whom drift has a closed form.
PAIRED = (COORDINATION, BATTLE, MATCHING)


class Opposed(NamedTuple):
    """The two conventions of each start, and what every agent earns at them.

    Attributes:
        first: Convention of the first side.
        second: Convention of the other side.
        table: ``T_i[own, other]``, axes (game, player, own action, the other side's action).
    """

    first: np.ndarray
    second: np.ndarray
    table: np.ndarray

    def own(self, family: TwoSided) -> np.ndarray:
        """What each agent plays at the start."""
        return np.where(np.array(family.sides) == 0, self.first[:, None], self.second[:, None])

    def faced(self, family: TwoSided) -> np.ndarray:
        """What the other side plays."""
        return np.where(np.array(family.sides) == 0, self.second[:, None], self.first[:, None])

    def earned(self, own: np.ndarray, other: np.ndarray) -> np.ndarray:
        """``T_i[own_i, other_i]``, axes (game, player)."""
        against = np.take_along_axis(self.table, other[:, :, None, None], axis=3)[..., 0]
        return np.take_along_axis(against, own[:, :, None], axis=2)[..., 0]


def table_of(game: hq.AbstractGame) -> np.ndarray:
    """T from the payoffs, with no help from the game's evaluation."""
    payoffs = np.asarray(game.payoffs)
    if not isinstance(game, hq.PolymatrixGame):
        return np.stack([payoffs[:, 0], np.swapaxes(payoffs[:, 1], 1, 2)], axis=1)
    table = np.zeros((len(payoffs), game.action_mask.shape[1], *payoffs.shape[-2:]))
    for e, (i, j) in enumerate(np.asarray(game.edges)[0]):
        table[:, i] += payoffs[:, e, 0]
        table[:, j] += np.swapaxes(payoffs[:, e, 1], 1, 2)
    return table


def opposed_starts(cases: Certified, rng: np.random.Generator) -> Opposed:
    """Two different conventions of each game, at random."""
    count = np.asarray(cases.problem.game.action_mask)[:, 0, 0].sum(-1)
    first = rng.integers(0, count)
    second = (first + rng.integers(1, count)) % count
    return Opposed(first, second, table_of(cases.problem.game))


class ConventionGames(NamedTuple):
    """Games with conventions at temperatures with a positive margin, and opposed starts.

    Attributes:
        family: Where they come from.
        cases: Problems and certificates; leading axis (game).
        opposed: The starts.
    """

    family: TwoSided
    cases: Certified
    opposed: Opposed

    @property
    def problem(self) -> hq.Problem:
        """The problems."""
        return self.cases.problem

    def starts(self, tremble: float = 0.0) -> np.ndarray:
        """Everybody's policy at the start, mixed with that much of the uniform one."""
        mask = self.problem.game.action_mask
        pure = np.eye(mask.shape[-1])[self.opposed.own(self.family)][:, :, None]
        return (1 - tremble) * pure + tremble * mask / np.sum(mask, axis=-1, keepdims=True) if tremble else pure


def draw_opposed(drawing: Any) -> ConventionGames:
    """Games of the drawing's family, certified, and opposed starts."""
    cases = certified(drawing.family, drawing.rng, drawing.num)
    assert (np.asarray(cases.known.margin) > 0).all(), "temperatures are chosen to give a margin"
    return ConventionGames(drawing.family, cases, opposed_starts(cases, drawing.rng))


def alternating_losses(games: ConventionGames, rounds: int) -> np.ndarray:
    """Claim (a) of T7 in numbers.

    Args:
        games: The games, with their temperatures, references and starts.
        rounds: K, even.

    Returns:
        ``Σ gaps``, external regret, ``Σ regularised gaps``; axes (game, player, which).
    """
    opposed, problem = games.opposed, games.problem
    own, other = opposed.own(games.family), opposed.faced(games.family)
    table, half = opposed.table, rounds / 2
    mask, tau = np.asarray(problem.game.action_mask)[:, :, 0], np.asarray(problem.tau)
    rho = np.asarray(problem.log_reference)[:, :, 0]
    missed = opposed.earned(own, other) + opposed.earned(other, own)
    gaps = half * (opposed.earned(own, own) + opposed.earned(other, other) - missed)
    columns = [np.take_along_axis(table, o[:, :, None, None], axis=3)[..., 0] for o in (other, own)]
    fixed = np.where(mask, columns[0] + columns[1], -np.inf).max(axis=-1)
    smooth = 0.0
    for column, played in zip(columns, (own, other), strict=True):
        logits = np.where(mask, column / tau + rho, -np.inf)
        top = logits.max(axis=-1)
        total = top + np.log(np.exp(logits - top[..., None]).sum(axis=-1))
        smooth = smooth + half * tau[..., 0] * (total - np.take_along_axis(logits, played[..., None], axis=-1)[..., 0])
    return np.stack([gaps, half * (fixed - missed), smooth], axis=-1)


def alternation(eta: np.ndarray, tau: np.ndarray, size: np.ndarray) -> np.ndarray:
    """x̂ of T7 (b) by bisection: ``tanh(x/2)/x`` decreases."""
    low, high = np.zeros_like(eta), eta * size / (2 + eta * tau)
    for _ in range(80):
        middle = 0.5 * (low + high)
        inside = eta * size * np.tanh(middle / 2) > (2 + eta * tau) * middle
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return 0.5 * (low + high)


class Chain(NamedTuple):
    """Miscoordinated rounds under noise: ``E S``, and ``Σ w²`` of their concentration."""

    expected: np.ndarray
    squares: np.ndarray


def miscoordination(num_actions: np.ndarray, noise: np.ndarray, inertia: np.ndarray, rounds: int) -> Chain:
    """Claim (c) of T7 in numbers.

    Args:
        num_actions: n of each game.
        noise: ε, axes (game, player).
        inertia: s, axes (game, player).
        rounds: K.

    Returns:
        The chain's expectation and concentration.
    """
    errs, answers = (1 - inertia) * noise, (1 - inertia) * (1 - noise)
    somebody = 1 - np.prod(1 - errs, axis=1)
    second = np.prod(inertia, axis=1) + np.prod(answers, axis=1)
    stationary = somebody * (1 - 1 / num_actions) / (1 - second)
    expected = rounds * stationary + (1 - stationary) * (1 - second**rounds) / (1 - second)
    left = np.arange(1, rounds + 1)
    weights = (1 - second[:, None] ** left) / (1 - second)[:, None]
    return Chain(expected, np.sum(weights**2, axis=1))
