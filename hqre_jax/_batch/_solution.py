"""What came out of a batch: arrays over all lanes, and each lane's own solution on request."""

import functools
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from hqre_jax._batch._lanes import lane_game
from hqre_jax._game import AbstractGame
from hqre_jax._problem import Problem
from hqre_jax._results import RESULTS, SELECTIONS
from hqre_jax._solution import Solution


class Arrays(NamedTuple):
    """Questions and answers of a batch, of numpy where they were put together there; and each game's place in it."""

    policy: Float[Array, "batch player state action"]
    log_policy: Float[Array, "batch player state action"]
    values: Float[Array, "batch player state"]
    initial_values: Float[Array, "batch player"]
    residual: Float[Array, " batch"]
    num_steps: Int[Array, " batch"]
    result_code: Int[Array, " batch"]
    selection_code: Int[Array, " batch"]
    action_mask: Bool[Array, "batch player state action"]
    tau: Float[Array, "batch player state"]
    place: Int[Array | np.ndarray, " batch"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False, repr=False)
class BatchSolution:
    """Computed equilibria of a batch of games, with the evidence for each.

    ``sols[b]`` is the `Solution` of game b, without the padding of the batch; iteration runs through all of them.

    Attributes:
        arrays: What the properties show, as it was found: an array moves to the device when it is first asked for.
        reference: The reference policies, if any were given.
        games: What was solved: a stacked game, or a tuple of games.
        solver: Name of the solver.
        entropy: "kl" or "shannon".
        continuation: "soft", "plain" or "zero_sum".
        certify: Says which games are certified to have one HQRE, if that was not looked into: it costs more than
            solving small games, and is called when `selection` is first asked for.
    """

    arrays: Arrays
    reference: Float[Array | np.ndarray, "batch player state action"] | None
    games: AbstractGame | tuple[AbstractGame, ...]
    solver: str = field(metadata={"static": True})
    entropy: Any = field(metadata={"static": True})
    continuation: Any = field(metadata={"static": True})
    certify: Callable[[], np.ndarray] | None = field(metadata={"static": True}, default=None)

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
        """How each solve ended: an array of `RESULTS` strings."""
        return _names(self.result_code, RESULTS, "result")

    @property
    def selection(self) -> np.ndarray:
        """``"unique"``, ``"principal_branch"`` or ``"unselected"``, for each game."""
        return _names(self.selection_code, SELECTIONS, "selection")

    @property
    def selection_code(self) -> Int[Array, " batch"]:
        """Index of each selection in ``list(SELECTIONS)``."""
        known = _on_device(self.arrays.selection_code)
        if self.certify is None:
            return known
        on_branch = known == SELECTIONS.principal_branch.code
        # The certificates are in the order of the solve, which a mapped solution may have left.
        unique = jnp.asarray(self.certify())[self.arrays.place]
        return jnp.where(on_branch & unique, SELECTIONS.unique.code, known)

    @property
    def successful(self) -> Bool[Array, " batch"]:
        """Whether each residual is within the tolerance."""
        return self.result_code == RESULTS.successful.code

    def __len__(self) -> int:
        return self.arrays.residual.shape[0]

    def __iter__(self) -> Iterator[Solution]:
        return (self[b] for b in range(len(self)))

    def __getitem__(self, lane: int) -> Solution:
        lane = range(len(self))[operator.index(lane)]
        game = lane_game(self.games, lane)
        players, states, actions = (slice(size) for size in game.action_mask.shape)

        def cut(array: Any) -> Any:
            return jnp.asarray(array[lane][(players, states, actions)[: array.ndim - 1]])

        problem = Problem(
            game,
            cut(self.tau),
            reference=None if self.reference is None else cut(self.reference),
            entropy=self.entropy,
            continuation=self.continuation,
        )
        return Solution(
            problem=problem,
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
    """A batch in which some games were not solved to the tolerance; all answers are kept as ``.solution``."""

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
