"""The principal branch where sheets lie close together: near-symmetric coordination, exact symmetry, sharp bends.

Right values are those of `benchmarks.branches`' independent tracer, whose two step sizes agree, unless they are exact.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from benchmarks.branches._systems import normal_form_system, policies_of
from benchmarks.branches._tracer import trace
from hqre_jax.solvers import KrylovBranch
from hqre_jax.solvers._loop import iterate
from hqre_jax.solvers.continuation import _closeness, krylov_branch

# Three places to meet at, each a little better or worse than the others.
NEAR = np.array(
    [
        [[1.01, 0.03, -0.04], [0.03, 1.0, -0.02], [-0.02, -0.02, 1.0]],
        [[1.02, 0.01, 0.01], [-0.03, 0.97, 0.03], [0.02, 0.04, 1.02]],
    ]
)
NEAR_ANSWER = [[6.0e-5, 0.99990, 4.0e-5], [5.0e-5, 0.99987, 8.0e-5]]
# No symmetry at all, and a bend that is easily cut.
BEND = np.array([[[1, 0, 5], [-3, 1, 1], [2, 4, 5]], [[-1, -2, 5], [-1, -3, -2], [4, 4, 1]]], float)
BEND_TAU = np.array([0.15, 0.05])
BEND_ANSWER = [[0, 0, 1], [0.5, 0.5, 0]]


@pytest.mark.parametrize("solver", ["auto", "principal_branch", "krylov_branch"])
def test_one_game_by_every_method(solver):
    for payoffs, tau, answer in ((NEAR, 0.1, NEAR_ANSWER), (BEND, BEND_TAU, BEND_ANSWER)):
        solution = hq.solve(hq.NormalFormGame(payoffs), tau, solver=solver)
        assert solution.selection == "principal_branch"
        np.testing.assert_allclose(solution.policy[:, 0], answer, rtol=0, atol=2e-5)


def test_the_way_there_turns_twice():
    for payoffs, tau, answer in ((NEAR, 0.1, NEAR_ANSWER), (BEND, BEND_TAU, BEND_ANSWER)):
        branch = hq.trace_branch(hq.NormalFormGame(payoffs), np.inf, tau)
        assert (len(branch.folds), branch.num_bifurcations) == (2, 0)
        np.testing.assert_allclose(branch.policies[-1, :, 0], answer, rtol=0, atol=2e-5)


def test_every_lane_of_a_batch():
    """In any place, among any neighbours, and where one player's payoffs alone are favoured."""
    favoured = np.stack([np.eye(3) + np.diag([0.02, 0.01, 0])] * 2)
    games = np.stack([NEAR, favoured, NEAR, BEND, NEAR[::-1].transpose(0, 2, 1)])
    tau = np.array([[0.1, 0.1], [0.1, 0.1], [0.1, 0.1], BEND_TAU, [0.1, 0.1]])
    together = hq.solve_batch(games, tau)
    assert list(together.selection) == ["principal_branch"] * 5
    policies = np.asarray(together.policy)[:, :, 0]
    for lane, answer in ((0, NEAR_ANSWER), (2, NEAR_ANSWER), (3, BEND_ANSWER), (4, NEAR_ANSWER[::-1])):
        np.testing.assert_allclose(policies[lane], answer, rtol=0, atol=2e-5)
    assert policies[1, :, 0].min() > 0.999


def test_just_before_a_fold():
    """At temperatures a little hotter than a fold's the branch arrives before it: no step may go around the fold."""
    noise = ((0.01, 6), (0.01, 13), (0.003, 7), (0.02, 9), (0.02, 16))
    games = np.stack([NEAR, *(np.eye(3) + e * np.random.RandomState(seed).randn(2, 3, 3) for e, seed in noise)])
    folds = [hq.trace_branch(hq.NormalFormGame(game), np.inf, 0.1).folds[0] for game in games]
    hotter = np.logspace(-10, -2, 33)
    tau = np.concatenate([fold.tau[0, 0] * (1 + hotter) for fold in folds])
    solution = hq.solve_batch(np.repeat(games, len(hotter), 0), tau[:, None])
    assert set(solution.selection) == {"principal_branch"}
    distance = np.abs(solution.policy - np.repeat(np.stack([f.policy for f in folds]), len(hotter), 0)).max((1, 2, 3))
    # As far as a parabola goes in so many steps of temperature.
    assert np.all(distance <= 2 * np.sqrt(np.tile(hotter, len(games))) + 1e-5)


