"""DICE-FT: mirror steps, with a temperature for every type of token."""

from collections.abc import Mapping
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.bridge.finetuning._mirror import mirror_terms
from hqre_jax.bridge.finetuning._turns import LogPolicies, Turns
from hqre_jax.bridge.finetuning.methods._interface import AbstractMethod, Signal, per_turn, reward_to_go


class AbstractMirror(AbstractMethod):
    """Maximises ``E[Â] − (1/η) KL(π_φ ‖ π_φk) − Σ_type τ_type KL(π_φ ‖ ρ)``, see `hqre_jax.bridge.finetuning`."""

    paper: ClassVar[str] = "independently specified after arXiv 2606.08068"
    is_mirror: ClassVar[bool] = True

    def anchored(self, policies: LogPolicies) -> LogPolicies:
        """See `AbstractMethod.anchored`; Shannon entropy is divergence from nothing."""
        if self.settings.entropy == "kl":
            return policies
        return policies._replace(reference=jnp.zeros_like(policies.reference))

    def signal(self, turns: Turns, penalty: Float[Array, "turn step"]) -> Signal:
        """See `AbstractMethod.signal`."""
        ahead = penalty if self.settings.continuation == "soft" else jnp.zeros_like(penalty)
        return Signal(reward_to_go(turns, ahead), per_turn(turns))

    def losses(self, policies: LogPolicies, signal: Signal, turns: Turns) -> Float[Array, "turn step"]:
        """See `AbstractMethod.losses`."""
        eta, exploration = jnp.asarray(self.settings.eta), self.settings.exploration
        return -mirror_terms(policies, signal.advantages, turns, eta, exploration)


class Dice(AbstractMirror):
    """Mirror steps with temperatures per type and role.

    Example:
        >>> from hqre_jax.bridge.finetuning.methods import Dice, Settings
        >>> Dice(Settings()).temperatures({"reasoning": 0.1, "answer": 0.02})
        {'reasoning': 0.1, 'answer': 0.02}
    """

    name = "dice"
    title = "DICE-FT: mirror steps, a temperature for every type of token"


class DiceCommon(AbstractMirror):
    """The same with one temperature for all types of a role: the mean of theirs.

    Example:
        >>> from hqre_jax.bridge.finetuning.methods import DiceCommon, Settings
        >>> DiceCommon(Settings()).temperatures({"reasoning": 0.75, "answer": 0.25})
        {'reasoning': 0.5, 'answer': 0.5}
    """

    name = "dice_common"
    title = "mirror steps, one temperature for all tokens"

    def temperatures(self, tau: Mapping[str, float]) -> Mapping[str, float]:
        """See `AbstractMethod.temperatures`."""
        return dict.fromkeys(tau, sum(tau.values()) / len(tau))


class DiceZero(AbstractMirror):
    """The same without the reference: only the last policy holds the next one.

    Example:
        >>> from hqre_jax.bridge.finetuning.methods import DiceZero, Settings
        >>> DiceZero(Settings()).temperatures({"reasoning": 0.1, "answer": 0.02})
        {'reasoning': 0.0, 'answer': 0.0}
    """

    name = "dice_zero"
    title = "mirror steps without temperatures (τ = 0)"

    def temperatures(self, tau: Mapping[str, float]) -> Mapping[str, float]:
        """See `AbstractMethod.temperatures`."""
        return dict.fromkeys(tau, 0.0)
