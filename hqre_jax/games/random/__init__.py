"""Games drawn at random: a family for every kind of game."""

from hqre_jax.games.random._random import (
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
    "random_bayesian",
    "random_extensive_form",
    "random_incomplete_information_markov",
    "random_markov",
    "random_normal_form",
    "random_policy",
    "random_polymatrix",
    "random_public_private",
]
