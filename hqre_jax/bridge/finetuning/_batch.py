"""From plays to arrays: the turns of an adapter's roles, padded to few sizes, and their parts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hqre_jax.bridge.finetuning._config import Role
from hqre_jax.bridge.finetuning._format import kinds_of
from hqre_jax.bridge.finetuning._plays import Play, Turn
from hqre_jax.bridge.finetuning._turns import KINDS, Turns, equal_states
from hqre_jax.bridge.finetuning.methods import AbstractMethod
from hqre_jax.bridge.models._prompts import bucket

# Each size is a program that takes long to compile: few of them, at the price of some padding.
_SHORTEST, _FEWEST = 64, 16


@dataclass(frozen=True)
class Batch:
    """The turns of an adapter's roles.

    Attributes:
        turns: As arrays; turns of one question and role are neighbours.
        roles: Whose each turn is.
        plays: Turns of each question and role.
        sampled: Log-probability of each decision, as who sampled it says; 0 where there is none.
    """

    turns: Turns
    roles: tuple[str, ...]
    plays: int
    sampled: Float[np.ndarray, "turn step"]

    def parts(self, groups: int, devices: int = 1) -> Iterator[Turns]:
        """The batch in parts of so many whole groups, all of one size: filled up with turns that count nothing.

        Args:
            groups: Questions, role by role.
            devices: That a part is divided among: its size is a multiple of theirs.
        """
        size = groups * self.plays
        for start in range(0, len(self.roles), size):
            missing = -(-size // devices) * devices - len(self.turns.score[start : start + size])

            def filled_up(field: Array, start: int = start, missing: int = missing) -> Array:
                own = np.asarray(field)[start : start + size]
                return jnp.asarray(np.pad(own, [(0, missing), *[(0, 0)] * (own.ndim - 1)]))

            filled = jax.tree.map(filled_up, self.turns)
            # Numbers of states stay below that of decisions in the part.
            states = np.unique(filled.states, return_inverse=True)[1].reshape(filled.states.shape)
            yield filled._replace(states=jnp.asarray(states, jnp.int32))


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
    steps = bucket(max(len(turn.tokens) for _, _, turn in said), _FEWEST)
    length = bucket(max(len(turn.prompt) + len(turn.tokens) for _, _, turn in said), _SHORTEST)
    shape = (len(said), steps)
    tokens = np.zeros((len(said), length), np.int32)
    places, actions, kinds, states = (np.zeros(shape, np.int32) for _ in range(4))
    mask, (tau, sampled) = np.zeros(shape, bool), (np.zeros(shape, np.float32) for _ in range(2))
    numbers = equal_states([(turn.prompt, turn.tokens) for _, _, turn in said])
    groups: dict[tuple[str, int, str, str, int], int] = {}
    group, when = np.zeros(len(said), np.int32), np.array([number for _, number, _ in order], np.int32)
    for k, (role, play, turn) in enumerate(said):
        count, whole = len(turn.tokens), (*turn.prompt, *turn.tokens)
        tokens[k, : len(whole)] = whole
        places[k, :count] = np.arange(count) + len(turn.prompt) - 1
        actions[k, :count], mask[k, :count], states[k, :count] = turn.tokens, True, numbers[k]
        sampled[k, :count] = turn.log_probs
        kinds[k, :count] = kinds_of(turn.tokens, role.format, decode)
        by_kind = method.temperatures(role.tau)
        tau[k, :count] = [by_kind[KINDS[kind]] for kind in kinds[k, :count]]
        question = (role.name, int(when[k]), play.item.task, play.item.task_class, play.item.index)
        group[k] = groups.setdefault(question, len(groups))
    price = [role.price / 1000 if method.judged == "team" else 0.0 for role, _, _ in said]
    score = [_score(method, play, turn) for _, play, turn in said]
    arrays = (tokens, places, actions, mask, kinds, tau, states, group)
    floats = (np.asarray(values, np.float32) for values in (score, price, [1.0] * len(said)))
    turns = Turns(*map(jnp.asarray, (*arrays, *floats)))
    if rounds > 1:
        whose = [k // (rounds * len(plays)) * len(plays) + k % len(plays) for k in range(len(said))]
        turns = turns._replace(play=jnp.asarray(whose, jnp.int32), round=jnp.asarray(when))
    return Batch(turns, tuple(role.name for role, _, _ in said), len(said) // len(groups), sampled)


def _score(method: AbstractMethod, play: Play, turn: Turn) -> float:
    own = method.judged == "turn" and turn.judgement is not None
    return turn.judgement.score if own else play.score  # pyright: ignore[reportOptionalMemberAccess]
