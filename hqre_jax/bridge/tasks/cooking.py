"""Soup for two cooks, after Overcooked."""

import random
import re
from collections.abc import Mapping
from typing import Any

from hqre_jax.bridge.tasks._cooking import ACTIONS, Kitchen, after_round, best_round, partner_action, right_actions
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
from hqre_jax.bridge.tasks._replies import answer_parts, find_choice, plain_text

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
_SOUPS = ("pea", "leek", "beet", "carrot", "bean", "lentil", "corn", "tomato")
_ROLES = {"onions": "I fetch the onions.", "dish": "I take the dish and serve."}


class Cooking(AbstractGeneratedTask, AbstractInteractiveTask, AbstractDividedTask):
    """What to do next, alone or beside a partner who has said what they do; and orders of which each cook does a part.

    Played, the score is fewest / used rounds, 0 after twice the fewest; a reply that names no sub-task is waiting. With
    a model as partner both choose at once, and neither knows the other's choice.

    Orders are divided: one cook fetches, the other cooks, and the order is right only if both parts are.
    Overcooked itself, with its grid, is played by reinforcement learners through `hqre_jax.bridge.JaxMARLSimulator`, on
    its own layout files too (`load_overcooked_layout`). They hold no questions, and this kitchen has no grid: there is
    no official file of items.
    """

    name = "cooking"
    domain = "coordination"
    after = "Overcooked"
    verifier = "a sub-task is right if it is on a shortest way to the soup; orders: both numbers, exactly"
    official = None
    classes = ("order_fetch", "order_cook", "order", "alone", "with_partner")
    interactive = ("alone", "with_partner")
    partners = ("scripted", "model")
    parts = ("fetch", "cook")
    divided = ("order",)

    def draw(self, task_class: str, rng: random.Random) -> Draft:
        """See `AbstractGeneratedTask`."""
        return _order(rng, task_class) if task_class.startswith("order") else _next_step(rng, task_class)

    def judge(self, item: Item, reply: str) -> Judgement:
        """See `AbstractTask`."""
        if item.data["kind"] == "kitchen":
            kitchen, role = _kitchen(item.data), item.data["role"]
            found = find_choice(reply, ACTIONS)
            if found is None:
                return Judgement(0.0, None, f"not one of {', '.join(ACTIONS)} was named")
            score = float(found in right_actions(kitchen, role))
            return Judgement(score, found, f"{found} is right" if score else f"{found} does not help now")
        if item.data["kind"] == "part":
            assert item.answer is not None
            return judge_number(reply, item.answer)
        order = _read_order(reply)
        if order is None:
            return Judgement(0.0, None, "not two numbers were given")
        found = f"{order[0]} onions, {order[1]} minutes"
        score = float(found == item.answer)
        return Judgement(score, found, "both numbers are right" if score else f"{found} is not {item.answer}")

    def part_of(self, item: Item, part: str) -> Item:
        """See `AbstractDividedTask`."""
        draft = _order_part(item.data["order"], part)
        place = self.name, f"order_{part}", item.split, item.index
        return Item(*place, draft.question, draft.answer, draft.solution, draft.data)

    def begin(self, item: Item, partner: Partner = "scripted") -> AbstractDialogue:
        """See `AbstractInteractiveTask`."""
        return _Shift(item, partner)


def _order(rng: random.Random, task_class: str) -> Draft:
    soups = rng.sample(_SOUPS, 2)
    order = {"table": rng.randint(1, 9), "soups": soups}
    order |= {"onions": [rng.randint(1, 6) for _ in soups], "minutes": [rng.randint(2, 9) for _ in soups]}
    if task_class != "order":
        part = task_class.removeprefix("order_")
        return _order_part(order, part)
    fetch, cook = (_order_part(order, part) for part in Cooking.parts)
    question = f"{_say_order(order)} How many onions are wanted, and for how many minutes is cooked?"
    answer = f"{fetch.answer} onions, {cook.answer} minutes"
    solution = f"{_sum_of(order['onions'])} {_sum_of(order['minutes'])} The answer is {answer}."
    return Draft([order], question, answer, solution, {"kind": "order", "order": order})


def _order_part(order: Mapping[str, Any], part: str) -> Draft:
    numbers = order["onions" if part == "fetch" else "minutes"]
    asked = "How many onions are wanted?" if part == "fetch" else "For how many minutes is cooked?"
    solution = f"{_sum_of(numbers)} The answer is {sum(numbers)}."
    return Draft([order, part], f"{_say_order(order)} {asked}", f"{sum(numbers)}", solution, {"kind": "part"})


def _say_order(order: Mapping[str, Any]) -> str:
    told = [
        f"{soup} soup with {count} onion{'s' * (count > 1)}, cooked for {minutes} minutes"
        for soup, count, minutes in zip(order["soups"], order["onions"], order["minutes"], strict=True)
    ]
    return f"Table {order['table']} orders {told[0]}; then {told[1]}."


_AMOUNT = re.compile(
    r"(?:\b(?P<before>onion|minute)s?[\"'*]{0,3}\s{0,3}[:=]\s{0,3}[\"'*]{0,3})?"
    r"(?<![\d.])(?P<number>\d{1,9})(?![\d.]*\d)(?:\**\s{0,3}(?P<after>onion|minute))?",
    re.I,
)
_WORKING = re.compile(r"\d[\d\s+]{0,40}=")


