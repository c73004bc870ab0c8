"""Supervised fine-tuning on right samples of the model that is fine-tuned."""

from jaxtyping import Array, Float

from hqre_jax.bridge.finetuning._turns import LogPolicies, Turns
from hqre_jax.bridge.finetuning.methods._interface import AbstractMethod, Signal, imitation, surprise


class SupervisedFineTuning(AbstractMethod):
    """Maximum likelihood on turns of right plays; all plays are of the model without adapters.

    Source: rejection-sampling fine-tuning, Yuan et al. 2023 (arXiv 2308.01825); one round of Zelikman et al. 2022
    (arXiv 2203.14465).
    """

    name = "sft"
    title = "maximum likelihood on right samples of the untrained model"
    paper = "arXiv 2308.01825"
    on_policy = False
    judged = "verifier"

    def signal(self, turns: Turns, penalty: Float[Array, "turn step"]) -> Signal:
        """See `AbstractMethod.signal`."""
        del penalty
        return imitation(turns, (turns.score >= 1.0).astype(turns.score.dtype))

    def losses(self, policies: LogPolicies, signal: Signal, turns: Turns) -> Float[Array, "turn step"]:
        """See `AbstractMethod.losses`."""
        del signal
        return surprise(policies, turns)
