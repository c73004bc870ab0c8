"""Families of games in which following a branch goes wrong most easily, drawn by numpy, with what judges them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import hqre_jax as hq
from benchmarks.branches._systems import markov_system, normal_form_system, policies_of
from benchmarks.branches._tracer import System

# Of the Markov games.
_DISCOUNT = 0.7


@dataclass(frozen=True)
class Sample:
    """Some games of a family.

    Attributes:
        games: What `hqre_jax.solve_batch` is given.
        tau: Temperatures, ``(game, player)``.
        reference: Of the places asked for: system, start, and length of s for the tracer; and what turns its points
            into policies ``(game, player, information state, action)``.
        payoffs: ``[b, i, a_1, …, a_N]`` where Gambit can be asked, else None.
        continuation: Who is paid whose entropy.
    """

    games: Any
    tau: np.ndarray
    reference: Callable[[np.ndarray], tuple[System, np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]]]
    payoffs: np.ndarray | None = None
    continuation: str = "soft"


def _normal(payoffs: np.ndarray, tau: np.ndarray) -> Sample:
    def reference(places):
        system, start, stretch = normal_form_system(payoffs[places], tau[places])
        return system, start, stretch, lambda z: policies_of(z, payoffs.shape[2:])[:, :, None]

    return Sample(payoffs, tau, reference, payoffs)


def _agents(games: Any, tau: np.ndarray, payoffs: np.ndarray, agent_tau: np.ndarray, types: int) -> Sample:
    """A game whose decision points, one after the other, are the players of a normal form."""

    def reference(places):
        system, start, stretch = normal_form_system(payoffs[places], agent_tau[places])
        players = payoffs.shape[1] // types

        def policies(z):
            found = policies_of(z, payoffs.shape[2:])
            return found.reshape(len(found), players, types, -1)

        return system, start, stretch, policies

    return Sample(games, tau, reference)


def _tau(rng: np.random.RandomState, count: int, players: int, low: float, high: float) -> np.ndarray:
    """Log-uniform, the same for all players in half of the games."""
    tau = low * (high / low) ** rng.rand(count, players)
    return np.where(rng.rand(count, 1) < 0.5, tau[:, :1], tau)


def _imperfection(rng: np.random.RandomState, payoffs: np.ndarray) -> np.ndarray:
    """Noise of size 1e-12 … 1e-1, a size for each game."""
    size = 10.0 ** rng.uniform(-12, -1, (len(payoffs), *[1] * (payoffs.ndim - 1)))
    return payoffs + size * rng.randn(*payoffs.shape)


def _meeting(players: int, actions: int) -> np.ndarray:
    """Everybody is paid 1 where all meet."""
    payoffs = np.zeros((players, *[actions] * players))
    for a in range(actions):
        payoffs[(slice(None), *[a] * players)] = 1.0
    return payoffs


def near_symmetric(players: int, actions: int) -> Callable[[np.random.RandomState, int], Sample]:
    """Coordination that a small imperfection decides."""

    def draw(rng: np.random.RandomState, count: int) -> Sample:
        payoffs = np.broadcast_to(_meeting(players, actions), (count, players, *[actions] * players))
        return _normal(_imperfection(rng, payoffs), _tau(rng, count, players, 0.08, 0.3))

    return draw


def integers(actions: int) -> Callable[[np.random.RandomState, int], Sample]:
    """Small whole numbers: ties, and temperatures far below them."""

    def draw(rng: np.random.RandomState, count: int) -> Sample:
        payoffs = rng.randint(-5, 6, (count, 2, actions, actions)).astype(float)
        return _normal(payoffs, _tau(rng, count, 2, 0.05, 1.0))

    return draw


def uniform(rng: np.random.RandomState, count: int) -> Sample:
    """W1's generator."""
    return _normal(rng.rand(count, 2, 3, 3), _tau(rng, count, 2, 0.04, 0.3))


def stag_hunts(rng: np.random.RandomState, count: int) -> Sample:
    """Two hunters; joint success, sure but smaller gains, both perturbed."""
    stag, hare = rng.uniform(2, 6, (count, 1)), rng.uniform(1, 2, (count, 1))
    payoffs = np.empty((count, 2, 2, 2))
    payoffs[:, :, 0, 0] = stag
    payoffs[:, 0, 0, 1] = payoffs[:, 1, 1, 0] = 0.0
    payoffs[:, 0, 1] = payoffs[:, 1, :, 1] = hare
    payoffs[:, :, 1, 1] = hare
    payoffs[:, 1, 0, 1] = hare[:, 0]
    return _normal(_imperfection(rng, payoffs), _tau(rng, count, 2, 0.1, 1.5))


def congestion(rng: np.random.RandomState, count: int) -> Sample:
    """Three drivers, two or three roads, costs that grow with their number, alike up to an imperfection."""
    roads, drivers = 3, 3
    base, slope = rng.rand(count, roads), rng.rand(count, roads) + 0.2
    payoffs = np.empty((count, drivers, *[roads] * drivers))
    for profile in np.ndindex(*[roads] * drivers):
        for i in range(drivers):
            load = profile.count(profile[i])
            payoffs[(slice(None), i, *profile)] = -base[:, profile[i]] - slope[:, profile[i]] * load
    return _normal(_imperfection(rng, payoffs), _tau(rng, count, drivers, 0.05, 0.4))


