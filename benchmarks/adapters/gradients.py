"""``python -m benchmarks.adapters.gradients``: which way methods go, and how much of that is luck with plays.

Of some steps of 32 plays, gradients of several methods on *the same* plays, where the runs of the table begin and where
those of DICE-FT came to. What is kept are their scalar products, beside this file; the gradients lie in a folder, so
whatever stops it, the same command goes on. Minutes of two idle cores.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from rich.console import Console
from rich.table import Table

from benchmarks.adapters._cells import CLASSES, REFERENCE, table_cell

RECORD = Path(__file__).with_name("gradients.json")
SHIPPED = Path(__file__).parents[1] / "specialists" / "adapters"
METHODS = (REFERENCE, "dice_zero", "grpo", "cotrain")
BATCHES = 4
# Of the runs whose first steps these are; adapters of the first one ship.
SEED = 0
# A class and whether adapters have learnt it; of blocks they learnt nothing.
PLACES = (*((kind, False) for kind in CLASSES), *((kind, True) for kind in CLASSES[:2]))


def main(argv: list[str] | None = None) -> int:
    """Measure what is missing, then print what it says.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adapters.gradients", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/gradients"), metavar="DIR", help="(default: %(default)s)")
    parser.add_argument("--shown", action="store_true", help="measure nothing")
    given = parser.parse_args(argv)
    if not given.shown:
        given.out.mkdir(parents=True, exist_ok=True)
        try:
            record = [_place(*kind, learnt, given.out) for kind, learnt in PLACES]
        except KeyboardInterrupt:
            print("interrupted: the same command goes on", file=sys.stderr)
            return 130
        RECORD.write_text(json.dumps(record, indent=None) + "\n", encoding="ascii")
    record = json.loads(RECORD.read_text(encoding="ascii"))
    table = Table("class", "adapter", *(f"{name}, {REFERENCE}" for name in METHODS[1:]), f"{REFERENCE}, other plays",
                  title="cosines of gradients")  # fmt: skip
    for one in record:
        values = [*(alike(one, name) for name in METHODS[1:]), luck(one, REFERENCE)]
        table.add_row(one["class"], "learnt" if one["learnt"] else "new", *(f"{value:.3f}" for value in values))
    Console(width=120).print(table)
    return 0


def products(one: dict[str, Any]) -> Float[np.ndarray, "method batch method batch"]:
    """Scalar products of unit gradients: their cosines.

    Args:
        one: A line of the record.
    """
    size = len(METHODS) * BATCHES
    found = np.array(one["products"]).reshape(size, size)
    lengths = np.sqrt(np.diagonal(found))
    return (found / lengths / lengths[:, None]).reshape(len(METHODS), BATCHES, len(METHODS), BATCHES)


def alike(one: dict[str, Any], method: str) -> float:
    """Mean cosine of a method's gradients and those of DICE-FT on the same plays."""
    cosines, number = products(one), METHODS.index(method)
    return float(np.mean(np.diagonal(cosines[0, :, number])))


def luck(one: dict[str, Any], method: str) -> float:
    """Mean cosine of a method's gradients on different plays."""
    number = METHODS.index(method)
    cosines = products(one)[number, :, number]
    return float(np.mean(cosines[~np.eye(BATCHES, dtype=bool)]))


def _place(task: str, task_class: str, learnt: bool, out: Path) -> dict[str, Any]:
    name = f"{task_class}-{'learnt' if learnt else 'new'}"
    found = [_gradients(task, task_class, learnt, batch, out / f"{name}-{batch}.npz") for batch in range(BATCHES)]
    every = np.array([gradients[method] for method in METHODS for gradients in found], np.float64)
    scores = [float(gradients["score"]) for gradients in found]
    return {
        "task": task, "class": task_class, "learnt": learnt, "scores": scores,
        "products": [float(f"{value:.6g}") for value in (every @ every.T).ravel()],
    }  # fmt: skip


def _gradients(task: str, task_class: str, learnt: bool, number: int, path: Path) -> dict[str, np.ndarray]:
    """Of every method on one step's plays, each as one vector."""
    if path.exists():
        return dict(np.load(path))
    import jax

    from hqre_jax.bridge import models
    from hqre_jax.bridge.finetuning._batch import batch_of
    from hqre_jax.bridge.finetuning._learner import Learner
    from hqre_jax.bridge.finetuning._plays import Players
    from hqre_jax.cli._program_cache import keep_programs

    keep_programs()
    print(path.stem, file=sys.stderr, flush=True)
    config, model = table_cell(task, task_class, REFERENCE, SEED).config("test"), models.load("smollm2-135m")
    assert isinstance(model, models.LocalModel)
    adapter = models.init_adapter(model.decoder, config.adapter, jax.random.fold_in(jax.random.key(config.seed), 0))
    if learnt:
        adapter = models.load_adapter(SHIPPED / task_class, model.decoder)
    players = Players(config, model)
    plays = players.play(players.questions_of(number + 1), config.plays, {"solver": adapter}, f"step {number + 1}")
    found = {"score": np.array(np.mean([play.score for play in plays]))}
    for name in METHODS:
        method = replace(config, method=name).make_method()
        batch = batch_of(plays, config.roles, method, model.tokenizer.decode)
        _, gradient = Learner(model.decoder, method, config.optimizer).gradient(adapter, batch)
        found[name] = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(gradient)])
    np.savez(path.with_suffix(".part.npz"), **found)
    path.with_suffix(".part.npz").rename(path)
    return found


if __name__ == "__main__":
    sys.exit(main())
