"""Trips under budgets and opening hours, after TravelPlanner."""

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hqre_jax.bridge.tasks._files import field, json_lines
from hqre_jax.bridge.tasks._generated import AbstractGeneratedTask, Draft
from hqre_jax.bridge.tasks._interface import Item, Judgement
from hqre_jax.bridge.tasks._judging import judge_choice, judge_number
from hqre_jax.bridge.tasks._replies import answer_parts, mentioned, plain_text
from hqre_jax.bridge.tasks._travel_plans import PLAN_FORM, judge_plan, read_trip
from hqre_jax.bridge.tasks._travel_reference import entries_of

_CITIES = ("Bern", "Lyon", "Porto", "Ghent", "Turin", "Graz", "Krakow", "Malmo", "Cork", "Basel")
_SIGHTS = ("museum", "castle", "zoo", "garden", "tower", "market", "gallery", "theatre", "harbour", "cathedral")
_MEANS = ("train", "bus", "plane", "ferry")
_START = 9


class Sight(NamedTuple):
    """Something to visit; hours of the day, and euros."""

    name: str
    opens: int
    closes: int
    hours: int
    price: int


class Itinerary(AbstractGeneratedTask):
    """Sums of costs, the cheapest means that is in time, and days of visits within budget and opening hours.

    TravelPlanner's own rows of sole planning carry what a plan may use; it is judged by what the row says.
    """

    name = "itinerary"
    domain = "planning"
    after = "TravelPlanner"
    verifier = (
        "exact sums; a day plan is right if every visit fits its opening hours and all of them the budget; official: "
        "nothing in the row speaks against the plan"
    )
    official = (
        'JSON Lines (sole planning), a trip a line: {"org", "days", "visiting_city_number", "date", "people_number", '
        '"local_constraint", "budget", "query", "reference_information": [{"Description": …, "Content": …}, …]}'
    )
    classes = ("total_cost", "cheapest_in_time", "two_visits", "three_visits")
    answer_tokens = 24

    def draw(self, task_class: str, rng: random.Random) -> Draft:
        """See `AbstractGeneratedTask`."""
        if task_class == "total_cost":
            return _total_cost(rng)
        if task_class == "cheapest_in_time":
            return _cheapest(rng)
        return _day_plan(rng, 2, 3) if task_class == "two_visits" else _day_plan(rng, 3, 4)

    def judge(self, item: Item, reply: str) -> Judgement:
        """See `AbstractTask`."""
        if item.data["kind"] == "visits":
            return _judge_visits(item, reply)
        if item.data["kind"] == "trip":
            return judge_plan(read_trip(item.data["row"], item.data["where"]), reply)
        assert item.answer is not None
        if item.data["kind"] == "choice":
            return judge_choice(reply, item.answer, _MEANS)
        return judge_number(reply, item.answer)

    def load(self, path: str | Path) -> list[Item]:
        """See `AbstractTask`; a question is the query, the reference information, and the form of the answer."""
        items = []
        for where, row in json_lines(path):
            read_trip(row, where)  # refuses what could not be judged later
            told = [f"{name}\n{text}" for name, text in entries_of(row["reference_information"], where)]
            question = "\n\n".join([field(row, "query", where), "You may use what is given here.", *told, PLAN_FORM])
            data = {"kind": "trip", "row": row, "where": where}
            items.append(Item(self.name, "official", "test", len(items), question, None, None, data))
        return items


def _total_cost(rng: random.Random) -> Draft:
    city, ticket, nights, room = rng.choice(_CITIES), rng.randint(5, 30), rng.randint(2, 4), rng.randint(3, 12) * 10
    total = ticket + nights * room
    question = (
        f"A trip to {city}: the train costs {ticket} euros, the hotel {room} euros a night for {nights} nights. "
        "How many euros does the trip cost?"
    )
    solution = f"{nights} * {room} = {nights * room}. {nights * room} + {ticket} = {total}. The answer is {total}."
    return Draft((ticket, nights, room), question, f"{total}", solution, {"kind": "number"})


