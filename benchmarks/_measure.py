"""Run the entrants of a case in turns, time them, and have every answer verified."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks._case import Case, Entrant, Goal, Prepared
from benchmarks._memory import added_bytes

# Seconds of a run beyond which it is not repeated.
PATIENCE = 20.0
# Short runs are called again and again until they have lasted this long, and their mean is taken: what the others of
# the same turn left in the caches is no part of it.
LEAST_SECONDS, MOST_CALLS = 0.1, 100


@dataclass(frozen=True)
class Measurement:
    """One entrant on one case.

    Attributes:
        entrant: Its name.
        version: Of the package behind it.
        num_games: Games answered.
        compile_seconds: Compilation; None where there is none.
        added_bytes: Memory that a run takes beside what was there, a lower bound; None where the system does not say.
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
    added_bytes: int | None
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

    @property
    def first_seconds(self) -> float:
        """To the first answer of a process in which packages are loaded: compilation and the median run."""
        return (self.compile_seconds or 0.0) + self.median_seconds

    def as_dict(self) -> dict[str, Any]:
        """Plain Python values, for JSON."""
        derived = ("median_seconds", "games_per_second", "first_seconds")
        return asdict(self) | {name: getattr(self, name) for name in derived}


def measure(
    case: Case, entrants: Sequence[Entrant], repeats: int, say: Callable[[str], None] = lambda line: None
) -> list[Measurement]:
    """Time and verify every entrant on a case.

    Args:
        case: The games.
        entrants: Who takes part.
        repeats: Timed runs of each, a short one being the mean of several calls; one where it takes longer than
            `PATIENCE`. They take turns, so that a busy moment of the machine hits all alike.
        say: Told what is going on.

    Returns:
        One measurement per entrant, in the given order.
    """
    prepared: list[Prepared] = []
    answers: list[np.ndarray] = []
    memory: list[int | None] = []
    times: list[list[float]] = []
    first: list[float] = []
    for entrant in entrants:
        say(f"{case.label}: preparing {entrant.name}")
        ready = entrant.prepare(case)
        prepared.append(ready)
        # The first run warms up and is judged; the others are timed and must give the same answer.
        began = time.perf_counter()
        answer, added = added_bytes(ready.run)
        seconds = time.perf_counter() - began
        answers.append(np.array(answer))
        memory.append(added)
        # Of runs that take so long one is enough, and warming up is nothing beside it.
        times.append([seconds] * repeats if seconds > PATIENCE else [])
        first.append(seconds)
    for turn in range(repeats):
        say(f"{case.label}: run {turn + 1} of {repeats}")
        for k, ready in enumerate(prepared):
            if len(times[k]) > turn:
                continue
            calls = max(1, min(MOST_CALLS, int(LEAST_SECONDS / max(first[k], 1e-9))))
            began = time.perf_counter()
            for _ in range(calls):
                answer = ready.run()
            times[k].append((time.perf_counter() - began) / calls)
            if not np.array_equal(answer, answers[k], equal_nan=True):
                raise RuntimeError(f"{entrants[k].name} answers {case.label} differently in run {turn + 1}")
    reference = _reference(case, entrants, prepared, answers, say)
    return [
        _judge(case, entrant, ready, answer, added, tuple(spent[:1] if spent[0] > PATIENCE else spent), reference)
        for entrant, ready, answer, added, spent in zip(entrants, prepared, answers, memory, times, strict=True)
    ]


@dataclass(frozen=True)
class Outcome:
    """What became of a goal.

    Attributes:
        goal: What was wanted.
        peer: The fastest of the peers.
        factor: How many times as fast as that the entrant was, per game and in the medians.
    """

    goal: Goal
    peer: str
    factor: float

    @property
    def reached(self) -> bool:
        """Whether that is as much as was wanted."""
        return self.factor >= self.goal.factor

    def __str__(self) -> str:
        verdict = "reached" if self.reached else "missed"
        wanted = f"wanted {self.goal.factor:g} times the fastest of {', '.join(self.goal.peers)}"
        return f"{self.goal.entrant}: {self.factor:.2f} times as fast as {self.peer} ({wanted}: {verdict})"


def outcomes(case: Case, measurements: Sequence[Measurement]) -> list[Outcome]:
    """How the goals of a case fared among those who took part; nothing of a goal without its entrant or any peer.

    Args:
        case: The games.
        measurements: Of this case.

    Returns:
        One for each goal that can be judged.
    """
    seen = {m.entrant: m for m in measurements}
    found = []
    for goal in case.goals:
        peers = [m for m in measurements if m.entrant.startswith(goal.peers)]
        if goal.entrant in seen and peers:
            fastest = min(peers, key=lambda m: m.seconds_per_game)
            found.append(Outcome(goal, fastest.entrant, fastest.seconds_per_game / seen[goal.entrant].seconds_per_game))
    return found


def _reference(
    case: Case,
    entrants: Sequence[Entrant],
    prepared: Sequence[Prepared],
    answers: Sequence[np.ndarray],
    say: Callable[[str], None],
) -> np.ndarray | None:
    """The verified answers of the first reference entrant; nan in games that it failed."""
    for entrant, ready, answer in zip(entrants, prepared, answers, strict=True):
        if entrant.reference:
            if ready.reference is not None and ready.num_games < case.num_games:
                say(f"{case.label}: {entrant.name} answers all games, for comparison")
                answer = ready.reference()
            good = case.residuals(answer) <= case.residual_tol
            return np.where(good.reshape(-1, *(1,) * (answer.ndim - 1)), answer, np.nan)
    return None


def _judge(
    case: Case,
    entrant: Entrant,
    ready: Prepared,
    answer: np.ndarray,
    added: int | None,
    times: tuple[float, ...],
    reference: np.ndarray | None,
) -> Measurement:
    if len(answer) != ready.num_games:
        raise RuntimeError(f"{entrant.name} answered {len(answer)} of {ready.num_games} games of {case.label}")
    failures, worst, compared, off = None, None, 0, None
    if not entrant.time_only:
        size = case.residuals(answer)
        good = size <= case.residual_tol
        failures, worst = int((~good).sum()), float(size[good].max(initial=0.0))
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
        added_bytes=added,
        run_seconds=times,
        failures=failures,
        worst_residual=worst,
        compared=compared,
        off_branch=off,
        follows_branch=entrant.follows_branch,
    )
