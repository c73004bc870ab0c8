"""Turns as arrays: what one adapter's roles said in the plays of one step, and what it came to.

Every reply token is a decision. Its state is all that stands before it (prompt, and reply so far), its action is the
token; its type, and with it its temperature, is a function of the state.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

KINDS = ("reasoning", "message", "answer")


class Turns(NamedTuple):
    """Turns of the roles that share an adapter. Turns of one question and role are neighbours.

    Attributes:
        tokens: Prompt and reply, padded at the end.
        places: Positions after which the reply's tokens are decided, 0 where there is none.
        actions: The reply's tokens, the end of the turn included.
        mask: Which decisions there are.
        kinds: Type of each decision, a place in `KINDS`.
        tau: Temperature of each decision, units of score.
        states: Number of each decision's state: equal states have equal numbers, within the batch.
        group: Number of each turn's question and role.
        score: Of the play, or of the turn itself where the method says so.
        price: Of one token, units of score.
        weight: How much each turn counts in means over turns: 1, or the probability of a turn that was not sampled.
        play: Number of each turn's play and role, and
        round: which round of the play it is in, from 0; None for both where plays have one round.
    """

    tokens: Int[Array, "turn position"]
    places: Int[Array, "turn step"]
    actions: Int[Array, "turn step"]
    mask: Bool[Array, "turn step"]
    kinds: Int[Array, "turn step"]
    tau: Float[Array, "turn step"]
    states: Int[Array, "turn step"]
    group: Int[Array, " turn"]
    score: Float[Array, " turn"]
    price: Float[Array, " turn"]
    weight: Float[Array, " turn"]
    play: Int[Array, " turn"] | None = None
    round: Int[Array, " turn"] | None = None


class LogPolicies(NamedTuple):
    """Log-probabilities of all tokens at every decision.

    Attributes:
        now: π_φ, of the adapter that is trained.
        before: π_φk, of the adapter that played.
        reference: ρ, of the model without adapter; 0 for Shannon entropy, which has no reference.
    """

    now: Float[Array, "turn step token"]
    before: Float[Array, "turn step token"]
    reference: Float[Array, "turn step token"]


def chosen(log_policy: Float[Array, "turn step token"], turns: Turns) -> Float[Array, "turn step"]:
    """Log-probability of the token that was taken."""
    return jnp.take_along_axis(log_policy, turns.actions[..., None], axis=-1)[..., 0]


def in_later_rounds(amount: Float[Array, " turn"], turns: Turns) -> Float[Array, " turn"]:
    """What the same role's turns in later rounds of the same play come to, added up."""
    if turns.play is None or turns.round is None:
        return jnp.zeros_like(amount)
    later = (turns.play[:, None] == turns.play[None]) & (turns.round[:, None] < turns.round[None])
    return later.astype(amount.dtype) @ amount


def divergence(p: Float[Array, "turn step token"], q: Float[Array, "turn step token"]) -> Float[Array, "turn step"]:
    """``KL(p ‖ q)`` over the vocabulary, exact, in nats; of ``q = 0`` it is minus the entropy of p.

    Args:
        p: Log-probabilities.
        q: Log-probabilities.
    """
    return jnp.sum(jnp.exp(p) * (p - q), axis=-1)


def equal_states(turns: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[list[int]]:
    """Numbers of the states of turns, each given as (prompt, reply): equal for equal prompts and equal beginnings."""
    seen: dict[tuple[int | None, int | tuple[int, ...]], int] = {}
    numbers = []
    for prompt, reply in turns:
        own = [seen.setdefault((None, prompt), len(seen))]
        for token in reply[:-1]:
            own.append(seen.setdefault((own[-1], token), len(seen)))
        numbers.append(own)
    return numbers
