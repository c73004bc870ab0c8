"""``python -m benchmarks``: run the workloads, print tables, write JSON, Markdown and a picture.

Exit code 1 if an entrant that claims the principal branch lies off it or fails the residual. A goal of speed that is
missed is said, and is no error: it depends on the machine.
"""

import argparse
import datetime
import json
import os
import sys
from pathlib import Path

import jax
from rich.console import Console

from benchmarks._case import Entrant
from benchmarks._machine import describe_machine
from benchmarks._measure import Measurement, measure, outcomes
from benchmarks._report import Result, case_table, draw, markdown
from benchmarks.entrants import all_entrants
from benchmarks.workloads import WORKLOADS

_LEAST_REPEATS = 5


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed against peers, answers verified.")
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS), metavar="W", help="W1, … (all)")
    parser.add_argument(
        "--games", type=int, metavar="B", help="games per batch, where there is a choice (as published)"
    )
    parser.add_argument("--repeats", type=int, default=_LEAST_REPEATS, metavar="R", help="timed runs, 5 or more (5)")
    parser.add_argument("--only", default="", metavar="TEXT", help="entrants whose name contains this (all)")
    parser.add_argument("--cores", type=int, metavar="N", help="use only N cores, on Linux (all)")
    parser.add_argument(
        "--out", type=Path, default=Path("out/benchmarks.json"), metavar="FILE", help="JSON; .md and .png go beside it"
    )
    arguments = parser.parse_args(argv)
    if (arguments.games is not None and arguments.games < 1) or arguments.repeats < _LEAST_REPEATS:
        parser.error(f"--games must be 1 or more, --repeats {_LEAST_REPEATS} or more")
    if arguments.cores is not None and not 1 <= arguments.cores <= (os.cpu_count() or 1):
        parser.error(f"--cores must lie between 1 and {os.cpu_count()}")
    return arguments


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
    results: list[Result] = []
    for name in arguments.workload or WORKLOADS:
        for case in WORKLOADS[name](arguments.games):
            able = [e for e in present if e.accepts(case)]
            if not able:
                continue
            measurements = measure(case, able, arguments.repeats, lambda line: log.print(line, highlight=False))
            results.append(Result(case, measurements, outcomes(case, measurements)))
            console.print(case_table(results[-1]))
            for outcome in results[-1].outcomes:
                console.print(str(outcome), highlight=False)
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    _write(results, machine, when, arguments.out)
    print(markdown(results, machine, when))
    console.print(f"written to {arguments.out}, {arguments.out.with_suffix('.md')}", highlight=False)
    return int(any(_wrong(m) for result in results for m in result.measurements))


def _write(results: list[Result], machine: dict, when: str, out: Path) -> None:
    cases = [
        {
            "workload": result.case.workload,
            "label": result.case.label,
            "tau": result.case.tau,
            "residual_tol": result.case.residual_tol,
            "branch_tol": result.case.branch_tol,
            "entrants": [m.as_dict() for m in result.measurements],
            "goals": [
                {
                    "entrant": outcome.goal.entrant,
                    "peers": list(outcome.goal.peers),
                    "wanted": outcome.goal.factor,
                    "fastest_peer": outcome.peer,
                    "factor": outcome.factor,
                    "reached": outcome.reached,
                }
                for outcome in result.outcomes
            ],
        }
        for result in results
    ]
    document = {"when": when, "machine": machine, "cases": cases}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(markdown(results, machine, when), encoding="utf-8")
    if results:
        draw(results, out.with_suffix(".png"))


if __name__ == "__main__":
    sys.exit(main())
