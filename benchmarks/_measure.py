"""Run the entrants of a case in turns, time them, and have every answer verified."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks._case import Case, Entrant, Prepared


@dataclass(frozen=True)
class Measurement:
    """One entrant on one case.

    Attributes:
        entrant: Its name.
        version: Of the package behind it.
        num_games: Games answered.
        compile_seconds: Compilation; None where there is none.
        run_seconds: Every timed run.
        failures: Games whose residual exceeds the tolerance, by the harness's own count; None where nothing is judged.
        worst_residual: Among the games that did not fail; None where nothing is judged.
        compared: Games in which the reference's verified answer and this one can be compared.
        off_branch: Verified answers farther than the tolerance from the reference's; None for the reference.
        follows_branch: Whether being off the branch is a failure: whether the entrant claims to follow it.
    """

    entrant: str
    version: str
    num_games: int
    compile_seconds: float | None
    run_seconds: tuple[float, ...]
    failures: int | None
    worst_residual: float | None
    compared: int
    off_branch: int | None
    follows_branch: bool

    @property
    def median_seconds(self) -> float:
        """Median run."""
        return float(np.median(self.run_seconds))

    @property
    def games_per_second(self) -> float:
        """At the median run, failures included."""
        return self.num_games / self.median_seconds

    @property
    def seconds_per_game(self) -> float:
        """At the median run; the unit in which entrants that answer different numbers of games compare."""
        return self.median_seconds / self.num_games

    def as_dict(self) -> dict[str, Any]:
        """Plain Python values, for JSON."""
        return asdict(self) | {"median_seconds": self.median_seconds, "games_per_second": self.games_per_second}


def measure(
    case: Case, entrants: Sequence[Entrant], repeats: int, say: Callable[[str], None] = lambda line: None
) -> list[Measurement]:
    """Time and verify every entrant on a case.

    Args:
        case: The games.
        entrants: Who takes part.
        repeats: Timed runs of each. They take turns, so that a busy moment of the machine hits all alike.
        say: Told what is going on.

    Returns:
        One measurement per entrant, in the given order.
    """
    prepared: list[Prepared] = []
    answers: list[np.ndarray] = []
    for entrant in entrants:
        say(f"{case.label}: preparing {entrant.name}")
        ready = entrant.prepare(case)
        prepared.append(ready)
        # The first run warms up and is judged; the others are timed and must give the same answer.
        answers.append(np.array(ready.run()))
    times: list[list[float]] = [[] for _ in entrants]
    for turn in range(repeats):
        say(f"{case.label}: run {turn + 1} of {repeats}")
        for k, ready in enumerate(prepared):
            began = time.perf_counter()
            answer = ready.run()
            times[k].append(time.perf_counter() - began)
            if not np.array_equal(answer, answers[k], equal_nan=True):
                raise RuntimeError(f"{entrants[k].name} answers {case.label} differently in run {turn + 1}")
    reference = _reference(case, entrants, answers)
    return [
        _judge(case, entrant, ready, answer, tuple(spent), reference)
        for entrant, ready, answer, spent in zip(entrants, prepared, answers, times, strict=True)
    ]


def _reference(case: Case, entrants: Sequence[Entrant], answers: Sequence[np.ndarray]) -> np.ndarray | None:
    """The verified answers of the first reference entrant; nan in games that it failed."""
    for entrant, answer in zip(entrants, answers, strict=True):
        if entrant.reference:
            good = case.residuals(answer) <= case.residual_tol
            return np.where(good.reshape(-1, *(1,) * (answer.ndim - 1)), answer, np.nan)
    return None


def _judge(
    case: Case,
    entrant: Entrant,
    ready: Prepared,
    answer: np.ndarray,
    times: tuple[float, ...],
    reference: np.ndarray | None,
) -> Measurement:
    if len(answer) != ready.num_games:
        raise RuntimeError(f"{entrant.name} answered {len(answer)} of {ready.num_games} games of {case.label}")
    if entrant.time_only:
        return Measurement(
            entrant=entrant.name,
            version=entrant.version,
            num_games=ready.num_games,
            compile_seconds=ready.compile_seconds,
            run_seconds=times,
            failures=None,
            worst_residual=None,
            compared=0,
            off_branch=None,
            follows_branch=False,
        )
    size = case.residuals(answer)
    good = size <= case.residual_tol
    compared, off = 0, None
    if reference is not None and not entrant.reference:
        common = min(len(reference), len(answer))
        both = good[:common] & np.isfinite(reference[:common]).all(axis=tuple(range(1, reference.ndim)))
        compared = int(both.sum())
        off = int((case.distances(answer[:common], reference[:common])[both] > case.branch_tol).sum())
    return Measurement(
        entrant=entrant.name,
        version=entrant.version,
        num_games=ready.num_games,
        compile_seconds=ready.compile_seconds,
        run_seconds=times,
        failures=int((~good).sum()),
        worst_residual=float(size[good].max(initial=0.0)),
        compared=compared,
        off_branch=off,
        follows_branch=entrant.follows_branch,
    )
