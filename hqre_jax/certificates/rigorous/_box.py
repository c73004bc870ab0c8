"""Krawczyk's test: a box in which a system of equations has exactly one solution.

With y the centre of a box B, C any matrix and F'(B) an enclosure of the Jacobian,

    K(B) = y − C F(y) + (I − C F'(B)) (B − y) ⊂ int B

implies that F has one and only one zero in B, and that it lies in K(B) (Krawczyk 1969; Neumaier, Interval Methods
for Systems of Equations, 1990, Theorem 5.1.8).

Logits come first among the unknowns y = (z, u). The equations of the rest (values, occupancies) are affine in u at
fixed z. The same test on them alone, with z anywhere in its part of the box,

    u − C' [F_u(y) + ∂_z F_u(B) (Z − z)] + (I − C' ∂_u F_u(B)) (U − u) ⊂ int U,

shows that their matrix is regular, so that u is determined by z, and that u stays in its part of the box while z
stays in its own: no *other* HQRE has its logits in the box, whatever its values.
"""

from typing import Any

import numpy as np

from hqre_jax.certificates.rigorous._arithmetic import flint, variables
from hqre_jax.certificates.rigorous._evaluation import Equations


def jacobian(equations: Equations, box: list[Any]) -> tuple[list[Any], Any]:
    """F and an enclosure of F' over a box of balls.

    Args:
        equations: The system, over balls.
        box: One ball per unknown.

    Returns:
        List of balls, matrix of balls.
    """
    matrix, size = flint().arb_mat, equations.size
    out = equations(variables(box))
    rows = [entry for f in out for entry in f.slope.entries()]
    return [f.value for f in out], matrix(size, size, rows)


def as_floats(balls: Any) -> np.ndarray:
    """Midpoints of a matrix of balls."""
    entries = np.array([float(b.mid()) for b in balls.entries()])
    return entries.reshape(balls.nrows(), balls.ncols())


def preconditioners(slope: np.ndarray, num_logits: int) -> tuple[Any, Any] | None:
    """Inverses of the whole Jacobian and of its block of values and occupancies, or None where there is none."""
    try:
        whole, rest = np.linalg.inv(slope), np.linalg.inv(slope[num_logits:, num_logits:])
    except np.linalg.LinAlgError:
        return None
    finite = np.isfinite(whole).all() and np.isfinite(rest).all()
    return (_matrix(whole), _matrix(rest)) if finite else None


def contains_one(
    equations: Equations, centre: list[float], radii: list[float], inverses: tuple[Any, Any], value: Any
) -> tuple[bool, float]:
    """Whether exactly one zero of F lies in the box ``centre ± radii``, and no other with its logits there.

    Args:
        equations: The system, over balls.
        centre: Centre y.
        radii: One positive radius per unknown.
        inverses: Two matrices near the inverses of F'(y) and of its second diagonal block; any are sound.
        value: F(y), a matrix with one column.

    Returns:
        The answer, and the largest ratio of ``|K(B) − y|`` to the radii (below 1 where the answer is yes).
    """
    arb, matrix = flint().arb, flint().arb_mat
    size, cut = equations.size, equations.num_logits
    offset = matrix(size, 1, [arb(0, r) for r in radii])
    _, slope = jacobian(equations, [arb(y) + d for y, d in zip(centre, offset.entries(), strict=True)])
    whole, rest = inverses
    # K(B) − y, for all unknowns and then for values and occupancies alone.
    moves = (_identity(size) - whole * slope) * offset - whole * value
    table, offsets, values = slope.tolist(), offset.entries(), value.entries()
    coupling = matrix(size - cut, cut, [e for row in table[cut:] for e in row[:cut]])
    block = matrix(size - cut, size - cut, [e for row in table[cut:] for e in row[cut:]])
    follows = (_identity(size - cut) - rest * block) * matrix(size - cut, 1, offsets[cut:])
    follows -= rest * matrix(size - cut, 1, values[cut:]) + (rest * coupling) * matrix(cut, 1, offsets[:cut])
    ratios = [abs(k) / arb(r) for k, r in zip(moves.entries(), radii, strict=True)]
    ratios += [abs(k) / arb(r) for k, r in zip(follows.entries(), radii[cut:], strict=True)]
    inside = all(ratio < 1 for ratio in ratios)
    return inside, max((float(ratio.upper()) for ratio in ratios), default=0.0)


def _matrix(entries: np.ndarray) -> Any:
    return flint().arb_mat(*entries.shape, [float(e) for e in entries.ravel()])


def _identity(size: int) -> Any:
    return flint().arb_mat(size, size, [int(k == j) for k in range(size) for j in range(size)])
