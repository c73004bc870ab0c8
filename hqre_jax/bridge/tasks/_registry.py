"""Which tasks there are."""

from typing import Any

from hqre_jax.bridge.tasks._interface import AbstractTask
from hqre_jax.bridge.tasks.arithmetic import Arithmetic
from hqre_jax.bridge.tasks.blocksworld import Blocksworld
from hqre_jax.bridge.tasks.cooking import Cooking
from hqre_jax.bridge.tasks.guessing import Guessing
from hqre_jax.bridge.tasks.hanabi import Hanabi
from hqre_jax.bridge.tasks.itinerary import Itinerary
from hqre_jax.bridge.tasks.logic import Logic
from hqre_jax.bridge.tasks.mystery import Mystery
from hqre_jax.bridge.tasks.negotiation import Negotiation
from hqre_jax.bridge.tasks.word_problems import WordProblems
from hqre_jax.bridge.tasks.zebra import Zebra

TASKS: tuple[type[AbstractTask], ...] = (
    WordProblems,
    Arithmetic,
    Zebra,
    Logic,
    Blocksworld,
    Itinerary,
    Guessing,
    Mystery,
    Cooking,
    Hanabi,
    Negotiation,
)


def all_tasks() -> dict[str, AbstractTask]:
    """Every task by its name, in the order of the domains.

    Returns:
        The tasks, made anew.

    Example:
        >>> from hqre_jax.bridge.tasks import all_tasks
        >>> list(all_tasks())[:3]
        ['word_problems', 'arithmetic', 'zebra']
    """
    return {task.name: task() for task in TASKS}


def task_listing() -> list[dict[str, Any]]:
    """What ``hqre llm tasks --format json`` prints.

    Returns:
        For each task its name, domain, benchmark, verifier, official data file, classes and numbers of items.

    Example:
        >>> from hqre_jax.bridge.tasks import task_listing
        >>> first = task_listing()[0]
        >>> first["name"], first["domain"], first["classes"]
        ('word_problems', 'reasoning', ['one_step', 'two_steps', 'three_steps', 'four_steps'])
    """
    return [
        {
            "name": task.name,
            "domain": task.domain,
            "after": task.after,
            "verifier": task.verifier,
            "official": task.official,
            "classes": list(task.classes),
            # Of all classes together.
            "items": {split: count * len(task.classes) for split, count in task.num_items.items()},
        }
        for task in TASKS
    ]
