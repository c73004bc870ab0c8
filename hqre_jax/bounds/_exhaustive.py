"""Uniqueness by exhaustion: every HQRE of a small normal form is enclosed, and its index is shown to be +1.

*Theorem.* Let ``R`` be the logit response on the product X of the simplices. If ``det(I − DR(π)) > 0`` (on the
tangent space of X) at every HQRE π, there is exactly one.

*Proof.* R maps X into its relative interior, so no ``t R + (1−t) R₀`` with R₀ constant and interior has a fixed point
on the boundary: the degree of ``I − R`` is that of ``I − R₀``, which is 1. Where all zeros are regular the degree is
the sum of the signs of ``det(I − DR)`` over them. If all are +1, there is one of them. ∎

X is covered by boxes ``B = {lo ≤ π ≤ hi}``. An HQRE in B lies in ``B ∩ R(B)`` too: boxes shrink, and go where nothing
is left. A box may also go once all matrices between entrywise bounds of ``I − DR`` have a positive determinant:
with any C, if ``‖I − C G‖ < 1`` for all G between the bounds, no G is singular, the sign of det G is the same for all
of them, and it is that of their midpoint's. All other boxes are cut in two. If no box is left, the theorem applies.

Linear functions of one policy are bounded over ``B_j ∩ simplex`` by duality: for every k, ``Σ_b c_b π_b ≤ c_k +
Σ_b max((c_b − c_k) lo_b, (c_b − c_k) hi_b)``. Everything is computed in float64 and widened by more than its rounding.
"""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from hqre_jax.problem import Problem

# Dimensions that are cut, and joint actions, beyond which no exhaustion is tried.
MAX_DIMENSIONS, MAX_JOINT_ACTIONS = 6, 512
# Boxes looked at together, sweeps of the response over each, and the width at which a box is given up.
_CHUNK, _SWEEPS, _NARROWEST = 1024, 2, 1e-7
# Candidates for equilibria to report.
_MAX_HINTS = 24
_EPS = np.finfo(np.float64).eps

Bounded = tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]


class Exhaustion(NamedTuple):
    """What became of the boxes.

    Attributes:
        unique: Whether it is proved that there is exactly one HQRE.
        num_boxes: Boxes looked at.
        hints: Policies near which HQRE may lie, ``(hint, player, information state, action)``, most promising first.

    Example:
        >>> import hqre_jax as hq
        >>> found = hq.bounds.exhaust(hq.Problem(hq.load_game("stag_hunt"), 0.5))
        >>> found.unique, found.hints.shape[1:]
        (False, (2, 1, 2))
    """

    unique: bool
    num_boxes: int
    hints: Float[np.ndarray, "hint player state action"]


def can_exhaust(problem: Problem) -> bool:
    """Whether the game is a normal form in float64 with few enough dimensions and joint actions.

    Args:
        problem: The problem.

    Returns:
        Whether `exhaust` may be asked.

    Example:
        >>> import hqre_jax as hq
        >>> names = "stag_hunt", "kuhn_poker"
        >>> [hq.bounds.can_exhaust(hq.Problem(hq.load_game(name), 2.0)) for name in names]
        [True, False]
    """
    if problem.game.payoff_tensor() is None or problem.game.dtype != np.float64:
        return False
    counts = np.asarray(problem.mask).sum(-1)[:, 0]
    free = int(np.sum(counts - 1) - np.max(counts - 1))
    return len(counts) > 1 and free <= MAX_DIMENSIONS and int(np.prod(counts)) <= MAX_JOINT_ACTIONS


