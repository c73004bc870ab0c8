"""Exact games as simulators, so that every estimate has a truth to be compared with.

Kinds of games make these themselves (`AbstractGame.simulator`), which is why no kind is known by name here.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hqre_jax.core._types import ActionMask, InputError, Labels, PerPlayer, Scalar
from hqre_jax.games._checks import cancel
from hqre_jax.games._simulator import AbstractSimulator
from hqre_jax.games._tree import CHANCE, TERMINAL

# A play of a game that goes on for ever is cut off where the discount has fallen below this.
_CUT_BELOW = 1e-3
# No probability that is compared with a uniform variable may fall short of the last outcome by rounding.
_SURE = 2.0


class WorldSimulator(AbstractSimulator):
    """Play of a game that is written down by its world states; the state of a play is the world ``w``."""

    payoffs: Float[Array, "player world joint"]
    transitions: Float[Array, "world joint target"] | None
    spread: Float[Array, "target world"] | None
    initial: Float[Array, " world"]
    beliefs: Float[Array, "player state world"] | None
    observations: Int[Array, "player world"]
    action_mask: ActionMask
    discount: Scalar
    return_low: PerPlayer
    return_high: PerPlayer
    num_actions: tuple[int, ...] = eqx.field(static=True)
    horizon: int = eqx.field(static=True)
    num_moves: int = eqx.field(static=True)
    policy_independent_beliefs: bool = eqx.field(static=True)
    beliefs_ignore_own_policy: bool = eqx.field(static=True)
    labels: Labels = eqx.field(static=True)

    def __init__(self, game: Any, horizon: int | None, ends_early: bool):
        payoffs = game.world_payoffs()
        players, worlds = payoffs.shape[:2]
        self.num_actions = payoffs.shape[2:]
        self.payoffs = payoffs.reshape(players, worlds, -1)
        kernel = game.world_transitions()
        self.transitions = None
        if kernel is not None:
            rows = kernel.reshape(worlds, -1, kernel.shape[-1])
            self.transitions = _cumulative(rows if ends_early else _sure(rows))
        self.spread = None if kernel is None else _cumulative(_sure(game.spread(jnp.eye(kernel.shape[-1]))))
        self.initial = _cumulative(_sure(game.world_initial()))
        self.observations = game.information_map()
        self.action_mask = game.action_mask
        self.discount = game.discount_factor()
        self.horizon, decay = _horizon(game, horizon)
        self.num_moves = self.horizon
        self.policy_independent_beliefs = game.policy_independent_beliefs
        self.beliefs_ignore_own_policy = game.beliefs_ignore_own_policy
        self.labels = game.labels
        self.beliefs = _cumulative(_sure(_belief_table(game))) if game.policy_independent_beliefs else None
        low, high = game.extreme_payoffs()
        # A play may end early where rows sum to less than one: 0 is then among its returns.
        self.return_low = jnp.minimum(low, decay * low)
        self.return_high = jnp.maximum(high, decay * high)

    def opposed(self) -> Any:
        """As in the game."""
        return cancel(self.payoffs[0], self.payoffs[1])

    @property
    def restarts(self) -> bool:
        """Where no policy moves beliefs."""
        return self.policy_independent_beliefs

    def restart(self, key: Any, player: Int[Array, ""], information_state: Int[Array, ""]) -> Any:
        """``w ~ b_i(·|x)``."""
        assert self.beliefs is not None
        return _draw(key, self.beliefs[player, information_state])

    def reset(self, key: Any) -> Any:
        """``w ~ ν``."""
        return _draw(key, self.initial)

    def observe(self, state: Any) -> Int[Array, " player"]:
        """``o_i(w)``: everybody acts."""
        return self.observations[:, state]

    def step(self, key: Any, state: Any, actions: Int[Array, " player"]) -> tuple[Any, PerPlayer, Any]:
        """Rewards ``r_i(w, a)``, and ``w' ~ P(·|w, a)``."""
        joint = jnp.zeros((), actions.dtype)
        for j, count in enumerate(self.num_actions):
            joint = joint * count + actions[j]
        rewards = self.payoffs[:, state, joint]
        if self.transitions is None:
            return state, rewards, jnp.asarray(True)
        assert self.spread is not None
        to_target, to_world = jax.random.split(key)
        row = self.transitions[state, joint]
        target = _draw(to_target, row)
        over = target >= row.shape[-1]
        return _draw(to_world, self.spread[jnp.where(over, 0, target)]), rewards, over


