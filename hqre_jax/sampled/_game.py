"""Games that are known only by playing them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax.core._module import AbstractModule
from hqre_jax.core._simplex import probabilities, safe_log
from hqre_jax.core._temperatures import concrete
from hqre_jax.core._types import ActionMask, InputError, Labels, LogPolicy, PerPlayer, Scalar, StateValues
from hqre_jax.games._game import AbstractGame, Continuation, Evaluation
from hqre_jax.games._simulator import AbstractHostSimulator, AbstractSimulator
from hqre_jax.sampled._episodes import Episodes, play
from hqre_jax.sampled._estimate import Moments, estimate
from hqre_jax.sampled._host import host_plays, host_probes
from hqre_jax.sampled._probes import Probes, paid_at, probe, probe_moments, return_width, thresholds, uniform_policy


class SampledGame(AbstractGame):
    """A game that is known only by playing it: a simulator, in JAX or in any Python program.

    ``hq.solve(hq.SampledGame(simulator), tau, key=key)`` finds its HQRE by `StochasticMirror`. `evaluate` answers from
    a fixed sample of its own: the same game always gives the same numbers, but they are estimates.

    Args:
        simulator: An `AbstractSimulator` (JAX, one play) or an `AbstractHostSimulator` (Python, batches of plays).
        num_episodes: Plays behind one `evaluate`.
        key: Typed key of these plays; ``jax.random.key(0)`` by default.
        num_workers: Threads that step a host simulator; they change nothing but the time.

    Raises:
        InputError: If the simulator is none, or its description is incomplete.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> sampled = hq.SampledGame.from_game(game, num_episodes=100)
        >>> sampled.num_players, sampled.num_episodes
        (2, 100)
    """

    simulator: "AbstractSimulator | _Shared"
    key: Any
    action_mask: ActionMask
    discount: Scalar
    return_low: PerPlayer
    return_high: PerPlayer
    labels: Labels = eqx.field(static=True)
    policy_independent_beliefs: bool = eqx.field(static=True)
    recall: bool = eqx.field(static=True)
    num_episodes: int = eqx.field(static=True)
    num_workers: int = eqx.field(static=True, metadata={"decides": False})

    def __init__(self, simulator: Any, *, num_episodes: int = 10_000, key: Any = None, num_workers: int = 2):
        if not isinstance(simulator, AbstractSimulator | AbstractHostSimulator):
            raise InputError(
                "simulator",
                f"is a {type(simulator).__name__}; an AbstractSimulator or AbstractHostSimulator is wanted, "
                "or hq.SampledGame.from_game(game)",
            )
        self.num_episodes = _count(num_episodes, "num_episodes")
        self.num_workers = _count(num_workers, "num_workers")
        self.key = jax.random.key(0) if key is None else key
        self.action_mask, self.return_low, self.return_high = _described(simulator)
        self.discount = jnp.asarray(simulator.discount, self.return_low.dtype)
        self.labels = simulator.labels
        self.policy_independent_beliefs = getattr(simulator, "policy_independent_beliefs", False)
        self.recall = simulator.beliefs_ignore_own_policy
        self.simulator = simulator if isinstance(simulator, AbstractSimulator) else _Shared(simulator)

    @classmethod
    def from_game(cls, game: AbstractGame, *, horizon: int | None = None, **options: Any) -> "SampledGame":
        """Play of an exact game, so that every estimate has a truth.

        Args:
            game: A game that has a ``simulator``, as all of the library's exact games have.
            horizon: Steps after which a play that goes on for ever is cut off; by default the discount has then
                fallen below 1e-3.
            **options: See `SampledGame`.

        Returns:
            The sampled game.

        Raises:
            InputError: If the game has no simulator, or γ = 1 and ``horizon`` is missing.
        """
        simulator = game.simulator(horizon)
        if simulator is None:
            raise InputError("game", f"is a {type(game).__name__}, which says nothing of how it is played step by step")
        return cls(simulator, **options)

    def step_discount(self) -> Scalar:
        """See `AbstractGame.step_discount`."""
        return self.discount

    def sampler(self) -> "SampledGame":
        """See `AbstractGame.sampler`."""
        return self

    def resampled(self, key: Any) -> "SampledGame":
        """The same game, `evaluate` answering from other plays."""
        return eqx.tree_at(lambda game: game.key, self, key)

    @property
    def beliefs_ignore_own_policy(self) -> bool:
        """As the simulator says."""
        return self.recall

    @property
    def plays_on(self) -> bool:
        """Whether a play may have several steps."""
        return self._host.horizon > 1

    @property
    def _host(self) -> Any:
        """The simulator itself."""
        return self.simulator.unwrapped if isinstance(self.simulator, _Shared) else self.simulator

    @property
    def covers_all(self) -> bool:
        """Whether probes visit every cell equally often; else only those to which play leads."""
        return not isinstance(self.simulator, _Shared) and self.simulator.restarts

    def play(self, policy: Any, num_episodes: int, key: Any) -> Episodes:
        """Logged play: everybody follows a policy from beginning to end.

        Args:
            policy: π, ``(player, information state, action)``.
            num_episodes: Number of plays.
            key: Typed key.

        Returns:
            The `Episodes`; plays that broke down are in them, marked.
        """
        policy = jnp.where(self.action_mask, jnp.asarray(policy, self.dtype), 0.0)
        log_policy = safe_log(policy, self.action_mask)
        if not isinstance(self.simulator, _Shared):
            return play(self.simulator, key, log_policy, num_episodes)
        on_policy = np.asarray(thresholds(policy, self.action_mask))
        recorded = host_plays(self._host, _words(key), on_policy, num_episodes, self.num_workers)
        return Episodes(*(jnp.asarray(column) for column in recorded))

    def probe(
        self, key: Any, log_policy: LogPolicy, bonus: StateValues, continuation: Continuation, num_probes: int
    ) -> Moments:
        """Sums over fresh probes of a policy: plays that deviate once, at a cell where the action value is wanted.

        Args:
            key: Typed key.
            log_policy: ``log π``.
            bonus: ``τ_j(x) H_j(x)``.
            continuation: Who is paid whose bonus later on.
            num_probes: Number of plays.

        Returns:
            The `Moments`, traceable under ``jit``; a host simulator is called back.
        """
        mask = self.action_mask
        if not isinstance(self.simulator, _Shared):
            probes = probe(self.simulator, key, log_policy, bonus, continuation, num_probes)
            return probe_moments(probes, mask)
        states = jnp.arange(mask.shape[1])
        every = jnp.eye(mask.shape[0], dtype=bool)[:, None, :]
        # What i is paid when j alone acts at x.
        alone = jnp.where(every, states[None, :, None], -1)
        paid = jnp.moveaxis(paid_at(bonus, alone, continuation), -1, 0)

        def call(words, on_policy, trying, paid):
            words, on_policy, trying, paid = (np.asarray(a) for a in (words, on_policy, trying, paid))
            found = host_probes(self._host, words, on_policy, trying, paid, num_probes, self.num_workers)
            return tuple(a.astype(w.dtype) for a, w in zip(found, wanted, strict=True))

        real = jax.ShapeDtypeStruct((num_probes,), self.dtype)
        whole = jax.ShapeDtypeStruct((num_probes,), jnp.result_type(int))
        wanted = (whole, whole, whole, real, real, real, real, jax.ShapeDtypeStruct((num_probes,), bool))
        tables = thresholds(probabilities(log_policy, mask), mask), thresholds(uniform_policy(mask, self.dtype), mask)
        probes = Probes(
            *jax.pure_callback(call, wanted, jax.random.key_data(key), *tables, paid, vmap_method="sequential")
        )
        return probe_moments(probes, mask)

    def return_width(self, bonus: StateValues, continuation: Continuation) -> PerPlayer:
        """Width of an interval that holds every return, regularisation included; units of payoff."""
        return return_width(self._host, bonus, continuation)

    def evaluate(
        self,
        log_policy: LogPolicy,
        bonus: StateValues,
        continuation: Continuation,
        payoff_scale: Scalar | float = 1.0,
    ) -> Evaluation:
        """See `AbstractGame.evaluate`: an estimate from ``num_episodes`` probes, always the same ones.

        ``initial_values`` and ``reach`` are not estimated: they are nan.
        """
        # Returns are linear in payoffs and bonus: only the ratio of the two can be scaled.
        scale = jnp.asarray(payoff_scale, self.dtype)
        moments = self.probe(self.key, log_policy, bonus / scale, continuation, self.num_episodes)
        known = estimate(moments)
        weight = jnp.sum(moments.weight, axis=-1)
        at_once = jnp.sum(moments.paid, axis=-1) / jnp.where(weight > 0, weight, 1.0)
        policy = probabilities(log_policy, self.action_mask)
        values = jnp.sum(policy * known.action_values, axis=-1) + at_once
        unknown = jnp.full(bonus.shape, jnp.nan, self.dtype)
        return Evaluation(
            action_values=scale * known.action_values,
            values=scale * values,
            initial_values=unknown[:, 0],
            reach=unknown,
            continuation=jnp.zeros((self.num_players, 0), self.dtype),
        )

    def centered(self) -> "SampledGame":
        """The game itself: its payoffs are not known."""
        return self

    def opposed(self) -> Any:
        """As the simulator says."""
        return self._host.opposed()

    def payoff_range(self) -> PerPlayer:
        """Width of the returns that the simulator declares possible."""
        return self.return_high - self.return_low


class _Shared(AbstractModule):
    """A host simulator as a constant of compiled programs."""

    unwrapped: Any = eqx.field(static=True)


def _words(key: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(key))


def _count(value: Any, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InputError(field, f"is {value!r}; it must be a whole number, 1 or more")
    return int(value)


def sampled_game(game: AbstractGame) -> SampledGame | None:
    """The game, if it is known only by playing it; None where its values are exact.

    Args:
        game: Any game.

    Returns:
        The game itself, or None.

    Example:
        >>> import hqre_jax as hq
        >>> exact = hq.load_game("stag_hunt")
        >>> hq.sampled.sampled_game(exact) is None
        True
        >>> hq.sampled.sampled_game(hq.SampledGame.from_game(exact)).num_players
        2
    """
    return game.sampler()


def _described(simulator: Any) -> tuple[ActionMask, PerPlayer, PerPlayer]:
    """Mask and range of returns, checked."""
    for name in ("action_mask", "discount", "return_low", "return_high", "horizon", "num_moves"):
        if getattr(simulator, name, None) is None:
            raise InputError("simulator", f"does not say its {name}")
    mask = jnp.asarray(simulator.action_mask)
    if mask.ndim != 3 or mask.dtype != bool:
        raise InputError("simulator.action_mask", "must be boolean (player, information state, action)")
    low, high = (jnp.asarray(end, jnp.result_type(float)) for end in (simulator.return_low, simulator.return_high))
    if low.shape != (mask.shape[0],) or high.shape != low.shape:
        raise InputError(
            "simulator.return_low", f"and return_high must have one entry for each of {mask.shape[0]} players"
        )
    if concrete(low) and concrete(high) and not bool(jnp.all((low <= high) & jnp.isfinite(low) & jnp.isfinite(high))):
        raise InputError("simulator.return_high", "must be finite and no less than return_low")
    return mask, low, high
