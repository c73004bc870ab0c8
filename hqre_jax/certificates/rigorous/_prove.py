"""`prove`: find centres, radii, weights and vectors in floating numbers, and let the checker judge them."""

from typing import Any

import numpy as np

from hqre_jax.bounds import bounds
from hqre_jax.certificates.rigorous._arithmetic import flint
from hqre_jax.certificates.rigorous._box import as_floats, contains_one, jacobian, preconditioners
from hqre_jax.certificates.rigorous._data import Data, problem_data
from hqre_jax.certificates.rigorous._evaluation import Equations
from hqre_jax.certificates.rigorous._matrices import decision_points, global_test, reach_probabilities
from hqre_jax.certificates.rigorous._proof import Kind, Proof, describe
from hqre_jax.certificates.rigorous._recheck import matrix_holds
from hqre_jax.core._types import InputError
from hqre_jax.games._game import AbstractGame, Continuation, is_game
from hqre_jax.problem import Entropy, Problem, posed
from hqre_jax.solving._solution import Solution

_BITS = 128
# Newton steps on the centre; tries for the largest radius of uniqueness, and the first of them.
_NEWTON_STEPS, _TRIES, _FIRST_RADIUS = 12, 6, 0.125
# How far below (above) the floating margin (factor) the claim stays, relative to the temperatures (to 1).
_SLACKS = (1e-7, 1e-3)


def prove(
    question: Problem | Solution | AbstractGame,
    kind: Kind | None = None,
    *,
    tau: Any = None,
    reference: Any = None,
    entropy: Entropy | None = None,
    continuation: Continuation | None = None,
    log_policy: Any = None,
    weights: Any = None,
) -> Proof | None:
    """Prove that an HQRE exists in a box and is the only one there, or that there is only one at all.

    Args:
        question: A solution, about which a box is put; or a problem, or a game with ``tau``.
        kind: ``krawczyk`` (default for solutions), ``margin`` or ``contraction``; for problems by default the first
            of the last two that succeeds.
        tau: Temperatures of a game, as in `solve`.
        reference: ρ, as in `solve`.
        entropy: As in `solve`.
        continuation: As in `solve`.
        log_policy: ``log π`` near an HQRE, to prove ``krawczyk`` of a problem without a solution.
        weights: ``margin``: weights ``w``, ``(player, information state)``; by default those of the bounds.

    Returns:
        The proof, or None where none was found. Next to a bifurcation there is none: the Jacobian is singular.

    Raises:
        InputError: If python-flint is missing, the question is none, or no policy is given about which to put a box.

    Source: theory.md §3 ("Local certificate"), T1, T4.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> proof = hq.prove(game, tau=8.0)
        >>> proof.kind
        'margin'
    """
    given = question.problem if isinstance(question, Solution) else question
    if not (isinstance(given, Problem) or is_game(given)):
        kind_of = type(given).__name__
        raise InputError("question", f"is a {kind_of}; give a solution, or a problem: Problem(game, tau)")
    problem = posed(given, tau, reference=reference, entropy=entropy, continuation=continuation)
    if isinstance(question, Solution) and log_policy is None:
        log_policy = question.log_policy
    data = problem_data(problem)
    with flint().ctx.workprec(_BITS):
        if kind == "krawczyk" or (kind is None and isinstance(question, Solution)):
            if log_policy is None:
                raise InputError("log_policy", "is missing: a box is put about a solution or a policy")
            return _local(data, np.asarray(log_policy, np.float64))
        if kind != "contraction":
            proof = _margin(data, problem, weights)
            if proof is not None or kind == "margin":
                return proof
        return _contraction(data)


def _local(data: Data, log_policy: np.ndarray) -> Proof | None:
    arb, matrix = flint().arb, flint().arb_mat
    equations = Equations(data, arb)
    cut, size = equations.num_logits, equations.size
    logits = [log_policy[i, x, a] - log_policy[i, x, acts[-1]] for i, x, acts in equations.points for a in acts[:-1]]
    # Any start does for values and occupancies but occupancy 0, of which there are no beliefs.
    centre = np.concatenate([logits, np.ones(size - cut)])
    if not np.isfinite(centre).all():
        return None
    best = None
    for step in range(_NEWTON_STEPS + (size > cut)):
        value, slope = jacobian(equations, [arb(y) for y in centre.tolist()])
        slope = as_floats(slope)
        inverses = preconditioners(slope, cut)
        if inverses is None:
            return None
        column = matrix(size, 1, value)
        if step == 0 and size > cut:
            # Values and occupancies first: their equations are linear while the policy stands still.
            move = inverses[1] * matrix(size - cut, 1, value[cut:])
            centre[cut:] -= as_floats(move)[:, 0]
            continue
        move = as_floats(inverses[0] * column)[:, 0]
        length = np.abs(move[:cut]).max(initial=0.0)
        if best is not None and not length < 0.5 * best[0]:
            break
        best = length, centre.copy(), slope, inverses, column, move
        centre = centre - move
    assert best is not None
    _, centre, slope, inverses, column, move = best
    scales = _scales(slope, cut)
    ready = (equations, centre.tolist(), scales, inverses, column)
    radius = max(float(np.max(np.abs(move) / scales, initial=0.0)) * 2, 1e-30)
    for _ in range(_TRIES):
        if _holds(ready, radius)[0]:
            break
        radius *= 4
    else:
        return None
    unique_radius = max(radius, _largest_radius(ready, radius))
    return Proof(
        kind="krawczyk",
        statement=describe("krawczyk", radius, unique_radius, None),
        radius=radius,
        unique_radius=unique_radius,
        centre=ready[1],
        scales=scales.tolist(),
        bound=None,
        weights=[],
        vector=[],
        bits=_BITS,
        problem=data,
    ).sealed()


