"""Collecting: the samples that the empirical game needs, breadth first, so that whatever ends it leaves a balance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hqre_jax.bridge.controls import find_control
from hqre_jax.bridge.coordination._game import TeamGame
from hqre_jax.bridge.coordination._replies import menu_slots
from hqre_jax.bridge.coordination._samples import Ask, Samples
from hqre_jax.bridge.coordination._states import PublicStates
from hqre_jax.bridge.models import Failure
from hqre_jax.bridge.tasks import Item

# Questions asked together: prompts of a batch begin alike.
BATCH = 32

Wanted = tuple[Item, Ask, int]


@dataclass
class Collected:
    """What came of it.

    Attributes:
        total: Samples that are wanted, those of controls that read the stream not counted.
        done: Those of them that are there.
        failures: Calls that failed for good; they are missing observations.
        unreachable: Whether it was given up because no connection came about.

    Example:
        >>> from hqre_jax.bridge.coordination import Collected
        >>> Collected(total=10, done=10, failures=[]).done
        10
    """

    total: int
    done: int
    failures: list[Failure]
    unreachable: bool = False

    @property
    def stopped(self) -> bool:
        """Whether a budget ended it."""
        return any(failure.kind == "budget" for failure in self.failures)


def cells(
    samples: Samples, states: PublicStates, items: Mapping[int, Sequence[Item]]
) -> list[tuple[str, list[Wanted]]]:
    """What is to be sampled, in batches: index by index, class by class, control by control.

    Args:
        samples: The pool.
        states: The public states.
        items: Questions of each class.

    Returns:
        For each batch what it is, in words, and its samples.
    """
    team, found = samples.team, list[tuple[str, list[Wanted]]]()
    for index in range(samples.size):
        for c, (task, name) in enumerate(states.classes):
            slots, seen = menu_slots(states, c), set[tuple[str, str]]()
            for i, agent in enumerate(team.agents):
                for k, choice in enumerate(agent.choices):
                    control = find_control(choice.control)
                    pool = (samples.voice(agent), choice.name)
                    silent = control.instruction is None or control.reads_stream or slots[i, k] < 0
                    if silent or pool in seen or (index and not samples.varies(choice)):
                        continue
                    seen.add(pool)
                    ask, where = Ask(agent.name, choice.name), f"{task}/{name}, {choice.name}, sample {index + 1}"
                    for start in range(0, len(items[c]), BATCH):
                        found.append((where, [(item, ask, index) for item in items[c][start : start + BATCH]]))
    return found


def collect(
    samples: Samples, states: PublicStates, items: Mapping[int, Sequence[Item]], say: Callable[[str, int, int], None]
) -> Collected:
    """Sample all that the empirical game needs; what is in the store is not asked again.

    Args:
        samples: The pool, its models behind a store and a budget.
        states: The public states.
        items: Questions of each class.
        say: Told what is being asked, how many samples are done, and of how many.

    Returns:
        What came of it. Nothing more is asked after a budget's end, nor after a batch without a single connection.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import PublicStates, Samples, collect
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> samples = Samples(team, {"smollm2-135m": from_python(lambda request: "The answer is 10.", "parrot")})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> items = states.items("dev", samples.tasks, count=1)
        >>> found = collect(samples, states, items, say=lambda *told: None)
        >>> found.done == found.total, found.failures
        (True, [])
    """
    plan = cells(samples, states, items)
    result = Collected(sum(len(wanted) for _, wanted in plan), 0, [])
    for where, wanted in plan:
        say(where, result.done, result.total)
        before = len(result.failures)
        for found in samples.get(wanted):
            if found.said.failure is None:
                result.done += 1
            else:
                result.failures.append(found.said.failure)
        kinds = {failure.kind for failure in result.failures[before:]}
        result.unreachable = len(result.failures) - before == len(wanted) and kinds == {"connection"}
        if result.stopped or result.unreachable:
            return result
    if states.readers:
        # What is read is known now: the game asks for what readers say of it.
        heard = TeamGame.from_samples(samples, items, say=lambda where: say(where, result.done, result.total))
        result.failures += heard.failures
    return result


def available(samples: Samples, states: PublicStates, items: Mapping[int, Sequence[Item]]) -> int:
    """How many samples of each question and control there are, holes of less than half the questions not counted.

    Args:
        samples: A pool of recorded models.
        states: The public states.
        items: Questions of each class.

    Returns:
        The number of samples that nearly every question has, whatever class, agent and control.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import PublicStates, Samples, available
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> samples = Samples(team, {"smollm2-135m": from_python(lambda request: "The answer is 10.", "parrot")})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> items = states.items("dev", samples.tasks, count=1)
        >>> available(samples, states, items)
        8
    """
    found: dict[tuple[int, str, str, int], list[bool]] = {}
    for _, wanted in cells(samples, states, items):
        for (item, ask, index), sample in zip(wanted, samples.get(wanted), strict=True):
            place = (index, ask.agent, ask.choice, states.class_of(item))
            found.setdefault(place, []).append(sample.said.failure is None)
    missing = [place[0] for place, there in found.items() if 2 * sum(there) < len(there)]
    return min(missing, default=samples.size)
