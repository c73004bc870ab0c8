"""The mirror update of DICE-PC on bandit feedback, with τ → 0 and with one common τ. Ours, with its point taken away.

With τ → 0 nothing holds the policies at the reference; with one common τ the agents' and states' own temperatures,
which the certificate asks for, are given up. `MirrorLearner` with those is what both are compared with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, Setting
from hqre_jax.bridge.baselines._learned import LARGE, SMALL, learned
from hqre_jax.bridge.baselines._training import PRIOR_MEAN, PRIOR_WEIGHT, AbstractLearner, Table, Visits
from hqre_jax.bridge.coordination import PublicStates, Samples
from hqre_jax.bridge.tasks import Item

# Nothing that a step of any length would show.
ZERO = 1e-9
TEMPERATURES = (0.02, 0.05, 0.1, 0.2)
STEP = 1.0


@dataclass(frozen=True)
class Mirror(AbstractBaseline):
    """The update with the same temperature everywhere.

    Attributes:
        temperatures: Those that are tried, units of score.
        plays: Training plays.
    """

    name: str
    temperatures: tuple[float, ...]
    plays: int
    family = "mirror"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        for tau in self.temperatures:
            label = "τ → 0" if tau == ZERO else f"τ = {tau:g} everywhere"
            yield from learned(lambda states, t=tau: MirrorLearner(states, t), label, self.plays, dev, samples, seed)


class MirrorLearner(AbstractLearner):
    """``π⁺ ∝ π^{1/(1+ητ)} ρ^{ητ/(1+ητ)} exp(η Q̂/(1+ητ))`` in each state of which a batch has plays.

    Q̂ is unbiased: the running mean of an agent's returns in the state, corrected by importance where it chose.

    Args:
        states: The public states.
        tau: Temperatures, a number or ``(agent, state)``, units of score.
        reference: ρ, ``(agent, state, choice)``; uniform by default.
        step: η, per unit of score.
    """

    def __init__(self, states: PublicStates, tau: Any, reference: Table | None = None, step: float = STEP):
        self.mask, self.step = states.mask, step
        self.tau = np.broadcast_to(np.asarray(tau, float), self.mask.shape[:2])
        uniform = self.mask / np.maximum(self.mask.sum(-1, keepdims=True), 1)
        with np.errstate(divide="ignore"):
            self.log_reference = np.log(uniform if reference is None else reference)
        self.logits = np.where(self.mask, self.log_reference, -np.inf)
        self._plays = np.full(self.mask.shape[:2], PRIOR_WEIGHT)
        self._total = np.full(self.mask.shape[:2], PRIOR_WEIGHT * PRIOR_MEAN)

    def choose(self, state: int, rng: np.random.Generator) -> Sequence[int]:
        """See `AbstractLearner`."""
        below = np.cumsum(_softmax(self.logits[:, state]), axis=-1)
        return (rng.random((len(below), 1)) * below[:, -1:] >= below).sum(-1).tolist()

    def learn(self, visits: Visits) -> None:
        """See `AbstractLearner`."""
        policy, agents = self.policy(), np.arange(len(self.mask))
        for x in np.unique(visits.states):
            here = visits.states == x
            chosen, paid = visits.choices[here], visits.returns[here]
            baseline = self._total[:, x] / self._plays[:, x]
            weighed = (paid - baseline) / policy[agents, x, chosen]
            values = np.zeros(self.mask.shape[::2])
            np.add.at(values, (agents, chosen), weighed)
            self._move(int(x), baseline[:, None] + values / len(paid))
            self._total[:, x] += paid.sum(0)
            self._plays[:, x] += len(paid)

    def policy(self) -> Table:
        """See `AbstractLearner`."""
        return _softmax(self.logits)

    def _move(self, x: int, values: np.ndarray) -> None:
        """The update in one state; centred values change nothing but the size of logits."""
        mask, eta_tau = self.mask[:, x], (self.step * self.tau[:, x])[:, None]
        with np.errstate(invalid="ignore"):
            moved = (self.logits[:, x] + eta_tau * self.log_reference[:, x] + self.step * values) / (1 + eta_tau)
        moved = np.where(mask, moved, -np.inf)
        self.logits[:, x] = moved - np.where(mask.any(-1, keepdims=True), moved.max(-1, keepdims=True), 0.0)


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


METHODS = (
    Mirror("mirror_zero_small", (ZERO,), SMALL),
    Mirror("mirror_zero_large", (ZERO,), LARGE),
    Mirror("mirror_common_small", TEMPERATURES, SMALL),
    Mirror("mirror_common_large", TEMPERATURES, LARGE),
)