def exhaust(problem: Problem, max_boxes: int = 50_000) -> Exhaustion:
    """Try to prove that a normal form has exactly one HQRE, by the theorem at the head of this file.

    The policy of the player with most actions is never cut: it is the response to the others'. For two players with
    two actions one probability is cut, for two with three actions two.

    Args:
        problem: A problem for which `can_exhaust` holds; its values known.
        max_boxes: Boxes to look at before giving up.

    Returns:
        The `Exhaustion`. Where two HQRE exist ``unique`` is False, whatever the budget.

    Source: Milnor (1965) for the degree; Neumaier (1990) for the enclosures.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> hq.bounds.exhaust(hq.Problem(game, 8.0)).unique, hq.bounds.exhaust(hq.Problem(game, 0.5)).unique
        (True, False)
    """
    table = _Tables(problem)
    num_players = len(table.counts)
    lo, hi = [np.zeros((1, a)) for a in table.counts], [np.ones((1, a)) for a in table.counts]
    seen, stuck = 0, False
    hints: list[tuple[float, list[np.ndarray]]] = []
    with np.errstate(all="ignore"):  # inf and nan only ever widen a bound or fail a test
        while len(lo[0]) and seen < max_boxes and not stuck:
            chunk = [part[-_CHUNK:] for part in lo], [part[-_CHUNK:] for part in hi]
            lo, hi = [part[:-_CHUNK] for part in lo], [part[:-_CHUNK] for part in hi]
            seen += len(chunk[0][0])
            below, above = table.shrink(*chunk)
            sure = table.positive_determinant(below, above)
            width = np.stack([np.max(above[j] - below[j], axis=1) for j in table.cut], axis=1)
            small = np.max(width, axis=1) < _NARROWEST
            stuck = bool(np.any(small & ~sure))
            hints += table.candidates(below, above, sure | small)
            hints = sorted(hints, key=lambda hint: hint[0])[: 8 * _MAX_HINTS]
            keep = ~sure
            below, above = table.halve([b[keep] for b in below], [a[keep] for a in above], width[keep])
            lo = [np.concatenate([lo[j], below[j]]) for j in range(num_players)]
            hi = [np.concatenate([hi[j], above[j]]) for j in range(num_players)]
    unique = not stuck and not len(lo[0])
    return Exhaustion(unique, seen, table.policies([policies for _, policies in hints]))


