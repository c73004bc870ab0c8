"""What a step is remembered by: numbers by role and by type of token, as JSON has them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hqre_jax.bridge.finetuning._batch import Batch
from hqre_jax.bridge.finetuning._learner import Learnt
from hqre_jax.bridge.finetuning._plays import Play
from hqre_jax.bridge.finetuning._turns import KINDS, in_later_rounds


def play_metrics(plays: Sequence[Play]) -> dict[str, Any]:
    """Of plays: mean score, share with an answer, tokens generated."""
    return {
        "score": float(np.mean([play.score for play in plays])),
        "answered": float(np.mean([play.answer is not None for play in plays])),
        "generated": sum(play.num_tokens for play in plays),
    }


def sampling_gap(batch: Batch, learnt: Learnt) -> float:
    """How far who sampled is from the policy that is trained: mean |difference| of log-probabilities, nats a token."""
    mask = np.asarray(batch.turns.mask)
    return float(np.abs(batch.sampled - np.asarray(learnt.played))[mask].mean())


def learning_metrics(batch: Batch, learnt: Learnt, is_mirror: bool) -> dict[str, Any]:
    """Of an adapter's step: losses, gradients, the distance to the exact mirror step, and what its roles became.

    By role and type of token: mean divergences in nats a token, and entropy, after the step.

    Args:
        batch: The turns.
        learnt: What came of them.
        is_mirror: Whether the step was to be a mirror step; else it has no distance to one.
    """
    turns = batch.turns
    mask, kinds = np.asarray(turns.mask), np.asarray(turns.kinds)
    own = np.asarray(batch.roles)
    cost = turns.price * np.sum(mask, axis=1)
    reward = np.asarray(turns.score - cost - in_later_rounds(cost, turns))
    first = np.ones(len(own), bool) if turns.round is None else np.asarray(turns.round) == 0
    roles: dict[str, Any] = {}
    for role in dict.fromkeys(batch.roles):
        mine = own == role
        by_kind = {}
        for place, kind in enumerate(KINDS):
            chosen = mask & (kinds == place) & mine[:, None]
            if chosen.any():
                tau = float(np.asarray(turns.tau)[chosen][0])
                by_kind[kind] = {"tokens": int(chosen.sum()), "tau": tau, **_seen(learnt, chosen)}
        roles[role] = {
            "reward": number(float(reward[mine & first].mean())),
            "tokens": int(mask[mine].sum()),
            "kinds": by_kind,
        }
    return {
        "losses": [number(loss) for loss in learnt.losses],
        "gradients": [number(norm) for norm in learnt.norms],
        "distance": _mean(learnt.last.left, mask) if is_mirror else None,
        "distance_before": _mean(learnt.last.whole, mask) if is_mirror else None,
        "roles": roles,
    }


def _seen(learnt: Learnt, chosen: np.ndarray) -> dict[str, float | None]:
    look = learnt.last
    return {
        "kl": _mean(look.reference, chosen),
        "moved": _mean(look.before, chosen),
        "entropy": _mean(look.entropy, chosen),
    }


def _mean(values: Any, chosen: np.ndarray) -> float | None:
    return number(float(np.asarray(values, float)[chosen].mean())) if chosen.any() else None


def number(value: float) -> float | None:
    """A number as JSON has it; None where it is none."""
    return value if math.isfinite(value) else None


def shown(line: Mapping[str, Any]) -> str:
    """A step in a few words, for somebody who watches."""
    kinds: dict[str, list[tuple[float, float]]] = {}
    for adapter in line["adapters"].values():
        for role in adapter["roles"].values():
            for kind, seen in role["kinds"].items():
                kinds.setdefault(kind, []).append((seen["kl"] or 0.0, seen["entropy"] or 0.0))
    parts = [f"score {line['score']:.2f}"]
    for kind, seen in kinds.items():
        kl, entropy = np.mean(seen, axis=0)
        parts.append(f"{kind} KL {kl:.3f} H {entropy:.2f}")
    parts.append(f"{line['tokens']:,} tokens")
    return ", ".join(parts)
