"""The report of an evaluation: a page, the numbers, and Markdown, all from the raw records in its folder."""

import json
from pathlib import Path
from typing import Any

from hqre_jax.bridge.report._data import Data as Data
from hqre_jax.bridge.report._data import read_evaluation as read_evaluation
from hqre_jax.bridge.report._domains import domains as domains
from hqre_jax.bridge.report._front import front as front
from hqre_jax.bridge.report._markdown import markdown
from hqre_jax.bridge.report._page import page
from hqre_jax.bridge.report._shown import shown
from hqre_jax.bridge.report._statistics import LEVEL, RESAMPLES, Resampling
from hqre_jax.bridge.report._statistics import Estimate as Estimate
from hqre_jax.bridge.report._tables import accuracy, tables
from hqre_jax.bridge.report._words import story
from hqre_jax.core._types import InputError

FORMAT, VERSION = "hqre-jax report", 1


def accuracy_rows(folder: Path, resamples: int = RESAMPLES) -> list[dict[str, Any]]:
    """Score and tokens of every method within every budget, as far as an evaluation has come.

    Args:
        folder: Where `hqre_jax.bridge.evaluation.Evaluation.run` leaves its records.
        resamples: Behind each interval.

    Returns:
        A row for each method and budget; none where nothing was played yet and something will be.

    Raises:
        InputError: There is no evaluation in the folder, or something in it is not as it was written.

    Example:
        >>> import dataclasses
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import Lines, Plan, Record, write_json
        >>> from hqre_jax.bridge.report import accuracy_rows
        >>> what = {"policies": (), "split": "dev", "classes": (("arithmetic", "sum"),), "questions": 2, "dev": 2}
        >>> how = {"budgets": (99.0,), "methods": ("dice_pc", "single"), "families": ("ours", "single")}
        >>> plan = Plan("three solvers", "0a1b", **what, **how, papers=("", ""), seeds=1, seed=0, plays=0)
        >>> spent = dict.fromkeys(("prompt", "cached", "completion", "calls", "rounds"), (9, 9))
        >>> ours = Record("dice_pc", 0, 0, 0, 0, questions=(0, 1), scores=(1.0, 1.0), **spent, answers=("8", "9"))
        >>> single = dataclasses.replace(ours, method="single", scores=(1.0, 0.0), answers=("8", "7"))
        >>> with tempfile.TemporaryDirectory() as name:
        ...     write_json((folder := pathlib.Path(name)) / "plan.json", plan.document())
        ...     Lines(folder / "records.jsonl").add(*map(dataclasses.asdict, (ours, single)))
        ...     rows = accuracy_rows(folder, resamples=100)
        >>> [(row["method"], row["score"], row["missing"]) for row in rows]
        [('dice_pc', 1.0, 0), ('single', 0.5, 0)]
    """
    data = read_evaluation(folder)
    if not data.plays and not data.nothing_fits:
        return []
    return accuracy(data, Resampling(data.kinds, data.plan.seeds, resamples))


def write_report(folder: Path, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Write ``report.html``, ``report.json`` and ``report.md`` into the folder of an evaluation.

    Args:
        folder: Where `hqre_jax.bridge.evaluation.Evaluation.run` left its records.
        resamples: Behind each interval.

    Returns:
        What ``report.json`` says.

    Raises:
        InputError: There is no evaluation in the folder, nothing was played yet or will be, or the folder cannot be
            written to.

    Example:
        >>> import dataclasses
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import Lines, Plan, Record, write_json
        >>> from hqre_jax.bridge.report import write_report
        >>> what = {"policies": (), "split": "dev", "classes": (("arithmetic", "sum"),), "questions": 2, "dev": 2}
        >>> how = {"budgets": (99.0,), "methods": ("dice_pc", "single"), "families": ("ours", "single")}
        >>> plan = Plan("three solvers", "0a1b", **what, **how, papers=("", ""), seeds=1, seed=0, plays=0)
        >>> spent = dict.fromkeys(("prompt", "cached", "completion", "calls", "rounds"), (9, 9))
        >>> ours = Record("dice_pc", 0, 0, 0, 0, questions=(0, 1), scores=(1.0, 1.0), **spent, answers=("8", "9"))
        >>> single = dataclasses.replace(ours, method="single", scores=(1.0, 0.0), answers=("8", "7"))
        >>> with tempfile.TemporaryDirectory() as name:
        ...     write_json((folder := pathlib.Path(name)) / "plan.json", plan.document())
        ...     Lines(folder / "records.jsonl").add(*map(dataclasses.asdict, (ours, single)))
        ...     document = write_report(folder, resamples=100)
        ...     print(sorted(path.name for path in folder.glob("report.*")))
        ['report.html', 'report.json', 'report.md']
        >>> [(row["method"], row["score"]) for row in document["tables"]["accuracy"]]
        [('dice_pc', 1.0), ('single', 0.5)]
    """
    data = read_evaluation(folder)
    if data.nothing_fits:
        raise InputError("DIR", f"{str(folder)!a} holds no results: no method keeps its budgets; `hqre llm eval` says "
                         "what each would need: raise --token-budgets, with another --out")  # fmt: skip
    if not data.plays:
        raise InputError("DIR", f"{str(folder)!a} holds no results yet: let `hqre llm eval` go on")
    found = tables(data, Resampling(data.kinds, data.plan.seeds, resamples))
    cells, told = shown(data, found), story(data, found)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "plan": data.plan.document(),
        "whole": data.whole,
        "level": LEVEL,
        "resamples": resamples,
        "story": told,
        "tables": found,
    }
    written = {
        "report.json": json.dumps(document, indent=1, allow_nan=False) + "\n",
        "report.md": markdown(data.plan.team, told, cells),
        "report.html": page(data, found, cells, told),
    }
    for name, text in written.items():
        try:
            (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError("DIR", f"{name} cannot be written there: {error.strerror or error}") from None
    return document
