"""The picture: how policies move with τ → 0, and with a certified temperature."""

from pathlib import Path

import numpy as np

from benchmarks.selection._entries import Temperatures, entries
from benchmarks.selection._games import SETTINGS, Record, Recorded
from benchmarks.selection._learn import BATCH
from benchmarks.selection._table import read_paths
from hqre_jax.plotting._canvas import COLOURS, GREY

# The rules that are shown, and runs of each.
RULES, SHOWN = ("mirror, τ → 0", "mirror, common τ"), 6
# Games that are shown, as far as they are recorded: one of own costs, one of an arbitrary convention.
GAMES = ("who_answers", "order")


def draw(record: Record, path: Path) -> None:
    """Draw the first agent's policy in some runs, rule beside rule, game below game.

    Args:
        record: Outcomes, temperatures and paths.
        path: The file.
    """
    from matplotlib.figure import Figure

    found = [Recorded.from_record(setting, record) for setting in SETTINGS if setting.name in GAMES]
    games = [game for game in found if game is not None]
    figure = Figure(figsize=(9, 0.6 + 2.9 * max(len(games), 1)), dpi=80, layout="constrained")
    grid = figure.subplots(max(len(games), 1), len(RULES), sharex=True, sharey=True, squeeze=False)
    for row, recorded in zip(grid, games, strict=False):
        temperatures = Temperatures.from_record(recorded.setting.name, record)
        rules = {entry.name: entry for entry in entries(temperatures)}
        for ax, name in zip(row, RULES, strict=True):
            for k, one in enumerate(read_paths(record, recorded, rules[name])[:SHOWN]):
                plays = BATCH * np.arange(len(one))
                ax.plot(plays, one[:, 0, -1], color=COLOURS[k % len(COLOURS)], lw=1.3)
                ax.plot(plays, one[:, 1, -1], color=COLOURS[k % len(COLOURS)], lw=0.8, ls=":")
            ax.set_title(f"{recorded.setting.name}: {_rule(name, temperatures)}", fontsize="medium")
            ax.grid(alpha=0.3)
            ax.set_ylim(-0.03, 1.03)
        row[0].set_ylabel(f"P({recorded.setting.menus[0][-1].replace('_', ' ')})")
    for ax in grid[-1]:
        ax.set_xlabel("plays")
    figure.supxlabel("solid: first agent; dotted: second agent; a colour a run", fontsize="small", color=GREY)
    figure.savefig(path)


def _rule(name: str, temperatures: Temperatures) -> str:
    return name if name == RULES[0] else f"certified τ = {temperatures.common[0, 0]:.3f}"
