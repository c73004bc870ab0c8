"""Settings of a method that learns: one policy for each price of tokens, of which a budget picks one."""

from collections.abc import Callable, Iterator, Sequence

from hqre_jax.bridge.baselines._interface import Setting
from hqre_jax.bridge.baselines._training import PRICES, AbstractLearner, repriced, train
from hqre_jax.bridge.coordination import PolicyPlayer, PublicStates, Samples
from hqre_jax.bridge.tasks import Item

# Training plays: few, and many.
SMALL, LARGE = 128, 2048


def learned(
    make: Callable[[PublicStates], AbstractLearner], label: str, plays: int, dev: Sequence[Item], samples: Samples,
    seed: int, prices: Sequence[float] = PRICES,
) -> Iterator[Setting]:  # fmt: skip
    """The policies that a learner comes to at several prices.

    Args:
        make: A new learner for the public states.
        label: What its hyper-parameters are, in words.
        plays: Training plays.
        dev: Questions of the dev split.
        samples: The sample pool.
        seed: Of training.
        prices: In units of the team file's.
    """
    for price in prices:
        learner, pool = make(PublicStates.of(samples.team, samples.tasks)), repriced(samples, price)
        train(learner, pool, dev, plays, seed)
        states = PublicStates.of(pool.team, pool.tasks)
        yield Setting(f"{label}, price × {price:g}, {plays} plays", PolicyPlayer(states, learner.policy()))
