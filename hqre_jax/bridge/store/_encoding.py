"""Requests and replies as text: one spelling each, so that equal calls have equal keys.

JSON in ASCII: lone surrogates, which UTF-8 refuses, and control characters are written as escapes and come back as
they were (two that make a pair come back as the character they stand for); nothing that a model or a user says can be
anything but a string.
"""

import hashlib
import json
from typing import Any

from hqre_jax.bridge.models import Controls, Message, Reply, Request, Usage
from hqre_jax.core._types import InputError

# Made once: archives are spelt a hundred thousand times.
_SPELLING = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def to_json(value: Any) -> str:
    """The one spelling of a value: sorted keys, no spaces, ASCII, no NaN."""
    return _SPELLING.encode(value)


def encode_request(request: Request) -> str:
    """A request as JSON; numbers that are equal are spelt alike.

    Raises:
        InputError: A control is not a finite number.
    """
    controls = request.controls
    document = {
        "messages": [[message.role, message.content] for message in request.messages],
        "controls": {
            "temperature": float(controls.temperature),
            "top_p": float(controls.top_p),
            "max_tokens": int(controls.max_tokens),
            "stop": list(controls.stop),
            "seed": int(controls.seed),
        },
        "sample": int(request.sample),
    }
    try:
        return to_json(document)
    except ValueError:
        raise InputError("controls", f"temperature and top_p must be finite: {controls}") from None


def decode_request(text: str) -> Request:
    """The request that `encode_request` wrote."""
    document = json.loads(text)
    controls = dict(document["controls"])
    controls["stop"] = tuple(controls["stop"])
    messages = tuple(Message(role, content) for role, content in document["messages"])
    return Request(messages, Controls(**controls), document["sample"])


def encode_reply(reply: Reply) -> str:
    """A reply as JSON, without its token counts, which have columns of their own."""
    log_probs = None if reply.log_probs is None else [float(value) for value in reply.log_probs]
    return to_json({"text": reply.text, "finish_reason": reply.finish_reason, "log_probs": log_probs})


def decode_reply(text: str, usage: Usage | None) -> Reply:
    """The reply that `encode_reply` wrote."""
    document = json.loads(text)
    log_probs = document["log_probs"]
    return Reply(document["text"], document["finish_reason"], usage, None if log_probs is None else tuple(log_probs))


def call_key(identity: str, request: Request) -> str:
    """What a call is known by: a digest of (model, messages, controls, seed, sample index).

    Args:
        identity: `AbstractModel.identity`.
        request: The request; its controls hold the seed.

    Returns:
        SHA-256 in hexadecimal.

    Example:
        >>> from hqre_jax.bridge.models import Message, Request
        >>> from hqre_jax.bridge.store import call_key
        >>> hello = Request((Message("user", "hello"),))
        >>> call_key("parrot", hello) == call_key("parrot", hello)
        True
        >>> call_key("parrot", hello) == call_key("another parrot", hello)
        False
    """
    return key_of(identity, encode_request(request))


def key_of(identity: str, request: str) -> str:
    """`call_key` of a request that is encoded already."""
    return hashlib.sha256(to_json([identity, request]).encode("ascii")).hexdigest()


def seal(key: str, reply: str, counts: tuple[int, int, int], known: bool) -> str:
    """Digest of a recorded reply with its counts, by which damage within a file is seen."""
    return hashlib.sha256(to_json([key, reply, *counts, bool(known)]).encode("ascii")).hexdigest()
