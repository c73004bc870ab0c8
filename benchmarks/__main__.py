"""``python -m benchmarks``: run the workloads, print the table, write JSON. Exit code 1 if an answer is wrong.

Wrong is an answer of an entrant that claims the principal branch and lies off it, or fails the residual.
"""

import argparse
import datetime
import json
import os
import sys
from pathlib import Path

import jax
from rich.console import Console
from rich.table import Table

from benchmarks._case import Case, Entrant
from benchmarks._machine import describe_machine
from benchmarks._measure import Measurement, measure
from benchmarks.entrants import all_entrants
from benchmarks.workloads import WORKLOADS

_LEAST_REPEATS = 5


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed against peers, answers verified.")
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS), metavar="W", help="W1, … (all)")
    parser.add_argument("--games", type=int, default=1_000, metavar="B", help="games per batch (1000)")
    parser.add_argument("--repeats", type=int, default=_LEAST_REPEATS, metavar="R", help="timed runs, 5 or more (5)")
    parser.add_argument("--only", default="", metavar="TEXT", help="entrants whose name contains this (all)")
    parser.add_argument("--cores", type=int, metavar="N", help="use only N cores, on Linux (all)")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks.json"), metavar="FILE", help="where JSON goes")
    arguments = parser.parse_args(argv)
    if arguments.games < 1 or arguments.repeats < _LEAST_REPEATS:
        parser.error(f"--games must be 1 or more, --repeats {_LEAST_REPEATS} or more")
    if arguments.cores is not None and not 1 <= arguments.cores <= (os.cpu_count() or 1):
        parser.error(f"--cores must lie between 1 and {os.cpu_count()}")
    return arguments


def _table(case: Case, measurements: list[Measurement]) -> Table:
    peer = next((m for m in measurements if m.entrant == "pygambit"), None)
    table = Table(title=case.label, title_justify="left")
    table.add_column("entrant")
    for name in ("games", "compile s", "run ms (median)", "least–most", "games/s", "× pygambit"):
        table.add_column(name, justify="right")
    for name in ("residual fails", "worst residual", "off branch"):
        table.add_column(name, justify="right")
    for m in measurements:
        off = "reference" if m.off_branch is None and m is peer else "–" if m.off_branch is None else str(m.off_branch)
        table.add_row(
            m.entrant,
            str(m.num_games),
            "–" if m.compile_seconds is None else f"{m.compile_seconds:.1f}",
            f"{1e3 * m.median_seconds:.1f}",
            f"{1e3 * min(m.run_seconds):.1f}–{1e3 * max(m.run_seconds):.1f}",
            f"{m.games_per_second:,.0f}",
            "–" if peer is None else f"{peer.seconds_per_game / m.seconds_per_game:.1f}",
            "not judged" if m.failures is None else str(m.failures),
            "–" if m.worst_residual is None else f"{m.worst_residual:.1e}",
            off if m.off_branch is None else f"{off} of {m.compared}",
        )
    return table


def _wrong(m: Measurement) -> int:
    return m.follows_branch * ((m.failures or 0) + (m.off_branch or 0))


def main(argv: list[str] | None = None) -> int:
    """Run, print, write.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, or 1 where an entrant that claims the principal branch gave a wrong answer.
    """
    arguments = _arguments(argv)
    if arguments.cores is not None:
        # Before JAX counts them.
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: arguments.cores]))
    jax.config.update("jax_enable_x64", True)
    console, log = Console(width=None if sys.stdout.isatty() else 150), Console(stderr=True)
    machine = describe_machine()
    chosen = [e for e in all_entrants() if arguments.only in e.name]
    for entrant in chosen:
        if entrant.missing:
            log.print(f"left out: {entrant.name} ({entrant.missing})", highlight=False)
    present: list[Entrant] = [e for e in chosen if not e.missing]
    report, wrong = [], 0
    for name in arguments.workload or WORKLOADS:
        for case in WORKLOADS[name](arguments.games):
            able = [e for e in present if e.accepts(case)]
            measurements = measure(case, able, arguments.repeats, lambda line: log.print(line, highlight=False))
            console.print(_table(case, measurements))
            wrong += sum(_wrong(m) for m in measurements)
            report.append(
                {
                    "workload": case.workload,
                    "label": case.label,
                    "tau": case.tau,
                    "residual_tol": case.residual_tol,
                    "branch_tol": case.branch_tol,
                    "entrants": [m.as_dict() for m in measurements],
                }
            )
    document = {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "cases": report,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(f"{machine['processor']}, {machine['cores_used']} cores; written to {arguments.out}", highlight=False)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
