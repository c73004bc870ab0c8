"""From an empirical game to a policy: temperatures, selection, certificates, budgets, and learning by play."""

import dataclasses

import jax
import numpy as np
import pytest
from teams import dice, game_items, samples_of, team_file

import hqre_jax as hq
from hqre_jax.bridge.baselines import NothingFits
from hqre_jax.bridge.coordination import (
    PolicyPlayer,
    TeamGame,
    TeamSimulator,
    certify_stages,
    find_equilibria,
    play_all,
    solve_stages,
    stability_of,
    stage_games,
    train_offline,
    train_online,
)
from hqre_jax.bridge.evaluation._policies import Policies

MENU = [
    {"control": "abstain"},
    {"control": "direct", "temperature": 1.0},
    {"control": "step_by_step", "temperature": 1.0},
]
CHANCES = {"direct": {"A": 0.4, "B": 0.3, "C": 0.3}, "steps": {"A": 0.9, "C": 0.1}}
DOCUMENT = team_file(MENU, rounds=2, questions=30, price={"prompt": 1.0, "completion": 5.0})


@pytest.fixture(scope="module")
def pool():
    samples, model = samples_of(DOCUMENT, dice(CHANCES, {"steps": 8}))
    states, items = game_items(samples)
    return samples, states, items, TeamGame.from_samples(samples, items, per_question=16), model


def test_the_policy_is_an_hqre_of_its_own_game(pool):
    samples, states, items, game, model = pool
    asked = len(model.asked)
    trained = train_offline(game, 0.3)
    sol = trained.solution
    assert float(hq.residual(trained.game.game, sol.policy, trained.tau)) <= 1e-10
    assert trained.settled < 0.01, "the law of the histories is the policy's own"
    assert trained.selection in ("unique", "principal_branch")
    # Whoever answers thinks: that is worth its price; where both agree nobody does anything more.
    x = [str(state) for state in states.states].index("letters/easy, round 2, agreed")
    assert (trained.policy[:, x, 0] > 1 / 3).all()
    assert (trained.policy[:, 0, 2] > trained.policy[:, 0, 1]).all()
    exact = trained.game.estimated.worth(trained.policy)
    outcomes = [
        play for seed in range(20) for play in play_all(PolicyPlayer(states, trained.policy), items[0], samples, seed)
    ]
    scores = np.array([outcome.score for outcome in outcomes])
    assert exact.score == pytest.approx(scores.mean(), abs=4 * scores.std() / np.sqrt(30))
    assert asked == len(model.asked), "nothing new is asked"


def test_least_temperatures_certify_and_low_ones_do_not(pool):
    _, _, _, game, _ = pool
    least = solve_stages(game.game)
    assert least is not None
    certificate = certify_stages(game.game, least.tau, least.values)
    assert str(certificate.verdict) == "unique"
    assert min(margin for margin in certificate.margins if margin is not None) > 0
    low = solve_stages(game.game, 0.02 * least.tau)
    assert low is not None
    certificate = certify_stages(game.game, low.tau, low.values)
    assert str(certificate.verdict) == "not_unique", "who answers is a convention of a game of chicken"
    x = next(x for x, stage in enumerate(certificate.stages) if str(stage.verdict) == "not_unique")
    stage = stage_games(game.game, low.values)[x]
    assert len(find_equilibria(stage, low.tau[:, x : x + 1], num_starts=16)) >= 2


def test_the_grid_wants_a_question_for_each_of_its_parts():
    samples, _ = samples_of(DOCUMENT, dice(CHANCES))
    _, items = game_items(samples, count=1)
    with pytest.raises(hq.InputError, match=r'"grid" wants 2 questions of letters/easy .* is 1: .*"least"'):
        train_offline(TeamGame.from_samples(samples, items))


def test_a_price_wants_token_counts():
    says = dice(CHANCES)
    samples, _ = samples_of(DOCUMENT, lambda request: dataclasses.replace(says(request), usage=None))
    _, items = game_items(samples)
    with pytest.raises(hq.InputError, match="no play says what 'direct' costs agent 'agent 1': every call"):
        train_offline(TeamGame.from_samples(samples, items), 0.1)


def test_play_is_judged_where_entries_of_the_menu_fit_some_classes_alone():
    """Two divided tasks, or one beside a whole one: what an agent has in a state does not stand first in its menu."""
    menu = [{"control": "direct", "name": part, "part": part} for part in ("left", "right")]
    document = team_file([*menu, {"control": "direct"}, {"control": "abstain"}], questions=2) | {
        "tasks": [{"name": name, "classes": ["easy"]} for name in ("letters", "halves")]
    }
    samples, _ = samples_of(document, dice({"direct": {"A": 0.5, "L": 0.5}}))
    states, items = game_items(samples)
    assert not states.mask[0, 0, 0]
    report = stability_of(train_offline(TeamGame.from_samples(samples, items), 0.01), plays=8)
    assert report is not None
    assert report.verdict == "not_enough_data"


def test_a_budget_is_kept_by_dearer_tokens(pool):
    samples, _, items, _, _ = pool
    front = Policies((), prices=(1.0, 16.0), temperatures=0.15).measure(items[0], samples, np.inf, 0)
    free, poor = front.within(np.inf), front.within(20.0)
    assert (free.setting.label, poor.setting.label) == ("trained again, price × 1", "trained again, price × 16")
    assert poor.tokens <= 20.0 < free.tokens
    assert poor.score < free.score
    with pytest.raises(NothingFits, match="the budget is 0 tokens a question"):
        front.within(0)


def test_the_simulator_plays_the_same_game(pool):
    """Mean payoffs of its plays are what the empirical game says the policy is worth."""
    samples, states, items, game, _ = pool
    policy = game.law
    sampled = hq.SampledGame(TeamSimulator(samples, states, items), num_workers=1)
    episodes = sampled.play(policy, 512, jax.random.key(1))
    paid = np.asarray(episodes.rewards).sum(1)
    worth = game.estimated.worth(policy)
    assert not np.asarray(episodes.failed).any()
    np.testing.assert_allclose(paid.mean(0), worth.score - worth.costs, atol=4 * paid.std() / np.sqrt(100))


def test_learning_by_play(pool):
    """What is learnt is worth more than uniform play, and the report says how stable it is."""
    samples, states, items, game, _ = pool
    learnt = train_online(samples, states, items, tau=0.1, max_stretches=1, plays=64, tol=0.01)
    assert learnt.ended == "rounds"
    assert learnt.plays > 2 * 64, "those that are judged, and the probes"
    assert learnt.policies.shape == (2, *states.mask.shape)
    before, after = (game.estimated.worth(policy).team for policy in (learnt.policies[0], learnt.policies[-1]))
    assert after > before + 0.02
    assert learnt.report is not None
    policy = learnt.to_policy()
    assert policy.facts["training"]["ended"] == "rounds"
    assert 0 < policy.facts["residual"] <= 1


def test_the_controller_sets_temperatures(pool):
    """They are such that the estimated interactions have a margin, whatever they began with."""
    trained = train_offline(pool[3], "controller")
    assert (trained.tau[:, 0] > 0.1).all()
    assert trained.factor is None
