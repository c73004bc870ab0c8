"""The ledger of all statements: which games were tried, which broke a claim, how close the others came."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from proofs_check.comparison import Outcome
from proofs_check.discovery import statements
from proofs_check.runner.shrink import Counterexample
from proofs_check.runner.store import Configuration, Store
from proofs_check.runner.tasks import Record, Task, plan
from proofs_check.runner.workers import records
from proofs_check.statement import Example, Statement


@dataclass(frozen=True, eq=False)
class Entry:
    """One statement of the ledger.

    Attributes:
        statement: The statement.
        checked: Random games that satisfy the hypothesis.
        control: Games with a hypothesis dropped or a constant wrong: violations are wanted, of every claim.
        examples: Games in which constants are attained.
        attacked: The claim that the adversary attacked; empty if there is none.
        ratios: Observed/bound that each run of the adversary reached.
        broken_attacks: How many pieces of the adversary's work ended with a game that breaks a claim.
        found: Games that break a claim, and the adversary's tightest.
        cold: Seconds of the first piece of the check, compiling included.
        warm: Median seconds of its other pieces; nan if there is one only.
        compiling: Seconds spent compiling, in all pieces of work.
        seconds: Seconds of all pieces of work.
    """

    statement: Statement
    checked: Outcome
    control: Outcome
    examples: tuple[Example, ...]
    attacked: str
    ratios: np.ndarray
    broken_attacks: int
    found: tuple[Counterexample, ...]
    cold: float
    warm: float
    compiling: float
    seconds: float

    @property
    def violations(self) -> int:
        """Games that break a claim: random ones, and the adversary's best if it does."""
        return self.checked.violations + self.broken_attacks

    @property
    def controlled(self) -> tuple[str, ...]:
        """The claims that have to fail in a negative control: those of which games were checked."""
        if self.statement.borrowed:
            return self.control.claims
        return tuple(claim for claim in self.checked.claims if self.checked.part(claim=claim).games)

    @property
    def uncaught(self) -> tuple[str, ...]:
        """Those of them that fail in none."""
        return tuple(claim for claim in self.controlled if not self.control.part(claim=claim).violations)

    @property
    def caught(self) -> bool:
        """Whether each claim failed in a negative control, as it should."""
        return not self.uncaught

    @property
    def tightest(self) -> float:
        """Largest observed/bound of the adversary."""
        return float(self.ratios.max()) if self.ratios.size else math.nan

    @property
    def adversarial_median(self) -> float:
        """Median over the adversary's runs."""
        return float(np.median(self.ratios)) if self.ratios.size else math.nan

    def document(self) -> dict[str, Any]:
        """The numbers, without the times: equal for equal seeds."""
        return {
            "title": self.statement.title,
            "available": True,
            "games": self.checked.games,
            "drawn": self.checked.drawn,
            "violations": self.violations,
            "unresolved": self.checked.unresolved,
            "worst": self.checked.worst,
            "median": self.checked.median,
            "claims": self.checked.summary(),
            "control": {
                "change": self.statement.control,
                "games": self.control.games,
                "caught": self.caught,
                "not_caught": list(self.uncaught),
                "violations": {claim: self.control.part(claim=claim).violations for claim in self.control.claims},
            },
            "examples": [asdict(example) | {"ratio": example.ratio} for example in self.examples],
            "adversary": None
            if not self.attacked
            else {
                "claim": self.attacked,
                "runs": len(self.ratios),
                "tightest": self.tightest,
                "median": self.adversarial_median,
            },
        }


