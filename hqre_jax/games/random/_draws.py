"""What random games are drawn from: seeded generators, families of payoffs, kernels, type laws, graphs."""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax.core._types import InputError

Family = Literal["uniform", "normal", "zero_sum", "near_zero_sum", "common_interest", "coordination", "potential"]
Graph = Literal["complete", "cycle", "star", "random"]

# With discount 1 every move ends play with this probability, under every policy.
STOPPING = 0.2
# How far a near-zero-sum game is from a zero-sum one, beside payoffs of order 1.
_PERTURBATION = 0.1


def generator(key: Any) -> np.random.Generator:
    """A host generator seeded by a typed threefry key."""
    if not (isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 0):
        raise InputError("key", "is no single typed key; make one with jax.random.key(seed)")
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))


def family_payoffs(
    rng: np.random.Generator, family: str, players: int, lead: tuple[int, ...], actions: tuple[int, ...]
) -> np.ndarray:
    """Payoffs ``(player, *lead, *actions)`` of the family, drawn at each index of ``lead`` anew."""
    if family not in get_args(Family):
        raise InputError("family", f"is {family!r}; it must be one of {', '.join(get_args(Family))}")
    if not actions and family in ("coordination", "potential"):
        raise InputError("family", f"{family!r} is about joint actions, which a tree does not have")
    shape = (players, *lead, *actions)
    if family == "normal":
        return rng.standard_normal(shape)
    noise = rng.uniform(-1, 1, shape)
    if family in ("zero_sum", "near_zero_sum"):
        noise[-1] = -noise[:-1].sum(0)
        return noise if family == "zero_sum" else noise + _PERTURBATION * rng.uniform(-1, 1, shape)
    if family == "common_interest":
        return np.repeat(noise[:1], players, axis=0)
    if family == "coordination":
        indices = np.indices(actions)
        matched = (indices == indices[0]).all(0)
        return np.where(matched, 1 + 0.5 * noise, 0.0)
    if family == "potential":
        potential = rng.uniform(-1, 1, shape[1:])
        others = [noise[i].mean(axis=i - players, keepdims=True) for i in range(players)]
        return np.stack([potential + term for term in others])
    return noise


def random_kernel(
    rng: np.random.Generator, rows: tuple[int, ...], targets: int, branching: int | None, discount: float
) -> np.ndarray:
    """A kernel with flat Dirichlet rows over ``branching`` random targets; sub-stochastic where γ = 1."""
    weights = rng.exponential(size=(*rows, targets))
    if branching is not None:
        rank = rng.random(weights.shape).argsort(-1).argsort(-1)
        weights = np.where(rank < branching, weights, 0.0)
    kernel = weights / weights.sum(-1, keepdims=True)
    return kernel * (1 - STOPPING) if discount == 1 else kernel


def random_type_law(
    rng: np.random.Generator, lead: tuple[int, ...], types: tuple[int, ...], independent: bool
) -> np.ndarray:
    """A law over type profiles at each index of ``lead``."""
    if not independent:
        return rng.dirichlet(np.ones(int(np.prod(types))), size=lead).reshape(*lead, *types)
    law = np.ones((*lead, *(1 for _ in types)))
    for axis, count in enumerate(types):
        shape = [1] * len(types)
        shape[axis] = count
        law = law * rng.dirichlet(np.ones(count), size=lead).reshape(*lead, *shape)
    return law


def random_edges(rng: np.random.Generator, players: int, graph: str, degree: float) -> np.ndarray:
    """Edges ``(edge, 2)`` of the named graph."""
    if players < 2:
        raise InputError("num_players", f"is {players}; edges need two players")
    if graph == "complete":
        return np.stack(np.triu_indices(players, 1), axis=1)
    if graph == "star":
        return np.stack([np.zeros(players - 1, int), np.arange(1, players)], axis=1)
    cycle = np.stack([np.arange(players), np.roll(np.arange(players), -1)], axis=1)
    cycle = cycle[: players if players > 2 else 1]
    if graph == "cycle":
        return cycle
    if graph != "random":
        raise InputError("graph", f"is {graph!r}; it must be one of {', '.join(get_args(Graph))}")
    pairs = np.stack(np.triu_indices(players, 2), axis=1)
    chords = pairs[~((pairs[:, 0] == 0) & (pairs[:, 1] == players - 1))]
    wanted = round(players * max(degree - 2, 0) / 2)
    chosen = rng.choice(len(chords), size=min(wanted, len(chords)), replace=False)
    return np.concatenate([cycle, chords[np.sort(chosen)]])
