"""Proofs with outward rounding: boxes that hold exactly one HQRE, and bounds that leave room for one alone."""

from hqre_jax.certificates.rigorous._proof import Proof, load_proof
from hqre_jax.certificates.rigorous._prove import prove
from hqre_jax.certificates.rigorous._recheck import recheck

__all__ = ["Proof", "load_proof", "prove", "recheck"]
