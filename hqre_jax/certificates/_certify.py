"""`certify`: prove that an HQRE is the only one, or exhibit two, or say that neither was possible."""

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hqre_jax.bounds import can_exhaust, exhaust
from hqre_jax.bounds._certificates import Certificate, Verdict, cheap_certificate
from hqre_jax.certificates.rigorous import prove
from hqre_jax.core._programs import compiled
from hqre_jax.core._simplex import center, log_softmax, safe_log
from hqre_jax.core._temperatures import as_array
from hqre_jax.core._types import InputError
from hqre_jax.equilibrium._linearization import defect, logit_jacobian
from hqre_jax.equilibrium._residual import residual_between
from hqre_jax.games._game import AbstractGame, Continuation
from hqre_jax.problem import Entropy, Problem, posed
from hqre_jax.solving._branch import Branch, trace_branch

# Padded policy entries beyond which no second HQRE is looked for: Jacobians are dense.
SEARCH_LIMIT = 512
# Bytes that the Jacobians of all starts may take together, counted with the copies that a factorisation makes.
_MEMORY, _COPIES = 2e8, 4
_WARM_STEPS, _NEWTON_STEPS, _HALVINGS = 20, 40, 8
# Two policies this close in every entry count as one.
_DISTINCT = 1e-6
# What a search starts from, or ends at.
_Starts = Float[Array, "start player state action"]
# How many separate candidates are put to the test.
_MAX_CANDIDATES = 12
_EXHAUSTED = "boxes cover all policies and every HQRE in them has index +1, so there is exactly one"


def certify(
    game: AbstractGame | Problem,
    tau: Any = None,
    *,
    reference: Any = None,
    entropy: Entropy | None = None,
    continuation: Continuation | None = None,
    num_starts: int = 64,
    key: Any = None,
    rigorous: bool = False,
) -> Certificate:
    """Whether the HQRE is unique: ``unique`` is proved, ``not_unique`` comes with two HQRE, all else is ``undecided``.

    First the bounds of T1 and T4; then, for normal forms of few players and actions, exhaustion: boxes cover all
    policies, and every HQRE in them is shown to have index +1 (`exhaust`), which proves uniqueness also where the
    margin is negative. If neither proves anything, Newton's method runs from ``num_starts`` policies: those that the
    boxes were left at, and random ones; at last from points of the principal branch, its turning points and
    perturbations of its end.

    A witness must have residual ≤ 1e-10 (float32: 1e-5) at the requested temperatures and pass the test of
    Kantorovich's theorem with constants of the game: ``h = β K η ≤ ½``, ``β = ‖J⁻¹‖``, ``η = β (‖F‖ + rounding)``, K a
    Lipschitz constant of the Jacobian of ``F(z) = z − P T(z)`` near z. Then an exact HQRE lies within 2η of it, in
    logits. Next to a bifurcation β is large, the test fails, and the verdict is ``undecided``. For games where
    everybody moves once K is proved (``_curvature``); where play goes on its place is taken by an estimate, and
    ``not_unique`` is a numerical judgement.

    Args:
        game: The game, or a `Problem` in place of it and of all that is said about temperatures and entropy.
        tau: Temperatures as in `solve`, units of payoff.
        reference: ρ, uniform by default.
        entropy: "kl" by default, or "shannon".
        continuation: "soft" by default, "plain" or "zero_sum".
        num_starts: Starts of each search; fewer where memory would exceed 200 MB. 0: bounds only.
        key: Typed PRNG key of the random starts; a fixed one by default.
        rigorous: Whether the verdict must be proved with outward rounding (needs python-flint): ``unique`` by the
            bounds in interval arithmetic, ``not_unique`` by disjoint Krawczyk boxes about the witnesses. What
            cannot be proved so (exhaustion never can) is ``undecided``; the proofs hang on the certificate.

    Returns:
        The `Certificate`. Games of more than 512 padded policy entries are not searched; the reason says so.

    Raises:
        InputError: On bad input.

    Source: theory.md §3, T1, T4; Kantorovich (1948), Ortega (1968); Milnor (1965) for the index.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> hq.certify(game, 8.0).verdict
        <Verdict.unique: 'unique'>
    """
    problem = posed(game, tau, reference=reference, entropy=entropy, continuation=continuation)
    if isinstance(num_starts, bool) or not isinstance(num_starts, int | np.integer) or num_starts < 0:
        raise InputError("num_starts", f"is {num_starts!r}; it must be a whole number, 0 or more")
    certificate = _searched(problem, int(num_starts), key)
    return _proved(problem, certificate) if rigorous else certificate


