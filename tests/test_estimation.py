"""Temperatures from counts: a published fit, planted truths, bounds, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq

# Ochs (1995), asymmetric matching pennies in the units of McKelvey & Palfrey (1995); 128 plays a side.
OCHS = np.array([[[1.1141, 0.0], [0.0, 0.2785]], [[0.0, 1.1141], [1.1141, 0.0]]])
PLAYS = 128 * np.array([[[0.527, 0.473]], [[0.366, 0.634]]])


@pytest.fixture(scope="module")
def ochs_fit():
    return hq.fit_temperatures(hq.NormalFormGame(OCHS), PLAYS)


def test_ochs_as_published(ochs_fit):
    """1.8456097536855862 and −174.76453191087444 are the Gambit tutorial's figures."""
    assert ochs_fit.result == "successful"
    assert float(ochs_fit.rationality[0]) == pytest.approx(1.8456097536855862, rel=1e-7)
    assert float(ochs_fit.log_likelihood) == pytest.approx(-174.76453191087444, rel=1e-12)


def test_ochs_as_gambit_fits_it(ochs_fit):
    gambit = pytest.importorskip("pygambit", reason="compares with pygambit, which the extra `peers` installs")
    game = gambit.Game.from_arrays(*OCHS)
    fit = gambit.qre.logit_estimate(game.mixed_strategy_profile([list(PLAYS[0, 0]), list(PLAYS[1, 0])]))
    assert float(ochs_fit.rationality[0]) == pytest.approx(fit.lam, rel=1e-7)


def test_the_standard_error_is_the_curvature(ochs_fit):
    """The game is binary and the fit interior, so the observed curvature is within a part of the expected one."""
    game, step = hq.NormalFormGame(OCHS), 1e-3
    around = np.exp(np.log(float(ochs_fit.estimates[0])) + step * np.array([-1, 0, 1]))
    heights = [float(np.sum(PLAYS * np.log(hq.solve(game, tau).policy))) for tau in around]
    assert heights[1] >= max(heights)
    expected = 1 / float(ochs_fit.covariance[0, 0])
    assert ochs_fit.standard_errors[0] == pytest.approx(ochs_fit.estimates[0] / np.sqrt(expected))
    # Fisher information by finite differences: Σ n (∂ log π)² in expectation.
    low, high = (np.asarray(hq.solve(game, tau).log_policy) for tau in around[[0, 2]])
    policy = np.exp(0.5 * (low + high))
    slopes = (high - low) / (2 * step)
    assert np.sum(PLAYS.sum(-1, keepdims=True) * policy * slopes**2) == pytest.approx(expected, rel=1e-5)


@pytest.mark.thorough
def test_planted_temperatures_are_recovered_at_the_nominal_rate():
    """Per player, 300 data sets: standardised errors have mean 0 and variance 1, within 4 standard errors of each."""
    game, truth, sets = hq.NormalFormGame(OCHS), np.array([0.3, 0.8]), 300
    policy, rng = np.asarray(hq.solve(game, truth).policy), np.random.default_rng(0)
    data = np.stack([[rng.multinomial(20_000, policy[i, 0])[None] for i in range(2)] for _ in range(sets)])
    fits = jax.jit(jax.vmap(lambda counts: hq.fit_temperatures(game, counts, "per_player")))(data.astype(float))
    assert np.all(np.asarray(fits.result_code) == 0)
    errors = (np.asarray(fits.estimates) - truth) / np.asarray(fits.standard_errors)
    assert np.all(np.abs(errors.mean(axis=0)) <= 4 / np.sqrt(sets))
    assert np.all(np.abs(errors.var(axis=0) - 1) <= 4 * np.sqrt(2 / sets))


@pytest.mark.thorough
def test_every_information_state_of_a_tree():
    """Expected counts of a planted HQRE have that HQRE as their maximum; what nobody chose at is not identified."""
    game = hq.load_game("stripped_down_poker")
    used = np.asarray(game.action_mask).any(-1)
    truth = np.where(used, np.linspace(0.6, 1.4, used.size).reshape(used.shape), 1.0)
    counts = 1e4 * np.asarray(hq.solve(game, truth, continuation="plain").policy)
    fit = hq.fit_temperatures(game, counts, "per_state", continuation="plain")
    assert fit.result == "successful"
    np.testing.assert_allclose(np.asarray(fit.tau), truth, rtol=1e-6)
    errors = np.asarray(fit.standard_errors).reshape(used.shape)
    assert np.all(np.isfinite(errors[used]))
    assert np.all(np.isinf(errors[~used]))


