"""Mirror play on sampled payoffs: what each round costs, and the majorants of T3s."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

import hqre_jax as hq
from hqre_jax.bounds import interactions_under, regret_majorant
from hqre_jax.core._simplex import kl, mirror_step, safe_log
from hqre_jax.core._types import ActionValues, LogPolicy, PerPlayer, Scalar, StateValues
from proofs_check.numerics import accuracy

# Independent runs, their length, and the rounds in which gaps are looked at one by one.
NUM_RUNS, NUM_ROUNDS = 48, 48
LOOKED_AT = (NUM_ROUNDS // 4, NUM_ROUNDS - 1)


class Constants(NamedTuple):
    """What the majorants need to know of one game.

    Attributes:
        tau: τ_x.
        weights: w_x; 0 at padding.
        steepness: ``β_x = 2 √(2 Σ_y Λ_xy²/w_y)``, so that ``span(Q_x(π) − Q_x(π*)) ≤ β_x √D``.
        width: ``r_x = 4 Σ_y Λ_xy``, which that span never exceeds.
        variance: ς_x².
        margin: κ.
        lipschitz: L.
        distance: D_0, or a bound on it.
        ratio: ``span(log π⁰_x − log π*_x)``, or a bound on it.
    """

    tau: StateValues
    weights: StateValues
    steepness: StateValues
    width: StateValues
    variance: StateValues
    margin: Scalar
    lipschitz: Scalar
    distance: Scalar
    ratio: StateValues

    @property
    def total_variance(self) -> Scalar:
        """``σ² = ½ Σ w ς²``."""
        return 0.5 * jnp.sum(self.weights * self.variance)

    @property
    def offset(self) -> Scalar:
        """The least k0."""
        return jnp.maximum(1.0, 4 * (self.lipschitz / self.margin) ** 2)

    def decreasing(self, num_rounds: int) -> Float[Array, " round"]:
        """``η_k = 2/(κ(k + k0))``."""
        return 2 / (self.margin * (jnp.arange(num_rounds) + self.offset))


def influence_of(problem: hq.Problem) -> Float[Array, "x x"]:
    """Λ of theory.md §3, axes (decision point, decision point)."""
    meetings = interactions_under(problem, 0)
    assert meetings is not None
    return meetings.influence()


def reach_of(problem: hq.Problem) -> StateValues:
    """P(x), 0 at padding."""
    meetings = interactions_under(problem, 0)
    assert meetings is not None
    return jnp.where(meetings.keep, meetings.reach, 0.0).reshape(problem.tau.shape)


def steepness_of(problem: hq.Problem, weights: StateValues) -> StateValues:
    """β of `Constants`."""
    positive = jnp.where(weights > 0, weights, 1.0).ravel()
    squares = jnp.sum(influence_of(problem) ** 2 / positive[None, :], axis=1)
    return 2 * jnp.sqrt(2 * squares).reshape(problem.tau.shape)


def width_of(problem: hq.Problem) -> StateValues:
    """What `Constants` calls r."""
    return 4 * jnp.sum(influence_of(problem), axis=1).reshape(problem.tau.shape)


def variance_of(problem: hq.Problem, size: Scalar, sampled: Bool[Array, ""]) -> StateValues:
    """``ς_x² = (A_x − 1)(s² + 2 Σ_y Λ_xy²)``, the sum only where the others' actions are sampled."""
    others = 2 * jnp.sum(influence_of(problem) ** 2, axis=1).reshape(problem.tau.shape)
    more = jnp.maximum(jnp.sum(problem.mask, axis=-1) - 1, 0)
    return more * (size**2 + jnp.where(sampled, others, 0.0))


def majorant(
    known: Constants, steps: Float[Array, " round"], error: StateValues | float = 0.0
) -> Float[Array, "round player state"]:
    """The right side of (a) in each round, for any steps up to κ/(2L²).

    Args:
        known: The constants.
        steps: η_k.
        error: What rounding may add to a logit in one round.

    Returns:
        Bounds on ``E g_x``, units of payoff.
    """
    tau = known.tau

    def advance(state, eta):
        ratio, noise, distance = state
        felt = jnp.minimum(known.steepness * jnp.sqrt(distance), known.width)
        bound = tau / 8 * (ratio + jnp.sqrt(2 * noise) + felt / tau) ** 2
        damped = 1 + eta * tau
        later = (ratio + eta * felt) / damped + 2 * error
        spread = (noise + eta**2 * known.variance) / damped**2
        wrong = jnp.sum(known.weights * (2 * error + 0.5 * error**2 + 0 * tau))
        nearer = (distance + eta**2 * known.total_variance) / (1 + eta * known.margin) + wrong
        return (later, spread, nearer), bound

    start = known.ratio, jnp.zeros_like(known.ratio), known.distance
    return jax.lax.scan(advance, start, steps)[1]


def excess(
    problem: hq.Problem, known: Constants, farther: Constants, steps: Float[Array, " round"], error: StateValues
) -> Float[Array, "round player state"]:
    """What rounding may add to gaps beyond their majorants.

    Args:
        problem: Its game centred.
        known: The constants.
        farther: The same with distances to the exact π*, if π* is known but roughly.
        steps: η_k.
        error: Largest rounding error of a logit in one round.

    Returns:
        The recursions of rounded play less those of exact play, and the rounding of the gaps themselves.
    """
    exact = majorant(known, steps)
    # Logarithms and BR's logits err, at ‖π − BR‖₁ ≤ 2.
    own = known.tau * 16 * (error + accuracy.value_rounding(problem) / known.tau)
    return majorant(farther, steps, error) - exact + own[None] + 64 * accuracy.EPS * exact


