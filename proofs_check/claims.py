"""One claim, one game: ``claims.check("T2(a)", problem)``."""

import math
import re
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import hqre_jax as hq
from proofs_check.comparison import Comparison, batch_of_one
from proofs_check.discovery import statements


@dataclass(frozen=True, eq=False)
class Answer:
    """What a claim says of one game.

    Attributes:
        claim: The claim.
        comparisons: Both sides of its inequalities; empty where the hypothesis fails.
    """

    claim: str
    comparisons: tuple[Comparison, ...]

    @property
    def applies(self) -> bool:
        """Whether the game satisfies the hypothesis."""
        return any(len(comparison.observed) for comparison in self.comparisons)

    @property
    def holds(self) -> bool:
        """Whether nothing exceeds its bound by more than rounding explains; so it is where nothing is claimed."""
        return not any(comparison.violated.any() for comparison in self.comparisons)

    @property
    def observed(self) -> np.ndarray:
        """The left sides, every measurement."""
        return np.concatenate([np.ravel(comparison.observed) for comparison in self.comparisons] or [np.zeros(0)])

    @property
    def bound(self) -> np.ndarray:
        """The right sides, in the same order."""
        return np.concatenate([np.ravel(comparison.bound) for comparison in self.comparisons] or [np.zeros(0)])

    @property
    def ratio(self) -> float:
        """Largest observed/bound; nan where rounding or the hypothesis leaves none."""
        ratios = [ratio for comparison in self.comparisons for ratio in comparison.ratios if not math.isnan(ratio)]
        return float(max(ratios, default=math.nan))


def check(name: str, problem: hq.Problem, key: Any = None, *, package: str = "proofs_check") -> Answer:
    """Measure one claim in one game, as ``hqre verify --game`` does and the ledger in thousands.

    Example:
        >>> import jax, hqre_jax as hq
        >>> from proofs_check import claims
        >>> jax.config.update("jax_enable_x64", True)
        >>> pennies = hq.NormalFormGame([[[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]])
        >>> answer = claims.check("T2(a)", hq.Problem(pennies, 0.7))
        >>> answer.applies, answer.holds, bool(answer.observed.max() <= answer.bound.max())
        (True, True, True)

    Args:
        name: Statement and claim, say "T2(a)"; "T2" for all its claims.
        problem: The game with its temperatures (units of payoff).
        key: Typed key of what is random besides: starts, pairs of policies, noise. Always the same by default.
        package: Where the statements are.

    Returns:
        Both sides of the inequality in this game, if it satisfies the hypothesis.

    Raises:
        InputError: There is no such statement, it is not about single games, or has no such claim for this kind of
            game.
    """
    every = statements(package)
    found = re.fullmatch(r"(\w+)(\(\w\))?", name)
    if found is None or found[1] not in every:
        raise hq.InputError("name", f"{name[:20]!a} is no claim; say T2(a), of one of {', '.join(every)}")
    statement, letter = every[found[1]], found[2] or ""
    if not statement.about_single_games:
        raise hq.InputError("name", f"{statement.name} is not about single games")
    measured = statement.measure(batch_of_one(problem), jax.random.key(0) if key is None else key)
    comparisons = tuple(c for c in measured if c.claim.startswith(letter))
    if measured and not comparisons:
        known = ", ".join(dict.fromkeys(c.claim for c in measured))
        raise hq.InputError("name", f"{name[:20]!a} is no claim about games of this kind; there are {known}")
    return Answer(comparisons[0].claim if letter and comparisons else name, comparisons)
