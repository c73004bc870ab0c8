"""The table: as a document, and in words."""

from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.adapters._cells import (
    ABLATIONS,
    ASKED,
    CANDIDATES,
    CHOSEN,
    CLASSES,
    MAX_NORM,
    PLAYS,
    QUESTIONS,
    REFERENCE,
    SEEDS,
    TOKENS,
    choice_cell,
    table_cell,
)
from benchmarks.adapters._record import Record, evaluations, is_recorded
from hqre_jax.bridge.finetuning.methods import METHODS
from hqre_jax.bridge.report import Estimate, Resampling
from hqre_jax.bridge.tasks._interface import Split

_LEGEND = """\
Adapters of the embedded model, trained on one class of questions at a time as long as {tokens:,} generated tokens are
enough for another step; the same prompts, plays of a step, optimiser and evaluation for all methods
(`benchmarks/adapters/_cells.py`). Accuracy: greedy replies to {questions} questions of the test split. Of {wanted}
seeds a class has those that are trained by every method so far, and a class without any is missing. Brackets: 95 %,
questions and seeds drawn again, the same ones for all methods. Nats a step: KL(π_k+1 ‖ π_k) of a
play's tokens, mean of all steps."""
_CHOICE = """\
Accuracy on {questions} questions of the dev split after {tokens:,} tokens, first seed; the best mean is taken, here and
for the ablations. Other methods have two gradient steps as well, but `reinforce`, which has one, and nothing was chosen
for them. η is 1 and the exploration γ is 0 where nothing else is said. Largest gradient: the longest one of all, before
it is shortened to {max_norm:g}. The four runs at γ = 0.1 on products and blocks, and that on sums at η = 4, were made
before exploration was a setting: the same formula, rounded otherwise, so training them again ends with other bits."""
_HEAD = (
    "method",
    "accuracy",
    f"`{REFERENCE}` less it",
    "nats a step",
    "tokens a reply",
    "tokens generated",
    "seconds a run",
    "diverged",
)


def build_table(record: Record) -> dict[str, Any]:
    """Every number, from the recorded runs alone; of each class the seeds that every method has been trained with."""
    classes = [_class(record, *kind) for kind in CLASSES]
    return {
        "seeds": SEEDS, "tokens": TOKENS, "questions": QUESTIONS, "classes": [one for one in classes if one["seeds"]],
        "together": _together(record, classes),
        "choice": [found for number in range(len(CANDIDATES)) if (found := _choice(record, number))],
    }  # fmt: skip


def _choice(record: Record, number: int) -> dict[str, Any] | None:
    """What a candidate came to on dev; None while a run of it is missing."""
    cells = [choice_cell(*kind, number) for kind in CLASSES]
    if not all(is_recorded(record, cell, "dev") for cell in cells):
        return None
    runs = [record[cell.name] for cell in cells]
    accuracy = [float(np.mean(_scores([run], split="dev"))) for run in runs]
    return {
        "settings": dict(CANDIDATES[number]),
        "accuracy": accuracy,
        "mean": float(np.mean(accuracy)),
        "gradient": max(max(run["gradients"]) for run in runs),
    }


def _class(record: Record, task: str, task_class: str) -> dict[str, Any]:
    runs = {
        method: {
            seed: record[cell.name]
            for seed in range(SEEDS)
            if is_recorded(record, cell := table_cell(task, task_class, method, seed), "test")
        }
        for method in METHODS
    }
    seeds = sorted(set.intersection(*(set(of_method) for of_method in runs.values())))
    found: dict[str, Any] = {"task": task, "class": task_class, "seeds": seeds}
    if not seeds:
        return found
    resampling = Resampling(np.zeros(QUESTIONS, int), len(seeds))
    whole = {method: [of_method[seed] for seed in seeds] for method, of_method in runs.items()}
    rows = _compared({method: _scores(of_method) for method, of_method in whole.items()}, resampling)
    rows = [row | _spent(whole[row["method"]]) for row in rows]
    untrained = asdict(resampling.estimate(_scores(whole[REFERENCE], 0)))
    return found | {"untrained": untrained, "rows": rows, "best_baseline": _best(rows)}


def _together(record: Record, classes: list[dict[str, Any]]) -> dict[str, Any] | None:
    """All classes, which weigh alike, with the seeds that they have in common; None where there is no such seed."""
    seeds = sorted(set.intersection(*(set(one["seeds"]) for one in classes)))
    if not seeds:
        return None

    def scores(method: str) -> Float[np.ndarray, "seed question"]:
        runs = [[record[table_cell(*kind, method, seed).name] for seed in seeds] for kind in CLASSES]
        return np.concatenate([_scores(of_class) for of_class in runs], axis=1)

    resampling = Resampling(np.repeat(np.arange(len(CLASSES)), QUESTIONS), len(seeds))
    rows = _compared({method: scores(method) for method in METHODS}, resampling)
    return {"seeds": seeds, "rows": rows, "best_baseline": _best(rows)}


