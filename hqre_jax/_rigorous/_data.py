"""The numbers that a problem consists of, exactly as they are stored: what a proof is about."""

from typing import Any

import numpy as np

from hqre_jax._games import (
    BayesianGame,
    ExtensiveFormGame,
    IncompleteInformationMarkovGame,
    MarkovGame,
    NormalFormGame,
    PolymatrixGame,
    PublicPrivateGame,
)
from hqre_jax._problem import Problem
from hqre_jax._temperatures import concrete
from hqre_jax._types import InputError

# The arrays that a constructor takes.
FIELDS: dict[type, tuple[str, ...]] = {
    NormalFormGame: ("payoffs",),
    PolymatrixGame: ("edges", "payoffs"),
    BayesianGame: ("prior", "payoffs"),
    MarkovGame: ("payoffs", "transitions", "discount", "initial"),
    IncompleteInformationMarkovGame: ("payoffs", "transitions", "observations", "discount", "initial"),
    PublicPrivateGame: ("payoffs", "transitions", "type_prior", "discount", "initial"),
    ExtensiveFormGame: ("parent", "player", "information_set", "branch", "probability", "payoffs"),
}

Data = dict[str, Any]


def problem_data(problem: Problem) -> Data:
    """The exact numbers of a problem.

    Payoffs, kernels, priors and temperatures are the binary floats stored. The reference is
    ``ρ ∝ exp(log_reference)`` with the stored logarithms, normalised exactly; Shannon entropy is recorded as such,
    because its ``log A`` is no float.

    Args:
        problem: The problem, its values known, at scale 1.

    Returns:
        ``game`` (the class), ``continuation``, ``shannon`` and arrays by name.

    Raises:
        InputError: For a game of another class, or values that are not known (under ``jit``).
    """
    kind = type(problem.game)
    if kind not in FIELDS:
        raise InputError("game", f"is a {kind.__name__}, of which nothing can be proved")
    if not concrete(problem.tau) or problem.tau.ndim != 2 or float(problem.scale) != 1.0:
        raise InputError("problem", "must be a single one, at scale 1, with known values: no proofs under jit or vmap")
    arrays = {name: np.asarray(getattr(problem.game, name)) for name in FIELDS[kind]}
    arrays["action_mask"] = np.asarray(problem.mask)
    arrays["tau"] = np.asarray(problem.tau)
    arrays["log_reference"] = np.asarray(problem.log_reference)
    shannon = bool((np.asarray(problem.rent) > 0).any())
    plain = {name: a.astype(np.float64) if a.dtype.kind == "f" else a for name, a in arrays.items()}
    return {"game": kind.__name__, "continuation": problem.continuation, "shannon": shannon, **plain}


def same_data(first: Data, second: Data) -> bool:
    """Whether two problems are the same to the last bit."""
    return first.keys() == second.keys() and all(
        np.shape(first[name]) == np.shape(second[name]) and bool(np.all(np.equal(first[name], second[name])))
        if isinstance(second[name], np.ndarray)
        else first[name] == second[name]
        for name in second
    )
