"""What a batch is asked: games with temperatures, or problems, which are taken apart here."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax.core._temperatures import concrete
from hqre_jax.core._types import InputError
from hqre_jax.games._game import Continuation
from hqre_jax.problem import Entropy, Problem


class Questions(NamedTuple):
    """The arguments of `solve_batch` that a problem stands for."""

    games: Any
    taus: Any
    reference: Any
    entropy: Entropy
    continuation: Continuation


def questions(
    games: Any, taus: Any, reference: Any, entropy: Entropy | None, continuation: Continuation | None
) -> Questions:
    """Games, temperatures, references, entropy and continuation of a batch.

    Args:
        games: As in `solve_batch`; problems in a list, or one with a leading axis for the batch.
        taus: None, if there are problems; the same goes for all others.
        reference: Likewise.
        entropy: Likewise, or what the problems say.
        continuation: Likewise.

    Returns:
        The `Questions`.

    Raises:
        InputError: If temperatures are missing, are given twice, or problems differ in what a batch has in common.
    """
    if isinstance(games, list | tuple) and any(isinstance(game, Problem) for game in games):
        problems = list(games)
    elif isinstance(games, Problem):
        problems = [games]
    else:
        if taus is None:
            raise InputError("taus", "are missing: give temperatures, or problems in place of the games")
        kind, paid = "kl" if entropy is None else entropy, "soft" if continuation is None else continuation
        return Questions(games, taus, reference, kind, paid)
    for b, problem in enumerate(problems):
        if not isinstance(problem, Problem):
            raise InputError(f"games[{b}]", f"is a {type(problem).__name__} among problems: give problems alone")
        if not concrete(problem.scale) or not np.all(np.asarray(problem.scale) == 1):
            raise InputError(f"games[{b}]", "is on its way along the path: give it at scale 1")
    for field, given in (("taus", taus), ("reference", reference)):
        if given is not None:
            raise InputError(field, "is given twice, in the problems and beside them: give it once, to Problem")
    for field, given, known in (
        ("entropy", entropy, {p.entropy for p in problems}),
        ("continuation", continuation, {p.continuation for p in problems}),
    ):
        if len(known) > 1:
            raise InputError(field, f"is {' and '.join(sorted(known))} in one batch: solve these apart")
        if given is not None and given not in known:
            raise InputError(field, f"is {given!r}, but the problems have {known.pop()!r}: give it once, to Problem")
    first = problems[0]
    if isinstance(games, Problem):
        rho = None if _is_uniform(games) else jax.vmap(lambda p: p.reference())(games)
        return Questions(games.game, games.tau, rho, first.entropy, first.continuation)
    players, states = np.max([p.tau.shape for p in problems], axis=0)
    tau = jnp.stack(
        [
            jnp.pad(p.tau, ((0, players - p.tau.shape[0]), (0, states - p.tau.shape[1])), constant_values=1)
            for p in problems
        ]
    )
    rho = None if all(_is_uniform(p) for p in problems) else [p.reference() for p in problems]
    return Questions([p.game for p in problems], tau, rho, first.entropy, first.continuation)


def _is_uniform(problem: Problem) -> bool:
    """Whether the reference is, but for rounding, the one that is meant where none is given."""
    if not (concrete(problem.log_reference) and concrete(problem.game.action_mask)):
        return False
    log_reference, mask = np.asarray(problem.log_reference), np.asarray(problem.game.action_mask)
    uniform = -np.log(np.maximum(mask.sum(-1, keepdims=True), 1).astype(log_reference.dtype))
    return np.allclose(log_reference, np.where(mask, uniform, 0.0), rtol=0, atol=4 * np.finfo(uniform.dtype).eps)
