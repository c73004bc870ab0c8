"""Team files: agents, menu, states, prices and rounds of the coordination game, read strictly from TOML."""

import hashlib
import json
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar

from hqre_jax.core._types import InputError

VERSION = 1
Seen = Literal["class", "round", "agreement"]
Stop = Literal["agreed", "silent"]
_SEEN: tuple[Seen, ...] = ("class", "round", "agreement")
_STOPS: tuple[Stop, ...] = ("agreed", "silent")
# With fewer, an agent could not answer twice where another does too without a sample being used again.
QUESTIONS, SAMPLES = 60, 8
_Entry = TypeVar("_Entry")


@dataclass(frozen=True)
class TokenPrice:
    """What an agent pays for its own tokens, in units of score for 1,000 tokens.

    Attributes:
        prompt: For tokens of the prompt that are computed.
        cached: For those that are not computed again.
        completion: For tokens generated.
    """

    prompt: float
    cached: float
    completion: float

    @property
    def is_nothing(self) -> bool:
        """Whether tokens cost nothing."""
        return not (self.prompt or self.cached or self.completion)

    def of(self, prompt: int, cached: int, completion: int) -> float:
        """The price of a call, in units of score.

        Args:
            prompt: Tokens of the prompt, cached ones included.
            cached: Those that were not computed again.
            completion: Tokens generated.
        """
        return ((prompt - cached) * self.prompt + cached * self.cached + completion * self.completion) / 1000


@dataclass(frozen=True)
class Choice:
    """An entry of the menu.

    Attributes:
        name: What it is called in policies and reports.
        control: Name of the way of answering, `hqre_jax.bridge.controls`.
        temperature: Of sampling.
        max_tokens: Most tokens of a reply; None for what the control takes for the task.
        part: The part of a divided question that it answers; None for the whole.
    """

    name: str
    control: str
    temperature: float
    max_tokens: int | None
    part: str | None


@dataclass(frozen=True)
class Agent:
    """A member of the team.

    Attributes:
        name: What it is called.
        role: A word for people.
        instructions: What its system prompt begins with; "" for nothing.
        model: Name of its model.
        choices: Its controls, in the menu's order.
        price: What it pays.
    """

    name: str
    role: str
    instructions: str
    model: str
    choices: tuple[Choice, ...]
    price: TokenPrice

    def choice(self, name: str) -> Choice:
        """One of its controls by name.

        Raises:
            InputError: It has none of that name.
        """
        for choice in self.choices:
            if choice.name == name:
                return choice
        raise InputError("control", f"is {name!a}; {self.name} has {', '.join(entry.name for entry in self.choices)}")


@dataclass(frozen=True)
class TeamTask:
    """A task that the team is made for.

    Attributes:
        name: Name of the task.
        classes: Its classes; None for all.
    """

    name: str
    classes: tuple[str, ...] | None


