"""Team files: agents, menu, states, prices and rounds of the coordination game, read strictly from TOML."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from hqre_jax.bridge._toml import (
    Table,
    amount,
    distinct,
    mapping,
    one_of,
    read_document,
    some_of,
    subset,
    text,
    whole,
    words,
)
from hqre_jax.core._types import InputError

VERSION = 1
Seen = Literal["class", "round", "agreement"]
Stop = Literal["agreed", "silent"]
_SEEN: tuple[Seen, ...] = ("class", "round", "agreement")
_STOPS: tuple[Stop, ...] = ("agreed", "silent")
# With fewer, an agent could not answer twice where another does too without a sample being used again.
QUESTIONS, SAMPLES = 60, 8


@dataclass(frozen=True)
class TokenPrice:
    """What an agent pays for its own tokens, in units of score for 1,000 tokens.

    Attributes:
        prompt: For tokens of the prompt that are computed.
        cached: For those that are not computed again.
        completion: For tokens generated.

    Example:
        >>> from hqre_jax.bridge.team import TokenPrice
        >>> price = TokenPrice(prompt=0.2, cached=0.02, completion=2.0)
        >>> f"{price.of(prompt=100, cached=80, completion=10):.4f}"
        '0.0256'
        >>> TokenPrice(0.0, 0.0, 0.0).is_nothing
        True
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

        Returns:
            The price.
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

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> for choice in read_team(tomllib.loads(default_team())).agents[0].choices[2:]:
        ...     print(choice.name, choice.control, choice.temperature, choice.max_tokens)
        four_examples four_examples 0.7 48
        step_by_step step_by_step 0.7 128
        reconsider read_stream 0.7 128
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

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> agent = read_team(tomllib.loads(default_team())).agent("solver 2")
        >>> agent.role, agent.model, agent.choice("reconsider").control
        ('solver', 'smollm2-135m', 'read_stream')
        >>> [choice.name for choice in agent.choices]
        ['abstain', 'direct', 'four_examples', 'step_by_step', 'reconsider']
    """

    name: str
    role: str
    instructions: str
    model: str
    choices: tuple[Choice, ...]
    price: TokenPrice

    def choice(self, name: str) -> Choice:
        """One of its controls by name.

        Args:
            name: What the entry of the menu is called.

        Returns:
            The entry.

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

    Example:
        >>> from hqre_jax.bridge.coordination import find_tasks
        >>> from hqre_jax.bridge.team import TeamTask
        >>> task = find_tasks([TeamTask("zebra", classes=None)])["zebra"]
        >>> task.classes
        ('houses_2', 'houses_2_drinks', 'houses_3', 'houses_3_drinks')
        >>> list(find_tasks([TeamTask("zebra", classes=("houses_2",)), TeamTask("arithmetic", None)]))
        ['zebra', 'arithmetic']
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

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> told = tomllib.loads(default_team())
        >>> private, shared = read_team(told), read_team(told | {"examples": "shared"})
        >>> [len({team.seed_of(agent, seed=0) for agent in team.agents}) for team in (private, shared)]
        [3, 1]
        >>> private.digest == read_team(told).digest, private.digest == shared.digest
        (True, False)
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

        Returns:
            The play's own where examples are shared, else one that depends on the agent's name, too.
        """
        if self.examples == "shared":
            return seed
        digest = hashlib.sha256(json.dumps([seed, agent.name]).encode("ascii")).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def agent(self, name: str | None) -> Agent:
        """A member by name; the first one for None.

        Args:
            name: What the member is called; None for the first.

        Returns:
            The member.

        Raises:
            InputError: Nobody is called that.
        """
        for agent in self.agents:
            if name in (None, agent.name):
                return agent
        raise InputError("agent", f"is {name!a}; the team has {', '.join(agent.name for agent in self.agents)}")


def default_team() -> str:
    """The documented default team, as the text of its file.

    Returns:
        The TOML that `hqre llm init` writes, comments and all.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.team import default_team
        >>> told = tomllib.loads(default_team())
        >>> told["title"], [agent["name"] for agent in told["agents"]], told["price"]
        ('three solvers', ['solver 1', 'solver 2', 'solver 3'], {'prompt': 0.2, 'completion': 2.0})
    """
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

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> told = tomllib.loads(default_team())
        >>> {agent.model for agent in read_team(told, model="replay").agents}
        {'replay'}
        >>> read_team(told | {"rounds": 0})
        Traceback (most recent call last):
            ...
        hqre_jax.core._input.InputError: team: rounds: is 0; a whole number from 1 to 100 is wanted
    """
    return _team(read_document(source, "team", "; `hqre llm init` writes one"), model)


