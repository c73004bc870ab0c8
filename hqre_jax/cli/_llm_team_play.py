"""A play of the team as a document and as a page: who chose what, how probably, what was said, what it cost."""

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from hqre_jax.cli._llm_play import said_text
from hqre_jax.cli._tables import facts
from hqre_jax.core._text import harmless

if TYPE_CHECKING:
    from hqre_jax.bridge.coordination import Outcome, Said
    from hqre_jax.bridge.team import Team


def outcome_document(outcome: "Outcome", team: "Team", stopped: str | None) -> dict[str, Any]:
    """Everything about a play of the team."""
    item, judgement = outcome.item, outcome.judgement
    return {
        "task": item.task,
        "class": item.task_class,
        "split": item.split,
        "item": item.index,
        "question": item.question,
        "right_answer": item.answer,
        "rounds": [
            {
                "state": step.asks[0].why if step.asks else None,
                "agents": [
                    {
                        "agent": said.agent,
                        "control": said.choice,
                        "probability": ask.probability,
                        "stream": list(ask.stream),
                        "reply": said.text,
                        "answer": said.answer,
                        "tokens": _tokens(said),
                        "price": _price(said, team),
                        "failure": None if said.failure is None else said.failure.kind,
                    }
                    for ask, said in zip(step.asks, step.said, strict=True)
                ],
            }
            for step in outcome.trace
        ],
        "answer_by": [said.agent for said in outcome.answers],
        "score": outcome.score,
        "answer": None if judgement is None else judgement.answer,
        "reason": None if judgement is None else judgement.reason,
        "calls": outcome.calls,
        "tokens": outcome.tokens,
        "stopped": stopped,
    }


def outcome_tables(outcome: "Outcome", team: "Team") -> list[Any]:
    """The question, then round by round what everybody did; who speaks stands where no message can write."""
    item, judgement = outcome.item, outcome.judgement
    parts: list[Any] = [
        facts({"item": harmless(f"{item.task} / {item.task_class}, {item.split} {item.index}")}),
        said_text(item.question),
    ]
    for step in outcome.trace:
        page = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for name in ("agent", "control", "probability", "answer", "tokens", "price"):
            page.add_column(name, no_wrap=True)
        page.add_column("reply", overflow="fold")
        for ask, said in zip(step.asks, step.said, strict=True):
            price, tokens = _price(said, team), _tokens(said)
            cells = (
                said.agent,
                said.choice,
                "–" if ask.probability is None else f"{ask.probability:.3f}",
                said.answer or "–",
                "–" if tokens is None else str(tokens["prompt"] + tokens["completion"]),
                "–" if price is None else f"{price:.4f}",
            )
            reply = said_text(said.text) if said.failure is None else said_text(f"{said.failure.kind}: call failed")
            page.add_row(*(Text(harmless(cell)) for cell in cells), reply if said.text or said.failure else Text(""))
        parts += [Text(""), Text(harmless(step.asks[0].why if step.asks else ""), style="bold"), page]
    by = ", ".join(said.agent for said in outcome.answers) or "nobody"
    verdict = {
        "answer": "none" if judgement is None or judgement.answer is None else f"{judgement.answer} (by {by})",
        "right answer": item.answer or "–",
        "score": "missing: a call failed" if judgement is None else f"{judgement.score:g} ({judgement.reason})",
        "tokens": "unknown" if outcome.tokens is None else f"{outcome.tokens} in {outcome.calls} calls",
    }
    return [*parts, Text(""), facts({key: harmless(value) for key, value in verdict.items()})]


def _tokens(said: "Said") -> dict[str, int] | None:
    usage = said.usage
    return None if usage is None else {"prompt": usage.prompt, "cached": usage.cached, "completion": usage.completion}


def _price(said: "Said", team: "Team") -> float | None:
    tokens = _tokens(said)
    return None if tokens is None else team.agent(said.agent).price.of(**tokens)
