"""The controller of temperatures: it stops oscillation, and ends near the least temperatures of the true game."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.core._types import InputError

ROUNDS, PLAYS, NOISE = 40, 400, 0.2


def stage_plays(game, payoffs, policy, rng):
    """Plays of one step each, in states drawn evenly: information states, actions, payoffs."""
    players, states = policy.shape[:2]
    state = rng.integers(0, states, PLAYS * states)
    below = np.cumsum(policy, axis=-1)[:, :, :-1]
    luck = rng.random((len(state), players))
    actions = np.stack([(luck[:, i, None] >= below[i, state]).sum(1) for i in range(players)], axis=1)
    paid = payoffs(state, actions)
    return np.tile(state[:, None], (1, players)), actions, paid + NOISE * rng.standard_normal(paid.shape)


def controlled(game, payoffs, tau, rounds=ROUNDS):
    """Logit responses in every round at the controller's temperatures; with the controller and without."""
    respond = jax.jit(lambda policy, tau: hq.logit_response(game, policy, tau))
    mask = np.asarray(game.action_mask)
    start = np.full(mask.shape, 0.1) * mask
    start[np.arange(len(mask)) % 2 == 0, :, 0] += 1 - start.sum(-1)[::2]
    start[np.arange(len(mask)) % 2 == 1, :, 1] += 1 - start.sum(-1)[1::2]
    rng, controller = np.random.default_rng(0), hq.stability.TemperatureController()
    state, policy, path, taus = controller.init(mask, tau), start, [start], []
    for _ in range(rounds):
        states, actions, paid = stage_plays(game, payoffs, policy, rng)
        state = controller.step(state, policy, actions, paid, mask, information_states=states)
        policy = np.asarray(respond(jnp.asarray(policy), jnp.asarray(state.tau)))
        path.append(policy)
        taus.append(state.tau)
    return np.stack(path), np.stack(taus), state, respond, start


def pair_payoffs(game):
    table = np.asarray(game.payoffs)
    return lambda state, actions: table[:, actions[:, 0], actions[:, 1]].T


def assert_settling(path):
    """Steps shrink by half of the reserve at least: at (1 + reserve) times the threshold by 1/(1 + reserve) a round."""
    steps = np.abs(np.diff(path, axis=0)).max((1, 2, 3))
    assert steps[-1] <= steps[-11] * (1 + 0.5 * hq.stability.TemperatureController().reserve) ** -10


COORDINATION = hq.NormalFormGame(2.0 * np.broadcast_to(np.eye(3), (2, 3, 3)))
BATTLE = hq.NormalFormGame(np.stack([np.diag([2.0, 1.0, 1.2]), np.diag([0.5, 1.5, 0.8])]))


@pytest.mark.parametrize("game", [COORDINATION, BATTLE], ids=["coordination", "battle"])
def test_oscillation_stops_at_nearly_the_least_temperatures(game):
    least = hq.least_temperatures(game)
    begin = 0.15 * least.common
    path, taus, state, respond, start = controlled(game, pair_payoffs(game), begin)
    # Left alone, play swings for ever.
    alone = [start]
    for _ in range(ROUNDS):
        alone.append(np.asarray(respond(jnp.asarray(alone[-1]), jnp.full((2, 1), begin))))
    assert hq.stability.oscillation_index(np.stack(alone)[-10:]).max() < -0.99
    assert np.abs(alone[-1] - alone[-2]).max() > 0.1
    assert not state.swinging.any()
    assert_settling(path)
    assert hq.certify(game, state.tau[:, 0]).margin > 0
    assert state.tau.sum() <= 1.25 * least.tau.sum()
    assert taus.max() > 0.9 * state.tau.max()


@pytest.mark.thorough
def test_only_the_pair_that_swings_is_heated():
    """Two pairs that never meet: the second has more than it needs, and gets less."""
    edges, eye = [(0, 1), (2, 3)], np.eye(2)
    game = hq.PolymatrixGame(edges, np.stack([np.stack([eye, eye])] * 2))

    def payoffs(state, actions):
        same = actions[:, ::2] == actions[:, 1::2]
        return np.repeat(same, 2, axis=1).astype(float)

    begin = np.array([0.1, 0.1, 1.0, 1.0])
    path, taus, state, *_ = controlled(game, payoffs, begin)
    assert (taus[:, :2, 0] >= 0.1).all()
    assert (taus[:, 2:, 0] <= 1.0 + 1e-12).all()
    assert state.tau[2:].max() < 0.8
    assert state.tau.sum() <= 1.25 * hq.least_temperatures(game).tau.sum()
    assert_settling(path)


def test_markov_game_with_a_margin_at_every_stage():
    """Transitions do not depend on actions: stages decide. Stakes differ, and so do the temperatures."""
    stakes = np.array([1.0, 3.0])
    payoffs = np.broadcast_to(stakes[:, None, None] * np.eye(2), (2, 2, 2, 2))
    transitions = np.broadcast_to([[0.7, 0.3], [0.4, 0.6]], (2, 2, 2, 2)).transpose(2, 0, 1, 3)
    game = hq.MarkovGame(payoffs, transitions, 0.9)
    least = sum(hq.least_temperatures(hq.NormalFormGame(payoffs[:, s])).tau.sum() for s in range(2))
    table = np.asarray(payoffs)
    path, _, state, *_ = controlled(game, lambda s, a: table[:, s, a[:, 0], a[:, 1]].T, 0.1, rounds=60)
    assert_settling(path)
    assert not state.swinging.any()
    assert state.tau.sum() <= 1.25 * least
    for s in range(2):
        assert hq.certify(hq.NormalFormGame(payoffs[:, s]), state.tau[:, s]).margin > 0


@pytest.mark.parametrize("unknown", ["payoffs", "plays"])
def test_missing_payoffs_do_not_cool(unknown):
    """Payoffs I for both: .5 and the reserve, from complete plays and from those of which 70 % are unknown."""
    rng, controller, mask = np.random.default_rng(0), hq.stability.TemperatureController(), np.ones((2, 1, 2), bool)
    actions = rng.integers(0, 2, (400, 2))
    paid = np.repeat(actions[:, :1] == actions[:, 1:], 2, axis=1).astype(float)
    lost = rng.random(paid.shape) < 0.7
    policy, start = np.full((2, 1, 2), 0.5), controller.init(mask, 0.3)
    np.testing.assert_allclose(controller.step(start, policy, actions, paid, mask).tau, 0.55, rtol=1e-5)
    known = actions if unknown == "payoffs" else np.where(lost, -1, actions)
    after = controller.step(start, policy, known, np.where(lost, np.nan, paid), mask).tau
    np.testing.assert_allclose(after, 0.55, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "field"),
    [({"heating": 1.0}, "heating"), ({"cooling": 0.0}, "cooling"), ({"min_count": 1}, "min_count")],
)
def test_bad_settings_are_named(settings, field):
    with pytest.raises(InputError, match=field):
        hq.stability.TemperatureController(**settings)


def test_nothing_is_learned_from_agents_who_never_meet():
    controller = hq.stability.TemperatureController()
    mask = np.ones((2, 1, 2), bool)
    state = controller.init(mask, 0.3)
    actions = np.array([[0, -1], [-1, 1]] * 10)
    state = controller.step(state, np.full((2, 1, 2), 0.5), actions, np.ones((20, 2)), mask)
    assert state.target is None
    np.testing.assert_array_equal(state.tau, np.full((2, 1), 0.3))
