"""The principal branch: how play changes as temperatures fall from infinity."""

from typing import Any

import numpy as np

from hqre_jax.plotting._canvas import GREY, action_styles, axes_or_new, legend, point_name, set_title, text
from hqre_jax.problem import Problem
from hqre_jax.solving._branch import Branch, trace_branch


def branch(branch: Branch | Problem, ax: Any = None) -> Any:
    """Draw every action's probability along a branch against temperature, folds marked by circles.

    Other bifurcations that were passed have a dashed line.

    The logarithmic temperature axis falls to the right, the direction in which the branch is travelled. Where
    temperatures differ it shows them as multiples of the final ones. Of two actions only the first is drawn:
    the other is its mirror image.

    Args:
        branch: What `trace_branch` returned, or a problem, whose branch is then traced.
        ax: Matplotlib axes; those of a new figure by default.

    Returns:
        The axes.

    Source: theory.md §6; McKelvey & Palfrey (1995), whose figures have λ = 1/τ on this axis.

    Example:
        >>> import hqre_jax as hq
        >>> axes = hq.plotting.branch(hq.trace_branch(hq.load_game("stag_hunt"), tau_to=1.0))
        >>> axes.get_xlabel()
        'temperature τ (units of payoff)'
    """
    branch = trace_branch(branch) if isinstance(branch, Problem) else branch
    mask = np.asarray(branch.problem.mask)
    labels = branch.problem.game.labels
    final = np.asarray(branch.problem.tau)[mask.any(-1)]
    common = np.ptp(final) <= 1e-12 * final.max()
    unit = float(final[0]) if common else 1.0
    finite = branch.scales > 0
    tau = unit / branch.scales[finite]

    ax = axes_or_new(ax)
    for i, x, a, colour, dashes in action_styles(mask):
        own = np.flatnonzero(mask[i, x])
        if len(own) == 1 or (len(own) == 2 and a == own[1]):
            continue
        name = f"{point_name(labels, mask, i, x)}: {text(labels.action(i, x, a))}"
        ax.plot(tau, branch.policies[finite, i, x, a], color=colour, ls=dashes, marker=".", ms=3, label=name)
        for fold in branch.folds:
            ax.plot(unit / fold.scale, fold.policy[i, x, a], "o", mfc="white", mec=colour, ms=5, zorder=3)
    for k, fold in enumerate(branch.folds):
        ax.axvline(unit / fold.scale, color=GREY, lw=0.8, ls=":", label=None if k else "fold", zorder=0)
    for k, scale in enumerate(branch.bifurcations):
        ax.axvline(unit / scale, color=GREY, lw=0.8, ls="--", label=None if k else "other bifurcation", zorder=0)
    ax.set_xscale("log")
    ax.xaxis.set_inverted(True)
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel("temperature τ (units of payoff)" if common else "temperatures, in multiples of the final ones")
    ax.set_ylabel("probability")
    set_title(ax, labels, "Principal branch")
    ax.grid(alpha=0.3)
    legend(ax)
    return ax
