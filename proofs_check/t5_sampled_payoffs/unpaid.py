"""Payoffs of 0, where the floor of mirror descent on sampled payoffs is known in closed form."""

import jax
import numpy as np

import hqre_jax as hq
from proofs_check.games.certified import Certified, posed
from proofs_check.numerics.compiled import split_keys
from proofs_check.statement import Example
from proofs_check.t5_sampled_payoffs.claims import NUM_STEPS, Sample, observe

# Copies of a game whose floor is measured to about 1 %.
_COPIES = 40


def two_actions(tau: np.ndarray) -> Certified:
    """One agent with two actions that pay nothing, beside one with a single action."""
    return posed(hq.NormalFormGame, (np.zeros((len(tau), 2, 2, 2)),), tau)


def examples() -> tuple[Example, ...]:
    """The floor, and its halves at half the step and at half of σ², where payoffs are 0; and the bound beside it.

    Each agent's logits are a linear recursion there, whose variance is known at every step. The mean over copies of
    the game is compared with it: its own error is about 1 %.
    """
    eta, size = np.array([0.1, 0.05, 0.1]), np.array([0.1, 0.1, 0.1 / np.sqrt(2)])
    copied = np.repeat(np.arange(3), _COPIES)
    cases = two_actions(np.ones(len(copied)))
    keys, ones = split_keys(jax.random.key(0), len(copied)), np.ones(len(copied))
    # With τ = 1 = κ and L = 0 the factor 1 is ηκ = 1.
    sample = Sample(size[copied], 0 * ones, eta[copied], ones, keys)
    floor = observe(cases, sample).floor.reshape(3, -1).mean(axis=1)
    variance = size**2 * float(cases.known.weights[0].sum())
    steps = np.arange(NUM_STEPS // 2, NUM_STEPS) + 1
    found = []
    for g in range(3):
        damping = 1 / (1 + eta[g]) ** 2
        # The two signs differ by 2 or not at all: E z² = 2η²σ² Σ_{j=1}^k (1+η)^{-2j}, and D = z²/8 + O(z⁴).
        spread = 2 * eta[g] ** 2 * variance[g] * damping * np.mean((1 - damping**steps) / (1 - damping))
        name = f"payoffs 0, τ = 1, η = {eta[g]:g}, σ² = {variance[g]:g}"
        found.append(Example(name, "floor measured / known", float(floor[g]), float(spread / 8)))
        bound = eta[g] * variance[g] * np.mean(1 - (1 + eta[g]) ** -steps.astype(float))
        found.append(Example(name, "floor measured / bound", float(floor[g]), float(bound)))
    return tuple(found)
