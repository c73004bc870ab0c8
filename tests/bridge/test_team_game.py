"""The empirical game against enumeration by hand, unbiased for every joint profile."""

import numpy as np
from teams import dice, game_items, samples_of, team_file

import hqre_jax as hq
from hqre_jax.bridge.coordination import PolicyPlayer, TeamGame, play_all

MENU = [
    {"control": "abstain"},
    {"control": "direct", "temperature": 1.0},
    {"control": "step_by_step", "temperature": 1.0},
]
CHANCES = {"direct": {"A": 0.5, "B": 0.3, "?": 0.2}, "steps": {"A": 0.8, "C": 0.2}}


def test_a_thin_path():
    samples, model = samples_of(team_file(MENU, rounds=2), dice(CHANCES))
    states, items = game_items(samples)
    game = TeamGame.from_samples(samples, items, per_question=16)
    sol = hq.solve(game.game, 0.2)
    assert sol.successful
    outcomes = play_all(PolicyPlayer(states, np.asarray(sol.policy)), items[0], samples)
    assert all(outcome.score is not None for outcome in outcomes)
    assert len(set(map(repr, model.asked))) <= 3 * 2 * 4
