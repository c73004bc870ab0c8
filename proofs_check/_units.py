"""The ledger's work in pieces: each small enough to be lost, and the same wherever and whenever it is done."""

import math
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from proofs_check._figures import FIGURES
from proofs_check._shrink import Counterexample, confirmed, shrunk, worst_game
from proofs_check._statement import Attack, Comparison, Example, Judged, Outcome, Statement

# Games of one piece. All pieces of a statement have the same number, so that its programs are compiled once.
CHUNK = 2_000
# What part of a piece of the check a control draws: its batches then have the size of the check's, family by family,
# and nothing is compiled anew.
_CONTROL_SHARE = {"T1": 1 / 2, "T2": 1 / 2, "T3": 1 / 4, "T4": 1 / 6, "T5": 1 / 6, "T7": 1.0, "T8": 1 / 5}
_CONTROL_SHARE |= {"T3s": 1 / 6, "T6": 1 / 10, "T7s": 1.0}
_CONTROL_SHARE_OTHERWISE = 1 / 4
# Games per run of an adversary, as T9 counts; pieces of an adversary's work.
_GAMES_PER_RUN, _ATTACKS = 200, 3
# Seconds of a group on one core, compiling included; they weigh the progress. First what takes longest, so that the
# workers end together.
_SECONDS = {"adversary": 70.0, "T2": 65.0, "T1": 55.0, "T4": 50.0, "T6": 40.0, "T5": 35.0, "T3": 30.0}
_SECONDS_OTHERWISE = 20.0
# The part of them that goes into compiling.
_COMPILING = 0.7


@dataclass(frozen=True)
class Unit:
    """One piece of work.

    Attributes:
        statement: "T1", "T2", …
        role: "check", "control", "sharpness", "adversary" or "figure".
        part: Which piece of this role: its number, or the figure's name.
        games: Games to draw, or runs of the adversary; 0 where there is no choice.
    """

    statement: str
    role: str
    part: str
    games: int

    @property
    def name(self) -> str:
        """What its file is called."""
        return f"{self.statement}-{self.role}-{self.part}"

    @property
    def group(self) -> str:
        """Units of one group share compiled programs: one process does them all."""
        if self.role == "adversary" or self.statement == "T9":
            return "adversary"
        return self.statement

    @property
    def rank(self) -> int:
        """Groups of low rank begin first."""
        order = list(_SECONDS)
        return order.index(self.group) if self.group in order else len(order)

    @property
    def weight(self) -> float:
        """About how many seconds it takes."""
        whole = _SECONDS.get(self.group, _SECONDS_OTHERWISE)
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
    """What came out of one unit.

    Attributes:
        unit: The unit.
        judged: Verdicts on games, of checks and controls.
        drawn: Games drawn.
        examples: Of the role "sharpness".
        attack: Claim and ratios, of the role "adversary".
        figure: Arrays to draw, of the role "figure".
        found: Games that break a claim, shrunk; of an adversary also its tightest game, which may break none.
        seconds: Time it took, and of this the time that went into compiling.
    """

    unit: Unit
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


def plan(statements: Mapping[str, Statement], games: int) -> tuple[Unit, ...]:
    """All units of a ledger.

    Args:
        statements: The statements, by name.
        games: Games per statement; a few more may be drawn so that all pieces are alike.

    Returns:
        The units, those of one group together.
    """
    return tuple(unit for statement in statements.values() for unit in _units_of(statement, games))


def _units_of(statement: Statement, games: int) -> Iterator[Unit]:
    games = math.ceil(statement.share * games)
    name, chunks = statement.name, -(-games // CHUNK)
    piece = -(-games // chunks)
    for chunk in range(chunks):
        yield Unit(name, "check", str(chunk), piece)
    yield Unit(name, "control", "0", math.ceil(piece * _CONTROL_SHARE.get(name, _CONTROL_SHARE_OTHERWISE)))
    yield Unit(name, "sharpness", "0", 0)
    for part in range(_ATTACKS if statement.adversary is not None else 0):
        yield Unit(name, "adversary", str(part), -(-piece // _GAMES_PER_RUN))
    for figure in FIGURES.values():
        if figure.statement == name:
            yield Unit(name, "figure", figure.name, 0)


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


def run_unit(unit: Unit, statement: Statement, seed: int) -> Record:
    """Do one unit.

    Args:
        unit: The unit.
        statement: Its statement.
        seed: The ledger's seed.

    Returns:
        The record; equal seeds give equal records, but for the time.
    """
    watch, key = _Stopwatch(), unit.key(seed)
    made: dict[str, Any] = {}
    if unit.role in ("check", "control"):
        outcome = (statement.check if unit.role == "check" else statement.negative_control)(key, unit.games)
        made = {"judged": _pooled(outcome), "drawn": outcome.drawn}
        if unit.role == "check":
            made["found"] = tuple(_counterexamples(statement, outcome, key))
    elif unit.role == "sharpness":
        made = {"examples": statement.sharpness()}
    elif unit.role == "adversary":
        assert statement.adversary is not None
        attack = statement.adversary(key, unit.games)
        made = {"attack": (attack.claim, np.asarray(attack.ratios)), "found": (_tightest(statement, attack, key),)}
    else:
        made = {"figure": FIGURES[unit.part].measure(key)}
    return Record(unit, seconds=watch.read(), **made)


def _pooled(outcome: Outcome) -> tuple[Judged, ...]:
    """One `Judged` per claim and family, batches put after each other."""
    merged: dict[tuple[str, str], list[Judged]] = {}
    for comparison in outcome.comparisons:
        judged = comparison.judged if isinstance(comparison, Comparison) else comparison
        merged.setdefault((judged.claim, judged.family), []).append(judged)
    return tuple(
        Judged(*names, np.concatenate([j.ratios for j in parts]), np.concatenate([j.violated for j in parts]))
        for names, parts in merged.items()
    )


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
