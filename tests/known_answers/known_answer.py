"""What a known answer is, and short ways to write its probabilities down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Entry = tuple[int, int, int]  # player, information state, action
EXACT = 8  # decimals asked of a closed form: the solver stops at a residual of 1e-10


@dataclass(frozen=True)
class KnownAnswer:
    """One equilibrium known from elsewhere.

    Args:
        name: What the test is called; up to the first comma, the game.
        game: A name of the catalogue, or a constructor's name and its arguments.
        family: "normal_form", "tree", "markov" or "bayesian".
        tau: As ``solve`` takes it: a number, one per player, or one per player and information state.
        policy: Probabilities by (player, information state, action); any subset of them.
        digits: How many decimals of them are trusted.
        source: A citation, or "closed form" and the equation that was solved.
        continuation: Who pays whose entropy later.
        entropy: "kl" or "shannon".
        reference: One distribution for every decision point, or None for the uniform.
        selection: What the solution must say about its choice, where that is known.
        folds: Turning points that the principal branch passes on its way.
        values: Initial values by player, where they are known.
        value_digits: How many decimals of them are trusted.
    """

    name: str
    game: str | tuple[str, Mapping[str, Any]]
    family: str
    tau: Any
    policy: Mapping[Entry, Any]
    digits: int
    source: str
    continuation: str = "soft"
    entropy: str = "kl"
    reference: tuple[float, ...] | None = None
    selection: str | None = None
    folds: int = 0
    values: Mapping[int, Any] = field(default_factory=dict)
    value_digits: int = 7

    @property
    def heterogeneous(self) -> bool:
        """Whether two players or two information states have different temperatures."""
        return isinstance(self.tau, tuple)

    @property
    def game_name(self) -> str:
        return self.game if isinstance(self.game, str) else self.name.split(",")[0]


def chances(*first_actions):
    """P(first action) of each player at its only information state, of two actions."""
    return per_state(*([p] for p in first_actions))


def per_state(*rows):
    """P(first action) of two at each information state, one row per player."""
    return {
        (i, x, a): value for i, row in enumerate(rows) for x, p in enumerate(row) for a, value in enumerate((p, 1 - p))
    }


def distributions(*players):
    """Whole distributions: for each player, one at each of its information states."""
    return {(i, x, a): p for i, states in enumerate(players) for x, row in enumerate(states) for a, p in enumerate(row)}
