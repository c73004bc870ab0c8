"""Empirical games: moments of logs, what is refused, regions that cover, plans that are optimal."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import hqre_jax as hq
from benchmarks import rollouts, small_samples
from hqre_jax.empirical._allocation import least_plays
from hqre_jax.empirical._influence import log_policy_gradient
from hqre_jax.empirical._quantiles import fisher_quantile

PAYOFFS = np.random.RandomState(1000).rand(6, 2, 3, 3)
TAU = 0.3


def noisy_log(payoffs, plays, seed=0, **arguments):
    """``plays`` plays of every profile of a normal form, normal noise of 0.5."""
    rng = np.random.default_rng(seed)
    profiles = list(itertools.product(*map(range, payoffs.shape[1:])))
    actions = np.repeat(np.array(profiles), plays, axis=0)
    paid = payoffs[(slice(None), *actions.T)].T + 0.5 * rng.standard_normal(actions.shape)
    num_actions = [[count] for count in payoffs.shape[1:]]
    return hq.RolloutLog.from_plays(actions, paid, num_actions=num_actions, **arguments)


def solved(empirical):
    return hq.solve(empirical.game, TAU, solver="principal_branch")


def test_moments_are_the_sample_moments():
    log = noisy_log(PAYOFFS[0], 7)
    empirical = hq.EmpiricalGame.from_log(log.filter(np.random.default_rng(1).permutation(len(log)) >= 0))
    assert np.all(np.asarray(empirical.counts) == 7)
    for a, b in itertools.product(range(3), repeat=2):
        episodes = np.intersect1d(
            log.filter(agent=0, action=a).episode,
            log.filter(agent=1, action=b).episode,
        )
        paid = log.filter(episode=episodes).payoff.reshape(7, 2)
        np.testing.assert_allclose(empirical.means[:, a, b], paid.mean(0), atol=1e-14)
        np.testing.assert_allclose(empirical.covariances[:, :, a, b], np.cov(paid.T), atol=1e-13)


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (
            lambda log: log.filter(log.episode >= 4),
            {},
            r"log: shows no play of 1 of 9 profiles \(actions\): \(0, 0\); play",
        ),
        (
            lambda log: log.filter(np.arange(len(log)) > 0),
            {},
            "log: run 0, episode 0 does not hold one row for each of 2",
        ),
        (lambda log: log.filter(agent=5), {}, "log: is empty"),
        (lambda log: log, {"num_actions": [[3], [2]]}, "action: of player 1 in episode 8 is 2, where 2 are"),
        (lambda log: log, {"num_actions": [[3, 2], [3]]}, r"num_actions\[0\]: differs between information states"),
        (lambda log: log, {"prior": [[1.0]]}, "prior: is for games with several information states"),
        (lambda log: log, {"missing": "range"}, "payoff_range: must be two finite numbers"),
        (lambda log: log, {"missing": "smoothing", "payoff_range": (1, 0)}, "payoff_range: is .1, 0.; the least"),
        (
            lambda log: log,
            {"missing": "smoothing", "payoff_range": (-9, 9), "pseudo_plays": 0},
            "pseudo_plays: is 0; it must",
        ),
        (lambda log: log, {"failed": "ignore"}, 'failed: .*pass "drop", or the payoff of a failed play'),
        # Failing is no observation: what it pays can be said, but not by true or false.
        (lambda log: log, {"failed": True}, 'failed: pass "drop", or the payoff of a failed play, a finite number'),
        (lambda log: log, {"payoff_range": (0, 0.5)}, r"log.payoff\[\d+\]: is .*, outside the stated payoff_range"),
        (lambda log: log, {"payoff_range": (-9, 9), "failed": 10.0}, "failed: is 10, outside the stated payoff_range"),
    ],
)
def test_what_is_no_one_shot_log_is_refused(change, arguments, message):
    with pytest.raises(hq.InputError, match=message):
        hq.EmpiricalGame.from_log(change(noisy_log(PAYOFFS[0], 4)), **arguments)


def test_later_steps_and_unknown_sizes_are_refused():
    columns = {"agent": [0, 1, 0, 1], "episode": 0, "action": 0, "payoff": 1.0}
    repeated = hq.RolloutLog(step=[0, 0, 1, 1], **columns)
    with pytest.raises(hq.InputError, match=r"num_actions: is needed"):
        hq.EmpiricalGame.from_log(repeated)
    with pytest.raises(hq.InputError, match=r"step\[2\]: is not 0"):
        hq.EmpiricalGame.from_log(repeated, num_actions=[[1], [1]])


def test_failed_plays_are_counted_apart():
    failed = np.zeros((9 * 4, 1), bool)
    failed[[0, 5]] = True
    log = noisy_log(PAYOFFS[0], 4, failed=failed)
    with pytest.raises(hq.InputError, match="failed: 2 of 36 plays failed"):
        hq.EmpiricalGame.from_log(log)
    dropped, paid = (hq.EmpiricalGame.from_log(log, failed=policy) for policy in ("drop", -1.0))
    for empirical in (dropped, paid):
        assert int(empirical.failures.sum()) == 2
        assert int(empirical.num_plays) == 36
    np.testing.assert_array_equal(np.asarray(dropped.counts)[0], [3, 3, 4])
    np.testing.assert_array_equal(np.asarray(paid.counts)[0], [4, 4, 4])
    np.testing.assert_allclose(paid.means[:, 0, 0], (3 * dropped.means[:, 0, 0] - 1.0) / 4, atol=1e-14)


def test_what_was_not_played_is_never_taken_for_known():
    log = noisy_log(PAYOFFS[0], 40)
    whole = hq.EmpiricalGame.from_log(log)
    holed = log.filter(log.episode >= 40)
    in_range = hq.EmpiricalGame.from_log(holed, missing="range", payoff_range=(-4, 6))
    smoothed = hq.EmpiricalGame.from_log(holed, missing="smoothing", payoff_range=(-4, 6), pseudo_plays=3)
    np.testing.assert_allclose(in_range.means[:, 0, 0], 1.0)
    np.testing.assert_allclose(in_range.unknown[:, 0, 0], 5.0)
    assert float(in_range.unknown.sum()) == 10.0
    np.testing.assert_allclose(smoothed.counts, np.asarray(in_range.counts) + 3)
    np.testing.assert_allclose(smoothed.means[:, 2, 2], (40 * whole.means[:, 2, 2] + 3) / 43, atol=1e-14)
    np.testing.assert_allclose(smoothed.covariances[0, 0, 0, 0], 25.0)  # half the range, squared
    known, *others = (
        float(hq.empirical.confidence_region(e, solved(e)).half_width) for e in (whole, in_range, smoothed)
    )
    assert known < 0.5 * min(others)
    with pytest.raises(hq.InputError, match="never played: play each of them twice before planning"):
        hq.empirical.plan_rollouts(in_range, solved(in_range), 0.05)


@pytest.mark.thorough
def test_influence_is_the_derivative():
    """Against central differences of whole solves."""
    game = hq.NormalFormGame(PAYOFFS[1])
    solution = hq.solve(game, TAU, solver="principal_branch")
    gradient = np.asarray(log_policy_gradient(solution.problem, solution.log_policy, "payoffs"))
    step = 1e-5
    moves = step * np.eye(PAYOFFS[1].size).reshape(-1, *PAYOFFS[1].shape)
    shifted = jnp.asarray(np.concatenate([PAYOFFS[1] + moves, PAYOFFS[1] - moves]))
    solve = jax.jit(jax.vmap(lambda u: hq.solve(hq.NormalFormGame(u), TAU, solver="newton", throw=False).log_policy))
    up, down = np.split(np.asarray(solve(shifted)).reshape(len(shifted), -1), 2)
    # Central differences err by step² (third derivatives here are below 1e3) and by the solves' 1e-10 over step.
    np.testing.assert_allclose(gradient.reshape(6, -1).T, (up - down) / (2 * step), atol=1e-4)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_quantiles_are_those_of_scipy(level):
    d1, d2 = np.array([1.0, 1.0, 4.0, 4.0, 7.0]), np.array([1.0, 30.5, 8.0, 1e5, 300.0])
    np.testing.assert_allclose(
        fisher_quantile(level, jnp.asarray(d1), jnp.asarray(d2)), stats.f.ppf(level, d1, d2), rtol=1e-8
    )
    infinite = fisher_quantile(level, jnp.asarray(3.0), jnp.asarray(np.inf))
    assert float(infinite) == pytest.approx(stats.chi2.ppf(level, 3) / 3, rel=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("noise", list(rollouts.NOISE))
def test_regions_cover_at_their_rate(noise):
    """2 % around the nominal rate, and four standard errors of the simulation."""
    trials = 300
    got = rollouts.coverage(PAYOFFS[3], TAU, noise, plays=100, trials=trials, seed=7)
    for k, level in enumerate(rollouts.LEVELS):
        slack = 0.02 + 4 * np.sqrt(level * (1 - level) / trials)
        assert np.abs(got["intervals"][k] - level).max() < slack
        assert abs(got["joint"][k] - level) < slack


PAIR = np.array([[[3.0, 0.0], [1.0, 2.0]], [[2.0, 1.0], [0.0, 1.5]]])


def pair_region(plays, noise, **arguments):
    """The region of a 2×2 game close to the threshold of uniqueness, noise ``(play, player, *profile)``."""
    profiles = np.array(list(itertools.product(range(2), repeat=2)))
    actions = np.tile(profiles, (plays, 1))
    paid = (PAIR + noise)[np.arange(plays)[:, None], :, profiles[:, 0], profiles[:, 1]].reshape(-1, 2)
    log = hq.RolloutLog.from_plays(actions, paid, num_actions=[[2], [2]])
    empirical = hq.EmpiricalGame.from_log(log, **arguments)
    return hq.empirical.confidence_region(empirical, hq.solve(empirical.game, 1.5, solver="principal_branch"))


def test_a_level_that_is_not_to_be_trusted_says_so():
    rng = np.random.default_rng(0)
    normal = rng.standard_normal((60, 2, 2, 2)) * 0.3
    good = pair_region(60, normal)
    assert bool(good.trusted)
    assert good.reasons == ()
    few = pair_region(5, normal[:5])
    assert any("fewer than" in reason for reason in few.reasons)
    assert "not to be trusted" in repr(few)
    lopsided = pair_region(60, rng.pareto(1.2, normal.shape) - 5.0)
    assert any("lopsided" in reason for reason in lopsided.reasons)
    constant = np.where(np.arange(4).reshape(2, 2) == 1, 0.0, normal)
    silent = pair_region(60, constant)
    assert any("never varied" in reason for reason in silent.reasons)
    # A stated range bounds what was never seen, and the interval is as much longer.
    ranged = pair_region(60, constant, payoff_range=(-20, 20))
    assert not any("never varied" in reason for reason in ranged.reasons)
    assert float(ranged.half_width) > 2 * float(silent.half_width)


def test_an_interval_reaches_to_the_equilibrium_that_may_be_selected():
    """Coordination at τ = .45 < ½ on ``diag(1 + b, 1)``: which of two equilibria is selected is the sign of b.

    Of it the payoffs tell the mean of two sums of four, each with a variance of .25/50: its standard error is .1. The
    other equilibrium is excluded at 99.5 %, that is beyond 2.8 of these.
    """
    for b, excluded in ((0.22, False), (0.32, True)):
        means = np.array([[[1 + b, 0.0], [0.0, 1.0]]] * 2)
        covariances = 0.25 * np.eye(2)[:, :, None, None] * np.ones((2, 2))
        moments = np.full((2, 2), 50.0), means, covariances
        empirical = hq.EmpiricalGame.from_moments(*moments, third=np.zeros_like(means))
        region = hq.empirical.confidence_region(empirical, hq.solve(empirical.game, 0.45, solver="principal_branch"))
        assert bool(region.trusted)
        assert (float(region.lower[0, 0, 0]) > 0.5) == excluded
        assert float(region.policy[0, 0, 0]) > 0.5


@pytest.mark.thorough
@pytest.mark.parametrize("plays", [20, 50])
def test_intervals_cover_wherever_they_are_trusted(plays):
    """93 % of level 95 %, but for three standard errors of the simulation, over families of payoffs and games."""
    trusted = 0
    for name, family in small_samples.FAMILIES.items():
        if not name.startswith("3×3"):
            got = small_samples.coverage(family, plays, trials=200, seed=plays)
            assert not got.intervals_trusted < small_samples.GOAL - 3 * got.error, name
            trusted += got.trusted > 0.5
    assert trusted >= 3


def test_bootstrap_agrees_with_the_delta_method():
    log = noisy_log(PAYOFFS[3], 200)
    empirical = hq.EmpiricalGame.from_log(log)
    solution = solved(empirical)
    region = hq.empirical.confidence_region(empirical, solution)
    again = hq.empirical.bootstrap(log, empirical, solution, num_resamples=500)
    assert np.asarray(again.successful).all()
    # A 2.5 % quantile of 500 draws has a standard error of 0.12 standard errors of the policy; the two
    # methods differ by O(1/√n) of it. Five of the former bound both.
    slack = 0.6 * np.asarray(region.standard_error)
    assert np.all(np.abs(again.lower - region.lower) < slack)
    assert np.all(np.abs(again.upper - region.upper) < slack)
    with pytest.raises(hq.InputError, match="log: is not the one from which"):
        hq.empirical.bootstrap(log.filter(log.episode > 0), empirical, solution)


def test_an_empirical_solution_keeps_game_and_solution_together():
    log = noisy_log(PAYOFFS[3], 200)
    empirical = hq.EmpiricalGame.from_log(log)
    solution, known = solved(empirical), empirical.solve(TAU, solver="principal_branch")
    assert np.array_equal(known.solution.policy, solution.policy)
    assert np.array_equal(known.confidence(0.9).lower, hq.empirical.confidence_region(empirical, solution, 0.9).lower)
    plan = hq.empirical.plan_rollouts(empirical, solution, 0.02, level=0.9)
    assert plan.num_rollouts > 0
    assert np.array_equal(known.plan(0.02, level=0.9).additional, plan.additional)
    drawn = hq.empirical.bootstrap(log, empirical, solution, num_resamples=500, seed=1)
    assert np.array_equal(known.bootstrap(log, num_resamples=500, seed=1).policies, drawn.policies)
    with pytest.raises(hq.InputError, match="log: is not the one from which"):
        known.bootstrap(log.filter(log.episode > 0))


def test_solutions_of_other_games_are_refused():
    empirical = hq.EmpiricalGame.from_log(noisy_log(PAYOFFS[0], 4))
    with pytest.raises(hq.InputError, match="solution: is of other payoffs"):
        hq.empirical.confidence_region(
            empirical, hq.solve(hq.NormalFormGame(PAYOFFS[0]), TAU, solver="principal_branch")
        )
    single = hq.EmpiricalGame.from_log(noisy_log(PAYOFFS[0], 1))
    with pytest.raises(hq.InputError, match=r"empirical: has 9 profiles of fewer than two plays, \(0, 0\) first"):
        hq.empirical.confidence_region(single, solved(single))
    with pytest.raises(hq.InputError, match=r"level: is 1\.5"):
        hq.empirical.confidence_region(empirical, solved(empirical), 1.5)
    with pytest.raises(hq.InputError, match="eps: is 0"):
        hq.empirical.plan_rollouts(empirical, solved(empirical), 0)


def test_least_plays_is_optimal():
    """Feasible, and within a thousandth of the dual bound; for one constraint Neyman's closed form."""
    rng = np.random.default_rng(3)
    costs, floors = rng.exponential(size=(40, 6, 9)) ** 2 * 50, rng.uniform(1, 20, (40, 9))
    counts, bound = map(np.asarray, jax.jit(jax.vmap(least_plays))(jnp.asarray(costs), jnp.asarray(floors)))
    assert np.all(counts >= floors - 1e-9)
    assert (costs / counts[:, None]).sum(-1).max() <= 1 + 1e-9
    assert np.all(counts.sum(-1) >= bound - 1e-6)
    assert np.all(counts.sum(-1) <= 1.001 * bound)
    one = costs[:, :1]
    counts, _ = map(np.asarray, jax.jit(jax.vmap(least_plays))(jnp.asarray(one), jnp.full((40, 9), 1e-3)))
    neyman = np.sqrt(one[:, 0]) * np.sqrt(one[:, 0]).sum(-1, keepdims=True)
    np.testing.assert_allclose(counts, neyman, rtol=2e-3)


