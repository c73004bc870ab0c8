"""``python -m benchmarks.adapters``: train what is missing, keep what it came to, then write and print the table.

First come the runs by which the dev split chooses the settings of DICE-FT, then those of the table. Runs that
are recorded beside this package are taken as they are, so everything goes on where it stopped, in the middle of a run
as well; whatever stops it, the same command goes on again. Exit code 1 where runs are missing, 130 where it was
interrupted.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.adapters._cells import Cell, choice_cells, table_cells
from benchmarks.adapters._record import Record, evaluations, is_recorded, line_of, read_record, write_record
from benchmarks.adapters._table import build_table, markdown
from hqre_jax.bridge.finetuning import Run
from hqre_jax.bridge.models import LocalModel, load
from hqre_jax.bridge.tasks._interface import Split
from hqre_jax.cli._program_cache import keep_programs

FOLDER = Path(__file__).parent
RECORD, TABLE, MARKDOWN = FOLDER / "runs.jsonl", FOLDER / "table.json", FOLDER / "table.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is missing, unless only the table is asked for.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adapters", description=__doc__)
    parser.add_argument("--seconds", type=float, metavar="S", help="begin no run later than this; 0 trains nothing")
    parser.add_argument("--out", type=Path, default=Path("out/adapters"), metavar="DIR", help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.seconds is not None and not arguments.seconds >= 0:  # nan is not
        parser.error(f"argument --seconds: {arguments.seconds:g} is not 0 or more")
    if arguments.out.exists() and not arguments.out.is_dir():
        parser.error(f"argument --out: {arguments.out} is no folder")
    record = read_record(RECORD)
    try:
        _train(record, arguments.seconds, arguments.out)
        code = 0
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        code = 130
    table = build_table(record)
    TABLE.write_text(json.dumps(table, indent=1, allow_nan=False) + "\n", encoding="ascii")
    MARKDOWN.write_text(markdown(table), encoding="utf-8")
    print(markdown(table), end="")
    missing = sum(not is_recorded(record, *run) for run in _runs())
    if missing:
        print(f"{missing} of {len(_runs())} runs are missing: without --seconds they are trained", file=sys.stderr)
    return code or int(missing > 0)


def _runs() -> list[tuple[Cell, Split]]:
    """What dev chooses between, then what is judged on test."""
    return [(cell, "dev") for cell in choice_cells()] + [(cell, "test") for cell in table_cells()]


def _train(record: Record, seconds: float | None, out: Path) -> None:
    keep_programs()
    began, model = time.monotonic(), None
    digests = {cell.name: cell.config(split).digest for cell, split in _runs()}
    # What was recorded under another protocol is no part of this one.
    for name in [name for name, line in record.items() if digests.get(name) != line["digest"]]:
        del record[name]
    missing = [run for run in _runs() if not is_recorded(record, *run)]
    for number, (cell, split) in enumerate(missing):
        if seconds is not None and time.monotonic() - began > seconds:
            return
        print(f"{cell.name}, {split} ({number + 1} of {len(missing)})", file=sys.stderr, flush=True)
        config = cell.config(split)
        if model is None:
            model = load(config.model)
            assert isinstance(model, LocalModel)
        ended = Run(config, model, out / cell.name).run()
        # A run that diverges keeps what it had learnt, and that is what its method comes to.
        if ended.how in ("done", "budget", "diverged"):
            line = line_of(cell, out / cell.name) | {"ended": ended.how}
            known = record.get(cell.name, {"digest": None})
            if known["digest"] == line["digest"]:  # the same run to the last bit, judged where its folder was
                other = [one for one in known["evaluations"] if not evaluations(line, one["split"])]
                line["evaluations"] = other + line["evaluations"]
            record[cell.name] = line
            write_record(RECORD, record)


if __name__ == "__main__":
    sys.exit(main())
