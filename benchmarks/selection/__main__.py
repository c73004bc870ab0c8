"""``python -m benchmarks.selection``: let learners play, find equilibria, then print and write the table.

Everything is computed from recorded replies: nothing is asked of a model. Games whose replies are not all recorded are
named as missing, and the exit code is 1; it is 2 where the input is wrong. Runs that are in the folder already are kept
where the game's outcomes are the same: remove ``runs.npz`` to begin anew.
"""

import argparse
import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.llm._protocol import Protocol

FOLDER = Path(__file__).parent
RECORD, TABLE, MARKDOWN, PICTURE = "runs.npz", "table.json", "table.md", "selection.png"


def main(argv: Sequence[str] | None = None) -> int:
    """Compute, write, print.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, 1 where games are missing, 2 on bad input.
    """
    from hqre_jax.cli._jax import enable_double_precision
    from hqre_jax.cli._program_cache import keep_programs

    enable_double_precision()
    keep_programs()
    from benchmarks.llm._protocol import SHIPPED, read_protocol
    from benchmarks.selection._picture import draw
    from benchmarks.selection._table import build_table, markdown
    from hqre_jax.core._types import InputError

    recording = SHIPPED.with_name("calls.jsonl.xz")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selection", description="Does selection help?")
    parser.add_argument("--recording", default=str(recording), metavar="FILE",
                        help="a store, or an archive of one (default: the one beside benchmarks.llm)")  # fmt: skip
    parser.add_argument("--table", action="store_true", help="only print the published table")
    parser.add_argument("--out", type=Path, default=Path("out/selection"), metavar="DIR", help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.table:
        print((FOLDER / MARKDOWN).read_text(encoding="utf-8"), end="")
        return 0
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        record = compute(read_protocol(), arguments.recording, read_runs(arguments.out / RECORD))
        np.savez_compressed(arguments.out / RECORD, allow_pickle=False, **record)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {arguments.out}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return 2
    print("equilibria and alarms", file=sys.stderr)
    table = build_table(record)
    text = markdown(table)
    (arguments.out / TABLE).write_text(json.dumps(table, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (arguments.out / MARKDOWN).write_text(text, encoding="utf-8")
    draw(record, arguments.out / PICTURE)
    print(text, end="")
    return int(bool(table["missing"]))


def read_runs(path: Path) -> dict[str, np.ndarray]:
    """The runs of a file; none where it is not there.

    Raises:
        InputError: It is no such file.
    """
    from hqre_jax.core._types import InputError

    try:
        return dict(np.load(path, allow_pickle=False)) if path.exists() else {}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(str(path), f"holds no runs ({error}): remove it") from None


def compute(protocol: Protocol, recording: str, known: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Outcomes, temperatures and runs of every game that is recorded.

    Args:
        protocol: Its team's samples are what is recorded.
        recording: A store, or an archive of one.
        known: Runs that are there: of games with the same outcomes they are kept.

    Raises:
        InputError: The recording cannot be read, or does not say whose replies it holds.
    """
    from benchmarks.selection._entries import Temperatures, entries
    from benchmarks.selection._games import SETTINGS, Recorded, read_outcomes
    from benchmarks.selection._learn import RUNS, run
    from benchmarks.selection._measure import encode
    from hqre_jax.bridge import models
    from hqre_jax.bridge.coordination import PublicStates, load_tasks

    team, record = protocol.team, dict[str, np.ndarray]()
    model = models.load(f"replay:{recording}")
    for setting in SETTINGS:
        outcomes = read_outcomes(setting, team, model, protocol.seed)
        if outcomes is None:
            continue
        fresh = outcomes.to_record()
        if all(np.array_equal(array, known.get(name, ())) for name, array in fresh.items()):
            record |= {name: array for name, array in known.items() if name.startswith(f"{setting.name}:")}
            continue
        print(setting.name, file=sys.stderr)
        record |= fresh
        recorded = Recorded.from_record(setting, record)  # as whoever reads the file has it
        assert recorded is not None
        temperatures, own = Temperatures.of(recorded), setting.team(team)
        record |= temperatures.to_record(setting.name)
        states = PublicStates.of(own, load_tasks(own))
        for entry in entries(temperatures):
            paths = np.stack([run(entry, recorded, states, seed) for seed in range(RUNS)])
            record[f"{setting.name}:{entry.name}"] = encode(paths)
    return record


if __name__ == "__main__":
    sys.exit(main())
