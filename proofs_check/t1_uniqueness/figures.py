"""How many HQRE there are, against the margin."""

from typing import Any

import numpy as np

from hqre_jax.games.random._draws import generator
from hqre_jax.plotting._canvas import COLOURS
from proofs_check.games.certified import COORDINATION, scaled
from proofs_check.numerics.counting import num_equilibria
from proofs_check.statement import Figure
from proofs_check.t1_uniqueness.coordination import coordination

# Coordination games whose HQRE are counted.
_COUNTED = 160


def measure_equilibria(key: Any) -> dict[str, np.ndarray]:
    """Numbers of HQRE of 2×2 games c·I and of random 3×3 coordination games, against κ/τ."""
    rng = generator(key)
    ratio = np.linspace(0.26, 0.9, 40)
    sizes = 5.0 ** rng.uniform(-1, 1, len(ratio))
    square = coordination(sizes, ratio * sizes)
    general = scaled(COORDINATION, rng, _COUNTED, 0.35, 1.3)
    data = {}
    for name, cases in (("square", square), ("general", general)):
        data[f"{name}_margin"] = cases.known.margin / cases.problem.tau[:, 0, 0]
        data[f"{name}_count"] = num_equilibria(cases.problem)
    return data


def draw_equilibria(arrays: dict[str, np.ndarray], ax: Any) -> None:
    """Into axes."""
    for name, label, colour, offset, marker in (
        ("general", "random 3×3 coordination games", COLOURS[4], 0.12, "o"),
        ("square", "2×2 games c·I", COLOURS[0], -0.12, "s"),
    ):
        ax.plot(
            arrays[f"{name}_margin"], arrays[f"{name}_count"] + offset, marker, ms=4, alpha=0.6, color=colour,
            label=label, lw=0,
        )  # fmt: skip
    ax.axvline(0.0, color="black", ls="--", lw=1, label="T1: one HQRE where κ > 0")
    right = 1.08 * max(arrays["general_margin"].max(), arrays["square_margin"].max())
    ax.axvspan(0.0, right, color=COLOURS[2], alpha=0.1)
    left = min(arrays["general_margin"].min(), arrays["square_margin"].min())
    ax.set_xlim(1.08 * left, right)
    highest = int(max(arrays["general_count"].max(), arrays["square_count"].max()))
    ax.set_yticks(range(1, highest + 1))
    ax.set_ylim(0.5, highest + 0.5)
    ax.set_xlabel("margin over temperature, κ/τ")
    ax.set_ylabel("HQRE found (points moved apart by family)")
    ax.set_title("Margin and number of equilibria")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")


FIGURES = (
    Figure(
        "equilibria",
        "How many HQRE Newton's method finds from many starts, against the margin. Right of the line T1 allows one "
        "only; for c·I the count changes exactly at κ = 0: the constant cannot be improved. (Generic "
        "counts are odd; where an even one is shown, the search missed some.)",
        measure_equilibria,
        draw_equilibria,
    ),
)
