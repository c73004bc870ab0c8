"""The principal branch as a curve: its points, turning points, crossings, ends and complaints."""

import jax
import numpy as np
import pytest
from enumeration import evaluate_worlds, markov_worlds
from scipy.optimize import brentq

import hqre_jax as hq
from hqre_jax.solvers._loop import record
from hqre_jax.solvers.continuation.principal_branch import PrincipalBranch

STAG_HUNT = np.array([[[10.0, 1.0], [8.0, 5.0]], [[10.0, 8.0], [1.0, 5.0]]])
STAG = 0.666
LEANING = np.array([[[STAG, 1 - STAG]], [[STAG, 1 - STAG]]])
COORDINATION = np.stack([np.eye(2), np.eye(2)])
# Two by two throughout: one program serves all of these.
LOPSIDED = np.array([[[2.0, -1.0], [0.5, 1.5]], [[-0.3, 1.0], [1.2, -0.8]]])


def responses(payoffs, policy, taus, reference):
    """Logit responses of two players, one row per point: ``π_i ∝ ρ_i exp(u_i/τ_i)``."""
    rows, columns = policy[:, 0, 0], policy[:, 1, 0]
    worth = np.stack([columns @ payoffs[0].T, rows @ payoffs[1]], axis=1)
    weights = np.asarray(reference)[None, :, 0] * np.exp(worth / taus[:, :, :1])
    return (weights / weights.sum(-1, keepdims=True))[:, :, None]


def assert_on_curve(branch, payoffs, reference=None):
    reference = np.full((2, 1, 2), 0.5) if reference is None else reference
    gap = np.abs(responses(payoffs, branch.policies, branch.taus, reference) - branch.policies)
    assert gap.max() <= 1e-6
    assert gap[-1].max() <= 1e-10
    # Consecutive points are neighbours: nothing was left out between them.
    assert np.abs(np.diff(branch.policies, axis=0)).max() < 0.3


def test_a_branch_leads_from_the_reference_to_the_solution():
    tau = np.array([0.3, 0.1])
    branch = hq.trace_branch(hq.NormalFormGame(LOPSIDED), np.inf, tau)
    assert branch.result == "successful"
    assert branch.scales[0] == 0
    assert branch.scales[-1] == 1
    assert np.isposinf(branch.taus[0]).all()
    np.testing.assert_array_equal(branch.policies[0], np.full((2, 1, 2), 0.5))
    np.testing.assert_allclose(branch.taus[-1, :, 0], tau, rtol=1e-15)
    np.testing.assert_allclose(branch.taus[1:] * branch.scales[1:, None, None] / tau[:, None], 1, rtol=1e-12)
    assert_on_curve(branch, LOPSIDED)
    solution = hq.solve(hq.NormalFormGame(LOPSIDED), tau, solver="principal_branch")
    np.testing.assert_allclose(branch.policies[-1], solution.policy, rtol=0, atol=1e-10)
    assert solution.residual <= 1e-10


# --- Turning points and crossings ------------------------------------------------------------------------------


def symmetric_rationality(p):
    """The λ at which both hunting with probability p is an equilibrium: ``logit p = logit ρ + λ (6p − 4)``."""
    return (np.log(p / (1 - p)) - np.log(STAG / (1 - STAG))) / (6 * p - 4)


def test_the_point_before_a_refused_step_is_kept(monkeypatch):
    """All that was accepted is reported, but for polishing, which stays where it is."""
    seen = []

    def spied(*args):
        seen.append(record(*args))
        return seen[-1]

    monkeypatch.setattr("hqre_jax.solving._branch.record", spied)
    branch = hq.trace_branch(hq.NormalFormGame(STAG_HUNT), np.inf, 1.0, reference=LEANING)
    trace = seen[0][3]
    refused = ~trace["accepted"]
    assert (refused[1:] & ~refused[:-1]).any()
    places = trace["point"][~refused, -1]
    assert len(branch.scales) == 1 + np.count_nonzero(np.diff(places))


def symmetric_slope(p):
    return (1 / (p * (1 - p)) - 6 * symmetric_rationality(p)) / (6 * p - 4)


def test_folds_are_where_the_scalar_curve_turns():
    branch = hq.trace_branch(hq.NormalFormGame(STAG_HUNT), np.inf, 1.0, reference=LEANING)
    turns = [brentq(symmetric_slope, *ends, xtol=1e-14) for ends in ((0.55, 0.66), (0.2, 0.55))]
    assert [symmetric_rationality(p) for p in turns] == pytest.approx([0.717, 0.685], abs=2e-3)
    assert len(branch.folds) == 2
    for fold, p in zip(branch.folds, turns, strict=True):
        # A turning point is flat: λ is exact to the square of the error in p.
        assert fold.scale == pytest.approx(symmetric_rationality(p), rel=1e-9)
        np.testing.assert_allclose(fold.tau, 1 / symmetric_rationality(p), rtol=1e-9)
        np.testing.assert_allclose(fold.policy[:, 0, 0], p, atol=1e-5)
    assert branch.num_bifurcations == 0
    assert_on_curve(branch, STAG_HUNT, LEANING)
    # One travels down from ρ to the last point in p, whatever λ does on the way.
    hunting = branch.policies[:, 0, 0, 0]
    assert (np.diff(hunting) < 0).all()
    assert (np.diff(branch.scales) < 0).any()
    end = brentq(lambda p: symmetric_rationality(p) - 1, 0.01, 0.07, xtol=1e-15)
    assert end == pytest.approx(0.0458912, abs=5e-8)
    np.testing.assert_allclose(branch.policies[-1, :, 0, 0], end, rtol=0, atol=1e-10)
    solution = hq.solve(hq.NormalFormGame(STAG_HUNT), 1.0, reference=LEANING)
    np.testing.assert_allclose(solution.policy, branch.policies[-1], rtol=0, atol=1e-10)