@dataclass(frozen=True)
class Team:
    """A team file.

    Attributes:
        title: What the team is called.
        rounds: Most rounds of a play.
        examples: Whether worked examples are drawn by every agent for itself.
        sees: What agents know of the public state, in the order class, round, agreement.
        stops: What ends a play before its last round: "agreed" (the team agrees), "silent" (a round brings no answer).
        questions: Questions of each class from which the game is learnt, of the dev split.
        samples: Samples of each question under each control.
        tasks: What the team is made for.
        agents: Its members, in order.
    """

    title: str
    rounds: int
    examples: Literal["private", "shared"]
    sees: tuple[Seen, ...]
    stops: tuple[Stop, ...]
    questions: int
    samples: int
    tasks: tuple[TeamTask, ...]
    agents: tuple[Agent, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of all that the file says, however it is spelt."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode("ascii")).hexdigest()

    def seed_of(self, agent: Agent, seed: int) -> int:
        """The seed of an agent's worked examples and samples.

        Args:
            agent: A member.
            seed: Of the play.
        """
        if self.examples == "shared":
            return seed
        digest = hashlib.sha256(json.dumps([seed, agent.name]).encode("ascii")).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def agent(self, name: str | None) -> Agent:
        """A member by name; the first one for None.

        Raises:
            InputError: Nobody is called that.
        """
        for agent in self.agents:
            if name in (None, agent.name):
                return agent
        raise InputError("agent", f"is {name!a}; the team has {', '.join(agent.name for agent in self.agents)}")


def default_team() -> str:
    """The documented default team, as the text of its file."""
    return files("hqre_jax.bridge").joinpath("default_team.toml").read_text(encoding="utf-8")


def read_team(source: str | Path | Mapping[str, Any], model: str | None = None) -> Team:
    """A team from its file, or from the dictionary that such a file would give.

    Args:
        source: Path of a TOML file, or a dictionary.
        model: Used by every agent in place of the file's models.

    Returns:
        The team.

    Raises:
        InputError: Naming the file, the table and the key at fault.
    """
    if isinstance(source, Mapping):
        return _team(_Table("team", source), model)
    try:
        document = tomllib.loads(Path(source).read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError | tomllib.TOMLDecodeError):
            raise InputError(str(source), f"is not TOML: {error}") from None
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        hint = "; `hqre llm init` writes one" if isinstance(error, FileNotFoundError) else ""
        raise InputError(str(source), f"cannot be read: {reason}{hint}") from None
    return _team(_Table(str(source), document), model)


class _Table:
    """Takes values out of a table, each with its check; what is left over is a mistake."""

    def __init__(self, name: str, values: Mapping[str, Any]):
        self.name, self.values, self.known = name, dict(values), list[str]()

    def take(self, key: str, check: Callable[[Any], _Entry], wanted: str, *default: Any) -> _Entry:
        self.known.append(key)
        if key not in self.values:
            if default:
                return default[0]
            raise InputError(f"{self.name}: {key}", f"is missing; {wanted} is wanted")
        value = self.values.pop(key)
        try:
            return check(value)
        except (TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self.name}: {key}", f"is {value!a:.80}; {wanted} is wanted") from None

    def tables(self, key: str, what: str) -> "list[_Table]":
        entries = self.take(key, _tables, f"one or more tables [[{key}]], {what},")
        return [_Table(f"{self.name}: {key}[{k}]", entry) for k, entry in enumerate(entries)]

    def finish(self) -> None:
        if self.values:
            raise InputError(
                f"{self.name}: {next(iter(self.values))}", f"is not known; here are {', '.join(self.known)}"
            )


def _team(table: _Table, model: str | None) -> Team:
    version = table.take("version", lambda value: _whole(value, 1), f"the number {VERSION}")
    if version > VERSION:
        raise InputError(f"{table.name}: version", f"is {version}, this one reads {VERSION}: upgrade hqre-jax")
    title = table.take("title", _text, "a text", "team")
    common = table.take("model", _text, "a model's name", model)
    rounds = table.take("rounds", lambda value: _whole(value, 1, 100), "a whole number from 1 to 100", 1)
    examples = table.take("examples", _one_of(("private", "shared")), '"private" or "shared"', "private")
    price = _price(_Table(f"{table.name}: price", table.take("price", _table, "a table [price]")))
    state = _Table(f"{table.name}: state", table.take("state", _table, "a table [state]", {}))
    sees = state.take("sees", _some_of(_SEEN), f"a list of {', '.join(_SEEN)}", _SEEN)
    stops = state.take("stops", _some_of(_STOPS), f"a list of {', '.join(_STOPS)}", ())
    state.finish()
    questions = table.take("questions", lambda value: _whole(value, 2), "a whole number, 2 or more,", QUESTIONS)
    samples = table.take("samples", lambda value: _whole(value, 1), "a whole number, 1 or more,", SAMPLES)
    tasks = tuple(_task(entry) for entry in table.tables("tasks", "each with a name"))
    menu = tuple(_choice(entry) for entry in table.tables("menu", "each with a control"))
    _distinct(f"{table.name}: menu", [choice.name for choice in menu])
    agents = tuple(_agent(entry, menu, common, model, price) for entry in table.tables("agents", "each with a name"))
    _distinct(f"{table.name}: agents", [agent.name for agent in agents])
    table.finish()
    return Team(title, rounds, examples, sees, stops, questions, samples, tasks, agents)


def _price(table: _Table) -> TokenPrice:
    wanted = "a price for 1,000 tokens, 0 or more,"
    prompt = table.take("prompt", _amount, wanted)
    price = TokenPrice(prompt, table.take("cached", _amount, wanted, prompt), table.take("completion", _amount, wanted))
    table.finish()
    return price


def _task(table: _Table) -> TeamTask:
    task = TeamTask(
        table.take("name", _text, "a task's name"), table.take("classes", _names, "a list of classes", None)
    )
    table.finish()
    return task


def _choice(table: _Table) -> Choice:
    from hqre_jax.bridge.controls import CONTROLS

    control = table.take("control", _one_of(tuple(CONTROLS)), f"one of {', '.join(CONTROLS)}")
    choice = Choice(
        name=table.take("name", _text, "a text", control),
        control=control,
        temperature=table.take("temperature", _amount, "a number, 0 or more,", 0.0),
        max_tokens=table.take("max_tokens", lambda value: _whole(value, 1), "a whole number, 1 or more,", None),
        part=table.take("part", _text, "the name of a part of a divided question", None),
    )
    table.finish()
    return choice


def _agent(table: _Table, menu: Sequence[Choice], common: str | None, override: str | None, price: TokenPrice) -> Agent:
    own = table.take("model", _text, "a model's name", common)
    if own is None:
        raise InputError(f"{table.name}: model", "is missing, and so is the team's: give a model's name to either")
    names = [choice.name for choice in menu]
    chosen = table.take("controls", _subset(names), f"a list of entries of the menu ({', '.join(names)})", names)
    paid = table.take("price", _table, "a table with prompt and completion", None)
    agent = Agent(
        name=table.take("name", _text, "a text"),
        role=table.take("role", _text, "a word", "solver"),
        instructions=table.take("instructions", _text, "a text", ""),
        model=override or own,
        choices=tuple(choice for choice in menu if choice.name in chosen),
        price=price if paid is None else _price(_Table(f"{table.name}: price", paid)),
    )
    table.finish()
    return agent


def _distinct(name: str, words: Sequence[str]) -> None:
    for word in words:
        if words.count(word) > 1:
            raise InputError(name, f"has several that are called {word!a}; give each its own name")


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _tables(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise TypeError
    return [_table(entry) for entry in value]


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError
    return value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise TypeError
    return tuple(dict.fromkeys(_text(entry) for entry in value))


def _whole(value: Any, least: int, most: int = 2**31) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError
    return value


def _amount(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError
    return float(value)


def _one_of(names: tuple[str, ...]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value not in names:
            raise ValueError
        return value

    return check


def _subset(names: Sequence[str]) -> Callable[[Any], tuple[str, ...]]:
    def check(value: Any) -> tuple[str, ...]:
        if not set(chosen := _names(value)) <= set(names):
            raise ValueError
        return chosen

    return check


def _some_of(names: tuple[Any, ...]) -> Callable[[Any], tuple[Any, ...]]:
    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not set(map(_text, value)) <= set(names):
            raise ValueError
        return tuple(name for name in names if name in value)

    return check
