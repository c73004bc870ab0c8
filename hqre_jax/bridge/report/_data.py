"""What an evaluation left in its folder, as arrays: scores and tokens by method, budget, seed and question."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hqre_jax.bridge.evaluation import Lines, Plan, read_plan, read_records
from hqre_jax.core._types import InputError

Cell = tuple[str, int]
OURS = "dice_pc"  # the method that is compared with the others


@dataclass(frozen=True)
class Plays:
    """What a method made of all questions within a budget.

    Attributes:
        scores: ``(seed, question)``; not a number where a call failed or nothing is known.
        tokens: Prompts and replies together, same shape.
        rounds: How often agents were asked, same shape.
        answers: Same shape; None for no answer.
    """

    scores: Float[np.ndarray, "seed question"]
    tokens: Float[np.ndarray, "seed question"]
    rounds: Float[np.ndarray, "seed question"]
    answers: np.ndarray


@dataclass(frozen=True)
class Data:
    """An evaluation.

    Attributes:
        plan: Its plan.
        kinds: Number of the class of each question.
        right: The right answer of each question, where there is one and it is known.
        plays: By method and number of the budget.
        settings: By method and seed, as they were written.
        transcripts: By method, budget and class.
        learning: Learning curves; None where they are not there yet.
        margins: The margin table; None where it is not there yet.
        whole: Whether every method that can be played has been, with every seed.

    Example:
        >>> import numpy as np
        >>> from hqre_jax.bridge.evaluation import Plan
        >>> from hqre_jax.bridge.report import Data
        >>> what = {"policies": (), "split": "dev", "classes": (("arithmetic", "sum"),), "questions": 2, "dev": 2}
        >>> how = {"budgets": (99.0,), "methods": ("dice_pc", "single"), "families": ("ours", "single")}
        >>> plan = Plan("three solvers", "0a1b", **what, **how, papers=("", ""), seeds=1, seed=0, plays=0)
        >>> kinds, nothing = np.zeros(2, int), {"plays": {}, "settings": {}, "transcripts": {}}
        >>> Data(plan, kinds, right=("8", "9"), **nothing, learning=None, margins=None, whole=False).family
        {'dice_pc': 'ours', 'single': 'single'}
    """

    plan: Plan
    kinds: Int[np.ndarray, " question"]
    right: tuple[str | None, ...]
    plays: Mapping[Cell, Plays]
    settings: Mapping[tuple[str, int], Mapping[str, Any]]
    transcripts: Mapping[tuple[str, int, int], list[dict[str, Any]]]
    learning: list[dict[str, Any]] | None
    margins: dict[str, Any] | None
    whole: bool

    @property
    def family(self) -> dict[str, str]:
        """Class of methods of each method."""
        return dict(zip(self.plan.methods, self.plan.families, strict=True))

    @property
    def nothing_fits(self) -> bool:
        """Whether all is known of dev, and no method keeps any of the budgets there."""
        every = [self.settings.get((method, seed)) for method in self.plan.methods for seed in range(self.plan.seeds)]
        return all(own is not None and all(chosen is None for chosen in own["chosen"]) for own in every)


def read_evaluation(folder: Path) -> Data:
    """Everything in a folder.

    Args:
        folder: Where an evaluation left its plan and records; it may be under way.

    Returns:
        The evaluation; what is not known yet is missing.

    Raises:
        InputError: There is no evaluation, or something in it is not as it was written.

    Example:
        >>> import dataclasses
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import Lines, Plan, Record, write_json
        >>> from hqre_jax.bridge.report import read_evaluation
        >>> what = {"policies": (), "split": "dev", "classes": (("arithmetic", "sum"),), "questions": 2, "dev": 2}
        >>> how = {"budgets": (99.0,), "methods": ("dice_pc", "single"), "families": ("ours", "single")}
        >>> plan = Plan("three solvers", "0a1b", **what, **how, papers=("", ""), seeds=1, seed=0, plays=0)
        >>> spent = dict.fromkeys(("prompt", "cached", "completion", "calls", "rounds"), (9, 9))
        >>> ours = Record("dice_pc", 0, 0, 0, 0, questions=(0, 1), scores=(1.0, 1.0), **spent, answers=("8", "9"))
        >>> single = dataclasses.replace(ours, method="single", scores=(1.0, 0.0), answers=("8", "7"))
        >>> with tempfile.TemporaryDirectory() as name:
        ...     write_json((folder := pathlib.Path(name)) / "plan.json", plan.document())
        ...     Lines(folder / "records.jsonl").add(*map(dataclasses.asdict, (ours, single)))
        ...     data = read_evaluation(folder)
        >>> data.plays["single", 0].scores, data.plays["single", 0].tokens
        (array([[1., 0.]]), array([[18., 18.]]))
        >>> data.whole  # no settings are known
        False
    """
    plan = read_plan(folder)
    if plan is None:
        raise InputError(
            "DIR",
            f"{str(folder)!a} holds no evaluation and no fine-tuning; `hqre llm eval` and `finetune` make them",
        )
    records = read_records(folder)
    asked: dict[int, tuple[int, ...]] = {}
    for record in records.values():
        same = record.kind < len(plan.classes) and record.seed < plan.seeds and record.method in plan.methods
        if not same or asked.setdefault(record.kind, record.questions) != record.questions:
            raise InputError(str(folder), f"records of {record.method} are of another evaluation")
    sizes = [len(asked.get(kind, ())) for kind in range(len(plan.classes))]
    kinds, offset = np.repeat(np.arange(len(sizes)), sizes), np.concatenate([[0], np.cumsum(sizes)])
    plays = dict[Cell, Plays]()
    for record in records.values():
        own = plays.setdefault((record.method, record.budget), _nothing(plan.seeds, len(kinds)))
        part = slice(offset[record.kind], offset[record.kind + 1])
        known = np.array([score is not None for score in record.scores])
        own.scores[record.seed, part] = np.array(record.scores, float)
        own.tokens[record.seed, part] = np.where(known, record.tokens, np.nan)
        own.rounds[record.seed, part] = np.where(known, record.rounds, np.nan)
        own.answers[record.seed, part] = record.answers
    lines = Lines(folder / "settings.jsonl", "method", "seed", "settings", "chosen", "why")
    settings = {(one["method"], one["seed"]): one for one in lines.read()}
    told = Lines(folder / "transcripts.jsonl", "method", "budget", "kind", "plays")
    talks = {(one["method"], one["budget"], one["kind"]): one["plays"] for one in told.read()}
    right: list[str | None] = [None] * len(kinds)
    for (_, _, kind), own in talks.items():
        for talk in own:
            if talk["question"] in asked.get(kind, ()):
                right[offset[kind] + asked[kind].index(talk["question"])] = talk["right_answer"]
    whole = all(
        (method, seed) in settings
        and all(
            chosen is None or all((method, number, seed, kind) in records for kind in asked)
            for number, chosen in enumerate(settings[method, seed]["chosen"])
        )
        for method in plan.methods
        for seed in range(plan.seeds)
    )
    learning, margins = (_json(folder / name) for name in ("learning.json", "margins.json"))
    return Data(plan, kinds, tuple(right), plays, settings, talks, learning, margins, whole)


def _nothing(seeds: int, questions: int) -> Plays:
    shape = seeds, questions
    scores, tokens, rounds = (np.full(shape, np.nan) for _ in range(3))
    return Plays(scores, tokens, rounds, np.full(shape, None, object))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise InputError(str(path), "is not as it was written: delete it, and evaluate again") from None


def number(value: float) -> float | None:
    """A number as JSON has it; None where it is none."""
    return float(value) if math.isfinite(value) else None
