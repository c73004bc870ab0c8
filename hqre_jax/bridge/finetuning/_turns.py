"""Turns as arrays: what one adapter's roles said in the plays of one step, and what it came to.

Every reply token is a decision. Its state is all that stands before it (prompt, and reply so far), its action is the
token; its type, and with it its temperature, is a function of the state. Policies are functions of states, too: what
they are is computed once for every state, however many decisions are made there.

States lie in rows, and so do turns: with R rows, the first T/R turns are those of the first row, and so on.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

KINDS = ("reasoning", "message", "answer")


class Turns(NamedTuple):
    """Turns of the roles that share an adapter. Turns of one question and role are neighbours.

    Attributes:
        actions: The reply's tokens, the end of the turn included.
        mask: Which decisions there are.
        kinds: Type of each decision, a place in `KINDS`.
        tau: Temperature of each decision, units of score.
        states: Where each decision is made: place of its state in the turn's row, 0 where there is none.
        group: Number of each turn's question and role.
        score: Of the play, or of the turn itself where the method says so.
        price: Of one token, units of score.
        weight: How much each turn counts in means over turns: 1, or the probability of a turn that was not sampled.
        play: Number of each turn's play and role, and
        round: which round of the play it is in, from 0; None for both where plays have one round.
    """

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
    """Log-probabilities of all tokens at every state.

    Attributes:
        now: π_φ, of the adapter that is trained.
        before: π_φk, of the adapter that played.
        reference: ρ, of the model without adapter; 0 for Shannon entropy, which has no reference.
    """

    now: Float[Array, "row state token"]
    before: Float[Array, "row state token"]
    reference: Float[Array, "row state token"]


def by_row(field: Shaped[Array, "turn step"], rows: int) -> Shaped[Array, "row decision"]:
    """What there is of each decision, those of a row together."""
    return field.reshape(rows, -1)


def at_states(values: Float[Array, "row state"], turns: Turns) -> Float[Array, "turn step"]:
    """What there is at each decision's state."""
    own = jnp.take_along_axis(values, by_row(turns.states, len(values)), axis=1)
    return own.reshape(turns.states.shape)


def chosen(log_policy: Float[Array, "row state token"], turns: Turns) -> Float[Array, "turn step"]:
    """Log-probability of the token that was taken."""
    where = (by_row(field, len(log_policy)) for field in (turns.states, turns.actions))
    return jax.vmap(lambda row, state, action: row[state, action])(log_policy, *where).reshape(turns.states.shape)


def in_later_rounds(amount: Float[Array, " turn"], turns: Turns) -> Float[Array, " turn"]:
    """What the same role's turns in later rounds of the same play come to, added up."""
    if turns.play is None or turns.round is None:
        return jnp.zeros_like(amount)
    later = (turns.play[:, None] == turns.play[None]) & (turns.round[:, None] < turns.round[None])
    return later.astype(amount.dtype) @ amount


def divergence(p: Float[Array, "*b token"], q: Float[Array, "*b token"]) -> Float[Array, "*b"]:
    """``KL(p ‖ q)`` over the vocabulary, exact, in nats; of ``q = 0`` it is minus the entropy of p.

    Args:
        p: Log-probabilities.
        q: Log-probabilities.
    """
    return jnp.sum(jnp.exp(p) * (p - q), axis=-1)
