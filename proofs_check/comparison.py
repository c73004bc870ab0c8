"""Comparisons of observed with bound, game by game, and their tally."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

import hqre_jax as hq

# A comparison whose rounding slack exceeds this part of its bound says nothing about the bound's tightness: it
# still may fail, but its ratio is not reported.
RESOLUTION = 1e-3


class Sides(NamedTuple):
    """Both sides of one claim ``observed ≤ bound``, measured once or several times in a game.

    A claim is a pure function of one problem, its certificate and whatever is random besides, and this is what it
    returns. For a batch every part has a leading axis (game).

    Attributes:
        observed: The left side; a scalar, or an axis for every measurement.
        bound: The right side, same shape.
        slack: What rounding may add to ``observed − bound``, derived where it is computed; same shape.
        holds: Whether the game satisfies the claim's hypothesis; the others are not compared. None: it does.
        usable: Measurements that say something; the others count as unresolved. None: all.
        problem: The games measured, if they are not those that were drawn.
    """

    observed: Any
    bound: Any
    slack: Any
    holds: Any = None
    usable: Any = None
    problem: hq.Problem | None = None


def between(low: Any, measured: Any, high: Any, slack: Any) -> Sides:
    """``low ≤ measured ≤ high`` as two inequalities along a new last axis."""
    return Sides(*(np.stack(pair, axis=-1) for pair in ((low, measured), (measured, high), (slack, slack))))


def select(problem: Any, chosen: Any) -> Any:
    """The chosen ones of a batch (of problems, or any arrays with a leading axis), on the host."""
    return jax.tree.map(lambda part: np.asarray(part)[chosen], problem)


def batch_of_one(problem: hq.Problem) -> hq.Problem:
    """A problem with a leading axis of length 1."""
    return select(problem, None)


@dataclass(frozen=True, eq=False)
class Comparison:
    """One claim ``observed ≤ bound``, measured once or several times in each of many games.

    Attributes:
        claim: The inequality, in a few words.
        family: Where the games come from.
        observed: The left side; axes (game, measurement…).
        bound: The right side, same shape.
        slack: What rounding may add to ``observed − bound``, derived where it is computed; same shape.
        usable: Measurements that say something (all by default); the others count as unresolved.
        problems: The games with their temperatures, one batch whose leading axis (game) is that of ``observed``, so
            that a game which breaks the claim can be taken out, shrunk and saved. None where nothing can be solved.
    """

    claim: str
    family: str
    observed: np.ndarray
    bound: np.ndarray
    slack: np.ndarray
    usable: np.ndarray | None = None
    problems: hq.Problem | None = None

    @classmethod
    def of(cls, claim: str, family: str, sides: Sides, problem: hq.Problem | None) -> "Comparison":
        """A claim's sides in the games that satisfy its hypothesis.

        Args:
            claim: The claim.
            family: Where the games come from.
            sides: Both sides, leading axis (game).
            problem: The games, leading axis (game).

        Returns:
            The comparison, of the games in which the hypothesis holds.
        """
        observed, bound, slack = (np.asarray(part) for part in sides[:3])
        chosen = np.broadcast_to(True if sides.holds is None else np.asarray(sides.holds), observed.shape[:1])
        usable = np.asarray(True if sides.usable is None else sides.usable)
        usable = np.broadcast_to(usable.reshape(*usable.shape, *(1,) * (observed.ndim - usable.ndim)), observed.shape)
        problem = problem if sides.problem is None else sides.problem
        parts = observed[chosen], bound[chosen], slack[chosen], usable[chosen]
        return cls(claim, family, *parts, None if problem is None else select(problem, chosen))

    def __post_init__(self):
        assert self.observed.shape == self.bound.shape == self.slack.shape, "one bound and slack per observation"
        assert np.all(self.slack[self._used] >= 0), "slack is never negative"

    @property
    def _used(self) -> np.ndarray:
        return np.ones(self.observed.shape, bool) if self.usable is None else self.usable

    @property
    def violated(self) -> np.ndarray:
        """Whether a game breaks the claim: somewhere ``observed > bound + slack``, or no number at all."""
        return _any(self._used & ~(self.observed <= self.bound + self.slack))

    @property
    def ratios(self) -> np.ndarray:
        """Per game the largest observed/bound among the resolved measurements; nan where there is none."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            ratio = self.observed / self.bound
        resolved = self._used & (self.bound > 0) & (self.slack <= RESOLUTION * self.bound)
        best = _per_game(np.where(resolved, ratio, -np.inf)).max(axis=1, initial=-np.inf)
        return np.where(np.isneginf(best), np.nan, best)

    @property
    def measured(self) -> np.ndarray:
        """Whether anything usable was measured in a game."""
        return _any(self._used)

    @property
    def judged(self) -> "Judged":
        """What remains when the measurements are forgotten."""
        return Judged(self.claim, self.family, self.ratios, self.violated)


