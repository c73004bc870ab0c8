"""Bandits, mirror steps and ablations on teams whose best play is known exactly."""

import math

import numpy as np
import pytest
from teams import dice, game_items, samples_of, team_file

from hqre_jax.bridge.baselines import BudgetEnded, ablations, find_methods, methods
from hqre_jax.bridge.baselines._training import Visits, repriced, train
from hqre_jax.bridge.baselines._upper_bounds import UpperBounds
from hqre_jax.bridge.baselines.ablations import blinded
from hqre_jax.bridge.baselines.exp3 import ExponentialLearner
from hqre_jax.bridge.baselines.independent_ucb import IndependentLearner
from hqre_jax.bridge.baselines.joint_ucb import JointLearner
from hqre_jax.bridge.baselines.mirror import ZERO, MirrorLearner
from hqre_jax.bridge.coordination import PolicyPlayer, PublicStates, play_all, train_offline
from hqre_jax.bridge.models import Reply, Usage
from hqre_jax.bridge.store import Budget, Store, StoredModel

MENU = [
    {"control": "abstain"},
    {"control": "direct", "temperature": 1.0},
    {"control": "step_by_step", "temperature": 1.0},
]
# The parts of a divided question: an agent does one of them, or the other.
PARTS = [
    {"name": "left", "control": "direct", "temperature": 1.0, "part": "left"},
    {"name": "right", "control": "direct", "temperature": 1.0, "part": "right"},
]


def team(**more):
    return samples_of(team_file(MENU, **more), dice({"direct": {"A": 0.1, "B": 0.9}, "steps": {"A": 0.9, "B": 0.1}}))


def visits(states, choices, returns) -> Visits:
    return Visits(np.array(states), np.array(choices), np.array(returns, float), np.array(returns, float)[:, 0])


def test_upper_bounds():
    bounds, rng = UpperBounds(2, 1.0), np.random.default_rng(0)
    bounds.add(0, 1.0)
    assert bounds.means.tolist() == [0.75, 0.5]
    # Two plays of the first arm, one (the prior's) of the second: its bound is the higher one, its mean is not.
    assert 0.75 + math.sqrt(2 * math.log(4) / 2) < 0.5 + math.sqrt(2 * math.log(4) / 1)
    assert bounds.choose(rng) == 1
    assert bounds.best() == 0
    wide = UpperBounds(5, 1.0)
    assert sorted(wide.choose(rng) for _ in range(5)) == [0, 1, 2, 3, 4]


def test_learners_are_told_the_same():
    """Two agents: both are paid the team's score, each pays for its own tokens."""
    samples, _ = team()
    _, items = game_items(samples, 4)
    seen = []

    class Watch(JointLearner):
        def learn(self, visits: Visits) -> None:
            seen.append(visits)

    states = PublicStates.of(samples.team, samples.tasks)
    assert train(Watch(states, 1.0), samples, items[0], 40, 0) == 0
    assert [len(batch.states) for batch in seen] == [16, 16, 8]
    assert [len(batch.scores) for batch in seen] == [16, 16, 8]
    cost = np.array([0.0, 10 * 1e-3 + 5 * 1e-2, 10 * 1e-3 + 5 * 1e-2])
    for batch in seen:
        before = batch.returns + cost[batch.choices]
        assert np.allclose(before, batch.scores[:, None])
        silent = (batch.choices == 0).all(1)
        assert np.all(batch.scores[silent] == 0)
    free = repriced(samples, 0.0)
    assert all(agent.price.is_nothing for agent in free.team.agents)
    assert free.team.agents[0].choices == samples.team.agents[0].choices


@pytest.mark.parametrize("make", [lambda s: JointLearner(s, 0.2), lambda s: ExponentialLearner(s, 0.1)])
def test_bandits_find_the_better_control(make):
    samples, _ = team()
    states, items = game_items(samples, 4)
    learner = make(states)
    train(learner, repriced(samples, 0.0), items[0], 1500, 0)
    policy = learner.policy()
    assert np.allclose(policy.sum(-1), 1)
    # Without prices somebody takes steps, and nobody answers directly against it.
    assert policy[:, 0, 2].max() > 0.8


def test_independent_learners_choose_for_themselves():
    samples, _ = team()
    states, _ = game_items(samples, 1)
    learner = IndependentLearner(states, 0.0)
    learner.learn(visits([0] * 3, [[0, 1], [1, 2], [2, 0]], [[0.2, 0.9], [0.3, 0.1], [0.8, 0.0]]))
    assert learner.policy().argmax(-1).ravel().tolist() == [2, 1]
    joint = JointLearner(states, 0.0)
    joint.learn(visits([0] * 3, [[0, 1], [1, 2], [2, 0]], [[0.2, 0.9], [0.9, 0.9], [0.8, 0.0]]))
    assert joint.policy().argmax(-1).ravel().tolist() == [1, 2]


