"""Mirror descent on estimated action values: the update of T5."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hqre_jax.bounds import bounds
from hqre_jax.core._simplex import log_softmax, mirror_step, probabilities, safe_log
from hqre_jax.core._temperatures import as_float_array, concrete
from hqre_jax.core._types import ActionValues, InputError, LogPolicy, Policy, Scalar, StateValues, checked_choice
from hqre_jax.equilibrium._residual import residual_between
from hqre_jax.problem import Problem
from hqre_jax.sampled import Moments, estimate, half_widths, sampled_game
from hqre_jax.sampled._estimate import Interval
from hqre_jax.solvers._solver import AbstractSolver, Evidence, Iterate, look
from hqre_jax.solvers.mirror_descent import step_size

Step = float | Scalar | Callable[[Any], Any] | Literal["variance_aware"] | None

# Plays that judge a policy have keys of their own: no round has this number.
_LOOKS = 2**32 - 1


class State(NamedTuple):
    """Where a run stands; all of its future follows from it.

    Attributes:
        iterate: The last policy that was looked at; ``iterate.residual`` is exact in exact games, and in sampled
            games the upper end of a confidence interval.
        logits: z of the current policy.
        baseline: What action values are taken to be worth before they are sampled: a control variate.
        updates: How often each decision point was updated.
        average: Weighted average of the policies so far.
        variance: Running mean of the estimated ``E‖Q̂ − Q‖_∞²`` at each decision point.
        bound: u of the variance-aware step: the bound on E D that T5 gives.
        round: Number of rounds.
        key: Randomness of the rest of the run.
        evidence: On what the residual of a sampled game rests.
    """

    iterate: Iterate
    logits: LogPolicy
    baseline: ActionValues
    updates: Int[Array, "player state"]
    average: Policy
    variance: StateValues
    bound: Scalar
    round: Int[Array, ""]
    key: Any
    evidence: Evidence | None


class Constants(NamedTuple):
    """κ per decision point, k0 and w: what the schedule of T5 needs."""

    margin: StateValues
    offset: Scalar
    weights: StateValues


class StochasticMirror(AbstractSolver):
    """Mirror descent with sampled payoffs, ``π⁺ ∝ π^{1/(1+ητ)} ρ^{ητ/(1+ητ)} exp(ηQ̂/(1+ητ))``.

    With unbiased Q̂, margin κ > 0 and ``η_k = 2/(κ(k + k0))``, ``k0 = max(1, 4L²/κ²)``, ``E D_k`` falls as 1/k; with a
    constant ``η ≤ κ/(2L²)`` it falls geometrically to the floor ``ησ²/κ`` (theory.md, T5).

    In a `SampledGame` each round plays ``batch_size`` probes. Where play can begin anywhere, every decision point is
    updated every round, as T5 asks; elsewhere those that were visited, each by a schedule of its own number of
    updates. After ``check_every``, 2, 4, 8, … times as many rounds the policy is looked at with as many fresh probes
    as it has cost so far, and the run ends when the *upper* confidence bound on its residual is at most ``tol``: all
    action values are covered together, over all looks together, with probability ``level``. In an exact game the
    residual is exact, and ``noise`` may be added to its action values.

    Args:
        step: η in units of 1/payoff: a number; a schedule ``k -> η`` (optax's are); ``"variance_aware"``: the step
            that makes T5's bound least given the noise that is measured; None: the schedule above.
        margin: κ, units of payoff. By default certified where that is possible, elsewhere taken to be τ: a guess.
        lipschitz: L, units of payoff; by default certified where that is possible, elsewhere 0.
        batch_size: Probes in a round (mini-batch).
        averaging: Whether the answer is the average of all policies, weighted by their number.
        noise: Standard deviation of normal noise on the action values of an exact game, units of payoff.
        level: Confidence with which the bound on the residual of a sampled game holds.
        interval: ``"bernstein"`` (valid for any number of plays of bounded return) or ``"normal"`` (asymptotic;
            shorter).
        check_every: Rounds before the first look.
        checkpoint: File that a run keeps up to date and, if it is there, goes on from. Not under tracing.
        checkpoint_every: Rounds between writing it.

    Raises:
        InputError: On bad input.

    Example:
        >>> import hqre_jax as hq
        >>> hq.solvers.StochasticMirror(level=0.9).level
        0.9
    """

    step_size: Float[Array, ""] | None
    margin: Float[Array, ""] | None
    lipschitz: Float[Array, ""] | None
    noise: Float[Array, ""]
    key: Any
    schedule: Callable[[Any], Any] | str | None = eqx.field(static=True)
    batch_size: int = eqx.field(static=True)
    averaging: bool = eqx.field(static=True)
    level: float = eqx.field(static=True)
    interval: Interval = eqx.field(static=True)
    check_every: int = eqx.field(static=True)
    checkpoint: str | None = eqx.field(static=True, metadata={"decides": False})
    checkpoint_every: int = eqx.field(static=True)

    name: ClassVar[str] = "stochastic_mirror"
    default_max_steps: ClassVar[int] = 20_000
    # Estimates fluctuate: that a residual was smaller before is no reason to give up, and that it is near no success.
    patience: ClassVar[int] = 2**31 - 1
    almost: ClassVar[float] = 1.0

    def __init__(
        self,
        step: Step = None,
        *,
        margin: Any = None,
        lipschitz: Any = None,
        batch_size: int = 1024,
        averaging: bool = False,
        noise: Any = 0.0,
        level: float = 0.95,
        interval: Interval = "bernstein",
        check_every: int = 32,
        checkpoint: str | Path | None = None,
        checkpoint_every: int = 64,
    ):
        if isinstance(step, str) and step != "variance_aware":
            raise InputError("step", f'is {step!r}; a number, a schedule, "variance_aware" or None is wanted')
        self.schedule = step if callable(step) or isinstance(step, str) else None
        self.step_size = None if step is None or self.schedule is not None else step_size(step)  # type: ignore[arg-type]
        self.margin = None if margin is None else _positive(margin, "margin")
        self.lipschitz = None if lipschitz is None else _positive(lipschitz, "lipschitz", zero=True)
        self.noise = _positive(noise, "noise", zero=True)
        if not 0 < level < 1:
            raise InputError("level", f"is {level!r}; it must lie strictly between 0 and 1")
        checked_choice(interval, ("bernstein", "normal"), "interval")
        for field, count in (
            ("batch_size", batch_size),
            ("check_every", check_every),
            ("checkpoint_every", checkpoint_every),
        ):
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise InputError(field, f"is {count!r}; it must be a whole number, 1 or more")
        self.batch_size, self.averaging, self.level, self.interval = batch_size, averaging, level, interval
        self.check_every = check_every
        self.checkpoint = None if checkpoint is None else str(checkpoint)
        self.checkpoint_every = checkpoint_every
        self.key = None

    def seeded(self, key: Any) -> "StochasticMirror":
        """See `AbstractSolver.seeded`."""
        key = jax.random.key(0) if key is None else key
        return eqx.tree_at(lambda s: s.key, self, key, is_leaf=lambda x: x is None)

    def init(self, problem: Problem, log_policy: LogPolicy) -> State:
        """See `AbstractSolver.init`."""
        dtype, counts = problem.tau.dtype, jnp.zeros(problem.tau.shape, int)
        one, none = jnp.ones((), dtype), jnp.zeros((), int)
        game = sampled_game(problem.game)
        if game is not None:
            iterate = Iterate(log_policy, problem.log_reference, one, one, none)
            evidence = Evidence(jnp.asarray(self.level, dtype), one, none, none, none)
            middle = 0.5 * (game.return_low + game.return_high)
            baseline = jnp.where(problem.mask, middle[:, None, None], 0.0).astype(dtype)
        else:
            iterate, evidence = look(problem, log_policy), None
            baseline = jnp.zeros(problem.mask.shape, dtype)
        known = self._constants(problem)
        # D_0 = Σ w KL(π*‖ρ) is at most Σ w · span(Q)/τ, since log π*/ρ lies within the span of Q/τ.
        width = problem.game.payoff_range()[:, None] / problem.tau
        bound = jnp.sum(known.weights * jnp.where(jnp.any(problem.mask, axis=-1), width, 0.0))
        key = jax.random.key(0) if self.key is None else self.key
        blank = jnp.zeros(problem.mask.shape, dtype)
        return State(
            iterate, log_policy, baseline, counts, blank, jnp.zeros_like(problem.tau), bound, none, key, evidence
        )

    def step(self, problem: Problem, state: State) -> State:
        """See `AbstractSolver.step`; one round, and at powers of two a look at the policy."""
        sampled = sampled_game(problem.game) is not None
        key = jax.random.fold_in(state.key, state.round)
        log_policy = problem.log_policy(state.logits)
        worth, baseline, variance, visited = (self._sampled if sampled else self._noisy)(
            problem, state, log_policy, key
        )
        known = self._constants(problem)
        noise = jnp.sum(known.weights * variance)
        eta = self._step(state, known, noise)
        moved = problem.log_policy(mirror_step(state.logits, problem.response_to(worth), eta * problem.tau))
        logits = jnp.where(visited[..., None], moved, state.logits)
        kappa = jnp.min(jnp.where(jnp.any(problem.mask, axis=-1), known.margin, jnp.inf))
        largest = jnp.max(eta)
        bound = (state.bound + largest**2 * noise) / (1 + largest * kappa)
        now = probabilities(log_softmax(logits, problem.mask), problem.mask)
        share = 2.0 / (state.round + 2.0)
        state = state._replace(
            logits=logits,
            baseline=baseline,
            updates=state.updates + visited,
            average=(1 - share) * state.average + share * now,
            variance=variance,
            bound=bound,
            round=state.round + 1,
        )
        answer = safe_log(state.average, problem.mask) if self.averaging else logits
        if not sampled:
            return state._replace(iterate=look(problem, answer, state.iterate))
        return jax.lax.cond(self._due(state), lambda s: self._checked(problem, s, answer), lambda s: s, state)

    def _constants(self, problem: Problem) -> Constants:
        """κ, k0 and w: given, certified, or guessed."""
        tau = problem.tau
        unknown = jnp.full((), jnp.nan, tau.dtype)
        known = bounds(problem) if sampled_game(problem.game) is None else None
        certified, steepness = (unknown, unknown) if known is None else (known.margin, known.lipschitz)
        sure = certified > 0
        margin = jnp.where(sure, certified, tau)
        if self.margin is not None:
            margin = jnp.broadcast_to(self.margin.astype(tau.dtype), tau.shape)
        lipschitz = jnp.where(sure, steepness, 0.0) if self.lipschitz is None else self.lipschitz.astype(tau.dtype)
        weights = jnp.ones_like(tau) if known is None else jnp.where(sure, known.weights, 1.0)
        used = jnp.any(problem.mask, axis=-1)
        least = jnp.min(jnp.where(used, margin, jnp.inf))
        return Constants(margin, jnp.maximum(1.0, 4 * (lipschitz / least) ** 2), jnp.where(used, weights, 0.0))

    def _step(self, state: State, known: Constants, noise: Scalar) -> StateValues:
        """η at every decision point."""
        if self.step_size is not None:
            return jnp.broadcast_to(self.step_size.astype(known.margin.dtype), known.margin.shape)
        if self.schedule == "variance_aware":
            # Least (u + η²σ²)/(1 + ηκ), no larger than the step that T5 allows.
            kappa = jnp.min(known.margin)
            eta = (jnp.sqrt(1 + kappa**2 * state.bound / jnp.where(noise > 0, noise, 1.0)) - 1) / kappa
            allowed = 2 / (kappa * known.offset)
            return jnp.broadcast_to(jnp.where(noise > 0, jnp.minimum(eta, allowed), allowed), known.margin.shape)
        if callable(self.schedule):
            eta = jnp.asarray(self.schedule(state.updates), known.margin.dtype)
            return jnp.broadcast_to(eta, known.margin.shape)
        return 2 / (known.margin * (state.updates + known.offset))

    def _noisy(self, problem: Problem, state: State, log_policy: LogPolicy, key: Any):
        """Exact action values with normal noise."""
        exact = problem.evaluate(log_policy).action_values
        noise = self.noise.astype(exact.dtype) * jax.random.normal(key, exact.shape, exact.dtype)
        worth = jnp.where(problem.mask, exact + noise, 0.0)
        used = jnp.any(problem.mask, axis=-1)
        count = jnp.sum(problem.mask, axis=-1)
        return worth, state.baseline, jnp.where(used, count * self.noise.astype(exact.dtype) ** 2, 0.0), used

    def _sampled(self, problem: Problem, state: State, log_policy: LogPolicy, key: Any):
        """Action values from a batch of probes.

        Where all cells are probed, each has the mean of its returns. Elsewhere the action at a visited x was drawn
        uniformly among A: ``Q̂ = Q̄ + A/n_x Σ (G − Q̄)``, the sum over visits that took the action, is unbiased for any
        baseline Q̄ of earlier rounds.
        """
        game = sampled_game(problem.game)
        assert game is not None
        moments = game.probe(key, log_policy, problem.bonus(log_policy), problem.continuation, self.batch_size)
        known = estimate(moments)
        seen = moments.visits > 0
        count = jnp.sum(problem.mask, axis=-1, keepdims=True)
        visits = jnp.sum(moments.weight, axis=-1, keepdims=True)
        if game.covers_all:
            worth, visited = known.action_values, jnp.all(seen | ~problem.mask, axis=-1)
        else:
            surprise = moments.total - moments.weight * state.baseline
            worth = state.baseline + count * surprise / jnp.where(visits > 0, visits, 1.0)
            visited = visits[..., 0] > 0
        visited = visited & jnp.any(problem.mask, axis=-1)
        share = 2.0 / (state.updates[..., None] + 2.0)
        baseline = jnp.where(seen, state.baseline + share * (known.action_values - state.baseline), state.baseline)
        squares = jnp.where(problem.mask & jnp.isfinite(known.standard_errors), known.standard_errors, 0.0) ** 2
        measured = jnp.sum(squares, axis=-1)
        past = state.updates + 1.0
        variance = jnp.where(visited, state.variance + (measured - state.variance) / past, state.variance)
        return jnp.where(problem.mask, worth, 0.0), baseline, variance, visited

    def _due(self, state: State):
        """Whether the number of rounds is ``check_every`` times a power of two."""
        looks, rest = state.round // self.check_every, state.round % self.check_every
        return (rest == 0) & (looks > 0) & ((looks & (looks - 1)) == 0)

    def _checked(self, problem: Problem, state: State, answer: LogPolicy) -> State:
        """The policy judged by fresh probes, as many as all rounds before have cost."""
        game = sampled_game(problem.game)
        assert game is not None and state.evidence is not None
        log_policy = problem.log_policy(answer)
        bonus = problem.bonus(log_policy)
        fresh = jax.random.fold_in(jax.random.fold_in(state.key, _LOOKS), state.evidence.num_looks)

        def more(k, moments):
            key = jax.random.fold_in(fresh, k)
            return moments.plus(game.probe(key, log_policy, bonus, problem.continuation, self.batch_size))

        moments = jax.lax.fori_loop(0, state.round, more, Moments.zero(problem.mask, bonus.dtype))
        # Over all looks c = 0, 1, …: Σ 1/((c+1)(c+2)) = 1. Over all cells: as many as are valid.
        look_ = (state.evidence.num_looks + 1.0) * (state.evidence.num_looks + 2.0)
        log_error = jnp.log1p(-self.level) - jnp.log(jnp.sum(problem.mask) * look_)
        # Weighted returns are not within one range: only their asymptotic law is used.
        kind: Interval = self.interval if game.beliefs_ignore_own_policy else "normal"
        reach = half_widths(
            moments, log_error.astype(bonus.dtype), game.return_width(bonus, problem.continuation), kind
        )
        known = estimate(moments)
        middle = (0.5 * (game.return_low + game.return_high)).astype(bonus.dtype)[:, None, None]
        worth = jnp.where(known.counts > 0, known.action_values, middle)
        response = problem.response_to(worth)
        upper = residual_bound(problem, log_policy, response, reach / problem.tau[..., None])
        evidence = Evidence(
            level=state.evidence.level,
            estimate=residual_between(log_policy, response, problem),
            num_looks=state.evidence.num_looks + 1,
            num_episodes=state.evidence.num_episodes + moments.episodes,
            num_failed=state.evidence.num_failed + moments.failed,
        )
        best = jnp.minimum(upper, state.iterate.best)
        iterate = Iterate(answer, response, upper, best, jnp.zeros_like(state.iterate.stalled))
        return state._replace(iterate=iterate, evidence=evidence)


def residual_bound(problem: Problem, log_policy: LogPolicy, response: LogPolicy, reach: ActionValues) -> Scalar:
    """Largest residual ``max |π − softmax(z')|`` over all logits z' within ``reach`` of the estimated ones.

    The softmax of a is largest where its own logit is as large and all others are as small as they can be.

    Args:
        problem: For the mask.
        log_policy: ``log π``.
        response: Estimated logits of the response.
        reach: Half-width of the interval of each.

    Returns:
        The bound, a pure number in [0, 1].
    """
    own = jnp.eye(response.shape[-1], dtype=bool)
    policy = probabilities(log_policy, problem.mask)

    def extreme(sign: float) -> Policy:
        shape = (*response.shape, response.shape[-1])
        spread, mine = jnp.broadcast_to(reach[..., None, :], shape), jnp.broadcast_to(own, shape)
        shifted = response[..., None, :] + sign * jnp.where(mine, spread, -spread)
        every = jnp.broadcast_to(problem.mask[..., None, :], shape)
        return jnp.exp(jnp.diagonal(log_softmax(shifted, every), axis1=-2, axis2=-1))

    gaps = jnp.maximum(jnp.abs(extreme(1.0) - policy), jnp.abs(extreme(-1.0) - policy))
    return jnp.max(jnp.where(problem.mask, gaps, 0.0))


def _positive(value: Any, field: str, zero: bool = False) -> Float[Array, ""]:
    """One finite number above (or at) 0; what is traced is taken as it is."""
    array = as_float_array(value, field, jnp.result_type(float))
    good = array.shape == () and (
        not concrete(array) or (np.isfinite(float(array)) and (float(array) >= 0 if zero else float(array) > 0))
    )
    if not good:
        raise InputError(field, f"is {value!r}; it must be one finite number {'≥ 0' if zero else '> 0'}")
    return array
