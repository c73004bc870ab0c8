"""T9: the ascent climbs, what it differentiates is the truth, and it catches a wrong constant."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from proofs_check import statements
from proofs_check.adversary.ascent import ascend, constants
from proofs_check.adversary.attack import NUM_STEPS, judged
from proofs_check.adversary.positions import draw
from proofs_check.games.certified import known_bounds
from proofs_check.t9_falsification.claims import targets

RUNS = 10


@pytest.fixture(scope="module")
def positions():
    return draw(np.random.default_rng(1), RUNS)


@pytest.fixture(scope="module")
def ended(positions):
    target = targets()["T2"]
    return ascend(target.score, positions, target.remember(positions), NUM_STEPS)


def test_every_statement_about_games_has_an_adversary():
    assert {"T1", "T2", "T3", "T4", "T7", "T8"} <= set(targets()) <= set(statements())


@pytest.mark.thorough
@pytest.mark.slow
def test_the_adversary_of_t2_comes_close_and_no_further(positions, ended):
    target = targets()["T2"]
    best, reached = ended
    before, after = (judged(target, where, jax.random.key(0)) for where in (positions, best))
    assert not after.violated.any()
    assert np.nanmedian(before.ratios) < 0.5
    assert np.nanmedian(after.ratios) >= 0.8
    assert np.nanmax(after.ratios) >= 0.84
    # What was climbed is what is judged, up to the start's distance from the HQRE (and weights found anew).
    np.testing.assert_allclose(np.median(reached), np.nanmedian(after.ratios), rtol=0.02)


@pytest.mark.slow
def test_twice_the_margin_is_caught(ended):
    wrong = judged(targets()["T2"], ended[0], jax.random.key(0), 2.0)
    assert wrong.violated.sum() >= RUNS // 2
    assert np.nanmedian(wrong.ratios) > 1.1


@pytest.mark.thorough
@pytest.mark.slow
def test_constants_and_their_derivatives_are_those_of_the_library(positions):
    """κ and L at fixed weights agree with `bounds`; the slope of κ with a difference quotient of the library's κ."""
    position = jax.tree.map(lambda x: x[0], positions)
    direction = jnp.asarray(np.random.default_rng(2).standard_normal(position.payoffs.shape))

    def posed_at(length):
        moved = position._replace(payoffs=position.payoffs + length * direction)
        payoffs = moved.payoffs / jnp.sqrt(jnp.mean(moved.payoffs**2))
        return hq.Problem(hq.NormalFormGame(payoffs), jnp.exp(moved.pattern)).centered()

    known, proved = (
        constants(posed_at(0.0)),
        known_bounds(jax.tree.map(lambda x: x[None], posed_at(0.0))),
    )
    np.testing.assert_allclose(known.margin, proved.margin[0], rtol=1e-10)
    np.testing.assert_allclose(known.lipschitz, proved.lipschitz[0], rtol=1e-10)
    slope = jax.grad(lambda length: constants(posed_at(length)).margin)(0.0)
    step = 1e-3
    both = jax.tree.map(lambda *x: jnp.stack(x), posed_at(step), posed_at(-step))
    margins = np.asarray(known_bounds(both).margin)
    np.testing.assert_allclose(slope, (margins[0] - margins[1]) / (2 * step), rtol=0.02)
