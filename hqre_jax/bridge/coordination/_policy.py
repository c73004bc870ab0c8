"""A team's policy: in every public state, with which probability each agent chooses which control; and its player."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from hqre_jax.bridge.controls import find_control
from hqre_jax.bridge.coordination._plays import AbstractPlayer, Course
from hqre_jax.bridge.coordination._samples import Ask, Said
from hqre_jax.bridge.coordination._states import PublicStates, State
from hqre_jax.bridge.coordination._votes import AGREED, agreement, settle
from hqre_jax.bridge.tasks import Item
from hqre_jax.core._types import InputError


@dataclass(frozen=True)
class TeamPolicy:
    """Probabilities of controls, and where they come from.

    Attributes:
        agents: Names of the agents.
        menus: Names of the entries of each agent's menu.
        states: The public states.
        probabilities: ``(agent, state, choice)``; 0 where a choice does not fit.
        tau: Temperatures, ``(agent, state)``, units of score; not a number where there is none.
        reference: Reference policy, as the probabilities.
        facts: What else is known: residual, selection, certificate, digests, budgets; JSON-like.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import PublicStates, TeamPolicy, load_tasks, uniform_law
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> states = PublicStates.of(team, load_tasks(team))
        >>> policy = TeamPolicy.of(states, uniform_law(states), tau=0.25)
        >>> policy.agents, policy.menus[0]
        (('solver 1', 'solver 2', 'solver 3'), ('abstain', 'direct', 'four_examples', 'step_by_step', 'reconsider'))
    """

    agents: tuple[str, ...]
    menus: tuple[tuple[str, ...], ...]
    states: tuple[State, ...]
    probabilities: Float[np.ndarray, "agent state choice"]
    tau: Float[np.ndarray, "agent state"]
    reference: Float[np.ndarray, "agent state choice"]
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, states: PublicStates, probabilities: Any, tau: Any = np.nan, reference: Any = None, **facts: Any
    ) -> "TeamPolicy":
        """The policy of a team.

        Args:
            states: The team's public states.
            probabilities: ``(agent, state, choice)``.
            tau: Temperatures, ``(agent, state)``, or a number.
            reference: As the probabilities; by default uniform.
            **facts: What else is known.

        Returns:
            The policy.
        """
        team, mask = states.team, states.mask
        uniform = np.where(mask, 1.0 / np.maximum(mask.sum(-1, keepdims=True), 1), 0.0)
        return cls(
            tuple(agent.name for agent in team.agents),
            tuple(tuple(choice.name for choice in agent.choices) for agent in team.agents),
            states.states,
            np.asarray(probabilities, float),
            np.broadcast_to(np.asarray(tau, float), mask.shape[:2]).copy(),
            uniform if reference is None else np.asarray(reference, float),
            dict(facts),
        )

    def check(self, states: PublicStates) -> None:
        """Refuse a policy that is another team's.

        Args:
            states: The public states of the team that is to play.

        Raises:
            InputError: Agents, menus or states differ.
        """
        team = states.team
        menus = tuple(tuple(choice.name for choice in agent.choices) for agent in team.agents)
        for what, mine, wanted in (
            ("agents", self.agents, tuple(agent.name for agent in team.agents)),
            ("menus", self.menus, menus),
            ("states", self.states, states.states),
        ):
            if mine != wanted:
                raise InputError("policy", f"has other {what} than the team file: train it again for this team")


class PolicyPlayer(AbstractPlayer):
    """Plays a team's game: all agents choose at once, round by round, each from the policy at the public state.

    Args:
        states: The team's public states.
        probabilities: ``(agent, state, choice)``.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import PolicyPlayer, PublicStates, Samples, play_all, uniform_law
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> samples = Samples(team, {"smollm2-135m": from_python(lambda request: "The answer is 10.", "parrot")})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> player = PolicyPlayer(states, uniform_law(states))
        >>> items = samples.tasks["arithmetic"].items("sum", "dev", 2)
        >>> [outcome.calls for outcome in play_all(player, items, samples)]
        [5, 6]
    """

    def __init__(self, states: PublicStates, probabilities: Float[np.ndarray, "agent state choice"]):
        self.states, self.probabilities = states, probabilities

    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """See `AbstractPlayer`."""
        team, c = self.states.team, self.states.class_of(item)
        board = Board(self.states, c)
        for number in range(team.rounds):
            x = board.state(number)
            asks = []
            for i, agent in enumerate(team.agents):
                chances = self.probabilities[i, x]
                k = int(np.searchsorted(np.cumsum(chances), rng.random() * chances.sum(), side="right"))
                choice = agent.choices[k]
                stream = board.stream if find_control(choice.control).reads_stream else ()
                why = str(self.states.states[x])
                asks.append(Ask(agent.name, choice.name, stream, probability=float(chances[k]), why=why))
            said = yield asks
            if board.add(said):
                break
        return board.answers()


class Board:
    """What the team has said about one question so far, and what that comes to.

    Args:
        states: The team's public states.
        task_class: Number of the question's class.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import Board, PublicStates, Said, load_tasks
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> board = Board(PublicStates.of(team, load_tasks(team)), task_class=0)
        >>> _ = board.add([Said(agent.name, "direct", None, "It is 10.", "10", None) for agent in team.agents])
        >>> board.round, [said.answer for said in board.answers()]
        (1, ['10'])
    """

    def __init__(self, states: PublicStates, task_class: int):
        self.states, self.task_class = states, task_class
        self._said: list[Said] = []
        self._numbers: dict[tuple[int, str], int] = {}
        self._votes: list[int] = []
        self._slots: list[int] = []

    @property
    def round(self) -> int:
        """Number of the round that comes next, from 0 on."""
        return len(self._votes) // len(self.states.team.agents)

    @property
    def stream(self) -> tuple[str, ...]:
        """All that was said, in order."""
        return tuple(said.text for said in self._said if said.text)

    def state(self, number: int) -> int:
        """Number of the public state at the beginning of a round, rounds counted from 0.

        Args:
            number: Of the round.

        Returns:
            The state, a place in `PublicStates.states`.
        """
        return int(self.states.table[self.task_class, number, self._agreement()])

    def add(self, said: Sequence[Said]) -> bool:
        """Take what every agent said in a round; whether the team file ends play here.

        Args:
            said: One reply of each agent.

        Returns:
            Whether play ends.
        """
        before = len(self._votes)
        for one in said:
            choice = self.states.team.agent(one.agent).choice(one.choice)
            slot = self.states.slot(self.task_class, choice)
            known = one.answer is not None
            self._votes.append(self._numbers.setdefault((slot, one.answer), len(self._numbers)) if known else -1)  # type: ignore[arg-type]
            self._slots.append(slot)
            self._said.append(one)
        stops = self.states.team.stops
        silent = all(vote < 0 for vote in self._votes[before:])
        return ("agreed" in stops and self._agreement() == AGREED) or ("silent" in stops and silent)

    def answers(self) -> list[Said]:
        """The reply that is the team's answer, or one for each part.

        Returns:
            The replies; none where nobody has answered.
        """
        team, slots = self.states.team, 1 + len(self.states.parts[self.task_class])
        if not self._votes:
            return []
        winners = settle(np.array(self._votes), np.array(self._slots), slots, len(team.agents))
        return [self._said[int(place)] for place in winners if place >= 0]

    def _agreement(self) -> int:
        slots = 1 + len(self.states.parts[self.task_class])
        return int(agreement(np.array(self._votes, int), np.array(self._slots, int), slots))
