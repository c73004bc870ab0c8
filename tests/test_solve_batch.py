"""`solve_batch`: each game as `solve` solves it, whoever its neighbours are."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from benchmarks._normal_form_case import residuals
from hqre_jax.solvers.batch import _evaluation, _gauss_seidel, _interleaved
from hqre_jax.solvers.batch._devices import num_cores, on_every_core
from hqre_jax.solvers.batch._path import ARRIVED

ROOT = Path(__file__).parents[1]
PAYOFFS = np.random.RandomState(1000).rand(300, 2, 3, 3)


@pytest.fixture(scope="module")
def batch():
    return hq.solve_batch(PAYOFFS, 0.1)


@pytest.mark.parametrize("actions", [(1, 3), (2, 1, 2)])
def test_who_has_one_action_takes_it(actions):
    payoffs = np.random.default_rng(0).uniform(size=(3, len(actions), *actions))
    solutions = hq.solve_batch(payoffs, 0.3)
    assert solutions.policy.shape == (3, len(actions), 1, max(actions))
    for k in range(3):
        np.testing.assert_allclose(solutions.policy[k], hq.solve(hq.NormalFormGame(payoffs[k]), 0.3).policy, atol=1e-9)


def test_a_batch_is_solved_as_each_game_is(batch):
    """Residuals by another program; policies, values and selections of the careful solver."""
    policy = np.asarray(batch.policy)
    assert policy.shape == (300, 2, 1, 3)
    assert (batch.result == "successful").all()
    assert residuals(PAYOFFS, policy[:, :, 0], 0.1).max() <= 1.01e-10
    careful = hq.solve_batch(PAYOFFS[:60], 0.1, solver="principal_branch", max_steps=5000)
    np.testing.assert_allclose(policy[:60], careful.policy, rtol=0, atol=1e-8)
    np.testing.assert_allclose(batch.values[:60], careful.values, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(batch.selection[:60], careful.selection)
    assert {"unique", "principal_branch"} <= set(batch.selection)


def test_long_steps_jump_to_no_other_branch():
    """Games whose branch bends sharply near another one: steps as long as most games bear miss the bend."""
    found = ((5, 10816, 0.1), (6, 195, 0.05), (9, 17427, 0.1))
    payoffs = np.stack([np.random.RandomState(seed).rand(b + 1, 2, 3, 3)[b] for seed, b, _ in found])
    taus = np.array([[tau] for *_, tau in found])
    batch = hq.solve_batch(payoffs, taus)
    careful = hq.solve_batch(payoffs, taus, solver="principal_branch", max_steps=5000)
    assert set(careful.selection) == {"principal_branch"}
    np.testing.assert_allclose(batch.policy, careful.policy, rtol=0, atol=1e-8)


def test_a_lane_is_an_ordinary_solution(batch):
    for b in (0, 68, -1):
        lane, game = batch[b], hq.NormalFormGame(PAYOFFS[b])
        assert isinstance(lane, hq.Solution)
        assert float(hq.residual(game, lane.policy, 0.1)) == pytest.approx(float(lane.residual), abs=1e-15)
        np.testing.assert_array_equal(lane.policy, batch.policy[b])
        np.testing.assert_array_equal(lane.initial_values, batch.initial_values[b])
        np.testing.assert_allclose(lane.log_policy, np.log(lane.policy), rtol=0, atol=1e-9)
        assert (lane.selection, lane.result) == (batch.selection[b], "successful")
    assert len(list(batch)) == len(batch) == 300
    with pytest.raises(IndexError):
        batch[300]


def test_neighbours_order_and_memory_change_no_bit(batch):
    policy = np.asarray(batch.policy)
    for part in (slice(0, 1), slice(60, 75), slice(None, None, -1)):
        again = hq.solve_batch(PAYOFFS[part], 0.1)
        np.testing.assert_array_equal(again.policy, policy[part])
    # Game 68 has a fold: a batch of it alone goes the careful way at once.
    np.testing.assert_array_equal(hq.solve_batch(PAYOFFS[68:69], 0.1).policy[0], policy[68])
    frugal = hq.solve_batch(PAYOFFS, 0.1, memory=1e5)
    np.testing.assert_allclose(frugal.policy, policy, rtol=0, atol=1e-12)


def test_failed_games_fail_alone(batch):
    broken = PAYOFFS[:9].copy()
    broken[2], broken[5] = np.nan, 1e300 * broken[5]
    with pytest.raises(hq.solving.BatchSolveError, match=r"2 of 9 games .*2: nonfinite") as raised:
        hq.solve_batch(broken, 0.1)
    quiet = hq.solve_batch(broken, 0.1, throw=False)
    for solution in (raised.value.solution, quiet):
        np.testing.assert_array_equal(solution.result == "successful", ~np.isin(np.arange(9), [2, 5]))
        sound = np.flatnonzero(np.asarray(solution.successful))
        np.testing.assert_array_equal(np.asarray(solution.policy)[sound], np.asarray(batch.policy)[sound])


def test_steps_that_run_out_say_so():
    solution = hq.solve_batch(PAYOFFS[:5], 0.1, solver="principal_branch", max_steps=2, throw=False)
    assert set(solution.result) <= {"max_steps_reached", "almost_successful"}
    assert (np.asarray(solution.num_steps) == 2).all()


@pytest.mark.thorough
def test_games_of_several_shapes_and_kinds():
    rng = np.random.default_rng(0)
    markov = hq.MarkovGame(rng.random((2, 2, 2, 2)), rng.dirichlet(np.ones(2), (2, 2, 2)), 0.5)
    three = hq.NormalFormGame(rng.random((3, 2, 2, 2)))
    games = [hq.NormalFormGame(PAYOFFS[0]), hq.NormalFormGame(rng.random((2, 3, 4))), three, markov]
    taus = np.array([[0.5, 0.4, np.nan], [0.3, 0.3, -1.0], [0.2, 0.3, 0.4], [2.0, 2.0, 0.0]])
    batch = hq.solve_batch(games, taus)
    assert batch.policy.shape == batch.action_mask.shape == (4, 3, 2, 4)
    assert not np.asarray(batch.policy)[~np.asarray(batch.action_mask)].any()
    assert (np.asarray(batch.tau)[~np.asarray(batch.action_mask).any(-1)] == 1).all()
    for b, game in enumerate(games):
        players, states, actions = game.action_mask.shape
        alone = hq.solve(game, taus[b, :players])
        np.testing.assert_allclose(batch[b].policy, alone.policy, rtol=0, atol=1e-8)
        np.testing.assert_allclose(batch[b].values, alone.values, rtol=0, atol=1e-8)
        assert batch[b].selection == alone.selection
        assert batch[b].policy.shape == (players, states, actions)


def test_masks_references_and_temperatures_in_full():
    rng = np.random.default_rng(1)
    mask = np.ones((2, 2, 1, 3), bool)
    mask[0, 1, 0, 2] = mask[1, 0, 0, 1] = False
    games = [hq.NormalFormGame(u, action_mask=m) for u, m in zip(PAYOFFS[:2], mask, strict=True)]
    weight = np.where(mask, rng.random(mask.shape) + 0.1, 0.0)
    rho = weight / weight.sum(-1, keepdims=True)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *games)
    taus = rng.random((2, 2, 1)) + 0.2
    batch = hq.solve_batch(stacked, taus, reference=rho)
    for b, game in enumerate(games):
        alone = hq.solve(game, taus[b], reference=rho[b])
        np.testing.assert_allclose(batch.policy[b], alone.policy, rtol=0, atol=1e-8)
        np.testing.assert_allclose(batch.values[b], alone.values, rtol=0, atol=1e-8)
        assert not np.asarray(batch.policy[b])[~mask[b]].any()


def test_single_precision():
    batch = hq.solve_batch(PAYOFFS[:40].astype(np.float32), np.float32(0.3))
    assert batch.policy.dtype == np.float32
    assert residuals(PAYOFFS[:40], np.asarray(batch.policy)[:, :, 0], 0.3).max() <= 2e-5


def test_contraction_is_claimed_where_it_holds():
    """The fast bound is the library's: one is below 1 where the other is."""
    tau = np.full((40, 2), 0.35)
    with jax.numpy_rank_promotion("allow"):
        games = _interleaved.interleave(jnp.asarray(PAYOFFS[:40]), None, jnp.asarray(tau), None)
        claimed = np.asarray(_evaluation.contracts(games))
    rows = PAYOFFS[:40, :, :, None, :, None] - PAYOFFS[:40, :, None, :, :, None]
    spread = (rows - np.swapaxes(rows, -1, -2)).max((2, 3, 4, 5))
    np.testing.assert_array_equal(claimed, (spread / 4 / tau).prod(-1) < 1)
    assert 0 < claimed.sum() < 40


