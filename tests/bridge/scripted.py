"""Scripted models: cheap, deterministic, and they keep book of what they were asked."""

from collections.abc import Callable, Sequence

from hqre_jax.bridge.models import AbstractModel, Controls, Failure, Message, Reply, Request, Usage
from hqre_jax.bridge.store import Store, StoredModel


class Scripted(AbstractModel):
    """Says what a function says; every request it is asked is in `asked`."""

    def __init__(self, says: Callable[[Request], str | Reply | Failure], name: str = "scripted", identity: str = "s1"):
        self.name, self.identity, self._says = name, identity, says
        self.asked: list[Request] = []

    def generate(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        self.asked += requests
        answers = [self._says(request) for request in requests]
        return [Reply(a, "stop", Usage(10, 2, 5)) if isinstance(a, str) else a for a in answers]


def request(text: str, sample: int = 0, **controls) -> Request:
    """A question."""
    return Request((Message("user", text),), Controls(**controls), sample)


def echo() -> Scripted:
    """A model that repeats the last message."""
    return Scripted(lambda asked: f"re: {asked.messages[-1].content}")


QUESTIONS = [request(f"question {k}") for k in range(20)]


def filled(path, model: AbstractModel | None = None, questions: Sequence[Request] = QUESTIONS) -> list[Reply | Failure]:
    """Ask questions by way of a store; what is in it then."""
    with Store(path) as store:
        return StoredModel(model or echo(), store, run="first").generate(questions)


def joined(text: str) -> str:
    """The text as JSON spells it: two surrogates that make a pair are the character they stand for."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
