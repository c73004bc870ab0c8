"""Any Python object or callable as a model: for agent frameworks, scripted players and tests."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from hqre_jax.bridge.models._concurrent import AbstractConcurrentModel
from hqre_jax.bridge.models._interface import AbstractModel, Failure, Reply, Request
from hqre_jax.bridge.models._secrets import Secrets
from hqre_jax.core._types import InputError


def from_python(thing: Any, name: str = "python", identity: str | None = None, concurrency: int = 16) -> AbstractModel:
    """A model out of a Python object.

    Args:
        thing: An `AbstractModel`, which is returned as it is; an object with a method ``generate`` that takes a list
            of requests and returns as many answers; or a function or coroutine function of one `Request`. An answer is
            a `Reply`, a `Failure`, or the text alone.
        name: What it is called.
        identity: What its texts depend on beyond the request: change it when the object changes, or a store would
            answer with what the object said before. The name by default.
        concurrency: Most coroutines under way at once.

    Returns:
        The model. What the object raises is a `Failure` of kind "model".

    Raises:
        InputError: It is neither.

    Example:
        >>> from hqre_jax.bridge.models import Message, Request, from_python
        >>> model = from_python(lambda request: request.messages[-1].content.upper(), "shouting")
        >>> model.generate([Request((Message("user", "hello"),))])[0].text
        'HELLO'
    """
    if isinstance(thing, AbstractModel):
        return thing
    if callable(getattr(thing, "generate", None)):
        return _ObjectModel(thing, name, identity or name)
    if callable(thing):
        return _CallableModel(thing, name, identity or name, concurrency)
    raise InputError("model", f"{type(thing).__name__} has no method `generate` and is no function of a request")


class _CallableModel(AbstractConcurrentModel):
    def __init__(self, function: Callable[[Request], Any], name: str, identity: str, concurrency: int):
        self.name, self.identity, self.concurrency, self._function = name, identity, concurrency, function

    async def reply(self, session: None, request: Request) -> Reply | Failure:
        try:
            answer = self._function(request)
            return _result(await answer if inspect.isawaitable(answer) else answer)
        except Exception as error:
            return _raised(error)


class _ObjectModel(AbstractModel):
    def __init__(self, thing: Any, name: str, identity: str):
        self.name, self.identity, self._thing = name, identity, thing

    def generate(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        try:
            results = [_result(answer) for answer in self._thing.generate(list(requests))]
        except Exception as error:
            return [_raised(error)] * len(requests)
        if len(results) != len(requests):
            wrong = Failure("malformed", f"{len(results)} answers came to {len(requests)} requests")
            return [wrong] * len(requests)
        return results


def _result(answer: Any) -> Reply | Failure:
    if isinstance(answer, Reply | Failure):
        return answer
    if isinstance(answer, str):
        return Reply(answer, "stop", None)
    return Failure("malformed", f"an answer is a text, a Reply or a Failure, not a {type(answer).__name__}")


def _raised(error: Exception) -> Failure:
    return Failure("model", Secrets.of_environment().line(f"{type(error).__name__}: {error}"))
