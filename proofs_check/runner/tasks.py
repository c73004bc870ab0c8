"""The ledger's work in pieces: each small enough to be lost, and the same wherever and whenever it is done."""

import math
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from proofs_check.adversary.attack import Attack, attacked
from proofs_check.comparison import Comparison, Judged, Outcome
from proofs_check.runner.shrink import Counterexample, confirmed, shrunk, worst_game
from proofs_check.statement import Example, Statement

# Games of one piece; all pieces of a statement have the same number.
CHUNK = 2_000
# Games per run of an adversary, as T9 counts; pieces of an adversary's work.
_GAMES_PER_RUN, _ATTACKS = 200, 3
# What the adversaries' work takes on one core, compiling included.
_ADVERSARY, _ADVERSARY_SECONDS = "adversary", 70.0
# Parts of any statement's seconds that go into compiling, and into its figures, whose programs are their own.
_COMPILING, _FIGURES = 0.7, 0.4


@dataclass(frozen=True)
class Task:
    """One piece of work.

    Attributes:
        statement: "T1", "T2", …
        role: "check", "control", "sharpness", "adversary" or "figure".
        part: Which piece of this role: its number, or the figure's name.
        games: Games to draw, or runs of the adversary; 0 where there is no choice.
        group: Tasks of one group share compiled programs: one process does them all.
        seconds: About what the group takes on one core; the longest begins first, so that workers end together.
    """

    statement: str
    role: str
    part: str
    games: int
    group: str
    seconds: float

    @property
    def name(self) -> str:
        """What its file is called."""
        return f"{self.statement}-{self.role}-{self.part}"

    @property
    def weight(self) -> float:
        """About how many seconds it takes."""
        whole = self.seconds
        first = _COMPILING * whole if (self.role, self.part) == ("check", "0") else 2.0
        return first + (1 - _COMPILING) * whole * self.games / 10_000

    def key(self, seed: int) -> Any:
        """Its own randomness, whoever does it and whenever."""
        key = jax.random.key(seed)
        for word in (self.statement, self.role, self.part):
            key = jax.random.fold_in(key, zlib.crc32(word.encode()))
        return key


@dataclass(frozen=True, eq=False)
class Record:
    """What came out of one task.

    Attributes:
        task: The task.
        judged: Verdicts on games, of checks and controls.
        drawn: Games drawn.
        examples: Of the role "sharpness".
        attack: Claim and ratios, of the role "adversary".
        figure: Arrays to draw, of the role "figure".
        found: Games that break a claim, shrunk; of an adversary also its tightest game, which may break none.
        seconds: Time it took, and of this the time that went into compiling.
    """

    task: Task
    judged: tuple[Judged, ...] = ()
    drawn: int = 0
    examples: tuple[Example, ...] = ()
    attack: tuple[str, np.ndarray] | None = None
    figure: dict[str, np.ndarray] = field(default_factory=dict)
    found: tuple[Counterexample, ...] = ()
    seconds: tuple[float, float] = (0.0, 0.0)

    @property
    def outcome(self) -> Outcome:
        """The verdicts as an `Outcome`."""
        return Outcome(self.judged, self.drawn)


def plan(statements: Mapping[str, Statement], games: int) -> tuple[Task, ...]:
    """All tasks of a ledger.

    Args:
        statements: The statements, by name.
        games: Games per statement; a few more may be drawn so that all pieces are alike.

    Returns:
        The tasks, those of one group together.
    """
    return tuple(task for statement in statements.values() for task in _tasks_of(statement, games))


def _tasks_of(statement: Statement, games: int) -> Iterator[Task]:
    games = math.ceil(statement.share * games)
    chunks = -(-games // CHUNK)
    piece = -(-games // chunks)

    def task(role: str, part: str, num: int) -> Task:
        group, seconds = statement.group or statement.name, statement.seconds
        if role == "adversary":
            group, seconds = _ADVERSARY, _ADVERSARY_SECONDS
        elif role == "figure":
            group, seconds = f"{statement.name}-figures", _FIGURES * statement.seconds
        return Task(statement.name, role, part, num, group, seconds)

    for chunk in range(chunks):
        yield task("check", str(chunk), piece)
    yield task("control", "0", max(math.ceil(piece * statement.control_share), statement.control_least))
    yield task("sharpness", "0", 0)
    for part in range(_ATTACKS if statement.target is not None else 0):
        yield task("adversary", str(part), -(-piece // _GAMES_PER_RUN))
    for figure in statement.figures:
        yield task("figure", figure.name, 0)


class _Stopwatch:
    """Time, and the part of it in which programs were compiled."""

    _compiling = 0.0

    def __init__(self):
        self._began, self._before = time.perf_counter(), _Stopwatch._compiling

    @classmethod
    def listen(cls, event: str, duration: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            cls._compiling += duration

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._began, _Stopwatch._compiling - self._before


jax.monitoring.register_event_duration_secs_listener(_Stopwatch.listen)


def run_task(task: Task, statement: Statement, seed: int) -> Record:
    """Do one task.

    Args:
        task: The task.
        statement: Its statement.
        seed: The ledger's seed.

    Returns:
        The record; equal seeds give equal records, but for the time.
    """
    watch, key = _Stopwatch(), task.key(seed)
    made: dict[str, Any] = {}
    if task.role in ("check", "control"):
        outcome = (statement.check if task.role == "check" else statement.negative_control)(key, task.games)
        made = {"judged": outcome.judged, "drawn": outcome.drawn}
        if task.role == "check":
            made["found"] = tuple(_counterexamples(statement, outcome, key))
    elif task.role == "sharpness":
        made = {"examples": statement.examples()}
    elif task.role == "adversary":
        attack = attacked(statement, key, task.games)
        made = {"attack": (attack.claim, attack.ratios), "found": (_tightest(statement, attack, key),)}
    else:
        (figure,) = (figure for figure in statement.figures if figure.name == task.part)
        made = {"figure": figure.measure(key)}
    return Record(task, seconds=watch.read(), **made)


def _counterexamples(statement: Statement, outcome: Outcome, key: Any) -> Iterator[Counterexample]:
    """The worst game of every broken claim, shrunk while it breaks it."""
    for claim in outcome.claims:
        broken = [
            c
            for c in outcome.part(claim=claim).comparisons
            if isinstance(c, Comparison) and c.violated.any() and c.problems is not None
        ]
        if broken:
            worst = max(broken, key=lambda c: np.nanmax(np.where(c.violated, c.ratios, -np.inf), initial=-np.inf))
            yield shrunk(statement, claim, worst_game(worst), key)


def _tightest(statement: Statement, attack: Attack, key: Any) -> Counterexample:
    """The game in which the adversary came closest, shrunk if it breaks the claim."""
    if attack.tightest > 1:
        found = confirmed(statement, attack, key)
        if found is not None:
            return shrunk(statement, found, attack.best, key)
    return Counterexample.of(statement.name, attack.claim, attack.best, attack.tightest, violated=False)
