"""Knights and knaves, and seatings under constraints, after AutoLogi."""

import itertools
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hqre_jax.bridge.tasks._constraint_interpreter import TooMuch, broken_constraint
from hqre_jax.bridge.tasks._constraint_language import read_program
from hqre_jax.bridge.tasks._files import field, json_lines
from hqre_jax.bridge.tasks._generated import AbstractGeneratedTask, Draft
from hqre_jax.bridge.tasks._interface import Item, Judgement
from hqre_jax.bridge.tasks._literals import canonical, find_literal
from hqre_jax.bridge.tasks._replies import answer_parts, names_in_order, plain_text
from hqre_jax.core._types import InputError

_NAMES: tuple[str, ...] = (
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
)
# What somebody says or demands: its kind and whom it is about.
Statement = tuple[str, ...]


class Logic(AbstractGeneratedTask):
    """Puzzles whose answer is a whole assignment, checked against the statements and not against one solution.

    AutoLogi's own files bring their verifiers as Python programs. They are not run: those that keep to a small language
    of constraints are read and walked over, within limits; a file with others is refused, naming their lines.
    """

    name = "logic"
    domain = "reasoning"
    after = "AutoLogi"
    verifier = "the assignment satisfies every statement"
    official = (
        'JSON Lines (testing-data), a puzzle a line: {"prompt": …, "code": {"Inputs_Check_code": …, '
        '"Constraint_List_code": …}}; other keys are ignored'
    )
    classes = ("seats_3", "knights_2", "seats_4", "knights_3")
    answer_tokens = 32

    def draw(self, task_class: str, rng: random.Random) -> Draft:
        """See `AbstractGeneratedTask`."""
        kind, size = task_class.split("_")
        return (_knights if kind == "knights" else _seats)(rng, int(size))

    def judge(self, item: Item, reply: str) -> Judgement:
        """See `AbstractTask`."""
        if item.data["kind"] == "program":
            return _judge_by_program(item, reply)
        names, statements = item.data["names"], [tuple(statement) for statement in item.data["statements"]]
        text = plain_text(reply)
        parts = answer_parts(text)
        if item.data["kind"] == "seats":
            orders = (names_in_order(part, names) for part in parts)
            order = next((order for order in orders if order is not None), None)
            if order is None:
                return Judgement(0.0, None, f"no order of {', '.join(names)} was given")
            broken = [demand for demand in statements if not _seated(demand, order)]
            said = f"broken: {_say_demand(broken[0])}" if broken else "every demand is met"
            return Judgement(float(not broken), ", ".join(order), said)
        roles = max((_read_roles(part, names) for part in parts), key=len)
        if len(roles) < len(names):
            return Judgement(0.0, None, "not everybody was called a knight or a knave")
        wrong = [name for name, *claim in statements if _claim_holds(tuple(claim), roles) != roles[name]]
        said = f"what {wrong[0]} says does not fit" if wrong else "everything said fits"
        return Judgement(float(not wrong), _say_roles(roles), said)

    def load(self, path: str | Path) -> list[Item]:
        """See `AbstractTask`.

        Raises:
            InputError: A line is no puzzle, or the programs of some are beyond the language: of which, and why.
        """
        items, refused = list[Item](), list[InputError]()
        for where, row in json_lines(path):
            code = field(row, "code", where, dict)
            check, constraints = field(code, "Inputs_Check_code", where), field(code, "Constraint_List_code", where)
            try:
                read_program(check, constraints, where)
            except InputError as error:
                refused.append(error)
            data = {"kind": "program", "check": check, "constraints": constraints, "where": where}
            items.append(Item(self.name, "official", "test", len(items), field(row, "prompt", where), None, None, data))
        if refused:
            lines = ", ".join(error.field.removeprefix(f"{path}:").split(" ")[0] for error in refused[:200])
            raise InputError(
                str(path),
                f"holds {len(refused)} of {len(items)} puzzles whose programs cannot be judged; leave out "
                f"the lines {lines}. The first: {refused[0]}",
            )
        return items


def _judge_by_program(item: Item, reply: str) -> Judgement:
    answer = find_literal(reply)
    if answer is None:
        return Judgement(0.0, None, "no dictionary or list was given")
    said = canonical(answer)
    try:
        broken = broken_constraint(read_program(*(item.data[key] for key in ("check", "constraints", "where"))), answer)
    except TooMuch as limit:
        return Judgement(0.0, said, f"the constraints were given up: {limit}")
    return Judgement(float(broken is None), said, f"broken: {broken}" if broken else "every constraint is met")


