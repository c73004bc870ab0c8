"""What a common temperature costs on a star."""

from typing import Any

import numpy as np

import hqre_jax as hq
from hqre_jax.plotting._canvas import COLOURS, GREY
from proofs_check.statement import Figure

_MAX_LEAVES = 10


def measure_star(key: Any) -> dict[str, np.ndarray]:
    """Least temperatures of stars whose edges are c·I with c = 1, all in arrays of one shape."""
    del key
    players = _MAX_LEAVES + 2
    edges = np.stack([np.zeros(players - 1, int), np.arange(1, players)], axis=1)
    leaves = np.arange(1, _MAX_LEAVES + 1)
    hub, leaf, common = [], [], []
    for n in leaves:
        met = np.arange(players) <= n
        payoffs = np.where(met[1:, None, None, None], np.eye(2), 0.0) * np.ones((1, 2, 1, 1))
        # Who meets nobody has one action, and by the default prices (log A) costs nothing.
        mask = np.stack([np.ones(players, bool), met], axis=1)[:, None]
        least = hq.least_temperatures(hq.PolymatrixGame(edges, payoffs, action_mask=mask))
        hub.append(least.tau[0, 0])
        leaf.append(least.tau[1, 0])
        common.append(least.common)
    return {"leaves": leaves, "hub": np.array(hub), "leaf": np.array(leaf), "common": np.array(common)}


def draw_star(arrays: dict[str, np.ndarray], ax: Any) -> None:
    """Into axes."""
    n = arrays["leaves"]
    fine = np.linspace(n[0], n[-1], 200)
    ax.plot(fine, 0.5 * (fine + 1) * np.sqrt(fine), color=COLOURS[1], label="one temperature for all: (n+1)√n c/2")
    ax.plot(n, (n + 1) * arrays["common"], "s", color=COLOURS[1], label="… computed")
    ax.plot(fine, fine, color=COLOURS[0], label="heterogeneous: n c")
    ax.plot(n, arrays["hub"] + n * arrays["leaf"], "o", color=COLOURS[0], label="… computed (least_temperatures)")
    ax.plot(n, arrays["hub"], "^", ms=4, color=GREY, label="of which the hub")
    ax.set_xlabel("leaves n of the star")
    ax.set_ylabel("sum of temperatures with κ > 0 (units of c)")
    ax.set_title("What a common temperature costs")
    ax.set_xticks(n)
    ax.set_xlim(n[0] - 0.3, n[-1] + 0.3)
    ax.set_ylim(0, None)
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")


FIGURES = (
    Figure(
        "star",
        "Least sums of temperatures that certify one HQRE on a star with n leaves: heterogeneous against common, "
        "closed forms (lines) and what least_temperatures computes (points).",
        measure_star,
        draw_star,
    ),
)
