"""The configuration of a fine-tuning run, read strictly from TOML."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hqre_jax.bridge._toml import (
    Table,
    amount,
    distinct,
    mapping,
    mappings,
    one_of,
    read_document,
    subset,
    text,
    whole,
    words,
)
from hqre_jax.bridge.controls import CONTROLS
from hqre_jax.bridge.finetuning._format import Part
from hqre_jax.bridge.finetuning._turns import KINDS
from hqre_jax.bridge.finetuning.methods import METHODS, AbstractMethod, Settings
from hqre_jax.bridge.models import LoraConfig
from hqre_jax.bridge.tasks._interface import Split
from hqre_jax.bridge.team import TeamTask
from hqre_jax.core._types import InputError

VERSION = 1
# Ways of asking that ask something, of one agent by itself.
WAYS = tuple(name for name, way in CONTROLS.items() if way.instruction is not None and not way.reads_stream)
_COUNT, _AMOUNT = "a whole number, 1 or more,", "a number, 0 or more,"


@dataclass(frozen=True)
class Role:
    """Somebody who speaks once in a round.

    Attributes:
        name: What it is called.
        adapter: Name of its adapter; roles that name the same one share it.
        instructions: What its system prompt begins with; "" for nothing.
        control: The way in which it is asked, as in team files.
        reads: Names of roles whose latest messages it reads: those before it, and in plays of several rounds any.
        answers: Whether its turn counts when the team's answer is found.
        max_tokens: Most tokens of its turn; None for what the control takes for the task.
        price: What it pays for 1,000 of its own tokens, in units of score.
        format: The parts of its turn.
        tau: Temperature of each type of token in it, units of score.
    """

    name: str
    adapter: str
    instructions: str
    control: str
    reads: tuple[str, ...]
    answers: bool
    max_tokens: int | None
    price: float
    format: tuple[Part, ...]
    tau: Mapping[str, float]


@dataclass(frozen=True)
class Optimizer:
    """How gradients are followed: AdamW.

    Attributes:
        learning_rate: Of AdamW, at the beginning.
        decay: Gradient steps after which it is halved, as 1 / (1 + steps / decay); 0 keeps it.
        weight_decay: Of AdamW.
        max_norm: Longer gradients are shortened to this length; 0 leaves them.
        groups: Questions whose turns go through the model at once; gradients of all are added up.
        rematerialise: Whether gradients compute inner values again instead of keeping them.
        step_limit: Mean KL to the last policy, nats a token, at which a step is taken to have diverged.
    """

    learning_rate: float
    decay: int
    weight_decay: float
    max_norm: float
    groups: int
    rematerialise: bool
    step_limit: float


@dataclass(frozen=True)
class Evaluation:
    """How what was learnt is judged: greedy plays of questions that nothing is learnt from.

    Attributes:
        questions: Of each class; 0 for no evaluation.
        every: Steps from one evaluation to the next; first and last policy are evaluated in any case.
        split: Where they are from.
    """

    questions: int
    every: int
    split: Split


# What does not decide what is learnt: how long, and how it is looked at.
UNDECISIVE = ("title", "steps", "evaluation", "budget_tokens", "budget_minutes")


@dataclass(frozen=True)
class Config:
    """A configuration.

    Attributes:
        title: What the run is called.
        model: Name of the frozen model.
        dtype: Number type of its weights and products.
        method: Name of the way of fine-tuning.
        settings: Its numbers.
        seed: Of questions, plays and first adapters.
        steps: Mirror steps (batches of plays).
        questions: Questions of a step.
        plays: Plays of each.
        rounds: How often everybody speaks in a play.
        pool: Questions of each class, of the train split, that steps draw from.
        tasks: What is asked.
        roles: Who speaks, in this order.
        adapter: Layers and size of the adapters.
        optimizer: How gradients are followed.
        evaluation: How what was learnt is judged.
        budget_tokens: Most tokens generated in plays, evaluation apart; None for no limit.
        budget_minutes: Most minutes of one run of the command; None for no limit.

    Example:
        >>> from hqre_jax.bridge.finetuning import read_config
        >>> role = {"name": "solver", "control": "direct", "format": [{"type": "answer"}]}
        >>> role |= {"max_tokens": 32, "tau": 0.02}
        >>> ask = {"version": 1, "title": "a solver", "model": "smollm2-135m", "seed": 0, "steps": 40}
        >>> ask |= {"tasks": [{"name": "arithmetic", "classes": ["product"]}], "method_settings": {"eta": 1.0}}
        >>> ask["roles"] = [role]
        >>> read_config(ask).digest == read_config(ask, steps=10).digest  # a run that is made longer is the same run
        True
        >>> read_config(ask).adapter.rank
        8
    """

    title: str
    model: str
    dtype: str
    method: str
    settings: Settings
    seed: int
    steps: int
    questions: int
    plays: int
    rounds: int
    pool: int
    tasks: tuple[TeamTask, ...]
    roles: tuple[Role, ...]
    adapter: LoraConfig
    optimizer: Optimizer
    evaluation: Evaluation
    budget_tokens: int | None
    budget_minutes: float | None

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides what is learnt; how long, and how it is looked at, does not."""
        said = asdict(self)
        for free in UNDECISIVE:
            del said[free]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode("ascii")).hexdigest()

    @property
    def adapters(self) -> dict[str, tuple[Role, ...]]:
        """The roles of each adapter."""
        names = dict.fromkeys(role.adapter for role in self.roles)
        return {name: tuple(role for role in self.roles if role.adapter == name) for name in names}

    def make_method(self) -> AbstractMethod:
        """The way of fine-tuning."""
        return METHODS[self.method](self.settings)


