"""One of T2's claims as it is, with twice the margin, and with no way to fail: what the ledger makes of them."""

from functools import partial

import jax
import numpy as np

import hqre_jax as hq
from hqre_jax.core._simplex import mirror_step
from proofs_check import Example, Experiment, Sides, Statement
from proofs_check.games.certified import Family, as_certified, posed
from proofs_check.numerics import accuracy
from proofs_check.numerics.compiled import each_game

# Settled after 300 steps. Shrinking measures one game at a time, hundreds of times: few are computed at once.
STEPS, SETTLING, AT_ONCE = 12, 600, 8


@partial(each_game, size=AT_ONCE)
def divergences(problem, known, key):
    """D_k of mirror descent at the largest step of T2."""

    def update(_, log_policy):
        logits = mirror_step(log_policy, problem.response_logits(log_policy), known.max_step * problem.tau)
        return problem.log_policy(logits)

    star = jax.lax.fori_loop(0, SETTLING, update, problem.log_reference)

    def step(log_policy, _):
        return update(0, log_policy), accuracy.divergence(star, log_policy, problem, known.weights)

    start = problem.log_policy(star + 0.1 * jax.random.normal(key, star.shape))
    return jax.lax.scan(step, start, length=STEPS)[1]


def sides(cases, sample):
    """``D⁺ ≤ D/(1 + η·times·κ)`` for games with a positive margin."""
    times, keys = sample
    path = divergences(cases.problem, cases.known, keys)
    q = 1 / (1 + times * np.asarray(cases.known.max_step * cases.known.margin))[:, None]
    bound = q * path[:, :-1]
    return {"D⁺ ≤ D/(1+ηκ)": Sides(path[:, 1:], bound, 1e-6 * bound + 1e-20, np.asarray(cases.known.margin) > 0)}


def pennies(rng, num):
    """Matching pennies with payoffs near ±1 and a third action that is a little worse than any."""
    one = np.array([[1.0, -1.0, 2.0], [-1.0, 1.0, 2.0], [-2.0, -2.0, 0.0]])
    noise = 0.01 * rng.standard_normal((num, 3, 3))
    return (np.stack([one + noise, -one - noise], axis=1),)


PENNIES = Family("matching pennies", pennies, hq.NormalFormGame)


def experiment(times):
    """Games at one temperature, judged as if their margin were ``times`` as large."""
    return Experiment(
        (PENNIES,),
        sides,
        lambda cases, drawing: (times, drawing.keys()),
        draw=lambda drawing: posed(PENNIES.build, pennies(drawing.rng, drawing.num), np.full(drawing.num, 0.7)),
        given=as_certified,
    )


def statement(name, times, control):
    """T2's inequality with ``times`` the margin; the control takes ``control`` times."""
    return Statement(
        name,
        f"{times:g} times the margin",
        (experiment(times),),
        f"{control:g} times the margin",
        (experiment(control),),
        lambda: (Example("a number", "itself", 1.0, 1.0),),
    )