def _compared(scores: dict[str, Float[np.ndarray, "seed question"]], resampling: Resampling) -> list[dict[str, Any]]:
    """Accuracy of every method, and what DICE-FT is more than it: the same questions and seeds drawn for all."""
    dice, rows = resampling.means(scores[REFERENCE]), []
    for method, own in scores.items():
        behind = dice - resampling.means(own)
        accuracy = asdict(resampling.estimate(own))
        rows.append({"method": method, "accuracy": accuracy, "behind": asdict(Estimate.of(behind[0], behind[1:]))})
    return rows


def _best(rows: list[dict[str, Any]]) -> str:
    baselines = [row for row in rows if row["method"] not in (REFERENCE, *ABLATIONS)]
    return max(baselines, key=lambda row: row["accuracy"]["value"])["method"]


def _scores(runs: list[dict[str, Any]], place: int = -1, split: Split = "test") -> Float[np.ndarray, "seed question"]:
    """Of the last policy of each run, or the first one."""
    return np.array([evaluations(run, split)[place]["scores"] for run in runs])


def _spent(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "moved": float(np.mean([_moved(run) for run in runs])),
        "reply": float(np.mean([evaluations(run, "test")[-1]["generated"] for run in runs])) / QUESTIONS,
        "generated": float(np.mean([run["tokens"][-1] for run in runs])),
        "seconds": float(np.mean([run["seconds"] for run in runs])),
        "diverged": sum(run["ended"] == "diverged" for run in runs),
    }


def _moved(run: dict[str, Any]) -> float:
    """How far a step moves the law of a play, in nats, mean of all steps."""
    steps = [sum(kind["moved"] * kind["tokens"] for kind in kinds.values()) for kinds in run["kinds"]]
    return float(np.mean(steps)) / (ASKED * PLAYS)


def markdown(table: dict[str, Any]) -> str:
    """The document as Markdown."""
    legend = _LEGEND.format(tokens=table["tokens"], questions=table["questions"], wanted=table["seeds"])
    lines = ["# Fine-tuning the embedded model", "", legend]
    if not table["classes"]:
        lines += ["", "No seed has been trained by every method yet."]
    for one in table["classes"]:
        lines += ["", f"## {one['task']} / {one['class']}: {_counted(one['seeds'])}", ""]
        lines += [f"| {' | '.join(_HEAD)} |", "|" + " --- |" * len(_HEAD)]
        lines.append(f"| untrained | {_shown(one['untrained'])} |" + " |" * (len(_HEAD) - 2))
        lines += [f"| {' | '.join(_cells_of(row))} |" for row in one["rows"]]
        lines += ["", _against_the_best(one)]
    if (together := table["together"]) is not None:
        lines += ["", f"## All classes: {_counted(together['seeds'])}", ""]
        lines += [f"| {' | '.join(_HEAD[:3])} |", "|" + " --- |" * 3]
        lines += [f"| {' | '.join(_cells_of(row))} |" for row in together["rows"]]
        lines += ["", _against_the_best(together)]
    names = [task_class for _, task_class in CLASSES]
    legend = _CHOICE.format(tokens=table["tokens"], questions=table["questions"], max_norm=MAX_NORM)
    lines += ["", f"## Settings of `{REFERENCE}`", "", legend, ""]
    lines += [f"| gradient steps, settings | {' | '.join(names)} | mean | largest gradient |"]
    lines += ["|" + " --- |" * (3 + len(names))]
    for row in table["choice"]:
        mark = "**" if row["settings"] == CANDIDATES[CHOSEN] else ""
        shown = [f"{value:.2f}" for value in row["accuracy"]]
        mean = f"{mark}{row['mean']:.3f}{mark}"
        lines.append(f"| {' | '.join([_said(row['settings']), *shown, mean, _rounded(row['gradient'])])} |")
    return "\n".join(lines) + "\n"


def _counted(seeds: list[int]) -> str:
    return f"{len(seeds)} seed" + ("s" if len(seeds) > 1 else "")


def _against_the_best(found: dict[str, Any]) -> str:
    best = next(row for row in found["rows"] if row["method"] == found["best_baseline"])
    return f"`{REFERENCE}` less the best baseline, `{best['method']}`: {_points(best['behind'])} points."


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _said(settings: dict[str, float]) -> str:
    symbols = {"eta": "η", "exploration": "γ"}
    others = [f"{symbols[name]} = {value:g}" for name, value in settings.items() if name in symbols]
    return ", ".join([str(settings["inner_steps"]), *others])


def _cells_of(row: dict[str, Any]) -> list[str]:
    beside = "" if row["method"] == REFERENCE else _points(row["behind"])
    cells = [f"`{row['method']}`", _shown(row["accuracy"]), beside]
    if "moved" in row:
        cells += [f"{row['moved']:.2f}", f"{row['reply']:.1f}", f"{row['generated']:,.0f}"]
        cells += [f"{row['seconds']:.0f}", str(row["diverged"])]
    return cells


def _shown(estimate: dict[str, float]) -> str:
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def _points(estimate: dict[str, float]) -> str:
    return f"{100 * estimate['value']:+.1f} [{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"
