"""Ascents from random positions, and where they end, judged by the statement's own code."""

from dataclasses import dataclass
from typing import Any

import numpy as np

import hqre_jax as hq
from hqre_jax.games.random._draws import generator
from proofs_check.adversary.ascent import ascend
from proofs_check.comparison import Comparison, select
from proofs_check.statement import Statement, Target

NUM_STEPS = 200


@dataclass(frozen=True, eq=False)
class Attack:
    """What an adversary reached who was looking for a game that breaks a claim.

    Attributes:
        claim: The claim attacked.
        ratios: Observed/bound at the end of each run; above 1 is a counterexample.
        best: The game and temperatures of the largest ratio, without a leading axis.
    """

    claim: str
    ratios: np.ndarray
    best: hq.Problem

    @property
    def tightest(self) -> float:
        """Largest observed/bound that was reached."""
        return float(np.max(self.ratios, initial=-np.inf)) if self.ratios.size else float("nan")


def climbed(target: Target, key: Any, num_runs: int) -> Any:
    """Where ascents from random positions end."""
    positions = target.draw(generator(key), num_runs)
    return ascend(target.score, positions, target.remember(positions), NUM_STEPS)[0]


def judged(target: Target, positions: Any, key: Any, times: float = 1.0) -> Comparison:
    """The claim at given positions, measured with the constants that the library proves.

    Args:
        target: What is attacked.
        positions: Leading axis (run).
        key: Typed key of what is random besides.
        times: Judge as if the margin were that many times as large: a negative control.

    Returns:
        The comparison.
    """
    cases = target.cases(positions)
    if times != 1.0:
        cases = cases._replace(known=cases.known._replace(margin=times * cases.known.margin))
    return Comparison.of(target.claim, "adversary's", target.sides(cases, positions, key), cases.problem)


def attacked(statement: Statement, key: Any, num_runs: int) -> Attack:
    """Ascents against the statement's target.

    Args:
        statement: A statement that has one.
        key: Typed key of the positions.
        num_runs: Number of ascents.

    Returns:
        What they reached.
    """
    target = statement.target
    assert target is not None
    comparison = judged(target, climbed(target, key, num_runs), key)
    # A run that ends where rounding hides the ratio has reached nothing.
    ratios = np.where(np.isnan(comparison.ratios), 0.0, comparison.ratios)
    return Attack(target.claim, ratios, select(comparison.problems, int(np.argmax(ratios))))
