"""What every estimator asks of recorded play: plays as arrays, ranges of payoffs, levels and counts; or one error."""

import sys
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from hqre_jax.core._temperatures import concrete, real_numbers
from hqre_jax.core._types import InputError, shown
from hqre_jax.rollouts._rollout_log import RolloutLog

Range = tuple[float, float]


def checked_level(level: Any, field: str = "level", what: str = "a confidence level") -> Any:
    """A number strictly between 0 and 1, as a float; one that is traced as it is."""
    if not concrete(level):
        return level
    number = level.item() if isinstance(level, np.ndarray | np.generic | jnp.ndarray) and level.ndim == 0 else level
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < 1:
        raise InputError(field, f"is {shown(level)}; {what} must lie strictly between 0 and 1")
    return float(number)


def checked_number(value: Any, field: str, above: float = -np.inf, up_to: float = np.inf) -> float:
    """A finite number above one bound and up to another, which is included where it is finite."""
    number = value.item() if isinstance(value, np.ndarray | np.generic | jnp.ndarray) and value.ndim == 0 else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not above < number <= up_to:
        number = np.nan
    if not abs(number) <= sys.float_info.max:
        bounds = f" above {above:g}" * (above > -np.inf) + f", at most {up_to:g}" * (up_to < np.inf)
        raise InputError(field, f"is {shown(value)}; it must be a finite number{bounds}")
    return float(number)


def checked_range(payoff_range: Any, field: str = "payoff_range") -> Range | None:
    """Least and largest possible payoff; None where it is not stated."""
    if payoff_range is None:
        return None
    wanted = "two finite numbers, the least and the largest possible payoff, are wanted"
    ends = np.asarray(real_numbers(payoff_range, field))
    if ends.shape != (2,) or not np.isfinite(ends).all():
        raise InputError(field, f"is {shown(payoff_range)}; {wanted}")
    low, high = map(float, ends)
    if low > high:
        raise InputError(field, f"is ({low:g}, {high:g}); the least payoff comes first")
    return low, high


def check_within(payoffs: Float[np.ndarray, "..."], payoff_range: Range | None, field: str) -> None:
    """Refuses payoffs outside a stated range; those that are not a number are none."""
    if payoff_range is None:
        return
    low, high = payoff_range
    bad = np.argwhere((payoffs < low) | (payoffs > high))
    if len(bad):
        place = _place(bad[0])
        shown = payoffs[tuple(bad[0])]
        raise InputError(f"{field}{place}", f"is {shown:g}, outside the stated payoff_range ({low:g}, {high:g})")


def check_fit(log: RolloutLog, mask: Bool[np.ndarray, "player state action"], field: str = "log") -> None:
    """Refuses an empty log, and one that says or holds what the game does not have."""
    if not len(log):
        raise InputError(field, "is empty; at least one row is wanted")
    for name, limit in zip(("agent", "information_state", "action"), mask.shape, strict=True):
        column = getattr(log, name)
        if column.max() >= limit:
            row = int(np.argmax(column))
            raise InputError(f"{field}.{name}[{row}]", f"is {column[row]}, where the game has {limit}, counted from 0")
    bad = ~mask[log.agent, log.information_state, log.action]
    if bad.any():
        raise InputError(f"{field}.action[{int(np.argmax(bad))}]", "is no valid action there")
    # Of actions that the game forbids a log may have counted those before the last that it allows.
    last = np.where(mask, np.arange(1, mask.shape[2] + 1), 0).max(2)
    had = tuple(tuple(int(count) for count in row if count) for row in last)
    if log.num_actions is not None and log.num_actions != had:
        wrong = f"are {shown(log.num_actions)}, where the game has {shown(had)}: it is of another game"
        raise InputError(f"{field}.num_actions", wrong)


