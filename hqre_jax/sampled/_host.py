"""Playing host simulators: batches on a few threads, in order, with no more under way than can be taken in."""

import itertools
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np

from hqre_jax.games._simulator import AbstractHostSimulator

Result = TypeVar("Result")

# Plays of one batch. It does not depend on the number of threads, and so neither do the random numbers.
BATCH = 256


def in_order(work: Callable[[int], Result], tasks: Iterable[int], num_workers: int) -> Iterator[Result]:
    """Results in the order of the tasks, computed by threads.

    At most twice as many tasks as workers are under way: a slow reader slows the workers down, instead of results
    piling up.

    Args:
        work: What is done with a task.
        tasks: The tasks, drawn one at a time.
        num_workers: Number of threads.

    Yields:
        Results.
    """
    remaining = iter(tasks)
    with ThreadPoolExecutor(num_workers) as pool:
        window: deque[Future[Result]] = deque(
            pool.submit(work, task) for task in itertools.islice(remaining, 2 * num_workers)
        )
        while window:
            result = window.popleft().result()
            for task in itertools.islice(remaining, 1):
                window.append(pool.submit(work, task))
            yield result


class Trajectories(NamedTuple):
    """Recorded plays; axes (play, step, player) or (play,). Fields as in `Episodes`."""

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    log_propensities: np.ndarray
    ended: np.ndarray
    failed: np.ndarray


def play_batch(
    simulator: AbstractHostSimulator,
    rng: np.random.Generator,
    size: int,
    tables: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Trajectories:
    """Play a batch to its end.

    Args:
        simulator: The simulator.
        rng: Source of randomness of this batch.
        size: Number of plays.
        tables: Thresholds ``(play, player, action)`` given information states ``(play, player)`` and how often each
            player has moved before, ``(play, player)``.

    Returns:
        The plays. Those that broke down are marked; an exception breaks down all that were not over.
    """
    players, horizon = simulator.action_mask.shape[0], simulator.horizon
    shape = size, horizon, players
    states, actions = np.full(shape, -1), np.zeros(shape, int)
    rewards, chances = np.zeros(shape), np.zeros(shape)
    over, failed, moved = np.zeros(size, bool), np.zeros(size, bool), np.zeros((size, players), int)
    uniform = rng.random((horizon, size, players))
    seeds = rng.integers(2**63, size=size)
    try:
        state = simulator.reset(seeds)
        for t in range(horizon):
            live = ~over[:, None]
            states[:, t] = np.where(live, simulator.observe(state), -1)
            acting = states[:, t] >= 0
            table = tables(states[:, t], moved)
            drawn = (uniform[t][..., None] >= table).sum(-1)
            actions[:, t] = np.where(acting, drawn, 0)
            chances[:, t] = np.where(acting, _log_chance(table, drawn), 0.0)
            state, paid, ended, broken = simulator.step(state, actions[:, t])
            failed |= ~over & broken
            rewards[:, t] = np.where(live & ~failed[:, None], paid, 0.0)
            moved += acting
            over |= ended | broken
            if over.all():
                break
    except Exception as error:  # whatever a simulator raises is its plays' failure, not the estimate's
        warnings.warn(f"the simulator failed and its plays are counted as failed: {error!r}", RuntimeWarning, 2)
        failed |= ~over
    return Trajectories(states, actions, rewards, chances, over, failed)


def host_plays(
    simulator: AbstractHostSimulator, seed: np.ndarray, on_policy: np.ndarray, num_plays: int, num_workers: int
) -> Trajectories:
    """Everybody follows a policy.

    Args:
        simulator: The simulator.
        seed: Words of the key.
        on_policy: Thresholds of π, ``(player, information state, action)``.
        num_plays: Number of plays.
        num_workers: Number of threads; it changes nothing but the time.

    Returns:
        The plays.
    """
    every = np.arange(len(on_policy))

    def batch(first: int) -> Trajectories:
        size, rng = min(BATCH, num_plays - first), np.random.default_rng([*seed.tolist(), first])
        return play_batch(simulator, rng, size, lambda x, _: on_policy[every, np.maximum(x, 0)])

    parts = in_order(batch, range(0, num_plays, BATCH), num_workers)
    return Trajectories(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def host_probes(
    simulator: AbstractHostSimulator,
    seed: np.ndarray,
    on_policy: np.ndarray,
    trying: np.ndarray,
    paid: np.ndarray,
    num_probes: int,
    num_workers: int,
) -> tuple[np.ndarray, ...]:
    """Probes of a host simulator, as `_probes.probe` makes them of one that plays from the beginning.

    Args:
        simulator: The simulator.
        seed: Words of the key.
        on_policy: Thresholds of π.
        trying: Thresholds of the uniform policy.
        paid: ``E_ij τ_j(x) H_j(x)``: what i is paid when j acts at x; ``(player, other, information state)``.
        num_probes: Number of plays.
        num_workers: Number of threads; it changes nothing but the time.

    Returns:
        The fields of `Probes`.
    """
    every = np.arange(len(on_policy))
    early = trying if simulator.beliefs_ignore_own_policy else on_policy

    def batch(first: int) -> tuple[np.ndarray, ...]:
        size, rng = min(BATCH, num_probes - first), np.random.default_rng([*seed.tolist(), first])
        who, due = (first + np.arange(size)) % len(every), rng.integers(simulator.num_moves, size=size)
        mine = every == who[:, None]

        def tables(states: np.ndarray, moved: np.ndarray) -> np.ndarray:
            rows, now = np.maximum(states, 0), due[:, None]
            table = np.where((mine & (moved < now))[..., None], early[every, rows], on_policy[every, rows])
            return np.where((mine & (moved == now))[..., None], trying[every, rows], table)

        plays = play_batch(simulator, rng, size, tables)
        return _deviations(simulator, plays, who, due, paid)

    parts = in_order(batch, range(0, num_probes, BATCH), num_workers)
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _deviations(
    simulator: AbstractHostSimulator, plays: Trajectories, who: np.ndarray, due: np.ndarray, paid: np.ndarray
) -> tuple[np.ndarray, ...]:
    """What followed the move number ``due`` of player ``who`` in each play."""
    size, horizon, players = plays.states.shape
    row, gamma = np.arange(size), simulator.discount
    own = plays.states[row, :, who] >= 0
    here = own & (own.cumsum(1) == due[:, None] + 1)
    reached, at = here.any(1), here.argmax(1)
    after = np.arange(horizon) - at[:, None]
    shared = paid[who[:, None, None], np.arange(players), np.maximum(plays.states, 0)]
    bonus = np.where(plays.states >= 0, shared, 0.0).sum(-1)
    gain = plays.rewards[row, :, who] + np.where(after > 0, bonus, 0.0)
    total = np.where(after >= 0, gamma ** np.maximum(after, 0) * gain, 0.0).sum(1)
    cut = np.where(plays.ended, 0.0, float(gamma) ** (horizon - at))
    weight = np.ones(size) if simulator.beliefs_ignore_own_policy else float(gamma) ** at
    state = np.where(reached, plays.states[row, at, who], -1)
    return who, state, plays.actions[row, at, who], total, weight, bonus[row, at], cut, plays.failed


def _log_chance(table: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Log-probability of an action, from thresholds."""
    upper = np.minimum(np.take_along_axis(table, action[..., None], -1)[..., 0], 1.0)
    below = np.take_along_axis(table, np.maximum(action - 1, 0)[..., None], -1)[..., 0]
    return np.log(upper - np.where(action > 0, below, 0.0))
