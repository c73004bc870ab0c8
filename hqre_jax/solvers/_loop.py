"""The only loop over a solver: compiled to the end, or a stretch at a time, recorded or kept in a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from hqre_jax.core._checkpoint import fingerprint, load_checkpoint, save_checkpoint
from hqre_jax.core._namespace import Array, namespace, repeat_while
from hqre_jax.core._programs import compiled, in_numpy
from hqre_jax.core._results import RESULTS
from hqre_jax.core._temperatures import as_array
from hqre_jax.core._types import LogPolicy, Scalar
from hqre_jax.problem import Problem, is_early, leave_to_programs
from hqre_jax.solvers._solver import AbstractSolver

_STRETCH = 64
# Steps that take numpy about as long as a program takes to compile.
MOST_EARLY_STEPS = 300


def iterate(
    solver: AbstractSolver, problem: Problem, log_policy: LogPolicy, tol: Scalar, max_steps: int | Int[Array, ""]
) -> tuple[Any, Int[Array, ""], Int[Array, ""]]:
    """Run a solver until it terminates or the steps run out.

    Args:
        solver: The method.
        problem: The question, already centred.
        log_policy: Start.
        tol: Largest acceptable residual.
        max_steps: Largest number of steps.

    Returns:
        Final state, result code, number of steps taken.
    """
    start = solver.init(problem, log_policy)
    state, steps = proceed(solver, problem, start, namespace(problem.tau).zeros((), int), tol, max_steps)
    return state, verdict(solver, problem, state, tol), steps


def proceed(
    solver: AbstractSolver,
    problem: Problem,
    state: Any,
    steps: Int[Array, ""],
    tol: Scalar,
    limit: int | Int[Array, ""],
) -> tuple[Any, Int[Array, ""]]:
    """Go on from a state until the solver terminates or ``limit`` steps are taken in all: final state and steps."""

    def unfinished(carry):
        state, steps = carry
        return ~solver.terminate(problem, state, tol)[0] & (steps < limit)

    def advance(carry):
        state, steps = carry
        return solver.step(problem, state), steps + 1

    return repeat_while(namespace(problem.tau), unfinished, advance, (state, steps))


def verdict(solver: AbstractSolver, problem: Problem, state: Any, tol: Scalar) -> Int[Array, ""]:
    """Result code of a final state: what `terminate` says, softened to "almost" near the tolerance."""
    done, code = solver.terminate(problem, state, tol)
    xp = namespace(code)
    code = xp.where(done, code, RESULTS.max_steps_reached.code)
    near = (code != RESULTS.successful.code) & (state.iterate.residual <= solver.almost * tol)
    return xp.where(near, RESULTS.almost_successful.code, code)


@compiled
def _begin(solver, problem, log_policy, observe):
    """The first state, observed."""
    state = solver.init(problem, log_policy)
    return state, observe(solver, problem, state)


@compiled
def _stretch(solver, problem, state, tol, steps, max_steps, observe, length=_STRETCH):
    """Up to ``length`` steps, each observed, and what is to be said then; finished states stand still."""

    def advance(carry, _):
        state, steps = carry
        live = ~solver.terminate(problem, state, tol)[0] & (steps < max_steps)
        state = jax.lax.cond(live, lambda s: solver.step(problem, s), lambda s: s, state)
        return (state, steps + live), (observe(solver, problem, state), live)

    (state, steps), (seen, live) = jax.lax.scan(advance, (state, steps), length=length)
    finished = solver.terminate(problem, state, tol)[0] | (steps >= max_steps)
    return state, steps, finished, verdict(solver, problem, state, tol), seen, live


def record(
    solver: AbstractSolver,
    problem: Problem,
    log_policy: LogPolicy,
    tol: Scalar,
    max_steps: int | Int[Array, ""],
    observe: Callable[[AbstractSolver, Problem, Any], Any],
) -> tuple[Any, Int[Array, ""], Int[Array, ""], Any]:
    """Run a solver as `iterate` does, and keep what ``observe(solver, problem, state)`` sees after each step.

    The loop is compiled a stretch of steps at a time, so that memory grows with the steps taken and an
    interrupt from the keyboard is heard.

    Args:
        solver: The method.
        problem: The question, already centred.
        log_policy: Start.
        tol: Largest acceptable residual.
        max_steps: Largest number of steps.
        observe: Function of solver, problem and state with arrays as results.

    Returns:
        Final state, result code, number of steps, and the observations stacked along a first axis of length
        steps + 1 (the start included), as numpy arrays.
    """
    name = f"record {solver.name}"
    if solver.speaks_numpy and is_early(problem, name):
        plain = in_numpy((problem, log_policy, tol, max_steps))
        early = None if plain is None else _record_early(solver, observe, *plain)
        if early is not None:
            return early
        leave_to_programs(problem, name)
    state, start = _begin(solver, problem, log_policy, observe)
    pieces = [jax.tree.map(lambda x: np.asarray(x)[None], start)]
    steps, code, finished = as_array(0, int), as_array(0, int), False
    while not finished:
        state, steps, finished, code, seen, live = _stretch(solver, problem, state, tol, steps, max_steps, observe)
        keep = np.asarray(live)
        pieces.append(jax.tree.map(lambda x, keep=keep: np.asarray(x)[keep], seen))
    trace = jax.tree.map(lambda *parts: np.concatenate(parts), *pieces)
    return state, code, steps, trace


def _record_early(solver, observe, problem, log_policy, tol, max_steps) -> Any:
    """`record` in numpy; None where that takes long."""
    with np.errstate(all="ignore"):
        state, steps = solver.init(problem, log_policy), 0
        seen = [observe(solver, problem, state)]
        while not solver.terminate(problem, state, tol)[0] and steps < max_steps:
            if steps == MOST_EARLY_STEPS:
                return None
            state, steps = solver.step(problem, state), steps + 1
            seen.append(observe(solver, problem, state))
        code = verdict(solver, problem, state, tol)
    trace = jax.tree.map(lambda *parts: np.stack(parts), *seen)
    return jax.tree.map(as_array, state), as_array(code), as_array(steps, int), trace


def resume(
    solver: AbstractSolver,
    problem: Problem,
    log_policy: LogPolicy,
    tol: Scalar,
    max_steps: int | Int[Array, ""],
    path: str | Path,
    every: int,
) -> tuple[Any, Int[Array, ""], Int[Array, ""]]:
    """Run a solver as `iterate` does, from the checkpoint if there is one, and keep the checkpoint up to date.

    A run that is killed at any moment and started again ends with the same bits as one that was not: every stretch
    is the same compiled program, and what it starts from is stored exactly.

    Args:
        solver: The method.
        problem: The question, already centred.
        log_policy: Start.
        tol: Largest acceptable residual.
        max_steps: Largest number of steps.
        path: The file; its folder must exist.
        every: Steps between writing it.

    Returns:
        Final state, result code, number of steps taken in all.

    Raises:
        InputError: If the file is there and is no checkpoint of this question.
    """
    question = fingerprint(solver, problem, log_policy, tol, every)
    state, _ = _begin(solver, problem, log_policy, _nothing)
    steps = as_array(0, int)
    if Path(path).exists():
        state, steps = load_checkpoint(path, (state, steps), question)
    code, finished = as_array(0, int), False
    while not finished:
        state, steps, finished, code, _, _ = _stretch(solver, problem, state, tol, steps, max_steps, _nothing, every)
        save_checkpoint(path, state, steps, question)
    return state, code, steps


def _nothing(solver: AbstractSolver, problem: Problem, state: Any) -> None:
    """Nothing is observed."""
