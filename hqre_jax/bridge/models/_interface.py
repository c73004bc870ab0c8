"""What every language model is to the bridge: requests in, replies out, in batches.

A model never raises for one call that failed: it returns a `Failure` in its place, which is a *missing observation*,
never an empty answer and never a payoff of 0.
"""

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "refusal"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: Who speaks: "system", "user" or "assistant".
        content: What is said, verbatim; nothing in it acts as a template's special token.

    Example:
        >>> from hqre_jax.bridge.models import Message
        >>> Message("user", "What is 2 + 3?").role
        'user'
    """

    role: Role
    content: str


@dataclass(frozen=True)
class Controls:
    """How a reply is sampled.

    Attributes:
        temperature: Of sampling, dimensionless; 0 takes the likeliest token.
        top_p: Smallest probability mass to sample from, in (0, 1].
        max_tokens: Most tokens of the reply.
        stop: Strings that end the reply; they are not part of it.
        seed: Of sampling. With it and `Request.sample` a text is determined, whatever shares its batch.

    Example:
        >>> from hqre_jax.bridge.models import Controls
        >>> Controls(temperature=0.7, max_tokens=64)
        Controls(temperature=0.7, top_p=1.0, max_tokens=64, stop=(), seed=0)
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Request:
    """One call: a conversation, how to go on, and which of several samples this is.

    Attributes:
        messages: The conversation so far.
        controls: How the reply is sampled.
        sample: Index of the sample: equal requests with different indices are independent draws.

    Example:
        >>> from hqre_jax.bridge.models import Controls, Message, Request
        >>> conversation = Message("system", "Be short."), Message("user", "What is 2 + 3?")
        >>> request = Request(conversation, Controls(temperature=1.0), sample=7)
        >>> request.sample, request.controls.max_tokens
        (7, 256)
    """

    messages: tuple[Message, ...]
    controls: Controls = field(default_factory=Controls)
    sample: int = 0


@dataclass(frozen=True)
class Usage:
    """Raw token counts of one call; what they cost is computed when it is reported.

    Attributes:
        prompt: Tokens of the prompt, cached ones included.
        cached: Tokens of the prompt that were not computed again.
        completion: Tokens generated.

    Example:
        >>> from hqre_jax.bridge.models import Usage
        >>> usage = Usage(prompt=120, cached=100, completion=8)
        >>> usage.prompt - usage.cached, usage.completion
        (20, 8)
    """

    prompt: int
    cached: int
    completion: int


@dataclass(frozen=True)
class Reply:
    """What a model said.

    Attributes:
        text: The reply, without the stop string.
        finish_reason: "stop", "length" (cut off at `Controls.max_tokens`) or "refusal".
        usage: Token counts; None where the model does not say.
        log_probs: Log-probability of each generated token under the model at temperature 1; None where unknown.

    Example:
        >>> from hqre_jax.bridge.models import Message, Request, from_python
        >>> model = from_python(lambda request: "five", "calculator")
        >>> reply = model.generate([Request((Message("user", "What is 2 + 3?"),))])[0]
        >>> reply.text, reply.finish_reason
        ('five', 'stop')
    """

    text: str
    finish_reason: FinishReason
    usage: Usage | None
    log_probs: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Failure:
    """A call that failed for good: a missing observation.

    Attributes:
        kind: One word: "timeout", "rate_limit", "server", "connection", "malformed", "budget", "missing" or "model".
        detail: What happened, in one line and without secrets.
        usage: What the call cost all the same; None where nothing is known to be charged.

    Example:
        >>> from hqre_jax.bridge.models import Message, Request, from_python
        >>> broken = from_python(lambda request: 1 / 0, "broken")
        >>> broken.generate([Request((Message("user", "hello"),))])
        [Failure(kind='model', detail='ZeroDivisionError: division by zero', usage=None)]
    """

    kind: str
    detail: str
    usage: Usage | None = None


class AbstractModel(abc.ABC):
    """A language model: batches of requests in, replies or failures out, in the same order.

    Attributes:
        name: What the user calls it, for instance "smollm2-135m" or "openai:gpt-4o-mini".
        identity: What its texts depend on beyond the request (name, digest of the weights, endpoint): part of a call's
            key in the store.
        can_score: Whether `score` works.

    Example:
        >>> from hqre_jax.bridge.models import AbstractModel, Message, Reply, Request
        >>> class Parrot(AbstractModel):
        ...     name = identity = "parrot"
        ...
        ...     def generate(self, requests):
        ...         return [Reply(request.messages[-1].content, "stop", None) for request in requests]
        >>> Parrot().generate([Request((Message("user", "hello"),))])[0].text
        'hello'
    """

    name: str
    identity: str
    can_score: ClassVar[bool] = False

    @abc.abstractmethod
    def generate(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Reply to each request; a batch is the unit, a single call a batch of one.

        Args:
            requests: The calls.

        Returns:
            A reply or a failure for each, in the same order.
        """

    def as_completed(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply | Failure]]:
        """The results of a batch as they come, each with its place in the batch.

        What has come can be kept while the rest is still to come. A model whose batch ends as one need not override it.

        Args:
            requests: The calls.

        Yields:
            Place and result of each, once.
        """
        yield from enumerate(self.generate(requests))

    def most_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """An upper bound of the prompt's tokens, for budgets that must hold whatever is sent.

        A token of a byte-level vocabulary covers a byte or more; templates add headers, and some a system message.

        Args:
            messages: The conversation.

        Returns:
            The bound.
        """
        said = sum(len(message.content.encode("utf-8", "surrogatepass")) for message in messages)
        return said + 16 * len(messages) + 64

    def score(self, messages: Sequence[Message], continuations: Sequence[str]) -> Float[np.ndarray, " continuation"]:
        """Log-probability of each continuation after the conversation, in nats, summed over its tokens.

        Args:
            messages: The conversation.
            continuations: What the assistant might say next, or begin with.

        Returns:
            One number per continuation.

        Raises:
            NotImplementedError: The model cannot score, see `can_score`.
        """
        raise NotImplementedError(f"{self.name} cannot score given texts")
