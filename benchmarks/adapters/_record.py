"""What is kept of a run, one line each: enough for every number of the table."""

import json
from pathlib import Path
from typing import Any

from benchmarks.adapters._cells import Cell
from hqre_jax.bridge.finetuning._run import lines_of
from hqre_jax.bridge.tasks._interface import Split

Record = dict[str, dict[str, Any]]


def read_record(path: Path) -> Record:
    """The lines by the names of their runs; none where there is no file yet."""
    if not path.exists():
        return {}
    return {line["run"]: line for line in map(json.loads, path.read_text(encoding="ascii").splitlines())}


def write_record(path: Path, record: Record) -> None:
    """Write the lines, in the order of the names."""
    text = "".join(json.dumps(record[name], allow_nan=False) + "\n" for name in sorted(record))
    path.write_text(text, encoding="ascii")


def line_of(cell: Cell, folder: Path) -> dict[str, Any]:
    """What is kept of a run that has ended.

    Args:
        cell: What it was.
        folder: Where it left its lines.
    """
    steps, evaluations = (list(lines.read()) for lines in lines_of(folder))
    return {
        "run": cell.name,
        "digest": cell.config("test").digest,
        "seconds": steps[-1]["seconds"] if steps else 0.0,
        "tokens": [step["tokens"] for step in steps],
        "score": [step["score"] for step in steps],
        "kinds": [step["adapters"]["solver"]["roles"]["solver"]["kinds"] for step in steps],
        "gradients": [max(step["adapters"]["solver"]["gradients"], default=0.0) for step in steps],
        "distance": [step["adapters"]["solver"]["distance"] for step in steps],
        "evaluations": [
            {key: one[key] for key in ("step", "split", "tokens", "generated", "scores")} for one in evaluations
        ],
    }


def evaluations(line: dict[str, Any], split: Split) -> list[dict[str, Any]]:
    """Those of a run on the questions of a split, from the first policy to the last one; none where there are none."""
    return [one for one in line["evaluations"] if one["split"] == split]


def is_recorded(record: Record, cell: Cell, split: Split) -> bool:
    """Whether a run is there, under today's protocol, and was judged on this split."""
    line = record.get(cell.name)
    return line is not None and line["digest"] == cell.config(split).digest and bool(evaluations(line, split))
