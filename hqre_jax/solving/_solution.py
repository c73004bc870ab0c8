"""What came out of a solve, and everything that can be asked of it."""

from typing import Any, NamedTuple

import equinox as eqx
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from hqre_jax.bounds._certificates import Certificate, cheap_certificate
from hqre_jax.core._module import AbstractModule
from hqre_jax.core._results import RESULTS, SELECTIONS
from hqre_jax.core._types import LogPolicy, PerPlayer, Policy, Scalar, StateValues
from hqre_jax.equilibrium._residual import problem_gap
from hqre_jax.problem import Problem
from hqre_jax.solvers._solver import Evidence


class History(NamedTuple):
    """The iterates of a solve, the start included.

    Attributes:
        policies: π^k, ``(step, player, information state, action)``.
        residuals: Undamped residual of each at the requested temperatures, also on the way along a branch.
        scales: Position on the path ``τ/s``: 1 throughout but for ``principal_branch``.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> solution = hq.solve(game, 8.0, solver="fixed_point", history=True)
        >>> len(solution.history.residuals) == int(solution.num_steps) + 1
        True
    """

    policies: Float[np.ndarray, "step player state action"]
    residuals: Float[np.ndarray, " step"]
    scales: Float[np.ndarray, " step"]


class SolveError(RuntimeError):
    """A solve that ended without reaching its tolerance; the solution is kept as ``.solution``.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> try:
        ...     hq.solve(game, 1.0, solver="fixed_point", max_steps=1)
        ... except hq.SolveError as error:
        ...     print(error.solution.result)
        max_steps_reached
    """

    def __init__(self, solution: "Solution"):
        self.solution = solution
        super().__init__(
            f"{solution.result}: residual {float(solution.residual):.3g}{solution.how_sure()} after "
            f"{int(solution.num_steps)} steps of "
            f"{solution.solver}. {solution.result.message_of(solution.solver)}"
        )


class Solution(AbstractModule):
    """A computed equilibrium, with the evidence for it.

    Attributes:
        problem: The question.
        log_policy: ``log π``, padding 0; it still tells apart probabilities that underflow.
        policy: ``π_i(a|x)``, ``(player, information state, action)``, padding exactly 0.
        values: ``E_{b_i(w|x)} V_i(w)``, current regularisation under ``E`` included; units of payoff.
        initial_values: ``E_ν V_i`` per player; units of payoff.
        residual: ``max |π − softmax(Q^π/τ + log ρ)|`` of exactly this policy at the requested τ; in sampled games
            the upper end of its confidence interval.
        num_steps: Steps taken by the solver that produced it.
        solver: That solver's name.
        result_code: Index of the result in ``list(RESULTS)``.
        selection_code: Index of the selection in ``list(SELECTIONS)``.
        history: The iterates, if asked for.
        evidence: In sampled games, what the residual rests on: level, plays, failures; else None.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> solution = hq.solve(game, 8.0)
        >>> solution.result, solution.selection, bool(solution.residual < 1e-6)
        (<RESULTS.successful: 'successful'>, <SELECTIONS.unique: 'unique'>, True)
        >>> print(solution.gap().round(3))
        [0. 0.]
    """

    problem: Problem
    log_policy: LogPolicy
    policy: Policy
    values: StateValues
    initial_values: PerPlayer
    residual: Scalar
    num_steps: Int[Array, ""]
    result_code: Int[Array, ""]
    selection_code: Int[Array, ""]
    solver: str = eqx.field(static=True)
    history: History | None = None
    evidence: Evidence | None = None

    def __repr__(self) -> str:
        if isinstance(self.result_code, Tracer) or np.ndim(self.result_code):
            return f"Solution(batch {np.shape(self.residual)}, solver={self.solver!r})"
        rows = [[[round(p, 6) for p in row] for row in states] for states in self.unpadded_policy()]
        return (
            f"Solution({self.result}, {self.selection}, residual={float(self.residual):.3g}{self.how_sure()}, "
            f"num_steps={int(self.num_steps)}, solver={self.solver!r}, policy={rows})"
        )

    def how_sure(self) -> str:
        """Of a residual that was estimated: that it is an upper bound, and on what it rests; else nothing."""
        if self.evidence is None:
            return ""
        level, plays = float(self.evidence.level), int(self.evidence.num_episodes)
        return f" (an upper bound, with confidence {level:g}, from {plays} plays)"

    @property
    def result(self) -> Any:
        """How the solve ended, a `RESULTS` string (an array of strings for a batch of solutions)."""
        return _decode(self.result_code, RESULTS, "result")

    @property
    def selection(self) -> Any:
        """``"unique"``, ``"principal_branch"`` or ``"unselected"`` (an array of strings for a batch)."""
        return _decode(self.selection_code, SELECTIONS, "selection")

    @property
    def successful(self) -> Any:
        """Whether the residual is within the tolerance; a boolean array, also under ``jit`` and ``vmap``."""
        return self.result_code == RESULTS.successful.code

    @property
    def tau(self) -> StateValues:
        """The temperatures in full, ``(player, information state)``."""
        return self.problem.tau

    @property
    def continuation(self) -> str:
        """Who is paid whose entropy in continuation values."""
        return self.problem.continuation

    @property
    def certificate(self) -> Certificate:
        """What the cheap bounds say about uniqueness; `certify` looks further."""
        return cheap_certificate(self.problem)

    def gap(self) -> PerPlayer:
        """Regularised gap of each player, in units of payoff; see `regularized_gap`."""
        return problem_gap(self.problem, self.log_policy)

    def unpadded_policy(self) -> list[list[list[float]]]:
        """The policy as nested lists (player, information state, action) without padding."""
        mask, policy = np.asarray(self.problem.mask), np.asarray(self.policy)
        return [
            [policy[i, x, mask[i, x]].tolist() for x in range(mask.shape[1]) if mask[i, x].any()]
            for i in range(mask.shape[0])
        ]


def _decode(code: Int[Array, "..."], names: Any, field: str) -> Any:
    if isinstance(code, Tracer):
        raise TypeError(f"sol.{field} is a string and has no value under jit or vmap: use sol.{field}_code")
    members = list(names)
    values = np.asarray(code)
    return members[int(values)] if values.ndim == 0 else np.array([str(m) for m in members])[values]
