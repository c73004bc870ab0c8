"""Choosing for each class apart, under one budget: where a token more helps most.

With scores s and tokens t of each class's candidates, the choice that maximises ``Σ s − λ Σ t`` is best among all that
cost as much or less, for each λ ≥ 0. λ need only be tried where two candidates of a class change places.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from hqre_jax.bridge.baselines._interface import by_class, summarise
from hqre_jax.bridge.coordination import Outcome
from hqre_jax.bridge.tasks import Item

Candidate = TypeVar("Candidate")
Kind = tuple[str, str]
# Where more than so many exchange rates matter, these many, evenly spread, are tried.
_MOST = 64


@dataclass(frozen=True)
class Worth(Generic[Candidate]):
    """A candidate of a class: its mean score and tokens there."""

    candidate: Candidate
    score: float
    tokens: float


def worths(candidate: Candidate, outcomes: Sequence[Outcome]) -> dict[Kind, Worth[Candidate]]:
    """What plays of a candidate came to, class by class."""
    found = {}
    for kind, own in by_class(outcomes).items():
        score, tokens, _ = summarise(own)
        found[kind] = Worth(candidate, score, tokens)
    return found


def assignments(table: Mapping[Kind, Sequence[Worth[Candidate]]]) -> Iterator[dict[Kind, Candidate]]:
    """One candidate for each class, for every rate at which score is exchanged for tokens, without repetition.

    Args:
        table: The candidates of each class.

    Yields:
        The choices, dear ones first.
    """
    rates = {0.0}
    for own in table.values():
        for one in own:
            for other in own:
                if one.score > other.score and one.tokens > other.tokens:
                    rates.add((one.score - other.score) / (one.tokens - other.tokens))
    ordered = sorted(rates)
    # Between the places where candidates change, and beyond the last.
    tried = [0.0, *((low + high) / 2 for low, high in itertools.pairwise(ordered)), ordered[-1] * 2 + 1.0]
    if len(tried) > _MOST:
        tried = [tried[round(k * (len(tried) - 1) / (_MOST - 1))] for k in range(_MOST)]
    seen = list[dict[Kind, Candidate]]()
    for rate in tried:
        chosen = {
            kind: max(own, key=lambda one, rate=rate: (one.score - rate * one.tokens, -one.tokens)).candidate
            for kind, own in table.items()
        }
        if chosen not in seen:
            seen.append(chosen)
            yield chosen


def class_of(chosen: Mapping[Kind, Candidate], item: Item) -> Candidate:
    """What was chosen for an item's class; items of official data have that of their task's first class."""
    kind = (item.task, item.task_class)
    return chosen[kind] if kind in chosen else next(one for (task, _), one in chosen.items() if task == item.task)