def checked_mask(action_mask: Any) -> Bool[np.ndarray, "player state action"]:
    """Valid actions ``(player, information state, action)``, with at least one somewhere for each player."""
    try:
        mask = np.asarray(action_mask)
    except ValueError:
        raise InputError("action_mask", "is ragged: lists at the same depth must have equal lengths") from None
    if mask.dtype != bool or mask.ndim != 3 or not mask.size or not mask.any((1, 2)).all():
        raise InputError(
            "action_mask",
            f"has type {mask.dtype} and shape {mask.shape}; true and false, (player, information state, action), "
            "with a valid action of each player are wanted",
        )
    return mask


class RecordedPlays(NamedTuple):
    """Simultaneous plays of a known game, as arrays ``(play, player)``.

    Attributes:
        actions: Actions; −1 where the player did not act or is not known to have acted.
        payoffs: Payoffs, units of payoff; not a number where unknown.
        states: Information states.
    """

    actions: Int[np.ndarray, "play player"]
    payoffs: Float[np.ndarray, "play player"]
    states: Int[np.ndarray, "play player"]


def checked_plays(
    actions: Any, payoffs: Any, mask: Bool[np.ndarray, "player state action"], information_states: Any = 0
) -> RecordedPlays:
    """Plays whose every action is valid where it was taken.

    Args:
        actions: ``(play, player)``, whole numbers, −1 where a player did not act.
        payoffs: Same shape; not a number where unknown.
        mask: Valid actions.
        information_states: Same shape, or one number for each player, or one for all.

    Returns:
        The `RecordedPlays`.

    Raises:
        InputError: Naming array and entry at fault.
    """
    chosen = np.asarray(real_numbers(actions, "actions"))
    if chosen.ndim != 2 or chosen.shape[1] != len(mask):
        raise InputError("actions", f"has shape {chosen.shape}, where (play, {len(mask)}) is wanted")
    chosen = _whole(chosen, "actions")
    paid = np.asarray(real_numbers(payoffs, "payoffs"), np.float64)
    if paid.shape != chosen.shape:
        raise InputError("payoffs", f"has shape {paid.shape}, where that of actions, {chosen.shape}, is wanted")
    _reject(np.isinf(paid), paid, "payoffs", "; an unknown payoff is NaN")
    states = np.asarray(real_numbers(information_states, "information_states"))
    try:
        states = np.broadcast_to(states, chosen.shape)
    except ValueError:
        raise InputError(
            "information_states", f"has shape {states.shape}, where {chosen.shape} or a number is wanted"
        ) from None
    states = _whole(states, "information_states")
    limit = mask.shape[1]
    _reject((states < 0) | (states >= limit), states, "information_states", f"; the game has {limit}, counted from 0")
    _reject(chosen < -1, chosen, "actions", "; actions are counted from 0, and −1 says that the player did not act")
    limit = mask.shape[2]
    _reject(chosen >= limit, chosen, "actions", f", where {limit} actions are, counted from 0")
    player = np.broadcast_to(np.arange(len(mask)), chosen.shape)
    invalid = (chosen >= 0) & ~mask[player, states, np.maximum(chosen, 0)]
    _reject(invalid, chosen, "actions", ", which is no valid action there")
    return RecordedPlays(chosen, paid, states)


def _whole(array: np.ndarray, field: str) -> Int[np.ndarray, "..."]:
    """Integers, whatever type they are held in."""
    if array.size == 0 or array.dtype.kind in "iu":
        return array.astype(np.int64)
    _reject(~(np.isfinite(array) & (np.trunc(array) == array)), array, field, "; whole numbers are wanted")
    return array.astype(np.int64)


def _reject(bad: np.ndarray, values: np.ndarray, field: str, problem: str) -> None:
    found = np.argwhere(bad)
    if len(found):
        raise InputError(f"{field}{_place(found[0])}", f"is {values[tuple(found[0])]}{problem}")


def _place(index: np.ndarray) -> str:
    """Where in an array; of a number alone it need not be said."""
    if not len(index):
        return ""
    return f"[{', '.join(str(int(k)) for k in index)}]"
