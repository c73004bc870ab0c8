"""What is missing or rare widens what is said of stability: failed rows, unknown payoffs, payoffs never seen."""

import jax.numpy as jnp
import numpy as np
import pytest
from test_diagnostics import C, log_of

import hqre_jax as hq
from hqre_jax.rollouts._rollout_log import RolloutLog
from hqre_jax.stability import Plays, linear_interval

PAIR_MASK = np.ones((2, 1, 2), bool)


def broken(log, agent, share, seed):
    """The same log, of which so many rows of one player failed."""
    failed = (log.agent == agent) & (np.random.default_rng(seed).random(len(log)) < share)
    return RolloutLog(**{**log.columns(), "failed": failed}, num_actions=log.num_actions)


@pytest.mark.parametrize(("tau", "share"), [(0.45, 0.5), (0.3, 0.8)])
def test_failed_rows_never_make_play_stable(tau, share):
    """Least temperatures are .5: the margin is −.05 and −.2, however many rows of one player are missing."""
    path = np.array([[[[0.6, 0.4]], [[0.45, 0.55]]], [[[0.5, 0.5]], [[0.5, 0.5]]]])
    for seed in range(3):
        rng = np.random.default_rng(seed)
        logs = [broken(log_of(C, p, 1000, rng, run=k), 0, share, k) for k, p in enumerate(path)]
        report = hq.diagnose_logs(logs, tau)
        assert report.verdict != "stable"
        assert float(report.margin.lower) < tau - 0.5 < float(report.margin.estimate) + 0.05
        assert float(report.margin.estimate) < 0
        assert "payoffs are missing" in str(report)


def test_what_is_missing_widens():
    """More failed rows: the chance of meeting stays, limits move outwards, and cells of nobody's are infinite."""
    path = [np.full((2, 1, 2), 0.5), np.array([[[0.6, 0.4]], [[0.45, 0.55]]])]
    logs = [log_of(C, p, 1000, np.random.default_rng(k), run=k) for k, p in enumerate(path)]
    reach, spans = [], []
    for share in (0.0, 0.05, 0.3, 1.0):
        plays = [Plays.of(broken(log, 0, share, k), 2, 0.0) for k, log in enumerate(logs)]
        found = plays[0].interactions(PAIR_MASK, None) + plays[1].interactions(PAIR_MASK, None)
        if share < 1:
            np.testing.assert_array_equal(found.chance, [[0, 1], [1, 0]])
        reach.append(found.radius(0.99)[0, 1])
        estimates = [part.estimates(PAIR_MASK, None) for part in plays]
        line = linear_interval(((jnp.array([[[1.0, -1.0]], [[0.0, 0.0]]]), estimates[0]),), 0.95)
        spans.append(float(line.upper - line.lower))
    assert np.all(np.diff(reach[:3]) > 0)
    assert np.all(np.diff(spans[:3]) > 0)
    assert np.isinf(spans[3])
    assert not found.meets.any()


def test_rare_payoffs_are_not_enough_data():
    """A payoff of 100 with probability .01 where both agree: a margin of −.2 at τ = .3, mostly unseen in 120 plays."""
    path = [np.array([[[0.6, 0.4]], [[0.45, 0.55]]]), np.full((2, 1, 2), 0.5)]
    for seed in range(4):
        rng = np.random.default_rng(seed)
        logs = []
        for k, p in enumerate(path):
            log = log_of(C, p, 60, rng, run=k, noise=0.0)
            luck = 100 * (log.payoff * rng.random(len(log)) > 0.99)
            logs.append(RolloutLog(**{**log.columns(), "payoff": luck.astype(float)}, num_actions=log.num_actions))
        assert hq.diagnose_logs(logs, 0.3).verdict != "stable"
        report = hq.diagnose_logs(logs, 0.3, payoff_range=(0, 100))
        assert report.verdict != "stable"
        assert float(report.margin.lower) < -0.2


def test_a_stated_range_lets_payoffs_without_noise_be_known():
    path = [np.array([[[0.6, 0.4]], [[0.45, 0.55]]]), np.full((2, 1, 2), 0.5)]
    rng = np.random.default_rng(0)
    logs = [log_of(C, p, 3000, rng, run=k, noise=0.0) for k, p in enumerate(path)]
    silent = hq.diagnose_logs(logs, 0.8, step=0.5)
    assert silent.verdict == "not_enough_data"
    assert "say payoff_range" in str(silent)
    assert hq.diagnose_logs(logs, 0.8, step=0.5, payoff_range=(0, 1)).verdict == "stable"


def test_a_play_that_breaks_down_tells_nothing_of_the_payoffs_to_go():
    log = RolloutLog(
        episode=[0, 0, 0, 1, 1], step=[0, 0, 1, 0, 0], agent=[0, 1, 1, 0, 1], action=0, payoff=[1.0, 1, 5, 2, 2],
        failed=[False, False, True, False, False],
    )  # fmt: skip
    np.testing.assert_array_equal(Plays.of(log, 2, 0.5).to_go, [[np.nan] * 2, [np.nan] * 2, [2.0, 2.0]])
    # Steps that are games of their own keep what they showed.
    np.testing.assert_array_equal(Plays.of(log, 2, 0.0).to_go[[0, 2]], [[1.0, 1.0], [2.0, 2.0]])