def three_drivers():
    """Three roads that differ, three drivers that hardly do: what they cannot share they must not sit in together."""
    base, slope = np.array([0.15, 0.3, 0.6]), np.array([0.9, 0.7, 0.5])
    payoffs = np.zeros((3, 3, 3, 3))
    for profile in np.ndindex(3, 3, 3):
        for i in range(3):
            payoffs[(i, *profile)] = -base[profile[i]] - slope[profile[i]] * profile.count(profile[i])
    return hq.NormalFormGame(payoffs + 1e-9 * np.random.RandomState(0).randn(3, 3, 3, 3))


@pytest.mark.parametrize("dense", [pytest.param(200, marks=pytest.mark.thorough), 0])
def test_without_a_matrix(dense, monkeypatch):
    """What a symmetry hides from one step's direction the next one sees: small games by the matrix, large by powers."""
    monkeypatch.setattr(krylov_branch, "_SMALL", dense)
    method = KrylovBranch()
    for problem in (hq.Problem(hq.NormalFormGame(NEAR), 0.1), hq.Problem(three_drivers(), 0.07)):
        problem = problem.centered()
        right = hq.solve(problem, solver="principal_branch").policy
        state, code, _ = jax.jit(lambda p: iterate(method, p, p.log_reference, jnp.asarray(1e-10), 3_000))(problem)
        assert int(code) == hq.RESULTS.successful.code
        np.testing.assert_allclose(problem.policy(state.iterate.logits), right, rtol=0, atol=1e-6)


@pytest.mark.parametrize("solver", ["principal_branch", "krylov_branch"])
def test_just_before_and_behind_a_fold(solver):
    """One at a time: before it the branch ends where it first arrives, behind it far away."""
    game = hq.NormalFormGame(NEAR)
    fold = hq.trace_branch(game, np.inf, 0.1).folds[0]
    for distance in (1e-8, 1e-6, 1e-4, -1e-4, -1e-6):
        solution = hq.solve(game, fold.tau[0, 0] * (1 + distance), solver=solver)
        assert solution.selection == "principal_branch"
        assert (np.abs(solution.policy - fold.policy).max() < 0.2) == (distance > 0)


def test_a_step_passes_over_no_arrival():
    """On the parabola t = s − s²/2, whose fold is at (1, ½): from s = .8 to 1.2 the tangents meet at t = .52."""

    def first(begin, end, goal, landing):
        positions, slopes = zip(*(jnp.asarray([s - s**2 / 2, 1 - s]) for s in (begin, end)), strict=True)
        length = jnp.asarray(end - begin)
        return bool(_closeness.arrives_first(positions, slopes, length, jnp.asarray(goal), jnp.asarray(landing)))

    assert first(0.8, 1.2, 0.521, False)
    assert not first(0.8, 1.2, 0.519, False)
    assert not first(0.8, 1.2, 0.4999, False)
    assert first(0.5, 0.9, 0.495, True)  # met on the way up
    assert not first(0.5, 1.1, 0.495, True)  # and again on the way down
    assert first(1.2, 1.4, 0.45, False)  # going down, nothing is met from below


def test_imperfections_of_every_size():
    """From 1e-1 to 1e-12: as the independent tracer has it; nobody stays where symmetry would have left them."""
    rng = np.random.RandomState(0)
    size = 10.0 ** -np.arange(1, 13).repeat(4).reshape(-1, 1, 1, 1)
    games = np.eye(3) + size * rng.randn(48, 2, 3, 3)
    solution = hq.solve_batch(games, 0.1, throw=False)
    traced = trace(*normal_form_system(games, np.full((48, 2), 0.1)), 0.1)
    # The tracer gives up at the smallest of them; it never guesses.
    assert traced.arrived[:44].all()
    claims = np.asarray(solution.selection) == "principal_branch"
    assert claims.mean() > 0.95
    both = claims & traced.arrived
    right = policies_of(traced.points, (3, 3))
    np.testing.assert_allclose(solution.policy[both, :, 0], right[both], rtol=0, atol=1e-6)
    assert np.asarray(solution.policy).max((1, 2, 3))[both].min() > 0.99