def _searched(problem: Problem, num_starts: int, key: Any) -> Certificate:
    """The certificate in float64: bounds, exhaustion, search."""
    certificate = cheap_certificate(problem)
    if certificate.verdict == Verdict.unique or num_starts == 0:
        return certificate
    hints = np.zeros((0, *problem.mask.shape))
    if can_exhaust(problem):
        exhausted = exhaust(problem)
        if exhausted.unique:
            return dataclasses.replace(certificate, verdict=Verdict.unique, reason=_EXHAUSTED)
        hints = exhausted.hints
    size = problem.mask.size
    if size > SEARCH_LIMIT:
        reason = f"the bounds prove nothing, and {size} policy entries are too many to search ({SEARCH_LIMIT} at most)"
        return dataclasses.replace(certificate, reason=reason)
    starts = min(num_starts, int(_MEMORY / (8 * _COPIES * size**2)))
    proved = _equilibria(problem, starts, (key, 0), hints)
    pair = _distinct_pair(proved)
    if not pair:
        proved += _equilibria(problem, starts, (key, 1), _along(trace_branch(problem, throw=False), starts))
        pair = _distinct_pair(proved)
    if pair:
        return dataclasses.replace(
            certificate, verdict=Verdict.not_unique, witnesses=pair, reason="two different HQRE were found"
        )
    found = {0: "no regular HQRE was", 1: "one regular HQRE was"}.get(len(proved), "no two separate HQRE were")
    reason = f"the bounds prove nothing at these temperatures, and {found} found from {2 * starts} starts"
    return dataclasses.replace(certificate, reason=reason)


def _proved(problem: Problem, certificate: Certificate) -> Certificate:
    """The certificate as far as interval arithmetic confirms it."""
    whole = prove(problem)
    if whole is not None:
        return dataclasses.replace(
            certificate, verdict=Verdict.unique, witnesses=(), reason=whole.statement, proofs=(whole,)
        )
    if certificate.verdict == Verdict.not_unique:
        logs = [safe_log(jnp.asarray(witness), problem.mask) for witness in certificate.witnesses]
        boxes = [prove(problem, "krawczyk", log_policy=log) for log in logs]
        if boxes[0] is not None and boxes[1] is not None and boxes[0].excludes(boxes[1]):
            reason = "two HQRE are proved, in disjoint boxes"
            return dataclasses.replace(certificate, reason=reason, proofs=tuple(boxes))
    if certificate.verdict == Verdict.undecided:
        return certificate
    reason = f"found {certificate.verdict} in float64, which could not be proved with outward rounding"
    if certificate.reason == _EXHAUSTED:
        reason = f"found unique in float64: {certificate.reason}; this has no proof with outward rounding, a higher τ, "
        reason += "where the margin is positive, has"
    return dataclasses.replace(certificate, verdict=Verdict.undecided, witnesses=(), reason=reason)


def _equilibria(
    problem: Problem, num_starts: int, key: tuple[Any, int], hints: Float[np.ndarray, "hint player state action"]
) -> list[tuple[np.ndarray, float]]:
    """Policies close to which an HQRE is proved to lie, and how close; from the hints first."""
    given = np.zeros((num_starts, *problem.mask.shape))
    hints = hints[:num_starts]
    given[: len(hints)] = hints
    proved = []
    for z, policy in _candidates(problem, as_array(given, problem.game.dtype), len(hints), key):
        exists, radius = _is_equilibrium(problem, z)
        if exists:
            proved.append((policy, radius))
    return proved