class PolymatrixSimulator(AbstractSimulator):
    """Play of a polymatrix game: one step, payoffs summed over edges."""

    edges: Int[Array, "edge 2"]
    payoffs: Float[Array, "edge 2 action action"]
    action_mask: ActionMask
    discount: Scalar
    return_low: PerPlayer
    return_high: PerPlayer
    horizon: int = eqx.field(static=True)
    num_moves: int = eqx.field(static=True)
    policy_independent_beliefs: bool = eqx.field(static=True)
    beliefs_ignore_own_policy: bool = eqx.field(static=True)
    labels: Labels = eqx.field(static=True)

    def __init__(self, game: Any):
        self.edges, self.payoffs = game.edges, game.payoffs
        self.action_mask = game.action_mask
        self.discount = jnp.zeros((), game.dtype)
        self.horizon = self.num_moves = 1
        self.policy_independent_beliefs = self.beliefs_ignore_own_policy = True
        self.labels = game.labels

        self.return_low, self.return_high = (game.summed(ends) for ends in game.extreme_payoffs())

    def opposed(self) -> Any:
        """As in the game."""
        return cancel(self.payoffs[:, 0], self.payoffs[:, 1])

    @property
    def restarts(self) -> bool:
        """There is one information state, where every play begins."""
        return True

    def restart(self, key: Any, player: Int[Array, ""], information_state: Int[Array, ""]) -> Any:
        """The beginning."""
        return self.reset(key)

    def reset(self, key: Any) -> Any:
        """Nothing is to be known."""
        return jnp.zeros((), int)

    def observe(self, state: Any) -> Int[Array, " player"]:
        """Everybody acts."""
        return jnp.zeros(self.action_mask.shape[0], int)

    def step(self, key: Any, state: Any, actions: Int[Array, " player"]) -> tuple[Any, PerPlayer, Any]:
        """Payoffs of all edges."""
        edges, players = self.edges, self.action_mask.shape[0]
        paid = self.payoffs[jnp.arange(len(edges)), :, actions[edges[:, 0]], actions[edges[:, 1]]]
        rewards = sum(jax.ops.segment_sum(paid[:, k], edges[:, k], players) for k in (0, 1))
        return state, rewards, jnp.asarray(True)  # type: ignore[return-value]


class TreeSimulator(AbstractSimulator):
    """Play of a tree; the state of a play is the node. Chance moves in steps of its own."""

    children: Int[Array, "node branch"]
    chance: Float[Array, "node branch"]
    player: Int[Array, " node"]
    information_set: Int[Array, " node"]
    payoffs: Float[Array, "player node"]
    action_mask: ActionMask
    discount: Scalar
    return_low: PerPlayer
    return_high: PerPlayer
    root: int = eqx.field(static=True)
    horizon: int = eqx.field(static=True)
    num_moves: int = eqx.field(static=True)
    policy_independent_beliefs: bool = eqx.field(static=True)
    beliefs_ignore_own_policy: bool = eqx.field(static=True)
    labels: Labels = eqx.field(static=True)

    def __init__(self, game: Any):
        parent, player, branch = (np.asarray(a) for a in (game.parent, game.player, game.branch))
        probability, payoffs = np.asarray(game.probability), np.asarray(game.payoffs)
        size, root = len(parent), int(np.argmin(parent))
        decided = (parent >= 0) & (player[np.maximum(parent, 0)] >= 0)
        points = player[parent[decided]], np.asarray(game.information_set)[parent[decided]], branch[decided]
        shut = np.zeros(size, bool)
        shut[decided] = ~np.asarray(game.action_mask)[points]
        # What the root pays is paid before the first decision: a chance node of one outcome leads to it.
        if payoffs[:, root].any():
            parent = np.append(np.where(np.arange(size) == root, size, parent), -1)
            player, branch = np.append(player, CHANCE), np.append(np.where(branch < 0, 0, branch), -1)
            probability = np.append(np.where(np.arange(size) == root, 1.0, probability), 1.0)
            payoffs, shut = np.pad(payoffs, ((0, 0), (0, 1))), np.append(shut, False)
            size, root = size + 1, size
        inner = np.flatnonzero(parent >= 0)
        children = np.zeros((size, int(branch.max()) + 1), int)
        children[parent[inner], branch[inner]] = inner
        chance = np.zeros(children.shape)
        chance[parent[inner], branch[inner]] = np.where(player[parent[inner]] == CHANCE, probability[inner], 0.0)
        depth, moves, low, high = _extremes(parent, player, payoffs, shut)
        self.children = jnp.asarray(children)
        self.chance = _cumulative(_sure(jnp.asarray(chance, game.dtype)))
        self.player = jnp.asarray(player)
        self.information_set = jnp.asarray(np.pad(np.asarray(game.information_set), (0, size - len(game.player))))
        self.payoffs = jnp.asarray(payoffs, game.dtype)
        self.action_mask = game.action_mask
        self.discount = jnp.ones((), game.dtype)
        self.return_low, self.return_high = (jnp.asarray(bound, game.dtype) for bound in (low, high))
        self.root, self.horizon, self.num_moves = root, depth, moves
        self.policy_independent_beliefs = False
        self.beliefs_ignore_own_policy = True
        self.labels = game.labels

    def opposed(self) -> Any:
        """As in the game."""
        return cancel(self.payoffs[0], self.payoffs[1])

    def reset(self, key: Any) -> Any:
        """The root."""
        return jnp.asarray(self.root)

    def observe(self, state: Any) -> Int[Array, " player"]:
        """The mover's information set."""
        moves = jnp.arange(self.action_mask.shape[0]) == self.player[state]
        return jnp.where(moves, self.information_set[state], -1)

    def step(self, key: Any, state: Any, actions: Int[Array, " player"]) -> tuple[Any, PerPlayer, Any]:
        """To the child that the mover or chance chose."""
        mover = self.player[state]
        branch = jnp.where(mover >= 0, actions[jnp.maximum(mover, 0)], _draw(key, self.chance[state]))
        child = self.children[state, branch]
        return child, self.payoffs[:, child], self.player[child] == TERMINAL


