"""The ledger as a report, in Markdown and as one HTML page that needs nothing else."""

import base64
import html
import math
from collections.abc import Iterator
from dataclasses import dataclass

from proofs_check.runner.ledger import Entry, Ledger
from proofs_check.runner.shrink import Counterexample

Games = dict[str, tuple[Counterexample, str]]

SUMMARY = (
    "statement", "games", "violations", "worst", "median", "adversary", "its median", "negative control",
    "cold (s)", "warm (s)", "compiling (s)",
)  # fmt: skip
CONTROL = ("claim, in negative controls", "control", "violations wanted", "of games")
DETAILS = ("claim", "family", "games", "violations", "unresolved", "worst", "median")


@dataclass(frozen=True)
class _Heading:
    level: int
    text: str


@dataclass(frozen=True)
class _Paragraph:
    text: str


@dataclass(frozen=True)
class _Listing:
    text: str


@dataclass(frozen=True)
class _Grid:
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True)
class _Picture:
    name: str
    caption: str


_Block = _Heading | _Paragraph | _Listing | _Grid | _Picture


def number(value: float, digits: int = 4) -> str:
    """A ratio or a time; a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def summary_rows(ledger: Ledger) -> list[tuple[str, ...]]:
    """One row per statement, in the order of `SUMMARY`."""
    rows = {}
    for entry in ledger.entries:
        rows[entry.statement.name] = (
            f"{entry.statement.name} {entry.statement.title}",
            str(entry.checked.games),
            str(entry.violations),
            number(entry.checked.worst, 6),
            number(entry.checked.median),
            number(entry.tightest, 6),
            number(entry.adversarial_median),
            caught(entry),
            number(entry.cold, 1),
            number(entry.warm, 1),
            number(entry.compiling, 1),
        )
    return [rows[name] for name in sorted(rows)]


def caught(entry: Entry) -> str:
    """How many of a statement's claims fail in a negative control, as they should."""
    num = len(entry.controlled)
    told = "caught" if entry.caught else "NOT CAUGHT"
    return f"{told}: {num - len(entry.uncaught)} of {num} claim{'' if num == 1 else 's'}"


def control_rows(entry: Entry) -> list[tuple[str, ...]]:
    """One row per claim and control of which games were judged, in the order of `CONTROL`."""
    rows = []
    for claim in dict.fromkeys((*entry.controlled, *entry.control.claims)):
        parts = {family: entry.control.part(claim=claim, family=family) for family in entry.control.families}
        judged = [(claim, f, str(part.violations), str(part.games)) for f, part in parts.items() if part.games]
        rows += judged or [(claim, "–", "0", "0")]
    return rows


def detail_rows(entry: Entry) -> list[tuple[str, ...]]:
    """One row per claim and family, in the order of `DETAILS`."""
    rows = []
    for claim in entry.checked.claims:
        for family in entry.checked.part(claim=claim).families:
            part = entry.checked.part(claim=claim, family=family)
            counts = (str(part.games), str(part.violations), str(part.unresolved))
            rows.append((claim, family, *counts, number(part.worst, 6), number(part.median)))
    return rows


def _blocks(ledger: Ledger, command: str, games: Games) -> Iterator[_Block]:
    configuration = ledger.configuration
    yield _Heading(1, "The theorem ledger")
    yield _Paragraph(
        "Every statement promises observed ≤ bound. Below: how many random games that satisfy its hypothesis were "
        "tried, how many break a claim beyond what rounding explains, the worst and the median observed/bound (1 is "
        "the bound itself), what an adversary reached that looks for the worst game by gradient ascent, and how many "
        "of its claims fail in a negative control (a hypothesis dropped, a constant wrong), as every one must: "
        "a measurement that cannot fail says nothing."
    )
    yield _Grid(SUMMARY, summary_rows(ledger))
    yield _Paragraph(
        "Games: a statement with several kinds of experiments draws the number of games for each; those on sampled "
        "payoffs or of many plays draw a part of it. Worst and median are over all claims of a statement together, "
        "claim by claim below; the worst may exceed 1 by what rounding may add to a comparison. "
        "Cold: the first task of the check, compiling included. Warm: median of its further tasks (a dash where "
        "there is none). Compiling: of all the statement's work, the time that the compiler took; "
        "programs that another statement has compiled before are shared. Unresolved, below: games that rounding, or "
        "the want of an equilibrium, kept from saying anything. "
        f"This run took {ledger.seconds:.0f} s by the clock; "
        f"{ledger.resumed} task{' had' if ledger.resumed == 1 else 's had'} been done before."
    )
    yield _Heading(2, "How to make it again")
    versions = ", ".join(f"{name} {version}" for name, version in configuration.versions.items())
    yield _Listing(command)
    yield _Paragraph(
        f"Seed {configuration.seed}, {configuration.games} games per statement, {versions}, sources "
        f"{configuration.sources}. Equal seeds give equal numbers, in one process or two, interrupted or not."
    )
    broken = [(stem, *entry) for stem, entry in games.items() if entry[0].violated]
    if broken:
        yield _Heading(2, "Games that break a claim")
        for stem, found, solving in broken:
            yield _Paragraph(f"{stem}: {found.statement}, {found.claim}, observed/bound {number(found.ratio, 6)}.")
            yield _Listing(solving)
    for entry in ledger.entries:
        yield from _statement_blocks(ledger, entry, games)