class _Tables:
    """Payoff differences of a game, and bounds over many boxes at once."""

    def __init__(self, problem: Problem):
        tensor = problem.game.payoff_tensor()
        assert tensor is not None
        self.mask = np.asarray(problem.mask)[:, 0]
        actions = [np.flatnonzero(row) for row in self.mask]
        self.counts = [len(chosen) for chosen in actions]
        payoffs = np.asarray(tensor) * float(problem.scale)
        payoffs = [own[np.ix_(*actions)] for own in payoffs]
        self.tau = np.asarray(problem.tau)[:, 0]
        self.log_reference = [np.asarray(problem.log_reference)[i, 0, a] for i, a in enumerate(actions)]
        players = range(len(actions))
        self.uncut = int(np.argmax(self.counts))
        self.cut = [j for j in players if j != self.uncut]
        # What rounding may do to a logit and to an entry of the Jacobian, relative to payoffs over τ.
        size = np.prod(self.counts) + 64.0
        self.rounding = np.array([16 * size * _EPS * np.abs(own).max(initial=0) for own in payoffs]) / self.tau
        # gains[i][a, b, others]: what a pays player i more than b.
        self.gains = []
        for i in players:
            own = np.moveaxis(payoffs[i], i, 0) / self.tau[i]
            self.gains.append(own[:, None] - own[None, :])
        # twists[i, j][a, c, a', others]: how much more a gains on a' as j moves from its first action to c ≥ 1.
        self.twists = {}
        for i, j in itertools.permutations(players, 2):
            gain = np.moveaxis(self.gains[i], (j if j > i else j + 1) + 1, 2)
            self.twists[i, j] = np.moveaxis(gain[:, :, 1:] - gain[:, :, :1], 1, 2)[1:]

    def shrink(self, lo: list[np.ndarray], hi: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """``B ∩ R(B)``, some times over; boxes left empty are dropped."""
        lo, hi = list(lo), list(hi)
        for _ in range(_SWEEPS):
            for i in (self.uncut, *self.cut):
                below, above = self.response(i, lo, hi)
                below, above = np.maximum(below, lo[i]), np.minimum(above, hi[i])
                # What the other actions leave over; the slack covers the rounding of these sums.
                slack = 4 * (self.counts[i] + 2) * _EPS
                rest_below = below.sum(1, keepdims=True) - below
                rest_above = above.sum(1, keepdims=True) - above
                lo[i] = np.maximum(below, 1 - rest_above - slack)
                hi[i] = np.minimum(above, 1 - rest_below + slack)
                alive = np.all(lo[i] <= hi[i], axis=1)
                if not alive.all():
                    lo, hi = [part[alive] for part in lo], [part[alive] for part in hi]
        return lo, hi

    def response(self, i: int, lo: list[np.ndarray], hi: list[np.ndarray]) -> Bounded:
        """Bounds on ``R_i(a) = 1/Σ_b (ρ_b/ρ_a) exp((Q_b − Q_a)/τ)`` over each box."""
        most = _most(self.gains[i], [j for j in range(len(lo)) if j != i], lo, hi) + self.rounding[i]
        odds = self.log_reference[i][:, None] - self.log_reference[i][None, :]
        # Odds of b against a are at most exp(odds + most[b, a]) and at least exp(odds − most[a, b]).
        diagonal = np.eye(len(odds), dtype=bool)
        above = np.where(diagonal, 0.0, odds + most)
        below = np.where(diagonal, 0.0, odds - np.swapaxes(most, 1, 2))
        size = np.abs(most).max(axis=(1, 2)) + np.abs(odds).max()
        relative = 1 + (16 + 2 * len(odds) + 4 * size[:, None]) * _EPS
        low, high = 1 / np.sum(np.exp(above), axis=1), 1 / np.sum(np.exp(below), axis=1)
        return low / relative - 1e-300, high * relative + 1e-300

    def positive_determinant(self, lo: list[np.ndarray], hi: list[np.ndarray]) -> Bool[np.ndarray, " box"]:
        """Whether ``det(I − DR) > 0`` at every HQRE in the box.

        In the coordinates ``π_j(c)``, c ≥ 1, ``DR`` has entries ``R_i(a) E_{a'~R_i}[twist(a, c, a')]``, and at an HQRE
        ``R_i = π_i`` lies in the box.
        """
        count, dims = len(lo[0]), [a - 1 for a in self.counts]
        ends = np.cumsum([0, *dims])
        middle = np.tile(np.eye(ends[-1]), (count, 1, 1))
        radius = np.full(middle.shape, 64 * ends[-1] * _EPS)
        for (i, j), twist in self.twists.items():
            others = [k for k in range(len(lo)) if k not in (i, j)]
            # The order of averaging: the other players, then player i itself.
            slack = 2 * self.rounding[i]
            low = -_most(-twist, [i, *others], lo, hi) - slack
            high = _most(twist, [i, *others], lo, hi) + slack
            least, most = lo[i][:, 1:, None], hi[i][:, 1:, None]
            products = np.stack([least * low, least * high, most * low, most * high])
            low, high = np.min(products, axis=0), np.max(products, axis=0)
            block = np.s_[:, ends[i] : ends[i + 1], ends[j] : ends[j + 1]]
            middle[block] = -0.5 * (low + high)
            radius[block] += (0.5 + 8 * _EPS) * (high - low) + 8 * _EPS * (np.abs(low) + np.abs(high))
        fine = np.isfinite(middle).all((1, 2)) & np.isfinite(radius).all((1, 2))
        middle[~fine] = np.eye(ends[-1])
        sign, _ = np.linalg.slogdet(middle)
        regular = fine & (sign > 0)
        middle[~regular] = np.eye(ends[-1])
        inverse = np.linalg.inv(middle)
        spread = np.abs(inverse) @ (radius + 64 * ends[-1] * _EPS * np.abs(middle))
        # ‖I − C·middle‖, rounding included.
        spread += np.abs(inverse @ middle - np.eye(ends[-1])) + 64 * ends[-1] * _EPS * np.abs(inverse) @ np.abs(middle)
        # Any positive vector gives a norm; a few power iterations come near the best.
        vector = np.ones((count, ends[-1], 1))
        for _ in range(4):
            vector = spread @ vector + 1e-3 * np.max(spread @ vector, axis=1, keepdims=True) + 1e-300
        quotient = np.max(spread @ vector / vector, axis=(1, 2))
        return regular & (quotient < 1 - 1e-9)

    def halve(
        self, lo: list[np.ndarray], hi: list[np.ndarray], width: Float[np.ndarray, "box cut"]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Every box cut in two along its widest probability."""
        if not len(width):
            return lo, hi
        widest = np.argmax(width, axis=1)
        first_hi, second_lo = [part.copy() for part in hi], [part.copy() for part in lo]
        for k, j in enumerate(self.cut):
            boxes = np.flatnonzero(widest == k)
            action = np.argmax(hi[j][boxes] - lo[j][boxes], axis=1)
            middle = 0.5 * (lo[j][boxes, action] + hi[j][boxes, action])
            first_hi[j][boxes, action] = middle
            second_lo[j][boxes, action] = middle
        below = [np.concatenate(pair) for pair in zip(lo, second_lo, strict=True)]
        above = [np.concatenate(pair) for pair in zip(first_hi, hi, strict=True)]
        return below, above

    def candidates(self, lo, hi, chosen: Bool[np.ndarray, " box"]) -> list[tuple[float, list[np.ndarray]]]:
        """Middles of chosen boxes and how far they are from their responses, at most as many as are reported."""
        policies = [0.5 * (below + above)[chosen] for below, above in zip(lo, hi, strict=True)]
        policies = [p / p.sum(1, keepdims=True) for p in policies]
        error = np.zeros(len(policies[0]))
        for i, policy in enumerate(policies):
            below, above = self.response(i, policies, policies)
            error = np.maximum(error, np.abs(0.5 * (below + above) - policy).max(1))
        order = np.argsort(error, kind="stable")[: 8 * _MAX_HINTS]
        return [(float(error[k]), [p[k] for p in policies]) for k in order]

    def policies(self, ranked: list[list[np.ndarray]]) -> Float[np.ndarray, "hint player state action"]:
        """The best of ranked candidates that are not near one another, padded."""
        chosen: list[np.ndarray] = []
        for parts in ranked:
            policy = np.zeros(self.mask.shape)
            policy[self.mask] = np.concatenate(parts)
            if all(np.abs(policy - other).max() > 1e-3 for other in chosen):
                chosen.append(policy)
            if len(chosen) == _MAX_HINTS:
                break
        return np.array(chosen).reshape(-1, self.mask.shape[0], 1, self.mask.shape[1])


def _most(tensor: np.ndarray, players: list[int], lo: list[np.ndarray], hi: list[np.ndarray]) -> np.ndarray:
    """Upper bound of the average of the last axes, those of ``players``, over their policies in each box."""
    values = tensor[None]
    for j in reversed(players):
        values = _largest(values, lo[j], hi[j])
    return values


def _largest(values: np.ndarray, lo: Float[np.ndarray, "box a"], hi: Float[np.ndarray, "box a"]) -> np.ndarray:
    """Upper bound of ``Σ_b values[…, b] π_b`` over the policies between lo and hi; axis 0 is the box's, or 1."""
    spread = values[..., None, :] - values[..., :, None]
    up, down = np.maximum(spread, 0.0), np.minimum(spread, 0.0)
    if len(values) == 1:
        shape = spread.shape[1:]
        bound = (hi @ up.reshape(-1, shape[-1]).T + lo @ down.reshape(-1, shape[-1]).T).reshape(len(lo), *shape[:-1])
    else:
        bound = np.einsum("n...b,nb->n...", up, hi) + np.einsum("n...b,nb->n...", down, lo)
    return np.min(values + bound, axis=-1)
