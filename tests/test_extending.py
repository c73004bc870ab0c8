"""Extending is cheap: a solver and a kind of game, each in one file, get all that the library's own have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from extensions.damped_response import DampedResponse
from extensions.routing_game import RoutingGame

import hqre_jax as hq

GAME = RoutingGame([1.0, 1.5], 3, hq.Labels(title="Two roads", players=("a", "b", "c")))
TAU = 0.8


@pytest.fixture(scope="module")
def exact():
    return hq.solve(GAME.normal_form(), TAU)


def test_a_kind_of_game_is_solved_traced_and_differentiated(exact):
    sol = hq.solve(GAME, TAU)
    assert sol.selection == "principal_branch"  # it says nothing of interactions, so nothing is concluded
    np.testing.assert_allclose(sol.policy, exact.policy, rtol=0, atol=1e-9)
    np.testing.assert_allclose(hq.trace_branch(GAME, np.inf, TAU).policies[-1], exact.policy, rtol=0, atol=1e-9)
    assert float(hq.residual(GAME, sol.policy, TAU)) <= 1e-10
    slope, same = (
        jax.jit(jax.grad(lambda t, game=game: hq.solve(game, t, solver="newton").policy[0, 0, 0]))(TAU)
        for game in (GAME, GAME.normal_form())
    )
    assert float(slope) == pytest.approx(float(same), rel=1e-8)


def test_a_kind_of_game_goes_into_batches_beside_others(exact):
    sols = hq.solve_batch([GAME, GAME.normal_form(), GAME], np.array([[TAU], [TAU], [2 * TAU]]))
    np.testing.assert_allclose(sols.policy[0], exact.policy, rtol=0, atol=1e-9)
    np.testing.assert_allclose(sols.policy[1], exact.policy, rtol=0, atol=1e-9)
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), GAME)
    np.testing.assert_allclose(hq.solve_batch(stacked, TAU).policy[1], exact.policy, rtol=0, atol=1e-9)


def test_what_a_kind_of_game_does_not_say_is_not_known_and_refused_in_one_line(tmp_path):
    cert = hq.certify(GAME, TAU, num_starts=0)
    assert (cert.verdict, cert.margin, cert.contraction) == ("undecided", None, None)
    with pytest.raises(hq.InputError, match=r"game: a RoutingGame cannot be saved"):
        hq.save_game(GAME, tmp_path / "roads.json")
    with pytest.raises(hq.InputError, match=r"^game: must be a normal form"):
        hq.least_temperatures(GAME)
    with pytest.raises(hq.InputError, match=r"^game: is a RoutingGame, which says nothing of how it is played"):
        hq.SampledGame.from_game(GAME)
    with pytest.raises(hq.InputError, match=r"^solver: "):
        hq.solve(GAME, TAU, solver="soft_value_iteration")
    with pytest.raises(hq.InputError, match=r"^continuation: .*opposed|two"):
        hq.solve(GAME, TAU, continuation="zero_sum")


def test_a_kind_of_game_is_drawn_under_its_own_names():
    axes = hq.plotting.policy(hq.Problem(GAME, TAU))
    assert axes.get_title() == "Two roads"
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b", "c"]


class Telling(RoutingGame):
    """The same, which also shows the tensor of its payoffs, who meets whom, and how much values can bend."""

    def payoff_tensor(self):
        return self.normal_form().payoffs

    def pairwise_payoffs(self):
        return self.normal_form().pairwise_payoffs()

    def curvature(self, mixing):
        return self.normal_form().curvature(mixing)


def test_what_a_kind_of_game_says_is_used(exact):
    """By one method each, a game gets margins, proofs of uniqueness by exhaustion, and the way of small games."""
    telling = Telling([1.0, 1.5], 3)
    cert, known = hq.certify(telling, 3.0), hq.certify(GAME.normal_form(), 3.0)
    assert cert.verdict == known.verdict == "unique"
    assert cert.margin == pytest.approx(known.margin, abs=1e-12)
    assert hq.certify(telling, 0.05).verdict == hq.certify(GAME.normal_form(), 0.05).verdict
    assert hq.least_temperatures(telling).common == pytest.approx(
        hq.least_temperatures(GAME.normal_form()).common, rel=1e-9
    )
    np.testing.assert_allclose(hq.solve_batch([telling], TAU).policy[0], exact.policy, rtol=0, atol=1e-9)


def test_a_solver_is_one_file(exact):
    mine = DampedResponse(0.3)
    sol = hq.solve(GAME.normal_form(), TAU, solver=mine, history=True)
    assert sol.solver == "damped_response"
    np.testing.assert_allclose(sol.policy, exact.policy, rtol=0, atol=1e-9)
    assert len(sol.history.residuals) == int(sol.num_steps) + 1
    assert set(sol.history.scales.tolist()) == {1.0}
    np.testing.assert_allclose(
        hq.solve_batch([GAME.normal_form()], TAU, solver=mine).policy[0], exact.policy, rtol=0, atol=1e-9
    )
    assert hq.plotting.convergence(sol, bound=0.9).get_xlabel() == "step of damped response"
    with pytest.raises(hq.SolveError, match="damped_response"):
        hq.solve(GAME, TAU, solver=mine, max_steps=2)
