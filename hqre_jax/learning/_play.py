"""Learners meet each other through one interface: payoffs of actions come in, policies go out; one scan plays them."""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.core._module import AbstractModule
from hqre_jax.core._programs import compiled
from hqre_jax.core._simplex import probabilities, safe_log
from hqre_jax.core._temperatures import as_float_array, concrete
from hqre_jax.core._types import ActionValues, InputError, LogPolicy, Policy, Scalar, checked_kind, shown
from hqre_jax.games._game import AbstractGame, Continuation
from hqre_jax.problem import Entropy, Problem, full_policy, posed


class AbstractDynamics(AbstractModule):
    """A rule by which every agent changes its policy after each round, from what its actions would have paid.

    Attributes:
        regularised: Whether agents are paid their entropy in continuation values, as the problem says.
        plays_pure: Whether it can begin with actions of probability zero.

    Example:
        >>> import hqre_jax as hq
        >>> issubclass(hq.learning.MirrorPlay, hq.learning.AbstractDynamics)
        True
    """

    regularised: eqx.AbstractClassVar[bool]
    plays_pure: ClassVar[bool] = False

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


class Play(NamedTuple):
    """A run of a dynamics.

    Attributes:
        policies: π⁰, …, π^K, ``(time, player, information state, action)``.
        action_values: What was observed in rounds 0, …, K−1, noise included; units of payoff.

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> run = hq.play(game, hq.learning.MirrorPlay(0.1), 20, jax.random.key(0), tau=8.0)
        >>> run.policies.shape, run.action_values.shape
        ((21, 2, 1, 2), (20, 2, 1, 2))
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

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> run = hq.play(game, hq.learning.MirrorPlay(0.1), 20, jax.random.key(0), tau=8.0)
        >>> print(run.policies[-1, :, 0].round(3))
        [[0.462 0.538]
         [0.462 0.538]]
    """
    checked_kind(dynamics, AbstractDynamics, "dynamics", "a rule such as MirrorPlay(0.1) is wanted")
    if not (isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 0):
        raise InputError("key", f"is {shown(key)}; a single typed key is wanted, such as jax.random.key(0)")
    problem = posed(problem, tau, reference=reference, entropy=entropy, continuation=continuation)
    if isinstance(num_rounds, bool) or not isinstance(num_rounds, int) or num_rounds < 0:
        raise InputError("num_rounds", f"is {num_rounds!r}; it must be a whole number, 0 or more")
    noise = None if isinstance(payoff_noise, int | float) and payoff_noise == 0 else payoff_noise
    if noise is not None:
        noise = as_float_array(payoff_noise, "payoff_noise", problem.tau.dtype)
        if noise.shape or (concrete(noise) and not float(noise) >= 0):
            raise InputError("payoff_noise", f"is {payoff_noise!r}; it must be one number, 0 or more")
    start, log_start = problem.reference(), problem.log_reference
    if policy0 is not None:
        start = full_policy(policy0, problem.mask, problem.game.dtype, "policy0", interior=not dynamics.plays_pure)
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
