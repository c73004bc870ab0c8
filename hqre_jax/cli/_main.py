"""``hqre``: reads the words, runs the command, turns whatever happened into an exit code."""

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hqre_jax import plotting
from hqre_jax.certificates._certify import certify
from hqre_jax.certificates.rigorous import prove
from hqre_jax.cli._demo import demo
from hqre_jax.cli._documents import (
    branch_document,
    certificate_document,
    proof_document,
    solution_document,
    strict_json,
)
from hqre_jax.cli._inputs import accuracy, check_folder, check_writable, numbers, read_question
from hqre_jax.cli._interrupts import INTERRUPTED, goes_on_with, hear_interrupts, interruption
from hqre_jax.cli._jax import enable_double_precision, quick_compilation
from hqre_jax.cli._llm import llm
from hqre_jax.cli._parser import build_parser
from hqre_jax.cli._sweep import summary_document, summary_tables, sweep_progress, wanted
from hqre_jax.cli._tables import (
    branch_tables,
    certificate_tables,
    demo_tables,
    progress,
    rendered,
    solution_tables,
)
from hqre_jax.cli._verify import verify
from hqre_jax.core._results import RESULTS
from hqre_jax.core._text import harmless
from hqre_jax.core._types import InputError
from hqre_jax.io import list_games
from hqre_jax.problem import Problem
from hqre_jax.solving._branch import trace_branch
from hqre_jax.solving._solve import solve
from hqre_jax.sweeps import summarise, sweep

DONE, NOT_REACHED, BAD_INPUT = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command of ``hqre``.

    64-bit numbers are switched on for the process.

    Args:
        argv: The words after ``hqre``; those of the process by default.

    Returns:
        The exit code: 0 done, 1 tolerance not reached, 2 bad input, 130 interrupted.
    """
    try:
        for stream in (sys.stdout, sys.stderr):
            # A terminal that knows no Greek shows question marks rather than a traceback.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        if argv is None:
            hear_interrupts()
        goes_on_with(None)
        arguments = build_parser().parse_args(argv)
        enable_double_precision()
        code = _COMMANDS[arguments.command](arguments)
        sys.stdout.flush()
        return code
    except InputError as error:
        _say(f"{error.field}: {error.problem}")
        return BAD_INPUT
    except KeyboardInterrupt:
        _say(interruption())
        if argv is None:
            # An orderly end would pull the floor from under compiled code that may still be running.
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough. What is still buffered must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except SystemExit as finished:  # --help and --version
        return int(finished.code or 0)


def _games(arguments: Namespace) -> int:
    del arguments
    entries = list_games()
    width = max(len(entry.name) for entry in entries)
    lines = []
    for entry in entries:
        tau = entry.tau if isinstance(entry.tau, tuple) else (entry.tau,)
        shown = ",".join(f"{t:g}" for t in tau)
        lines.append(f"{entry.name:<{width}}  --tau {shown:<16}  --continuation {entry.continuation:<8}  {entry.title}")
    _print("\n".join(lines) + "\n")
    return DONE


def _solve(arguments: Namespace) -> int:
    picture = _picture(arguments)
    question = read_question(arguments)
    sol = solve(
        question.game, question.tau, solver=arguments.solver, history=picture is not None, throw=False,
        **question.options, **accuracy(arguments),
    )  # fmt: skip
    if picture:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(12, 4), dpi=150, layout="constrained")
        left, right = figure.subplots(1, 2)
        plotting.policy(sol, ax=left)
        plotting.convergence(sol, ax=right)
        _save(figure, picture)
    proof = prove(sol) if arguments.rigorous else None
    if arguments.format == "json":
        document = solution_document(sol, question.tau_origin)
        if arguments.rigorous:
            document["proof"] = proof_document(proof)
        _print(strict_json(document) + "\n")
    else:
        _print(rendered(solution_tables(sol, question.tau_origin)))
        if arguments.rigorous:
            _print(f"proof         {proof.statement if proof else 'none: no box could be shown to hold exactly one'}\n")
    return _judge(sol.result)


def _certify(arguments: Namespace) -> int:
    question = read_question(arguments)
    problem = Problem(question.game, question.tau, **question.options)
    certificate = certify(problem, rigorous=arguments.rigorous)
    if arguments.format == "json":
        _print(strict_json(certificate_document(certificate, problem, question.tau_origin)) + "\n")
    else:
        _print(rendered(certificate_tables(certificate, problem, question.tau_origin)))
    return DONE


def _trace(arguments: Namespace) -> int:
    picture = _picture(arguments)
    tau_from, tau_to = numbers(arguments.tau_from, "tau_from"), numbers(arguments.tau_to, "tau_to")
    question = read_question(arguments)
    branch = trace_branch(
        question.game, tau_from, tau_to, throw=False, **question.options, **accuracy(arguments)
    )  # fmt: skip
    if picture:
        _save(plotting.branch(branch).figure, picture)
    if arguments.format == "json":
        _print(strict_json(branch_document(branch)) + "\n")
    else:
        _print(rendered(branch_tables(branch)))
    return _judge(branch.result)


def _sweep(arguments: Namespace) -> int:
    config, folder, processes = wanted(arguments)
    if config is None:
        summary = summarise(folder)
        axes = summary.plot()
        axes.figure.savefig(folder / "steps.png")
    else:
        goes_on_with(shlex.join(["hqre", "sweep", str(config), f"--out={folder}"]))
        with sweep_progress() as announce:
            summary = sweep(config, folder, processes=processes, announce=announce)
    if arguments.format == "json":
        _print(strict_json(summary_document(summary)) + "\n")
    else:
        _print(rendered(summary_tables(summary)))
    if summary.failed:
        _say(
            f"{summary.failed} games did not reach the tolerance; the column `result` of the shards says which and why"
        )
    return NOT_REACHED if summary.failed else DONE


def _demo(arguments: Namespace) -> int:
    out = Path(arguments.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError("out", f"{arguments.out!a} cannot be made: {getattr(error, 'strerror', error)}") from None
    check_folder(out, "out")
    with quick_compilation(), progress(len(list_games()) + 2) as announce:
        report = demo(out, announce)
    _print(rendered(demo_tables(report)))
    for complaint in report.complaints:
        _say(complaint)
    return NOT_REACHED if report.complaints else DONE


_COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "games": _games,
    "solve": _solve,
    "certify": _certify,
    "trace": _trace,
    "sweep": _sweep,
    "verify": verify,
    "demo": _demo,
    "llm": llm,
}


def _judge(result: RESULTS) -> int:
    if result == RESULTS.successful:
        return DONE
    _say(f"{result}: {result.message}")
    return NOT_REACHED


def _picture(arguments: Namespace) -> Path | None:
    return None if arguments.plot is None else check_writable(arguments.plot, "plot")


def _save(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path)
    except OSError as error:
        raise InputError("plot", f"{str(path)!a} cannot be written: {error.strerror}") from None


def _print(text: str) -> None:
    """Results, whole or not at all: nothing is printed before everything is known."""
    sys.stdout.write(text)


def _say(message: str) -> None:
    """One line to stderr, whatever characters the message quotes."""
    print(f"hqre: {harmless(message)}", file=sys.stderr)
