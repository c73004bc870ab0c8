"""Action values from logged play: Monte Carlo, importance weights, doubly robust, temporal differences.

A visit of player i to x at time t, where it took a, has a return ``G = r_t + γ (paid + r)_{t+1} + …``, of which
``Q_i(x, a)`` is the expectation, if everybody follows π after t, the others already at t, and the world is drawn
from ``b_i(·|x)``. Play under other policies μ is weighted with ratios ``π_j(a_j|x_j)/μ_j(a_j|x_j)``, decision by
decision: rewards at time s with those of times t < u ≤ s, and the visit as a whole with those of the moves that
lead to it and on which the belief depends: of none where beliefs are independent of policies, of the others' where
i's own are (perfect recall), else of all.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hqre_jax.core._programs import compiled
from hqre_jax.core._simplex import safe_log
from hqre_jax.core._temperatures import as_float_array, concrete
from hqre_jax.core._types import ActionValues, InputError, LogPolicy, checked_choice, checked_count, checked_kind
from hqre_jax.problem import Problem, full_policy
from hqre_jax.sampled._episodes import Episodes
from hqre_jax.sampled._estimate import Estimate, Moments, dominated, estimate
from hqre_jax.sampled._game import sampled_game
from hqre_jax.sampled._probes import paid_at
from hqre_jax.sampled._support import leads_to, unsupported, usable

Method = Literal["importance", "doubly_robust", "temporal_difference"]


def action_values_from_log(
    problem: Problem,
    episodes: Episodes,
    policy: Any,
    *,
    method: Method = "doubly_robust",
    baseline: ActionValues | None = None,
) -> Estimate:
    """Estimate ``Q_i^π(x, a)`` at every cell from logged play under any policies that may do what π does.

    Args:
        problem: Temperatures, reference and continuation, posed of a `SampledGame`.
        episodes: The play; every action's propensity is known. Played under π itself all weights are 1 and
            ``"importance"`` is plain on-policy Monte Carlo.
        policy: π, ``(player, information state, action)``.
        method: ``"importance"``: weighted returns. ``"doubly_robust"``: the same for what a baseline does not explain;
            unbiased returns whatever the baseline, of less variance if it is good. ``"temporal_difference"``: the
            expected-SARSA fixed point of the log, ``Q(x,a) = mean[R + γ^Δ (Σ_b π(b|x')Q(x',b) + paid(x'))]`` to the
            player's own next move x'; it needs moves of others on the way to be weighted too, and beliefs that do
            not depend on one's own policy.
        baseline: Action values that the doubly robust method starts from; by default those of ``"temporal_difference"``
            where these exist, else 0. To be exactly unbiased it must come from other play.

    Returns:
        The `Estimate`, with standard errors over plays; failed plays are counted and left out. The error is infinite
        where the value rests on actions of the policy that the log cannot show, here or later in the play.

    Raises:
        InputError: If the game is not sampled, the method unknown, or temporal differences do not apply; if an
            entry of a play that did not fail is no number, is not of this game, or makes its weight overflow.

    Source: Precup, Sutton & Singh (2000); Jiang & Li (2016); van Seijen et al. (2009).

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> game = hq.SampledGame.from_game(hq.load_game("stag_hunt"))
        >>> plays, paid = [[0, 0], [0, 1], [1, 0], [1, 1]] * 2, [[10.0, 10.0], [1.0, 8.0], [8.0, 1.0], [5.0, 5.0]] * 2
        >>> log = hq.RolloutLog.from_plays(plays, paid, log_propensities=np.log(0.5), num_actions=[[2], [2]])
        >>> problem, logged = hq.Problem(game, 8.0), hq.sampled.Episodes.from_log(log, game)
        >>> hares = [[[0.1, 0.9]], [[0.1, 0.9]]]
        >>> found = hq.sampled.action_values_from_log(problem, logged, hares, method="importance")
        >>> print(found.action_values[0].round(2))
        [[1.9 5.3]]
    """
    game = sampled_game(checked_kind(problem, Problem, "problem", "SampledGames are posed by Problem(game, tau)").game)
    if game is None:
        raise InputError("problem", "is not of a sampled game: an exact game needs no estimates")
    checked_choice(method, ("importance", "doubly_robust", "temporal_difference"), "method")
    log_policy = safe_log(full_policy(policy, problem.mask, game.dtype, "policy"), problem.mask)
    episodes = usable(episodes, problem.mask, log_policy)
    bootstraps = game.beliefs_ignore_own_policy
    if method == "temporal_difference":
        if not bootstraps:
            raise InputError("method", "temporal_difference needs beliefs that do not depend on one's own policy")
        return _temporal_difference(problem, episodes, log_policy)
    if method == "importance":
        return _weighted(problem, episodes, log_policy, jnp.zeros(problem.mask.shape, game.dtype))
    if baseline is None:
        none = jnp.zeros(problem.mask.shape, game.dtype)
        baseline = _temporal_difference(problem, episodes, log_policy).action_values if bootstraps else none
    baseline = as_float_array(baseline, "baseline", game.dtype)
    if baseline.shape != problem.mask.shape or (concrete(baseline) and not bool(jnp.isfinite(baseline).all())):
        raise InputError("baseline", f"must be finite numbers of shape {problem.mask.shape}; its is {baseline.shape}")
    return _weighted(problem, episodes, log_policy, jnp.where(problem.mask, baseline, 0.0))


def estimate_action_values(problem: Problem, policy: Any, num_episodes: int, key: Any) -> Estimate:
    """Estimate ``Q_i^π(x, a)`` at every cell by fresh plays that deviate from π once.

    Every play is spent on one cell and says what follows there under π alone: no importance weights, independent
    observations. Where play can begin anywhere (no policy moves beliefs) all cells are visited equally often.

    Args:
        problem: Temperatures, reference and continuation, posed of a `SampledGame`.
        policy: π, ``(player, information state, action)``.
        num_episodes: Number of plays.
        key: Typed key.

    Returns:
        The `Estimate`.

    Raises:
        InputError: If the game is not sampled, or the policy is none.

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> problem = hq.Problem(hq.SampledGame.from_game(hq.load_game("stag_hunt")), 8.0)
        >>> uniform = [[[0.5, 0.5]], [[0.5, 0.5]]]
        >>> found = hq.sampled.estimate_action_values(problem, uniform, 400, jax.random.key(0))
        >>> print(found.action_values[0].round(1), found.standard_errors[0].round(1))
        [[5.1 6.4]] [[0.5 0.2]]
    """
    game = sampled_game(checked_kind(problem, Problem, "problem", "SampledGames are posed by Problem(game, tau)").game)
    if game is None:
        raise InputError("problem", "is not of a sampled game: an exact game needs no estimates")
    log_policy = safe_log(full_policy(policy, problem.mask, game.dtype, "policy"), problem.mask)
    num_episodes = checked_count(num_episodes, "num_episodes")
    return _probed(problem, log_policy, num_episodes, key)


@compiled
def _probed(problem: Problem, log_policy: LogPolicy, num_episodes: int, key: Any) -> Estimate:
    game = sampled_game(problem.game)
    assert game is not None
    return estimate(game.probe(key, log_policy, problem.bonus(log_policy), problem.continuation, num_episodes))


class _Visits(NamedTuple):
    """What everybody's moves were worth; axes (step, player) of one play.

    Attributes:
        weight: Of the visit as a whole.
        total: Estimate of its return.
        cut: ``γ^r`` where play was cut off r steps later, else 0.
    """

    weight: Float[Array, "step player"]
    total: Float[Array, "step player"]
    cut: Float[Array, "step player"]


def _ratios(episodes: Episodes, log_policy: LogPolicy) -> Float[Array, "... player"]:
    """``π_j/μ_j`` of every move; 1 where nobody moves."""
    players = jnp.broadcast_to(jnp.arange(log_policy.shape[0]), episodes.states.shape)
    chosen = log_policy[players, jnp.maximum(episodes.states, 0), episodes.actions]
    return jnp.where(episodes.states >= 0, jnp.exp(chosen - episodes.log_propensities), 1.0)


def _of_others(ratio: Float[Array, "step player"]) -> Float[Array, "step player"]:
    """Product of everybody else's ratios."""
    own = jnp.eye(ratio.shape[-1], dtype=bool)
    return jnp.prod(jnp.where(own[None], 1.0, ratio[:, None, :]), axis=-1)


def _before(ratio: Float[Array, "step player"]) -> Float[Array, "step player"]:
    """Product over all steps before."""
    return jnp.concatenate([jnp.ones_like(ratio[:1]), jnp.cumprod(ratio, axis=0)[:-1]])


def _visits(problem: Problem, play: Episodes, log_policy: LogPolicy, baseline: ActionValues) -> _Visits:
    """All visits of one play, by one pass forwards for weights and one backwards for returns.

    Backwards ``V_s = V̄(x_s) + paid_s + ρ_s (r_s + γ V_{s+1} − Q̄(x_s, a_s))`` with ρ_s the product of all ratios at s,
    and the baseline's part only where the player moves. A return is ``Q̄ + ρ_{−i} (r + γV − Q̄)``.
    """
    game, players = sampled_game(problem.game), jnp.broadcast_to(jnp.arange(log_policy.shape[0]), play.states.shape)
    assert game is not None
    ratio = _ratios(play, log_policy)
    paid = paid_at(problem.bonus(log_policy), play.states, problem.continuation)
    rows, moves = jnp.maximum(play.states, 0), play.states >= 0
    policy = jnp.where(problem.mask, jnp.exp(log_policy), 0.0)
    expected = jnp.where(moves, jnp.sum(policy * baseline, axis=-1)[players, rows], 0.0)
    guessed = jnp.where(moves, baseline[players, rows, play.actions], 0.0)
    joint, others = jnp.prod(ratio, axis=-1, keepdims=True), _of_others(ratio)

    def backwards(carry, now):
        value, cut = carry
        joint, others, reward, paid, expected, guessed = now
        surprise = reward + game.discount * value - guessed
        cut = game.discount * cut
        return (expected + paid + joint * surprise, cut), (guessed + others * surprise, cut)

    none = jnp.zeros(log_policy.shape[0], game.dtype)
    last = jnp.where(play.ended, none, none + 1.0)
    parts = jnp.broadcast_to(joint, ratio.shape), others, play.rewards, paid, expected, guessed
    _, (total, cut) = jax.lax.scan(backwards, (none, last), parts, reverse=True)
    if game.policy_independent_beliefs:
        weight = jnp.ones_like(ratio)
    else:
        led = others if game.beliefs_ignore_own_policy else jnp.broadcast_to(joint, ratio.shape)
        weight = _before(led)
    # By discounted occupancy, as beliefs are; where they are fixed, because late returns are cut short.
    weight = weight * game.discount ** jnp.arange(len(weight))[:, None]
    return _Visits(jnp.where(moves & ~play.failed, weight, 0.0), total, cut)


@compiled
def _weighted(problem: Problem, episodes: Episodes, log_policy: LogPolicy, baseline: ActionValues) -> Estimate:
    mask, players = problem.mask, jnp.arange(log_policy.shape[0])

    def of_play(moments: Moments, play: Episodes) -> tuple[Moments, None]:
        visits = _visits(problem, play, log_policy, baseline)
        cell = jnp.broadcast_to(players, play.states.shape), jnp.maximum(play.states, 0), play.actions

        def summed(values: Float[Array, "step player"]) -> ActionValues:
            return jnp.zeros(mask.shape, values.dtype).at[cell].add(values)

        weight, cut = summed(visits.weight), summed(visits.weight * visits.cut)
        # Less what is known: sums of squares then lose no digits.
        total = summed(visits.weight * (visits.total - baseline[cell]))
        one = Moments(
            weight=weight,
            total=total,
            weight_squared=weight**2,
            cross=weight * total,
            total_squared=total**2,
            visits=(weight > 0).astype(int),
            cut=cut,
            paid=jnp.zeros_like(weight),
            episodes=(~play.failed).astype(int),
            failed=play.failed.astype(int),
        )
        return moments.plus(one), None

    moments, _ = jax.lax.scan(of_play, Moments.zero(mask, log_policy.dtype), episodes)
    found = estimate(moments, baseline)
    return found._replace(
        standard_errors=jnp.where(_blind(problem, episodes, log_policy), jnp.inf, found.standard_errors)
    )


def _blind(problem: Problem, episodes: Episodes, log_policy: LogPolicy) -> Bool[Array, "player state action"]:
    """Cells whose values rest on actions that the log cannot show."""
    game = sampled_game(problem.game)
    assert game is not None
    led = not game.policy_independent_beliefs
    policy = jnp.where(problem.mask, jnp.exp(log_policy), 0.0)
    return unsupported(episodes, policy, led_by_others=led, led_by_own=led and not game.beliefs_ignore_own_policy)


class _Transitions(NamedTuple):
    """Means over a log, flattened to cells c = (x, a) and information states of all players.

    Attributes:
        weight: Total weight of each cell.
        reward: Weighted sum of what was paid until the player's own next move.
        following: Weighted sum of ``γ^Δ`` by cell and next information state.
    """

    weight: Float[Array, " cell"]
    reward: Float[Array, " cell"]
    following: Float[Array, "cell state"]


@compiled
def _temporal_difference(problem: Problem, episodes: Episodes, log_policy: LogPolicy) -> Estimate:
    """The fixed point ``Q = R + M V(Q)`` of the means of the log, and its errors by the delta method.

    ``Q̂ − Q ≈ (I − MΠ)^{-1} ε`` with ε the mean temporal difference of each cell, summed play by play.
    """
    mask = problem.mask
    cells, states = mask.size, mask.shape[0] * mask.shape[1]
    policy = jnp.where(mask, jnp.exp(log_policy), 0.0).reshape(states, -1)

    def add(sums: _Transitions, play: Episodes) -> tuple[_Transitions, None]:
        one = _transitions(problem, play, log_policy, cells, states)
        return _Transitions(*(a + b for a, b in zip(sums, one, strict=True))), None

    dtype = log_policy.dtype
    blank = _Transitions(jnp.zeros(cells, dtype), jnp.zeros(cells, dtype), jnp.zeros((cells, states), dtype))
    sums, _ = jax.lax.scan(add, blank, episodes)
    seen = sums.weight > 0
    weight = jnp.where(seen, sums.weight, 1.0)
    # What is paid at the next move is among the rewards already.
    moves = (sums.following / weight[:, None])[:, :, None] * policy[None]
    matrix = jnp.eye(cells, dtype=dtype) - moves.reshape(cells, cells)
    values = jnp.linalg.solve(matrix, sums.reward / weight)
    by_state = jnp.sum(policy * values.reshape(states, -1), axis=-1)
    ahead = jnp.linalg.inv(matrix)

    def spread(carry, play: Episodes):
        variance, visits, squares = carry
        one = _transitions(problem, play, log_policy, cells, states)
        surprise = (one.reward + one.following @ by_state - one.weight * values) / weight
        return (variance + (ahead @ surprise) ** 2, visits + (one.weight > 0), squares + one.weight**2), None

    start = jnp.zeros(cells, dtype), jnp.zeros(cells, int), jnp.zeros(cells, dtype)
    (variance, visits, squares), _ = jax.lax.scan(spread, start, episodes)
    shaped = mask.shape
    # What is unknown of an action is unknown wherever play may come to it.
    few = (visits < 2) | dominated(weight, squares)
    poor = problem.mask.ravel() & (few | _blind(problem, episodes, log_policy).ravel())
    error = jnp.where(leads_to(poor, sums.following, policy) | few, jnp.inf, jnp.sqrt(variance))
    failed = jnp.sum(episodes.failed)
    return Estimate(
        action_values=jnp.where(seen, values, 0.0).reshape(shaped),
        standard_errors=error.reshape(shaped),
        counts=visits.reshape(shaped),
        effective_sample_size=jnp.where(seen, weight**2 / jnp.where(seen, squares, 1.0), 0.0).reshape(shaped),
        truncation=jnp.zeros(shaped, dtype),
        num_episodes=len(episodes.failed) - failed,
        num_failed=failed,
    )


def _transitions(problem: Problem, play: Episodes, log_policy: LogPolicy, cells: int, states: int) -> _Transitions:
    """One play's part in the means: from every move to the same player's next one.

    A play that was cut off has no next move at its end: its last moves are left out.
    """
    game, players = sampled_game(problem.game), jnp.arange(log_policy.shape[0])
    assert game is not None
    ratio = _ratios(play, log_policy)
    paid = paid_at(problem.bonus(log_policy), play.states, problem.continuation)
    others, moves, width = _of_others(ratio), play.states >= 0, log_policy.shape[1]
    before = jnp.ones_like(others) if game.policy_independent_beliefs else _before(others)

    def backwards(carry, now):
        # Of the segment that ends at the player's next move: rewards, remaining factor, and where it leads.
        reward, factor, target, known = carry
        others, gain, paid, moves, state = now
        reward = others * (gain + game.discount * reward)
        factor = others * game.discount * factor
        out = reward, factor, target, known & moves
        # Seen from before, a move is where the segment ends; bonuses on the way, its own included, are paid.
        reward = jnp.where(moves, paid, reward + paid)
        factor = jnp.where(moves, 1.0, factor)
        return (reward, factor, jnp.where(moves, state, target), known | moves), out

    number = jnp.where(moves, players[None] * width + jnp.maximum(play.states, 0), 0)
    none = jnp.zeros(len(players), ratio.dtype)
    start = none, none, jnp.zeros(len(players), int), jnp.broadcast_to(play.ended, players.shape)
    parts = others, play.rewards, paid, moves, number
    _, (reward, factor, target, known) = jax.lax.scan(backwards, start, parts, reverse=True)
    weight = jnp.where(moves & known & ~play.failed, before, 0.0)
    cell = number * log_policy.shape[-1] + play.actions

    def at_cells(values: Float[Array, "step player"]) -> Float[Array, " cell"]:
        return jnp.zeros(cells, values.dtype).at[cell].add(values)

    following = jnp.zeros((cells, states), ratio.dtype).at[cell, target].add(weight * factor)
    return _Transitions(at_cells(weight), at_cells(weight * reward), following)
