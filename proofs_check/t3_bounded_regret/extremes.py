"""Games in which T3's constants are attained: matching pennies, and a reference that hardly knows the best action."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.core._types import Scalar
from proofs_check.games.certified import matching_pennies, pose
from proofs_check.numerics.compiled import each_game, split_keys
from proofs_check.statement import Example
from proofs_check.t3_bounded_regret.claims import ROUND, Sample, sides
from proofs_check.t3_bounded_regret.rounds import Point, Start, best_reply, plain_gap


def rare_best_action(rarity: np.ndarray, chance: np.ndarray) -> tuple[Float[Array, " game"], Float[Array, " game"]]:
    """Slope of regret and its bound (f) for an agent whose reference gives the better of two actions ``rarity``.

    Its payoff, which nobody else touches, is such that π* gives that action ``chance`` at τ = 1.
    """
    lift = np.log(chance / (1 - chance)) + np.log1p(-rarity) - np.log(rarity)
    payoffs = np.zeros((len(lift), 2, 2, 2))
    payoffs[:, 0, 0, :] = lift[:, None]
    logits = np.zeros((len(lift), 2, 1, 2))
    logits[:, 0, 0, 0] = np.log(rarity) - np.log1p(-rarity)
    problem = pose(hq.NormalFormGame, (payoffs,), np.ones((len(lift), 2, 1)), logits)

    return _slope_alone(problem)


@each_game
def _slope_alone(problem: hq.Problem) -> tuple[Scalar, Scalar]:
    """Slope and bound of the first agent, who plays its best reply to anything."""
    problem = problem.centered()
    policy = best_reply(problem, problem.log_reference)
    ones = jnp.ones_like(problem.tau)
    point = Point(problem, problem, ones, ones, policy, jnp.zeros(()))
    bound = jnp.max(jnp.where(problem.mask, -problem.log_reference, 0.0), axis=-1)
    return plain_gap(point, policy)[0], point.per_player(problem.tau * bound)[0]


def examples() -> tuple[Example, ...]:
    """(b) in the first round of matching pennies, and (f) where the reference hardly knows the best action."""
    tau = np.array([0.2, 1.0])
    logits = np.zeros((2, 2, 1, 3))
    logits[:, 1, 0, :2] = 1e-3, -1e-3
    sample = Sample(np.ones(2), Start(logits, np.zeros((2, 2), bool)), split_keys(jax.random.key(0), 2))
    first = sides(matching_pennies(tau), sample)[ROUND]
    observed, bound = (np.asarray(part)[:, 0, 0, 0] for part in first[:2])
    found = [
        Example(f"matching pennies, τ = {t:g}", "g⁰ / majorant", float(g), float(b))
        for t, g, b in zip(tau, observed, bound, strict=True)
    ]
    rarity, chance = np.array([1e-6, 1e-30, 1e-200]), np.array([0.1, 0.02, 0.003])
    slopes, bounds = rare_best_action(rarity, chance)
    found += [
        Example(f"ρ = {r:g} at the best action", "h(π*) / τ log 1/ρ", float(s), float(b))
        for r, s, b in zip(rarity, slopes, bounds, strict=True)
    ]
    return tuple(found)
