"""Game trees, and their judge: a recursion over nodes in plain Python, nothing shared with the library."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks._case import Case
from benchmarks._normal_form_case import logit

CHANCE, TERMINAL = -1, -2


@dataclass(eq=False)
class Node:
    """A node and what hangs below it.

    Attributes:
        player: Who moves: 0, 1, …; −1 chance, −2 where play ends.
        state: The mover's information state, counted in the order in which a walk in depth meets them.
        children: Nodes behind the moves, in their order.
        chances: Probabilities of chance's moves.
        payoffs: One per player, where play ends.
    """

    player: int
    state: int = -1
    children: list["Node"] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)
    payoffs: np.ndarray | None = None

    def walk(self) -> Iterator["Node"]:
        """This node and all below, in depth."""
        yield self
        for child in self.children:
            yield from child.walk()


def open_spiel_tree(name: str) -> tuple[Node, tuple[tuple[str, ...], ...]]:
    """The tree of an OpenSpiel game, and OpenSpiel's names of each player's information states."""
    import pyspiel

    game = pyspiel.load_game(name)
    numbers: list[dict[str, int]] = [{} for _ in range(game.num_players())]

    def read(state: Any) -> Node:
        if state.is_terminal():
            return Node(TERMINAL, payoffs=np.array(state.returns()))
        if state.is_chance_node():
            moves, chances = zip(*state.chance_outcomes(), strict=True)
            return Node(CHANCE, children=[read(state.child(move)) for move in moves], chances=list(chances))
        player = state.current_player()
        number = numbers[player].setdefault(state.information_state_string(), len(numbers[player]))
        return Node(player, number, [read(state.child(move)) for move in state.legal_actions()])

    return read(game.new_initial_state()), tuple(tuple(states) for states in numbers)


@dataclass(frozen=True, eq=False, kw_only=True)
class TreeCase(Case):
    """One game tree in agent form (plain continuation); answers are ``(game, player, information state, action)``.

    Attributes:
        name: What OpenSpiel calls the game.
    """

    name: str

    @property
    def num_games(self) -> int:
        return 1

    @cached_property
    def tree(self) -> tuple[Node, tuple[tuple[str, ...], ...]]:
        """Root, and names of the information states."""
        return open_spiel_tree(self.name)

    @cached_property
    def num_actions(self) -> np.ndarray:
        """Number of actions ``(player, information state)``; 0 where a player has fewer states."""
        root, states = self.tree
        counts = np.zeros((len(states), max(map(len, states))), int)
        for node in root.walk():
            if node.player >= 0:
                counts[node.player, node.state] = len(node.children)
        return counts

    def residuals(self, answers: np.ndarray) -> np.ndarray:
        root, counts = self.tree[0], self.num_actions
        used = np.arange(counts.max()) < counts[..., None]
        worst = []
        for policy in answers:
            values = np.where(used, action_values(root, policy), -np.inf)
            gap = np.abs(policy - logit(np.where(counts[..., None] > 0, values, 0.0), self.tau))[used].max()
            worst.append(gap if np.isfinite(gap) else np.inf)
        return np.array(worst)


def action_values(root: Node, policy: np.ndarray) -> np.ndarray:
    """``Q_i(x, a)``: what i expects from a at x, its opponents having played so that x was reached.

    Args:
        root: The tree.
        policy: ``(player, information state, action)``.

    Returns:
        The same shape; nan at states that the others never lead to.
    """
    worth, reach = np.zeros_like(policy), np.zeros(policy.shape[:2])

    def value(node: Node, others: np.ndarray) -> np.ndarray:
        """Expected payoffs from a node on; ``others[i]`` is its probability but for i's own moves."""
        if node.payoffs is not None:
            return node.payoffs
        if node.player == CHANCE:
            expected = [value(child, others * p) for p, child in zip(node.chances, node.children, strict=True)]
            return np.asarray(node.chances) @ np.array(expected)
        i, x = node.player, node.state
        total = np.zeros(len(others))
        for a, child in enumerate(node.children):
            below = others * policy[i, x, a]
            below[i] = others[i]
            expected = value(child, below)
            worth[i, x, a] += others[i] * expected[i]
            total += policy[i, x, a] * expected
        reach[i, x] += others[i]
        return total

    value(root, np.ones(len(policy)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return worth / reach[..., None]
