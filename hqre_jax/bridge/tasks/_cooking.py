"""A kitchen for one or two cooks: the rules of Overcooked at the level of sub-tasks, and shortest ways by search."""

import itertools
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

ACTIONS = ("serve", "onion", "dish", "wait")


class Kitchen(NamedTuple):
    """State of a kitchen.

    Attributes:
        missing: Onions that the pot still wants.
        cooking: Rounds that the soup still cooks, once the pot is full.
        dishes: Who has a dish in hand.
        served: Whether the soup is served.
    """

    missing: int
    cooking: int
    dishes: tuple[bool, ...]
    served: bool = False


def possible(kitchen: Kitchen, cook: int, action: str) -> bool:
    """Whether a cook's sub-task would do anything; a cook who fetches an onion lays the dish aside."""
    return {
        "onion": kitchen.missing > 0,
        "dish": not kitchen.dishes[cook],
        "serve": kitchen.dishes[cook] and not kitchen.missing and not kitchen.cooking,
        "wait": True,
    }[action]


def after_round(kitchen: Kitchen, actions: tuple[str, ...]) -> Kitchen:
    """The kitchen after one round; cooks who choose the same (other than waiting) get in each other's way.

    Args:
        kitchen: Before.
        actions: One of `ACTIONS` for each cook. What cannot be done is waiting.

    Returns:
        After.
    """
    missing, dishes, served = kitchen.missing, list(kitchen.dishes), kitchen.served
    for cook, action in enumerate(actions):
        if actions.count(action) > 1 or not possible(kitchen, cook, action):
            continue
        missing -= action == "onion"
        dishes[cook] = action != "onion" and (dishes[cook] or action == "dish")
        served |= action == "serve"
    # The soup begins to cook in the round after the last onion.
    cooking = kitchen.cooking - (not kitchen.missing and kitchen.cooking > 0)
    return Kitchen(missing, cooking, tuple(dishes), served)


def partner_action(kitchen: Kitchen, role: str) -> str:
    """What a scripted partner (the second cook) does who has said that it sees to onions, or to the dish."""
    if role == "onions":
        return "onion" if kitchen.missing else "wait"
    if not kitchen.dishes[1]:
        return "dish"
    return "wait" if kitchen.missing or kitchen.cooking else "serve"


def choices(kitchen: Kitchen, role: str | None) -> Iterator[tuple[str, ...]]:
    """What can be chosen in a round: everybody freely, or the first cook beside a scripted partner."""
    for actions in itertools.product(ACTIONS, repeat=1 if role else len(kitchen.dishes)):
        yield (*actions, partner_action(kitchen, role)) if role else actions


@lru_cache(maxsize=10_000)
def right_actions(kitchen: Kitchen, role: str | None) -> frozenset[str]:
    """What the first cook rightly does now, alone or beside a scripted partner.

    It is possible, in nobody's way, and on a shortest way to the soup; and it is not waiting where something else is
    right and the soup would never be served without the first cook.
    """
    fewest, right = best_round(kitchen, role)[0], set[str]()
    for actions in choices(kitchen, role):
        if possible(kitchen, 0, actions[0]) and (actions[0] == "wait" or actions.count(actions[0]) == 1):
            after = after_round(kitchen, actions)
            if after.served or best_round(after, role)[0] < fewest:
                right.add(actions[0])
    return frozenset(right - {"wait"} if right != {"wait"} and not _served_without(kitchen, role) else right)


def _served_without(kitchen: Kitchen, role: str | None) -> bool:
    """Whether a scripted partner brings the soup to the table alone, the first cook waiting for ever."""
    while role and not kitchen.served:
        after = after_round(kitchen, ("wait", partner_action(kitchen, role)))
        if after == kitchen:
            return False
        kitchen = after
    return kitchen.served


@lru_cache(maxsize=10_000)
def best_round(kitchen: Kitchen, role: str | None) -> tuple[int, tuple[str, ...]]:
    """Fewest rounds until the soup is served, and what to choose now.

    Args:
        kitchen: The kitchen, soup not yet served.
        role: Of the scripted partner; None where all cooks choose freely.

    Returns:
        Number of rounds, and the actions of the first of them.
    """
    queue, first = deque([kitchen]), dict[Kitchen, tuple[int, tuple[str, ...]]]({kitchen: (0, ())})
    while queue:
        here = queue.popleft()
        rounds, began = first[here]
        if here.served:
            return rounds, began
        useful = (c for c in choices(here, role) if all(possible(here, cook, a) for cook, a in enumerate(c)))
        for actions in useful:
            there = after_round(here, actions)
            if there not in first:
                first[there] = (rounds + 1, began or actions)
                queue.append(there)
    raise AssertionError("every kitchen can serve its soup: onions can always be fetched, then a dish taken")
