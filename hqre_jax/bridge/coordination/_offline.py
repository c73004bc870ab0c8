"""DICE-PC offline: from the empirical game to temperatures, to its HQRE, to a policy with the evidence for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from hqre_jax._solution import Solution
from hqre_jax._solve import solve
from hqre_jax._types import InputError
from hqre_jax.bridge.coordination._counterfactuals import Law
from hqre_jax.bridge.coordination._game import TeamGame, uniform_law
from hqre_jax.bridge.coordination._policy import TeamPolicy
from hqre_jax.bridge.coordination._stages import GameCertificate, certify_stages, least_stage_temperatures
from hqre_jax.bridge.coordination._worth import Estimated, Worth

# Temperatures that are tried on dev, in units of the least ones: these come with a certificate, less may do better.
FACTORS = (1.0, 0.5, 0.25, 0.12, 0.06, 0.03, 0.015)
# Part of play that is uniform where the game is made consistent: states off the way are known, too.
TREMBLE = 0.1
_ROUNDS, _SETTLED = 12, 1e-3

Temperatures = Literal["grid", "least"]


@dataclass(frozen=True)
class Trained:
    """A policy and all that is known of it.

    Attributes:
        game: The empirical game, for the policy's own law of play.
        solution: Its HQRE.
        tau: Temperatures, ``(agent, state)``, units of score.
        least: Least temperatures that come with a certificate, same shape; None where none are known.
        factor: ``tau`` in units of the least ones; None where that is not how they were chosen.
        grid: What each factor was worth on dev questions that it was not fitted to.
        certificate: How many HQRE there are, state by state.
        worth: What the policy is worth on dev.
        settled: Largest change of a probability in the last round of making the game consistent.
    """

    game: TeamGame
    solution: Solution
    tau: Float[np.ndarray, "agent state"]
    least: Float[np.ndarray, "agent state"] | None
    factor: float | None
    grid: dict[float, float]
    certificate: GameCertificate
    worth: Worth
    settled: float

    @property
    def policy(self) -> Float[np.ndarray, "agent state choice"]:
        """Probabilities of choices."""
        return np.asarray(self.solution.policy)

    def to_policy(self, **facts: Any) -> TeamPolicy:
        """The policy with what is known of it.

        Args:
            **facts: Digests and budgets.
        """
        certificate = self.certificate
        return TeamPolicy.of(
            self.game.states, self.policy, self.tau,
            method="offline",
            residual=float(self.solution.residual),
            result=str(self.solution.result),
            selection=str(self.solution.selection),
            certificate={
                "verdict": str(certificate.verdict),
                "reason": certificate.reason,
                "margins": certificate.margins,
                "least_temperatures": None if self.least is None else self.least.tolist(),
            },
            worth={"score": self.worth.score, "costs": self.worth.costs.tolist(), "team": self.worth.team},
            training={
                "factor": self.factor,
                "grid": [[factor, value] for factor, value in self.grid.items()],
                "settled": self.settled,
            },
            **facts,
        )  # fmt: skip


def train_offline(
    game: TeamGame,
    temperatures: Temperatures | float = "grid",
    *,
    factors: Sequence[float] = FACTORS,
    folds: int = 2,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> Trained:
    """Find temperatures and the HQRE of a team's empirical game.

    Args:
        game: The game.
        temperatures: "least": the least ones that come with a certificate of uniqueness; "grid": these times the factor
            with which policies fitted to some dev questions do best on the others; a number: that one, everywhere.
        factors: What the grid tries.
        folds: Parts into which the questions of each class are divided for it.
        seed: Of the division.
        say: Told what is being done.

    Returns:
        The policy and all that is known of it.

    Raises:
        InputError: Too little was sampled, or the temperature is no number above 0.
    """
    say = say or (lambda what: None)
    if isinstance(temperatures, float | int) and not (temperatures > 0 and np.isfinite(temperatures)):
        raise InputError("temperatures", f"are {temperatures!r}; a number above 0 is wanted")
    grid: dict[float, float] = {}
    factor: float | None = None
    if temperatures == "grid":
        for factor in factors:
            say(f"temperatures: {factor:g} of the least")
            grid[factor] = _held_out(game, factor, folds, seed)
        # Of temperatures that do as well, the highest: the most stable.
        factor = max(grid, key=lambda one: (round(grid[one], 6), one))
    elif temperatures == "least":
        factor = 1.0
    return _consistent(game, temperatures, factor, grid, say)


def temperatures_of(estimated: Estimated, factor: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Temperatures in units of the least ones, and the least ones; where none are known, of the range of payoffs."""
    least = least_stage_temperatures(estimated.game)
    if least is not None:
        return factor * least.tau, least.tau
    range_ = np.asarray(estimated.game.payoff_range())
    return factor * np.broadcast_to(range_[:, None], estimated.game.action_mask.shape[:2]), None


def _held_out(game: TeamGame, factor: float, folds: int, seed: int) -> float:
    """What policies of this factor are worth to the team on questions that they were not fitted to."""
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(len(replies.answers)) % folds for replies in game.replies]
    total = 0.0
    for fold in range(folds):
        fitted = game.resampled([(part != fold).astype(float) for part in parts])
        tau, _ = temperatures_of(fitted, factor)
        policy = np.asarray(solve(fitted.game, tau, throw=False).policy)
        total += game.resampled([(part == fold).astype(float) for part in parts]).worth(policy).team
    return total / folds


def _consistent(
    game: TeamGame, temperatures: Temperatures | float, factor: float | None, grid: dict[float, float],
    say: Callable[[str], None],
) -> Trained:  # fmt: skip
    """Solve, weight the histories as the solution plays, and solve again, until it moves no more."""
    uniform, law, change = uniform_law(game.states), game.law, np.inf
    rounds = _ROUNDS if game.states.team.rounds > 1 else 1
    solution, tau, least = None, None, None
    for number in range(rounds):
        say(f"equilibrium, round {number + 1}")
        game = game.under(law)
        if factor is None:
            tau, (_, least) = np.full(game.states.mask.shape[:2], temperatures), temperatures_of(game.estimated, 1.0)
        else:
            tau, least = temperatures_of(game.estimated, factor)
        solution = solve(game.game, tau)
        now: Law = (1 - TREMBLE) * np.asarray(solution.policy) + TREMBLE * uniform
        change, law = float(np.abs(now - law).max()), now
        if rounds == 1 or change < _SETTLED:
            break
    assert solution is not None and tau is not None
    values = np.asarray(solution.values)
    certificate = certify_stages(game.game, tau, values)
    worth = game.estimated.worth(np.asarray(solution.policy))
    settled = 0.0 if rounds == 1 else change
    return Trained(game, solution, tau, least, factor, grid, certificate, worth, settled)
