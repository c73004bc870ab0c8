"""Games on graphs: stars, hubs and spokes, planners with solvers, random graphs, regular ones."""

from typing import Any

import numpy as np

import hqre_jax as hq
from proofs_check.games.certified import Family

NUM_PLAYERS, NUM_ACTIONS = 8, 3
EDGES = np.stack(np.triu_indices(NUM_PLAYERS, 1), axis=1)


def _edge_payoffs(rng: np.random.Generator, graph: np.ndarray) -> np.ndarray:
    """General payoffs on the edges of each graph, stakes of different size; 0 elsewhere."""
    scales = 5.0 ** rng.uniform(-1, 1, (*graph.shape, 1, 1, 1))
    shape = (*graph.shape, 2, NUM_ACTIONS, NUM_ACTIONS)
    return graph[..., None, None, None] * scales * rng.uniform(-1, 1, shape)


def _arrays(payoffs: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges, payoffs and valid actions; players who meet nobody have one action."""
    edges = np.tile(EDGES, (len(payoffs), 1, 1))
    return edges, payoffs, (np.arange(NUM_ACTIONS) < counts[..., None])[:, :, None]


def _met(graph: np.ndarray) -> np.ndarray:
    """Whether a player has an edge, axes (game, player)."""
    ends = np.eye(NUM_PLAYERS, dtype=bool)[EDGES].any(axis=1)
    return (graph[:, :, None] & ends).any(axis=1)


def _general(rng: np.random.Generator, graph: np.ndarray) -> tuple[np.ndarray, ...]:
    """General payoffs; two or three actions."""
    counts = np.where(_met(graph), rng.integers(2, NUM_ACTIONS + 1, (len(graph), NUM_PLAYERS)), 1)
    return _arrays(_edge_payoffs(rng, graph), counts)


def _equal(rng: np.random.Generator, graph: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same c·I on every edge, for both ends; the same number of actions for everybody."""
    scales = 5.0 ** rng.uniform(-1, 1, (len(graph), 1, 1, 1, 1))
    counts = np.where(_met(graph), rng.integers(2, NUM_ACTIONS + 1, (len(graph), 1)), 1)
    shape = (*graph.shape, 2, 1, 1)
    return _arrays(np.broadcast_to(scales * graph[..., None, None, None], shape) * np.eye(NUM_ACTIONS), counts)


def _star(rng: np.random.Generator, num: int) -> np.ndarray:
    """Two to seven leaves around player 0."""
    leaves = rng.integers(2, NUM_PLAYERS, (num, 1))
    return (EDGES[:, 0] == 0) & (EDGES[:, 1] <= leaves)


def _hubs(rng: np.random.Generator, num: int) -> np.ndarray:
    """One to three hubs that all meet; every other player meets one hub."""
    hubs = rng.integers(1, 4, (num, 1))
    chosen = rng.integers(0, hubs, (num, NUM_PLAYERS))
    low, high = EDGES.T
    return np.where(high < hubs, True, (low < hubs) & (low == chosen[:, high]))


def _planner(rng: np.random.Generator, num: int) -> np.ndarray:
    """A planner (0) and a critic (1) who meet each other and every one of two to six solvers."""
    solvers = rng.integers(2, NUM_PLAYERS - 1, (num, 1))
    return (EDGES[:, 0] <= 1) & (EDGES[:, 1] < solvers + 2)


def _random(rng: np.random.Generator, num: int) -> np.ndarray:
    """Any pair meets with a probability drawn for each graph; players 0 and 1 always do."""
    edges = rng.random((num, len(EDGES))) < rng.uniform(0.2, 0.9, (num, 1))
    return edges | (EDGES.sum(axis=1) == 1)


def _regular(rng: np.random.Generator, num: int) -> np.ndarray:
    """Circulant graphs on three to eight players: cycles, complete graphs and what lies between."""
    size, reach = rng.integers(3, NUM_PLAYERS + 1, (num, 1)), rng.integers(1, NUM_PLAYERS // 2 + 1, (num, 1))
    low, high = EDGES.T
    distance = np.minimum(high - low, size - (high - low))
    return (high < size) & (distance <= reach)


def _family(name: str, payoffs: Any, graph: Any) -> Family:
    return Family(
        name,
        lambda rng, num: payoffs(rng, graph(rng, num)),
        lambda e, u, mask: hq.PolymatrixGame(e, u, action_mask=mask),
    )


STARS = _family("star, equal stakes", _equal, _star)
HUBS = _family("hubs and spokes", _general, _hubs)
REGULAR = _family("regular graph, equal stakes", _equal, _regular)
FAMILIES = (
    STARS,
    HUBS,
    _family("planner, solvers, critic", _general, _planner),
    _family("random graph", _general, _random),
    REGULAR,
)
