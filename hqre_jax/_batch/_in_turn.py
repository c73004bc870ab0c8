"""Logit responses in turn: the cheapest way to an equilibrium at which the players' influence on one another is small.

One sweep replaces each player's policy by its logit response to the newest policies of the others. Where the logit map
contracts (T1), sweeps converge to the one equilibrium, faster than responses at the same time: between two players the
error shrinks by ``Λ_12 Λ_21/(τ_1 τ_2)``.

Without that certificate the moves themselves are the evidence. The first sweep is the branch's Taylor polynomial of
first order at s = 1, the second adds what is of second order; if that is small, and every further move at most half of
the one before, influence stays small along the whole branch from the reference: a fold needs influence of norm one.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hqre_jax._batch._homotopy import ARRIVED, LIVE, LOST
from hqre_jax._batch._interleaved import Interleaved, Odds, Policies, apart, average, policies, softmax

# Sweeps after which a lane gives up.
_SWEEPS = 30
# Without a certificate, what the first and the second sweep may change in a probability, and the largest ratio of moves.
_FIRST, _SECOND, _RATIO = 0.25, 0.05, 0.5


class Turns(NamedTuple):
    """Where each lane is.

    Attributes:
        odds: The players' latest answers,
        policies: and their probabilities.
        move: Largest change of a probability in the last sweep,
        ratio: and what part of the one before that was.
        sweeps: Sweeps so far.
        state: `LIVE` while sweeps go on, `ARRIVED` once they converged, `LOST` if they do not.
    """

    odds: Odds
    policies: Policies
    move: Float[Array, " lane"]
    ratio: Float[Array, " lane"]
    sweeps: Int[Array, " lane"]
    state: Int[Array, " lane"]


def answer_in_turn(
    games: Interleaved, unique: Bool[Array, " lane"], live: Bool[Array, " lane"], tol: Float[Array, ""]
) -> Turns:
    """Sweep until no lane is on its way.

    Args:
        games: The games.
        unique: Which of them are certified to have one equilibrium.
        live: Which lanes are to be worked on.
        tol: Largest acceptable residual.

    Returns:
        The `Turns`; lanes that were not live are `LOST`.
    """

    def swept(turns: Turns) -> tuple[Odds, Policies]:
        odds, pi = list(turns.odds), list(turns.policies)
        for i, tensor in enumerate(games.advantage):
            gain = average(tensor, [p for j, p in enumerate(pi) if j != i])
            odds[i] = games.reference[i] + gain
            pi[i] = softmax(odds[i])
        return tuple(odds), tuple(pi)

    def judged(turns: Turns, odds: Odds, pi: Policies) -> Turns:
        move = functools.reduce(
            jnp.maximum, [jnp.max(jnp.abs(p - q), axis=0) for p, q in zip(pi, turns.policies, strict=True)]
        )
        first, second, on_its_way = turns.sweeps == 0, turns.sweeps == 1, turns.state == LIVE
        limit = jnp.where(first, _FIRST, jnp.where(second, jnp.minimum(_SECOND, _RATIO * turns.move), _RATIO * turns.move))
        # Rounding may bring the last moves to a standstill.
        shrinks = (move <= jnp.maximum(limit, tol)) & ~(first & (move <= tol))
        fine = jnp.isfinite(move) & (shrinks | unique) & (turns.sweeps < _SWEEPS)
        # What the next sweep would change is the residual here; the larger one of two ratios foretells it.
        ratio = jnp.minimum(move / jnp.maximum(turns.move, tol), 1.0)
        arrived = fine & ~first & (move * jnp.maximum(ratio, turns.ratio) <= 0.1 * tol)
        state = jnp.where(arrived, ARRIVED, jnp.where(fine, LIVE, LOST))

        def kept(new: Array, old: Array) -> Array:
            return jnp.where(on_its_way, new, old)

        return Turns(
            jax.tree.map(kept, odds, turns.odds),
            jax.tree.map(kept, pi, turns.policies),
            kept(move, turns.move),
            kept(ratio, turns.ratio),
            kept(turns.sweeps + 1, turns.sweeps),
            kept(state, turns.state),
        )

    def sweep(turns: Turns) -> Turns:
        go = jnp.any(live)
        return apart(go, judged, turns, *apart(go, swept, turns))

    start = Turns(
        games.reference,
        policies(games.reference),
        jnp.ones(live.shape, games.tau.dtype),
        jnp.zeros(live.shape, games.tau.dtype),
        jnp.zeros(live.shape, jnp.int32),
        jnp.where(live, LIVE, LOST),
    )
    return jax.lax.while_loop(lambda turns: jnp.any(turns.state == LIVE), sweep, start)
