"""`solve`: pose the question, choose the method, run it, verify the answer, say which equilibrium it is."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from hqre_jax.bounds import bounds, can_bound
from hqre_jax.core._padding import cut_down, filled_up
from hqre_jax.core._programs import compiled, is_familiar
from hqre_jax.core._results import RESULTS
from hqre_jax.core._temperatures import concrete
from hqre_jax.core._types import InputError, LogPolicy, Scalar
from hqre_jax.games._game import AbstractGame, Continuation
from hqre_jax.problem import Entropy, Problem, posed, tolerance
from hqre_jax.solvers import FixedPoint, StochasticMirror
from hqre_jax.solvers._loop import iterate, record, resume
from hqre_jax.solvers._solver import AbstractSolver, look
from hqre_jax.solving._choice import choice, method_of, step_limit, traced_choice
from hqre_jax.solving._early import early_answer
from hqre_jax.solving._solution import History, Solution, SolveError
from hqre_jax.solving._steps import Found, certified, finish, found_by, frozen, starting_point

# Questions of one shape after which what a shared program loses is about what it costs to compile another.
_OFTEN = 200
# Tolerance of sampled games where none is given: plays grow as its inverse square.
SAMPLED_TOL = 0.05


def solve(
    game: AbstractGame | Problem,
    tau: Any = None,
    *,
    solver: str | AbstractSolver = "auto",
    reference: Any = None,
    entropy: Entropy | None = None,
    continuation: Continuation | None = None,
    tol: float | None = None,
    max_steps: int | None = None,
    initial_policy: Any = None,
    key: Any = None,
    history: bool = False,
    throw: bool = True,
) -> Solution:
    """Compute a heterogeneous quantal response equilibrium, ``π_i(·|x) ∝ ρ_i(·|x) exp(Q_i^π(x,·)/τ_i(x))``.

    The first few small games of a size are solved in numpy; later ones of many shapes share programs until so many
    were of one shape that it gets its own: answers then differ by rounding, or by what the tolerance allows. ``jit``,
    ``vmap`` and ``grad`` work on this function with every solver; gradients are implicit. Under tracing nothing is
    raised: ask ``sol.successful``.

    Args:
        game: The game, or a `Problem` in place of it and of all that is said about temperatures and entropy.
        tau: Temperatures, in units of payoff: a number, one per player, or ``(player, information state)``.
        solver: ``"auto"``, a name (``"mirror_descent"``, ``"extragradient"``, ``"fixed_point"``, ``"newton"``,
            ``"principal_branch"``, ``"krylov_branch"``, ``"markov_branch"``, ``"soft_value_iteration"``,
            ``"stochastic_mirror"``) or a solver object; a
            `SampledGame` is always solved by ``"stochastic_mirror"``. ``"auto"`` returns the unique
            HQRE where uniqueness is certified and otherwise the one on the principal branch; where that cannot be
            followed in a game of more than 1500 padded policy entries, the answer is marked "unselected".
        reference: Interior reference policy ρ; uniform by default.
        entropy: ``"kl"`` to ρ (the default), or ``"shannon"``.
        continuation: Who is paid whose entropy later on: ``"soft"`` (the default), ``"plain"`` or ``"zero_sum"``.
        tol: Largest acceptable residual, in probability; 1e-10 in float64, 1e-5 in float32; in sampled games the
            largest acceptable upper confidence bound on it, 0.05.
        max_steps: Largest number of steps; each solver has its own default.
        initial_policy: Where to start; the reference by default (``"principal_branch"`` always starts there).
        key: Typed key for ``"stochastic_mirror"``, which draws random numbers; ``jax.random.key(0)`` by default.
        history: Whether to keep every iterate in ``sol.history`` (not under tracing).
        throw: Whether to raise `SolveError` where the result is not ``"successful"``.

    Returns:
        The `Solution`: policy, values, residual, result, selection and certificate.

    Raises:
        InputError: On bad input, naming the argument.
        SolveError: If ``throw`` and the tolerance was not reached; the solution hangs on the error.

    Source: theory.md §2 and §6; McKelvey & Palfrey (1995, 1998).

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> solution = hq.solve(game, [8.0, 9.0])
        >>> print(solution.policy[:, 0].round(3))
        [[0.462 0.538]
         [0.466 0.534]]
        >>> solution.selection
        <SELECTIONS.unique: 'unique'>
    """
    problem = posed(game, tau, reference=reference, entropy=entropy, continuation=continuation)
    sampled = problem.game.sampler() is not None
    method = _sampling_method(solver) if sampled else method_of(solver)
    method = None if method is None else method.seeded(key)
    tol_value = tolerance(SAMPLED_TOL if sampled and tol is None else tol, problem)
    start = starting_point(problem, initial_policy)
    steps = step_limit(max_steps)
    traced = not all(concrete(leaf) for leaf in jax.tree.leaves((problem, start, tol_value)))
    if history and traced:
        raise InputError("history", "cannot be kept under jit, vmap or grad: solve outside, or pass history=False")
    if not (traced or history):
        early = early_answer(problem, method, start, tol_value, steps)
        if early is not None:
            return Solution(problem=problem, solver=early[0], history=None, evidence=None, **early[1])
    # Small games share programs, unless more than the answer is kept, or so many were of one shape that it has its own.
    known = not traced and all(concrete(leaf) for leaf in jax.tree.leaves(method))
    alone = not known or history or getattr(method, "checkpoint", None) is not None
    shared = problem if alone else problem.rounded()
    own = shared is problem or is_familiar(problem, _OFTEN)
    # They are off by up to 1e-13 of a payoff, too much at low temperatures: what they do not reach is tried again.
    for work in [problem] if own else [shared, problem]:
        first = filled_up(start, work.mask.shape, 0.0)
        centered = work.centered()
        # The program of the certificate that will be asked for.
        unique = certified(centered) if traced else bounds(centered).unique
        kept, name = None, "auto"
        if method is None and traced:
            found = _auto(centered, first, tol_value, steps, unique)
            break
        for chosen in [method] if method is not None else choice(problem, bool(unique)):
            name = chosen.name
            found, kept = _attempt(centered, chosen, first, tol_value, steps, history)
            if method is not None or _settled(found, unique):  # a method that is named may have traced values
                break
        if work is problem or _settled(found, unique, method):
            break
    answer = finish(work, centered, found, unique)
    answer = {name: cut_down(part, problem.mask.shape) for name, part in answer.items()}
    # The problem itself goes round the compiled code: labels that come back from there may be another game's.
    solution = Solution(problem=problem, solver=name, history=kept, evidence=found.evidence, **answer)
    if throw and not traced and solution.result != RESULTS.successful:
        raise SolveError(solution)
    return solution


def _settled(found: Found, unique: Bool[Array, ""], method: AbstractSolver | None = None) -> bool:
    """Whether there is nothing left to try: the tolerance is reached, on the branch where no method was named."""
    return int(found.code) == RESULTS.successful.code and (method is not None or bool(unique) or bool(found.on_branch))


def _attempt(problem, method, start, tol, max_steps, history) -> tuple[Found, History | None]:
    if isinstance(method, StochasticMirror) and method.checkpoint is not None:
        return _resumed(problem, method, start, tol, max_steps, history), None
    if history:
        return _recorded(problem, method, start, tol, max_steps)
    return _run(problem, method, start, tol, max_steps), None


@compiled
def _run(problem: Problem, method: AbstractSolver, start: LogPolicy, tol: Scalar, max_steps: Any) -> Found:
    problem = frozen(problem)
    limit = method.default_max_steps if max_steps is None else max_steps
    state, code, steps = iterate(method, problem, jax.lax.stop_gradient(start), tol, limit)
    return found_by(method, problem, state, code, steps, tol)


def _auto(problem, start, tol, max_steps, unique) -> Found:
    """The automatic choice where values cannot be looked at: all methods are compiled, `lax.cond` chooses.

    Mapped, that is no choice: a method that is not wanted takes no steps.
    """

    def run(method: AbstractSolver, wanted: Bool[Array, ""]) -> Found:
        limit = method.default_max_steps if max_steps is None else max_steps
        return _run(problem, method, start, tol, jnp.where(wanted, limit, 0))

    first, *others = [*([FixedPoint()] if can_bound(problem.game) else []), *traced_choice(problem)]
    found = run(first, unique if isinstance(first, FixedPoint) else jnp.asarray(True))
    for method in others:
        settled = (found.code == RESULTS.successful.code) & (unique | found.on_branch)
        found = jax.lax.cond(settled, lambda found=found: found, functools.partial(run, method, ~settled))
    return found


def _recorded(problem, method, start, tol, max_steps) -> tuple[Found, History]:
    limit = jnp.asarray(method.default_max_steps if max_steps is None else max_steps)
    state, code, steps, (policies, residuals, scales) = record(method, problem, start, tol, limit, _observe)
    return found_by(method, problem, state, code, steps, tol), History(policies, residuals, scales)


def _resumed(problem, method, start, tol, max_steps, history) -> Found:
    if history:
        raise InputError("history", "is not kept in checkpoints: pass history=False, or no checkpoint")
    if not all(concrete(leaf) for leaf in jax.tree.leaves((problem, start, tol, method))):
        raise InputError("checkpoint", "cannot be written under jit, vmap or grad")
    limit = jnp.asarray(method.default_max_steps if max_steps is None else max_steps)
    state, code, steps = resume(method, problem, start, tol, limit, method.checkpoint, method.checkpoint_every)
    return found_by(method, problem, state, code, steps, tol)


def _observe(method: AbstractSolver, problem: Problem, state: Any):
    """Policy, residual at the requested temperatures, and s of ``τ/s``."""
    logits, scale = method.position(problem, state)
    seen = logits is state.iterate.logits  # then no second look is needed
    residual = state.iterate.residual if seen else look(problem, logits).residual
    return problem.policy(logits), residual, scale


def _sampling_method(solver: str | AbstractSolver) -> AbstractSolver:
    """The method for a game that is known by samples only."""
    method = StochasticMirror() if solver == "auto" else method_of(solver)
    if not isinstance(method, StochasticMirror):
        raise InputError("solver", "needs exact action values; a sampled game is solved by stochastic_mirror (or auto)")
    return method
