"""The rollout log: what was played, with which probability, and what it paid; one row per decision of an agent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hqre_jax.core._types import InputError, Labels, checked_count, checked_kind, checked_labels, shown

# The columns of version 1 and their types, in the order of files. Meanings are in the docstring of `RolloutLog`.
COLUMNS: dict[str, type[np.generic]] = {
    "run": np.int64,
    "episode": np.int64,
    "step": np.int64,
    "agent": np.int64,
    "information_state": np.int64,
    "action": np.int64,
    "log_propensity": np.float64,
    "payoff": np.float64,
    "failed": np.bool_,
}
KEY = ("run", "episode", "step", "agent")


@dataclass(frozen=True, eq=False)
class RolloutLog:
    """A table of decisions, one row for each decision of one agent; columns are read-only numpy arrays.

    ================== ======= =================== ===========================================================
    column             type    units               meaning
    ================== ======= =================== ===========================================================
    run                int64   count from 0        independent repetition: one seed, one experiment
    episode            int64   count from 0        play within the run; (run, episode) names one play
    step               int64   count from 0        time within the play; rows of one step are simultaneous
    agent              int64   count from 0        the player i who decides
    information_state  int64   count from 0        what i knew, x
    action             int64   count from 0        what i did, a
    log_propensity     float64 natural logarithm   log of the probability with which a was drawn; ≤ 0, NaN: unknown
    payoff             float64 units of payoff     reward r_i of this step; finite, but NaN allowed where failed
    failed             bool    –                   the play broke down here: its payoff is no observation
    ================== ======= =================== ===========================================================

    (run, episode, step, agent) is a key: no two rows share it. The order of rows has no meaning and is kept.

    Args:
        run: See the table, as all columns. Numbers stand for columns that are constant.
        episode: See the table.
        step: See the table.
        agent: See the table.
        information_state: See the table.
        action: See the table.
        payoff: See the table.
        log_propensity: See the table; unknown by default.
        failed: See the table; nothing failed by default.
        num_actions: Optional: ``num_actions[i][x]``, the number of actions of player i at information state x.
            Rows outside of it are refused. Without it only what was played is known of the game.
        labels: Optional names of players, information states and actions.

    Raises:
        InputError: ``column[row]: what is wrong``: columns of different lengths, a wrong type, a negative
            count, a positive log-propensity, a missing payoff of a play that did not fail, a key given twice.

    Example:
        >>> import hqre_jax as hq
        >>> log = hq.RolloutLog(episode=[0, 0], agent=[0, 1], action=[1, 0], payoff=[2.0, 0.5])
        >>> len(log)
        2
    """

    run: Int[np.ndarray, " row"]
    episode: Int[np.ndarray, " row"]
    step: Int[np.ndarray, " row"]
    agent: Int[np.ndarray, " row"]
    information_state: Int[np.ndarray, " row"]
    action: Int[np.ndarray, " row"]
    log_propensity: Float[np.ndarray, " row"]
    payoff: Float[np.ndarray, " row"]
    failed: Bool[np.ndarray, " row"]
    num_actions: tuple[tuple[int, ...], ...] | None
    labels: Labels

    def __init__(
        self,
        *,
        run: Any = 0,
        episode: Any,
        step: Any = 0,
        agent: Any,
        information_state: Any = 0,
        action: Any,
        payoff: Any,
        log_propensity: Any = np.nan,
        failed: Any = False,
        num_actions: Any = None,
        labels: Labels | None = None,
    ):
        given = {
            "run": run,
            "episode": episode,
            "step": step,
            "agent": agent,
            "information_state": information_state,
            "action": action,
            "log_propensity": log_propensity,
            "payoff": payoff,
            "failed": failed,
        }
        for name, column in _equally_long({name: _typed(name, given[name]) for name in COLUMNS}).items():
            object.__setattr__(self, name, column)
        object.__setattr__(self, "num_actions", checked_num_actions(num_actions))
        object.__setattr__(self, "labels", checked_labels(labels))
        self._validate()

    @classmethod
    def from_plays(
        cls,
        actions: Any,
        payoffs: Any,
        *,
        information_states: Any = 0,
        log_propensities: Any = np.nan,
        failed: Any = False,
        run: int = 0,
        first_episode: int = 0,
        num_actions: Any = None,
        labels: Labels | None = None,
    ) -> "RolloutLog":
        """The log of one-shot plays, each of which shows the payoffs of all players.

        Args:
            actions: ``actions[k, i]``: action of player i in play k, ``(play, player)``.
            payoffs: Payoffs ``(play, player)``; NaN where the play failed.
            information_states: ``(play, player)``, or a number.
            log_propensities: ``(play, player)``, or a number; unknown by default.
            failed: ``(play, player)``, or ``(play, 1)``, or one value.
            run: The run.
            first_episode: Number of the first play.
            num_actions: See `RolloutLog`.
            labels: See `RolloutLog`.

        Returns:
            The log, play by play.

        Raises:
            InputError: As the constructor; or the shapes do not fit.
        """
        actions, first_episode = _array("actions", actions), checked_count(first_episode, "first_episode", least=0)
        if actions.ndim != 2:
            raise InputError("actions", f"has {actions.ndim} axes, where 2 (play, player) are wanted")
        plays, players = actions.shape

        def column(name: str, value: Any) -> np.ndarray:
            value = _array(name, value)
            try:
                return np.broadcast_to(value, (plays, players)).reshape(-1)
            except ValueError:
                shape = value.shape
                raise InputError(
                    name, f"has shape {shape}, where {(plays, players)} (play, player) is wanted"
                ) from None

        return cls(
            run=run,
            episode=np.repeat(np.arange(first_episode, first_episode + plays), players),
            agent=np.tile(np.arange(players), plays),
            information_state=column("information_states", information_states),
            action=actions.reshape(-1),
            payoff=column("payoffs", payoffs),
            log_propensity=column("log_propensities", log_propensities),
            failed=column("failed", failed),
            num_actions=num_actions,
            labels=labels,
        )

    @classmethod
    def concatenate(cls, logs: "Iterable[RolloutLog]") -> "RolloutLog":
        """The rows of several logs, one log after the other.

        Args:
            logs: At least one log. Those that know the numbers of actions must agree; names come from the first
                log that has any.

        Returns:
            One log.

        Raises:
            InputError: If there is no log, numbers of actions differ, or two logs hold the same row: then
                they are copies, or runs that must be numbered apart (`renumbered`).
        """
        try:
            logs = list(logs)
        except TypeError:
            raise InputError("logs", f"is a {type(logs).__name__}; a list of RolloutLog is wanted") from None
        if not logs:
            raise InputError("logs", "is empty; at least one log is wanted")
        for k, log in enumerate(logs):
            checked_kind(log, RolloutLog, f"logs[{k}]")
        known = {log.num_actions for log in logs if log.num_actions is not None}
        if len(known) > 1:
            raise InputError("logs", "disagree about num_actions: they are of different games")
        named = [log.labels for log in logs if log.labels.players or log.labels.actions or log.labels.title]
        columns = {name: np.concatenate([getattr(log, name) for log in logs]) for name in COLUMNS}
        return cls(**columns, num_actions=known.pop() if known else None, labels=named[0] if named else None)

    def renumbered(self, first_run: int) -> "RolloutLog":
        """The same log with its runs numbered from ``first_run`` on, in their order."""
        first_run = checked_count(first_run, "first_run", least=0)
        run = np.unique(self.run, return_inverse=True)[1].reshape(-1) + first_run
        return self._with({**self.columns(), "run": run})

    def filter(self, rows: Any = None, **conditions: Any) -> "RolloutLog":
        """The rows that meet all conditions.

        Args:
            rows: Boolean array, one entry per row; all rows by default.
            **conditions: ``column=value`` or ``column=[value, …]``, as in ``log.filter(agent=0, run=[2, 3])``.

        Returns:
            A log, possibly empty.

        Raises:
            InputError: If a column is unknown, or ``rows`` is no such array.
        """
        keep = np.ones(len(self), bool)
        if rows is not None:
            rows = _array("rows", rows)
            if rows.dtype != bool or rows.shape != keep.shape:
                raise InputError("rows", f"must be a boolean array of length {len(self)}")
            keep &= rows
        for name, values in conditions.items():
            if name not in COLUMNS:
                raise InputError(name, f"is no column; the columns are {', '.join(COLUMNS)}")
            keep &= np.isin(getattr(self, name), _array(name, values))
        return self._with({name: column[keep] for name, column in self.columns().items()})

    def columns(self) -> dict[str, np.ndarray]:
        """The columns by name, in the order of the table."""
        return {name: getattr(self, name) for name in COLUMNS}

    @property
    def num_players(self) -> int:
        """Number of players, those of `num_actions`, else up to the last one who is seen to act."""
        return len(self.num_actions) if self.num_actions is not None else int(self.agent.max(initial=-1)) + 1

    @property
    def num_episodes(self) -> int:
        """Number of plays that left a row."""
        return len(np.unique(np.stack([self.run, self.episode]), axis=1).T)

    def __len__(self) -> int:
        return len(self.run)

    def __repr__(self) -> str:
        return (
            f"RolloutLog({len(self)} rows, {self.num_episodes} episodes, {self.num_players} players, "
            f"{int(self.failed.sum())} failed rows)"
        )

    def _with(self, columns: dict[str, np.ndarray]) -> "RolloutLog":
        return RolloutLog(**columns, num_actions=self.num_actions, labels=self.labels)

    def _validate(self) -> None:
        for name in ("run", "episode", "step", "agent", "information_state", "action"):
            column = getattr(self, name)
            _reject(name, column < 0, lambda k, column=column: f"is {column[k]}; counts start from 0")
        log_p, payoff = self.log_propensity, self.payoff
        _reject("log_propensity", log_p > 0, lambda k: f"is {log_p[k]:g}; the logarithm of a probability is ≤ 0")
        impossible = np.isneginf(log_p)
        _reject("log_propensity", impossible, lambda k: "is -inf: what was played had a positive probability")
        unseen = ~np.isfinite(payoff) & ~self.failed
        _reject("payoff", unseen, lambda k: f"is {payoff[k]:g}; it must be finite, or the row marked as failed")
        _reject("payoff", np.isinf(payoff), lambda k: f"is {payoff[k]:g}; an unknown payoff is NaN")
        if self.num_actions is not None:
            self._validate_against(self.num_actions)
        self._validate_key()

    def _validate_against(self, num_actions: tuple[tuple[int, ...], ...]) -> None:
        states = np.array([len(row) for row in num_actions], np.int64)
        _reject("agent", self.agent >= len(states), lambda k: f"is {self.agent[k]}, where {len(states)} players are")
        own = states[self.agent]
        _reject(
            "information_state",
            self.information_state >= own,
            lambda k: f"is {self.information_state[k]}, where player {self.agent[k]} has {own[k]}, counted from 0",
        )
        width = np.zeros((len(states), max(states)), np.int64)
        for i, row in enumerate(num_actions):
            width[i, : len(row)] = row
        limit = width[self.agent, self.information_state]
        _reject(
            "action",
            self.action >= limit,
            lambda k: f"is {self.action[k]}, where {limit[k]} actions are, counted from 0",
        )

    def _validate_key(self) -> None:
        key = np.stack([getattr(self, name) for name in KEY])
        order = np.lexsort(key[::-1])
        repeated = np.zeros(len(self), bool)
        repeated[order[1:]] = (np.diff(key[:, order], axis=1) == 0).all(0)

        def twice(k: int) -> str:
            place = ", ".join(f"{name} {value}" for name, value in zip(KEY, key[:, k], strict=True))
            return f"repeats {place}: each decision is one row; number different runs apart (renumbered)"

        _reject("run", repeated, twice)


def _reject(name: str, bad: np.ndarray, problem: Any) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        raise InputError(f"{name}[{rows[0]}]", problem(int(rows[0])))


def _typed(name: str, value: Any) -> np.ndarray:
    """A column as a read-only array of its type, or a number that stands for a constant column."""
    dtype = COLUMNS[name]
    array = _array(name, value)
    if array.ndim > 1:
        raise InputError(name, f"has {array.ndim} axes; a column has one")
    kinds = {np.int64: "iu", np.float64: "iuf", np.bool_: "b"}[dtype]
    if array.size and array.dtype.kind not in kinds:
        wanted = {np.int64: "whole numbers", np.float64: "numbers", np.bool_: "true and false"}[dtype]
        raise InputError(name, f"has type {array.dtype}; {wanted} are wanted")
    if dtype is np.int64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise InputError(name, "holds a whole number beyond 64 bits")
    return array.astype(dtype)


def _array(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError:
        raise InputError(name, "is ragged: lists at the same depth must have equal lengths") from None


def _equally_long(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Constant columns written out; all of them read-only."""
    lengths = {name: len(column) for name, column in columns.items() if column.ndim}
    rows = next(iter(lengths.values()), 1)
    for name, length in lengths.items():
        if length != rows:
            first = next(iter(lengths))
            raise InputError(name, f"has {length} rows, where {first} has {rows}")
    out = {name: np.broadcast_to(column, (rows,)).copy() for name, column in columns.items()}
    for column in out.values():
        column.setflags(write=False)
    return out


def _is_listed(value: Any) -> bool:
    """Whether a value is a list, or an array with axes, that is not empty."""
    listed = value.ndim > 0 if isinstance(value, np.ndarray) else isinstance(value, Sequence)
    return listed and len(value) > 0


def checked_num_actions(num_actions: Any) -> tuple[tuple[int, ...], ...] | None:
    """``num_actions[i][x]`` as tuples; None where it is not known."""
    if num_actions is None:
        return None
    if isinstance(num_actions, str) or not _is_listed(num_actions):
        raise InputError("num_actions", "must list, per player, the number of actions at each information state")
    table = []
    for i, row in enumerate(num_actions):
        if isinstance(row, str) or not _is_listed(row):
            raise InputError(f"num_actions[{i}]", "must list the number of actions at each information state")
        for x, count in enumerate(row):
            if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
                raise InputError(f"num_actions[{i}][{x}]", f"is {shown(count)}; it must be a whole number, 1 or more")
            if count > np.iinfo(np.int64).max:
                raise InputError(f"num_actions[{i}][{x}]", f"is {shown(count)}; arrays number actions with 64 bits")
        table.append(tuple(int(count) for count in row))
    return tuple(table)
