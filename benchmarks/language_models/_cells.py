"""What is asked: the easiest class of every task, under five controls, of the same items."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hqre_jax.bridge.controls import build_messages
from hqre_jax.bridge.models import Request
from hqre_jax.bridge.tasks import AbstractTask, Item, all_tasks
from hqre_jax.bridge.tasks._interface import Split

# The test split is opened once, after menus are fixed; this table serves to fix them.
SPLIT: Split = "dev"
NUM_ITEMS = 200
SEED = 0  # of the choice of worked examples; every reply is the likeliest one
MODEL = "smollm2-135m"
# Most tokens of a reply: a sentence or two, a short derivation, a long one. `AbstractTask.answer_tokens` is sized for
# the hardest class of a task, and a model that was told to be brief and is not still deserves to end its sentence.
MAX_TOKENS: Mapping[str, int] = {
    "direct": 32,
    "answers_only": 32,
    "two_examples": 64,
    "four_examples": 64,
    "step_by_step": 128,
}
# Short questions and answers first: a collection that is cut short has then completed most.
_ORDER = (
    *("arithmetic", "hanabi", "cooking", "negotiation", "word_problems", "itinerary"),
    *("guessing", "mystery", "blocksworld", "zebra", "logic"),
)


@dataclass(frozen=True)
class Cell:
    """One place of the table.

    Attributes:
        task: The task.
        task_class: Its class.
        control: Name of the way of answering.
    """

    task: AbstractTask
    task_class: str
    control: str

    @property
    def name(self) -> str:
        """As progress and messages name it."""
        return f"{self.task.name}/{self.task_class}/{self.control}"

    def items(self) -> list[Item]:
        """The questions. Those that can be played in turns are asked in their one-shot form: what is the next move?"""
        return self.task.items(self.task_class, SPLIT, NUM_ITEMS)

    def requests(self) -> list[Request]:
        """What the model is asked, in the order of `items`."""
        asked = (build_messages(self.task, item, self.control, SEED) for item in self.items())
        limit = MAX_TOKENS[self.control]
        return [Request(messages, replace(controls, max_tokens=limit)) for messages, controls in asked]


def all_cells() -> list[Cell]:
    """Every place of the table, in the order in which they are collected."""
    tasks = all_tasks()
    ordered = sorted(tasks, key=_ORDER.index)
    return [Cell(tasks[name], tasks[name].classes[0], control) for name in ordered for control in MAX_TOKENS]
