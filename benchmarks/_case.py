"""What a workload asks and what an entrant answers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Case:
    """A batch of games in normal form at one temperature.

    Attributes:
        workload: "W1", …
        label: What distinguishes this case within the workload.
        payoffs: ``payoffs[game, player, a_1, …, a_N]``.
        tau: Temperature τ = 1/λ of everybody, units of payoff.
        residual_tol: Largest residual that counts as an answer.
        branch_tol: Largest distance from the reference's answer, in probability, on the principal branch.
    """

    workload: str
    label: str
    payoffs: np.ndarray
    tau: float
    residual_tol: float = 1e-8
    branch_tol: float = 1e-4

    @property
    def num_games(self) -> int:
        """Size of the batch."""
        return len(self.payoffs)

    @property
    def large(self) -> bool:
        """Whether one game alone is work enough: nothing that is made for many small ones is asked to answer it."""
        return self.payoffs[0].size > 100_000


@dataclass(frozen=True, eq=False)
class Prepared:
    """An entrant that is ready to answer one case.

    Attributes:
        run: Does all the work anew and returns policies ``(game, player, action)``; games that the entrant gave up
            on are nan. What is timed.
        compile_seconds: What compilation took; None for entrants that do not compile.
        num_games: How many games of the case, from the first, it answers: slow peers answer a part.
    """

    run: Callable[[], np.ndarray]
    num_games: int
    compile_seconds: float | None = None


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
    """

    name: str
    version: str
    prepare: Callable[[Case], Prepared]
    missing: str = ""
    follows_branch: bool = False
    reference: bool = False
    accepts: Callable[[Case], bool] = lambda case: True
