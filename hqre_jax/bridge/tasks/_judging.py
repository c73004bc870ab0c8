"""The judgements that most tasks share: of a number, of a name out of several, of a formula."""

import re
from collections.abc import Sequence
from fractions import Fraction

from hqre_jax.bridge.tasks._interface import Judgement
from hqre_jax.bridge.tasks._replies import find_choice, find_number, plain_text, stated_answer

_NUMBER = re.compile(r"[-+]?[\d.,]*\d(?:/\d+)?|[-+]?\\frac\{-?\d+\}\{\d+\}")


def judge_number(reply: str, right: str) -> Judgement:
    """Judge a reply whose answer is a number.

    Args:
        reply: Anything a model may have said.
        right: The right answer, "7" or "3/4".

    Returns:
        Score 1 where the numbers are exactly equal, else 0.
    """
    found = find_number(reply)
    if found is None:
        return Judgement(0.0, None, "no number was given")
    score = float(found == Fraction(right))
    return Judgement(score, str(found), f"{found} is right" if score else f"{found} is not {right}")


def judge_choice(reply: str, right: str, choices: Sequence[str]) -> Judgement:
    """Judge a reply that names one of several.

    Args:
        reply: Anything a model may have said.
        right: The right one.
        choices: All of them.

    Returns:
        Score 1 where exactly the right one is named, else 0.
    """
    found = find_choice(reply, choices)
    if found is None:
        return Judgement(0.0, None, f"not one of {', '.join(choices)} was named")
    score = float(found == right)
    return Judgement(score, found, f"{found} is right" if score else f"{found} is not {right}")


def judge_formula(reply: str, right: str) -> Judgement:
    r"""Judge a reply whose answer may be a LaTeX formula.

    Args:
        reply: Anything a model may have said.
        right: The right answer, such as ``\frac{\sqrt{3}}{2}``.

    Returns:
        Score 1 where both are equal rational numbers, or equal once LaTeX's spacing, text and brackets are normalised.
        Nothing is evaluated: formulae that are equal by algebra only are not recognised.
    """
    text = plain_text(reply)
    stated = stated_answer(text)
    found, wanted = normal_formula(stated if stated is not None else text.split("\n")[-1]), normal_formula(right)
    if _NUMBER.fullmatch(wanted):
        return judge_number(f"The answer is {found}", str(find_number(wanted)))
    if not found:
        return Judgement(0.0, None, "no answer was given")
    score = float(found == wanted)
    return Judgement(score, found, f"{found} is right" if score else f"{found} is not {wanted}")


def normal_formula(formula: str) -> str:
    r"""A formula without what makes no difference: spaces, ``\left``, ``\text``, dollar signs, units, a full stop."""
    text = formula.strip()[:2000]
    text = re.sub(r"\\(?:left|right|displaystyle|limits|!|,|;|:|quad|qquad)(?![a-zA-Z])|\$|\\[()\[\]]|\\%|%", "", text)
    text = re.sub(r"\\(?:text|mathrm|mathbf|textbf|mbox)\{([^{}]{0,200})\}", r"\1", text)
    text = re.sub(r"\^\{?\\circ\}?|\\degree", "", text)
    text = re.sub(r"\\[dt]frac", r"\\frac", re.sub(r"\s+", "", text))
    text = re.sub(r"\\frac([0-9])([0-9])", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\sqrt([0-9a-z])", r"\\sqrt{\1}", text)
    text = re.sub(r"^[a-zA-Z]=", "", text)
    return text.rstrip(".,").strip("*_`")
