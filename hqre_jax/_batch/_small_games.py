"""Small normal forms: the fast way through a batch, a block of lanes at a time, hard lanes gathered again and again."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax._batch._devices import num_cores, on_every_core, on_every_device, take
from hqre_jax._batch._homotopy import ARRIVED, LIVE, Guards, Limits, Path, begin, follow, in_parts
from hqre_jax._batch._interleaved import Interleaved, apart, interleave
from hqre_jax._batch._lanes import Group
from hqre_jax._batch._options import Options
from hqre_jax._batch._readout import Readout, contracts, read_out
from hqre_jax._game import Continuation
from hqre_jax._games import NormalFormGame
from hqre_jax._problem import Entropy
from hqre_jax._results import RESULTS, SELECTIONS
from hqre_jax._solvers import PrincipalBranch

# Unknowns, and payoffs of one game, up to which games are small: beyond, programs that spell out every sum grow long.
_MOST_UNKNOWNS, _MOST_PAYOFFS = 16, 2**13
# Lanes of a chunk, which advance together: its arrays stay in the cache, and they are whole vectors of any processor.
_LEAST_WIDTH, _MOST_WIDTH, _CACHE = 16, 128, 2**19
# Chunks of a block, the unit in which work is handed to a thread, in small batches and in large ones.
_FEW_CHUNKS, _MANY_CHUNKS = 4, 40
# Largest correction of a probability, least cosine between consecutive tangents: at first, and for a second attempt.
_MISS, _TURN = (0.05, 0.01), (0.5, 0.8)
# And how many steps may be refused.
_REFUSALS = (2, 100)
# A chunk is left when no more than this share of its lanes is on its way.
_SHARE = 16


class Work(NamedTuple):
    """The question of a block of lanes.

    Attributes:
        payoffs: ``(lane, player, *actions)``.
        mask: Valid actions ``(lane, player, action)``, or None where all are.
        tau: Temperatures ``(lane, player)``.
        reference: Reference policies ``(lane, player, action)``, or None for uniform ones.
        careful: Whether the lane lost its branch before and is to take smaller steps.
        live: Whether the lane is to be worked on: blocks are filled up with lanes that are not.
    """

    payoffs: Any
    mask: Any
    tau: Any
    reference: Any
    careful: Any
    live: Any


class Outcome(NamedTuple):
    """What became of a block of lanes; ``unfinished`` ones were left because few of a chunk were on their way."""

    readout: Readout
    unique: Any
    rounds: Any
    arrived: Any
    unfinished: Any


def is_small(group: Group, options: Options) -> bool:
    """Whether the fast way is open: small normal forms, on the branch, without a limit on the steps."""
    game = group.question.game
    if not isinstance(game, NormalFormGame) or options.max_steps is not None:
        return False
    if not (options.method is None or isinstance(options.method, PrincipalBranch)):
        return False
    actions = game.payoffs.shape[2:]
    few = sum(a - 1 for a in actions) <= _MOST_UNKNOWNS and len(actions) * math.prod(actions) <= _MOST_PAYOFFS
    # Log-odds are taken to the first action.
    return few and len(actions) > 1 and bool(np.all(np.asarray(game.action_mask)[..., 0]))


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
    game = question.game
    assert isinstance(game, NormalFormGame)
    payoffs = np.asarray(game.payoffs)
    count, _, *actions = payoffs.shape
    unknowns = sum(a - 1 for a in actions)
    mask = np.asarray(game.action_mask)[:, :, 0]
    everything = mask.all() and len(set(actions)) == 1
    lanes = Work(
        payoffs,
        None if everything else mask,
        np.asarray(question.tau)[:, :, 0],
        None if question.reference is None else np.asarray(question.reference)[:, :, 0],
        np.zeros(count, bool),
        np.ones(count, bool),
    )
    width = _width(payoffs[0].nbytes + 16 * unknowns * payoffs.itemsize, memory)
    devices = len(jax.local_devices())
    size = width * devices * (_FEW_CHUNKS if count <= width * devices * _FEW_CHUNKS else _MANY_CHUNKS)
    program = _program(
        jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((size, *leaf.shape[1:]), leaf.dtype), lanes),
        width,
        options.entropy,
        options.continuation,
    )
    tol = np.asarray(options.tol, payoffs.dtype)
    outcome = jax.tree.map(lambda leaf: np.empty((count, *leaf.shape[1:]), leaf.dtype), program.out_info)
    waiting = np.arange(count)
    while len(waiting):
        # Lanes that are left begin anew: the start of a path costs less than carrying its state about.
        leave = np.asarray(0 if len(waiting) <= size else width // _SHARE)

        def work(piece: np.ndarray, leave: np.ndarray = leave) -> None:
            done = program(_filled(lanes, piece, size), tol, leave)
            jax.tree.map(functools.partial(_put, piece), outcome, done)

        # Whole blocks are handed over as they lie; of less than one every core has its share.
        share = size if len(waiting) >= size else -(-len(waiting) // num_cores())
        on_every_core(work, [waiting[first : first + share] for first in range(0, len(waiting), share)])
        solved = outcome.arrived[waiting] & (outcome.readout.residual[waiting] <= tol)
        lost = ~(solved | outcome.unfinished[waiting])
        waiting, again = waiting[outcome.unfinished[waiting] | (lost & ~lanes.careful[waiting])], waiting[lost]
        lanes.careful[again] = True
    return _fields(outcome, options)


def _fields(outcome: Outcome, options: Options) -> tuple[dict[str, np.ndarray], np.ndarray]:
    readout = outcome.readout
    solved = outcome.arrived & (readout.residual <= float(options.tol))
    selection = np.where(outcome.unique, SELECTIONS.unique.code, SELECTIONS.principal_branch.code)
    fields = {
        "policy": readout.policy[:, :, None],
        "log_policy": readout.log_policy[:, :, None],
        "values": readout.values[:, :, None],
        "initial_values": readout.values,
        "residual": readout.residual,
        "num_steps": outcome.rounds,
        "result_code": np.where(solved, RESULTS.successful.code, RESULTS.diverged.code),
        "selection_code": selection,
    }
    return fields, np.flatnonzero(~solved)


def _filled(lanes: Work, piece: np.ndarray, size: int) -> Work:
    """A block: the lanes of a piece, and empty ones."""
    together = len(piece) == piece[-1] - piece[0] + 1
    if together and len(piece) == size:
        return jax.tree.map(lambda leaf: leaf[piece[0] : piece[0] + size], lanes)
    block = take(lanes, piece, size)
    return block._replace(live=np.arange(size) < len(piece))


def _put(piece: np.ndarray, target: np.ndarray, source: Any) -> None:
    found = np.asarray(source)[: len(piece)]
    if len(piece) == piece[-1] - piece[0] + 1:
        target[piece[0] : piece[0] + len(piece)] = found
    else:
        target[piece] = found


def _width(lane_bytes: int, memory: int) -> int:
    """Lanes of a chunk: a power of two, as many as the cache and the memory hold."""
    room = max(1, min(_CACHE, memory // (2 * _MANY_CHUNKS)) // lane_bytes)
    return min(_MOST_WIDTH, max(_LEAST_WIDTH, 1 << int(room).bit_length() >> 1))


@functools.cache
def _program(lanes: Work, width: int, entropy: Entropy, continuation: Continuation) -> jax.stages.Compiled:
    """A block, chunk by chunk: compiled for lanes of some shape ahead of the threads that call it."""

    def chunks(shared: tuple[Any, Any], part: Work) -> Outcome:
        def chunk(work: Work) -> Outcome:
            # A chunk of nothing but filling costs nothing.
            go = jnp.any(work.live)
            solve = functools.partial(_chunk, go=go, entropy=entropy, continuation=continuation)
            return apart(go, solve, work, *shared)

        split = jax.tree.map(lambda leaf: leaf.reshape(-1, width, *leaf.shape[1:]), part)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), jax.lax.map(chunk, split))

    def run(work: Work, tol: Any, leave: Any) -> Outcome:
        return on_every_device(chunks, (tol, leave), work)

    scalars = jax.ShapeDtypeStruct((), lanes.payoffs.dtype), jax.ShapeDtypeStruct((), int)
    return jax.jit(run).lower(lanes, *scalars).compile()


def _chunk(work: Work, tol: Any, leave: Any, *, go: Any, entropy: Entropy, continuation: Continuation) -> Outcome:
    # With the lane axis last, what one lane has one of meets what it has several of by promotion of the rank.
    with jax.numpy_rank_promotion("allow"):
        games = apart(go, interleave, work.payoffs, work.mask, work.tau, work.reference)
        guards, path = apart(go, lambda w, g, t: _begun(w, g, t, go), work, games, tol)
        path = follow(games, guards, path, leave, go)
        readout = apart(go, lambda w, g, z: _read(w, g, z, entropy, continuation, go), work, games, path.odds)
    return Outcome(readout, guards.limits.unique, path.rounds, path.state == ARRIVED, path.state == LIVE)


def _begun(work: Work, games: Interleaved, tol: Any, go: Any) -> tuple[Guards, Path]:
    def demanded(work: Work, unique: Any) -> Limits:
        miss, turn = (jnp.where(work.careful, small, usual) for usual, small in (_MISS, _TURN))
        # Newton's method squares a small correction, up to a factor that is small where the logit map contracts; what
        # the last one leaves is verified all the same.
        close = jnp.where(unique & ~work.careful, 0.5, 0.03) * jnp.sqrt(tol)
        dtype = work.tau.dtype
        refusals = jnp.where(work.careful, *_REFUSALS[::-1])
        return Limits(miss.astype(dtype), turn.astype(dtype), refusals, close.astype(dtype), unique, work.live)

    return begin(games, apart(go, demanded, work, apart(go, contracts, games)), go)


def _read(work: Work, games: Interleaved, odds: Any, entropy: Entropy, continuation: Continuation, go: Any) -> Readout:
    uniform = work.mask is None and work.reference is None
    parts = in_parts(odds, [z.shape[0] for z in games.reference])
    return read_out(games, parts, work.mask, uniform, entropy, continuation, go)
