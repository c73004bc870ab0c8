"""Transcripts as folded parts of a page: the stream, who chose what with which probability, why, what it cost."""

from typing import Any

from hqre_jax.bridge.report._data import Data
from hqre_jax.bridge.report._safe import for_html
from hqre_jax.bridge.report._tables import OURS

_COLUMNS = ("agent", "control", "chance", "why", "said", "answer", "tokens (price)")


def transcripts(data: Data) -> str:
    """All questions as DICE-PC answered them within the smallest budget it can be played in, and some of others."""
    if not data.transcripts:
        return "<p>Nothing yet.</p>"
    parts = []
    for method in data.plan.methods:
        budgets = sorted({budget for name, budget, _ in data.transcripts if name == method})
        if not budgets:
            continue
        inside = "".join(
            _class(data, kind, data.transcripts[method, budgets[0], kind])
            for kind in range(len(data.plan.classes))
            if (method, budgets[0], kind) in data.transcripts
        )
        budget = data.plan.budgets[budgets[0]]
        name = "DICE-PC" if method == OURS else method
        title = f"{name}, up to {budget:g} tokens, first seed"
        opened = " open" if method == OURS else ""
        parts.append(f"<details{opened}><summary>{for_html(title)}</summary>{inside}</details>")
    return "".join(parts)


def _class(data: Data, kind: int, plays: list[dict[str, Any]]) -> str:
    task, name = data.plan.classes[kind]
    right = sum(play["score"] == 1 for play in plays)
    title = f"{task}/{name}: {right} of {len(plays)} right"
    inside = "".join(_play(play) for play in plays)
    return f'<details class="kind"><summary>{for_html(title)}</summary>{inside}</details>'


def _play(play: dict[str, Any]) -> str:
    score = play["score"]
    mark, kind = ("·", "lost") if score is None else ("✓", "good") if score == 1 else ("✗", "bad")
    title = f"{play['question']}. {' '.join(play['text'].split())}"
    facts = [
        ("answer", "none" if play["answer"] is None else play["answer"]),
        ("right answer", "–" if play["right_answer"] is None else play["right_answer"]),
        ("score", "missing" if score is None else f"{score:g}"),
        ("why", play["reason"] or "–"),
        ("tokens", "unknown" if play["tokens"] is None else str(play["tokens"])),
    ]
    listed = "".join(f"<dt>{for_html(name)}</dt><dd>{for_html(value)}</dd>" for name, value in facts)
    rounds = "".join(_round(number, step) for number, step in enumerate(play["steps"], 1))
    return (
        f'<details class="play"><summary><b class="{kind}">{mark}</b> {for_html(_short(title))}</summary>'
        f"<pre>{for_html(play['text'])}</pre>{rounds}<dl>{listed}</dl></details>"
    )


def _round(number: int, step: list[dict[str, Any]]) -> str:
    rows = "".join(_turn(turn) for turn in step)
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    return f"<h4>Round {number}</h4><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _turn(turn: dict[str, Any]) -> str:
    chance = "–" if turn["probability"] is None else f"{turn['probability']:.2f}"
    said = turn["said"] if turn["failure"] is None else f"the call failed: {turn['failure']}"
    asked = "".join(_line(role, content) for role, content in turn["shown"])
    read = "".join(_line(str(number), text) for number, text in enumerate(turn["stream"], 1))
    more = f"<details><summary>was asked</summary><dl>{asked}</dl></details>" if asked else ""
    more += f"<details><summary>had read</summary><dl>{read}</dl></details>" if read else ""
    tokens = "?" if turn["tokens"] is None else str(turn["tokens"])
    cost = "" if turn["cost"] is None else f" ({turn['cost']:.3g})"
    cells = [turn["agent"], turn["control"], chance, turn["why"]]
    shown = "".join(f"<td>{for_html(cell)}</td>" for cell in cells)
    answer = "–" if turn["answer"] is None else turn["answer"]
    return (
        f'<tr>{shown}<td class="said">{for_html(said)}{more}</td><td>{for_html(answer)}</td>'
        f"<td>{for_html(tokens + cost)}</td></tr>"
    )


def _line(term: str, text: str) -> str:
    return f'<dt>{for_html(term)}</dt><dd class="said">{for_html(text)}</dd>'


def _short(text: str, longest: int = 110) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
