"""The first few small games of a shape are answered in numpy: as programs answer, and without any."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax import problem as problems
from hqre_jax.core import _programs
from hqre_jax.core._programs import compiled, in_numpy
from hqre_jax.solvers.continuation._curve import equation_with_jacobian
from hqre_jax.solving import _branch, _early

SAID = ("log_policy", "policy", "values", "initial_values", "residual")
CODES = ("num_steps", "result_code", "selection_code")
derivatives = compiled(equation_with_jacobian)
MASK = [[[True, True, False]], [[True, True, True]]]


@pytest.fixture(autouse=True)
def nothing_was_asked(monkeypatch):
    monkeypatch.setattr(_programs, "_ASKED", type(_programs._ASKED)())


@pytest.fixture
def by_programs(monkeypatch):
    """Answers as they are once numpy has had its turn."""

    def solve(*question, **options):
        with monkeypatch.context() as later:
            later.setattr(problems, "_OFTEN", 0)
            return hq.solve(*question, **options)

    return solve


def also(*values):
    """One case more of what others show: asked about where tests are thorough."""
    return pytest.param(*values, marks=pytest.mark.thorough)


def random_game(shape, seed=0, **options):
    return hq.NormalFormGame(np.random.default_rng(seed).random((len(shape), *shape)), **options)


def deep_tree(moves=15):
    """Two players in turn end play or go on."""
    parent, player, sets, branch = [-1], [0], [0], [-1]
    for k in range(moves):
        here, goes_on = max(len(parent) - 2, 0), k < moves - 1
        parent += [here, here]
        player += [(k + 1) % 2 if goes_on else -2, -2]
        sets += [(k + 1) // 2 if goes_on else -1, -1]
        branch += [0, 1]
    payoffs = np.where(np.asarray(player) == -2, np.random.default_rng(0).normal(size=(2, len(parent))), 0.0)
    return hq.ExtensiveFormGame(parent, player, sets, branch, np.ones(len(parent)), payoffs)


@pytest.mark.parametrize(("shape", "options"), [((2, 2), {}), ((3, 3), {"action_mask": MASK}), ((2, 3, 2), {})])
def test_the_jacobian_is_that_of_the_equation(shape, options):
    same_jacobian(hq.Problem(random_game(shape, **options), [0.3, 0.2, 0.4][: len(shape)]))


@pytest.mark.parametrize(
    ("name", "continuation"),
    [
        *((name, "soft") for name in ("selten_horse", "kuhn_poker", "first_price_auction", "big_match", "deep")),
        *((name, "plain") for name in ("selten_horse", "beer_quiche", "big_match")),
        also("beer_quiche", "soft"),
        *(also(name, "plain") for name in ("kuhn_poker", "first_price_auction", "deep")),
    ],
)
def test_so_it_is_of_other_kinds_of_games(name, continuation):
    """Reach and beliefs, chance, prices that move with entropy, correlated types, transitions, many levels."""
    game = deep_tree() if name == "deep" else hq.load_game(name)
    for entropy in ("kl", "shannon"):
        same_jacobian(hq.Problem(game, 0.7, continuation=continuation, entropy=entropy))


def test_so_it_is_where_many_meet_and_types_are_drawn_anew():
    same_jacobian(hq.Problem(hq.load_game("group_polymatrix"), [0.5, 0.4, 0.8]))
    same_jacobian(hq.Problem(hq.load_game("planner_solver_critic_verifier"), [0.5, 0.4, 0.6, 0.3]), 1e-13)


def test_an_information_set_that_nobody_leads_to():
    """Chance never goes there: beliefs are uniform, and do not move."""
    parent, player, sets, branch = (
        [-1, 0, 0, 1, 1, 2, 2],
        [-1, 0, 0, -2, -2, -2, -2],
        [-1, 0, 1, -1, -1, -1, -1],
        [-1, 0, 1, 0, 1, 0, 1],
    )
    player[2], sets[2] = 1, 0
    game = hq.ExtensiveFormGame(parent, player, sets, branch, [1, 1, 0, 1, 1, 1, 1], np.arange(14.0).reshape(2, 7))
    same_jacobian(hq.Problem(game, 0.7))


def same_jacobian(problem, atol=1e-14):
    problem = problem.centered()
    valid = np.append(np.asarray(problem.mask).ravel(), True)
    point = np.where(valid, np.random.default_rng(1).normal(size=valid.size), 0.0)
    derived = derivatives(problem, jnp.asarray(point))
    for written, wanted in zip(equation_with_jacobian(in_numpy(problem), point), derived, strict=True):
        np.testing.assert_allclose(written, wanted, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("game", "tau", "options"),
    [
        (hq.load_game("stag_hunt"), 0.5, {}),
        also(random_game((2, 4)), [0.05, 0.02], {}),
        (random_game((3, 3), action_mask=MASK), 0.05, {"entropy": "shannon"}),
        (random_game((2, 2, 3)), 0.05, {"solver": "principal_branch"}),
        (hq.load_game("coordination"), 0.1, {}),  # a bifurcation that breaks a symmetry
        also(hq.load_game("kuhn_poker"), 0.05, {}),
        (hq.load_game("selten_horse"), 0.3, {"continuation": "plain"}),
        also(hq.load_game("beer_quiche"), 0.2, {"entropy": "shannon"}),
        (hq.load_game("group_polymatrix"), [0.01, 0.01, 1.0], {}),  # two folds
        (hq.load_game("first_price_auction"), 0.1, {"solver": "principal_branch"}),
        also(hq.load_game("public_good_private_costs"), 0.05, {}),
        (hq.load_game("big_match"), 0.5, {"solver": "principal_branch"}),
        also(deep_tree(), 0.2, {}),
        also(random_game((3, 2), 5), 5.0, {"tol": 1e-14}),
        (
            random_game((3, 2), 5),
            2.0,
            {"solver": "fixed_point", "tol": 1e-14, "initial_policy": [[[0.8, 0.1, 0.1]], [[0.3, 0.7]]]},
        ),
    ],
)
def test_answers_are_those_of_programs(counted_programs, by_programs, game, tau, options):
    """To 1e-12, after as many steps; types and shapes are the same."""
    # Three players, and games that go on, are bounded by programs.
    hq.bounds.bounds(hq.Problem(game, tau, entropy=options.get("entropy", "kl")))
    with counted_programs() as compiling:
        early = hq.solve(game, tau, **options)
    assert "initial_policy" in options or not compiling, compiling
    late = by_programs(game, tau, **options)
    assert early.solver == late.solver
    for name in SAID + CODES:
        first, second = getattr(early, name), getattr(late, name)
        assert (type(first), first.shape, first.dtype) == (type(second), second.shape, second.dtype), name
        np.testing.assert_allclose(first, second, rtol=0, atol=0 if name in CODES else 1e-12, err_msg=name)
    assert float(hq.residual(early.problem, early.policy)) <= 1e-12


@pytest.mark.parametrize(
    ("game", "tau"),
    [
        (hq.load_game("stag_hunt"), 0.3),
        (hq.load_game("group_polymatrix"), [0.01, 0.01, 1.0]),  # two folds
        also(hq.load_game("kuhn_poker"), 0.05),
        (hq.load_game("big_match"), 0.5),
    ],
)
def test_branches_are_those_of_programs(counted_programs, monkeypatch, game, tau):
    hq.bounds.bounds(hq.Problem(game, tau))
    with counted_programs() as compiling:
        early = hq.trace_branch(game, np.inf, tau)
    assert not {"jit(_begin)", "jit(_stretch)", "jit(_corrected)", "jit(_goal)"} & set(compiling), compiling
    monkeypatch.setattr(problems, "_OFTEN", 0)
    with counted_programs() as compiling:
        late = hq.trace_branch(game, np.inf, tau)
    assert {"jit(_begin)", "jit(_stretch)"} <= set(compiling)
    assert (early.result, early.num_bifurcations) == (late.result, late.num_bifurcations)
    # Where on the branch a point lies is for the length of steps to say, which passes rounding on from step to step;
    # that it lies on the branch is not.
    for name in ("scales", "taus", "policies"):
        np.testing.assert_allclose(getattr(early, name), getattr(late, name), rtol=1e-9, atol=1e-9, err_msg=name)
    for branch in (early, late):
        some = slice(1, None, 16)
        residuals = [hq.residual(game, *point) for point in zip(branch.policies[some], branch.taus[some], strict=True)]
        assert max(map(float, residuals)) <= 1e-12
    assert [fold.scale for fold in early.folds] == pytest.approx([fold.scale for fold in late.folds], rel=1e-12)


def test_folds_are_those_of_programs(monkeypatch):
    """Of a given branch, which ends where numpy and programs look for them alike."""
    game, tau = hq.load_game("group_polymatrix"), [0.01, 0.01, 1.0]
    early = hq.trace_branch(game, np.inf, tau)
    monkeypatch.setattr(_branch, "is_small", lambda problem: False)
    late = hq.trace_branch(game, np.inf, tau)
    assert len(early.folds) == 2
    for first, second in zip(early.folds, late.folds, strict=True):
        np.testing.assert_allclose(first.policy, second.policy, rtol=0, atol=1e-12)
        np.testing.assert_allclose(first.tau, second.tau, rtol=1e-12)


@pytest.mark.parametrize("name", ["stag_hunt", "kuhn_poker", "big_match", "public_good_private_costs"])
def test_planted_games_are_those_of_programs(monkeypatch, name):
    game = hq.load_game(name)
    policy = hq.games.random.random_policy(jax.random.key(0), game)
    early = hq.games.manufactured.manufactured(game, policy, 0.7)
    monkeypatch.setattr(problems, "_OFTEN", 0)
    late = hq.games.manufactured.manufactured(game, policy, 0.7)
    np.testing.assert_allclose(early.payoffs, late.payoffs, rtol=0, atol=1e-12)


def test_what_numpy_does_not_settle_programs_do(monkeypatch, by_programs):
    """Few steps, a method that does not converge, no solution within the steps asked for: the same is said."""
    game = random_game((3, 3), 2)
    monkeypatch.setattr(_early, "MOST_EARLY_STEPS", 2)
    assert hq.solve(game, 0.05).successful
    # Once is enough: now there is a program.
    assert not problems.is_early(hq.Problem(game, 0.05), "auto")
    assert problems.is_early(hq.Problem(game, 0.05), "newton")
    _programs._ASKED.clear()
    with pytest.raises(hq.SolveError) as early:
        hq.solve(game, 0.05, max_steps=3)
    with pytest.raises(hq.SolveError) as late:
        by_programs(game, 0.05, max_steps=3)
    assert str(early.value) == str(late.value)


def test_the_first_few_of_a_shape_are_followed_by_programs(counted_programs, monkeypatch):
    """Which compile once; answers go on as they were."""
    monkeypatch.setattr(problems, "_OFTEN", 3)
    games = [random_game((2, 5), seed) for seed in range(5)]
    counts = []
    for game in games:
        with counted_programs() as compiling:
            solution = hq.solve(game, 0.05)
        counts.append(len(compiling))
        assert float(hq.residual(game, solution.policy, 0.05)) <= 1e-10
    assert counts[:3] == [0, 0, 0]
    assert counts[4] == 0


def test_single_precision_and_derivatives_are_left_to_programs():
    game = random_game((2, 2))
    assert hq.solve(hq.NormalFormGame(jnp.asarray(game.payoffs, jnp.float32)), 0.5).policy.dtype == jnp.float32
    problem, tol = hq.Problem(game, 0.5), jnp.asarray(1e-10)
    assert _early.early_answer(problem, None, problem.log_reference, tol, None) is not None
    assert _early.early_answer(problem, hq.solvers.MirrorDescent(), problem.log_reference, tol, None) is None
    slope = jax.grad(lambda tau: hq.solve(game, tau).policy[0, 0, 0])(0.5)
    assert jnp.isfinite(slope)
    assert slope != 0
