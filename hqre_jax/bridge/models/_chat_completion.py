"""One chat completion as OpenAI's protocol spells it: the body of the request, and a strict reading of the answer."""

import hashlib
import json
from typing import Any

from hqre_jax.bridge.models._interface import Controls, Failure, FinishReason, Reply, Request, Usage
from hqre_jax.bridge.models._well_formed import well_formed

# Characters that no token of a vocabulary in use exceeds: where a server does not count, a longer reply is seen by it.
_LONGEST_TOKEN = 256
_FINISHED: dict[str, FinishReason] = {"stop": "stop", "length": "length", "content_filter": "refusal"}


def request_body(model: str, request: Request, log_probs: bool, official: bool) -> dict[str, Any]:
    """The body of a request.

    Args:
        model: The endpoint's name of the model.
        request: What is asked.
        log_probs: Whether to ask for log-probabilities.
        official: Whether the endpoint is OpenAI's own, whose later models know the limit by another name.
    """
    controls = request.controls
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": turn.role, "content": well_formed(turn.content)} for turn in request.messages],
        "temperature": controls.temperature,
        "max_completion_tokens" if official else "max_tokens": controls.max_tokens,
        "seed": request_seed(controls.seed, request.sample),
    }
    if controls.top_p < 1:
        body["top_p"] = controls.top_p
    if controls.stop:
        body["stop"] = [well_formed(text) for text in controls.stop]
    if log_probs:
        body["logprobs"] = True
    return body


def read_completion(content: bytes, controls: Controls) -> Reply | Failure:
    """The reply that an answer of status 200 holds; anything that is not as the protocol has it is a failure.

    Args:
        content: The body of the answer.
        controls: What was asked for: a reply longer than that is no sample of it, though it is charged.
    """
    try:
        document = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return Failure("malformed", "the answer is no JSON")
    if not isinstance(document, dict):
        return Failure("malformed", "the answer is no JSON object")
    usage, counted = _usage(document.get("usage"))
    if not counted:
        return Failure("malformed", "the answer's token counts are none")
    choices = document.get("choices")
    if not (isinstance(choices, list) and choices and isinstance(choices[0], dict)):
        return Failure("malformed", "the answer has no choices", usage)
    message, reason = choices[0].get("message"), choices[0].get("finish_reason")
    if not isinstance(message, dict):
        return Failure("malformed", "the answer has no message", usage)
    if not isinstance(reason, str) or reason not in _FINISHED:
        return Failure("malformed", f"the reply ended for no reason that is known: {str(reason)[:40]!a}", usage)
    refusal, text = message.get("refusal"), message.get("content")
    if isinstance(refusal, str) and refusal:
        return Reply(refusal, "refusal", usage)
    if _FINISHED[reason] == "refusal" and text is None:
        return Reply("", "refusal", usage)
    if not isinstance(text, str):
        return Failure("malformed", "the reply has no text", usage)
    asked = f"where {controls.max_tokens} tokens at most were asked for"
    if usage is not None and usage.completion > controls.max_tokens:
        return Failure("malformed", f"the reply has {usage.completion} tokens, {asked}", usage)
    if len(text) > _LONGEST_TOKEN * controls.max_tokens:
        return Failure("malformed", f"the reply has {len(text)} characters, {asked}", usage)
    # Some servers leave the stop string in.
    ends = [place for end in controls.stop if end and (place := text.find(end)) >= 0]
    if ends:
        return Reply(text[: min(ends)], "stop", usage)
    return Reply(text, _FINISHED[reason], usage, _log_probs(choices[0].get("logprobs")))


def _usage(block: Any) -> tuple[Usage | None, bool]:
    """The counts, and whether they are counts at all; no block is no mistake."""
    if block is None:
        return None, True
    if not isinstance(block, dict):
        return None, False
    details = block.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    counts = [block.get("prompt_tokens"), 0 if cached is None else cached, block.get("completion_tokens")]
    numbers = [count for count in counts if type(count) is int and 0 <= count < 2**53]
    if len(numbers) < 3 or numbers[1] > numbers[0]:
        return None, False
    return Usage(*numbers), True


def _log_probs(block: Any) -> tuple[float, ...] | None:
    entries = block.get("content") if isinstance(block, dict) else None
    if not isinstance(entries, list) or not entries:
        return None
    values = [entry.get("logprob") if isinstance(entry, dict) else None for entry in entries]
    numbers = [float(value) for value in values if isinstance(value, int | float) and float("-inf") < value <= 0]
    return tuple(numbers) if len(numbers) == len(values) else None


def request_seed(seed: int, sample: int) -> int:
    """One number for (seed, sample), within what endpoints take."""
    digest = hashlib.sha256(f"{seed} {sample}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
