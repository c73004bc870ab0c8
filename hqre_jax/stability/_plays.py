"""A rollout log as arrays of plays: who acted at once, what that paid, and by which policy."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from hqre_jax.core._types import InputError
from hqre_jax.rollouts._observations import Range, check_fit, checked_mask
from hqre_jax.rollouts._rollout_log import RolloutLog
from hqre_jax.stability._estimates import ActionValueEstimates
from hqre_jax.stability._interactions import InteractionEstimates

# Log-propensities of one policy differ by rounding of files and logarithms only.
_SAME = 1e-6


class Plays(NamedTuple):
    """Simultaneous decisions, one row for each step of each episode.

    Attributes:
        states: Information states ``(row, player)``.
        actions: Actions ``(row, player)``; −1 where the player did not act or its row failed.
        rewards: Payoffs of the step ``(row, player)``, units of payoff; 0 where the player did not act, not a number
            where its row failed or, because somebody else's did, may be missing.
        to_go: Discounted payoffs from this step to the end of the episode; not a number where the play failed on
            the way.
        log_propensity: Logged ``log π_i(a|x)``; not a number where unknown.
        episode: Number of the episode, which is independent of all others.

    Example:
        >>> import hqre_jax as hq
        >>> log = hq.RolloutLog(episode=[0, 0], step=[0, 1], agent=[0, 0], action=[1, 0], payoff=[1.0, 2.0])
        >>> hq.stability.Plays.of(log, num_players=1, discount=0.5).to_go.tolist()
        [[2.0], [2.0]]
    """

    states: Int[np.ndarray, "row player"]
    actions: Int[np.ndarray, "row player"]
    rewards: Float[np.ndarray, "row player"]
    to_go: Float[np.ndarray, "row player"]
    log_propensity: Float[np.ndarray, "row player"]
    episode: Int[np.ndarray, " row"]

    @classmethod
    def of(cls, log: RolloutLog, num_players: int, discount: float) -> "Plays":
        """The plays of a log; where payoffs to come count, one that fails tells nothing about the steps before."""
        key = np.stack([log.run, log.episode, log.step], axis=1)
        steps, row = np.unique(key, axis=0, return_inverse=True)
        row = row.reshape(-1)
        shape = (len(steps), num_players)
        states, actions = np.zeros(shape, np.int64), np.full(shape, -1)
        rewards, propensity = np.zeros(shape), np.full(shape, np.nan)
        at = (row, log.agent)
        states[at], propensity[at] = log.information_state, log.log_propensity
        actions[at] = np.where(log.failed, -1, log.action)
        failed = np.zeros(len(steps), bool)
        np.logical_or.at(failed, row, log.failed)
        # A row that is not there where another failed may be one that was never written.
        rewards[failed] = np.nan
        rewards[at] = np.where(log.failed, np.nan, log.payoff)
        episode = np.unique(steps[:, :2], axis=0, return_inverse=True)[1].reshape(-1)
        to_go = rewards.copy()
        if discount:
            to_go[failed] = np.nan
        # Rows are sorted by episode and step: later payoffs are added from the end.
        for k in range(len(steps) - 2, -1, -1) if discount else ():
            if episode[k] == episode[k + 1]:
                to_go[k] += discount ** float(steps[k + 1, 2] - steps[k, 2]) * to_go[k + 1]
        return cls(states, actions, rewards, to_go, propensity, episode)

    def estimates(
        self, mask: Bool[np.ndarray, "player state action"], payoff_range: Range | None
    ) -> ActionValueEstimates:
        """Action values, episodes being the independent clusters; the range is that of payoffs to go."""
        return ActionValueEstimates.from_rollouts(
            self.actions,
            self.to_go,
            mask,
            information_states=self.states,
            cluster=self.episode,
            payoff_range=payoff_range,
        )

    def interactions(
        self, mask: Bool[np.ndarray, "player state action"], payoff_range: Range | None
    ) -> InteractionEstimates:
        """Interactions in the payoffs of a step, and so is the range."""
        return InteractionEstimates.from_plays(
            self.actions, self.rewards, mask, information_states=self.states, payoff_range=payoff_range
        )

    def policy(
        self, mask: Bool[np.ndarray, "player state action"], name: str
    ) -> Float[np.ndarray, "player state action"]:
        """The policy that the propensities tell; what is left is shared by the actions that were never drawn."""
        policy = np.full(mask.shape, np.nan)
        acted = self.actions >= 0
        player = np.broadcast_to(np.arange(mask.shape[0]), acted.shape)
        cell = np.ravel_multi_index((player[acted], self.states[acted], self.actions[acted]), mask.shape)
        value = self.log_propensity[acted]
        if np.isnan(value).any():
            raise InputError("policies", f"are needed: {name} has rows without log_propensity")
        low, high = np.full(mask.size, np.inf), np.full(mask.size, -np.inf)
        np.minimum.at(low, cell, value)
        np.maximum.at(high, cell, value)
        seen = np.isfinite(low)
        low, high = low[seen], high[seen]
        if np.any(high - low > _SAME):
            raise InputError(name, "mixes policies: log_propensity differs at one action; split it where play changed")
        policy.flat[seen] = np.exp(0.5 * (low + high))
        unseen = mask & np.isnan(policy)
        rest = np.maximum(1 - np.nansum(policy, axis=-1, keepdims=True), 0.0)
        certain = np.argwhere(np.nansum(policy, axis=-1) > 1 + len(policy.T) * _SAME)
        if len(certain):
            i, x = certain[0]
            raise InputError(name, f"mixes policies: log_propensity of player {i} at {x} adds up to more than 1")
        policy = np.where(unseen, rest / np.maximum(unseen.sum(-1, keepdims=True), 1), np.nan_to_num(policy))
        total = np.where(mask, policy, 0.0).sum(-1, keepdims=True)
        return np.where(mask, policy, 0.0) / np.where(total > 0, total, 1.0)


def mask_of(logs: Sequence[RolloutLog], action_mask: Any = None) -> Bool[np.ndarray, "player state action"]:
    """Valid actions: those given, or declared by the logs, or ever played; or an error if a log does not fit.

    Args:
        logs: Logs of one game.
        action_mask: Valid actions ``(player, information state, action)``, where the logs cannot declare them.

    Returns:
        The mask, ``(player, information state, action)``.

    Raises:
        InputError: If the logs are empty, of different games, or show what they do not declare.

    Example:
        >>> import hqre_jax as hq
        >>> log = hq.RolloutLog(episode=[0, 0], agent=[0, 1], action=[1, 0], payoff=[2.0, 0.5], num_actions=[[3], [2]])
        >>> print(hq.stability.mask_of([log])[:, 0])
        [[ True  True  True]
         [ True  True False]]
    """
    if action_mask is not None:
        mask = checked_mask(action_mask)
        _check_logs(logs, mask)
        return mask
    declared = [(k, log.num_actions) for k, log in enumerate(logs) if log.num_actions is not None]
    if not declared:
        columns = [
            np.concatenate([getattr(log, name) for log in logs]) for name in ("agent", "information_state", "action")
        ]
        mask = np.zeros([int(column.max(initial=-1)) + 1 for column in columns], bool)
        mask[tuple(columns)] = True
        silent = np.flatnonzero(~mask.any((1, 2)))
        if len(silent) or not len(mask):
            raise InputError("logs", f"hold no row of player {silent[0]}" if len(silent) else "are all empty")
        return mask
    first, table = declared[0]
    for k, other in declared:
        if other != table:
            raise InputError(f"logs[{k}]", f"is of another game than logs[{first}]: num_actions differ")
    mask = np.zeros((len(table), max(map(len, table)), max(map(max, table))), bool)
    for i, row in enumerate(table):
        for x, count in enumerate(row):
            mask[i, x, :count] = True
    _check_logs(logs, mask)
    return mask


def _check_logs(logs: Sequence[RolloutLog], mask: Bool[np.ndarray, "player state action"]) -> None:
    for k, log in enumerate(logs):
        if len(log):
            check_fit(log, mask, f"logs[{k}]")
