"""Any game, any solver: lanes advance together, a stretch at a time, and finished ones make room for others."""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from hqre_jax.core._results import RESULTS
from hqre_jax.games._game import Continuation
from hqre_jax.problem import Entropy, Problem
from hqre_jax.solvers import FixedPoint, KrylovBranch, MarkovBranch, PrincipalBranch
from hqre_jax.solvers._loop import proceed, verdict
from hqre_jax.solvers._solver import AbstractSolver
from hqre_jax.solvers.batch._arrays import FIELDS
from hqre_jax.solvers.batch._devices import on_every_device, take
from hqre_jax.solvers.batch._lanes import Group, Lane
from hqre_jax.solvers.batch._options import Options
from hqre_jax.solving._choice import uncertified_choice
from hqre_jax.solving._solve import solve
from hqre_jax.solving._steps import Found, certified, finish, found_by, frozen, starting_point

# Bytes beyond which more lanes only wait for memory; of lanes that take steps of their own number, for one another.
_COMFORT, _CROWD = 2**24, 2**22


class Progress(NamedTuple):
    """Where a lane stands: the solver's state, steps taken, steps allowed; or where all stand, with a leading axis."""

    state: Any
    steps: Any
    limit: Any


def solve_group(group: Group, options: Options, memory: int, unique: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Solve all lanes of a group.

    Every lane takes the steps that it would take alone; only who its neighbours are changes. Without a named
    solver, certified lanes are solved by `FixedPoint`, all others, and those where it fails, along the principal
    branch, as in `solve`.

    Args:
        group: Lanes of equal shape, their values known.
        options: What is asked of all of them.
        memory: Bytes that arrays in work may take on each device.
        unique: Which lanes count as certified; looked into by default.

    Returns:
        The fields of a solution, each with a leading axis in the order of the group.
    """
    lanes = jax.tree.map(np.asarray, group.question)
    one = _size(lanes, options)
    everyone = np.arange(len(group.lanes))
    unique = certified_lanes(group, options, memory) if unique is None else unique
    blank: list[Any] = [
        np.zeros(lanes.game.action_mask.shape, one.dtype),
        np.full(len(everyone), np.nan, one.dtype),
        np.full(len(everyone), RESULTS.max_steps_reached.code),
        np.zeros(len(everyone), int),
        np.zeros(len(everyone), bool),
    ]
    found, left = Found(*blank), everyone
    methods = one.methods
    if options.method is not None:
        methods = (options.method,)
    else:
        _run(FixedPoint(), np.flatnonzero(unique), lanes, found, options, _width(one, memory, FixedPoint()))
        left = np.flatnonzero(~unique | (found.code != RESULTS.successful.code))
    for place, method in enumerate(methods):
        # What a first method leaves are few: each goes alone.
        width = _width(one, memory, method) if place == 0 else len(jax.local_devices())
        _run(method, left, lanes, found, options, width)
        settled = (found.code == RESULTS.successful.code) & (unique | found.on_branch)
        left = left[~settled[left]]
    return _in_chunks(_finish, options, (lanes, found, unique), _width(one, memory))


def certified_lanes(group: Group, options: Options, memory: int) -> np.ndarray:
    """Which lanes the bounds prove to have one equilibrium, as in `solve`.

    Args:
        group: Lanes of equal shape, their values known.
        options: What is asked of all of them.
        memory: Bytes that arrays in work may take on each device.

    Returns:
        One boolean for each lane.
    """
    lanes = jax.tree.map(np.asarray, group.question)
    one = _size(lanes, options)
    return _in_chunks(_certify, options, lanes, _width(one, memory))


def traced_group(
    group: Group, options: Options, solver: str | AbstractSolver, tol: float | None, max_steps: int | None
) -> dict[str, Array]:
    """`solve_group` where values cannot be looked at: `solve` itself, mapped over the lanes, derivatives included."""

    def one(lane: Lane) -> dict[str, Array]:
        answer = solve(
            lane.game,
            lane.tau,
            solver=solver,
            reference=lane.reference,
            entropy=options.entropy,
            continuation=options.continuation,
            tol=tol,
            max_steps=max_steps,
            initial_policy=lane.initial_policy,
            throw=False,
        )
        return {name: getattr(answer, name) for name in FIELDS}

    return jax.vmap(one)(jax.tree.map(jnp.asarray, group.question))


def _problem(lane: Lane, options: Options) -> Problem:
    return Problem(
        lane.game, lane.tau, reference=lane.reference, entropy=options.entropy, continuation=options.continuation
    )


class Size(NamedTuple):
    """Of one lane: bytes of its arrays, shape of its policy, methods for what is not certified, floating type."""

    num_bytes: int
    shape: tuple[int, ...]
    methods: tuple[AbstractSolver, ...]
    dtype: Any


def _size(lanes: Lane, options: Options) -> Size:
    """From shapes and types only: no lane's values count for another."""
    leaves, structure = jax.tree.flatten(lanes)
    shapes = tuple((leaf.shape[1:], leaf.dtype) for leaf in leaves)
    return _size_of(structure, shapes, options.entropy, options.continuation)


@functools.cache
def _size_of(structure: Any, shapes: tuple[tuple[Any, Any], ...], entropy: Entropy, continuation: Continuation) -> Size:
    """Posing a problem takes milliseconds, also if only shapes are asked for."""
    sizes: list[Size] = []

    def pose(leaves: list[Any]) -> Array:
        lane = jax.tree.unflatten(structure, leaves)
        problem = Problem(lane.game, lane.tau, reference=lane.reference, entropy=entropy, continuation=continuation)
        num_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(problem))
        methods = tuple(uncertified_choice(problem))
        sizes.append(Size(num_bytes, problem.mask.shape, methods, problem.tau.dtype))
        return problem.scale

    jax.eval_shape(pose, [jax.ShapeDtypeStruct(*shape) for shape in shapes])
    return sizes[0]


