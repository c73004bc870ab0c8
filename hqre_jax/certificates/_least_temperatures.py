"""`least_temperatures`: how little randomness is enough to prove that there is one HQRE, and who should carry it."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hqre_jax.bounds import Bounds, Interactions, bounds, cancelling_scales, interactions_under
from hqre_jax.core._namespace import Array, each, namespace, repeated
from hqre_jax.core._programs import compiled, in_numpy
from hqre_jax.core._temperatures import concrete, full_tau
from hqre_jax.core._types import ActionMask, InputError, checked_choice
from hqre_jax.games._game import AbstractGame, is_game
from hqre_jax.problem import Problem, is_small

# Steps of the descent on the weights, and the factor by which they shrink.
_STEPS, _SHRINKING = 40, 0.85
# Rounds in which temperatures are raised until the margin is certified; one is nearly always enough.
_ROUNDS = 20


@dataclass(frozen=True, eq=False)
class LeastTemperatures:
    """Least temperatures that are certified to make the HQRE unique, and the least common one to compare with.

    Attributes:
        tau: Temperatures, ``(player, information state)``, units of payoff; padding 1.
        margin: The margin κ certified at ``tau``, at least the one asked for; units of payoff.
        weights: The weights w that prove it, ``(player, information state)``.
        common: The least common temperature with the same margin, units of payoff.
        total_cost: ``Σ cost·tau``.
        common_cost: ``Σ cost·common``.

    Example:
        >>> import hqre_jax as hq
        >>> found = hq.least_temperatures(hq.load_game("matching_pennies"))
        >>> bool(found.total_cost <= found.common_cost), found.margin >= 0
        (True, True)
    """

    tau: Float[np.ndarray, "player state"]
    margin: float
    weights: Float[np.ndarray, "player state"]
    common: float
    total_cost: float
    common_cost: float


def least_temperatures(
    game: AbstractGame | Problem, cost: Any = None, margin: float = 1e-6, *, weights: str = "joint"
) -> LeastTemperatures:
    """Temperatures of least cost ``Σ cost_x τ_x`` at which the margin κ of theory.md §3 is certified.

    With ``A = ½ W^{-1/2} C W^{-1/2} ≥ 0`` the margin at τ is ``λ_min(diag(τ) − A)``. By Perron and Frobenius it is at
    least κ exactly where some ``s > 0`` has ``A s ≤ (τ − κ) s``: the least τ are ``κ + (A s)_x / s_x``. Their cost is
    convex in ``log s``, with gradient zero where ``cost_x A_xy s_y / s_x`` is balanced; A being symmetric,
    ``s = √cost`` balances it: ``τ_x = κ + Σ_y A_xy √(cost_y / cost_x)``, in all ``κ Σ cost + √costᵀ A √cost``.

    This is done at w = 1 and, if wanted, at weights found by a descent on log w (C depends on them).

    Args:
        game: A normal form, a polymatrix or a Bayesian game; or a `Problem` of one, whose temperatures do not count.
        cost: Price of each unit of temperature: a number, one per player, or ``(player, information state)``,
            greater than 0. By default ``log A`` (the most that entropy can weigh) where numbers of actions
            differ, and 1 where they do not.
        margin: The margin κ wanted, greater than 0, units of payoff.
        weights: ``"joint"``: temperatures and weights are chosen together, and the best of w = 1, of the descent and
            of the common temperature is returned; ``"equal"``: the optimum at w = 1, in closed form.

    Returns:
        `LeastTemperatures`; ``certify(game, result.tau).margin >= margin`` holds, rounding included. Joint weights are
        those of a search: certainly no worse than w = 1, and never dearer than the common temperature.

    Raises:
        InputError: For trees and games that go on, which have no margin, and on bad input.

    Source: theory.md §3 (least temperatures), T8; Osborne (1960) for balancing.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> print(hq.least_temperatures(game).tau[:, 0].round(3))
        [1.5 1.5]
    """
    if isinstance(game, Problem):
        game = game.game
    if not is_game(game) or jax.eval_shape(lambda: game.pairwise_payoffs()) is None:
        raise InputError(
            "game", "must be a normal form, a polymatrix or a Bayesian game: trees and games that go on have no margin"
        )
    if not (concrete(margin) and np.ndim(margin) == 0 and np.isfinite(margin) and margin > 0):
        raise InputError("margin", f"is {margin!r}; it must be finite and greater than 0")
    checked_choice(weights, ("joint", "equal"), "weights")
    margin = float(margin)
    used = np.asarray(jnp.any(game.action_mask, axis=-1))
    price = _prices(cost, game.action_mask, game.dtype)
    # At a common temperature t the margin is t less a number that does not depend on t.
    unit = max(1.0, float(np.max(np.asarray(game.payoff_range()), initial=0.0)), margin)
    reference = Problem(game, unit)
    start = bounds(reference)
    common, known = _raised(game, np.where(used, margin + unit - float(start.margin), 1.0), margin)
    with np.errstate(all="ignore"):  # a descent may leave what numbers can hold
        proposals = _proposals(reference, start, price, margin, weights == "joint")
    found = [_raised(game, np.where(used, tau, 1.0), margin) for tau in proposals]
    if weights == "joint":
        found.append((common, known))
    tau, known = min(found, key=lambda candidate: np.sum((price * candidate[0])[used]))
    return LeastTemperatures(
        tau=tau,
        margin=float(known.margin),
        weights=np.asarray(known.weights),
        common=float(np.max(common[used])),
        total_cost=float(np.sum((price * tau)[used])),
        common_cost=float(np.sum((price * common)[used])),
    )


def _prices(cost: Any, mask: ActionMask, dtype: Any) -> Float[np.ndarray, "player state"]:
    if cost is not None:
        return np.asarray(full_tau(cost, mask, dtype, "cost"), np.float64)
    counts = np.asarray(mask).sum(-1)
    used = counts[counts > 0]
    return np.log(np.maximum(counts, 1)) if np.ptp(used) else np.ones(counts.shape)


def _raised(
    game: AbstractGame, tau: Float[np.ndarray, "player state"], margin: float
) -> tuple[Float[np.ndarray, "player state"], Bounds]:
    """Temperatures raised, all by the same amount, until the margin is certified: at fixed weights κ rises as much.

    The certificate searches its weights anew each time, and may find worse ones: if that goes on, more is added.
    """
    for k in range(_ROUNDS):
        known = bounds(Problem(game, tau))
        missing = margin - float(known.margin)
        if missing <= 0:
            return tau, known
        more = missing if k < _ROUNDS // 4 else 2 * missing
        tau = tau + (more + 2.0**k * 8 * float(jnp.finfo(game.dtype).eps) * (np.max(tau) + margin))
    raise InputError("margin", f"of {margin:g} is too small beside the payoffs: rounding hides it; ask for more")


def _proposals(
    reference: Problem, start: Bounds, price: Float[np.ndarray, "player state"], margin: float, search: bool
) -> list[Float[np.ndarray, "player state"]]:
    """Temperatures at w = 1 and, after a search, at the best weights of descents; those of unreached types at w = 1."""
    # A player without a choice interacts with nobody; any positive number may stand for its price.
    flat = np.where(price.ravel() > 0, price.ravel(), 1.0)
    # Never of the same game now in numpy and now by a program: the search magnifies the rounding by which they differ.
    question = reference.centered(), start.weights, jnp.asarray(flat, reference.game.dtype)
    plain = in_numpy(question) if is_small(reference) else None
    rest, *levels = _levels(*plain, search=search) if plain else _compiled_levels(*question, search=search)
    base = margin + np.asarray(rest, np.float64)
    return [(base + np.asarray(level)).reshape(price.shape) for level in levels]


def _levels(
    reference: Problem, weights: Float[Array, "player state"], price: Float[Array, " n"], search: bool
) -> tuple[Float[Array, " n"], ...]:
    """What temperatures exceed the margin by: at unreached points; at the others at w = 1, and after descents.

    These are descents on log w: from w = 1, from the weights that cancel interactions, and from the given ones.
    """
    xp = namespace(price)
    interactions, others = interactions_under(reference, 0), interactions_under(reference, 1)
    assert interactions is not None
    keep, p = interactions.keep, interactions.reach
    level = _surplus_and_slope(interactions, -xp.log(p), price)[0]
    rest = xp.zeros_like(level) if others is None else _surplus_and_slope(others, -xp.log(others.reach), price)[0]
    if not search:
        return rest, level
    given = xp.where(keep, weights.ravel() / p, 1.0)
    starts = (-xp.log(p), cancelling_scales(reference), xp.log(xp.maximum(given, xp.finfo(given.dtype).tiny)))
    log_v = xp.stack([xp.where(keep & xp.isfinite(start), start, 0.0) for start in starts])

    def cost(surplus: Float[Array, "*c n"]) -> Float[Array, "*c 1"]:
        return xp.sum(xp.where(keep, price * surplus, 0.0), axis=-1, keepdims=True)

    def descend(k: Any, state: Any) -> Any:
        log_v, best = state
        surplus, slope = _surplus_and_slope(interactions, log_v, price)
        return log_v - lengths[k] * slope, xp.where(cost(surplus) < cost(best), surplus, best)

    def best_from(log_v: Float[Array, "*c n"]) -> Float[Array, "*c n"]:
        return repeated(xp, _STEPS, descend, (log_v, xp.broadcast_to(level, log_v.shape)))[1]

    lengths = xp.asarray(2 * _SHRINKING ** np.arange(_STEPS), level.dtype)
    # Small games from all starts at once; others one after the other, which takes a third of the memory.
    found = best_from(log_v) if xp is np else jax.lax.map(best_from, log_v)
    return rest, level, found[xp.argmin(each(xp, cost, found))]


_compiled_levels = compiled(_levels)


def _surplus_and_slope(
    interactions: Interactions, log_v: Float[Array, "*c n"], price: Float[Array, " n"]
) -> tuple[Float[Array, "*c n"], Float[Array, "*c n"]]:
    """``Σ_y A_xy √(cost_y/cost_x)``, and the slope of its cost in log v, per point relative to the terms it has."""
    xp = namespace(interactions.reach)
    common, pull = interactions.common_and_pull(xp.exp(log_v))
    root = xp.sqrt(price) / xp.sqrt(xp.exp(log_v) * interactions.reach)
    scale = 0.5 * root[..., :, None] * root[..., None, :]
    terms = xp.sum(common * scale, axis=-1)
    slope = xp.sum(pull * scale, axis=-1) / xp.where(terms > 0, terms, 1.0)
    return xp.where(interactions.keep, terms / price, 0.0), slope
