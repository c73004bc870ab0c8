"""EXP3 for each agent in each public state: exponential weights on importance-weighted rewards.

Auer, Cesa-Bianchi, Freund & Schapire, The Nonstochastic Multiarmed Bandit Problem, SIAM Journal on Computing 32, 2002.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, Setting
from hqre_jax.bridge.baselines._learned import LARGE, SMALL, learned
from hqre_jax.bridge.baselines._training import AbstractLearner, Table, Visits
from hqre_jax.bridge.coordination import PublicStates, Samples
from hqre_jax.bridge.tasks import Item

EXPLORATION = (0.05, 0.2)


@dataclass(frozen=True)
class EXP3(AbstractBaseline):
    """EXP3 for each agent.

    Attributes:
        plays: Training plays.
    """

    name: str
    plays: int
    paper = "Auer et al., The Nonstochastic Multiarmed Bandit Problem, 2002"
    family = "bandit"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        for gamma in EXPLORATION:
            yield from learned(lambda states, g=gamma: ExponentialLearner(states, g), f"γ {gamma:g}", self.plays, dev,
                               samples, seed)  # fmt: skip


class ExponentialLearner(AbstractLearner):
    """``p = (1 − γ) w / Σ w + γ / K``; the weight of what was chosen grows by ``exp(γ r / (p K))``.

    What is played after training is ``w / Σ w``.
    """

    def __init__(self, states: PublicStates, gamma: float):
        self.gamma, self.mask = gamma, states.mask
        self.log_weights = np.where(self.mask, 0.0, -np.inf)
        self._count = np.maximum(self.mask.sum(-1), 1)
        self._chances = self._exploring()

    def choose(self, state: int, rng: np.random.Generator) -> Sequence[int]:
        """See `AbstractLearner`."""
        below = np.cumsum(self._chances[:, state], axis=-1)
        drawn = rng.random((len(below), 1)) * below[:, -1:]
        return (drawn >= below).sum(-1).tolist()

    def learn(self, visits: Visits) -> None:
        """See `AbstractLearner`; all of a batch was chosen by the same chances."""
        agents = np.arange(len(self.mask))
        p, count = self._chances[agents, visits.states[:, None], visits.choices], self._count[:, visits.states].T
        gain = self.gamma * visits.returns / (p * count)
        np.add.at(self.log_weights, (agents, visits.states[:, None], visits.choices), gain)
        self.log_weights -= self.log_weights.max(-1, keepdims=True)
        self._chances = self._exploring()

    def policy(self) -> Table:
        """See `AbstractLearner`."""
        weights = np.exp(self.log_weights)
        return weights / weights.sum(-1, keepdims=True)

    def _exploring(self) -> Table:
        uniform = self.mask / self._count[..., None]
        return (1 - self.gamma) * self.policy() + self.gamma * uniform


METHODS = (EXP3("exp3_small", SMALL), EXP3("exp3_large", LARGE))
