"""GRPO: group-relative advantages, clipped ratios of tokens, averaged per sample."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.bridge.finetuning._turns import LogPolicies, Turns, chosen, in_later_rounds
from hqre_jax.bridge.finetuning.methods._interface import AbstractMethod, Signal, clipped_gain

_LEAST = 1e-6  # added to the standard deviation, as Tunix does


class Grpo(AbstractMethod):
    """``−(1/G) Σ_i (1/|o_i|) Σ_t [min(r A_i, clip(r) A_i) − β (e^d − d − 1)]``, d = log ρ(a) − log π_φ(a).

    ``A_i`` is the score less the group's mean, over the group's standard deviation (n − 1); the same for all tokens of
    a turn.

    Source: Shao et al. 2024 (arXiv 2402.03300), eq. 3 and 4.

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.finetuning._turns import Turns
        >>> from hqre_jax.bridge.finetuning.methods import Grpo, Settings
        >>> none, each = jnp.zeros((3, 1), int), jnp.ones(3)  # three turns of one token about one question
        >>> turn = {"actions": none, "mask": none == 0, "kinds": none, "states": none}
        >>> turn |= {"tau": none + 0.1, "group": none[:, 0], "price": 0 * each, "weight": each}
        >>> turns = Turns(**turn, score=jnp.array([1.0, 0.0, 1.0]))
        >>> signal = Grpo(Settings()).signal(turns, penalty=0 * turns.tau)
        >>> print(signal.advantages[:, 0].round(3))  # less the mean of all, over their deviation
        [ 0.577 -1.155  0.577]
    """

    name = "grpo"
    title = "GRPO: group-relative advantages, clipped ratios of tokens"
    paper = "arXiv 2402.03300"

    def signal(self, turns: Turns, penalty: Float[Array, "turn step"]) -> Signal:
        """See `AbstractMethod.signal`."""
        del penalty
        tokens = jnp.sum(turns.mask, axis=1)
        cost = turns.price * tokens
        score = turns.score - cost - in_later_rounds(cost, turns)
        same = (turns.group[:, None] == turns.group[None]).astype(score.dtype)
        size = jnp.sum(same, axis=1)
        mean = same @ score / size
        squares = jnp.sum(same * (score[None] - mean[:, None]) ** 2, axis=1)
        advantage = (score - mean) / (jnp.sqrt(squares / jnp.maximum(size - 1, 1)) + _LEAST)
        weights = turns.mask / (jnp.maximum(tokens, 1) * len(tokens))[:, None]
        return Signal(jnp.where(turns.mask, advantage[:, None], 0.0), weights)

    def losses(self, policies: LogPolicies, signal: Signal, turns: Turns) -> Float[Array, "turn step"]:
        """See `AbstractMethod.losses`."""
        gap = chosen(policies.reference, turns) - chosen(policies.now, turns)
        held = self.settings.beta * (jnp.exp(gap) - gap - 1)
        return held - clipped_gain(policies, signal.advantages, turns, self.settings.clip)
