"""Which decision points interact in games of one simultaneous move, and how strongly (theory.md §3)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from hqre_jax.bounds._matrices import affords_exact, doubly_centered, exact_double_difference
from hqre_jax.core._namespace import Array, add_up, namespace
from hqre_jax.core._types import InputError
from hqre_jax.problem import Problem

Matrix = Float[Array, "n n"]
Vector = Float[Array, " n"]


class Pairs(NamedTuple):
    """`PairPayoffs`, from which the strength of interactions is computed."""

    rows: Int[Array, " m"]
    cols: Int[Array, " m"]
    to_row: Float[Array, "m k a b"]
    to_col: Float[Array, "m k a b"]
    row_mask: Bool[Array, "m a"]
    col_mask: Bool[Array, "m b"]

    @property
    def work(self) -> int:
        """Comparisons of one pass."""
        return self.to_row.size * min(self.to_row.shape[-2:])

    def centered(self) -> "Pairs":
        """The same interactions; payoffs that are too many for exact double differences are doubly centred.

        Centring is linear: done once, it serves every combination of the two players' payoffs.
        """
        if affords_exact(self.to_row.shape):
            return self
        masks = self._masks()
        return self._replace(to_row=doubly_centered(self.to_row, *masks), to_col=doubly_centered(self.to_col, *masks))

    def _masks(self) -> tuple[Bool[Array, "m k a"], Bool[Array, "m k b"]]:
        shape, xp = self.to_row.shape, namespace(self.to_row)
        rows = xp.broadcast_to(self.row_mask[:, None], shape[:3])
        return rows, xp.broadcast_to(self.col_mask[:, None], (*shape[:2], shape[3]))

    def interaction(self, p: Float[Array, "*c m"], q: Float[Array, "*c m"]) -> Float[Array, "*c m"]:
        """``max_k dd(p u_row + q u_col)``, rounded up; a bound on it where the payoffs are doubly `centered`.

        Multipliers may have further axes before the pairs'.

        Rounding: each entry of the sum is wrong by at most eps·top, ``top = p max|u_row| + q max|u_col|``; four
        entries make 4 eps·top, the three subtractions another 4, the centring of the payoffs 2: 16 covers them.
        """
        xp = namespace(self.to_row)
        shape = *p.shape[:-1], *self.to_row.shape
        to_row, to_col = (xp.broadcast_to(payoff, shape) for payoff in (self.to_row, self.to_col))
        total = p[..., None, None, None] * to_row + q[..., None, None, None] * to_col
        if affords_exact(self.to_row.shape):
            masks = (xp.broadcast_to(mask, (*shape[:-2], mask.shape[-1])) for mask in self._masks())
            widest = xp.max(exact_double_difference(total, *masks), axis=-1)
        else:
            # Row by row first: that the compiler spreads over the cores.
            widest = 4.0 * xp.max(xp.max(xp.abs(total), axis=-1), axis=(-1, -2))
        of_row, of_col = (
            xp.broadcast_to(xp.max(xp.abs(payoff), axis=(1, 2, 3)), p.shape) for payoff in (self.to_row, self.to_col)
        )
        return widest + 16 * jnp.finfo(total.dtype).eps * (p * of_row + q * of_col)


class Interactions(NamedTuple):
    """All interactions of decision points ``x = player·X + state``, under one law of worlds.

    Attributes:
        groups: Pairs of equal shape together.
        law: Probability of each world (1 for the edges of a polymatrix game).
        reach: Probability ``P(x)`` of each decision point; 1 where it is not kept.
        keep: The decision points that count.

    Example:
        >>> import hqre_jax as hq
        >>> found = hq.bounds.interactions_under(hq.Problem(hq.load_game("stag_hunt"), 8.0), 0)
        >>> print(found.influence())
        [[0.  1.5]
         [1.5 0. ]]
    """

    groups: Sequence[Pairs]
    law: Float[Array, " m"]
    reach: Vector
    keep: Bool[Array, " n"]

    @property
    def work(self) -> int:
        """Comparisons of one pass over all pairs."""
        return sum(g.work for g in self.groups)

    def ends(self) -> tuple[Int[Array, " m"], Int[Array, " m"]]:
        """Row and column decision point of every pair, in the order of `own_parts` and `common_parts`."""
        nothing = namespace(self.reach).zeros(0, int)
        rows, cols = (_joined([getattr(g, side) for g in self.groups], nothing) for side in ("rows", "cols"))
        return rows, cols

    def common(self, v: Vector) -> Matrix:
        """``C_xy = ¼ Σ_w P(w) max dd(v_x u_i + v_y u_j)``, rounded up; symmetric with zero diagonal."""
        parts = self.common_parts(v)
        return self._summed(parts, parts)

    def common_parts(self, v: Vector) -> Float[Array, " m"]:
        """What each pair adds to `common`."""
        return self._weighted(self._widest(v, v))

    def common_and_pull(self, v: Float[Array, "*c n"]) -> tuple[Float[Array, "*c n n"], Float[Array, "*c n n"]]:
        """`common`, and ``v_x ∂C_xy/∂v_x − ½ C_xy``, at every vector of multipliers.

        A pair's C is homogeneous of degree 1 in ``(v_x, v_y)``: one derivative gives the other, and the second matrix
        is antisymmetric. A difference quotient is enough, for C is piecewise linear.
        """
        step, xp = jnp.finfo(v.dtype).eps ** (1 / 3), namespace(v)
        widest, nudged = self._widest(xp.stack([v, (1 + step) * v]), xp.stack([v, v]))
        pull = (nudged - widest) / step - 0.5 * widest
        common, pulls = self._summed(*self._weighted(xp.stack([xp.stack([widest, pull]), xp.stack([widest, -pull])])))
        return common, pulls

    def own(self) -> Matrix:
        """``J_xy = ¼ Σ_w P(w) max dd(u_i)``, rounded up: how strongly y moves x."""
        to_row, to_col = self.own_parts()
        return self._summed(to_row, to_col)

    def own_parts(self) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        """What each pair adds to `own`: in how strongly its column moves its row, and the other way round."""
        xp, dtype = namespace(self.reach), self.reach.dtype
        one = xp.eye(2, dtype=dtype)[:, :, None]
        seen = [g.interaction(*xp.tile(one, g.rows.size)) for g in self.groups]
        to_row, to_col = self._weighted(_joined(seen, xp.zeros((2, 0), dtype)))
        return to_row, to_col

    def influence(self) -> Matrix:
        """``Λ_xy = ¼ Σ_w P(w|x) max dd(u_i)``, rounded up."""
        return self.own() / self.reach[:, None]

    def _widest(self, of_rows: Float[Array, "*c n"], of_cols: Float[Array, "*c n"]) -> Float[Array, "*c m"]:
        """Interactions of all pairs, under multipliers of the row players and of the column players."""
        seen = [g.interaction(of_rows[..., g.rows], of_cols[..., g.cols]) for g in self.groups]
        return _joined(seen, namespace(of_rows).zeros((*of_rows.shape[:-1], 0), of_rows.dtype))

    def _weighted(self, values: Float[Array, "*c m"]) -> Float[Array, "*c m"]:
        """``¼ P(w) ·`` of a quantity of every pair; 0 at those that do not count.

        Rounded up for the sums over pairs and the handful of products after them: relative errors of terms that are
        not negative.
        """
        xp, (rows, cols) = namespace(values), self.ends()
        up = 1 + 4 * (rows.size + 8) * jnp.finfo(values.dtype).eps
        share = xp.tile(0.25 * self.law, rows.size // self.law.size) * up
        return values * xp.broadcast_to(xp.where(self.keep[rows] & self.keep[cols], share, 0.0), values.shape)

    def _summed(self, to_row: Float[Array, "*c m"], to_col: Float[Array, "*c m"]) -> Float[Array, "*c n n"]:
        """Matrices of quantities of every pair, given as seen from the row and from the column."""
        xp, n, (rows, cols) = namespace(to_row), self.keep.size, self.ends()
        # Counted, for of a game of one player there are no pairs to count by.
        values = xp.concatenate([to_row, to_col], axis=-1).reshape(math.prod(to_row.shape[:-1]), 2 * rows.size)
        slots = xp.concatenate([rows * n + cols, cols * n + rows])
        return add_up(xp, values.T, slots, n * n).T.reshape(*to_row.shape[:-1], n, n)


def _joined(parts: Sequence[Array], nothing: Array) -> Array:
    """The parts one behind the other; nothing where there are none, as in a game of one player."""
    return namespace(nothing).concatenate([nothing, *parts], axis=-1)


def laws_of(problem: Problem) -> tuple[Sequence[Pairs], Float[Array, "law m"], Float[Array, "law n"]]:
    """Interactions of a game, the laws that its decision points believe in, and how likely these are under each.

    The first law is the prior; the second, if there is one, is what types of probability zero believe in, the uniform.

    Raises:
        InputError: If not everybody moves once and at once.
    """
    known = problem.game.pairwise_payoffs()
    if known is None:
        raise InputError("game", "must be a normal form, a polymatrix or a Bayesian game: everybody moves once")
    scaled = [g._replace(to_row=g.to_row * problem.scale, to_col=g.to_col * problem.scale) for g in known.groups]
    return [Pairs(*group).centered() for group in scaled], known.laws, known.reach


def interactions_under(problem: Problem, law: int) -> Interactions | None:
    """Interactions of the game without its irrelevant payoff terms, among the decision points that a law is about.

    Args:
        problem: A problem in which everybody moves once and at once.
        law: 0 for the prior and the points that it reaches, 1 for the uniform law and all other points.

    Returns:
        The interactions; None where there is one law only and ``law`` is 1.

    Example:
        >>> import hqre_jax as hq
        >>> problem = hq.Problem(hq.load_game("matching_pennies"), 1.0)
        >>> found = hq.bounds.interactions_under(problem, 0)
        >>> print(found.own().round(3))
        [[0. 1.]
         [1. 0.]]
        >>> print(found.common(found.reach).round(3))
        [[0. 0.]
         [0. 0.]]
    """
    groups, laws, reach = laws_of(problem.centered())
    if law >= len(laws):
        return None
    xp = namespace(problem.tau)
    used = xp.any(problem.game.action_mask, axis=-1).ravel()
    keep = used & (reach[0] > 0) if law == 0 else used & ~(reach[0] > 0)
    return Interactions(groups, laws[law], xp.where(keep, reach[law], 1.0), keep)
