"""Environments of PettingZoo and JaxMARL as sampled games, compared with exact values; pygambit's games both ways."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.bridge import JaxMARLSimulator, PettingZooSimulator, from_gambit, open_spiel_tree, to_gambit

# A signal of 0 or 1 is seen by both; they are paid 2 where both name it, 1 where neither does, and -1 else. Two rounds.
PAID = np.array([[2.0, -1.0], [-1.0, 1.0]])
POLICY = np.array([[[0.75, 0.25], [0.5, 0.5]], [[0.25, 0.75], [1.0, 0.0]]])


def exact_value(discount):
    """Probability that player i names the signal, then the mean payment of two independent rounds."""
    names = POLICY[:, [0, 1], [0, 1]]
    chances = [np.outer([p, 1 - p], [q, 1 - q]) for p, q in zip(*names, strict=True)]
    return np.mean([(chance * PAID).sum() for chance in chances]) * (1 + discount)


def assert_plays_pay(simulator, discount):
    episodes = hq.SampledGame(simulator).play(POLICY, 2000, jax.random.key(0))
    rewards = np.asarray(episodes.rewards)
    returns = (rewards * discount ** np.arange(rewards.shape[1])[None, :, None]).sum(1)
    assert not np.asarray(episodes.failed).any()
    errors = returns.std(0) / np.sqrt(len(returns))
    assert np.all(np.abs(returns.mean(0) - exact_value(discount)) < 5 * errors)
    assert np.all(returns >= np.asarray(simulator.return_low))
    assert np.all(returns <= np.asarray(simulator.return_high))


def petting_zoo_signal():
    pettingzoo = pytest.importorskip("pettingzoo", reason="plays environments of its parallel API")
    from gymnasium import spaces

    class Signal(pettingzoo.ParallelEnv):
        possible_agents = ("ann", "bob")

        def __init__(self):
            self.metadata = {"name": "signal"}

        def observation_space(self, agent):
            return spaces.Discrete(2)

        def action_space(self, agent):
            return spaces.Discrete(2, start=5)

        def reset(self, seed=None, options=None):
            self.rng, self.agents, self.round = np.random.default_rng(seed), list(self.possible_agents), 0
            return self.look(), {agent: {} for agent in self.agents}

        def look(self):
            self.signal = int(self.rng.integers(2))
            return dict.fromkeys(self.agents, self.signal)

        def step(self, actions):
            missed = [actions[agent] - 5 != self.signal for agent in self.possible_agents]
            self.round += 1
            paid = dict.fromkeys(self.agents, PAID[int(missed[0]), int(missed[1])])
            over, seen = dict.fromkeys(self.agents, self.round == 2), self.look()
            cut, told = dict.fromkeys(self.agents, False), {agent: {} for agent in self.agents}
            self.agents = [] if self.round == 2 else self.agents
            return seen, paid, over, cut, told

    return Signal


class JaxSignal:
    """The same with JaxMARL's methods."""

    name, agents = "signal", ("ann", "bob")

    def action_space(self, agent):
        class Two:
            n = 2

        return Two()

    def reset(self, key):
        signal = jax.random.bernoulli(key).astype(int)
        return dict.fromkeys(self.agents, signal), (signal, jnp.zeros((), int))

    def step_env(self, key, state, actions):
        signal, played = state
        missed = [(actions[agent] != signal).astype(int) for agent in self.agents]
        paid = dict.fromkeys(self.agents, jnp.asarray(PAID)[missed[0], missed[1]])
        done = dict.fromkeys((*self.agents, "__all__"), played == 1)
        observations, (signal, _) = self.reset(key)
        return observations, (signal, played + 1), paid, done, {}


@pytest.mark.parametrize("discount", [1.0, 0.5])
def test_petting_zoo_pays_what_arithmetic_says(discount):
    simulator = PettingZooSimulator(
        petting_zoo_signal(), lambda agent, seen: seen, 2, reward_range=(-1, 2), horizon=2, discount=discount
    )
    assert simulator.labels.players == ("ann", "bob")
    assert_plays_pay(simulator, discount)


def test_jaxmarl_pays_what_arithmetic_says():
    simulator = JaxMARLSimulator(JaxSignal(), lambda agent, seen: seen, 2, reward_range=(-1, 2), horizon=3)
    assert simulator.labels.title == "signal"
    assert_plays_pay(simulator, 1.0)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:OvercookedV2 is now:DeprecationWarning")