def _cumulative(p: Float[Array, "*b n"]) -> Float[Array, "*b n"]:
    """Cumulative probabilities, to be compared with a uniform variable."""
    return jnp.cumsum(p, axis=-1)


def _sure(p: Float[Array, "*b n"]) -> Float[Array, "*b n"]:
    """Rows that surely have an outcome: the last possible one takes what rounding leaves."""
    number = jnp.broadcast_to(jnp.arange(p.shape[-1]), p.shape)
    last = jnp.max(jnp.where(p > 0, number, 0), axis=-1, keepdims=True)
    return jnp.where(number == last, p + _SURE, p)


def _draw(key: Any, cumulative: Float[Array, " n"]) -> Int[Array, ""]:
    """An outcome; n where the row sums to less than one and nothing happens."""
    return jnp.sum(jax.random.uniform(key, dtype=cumulative.dtype) >= cumulative)


def _belief_table(game: Any) -> Float[Array, "player state world"]:
    beliefs, seen = game.beliefs(game.world_initial()), game.information_map()
    here = seen[:, None, :] == jnp.arange(game.num_information_states)[None, :, None]
    return jnp.where(here, beliefs[:, None, :], 0.0)


def _horizon(game: Any, horizon: int | None) -> tuple[int, float]:
    """Steps of a play, and the sum of the discounts of as many."""
    if not game.plays_on:
        return 1, 1.0
    gamma = float(game.discount_factor())
    if horizon is None:
        if gamma == 1:
            raise InputError("horizon", "is missing: play without discount has no length of its own")
        horizon = 1 if gamma == 0 else max(1, math.ceil(math.log(_CUT_BELOW) / math.log(gamma)))
    return horizon, horizon if gamma == 1 else 1 / (1 - gamma)


def _extremes(parent, player, payoffs, shut) -> tuple[int, int, np.ndarray, np.ndarray]:
    """Depth of the tree, most moves of a player along a path, least and largest return after a decision.

    Returns are those of plays that can be played: never through a shut node, to which an action leads that is masked.
    """
    depth = np.zeros(len(parent), int)
    order, frontier = [], np.flatnonzero(parent < 0)
    while len(frontier):
        order.append(frontier)
        frontier = np.flatnonzero(np.isin(parent, frontier))
        depth[frontier] = len(order)
    moves = np.zeros((len(payoffs), len(parent)), int)
    low, high = np.full_like(payoffs, np.inf), np.full_like(payoffs, -np.inf)
    reached = ~shut
    for level in order[1:]:
        reached[level] &= reached[parent[level]]
        moves[:, level] = moves[:, parent[level]] + (player[parent[level]] == np.arange(len(payoffs))[:, None])
    least, largest = np.full_like(payoffs, np.inf), np.full_like(payoffs, -np.inf)
    for level in reversed(order):
        level = level[reached[level]]
        leaf, above = player[level] == TERMINAL, parent[level]
        low[:, level] = payoffs[:, level] + np.where(leaf, 0.0, least[:, level])
        high[:, level] = payoffs[:, level] + np.where(leaf, 0.0, largest[:, level])
        if (above >= 0).all():
            for i in range(len(payoffs)):
                np.minimum.at(least[i], above, low[i, level])
                np.maximum.at(largest[i], above, high[i, level])
    after = reached & (parent >= 0) & (player[np.maximum(parent, 0)] >= 0)
    return int(depth.max()), int(moves.max()), low[:, after].min(1), high[:, after].max(1)
