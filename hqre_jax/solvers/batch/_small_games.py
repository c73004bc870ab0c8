"""Small normal forms: the fast way through a batch, a block of lanes at a time, hard lanes gathered again and again."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax.core._programs import known_options
from hqre_jax.core._results import RESULTS, SELECTIONS
from hqre_jax.games._game import Continuation
from hqre_jax.problem import Entropy
from hqre_jax.solvers import PrincipalBranch
from hqre_jax.solvers.batch._devices import look_out, num_cores, on_every_core, on_every_device
from hqre_jax.solvers.batch._evaluation import LaneEvaluation, contracts, evaluate_lanes
from hqre_jax.solvers.batch._gauss_seidel import gauss_seidel
from hqre_jax.solvers.batch._homotopy import follow
from hqre_jax.solvers.batch._interleaved import interleave, unfused
from hqre_jax.solvers.batch._lanes import Group, distinct
from hqre_jax.solvers.batch._options import Options
from hqre_jax.solvers.batch._path import ARRIVED, LIVE, Limits, in_parts

# Unknowns, and payoffs of one game, up to which games are small: beyond, programs that spell out every sum grow long.
_MOST_UNKNOWNS, _MOST_PAYOFFS = 16, 2**13
# Lanes of a chunk, which advance together: its arrays stay in the cache, and they are whole vectors of any processor.
_LEAST_WIDTH, _MOST_WIDTH, _CACHE = 16, 128, 2**19
# Chunks of a block, the unit in which work is handed to a thread, in small batches and in large ones.
_FEW_CHUNKS, _MANY_CHUNKS = 8, 40
# Batches are small up to this many blocks for each core.
_FEW_BLOCKS = 2
# Largest correction of a probability, least cosine between consecutive tangents: at first, and for a second attempt.
_MISS, _TURN = (0.05, 0.01), (0.5, 0.8)
# And how many steps may be refused.
_REFUSALS = (2, 100)
# Product of the variances of two players' payoffs over their temperatures from which contraction is hardly certified.
_MUCH = 1.0
# A chunk is left when no more than this share of its lanes is on its way, unless there are but so many chunks.
_SHARE, _LAST_CHUNKS = 16, 8


class Work(NamedTuple):
    """The question of a block of lanes.

    Attributes:
        payoffs: ``(lane, player, *actions)``.
        mask: Valid actions ``(lane, player, action)``, or None where all are.
        tau: Temperatures ``(lane, player)``.
        reference: Reference policies ``(lane, player, action)``, or None for uniform ones.
        unique: Whether the lane is certified to have one equilibrium.
        careful: Whether the lane lost its branch before and is to take smaller steps.
        live: Whether the lane is to be worked on: blocks are filled up with lanes that are not.
    """

    payoffs: Any
    mask: Any
    tau: Any
    reference: Any
    unique: Any
    careful: Any
    live: Any


class Outcome(NamedTuple):
    """What became of a block of lanes; ``unfinished`` ones were left because few of a chunk were on their way."""

    evaluation: LaneEvaluation
    unique: Any
    steps: Any
    arrived: Any
    unfinished: Any


class Program(NamedTuple):
    """A compiled stage, the shapes of its answers, and blocks to fill again: fresh memory costs more than the copy."""

    compiled: jax.stages.Compiled
    out_info: Outcome
    spare: list[Work]


# What this code is better off with on processors: a fifth of the time each to compile and to run. Others do not mind.
_FASTER = {"xla_cpu_prefer_vector_width": 512, "xla_cpu_use_fusion_emitters": False}
# Bytes whose multiples are addresses that need no copy.
_ALIGNMENT = 64


class Stage(NamedTuple):
    """What is done to a chunk: ``solve(work, tol, leave, *, go, entropy, continuation)``; payoffs worth a thread."""

    solve: Callable[..., Outcome]
    least_bytes: int


def is_small(group: Group, options: Options) -> bool:
    """Whether the fast way is open: small normal forms, on the branch, without a limit on the steps."""
    payoffs = group.payoffs
    if payoffs is None or options.max_steps is not None:
        return False
    if not (options.method is None or isinstance(options.method, PrincipalBranch)):
        return False
    actions = payoffs.shape[2:]
    few = sum(a - 1 for a in actions) <= _MOST_UNKNOWNS and len(actions) * math.prod(actions) <= _MOST_PAYOFFS
    # Log-odds are taken to the first action, and everybody must have some.
    return (
        few
        and len(actions) > 1
        and min(actions) > 1
        and bool(np.all(distinct(np.asarray(group.question.game.action_mask))[..., 0]))
    )


def solve_small(group: Group, options: Options, memory: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Solve what can be solved fast.

    Args:
        group: Lanes that `is_small` accepts.
        options: What is asked of all of them.
        memory: Bytes that arrays in work may take on each device.

    Returns:
        The fields of a solution, lanes first, in which only contraction certifies uniqueness; and which lanes are left
        for a more careful method.
    """
    question = group.question
    payoffs = np.asarray(group.payoffs)
    count, _, *actions = payoffs.shape
    unknowns = sum(a - 1 for a in actions)
    mask = np.asarray(question.game.action_mask)[:, :, 0]
    everything = distinct(mask).all() and len(set(actions)) == 1
    lanes = Work(
        payoffs,
        None if everything else mask,
        np.asarray(question.tau)[:, :, 0],
        None if question.reference is None else np.asarray(question.reference)[:, :, 0],
        *(np.zeros(count, bool), np.zeros(count, bool), np.ones(count, bool)),
    )
    width = _width(payoffs[0].nbytes + 16 * unknowns * payoffs.itemsize, memory)
    size = _block_size(count, width)
    # Who asks for the path by name gets it.
    hopeful = _hopeful(lanes) if options.method is None else np.arange(0)
    solved, outcome = np.zeros(count, bool), None
    if len(hopeful):
        outcome = _run(_GAUSS_SEIDEL, lanes, hopeful, 0, (size, width), options)
        lanes.unique[hopeful] = outcome.unique[hopeful]
        solved[hopeful] = _solved(outcome, options)[hopeful]
    waiting = np.flatnonzero(~solved)
    while outcome is None or len(waiting):
        # Lanes that are left begin anew: the start of a path costs less than carrying its state about.
        leave = 0 if len(waiting) <= _LAST_CHUNKS * width else width // _SHARE
        outcome = _run(_ALONG_THE_BRANCH, lanes, waiting, leave, (size, width), options, outcome)
        unsolved = ~(_solved(outcome, options) | outcome.unfinished)[waiting]
        # Where none was left on its way, those that lost their branches have begun anew already.
        again = unsolved & ~lanes.careful[waiting] & (outcome.arrived[waiting] | (leave > 0))
        lanes.careful[waiting[again]] = True
        waiting = waiting[again | outcome.unfinished[waiting]]
    return _fields(outcome, options)


