"""Sequences as trees: turns of one question begin alike, and what they share need be read once."""

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple


class Tree(NamedTuple):
    """Sequences that share their beginnings, see `TokenTrees`.

    Attributes:
        tokens: Of each node.
        depths: Its place in its sequence.
        ends: The node behind its last descendant.
        paths: The nodes of each sequence.
    """

    tokens: list[int]
    depths: list[int]
    ends: list[int]
    paths: list[list[int]]


def tree_of(sequences: Sequence[tuple[int, ...]]) -> Tree:
    """The tree of some sequences.

    In their order as words have it, each leaves the one before it somewhere and does not come back: so nodes are listed
    as `TokenTrees` wants them.
    """
    tokens: list[int] = []
    depths: list[int] = []
    paths: list[list[int]] = [[] for _ in sequences]
    before: tuple[int, ...] = ()
    path: list[int] = []
    for k in sorted(range(len(sequences)), key=sequences.__getitem__):
        alike = takewhile(lambda pair: pair[0] == pair[1], zip(before, sequences[k], strict=False))
        shared = sum(1 for _ in alike)
        before = sequences[k]
        path = path[:shared] + list(range(len(tokens), len(tokens) + len(before) - shared))
        tokens.extend(before[shared:])
        depths.extend(range(shared, len(before)))
        paths[k] = path
    ends = list(range(1, len(tokens) + 1))
    for node in reversed(range(len(tokens))):
        while ends[node] < len(tokens) and depths[ends[node]] > depths[node]:
            ends[node] = ends[ends[node]]
    return Tree(tokens, depths, ends, paths)
