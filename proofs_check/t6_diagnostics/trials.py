"""Games and pairs of policies for T6: monotone ones, the boundary where (a) is attained, and the pathologies of T7."""

import numpy as np

from proofs_check.games.certified import Certified, Family, pose, posed
from proofs_check.games.conventions import COORDINATION as CONVENTIONS
from proofs_check.games.conventions import NUM_ACTIONS, TwoSided, alternation, opposed_starts, scales
from proofs_check.t6_diagnostics.rollouts import Trial

# Share of exploration; least probability of an action in policies drawn at random.
_EXPLORING, _FLOOR = 0.1, 0.12
BOUNDARY = Family("boundary of (a), c·I", lambda rng, num: (scales(rng, (num,)),), lambda c: c)


def _mixed(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Random policies with no probability below the floor (less for many actions)."""
    weights = rng.gamma(1.0, size=mask.shape) * mask
    random = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300)
    floor = np.minimum(_FLOOR, 0.5 / np.maximum(mask.sum(-1, keepdims=True), 1))
    return mask * floor + (1 - floor * mask.sum(-1, keepdims=True)) * random


def random_policies(rng: np.random.Generator, cases: Certified) -> Trial:
    """Two random policies for each certified game, and the largest step of T2."""
    mask = np.asarray(cases.problem.game.action_mask)
    policies = [_mixed(rng, mask) for _ in range(2)]
    return Trial(cases.problem, cases.known.weights, *policies, cases.known.max_step)


def boundary(rng: np.random.Generator, num: int) -> tuple[Certified, Trial]:
    """Two-action c·I (padded to three actions) and small moves about the uniform policy, where (a) is attained.

    Every other game is just above τ = c/2 and both agents move the same way; the others are at τ = (2 + √3) c/2 and
    the agents move in opposite directions.
    """
    size, opposed = scales(rng, (num,)), np.arange(num) % 2 == 1
    payoffs = size[:, None, None, None] * np.broadcast_to(np.eye(3), (num, 2, 3, 3))
    mask = np.broadcast_to(np.arange(3) < 2, (num, 2, 1, 3))
    cases = posed(CONVENTIONS.build, (payoffs, mask), np.where(opposed, 1 + 0.75**0.5, 0.501) * size)
    small = rng.uniform(0.02, 0.1, (num, 1, 1, 1)) * np.array([1.0, -1.0, 0.0])
    sides = np.stack([np.ones(num), np.where(opposed, -1.0, 1.0)], axis=1)[:, :, None, None]
    policies = [(0.5 + sign * sides * small) * mask for sign in (1, -1)]
    return cases, Trial(cases.problem, cases.known.weights, *policies, cases.known.max_step)


def _explored(policy: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return (1 - _EXPLORING) * policy + _EXPLORING * mask / mask.sum(-1, keepdims=True)


def swings_and_drifts(family: TwoSided, rng: np.random.Generator, num: int) -> Trial:
    """Half of the games swing between two conventions, the other half drift from one to the other."""
    arrays = family.draw(rng, num)
    cases = posed(family.build, arrays, np.ones(num))
    opposed, mask = opposed_starts(cases, rng), np.asarray(cases.problem.game.action_mask)
    first, second = opposed.own(family), opposed.faced(family)
    earned = [opposed.earned(*pair) for pair in ((first, first), (second, second), (first, second), (second, first))]
    gain = earned[0] + earned[1] - earned[2] - earned[3]
    drift = np.arange(num) % 2 == 1
    actions = mask[:, 0, 0].sum(-1)
    start = np.where(drift[:, None], first[:, :1], first)
    end = np.where(drift[:, None], second[:, :1], second)
    limit = 0.5 * (1 - _EXPLORING) * gain / np.log(1 + actions * (1 - _EXPLORING) / _EXPLORING)[:, None]
    part = np.where(drift, rng.uniform(0.1, 0.5, num), rng.uniform(0.1, 0.9, num))[:, None]
    tau = part * np.where(drift[:, None], limit, 0.25 * gain)
    policies = [_explored(np.eye(NUM_ACTIONS)[own][:, :, None], mask) for own in (start, end)]
    problem = pose(family.build, arrays, tau, np.zeros(mask.shape))
    return Trial(problem, np.ones((num, 2, 1)), *policies, np.full(num, np.inf))


def large_steps(rng: np.random.Generator, num: int) -> Trial:
    """The alternation of T7 (b), explored."""
    size = scales(rng, (num,))
    tau = size * rng.uniform(0.05, 0.4, num)
    eta = rng.uniform(1.5, 10, num) * 2 / (size / 2 - tau)
    payoffs = size[:, None, None, None] * np.broadcast_to(np.eye(NUM_ACTIONS), (num, 2, NUM_ACTIONS, NUM_ACTIONS))
    mask = np.broadcast_to(np.arange(NUM_ACTIONS) < 2, (num, 2, 1, NUM_ACTIONS))
    problem = posed(CONVENTIONS.build, (payoffs, mask), tau).problem
    likely = 1 / (1 + np.exp(-alternation(eta, tau, size)))
    policy = np.zeros(mask.shape)
    policy[:, 0, 0, 0] = policy[:, 1, 0, 1] = likely
    policy[:, 0, 0, 1] = policy[:, 1, 0, 0] = 1 - likely
    policies = [_explored(p, mask) for p in (policy, policy[:, ::-1])]
    return Trial(problem, np.ones((num, 2, 1)), *policies, eta)
