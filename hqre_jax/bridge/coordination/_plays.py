"""Plays: a player says whom to ask, a referee asks, counts and judges; many plays are asked together, in batches.

A *player* answers one question by asking agents. Its `play` is a generator: it yields what it wants to ask at once, is
sent what was said, and returns the reply (for a divided question: the replies, one for each part) that is the team's
answer. It never sees a score; costs, batches, replay and judging are here, in one place.

    class TwoAgree(AbstractPlayer):
        def play(self, item, rng):
            first, second = yield [Ask("solver 1", "direct"), Ask("solver 2", "direct")]
            if first.answer == second.answer:
                return [first]
            (third,) = yield [Ask("solver 3", "step_by_step")]
            return [third]

    outcomes = play_all(TwoAgree(), items, samples, seed=0)
"""

import abc
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from hqre_jax.bridge.coordination._samples import Ask, Said, Sample, Samples
from hqre_jax.bridge.models import Failure, Message, Usage
from hqre_jax.bridge.tasks import Item, Judgement
from hqre_jax.core._types import InputError

# Plays under way together; what they ask makes one batch.
TOGETHER = 64

Course = Generator[Sequence[Ask], Sequence[Said], Sequence[Said]]


class AbstractPlayer(abc.ABC):
    """Something that answers questions by asking the agents of a team.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import AbstractPlayer, Ask, Samples, play_all
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> class First(AbstractPlayer):
        ...     def play(self, item, rng):
        ...         said = yield [Ask("solver 1", "direct", is_answer=True)]
        ...         return said
        >>> team = read_team(tomllib.loads(default_team()))
        >>> samples = Samples(team, {"smollm2-135m": from_python(lambda request: "The answer is 10.", "parrot")})
        >>> items = samples.tasks["arithmetic"].items("sum", "dev", 3)
        >>> [outcome.judgement.answer for outcome in play_all(First(), items, samples)]
        ['10', '10', '10']
    """

    @abc.abstractmethod
    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """Answer one question.

        Args:
            item: The question. Its answer and solution are for the referee: a player does not look at them.
            rng: All the randomness of the play.

        Yields:
            What to ask now, all at once; every ask is a fresh, independent draw.

        Returns:
            The reply that is the team's answer, or one reply for each part; empty for no answer.
        """


class AbstractMethod(abc.ABC):
    """A way of making a team answer, with hyper-parameters that are chosen on the dev split under a budget.

    Attributes:
        name: What tables call it.
        paper: The publication it follows; "" for our own.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import AbstractMethod, AbstractPlayer, Ask, Samples, play_all
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> class First(AbstractPlayer):
        ...     def play(self, item, rng):
        ...         said = yield [Ask("solver 1", "direct", is_answer=True)]
        ...         return said
        >>> class Single(AbstractMethod):
        ...     name = "single"
        ...
        ...     def fit(self, dev, samples, budget, seed):
        ...         return First()
        >>> team = read_team(tomllib.loads(default_team()))
        >>> samples = Samples(team, {"smollm2-135m": from_python(lambda request: "The answer is 10.", "parrot")})
        >>> items = samples.tasks["arithmetic"].items("sum", "dev", 3)
        >>> player = Single().fit(items, samples, budget=500, seed=0)
        >>> len(play_all(player, items, samples))
        3
    """

    name: str
    paper: str = ""

    @abc.abstractmethod
    def fit(self, dev: Sequence[Item], samples: Samples, budget: float, seed: int) -> AbstractPlayer:
        """A player that spends at most so much, as far as dev tells.

        Args:
            dev: Questions of the dev split, of all classes; `play_all` on them gives scores and costs.
            samples: The sample pool.
            budget: Most tokens a question, prompts and replies together, on average over dev; may be infinite.
            seed: Of whatever is random in training.

        Returns:
            The player.
        """


