"""The HQRE of a game as a whole, at temperatures with and without a certificate, beside its conventions (T8)."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

import hqre_jax as hq
from benchmarks.selection._entries import FACTORS, Tau, Temperatures
from benchmarks.selection._games import Policy, Recorded
from hqre_jax.bounds import bounds
from hqre_jax.bounds._certificates import Verdict
from hqre_jax.bridge.coordination import find_equilibria
from hqre_jax.problem import Problem

DRAWS, _LEVEL = 200, 0.95


def equilibria(recorded: Recorded, temperatures: Temperatures) -> dict[str, Any]:
    """Conventions, and HQRE at several temperatures.

    Args:
        recorded: The game.
        temperatures: Its least temperatures.

    Returns:
        The conventions; and one row for each of the temperatures. Intervals resample questions; policies and
        temperatures stay what they are.
    """
    resampled = _questions(recorded)
    pure = np.eye(recorded.mask.shape[1])[recorded.conventions]
    conventions = [
        {"profile": recorded.named(profile), **_worth(recorded, policy, resampled)}
        for profile, policy in zip(recorded.conventions, pure, strict=True)
    ]
    best = pure[int(np.argmax(recorded.utility(pure)))] if len(pure) else None
    tried = {"common": temperatures.common}
    if temperatures.differ:
        tried["roles'"] = temperatures.roles
    tried |= {f"× {factor:g}": factor * temperatures.roles for factor in FACTORS}
    rows = [_row(recorded, name, tau, best, resampled) for name, tau in tried.items()]
    beside = None
    if temperatures.differ:
        common, roles = (np.array(row["policy"]) for row in rows[:2])
        beside = _beside(recorded, roles, common, resampled)
    return {"conventions": conventions, "rows": rows, "roles_beside_common": beside}


def bias(tau: Tau, mask: np.ndarray) -> float:
    """``Σ_i τ_i log A_i``, the most that entropy can weigh, units of score."""
    return float(np.sum(tau[:, 0] * np.log(mask.sum(-1))))


def _row(recorded: Recorded, name: str, tau: Tau, best: Policy | None, resampled: np.ndarray) -> dict[str, Any]:
    solution, certificate = hq.solve(recorded.game, tau), hq.certify(recorded.game, tau)
    policy, unique = np.asarray(solution.policy)[:, 0], certificate.verdict == Verdict.unique
    margins = _margins(recorded, tau, resampled)
    low, high = np.quantile(margins, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return {
        "temperatures": name, "tau": tau[:, 0].tolist(), "bias": bias(tau, recorded.mask),
        "margin": {"mean": certificate.margin, "low": float(low), "high": float(high)},
        "verdict": str(certificate.verdict), "selection": str(solution.selection), "residual": float(solution.residual),
        "found": 1 if unique else len(find_equilibria(recorded.game, tau)), "policy": policy.tolist(),
        **_worth(recorded, policy, resampled),
        "regret": float(recorded.regret(policy).sum()),
        "beside_convention": None if best is None else _beside(recorded, policy, best, resampled),
    }  # fmt: skip


def _questions(recorded: Recorded) -> Float[np.ndarray, "draw question"]:
    """How often each question is taken, draw by draw."""
    rng, count = np.random.default_rng(0), recorded.questions
    return rng.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(float)


def _of_questions(recorded: Recorded, policy: Policy) -> Mapping[str, Float[np.ndarray, " question"]]:
    """What a policy comes to on each question."""
    agents = np.arange(len(policy))
    chance = policy[agents, recorded.profiles].prod(-1)
    right = recorded.scores @ chance
    paid = np.sum(recorded.costs * policy, axis=(1, 2))
    count = np.bincount(recorded.question)
    return {
        "right": np.bincount(recorded.question, right) / count,
        "utility": np.bincount(recorded.question, right - paid) / count,
    }


def _worth(recorded: Recorded, policy: Policy, resampled: np.ndarray) -> dict[str, Any]:
    found = {name: _interval(own, resampled) for name, own in _of_questions(recorded, policy).items()}
    return {**found, "tokens": float(recorded.tokens(policy))}


def _beside(recorded: Recorded, policy: Policy, other: Policy, resampled: np.ndarray) -> dict[str, Any]:
    """What a policy comes to less what another one does, on the same questions."""
    one, two = (_of_questions(recorded, each) for each in (policy, other))
    return {name: _interval(one[name] - two[name], resampled) for name in one}


def _interval(own: Float[np.ndarray, " question"], resampled: np.ndarray) -> dict[str, float]:
    low, high = np.quantile(resampled @ own / len(own), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return {"mean": float(own.mean()), "low": float(low), "high": float(high)}


def _margins(recorded: Recorded, tau: Tau, resampled: np.ndarray) -> Float[np.ndarray, " draw"]:
    """Margins of the games of resampled questions."""
    score = np.stack([np.bincount(recorded.question, column) for column in recorded.scores.T], -1)
    count = np.bincount(recorded.question)
    cost = np.stack([recorded.costs[recorded.question == q].sum(0) for q in range(len(count))])
    plays = (resampled @ count)[:, None]
    drawn = resampled @ score / plays, np.tensordot(resampled, cost, 1) / plays[..., None]
    payoffs = np.stack([np.asarray(recorded.of_means(*one).payoffs) for one in zip(*drawn, strict=True)])
    return np.asarray(_margins_of(payoffs, recorded.mask[:, None], tau))


@jax.jit
def _margins_of(payoffs: Any, mask: Any, tau: Any) -> Any:
    return jax.vmap(lambda one: bounds(Problem(hq.NormalFormGame(one, action_mask=mask), tau)).margin)(payoffs)
