"""Games filled up to one of a few sizes: the same numbers, and one program for many shapes."""

import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax import problem
from hqre_jax.core import _programs
from hqre_jax.core._programs import compiled
from hqre_jax.games import ExtensiveFormGame
from hqre_jax.solving import _solve


@pytest.fixture
def little_garbage():
    """What is there already is not looked through again: in a process full of programs that takes seconds."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def numpy_has_had_its_turn(monkeypatch):
    """Small games, too, are solved by programs."""
    monkeypatch.setattr(problem, "_OFTEN", 0)


def caterpillar(moves, actions, seed):
    """Two players in turn end play, in one of several ways, or go on; what each end pays is drawn."""
    parent, player, sets, branch = [-1], [0], [0], [-1]
    node = 0
    for k in range(moves):
        last = k == moves - 1
        children = range(len(parent), len(parent) + actions)
        for action in range(actions):
            goes_on = action == 0 and not last
            parent.append(node)
            player.append((k + 1) % 2 if goes_on else -2)
            sets.append((k + 1) // 2 if goes_on else -1)
            branch.append(action)
        node = children[0]
    ends = np.asarray(player) == -2
    payoffs = np.where(ends, np.random.default_rng(seed).normal(size=(2, len(parent))), 0.0)
    return hq.ExtensiveFormGame(parent, player, sets, branch, np.ones(len(parent)), payoffs)


@compiled
def looked_at(problem, log_policy):
    evaluation = problem.centered().evaluate(log_policy)
    shown = evaluation.action_values, evaluation.values, evaluation.initial_values, evaluation.reach
    return (*shown, problem.game.payoff_range(), problem.response_logits(log_policy))


@pytest.mark.parametrize("name", ["kuhn_poker", "selten_horse", "deep"])
def test_what_fills_up_changes_nothing(name):
    """Chance, information sets of several nodes, three players, and more levels than are written out."""
    game = caterpillar(15, 3, 0) if name == "deep" else hq.load_game(name)
    problem = hq.Problem(game, np.linspace(0.5, 1.0, game.action_mask.shape[0]), continuation="soft")
    rounded = problem.rounded()
    assert rounded.mask.size > problem.mask.size
    shape, larger = problem.mask.shape, rounded.mask.shape
    logits = np.zeros(larger)
    logits[tuple(map(slice, shape))] = np.random.default_rng(1).normal(size=shape)
    whole = looked_at(rounded, jax.nn.log_softmax(jnp.asarray(logits), where=rounded.mask, axis=-1))
    given = jnp.asarray(logits[tuple(map(slice, shape))])
    for part, exact in zip(
        whole, looked_at(problem, jax.nn.log_softmax(given, where=problem.mask, axis=-1)), strict=True
    ):
        beginning = np.asarray(part)[tuple(map(slice, exact.shape))]
        np.testing.assert_allclose(beginning[np.isfinite(exact)], exact[np.isfinite(exact)], rtol=1e-13, atol=1e-14)
    assert not np.asarray(rounded.mask).sum() > np.asarray(problem.mask).sum()


@pytest.mark.parametrize("moves", [15, 21])
def test_what_fills_up_is_nobodys(moves):
    """Also where the tree has 8 information sets of a player, or 64 nodes: the last of the larger one is new."""
    tree = caterpillar(moves, 3, 0).tree
    assert max(tree.num_states) == 8 or tree.size == 64
    larger = caterpillar(moves, 3, 0).rounded().tree
    assert larger.size > tree.size
    assert max(larger.num_states) > max(tree.num_states)
    last = int(larger.decision_nodes[-1])
    assert last >= tree.size
    assert int(larger.node_state[last]) >= max(tree.num_states)


def test_a_rounded_game_is_round():
    game = hq.load_game("kuhn_poker")
    assert game.rounded() is game.rounded()
    assert game.rounded().rounded() is game.rounded()
    large = caterpillar(130, 2, 0)
    assert large.rounded() is large
    matrix = hq.load_game("stag_hunt")
    assert matrix.rounded() is matrix
    assert hq.NormalFormGame(np.ones((2, 17, 2))).rounded().payoffs.shape == (2, 17, 2), "filled up it is too large"


def test_trees_of_many_shapes_are_solved_by_the_same_programs(counted_programs, monkeypatch):
    """The answers are those of a program for each shape, to rounding, and have the shape of the game."""
    monkeypatch.setattr(_programs, "_ASKED", type(_programs._ASKED)())
    hq.solve(caterpillar(3, 3, 0), 0.5)
    with counted_programs() as compiling:
        found = [hq.solve(caterpillar(*shape), 0.5) for shape in ((2, 2, 1), (4, 4, 2), (6, 3, 3), (7, 2, 4))]
    assert not compiling, compiling
    assert [solution.policy.shape for solution in found] == [(2, 1, 2), (2, 2, 4), (2, 3, 3), (2, 4, 2)]
    monkeypatch.setattr(ExtensiveFormGame, "rounded", lambda game: game)
    alone = hq.solve(caterpillar(4, 4, 2), 0.5)
    assert alone.selection == found[1].selection == "principal_branch"
    for name in ("policy", "values", "initial_values", "residual"):
        np.testing.assert_allclose(getattr(found[1], name), getattr(alone, name), rtol=0, atol=1e-12)


@pytest.mark.usefixtures("little_garbage")
def test_what_was_asked_about_is_as_it_was():
    """Games and problems keep their structure, so that others like them stack with them; and nothing outlives them."""
    for pose in (lambda: caterpillar(3, 3, 0), lambda: hq.NormalFormGame(np.ones((2, 3, 2)))):
        kept, game = len(_programs._KEPT), pose()
        before, problem = jax.tree.structure(game), hq.Problem(game, 0.5)
        fresh = jax.tree.structure(problem)
        hq.solve(problem)
        assert problem.centered() is problem.centered()
        assert jax.tree.structure(game) == before
        assert jax.tree.structure(problem) == fresh
        assert len(_programs._KEPT) > kept
        del game, problem
        gc.collect()
        assert len(_programs._KEPT) <= kept


def test_normal_forms_of_many_shapes_are_solved_by_the_same_programs(counted_programs, monkeypatch):
    """Also where some actions are masked, and under two certificates: one branch, one contraction."""
    rng = np.random.default_rng(0)
    mask = [[[True, True, False]], [[True, True, True]]]
    games = [hq.NormalFormGame(rng.random((2, *shape))) for shape in ((4, 3), (2, 3), (3, 4), (3, 3))]
    games.append(hq.NormalFormGame(rng.random((2, 3, 3)), action_mask=mask))
    questions = [(game, tau) for game in games for tau in (0.05, 4.0)]
    monkeypatch.setattr(_programs, "_ASKED", type(_programs._ASKED)())
    for tau in (0.05, 4.0):
        hq.solve(games[0], tau)
    with counted_programs() as compiling:
        found = [hq.solve(game, tau) for game, tau in questions]
        certificates = [solution.certificate for solution in found]
    assert not compiling, compiling
    assert {certificate.verdict for certificate in certificates} == {"unique", "undecided"}
    monkeypatch.setattr(hq.NormalFormGame, "rounded", lambda game: game)
    for k in range(len(questions) - 4, len(questions)):
        (game, tau), solution = questions[k], found[k]
        alone = hq.solve(hq.NormalFormGame(game.payoffs, action_mask=game.action_mask), tau)
        assert solution.policy.shape == game.action_mask.shape
        assert solution.selection == alone.selection
        for name in ("policy", "values", "initial_values"):
            np.testing.assert_allclose(getattr(solution, name), getattr(alone, name), rtol=0, atol=1e-12)
        for name in ("margin", "contraction", "lipschitz"):
            wanted = getattr(alone.certificate, name)
            np.testing.assert_allclose(getattr(certificates[k], name), wanted, rtol=1e-12)


def test_a_start_is_filled_up_too():
    game = caterpillar(3, 3, 0)
    reference = [[[0.5, 0.25, 0.25], [0.2, 0.3, 0.5]], [[0.1, 0.1, 0.8]]]
    by_name = {"solver": "fixed_point", "initial_policy": reference, "reference": reference}
    found = hq.solve(game, 2.0, **by_name)
    assert found.policy.shape == game.action_mask.shape
    assert hq.residual(found.problem, found.policy) <= 1e-10
    followed = hq.solve(game, 2.0, reference=reference)
    np.testing.assert_allclose(found.policy, followed.policy, atol=1e-9)


def test_a_shape_that_is_asked_about_often_has_its_own_programs(counted_programs, monkeypatch):
    game = caterpillar(3, 4, 0)
    shared = hq.solve(game, 0.5)
    monkeypatch.setattr(_solve, "_OFTEN", 2)
    monkeypatch.setattr(_programs, "_ASKED", type(_programs._ASKED)())
    with counted_programs() as compiling:
        hq.solve(game, 0.5)
        hq.solve(caterpillar(3, 4, 1), 0.6)
    assert not compiling, compiling
    with counted_programs() as compiling:
        own = hq.solve(game, 0.5)
    assert compiling
    np.testing.assert_allclose(own.policy, shared.policy, rtol=0, atol=1e-12)


def test_what_a_shared_program_does_not_reach_is_solved_by_ones_own():
    """Nearly rational play: with filling the residual stays at 6.6e-10 and 1.5e-7, and the branch is lost."""
    for tau in (1e-4, 1e-5):
        solution = hq.solve(hq.load_game("stripped_down_poker"), tau)
        assert (solution.result, solution.selection) == ("successful", "principal_branch")
        assert float(solution.residual) <= 1e-10
