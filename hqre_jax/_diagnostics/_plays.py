"""A rollout log as arrays of plays: who acted at once, what that paid, and by which policy."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from hqre_jax._diagnostics._estimates import ActionValueEstimates
from hqre_jax._diagnostics._interactions import InteractionEstimates
from hqre_jax._rollout_log import RolloutLog
from hqre_jax._types import InputError

# Log-propensities of one policy differ by rounding of files and logarithms only.
_SAME = 1e-6


class Plays(NamedTuple):
    """Simultaneous decisions, one row for each step of each episode.

    Attributes:
        states: Information states ``(row, player)``.
        actions: Actions ``(row, player)``; −1 where the player did not act or the play failed.
        rewards: Payoffs of the step ``(row, player)``, units of payoff.
        to_go: Discounted payoffs from this step to the end of the episode.
        log_propensity: Logged ``log π_i(a|x)``; not a number where unknown.
        episode: Number of the episode, which is independent of all others.
    """

    states: Int[np.ndarray, "row player"]
    actions: Int[np.ndarray, "row player"]
    rewards: Float[np.ndarray, "row player"]
    to_go: Float[np.ndarray, "row player"]
    log_propensity: Float[np.ndarray, "row player"]
    episode: Int[np.ndarray, " row"]

    @classmethod
    def of(cls, log: RolloutLog, num_players: int, discount: float) -> "Plays":
        """The plays of a log; an episode that fails somewhere tells nothing about the steps before it."""
        key = np.stack([log.run, log.episode, log.step], axis=1)
        steps, row = np.unique(key, axis=0, return_inverse=True)
        row = row.reshape(-1)
        shape = (len(steps), num_players)
        states, actions = np.zeros(shape, np.int64), np.full(shape, -1)
        rewards, propensity = np.zeros(shape), np.full(shape, np.nan)
        at = (row, log.agent)
        states[at], propensity[at] = log.information_state, log.log_propensity
        actions[at] = np.where(log.failed, -1, log.action)
        rewards[at] = np.where(log.failed, np.nan, log.payoff)
        episode = np.unique(steps[:, :2], axis=0, return_inverse=True)[1].reshape(-1)
        to_go = rewards.copy()
        # Rows are sorted by episode and step: later payoffs are added from the end.
        for k in range(len(steps) - 2, -1, -1) if discount else ():
            if episode[k] == episode[k + 1]:
                to_go[k] += discount ** float(steps[k + 1, 2] - steps[k, 2]) * to_go[k + 1]
        return cls(states, actions, rewards, to_go, propensity, episode)

    def estimates(self, mask: Bool[np.ndarray, "player state action"]) -> ActionValueEstimates:
        """Action values, episodes being the independent clusters."""
        return ActionValueEstimates.from_rollouts(
            self.actions, self.to_go, mask, information_states=self.states, cluster=self.episode
        )

    def interactions(self, mask: Bool[np.ndarray, "player state action"]) -> InteractionEstimates:
        """Interactions in the payoffs of a step."""
        return InteractionEstimates.from_plays(self.actions, self.rewards, mask, information_states=self.states)

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
        if np.any((high - low)[seen] > _SAME):
            raise InputError(name, "mixes policies: log_propensity differs at one action; split it where play changed")
        policy.flat[seen] = np.exp(0.5 * (low + high)[seen])
        unseen = mask & np.isnan(policy)
        rest = np.maximum(1 - np.nansum(policy, axis=-1, keepdims=True), 0.0)
        policy = np.where(unseen, rest / np.maximum(unseen.sum(-1, keepdims=True), 1), np.nan_to_num(policy))
        total = np.where(mask, policy, 0.0).sum(-1, keepdims=True)
        return np.where(mask, policy, 0.0) / np.where(total > 0, total, 1.0)


def mask_of(logs: Any) -> Bool[np.ndarray, "player state action"]:
    """Valid actions: those that the logs declare, or those that were ever played."""
    declared = next((log.num_actions for log in logs if log.num_actions is not None), None)
    if declared is not None:
        widest = max(map(max, declared))
        mask = np.zeros((len(declared), max(map(len, declared)), widest), bool)
        for i, row in enumerate(declared):
            for x, count in enumerate(row):
                mask[i, x, :count] = True
        return mask
    columns = [
        np.concatenate([getattr(log, name) for log in logs]) for name in ("agent", "information_state", "action")
    ]
    mask = np.zeros([int(column.max(initial=-1)) + 1 for column in columns], bool)
    mask[tuple(columns)] = True
    return mask