@dataclass(frozen=True)
class Step:
    """What was asked at once, and what was said.

    Attributes:
        asks: Whom the player asked, and how.
        said: What came of each.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import PolicyPlayer, PublicStates, Samples, play_all, uniform_law
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> samples = Samples(team, {"smollm2-135m": from_python(lambda request: "The answer is 10.", "parrot")})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> items = samples.tasks["arithmetic"].items("sum", "dev", 2)
        >>> outcome = play_all(PolicyPlayer(states, uniform_law(states)), items, samples, seed=0)[0]
        >>> [(ask.agent, ask.choice) for ask in outcome.trace[0].asks]
        [('solver 1', 'direct'), ('solver 2', 'direct'), ('solver 3', 'abstain')]
    """

    asks: tuple[Ask, ...]
    said: tuple[Said, ...]


@dataclass(frozen=True)
class Outcome:
    """One question answered.

    Attributes:
        item: The question.
        judgement: Of the team's answer; None where a call failed: a missing observation.
        usage: Raw tokens of each agent, by name; None of an agent whose model does not say.
        calls: Calls to models, those answered from the store included.
        trace: What was asked and said, round by round.
        answers: The replies that are the answer.
        failure: The call that failed; None where none did.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import PolicyPlayer, PublicStates, Samples, play_all, uniform_law
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> samples = Samples(team, {"smollm2-135m": from_python(lambda request: "The answer is 10.", "parrot")})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> items = samples.tasks["arithmetic"].items("sum", "dev", 2)
        >>> outcome = play_all(PolicyPlayer(states, uniform_law(states)), items, samples, seed=0)[0]
        >>> outcome.item.question, outcome.judgement.answer, outcome.rounds
        ('Work out 1 plus 7.', '10', 2)
    """

    item: Item
    judgement: Judgement | None
    usage: dict[str, Usage | None]
    calls: int
    trace: tuple[Step, ...]
    answers: tuple[Said, ...] = ()
    failure: Failure | None = None

    @property
    def score(self) -> float | None:
        """Of the team's answer; None where a call failed."""
        return None if self.judgement is None else self.judgement.score

    @property
    def rounds(self) -> int:
        """How often agents were asked."""
        return len(self.trace)

    @property
    def tokens(self) -> int | None:
        """Prompt and completion tokens of all agents together; None where a model does not say."""
        known = [usage for usage in self.usage.values() if usage is not None]
        return None if len(known) < len(self.usage) else sum(one.prompt + one.completion for one in known)


