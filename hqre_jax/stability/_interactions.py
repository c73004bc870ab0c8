"""How strongly agents' choices interact, estimated from plays: what decides which temperatures are high enough."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hqre_jax.certificates._least_temperatures import least_temperatures
from hqre_jax.core._temperatures import real_numbers
from hqre_jax.core._types import InputError, checked_count, checked_kind
from hqre_jax.games import PolymatrixGame
from hqre_jax.rollouts._observations import (
    Range,
    check_within,
    checked_level,
    checked_mask,
    checked_number,
    checked_plays,
    checked_range,
)
from hqre_jax.stability._interaction_errors import CellErrors, interaction_error


@dataclass(frozen=True, eq=False)
class InteractionEstimates:
    """Payoffs of pairs of decision points, from plays in which both acted at once.

    Decision points ``x = player·X + information state`` are numbered from 0 to n. Payoffs are averaged over what
    everybody else did: with two agents, and where payoffs are sums over pairs, that loses nothing, as the others'
    part cancels from every interaction ``u[a,b] − u[a',b] − u[a,b'] + u[a',b']``; otherwise these are the interactions
    about the policies that were played.

    What is missing is never taken for "did not meet": a play counts as a meeting wherever it may have been one.

    Attributes:
        total: Sum of the payoffs to x when x played a and y played b, ``(x, y, a, b)``, units of payoff.
        square: Sum of their squares.
        count: Number of these payoffs.
        least: The least of them; infinite where there is none.
        largest: The largest; minus infinity where there is none.
        lost: Number of plays that may belong here and whose payoff, or one of whose actions, is not known.
        met: Plays in which both acted or may have, whether or not it is known what that paid, ``(x, y)``.
        possible: Plays in which x acted, or may have and y too.
        visits: Plays in which x acted, ``(x,)``.
        action_mask: Valid actions, ``(player, information state, action)``.
        payoff_range: Least and largest possible payoff of a play, if that was stated.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> plays = [[0, 0], [0, 1], [1, 0], [1, 1]] * 10
        >>> payoffs = [[10.0, 10.0], [1.0, 8.0], [8.0, 1.0], [5.0, 5.0]] * 10
        >>> seen = hq.stability.InteractionEstimates.from_plays(plays, payoffs, np.ones((2, 1, 2), bool))
        >>> print(seen.influence())
        [[0.  1.5]
         [1.5 0. ]]
    """

    total: Float[np.ndarray, "n n a a"]
    square: Float[np.ndarray, "n n a a"]
    count: Float[np.ndarray, "n n a a"]
    least: Float[np.ndarray, "n n a a"]
    largest: Float[np.ndarray, "n n a a"]
    lost: Float[np.ndarray, "n n a a"]
    met: Float[np.ndarray, "n n"]
    possible: Float[np.ndarray, "n n"]
    visits: Float[np.ndarray, " n"]
    action_mask: Bool[np.ndarray, "player state action"]
    payoff_range: Range | None = None

    @classmethod
    def from_plays(
        cls, actions: Any, payoffs: Any, action_mask: Any, *, information_states: Any = 0, payoff_range: Any = None
    ) -> "InteractionEstimates":
        """Sums over plays.

        Args:
            actions: Actions ``(play, player)``, simultaneous; −1 where the player did not act or, if the payoff is
                not a number, may have acted and it is not known how.
            payoffs: Payoffs ``(play, player)``, units of payoff; not a number where unknown.
            action_mask: Valid actions ``(player, information state, action)``.
            information_states: ``(play, player)``, or a number.
            payoff_range: Least and largest possible payoff of a play, if known: it bounds what rare payoffs and
                missing ones may do.

        Returns:
            The estimates; ``+`` joins those of different plays, under whichever policies.

        Raises:
            InputError: If shapes do not fit, an action is not valid, or a payoff is outside its range.
        """
        mask = checked_mask(action_mask)
        actions, payoffs, points = checked_plays(actions, payoffs, mask, information_states)
        known_range = checked_range(payoff_range)
        check_within(payoffs, known_range, "payoffs")
        players, states, num_actions = mask.shape
        points = np.arange(players)[None] * states + points
        n = players * states
        acted, paid = actions >= 0, np.isfinite(payoffs)
        unsure = ~acted & ~paid
        shape = (n, n, num_actions, num_actions)
        total, square, count, lost = np.zeros((4, *shape))
        least, largest = np.full(shape, np.inf), np.full(shape, -np.inf)
        visits = np.bincount(points[acted], minlength=n).astype(float)
        met, possible = np.zeros((n, n)), np.broadcast_to(visits[:, None], (n, n)).copy()
        for i, j in itertools.permutations(range(players), 2):
            both = acted[:, i] & acted[:, j]
            np.add.at(met, (points[both, i], points[both, j]), 1)
            # Where j is not known to have acted, it may have been at any of its points.
            theirs = slice(j * states, (j + 1) * states)
            maybe = acted[:, i] & unsure[:, j], unsure[:, i] & (acted[:, j] | unsure[:, j])
            for plays, further in zip(maybe, (0, 1), strict=True):
                for x, times in zip(*np.unique(points[plays, i], return_counts=True), strict=True):
                    met[x, theirs] += times
                    lost[x, theirs] += times
                    possible[x, theirs] += further * times
            at = np.stack([points[:, i], points[:, j], actions[:, i], actions[:, j]])
            np.add.at(lost, tuple(at[:, both & ~paid[:, i]]), 1)
            cell, y = tuple(at[:, both & paid[:, i]]), payoffs[both & paid[:, i], i]
            for sums, weight in ((total, y), (square, y * y), (count, 1)):
                np.add.at(sums, cell, weight)
            np.minimum.at(least, cell, y)
            np.maximum.at(largest, cell, y)
        return cls(total, square, count, least, largest, lost, met, possible, visits, mask, known_range)

    def __add__(self, other: "InteractionEstimates") -> "InteractionEstimates":
        checked_kind(other, InteractionEstimates, "other")
        if not np.array_equal(self.action_mask, other.action_mask):
            raise InputError("action_mask", "differs: these are estimates of different games")
        if self.payoff_range != other.payoff_range:
            raise InputError("payoff_range", f"differs: {self.payoff_range} and {other.payoff_range}")
        joined = {"least": np.minimum, "largest": np.maximum}
        summed = ("total", "square", "count", "least", "largest", "lost", "met", "possible", "visits")
        parts = {name: joined.get(name, np.add)(getattr(self, name), getattr(other, name)) for name in summed}
        return InteractionEstimates(**parts, action_mask=self.action_mask, payoff_range=self.payoff_range)

    @property
    def meets(self) -> Bool[np.ndarray, "n n"]:
        """Whether two decision points were seen to act at once, one at least being told what that paid."""
        seen = self.count.sum((2, 3)) > 0
        return seen | seen.T

    @property
    def chance(self) -> Float[np.ndarray, "n n"]:
        """``P(y | x)``, how often y acts when x does, every play counted that may have been a meeting."""
        return np.where(self.meets, self.met / np.maximum(self.possible, 1), 0.0)

    @property
    def covered(self) -> bool:
        """Whether all pairs of valid actions were seen twice, wherever two decision points meet."""
        return self.seen_at_least(2)

    def seen_at_least(self, count: int) -> bool:
        """Whether all pairs of valid actions were seen so often, wherever two decision points meet.

        Args:
            count: Number of plays of each pair.

        Returns:
            The answer; False where nobody met.
        """
        count = checked_count(count, "count")
        return bool(self.meets.any() and np.all(self.count[self._pairs()] >= count))

    def game(self) -> PolymatrixGame:
        """The game between decision points, with the estimated payoffs ``P(y|x) û_x(a, b)``.

        Its margin and least temperatures at weights ``w_x = v_x P(x)`` are those of theory.md §3, with payoffs
        averaged. Pairs of actions that were not seen are filled in without any interaction, by the sum of what the
        row and what the column earns.

        Raises:
            InputError: If nobody was seen to meet anybody.
        """
        if not self.meets.any():
            raise InputError("plays", "show no two agents acting at once: there is nothing to estimate")
        edges = np.argwhere(np.triu(self.meets, 1))
        table = self._filled() * self.chance[:, :, None, None]
        payoffs = np.stack([np.stack([table[x, y], table[y, x].T]) for x, y in edges])
        # The second payoff is stored as [a_i, a_j], the row player's action first.
        points, actions = len(self.visits), self.action_mask.shape[2]
        return PolymatrixGame(edges, payoffs, action_mask=self.action_mask.reshape(points, 1, actions))

    def influence(self) -> Float[np.ndarray, "n n"]:
        """``Λ_xy = ¼ P(y|x) max |û[a,b] − û[a',b] − û[a,b'] + û[a',b']|``: how strongly y moves x, units of payoff."""
        table, mask = self._filled(), self.action_mask.reshape(len(self.visits), -1)
        rows = table[:, :, :, None] - table[:, :, None, :]
        widest = np.abs(rows[..., :, None] - rows[..., None, :])
        both = mask[:, :, None] & mask[:, None, :]
        pairs = self.meets[:, :, None, None, None, None] & both[:, None, :, :, None, None] & both[None, :, None, None]
        return 0.25 * np.where(pairs, widest, 0.0).max((2, 3, 4, 5), initial=0.0) * self.chance

    def least_temperatures(self, margin: float, *, cost: Any = None) -> Float[np.ndarray, "player state"]:
        """`least_temperatures` of the estimated game; ``margin`` where nobody interacts.

        Args:
            margin: The margin wanted, units of payoff, greater than 0.
            cost: Price of temperature of each decision point, ``(player, information state)`` or a number.

        Returns:
            Temperatures ``(player, information state)``; padding and points that were never seen 1.
        """
        shape = self.action_mask.shape[:2]
        margin = checked_number(margin, "margin", above=0.0)
        price = None if cost is None else np.asarray(real_numbers(cost, "cost"), float)
        if price is not None and price.shape not in ((), shape):
            raise InputError("cost", f"has shape {price.shape}, where a number or {shape} is wanted")
        price = None if price is None else np.broadcast_to(price, shape).reshape(-1, 1)
        found = least_temperatures(self.game(), price, margin).tau.reshape(shape)
        return np.where(self.visits.reshape(shape) > 0, found, 1.0)

    def radius(self, level: float) -> Float[np.ndarray, "n n"]:
        """How far the largest interaction of x with y may be above its estimate, at all pairs at once.

        Each ``û[a,b] − û[a',b] − û[a,b'] + û[a',b']`` has the sum of four variances: Student's quantile, Bonferroni
        over all of them (one side). It is believed where a cell has so many plays that the largest payoff seen to
        deviate, or the largest that the range allows, is no great part of its error. Elsewhere the payoff range
        bounds the mean; without one nothing does. Payoffs that are missing add their share of the range, or of
        what was seen of it.

        Args:
            level: Confidence level for all pairs together.

        Returns:
            ``P(y|x)`` times the largest error, units of payoff; infinite where a pair of actions was seen less than
            twice, or always paid the same or, rarely, something else, and no range of payoffs is known.
        """
        level = checked_level(level)
        return np.where(self.meets, interaction_error(self._errors(), self._pairs(), level), 0.0) * self.chance

    def doubts(self) -> tuple[str, ...]:
        """What keeps interactions from being known, in words; empty where nothing but noise does."""
        out, pairs, errors = [], self._pairs(), self._errors()
        if not self.covered:
            out.append("some pairs of actions were played together less than twice: explore more")
        rare = int((pairs & (self.count >= 2) & ~errors.normal).sum())
        if rare and self.payoff_range is None:
            out.append(
                f"not enough data: {rare} pairs of actions always paid the same, or so few times that rare payoffs "
                "may be missing: say payoff_range, or play more"
            )
        lost, seen = self.lost[pairs].sum(), self.count[pairs].sum()
        if lost:
            out.append(f"payoffs are missing ({lost / (lost + seen):.2g} of those of a pair of actions, on average)")
        return tuple(out)

    def _pairs(self) -> Bool[np.ndarray, "n n a a"]:
        """Pairs of valid actions of those who meet."""
        mask = self.action_mask.reshape(len(self.visits), -1)
        return self.meets[:, :, None, None] & mask[:, None, :, None] & mask[None, :, None, :]

    def _errors(self) -> CellErrors:
        return CellErrors.of(
            self.total, self.square, self.count, self.least, self.largest, self.lost, self.payoff_range
        )

    def _filled(self) -> Float[np.ndarray, "n n a a"]:
        """Mean payoffs; unseen cells by least squares of row + column on the seen ones."""
        seen = self.count > 0
        mean = np.where(seen, self.total / np.maximum(self.count, 1), 0.0)
        actions = mean.shape[2]
        rows, columns = np.divmod(np.arange(actions**2), actions)
        design = np.concatenate([np.eye(actions)[rows], np.eye(actions)[columns]], axis=1)
        for x, y in np.argwhere(self.meets & ~seen.all((2, 3)) & seen.any((2, 3))):
            known = seen[x, y].ravel()
            fit = np.linalg.lstsq(design[known], mean[x, y].ravel()[known], rcond=None)[0]
            mean[x, y] = np.where(seen[x, y], mean[x, y], (design @ fit).reshape(actions, actions))
        return mean
