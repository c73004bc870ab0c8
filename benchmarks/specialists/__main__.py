"""``python -m benchmarks.specialists``: both teams side by side, from what ships; nothing is asked of a model.

``--adapters DIR`` takes adapters over from runs of ``python -m benchmarks.adapters``, if they are the recorded ones.
``python -m benchmarks.llm --protocol benchmarks/specialists/trained/protocol.toml`` asks, trains and evaluates.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.specialists._adapters import take_over
from benchmarks.specialists._table import FOLDER, build_table, markdown
from hqre_jax.core._types import InputError

TABLE, MARKDOWN = FOLDER / "table.json", FOLDER / "table.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Write and print the table, or take adapters over.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        The exit code: 2 where something is missing or another one.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.specialists", description=__doc__)
    parser.add_argument("--adapters", type=Path, metavar="DIR", help="copy those of the runs in DIR: out/adapters")
    arguments = parser.parse_args(argv)
    try:
        if arguments.adapters is not None:
            take_over(arguments.adapters)
            return 0
        table = build_table()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    TABLE.write_text(json.dumps(table, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    MARKDOWN.write_text(markdown(table), encoding="utf-8")
    print(markdown(table), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