def _scales(slope: np.ndarray, cut: int) -> np.ndarray:
    """Radii of all unknowns per unit of radius of the logits.

    Values and occupancies get twice what they follow the logits by, to first order, and some room for the second
    order: a tenth of what would move a logit by its own radius. (In regularised zero-sum games the first vanishes.)
    """
    follows = np.abs(np.linalg.solve(slope[cut:, cut:], slope[cut:, :cut])).sum(axis=1)
    influence = np.abs(slope[:cut, cut:]).max(axis=0, initial=0.0)
    room = 0.1 / np.where(influence > 0, influence, 1.0)
    return np.concatenate([np.ones(cut), 2 * follows + np.minimum(room, 1e6)])


def _holds(ready: tuple, radius: float) -> tuple[bool, float]:
    equations, centre, scales, inverses, column = ready
    return contains_one(equations, centre, [radius * s for s in scales.tolist()], inverses, column)


def _largest_radius(ready: tuple, radius: float) -> float:
    """The largest radius of uniqueness that a few tries find."""
    low, high, trial = radius, np.inf, _FIRST_RADIUS
    for _ in range(_TRIES):
        if not low < trial < 1e6:
            break
        inside, ratio = _holds(ready, trial)
        if inside:
            low = trial
            trial = trial * min(4.0, 0.9 / max(ratio, 1e-3)) if high == np.inf else np.sqrt(low * high)
        else:
            high = trial
            # The ratio grows in proportion to the radius while the box is small.
            guess = trial * 0.9 / ratio if np.isfinite(ratio) and ratio > 0 else trial / 16
            trial = guess if guess > low else np.sqrt(low * high)
        trial = float(trial)
        if high < 1.2 * low or (inside and trial < 1.1 * low):
            break
    return low


def _margin(data: Data, problem: Problem, weights: Any) -> Proof | None:
    points = decision_points(data)
    if global_test(data, "margin", [1.0] * len(points), 0) is None:
        return None
    given = np.asarray(bounds(problem).weights if weights is None else weights, np.float64)
    reach = reach_probabilities(data)
    multipliers = [float(given[p]) / float(reach[p][0]) if reach[p][0] > 0 else 1.0 for p in points]
    if not all(np.isfinite(v) and v > 0 for v in multipliers):
        return None
    at_zero, below = (global_test(data, "margin", multipliers, kappa) for kappa in (0, -1))
    assert at_zero is not None and below is not None
    rows, slack = _floats(at_zero)
    # In balls: beside large temperatures a unit of margin is lost in floating numbers.
    w = np.array([float(unit - none) for unit, none in zip(below[1], at_zero[1], strict=True)])
    root = np.sqrt(w)
    margin = np.linalg.eigvalsh((np.diag(slack) - rows) / np.outer(root, root)).min(initial=np.inf)
    top = np.max(slack / w, initial=1.0)
    if not margin > 0:
        return None
    for loss in _SLACKS:
        kappa = max(float(min(margin, top)) - loss * float(top), 0.0)
        vector = np.linalg.solve(np.diag(slack - kappa * w) - rows, w) if len(w) else w
        proof = _global_proof(data, "margin", kappa, multipliers, vector)
        if proof is not None:
            return proof
    return None


def _contraction(data: Data) -> Proof | None:
    test = global_test(data, "contraction", [], 1)
    if test is None:
        return None
    rows, diagonal = _floats(test)
    matrix = rows / diagonal[:, None]
    factor = float(np.abs(np.linalg.eigvals(matrix)).max(initial=0.0))
    for loss in _SLACKS:
        q = factor + loss * (1 + factor)
        if q >= 1:
            return None
        vector = np.linalg.solve(q * np.eye(len(rows)) - matrix, np.ones(len(rows)))
        proof = _global_proof(data, "contraction", q, [], vector)
        if proof is not None:
            return proof
    return None


def _global_proof(data: Data, kind: Kind, bound: float, weights: list[float], vector: np.ndarray) -> Proof | None:
    proof = Proof(
        kind=kind,
        statement=describe(kind, None, None, bound),
        radius=None,
        unique_radius=None,
        centre=[],
        scales=[],
        bound=bound,
        weights=weights,
        vector=vector.tolist(),
        bits=_BITS,
        problem=data,
    ).sealed()
    return proof if proof.fault() is None and matrix_holds(proof) else None


def _floats(test: Any) -> tuple[np.ndarray, np.ndarray]:
    rows, diagonal = test
    size = len(diagonal)
    matrix = np.array([[float(a) for a in row] for row in rows])
    return matrix.reshape(size, size), np.array([float(d) for d in diagonal])
