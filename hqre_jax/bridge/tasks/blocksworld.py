"""Blocks on a table: what stands where, the next move, whole plans; after PlanBench."""

import itertools
import random
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hqre_jax.bridge.tasks._blocks import HAND, TABLE, Goal, Move, State, follow, legal_moves, reached, shortest_plan
from hqre_jax.bridge.tasks._files import field, json_document, json_lines
from hqre_jax.bridge.tasks._generated import AbstractGeneratedTask, Draft
from hqre_jax.bridge.tasks._interface import Item, Judgement
from hqre_jax.bridge.tasks._judging import judge_choice
from hqre_jax.bridge.tasks._replies import plain_text, stated_answer
from hqre_jax.core._types import InputError

_COLOURS: tuple[str, ...] = ("red", "blue", "yellow", "green", "orange", "white", "black", "purple")
_RULES = (
    "Moves: pick up a block from the table, put down the block in the hand, stack the block in the hand on another, "
    "unstack a block from another. Only clear blocks can be moved or stacked on, one at a time."
)
# A plan that wanders longer than this is not read on.
_MOST_MOVES = 60


class Blocksworld(AbstractGeneratedTask):
    """Blocksworld with the four operators of PlanBench; every valid plan is right, however long."""

    name = "blocksworld"
    domain = "planning"
    after = "PlanBench"
    verifier = "moves are carried out exactly: a plan is right if it reaches the goal, a move if it is optimal"
    official = (
        'JSON {"instances": [{"query": …, …}, …]} (task_1_plan_generation, Blocksworld), or JSON Lines of instances'
    )
    classes = ("what_is_below", "what_is_below_after", "next_move", "plan_2", "plan_4", "plan_6")
    answer_tokens = 96

    def draw(self, task_class: str, rng: random.Random) -> Draft:
        """See `AbstractGeneratedTask`."""
        size = 3 if task_class in ("what_is_below", "plan_2") else 4
        names = rng.sample(_COLOURS, size)
        if task_class.startswith("what"):
            return _state_question(rng, names, task_class.endswith("after"))
        while True:
            state, goal = _draw_state(rng, size), tuple((b, s) for b, s in enumerate(_draw_state(rng, size)) if s >= 0)
            if task_class == "next_move" and rng.random() < 0.5:
                state = rng.choice([after for _, after in legal_moves(state)])
            plan = shortest_plan(state, goal)
            wanted = range(1, 5) if task_class == "next_move" else (int(task_class[-1]),)
            if plan is not None and len(plan) in wanted:
                break
        described = f"{_RULES} Now {_say_state(state, names)}. The goal: {_say_goal(goal, names)}."
        data = {"names": names, "state": list(state), "goal": [list(fact) for fact in goal]}
        steps = [_say_move(move, names) for move in plan]
        key = [task_class, names, data["state"], data["goal"]]
        if task_class == "next_move":
            solution = f"A shortest plan: {'; '.join(steps)}. The answer is {steps[0]}."
            return Draft(key, f"{described} What is the best next move?", steps[0], solution, data | {"kind": "move"})
        question = f"{described} Give a plan, one move a line."
        return Draft(key, question, "\n".join(steps), "\n".join(steps), data | {"kind": "plan"})

    def judge(self, item: Item, reply: str) -> Judgement:
        """See `AbstractTask`."""
        names = item.data["names"]
        if item.data["kind"] == "below":
            assert item.answer is not None
            return judge_choice(reply, item.answer, [*names, "table"])
        state, goal = tuple(item.data["state"]), tuple((b, s) for b, s in item.data["goal"])
        text = plain_text(reply).split("[PLAN END]")[0]
        stated = stated_answer(text)
        if item.data["kind"] == "move":
            moves = _read_moves(text if stated is None else stated, names)
            return _judge_move(moves[0] if moves else None, state, goal, names)
        return _judge_plan(_read_moves(text, names), state, goal, names)

    def load(self, path: str | Path) -> list[Item]:
        """See `AbstractTask`."""
        items = []
        for where, row in _instances(path):
            query = field(row, "query", where)
            statement = query.rpartition("As initial conditions I have that")[2]
            start, found, wish = statement.partition("My goal is to have that")
            if not found:
                raise InputError(
                    where, "'query' does not say 'As initial conditions I have that … My goal is to have that'"
                )
            names = sorted(set(re.findall(r"the (\w+) block", statement.split("My plan")[0])))
            state = _read_state(start, names, where)
            goal = [[names.index(a), names.index(b)] for a, b in _ON.findall(wish.split("My plan")[0])]
            if not goal:
                raise InputError(where, "the goal of 'query' says of no block that it is on top of another")
            data = {"kind": "plan", "names": names, "state": state, "goal": goal}
            items.append(Item(self.name, "official", "test", len(items), query, None, None, data))
        return items


