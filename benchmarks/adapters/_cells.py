"""What is compared: a class of questions, a method and a seed, each a fine-tuning run of its own."""

from dataclasses import dataclass
from typing import Any

from hqre_jax.bridge.finetuning import Config, read_config
from hqre_jax.bridge.finetuning.methods import METHODS

# Reasoning and planning, where the frozen model is right now and then, and far from what it could be.
CLASSES = (("arithmetic", "sum"), ("arithmetic", "product"), ("blocksworld", "what_is_below"))
SEEDS, TOKENS, QUESTIONS = 5, 8_000, 100
# Of a step: questions, and plays of each.
ASKED, PLAYS = 8, 4
REFERENCE = "dice"
ABLATIONS = ("dice_zero", "dice_common")
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
    "method_settings": {"eta": 1.0, "inner_steps": 2},
    "adapter": {"rank": 8, "last_layers": 10},
    "optimizer": {"learning_rate": 0.004, "decay": 20, "max_norm": 1.0, "groups": 8},
    "evaluation": {"questions": QUESTIONS, "every": 1_000, "split": "test"},
    "budget": {"tokens": TOKENS},
}


@dataclass(frozen=True)
class Cell:
    """A run.

    Attributes:
        task: The task.
        task_class: Its class.
        method: Name of the method.
        seed: Of questions, plays and first adapters.
    """

    task: str
    task_class: str
    method: str
    seed: int

    @property
    def name(self) -> str:
        """Unique name, good for a folder."""
        return f"{self.task_class}-{self.method}-{self.seed}"

    @property
    def config(self) -> Config:
        """The configuration; only question, method and seed differ."""
        task = {"name": self.task, "classes": [self.task_class]}
        return read_config({**_SETTINGS, "title": self.name, "tasks": [task], "method": self.method, "seed": self.seed})


def all_cells() -> list[Cell]:
    """Every run, seed by seed: whatever stops them, whole seeds are a table."""
    return [Cell(*kind, method, seed) for seed in range(SEEDS) for method in METHODS for kind in CLASSES]
