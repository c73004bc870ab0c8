"""Self-consistency: several samples of one control, the most frequent answer.

Wang, Wei, Schuurmans, Le, Chi, Narang, Chowdhery & Zhou, Self-Consistency Improves Chain of Thought Reasoning in
Language Models, 2022, arXiv 2203.11171.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, Setting
from hqre_jax.bridge.baselines._solvers import Solver, majority, sampled_solvers
from hqre_jax.bridge.coordination import AbstractPlayer, Course, Samples
from hqre_jax.bridge.tasks import Item


@dataclass(frozen=True)
class SelfConsistency(AbstractBaseline):
    """The same control so many times.

    Attributes:
        count: How many times.
    """

    name: str
    count: int
    paper = "Wang et al., Self-Consistency Improves Chain of Thought Reasoning, 2022, arXiv 2203.11171"
    family = "self-consistency"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        for solver in sampled_solvers(samples):
            yield Setting(f"{self.count} × {solver}", Repeated(solver, self.count))


class Repeated(AbstractPlayer):
    """Samples of one control, asked at once; the most frequent answer, of equally frequent ones the first."""

    def __init__(self, solver: Solver, count: int):
        self.solver, self.count = solver, count

    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """See `AbstractPlayer`."""
        said = yield [self.solver.ask(f"sample {k + 1} of {self.count}") for k in range(self.count)]
        return majority(said)


METHODS = (SelfConsistency("self_consistency_3", 3), SelfConsistency("self_consistency_5", 5))
