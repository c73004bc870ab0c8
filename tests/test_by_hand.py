"""Constants and decisions that were worked out with pencil and paper, on the smallest games that show them."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import hqre_jax as hq
from hqre_jax.bounds import bounds, nested_constants, nested_factor, regret_majorant
from hqre_jax.bounds._exhaustive import _Tables
from hqre_jax.empirical._quantiles import fisher_quantile
from hqre_jax.sampled import Moments, half_widths
from hqre_jax.sampled._estimate import estimate
from hqre_jax.stability import LEAST_RATIO, interval, student_quantile

pytestmark = pytest.mark.optimised

MATCH = np.stack([np.eye(2)] * 2)


def markov(payoffs, kernel, discount=0.5):
    return hq.MarkovGame(np.asarray(payoffs, float), np.asarray(kernel, float), discount)


def rewards_for_matching():
    """Two states, paid 1 for a match in either; where play goes is a coin."""
    return markov(np.broadcast_to(MATCH[:, None], (2, 2, 2, 2)), np.full((2, 2, 2, 2), 0.5))


def steering_by_matching():
    """State 1 pays 1, state 0 nothing; a match leads to state 1."""
    paid = np.broadcast_to(np.array([0.0, 1.0])[None, :, None, None], (2, 2, 2, 2))
    return markov(paid, np.stack([1 - MATCH, MATCH], axis=-1))


def alone(stake):
    """One state; everybody is paid for the second of two actions, whatever the other does."""
    own = stake * np.arange(2.0)
    both = np.stack([np.broadcast_to(own[:, None], (2, 2)), np.broadcast_to(own, (2, 2))])
    return markov(both[:, None], np.ones((1, 2, 2, 1)))


# Of every player the least temperature counts: 2 and 8.
TAU = np.array([[2.0, 5.0], [9.0, 8.0]])


@pytest.mark.parametrize("game", [rewards_for_matching, steering_by_matching])
def test_factor_of_soft_iteration(game):
    """``B_ij = ½`` in both games: of |Δr| = 1, and of γ·width·TV = ½·2·1; ``q = ½ + √(B₁₂B₂₁/τ₁τ₂) = ½ + ½/4``."""
    assert float(bounds(hq.Problem(game(), TAU)).contraction) == pytest.approx(0.625, rel=1e-9)


def test_factor_of_soft_iteration_with_shannon_entropy():
    """Rents τ log 2 differ by 3 log 2 and log 2 between states: widths 2(1 + 3 log 2) and 2(1 + log 2); B = ¼ width."""
    known = bounds(hq.Problem(steering_by_matching(), TAU, entropy="shannon"))
    influence = 0.5 * (1 + 3 * np.log(2)), 0.5 * (1 + np.log(2))
    assert float(known.contraction) == pytest.approx(0.5 + np.sqrt(influence[0] * influence[1] / 16), rel=1e-9)


def test_factor_of_plain_iteration():
    """At R = 3 one's own backup stretches by ``c = 1 + (3−1)²/6 = 5/3``, up to R = 1 not at all: q = γc."""
    for stake, factor in ((3.0, 0.5 * 5 / 3), (1.0, 0.5)):
        known = bounds(hq.Problem(alone(stake), 1.0, continuation="plain"))
        assert float(known.contraction) == pytest.approx(factor, rel=1e-9)
        assert bool(known.unique)


def test_plain_backup_attains_its_constant():
    """``d⟨softmax(Q + log ρ), Q⟩/dQ_a = p_a (1 + Q_a − ⟨p,Q⟩)``: with Q = (0, 3) and p = (⅓, ⅔) its ℓ₁ norm is 5/3."""
    q, p = np.array([0.0, 3.0]), np.array([1 / 3, 2 / 3])
    log_rho = np.log(p) - q

    def backup(q):
        policy = np.exp(q + log_rho)
        return policy @ q / policy.sum()

    step = 1e-6 * np.array([-1.0, 1.0])
    assert (backup(q + step) - backup(q - step)) / 2e-6 == pytest.approx(5 / 3, rel=1e-6)


