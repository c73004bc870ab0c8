"""Asks the model what the store does not have yet."""

import time
from collections.abc import Callable, Sequence

from benchmarks.language_models._cells import Cell
from hqre_jax.bridge.models import Failure
from hqre_jax.bridge.store import StoredModel


def collect(model: StoredModel, cells: Sequence[Cell], say: Callable[[str], None], batch: int = 32) -> bool:
    """Ask everything, a batch at a time; what is in the store already is passed by.

    Args:
        model: The model behind its store, with its budget.
        cells: What to ask, in this order.
        say: Takes lines of progress.
        batch: Questions asked at a time.

    Returns:
        Whether all is asked; else the budget ended it, and `StoredModel.stopped` says which limit.

    Raises:
        RuntimeError: A call failed for another reason than the budget.
    """
    for number, cell in enumerate(cells, 1):
        requests, began = cell.requests(), time.monotonic()
        for start in range(0, len(requests), batch):
            for result in model.generate(requests[start : start + batch]):
                if isinstance(result, Failure) and not model.stopped:
                    raise RuntimeError(f"{cell.name}: {result.kind}: {result.detail}")
            if model.stopped:
                return False
            done = min(start + batch, len(requests))
            seconds = time.monotonic() - began
            say(f"{cell.name} ({number} of {len(cells)}): {done} of {len(requests)} answers, {seconds:.0f} s")
    return True
