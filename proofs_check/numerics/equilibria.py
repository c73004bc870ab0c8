"""HQRE by Newton's method from many starts, with no help from the library's solvers: the ledger judges those too."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.core._simplex import center, log_softmax
from hqre_jax.core._types import LogPolicy
from proofs_check.numerics.accuracy import operator
from proofs_check.numerics.compiled import each_game

# Averaged responses before Newton's method, for every second start; the others start raw.
_RESPONSES = 20
_NEWTON_STEPS, _LENGTHS = 40, (1.0, 0.5, 0.125, 0.015625)
# Squared defect at which a run has arrived; the last steps before it converge quadratically.
_ARRIVED = 1e-26
# Random policies are ``Exp(1)`` variables to these powers, normalised: uniform on the simplex, and towards vertices.
_POWERS = (1.0, 1.0, 4.0, 16.0)


@jax.jit
def defect(problem: hq.Problem, logits: Float[Array, " n"]) -> Float[Array, " n"]:
    """``z − P(Q/τ + log ρ)``, P removing the mean over actions: 0 at an HQRE with centred logits, else not."""
    z = logits.reshape(problem.mask.shape)
    pull = operator(problem, problem.log_policy(z)) / problem.tau[..., None]
    # What the operator does not see (constants, padding) must vanish too, so that the Jacobian is invertible.
    return (z - center(z, problem.mask) + pull).ravel()


def find_equilibria(
    problem: hq.Problem, num_starts: int, key: Any
) -> tuple[Float[Array, "start player state action"], Float[Array, " start"]]:
    """Approximate HQRE from random policies, by damped Newton.

    Args:
        problem: One problem, its game centred.
        num_starts: Number of starts.
        key: PRNG key.

    Returns:
        Log-policies, and the sup-norm of the defect of each: what did not converge is returned too, and tells.
    """
    mask, dtype = problem.mask, problem.tau.dtype

    def equation(z):
        return defect(problem, z)

    def start(key, lane):
        power = jnp.asarray(_POWERS, dtype)[(lane // 2) % len(_POWERS)]
        weights = jax.random.exponential(key, mask.shape, dtype)
        z = center(log_softmax(power * jnp.log(jnp.where(mask, weights, 1.0)), mask), mask).ravel()
        mixing = 0.5 * (lane % 2)
        return jax.lax.fori_loop(0, _RESPONSES, lambda _, z: z - mixing * equation(z), z)

    def newton(z):
        value = equation(z)
        direction = -jnp.linalg.solve(jax.jacfwd(equation)(z), value)
        direction = jnp.where(jnp.all(jnp.isfinite(direction)), direction, -value)
        trials = z[None] + jnp.asarray(_LENGTHS, dtype)[:, None] * direction[None]
        sizes = jax.vmap(lambda trial: jnp.sum(equation(trial) ** 2))(trials)
        best = jnp.argmin(jnp.where(jnp.isnan(sizes), jnp.inf, sizes))
        # Where no length helps, an averaged response leads away from the trap.
        improved = sizes[best] < jnp.sum(value**2)
        arrived = jnp.sum(value**2) < _ARRIVED * (1 + jnp.sum(z**2))
        return jnp.where(improved, trials[best], jnp.where(arrived, z, z - 0.5 * value)), arrived

    def unfinished(state):
        _, arrived, count = state
        return ~jnp.all(arrived) & (count < _NEWTON_STEPS)

    def advance(state):
        z, arrived, count = state
        moved, now = jax.vmap(newton)(z)
        return jnp.where(arrived[:, None], z, moved), arrived | now, count + 1

    z = jax.vmap(start)(jax.random.split(key, num_starts), jnp.arange(num_starts))
    z, _, _ = jax.lax.while_loop(unfinished, advance, (z, jnp.zeros(num_starts, bool), 0))
    sizes = jax.vmap(lambda z: jnp.max(jnp.abs(equation(z))))(z)
    return jax.vmap(lambda z: problem.log_policy(z.reshape(mask.shape)))(z), sizes


@each_game
def best_equilibrium(problem: hq.Problem, key: Any) -> LogPolicy:
    """Of the approximate HQRE from two starts the one of less defect, for each game.

    Statements about the same games share this program; how far off its answer is, they measure. Of the keys that the
    given one splits into it takes the first, and leaves the others.
    """
    found, defects = find_equilibria(problem.centered(), 2, jax.random.split(key)[0])
    return found[jnp.argmin(jnp.where(jnp.isnan(defects), jnp.inf, defects))]
