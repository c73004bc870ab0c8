"""What a policy is worth to the team in an estimated game, without entropy: its score, and what its tokens cost."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hqre_jax.games import MarkovGame


@dataclass(frozen=True)
class Estimated:
    """A Markov game with its payoffs taken apart.

    Attributes:
        game: The game.
        rise: What the score of the team's answer rises by, ``(state, profile)``.
        cost: What each choice costs its agent, ``(agent, state, choice)``, units of score.
        reached: Whether anything is known of a state; in others nothing is gained, and play ends.
    """

    game: MarkovGame
    rise: Float[np.ndarray, "state profile"]
    cost: Float[np.ndarray, "agent state choice"]
    reached: Bool[np.ndarray, " state"]

    def worth(self, policy: Float[np.ndarray, "agent state choice"]) -> "Worth":
        """Expected score and costs of a play.

        What the score rises by in later rounds is estimated from samples of the histories there; the sum over rounds is
        cut to [0, 1] where, of few samples, it is none that a score can have.

        Args:
            policy: Probabilities of choices.
        """
        chance = profile_chances(policy)
        moves = np.asarray(self.game.transitions).reshape(*chance.shape, -1)
        leads = np.einsum("sp,spt->st", chance, moves)
        visits = np.linalg.solve(np.eye(len(leads)) - leads.T, np.asarray(self.game.initial))
        score = float(np.clip(visits @ (chance * self.rise).sum(-1), 0.0, 1.0))
        return Worth(score, np.einsum("s,ask,ask->a", visits, policy, self.cost), visits)


@dataclass(frozen=True)
class Worth:
    """Expectations of a play.

    Attributes:
        score: Of the team's answer, in [0, 1].
        costs: What each agent pays, units of score.
        visits: How often each state is visited.
    """

    score: float
    costs: Float[np.ndarray, " agent"]
    visits: Float[np.ndarray, " state"]

    @property
    def team(self) -> float:
        """Score less what all agents pay."""
        return self.score - float(self.costs.sum())


def profile_chances(policy: Float[np.ndarray, "agent state choice"]) -> Float[np.ndarray, "state profile"]:
    """Probability of each joint profile in each state, the first agent's choice changing slowest."""
    chance = np.ones((policy.shape[1], 1))
    for own in policy:
        chance = (chance[:, :, None] * own[:, None, :]).reshape(policy.shape[1], -1)
    return chance
