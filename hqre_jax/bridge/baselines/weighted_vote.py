"""A vote of several controls, each weighted by how often it was right on dev in the question's class.

Nitzan & Paroush, Optimal Decision Rules in Uncertain Dichotomous Choice Situations, International Economic Review 23,
1982: independent votes weigh ``log(p / (1 − p))``, and ``log((K − 1) p / (1 − p))`` where wrong ones spread evenly over
K − 1 answers; K is taken to be the number of answers seen on dev. No call is needed beyond those of the answers.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, Setting, by_class, outcome_known
from hqre_jax.bridge.baselines._per_class import Kind, class_of
from hqre_jax.bridge.baselines._solvers import OneAnswer, Solver, sampled_solvers, weighted_majority
from hqre_jax.bridge.coordination import AbstractPlayer, Course, Samples, play_all
from hqre_jax.bridge.tasks import Item

SIZES = (2, 3)
# A vote never weighs less than nothing: one against an answer says little of the others.
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True)
class WeightedVote(AbstractBaseline):
    """Two or three controls, the same ones for all questions; their weights are the class's."""

    name: str = "weighted_vote"
    paper = "Nitzan & Paroush, Optimal Decision Rules in Uncertain Dichotomous Choice Situations, 1982"
    family = "vote"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        found = sampled_solvers(samples)
        weights = {solver: self._weights(solver, dev, samples, seed) for solver in found}
        for size in SIZES:
            for voters in combinations_with_replacement(found, size):
                label = " + ".join(map(str, voters))
                yield Setting(label, Voters([(solver, weights[solver]) for solver in voters]))

    def _weights(self, solver: Solver, dev: Sequence[Item], samples: Samples, seed: int) -> dict[Kind, float]:
        found = {}
        for kind, own in by_class(play_all(OneAnswer(solver), dev, samples, seed)).items():
            known = [one for one in own if outcome_known(one)]
            right = (math.fsum(one.score or 0.0 for one in known) + 1) / (len(known) + 2)  # Laplace's: never 0 or 1
            answers = len({one.judgement.answer for one in known if one.judgement is not None})
            found[kind] = max(math.log(max(answers - 1, 1) * right / (1 - right)), _LEAST_WEIGHT)
        return found


class Voters(AbstractPlayer):
    """All are asked at once; the answer of most weight."""

    def __init__(self, voters: Sequence[tuple[Solver, Mapping[Kind, float]]]):
        self.voters = tuple(voters)

    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """See `AbstractPlayer`."""
        weights = [class_of(own, item) for _, own in self.voters]
        said = yield [solver.ask(f"weight {w:.2f}") for (solver, _), w in zip(self.voters, weights, strict=True)]
        return weighted_majority(said, weights)


METHODS = (WeightedVote(),)