def test_factor_of_the_regularised_shapley_operator():
    game = markov(np.stack([MATCH, -MATCH])[:, :1], np.ones((1, 2, 2, 1)), 0.7)
    assert float(bounds(hq.Problem(game, 0.01, continuation="zero_sum")).contraction) == pytest.approx(0.7, rel=1e-12)


def test_nested_constants():
    """Steering by matching, w = 1, τ = 4: ``‖dd P‖₁ = 4``, so ``C = ¼·γ·(2 + 2)·2 = 1`` and ``κ = 4 − ½``.

    With B = ½ both ways ``G = √½``. Matching pennies for ±1, γ = 0.1, τ = 1: C = 0, κ = τ, B = 1, G = √2. With w =
    (1, 4) in pennies ``C₁₂ = ¼ dd(u₁ + 4u₂) = ¼·3·4 = 3``, over ``√w₁w₂ = 2``: κ = 1 − ¾, and ``G² = ¼ + 4``.
    """
    game, constants = steering_by_matching(), eqx.filter_jit(nested_constants)
    known = constants(hq.Problem(game, 4.0), game, jnp.ones(2))
    np.testing.assert_allclose(known, [3.5, np.sqrt(0.5), 0.5 * (1 + np.sqrt(0.5) / 3.5)], rtol=1e-9)
    factor = eqx.filter_jit(nested_factor)(hq.Problem(game, 4.0), game)
    assert float(factor) == pytest.approx(0.5 * (1 + np.sqrt(0.5) / 3.5), rel=1e-9)
    signs = np.array([[1.0, -1.0], [-1.0, 1.0]])
    pennies = markov(np.stack([signs, -signs])[:, None], np.ones((1, 2, 2, 1)), 0.1)
    known = constants(hq.Problem(pennies, 1.0), pennies, jnp.ones(2))
    np.testing.assert_allclose(known, [1.0, np.sqrt(2), 0.1 * (1 + np.sqrt(2))], rtol=1e-9)
    known = constants(hq.Problem(pennies, 1.0), pennies, jnp.asarray([1.0, 4.0]))
    np.testing.assert_allclose(known, [0.25, np.sqrt(4.25), 0.1 * (1 + np.sqrt(4.25) / 0.25)], rtol=1e-9)


def test_nested_margin_decides_alone_where_the_contraction_fails():
    """Pennies at γ = 0.1, τ = 0.5: q = 0.1 + 1/0.5 > 1, nested ``0.1 (1 + √2/0.5) = 0.38`` < 1."""
    signs = np.array([[1.0, -1.0], [-1.0, 1.0]])
    game = markov(np.stack([signs, -signs])[:, None], np.ones((1, 2, 2, 1)), 0.1)
    known = bounds(hq.Problem(game, 0.5))
    assert float(known.contraction) == pytest.approx(2.1, rel=1e-9)
    assert bool(known.unique)
    # At τ = 0.15 the nested factor is 1.04.
    assert not bool(bounds(hq.Problem(game, 0.15)).unique)


