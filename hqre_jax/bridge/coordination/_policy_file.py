"""``policy.json``: a team's policy as a document that says what everything in it is, read strictly."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hqre_jax.bridge.coordination._policy import TeamPolicy
from hqre_jax.bridge.coordination._states import State
from hqre_jax.bridge.coordination._votes import AGREEMENTS
from hqre_jax.core._types import InputError
from hqre_jax.io._files import write_whole

FORMAT, VERSION = "hqre-jax team policy", 1
# Probabilities are written with all their digits; a hand may have rounded them.
_SUM_TOL = 1e-6
# What is known beyond the probabilities, and the kind of it; null where it is not known.
_FACTS: dict[str, tuple[type, ...]] = {
    "method": (str,), "residual": (int, float), "result": (str,), "selection": (str,), "certificate": (dict,),
    "worth": (dict,), "team": (dict,), "store": (dict,), "budgets": (dict,), "training": (dict,), "stability": (dict,),
}  # fmt: skip
_KINDS = {str: "a text", int: "a number", dict: "an object"}


def policy_document(policy: TeamPolicy) -> dict[str, Any]:
    """A policy as JSON has it: probabilities by agent, state and control, in the order of the labels.

    Args:
        policy: The policy.

    Returns:
        The document; what is not known of the policy is None.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import PublicStates, TeamPolicy, load_tasks, policy_document, uniform_law
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> states = PublicStates.of(team, load_tasks(team))
        >>> document = policy_document(TeamPolicy.of(states, uniform_law(states), tau=0.25))
        >>> list(document)[:3]
        ['format', 'version', 'agents']
    """
    menus = [len(menu) for menu in policy.menus]

    def table(values: np.ndarray) -> list[list[list[float]]]:
        return [values[i, :, :count].tolist() for i, count in enumerate(menus)]

    return {
        "format": FORMAT,
        "version": VERSION,
        "agents": [
            {"name": name, "controls": list(menu)} for name, menu in zip(policy.agents, policy.menus, strict=True)
        ],
        "states": [
            {"class": state.task_class, "round": state.round, "agreement": state.agreement} for state in policy.states
        ],
        "probabilities": table(policy.probabilities),
        "temperatures": [[_number(t) for t in row] for row in policy.tau],
        "reference": table(policy.reference),
        **{name: policy.facts.get(name) for name in _FACTS},
    }


def write_policy(policy: TeamPolicy, path: str | Path) -> None:
    """Write a policy; the file is there whole or as it was.

    Args:
        policy: The policy.
        path: The file.

    Raises:
        InputError: It cannot be written.

    Example:
        >>> import tempfile
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import PublicStates, TeamPolicy, load_tasks, read_policy, write_policy
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> states = PublicStates.of(team, load_tasks(team))
        >>> policy = TeamPolicy.of(states, states.mask / states.mask.sum(-1, keepdims=True), tau=0.25)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_policy(policy, f"{folder}/policy.json")
        ...     same = read_policy(f"{folder}/policy.json")
        >>> bool((same.probabilities == policy.probabilities).all())
        True
    """
    text = json.dumps(policy_document(policy), indent=1, allow_nan=False) + "\n"
    write_whole(Path(path), text.encode("utf-8"))


def read_policy(path: str | Path) -> TeamPolicy:
    """The policy of a file that `write_policy` wrote.

    Args:
        path: The file.

    Returns:
        The policy, and all that the file says of it.

    Raises:
        InputError: It is no policy, or a newer program's, or it says something that cannot be: where, and what.

    Example:
        >>> import tempfile
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import PublicStates, TeamPolicy, load_tasks, read_policy, write_policy
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> states = PublicStates.of(team, load_tasks(team))
        >>> policy = TeamPolicy.of(states, states.mask / states.mask.sum(-1, keepdims=True), tau=0.25)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_policy(policy, f"{folder}/policy.json")
        ...     same = read_policy(f"{folder}/policy.json")
        >>> same.agents, float(same.tau[0, 0])
        (('solver 1', 'solver 2', 'solver 3'), 0.25)
    """
    name = str(path)
    try:
        document = json.loads(Path(path).read_bytes().decode("utf-8"), parse_constant=_no_number)
    except OSError as error:
        hint = "; `hqre llm train` writes one" if isinstance(error, FileNotFoundError) else ""
        raise InputError(name, f"cannot be read: {(error.strerror or str(error)).lower()}{hint}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(name, f"is not JSON: {error}") from None
    reader = _Reader(name, document)
    reader.take("format", lambda value: value == FORMAT, f"{FORMAT!r}")
    version = reader.take("version", lambda value: _whole(value) and value >= 1, f"the number {VERSION}")
    if version > VERSION:
        raise InputError(f"{name}: version", f"is {version}, this one reads {VERSION}: upgrade hqre-jax")
    agents = reader.take("agents", _agents, "a list of agents, each with a name and controls,")
    menus = tuple(tuple(agent["controls"]) for agent in agents)
    states = reader.take("states", _states, "a list of states, each with class, round and agreement,")
    shape = [(len(states), len(menu)) for menu in menus]
    tables = {
        key: reader.take(key, lambda value: _tables(value, shape), "for each agent and state, a distribution")
        for key in ("probabilities", "reference")
    }
    tau = reader.take("temperatures", lambda value: _temperatures(value, len(menus), len(states)),
                      "by agent and state, numbers above 0 or null")  # fmt: skip
    facts = {
        key: reader.take(key, lambda value, kinds=kinds: _fact(value, kinds), f"{_KINDS[kinds[0]]} or null")
        for key, kinds in _FACTS.items()
    }
    reader.finish()
    most = max(map(len, menus))
    padded = {
        key: np.stack([np.pad(np.array(rows, float), ((0, 0), (0, most - len(menu))))
                       for rows, menu in zip(table, menus, strict=True)])
        for key, table in tables.items()
    }  # fmt: skip
    return TeamPolicy(
        tuple(agent["name"] for agent in agents),
        menus,
        tuple(State(state["class"], state["round"], state["agreement"]) for state in states),
        padded["probabilities"],
        np.array([[math.nan if t is None else t for t in row] for row in tau], float),
        padded["reference"],
        facts,
    )


class _Reader:
    """Takes values out of a document, each with its check; what is left over is a mistake."""

    def __init__(self, name: str, document: Any):
        if not isinstance(document, dict):
            raise InputError(name, "is no policy: an object is wanted, as `hqre llm train` writes it")
        self._name, self._left = name, dict(document)

    def take(self, key: str, good: Callable[[Any], bool], wanted: str) -> Any:
        if key not in self._left:
            raise InputError(f"{self._name}: {key}", f"is missing; {wanted} is wanted")
        value = self._left.pop(key)
        if not good(value):
            raise InputError(f"{self._name}: {key}", f"is {value!a:.60}; {wanted} is wanted")
        return value

    def finish(self) -> None:
        if self._left:
            raise InputError(f"{self._name}: {next(iter(self._left))}", "is not known: the file was changed by hand?")


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _fact(value: Any, kinds: tuple[type, ...]) -> bool:
    return value is None or (isinstance(value, kinds) and not isinstance(value, bool))


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _agents(value: Any) -> bool:
    return _some(value) and all(
        isinstance(one, dict)
        and one.keys() == {"name", "controls"}
        and isinstance(one["name"], str)
        and _some(one["controls"])
        and all(isinstance(control, str) for control in one["controls"])
        for one in value
    )


def _states(value: Any) -> bool:
    return _some(value) and all(
        isinstance(one, dict)
        and one.keys() == {"class", "round", "agreement"}
        and (one["class"] is None or isinstance(one["class"], str))
        and (one["round"] is None or (_whole(one["round"]) and one["round"] >= 1))
        and (one["agreement"] is None or one["agreement"] in AGREEMENTS)
        for one in value
    )


def _tables(value: Any, shape: list[tuple[int, int]]) -> bool:
    return _listed(value, len(shape)) and all(
        _listed(rows, states)
        and all(
            _listed(row, choices) and all(_real(p) and 0 <= p <= 1 for p in row) and abs(math.fsum(row) - 1) <= _SUM_TOL
            for row in rows
        )
        for rows, (states, choices) in zip(value, shape, strict=True)
    )


def _temperatures(value: Any, agents: int, states: int) -> bool:
    return _listed(value, agents) and all(
        _listed(row, states) and all(t is None or (_real(t) and t > 0) for t in row) for row in value
    )


def _some(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0


def _listed(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
