"""Checks on discounts and transition kernels, shared by the three games that go on."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hqre_jax.core._temperatures import as_float_array, concrete
from hqre_jax.core._types import InputError, Scalar
from hqre_jax.games._checks import check_sums, distribution, expect_shape, finite, nonnegative, sum_tol
from hqre_jax.games._world_states import keep_legal


def check_discount(discount: Any, dtype: Any) -> tuple[Scalar, bool]:
    """γ as an array, and whether it is 1 (which calls for play that ends)."""
    gamma = as_float_array(discount, "discount", dtype)
    expect_shape(gamma, "discount", ())
    if not concrete(gamma):
        return gamma, False
    if not 0 <= float(gamma) <= 1:
        raise InputError("discount", f"is {float(gamma):g}; it must lie in [0, 1), or be 1 where play surely ends")
    return gamma, float(gamma) == 1


def initial_distribution(initial: Any, num_states: int, dtype: Any) -> Float[Array, " state"]:
    """The given distribution of the first state, or the uniform one."""
    if initial is None:
        return jnp.full(num_states, 1 / num_states, dtype)
    return distribution(initial, "initial", (num_states,), 1, dtype)


def check_transitions(
    transitions: Any,
    legal: Bool[Array | np.ndarray, "*rows"],
    num_targets: int,
    undiscounted: bool,
    dtype: Any,
    spread: Callable[[np.ndarray], np.ndarray],
    shape: tuple[int, ...] | None = None,
) -> Float[Array, "*given target"]:
    """A kernel whose legal rows are distributions (or less, where play surely ends); illegal rows become 0.

    Args:
        transitions: Kernel with the target state last.
        legal: Rows (world, joint action) that can occur, with the world as first axis.
        num_targets: Number of target states.
        undiscounted: Whether γ = 1, so that every policy must end play.
        dtype: Floating type.
        spread: Map of a distribution over targets to one over worlds (rows' first axis).
        shape: The user's own shape of the kernel, if it differs from ``legal.shape + (num_targets,)``.

    Returns:
        The kernel, in the user's shape.
    """
    kernel = finite(transitions, "transitions", dtype=dtype)
    expect_shape(kernel, "transitions", shape or (*legal.shape, num_targets))
    if concrete(kernel) and concrete(legal):
        p = np.asarray(kernel, np.float64)
        nonnegative(p, "transitions")
        sums, tol = p.sum(-1), sum_tol(dtype)
        good = (sums <= 1 + tol) if undiscounted else np.abs(sums - 1) <= tol
        rows = np.asarray(legal)
        good = good | ~rows.reshape(sums.shape)
        check_sums(sums, "transitions", good, "at most 1" if undiscounted else "1 (less only with discount 1)")
        if undiscounted:
            _check_transient(p.reshape(*rows.shape, num_targets), rows, spread, tol)
    return keep_legal(kernel, legal.reshape(*kernel.shape[:-1], 1))


def _check_transient(p: np.ndarray, legal: np.ndarray, spread: Callable, tol: float) -> None:
    """Reject a kernel in which some policy can stay for ever inside a set of worlds.

    Start from all worlds and strike out those in which every joint action ends play or leaves the set with
    positive probability; what cannot be struck out is a trap (a maximal end component).
    """
    reach = spread(p)
    stays = p.sum(-1) >= 1 - tol
    inside = np.ones(p.shape[0], bool)
    while True:
        can_stay = stays & ~(reach[..., ~inside] > 0).any(-1) & legal
        still = inside & can_stay.reshape(p.shape[0], -1).any(-1)
        if (still == inside).all():
            break
        inside = still
    if inside.any():
        raise InputError(
            "transitions",
            f"let play go on for ever from state {int(np.argmax(inside)) + 1} although discount is 1: "
            "let every policy end play, or take discount < 1",
        )
