"""The best fixed joint profile, for all questions or for each class: coordination by decree. Ours.

All agents act once, each under its own control of the profile; the team's answer is settled as in the game. It knows
the class, but neither the round nor how far the team agrees.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, NothingFits, Setting
from hqre_jax.bridge.baselines._per_class import Kind, Worth, assignments, class_of, worths
from hqre_jax.bridge.controls import find_control
from hqre_jax.bridge.coordination import AbstractPlayer, Ask, Board, Course, PublicStates, Samples, play_all
from hqre_jax.bridge.tasks import Item
from hqre_jax.core._types import InputError

Profile = tuple[str, ...]
# With more joint profiles than this nobody would measure them all.
MOST_PROFILES = 20_000


@dataclass(frozen=True)
class BestProfile(AbstractBaseline):
    """The profile that does best, whatever the question."""

    name: str = "best_profile"
    family = "fixed profile"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        states = PublicStates.of(samples.team, samples.tasks)
        kinds = {states.class_of(item) for item in dev}
        everywhere = [profiles(states, c) for c in sorted(kinds)]
        for profile in everywhere[0]:
            if all(profile in own for own in everywhere):
                yield Setting(_words(profile), OneRound(states, dict.fromkeys(states.classes, profile)))


@dataclass(frozen=True)
class BestProfileByClass(AbstractBaseline):
    """For each class its own profile, the budget spent where it helps most."""

    name: str = "best_profile_by_class"
    family = "fixed profile"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        states = PublicStates.of(samples.team, samples.tasks)
        table: dict[Kind, list[Worth[Profile]]] = {}
        for c, kind in enumerate(states.classes):
            own = [item for item in dev if states.class_of(item) == c]
            if own:
                table[kind] = [
                    next(
                        iter(worths(profile, play_all(OneRound(states, {kind: profile}), own, samples, seed)).values())
                    )
                    for profile in profiles(states, c)
                ]
        for chosen in assignments(table):
            label = "; ".join(f"{task}/{name}: {_words(profile)}" for (task, name), profile in chosen.items())
            yield Setting(label, OneRound(states, chosen))


class OneRound(AbstractPlayer):
    """All agents act at once, once, as the profile of the question's class says."""

    def __init__(self, states: PublicStates, chosen: Mapping[Kind, Profile]):
        self.states, self.chosen = states, chosen

    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """See `AbstractPlayer`."""
        board = Board(self.states, self.states.class_of(item))
        profile = class_of(self.chosen, item)
        agents = self.states.team.agents
        board.add(
            (yield [Ask(agent.name, name, why="as decreed") for agent, name in zip(agents, profile, strict=True)])
        )
        return board.answers()


def profiles(states: PublicStates, task_class: int) -> list[Profile]:
    """All joint profiles that fit a class in the first round, in which somebody does something.

    Raises:
        NothingFits: There are too many.
        InputError: Of no agent something fits.
    """
    x = int(states.table[task_class, 0, 0])
    menus = [[agent.choices[k] for k in states.choices(agent, x)] for agent in states.team.agents]
    menus = [[choice for choice in menu if not find_control(choice.control).reads_stream] for menu in menus]
    count = int(np.prod([len(menu) for menu in menus]))
    if count > MOST_PROFILES:
        raise NothingFits(f"there are {count} joint profiles")
    found = [
        tuple(choice.name for choice in profile)
        for profile in product(*menus)
        if any(find_control(choice.control).instruction is not None for choice in profile)
    ]
    if not found:
        raise InputError("controls", f"of {'/'.join(states.classes[task_class])}: nobody can answer")
    return found


def _words(profile: Profile) -> str:
    return f"({', '.join(profile)})"


METHODS = (BestProfile(), BestProfileByClass())
