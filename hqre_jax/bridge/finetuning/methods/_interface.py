"""What a way of fine-tuning is: which plays it learns from, what they are worth to it, and a loss."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hqre_jax.bridge.finetuning._mirror import baseline, returns
from hqre_jax.bridge.finetuning._turns import LogPolicies, Turns, chosen

Judged = Literal["team", "turn", "verifier"]


@dataclass(frozen=True)
class Settings:
    """Numbers that methods have in common.

    Attributes:
        eta: η of the mirror step, units of 1/score.
        inner_steps: Gradient steps on the plays of one step.
        exploration: γ of the mirror step's estimate of Q: what was taken counts 1/(π_k + γ); 0 for no bias.
        continuation: Whether penalties of decisions to come count in Q: "soft" (the role's own) or "plain" (none).
        entropy: What temperatures weigh: "kl" to the model without adapter, or "shannon" entropy.
        beta: Weight of the KL to the reference in baselines that have one for all tokens.
        clip: Ratios are clipped to [1 − clip, 1 + clip] in baselines that clip.

    Example:
        >>> from hqre_jax.bridge.finetuning.methods import Dice, Reinforce, Settings
        >>> settings = Settings(eta=0.5, inner_steps=8)
        >>> Dice(settings).inner_steps, Reinforce(settings).inner_steps  # REINFORCE has no plays for a second one
        (8, 1)
    """

    eta: float = 1.0
    inner_steps: int = 4
    exploration: float = 0.0
    continuation: Literal["soft", "plain"] = "soft"
    entropy: Literal["kl", "shannon"] = "kl"
    beta: float = 0.04
    clip: float = 0.2


class Signal(NamedTuple):
    """What the plays of a step tell.

    Attributes:
        advantages: What each decision was worth beyond what was to be expected, units of score.
        weights: How much each decision counts in the loss; 0 where there is none.

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.finetuning._turns import Turns
        >>> from hqre_jax.bridge.finetuning.methods import Reinforce, Settings
        >>> none, each = jnp.zeros((3, 1), int), jnp.ones(3)  # three turns of one token about one question
        >>> turn = {"actions": none, "mask": none == 0, "kinds": none, "states": none}
        >>> turn |= {"tau": none + 0.1, "group": none[:, 0], "price": 0 * each, "weight": each}
        >>> turns = Turns(**turn, score=jnp.array([1.0, 0.0, 1.0]))
        >>> signal = Reinforce(Settings()).signal(turns, penalty=0 * turns.tau)
        >>> print(signal.advantages[:, 0], signal.weights[:, 0].round(3))
        [ 0.5 -1.   0.5] [0.333 0.333 0.333]
    """

    advantages: Float[Array, "turn step"]
    weights: Float[Array, "turn step"]


@dataclass(frozen=True)
class AbstractMethod(abc.ABC):
    """A way of fine-tuning. Losses are sums over decisions, so that they can be taken part by part.

    Attributes:
        settings: Its numbers.
        name: What it is called on the command line.
        title: What it is, in a few words.
        paper: Where it is from.
        on_policy: Whether the adapters of now play; else the model without adapters does.
        judged: What a turn's score is: "team" is the play's less what the role's own tokens cost, "turn" that of its
            own answer, "verifier" the play's, for all roles alike and without costs.
        is_mirror: Whether its gradient steps are to come to a mirror step.

    Example:
        >>> from hqre_jax.bridge.finetuning.methods import METHODS, AbstractMethod
        >>> all(issubclass(method, AbstractMethod) for method in METHODS.values())
        True
        >>> [name for name, method in METHODS.items() if method.is_mirror]
        ['dice', 'dice_zero', 'dice_common']
        >>> [name for name, method in METHODS.items() if not method.on_policy]  # the others play themselves
        ['sft']
    """

    settings: Settings
    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    on_policy: ClassVar[bool] = True
    judged: ClassVar[Judged] = "team"
    is_mirror: ClassVar[bool] = False

    @property
    def inner_steps(self) -> int:
        """Gradient steps on the plays of one step."""
        return self.settings.inner_steps

    def temperatures(self, tau: Mapping[str, float]) -> Mapping[str, float]:
        """The temperatures that it works with, by type, from those that are given.

        Args:
            tau: Temperature of each type of token, units of score.

        Returns:
            A temperature of each of these types.
        """
        return tau

    def anchored(self, policies: LogPolicies) -> LogPolicies:
        """The policies with the reference that temperatures weigh divergence from.

        Args:
            policies: Log-probabilities.

        Returns:
            The same, maybe with another reference.
        """
        return policies

    @abc.abstractmethod
    def signal(self, turns: Turns, penalty: Float[Array, "turn step"]) -> Signal:
        """What the plays tell.

        Args:
            turns: All turns of the step.
            penalty: ``τ KL(π_k ‖ ρ)`` of each decision, ρ as in `anchored`.

        Returns:
            The signal.
        """

    @abc.abstractmethod
    def losses(self, policies: LogPolicies, signal: Signal, turns: Turns) -> Float[Array, "turn step"]:
        """The loss of each decision, to be weighted with `Signal.weights` and summed.

        Args:
            policies: Log-probabilities, as `anchored` gives them.
            signal: What the plays tell.
            turns: The turns, or some of them.

        Returns:
            A number for each decision; what it is where nothing is decided does not count.
        """


def per_turn(turns: Turns) -> Float[Array, "turn step"]:
    """Weights of a sum over decisions and a mean over turns: an expectation over plays."""
    return turns.mask * (turns.weight / jnp.sum(turns.weight))[:, None]


def reward_to_go(turns: Turns, penalty: Float[Array, "turn step"]) -> Float[Array, "turn step"]:
    """Returns less their baseline."""
    values = returns(turns, penalty)
    return jnp.where(turns.mask, values - baseline(values, turns), 0.0)


def clipped_gain(
    policies: LogPolicies, advantages: Float[Array, "turn step"], turns: Turns, clip: float
) -> Float[Array, "turn step"]:
    """``min(r A, clip(r, 1 − ε, 1 + ε) A)`` with the ratio r of each token (Schulman et al. 2017, eq. 7)."""
    ratio = jnp.exp(chosen(policies.now, turns) - chosen(policies.before, turns))
    return jnp.minimum(ratio * advantages, jnp.clip(ratio, 1 - clip, 1 + clip) * advantages)


class AbstractImitation(AbstractMethod):
    """Maximum likelihood on some turns, every token of theirs alike; which turns, a method says."""

    @abc.abstractmethod
    def kept(self, turns: Turns) -> Bool[Array, " turn"]:
        """Which turns are imitated."""

    def signal(self, turns: Turns, penalty: Float[Array, "turn step"]) -> Signal:
        """See `AbstractMethod.signal`."""
        del penalty
        count = turns.mask * self.kept(turns).astype(turns.score.dtype)[:, None]
        weights = count / jnp.maximum(jnp.sum(count), 1.0)
        return Signal(jnp.zeros_like(weights), weights)

    def losses(self, policies: LogPolicies, signal: Signal, turns: Turns) -> Float[Array, "turn step"]:
        """``−log π_φ`` of the tokens that were taken."""
        del signal
        return -chosen(policies.now, turns)
