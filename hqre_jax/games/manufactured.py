"""Manufactured equilibria: games of any kind and size with an HQRE that is known beforehand.

One construction serves every game. Let Q and V be the values of the given game at the wanted policy π, and
pay agent i, whenever it takes action a at information state x, the extra

    δ_i(x, a) = τ_i(x) log(π_i/ρ_i)(a|x) − Q_i^π(x, a)  −  Σ_b π_i(b|x) [ the same at b ] .

Its mean under π_i is zero at every world state or node at which i moves. So at π nothing that comes before or
after the move is worth more or less than it was, to anybody, and beliefs at π depend on transitions and π
alone. Hence Q_i^π(x, ·) moves by exactly δ_i(x, ·), to τ log(π/ρ) plus a constant in a, and π is a fixed point
of the logit response. It does not matter whose entropy counts in V (`soft`, `plain`, `zero_sum`), whether
beliefs depend on the policy, or whether the game goes on. Where ``r_2 = −r_1`` must hold, agent 1 also pays what
agent 2 receives, and the reverse: those terms average to zero under π as well. In a Markov game whose values are
given, the payment is the formula of theory.md §5.

Extra payments that depend on one's own action and information state alone are no interaction: margins,
interactions and hence the uniqueness of a zero-sum plant (γ = 0) are those of the given game.
"""

from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hqre_jax.core._namespace import Array, namespace
from hqre_jax.core._programs import compiled
from hqre_jax.core._simplex import safe_log
from hqre_jax.core._types import ActionValues, InputError, LogPolicy
from hqre_jax.games import ExtensiveFormGame, PolymatrixGame
from hqre_jax.games._checks import expect_shape, finite
from hqre_jax.games._game import AbstractGame, Continuation
from hqre_jax.games._world_states import AbstractWorldStateGame, legal_actions, with_payoffs
from hqre_jax.problem import Entropy, Problem, early_or_compiled, full_policy

Game = TypeVar("Game", bound=AbstractGame)


def manufactured(
    game: Game,
    policy: Any,
    tau: Any,
    *,
    reference: Any = None,
    entropy: Entropy = "kl",
    continuation: Continuation = "soft",
    values: Any = None,
) -> Game:
    """The given game plus payments to own actions that make an interior policy an exact HQRE.

    See the module's text for the construction and its proof. In a polymatrix game a player's payment is
    spread evenly over its edges; a player without edges earns nothing and can only be planted at its
    reference. In a tree it is paid on arrival at the node that the action leads to.

    Args:
        game: Any game: its payoffs are the starting point, and all else is kept.
        policy: The policy π to plant, ``(player, information state, action)``, positive at valid actions.
        tau: Temperatures as in `solve`, in units of payoff.
        reference: Reference policy ρ, uniform by default.
        entropy: "kl" or "shannon".
        continuation: "soft", "plain" or "zero_sum" (which keeps ``r_2 = −r_1``).
        values: Optional continuation values to plant as well, ``(player, state)``, current regularisation
            included, for games that go on: per world state, or per public state of a public-private game,
            where they are means over types. The values that π has in the given game by default. For
            "zero_sum" they must be opposite.

    Returns:
        A game of the same kind and shape whose residual at π is rounding.

    Raises:
        InputError: On bad input, a policy on the boundary, values for a game that ends at once, or a
            polymatrix player without edges whose policy is not its reference.

    Source: theory.md §5.
    """
    problem = Problem(game, tau, reference=reference, entropy=entropy, continuation=continuation)
    log_policy = safe_log(full_policy(policy, game.action_mask, game.dtype, "policy", interior=True), game.action_mask)
    targets = None if values is None else _targets(problem, values)
    payment, shift = _payments(problem, log_policy, targets)
    opposed = continuation == "zero_sum"
    if isinstance(game, PolymatrixGame):
        return with_payoffs(game, game.payoffs + _on_edges(game, payment, opposed))
    if isinstance(game, ExtensiveFormGame):
        return with_payoffs(game, game.payoffs + _on_arrival(game, payment, opposed))
    if isinstance(game, AbstractWorldStateGame):
        return with_payoffs(game, game.payoffs + _on_own_actions(game, payment, opposed, shift))
    raise InputError("game", f"is a {type(game).__name__}, whose payoffs cannot be corrected")


