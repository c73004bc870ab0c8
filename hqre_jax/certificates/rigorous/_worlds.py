"""Games written down by world states, as plain arrays: how worlds are seen, believed in and left."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hqre_jax.certificates.rigorous._data import Data


class Worlds(NamedTuple):
    """A game by its worlds w.

    Attributes:
        payoffs: ``r_i(w, a)``, ``(player, world, a_1, …, a_N)``.
        observed: ``o_i(w)``, ``(player, world)``.
        law: Weights of worlds that beliefs are proportional to; ν where they depend on the policy.
        kernel: ``P(t | w, a)``, ``(world, a_1, …, a_N, target)``; None where play ends or nobody cares (γ = 0).
        gather: Weight of world w in target t, ``(target, world)``.
        gamma: Discount γ.
        occupied: Whether beliefs follow the discounted occupancy under the policy.
    """

    payoffs: np.ndarray
    observed: np.ndarray
    law: np.ndarray
    kernel: np.ndarray | None
    gather: np.ndarray
    gamma: float
    occupied: bool

    def reached(self) -> list[int]:
        """Worlds of positive occupancy under every interior policy."""
        assert self.kernel is not None
        # Illegal joint actions have rows of zeros.
        leads = np.any(self.kernel > 0, axis=tuple(range(1, self.kernel.ndim - 1)))
        inside = self.law > 0
        while (grown := inside | leads[inside].any(axis=0)).sum() > inside.sum():
            inside = grown
        return np.flatnonzero(inside).tolist()

    def belief(self, i: int, x: int, lift: Callable[[float], Any], occupancy: dict[int, Any]) -> dict[int, Any]:
        """``b_i(w | x)`` by world; uniform at an information state of probability zero."""
        seen = np.flatnonzero(self.observed[i] == x).tolist()
        if len(seen) == 1:
            return {seen[0]: 1}
        if self.occupied:
            weights = {w: occupancy[w] for w in seen if w in occupancy}
        else:
            weights = {w: lift(self.law[w]) for w in seen if self.law[w] > 0}
        weights = weights or {w: lift(1.0) for w in seen}
        total = sum(weights.values())
        return {w: weight / total for w, weight in weights.items()}


def worlds(data: Data) -> Worlds:
    """A normal form, Bayesian, Markov, public-private or general game by its worlds.

    Args:
        data: See `problem_data`.

    Returns:
        The `Worlds`.
    """
    payoffs, game = data["payoffs"], data["game"]
    players, once = payoffs.shape[0], np.zeros((0, 0))
    if game == "NormalFormGame":
        return Worlds(payoffs[:, None], np.zeros((players, 1), int), np.ones(1), None, once, 0.0, False)
    if game == "BayesianGame":
        prior = data["prior"]
        by_world = payoffs.reshape(players, prior.size, *payoffs.shape[players + 1 :])
        return Worlds(by_world, np.indices(prior.shape).reshape(players, -1), prior.ravel(), None, once, 0.0, False)
    gamma, kernel = float(data["discount"]), data["transitions"]
    if game == "PublicPrivateGame":
        law = data["type_prior"]
        state, *types = np.indices(law.shape).reshape(players + 1, -1)
        observed = np.stack([state * size + own for size, own in zip(law.shape[1:], types, strict=True)])
        payoffs = payoffs.reshape(players, law.size, *payoffs.shape[players + 2 :])
        kernel = kernel.reshape(law.size, *payoffs.shape[2:], law.shape[0])
        gather = (np.arange(law.shape[0])[:, None] == state) * law.ravel()
        occupied = False
    else:
        count = payoffs.shape[1]
        observed = data["observations"] if "observations" in data else np.tile(np.arange(count), (players, 1))
        gather, law = np.eye(count), data["initial"]
        occupied = gamma > 0 and any(len(set(seen)) < count for seen in observed.tolist())
    return Worlds(payoffs, observed, law.ravel(), kernel if gamma > 0 else None, gather, gamma, occupied)
