"""What JaxMARL's and PettingZoo's environments have in common on the way to a game."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from hqre_jax.core._types import InputError, Labels


def action_mask(
    num_information_states: int | Mapping[str, int], num_actions: Mapping[str, int]
) -> Bool[np.ndarray, "player state action"]:
    """Valid actions where all of an agent's actions are valid everywhere.

    Args:
        num_information_states: Number for all agents, or by agent.
        num_actions: By agent, in the order of the players.

    Returns:
        The mask; agents with fewer information states are padded with states of one action.

    Raises:
        InputError: An agent has no number of information states, or none at all.
    """
    agents = list(num_actions)
    if isinstance(num_information_states, int):
        num_information_states = dict.fromkeys(agents, num_information_states)
    lacking = [agent for agent in agents if num_information_states.get(agent, 0) < 1]
    if lacking:
        raise InputError("num_information_states", f"gives no number above 0 for the agent {lacking[0]!r}")
    mask = np.zeros((len(agents), max(num_information_states.values()), max(num_actions.values())), bool)
    for i, agent in enumerate(agents):
        mask[i, : num_information_states[agent], : num_actions[agent]] = True
    return mask


def return_range(
    reward_range: tuple[float | int, float | int], players: int, horizon: int, discount: float | int
) -> tuple[Float[np.ndarray, " player"], Float[np.ndarray, " player"]]:
    """Least and largest return from any decision on, where play may end at any step.

    Args:
        reward_range: Least and largest reward of one step, units of payoff.
        players: Number of players.
        horizon: Largest number of steps.
        discount: γ per step.

    Returns:
        Both, by player.

    Raises:
        InputError: The range is empty or not finite, or the horizon less than 1.
    """
    low, high = reward_range
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise InputError("reward_range", f"is {reward_range}; finite numbers (least, largest) are wanted")
    if horizon < 1:
        raise InputError("horizon", f"is {horizon}; it must be at least 1")
    steps = float(np.sum(discount ** np.arange(horizon)))
    return np.full(players, float(min(low, low * steps, 0))), np.full(players, float(max(high, high * steps, 0)))


def player_labels(title: str, source: str, agents: Sequence[str]) -> Labels:
    """The environment's own names."""
    return Labels(title=title, source=source, players=tuple(map(str, agents)))
