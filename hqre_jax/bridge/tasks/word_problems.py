"""Word problems of one to four steps, after GSM8K."""

import random
import re
from pathlib import Path

from hqre_jax.bridge.tasks._files import field, json_lines
from hqre_jax.bridge.tasks._generated import AbstractGeneratedTask, Draft
from hqre_jax.bridge.tasks._interface import Item, Judgement
from hqre_jax.bridge.tasks._judging import judge_number
from hqre_jax.bridge.tasks._replies import find_number
from hqre_jax.core._types import InputError

_NAMES = (
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Emma",
    "Felix",
    "Grace",
    "Hugo",
    "Ida",
    "Jack",
    "Kate",
    "Leo",
    "Mia",
    "Noah",
)
_THINGS = (
    "apples",
    "books",
    "pens",
    "cards",
    "shells",
    "stamps",
    "coins",
    "marbles",
    "cookies",
    "balloons",
    "stickers",
)
_MOST = 60


class WordProblems(AbstractGeneratedTask):
    """Somebody has things, gets, gives away, doubles and shares them; how many are left?"""

    name = "word_problems"
    domain = "reasoning"
    after = "GSM8K"
    verifier = "equal as exact rational numbers"
    official = 'JSON Lines, a problem a line: {"question": …, "answer": "… #### number"}'
    classes = ("one_step", "two_steps", "three_steps", "four_steps")

    def draw(self, task_class: str, rng: random.Random) -> Draft:
        """See `AbstractGeneratedTask`."""
        return story(rng, self.classes.index(task_class) + 1)

    def judge(self, item: Item, reply: str) -> Judgement:
        """See `AbstractTask`."""
        assert item.answer is not None
        return judge_number(reply, item.answer)

    def load(self, path: str | Path) -> list[Item]:
        """See `AbstractTask`."""
        items = []
        for where, row in json_lines(path):
            question, solution = field(row, "question", where), field(row, "answer", where)
            steps, mark, last = solution.rpartition("####")
            answer = find_number(last) if mark else None
            if answer is None:
                raise InputError(where, "'answer' does not end in '#### number'")
            # The file marks its sums for calculators, <<2+3=5>>; people do not write so.
            worked = f"{re.sub(r'<<[^<>]*>>', '', steps).strip()} The answer is {answer}."
            items.append(Item(self.name, "official", "test", len(items), question, str(answer), worked))
        return items


def story(rng: random.Random, num_steps: int) -> Draft:
    """A word problem.

    Args:
        rng: Source of randomness.
        num_steps: Number of operations.

    Returns:
        The draft; its key is the numbers and operations, whoever owns whatever.
    """
    name, other = rng.sample(_NAMES, 2)
    things = rng.choice(_THINGS)
    have = rng.randint(2, 12)
    key: list[object] = [have]
    sentences, steps = [f"{name} has {have} {things}."], []
    for _ in range(num_steps):
        operations = ["gets", "gets", "doubles"] if have < 3 else ["gets", "gives", "doubles", "shares"]
        feasible = [o for o in operations if not (have % 2 if o == "shares" else o == "doubles" and 2 * have > _MOST)]
        operation = rng.choice(feasible)
        amount = rng.randint(1, 9 if operation == "gets" else min(9, have - 1)) if operation[0] == "g" else 2
        key.append((operation, amount))
        if operation == "gets":
            sentences.append(f"{other} gives {name} {amount} more {things}.")
            steps.append(f"{have} + {amount} = {have + amount}.")
            have += amount
        elif operation == "gives":
            sentences.append(f"{name} gives {amount} {things} to {other}.")
            steps.append(f"{have} - {amount} = {have - amount}.")
            have -= amount
        elif operation == "doubles":
            sentences.append(f"Then {name} doubles the number of {things}.")
            steps.append(f"{have} * 2 = {have * 2}.")
            have *= 2
        else:
            sentences.append(f"{name} gives half of the {things} to {other}.")
            steps.append(f"{have} / 2 = {have // 2}.")
            have //= 2
    question = f"{' '.join(sentences)} How many {things} does {name} have now?"
    return Draft(key, question, f"{have}", f"{' '.join(steps)} The answer is {have}.")
