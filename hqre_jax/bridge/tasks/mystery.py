"""Who did it? Yes-or-no questions to an oracle, after AR-Bench's detective cases and situation puzzles."""

import itertools
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hqre_jax.bridge.tasks._files import field, json_document
from hqre_jax.bridge.tasks._generated import AbstractGeneratedTask, Draft
from hqre_jax.bridge.tasks._interface import (
    AbstractDialogue,
    AbstractInteractiveTask,
    Item,
    Judgement,
    Partner,
)
from hqre_jax.bridge.tasks._judging import judge_choice
from hqre_jax.bridge.tasks._replies import mentioned, plain_text
from hqre_jax.core._types import InputError

_PEOPLE = (
    *("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Ida", "Jack", "Kate", "Leo", "Mia"),
    *("Noah", "Olga", "Paul", "Rosa", "Sam", "Tina", "Viktor"),
)
_CAUSES = ("storm", "cat", "burglar", "plumber", "child", "neighbour", "fox", "postman", "ghost", "gardener", "monkey")
# Word by which a trait is recognised; how it is said of somebody.
_LOOKS = {
    "hat": "wears a hat",
    "glasses": "wears glasses",
    "beard": "has a beard",
    "umbrella": "carries an umbrella",
    "scarf": "wears a scarf",
    "ring": "wears a ring",
    "gloves": "wears gloves",
}
_WAYS = {
    "night": "comes at night",
    "window": "comes through the window",
    "water": "leaves water behind",
    "noise": "makes noise",
    "food": "takes food",
    "key": "needs a key",
}
_STORIES = (
    "In the morning the kitchen was upside down.",
    "When they came home, the lamp lay on the floor.",
    "The picture hung the wrong way round, and nobody had touched it.",
    "After dinner the letter was gone.",
)
# Number of hypotheses, and of traits that tell them apart.
_SIZES = {"suspects_4": 4, "situation_8": 8, "suspects_8": 8, "suspects_16": 16}


