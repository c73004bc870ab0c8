"""One agent, one answer: the best control, and the best control for each class.

Brown, Mann, Ryder et al., Language Models are Few-Shot Learners, 2020, arXiv 2005.14165; Wei et al., Chain-of-Thought
Prompting Elicits Reasoning in Large Language Models, 2022, arXiv 2201.11903: the controls themselves.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, Setting
from hqre_jax.bridge.baselines._per_class import Worth, assignments, class_of, worths
from hqre_jax.bridge.baselines._solvers import OneAnswer, Solver, solvers
from hqre_jax.bridge.coordination import AbstractPlayer, Course, Samples, play_all
from hqre_jax.bridge.tasks import Item

_PAPER = "Brown et al., Language Models are Few-Shot Learners, 2020, arXiv 2005.14165"


@dataclass(frozen=True)
class Single(AbstractBaseline):
    """The best control of the best agent, whatever the question."""

    name: str = "single"
    paper = _PAPER
    family = "single"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        for solver in solvers(samples):
            yield Setting(str(solver), OneAnswer(solver))


@dataclass(frozen=True)
class SingleByClass(AbstractBaseline):
    """For each class the best agent and control, the budget spent where it helps most."""

    name: str = "single_by_class"
    paper = _PAPER
    family = "single"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        table: dict[tuple[str, str], list[Worth[Solver]]] = {}
        for solver in solvers(samples):
            for kind, worth in worths(solver, play_all(OneAnswer(solver), dev, samples, seed)).items():
                table.setdefault(kind, []).append(worth)
        for chosen in assignments(table):
            label = "; ".join(f"{task}/{name}: {solver}" for (task, name), solver in chosen.items())
            yield Setting(label, ByClass(chosen))


class ByClass(AbstractPlayer):
    """One answer, by the agent and control that the question's class has."""

    def __init__(self, chosen: Mapping[tuple[str, str], Solver]):
        self.chosen = chosen

    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """See `AbstractPlayer`."""
        said = yield [class_of(self.chosen, item).ask(f"best for {item.task}/{item.task_class}")]
        return said


METHODS = (Single(), SingleByClass())
