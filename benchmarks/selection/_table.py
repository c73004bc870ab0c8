"""The table: as a document, and in words."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.selection import _diagnose, _equilibria
from benchmarks.selection._entries import MARGIN, Entry, Temperatures, entries
from benchmarks.selection._games import SETTINGS, Record, Recorded, Setting
from benchmarks.selection._learn import BATCH, PLAYS, RUNS
from benchmarks.selection._measure import COORDINATED, decode, measure

_LEGEND = """\
Games of one round between agents of the embedded model, put together from recorded replies to dev questions; nothing is
asked of a model. A play is one recorded play: a question, and for every agent and control a reply of its own. {runs}
runs of {plays} plays each, {batch} at a time, with the baselines' own learners (`best response`: exact payoffs, a round
in place of a batch, from a profile drawn at random). `HQRE`: the equilibrium (`hqre_jax.solve`) of the game that as
many plays show, made uniformly at random. Brackets are 95 % intervals over runs: Wilson's of shares, bootstrapped ones
of means, order statistics of medians; the recorded plays are given. Mirror steps are `κ/(2L²)` (T5) but for the long
ones, which are those of the baselines.

* A convention is a strict equilibrium in pure strategies. Coordinated: runs whose last policy plays one with
  probability {there:g} at least; conventions: how many ended in which, in the order given. Spread: mean total variation
  between two runs' last policies; 0 where all runs end alike.
* Swing (largest less least probability, mean over agents), oscillation (cosine of successive steps), drift (path over
  displacement, median) and regret (slope: what best responses would gain, a play, summed over agents; regularised: the
  same with the row's own temperatures, T3) are those of the second half.
* P(right), tokens and utility (score less what all agents pay) are those of the last policy.
* Certified: least temperatures with a margin of {margin:g} of the least common one (`hqre_jax.least_temperatures`);
  × 0.5 and × 0.25 are parts of the roles' own, without a certificate. Roles' own have rows where they differ from the
  common one."""

_EQUILIBRIA = """\
The same games, all recorded plays being known: their conventions, and the HQRE on the principal branch. Brackets are
95 % intervals that resample questions (policies and temperatures stay what they are). Σ τ log A is what entropy may
weigh at most (T8)."""

_DIAGNOSES = """\
T6, told of {plays} plays of each of {count} policies of a run ({trembling:g} % of each policy being uniform) and of
nothing else; {runs} runs of each rule. Alarms in runs where exact action values raise one (`wrong`), and where they
raise none (`sound`); rules without temperatures are judged at {tau:g}."""

_LEARNERS = (
    "rule", "τ", "coordinated", "conventions", "spread", "swing", "oscillation", "drift", "regret", "regularised",
    "P(right)", "tokens", "utility",
)  # fmt: skip
_TEMPERATURES = (
    "temperatures", "τ", "Σ τ log A", "margin", "HQRE", "policy", "P(right)", "beside the best convention", "utility",
    "beside the best convention",
)  # fmt: skip


def build_table(record: Record, judged: bool = True) -> dict[str, Any]:
    """Every row, from the record alone.

    Args:
        record: Outcomes, temperatures and paths, as `__main__` records them.
        judged: Whether equilibria and T6 have a say, which takes minutes.
    """
    games = [game for setting in SETTINGS if (game := Recorded.from_record(setting, record)) is not None]
    return {
        "runs": RUNS, "plays": PLAYS, "batch": BATCH, "margin": MARGIN,
        "missing": [told for setting in SETTINGS if (told := _missing(setting, record))],
        "games": [_game(game, record, judged) for game in games],
    }  # fmt: skip


def _missing(setting: Setting, record: Record) -> str:
    """What is missing of a game, in words; "" where nothing is."""
    found = Recorded.from_record(setting, record)
    if found is None:
        return setting.name
    left = found.wanted - found.questions
    return f"{left} of {found.wanted} questions of {setting.name}" if left else ""


def read_paths(record: Record, recorded: Recorded, entry: Entry) -> np.ndarray:
    """The policies of an entry's runs."""
    return decode(record[f"{recorded.setting.name}:{entry.name}"], recorded.mask)


def _game(recorded: Recorded, record: Record, judged: bool) -> dict[str, Any]:
    setting = recorded.setting
    temperatures = Temperatures.from_record(setting.name, record)
    rows = entries(temperatures)
    found: dict[str, Any] = {
        "name": setting.name, "class": f"{setting.task}/{setting.task_class}", "about": setting.about,
        "questions": recorded.questions, "recorded": len(recorded.scores),
        "menus": [list(menu) for menu in setting.menus],
        "costs": [[float(cost) for cost in own] for own in recorded.costs.mean(0)],
        "conventions": [recorded.named(profile) for profile in recorded.conventions],
        "learners": [measure(entry, recorded, read_paths(record, recorded, entry)) for entry in rows],
    }  # fmt: skip
    if judged:
        found["equilibria"] = _equilibria.equilibria(recorded, temperatures)
        found["diagnoses"] = [
            {"name": entry.name, **_diagnose.diagnoses(entry, recorded, read_paths(record, recorded, entry))}
            for entry in rows if _diagnose.is_judged(entry)
        ]  # fmt: skip
    return found


def markdown(table: dict[str, Any]) -> str:
    """The document as Markdown."""
    legend = _LEGEND.format(**table, there=COORDINATED)
    lines = ["# Does selection help?", "", legend]
    if table["missing"]:
        lines += ["", f"Not recorded yet: {', '.join(table['missing'])}."]
    lines += ["", "## Learners"]
    for game in table["games"]:
        lines += ["", f"### {game['name']}", "", *_heading(game), ""]
        lines += _rows(_LEARNERS, map(_learner, game["learners"]))
    lines += ["", "## Equilibria", "", _EQUILIBRIA]
    for game in table["games"]:
        lines += ["", f"### {game['name']}: equilibria", "", *_equilibria_lines(game["equilibria"])]
    told = _DIAGNOSES.format(
        plays=_diagnose.PLAYS, count=len(_diagnose.ROUNDS), runs=_diagnose.RUNS, tau=_diagnose.LEAST_TAU,
        trembling=100 * _diagnose.TREMBLE,
    )  # fmt: skip
    lines += ["", "## Alarms", "", told, ""]
    every = [{"game": game["name"], **row} for game in table["games"] for row in game["diagnoses"]]
    return (
        "\n".join([*lines, *_rows(("game", "rule", "wrong", "sound", "alarms", "verdicts"), map(_judged, every))])
        + "\n"
    )


def _heading(game: dict[str, Any]) -> Iterator[str]:
    conventions = "; ".join(f"({one})" for one in game["conventions"]) or "none"
    yield f"{game['about'].capitalize()}; `{game['class']}`, {game['questions']} questions, {game['recorded']} plays."
    for k, (menu, costs) in enumerate(zip(game["menus"], game["costs"], strict=True)):
        paid = ", ".join(f"`{name}` {cost:.3f}" for name, cost in zip(menu, costs, strict=False))
        yield f"Agent {k + 1} pays on average: {paid}."
    yield f"Conventions: {conventions}."


def _rows(head: tuple[str, ...], rows: Iterator[list[str]] | Any) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *(f"| {' | '.join(row)} |" for row in rows)]


