"""What every baseline is: settings of its hyper-parameters, measured on dev, of which a budget picks one."""

import abc
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from hqre_jax.bridge.coordination import AbstractMethod, AbstractPlayer, Outcome, Samples, play_all
from hqre_jax.bridge.store import StoredModel
from hqre_jax.bridge.tasks import Item
from hqre_jax.core._types import InputError

Family = Literal[
    "single", "best-of-n", "self-consistency", "debate", "mixture", "vote",
    "cascade", "fixed profile", "examples", "bandit", "mirror", "ablation", "ours",
]  # fmt: skip
# The classes of baselines over the best of which gains are reported.
PUBLISHED: tuple[Family, ...] = ("single", "best-of-n", "self-consistency", "debate", "mixture", "vote")


class NothingFits(Exception):
    """No setting of a method can be played within the budget; the message says why.

    Example:
        >>> from hqre_jax.bridge.baselines import Front, NothingFits
        >>> try:
        ...     Front("debate", measured=(), left_out=412.0).within(200)
        ... except NothingFits as why:
        ...     print(why)
        debate: the cheapest needs 412.0, the budget is 200 tokens a question
    """


class CallsFailed(Exception):
    """Calls failed without which nothing can be said, all those about a class for instance; the message says why.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.baselines import CallsFailed, find_methods
        >>> from hqre_jax.bridge.coordination import Samples
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> samples = Samples(team, {"smollm2-135m": from_python(lambda request: 1 / 0, "broken")})
        >>> dev = samples.tasks["arithmetic"].items("sum", "dev", 2)
        >>> try:
        ...     find_methods(["single"])[0].measure(dev, samples, budget=500, seed=0)
        ... except CallsFailed as why:
        ...     print(why)
        every call about arithmetic/sum failed: ZeroDivisionError: division by zero
    """


class BudgetEnded(Exception):
    """The run's own budget (of calls, tokens, money, seconds) ended it; the message says which.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.baselines import BudgetEnded, find_methods
        >>> from hqre_jax.bridge.coordination import Samples
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.store import Budget, Store, StoredModel
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team, ten = read_team(tomllib.loads(default_team())), from_python(lambda request: "It is 10.", "ten")
        >>> samples = Samples(team, {"smollm2-135m": StoredModel(ten, Store(None), Budget(calls=0))})
        >>> dev = samples.tasks["arithmetic"].items("sum", "dev", 2)
        >>> try:
        ...     find_methods(["single"])[0].measure(dev, samples, budget=500, seed=0)
        ... except BudgetEnded as why:
        ...     print(why)
        the budget of 0 calls allows no more calls
    """


@dataclass(frozen=True)
class Setting:
    """A method with its hyper-parameters.

    Attributes:
        label: What they are, in words.
        player: Who plays so.
        least: Tokens a question that it is sure to need, as far as that is known without asking anything.

    Example:
        >>> from hqre_jax.bridge.baselines import Setting
        >>> from hqre_jax.bridge.coordination import AbstractPlayer, Ask
        >>> class First(AbstractPlayer):
        ...     def play(self, item, rng):
        ...         said = yield [Ask("solver 1", "direct")]
        ...         return said
        >>> Setting("direct (solver 1)", First(), least=20.0).label
        'direct (solver 1)'
    """

    label: str
    player: AbstractPlayer
    least: float = 0.0


@dataclass(frozen=True)
class Measured:
    """A setting and what it came to on dev; classes weigh alike.

    Attributes:
        setting: The setting.
        score: Mean score.
        tokens: Mean tokens a question, prompts and replies together.
        missing: Plays in which a call failed.

    Example:
        >>> from hqre_jax.bridge.baselines import Front, Measured, Setting
        >>> from hqre_jax.bridge.coordination import AbstractPlayer, Ask
        >>> class First(AbstractPlayer):
        ...     def play(self, item, rng):
        ...         said = yield [Ask("solver 1", "direct")]
        ...         return said
        >>> dear, cheap = (Measured(Setting("direct", First()), 0.4, spent, missing=0) for spent in (90.0, 60.0))
        >>> Front("single", (dear, cheap)).within(100) is cheap  # of equal scores the cheaper one
        True
    """

    setting: Setting
    score: float
    tokens: float
    missing: int


