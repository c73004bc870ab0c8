"""Who lives in which house, after ZebraLogic."""

import itertools
import random
from pathlib import Path

from hqre_jax.bridge.tasks._files import field, json_lines
from hqre_jax.bridge.tasks._generated import AbstractGeneratedTask, Draft
from hqre_jax.bridge.tasks._interface import Item, Judgement
from hqre_jax.bridge.tasks._judging import judge_choice
from hqre_jax.core._types import InputError

_NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo")
_ATTRIBUTES = {
    "pet": ("a cat", "a dog", "a bird", "a fish", "a horse", "a rabbit"),
    "drink": ("tea", "coffee", "milk", "juice", "water", "lemonade"),
}
_VERBS = {"pet": "has", "drink": "drinks"}
# Number of houses and of attributes beside the name.
_SIZES = {"houses_2": (2, 1), "houses_2_drinks": (2, 2), "houses_3": (3, 1), "houses_3_drinks": (3, 2)}

# An assignment: who (or what) stands in each house, one tuple per attribute, names first.
Assignment = tuple[tuple[str, ...], ...]
# A clue: its kind and what it is about.
Clue = tuple[str, str, str]


class Zebra(AbstractGeneratedTask):
    """Houses in a row; clues leave exactly one possibility, which is found by trying all."""

    name = "zebra"
    domain = "reasoning"
    after = "ZebraLogic"
    verifier = "the one right name out of those in question"
    official = 'JSON Lines (mc_mode), a question a line: {"puzzle": …, "question": …, "choices": […], "answer": …}'
    classes = tuple(_SIZES)

    def draw(self, task_class: str, rng: random.Random) -> Draft:
        """See `AbstractGeneratedTask`."""
        houses, extra = _SIZES[task_class]
        kinds = ["name", *list(_ATTRIBUTES)[:extra]]
        things = [rng.sample(_NAMES if kind == "name" else _ATTRIBUTES[kind], houses) for kind in kinds]
        orders = list(itertools.product(*(itertools.permutations(group) for group in things)))
        truth = rng.choice(orders)
        every = possible = [{thing: k for row in order for k, thing in enumerate(row)} for order in orders]
        house, kind = rng.randrange(houses), rng.randrange(1, len(kinds))
        asked, answer = truth[kind][house], truth[0][house]
        clues: list[Clue] = []
        while len(possible) > 1:
            clue = _draw_clue(rng, truth)
            kept = _keep(clue, possible)
            # Clues that tell nothing new, or the answer itself, are left out.
            if len(kept) < len(possible) and clue != ("same", answer, asked):
                possible, clues = kept, [*clues, clue]
        for clue in clues[:-1]:
            others, left = [other for other in clues if other != clue], every
            for other in others:
                left = _keep(other, left)
            if len(left) == 1:
                clues = others
        spoken = {thing: f"{_VERBS[kind]} {thing}" for kind in kinds[1:] for thing in _ATTRIBUTES[kind]}
        names = sorted(truth[0])
        question = " ".join(
            [
                f"{houses} houses stand in a row, numbered 1 to {houses} from left to right.",
                f"In each lives one of {_listed(names)}.",
                *(
                    f"Their {kind}s: {_listed(sorted(group))}."
                    for kind, group in zip(kinds[1:], things[1:], strict=True)
                ),
                *(_say(clue, spoken) for clue in clues),
                f"Who {spoken[asked]}?",
            ]
        )
        rows = [
            f"House {k + 1}: {row[0]} {' and '.join(spoken[thing] for thing in row[1:])}."
            for k, row in enumerate(zip(*truth, strict=True))
        ]
        solution = f"{' '.join(rows)} The answer is {answer}."
        return Draft([sorted(clues), asked], question, answer, solution, {"choices": names})

    def judge(self, item: Item, reply: str) -> Judgement:
        """See `AbstractTask`."""
        assert item.answer is not None
        return judge_choice(reply, item.answer, item.data["choices"])

    def load(self, path: str | Path) -> list[Item]:
        """See `AbstractTask`."""
        items = []
        for where, row in json_lines(path):
            choices, answer = field(row, "choices", where, list), field(row, "answer", where)
            if answer not in choices:
                raise InputError(where, f"'answer' is {answer!r}, which is not among 'choices'")
            question = (
                f"{field(row, 'puzzle', where)}\n\n{field(row, 'question', where)} ({', '.join(map(str, choices))})"
            )
            place = self.name, "official", "test", len(items)
            items.append(Item(*place, question, answer, None, {"choices": [str(choice) for choice in choices]}))
        return items


def _draw_clue(rng: random.Random, truth: Assignment) -> Clue:
    """A true clue."""
    house = rng.randrange(len(truth[0]))
    first, second = rng.sample(range(len(truth)), 2)
    kind = rng.choice(("at", "not at", "same", "not same", "left"))
    other = rng.choice([k for k in range(len(truth[0])) if k != house])
    if kind == "at":
        return kind, truth[first][house], str(house + 1)
    if kind == "not at":
        return kind, truth[first][house], str(other + 1)
    if kind == "same":
        return kind, truth[0][house], truth[max(first, second)][house]
    if kind == "not same":
        return kind, truth[0][house], truth[max(first, second)][other]
    left = min(house, len(truth[0]) - 2)
    return kind, truth[first][left], truth[second][left + 1]


def _keep(clue: Clue, houses: list[dict[str, int]]) -> list[dict[str, int]]:
    """The assignments, each a map from things to houses, for which a clue is true."""
    kind, one, two = clue
    if kind in ("at", "not at"):
        return [house for house in houses if (house[one] + 1 == int(two)) == (kind == "at")]
    if kind == "left":
        return [house for house in houses if house[one] + 1 == house[two]]
    return [house for house in houses if (house[one] == house[two]) == (kind == "same")]


def _say(clue: Clue, spoken: dict[str, str]) -> str:
    kind, one, two = clue
    who = f"The one who {spoken[one]}" if one in spoken else one
    if kind == "at":
        return f"{who} lives in house {two}."
    if kind == "not at":
        return f"{who} does not live in house {two}."
    if kind == "left":
        return f"{who} lives directly left of {'the one who ' + spoken[two] if two in spoken else two}."
    return f"{who} {spoken[two]}." if kind == "same" else f"{who} is not the one who {spoken[two]}."


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
