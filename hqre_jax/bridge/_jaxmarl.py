"""JaxMARL's environments as games that are played by compiled programs."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from hqre_jax.bridge._environments import action_mask, player_labels, return_range
from hqre_jax.core._types import ActionMask, InputError, Labels, PerPlayer, Scalar
from hqre_jax.sampled import AbstractSimulator


class JaxMARLSimulator(AbstractSimulator):
    """An environment of JaxMARL, such as Overcooked, played by policies over information states.

    What agents know of a play is what ``information_state`` makes of their last observation. Rewards outside of
    ``reward_range`` are taken as its nearer end: compiled programs raise no errors.

    Args:
        env: The environment: ``jaxmarl.make("overcooked", …)``, or anything with its ``agents``, ``reset``,
            ``step_env`` and ``action_space``.
        information_state: (agent, observation) → number from 0 on, in JAX.
        num_information_states: How many there are, for all agents or by agent.
        reward_range: Least and largest reward of one step, units of payoff.
        horizon: Steps after which play is cut off.
        discount: γ in [0, 1], per step.
        perfect_recall: Whether an information state says all that its agent has seen and done; where it does not,
            an agent's own policy moves its beliefs.

    Raises:
        InputError: An agent's actions are not discrete, or a number is out of range.

    Example:
        >>> from types import SimpleNamespace
        >>> from hqre_jax.bridge import JaxMARLSimulator
        >>> class Pennies:  # as `jaxmarl.make("overcooked")` of JaxMARL; `reset` and `step_env` play
        ...     name, agents = "pennies", ["even", "odd"]
        ...
        ...     def action_space(self, agent):
        ...         return SimpleNamespace(n=2)
        >>> simulator = JaxMARLSimulator(Pennies(), lambda agent, seen: 0, 1, reward_range=(-1, 1), horizon=1)
        >>> simulator.labels.players, simulator.action_mask.shape
        (('even', 'odd'), (2, 1, 2))
    """

    action_mask: ActionMask
    discount: Scalar
    return_low: PerPlayer
    return_high: PerPlayer
    env: Any = eqx.field(static=True)
    information_state: Callable[[str, Any], Any] = eqx.field(static=True)
    reward_range: tuple[float | int, float | int] = eqx.field(static=True)
    horizon: int = eqx.field(static=True)
    num_moves: int = eqx.field(static=True)
    policy_independent_beliefs: bool = eqx.field(static=True)
    beliefs_ignore_own_policy: bool = eqx.field(static=True)
    labels: Labels = eqx.field(static=True)

    def __init__(
        self,
        env: Any,
        information_state: Callable[[str, Any], Any],
        num_information_states: int | Mapping[str, int],
        *,
        reward_range: tuple[float | int, float | int],
        horizon: int,
        discount: float | int = 1.0,
        perfect_recall: bool = False,
    ):
        spaces = {agent: env.action_space(agent) for agent in env.agents}
        for agent, space in spaces.items():
            if not hasattr(space, "n"):
                raise InputError("env", f"is one in which {agent} acts in {type(space).__name__}; Discrete is wanted")
        low, high = return_range(reward_range, len(spaces), horizon, discount)
        self.env, self.information_state, self.reward_range = env, information_state, reward_range
        mask = action_mask(num_information_states, {agent: int(space.n) for agent, space in spaces.items()})
        self.action_mask = jnp.asarray(mask)
        self.discount = jnp.asarray(discount, float)
        self.return_low, self.return_high = jnp.asarray(low, float), jnp.asarray(high, float)
        self.horizon = self.num_moves = horizon
        self.policy_independent_beliefs = False
        self.beliefs_ignore_own_policy = perfect_recall
        self.labels = player_labels(str(getattr(env, "name", type(env).__name__)), "JaxMARL", env.agents)

    def reset(self, key: Any) -> Any:
        """See `AbstractSimulator`; observations, the environment's state, and who is done."""
        begun = jax.tree.map(jnp.asarray, self.env.reset(key))
        return *begun, jnp.zeros(len(self.env.agents), bool)

    def observe(self, state: Any) -> Int[Array, " player"]:
        """See `AbstractSimulator`."""
        observations, _, done = state
        seen = [jnp.asarray(self.information_state(agent, observations[agent]), int) for agent in self.env.agents]
        return jnp.where(done, -1, jnp.stack(seen))

    def step(self, key: Any, state: Any, actions: Int[Array, " player"]) -> tuple[Any, PerPlayer, Bool[Array, ""]]:
        """See `AbstractSimulator`."""
        chosen = {agent: actions[i] for i, agent in enumerate(self.env.agents)}
        # `step` would begin the next play at once.
        observations, inner, rewards, dones, _ = self.env.step_env(key, state[1], chosen)
        paid = jnp.stack([jnp.asarray(rewards[agent], self.return_low.dtype) for agent in self.env.agents])
        done = jnp.stack([jnp.asarray(dones[agent], bool) for agent in self.env.agents])
        # Environments written for 32 bits widen some numbers where 64 are enabled; a loop wants them as they were.
        seen, inner = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), (observations, inner), state[:2])
        return (seen, inner, done), jnp.clip(paid, *self.reward_range), jnp.asarray(dones["__all__"], bool)