def test_plans_cost_no_more_than_uniform_play_and_reach_their_goal():
    empirical = hq.EmpiricalGame.from_log(noisy_log(PAYOFFS[3], 60))
    solution = solved(empirical)
    plan = hq.empirical.plan_rollouts(empirical, solution, 0.02)
    total = int(plan.num_rollouts)
    assert float(plan.lower_bound) <= total <= float(plan.uniform)
    assert int(np.sum(plan.additional)) == total
    batch = plan.batch(total // 3)
    assert batch.sum() == total // 3
    assert np.abs(batch - np.asarray(plan.additional) / 3).max() < 2
    np.testing.assert_array_equal(plan.batch(2 * total), plan.additional)
    # With these plays, and moments as they are, the half-width is ε; the variance that the plan adds for
    # profiles of few plays is at most 1/60 of the whole.
    counts = empirical.counts + np.asarray(plan.additional)
    later = hq.EmpiricalGame.from_moments(counts, empirical.means, empirical.covariances)
    assert 0.9 * 0.02 < float(hq.empirical.confidence_region(later, solution).half_width) <= 0.0205
    known = hq.empirical.plan_rollouts(later, solution, 0.03)
    assert int(known.num_rollouts) == 0


@pytest.mark.thorough
def test_plans_save_plays_on_hard_games():
    """The figure of the benchmark on a few games: at τ = 0.1 at most 60 % of uniform play, in the median."""
    games = np.random.RandomState(1000).rand(12, 2, 3, 3)
    planned, uniform = (
        rollouts.plays_until_known(games, 0.1, "normal", 0.1, planned, pilot=20, seed=0)[0] for planned in (True, False)
    )
    assert np.median(planned / uniform) <= 0.6


def public_states_log(plays, seed):
    """Two public states, in each of which a game of its own is played."""
    logs = []
    for state in (0, 1):
        log = noisy_log(PAYOFFS[state], plays, seed + state)
        columns = log.columns() | {"information_state": state, "run": state}
        logs.append(hq.RolloutLog(**columns, num_actions=[[3, 3], [3, 3]]))
    return hq.RolloutLog.concatenate(logs)


def test_public_states_are_games_of_their_own():
    """Policies and intervals at each state are those of the state's game alone."""
    log = public_states_log(50, seed=5)
    both = hq.EmpiricalGame.from_log(log)
    solution = hq.solve(both.game, TAU, solver="fixed_point")
    region = hq.empirical.confidence_region(both, solution)
    for state in (0, 1):
        part = log.filter(information_state=state)
        alone = hq.EmpiricalGame.from_log(
            hq.RolloutLog(**(part.columns() | {"information_state": 0})), num_actions=[[3], [3]]
        )
        own = hq.empirical.confidence_region(alone, solved(alone))
        np.testing.assert_allclose(region.policy[:, state], own.policy[:, 0], atol=1e-9)
        np.testing.assert_allclose(region.lower[:, state], own.lower[:, 0], atol=1e-8)
        np.testing.assert_allclose(region.upper[:, state], own.upper[:, 0], atol=1e-8)
    with pytest.raises(hq.InputError, match="prior that was counted"):
        hq.empirical.plan_rollouts(both, solution, 0.05)
    given = hq.EmpiricalGame.from_log(log, prior=np.eye(2) / 2)
    plan = hq.empirical.plan_rollouts(given, hq.solve(given.game, TAU, solver="fixed_point"), 0.05)
    assert plan.additional.shape == (2, 2, 3, 3)
    assert int(plan.additional[0, 1].sum() + plan.additional[1, 0].sum()) == 0
