"""The plays of a log of a one-shot game: who was what, who did what, and what that paid."""

import numpy as np

from hqre_jax.core._types import InputError
from hqre_jax.rollouts._rollout_log import RolloutLog


def simultaneous_plays(log: RolloutLog, states: tuple[int, ...], actions: tuple[int, ...]):
    """Types, actions and payoffs of each play, ``(play, player)``, and whether it failed."""
    players = len(actions)
    if not len(log):
        raise InputError("log", "is empty")
    later = np.flatnonzero(log.step > 0)
    if len(later):
        raise InputError(
            f"step[{later[0]}]", "is not 0: a one-shot game has one step; choose one by log.filter(step=0)"
        )
    order = np.lexsort([log.agent, log.episode, log.run])
    run, episode, agent = log.run[order], log.episode[order], log.agent[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(run) != 0) | (np.diff(episode) != 0)])
    sizes = np.diff(np.r_[starts, len(order)])
    # Keys are unique: a play of as many rows as players, none of an agent beyond them, has one row for each.
    ill = (sizes != players) | (np.maximum.reduceat(agent, starts) >= players)
    if ill.any():
        k = starts[np.argmax(ill)]
        problem = f"does not hold one row for each of {players} players"
        raise InputError("log", f"run {run[k]}, episode {episode[k]} {problem}")
    column = {name: values[order].reshape(-1, players) for name, values in log.columns().items()}
    for name, limit in (("information_state", states), ("action", actions)):
        over = np.argwhere(column[name] >= np.asarray(limit))
        if len(over):
            k, i = over[0]
            shown = f"is {column[name][k, i]}, where {limit[i]} are, counted from 0"
            raise InputError(name, f"of player {i} in episode {column['episode'][k, 0]} {shown}")
    return column["information_state"], column["action"], column["payoff"], np.asarray(column["failed"].any(1))


def observed(flat, payoffs, broken, pays):
    """Plays that count: those that did not fail or, where failing pays something, all of them."""
    if pays is None:
        return flat[~broken], payoffs[~broken]
    return flat, np.where(broken[:, None], pays, payoffs)


def profile_shape(states: tuple[int, ...], actions: tuple[int, ...]) -> tuple[int, ...]:
    return (*(states if max(states) > 1 else ()), *actions)


def profile_index(types: np.ndarray, played: np.ndarray, states: tuple[int, ...], actions: tuple[int, ...]):
    index = (*(types.T if max(states) > 1 else ()), *played.T)
    return np.asarray(np.ravel_multi_index(index, profile_shape(states, actions)))


def possible_profiles(prior: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Profiles whose types have positive probability."""
    return np.broadcast_to((prior > 0).reshape(prior.shape + (1,) * (len(shape) - prior.ndim)), shape)
