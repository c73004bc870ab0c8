"""What came out of a batch: arrays over all lanes, and each lane's own solution on request."""

import functools
import operator
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from hqre_jax.core._programs import unnamed, with_fields
from hqre_jax.core._results import RESULTS, SELECTIONS
from hqre_jax.core._temperatures import concrete
from hqre_jax.games._game import AbstractGame
from hqre_jax.problem import Problem
from hqre_jax.solvers.batch._arrays import Arrays
from hqre_jax.solvers.batch._lanes import lane_game, lay_out
from hqre_jax.solvers.batch._options import Options
from hqre_jax.solvers.batch._stacked_games import StackedGames
from hqre_jax.solving._solution import Solution
from hqre_jax.solving._steps import certified
from hqre_jax.solving.batch._general import certified_lanes


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False, repr=False)
class BatchSolution:
    """Computed equilibria of a batch of games, with the evidence for each.

    ``sols[b]`` is the `Solution` of game b, without the padding of the batch; iteration runs through all of them.
    Every array in it has a leading axis of lanes: ``jax.tree.map(lambda x: x[order], sols)`` is the batch in
    that order.

    Attributes:
        arrays: What the properties show, as it was found: an array moves to the device when it is first asked for.
        reference: The reference policies, if any were given.
        games: What was solved: a stacked game, or ``StackedGames``.
        solver: Name of the solver.
        entropy: "kl" or "shannon".
        continuation: "soft", "plain" or "zero_sum".
        memory: Bytes that arrays in work may take on each device.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> sols = hq.solve_batch([game.payoffs, 2 * game.payoffs], 8.0)
        >>> sols.result.tolist(), sols.policy.shape, sols[1].policy.shape
        (['successful', 'successful'], (2, 2, 1, 2), (2, 1, 2))
    """

    arrays: Arrays
    reference: Float[Array | np.ndarray, "batch player state action"] | None
    games: AbstractGame | StackedGames
    solver: str = field(metadata={"static": True})
    entropy: Any = field(metadata={"static": True})
    continuation: Any = field(metadata={"static": True})
    memory: int = field(metadata={"static": True})

    @functools.cached_property
    def policy(self) -> Float[Array, "batch player state action"]:
        """``π_i(a|x)``, padding exactly 0."""
        return _on_device(self.arrays.policy)

    @functools.cached_property
    def log_policy(self) -> Float[Array, "batch player state action"]:
        """``log π``, padding 0."""
        return _on_device(self.arrays.log_policy)

    @functools.cached_property
    def values(self) -> Float[Array, "batch player state"]:
        """``E_{b_i(w|x)} V_i(w)``; units of payoff."""
        return _on_device(self.arrays.values)

    @functools.cached_property
    def initial_values(self) -> Float[Array, "batch player"]:
        """``E_ν V_i``; units of payoff."""
        return _on_device(self.arrays.initial_values)

    @functools.cached_property
    def residual(self) -> Float[Array, " batch"]:
        """``max |π − softmax(Q^π/τ + log ρ)|`` of each game at its requested τ."""
        return _on_device(self.arrays.residual)

    @functools.cached_property
    def num_steps(self) -> Int[Array, " batch"]:
        """Steps that the solver took in each game."""
        return _on_device(self.arrays.num_steps)

    @functools.cached_property
    def result_code(self) -> Int[Array, " batch"]:
        """Index of each result in ``list(RESULTS)``."""
        return _on_device(self.arrays.result_code)

    @functools.cached_property
    def action_mask(self) -> Bool[Array, "batch player state action"]:
        """Valid actions of every game, padded to the batch maxima."""
        return _on_device(self.arrays.action_mask)

    @functools.cached_property
    def tau(self) -> Float[Array, "batch player state"]:
        """Temperatures in full, padding 1."""
        return _on_device(self.arrays.tau)

    @property
    def result(self) -> np.ndarray:
        """How each solve ended, an array of `RESULTS` strings."""
        return _names(self.result_code, RESULTS, "result")

    @property
    def selection(self) -> np.ndarray:
        """``"unique"``, ``"principal_branch"`` or ``"unselected"``, for each game."""
        return _names(self.selection_code, SELECTIONS, "selection")

    @functools.cached_property
    def selection_code(self) -> Int[Array, " batch"]:
        """Index of each selection in ``list(SELECTIONS)``; certificates are sought when this is first asked for."""
        known, unsought = self.arrays.selection_code, self.arrays.unsought
        if all(concrete(leaf) for leaf in jax.tree.leaves(self)):
            code = np.array(known)
            lanes = np.flatnonzero(np.asarray(unsought) & (code == SELECTIONS.principal_branch.code))
            if len(lanes):
                code[lanes[self._certified(lanes)]] = SELECTIONS.unique.code
            return _on_device(code)
        if concrete(unsought) and not np.any(unsought):
            return known
        if isinstance(self.games, StackedGames):
            unique = jnp.stack([certified(self._problem(b)) for b in range(len(self))])
        else:
            unique = jax.vmap(lambda part: certified(part._problem(0)))(jax.tree.map(lambda leaf: leaf[:, None], self))
        found = unsought & unique & (known == SELECTIONS.principal_branch.code)
        return jnp.where(found, SELECTIONS.unique.code, known)

    def _certified(self, lanes: np.ndarray) -> np.ndarray:
        """Which of these lanes the bounds prove to have one equilibrium, all values being known."""
        chosen = jax.tree.map(lambda leaf: np.asarray(leaf)[lanes], self)
        games, tau, reference = chosen.games, chosen.arrays.tau, chosen.reference
        if isinstance(games, StackedGames):
            # These may all be smaller than the largest of the batch.
            players, states, actions = np.max([games.mask_shape(k) for k in range(len(lanes))], axis=0)
            tau = tau[:, :players, :states]
            reference = None if reference is None else reference[:, :players, :states, :actions]
            games = list(games)
        options = Options(None, self.entropy, self.continuation, None, None)
        unique = np.zeros(len(lanes), bool)
        for group in lay_out(games, tau, reference, None, self.continuation).groups:
            unique[group.lanes] = certified_lanes(group, options, self.memory)
        return unique

    @property
    def successful(self) -> Bool[Array, " batch"]:
        """Whether each residual is within the tolerance."""
        return self.result_code == RESULTS.successful.code

    def __len__(self) -> int:
        return self.arrays.residual.shape[0]

    def __iter__(self) -> Iterator[Solution]:
        return (self[b] for b in range(len(self)))

    def _cut(self, array: Any, lane: int) -> Any:
        """A lane's part of an array, without the padding of the batch."""
        mask = self.games.mask_shape(lane) if isinstance(self.games, StackedGames) else self.games.action_mask.shape[1:]
        return jnp.asarray(array[lane][tuple(slice(size) for size in mask[: array.ndim - 1])])

    def _problem(self, lane: int) -> Problem:
        pose = functools.partial(Problem, entropy=self.entropy, continuation=self.continuation)
        game, tau = lane_game(self.games, lane), self._cut(self.tau, lane)
        reference = None if self.reference is None else self._cut(self.reference, lane)
        solved = self.successful[lane]
        if concrete(solved) and not solved:
            # What is wrong with the numbers of a game that failed is for its result to say: nobody looks at them here.
            return with_fields(jax.jit(pose)(unnamed(game), tau, reference=reference), game=game)
        return pose(game, tau, reference=reference)

    def __getitem__(self, lane: int) -> Solution:
        lane = range(len(self))[operator.index(lane)]
        cut = functools.partial(self._cut, lane=lane)
        return Solution(
            problem=self._problem(lane),
            log_policy=cut(self.log_policy),
            policy=cut(self.policy),
            values=cut(self.values),
            initial_values=cut(self.initial_values),
            residual=cut(self.residual),
            num_steps=cut(self.num_steps),
            result_code=cut(self.result_code),
            selection_code=cut(self.selection_code),
            solver=self.solver,
        )

    def __repr__(self) -> str:
        return f"BatchSolution({len(self)} games, solver={self.solver!r})"


