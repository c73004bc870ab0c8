"""The theorem ledger: statements hold, their bounds are not vacuous, controls are caught, and the tally is honest."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax._simplex import kl
from proofs_check import STATEMENTS, Comparison, Outcome, __main__
from proofs_check import _accuracy as accuracy
from proofs_check import _markov_stages as stages
from proofs_check import t3_bounded_regret as t3
from proofs_check import t4_markov as t4
from proofs_check import t6_diagnostics as t6
from proofs_check import t7_pathologies as t7
from proofs_check import t8_heterogeneity as t8
from proofs_check.t1_uniqueness import MONOTONE, ONE, coordination, num_equilibria
from proofs_check.t2_linear_convergence import PREDICTED, RATE, STEP

GAMES = 400
# The least that the worst observed/bound must reach, lest a bound be true because it is empty.
LEAST_RATIO = {MONOTONE: 0.99, ONE: 1e-3, STEP: 0.99, RATE: 0.5, PREDICTED: 1e-4}
LEAST_RATIO |= {t3.IDENTITY: 0.999, t3.ROUND: 0.6, t3.TOTAL: 0.2, t3.LOSS: 0.1, t3.LINEAR: 0.05, t3.SLOPE: 0.4}
LEAST_RATIO |= {t4.SOFT: 0.99, t4.COUPLED: 0.99, t4.FIXED_POINT: 0.5, stages.SHAPLEY: 0.99, stages.NESTED: 0.9}
LEAST_RATIO |= {t6.MARGIN: 0.7, t6.STEEPNESS: 0.99, t6.RATIO: 0.99, t6.COVERAGE: 0.5, t6.MISSED: 0.0, t6.FALSE: 1e-3}
LEAST_RATIO |= {t7.OSCILLATION: 0.999, t7.LARGE_STEPS: 0.999, t7.DRIFT: 0.5, t7.RATE: 0.9, t7.SELECTION: 1e-3}
LEAST_RATIO |= {t8.MARGIN: 0.999, t8.CERTIFIED: 0.99, t8.LEAST: 0.999, t8.GAIN: 0.999, t8.CLOSED: 0.999, t8.BIAS: 0.2}


@pytest.fixture(scope="module", params=STATEMENTS.values(), ids=STATEMENTS)
def statement(request):
    return request.param


@pytest.fixture(scope="module")
def outcome(statement):
    return statement.check(jax.random.key(1), GAMES)


@pytest.mark.slow
def test_statement_holds(outcome):
    assert outcome.violations == 0, outcome.summary()
    # Games are drawn to satisfy the hypothesis; where a bound falls short of it they drop out.
    assert 0.98 * GAMES <= outcome.games <= outcome.drawn


@pytest.mark.slow
def test_bounds_are_not_vacuous(outcome):
    for claim in outcome.claims:
        part = outcome.part(claim=claim)
        assert claim in LEAST_RATIO, f"say in LEAST_RATIO how close to its bound {claim!r} must come"
        assert LEAST_RATIO[claim] <= part.worst <= 1 + 1e-3, f"{claim}: {part.worst}"
        assert part.unresolved <= 0.05 * GAMES, f"{claim}: {part.unresolved} games say nothing"


@pytest.mark.slow
def test_negative_control_is_caught(statement):
    """Without the hypothesis the same measurements fail, and in many games (a batch of a size already compiled)."""
    control = statement.negative_control(jax.random.key(2), GAMES // 4)
    assert control.violations >= 10, control.summary()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["T1", "T2"])
def test_constants_are_attained(name):
    examples = STATEMENTS[name].sharpness()
    assert len(examples) >= 4
    for example in examples:
        assert 0.999 <= example.ratio <= 1 + 1e-6, example


@pytest.mark.slow
def test_three_equilibria_below_half_the_coordination_payoff():
    c = np.array([1.0, 1.0, 2.0, 2.0])
    tau = 0.5 * c * np.array([0.99, 1.01, 0.9, 1.1])
    cases = coordination(c, tau)
    np.testing.assert_array_equal(num_equilibria(cases), [3, 1, 3, 1])
    np.testing.assert_allclose(cases.known.margin, tau - c / 2, atol=1e-12)


@pytest.mark.slow
def test_outcome_depends_on_the_seed_alone(statement, outcome):
    again = statement.check(jax.random.key(1), GAMES)
    other = statement.check(jax.random.key(3), GAMES)
    np.testing.assert_array_equal(outcome.ratios, again.ratios)
    assert not np.array_equal(outcome.ratios, other.ratios)


def test_distance_to_equilibrium_is_a_bound_and_no_wild_one():
    """A planted equilibrium, moved a little: the bound holds and is within a factor of ten in a zero-sum game."""
    base = hq.random_normal_form(jax.random.key(0), (3, 3), family="zero_sum")
    planted = hq.random_policy(jax.random.key(1), base)
    tau = 0.8
    problem = hq.Problem(hq.manufactured(base, planted, tau), tau).centered()
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
    game = hq.random_normal_form(jax.random.key(0), (3, 2))
    problem = hq.Problem(game, 1.0)
    p, q = (problem.log_policy(jnp.log(jnp.where(game.action_mask, hq.random_policy(k, game), 1.0)))
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


@pytest.fixture
def ledger(monkeypatch):
    """A ledger of one statement whose outcomes the test chooses."""

    def install(observed, control):
        statement = replace(
            STATEMENTS["T1"],
            check=lambda key, num: Outcome((comparison(observed, 1.0),), num),
            negative_control=lambda key, num: Outcome((comparison(control, 1.0),), num),
            sharpness=tuple,
        )
        monkeypatch.setattr(__main__, "STATEMENTS", {"T1": statement})

    return install


@pytest.mark.parametrize(
    ("observed", "control", "code"),
    [([0.5, 0.9], [2.0], 0), ([0.5, 1.1], [2.0], 1), ([0.5, 0.9], [0.5], 1)],
    ids=["holds", "violated", "control not caught"],
)
def test_exit_code(ledger, capsys, observed, control, code):
    ledger(observed, control)
    assert __main__.main(["--games", "3", "--seed", "5"]) == code
    printed = capsys.readouterr().out
    assert "0.9" in printed or "1.1" in printed
    assert ("NOT CAUGHT" in printed) == (control == [0.5])


@pytest.mark.parametrize("arguments", [["--theorem", "T0"], ["--games", "0"], ["--games", "many"]])
def test_bad_arguments_end_with_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        __main__.main(arguments)
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err