def test_play_like_the_reference_is_at_the_bound():
    fit = hq.fit_temperatures(hq.NormalFormGame(np.array([[[3.0, 0.0], [2.0, 1.0]]] * 2)), np.ones((2, 1, 2)))
    assert fit.result == "successful"
    assert bool(fit.at_bound[0])
    assert int(fit.bound[0]) == 1  # τ → ∞
    assert np.isnan(fit.standard_errors[0])
    np.testing.assert_allclose(np.asarray(fit.solution.policy), 0.5, atol=1e-3)


PENNIES = np.array([[[9.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])


@pytest.fixture(scope="module")
def fitted():
    """Tables of counts in asymmetric matching pennies, in one compiled program."""
    tables = [
        [[120, 0], [30, 90]], [[9, 1], [100, 20]], [[38, 2], [40, 0]], [[179, 821], [262, 738]],
        *np.random.default_rng(0).integers(0, 200, (28, 2, 2)),
    ]  # fmt: skip
    counts = np.array(tables, float)[:, :, None, :]
    fit = jax.jit(jax.vmap(lambda c: hq.fit_temperatures(hq.NormalFormGame(PENNIES), c, continuation="plain")))
    return counts, fit(counts)


def test_tables_that_are_nothing_like_the_model(fitted):
    """Maxima known to six digits at which the model explains little, where scoring alone goes on for ever."""
    _, fit = fitted
    np.testing.assert_allclose(1 / fit.estimates[:3, 0], [1.251159, 0.080216, 0.349602], rtol=2e-6)
    assert float(fit.log_likelihood[0]) == pytest.approx(-80.93582, abs=1e-5)


def test_the_maximum_at_exact_best_responses(fitted):
    """The likelihood tends to −1374.2 as τ → 0 and to −1386.3 as τ → ∞, and is less between."""
    _, fit = fitted
    assert (fit.bound[3] == -1).all()
    assert float(fit.log_likelihood[3]) == pytest.approx(-1374.2, abs=0.05)


def test_no_fit_is_worse_than_a_scan(fitted):
    """The logit response of 2×2 games by bisection, independent of the library: 600 temperatures, 32 tables."""
    counts, fit = fitted
    lam = 1 / (9 * np.logspace(-3, 3, 600))

    def other(p):
        """Player 2's probability of its first action when player 1 plays its own with p: u₂ pays for mismatching."""
        return 1 / (1 + np.exp(-lam * (1 - 2 * p)))

    low, high = np.zeros_like(lam), np.ones_like(lam)
    with np.errstate(over="ignore"):
        for _ in range(60):
            p = 0.5 * (low + high)
            above = 1 / (1 + np.exp(-lam * (10 * other(p) - 1))) > p  # the answer falls as p grows
            low, high = np.where(above, p, low), np.where(above, high, p)
        logs = np.log(np.maximum([[p, 1 - p], [other(p), 1 - other(p)]], 1e-300))
    heights = np.einsum("iat,kia->kt", logs, counts[:, :, 0])
    assert np.all(np.asarray(fit.result_code) == 0)
    assert np.all(np.asarray(fit.log_likelihood) >= heights.max(axis=1) - 1e-6)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.ones((2, 1, 3)), "counts: has shape"),
        (np.zeros((2, 1, 2)), "counts: are all 0"),
        (-PLAYS, r"counts\[0\]\[0\]\[0\]: is -67"),
        (PLAYS * np.nan, "must be finite"),
        ([[[1, 2]]], "counts: has 1 players"),
    ],
)
def test_bad_counts(counts, message):
    with pytest.raises(hq.InputError, match=message):
        hq.fit_temperatures(hq.NormalFormGame(OCHS), counts)


def test_bad_options():
    game = hq.NormalFormGame(OCHS)
    with pytest.raises(hq.InputError, match="sharing"):
        hq.fit_temperatures(game, PLAYS, "each")
    with pytest.raises(hq.InputError, match="tol"):
        hq.fit_temperatures(game, PLAYS, tol=-1.0)


def test_counts_as_nested_lists(ochs_fit):
    """Nested lists without padding mean the same."""
    again = hq.fit_temperatures(hq.NormalFormGame(OCHS), PLAYS.tolist())
    assert jnp.array_equal(again.estimates, ochs_fit.estimates)