def test_majorant_of_regret():
    """``b₀ = 2·½·√(2·½) = 1``, ``g⁰ ≤ ⅛(2+1)²``; then ``a₁ = (2+1)/2``, ``b₁ = 1/√1.5``; and the sum of them all."""
    ones, influence = jnp.ones(2), 0.5 * jnp.asarray([[0.0, 1.0], [1.0, 0.0]])
    found = regret_majorant(ones, ones, influence, jnp.asarray(1.0), jnp.asarray(0.5), jnp.asarray(0.5), 2 * ones, 2)
    a, b, rounds = 2.0, 1.0, []
    for _ in range(400):
        rounds.append((a + b) ** 2 / 8)
        a, b = (a + b) / 2, b / np.sqrt(1.5)
    assert rounds[:2] == pytest.approx([9 / 8, (1.5 + 1.5**-0.5) ** 2 / 8], rel=1e-15)
    np.testing.assert_allclose(found.rounds, np.repeat(np.array(rounds[:2])[:, None], 2, axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.total, sum(rounds), rtol=1e-12)


def test_majorant_knows_temperatures_and_weights():
    """τ = ½, w_y = 4: ``b₀ = 2·√(1/4)·√2 = √2``, ``g⁰ ≤ (½/8)(1 + 2√2)²``, ``a₁ = (1 + 2√2)/2`` with η = 2."""
    one = jnp.ones(1)
    found = regret_majorant(
        0.5 * one, 4 * one, jnp.ones((1, 1)), jnp.asarray(2.0), jnp.asarray(0.25), jnp.asarray(1.0), one, 2
    )
    b = np.sqrt(2)
    second = (1 + 2 * b) / 2 + 2 * b / np.sqrt(1.5)
    np.testing.assert_allclose(found.rounds[:, 0], [(1 + 2 * b) ** 2 / 16, second**2 / 16], rtol=1e-12)


def test_quantiles_of_the_tables():
    """Student's t at 97.5 %: 12.706, 2.776, 1.960 for ν = 1, 4, ∞; F(3, 10) at 95 %: 3.708; F(1, 4) is t²."""
    found = student_quantile(0.975, jnp.asarray([1.0, 4.0, 1e6]))
    np.testing.assert_allclose(found, [12.7062, 2.776445, 1.959966], rtol=1e-5)
    np.testing.assert_allclose(fisher_quantile(0.95, jnp.asarray([3.0, 1.0]), jnp.asarray([10.0, 4.0])),
                               [3.708265, 2.776445**2], rtol=1e-5)  # fmt: skip


def test_intervals_of_few_payoffs_are_students():
    """Variance 0.04 on 4 degrees of freedom at 95 %: 1 ± 2.776445·0.2."""
    found = interval(jnp.asarray(1.0), jnp.asarray(0.04), jnp.asarray(4.0), 0.95)
    np.testing.assert_allclose([found.lower, found.upper], [1 - 0.555289, 1 + 0.555289], rtol=1e-6)


def region_of_a_choice(counts, means, variances, tau):
    """Of one agent who chooses among payoffs that were estimated from so many plays."""
    variances = np.asarray(variances, float)
    covariances = np.zeros((2, 2, variances.size, 1))
    covariances[0, 0, :, 0] = variances
    paid = np.zeros((2, variances.size, 1))
    paid[0, :, 0] = means
    empirical = hq.EmpiricalGame.from_moments(np.asarray(counts, float)[:, None], paid, covariances)
    return hq.empirical.confidence_region(empirical, hq.solve(empirical.game, tau))


def test_confidence_of_a_choice_between_two_payoffs():
    """One agent, two actions: the log-odds are Δ/τ, a difference of two means, with Welch's interval.

    Means 1 and 0.4 of 5 and 9 plays with variances 0.3 and 0.8: ``s² = 0.3/5 + 0.8/9``, τ = ½. Log-odds are linear:
    nothing is stretched.
    """
    region = region_of_a_choice([5, 9], [1, 0.4], [0.3, 0.8], 0.5)
    parts = np.array([0.3 / 5, 0.8 / 9])
    freedom = parts.sum() ** 2 / (parts**2 / np.array([4, 8])).sum()
    reach = stats.t.ppf(0.975, freedom) * np.sqrt(parts.sum()) / 0.5
    ends = 1 / (1 + np.exp(-(1.2 + reach * np.array([-1, 1]))))
    np.testing.assert_allclose(region.stretch, 1, rtol=1e-7)
    np.testing.assert_allclose([region.lower[0, 0, 0], region.upper[0, 0, 0]], ends, rtol=1e-6)
    np.testing.assert_allclose(region.degrees_of_freedom[0, 0, 0], freedom, rtol=1e-9)
    np.testing.assert_allclose(region.radius, stats.t.ppf(0.975, freedom) ** 2, rtol=1e-6)


def test_confidence_of_a_choice_among_three_payoffs():
    """Log-odds ``u_a/τ − log Σ_b exp(u_b/τ)`` bend; the interval ends where they do within t standard errors of u.

    There they are sought by two steps ``u ± t V g/√(gᵀVg)``, ``g = (e_a − (shares of the others))/τ``. The stretch is
    what is found beyond the linear move ``t √(gᵀVg)``; at most that of the best of many points of the ellipsoid.
    """
    means, parts, tau = np.array([0.5, 0.4, 0.0]), np.array([2.0, 2.0, 12.0]) / 30, 0.5
    region = region_of_a_choice([30, 30, 30], means, 30 * parts, tau)

    def odds(u):
        return np.stack([u[a] / tau - np.log(np.exp(np.delete(u, a, axis=0) / tau).sum(0)) for a in range(3)])

    def slopes(u):
        shares = (1 - np.eye(3)) * np.exp(u / tau)
        return (np.eye(3) - shares / shares.sum(1, keepdims=True)) / tau

    own = slopes(means) ** 2 * parts
    quantiles = stats.t.ppf(0.975, 29 * own.sum(1) ** 2 / (own**2).sum(1))
    reach = quantiles * np.sqrt(own.sum(1))
    seen = [odds(means)]
    for action, t in enumerate(quantiles):
        for sign in (-t, t):
            u = means
            for _ in range(2):
                g = slopes(u)[action]
                u = means + sign * parts * g / np.sqrt(g @ (parts * g))
                seen.append(odds(u))
    down = np.maximum(reach, odds(means) - np.min(seen, axis=0))
    up = np.maximum(reach, np.max(seen, axis=0) - odds(means))
    stretch = np.maximum(down, up) / reach
    assert stretch.max() > 1.1
    np.testing.assert_allclose(region.stretch[0, 0], stretch, rtol=1e-6)
    np.testing.assert_allclose(region.lower[0, 0], 1 / (1 + np.exp(down - odds(means))), rtol=1e-6)
    np.testing.assert_allclose(region.upper[0, 0], 1 / (1 + np.exp(-up - odds(means))), rtol=1e-6)
    freedom = float(region.joint_degrees_of_freedom)
    joint = stretch.max() ** 2 * 2 * freedom / (freedom - 1) * stats.f.ppf(0.95, 2, freedom - 1)
    np.testing.assert_allclose(region.radius, joint, rtol=1e-6)
    sphere = np.random.default_rng(0).standard_normal((3, 100_000))
    sphere = np.sqrt(parts)[:, None] * sphere / np.linalg.norm(sphere, axis=0)
    best = odds(means[:, None] + quantiles[0] * sphere)[0]
    assert 0.95 * (odds(means)[0] - best.min()) < down[0] < 1.001 * (odds(means)[0] - best.min())


def test_boxes_of_policies_in_which_nothing_is_singular():
    """Coordination on I₂ at τ = 1, both policies within w of one half.

    ``DR`` has entries ``2 π(1 − π)``, whose factors are taken apart: up to ``2 (½ + w)²``. So ``I − DR`` may be
    singular from ``w = (√2 − 1)/2`` on.
    """
    table = _Tables(hq.Problem(hq.NormalFormGame([np.eye(2), np.eye(2)]), 1.0))
    edge = (np.sqrt(2) - 1) / 2
    w = np.array([0.0, 0.5 * edge, edge - 1e-6, edge + 1e-6, 0.3])[:, None]
    low, high = np.hstack([0.5 - w, 0.5 - w]), np.hstack([0.5 + w, 0.5 + w])
    regular = table.positive_determinant([low, low], [high, high])
    assert regular.tolist() == [True, True, True, False, False]


def test_least_contraction_ratio():
    """``min_s (1 − s)/(1 + s + s²)`` is at s = 1 + √3: ``−√3/(6 + 3√3) = 1 − 2/√3``."""
    s = np.linspace(1, 9, 400_001)
    assert pytest.approx(float(LEAST_RATIO), abs=1e-9) == np.min((1 - s) / (1 + s + s**2))


def plays_of(stake, times):
    """Every pair of actions so many times, paid the stake for a match."""
    actions = np.repeat(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), times, axis=0)
    return actions, np.repeat(stake * (actions[:, :1] == actions[:, 1:]), 2, axis=1).astype(float)


