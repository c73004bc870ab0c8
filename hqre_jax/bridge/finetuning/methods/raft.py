"""RAFT: maximum likelihood on the best of several samples."""

import jax.numpy as jnp
from jaxtyping import Array, Bool

from hqre_jax.bridge.finetuning._turns import Turns
from hqre_jax.bridge.finetuning.methods._interface import AbstractImitation


class Raft(AbstractImitation):
    """Reward-ranked fine-tuning: of the plays of each question the best one is imitated, the first of equals.

    Where the best score of a question is 0 there is nothing to imitate, and none is (with a verifier's scores; the
    paper's reward models have no zero).

    Source: Dong et al. 2023 (arXiv 2304.06767).

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.finetuning._turns import Turns
        >>> from hqre_jax.bridge.finetuning.methods import Raft, Settings
        >>> none, each = jnp.zeros((3, 1), int), jnp.ones(3)  # three turns of one token about one question
        >>> turn = {"actions": none, "mask": none == 0, "kinds": none, "states": none}
        >>> turn |= {"tau": none + 0.1, "group": none[:, 0], "price": 0 * each, "weight": each}
        >>> turns = Turns(**turn, score=jnp.array([1.0, 0.0, 1.0]))
        >>> Raft(Settings()).kept(turns).tolist()  # one of them, the first that is best
        [True, False, False]
    """

    name = "raft"
    title = "maximum likelihood on the best of a question's plays"
    paper = "arXiv 2304.06767"
    judged = "verifier"

    def kept(self, turns: Turns) -> Bool[Array, " turn"]:
        """See `AbstractImitation.kept`."""
        same = turns.group[:, None] == turns.group[None]
        better = same & (turns.score[None] > turns.score[:, None])
        order = jnp.arange(len(turns.group))
        earlier = same & (turns.score[None] == turns.score[:, None]) & (order[None] < order[:, None])
        return ~jnp.any(better | earlier, axis=1) & (turns.score > 0)
