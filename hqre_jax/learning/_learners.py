"""Learning rules: what each agent does with what its actions would have paid."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.core._simplex import log_softmax, mirror_step, probabilities, safe_log
from hqre_jax.core._temperatures import as_float_array, concrete
from hqre_jax.core._types import ActionValues, InputError, LogPolicy, Policy, Scalar
from hqre_jax.learning._play import AbstractDynamics
from hqre_jax.problem import Problem


class BestResponse(AbstractDynamics):
    """Best response to the last round, with mistakes and inertia.

    At each information state an agent draws its action again from its last policy with probability ``inertia``;
    otherwise it errs, uniformly, with probability ``noise``, and else plays a best response, ties broken at random.

    Args:
        noise: Probability of a mistake; a number or one per player.
        inertia: Probability of staying; a number or one per player.

    Source: Kandori, Mailath & Rob (1993); Young (1993).

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> run = hq.play(game, hq.learning.BestResponse(), 20, jax.random.key(0), tau=8.0)
        >>> print(run.policies[-1, :, 0].round(3))
        [[0. 1.]
         [0. 1.]]
    """

    noise: Float[Array, "*player"]
    inertia: Float[Array, "*player"]
    regularised: ClassVar[bool] = False
    plays_pure: ClassVar[bool] = True

    def __init__(self, noise: Any = 0.0, inertia: Any = 0.0):
        self.noise, self.inertia = _chance(noise, "noise"), _chance(inertia, "inertia")

    def init(self, problem: Problem, log_policy: LogPolicy) -> LogPolicy:
        """See `AbstractDynamics`."""
        for field in ("noise", "inertia"):
            shape = getattr(self, field).shape
            if shape not in ((), problem.mask.shape[:1]):
                raise InputError(
                    field, f"has shape {shape}; a number, or one per player ({len(problem.mask)}), is wanted"
                )
        return log_policy

    def policy(self, problem: Problem, state: LogPolicy) -> LogPolicy:
        """See `AbstractDynamics`."""
        return state

    def step(self, problem: Problem, state: LogPolicy, values: ActionValues, key: Any) -> LogPolicy:
        """See `AbstractDynamics`."""
        mask = problem.mask
        err, stay = (jnp.broadcast_to(p, mask.shape[:1])[:, None, None] for p in (self.noise, self.inertia))
        fresh = err * _uniform(mask, values) + (1 - err) * _uniform(_best(values, mask), values)
        return _pure(stay * probabilities(state, mask) + (1 - stay) * fresh, mask, key)


class FictitiousPlay(AbstractDynamics):
    """Best response to the average of all rounds so far, the first one included.

    Source: Brown (1951).

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> run = hq.play(game, hq.learning.FictitiousPlay(), 20, jax.random.key(0), tau=8.0)
        >>> print(run.policies[-1, :, 0].round(3))
        [[0. 1.]
         [0. 1.]]
    """

    regularised: ClassVar[bool] = False
    plays_pure: ClassVar[bool] = True

    def init(self, problem: Problem, log_policy: LogPolicy) -> tuple[Policy, Scalar, LogPolicy]:
        """See `AbstractDynamics`."""
        return probabilities(log_policy, problem.mask), jnp.ones((), log_policy.dtype), log_policy

    def policy(self, problem: Problem, state: tuple[Policy, Scalar, LogPolicy]) -> LogPolicy:
        """See `AbstractDynamics`."""
        return state[2]

    def believed(self, problem: Problem, state: tuple[Policy, Scalar, LogPolicy]) -> LogPolicy:
        """The average of what was played."""
        return safe_log(state[0], problem.mask)

    def step(
        self, problem: Problem, state: tuple[Policy, Scalar, LogPolicy], values: ActionValues, key: Any
    ) -> tuple[Policy, Scalar, LogPolicy]:
        """See `AbstractDynamics`."""
        average, rounds, _ = state
        played = _pure(_uniform(_best(values, problem.mask), values), problem.mask, key)
        return average + (probabilities(played, problem.mask) - average) / (rounds + 1), rounds + 1, played


class _AbstractLogitDynamics(AbstractDynamics):
    """The state is ``log π``."""

    def init(self, problem: Problem, log_policy: LogPolicy) -> LogPolicy:
        """See `AbstractDynamics`."""
        return log_policy

    def policy(self, problem: Problem, state: LogPolicy) -> LogPolicy:
        """See `AbstractDynamics`."""
        return state


class MultiplicativeWeights(_AbstractLogitDynamics):
    """``π⁺ ∝ π exp(ηQ)``: no temperature at all.

    Args:
        step: η, 1/payoff.

    Source: Freund & Schapire (1999).

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> run = hq.play(game, hq.learning.MultiplicativeWeights(0.1), 20, jax.random.key(0), tau=8.0)
        >>> print(run.policies[-1, :, 0].round(3))
        [[0.004 0.996]
         [0.004 0.996]]
    """

    step_size: Scalar
    regularised: ClassVar[bool] = False

    def __init__(self, step: Any):
        self.step_size = _positive(step, "step")

    def step(self, problem: Problem, state: LogPolicy, values: ActionValues, key: Any) -> LogPolicy:
        """See `AbstractDynamics`."""
        return log_softmax(state + self.step_size * values, problem.mask)


class MirrorPlay(_AbstractLogitDynamics):
    """The mirror update of T2, ``π⁺ ∝ π^{1/(1+ητ)} ρ^{ητ/(1+ητ)} exp(ηQ/(1+ητ))``.

    Args:
        step: η, 1/payoff; infinite for the logit response.

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> run = hq.play(game, hq.learning.MirrorPlay(0.1), 20, jax.random.key(0), tau=8.0)
        >>> print(run.policies[-1, :, 0].round(3))
        [[0.462 0.538]
         [0.462 0.538]]
    """

    step_size: Scalar
    regularised: ClassVar[bool] = True

    def __init__(self, step: Any):
        self.step_size = _positive(step, "step")

    def step(self, problem: Problem, state: LogPolicy, values: ActionValues, key: Any) -> LogPolicy:
        """See `AbstractDynamics`."""
        response = problem.response_to(values)
        return problem.log_policy(mirror_step(state, response, self.step_size * problem.tau))


class LogitDynamics(_AbstractLogitDynamics):
    """``π⁺ = (1−h) π + h BR_τ(π)``: a share h of each population answers by the logit response.

    Args:
        rate: h, in (0, 1].

    Source: Fudenberg & Levine (1998), ch. 4; Hofbauer & Sandholm (2002).

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> run = hq.play(game, hq.learning.LogitDynamics(0.5), 20, jax.random.key(0), tau=8.0)
        >>> print(run.policies[-1, :, 0].round(3))
        [[0.462 0.538]
         [0.462 0.538]]
    """

    rate: Scalar
    regularised: ClassVar[bool] = True

    def __init__(self, rate: Any):
        self.rate = _positive(rate, "rate", 1.0)

    def step(self, problem: Problem, state: LogPolicy, values: ActionValues, key: Any) -> LogPolicy:
        """See `AbstractDynamics`."""
        answer = problem.policy(problem.response_to(values))
        return safe_log((1 - self.rate) * probabilities(state, problem.mask) + self.rate * answer, problem.mask)


class PolicyGradient(_AbstractLogitDynamics):
    """Independent softmax policy gradient on regularised payoffs, ``θ⁺ = θ + ηπ(u − ⟨π, u⟩)``.

    ``u = Q − τ(log π − log ρ)``, and θ are the logits of π.

    Args:
        step: η, 1/payoff.

    Source: Williams (1992); Leonardos et al. (2022) for many agents.

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> run = hq.play(game, hq.learning.PolicyGradient(0.5), 20, jax.random.key(0), tau=8.0)
        >>> print(run.policies[-1, :, 0].round(3))
        [[0.462 0.538]
         [0.462 0.538]]
    """

    step_size: Scalar
    regularised: ClassVar[bool] = True

    def __init__(self, step: Any):
        self.step_size = _positive(step, "step")

    def step(self, problem: Problem, state: LogPolicy, values: ActionValues, key: Any) -> LogPolicy:
        """See `AbstractDynamics`."""
        policy = probabilities(state, problem.mask)
        worth = values - problem.tau[..., None] * (state - problem.log_reference)
        worth = jnp.where(policy > 0, worth, 0.0)
        gradient = policy * (worth - jnp.sum(policy * worth, axis=-1, keepdims=True))
        return log_softmax(state + self.step_size * gradient, problem.mask)


class QLearning(AbstractDynamics):
    """Independent Q-learning with Boltzmann exploration: each agent updates the action that it happened to take.

    ``Q̃(x, a) ← Q̃(x, a) + α (observed − Q̃(x, a))`` for ``a ~ π(x) ∝ ρ exp(Q̃/τ)``; what is observed is the payoff to go
    of that action against the others' policies.

    Args:
        rate: α, in (0, 1].

    Source: Watkins & Dayan (1992); Tuyls, 't Hoen & Vanschoenwinkel (2006).

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> run = hq.play(game, hq.learning.QLearning(0.1), 20, jax.random.key(0), tau=8.0)
        >>> print(run.policies[-1, :, 0].round(3))
        [[0.473 0.527]
         [0.423 0.577]]
    """

    rate: Scalar
    regularised: ClassVar[bool] = True

    def __init__(self, rate: Any):
        self.rate = _positive(rate, "rate", 1.0)

    def init(self, problem: Problem, log_policy: LogPolicy) -> ActionValues:
        """See `AbstractDynamics`."""
        return jnp.where(problem.mask, problem.tau[..., None] * (log_policy - problem.log_reference), 0.0)

    def policy(self, problem: Problem, state: ActionValues) -> LogPolicy:
        """See `AbstractDynamics`."""
        return problem.log_policy(problem.response_to(state))

    def step(self, problem: Problem, state: ActionValues, values: ActionValues, key: Any) -> ActionValues:
        """See `AbstractDynamics`."""
        taken = _pure(probabilities(self.policy(problem, state), problem.mask), problem.mask, key)
        return state + self.rate * probabilities(taken, problem.mask) * (values - state)


def _best(values: ActionValues, mask: Any) -> Any:
    return mask & (values == jnp.max(jnp.where(mask, values, -jnp.inf), axis=-1, keepdims=True))


def _uniform(choices: Any, like: ActionValues) -> Policy:
    return choices.astype(like.dtype) / jnp.maximum(jnp.sum(choices, axis=-1, keepdims=True), 1)


def _pure(chances: Policy, mask: Any, key: Any) -> LogPolicy:
    """One action drawn at every information state, as a log-policy."""
    drawn = jax.nn.one_hot(jax.random.categorical(key, jnp.log(chances)), mask.shape[-1], dtype=chances.dtype)
    return safe_log(jnp.where(mask, drawn, 0.0), mask)


def _positive(value: Any, field: str, largest: float = jnp.inf) -> Scalar:
    array = as_float_array(value, field)
    if array.shape or (concrete(array) and not 0 < float(array) <= largest):
        wanted = "one number greater than 0" + ("" if largest == jnp.inf else f", at most {largest:g}")
        raise InputError(field, f"is {value!r}; it must be {wanted}")
    return array


def _chance(value: Any, field: str) -> Float[Array, "*player"]:
    array = as_float_array(value, field)
    if array.ndim > 1 or (concrete(array) and not bool(jnp.all((array >= 0) & (array <= 1)))):
        raise InputError(field, f"is {value!r}; probabilities lie between 0 and 1, one for all or one per player")
    return array
