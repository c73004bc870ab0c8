"""The adapters that ship: those of recorded runs of ``python -m benchmarks.adapters``."""

import shutil
from pathlib import Path

from benchmarks.adapters.__main__ import RECORD
from benchmarks.adapters._cells import CLASSES, REFERENCE, Cell, table_cell
from benchmarks.adapters._record import line_of, read_record
from hqre_jax.bridge.models._adapter_files import CONFIG, WEIGHTS
from hqre_jax.core._types import InputError

SHIPPED = Path(__file__).with_name("adapters")
# Of each class the run with this seed.
SEED = 0


def cells() -> list[Cell]:
    """The runs that the adapters come from."""
    return [table_cell(*kind, REFERENCE, SEED) for kind in CLASSES]


def take_over(runs: Path, shipped: Path = SHIPPED) -> None:
    """Copy the adapters of finished runs, if these are the recorded ones.

    Args:
        runs: Where ``python -m benchmarks.adapters`` left its runs.
        shipped: Where to.

    Raises:
        InputError: A run is not recorded, is not there, or took other steps than the recorded one.
    """
    record = read_record(RECORD)
    for cell in cells():
        folder, remedy = runs / cell.name, "`python -m benchmarks.adapters` trains it"
        if cell.name not in record:
            raise InputError(str(RECORD), f"has no run {cell.name}: {remedy}")
        if not (folder / "adapters").exists():
            raise InputError(str(folder), f"holds no run that has ended: {remedy}")
        found = line_of(cell, folder)
        differing = [key for key in found if key != "seconds" and found[key] != record[cell.name][key]]
        if differing:
            raise InputError(
                str(folder), f"is another run than the recorded one, which has other {', '.join(differing)}"
            )
        target = shipped / cell.task_class
        target.mkdir(parents=True, exist_ok=True)
        for name in (WEIGHTS, CONFIG):
            shutil.copyfile(folder / "adapters" / "solver" / name, target / name)
