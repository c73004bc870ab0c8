"""Learners through one interface: their updates against the definitions, where they end, and pathologies by name."""

import inspect

import jax
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax import learning as dynamics
from hqre_jax.core._types import InputError

KEY = jax.random.key(0)
PAYOFFS = np.asarray(jax.random.normal(jax.random.key(3), (2, 3, 3)))
TAU = np.array([1.5, 2.0])
LEARNERS = {
    "multiplicative_weights": dynamics.MultiplicativeWeights(0.7),
    "mirror": dynamics.MirrorPlay(0.7),
    "logit": dynamics.LogitDynamics(0.4),
    "gradient": dynamics.PolicyGradient(0.7),
}
ENDS_AT_EQUILIBRIUM = {
    "mirror": dynamics.MirrorPlay(0.5),
    "logit": dynamics.LogitDynamics(0.5),
    "gradient": dynamics.PolicyGradient(0.5),
}


@pytest.fixture(scope="module")
def problem():
    rho = np.asarray(jax.random.dirichlet(jax.random.key(1), 5 * np.ones(3), (2, 1)))
    return hq.Problem(hq.NormalFormGame(PAYOFFS), TAU, reference=rho)


@pytest.fixture(scope="module")
def start():
    return np.asarray(jax.random.dirichlet(jax.random.key(2), 5 * np.ones(3), (2, 1)))


