"""A cascade: the cheap control first, a dearer one only where its samples differ.

Chen, Zaharia & Zou, FrugalGPT: How to Use Large Language Models While Reducing Cost and Improving Performance, 2023,
arXiv 2305.05176. Their trained scorer is replaced by the agreement of two samples, the check that works for small
models too; as in Yue, Zhao, Zhang, Du & Yao, Large Language Model Cascades with Mixture of Thoughts Representations for
Cost-efficient Reasoning, 2023, arXiv 2310.03094.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, NothingFits, Setting
from hqre_jax.bridge.baselines._solvers import Solver, majority, measured_solvers, sampled_solvers
from hqre_jax.bridge.coordination import AbstractPlayer, Course, Said, Samples
from hqre_jax.bridge.tasks import Item


@dataclass(frozen=True)
class Cascade(AbstractBaseline):
    """Two or three controls, by rising tokens on dev."""

    name: str = "cascade"
    paper = "Chen, Zaharia & Zou, FrugalGPT, 2023, arXiv 2305.05176"
    family = "cascade"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        found = sampled_solvers(samples)
        if len(found) < 2:
            raise NothingFits("a cascade wants two controls whose samples differ")
        tokens = [one.tokens for one in measured_solvers(found, dev, samples, seed)]
        rising = [found[k] for k in sorted(range(len(found)), key=lambda k: tokens[k])]
        for length in (2, 3):
            for steps in combinations(rising, length):
                yield Setting(" → ".join(map(str, steps)), Steps(steps))


class Steps(AbstractPlayer):
    """Two samples of each control in turn, until two agree; at the end the most frequent answer, dearer ones first."""

    def __init__(self, steps: Sequence[Solver]):
        self.steps = tuple(steps)

    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """See `AbstractPlayer`."""
        everything = list[Said]()
        for number, solver in enumerate(self.steps):
            why = "cheapest" if not number else f"the two of {self.steps[number - 1].choice} differ"
            said = yield [solver.ask(why), solver.ask(why)]
            if said[0].answer is not None and said[0].answer == said[1].answer:
                return [said[0]]
            everything = [*said, *everything]
        return majority(everything)


METHODS = (Cascade(),)
