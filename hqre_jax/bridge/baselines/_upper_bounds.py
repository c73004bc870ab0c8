"""UCB1 with a prior, the arms of one state."""

import numpy as np

from hqre_jax.bridge.baselines._training import PRIOR_MEAN, PRIOR_WEIGHT


class UpperBounds:
    """``mean + width √(2 log t / n)``, the prior counted as plays of every arm.

    Args:
        count: Number of arms.
        width: Of the bounds, units of score; 1 is UCB1's for rewards in [0, 1].
    """

    def __init__(self, count: int, width: float):
        self.width = width
        self.plays, self.total = np.full(count, PRIOR_WEIGHT), np.full(count, PRIOR_WEIGHT * PRIOR_MEAN)
        # Choices that are not paid yet: those of one batch are not all the same.
        self._under_way = np.zeros(count)

    @property
    def means(self) -> np.ndarray:
        """Mean reward of each arm, the prior included."""
        return self.total / self.plays

    def choose(self, rng: np.random.Generator) -> int:
        """The arm with the highest bound, of equal ones one at random."""
        plays = self.plays + self._under_way
        bound = self.means + self.width * np.sqrt(2 * np.log(plays.sum() + 1) / plays)
        arm = int(rng.choice(np.flatnonzero(bound >= bound.max() - 1e-12)))
        self._under_way[arm] += 1
        return arm

    def add(self, arm: int, reward: float) -> None:
        """A reward; it ends the arm's being under way."""
        self.plays[arm] += 1
        self.total[arm] += reward
        self._under_way[arm] = max(self._under_way[arm] - 1, 0)

    def best(self) -> int:
        """The arm with the highest mean; an arm that was tried beats the prior alone."""
        tried = self.plays > PRIOR_WEIGHT
        return int(np.argmax(np.where(tried, self.means, -np.inf) if tried.any() else self.means))
