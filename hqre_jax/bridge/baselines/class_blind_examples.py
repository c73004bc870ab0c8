"""One prompt for all questions: worked examples of every class, mixed; who need not know the class pays in tokens.

Brown, Mann, Ryder et al., Language Models are Few-Shot Learners, 2020, arXiv 2005.14165.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, NothingFits, Setting
from hqre_jax.bridge.baselines._solvers import Solver, solvers
from hqre_jax.bridge.controls import CONTROLS, draw_examples, find_control
from hqre_jax.bridge.coordination import AbstractPlayer, Ask, Course, Samples
from hqre_jax.bridge.models import Message
from hqre_jax.bridge.tasks import Item
from hqre_jax.core._types import InputError

# Examples of each class.
COUNTS = (1, 2)


@dataclass(frozen=True)
class ClassBlindExamples(AbstractBaseline):
    """One answer after one or two examples of every class, with their solutions."""

    name: str = "class_blind_examples"
    paper = "Brown et al., Language Models are Few-Shot Learners, 2020, arXiv 2005.14165"
    family = "examples"
    trained_once = True

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        solver = _with_examples(samples)
        kinds = list(dict.fromkeys((item.task, item.task_class) for item in dev))
        for count in COUNTS:
            shown = _examples(samples, kinds, count, seed)
            yield Setting(f"{count} of each of {len(kinds)} classes, {solver}", Blind(solver, shown))


class Blind(AbstractPlayer):
    """The question after the same examples, whatever it is about."""

    def __init__(self, solver: Solver, shown: tuple[Message, ...]):
        self.solver, self.shown = solver, shown

    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """See `AbstractPlayer`."""
        messages = (*self.shown, Message("user", item.question))
        said = yield [Ask(self.solver.agent, self.solver.choice, messages=messages, is_answer=True, why="class-blind")]
        return said


def _with_examples(samples: Samples) -> Solver:
    """A control of the menu that shows solved examples, for its temperature and length; else the longest replies."""

    def rank(solver: Solver) -> tuple[bool, int]:
        control = find_control(samples.team.agent(solver.agent).choice(solver.choice).control)
        return control.num_examples > 0 and control.with_solutions, control.extra_tokens

    return max(solvers(samples), key=rank)


def _examples(samples: Samples, kinds: Sequence[tuple[str, str]], count: int, seed: int) -> tuple[Message, ...]:
    try:
        examples = [item for task, name in kinds for item in draw_examples(samples.tasks[task], name, count, seed)]
    except InputError as error:
        raise NothingFits(f"of some class there are too few worked examples: {error.problem}") from None
    random.Random(seed).shuffle(examples)
    messages = [Message("system", CONTROLS["four_examples"].instruction or "")]
    for example in examples:
        messages += [Message("user", example.question), Message("assistant", example.solution or "")]
    return tuple(messages)


METHODS = (ClassBlindExamples(),)
