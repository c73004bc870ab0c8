"""The solver for sampled payoffs: its answers, what it says of them, its schedules, and runs that are killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from host_games import HostBayesian

import hqre_jax as hq
from hqre_jax.solvers.stochastic_mirror import residual_bound

PAYOFFS = np.array([[2.0, -1.0], [-1.0, 1.0]])
PENNIES = hq.NormalFormGame(np.stack([PAYOFFS, -PAYOFFS]))
EXACT = hq.solve(PENNIES, 0.5)


def test_success_is_an_upper_bound_on_the_residual():
    sampled = hq.SampledGame.from_game(PENNIES)
    sol = hq.solve(sampled, 0.5, tol=0.1, key=jax.random.key(1))
    assert sol.result == "successful"
    assert sol.solver == "stochastic_mirror"
    assert sol.evidence is not None
    # The bound covers what the estimate and the truth are; plays that judge are counted.
    truth = float(hq.residual(PENNIES, sol.policy, 0.5))
    assert truth <= float(sol.residual) <= 0.1
    assert float(sol.evidence.estimate) <= float(sol.residual)
    assert int(sol.evidence.num_episodes) > 0
    assert int(sol.evidence.num_failed) == 0
    assert "upper bound, with confidence 0.95" in repr(sol)
    assert np.abs(sol.policy - EXACT.policy).max() < 0.05


def test_a_small_estimate_is_no_success():
    """Few plays: the estimated residual may be small, the bound is not, and the result says so."""
    sampled = hq.SampledGame.from_game(PENNIES)
    solver = hq.solvers.StochasticMirror(batch_size=32, check_every=8)
    sol = hq.solve(sampled, 0.5, solver=solver, tol=0.1, max_steps=16, key=jax.random.key(1), throw=False)
    assert sol.result == "max_steps_reached"
    assert float(sol.residual) > 0.1
    with pytest.raises(hq.SolveError, match="an upper bound, with confidence"):
        hq.solve(sampled, 0.5, solver=solver, tol=0.1, max_steps=16, key=jax.random.key(1))


@pytest.mark.thorough
@pytest.mark.slow
def test_agent_form_of_kuhn_poker_from_plays_alone():
    """The tree is known to the simulator only; `plain` continuation, as agent quantal response has it."""
    tree = hq.load_game("kuhn_poker")
    exact = hq.solve(tree, 0.2, continuation="plain")
    solver = hq.solvers.StochasticMirror(batch_size=4096, check_every=1024)
    sol = hq.solve(
        hq.SampledGame.from_game(tree),
        0.2,
        solver=solver,
        continuation="plain",
        tol=0.01,
        max_steps=1024,
        key=jax.random.key(5),
        throw=False,
    )
    assert np.abs(sol.policy - exact.policy).max() <= 0.02


def test_host_simulators_are_solved_too():
    game = hq.games.random.random_bayesian(jax.random.key(31), (2, 2), (2, 2))
    solver = hq.solvers.StochasticMirror(batch_size=512, check_every=8)
    sol = hq.solve(hq.SampledGame(HostBayesian(game)), 1.0, solver=solver, tol=0.25, key=jax.random.key(0))
    assert np.abs(sol.policy - hq.solve(game, 1.0).policy).max() < 0.05


@pytest.mark.parametrize(
    "step",
    [None, "variance_aware", 0.02, optax.polynomial_schedule(0.5, 0.002, 1.0, 2000)],
    ids=["T5", "variance-aware", "constant", "optax"],
)
def test_every_schedule_nears_the_equilibrium_of_a_noisy_game(step):
    """Exact payoffs with noise: the residual is exact, and smaller at the end than the noise leaves it at once."""
    solver = hq.solvers.StochasticMirror(step, noise=0.5)
    sol = hq.solve(PENNIES, 0.5, solver=solver, max_steps=2000, key=jax.random.key(2), throw=False)
    np.testing.assert_allclose(sol.residual, hq.residual(PENNIES, sol.policy, 0.5), atol=1e-12)
    assert float(sol.residual) < 0.15
    assert sol.evidence is None
    assert sol.result in ("max_steps_reached", "successful")


def test_averages_are_calmer():
    """At a constant step the last policy fluctuates for ever; the average of all does not."""

    def error(averaging, key):
        solver = hq.solvers.StochasticMirror(0.2, noise=1.0, averaging=averaging)
        sol = hq.solve(PENNIES, 0.5, solver=solver, max_steps=800, key=key, throw=False)
        return jnp.max(jnp.abs(sol.policy - EXACT.policy))

    keys = jax.random.split(jax.random.key(0), 16)
    last, average = (jax.vmap(lambda k, a=a: error(a, k))(keys).mean() for a in (False, True))
    assert average < 0.6 * last


def test_keys_decide():
    sampled = hq.SampledGame.from_game(PENNIES)
    options = {"tol": 0.3, "throw": False}
    first, again = (hq.solve(sampled, 0.5, key=jax.random.key(1), **options) for _ in range(2))
    other = hq.solve(sampled, 0.5, key=jax.random.key(2), **options)
    np.testing.assert_array_equal(first.policy, again.policy)
    assert not np.array_equal(first.policy, other.policy)


def test_residual_bound_is_the_largest_residual_in_the_box():
    problem = hq.Problem(hq.games.random.random_normal_form(jax.random.key(0), (3, 2)), 1.0)
    rng = np.random.default_rng(0)
    log_policy = problem.log_policy(jnp.asarray(rng.normal(size=problem.mask.shape)))
    response, reach = rng.normal(size=problem.mask.shape), rng.uniform(0, 1, problem.mask.shape)
    bound = float(residual_bound(problem, log_policy, jnp.asarray(response), jnp.asarray(reach)))
    corners = np.stack(np.meshgrid(*[[-1, 1]] * 6, indexing="ij"), -1).reshape(-1, *problem.mask.shape)
    policies = jax.vmap(problem.policy)(jnp.asarray(response + corners * reach))
    gaps = np.abs(np.asarray(policies) - np.exp(np.where(problem.mask, log_policy, -np.inf)))
    # Attained at a corner of the box.
    assert bound == pytest.approx(gaps.max(), abs=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 1.0}, "level: is 1.0"),
        ({"batch_size": 0}, "batch_size: is 0"),
        ({"margin": -1.0}, "margin: is -1.0"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(hq.InputError, match=message):
        hq.solvers.StochasticMirror(**options)


def test_exact_methods_refuse_sampled_games():
    with pytest.raises(hq.InputError, match=r"^solver: needs exact action values"):
        hq.solve(hq.SampledGame.from_game(PENNIES), 0.5, solver="newton")


SOLVE = """
payoffs = np.array([[2.0, -1.0], [-1.0, 1.0]])
game = hq.SampledGame.from_game(hq.NormalFormGame(np.stack([payoffs, -payoffs])))
solver = hq.solvers.StochasticMirror(batch_size=64, checkpoint=path, checkpoint_every=16)
sol = hq.solve(game, 0.5, solver=solver, tol=1e-4, max_steps=1000, key=jax.random.key(3), throw=False)
np.save(path + ".npy", np.append(np.asarray(sol.log_policy).ravel(), float(sol.residual)))
"""
# Compiled as here: the environment says how.
RUN = f"""
import sys, jax, numpy as np
jax.config.update("jax_enable_x64", True)
import hqre_jax as hq
path = sys.argv[1]
{SOLVE}
"""


def start(path):
    return subprocess.Popen([sys.executable, "-c", RUN, str(path)], cwd=Path(__file__).parents[1])


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    exec(SOLVE, {"hq": hq, "jax": jax, "np": np, "path": str(whole)})
    process = start(killed)
    # The first checkpoint is there: the run is somewhere in the middle of the next stretch, or of writing it.
    while not killed.exists() and process.poll() is None:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed.npy").exists()
    assert start(killed).wait() == 0
    assert (tmp_path / "whole.npy").read_bytes() == (tmp_path / "killed.npy").read_bytes()


def test_a_run_cut_at_any_round_goes_on_to_the_same_bits(tmp_path):
    sampled = hq.SampledGame.from_game(PENNIES)

    def run(path, max_steps):
        solver = hq.solvers.StochasticMirror(batch_size=64, check_every=4, checkpoint=path, checkpoint_every=8)
        key = jax.random.key(3)
        return hq.solve(sampled, 0.5, solver=solver, tol=1e-4, max_steps=max_steps, key=key, throw=False)

    whole = run(tmp_path / "whole", 40)
    for cut in (1, 8, 19):
        path = tmp_path / str(cut)
        run(path, cut)
        assert path.exists()
        # What a kill in the middle of writing leaves behind is not looked at.
        Path(f"{path}.draft").write_bytes(b"half a file")
        resumed = run(path, 40)
        assert int(resumed.num_steps) == 40
        np.testing.assert_array_equal(resumed.log_policy, whole.log_policy)
        np.testing.assert_array_equal(resumed.residual, whole.residual)


def test_checkpoints_of_other_questions_are_refused(tmp_path):
    path = tmp_path / "run"
    solver = hq.solvers.StochasticMirror(0.1, noise=0.1, checkpoint=path)
    hq.solve(PENNIES, 0.5, solver=solver, max_steps=1, throw=False)
    with pytest.raises(hq.InputError, match="belongs to another question"):
        hq.solve(PENNIES, 0.6, solver=solver, max_steps=1, throw=False)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(hq.InputError, match="cannot be read: it is damaged, or no checkpoint; remove it"):
        hq.solve(PENNIES, 0.5, solver=solver, max_steps=1, throw=False)
