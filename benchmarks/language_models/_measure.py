"""The numbers of a cell of the table, from its recorded replies."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.language_models._cells import Cell
from benchmarks.language_models._labels import chance_level, label, options
from hqre_jax.bridge.models import AbstractModel, Reply
from hqre_jax.bridge.tasks import Item

Word = Literal["constant", "floor", "chance", ""]

_QUANTILE = 1.959963984540054  # of the normal distribution at 97.5 %
_CONSTANT = 0.9
_FLOOR = 0.1
_ITEMS_PER_LABEL = 10


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        task: Name of the task.
        task_class: Its class.
        control: Name of the way of answering.
        items: Number of questions, all worded differently.
        distinct: Number of different worked solutions among them. Where it is far smaller, questions are wordings of
            the same few sums, and the interval, which takes them as independent, is too narrow.
        accuracy: Mean score.
        interval: Wilson's interval of the accuracy at 95 %, over questions as they are worded.
        balanced_accuracy: Mean over the right labels of the accuracy on the items that have this right label; None
            where answers form no classes: several labels may be right, or there are fewer than ten items to a right
            label on average.
        prediction_entropy: Shannon entropy in nats of the labels that were answered, "none" among them.
        right_entropy: The same of the right labels; None where several may be right.
        answered: Share of replies in which the verifier found an answer.
        cut_off: Share of replies that reached their most tokens.
        chance: What is reached without reading the questions, `chance_level`.
        prompt_tokens: Mean number of tokens of the prompt.
        completion_tokens: Mean number of tokens generated.
        word: `judge_cell`.
    """

    task: str
    task_class: str
    control: str
    items: int
    distinct: int
    accuracy: float
    interval: tuple[float, float]
    balanced_accuracy: float | None
    prediction_entropy: float
    right_entropy: float | None
    answered: float
    cut_off: float
    chance: float
    prompt_tokens: float
    completion_tokens: float
    word: Word


def measure(cell: Cell, model: AbstractModel) -> Row | None:
    """Judge the recorded replies of a cell.

    Args:
        cell: The cell.
        model: The recording.

    Returns:
        Its line; None where a reply is missing.

    Raises:
        RuntimeError: A recorded reply has no token counts.
    """
    items, replies = cell.items(), [result for result in model.generate(cell.requests()) if isinstance(result, Reply)]
    if len(replies) < len(items):
        return None
    usages = [reply.usage for reply in replies if reply.usage is not None]
    if len(usages) < len(items):
        raise RuntimeError(f"{cell.name}: {len(items) - len(usages)} recorded replies have no token counts")
    judged = [cell.task.judge(item, reply.text) for item, reply in zip(items, replies, strict=True)]
    scores = [judgement.score for judgement in judged]
    said = [label(item, judgement.answer) for item, judgement in zip(items, judged, strict=True)]
    right = right_labels(cell, items)
    accuracy, interval = sum(scores) / len(items), wilson(sum(scores), len(items))
    chance = chance_level(cell.task, items)
    return Row(
        task=cell.task.name,
        task_class=cell.task_class,
        control=cell.control,
        items=len(items),
        distinct=len({item.solution for item in items}),
        accuracy=accuracy,
        interval=interval,
        balanced_accuracy=None if right is None else balanced_accuracy(scores, right),
        prediction_entropy=entropy(said),
        right_entropy=None if right is None else entropy(right),
        answered=sum(name is not None for name in said) / len(items),
        cut_off=sum(reply.finish_reason == "length" for reply in replies) / len(items),
        chance=chance,
        prompt_tokens=sum(usage.prompt for usage in usages) / len(items),
        completion_tokens=sum(usage.completion for usage in usages) / len(items),
        word=judge_cell(interval, chance, said, scores),
    )


def wilson(successes: float, trials: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion at 95 %.

    Args:
        successes: Number of successes; scores between 0 and 1 count as parts of one.
        trials: Number of trials, at least 1.

    Returns:
        Lower and upper end, within [0, 1].

    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22, 209-212.
    """
    share, z = successes / trials, _QUANTILE
    middle = share + z**2 / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    # At the ends of [0, 1] the interval ends there exactly; rounding would say otherwise.
    lower = 0.0 if successes == 0 else (middle - spread) / scale
    upper = 1.0 if successes == trials else (middle + spread) / scale
    return lower, upper


def entropy(labels: Sequence[str | None]) -> float:
    """Shannon entropy of the empirical distribution of labels, in nats; None is a label of its own."""
    shares = (count / len(labels) for count in sorted(Counter(labels).values()))
    return sum(-share * math.log(share) for share in shares)


def right_labels(cell: Cell, items: Sequence[Item]) -> list[str] | None:
    """The one right label of every item; None where an item has several, or none that is known."""
    right = [label(item, item.answer) for item in items]
    for item in items:
        several = [option for option in options(item) if cell.task.judge(item, f"The answer is {option}.").score == 1]
        if item.answer is None or len(several) > 1:
            return None
    return [name for name in right if name is not None]


def balanced_accuracy(scores: Sequence[float], right: Sequence[str]) -> float | None:
    """Mean over the right labels of the mean score of their items; None with fewer than ten items to a label.

    Args:
        scores: Score of each item.
        right: Its right label.
    """
    names = sorted(set(right))
    if len(right) < _ITEMS_PER_LABEL * len(names):
        return None
    own = [[score for score, name in zip(scores, right, strict=True) if name == wanted] for wanted in names]
    return sum(sum(part) / len(part) for part in own) / len(names)


def judge_cell(
    interval: tuple[float, float], chance: float, said: Sequence[str | None], scores: Sequence[float]
) -> Word:
    """What is to be said of a cell in one word, the first that applies.

    * "constant": at least nine replies in ten come down to the same label, and the accuracy is below nine in ten: it is
      the model that is constant, not the question. Replies without an answer have no label.
    * "floor": the interval ends at 0.1 or below.
    * "chance": the interval begins at the chance level or below: it is not shown that the questions were of any use.

    Args:
        interval: Of the accuracy.
        chance: `chance_level`.
        said: Labels answered.
        scores: Their scores.

    Returns:
        The word; "" where none applies.
    """
    found = Counter(name for name in said if name is not None)
    most = max(found.values(), default=0)
    if most >= _CONSTANT * len(said) and sum(scores) < _CONSTANT * len(scores):
        return "constant"
    if interval[1] <= _FLOOR:
        return "floor"
    return "chance" if interval[0] <= chance else ""
