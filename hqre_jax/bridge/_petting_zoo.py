"""PettingZoo's parallel environments as games that are only played."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hqre_jax.bridge._environments import action_mask, player_labels, return_range
from hqre_jax.core._types import InputError
from hqre_jax.sampled import AbstractHostSimulator


class PettingZooSimulator(AbstractHostSimulator):
    """An environment of PettingZoo's parallel API, played by policies over information states.

    What agents know of a play is what ``information_state`` makes of their last observation.

    Args:
        make: Makes an environment, such as ``rps_v2.parallel_env``; called once for each play, so that plays share
            nothing.
        information_state: (agent, observation) → number from 0 on.
        num_information_states: How many there are, for all agents or by agent.
        reward_range: Least and largest reward of one step, units of payoff.
        horizon: Steps after which play is cut off.
        discount: γ in [0, 1], per step.
        perfect_recall: Whether an information state says all that its agent has seen and done; where it does not,
            an agent's own policy moves its beliefs.

    Raises:
        InputError: An agent's actions are not ``Discrete``, or a number is out of range.

    Example:
        >>> from types import SimpleNamespace
        >>> from hqre_jax.bridge import PettingZooSimulator
        >>> class Pennies:  # as `rps_v2.parallel_env` of PettingZoo; `reset` and `step` play
        ...     possible_agents, metadata = ["even", "odd"], {"name": "pennies"}
        ...
        ...     def action_space(self, agent):
        ...         return SimpleNamespace(n=2)
        ...
        ...     def close(self):
        ...         pass
        >>> simulator = PettingZooSimulator(Pennies, lambda agent, seen: 0, 1, reward_range=(-1, 1), horizon=1)
        >>> simulator.labels.players, simulator.action_mask.shape
        (('even', 'odd'), (2, 1, 2))
    """

    def __init__(
        self,
        make: Callable[[], Any],
        information_state: Callable[[str, Any], int],
        num_information_states: int | Mapping[str, int],
        *,
        reward_range: tuple[float | int, float | int],
        horizon: int,
        discount: float | int = 1.0,
        perfect_recall: bool = False,
    ):
        env = make()
        self.make, self.information_state = make, information_state
        self.agents: list[str] = list(env.possible_agents)
        spaces = {agent: env.action_space(agent) for agent in self.agents}
        for agent, space in spaces.items():
            if not hasattr(space, "n"):
                raise InputError("make", f"makes an environment in which {agent} acts in {space}; Discrete is wanted")
        # Gymnasium's discrete actions need not begin at 0.
        self.first = {agent: int(getattr(space, "start", 0)) for agent, space in spaces.items()}
        self.action_mask = action_mask(num_information_states, {agent: int(s.n) for agent, s in spaces.items()})
        self.discount, self.horizon, self.num_moves = float(discount), horizon, horizon
        self.return_low, self.return_high = return_range(reward_range, len(self.agents), horizon, discount)
        self.reward_range = reward_range
        self.beliefs_ignore_own_policy = perfect_recall
        title = str((getattr(env, "metadata", None) or {}).get("name", type(env).__name__))
        self.labels = player_labels(title, "PettingZoo", self.agents)
        env.close()

    def reset(self, seeds: Int[np.ndarray, " play"]) -> list[tuple[Any, dict[str, Any]]]:
        """See `AbstractHostSimulator`; an environment and its last observations for each play."""
        plays = []
        for seed in seeds:
            env = self.make()
            observations, _ = env.reset(seed=int(seed) % 2**32)
            plays.append((env, observations))
        return plays

    def observe(self, state: list[tuple[Any, dict[str, Any]]]) -> Int[np.ndarray, "play player"]:
        """See `AbstractHostSimulator`."""
        seen = np.full((len(state), len(self.agents)), -1)
        for k, (env, observations) in enumerate(state):
            for i, agent in enumerate(self.agents):
                if agent in env.agents:
                    x = int(self.information_state(agent, observations[agent]))
                    if not 0 <= x < self.action_mask.shape[1] or not self.action_mask[i, x].any():
                        raise InputError("information_state", f"gives {x} for {agent}, which is no information state")
                    seen[k, i] = x
        return seen

    def step(
        self, state: list[tuple[Any, dict[str, Any]]], actions: Int[np.ndarray, "play player"]
    ) -> tuple[Any, Float[np.ndarray, "play player"], Bool[np.ndarray, " play"], Bool[np.ndarray, " play"]]:
        """See `AbstractHostSimulator`; a play whose reward is out of range has broken down."""
        rewards, ended = np.zeros((len(state), len(self.agents))), np.ones(len(state), bool)
        broken, after = np.zeros(len(state), bool), []
        for k, (env, observations) in enumerate(state):
            if env.agents:
                chosen = {
                    agent: int(actions[k, i]) + self.first[agent]
                    for i, agent in enumerate(self.agents)
                    if agent in env.agents
                }
                observations, paid, *_ = env.step(chosen)
                rewards[k] = [paid.get(agent, 0.0) for agent in self.agents]
                ended[k] = not env.agents
                if ended[k]:
                    env.close()
                broken[k] = not all(self.reward_range[0] <= reward <= self.reward_range[1] for reward in rewards[k])
            after.append((env, observations))
        return after, rewards, ended, broken
