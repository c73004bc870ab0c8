"""Blocksworld: four operators, states, and shortest plans by search."""

from collections import deque
from functools import lru_cache

TABLE, HAND = -1, -2
# What each block stands on: another block, the table, or the hand.
State = tuple[int, ...]
# Operator, block, and the block below it (−1 where there is none).
Move = tuple[str, int, int]
# Facts "block stands on block".
Goal = tuple[tuple[int, int], ...]


@lru_cache(maxsize=20_000)
def legal_moves(state: State) -> tuple[tuple[Move, State], ...]:
    """Every move that is possible, with the state it leads to."""
    clear = [block for block in range(len(state)) if block not in state and state[block] != HAND]
    if HAND in state:
        held = state.index(HAND)
        drops: list[Move] = [("put down", held, -1), *(("stack", held, below) for below in clear)]
        return tuple((move, (*state[:held], move[2], *state[held + 1 :])) for move in drops)
    lifts: list[Move] = [
        ("pick up", block, -1) if state[block] == TABLE else ("unstack", block, state[block]) for block in clear
    ]
    return tuple((move, (*state[: move[1]], HAND, *state[move[1] + 1 :])) for move in lifts)


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
        if all(here[block] == below for block, below in goal):
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