MASK = np.ones((2, 1, 2), bool)
EVEN = np.full((2, 1, 2), 0.5)


@pytest.mark.parametrize(("begin", "then"), [(3.0, 3.0 - 0.5 * (3.0 - 1.1)), (0.3, 1.1)], ids=["cooled", "raised"])
def test_controller_goes_to_the_least_temperatures_and_its_reserve(begin, then):
    """Stake 2 needs τ = 1; with a reserve of a tenth 1.1. What is above is halved, what is below is raised at once."""
    controller = hq.stability.TemperatureController(reserve=0.1, cooling=0.5, min_count=20)
    state = controller.step(controller.init(MASK, begin), EVEN, *plays_of(2.0, 20), MASK)
    np.testing.assert_allclose(state.target, 1.1, rtol=1e-4)
    np.testing.assert_allclose(state.tau, then, rtol=1e-4)


def test_controller_heats_what_swings_while_too_little_is_known():
    """19 plays of each pair are fewer than 20: nothing is cooled, and who jumps to and fro is heated by a half."""
    controller = hq.stability.TemperatureController(heating=1.5, min_count=20)
    state = controller.init(MASK, 3.0)
    swing = np.array([[[0.9, 0.1]], [[0.1, 0.9]]])
    for k, (policy, expected) in enumerate([(swing, 3.0), (swing[::-1], 3.0), (swing, 4.5)]):
        actions, paid = plays_of(2.0, 19) if k == 0 else (np.zeros((1, 2), int), np.full((1, 2), 2.0))
        state = controller.step(state, policy, actions[:76], paid[:76], MASK)
        assert not state.interactions.seen_at_least(20)
        np.testing.assert_allclose(state.tau, expected, rtol=1e-12)