def _knights(rng: random.Random, size: int) -> Draft:
    """Everybody says one thing; knights say what is true, knaves what is false, and one assignment fits."""
    while True:
        names = rng.sample(_NAMES, size)
        statements = [(name, *_draw_claim(rng, name, names)) for name in names]
        fitting = [
            roles
            for truth in itertools.product((True, False), repeat=size)
            for roles in [dict(zip(names, truth, strict=True))]
            if all(_claim_holds(tuple(claim), roles) == roles[name] for name, *claim in statements)
        ]
        if len(fitting) == 1:
            break
    said = " ".join(f'{name} says: "{_say_claim(tuple(claim))}"' for name, *claim in statements)
    question = (
        f"Knights always tell the truth, knaves always lie. {said} "
        f"For each of {' and '.join(names)}, say whether they are a knight or a knave."
    )
    answer = _say_roles(fitting[0])
    steps = [
        f"What {name} says is {'true' if fitting[0][name] else 'false'}, so {name} is a {_role(fitting[0][name])}."
        for name in names
    ]
    data = {"kind": "knights", "names": names, "statements": [list(statement) for statement in statements]}
    return Draft(data["statements"], question, answer, f"{' '.join(steps)} The answer is {answer}.", data)


def _draw_claim(rng: random.Random, speaker: str, names: Sequence[str]) -> Statement:
    other = rng.choice([name for name in names if name != speaker])
    kind = rng.choice(("knight", "knave", "same", "different", "some knave", "all knights"))
    return (
        (kind, *names)
        if kind in ("some knave", "all knights")
        else (kind, *([speaker] * (kind in ("same", "different"))), other)
    )


def _claim_holds(claim: Statement, roles: dict[str, bool]) -> bool:
    kind, *about = claim
    told = [roles[name] for name in about]
    return {
        "knight": told[0],
        "knave": not told[0],
        "same": len(set(told)) == 1,
        "different": len(set(told)) == 2,
        "some knave": not all(told),
        "all knights": all(told),
    }[kind]


def _say_claim(claim: Statement) -> str:
    kind, *about = claim
    return {
        "knight": f"{about[-1]} is a knight.",
        "knave": f"{about[-1]} is a knave.",
        "same": f"{about[-1]} and I are of the same kind.",
        "different": f"{about[-1]} and I are of different kinds.",
        "some knave": "At least one of us is a knave.",
        "all knights": "All of us are knights.",
    }[kind]


def _role(knight: bool) -> str:
    return "knight" if knight else "knave"


def _say_roles(roles: dict[str, bool]) -> str:
    return ", ".join(f"{name} is a {_role(knight)}" for name, knight in roles.items())


def _read_roles(text: str, names: Sequence[str]) -> dict[str, bool]:
    """What a text calls everybody; where it calls somebody both, the last word counts."""
    roles, waiting, denied = dict[str, bool](), list[str](), False
    for word in re.findall(r"[^\W_]+|n't|\n|[.;]", text):
        name = next((name for name in names if name.lower() == word.lower()), None)
        kind = re.fullmatch(r"(knight|knave)s?", word.lower())
        if name:
            waiting.append(name)
        elif kind:
            roles |= dict.fromkeys(waiting, (kind.group(1) == "knight") != denied)
            waiting, denied = [], False
        elif word.lower() in ("not", "n't", "isn"):
            denied = True
        elif word in ("\n", ".", ";"):
            waiting, denied = [], False
    return {name: roles[name] for name in names if name in roles}


def _seats(rng: random.Random, size: int) -> Draft:
    """Demands that at most a quarter of all orders meet (a third for three people)."""
    while True:
        names = rng.sample(_NAMES, size)
        truth = tuple(rng.sample(names, size))
        demands = sorted({_draw_demand(rng, truth) for _ in range(size - 1)})
        orders = [order for order in itertools.permutations(sorted(names)) if all(_seated(d, order) for d in demands)]
        if len(demands) == size - 1 and len(orders) <= (2 if size == 3 else 6):
            break
    rng.shuffle(demands)
    question = (
        f"{', '.join(names[:-1])} and {names[-1]} sit in a row. {' '.join(map(_say_demand, demands))} "
        "Name them in an order that fits, from left to right."
    )
    answer = ", ".join(orders[0])
    steps = [f"Seat {k}: {name}." for k, name in enumerate(orders[0], 1)]
    data: dict[str, Any] = {"kind": "seats", "names": names, "statements": [list(demand) for demand in demands]}
    return Draft(sorted(data["statements"]), question, answer, f"{' '.join(steps)} The answer is {answer}.", data)


def _draw_demand(rng: random.Random, order: tuple[str, ...]) -> Statement:
    """Something that is so in an order."""
    first, second = sorted(rng.sample(range(len(order)), 2))
    kind = rng.choice(("left", "at", "beside", "apart"))
    if kind == "at":
        return kind, order[first], str(first + 1)
    if kind == "left":
        return kind, order[first], order[second]
    one, two = sorted((order[first], order[second]))
    return "beside" if second == first + 1 else "apart", one, two


def _seated(demand: Statement, order: Sequence[str]) -> bool:
    kind, one, two = demand
    if kind == "at":
        return order.index(one) + 1 == int(two)
    apart = order.index(two) - order.index(one)
    return {"left": apart > 0, "beside": abs(apart) == 1, "apart": abs(apart) > 1}[kind]


def _say_demand(demand: Statement) -> str:
    kind, one, two = demand
    return {
        "left": f"{one} sits to the left of {two}.",
        "at": f"{one} sits in seat {two}.",
        "beside": f"{one} sits beside {two}.",
        "apart": f"{one} does not sit beside {two}.",
    }[kind]
