"""Gauss–Seidel on logit responses: the cheapest way to an equilibrium where the players hardly move one another.

One sweep replaces each player's policy by its logit response to the newest policies of the others. Where the logit map
contracts (T1), sweeps converge to the one equilibrium, faster than responses at the same time: between two players the
error shrinks by ``Λ_12 Λ_21/(τ_1 τ_2)``.

Without that certificate the moves themselves are the evidence. The first sweep is the branch's Taylor polynomial of
first order at s = 1, the second adds what is of second order; if that is small, and every further move at most half of
the one before, influence is small at both ends of the branch. On the way it changes with the policies: what i's answer
owes to j is an average of i's payoffs over the policies of all others, so lanes whose payoffs are large beside what
policies move are left to path following (`drift`). A fold needs influence of norm one. All this is evidence, as the
guards of path following are, and no proof: the limit on the drift was set by what games that hide influence need.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hqre_jax.solvers.batch._interleaved import (
    MOST_DRIFT,
    Interleaved,
    LogOdds,
    average,
    drift,
    policies,
    softmax,
    unfused,
)
from hqre_jax.solvers.batch._path import ARRIVED, LIVE, LOST, in_parts

# Sweeps after which a lane gives up.
_SWEEPS = 30
# Without a certificate: what the first and the second sweep may change in a probability, and the ratio of moves. A
# first move that is less than the last of these shows nothing: next to a symmetry, what grows may hardly be in it.
_FIRST, _SECOND, _RATIO, _LEAST = 0.25, 0.05, 0.5, 1e-3

# Policies of all players, one after the other.
Rows = Float[Array, "action lane"]


def gauss_seidel(
    games: Interleaved, unique: Bool[Array, " lane"], live: Bool[Array, " lane"], tol: Float[Array, ""]
) -> tuple[LogOdds, Int[Array, "2 lane"]]:
    """Sweep until no lane is on its way.

    Args:
        games: The games.
        unique: Which of them are certified to have one equilibrium.
        live: Which lanes are to be worked on.
        tol: Largest acceptable residual.

    Returns:
        The players' last answers; and, stacked, `ARRIVED` where sweeps converged and `LOST` elsewhere, and the number
        of sweeps.
    """
    sizes = [1 + len(z) for z in games.reference]
    go = jnp.any(live)
    change = unfused(go, drift, games)

    def sweep(rows: Rows) -> tuple[LogOdds, Rows]:
        pi, log_odds = list(in_parts(rows, sizes)), list(games.reference)
        for i, tensor in enumerate(games.advantage):
            log_odds[i] = games.reference[i] + average(tensor, [p for j, p in enumerate(pi) if j != i])
            pi[i] = softmax(log_odds[i])
        return tuple(log_odds), jnp.concatenate(pi)

    def judged(before: Rows, once: Rows, twice: Rows, progress: Array) -> tuple[Rows, Array]:
        state, sweeps = progress
        first, second = jnp.max(jnp.abs(once - before), axis=0), jnp.max(jnp.abs(twice - once), axis=0)
        ratio = second / jnp.maximum(first, jnp.finfo(first.dtype).tiny)
        # Rounding may bring the last moves to a standstill; first moves must show what influence does to them.
        shrinks = (ratio <= _RATIO) | ((second <= tol) & (sweeps > 0))
        begins = (first >= _LEAST) & (first <= _FIRST) & (change * first <= MOST_DRIFT) & (second <= _SECOND)
        shrinks &= (sweeps > 0) | begins
        fine = jnp.isfinite(first + second) & (shrinks | unique) & (sweeps < _SWEEPS)
        # In a geometric series the next move, which is the residual here, is the ratio times this one.
        arrived = fine & (second * jnp.minimum(ratio, 1.0) <= 0.5 * tol)
        after = jnp.stack([jnp.where(arrived, ARRIVED, jnp.where(fine, LIVE, LOST)), sweeps + 2])
        on_its_way = state == LIVE
        return jnp.where(on_its_way, twice, before), jnp.where(on_its_way, after, progress)

    def advance(carry: tuple[Rows, Array]) -> tuple[Rows, Array]:
        rows, progress = carry
        once = unfused(go, lambda rows: sweep(rows)[1], rows)
        twice = unfused(go, lambda rows: sweep(rows)[1], once)
        return unfused(go, judged, rows, once, twice, progress)

    start = jnp.concatenate(policies(games.reference))
    progress = jnp.stack([jnp.where(live, LIVE, LOST), jnp.zeros(live.shape, int)])
    rows, progress = jax.lax.while_loop(lambda carry: jnp.any(carry[1][0] == LIVE), advance, (start, progress))
    # One more sweep, whose log-odds are the answer, makes up for what the ratio promised too much.
    return unfused(go, lambda rows: sweep(rows)[0], rows), progress
