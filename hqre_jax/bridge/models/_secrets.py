"""Keys come from the environment and go to the endpoint: they are cut out of all that comes back."""

import os
from dataclasses import dataclass, replace
from typing import TypeVar

from hqre_jax.bridge.models._interface import Failure, Reply

_Result = TypeVar("_Result")
# Variables that hold something to keep; the client sends one or the other.
_VARIABLES = ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY")
_SHOWN = "[key]"
# Shorter ones ("EMPTY", "none") are words for a server that wants no key: cutting them out would change what is said.
_SHORTEST = 8
_LONGEST_LINE = 300


@dataclass(frozen=True, repr=False)
class Secrets:
    """Words that nobody is to read.

    Attributes:
        words: The secrets, longest first.
    """

    words: tuple[str, ...]

    @classmethod
    def of_environment(cls) -> "Secrets":
        """The keys that are set now."""
        values = (os.environ.get(name, "").strip() for name in _VARIABLES)
        found = {value for value in values if len(value) >= _SHORTEST}
        return cls(tuple(sorted(found, key=len, reverse=True)))

    def out_of(self, text: str) -> str:
        """The text without them."""
        for word in self.words:
            text = text.replace(word, _SHOWN)
        return text

    def line(self, text: str) -> str:
        """One line of the text, not too long, without them."""
        line = " ".join(self.out_of(text).split())
        return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} …"

    def out_of_result(self, result: _Result) -> _Result:
        """A result without them: what a reply says, and what a failure tells."""
        if isinstance(result, Reply):
            return replace(result, text=self.out_of(result.text))
        return replace(result, detail=self.line(result.detail)) if isinstance(result, Failure) else result