def _learner(row: dict[str, Any]) -> list[str]:
    there = row["coordinated"]
    shown = [_shown(row.get(name)) for name in ("swing", "oscillation")]
    return [
        row["name"], _temperatures(row["tau"], row["certified"]),
        f"{there['count']} of {row['runs']} [{there['low']:.2f}, {there['high']:.2f}]",
        " : ".join(map(str, row["conventions"])) or "–", _shown(row["spread"]), *shown, _middle(row.get("drift")),
        _shown(row["regret"]), _shown(row["soft_regret"]), _shown(row["right"]),
        _shown(row["tokens"], 0), _shown(row["utility"]),
    ]  # fmt: skip


def _temperatures(tau: list[float] | None, certified: bool) -> str:
    if tau is None:
        return "–"
    told = ", ".join(dict.fromkeys(f"{one:.3f}" for one in tau))
    return f"{told} ({'certified' if certified else 'not certified'})"


def _equilibria_lines(found: dict[str, Any]) -> Iterator[str]:
    for one in found["conventions"]:
        worth = f"P(right) {_shown(one['right'])}, {one['tokens']:.0f} tokens, utility {_shown(one['utility'])}"
        yield from (f"Convention ({one['profile']}): {worth}.", "")
    yield from _rows(_TEMPERATURES, map(_equilibrium, found["rows"]))
    if found["roles_beside_common"] is not None:
        beside = found["roles_beside_common"]
        yield ""
        yield (
            f"Roles' temperatures beside the common one: P(right) {_shown(beside['right'])}, utility "
            f"{_shown(beside['utility'])}."
        )


def _equilibrium(row: dict[str, Any]) -> list[str]:
    beside = row["beside_convention"] or {"right": None, "utility": None}
    count = "1, proved" if row["verdict"] == "unique" else f"{row['found']} found, {row['selection'].replace('_', ' ')}"
    policy = "; ".join(", ".join(f"{p:.2f}" for p in own) for own in row["policy"])
    return [
        row["temperatures"], ", ".join(dict.fromkeys(f"{one:.3f}" for one in row["tau"])), f"{row['bias']:.3f}",
        _shown(row["margin"]), count, policy, _shown(row["right"]), _shown(beside["right"]), _shown(row["utility"]),
        _shown(beside["utility"]),
    ]  # fmt: skip


def _judged(row: dict[str, Any]) -> list[str]:
    heard = [f"{row[name]['alarms']} of {row[name]['runs']}" for name in ("wrong", "sound")]
    words = ([f"{n} {what.replace('_', ' ')}" for what, n in row[key].items()] for key in ("alarms", "verdicts"))
    return [row["game"], row["name"], *heard, *(", ".join(some) or "none" for some in words)]


def _shown(estimate: dict[str, float] | None, digits: int = 3) -> str:
    if estimate is None:
        return "–"
    mean, low, high = (f"{estimate[name]:.{digits}f}" for name in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def _middle(estimate: dict[str, float | None] | None) -> str:
    if estimate is None:
        return "–"
    middle, low, high = ("∞" if estimate[k] is None else f"{estimate[k]:.1f}" for k in ("median", "low", "high"))
    return f"{middle} [{low}, {high}]"
