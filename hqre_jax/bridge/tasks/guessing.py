"""Numbers and codes to be guessed in few guesses, after AR-Bench's guessing numbers."""

import itertools
import random
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from hqre_jax.bridge.tasks._files import json_document
from hqre_jax.bridge.tasks._generated import AbstractGeneratedTask, Draft
from hqre_jax.bridge.tasks._interface import (
    AbstractDialogue,
    AbstractInteractiveTask,
    Item,
    Judgement,
    Partner,
)
from hqre_jax.bridge.tasks._judging import judge_number
from hqre_jax.bridge.tasks._replies import find_number, plain_text, stated_answer
from hqre_jax.core._types import InputError

_RANGES = {"range_8": 8, "range_16": 16, "range_64": 64}
# Length of the code, number of digits it is made of (from 1 on).
_CODES = {"code_2": (2, 5), "code_3": (3, 5)}
# Bulls and Cows with four different digits of ten: no strategy needs fewer than 7 guesses at worst.
_OFFICIAL_PAR = 7
# Guesses that are compared where there are many candidates.
_LOOKED_AT = 40


class Guessing(AbstractGeneratedTask, AbstractInteractiveTask):
    """Higher or lower, and codes of different digits with counts of right and misplaced ones.

    In its one-shot form an item brings hints that leave one possibility. Played, it begins without any: the score is
    par / guesses where more guesses than par were needed, par being what the best strategy needs at worst; after twice
    par guesses it is 0. A reply that is no guess costs one.
    """

    name = "guessing"
    domain = "active information seeking"
    after = "AR-Bench guessing numbers"
    verifier = "the number or code, exactly; played: par / guesses used"
    official = "JSON: a list of strings of four different digits"
    classes = ("range_8", "range_16", "range_64", "code_2", "code_3")
    interactive = classes

    def draw(self, task_class: str, rng: random.Random) -> Draft:
        """See `AbstractGeneratedTask`."""
        if task_class in _CODES:
            length, digits = _CODES[task_class]
            codes = all_codes("".join(str(d + 1) for d in range(digits)), length)
            return _code_question(rng.choice(codes), codes, rng)
        low, size = rng.randint(1, 200), _RANGES[task_class]
        high = low + size - 1
        secret, hints, left = rng.randint(low, high), list[str](), (low, high)
        while left[0] < left[1]:
            guess = rng.randint(*left)
            if guess == secret:
                continue
            left = (guess + 1, left[1]) if guess < secret else (left[0], guess - 1)
            hints.append(f"It is {'greater' if guess < secret else 'less'} than {guess}.")
        question = f"I think of a whole number from {low} to {high}. {' '.join(hints)} Which number is it?"
        solution = f"The only number left is {secret}. The answer is {secret}."
        data = {"low": low, "high": high, "secret": str(secret)}
        return Draft([low, secret, hints], question, f"{secret}", solution, data)

    def judge(self, item: Item, reply: str) -> Judgement:
        """See `AbstractTask`."""
        if "low" in item.data:
            return judge_number(reply, item.data["secret"])
        found = _read_code(reply, item.data["digits"], len(item.data["secret"]))
        if found is None:
            return Judgement(0.0, None, "no such code was given")
        score = float(found == item.data["secret"])
        return Judgement(score, found, f"{found} is right" if score else f"{found} is not {item.data['secret']}")

    def begin(self, item: Item, partner: Partner = "scripted") -> AbstractDialogue:
        """See `AbstractInteractiveTask`."""
        return _HigherOrLower(item) if "low" in item.data else _Code(item)

    def load(self, path: str | Path) -> list[Item]:
        """See `AbstractTask`; the hints of the one-shot form are added by a seed."""
        document, codes, items = json_document(path), all_codes("0123456789", 4), []
        if not isinstance(document, list):
            raise InputError(str(path), "is not a list of strings of four different digits")
        for k, secret in enumerate(document):
            if secret not in set(codes):
                raise InputError(f"{path}: entry {k + 1}", f"is {secret!r}, not a string of four different digits")
            draft = _code_question(secret, codes, random.Random(f"{self.name}/{secret}"))
            items.append(Item(self.name, "official", "test", k, draft.question, secret, draft.solution, draft.data))
        return items


@lru_cache(maxsize=8)
def all_codes(digits: str, length: int) -> tuple[str, ...]:
    """Every code of different digits."""
    return tuple("".join(code) for code in itertools.permutations(digits, length))


def compare(code: str, guess: str) -> tuple[int, int]:
    """Numbers of digits in the right place, and of right digits elsewhere."""
    right = sum(a == b for a, b in zip(code, guess, strict=True))
    return right, len(set(code) & set(guess)) - right


def _code_question(secret: str, codes: Sequence[str], rng: random.Random) -> Draft:
    """Random guesses that are possible so far, until one code is left."""
    hints, left = list[str](), list(codes)
    while len(left) > 1:
        guess = rng.choice(left)
        if guess == secret:
            continue
        answer = compare(secret, guess)
        left = [code for code in left if compare(code, guess) == answer]
        hints.append(f"Guess {guess}: {_say_feedback(answer)}.")
    digits = "".join(sorted(set("".join(codes))))
    question = f"{_code_rules(len(secret), digits)} {' '.join(hints)} Only one code is left. Which?"
    solution = f"Only {secret} fits every guess. The answer is {secret}."
    return Draft([secret, hints], question, secret, solution, {"digits": digits, "secret": secret})


