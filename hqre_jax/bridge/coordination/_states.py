"""The public states of a team's game: what everybody knows when controls are chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from hqre_jax.bridge.controls import find_control
from hqre_jax.bridge.coordination._votes import AGREEMENTS, NONE
from hqre_jax.bridge.tasks import AbstractDividedTask, AbstractTask, Item
from hqre_jax.bridge.tasks._interface import Split
from hqre_jax.bridge.tasks._user_file import UserTask
from hqre_jax.bridge.team import Agent, Choice, Team
from hqre_jax.core._types import InputError


@dataclass(frozen=True)
class State:
    """A public state; what the agents do not see is None.

    Attributes:
        task_class: Task and class, "arithmetic/sum".
        round: Number of the round, from 1 on.
        agreement: How far the team agrees so far, one of none, one, agreed, split.

    Example:
        >>> from hqre_jax.bridge.coordination import State
        >>> State("arithmetic/sum", round=2, agreement="split").agreement
        'split'
    """

    task_class: str | None
    round: int | None
    agreement: str | None

    def __str__(self) -> str:
        shown = (self.task_class, None if self.round is None else f"round {self.round}", self.agreement)
        return ", ".join(part for part in shown if part is not None) or "always"


@dataclass(frozen=True)
class PublicStates:
    """The states that a team distinguishes, and which of its controls make sense where.

    Attributes:
        team: The team.
        classes: Its classes: name of the task, name of the class.
        parts: For each class the parts that its questions have.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import PublicStates, load_tasks
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> states = PublicStates.of(team, load_tasks(team))
        >>> states.classes[0], states.states[0], states.mask.shape
        (('arithmetic', 'sum'), State(task_class='arithmetic/sum', round=1, agreement='none'), (3, 20, 5))
    """

    team: Team
    classes: tuple[tuple[str, str], ...]
    parts: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, team: Team, tasks: Mapping[str, AbstractTask]) -> "PublicStates":
        """The states of a team.

        Args:
            team: The team.
            tasks: Its tasks by name, in the order of the team file.

        Returns:
            The states.

        Raises:
            InputError: An agent has no control that fits a state.
        """
        classes, parts = [], []
        for wanted, task in zip(team.tasks, tasks.values(), strict=True):
            for name in wanted.classes or task.classes:
                classes.append((task.name, name))
                parts.append(task.parts if isinstance(task, AbstractDividedTask) and name in task.divided else ())
        states = cls(team, tuple(classes), tuple(parts))
        for i, x in np.argwhere(~states.mask.any(-1)):
            where = f"{team.agents[i].name}, {states.states[x]}"
            raise InputError("controls", f"of {where}: none fits; add one, `abstain` fits everywhere")
        return states

    @cached_property
    def states(self) -> tuple[State, ...]:
        """All states, in order of class, round and agreement."""
        return tuple(dict.fromkeys(self._state(*place) for place in self._reachable()))

    @cached_property
    def table(self) -> Int[np.ndarray, "task_class round agreement"]:
        """Number of the state, for each class, round (from 0 on) and agreement; −1 where it cannot come about."""
        numbers = {state: number for number, state in enumerate(self.states)}
        found = np.full((len(self.classes), self.team.rounds, len(AGREEMENTS)), -1)
        for place in self._reachable():
            found[place] = numbers[self._state(*place)]
        return found

    @cached_property
    def mask(self) -> Bool[np.ndarray, "agent state choice"]:
        """Which entries of its menu an agent has in which state.

        An entry that reads the stream needs a stream: it is there from the second round on, or, where rounds are not
        seen, once there is an answer. An entry that answers a part needs a class with that part.
        """
        most = max(len(agent.choices) for agent in self.team.agents)
        mask = np.zeros((len(self.team.agents), len(self.states), most), bool)
        for i, agent in enumerate(self.team.agents):
            for c, r, g in self._reachable():
                for k, choice in enumerate(agent.choices):
                    mask[i, self.table[c, r, g], k] = self._fits(choice, c, r, g)
        return mask

    def items(self, split: Split, tasks: Mapping[str, AbstractTask], count: int | None = None) -> dict[int, list[Item]]:
        """The questions of each class, by its number.

        Args:
            split: Of which split.
            tasks: The tasks by name.
            count: How many of each; by default as many as the team file says. Fewer where there are fewer.

        Returns:
            The questions, by number of their class.

        Raises:
            InputError: A class has none.
        """
        found = {}
        for number, (task, name) in enumerate(self.classes):
            found[number] = split_items(tasks[task], name, split, count or self.team.questions)
            if not found[number]:
                hint = ": add questions, or a column `split`: without one a hash divides them"
                own = hint if isinstance(tasks[task], UserTask) else ""
                raise InputError("tasks", f"{task}/{name} has no question in the split {split}{own}")
        return found

    @property
    def readers(self) -> bool:
        """Whether some agent can read the stream in some state."""
        return any(
            find_control(choice.control).reads_stream and self.mask[i, :, k].any()
            for i, agent in enumerate(self.team.agents)
            for k, choice in enumerate(agent.choices)
        )

    def class_of(self, item: Item) -> int:
        """Number of an item's class; items of an official data file have that of the task's first class here.

        Args:
            item: A question.

        Returns:
            The number, a place in `classes`.

        Raises:
            InputError: The team is not made for it.
        """
        for number, (task, name) in enumerate(self.classes):
            if task == item.task and item.task_class in (name, "official"):
                return number
        raise InputError("item", f"is of {item.task}/{item.task_class}, which the team is not made for")

    def slot(self, task_class: int, choice: Choice) -> int:
        """What an entry of a menu answers: 0 the whole, 1 and on the parts.

        Args:
            task_class: Number of the class.
            choice: The entry of a menu.

        Returns:
            The number of what it answers.
        """
        return 0 if choice.part is None else 1 + self.parts[task_class].index(choice.part)

    def choices(self, agent: Agent, state: int) -> list[int]:
        """Numbers of the entries that an agent has in a state.

        Args:
            agent: A member of the team.
            state: Number of the state.

        Returns:
            The numbers, in the menu's order.
        """
        return np.flatnonzero(self.mask[self.team.agents.index(agent), state]).tolist()

    def _fits(self, choice: Choice, c: int, r: int, g: int) -> bool:
        sees = self.team.sees
        if choice.part is not None and ("class" not in sees or choice.part not in self.parts[c]):
            return "class" not in sees and all(choice.part in parts for parts in self.parts)
        if not find_control(choice.control).reads_stream:
            return True
        return r > 0 if "round" in sees else g != NONE if "agreement" in sees else True

    def _reachable(self) -> list[tuple[int, int, int]]:
        """Class, round and agreement of all that can come about: at first nobody has answered."""
        every = range(len(AGREEMENTS))
        return [(c, r, g) for c in range(len(self.classes)) for r in range(self.team.rounds)
                for g in (every if r else (NONE,))]  # fmt: skip

    def _state(self, c: int, r: int, g: int) -> State:
        sees: Any = self.team.sees
        return State(
            "/".join(self.classes[c]) if "class" in sees else None,
            r + 1 if "round" in sees else None,
            AGREEMENTS[g] if "agreement" in sees else None,
        )


def split_items(task: AbstractTask, task_class: str, split: Split, count: int) -> list[Item]:
    """The first items of a class and split, as many as there are of those wanted."""
    try:
        return task.items(task_class, split, count)
    except InputError as error:
        if error.field != "count":
            raise
        return task.items(task_class, split, min(count, task.num_items[split]))
