"""What a solver is: ``init``, ``step``, ``terminate``. One loop (`_loop.py`) runs them all."""

import abc
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Bool, Int

from hqre_jax.core._module import AbstractModule
from hqre_jax.core._namespace import Array, namespace
from hqre_jax.core._results import RESULTS
from hqre_jax.core._types import LogPolicy, Scalar
from hqre_jax.equilibrium._residual import residual_between
from hqre_jax.problem import Problem

# "Almost" means within this factor of the tolerance.
ALMOST = 1000.0


class Iterate(NamedTuple):
    """A point and how good it is.

    Attributes:
        logits: Unnormalised log-policy z, padding 0.
        response: ``Q^π/τ + log ρ`` at ``π = softmax(z)``.
        residual: The undamped residual at the requested temperatures.
        best: Least residual so far.
        stalled: Steps since then.

    Example:
        >>> import hqre_jax as hq
        >>> problem = hq.Problem(hq.load_game("stag_hunt"), 8.0)
        >>> here = hq.solvers.look(problem, problem.log_reference)
        >>> here.residual.round(3).item(), here.stalled.item()
        (0.031, 0)
    """

    logits: LogPolicy
    response: LogPolicy
    residual: Scalar
    best: Scalar
    stalled: Int[Array, ""]


def look(problem: Problem, logits: LogPolicy, before: Iterate | None = None) -> Iterate:
    """Evaluate the game at ``logits``: one pass, from which both residual and next step follow.

    Args:
        problem: The problem.
        logits: Unnormalised log-policy z, ``(player, information state, action)``.
        before: The iterate before, for the least residual so far; None for the first one.

    Returns:
        The `Iterate`.

    Example:
        >>> import hqre_jax as hq
        >>> problem = hq.Problem(hq.load_game("stag_hunt"), 8.0)
        >>> here = hq.solvers.look(problem, problem.log_reference)
        >>> there = hq.solvers.look(problem, here.response, here)
        >>> print(here.residual.round(3), there.residual.round(3))
        0.031 0.006
    """
    log_policy = problem.log_policy(logits)
    response = problem.response_logits(log_policy)
    residual = residual_between(log_policy, response, problem)
    xp = namespace(residual)
    if before is None:
        return Iterate(logits, response, residual, residual, xp.zeros((), int))
    better = residual < before.best
    return Iterate(
        logits,
        response,
        residual,
        xp.where(better, residual, before.best),
        xp.where(better, 0, before.stalled + 1),
    )


class Evidence(NamedTuple):
    """What a residual rests on that is the upper end of a confidence interval.

    Attributes:
        level: Probability with which the interval holds, over everything that was looked at.
        estimate: The residual as estimated, without allowance for errors.
        num_looks: How often a policy was judged.
        num_episodes: Plays that judged it, in all, none of which had any part in finding it.
        num_failed: Plays that broke down; each counts as if it could have paid anything.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> one = jnp.asarray(1)
        >>> seen = hq.solvers.Evidence(jnp.asarray(0.99), jnp.asarray(0.01), 2 * one, 5000 * one, 0 * one)
        >>> seen.level.item(), seen.num_episodes.item()
        (0.99, 5000)
    """

    level: Scalar
    estimate: Scalar
    num_looks: Int[Array, ""]
    num_episodes: Int[Array, ""]
    num_failed: Int[Array, ""]


class AbstractSolver(AbstractModule):
    """A method for computing an HQRE.

    ``init`` makes a state from a problem and a starting log-policy, ``step`` improves it, ``terminate`` says
    whether to stop and with which result. Every state holds its current `Iterate` as ``state.iterate``.

    Example:
        >>> import hqre_jax as hq
        >>> issubclass(hq.solvers.MirrorDescent, hq.AbstractSolver), hq.solvers.MirrorDescent.name
        (True, 'mirror_descent')
    """

    name: ClassVar[str]
    default_max_steps: ClassVar[int]
    # Steps without a new least residual after which the iteration is taken to cycle or to sit on rounding.
    patience: ClassVar[int]
    # A residual within this factor of the tolerance is almost a success.
    almost: ClassVar[float] = ALMOST
    # Whether `init`, `step` and `terminate` also take problems of numpy, and then stay in it.
    speaks_numpy: ClassVar[bool] = False
    # Whether it follows the principal branch from the reference on.
    follows_branch: ClassVar[bool] = False

    def seeded(self, key: Any) -> "AbstractSolver":
        """The method with the key of its random numbers; most draw none."""
        return self

    @abc.abstractmethod
    def init(self, problem: Problem, log_policy: LogPolicy) -> Any:
        """State before the first step."""

    @abc.abstractmethod
    def step(self, problem: Problem, state: Any) -> Any:
        """State after one more step."""

    def terminate(self, problem: Problem, state: Any, tol: Scalar) -> tuple[Bool[Array, ""], Int[Array, ""]]:
        """Whether to stop, and the code of the result if so."""
        iterate = state.iterate
        xp = namespace(iterate.residual)
        finite = xp.isfinite(iterate.residual) & xp.all(xp.isfinite(iterate.logits))
        code = xp.where(
            finite,
            xp.where(iterate.residual <= tol, RESULTS.successful.code, RESULTS.diverged.code),
            RESULTS.nonfinite.code,
        )
        return ~finite | (iterate.residual <= tol) | (iterate.stalled >= self.patience), code

    def on_branch(self, problem: Problem, state: Any) -> Bool[Array, ""]:
        """Whether a state lies where the principal branch first arrives at the requested temperatures."""
        return namespace(problem.tau).asarray(False)

    def position(self, problem: Problem, state: Any) -> tuple[LogPolicy, Scalar]:
        """Where a state is on the path ``τ/s``: logits, and s, which is 1 but on the way along the branch."""
        return state.iterate.logits, jnp.ones((), state.iterate.residual.dtype)