def _along(branch: Branch, num_starts: int) -> Float[np.ndarray, "hint player state action"]:
    """Turning points of a branch, points spread along it, and its last point moved part of the way to each vertex."""
    folds = [fold.policy for fold in branch.folds][: num_starts // 4]
    spread = branch.policies[np.linspace(0, len(branch.policies) - 1, num_starts // 4).astype(int)]
    mask = np.asarray(branch.problem.mask)
    moved = []
    for i, x, a in np.argwhere(mask)[: num_starts // 4]:
        policy = branch.policies[-1].copy()
        policy[i, x] *= 0.1
        policy[i, x, a] += 0.9
        moved.append(policy)
    return np.stack([*folds, *spread, *moved]) if num_starts >= 4 else branch.policies[-1:]


def _candidates(
    problem: Problem, given: _Starts, num_given: int, key: tuple[Any, int]
) -> list[tuple[Float[Array, "player state action"], Float[np.ndarray, "player state action"]]]:
    """What `search` ends at within the tolerance, logits and policy, one of each cluster, the best residual first."""
    seed, part = key
    found = search(problem.centered(), given, as_array(num_given), seed, as_array(part))
    logits, policies, residuals = (np.asarray(part) for part in found)
    tol = 1e-10 if problem.game.dtype == jnp.float64 else 1e-5
    good = np.flatnonzero(np.isfinite(residuals) & (residuals <= tol))
    chosen: list[tuple[Any, np.ndarray]] = []
    for k in good[np.argsort(residuals[good], kind="stable")]:
        policy = policies[k]
        if all(np.abs(policy - other).max() > _DISTINCT for _, other in chosen):
            chosen.append((as_array(logits[k]), policy))
        if len(chosen) == _MAX_CANDIDATES:
            break
    return chosen


@compiled
def search(
    problem: Problem,
    given: _Starts,
    num_given: Int[Array, ""],
    key: Any,
    part: Int[Array, ""],
) -> tuple[_Starts, _Starts, Float[Array, " start"]]:
    """Damped Newton from given policies and from random ones, of these every second after some averaged responses.

    Args:
        problem: The problem, already centred.
        given: As many policies as there shall be starts, all in flight at once.
        num_given: How many of them count; the others are replaced by random ones.
        key: Typed PRNG key; None for a fixed one.
        part: Which of the two keys to take that it is split into.

    Returns:
        Final logits, their policies and their undamped residuals.
    """
    shape, mask, num_starts = problem.mask.shape, problem.mask, len(given)

    def residual(z):
        log_policy = problem.log_policy(z)
        return residual_between(log_policy, problem.response_logits(log_policy), problem)

    def start(key, spread):
        # Exponentials to a power: 1 is uniform on the simplex, larger powers approach its vertices.
        gaps = jax.random.exponential(key, shape, problem.game.dtype)
        log_policy = log_softmax(spread * jnp.log(jnp.where(mask, gaps, 1.0)), mask)
        return center(problem.response_logits(log_policy), mask)

    def warm(z, mixing):
        return jax.lax.fori_loop(0, _WARM_STEPS, lambda _, y: y - mixing * defect(problem, y), z)

    def newton(z):
        value, jacobian = logit_jacobian(problem, z)
        value = value.reshape(shape)
        direction = -jnp.linalg.solve(jacobian, value.ravel()).reshape(shape)
        direction = jnp.where(jnp.all(jnp.isfinite(direction)), direction, -value)
        lengths = 0.5 ** jnp.arange(_HALVINGS, dtype=z.dtype)
        trials = z[None] + lengths[:, None, None, None] * direction[None]
        sizes = jax.lax.map(lambda trial: jnp.sum(defect(problem, trial) ** 2), trials)
        best = jnp.argmin(jnp.where(jnp.isnan(sizes), jnp.inf, sizes))
        # Where no length helps, an averaged response leads away from the trap.
        improved = sizes[best] < jnp.sum(value**2)
        return jnp.where(improved, trials[best], z - 0.5 * value), sizes[best] < 1e-26 * (1 + jnp.sum(z**2))

    def unfinished(state):
        _, done, count = state
        return ~jnp.all(done) & (count < _NEWTON_STEPS)

    def advance(state):
        z, done, count = state
        moved, arrived = jax.vmap(newton)(z)
        return jnp.where(done[:, None, None, None], z, moved), done | arrived, count + 1

    lane = jnp.arange(num_starts)
    key = jax.random.split(jax.random.key(0) if key is None else key)[part]
    spread = jnp.asarray([1.0, 1.0, 4.0, 16.0], problem.game.dtype)[(lane // 2) % 4]
    z = jax.vmap(start)(jax.random.split(key, num_starts), spread)
    z = jax.vmap(warm)(z, 0.5 * (lane % 2).astype(z.dtype))
    hinted = jax.vmap(lambda policy: center(problem.response_logits(safe_log(policy, mask)), mask))(given)
    z = jnp.where((lane < num_given)[:, None, None, None], hinted, z)
    z, _, _ = jax.lax.while_loop(unfinished, advance, (z, jnp.zeros(num_starts, bool), 0))
    return z, jax.vmap(problem.policy)(z), jax.vmap(residual)(z)


def _is_equilibrium(problem: Problem, z: Float[Array, "player state action"]) -> tuple[bool, float]:
    """Whether an HQRE is proved to lie close to logits z, and how close in logits (2η)."""
    value, jacobian, curvature, range_over_tau = (np.asarray(part) for part in _evidence(problem.centered(), z))
    try:
        beta = np.abs(np.linalg.inv(jacobian)).sum(1).max()
    except np.linalg.LinAlgError:
        return False, np.inf
    rounding = 64 * np.finfo(value.dtype).eps * (1 + range_over_tau + np.abs(np.asarray(z)).max())
    eta = beta * (np.abs(value).max() + rounding)
    return bool(beta * curvature * eta <= 0.5 and 2 * eta <= 1), float(2 * eta)


@compiled
def _evidence(problem: Problem, z: Float[Array, "player state action"]):
    value, jacobian = logit_jacobian(problem, z)
    ratio = jnp.max(problem.game.payoff_range()[:, None] / problem.tau)
    return value, jacobian, _curvature(problem, z), ratio


def _curvature(problem: Problem, z: Float[Array, "player state action"]) -> Float[Array, ""]:
    """Lipschitz constant of the Jacobian of ``F(z) = z − P Q(softmax z)/τ`` within 1 of z, in the sup norm.

    For directions h, k of sup norm 1 a softmax p has ``‖Dp[h]‖₁ = E|h − Eh| ≤ m`` and ``‖D²p[h,k]‖₁ ≤
    2 E|h − Eh||k − Ek| ≤ 2m`` with ``m = min(1, 4 (1 − max p))``; within 1 of z the odds, hence ``1 − max p``, grow by
    e² at most. Payoffs are multilinear in the others' policies: ``|Q_i[D²p_j]| ≤ range_i m_j`` and
    ``|Q_i[Dp_j, Dp_l]| ≤ ½ range_i m_j m_l``. Summing over j and ordered pairs j ≠ l, and doubling for the centring P,
    ``K_i = (range_i/τ_i) N Σ_{j≠i} m_j`` is enough. With types, m is the largest over types. Which moves count, and how
    much where play goes on, the game says (`AbstractGame.curvature`).
    """
    game = problem.game
    top = jnp.max(problem.policy(z), axis=-1)
    used = jnp.any(problem.mask, axis=-1)
    mixing = jnp.max(jnp.where(used, jnp.minimum(1.0, 4 * jnp.exp(2.0) * (1 - top)), 0.0), axis=1)
    moves = game.curvature(mixing)
    return jnp.max(game.payoff_range()[:, None] / problem.tau * game.num_players * moves[:, None])


def _distinct_pair(proved: list[tuple[np.ndarray, float]]) -> tuple[np.ndarray, ...]:
    """The two policies furthest apart, if the neighbourhoods in which HQRE are proved to lie do not meet; else ()."""
    pairs = [(np.abs(p - q).max() - r - s, p, q) for (p, r), (q, s) in itertools.combinations(proved, 2)]
    # A probability moves by at most as much as the logits do: radii in logits serve for policies.
    if not pairs:
        return ()
    gap, first, second = max(pairs, key=lambda pair: pair[0])
    return (first, second) if gap > _DISTINCT else ()
