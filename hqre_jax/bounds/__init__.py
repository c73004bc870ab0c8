"""The constants of theory.md §3–4: interactions, margin, Lipschitz constant, largest step, contraction.

Every number is a bound that survives rounding: margins are rounded down, everything else up.
"""

import numpy as np

from hqre_jax.bounds._continuing import continuing_contraction
from hqre_jax.bounds._exhaustive import Exhaustion, can_exhaust, exhaust
from hqre_jax.bounds._interactions import Interactions, interactions_under
from hqre_jax.bounds._matrices import double_difference, spectral_radius
from hqre_jax.bounds._nested import Nested, nested_constants, nested_factor
from hqre_jax.bounds._one_shot import Bounds, cancelling_scales, one_shot_bounds
from hqre_jax.bounds._regret import RegretMajorant, regret_majorant
from hqre_jax.core._programs import compiled, in_numpy, remembered
from hqre_jax.core._temperatures import as_array
from hqre_jax.games._game import AbstractGame
from hqre_jax.games._world_states import AbstractWorldStateGame, world_states
from hqre_jax.problem import Problem, is_early

__all__ = [
    "Bounds",
    "Exhaustion",
    "Interactions",
    "Nested",
    "RegretMajorant",
    "bounds",
    "can_bound",
    "can_exhaust",
    "cancelling_scales",
    "double_difference",
    "exhaust",
    "interactions_under",
    "nested_constants",
    "nested_factor",
    "regret_majorant",
    "spectral_radius",
]


def bounds(problem: Problem) -> Bounds:
    """Constants of T1, T2 and T4 for the game at hand, at the best weights of a short search.

    Normal forms, polymatrix and Bayesian games have a margin and a contraction factor. Games that go on with
    policy-independent beliefs have a contraction factor, and Markov games the nested one of T4 as a second proof.
    Trees, γ = 1 and policy-dependent beliefs have nothing.

    Args:
        problem: The problem; its continuation and entropy matter only where play goes on.

    Returns:
        `Bounds`, traceable under ``jit`` and ``vmap``. Any positive weights give a valid margin; the search takes
        the best of w = 1, of ``y/x`` with ``x = (T−Λ)⁻¹1, y = (T−Λ)⁻ᵀ1`` (Perron vectors where the logit map does
        not contract), of the weights that make
        ``w_x Λ_xy`` symmetric (which cancel zero-sum interactions of any scale), and of the ends of a subgradient
        descent from each. The first few small problems of a shape are looked at in numpy, later ones by a program:
        the two agree to rounding.

    Source: theory.md §3, T1, T2, T4.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> known = hq.bounds.bounds(hq.Problem(game, 8.0))
        >>> round(float(known.margin), 3), bool(known.unique)
        (6.5, True)
    """
    centered = problem.centered()
    if centered.game.plays_on and _continuing(centered.game) is None:
        return _nothing(centered)
    # Among more players the search for weights magnifies the rounding by which the two ways differ.
    if centered.game.num_players != 2 or centered.game.plays_on or not is_early(centered, "bounds"):
        return _bounds(centered)
    return remembered(centered, "bounds", lambda: _by_numpy(centered))


def _by_numpy(problem: Problem) -> Bounds:
    try:
        with np.errstate(all="ignore"):
            return Bounds(*map(as_array, one_shot_bounds(in_numpy(problem))))
    except np.linalg.LinAlgError:  # numpy seeks no eigenvalues of what is not finite; JAX's are nan
        return _bounds(problem)


@compiled
def _bounds(problem: Problem) -> Bounds:
    game = problem.game
    if game.pairwise_payoffs() is not None:
        return one_shot_bounds(problem)
    continuing = _continuing(game)
    if continuing is None:
        return _nothing(problem)
    factor = continuing_contraction(problem, continuing)
    unique = factor < 1
    if game.markov_stages() is not None:
        unique = unique | (nested_factor(problem, continuing) < 1)
    return _nothing(problem)._replace(contraction=factor, unique=unique)


def can_bound(game: AbstractGame) -> bool:
    """Whether any bound applies to games of this kind, whatever their numbers are.

    Args:
        game: The game.

    Returns:
        Whether `bounds` may find anything.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> hq.bounds.can_bound(game)
        True
    """
    return game.pairwise_payoffs() is not None or _continuing(game) is not None


def _continuing(game: AbstractGame) -> AbstractWorldStateGame | None:
    """The game by its world states, where play goes on under beliefs that nobody moves, and γ < 1."""
    worlds = world_states(game)
    return worlds if worlds is not None and game.policy_independent_beliefs and not worlds.may_end else None


def _nothing(problem: Problem) -> Bounds:
    nan = as_array(np.nan, problem.game.dtype)
    return Bounds(nan, as_array(np.full(problem.tau.shape, np.nan), nan.dtype), nan, nan, nan, as_array(False))
