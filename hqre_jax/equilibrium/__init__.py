"""What an equilibrium is: the logit equation, how far a policy is from solving it, its Jacobian and its derivative."""

from hqre_jax.equilibrium._residual import (
    bayesian_regret,
    exploitability,
    logit_response,
    regularized_gap,
    residual,
)

__all__ = ["bayesian_regret", "exploitability", "logit_response", "regularized_gap", "residual"]
