"""T1, T2 and T4 on games with whole-number payoffs: they hold, and what breaks a wrong version shrinks to a sight."""

import jax
import numpy as np
import pytest
import strategies
from hypothesis import find, given, settings

import hqre_jax as hq
from proofs_check import statements
from proofs_check.comparison import batch_of_one
from proofs_check.numerics.counting import distinct, find_all

pytestmark = pytest.mark.thorough


def judged(name, problem):
    """The statement's claims for one problem."""
    return statements()[name].measure(batch_of_one(problem), jax.random.key(0))


def assert_holds(name, problem):
    for comparison in judged(name, problem):
        assert not comparison.violated.any(), f"{comparison.claim}: {comparison.observed} > {comparison.bound}"
        # A hypothesis that fails leaves nothing to compare; what is compared can be taken out and looked at.
        assert len(comparison.observed) == len(comparison.problems.tau)


@pytest.mark.slow
@settings(max_examples=15)
@given(strategies.normal_forms())
def test_t1_holds(recipe):
    assert_holds("T1", recipe.problem())


@pytest.mark.slow
@settings(max_examples=15)
@given(strategies.polymatrices())
def test_t2_holds(recipe):
    assert_holds("T2", recipe.problem())


@pytest.mark.slow
@settings(max_examples=15)
@given(strategies.markov_games())
def test_t4_holds(recipe):
    assert_holds("T4", recipe.problem())


@pytest.mark.slow
def test_measure_says_nothing_where_the_hypothesis_fails():
    """Coordination far below its threshold: no margin, no claim, and no crash either."""
    game = hq.NormalFormGame(np.stack([[[4.0, 0], [0, 4], [0, 0]]] * 2))
    assert judged("T1", hq.Problem(game, 0.1)) == ()
    assert [len(comparison.observed) for comparison in judged("T1", hq.Problem(game, 10.0))] == [1, 1, 1]


@pytest.mark.slow
def test_a_wrong_uniqueness_theorem_shrinks_to_a_small_game():
    """ "One HQRE wherever τ is a fifth of the largest payoff" is false; the simplest game that shows it says why."""

    def breaks(recipe):
        (payoffs,) = recipe.arrays
        if not recipe.tau.min() * 5 >= np.abs(payoffs).max() > 0:
            return False
        policies, sizes = find_all(batch_of_one(recipe.problem()), jax.random.split(jax.random.key(0), 1))
        return distinct(np.asarray(policies), np.asarray(sizes) <= 1e-10)[0] > 1

    options = settings(max_examples=2000, derandomize=True, database=None)
    (payoffs,) = find(strategies.normal_forms(), breaks, settings=options).arrays
    # Two conventions are what it takes: both players, and little else.
    assert (np.abs(payoffs).sum(axis=(1, 2)) > 0).all()
    assert np.count_nonzero(payoffs) <= 6
