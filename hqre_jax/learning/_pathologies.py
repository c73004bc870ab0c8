"""The pathologies of T7 by name: a game, a rule, a start, and what is lost per round."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from hqre_jax.core._types import InputError
from hqre_jax.games import NormalFormGame
from hqre_jax.learning._learners import BestResponse, MirrorPlay
from hqre_jax.learning._play import AbstractDynamics
from hqre_jax.problem import Problem

NAMES = ("oscillation", "large_steps", "drift", "selection")


@dataclass(frozen=True, eq=False)
class Pathology:
    """A run that goes wrong in a known way, for `play`.

    Attributes:
        name: Its name.
        problem: The coordination game ``c·I`` at a common temperature.
        dynamics: The rule by which both agents change.
        policy0: Where they start, ``(player, information state, action)``.
        gap_slope: Best-response gap of each agent per round in the long run, units of payoff (T7).

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> case = hq.learning.pathology("oscillation")
        >>> run = hq.play(case.problem, case.dynamics, 20, jax.random.key(0), policy0=case.policy0)
        >>> run.policies[-2:, :, 0, 0].tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """

    name: str
    problem: Problem
    dynamics: AbstractDynamics
    policy0: Float[np.ndarray, "player state action"]
    gap_slope: float


def pathology(name: str, *, num_actions: int = 2, stake: float = 1.0) -> Pathology:
    """One of the pathologies of T7 in the coordination game ``c·I``, or its repair.

    * ``"oscillation"``: best responses from opposed conventions never meet: each agent loses c a round.
    * ``"large_steps"``: mirror steps at τ = c/5, below the threshold c/2, with η = 20/c, alternate (two actions only):
      ``c p(2p−1)`` a round, where p = 1/(1+e^{−x}) and ``(2+ητ) x = ηc tanh(x/2)``.
    * ``"drift"``: best responses with one mistake in ten wander between conventions: ``c (1 − 1/n)`` a round.
    * ``"selection"``: the same game from the opposed start at τ = c, where the margin is c/2, with the step of T2:
      regularised regret stays bounded. What is left per round is the gap of the HQRE itself: none, as it is uniform.

    Args:
        name: The name.
        num_actions: n ≥ 2 conventions.
        stake: c > 0, units of payoff.

    Returns:
        The `Pathology`; ``play(p.problem, p.dynamics, K, key, policy0=p.policy0)`` runs it.

    Raises:
        InputError: On an unknown name or bad numbers.

    Source: theory.md, T7.

    Example:
        >>> import hqre_jax as hq
        >>> hq.learning.pathology("oscillation").gap_slope
        1.0
    """
    if name not in NAMES:
        raise InputError("name", f"is {name!r}; it must be one of {', '.join(NAMES)}")
    if not isinstance(num_actions, int) or num_actions < 2 or (name == "large_steps" and num_actions != 2):
        raise InputError("num_actions", f"is {num_actions!r}; 2 or more are wanted (for large_steps 2)")
    if not (np.ndim(stake) == 0 and np.isfinite(stake) and stake > 0):
        raise InputError("stake", f"is {stake!r}; it must be finite and greater than 0")
    game = NormalFormGame(stake * np.broadcast_to(np.eye(num_actions), (2, num_actions, num_actions)))
    opposed = np.eye(num_actions)[[0, 1]][:, None]
    tau, dynamics, slope = _rule(name, num_actions, float(stake))
    if name in ("large_steps", "selection"):
        opposed = 0.9 * opposed + 0.1 / num_actions
    return Pathology(name, Problem(game, tau), dynamics, opposed, slope)


def _rule(name: str, num_actions: int, stake: float) -> tuple[float, Any, float]:
    """Temperature, rule, and gap per round."""
    if name == "oscillation":
        return 0.2 * stake, BestResponse(), stake
    if name == "drift":
        return 0.2 * stake, BestResponse(noise=0.1), stake * (1 - 1 / num_actions)
    if name == "selection":
        # κ = c/2 and L = c/2.
        return stake, MirrorPlay(2 / stake), 0.0
    # ητ = 4 and ηc = 20: x by bisection, as tanh(x/2)/x decreases.
    low, high = 0.0, 20 / 6
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if 20 * np.tanh(middle / 2) > 6 * middle else (low, middle)
    p = 1 / (1 + np.exp(-low))
    return 0.2 * stake, MirrorPlay(20 / stake), float(stake * p * (2 * p - 1))