@early_or_compiled
def _payments(
    problem: Problem, log_policy: LogPolicy, targets: Float[Array, "player target"] | None
) -> tuple[ActionValues, Float[Array, "player target"] | None]:
    """``δ_i(x, a)``, and the pay per period that makes wanted continuation values true."""
    shift = None
    if targets is None:
        evaluation = problem.evaluate(log_policy)
    else:
        game = problem.game
        assert isinstance(game, AbstractWorldStateGame)  # `_targets` lets no other pass
        bonus = problem.bonus(log_policy)
        evaluation = game.evaluate(log_policy, bonus, problem.continuation, targets=targets)
        shift = targets - evaluation.continuation
        if problem.continuation == "zero_sum":
            shift = 0.5 * (shift - shift[::-1])  # opposite to the last bit, as payoffs must be
    wanted = problem.tau[..., None] * (log_policy - problem.log_reference)
    xp = namespace(wanted)
    missing = xp.where(problem.mask, wanted - evaluation.action_values, 0.0)
    mean = xp.sum(problem.policy(log_policy) * missing, axis=-1, keepdims=True)
    return xp.where(problem.mask, missing - mean, 0.0), shift


def _targets(problem: Problem, values: Any) -> Float[Array, "player target"]:
    game = problem.game
    kernel = game.world_transitions() if isinstance(game, AbstractWorldStateGame) else None
    if kernel is None:
        raise InputError("values", "are for games that go on; here play ends and payoffs fix the values")
    targets = finite(values, "values", dtype=game.dtype)
    expect_shape(targets, "values", (game.num_players, kernel.shape[-1]))
    if problem.continuation == "zero_sum" and not np.array_equal(targets[0], -targets[1]):
        raise InputError("values", "must be opposite for the two players of a zero-sum game")
    return targets


@compiled
def _on_own_actions(
    game: AbstractWorldStateGame, payment: ActionValues, opposed: bool, shift: Float[Array, "player target"] | None
) -> Float[Array, "..."]:
    """Payments as a payoff tensor: ``δ_i(o_i(w), a_i)``, plus a payment that depends on the state alone."""
    base = game.world_payoffs()
    num_players, num_worlds, num_actions = base.shape[0], base.shape[1], base.shape[2:]
    at_worlds = game.at_worlds(payment)
    own = []
    for i, a in enumerate(num_actions):
        axes = [1] * num_players
        axes[i] = a
        own.append(jnp.broadcast_to(at_worlds[i, :, :a].reshape(num_worlds, *axes), base.shape[1:]))
    extra = jnp.stack(own)
    if opposed:
        extra = extra - extra[::-1]
    if shift is not None:
        # A public state stands for as many worlds as there are type profiles, in the order of worlds.
        per_world = jnp.repeat(shift, num_worlds // shift.shape[1], axis=1)
        extra = extra + per_world.reshape(num_players, num_worlds, *(1 for _ in num_actions))
    legal = legal_actions(game.action_mask, game.information_map(), num_actions)
    return jnp.where(legal, extra, 0.0).reshape(game.payoffs.shape)


def _on_edges(game: PolymatrixGame, payment: ActionValues, opposed: bool) -> Float[Array, "edge 2 action action"]:
    """Payments spread evenly over a player's edges."""
    first, second = np.asarray(game.edges).T
    degree = np.bincount(np.concatenate([first, second]), minlength=game.num_players)
    due = np.asarray(payment)[:, 0]
    # A lonely player's Q is 0, so its payment is τ log(π/ρ) less the mean: zero only where π = ρ.
    lonely = (degree == 0) & (np.abs(due).max(-1) > 64 * jnp.finfo(game.dtype).eps)
    if lonely.any():
        raise InputError(
            f"policy[{int(np.argmax(lonely))}]",
            "is not the reference, but the player has no edge: it earns nothing and plays its reference",
        )
    share = due / np.maximum(degree, 1)[:, None]
    to_first, to_second = share[first][:, :, None], share[second][:, None, :]
    if opposed:
        to_first, to_second = to_first - to_second, to_second - to_first
    extra = np.stack(np.broadcast_arrays(to_first, to_second, np.zeros(game.payoffs[:, 0].shape))[:2], axis=1)
    return jnp.where(game.legal_pairs()[:, None], jnp.asarray(extra, game.dtype), 0.0)


def _on_arrival(game: ExtensiveFormGame, payment: ActionValues, opposed: bool) -> Float[Array, "player node"]:
    """Payments to the mover at the children of its nodes."""
    parent = np.asarray(game.parent)
    above = np.where(parent < 0, 0, parent)
    player, state = np.asarray(game.player)[above], np.asarray(game.information_set)[above]
    moved = (parent >= 0) & (player >= 0)
    nodes = np.flatnonzero(moved)
    due = np.asarray(payment)[player[nodes], state[nodes], np.asarray(game.branch)[nodes]]
    extra = np.zeros(game.payoffs.shape)
    extra[player[nodes], nodes] = due
    if opposed:
        extra = extra - extra[::-1]
    return jnp.asarray(extra, game.dtype)
