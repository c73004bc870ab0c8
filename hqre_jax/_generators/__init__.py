"""Games made to order: random families, planted equilibria, and one kind of game written as another."""

from hqre_jax._generators.conversions import (
    as_bayesian,
    as_incomplete_information,
    as_normal_form,
    lift_policy,
    with_public_history,
)
from hqre_jax._generators.manufactured import manufactured
from hqre_jax._generators.random import (
    Family,
    Graph,
    random_bayesian,
    random_extensive_form,
    random_incomplete_information_markov,
    random_markov,
    random_normal_form,
    random_policy,
    random_polymatrix,
    random_public_private,
)

__all__ = [
    "Family",
    "Graph",
    "as_bayesian",
    "as_incomplete_information",
    "as_normal_form",
    "lift_policy",
    "manufactured",
    "random_bayesian",
    "random_extensive_form",
    "random_incomplete_information_markov",
    "random_markov",
    "random_normal_form",
    "random_policy",
    "random_polymatrix",
    "random_public_private",
    "with_public_history",
]