def _code_rules(length: int, digits: str) -> str:
    return f"I think of a code of {length} different digits out of {', '.join(digits)}."


def _say_feedback(feedback: tuple[int, int]) -> str:
    return f"{feedback[0]} in the right place, {feedback[1]} in the wrong place"


def _read_code(reply: str, digits: str, length: int) -> str | None:
    """The last code in the marked answer, or in the reply."""
    text = plain_text(reply)
    stated = stated_answer(text)
    text = re.sub(r"(?<=\d)[ ,\-*_]{1,2}(?=\d(?!\d))", "", text if stated is None else stated)
    found = [code for code in re.findall(r"(?<!\d)\d+(?!\d)", text) if len(code) == length]
    code = found[-1] if found else ""
    return code if set(code) <= set(digits) and len(set(code)) == length else None


class AbstractGuessing(AbstractDialogue):
    """A game of guesses, each answered; a subclass knows how guesses are read and answered.

    Attributes:
        par: Guesses that the best strategy needs at worst.
        secret: What is to be guessed.
        said: Guesses and answers so far.
    """

    par: int

    def __init__(self, item: Item):
        self.secret: str = item.data["secret"]
        self.said: list[tuple[str | None, str]] = []

    @property
    def done(self) -> bool:
        """See `AbstractDialogue`."""
        return len(self.said) == 2 * self.par or self._found

    @property
    def _found(self) -> bool:
        return bool(self.said) and self.said[-1][0] == self.secret

    def judgement(self) -> Judgement:
        """See `AbstractDialogue`."""
        used = len(self.said)
        if not self._found:
            return Judgement(0.0, None, f"not found in {used} guesses; par is {self.par}")
        return Judgement(self.par / max(used, self.par), self.secret, f"found in {used} guesses; par is {self.par}")

    def _transcript(self) -> str:
        lines = [f"Guess {k}: {guess or 'none'}. {answer}" for k, (guess, answer) in enumerate(self.said, 1)]
        return "\n".join([*lines, "What is your next guess?"])


class _HigherOrLower(AbstractGuessing):
    """Higher or lower."""

    def __init__(self, item: Item):
        super().__init__(item)
        self.low, self.high = item.data["low"], item.data["high"]
        self.left = [self.low, self.high]
        self.par = (self.high - self.low + 1).bit_length()

    def observe(self) -> str:
        """See `AbstractDialogue`."""
        return f"I think of a whole number from {self.low} to {self.high}.\n{self._transcript()}"

    def act(self, reply: str) -> None:
        """See `AbstractDialogue`."""
        number = find_number(reply)
        if number is None or number.denominator != 1 or not self.low <= number <= self.high:
            self.said.append((None, f"That is no whole number from {self.low} to {self.high}."))
            return
        guess, secret = int(number), int(self.secret)
        if guess < secret:
            self.left[0] = max(self.left[0], guess + 1)
        elif guess > secret:
            self.left[1] = min(self.left[1], guess - 1)
        answer = "Right." if guess == secret else f"My number is {'greater' if guess < secret else 'less'}."
        self.said.append((str(guess), answer))

    def scripted_reply(self, player: str, rng: random.Random) -> str:
        """Player "perfect" bisects; "random" names any number of the range."""
        return str(sum(self.left) // 2 if player == "perfect" else rng.randint(self.low, self.high))


class _Code(AbstractGuessing):
    """Bulls and Cows."""

    def __init__(self, item: Item):
        super().__init__(item)
        self.digits = item.data["digits"]
        self.left = all_codes(self.digits, len(self.secret))
        self.par = _par(self.left) if len(self.left) <= 200 else _OFFICIAL_PAR

    def observe(self) -> str:
        """See `AbstractDialogue`."""
        return f"{_code_rules(len(self.secret), self.digits)}\n{self._transcript()}"

    def act(self, reply: str) -> None:
        """See `AbstractDialogue`."""
        guess = _read_code(reply, self.digits, len(self.secret))
        if guess is None:
            self.said.append((None, "That is no such code."))
            return
        answer = compare(self.secret, guess)
        self.left = tuple(code for code in self.left if compare(code, guess) == answer)
        self.said.append((guess, f"{_say_feedback(answer).capitalize()}."))

    def scripted_reply(self, player: str, rng: random.Random) -> str:
        """Player "perfect" makes the guess whose worst answer leaves fewest codes; "random" names any code."""
        return _best_guess(self.left) if player == "perfect" else rng.choice(all_codes(self.digits, len(self.secret)))


def _parts(codes: tuple[str, ...], guess: str) -> dict[tuple[int, int], tuple[str, ...]]:
    """What each answer to a guess leaves."""
    parts: dict[tuple[int, int], list[str]] = {}
    for code in codes:
        parts.setdefault(compare(code, guess), []).append(code)
    return {answer: tuple(part) for answer, part in parts.items()}


@lru_cache(maxsize=4096)
def _best_guess(codes: tuple[str, ...]) -> str:
    looked_at = codes[: _LOOKED_AT if len(codes) < 2000 else 1]  # by symmetry all first guesses are alike
    return min(looked_at, key=lambda guess: max(map(len, _parts(codes, guess).values())))


@lru_cache(maxsize=4096)
def _par(codes: tuple[str, ...]) -> int:
    """Guesses that `_best_guess` needs at worst."""
    guess = _best_guess(codes)
    return 1 + max((_par(part) for part in _parts(codes, guess).values() if part != (guess,)), default=0)
