"""The games of a batch as lanes of equal shape: stacked, grouped, padded where that is cheap."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax.core._programs import unnamed
from hqre_jax.core._temperatures import as_float_array, concrete, real_numbers
from hqre_jax.core._types import InputError
from hqre_jax.games import NormalFormGame
from hqre_jax.games._game import AbstractGame, Continuation, is_game
from hqre_jax.problem import check_zero_sum, full_policy
from hqre_jax.solvers.batch._stacked_games import StackedGames, stack_games

# Normal forms of different shapes share one program if padding makes their payoffs at most this much larger.
_PADDING = 4.0


class Lane(NamedTuple):
    """One lane's part of the question, or that of several lanes with a leading axis.

    Attributes:
        game: The game.
        tau: Temperatures ``(player, information state)``, padding 1.
        reference: Reference policy ``(player, information state, action)``, or None for the uniform one.
        initial_policy: Start, likewise, or None for the reference.
    """

    game: AbstractGame
    tau: Any
    reference: Any
    initial_policy: Any


class Group(NamedTuple):
    """Lanes whose arrays have equal shapes.

    Attributes:
        lanes: Their places in the batch.
        question: What is asked of them, with a leading axis.
        payoffs: Of games that are a payoff tensor, the tensors ``(lane, player, *actions)``; else None.

    Example:
        >>> import numpy as np
        >>> from hqre_jax.solvers.batch import lay_out
        >>> games = [np.zeros((2, 2, 2)), np.zeros((2, 5, 5)), np.zeros((2, 2, 2))]
        >>> first, second = lay_out(games, 1.0, None, None, "soft").groups
        >>> first.lanes, second.lanes, second.payoffs.shape  # padded to powers of two
        (array([0, 2]), array([1]), (1, 2, 8, 8))
    """

    lanes: np.ndarray
    question: Lane
    payoffs: Any


@dataclass(frozen=True, eq=False)
class Lanes:
    """A batch of games, laid out.

    Attributes:
        groups: Every lane is in exactly one.
        games: What was given: a stacked game, or ``StackedGames``.
        action_mask: Valid actions ``(lane, player, information state, action)``, padded to the largest of each.
        tau: Temperatures ``(lane, player, information state)``, padding 1.
        reference: Reference policies of the mask's shape, if any were given.

    Example:
        >>> import numpy as np
        >>> from hqre_jax.solvers.batch import lay_out
        >>> lanes = lay_out([np.zeros((2, 2, 2)), np.zeros((2, 5, 5))], [0.5, 1.0], None, None, "soft")
        >>> lanes.action_mask.shape, lanes.action_mask.sum((1, 2, 3))
        ((2, 2, 1, 5), array([ 4, 10]))
        >>> lanes.tau[:, :, 0]
        array([[0.5, 1. ],
               [0.5, 1. ]])
    """

    groups: tuple[Group, ...]
    games: AbstractGame | StackedGames
    action_mask: Any
    tau: Any
    reference: Any


def lane_game(games: AbstractGame | StackedGames, lane: int) -> AbstractGame:
    """The game of one lane, as it was given."""
    if isinstance(games, StackedGames):
        return games[lane]
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[lane]), games)


def lay_out(games: Any, taus: Any, reference: Any, initial_policy: Any, continuation: Continuation) -> Lanes:
    """Sort games into groups of equal shape.

    Args:
        games: A stacked game, a list of games, or payoffs ``[b, i, a_1, …, a_N]``.
        taus: Scalar, per player, ``(batch, player)``, ``(batch, 1)`` or ``(batch, player, state)``.
        reference: None, one reference policy for all, one per lane (array or list).
        initial_policy: Likewise.
        continuation: "zero_sum" is checked against the payoffs here.

    Returns:
        The `Lanes`.

    Raises:
        InputError: On bad input.

    Example:
        >>> import numpy as np
        >>> from hqre_jax.solvers.batch import lay_out
        >>> lanes = lay_out(np.zeros((1000, 2, 3, 3)), np.linspace(0.1, 1.0, 1000)[:, None], None, None, "soft")
        >>> len(lanes.groups), lanes.tau.shape
        (1, (1000, 2, 1))
        >>> alike = [np.zeros((2, 3, 3)), np.zeros((2, 4, 4))]  # padded alike: one program solves both
        >>> len(lay_out(alike, 1.0, None, None, "soft").groups)
        1
    """
    if isinstance(games, list | tuple) and any(is_game(game) or np.ndim(game) > 1 for game in games):
        return _from_list(
            [_as_game(game, b) for b, game in enumerate(games)], taus, reference, initial_policy, continuation
        )
    if is_game(games):
        _check_stack(games)
        stacked, plain, payoffs = games, unnamed(games), games.payoff_tensor()
        dtype = _floating_type(games) if payoffs is None else payoffs.dtype
    else:
        # For a thousand small games, to ask a game anything takes as long as to solve some.
        stacked, payoffs = _from_payoffs(games)
        plain, dtype = stacked, payoffs.dtype
    mask = stacked.action_mask
    tau = batch_tau(taus, mask, dtype)
    rho = _batch_policy(reference, mask, dtype, "reference", interior=True)
    start = _batch_policy(initial_policy, mask, dtype, "initial_policy", interior=False)
    if continuation == "zero_sum":
        _each_zero_sum(stacked)
    return Lanes((Group(np.arange(len(mask)), Lane(plain, tau, rho, start), payoffs),), stacked, mask, tau, rho)


def _floating_type(stacked: AbstractGame) -> Any:
    return jax.eval_shape(lambda: lane_game(stacked, 0).payoff_range()).dtype


def batch_tau(taus: Any, mask: Any, dtype: Any) -> Any:
    """Temperatures in full, ``(lane, player, state)``, padding 1: numpy where they can be seen.

    Args:
        taus: Scalar; 1-d per player; 2-d ``(lane, player)`` or ``(lane, 1)``; 3-d in full.
        mask: Valid actions of all lanes.
        dtype: Floating type.

    Returns:
        The temperatures.

    Raises:
        InputError: If the shape does not fit or a value that is used is not finite and positive.
    """
    batch, players, states = mask.shape[:3]
    array = _floating(taus, "taus", dtype)
    visible = concrete(array) and concrete(mask)
    xp = np if visible else jnp
    array = xp.asarray(array)
    full = (batch, players, states)
    if array.ndim == 0:
        tau = xp.broadcast_to(array, full)
    elif array.shape == (players,):
        tau = xp.broadcast_to(array[None, :, None], full)
    elif array.shape in ((batch, players), (batch, 1)):
        tau = xp.broadcast_to(array[:, :, None], full)
    elif array.shape == full:
        tau = array
    else:
        raise InputError(
            "taus",
            f"has shape {tuple(array.shape)}, where a number, ({players},) per player, ({batch}, {players}) or "
            f"({batch}, 1) per game, or {full} in full is wanted",
        )
    used = xp.any(xp.asarray(distinct(mask)), axis=-1)
    # Asked of what was given, which may be one number.
    if visible and not np.all(np.isfinite(array) & (array > 0)):
        bad = np.argwhere(used & ~(np.isfinite(tau) & (tau > 0)))
        if len(bad):
            b, i, x = (int(k) for k in bad[0])
            raise InputError(
                "taus", f"is {tau[b, i, x]:g} in game {b} for player {i + 1}; it must be finite and above 0"
            )
    if visible and used.all():
        return tau
    return xp.where(used, tau, xp.ones((), tau.dtype))


def distinct(masks: Any) -> Any:
    """Valid actions of all lanes, or of the first where all have its own: games of one array have one mask."""
    return masks[:1] if isinstance(masks, np.ndarray) and masks.strides[0] == 0 else masks


def _from_payoffs(payoffs: Any) -> tuple[NormalFormGame, Any]:
    """All games of an array at once, and the array; a payoff that is no number fails its own lane only."""
    array = _floating(payoffs, "games")
    if array.ndim and len(array) == 0:
        raise InputError("games", f"holds no game: its shape is {tuple(array.shape)}")
    if array.ndim < 3 or array.ndim != array.shape[1] + 2 or array.size == 0:
        raise InputError(
            "games",
            f"has shape {tuple(array.shape)}; payoffs[b, i, a_1, …, a_N] need N + 2 axes, the second of length N",
        )
    structure, mask = _normal_form(array.shape[1:], array.dtype)
    return jax.tree.unflatten(structure, (array, np.broadcast_to(mask, (len(array), *mask.shape)))), array


@functools.cache
def _normal_form(shape: tuple[int, ...], dtype: Any) -> tuple[Any, np.ndarray]:
    """The structure of a game, whose leaves are payoffs and mask; and its mask."""
    template = jax.eval_shape(NormalFormGame, jax.ShapeDtypeStruct(shape, dtype))
    actions = np.asarray(shape[1:])
    mask = np.arange(actions.max())[None, None, :] < actions[:, None, None]
    return jax.tree.structure(template), mask


def _floating(value: Any, field: str, dtype: Any = None) -> Any:
    """`as_float_array` that leaves in numpy what is there: nothing is copied to a device before it is needed."""
    if isinstance(value, jax.Array) or not concrete(value):
        return as_float_array(value, field, dtype)
    value = real_numbers(value, field)
    if dtype is None:
        floating = np.issubdtype(value.dtype, np.floating)
        dtype = jax.dtypes.canonicalize_dtype(value.dtype if floating else float)
    return np.asarray(value, dtype)


def _as_game(game: Any, lane: int) -> AbstractGame:
    if is_game(game):
        if game.action_mask.ndim != 3:
            raise InputError(f"games[{lane}]", "is a stack of games itself; give the stack alone")
        return game
    try:
        return NormalFormGame(game)
    except InputError as error:
        raise InputError(f"games[{lane}].{error.field}", error.problem) from None


def _check_stack(game: AbstractGame) -> None:
    if game.action_mask.ndim != 4:
        raise InputError("games", "is one game, not a stack of games: use solve, or give a list")
    sizes = {leaf.shape[0] if np.ndim(leaf) else None for leaf in jax.tree.leaves(game)}
    if len(sizes) != 1 or None in sizes:
        raise InputError("games", "is no stack: every array in it needs the same first axis, one entry for each game")


def _each_zero_sum(stacked: AbstractGame) -> None:
    for b in range(len(stacked.action_mask)):
        try:
            check_zero_sum(jax.tree.map(lambda leaf, b=b: leaf[b], stacked))
        except InputError as error:
            raise InputError(error.field, f"{error.problem}; game {b} is none such") from None


def _from_list(
    games: list[AbstractGame], taus: Any, reference: Any, initial_policy: Any, continuation: Continuation
) -> Lanes:
    dtypes = {game.dtype for game in games}
    if len(dtypes) > 1:
        raise InputError("games", f"mixes {' and '.join(sorted(map(str, dtypes)))}: use one floating type")
    (dtype,) = dtypes
    shapes = [game.action_mask.shape for game in games]
    largest = tuple(max(shape[k] for shape in shapes) for k in range(3))
    if all(concrete(game.action_mask) for game in games):
        mask = np.zeros((len(games), *largest), bool)
        for b, game in enumerate(games):
            mask[(b, *map(slice, shapes[b]))] = np.asarray(game.action_mask)
    else:
        mask = jnp.stack([_grown(game.action_mask, largest) for game in games])
    tau = batch_tau(taus, mask, dtype)
    rho = _list_policy(reference, games, mask, dtype, "reference", interior=True)
    start = _list_policy(initial_policy, games, mask, dtype, "initial_policy", interior=False)
    groups, plain = [], [unnamed(game) for game in games]
    for members in _alike(plain):
        common, stacked = _stack([plain[b] for b in members])
        where = (np.asarray(members), *map(slice, common))
        own_tau = tau[where[:-1]]
        own_rho, own_start = (
            None if part is None else _grown(part[where], (len(members), *common)) for part in (rho, start)
        )
        if continuation == "zero_sum":
            _each_zero_sum(stacked)
        groups.append(Group(np.asarray(members), Lane(stacked, own_tau, own_rho, own_start), stacked.payoff_tensor()))
    return Lanes(tuple(groups), stack_games(games), mask, tau, rho)


def _alike(games: Sequence[AbstractGame]) -> list[list[int]]:
    """Lanes that share a program: equal structure, or normal forms that are padded to equal shapes."""
    kinds: dict[Any, list[int]] = {}
    for b, game in enumerate(games):
        payoffs = game.payoff_tensor()
        if payoffs is not None:
            key: Any = (NormalFormGame, _padded_actions(payoffs))
        else:
            leaves, structure = jax.tree.flatten(game)
            key = (structure, tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves))
        kinds.setdefault(key, []).append(b)
    return list(kinds.values())


def _padded_actions(payoffs: Any) -> tuple[int, ...]:
    """Numbers of actions to pad to: powers of two, unless that makes the payoffs much larger.

    They depend on the game alone: which other games are in the batch does not touch a game's rounding.
    """
    actions = payoffs.shape[1:]
    rounded = tuple(1 << (a - 1).bit_length() for a in actions)
    return rounded if np.prod(rounded) <= _PADDING * np.prod(actions) else actions


def _stack(games: list[AbstractGame]) -> tuple[tuple[int, ...], AbstractGame]:
    """The common shape (player, state, action) and the stacked game; normal forms are padded."""
    tensors = [tensor for game in games if (tensor := game.payoff_tensor()) is not None]
    if not tensors:
        stacked = jax.tree.map(lambda *leaves: _together(leaves), *games)
        return games[0].action_mask.shape, stacked
    actions = _padded_actions(tensors[0])
    players = len(actions)
    common = (players, 1, max(actions))
    payoffs = _together([_grown(tensor, (players, *actions)) for tensor in tensors])
    mask = _together([_grown(g.action_mask, common) for g in games])
    structure, _ = _normal_form((players, *actions), payoffs.dtype)
    return common, jax.tree.unflatten(structure, (payoffs, mask))


def _together(leaves: Sequence[Any]) -> Any:
    return np.stack(leaves) if all(concrete(leaf) for leaf in leaves) else jnp.stack(leaves)


def _grown(array: Any, shape: tuple[int, ...]) -> Any:
    """The array with zeros after it along every axis."""
    widths = [(0, target - size) for size, target in zip(array.shape, shape, strict=True)]
    return (np if concrete(array) else jnp).pad(array, widths)


def _batch_policy(value: Any, mask: Any, dtype: Any, field: str, *, interior: bool) -> Any:
    """A policy for every lane: one for all ``(player, state, action)``, or one each."""
    if value is None:
        return None
    if isinstance(value, list | tuple):
        if len(value) == len(mask) and _depth(value) == 4:
            rows = [full_policy(p, mask[b], dtype, f"{field}[{b}]", interior=interior) for b, p in enumerate(value)]
            return _together(rows)
        value = full_policy(value, mask[0], dtype, field, interior=interior)
    array = as_float_array(value, field, dtype)
    if array.shape == mask.shape[1:]:
        array = jnp.broadcast_to(array, mask.shape)
    if array.shape != mask.shape:
        raise InputError(field, f"has shape {tuple(array.shape)}, where {mask.shape[1:]} or {mask.shape} is wanted")
    # The axes of lane and player as one, in which `full_policy` finds what is wrong.
    merged = (-1, *mask.shape[2:])
    policy = full_policy(array.reshape(merged), mask.reshape(merged), dtype, field, interior=interior)
    return policy.reshape(mask.shape)


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list | tuple | np.ndarray | jax.Array) and len(value):
        if isinstance(value, np.ndarray | jax.Array):
            return depth + value.ndim
        depth, value = depth + 1, value[0]
    return depth


def _list_policy(
    value: Any, games: Sequence[AbstractGame], mask: Any, dtype: Any, field: str, *, interior: bool
) -> Any:
    """Policies of a list of games: padded to the batch maxima, or one entry of its own shape for each game."""
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        return _batch_policy(value, mask, dtype, field, interior=interior)
    if len(value) != len(games):
        raise InputError(field, f"has {len(value)} entries for {len(games)} games")
    rows = []
    for b, (one, game) in enumerate(zip(value, games, strict=True)):
        policy = full_policy(one, game.action_mask, dtype, f"{field}[{b}]", interior=interior)
        rows.append(_grown(policy, mask.shape[1:]))
    return _together(rows)
