"""DICE-PC as a method: of policy files, and of policies at other prices, a budget picks one, as of any settings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hqre_jax.bridge.baselines import AbstractBaseline, Setting
from hqre_jax.bridge.baselines._learned import learned
from hqre_jax.bridge.baselines.ablations import team_game
from hqre_jax.bridge.baselines.mirror import ZERO, MirrorLearner
from hqre_jax.bridge.coordination import PolicyPlayer, PublicStates, Samples, TeamPolicy, Temperatures, train_offline
from hqre_jax.bridge.tasks import Item
from hqre_jax.solving._solution import SolveError


@dataclass(frozen=True)
class Policies(AbstractBaseline):
    """Policies that were trained before.

    Attributes:
        policies: They, with the names of their files.
        prices: Factors on the team file's prices at which the game of the dev questions is solved again, as
            `hqre llm train` does it: dearer tokens, fewer of them.
        temperatures: As in `train_offline`.
    """

    policies: tuple[tuple[str, TeamPolicy], ...]
    prices: tuple[float, ...] = ()
    temperatures: Temperatures | float = "grid"
    name: str = "dice_pc"
    paper = "DICE: Entropy-Regularized Equilibrium Selection for Stable Multi-Agent LLM Coordination, arXiv 2606.08068"
    family = "ours"
    trained_once = True

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        states = PublicStates.of(samples.team, samples.tasks)
        for name, policy in self.policies:
            yield Setting(name, PolicyPlayer(states, policy.probabilities))
        if not self.prices:
            return
        game = team_game(samples, dev)
        for price in self.prices:
            try:
                policy = train_offline(game.priced(price), self.temperatures).policy
            except SolveError:  # no equilibrium was found at this price
                continue
            yield Setting(f"trained again, price × {price:g}", PolicyPlayer(states, policy))


@dataclass(frozen=True)
class Online(AbstractBaseline):
    """DICE-PC's update on as many training plays as the bandits get, with its own temperatures and reference.

    Attributes:
        policy: Where temperatures and reference come from.
        plays: Training plays.
    """

    name: str
    policy: TeamPolicy
    plays: int
    paper = Policies.paper
    family = "ours"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        tau, reference = own_temperatures(self.policy), self.policy.reference
        yield from learned(lambda states: MirrorLearner(states, tau, reference), "its own temperatures", self.plays,
                           dev, samples, seed)  # fmt: skip


def own_temperatures(policy: TeamPolicy) -> Float[np.ndarray, "agent state"]:
    """A policy's temperatures; where it has none, their mean."""
    known = policy.tau[np.isfinite(policy.tau)]
    return np.where(np.isfinite(policy.tau), policy.tau, float(known.mean()) if known.size else ZERO)
