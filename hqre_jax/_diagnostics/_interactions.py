"""How strongly agents' choices interact, estimated from plays: what decides which temperatures are high enough."""

import itertools
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from hqre_jax._diagnostics._intervals import checked_level, student_quantile
from hqre_jax._games import PolymatrixGame
from hqre_jax._least_temperatures import least_temperatures
from hqre_jax._types import InputError


@dataclass(frozen=True, eq=False)
class InteractionEstimates:
    """Payoffs of pairs of decision points, from plays in which both acted at once.

    Decision points ``x = player·X + information state`` are numbered from 0 to n. Payoffs are averaged over what
    everybody else did: with two agents, and where payoffs are sums over pairs, that loses nothing, as the others'
    part cancels from every interaction ``u[a,b] − u[a',b] − u[a,b'] + u[a',b']``; otherwise these are the interactions
    about the policies that were played.

    Attributes:
        total: Sum of the payoffs to x when x played a and y played b, ``(x, y, a, b)``, units of payoff.
        square: Sum of their squares.
        count: Number of these plays.
        visits: Plays in which x acted, ``(x,)``.
        action_mask: Valid actions, ``(player, information state, action)``.
    """

    total: Float[np.ndarray, "n n a a"]
    square: Float[np.ndarray, "n n a a"]
    count: Float[np.ndarray, "n n a a"]
    visits: Float[np.ndarray, " n"]
    action_mask: Bool[np.ndarray, "player state action"]

    @classmethod
    def from_plays(
        cls, actions: Any, payoffs: Any, action_mask: Any, *, information_states: Any = 0
    ) -> "InteractionEstimates":
        """Sums over plays.

        Args:
            actions: Actions ``(play, player)``, simultaneous; −1 where the player did not act.
            payoffs: Payoffs ``(play, player)``, units of payoff; not a number where unknown.
            action_mask: Valid actions ``(player, information state, action)``.
            information_states: ``(play, player)``, or a number.

        Returns:
            The estimates; `+` joins those of different plays, under whichever policies.

        Raises:
            InputError: If shapes do not fit.
        """
        mask, actions = np.asarray(action_mask, bool), np.asarray(actions)
        players, states, num_actions = mask.shape
        payoffs = np.asarray(payoffs, np.float64)
        if actions.ndim != 2 or actions.shape != payoffs.shape or actions.shape[1] != players:
            shapes = f"{actions.shape} and {payoffs.shape}"
            raise InputError("actions", f"and payoffs have shapes {shapes}, where (play, {players}) is wanted")
        points = np.arange(players)[None] * states + np.broadcast_to(information_states, actions.shape)
        acted = (actions >= 0) & np.isfinite(payoffs)
        n = players * states
        sums = np.zeros((3, n, n, num_actions, num_actions))
        for i, j in itertools.permutations(range(players), 2):
            both = acted[:, i] & acted[:, j]
            at = (points[both, i], points[both, j], actions[both, i], actions[both, j])
            y = payoffs[both, i]
            cell = np.ravel_multi_index(at, sums.shape[1:])
            for part, weight in zip(sums, (y, y * y, np.ones_like(y)), strict=True):
                part += np.bincount(cell, weight, part.size).reshape(part.shape)
        visits = np.bincount(points[acted], minlength=n).astype(float)
        total, square, count = sums
        return cls(total, square, count, visits, mask)

    def __add__(self, other: "InteractionEstimates") -> "InteractionEstimates":
        return InteractionEstimates(
            self.total + other.total,
            self.square + other.square,
            self.count + other.count,
            self.visits + other.visits,
            self.action_mask,
        )

    @property
    def meets(self) -> Bool[np.ndarray, "n n"]:
        """Whether two decision points were seen to act at once."""
        return self.count.sum((2, 3)) > 0

    @property
    def chance(self) -> Float[np.ndarray, "n n"]:
        """``P(y | x)``: how often y acts when x does."""
        return self.count.sum((2, 3)) / np.maximum(self.visits, 1)[:, None]

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
        mask = self.action_mask.reshape(len(self.visits), -1)
        pairs = self.meets[:, :, None, None] & mask[:, None, :, None] & mask[None, :, None, :]
        return bool(self.meets.any() and np.all(self.count[pairs] >= count))

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
        """`least_temperatures` of the estimated game; `margin` where nobody interacts.

        Args:
            margin: The margin wanted, units of payoff, greater than 0.
            cost: Price of temperature of each decision point, ``(player, information state)`` or a number.

        Returns:
            Temperatures ``(player, information state)``; padding and points that were never seen 1.
        """
        shape = self.action_mask.shape[:2]
        price = None if cost is None else np.broadcast_to(cost, shape).reshape(-1, 1)
        found = least_temperatures(self.game(), price, margin).tau.reshape(shape)
        return np.where(self.visits.reshape(shape) > 0, found, 1.0)

    def radius(self, level: float) -> Float[np.ndarray, "n n"]:
        """How far the largest interaction of x with y may be above its estimate, at all pairs at once.

        Each ``û[a,b] − û[a',b] − û[a,b'] + û[a',b']`` has the sum of four variances; Student's quantile,
        Bonferroni over all of them (one side).

        Args:
            level: Confidence level for all pairs together.

        Returns:
            ``P(y|x) max t·se``, units of payoff; infinite where a pair of actions was seen less than twice.
        """
        level = checked_level(level)
        mask = self.action_mask.reshape(len(self.visits), -1)
        pairs = self.meets[:, :, None, None] & mask[:, None, :, None] & mask[None, :, None, :]
        count = np.maximum(self.count, 1)
        spread = np.maximum(self.square - self.total**2 / count, 0) / np.maximum(self.count - 1, 1)
        variance = np.where(self.count >= 2, spread / count, np.inf)
        variance = np.where(pairs, variance, 0.0)
        num = sum(a * (a - 1) * b * (b - 1) / 4 for a, b in self._sizes(mask))
        finite = np.where(np.isfinite(variance), variance, 0.0)
        total, squares = _four(finite), _four(finite**2 / np.maximum(self.count - 1, 1))
        freedom = np.where(squares > 0, total**2 / np.where(squares > 0, squares, 1.0), 1e6)
        quantile = np.asarray(student_quantile(1 - (1 - level) / max(num, 1.0), jnp.minimum(freedom, 1e6)))
        widest = (quantile * np.sqrt(_four(variance))).max((2, 3, 4, 5), initial=0.0)
        return np.where(self.meets, widest, 0.0) * self.chance

    def _sizes(self, mask: Bool[np.ndarray, "n a"]) -> list[tuple[int, int]]:
        counts = mask.sum(1)
        return [(int(counts[x]), int(counts[y])) for x, y in np.argwhere(self.meets)]

    def _filled(self) -> Float[np.ndarray, "n n a a"]:
        """Mean payoffs; unseen cells by least squares of row + column on the seen ones."""
        seen = self.count > 0
        mean = np.where(seen, self.total / np.maximum(self.count, 1), 0.0)
        actions = mean.shape[2]
        rows, columns = np.divmod(np.arange(actions**2), actions)
        design = np.concatenate([np.eye(actions)[rows], np.eye(actions)[columns]], axis=1)
        for x, y in np.argwhere(self.meets & ~seen.all((2, 3))):
            known = seen[x, y].ravel()
            fit = np.linalg.lstsq(design[known], mean[x, y].ravel()[known], rcond=None)[0]
            mean[x, y] = np.where(seen[x, y], mean[x, y], (design @ fit).reshape(actions, actions))
        return mean


def _four(table: Float[np.ndarray, "n n a b"]) -> Float[np.ndarray, "n n a a b b"]:
    """``t[a,b] + t[a',b] + t[a,b'] + t[a',b']``, axes (x, y, a, a', b, b'); 0 where a = a' or b = b'."""
    apart = [~np.eye(size, dtype=bool) for size in table.shape[2:]]
    rows = table[:, :, :, None] + table[:, :, None, :]
    return np.where(apart[0][:, :, None, None] & apart[1], rows[..., :, None] + rows[..., None, :], 0.0)
