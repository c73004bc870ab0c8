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


class AbstractGeneratedTask(AbstractTask):
    """A task whose items are drawn by a seeded generator."""

    def __init__(self):
        # (class, split) -> generator's state, items found so far, their questions
        self._streams: dict[tuple[str, str], tuple[random.Random, list[Item], set[str]]] = {}

    @abc.abstractmethod
    def draw(self, task_class: str, rng: random.Random) -> Draft:
        """A question of a class; all its randomness comes from ``rng``."""

    def items(self, task_class: str, split: Split, count: int) -> list[Item]:
        """See `AbstractTask`.

        Raises:
            InputError: There is no such class, or it has fewer items.
        """
        self.check_class(task_class)
        fresh = (random.Random(f"{self.name}/{task_class}/{split}"), [], set())
        rng, found, asked = self._streams.setdefault((task_class, split), fresh)
        idle = 0
        while len(found) < count:
            draft = self.draw(task_class, rng)
            idle += 1
            if split_of(self.name, task_class, draft.key) == split and draft.question not in asked:
                idle = 0
                asked.add(draft.question)
                place = self.name, task_class, split, len(found)
                found.append(Item(*place, draft.question, draft.answer, draft.solution, draft.data))
            elif idle > PATIENCE:
                raise InputError("count", f"is {count}, but {self.name}/{task_class}/{split} has {len(found)} items")
        return found[:count]
