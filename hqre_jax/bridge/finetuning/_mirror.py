r"""The mirror step of T2 on the decisions of a language model.

At a state h with temperature τ the step maximises over policies π of the next token

    ⟨Â_h, π⟩ − (1/η) KL(π ‖ π_k) − τ KL(π ‖ ρ),

whose maximiser is ``π* ∝ (π_k^{1/η} ρ^τ e^{Â_h})^{1/(1/η + τ)}``: the mirror update
``π_k^{1/(1+ητ)} ρ^{ητ/(1+ητ)} e^{ηQ/(1+ητ)}``, since a baseline is the same for all tokens. What a policy π falls short
of the maximum is *exactly* ``(1/η + τ) KL(π ‖ π*)``, so that divergence is the distance to the exact step.

``Â = Q − baseline`` where Q leaves the penalty of the decision itself out and has those of the decisions to come: the
agent's own ("soft") or none ("plain"), as in a Markov game's continuation values. Nothing is normalised or clipped.

Plays show Q of the tokens that were taken, each weighted by 1/π_k: without bias, and without bound where a rare token
was taken. With implicit exploration γ > 0 the weight is 1/(π_k + γ), so that a token that nobody would take again is
worth what is to be expected anyway; γ = 0 is the unbiased estimate.

Source: the update of mirror descent with two divergences (theory, T2); Tomar et al. 2022 (arXiv 2005.09814) for several
gradient steps per mirror step; Neu 2015 (arXiv 1506.03271) for implicit exploration.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.bridge.finetuning._turns import (
    LogPolicies,
    Turns,
    at_states,
    by_row,
    chosen,
    divergence,
    in_later_rounds,
)


def returns(turns: Turns, penalty: Float[Array, "turn step"]) -> Float[Array, "turn step"]:
    """What came after each decision: score, less the price of tokens from here on, less penalties *after* this one.

    Those of the role's turns in later rounds of the play come after it, too.

    Args:
        turns: The turns.
        penalty: ``τ KL(π_k ‖ ρ)`` of each decision under the policy that played; 0 for "plain" continuation.

    Returns:
        A sample of Q at each decision, units of score.
    """
    cost = jnp.where(turns.mask, turns.price[:, None], 0.0)
    owed = jnp.where(turns.mask, penalty, 0.0)
    to_go = jnp.cumsum((cost + owed)[:, ::-1], axis=1)[:, ::-1] - owed
    later = in_later_rounds(jnp.sum(cost + owed, axis=1), turns)
    return (turns.score - later)[:, None] - to_go


def baseline(values: Float[Array, "turn step"], turns: Turns) -> Float[Array, "turn step"]:
    """Mean over the *other* plays of the same question and role, decision by decision.

    A turn's own tokens have no part in its baseline: the gradient's expectation is that without one. Where nobody else
    played the question it is 0. Turns that have ended before a decision count with what came after them.

    Args:
        values: Samples of Q, see `returns`.
        turns: The turns.
    """
    same = (turns.group[:, None] == turns.group[None]) & ~jnp.eye(len(turns.group), dtype=bool)
    others = jnp.sum(same, axis=1)
    return (same.astype(values.dtype) @ values) / jnp.maximum(others, 1)[:, None].astype(values.dtype)


def mirror_terms(
    policies: LogPolicies,
    advantages: Float[Array, "turn step"],
    turns: Turns,
    eta: Float[Array, ""],
    exploration: float = 0.0,
) -> Float[Array, "turn step"]:
    """What each decision adds to the objective that a mirror step maximises.

    ``π_φ/(π_k + γ)(a) Â − (1/η) KL(π_φ ‖ π_k) − τ KL(π_φ ‖ ρ)``: with a drawn from π_k, and states as π_k visits them,
    the expectation of the sum over decisions is the objective where γ = 0; the ratio is neither clipped nor normalised.

    Args:
        policies: Log-probabilities; those before and of the reference are constants.
        advantages: Â.
        turns: The turns.
        eta: η, units of 1/score.
        exploration: γ.

    Returns:
        One term for each decision, units of score; those where nothing is decided are to be masked.

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.finetuning import mirror_terms
        >>> from hqre_jax.bridge.finetuning._turns import LogPolicies, Turns
        >>> none, each = jnp.zeros((2, 1), int), jnp.ones(2)  # two turns of one token; the second took the other one
        >>> turn = {"actions": jnp.array([[0], [1]]), "mask": none == 0, "kinds": none, "tau": jnp.full((2, 1), 0.5)}
        >>> turn |= {"states": none, "group": none[:, 0], "score": each, "price": each}  # at one and the same state
        >>> turns, advantages, eta = Turns(**turn, weight=each), jnp.array([[1.0], [-1.0]]), jnp.array(1.0)
        >>> even = jnp.log(jnp.full((1, 1, 2), 0.5))
        >>> still = LogPolicies(even, before=even, reference=even)
        >>> print(mirror_terms(still, advantages, turns, eta)[:, 0])  # who stays pays no divergence
        [ 1. -1.]
        >>> moved = LogPolicies(jnp.log(jnp.array([[[0.8, 0.2]]])), before=even, reference=even)
        >>> print(mirror_terms(moved, advantages, turns, eta)[:, 0].round(3))
        [ 1.311 -0.689]
    """
    ratio = jnp.exp(chosen(policies.now, turns) - _log_drawn(policies, turns, exploration))
    moved, held = (at_states(divergence(policies.now, q), turns) for q in (policies.before, policies.reference))
    return ratio * advantages - moved / eta - turns.tau * held


def _log_drawn(policies: LogPolicies, turns: Turns, exploration: float) -> Float[Array, "turn step"]:
    """``log(π_k + γ)`` of the token that was taken: exactly its log-probability where γ = 0."""
    return jnp.logaddexp(chosen(policies.before, turns), jnp.log(exploration))


def exact_step(
    before: Float[Array, "*b token"],
    reference: Float[Array, "*b token"],
    values: Float[Array, "*b token"],
    tau: Float[Array, "*b"],
    eta: Float[Array, ""],
) -> Float[Array, "*b token"]:
    """Log of ``π* ∝ (π_k^{1/η} ρ^τ e^Q)^{1/(1/η + τ)}``, state by state.

    Args:
        before: log π_k.
        reference: log ρ, or 0 for Shannon entropy.
        values: Q of every token, up to a constant per state, units of score.
        tau: τ of every state, units of score.
        eta: η, units of 1/score.

    Returns:
        log π*, normalised.

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.finetuning import exact_step
        >>> before, values = jnp.log(jnp.array([0.5, 0.5])), jnp.array([1.0, 0.0])
        >>> step = exact_step(before, before, values, tau=jnp.array(1.0), eta=jnp.array(1.0))
        >>> print(jnp.exp(step).round(3))
        [0.622 0.378]
    """
    weight = 1 / (1 + eta * tau)[..., None]
    return jax.nn.log_softmax(weight * (before + eta * values) + (1 - weight) * reference, axis=-1)


def sampled_values(
    advantages: Float[Array, "turn step"], policies: LogPolicies, turns: Turns, exploration: float = 0.0
) -> Float[Array, "row state token"]:
    """Q of every token at every state, as the plays show it: ``Σ 1[a = taken] Â / (π_k(a) + γ)`` over visits.

    Unbiased given the state where γ = 0, else at most the largest advantage over γ; zero for tokens that nobody took.
    The objective of the plays is exactly the expected objective with these values, so `exact_step` of them is what its
    maximiser would be, were every state free.

    Args:
        advantages: Â.
        policies: Log-probabilities.
        turns: The turns.
        exploration: γ.
    """
    rows, num_states, vocabulary = policies.before.shape
    weight = jnp.where(turns.mask, turns.weight[:, None], 0.0)
    added = weight * advantages * jnp.exp(-_log_drawn(policies, turns, exploration))

    def of_row(states: Array, actions: Array, weight: Array, added: Array) -> Array:
        visits = jnp.zeros(num_states, weight.dtype).at[states].add(weight)
        sums = jnp.zeros((num_states, vocabulary), added.dtype).at[states, actions].add(added)
        return sums / jnp.where(visits > 0, visits, 1.0)[:, None]

    return jax.vmap(of_row)(*(by_row(x, rows) for x in (turns.states, turns.actions, weight, added)))


def mirror_distance(
    policies: LogPolicies,
    advantages: Float[Array, "turn step"],
    turns: Turns,
    eta: Float[Array, ""],
    exploration: float = 0.0,
) -> tuple[Float[Array, "turn step"], Float[Array, "turn step"]]:
    """``KL(π_φ ‖ π*)`` at every decision, and the same of π_k: how far the step was, and how much of it is left.

    Args:
        policies: Log-probabilities.
        advantages: Â.
        turns: The turns.
        eta: η, units of 1/score.
        exploration: γ.

    Returns:
        Distances of π_φ and of π_k, nats.

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.finetuning import exact_step, mirror_distance
        >>> from hqre_jax.bridge.finetuning._turns import LogPolicies, Turns
        >>> none, each = jnp.zeros((2, 1), int), jnp.ones(2)  # two turns of one token; the second took the other one
        >>> turn = {"actions": jnp.array([[0], [1]]), "mask": none == 0, "kinds": none, "tau": jnp.full((2, 1), 0.5)}
        >>> turn |= {"states": none, "group": none[:, 0], "score": each, "price": each}  # at one and the same state
        >>> turns, advantages, eta = Turns(**turn, weight=each), jnp.array([[1.0], [-1.0]]), jnp.array(1.0)
        >>> even = jnp.log(jnp.full((1, 1, 2), 0.5))
        >>> exact = exact_step(even, even, jnp.array([[[1.0, -1.0]]]), jnp.array([[0.5]]), eta)
        >>> left, whole = mirror_distance(LogPolicies(exact, before=even, reference=even), advantages, turns, eta)
        >>> print(whole[:, 0].round(3), bool((left < 1e-6).all()))  # the exact step leaves nothing of the distance
        [0.207 0.207] True
    """
    values = sampled_values(advantages, policies, turns, exploration)
    rows, num_states = values.shape[:2]
    # Decisions at one state have one temperature.
    tau = jax.vmap(lambda states, tau: jnp.zeros(num_states, tau.dtype).at[states].max(tau))(
        by_row(turns.states, rows), by_row(jnp.where(turns.mask, turns.tau, 0.0), rows)
    )
    exact = exact_step(policies.before, policies.reference, values, tau, eta)
    left, whole = (at_states(divergence(policy, exact), turns) for policy in (policies.now, policies.before))
    return left, whole
