"""A transcript as a document and as a page: whatever was said in it stays text."""

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from hqre_jax.bridge.models import Failure, Message, Reply
from hqre_jax.cli._tables import facts
from hqre_jax.core._text import harmless

if TYPE_CHECKING:
    from hqre_jax.bridge.play import Transcript


_ENDED = {"stop": "assistant", "length": "assistant, cut off", "refusal": "assistant, refusing"}


def transcript_document(transcript: "Transcript", stopped: str | None) -> dict[str, Any]:
    """Everything about a play; control characters are escapes, as JSON has them."""
    item, choice, judgement = transcript.item, transcript.choice, transcript.judgement
    return {
        "task": item.task,
        "class": item.task_class,
        "split": item.split,
        "item": item.index,
        "question": item.question,
        "right_answer": item.answer,
        "agent": transcript.agent.name,
        "role": transcript.agent.role,
        "model": transcript.agent.model,
        "control": choice.name,
        "exchanges": [
            {
                "messages": [
                    {"role": message.role, "content": message.content} for message in exchange.request.messages
                ],
                "temperature": exchange.request.controls.temperature,
                "max_tokens": exchange.request.controls.max_tokens,
                "seed": exchange.request.controls.seed,
                "sample": exchange.request.sample,
                **_result(exchange.result),
            }
            for exchange in transcript.exchanges
        ],
        "score": None if judgement is None else judgement.score,
        "answer": None if judgement is None else judgement.answer,
        "reason": None if judgement is None else judgement.reason,
        "tokens": transcript.tokens,
        "utility": transcript.utility,
        "stopped": stopped,
    }


def transcript_tables(transcript: "Transcript") -> list[Any]:
    """Who was asked, what was said turn by turn, and what it was worth.

    Roles stand in a column of their own that no message can write into.
    """
    item, agent, choice = transcript.item, transcript.agent, transcript.choice
    asked = {
        "item": f"{item.task} / {item.task_class}, {item.split} {item.index}",
        "agent": f"{agent.name} ({agent.role}), {agent.model}",
        "control": f"{choice.name}, temperature {choice.temperature:g}",
    }
    turns = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
    turns.add_column(no_wrap=True)
    turns.add_column(overflow="fold")
    shown: tuple[Message, ...] = ()
    for exchange in transcript.exchanges:
        messages, result = exchange.request.messages, exchange.result
        # What opened the turn before is not shown again.
        same = next((k for k, (old, new) in enumerate(zip(shown, messages, strict=False)) if old != new), len(shown))
        for message in messages[same:]:
            turns.add_row(Text(message.role, style="bold"), said_text(message.content))
        if isinstance(result, Reply):
            turns.add_row(Text(_ENDED[result.finish_reason], style="bold"), said_text(result.text))
        else:
            turns.add_row(Text("failure", style="bold"), said_text(f"{result.kind}: {result.detail}"))
        shown = messages
    heading = facts({key: harmless(value) for key, value in asked.items()})
    return [heading, Text(""), turns, Text(""), _worth(transcript)]


def _worth(transcript: "Transcript") -> Table:
    judgement, tokens, utility = transcript.judgement, transcript.tokens, transcript.utility
    answer = "none" if judgement is None or judgement.answer is None else judgement.answer
    right = "–" if transcript.item.answer is None else transcript.item.answer
    known = None if tokens is None else "{prompt} prompt ({cached} cached), {completion} completion".format(**tokens)
    pairs = {
        "answer": answer,
        "right answer": right,
        "score": "missing: the call failed" if judgement is None else f"{judgement.score:g} ({judgement.reason})",
        "tokens": known or "unknown",
        "utility": "–" if utility is None else f"{utility:.6g}",
    }
    return facts({key: harmless(value) for key, value in pairs.items()})


def _result(result: Reply | Failure) -> dict[str, Any]:
    if isinstance(result, Failure):
        return {"reply": None, "finish_reason": None, "failure": {"kind": result.kind, "detail": result.detail}}
    return {"reply": result.text, "finish_reason": result.finish_reason, "failure": None}


def said_text(text: str) -> Text:
    return Text("\n".join(f"│ {line}" for line in harmless(text, keep="\n").split("\n")))
