"""What a batch keeps: every lane its own game, in whatever order; and certificates from what is there to be seen."""

import gc
import weakref

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.solvers.batch import _stacked_games

RNG = np.random.default_rng(7)
# As many games as players: whoever takes one for the other swaps the players of each.
TWO = [hq.NormalFormGame(RNG.random((2, 2, 3))), hq.NormalFormGame(RNG.random((2, 2, 3)))]


def true_residual(solution):
    return float(hq.residual(solution.problem.game, solution.policy, solution.tau))


def mixed():
    markov = hq.MarkovGame(RNG.random((2, 2, 2, 2)), np.full((2, 2, 2, 2), 0.5), 0.5)
    edges = hq.PolymatrixGame([[0, 1], [1, 2]], RNG.random((2, 2, 2, 2)))
    return [TWO[0], markov, hq.NormalFormGame(RNG.random((3, 2, 2, 2)), labels=hq.Labels("third")), edges, TWO[1]]


@pytest.mark.parametrize("order", [[1, 0], [1, 1, 0]])
def test_games_of_a_list_go_where_their_lanes_go(order):
    batch = hq.solve_batch(TWO, [[0.2, 0.3], [0.4, 0.5]])
    turned = jax.tree.map(lambda leaf: leaf[np.array(order)], batch)
    assert len(turned) == len(order)
    for lane, solution in zip(order, turned, strict=True):
        np.testing.assert_array_equal(solution.problem.game.payoffs, TWO[lane].payoffs)
        assert true_residual(solution) < 1e-9
    np.testing.assert_array_equal(turned.selection, batch.selection[order])


def test_games_of_all_kinds_go_where_their_lanes_go():
    games = mixed()
    batch = hq.solve_batch(games, 2.0)
    order = np.array([3, 1, 4, 2, 0])
    turned = jax.tree.map(lambda leaf: leaf[order], batch)
    for lane, solution in zip(order, turned, strict=True):
        game = solution.problem.game
        assert jax.tree.structure(game) == jax.tree.structure(games[lane])
        assert all(map(np.array_equal, jax.tree.leaves(game), jax.tree.leaves(games[lane])))
        assert true_residual(solution) < 1e-9
    assert turned[3].problem.game.labels.title == "third"


def test_lists_solved_under_jit_too():
    batch = jax.jit(lambda games: hq.solve_batch(games, 0.5))(TWO)
    turned = jax.tree.map(lambda leaf: leaf[::-1], batch)
    for lane, solution in zip((1, 0), turned, strict=True):
        np.testing.assert_array_equal(solution.problem.game.payoffs, TWO[lane].payoffs)
        assert true_residual(solution) < 1e-9


def test_games_too_unequal_to_lie_side_by_side_are_refused(monkeypatch):
    monkeypatch.setattr(_stacked_games, "_LARGEST", 100)
    with pytest.raises(hq.InputError, match=r"^games: differ too much in size"):
        hq.solve_batch(TWO, 0.5)


@pytest.mark.parametrize("games", [np.asarray(RNG.random((3, 2, 2, 2))), [RNG.random((2, 2, 2)) for _ in range(3)]])
def test_a_batch_is_no_new_program(games):
    """Two batches of one shape share what is compiled for them, and are forgotten when they are gone."""
    traces = []

    @jax.jit
    def first(solutions):
        traces.append(None)
        return solutions.residual[0], solutions.selection_code

    batches = [hq.solve_batch(games, tau) for tau in (0.3, 0.4)]
    for batch in batches:
        np.testing.assert_array_equal(first(batch)[1], batch.selection_code)
    assert len(traces) == 1
    gone = [weakref.ref(batch.arrays.policy) for batch in batches]
    del batch, batches
    gc.collect()
    assert not any(ref() is not None for ref in gone)


def test_certificates_are_those_of_solve():
    payoffs = RNG.random((40, 2, 2, 2))
    batch = hq.solve_batch(payoffs, 0.27)
    alone = [hq.solve(hq.NormalFormGame(u), 0.27).selection for u in payoffs[:10]]
    assert alone == batch.selection[:10].tolist()
    assert 0 < np.sum(batch.selection == "unique") < 40
    assert jnp.sum(batch.arrays.unsought) > 0


def test_a_game_that_failed_has_a_solution_of_its_own():
    """It says what became of it, whatever is in the game, and whatever the game is called."""
    payoffs = np.random.RandomState(0).rand(3, 2, 2, 2)
    payoffs[1, 0, 0, 0] = np.nan
    batches = [hq.solve_batch(payoffs, 0.5, throw=False)]
    game = hq.load_game("stag_hunt")
    broken = eqx.tree_at(lambda g: g.payoffs, game, game.payoffs.at[0, 0, 0].set(jnp.nan))
    batches.append(hq.solve_batch([game, broken, game], 0.5, throw=False))
    for solution in batches:
        assert [str(one.result) for one in solution] == ["successful", "nonfinite", "successful"]
        assert np.isnan(solution[1].problem.game.payoffs).any()
    assert batches[1][1].problem.game.labels == broken.labels
