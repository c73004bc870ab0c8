"""``python -m benchmarks.language_models``: ask what is missing, then print and write the table.

The recording that ships with this package is taken in first, so a collection goes on where that one stopped; whatever
stops this one, the same command goes on again. Exit code 1 where the budget ended it before the table was whole, 130
where it was interrupted: what was collected is kept and shown.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.language_models._cells import MODEL, all_cells
from benchmarks.language_models._collect import collect
from benchmarks.language_models._table import build_table, markdown
from hqre_jax.bridge import models
from hqre_jax.bridge.store import Budget, Store, StoredModel, export_archive, import_archive
from hqre_jax.core._types import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORDING = Path(__file__).with_name("calls.jsonl.xz")


def main(argv: "Sequence[str] | None" = None) -> int:
    """Collect, measure, print, write.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.language_models", description="The embedded model on all tasks."
    )
    parser.add_argument("--seconds", type=float, metavar="S", help="begin no call later than this; 0 asks nothing")
    parser.add_argument("--store", type=Path, default=Path("out/language_models.sqlite"), metavar="FILE")
    parser.add_argument("--out", type=Path, default=Path("out/language_models"), metavar="DIR")
    arguments = parser.parse_args(argv)
    code = 0
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        arguments.store.parent.mkdir(parents=True, exist_ok=True)
        with Store(arguments.store) as store:
            if RECORDING.exists():
                import_archive(RECORDING, store)
            if arguments.seconds != 0:
                code = _collect(store, arguments.seconds)
            archive = arguments.out / RECORDING.name
            export_archive(store, archive, log_probs=False)
        table = build_table(all_cells(), models.load(f"replay:{archive}"))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = markdown(table)
    (arguments.out / "table.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    (arguments.out / "table.md").write_text(text, encoding="utf-8")
    print(text, end="")
    return code or int(bool(table["missing"]))


def _collect(store: Store, seconds: float | None) -> int:
    try:
        model = StoredModel(models.load(MODEL), store, Budget(seconds=seconds))
        if not collect(model, all_cells(), lambda line: print(line, file=sys.stderr, flush=True)):
            print(f"{model.stopped} are over: the same command goes on", file=sys.stderr)
            return 1
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
