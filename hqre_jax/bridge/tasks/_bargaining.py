"""Dividing things between two who value them differently: offers, and a partner who concedes."""

import itertools
from collections.abc import Sequence
from functools import lru_cache

THINGS = ("book", "hat", "ball")
# Least value at which the scripted partner accepts, at its first, second, … turn. Everything is worth 10 to it.
CONCESSIONS = (7, 5, 3)

Bundle = tuple[int, ...]


def value(bundle: Sequence[int], values: Sequence[int]) -> int:
    """What a bundle is worth to somebody."""
    return sum(count * each for count, each in zip(bundle, values, strict=True))


def rest(pool: Sequence[int], bundle: Sequence[int]) -> Bundle:
    """What is left of the pool."""
    return tuple(all_ - taken for all_, taken in zip(pool, bundle, strict=True))


@lru_cache(maxsize=2048)
def bundles(pool: Bundle) -> tuple[Bundle, ...]:
    """Everything that somebody could take."""
    return tuple(itertools.product(*(range(count + 1) for count in pool)))


def divisions(pool: Bundle, mine: Sequence[int], hers: Sequence[int]) -> list[tuple[Bundle, int, int]]:
    """Every bundle that I could take, what it is worth to me, and what the rest is worth to her."""
    (a, b, c), (x, y, z), all_hers = mine, hers, value(pool, hers)
    return [
        (bundle, a * i + b * j + c * k, all_hers - x * i - y * j - z * k)
        for bundle in bundles(pool)
        for i, j, k in [bundle]
    ]


def partner_offer(pool: Bundle, mine: Sequence[int], hers: Sequence[int], least: int) -> Bundle:
    """What the scripted partner leaves to me: as little less for her as she must, as much for me as that allows."""
    fitting = [division for division in divisions(pool, mine, hers) if division[2] >= least]
    return min(fitting, key=lambda division: (division[2], -division[1], division[0]))[0]


def best_deal(pool: Bundle, mine: Sequence[int], hers: Sequence[int], least: int) -> Bundle:
    """The best bundle for me that leaves her at least so much."""
    fitting = [division for division in divisions(pool, mine, hers) if division[2] >= least]
    return max(fitting, key=lambda division: division[1:])[0]


def is_efficient(pool: Bundle, bundle: Bundle, mine: Sequence[int], hers: Sequence[int]) -> bool:
    """Whether no other division is better for one and no worse for the other (Pareto)."""
    here = value(bundle, mine), value(rest(pool, bundle), hers)
    others = [(a, b) for _, a, b in divisions(pool, mine, hers)]
    return not any(a >= here[0] and b >= here[1] and (a, b) != here for a, b in others)
