"""Temperatures from observed play: maximum likelihood on the principal branch, with standard errors."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hqre_jax.core._module import AbstractModule
from hqre_jax.core._padding import padded_rows
from hqre_jax.core._programs import compiled
from hqre_jax.core._results import RESULTS
from hqre_jax.core._temperatures import as_float_array, concrete
from hqre_jax.core._types import ActionMask, ActionValues, InputError, Scalar, StateValues, checked_choice
from hqre_jax.games._game import AbstractGame, Continuation
from hqre_jax.problem import Entropy, Problem, tolerance
from hqre_jax.solving._solution import Solution
from hqre_jax.solving._solve import solve

# Temperatures are sought between these parts of the largest payoff range: colder ones play best responses and hotter
# ones the reference, to within what counts of any usual size can tell. Play tends to its limit like a power of τ.
_COLDEST, _HOTTEST = 1e-6, 1e6
# Temperatures at which the likelihood is looked at before it is climbed, eight a decade, and the number of highest
# peaks among them that are climbed: it need not be concave.
_GRID, _STARTS = 97, 4
# Climbing ends when another Newton step would gain less than n times this many squared residuals: a residual ε moves
# the slope by n ε/π and the curvature is of the order of n, so that smaller gains are not to be told from none.
_GAIN_RESIDUALS = 1e3
# Rounding of the log-likelihood, in eps: a step that loses less is no loss.
_LOSS_ROUNDING = 64
# Curvatures below this part of the largest are none.
_FLAT = 1e-12
_LARGEST_DAMPING = 1e12
_MAX_STEPS = 100


class TemperatureFit(AbstractModule):
    """Maximum-likelihood temperatures, and how well the data determine them.

    Attributes:
        tau: Temperatures in full, ``(player, information state)``, units of payoff; padding 1.
        estimates: The free temperatures: one, one per player, or one per ``player·X + information state``.
        standard_errors: Of the estimates, units of payoff, from the Fisher information; infinite where the data
            say nothing, nan at a bound.
        covariance: Of the logarithms of the estimates.
        bound: Which estimates ended at an edge of the range that was searched, and at which: −1 at the cold one
            (τ → 0: exact best responses explain the data best), 1 at the hot one (τ → ∞: the reference policy does),
            0 inside.
        log_likelihood: ``Σ n_i(x, a) log π_i(a|x)`` at the estimate, in nats.
        solution: The HQRE at the estimate, on the principal branch.
        num_steps: Newton steps taken, on the way to the peak that is highest.
        result_code: Index of the result in ``list(RESULTS)``.
    """

    tau: StateValues
    estimates: Float[Array, " parameter"]
    standard_errors: Float[Array, " parameter"]
    covariance: Float[Array, "parameter parameter"]
    bound: Int[Array, " parameter"]
    log_likelihood: Scalar
    solution: Solution
    num_steps: Int[Array, ""]
    result_code: Int[Array, ""]

    @property
    def result(self) -> Any:
        """How the search ended, a `RESULTS` string; `result_code` under tracing."""
        return list(RESULTS)[int(self.result_code)]

    @property
    def at_bound(self) -> Bool[Array, " parameter"]:
        """Which estimates ended at an edge of the range that was searched."""
        return self.bound != 0

    @property
    def rationality(self) -> Float[Array, " parameter"]:
        """``λ = 1/τ`` of the free temperatures, McKelvey and Palfrey's parameter."""
        return 1 / self.estimates

    @property
    def rationality_standard_errors(self) -> Float[Array, " parameter"]:
        """Standard errors of λ, to first order, ``se(τ)/τ²``."""
        return self.standard_errors / self.estimates**2


class _Point(NamedTuple):
    """The likelihood and its derivatives in log τ at one point; curvature is minus the second derivative.

    The solution there comes with the derivatives of its log-policy.
    """

    theta: Float[Array, " parameter"]
    log_likelihood: Scalar
    score: Float[Array, " parameter"]
    curvature: Float[Array, "parameter parameter"]
    solution: Solution
    slopes: Float[Array, "player state action parameter"]


class _Climb(NamedTuple):
    """The highest point so far, where to look next, and whether that step is the last one."""

    point: _Point
    theta: Float[Array, " parameter"]
    damping: Scalar
    num_steps: Int[Array, ""]
    settled: Bool[Array, ""]
    done: Bool[Array, ""]


