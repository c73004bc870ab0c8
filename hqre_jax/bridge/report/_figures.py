"""The pictures, as SVG that can stand in a page: no window, no file, the same every time."""

from collections.abc import Sequence

import numpy as np

from hqre_jax.bridge.baselines import PUBLISHED
from hqre_jax.bridge.report._data import OURS, Data
from hqre_jax.bridge.report._drawing import make_figure, to_svg
from hqre_jax.bridge.report._tables import Row
from hqre_jax.core._text import harmless
from hqre_jax.plotting._canvas import COLOURS, GREY, text

_ACCENT = COLOURS[1]
_FAMILY_COLOURS = {
    "single": COLOURS[0], "self-consistency": COLOURS[2], "best-of-n": COLOURS[3], "debate": COLOURS[4],
    "mixture": COLOURS[5], "vote": "#7F5FBF", "cascade": "#8C6D31", "fixed profile": "#999999", "examples": "#BBBBBB",
    "bandit": "#17806D", "mirror": "#B07AA1", "ablation": "#C9A227", "ours": _ACCENT,
}  # fmt: skip
_MARKERS = "osDv^<>PX*"


def pareto(rows: Sequence[Row]) -> str:
    """Accuracy against tokens actually used, with intervals; the front of all methods is a line."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    known = [row for row in rows if row.get("score") is not None]
    figure, ax = make_figure(9.6, 5.6)
    names = list(dict.fromkeys(row["method"] for row in known))
    for method in names:
        own = [row for row in known if row["method"] == method]
        family, first = own[0]["family"], method == OURS
        x, y, low, high = ([row[key] for row in own] for key in ("tokens", "score", "score_low", "score_high"))
        alike = [name for name in names if next(r["family"] for r in known if r["method"] == name) == family]
        ax.vlines(x, low, high, color=_FAMILY_COLOURS[family], alpha=0.9 if first else 0.25,
                  linewidth=2 if first else 1, zorder=4 if first else 2)  # fmt: skip
        ax.plot(
            x, y, "*" if first else _MARKERS[alike.index(method) % len(_MARKERS)], color=_FAMILY_COLOURS[family],
            markersize=15 if first else 5.5, markeredgecolor="white", markeredgewidth=0.6, zorder=5 if first else 3,
            linestyle="none", label=_label(_title(method)),
        )  # fmt: skip
    front = _front([(row["tokens"], row["score"]) for row in known])
    if front:
        ax.step(*zip(*front, strict=True), where="post", color=GREY, linewidth=0.8, linestyle=":", zorder=1)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("tokens a question (prompts and replies together)")
    ax.set_ylabel("score")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=7.5, frameon=False)
    return to_svg(figure, "pareto")


def gain_plot(rows: Sequence[Row]) -> str:
    """Gains of DICE-PC over every method within every budget, paired intervals; published classes stand apart."""
    own = [row for row in rows if row["against"] == row["method"] and row["gain"] is not None]
    budgets = sorted({row["budget"] for row in own})
    order = {row["method"]: (row["family"] in PUBLISHED, -row["gain"]) for row in own}  # the largest budget's count
    names = sorted(order, key=lambda name: order[name])
    figure, axes = make_figure(9.6, 1.1 + 0.23 * max(len(names), 1), max(len(budgets), 1), sharey=True)
    split = sum(not published for published, _ in order.values()) - 0.5
    for ax, budget in zip(np.atleast_1d(axes), budgets, strict=False):
        for row in [row for row in own if row["budget"] == budget]:
            place, low, high = names.index(row["method"]), row["gain_low"], row["gain_high"]
            colour = _ACCENT if low > 0 else COLOURS[0] if high < 0 else GREY
            ax.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=2)
            ax.plot([100 * row["gain"]], [place], "o", color=colour, markersize=4.5)
        if 0 < split < len(names) - 1:
            ax.axhline(split, color="#BBBBBB", linewidth=0.9)
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set_title(f"up to {budget:g} tokens", fontsize=9, color=GREY)
        ax.set_yticks(range(len(names)), [_label(_title(name)) for name in names], fontsize=8)
        ax.set_ylim(-0.7, max(len(names), 1) - 0.3)
    figure.supxlabel("points that DICE-PC is above (right of 0) or below (left)", fontsize=9)
    return to_svg(figure, "gains")


def class_plot(rows: Sequence[Row], gains: Sequence[Row]) -> str:
    """DICE-PC and the best published baseline of each budget, class by class."""
    best = {row["budget"]: row["method"] for row in gains if row["against"] == "best published"}
    budgets = sorted({row["budget"] for row in rows if row["method"] == OURS})
    names = list(dict.fromkeys(f"{row['task']}/{row['class']}" for row in rows))[::-1]
    figure, axes = make_figure(9.6, 1.2 + 0.36 * max(len(names), 1), max(len(budgets), 1), sharey=True)
    for ax, budget in zip(np.atleast_1d(axes), budgets, strict=False):
        for method, mark, colour, shift in ((OURS, "*", _ACCENT, 0.12), (best.get(budget), "o", COLOURS[0], -0.12)):
            for row in rows:
                if row["method"] != method or row["budget"] != budget or row["score"] is None:
                    continue
                place = names.index(f"{row['task']}/{row['class']}") + shift
                ax.plot([row["score_low"], row["score_high"]], [place, place], color=colour, linewidth=1.6)
                ax.plot([row["score"]], [place], mark, color=colour, markersize=10 if mark == "*" else 5)
        beside = f"\n{_label(_title(best[budget]))}" if budget in best else ""
        ax.set_title(f"up to {budget:g} tokens{beside}", fontsize=9, color=GREY)
        ax.set_yticks(range(len(names)), [_label(name) for name in names], fontsize=8)
        ax.set_xlim(-0.02, 1.02)
        ax.set_ylim(-0.6, max(len(names), 1) - 0.4)
    figure.supxlabel("score", fontsize=9)
    return to_svg(figure, "classes")


def learning_plot(data: Data) -> str:
    """Scores of the training plays, and how far policies moved between one picture and the next."""
    figure, (left, right) = make_figure(9.2, 3.6, 2)
    runs = data.learning or []
    for number, rule in enumerate(dict.fromkeys(run["rule"] for run in runs)):
        own, colour = [run for run in runs if run["rule"] == rule], (_ACCENT, COLOURS[2], COLOURS[0])[number % 3]
        plays = np.array(own[0]["plays"], float)
        scores = np.array([[np.nan if one is None else one for one in run["scores"]] for run in own])
        smooth = _smoothed(scores)
        left.plot(plays, smooth.mean(0), color=colour, label=_label(rule), linewidth=1.8)
        left.fill_between(plays, smooth.min(0), smooth.max(0), color=colour, alpha=0.15, linewidth=0)
        for run in own:
            policies = np.array(run["policies"])
            moved = np.abs(policies[1:] - policies[:-1]).max(-1).mean((1, 2))
            right.plot(run["kept"][1:], moved, color=colour, alpha=0.6, linewidth=1)
    left.set_xlabel("training plays")
    left.set_ylabel("score of training plays")
    right.set_xlabel("training plays")
    right.set_ylabel("largest change of a probability,\nmean over decision points")
    left.legend(fontsize=8, frameon=False)
    return to_svg(figure, "learning")


def margin_plot(rows: Sequence[Row]) -> str:
    """Margin of every state's game with its interval; right of zero the theory's condition holds."""
    known = [row for row in rows if row["margin"] is not None]
    figure, ax = make_figure(7.2, 0.9 + 0.24 * max(len(known), 1))
    for place, row in enumerate(reversed(known)):
        # Where there is no interval, nothing is sure of the sign.
        low, high = (row[end] if row[end] is not None else row["margin"] for end in ("low", "high"))
        colour = GREY if row["low"] is None or low <= 0 <= high else COLOURS[2] if low > 0 else COLOURS[1]
        ax.plot([low, high], [place, place], color=colour, linewidth=2.2)
        ax.plot([row["margin"]], [place], "o", color=colour, markersize=4.5)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(known)), [_label(state_name(row)) for row in reversed(known)], fontsize=7.5)
    ax.set_ylim(-0.6, max(len(known), 1) - 0.4)
    ax.set_xlabel("margin κ, units of score", fontsize=9)
    return to_svg(figure, "margins")


def state_name(row: Row) -> str:
    """A public state in words."""
    parts = [row["class"], None if row["round"] is None else f"round {row['round']}", row["agreement"]]
    return ", ".join(str(part) for part in parts if part is not None) or "always"


def _title(method: str) -> str:
    return "DICE-PC" if method == OURS else method.replace("_", " ")


def _label(name: str) -> str:
    return text(harmless(name), 60)


def _front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that none is both cheaper and better than."""
    front = list[tuple[float, float]]()
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front


def _smoothed(scores: np.ndarray, width: int = 8) -> np.ndarray:
    """Running means of up to so many batches."""
    known = np.isfinite(scores)
    total, count = (np.cumsum(one, axis=1) for one in (np.where(known, scores, 0.0), known.astype(float)))
    total[:, width:], count[:, width:] = total[:, width:] - total[:, :-width], count[:, width:] - count[:, :-width]
    return total / np.maximum(count, 1)
