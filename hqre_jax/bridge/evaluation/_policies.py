"""DICE-PC's own policies as a method: of several policy files a budget picks one, as it does of any settings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hqre_jax.bridge.baselines import AbstractBaseline, Setting
from hqre_jax.bridge.coordination import PolicyPlayer, PublicStates, Samples, TeamPolicy
from hqre_jax.bridge.tasks import Item


@dataclass(frozen=True)
class Policies(AbstractBaseline):
    """Policies that were trained before.

    Attributes:
        policies: They, with the names of their files.
    """

    policies: tuple[tuple[str, TeamPolicy], ...]
    name: str = "dice_pc"
    family = "ours"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        states = PublicStates.of(samples.team, samples.tasks)
        for name, policy in self.policies:
            yield Setting(name, PolicyPlayer(states, policy.probabilities))
