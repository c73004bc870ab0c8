"""Games in which T3's constants are attained: matching pennies, and a reference that hardly knows the best action."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from proofs_check.experiment import BATCH
from proofs_check.games.certified import matching_pennies, pose
from proofs_check.numerics.compiled import quick_jit
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

    def one(problem):
        problem = problem.centered()
        policy = best_reply(problem, problem.log_reference)
        ones = jnp.ones_like(problem.tau)
        point = Point(problem, problem, ones, ones, policy, jnp.zeros(()))
        bound = jnp.max(jnp.where(problem.mask, -problem.log_reference, 0.0), axis=-1)
        return plain_gap(point, policy)[0], point.per_player(problem.tau * bound)[0]

    return quick_jit(jax.vmap(one))(problem)


def examples() -> tuple[Example, ...]:
    """(b) in the first round of matching pennies, and (f) where the reference hardly knows the best action."""
    tau = np.array([0.2, 1.0])
    logits = np.zeros((BATCH, 2, 1, 3))
    logits[:, 1, 0, :2] = 1e-3, -1e-3
    start = Start(jnp.asarray(logits), jnp.zeros((BATCH, 2), bool))
    sample = Sample(jnp.ones(BATCH), start, jax.random.split(jax.random.key(0), BATCH))
    first = sides(matching_pennies(np.resize(tau, BATCH)), sample)[ROUND]
    observed, bound = (np.asarray(part)[:, 0, 0, 0] for part in first[:2])
    found = [
        Example(f"matching pennies, τ = {t:g}", "g⁰ / majorant", float(g), float(b))
        for t, g, b in zip(tau, observed, bound, strict=False)
    ]
    rarity, chance = np.array([1e-6, 1e-30, 1e-200]), np.array([0.1, 0.02, 0.003])
    slopes, bounds = rare_best_action(rarity, chance)
    found += [
        Example(f"ρ = {r:g} at the best action", "h(π*) / τ log 1/ρ", float(s), float(b))
        for r, s, b in zip(rarity, slopes, bounds, strict=True)
    ]
    return tuple(found)