def read_config(
    source: str | Path | Mapping[str, Any], budget: Mapping[str, Any] | None = None, **changed: Any
) -> Config:
    """A configuration from its file, or from the dictionary that such a file would give.

    Args:
        source: Path of a TOML file, or a dictionary.
        budget: Limits in place of the file's.
        **changed: Values of the outermost table in place of the file's; None leaves the file's.

    Returns:
        The configuration.

    Raises:
        InputError: Naming the file, the table and the key at fault.

    Example:
        >>> from hqre_jax.bridge.finetuning import read_config
        >>> role = {"name": "solver", "control": "direct", "format": [{"type": "answer"}]}
        >>> role |= {"max_tokens": 32, "tau": 0.02}
        >>> ask = {"version": 1, "title": "a solver", "model": "smollm2-135m", "seed": 0, "steps": 40}
        >>> ask |= {"tasks": [{"name": "arithmetic", "classes": ["product"]}], "method_settings": {"eta": 1.0}}
        >>> ask["roles"] = [role]
        >>> config = read_config(ask, steps=10)
        >>> config.steps, config.method
        (10, 'dice')
        >>> read_config(ask | {"steps": -1})
        Traceback (most recent call last):
            ...
        hqre_jax.core._input.InputError: config: steps: is -1; a whole number, 1 or more, is wanted
    """
    table = read_document(source, "config", "; docs/finetuning.md has one to begin with")
    table.values |= {key: value for key, value in changed.items() if value is not None}
    return _config(table, budget or {})


def _config(table: Table, limits: Mapping[str, Any]) -> Config:
    table.is_of("roles")
    if (version := table.take("version", lambda value: whole(value, 1), f"the number {VERSION}")) > VERSION:
        raise InputError(f"{table.name}: version", f"is {version}, this one reads {VERSION}: upgrade hqre-jax")
    steps = table.take("steps", lambda value: whole(value, 1), _COUNT)
    plays, budget = _inner(table, "plays"), _inner(table, "budget")
    rounds = plays.take("rounds", lambda value: whole(value, 1), _COUNT, 1)
    roles = tuple(_role(entry) for entry in table.tables("roles", "each with a name"))
    distinct(f"{table.name}: roles", [role.name for role in roles])
    for k, role in enumerate(roles):
        # From the second round on everybody has spoken.
        heard = [other.name for other in (roles if rounds > 1 else roles[:k])]
        for name in role.reads:
            if name not in heard:
                before = f"before it speaks {', '.join(heard)}" if heard else "it is the first to speak"
                raise InputError(f"{table.name}: roles[{k}]: reads", f"names {name!a}; {before}")
    if not any(role.answers for role in roles):
        raise InputError(f"{table.name}: roles", "none of them answers: leave `answers = false` out of one at least")
    budget.values |= limits
    config = Config(
        title=table.take("title", text, "a text", "fine-tuning"),
        model=table.take("model", text, "a model's name", "smollm2-135m"),
        dtype=table.take("dtype", one_of(("float32", "bfloat16")), '"float32" or "bfloat16"', "float32"),
        method=table.take("method", one_of(tuple(METHODS)), f"one of {', '.join(METHODS)}", "dice"),
        settings=_settings(_inner(table, "method_settings")),
        seed=table.take("seed", lambda value: whole(value, 0), "a whole number, 0 or more,", 0),
        steps=steps,
        questions=plays.take("questions", lambda value: whole(value, 1), _COUNT, 8),
        plays=plays.take("plays", lambda value: whole(value, 2), "a whole number, 2 or more,", 4),
        rounds=rounds,
        pool=plays.take("pool", lambda value: whole(value, 1), _COUNT, 100),
        tasks=tuple(_task(entry) for entry in table.tables("tasks", "each with a name")),
        roles=roles,
        adapter=_adapter(_inner(table, "adapter")),
        optimizer=_optimizer(_inner(table, "optimizer")),
        evaluation=_evaluation(_inner(table, "evaluation")),
        budget_tokens=budget.take("tokens", lambda value: whole(value, 1, 2**53), _COUNT, None),
        budget_minutes=budget.take("minutes", _positive, "a number above 0", None),
    )
    for left in (plays, budget, table):
        left.finish()
    return config


def _inner(table: Table, key: str) -> Table:
    return Table(f"{table.name}: {key}", table.take(key, mapping, f"a table [{key}]", {}))