@pytest.mark.parametrize(("common", "tau", "believed"), [(0.7, 0.3, False), (1.0, 0.05, True)])
def test_answers_in_turn_stay_on_the_branch(common, tau, believed):
    """Three players, no certificate: the moves decide. Were sweeps believed wherever they end, some were wrong."""
    rng = np.random.default_rng(3)
    payoffs = common * rng.random((200, 1, 2, 2, 2)) + (1 - common) * rng.random((200, 3, 2, 2, 2))
    careful = hq.solve_batch(payoffs, tau, solver="principal_branch", max_steps=5000)
    with jax.numpy_rank_promotion("allow"):
        games = _interleaved.interleave(jnp.asarray(payoffs), None, jnp.full((200, 3), tau), None)
        flags = jnp.full(200, believed), jnp.ones(200, bool)
        log_odds, (state, _) = jax.jit(_gauss_seidel.gauss_seidel)(games, *flags, jnp.asarray(1e-10))
        policy = np.stack([np.asarray(p).T for p in _interleaved.policies(log_odds)], axis=1)
    arrived = np.asarray(state) == ARRIVED
    off = arrived & (np.abs(policy - np.asarray(careful.policy)[:, :, 0]).max((1, 2)) > 1e-7)
    assert arrived.sum() >= 20
    assert off.sum() >= 10 if believed else not off.any()


