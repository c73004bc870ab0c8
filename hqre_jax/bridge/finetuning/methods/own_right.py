"""Multiagent fine-tuning: every role on its own right samples."""

from jaxtyping import Array, Bool

from hqre_jax.bridge.finetuning._turns import Turns
from hqre_jax.bridge.finetuning.methods._interface import AbstractImitation


class OwnRight(AbstractImitation):
    """Maximum likelihood, role by role, on turns whose own answer is right, whatever the team's was.

    Turns without an answer of their own are judged by the team's.

    Source: Subramaniam et al. 2025 (arXiv 2501.05707), generation agents.

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.finetuning._turns import Turns
        >>> from hqre_jax.bridge.finetuning.methods import OwnRight, Settings
        >>> none, each = jnp.zeros((3, 1), int), jnp.ones(3)  # three turns of one token about one question
        >>> turn = {"actions": none, "mask": none == 0, "kinds": none, "states": none}
        >>> turn |= {"tau": none + 0.1, "group": none[:, 0], "price": 0 * each, "weight": each}
        >>> turns = Turns(**turn, score=jnp.array([1.0, 0.0, 1.0]))
        >>> OwnRight(Settings()).judged, OwnRight(Settings()).kept(turns).tolist()
        ('turn', [True, False, True])
    """

    name = "own_right"
    title = "maximum likelihood of each role on its own right samples"
    paper = "arXiv 2501.05707"
    judged = "turn"

    def kept(self, turns: Turns) -> Bool[Array, " turn"]:
        """See `AbstractImitation.kept`."""
        return turns.score >= 1.0
