"""Train every entry with every seed, record the paths, and write the table: ``python -m benchmarks.finetuning``."""

import argparse
import json
import sys
from pathlib import Path

import jax
import numpy as np

FOLDER = Path(__file__).parent
RECORD, TABLE, MARKDOWN = FOLDER / "runs.npz", FOLDER / "table.json", FOLDER / "table.md"


def main() -> None:
    """Record what is missing (remove runs.npz to begin anew), unless only the table is asked for."""
    jax.config.update("jax_enable_x64", True)
    from benchmarks.finetuning._entries import all_entries
    from benchmarks.finetuning._learn import train_seeds
    from benchmarks.finetuning._measure import EVERY, SEEDS
    from benchmarks.finetuning._table import build_table, markdown

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="only write the table again, from the record")
    if not parser.parse_args().table:
        record = dict(np.load(RECORD, allow_pickle=False)) if RECORD.exists() else {}
        for entry in all_entries():
            if f"{entry.name}:policies" in record:
                continue
            print(entry.name, file=sys.stderr)
            path = train_seeds(entry.game, entry.make_method(), entry.tau, SEEDS)
            kept = {"policies": np.exp(path.policies), "right": path.right, "gaps": path.gaps}
            record |= {f"{entry.name}:{field}": np.asarray(x, np.float32)[:, ::EVERY] for field, x in kept.items()}
            np.savez_compressed(RECORD, allow_pickle=False, **record)
    table = build_table(np.load(RECORD, allow_pickle=False))
    TABLE.write_text(json.dumps(table, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    MARKDOWN.write_text(markdown(table), encoding="utf-8")


if __name__ == "__main__":
    main()
