"""DICE-PC offline with one part taken away: the agents' own temperatures, the public state, the reference. Ours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, NothingFits, Setting, check_budget
from hqre_jax.bridge.coordination import PolicyPlayer, PublicStates, Samples, TeamGame, train_offline
from hqre_jax.bridge.tasks import Item
from hqre_jax.bridge.team import Seen
from hqre_jax.learning import MultiplicativeWeights, play
from hqre_jax.problem import Problem
from hqre_jax.solving._solution import SolveError

TEMPERATURES = (0.01, 0.02, 0.05, 0.1, 0.2)
# Rounds without a reference, and their step, per unit of score: as far as DICE-PC would have come long before.
ROUNDS, STEP = 1000, 1.0


@dataclass(frozen=True)
class OneTemperature(AbstractBaseline):
    """Heterogeneity off: the HQRE at one temperature for all agents and states, picked on dev."""

    name: str = "one_temperature"
    family = "ablation"
    trained_once = True

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        game = team_game(samples, dev)
        for tau in TEMPERATURES:
            try:
                policy = train_offline(game, tau).policy
            except SolveError:  # so low that no HQRE was found: no setting of this method
                continue
            yield Setting(f"τ = {tau:g} everywhere", PolicyPlayer(game.states, policy))


@dataclass(frozen=True)
class Unseen(AbstractBaseline):
    """State-dependence off: agents do not see the public state, or do not see how far the team agrees.

    Without the agreement play cannot end because of it, either.

    Attributes:
        hidden: What they do not see.
    """

    name: str
    hidden: tuple[Seen, ...]
    family = "ablation"
    trained_once = True

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        blind = blinded(samples, self.hidden)
        sees, game = blind.team.sees, team_game(blind, dev)
        try:
            policy = train_offline(game).policy
        except SolveError as error:
            raise NothingFits(f"no HQRE was found: {error}") from None
        yield Setting(f"sees {', '.join(sees) or 'nothing'}", PolicyPlayer(game.states, policy))


@dataclass(frozen=True)
class NoReference(AbstractBaseline):
    """Reference off: the same update on the same empirical game, with nothing that pulls policies back."""

    name: str = "no_reference"
    family = "ablation"
    trained_once = True

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        game = team_game(samples, dev)
        run = play(Problem(game.game, 1.0), MultiplicativeWeights(STEP), ROUNDS, jax.random.key(seed))
        yield Setting(f"{ROUNDS} rounds", PolicyPlayer(game.states, np.asarray(run.policies[-1])))


def blinded(samples: Samples, hidden: tuple[Seen, ...]) -> Samples:
    """The pool of a team that does not see a part of the state, and whose play does not end because of it."""
    team = samples.team
    sees = tuple(part for part in team.sees if part not in hidden)
    stops = tuple(stop for stop in team.stops if stop != "agreed" or "agreement" not in hidden)
    return samples.of(replace(team, sees=sees, stops=stops))


def team_game(samples: Samples, dev: Sequence[Item]) -> TeamGame:
    """The empirical game of the questions, from the samples that training takes, too."""
    states = PublicStates.of(samples.team, samples.tasks)
    items = {c: [item for item in dev if states.class_of(item) == c] for c in range(len(states.classes))}
    game = TeamGame.from_samples(samples, items, seed=samples.seed)
    check_budget(samples)
    return game


METHODS = (
    OneTemperature(),
    Unseen("state_off", ("class", "round", "agreement")),
    Unseen("agreement_off", ("agreement",)),
    NoReference(),
)
