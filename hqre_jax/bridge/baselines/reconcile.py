"""A ReConcile-style vote: agents with different controls answer and say how sure they are; sure ones weigh more.

Chen, Saha & Bansal, ReConcile: Round-Table Conference Improves Reasoning via Consensus among Diverse LLMs, 2023,
arXiv 2309.13007: its weights of stated confidence, its early end where all agree; one round, as dear rounds of
discussion are `debate`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, Setting
from hqre_jax.bridge.baselines._solvers import (
    Solver,
    best_solvers,
    conversation,
    measured_solvers,
    sampled_solvers,
    weighted_majority,
)
from hqre_jax.bridge.coordination import AbstractPlayer, Ask, Course, Said, Samples
from hqre_jax.bridge.models import Message
from hqre_jax.bridge.tasks import Item

AGENTS = 3
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_HOW_SURE = "How sure are you that your answer is right? Reply with a number from 0 to 100 alone."
# Stated confidence from here on, and its weight in the vote.
_WEIGHTS = ((1.0, 1.0), (0.9, 0.8), (0.8, 0.5), (0.6, 0.3), (0.0, 0.1))


@dataclass(frozen=True)
class Reconcile(AbstractBaseline):
    """Three agents, of the three best controls or all of the best one."""

    name: str = "reconcile"
    paper = "Chen, Saha & Bansal, ReConcile, 2023, arXiv 2309.13007"
    family = "vote"
    trained_once = True

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        found = sampled_solvers(samples)
        measured = list(zip(found, measured_solvers(found, dev, samples, seed), strict=True))
        ranked = sorted(measured, key=lambda pair: (-pair[1].score, pair[1].tokens))
        diverse = [ranked[k % len(ranked)] for k in range(AGENTS)]
        alike = [(solver, one) for solver, one in best_solvers(found, dev, samples, seed)[:1] for _ in range(AGENTS)]
        for table in (diverse, alike) if len(ranked) > 1 else (alike,):
            label = " + ".join(str(solver) for solver, _ in table)
            least = sum(one.tokens for _, one in table)
            yield Setting(f"round table of {label}", RoundTable(samples, [solver for solver, _ in table]), least)


class RoundTable(AbstractPlayer):
    """Where not all answers are the same, every agent that has one is asked how sure it is."""

    def __init__(self, samples: Samples, table: Sequence[Solver]):
        self.samples, self.table = samples, tuple(table)

    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """See `AbstractPlayer`."""
        said = yield [solver.ask(f"seat {k + 1}") for k, solver in enumerate(self.table)]
        given = [(solver, one) for solver, one in zip(self.table, said, strict=True) if one.answer is not None]
        if len({one.answer for _, one in given}) < 2:
            return [one for _, one in given[:1]]
        sure = yield [
            Ask(solver.agent, solver.choice, messages=self._how_sure(item, solver, one), why="how sure?")
            for solver, one in given
        ]
        return weighted_majority([one for _, one in given], [weight(stated(one)) for one in sure])

    def _how_sure(self, item: Item, solver: Solver, said: Said) -> tuple[Message, ...]:
        # Worked examples show answers to be copied, no confidence: the system prompt and the question are enough.
        opening = conversation(self.samples, item, solver)
        return (opening[0], opening[-1], Message("assistant", said.text), Message("user", _HOW_SURE))


def stated(said: Said) -> float:
    """The confidence that a reply states, in [0, 1]; 0 where it states none."""
    found = _NUMBER.search(said.text)
    if found is None:
        return 0.0
    value = float(found[0])
    return min(value if value <= 1 else value / 100, 1.0)


def weight(confidence: float) -> float:
    """ReConcile's weight of a confidence."""
    return next(weight for least, weight in _WEIGHTS if confidence >= least)


METHODS = (Reconcile(),)