@dataclass(frozen=True)
class Front:
    """The settings of a method, measured.

    Attributes:
        method: Name of the method.
        measured: All of them, in order.
        left_out: Least tokens of a setting that was not measured because it is too dear; infinite where none is.

    Example:
        >>> from hqre_jax.bridge.baselines import Front, Measured, Setting
        >>> from hqre_jax.bridge.coordination import AbstractPlayer, Ask
        >>> class First(AbstractPlayer):
        ...     def play(self, item, rng):
        ...         said = yield [Ask("solver 1", "direct")]
        ...         return said
        >>> known = (("brief", 0.4, 60.0), ("careful", 0.7, 160.0), ("verbose", 0.7, 190.0))
        >>> front = Front("single", tuple(Measured(Setting(name, First()), *what, missing=0) for name, *what in known))
        >>> [front.within(budget).setting.label for budget in (100, 200)]
        ['brief', 'careful']
    """

    method: str
    measured: tuple[Measured, ...]
    left_out: float = math.inf

    def within(self, budget: float | int) -> Measured:
        """The setting with the best score; of equal ones the cheaper, then the earlier.

        Args:
            budget: Most tokens a question.

        Returns:
            The setting and what it came to.

        Raises:
            NothingFits: All are dearer.
        """
        fitting = [one for one in self.measured if one.tokens <= budget]
        if not fitting:
            cheapest = min([self.left_out, *(one.tokens for one in self.measured)])
            why = "no setting can be played at all" if math.isinf(cheapest) else f"the cheapest needs {cheapest:.1f}"
            raise NothingFits(f"{self.method}: {why}, the budget is {budget:g} tokens a question")
        return max(fitting, key=lambda one: (one.score, -one.tokens))


class AbstractBaseline(AbstractMethod):
    """A method whose hyper-parameters are one of several settings.

    Attributes:
        family: The class of methods that it belongs to.
        trained_once: Whether settings are measured with the first seed for all: where training knows no chance, and
            where every setting costs calls of its own.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.baselines import find_methods
        >>> from hqre_jax.bridge.coordination import Samples
        >>> from hqre_jax.bridge.models import Reply, Usage, from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> def careful(request):
        ...     steps = "step by step" in request.messages[0].content
        ...     return Reply("It is 8." if steps else "It is 9.", "stop", Usage(50, 0, 100 if steps else 5))
        >>> team = read_team(tomllib.loads(default_team()))
        >>> samples = Samples(team, {"smollm2-135m": from_python(careful, "careful")})
        >>> (single,), dev = find_methods(["single"]), samples.tasks["arithmetic"].items("sum", "dev", 1)
        >>> front = single.measure(dev, samples, budget=500, seed=0)
        >>> [(one.setting.label, one.score, one.tokens) for one in map(front.within, (100, 200))]
        [('direct (solver 1)', 0.0, 55.0), ('step_by_step (solver 1)', 1.0, 150.0)]
    """

    family: Family
    trained_once: bool = False

    @abc.abstractmethod
    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterable[Setting]:
        """All settings, the cheap ones to measure first.

        Args:
            dev: Questions of the dev split, of all classes.
            samples: The sample pool.
            seed: Of whatever is random in training.

        Raises:
            NothingFits: The method cannot be played by this team.
        """

    def measure(self, dev: Sequence[Item], samples: Samples, budget: float | int, seed: int) -> Front:
        """Measure the settings on dev.

        Args:
            dev: Questions of the dev split.
            samples: The sample pool.
            budget: Settings that are sure to need more tokens a question are left out.
            seed: Of training and of the plays.

        Returns:
            What they came to; nothing where the method cannot be played by this team.

        Raises:
            BudgetEnded: The run's own budget is spent.
        """
        measured, left_out = list[Measured](), math.inf
        try:
            for setting in self.settings(dev, samples, seed):
                if setting.least > budget:
                    left_out = min(left_out, setting.least)
                else:
                    measured.append(Measured(setting, *summarise(play_all(setting.player, dev, samples, seed))))
        except NothingFits:
            return Front(self.name, ())
        return Front(self.name, tuple(measured), left_out)

    def fit(self, dev: Sequence[Item], samples: Samples, budget: float | int, seed: int) -> AbstractPlayer:
        """See `AbstractMethod`.

        Raises:
            NothingFits: No setting can be played within the budget.
        """
        return self.measure(dev, samples, budget, seed).within(budget).setting.player