def _team(table: Table, model: str | None) -> Team:
    table.is_of("agents")
    version = table.take("version", lambda value: whole(value, 1), f"the number {VERSION}")
    if version > VERSION:
        raise InputError(f"{table.name}: version", f"is {version}, this one reads {VERSION}: upgrade hqre-jax")
    title = table.take("title", text, "a text", "team")
    common = table.take("model", text, "a model's name", model)
    rounds = table.take("rounds", lambda value: whole(value, 1, 100), "a whole number from 1 to 100", 1)
    examples = table.take("examples", one_of(("private", "shared")), '"private" or "shared"', "private")
    price = _price(Table(f"{table.name}: price", table.take("price", mapping, "a table [price]")))
    state = Table(f"{table.name}: state", table.take("state", mapping, "a table [state]", {}))
    sees = state.take("sees", some_of(_SEEN), f"a list of {', '.join(_SEEN)}", _SEEN)
    stops = state.take("stops", some_of(_STOPS), f"a list of {', '.join(_STOPS)}", ())
    state.finish()
    questions = table.take("questions", lambda value: whole(value, 2), "a whole number, 2 or more,", QUESTIONS)
    samples = table.take("samples", lambda value: whole(value, 1), "a whole number, 1 or more,", SAMPLES)
    tasks = tuple(_task(entry) for entry in table.tables("tasks", "each with a name"))
    menu = tuple(_choice(entry) for entry in table.tables("menu", "each with a control"))
    distinct(f"{table.name}: menu", [choice.name for choice in menu])
    agents = tuple(_agent(entry, menu, common, model, price) for entry in table.tables("agents", "each with a name"))
    distinct(f"{table.name}: agents", [agent.name for agent in agents])
    table.finish()
    return Team(title, rounds, examples, sees, stops, questions, samples, tasks, agents)


def _price(table: Table) -> TokenPrice:
    wanted = "a price for 1,000 tokens, 0 or more,"
    prompt = table.take("prompt", amount, wanted)
    price = TokenPrice(prompt, table.take("cached", amount, wanted, prompt), table.take("completion", amount, wanted))
    table.finish()
    return price


def _task(table: Table) -> TeamTask:
    task = TeamTask(table.take("name", text, "a task's name"), table.take("classes", words, "a list of classes", None))
    table.finish()
    return task


def _choice(table: Table) -> Choice:
    from hqre_jax.bridge.controls import CONTROLS

    control = table.take("control", one_of(tuple(CONTROLS)), f"one of {', '.join(CONTROLS)}")
    choice = Choice(
        name=table.take("name", text, "a text", control),
        control=control,
        temperature=table.take("temperature", amount, "a number, 0 or more,", 0.0),
        max_tokens=table.take("max_tokens", lambda value: whole(value, 1), "a whole number, 1 or more,", None),
        part=table.take("part", text, "the name of a part of a divided question", None),
    )
    table.finish()
    return choice


def _agent(table: Table, menu: Sequence[Choice], common: str | None, override: str | None, price: TokenPrice) -> Agent:
    own = table.take("model", text, "a model's name", common)
    if own is None:
        raise InputError(f"{table.name}: model", "is missing, and so is the team's: give a model's name to either")
    names = [choice.name for choice in menu]
    chosen = table.take("controls", subset(names), f"a list of entries of the menu ({', '.join(names)})", names)
    paid = table.take("price", mapping, "a table with prompt and completion", None)
    agent = Agent(
        name=table.take("name", text, "a text"),
        role=table.take("role", text, "a word", "solver"),
        instructions=table.take("instructions", text, "a text", ""),
        model=override or own,
        choices=tuple(choice for choice in menu if choice.name in chosen),
        price=price if paid is None else _price(Table(f"{table.name}: price", paid)),
    )
    table.finish()
    return agent
