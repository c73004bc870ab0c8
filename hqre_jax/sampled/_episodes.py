"""Logged play: whole episodes as arrays, and as the rows of a rollout log."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hqre_jax.core._programs import compiled
from hqre_jax.core._simplex import probabilities
from hqre_jax.core._types import ActionMask, InputError, LogPolicy, checked_kind
from hqre_jax.games._game import is_game
from hqre_jax.games._simulator import AbstractSimulator
from hqre_jax.rollouts._observations import check_fit
from hqre_jax.rollouts._rollout_log import RolloutLog
from hqre_jax.sampled._probes import thresholds


class Episodes(NamedTuple):
    """Plays from beginning to end; steps after the end of a play are empty.

    Attributes:
        states: Information state of each player who acts, −1 for the others; ``(episode, step, player)``.
        actions: What they did; 0 where nobody acts.
        rewards: What each player was paid at each step, acting or not; units of payoff.
        log_propensities: Log-probability with which each action was drawn; 0 where nobody acts.
        ended: Whether the play came to its end, rather than being cut off.
        failed: Whether it broke down; then nothing in it counts.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> game = hq.SampledGame.from_game(hq.load_game("stag_hunt"))
        >>> log = hq.RolloutLog.from_plays([[0, 1]], [[1.0, 8.0]], log_propensities=np.log(0.5), num_actions=[[2], [2]])
        >>> plays = hq.sampled.Episodes.from_log(log, game)
        >>> plays.rewards.tolist(), plays.to_log(game).payoff.tolist()
        ([[[1.0, 8.0]]], [1.0, 8.0])
    """

    states: Int[Array, "episode step player"]
    actions: Int[Array, "episode step player"]
    rewards: Float[Array, "episode step player"]
    log_propensities: Float[Array, "episode step player"]
    ended: Bool[Array, " episode"]
    failed: Bool[Array, " episode"]

    def to_log(self, game: Any, run: int = 0) -> RolloutLog:
        """One row for each decision.

        What a player is paid while others move is added to the row of its own last move, discounted to then; what
        is paid before its first move has no row. A play that broke down before anybody moved leaves one failed row, of
        player 0, so that it is counted.

        Args:
            game: The game that was played, for its discount, its actions and its names.
            run: Number of the run.

        Returns:
            The log.
        """
        gamma = _discount(game)
        states, rewards = np.asarray(self.states), np.asarray(self.rewards, np.float64)
        payoffs = np.zeros(states.shape)
        later = np.zeros((states.shape[0], states.shape[2]))
        for t in reversed(range(states.shape[1])):
            later = rewards[:, t] + gamma * later
            payoffs[:, t] = later
            later = np.where(states[:, t] >= 0, 0.0, later)
        recorded = states >= 0
        # Failed before anybody moved: somebody's row must say so.
        recorded[np.asarray(self.failed) & ~recorded.any((1, 2)), 0, 0] = True
        episode, step, agent = cell = np.nonzero(recorded)
        failed = np.asarray(self.failed)[episode]
        mask = np.asarray(game.action_mask)
        return RolloutLog(
            run=run,
            episode=episode,
            step=step,
            agent=agent,
            information_state=np.maximum(states[cell], 0),
            action=np.asarray(self.actions)[cell],
            log_propensity=np.minimum(np.asarray(self.log_propensities, np.float64)[cell], 0.0),
            payoff=np.where(failed, np.nan, payoffs[cell]),
            failed=failed,
            num_actions=_counts(mask),
            labels=game.labels,
        )

    @classmethod
    def from_log(cls, log: RolloutLog, game: Any) -> "Episodes":
        """The plays of a log, in the order of (run, episode).

        Args:
            log: The log; every play in it is taken to have come to its end, and steps to be numbered from 0.
            game: The game that was played, for its discount, its players and the type of its numbers.

        Returns:
            The episodes. What a row says was paid is placed at the last step before its agent's next move, so that
            weights of the moves on which it may depend come before it.

        Raises:
            InputError: If the log does not fit the game, or does not know its propensities.
        """
        gamma = _discount(game)
        mask = np.asarray(game.action_mask)
        _check_fit(checked_kind(log, RolloutLog, "log"), mask)
        plays, episode = np.unique(np.stack([log.run, log.episode]), axis=1, return_inverse=True)
        count, length = plays.shape[1], int(log.step.max(initial=0)) + 1
        shape = count, length, mask.shape[0]
        cell = episode.reshape(-1), log.step, log.agent
        states, actions = np.full(shape, -1), np.zeros(shape, int)
        paid, propensities = np.zeros(shape), np.zeros(shape)
        states[cell], actions[cell] = log.information_state, log.action
        paid[cell], propensities[cell] = np.where(log.failed, 0.0, log.payoff), log.log_propensity
        failed = np.zeros(count, bool)
        np.logical_or.at(failed, cell[0], log.failed)
        last = np.zeros(count, int)
        np.maximum.at(last, cell[0], log.step)
        rewards = _paid_before_next_move(states, paid, last, gamma)
        dtype = game.dtype
        return cls(
            jnp.asarray(states),
            jnp.asarray(actions),
            jnp.asarray(rewards, dtype),
            jnp.asarray(np.nan_to_num(propensities), dtype),
            jnp.ones(count, bool),
            jnp.asarray(failed),
        )


@compiled
def play(simulator: AbstractSimulator, key: Any, log_policy: LogPolicy, num_episodes: int) -> Episodes:
    """Everybody follows a policy of a JAX simulator.

    Args:
        simulator: The simulator.
        key: Typed key; episode k depends on this key and k alone.
        log_policy: ``log π``.
        num_episodes: Number of plays.

    Returns:
        The `Episodes`.
    """
    mask = simulator.action_mask
    on_policy = thresholds(probabilities(log_policy, mask), mask)
    players = jnp.arange(mask.shape[0])

    def one(key):
        begin, acts, chance = jax.random.split(key, 3)
        uniform = jax.random.uniform(acts, (simulator.horizon, len(players)), log_policy.dtype)

        def advance(carry, now):
            state, over = carry
            key, u = now
            states = jnp.where(over, -1, simulator.observe(state))
            rows = jnp.maximum(states, 0)
            actions = jnp.where(states >= 0, jnp.sum(u[:, None] >= on_policy[players, rows], axis=-1), 0)
            chosen = jnp.where(states >= 0, log_policy[players, rows, actions], 0.0)
            following, rewards, ended = simulator.step(key, state, actions)
            rewards = jnp.where(over, 0.0, rewards)
            state = jax.tree.map(lambda new, old: jnp.where(over, old, new), following, state)
            return (state, over | ended), (states, actions, rewards, chosen)

        start = simulator.reset(begin), jnp.asarray(False)
        (_, over), seen = jax.lax.scan(advance, start, (jax.random.split(chance, simulator.horizon), uniform))
        return Episodes(*seen, over, jnp.asarray(False))

    return jax.vmap(lambda k: one(jax.random.fold_in(key, k)))(jnp.arange(num_episodes))


def _counts(mask: np.ndarray) -> list[list[int]] | None:
    """Numbers of actions, where valid actions come first at every information state; else None."""
    number = mask.sum(-1)
    first = (mask == (np.arange(mask.shape[-1]) < number[..., None])).all()
    return [[int(n) for n in row if n] for row in number] if first and (number > 0).any(-1).all() else None


def _discount(game: Any) -> float:
    """γ of a game that is played step by step."""
    gamma = game.step_discount() if is_game(game) else None
    if gamma is None:
        raise InputError("game", f"is a {type(game).__name__}, not a game that is played step by step, with a discount")
    return float(gamma)


def _check_fit(log: RolloutLog, mask: ActionMask | np.ndarray) -> None:
    check_fit(log, np.asarray(mask))
    plays = np.unique(np.stack([log.run, log.episode]), axis=1, return_inverse=True)[1].reshape(-1)
    # A play that broke down is left out: nothing of it need be known.
    unknown = np.isnan(log.log_propensity) & ~np.isin(plays, plays[log.failed])
    if unknown.any():
        raise InputError(f"log.log_propensity[{int(np.argmax(unknown))}]", "is unknown; weights need it")


def _paid_before_next_move(states: np.ndarray, paid: np.ndarray, last: np.ndarray, gamma: float) -> np.ndarray:
    """Each payment moved to the last step before its agent's next move, worth as much as before."""
    rewards = np.zeros_like(paid)
    target = np.repeat(last[:, None], paid.shape[2], axis=1)
    for t in reversed(range(paid.shape[1])):
        acting = states[:, t] >= 0
        e, i = np.nonzero(acting)
        delay = target[e, i] - t
        rewards[e, target[e, i], i] += paid[e, t, i] / np.where(delay > 0, gamma, 1.0) ** delay
        target = np.where(acting, t - 1, target)
    return rewards