@dataclass(frozen=True, eq=False)
class Ledger:
    """What `run_ledger` found.

    Attributes:
        configuration: Seed, games, versions.
        entries: One per statement asked about.
        figures: Arrays of the pictures, by name.
        folder: Where everything is.
        seconds: Time by the clock, of this run; less than the work where tasks were done before or side by side.
        resumed: Tasks that had been done before.
    """

    configuration: Configuration
    entries: tuple[Entry, ...]
    figures: dict[str, dict[str, np.ndarray]]
    folder: Path
    seconds: float
    resumed: int

    @property
    def holds(self) -> bool:
        """Whether no claim was broken and every one was in a negative control."""
        return all(entry.violations == 0 and entry.caught for entry in self.entries)

    def document(self) -> dict[str, Any]:
        """Everything but times as plain numbers; what is no number is None."""
        documents = {entry.statement.name: entry.document() for entry in self.entries}
        return _plain({"configuration": asdict(self.configuration), "statements": dict(sorted(documents.items()))})

    def times(self) -> dict[str, Any]:
        """Seconds: by the clock, and of each statement's work."""
        work = {
            entry.statement.name: {
                "cold": entry.cold,
                "warm": entry.warm,
                "compiling": entry.compiling,
                "all": entry.seconds,
            }
            for entry in self.entries
        }
        return _plain({"clock": self.seconds, "resumed_tasks": self.resumed, "statements": work})


def run_ledger(
    names: Sequence[str],
    folder: Path,
    *,
    games: int,
    seed: int,
    package: str = "proofs_check",
    fresh: bool = False,
    programs: Path | None = None,
    watch: Callable[[list[Task], list[Task]], Callable[[Record], None]] = lambda done, pending: lambda record: None,
) -> Ledger:
    """Check statements, going on where an earlier run of the same ledger was stopped.

    Args:
        names: "T1", "T2", …
        folder: Where finished tasks are kept; see `Store`.
        games: Games per statement.
        seed: Seed of all randomness.
        package: Where the statements are.
        fresh: Forget what the folder holds.
        programs: The user's folder of compiled programs, for both workers and for the next run; None to keep none.
        watch: Called once with the tasks that were done before and those that are not; what it returns is called with
            each record as it comes.

    Returns:
        The `Ledger`, whose numbers depend on seed and games alone.

    Raises:
        InputError: The folder is of another ledger, or cannot be written to.
    """
    began = time.perf_counter()
    configuration = Configuration.of(seed, games)
    store = Store(folder, configuration, fresh=fresh)
    every = statements(package)
    asked = {name: every[name] for name in names}
    tasks = plan(asked, games)
    known = {task: record for task in tasks if (record := store.load(task)) is not None}
    resumed = len(known)
    pending = [task for task in tasks if task not in known]
    tell = watch(list(known), pending)
    for record in records(pending, package, seed, programs):
        store.save(record)
        known[record.task] = record
        tell(record)
    entries = tuple(
        _entry(statement, [known[task] for task in tasks if task.statement == name])
        for name, statement in asked.items()
    )
    figures = {task.part: known[task].figure for task in tasks if task.role == "figure"}
    return Ledger(configuration, entries, figures, folder, time.perf_counter() - began, resumed)


def _entry(statement: Statement, every: list[Record]) -> Entry:
    of = {role: [r for r in every if r.task.role == role] for role in ("check", "control", "sharpness", "adversary")}
    checked, control = (
        Outcome(tuple(j for r in of[role] for j in r.judged), sum(r.drawn for r in of[role]))
        for role in ("check", "control")
    )
    attacks = [r.attack for r in of["adversary"] if r.attack is not None]
    ends = [found for r in of["adversary"] for found in r.found]
    broken = [found for found in ends if found.violated]
    tightest = broken or sorted(ends, key=lambda found: -found.ratio)[:1]
    times = [r.seconds[0] for r in of["check"]]
    return Entry(
        statement,
        checked,
        control,
        tuple(example for r in of["sharpness"] for example in r.examples),
        attacks[0][0] if attacks else "",
        np.concatenate([ratios for _, ratios in attacks]) if attacks else np.zeros(0),
        len(broken),
        (*(found for r in of["check"] for found in r.found), *tightest),
        times[0],
        float(np.median(times[1:])) if len(times) > 1 else math.nan,
        sum(r.seconds[1] for r in every),
        sum(r.seconds[0] for r in every),
    )


def _plain(value: Any) -> Any:
    """JSON's own types; NaN and infinities, which it lacks, become None."""
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
