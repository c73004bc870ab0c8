"""The theorem ledger: statements hold, their bounds are not vacuous, controls are caught, and the tally is honest."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import hqre_jax as hq
from hqre_jax.core._simplex import center, kl, safe_log
from proofs_check import Comparison, Outcome, statements
from proofs_check.games.certified import BAYESIAN, COORDINATION, NEAR_ZERO_SUM, ZERO_SUM
from proofs_check.numerics import accuracy
from proofs_check.numerics.confidence import betting_lower_bound
from proofs_check.numerics.counting import num_equilibria
from proofs_check.play.sampled import variance_of
from proofs_check.t1_uniqueness import claims as t1
from proofs_check.t1_uniqueness.coordination import bifurcation, coordination, equilibria_below
from proofs_check.t2_linear_convergence import claims as t2
from proofs_check.t3_bounded_regret import claims as t3
from proofs_check.t3s_sampled_regret import claims as t3s
from proofs_check.t4_markov import claims as t4
from proofs_check.t4_markov import games as markov
from proofs_check.t4_markov import stages
from proofs_check.t5_sampled_payoffs import claims as t5
from proofs_check.t6_diagnostics import claims as t6
from proofs_check.t6_diagnostics import experiments as t6_experiments
from proofs_check.t6_diagnostics.trials import BOUNDARY
from proofs_check.t7_pathologies import claims as t7
from proofs_check.t7_pathologies.selection import SELECTION
from proofs_check.t7s_sampled_pathologies import claims as t7s
from proofs_check.t7s_sampled_pathologies.responses import response_law
from proofs_check.t8_heterogeneity import claims as t8

GAMES = 400
# The least that the worst observed/bound must reach, lest a bound be true because it is empty.
LEAST_RATIO = {t1.MONOTONE: 0.99, t1.ONE: 0.9, t1.COUNT: 1.0}
LEAST_RATIO |= {t2.STEP: 0.99, t2.RATE: 0.9, t2.PREDICTED: 1e-4, t2.AHEAD: 0.9}
LEAST_RATIO |= {t3.IDENTITY: 0.999, t3.ROUND: 0.6, t3.TOTAL: 0.2, t3.LOSS: 0.1, t3.LINEAR: 0.05, t3.SLOPE: 0.4}
LEAST_RATIO |= {t3s.ROUND: 0.2, t3s.LOGARITHMIC: 0.1, t3s.LINEAR: 0.03}
LEAST_RATIO |= {
    t4.SOFT: 0.99,
    t4.COUPLED: 0.99,
    t4.FIXED_POINT: 0.5,
    stages.SHAPLEY: 0.99,
    stages.NESTED: 0.9,
    t4.PLAIN: 0.95,
}
LEAST_RATIO |= {t6.MARGIN: 0.7, t6.STEEPNESS: 0.99, t6.RATIO: 0.99, t6.COVERAGE: 0.5, t6.FALSE: 1e-3}
LEAST_RATIO |= {t5.ROUND: 0.99, t5.FLOOR: 0.08, t5.DECAY: 0.5}
LEAST_RATIO |= {t7.OSCILLATION: 0.999, t7.LARGE_STEPS: 0.999, t7.DRIFT: 0.5, t7.RATE: 0.9, SELECTION: 1e-3}
LEAST_RATIO |= {t7s.OSCILLATION: 0.999, t7s.DRIFT: 0.8, t7s.POOLED: 0.9, t7s.SLOPE: 0.9, t7s.SELECTION: 0.02}
LEAST_RATIO |= {t8.MARGIN: 0.999, t8.CERTIFIED: 0.99, t8.LEAST: 0.999, t8.GAIN: 0.999, t8.CLOSED: 0.999, t8.BIAS: 0.2}


# Alarms about these pathologies are never missed with so many rollouts; that they can be missed `test_t6` shows.
NEVER = (t6.MISSED,)

# Every shape of game costs seconds of compiling: here a pair and a game with types stand for all families, of which
# `hqre verify` draws every one.
FEW = (NEAR_ZERO_SUM, BAYESIAN)


def restricted(statement, *families):
    """The statement on games of these families only, experiment by experiment; None leaves one as it is."""
    pairs = zip(statement.experiments, families, strict=True)
    return replace(statement, experiments=tuple(e if f is None else replace(e, families=f) for e, f in pairs))


STATEMENTS = statements()
STATEMENTS |= {name: restricted(STATEMENTS[name], FEW) for name in ("T1", "T3", "T3s", "T5")}
STATEMENTS["T2"] = restricted(STATEMENTS["T2"], FEW, None)

# T9 draws no games; it has tests of its own.
DRAWING = [name for name in STATEMENTS if name != "T9"]


# Drawn from more families, and four times as many games, in every run of the tests: one with types. The others, whose
# programs take longest to compile, on request. All controls are drawn always.
ALWAYS = ("T1",)


@pytest.fixture(
    scope="module", params=[n if n in ALWAYS else pytest.param(n, marks=pytest.mark.thorough) for n in DRAWING]
)
def drawn(request):
    return STATEMENTS[request.param]


@pytest.fixture(scope="module")
def outcome(drawn):
    return drawn.check(jax.random.key(1), GAMES)


@pytest.mark.slow
def test_statement_holds(outcome):
    assert outcome.violations == 0, outcome.summary()
    # Games are drawn to satisfy the hypothesis; where a bound falls short of it they drop out.
    assert 0.98 * GAMES <= outcome.games <= outcome.drawn


# Every statement is also checked, quickly, in what its control draws from, on as many games, so that the programs are
# the same: for those that are not in ALWAYS it is the only check of every run.
ONE_FAMILY = {
    "T1": [(NEAR_ZERO_SUM,)],
    "T2": [(NEAR_ZERO_SUM,), (ZERO_SUM,)],
    "T3": [(NEAR_ZERO_SUM,)],
    "T3s": [(NEAR_ZERO_SUM,)],
    "T4": [(markov.THREE,), (markov.ZERO_SUM,), None, None],
    "T5": [(NEAR_ZERO_SUM,)],
    "T6": [(COORDINATION, BOUNDARY), None],
    "T7": [None],
    "T7s": [None],
    "T8": [None],
}


@pytest.fixture(scope="module", params=ONE_FAMILY)
def stated(request):
    return request.param


@pytest.fixture(scope="module")
def few(stated):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(t6_experiments, "_TRIALS", (512, 256))
        return restricted(STATEMENTS[stated], *ONE_FAMILY[stated]).check(jax.random.key(5), GAMES // 4)


@pytest.mark.slow
def test_statement_holds_in_one_family(few):
    assert few.violations == 0, few.summary()
    assert few.games >= GAMES // 4
    assert_not_vacuous(few, 0.5)


def assert_not_vacuous(outcome, part_of):
    """Every claim comes as close to its bound as it should, or that part of it where there are few games."""
    for claim in outcome.claims:
        part = outcome.part(claim=claim)
        if claim in NEVER:
            assert part.worst == 0.0, f"{claim}: {part.worst}"
            continue
        assert claim in LEAST_RATIO, f"say in LEAST_RATIO how close to its bound {claim!r} must come"
        assert part_of * LEAST_RATIO[claim] <= part.worst <= 1 + 1e-3, f"{claim}: {part.worst}"
        assert part.unresolved <= 0.08 * part.games, f"{claim}: {part.unresolved} games say nothing"


@pytest.mark.slow
def test_bounds_are_not_vacuous(outcome):
    assert_not_vacuous(outcome, 1.0)


@pytest.mark.slow
def test_every_claim_fails_in_a_negative_control(stated, few):
    """Every claim of the experiments, in a tenth of one control's games (a batch of a size already compiled)."""
    # Where a game means a hundred experiments, fewer do.
    control = STATEMENTS[stated].negative_control(jax.random.key(2), GAMES // (4 if stated != "T6" else 20))
    assert set(control.claims) == set(few.claims)
    for claim in few.claims:
        parts = [control.part(claim=claim, family=family) for family in control.families]
        assert max(part.violations / part.games for part in parts if part.games) >= 0.1, f"{claim}: {control.summary()}"
    if stated in ("T1", "T2"):
        # Their controls are several: each is a family, and each is caught.
        for family in control.families:
            assert control.part(family=family).violations >= 5, family


@pytest.mark.slow
@pytest.mark.parametrize("name", ["T1", "T2"])
def test_constants_are_attained(name):
    examples = STATEMENTS[name].examples()
    assert len(examples) >= 4
    for example in examples:
        assert 0.999 <= example.ratio <= 1 + 1e-6, example


@pytest.mark.slow
def test_three_equilibria_below_half_the_coordination_payoff():
    c = np.array([1.0, 1.0, 2.0, 2.0])
    tau = 0.5 * c * np.array([0.99, 1.01, 0.9, 1.1])
    cases = coordination(c, tau)
    np.testing.assert_array_equal(num_equilibria(cases.problem), [3, 1, 3, 1])
    np.testing.assert_allclose(cases.known.margin, tau - c / 2, atol=1e-12)


@pytest.mark.slow
def test_margin_and_bifurcation_of_coordination_agree_to_nine_digits():
    """κ vanishes at c/2, as certify says too, and there, to 1e-9, one HQRE becomes three."""
    sizes = np.array([0.5, 1.0, 2.0, 3.0])
    margins = [hq.certify(hq.NormalFormGame(c * np.stack([np.eye(2)] * 2)), c / 2, num_starts=0).margin for c in sizes]
    np.testing.assert_allclose(margins, 0.0, atol=1e-9)
    np.testing.assert_allclose(bifurcation(sizes), sizes / 2, rtol=0, atol=1e-9)
    for c, policies in zip(sizes, equilibria_below(sizes), strict=True):
        assert len(policies) == 3
        # The symmetric pitchfork: logit x solves τ x = c tanh(x/2)/…, that is p = 1/(1 + exp(−c(2p−1)/τ)).
        p = policies[:, 0]
        np.testing.assert_allclose(p, 1 / (1 + np.exp(-c * (2 * p - 1) / (0.4995 * c))), atol=1e-7)


@pytest.mark.slow
def test_outcome_depends_on_the_seed_alone(drawn):
    first, again, other = (drawn.check(jax.random.key(seed), GAMES // 4).ratios for seed in (1, 1, 3))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_betting_is_never_far_below_the_mean_and_rarely_above_the_expectation():
    """Exact in the two extremes: runs that do not differ, and a gambler who is almost always ruined."""
    np.testing.assert_allclose(
        betting_lower_bound(np.full((1, 400), 2.0), 1e-3), 2 * (3 / 1e-3) ** (-1 / 400), rtol=1e-9
    )
    rare = (np.random.default_rng(0).random((2_000, 60)) < 0.1) * 10.0
    assert np.mean(betting_lower_bound(rare, 0.05) > 1.0) <= 0.05
    assert np.median(betting_lower_bound(np.random.default_rng(1).exponential(size=(500, 60)), 0.05)) > 0.6
    np.testing.assert_array_equal(betting_lower_bound(np.zeros((2, 5)), 0.1), 0.0)
    assert np.isnan(betting_lower_bound(np.array([1.0, np.nan]), 0.1))


def test_law_of_sampled_responses_is_a_probability_and_known_for_two_actions():
    """Each column adds up to 1, whatever is padded; with two actions it is one value of Φ."""
    table = np.random.default_rng(0).uniform(-1, 1, (4, 2, 5, 5))
    valid = (np.arange(5) < np.array([[5], [4], [3], [2]])).astype(float)
    law = response_law(table, valid, np.array([0.1, 0.5, 1.0, 0.7]))
    np.testing.assert_allclose(law.sum(axis=2), np.broadcast_to(valid[:, None], (4, 2, 5)), rtol=0, atol=1e-14)
    lead = table[3, :, 0, :2] - table[3, :, 1, :2]
    np.testing.assert_allclose(law[3, :, 0, :2], norm.cdf(lead / (0.7 * np.sqrt(2))), rtol=0, atol=1e-14)


@pytest.mark.slow
def test_payoffs_against_drawn_actions_are_unbiased_and_vary_no_more_than_promised():
    """T3s (0) without sampling: the mean over all draws is Q(π) itself, and the variance stays below ς²."""
    game = hq.games.random.random_bayesian(jax.random.key(0), (2, 2), (3, 2))
    problem = hq.Problem(game, 1.0).centered()
    policy = hq.games.random.random_policy(jax.random.key(1), game)
    shape = game.action_mask.shape
    rows = [np.flatnonzero(row) for row in np.asarray(game.action_mask).reshape(-1, shape[-1])]
    pure = np.eye(shape[-1])[np.array(list(itertools.product(*rows)))].reshape(-1, *shape)
    chance = np.prod(np.sum(pure * np.asarray(policy), axis=-1), axis=(1, 2))
    values = jax.jit(jax.vmap(lambda p: problem.evaluate(safe_log(p, problem.mask)).action_values))(jnp.asarray(pure))
    exact = problem.evaluate(jnp.log(jnp.where(problem.mask, policy, 1.0))).action_values
    noise = np.where(problem.mask, np.asarray(values) - np.asarray(exact), 0.0)
    np.testing.assert_allclose(np.einsum("k,kpsa->psa", chance, noise), 0.0, atol=1e-13)
    noise = np.asarray(jax.vmap(lambda x: center(x, problem.mask))(jnp.asarray(noise)))
    variance = np.einsum("k,kpsa->ps", chance, noise**2)
    promised = np.asarray(variance_of(problem, jnp.zeros(()), jnp.ones((), bool)))
    assert np.all((0.05 * promised < variance) & (variance <= promised)), variance / promised


@pytest.mark.slow
def test_few_samples_drift_and_many_oscillate_while_a_margin_settles():
    """Coordination c·I: slopes c and c(1 − 1/n) of best responses, beside HQRE's sum of a few rounds' worth."""
    gaps, external, apart, hqre, compared = STATEMENTS["T7s"].examples()
    assert gaps.ratio == external.ratio == pytest.approx(1.0, rel=1e-12)
    assert apart.ratio == pytest.approx(1.0, abs=0.05)
    assert hqre.ratio < 1
    assert compared.ratio < 0.1


@pytest.mark.slow
def test_a_constant_step_on_sampled_payoffs_costs_what_is_known():
    """Regret in proportion to time: known in closed form where payoffs are 0, and nearly the bound of T3s (c)."""
    for known, bound in zip(*[iter(STATEMENTS["T3s"].examples())] * 2, strict=True):
        assert known.ratio == pytest.approx(1.0, abs=0.05)
        assert 0.8 <= bound.ratio <= 1.0


def test_distance_to_equilibrium_is_a_bound_and_no_wild_one():
    """A planted equilibrium, moved a little: the bound holds and is within a factor of ten in a zero-sum game."""
    base = hq.games.random.random_normal_form(jax.random.key(0), (3, 3), family="zero_sum")
    planted = hq.games.random.random_policy(jax.random.key(1), base)
    tau = 0.8
    problem = hq.Problem(hq.games.manufactured.manufactured(base, planted, tau), tau).centered()
    weights, kappa = jnp.ones((2, 1)), jnp.asarray(tau)
    log_planted = jnp.log(planted)
    exact = accuracy.distance_to_equilibrium(problem, log_planted, weights, kappa)
    assert exact <= 1e-12
    for size in (1e-6, 1e-3, 1e-1):
        moved = problem.log_policy(log_planted + size * jnp.asarray([[[1.0, -1.0, 0.0]], [[0.0, 1.0, -1.0]]]))
        distance = accuracy.total_variation_norm(moved, log_planted, problem, weights)
        bound = accuracy.distance_to_equilibrium(problem, moved, weights, kappa)
        assert distance <= bound <= 10 * distance


def test_symmetric_divergence_is_the_sum_of_both():
    game = hq.games.random.random_normal_form(jax.random.key(0), (3, 2))
    problem = hq.Problem(game, 1.0)
    p, q = (problem.log_policy(jnp.log(jnp.where(game.action_mask, hq.games.random.random_policy(k, game), 1.0)))
            for k in jax.random.split(jax.random.key(1)))  # fmt: skip
    both = kl(p, q, game.action_mask) + kl(q, p, game.action_mask)
    np.testing.assert_allclose(accuracy.symmetric_kl(p, q, problem), both, rtol=1e-12)


def comparison(observed, bound, slack=0.0, usable=None):
    observed = np.asarray(observed, float)
    full = np.broadcast_to(np.asarray(bound, float), observed.shape), np.broadcast_to(slack, observed.shape)
    return Comparison("claim", "family", observed, *full, usable)


def test_violations_are_beyond_slack_and_nan_is_one():
    tally = Outcome((comparison([0.5, 1.0, 1.0 + 1e-9, 1.1, np.nan], 1.0, 1e-8),), 7)
    assert (tally.games, tally.drawn, tally.violations) == (5, 7, 2)


def test_a_game_is_judged_by_its_worst_measurement():
    tally = Outcome((comparison([[0.1, 0.9], [2.0, 0.1]], 1.0),), 2)
    assert tally.violations == 1
    np.testing.assert_allclose(tally.ratios, [0.9, 2.0])
    assert tally.worst == 2.0
    assert tally.median == pytest.approx(1.45)


def test_unresolved_measurements_have_no_ratio_but_can_fail():
    tally = Outcome((comparison([[0.5], [5.0]], 1.0, 0.1),), 2)
    assert (tally.unresolved, tally.violations) == (2, 1)
    assert np.isnan(tally.worst)


def test_unusable_measurements_count_neither_way():
    tally = Outcome((comparison([[np.nan, 0.5], [9.0, 9.0]], 1.0, 0.0, np.array([[False, True], [False, False]])),), 2)
    assert (tally.violations, tally.unresolved) == (0, 1)
    assert tally.worst == 0.5


def test_slack_is_never_negative():
    with pytest.raises(AssertionError, match="never negative"):
        comparison([1.0], 1.0, -1e-3)
