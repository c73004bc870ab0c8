"""What a run leaves to be read: tables, one line per case in Markdown, pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from benchmarks._case import Case
from benchmarks._measure import PATIENCE, Measurement, Outcome

_OWN = "hqre"
_OWN_COLOUR, _PEER_COLOUR = "tab:blue", "tab:gray"


class Result(NamedTuple):
    """A case, who answered it how, and what became of its goals."""

    case: Case
    measurements: Sequence[Measurement]
    outcomes: Sequence[Outcome]


def case_table(result: Result) -> Table:
    """Every entrant of a case, in full."""
    table = Table(title=result.case.label, title_justify="left")
    table.add_column("entrant")
    for name in ("games", "compile s", "run ms (median)", "least–most", "games/s", "MB", "residual fails"):
        table.add_column(name, justify="right")
    for name in ("worst residual", "off branch"):
        table.add_column(name, justify="right")
    for m in result.measurements:
        table.add_row(
            m.entrant,
            str(m.num_games),
            "–" if m.compile_seconds is None else f"{m.compile_seconds:.1f}",
            f"{1e3 * m.median_seconds:.1f}",
            f"{1e3 * min(m.run_seconds):.1f}–{1e3 * max(m.run_seconds):.1f}",
            f"{m.games_per_second:,.0f}",
            "–" if m.added_bytes is None else f"{m.added_bytes / 1e6:.0f}",
            "not judged" if m.failures is None else str(m.failures),
            "–" if m.worst_residual is None else f"{m.worst_residual:.1e}",
            "–" if m.off_branch is None else f"{m.off_branch} of {m.compared}",
        )
    return table


def markdown(results: Sequence[Result], machine: dict[str, Any], when: str) -> str:
    """One line per case: the best of ours, the fastest of the peers, and how well each answered.

    Args:
        results: The cases.
        machine: Of `describe_machine`.
        when: The date.

    Returns:
        A table that can be pasted into a page.
    """
    repeats = {len(m.run_seconds) for result in results for m in result.measurements} - {1}
    cores = f"{machine['cores_used']} core" + ("" if machine["cores_used"] == 1 else "s")
    many = f"medians of {min(repeats)} runs or more, " if repeats else ""
    least = f"{many}one where a run takes more than {PATIENCE:g} s"
    lines = [
        f"{machine['processor']}, {cores}, {machine['device']}, {when[:10]}; {least}; "
        "first: compiling and one run; MB: memory that a run adds; "
        "wrong: games that fail the residual or lie off the principal branch.",
        "",
        "| case | hqre_jax | ms | first, s | MB | wrong | fastest peer | ms | first, s | MB | wrong | times as fast |",
        "|---|---|--:|--:|--:|--:|---|--:|--:|--:|--:|--:|",
    ]
    for result in results:
        own, peers = _parted(result.measurements)
        # Of ours the one that answers best; of the peers the fastest, even if it answers less well.
        ours = min(own, key=lambda m: (_wrong(m) / m.num_games, m.seconds_per_game), default=None)
        peer = min(peers, key=lambda m: m.seconds_per_game, default=None)
        if ours is None:
            continue
        cells = [result.case.label, *_cells(ours), *(("–",) * 5 if peer is None else _cells(peer))]
        ratio = "–" if peer is None else f"{peer.seconds_per_game / ours.seconds_per_game:.3g}"
        lines.append(f"| {' | '.join([*cells, ratio])} |")
    return "\n".join(lines) + "\n"


def draw(results: Sequence[Result], path: Path) -> None:
    """Seconds per game of every entrant, one panel per case; hollow where some answer was wrong.

    Args:
        results: The cases.
        path: Of the picture.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    columns = min(2, len(results))
    rows = -(-len(results) // columns)
    tallest = max(len(result.measurements) for result in results)
    figure = Figure(figsize=(6.4 * columns, rows * (0.9 + 0.3 * tallest)), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, result in zip(panels, results, strict=False):
        ordered = sorted(result.measurements, key=lambda m: -m.seconds_per_game)
        for place, m in enumerate(ordered):
            colour = _OWN_COLOUR if m.entrant.startswith(_OWN) else _PEER_COLOUR
            spent = [1e3 * t / m.num_games for t in m.run_seconds]
            panel.plot([min(spent), max(spent)], [place, place], color=colour)
            filled = "white" if _wrong(m) else colour
            panel.plot(1e3 * m.seconds_per_game, place, "o", color=colour, markerfacecolor=filled, markersize=7)
        panel.set_yticks(range(len(ordered)), [m.entrant for m in ordered])
        panel.set_ylim(-0.6, len(ordered) - 0.4)
        panel.grid(axis="x", alpha=0.3)
        panel.set_xscale("log")
        panel.set_xlabel("milliseconds per game")
        panel.set_title(result.case.label, fontsize="medium")
    for panel in panels[len(results) :]:
        panel.set_axis_off()
    named = [
        Line2D([], [], marker="o", color=_OWN_COLOUR, label="hqre_jax (median, least to most)"),
        Line2D([], [], marker="o", color=_PEER_COLOUR, label="peers"),
        Line2D([], [], marker="o", color="black", markerfacecolor="white", label="hollow: some answers wrong"),
    ]
    figure.legend(handles=named, loc="outside lower center", ncols=len(named))
    figure.savefig(path, dpi=150)


def _parted(measurements: Sequence[Measurement]) -> tuple[list[Measurement], list[Measurement]]:
    own = [m for m in measurements if m.entrant.startswith(_OWN)]
    return own, [m for m in measurements if m not in own]


def _wrong(m: Measurement) -> int:
    return (m.failures or 0) + (m.off_branch or 0)


def _cells(m: Measurement) -> tuple[str, ...]:
    of = "" if not _wrong(m) else f" of {m.num_games:,}"
    memory = "–" if m.added_bytes is None else f"{m.added_bytes / 1e6:.0f}"
    name, spent = m.entrant.removeprefix(f"{_OWN} "), f"{1e3 * m.median_seconds:.3g}"
    return name, spent, f"{m.first_seconds:.2g}", memory, f"{_wrong(m)}{of}"
