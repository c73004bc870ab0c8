"""T3 and T4 of the theorem ledger: they hold, their constants are reached, and the wrong ones are caught."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from proofs_check import Comparison
from proofs_check.experiment import BATCH, Drawing
from proofs_check.games.certified import BAYESIAN, certified, matching_pennies
from proofs_check.t3_bounded_regret import claims as t3
from proofs_check.t3_bounded_regret.extremes import examples as t3_examples
from proofs_check.t3_bounded_regret.extremes import rare_best_action
from proofs_check.t3_bounded_regret.rounds import Start
from proofs_check.t4_markov import claims as t4
from proofs_check.t4_markov import experiments, stages
from proofs_check.t4_markov import games as markov
from proofs_check.t4_markov.extremes import alone, matching
from proofs_check.t4_markov.extremes import examples as t4_examples

GAMES = 40


def compared(claims, cases):
    return {claim: Comparison.of(claim, "given", sides, cases.problem) for claim, sides in claims.items()}


def drawing_of(family, rng, num=GAMES):
    return Drawing(family, rng, num, 0, num, None)


@pytest.fixture(scope="module")
def bayesian():
    rng = np.random.default_rng(3)
    cases = certified(BAYESIAN, rng, GAMES)
    return cases, t3.draw_sample(cases, drawing_of(BAYESIAN, rng))


@pytest.mark.thorough
@pytest.mark.slow
def test_regret_is_bounded_until_steps_are_too_large(bayesian):
    cases, sample = bayesian
    for claim, found in compared(t3.sides(cases, sample), cases).items():
        assert not found.violated.any(), claim
        assert np.isfinite(found.slack).all(), claim
    broken = compared(t3.sides(cases, sample._replace(factor=30.0 * sample.factor)), cases)
    assert broken[t3.ROUND].violated.sum() >= 3
    # What does not speak of steps holds for any.
    assert not broken[t3.IDENTITY].violated.any()
    assert not broken[t3.SLOPE].violated.any()


def test_slope_of_regret_is_best_possible():
    """``h(π*) = (1−p) log(p(1−ε)/(ε(1−p)))`` at τ = 1, against ``log 1/ε``."""
    rarity, chance = np.array([1e-3, 1e-30]), np.array([0.3, 0.02])
    slope, bound = (np.asarray(part) for part in rare_best_action(rarity, chance))
    np.testing.assert_allclose(
        slope, (1 - chance) * np.log(chance * (1 - rarity) / (rarity * (1 - chance))), rtol=1e-12
    )
    np.testing.assert_allclose(bound, -np.log(rarity), rtol=1e-12)
    assert slope[1] > 0.9 * bound[1]


@pytest.mark.slow
def test_regret_in_matching_pennies_attains_its_majorant():
    """And with a twentieth less of it the first round breaks (b): no slack makes up for that."""
    first = t3_examples()[0]
    assert 0.99999 < first.ratio <= 1 + 1e-9
    logits = np.zeros((BATCH, 2, 1, 3))
    logits[:, 1, 0, :2] = 1e-3, -1e-3
    start = Start(jnp.asarray(logits), jnp.zeros((BATCH, 2), bool))
    cases = matching_pennies(np.full(BATCH, 0.2))
    sample = t3.Sample(jnp.ones(BATCH), start, jax.random.split(jax.random.key(0), BATCH))
    claims = compared(t3.sides(cases, sample), cases)
    first, total = claims[t3.ROUND], claims[t3.TOTAL]
    assert not first.violated.any()
    assert dataclasses.replace(first, bound=0.95 * first.bound).violated.all()
    assert (first.slack[:, 0, 0] <= 1e-3 * first.bound[:, 0, 0]).all()
    assert (total.slack <= 1e-3 * total.bound).all()


@pytest.mark.thorough
@pytest.mark.slow
def test_markov_constants_are_attained_and_wrong_ones_caught():
    rng = np.random.default_rng(5)
    cases = markov.contracting(markov.THREE, rng, GAMES)
    factor, gamma = np.asarray(cases.factor), np.asarray(cases.problem.game.discount)
    sample = experiments.sample_pairs(cases, drawing_of(markov.THREE, rng))
    right = compared(experiments.contraction(cases, sample), cases)
    for claim, found in right.items():
        assert not found.violated.any(), claim
    assert np.nanmax(right[t4.SOFT].ratios) > 0.95
    assert np.nanmax(right[t4.COUPLED].ratios) > 0.99
    halved = compared(
        experiments.contraction(cases._replace(factor=jnp.asarray(0.5 * (gamma + factor))), sample), cases
    )
    assert halved[t4.SOFT].violated.sum() >= 3
    on_policy = compared({t4.COUPLED: experiments.on_policy(cases, sample)}, cases)
    assert on_policy[t4.COUPLED].violated.sum() >= 10


@pytest.mark.slow
def test_markov_constants_are_attained_by_games_made_for_them():
    """Pure rewards, pure steering, and under ``plain`` an agent alone: close to the bound, and never beyond it."""
    least = {"‖ΔTQ‖/‖ΔQ‖ over q": 0.999, "‖Δ(z,V)⁺‖/‖Δ(z,V)‖ over 1−α(1−q)": 0.96, "‖ΔTQ‖/‖ΔQ‖ over γc": 0.999}
    examples = t4_examples()
    assert {example.quantity for example in examples} == set(least)
    for example in examples:
        assert least[example.quantity] <= example.ratio <= 1 + 1e-9, example


def test_no_slack_makes_up_for_a_constant():
    """Judged by nine tenths of their factors the same games break (a), (b), (f): slack is rounding and nothing else."""
    payoffs, kernels = (np.stack(parts) for parts in zip(matching(False), matching(True), strict=True))
    tau = np.full((2, 2, 2), 4.0)
    cases = markov.settled(hq.MarkovGame, (payoffs, kernels, np.array([0.5, 0.5])), tau, np.zeros((2, 2, 2, 2)))
    nine_tenths = cases._replace(factor=0.9 * cases.factor)
    sample = experiments.sample_pairs(cases, drawing_of(markov.THREE, np.random.default_rng(0), 2))
    found = compared(experiments.contraction(nine_tenths, sample), cases)
    soft, coupled = found[t4.SOFT], found[t4.COUPLED]
    assert soft.violated.all()
    assert coupled.violated.any()
    assert (soft.slack <= 1e-6 * soft.bound).all()
    nobody = alone(3.0)
    noise = experiments.sample_noise(nobody, drawing_of(markov.THREE, np.random.default_rng(0), 1))
    plain = compared(experiments.plain(nobody._replace(factor=0.9 * nobody.factor), noise), nobody)[t4.PLAIN]
    assert plain.violated.all()
    assert (plain.slack <= 1e-6 * plain.bound).all()


def test_library_and_ledger_agree_on_the_contraction_factor():
    """B is computed twice, here and in the library, and the factor at the temperatures asked for is the one wanted."""
    rng = np.random.default_rng(7)
    for family in (markov.THREE, markov.PUBLIC):
        cases = markov.contracting(family, rng, 8)
        tau = np.asarray(cases.problem.tau).min(-1)
        gamma = np.asarray(cases.problem.game.discount)
        matrix = gamma[:, None, None] * np.eye(tau.shape[1]) + np.asarray(cases.influence) / tau[:, None, :]
        radius = np.abs(np.linalg.eigvals(matrix)).max(-1)
        np.testing.assert_allclose(cases.factor, radius, rtol=1e-11)
        assert ((gamma < radius) & (radius < 1)).all()
        assert (np.asarray(cases.excess) <= 1e-12).all()


def test_influence_by_hand():
    """Steering by matching: rewards differ by state only, a match moves the state: B = ½ γ·width."""
    payoffs, kernel = matching(True)
    game = hq.MarkovGame(payoffs, kernel, 0.5)
    influence, width = markov.influence(game)
    np.testing.assert_allclose(width, [2.0, 2.0])
    np.testing.assert_allclose(influence, 0.5 * 0.5 * 2.0 * (1 - np.eye(2)))


@pytest.mark.thorough
@pytest.mark.slow
def test_saddle_values_contract_with_the_discount():
    rng = np.random.default_rng(11)
    cases = stages.ZeroSum(markov.zero_sum(markov.ZERO_SUM_PUBLIC, rng, GAMES))
    sample = stages.sample_values(cases, drawing_of(markov.ZERO_SUM_PUBLIC, rng))
    found = compared(stages.saddle_values(cases, sample), cases)[stages.SHAPLEY]
    assert not found.violated.any()
    assert np.nanmax(found.ratios) > 0.95
    assert np.isnan(found.ratios).sum() <= 2


@pytest.mark.thorough
@pytest.mark.slow
def test_nested_iteration_contracts_and_not_with_the_discount_alone():
    rng = np.random.default_rng(13)
    cases = markov.nested(markov.THREE, rng, GAMES)
    factor = np.asarray(cases.known.factor)
    assert (factor < 1).all()
    sample = stages.sample_nested(cases, drawing_of(markov.THREE, rng))
    found = compared(stages.nested_iteration(cases, sample), cases)[stages.NESTED]
    assert not found.violated.any()
    assert np.nanmedian(found.ratios) > 0.1
    forgetful = cases._replace(known=cases.known._replace(factor=cases.problem.game.discount))
    without = compared(stages.nested_iteration(forgetful, sample), cases)[stages.NESTED]
    assert without.violated.sum() >= 3


def test_stage_margin_holds_at_random_values_of_the_box():
    """κ against the margin, worked out by hand, of stage games with values at corners of the box."""
    rng = np.random.default_rng(17)
    cases = markov.nested(markov.TWO, rng, 4)
    for g in range(4):
        game = jax.tree.map(lambda x, g=g: x[g], cases.problem.game)
        half, gamma, w = 0.5 * np.asarray(cases.width[g]), float(game.discount), np.asarray(cases.weights[g])
        values = half[:, None] * rng.choice([-1.0, 1.0], (2, 3))
        stage = np.asarray(game.payoffs) + gamma * np.einsum("sabt,it->isab", np.asarray(game.transitions), values)
        for s in range(3):
            common = sum(w[i] * stage[i, s] for i in range(2))
            twist = (
                common[:, None, :, None]
                - common[None, :, :, None]
                - common[:, None, None, :]
                + common[None, :, None, :]
            )
            tau = np.asarray(cases.problem.tau[g])[:, s]
            half_c = 0.125 * twist.max() / np.sqrt(w[0] * w[1])
            margin = np.linalg.eigvalsh(np.diag(tau) - half_c * (1 - np.eye(2)))[0]
            assert margin >= float(cases.known.margin[g]) - 1e-12
