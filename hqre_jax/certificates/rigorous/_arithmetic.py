"""Balls that are certain to contain their number, and forward derivatives of them.

A ball (python-flint's ``arb``) is a midpoint and a radius; every operation rounds outwards. All formulas of this
package are written for *scalars*: Python floats, balls, or `Dual` numbers over balls.
"""

import math
from typing import Any, no_type_check

from hqre_jax.core._types import InputError


def flint() -> Any:
    """The module ``flint`` of python-flint.

    Raises:
        InputError: If it is not installed.
    """
    try:
        import flint
    except ImportError:
        raise InputError("rigorous", "needs python-flint: pip install 'hqre-jax[rigorous]'") from None
    return flint


# A million of these operations make a proof: no wrapper of a run-time type checker may stand around them.
@no_type_check
class Dual:
    """A ball together with the row of its partial derivatives.

    Args:
        value: Ball.
        slope: Matrix of balls with one row.
    """

    __slots__ = ("slope", "value")

    def __init__(self, value, slope):
        self.value = value
        self.slope = slope

    def __add__(self, other):
        if isinstance(other, Dual):
            return Dual(self.value + other.value, self.slope + other.slope)
        return Dual(self.value + other, self.slope)

    def __sub__(self, other):
        if isinstance(other, Dual):
            return Dual(self.value - other.value, self.slope - other.slope)
        return Dual(self.value - other, self.slope)

    def __rsub__(self, other):
        return Dual(other - self.value, -self.slope)

    def __mul__(self, other):
        if isinstance(other, Dual):
            return Dual(self.value * other.value, self.slope * other.value + other.slope * self.value)
        return Dual(self.value * other, self.slope * other)

    def __truediv__(self, other):
        if isinstance(other, Dual):
            quotient = self.value / other.value
            return Dual(quotient, (self.slope - other.slope * quotient) * (1 / other.value))
        return Dual(self.value / other, self.slope * (1 / other))

    def __rtruediv__(self, other):
        quotient = other / self.value
        return Dual(quotient, self.slope * (-quotient / self.value))

    def __neg__(self):
        return Dual(-self.value, -self.slope)

    def exp(self):
        """``e^x``."""
        value = self.value.exp()
        return Dual(value, self.slope * value)

    def log(self):
        """``log x``."""
        return Dual(self.value.log(), self.slope * (1 / self.value))

    __radd__ = __add__
    __rmul__ = __mul__


@no_type_check
def exp(x):
    """``e^x`` of a scalar."""
    return math.exp(x) if isinstance(x, float) else x.exp()


@no_type_check
def log(x):
    """``log x`` of a scalar."""
    return math.log(x) if isinstance(x, float) else x.log()


def variables(box: list[Any]) -> list[Dual]:
    """The coordinates of a box of balls as the variables of differentiation."""
    matrix = flint().arb_mat
    size = len(box)
    return [Dual(x, matrix(1, size, [int(k == j) for j in range(size)])) for k, x in enumerate(box)]
