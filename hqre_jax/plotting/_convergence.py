"""How fast a solve approached its answer, beside what theory promised."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hqre_jax.core._types import InputError
from hqre_jax.plotting._canvas import COLOURS, GREY, axes_or_new, legend, set_title
from hqre_jax.problem import Problem
from hqre_jax.solving._solution import Solution
from hqre_jax.solving._solve import solve

# An iterate as close to the answer as the answer to the truth has no distance worth drawing.
_RESOLVED = 10.0


def convergence(sol: Solution | Problem, bound: float | None = None, ax: Any = None) -> Any:
    """Draw divergence from the answer and residual at each step, on a logarithmic axis.

    ``D_k = Σ_x w_x KL(π*_x ‖ π^k_x)`` uses the certificate's weights w where there are some and ``w = 1`` where
    there are none; beside it stands the line ``D_0 q^k``. π* is the last iterate, so that nothing but the
    residual is drawn of a solve that failed.

    Args:
        sol: A solution with ``history`` (``solve(..., history=True)``), or a problem, which is then solved.
        bound: Factor q per step, in (0, 1). By default, where a run of mirror descent has a certified margin κ,
            that of T2 at the solver's own default step ``η = κ/L²``, ``q = 1/(1+ηκ)``; for a step chosen by
            hand pass its q.
        ax: Matplotlib axes; those of a new figure by default.

    Returns:
        The axes.

    Raises:
        InputError: If the solution has no history or the bound is no factor.

    Source: theory.md, T2.

    Example:
        >>> import hqre_jax as hq
        >>> solution = hq.solve(hq.load_game("stag_hunt"), 8.0, solver="fixed_point", history=True)
        >>> axes = hq.plotting.convergence(solution)
        >>> axes.get_yscale(), len(axes.lines)
        ('log', 2)
    """
    sol = solve(sol, history=True) if isinstance(sol, Problem) else sol
    if sol.history is None:
        raise InputError("sol", "has no history: call solve(..., history=True)")
    if bound is not None and not 0 < bound < 1:
        raise InputError("bound", f"is {bound!r}; a factor per step must lie strictly between 0 and 1")
    weights, q, statement = _theory(sol, bound)
    residuals = np.asarray(sol.history.residuals)
    steps = np.arange(len(residuals))
    divergences = _divergences(np.asarray(sol.history.policies), weights)
    # Without success there is no π* to measure from.
    resolved = (divergences > 0) & ~(residuals <= _RESOLVED * residuals[-1]) & bool(sol.successful)

    ax = axes_or_new(ax)
    lines: list[tuple[np.ndarray, np.ndarray]] = []

    def draw(x: np.ndarray, y: np.ndarray, label: str, colour: str, dashes: str) -> None:
        ax.plot(x, y, color=colour, ls=dashes, marker="." if len(x) == 1 else None, label=label)
        lines.append((x, y))

    if resolved.any():
        draw(steps[resolved], divergences[resolved], "divergence $D_k$ (nats)", COLOURS[0], "-")
    seen = np.isfinite(residuals) & bool((residuals > 0).any())
    if seen.any():
        # A residual of exactly 0 is drawn at the rounding of probabilities, or success would be missing.
        rounding = np.finfo(residuals.dtype).eps / 2
        draw(steps[seen], np.maximum(residuals[seen], rounding), "residual (probability)", COLOURS[2], ":")
    if q is not None and resolved.any():
        line = steps[: steps[resolved][-1] + 1]
        draw(line, divergences[0] * q**line, statement, COLOURS[1], "--")
    _frame(ax, lines)
    ax.set_xlabel(f"step of {sol.solver.replace('_', ' ')}")
    ax.set_ylabel("divergence (nats), residual (probability)" if resolved.any() else "residual (probability)")
    set_title(ax, sol.problem.game.labels, "Convergence")
    legend(ax)
    return ax


def _frame(ax: Any, lines: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """A logarithmic axis of whole decades, and steps that are whole numbers."""
    ax.set_yscale("log")
    if lines:
        values = np.concatenate([y for _, y in lines])
        low, high = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()))
        ax.set_ylim(10.0 ** (low - 0.1), 10.0 ** (max(high, low + 1) + 0.1))
    else:
        ax.text(0.5, 0.5, "the start was the answer", transform=ax.transAxes, ha="center", color=GREY)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.3)


def _theory(sol: Solution, bound: float | None) -> tuple[Float[np.ndarray, "player state"], float | None, str]:
    """The weights of D, the factor per step, and what the line may be called."""
    known = sol.certificate
    weights = np.asarray(jnp.any(sol.problem.mask, axis=-1), np.float64)
    if known.weights is not None and known.margin is not None and known.margin > 0:
        weights = np.asarray(known.weights, np.float64)
    if bound is not None:
        return weights, float(bound), f"$D_0\\,q^k$, q = {bound:.4g}"
    eta = known.max_step
    if known.margin is None or eta is None or not np.isfinite(eta) or sol.solver != "mirror_descent":
        return weights, None, ""
    q = 1 / (1 + eta * known.margin)
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
