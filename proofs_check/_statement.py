"""What every statement of the ledger has in common: comparisons of observed with bound, and their tally."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import hqre_jax as hq

# A comparison whose rounding slack exceeds this part of its bound says nothing about the bound's tightness: it
# still may fail, but its ratio is not reported.
RESOLUTION = 1e-3


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
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.observed / self.bound
        resolved = self._used & (self.bound > 0) & (self.slack <= RESOLUTION * self.bound)
        best = _per_game(np.where(resolved, ratio, -np.inf)).max(axis=1, initial=-np.inf)
        return np.where(np.isneginf(best), np.nan, best)

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


@dataclass(frozen=True)
class Example:
    """A game that shows how good the constant is: ``observed`` comes as close to ``bound`` as the statement says."""

    name: str
    quantity: str
    observed: float
    bound: float

    @property
    def ratio(self) -> float:
        """Observed/bound."""
        return self.observed / self.bound


@dataclass(frozen=True, eq=False)
class Attack:
    """What an adversary reached who was looking for a game that breaks a claim.

    Attributes:
        statement: "T1", "T2", …
        claim: The claim attacked.
        ratios: Observed/bound at the end of each run; above 1 is a counterexample.
        best: The game and temperatures of the largest ratio, without a leading axis.
    """

    statement: str
    claim: str
    ratios: np.ndarray
    best: hq.Problem

    @property
    def tightest(self) -> float:
        """Largest observed/bound that was reached."""
        return float(np.max(self.ratios, initial=-np.inf)) if self.ratios.size else float("nan")

    @property
    def median(self) -> float:
        """Median over runs of observed/bound."""
        return float(np.median(self.ratios)) if self.ratios.size else float("nan")


@dataclass(frozen=True)
class Statement:
    """A theorem together with what could refute it.

    Attributes:
        name: "T1", "T2", …
        title: A few words.
        check: ``(key, num_games) -> Outcome``: the statement on random games; a violation refutes it.
        control: What the negative control changes.
        negative_control: The same measurements with the hypothesis dropped: violations are wanted.
        sharpness: Games in which the constant is attained, or nearly.
        measure: ``(problem, key) -> comparisons``: the claims for a batch of problems of one shape, leading axis
            (game), whatever family they come from. A comparison holds the games that satisfy its hypothesis, in
            their order; it is empty where none does. None where a statement is not about single games.
        adversary: ``(key, num_runs) -> Attack``: gradient ascent on observed/bound. None where there is none.
        share: Part of the ledger's games that this statement draws: less where one game means thousands of plays.
    """

    name: str
    title: str
    check: Callable[[Any, int], Outcome]
    control: str
    negative_control: Callable[[Any, int], Outcome]
    sharpness: Callable[[], tuple[Example, ...]]
    measure: Callable[[hq.Problem, Any], tuple[Comparison, ...]] | None = None
    adversary: Callable[[Any, int], Attack] | None = None
    share: float = 1.0


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
