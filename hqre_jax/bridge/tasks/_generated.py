"""Items from seeded generators; the split an item belongs to is a function of what it asks."""

import abc
import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hqre_jax.bridge.tasks._interface import AbstractTask, Item, Split
from hqre_jax.core._types import InputError

# Of all the questions a generator can ask.
SHARES: Mapping[Split, float] = {"train": 0.4, "dev": 0.2, "test": 0.4}
# A class that brings nothing new for so many draws is exhausted.
PATIENCE = 5_000


@dataclass(frozen=True)
class Draft:
    """A question before it has a place.

    Attributes:
        key: What is asked, without its wording: questions with equal keys are in one split. JSON-like.
        question: Its words.
        answer: As in `Item`.
        solution: As in `Item`.
        data: As in `Item`.
    """

    key: Any
    question: str
    answer: str | None
    solution: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def split_of(task: str, task_class: str, key: Any) -> Split:
    """The split of a question: a function of its content, so that no question is in two.

    Args:
        task: Name of the task.
        task_class: Class within the task.
        key: `Draft.key`.

    Returns:
        The split.
    """
    text = json.dumps([task, task_class, key], sort_keys=True, separators=(",", ":"))
    share = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
    for split, width in SHARES.items():
        share -= width
        if share < 0:
            return split
    return "test"


@dataclass
class _Stream:
    """The items of a class and split that were found so far.

    Attributes:
        rng: The generator's state.
        found: The items.
        asked: Their questions.
        idle: Draws since the last one.
        reworded: Whether `draw` is exhausted, and questions are put in other words.
    """

    rng: random.Random
    found: list[Item] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    idle: int = 0
    reworded: bool = False


class AbstractGeneratedTask(AbstractTask):
    """A task whose items are drawn by a seeded generator."""

    def __init__(self):
        self._streams: dict[tuple[str, Split], _Stream] = {}

    @abc.abstractmethod
    def draw(self, task_class: str, rng: random.Random) -> Draft:
        """A question of a class; all its randomness comes from ``rng``."""

    def reword(self, task_class: str, rng: random.Random) -> Draft | None:
        """A question in words that `draw` does not use: what comes where `draw` brings nothing new.

        Returns:
            The question; None where the class has no other words.
        """
        return None

    def items(self, task_class: str, split: Split, count: int) -> list[Item]:
        """See `AbstractTask`.

        Raises:
            InputError: There is no such class, or it has fewer items.
        """
        self.check_class(task_class)
        seed = f"{self.name}/{task_class}/{split}"
        stream = self._streams.setdefault((task_class, split), _Stream(random.Random(seed)))
        found, asked = stream.found, stream.asked
        while len(found) < count:
            draft = (self.reword if stream.reworded else self.draw)(task_class, stream.rng)
            if draft is None or stream.idle > PATIENCE:
                if stream.reworded:
                    raise InputError("count", f"is {count}, but {seed} has {len(found)} items")
                stream.rng, stream.idle, stream.reworded = random.Random(f"{seed}/in other words"), 0, True
            elif split_of(self.name, task_class, draft.key) == split and draft.question not in asked:
                stream.idle = 0
                asked.add(draft.question)
                place = self.name, task_class, split, len(found)
                found.append(Item(*place, draft.question, draft.answer, draft.solution, draft.data))
            else:
                stream.idle += 1
        return found[:count]