def fit_temperatures(
    game: AbstractGame,
    counts: Any,
    sharing: str = "common",
    *,
    reference: Any = None,
    entropy: Entropy = "kl",
    continuation: Continuation = "soft",
    tol: float | None = None,
) -> TemperatureFit:
    """Maximum-likelihood temperatures of players who were seen to act.

    Maximises ``Σ_i Σ_x Σ_a n_i(x, a) log π_i(a|x; τ)``, π(τ) being the HQRE on the principal branch, over
    ``θ = log τ``: the common temperature on a grid between both ends first, then from its highest peaks Newton's
    method, away from saddles, its steps shortened until the likelihood rises. With
    ``I(θ) = Σ_x n_i(x) E_π[∂log π ∂log πᵀ]`` (derivatives by the implicit function theorem) the covariance of
    log τ̂ is ``I⁻¹``, and ``se(τ̂) = τ̂ √(I⁻¹)``. ``jit`` and ``vmap`` work, say over data sets.

    Args:
        game: The game.
        counts: How often each action was seen, ``(player, information state, action)``, padded or as nested lists;
            not negative, not necessarily whole. Information states nobody reached count 0.
        sharing: ``"common"``: one temperature; ``"per_player"``; ``"per_state"``: one per player and information state.
        reference: ρ, uniform by default.
        entropy: ``"kl"`` or ``"shannon"``.
        continuation: ``"soft"``, ``"plain"`` (what published fits use) or ``"zero_sum"``.
        tol: Residual of the HQRE; 1e-10 in float64, 1e-5 in float32.

    Returns:
        The ``TemperatureFit``. Its ``result`` is ``successful`` where the maximum was reached (at a bound included),
        ``diverged`` where no step goes up any more although the slope is not 0 (the branch jumps there), and
        ``nonfinite`` where no HQRE on the grid could be computed or explains the data at all.

    Raises:
        InputError: On bad input, naming the argument.

    Source: McKelvey & Palfrey (1995) §5; Turocy (2010) for following the principal branch; Dauphin et al. (2014)
    for Newton steps by absolute curvature.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> fit = hq.fit_temperatures(game, [[[20, 80]], [[20, 80]]])
        >>> fit.result, fit.tau.round(2).tolist()
        (<RESULTS.successful: 'successful'>, [[2.02], [2.02]])
    """
    checked_choice(sharing, ("common", "per_player", "per_state"), "sharing")
    mask = game.action_mask
    tally = _tally(counts, mask, game.dtype)
    options = {"reference": reference, "entropy": entropy, "continuation": continuation, "tol": tol}
    problem = Problem(game, 1.0, reference=reference, entropy=entropy, continuation=continuation)
    tolerance(tol, problem)  # errors are raised here, where values can still be looked at
    return _fit(game, tally, sharing, options)


def _tally(counts: Any, mask: ActionMask, dtype: Any) -> ActionValues:
    if isinstance(counts, list | tuple):
        counts = padded_rows(counts, np.asarray(mask), "counts")
    array = as_float_array(counts, "counts", dtype)
    if array.shape != mask.shape:
        wanted = f"{mask.shape} (player, information state, action)"
        raise InputError("counts", f"has shape {tuple(array.shape)}, where {wanted} is wanted")
    if concrete(array) and concrete(mask):
        seen, valid = np.asarray(array), np.asarray(mask)
        bad = np.argwhere(~(np.isfinite(seen) & (seen >= 0)) | (~valid & (seen != 0)))
        if len(bad):
            place = "".join(f"[{k}]" for k in bad[0])
            rule = "finite and not negative" if valid[tuple(bad[0])] else "0, as nobody can act so"
            raise InputError(f"counts{place}", f"is {seen[tuple(bad[0])]:g}; it must be {rule}")
        if not seen.any():
            raise InputError("counts", "are all 0; a fit needs at least one observation")
    return array


