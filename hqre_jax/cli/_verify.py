"""``hqre verify``: the theorem ledger, on random games and on one's own."""

import json
import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from hqre_jax.cli._inputs import number, read_question
from hqre_jax.cli._interrupts import goes_on_with
from hqre_jax.cli._program_cache import programs_folder
from hqre_jax.cli._tables import BETWEEN_LINES, facts, rendered, table
from hqre_jax.cli._verify_parser import NUM_GAMES, OUT, SEED
from hqre_jax.core._types import InputError
from hqre_jax.problem import Problem

# The statements and their measurements (proofs_check) are imported by the functions below, when they are wanted.

_PACKAGE = "proofs_check"


def verify(arguments: Namespace) -> int:
    """Run the command; results to stdout, the rest to stderr.

    Returns:
        0, or 1 where a claim was broken or fails in no negative control.

    Raises:
        InputError: On bad options, or a folder that holds another ledger.
    """
    games = number(arguments.games, "games", int, "a whole number, 1 or more")
    seed = number(arguments.seed, "seed", int, "a whole number, 0 or more")
    if games is not None and not 1 <= games < 2**31:
        raise InputError("games", f"is {games}; a whole number from 1 to 2^31 − 1 is wanted")
    if seed is not None and not 0 <= seed < 2**63:
        raise InputError("seed", f"is {seed}; a whole number from 0 to 2^63 − 1 is wanted")
    statements = _asked(arguments.theorem)
    if arguments.game is not None:
        for option in ("games", "out", "fresh"):
            if getattr(arguments, option) not in (None, False):
                raise InputError(option, "does not go with --game: one game is measured and nothing is written")
        return _one_game(arguments, statements, seed or SEED)
    for option in ("tau", "tau_file", "reference_file"):
        if getattr(arguments, option) is not None:
            raise InputError(option, "goes with --game GAME: random games bring their own")
    return _ledger(arguments, statements, games or NUM_GAMES, seed or SEED)


def _asked(names: list[str] | None) -> dict[str, Any]:
    """The statements wanted."""
    from proofs_check.discovery import statements

    every = statements(_PACKAGE)
    for name in names or ():
        if name not in every:
            raise InputError("theorem", f"{name[:20]!a} is no statement; there are {', '.join(every)}")
    return {name: every[name] for name in every if not names or name in names}


def _ledger(arguments: Namespace, statements: dict[str, Any], games: int, seed: int) -> int:
    from proofs_check.runner.ledger import run_ledger
    from proofs_check.runner.publish import write_results
    from proofs_check.runner.report import SUMMARY, summary_rows

    folder = Path(arguments.out or OUT)
    words = ["hqre", "verify", *(f"--theorem={name}" for name in arguments.theorem or ())]
    words += [f"--games={games}", f"--seed={seed}"]
    command = shlex.join(words if folder == Path(OUT) else [*words, f"--out={folder}"])
    try:
        with _progress(shlex.join([*words, f"--out={folder}"])) as watch:
            ledger = run_ledger(
                list(statements),
                folder,
                games=games,
                seed=seed,
                package=_PACKAGE,
                fresh=arguments.fresh,
                programs=programs_folder(),
                watch=watch,
            )
    except RuntimeError as error:
        print(f"hqre: {error}", file=sys.stderr)
        return 1
    written = write_results(ledger, command)
    if arguments.format == "json":
        sys.stdout.write(json.dumps(ledger.document(), allow_nan=False) + "\n")
    else:
        about = {
            "hypotheses": "every game satisfies that of its statement; negative controls drop one or take a wrong "
            "constant, and every claim must fail in one",
            "time": f"{ledger.seconds:.0f} s" + (f", {_tasks(ledger.resumed)} done before" if ledger.resumed else ""),
            "made by": command,
            "report": f"{written.html}, {written.report}; numbers: {written.json}",
        }
        parts = [table(SUMMARY, summary_rows(ledger), SUMMARY[3:7] + SUMMARY[8:]), Text(""), facts(about)]
        sys.stdout.write(rendered(parts))
    for entry in ledger.entries:
        if entry.violations:
            print(f"hqre: {entry.statement.name}: {entry.violations} games break a claim", file=sys.stderr)
        if not entry.caught:
            claims = "; ".join(entry.uncaught)
            print(f"hqre: {entry.statement.name}: no negative control makes {claims} fail", file=sys.stderr)
    for line in written.solving:
        print(f"hqre: a small one: {line}", file=sys.stderr)
    return 0 if ledger.holds else 1


