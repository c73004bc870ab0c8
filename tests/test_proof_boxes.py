"""Krawczyk's test on systems that fit on a line: what it accepts is there once, and what it must refuse."""

import numpy as np
import pytest

from hqre_jax.certificates.rigorous._box import contains_one
from hqre_jax.certificates.rigorous._evaluation import Equations
from hqre_jax.certificates.rigorous._matrices import _stretch

flint = pytest.importorskip("flint")


class System(Equations):
    """Equations over balls: as many logits as are said, the rest values."""

    def __init__(self, size, num_logits, formulas):
        self.size, self.num_logits, self.formulas = size, num_logits, formulas

    def __call__(self, unknowns):
        return self.formulas(*unknowns)


def judged(system, centre, radii, whole, rest):
    """Krawczyk's verdict with given preconditioners."""
    column = [float(f) for f in system.formulas(*centre)]
    matrices = [
        flint.arb_mat(*m.shape, m.ravel().tolist()) for m in (np.asarray(whole, float), np.asarray(rest, float))
    ]
    return contains_one(system, centre, radii, tuple(matrices), flint.arb_mat(system.size, 1, column))


NOTHING = np.zeros((0, 0))


@pytest.mark.parametrize(("radius", "inside"), [(0.5, True), (0.99, True), (1.01, False), (1.4, False), (3.0, False)])
def test_the_ratio_is_below_one_or_nothing_is_proved(radius, inside):
    """``y² = 1`` about 1 with C = ½: ``K(B) − y = ± r²``, a ratio of r, and from r = 2 on there are two zeros."""
    square = System(1, 1, lambda y: [y * y - 1.0])
    verdict, ratio = judged(square, [1.0], [radius], [[0.5]], NOTHING)
    assert verdict == inside
    assert ratio == pytest.approx(radius, rel=1e-6)


def test_a_system_without_zeros_has_none():
    """``0·y + 0.3 = 0``: with C = 1 and r = 1 the ratio is 1.3, whatever a generous reader might think."""
    verdict, ratio = judged(System(1, 1, lambda y: [y * 0.0 + 0.3]), [0.0], [1.0], [[1.0]], NOTHING)
    assert not verdict
    assert ratio == pytest.approx(1.3)


def test_the_centre_must_be_near_a_zero():
    """``y = 0.6`` about 0 with r = ½: C F(y) alone leads out of the box, and with r = 1 it does not."""
    line = System(1, 1, lambda y: [y - 0.6])
    assert not judged(line, [0.0], [0.5], [[1.0]], NOTHING)[0]
    assert judged(line, [0.0], [1.0], [[1.0]], NOTHING)[0]


def test_values_must_be_determined_by_logits():
    """``u = 0, z = 0``: one zero in all, yet the value equation says nothing of u, so that other u may share z = 0."""
    crossed = System(2, 1, lambda z, u: [u + 0.0 * z, z + 0.0 * u])
    assert not judged(crossed, [0.0, 0.0], [0.1, 0.1], [[0.0, 1.0], [1.0, 0.0]], [[1.0]])[0]


def test_values_stay_in_their_box_while_logits_stay_in_theirs():
    """``u = 2z`` with z in ±1: u needs more than ±2, though with the whole system any box would do."""
    led = System(2, 1, lambda z, u: [z + 0.0 * u, u - 2.0 * z])
    whole = [[1.0, 0.0], [2.0, 1.0]]
    assert judged(led, [0.0, 0.0], [1.0, 2.5], whole, [[1.0]])[0]
    assert not judged(led, [0.0, 0.0], [1.0, 1.5], whole, [[1.0]])[0]


def test_stretch_of_the_on_policy_backup():
    """``1 + (R−1)²/2R``: 5/3 at R = 3, nothing up to R = 1."""
    assert float(_stretch(flint.arb(3)).mid()) == pytest.approx(5 / 3, rel=1e-15)
    assert _stretch(flint.arb(0.5)) == 1
