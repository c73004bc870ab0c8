"""``python -m benchmarks.adapters``: train what is missing, keep what it came to, then write and print the table.

Runs that are recorded beside this package are taken as they are, so everything goes on where it stopped, in the middle
of a run as well; whatever stops it, the same command goes on again. Exit code 1 where runs are missing, 130 where it
was interrupted.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.adapters._cells import all_cells
from benchmarks.adapters._record import Record, line_of, read_record, write_record
from benchmarks.adapters._table import build_table, markdown
from hqre_jax.bridge.finetuning import Run
from hqre_jax.bridge.models import LocalModel, load
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
    return code or int(any(cell.name not in record for cell in all_cells()))


def _train(record: Record, seconds: float | None, out: Path) -> None:
    keep_programs()
    began, model = time.monotonic(), None
    cells = [cell for cell in all_cells() if record.get(cell.name, {}).get("digest") != cell.config.digest]
    # What was recorded under another protocol is no part of this one.
    for cell in cells:
        record.pop(cell.name, None)
    for number, cell in enumerate(cells):
        if seconds is not None and time.monotonic() - began > seconds:
            return
        print(f"{cell.name} ({number + 1} of {len(cells)})", file=sys.stderr, flush=True)
        if model is None:
            model = load(cell.config.model)
            assert isinstance(model, LocalModel)
        ended = Run(cell.config, model, out / cell.name).run()
        # A run that diverges keeps what it had learnt, and that is what its method comes to.
        if ended.how in ("done", "budget", "diverged"):
            record[cell.name] = line_of(cell, out / cell.name) | {"ended": ended.how}
            write_record(RECORD, record)


if __name__ == "__main__":
    sys.exit(main())
