"""Learning dynamics: each update against its definition, and where play is known to end up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.core._types import InputError
from hqre_jax.learning import best_response_dynamics, mirror_dynamics, noisy_best_response_dynamics

KEY = jax.random.key(0)
COORDINATION = 3.0 * np.broadcast_to(np.eye(3), (2, 3, 3))
DILEMMA = np.array([[[3.0, 0.0], [5.0, 1.0]], [[3.0, 5.0], [0.0, 1.0]]])


def pure(*actions, num_actions):
    return np.eye(num_actions)[list(actions)][:, None]


def test_best_response_alternates_from_opposed_starts():
    game = hq.NormalFormGame(COORDINATION)
    policies = best_response_dynamics(game, pure(0, 2, num_actions=3), 5, KEY)
    expected = [pure(*((0, 2) if k % 2 == 0 else (2, 0)), num_actions=3) for k in range(6)]
    np.testing.assert_array_equal(policies, expected)


def test_best_response_finds_dominant_actions():
    game = hq.NormalFormGame(DILEMMA)
    policies = best_response_dynamics(game, np.full((2, 1, 2), 0.5), 3, KEY)
    np.testing.assert_array_equal(policies[1:], np.tile(pure(1, 1, num_actions=2), (3, 1, 1, 1)))


def test_best_response_in_a_markov_game_plays_everywhere():
    game = hq.games.random.random_markov(jax.random.key(1), 3, (2, 2))
    policies = best_response_dynamics(game, np.full((2, 3, 2), 0.5), 4, KEY)
    np.testing.assert_array_equal(policies[1:].sum(-1), np.ones((4, 2, 3)))
    assert set(np.unique(policies[1:])) <= {0.0, 1.0}


def one_round(game, policy, noise, inertia, num=20_000):
    """Frequencies of what is played after one round, and how far they may be from probabilities."""

    def play(key):
        return noisy_best_response_dynamics(game, policy, 1, key, noise=noise, inertia=inertia)[1]

    played = jax.jit(jax.vmap(play))(jax.random.split(jax.random.key(2), num))
    # Hoeffding: none of a dozen frequencies is further off with probability above 12e-10.
    return np.asarray(played.mean(axis=0)), np.sqrt(np.log(2e10) / (2 * num))


def test_noisy_best_response_chooses_with_the_stated_probabilities():
    game = hq.NormalFormGame(COORDINATION)
    noise, inertia = np.array([0.3, 0.0]), np.array([0.2, 0.5])
    frequencies, tolerance = one_round(game, pure(0, 2, num_actions=3), noise, inertia)
    stay, answer, err = inertia, (1 - inertia) * (1 - noise), (1 - inertia) * noise / 3
    first = np.array([stay[0], 0, answer[0]]) + err[0]
    second = np.array([answer[1], 0, stay[1]]) + err[1]
    assert np.abs(frequencies[:, 0] - [first, second]).max() <= tolerance


def test_ties_are_broken_evenly_and_never_by_invalid_actions():
    mask = np.array([[[True, True, False]], [[True, True, True]]])
    game = hq.NormalFormGame(np.zeros((2, 3, 3)), action_mask=mask)
    frequencies, tolerance = one_round(game, mask / mask.sum(-1, keepdims=True), 0.5, 0.0)
    assert np.abs(frequencies - mask / mask.sum(-1, keepdims=True)).max() <= tolerance
    assert frequencies[0, 0, 2] == 0


def test_full_inertia_stands_still():
    game = hq.NormalFormGame(COORDINATION)
    start = pure(1, 2, num_actions=3)
    policies = noisy_best_response_dynamics(game, start, 4, KEY, noise=0.5, inertia=1.0)
    np.testing.assert_array_equal(policies, np.tile(start, (5, 1, 1, 1)))


def test_mirror_update_is_that_of_its_formula():
    payoffs, tau, eta = np.asarray(jax.random.normal(KEY, (2, 3, 3))), np.array([0.5, 0.8]), 0.7
    rho, start = np.asarray(jax.random.dirichlet(jax.random.key(1), np.ones(3), (2, 2, 1)))
    problem = hq.Problem(hq.NormalFormGame(payoffs), tau, reference=rho)
    after = mirror_dynamics(problem, start, 1, KEY, step=eta)[1]
    values = np.stack([payoffs[0] @ start[1, 0], payoffs[1].T @ start[0, 0]])[:, None]
    eta_tau = (eta * tau)[:, None, None]
    weights = (start * rho**eta_tau * np.exp(eta * values)) ** (1 / (1 + eta_tau))
    np.testing.assert_allclose(after, weights / weights.sum(-1, keepdims=True), rtol=1e-13)


def test_mirror_dynamics_end_at_the_equilibrium():
    payoffs, tau = np.asarray(jax.random.normal(KEY, (2, 3, 3))), 3.0
    problem = hq.Problem(hq.NormalFormGame(payoffs), tau)
    policies = mirror_dynamics(problem, np.full((2, 1, 3), 1 / 3), 200, KEY, step=0.5)
    assert hq.residual(problem.game, policies[-1], tau) < 1e-14
    assert hq.residual(problem.game, policies[0], tau) > 1e-2


def test_an_infinite_step_is_the_logit_response():
    problem = hq.Problem(hq.NormalFormGame(DILEMMA), 0.7)
    start = np.full((2, 1, 2), 0.5)
    after = mirror_dynamics(problem, start, 1, KEY, step=np.inf)[1]
    np.testing.assert_allclose(after, hq.logit_response(problem.game, start, 0.7), rtol=1e-13)


def test_no_rounds_leave_the_start():
    game, start = hq.NormalFormGame(DILEMMA), np.full((2, 1, 2), 0.5)
    np.testing.assert_array_equal(best_response_dynamics(game, start, 0, KEY), start[None])
    np.testing.assert_array_equal(mirror_dynamics(hq.Problem(game, 1.0), start, 0, KEY, step=1.0), start[None])


def test_compiled_and_mapped_play_is_the_same():
    game, start = hq.NormalFormGame(COORDINATION), jnp.asarray(pure(0, 1, num_actions=3))
    keys = jax.random.split(KEY, 3)

    def play(key):
        return noisy_best_response_dynamics(game, start, 20, key, noise=0.3, inertia=0.1)

    mapped = jax.jit(jax.vmap(play))(keys)
    np.testing.assert_array_equal(mapped, jnp.stack([play(key) for key in keys]))


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda game, start: best_response_dynamics(game, start, -1, KEY), "num_rounds"),
        (lambda game, start: best_response_dynamics(game, 2 * start, 1, KEY), "policy0"),
        (lambda game, start: noisy_best_response_dynamics(game, start, 1, KEY, noise=1.5), "noise"),
        (lambda game, start: noisy_best_response_dynamics(game, start, 1, KEY, noise=np.zeros(3)), "noise"),
        (lambda game, start: noisy_best_response_dynamics(game, start, 1, KEY, noise=0.1, inertia=-1), "inertia"),
        (lambda game, start: mirror_dynamics(hq.Problem(game, 1.0), start, 1, KEY, step=0.0), "step"),
        (lambda game, start: mirror_dynamics(hq.Problem(game, 1.0), start, 1, KEY, step=np.ones(2)), "step"),
        (lambda game, start: mirror_dynamics(hq.Problem(game, 1.0), np.round(start), 1, KEY, step=1.0), "policy0"),
    ],
)
def test_bad_input_is_named(call, field):
    with pytest.raises(InputError) as error:
        call(hq.NormalFormGame(DILEMMA), np.array([[[0.7, 0.3]], [[0.4, 0.6]]]))
    assert error.value.field.startswith(field)
