"""The principal branch of many small games at once: pseudo-arclength continuation in ``s`` of ``τ/s``, with guards.

    z = log ρ + s · gain(π(z)),      s from 0 (the reference) to 1 (the question).

The branch is a curve ``(z(l), s(l))``; its length l is measured in the norm ``|z|² + w² s²``, w set so that it leaves
the reference mostly along s. All lanes take one linear solve per round; each has its own step h. The point at
``l + h`` is predicted to second order. There Newton's method gives the correction at fixed s,
``d = (I − sJ)⁻¹ (log ρ + s·gain − z)``, and ``t = (I − sJ)⁻¹ gain = dz/ds``. From them follow the correction at right
angles to the curve and the tangent ``± (t, 1)``, whose sign is that of ``det(I − sJ)``: so the curve is followed
through its folds, where the determinant changes sign and s turns back. A point is kept if

* the Jacobian, bordered by the tangent at the last point, has changed little in comparison with itself
  (`hqre_jax.solvers.continuation._closeness` says what that excludes; with two players it is the one to which the
  larger player's unknowns are eliminated), and the tangent there is near the one at the last point;
* the correction moves no probability by more than some limit and no log-odds of use by more than 1;
* it passes over no arrival: next to a fold the branch meets s = 1 twice, and the first time counts.

Otherwise the step is shortened. A lane whose step becomes too short (at a bifurcation, or because a limit was too large
for a sharp bend) gives up, and so does one that had more than a few steps refused: where the curve bends that sharply,
another one is near. Both try again with smaller limits, and then by `PrincipalBranch`. Lanes that are certified to
have one equilibrium need no guards, for any way to it is right.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hqre_jax.solvers.batch._interleaved import (
    MOST_DRIFT,
    Interleaved,
    Linear,
    LogOdds,
    Policies,
    Solved,
    apply,
    drift,
    linearise,
    policies,
    reduced_unknowns,
    solve_linear,
    total,
    unfused,
)
from hqre_jax.solvers.batch._path import (
    ARRIVED,
    LIVE,
    LOST,
    Guards,
    Limits,
    Path,
    PerLane,
    Place,
    Rows,
    in_parts,
)
from hqre_jax.solvers.batch._step_norms import cube_root, dot, largest_change, largest_log_odds_change

# Steps aim at this fraction of the largest correction, and of the largest change of the Jacobian.
_AIM, _AIM_CHANGE = 0.4, 0.8
# Corrections of log-odds beyond this are not small, whatever the probabilities; certified lanes bear more.
_FAR, _FAR_IF_UNIQUE = 1.0, 4.0
# Length of dz/ds at the reference, at most, in units of the weight of s: how steeply the curve leaves.
_STEEP = 0.5
# How much the Jacobian may change over a step, in comparison with itself.
_CHANGE = 0.75
# Steps shorter than this fraction of the weight of s lead nowhere.
_SHORTEST = 1e-5
# Rounds after which a lane gives up.
_ROUNDS = 100
# Rounds before lanes are left.
_PATIENCE = 2


def begin(games: Interleaved, limits: Limits, go: Bool[Array, ""]) -> tuple[Guards, Path]:
    """The reference policy, with tangent, bend, and a first step whose prediction should miss by little.

    At s = 0 the branch has ``dz/ds = gain(ρ)`` and ``d²z/ds² = 2 J gain``. If each order is smaller than the one before
    by the same factor, predicting to second order over a step h in s misses by ``h³ |z''/2|²/|z'|``. What derivatives
    at s = 0 do not show is influence that grows as third players move: the first step is not so long that it could.
    """

    def derivatives(pi: Policies) -> tuple[LogOdds, LogOdds]:
        linear = linearise(games, pi)
        slope = linear.gain
        second = tuple(
            sum((apply(block, slope[j]) for j, block in enumerate(row) if block is not None), jnp.zeros_like(slope[i]))
            for i, row in enumerate(linear.coupling)
        )
        return slope, second

    def lengths(
        pi: Policies, slope: LogOdds, second: LogOdds, change: PerLane
    ) -> tuple[PerLane, PerLane, PerLane, PerLane]:
        """First step in s, its length per unit of s, the weight, and whether all is finite."""
        tiny = jnp.finfo(limits.miss.dtype).tiny
        first_order, second_order = largest_change(pi, slope), largest_change(pi, second)
        ratio = _AIM * limits.miss * first_order / jnp.maximum(second_order * second_order, tiny)
        # No step is longer than 1, and the cube root of more needs no computing.
        hidden = MOST_DRIFT / jnp.maximum(change * first_order, tiny)
        step = jnp.where(limits.unique, 1.0, jnp.minimum(cube_root(jnp.minimum(ratio, 1.0)), hidden))
        square = dot(slope, slope)
        weight = jnp.maximum(square, 1.0) / _STEEP**2
        return step, jnp.sqrt(square + weight), weight, first_order + second_order

    def path(slope: LogOdds, second: LogOdds, step: PerLane, stretch: PerLane, size: PerLane) -> Path:
        # From s to the length: dl/ds = |(z', w)|, and the second derivative by l is at right angles to the tangent.
        rate = 1 / stretch
        tangent, curve = jnp.concatenate(slope) * rate, jnp.concatenate(second) * rate**2
        along = total(curve * tangent)
        reduced = reduced_unknowns([len(z) for z in games.reference])
        square = (reduced.stop - reduced.start, reduced.stop - reduced.start, len(step))
        zero, sag = jnp.zeros_like(step), -along * rate
        return Path(
            log_odds=jnp.concatenate(games.reference),
            tangent=tangent,
            bend=curve - along * tangent,
            matrix=jnp.broadcast_to(jnp.eye(reduced.stop - reduced.start, dtype=step.dtype)[:, :, None], square),
            place=jnp.stack(Place(zero, rate, sag, _shortened(step * stretch, zero, rate, sag))),
            rounds=jnp.zeros(step.shape, jnp.int32),
            refused=jnp.zeros(step.shape, jnp.int32),
            state=jnp.where(limits.live & jnp.isfinite(size), LIVE, LOST).astype(jnp.int32),
        )

    pi = unfused(go, policies, games.reference)
    slope, second = unfused(go, derivatives, pi)
    step, stretch, weight, size = unfused(go, lengths, pi, slope, second, unfused(go, drift, games))
    return Guards(limits, weight), unfused(go, path, slope, second, step, stretch, size)


def follow(
    games: Interleaved,
    limits: Callable[[Bool[Array, " lane"]], Limits],
    live: Bool[Array, " lane"],
    careful: Bool[Array, " lane"],
    leave: Int[Array, ""],
    go: Bool[Array, ""],
) -> Path:
    """Follow every lane's branch until no more than ``leave`` are on their way.

    Where none may be left, a lane that loses its branch begins anew among those that are still on their way, once and
    with smaller limits. Where some may, lost lanes are left, too: whoever comes back for the others takes them along.

    Args:
        games: The games.
        limits: What is demanded of each lane, given which are to take smaller steps.
        live: Whether there is a lane at all.
        careful: Which take smaller steps from the start.
        leave: Lanes that may be left on their way, after some rounds.
        go: Whether there is anything to do.

    Returns:
        Where they are then.
    """

    def lost(path: Path, careful: Bool[Array, " lane"]) -> Bool[Array, " lane"]:
        return live & ~careful & (path.state == LOST) & (leave == 0)

    def attempt(carry: _Attempt) -> _Attempt:
        guards, fresh = unfused(go, lambda careful: begin(games, limits(careful), go), carry.careful)
        path = Path(*(jnp.where(carry.anew, new, old) for new, old in zip(fresh, carry.path, strict=True)))

        def unfinished(inner: tuple[Path, Array]) -> Bool[Array, ""]:
            path, rounds = inner
            on_their_way = jnp.sum(path.state == LIVE, dtype=jnp.int32)
            going = (on_their_way > 0) & ((on_their_way > leave) | (rounds < _PATIENCE))
            return going & ~jnp.any(lost(path, carry.careful))

        def advance(inner: tuple[Path, Array]) -> tuple[Path, Array]:
            path, rounds = inner
            return unfused(go, lambda p: _round(games, guards, p, go), path), rounds + 1

        path, _ = jax.lax.while_loop(unfinished, advance, (path, jnp.zeros((), jnp.int32)))
        anew = lost(path, carry.careful)
        return _Attempt(anew, carry.careful | anew, path)

    _, shapes = jax.eval_shape(lambda careful: begin(games, limits(careful), go), careful)
    nowhere = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    return jax.lax.while_loop(lambda carry: jnp.any(carry.anew), attempt, _Attempt(live, careful, nowhere)).path


class _Attempt(NamedTuple):
    """Which lanes begin anew, which take smaller steps, and where all of them are."""

    anew: Bool[Array, " lane"]
    careful: Bool[Array, " lane"]
    path: Path


def _round(games: Interleaved, guards: Guards, path: Path, go: Bool[Array, ""]) -> Path:
    """One linear solve for every lane, in stages of a few operations each: longer programs are scheduled at a cost."""
    sizes = [z.shape[0] for z in games.reference]

    def point(path: Path) -> tuple[PerLane, Policies]:
        return _goal(path), policies(in_parts(_trial(path), sizes))

    def system(path: Path, goal: PerLane, pi: Policies) -> tuple[Linear, LogOdds]:
        linear, trial = linearise(games, pi), in_parts(_trial(path), sizes)
        return linear, tuple(r + goal * g - z for r, g, z in zip(games.reference, linear.gain, trial, strict=True))

    def solved(goal: PerLane, linear: Linear, defect: LogOdds, before: Float[Array, "row row lane"]) -> Solved:
        return solve_linear(goal, linear, [defect, linear.gain], before, go)

    goal, pi = unfused(go, point, path)
    linear, defect = unfused(go, system, path, goal, pi)
    flat, determinant, matrix, reduced = unfused(go, solved, goal, linear, defect, path.matrix)
    newton = unfused(go, functools.partial(_newton, reduced_unknowns(sizes)), guards, path, goal, *flat, determinant)
    signs = unfused(go, _signs, guards, path, pi, *flat, reduced, newton)
    kept, scalars = unfused(go, _judged, guards, path, goal, newton, signs)
    log_odds, tangent, bend, matrix = unfused(go, _vectors, path, *flat, matrix, newton, kept)
    return Path(log_odds, tangent, bend, matrix, *scalars)


def _goal(path: Path) -> PerLane:
    position, rate, sag, step = path.place
    goal = position + step * (rate + step * sag)
    return jnp.where(goal > 1.0 - 1e-6, 1.0, goal)


def _trial(path: Path) -> Rows:
    step = Place(*path.place).step
    return path.log_odds + step * (path.tangent + step * path.bend)


def _ahead(path: Path) -> tuple[Rows, PerLane]:
    """The tangent that is predicted at the trial point."""
    _, rate, sag, step = path.place
    return path.tangent + 2 * step * path.bend, rate + 2 * step * sag


class _Newton(NamedTuple):
    """How far the correction moves s, and ds/dl at the trial point.

    And what divisions are saved by: half of one over the step, 0 for a step of length 0; and one over what the tangent
    at the last point makes of the direction of the curve, in the unknowns that are eliminated to.
    """

    shift: PerLane
    length: PerLane
    half: PerLane
    inverse: PerLane


def _newton(
    unknowns: slice, guards: Guards, path: Path, goal: PerLane, defect: Rows, slope: Rows, determinant: PerLane
) -> _Newton:
    """Corrections are at right angles to the predicted tangent; at the end of the path, at fixed s."""
    ahead, ahead_rate = _ahead(path)
    _, rate, _, step = path.place
    across = total(ahead * slope) + guards.weight * ahead_rate
    along = total(path.tangent[unknowns] * slope[unknowns]) + guards.weight * rate
    both = 1 / (across * along)
    shift = -total(ahead * defect) * (both * along)
    length = jnp.sign(determinant) / jnp.sqrt(total(slope * slope) + guards.weight)
    half = jnp.where(step > 0, 0.5 / jnp.where(step > 0, step, 1.0), 0.0)
    return _Newton(jnp.where(goal >= 1.0, 0.0, shift), length, half, both * across)


class _Signs(NamedTuple):
    """Of an error: changes of probabilities and of log-odds by the correction, and of the tangent's direction.

    And, squared, of the Jacobian in comparison with itself.
    """

    miss: PerLane
    far: PerLane
    cosine: PerLane
    change: PerLane


def _signs(
    guards: Guards,
    path: Path,
    pi: Policies,
    defect: Rows,
    slope: Rows,
    reduced: Float[Array, "row column lane"],
    newton: _Newton,
) -> _Signs:
    sizes = [p.shape[0] - 1 for p in pi]
    rate = Place(*path.place).rate
    shift, length, _, inverse = newton
    correction = in_parts(defect + shift * slope, sizes)
    cosine = length * (total(slope * path.tangent) + guards.weight * rate)
    miss, far = largest_change(pi, correction), largest_log_odds_change(pi, correction)
    return _Signs(miss, far, cosine, _relative_change(guards, path, reduced, reduced_unknowns(sizes), inverse))


def _relative_change(
    guards: Guards, path: Path, reduced: Float[Array, "row column lane"], unknowns: slice, inverse: PerLane
) -> PerLane:
    """The square of ``‖A⁻¹(A − A₀)‖``, A the reduced Jacobian here and A₀ there, bordered by the tangent there.

    With ``A⁻¹ (r, 0) = y + t·ds``, where y solves the system without border and ds keeps to the hyperplane.
    """
    tangent, slope = path.tangent[unknowns], reduced[:, 1]
    square, longer = jnp.zeros_like(inverse), total(slope * slope) + guards.weight
    for k in range(2, reduced.shape[1]):
        column = reduced[:, k]
        back = total(tangent * column) * inverse
        square += total(column * column) - back * (2 * total(column * slope) - back * longer)
    return square


def _judged(
    guards: Guards, path: Path, goal: PerLane, newton: _Newton, signs: _Signs
) -> tuple[Bool[Array, " lane"], tuple[Array, ...]]:
    """Which points are kept; and places, counts and states after the round."""
    position, rate, sag, step = path.place
    shift, length, half, _ = newton
    live, landed = path.state == LIVE, position >= 1.0
    change = jnp.where(guards.limits.unique, 0.0, signs.change)
    sound = jnp.isfinite(signs.miss + change) & jnp.isfinite(length)
    there = goal + shift
    guarded = (signs.miss <= guards.limits.miss) & (signs.far <= _FAR)
    guarded &= (signs.change <= _CHANGE**2) & (signs.cosine >= guards.limits.turn) & (there >= 0.0)
    # Next to s = 1 points must be good enough to tell a fold before it from one behind it: what they are off by is a
    # small part of what was corrected. And up to a fold and down again, s was 1 in between, perhaps.
    off = jnp.abs(shift)
    guarded &= there + off <= 1.0
    guarded &= (rate <= 0.0) | (length >= 0.0) | (position + 2.0 * (step * rate + off) < 1.0)
    kept = live & sound & (guarded | (guards.limits.unique & (signs.far <= _FAR_IF_UNIQUE)))
    # The error of a prediction to second order grows with the cube of the step, the Jacobian's change with the step: of
    # both, what the fourth power of the step may grow by; one division for all.
    aim, change = _AIM * guards.limits.miss, change / (_AIM_CHANGE * _CHANGE) ** 2
    error = jnp.maximum(signs.miss, aim * (change * change))
    ratio = aim / jnp.maximum(error, 1e-9)
    factor = jnp.where(sound, jnp.clip(jnp.sqrt(jnp.sqrt(ratio)), 0.2, 3.0), 0.2)
    after = step * jnp.where(kept, factor, jnp.minimum(factor, 0.5))
    arrived = kept & (goal >= 1.0) & (signs.miss <= guards.limits.close)
    rounds, refused = path.rounds + live, path.refused + (live & ~kept)
    lost = ~kept & (landed | (after * after < _SHORTEST**2 * guards.weight)) | (rounds >= _ROUNDS)
    lost |= refused > guards.limits.refusals
    new_sag = jnp.where(kept, _bend(half, length, rate, sag), sag)
    new_position, new_rate = jnp.where(kept, there, position), jnp.where(kept, length, rate)
    place = Place(new_position, new_rate, new_sag, _shortened(after, new_position, new_rate, new_sag))
    state = jnp.where(live, jnp.where(arrived, ARRIVED, jnp.where(lost, LOST, LIVE)), path.state).astype(jnp.int32)
    return kept, (jnp.stack(place), rounds, refused, state)


def _vectors(
    path: Path,
    defect: Rows,
    slope: Rows,
    matrix: Float[Array, "row row lane"],
    newton: _Newton,
    kept: Bool[Array, " lane"],
) -> tuple[Rows, Rows, Rows, Float[Array, "row row lane"]]:
    """Log-odds, tangents, bends and matrices after the round."""
    shift, length, half, _ = newton
    tangent = length * slope
    return (
        jnp.where(kept, _trial(path) + defect + shift * slope, path.log_odds),
        jnp.where(kept, tangent, path.tangent),
        jnp.where(kept, _bend(half, tangent, path.tangent, path.bend), path.bend),
        jnp.where(kept, matrix, path.matrix),
    )


def _bend(half: PerLane, new: Array, old: Array, bend: Array) -> Array:
    """Half the second derivative, from the change of the tangent; a step of length 0 leaves it as it is."""
    return jnp.where(half > 0, half * (new - old), bend)


def _shortened(step: PerLane, position: PerLane, rate: PerLane, sag: PerLane) -> PerLane:
    """The step, or the one to the first h > 0 with ``position + h·rate + h²·sag = 1`` where that is shorter."""
    to_go = 1.0 - position
    square = rate * rate + 4 * sag * to_go
    double = rate + jnp.sqrt(jnp.maximum(square, 0.0))
    over = (square >= 0.0) & (double > 0.0) & (2 * to_go <= step * double)
    return jnp.where(over, jnp.clip(2 * to_go / double, 0.0, step), step)