def test_arrays_move_when_they_are_asked_for():
    """Also when that is first done while something else is traced: what is kept is no tracer."""
    batch = hq.solve_batch(PAYOFFS[:3], 1.0)
    assert isinstance(batch.arrays.policy, np.ndarray)
    doubled = jax.jit(lambda x: x * batch.policy)(2.0)
    assert isinstance(batch.policy, jax.Array)
    np.testing.assert_array_equal(doubled, 2 * batch.policy)
    moved = jax.jit(lambda sols: sols.tau + 1)(batch)
    np.testing.assert_array_equal(moved, np.full((3, 2, 1), 2.0))


def test_a_reordered_batch_keeps_its_certificates(batch):
    turned = jax.tree.map(lambda leaf: leaf[::-1], batch)
    np.testing.assert_array_equal(turned.selection, batch.selection[::-1])
    few = jax.tree.map(lambda leaf: leaf[50:60], batch)
    np.testing.assert_array_equal(few.selection, batch.selection[50:60])
    with pytest.raises(TypeError):
        batch[0:2]


def hidden_influence(actions, swing, end, bias):
    """Two players coordinate the more, the less the third has learned; at both ends of the branch little shows it."""
    learned = 1 / (1 + np.exp(-1.0))
    payoffs = np.zeros((3, 2, actions, actions))
    payoffs[0, 1] = 1.0
    for k, weight in enumerate((end + swing * learned, end + swing * (learned - 1.0))):
        payoffs[1, k] = payoffs[2, k] = weight * np.eye(actions)
        payoffs[1, k, 0] += bias
    return payoffs


@pytest.mark.parametrize(("actions", "swing", "end", "bias"), [(8, 200.0, 4.7, 0.01), (8, 200.0, 4.9, 0.05)])
def test_influence_that_hides_between_the_ends_is_found(actions, swing, end, bias):
    payoffs = hidden_influence(actions, swing, end, bias)
    batch = hq.solve_batch(payoffs[None], 1.0)
    alone = hq.solve(hq.NormalFormGame(payoffs), 1.0)
    assert float(alone.policy[1, 0, 0]) > 0.5
    np.testing.assert_allclose(batch.policy[0], alone.policy, rtol=0, atol=1e-8)


def test_lists_are_padded_for_the_program_only():
    rng = np.random.default_rng(4)
    games = [rng.random((2, 2, 5)), rng.random((2, 3, 3))]
    batch = hq.solve_batch(games, 0.5)
    assert batch.policy.shape == (2, 2, 1, 5)
    for b, payoffs in enumerate(games):
        alone = hq.solve(hq.NormalFormGame(payoffs), 0.5)
        np.testing.assert_allclose(batch[b].policy, alone.policy, rtol=0, atol=1e-8)
    around = hq.solve_batch(games[1:], 0.5, reference=[np.full((2, 1, 3), 1 / 3)])
    np.testing.assert_allclose(around[0].policy, batch[1].policy, rtol=0, atol=1e-8)