def softmax(z):
    weights = np.exp(z - z.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


@pytest.mark.parametrize("name", LEARNERS)
def test_one_step_is_that_of_the_formula(name, problem, start):
    ran = dynamics.play(problem, LEARNERS[name], 1, KEY, policy0=start)
    p, rho, tau = start[:, 0], np.exp(np.asarray(problem.log_reference))[:, 0], TAU[:, None]
    values = np.stack([PAYOFFS[0] @ p[1], PAYOFFS[1].T @ p[0]])
    regularised = values - tau * np.log(p / rho)
    expected = {
        "multiplicative_weights": softmax(np.log(p) + 0.7 * values),
        "mirror": softmax((np.log(p) + 0.7 * tau * np.log(rho) + 0.7 * values) / (1 + 0.7 * tau)),
        "logit": 0.6 * p + 0.4 * softmax(values / tau + np.log(rho)),
        "gradient": softmax(np.log(p) + 0.7 * p * (regularised - (p * regularised).sum(1, keepdims=True))),
    }[name]
    np.testing.assert_allclose(ran.policies[1, :, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(ran.action_values[0, :, 0], values, rtol=1e-12)
    np.testing.assert_allclose(ran.policies[0], start, rtol=1e-14)


@pytest.mark.parametrize("name", ENDS_AT_EQUILIBRIUM)
def test_regularised_learners_end_at_the_equilibrium(name, problem):
    ran = dynamics.play(problem, ENDS_AT_EQUILIBRIUM[name], 400, KEY)
    reference = np.exp(np.asarray(problem.log_reference))
    assert hq.residual(problem.game, ran.policies[-1], TAU, reference=reference) < 1e-12


def test_q_learning_settles_near_the_equilibrium(problem):
    ran = dynamics.play(problem, dynamics.QLearning(0.05), 3000, KEY, payoff_noise=0.1)
    star = hq.solve(problem.game, TAU, reference=np.exp(np.asarray(problem.log_reference))).policy
    assert np.abs(np.asarray(ran.policies[1000:]).mean(0) - star).max() < 0.01
    assert np.abs(np.asarray(ran.policies[-1] - ran.policies[-2])).max() > 0


def test_noise_has_the_stated_size(problem):
    ran = dynamics.play(problem, dynamics.LogitDynamics(1e-9), 4000, KEY, payoff_noise=0.5)
    spread = np.asarray(ran.action_values).std(0)
    # The relative standard error of a standard deviation from K values is 1/√(2K); six of them.
    np.testing.assert_allclose(spread, 0.5, rtol=6 / np.sqrt(8000))


def test_fictitious_play_learns_the_value_of_matching_pennies():
    """Its averages converge in zero-sum games (Robinson, 1951)."""
    pennies = np.array([[1.0, -1.0], [-1.0, 1.0]])
    problem = hq.Problem(hq.NormalFormGame(np.stack([pennies, -pennies])), 1.0)
    ran = dynamics.play(problem, dynamics.FictitiousPlay(), 2000, KEY, policy0=[[[1.0, 0.0]], [[0.0, 1.0]]])
    assert set(np.unique(ran.policies)) == {0.0, 1.0}
    assert np.abs(np.asarray(ran.policies).mean(0) - 0.5).max() < 0.05


def test_best_response_is_that_of_the_older_function():
    game = hq.games.random.random_markov(jax.random.key(1), 3, (2, 2))
    start = np.full((2, 3, 2), 0.5)
    ran = dynamics.play(hq.Problem(game, 1.0), dynamics.BestResponse(), 4, KEY, policy0=start)
    np.testing.assert_array_equal(ran.policies, dynamics.best_response_dynamics(game, start, 4, KEY))


def gaps(policies, stake):
    """Best-response gap of each agent in ``c·I``."""
    p = np.asarray(policies)[:, :, 0]
    values = stake * p[:, ::-1]
    return values.max(-1) - (p * values).sum(-1)


@pytest.mark.parametrize(("name", "actions"), [("oscillation", 3), ("large_steps", 2), ("drift", 3), ("selection", 3)])
def test_pathologies_lose_what_is_said(name, actions):
    rounds, stake = 2000, 2.0
    case = hq.learning.pathology(name, num_actions=actions, stake=stake)
    ran = hq.play(case.problem, case.dynamics, rounds, KEY, policy0=case.policy0)
    lost = gaps(ran.policies, stake)[rounds // 2 :].mean(0)
    # Rounds of drift are a chain with λ = (1−ε)² = 0.81; six standard errors of its mean over K/2 rounds.
    chance = 6 * stake * np.sqrt(0.25 * (1 + 0.81) / (1 - 0.81) / (rounds / 2)) if name == "drift" else 1e-9
    np.testing.assert_allclose(lost, case.gap_slope, atol=chance)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda p: hq.play(p, hq.learning.BestResponse(), -1, KEY), "num_rounds"),
        (lambda p: hq.play(p, hq.learning.BestResponse(), 1, KEY, payoff_noise=-1.0), "payoff_noise"),
        (lambda p: hq.play(p, hq.learning.MirrorPlay(1.0), 1, KEY, policy0=np.eye(3)[[0, 1]][:, None]), "policy0"),
        (lambda p: hq.play(p, hq.learning.BestResponse(), 1, 0), "key"),
        (lambda p: inspect.unwrap(hq.play)(p, "best_response", 1, KEY), "dynamics"),
        (lambda p: hq.learning.MirrorPlay(0.0), "step"),
        (lambda p: hq.learning.QLearning(1.5), "rate"),
        (lambda p: hq.learning.BestResponse(noise=2.0), "noise"),
        (lambda p: hq.learning.pathology("chaos"), "name"),
        (lambda p: hq.learning.pathology("large_steps", num_actions=3), "num_actions"),
        (lambda p: hq.learning.pathology("drift", stake=0.0), "stake"),
    ],
)
def test_bad_input_is_named(call, field, problem):
    with pytest.raises(InputError) as error:
        call(problem)
    assert error.value.field.startswith(field)


def test_noise_is_not_drawn_from_the_key_of_the_games_plays(problem, start):
    """A sampled game is played anew with a key of its own: what it draws must say nothing of the noise."""
    rule = dynamics.MirrorPlay(0.5)
    quiet, noisy = (
        dynamics.play(problem, rule, 1, KEY, policy0=start, payoff_noise=noise).action_values[0] for noise in (0.0, 1.0)
    )
    of_round = jax.random.split(KEY, 1)[0]
    plays = jax.random.fold_in(of_round, 0)
    assert np.abs(noisy - quiet - jax.random.normal(plays, quiet.shape)).max() > 0.1


@pytest.mark.parametrize(
    "rule",
    [dynamics.MirrorPlay(0.5), dynamics.LogitDynamics(0.5), dynamics.BestResponse(0.1, 0.2), dynamics.FictitiousPlay()],
)
def test_a_game_in_single_precision_stays_there(rule):
    small = hq.Problem(hq.NormalFormGame(PAYOFFS.astype(np.float32)), 1.0)
    assert dynamics.play(small, rule, 2, KEY).policies.dtype == np.float32