def logarithmic(known: Constants, num_rounds: int) -> StateValues:
    """``G_x`` of (b): ``E g_x^k ≤ G_x/(k + k0)`` in the first K rounds with decreasing steps."""
    tau, kappa, k0 = known.tau, known.margin, known.offset
    part = tau / kappa
    part_played = (num_rounds - 1) / (num_rounds + k0)
    near = k0 * known.distance + 4 * known.total_variance * (1 + 1 / k0) * part_played / kappa**2
    felt = known.steepness * jnp.sqrt(near)
    pulled = (2 * felt / kappa) * (1 + 1 / (2 * k0)) / (2 * part - 0.5)
    spread = 4 * known.variance * (1 + 1 / k0) / (kappa**2 * (4 * part - 1))
    ratio = jnp.maximum(known.ratio * jnp.sqrt(k0), pulled)
    return tau / 8 * (ratio + jnp.sqrt(2 * spread) + felt / tau) ** 2


def harmonic(offset: Any, num_rounds: int) -> Any:
    """``1/k0 + log(1 + (K−1)/k0)``, at least ``Σ_{k<K} 1/(k + k0)``."""
    return 1 / offset + jnp.log1p((num_rounds - 1) / offset)


def floor_of(known: Constants, eta: Scalar) -> StateValues:
    """``f_x`` of (c), what a constant step costs per round in the long run."""
    tau = known.tau
    left = eta * known.total_variance / known.margin
    spread = eta * known.variance / (tau * (2 + eta * tau))
    return tau / 8 * (2 * jnp.minimum(known.steepness * jnp.sqrt(left), known.width) / tau + jnp.sqrt(2 * spread)) ** 2


def transient(known: Constants, influence: Float[Array, "x x"], eta: Scalar, num_rounds: int) -> StateValues:
    """``G⁰_x`` of (c): what the way from π⁰ may cost without noise (T3)."""
    positive = jnp.where(known.weights > 0, known.weights, 1.0).ravel()
    parts = known.tau.ravel(), positive, influence, eta, known.margin, known.distance, known.ratio.ravel()
    return jnp.sum(regret_majorant(*parts, num_rounds).rounds, axis=0).reshape(known.tau.shape)


class Play(NamedTuple):
    """One run.

    Attributes:
        gaps: ``g_x`` in the rounds of `LOOKED_AT`.
        total: ``Σ_k Σ_x P(x) g_x``.
        error: Largest rounding error of a logit in one round.
    """

    gaps: Float[Array, "looked player state"]
    total: PerPlayer
    error: StateValues


def estimate(
    problem: hq.Problem, log_policy: LogPolicy, noise: ActionValues, sampled: Bool[Array, ""], key: Any
) -> ActionValues:
    """``Q̂``: what actions earn against the actions of the others (or their policies), drawn once, plus noise."""
    mask = problem.mask
    drawn = jax.nn.one_hot(jax.random.categorical(key, jnp.where(mask, log_policy, -jnp.inf)), mask.shape[-1])
    # What nobody can play is no row of a policy: padding keeps what it has.
    played = safe_log(jnp.where(mask, drawn.astype(log_policy.dtype), 0.0), mask)
    against = jnp.where(sampled & jnp.any(mask, axis=-1, keepdims=True), played, log_policy)
    return problem.evaluate(against).action_values + noise


def play(
    problem: hq.Problem,
    reach: StateValues,
    start: LogPolicy,
    steps: Float[Array, " round"],
    noise: tuple[Scalar, ActionValues],
    sampled: Bool[Array, ""],
    key: Any,
) -> Play:
    """One run of mirror play, its gaps evaluated exactly.

    Args:
        problem: Its game centred.
        reach: P(x).
        start: log π⁰.
        steps: η_k.
        noise: Size of the signs that are added to what actions earn, and their mean, which should be 0.
        sampled: Whether the others' actions are drawn, too.
        key: Typed key.

    Returns:
        The run.
    """
    mask, tau = problem.mask, problem.tau
    size, bias = noise

    def advance(log_policy, now):
        key, eta = now
        sign_key, action_key = jax.random.split(key)
        answer = problem.log_policy(problem.response_logits(log_policy))
        gaps = accuracy.used(problem) * tau * kl(log_policy, answer, mask)
        shock = size * jax.random.rademacher(sign_key, mask.shape, tau.dtype) + bias
        values = estimate(problem, log_policy, shock, sampled, action_key)
        response = jnp.where(mask, values / tau[..., None] + problem.log_reference, 0.0)
        after = problem.log_policy(mirror_step(log_policy, response, eta * tau))
        damping = eta * tau / (1 + eta * tau)
        # The noise is one more term of the payoffs, of this size.
        error = accuracy.logit_rounding(problem, log_policy, damping) + damping * accuracy.EPS * 8 * size / tau
        return after, (gaps, error)

    rounds = jax.random.split(key, len(steps)), steps
    _, (gaps, error) = jax.lax.scan(advance, start, rounds)
    total = jnp.sum(reach * jnp.sum(gaps, axis=0), axis=-1)
    return Play(gaps[jnp.asarray(LOOKED_AT)], total, jnp.max(error, axis=0))
