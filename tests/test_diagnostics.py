"""Diagnostics from rollouts: each number against its definition, each verdict where the truth is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import hqre_jax as hq
from hqre_jax.core._types import InputError
from hqre_jax.rollouts._rollout_log import RolloutLog
from hqre_jax.stability import LEAST_RATIO, Plays, interval, linear_interval, student_quantile

KEY = jax.random.key(0)
MASK = np.ones((2, 1, 3), bool)
PAYOFFS = np.asarray(jax.random.normal(KEY, (2, 3, 3)))
P, Q = (np.asarray(jax.random.dirichlet(jax.random.key(k), 5 * np.ones(3), (2, 1))) for k in (1, 2))
TAU = np.array([0.7, 0.9])
PAIRS = ([0, 1], [0, 2], [1, 2])


def worth(payoffs, policy):
    """Action values of a two-player normal form."""
    p = policy[:, 0]
    return np.stack([payoffs[0] @ p[1], payoffs[1].T @ p[0]])[:, None]


def known(values, count=1e6):
    """Estimates without error."""
    return hq.stability.ActionValueEstimates.independent(values, np.zeros_like(values), np.full(values.shape, count))


def rollouts(payoffs, policy, num, rng, noise=0.3):
    """Actions and payoffs of independent plays, half of the noise common to both players."""
    actions = np.stack([rng.choice(policy.shape[2], num, p=row) for row in policy[:, 0]], axis=1)
    luck = noise * (rng.standard_normal((num, 1)) + rng.standard_normal((num, 2))) / np.sqrt(2)
    return actions, payoffs[:, actions[:, 0], actions[:, 1]].T + luck


def log_of(payoffs, policy, num, rng, run=0, noise=0.3):
    actions, paid = rollouts(payoffs, policy, num, rng, noise)
    propensity = np.log(policy[np.arange(2), 0, actions])
    sizes = [[policy.shape[2]]] * 2
    return RolloutLog.from_plays(actions, paid, log_propensities=propensity, run=run, num_actions=sizes)


def test_quantiles_are_students():
    freedom = np.array([1.0, 2.0, 3.7, 12.0, 300.0, 1e6])
    for level in (0.9, 0.975, 0.9995):
        np.testing.assert_allclose(
            student_quantile(level, jnp.asarray(freedom)), scipy.stats.t.ppf(level, freedom), rtol=1e-8
        )


def test_interval_of_a_difference_is_that_of_welch():
    rng = np.random.default_rng(0)
    first, second = rng.normal(1, 2, 9), rng.normal(0, 0.5, 23)
    estimates = hq.stability.ActionValueEstimates.independent(
        [[[first.mean(), second.mean()]]], [[[first.var(ddof=1), second.var(ddof=1)]]], [[[9.0, 23.0]]]
    )
    found = linear_interval(((jnp.array([[[1.0, -1.0]]]), estimates),), 0.9)
    expected = scipy.stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.9)
    np.testing.assert_allclose([found.lower, found.upper], expected, rtol=1e-9)


def test_estimates_are_means_with_the_covariance_of_shared_plays():
    rng = np.random.default_rng(1)
    actions, paid = rollouts(PAYOFFS, P, 500, rng)
    found = hq.stability.ActionValueEstimates.from_rollouts(actions, paid, MASK)
    pulls = np.zeros((500, 6))
    for i in range(2):
        for a in range(3):
            chosen = actions[:, i] == a
            y = paid[chosen, i]
            np.testing.assert_allclose(found.mean[i, 0, a], y.mean(), rtol=1e-12)
            assert found.count[i, 0, a] == chosen.sum()
            np.testing.assert_allclose(found.covariance[3 * i + a, 3 * i + a], y.var(ddof=1) / len(y), rtol=1e-12)
            pulls[chosen, 3 * i + a] = (y - y.mean()) / np.sqrt(len(y) * (len(y) - 1))
    np.testing.assert_allclose(found.covariance, pulls.T @ pulls, atol=1e-15)


def test_clusters_move_together():
    """Every play told twice is no more information than once."""
    rng = np.random.default_rng(2)
    actions, paid = rollouts(PAYOFFS, P, 400, rng)
    once = hq.stability.ActionValueEstimates.from_rollouts(actions, paid, MASK)
    twice = hq.stability.ActionValueEstimates.from_rollouts(
        np.tile(actions, (2, 1)), np.tile(paid, (2, 1)), MASK, cluster=np.tile(np.arange(400), 2)
    )
    np.testing.assert_allclose(twice.mean, once.mean, rtol=1e-12)
    np.testing.assert_allclose(twice.covariance, once.covariance, rtol=0.1, atol=1e-4)


def test_directional_numbers_are_those_of_their_definitions():
    weights, eta = np.array([1.3, 0.6]), 0.8
    found = hq.stability.directional(
        P, Q, known(worth(PAYOFFS, P)), known(worth(PAYOFFS, Q)), TAU, step=eta, weights=weights
    )  # fmt: skip
    d, shift = (P - Q)[:, 0], (worth(PAYOFFS, P) - worth(PAYOFFS, Q))[:, 0]
    divergence = (d * (np.log(P) - np.log(Q))[:, 0]).sum(1)
    pull = (shift * d).sum(1)
    total = (weights * divergence).sum()
    np.testing.assert_allclose(found.margin.estimate, (weights * (TAU * divergence - pull)).sum() / total)
    np.testing.assert_allclose(found.terms.estimate[:, 0], TAU * divergence - pull)
    ratio = (weights * (divergence + eta * pull)).sum() / (weights * (1 + eta * TAU) * divergence).sum()
    np.testing.assert_allclose(found.ratio.estimate, ratio)
    moved = np.sqrt((weights * np.abs(d).sum(1) ** 2).sum())
    steepness = np.sqrt((weights * (0.5 * np.ptp(shift, axis=1)) ** 2).sum()) / moved
    np.testing.assert_allclose(found.lipschitz.estimate, steepness)
    np.testing.assert_allclose(found.weighted_divergence, total)
    # The ratio is what the mirror update does.
    problem = hq.Problem(hq.NormalFormGame(PAYOFFS), TAU)
    after = [
        np.log(hq.play(problem, hq.learning.MirrorPlay(eta), 1, KEY, policy0=start).policies[1][:, 0])
        for start in (P, Q)
    ]
    along = (weights * (1 + eta * TAU) * ((after[0] - after[1]) * d).sum(1)).sum()
    np.testing.assert_allclose(ratio, along / (weights * (1 + eta * TAU) * divergence).sum(), rtol=1e-12)


def test_infinite_steps_are_logit_responses():
    pair = known(worth(PAYOFFS, P)), known(worth(PAYOFFS, Q))
    limit = hq.stability.directional(P, Q, *pair, TAU).ratio.estimate
    np.testing.assert_allclose(hq.stability.directional(P, Q, *pair, TAU, step=1e12).ratio.estimate, limit, rtol=1e-8)


def test_untried_actions_leave_everything_open():
    values = worth(PAYOFFS, P)
    count = np.full(values.shape, 50.0)
    count[1, 0, 2] = 1
    poor = hq.stability.ActionValueEstimates.independent(values, np.ones_like(values), count)
    found = hq.stability.directional(P, Q, poor, known(worth(PAYOFFS, Q)), TAU)
    assert np.isinf(found.margin.upper)
    assert not found.diverges
    assert np.isinf(found.lipschitz.upper)
    assert np.isfinite(found.terms.upper[0, 0])


def test_soft_gap_and_effective_temperature_without_noise():
    game = hq.NormalFormGame(PAYOFFS)
    found = hq.stability.soft_gap(P, known(worth(PAYOFFS, P)), TAU)
    np.testing.assert_allclose(found.estimate[:, 0], hq.regularized_gap(game, P, TAU), rtol=1e-9)
    star = np.asarray(hq.solve(game, TAU).policy)
    acting = hq.stability.effective_temperature(star, known(worth(PAYOFFS, star)))
    np.testing.assert_allclose(acting.estimate[:, 0], TAU, rtol=1e-8)
    assert np.isnan(
        hq.stability.effective_temperature(np.full((2, 1, 3), 1 / 3), known(worth(PAYOFFS, P))).estimate
    ).all()


def test_noise_is_taken_off_the_gap():
    """Mean over many experiments: plugged in it is too large, corrected it is within its standard error."""
    exact = np.asarray(hq.regularized_gap(hq.NormalFormGame(PAYOFFS), P, TAU))
    rng = np.random.default_rng(3)
    values, error = worth(PAYOFFS, P), 0.3
    gaps, plugged = [], []
    for _ in range(400):
        noisy = values + error * rng.standard_normal(values.shape)
        estimates = hq.stability.ActionValueEstimates.independent(
            noisy, np.full(values.shape, 100 * error**2), np.full(values.shape, 100.0)
        )
        gaps.append(hq.stability.soft_gap(P, estimates, TAU).estimate[:, 0])
        plugged.append(hq.stability.soft_gap(P, known(noisy), TAU).estimate[:, 0])
    spread = np.std(gaps, axis=0) / np.sqrt(len(gaps))
    # The first agent is near its best response, where the excess is large beside the rest of the noise.
    assert (np.mean(plugged, axis=0) - exact)[0] > 5 * spread[0]
    # What is left is of third order in error/τ.
    assert (np.abs(np.mean(gaps, axis=0) - exact) < 4 * spread + (error / TAU) ** 3 * error).all()


def test_paths():
    swing = np.stack([P, Q, P, Q, P])
    np.testing.assert_allclose(hq.stability.oscillation_index(swing), -1)
    assert np.isinf(hq.stability.drift_index(swing)).all()
    straight = np.stack([P + t * (Q - P) for t in (0.0, 0.3, 0.5, 1.0)])
    np.testing.assert_allclose(hq.stability.oscillation_index(straight), 1)
    np.testing.assert_allclose(hq.stability.drift_index(straight), 1)
    np.testing.assert_allclose(hq.stability.drift_index(swing[:4]), 3)
    still = np.stack([P, P, P])
    np.testing.assert_array_equal(hq.stability.oscillation_index(still), np.zeros((2, 1)))
    np.testing.assert_array_equal(hq.stability.drift_index(still), np.ones((2, 1)))


def test_two_agents_show_all_their_interactions():
    rng = np.random.default_rng(4)
    actions, paid = rollouts(PAYOFFS, P, 3000, rng, noise=0.0)
    found = hq.stability.InteractionEstimates.from_plays(actions, paid, MASK)
    halves = [hq.stability.InteractionEstimates.from_plays(actions[k::2], paid[k::2], MASK) for k in range(2)]
    np.testing.assert_allclose((halves[0] + halves[1]).total, found.total)
    assert found.covered
    expected = hq.least_temperatures(hq.NormalFormGame(PAYOFFS), margin=0.01)
    np.testing.assert_allclose(found.least_temperatures(0.01).sum(), expected.tau.sum(), rtol=1e-6)
    # That a payoff never varied does not say that it cannot; a stated range bounds what it may do.
    assert np.isinf(found.radius(0.99)).sum() == 2
    width = 2 * np.abs(PAYOFFS).max()
    ranged = hq.stability.InteractionEstimates.from_plays(actions, paid, MASK, payoff_range=(-width / 2, width / 2))
    delta = 0.01 / (4 * 2 * 9)
    bounds = [width * -np.expm1(np.log(delta) / (ranged.count[x, y] - 1)) for x, y in ((0, 1), (1, 0))]
    fours = [max(b[np.ix_(r, c)].sum() for r in PAIRS for c in PAIRS) for b in bounds]
    np.testing.assert_allclose(ranged.radius(0.99)[[0, 1], [1, 0]], fours)


def test_unseen_pairs_add_no_interaction():
    coordination = np.stack([np.eye(2)] * 2)
    actions = np.array([[0, 0], [0, 1], [1, 0]] * 5)
    paid = coordination[:, actions[:, 0], actions[:, 1]].T
    found = hq.stability.InteractionEstimates.from_plays(actions, paid, np.ones((2, 1, 2), bool))
    assert not found.covered
    np.testing.assert_allclose(found.least_temperatures(0.25), 0.25, rtol=1e-6)


C = np.stack([np.eye(2)] * 2)


def swinging(tau, step, start=0.7, rounds=3, seed=5, plays=1500):
    """Logs of mirror play in coordination, a tenth of it exploration."""
    problem = hq.Problem(hq.NormalFormGame(C), tau)
    begin = [[[start, 1 - start]], [[1.1 - start, start - 0.1]]]
    path = np.asarray(hq.play(problem, hq.learning.MirrorPlay(step), rounds, KEY, policy0=begin).policies)
    rng = np.random.default_rng(seed)
    return [log_of(C, 0.9 * p + 0.05, plays, rng, run=k) for k, p in enumerate(path)]


def test_oscillation_is_called_unstable_with_its_cure():
    report = hq.diagnose_logs(swinging(0.1, 20.0), 0.1, step=20.0)
    assert report.verdict == "unstable"
    assert {alarm.kind for alarm in report.alarms} == {"overshooting"}
    assert all(float(alarm.value.upper) < LEAST_RATIO for alarm in report.alarms)
    assert report.culprits == ((0, 0), (1, 0))
    assert (report.oscillation < -0.9).all()
    # The true least temperatures are c/2, the reserve 0.001.
    np.testing.assert_allclose(report.least_tau, 0.5, atol=0.05)
    text = str(report)
    assert text.startswith("unstable")
    assert "cause: player 1, player 2" in text
    assert "cure: raise the temperature of player 1 from 0.1 to 0." in text


def test_valid_actions_that_do_not_come_first_are_said_beside_the_logs():
    """An entry between the two that no player has: logs that cannot declare it, and one action was never played."""
    mask = np.tile([True, False, True], (2, 1, 1))
    path = np.array([[[[0.5, 0.0, 0.5]]] * 2, [[[1 - 1e-9, 0.0, 1e-9]]] * 2])
    rng = np.random.default_rng(0)
    logs = []
    for policy in path:
        actions, paid = rollouts(C, policy[..., [0, 2]], 50, rng, 0.3)
        logs.append(RolloutLog.from_plays(2 * actions, paid))
    report = hq.diagnose_logs(logs[1:] * 2, 0.8, policies=path, action_mask=mask)
    assert report.verdict == "not_enough_data"
    with pytest.raises(InputError, match=r"policies\[0\]"):
        hq.diagnose_logs(logs[1:] * 2, 0.8, policies=path)
    with pytest.raises(InputError, match=r"logs\[0\].action"):
        hq.diagnose_logs(logs, 0.8, policies=path, action_mask=~mask)


def test_play_above_the_threshold_is_called_stable():
    report = hq.diagnose_logs(swinging(0.8, 0.5), 0.8, step=0.5)
    assert report.verdict == "stable"
    assert not report.alarms
    np.testing.assert_allclose(report.margin.estimate, 0.3, atol=0.05)
    assert float(report.margin.lower) > 0
    np.testing.assert_allclose(report.max_step, 0.3 / 0.25, rtol=0.3)
    assert "cure" not in str(report)


def test_quiet_play_below_the_threshold_certifies_nothing():
    report = hq.diagnose_logs(swinging(0.3, 0.5), 0.3, step=0.5)
    assert report.verdict == "not_enough_data"
    assert "margin is not positive" in str(report)


def test_few_plays_are_not_enough():
    report = hq.diagnose_logs(swinging(0.55, 0.5, plays=12), 0.55, step=0.5)
    assert report.verdict == "not_enough_data"
    assert report.reasons


def test_leaving_an_equilibrium_together_is_divergence():
    """Both agents move to the same convention: the margin is refuted, and so are all weights."""
    rng = np.random.default_rng(6)
    path = [np.full((2, 1, 2), 0.5) + s * np.array([1.0, -1.0]) for s in (0.0, 0.35)]
    report = hq.diagnose_logs([log_of(C, p, 2000, rng, run=k) for k, p in enumerate(path)], 0.2)
    assert {alarm.kind for alarm in report.alarms} == {"divergence"}
    assert (report.directions[0][1].terms.upper < 0).all()


def test_a_bystander_is_not_blamed():
    """Three agents, of whom the third meets nobody and moves on its own."""
    estimates, path = [], []
    for k, (x, z) in enumerate([(0.9, 0.3), (0.1, 0.6)]):
        policy = np.array([[[x, 1 - x]], [[1 - x, x]], [[z, 1 - z]]])
        values = np.concatenate([worth(C, policy[:2]), np.ones((1, 1, 2))])
        path.append(policy)
        estimates.append(known(values, 1000.0 + k))
    report = hq.diagnose(np.stack(path), estimates, 0.1)
    assert report.verdict == "unstable"
    assert report.culprits == ((0, 0), (1, 0))
    assert report.margin is None
    assert "margin unknown" in str(report)


def test_payoffs_to_go_are_discounted():
    log = RolloutLog(episode=[0, 0, 0, 1], step=[0, 1, 3, 0], agent=0, action=[0, 1, 0, 1], payoff=[1.0, 2.0, 4.0, 8.0])
    plays = Plays.of(log, 1, 0.5)
    np.testing.assert_allclose(plays.to_go[:, 0], [1 + 0.5 * (2 + 0.25 * 4), 2 + 0.25 * 4, 4, 8])


def test_logged_propensities_tell_the_policy():
    rng = np.random.default_rng(7)
    log = log_of(PAYOFFS, P, 300, rng)
    np.testing.assert_allclose(Plays.of(log, 2, 0.0).policy(MASK, "log"), P, rtol=1e-9)
    never_drawn = Plays.of(log, 2, 0.0).policy(np.ones((2, 1, 4), bool), "log")[..., 3]
    np.testing.assert_allclose(never_drawn, 0.0, atol=1e-9)
    mixed = RolloutLog.concatenate([log, log_of(PAYOFFS, Q, 300, rng, run=1)])
    with pytest.raises(InputError, match="mixes policies"):
        hq.diagnose_logs([log, mixed], 0.5)


def test_failed_plays_are_left_out():
    actions = np.array([[0, 0], [1, 1], [0, 1]])
    log = RolloutLog.from_plays(actions, [[1.0, 1.0], [np.nan, np.nan], [2.0, 2.0]], failed=[[False], [True], [False]])
    plays = Plays.of(log, 2, 0.0)
    np.testing.assert_array_equal(plays.actions, [[0, 0], [-1, -1], [0, 1]])
    estimates = plays.estimates(np.ones((2, 1, 2), bool), None)
    np.testing.assert_array_equal(estimates.count[:, 0], [[2, 0], [1, 1]])


def test_an_interval_keeps_its_order():
    found = interval(jnp.asarray(1.0), jnp.asarray(0.04), jnp.asarray(10.0), 0.95).affine(
        jnp.asarray(-2.0), jnp.asarray(1.0)
    )
    assert found.lower < found.estimate < found.upper
    np.testing.assert_allclose(found.estimate, -1.0)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda e: hq.stability.directional(P, Q, e, e, TAU, step=0.0), "step"),
        (lambda e: hq.stability.directional(P, Q, e, e, TAU, level=1.0), "level"),
        (lambda e: hq.stability.directional(P, np.eye(3)[[0, 1]][:, None], e, e, TAU), "other"),
        (lambda e: hq.stability.directional(P, Q[:, :, :2], e, e, TAU), "policy"),
        (lambda e: hq.diagnose(P[None], [e], TAU), "policies"),
        (lambda e: hq.diagnose_logs([], TAU), "logs"),
        (lambda e: hq.stability.oscillation_index(np.stack([P, Q])), "policies"),
        (lambda e: hq.stability.ActionValueEstimates.independent(PAYOFFS, -np.ones_like(PAYOFFS), PAYOFFS), "variance"),
        (
            lambda e: hq.stability.ActionValueEstimates.from_rollouts(np.zeros((4, 3), int), np.zeros((4, 3)), MASK),
            "actions",
        ),
    ],
)
def test_bad_input_is_named(call, field):
    with pytest.raises(InputError) as error:
        call(known(worth(PAYOFFS, P)))
    assert error.value.field.startswith(field)
