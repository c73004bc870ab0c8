"""The principal branch without a Jacobian: the same curve, the same answers, honest where it fails."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from benchmarks._tree_case import TreeCase, action_values
from benchmarks.entrants.numpy_tree import Iteration, Plan
from hqre_jax.equilibrium._implicit_gradient import reattach
from hqre_jax.solvers.continuation._conjugate_residuals import conjugate_residuals, to_rounding

TAU = 0.1


def test_linear_systems():
    """Against a factorisation; a singular system stops and says so."""
    rng = np.random.default_rng(0)
    matrix, rhs = np.eye(40) + rng.standard_normal((40, 40)) / 4, rng.standard_normal(40)
    x, relative, products = conjugate_residuals(lambda v: jnp.asarray(matrix) @ v, jnp.asarray(rhs), 1e-8, 64)
    np.testing.assert_allclose(x, np.linalg.solve(matrix, rhs), atol=1e-6)
    assert float(relative) <= 1e-8
    assert int(products) <= 48
    projection = np.diag([1.0, 1.0, 0.0])
    x, relative, products = conjugate_residuals(lambda v: jnp.asarray(projection) @ v, jnp.ones(3), 1e-6, 16)
    np.testing.assert_allclose(float(relative), 3**-0.5)
    assert int(products) <= 3
    # To rounding; and where residuals do not fall at first.
    x = to_rounding(lambda v: jnp.asarray(matrix) @ v, jnp.asarray(rhs), jnp.ones(40))
    np.testing.assert_allclose(x, np.linalg.solve(matrix, rhs), rtol=1e-12)
    turn = jnp.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    x, relative, products = conjugate_residuals(lambda v: turn @ v, jnp.array([1.0, 0.0, 0.0]), 1e-14, 16)
    np.testing.assert_allclose(x, [0.0, 1.0, 0.0], atol=1e-14)
    assert (float(relative) <= 1e-14, int(products)) == (True, 3)


def test_two_turning_points_and_a_crossing():
    """Stag hunt around a leaning reference: two folds before τ = 1 (tests/test_branch.py); 1 > 0.0459 > 0.
    Coordination: the branch goes straight on where two others leave it."""
    stag = [[[10.0, 1.0], [8.0, 5.0]], [[10.0, 8.0], [1.0, 5.0]]]
    leaning = [[[0.666, 0.334]], [[0.666, 0.334]]]
    beyond = hq.solve(hq.NormalFormGame(stag), 1.0, reference=leaning, solver=hq.solvers.KrylovBranch())
    np.testing.assert_allclose(beyond.policy[:, 0, 0], 0.0458912, atol=5e-8)
    assert beyond.selection == "principal_branch"
    straight = hq.solve(hq.NormalFormGame([np.eye(2), np.eye(2)]), 0.2, solver="krylov_branch")
    np.testing.assert_allclose(straight.policy, 0.5, atol=1e-10)


def test_gradients_without_a_matrix(monkeypatch):
    """Backwards through the linear solve of large games, against the dense one."""
    payoffs = jnp.asarray(np.random.RandomState(0).rand(2, 2, 2))
    sol = hq.solve(hq.NormalFormGame(payoffs), 0.2, solver="krylov_branch")

    def first(payoffs):
        problem = hq.Problem(hq.NormalFormGame(payoffs), 0.2)
        return problem.policy(reattach(problem, sol.log_policy))[0, 0, 0]

    dense = jax.jit(jax.grad(first))(payoffs)
    assert np.abs(dense).max() > 0.1
    monkeypatch.setattr("hqre_jax.equilibrium._implicit_gradient._DENSE", 0)
    np.testing.assert_allclose(jax.jit(jax.grad(first))(payoffs), dense, atol=1e-10)


@pytest.fixture(scope="module")
def kuhn():
    pytest.importorskip("pyspiel", reason="the rules are OpenSpiel's; the extra `open-spiel` installs it")
    from hqre_jax.bridge import open_spiel_tree

    case = TreeCase(workload="W5", label="Kuhn poker", name="kuhn_poker", tau=TAU, residual_tol=1e-6)
    return case, open_spiel_tree("kuhn_poker")


def test_the_judge_of_trees_is_right(kuhn):
    """Recursion over nodes, passes over levels and the library agree at a random policy."""
    case, game = kuhn
    policy = np.random.default_rng(1).dirichlet(np.ones(2), (2, 6))
    by_nodes = action_values(case.tree[0], policy)
    np.testing.assert_allclose(Iteration(case).tree.action_values(policy.ravel()), by_nodes.ravel(), atol=1e-14)
    expected = float(hq.residual(game, policy, TAU, continuation="plain"))
    assert case.residuals(policy[None])[0] == pytest.approx(expected, abs=1e-14)


def test_kuhn_poker_in_numpy_and_here(kuhn):
    case, game = kuhn
    answer = Iteration(case).solve(Plan(1.0, 0.7, 5))[0]
    sol = hq.solve(game, TAU, continuation="plain", tol=1e-9, solver="krylov_branch")
    assert case.residuals(np.asarray(sol.policy)[None])[0] <= 1e-9
    np.testing.assert_allclose(sol.policy, answer[0], atol=1e-5)
    assert sol.selection == "principal_branch"
