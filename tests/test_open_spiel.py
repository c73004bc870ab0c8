"""OpenSpiel's games: trees, simulators that agree with them, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.bridge import OpenSpielSimulator, open_spiel_tree

pytest.importorskip("pyspiel", reason="plays OpenSpiel's games; the extra `open-spiel` installs it")

# A cooperative game, a zero-sum one, one of mixed motives, and one of simultaneous moves.
GAMES = ("tiny_hanabi", "kuhn_poker", "bargaining(max_turns=2,max_num_instances=1)", "matrix_sh")


def test_kuhn_poker_is_the_catalogue_s():
    """Same rules, other names: equal values and the same set of equilibrium probabilities."""
    ours, theirs = hq.load_game("kuhn_poker"), open_spiel_tree("kuhn_poker")
    a, b = (hq.solve(game, 0.5, continuation="plain") for game in (ours, theirs))
    np.testing.assert_allclose(np.asarray(a.initial_values), np.asarray(b.initial_values), atol=1e-9)
    np.testing.assert_allclose(np.sort(np.asarray(a.policy).ravel()), np.sort(np.asarray(b.policy).ravel()), atol=1e-9)


@pytest.mark.parametrize("name", GAMES)
def test_simulator_and_tree_number_alike(name):
    tree, simulator = open_spiel_tree(name), OpenSpielSimulator(name)
    np.testing.assert_array_equal(np.asarray(tree.action_mask), simulator.action_mask)
    assert tree.labels.information_states == simulator.labels.information_states
    paid = np.asarray(tree.payoffs)[:, np.asarray(tree.player) == -2]
    np.testing.assert_array_equal(paid.min(1), simulator.return_low)
    np.testing.assert_array_equal(paid.max(1), simulator.return_high)


@pytest.mark.parametrize("name", GAMES[:3])
def test_plays_pay_what_the_tree_says(name):
    """Mean returns of 1,500 plays of a random policy lie within five standard errors of the exact values."""
    tree, simulator = open_spiel_tree(name), OpenSpielSimulator(name)
    policy = hq.games.random.random_policy(jax.random.key(3), tree)
    nothing = jnp.zeros(policy.shape[:2])
    episodes = hq.SampledGame(simulator).play(policy, 1500, jax.random.key(4))
    returns = np.asarray(episodes.rewards).sum(1)
    evaluate = jax.jit(lambda p: tree.evaluate(p, nothing, "plain").initial_values)
    exact = np.asarray(evaluate(jnp.log(jnp.where(policy > 0, policy, 1.0))))
    errors = returns.std(0, ddof=1) / np.sqrt(len(returns))
    assert np.all(np.abs(returns.mean(0) - exact) <= 5 * errors)
    assert not np.asarray(episodes.failed).any()


@pytest.mark.parametrize(
    ("name", "message"),
    [("no_such_game", "cannot load"), ("negotiation", "only samples"), ("leduc_poker(players=3)", "more than")],
)
def test_refused(name, message, monkeypatch):
    monkeypatch.setattr("hqre_jax.bridge._open_spiel.MAX_NODES", 2000)
    with pytest.raises(hq.InputError, match=message):
        open_spiel_tree(name)