@compiled
def _fit(game: AbstractGame, counts: ActionValues, sharing: str, options: dict[str, Any]) -> TemperatureFit:
    mask = game.action_mask
    players, states = mask.shape[:2]
    num = {"common": 1, "per_player": players, "per_state": players * states}[sharing]
    unit = jnp.max(game.payoff_range())
    unit = jnp.log(jnp.where(unit > 0, unit, 1.0))
    low, high = unit + np.log(_COLDEST), unit + np.log(_HOTTEST)
    residual = tolerance(options["tol"], Problem(game, 1.0))
    least_gain = _GAIN_RESIDUALS * jnp.sum(counts) * residual**2

    def tau_of(theta):
        shape = {"common": (1, 1), "per_player": (players, 1), "per_state": (players, states)}[sharing]
        return jnp.where(mask.any(-1), jnp.exp(jnp.broadcast_to(theta.reshape(shape), (players, states))), 1.0)

    def solved(theta):
        return solve(game, tau_of(theta), solver="principal_branch", throw=False, **options)

    def height(theta) -> tuple[Scalar, Solution]:
        solution = solved(theta)
        total = jnp.sum(jnp.where(counts > 0, counts * solution.log_policy, 0.0))
        return jnp.where(solution.successful, total, -jnp.inf), solution

    def look(theta) -> _Point:
        def slope(theta):
            (value, solution), score = jax.value_and_grad(height, has_aux=True)(theta)
            return (score, solution.log_policy), (value, score, solution)

        (bend, slopes), (value, score, solution) = jax.jacfwd(slope, has_aux=True)(theta)
        return _Point(theta, value, score, -0.5 * (bend + bend.T), solution, slopes)

    def step(climb: _Climb, peak: Bool[Array, ""]) -> _Climb:
        before, there, begins = climb.point, look(climb.theta), climb.num_steps < 0
        there = there._replace(log_likelihood=jnp.where(peak, there.log_likelihood, -jnp.inf))
        rounding = _LOSS_ROUNDING * jnp.finfo(game.dtype).eps * jnp.abs(before.log_likelihood)
        better = begins | (there.log_likelihood > before.log_likelihood - rounding)
        point = jax.tree.map(lambda new, old: jnp.where(better, new, old), there, before)
        damping = jnp.where(better, jnp.where(climb.damping < 1, 0.0, climb.damping / 10), climb.damping * 10 + 1)
        # A blocked parameter stays where it is.
        free = ~_blocked(point, low, high)
        score = jnp.where(free, point.score, 0.0)
        sizes, axes = jnp.linalg.eigh(jnp.where(free[:, None] & free[None, :], point.curvature, 0.0))
        sizes = jnp.abs(sizes)
        steep = sizes > _FLAT * jnp.max(sizes)
        along = axes.T @ score
        full = jnp.where(steep, along / jnp.where(steep, sizes, 1.0), 0.0)
        move = axes @ (full / (1 + damping))
        onwards = jnp.clip(point.theta + jnp.clip(move, -2.0, 2.0), low, high)
        settled = 0.5 * jnp.sum(along * full) <= least_gain
        return _Climb(point, onwards, damping, climb.num_steps + 1, settled, climb.settled)

    def going(climb: _Climb) -> Bool[Array, ""]:
        possible = jnp.isfinite(climb.point.log_likelihood) & (climb.damping <= _LARGEST_DAMPING)
        return (climb.num_steps < 0) | (~climb.done & possible & (climb.num_steps < _MAX_STEPS))

    def climbed(start) -> _Climb:
        theta, peak = start
        # The loop begins with a look, too: a program contains a solver for each place where one is called.
        theta, no = jnp.full(num, theta), jnp.asarray(False)
        nowhere = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(look, theta))
        begun = _Climb(nowhere, theta, jnp.zeros((), game.dtype), jnp.asarray(-1), no, no)
        return jax.lax.while_loop(going, lambda climb: step(climb, peak), begun)

    grid = jnp.linspace(low, high, _GRID)
    heights = jax.lax.map(lambda theta: height(jnp.full(num, theta))[0], grid)
    walls = jnp.pad(heights, 1, constant_values=-jnp.inf)
    peaks = (heights >= walls[:-2]) & (heights >= walls[2:])
    starts = jax.lax.top_k(jnp.where(peaks, heights, -jnp.inf), _STARTS)[1]
    climbs = jax.lax.map(climbed, (grid[starts], peaks[starts]))
    best = jnp.argmax(climbs.point.log_likelihood)
    climb = jax.tree.map(lambda each: each[best], climbs)
    solution, slopes = climb.point.solution, climb.point.slopes
    expected = jnp.sum(counts, axis=-1, keepdims=True) * solution.policy
    information = jnp.einsum("ixa,ixap,ixaq->pq", expected, slopes, slopes)
    bound = jnp.where(climb.point.theta <= low, -1, jnp.where(climb.point.theta >= high, 1, 0))
    return _report(climb, information, bound)


def _blocked(point: _Point, low: Scalar, high: Scalar) -> Bool[Array, " parameter"]:
    """Parameters at a bound that the likelihood pushes outwards."""
    return ((point.theta <= low) & (point.score < 0)) | ((point.theta >= high) & (point.score > 0))


def _report(
    climb: _Climb,
    information: Float[Array, "parameter parameter"],
    bound: Int[Array, " parameter"],
) -> TemperatureFit:
    point = climb.point
    known = jnp.diagonal(information) > 0
    silent = ~(known[:, None] & known[None, :])
    inverse = jnp.linalg.inv(jnp.where(silent, jnp.eye(len(known)), information))
    covariance = jnp.where(silent, jnp.where(jnp.eye(len(known), dtype=bool), jnp.inf, 0.0), inverse)
    estimates = jnp.exp(point.theta)
    stuck = climb.damping > _LARGEST_DAMPING
    unfinished = jnp.where(stuck, RESULTS.diverged.code, RESULTS.max_steps_reached.code)
    code = jnp.where(climb.done, RESULTS.successful.code, unfinished)
    return TemperatureFit(
        tau=point.solution.tau,
        estimates=estimates,
        standard_errors=jnp.where(bound != 0, jnp.nan, estimates * jnp.sqrt(jnp.diagonal(covariance))),
        covariance=covariance,
        bound=bound,
        log_likelihood=point.log_likelihood,
        solution=point.solution,
        num_steps=climb.num_steps,
        result_code=jnp.where(jnp.isfinite(point.log_likelihood), code, RESULTS.nonfinite.code),
    )
