"""Evidence: how many equilibria there are, from which temperatures on there is one, and proofs of both."""

from hqre_jax.bounds._certificates import Certificate, Verdict
from hqre_jax.certificates._certify import certify
from hqre_jax.certificates._least_temperatures import LeastTemperatures, least_temperatures
from hqre_jax.certificates.rigorous import Proof, load_proof, prove, recheck

__all__ = [
    "Certificate",
    "LeastTemperatures",
    "Proof",
    "Verdict",
    "certify",
    "least_temperatures",
    "load_proof",
    "prove",
    "recheck",
]
