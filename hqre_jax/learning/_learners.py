"""Learners that meet each other through one interface: payoffs of actions come in, policies go out."""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.core._programs import compiled
from hqre_jax.core._simplex import log_softmax, mirror_step, probabilities, safe_log
from hqre_jax.core._temperatures import as_float_array, concrete
from hqre_jax.core._types import ActionValues, InputError, LogPolicy, Policy, Scalar
from hqre_jax.games._game import AbstractGame, Continuation
from hqre_jax.problem import Entropy, Problem, full_policy, posed


class AbstractDynamics(eqx.Module):
    """A rule by which every agent changes its policy after each round, from what its actions would have paid.

    Attributes:
        regularised: Whether agents are paid their entropy in continuation values, as the problem says.
    """

    regularised: eqx.AbstractClassVar[bool]

    @abc.abstractmethod
    def init(self, problem: Problem, log_policy: LogPolicy) -> Any:
        """The state in which the given policy is played.

        Args:
            problem: Game, temperatures, reference.
            log_policy: ``log π⁰``.

        Returns:
            A pytree of arrays.
        """

    @abc.abstractmethod
    def policy(self, problem: Problem, state: Any) -> LogPolicy:
        """What is played in a state: ``log π``."""

    @abc.abstractmethod
    def step(self, problem: Problem, state: Any, values: ActionValues, key: Any) -> Any:
        """The state after a round.

        Args:
            problem: Game, temperatures, reference.
            state: The state before.
            values: Observed ``Q_i(x, a)`` against what `believed` says, units of payoff.
            key: Typed key of this round.

        Returns:
            The next state.
        """

    def believed(self, problem: Problem, state: Any) -> LogPolicy:
        """The policy that actions are judged against: by default what is played."""
        return self.policy(problem, state)


class BestResponse(AbstractDynamics):
    """Best response to the last round, with mistakes and inertia.

    At each information state an agent draws its action again from its last policy with probability ``inertia``;
    otherwise it errs, uniformly, with probability ``noise``, and else plays a best response, ties broken at random.

    Args:
        noise: Probability of a mistake; a number or one per player.
        inertia: Probability of staying; a number or one per player.

    Source: Kandori, Mailath & Rob (1993); Young (1993).
    """

    noise: Float[Array, "*player"]
    inertia: Float[Array, "*player"]
    regularised: ClassVar[bool] = False

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
    """

    regularised: ClassVar[bool] = False

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


class Play(NamedTuple):
    """A run of a dynamics.

    Attributes:
        policies: π⁰, …, π^K, ``(time, player, information state, action)``.
        action_values: What was observed in rounds 0, …, K−1, noise included; units of payoff.
    """

    policies: Float[Array, "time player state action"]
    action_values: Float[Array, "round player state action"]


def play(
    problem: Problem | AbstractGame,
    dynamics: AbstractDynamics,
    num_rounds: int,
    key: Any,
    *,
    tau: Any = None,
    reference: Any = None,
    entropy: Entropy | None = None,
    continuation: Continuation | None = None,
    policy0: Any = None,
    payoff_noise: Any = 0.0,
) -> Play:
    """Let everybody learn at once, by one rule.

    In each round ``Q_i(x, a)`` is evaluated in the game (any `AbstractGame`; a `SampledGame` plays its ``num_episodes``
    anew), independent normal noise is added, and everybody updates at the same time.

    Args:
        problem: Game, temperatures and reference; or a game, with ``tau``. Rules without temperatures ignore
            the latter.
        dynamics: The rule.
        num_rounds: K ≥ 0.
        key: Typed key.
        tau: Temperatures of a game, as in `solve`.
        reference: ρ, as in `solve`.
        entropy: As in `solve`.
        continuation: As in `solve`.
        policy0: π⁰, ``(player, information state, action)``, the reference by default. Logit rules need it interior.
        payoff_noise: Standard deviation of the noise of each observed value, units of payoff.

    Returns:
        `Play`; one compiled scan.

    Raises:
        InputError: On bad input.
    """
    problem = posed(problem, tau, reference=reference, entropy=entropy, continuation=continuation)
    if isinstance(num_rounds, bool) or not isinstance(num_rounds, int) or num_rounds < 0:
        raise InputError("num_rounds", f"is {num_rounds!r}; it must be a whole number, 0 or more")
    noise = None if isinstance(payoff_noise, int | float) and payoff_noise == 0 else payoff_noise
    if noise is not None:
        noise = as_float_array(payoff_noise, "payoff_noise", problem.tau.dtype)
        if noise.shape or (concrete(noise) and not float(noise) >= 0):
            raise InputError("payoff_noise", f"is {payoff_noise!r}; it must be one number, 0 or more")
    pure = isinstance(dynamics, BestResponse | FictitiousPlay)
    start, log_start = problem.reference(), problem.log_reference
    if policy0 is not None:
        start = full_policy(policy0, problem.mask, problem.game.dtype, "policy0", interior=not pure)
        log_start = safe_log(start, problem.mask)
    # In the type of the game, whatever its steps and rates were given in.
    dynamics = jax.tree.map(lambda x: x.astype(start.dtype) if eqx.is_inexact_array(x) else x, dynamics)
    return _play(problem, dynamics, start, log_start, num_rounds, key, noise)


@compiled
def _play(
    problem: Problem,
    dynamics: AbstractDynamics,
    start: Policy,
    log_start: LogPolicy,
    num_rounds: int,
    key: Any,
    noise: Scalar | None,
) -> Play:
    nothing = jnp.zeros_like(problem.tau)

    def advance(state: Any, key: Any):
        against = dynamics.believed(problem, state)
        bonus = problem.bonus(against) if dynamics.regularised else nothing
        continuation = problem.continuation if dynamics.regularised else "plain"
        # A game that is known by playing only is played anew each round.
        game = problem.game.resampled(jax.random.fold_in(key, 0))
        values = game.evaluate(against, bonus, continuation, problem.scale).action_values
        if noise is not None:
            error = noise * jax.random.normal(jax.random.fold_in(key, 1), values.shape, values.dtype)
            values = values + jnp.where(problem.mask, error, 0.0)
        following = dynamics.step(problem, state, values, key)
        return following, (probabilities(dynamics.policy(problem, following), problem.mask), values)

    _, (path, values) = jax.lax.scan(advance, dynamics.init(problem, log_start), jax.random.split(key, num_rounds))
    return Play(jnp.concatenate([start[None], path]), values)


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
