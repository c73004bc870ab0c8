"""Strategies for Hypothesis that draw games with whole-number payoffs, so that what breaks a claim shrinks to a sight.

Shapes are fixed, one for each kind of game: a strategy that varied them would compile a program for each. Smaller
games are drawn all the same, as payoffs 0 and actions that pay alike. What is drawn is a recipe, plain numbers that
print as what they are; the game is made of it in the test.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

import hqre_jax as hq

_LARGEST, _STEPS = 4, 16


class Recipe(NamedTuple):
    """A game and its temperatures, as numbers.

    Attributes:
        build: What makes a game of the arrays.
        arrays: Payoffs, and what else there is.
        tau: ``(player, information state)``.
    """

    build: Callable[..., Any]
    arrays: tuple[Any, ...]
    tau: np.ndarray

    def problem(self) -> hq.Problem:
        return hq.Problem(self.build(*self.arrays), self.tau)


def _whole(shape: tuple[int, ...], largest: int = _LARGEST) -> SearchStrategy[np.ndarray]:
    """Whole numbers around 0, 0 being the simplest."""
    size = int(np.prod(shape))
    entries = st.lists(st.integers(-largest, largest), min_size=size, max_size=size)
    return entries.map(lambda values: np.array(values, float).reshape(shape))


def _chances(shape: tuple[int, ...]) -> SearchStrategy[np.ndarray]:
    """Distributions over the last axis, in small whole parts; the uniform one is the simplest."""
    return _whole(shape, 2).map(lambda parts: (parts + 3) / (parts + 3).sum(axis=-1, keepdims=True))


def _temperatures(*shape: int) -> SearchStrategy[np.ndarray]:
    """From 1/17 to 17; τ = 1 is the simplest."""
    return _whole(shape, _STEPS).map(lambda k: np.where(k < 0, 1 + k / (_STEPS + 1), 1 + k))


def normal_forms() -> SearchStrategy[Recipe]:
    """Two players, three actions against two."""
    return st.builds(lambda u, tau: Recipe(hq.NormalFormGame, (u,), tau), _whole((2, 3, 2)), _temperatures(2, 1))


def polymatrices() -> SearchStrategy[Recipe]:
    """Three players around a triangle, two actions each; an edge that pays nothing is none."""
    edges = np.array([[0, 1], [1, 2], [2, 0]])
    payoffs = _whole((3, 2, 2, 2))
    return st.builds(lambda u, tau: Recipe(hq.PolymatrixGame, (edges, u), tau), payoffs, _temperatures(3, 1))


def bayesian_games() -> SearchStrategy[Recipe]:
    """Two players, two types and two actions each, types correlated."""
    prior = _chances((4,)).map(lambda law: law.reshape(2, 2))
    payoffs = _whole((2, 2, 2, 2, 2))
    return st.builds(lambda p, u, tau: Recipe(hq.BayesianGame, (p, u), tau), prior, payoffs, _temperatures(2, 2))


def markov_games() -> SearchStrategy[Recipe]:
    """Two players, two states, two actions each; discounts in tenths."""
    discount = st.integers(0, 9).map(lambda tenths: tenths / 10)
    arrays = st.tuples(_whole((2, 2, 2, 2)), _chances((2, 2, 2, 2)), discount)
    return st.builds(lambda arrays, tau: Recipe(hq.MarkovGame, arrays, tau), arrays, _temperatures(2, 2))


def one_shot_games() -> SearchStrategy[Recipe]:
    """Normal forms, polymatrix and Bayesian games: everybody moves once."""
    return st.one_of(normal_forms(), polymatrices(), bayesian_games())


def games() -> SearchStrategy[Recipe]:
    """Any of the four kinds."""
    return st.one_of(one_shot_games(), markov_games())
