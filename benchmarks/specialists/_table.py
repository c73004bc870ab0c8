"""Both teams side by side: who answers what, score against tokens, and what adapters are worth to a team."""

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.llm._protocol import read_protocol
from benchmarks.llm._results import PACKED, unpack
from benchmarks.llm._stages import POLICY, RESULTS
from hqre_jax.bridge.coordination import TeamPolicy, read_policy
from hqre_jax.bridge.report import Data, Resampling, read_evaluation
from hqre_jax.bridge.report._data import OURS
from hqre_jax.bridge.report._statistics import gain

FOLDER = Path(__file__).parent
TEAMS = ("trained", "untrained")

_LEGEND = """\
Three agents of the embedded model, each with an adapter trained on another class (`trained`), and the same game for
three agents of the model as it is (`untrained`). [`trained/table.md`](trained/table.md) and
[`untrained/table.md`](untrained/table.md) have everything about each. Brackets: 95 %, questions and seeds drawn again,
the same ones for all methods and for both teams."""
_POLICY = """\
Probability with which each agent takes each control, and its temperature, in the policy of the team's own prices;
budgets may take another one, solved again at other prices."""


def build_table() -> dict[str, Any]:
    """Every number, from the results that ship.

    Returns:
        A JSON-like document: the budgets, and by team its policy, its methods, and DICE-PC's gain over each of them.
    """
    with TemporaryDirectory() as name:
        found = {team: _read(team, Path(name, team)) for team in TEAMS}
    trained, untrained = (data for _, data in found.values())
    resampling = Resampling(trained.kinds, trained.plan.seeds)
    teams = {
        team: {"policy": _policy(policy), "methods": _methods(data, resampling)}
        for team, (policy, data) in found.items()
    }
    worth = [
        {"method": method, "budget": number, **asdict(gain(*(resampling.means(one.scores) for one in pair)))}
        for (method, number), ours in trained.plays.items()
        if (other := untrained.plays.get((method, number))) is not None
        for pair in [(ours, other)]
    ]
    return {"budgets": list(trained.plan.budgets), "teams": teams, "worth": worth}


def _read(team: str, folder: Path) -> tuple[TeamPolicy, Data]:
    protocol = read_protocol(FOLDER / team / "protocol.toml")
    unpack(protocol.recording.with_name(PACKED), folder)
    return read_policy(folder / POLICY), read_evaluation(folder / RESULTS)


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


def _methods(data: Data, resampling: Resampling) -> list[dict[str, Any]]:
    rows = []
    for method in data.plan.methods:
        for number in range(len(data.plan.budgets)):
            plays, ours = data.plays.get((method, number)), data.plays.get((OURS, number))
            if plays is None:
                continue
            row = {"method": method, "budget": number, "tokens": float(resampling.means(plays.tokens)[0])}
            row["score"] = asdict(resampling.estimate(plays.scores))
            if method != OURS and ours is not None:
                row["behind"] = asdict(gain(resampling.means(ours.scores), resampling.means(plays.scores)))
            rows.append(row)
    return rows


def markdown(table: dict[str, Any]) -> str:
    """The document as Markdown."""
    lines = ["# A team of specialists", "", _LEGEND]
    for team in TEAMS:
        lines += ["", f"## Who answers what: {team}", "", *([_POLICY, ""] if team == TEAMS[0] else [])]
        rows = table["teams"][team]["policy"]
        menu = list(rows[0]["probabilities"])
        lines += [f"| class | agent | {' | '.join(menu)} | τ |", "| --- | --- |" + " --- |" * (len(menu) + 1)]
        lines += [
            f"| {row['class']} | {row['agent']} | {' | '.join(f'{p:.3f}' for p in row['probabilities'].values())} "
            f"| {row['tau']:.4f} |"
            for row in rows
        ]
    for number, budget in enumerate(table["budgets"]):
        lines += ["", f"## Up to {budget:g} tokens a question", ""]
        lines += ["| method | " + " | ".join(f"{team} | tokens | `{OURS}` less it" for team in TEAMS) + " | adapters |"]
        lines += ["| --- |" + " --- |" * 7]
        own = [
            {row["method"]: row for row in table["teams"][team]["methods"] if row["budget"] == number} for team in TEAMS
        ]
        worth = {row["method"]: row for row in table["worth"] if row["budget"] == number}
        for method in dict.fromkeys(name for rows in own for name in rows):
            cells = [cell for rows in own for cell in _cells(rows.get(method))]
            cells.append(_points(worth[method]) if method in worth else "–")
            lines.append(f"| `{method}` | {' | '.join(cells)} |")
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
