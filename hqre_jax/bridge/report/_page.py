"""``report.html``: one file without scripts, links or fonts of elsewhere; everything said in it is shown as text."""

from collections.abc import Mapping, Sequence

from hqre_jax.bridge.report._data import OURS, Data
from hqre_jax.bridge.report._figures import class_plot, gain_plot, learning_plot, margin_plot, pareto
from hqre_jax.bridge.report._parts import document, figure, section, told
from hqre_jax.bridge.report._safe import for_html
from hqre_jax.bridge.report._shown import Shown
from hqre_jax.bridge.report._tables import Row
from hqre_jax.bridge.report._transcripts import transcripts
from hqre_jax.bridge.report._words import points, tokens, verdict

_PARETO = "Every method within every budget; 95 % intervals. Nothing is better for fewer tokens than the dotted line."
_GAINS = (
    "DICE-PC less each method on the same questions and seeds. Above the grey line: the classes of methods that the "
    "paper names. Orange: DICE-PC is better, blue: worse, grey: not to be told."
)
_PAIRED = ("gains", "training", "front")
_CLASSES = "DICE-PC (stars) and the best published baseline (circles), with 95 % intervals."
_CURVES = (
    "The mirror update on bandit feedback: mean, least and largest score over runs; on the right one line a run, how "
    "far policies moved. Swing: largest less least probability in the second half. Oscillation: cosine of successive "
    "steps. Drift: path over displacement."
)


def page(data: Data, numbers: Mapping[str, list[Row]], tables: Mapping[str, Shown], story: Sequence[str]) -> str:
    """The page.

    Args:
        data: The evaluation.
        numbers: The rows of all tables.
        tables: The tables as people read them.
        story: The evaluation in a few sentences.

    Returns:
        The text of the file.

    Example:
        >>> import dataclasses
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import Lines, Plan, Record, write_json
        >>> from hqre_jax.bridge.report import Resampling, page, read_evaluation, shown, story, tables
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
        >>> found = tables(data, Resampling(data.kinds, seeds=1, resamples=100))
        >>> text = page(data, found, shown(data, found), story(data, found))
        >>> text.count("<svg") > 1, "<script" in text
        (True, False)
    """
    by_class = class_plot(numbers["classes"], numbers["gains"])
    policies = ", ".join(name for name, _ in data.plan.policies)
    parts = [
        _tiles(numbers),
        told(story),
        section("Accuracy against tokens", figure(pareto(numbers["accuracy"]), _PARETO), tables["accuracy"]),
        section("Gains, paired", figure(gain_plot(numbers["gains"]), _GAINS), *(tables[name] for name in _PAIRED)),
        section("Class by class", figure(by_class, _CLASSES), tables["domains"], tables["classes"]),
        section("The referee’s question", _margins(data, numbers["margins"]), tables["margins"]),
        section("Learning curves", _learning(data), tables["learning"]),
        section("Methods", "", tables["settings"], tables["papers"]),
        section("Transcripts", transcripts(data)),
    ]
    origin = f"Team {data.plan.team_digest[:16]}, policy {policies}. Every number of every table is in report.json."
    return document("DICE-PC", data.plan.team, f"{data.plan.team}: DICE-PC and its baselines", parts, origin)


def _tiles(numbers: Mapping[str, list[Row]]) -> str:
    """One tile for each budget: what DICE-PC scores, with what, and how far from the best published baseline."""
    tiles = []
    for row in numbers["accuracy"]:
        if row["method"] != OURS or row.get("score") is None:
            continue
        same = [one for one in numbers["gains"] if one["budget"] == row["budget"]]
        beside = ""
        for best in [one for one in same if one["against"] == "best published"]:
            kind = {"above": "good", "below": "bad"}.get(verdict(best), "even")
            beside = f'<p class="{kind}">{for_html(points(best, "gain"))} against {for_html(best["method"])}</p>'
        tiles.append(
            f'<div class="tile"><p>up to {row["budget"]:g} tokens</p><strong>{100 * row["score"]:.1f} %</strong>'
            f"<p>{for_html(tokens(row))} tokens used</p>{beside}</div>"
        )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _margins(data: Data, rows: Sequence[Row]) -> str:
    if data.margins is None:
        return "<p>Not computed yet.</p>"
    about = (
        f"{data.margins['verdict']}: {data.margins['reason']}. A state's game is that of its round, with what later "
        f"rounds are worth at the equilibrium; low τ is {data.margins['low_tau']:g}. Brackets hold 95 % of the margins "
        f"of {data.margins['resampled']} games of resampled questions: a margin is a least value, so these lie below "
        "that of the questions themselves more often than above it, and all of them may."
    )
    picture = figure(margin_plot(rows), "Margin of every public state's game at the policy's temperatures.")
    return f"<p>{for_html(about)}</p>{picture}"


def _learning(data: Data) -> str:
    return figure(learning_plot(data), _CURVES) if data.learning else "<p>Not computed yet.</p>"