class BatchSolveError(RuntimeError):
    """A batch in which some games were not solved to the tolerance; all answers are kept as ``.solution``.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> try:
        ...     hq.solve_batch([game.payoffs, 2 * game.payoffs], 8.0, max_steps=0, throw=True)
        ... except hq.solving.BatchSolveError as error:
        ...     print(error.solution.result.tolist())
        ['max_steps_reached', 'max_steps_reached']
    """

    def __init__(self, solution: BatchSolution):
        self.solution = solution
        failed = np.flatnonzero(~np.asarray(solution.successful))
        worst = ", ".join(f"{b}: {solution.result[b]}" for b in failed[:5])
        more = ", …" if len(failed) > 5 else ""
        first = RESULTS(str(solution.result[failed[0]]))
        super().__init__(f"{len(failed)} of {len(solution)} games were not solved ({worst}{more}). {first.message}")


def _on_device(array: Any) -> Array:
    """The array of jax, also where this is first asked for while something else is traced."""
    if not isinstance(array, np.ndarray):
        return array
    with jax.ensure_compile_time_eval():
        return jnp.asarray(array)


def _names(codes: Int[Array, " batch"], members: Any, field: str) -> np.ndarray:
    if isinstance(codes, Tracer):
        raise TypeError(f"sols.{field} is made of strings and has no value under jit or vmap: use sols.{field}_code")
    return np.array([str(member) for member in members])[np.asarray(codes)]
