"""The pictures of the ledger: measurements with the lines of the theory beside them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hqre_jax.plotting._canvas import COLOURS, GREY
from proofs_check import _figure_data as data

Data = dict[str, np.ndarray]


@dataclass(frozen=True)
class Figure:
    """A picture that belongs to a statement.

    Attributes:
        name: Name of its file, without ending.
        statement: "T1", "T2", …
        caption: What one sees.
        measure: ``key -> arrays``.
        draw: Puts the arrays into axes.
    """

    name: str
    statement: str
    caption: str
    measure: Callable[[Any], Data]
    draw: Callable[[Data, Any], None]

    def picture(self, arrays: Data) -> Any:
        """The matplotlib figure."""
        from matplotlib.figure import Figure as Canvas

        figure = Canvas(figsize=(6.6, 4.4), dpi=150, layout="constrained")
        ax = figure.add_subplot()
        self.draw(arrays, ax)
        return figure


def _convergence(arrays: Data, ax: Any) -> None:
    steps = np.arange(arrays["divergence"].shape[1])
    shown = 0
    for g, (path, promised, predicted) in enumerate(
        zip(arrays["divergence"], arrays["promised"], arrays["predicted"], strict=True)
    ):
        resolved = path > 1e-14 * path[0]
        last = len(path) if resolved.all() else int(np.argmin(resolved))
        shown = max(shown, last)
        colour = COLOURS[g]
        ax.plot(steps[:last], path[:last], color=colour, label=f"measured, game {g + 1}")
        ax.plot(steps, path[0] * promised**steps, color=colour, ls="--", lw=1)
        # The predicted slope is drawn beside the second half of the run, a little below it.
        late = steps[last // 2 : last]
        ax.plot(late, 0.2 * path[last // 2] * predicted ** (late - last // 2), color=colour, ls=":", lw=1.8)
    ax.plot([], [], color=GREY, ls="--", lw=1, label="T2: $D_0/(1+\\eta\\kappa)^k$")
    ax.plot([], [], color=GREY, ls=":", lw=1.8, label="predicted: slope $r^{2k}$")
    ax.set_yscale("log")
    ax.set_ylim(1e-14, 30)
    ax.set_xlim(0, 1.02 * shown)
    ax.set_xlabel("step k of mirror descent at η = κ/L²")
    ax.set_ylabel("divergence $D_k$ from the HQRE (nats)")
    ax.set_title("Linear convergence")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")


def _rates(arrays: Data, ax: Any) -> None:
    known = np.isfinite(arrays["measured"])
    for f, name in enumerate(("general sum, 3 players", "near zero sum, 2 players")):
        of = known & (arrays["family"] == f)
        ax.plot(arrays["predicted"][of], arrays["measured"][of], "o", ms=4, alpha=0.7, color=COLOURS[f], label=name)
    ax.plot(
        arrays["predicted"][known], arrays["promised"][known], "_", ms=5, color=GREY, label="T2 promises: log(1+ηκ)"
    )
    every = np.concatenate([arrays["predicted"][known], arrays["measured"][known]])
    ends = np.array([0.8 * every.min(), 1.25 * every.max()])
    ax.plot(ends, ends, color="black", lw=1, label="measured = predicted")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(*ends)
    ax.set_xlabel("predicted rate 2 log(1/r) (nats per step)")
    ax.set_ylabel("rate of the divergence (nats per step)")
    ax.set_title(f"Rates of {known.sum()} games, predicted and measured")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")


def _boundary(arrays: Data, ax: Any) -> None:
    from matplotlib.colors import LogNorm

    tau, eta = arrays["tau"], arrays["eta"]
    ax.set_facecolor("#bbbbbb")
    mesh = ax.pcolormesh(tau, eta, arrays["rounds"].T, norm=LogNorm(5, 1000), cmap="viridis_r", shading="nearest")
    ax.figure.colorbar(mesh, ax=ax, label="rounds until within 1e-6 of the HQRE (measured)")
    ax.contour(tau, eta, arrays["radius"].T, levels=[1.0], colors=COLOURS[1], linewidths=2)
    ax.plot([], [], color=COLOURS[1], lw=2, label="r = 1 (spectral radius of the Jacobian)")
    ax.plot(tau, arrays["certified"], color="black", ls="--", lw=2, label="η = κ/L² (T2: converges below)")
    ax.fill_between([], [], color="#bbbbbb", label="not within 1,000 rounds")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(tau[0], tau[-1])
    ax.set_ylim(eta[0], eta[-1])
    ax.set_xlabel("temperature τ (payoff; payoffs are of order 1)")
    ax.set_ylabel("step η (1/payoff)")
    ax.set_title("Where mirror descent converges: disturbed rock-paper-scissors")
    ax.legend(fontsize="small", loc="upper left", framealpha=0.9)


def _regret(arrays: Data, ax: Any) -> None:
    rounds = np.arange(1, len(arrays["mirror"]) + 1)
    curves = (
        ("best_response", "best response: oscillates", COLOURS[1]),
        ("drift", f"best response with noise {arrays['noise']:g}: drifts", COLOURS[4]),
        ("mirror_plain", f"mirror play, τ = {arrays['tau']:g}: unregularised", COLOURS[5]),
        ("mirror", f"mirror play, κ = {arrays['margin']:.3g}: regularised", COLOURS[0]),
    )
    for name, label, colour in curves:
        ax.plot(rounds, arrays[name], color=colour, lw=2, label=label)
    ax.plot(rounds, arrays["best_response_theory"], color="black", ls="--", lw=1, label="closed forms (T7), bound (T3)")
    ax.plot(rounds, arrays["drift_theory"], color="black", ls="--", lw=1)
    ax.axhline(float(arrays["mirror_bound"]), color="black", ls="--", lw=1)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(1, len(rounds))
    ax.set_xlabel("round K")
    ax.set_ylabel("cumulative regret of both players (payoff)")
    ax.set_title("Regret where two conventions compete")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")


def _equilibria(arrays: Data, ax: Any) -> None:
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


def _star(arrays: Data, ax: Any) -> None:
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


FIGURES = {
    figure.name: figure
    for figure in (
        Figure(
            "equilibria",
            "T1",
            "How many HQRE Newton's method finds from many starts, against the margin. Right of the line T1 allows one "
            "only; for c·I the count changes exactly at κ = 0: the constant cannot be improved. (Generic "
            "counts are odd; where an even one is shown, the search missed some.)",
            data.equilibria,
            _equilibria,
        ),
        Figure(
            "convergence",
            "T2",
            "Divergence from the HQRE along mirror descent with the largest step that T2 allows, in three random "
            "games: measured (solid), T2's bound (dashed), and the slope that the Jacobian at the HQRE predicts "
            "(dotted).",
            data.convergence,
            _convergence,
        ),
        Figure(
            "rates",
            "T2",
            "The asymptotic rate that the spectral radius r of the update's Jacobian predicts, against the rate "
            "measured while D falls from 1e-4 to 1e-10 of its start. Games whose slowest mode has not yet taken "
            "over lie above the line. Dashes: the rate that T2 promises each game.",
            data.rates,
            _rates,
        ),
        Figure(
            "boundary",
            "T2",
            "Rock-paper-scissors with payoffs disturbed by 0.1, at every temperature and step: rounds that mirror "
            "descent from the uniform policy needs, measured. Play converges where r < 1; T2 promises it below the "
            "dashed line, however slow.",
            data.boundary,
            _boundary,
        ),
        Figure(
            "regret",
            "T7",
            "Two conventions, worth 1.5 and 1, and opposed starts. Best response swaps for ever and noisy best "
            "response drifts: both lose linearly, as the closed forms say (dashed; noise: mean of 32 runs). Mirror "
            "play at κ > 0 has bounded regularised regret, below T3's constant; against the unregularised best "
            "response it loses a little in every round.",
            data.regret,
            _regret,
        ),
        Figure(
            "star",
            "T8",
            "Least sums of temperatures that certify one HQRE on a star with n leaves: heterogeneous against common, "
            "closed forms (lines) and what least_temperatures computes (points).",
            data.star,
            _star,
        ),
    )
}
