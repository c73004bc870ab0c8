"""Games in which T4's constants are attained: pure rewards, pure steering, and an agent whom nobody affects."""

import numpy as np

import hqre_jax as hq
from proofs_check.comparison import Sides
from proofs_check.experiment import Drawing
from proofs_check.statement import Example
from proofs_check.t4_markov import games
from proofs_check.t4_markov.claims import COUPLED, PLAIN, SOFT
from proofs_check.t4_markov.experiments import contraction, plain, sample_noise, sample_pairs
from proofs_check.t4_markov.games import CertifiedMarkov, settled


def matching(steering: bool) -> tuple[np.ndarray, np.ndarray]:
    """Two states, 2×2: payoff for a match under a fixed kernel, or payoff for a state that a match leads to."""
    match = np.broadcast_to(np.eye(2), (2, 2, 2))
    if steering:
        payoffs = np.broadcast_to(np.array([0.0, 1.0])[None, :, None, None], (2, 2, 2, 2))
        return payoffs, np.stack([1 - match, match], axis=-1)
    return np.stack([match, match]), np.full((2, 2, 2, 2), 0.5)


def alone(ratio: float) -> CertifiedMarkov:
    """One state, two agents with two actions, each paid ``ratio`` for its second one, whatever the other does.

    (Next to whatever: a billionth of it makes A irreducible.) At τ = 1 action values differ by R = ``ratio``; there the
    reference leads to a policy that gives the worse action ``(R−1)/2R``.
    """
    own, other = ratio * np.arange(2.0), 1e-9 * np.arange(2.0)
    payoffs = np.stack([own[:, None] + other, other[:, None] + own])[None, :, None]
    likely = (ratio - 1) / (2 * ratio)
    logits = np.broadcast_to(np.array([np.log(likely / (1 - likely)) + ratio, 0.0]), (1, 2, 1, 2))
    parts = payoffs, np.ones((1, 1, 2, 2, 1)), np.full(1, 0.5)
    return settled(hq.MarkovGame, parts, np.ones((1, 2, 1)), logits, "plain")


def examples() -> tuple[Example, ...]:
    """(a) and (b) in a game of pure rewards and one of pure steering, at close pairs found by ascent; (f) alone."""
    both = [matching(False), matching(True)]
    gamma = np.array([0.5, 0.5])
    payoffs, kernels = (np.stack(parts) for parts in zip(*both, strict=True))
    tau = np.broadcast_to(np.array([4.0, 4.0])[:, None, None], (2, 2, 2))
    cases = settled(hq.MarkovGame, (payoffs, kernels, gamma), tau, np.zeros((2, 2, 2, 2)))
    claims = contraction(cases, sample_pairs(cases, _first(2)))
    found = []
    for g, name in enumerate(("rewards for matching", "steering by matching")):
        for quantity, claim in (("‖ΔTQ‖/‖ΔQ‖ over q", SOFT), ("‖Δ(z,V)⁺‖/‖Δ(z,V)‖ over 1−α(1−q)", COUPLED)):
            found.append(Example(name, quantity, *_closest(claims[claim], g)))
    nobody = alone(3.0)
    sides = plain(nobody, sample_noise(nobody, _first(1)))[PLAIN]
    return (*found, Example("plain, nobody else matters, R = 3", "‖ΔTQ‖/‖ΔQ‖ over γc", *_closest(sides, 0)))


def _first(num: int) -> Drawing:
    """Of games that nobody draws."""
    return Drawing(games.THREE, np.random.default_rng(0), num, 0, num, None)


def _closest(sides: Sides, game: int) -> tuple[float, float]:
    """Observed and bound of the pair of one game that comes closest."""
    observed, bound = np.asarray(sides.observed)[game], np.asarray(sides.bound)[game]
    best = np.argmax(observed / bound)
    return float(observed[best]), float(bound[best])
