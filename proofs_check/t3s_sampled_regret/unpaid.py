"""Payoffs of 0, where what constant steps on sampled payoffs cost is known in closed form."""

import jax
import numpy as np

import hqre_jax as hq
from proofs_check.games.certified import posed
from proofs_check.numerics.compiled import split_keys
from proofs_check.play.sampled import NUM_ROUNDS
from proofs_check.statement import Example
from proofs_check.t3s_sampled_regret.claims import Trial, observe

# Copies of a game whose slope is measured to about 1 %.
_COPIES = 40


def examples() -> tuple[Example, ...]:
    """The slope of regret with constant steps, and with half of them, where payoffs are 0: known, and its bound f.

    Each agent's logits are a linear recursion there, whose variance is known in every round. Compared is the mean over
    copies of the game; its own error is about 1 %.
    """
    eta = np.array([0.2, 0.1])
    copied = np.repeat(np.arange(2), _COPIES)
    # With τ = 1 = κ and L = 0 the factor 1 is ηκ = 1.
    payoffs = np.zeros((len(copied), 2, 3, 3))
    mask = np.broadcast_to(np.arange(3) < 2, (len(copied), 2, 1, 3))
    cases = posed(lambda u, mask: hq.NormalFormGame(u, action_mask=mask), (payoffs, mask), np.ones(len(copied)))
    zeros, ones = np.zeros((len(copied), 2, 1, 3)), np.ones(len(copied))
    size = 0.1
    drawn = zeros, zeros, size * ones, 0 * ones, ones < 0, eta[copied], ones
    run = observe(cases, Trial(*drawn, split_keys(jax.random.key(0), len(copied))))
    measured = run.totals[:, 1].mean(axis=(1, 2)).reshape(2, _COPIES).mean(axis=1)
    bound = run.bounds[:, 1].mean(axis=1).reshape(2, _COPIES).mean(axis=1)
    found = []
    for e, total, most in zip(eta, measured, bound, strict=True):
        damping = (1 + e) ** -2.0
        # The two signs differ by 2 or not at all: E z² = 2η²s² Σ_{j≤k} (1+η)^{-2j}, and g = z²/8 + O(z⁴).
        squares = 2 * (e * size) ** 2 * damping * (1 - damping ** np.arange(NUM_ROUNDS)) / (1 - damping)
        name = f"payoffs 0, τ = 1, η = {e:g}, s = {size:g}"
        found.append(Example(name, "Σ g, constant step: measured / known", float(total), float(squares.sum() / 8)))
        found.append(Example(name, "Σ g, constant step: measured / K f", float(total), float(most)))
    return tuple(found)
