"""The empirical game of a team: a Markov game over the public states, estimated from a store of samples.

A period is a round. Its payoff is what the score of the team's answer *rises* by in it, less the price of one's own
tokens: over a play this adds up to score − price, and a choice is credited with what it does at once. Play ends after
the last round: γ = 1, and transitions sum to less than 1.

What is behind a public state (which questions, which votes) depends on how earlier rounds were played. The game says
for which law of play it holds, the *law of the histories*; with the equilibrium's own law the game is consistent, and
`consistent` finds it: histories are weighted anew, no new samples are needed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from hqre_jax.bridge.coordination._counterfactuals import (
    Heard,
    Histories,
    Law,
    Outcomes,
    begin,
    evaluate,
    go_on,
    hear,
    joint_profiles,
    needed,
    pools,
)
from hqre_jax.bridge.coordination._replies import MISSING, Replies
from hqre_jax.bridge.coordination._samples import Samples
from hqre_jax.bridge.coordination._states import PublicStates
from hqre_jax.bridge.coordination._worth import Estimated
from hqre_jax.bridge.models import Failure
from hqre_jax.bridge.tasks import Item
from hqre_jax.core._types import InputError, Labels
from hqre_jax.games import MarkovGame

# Beginnings of a question, and plays of it that go on to the next round: many where that costs nothing, few where
# somebody reads what was said, for then each has to be asked for.
REPLICATES, PER_QUESTION, PER_QUESTION_READ = 8, 64, 4
# Share of a class's plays below which a state may go unknown; least weight of an outcome in a bootstrap.
_RARE, _LEAST_WEIGHT = 0.02, 0.05


@dataclass(frozen=True)
class Stage:
    """A round of a class: the plays up to it, what is said in it, and what every profile does."""

    histories: Histories
    heard: Heard
    outcomes: Outcomes


@dataclass(frozen=True)
class Moments:
    """Sums over the histories of each question, of which payoffs and transitions are ratios.

    Attributes:
        states: Numbers of the public states of the class: the others have no place here.
        weight: Of the histories in a state whose outcome is known, ``(question, state, profile)``.
        gain: Sum of what the score rises by, same shape.
        moves: Sum of transitions, ``(question, state, profile, next state)``.
        cost: Sum of what agents pay for their own choice, ``(question, agent, state, choice)``.
        paid: Weight of the histories of which that is known, same shape.
    """

    states: Int[np.ndarray, " state"]
    weight: Float[np.ndarray, "question state profile"]
    gain: Float[np.ndarray, "question state profile"]
    moves: Float[np.ndarray, "question state profile next"]
    cost: Float[np.ndarray, "question agent state choice"]
    paid: Float[np.ndarray, "question agent state choice"]


@dataclass(frozen=True)
class TeamGame:
    """All that the samples say of a team's game.

    Attributes:
        states: The public states.
        replies: For each class its replies.
        stages: For each class its rounds.
        drawn: The law by which the histories' choices were drawn.
        law: The law of play for which the game holds.
        price_scale: Factor on the prices of the team file.
        omega: For each class how much each sample counts, ``(agent, choice, index)``; None for all alike.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import PublicStates, Samples, TeamGame
        >>> from hqre_jax.bridge.models import Reply, Usage, from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> parrot = from_python(lambda request: Reply("The answer is 10.", "stop", Usage(100, 0, 8)), "parrot")
        >>> samples = Samples(team, {"smollm2-135m": parrot})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> game = TeamGame.from_samples(samples, states.items("dev", samples.tasks, count=1))
        >>> game.game.num_players, game.game.action_mask.shape
        (3, (3, 20, 5))
    """

    states: PublicStates
    replies: tuple[Replies, ...]
    stages: tuple[tuple[Stage, ...], ...]
    drawn: Law
    law: Law
    price_scale: float = 1.0
    omega: tuple[Float[np.ndarray, "agent choice index"], ...] | None = None

    @classmethod
    def from_samples(
        cls,
        samples: Samples,
        items: Mapping[int, Sequence[Item]],
        *,
        seed: int = 0,
        replicates: int = REPLICATES,
        per_question: int | None = None,
        say: Callable[[str], None] | None = None,
    ) -> "TeamGame":
        """Put the game together.

        Args:
            samples: The sample pool; what it does not have is asked of its models.
            items: Questions of each class, by the number of the class in `PublicStates.classes`.
            seed: Of the order in which samples are used, and of the histories.
            replicates: Beginnings of each question.
            per_question: Plays of each question that go on to the next round; by default 64, and 4 where somebody can
                read the stream.
            say: Told what is being done.

        Returns:
            The game, for uniform play.

        Raises:
            InputError: There are fewer samples than a play needs, or none at all of some joint profile.
        """
        states = PublicStates.of(samples.team, samples.tasks)
        drawn = uniform_law(states)
        if samples.size < (least := needed(samples)):
            raise InputError(
                "samples",
                f"are {samples.size} of each question and control, and a play may need {least} (one for each agent of "
                "a voice and round): let the team file say so",
            )
        going = per_question or (PER_QUESTION_READ if states.readers else PER_QUESTION)
        every, stages = [], []
        for c in range(len(states.classes)):
            replies = Replies.read(samples, states, c, items[c])
            rounds = list[Stage]()
            histories = begin(replies, replicates, seed)
            for number in range(samples.team.rounds):
                if say is not None:
                    say(f"{'/'.join(states.classes[c])}, round {number + 1}")
                heard = hear(replies, histories, number)
                rounds.append(Stage(histories, heard, evaluate(replies, histories, heard, number)))
                if number + 1 < samples.team.rounds:
                    histories = go_on(replies, histories, heard, number, drawn, going, seed)
            every.append(replies)
            stages.append(tuple(rounds))
        return cls(states, tuple(every), tuple(stages), drawn, drawn)

    def under(self, law: Law) -> "TeamGame":
        """The same samples, for another law of play before the state that is looked at.

        Args:
            law: Probabilities of choices, ``(agent, state, choice)``.

        Returns:
            The game; nothing is sampled for it.
        """
        return replace(self, law=law)

    def priced(self, scale: float) -> "TeamGame":
        """The same samples, every token at so many times the price of the team file.

        Args:
            scale: Factor on the team file's prices.

        Returns:
            The game; nothing is sampled for it.
        """
        return replace(self, price_scale=scale)

    @property
    def failures(self) -> list[Failure]:
        """Calls of readers that failed."""
        return [failure for stages in self.stages for stage in stages for failure in stage.heard.failures]

    @cached_property
    def moments(self) -> tuple[Moments, ...]:
        """The sums, class by class."""
        return tuple(self._class_moments(c) for c in range(len(self.stages)))

    def perturbed(self, rng: np.random.Generator) -> "TeamGame":
        """The game of other samples, for intervals: every sample of a control counts as a random weight says.

        The m-th sample of a control has the same worked examples whatever the question, so its weight, of mean and
        variance 1, is the same for all questions of a class. An outcome counts as much as the samples it is put
        together from: ``1 + Σ (ω − 1)``, the multiplier bootstrap of a U-statistic, to first order.

        Args:
            rng: Of the weights.

        Returns:
            One draw of the game.
        """
        omega = list[np.ndarray]()
        for replies in self.replies:
            agents, choices, _, size = replies.votes.shape
            drawn = np.ones((agents, choices, size))
            for members in pools(replies.samples):
                weights = size * rng.dirichlet(np.ones(size))  # the Bayesian bootstrap
                for i, k in members:  # agents of one voice share the samples, and so their weights
                    drawn[i, k] = weights
            omega.append(drawn)
        return replace(self, omega=tuple(omega))

    @property
    def game(self) -> MarkovGame:
        """The game of all questions.

        Raises:
            InputError: Of some joint profile nothing is known in a state that play may reach.
        """
        return self.estimated.game

    @cached_property
    def estimated(self) -> Estimated:
        """The game of all questions, its payoffs taken apart."""
        return self.resampled(None)

    def resampled(self, times: Sequence[Float[np.ndarray, " question"]] | None) -> Estimated:
        """The game of other questions: those of each class, each so many times.

        Args:
            times: For each class, how often each question is taken; None for once each.

        Returns:
            The game, its payoffs taken apart.
        """
        agents, num_states, choices = self.states.mask.shape
        flat = choices**agents
        weight, gain = np.zeros((num_states, flat)), np.zeros((num_states, flat))
        moves = np.zeros((num_states, flat, num_states))
        cost, paid = np.zeros((agents, num_states, choices)), np.zeros((agents, num_states, choices))
        for c, moments in enumerate(self.moments):
            often = np.ones(len(self.replies[c].answers)) if times is None else times[c]
            # Classes weigh alike, however many questions they have.
            share, x = often / max(often.sum(), 1), moments.states
            weight[x] += np.tensordot(share, moments.weight, 1)
            gain[x] += np.tensordot(share, moments.gain, 1)
            moves[np.ix_(x, np.arange(flat), x)] += np.tensordot(share, moments.moves, 1)
            cost[:, x] += np.tensordot(share, moments.cost, 1)
            paid[:, x] += np.tensordot(share, moments.paid, 1)
        own = self.price_scale * self._own_costs(cost, paid)
        legal = self._legal()
        unknown = legal & (weight <= 0)
        # A state that hardly ever comes about, and of which not every profile is known, counts as one never reached.
        missing = np.argwhere(unknown & (weight.max(1) > _RARE)[:, None])
        if len(missing):
            x, profile = missing[0]
            raise InputError(
                "samples", f"show nothing of {self._name(int(profile))} in state {self.states.states[x]}: collect more"
            )
        reached: np.ndarray = np.all(~unknown, axis=1, keepdims=True)[:, 0]
        weight, gain, moves = weight * reached[:, None], gain * reached[:, None], moves * reached[:, None, None]
        safe = np.where(weight > 0, weight, 1.0)
        profiles = joint_profiles(agents, choices)
        payoffs = np.stack([gain / safe - own[i][:, profiles[:, i]] for i in range(agents)])
        shape = (choices,) * agents
        first = np.zeros(num_states)
        np.add.at(first, self.states.table[:, 0, 0], 1 / len(self.replies))
        game = MarkovGame(
            payoffs.reshape(agents, num_states, *shape),
            (moves / safe[..., None]).reshape(num_states, *shape, num_states),
            1.0,
            first,
            action_mask=self.states.mask,
            labels=team_labels(self.states),
        )
        return Estimated(game, gain / safe, own, reached)

    def _class_moments(self, c: int) -> Moments:
        agents, _, choices = self.states.mask.shape
        table = self.states.table[c]
        states = np.unique(table[table >= 0])
        local = np.full(len(self.states.states) + 1, -1)  # the last one stands for the end of play
        local[states] = np.arange(len(states))
        questions, profiles = len(self.replies[c].answers), joint_profiles(agents, choices)
        shape = questions, len(states), len(profiles)
        own_shape = questions, len(states), agents, choices
        weight, gain, moves = np.zeros(shape), np.zeros(shape), np.zeros((*shape, len(states)))
        cost, paid = np.zeros(own_shape), np.zeros(own_shape)
        for number, stage in enumerate(self.stages[c]):
            histories, out = stage.histories, stage.outcomes
            group = histories.question * len(states) + local[out.state]
            # Sums over the histories of a question and state are products with the matrix that says which they are.
            member = (np.arange(questions * len(states))[:, None] == group).astype(float)
            member *= histories.weights(self.law, self.drawn)
            counted = out.known * self._counts(c, number, histories, profiles)
            weight += (member @ counted).reshape(shape)
            gain += (member @ (counted * out.rise)).reshape(shape)
            for y in np.unique(local[out.target]):
                if y >= 0:
                    moves[..., y] += (member @ (counted * (local[out.target] == y))).reshape(shape)
            known = (stage.heard.votes != MISSING) & ~np.isnan(stage.heard.costs)
            spent = np.where(known, stage.heard.costs, 0.0)
            paid += (member @ known.reshape(len(known), -1)).reshape(own_shape)
            cost += (member @ spent.reshape(len(spent), -1)).reshape(own_shape)
        return Moments(states, weight, gain, moves, np.moveaxis(cost, 2, 1), np.moveaxis(paid, 2, 1))

    def _counts(
        self, c: int, number: int, histories: Histories, profiles: Int[np.ndarray, "profile agent"]
    ) -> Float[np.ndarray, "history profile"]:
        """How much each outcome counts, by the samples that it is put together from."""
        if self.omega is None:
            return np.ones((len(histories.question), len(profiles)))
        agents, choices = self.replies[c].slots.shape
        each = np.arange(agents)[:, None], np.arange(choices)
        extra = self.omega[c][(*each, histories.order[..., number])] - 1
        before = np.zeros(len(histories.question))
        rows = np.arange(len(before))[:, None]
        for past in range(number):
            index = histories.order[rows, each[0].T, histories.choices[:, past], past]
            before += (self.omega[c][each[0].T, histories.choices[:, past], index] - 1).sum(1)
        return np.maximum(1 + before[:, None] + extra[:, np.arange(agents), profiles].sum(-1), _LEAST_WEIGHT)

    def _own_costs(self, cost: np.ndarray, paid: np.ndarray) -> Float[np.ndarray, "agent state choice"]:
        """What each choice costs its agent; in a state that nothing is known of, what it costs elsewhere."""
        anywhere = paid.sum(1)
        average = cost.sum(1) / np.where(anywhere > 0, anywhere, 1.0)
        for i, k in np.argwhere(self.states.mask.any(1) & (anywhere <= 0)):
            agent = self.states.team.agents[i]
            if not agent.price.is_nothing:
                whose = f"{agent.choices[k].name!r} costs agent {agent.name!r}"
                raise InputError("samples", f"no play says what {whose}: every call failed, or had no token counts; "
                                 "collect more, or set its price to 0")  # fmt: skip
        return np.where(paid > 0, cost / np.where(paid > 0, paid, 1.0), average[:, None])

    def _legal(self) -> np.ndarray:
        """Joint profiles that can be played, ``(state, profile)``."""
        mask = self.states.mask
        legal = np.ones((mask.shape[1], 1), bool)
        for own in mask:
            legal = (legal[:, :, None] & own[:, None, :]).reshape(mask.shape[1], -1)
        return legal

    def _name(self, profile: int) -> str:
        agents, _, choices = self.states.mask.shape
        chosen = np.unravel_index(profile, (choices,) * agents)
        names = [agent.choices[int(k)].name for agent, k in zip(self.states.team.agents, chosen, strict=True)]
        return f"({', '.join(names)})"


def team_labels(states: PublicStates) -> Labels:
    """Names of agents, states and controls."""
    team = states.team
    return Labels(
        title=team.title,
        players=tuple(agent.name for agent in team.agents),
        information_states=tuple(tuple(map(str, states.states)) for _ in team.agents),
        actions=tuple(
            tuple(tuple(choice.name for choice in agent.choices) for _ in states.states) for agent in team.agents
        ),
    )


def uniform_law(states: PublicStates) -> Law:
    """Everybody takes any control that fits, in every state.

    Args:
        states: The team's public states.

    Returns:
        Probabilities, ``(agent, state, choice)``; 0 of what does not fit.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import PublicStates, load_tasks, uniform_law
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> print(uniform_law(PublicStates.of(team, load_tasks(team)))[0, 0].round(2))
        [0.25 0.25 0.25 0.25 0.  ]
    """
    count = states.mask.sum(-1, keepdims=True)
    return np.where(states.mask, 1.0 / np.maximum(count, 1), 0.0)
