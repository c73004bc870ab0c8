"""Offers and bargaining, after negotiation over a pool of things (OpenSpiel's bargaining)."""

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hqre_jax.bridge.tasks._bargaining import (
    CONCESSIONS,
    THINGS,
    Bundle,
    best_deal,
    bundles,
    divisions,
    is_efficient,
    partner_offer,
    rest,
    value,
)
from hqre_jax.bridge.tasks._files import read_text
from hqre_jax.bridge.tasks._generated import AbstractGeneratedTask, Draft
from hqre_jax.bridge.tasks._interface import (
    AbstractDialogue,
    AbstractDividedTask,
    AbstractInteractiveTask,
    Item,
    Judgement,
    Partner,
)
from hqre_jax.bridge.tasks._judging import judge_number
from hqre_jax.bridge.tasks._replies import plain_text
from hqre_jax.core._types import InputError

_NAMES = ("Anna", "Clara", "Emma", "Grace", "Ida", "Kate", "Mia", "Olga", "Rosa", "Tina")
_GOODS = ("book", "hat", "ball", "lamp", "chair", "clock", "mirror", "basket", "carpet", "vase")
_COUNTS = {"no": 0, "zero": 0, "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
_TAKEN = re.compile(rf"\b(\d{{1,2}}|all|{'|'.join(_COUNTS)})\s(?:of\s)?(?:the\s)?({'|'.join(THINGS)})s?\b", re.I)


class Negotiation(AbstractGeneratedTask, AbstractInteractiveTask, AbstractDividedTask):
    """What offers are worth, which one to make, packages of which each agent values half, and bargaining.

    Played, each in turn takes the other's offer or makes one; a reply that is neither passes. The partner does as many
    turns as it has concessions to make (7, then 5, then 3 of its 10). Score with the scripted partner: own value over
    the best that was to be had; with a model as partner: joint value over the largest possible; without agreement 0.
    """

    name = "negotiation"
    domain = "coordination"
    after = "negotiation (OpenSpiel's bargaining)"
    verifier = "exact sums; played: value of the agreement over the best possible, with Pareto efficiency in the reason"
    official = (
        'lines "1,4,1 9,0,1 2,2,0": counts of books, hats, balls; their values to you; to the partner '
        "(OpenSpiel's instances_file)"
    )
    classes = ("half_value", "better_offer", "offer_value", "package", "bargain")
    interactive = ("bargain",)
    partners = ("scripted", "model")
    parts = ("first_half", "second_half")
    divided = ("package",)

    def draw(self, task_class: str, rng: random.Random) -> Draft:
        """See `AbstractGeneratedTask`."""
        if task_class in ("half_value", "package"):
            goods = rng.sample(_GOODS, 4)
            package = [[good, rng.randint(1, 9)] for good in goods]
            return _half(package, rng.choice(self.parts)) if task_class == "half_value" else _package(package)
        if task_class == "offer_value":
            return _offer_value(rng)
        if task_class == "better_offer":
            return _better_offer(rng)
        # Without a single thing, values at which all is worth 10 need not exist.
        pool = (1, *(rng.randint(1, 3) for _ in THINGS[1:]))
        pool = tuple(rng.sample(pool, len(pool)))
        return _bargain(rng, pool, _draw_values(rng, pool), _draw_values(rng, pool))

    def judge(self, item: Item, reply: str) -> Judgement:
        """See `AbstractTask`."""
        assert item.answer is not None
        return judge_number(reply, item.answer)

    def part_of(self, item: Item, part: str) -> Item:
        """See `AbstractDividedTask`."""
        draft = _half(item.data["package"], part)
        place = self.name, "half_value", item.split, item.index
        return Item(*place, draft.question, draft.answer, draft.solution, draft.data)

    def combine(self, item: Item, replies: Mapping[str, str]) -> Judgement:
        """See `AbstractDividedTask`; the canonical answer is the sum of the halves."""
        judgement = super().combine(item, replies)
        answer = item.answer if judgement.score else None
        return Judgement(judgement.score, answer, judgement.reason)

    def begin(self, item: Item, partner: Partner = "scripted") -> AbstractDialogue:
        """See `AbstractInteractiveTask`."""
        return _Bargaining(item.data, partner)

    def load(self, path: str | Path) -> list[Item]:
        """See `AbstractTask`."""
        items = []
        for number, line in enumerate(read_text(path).split("\n"), 1):
            if not line.strip():
                continue
            if not re.fullmatch(r"\s*\d+,\d+,\d+ \d+,\d+,\d+ \d+,\d+,\d+\s*", line):
                raise InputError(f"{path}:{number}", 'is not three triples of whole numbers, "1,4,1 9,0,1 2,2,0"')
            pool, mine, hers = (tuple(int(n) for n in triple.split(",")) for triple in line.split())
            if max(pool) > 9 or not sum(pool):
                raise InputError(f"{path}:{number}", "counts must be 0 to 9, and not all 0")
            draft = _bargain(random.Random(f"{self.name}/{line.strip()}"), pool, mine, hers)
            place = self.name, "official", "test", len(items)
            items.append(Item(*place, draft.question, draft.answer, draft.solution, draft.data))
        return items


def _half(package: Sequence[Sequence[Any]], part: str) -> Draft:
    (one, first), (two, second) = package[:2] if part == "first_half" else package[2:]
    total = first + second
    question = f"To you a {one} is worth {first} and a {two} is worth {second}. What is an offer of both worth?"
    return Draft(
        [one, first, two, second], question, f"{total}", f"{first} + {second} = {total}. The answer is {total}."
    )


def _package(package: list[list[Any]]) -> Draft:
    worths = ", ".join(f"a {good} is worth {worth}" for good, worth in package)
    numbers = [worth for _, worth in package]
    total, begun = sum(numbers), numbers[0] + numbers[1]
    solution = (
        f"{numbers[0]} + {numbers[1]} = {begun}. {numbers[2]} + {numbers[3]} = {total - begun}. "
        f"{begun} + {total - begun} = {total}. The answer is {total}."
    )
    question = f"To you {worths}. What is an offer of all four worth?"
    return Draft(package, question, f"{total}", solution, {"package": package})


def _offer_value(rng: random.Random) -> Draft:
    goods = rng.sample(_GOODS, 2)
    counts, worths = [rng.randint(1, 4) for _ in goods], [rng.randint(1, 5) for _ in goods]
    (a, b), (v, w) = counts, worths
    total = a * v + b * w
    question = (
        f"To you every {goods[0]} is worth {v} and every {goods[1]} is worth {w}. "
        f"What is an offer of {_count(a, goods[0])} and {_count(b, goods[1])} worth?"
    )
    solution = f"{a} * {v} = {a * v}. {b} * {w} = {b * w}. {a * v} + {b * w} = {total}. The answer is {total}."
    return Draft([goods, counts, worths], question, f"{total}", solution)


def _better_offer(rng: random.Random) -> Draft:
    goods = rng.sample(_GOODS, 3)
    worths = rng.sample(range(1, 10), 3)
    one, two = rng.sample([(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)], 2)
    totals = [sum(worths[k] for k in offer) for offer in (one, two)]
    if totals[0] == totals[1]:
        return _better_offer(rng)
    told = ", ".join(f"a {good} is worth {worth}" for good, worth in zip(goods, worths, strict=True))
    offers = [" and ".join(f"a {goods[k]}" for k in offer) for offer in (one, two)]
    best = 1 + (totals[1] > totals[0])
    question = f"To you {told}. Offer 1: {offers[0]}. Offer 2: {offers[1]}. Which offer is worth more, 1 or 2?"
    solution = f"Offer 1 is worth {totals[0]}. Offer 2 is worth {totals[1]}. The answer is {best}."
    return Draft([goods, worths, one, two], question, f"{best}", solution)


def _bargain(rng: random.Random, pool: Bundle, mine: Bundle, hers: Bundle) -> Draft:
    """One-shot: of three bundles, the best for me that the partner, at a known least value, agrees to."""
    least = rng.choice(CONCESSIONS)
    best = best_deal(pool, mine, hers, least) if value(pool, hers) >= least else tuple(0 for _ in pool)
    most = value(best, mine)
    greedy = [bundle for bundle, worth, _ in divisions(pool, mine, hers) if worth > most]
    modest = [bundle for bundle, worth, _ in divisions(pool, mine, hers) if worth < most]
    wrong = [rng.choice(group) for group in (greedy, modest) if group]
    offers = [best, *wrong]
    rng.shuffle(offers)
    name, answer = rng.choice(_NAMES), offers.index(best) + 1
    listed = " ".join(f"Offer {k}: you take {_say_bundle(offer)}." for k, offer in enumerate(offers, 1))
    question = (
        f"You and {name} divide {_say_bundle(pool)}. {_say_values(mine, 'you')} {_say_values(hers, name)} "
        f"{name} agrees to what leaves her at least {least}. {listed} Which agreement is best for you?"
    )
    steps = [
        f"Offer {k} is worth {value(offer, mine)} to me and leaves {value(rest(pool, offer), hers)}."
        for k, offer in enumerate(offers, 1)
    ]
    data = {"pool": list(pool), "mine": list(mine), "hers": list(hers), "name": name}
    return Draft([pool, mine, hers], question, f"{answer}", f"{' '.join(steps)} The answer is {answer}.", data)


def _draw_values(rng: random.Random, pool: Bundle) -> Bundle:
    """Values at which the whole pool is worth 10."""
    while True:
        values = tuple(rng.randint(0, 10 // count) for count in pool)
        if value(pool, values) == 10:
            return values


def _count(count: int, good: str) -> str:
    return f"{count} {good}{'s' * (count != 1)}"


def _say_bundle(bundle: Sequence[int]) -> str:
    named = [_count(count, thing) for count, thing in zip(bundle, THINGS, strict=True) if count]
    return " and ".join(named) or "nothing"


def _say_values(values: Sequence[int], who: str) -> str:
    told = ", ".join(f"a {thing} {worth}" for thing, worth in zip(THINGS, values, strict=True))
    return f"To {who} are worth: {told}."


def read_offer(reply: str, pool: Sequence[int]) -> Bundle | str | None:
    """What a reply says: "accept", the bundle its speaker takes, or nothing that can be done (None)."""
    text = plain_text(reply)
    if re.search(r"(?<!not )(?<!n't )\b(?:accept|agree|deal)\b", text, re.I):
        return "accept"
    # What is left to the other one is no part of what the speaker takes.
    taken: dict[str, int] = {}
    for match in _TAKEN.finditer(re.split(r"\b(?:you|leave|rest)\b", text, maxsplit=1, flags=re.I)[0]):
        word, thing = match[1].lower(), match[2].lower()
        count = pool[THINGS.index(thing)] if word == "all" else _COUNTS.get(word, -1)
        taken.setdefault(thing, int(word) if word.isdigit() else count)
    bundle = tuple(taken.get(thing, 0) for thing in THINGS)
    return bundle if taken and all(0 <= n <= most for n, most in zip(bundle, pool, strict=True)) else None


class _Bargaining(AbstractDialogue):
    """Offers in turn."""

    def __init__(self, data: Mapping[str, Any], partner: Partner):
        self.pool: Bundle = tuple(data["pool"])
        self.values: tuple[Bundle, Bundle] = tuple(data["mine"]), tuple(data["hers"])
        self.name, self.scripted = data["name"], partner == "scripted"
        self.turns = 0
        self.said: list[str] = []
        # What the first agent would have, as offered by the one whose turn it is not.
        self.offered: Bundle | None = None
        self.agreed: Bundle | None = None

    @property
    def turn(self) -> int:
        """See `AbstractDialogue`."""
        return self.turns % 2

    def observe(self) -> str:
        """See `AbstractDialogue`."""
        other = self.name if self.turn == 0 else "the other"
        lines = [
            f"You and {other} divide {_say_bundle(self.pool)}.",
            _say_values(self.values[self.turn], "you"),
            *self.said,
        ]
        ask = (
            'Say "accept", or what you take, such as "I take 1 book and 2 hats".'
            if self.offered
            else "What do you take?"
        )
        return "\n".join([*lines, ask])

    def act(self, reply: str) -> None:
        """See `AbstractDialogue`; a reply that neither accepts nor offers passes the turn."""
        self._move(read_offer(reply, self.pool))
        if self.scripted and not self.done:
            self._partner()

    def _move(self, said: Bundle | str | None) -> None:
        speaker = f"Agent {self.turn + 1}"
        if said == "accept" and self.offered is not None:
            self.agreed = self.offered
            self.said.append(f"{speaker} accepts.")
        elif isinstance(said, tuple):
            self.offered = said if self.turn == 0 else rest(self.pool, said)
            self.said.append(f"{speaker} takes {_say_bundle(said)} and leaves {_say_bundle(rest(self.pool, said))}.")
        else:
            self.offered = None
            self.said.append(f"{speaker} makes no offer.")
        self.turns += 1

    def _partner(self) -> None:
        least = min(CONCESSIONS[self.turns // 2], value(self.pool, self.values[1]))
        if self.offered is not None and value(rest(self.pool, self.offered), self.values[1]) >= least:
            self._move("accept")
        else:
            self._move(rest(self.pool, partner_offer(self.pool, *self.values, least)))

    @property
    def done(self) -> bool:
        """See `AbstractDialogue`."""
        return self.agreed is not None or self.turns >= 2 * len(CONCESSIONS) + self.scripted

    def judgement(self) -> Judgement:
        """See `AbstractDialogue`."""
        if self.agreed is None:
            return Judgement(0.0, None, "no agreement")
        mine, hers = value(self.agreed, self.values[0]), value(rest(self.pool, self.agreed), self.values[1])
        efficient = "" if is_efficient(self.pool, self.agreed, *self.values) else "not "
        best = value(self._goal(), self.values[0]) if self.scripted else _joint(self.pool, self._goal(), self.values)
        score = (mine if self.scripted else mine + hers) / best if best else 1.0
        said = f"agreement worth {mine} and {hers}, {efficient}Pareto efficient; best {best}"
        return Judgement(score, _say_bundle(self.agreed), said)

    def _goal(self) -> Bundle:
        """The best bundle for the first agent: what the partner concedes in the end, or the largest joint value."""
        if self.scripted:
            return best_deal(self.pool, *self.values, min(CONCESSIONS[-1], value(self.pool, self.values[1])))
        return max(bundles(self.pool), key=lambda bundle: (_joint(self.pool, bundle, self.values), bundle))

    def scripted_reply(self, player: str, rng: random.Random) -> str:
        """Player "perfect" knows both values; "random" makes any offer, or accepts if there is one."""
        every = bundles(self.pool)
        if player != "perfect":
            pick = rng.randrange(len(every) + (self.offered is not None))
            return "accept" if pick == len(every) else _say_take(every[pick])
        if self.turn:
            return "accept"
        return _say_take(self._goal())


def _joint(pool: Bundle, bundle: Bundle, values: tuple[Bundle, Bundle]) -> int:
    return value(bundle, values[0]) + value(rest(pool, bundle), values[1])


def _say_take(bundle: Bundle) -> str:
    return f"I take {', '.join(_count(n, thing) for n, thing in zip(bundle, THINGS, strict=True))}."
