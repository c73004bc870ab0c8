"""Arithmetic and small algebra, after MATH."""

import math
import random
import re
from collections.abc import Sequence
from pathlib import Path

from hqre_jax.bridge.tasks._files import field, json_lines
from hqre_jax.bridge.tasks._generated import AbstractGeneratedTask, Draft
from hqre_jax.bridge.tasks._interface import Item, Judgement
from hqre_jax.bridge.tasks._judging import judge_formula, judge_number
from hqre_jax.bridge.tasks._replies import stated_answer
from hqre_jax.core._types import InputError

_SUMS = (
    "What is {a} + {b}?",
    "What is the sum of {a} and {b}?",
    "Add {a} and {b}.",
    "Compute {a} + {b}.",
    "How much is {a} plus {b}?",
    "{a} + {b} = ?",
    "Find the sum {a} + {b}.",
    "What do you get when you add {b} to {a}?",
    "Work out {a} plus {b}.",
    "What number is {a} + {b}?",
)
_PRODUCTS = (
    "What is {a} * {b}?",
    "What is the product of {a} and {b}?",
    "Multiply {a} and {b}.",
    "Compute {a} * {b}.",
    "How much is {a} times {b}?",
    "{a} * {b} = ?",
    "Find the product {a} * {b}.",
    "What do you get when you multiply {a} by {b}?",
    "Work out {a} times {b}.",
    "What number is {a} * {b}?",
)
# For splits in which the words above are used up.
_PRODUCTS_AGAIN = (
    "Calculate {a} * {b}.",
    "Give the product of {a} and {b}.",
    "What does {a} times {b} make?",
    "Tell me what {a} * {b} is.",
    "Evaluate {a} * {b}.",
    "What is {a} multiplied by {b}?",
    "{a} times {b} is what number?",
    "How many are {a} groups of {b}?",
    "State the value of {a} * {b}.",
    "What is the result of {a} * {b}?",
)
_SUM, _SUM_AGAIN = "What is {}?", "Compute {}."


class Arithmetic(AbstractGeneratedTask):
    """Sums, products, greatest common divisors and linear equations.

    There are few sums and products of one-digit numbers: there, the *pairs of numbers* are divided among the splits,
    and items of one split may share a pair in other words.
    """

    name = "arithmetic"
    domain = "reasoning"
    after = "MATH"
    verifier = "equal as exact rational numbers; formulae of the official file: equal after LaTeX is normalised"
    official = 'JSON Lines, a problem a line: {"problem": …, "solution": … \\boxed{answer} …}; other keys are ignored'
    classes = ("sum", "sum_of_three", "product", "two_digit_sum", "linear_equation", "gcd", "four_term_sum")

    def draw(self, task_class: str, rng: random.Random) -> Draft:
        """See `AbstractGeneratedTask`."""
        return {
            "sum": _sum,
            "sum_of_three": lambda rng: _long_sum(rng, 3, 1, 9),
            "product": _product,
            "two_digit_sum": lambda rng: _long_sum(rng, 2, 11, 89),
            "linear_equation": _linear_equation,
            "gcd": _gcd,
            "four_term_sum": lambda rng: _long_sum(rng, 4, 1, 19),
        }[task_class](rng)

    def reword(self, task_class: str, rng: random.Random) -> Draft | None:
        """See `AbstractGeneratedTask`."""
        if task_class == "product":
            return _product(rng, _PRODUCTS_AGAIN)
        return _long_sum(rng, 3, 1, 9, _SUM_AGAIN) if task_class == "sum_of_three" else None

    def judge(self, item: Item, reply: str) -> Judgement:
        """See `AbstractTask`."""
        assert item.answer is not None
        return (judge_formula if item.data.get("formula") else judge_number)(reply, item.answer)

    def load(self, path: str | Path) -> list[Item]:
        """See `AbstractTask`."""
        items = []
        for where, row in json_lines(path):
            problem, solution = field(row, "problem", where), field(row, "solution", where)
            answer = stated_answer(solution) if "\\boxed" in solution else None
            if not answer:
                raise InputError(where, "'solution' has no \\boxed{answer}")
            place = self.name, "official", "test", len(items)
            items.append(Item(*place, problem, answer, solution, {"formula": not re.fullmatch(r"-?\d+", answer)}))
        return items


def _sum(rng: random.Random) -> Draft:
    a, b = rng.randrange(10), rng.randrange(10)
    question = rng.choice(_SUMS).format(a=a, b=b)
    return Draft(sorted((a, b)), question, f"{a + b}", f"{a} + {b} = {a + b}. The answer is {a + b}.")


def _product(rng: random.Random, wordings: Sequence[str] = _PRODUCTS) -> Draft:
    a, b = rng.randrange(2, 10), rng.randrange(2, 10)
    question = rng.choice(wordings).format(a=a, b=b)
    return Draft(sorted((a, b)), question, f"{a * b}", f"{a} * {b} = {a * b}. The answer is {a * b}.")


def _long_sum(rng: random.Random, count: int, low: int, high: int, wording: str = _SUM) -> Draft:
    terms = [rng.randint(low, high) for _ in range(count)]
    total, steps = terms[0], []
    for term in terms[1:]:
        steps.append(f"{total} + {term} = {total + term}.")
        total += term
    question = wording.format(" + ".join(map(str, terms)))
    return Draft(sorted(terms), question, f"{total}", f"{' '.join(steps)} The answer is {total}.")


def _linear_equation(rng: random.Random) -> Draft:
    a, x, b = rng.randint(2, 9), rng.randint(1, 12), rng.randint(1, 20)
    c = a * x + b
    solution = f"{a}x = {c} - {b} = {a * x}. x = {a * x} / {a} = {x}. The answer is {x}."
    return Draft((a, b, x), f"Solve for x: {a}x + {b} = {c}. What is x?", f"{x}", solution)


def _gcd(rng: random.Random) -> Draft:
    factor = rng.randint(2, 12)
    a, b = factor * rng.randint(1, 12), factor * rng.randint(1, 12)
    divisor, steps = math.gcd(a, b), []
    large, small = max(a, b), min(a, b)
    while small:
        steps.append(f"{large} mod {small} = {large % small}.")
        large, small = small, large % small
    question = f"What is the greatest common divisor of {a} and {b}?"
    return Draft(sorted((a, b)), question, f"{divisor}", f"{' '.join(steps)} The answer is {divisor}.")