def _tasks(num: int) -> str:
    return "1 task" if num == 1 else f"{num} tasks"


@contextmanager
def _progress(going_on: str) -> Iterator[Callable[[list[Any], list[Any]], Callable[[Any], None]]]:
    """A bar with rate and remaining time on a terminal; elsewhere a line now and then, and per finished statement.

    Once a task is finished an interruption names ``going_on``, the command that goes on with it.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    silent = not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=silent) as bar:

        def watch(done: list[Any], pending: list[Any]) -> Callable[[Any], None]:
            began, games, left = time.monotonic(), 0, len(pending)
            total = sum(task.weight for task in (*done, *pending))
            shown = bar.add_task("", total=total, completed=sum(task.weight for task in done), rate="")
            open_tasks = {task.statement: 0 for task in pending}
            for task in pending:
                open_tasks[task.statement] += 1
            violations = dict.fromkeys(open_tasks, 0)
            told_at = began
            if done:
                goes_on_with(going_on)
            if silent:
                kept = f", {len(done)} done before" if done else ""
                print(f"hqre: {_tasks(len(pending))} to do{kept}", file=sys.stderr, flush=True)

            def tell(record: Any) -> None:
                nonlocal games, told_at, left
                goes_on_with(going_on)
                task, now = record.task, time.monotonic()
                left -= 1
                games += record.outcome.games
                rate = f"{games / max(now - began, 1e-9):.0f} games/s"
                bar.update(shown, advance=task.weight, description=task.name, rate=rate)
                open_tasks[task.statement] -= 1
                violations[task.statement] += record.outcome.violations if task.role == "check" else 0
                finished = not open_tasks[task.statement]
                if silent and (finished or now - told_at > BETWEEN_LINES):
                    told = f"{task.statement}: done, {violations[task.statement]} violations" if finished else task.name
                    print(f"hqre: {told}, {_tasks(left)} left, {now - began:.0f} s so far", file=sys.stderr, flush=True)
                    told_at = now

            return tell

        yield watch


def _one_game(arguments: Namespace, statements: dict[str, Any], seed: int) -> int:
    from proofs_check.runner.single_game import judge, remedy

    question = read_question(arguments)
    problem = Problem(question.game, question.tau, **question.options)
    verdicts = judge(problem, statements, jax.random.key(seed))
    helping = remedy(problem)
    if arguments.format == "json":
        document = {
            verdict.statement.name: {
                "applies": verdict.applies,
                "reason": verdict.reason,
                "claims": {
                    claim.claim: {"worst": _finite(claim.ratio), "violated": claim.violated, "measured": claim.measured}
                    for claim in verdict.claims
                },
            }
            for verdict in verdicts
        }
        sys.stdout.write(json.dumps({"statements": document, "remedy": helping or None}, allow_nan=False) + "\n")
    else:
        rows = []
        for verdict in verdicts:
            statement = verdict.statement
            for claim in verdict.claims:
                ratio = _finite(claim.ratio)
                told = "VIOLATED" if claim.violated else "holds" if claim.measured else "unresolved"
                name = f"{statement.name} {statement.title}" if claim is verdict.claims[0] else ""
                rows.append((name, claim.claim, "–" if ratio is None else f"{ratio:.6f}", told))
            if not verdict.claims:
                rows.append((f"{statement.name} {statement.title}", verdict.reason, "", "not measured"))
        about = {v.statement.name: v.reason for v in verdicts if v.applies} | ({"remedy": helping} if helping else {})
        if any(claim.ratio < 0 for verdict in verdicts for claim in verdict.claims):
            about["below 0"] = "what is observed is an average less what chance may add to it"
        columns = ("statement", "claim, or why not", "observed/bound", "verdict")
        parts = [table(columns, rows, columns[2:3]), Text(""), facts(about)]
        sys.stdout.write(rendered(parts))
    return int(any(verdict.violated for verdict in verdicts))


def _finite(value: Any) -> float | None:
    return float(value) if value == value else None
