"""A contextual bandit over joint profiles: one learner chooses for the whole team.

Auer, Cesa-Bianchi & Fischer, Finite-time Analysis of the Multiarmed Bandit Problem, Machine Learning 47, 2002: UCB1 in
each public state, its arms the joint profiles that fit, its reward what agents are paid on average.
"""

import itertools
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
class JointUCB(AbstractBaseline):
    """UCB1 over joint profiles.

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
            yield from learned(lambda states, w=width: JointLearner(states, w), f"width {width:g}", self.plays, dev,
                               samples, seed)  # fmt: skip


class JointLearner(AbstractLearner):
    """In each state the joint profile with the highest upper bound."""

    def __init__(self, states: PublicStates, width: float):
        mask = states.mask
        self._mask = mask
        self._profiles = [
            np.array(list(itertools.product(*(np.flatnonzero(mask[i, x]) for i in range(len(mask))))))
            for x in range(mask.shape[1])
        ]
        self._places = [{tuple(row): k for k, row in enumerate(own.tolist())} for own in self._profiles]
        self._bounds = [UpperBounds(len(own), width) for own in self._profiles]

    def choose(self, state: int, rng: np.random.Generator) -> Sequence[int]:
        """See `AbstractLearner`."""
        return self._profiles[state][self._bounds[state].choose(rng)].tolist()

    def learn(self, visits: Visits) -> None:
        """See `AbstractLearner`."""
        for x, chosen, paid in zip(visits.states, visits.choices, visits.returns, strict=True):
            self._bounds[x].add(self._places[x][tuple(chosen.tolist())], float(paid.mean()))

    def policy(self) -> Table:
        """See `AbstractLearner`."""
        best = np.stack([own[bounds.best()] for own, bounds in zip(self._profiles, self._bounds, strict=True)], axis=1)
        return one_hot(best, self._mask)


METHODS = (JointUCB("joint_ucb_small", SMALL), JointUCB("joint_ucb_large", LARGE))
