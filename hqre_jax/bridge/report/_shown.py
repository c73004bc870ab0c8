"""The tables as people read them: numbers with their intervals, in words where there is no number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hqre_jax.bridge.report._data import OURS, Data
from hqre_jax.bridge.report._figures import state_name
from hqre_jax.bridge.report._tables import Row
from hqre_jax.bridge.report._words import points, span, tokens, verdict


@dataclass(frozen=True)
class Shown:
    """A table of cells.

    Attributes:
        title: What it says.
        columns: Names of the columns.
        rows: Cells, any text whatsoever.
        marked: Numbers of the rows that stand out.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    marked: frozenset[int] = frozenset()


def shown(data: Data, tables: dict[str, list[Row]]) -> dict[str, Shown]:
    """All tables, under the names that they have in ``report.json``; and ``papers``.

    Args:
        data: The evaluation.
        tables: The rows of all tables, see `tables`.

    Returns:
        The tables by name.

    Example:
        >>> import dataclasses
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import Lines, Plan, Record, write_json
        >>> from hqre_jax.bridge.report import Resampling, read_evaluation, shown, tables
        >>> what = {"policies": (), "split": "dev", "classes": (("arithmetic", "sum"),), "questions": 2, "dev": 2}
        >>> how = {"budgets": (99.0,), "methods": ("dice_pc", "single"), "families": ("ours", "single")}
        >>> plan = Plan("three solvers", "0a1b", **what, **how, papers=("", ""), seeds=1, seed=0, plays=0)
        >>> spent = dict.fromkeys(("prompt", "cached", "completion", "calls", "rounds"), (9, 9))
        >>> ours = Record("dice_pc", 0, 0, 0, 0, questions=(0, 1), scores=(1.0, 1.0), **spent, answers=("8", "9"))
        >>> single = dataclasses.replace(ours, method="single", scores=(1.0, 0.0), answers=("8", "7"))
        >>> with tempfile.TemporaryDirectory() as name:
        ...     write_json((folder := pathlib.Path(name)) / "plan.json", plan.document())
        ...     Lines(folder / "records.jsonl").add(*map(dataclasses.asdict, (ours, single)))
        ...     data = read_evaluation(folder)
        >>> cells = shown(data, tables(data, Resampling(data.kinds, seeds=1, resamples=100)))
        >>> cells["accuracy"].columns[:4], cells["accuracy"].rows[0][:4]
        (('method', 'class of methods', 'budget', 'score'), ('dice_pc', 'ours', '99', '1.000 [1.000, 1.000]'))
    """
    return {
        "accuracy": _accuracy(tables["accuracy"]),
        "gains": _gains(tables["gains"]),
        "training": _training(tables["training"]),
        "front": _front(tables["front"]),
        "domains": _domains(tables["domains"]),
        "classes": _classes(tables["classes"]),
        "margins": _margins(tables["margins"]),
        "learning": _learning(tables["learning"]),
        "settings": _settings(tables["settings"]),
        "papers": _papers(data),
    }


def _accuracy(rows: Sequence[Row]) -> Shown:
    columns = ("method", "class of methods", "budget", "score", "tokens used", "missing")
    cells = [
        (row["method"], row["family"], f"{row['budget']:g}", span(row, "score"), tokens(row), str(row["missing"]))
        if "why_not" not in row
        else (row["method"], row["family"], f"{row['budget']:g}", "–", row["why_not"], "")
        for row in rows
    ]
    return Shown("Score and tokens", columns, cells, _marks(rows, "method", OURS))


def _gains(rows: Sequence[Row]) -> Shown:
    cells = [(f"{row['budget']:g}", row["against"], row["method"], points(row, "gain"), verdict(row)) for row in rows]
    marked = frozenset(k for k, row in enumerate(rows) if row["against"].startswith("best"))
    columns = ("budget", "against", "method", "gain, points", "DICE-PC is")
    return Shown("What DICE-PC is above others, paired", columns, cells, marked)


def _training(rows: Sequence[Row]) -> Shown:
    cells = [(f"{row['budget']:g}", row["plays"], row["method"], points(row, "gain"), verdict(row)) for row in rows]
    columns = ("budget", "training plays", "method", "gain, points", "DICE-PC online is")
    return Shown("At equal training, paired", columns, cells)


