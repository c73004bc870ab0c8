"""How fast a solve approached its answer, beside what theory promised."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hqre_jax._solution import Solution
from hqre_jax._types import InputError
from hqre_jax.plotting._canvas import COLOURS, axes_or_new, legend, title

# An iterate as close to the answer as the answer to the truth has no distance worth drawing.
_RESOLVED = 10.0


def convergence(sol: Solution, bound: float | None = None, ax: Any = None) -> Any:
    """Draw divergence from the answer and residual at each step, on a logarithmic axis.

    ``D_k = Σ_x w_x KL(π*_x ‖ π^k_x)`` uses the certificate's weights w where there are some and ``w = 1`` where
    there are none; π* is the last iterate. Beside it stands the line ``D_0 q^k``.

    Args:
        sol: A solution with ``history`` (``solve(..., history=True)``).
        bound: Factor q per step, in (0, 1). By default, where a run of mirror descent has a certified margin κ,
            that of T2 at the solver's own default step ``η = κ/L²``, ``q = 1/(1+ηκ)``; for a step chosen by
            hand pass its q.
        ax: Matplotlib axes; those of a new figure by default.

    Returns:
        The axes.

    Raises:
        InputError: If the solution has no history or the bound is no factor.

    Source: theory.md, T2.
    """
    if sol.history is None:
        raise InputError("sol", "has no history: call solve(..., history=True)")
    if bound is not None and not 0 < bound < 1:
        raise InputError("bound", f"is {bound!r}; a factor per step must lie strictly between 0 and 1")
    weights, q, statement = _theory(sol, bound)
    residuals = np.asarray(sol.history.residuals)
    steps = np.arange(len(residuals))
    divergences = _divergences(np.asarray(sol.history.policies), weights)
    resolved = (divergences > 0) & ~(residuals <= _RESOLVED * residuals[-1])

    ax = axes_or_new(ax)
    symbol = "$D_k$ (nats)"
    if resolved.any():
        ax.plot(steps[resolved], divergences[resolved], color=COLOURS[0], label=f"divergence {symbol}")
    seen = np.isfinite(residuals) & (residuals > 0)
    marker = "." if seen.sum() == 1 else None
    ax.plot(steps[seen], residuals[seen], color=COLOURS[2], ls=":", marker=marker, label="residual (probability)")
    if q is not None and divergences[0] > 0:
        last = int(steps[resolved][-1]) if resolved.any() else 1
        line = steps[: last + 1]
        ax.plot(line, divergences[0] * q**line, color=COLOURS[1], ls="--", label=statement)
    ax.set_yscale("log")
    ax.set_xlabel(f"step of {sol.solver.replace('_', ' ')}")
    ax.set_ylabel("divergence (nats), residual (probability)")
    ax.set_title(title(sol.problem.game.labels, "Convergence"))
    ax.grid(alpha=0.3)
    legend(ax)
    return ax


def _theory(sol: Solution, bound: float | None) -> tuple[Float[np.ndarray, "player state"], float | None, str]:
    """The weights of D, the factor per step, and what the line may be called."""
    known = sol.certificate
    used = np.asarray(jnp.any(sol.problem.mask, axis=-1))
    margin = None if known.margin is None else float(known.margin)
    certified = margin is not None and margin > 0
    weights = np.asarray(known.weights, np.float64) if certified else used.astype(np.float64)
    if bound is not None:
        return weights, float(bound), f"$D_0\\,q^k$, q = {bound:.4g}"
    if not certified or sol.solver != "mirror_descent" or not np.isfinite(known.max_step):
        return weights, None, ""
    eta = float(known.max_step)
    q = 1 / (1 + eta * margin)
    return weights, q, f"T2: $D_0\\,q^k$, q = {q:.4g} at η = κ/L² = {eta:.3g}"


def _divergences(
    policies: Float[np.ndarray, "step player state action"], weights: Float[np.ndarray, "player state"]
) -> Float[np.ndarray, " step"]:
    """``Σ_x w_x KL(π*_x ‖ π^k_x)`` with π* the last one, exact to rounding also where the two almost agree.

    ``KL(p‖q) = Σ p φ(q/p − 1)`` with ``φ(t) = t − log(1+t)``, because both sum to 1: terms of the size of the
    result instead of differences of much larger ones.
    """
    target = policies[-1]
    positive = target > 0
    ratio = np.where(positive, policies / np.where(positive, target, 1.0) - 1.0, 0.0)
    with np.errstate(divide="ignore"):
        terms = np.where(positive, target * (ratio - np.log1p(ratio)), policies)
    return np.maximum(np.einsum("kixa,ix->k", terms, weights), 0.0)
