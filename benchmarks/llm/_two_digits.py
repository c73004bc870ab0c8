"""Log-probabilities to two digits, so that a recording of everything stays small enough to be shipped."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from hqre_jax.bridge.models import AbstractModel, Failure, Message, Reply, Request

DIGITS = 2


class TwoDigits(AbstractModel):
    """A model whose log-probabilities are rounded before anybody sees them: they rank replies, and do nothing else.

    They are rounded before they are recorded, not when the recording is shipped: what is computed from the recording is
    what was computed in the first place.

    Args:
        model: The model.
    """

    def __init__(self, model: AbstractModel):
        self.model, self.name, self.identity = model, model.name, model.identity

    def generate(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """As the model says."""
        return [_rounded(result) for result in self.model.generate(requests)]

    def as_completed(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply | Failure]]:
        """As the model says, as it comes."""
        yield from ((place, _rounded(result)) for place, result in self.model.as_completed(requests))

    def most_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """As the model says."""
        return self.model.most_prompt_tokens(messages)


def _rounded(result: Reply | Failure) -> Reply | Failure:
    if isinstance(result, Failure) or result.log_probs is None:
        return result
    return replace(result, log_probs=tuple(round(one, DIGITS) + 0.0 for one in result.log_probs))
