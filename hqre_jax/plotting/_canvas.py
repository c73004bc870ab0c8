"""What all pictures share: a figure without a window, colours that everybody can tell apart, safe texts."""

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import numpy as np

from hqre_jax.core._types import Labels

# Okabe and Ito (2008), without the yellow that is lost on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", ":", "-.", (0, (1, 1)), (0, (6, 1, 1, 1, 1, 1)))
GREY = "#666666"
# A legend of more lines hides the picture.
MAX_LEGEND = 16


def axes_or_new(ax: Any) -> Any:
    """``ax``, or the axes of a new figure of 6×4 inches that belongs to no window system."""
    if ax is not None:
        return ax
    # Imported here: whoever only computes should not wait for matplotlib.
    from matplotlib.figure import Figure

    return Figure(figsize=(6, 4), dpi=150, layout="constrained").add_subplot()


def text(name: str, longest: int = 40) -> str:
    """A name from a game's file as matplotlib may show it: one line, no mathematics, not hidden, not endless."""
    clean = " ".join(name.split())
    clean = clean if len(clean) <= longest else clean[: longest - 1] + "…"
    # A leading underscore would keep it out of legends.
    return (" " + clean if clean.startswith("_") else clean).replace("$", r"\$")


def set_title(ax: Any, labels: Labels, otherwise: str, note: str = "") -> None:
    """The game's title, or something to say without one, above the axes."""
    words = (text(labels.title, 80) if labels.title else otherwise) + note
    ax.set_title(words, fontsize="large" if len(words) <= 40 else "small")


def decision_points(mask: np.ndarray) -> Iterator[tuple[int, int]]:
    """Every (player, information state) that exists."""
    yield from ((i, x) for i in range(mask.shape[0]) for x in range(mask.shape[1]) if mask[i, x].any())


def point_name(labels: Labels, mask: np.ndarray, i: int, x: int) -> str:
    """``player, information state``; the latter only where the player has several."""
    who = labels.player(i) if i < len(labels.players) else f"player {i + 1}"
    several = mask[i].any(-1).sum() > 1
    return text(f"{who}, {labels.information_state(i, x)}") if several else text(who)


def action_styles(mask: np.ndarray) -> Iterator[tuple[int, int, int, str, Any]]:
    """Every (player, state, action) with colour and dashes: of two lines on top of each other both can be seen."""
    for count, ((i, x), colour) in enumerate(zip(decision_points(mask), cycle(COLOURS), strict=False)):
        for k, a in enumerate(np.flatnonzero(mask[i, x])):
            yield i, x, int(a), colour, DASHES[(count + k) % len(DASHES)]


def legend(ax: Any, **options: Any) -> None:
    """A legend where the lines leave most room, or beside the axes where it is long; none beyond 16 lines."""
    labels = ax.get_legend_handles_labels()[1]
    count = len(labels)
    if count > MAX_LEGEND:
        ax.text(
            1.01, 0.5, f"{count} lines: too many to name", transform=ax.transAxes, ha="left", va="center",
            rotation=90, fontsize="small", color=GREY,
        )  # fmt: skip
    elif count > 6 or (count > 2 and max(map(len, labels)) > 40):
        ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, **options)
    elif count:
        ax.legend(fontsize="small", framealpha=0.85, **options)
