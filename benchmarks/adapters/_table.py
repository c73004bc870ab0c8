"""The table: as a document, and in words."""

from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.adapters._cells import ABLATIONS, CLASSES, QUESTIONS, REFERENCE, SEEDS, TOKENS, Cell
from benchmarks.adapters._record import Record
from hqre_jax.bridge.finetuning.methods import METHODS
from hqre_jax.bridge.report import Estimate, Resampling

_LEGEND = """\
Adapters of the embedded model, trained on one class of questions at a time until {tokens:,} tokens are generated; the
same prompts, plays of a step, optimiser and evaluation for all methods (`benchmarks/adapters/_cells.py`). Accuracy:
greedy replies to {questions} questions of the test split. {seeds} of {wanted} seeds are trained. Brackets: 95 %,
questions and seeds drawn again, the same ones for all methods; classes weigh alike."""


def build_table(record: Record) -> dict[str, Any]:
    """Every number, from the recorded runs alone; seeds that are not whole do not count."""
    whole = [seed for seed in range(SEEDS) if all(cell.name in record for cell in _cells(seed))]
    table: dict[str, Any] = {"seeds": len(whole), "seeds_wanted": SEEDS, "tokens": TOKENS, "questions": QUESTIONS}
    if not whole:
        return table | {"rows": []}
    resampling = Resampling(np.repeat(np.arange(len(CLASSES)), QUESTIONS), len(whole))
    scores = {method: _scores(record, method, whole) for method in METHODS}
    untrained = _scores(record, REFERENCE, whole, place=0)
    rows = [_row(record, method, whole, resampling, scores) for method in METHODS]
    first = {"method": "untrained", "accuracy": asdict(resampling.estimate(untrained)), **_by_class(untrained)}
    others = {name: found.mean() for name, found in scores.items() if name not in (REFERENCE, *ABLATIONS)}
    best = max(others, key=others.__getitem__)
    return table | {"rows": [first, *rows], "best_baseline": best}


def _cells(seed: int) -> list[Cell]:
    return [Cell(*kind, method, seed) for kind in CLASSES for method in METHODS]


def _scores(record: Record, method: str, seeds: list[int], place: int = -1) -> Float[np.ndarray, "seed question"]:
    """Of the last policy of each run, or the first one; class after class."""
    return np.array(
        [
            np.concatenate([record[Cell(*kind, method, seed).name]["evaluations"][place]["scores"] for kind in CLASSES])
            for seed in seeds
        ]
    )


def _row(
    record: Record, method: str, seeds: list[int], resampling: Resampling, scores: dict[str, np.ndarray]
) -> dict[str, Any]:
    runs = [record[Cell(*kind, method, seed).name] for seed in seeds for kind in CLASSES]
    beside = resampling.means(scores[REFERENCE]) - resampling.means(scores[method])
    return {
        "method": method,
        "accuracy": asdict(resampling.estimate(scores[method])),
        "behind": asdict(Estimate.of(beside[0], beside[1:])),
        **_by_class(scores[method]),
        "reply": float(np.mean([run["evaluations"][-1]["generated"] for run in runs])) / QUESTIONS,
        "generated": float(np.mean([run["tokens"][-1] for run in runs])),
        "seconds": float(np.mean([run["seconds"] for run in runs])),
        "diverged": sum(run["ended"] == "diverged" for run in runs),
    }


def _by_class(scores: Float[np.ndarray, "seed question"]) -> dict[str, Any]:
    means = scores.reshape(len(scores), len(CLASSES), QUESTIONS).mean((0, 2))
    return {"classes": {kind: float(mean) for (_, kind), mean in zip(CLASSES, means, strict=True)}}


def markdown(table: dict[str, Any]) -> str:
    """The document as Markdown."""
    legend = _LEGEND.format(
        tokens=table["tokens"], questions=table["questions"], seeds=table["seeds"], wanted=table["seeds_wanted"]
    )
    lines = ["# Fine-tuning the embedded model", "", legend]
    if table["rows"]:
        classes = [kind for _, kind in CLASSES]
        head = ["method", "accuracy", f"`{REFERENCE}` less it", *(f"`{kind}`" for kind in classes)]
        head += ["tokens a reply", "tokens generated", "seconds a run", "diverged"]
        lines += ["", f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
        lines += [f"| {' | '.join(_cells_of(row, classes))} |" for row in table["rows"]]
        best = next(row for row in table["rows"] if row["method"] == table["best_baseline"])
        lines += [
            "",
            f"The best baseline is `{best['method']}`; `{REFERENCE}` is {_points(best['behind'])} points above it.",
        ]
    return "\n".join(lines) + "\n"


def _cells_of(row: dict[str, Any], classes: list[str]) -> list[str]:
    accuracy = row["accuracy"]
    cells = [f"`{row['method']}`", f"{accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]"]
    cells.append(_points(row["behind"]) if "behind" in row and row["method"] != REFERENCE else "")
    cells += [f"{row['classes'][kind]:.3f}" for kind in classes]
    if "reply" not in row:
        return [*cells, "", "", "", ""]
    return [*cells, f"{row['reply']:.1f}", f"{row['generated']:,.0f}", f"{row['seconds']:.0f}", f"{row['diverged']}"]


def _points(estimate: dict[str, float]) -> str:
    return f"{100 * estimate['value']:+.1f} [{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"