def _front(rows: Sequence[Row]) -> Shown:
    cells = [
        (
            row["method"], f"{row['budget']:g}", _number(row["tokens"], 0), _number(row["rounds"], 2),
            _number(row["score"]), _number(row["front"]), points(row, "gain"), verdict(row),
        )
        for row in rows
    ]  # fmt: skip
    columns = ("method", "budget", "tokens", "rounds", "score", "front there", "gain, points", "it is")
    return Shown(
        "With and without state, above the front of adaptive methods", columns, cells, _marks(rows, "method", OURS)
    )


def _domains(rows: Sequence[Row]) -> Shown:
    cells = [
        (
            row["domain"], str(row["classes"]), f"{row['budget']:g}", _number(row["score"]), _number(row["tokens"], 0),
            row["method"], _number(row["best"]), _number(row["best_tokens"], 0), points(row, "gain"), verdict(row),
        )
        for row in rows
    ]  # fmt: skip
    columns = ("domain", "classes", "budget", "DICE-PC", "tokens", "best published there", "its score", "its tokens",
               "gain, points", "DICE-PC is")  # fmt: skip
    return Shown("Domain by domain, paired", columns, cells)


def _classes(rows: Sequence[Row]) -> Shown:
    rows = sorted(rows, key=lambda row: (row["task"], row["class"], row["budget"], -(row["score"] or 0)))
    cells = [
        (
            f"{row['task']}/{row['class']}", f"{row['budget']:g}", row["method"], span(row, "score"),
            _number(row["balanced"]), _number(row["entropy_bits"], 2), _number(row["tokens"], 0),
        )
        for row in rows
    ]  # fmt: skip
    columns = ("class", "budget", "method", "score", "balanced", "entropy of answers, bits", "tokens")
    return Shown("Class by class", columns, cells, _marks(rows, "method", OURS))


def _margins(rows: Sequence[Row]) -> Shown:
    cells = [
        (
            state_name(row), span(row, "margin", "low", "high"), _percent(row["positive"]), _list(row["tau"]),
            _list(row["least_tau"]), row["verdict"], str(row["equilibria"]), str(row["equilibria_low"]),
        )
        for row in rows
    ]  # fmt: skip
    # A margin is a least value: of resampled questions it is smaller more often than larger.
    margin = "margin [95 % of resampled games]"
    columns = ("state", margin, "positive in", "temperatures", "least", "verdict", "HQRE found", "at low τ")
    return Shown("Margins", columns, cells)


def _learning(rows: Sequence[Row]) -> Shown:
    cells = [
        (
            row["rule"], str(row["runs"]), str(row["plays"]), span(row, "score"), span(row, "swing"),
            span(row, "oscillation"), span(row, "drift"), str(row["conventions"]),
        )
        for row in rows
    ]  # fmt: skip
    columns = ("rule", "runs", "plays", "score at the end", "swing", "oscillation", "drift", "different ends")
    return Shown("Learning", columns, cells)


def _settings(rows: Sequence[Row]) -> Shown:
    cells = [
        (
            row["method"], f"{row['budget']:g}", row.get("setting", "none fits"), _number(row.get("dev_score")),
            _number(row.get("dev_tokens"), 0), str(row["tried"]),
        )
        for row in rows
    ]  # fmt: skip
    columns = ("method", "budget", "setting", "score on dev", "tokens on dev", "tried")
    return Shown("What dev chose, first seed", columns, cells, _marks(rows, "method", OURS))


def _papers(data: Data) -> Shown:
    cells = list(zip(data.plan.methods, (paper or "–" for paper in data.plan.papers), strict=True))
    return Shown("What each method follows", ("method", "after"), cells)


def _marks(rows: Sequence[Row], key: str, value: Any) -> frozenset[int]:
    return frozenset(k for k, row in enumerate(rows) if row[key] == value)


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _list(values: Sequence[float] | None) -> str:
    return "–" if values is None else ", ".join(f"{one:.3g}" for one in values)
