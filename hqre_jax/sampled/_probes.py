"""Probes: plays that deviate once, which is what an action value is about.

``Q_i(x, a)`` is what follows when i comes to x, takes a there, and everybody follows π ever after. A probe of
player i plays just that. Where no policy moves beliefs, the play begins at x in a world drawn from ``b_i(·|x)``, and
every cell (i, x, a) can be probed equally often. Elsewhere play begins at the beginning; the others follow π; i
tries its actions uniformly until, at a move drawn beforehand, it deviates to an action drawn uniformly, and follows π
from then on. By perfect recall i's own moves before x change nothing there. Where they do change its belief, i
follows π before x too, and a visit after t steps weighs ``γ^t``. One return comes from each probe, so that probes are
independent, and no importance weight is needed.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hqre_jax.core._simplex import probabilities
from hqre_jax.core._types import ActionMask, LogPolicy, PerPlayer, StateValues
from hqre_jax.games._game import Continuation, share
from hqre_jax.games._simulator import AbstractSimulator
from hqre_jax.sampled._estimate import Moments


class Probes(NamedTuple):
    """One return of one player from each probe; arrays over probes.

    Attributes:
        player: Who deviated.
        state: Information state at which it did; −1 if play ended before.
        action: What it did.
        total: Discounted return of this player from there on, regularisation of later moves included.
        weight: 1, or ``γ^t`` where beliefs depend on the player's own policy.
        paid: Regularisation that the player is paid at the move itself.
        cut: ``γ^r`` where play was cut off r steps after the move; 0 where it ended.
        failed: Whether the play broke down.
    """

    player: Int[Array, " probe"]
    state: Int[Array, " probe"]
    action: Int[Array, " probe"]
    total: Float[Array, " probe"]
    weight: Float[Array, " probe"]
    paid: Float[Array, " probe"]
    cut: Float[Array, " probe"]
    failed: Bool[Array, " probe"]


def thresholds(policy: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b a"]:
    """Cumulative probabilities to be compared with a uniform variable; actions of probability 0 are never drawn."""
    number = jnp.broadcast_to(jnp.arange(mask.shape[-1]), mask.shape)
    last = jnp.max(jnp.where(policy > 0, number, 0), axis=-1, keepdims=True)
    # Rounding may leave the sum below 1: the last possible action takes what is left.
    return jnp.where(number >= last, 2.0, jnp.cumsum(policy, axis=-1))


def uniform_policy(mask: ActionMask, dtype: Any) -> Float[Array, "player state action"]:
    """Every valid action equally often."""
    return mask / jnp.maximum(jnp.sum(mask, axis=-1, keepdims=True), 1).astype(dtype)


def paid_at(
    bonus: StateValues, states: Int[Array, "*b player"], continuation: Continuation
) -> Float[Array, "*b player"]:
    """``Σ_j E_ij τ_j H_j`` of those who act at a step."""
    players = jnp.arange(bonus.shape[0])
    players = jnp.broadcast_to(players, states.shape)
    own = jnp.where(states >= 0, bonus[players, jnp.maximum(states, 0)], 0.0)
    return share(own.reshape(-1, bonus.shape[0]).T, continuation).T.reshape(states.shape)


def probe(
    simulator: AbstractSimulator,
    key: Any,
    log_policy: LogPolicy,
    bonus: StateValues,
    continuation: Continuation,
    num_probes: int,
) -> Probes:
    """Probe a policy of a JAX simulator.

    Args:
        simulator: The simulator.
        key: Typed key; probe k depends on this key and k alone.
        log_policy: ``log π``.
        bonus: ``τ_j(x) H_j(x)``.
        continuation: Who is paid whose bonus later on.
        num_probes: Number of plays; players (and, where plays can begin anywhere, cells) take turns.

    Returns:
        The `Probes`.
    """
    mask = simulator.action_mask
    dtype = bonus.dtype
    on_policy = thresholds(probabilities(log_policy, mask), mask)
    trying = thresholds(uniform_policy(mask, dtype), mask)
    early = trying if simulator.beliefs_ignore_own_policy else on_policy
    players, horizon = mask.shape[0], simulator.horizon
    turns = jnp.arange(num_probes)
    if simulator.restarts:
        cells = jnp.nonzero(mask.ravel(), size=mask.size, fill_value=-1)[0]
        # Cells take turns; a batch that is no multiple of them begins anywhere.
        offset = jax.random.randint(jax.random.fold_in(key, num_probes), (), 0, mask.size)
        chosen = cells[(turns + offset) % jnp.sum(mask)]
        who, where, what = jnp.unravel_index(chosen, mask.shape)
    else:
        who, where, what = turns % players, jnp.zeros_like(turns), jnp.zeros_like(turns)

    def one(key, i, x, a):
        begin, moves, acts, chance = jax.random.split(key, 4)
        if simulator.restarts:
            state, due = simulator.restart(begin, i, x), jnp.zeros((), int)
        else:
            state, due = simulator.reset(begin), jax.random.randint(moves, (), 0, simulator.num_moves)
        uniform = jax.random.uniform(acts, (horizon, players), dtype)
        keys = jax.random.split(chance, horizon)

        def advance(carry, now):
            state, over, count, found, total, discount, weight, paid_then = carry
            key, u = now
            states = jnp.where(over, -1, simulator.observe(state))
            acting = states >= 0
            rows = jnp.maximum(states, 0)
            before = count <= due
            mine = jnp.arange(players) == i
            here = before & acting[i] & (count == due)
            table = jnp.where(
                (mine & before)[:, None],
                jnp.where(here, trying, early)[jnp.arange(players), rows],
                on_policy[jnp.arange(players), rows],
            )
            actions = jnp.sum(u[:, None] >= table, axis=-1)
            if simulator.restarts:
                actions = jnp.where(mine & here, a, actions)
            paid = paid_at(bonus, states, continuation)[i]
            following, rewards, ended = simulator.step(key, state, actions)
            started = ~before
            gain = jnp.where(started, paid, 0.0) + jnp.where((started | here) & ~over, rewards[i], 0.0)
            found = jnp.where(here, jnp.stack([states[i], actions[i]]), found)
            paid_then = jnp.where(here, paid, paid_then)
            total = total + discount * gain
            running = (started | here) & ~over
            discount = jnp.where(running, discount * simulator.discount, discount)
            weight = jnp.where(running, weight, weight * simulator.discount)
            state = jax.tree.map(lambda new, old: jnp.where(over, old, new), following, state)
            return (state, over | ended, count + acting[i], found, total, discount, weight, paid_then), None

        one_, none = jnp.ones((), dtype), jnp.zeros((), dtype)
        start = (state, jnp.asarray(False), jnp.zeros((), int), jnp.full(2, -1), none, one_, one_, none)
        (_, over, _, found, total, discount, weight, paid), _ = jax.lax.scan(advance, start, (keys, uniform))
        cut = jnp.where(over, 0.0, discount)
        weight = jnp.ones_like(weight) if simulator.beliefs_ignore_own_policy else weight
        return Probes(i, found[0], found[1], total, weight, paid, cut, jnp.asarray(False))

    keys = jax.vmap(lambda k: jax.random.fold_in(key, k))(turns)
    return jax.vmap(one)(keys, who, where, what)


def probe_moments(probes: Probes, mask: ActionMask) -> Moments:
    """Sums over probes at each cell.

    Args:
        probes: The probes.
        mask: Valid actions.

    Returns:
        The `Moments`.
    """
    dtype = probes.total.dtype
    used = (probes.state >= 0) & ~probes.failed
    cell = probes.player, jnp.maximum(probes.state, 0), jnp.maximum(probes.action, 0)
    w = jnp.where(used, probes.weight, 0.0)
    g = jnp.where(used, probes.total, 0.0)
    blank = Moments.zero(mask, dtype)

    def add(values: Float[Array, " probe"]) -> Float[Array, "player state action"]:
        return jnp.zeros(mask.shape, values.dtype).at[cell].add(values)

    return Moments(
        weight=add(w),
        total=add(w * g),
        weight_squared=add(w**2),
        cross=add(w**2 * g),
        total_squared=add((w * g) ** 2),
        visits=blank.visits.at[cell].add(used),
        cut=add(w * probes.cut),
        paid=add(w * jnp.where(used, probes.paid, 0.0)),
        episodes=blank.episodes + jnp.sum(~probes.failed),
        failed=blank.failed + jnp.sum(probes.failed),
    )


def return_width(simulator: Any, bonus: StateValues, continuation: Continuation) -> PerPlayer:
    """Width of an interval that holds every return of a probe, per player.

    Args:
        simulator: For the range of payoffs, discount and horizon.
        bonus: ``τ_j(x) H_j(x)``.
        continuation: Who is paid whose bonus later on.

    Returns:
        Units of payoff.
    """
    low, high = jnp.asarray(simulator.return_low), jnp.asarray(simulator.return_high)
    gamma = jnp.asarray(simulator.discount, bonus.dtype)
    # At most this many later steps pay a bonus, discounted.
    later = simulator.horizon - 1
    steps = jnp.where(gamma < 1, (gamma - gamma ** (later + 1)) / jnp.where(gamma < 1, 1 - gamma, 1.0), later)
    least, most = jnp.minimum(jnp.min(bonus, axis=1), 0.0), jnp.maximum(jnp.max(bonus, axis=1), 0.0)
    if continuation == "plain":
        return high - low
    if continuation == "zero_sum":
        least, most = least - most[::-1], most - least[::-1]
    return high - low + steps * (most - least)
