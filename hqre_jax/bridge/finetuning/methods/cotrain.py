"""Independent co-training of all roles on the verifier's score."""

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.bridge.finetuning._turns import LogPolicies, Turns, at_states, divergence
from hqre_jax.bridge.finetuning.methods._interface import AbstractMethod, Signal, clipped_gain, reward_to_go


class CoTraining(AbstractMethod):
    """Every role by itself maximises the verifier's score of the play with PPO's clipped objective.

    The KL to the untrained model is a penalty in the reward, with one weight β for all tokens, and the mean of the
    other plays stands in for a learnt critic; all roles are trained at once.

    Source: MAPoRL, Park et al. 2025 (arXiv 2502.18439); PPO, Schulman et al. 2017 (arXiv 1707.06347).

    Example:
        >>> from hqre_jax.bridge.finetuning.methods import CoTraining, Settings
        >>> CoTraining(Settings(beta=0.05)).temperatures({"reasoning": 0.1, "answer": 0.02})
        {'reasoning': 0.05, 'answer': 0.05}
    """

    name = "cotrain"
    title = "independent PPO of all roles on the verifier's score"
    paper = "arXiv 2502.18439"
    judged = "verifier"

    def temperatures(self, tau: Mapping[str, float]) -> Mapping[str, float]:
        """See `AbstractMethod.temperatures`."""
        return dict.fromkeys(tau, self.settings.beta)

    def signal(self, turns: Turns, penalty: Float[Array, "turn step"]) -> Signal:
        """See `AbstractMethod.signal`."""
        free = turns._replace(price=jnp.zeros_like(turns.price))
        return Signal(reward_to_go(free, penalty), turns.mask / jnp.maximum(jnp.sum(turns.mask), 1))

    def losses(self, policies: LogPolicies, signal: Signal, turns: Turns) -> Float[Array, "turn step"]:
        """See `AbstractMethod.losses`; the penalty of the token itself is exact, those of tokens to come are in Â."""
        penalty = turns.tau * at_states(divergence(policies.now, policies.reference), turns)
        return penalty - clipped_gain(policies, signal.advantages, turns, self.settings.clip)