def test_exp3_by_hand():
    samples, _ = team()
    states, _ = game_items(samples, 1)
    learner = ExponentialLearner(states, 0.3)
    learner.learn(visits([0], [[2, 0]], [[1.0, 0.5]]))
    # p = 1/3, K = 3: the weight grows by exp(γ r).
    weights = np.exp([[0, 0, 0.3], [0.15, 0, 0]])
    assert np.allclose(learner.policy()[:, 0], weights / weights.sum(-1, keepdims=True))


def test_the_mirror_step_by_hand():
    """Importance-weighted returns, then π^{1/(1+ητ)} ρ^{ητ/(1+ητ)} exp(ηQ̂/(1+ητ))."""
    samples, _ = team()
    states, _ = game_items(samples, 1)
    for tau in (ZERO, 0.5):
        learner = MirrorLearner(states, tau, step=2.0)
        learner.learn(visits([0], [[2, 0]], [[1.0, 0.25]]))
        values = np.array([[0, 0, 0.5 * 3], [-0.25 * 3, 0, 0]])
        expected = np.exp(2 * values / (1 + 2 * tau))
        assert np.allclose(learner.policy()[:, 0], expected / expected.sum(-1, keepdims=True))


def test_a_reference_holds_policies_back():
    """Two agents divide a question: unanchored they end at a pure convention, anchored they stay inside."""

    def says(request):
        return Reply(request.messages[-1].content.split()[-1][0].upper(), "stop", Usage(10, 0, 5))

    free = {"prompt": 0.0, "completion": 0.0}
    samples, _ = samples_of(team_file(PARTS, task="halves", price=free), says)
    states, items = game_items(samples, 2)
    sharp, held = MirrorLearner(states, ZERO), MirrorLearner(states, 0.5)
    train(sharp, samples, items[0], 1024, 0)
    train(held, samples, items[0], 1024, 0)
    assert sharp.policy().max() > 0.999
    assert held.policy().max() < 0.9
    outcomes = play_all(PolicyPlayer(states, sharp.policy()), items[0], samples)
    assert all(outcome.score == 1 for outcome in outcomes)


def test_registered_learners_are_trained_at_several_prices():
    samples, _ = team()
    _, items = game_items(samples, 4)
    (method,) = find_methods(["joint_ucb_small"])
    front = method.measure(items[0], samples, math.inf, 0)
    assert len(front.measured) == 6
    assert front.within(math.inf).score >= 0.5
    dearest = [one for one in front.measured if "price × 4" in one.setting.label]
    assert all(one.tokens <= front.within(math.inf).tokens for one in dearest)


def test_training_ends_with_the_budget():
    samples, model = team()
    _, items = game_items(samples, 4)
    with Store(None) as store:
        samples.models = {"scripted": StoredModel(model, store, Budget(calls=20))}
        with pytest.raises(BudgetEnded, match="20 calls"):
            train(JointLearner(PublicStates.of(samples.team, samples.tasks), 1.0), samples, items[0], 500, 0)
    assert len(model.asked) == 20


def test_ablations(monkeypatch):
    """What agents do not see they cannot act on; what is not anchored ends at a corner."""
    monkeypatch.setattr(ablations, "TEMPERATURES", (0.1,))
    both = {"tasks": [{"name": "letters", "classes": ["easy", "hard"]}], "menu": MENU[1:]}

    def says(request):
        hard, steps = "hard" in request.messages[-1].content, "step by step" in request.messages[0].content
        return Reply("A" if hard == steps else "B", "stop", Usage(10, 0, 5))

    # The grid of temperatures has its own test; here one is enough.
    monkeypatch.setattr(ablations, "train_offline", lambda game, tau=0.1: train_offline(game, tau))
    samples, _ = samples_of(team_file(MENU[1:], **both), says)
    _, items = game_items(samples, 2)
    dev = [item for own in items.values() for item in own]
    found = find_methods(["one_temperature", "state_off", "no_reference"])
    fronts = [method.measure(dev, samples, math.inf, 0) for method in found]
    one, blind, loose = (front.within(math.inf).setting.player.probabilities for front in fronts)
    assert [table.shape[1] for table in (one, blind, loose)] == [2, 1, 2]
    # In the easy class all answer directly, in the hard one by steps; who sees no class can do either.
    assert one[:, 0, 0].max() > 0.9
    assert one[:, 1, 1].max() > 0.9
    assert fronts[0].within(math.inf).score > fronts[1].within(math.inf).score
    # The first agent's answer counts; what the second does nobody pulls at.
    assert loose[0].max(-1).min() > 0.999


def test_what_ends_play_is_hidden_with_it():
    samples, _ = team(rounds=2, state={"sees": ["class", "round", "agreement"], "stops": ["agreed", "silent"]})
    unseen = methods()["agreement_off"]
    assert blinded(samples, unseen.hidden).team.sees == ("class", "round")
    assert blinded(samples, unseen.hidden).team.stops == ("silent",)
    assert blinded(samples, methods()["state_off"].hidden).team.sees == ()
