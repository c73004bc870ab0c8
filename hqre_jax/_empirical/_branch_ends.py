"""Where the principal branch ends at other payoffs than the estimated ones: how far log-odds may be from theirs."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hqre_jax._empirical._influence import log_policy_gradient, log_policy_gradient_of
from hqre_jax._linearise import defect
from hqre_jax._problem import Problem
from hqre_jax._simplex import center
from hqre_jax._types import ActionMask, LogPolicy, Policy

# Stations of the branch, evenly spaced in 1/τ, and Newton steps at each.
_STATIONS, _STEPS = 24, 4
# Steps towards the likely payoffs at which a log-odds is largest; the second is right to fourth order.
_ROUNDS = 2
# How far coarse continuation may be from the solution that was found.
_SAME = 1e-4


def branch_path(problem: Problem, payoffs: Float[Array, "..."]) -> Float[Array, "station player state action"]:
    """Policies ``log π`` along the branch that starts at the reference, in the game of other payoffs.

    A coarse continuation: Newton's method from station to station. It tells equilibria apart; it does not find them to
    the last digit, nor does it follow sharp turns, and where it does not arrive it is not a number.

    Args:
        problem: The problem, whose payoffs are replaced.
        payoffs: The payoffs.

    Returns:
        Log-policies, padding 0, the last one at the temperatures of the problem.
    """
    shape = problem.mask.shape

    def correct(logits, scale):
        posed = _posed(problem, payoffs, scale)

        def equation(z):
            return defect(posed, z.reshape(shape)).ravel()

        def newton(_, z):
            return z - jnp.linalg.solve(jax.jacfwd(equation)(z), equation(z))

        arrived = jax.lax.fori_loop(0, _STEPS, newton, logits)
        off = jnp.max(jnp.abs(equation(arrived)))
        return arrived, jnp.where(off < 1e-6, posed.log_policy(arrived.reshape(shape)), jnp.nan)

    start = center(problem.log_reference, problem.mask).ravel()
    return jax.lax.scan(correct, start, _stations(payoffs.dtype))[1]


def odds_within(
    problem: Problem,
    log_policy: LogPolicy,
    spread: Float[Array, "player player profile"],
    quantile: Policy,
) -> tuple[Policy, Policy, Bool[Array, ""]]:
    """The range of each log-odds on the branch over all payoffs within its quantile of standard errors.

    These are profile-likelihood intervals: the least and the largest ``ℓ_e(u + d)`` over ``dᵀ(S/n)⁻¹d ≤ t²``. The
    step of Hasofer, Lind, Rackwitz and Fiessler ``d ← ± t S g/√(gᵀSg)``, g the gradient of ``ℓ_e`` where the last
    one ended, starts from the gradient at the estimate, and from that at the station of the branch at which ``ℓ_e``
    is least well known. There, next to a fork, it is decided to which equilibrium the branch goes; if it may go to
    another, that one is in the range as well.

    Args:
        problem: The problem.
        log_policy: Its solution.
        spread: Covariances of the estimated payoffs of each profile.
        quantile: How many standard errors, of each entry.

    Returns:
        Least and largest log-odds, and whether the branch arrives, at the estimated payoffs where the solution is.
    """
    mask = problem.mask
    payoffs = problem.game.payoffs  # pyright: ignore[reportAttributeAccessIssue]
    odds = log_odds(log_policy, mask)
    path = branch_path(problem, payoffs)

    def sensitivity(scale, found):
        gradient = log_policy_gradient(_posed(problem, payoffs, scale), found, "payoffs")
        pulls, size = _pulls(gradient, spread)
        others = jnp.where(mask, 1.0 - jnp.exp(found), 1.0).ravel()
        return pulls, jnp.where(others > 0, size / others, 0.0)

    pulls, errors = jax.vmap(sensitivity)(_stations(payoffs.dtype), path)
    entries = jnp.arange(mask.size)
    starts = jnp.concatenate([pulls[-1], pulls[jnp.argmax(errors, axis=0), entries]])
    # Up and down, by the quantile of each entry.
    signs = jnp.repeat(jnp.array([1.0, -1.0]), len(starts)) * jnp.tile(quantile.ravel(), 4)
    along = jnp.tile(entries, 4)

    def end(move, sign, entry):
        ended = payoffs + sign * move
        found = branch_path(problem, ended)[-1]
        gradient = log_policy_gradient_of(_posed(problem, ended, 1.0), found, entry)
        return log_odds(found, mask), _pulls(gradient[None], spread)[0][0]

    def step(moves, _):
        found, moves = jax.vmap(end)(moves, signs, along)
        return moves, found

    found = jax.lax.scan(step, jnp.concatenate([starts, starts]), length=_ROUNDS)[1]
    found = found.reshape(-1, *mask.shape)
    there = jnp.all(jnp.where(mask, jnp.abs(log_odds(path[-1], mask) - odds) <= _SAME, True))
    arrived = there & jnp.all(jnp.isfinite(jnp.where(mask, found, 0.0)))
    return jnp.min(found, axis=0), jnp.max(found, axis=0), arrived


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
