"""What pages of reports are made of; everything said in them is shown as text."""

from collections.abc import Sequence

from hqre_jax.bridge.report._safe import for_html
from hqre_jax.bridge.report._shown import Shown
from hqre_jax.bridge.report._style import STYLE

# Nothing may be loaded and nothing may run, whatever finds its way into the page.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def document(kind: str, heading: str, title: str, parts: Sequence[str], origin: str) -> str:
    """A whole page: one file without scripts, links or fonts of elsewhere.

    Args:
        kind: What it is a report of, in a word.
        heading: What stands above it.
        title: Of the window.
        parts: The sections and what stands before them, as HTML.
        origin: What it was made from.
    """
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f'<meta name="viewport" content="width=device-width"><title>{for_html(title)}</title>',
            f"<style>{STYLE}</style></head><body>",
            f"<header><p>{for_html(kind)}</p><h1>{for_html(heading)}</h1></header><main>",
            *parts,
            f"</main><footer>{for_html(origin)}</footer></body></html>\n",
        ]
    )


def told(story: Sequence[str]) -> str:
    """A story in a few lines."""
    return f'<ul class="story">{"".join(f"<li>{for_html(line)}</li>" for line in story)}</ul>'


def section(title: str, inside: str, *folded: Shown) -> str:
    """A section: what there is to see, and tables to open."""
    return f"<section><h2>{for_html(title)}</h2>{inside}{''.join(map(_fold, folded))}</section>"


def figure(svg: str, caption: str) -> str:
    """A picture with its caption."""
    return f"<figure>{svg}<figcaption>{for_html(caption)}</figcaption></figure>"


def _fold(shown: Shown) -> str:
    """A table that opens when it is asked for."""
    return f"<details><summary>{for_html(shown.title)}</summary>{_table(shown)}</details>"


def _table(shown: Shown) -> str:
    if not shown.rows:
        return "<p>Nothing yet.</p>"
    head = "".join(f"<th>{for_html(name)}</th>" for name in shown.columns)
    opened = ["<tr>", '<tr class="ours">']
    body = "".join(
        f"{opened[k in shown.marked]}{''.join(f'<td>{for_html(cell)}</td>' for cell in row)}</tr>"
        for k, row in enumerate(shown.rows)
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
