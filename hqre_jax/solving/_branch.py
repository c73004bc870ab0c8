"""The principal branch as a curve: every point of it, with its turning points."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from hqre_jax.core._namespace import namespace
from hqre_jax.core._programs import compiled, in_numpy
from hqre_jax.core._results import RESULTS
from hqre_jax.core._temperatures import as_array, real_numbers
from hqre_jax.core._types import InputError, Scalar
from hqre_jax.games._game import AbstractGame, Continuation
from hqre_jax.problem import Entropy, Problem, early_or_compiled, is_small, posed, tolerance
from hqre_jax.solvers._loop import record
from hqre_jax.solvers._solver import AbstractSolver
from hqre_jax.solvers.continuation._branch import State, Stride, unit_along
from hqre_jax.solvers.continuation._curve import policy_of, rationality
from hqre_jax.solvers.continuation.principal_branch import PrincipalBranch

# A turning point is found to this relative length along the curve.
_FOLD_PRECISION = 1e-13
_FOLD_STEPS = 1000


@dataclass(frozen=True)
class Fold:
    """A turning point of the branch.

    Attributes:
        scale: s of ``τ = tau_to/s``.
        tau: Temperatures there, ``(player, information state)``, in units of payoff.
        policy: The policy there, ``(player, information state, action)``.

    Example:
        >>> import hqre_jax as hq
        >>> stag_hunt = hq.load_game("stag_hunt")
        >>> leaning = [[[0.666, 0.334]], [[0.666, 0.334]]]
        >>> branch = hq.trace_branch(stag_hunt, tau_to=1.0, reference=leaning)
        >>> [round(fold.scale, 3) for fold in branch.folds]
        [0.718, 0.684]
    """

    scale: float
    tau: Float[np.ndarray, "player state"]
    policy: Float[np.ndarray, "player state action"]


@dataclass(frozen=True)
class Branch:
    """A stretch of the principal branch, in the order in which it is travelled.

    Attributes:
        problem: The question at the final temperatures.
        scales: s of ``τ = tau_to/s`` at each point; not monotone where the branch turns back.
        taus: Temperatures at each point, ``(point, player, information state)``; infinite at the reference.
        policies: ``(point, player, information state, action)``.
        folds: Turning points, in order.
        bifurcations: s half-way between the points before and after each bifurcation passed that is no fold.
        result: How the tracing ended.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> branch = hq.trace_branch(game, tau_to=1.0)
        >>> float(branch.scales[0]), float(branch.scales[-1]), len(branch.folds)
        (0.0, 1.0, 0)
    """

    problem: Problem
    scales: Float[np.ndarray, " point"]
    taus: Float[np.ndarray, "point player state"]
    policies: Float[np.ndarray, "point player state action"]
    folds: tuple[Fold, ...]
    bifurcations: tuple[float, ...]
    result: RESULTS

    @property
    def num_bifurcations(self) -> int:
        """Bifurcations passed that are no folds."""
        return len(self.bifurcations)


class BranchError(RuntimeError):
    """A branch that could not be followed to its end; what was traced hangs on the error as ``.branch``.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> try:
        ...     hq.trace_branch(game, tau_to=1.0, max_steps=3)
        ... except hq.solving.BranchError as error:
        ...     print(error.branch.result)
        max_steps_reached
    """

    def __init__(self, branch: Branch):
        self.branch = branch
        reached = float(branch.scales[-1])
        why = branch.result.message_of("principal_branch")
        super().__init__(f"{branch.result}: the branch was followed to tau_to/{reached:.3g}. {why}")


def trace_branch(
    game: AbstractGame | Problem,
    tau_from: Any = np.inf,
    tau_to: Any = None,
    *,
    reference: Any = None,
    entropy: Entropy | None = None,
    continuation: Continuation | None = None,
    tol: float | None = None,
    max_steps: int | None = None,
    throw: bool = True,
) -> Branch:
    """Trace the principal branch, ``τ(s) = tau_to/s``, from the reference policy at s = 0 to s = 1.

    Args:
        game: The game, or a `Problem`, to whose temperatures the branch is followed.
        tau_from: Where to begin to report: ``inf`` (the default), or a temperature (or temperatures in proportion to
            ``tau_to``) of at least ``tau_to``. The branch is always followed from ``τ = ∞``.
        tau_to: Where to end: a number, one per player, or ``(player, information state)``, in units of payoff.
        reference: ρ, uniform by default.
        entropy: "kl" by default, or "shannon".
        continuation: "soft" by default, "plain" or "zero_sum".
        tol: Residual wanted at the end, in probability; 1e-10 in float64, 1e-5 in float32.
        max_steps: Largest number of continuation steps.
        throw: Whether to raise where the end is not reached.

    Returns:
        The `Branch`; its last point is the HQRE that ``solve(..., solver="principal_branch")`` returns.

    Raises:
        InputError: On bad input.
        BranchError: If ``throw`` and the branch was lost.

    Source: theory.md §6; Turocy (2005).

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> branch = hq.trace_branch(game, tau_to=1.0)
        >>> print(branch.policies[[0, -1], 0, 0].round(3))
        [[0.5  0.5 ]
         [0.02 0.98]]
    """
    try:
        problem = posed(game, tau_to, reference=reference, entropy=entropy, continuation=continuation)
    except InputError as error:
        raise InputError("tau_to" if error.field == "tau" else error.field, error.problem) from None
    first = _first_scale(problem, tau_from)
    solver = PrincipalBranch()
    if max_steps is not None and (isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 0):
        raise InputError("max_steps", f"is {max_steps!r}; it must be a whole number, 0 or more")
    limit = solver.default_max_steps if max_steps is None else max_steps
    centered = problem.centered()
    state, code, _, trace = record(
        solver, centered, problem.log_reference, tolerance(tol, problem), as_array(limit), _observe
    )
    result = list(RESULTS)[int(code)]
    goal = float(_goal(centered))
    if result == RESULTS.almost_successful and float(state.point[-1]) < goal:
        # Being nearly an answer counts at the end of the branch only.
        result = RESULTS.max_steps_reached
    # First what was refused goes, then what stays where it is.
    trace = _kept(trace, trace["accepted"])
    trace = _kept(trace, _moved(trace["point"][:, -1]))
    scales = trace["point"][:, -1] / goal
    tau = np.asarray(problem.tau)
    folds = tuple(
        _fold(centered, trace, int(k), goal, tau)
        for k in np.flatnonzero(np.diff(np.sign(trace["tangent"][:, -1])) != 0)
    )
    reported = _reported(scales, first)
    with np.errstate(divide="ignore"):
        taus = tau / scales[reported][:, None, None]
    branch = Branch(
        problem=problem,
        scales=scales[reported],
        taus=taus,
        policies=trace["policy"][reported],
        folds=folds,
        bifurcations=tuple(float(scales[k : k + 2].mean()) for k in np.flatnonzero(np.diff(trace["bifurcations"]) > 0)),
        result=result,
    )
    if throw and result != RESULTS.successful:
        raise BranchError(branch)
    return branch


def _observe(solver: AbstractSolver, problem: Problem, state: State) -> dict[str, Any]:
    return {
        "point": state.point,
        "policy": problem.policy(state.iterate.logits),
        "tangent": state.tangent,
        "accepted": state.accepted,
        "bifurcations": state.watch.bifurcations,
    }


def _kept(trace: dict[str, np.ndarray], which: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[which] for name, values in trace.items()}


def _moved(position: np.ndarray) -> np.ndarray:
    """Drop polishing steps, which stay where they are, but for the last."""
    same = np.append(position[1:] == position[:-1], False)
    return ~same


def _first_scale(problem: Problem, tau_from: Any) -> float:
    start = np.asarray(real_numbers(tau_from, "tau_from"), np.float64)
    used = np.asarray(problem.mask).any(-1)
    tau = np.asarray(problem.tau, np.float64)
    if np.isnan(start).any() or (start <= 0).any():
        raise InputError("tau_from", "must be a number greater than 0; inf starts at the reference policy")
    if start.ndim == 1 and start.shape == (tau.shape[0],):
        start = start[:, None]
    if start.ndim and start.shape not in ((tau.shape[0], 1), tau.shape):
        raise InputError("tau_from", f"has shape {start.shape}; it must be a number or have the shape of tau_to")
    ratios = (tau / start)[used] if start.ndim else tau[used].max() / start[None]
    if np.ptp(ratios) > 1e-9 * ratios.max():
        raise InputError("tau_from", "must be in proportion to tau_to: the branch keeps the ratios of temperatures")
    if ratios.max() > 1 + 1e-12:
        raise InputError(
            "tau_from", f"is below tau_to (ratio {1 / ratios.max():.3g}); the branch is followed downwards"
        )
    return float(ratios.max())


def _reported(scales: np.ndarray, first: float) -> np.ndarray:
    """Points from the last one before ``tau_from`` on."""
    later = np.flatnonzero(scales >= first)
    start = max(int(later[0]) - 1, 0) if len(later) else len(scales) - 1
    return np.arange(0 if first == 0 else start, len(scales))


@early_or_compiled
def _goal(problem: Problem) -> Scalar:
    return rationality(problem)


def _corrected(problem, point, tangent, length):
    solver, no = PrincipalBranch(), namespace(point).asarray(False)
    stride = Stride(length, begins=no, landing=no, arrived=no)
    there = solver.correct(problem, solver.begin(problem, point), point + length * tangent, tangent, stride)
    return there, unit_along(there.onwards, tangent)


_compiled_correction = compiled(_corrected)


def _fold(problem: Problem, trace: dict, k: int, goal: float, tau: np.ndarray) -> Fold:
    """The turning point between points k and k + 1, where the tangent's t-component vanishes.

    From point k on, steps that fail or go beyond the turn are halved; all others are taken.
    """
    point, tangent = trace["point"][k], trace["tangent"][k]
    plain = in_numpy(problem) if is_small(problem) else None
    if plain is None:
        correct, point, tangent = _compiled_correction, as_array(point), as_array(tangent)
    else:
        correct, problem = _corrected, plain
    length = float((trace["point"][k + 1] - trace["point"][k]) @ trace["tangent"][k])
    shortest = _FOLD_PRECISION * max(1.0, length)
    rising = float(tangent[-1]) > 0
    for _ in range(_FOLD_STEPS):
        if length <= shortest:
            break
        with np.errstate(all="ignore"):
            there, onwards = correct(problem, point, tangent, namespace(point).asarray(length, point.dtype))
        if bool(there.good) and (float(onwards[-1]) > 0) == rising:
            point, tangent = there.point, onwards
        else:
            length *= 0.5
    scale = float(point[-1]) / goal
    return Fold(scale=scale, tau=tau / scale, policy=np.asarray(policy_of(problem, point)))