def _hopeful(lanes: Work) -> np.ndarray:
    """Where responses in turn may do: between two players, where payoffs vary too little for much influence.

    Among more players averages over the others keep influence small, and a few sweeps show it.
    """
    count, players = lanes.tau.shape
    if players > 2:
        return np.arange(count)
    rows = lanes.payoffs.reshape(count * players, -1)
    with np.errstate(all="ignore"):
        # No variance is above a quarter of the squared range: two passes often settle it for all.
        if ((rows.max() - rows.min()) / (2 * lanes.tau.min())) ** 4 < _MUCH:
            return np.arange(count)
        mean, square = rows @ np.full(rows.shape[1], 1 / rows.shape[1]), np.einsum("ik,ik->i", rows, rows)
        variance = (square / rows.shape[1] - mean * mean).reshape(count, players) / lanes.tau**2
        return np.flatnonzero(variance[:, 0] * variance[:, 1] < _MUCH)


def _run(
    stage: Stage,
    lanes: Work,
    places: np.ndarray,
    leave: int,
    shape: tuple[int, int],
    options: Options,
    outcome: Outcome | None = None,
) -> Outcome:
    """Put the lanes at ``places`` through a stage, block by block, on all cores.

    Args:
        stage: What is done to each chunk.
        lanes: The question of all lanes.
        places: Those to work on, in ascending order.
        leave: Lanes of a chunk that may be left on their way.
        shape: Lanes of a block and of a chunk.
        options: What is asked of all lanes.
        outcome: Where to put what is found; a new one by default.

    Returns:
        The outcome of all lanes.
    """
    size, count = shape[0], len(lanes.live)
    kinds = tuple(None if leaf is None else (leaf.shape[1:], leaf.dtype) for leaf in lanes)
    wide = jax.dtypes.canonicalize_dtype(float) == np.float64
    program = _program(stage, kinds, shape, options.entropy, options.continuation, wide)
    scalars = np.asarray(options.tol, lanes.tau.dtype), np.asarray(leave, np.int32)

    def answers(piece: np.ndarray, block: Work, alone: bool = False) -> Outcome:
        found = program.compiled(block, *scalars)
        if alone:
            look_out(found.arrived)
        found = jax.tree.map(lambda leaf: np.asarray(leaf)[: len(piece)], found)
        program.spare.append(block)
        return found

    # Of less than a whole block every core has its share, unless that is too little to wake a thread for.
    threads = max(1, min(num_cores(), len(places) * lanes.payoffs[0].nbytes // stage.least_bytes))
    share = size if len(places) >= size else -(-len(places) // threads)
    pieces = [places[first : first + share] for first in range(0, len(places), share)]
    if len(pieces) == 1 and len(places) == count:
        return answers(places, _filled(program, lanes, places, shape), alone=True)
    if outcome is None:
        whole = jax.tree.map(lambda leaf: np.empty((count, *leaf.shape[1:]), leaf.dtype), program.out_info)
    else:
        whole = jax.tree.map(lambda leaf: leaf if leaf.flags.writeable else leaf.copy(), outcome)

    def work(piece: np.ndarray, block: Work) -> None:
        jax.tree.map(functools.partial(_put, _range(piece)), whole, answers(piece, block))

    on_every_core(work, ((piece, _filled(program, lanes, piece, shape)) for piece in pieces))
    return whole


def _range(places: np.ndarray) -> slice | np.ndarray:
    """Places as a slice, which is faster, where they are consecutive."""
    return slice(places[0], places[-1] + 1) if len(places) == places[-1] - places[0] + 1 else places


def _solved(outcome: Outcome, options: Options) -> np.ndarray:
    return outcome.arrived & (outcome.evaluation.residual <= float(options.tol))


def _fields(outcome: Outcome, options: Options) -> tuple[dict[str, np.ndarray], np.ndarray]:
    evaluation = outcome.evaluation
    solved = _solved(outcome, options)
    selection = np.where(outcome.unique, SELECTIONS.unique.code, SELECTIONS.principal_branch.code)
    fields = {
        "policy": evaluation.policy[:, :, None],
        "log_policy": evaluation.log_policy[:, :, None],
        "values": evaluation.values[:, :, None],
        "initial_values": evaluation.values,
        "residual": evaluation.residual,
        "num_steps": outcome.steps,
        "result_code": np.where(solved, RESULTS.successful.code, RESULTS.diverged.code),
        "selection_code": selection,
    }
    return fields, np.flatnonzero(~solved)


def _filled(program: Program, lanes: Work, piece: np.ndarray, shape: tuple[int, int]) -> Work:
    """A block: the lanes of a piece, as many more as their last chunk holds, and others that nobody looks at."""
    size, width = shape
    source, count, end = _range(piece), len(piece), -(-len(piece) // width) * width

    def fill(target: np.ndarray, leaf: np.ndarray) -> None:
        target[:count] = leaf[source]
        target[count:end] = leaf[piece[0]]

    try:
        block = program.spare.pop()
    except IndexError:
        block = jax.tree.map(lambda leaf: _aligned(leaf, size), lanes)
    jax.tree.map(fill, block, lanes)
    block.live[count:] = False
    return block


def _aligned(like: np.ndarray, size: int) -> np.ndarray:
    """Room that a program reads where it lies: it copies what is not aligned, and calls then wait for each other."""
    shape = (size, *like.shape[1:])
    num_bytes = math.prod(shape) * like.itemsize
    room = np.empty(num_bytes + _ALIGNMENT, np.uint8)
    first = -room.ctypes.data % _ALIGNMENT
    return room[first : first + num_bytes].view(like.dtype).reshape(shape)


def _put(places: slice | np.ndarray, target: np.ndarray, source: np.ndarray) -> None:
    target[places] = source


def _width(lane_bytes: int, memory: int) -> int:
    """Lanes of a chunk: a power of two, as many as the cache and the memory hold."""
    room = max(1, min(_CACHE, memory // (2 * _MANY_CHUNKS)) // lane_bytes)
    return min(_MOST_WIDTH, max(_LEAST_WIDTH, 1 << int(room).bit_length() >> 1))


def _block_size(count: int, width: int) -> int:
    """Lanes of a block: few while every core has few of such blocks to do."""
    least = width * len(jax.local_devices()) * _FEW_CHUNKS
    return least if count <= _FEW_BLOCKS * num_cores() * least else least // _FEW_CHUNKS * _MANY_CHUNKS


@functools.cache
def _program(
    stage: Stage,
    kinds: tuple[tuple[Any, Any] | None, ...],
    shape: tuple[int, int],
    entropy: Entropy,
    continuation: Continuation,
    wide: bool,
) -> Program:
    """A stage for a block, chunk by chunk: compiled ahead of the threads that call it.

    Args:
        stage: What is done to each chunk.
        kinds: Shapes and types of a lane's arrays.
        shape: Lanes of a block and of a chunk.
        entropy: "kl" or "shannon".
        continuation: Who is paid it.
        wide: Whether numbers have 64 bits by default: the same arrays make another program then.
    """
    del wide
    size, width = shape
    lanes = Work(*(None if kind is None else jax.ShapeDtypeStruct((size, *kind[0]), kind[1]) for kind in kinds))

    def chunks(shared: tuple[Any, Any], part: Work) -> Outcome:
        split = jax.tree.map(lambda leaf: leaf.reshape(-1, width, *leaf.shape[1:]), part)

        def chunk(place: Any) -> Outcome:
            # A chunk of nothing but filling costs nothing.
            go = jnp.any(split.live[place])

            def solve(place: Any, tol: Any, leave: Any) -> Outcome:
                work = jax.tree.map(lambda leaf: leaf[place], split)
                return stage.solve(work, tol, leave, go=go, entropy=entropy, continuation=continuation)

            return unfused(go, solve, place, *shared)

        found = jax.lax.map(chunk, jnp.arange(len(split.live)))
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), found)

    def run(work: Work, tol: Any, leave: Any) -> Outcome:
        # With the lane axis last, what one lane has one of meets what it has several of by promotion of the rank.
        with jax.numpy_rank_promotion("allow"):
            return on_every_device(chunks, (tol, leave), work)

    scalars = jax.ShapeDtypeStruct((), lanes.payoffs.dtype), jax.ShapeDtypeStruct((), np.int32)
    lowered = jax.jit(run).lower(lanes, *scalars)
    compiled = lowered.compile(compiler_options=known_options(_FASTER))
    return Program(compiled, compiled.out_info, [])


def _sweeps(work: Work, tol: Any, leave: Any, *, go: Any, entropy: Entropy, continuation: Continuation) -> Outcome:
    """Responses in turn, for lanes at which there is reason to hope that they converge on the branch."""
    del leave
    games = unfused(go, interleave, work.payoffs, work.mask, work.tau, work.reference)
    unique = unfused(go, contracts, games)
    # Between two players the certificate costs next to nothing: without it sweeps seldom converge.
    hopeful = work.live & unique if len(games.floor) == 2 else work.live
    log_odds, (state, sweeps) = gauss_seidel(games, unique, hopeful, tol)
    arrived = state == ARRIVED
    some = jnp.any(arrived)
    read = functools.partial(evaluate_lanes, mask=work.mask, uniform=_is_uniform(work), entropy=entropy)
    evaluation = unfused(some, lambda g, z: read(g, z, continuation=continuation, go=some), games, log_odds)
    return Outcome(evaluation, unique, sweeps, arrived, jnp.zeros_like(arrived))


def _along_the_branch(
    work: Work, tol: Any, leave: Any, *, go: Any, entropy: Entropy, continuation: Continuation
) -> Outcome:
    """Path following from the reference policy; beyond ``leave`` lanes on their way the others are not waited for."""
    games = unfused(go, interleave, work.payoffs, work.mask, work.tau, work.reference)
    path = follow(games, functools.partial(_limits, work, tol), work.live, work.careful, leave, go)
    log_odds = in_parts(path.log_odds, [z.shape[0] for z in games.reference])
    read = functools.partial(evaluate_lanes, mask=work.mask, uniform=_is_uniform(work), entropy=entropy)
    evaluation = unfused(go, lambda g, z: read(g, z, continuation=continuation, go=go), games, log_odds)
    return Outcome(evaluation, work.unique, path.rounds, path.state == ARRIVED, path.state == LIVE)


def _limits(work: Work, tol: Any, careful: Any) -> Limits:
    miss, turn = (jnp.where(careful, small, usual) for usual, small in (_MISS, _TURN))
    # Newton's method squares a small correction, up to a factor that is small where the logit map contracts; what
    # the last one leaves is verified all the same.
    close = jnp.where(work.unique & ~careful, 0.5, 0.03) * jnp.sqrt(tol)
    dtype = work.tau.dtype
    refusals = jnp.where(careful, *_REFUSALS[::-1])
    return Limits(miss.astype(dtype), turn.astype(dtype), refusals, close.astype(dtype), work.unique, work.live)


def _is_uniform(work: Work) -> bool:
    return work.mask is None and work.reference is None


_GAUSS_SEIDEL, _ALONG_THE_BRANCH = Stage(_sweeps, 2**18), Stage(_along_the_branch, 2**15)
