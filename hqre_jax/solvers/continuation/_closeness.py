"""Whether a step along a branch was close enough to be sure of the curve, and what to do at a broken symmetry.

**Closeness.** Let A be the Jacobian at the last point, bordered by the tangent there, and A′ the one at the next point.
If ``‖A⁻¹(A′ − A)‖ ≤ θ < 1``, Newton's map with a constant matrix contracts from one end of the step to the other: its
fixed points are one curve, which leads from the last point to the new one. No eigenvalue changes its sign in between,
neither one nor two at a time; so no step passes a bifurcation, nor an imperfect one whose sheets lie close together,
without following the curve around. (A is looked at where steps begin and end; between them no more than small changes
of the policy go unseen.)

**Symmetry.** Where the kernel of A has no part in the curve, as at a bifurcation that breaks a symmetry, steps shrink
in proportion to the distance d from it while the tangent goes on smoothly. An imperfection of size ε in the game turns
the tangent by ``ε/d²`` there, rounding by ``eps/d²``; what extrapolation misses of a smooth one is of the order d². So
the tangent found at ``d = eps^(1/4)``, beside the one extrapolated, tells exact symmetry from any imperfection well
above rounding: if they agree, the curve goes on along it to the other side, and a bifurcation is counted; if not, the
curve is followed around the bend. Imperfections below some 1e-13 of what the players are paid (in double precision)
count as rounding, and such games as symmetric.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from hqre_jax.core._namespace import Array, namespace, solution_of
from hqre_jax.core._types import Scalar

# θ: relative change of the bordered Jacobian over a step; steps aim at a fraction of it.
CHANGE, _AIM = 0.5, 0.8
# A tangent goes on smoothly if it is found within this multiple of ``eps^(1/2)`` of the one extrapolated; a bifurcation
# is passed by a step of so many times the distance from it.
_SMOOTH, _OVER = 64.0, 4.0


class Watch(NamedTuple):
    """What is remembered of singular points.

    Attributes:
        passing: Whether the next step is to pass a bifurcation in whose kernel the curve has no part.
        bending: Whether that was tried in vain: the bend is followed around.
        bifurcations: Bifurcations passed.
        rate: Change of the Jacobian per length of the last step; 0 where none was taken.
    """

    passing: Bool[Array, ""]
    bending: Bool[Array, ""]
    bifurcations: Int[Array, ""]
    rate: Scalar


class Judged(NamedTuple):
    """What a step shows.

    Attributes:
        close: Whether the point found lies on the curve that is followed, and no bifurcation is to be passed instead.
        kept: What to remember if the step is taken.
        refused: What to remember if not.
        longer: Factor on the length if the step is taken, at most.
        shorter: The next length if not: longer, in fact, where a bifurcation is to be passed.
    """

    close: Bool[Array, ""]
    kept: Watch
    refused: Watch
    longer: Scalar
    shorter: Scalar


def watch(zero: Scalar) -> Watch:
    """At the beginning of a curve, where the rate is ``zero``."""
    xp = namespace(zero)
    return Watch(xp.asarray(False), xp.asarray(False), xp.zeros((), int), zero)


def judge(seen: Watch, length: Scalar, change: Scalar, slant: Scalar, sound: Bool[Array, ""]) -> Judged:
    """Judge a step.

    Args:
        seen: What is remembered.
        length: The step's length.
        change: ``‖A⁻¹(A′ − A)‖`` or an estimate of it.
        slant: How far the unit tangent found is from the one that was extrapolated.
        sound: Whether a point was found, and on the way: neither at the start nor from the arrival on.

    Returns:
        The verdict.
    """
    xp = namespace(length, change, slant)
    eps, tiny = float(jnp.finfo(length.dtype).eps), jnp.finfo(length.dtype).tiny
    fine, smooth = eps**0.25, _SMOOTH * eps**0.5
    # The distance of the next singular point, as far as this step shows it.
    distance = length / xp.maximum(change, tiny)
    # The next step's change if it were as long: on the way to a singular point rates grow geometrically.
    rate = change / xp.maximum(length, tiny)
    trend = xp.where(seen.rate > 0, xp.clip(rate / xp.maximum(seen.rate, tiny), 0.5, 2.0), 1.0)
    wanted = _AIM * CHANGE / xp.maximum(change * trend, 1e-12)
    to_pass = sound & ~seen.passing & ~seen.bending & (distance < fine) & (slant <= smooth)
    bending = seen.bending & (distance < _OVER * fine)
    halved = xp.where(seen.passing, 0.5 * CHANGE / _OVER, 0.5) * length
    return Judged(
        close=xp.where(seen.passing, slant <= _OVER * smooth, (change <= CHANGE) & ~to_pass),
        kept=Watch(
            xp.asarray(False),
            bending & ~seen.passing,
            seen.bifurcations + seen.passing,
            xp.where(seen.passing, 0.0, rate),
        ),
        refused=Watch(to_pass, bending | seen.passing, seen.bifurcations, seen.rate),
        # From behind a bifurcation the next one is as far as it was from the front, or farther.
        longer=xp.where(seen.passing, 0.25, xp.clip(wanted, 0.5, 3.0)),
        shorter=xp.where(to_pass, _OVER * distance, halved),
    )


def relative_change(
    old: Float[Array, "n m"], new: Float[Array, "n m"], border: Float[Array, "1 m"], inverse_of: Float[Array, "n m"]
) -> Scalar:
    """An upper bound on ``‖A⁻¹(A′ − A)‖₂``, infinite where A is singular: Frobenius' norm or ``√(‖·‖₁‖·‖∞)``.

    Args:
        old: The Jacobian at one end of a step; m = n + 1.
        new: At the other.
        border: The row by which both are bordered.
        inverse_of: One of the two: that which is inverted.
    """
    xp = namespace(old, new)
    difference = xp.concatenate([new - old, xp.zeros_like(border)])
    size = xp.abs(solution_of(xp, xp.concatenate([inverse_of, border]), difference))
    norm = xp.minimum(xp.sqrt(xp.sum(size**2)), xp.sqrt(xp.max(xp.sum(size, 0)) * xp.max(xp.sum(size, 1))))
    return xp.where(xp.isfinite(norm), norm, xp.inf)


def arrives_first(
    positions: tuple[Scalar, Scalar],
    slopes: tuple[Scalar, Scalar],
    length: Scalar,
    goal: Scalar,
    landing: Bool[Array, ""],
) -> Bool[Array, ""]:
    """Whether a step passes over no arrival: the branch ends where it meets the goal for the first time.

    Next to a fold the curve meets it twice. It is met on the way up; and a step around a fold stays below it: where the
    position is concave along the curve, it stays below the point at which the tangents of both ends meet.

    Args:
        positions: Where the step begins and ends, in the parameter of the path.
        slopes: Of the parameter along the curve, there.
        length: The step's length.
        goal: Where the path ends.
        landing: Whether the step is to end there.
    """
    (before, after), (up, down) = positions, slopes
    around = (up > 0) & (down < 0)
    xp = namespace(before, after, length)
    meeting = (after - before - down * length) / xp.where(around, up - down, 1.0)
    return xp.where(landing, down > 0, ~around | (before + up * meeting < goal))


def shortest(dtype: Any) -> float:
    """The length of a step that leads nowhere: a branch whose steps become as short is lost."""
    return float(jnp.finfo(dtype).eps) ** (2 / 3)
