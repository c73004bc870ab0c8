"""Gambit's extensive form (``.efg``, version 2): game trees as text.

A file is a header, an optional comment and the nodes of the tree in prefix order, each a line such as ::

    c "" 1 "deal" { "King" 1/2 "Queen" 1/2 } 0
    p "" 1 1 "King" { "bet" "fold" } 0
    t "" 1 "won" { 2, -2 }

Information sets and outcomes are described where they first appear and by their number alone thereafter.
Reading and writing walk the tree with a stack of their own: a tree may be deeper than Python's.

Reference: the Gambit project, "Game representation formats".
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hqre_jax.core._types import InputError, Labels, name_at, spoken
from hqre_jax.games._gambit_text import (
    Tokens,
    format_number,
    format_probability,
    quote,
    read_header,
    read_names,
)
from hqre_jax.games._tree import forgotten_move

CHANCE, TERMINAL = -1, -2
PROBABILITY_TOL = 1e-9


@dataclass(frozen=True)
class _InformationSet:
    """What a file says of one information set, or of one chance move (then with probabilities)."""

    index: int
    number: int
    name: str
    actions: tuple[str, ...]
    probabilities: tuple[float, ...] = ()


@dataclass
class _Tree:
    """The tree as read so far: one entry per node in each list, in file order."""

    num_players: int
    parent: list[int] = field(default_factory=list)
    player: list[int] = field(default_factory=list)
    information_set: list[int] = field(default_factory=list)
    branch: list[int] = field(default_factory=list)
    probability: list[float] = field(default_factory=list)
    payoffs: list[tuple[float, ...]] = field(default_factory=list)
    offset: list[int] = field(default_factory=list)  # where in the text the node's information set stands
    number: list[int] = field(default_factory=list)  # what the file calls that information set
    nodes: list[str] = field(default_factory=list)  # names, these and the following
    outcome: list[str] = field(default_factory=list)
    chance_moves: list[str] = field(default_factory=list)
    chance_actions: list[str] = field(default_factory=list)
    sets: dict[tuple[int, int], _InformationSet] = field(default_factory=dict)  # by player and number
    num_sets: Counter[int] = field(default_factory=Counter)
    outcomes: dict[int, tuple[str, tuple[float, ...]]] = field(default_factory=dict)

    def information_sets(self, player: int) -> list[_InformationSet]:
        """The information sets of a player, in order of first appearance."""
        return [s for (owner, _), s in self.sets.items() if owner == player]


def parse_efg(text: str, name: str) -> dict[str, Any]:
    """Reads a game tree in Gambit's extensive form.

    Nodes keep the file's (prefix) order; a player's information sets are numbered 0, 1, .. in order of
    first appearance. Payoffs stay at the nodes where the file puts its outcomes, inner nodes included.
    An information set without a name is called by its number in the file, an action by its place.

    Args:
        text: The contents of the file.
        name: What the file is called in error messages.

    Returns:
        The arguments of ``ExtensiveFormGame``: ``parent``, ``player``, ``information_set``, ``branch``,
        ``probability`` with axis (node,), ``payoffs`` with axes (player, node), and ``labels``.

    Raises:
        InputError: The text is no such file; the field is ``name:LINE:COLUMN``.
    """
    tokens = Tokens(text, name)
    title, players = read_header(tokens, "EFG", "2")
    comment = tokens.optional_string("the comment")
    tree = _Tree(len(players))
    unfinished: list[list] = []  # the path to the next node: [node, information set, next branch]
    while True:
        node, moves = len(tree.parent), _read_node(tokens, tree)
        parent, above, branch = unfinished[-1] if unfinished else (-1, None, -1)
        tree.parent.append(parent)
        tree.branch.append(branch)
        chance = above if above and above.probabilities else None
        tree.probability.append(chance.probabilities[branch] if chance else 1.0)
        name = chance.actions[branch] if chance else ""
        tree.chance_actions.append("" if name == str(branch + 1) else name)
        if unfinished:
            unfinished[-1][2] += 1
        if moves:
            unfinished.append([node, moves, 0])
        while unfinished and unfinished[-1][2] == len(unfinished[-1][1].actions):
            unfinished.pop()
        if not unfinished:
            break
    tokens.finish()
    _check_recall(tokens, tree)
    sets = [tree.information_sets(i) for i in range(len(players))]
    return {
        "parent": np.array(tree.parent),
        "player": np.array(tree.player),
        "information_set": np.array(tree.information_set),
        "branch": np.array(tree.branch),
        "probability": np.array(tree.probability),
        "payoffs": np.array(tree.payoffs).T.copy(),
        "labels": Labels(
            title=title,
            source=comment,
            players=players,
            information_states=tuple(tuple(s.name for s in own) for own in sets),
            actions=tuple(tuple(s.actions for s in own) for own in sets),
            nodes=spoken(tree.nodes),
            outcomes=spoken(tree.outcome),
            chance_moves=spoken(tree.chance_moves),
            chance_actions=spoken(tree.chance_actions),
        ),
    }


def _read_node(tokens: Tokens, tree: _Tree) -> _InformationSet | None:
    """Reads one node into the tree; returns the move made there, None at a leaf."""
    kind = tokens.word("c", "p", "t", what="a node (c, p or t)")
    tree.nodes.append(tokens.string("the node's name"))
    player, moves = TERMINAL, None
    if kind == "c":
        player = CHANCE
    elif kind == "p":
        start = tokens.offset
        player = tokens.integer("the player's number") - 1
        if not 0 <= player < tree.num_players:
            tokens.fail(f"player {player + 1} of {tree.num_players}", start)
    tree.offset.append(tokens.offset)
    if kind != "t":
        moves = _read_information_set(tokens, tree, player)
    tree.player.append(player)
    tree.information_set.append(moves.index if kind == "p" and moves else -1)
    tree.number.append(moves.number if moves else -1)
    tree.chance_moves.append(moves.name if kind == "c" and moves else "")
    outcome, payoffs = _read_outcome(tokens, tree)
    tree.outcome.append(outcome)
    tree.payoffs.append(payoffs)
    return moves


def _read_information_set(tokens: Tokens, tree: _Tree, player: int) -> _InformationSet:
    """Reads ``id ["name" { actions }]``: a description the first time, and the same one or none later."""
    start = tokens.offset
    number = tokens.integer("the information set's number")
    known = tree.sets.get((player, number))
    whose = "chance move" if player == CHANCE else f"player {player + 1}, information set"
    if tokens.kind != "string" and not tokens.at("{"):
        if known is None:
            tokens.fail(f"{whose} {number} is not described before; add its name and its actions", start)
        return known
    name = tokens.optional_string("the information set's name")
    probabilities: list[float] = []
    if player == CHANCE:
        tokens.skip("{")
        actions = []
        while not tokens.at("}") or not actions:
            actions.append(tokens.string("a chance action's name" if not actions else "'}' or a chance action"))
            at = tokens.offset
            probabilities.append(tokens.number("its probability"))
            if probabilities[-1] < 0:
                tokens.fail("a probability cannot be negative", at)
        tokens.advance()
        total = math.fsum(probabilities)
        if abs(total - 1) > PROBABILITY_TOL:
            tokens.fail(f"the probabilities of chance move {number} sum to {total:.12g}, not to 1", start)
        actions = tuple(action or str(k) for k, action in enumerate(actions, start=1))
    else:
        name = name or str(number)
        actions = read_names(tokens, "an action's name")
    index = known.index if known else tree.num_sets[player]
    described = _InformationSet(index, number, name, actions, tuple(probabilities))
    if known is None:
        tree.sets[player, number] = described
        tree.num_sets[player] += 1
    elif described != known:
        what = "actions" if actions != known.actions else "name" if name != known.name else "probabilities"
        tokens.fail(f"{whose} {number} has other {what} here than where it is first described", start)
    return described


def _read_outcome(tokens: Tokens, tree: _Tree) -> tuple[str, tuple[float, ...]]:
    """Reads ``id ["name" { payoffs }]``, which is called as it is here or was at first; outcome 0 pays nothing."""
    start = tokens.offset
    number = tokens.integer("the outcome's number")
    if tokens.kind != "string" and not tokens.at("{"):
        if number and number not in tree.outcomes:
            tokens.fail(f"outcome {number} is not described before; add its name and its payoffs", start)
        return tree.outcomes[number] if number else ("", (0.0,) * tree.num_players)
    if number == 0:
        tokens.fail("outcome 0 pays nothing; give this one a positive number", start)
    name = tokens.optional_string("the outcome's name")
    tokens.skip("{")
    payoffs = tokens.payoffs(tree.num_players)
    known = tree.outcomes.setdefault(number, (name, payoffs))
    if known[1] != payoffs:
        tokens.fail(f"outcome {number} has other payoffs here than where it is first described", start)
    return name or known[0], payoffs


def _check_recall(tokens: Tokens, tree: _Tree) -> None:
    """Refuses imperfect recall in the file's own words: where, whose, and which information set."""
    columns = tree.parent, tree.player, tree.information_set, tree.branch
    fault = forgotten_move(*columns, range(len(tree.parent)))
    if fault is not None:
        node, player = fault[1], tree.player[fault[1]]
        described = tree.sets[player, tree.number[node]]
        first = tokens.line(tree.offset[fault[0]])
        tokens.fail(
            f"player {player + 1} has imperfect recall: information set {described.number} "
            f"({quote(described.name)}) is met here after other own moves than at line {first}",
            tree.offset[node],
        )


