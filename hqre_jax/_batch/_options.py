"""What is asked of every lane alike."""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int

from hqre_jax._game import Continuation
from hqre_jax._problem import Entropy
from hqre_jax._solver import AbstractSolver


class Options(eqx.Module):
    """The part of the question that is the same for all lanes.

    Attributes:
        method: The solver; None for the automatic choice.
        entropy: "kl" or "shannon".
        continuation: "soft", "plain" or "zero_sum".
        tol: Largest acceptable residual.
        max_steps: Largest number of steps; None for each solver's own default.
    """

    method: AbstractSolver | None
    entropy: Entropy = eqx.field(static=True)
    continuation: Continuation = eqx.field(static=True)
    tol: Float[Array | np.ndarray, ""]
    max_steps: Int[Array, ""] | None
