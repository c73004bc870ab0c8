"""``hqre solve``."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from hqre_jax.cli._answers import judged, picture_file, save, show
from hqre_jax.cli._documents import solution_document, strict_json
from hqre_jax.cli._inputs import accuracy, read_question
from hqre_jax.cli._tables import rendered, solution_tables
from hqre_jax.solving._solution import Solution
from hqre_jax.solving._solve import solve


def run_solve(arguments: Namespace) -> int:
    picture = picture_file(arguments)
    question = read_question(arguments)
    sol = solve(
        question.game, question.tau, solver=arguments.solver, history=picture is not None, throw=False,
        **question.options, **accuracy(arguments),
    )  # fmt: skip
    if picture:
        _draw(sol, picture)
    proved = _proved(sol) if arguments.rigorous else None
    if arguments.format == "json":
        document = solution_document(sol, question.tau_origin)
        if arguments.rigorous:
            document["proof"] = proved
        show(strict_json(document) + "\n")
    else:
        show(rendered(solution_tables(sol, question.tau_origin)))
        if arguments.rigorous:
            none = "none: no box could be shown to hold exactly one"
            show(f"proof         {proved['statement'] if proved else none}\n")
    return judged(sol.result, sol.solver)


# What most questions do without is loaded where it is wanted: the first answer comes sooner.


def _draw(sol: Solution, file: Path) -> None:
    from matplotlib.figure import Figure

    from hqre_jax import plotting

    figure = Figure(figsize=(12, 4), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    plotting.policy(sol, ax=left)
    plotting.convergence(sol, ax=right)
    save(figure, file)


def _proved(sol: Solution) -> dict[str, Any] | None:
    from hqre_jax.certificates.rigorous import prove
    from hqre_jax.cli._certify import proof_document

    return proof_document(prove(sol))
