"""What a workload asks and what an entrant answers."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Goal:
    """What this library wants to reach in a case, in seconds per game.

    Attributes:
        entrant: Who is to be fast.
        peers: Beginnings of the names of those among whom the fastest is the one to beat.
        factor: How many times as fast.
    """

    entrant: str
    peers: tuple[str, ...]
    factor: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Case(ABC):
    """A batch of games of one kind at one temperature, which judges answers in plain numpy.

    Attributes:
        workload: "W1", …
        label: What distinguishes this case within the workload.
        tau: Temperature τ = 1/λ of everybody, units of payoff.
        residual_tol: Largest residual that counts as an answer.
        branch_tol: Largest distance from the reference's answer, in probability, on the principal branch.
        goals: What is wanted.
    """

    workload: str
    label: str
    tau: float
    residual_tol: float = 1e-8
    branch_tol: float = 1e-4
    goals: tuple[Goal, ...] = ()

    @property
    @abstractmethod
    def num_games(self) -> int:
        """Size of the batch."""

    @abstractmethod
    def residuals(self, answers: np.ndarray) -> np.ndarray:
        """``max |π − softmax(Q^π/τ)|`` of the first games of the batch, computed without the library.

        Args:
            answers: Policies, ``(game, …, action)``.

        Returns:
            One number per answer; inf where a policy is no number.
        """

    def distances(self, answers: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Largest difference of any probability from the reference's answer, per game; inf where there is no number."""
        gap = np.abs(answers - reference).reshape(len(answers), -1).max(axis=1)
        return np.where(np.isfinite(gap), gap, np.inf)


@dataclass(frozen=True, eq=False)
class Prepared:
    """An entrant that is ready to answer one case.

    Attributes:
        run: Does all the work anew and returns policies, a leading axis for the games; games that the entrant gave up
            on are nan. What is timed.
        compile_seconds: What compilation took; None for entrants that do not compile.
        num_games: How many games of the case, from the first, it answers: slow peers answer a part.
        reference: Answers to all games of the case, asked for once and not timed, by which others are judged; ``run``
            by default.
    """

    run: Callable[[], np.ndarray]
    num_games: int
    compile_seconds: float | None = None
    reference: Callable[[], np.ndarray] | None = None


def prepared_by_calling(run: Callable[[], np.ndarray], num_games: int) -> Prepared:
    """An entrant that compiles in its first call: the first compiles and solves, the second only solves.

    Args:
        run: As in `Prepared`.
        num_games: As in `Prepared`.

    Returns:
        It, ready, with the difference as the time of compilation.
    """
    began = time.perf_counter()
    run()
    first = time.perf_counter() - began
    began = time.perf_counter()
    run()
    return Prepared(run, num_games, max(0.0, first - (time.perf_counter() - began)))


@dataclass(frozen=True)
class Entrant:
    """A way to compute equilibria.

    Attributes:
        name: What the table calls it.
        version: Of the package behind it.
        prepare: Case to `Prepared`: loads and compiles, untimed but for compilation.
        missing: Why it cannot run here; "" if it can.
        follows_branch: Whether it claims the principal branch.
        reference: Whether its answers define the principal branch for the others.
        accepts: Whether it can answer a case at all.
        time_only: Whether it solves another form of the game, so that its answers can be timed but not judged.
    """

    name: str
    version: str
    prepare: Callable[[Any], Prepared]
    missing: str = ""
    follows_branch: bool = False
    reference: bool = False
    accepts: Callable[[Any], bool] = lambda case: True
    time_only: bool = False
