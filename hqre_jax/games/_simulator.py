"""What a simulator is: it starts a play, says what everybody sees, and takes everybody's actions.

There are two kinds. A `AbstractSimulator` consists of pure JAX functions on one play and is compiled; an
`AbstractHostSimulator` is any Python program that steps a batch of plays on numpy arrays.
"""

import abc
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hqre_jax.core._module import AbstractModule
from hqre_jax.core._types import ActionMask, Labels, PerPlayer, Scalar


class AbstractSimulator(AbstractModule):
    """A game that can be played, in pure JAX functions on one play.

    At every step some players act, each seeing one of its information states; a step in which nobody acts is
    chance's. A play ends when `step` says so, or is cut off after ``horizon`` steps.

    Attributes:
        action_mask: Valid actions, ``(player, information state, action)``.
        discount: γ in [0, 1], per step.
        return_low: Least discounted return of each player from any decision on, units of payoff.
        return_high: Largest.
        horizon: Largest number of steps of a play; static.
        num_moves: Largest number of decisions of one player within a play that are to be sampled; static.
        policy_independent_beliefs: Whether ``b_i(w|x)`` is the same under every policy.
        beliefs_ignore_own_policy: Whether a player's own policy does not move its beliefs (perfect recall).
        labels: Names for people.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> simulator, key = hq.load_game("stag_hunt").simulator(), jax.random.key(0)
        >>> state = simulator.reset(key)
        >>> simulator.observe(state).tolist()
        [0, 0]
        >>> state, rewards, over = simulator.step(key, state, jnp.array([0, 1]))
        >>> rewards.tolist(), bool(over)
        ([1.0, 8.0], True)
    """

    action_mask: eqx.AbstractVar[ActionMask]
    discount: eqx.AbstractVar[Scalar]
    return_low: eqx.AbstractVar[PerPlayer]
    return_high: eqx.AbstractVar[PerPlayer]
    horizon: eqx.AbstractVar[int]
    num_moves: eqx.AbstractVar[int]
    policy_independent_beliefs: eqx.AbstractVar[bool]
    beliefs_ignore_own_policy: eqx.AbstractVar[bool]
    labels: eqx.AbstractVar[Labels]

    @abc.abstractmethod
    def reset(self, key: Any) -> Any:
        """State in which a play begins."""

    @abc.abstractmethod
    def observe(self, state: Any) -> Int[Array, " player"]:
        """Information state of every player who acts now; −1 for the others."""

    @abc.abstractmethod
    def step(self, key: Any, state: Any, actions: Int[Array, " player"]) -> tuple[Any, PerPlayer, Bool[Array, ""]]:
        """Next state, rewards, and whether play is over; actions of players who do not act mean nothing."""

    @property
    def restarts(self) -> bool:
        """Whether a play can begin at any information state, in a world drawn from the belief there (`restart`)."""
        return False

    def restart(self, key: Any, player: Int[Array, ""], information_state: Int[Array, ""]) -> Any:
        """State ``w ~ b_i(·|x)``; for simulators whose beliefs no policy moves."""
        raise NotImplementedError("this simulator plays from the beginning only: its `restarts` is False")

    def opposed(self) -> Any:
        """Whether what one of two players gets is what the other pays, in every play; None where that is not known."""
        return None


class AbstractHostSimulator(abc.ABC):
    """A game that can be played by a Python program, a batch of plays at a time, on numpy arrays.

    Instances may be used by several threads at once, each with a batch of its own: a play's state belongs to
    what `reset` and `step` return, not to the object.

    Attributes:
        action_mask: Valid actions, boolean ``(player, information state, action)``.
        discount: γ in [0, 1], per step.
        return_low: Least discounted return of each player from any decision on, units of payoff.
        return_high: Largest.
        horizon: Largest number of steps of a play.
        num_moves: Largest number of decisions of one player within a play that are to be sampled.
        beliefs_ignore_own_policy: Whether a player's own policy does not move its beliefs (perfect recall).
        labels: Names for people.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> class Pennies(hq.sampled.AbstractHostSimulator):
        ...     action_mask, return_low, return_high = np.ones((2, 1, 2), bool), -np.ones(2), np.ones(2)
        ...     discount, horizon, num_moves = 0.0, 1, 1
        ...
        ...     def reset(self, seeds):
        ...         return np.zeros((len(seeds), 2), int)
        ...
        ...     def observe(self, state):
        ...         return state
        ...
        ...     def step(self, state, actions):
        ...         won = np.where(actions[:, 0] == actions[:, 1], 1.0, -1.0)
        ...         return state, np.stack([won, -won], axis=1), won != 0, won == 0
        >>> hq.SampledGame(Pennies(), num_episodes=100).num_players
        2
    """

    action_mask: Bool[np.ndarray, "player state action"]
    discount: float
    return_low: Float[np.ndarray, " player"]
    return_high: Float[np.ndarray, " player"]
    horizon: int
    num_moves: int
    beliefs_ignore_own_policy: bool = True
    labels: Labels = Labels()

    @abc.abstractmethod
    def reset(self, seeds: Int[np.ndarray, " play"]) -> Any:
        """States of a batch of plays; all the randomness of a play comes from its seed."""

    @abc.abstractmethod
    def observe(self, state: Any) -> Int[np.ndarray, "play player"]:
        """Information state of every player who acts now; −1 for the others, and where play is over."""

    @abc.abstractmethod
    def step(
        self, state: Any, actions: Int[np.ndarray, "play player"]
    ) -> tuple[Any, Float[np.ndarray, "play player"], Bool[np.ndarray, " play"], Bool[np.ndarray, " play"]]:
        """Next states, rewards, which plays are over, and which broke down.

        Plays that are over may be stepped on; what they return is not looked at. An exception counts as a break
        down of all plays of the batch that are not over.
        """

    def opposed(self) -> Any:
        """Whether what one of two players gets is what the other pays, in every play; None where that is not known."""
        return None
