"""T9: the ascent climbs, what it differentiates is the truth, and it catches a wrong constant."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from proofs_check import STATEMENTS, t9_adversary
from proofs_check import _attacks as attacks
from proofs_check._ascent import ascend

RUNS = 10


@pytest.fixture(scope="module")
def positions():
    return attacks.draw(np.random.default_rng(1), RUNS)


@pytest.fixture(scope="module")
def ended(positions):
    target = attacks.TARGETS["T2"]
    return ascend(target.score, positions, target.remember(positions), t9_adversary._NUM_STEPS)


def test_every_statement_about_games_has_an_adversary():
    assert {name for name, s in STATEMENTS.items() if s.adversary is not None} == set(attacks.TARGETS)
    assert {"T1", "T2", "T3", "T4", "T7", "T8"} <= set(attacks.TARGETS)


@pytest.mark.thorough
@pytest.mark.slow
def test_the_adversary_of_t2_comes_close_and_no_further(positions, ended):
    target = attacks.TARGETS["T2"]
    best, reached = ended
    before, after = target.judge(positions, jax.random.key(0)), target.judge(best, jax.random.key(0))
    assert not after.violated.any()
    assert np.nanmedian(before.ratios) < 0.5
    assert np.nanmedian(after.ratios) >= 0.8
    assert np.nanmax(after.ratios) >= 0.84
    # What was climbed is what is judged, up to the start's distance from the HQRE (and weights found anew).
    np.testing.assert_allclose(np.median(reached), np.nanmedian(after.ratios), rtol=0.02)


@pytest.mark.slow
def test_twice_the_margin_is_caught(ended):
    wrong = attacks.judge_as_if(attacks.TARGETS["T2"], ended[0], jax.random.key(0), 2.0)
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
        return attacks.hq.Problem(attacks.hq.NormalFormGame(payoffs), jnp.exp(moved.pattern)).centered()

    known, proved = (
        attacks.constants(posed_at(0.0)),
        attacks.known_bounds(jax.tree.map(lambda x: x[None], posed_at(0.0))),
    )
    np.testing.assert_allclose(known.margin, proved.margin[0], rtol=1e-10)
    np.testing.assert_allclose(known.lipschitz, proved.lipschitz[0], rtol=1e-10)
    slope = jax.grad(lambda length: attacks.constants(posed_at(length)).margin)(0.0)
    step = 1e-3
    both = jax.tree.map(lambda *x: jnp.stack(x), posed_at(step), posed_at(-step))
    margins = np.asarray(attacks.known_bounds(both).margin)
    np.testing.assert_allclose(slope, (margins[0] - margins[1]) / (2 * step), rtol=0.02)
