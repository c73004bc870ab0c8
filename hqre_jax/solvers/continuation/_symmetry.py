"""Symmetries of a Markov game that hold to the last bit, and the policies that they leave alone.

Looked for are the exchanges of two actions, for everybody and in every state, and of two players. An exchange that
changes no number of the problem, neither payoffs nor transitions, temperatures or reference, commutes with the logit
response: what it leaves alone is a linear space that the response maps into itself, the reference lies in it, and so
does the branch that starts there. Within that space the branch is followed as any other is; what would break the
symmetry is another branch, on which this one never goes, and where it branches off nothing happens in the space. Games
whose symmetry is imperfect, be it by rounding, have none here.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hqre_jax.core._types import LogPolicy, StateValues
from hqre_jax.problem import Problem


class Symmetry(NamedTuple):
    """The mean over all exchanges, which projects onto what they leave alone.

    Attributes:
        players: What it does to an axis of players.
        actions: What it does to an axis of actions.
        rows: What it does to all players' actions in a row.
    """

    players: Float[Array, "player player"]
    actions: Float[Array, "action action"]
    rows: Float[Array, "n n"]

    def of_logits(self, logits: LogPolicy) -> LogPolicy:
        """The mean of ``(player, state, action)``."""
        return jnp.einsum("ij,jsa,ab->isb", self.players, logits, self.actions)

    def of_values(self, values: StateValues) -> StateValues:
        """The mean of ``(player, state)``."""
        return self.players @ values

    def of_stages(self, matrix: Float[Array, "n n state"]) -> Float[Array, "n n state"]:
        """A Jacobian state by state, all players' actions in a row: as it is in the space, the identity across."""
        across = jnp.eye(len(self.rows), dtype=matrix.dtype) - self.rows
        return jnp.einsum("abs,bc->acs", matrix, self.rows) + across[:, :, None]


def symmetry(problem: Problem) -> Symmetry:
    """What a Markov game is symmetric under, of the exchanges that are looked for.

    Args:
        problem: The problem; where players have different numbers of actions nothing is looked for.

    Returns:
        The `Symmetry`.
    """
    game = problem.game.markov_stages()
    assert game is not None
    players, _, *actions = game.payoffs.shape
    most, dtype = max(actions), problem.tau.dtype
    if min(actions) < most:
        return Symmetry(*(jnp.eye(size, dtype=dtype) for size in (players, most, sum(actions))))

    def of_actions(order: Int[Array, " action"]) -> Bool[Array, ""]:
        def joint(tensor: Array, first: int) -> Array:
            for axis in range(first, first + players):
                tensor = jnp.take(tensor, order, axis=axis)
            return tensor

        return _unchanged(
            problem,
            payoffs=joint(game.payoffs, 2),
            transitions=lambda: joint(game.transitions, 1),
            own=lambda x: jnp.take(x, order, axis=2) if x.ndim > 2 else x,
        )

    def of_players(i: int, j: int) -> Bool[Array, ""]:
        order = _exchanged(players, i, j)
        return _unchanged(
            problem,
            payoffs=jnp.swapaxes(game.payoffs[order], 2 + i, 2 + j),
            transitions=lambda: jnp.swapaxes(game.transitions, 1 + i, 1 + j),
            own=lambda x: x[order],
        )

    pairs, others = (list(itertools.combinations(range(size), 2)) for size in (most, players))
    orders = np.array([_exchanged(most, a, b) for a, b in pairs], int).reshape(-1, most)
    of_all_players = _mean(players, others, jnp.array([of_players(i, j) for i, j in others], bool), dtype)
    of_all_actions = _mean(most, pairs, jax.lax.map(of_actions, jnp.asarray(orders)), dtype)
    return Symmetry(of_all_players, of_all_actions, jnp.kron(of_all_players, of_all_actions))


def _exchanged(size: int, a: int, b: int) -> np.ndarray:
    order = np.arange(size)
    order[[a, b]] = b, a
    return order


def _unchanged(
    problem: Problem, payoffs: Array, transitions: Callable[[], Array], own: Callable[[Array], Array]
) -> Bool[Array, ""]:
    """Whether an exchange changes nothing.

    Args:
        problem: The problem.
        payoffs: Its game's payoffs after the exchange.
        transitions: Says what its transitions are then.
        own: What the exchange does to arrays ``(player, state, …)``.
    """
    game = problem.game.markov_stages()
    assert game is not None
    alike = jnp.all(payoffs == game.payoffs)
    for x in (problem.tau, problem.entropy_offset, problem.mask, problem.log_reference):
        alike &= jnp.all(own(x) == x)
    # Transitions are many: they are looked at where all else fits.
    return jax.lax.cond(alike, lambda: jnp.all(transitions() == game.transitions), lambda: jnp.asarray(False))


def _mean(size: int, pairs: list[tuple[int, int]], alike: Bool[Array, " pair"], dtype: Any) -> Float[Array, "n n"]:
    """The mean over exchanges: within each class of things any two of which may be exchanged."""
    first, second = np.array(pairs, int).reshape(-1, 2).T
    same = jnp.eye(size, dtype=dtype).at[first, second].set(alike.astype(dtype))
    same = jnp.maximum(same, same.T)
    return same / jnp.sum(same, axis=1, keepdims=True)
