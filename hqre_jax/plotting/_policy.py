"""An equilibrium as bars: one per decision point, divided among its actions."""

from typing import Any

import numpy as np

from hqre_jax.plotting._canvas import COLOURS, GREY, axes_or_new, decision_points, point_name, set_title, text
from hqre_jax.problem import Problem
from hqre_jax.solving._solution import Solution
from hqre_jax.solving._solve import solve

# More bars than this in one picture cannot be read.
_MAX_BARS = 24
# Letters that fit into a bar of full length.
_ROOM = 36
# Colours on which white letters cannot be read.
_LIGHT = ("#CC79A7", "#E69F00", "#56B4E9")


def policy(sol: Solution | Problem, ax: Any = None) -> Any:
    """Draw the probabilities with which actions are taken, one bar per player and information state.

    Args:
        sol: A solution, or a problem, which is then solved. Of more than 24 decision points the first 24 are
            drawn, and the title says so.
        ax: Matplotlib axes; those of a new figure by default.

    Returns:
        The axes.

    Example:
        >>> import hqre_jax as hq
        >>> axes = hq.plotting.policy(hq.Problem(hq.load_game("stag_hunt"), 8.0))
        >>> len(axes.patches), axes.get_ylabel()
        (4, 'player, information state')
    """
    sol = solve(sol) if isinstance(sol, Problem) else sol
    mask, probabilities = np.asarray(sol.problem.mask), np.asarray(sol.policy)
    labels = sol.problem.game.labels
    points = list(decision_points(mask))
    shown = points[:_MAX_BARS]
    ax = axes_or_new(ax)
    for row, (i, x) in enumerate(shown):
        left = 0.0
        for k, a in enumerate(np.flatnonzero(mask[i, x])):
            share = float(probabilities[i, x, a])
            colour = COLOURS[k % len(COLOURS)]
            ax.barh(row, share, left=left, color=colour, edgecolor="white", height=0.8)
            name = text(labels.action(i, x, int(a)))
            if len(name) <= share * _ROOM:
                ink = "black" if colour in _LIGHT else "white"
                ax.text(left + share / 2, row, name, ha="center", va="center", color=ink, fontsize="small")
            left += share
    ax.set_yticks(range(len(shown)), [point_name(labels, mask, i, x) for i, x in shown], fontsize="small")
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_xlim(0, 1)
    ax.set_xlabel("probability of each action, left to right in the game's order")
    ax.set_ylabel("player, information state", color=GREY)
    cut = "" if len(shown) == len(points) else f" (first {len(shown)} of {len(points)} decision points)"
    set_title(ax, labels, "Equilibrium", cut)
    return ax
