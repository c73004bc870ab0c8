"""Adaptive self-consistency: samples one by one, until they agree.

Aggarwal, Madaan, Yang & Mausam, Let's Sample Step by Step: Adaptive-Consistency for Efficient Reasoning and Coding with
LLMs, 2023, arXiv 2305.11860: with v₁ ≥ v₂ votes for the two leading answers, stop once
``P(p > ½ | p ~ Beta(v₁ + 1, v₂ + 1))`` reaches the threshold.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, Setting
from hqre_jax.bridge.baselines._solvers import Solver, majority, sampled_solvers
from hqre_jax.bridge.coordination import AbstractPlayer, Course, Said, Samples
from hqre_jax.bridge.tasks import Item

# At .85 two samples that agree are enough, at .9 three, at .95 four.
THRESHOLDS = (0.85, 0.9, 0.95)
MOST = (3, 5, 8)


def sureness(first: int, second: int) -> float:
    """``P(p > ½)`` for ``p ~ Beta(first + 1, second + 1)``: at least ``second + 1`` of ``n`` fair coins are tails.

    Args:
        first: Votes for the leading answer.
        second: Votes for the next one.
    """
    coins = first + second + 1
    return sum(comb(coins, k) for k in range(first + 1)) / 2**coins


@dataclass(frozen=True)
class AdaptiveSelfConsistency(AbstractBaseline):
    """One control, sampled until the answers agree or there are enough of them."""

    name: str = "adaptive_self_consistency"
    paper = "Aggarwal et al., Let's Sample Step by Step: Adaptive-Consistency, 2023, arXiv 2305.11860"
    family = "self-consistency"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        for solver in sampled_solvers(samples):
            for most in MOST:
                for threshold in THRESHOLDS:
                    if sureness(most - 1, 0) >= threshold:  # otherwise it never stops before the end
                        label = f"up to {most} × {solver}, until {threshold:g} sure"
                        yield Setting(label, UntilSure(solver, most, threshold))


class UntilSure(AbstractPlayer):
    """Samples one by one until the leading answer is sure enough."""

    def __init__(self, solver: Solver, most: int, threshold: float):
        self.solver, self.most, self.threshold = solver, most, threshold

    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """See `AbstractPlayer`."""
        said = list[Said]()
        while len(said) < self.most:
            said += yield [self.solver.ask(f"sample {len(said) + 1}, the others leave it open" if said else "first")]
            votes = [count for _, count in Counter(one.answer for one in said if one.answer).most_common(2)]
            first, second, *_ = [*votes, 0, 0]
            if first and sureness(first, second) >= self.threshold:
                break
        return majority(said)


METHODS = (AdaptiveSelfConsistency(),)
