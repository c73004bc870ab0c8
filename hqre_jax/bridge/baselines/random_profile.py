"""The uniform random profile: in every state every agent takes any control that fits. Ours; the floor of the game."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hqre_jax.bridge.baselines._interface import AbstractBaseline, Setting
from hqre_jax.bridge.coordination import PolicyPlayer, PublicStates, Samples, uniform_law
from hqre_jax.bridge.tasks import Item


@dataclass(frozen=True)
class RandomProfile(AbstractBaseline):
    """No choice is made at all."""

    name: str = "random_profile"
    family = "fixed profile"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        states = PublicStates.of(samples.team, samples.tasks)
        yield Setting("uniform", PolicyPlayer(states, uniform_law(states)))


METHODS = (RandomProfile(),)