def test_overcooked_of_jaxmarl_is_played():
    """The real kitchen: a random policy over what stands before the cooks; nothing breaks down."""
    jaxmarl = pytest.importorskip("jaxmarl", reason="plays its Overcooked")
    env = jaxmarl.make("overcooked", max_steps=20)
    simulator = JaxMARLSimulator(
        env, lambda agent, seen: (seen.sum() % 3).astype(int), 3, reward_range=(0, 20), horizon=20, discount=0.99
    )
    game = hq.SampledGame(simulator)
    policy = hq.games.random.random_policy(jax.random.key(0), game)
    with jax.numpy_rank_promotion("allow"):  # JaxMARL promotes
        episodes = game.play(policy, 8, jax.random.key(1))
    assert not np.asarray(episodes.failed).any()
    assert np.asarray(episodes.ended).all()
    assert np.asarray(episodes.states).min() >= 0


def test_whole_numbers_are_numbers():
    simulator = JaxMARLSimulator(JaxSignal(), lambda agent, seen: seen, 2, reward_range=(0, 2), horizon=3, discount=1)
    assert [np.asarray(simulator.return_low).tolist(), np.asarray(simulator.return_high).tolist()] == [[0, 0], [6, 6]]


def test_wrong_numbers_are_refused():
    make = petting_zoo_signal()
    good = {"reward_range": (-1.0, 2.0), "horizon": 2}
    for change, message in [
        ({"reward_range": (2.0, -1.0)}, "reward_range: is"),
        ({"horizon": 0}, "horizon: is 0"),
    ]:
        with pytest.raises(hq.InputError, match=message):
            PettingZooSimulator(make, lambda agent, seen: seen, 2, **(good | change))
    with pytest.raises(hq.InputError, match="no number above 0 for the agent 'bob'"):
        PettingZooSimulator(make, lambda agent, seen: seen, {"ann": 2}, **good)
    broken = PettingZooSimulator(make, lambda agent, seen: 7, 2, **good)
    with pytest.warns(RuntimeWarning, match="is no information state"):
        episodes = hq.SampledGame(broken).play(POLICY, 3, jax.random.key(0))
    assert np.asarray(episodes.failed).all()


def test_gambit_trees_both_ways():
    pytest.importorskip("pygambit", reason="converts its games")
    game = hq.load_game("kuhn_poker")
    there = to_gambit(game)
    assert there.is_tree
    back = from_gambit(there)
    for key in ("parent", "player", "information_set", "branch", "probability", "payoffs"):
        np.testing.assert_array_equal(np.asarray(getattr(back, key)), np.asarray(getattr(game, key)))
    assert back.labels.information_states == game.labels.information_states


def test_gambit_tables_both_ways():
    pygambit = pytest.importorskip("pygambit", reason="converts its games")
    payoffs = np.random.default_rng(0).normal(size=(3, 2, 3, 2))
    back = from_gambit(to_gambit(hq.NormalFormGame(payoffs)))
    np.testing.assert_array_equal(np.asarray(back.payoffs), payoffs)
    own = pygambit.Game.from_arrays(np.array([[3, 0], [5, 1]]), np.array([[3, 5], [0, 1]]), title="Dilemma")
    ours = from_gambit(own)
    assert ours.labels.title == "Dilemma"
    np.testing.assert_array_equal(np.asarray(ours.payoffs)[0], [[3, 0], [5, 1]])


def test_what_gambit_does_not_hold_is_refused():
    pytest.importorskip("pygambit", reason="converts its games")
    with pytest.raises(hq.InputError, match=r"a pygambit\.Game is wanted"):
        from_gambit([[1, 2]])
    with pytest.raises(hq.InputError, match="Gambit holds normal forms and trees"):
        to_gambit(hq.games.random.random_bayesian(jax.random.key(0), (2, 2), (2, 2)))


def test_open_spiel_to_gambit():
    """OpenSpiel's tree, by way of this library, is a tree of Gambit's with as many nodes."""
    pytest.importorskip("pygambit", reason="converts its games")
    pytest.importorskip("pyspiel", reason="brings the tree")
    tree = open_spiel_tree("kuhn_poker")
    assert len(list(to_gambit(tree).nodes)) == len(np.asarray(tree.parent))