def _read_order(reply: str) -> tuple[int, int] | None:
    """Onions and minutes of a reply, by their names, or in this order where they have none."""
    text = plain_text(reply)
    parts = answer_parts(text)
    if parts == [text]:
        told = [line for line in text.split("\n") if any(c.isdigit() for c in line)]
        parts = ["\n".join(told[-1:]), "\n".join(told[-2:])]
    for part in parts:
        found = list(_AMOUNT.finditer(_WORKING.sub("", part)))
        if len(found) == 2:
            names = tuple((match["before"] or match["after"] or "").lower() for match in found)
            first, second = (int(match["number"]) for match in found)
            if names in (("onion", "minute"), ("onion", ""), ("", "minute"), ("", "")):
                return first, second
            return (second, first) if names in (("minute", "onion"), ("minute", ""), ("", "onion")) else None
    return None


def _sum_of(numbers: list[int]) -> str:
    return f"{numbers[0]} + {numbers[1]} = {sum(numbers)}."


def _next_step(rng: random.Random, task_class: str) -> Draft:
    names, soup, wanted = rng.sample(_NAMES, 2), rng.choice(_SOUPS), rng.choice(ACTIONS)
    while True:
        needed, role = rng.randint(2, 6), None if task_class == "alone" else rng.choice(sorted(_ROLES))
        missing, cooking = rng.choice((0, rng.randint(1, needed))), rng.randint(0, 5)
        cooking += missing > 0
        dishes = [rng.random() < 0.5]
        if role:
            dishes.append(role == "dish" and rng.random() < 0.5)
        kitchen = Kitchen(missing, cooking, tuple(dishes))
        if right_actions(kitchen, role) == {wanted}:
            break
        if rng.random() < 0.02:  # beside a partner, some sub-tasks are never the only right one
            wanted = rng.choice(ACTIONS)
    answer = wanted
    situation = {"needed": needed, "missing": missing, "cooking": cooking, "dishes": dishes}
    data = {"kind": "kitchen", "names": names, "role": role, "soup": soup, **situation}
    question = f"{_scene(data, kitchen, 0)} {_ask(data, role)}"
    why = _why(kitchen, answer, role)
    return Draft([situation, role], question, answer, f"{why} The answer is {answer}.", data)


def _kitchen(data: Mapping[str, Any]) -> Kitchen:
    return Kitchen(data["missing"], data["cooking"], tuple(data["dishes"]))


def _scene(data: Mapping[str, Any], kitchen: Kitchen, cook: int) -> str:
    """What a cook sees."""
    hands = ["You have a dish." if kitchen.dishes[cook] else "You have no dish."]
    if kitchen.dishes[cook] and kitchen.missing:
        hands.append("Fetching an onion lays it aside.")
    if len(kitchen.dishes) > 1:
        other = data["names"][1 - cook]
        hands.append(f"{other} has {'a' if kitchen.dishes[1 - cook] else 'no'} dish.")
    pot = f"The pot of {data['soup']} soup has {data['needed'] - kitchen.missing} of {data['needed']} onions"
    rounds = f"{kitchen.cooking} {'round' if kitchen.cooking == 1 else 'rounds'}"
    if kitchen.missing:
        pot += f" and then cooks for {rounds}."
    else:
        pot += f" and cooks for {rounds} more." if kitchen.cooking else " and is cooked."
    return f"{pot} {' '.join(hands)}"


def _ask(data: Mapping[str, Any], role: str | None) -> str:
    told = f"{data['names'][1]} says: {_ROLES[role]} " if role else ""
    return f"{told}Do you now fetch an onion, take a dish, serve, or wait? Say onion, dish, serve or wait."


def _why(kitchen: Kitchen, action: str, role: str | None) -> str:
    if action == "onion":
        return "The pot wants onions." if role is None else "My partner sees to the dish, so I fetch onions."
    if action == "serve":
        return "The soup is cooked and I have a dish."
    if action == "dish":
        return "The pot is full and I have no dish." if role is None else "I have no dish yet, so I take one."
    if role == "dish":
        return "My partner sees to the dish."
    return "I have a dish and the soup is not cooked yet."


class _Shift(AbstractDialogue):
    """Rounds in the kitchen until the soup is served."""

    def __init__(self, item: Item, partner: Partner):
        self.data, self.kitchen = item.data, _kitchen(item.data)
        self.role = item.data["role"] if partner == "scripted" else None
        self.fewest = best_round(self.kitchen, self.role)[0]
        self.rounds = 0
        self.chosen: list[str] = []

    @property
    def turn(self) -> int:
        """See `AbstractDialogue`."""
        return len(self.chosen)

    def observe(self) -> str:
        """See `AbstractDialogue`."""
        left = 2 * self.fewest - self.rounds
        return f"{_scene(self.data, self.kitchen, self.turn)} Rounds left: {left}. {_ask(self.data, self.role)}"

    def act(self, reply: str) -> None:
        """See `AbstractDialogue`; a reply that names no sub-task, or several, is waiting."""
        self.chosen.append(find_choice(reply, ACTIONS) or "wait")
        if self.role:
            self.chosen.append(partner_action(self.kitchen, self.role))
        if len(self.chosen) == len(self.kitchen.dishes):
            self.kitchen = after_round(self.kitchen, tuple(self.chosen))
            self.chosen, self.rounds = [], self.rounds + 1

    @property
    def done(self) -> bool:
        """See `AbstractDialogue`."""
        return self.kitchen.served or self.rounds == 2 * self.fewest

    def judgement(self) -> Judgement:
        """See `AbstractDialogue`."""
        if not self.kitchen.served:
            return Judgement(0.0, None, f"no soup in {self.rounds} rounds; {self.fewest} are enough")
        said = f"served in {self.rounds} rounds; fewest {self.fewest}"
        return Judgement(self.fewest / self.rounds, "served", said)

    def scripted_reply(self, player: str, rng: random.Random) -> str:
        """Player "perfect" follows a shortest way; "random" takes any sub-task."""
        return best_round(self.kitchen, self.role)[1][self.turn] if player == "perfect" else rng.choice(ACTIONS)