@pytest.mark.parametrize("stake", [1.0, 8.0])
def test_a_symmetric_crossing_is_counted_and_passed_straight(stake):
    game = hq.NormalFormGame(stake * COORDINATION)
    above = hq.trace_branch(game, np.inf, 0.51 * stake)
    assert above.num_bifurcations == 0
    below = hq.trace_branch(game, np.inf, 0.2 * stake)
    assert below.num_bifurcations == 1
    np.testing.assert_allclose(below.bifurcations, [0.2 / 0.5], rtol=1e-3)  # at τ = stake/2
    assert below.folds == ()
    np.testing.assert_allclose(below.policies, 0.5, rtol=0, atol=1e-10)
    np.testing.assert_allclose(hq.solve(game, 0.2 * stake).policy, 0.5, rtol=0, atol=1e-10)


# --- Where to begin, and Markov games --------------------------------------------------------------------------


def test_the_report_may_begin_at_a_temperature():
    game = hq.NormalFormGame(LOPSIDED)
    whole = hq.trace_branch(game, np.inf, [0.3, 0.1])
    for part in (hq.trace_branch(game, [1.5, 0.5], [0.3, 0.1]), hq.trace_branch(game, [[1.5], [0.5]], [0.3, 0.1])):
        # One point at or before the start, all others after it, and the same points as in the whole.
        assert part.scales[0] <= 0.2 <= part.scales[1]
        assert 2 < len(part.scales) < len(whole.scales)
        np.testing.assert_array_equal(part.policies, whole.policies[-len(part.scales) :])
        np.testing.assert_array_equal(part.taus, whole.taus[-len(part.scales) :])


@pytest.mark.thorough
def test_a_branch_of_a_markov_game_keeps_to_its_own_equations():
    game = hq.games.random.random_markov(jax.random.key(5), 2, (2, 2), 0.7)
    tau = np.array([[0.4, 0.2], [0.3, 0.6]])
    branch = hq.trace_branch(game, np.inf, tau, continuation="soft")
    worlds = markov_worlds(game.payoffs, game.transitions, 0.7, game.initial)
    for policy, taus in list(zip(branch.policies, branch.taus, strict=True))[1::3]:
        bonus = -taus * (policy * np.log(2 * policy)).sum(-1)
        weights = np.exp(evaluate_worlds(worlds, policy, bonus, "soft", sweeps=120)[0] / taus[..., None])
        assert np.abs(policy - weights / weights.sum(-1, keepdims=True)).max() <= 1e-6
    solution = hq.solve(game, tau, solver=PrincipalBranch())
    np.testing.assert_allclose(branch.policies[-1], solution.policy, rtol=0, atol=1e-10)
    assert solution.selection == "principal_branch"


# --- Complaints ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "problem"),
    [
        (0.5, 1.0, "below tau_to"),
        ([1.0, 2.0], 1.0, "proportion"),
        (2.0, [1.0, 0.5], None),
        (0.0, 1.0, "greater than 0"),
        (-1.0, 1.0, "greater than 0"),
        (np.nan, 1.0, "greater than 0"),
        ([1.0, 1.0, 1.0], 1.0, "shape"),
    ],
)
def test_unfit_beginnings_are_refused(start, end, problem):
    game = hq.NormalFormGame(LOPSIDED)
    if problem is None:
        # A number means: from where the hottest player has this temperature.
        assert hq.trace_branch(game, start, end).taus[1].max() <= start
        return
    with pytest.raises(hq.InputError, match=problem) as caught:
        hq.trace_branch(game, start, end)
    assert caught.value.field == "tau_from"


def test_a_negative_limit_is_refused():
    with pytest.raises(hq.InputError) as caught:
        hq.trace_branch(hq.NormalFormGame(LOPSIDED), np.inf, 1.0, max_steps=-1)
    assert caught.value.field == "max_steps"


def test_a_branch_cut_short_says_how_far_it_came():
    game = hq.NormalFormGame(LOPSIDED)
    with pytest.raises(hq.solving.BranchError, match=r"max_steps_reached.*raise max_steps") as caught:
        hq.trace_branch(game, np.inf, 0.05, max_steps=3)
    branch = hq.trace_branch(game, np.inf, 0.05, max_steps=3, throw=False)
    assert branch.result == "max_steps_reached"
    assert 0 < branch.scales[-1] < 1
    assert f"tau_to/{branch.scales[-1]:.3g}" in str(caught.value)
    np.testing.assert_array_equal(caught.value.branch.policies, branch.policies)
    gap = responses(LOPSIDED, branch.policies, branch.taus, np.full((2, 1, 2), 0.5)) - branch.policies
    assert np.abs(gap).max() <= 1e-6
