"""The statements on a game of one's own: which hypotheses hold, and what is observed where they do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import hqre_jax as hq
from hqre_jax.bounds import Bounds, bounds
from proofs_check.comparison import Comparison, batch_of_one
from proofs_check.statement import Statement

_ONE_MOVE = "is about games of one simultaneous move"


@dataclass(frozen=True)
class Measured:
    """A claim in one game.

    Attributes:
        claim: The claim.
        ratio: Largest observed/bound; nan where rounding hides it, or nothing was measured.
        violated: Whether the game breaks it.
        measured: Whether anything was.
    """

    claim: str
    ratio: float
    violated: bool
    measured: bool

    @staticmethod
    def of(comparison: Comparison) -> "Measured":
        """Of a comparison of one game."""
        (ratio,), (violated,) = comparison.ratios, comparison.violated
        return Measured(comparison.claim, float(ratio), bool(violated), bool(comparison.measured.all()))


@dataclass(frozen=True, eq=False)
class Verdict:
    """A statement on one game.

    Attributes:
        statement: The statement.
        applies: Whether its hypothesis holds.
        reason: Why, or why not and what would help.
        claims: The claims where it holds.
    """

    statement: Statement
    applies: bool
    reason: str
    claims: tuple[Measured, ...]

    @property
    def violated(self) -> bool:
        """Whether a claim is broken."""
        return any(claim.violated for claim in self.claims)


def judge(problem: hq.Problem, statements: Mapping[str, Statement], key: Any) -> tuple[Verdict, ...]:
    """Measure every statement that is about single games on this one.

    Args:
        problem: The game with its temperatures.
        statements: The statements, by name.
        key: Typed key for what is drawn: starts, pairs of policies.

    Returns:
        One verdict per statement.
    """
    known = bounds(problem)
    verdicts = []
    for statement in statements.values():
        if not statement.about_single_games:
            verdicts.append(Verdict(statement, False, "is not about single games", ()))
            continue
        measured = statement.measure(batch_of_one(problem), key)
        found = tuple(Measured.of(c) for c in measured if len(c.observed))
        verdicts.append(Verdict(statement, bool(found), _reason(statement, known, bool(found)), found))
    return tuple(verdicts)


def _reason(statement: Statement, known: Bounds, applies: bool) -> str:
    """What decides the hypotheses of T1 to T4: the margin where everybody moves once, the contraction in the others."""
    margin, contraction = float(known.margin), float(known.contraction)
    if np.isfinite(margin):
        if margin > 0:
            step = f", η ≤ κ/L² = {float(known.max_step):.6g}" if np.isfinite(float(known.max_step)) else ""
            return f"κ = {margin:.6g} > 0{step}" if applies else "is not about games of one simultaneous move"
        return f"hypothesis fails: κ = {margin:.6g} ≤ 0" if not applies else f"κ = {margin:.6g}"
    if statement.one_move:
        return _ONE_MOVE
    if np.isfinite(contraction):
        if contraction < 1:
            return f"q = {contraction:.6g} < 1" if applies else "is not about games that go on, or of this kind"
        return f"hypothesis fails: q = {contraction:.6g} ≥ 1" if not applies else f"q = {contraction:.6g}"
    return "does not apply: trees and policy-dependent beliefs have neither margin nor contraction"


def remedy(problem: hq.Problem) -> str:
    """Temperatures at which hypotheses hold that fail here; empty if none fails or none is known to help."""
    known = bounds(problem)
    margin, contraction = float(known.margin), float(known.contraction)
    if np.isfinite(margin):
        if margin > 0:
            return ""
        least = hq.least_temperatures(problem.game)
        used = np.asarray(problem.mask).any(axis=-1)
        rows = [", ".join(f"{tau:.6g}" for tau in own[mine]) for own, mine in zip(least.tau, used, strict=True)]
        return (
            f"temperatures above these make κ > 0, player by player: {'; '.join(rows)} "
            f"(one for all: above {least.common:.6g}); around the uniform policy or any other"
        )
    discount = getattr(problem.game, "discount", None)
    if np.isfinite(contraction) and contraction >= 1 and discount is not None and problem.continuation == "soft":
        # spr(γI + B diag(1/τ)) = γ + spr(B diag(1/τ)), and the second term falls as all temperatures rise together.
        gamma = float(discount)
        factor = (contraction - gamma) / (1 - gamma)
        return f"all temperatures more than {factor:.6g} times as high make q < 1"
    return ""
