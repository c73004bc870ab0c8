"""What the commands say as JSON: nested lists without padding, null for what is no number."""

import json
from typing import Any

import jax.numpy as jnp
import numpy as np

from hqre_jax.bounds._certificates import Certificate
from hqre_jax.certificates.rigorous import Proof
from hqre_jax.problem import Problem
from hqre_jax.solving._branch import Branch
from hqre_jax.solving._solution import Solution


def solution_document(sol: Solution, tau_origin: str) -> dict[str, Any]:
    """Everything about a solution; lists are (player, information state, action) in the game's order."""
    certificate = sol.certificate
    return {
        **_names(sol.problem),
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


def proof_document(proof: Proof | None) -> dict[str, Any] | None:
    """What is proved with outward rounding, and how far around the answer; None if nothing is."""
    if proof is None:
        return None
    return {
        "kind": proof.kind,
        "statement": proof.statement,
        "radius": proof.radius,
        "unique_radius": proof.unique_radius,
    }


def certificate_document(certificate: Certificate, problem: Problem, tau_origin: str) -> dict[str, Any]:
    """Everything about a certificate; witnesses are policies."""
    weights = certificate.weights
    return {
        **_names(problem),
        "verdict": str(certificate.verdict),
        "margin": certificate.margin,
        "contraction": certificate.contraction,
        "lipschitz": certificate.lipschitz,
        "max_step": certificate.max_step,
        "weights": None if weights is None else per_state(weights, problem),
        "witnesses": [per_action(policy, problem) for policy in certificate.witnesses],
        "reason": certificate.reason,
        "proofs": [proof_document(proof) for proof in certificate.proofs],
        "tau": per_state(problem.tau, problem),
        "tau_origin": tau_origin,
        "continuation": problem.continuation,
    }


def branch_document(branch: Branch) -> dict[str, Any]:
    """The points of a branch in order; tau at the reference, which is infinite, is null."""
    problem = branch.problem
    return {
        **_names(problem),
        "points": [
            {"tau": per_state(tau, problem), "policy": per_action(policy, problem)}
            for tau, policy in zip(branch.taus, branch.policies, strict=True)
        ],
        "folds": [
            {"tau": per_state(fold.tau, problem), "policy": per_action(fold.policy, problem)} for fold in branch.folds
        ],
        "num_bifurcations": branch.num_bifurcations,
        "result": str(branch.result),
        "continuation": problem.continuation,
    }


def per_state(values: Any, problem: Problem) -> list[list[float]]:
    """``(player, state)`` as lists without padding."""
    used, array = np.asarray(jnp.any(problem.mask, axis=-1)), np.asarray(values)
    return [array[i, used[i]].tolist() for i in range(len(used))]


def per_action(policy: Any, problem: Problem) -> list[list[list[float]]]:
    """``(player, state, action)`` as lists without padding."""
    mask, array = np.asarray(problem.mask), np.asarray(policy)
    return [[array[i, x, mask[i, x]].tolist() for x in np.flatnonzero(mask[i].any(-1))] for i in range(len(mask))]


def _names(problem: Problem) -> dict[str, Any]:
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
