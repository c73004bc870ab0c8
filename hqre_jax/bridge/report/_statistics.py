"""Means with intervals: questions are drawn again within their classes, and seeds are drawn again.

Plays that share a question are not independent, nor are plays that share a seed (worked examples, samples, training):
so both are resampled, the same ones for all methods, and a gain is the difference of two methods in one resample.
Classes weigh alike.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from hqre_jax.bridge.report._data import number

RESAMPLES, LEVEL = 2000, 0.95


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: On all questions and seeds.
        low: Lower end of the 95 % interval.
        high: Upper end.

    Example:
        >>> import numpy as np
        >>> from hqre_jax.bridge.report import Estimate
        >>> found = Estimate.of(100.0, np.arange(201.0))  # the middle 95 % of what resampling gave
        >>> f"{found.value:.0f}, {found.low:.1f} to {found.high:.1f}"
        '100, 5.0 to 195.0'
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, drawn: Float[np.ndarray, " resample"]) -> "Estimate":
        """The percentile interval of resampled values.

        Args:
            value: On all questions and seeds.
            drawn: The same of each resample; what is not a number is left out.

        Returns:
            The number with its interval; ends that are not numbers where nothing is known.
        """
        known = drawn[np.isfinite(drawn)]
        if not known.size:
            return cls(float(value), np.nan, np.nan)
        tail = 100 * (1 - LEVEL) / 2
        low, high = np.percentile(known, [tail, 100 - tail])
        return cls(float(value), float(low), float(high))


class Resampling:
    """How often each question and seed is drawn, resample by resample; the first one is the sample itself.

    Args:
        kinds: Number of the class of each question.
        seeds: Number of seeds.
        resamples: How many.
        seed: Of the draws.

    Example:
        >>> import numpy as np
        >>> from hqre_jax.bridge.report import Resampling
        >>> resampling = Resampling(np.array([0, 0, 0, 1]), seeds=1, resamples=100)
        >>> resampling.estimate(np.array([[1.0, 1.0, 1.0, 0.0]]))  # two classes, which weigh alike
        Estimate(value=0.5, low=0.5, high=0.5)
        >>> found = resampling.estimate(np.array([[1.0, 0.0, 0.0, 1.0]]))  # in one of them questions differ
        >>> found.low, found.high
        (0.5, 1.0)
    """

    def __init__(self, kinds: Int[np.ndarray, " question"], seeds: int, resamples: int = RESAMPLES, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.kinds, self.num_seeds, self.resamples = kinds, seeds, resamples
        self._classes = {int(c): np.flatnonzero(kinds == c) for c in np.unique(kinds)}
        self._questions = {
            c: np.concatenate([np.ones((1, len(own))), rng.multinomial(len(own), _even(len(own)), size=resamples)])
            for c, own in self._classes.items()
        }
        self._seeds = np.concatenate([np.ones((1, seeds)), rng.multinomial(seeds, _even(seeds), size=resamples)])

    def means(self, values: Float[np.ndarray, "seed question"], *only: int) -> Float[np.ndarray, " sample"]:
        """Mean over classes of the mean over questions and seeds: of the sample itself, then of each resample.

        Args:
            values: Not a number where something is missing.
            *only: Numbers of the classes to look at; all by default.

        Returns:
            One number more than there are resamples.
        """
        per_class = []
        for c in only or self._classes:
            own = values[:, self._classes[c]]
            known = np.isfinite(own)
            total = np.einsum("rs,sr->r", self._seeds, np.where(known, own, 0.0) @ self._questions[c].T)
            # Where nothing is missing, every resample is as large as the sample.
            count = known.size if known.all() else np.einsum("rs,sr->r", self._seeds, known @ self._questions[c].T)
            with np.errstate(invalid="ignore", divide="ignore"):
                per_class.append(np.where(count > 0, total / count, np.nan))
        return np.mean(per_class, axis=0)

    def estimate(self, values: Float[np.ndarray, "seed question"], *only: int) -> Estimate:
        """The mean with its interval.

        Args:
            values: Not a number where something is missing.
            *only: Numbers of the classes to look at; all by default.

        Returns:
            The estimate.
        """
        means = self.means(values, *only)
        return Estimate.of(means[0], means[1:])


def gain(ours: Float[np.ndarray, " sample"], *others: Float[np.ndarray, " sample"]) -> Estimate:
    """What ours is above the best of others, the best being found anew in every resample.

    Args:
        ours: Means, as `Resampling.means` gives them.
        *others: Those of one method or more.
    """
    above = ours - np.max(others, axis=0)
    return Estimate.of(above[0], above[1:])


def over_runs(values: Float[np.ndarray, " run"], seed: int = 0) -> Estimate:
    """Mean of independent runs, which are drawn again."""
    drawn = np.random.default_rng(seed).choice(values, size=(RESAMPLES, len(values))).mean(1)
    return Estimate.of(float(values.mean()), drawn)


def interval(name: str, estimate: Estimate) -> dict[str, float | None]:
    """An estimate as three cells of a row; None for what is no number."""
    ends = {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return {key: number(value) for key, value in ends.items()}


def _even(count: int) -> Float[np.ndarray, " part"]:
    return np.full(count, 1 / count)
