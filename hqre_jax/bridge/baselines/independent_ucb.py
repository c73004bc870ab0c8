"""Contextual bandits side by side: each agent learns for itself, the others being part of its luck.

Auer, Cesa-Bianchi & Fischer, Finite-time Analysis of the Multiarmed Bandit Problem, Machine Learning 47, 2002: UCB1 for
each agent in each public state, its reward what the agent itself is paid.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, Setting
from hqre_jax.bridge.baselines._learned import LARGE, SMALL, learned
from hqre_jax.bridge.baselines._training import AbstractLearner, Table, Visits, one_hot
from hqre_jax.bridge.baselines._upper_bounds import UpperBounds
from hqre_jax.bridge.coordination import PublicStates, Samples
from hqre_jax.bridge.tasks import Item

EXPLORATION = (0.2, 1.0)


@dataclass(frozen=True)
class IndependentUCB(AbstractBaseline):
    """UCB1 for each agent.

    Attributes:
        plays: Training plays.
    """

    name: str
    plays: int
    paper = "Auer, Cesa-Bianchi & Fischer, Finite-time Analysis of the Multiarmed Bandit Problem, 2002"
    family = "bandit"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        for width in EXPLORATION:
            yield from learned(lambda states, w=width: IndependentLearner(states, w), f"width {width:g}", self.plays,
                               dev, samples, seed)  # fmt: skip


class IndependentLearner(AbstractLearner):
    """Each agent takes its control with the highest upper bound."""

    def __init__(self, states: PublicStates, width: float):
        self._mask = states.mask
        self._menus = [[np.flatnonzero(row) for row in own] for own in self._mask]
        self._bounds = [[UpperBounds(len(menu), width) for menu in own] for own in self._menus]

    def choose(self, state: int, rng: np.random.Generator) -> Sequence[int]:
        """See `AbstractLearner`."""
        return [int(menu[state][own[state].choose(rng)]) for menu, own in zip(self._menus, self._bounds, strict=True)]

    def learn(self, visits: Visits) -> None:
        """See `AbstractLearner`."""
        for x, chosen, paid in zip(visits.states, visits.choices, visits.returns, strict=True):
            for i, (k, reward) in enumerate(zip(chosen, paid, strict=True)):
                self._bounds[i][x].add(int(np.searchsorted(self._menus[i][x], k)), float(reward))

    def policy(self) -> Table:
        """See `AbstractLearner`."""
        best = [
            [menu[bounds.best()] for menu, bounds in zip(menus, own, strict=True)]
            for menus, own in zip(self._menus, self._bounds, strict=True)
        ]
        return one_hot(np.array(best, int), self._mask)


METHODS = (IndependentUCB("independent_ucb_small", SMALL), IndependentUCB("independent_ucb_large", LARGE))
