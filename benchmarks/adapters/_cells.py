"""What is compared: a class of questions, a method and a seed, each a fine-tuning run of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
# Settings of a method that the dev split chooses between by the mean over the classes, first seed; the first of equals.
# The ablations take what they are ablations of, others the usual steps; REINFORCE takes one whatever is asked for.
_STEPS = ({"inner_steps": 2}, {"inner_steps": 8})
CANDIDATES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "dice": (
        *_STEPS,
        {"inner_steps": 2, "eta": 4.0},
        {"inner_steps": 8, "exploration": 0.1},
        {"inner_steps": 8, "eta": 2.0, "exploration": 0.03},
        {"inner_steps": 8, "eta": 4.0, "exploration": 0.1},
    ),
    "grpo": _STEPS,
    "cotrain": _STEPS,
    "raft": _STEPS,
}
# The number of the one that was chosen.
CHOSEN: Mapping[str, int] = {"dice": 0, "grpo": 0, "cotrain": 0, "raft": 0}
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


def label(settings: Mapping[str, Any]) -> str:
    """Settings in short: gradient steps, and what is not as usual."""
    others = [f"{name}{value:g}" for name, value in settings.items() if name != "inner_steps"]
    return "_".join([str(settings["inner_steps"]), *others])


def cell_of(task: str, task_class: str, method: str, number: int, seed: int) -> Cell:
    """The run of a method with one of its candidates."""
    settings = CANDIDATES.get(method, _STEPS[:1])[number]
    return Cell(task, task_class, method, tuple(settings.items()), seed)


def chosen_cell(task: str, task_class: str, method: str, seed: int) -> Cell:
    """The run of a method with the settings that were chosen for it."""
    if method in ABLATIONS:
        return replace(chosen_cell(task, task_class, REFERENCE, seed), method=method)
    return cell_of(task, task_class, method, CHOSEN.get(method, 0), seed)


def table_cells() -> list[Cell]:
    """Every run of the table, seed by seed: whatever stops them, whole seeds are a table."""
    return [chosen_cell(*kind, method, seed) for seed in range(SEEDS) for method in METHODS for kind in CLASSES]


def choice_cells() -> list[Cell]:
    """Every run that the dev split chooses between."""
    return [
        cell_of(*kind, method, number, 0)
        for method, candidates in CANDIDATES.items()
        for number in range(len(candidates))
        for kind in CLASSES
    ]