def _cheapest(rng: random.Random) -> Draft:
    city, means, due = rng.choice(_CITIES), rng.sample(_MEANS, 3), rng.randint(12, 20)
    while True:
        arrivals = [rng.randint(due - 4, due + 4) for _ in means]
        prices = rng.sample(range(10, 100, 5), 3)
        in_time = [k for k in range(3) if arrivals[k] <= due]
        if len(in_time) in (1, 2):
            break
    best = min(in_time, key=lambda k: prices[k])
    told = " ".join(
        f"The {m} arrives at {a}:00 and costs {p} euros." for m, a, p in zip(means, arrivals, prices, strict=True)
    )
    question = f"You must be in {city} by {due}:00. {told} Which is the cheapest that is in time?"
    late = " ".join(f"The {means[k]} is {'in time' if k in in_time else 'too late'}." for k in range(3))
    solution = f"{late} The cheapest in time is the {means[best]}. The answer is {means[best]}."
    return Draft([due, means, arrivals, prices], question, means[best], solution, {"kind": "choice"})


def _day_plan(rng: random.Random, count: int, offered: int) -> Draft:
    """At most a third of all ordered choices are right."""
    while True:
        sights = [_draw_sight(rng, name) for name in rng.sample(_SIGHTS, offered)]
        budget = sum(sight.price for sight in rng.sample(sights, count)) + rng.randint(0, 5)
        choices = list(itertools.permutations(sights, count))
        right = [choice for choice in choices if not _objection(choice, budget)]
        if right and 3 * len(right) <= len(choices):
            break
    number = {2: "two", 3: "three"}[count]
    told = " ".join(
        f"The {s.name} is open from {s.opens}:00 to {s.closes}:00, takes {s.hours} h and costs {s.price} euros."
        for s in sights
    )
    question = (
        f"You visit {number} sights one after the other, from {_START}:00 on, for at most {budget} euros. {told} "
        f"Name {number} that fit, in the order of your visits."
    )
    best = right[0]
    answer, steps, clock = ", ".join(sight.name for sight in best), [], _START
    for sight in best:
        begin = max(clock, sight.opens)
        clock = begin + sight.hours
        steps.append(f"{sight.name.capitalize()} from {begin}:00 to {clock}:00.")
    costs = " + ".join(str(sight.price) for sight in best)
    steps.append(f"{costs} = {sum(sight.price for sight in best)} euros.")
    data = {"kind": "visits", "count": count, "budget": budget, "sights": [list(sight) for sight in sights]}
    solution = f"{' '.join(steps)} The answer is {answer}."
    return Draft([budget, data["sights"]], question, answer, solution, data)


def _draw_sight(rng: random.Random, name: str) -> Sight:
    opens, hours = rng.randint(8, 14), rng.randint(1, 3)
    return Sight(name, opens, opens + hours + rng.randint(0, 4), hours, rng.randint(1, 12) * 5)


def _objection(visits: Sequence[Sight], budget: int) -> str | None:
    """Why some visits cannot be made; None where they can."""
    clock = _START
    for sight in visits:
        clock = max(clock, sight.opens) + sight.hours
        if clock > sight.closes:
            return f"the {sight.name} closes at {sight.closes}:00, before the visit ends"
    cost = sum(sight.price for sight in visits)
    return f"{cost} euros are more than {budget}" if cost > budget else None


def _judge_visits(item: Item, reply: str) -> Judgement:
    sights = {row[0]: Sight(*row) for row in item.data["sights"]}
    text = plain_text(reply)
    count = item.data["count"]
    lists = [mentioned(part, list(sights)) for part in answer_parts(text)]
    named = next((named for named in lists if len(named) >= count), lists[-1])
    if len(named) != count or len(set(named)) != count:
        return Judgement(0.0, None, f"not {count} different sights were named")
    visits = [sights[name] for name in named]
    objection = _objection(visits, item.data["budget"])
    return Judgement(float(objection is None), ", ".join(named), objection or "everything fits")
