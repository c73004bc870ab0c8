"""What is compared: a class of questions, a method and a seed, each a fine-tuning run of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hqre_jax.bridge.finetuning import Config, read_config
from hqre_jax.bridge.finetuning.methods import METHODS
from hqre_jax.bridge.tasks._interface import Split

# Reasoning and planning, where the frozen model is right now and then, and far from what it could be.
CLASSES = (("arithmetic", "sum"), ("arithmetic", "product"), ("blocksworld", "what_is_below"))
SEEDS, TOKENS, QUESTIONS = 5, 8_000, 100
# Of a step: questions, and plays of each.
ASKED, PLAYS = 8, 4
# Longer gradients are shortened to this.
MAX_NORM = 1.0
REFERENCE = "dice"
ABLATIONS = ("dice_zero", "dice_common")
# Settings of DICE-FT that the dev split chooses between by the mean over the classes, first seed; the first of equals.
_USUAL: Mapping[str, float] = {"inner_steps": 2}
CANDIDATES: tuple[Mapping[str, float], ...] = (
    _USUAL,
    {"inner_steps": 2, "eta": 4.0},
    {"inner_steps": 8},
    {"inner_steps": 8, "exploration": 0.1},
    {"inner_steps": 8, "eta": 2.0, "exploration": 0.03},
    {"inner_steps": 8, "eta": 4.0, "exploration": 0.1},
)
# The number of the one that was chosen.
CHOSEN = 0
_SETTINGS: dict[str, Any] = {
    "version": 1,
    "model": "smollm2-135m",
    "steps": 1_000,  # the budget ends a run
    "roles": [
        {
            "name": "solver",
            "control": "step_by_step",
            "max_tokens": 32,
            "format": [{"type": "reasoning"}, {"type": "answer", "after": "The answer is"}],
            "tau": {"reasoning": 0.05, "answer": 0.02},
        }
    ],
    "plays": {"questions": ASKED, "plays": PLAYS},
    "adapter": {"rank": 8, "last_layers": 10},
    "optimizer": {"learning_rate": 0.004, "decay": 20, "max_norm": MAX_NORM, "groups": 8},
    "budget": {"tokens": TOKENS},
}


@dataclass(frozen=True)
class Cell:
    """A run.

    Attributes:
        task: The task.
        task_class: Its class.
        method: Name of the method.
        settings: Names and values of settings of the method.
        seed: Of questions, plays and first adapters.
    """

    task: str
    task_class: str
    method: str
    settings: tuple[tuple[str, float], ...]
    seed: int

    @property
    def name(self) -> str:
        """Unique name, good for a folder."""
        return f"{self.task_class}-{self.method}-{label(dict(self.settings))}-{self.seed}"

    def config(self, split: Split) -> Config:
        """The configuration; only question, method, its settings and seed differ.

        Args:
            split: What the first and last policy are judged on; it decides nothing of what is learnt.
        """
        return read_config(
            {
                **_SETTINGS,
                "title": self.name,
                "tasks": [{"name": self.task, "classes": [self.task_class]}],
                "method": self.method,
                "method_settings": {"eta": 1.0, **dict(self.settings)},
                "seed": self.seed,
                "evaluation": {"questions": QUESTIONS, "every": 1_000, "split": split},
            }
        )


def label(settings: Mapping[str, float]) -> str:
    """Settings in short: gradient steps, and what is not as usual."""
    others = [f"{name}{value:g}" for name, value in settings.items() if name != "inner_steps"]
    return "_".join([str(settings["inner_steps"]), *others])


def table_cell(task: str, task_class: str, method: str, seed: int) -> Cell:
    """A run of the table."""
    settings = CANDIDATES[CHOSEN] if method in (REFERENCE, *ABLATIONS) else _USUAL
    return Cell(task, task_class, method, tuple(settings.items()), seed)


def table_cells() -> list[Cell]:
    """Every run of the table, seed by seed and class by class: whatever stops them, what is whole is a table."""
    return [table_cell(*kind, method, seed) for seed in range(SEEDS) for kind in CLASSES for method in METHODS]


def choice_cell(task: str, task_class: str, number: int) -> Cell:
    """A run that the dev split chooses by."""
    return Cell(task, task_class, REFERENCE, tuple(CANDIDATES[number].items()), 0)


def choice_cells() -> list[Cell]:
    """Every run that the dev split chooses between."""
    return [choice_cell(*kind, number) for number in range(len(CANDIDATES)) for kind in CLASSES]
