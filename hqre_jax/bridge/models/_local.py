"""A model whose weights are here."""

from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hqre_jax.bridge.models._chat import ChatTemplate
from hqre_jax.bridge.models._decoder import Decoder
from hqre_jax.bridge.models._generation import Row, generate
from hqre_jax.bridge.models._interface import (
    AbstractModel,
    Controls,
    Failure,
    FinishReason,
    Message,
    Reply,
    Request,
    Usage,
)
from hqre_jax.bridge.models._prompts import PromptReader
from hqre_jax.bridge.models._tokenizer import Tokenizer
from hqre_jax.core._types import InputError


class LocalModel(AbstractModel):
    """A decoder with its tokenizer and chat template.

    A text depends on the request, its seed and its sample index alone. What prompts begin with alike is read once, also
    across calls.

    Args:
        name: What the user calls it.
        identity: Name and digest of the weights.
        decoder: The weights.
        tokenizer: Of the weights.
        template: How a conversation is written for them.
        end_tokens: Tokens that end a reply.
        max_batch: Most texts generated at once.
        prompt_bytes: Most memory for prompts that are kept.
    """

    can_score: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        identity: str,
        decoder: Decoder,
        tokenizer: Tokenizer,
        template: ChatTemplate,
        end_tokens: frozenset[int],
        max_batch: int = 32,
        prompt_bytes: int = 2**29,
    ):
        if max_batch < 1:
            raise InputError("max_batch", f"{max_batch} should be at least 1")
        self.name = name
        self.identity = identity
        self.decoder = decoder
        self.tokenizer = tokenizer
        self.template = template
        self.end_tokens = end_tokens
        self.max_batch = max_batch
        self.prompt_bytes = prompt_bytes
        self.reader = PromptReader(decoder, end_tokens, prompt_bytes)

    def generate(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Reply to each request; a batch is the unit, a single call a batch of one."""
        for request in requests:
            check_controls(request.controls)
        rows = [self._row(request) for request in requests]
        generate(
            self.decoder,
            self.reader,
            [row for row in rows if isinstance(row, Row)],
            self.end_tokens,
            self.max_batch,
        )
        return [
            self._reply(request, row) if isinstance(row, Row) else row
            for request, row in zip(requests, rows, strict=True)
        ]

    def score(self, messages: Sequence[Message], continuations: Sequence[str]) -> Float[np.ndarray, " continuation"]:
        """Log-probability of each continuation after the conversation, in nats, summed over its tokens.

        Args:
            messages: The conversation.
            continuations: What the assistant might say next, or begin with: the end of its turn is not scored.

        Returns:
            One number per continuation; 0 for the empty one.

        Raises:
            InputError: For a conversation that the template refuses or that is too long.
        """
        prompt = self.template.encode(messages, self.tokenizer)
        rows = []
        for continuation in continuations:
            forced = self.tokenizer.encode_said(continuation)
            if len(prompt) + len(forced) > self.decoder.architecture.context_length:
                raise InputError("continuations", self._too_long(len(prompt) + len(forced)))
            rows.append(Row(prompt, max_tokens=len(forced), forced=forced))
        generate(self.decoder, self.reader, rows, self.end_tokens, self.max_batch)
        return np.array([sum(row.log_probs) for row in rows])

    def _row(self, request: Request) -> Row | Failure:
        try:
            prompt = self.template.encode(request.messages, self.tokenizer)
        except InputError as error:
            return Failure("model", str(error))
        return self.row(prompt, request.controls, request.sample)

    def row(self, prompt: Sequence[int], controls: Controls, sample: int) -> Row | Failure:
        """A text that is to be generated, or why the prompt has none.

        Args:
            prompt: Its tokens.
            controls: How it is sampled.
            sample: Index of the sample.

        Returns:
            The text to generate, or the failure that its request ends with.
        """
        room = self.decoder.architecture.context_length - len(prompt)
        if room < 1 or not prompt:
            return Failure("model", self._too_long(len(prompt)) if prompt else "the prompt has no tokens")

        def ends(tokens: list[int]) -> bool:
            text = self.tokenizer.decode(tokens)
            return any(stop in text for stop in controls.stop)

        return Row(
            prompt,
            max_tokens=min(controls.max_tokens, room),
            temperature=controls.temperature,
            top_p=controls.top_p,
            seed=(controls.seed, sample),
            ends=ends if controls.stop else None,
        )

    def _reply(self, request: Request, row: Row) -> Reply | Failure:
        if not np.isfinite(row.log_probs).all():
            return Failure("model", "its logits are not numbers: the weights are damaged, or too large for their type")
        ended = bool(row.tokens) and row.tokens[-1] in self.end_tokens
        text = self.tokenizer.decode(row.tokens[:-1] if ended else row.tokens)
        places = [place for stop in request.controls.stop if (place := text.find(stop)) >= 0]
        reason: FinishReason = "stop" if ended or places else "length"
        usage = Usage(prompt=len(row.prompt), cached=row.num_cached, completion=len(row.tokens))
        return Reply(text[: min(places, default=len(text))], reason, usage, tuple(row.log_probs))

    def _too_long(self, length: int) -> str:
        return f"{length} tokens do not fit into the {self.decoder.architecture.context_length} that the model reads"


def check_controls(controls: Controls) -> None:
    """Refuse controls that mean nothing, by an `InputError`."""
    if not (controls.temperature >= 0 and np.isfinite(controls.temperature)):
        raise InputError("temperature", f"{controls.temperature} should be a number from 0 upwards")
    if not 0 < controls.top_p <= 1:
        raise InputError("top_p", f"{controls.top_p} should lie in (0, 1]")
    if controls.max_tokens < 1:
        raise InputError("max_tokens", f"{controls.max_tokens} should be at least 1")
    if "" in controls.stop:
        raise InputError("stop", "an empty string would end every reply before it begins")


def to_dtype(dtype: str) -> jnp.dtype:
    """The number type that weights are held and products computed in."""
    if dtype not in ("float32", "bfloat16"):
        raise InputError("dtype", f"{dtype!r} should be float32 or bfloat16")
    return jnp.dtype(dtype)
