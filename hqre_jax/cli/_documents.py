"""What the commands say as JSON: nested lists without padding, null for what is no number."""

import json
from typing import Any

import jax.numpy as jnp
import numpy as np

from hqre_jax.problem import Problem
from hqre_jax.solving._solution import Solution


def solution_document(sol: Solution, tau_origin: str) -> dict[str, Any]:
    """Everything about a solution; lists are (player, information state, action) in the game's order."""
    certificate = sol.certificate
    return {
        **names(sol.problem),
        "policy": sol.unpadded_policy(),
        "values": per_state(sol.values, sol.problem),
        "initial_values": np.asarray(sol.initial_values).tolist(),
        "residual": float(sol.residual),
        "result": str(sol.result),
        "num_steps": int(sol.num_steps),
        "solver": sol.solver,
        "selection": str(sol.selection),
        "tau": per_state(sol.tau, sol.problem),
        "tau_origin": tau_origin,
        "continuation": sol.continuation,
        "certificate": {
            "verdict": str(certificate.verdict),
            "margin": certificate.margin,
            "contraction": certificate.contraction,
        },
    }


def per_state(values: Any, problem: Problem) -> list[list[float]]:
    """``(player, state)`` as lists without padding."""
    used, array = np.asarray(jnp.any(problem.mask, axis=-1)), np.asarray(values)
    return [array[i, used[i]].tolist() for i in range(len(used))]


def per_action(policy: Any, problem: Problem) -> list[list[list[float]]]:
    """``(player, state, action)`` as lists without padding."""
    mask, array = np.asarray(problem.mask), np.asarray(policy)
    return [[array[i, x, mask[i, x]].tolist() for x in np.flatnonzero(mask[i].any(-1))] for i in range(len(mask))]


def names(problem: Problem) -> dict[str, Any]:
    """Of the game, and of whatever one can say or do in it."""
    mask, labels = np.asarray(problem.mask), problem.game.labels
    states = [np.flatnonzero(own.any(-1)).tolist() for own in mask]
    players = range(len(mask))
    return {
        "game": labels.title,
        "players": [labels.player(i) for i in players],
        "information_states": [[labels.information_state(i, x) for x in states[i]] for i in players],
        "actions": [
            [[labels.action(i, x, int(a)) for a in np.flatnonzero(mask[i, x])] for x in states[i]] for i in players
        ],
    }


def strict_json(document: Any) -> str:
    """JSON as the standard has it: infinities and NaN, which it lacks, become null."""
    return json.dumps(_finite(document), allow_nan=False, indent=None)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