def _statement_blocks(ledger: Ledger, entry: Entry, games: Games) -> Iterator[_Block]:
    statement = entry.statement
    yield _Heading(2, f"{statement.name}: {statement.title}")
    yield _Grid(DETAILS, detail_rows(entry))
    missing = f" No control makes {'; '.join(entry.uncaught)} fail." if entry.uncaught else ""
    yield _Paragraph(f"Negative controls ({statement.control}): {caught(entry)}.{missing}")
    yield _Grid(CONTROL, control_rows(entry))
    if entry.examples:
        rows = [(e.name, e.quantity, f"{e.observed:.6g}", f"{e.bound:.6g}", f"{e.ratio:.9f}") for e in entry.examples]
        yield _Grid(("constants attained", "quantity", "observed", "bound", "ratio"), rows)
    if entry.attacked:
        yield _Paragraph(
            f"Adversary against “{entry.attacked}”: observed/bound {number(entry.tightest, 6)} at best, "
            f"{number(entry.adversarial_median)} in the median of {len(entry.ratios)} runs."
        )
    for found, solving in games.values():
        if found.statement == statement.name and not found.violated:
            yield _Listing(solving)
    for figure in statement.figures:
        yield _Picture(figure.name, figure.caption)
    # The problem, the statement, its proof, how tight it is, and where it comes from.
    yield _Listing(statement.text.strip())


def markdown_report(ledger: Ledger, command: str, games: Games) -> str:
    """The report as Markdown; pictures are files beside it."""
    return "\n\n".join(_as_markdown(block) for block in _blocks(ledger, command, games)) + "\n"


def _as_markdown(block: _Block) -> str:
    if isinstance(block, _Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, _Paragraph):
        return block.text
    if isinstance(block, _Listing):
        return f"```text\n{block.text}\n```"
    if isinstance(block, _Picture):
        return f"![{block.caption}]({block.name}.png)\n\n*{block.caption}*"
    lines = [block.columns, tuple("---" for _ in block.columns), *block.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def html_report(ledger: Ledger, command: str, games: Games) -> str:
    """The report as one HTML page, pictures included."""
    body = "\n".join(_as_html(block, ledger) for block in _blocks(ledger, command, games))
    return f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n{_HEAD}\n<body>\n{body}\n</body>\n</html>\n'


def _as_html(block: _Block, ledger: Ledger) -> str:
    if isinstance(block, _Heading):
        return f"<h{block.level}>{html.escape(block.text)}</h{block.level}>"
    if isinstance(block, _Paragraph):
        return f"<p>{html.escape(block.text)}</p>"
    if isinstance(block, _Listing):
        return f"<pre>{html.escape(block.text)}</pre>"
    if isinstance(block, _Picture):
        data = base64.b64encode((ledger.folder / f"{block.name}.png").read_bytes()).decode()
        caption = html.escape(block.caption)
        image = f'<img alt="{caption}" src="data:image/png;base64,{data}">'
        return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in block.columns)
    rows = "\n".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in block.rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"


_HEAD = """<title>The theorem ledger</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; font-size: 0.85rem; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { padding: 0.25rem 0.7rem; text-align: left; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
pre { background: #f6f6f6; padding: 1rem; overflow-x: auto; font-size: 0.8rem; line-height: 1.4; }
figure { margin: 1.5rem 0; } img { max-width: 100%; width: 44rem; } figcaption { color: #555; max-width: 44rem; }
</style>"""