def format_efg(game: Any) -> str:
    """Writes a game tree in Gambit's extensive form.

    Reading the text back gives the same tree bit for bit where nodes are in prefix order and information
    sets are numbered by first appearance (as :func:`parse_efg` returns them); otherwise the same tree in
    that order.

    Args:
        game: An ``ExtensiveFormGame``, or anything with its attributes.

    Returns:
        The contents of the file.

    Raises:
        InputError: Some actions are masked out, which this format cannot say.
    """
    parent, player, information_set, branch = (
        np.asarray(getattr(game, key)) for key in ("parent", "player", "information_set", "branch")
    )
    probability, payoffs = np.asarray(game.probability), np.asarray(game.payoffs, dtype=np.float64).T
    labels = game.labels or Labels()
    children: list[list[int]] = [[] for _ in parent]
    for node in np.lexsort((branch, parent)):
        if parent[node] >= 0:
            children[parent[node]].append(int(node))
    names = " ".join(quote(labels.player(i)) for i in range(payoffs.shape[1]))
    lines = [f"EFG 2 R {quote(labels.title)} {{ {names} }}", quote(labels.source), ""]
    described: set[tuple[int, int]] = set()
    num_actions = 0
    outcomes: dict[tuple[str, bytes], int] = {("", np.zeros(payoffs.shape[1]).tobytes()): 0}
    chance_moves = 0
    ahead = [int(np.flatnonzero(parent < 0)[0])]
    while ahead:
        node = ahead.pop()
        ahead.extend(reversed(children[node]))
        i, x = int(player[node]), int(information_set[node])
        called = quote(name_at(labels.nodes, node))
        if i == TERMINAL:
            move = f"t {called}"
        elif i == CHANCE:
            chance_moves += 1
            names_of = [name_at(labels.chance_actions, n) for n in children[node]]
            edges = (
                f"{quote(name or str(a))} {format_probability(probability[n])}"
                for a, (name, n) in enumerate(zip(names_of, children[node], strict=True), start=1)
            )
            name = quote(name_at(labels.chance_moves, node))
            move = f"c {called} {chance_moves} {name} {{ {' '.join(edges)} }}"
        else:
            move = f"p {called} {i + 1} {x + 1}"
            if (i, x) not in described:
                described.add((i, x))
                num_actions += len(children[node])
                actions = " ".join(quote(labels.action(i, x, a)) for a in range(len(children[node])))
                move += f" {quote(labels.information_state(i, x))} {{ {actions} }}"
        name = name_at(labels.outcomes, node)
        key, count = (name, payoffs[node].tobytes()), len(outcomes)
        outcome = str(outcomes.setdefault(key, count))
        if len(outcomes) > count:
            outcome += f" {quote(name)} {{ {', '.join(map(format_number, payoffs[node]))} }}"
        lines.append(f"{move} {outcome}")
    if np.asarray(game.action_mask).sum() < num_actions:
        raise InputError("action_mask", "an .efg file has no masked actions; save as .json or .npz")
    return "\n".join(lines) + "\n"
