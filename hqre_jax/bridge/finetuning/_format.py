"""The format of a turn: parts of several types, each from the words that open it on.

The type of a decision is that of the part that the text *before* it has reached, so it belongs to the state, as a
temperature must: the words that open a part are still decided under the type of the part before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hqre_jax.bridge.finetuning._turns import KINDS


@dataclass(frozen=True)
class Part:
    """A part of a turn.

    Attributes:
        kind: Its type, one of `KINDS`.
        after: The words that open it; "" for the first part.
    """

    kind: str
    after: str = ""


def openings(text: str, parts: Sequence[Part]) -> list[int]:
    """Where the parts of a text begin, behind the words that open them; as many as the text has reached."""
    found, start = [0], 0
    for part in parts[1:]:
        place = text.find(part.after, start)
        if place < 0:
            break
        start = place + len(part.after)
        found.append(start)
    return found


def kinds_of(tokens: Sequence[int], parts: Sequence[Part], decode: Callable[[Sequence[int]], str]) -> list[int]:
    """Type of the decision for each token of a reply, a place in `KINDS`."""
    kinds, reached = [], 1
    for place in range(len(tokens)):
        if reached < len(parts):
            reached = len(openings(decode(tokens[:place]), parts))
        kinds.append(KINDS.index(parts[reached - 1].kind))
    return kinds


def message_of(text: str, parts: Sequence[Part]) -> str:
    """What other roles may read of a turn: its message parts; all of it where the format has none."""
    if all(part.kind != "message" for part in parts):
        return text.strip()
    starts = openings(text, parts)
    said = []
    for k, start in enumerate(starts):
        if parts[k].kind == "message":
            ends = starts[k + 1] - len(parts[k + 1].after) if k + 1 < len(starts) else len(text)
            said.append(text[start:ends].strip())
    return " ".join(part for part in said if part)
