"""Supervised fine-tuning on right samples of the model that is fine-tuned."""

from jaxtyping import Array, Bool

from hqre_jax.bridge.finetuning._turns import Turns
from hqre_jax.bridge.finetuning.methods._interface import AbstractImitation


class SupervisedFineTuning(AbstractImitation):
    """Maximum likelihood on turns of right plays; all plays are of the model without adapters.

    Source: rejection-sampling fine-tuning, Yuan et al. 2023 (arXiv 2308.01825); one round of Zelikman et al. 2022
    (arXiv 2203.14465).

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.finetuning._turns import Turns
        >>> from hqre_jax.bridge.finetuning.methods import Settings, SupervisedFineTuning
        >>> none, each = jnp.zeros((3, 1), int), jnp.ones(3)  # three turns of one token about one question
        >>> turn = {"actions": none, "mask": none == 0, "kinds": none, "states": none}
        >>> turn |= {"tau": none + 0.1, "group": none[:, 0], "price": 0 * each, "weight": each}
        >>> turns = Turns(**turn, score=jnp.array([1.0, 0.0, 1.0]))
        >>> SupervisedFineTuning(Settings()).kept(turns).tolist()
        [True, False, True]
        >>> signal = SupervisedFineTuning(Settings()).signal(turns, penalty=0 * turns.tau)
        >>> print(signal.weights[:, 0])  # every token that is imitated counts alike
        [0.5 0.  0.5]
    """

    name = "sft"
    title = "maximum likelihood on right samples of the untrained model"
    paper = "arXiv 2308.01825"
    on_policy = False
    judged = "verifier"

    def kept(self, turns: Turns) -> Bool[Array, " turn"]:
        """See `AbstractImitation.kept`."""
        return turns.score >= 1.0
