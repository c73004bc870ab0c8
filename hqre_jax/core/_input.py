"""What is said about input: the one error, the checks that every room shares, labels, and the words of a question.

Nothing here needs an array: whoever only asks for help waits for no library of them.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

Continuation = Literal["soft", "plain", "zero_sum"]
Entropy = Literal["kl", "shannon"]

_SHOWN = 60
_Kind = TypeVar("_Kind")


class InputError(ValueError):
    """Bad input, said in one line: ``field: what is wrong and what would be right``.

    Args:
        field: The argument, key or file position at fault.
        problem: What is wrong with it and, where possible, the remedy.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> try:
        ...     hq.solve(game, -1.0)
        ... except hq.InputError as error:
        ...     print(error)
        tau: temperature is -1; it must be finite and greater than 0
    """

    def __init__(self, field: str, problem: str):
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.problem)


def checked_kind(value: object, kind: type[_Kind], field: str, remedy: str = "") -> _Kind:
    """The value, if it is of the kind that is wanted; else an `InputError` that says what it is."""
    if not isinstance(value, kind):
        raise InputError(field, f"is a {type(value).__name__}; {remedy or f'a {kind.__name__} is wanted'}")
    return value


def checked_labels(labels: object) -> "Labels":
    """The labels, or none of their own."""
    return Labels() if labels is None else checked_kind(labels, Labels, "labels")


def checked_count(count: object, field: str, least: int = 1) -> int:
    """A whole number of 64 bits that is large enough."""
    try:
        number = None if isinstance(count, bool) else operator.index(count)  # pyright: ignore[reportArgumentType]
    except TypeError:
        number = None
    if number is None or not least <= number < 2**63:
        raise InputError(field, f"is {shown(count)}; it must be a whole number, {least} or more")
    return number


def checked_choice(value: object, choices: Sequence[str], field: str) -> str:
    """One of some words; an array, whose comparison is no truth, is none."""
    if not isinstance(value, str) or value not in choices:
        *most, last = (f'"{choice}"' for choice in choices)
        raise InputError(field, f"is {shown(value)}; it must be {', '.join(most)} or {last}")
    return value


def shown(value: object) -> str:
    """What a message shows of a value: one line, and no more of it than says what it is."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


@dataclass(frozen=True)
class Labels:
    """Names that people read: they never change what is computed.

    Labels are equal if all names are: a compiled function returns a game with the names that it was given. The
    library's own programs are compiled without names, once for all of them (``hqre_jax.core._programs``). An empty
    tuple stands for "numbered from 1".

    Args:
        title: What the game is called.
        source: The publication it is taken from.
        players: One name per player.
        information_states: Per player, one name per information state.
        actions: Per player, per information state, one name per action.
        nodes: Of a tree: one name per node, which may be empty, as those below may.
        outcomes: Per node of a tree, or per action profile of a normal form (the first player's action changing
            fastest): what its payoffs are called.
        chance_moves: Of a tree: per node, what the move is called that chance makes there.
        chance_actions: Of a tree: per node, what chance's action is called that leads there.

    Example:
        >>> import hqre_jax as hq
        >>> labels = hq.Labels(players=("row", "column"))
        >>> labels.players
        ('row', 'column')
    """

    title: str = ""
    source: str = ""
    players: tuple[str, ...] = ()
    information_states: tuple[tuple[str, ...], ...] = ()
    actions: tuple[tuple[tuple[str, ...], ...], ...] = ()
    nodes: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    chance_moves: tuple[str, ...] = ()
    chance_actions: tuple[str, ...] = ()

    def __post_init__(self):
        # Annotations do not keep lists out.
        for field in fields(self):
            object.__setattr__(self, field.name, _tuples(getattr(self, field.name)))

    def player(self, i: int) -> str:
        """Name of player i."""
        return self.players[i] if i < len(self.players) else str(i + 1)

    def information_state(self, i: int, x: int) -> str:
        """Name of player i's information state x."""
        names = self.information_states[i] if i < len(self.information_states) else ()
        return names[x] if x < len(names) else str(x + 1)

    def action(self, i: int, x: int, a: int) -> str:
        """Name of player i's action a at information state x."""
        states = self.actions[i] if i < len(self.actions) else ()
        names = states[x] if x < len(states) else ()
        return names[a] if a < len(names) else str(a + 1)


def _tuples(names: Any) -> Any:
    """Lists as tuples, at every depth: what is compared and hashed must stand still."""
    return tuple(map(_tuples, names)) if isinstance(names, list | tuple) else names


def spoken(names: Sequence[str]) -> tuple[str, ...]:
    """The names, or none at all where every one of them is empty."""
    return tuple(names) if any(names) else ()


def name_at(names: Sequence[str], k: int) -> str:
    """The name of part k, empty where it has none."""
    return names[k] if k < len(names) else ""
