"""The numbers that a problem consists of, exactly as they are stored: what a proof is about."""

from typing import Any

import numpy as np

from hqre_jax.core._temperatures import concrete
from hqre_jax.core._types import InputError
from hqre_jax.games import (
    BayesianGame,
    ExtensiveFormGame,
    IncompleteInformationMarkovGame,
    MarkovGame,
    NormalFormGame,
    PolymatrixGame,
    PublicPrivateGame,
)
from hqre_jax.problem import Problem

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

# Exact for whatever a game stores, so that a problem looks the same whatever it was built under.
_WIDEST = {"f": np.float64, "i": np.int64}


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
    plain = {name: a.astype(_WIDEST.get(a.dtype.kind, a.dtype)) for name, a in arrays.items()}
    return {
        "game": kind.__name__,
        "continuation": problem.continuation,
        "shannon": problem.entropy == "shannon",
        **plain,
    }


def same_data(first: Any, second: Data) -> bool:
    """Whether two problems are the same: the same names, and by each the same shape, type and value.

    Args:
        first: A problem, or anything else that a file held in its place.
        second: A problem; see `problem_data`.
    """
    return type(first) is dict and first.keys() == second.keys() and all(_same(first[n], v) for n, v in second.items())


def _same(first: Any, second: Any) -> bool:
    if type(first) is not type(second):
        return False
    if not isinstance(second, np.ndarray):
        return first == second
    return first.dtype == second.dtype and np.array_equal(first, second)
