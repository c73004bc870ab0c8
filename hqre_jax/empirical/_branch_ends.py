"""Where the principal branch ends at other payoffs than the estimated ones: whether it may be another equilibrium."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.core._simplex import center
from hqre_jax.core._types import LogPolicy
from hqre_jax.equilibrium._linearization import defect
from hqre_jax.problem import Problem

# Stations of the branch, evenly spaced in 1/τ, and Newton steps at each.
_STATIONS, _STEPS = 24, 4


def branch_ends(problem: Problem, payoffs: Float[Array, "game ..."]) -> Float[Array, "game player state action"]:
    """Policies ``log π`` at the end of the branch that starts at the reference, in games of other payoffs.

    A coarse continuation: Newton's method from station to station. It tells equilibria apart; it does not find them to
    the last digit, nor does it follow sharp turns, and where it does not arrive it is not a number.

    Args:
        problem: The problem, whose payoffs are replaced.
        payoffs: One array of payoffs for each game.

    Returns:
        Log-policies, padding 0.
    """
    shape = problem.mask.shape

    def end(theta: Float[Array, "..."]) -> LogPolicy:
        def at(scale):
            return eqx.tree_at(lambda p: (p.game.payoffs, p.scale), problem, (theta, scale)).centered()

        def correct(logits, scale):
            posed = at(scale)

            def equation(z):
                return defect(posed, z.reshape(shape)).ravel()

            def newton(_, z):
                return z - jnp.linalg.solve(jax.jacfwd(equation)(z), equation(z))

            return jax.lax.fori_loop(0, _STEPS, newton, logits), None

        stations = jnp.linspace(1.0 / _STATIONS, 1.0, _STATIONS, dtype=theta.dtype)
        start = center(problem.log_reference, problem.mask).ravel()
        arrived = jax.lax.scan(correct, start, stations)[0].reshape(shape)
        off = jnp.max(jnp.abs(defect(at(stations[-1]), arrived)))
        return jnp.where(off < 1e-6, at(stations[-1]).log_policy(arrived), jnp.nan)

    return jax.vmap(end)(payoffs)
