"""From recorded runs to numbers with intervals."""

from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float, Int

from benchmarks.language_models._measure import wilson
from benchmarks.selection._entries import Entry
from benchmarks.selection._games import Recorded
from hqre_jax.stability import drift_index, oscillation_index

# Probability of a convention from which on a run has ended in it.
COORDINATED = 0.9
_UNIT = 10_000  # probabilities are recorded in units of 1/_UNIT
_DRAWS, _LEVEL = 2000, 0.95

Paths = Float[np.ndarray, "run round agent choice"]


def encode(paths: Paths) -> Int[np.ndarray, "run round agent other"]:
    """Probabilities to four digits; the last choice's are what is left."""
    return np.round(_UNIT * paths[..., :-1]).astype(np.uint16)


def decode(kept: Int[np.ndarray, "run round agent other"], mask: Bool[np.ndarray, "agent choice"]) -> Paths:
    """Probabilities of valid choices from what `encode` kept."""
    known = kept.astype(float)
    last = np.maximum(_UNIT - known.sum(-1, keepdims=True), 0.0)
    found = np.where(mask, np.concatenate([known, last], axis=-1), 0.0)
    return found / found.sum(-1, keepdims=True)


def measure(entry: Entry, recorded: Recorded, paths: Paths) -> dict[str, Any]:
    """The row of an entry.

    Args:
        entry: The entry.
        recorded: The game.
        paths: Policies of every run; of an equilibrium itself alone.
    """
    final, late = paths[:, -1], paths[:, paths.shape[1] // 2 :]
    ended = conventions_of(recorded, final)
    there = int((ended >= 0).sum())
    row: dict[str, Any] = {
        "name": entry.name, "tau": None if entry.tau is None else entry.tau[:, 0].tolist(),
        "certified": entry.certified, "step": entry.step, "runs": len(paths),
        "coordinated": {"count": there, "low": wilson(there, len(paths))[0], "high": wilson(there, len(paths))[1]},
        "conventions": np.bincount(ended[ended >= 0], minlength=len(recorded.conventions)).tolist(),
        "spread": spread(final),
        "right": bootstrapped(recorded.right(final)),
        "tokens": bootstrapped(recorded.tokens(final)),
        "utility": bootstrapped(recorded.utility(final)),
        "regret": bootstrapped(recorded.regret(late).sum(-1).mean(1)),
        "soft_regret": None if entry.tau is None else bootstrapped(soft_regret(entry, recorded, late).mean(1)),
    }  # fmt: skip
    if entry.learns:
        row["swing"] = bootstrapped(np.ptp(late, axis=1).max(-1).mean(-1))
        seen = [one[:, :, None] for one in late]  # (round, agent, information state, choice)
        row["oscillation"] = bootstrapped(np.array([np.mean(oscillation_index(one)) for one in seen]))
        row["drift"] = middle(np.array([np.mean(drift_index(one)) for one in seen]))
    return row


def conventions_of(recorded: Recorded, policies: Float[np.ndarray, "run agent choice"]) -> Int[np.ndarray, " run"]:
    """The convention that is played with probability `COORDINATED` at least; −1 where none is."""
    if not len(recorded.conventions):
        return np.full(len(policies), -1)
    agents = np.arange(policies.shape[1])
    chance = np.stack([policies[:, agents, profile].prod(-1) for profile in recorded.conventions], axis=-1)
    return np.where(chance.max(-1) >= COORDINATED, chance.argmax(-1), -1)


def spread(final: Float[np.ndarray, "run agent choice"]) -> dict[str, float]:
    """Mean total variation between the policies of two runs, averaged over agents: 0 where all runs end alike.

    The bootstrap compares no run with its own copy.
    """
    apart = 0.5 * np.abs(final[:, None] - final).sum(-1).mean(-1)
    rng, count, drawn = np.random.default_rng(0), len(final), list[float]()
    for _ in range(_DRAWS):
        runs = rng.integers(count, size=count)
        pairs = runs[:, None] != runs
        if pairs.any():
            drawn.append(float(apart[np.ix_(runs, runs)][pairs].mean()))
    low, high = np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return {"mean": float(apart.sum() / (count * (count - 1))), "low": float(low), "high": float(high)}


def soft_regret(
    entry: Entry, recorded: Recorded, policies: Float[np.ndarray, "*run agent choice"]
) -> Float[np.ndarray, "*run"]:
    """What the agents' regularised best responses would gain, ``Σ_i τ_i KL(π_i ‖ BR_i(π))``, units of score (T3)."""
    assert entry.tau is not None
    logits = np.where(recorded.mask, recorded.values(policies) / entry.tau, -np.inf)
    logits = logits - logits.max(-1, keepdims=True)
    log_best = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(policies > 0, policies * (np.log(policies) - log_best), 0.0)
    return np.sum(entry.tau[:, 0] * terms.sum(-1), axis=-1)


def bootstrapped(values: Float[np.ndarray, " run"]) -> dict[str, float]:
    """The mean of runs with its percentile interval, runs being drawn with replacement."""
    rng = np.random.default_rng(0)
    drawn = values[rng.integers(len(values), size=(_DRAWS, len(values)))].mean(1)
    low, high = np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high)}


def middle(values: Float[np.ndarray, " run"]) -> dict[str, float | None]:
    """The median of runs, with the interval of order statistics; None stands for infinity."""
    ranked = np.sort(values)
    cut = int(scipy.stats.binom.ppf((1 - _LEVEL) / 2, len(ranked), 0.5))
    found = {"median": float(np.median(ranked)), "low": ranked[cut - 1], "high": ranked[-cut]}
    return {name: float(value) if np.isfinite(value) else None for name, value in found.items()}
