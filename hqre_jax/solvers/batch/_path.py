"""Where lanes are on their branches, and what is demanded of their steps."""

import itertools
from typing import NamedTuple

from jaxtyping import Array, Bool, Float, Int

from hqre_jax.solvers.batch._interleaved import LogOdds

PerLane = Float[Array, " lane"]
# Log-odds of all players, one after the other: what treats them alike is one operation.
Rows = Float[Array, "unknown lane"]


class Limits(NamedTuple):
    """What is demanded of the points of each lane.

    Attributes:
        miss: Largest change of a probability by the correction.
        turn: Least cosine between consecutive tangents.
        refusals: Steps that may be refused.
        close: A correction at s = 1 that changes probabilities by less is the last.
        unique: Whether the lane is certified to have one equilibrium.
        live: Whether there is a lane at all.
    """

    miss: PerLane
    turn: PerLane
    refusals: Int[Array, " lane"]
    close: PerLane
    unique: Bool[Array, " lane"]
    live: Bool[Array, " lane"]


class Guards(NamedTuple):
    """The limits, and w², the weight of s in the norm."""

    limits: Limits
    weight: PerLane


class Place(NamedTuple):
    """Along a branch.

    Attributes:
        position: s at the last point kept,
        rate: ds/dl there, and
        sag: an estimate of ½ d²s/dl².
        step: The step to try next, no longer than to s = 1.
    """

    position: PerLane
    rate: PerLane
    sag: PerLane
    step: PerLane


class Path(NamedTuple):
    """Where each lane is on its branch: few arrays, for each of them is copied in every round.

    Attributes:
        log_odds: z at the last point kept.
        tangent: dz/dl there: with ds/dl the unit tangent.
        bend: Estimate of ½ d²z/dl².
        matrix: ``I − sJ`` there, as far as it is not eliminated.
        place: A `Place`, stacked.
        rounds: Linear solves so far.
        refused: Steps refused so far.
        state: `LIVE` while the lane is on its way, `ARRIVED` once it converged at s = 1, `LOST` if it gave up.
    """

    log_odds: Rows
    tangent: Rows
    bend: Rows
    matrix: Float[Array, "row row lane"]
    place: Float[Array, "4 lane"]
    rounds: Int[Array, " lane"]
    refused: Int[Array, " lane"]
    state: Int[Array, " lane"]


# Nothing is on its way in arrays of zeros.
LOST, ARRIVED, LIVE = 0, 1, 2


def in_parts(rows: Rows, sizes: list[int]) -> LogOdds:
    """The rows of each player."""
    ends = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    return tuple(rows[a:b] for a, b in itertools.pairwise(ends))
