"""Text from models, questions and files, made safe for pages: it is shown as text, and nothing in it acts."""

import html
import re

from hqre_jax.core._text import harmless

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&$^=@:/'\"])")
_LONGEST_CELL = 400


def for_html(text: str) -> str:
    """Text for the inside of an HTML element or a quoted attribute; only line ends are kept as they are."""
    return html.escape(harmless(text, keep="\n"), quote=True)


def for_markdown(text: str) -> str:
    """Text for a cell of a Markdown table: one line, every character that could mean something is escaped.

    An escaped first character is no beginning of a formula, either, should a table be pasted into a spreadsheet.
    """
    line = harmless(" ".join(text.split()))
    return _SPECIAL.sub(r"\\\1", line if len(line) <= _LONGEST_CELL else line[:_LONGEST_CELL] + "…")