def polymatrix(rng: np.random.RandomState, count: int) -> Sample:
    """Three players in a ring, each pair of which is to meet at one of two places, up to an imperfection."""
    edges = np.array([[0, 1], [1, 2], [2, 0]])
    pairs = np.broadcast_to(np.eye(2), (count, 3, 2, 2, 2)) * rng.uniform(0.5, 1.5, (count, 1, 1, 1, 1))
    pairs = _imperfection(rng, pairs)
    payoffs = np.zeros((count, 3, 2, 2, 2))
    for e, (i, j) in enumerate(edges):
        for a in np.ndindex(2, 2, 2):
            payoffs[(slice(None), i, *a)] += pairs[:, e, 0, a[i], a[j]]
            payoffs[(slice(None), j, *a)] += pairs[:, e, 1, a[i], a[j]]
    tau = _tau(rng, count, 3, 0.15, 0.8)
    games = jax.vmap(lambda p: hq.PolymatrixGame(edges, p))(jnp.asarray(pairs))
    return _agents(games, tau, payoffs, tau, 1)


def bayesian(rng: np.random.RandomState, count: int) -> Sample:
    """Two players of two types each, who are to meet; types change what meeting is worth."""
    prior = rng.dirichlet(np.full(4, 3.0), count).reshape(count, 2, 2)
    worth = rng.uniform(0.5, 1.5, (count, 1, 2, 2, 1, 1))
    payoffs = _imperfection(rng, np.broadcast_to(np.eye(2), (count, 2, 2, 2, 2, 2)) * worth)
    tau = _tau(rng, count, 2, 0.08, 0.5)
    agents = np.zeros((count, 4, 2, 2, 2, 2))
    given_first = prior / prior.sum(2, keepdims=True)
    given_second = prior / prior.sum(1, keepdims=True)
    for a in np.ndindex(2, 2, 2, 2):
        for t in range(2):
            for other in range(2):
                agents[(slice(None), t, *a)] += given_first[:, t, other] * payoffs[:, 0, t, other, a[t], a[2 + other]]
                agents[(slice(None), 2 + t, *a)] += (
                    given_second[:, other, t] * payoffs[:, 1, other, t, a[other], a[2 + t]]
                )
    games = jax.vmap(hq.BayesianGame)(jnp.asarray(prior), jnp.asarray(payoffs))
    return _agents(games, tau, agents, np.repeat(tau, 2, axis=1), 2)


def markov(rng: np.random.RandomState, count: int) -> Sample:
    """Two players who are to meet in each of two states, and move between these; alike up to an imperfection."""
    payoffs = _imperfection(rng, np.broadcast_to(np.eye(2), (count, 2, 2, 2, 2)).copy())
    transitions = rng.dirichlet(np.ones(2), (count, 2, 2, 2))
    # Where one goes depends on whether one met, not on where.
    transitions[:, :, 1, 1], transitions[:, :, 1, 0] = transitions[:, :, 0, 0], transitions[:, :, 0, 1]
    tau = _tau(rng, count, 2, 0.2, 0.8)
    games = jax.vmap(lambda u, p: hq.MarkovGame(u, p, _DISCOUNT))(jnp.asarray(payoffs), jnp.asarray(transitions))

    def reference(places):
        asked = markov_system(payoffs[places], transitions[places], _DISCOUNT, tau[places])

        def policies(z):
            second = 1 / (1 + np.exp(-z.reshape(-1, 2, 2)))
            return np.stack([1 - second, second], axis=-1)

        return *asked, policies

    return Sample(games, tau, reference, continuation="plain")


# Name: how to draw, and its share of the games: what cannot be solved by the hundred thousand a second has fewer.
FAMILIES: dict[str, tuple[Callable[[np.random.RandomState, int], Sample], float]] = {
    "uniform 3×3": (uniform, 0.4),
    "integers 3×3": (integers(3), 0.3),
    "integers 2×2": (integers(2), 0.1),
    "meeting, 2 players, 2 places": (near_symmetric(2, 2), 0.04),
    "meeting, 2 players, 3 places": (near_symmetric(2, 3), 0.04),
    "meeting, 2 players, 4 places": (near_symmetric(2, 4), 0.02),
    "meeting, 2 players, 5 places": (near_symmetric(2, 5), 0.01),
    "meeting, 3 players, 2 places": (near_symmetric(3, 2), 0.02),
    "meeting, 3 players, 3 places": (near_symmetric(3, 3), 0.005),
    "meeting, 4 players, 2 places": (near_symmetric(4, 2), 0.01),
    "stag hunts": (stag_hunts, 0.04),
    "congestion, 3 drivers": (congestion, 0.01),
    "polymatrix ring": (polymatrix, 0.005),
    "Bayesian, 2×2 types": (bayesian, 0.005),
    "Markov, 2 states": (markov, 0.005),
}