def play_all(
    player: AbstractPlayer,
    items: Sequence[Item],
    samples: Samples,
    seed: int = 0,
    *,
    together: int = TOGETHER,
    say: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Have questions answered.

    Which samples of the pool a play draws depends on the seed and the question alone: different seeds draw
    differently, and results do not depend on how plays are batched. What a player asks in words of its own (whether an
    answer is right, for instance) is sampled once for all plays that ask the same, once more only within a play.

    Args:
        player: Who answers.
        items: The questions.
        samples: The sample pool.
        seed: Of the plays.
        together: Most plays under way at a time.
        say: Told each outcome as it comes.

    Returns:
        An outcome for each question.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import PolicyPlayer, PublicStates, Samples, play_all, uniform_law
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> samples = Samples(team, {"smollm2-135m": from_python(lambda request: "The answer is 10.", "parrot")})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> items = samples.tasks["arithmetic"].items("sum", "dev", 2)
        >>> outcomes = play_all(PolicyPlayer(states, uniform_law(states)), items, samples, seed=0)
        >>> [outcome.score for outcome in outcomes]
        [0.0, 0.0]
    """
    waiting: Iterator[tuple[int, Item]] = iter(enumerate(items))
    live: dict[int, _Play] = {}
    outcomes: dict[int, Outcome] = {}
    while True:
        for place, item in waiting:
            live[place] = _Play(player, item, samples, seed)
            if len(live) == together:
                break
        if not live:
            return [outcomes[place] for place in range(len(items))]
        wanted = {place: play.wanted for place, play in live.items()}
        found = iter(samples.get([one for asked in wanted.values() for one in asked]))
        for place, asked in wanted.items():
            outcome = live[place].take([next(found) for _ in asked])
            if outcome is not None:
                outcomes[place] = outcome
                del live[place]
                if say is not None:
                    say(outcome)


@dataclass
class _Play:
    """A play under way: its generator, what it wants, and what it has cost."""

    player: AbstractPlayer
    item: Item
    samples: Samples
    seed: int
    steps: list[Step] = field(default_factory=list)
    wanted: list[tuple[Item, Ask, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        name = f"{self.item.task}/{self.item.task_class}/{self.item.split}/{self.item.index}"
        root = np.random.SeedSequence([self.seed, zlib.crc32(name.encode())])
        own, drawing = (np.random.default_rng(part) for part in root.spawn(2))
        self._draws = Draws(self.samples, drawing)
        self._course = self.player.play(self.item, own)
        self._over: Sequence[Said] | None = None
        self._go_on(None)

    def take(self, found: Sequence[Sample]) -> Outcome | None:
        """Go on with what was said; the outcome if that was the end."""
        if self._over is not None:
            return self._outcome(self._over, None)
        said = tuple(sample.said for sample in found)
        self.steps.append(Step(tuple(ask for _, ask, _ in self.wanted), said))
        failed = [one.failure for one in said if one.failure is not None]
        if failed:
            self._course.close()
            return self._outcome((), failed[0])
        self._go_on(said)
        return None if self._over is None else self._outcome(self._over, None)

    def _go_on(self, said: Sequence[Said] | None) -> None:
        try:
            asks = next(self._course) if said is None else self._course.send(said)
            self.wanted = [(self.item, ask, self._draws.index(ask)) for ask in asks]
        except StopIteration as end:
            self._over, self.wanted = end.value or (), []

    def _outcome(self, answers: Sequence[Said], failure: Failure | None) -> Outcome:
        said = [one for step in self.steps for one in step.said]
        if any(one not in said for one in answers):
            raise InputError("player", f"{type(self.player).__name__} answers with a reply that nobody gave")
        verdict = None if failure is not None else self.samples.conclude(self.item, answers)
        calls = sum(one.usage != Usage(0, 0, 0) for one in said)
        names = dict.fromkeys(one.agent for one in said)
        usage = {name: _total([one.usage for one in said if one.agent == name]) for name in names}
        return Outcome(self.item, verdict, usage, calls, tuple(self.steps), tuple(answers), failure)


class Draws:
    """Which sample of a pool comes next in a play: the pool's own in random order, then fresh ones.

    A conversation that a player words itself is a pool of its own, read from its first sample on: where another play
    had occasion to ask the same thing in the same words, what was said then serves again.

    Args:
        samples: The pool.
        rng: All the randomness.
    """

    def __init__(self, samples: Samples, rng: np.random.Generator):
        self._samples, self._root = samples, rng.integers(2**32, size=2).tolist()
        self._left: dict[tuple[str, str], list[int]] = {}
        self._fresh: dict[tuple[str, str], int] = {}
        self._worded: Counter[tuple[str, str, tuple[Message, ...]]] = Counter()

    def index(self, ask: Ask) -> int:
        """The number of the sample that answers this ask."""
        agent = self._samples.team.agent(ask.agent)
        pool = (self._samples.voice(agent), agent.choice(ask.choice).name)
        if ask.messages is not None:
            self._worded[*pool, ask.messages] += 1
            return self._worded[*pool, ask.messages] - 1
        if pool not in self._left:
            # Its own randomness, whatever else was drawn before.
            rng = np.random.default_rng([*self._root, zlib.crc32("/".join(pool).encode())])
            self._left[pool] = rng.permutation(self._samples.size).tolist()
            self._fresh[pool] = self._samples.size
        if self._left[pool]:
            return self._left[pool].pop()
        self._fresh[pool] += 1
        return self._fresh[pool] - 1


def _total(usages: Sequence[Usage | None]) -> Usage | None:
    known = [usage for usage in usages if usage is not None]
    if len(known) < len(usages):
        return None
    return Usage(*(sum(getattr(usage, part) for usage in known) for part in ("prompt", "cached", "completion")))