def test_interactions_of_plays():
    """``Λ = ¼ P(y|x) |dd û|``: stake 2 gives ¼·4 = 1; where the other acts in half of the plays only, half of it."""
    actions, paid = plays_of(2.0, 3)
    full = hq.stability.InteractionEstimates.from_plays(actions, paid, MASK)
    np.testing.assert_allclose(full.influence(), [[0, 1], [1, 0]], atol=1e-14)
    lonely = np.array([[0, -1]] * 12)
    half = hq.stability.InteractionEstimates.from_plays(np.concatenate([actions, lonely]), np.tile(paid, (2, 1)), MASK)
    np.testing.assert_allclose(half.influence(), [[0, 0.5], [1, 0]], atol=1e-14)


def moments_of(payoffs, failed=0):
    """Sums over plays of weight 1 of one cell."""
    y, one = np.asarray(payoffs, float), np.ones((1, 1, 1))
    counted = {"weight": len(y), "total": y.sum(), "weight_squared": len(y), "cross": y.sum(), "cut": 0.0, "paid": 0.0}
    floats = {name: jnp.asarray(value * one) for name, value in (counted | {"total_squared": (y**2).sum()}).items()}
    return Moments(
        **floats, visits=jnp.asarray(len(y) * one, int), episodes=jnp.asarray(len(y)), failed=jnp.asarray(failed)
    )


def test_standard_error_of_a_mean():
    """Payoffs 1 and 3: mean 2, unbiased variance 2, standard error √(2/2) = 1."""
    found = estimate(moments_of([1.0, 3.0]))
    assert float(found.action_values[0, 0, 0]) == pytest.approx(2.0)
    assert float(found.standard_errors[0, 0, 0]) == pytest.approx(1.0)
    assert np.isinf(estimate(moments_of([1.0])).standard_errors).all()


def test_interval_for_any_number_of_plays():
    """101 payoffs of mean 0 and variance 1.01 in a range of 2, δ = 0.05: ``0.1 √(2 log 80) + 14 log 80/300``."""
    payoffs = np.sqrt(101 / 100) * np.append(np.tile([1.0, -1.0], 50), 0.0)
    reach = 0.1 * np.sqrt(2 * np.log(80)) + 14 * np.log(80) / 300
    for failed, expected in ((0, reach), (101, reach + 1.0)):
        found = half_widths(moments_of(payoffs, failed), jnp.log(0.05), 2 * jnp.ones(1), "bernstein")
        assert float(found[0, 0, 0]) == pytest.approx(expected, rel=1e-9)


def test_gap_less_what_noise_adds():
    """At Q̂ = 0 and π = ρ the plugged-in gap is 0; noise adds ``½ tr((diag b − bbᵀ)Σ)/τ = ½·(¼ + ¼)·0.16/½ = 0.08``."""
    shape = (2, 1, 2)
    estimates = hq.stability.ActionValueEstimates.independent(
        np.zeros(shape), np.full(shape, 0.64), np.full(shape, 4.0)
    )
    np.testing.assert_allclose(hq.stability.soft_gap(EVEN, estimates, 0.5).estimate, -0.08, rtol=1e-9)