def test_two_places():
    """2×2: with an imperfection of 1e-9 … 1e-7 one never stays in the middle."""
    rng = np.random.RandomState(1)
    games = np.eye(2) + 10.0 ** rng.uniform(-9, -7, (60, 1, 1, 1)) * rng.randn(60, 2, 2, 2)
    solution = hq.solve_batch(games, 0.1)
    right = policies_of(trace(*normal_form_system(games, np.full((60, 2), 0.1)), 0.1).points, (2, 2))
    np.testing.assert_allclose(solution.policy[:, :, 0], right, rtol=0, atol=1e-6)
    assert np.asarray(solution.policy).max((1, 2, 3)).min() > 0.99


def test_three_who_meet():
    """Imperfections so small that first responses hardly move anybody: what becomes of them shows nothing."""
    meeting = np.zeros((3, 3, 3, 3))
    meeting[:, [0, 1, 2], [0, 1, 2], [0, 1, 2]] = 1
    games = meeting + 1e-10 * np.random.RandomState(3).randn(12, 3, 3, 3, 3)
    solution = hq.solve_batch(games, 0.22)
    traced = trace(*normal_form_system(games, np.full((12, 3), 0.22)), 0.1)
    assert traced.arrived.all()
    np.testing.assert_allclose(solution.policy[:, :, 0], policies_of(traced.points, (3, 3, 3)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("places", [3, pytest.param(4, marks=pytest.mark.thorough)])
def test_exact_symmetry_is_kept(places):
    """Even chances are an equilibrium at every temperature: the branch goes on through the fork at λ = places, whose
    kernel has ``places - 1`` dimensions for each sign, and it is counted once."""
    game = hq.NormalFormGame(np.stack([np.eye(places)] * 2))
    for rationality in (places + 0.5, 8.0, 9.0, 20.0, 40.0, 100.0):
        solution = hq.solve(game, 1 / rationality)
        assert solution.selection == "principal_branch"
        np.testing.assert_allclose(solution.policy, 1 / places, rtol=0, atol=1e-9)
    batch = hq.solve_batch(np.stack([game.payoffs] * 3), [[1 / 9], [1 / 20], [1 / 40]])
    np.testing.assert_allclose(batch.policy, 1 / places, rtol=0, atol=1e-9)
    branch = hq.trace_branch(game, np.inf, 1 / 40)
    assert (branch.num_bifurcations, branch.folds) == (1, ())


def test_a_lost_branch_selects_nothing():
    """Even where the residual happens to be small: the reference is an equilibrium, but the curve was not followed."""
    game = hq.NormalFormGame(np.stack([np.eye(3)] * 2))
    lost = hq.solve(game, 0.1, solver="principal_branch", max_steps=5, throw=False)
    assert float(lost.residual) < 1e-10
    assert lost.selection == "unselected"


@pytest.mark.parametrize(("change", "close"), [(0.499, True), (0.501, False), (1e3, False)])
def test_half_the_jacobian_may_change_over_a_step(change, close):
    seen = _closeness.watch(jnp.zeros(()))
    for slant in (0.0, 0.5):
        judged = _closeness.judge(seen, jnp.asarray(0.1), jnp.asarray(change), jnp.asarray(slant), jnp.asarray(True))
        assert bool(judged.close) is close


def test_without_the_guard_the_answer_is_another(monkeypatch):
    """Negative control: steps judged by Newton's convergence alone end in the middle."""
    problem = hq.Problem(hq.NormalFormGame(NEAR), 0.1).centered()

    def solve():
        method = hq.solvers.PrincipalBranch()
        state, code, _ = jax.jit(lambda: iterate(method, problem, problem.log_reference, jnp.asarray(1e-10), 200))()
        return int(code), np.asarray(problem.policy(state.iterate.logits))[:, 0]

    code, policy = solve()
    np.testing.assert_allclose(policy, NEAR_ANSWER, rtol=0, atol=2e-5)
    module = "hqre_jax.solvers.continuation._branch"
    monkeypatch.setattr(f"{module}.judge", lambda seen, length, **facts: _closeness.Judged(
        close=jnp.asarray(True), kept=seen, refused=seen, longer=jnp.asarray(3.0), shorter=0.5 * length
    ))  # fmt: skip
    monkeypatch.setattr(f"{module}.CHANGE", np.inf)
    code, policy = solve()
    assert code == hq.RESULTS.successful.code
    assert np.abs(policy - 1 / 3).max() < 0.01
