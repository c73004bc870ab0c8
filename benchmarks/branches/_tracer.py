"""An independent tracer of the principal branch, in numpy, with steps far finer than any solver of the library takes.

A curve ``H(z, s) = 0`` from s = 0 to the first arrival at s = 1 is followed by pseudo-arclength. A step of length h is
taken only if

* Newton's method converges to rounding, within θh of the prediction;
* the bordered Jacobian changes little in comparison with itself: ``‖A⁻¹(A′ − A)‖₂ ≤ θ``. Then Newton's map with A at
  its first point contracts on the way, there is one curve there and it is this one.

θ is ten or more times as small as the solvers' own, so steps are. Where the Jacobian becomes singular in directions in
which the curve takes no part (an exact symmetry), steps shrink to nothing; the curve is then followed along its tangent
to the other side. It shares no code with the library.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# (lanes, z, s) -> H, dH/dz, dH/ds, for some of the games.
System = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]

_CORRECTIONS = 8
_CONVERGED = 1e-11
_SHORTEST = 1e-11
# Within this distance a singular Jacobian is passed if the tangent stood still since four times the distance; by a step
# of this many distances.
_SYMMETRIC, _OVER = 1e-5, 4.0
_STILL = 1e-4


@dataclass
class Traced:
    """Where each lane arrived.

    Attributes:
        points: z at s = 1.
        arrived: Whether the lane did.
        folds: Turning points passed.
        bifurcations: Other bifurcations passed.
        steps: Steps tried.
    """

    points: np.ndarray
    arrived: np.ndarray
    folds: np.ndarray
    bifurcations: np.ndarray
    steps: np.ndarray


def trace(system: System, start: np.ndarray, stretch: np.ndarray, theta: float, max_steps: int = 50_000) -> Traced:
    """Follow the branches of many games.

    Args:
        system: The equations.
        start: z at s = 0, ``(lane, unknown)``, where H vanishes.
        stretch: Length that is given to s from 0 to 1, beside which that of z counts with weight one.
        theta: How small steps are.
        max_steps: Steps after which a lane counts as lost.

    Returns:
        What was found.
    """
    count, size = start.shape
    found = Traced(start.copy(), *(np.zeros(count, kind) for kind in (bool, int, int, int)))
    lanes = np.arange(count)
    z, s = start.copy(), np.zeros(count)
    _, jacobian, slope = (np.array(part) for part in system(lanes, z, s))
    tangent = _tangent(jacobian, slope / stretch[:, None], np.eye(size + 1)[-1][None].repeat(count, 0))
    before, length = tangent.copy(), np.full(count, 0.01)
    while len(lanes):
        n = lanes
        weight = stretch[n]
        refused, there = _attempt(system, n, z, s, tangent, jacobian, slope, length, weight, theta)
        found.steps[n] += 1
        new_z, new_s, new_tangent, new_jacobian, new_slope, ratio, close = there
        # Through a singular point in whose directions the curve takes no part.
        distance = length / ratio
        still = np.linalg.norm(tangent - before, axis=1) <= _STILL
        stuck = close & (distance < _SYMMETRIC) & still
        if stuck.any():
            k = np.flatnonzero(stuck)
            jump = _OVER * distance[k]
            failed, over = _attempt(
                system, n[k], z[k], s[k], tangent[k], jacobian[k], slope[k], jump, weight[k], np.inf
            )
            turn = np.linalg.norm(over[2] - tangent[k], axis=1)
            passed = ~failed & (turn <= 10 * _STILL)
            k, over = k[passed], [part[passed] for part in over]
            for target, source in zip(there[:5], over[:5], strict=True):
                target[k] = source
            refused[k] = False
            length[k] = jump[passed]
            ratio[k] = 0.5 * theta
            found.bifurcations[n[k]] += 1
        landed = ~refused & (np.abs(new_s - 1.0) <= 1e-12)
        beyond = ~refused & ~landed & (new_s > 1.0)
        taken = ~refused & ~beyond
        found.folds[n[taken]] += (np.sign(new_tangent[taken, -1]) != np.sign(tangent[taken, -1])).astype(int)
        with np.errstate(divide="ignore", invalid="ignore"):
            back = np.clip((1.0 - s) / (new_s - s), 0.01, 1 - 1e-9)
        grow = np.clip(0.5 * theta / np.maximum(ratio, 1e-9), 0.5, 1.5)
        far = distance >= 4 * _SYMMETRIC
        before[far] = tangent[far]
        z[taken], s[taken], tangent[taken] = new_z[taken], new_s[taken], new_tangent[taken]
        jacobian[taken], slope[taken] = new_jacobian[taken], new_slope[taken]
        length = np.where(beyond, length * back, np.where(refused, 0.5 * length, length * grow))
        # Next to the end the last steps converge to it like a secant method.
        near = taken & (s > 1 - 1e-9) & ~landed
        landed |= near
        found.points[n[landed]], found.arrived[n[landed]] = z[landed], True
        over = landed | (length < _SHORTEST) | (found.steps[n] >= max_steps) | ~np.isfinite(length)
        keep = ~over
        lanes, z, s, tangent, before = lanes[keep], z[keep], s[keep], tangent[keep], before[keep]
        jacobian, slope, length = jacobian[keep], slope[keep], length[keep]
    return found


def _attempt(system, lanes, z, s, tangent, jacobian, slope, length, weight, theta):
    """One step; which lanes refuse it, and what is there."""
    size = z.shape[1]
    point = np.concatenate([z, (s * weight)[:, None]], axis=1)
    predicted = point + length[:, None] * tangent
    there, change = predicted.copy(), np.full(len(z), np.inf)
    for _ in range(_CORRECTIONS):
        value, new_jacobian, new_slope = system(lanes, there[:, :-1], there[:, -1] / weight)
        bordered = _bordered(new_jacobian, new_slope / weight[:, None], tangent)
        off = np.concatenate([value, np.sum(tangent * (there - predicted), 1, keepdims=True)], axis=1)
        step = -_solve(bordered, off[..., None])[..., 0]
        there = there + np.where(np.isfinite(step), step, 0.0)
        change = np.max(np.abs(step) / (1 + np.abs(there)), axis=1)
        if (change <= _CONVERGED).all():
            break
    _, new_jacobian, new_slope = (np.array(part) for part in system(lanes, there[:, :-1], there[:, -1] / weight))
    old = _bordered(jacobian, slope / weight[:, None], tangent)
    new = _bordered(new_jacobian, new_slope / weight[:, None], tangent)
    relative = _solve(old, new - old)
    finite = np.isfinite(relative).all((1, 2)) & np.isfinite(there).all(1)
    ratio = np.full(len(z), np.inf)
    ratio[finite] = np.linalg.norm(relative[finite], 2, axis=(1, 2))
    miss = np.linalg.norm(there - predicted, axis=1)
    # A point next to a singular one is found less exactly.
    close = finite & (change <= 1e-6) & (miss <= min(theta, 0.1) * length)
    inside = there[:, -1] >= 0
    refused = ~(close & inside & (ratio <= theta))
    new_tangent = _tangent(new_jacobian, new_slope / weight[:, None], tangent)
    refused |= ~np.isfinite(new_tangent).all(1)
    return refused, [there[:, :size], there[:, -1] / weight, new_tangent, new_jacobian, new_slope, ratio, close]


def _bordered(jacobian: np.ndarray, slope: np.ndarray, border: np.ndarray) -> np.ndarray:
    return np.concatenate([np.concatenate([jacobian, slope[..., None]], axis=2), border[:, None]], axis=1)


def _tangent(jacobian: np.ndarray, slope: np.ndarray, along: np.ndarray) -> np.ndarray:
    """The unit vector that the Jacobian maps to 0, within a right angle of ``along``."""
    onwards = np.zeros((*along.shape, 1))
    onwards[:, -1] = 1.0
    direction = _solve(_bordered(jacobian, slope, along), onwards)[..., 0]
    with np.errstate(invalid="ignore"):
        return direction / np.linalg.norm(direction, axis=1, keepdims=True)


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        nudge = 1e-300 * np.eye(matrix.shape[1])
        out = np.full(right.shape, np.nan)
        for k in range(len(matrix)):
            try:
                out[k] = np.linalg.solve(matrix[k] + nudge, right[k])
            except np.linalg.LinAlgError:
                continue
        return out
