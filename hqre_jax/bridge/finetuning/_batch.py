"""From plays to arrays: the turns of an adapter's roles, padded to few sizes, and their parts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hqre_jax.bridge.finetuning._config import Role
from hqre_jax.bridge.finetuning._format import kinds_of
from hqre_jax.bridge.finetuning._plays import Play, Turn
from hqre_jax.bridge.finetuning._trees import Tree, tree_of
from hqre_jax.bridge.finetuning._turns import KINDS, Turns
from hqre_jax.bridge.finetuning.methods import AbstractMethod
from hqre_jax.bridge.models._decoder import TokenTrees
from hqre_jax.bridge.models._prompts import bucket

# Each size is a program that takes long to compile: few of them, at the price of some padding.
_FEWEST_NODES, _FEWEST_STATES, _FEWEST_STEPS = 64, 16, 16


class Texts(NamedTuple):
    """What is read to decide turns: a row for each question and role.

    Attributes:
        trees: Prompts and replies.
        states: The nodes of each row after which something is decided; its last one again where there are fewer.
    """

    trees: TokenTrees
    states: Int[Array, "row state"]


class Part(NamedTuple):
    """Some rows of a batch.

    Attributes:
        texts: What is read.
        turns: What was decided.
    """

    texts: Texts
    turns: Turns


@dataclass(frozen=True)
class Batch:
    """The turns of an adapter's roles.

    Attributes:
        texts: What is read to decide them.
        turns: As arrays; turns of one question and role are a row.
        roles: Whose each turn is.
        sampled: Log-probability of each decision, as who sampled it says; 0 where there is none.
    """

    texts: Texts
    turns: Turns
    roles: tuple[str, ...]
    sampled: Float[np.ndarray, "turn step"]

    @property
    def plays(self) -> int:
        """Turns of each row."""
        return len(self.roles) // len(self.texts.states)

    def parts(self, groups: int, devices: int = 1) -> Iterator[Part]:
        """The batch in parts of so many rows, all of one size: filled up with rows that count nothing.

        Args:
            groups: Rows of a part.
            devices: That a part is divided among: its rows are a multiple of theirs.
        """
        rows = len(self.texts.states)
        for start in range(0, rows, groups):
            missing = -(-groups // devices) * devices - len(self.texts.states[start : start + groups])

            def filled_up(field: Array, start: int = start, missing: int = missing) -> Array:
                each = len(field) // rows
                own = np.asarray(field)[start * each : (start + groups) * each]
                return jnp.asarray(np.pad(own, [(0, missing * each), *[(0, 0)] * (own.ndim - 1)]))

            yield jax.tree.map(filled_up, Part(self.texts, self.turns))


def batch_of(
    plays: Sequence[Play], roles: Sequence[Role], method: AbstractMethod, decode: Callable[[Sequence[int]], str]
) -> Batch:
    """The turns of some roles in some plays.

    Args:
        plays: The plays; those of one question are neighbours.
        roles: Roles that share an adapter.
        method: Says what a turn's score is, and with which temperatures.
        decode: Text of tokens.
    """
    rounds = len(plays[0].turns[roles[0].name])
    order = [(role, number, play) for role in roles for number in range(rounds) for play in plays]
    said = [(role, play, play.turns[role.name][number]) for role, number, play in order]
    shape = (len(said), _size(max(len(turn.tokens) for _, _, turn in said), _FEWEST_STEPS))
    actions, kinds, states = (np.zeros(shape, np.int32) for _ in range(3))
    mask, (tau, sampled) = np.zeros(shape, bool), (np.zeros(shape, np.float32) for _ in range(2))
    groups: dict[tuple[str, int, str, str, int], int] = {}
    group, when = np.zeros(len(said), np.int32), np.array([number for _, number, _ in order], np.int32)
    for k, (role, play, turn) in enumerate(said):
        count = len(turn.tokens)
        actions[k, :count], mask[k, :count], sampled[k, :count] = turn.tokens, True, turn.log_probs
        kinds[k, :count] = kinds_of(turn.tokens, role.format, decode)
        by_kind = method.temperatures(role.tau)
        tau[k, :count] = [by_kind[KINDS[kind]] for kind in kinds[k, :count]]
        question = (role.name, int(when[k]), play.item.task, play.item.task_class, play.item.index)
        group[k] = groups.setdefault(question, len(groups))
    texts = _texts([turn for _, _, turn in said], len(said) // len(groups), states)
    price = [role.price / 1000 if method.judged == "team" else 0.0 for role, _, _ in said]
    score = [_score(method, play, turn) for _, play, turn in said]
    arrays = (actions, mask, kinds, tau, states, group)
    floats = (np.asarray(values, np.float32) for values in (score, price, [1.0] * len(said)))
    turns = Turns(*map(jnp.asarray, (*arrays, *floats)))
    if rounds > 1:
        whose = [k // (rounds * len(plays)) * len(plays) + k % len(plays) for k in range(len(said))]
        turns = turns._replace(play=jnp.asarray(whose, jnp.int32), round=jnp.asarray(when))
    return Batch(texts, turns, tuple(role.name for role, _, _ in said), sampled)


def _texts(said: Sequence[Turn], plays: int, states: Int[np.ndarray, "turn step"]) -> Texts:
    """What is read to decide turns, so many a row; where in its row each decision is made goes into `states`."""
    trees: list[Tree] = []
    decided: list[list[int]] = []
    for first in range(0, len(said), plays):
        turns = said[first : first + plays]
        # After the last token nothing is decided, so nobody reads it.
        trees.append(tree_of([(*turn.prompt, *turn.tokens[:-1]) for turn in turns]))
        nodes = [path[len(turn.prompt) - 1 :] for turn, path in zip(turns, trees[-1].paths, strict=True)]
        decided.append(sorted({node for path in nodes for node in path}))
        place = {node: number for number, node in enumerate(decided[-1])}
        for k, path in enumerate(nodes):
            states[first + k, : len(path)] = [place[node] for node in path]
    size = _size(max(len(tree.tokens) for tree in trees), _FEWEST_NODES)
    tokens, depths, ends = (np.zeros((len(trees), size), np.int32) for _ in range(3))
    most = _size(max(map(len, decided)), _FEWEST_STATES)
    for row, tree in enumerate(trees):
        for field, values in ((tokens, tree.tokens), (depths, tree.depths), (ends, tree.ends)):
            field[row, : len(values)] = values
    nodes = np.stack([np.pad(own, (0, most - len(own)), mode="edge") for own in decided]).astype(np.int32)
    return Texts(TokenTrees(*map(jnp.asarray, (tokens, depths, ends))), jnp.asarray(nodes))


def _size(count: int, smallest: int) -> int:
    """The least of smallest · 2^k and smallest · 3 · 2^(k−1) that holds so many."""
    power = bucket(count, smallest)
    return power * 3 // 4 if power > smallest and power * 3 // 4 >= count else power


def _score(method: AbstractMethod, play: Play, turn: Turn) -> float:
    own = method.judged == "turn" and turn.judgement is not None
    return turn.judgement.score if own else play.score  # pyright: ignore[reportOptionalMemberAccess]
