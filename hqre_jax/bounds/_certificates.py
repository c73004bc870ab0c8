"""Certificates: whether an HQRE is the only one, and the numbers that say so."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from hqre_jax.bounds import Bounds, bounds
from hqre_jax.core._padding import cut_down
from hqre_jax.problem import Problem


class Verdict(StrEnum):
    """What is known about the number of HQRE; a string, so that ``cert.verdict == "unique"`` reads as it should.

    Example:
        >>> import hqre_jax as hq
        >>> hq.certificates.Verdict.unique == "unique", [str(verdict) for verdict in hq.certificates.Verdict]
        (True, ['unique', 'not_unique', 'undecided'])
    """

    unique = "unique"
    not_unique = "not_unique"
    undecided = "undecided"


@dataclass(frozen=True, eq=False)
class Certificate:
    """How many HQRE there are, as far as is known, and why.

    Attributes:
        verdict: ``"unique"``, ``"not_unique"`` or ``"undecided"``.
        margin: κ, units of payoff; None where play goes on (γ > 0) and for trees.
        weights: The weights ``w``, ``(player, information state)``, at which κ and L hold; None with the margin.
        lipschitz: L at these weights, units of payoff; None with the margin.
        max_step: Largest mirror step ``κ/L²`` of T2; None where κ ≤ 0 or there is no margin.
        contraction: Contraction factor of the logit map or of soft Q-iteration; None where none is known.
        witnesses: Two different HQRE, each ``(player, information state, action)``; empty unless ``not_unique``.
        reason: One sentence.
        proofs: What proves the verdict with outward rounding, if that was asked for: one proof of uniqueness, or a
            box for each witness.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> certificate = hq.certify(game, 8.0)
        >>> certificate.verdict, round(certificate.margin, 3)
        (<Verdict.unique: 'unique'>, 6.5)
    """

    verdict: Verdict
    margin: float | None
    weights: np.ndarray | None
    lipschitz: float | None
    max_step: float | None
    contraction: float | None
    witnesses: tuple[np.ndarray, ...]
    reason: str
    proofs: tuple[Any, ...] = ()

    def __str__(self) -> str:
        numbers = {
            "margin": self.margin,
            "Lipschitz": self.lipschitz,
            "largest step": self.max_step,
            "contraction": self.contraction,
        }
        known = [f"{name} {value:.6g}" for name, value in numbers.items() if value is not None]
        return f"{self.verdict}: {self.reason}" + (f" ({', '.join(known)})" if known else "")


def cheap_certificate(problem: Problem) -> Certificate:
    """Certificate from the bounds of T1 and T4 alone: no equilibrium is searched for.

    Args:
        problem: The problem, its values known (not under ``jit`` or ``vmap``).

    Returns:
        ``unique`` where the bounds prove it, otherwise ``undecided``.

    Source: theory.md §3, T1, T4.
    """
    # By the program that many shapes share: what fills them up has no part in any bound.
    known = bounds(problem.rounded())
    margin = _number(known.margin)
    return Certificate(
        verdict=Verdict.unique if bool(known.unique) else Verdict.undecided,
        margin=margin,
        weights=None if margin is None else np.asarray(cut_down(known.weights, problem.tau.shape)),
        lipschitz=_number(known.lipschitz),
        max_step=_number(known.max_step),
        contraction=_number(known.contraction),
        witnesses=(),
        reason=_reason(known),
    )


def _number(value: Any) -> float | None:
    value = float(value)
    return None if np.isnan(value) else value


def _reason(known: Bounds) -> str:
    margin, contraction = _number(known.margin), _number(known.contraction)
    if known.unique:
        if margin is not None and margin > 0:
            return "the margin is positive, so there is exactly one HQRE (T1)"
        if margin is None and contraction is not None and contraction >= 1:
            return (
                "value iteration over equilibria of the stage games is a contraction, so there is exactly one HQRE (T4)"
            )
        what = "logit map" if margin is not None else "value iteration"
        return f"the {what} is a contraction, so there is exactly one HQRE ({'T1' if margin is not None else 'T4'})"
    if margin is not None and margin > 0:
        return "unique where types have positive probability; types of probability zero may have several replies"
    if margin is None and contraction is None:
        return "no bound applies to games with γ = 1 or with beliefs that depend on the policy"
    return "the bounds prove nothing at these temperatures, and no second HQRE was looked for: certify does"
