"""Blocksworld: four operators, states, and shortest plans by search."""

from collections import deque
from collections.abc import Iterator
from functools import lru_cache

TABLE, HAND = -1, -2
# What each block stands on: another block, the table, or the hand.
State = tuple[int, ...]
# Operator, block, and the block below it (−1 where there is none).
Move = tuple[str, int, int]
# Facts "block stands on block".
Goal = tuple[tuple[int, int], ...]


def legal_moves(state: State) -> Iterator[tuple[Move, State]]:
    """Every move that is possible, with the state it leads to."""
    clear = [block for block in range(len(state)) if block not in state and state[block] != HAND]
    if HAND in state:
        held = state.index(HAND)
        yield ("put down", held, -1), _placed(state, held, TABLE)
        for below in clear:
            yield ("stack", held, below), _placed(state, held, below)
        return
    for block in clear:
        operator = ("pick up", block, -1) if state[block] == TABLE else ("unstack", block, state[block])
        yield operator, _placed(state, block, HAND)


def _placed(state: State, block: int, where: int) -> State:
    return (*state[:block], where, *state[block + 1 :])


def reached(state: State, goal: Goal) -> bool:
    """Whether every fact of the goal holds."""
    return all(state[block] == below for block, below in goal)


def follow(state: State, moves: list[Move]) -> State | int:
    """The state after some moves, or the index of the first one that is not possible."""
    for k, move in enumerate(moves):
        after = dict(legal_moves(state)).get(move)
        if after is None:
            return k
        state = after
    return state


@lru_cache(maxsize=20_000)
def shortest_plan(state: State, goal: Goal) -> tuple[Move, ...] | None:
    """A shortest plan, found by breadth-first search; None where the goal cannot be reached."""
    queue, came = deque([state]), dict[State, tuple[State, Move] | None]({state: None})
    while queue:
        here = queue.popleft()
        if reached(here, goal):
            plan = []
            while (step := came[here]) is not None:
                here = step[0]
                plan.append(step[1])
            return tuple(reversed(plan))
        for move, after in legal_moves(here):
            if after not in came:
                came[after] = (here, move)
                queue.append(after)
    return None
