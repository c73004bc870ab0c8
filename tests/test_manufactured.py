"""Planted equilibria: exact in every kind of game, under every continuation, and found again by the solver."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hqre_jax.core._types import InputError
from hqre_jax.equilibrium._residual import residual
from hqre_jax.games import PolymatrixGame
from hqre_jax.games.manufactured import manufactured
from hqre_jax.games.random import (
    random_bayesian,
    random_extensive_form,
    random_incomplete_information_markov,
    random_markov,
    random_normal_form,
    random_policy,
    random_polymatrix,
    random_public_private,
)
from hqre_jax.problem import Problem
from hqre_jax.solving._solve import solve

KEY = jax.random.key(5)
TAU = 0.5
EXACT = 1e-12

MAKERS = {
    "normal_form": lambda family: random_normal_form(KEY, (2, 3), family=family),
    "polymatrix": lambda family: random_polymatrix(KEY, 2, 3, graph="cycle", family=family),
    "bayesian": lambda family: random_bayesian(KEY, (2, 3), (3, 2), family=family),
    "markov": lambda family: random_markov(KEY, 3, (3, 2), family=family),
    "general": lambda family: random_incomplete_information_markov(KEY, 4, (2, 3), (2, 3), family=family),
    "public_private": lambda family: random_public_private(KEY, 2, (2, 2), (2, 3), family=family),
    "tree": lambda family: random_extensive_form(jax.random.key(3), 2, 4, 3, chance=0.3, family=family),
}
GOES_ON = ("markov", "general", "public_private")


@functools.cache
def instance(name, family="uniform"):
    return MAKERS[name](family)


def temperatures(game):
    """Different at every information state."""
    return np.random.default_rng(0).uniform(0.2, 1.5, game.action_mask.shape[:2])


# --- The planted policy is an equilibrium --------------------------------------------------------------------------


# Where play ends at once, "plain" is "soft": nobody is paid for later entropy.
CASES = [
    (name, continuation)
    for name in MAKERS
    for continuation in ("soft", "plain", "zero_sum")
    if continuation != "plain" or name in (*GOES_ON, "tree")
]


@pytest.mark.parametrize(("name", "continuation"), CASES)
def test_plant_is_an_equilibrium(name, continuation):
    family = "zero_sum" if continuation == "zero_sum" else "uniform"
    game = instance(name, family)
    policy, tau = random_policy(KEY, game, 1.5), temperatures(game)
    reference = random_policy(jax.random.key(6), game)
    how = {"reference": reference, "continuation": continuation}
    plant = manufactured(game, policy, tau, **how)
    assert type(plant) is type(game)
    assert plant.payoffs.shape == game.payoffs.shape
    assert float(residual(plant, policy, tau, **how)) <= EXACT
    # The plant says nothing about other policies or other temperatures.
    assert float(residual(game, policy, tau, **how)) > 1e-2
    assert float(residual(plant, reference, tau, **how)) > 1e-2
    assert float(residual(plant, policy, 2 * tau, **how)) > 1e-2
    if continuation == "zero_sum":
        payoffs = np.asarray(plant.payoffs)
        first, second = (payoffs[:, 0], payoffs[:, 1]) if name == "polymatrix" else payoffs
        np.testing.assert_allclose(first, -second, atol=1e-15)


@pytest.mark.parametrize("name", ["bayesian", "markov", "tree"])
def test_shannon_plant_is_an_equilibrium_of_shannon_entropy(name):
    game = instance(name)
    policy = random_policy(KEY, game, 1.5)
    tau = temperatures(game)
    plant = manufactured(game, policy, tau, entropy="shannon")
    assert float(residual(plant, policy, tau, entropy="shannon")) <= EXACT
    # Where play goes on, these temperatures make the other entropy another game (theory.md §2).
    assert (float(residual(plant, policy, tau)) > 1e-3) == (name != "bayesian")


@pytest.mark.parametrize("name", ["markov", "general", "tree"])
def test_continuations_are_not_interchangeable(name):
    """Negative control: a plant for one continuation is none for another where play goes on."""
    game = instance(name)
    policy, tau = random_policy(KEY, game, 1.5), temperatures(game)
    reference = random_policy(jax.random.key(6), game)
    plant = manufactured(game, policy, tau, reference=reference)
    assert float(residual(plant, policy, tau, reference=reference, continuation="plain")) > 1e-3


@pytest.mark.parametrize("name", [*GOES_ON, "tree"])
def test_plant_keeps_the_values(name):
    """The payments average to zero under π: what π was worth, to everybody and everywhere, it is still worth."""
    game = instance(name)
    policy = random_policy(KEY, game)
    plant = manufactured(game, policy, TAU)
    before, after = (evaluation(g, policy) for g in (game, plant))
    # In a tree the value of a node counts what is paid on arrival, so that only the root's is the same.
    for field in ("values", "initial_values", "reach")[name == "tree" :]:
        np.testing.assert_allclose(getattr(after, field), getattr(before, field), rtol=1e-12, atol=1e-13)


@eqx.filter_jit
def _evaluate(problem, log_policy):
    return problem.evaluate(log_policy)


def evaluation(game, policy, continuation="soft"):
    problem = Problem(game, TAU, continuation=continuation)
    return _evaluate(problem, jnp.where(problem.mask, jnp.log(jnp.where(problem.mask, policy, 1.0)), 0.0))


# --- Values can be planted too -------------------------------------------------------------------------------------


@pytest.mark.parametrize("continuation", ["soft", "plain", "zero_sum"])
@pytest.mark.parametrize("name", ["general", "public_private"])
def test_values_are_planted(name, continuation):
    game = instance(name, "zero_sum" if continuation == "zero_sum" else "uniform")
    policy = random_policy(KEY, game)
    count = game.initial.shape[0]
    wanted = np.random.default_rng(1).uniform(-5, 5, (2, count))
    if continuation == "zero_sum":
        wanted[1] = -wanted[0]
    plant = manufactured(game, policy, TAU, continuation=continuation, values=wanted)
    assert float(residual(plant, policy, TAU, continuation=continuation)) <= EXACT
    got = evaluation(plant, policy, continuation=continuation).continuation
    np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)
    if continuation == "zero_sum":
        np.testing.assert_allclose(plant.payoffs[0], -plant.payoffs[1], atol=1e-14)


@pytest.mark.parametrize("continuation", ["soft", "plain"])
def test_markov_plant_is_the_formula(continuation):
    """theory.md §5: ``V_i + τ_i log(π_i/ρ_i) − E_{π_-i}[r_i + γPV_i]``, under "plain" less ``τ_i KL(π_i‖ρ_i)``."""
    game = instance("markov")
    policy = np.asarray(random_policy(KEY, game))
    wanted = np.random.default_rng(1).uniform(-5, 5, (2, 3))
    plant = manufactured(game, policy, TAU, continuation=continuation, values=wanted)
    paid = np.asarray(plant.payoffs) - np.asarray(game.payoffs)
    for i, count in enumerate((3, 2)):
        backup = np.asarray(game.payoffs)[i] + 0.9 * np.asarray(game.transitions) @ wanted[i]
        others = policy[1 - i][:, : 5 - count]
        expected = np.einsum("sab,sb->sa" if i == 0 else "sab,sa->sb", backup, others)
        own = policy[i][:, :count]
        formula = wanted[i][:, None] + TAU * np.log(own * count) - expected
        if continuation == "plain":
            formula -= TAU * np.sum(own * np.log(own * count), axis=1, keepdims=True)
        along = formula[:, :, None] if i == 0 else formula[:, None, :]
        np.testing.assert_allclose(paid[i], np.broadcast_to(along, paid[i].shape), rtol=1e-12, atol=1e-12)


# --- The solver finds what was planted -------------------------------------------------------------------------------

LARGE = {
    "two_players_twenty_actions": lambda: random_normal_form(KEY, (20, 20), family="zero_sum"),
    "two_hundred_players": lambda: random_polymatrix(KEY, 200, 3, graph="random", family="zero_sum"),
    "types": lambda: random_bayesian(KEY, (3, 2), (3, 3), family="zero_sum"),
}


@pytest.mark.parametrize("name", LARGE)
def test_unique_plant_is_found(name):
    """Plants on zero-sum and pairwise zero-sum games are *the* HQRE: a solve from anywhere must return them."""
    game = LARGE[name]()
    policy = random_policy(KEY, game, 1.5)
    tau = temperatures(game)
    plant = manufactured(game, policy, tau)
    assert float(residual(plant, policy, tau)) <= EXACT
    solution = solve(plant, tau)
    assert solution.selection == "unique"
    np.testing.assert_allclose(solution.policy, policy, atol=1e-8)


def test_unique_plant_of_a_zero_sum_markov_game_is_found():
    """The regularised Shapley operator contracts for every temperature (T4)."""
    game = random_markov(KEY, 10, (3, 3), family="zero_sum", branching=3)
    policy, tau = random_policy(KEY, game), np.array([0.3, 0.8])
    plant = manufactured(game, policy, tau, continuation="zero_sum")
    solution = solve(plant, tau, continuation="zero_sum")
    assert solution.selection == "unique"
    np.testing.assert_allclose(solution.policy, policy, atol=1e-8)


SEVERAL = {
    "six_players": lambda: random_normal_form(KEY, (2,) * 6),
    "fifty_states": lambda: random_markov(KEY, 50, (3, 2), branching=3),
    "general": lambda: random_incomplete_information_markov(KEY, 12, (4, 5), (2, 3)),
    "tree": lambda: random_extensive_form(jax.random.key(3), 3, 6, 3),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", SEVERAL)
def test_solve_started_at_a_plant_stays_there(name):
    """In general the plant is *an* HQRE and need not be the one that the solver would select.

    The start is moved a little, so that the solver has something to do.
    """
    game = SEVERAL[name]()
    policy, tau = random_policy(KEY, game), temperatures(game)
    plant = manufactured(game, policy, tau)
    assert float(residual(plant, policy, tau)) <= EXACT
    near = np.asarray(policy) * (1 + 1e-3 * np.random.default_rng(2).standard_normal(policy.shape))
    near = near / np.where(near.any(-1, keepdims=True), near.sum(-1, keepdims=True), 1.0)
    solution = solve(plant, tau, solver="newton", initial_policy=near)
    assert 0 < int(solution.num_steps) < 10
    assert solution.result == "successful"
    np.testing.assert_allclose(solution.policy, policy, atol=1e-8)


# --- What cannot be planted ------------------------------------------------------------------------------------------


def test_lonely_player_can_only_play_its_reference():
    """Players 0 and 1 share an edge; player 2 has none, and so nothing to be paid on."""
    mask = np.ones((3, 1, 2), bool)
    game = PolymatrixGame([(0, 1)], np.random.default_rng(0).uniform(size=(1, 2, 2, 2)), action_mask=mask)
    policy = np.array([[[0.3, 0.7]], [[0.6, 0.4]], [[0.8, 0.2]]])
    with pytest.raises(InputError, match="no edge") as error:
        manufactured(game, policy, TAU)
    assert error.value.field == "policy[2]"
    reference = np.full((3, 1, 2), 0.5)
    reference[2] = policy[2]
    plant = manufactured(game, policy, TAU, reference=reference)
    assert float(residual(plant, policy, TAU, reference=reference)) <= EXACT


def test_bad_input_is_refused():
    game, stopping = instance("markov"), instance("normal_form")
    policy = np.array(random_policy(KEY, stopping))
    policy[0, 0, :2] = [1.0, 0.0]
    with pytest.raises(InputError) as error:
        manufactured(stopping, policy, TAU)
    assert error.value.field == "policy[0][0][1]"
    for other in (stopping, instance("tree")):
        with pytest.raises(InputError) as error:
            manufactured(other, random_policy(KEY, other), TAU, values=np.zeros((2, 1)))
        assert error.value.field == "values"
    with pytest.raises(InputError) as error:
        manufactured(game, random_policy(KEY, game), TAU, values=np.zeros((2, 4)))
    assert error.value.field == "values"
    opposed = instance("markov", "zero_sum")
    with pytest.raises(InputError, match="opposite"):
        manufactured(opposed, random_policy(KEY, opposed), TAU, continuation="zero_sum", values=np.ones((2, 3)))
    with pytest.raises(InputError) as error:
        manufactured(game, random_policy(KEY, game), TAU, continuation="zero_sum")
    assert error.value.field == "continuation"
