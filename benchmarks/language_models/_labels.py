"""What an answer is called when answers of different questions are compared."""

import itertools
from collections.abc import Callable, Mapping, Sequence

from hqre_jax.bridge.tasks import AbstractTask, Item


def _seats(item: Item) -> list[str]:
    return [", ".join(order) for order in itertools.permutations(item.data["names"])]


def _range(item: Item) -> list[str]:
    return [str(number) for number in range(item.data["low"], item.data["high"] + 1)]


# The options that a question lists, in its order; other tasks have none, their answers are numbers.
_OPTIONS: Mapping[str, Callable[[Item], Sequence[str]]] = {
    "zebra": lambda item: item.data["choices"],
    "mystery": lambda item: item.data["names"],
    "blocksworld": lambda item: [*item.data["names"], "table"],
    "logic": _seats,
    "guessing": _range,
}


def options(item: Item) -> Sequence[str]:
    """What a question lets one choose from, in its own order; empty where it lists nothing."""
    return _OPTIONS[item.task](item) if item.task in _OPTIONS else ()


def label(item: Item, answer: str | None) -> str | None:
    """The label of an answer: its place among the item's options, else the answer itself.

    Who always takes what is named last gives a different name each time, and the same label.

    Args:
        item: The question.
        answer: `Judgement.answer`; None where no answer was found.

    Returns:
        The label; None where there is no answer.
    """
    places = {option: f"option {place}" for place, option in enumerate(options(item), 1)}
    return None if answer is None else places.get(answer, answer)


def chance_level(task: AbstractTask, items: Sequence[Item]) -> float:
    """What is reached without reading the questions, in [0, 1].

    Args:
        task: The task.
        items: Its questions.

    Returns:
        The higher of two: the share of the most frequent right label, and the mean score of the options of each item,
        that is of a uniform guess.
    """
    right = [label(item, item.answer) for item in items]
    constant = max(right.count(name) for name in set(right)) / len(items)
    guesses = [[task.judge(item, f"The answer is {option}.").score for option in options(item)] for item in items]
    uniform = sum(sum(scores) / len(scores) for scores in guesses if scores) / len(items)
    return max(constant, uniform)
