"""RAFT: maximum likelihood on the best of several samples."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.bridge.finetuning._turns import LogPolicies, Turns
from hqre_jax.bridge.finetuning.methods._interface import AbstractMethod, Signal, imitation, surprise


class Raft(AbstractMethod):
    """Reward-ranked fine-tuning: of the plays of each question the best one is imitated, the first of equals.

    Where the best score of a question is 0 there is nothing to imitate, and none is (with a verifier's scores; the
    paper's reward models have no zero).

    Source: Dong et al. 2023 (arXiv 2304.06767).
    """

    name = "raft"
    title = "maximum likelihood on the best of a question's plays"
    paper = "arXiv 2304.06767"
    judged = "verifier"

    def signal(self, turns: Turns, penalty: Float[Array, "turn step"]) -> Signal:
        """See `AbstractMethod.signal`."""
        del penalty
        same = turns.group[:, None] == turns.group[None]
        better = same & (turns.score[None] > turns.score[:, None])
        order = jnp.arange(len(turns.group))
        earlier = same & (turns.score[None] == turns.score[:, None]) & (order[None] < order[:, None])
        best = ~jnp.any(better | earlier, axis=1) & (turns.score > 0)
        return imitation(turns, best.astype(turns.score.dtype))

    def losses(self, policies: LogPolicies, signal: Signal, turns: Turns) -> Float[Array, "turn step"]:
        """See `AbstractMethod.losses`."""
        del signal
        return surprise(policies, turns)
