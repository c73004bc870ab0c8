"""``hqre trace``."""

from argparse import Namespace
from typing import Any

import numpy as np
from rich.text import Text

from hqre_jax.cli._answers import judged, picture_file, save, show
from hqre_jax.cli._documents import names, per_action, per_state, strict_json
from hqre_jax.cli._inputs import accuracy, numbers, read_question
from hqre_jax.cli._tables import facts, general, heading, rendered, table
from hqre_jax.solving._branch import Branch, trace_branch

# Points of a branch that a table shows; JSON has them all.
_MAX_POINTS = 20


def run_trace(arguments: Namespace) -> int:
    picture = picture_file(arguments)
    tau_from, tau_to = numbers(arguments.tau_from, "tau_from"), numbers(arguments.tau_to, "tau_to")
    question = read_question(arguments)
    branch = trace_branch(
        question.game, tau_from, tau_to, throw=False, **question.options, **accuracy(arguments)
    )  # fmt: skip
    if picture:
        from hqre_jax import plotting

        save(plotting.branch(branch).figure, picture)
    if arguments.format == "json":
        show(strict_json(branch_document(branch)) + "\n")
    else:
        show(rendered(branch_tables(branch)))
    return judged(branch.result, "principal_branch")


def branch_document(branch: Branch) -> dict[str, Any]:
    """The points of a branch in order; tau at the reference, which is infinite, is null."""
    problem = branch.problem
    return {
        **names(problem),
        "points": [
            {"tau": per_state(tau, problem), "policy": per_action(policy, problem)}
            for tau, policy in zip(branch.taus, branch.policies, strict=True)
        ],
        "folds": [
            {"tau": per_state(fold.tau, problem), "policy": per_action(fold.policy, problem)} for fold in branch.folds
        ],
        "num_bifurcations": branch.num_bifurcations,
        "bifurcations": [{"tau": per_state(tau, problem)} for tau in _bifurcations(branch)],
        "result": str(branch.result),
        "continuation": problem.continuation,
    }


def _bifurcations(branch: Branch) -> list[np.ndarray]:
    """Temperatures ``(player, information state)`` of each bifurcation that is no fold."""
    return [np.asarray(branch.problem.tau) / scale for scale in branch.bifurcations]


def branch_tables(branch: Branch) -> list[Any]:
    """Some points of the branch, evenly spread, with every fold."""
    problem = branch.problem
    mask = np.asarray(problem.mask)
    first = next((i, x) for i in range(len(mask)) for x in range(mask.shape[1]) if mask[i, x].any())
    shown = np.unique(np.linspace(0, len(branch.scales) - 1, _MAX_POINTS).round().astype(int))
    actions = np.flatnonzero(mask[first])
    player, state = problem.game.labels.player(first[0]), problem.game.labels.information_state(*first)
    several = len(mask) > 1 or mask[first[0]].any(-1).sum() > 1
    final = np.asarray(problem.tau)[mask.any(-1)]
    temperature = "τ" if np.ptp(final) == 0 else f"τ of {player}"
    numeric = (temperature, *(problem.game.labels.action(*first, int(a)) for a in actions))

    def row(tau, policy, note=""):
        return (general(tau[first]), *(f"{policy[first][a]:.9f}" for a in actions), note)

    rows = [row(branch.taus[k], branch.policies[k]) for k in shown]
    parts = [*heading(problem)]
    if several:
        note = f"Probabilities of the first decision point, player {player}, information state {state}"
        parts += [Text(f"{note}; --format json has all.", style="dim"), Text("")]
    parts += [table((*numeric, ""), rows, numeric), Text("")]
    if branch.folds:
        folds = [row(fold.tau, fold.policy, "fold") for fold in branch.folds]
        parts += [Text("turning points", style="bold"), table((*numeric, ""), folds, numeric), Text("")]
    places = [f"near τ = {tau[first]:.4g}" for tau in _bifurcations(branch)]
    parts.append(
        facts(
            {
                "result": str(branch.result),
                "points": f"{len(branch.scales)}, {len(shown)} of them shown",
                "folds": str(len(branch.folds)),
                "other bifurcations": ", ".join([str(branch.num_bifurcations), *places]),
                "continuation": problem.continuation,
            }
        )
    )
    return parts
