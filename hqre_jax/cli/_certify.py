"""``hqre certify``."""

from argparse import Namespace
from typing import Any

import numpy as np
from rich.text import Text

from hqre_jax.bounds._certificates import Certificate
from hqre_jax.certificates._certify import certify
from hqre_jax.certificates.rigorous import Proof
from hqre_jax.cli._answers import show
from hqre_jax.cli._documents import names, per_action, per_state, strict_json
from hqre_jax.cli._exits import DONE
from hqre_jax.cli._inputs import read_question
from hqre_jax.cli._tables import ORIGINS, actions, facts, general, heading, rendered, table
from hqre_jax.problem import Problem


def run_certify(arguments: Namespace) -> int:
    question = read_question(arguments)
    problem = Problem(question.game, question.tau, **question.options)
    certificate = certify(problem, rigorous=arguments.rigorous)
    if arguments.format == "json":
        show(strict_json(certificate_document(certificate, problem, question.tau_origin)) + "\n")
    else:
        show(rendered(certificate_tables(certificate, problem, question.tau_origin)))
    return DONE


def certificate_document(certificate: Certificate, problem: Problem, tau_origin: str) -> dict[str, Any]:
    """Everything about a certificate; witnesses are policies."""
    weights = certificate.weights
    return {
        **names(problem),
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


def certificate_tables(certificate: Certificate, problem: Problem, tau_origin: str) -> list[Any]:
    """The verdict with its numbers, then the witnesses side by side."""
    known = {
        "verdict": f"{certificate.verdict}: {certificate.reason}",
        "margin κ": _optional(certificate.margin, "units of payoff"),
        "contraction": _optional(certificate.contraction, "per step"),
        "Lipschitz L": _optional(certificate.lipschitz, "units of payoff"),
        "largest step": _optional(certificate.max_step, "per unit of payoff"),
        "continuation": problem.continuation,
        "temperatures": f"{_temperatures(problem)} ({ORIGINS[tau_origin]})",
    }
    parts = [*heading(problem), facts(known)]
    if certificate.witnesses:
        numeric = tuple(f"witness {k + 1}" for k in range(len(certificate.witnesses)))
        rows = (
            (*names, *(f"{witness[i, x, a]:.9f}" for witness in certificate.witnesses))
            for i, x, a, *names in actions(problem)
        )
        parts += [Text(""), table(("player", "information state", "action", *numeric), rows, numeric)]
    return parts


def _temperatures(problem: Problem) -> str:
    tau, used = np.asarray(problem.tau), np.asarray(problem.mask).any(-1)
    values = tau[used]
    if (values == values[0]).all():
        return general(values[0])
    return f"{general(values.min())} to {general(values.max())}"


def _optional(value: float | None, unit: str) -> str:
    return "not available" if value is None else f"{value:.9g} ({unit})"