def summarise(outcomes: Sequence[Outcome]) -> tuple[float, float, int]:
    """What plays came to: classes weigh alike, plays in which a call failed are missing.

    Args:
        outcomes: The plays.

    Returns:
        Mean score, mean tokens, and how many plays are missing.

    Raises:
        BudgetEnded: The run's own budget is spent.
        CallsFailed: Of some class no play is known.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.baselines import summarise
        >>> from hqre_jax.bridge.coordination import AbstractPlayer, Ask, Samples, play_all
        >>> from hqre_jax.bridge.models import Reply, Usage, from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> class First(AbstractPlayer):
        ...     def play(self, item, rng):
        ...         said = yield [Ask("solver 1", "direct")]
        ...         return said
        >>> team = read_team(tomllib.loads(default_team()))
        >>> eight = from_python(lambda request: Reply("It is 8.", "stop", Usage(50, 0, 5)), "eight")
        >>> samples = Samples(team, {"smollm2-135m": eight})
        >>> sums, products = (samples.tasks["arithmetic"].items(name, "dev", 2) for name in ("sum", "product"))
        >>> outcomes = play_all(First(), [*sums, products[0]], samples)
        >>> [outcome.score for outcome in outcomes], summarise(outcomes)  # half of the sums, none of the products
        ([1.0, 0.0, 0.0], (0.25, 55.0, 0))
    """
    scores, tokens = list[float](), list[float]()
    for (task, name), own in by_class(outcomes).items():
        known = [one for one in own if outcome_known(one)]
        if not known:
            raise CallsFailed(f"every call about {task}/{name} failed: {own[0].failure and own[0].failure.detail}")
        scores.append(math.fsum(one.score or 0.0 for one in known) / len(known))
        tokens.append(math.fsum(one.tokens or 0 for one in known) / len(known))
    missing = sum(one.failure is not None for one in outcomes)
    return math.fsum(scores) / len(scores), math.fsum(tokens) / len(tokens), missing


def outcome_known(outcome: Outcome) -> bool:
    """Whether a play came to its end.

    Args:
        outcome: The play.

    Returns:
        False where a call failed: a missing observation.

    Raises:
        BudgetEnded: It did not because the run's own budget is spent.
        InputError: It did, but nobody can say what it cost.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.baselines import outcome_known
        >>> from hqre_jax.bridge.coordination import AbstractPlayer, Ask, Samples, play_all
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> class First(AbstractPlayer):
        ...     def play(self, item, rng):
        ...         said = yield [Ask("solver 1", "direct")]
        ...         return said
        >>> team = read_team(tomllib.loads(default_team()))
        >>> samples = Samples(team, {"smollm2-135m": from_python(lambda request: 1 / 0, "broken")})
        >>> (outcome,) = play_all(First(), samples.tasks["arithmetic"].items("sum", "dev", 1), samples)
        >>> outcome_known(outcome), outcome.failure.detail
        (False, 'ZeroDivisionError: division by zero')
    """
    if outcome.failure is not None:
        if outcome.failure.kind == "budget":
            raise BudgetEnded(outcome.failure.detail)
        return False
    if outcome.tokens is None:
        silent = next(name for name, usage in outcome.usage.items() if usage is None)
        raise InputError("model", f"of {silent} does not say its tokens: methods cannot be compared at equal cost")
    return True


def check_budget(samples: Samples) -> None:
    """Refuse to go on with a pool whose models will answer no more.

    Args:
        samples: The sample pool.

    Raises:
        BudgetEnded: The run's own budget is spent.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.baselines import check_budget
        >>> from hqre_jax.bridge.coordination import Ask, Samples
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.store import Budget, Store, StoredModel
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team, ten = read_team(tomllib.loads(default_team())), from_python(lambda request: "It is 10.", "ten")
        >>> samples = Samples(team, {"smollm2-135m": StoredModel(ten, Store(None), Budget(calls=1))})
        >>> check_budget(samples)  # nothing was asked yet
        >>> items = samples.tasks["arithmetic"].items("sum", "dev", 2)
        >>> [one.said.failure is None for one in samples.get([(item, Ask("solver 1", "direct"), 0) for item in items])]
        [True, False]
        >>> check_budget(samples)
        Traceback (most recent call last):
            ...
        hqre_jax.bridge.baselines._interface.BudgetEnded: the budget of 1 calls allows no more calls
    """
    for model in samples.models.values():
        if isinstance(model, StoredModel) and model.stopped is not None:
            raise BudgetEnded(f"the budget of {model.stopped} allows no more calls")


def by_class(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], list[Outcome]]:
    """Outcomes of each task and class, in the order in which these come.

    Args:
        outcomes: The plays.

    Returns:
        By name of the task and name of the class.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.baselines import by_class
        >>> from hqre_jax.bridge.coordination import AbstractPlayer, Ask, Samples, play_all
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> class First(AbstractPlayer):
        ...     def play(self, item, rng):
        ...         said = yield [Ask("solver 1", "direct")]
        ...         return said
        >>> team = read_team(tomllib.loads(default_team()))
        >>> samples = Samples(team, {"smollm2-135m": from_python(lambda request: "It is 8.", "eight")})
        >>> items = [item for name in ("sum", "product") for item in samples.tasks["arithmetic"].items(name, "dev", 2)]
        >>> {kind: len(own) for kind, own in by_class(play_all(First(), items, samples)).items()}
        {('arithmetic', 'sum'): 2, ('arithmetic', 'product'): 2}
    """
    found: dict[tuple[str, str], list[Outcome]] = {}
    for one in outcomes:
        found.setdefault((one.item.task, one.item.task_class), []).append(one)
    return found
