"""T6: its constants are attained, its rates allow for chance and for no more, its plays follow their law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import hqre_jax as hq
from proofs_check import statements
from proofs_check.games.conventions import PAIRED
from proofs_check.t6_diagnostics.claims import deviation
from proofs_check.t6_diagnostics.rollouts import NOISE, experiment, plays
from proofs_check.t6_diagnostics.trials import swings_and_drifts


@pytest.mark.thorough
@pytest.mark.slow
def test_constants_are_attained():
    for example in statements()["T6"].examples():
        assert example.ratio == pytest.approx(1, abs=1e-6), example


@pytest.mark.parametrize("rate", [0.005, 0.05])
@pytest.mark.parametrize("num", [50, 4096])
def test_chance_is_bounded_and_not_by_far(rate, num):
    """Bernstein's bound holds for the binomial law, and its exact quantile is more than a third of it."""
    off = float(deviation(rate, num))
    assert scipy.stats.binom.sf(np.ceil(num * (rate + off)) - 1, num, rate) <= 1e-9
    assert scipy.stats.binom.isf(1e-9, num, rate) / num - rate > off / 3


@pytest.mark.slow
def test_alarms_can_be_missed():
    """With a tenth of the rollouts: that none is missed at 1,500 is an achievement of the diagnostics."""
    trials = swings_and_drifts(PAIRED[0], np.random.default_rng(0), 64)
    missed = ~experiment(trials, 30, jax.random.key(0)).alarm
    assert 0.01 < missed.mean() < 1


def test_plays_follow_prior_policies_and_payoffs():
    mask = np.array([[[True, True, False]] * 2, [[True, True, True]] * 2])
    payoffs = np.asarray(jax.random.normal(jax.random.key(0), (2, 2, 2, 3, 3)))
    prior = np.array([[0.1, 0.3], [0.4, 0.2]])
    game = hq.BayesianGame(prior, payoffs, action_mask=mask)
    policy = np.asarray(hq.games.random.random_policy(jax.random.key(1), game))
    num = 40_000
    states, actions, paid = map(np.asarray, plays(game, jnp.asarray(policy), num, jax.random.key(2)))
    counts = np.zeros((2, 2, 3, 3))
    np.add.at(counts, (*states.T, *actions.T), 1)
    law = prior[:, :, None, None] * policy[0][:, None, :, None] * policy[1][None, :, None, :]
    assert counts[law == 0].sum() == 0
    # Pearson's statistic at a level that chance reaches once in a million.
    used = law > 0
    statistic = ((counts - num * law)[used] ** 2 / (num * law[used])).sum()
    assert statistic < scipy.stats.chi2.isf(1e-6, used.sum() - 1)
    noise = paid - np.asarray(game.payoffs)[:, *states.T, *actions.T].T
    size = NOISE * np.abs(np.asarray(game.payoffs)).max()
    np.testing.assert_allclose(np.cov(noise.T), size**2 * np.array([[1, 0.5], [0.5, 1]]), rtol=6 * np.sqrt(2 / num) * 2)
