"""REINFORCE with a KL penalty."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.bridge.finetuning._turns import LogPolicies, Turns, at_states, chosen, divergence
from hqre_jax.bridge.finetuning.methods._interface import AbstractMethod, Signal, per_turn, reward_to_go


class Reinforce(AbstractMethod):
    """One gradient step per batch of plays: ``∇ E[log π_φ(a) A] − β ∇ KL(π_φ ‖ ρ)``, the others' mean as baseline.

    Source: Williams 1992; leave-one-out as in Ahmadian et al. 2024 (arXiv 2402.14740).

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.finetuning._turns import Turns
        >>> from hqre_jax.bridge.finetuning.methods import Reinforce, Settings
        >>> none, each = jnp.zeros((3, 1), int), jnp.ones(3)  # three turns of one token about one question
        >>> turn = {"actions": none, "mask": none == 0, "kinds": none, "states": none}
        >>> turn |= {"tau": none + 0.1, "group": none[:, 0], "price": 0 * each, "weight": each}
        >>> turns = Turns(**turn, score=jnp.array([1.0, 0.0, 1.0]))
        >>> signal = Reinforce(Settings()).signal(turns, penalty=0 * turns.tau)
        >>> print(signal.advantages[:, 0])  # score less the mean of the others'
        [ 0.5 -1.   0.5]
    """

    name = "reinforce"
    title = "REINFORCE with a KL penalty, one gradient step per batch"
    paper = "arXiv 2402.14740"

    @property
    def inner_steps(self) -> int:
        """One: after it the plays are another policy's."""
        return 1

    def signal(self, turns: Turns, penalty: Float[Array, "turn step"]) -> Signal:
        """See `AbstractMethod.signal`."""
        return Signal(reward_to_go(turns, jnp.zeros_like(penalty)), per_turn(turns))

    def losses(self, policies: LogPolicies, signal: Signal, turns: Turns) -> Float[Array, "turn step"]:
        """See `AbstractMethod.losses`."""
        held = self.settings.beta * at_states(divergence(policies.now, policies.reference), turns)
        return held - chosen(policies.now, turns) * signal.advantages