def _role(table: Table) -> Role:
    name = table.take("name", text, "a text")
    parts = tuple(
        _part(Table(f"{table.name}: format[{k}]", entry), first=k == 0)
        for k, entry in enumerate(
            table.take("format", mappings, "a list of parts, each with a type", [{"type": "answer"}])
        )
    )
    kinds = tuple(kind for kind in KINDS if any(part.kind == kind for part in parts))
    role = Role(
        name=name,
        adapter=table.take("adapter", _file_name, "a name of letters, digits, - and _", name),
        instructions=table.take("instructions", lambda value: "" if value == "" else text(value), "a text", ""),
        control=table.take("control", one_of(WAYS), f"one of {', '.join(WAYS)}", "direct"),
        reads=table.take("reads", lambda value: () if value == [] else words(value), "a list of roles", ()),
        answers=table.take("answers", _truth, "true or false", True),
        max_tokens=table.take("max_tokens", lambda value: whole(value, 1), _COUNT, None),
        price=table.take("price", amount, "a price for 1,000 tokens, 0 or more,", 0.0),
        format=parts,
        tau=table.take(
            "tau",
            lambda value: _temperatures(value, kinds),
            "a number, 0 or more," if len(kinds) == 1 else f"a number, 0 or more, or a table of {', '.join(kinds)},",
        ),
    )
    table.finish()
    _file_name_or_refuse(role.adapter, table.name)
    return role


def _part(table: Table, first: bool) -> Part:
    kind = table.take("type", one_of(KINDS), f"one of {', '.join(KINDS)}")
    part = Part(kind) if first else Part(kind, table.take("after", text, "a text, the words that open the part,"))
    table.finish()
    return part


def _temperatures(value: Any, kinds: tuple[str, ...]) -> dict[str, float]:
    if isinstance(value, dict):
        if set(value) != set(kinds):
            raise ValueError
        return {kind: amount(value[kind]) for kind in kinds}
    return dict.fromkeys(kinds, amount(value))


def _task(table: Table) -> TeamTask:
    task = TeamTask(table.take("name", text, "a task's name"), table.take("classes", words, "a list of classes", None))
    table.finish()
    return task


def _settings(table: Table) -> Settings:
    usual = Settings()
    settings = Settings(
        eta=table.take("eta", _positive, "a number above 0", usual.eta),
        inner_steps=table.take("inner_steps", lambda value: whole(value, 1), _COUNT, usual.inner_steps),
        exploration=table.take("exploration", amount, _AMOUNT, usual.exploration),
        continuation=table.take("continuation", one_of(("soft", "plain")), '"soft" or "plain"', usual.continuation),
        entropy=table.take("entropy", one_of(("kl", "shannon")), '"kl" or "shannon"', usual.entropy),
        beta=table.take("beta", amount, _AMOUNT, usual.beta),
        clip=table.take("clip", _positive, "a number above 0", usual.clip),
    )
    table.finish()
    return settings


def _adapter(table: Table) -> LoraConfig:
    from hqre_jax.bridge.models._adapters import TARGETS

    usual = LoraConfig()
    config = LoraConfig(
        rank=table.take("rank", lambda value: whole(value, 1, 4096), _COUNT, usual.rank),
        alpha=table.take("alpha", _positive, "a number above 0", usual.alpha),
        targets=table.take("targets", subset(tuple(TARGETS)), f"some of {', '.join(TARGETS)}", usual.targets),
        last_layers=table.take("last_layers", lambda value: whole(value, 1), _COUNT, usual.last_layers),
    )
    table.finish()
    return config


def _optimizer(table: Table) -> Optimizer:
    optimizer = Optimizer(
        learning_rate=table.take("learning_rate", _positive, "a number above 0", 1e-3),
        decay=table.take("decay", lambda value: whole(value, 0), "a whole number, 0 or more,", 0),
        weight_decay=table.take("weight_decay", amount, _AMOUNT, 0.0),
        max_norm=table.take("max_norm", amount, _AMOUNT, 0.0),
        groups=table.take("groups", lambda value: whole(value, 1), _COUNT, 4),
        rematerialise=table.take("rematerialise", _truth, "true or false", False),
        step_limit=table.take("step_limit", _positive, "a number above 0", 2.0),
    )
    table.finish()
    return optimizer


def _evaluation(table: Table) -> Evaluation:
    evaluation = Evaluation(
        questions=table.take("questions", lambda value: whole(value, 0), "a whole number, 0 or more,", 50),
        every=table.take("every", lambda value: whole(value, 1), _COUNT, 10),
        split=table.take("split", one_of(("dev", "test")), '"dev" or "test"', "dev"),
    )
    table.finish()
    return evaluation


def _positive(value: Any) -> float:
    if not amount(value) > 0:
        raise ValueError
    return amount(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _file_name(value: Any) -> str:
    """A name that a folder can have anywhere."""
    if not text(value).replace("-", "").replace("_", "").isalnum() or not text(value).isascii():
        raise ValueError
    return value


def _file_name_or_refuse(adapter: str, table: str) -> None:
    """A role's name need be none, but then its adapter needs a name of its own."""
    try:
        _file_name(adapter)
    except ValueError:
        raise InputError(
            f"{table}: adapter",
            f"would be called {adapter!a} like its role; give it a name of letters, digits, - and _",
        ) from None
