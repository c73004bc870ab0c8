"""Where the principal branch ends at other payoffs than the estimated ones: how far log-odds may be from theirs."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hqre_jax.core._simplex import center
from hqre_jax.core._types import ActionMask, LogPolicy, Policy
from hqre_jax.empirical._influence import log_policy_gradient, log_policy_gradient_of
from hqre_jax.equilibrium._linearization import defect
from hqre_jax.problem import Problem

# Stations of the branch, evenly spaced in 1/τ, and Newton steps at each.
_STATIONS, _STEPS = 24, 4
# Steps towards the likely payoffs at which a log-odds is largest; the second is right to fourth order in the bend.
_ROUNDS = 2
# How far two computations of one equilibrium may be apart.
_SAME = 1e-4


class Branch(NamedTuple):
    """The branch that starts at the reference, at evenly spaced 1/τ.

    Attributes:
        policies: ``log π``; the last is the solution.
        gradients: Derivatives of each entry, of the flattened policy, by the payoffs.
        arrives: Whether the branch was seen to end at the solution.
    """

    policies: Float[Array, "station player state action"]
    gradients: Float[Array, "station entry player ..."]
    arrives: Bool[Array, ""]


def branch_to(problem: Problem, log_policy: LogPolicy) -> Branch:
    """The branch that should end at a solution.

    Args:
        problem: The problem.
        log_policy: Its solution.

    Returns:
        The `Branch`.
    """
    mask = problem.mask
    payoffs = problem.game.payoffs  # pyright: ignore[reportAttributeAccessIssue]
    policies = _path(problem, payoffs)
    off = jnp.abs(log_odds(policies[-1], mask) - log_odds(log_policy, mask))
    policies = policies.at[-1].set(log_policy)
    gradients = jax.vmap(lambda scale, at: log_policy_gradient(_posed(problem, payoffs, scale), at, "payoffs"))
    return Branch(policies, gradients(_stations(payoffs.dtype), policies), jnp.all(jnp.where(mask, off <= _SAME, True)))


def odds_within(
    problem: Problem,
    branch: Branch,
    spread: Float[Array, "player player profile"],
    quantile: Policy,
    elsewhere: Policy,
) -> tuple[Policy, Policy, Bool[Array, ""]]:
    """The range of each log-odds at the branch's end over all likely payoffs.

    These are profile-likelihood intervals: the least and the largest ``ℓ_e(u + d)`` over ``dᵀ(S/n)⁻¹d ≤ t²``. The
    step of Hasofer, Lind, Rackwitz and Fiessler ``d ← ± t S g/√(gᵀSg)``, g the gradient of ``ℓ_e`` where the last
    one ended, starts from the gradient at the estimate. It also starts, with a larger t, from that at the station of
    the branch at which ``ℓ_e`` is least well known: there, next to a fork, it is decided to which equilibrium the
    branch goes. If its end is not the equilibrium into which the solution moves, it is in the range as well.

    Args:
        problem: The problem.
        branch: The branch to its solution.
        spread: Covariances of the estimated payoffs of each profile.
        quantile: t of each entry.
        elsewhere: t within which the branch is to go nowhere else.

    Returns:
        Least and largest log-odds, and whether all ends could be found.
    """
    mask, solution = problem.mask, branch.policies[-1]
    payoffs = problem.game.payoffs  # pyright: ignore[reportAttributeAccessIssue]

    def sensitivity(found, gradient):
        pulls, size = _pulls(gradient, spread)
        others = jnp.where(mask, 1.0 - jnp.exp(found), 0.0).ravel()
        return pulls, jnp.where(others > 0, size / jnp.where(others > 0, others, 1.0), 0.0)

    pulls, errors = jax.vmap(sensitivity)(branch.policies, branch.gradients)
    entries = jnp.arange(mask.size)
    starts = jnp.concatenate([pulls[-1], pulls[jnp.argmax(errors, axis=0), entries]])
    times = jnp.concatenate([quantile.ravel(), elsewhere.ravel()])
    free = jnp.arange(len(starts)) < len(entries)

    def end(move, time, entry, counts):
        ended = payoffs + time * move
        found = _path(problem, ended)[-1]
        posed = _posed(problem, ended, 1.0)
        near = _checked(posed, _newton(posed, center(solution, mask).ravel(), 2 * _STEPS))
        gradient = log_policy_gradient_of(posed, found, entry)
        odds = log_odds(found, mask)
        # What is not a number is not the same.
        same = jnp.all(jnp.where(mask, jnp.abs(odds - log_odds(near, mask)) <= _SAME, True))
        return jnp.where(counts | ~same, odds, log_odds(solution, mask)), _pulls(gradient[None], spread)[0][0]

    def step(moves, _):
        found, moves = jax.vmap(end)(
            moves, jnp.concatenate([times, -times]), jnp.tile(entries, 4), jnp.concatenate([free, free])
        )
        return moves, found

    found = jax.lax.scan(step, jnp.concatenate([starts, starts]), length=_ROUNDS)[1]
    found = found.reshape(-1, *mask.shape)
    return jnp.min(found, axis=0), jnp.max(found, axis=0), jnp.all(jnp.isfinite(jnp.where(mask, found, 0.0)))


def _path(problem: Problem, payoffs: Float[Array, "..."]) -> Float[Array, "station player state action"]:
    """Policies ``log π`` along the branch in the game of other payoffs, by a coarse continuation.

    Newton's method goes from station to station. It tells equilibria apart; it does not find them to the last digit,
    nor does it follow sharp turns, and where it does not arrive it is not a number.
    """

    def correct(logits, scale):
        posed = _posed(problem, payoffs, scale)
        arrived = _newton(posed, logits, _STEPS)
        return arrived, _checked(posed, arrived)

    start = center(problem.log_reference, problem.mask).ravel()
    return jax.lax.scan(correct, start, _stations(payoffs.dtype))[1]


def _newton(posed: Problem, logits: Float[Array, " entry"], steps: int) -> Float[Array, " entry"]:
    def equation(z):
        return defect(posed, z.reshape(posed.mask.shape)).ravel()

    def newton(_, z):
        return z - jnp.linalg.solve(jax.jacfwd(equation)(z), equation(z))

    return jax.lax.fori_loop(0, steps, newton, logits)


def _checked(posed: Problem, logits: Float[Array, " entry"]) -> LogPolicy:
    """``log π`` of logits; not a number where they solve nothing."""
    found = logits.reshape(posed.mask.shape)
    return jnp.where(jnp.max(jnp.abs(defect(posed, found))) < 1e-6, posed.log_policy(found), jnp.nan)


def log_odds(log_policy: LogPolicy, mask: ActionMask) -> LogPolicy:
    """``log π − log(1 − π)``; where there is no other action 0, and so it is at padded entries."""
    policy = jnp.where(mask, jnp.exp(log_policy), 0.0)
    others = jnp.sum(policy, -1, keepdims=True) - policy
    free = mask & (others > 0)
    return jnp.where(free, log_policy - jnp.log(jnp.where(free, others, 1.0)), 0.0)


def _stations(dtype) -> Float[Array, " station"]:
    return jnp.linspace(1.0 / _STATIONS, 1.0, _STATIONS, dtype=dtype)


def _posed(problem: Problem, payoffs: Float[Array, "..."], scale: Float[Array, ""] | float) -> Problem:
    """The problem with other payoffs, at temperatures divided by `scale`."""
    return eqx.tree_at(lambda p: (p.game.payoffs, p.scale), problem, (payoffs, jnp.asarray(scale))).centered()


def _pulls(
    gradient: Float[Array, "entry player ..."], spread: Float[Array, "player player profile"]
) -> tuple[Float[Array, "entry player ..."], Float[Array, " entry"]]:
    """``S g_e/√(g_eᵀSg_e)``: the nearest payoffs at which a linear function is one standard error away; and that."""
    flat = gradient.reshape(*gradient.shape[:2], -1)
    pulls = jnp.einsum("ija,eja->eia", spread, flat)
    size = jnp.sqrt(jnp.sum(flat * pulls, axis=(1, 2)))
    return (pulls / jnp.where(size > 0, size, 1.0)[:, None, None]).reshape(gradient.shape), size