def test_lanes_that_are_all_lost_go_the_careful_way():
    """Of a single block, what the program returned cannot be written to."""
    pure = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
    np.testing.assert_allclose(hq.solve_batch(pure[None], 0.3).policy, 0.5, rtol=0, atol=1e-12)
    assert hq.solve_batch(np.full((1, 3, 2, 2, 2), np.nan), 1.0, throw=False).result == ["nonfinite"]


def test_single_precision_after_double():
    payoffs = PAYOFFS[:5].astype(np.float32)
    hq.solve_batch(payoffs, 1.0)
    with jax.enable_x64(False):
        assert (hq.solve_batch(payoffs, 1.0).result == "successful").all()


def test_a_thread_that_fails_stops_the_others():
    seen = []

    def work(piece):
        seen.append(piece)
        raise ValueError(piece)

    with pytest.raises(ValueError, match=r"^[01]$"):
        on_every_core(work, ((piece,) for piece in range(100)))
    assert len(seen) <= num_cores()


def test_gradients_are_implicit():
    """By payoffs and temperatures through the batch, against differences."""

    def score(payoffs, taus):
        solution = hq.solve_batch(payoffs, taus, solver="newton", tol=1e-13)
        return jnp.sum(jnp.sin(1 + jnp.arange(solution.policy.size)) * solution.policy.ravel()) + solution.values.sum()

    payoffs, taus = PAYOFFS[:2], np.array([[0.9, 0.7], [1.2, 0.8]])
    by_payoffs, by_taus = jax.jit(jax.grad(score, (0, 1)))(payoffs, taus)
    value = jax.jit(score)
    rng, h = np.random.default_rng(0), 1e-5
    for gradient, k in ((by_payoffs, 0), (by_taus, 1)):
        point = [payoffs, taus]
        d = rng.standard_normal(point[k].shape)

        def moved(sign, k=k, d=d):
            here = [payoffs, taus]
            here[k] = here[k] + sign * h * d
            return float(value(*here))

        assert float(np.sum(np.asarray(gradient) * d)) == pytest.approx((moved(1) - moved(-1)) / (2 * h), rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((PAYOFFS[0], 1.0), "games: has shape"),
        ((PAYOFFS[:0], 1.0), "games: holds no game"),
        ((hq.NormalFormGame, 1.0), "games"),
        ((PAYOFFS[:3], [1.0, 1.0, 1.0]), "taus: has shape"),
        ((PAYOFFS[:3], [[1.0], [-1.0], [1.0]]), "taus: is -1 in game 1 for player 1"),
        (([PAYOFFS[0], PAYOFFS[0][:, :0]], 1.0), r"games\[1\]"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(hq.InputError, match=message):
        hq.solve_batch(*arguments)


def test_one_game_is_no_batch():
    with pytest.raises(hq.InputError, match="use solve"):
        hq.solve_batch(hq.NormalFormGame(PAYOFFS[0]), 1.0)
    with pytest.raises(hq.InputError, match="memory"):
        hq.solve_batch(PAYOFFS[:1], 1.0, memory=0)


def test_devices_change_no_answer(batch):
    """Four devices in a process of their own."""
    program = """
import sys, numpy as np, jax
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_disable_most_optimizations", True)
jax.config.update("jax_compilation_cache_dir", sys.argv[2])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
assert len(jax.local_devices()) == 4
import hqre_jax as hq
np.save(sys.argv[1], hq.solve_batch(np.random.RandomState(1000).rand(300, 2, 3, 3), 0.1).policy)
"""
    environment = dict(os.environ, XLA_FLAGS="--xla_force_host_platform_device_count=4")
    target = ROOT / ".pytest_cache" / "four_devices.npy"
    run = subprocess.run(
        [sys.executable, "-c", program, str(target), str(ROOT / ".pytest_cache" / "jax")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(np.load(target), batch.policy, rtol=0, atol=1e-12)


def test_a_lanes_bits_depend_on_no_other_lane():
    """Also where lanes are left by their chunk and begin anew among others, or lose their branch."""
    games = np.random.RandomState(1000).rand(3000, 2, 3, 3)
    together = hq.solve_batch(games, 0.1)
    # Few are one pass, in which the lost begin anew at once; of three thousand all that are left wait for the next.
    for few in (100, 600, 1000):
        alone = hq.solve_batch(games[:few], 0.1)
        np.testing.assert_array_equal(np.asarray(alone.policy), np.asarray(together.policy)[:few])
        np.testing.assert_array_equal(np.asarray(alone.num_steps), np.asarray(together.num_steps)[:few])
