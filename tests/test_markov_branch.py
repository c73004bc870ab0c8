"""Markov games followed state by state: the same branch as the careful method, in batches, by Krylov iteration too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from benchmarks._markov_case import MarkovCase
from benchmarks.entrants import numpy_markov
from benchmarks.workloads.w3_markov import random_game
from benchmarks.workloads.w7_symmetric_chain import symmetric_chain
from hqre_jax.problem import Problem
from hqre_jax.solvers import MarkovBranch
from hqre_jax.solvers._loop import iterate
from hqre_jax.solvers.continuation import _eliminated
from hqre_jax.solvers.continuation._symmetry import symmetry

DISCOUNT = 0.95


def markov_game(payoffs, transitions, **facts):
    return hq.MarkovGame(np.moveaxis(payoffs, 1, 0), transitions, DISCOUNT, **facts)


@pytest.fixture(scope="module")
def batch():
    """Three games of twenty states, their answers by numpy, and those of the batch."""
    payoffs, transitions = (np.stack(part) for part in zip(*[random_game(s, 20, 2, 3) for s in range(3)], strict=True))
    case = MarkovCase(
        workload="test", label="S = 20", tau=0.2, payoffs=payoffs, transitions=transitions, discount=DISCOUNT
    )
    games = [markov_game(*pair) for pair in zip(payoffs, transitions, strict=True)]
    return case, games, hq.solve_batch(games, 0.2, continuation="plain")


def test_a_batch_agrees_with_numpy(batch):
    case, _, solution = batch
    answers = np.moveaxis(np.asarray(solution.policy), 1, 2)
    assert list(solution.selection) == ["principal_branch"] * 3
    assert case.residuals(answers).max() <= 1e-10
    plain = numpy_markov.mirror(case.payoffs, case.transitions, DISCOUNT, 0.2, 1e-11, numpy_markov.iterate_values)
    np.testing.assert_allclose(answers, plain, rtol=0, atol=1e-9)


def test_a_batch_agrees_with_single_solves(batch):
    _, games, together = batch
    for b, game in enumerate(games):
        alone = hq.solve(game, 0.2, continuation="plain")
        assert alone.solver == "markov_branch"
        np.testing.assert_allclose(together.policy[b], alone.policy, rtol=0, atol=1e-12)
        np.testing.assert_allclose(together.values[b], alone.values, rtol=0, atol=1e-9)


@pytest.mark.thorough
def test_compiled_it_takes_the_same_steps(batch):
    """Where values cannot be looked at the method is the same, and no other one takes steps before or after it."""
    _, games, together = batch
    answer = jax.jit(lambda game: hq.solve(game, 0.2, continuation="plain"))(games[0])
    assert int(answer.num_steps) == int(together.num_steps[0])
    assert str(answer.selection) == "principal_branch"
    np.testing.assert_allclose(answer.policy, together.policy[0], rtol=0, atol=1e-12)


def test_large_games_by_krylov_iteration(batch, monkeypatch):
    _, games, together = batch
    monkeypatch.setattr(_eliminated, "DENSE", 0)
    problem = Problem(games[0], 0.2, continuation="plain").centered()
    # Not through `solve`, whose program for these shapes is compiled already, with matrices.
    method = MarkovBranch()
    run = jax.jit(lambda: iterate(method, problem, problem.log_reference, jnp.asarray(1e-10), 300))
    state, code, _ = run()
    assert int(code) == hq.RESULTS.successful.code
    np.testing.assert_allclose(problem.policy(state.iterate.logits), together.policy[0], rtol=0, atol=1e-9)


def test_a_bifurcation_is_passed_straight():
    payoffs, transitions = symmetric_chain()
    solution = hq.solve(markov_game(payoffs, transitions), 0.2, continuation="plain")
    assert (solution.solver, solution.selection) == ("markov_branch", "principal_branch")
    policy = np.asarray(solution.policy)
    np.testing.assert_allclose(policy[..., 0], policy[..., 1], rtol=0, atol=1e-9)
    np.testing.assert_allclose(policy[0], policy[1], rtol=0, atol=1e-9)


def test_symmetry_that_is_hidden_changes_nothing():
    """Who is at home as their second action in every other state: no exchange is the same everywhere any more."""
    payoffs, transitions = symmetric_chain()
    plain = hq.solve(markov_game(payoffs, transitions), 0.2, continuation="plain")
    order = np.array([0, 2, 1])
    payoffs[::2], transitions[::2] = payoffs[::2][:, :, order][..., order], transitions[::2][:, order][:, :, order]
    hidden = hq.solve(markov_game(payoffs, transitions), 0.2, continuation="plain")
    policy = np.asarray(hidden.policy).copy()
    policy[:, ::2] = policy[:, ::2][..., order]
    np.testing.assert_allclose(policy, plain.policy, rtol=0, atol=1e-9)
    assert int(plain.num_steps) < 30 < int(hidden.num_steps)


def test_exact_symmetry_is_found():
    """Exchanges of actions and of players, and what undoes each of them, however little."""
    rng = np.random.default_rng(5)
    payoffs, transitions = rng.random((2, 2, 2, 2)), rng.dirichlet(np.ones(2), (2, 2, 2))
    # What one is paid for meeting, and where it leads, is the same at both places, and for both players.
    payoffs[0, :, 1, 1], payoffs[0, :, 1, 0] = payoffs[0, :, 0, 0], payoffs[0, :, 0, 1]
    payoffs[1] = payoffs[0].swapaxes(1, 2)
    transitions[:, 1, 1], transitions[:, 1, 0] = transitions[:, 0, 0], transitions[:, 0, 1]
    nothing, both = np.eye(2), np.full((2, 2), 0.5)

    @jax.jit
    def found(problem):
        return symmetry(problem)

    def of(players, actions, payoffs=payoffs, transitions=transitions, tau=(0.3, 0.3), **facts):
        problem = Problem(hq.MarkovGame(payoffs, transitions, 0.7), np.array(tau), **facts)
        seen = found(problem)
        np.testing.assert_array_equal(seen.players, players)
        np.testing.assert_array_equal(seen.actions, actions)
        np.testing.assert_array_equal(seen.rows, np.kron(players, actions))

    of(both, both)
    of(nothing, both, tau=(0.3, 0.4))
    of(both, nothing, reference=np.broadcast_to([0.4, 0.6], (2, 2, 2)))
    elsewhere, nearly = transitions.copy(), payoffs.copy()
    elsewhere[0, 0, 0] = elsewhere[0, 0, 0][::-1]
    of(both, nothing, transitions=elsewhere)
    nearly[0, 0, 0, 0] = np.nextafter(nearly[0, 0, 0, 0], 2)
    of(nothing, nothing, payoffs=nearly)


# Everything that a problem can have, in few states: masks, references, entropies, continuations, three players.
@pytest.mark.parametrize(
    ("actions", "facts"),
    [
        ((3, 2), {"continuation": "soft", "entropy": "shannon"}),
        pytest.param((3, 2), {"continuation": "plain"}, marks=pytest.mark.thorough),
        pytest.param((3, 2), {"continuation": "zero_sum"}, marks=pytest.mark.thorough),
        pytest.param((2, 3, 2), {"continuation": "soft"}, marks=pytest.mark.thorough),
    ],
)
def test_the_careful_method_agrees(actions, facts):
    rng = np.random.default_rng(len(actions))
    players, states = len(actions), 2
    payoffs = rng.random((players, states, *actions))
    if facts["continuation"] == "zero_sum":
        payoffs[1] = -payoffs[0]
    transitions = rng.dirichlet(np.ones(states), (states, *actions))
    mask = np.arange(max(actions)) < np.array(actions)[:, None, None]
    mask = np.broadcast_to(mask, (players, states, max(actions))).copy()
    mask[0, 0, actions[0] - 1] = False
    if "entropy" not in facts:
        reference = rng.random(mask.shape) * mask
        facts = facts | {"reference": reference / reference.sum(axis=-1, keepdims=True)}
    game = hq.MarkovGame(payoffs, transitions, 0.8, action_mask=mask)
    tau = rng.uniform(0.15, 0.45, (players, states))
    fast = hq.solve(game, tau, solver=MarkovBranch(), **facts)
    careful = hq.solve(game, tau, solver="principal_branch", **facts)
    np.testing.assert_allclose(fast.policy, careful.policy, rtol=0, atol=1e-9)


def test_other_games_are_refused():
    with pytest.raises(hq.InputError, match="markov_branch"):
        hq.solve(hq.NormalFormGame(np.zeros((2, 2, 2))), 1.0, solver=MarkovBranch())
