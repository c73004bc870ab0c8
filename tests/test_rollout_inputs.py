"""Bad input of every public function that takes rollouts: a result or one `InputError`, and no wrong thing accepted."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hqre_jax as hq

ROOT = Path(__file__).parents[1]
MASK = np.ones((2, 1, 2), bool)
ACTIONS = np.array(list(itertools.product(range(2), repeat=2)) * 6)
PAID = np.random.default_rng(0).random(ACTIONS.shape)


def log_of(**changes):
    table = {"actions": ACTIONS, "payoffs": PAID, "log_propensities": np.log(0.5), "num_actions": [[2], [2]]}
    return hq.RolloutLog.from_plays(**{**table, **changes})


@pytest.fixture(scope="module")
def known():
    """A log, its empirical game, and the solution of that."""
    log = log_of()
    empirical = hq.EmpiricalGame.from_log(log)
    return log, empirical, hq.solve(empirical.game, 0.8, solver="principal_branch")


def swept(*options):
    """Functions, arguments and calls of the sweep; it runs where annotations are not checked, as in a user's hands."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(Path(__file__).with_name("rollout_inputs.py")), *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return [int(part.split()[0]) for part in done.stdout.splitlines()[-1].split(", ")]


def test_spoilt_arguments_are_answered_or_refused():
    """Every argument spoilt in every way that there is for it, with one value of each; the sweep tries all arguments.

    There are four ways for any argument, by words, numbers, tables and other objects, and more for lists and arrays.
    """
    functions, arguments, calls, faults = swept("--sample")
    assert functions >= 37
    assert arguments > functions
    assert calls > 4 * arguments
    assert faults == 0


@pytest.mark.thorough
def test_all_spoilt_arguments_are_answered_or_refused():
    """Of the four ways there are 29 values."""
    _, arguments, calls, _ = swept()
    assert calls > 28 * arguments  # resamples are not tried in numbers that would take hours


@pytest.mark.parametrize("level", [2.0, 1.0, 0.0, -0.5, float("nan")])
def test_no_level_that_is_none(known, level):
    log, empirical, solution = known
    for call in (
        lambda: hq.empirical.bootstrap(log, empirical, solution, level=level, num_resamples=2),
        lambda: hq.empirical.confidence_region(empirical, solution, level),
        lambda: hq.empirical.plan_rollouts(empirical, solution, 0.05, level=level),
        lambda: hq.stability.InteractionEstimates.from_plays(ACTIONS, PAID, MASK).radius(level),
        lambda: hq.diagnose_logs([log, log], 0.5, level=level),
    ):
        with pytest.raises(hq.InputError, match=r"^level: "):
            call()


@pytest.mark.parametrize("count", [2.5, float("nan"), 1, True])
def test_no_count_that_is_none(count):
    """Before annotations are looked at."""
    with pytest.raises(hq.InputError, match=r"^min_count: "):
        hq.stability.TemperatureController.__post_init__(_settings(count))


def _settings(count):
    controller = hq.stability.TemperatureController()
    object.__setattr__(controller, "min_count", count)
    return controller


@pytest.mark.parametrize("action", [-7, 2])
def test_no_action_that_is_none(action):
    wrong = ACTIONS.copy()
    wrong[5, 1] = action
    controller = hq.stability.TemperatureController()
    for call in (
        lambda: hq.stability.InteractionEstimates.from_plays(wrong, PAID, MASK),
        lambda: hq.stability.ActionValueEstimates.from_rollouts(wrong, PAID, MASK),
        lambda: controller.step(controller.init(MASK, 0.3), MASK / 2, wrong, PAID, MASK),
    ):
        with pytest.raises(hq.InputError, match=rf"^actions\[5, 1\]: is {action}"):
            call()


def test_no_payoff_outside_its_range(known):
    low = float(PAID.max()) - 0.01
    log = known[0]
    for field, call in (
        ("payoffs", lambda: hq.stability.InteractionEstimates.from_plays(ACTIONS, PAID, MASK, payoff_range=(0, low))),
        (
            "payoffs",
            lambda: hq.stability.ActionValueEstimates.from_rollouts(ACTIONS, PAID, MASK, payoff_range=(0, low)),
        ),
        ("log.payoff", lambda: hq.EmpiricalGame.from_log(log, payoff_range=(0, low))),
        ("logs[0].payoff", lambda: hq.diagnose_logs([log, log], 0.5, payoff_range=(0, low))),
    ):
        with pytest.raises(hq.InputError, match="outside the stated payoff_range") as error:
            call()
        assert error.value.field.startswith(field)


def test_no_log_of_another_game(known):
    log, empirical, solution = known
    wider = log_of(num_actions=[[2], [3]])
    paid = log_of(payoffs=PAID + 1)
    for field, call in (
        ("logs[1]", lambda: hq.diagnose_logs([log, wider], 0.5)),
        ("log", lambda: hq.empirical.bootstrap(paid, empirical, solution, num_resamples=2)),
        ("log.num_actions", lambda: hq.sampled.Episodes.from_log(wider, hq.SampledGame.from_game(empirical.game))),
        ("action_mask", lambda: _sum_of_games()),
        ("logs", lambda: hq.RolloutLog.concatenate([log, wider.renumbered(1)])),
    ):
        with pytest.raises(hq.InputError) as error:
            call()
        assert error.value.field == field


def _sum_of_games():
    wide = np.ones((2, 1, 3), bool)
    return hq.stability.InteractionEstimates.from_plays(
        ACTIONS, PAID, MASK
    ) + hq.stability.InteractionEstimates.from_plays(ACTIONS, PAID, wide)


def test_propensities_that_add_up_to_more_than_one_are_no_policy():
    log = log_of(log_propensities=np.log(0.7))
    with pytest.raises(hq.InputError, match="adds up to more than 1"):
        hq.diagnose_logs([log, log], 0.5)
