"""`solve_batch`: many games at once, each as `solve` would solve it, none held up or harmed by another."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax.core._compiled import make_room
from hqre_jax.core._results import RESULTS
from hqre_jax.core._temperatures import concrete
from hqre_jax.core._types import InputError
from hqre_jax.games._game import Continuation
from hqre_jax.problem import Entropy, tolerance_in
from hqre_jax.solvers import StochasticMirror
from hqre_jax.solvers._solver import AbstractSolver
from hqre_jax.solvers.batch import FIELDS, Arrays, Lanes, Options, lay_out
from hqre_jax.solving._choice import method_of, step_limit
from hqre_jax.solving.batch._general import traced_group
from hqre_jax.solving.batch._questions import questions
from hqre_jax.solving.batch._solution import BatchSolution, BatchSolveError
from hqre_jax.solving.batch._solve_lanes import solve_lanes

# Bytes that the arrays in work may take on each device: solving a million small games then needs less than 2 GB in all.
_MEMORY = 2**29


def solve_batch(
    games: Any,
    taus: Any = None,
    *,
    solver: str | AbstractSolver = "auto",
    reference: Any = None,
    entropy: Entropy | None = None,
    continuation: Continuation | None = None,
    tol: float | None = None,
    max_steps: int | None = None,
    initial_policy: Any = None,
    throw: bool = True,
    memory: int | float | None = None,
) -> BatchSolution:
    """Compute an HQRE of every game of a batch, ``π_i(·|x) ∝ ρ_i(·|x) exp(Q_i^π(x,·)/τ_i(x))``.

    Games are worked on in chunks that fit into ``memory``, on all local devices; a game that is done makes room for
    the next, so that hard ones hold up nobody. A game that fails says so in its own result and touches no other. No
    answer depends on the games beside it, on ``memory`` or on the number of devices. ``jit`` and ``grad`` work on this
    function, with implicit gradients; under tracing nothing is raised, and all games run until the last is done.

    Args:
        games: Payoffs ``[b, i, a_1, …, a_N]`` of games in normal form; or a list of games of any kinds and shapes
            (or of payoffs); or one game every array of which has a leading axis for the batch; or a list of `Problem`,
            or one that has such an axis, in place of all that is said about temperatures and entropy. An array of
            numpy is not copied: ``sols[b]`` and, where certificates are still to be sought, ``sols.selection`` read it
            later.
        taus: Temperatures, in units of payoff: a number; 1-d one per player; 2-d ``(batch, player)`` or
            ``(batch, 1)``; 3-d ``(batch, player, information state)``. Padded entries are not looked at.
        solver: As in `solve`. ``"auto"`` returns the unique HQRE where uniqueness is certified and otherwise the one on
            the principal branch; games that are known by samples only have no batches.
        reference: Interior reference policies: uniform by default; ``(player, information state, action)`` for all
            games, or with a leading axis for the batch, or a list with one for each game.
        entropy: ``"kl"`` to ρ (the default), or ``"shannon"``.
        continuation: ``"soft"`` (the default), ``"plain"`` or ``"zero_sum"``.
        tol: Largest acceptable residual, in probability; 1e-10 in float64, 1e-5 in float32.
        max_steps: Largest number of steps in each game; each solver has its own default.
        initial_policy: Where to start, in the forms of ``reference``.
        throw: Whether to raise where a result is not ``"successful"``, after all games are done.
        memory: Bytes that arrays in work may take on each device, beside questions and answers; 512 MiB by default.

    Returns:
        The `BatchSolution`, padded to the largest game: ``sols.policy[b]``, ``sols.result[b]``, …; ``sols[b]`` is the
        ordinary `Solution` of game b.

    Raises:
        InputError: On bad input, naming the argument. A payoff array with an entry that is no number is no bad input:
            that game's result is ``"nonfinite"``.
        BatchSolveError: If ``throw`` and some game was not solved to the tolerance; all answers hang on the error.

    Source: theory.md §2 and §6; McKelvey & Palfrey (1995, 1998).

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> sols = hq.solve_batch([game.payoffs, 2 * game.payoffs], 8.0)
        >>> print(sols.policy[:, 0, 0].round(3))
        [[0.462 0.538]
         [0.402 0.598]]
    """
    make_room()
    games, taus, reference, entropy, continuation = questions(games, taus, reference, entropy, continuation)
    lanes = lay_out(games, taus, reference, initial_policy, continuation)
    options = Options(
        method=method_of(solver),
        entropy=entropy,
        continuation=continuation,
        tol=tolerance_in(tol, lanes.tau.dtype),
        max_steps=step_limit(max_steps),
    )
    if isinstance(options.method, StochasticMirror) or any(
        group.payoffs is None and group.question.game.sampler() is not None for group in lanes.groups
    ):
        raise InputError("games", "that are known by samples only are solved one by one: use solve for each")
    budget = _bytes(memory)
    traced = not all(concrete(leaf) for leaf in jax.tree.leaves(([group.question for group in lanes.groups], options)))
    if traced:
        parts = [traced_group(g, options, solver, tol, max_steps) for g in lanes.groups]
        unsought = np.zeros(len(lanes.tau), bool)
    else:
        parts, open_lanes = zip(*(solve_lanes(group, options, budget) for group in lanes.groups), strict=True)
        unsought = np.zeros(len(lanes.tau), bool)
        for group, part in zip(lanes.groups, open_lanes, strict=True):
            unsought[group.lanes] = part
    fields = _in_order(lanes, parts)
    solved = traced or bool(np.all(fields["result_code"] == RESULTS.successful.code))
    solution = BatchSolution(
        arrays=Arrays(**fields, action_mask=lanes.action_mask, tau=lanes.tau, unsought=unsought),
        reference=lanes.reference,
        games=lanes.games,
        solver="auto" if options.method is None else options.method.name,
        entropy=entropy,
        continuation=continuation,
        memory=budget,
    )
    if throw and not solved:
        raise BatchSolveError(solution)
    return solution


def _in_order(lanes: Lanes, parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The answers of all groups in the order of the batch, padded to its largest game."""
    if len(parts) == 1 and parts[0]["policy"].shape == lanes.action_mask.shape:
        return parts[0]
    batch, *largest = lanes.action_mask.shape
    # Axes of player, information state, action that a field has.
    extents = {"policy": 3, "log_policy": 3, "values": 2, "initial_values": 1}
    fields = {}
    for name in FIELDS:
        shape = (batch, *largest[: extents.get(name, 0)])
        field = jnp.zeros(shape, parts[0][name].dtype)
        if all(concrete(part[name]) for part in parts):
            field = np.array(field)
        for group, part in zip(lanes.groups, parts, strict=True):
            # A group may be padded beyond the largest game of the batch.
            own = tuple(slice(min(sizes)) for sizes in zip(part[name].shape[1:], shape[1:], strict=True))
            found = part[name][(slice(None), *own)]
            if isinstance(field, np.ndarray):
                field[(group.lanes, *own)] = found
            else:
                field = field.at[(group.lanes, *own)].set(found)
        fields[name] = field
    return fields


def _bytes(memory: int | float | None) -> int:
    if memory is None:
        return _MEMORY
    if isinstance(memory, bool) or not isinstance(memory, int | float | np.number) or not memory > 0:
        raise InputError("memory", f"is {memory!r}; a number of bytes above 0 is wanted")
    return int(min(memory, 2**62))