@eqx.filter_jit
def _certify(options: Options, lanes: Lane) -> Bool[Array, " lane"]:
    return on_every_device(lambda o, part: jax.vmap(lambda lane: certified(_problem(lane, o)))(part), options, lanes)


@eqx.filter_jit
def _finish(options: Options, lanes: tuple[Lane, Found, Any]) -> dict[str, Array]:
    def one(of_lane: tuple[Lane, Found, Any]) -> dict[str, Array]:
        lane, found, unique = of_lane
        problem = _problem(lane, options)
        return finish(problem, problem.centered(), found, unique)

    return on_every_device(lambda _, part: jax.vmap(one)(part), None, lanes)


@eqx.filter_jit
def _begin(task: tuple[Options, AbstractSolver], lanes: Lane) -> Any:
    def one(task: tuple[Options, AbstractSolver], lane: Lane) -> Any:
        options, method = task
        problem = _problem(lane, options)
        start = starting_point(problem, lane.initial_policy)
        return method.init(frozen(problem).centered(), start)

    return on_every_device(lambda t, part: jax.vmap(lambda lane: one(t, lane))(part), task, lanes)


@eqx.filter_jit
def _advance(task: tuple[Options, AbstractSolver], lanes: tuple[Lane, Progress]) -> tuple[Progress, Any, Any]:
    """A stretch of steps; which lanes are done, and what was found there."""
    _, stretch = _pace(task[1])

    def one(task: tuple[Options, AbstractSolver], of_lane: tuple[Lane, Progress]) -> tuple[Progress, Any, Any]:
        (options, method), (lane, progress) = task, of_lane
        problem = frozen(_problem(lane, options)).centered()
        limit = jnp.minimum(progress.limit, progress.steps + stretch)
        state, steps = proceed(method, problem, progress.state, progress.steps, options.tol, limit)
        done = method.terminate(problem, state, options.tol)[0] | (steps >= progress.limit)
        code = verdict(method, problem, state, options.tol)
        found = found_by(method, problem, state, code, steps, options.tol)._replace(evidence=None)
        return progress._replace(state=state, steps=steps), done, found

    return on_every_device(lambda t, part: jax.vmap(lambda of_lane: one(t, of_lane))(part), task, lanes)


def _run(method: AbstractSolver, members: np.ndarray, lanes: Lane, found: Found, options: Options, width: int) -> None:
    """Run one method on some lanes and write what it finds into ``found``.

    ``width`` lanes are on their way at a time. After each stretch those that are done leave, and new ones begin.
    """
    if len(members) == 0:
        return
    task = (options, method)
    limit = int(method.default_max_steps if options.max_steps is None else options.max_steps)
    waiting = list(members[::-1])
    slots, empty = np.full(width, members[0]), np.ones(width, bool)
    progress: Any = None
    while waiting or not empty.all():
        free = np.flatnonzero(empty)[: len(waiting)]
        if len(free):
            slots[free] = [waiting.pop() for _ in free]
            begun = _begin(task, take(lanes, slots, width))
            if progress is None:
                # An empty slot has no steps to take: it stands still.
                progress = Progress(jax.tree.map(np.array, begun), np.zeros(width, int), np.zeros(width, int))
            for kept, new in zip(jax.tree.leaves(progress.state), jax.tree.leaves(begun), strict=True):
                kept[free] = np.asarray(new)[free]
            progress.steps[free], progress.limit[free], empty[free] = 0, limit, False
        advanced = _advance(task, (take(lanes, slots, width), progress))
        progress, done, seen = jax.tree.map(np.array, advanced)
        left = np.flatnonzero(done & ~empty)
        for target, source in zip(found[:-1], seen[:-1], strict=True):
            target[slots[left]] = source[left]
        empty[left] = True
        progress.limit[left] = 0


def _in_chunks(function: Any, options: Options, lanes: Any, width: int) -> Any:
    """The results of ``function`` for all lanes, ``width`` at a time, as numpy arrays."""
    count = len(jax.tree.leaves(lanes)[0])
    chunks = [np.arange(first, min(first + width, count)) for first in range(0, count, width)]
    results = [function(options, take(lanes, places, width)) for places in chunks]
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *results)


def _pace(method: AbstractSolver | None) -> tuple[int, int]:
    """Lanes that advance together, and steps between two looks at which are done.

    Lanes share the cost of a call, and a slow one holds up few. Where most take the same handful of steps, or none,
    more of them go together, and those that are done after four make room.
    """
    return (64, 4) if method is None or isinstance(method, MarkovBranch) else (16, 64)


def _width(one: Size, memory: int, method: AbstractSolver | None = None) -> int:
    """Lanes at a time: on each device a power of two, fewer for larger games, that fits into the memory.

    A lane holds some copies of its game and, for Newton steps, of a matrix. How many lanes there are does not enter:
    the program that a lane runs through, and so its rounding, depends on the lane alone.

    Args:
        one: What a lane needs.
        memory: Bytes for all.
        method: What runs on them; without one what is asked of their games and answers alone.
    """
    players, states, actions = one.shape
    entries = players * states * actions
    held = {
        PrincipalBranch: 8 * entries**2,
        KrylovBranch: 8 * KrylovBranch().memory * entries,
        MarkovBranch: 4 * (players * states) ** 2,
    }.get(type(method), 0)
    copies, comfort = (4, _CROWD) if isinstance(method, MarkovBranch) else (16, _COMFORT)
    room = min(memory, comfort) // (copies * one.num_bytes + held * one.dtype.itemsize)
    return len(jax.local_devices()) * max(1, min(_pace(method)[0], 1 << int(room).bit_length() >> 1))
