"""A team's game as a simulator: real plays of real questions, a batch at a time, for learning from bandit feedback."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hqre_jax.bridge.controls import find_control
from hqre_jax.bridge.coordination._plays import Draws
from hqre_jax.bridge.coordination._policy import Board
from hqre_jax.bridge.coordination._replies import price
from hqre_jax.bridge.coordination._samples import Ask, Samples
from hqre_jax.bridge.coordination._states import PublicStates
from hqre_jax.bridge.tasks import Item
from hqre_jax.core._types import Labels
from hqre_jax.sampled import AbstractHostSimulator


@dataclass
class _Play:
    """A play under way."""

    item: Item
    board: Board
    draws: Draws
    score: float = 0.0
    over: bool = False


class TeamSimulator(AbstractHostSimulator):
    """Plays of a team: each begins with a question drawn at random, classes weighing alike.

    A period is a round. It pays what the score of the team's answer rises by, less the price of one's own tokens. A
    play in which a call failed, or whose price is not known, broke down: it is a missing observation.

    Args:
        samples: The sample pool; what it does not have is asked of its models.
        states: The public states.
        items: Questions of each class.
        labels: Names.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import PublicStates, Samples, TeamSimulator
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> samples = Samples(team, {"smollm2-135m": from_python(lambda request: "The answer is 10.", "parrot")})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> items = states.items("dev", samples.tasks, count=1)
        >>> simulator = TeamSimulator(samples, states, items)
        >>> simulator.action_mask.shape, simulator.horizon
        ((3, 20, 5), 2)
    """

    def __init__(
        self, samples: Samples, states: PublicStates, items: Mapping[int, Sequence[Item]], labels: Labels | None = None
    ):
        self.samples, self.states, self.items = samples, states, items
        agents = len(samples.team.agents)
        self.action_mask = states.mask
        self.discount = 1.0
        self.horizon = self.num_moves = samples.team.rounds
        self.return_low, self.return_high = -self._dearest(), np.ones(agents)
        # From the second round on a state hides what its agent itself did before.
        self.beliefs_ignore_own_policy = samples.team.rounds == 1
        self.labels = labels or Labels()
        self.num_plays = 0

    def reset(self, seeds: Int[np.ndarray, " play"]) -> list[_Play]:
        """See `AbstractHostSimulator`."""
        return [self._begin(int(seed)) for seed in seeds]

    def _begin(self, seed: int) -> _Play:
        root = np.random.SeedSequence(seed)
        rng, drawing = (np.random.default_rng(part) for part in root.spawn(2))
        c = int(rng.integers(len(self.items)))
        item = self.items[c][int(rng.integers(len(self.items[c])))]
        return _Play(item, Board(self.states, c), Draws(self.samples, drawing))

    def observe(self, state: list[_Play]) -> Int[np.ndarray, "play player"]:
        """See `AbstractHostSimulator`: everybody sees the public state."""
        public = [-1 if play.over else play.board.state(play.board.round) for play in state]
        return np.repeat(np.array(public, int)[:, None], len(self.samples.team.agents), axis=1)

    def step(
        self, state: list[_Play], actions: Int[np.ndarray, "play player"]
    ) -> tuple[Any, Float[np.ndarray, "play player"], Bool[np.ndarray, " play"], Bool[np.ndarray, " play"]]:
        """See `AbstractHostSimulator`."""
        team = self.samples.team
        rewards = np.zeros(actions.shape)
        over, broken = np.array([play.over for play in state]), np.zeros(len(state), bool)
        live = [number for number, play in enumerate(state) if not play.over]
        asks = [self._asks(state[number], actions[number]) for number in live]
        wanted = [
            (state[n].item, ask, state[n].draws.index(ask))
            for n, asked in zip(live, asks, strict=True)
            for ask in asked
        ]
        found = self.samples.get(wanted)
        for place, number in enumerate(live):
            mine = found[place * len(team.agents) : (place + 1) * len(team.agents)]
            paid = np.array([price(agent, one) for agent, one in zip(team.agents, mine, strict=True)])
            play = state[number]
            if any(one.said.failure is not None for one in mine) or np.isnan(paid).any():
                broken[number] = over[number] = play.over = True
                continue
            ended = play.board.add([one.said for one in mine])
            score = self.samples.conclude(play.item, play.board.answers()).score
            rewards[number] = score - play.score - paid
            play.score = score
            over[number] = play.over = ended or play.board.round == team.rounds
        self.num_plays += int((over & ~broken).sum())
        return state, rewards, over, broken

    def _asks(self, play: _Play, actions: Int[np.ndarray, " player"]) -> list[Ask]:
        asks = []
        for agent, k in zip(self.samples.team.agents, actions, strict=True):
            choice = agent.choices[int(k)]
            stream = play.board.stream if find_control(choice.control).reads_stream else ()
            asks.append(Ask(agent.name, choice.name, stream))
        return asks

    def _dearest(self) -> Float[np.ndarray, " player"]:
        """The most that an agent can pay in a play: the longest prompts that there are, the longest replies."""
        samples, team = self.samples, self.samples.team
        most = np.zeros(len(team.agents))
        for i, agent in enumerate(team.agents):
            for c, items in self.items.items():
                for k in np.flatnonzero(self.states.mask[i, self.states.table[c, 0, 0]] | self._later(i, c)):
                    choice = agent.choices[int(k)]
                    if find_control(choice.control).instruction is None:
                        continue
                    longest = max(items, key=lambda item: len(item.question))
                    request = samples.request(longest, Ask(agent.name, choice.name), 0)
                    assert request is not None
                    # Worked examples of other draws may be longer, and a stream comes on top.
                    said = 2 * sum(len(message.content.encode()) for message in request.messages)
                    said += team.rounds * len(team.agents) * 8 * request.controls.max_tokens
                    paid = replace(agent.price, cached=max(agent.price.prompt, agent.price.cached))
                    most[i] = max(most[i], paid.of(said, said, request.controls.max_tokens))
        return team.rounds * most

    def _later(self, i: int, c: int) -> Bool[np.ndarray, " choice"]:
        """Entries that an agent has at some time in a class."""
        table = self.states.table[c]
        return np.asarray(self.states.mask[i, np.unique(table[table >= 0])].any(0))
