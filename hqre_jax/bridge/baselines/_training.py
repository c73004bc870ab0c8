"""Training on bandit feedback: questions of dev are played, batch by batch, and a learner sees what it did and got.

All learners are told the same: the public state, what everybody chose, and what each agent was paid from then on. All
begin with the same prior: the uniform reference policy, and returns of ½ that weigh as much as one play.
"""

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from hqre_jax.bridge.baselines._interface import check_budget
from hqre_jax.bridge.coordination import PublicStates, Samples, TeamSimulator
from hqre_jax.bridge.tasks import Item
from hqre_jax.bridge.team import TokenPrice

BATCH = 16
PRIOR_MEAN, PRIOR_WEIGHT = 0.5, 1.0
# Prices that are tried, in units of the team file's: a budget picks one of the policies that come of them.
PRICES = (0.0, 1.0, 4.0)

Table = Float[np.ndarray, "agent state choice"]


@dataclass(frozen=True)
class Visits:
    """Decisions and what came of them.

    Attributes:
        states: Number of the public state.
        choices: What each agent chose, ``(visit, agent)``.
        returns: What each agent was paid from then on, ``(visit, agent)``, units of score.
        scores: Of the team's answer at the end of the play, one for each play.
    """

    states: Int[np.ndarray, " visit"]
    choices: Int[np.ndarray, "visit agent"]
    returns: Float[np.ndarray, "visit agent"]
    scores: Float[np.ndarray, " play"]


class AbstractLearner(abc.ABC):
    """Chooses in every state for every agent, and learns from what came of it."""

    @abc.abstractmethod
    def choose(self, state: int, rng: np.random.Generator) -> Sequence[int]:
        """One control for each agent, by number.

        Args:
            state: Number of the public state.
            rng: Its chance.
        """

    @abc.abstractmethod
    def learn(self, visits: Visits) -> None:
        """Take in a batch of plays.

        Args:
            visits: Its decisions, in order of play and round.
        """

    @abc.abstractmethod
    def policy(self) -> Table:
        """What it would play now, exploration for its own sake left out: ``(agent, state, choice)``."""


def repriced(samples: Samples, factor: float) -> Samples:
    """The same pool for a team whose tokens have another price."""
    agents = []
    for agent in samples.team.agents:
        price = agent.price
        prices = (factor * price.prompt, factor * price.cached, factor * price.completion)
        agents.append(replace(agent, price=TokenPrice(*prices)))
    return samples.of(replace(samples.team, agents=tuple(agents)))


def train(
    learner: AbstractLearner,
    samples: Samples,
    dev: Sequence[Item],
    plays: int,
    seed: int,
    *,
    watch: Callable[[int, Visits], None] | None = None,
) -> int:
    """Let a learner play.

    Args:
        learner: It is changed.
        samples: The sample pool; its team's prices are what the learner pays.
        dev: Questions.
        plays: How many.
        seed: Of the questions, of samples, and of the learner's chance.
        watch: Told, after every batch, how many plays there were, and the batch.

    Returns:
        How many plays broke down because a call failed: they are missing.

    Raises:
        BudgetEnded: The run's own budget is spent.
    """
    states = PublicStates.of(samples.team, samples.tasks)
    simulator = TeamSimulator(samples, states, _by_number(states, dev))
    rng, done, broken_ones = np.random.default_rng([seed, 1]), 0, 0
    while done < plays:
        count = min(BATCH, plays - done)
        visits, broken = _batch(learner, simulator, count, rng)
        if broken:
            check_budget(samples)
        learner.learn(visits)
        done, broken_ones = done + count, broken_ones + broken
        if watch is not None:
            watch(done, visits)
    return broken_ones


def _batch(
    learner: AbstractLearner, simulator: TeamSimulator, count: int, rng: np.random.Generator
) -> tuple[Visits, int]:
    agents = len(simulator.samples.team.agents)
    state = simulator.reset(rng.integers(2**31, size=count))
    alive, down = np.ones(count, bool), np.zeros(count, bool)
    where, chosen, paid = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
    for _ in range(simulator.horizon):
        public = simulator.observe(state)[:, 0]
        actions = np.zeros((count, agents), int)
        for k in np.flatnonzero(alive):
            actions[k] = learner.choose(int(public[k]), rng)
        state, rewards, over, broken = simulator.step(state, actions)
        where.append(np.where(alive, public, -1))
        chosen.append(actions)
        paid.append(rewards)
        down |= broken
        alive &= ~over
        if not alive.any():
            break
    returns = np.cumsum(np.stack(paid)[::-1], axis=0)[::-1]
    stacked = np.stack(where)
    k, r = np.nonzero(((stacked >= 0) & ~down).T)
    scores = np.array([play.score for play, lost in zip(state, down, strict=True) if not lost], float)
    return Visits(stacked[r, k], np.stack(chosen)[r, k], returns[r, k], scores), int(down.sum())


def _by_number(states: PublicStates, dev: Sequence[Item]) -> Mapping[int, list[Item]]:
    """Questions by the number of their class; classes without one are left out."""
    found = {c: [item for item in dev if states.class_of(item) == c] for c in range(len(states.classes))}
    return {c: items for c, items in found.items() if items}


def one_hot(best: Int[np.ndarray, "agent state"], mask: np.ndarray) -> Table:
    """The policy that takes one control in each state."""
    table = np.zeros(mask.shape)
    np.put_along_axis(table, best[..., None], 1.0, axis=-1)
    return table
