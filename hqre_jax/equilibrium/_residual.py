"""What an equilibrium is and how far a policy is from one: functions of a problem and a policy."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from hqre_jax.core._namespace import namespace, placed, repeat_while
from hqre_jax.core._programs import in_numpy
from hqre_jax.core._simplex import kl, log_sum_exp, probabilities, safe_log
from hqre_jax.core._temperatures import as_array
from hqre_jax.core._types import ActionValues, InputError, LogPolicy, PerPlayer, Policy, Scalar, StateValues
from hqre_jax.games._game import AbstractGame, Continuation, Evaluation
from hqre_jax.problem import Entropy, Problem, early_or_compiled, full_policy, posed

# Howard's policy iteration ends after few rounds; this bound only stops a cycle among ties.
_MAX_IMPROVEMENTS = 200


def residual_between(log_policy: LogPolicy, response: LogPolicy, problem: Problem) -> Scalar:
    """``max_{i,x,a} |π_i(a|x) − softmax(response)_i(a|x)|``: the one number that decides success.

    Args:
        log_policy: ``log π``.
        response: ``Q^π/τ + log ρ``.
        problem: For the mask of valid actions.

    Returns:
        The undamped residual, a pure number in [0, 1].
    """
    gap = probabilities(log_policy, problem.mask) - problem.policy(response)
    xp = namespace(gap)
    return xp.max(xp.abs(gap))


@early_or_compiled
def _residual(problem: Problem, log_policy: LogPolicy) -> Scalar:
    return residual_between(log_policy, problem.response_logits(log_policy), problem)


@early_or_compiled
def _response(problem: Problem, log_policy: LogPolicy) -> Policy:
    return problem.policy(problem.response_logits(log_policy))


def problem_gap(problem: Problem, log_policy: LogPolicy) -> PerPlayer:
    """`regularized_gap` of a problem and a log-policy."""
    return _gap(problem.centered(), log_policy)


@early_or_compiled
def _gap(problem: Problem, log_policy: LogPolicy) -> PerPlayer:
    evaluation = problem.evaluate(log_policy)
    best = problem.log_policy(problem.response_to(evaluation.action_values))
    return namespace(problem.tau).sum(evaluation.reach * problem.tau * kl(log_policy, best, problem.mask), axis=-1)


def logit_response(
    game: AbstractGame | Problem,
    policy: Any,
    tau: Any = None,
    *,
    reference: Any = None,
    entropy: Entropy | None = None,
    continuation: Continuation | None = None,
) -> Policy:
    """Logit (quantal) response ``ρ_i(a|x) exp(Q_i^π(x,a)/τ_i(x)) / Z`` of every player to a policy.

    Args:
        game: The game, or a `Problem` in place of it and of all that is said about temperatures and entropy.
        policy: π, ``(player, information state, action)``.
        tau: Temperatures as in `solve`, in units of payoff.
        reference: ρ, uniform by default.
        entropy: "kl" by default, or "shannon".
        continuation: "soft" by default, "plain" or "zero_sum".

    Returns:
        The response, ``(player, information state, action)``; an HQRE is its fixed point.

    Raises:
        InputError: On bad input.

    Source: McKelvey & Palfrey (1995, 1998); theory.md §2.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> uniform = [[[0.5, 0.5]], [[0.5, 0.5]]]
        >>> print(hq.logit_response(game, uniform, 8.0)[:, 0].round(3))
        [[0.469 0.531]
         [0.469 0.531]]
    """
    problem, log_policy = _posed(game, policy, tau, reference, entropy, continuation)
    return _response(problem.centered(), log_policy)


def residual(
    game: AbstractGame | Problem,
    policy: Any,
    tau: Any = None,
    *,
    reference: Any = None,
    entropy: Entropy | None = None,
    continuation: Continuation | None = None,
) -> Scalar:
    """Distance of a policy from its own logit response, ``max |π_i(a|x) − softmax(Q_i^π/τ_i + log ρ)(a)|``.

    Args:
        game: The game, or a `Problem` in place of it and of all that is said about temperatures and entropy.
        policy: π, ``(player, information state, action)``.
        tau: Temperatures as in `solve`, in units of payoff.
        reference: ρ, uniform by default.
        entropy: "kl" by default, or "shannon".
        continuation: "soft" by default, "plain" or "zero_sum".

    Returns:
        The residual, a pure number in [0, 1]; 0 exactly at an HQRE.

    Raises:
        InputError: On bad input.

    Source: theory.md §2.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> uniform = [[[0.5, 0.5]], [[0.5, 0.5]]]
        >>> print(hq.residual(game, uniform, 8.0).round(3))
        0.031
        >>> bool(hq.residual(game, hq.solve(game, 8.0).policy, 8.0) < 1e-6)
        True
    """
    problem, log_policy = _posed(game, policy, tau, reference, entropy, continuation)
    return _residual(problem.centered(), log_policy)


def regularized_gap(
    game: AbstractGame | Problem,
    policy: Any,
    tau: Any = None,
    *,
    reference: Any = None,
    entropy: Entropy | None = None,
    continuation: Continuation | None = None,
) -> PerPlayer:
    """What one regularised best reply would gain, ``g_i = Σ_x P_i(x) τ_i(x) KL(π_i(x) ‖ BR_i(x))``.

    For γ = 0 this is exactly player i's regularised Bayesian gap (T3); for γ > 0 or trees it is the sum of the
    one-step gaps, weighted with the (normalised) occupancy of information states.

    Args:
        game: The game, or a `Problem` in place of it and of all that is said about temperatures and entropy.
        policy: π, ``(player, information state, action)``.
        tau: Temperatures as in `solve`, in units of payoff.
        reference: ρ, uniform by default.
        entropy: "kl" by default, or "shannon".
        continuation: "soft" by default, "plain" or "zero_sum".

    Returns:
        Gap of each player, in units of payoff, ≥ 0 and 0 exactly at an HQRE.

    Raises:
        InputError: On bad input.

    Source: theory.md, T3.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> uniform = [[[0.5, 0.5]], [[0.5, 0.5]]]
        >>> print(hq.regularized_gap(game, uniform, 8.0).round(3))
        [0.016 0.016]
    """
    problem, log_policy = _posed(game, policy, tau, reference, entropy, continuation)
    return problem_gap(problem, log_policy)


def bayesian_regret(
    game: AbstractGame | Problem,
    policies: Sequence[Any],
    tau: Any = None,
    *,
    reference: Any = None,
    entropy: Entropy | None = None,
    continuation: Continuation | None = None,
) -> PerPlayer:
    """Regularised Bayesian regret of a run of policies, ``Σ_k g_i^k``.

    Args:
        game: The game, or a `Problem` in place of it and of all that is said about temperatures and entropy.
        policies: π^0, π^1, …, each ``(player, information state, action)``.
        tau: Temperatures as in `solve`, in units of payoff.
        reference: ρ, uniform by default.
        entropy: "kl" by default, or "shannon".
        continuation: "soft" by default, "plain" or "zero_sum".

    Returns:
        Regret of each player, in units of payoff; bounded in the number of rounds under T2 (T3).

    Raises:
        InputError: On bad input.

    Source: theory.md, T3.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> uniform, hares = [[[0.5, 0.5]], [[0.5, 0.5]]], [[[0.1, 0.9]], [[0.1, 0.9]]]
        >>> print(hq.equilibrium.bayesian_regret(game, [uniform, hares], 8.0).round(3))
        [1.779 1.779]
    """
    problem = posed(game, tau, reference=reference, entropy=entropy, continuation=continuation)
    total = jnp.zeros(problem.mask.shape[0], problem.tau.dtype)
    for policy in policies:
        total = total + problem_gap(problem, _log_policy(problem, policy, "policies"))
    return total


def exploitability(
    game: AbstractGame | Problem,
    policy: Any,
    tau: Any = None,
    *,
    reference: Any = None,
    entropy: Entropy | None = None,
    continuation: Continuation | None = None,
) -> PerPlayer:
    """What each player would gain from its exact best response, the others held fixed.

    The best response is found by policy iteration: evaluate the player's policy exactly, improve it at every
    information state at once, until nothing improves. Where beliefs do not depend on the player's own policy
    (all games but the general incomplete-information Markov game, trees by perfect recall) this ends at the
    true optimum of the player's decision process.

    Args:
        game: The game, or a `Problem` in place of it and of all that is said about temperatures and entropy.
        policy: π, ``(player, information state, action)``.
        tau: None for the hard best response of a game, in payoffs alone; temperatures, or a problem that has them,
            for the soft best response in regularised returns ("plain" continuation leaves nothing to plan for
            beyond payoffs, so it is refused where play goes on).
        reference: ρ, uniform by default.
        entropy: "kl" by default, or "shannon".
        continuation: "soft" by default, "plain" or "zero_sum".

    Returns:
        Gain of each player under the initial distribution, in units of payoff.

    Raises:
        InputError: On bad input, or where beliefs depend on the player's own policy.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> uniform = [[[0.5, 0.5]], [[0.5, 0.5]]]
        >>> print(hq.exploitability(game, uniform, 8.0).round(3))
        [0.016 0.016]
    """
    hard = tau is None and not isinstance(game, Problem)
    if hard and not isinstance(game, Problem):
        # A hard best response uses no temperature; the payoff range stands in for one.
        plain = in_numpy(game) if game.speaks_numpy else None
        width = (game if plain is None else plain).payoff_range()
        tau = namespace(width).maximum(width, 1.0)
    problem, log_policy = _posed(game, policy, tau, reference, entropy, continuation)
    if not problem.game.beliefs_ignore_own_policy:
        raise InputError("game", "has beliefs that depend on one's own policy: a best response is no decision process")
    if not hard and problem.continuation == "plain" and problem.game.plays_on:
        raise InputError("continuation", '"plain" pays no entropy in continuation values; use "soft", or tau=None')
    return _exploitability(problem, log_policy, hard=hard)


@early_or_compiled
def _exploitability(problem: Problem, log_policy: LogPolicy, hard: bool) -> PerPlayer:
    mask, xp = problem.mask, namespace(problem.tau)

    def evaluate(candidate: LogPolicy) -> Evaluation:
        bonus = xp.zeros_like(problem.tau) if hard else problem.bonus(candidate)
        return problem.game.evaluate(candidate, bonus, problem.continuation)

    def improve(worth: ActionValues) -> LogPolicy:
        if hard:
            best = xp.argmax(xp.where(mask, worth, -xp.inf), axis=-1)
            chosen = xp.arange(mask.shape[-1])[None, None, :] == best[..., None]
            return xp.where(mask & ~chosen, -xp.inf, 0.0).astype(worth.dtype)
        return problem.log_policy(problem.response_to(worth))

    def best_value(i: int) -> Scalar:
        def body(carry):
            candidate, evaluation, _, count = carry
            candidate = placed(xp, candidate, i, improve(evaluation.action_values)[i])
            improved = evaluate(candidate)
            gained = xp.max(improved.values[i] - evaluation.values[i])
            rounding = 16 * jnp.finfo(gained.dtype).eps * xp.max(xp.abs(improved.values[i]))
            return candidate, improved, gained > rounding, count + 1

        start = (log_policy, evaluate(log_policy), xp.asarray(True), 0)
        _, evaluation, _, _ = repeat_while(xp, lambda c: c[2] & (c[3] < _MAX_IMPROVEMENTS), body, start)
        return evaluation.initial_values[i]

    best = xp.stack([best_value(i) for i in range(mask.shape[0])])
    return xp.maximum(best - evaluate(log_policy).initial_values, 0.0)


def soft_values(action_values, problem: Problem) -> StateValues:
    """``τ log Σ_a ρ(a) exp(Q(a)/τ)`` plus the entropy offset: the regularised value of responding optimally.

    Args:
        action_values: ``Q_i(x, a)``.
        problem: For temperatures, reference and entropy offset.

    Returns:
        ``(player, information state)``, in units of payoff.
    """
    return (
        problem.tau * log_sum_exp(problem.response_to(action_values), problem.mask)
        + problem.scale * problem.entropy_offset
    )


def _posed(game, policy, tau, reference, entropy, continuation) -> tuple[Problem, LogPolicy]:
    problem = posed(game, tau, reference=reference, entropy=entropy, continuation=continuation)
    return problem, _log_policy(problem, policy, "policy")


def _log_policy(problem: Problem, policy: Any, field: str) -> LogPolicy:
    full = full_policy(policy, problem.mask, problem.game.dtype, field)
    plain = in_numpy((full, problem.mask))
    return safe_log(full, problem.mask) if plain is None else as_array(safe_log(*plain))
