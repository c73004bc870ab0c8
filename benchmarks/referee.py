"""Does the theory's condition hold where language models play? ``python -m benchmarks.referee``.

For the easiest class of each of the eleven tasks, the game of two agents of the embedded model, each of whom answers
under one of the recorded controls or abstains; the team's answer is the plurality, and everybody pays for its own
tokens. From the recording that ships beside `benchmarks.language_models`, nothing is asked of a model. For each game:
the margin at the temperature asked about, with an interval that resamples questions; the least temperatures that come
with a certificate; how many HQRE there are at that temperature, and at a low one. Classes of which fewer than two
controls are recorded are named as missing, and the exit code is 1.

Replies are the likeliest ones: two agents who choose the same control say the same.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.language_models._cells import MAX_TOKENS, NUM_ITEMS, SEED, Cell, all_cells
from hqre_jax.bridge import models
from hqre_jax.bridge.coordination import PublicStates, Samples, TeamPolicy, uniform_law
from hqre_jax.bridge.evaluation._margins import LOW, margins
from hqre_jax.bridge.models import AbstractModel, Failure
from hqre_jax.bridge.tasks import all_tasks
from hqre_jax.bridge.team import read_team
from hqre_jax.core._types import InputError

RECORDING = Path(__file__).with_name("language_models") / "calls.jsonl.xz"
# Temperature that is asked about, units of score.
TAU = 0.1
# For 1,000 tokens, as in the default team file.
PRICE = {"prompt": 0.2, "completion": 2.0}


def main(argv: Sequence[str] | None = None) -> int:
    """Compute, print, write.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, 1 where classes are missing, 2 on bad input.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.referee", description="The referee's question.")
    parser.add_argument("--recording", default=str(RECORDING), metavar="FILE", help="a store, or an archive of one")
    parser.add_argument("--tau", type=float, default=TAU, help="temperature, units of score (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="TASK", help="ask about these tasks alone")
    parser.add_argument("--out", type=Path, default=Path("out/referee.json"), metavar="FILE")
    arguments = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    rows, missing = list[dict[str, Any]](), list[str]()
    try:
        model = models.load(f"replay:{arguments.recording}")
        for name in set(arguments.only or ()) - set(all_tasks()):
            raise InputError("only", f"names {name!a}; there are {', '.join(all_tasks())}")
        for cells in by_class(all_cells()):
            if arguments.only and cells[0].task.name not in arguments.only:
                continue
            place = f"{cells[0].task.name}/{cells[0].task_class}"
            recorded = [cell for cell in cells if is_recorded(cell, model)]
            if len(recorded) < 2:
                missing.append(place)
                continue
            print(f"{place}: {', '.join(cell.control for cell in recorded)}", file=sys.stderr)
            rows.append(condition(recorded, model, arguments.tau))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    Console(width=120).print(table(rows, arguments.tau))
    if missing:
        print(f"not recorded yet: {', '.join(missing)}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"rows": rows, "missing": missing}, indent=1) + "\n", encoding="utf-8")
    return int(bool(missing))


def by_class(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells of one task and class together, in order."""
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.task.name, cell.task_class), []).append(cell)
    return list(found.values())


def is_recorded(cell: Cell, model: AbstractModel) -> bool:
    """Whether all replies of a cell are there."""
    return not any(isinstance(result, Failure) for result in model.generate(cell.requests()))


def condition(cells: Sequence[Cell], model: AbstractModel, tau: float, agents: int = 2) -> dict[str, Any]:
    """The theory's condition in the game of one class.

    Args:
        cells: Its recorded controls.
        model: The recording.
        tau: Temperature that is asked about, units of score.
        agents: How many play.

    Returns:
        Task, class, controls, and what `hqre_jax.bridge.evaluation` says of margins in the one state of the game.
    """
    task, name = cells[0].task, cells[0].task_class
    menu = [{"control": cell.control, "max_tokens": MAX_TOKENS[cell.control]} for cell in cells]
    team = read_team({
        "version": 1, "model": model.name, "examples": "shared", "questions": NUM_ITEMS, "samples": agents,
        "price": PRICE, "tasks": [{"name": task.name, "classes": [name]}],
        "menu": [{"control": "abstain"}, *menu], "agents": [{"name": f"agent {k + 1}"} for k in range(agents)],
    })  # fmt: skip
    samples = Samples(team, {model.name: model}, {task.name: task}, seed=SEED)
    states = PublicStates.of(team, samples.tasks)
    policy = TeamPolicy.of(states, uniform_law(states), np.full(states.mask.shape[:2], tau))
    found = margins(samples, policy, {0: cells[0].items()}, lambda what, done, total: None)
    (state,) = found["states"]
    return {**state, "task": task.name, "class": name, "controls": [cell.control for cell in cells]}


def table(rows: Sequence[dict[str, Any]], tau: float) -> Table:
    """What is printed."""
    shown = Table(
        "task / class", "controls", f"margin at τ = {tau:g}", "95 %", "least τ", f"HQRE at {tau:g}", f"at {LOW:g}"
    )
    for row in rows:
        interval = "–" if row["low"] is None else f"[{row['low']:+.3f}, {row['high']:+.3f}]"
        least = "–" if row["least_tau"] is None else f"{max(row['least_tau']):.3f}"
        counts = (str(row[key]) for key in ("equilibria", "equilibria_low"))
        shown.add_row(
            f"{row['task']} / {row['class']}",
            str(len(row["controls"])),
            f"{row['margin']:+.3f}",
            interval,
            least,
            *counts,
        )
    return shown


if __name__ == "__main__":
    sys.exit(main())
