"""Both teams side by side: who answers what, score against tokens, and what adapters are worth to a team."""

from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.llm._protocol import COMMAND, read_protocol
from benchmarks.llm._results import PACKED, unpack
from benchmarks.llm._stages import POLICY, RESULTS
from hqre_jax.bridge.coordination import TeamPolicy, read_policy
from hqre_jax.bridge.evaluation import read_plan
from hqre_jax.bridge.report import Data, Resampling, read_evaluation
from hqre_jax.bridge.report._data import OURS, Plays
from hqre_jax.bridge.report._statistics import gain

FOLDER = Path(__file__).parent
TEAMS, PROTOCOL = ("trained", "untrained"), "protocol.toml"

_LEGEND = """\
Three agents of the embedded model, each with an adapter trained on another class (`trained`), and the same game for
three agents of the model as it is (`untrained`). [`trained/table.md`](trained/table.md) and
[`untrained/table.md`](untrained/table.md) have everything about each. Brackets: 95 %, questions and seeds drawn again,
the same ones for all methods and for both teams."""
_POLICY = """\
Probability with which each agent takes each control, and its temperature, in the policy of the team's own prices;
budgets may take another one, solved again at other prices."""


@dataclass(frozen=True)
class _Shipped:
    """What ships of a team; None for what is not there yet.

    Attributes:
        policy: DICE-PC's, at the team's own prices.
        data: The evaluation.
    """

    policy: TeamPolicy | None
    data: Data | None

    @property
    def missing(self) -> str | None:
        """What is not there, in words."""
        if self.data is None:
            return "the policy" if self.policy is None else "the evaluation"
        return None if self.data.whole else "a part of the evaluation"


def build_table() -> dict[str, Any]:
    """Every number, from the results that ship.

    Returns:
        A JSON-like document: by team what is missing, its policy, its methods with DICE-PC's gain over each, and method
        by method what adapters are worth, once both teams have been evaluated.
    """
    with TemporaryDirectory() as name:
        found = {team: _read(team, Path(name, team)) for team in TEAMS}
    trained, untrained = (one.data if one.missing is None else None for one in found.values())
    return {
        "budgets": list(read_protocol(FOLDER / TEAMS[0] / PROTOCOL).token_budgets),
        "missing": {team: one.missing for team, one in found.items() if one.missing is not None},
        "policies": {team: _policy(one.policy) for team, one in found.items() if one.policy is not None},
        "methods": {team: _methods(one.data) for team, one in found.items() if one.data is not None},
        "worth": [] if trained is None or untrained is None else _worth(trained, untrained),
    }


def _read(team: str, folder: Path) -> _Shipped:
    unpack(read_protocol(FOLDER / team / PROTOCOL).recording.with_name(PACKED), folder)
    return _Shipped(
        read_policy(folder / POLICY) if (folder / POLICY).exists() else None,
        None if read_plan(folder / RESULTS) is None else read_evaluation(folder / RESULTS),
    )


def _worth(trained: Data, untrained: Data) -> list[dict[str, Any]]:
    """What each method is better with adapters than without, within each budget that both keep."""
    return [
        {"method": method, "budget": budget, **_gain(trained, ours, untrained.plays[method, budget])}
        for (method, budget), ours in trained.plays.items()
        if (method, budget) in untrained.plays
    ]


def _gain(data: Data, ours: Plays, theirs: Plays) -> dict[str, float]:
    """What some plays are above others of the same questions and seeds."""
    resampling = Resampling(data.kinds, data.plan.seeds)
    return asdict(gain(resampling.means(ours.scores), resampling.means(theirs.scores)))


def _policy(policy: TeamPolicy) -> list[dict[str, Any]]:
    return [
        {
            "class": state.task_class,
            "agent": agent,
            "tau": float(policy.tau[i, x]),
            "probabilities": dict(zip(policy.menus[i], policy.probabilities[i, x].tolist(), strict=False)),
        }
        for x, state in enumerate(policy.states)
        for i, agent in enumerate(policy.agents)
    ]


def _methods(data: Data) -> list[dict[str, Any]]:
    resampling, rows = Resampling(data.kinds, data.plan.seeds), list[dict[str, Any]]()
    for method in data.plan.methods:
        for number in range(len(data.plan.budgets)):
            plays, ours = data.plays.get((method, number)), data.plays.get((OURS, number))
            if plays is None:
                continue
            row = {"method": method, "budget": number, "tokens": float(resampling.means(plays.tokens)[0])}
            row["score"] = asdict(resampling.estimate(plays.scores))
            if method != OURS and ours is not None:
                row["behind"] = _gain(data, ours, plays)
            rows.append(row)
    return rows


def markdown(table: dict[str, Any]) -> str:
    """The document as Markdown."""
    lines = ["# A team of specialists", "", _LEGEND]
    for team, what in table["missing"].items():
        lines += ["", f"Missing of `{team}`: {what}. This goes on with it:", ""]
        lines += [f"    {COMMAND} --protocol benchmarks/specialists/{team}/{PROTOCOL}"]
    for number, (team, rows) in enumerate(table["policies"].items()):
        menu = list(rows[0]["probabilities"])
        lines += ["", f"## Who answers what: {team}", "", *([] if number else [_POLICY, ""])]
        lines += [f"| class | agent | {' | '.join(menu)} | τ |", "| --- | --- |" + " --- |" * (len(menu) + 1)]
        lines += [
            f"| {row['class']} | {row['agent']} | {' | '.join(f'{p:.3f}' for p in row['probabilities'].values())} "
            f"| {row['tau']:.4f} |"
            for row in rows
        ]
    teams = table["methods"]
    for number, budget in enumerate(table["budgets"] if teams else ()):
        lines += ["", f"## Up to {budget:g} tokens a question", ""]
        heads = [f"{team} | tokens | `{OURS}` less it" for team in teams]
        lines += [f"| method | {' | '.join(heads)} | adapters |", "| --- |" + " --- |" * (3 * len(teams) + 1)]
        rows, worth = [_within(own, number) for own in teams.values()], _within(table["worth"], number)
        for method in dict.fromkeys(name for own in rows for name in own):
            cells = [cell for own in rows for cell in _cells(own.get(method))]
            cells.append(_points(worth[method]) if method in worth else "–")
            lines.append(f"| `{method}` | {' | '.join(cells)} |")
    if teams:
        lines += ["", "`adapters`: points that the trained team is above the untrained one, method for method."]
    return "\n".join(lines) + "\n"


def _within(rows: list[dict[str, Any]], number: int) -> dict[str, dict[str, Any]]:
    """The rows of a budget by method."""
    return {row["method"]: row for row in rows if row["budget"] == number}


def _cells(row: dict[str, Any] | None) -> list[str]:
    if row is None:
        return ["–"] * 3
    score = row["score"]
    shown = f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"
    return [shown, f"{row['tokens']:.0f}", _points(row["behind"]) if "behind" in row else ""]


def _points(estimate: dict[str, float]) -> str:
    return f"{100 * estimate['value']:+.1f} [{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"
