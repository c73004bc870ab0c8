"""DICE-PC offline: from the empirical game to temperatures, to its HQRE, to a policy with the evidence for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Float

from hqre_jax.bounds._certificates import Verdict
from hqre_jax.bridge.coordination._counterfactuals import Law
from hqre_jax.bridge.coordination._game import TeamGame, uniform_law
from hqre_jax.bridge.coordination._intervals import Bootstrapped
from hqre_jax.bridge.coordination._policy import TeamPolicy
from hqre_jax.bridge.coordination._simulator import TeamSimulator
from hqre_jax.bridge.coordination._stability import PLAYS, heard_by, judge, plays_of, stability_document
from hqre_jax.bridge.coordination._stages import GameCertificate, certify_stages, solve_stages
from hqre_jax.bridge.coordination._worth import Estimated, Worth
from hqre_jax.core._types import InputError
from hqre_jax.games import MarkovGame
from hqre_jax.sampled import SampledGame
from hqre_jax.solving._solution import Solution
from hqre_jax.solving._solve import solve
from hqre_jax.stability import StabilityReport
from hqre_jax.stability._controller import TemperatureController

# Temperatures that are tried on dev, in units of the least ones: these come with a certificate, less may do better.
FACTORS = (1.0, 0.5, 0.25, 0.12, 0.06, 0.03, 0.015)
# Part of play that is uniform where the game is made consistent: states off the way are known, too.
TREMBLE = 0.1
_ROUNDS, _SETTLED = 10, 1e-3

Temperatures = Literal["grid", "least", "controller"]
# Rounds of plays that the controller sees, temperature that it begins with in units of the range of payoffs.
_CONTROLLED, _FIRST = 4, 0.05


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
        selection: Which HQRE it is: "unique"; "principal_branch", that of every state's game, later rounds first (or
            of the whole game, where play may come back to a state); "unselected".
        certificate: How many HQRE there are, state by state.
        worth: What the policy is worth on dev.
        settled: Largest change of a probability in the last round of making the game consistent.

    Example:
        >>> from hqre_jax.bridge.coordination import PublicStates, Samples, TeamGame, train_offline
        >>> from hqre_jax.bridge.models import Reply, Usage, from_python
        >>> from hqre_jax.bridge.team import read_team
        >>> told = {"version": 1, "model": "eight", "price": {"prompt": 0.2, "completion": 2.0}}
        >>> told |= {"tasks": [{"name": "arithmetic", "classes": ["sum"]}]}
        >>> told |= {"agents": [{"name": "first"}, {"name": "second"}]}
        >>> team = read_team(told | {"menu": [{"control": "abstain"}, {"control": "direct"}]})
        >>> eight = from_python(lambda request: Reply("It is 8.", "stop", Usage(50, 0, 5)), "eight")
        >>> samples = Samples(team, {"eight": eight})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> game = TeamGame.from_samples(samples, states.items("dev", samples.tasks, count=1))
        >>> trained = train_offline(game, "least")
        >>> trained.to_policy().facts["certificate"]["reason"]
        'the game of every state has one HQRE, by induction from the end'
        >>> round(trained.worth.score, 2)  # wrong only where both abstain: 1 - 0.27 * 0.27
        0.93
    """

    game: TeamGame
    solution: Solution
    tau: Float[np.ndarray, "agent state"]
    least: Float[np.ndarray, "agent state"] | None
    factor: float | None
    grid: dict[float, float]
    selection: str
    certificate: GameCertificate
    worth: Worth
    settled: float

    @property
    def policy(self) -> Float[np.ndarray, "agent state choice"]:
        """Probabilities of choices."""
        return np.asarray(self.solution.policy)

    def to_policy(
        self, report: StabilityReport | None = None, bootstrapped: Bootstrapped | None = None, **facts: Any
    ) -> TeamPolicy:
        """The policy with what is known of it.

        Args:
            report: The verdict on stability.
            bootstrapped: How sure it is.
            **facts: Digests and budgets.

        Returns:
            The policy, as `write_policy` writes it.
        """
        certificate, sure = self.certificate, bootstrapped
        margins = (
            None
            if sure is None or not len(sure.margins)
            else [None if np.isnan(ends).any() else ends.tolist() for ends in sure.interval(sure.margins).T]
        )
        return TeamPolicy.of(
            self.game.states, self.policy, self.tau,
            method="offline",
            residual=float(self.solution.residual),
            result=str(self.solution.result),
            selection=self.selection,
            certificate={
                "verdict": str(certificate.verdict),
                "reason": certificate.reason,
                "margins": certificate.margins,
                "margin_intervals": margins,
                "least_temperatures": None if self.least is None else self.least.tolist(),
            },
            worth={
                "score": self.worth.score,
                "score_interval": None if sure is None else sure.interval(sure.scores).tolist(),
                "costs": self.worth.costs.tolist(),
                "team": self.worth.team,
                "team_interval": None if sure is None else sure.interval(sure.teams).tolist(),
                "level": None if sure is None else sure.level,
            },
            training={
                "factor": self.factor,
                "grid": [[factor, value] for factor, value in self.grid.items()],
                "settled": self.settled,
            },
            stability=None if report is None else stability_document(report),
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
            with which policies fitted to some dev questions do best on the others; "controller": those that
            `TemperatureController` arrives at on plays of the equilibria; a number: that one, everywhere.
        factors: What the grid tries.
        folds: Parts into which the questions of each class are divided for it.
        seed: Of the division.
        say: Told what is being done.

    Returns:
        The policy and all that is known of it.

    Raises:
        InputError: Too little was sampled, or the temperature is no number above 0.

    Example:
        >>> from hqre_jax.bridge.coordination import PublicStates, Samples, TeamGame, train_offline
        >>> from hqre_jax.bridge.models import Reply, Usage, from_python
        >>> from hqre_jax.bridge.team import read_team
        >>> told = {"version": 1, "model": "eight", "price": {"prompt": 0.2, "completion": 2.0}}
        >>> told |= {"tasks": [{"name": "arithmetic", "classes": ["sum"]}]}
        >>> told |= {"agents": [{"name": "first"}, {"name": "second"}]}
        >>> team = read_team(told | {"menu": [{"control": "abstain"}, {"control": "direct"}]})
        >>> eight = from_python(lambda request: Reply("It is 8.", "stop", Usage(50, 0, 5)), "eight")
        >>> samples = Samples(team, {"eight": eight})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> game = TeamGame.from_samples(samples, states.items("dev", samples.tasks, count=1))
        >>> trained = train_offline(game, "least")
        >>> trained.selection, trained.factor
        ('unique', 1.0)
        >>> print(trained.policy[:, 0].round(2))  # either agent abstains now and then: the other one may answer
        [[0.27 0.73]
         [0.27 0.73]]
    """
    say = say or (lambda what: None)
    if isinstance(temperatures, float | int) and not (temperatures > 0 and np.isfinite(temperatures)):
        raise InputError("temperatures", f"are {temperatures!r}; a number above 0 is wanted")
    grid: dict[float, float] = {}
    factor: float | None = None
    if temperatures == "grid":
        grid = _held_out(game, factors, folds, seed, say)
        # Of temperatures that do as well, the highest: the most stable.
        factor = max(grid, key=lambda one: (round(grid[one], 6), one))
    elif temperatures == "least":
        factor = 1.0
    say("equilibrium")
    if temperatures == "controller":
        tau = controlled(game, seed)
    elif factor is None:
        tau = np.full(game.states.mask.shape[:2], float(temperatures))
    else:
        tau = factor * least_of(game.estimated)
    return _consistent(game, tau, factor, grid)


def stability_of(trained: Trained, *, seed: int = 0, plays: int = PLAYS) -> StabilityReport | None:
    """Whether play is stable at the policy's temperatures: what plays of the way to it pay.

    The way leads from uniform play by half of the way to the policy. Plays are made of what the sample pool has; one
    that would need more is missing.

    Args:
        trained: The policy.
        seed: Of the plays.
        plays: Of each policy on the way.

    Returns:
        The report.

    Example:
        >>> from hqre_jax.bridge.coordination import PublicStates, Samples, TeamGame, stability_of, train_offline
        >>> from hqre_jax.bridge.models import Reply, Usage, from_python
        >>> from hqre_jax.bridge.team import read_team
        >>> told = {"version": 1, "model": "eight", "price": {"prompt": 0.2, "completion": 2.0}}
        >>> told |= {"tasks": [{"name": "arithmetic", "classes": ["sum"]}]}
        >>> told |= {"agents": [{"name": "first"}, {"name": "second"}]}
        >>> team = read_team(told | {"menu": [{"control": "abstain"}, {"control": "direct"}]})
        >>> eight = from_python(lambda request: Reply("It is 8.", "stop", Usage(50, 0, 5)), "eight")
        >>> samples = Samples(team, {"eight": eight})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> game = TeamGame.from_samples(samples, states.items("dev", samples.tasks, count=1))
        >>> str(stability_of(train_offline(game, "least"), plays=4).verdict)  # four plays tell nothing
        'not_enough_data'
    """
    uniform = uniform_law(trained.game.states)
    path = [uniform, 0.5 * (uniform + trained.policy), trained.policy]
    return judge(path, plays_of(_played(trained.game), path, seed, plays), trained.tau, trained.game.states.mask)


def controlled(game: TeamGame, seed: int, plays: int = PLAYS) -> Float[np.ndarray, "agent state"]:
    """Temperatures that the controller arrives at, on plays of the equilibria at its temperatures.

    Args:
        game: The empirical game.
        seed: Of the plays.
        plays: Of each round.
    """
    mask, sampled, key = game.states.mask, _played(game), jax.random.key(seed)
    controller = TemperatureController()
    state = controller.init(mask, _FIRST * float(np.max(np.asarray(game.game.payoff_range()))))
    policy = uniform_law(game.states)
    for number in range(_CONTROLLED):
        episodes = sampled.play(policy, plays, jax.random.fold_in(key, number))
        state = heard_by(controller, state, policy, episodes, mask)
        policy = (1 - TREMBLE) * equilibrium(game.game, np.asarray(state.tau)) + TREMBLE * uniform_law(game.states)
    return np.asarray(state.tau)


def _played(game: TeamGame) -> SampledGame:
    items = {c: replies.items for c, replies in enumerate(game.replies)}
    return SampledGame(TeamSimulator(game.replies[0].samples, game.states, items), num_workers=1)


def least_of(estimated: Estimated) -> Float[np.ndarray, "agent state"]:
    """Least temperatures that come with a certificate; where play may come back to a state, the range of payoffs."""
    least = solve_stages(estimated.game)
    if least is not None:
        return least.tau
    width = np.asarray(estimated.game.payoff_range())
    return np.broadcast_to(width[:, None], estimated.game.action_mask.shape[:2]).copy()


def equilibrium(game: MarkovGame, tau: Float[np.ndarray, "agent state"]) -> Float[np.ndarray, "agent state choice"]:
    """The HQRE that is selected, as a policy."""
    found = solve_stages(game, tau)
    return np.asarray(solve(game, tau, throw=False).policy) if found is None else found.policy


def _held_out(
    game: TeamGame, factors: Sequence[float], folds: int, seed: int, say: Callable[[str], None]
) -> dict[float, float]:
    """What policies of each factor are worth to the team on questions that they were not fitted to."""
    for name, replies in zip(game.states.classes, game.replies, strict=True):
        if len(replies.answers) < folds:
            raise InputError("temperatures", f'"grid" wants {folds} questions of {"/".join(name)} or more, and there '
                             f'is {len(replies.answers)}: add questions, or take "least"')  # fmt: skip
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(len(replies.answers)) % folds for replies in game.replies]
    worth = dict.fromkeys(factors, 0.0)
    for fold in range(folds):
        fitted = game.resampled([(part != fold).astype(float) for part in parts])
        others = game.resampled([(part == fold).astype(float) for part in parts])
        least = least_of(fitted)
        for factor in factors:
            say(f"temperatures: {factor:g} of the least, part {fold + 1} of {folds}")
            worth[factor] += others.worth(equilibrium(fitted.game, factor * least)).team / folds
    return worth


def _consistent(
    game: TeamGame, tau: Float[np.ndarray, "agent state"], factor: float | None, grid: dict[float, float]
) -> Trained:
    """Solve, weight the histories as the solution plays, and solve again, until it moves no more."""
    uniform, law, change = uniform_law(game.states), game.law, 0.0
    policy = uniform
    for number in range(_ROUNDS if game.states.team.rounds > 1 else 1):
        game, before = game.under(law), policy
        policy = equilibrium(game.game, tau)
        change = float(np.abs(policy - before).max()) if number else 0.0
        if number and change < _SETTLED:
            break
        # Averages, for where beliefs and policy chase each other.
        played: Law = (1 - TREMBLE) * policy + TREMBLE * uniform
        law = law + (played - law) * (1.0 if number == 0 else 0.5)
    stagewise = solve_stages(game.game, tau)
    start = None if stagewise is None else stagewise.policy
    solution = solve(game.game, tau, solver="auto" if start is None else "newton", initial_policy=start)
    certificate = certify_stages(game.game, tau, np.asarray(solution.values))
    followed = str(solution.selection) != "unselected" if stagewise is None else stagewise.on_branch
    selection = "principal_branch" if followed else "unselected"
    return Trained(
        game=game,
        solution=solution,
        tau=tau,
        least=None if stagewise is None else least_of(game.estimated),
        factor=factor,
        grid=grid,
        selection="unique" if certificate.verdict == Verdict.unique else selection,
        certificate=certificate,
        worth=game.estimated.worth(np.asarray(solution.policy)),
        settled=0.0 if game.states.team.rounds == 1 else change,
    )