class Mystery(AbstractGeneratedTask, AbstractInteractiveTask):
    """A finite set of suspects (or causes), each with traits; one of them did it.

    In its one-shot form the clues are given. Played, the agent asks about traits ("Does the culprit wear a hat?") or
    names ("Is it Anna?"), and an oracle says yes or no. After as many questions as halving takes, the score is the
    information gained, ``log(n / left) / log n``: 1 where one suspect is left, 0 where all are. Questions about
    nothing that is known, or about several things at once, cost one and bring nothing.
    """

    name = "mystery"
    domain = "active information seeking"
    after = "AR-Bench detective cases and situation puzzles"
    verifier = "the one right name; played: share of the bits gained by yes-or-no questions"
    official = (
        'JSON (detective cases): a list of {"initial_information": {…, "suspect": [{"name": …, …}, …]}, "label": …}, '
        "where label is the place of the culprit among the suspects, 0, 1, … or A, B, …"
    )
    classes = tuple(_SIZES)
    interactive = classes

    def draw(self, task_class: str, rng: random.Random) -> Draft:
        """See `AbstractGeneratedTask`."""
        size = _SIZES[task_class]
        situation = task_class.startswith("situation")
        names, words = (_CAUSES, _WAYS) if situation else (_PEOPLE, _LOOKS)
        bits = size.bit_length() - 1
        names, chosen = rng.sample(names, size), rng.sample(sorted(words), bits + 1)
        vectors = list(itertools.product((False, True), repeat=bits))
        rng.shuffle(vectors)
        # All combinations of the telling traits, and one more trait that tells less.
        rare = set(rng.sample(range(size), max(1, size // 4)))
        order = rng.sample(range(bits + 1), bits + 1)
        traits = {}
        for k, (name, vector) in enumerate(zip(names, vectors, strict=True)):
            full = [*vector, k in rare]
            traits[name] = sorted(chosen[j] for j in order if full[j])
        culprit = rng.choice(names)
        article = "The " if situation else ""
        told = [
            f"{article}{name} {_listed([words[t] for t in traits[name]]) or 'does nothing of that kind'}."
            for name in names
        ]
        clues = [_clue(words, word, word in traits[culprit]) for word in sorted(chosen[:bits])]
        opening = rng.choice(_STORIES) + (" What was it?" if situation else " Who was it?")
        scene = f"{opening} {' '.join(told)}"
        left, steps = list(names), []
        for word, clue in zip(sorted(chosen[:bits]), clues, strict=True):
            left = [name for name in left if (word in traits[name]) == (word in traits[culprit])]
            steps.append(f"{clue} Left: {', '.join(left)}.")
        question = f"{scene} {' '.join(clues)} Name the culprit."
        data = {"names": names, "traits": traits, "words": sorted(chosen), "culprit": culprit, "scene": scene}
        solution = f"{' '.join(steps)} The answer is {culprit}."
        return Draft([traits, clues, culprit], question, culprit, solution, data)

    def judge(self, item: Item, reply: str) -> Judgement:
        """See `AbstractTask`."""
        assert item.answer is not None
        return judge_choice(reply, item.answer, item.data["names"])

    def begin(self, item: Item, partner: Partner = "scripted") -> AbstractDialogue:
        """See `AbstractInteractiveTask`."""
        if "traits" not in item.data:
            raise InputError(
                "item", "is an official case, whose suspects only a language model can play: ask it one-shot"
            )
        return _Interrogation(item)

    def load(self, path: str | Path) -> list[Item]:
        """See `AbstractTask`; cases are asked one-shot, from what is known at the beginning."""
        document, items = json_document(path), []
        if not isinstance(document, list):
            raise InputError(str(path), "is not a list of cases")
        for k, case in enumerate(document):
            where = f"{path}: case {k + 1}"
            if not isinstance(case, dict):
                raise InputError(where, "is not an object")
            known = field(case, "initial_information", where, dict)
            suspects = field(known, "suspect", where, list)
            names = [field(suspect, "name", where) for suspect in suspects if isinstance(suspect, dict)]
            place = _label(case.get("label"), names, where)
            question = f"{_told(known)}\nWhich of {', '.join(names)} did it?"
            items.append(Item(self.name, "official", "test", k, question, names[place], None, {"names": names}))
        return items


def _label(label: Any, names: Sequence[str], where: str) -> int:
    place = "ABCDEFGHIJ".find(label) if isinstance(label, str) and len(label) == 1 else label
    if not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < len(names):
        raise InputError(where, f"'label' is {label!r}, but there are {len(names)} suspects: 0, 1, … or A, B, …")
    return place


def _told(known: dict[str, Any]) -> str:
    lines = []
    for key, value in known.items():
        for part in value if isinstance(value, list) else [value]:
            told = "; ".join(f"{k}: {v}" for k, v in part.items()) if isinstance(part, dict) else str(part)
            lines.append(f"{key}: {told}")
    return "\n".join(lines)


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _clue(words: dict[str, str], word: str, true: bool) -> str:
    return f"The culprit {words[word]}." if true else f"It is not so that the culprit {words[word]}."


class _Interrogation(AbstractDialogue):
    """Questions to the oracle."""

    def __init__(self, item: Item):
        self.data = item.data
        self.left: list[str] = list(item.data["names"])
        self.said: list[str] = []
        self.budget = math.ceil(math.log2(len(self.left)))

    def observe(self) -> str:
        """See `AbstractDialogue`."""
        asked = "\n".join(self.said)
        rules = f"Ask about one of: {', '.join(self.data['words'])}; or about one name. I say yes or no."
        remaining = self.budget - len(self.said)
        return f"{self.data['scene']}\n{rules}\n{asked}\nQuestions left: {remaining}. What do you ask?"

    def act(self, reply: str) -> None:
        """See `AbstractDialogue`."""
        words, names, traits = self.data["words"], self.data["names"], self.data["traits"]
        about = set(mentioned(plain_text(reply), [*words, *names]))
        if len(about) != 1:
            self.said.append("(A question about one thing is wanted.)")
            return
        asked = about.pop()
        held = {name for name in names if (name == asked if asked in names else asked in traits[name])}
        true = self.data["culprit"] in held
        self.left = [name for name in self.left if (name in held) == true]
        self.said.append(f"{asked}? {'Yes' if true else 'No'}.")

    @property
    def done(self) -> bool:
        """See `AbstractDialogue`."""
        return len(self.said) >= self.budget

    def judgement(self) -> Judgement:
        """See `AbstractDialogue`."""
        size, left = len(self.data["names"]), len(self.left)
        gained = math.log2(size / left)
        said = f"{gained:.2f} of {math.log2(size):.0f} bits gained; left: {', '.join(self.left)}"
        return Judgement(gained / math.log2(size), self.left[0] if left == 1 else None, said)

    def scripted_reply(self, player: str, rng: random.Random) -> str:
        """Player "perfect" asks what halves best to the end; "random" asks about any trait or name."""
        words, names = self.data["words"], self.data["names"]
        if player != "perfect":
            return f"Is it {rng.choice([*words, *names])}?"
        return f"Is it {min(words, key=lambda word: self._worst(self.left, word, self.budget - len(self.said)))}?"

    def _worst(self, left: list[str], word: str, questions: int) -> int:
        """How many are left at worst after ``questions`` questions, the first about ``word``."""
        parts = [[name for name in left if (word in self.data["traits"][name]) == has] for has in (True, False)]
        if questions == 1:
            return max(map(len, parts))
        return max(
            min(self._worst(part, other, questions - 1) for other in self.data["words"]) if len(part) > 1 else len(part)
            for part in parts
        )
