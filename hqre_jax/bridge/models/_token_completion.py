"""One completion in tokens, as vLLM's `/completions` spells it: the request's body, and a reading of the answer."""

import hashlib
import json
import math
from typing import Any

from hqre_jax.bridge.models._interface import Controls, Failure
from hqre_jax.bridge.models._sampling import Completion, Prompt
from hqre_jax.bridge.models._well_formed import well_formed

# A server would put what the model's own configuration says in the place of what is not said: truncation and penalties
# that make another policy of it, which log-probabilities before sampling do not show.
_AS_IT_IS = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
_FINISHED = {"stop": True, "length": False}


def tokens_body(model: str, prompt: Prompt, controls: Controls) -> dict[str, Any]:
    """The body of a request.

    Args:
        model: The endpoint's name of the model, or of an adapter it has loaded.
        prompt: What is completed.
        controls: How.
    """
    body: dict[str, Any] = {
        "model": model,
        "prompt": list(prompt.tokens),
        "temperature": controls.temperature,
        "top_p": controls.top_p,
        "max_tokens": controls.max_tokens,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": _seed(prompt, controls),
        "logprobs": 1,
        "extra_body": {"return_token_ids": True, **_AS_IT_IS},
    }
    if controls.stop:
        body["stop"] = [well_formed(text) for text in controls.stop]
    return body


def _seed(prompt: Prompt, controls: Controls) -> int:
    """Its own for every prompt and sample, as here: equal noise under different questions is no independent draw."""
    text = json.dumps([controls.seed, prompt.sample, *map(int, prompt.tokens)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def read_tokens(content: bytes, controls: Controls) -> Completion | Failure:
    """The completion that an answer of status 200 holds; anything else is a failure.

    Args:
        content: The body of the answer.
        controls: What was asked for.
    """
    try:
        choice = json.loads(content.decode("utf-8"))["choices"][0]
        tokens, log_probs = choice["token_ids"], choice["logprobs"]["token_logprobs"]
        reason = choice["finish_reason"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return Failure(
            "malformed", "the answer has no token_ids with token_logprobs: training wants a server that returns both"
        )
    if not isinstance(tokens, list) or not all(type(token) is int and 0 <= token < 2**31 for token in tokens):
        return Failure("malformed", "the answer's token_ids are no tokens")
    if not isinstance(log_probs, list) or not all(type(x) in (int, float) and -math.inf < x <= 0 for x in log_probs):
        return Failure("malformed", "the answer's token_logprobs are no log-probabilities")
    if not 0 < len(tokens) == len(log_probs) <= controls.max_tokens:
        counts = f"{len(tokens)} tokens and {len(log_probs)} log-probabilities"
        return Failure("malformed", f"the answer has {counts}, where at most {controls.max_tokens} were asked for")
    if not isinstance(reason, str) or reason not in _FINISHED:
        return Failure("malformed", f"the completion ended for no reason that is known: {str(reason)[:40]!a}")
    return Completion(tuple(tokens), tuple(map(float, log_probs)), _FINISHED[reason])
