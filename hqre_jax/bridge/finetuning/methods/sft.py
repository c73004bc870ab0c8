"""Supervised fine-tuning on right samples of the model that is fine-tuned."""

from jaxtyping import Array, Bool

from hqre_jax.bridge.finetuning._turns import Turns
from hqre_jax.bridge.finetuning.methods._interface import AbstractImitation


class SupervisedFineTuning(AbstractImitation):
    """Maximum likelihood on turns of right plays; all plays are of the model without adapters.

    Source: rejection-sampling fine-tuning, Yuan et al. 2023 (arXiv 2308.01825); one round of Zelikman et al. 2022
    (arXiv 2203.14465).
    """

    name = "sft"
    title = "maximum likelihood on right samples of the untrained model"
    paper = "arXiv 2308.01825"
    on_policy = False
    judged = "verifier"

    def kept(self, turns: Turns) -> Bool[Array, " turn"]:
        """See `AbstractImitation.kept`."""
        return turns.score >= 1.0
