"""2×2 coordination games c·I, in which T1's constant is best possible."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from proofs_check.experiment import each_game
from proofs_check.games.certified import Certified, posed
from proofs_check.numerics.counting import all_equilibria
from proofs_check.numerics.equilibria import defect
from proofs_check.statement import Example

# Where three HQRE are exhibited, as a part of the temperature at which they part.
_JUST_BELOW = 1e-3


def coordination(sizes: np.ndarray, tau: np.ndarray) -> Certified:
    """2×2 games ``c·I`` for both agents, c and τ of each game given."""
    payoffs = sizes[:, None, None, None] * np.broadcast_to(np.eye(2), (2, 2, 2))
    return posed(hq.NormalFormGame, (payoffs,), tau)


@each_game
def _determinants(problem: hq.Problem) -> Float[Array, ""]:
    """``det DF`` at the uniform policy of games of which it is an HQRE."""
    problem, z = problem.centered(), jnp.zeros(problem.mask.size)
    return jnp.linalg.det(jax.jacfwd(lambda z: defect(problem, z))(z))


def bifurcation(sizes: np.ndarray) -> np.ndarray:
    """Where the uniform HQRE of ``c·I`` stops to be regular: the zero of ``det DF(τ)``, by bisection."""
    low, high = 0.25 * sizes, sizes.copy()
    for _ in range(52):
        middle = 0.5 * (low + high)
        below = _determinants(coordination(sizes, middle).problem) < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)


def equilibria_below(sizes: np.ndarray) -> list[np.ndarray]:
    """The first action's probabilities, the same for both agents, at all HQRE of ``c·I`` just below τ = c/2."""
    policies, good = all_equilibria(coordination(sizes, 0.5 * sizes * (1 - _JUST_BELOW)).problem)
    return [np.unique(np.round(p[ok][:, :, 0, 0], 8), axis=0) for p, ok in zip(policies, good, strict=True)]


def examples() -> tuple[Example, ...]:
    """2×2 coordination ``c·I``: the least certified temperature is that at which one HQRE becomes three."""
    sizes = np.array([0.5, 1.0, 2.0, 3.0])
    # At a common temperature κ = τ − threshold, whatever τ.
    threshold = sizes - np.asarray(coordination(sizes, sizes).known.margin)
    found = [
        Example(f"coordination {c:g}·I", "bifurcation / least certified temperature", float(parting), float(least))
        for c, parting, least in zip(sizes, bifurcation(sizes), threshold, strict=True)
    ]
    for c, policies in zip(sizes, equilibria_below(sizes), strict=True):
        chances = ", ".join(f"{x:.6f}" for x in policies[:, 0])
        name = f"coordination {c:g}·I, τ = {0.5 * c * (1 - _JUST_BELOW):g}: P = {chances}"
        found.append(Example(name, "number of HQRE / 3", float(len(policies)), 3.0))
    return tuple(found)
