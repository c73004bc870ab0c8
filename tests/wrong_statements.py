"""Statements for tests of the ledger: one of T2's claims as it is, with twice the margin, and with no way to fail."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import hqre_jax as hq
from hqre_jax.core._simplex import mirror_step
from proofs_check import Comparison, Example, Outcome, Statement
from proofs_check import _accuracy as accuracy
from proofs_check._cases import known_bounds, quick_jit

STEPS, SETTLING = 12, 3000


@quick_jit
def divergences(problem, known, keys):
    """D_k of mirror descent at the largest step of T2, game by game."""

    def one(problem, known, key):
        def update(_, log_policy):
            logits = mirror_step(log_policy, problem.response_logits(log_policy), known.max_step * problem.tau)
            return problem.log_policy(logits)

        star = jax.lax.fori_loop(0, SETTLING, update, problem.log_reference)

        def step(log_policy, _):
            return update(0, log_policy), accuracy.divergence(star, log_policy, problem, known.weights)

        start = problem.log_policy(star + 0.1 * jax.random.normal(key, star.shape))
        return jax.lax.scan(step, start, length=STEPS)[1]

    return jax.vmap(one)(problem, known, keys)


def measure(times, problem, key):
    """``D⁺ ≤ D/(1 + η·times·κ)`` for games with a positive margin."""
    known = known_bounds(problem)
    chosen = np.asarray(known.margin) > 0
    path = np.asarray(divergences(problem, known, jax.random.split(key, len(chosen))))[chosen]
    q = 1 / (1 + times * np.asarray(known.max_step * known.margin))[chosen, None]
    kept = jax.tree.map(lambda leaf: leaf[chosen], problem)
    bound = q * path[:, :-1]
    slack = 1e-6 * bound + 1e-20
    return (Comparison("D⁺ ≤ D/(1+ηκ)", "matching pennies", path[:, 1:], bound, slack, None, kept),)


def check(times, key, num_games):
    """Matching pennies with payoffs near ±1 and a third action that is a little worse than any."""
    payoff_key, key = jax.random.split(key)
    pennies = jnp.asarray([[1.0, -1.0, 2.0], [-1.0, 1.0, 2.0], [-2.0, -2.0, 0.0]])
    noise = 0.01 * jax.random.normal(payoff_key, (num_games, 3, 3))
    payoffs = jnp.stack([pennies + noise, -pennies - noise], axis=1)
    problem = jax.vmap(lambda u: hq.Problem(hq.NormalFormGame(u), 0.7))(payoffs)
    return Outcome(measure(times, problem, key), num_games)


def sharpness():
    """A number that is what it is."""
    return (Example("a number", "itself", 1.0, 1.0),)


def statement(name, times, control):
    """T2's inequality with ``times`` the margin; the control takes ``control`` times."""
    return Statement(
        name, f"{times:g} times the margin", partial(check, times), f"{control:g} times the margin",
        partial(check, control), sharpness, partial(measure, times),
    )  # fmt: skip


STATEMENTS = {s.name: s for s in (statement("true", 1, 2), statement("wrong", 2, 4), statement("vague", 1, 0.5))}
