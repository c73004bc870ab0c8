"""Figures for pages: no window, no file, the same every time."""

import io
import re
import warnings
from typing import Any

import numpy as np


def make_figure(width: float, height: float, columns: int = 1, sharey: bool = False) -> Any:
    """A figure and its axes, side by side; sizes in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, sharey=sharey)
    for ax in np.atleast_1d(axes):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="both", color="#EEEEEE", linewidth=0.7)
        ax.set_axisbelow(True)
        ax.tick_params(labelsize=8.5)
    return figure, axes


def to_svg(figure: Any, name: str) -> str:
    """The figure as SVG that can stand in a page; the name tells its parts from those of other pictures."""
    import matplotlib as mpl

    buffer = io.StringIO()
    options: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}
    with mpl.rc_context(options), warnings.catch_warnings():
        # The reader's fonts are used, whatever characters ours lack.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Names of parts are the page's: two pictures must not share them.
    own = re.sub(r"[^a-z0-9]", "-", name)
    return re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{own}-", svg)
