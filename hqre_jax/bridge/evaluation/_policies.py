"""DICE-PC as a method: of policy files, and of policies at other prices, a budget picks one, as of any settings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hqre_jax.bridge.baselines import AbstractBaseline, Setting
from hqre_jax.bridge.baselines.ablations import team_game
from hqre_jax.bridge.coordination import PolicyPlayer, PublicStates, Samples, TeamPolicy, train_offline
from hqre_jax.bridge.tasks import Item
from hqre_jax.solving._solution import SolveError


@dataclass(frozen=True)
class Policies(AbstractBaseline):
    """Policies that were trained before.

    Attributes:
        policies: They, with the names of their files.
        prices: Factors on the team file's prices at which the game of the dev questions is solved again, as
            `hqre llm train` does it: dearer tokens, fewer of them.
    """

    policies: tuple[tuple[str, TeamPolicy], ...]
    prices: tuple[float, ...] = ()
    name: str = "dice_pc"
    paper = "Heterogeneous Quantal Response Equilibria, arXiv 2606.08068"
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
                policy = train_offline(game.priced(price)).policy
            except SolveError:  # no equilibrium was found at this price
                continue
            yield Setting(f"trained again, price × {price:g}", PolicyPlayer(states, policy))
