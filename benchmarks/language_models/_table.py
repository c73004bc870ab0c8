"""The table: as a document, and in words."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.language_models._cells import MAX_TOKENS, NUM_ITEMS, SEED, SPLIT, Cell
from benchmarks.language_models._measure import Row, measure
from hqre_jax.bridge.models import AbstractModel

COMMAND = "python -m benchmarks.language_models"

_LEGEND = """\
{items} questions of each task's easiest class, of the {split} split (the test split stays closed); every reply is the
likeliest one, worked examples are drawn from the train split with seed {seed}. Tasks that are played in turns are asked
in their one-shot form. Most tokens of a reply: {limits}.

* distinct: different worked solutions among the questions. Where there are few, questions say the same in other words.
* accuracy: with Wilson's interval at 95 %, over questions as they are worded; too narrow where distinct is small.
* balanced: mean over the right answers of the accuracy on their questions, where every question has one right answer
  and there are ten questions or more to an answer. Where a question lists options, an answer is its place among them.
* entropy: of the answers given, in nats; in brackets that of the right ones.
* chance: the most frequent right answer or a uniform guess among the options, whichever is better.
* prompt, reply: mean tokens; cut off: replies that reached their most tokens.
* *constant*: nine replies in ten or more come down to one answer, and are not right as often; else *floor*: the
  interval ends at 0.1 or below; else *chance*: it begins at chance or below."""


def build_table(cells: Sequence[Cell], model: AbstractModel) -> dict[str, Any]:
    """Measure every cell that is recorded whole.

    Args:
        cells: The cells, in the order of the table.
        model: The recording.

    Returns:
        A JSON-like document: the conditions, one row a cell, and the names of the cells that are missing.
    """
    rows = {cell.name: measure(cell, model) for cell in cells}
    return {
        "model": model.name,
        "identity": model.identity,
        "split": SPLIT,
        "items": NUM_ITEMS,
        "seed": SEED,
        "max_tokens": dict(MAX_TOKENS),
        "rows": [{**asdict(row), "interval": list(row.interval)} for row in rows.values() if row is not None],
        "missing": [name for name, row in rows.items() if row is None],
    }


def markdown(table: dict[str, Any]) -> str:
    """The document as Markdown."""
    limits = ", ".join(f"{control.replace('_', ' ')} {limit}" for control, limit in table["max_tokens"].items())
    lines = [
        f"# {table['model']} on the tasks",
        "",
        _LEGEND.format(items=table["items"], split=table["split"], seed=table["seed"], limits=limits),
        "",
        "| task | distinct | control | accuracy | balanced | entropy | chance | prompt | reply | cut off | |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    shown = ""
    for entry in table["rows"]:
        row = Row(**{**entry, "interval": tuple(entry["interval"])})
        name = f"`{row.task}` / `{row.task_class}`"
        lines.append(_line(row, "" if name == shown else name))
        shown = name
    if missing := table["missing"]:
        lines += ["", f"Not collected yet, {len(missing)} of {len(missing) + len(table['rows'])}: {_said(missing)}."]
        lines += ["", f"    {COMMAND}", "", "goes on where this stopped."]
    return "\n".join(lines) + "\n"


def _line(row: Row, name: str) -> str:
    balanced = "–" if row.balanced_accuracy is None else f"{row.balanced_accuracy:.2f}"
    right = "" if row.right_entropy is None else f" ({row.right_entropy:.2f})"
    return " | ".join(
        (
            f"| {name}",
            str(row.distinct) if name else "",
            row.control.replace("_", " "),
            f"{row.accuracy:.3f} [{row.interval[0]:.2f}, {row.interval[1]:.2f}]",
            balanced,
            f"{row.prediction_entropy:.2f}{right}",
            f"{row.chance:.2f}",
            f"{row.prompt_tokens:.0f}",
            f"{row.completion_tokens:.1f}",
            f"{row.cut_off:.0%}",
            f"{row.word} |",
        )
    )


def _said(missing: Sequence[str]) -> str:
    """Names of cells, those of a class together."""
    controls: dict[str, list[str]] = {}
    for name in missing:
        task, task_class, control = name.split("/")
        controls.setdefault(f"`{task}` / `{task_class}`", []).append(control.replace("_", " "))
    return "; ".join(f"{where} ({', '.join(ways)})" for where, ways in controls.items())
