"""What is asked of every lane alike."""

from dataclasses import dataclass, field
from typing import Any

import jax
from jaxtyping import Array, Int

from hqre_jax.games._game import Continuation
from hqre_jax.problem import Entropy
from hqre_jax.solvers._solver import AbstractSolver


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Options:
    """The part of the question that is the same for all lanes.

    Attributes:
        method: The solver; None for the automatic choice.
        entropy: "kl" or "shannon".
        continuation: "soft", "plain" or "zero_sum".
        tol: Largest acceptable residual, a number of numpy if it is known.
        max_steps: Largest number of steps; None for each solver's own default.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from hqre_jax.solvers.batch import Options
        >>> options = Options(method=None, entropy="kl", continuation="soft", tol=1e-8, max_steps=jnp.array(50))
        >>> [float(leaf) for leaf in jax.tree.leaves(options)]  # what may change without a program being compiled anew
        [1e-08, 50.0]
    """

    method: AbstractSolver | None
    entropy: Entropy = field(metadata={"static": True})
    continuation: Continuation = field(metadata={"static": True})
    tol: Any
    max_steps: Int[Array, ""] | None