def _state_question(rng: random.Random, names: Sequence[str], after: bool) -> Draft:
    state = later = _draw_state(rng, len(names))
    moves: list[str] = []
    if after:
        for _ in range(2):
            move, later = rng.choice(list(legal_moves(later)))
            moves.append(_say_move(move, names))
    # The table is the answer in a third of the questions, as far as states allow.
    stacked, low = ([b for b, s in enumerate(later) if (s >= 0) == up and s != HAND] for up in (True, False))
    asked = rng.choice(stacked if stacked and (not low or rng.random() < 2 / 3) else low)
    answer = names[later[asked]] if later[asked] >= 0 else "table"
    told = f"{_say_state(state, names).capitalize()}."
    if moves:
        told += f" Then I {moves[0]} and {moves[1]}."
    question = f"{told} What is directly below the {names[asked]} block: another block (which colour?) or the table?"
    now = f"Now {_say_state(later, names)}. " if moves else ""
    below = "the table" if answer == "table" else f"the {answer} block"
    solution = f"{now}The {names[asked]} block is on {below}. The answer is {answer}."
    data = {"kind": "below", "names": names}
    return Draft([names, list(state), moves, asked], question, answer, solution, data)


def _draw_state(rng: random.Random, size: int) -> State:
    """Blocks put down one after the other, each on the table or on a clear block."""
    state = [TABLE] * size
    order, tops = rng.sample(range(size), size), list[int]()
    for block in order:
        below = rng.choice([TABLE, *tops])
        state[block] = below
        tops = [*(top for top in tops if top != below), block]
    return tuple(state)


def _say_state(state: State, names: Sequence[str]) -> str:
    """Hand, then every block, in the order of their names' numbers."""
    places = {TABLE: "on the table", HAND: "in the hand"}
    said = [
        f"the {names[block]} block is {places.get(below) or f'on the {names[below]} block'}"
        for block, below in enumerate(state)
    ]
    return f"{', '.join(said[:-1])} and {said[-1]}"


def _say_goal(goal: Goal, names: Sequence[str]) -> str:
    return " and ".join(f"the {names[block]} block is on the {names[below]} block" for block, below in goal)


def _say_move(move: Move, names: Sequence[str]) -> str:
    operator, block, below = move
    link = {"stack": "on", "unstack": "from"}.get(operator)
    return f"{operator} the {names[block]} block" + (f" {link} the {names[below]} block" if link else "")


def _read_moves(text: str, names: Sequence[str]) -> list[Move]:
    """The moves a text names, in order: in words, "stack the red block on the blue block", or as "(stack red blue)"."""
    numbers = {name.lower(): k for k, name in enumerate(names)}
    block = rf"(?:the )?({'|'.join(map(re.escape, names))})\b(?: block)?"
    link = r"(?: (?:from|on|onto|off|to)(?: on)?(?: top)?(?: of)?)?"
    pattern = re.compile(rf"\b(pick[ -]?up|put[ -]?down|unstack|stack) {block}(?:{link} {block})?", re.I)
    moves: list[Move] = []
    for match in itertools.islice(pattern.finditer(text), _MOST_MOVES):
        operator = match[1].lower().replace("-", "").replace(" ", "")
        operator = {"pickup": "pick up", "putdown": "put down"}.get(operator, operator)
        below = numbers.get((match[3] or "").lower(), -1) if operator in ("stack", "unstack") else -1
        moves.append((operator, numbers[match[2].lower()], below))
    return moves


def _judge_move(move: Move | None, state: State, goal: Goal, names: Sequence[str]) -> Judgement:
    if move is None:
        return Judgement(0.0, None, "no move was given")
    after, plan = follow(state, [move]), shortest_plan(state, goal)
    said = _say_move(move, names)
    if isinstance(after, int):
        return Judgement(0.0, said, f"{said}: not possible")
    rest = shortest_plan(after, goal)
    best = plan is not None and rest is not None and len(rest) < len(plan)
    return Judgement(float(best), said, f"{said}: {'on a shortest way' if best else 'a detour'}")


def _judge_plan(moves: list[Move], state: State, goal: Goal, names: Sequence[str]) -> Judgement:
    if not moves:
        return Judgement(0.0, None, "no move was given")
    said = "; ".join(_say_move(move, names) for move in moves)
    end = follow(state, moves)
    if isinstance(end, int):
        return Judgement(0.0, said, f"move {end + 1} is not possible")
    right = reached(end, goal)
    return Judgement(float(right), said, "the goal is reached" if right else "the goal is not reached")


_ON = re.compile(r"the (\w+) block (?:is )?on top of the (\w+) block")


def _read_state(text: str, names: Sequence[str], where: str) -> list[int]:
    state = dict.fromkeys(re.findall(r"the (\w+) block is on the table", text), TABLE)
    state |= {above: names.index(below) for above, below in _ON.findall(text)}
    state |= dict.fromkeys(re.findall(r"(?:holding|in the hand is) the (\w+) block", text), HAND)
    lost = [name for name in names if name not in state]
    if lost:
        raise InputError(where, f"'query' does not say where the {lost[0]} block is")
    return [state[name] for name in names]


def _instances(path: str | Path) -> Iterable[tuple[str, dict[str, Any]]]:
    """The instances of either form of file."""
    if str(path).endswith(".jsonl"):
        return json_lines(path)
    document = json_document(path)
    rows = document.get("instances") if isinstance(document, dict) else document
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(str(path), "has no list 'instances' of objects")
    return [(f"{path}: instance {k}", row) for k, row in enumerate(rows, 1)]
