"""What the commands on games do: each reads its words, asks the library and prints; its value is the exit code."""

import shlex
import sys
from argparse import Namespace
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
from hqre_jax.cli._exits import DONE, NOT_REACHED, say
from hqre_jax.cli._inputs import accuracy, check_folder, check_writable, numbers, read_question
from hqre_jax.cli._interrupts import goes_on_with
from hqre_jax.cli._jax import quick_compilation
from hqre_jax.cli._sweep import summary_document, summary_tables, sweep_progress, wanted
from hqre_jax.cli._tables import (
    branch_tables,
    certificate_tables,
    demo_tables,
    progress,
    rendered,
    solution_tables,
)
from hqre_jax.core._results import RESULTS
from hqre_jax.core._types import InputError
from hqre_jax.io import list_games
from hqre_jax.problem import Problem
from hqre_jax.solving._branch import trace_branch
from hqre_jax.solving._solve import solve
from hqre_jax.sweeps import summarise, sweep


def run_solve(arguments: Namespace) -> int:
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


def run_certify(arguments: Namespace) -> int:
    question = read_question(arguments)
    problem = Problem(question.game, question.tau, **question.options)
    certificate = certify(problem, rigorous=arguments.rigorous)
    if arguments.format == "json":
        _print(strict_json(certificate_document(certificate, problem, question.tau_origin)) + "\n")
    else:
        _print(rendered(certificate_tables(certificate, problem, question.tau_origin)))
    return DONE


def run_trace(arguments: Namespace) -> int:
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


def run_sweep(arguments: Namespace) -> int:
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
        say(f"{summary.failed} games did not reach the tolerance; the column `result` of the shards says which and why")
    return NOT_REACHED if summary.failed else DONE


def run_demo(arguments: Namespace) -> int:
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
        say(complaint)
    return NOT_REACHED if report.complaints else DONE


def _judge(result: RESULTS) -> int:
    if result == RESULTS.successful:
        return DONE
    say(f"{result}: {result.message}")
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
