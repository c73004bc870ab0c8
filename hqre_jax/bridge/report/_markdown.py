"""``report.md``: the tables for reading in a terminal or a repository."""

from collections.abc import Mapping, Sequence

from hqre_jax.bridge.report._safe import for_markdown
from hqre_jax.bridge.report._shown import Shown


def markdown(title: str, story: Sequence[str], tables: Mapping[str, Shown]) -> str:
    r"""The report as Markdown; whatever comes from files or models stands in escaped cells.

    Args:
        title: Of the team.
        story: The evaluation in a few sentences.
        tables: The tables.

    Returns:
        The text of the file.

    Example:
        >>> from hqre_jax.bridge.report import markdown
        >>> print(markdown("the <b>bold</b> team", ["Nothing was played yet."], {}).splitlines()[0])
        # the \<b\>bold\<\/b\> team
    """
    parts = [f"# {for_markdown(title)}", "", *(f"- {for_markdown(line)}" for line in story)]
    for one in tables.values():
        parts += ["", f"## {for_markdown(one.title)}", "", *_table(one)]
    return "\n".join(parts) + "\n"


def _table(table: Shown) -> list[str]:
    if not table.rows:
        return ["nothing yet"]
    head, *rows = (f"| {' | '.join(map(for_markdown, line))} |" for line in (table.columns, *table.rows))
    return [head, "|" + " --- |" * len(table.columns), *rows]
