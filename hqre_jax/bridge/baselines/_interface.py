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
    """No setting of a method can be played within the budget; the message says why."""


class CallsFailed(Exception):
    """Calls failed without which nothing can be said, all those about a class for instance; the message says why."""


class BudgetEnded(Exception):
    """The run's own budget (of calls, tokens, money, seconds) ended it; the message says which."""


@dataclass(frozen=True)
class Setting:
    """A method with its hyper-parameters.

    Attributes:
        label: What they are, in words.
        player: Who plays so.
        least: Tokens a question that it is sure to need, as far as that is known without asking anything.
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
    """

    method: str
    measured: tuple[Measured, ...]
    left_out: float = math.inf

    def within(self, budget: float | int) -> Measured:
        """The setting with the best score; of equal ones the cheaper, then the earlier.

        Args:
            budget: Most tokens a question.

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

    Raises:
        BudgetEnded: It did not because the run's own budget is spent.
        InputError: It did, but nobody can say what it cost.
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
    """
    for model in samples.models.values():
        if isinstance(model, StoredModel) and model.stopped is not None:
            raise BudgetEnded(f"the budget of {model.stopped} is spent")


def by_class(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], list[Outcome]]:
    """Outcomes of each task and class, in the order in which these come."""
    found: dict[tuple[str, str], list[Outcome]] = {}
    for one in outcomes:
        found.setdefault((one.item.task, one.item.task_class), []).append(one)
    return found