@dataclass(frozen=True, eq=False)
class Judged:
    """A comparison of which only the verdict on each game is kept: what the ledger stores.

    Attributes:
        claim: As in `Comparison`.
        family: As in `Comparison`.
        ratios: Largest observed/bound of each game; nan where none was resolved.
        violated: Whether the game breaks the claim.
    """

    claim: str
    family: str
    ratios: np.ndarray
    violated: np.ndarray


@dataclass(frozen=True, eq=False)
class Outcome:
    """All comparisons of one run of a statement.

    Attributes:
        comparisons: One per claim and family (and batch of games).
        drawn: How many games were drawn; those that fail the hypothesis are not compared.
    """

    comparisons: tuple[Comparison | Judged, ...]
    drawn: int

    @property
    def claims(self) -> tuple[str, ...]:
        """The claims, in the order of the statement."""
        return tuple(dict.fromkeys(c.claim for c in self.comparisons))

    @property
    def families(self) -> tuple[str, ...]:
        """The families of games."""
        return tuple(dict.fromkeys(c.family for c in self.comparisons))

    def part(self, *, claim: str | None = None, family: str | None = None) -> "Outcome":
        """The comparisons of one claim, of one family, or both."""
        kept = (c for c in self.comparisons if claim in (None, c.claim) and family in (None, c.family))
        return Outcome(tuple(kept), self.drawn)

    @property
    def judged(self) -> tuple[Judged, ...]:
        """One `Judged` per claim and family, batches put after each other."""
        merged: dict[tuple[str, str], list[Judged]] = {}
        for comparison in self.comparisons:
            one = comparison.judged if isinstance(comparison, Comparison) else comparison
            merged.setdefault((one.claim, one.family), []).append(one)
        return tuple(
            Judged(*names, np.concatenate([j.ratios for j in parts]), np.concatenate([j.violated for j in parts]))
            for names, parts in merged.items()
        )

    @property
    def games(self) -> int:
        """Games that satisfy the hypothesis and were compared."""
        return max((sum(len(c.ratios) for c in self.part(claim=claim).comparisons) for claim in self.claims), default=0)

    @property
    def violations(self) -> int:
        """Games that break a claim, summed over claims."""
        return int(sum(c.violated.sum() for c in self.comparisons))

    @property
    def unresolved(self) -> int:
        """Games that rounding, or the want of an equilibrium, kept from saying anything; summed over claims."""
        return int(sum(np.isnan(c.ratios).sum() for c in self.comparisons))

    @property
    def ratios(self) -> np.ndarray:
        """Observed/bound of every game, unresolved ones left out."""
        every = np.concatenate([c.ratios for c in self.comparisons]) if self.comparisons else np.zeros(0)
        return every[~np.isnan(every)]

    @property
    def worst(self) -> float:
        """Largest observed/bound; 1 is the bound itself."""
        return float(self.ratios.max(initial=-np.inf)) if self.ratios.size else float("nan")

    @property
    def median(self) -> float:
        """Median over games of observed/bound."""
        return float(np.median(self.ratios)) if self.ratios.size else float("nan")

    def summary(self) -> dict[str, Any]:
        """The numbers as plain Python values, by claim and family."""
        return {
            claim: {family: _numbers(self.part(claim=claim, family=family)) for family in self.families}
            | {"all": _numbers(self.part(claim=claim))}
            for claim in self.claims
        }


def _any(flags: np.ndarray) -> np.ndarray:
    return _per_game(flags).any(axis=1)


def _per_game(measured: np.ndarray) -> np.ndarray:
    """All measurements of a game in one row, also where there is no game."""
    return measured.reshape(len(measured), math.prod(measured.shape[1:]))


def _numbers(part: Outcome) -> dict[str, Any]:
    return {
        "games": part.games,
        "violations": part.violations,
        "unresolved": part.unresolved,
        "worst": part.worst,
        "median": part.median,
    }
