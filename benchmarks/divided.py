"""Divided questions as conventions: ``python -m benchmarks.divided``.

Two agents can answer one part each of a question with two parts; the team is right only if both parts are there and
right. Which part is whose is arbitrary. A class enters the table of coordination tasks if, on its dev questions and
with the model that is named, a mismatch (both answer the same part) costs at least 20 points against a match, and if
the empirical game has several HQRE at low temperature. `beyond_doubt` says whether the interval of that cost, over
questions, lies above 20 points as a whole. Every call is kept in a store, so that the same command goes on
where it stopped.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hqre_jax.bridge import models
from hqre_jax.bridge.coordination import PublicStates, Samples, TeamGame, collect, find_equilibria, stage_games
from hqre_jax.bridge.store import Store, StoredModel
from hqre_jax.bridge.tasks import AbstractDividedTask, all_tasks
from hqre_jax.bridge.team import read_team
from hqre_jax.core._types import InputError

LEAST_COST = 0.2
_DRAWS = 2000


def main(argv: list[str] | None = None) -> int:
    """Collect, measure, print, write.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0 where every class passes, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.divided", description=__doc__)
    parser.add_argument("--model", default="smollm2-135m", help="(default: %(default)s)")
    parser.add_argument("--control", default="four_examples", help="how parts are answered (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=0.7, help="of sampling (default: %(default)s)")
    parser.add_argument("--only", metavar="TASK/CLASS", help="one class alone")
    parser.add_argument("--questions", type=int, default=60, help="of each class (default: %(default)s)")
    parser.add_argument("--store", type=Path, default=Path("out/divided.sqlite"))
    parser.add_argument("--out", type=Path, default=Path("out/divided.json"))
    arguments = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    try:
        arguments.store.parent.mkdir(parents=True, exist_ok=True)
        with Store(arguments.store) as store:
            model = StoredModel(models.load(arguments.model), store)
            rows = [
                entrance(model, arguments, task.name, name)
                for task in all_tasks().values()
                if isinstance(task, AbstractDividedTask)
                for name in task.divided
                if arguments.only in (None, f"{task.name}/{name}")
            ]
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    arguments.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if all(row["passes"] for row in rows) else 1


def entrance(model: StoredModel, arguments: Any, task: str, task_class: str) -> dict[str, Any]:
    """One class put to the test."""
    parts = all_tasks()[task].parts  # type: ignore[attr-defined]
    menu = [{"name": part, "control": arguments.control, "part": part, "temperature": arguments.temperature}
            for part in parts]  # fmt: skip
    team = read_team({
        "version": 1, "model": model.name, "questions": arguments.questions, "samples": len(parts),
        "price": {"prompt": 0.0, "completion": 0.0}, "tasks": [{"name": task, "classes": [task_class]}],
        "menu": menu, "agents": [{"name": f"agent {k + 1}"} for k in range(len(parts))],
    })  # fmt: skip
    samples = Samples(team, {model.name: model})
    states = PublicStates.of(team, samples.tasks)
    items = states.items("dev", samples.tasks)
    collect(samples, states, items, lambda what, done, total: print(f"{done} of {total}: {what}", file=sys.stderr))
    game = TeamGame.from_samples(samples, items)
    (moments,) = game.moments
    # Score by question and profile: profiles in which every part is somebody's, and those in which one is nobody's.
    score = moments.gain[:, 0] / moments.weight[:, 0]
    profiles = np.array(np.unravel_index(np.arange(score.shape[1]), (len(parts),) * len(parts)))
    match = (np.sort(profiles, axis=0) == np.arange(len(parts))[:, None]).all(0)
    cost = score[:, match].mean(1) - score[:, ~match].mean(1)
    draws = np.random.default_rng(0).integers(len(cost), size=(_DRAWS, len(cost)))
    low, high = np.quantile(cost[draws].mean(1), [0.025, 0.975])
    (stage,) = stage_games(game.game, np.zeros((len(parts), 1)))
    tau = 0.1 * float(cost.mean()) if cost.mean() > 0 else 1.0
    found = find_equilibria(stage, tau)
    row = {
        "task": task, "class": task_class, "model": model.name, "control": arguments.control,
        "temperature": arguments.temperature, "questions": len(cost),
        "match": float(score[:, match].mean()), "mismatch": float(score[:, ~match].mean()),
        "cost": float(cost.mean()), "interval": [float(low), float(high)], "tau": tau, "equilibria": len(found),
        "passes": bool(cost.mean() >= LEAST_COST and len(found) > 1), "beyond_doubt": bool(low >= LEAST_COST),
    }  # fmt: skip
    print(
        f"{task}/{task_class}: match {row['match']:.3f}, mismatch {row['mismatch']:.3f}, cost {row['cost']:.3f} "
        f"[{low:.3f}, {high:.3f}], {len(found)} HQRE at tau {tau:.3g}: {'passes' if row['passes'] else 'fails'}"
    )
    return row


if __name__ == "__main__":
    sys.exit(main())
