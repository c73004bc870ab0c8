"""Multiagent fine-tuning: every role on its own right samples."""

from jaxtyping import Array, Float

from hqre_jax.bridge.finetuning._turns import LogPolicies, Turns
from hqre_jax.bridge.finetuning.methods._interface import AbstractMethod, Signal, imitation, surprise


class OwnRight(AbstractMethod):
    """Maximum likelihood, role by role, on turns whose own answer is right, whatever the team's was.

    Turns without an answer of their own are judged by the team's.

    Source: Subramaniam et al. 2025 (arXiv 2501.05707), generation agents.
    """

    name = "own_right"
    title = "maximum likelihood of each role on its own right samples"
    paper = "arXiv 2501.05707"
    judged = "turn"

    def signal(self, turns: Turns, penalty: Float[Array, "turn step"]) -> Signal:
        """See `AbstractMethod.signal`."""
        del penalty
        return imitation(turns, (turns.score >= 1.0).astype(turns.score.dtype))

    def losses(self, policies: LogPolicies, signal: Signal, turns: Turns) -> Float[Array, "turn step"]:
        """See `AbstractMethod.losses`."""
        del signal
        return surprise(policies, turns)
