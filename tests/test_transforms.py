"""`jit`, `vmap` and `grad` on `solve`: derivatives by finite differences, lanes apart, nothing compiled twice."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.core import _compiled
from hqre_jax.solvers import SOLVERS

DRAW = np.random.RandomState(3)
PAYOFFS = DRAW.uniform(-1, 1, (2, 3, 2))
TAU = np.array([0.8, 1.1])
REFERENCE = np.array([[[0.5, 0.3, 0.2]], [[0.35, 0.65, 0.0]]])
ONE_SHOT = [name for name in SOLVERS if name not in ("soft_value_iteration", "markov_branch")]
KERNEL = DRAW.dirichlet(np.ones(2), (2, 2, 2))


def residuals(payoffs, tau, policy):
    """``max |π − softmax(u/τ)|`` of each game in a batch of two-player games, by hand."""
    rows, columns = policy[:, 0, 0, : payoffs.shape[2]], policy[:, 1, 0, : payoffs.shape[3]]
    worth = np.einsum("gab,gb->ga", payoffs[:, 0], columns), np.einsum("gab,ga->gb", payoffs[:, 1], rows)
    tau = np.broadcast_to(np.reshape(tau, (len(payoffs), -1)), (len(payoffs), 2))
    responses = [np.exp(q / tau[:, i, None]) for i, q in enumerate(worth)]
    gaps = [np.abs(p - r / r.sum(-1, keepdims=True)) for p, r in zip((rows, columns), responses, strict=True)]
    return np.hstack(gaps).max(-1)


# --- Derivatives -----------------------------------------------------------------------------------------------


def normal_form(solver):
    def solve(p):
        game = hq.NormalFormGame(p["payoffs"])
        return hq.solve(game, p["tau"], reference=p["reference"], solver=solver, tol=1e-13)

    return solve, {"payoffs": PAYOFFS, "tau": TAU, "reference": REFERENCE}


def markov(solver, continuation="soft"):
    def solve(p):
        game = hq.MarkovGame(p["payoffs"], KERNEL, p["discount"])
        return hq.solve(game, p["tau"], solver=solver, continuation=continuation, tol=1e-13)

    payoffs = np.random.RandomState(4).uniform(-1, 1, (2, 2, 2, 2))
    return solve, {"payoffs": payoffs, "tau": np.array([[1.0, 0.8], [0.9, 1.3]]), "discount": np.array(0.7)}


CASES = {name: normal_form(name) for name in ("auto", *ONE_SHOT)} | {
    "soft_value_iteration": markov("soft_value_iteration"),
    "plain Markov": markov("newton", "plain"),
}


def score(solution):
    """A number that every part of an answer enters."""
    policy = solution.policy
    weights = jnp.cos(jnp.arange(policy.size, dtype=policy.dtype)).reshape(policy.shape)
    return jnp.sum(weights * policy) + 0.3 * jnp.sum(solution.values) + 0.7 * solution.initial_values[0]


def directions(parameters):
    """One unit change of each parameter; a reference moves within the simplex."""
    for name, value in parameters.items():
        for place in np.ndindex(value.shape):
            change = np.zeros(value.shape)
            change[place] = 1.0
            if name == "reference":
                if value[place] == 0:
                    continue
                change[place[:-1]] -= value[place[:-1]]
            yield name, {key: change if key == name else np.zeros(np.shape(x)) for key, x in parameters.items()}


# Of one-shot games, in which derivatives are those of the equation whatever found the answer, some methods.
OFTEN = {"auto", "principal_branch", "krylov_branch", "mirror_descent"}


@pytest.mark.parametrize(
    "case",
    [case if case in OFTEN or "Markov" in case else pytest.param(case, marks=pytest.mark.thorough) for case in CASES],
)
def test_derivatives_are_those_of_finite_differences(case):
    """First and second derivatives, forwards and backwards, in one program."""
    solve, parameters = CASES[case]

    def value(p):
        solution = solve(p)
        return score(solution), solution.successful

    @jax.jit
    def slopes(p, change):
        (((answer, good), gradient), ((forwards, _), curvature)) = jax.jvp(
            jax.value_and_grad(value, has_aux=True), (p,), (change,)
        )
        return answer, gradient, forwards, curvature, good

    probe = jax.tree.map(lambda x: np.sin(1.0 + np.arange(x.size)).reshape(x.shape), parameters)
    if "reference" in parameters:
        inside = parameters["reference"] * probe["reference"]
        probe["reference"] = inside - parameters["reference"] * inside.sum(-1, keepdims=True)
    _, gradient, forwards, curvature, good = slopes(parameters, probe)
    assert good
    chex.assert_tree_all_finite((gradient, curvature))
    chex.assert_trees_all_equal_shapes(gradient, parameters)

    def along(tree, change):
        return float(sum(np.sum(np.asarray(tree[name]) * change[name]) for name in change))

    # What was pushed forwards along a direction is what was pulled back, summed along it.
    assert float(forwards) == pytest.approx(along(gradient, probe), rel=1e-9)

    def moved(change, step):
        return jax.tree.map(lambda x, d: x + step * d, parameters, change)

    h = 1e-4
    scale = max(np.abs(part).max() for part in jax.tree.leaves(gradient))
    for name, change in directions(parameters):
        f = {k: float(slopes(moved(change, k * h), probe)[0]) for k in (-2, -1, 1, 2)}
        # Four points: the error is of order h⁴.
        expected = (8 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12 * h)
        assert along(gradient, change) == pytest.approx(expected, rel=1e-6, abs=1e-7 * scale), name
    # The rate at which the gradient itself changes along the probe.
    g = {k: slopes(moved(probe, k * h), probe)[1] for k in (-1, 1)}
    for name in parameters:
        expected = (np.asarray(g[1][name]) - np.asarray(g[-1][name])) / (2 * h)
        np.testing.assert_allclose(curvature[name], expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_the_logit_of_one_player_moves_with_its_temperature_as_calculus_says():
    """``dπ/dτ = −π (u − E_π u)/τ²``, and twice that for the second derivative."""
    u, tau = np.array([0.3, -0.7, 1.2, 0.1]), 0.6

    def policy(t):
        return hq.solve(hq.NormalFormGame(u[None]), t, solver="newton").policy[0, 0]

    found, first, second = jax.jit(lambda t: (policy(t), jax.jacfwd(policy)(t), jax.jacfwd(jax.jacrev(policy))(t)))(tau)
    p = np.exp(u / tau) / np.exp(u / tau).sum()
    above = u - p @ u
    np.testing.assert_allclose(found, p, rtol=0, atol=1e-10)
    np.testing.assert_allclose(first, -p * above / tau**2, rtol=0, atol=1e-9)
    bend = p * (above**2 - p @ above**2) / tau**4 + 2 * p * above / tau**3
    np.testing.assert_allclose(second, bend, rtol=0, atol=1e-8)


def test_a_common_temperature_moves_everybody():
    def policy(tau):
        return hq.solve(hq.NormalFormGame(PAYOFFS), tau, solver=hq.solvers.MirrorDescent(step=2.0), tol=1e-13).policy

    together, apart = jax.jit(lambda: (jax.jacrev(policy)(0.9), jax.jacrev(policy)(jnp.full((2, 1), 0.9))))()
    np.testing.assert_allclose(together, apart.sum((-2, -1)), rtol=0, atol=1e-12)
    assert np.abs(together).max() > 1e-2


# --- Batches ---------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_solve_itself_can_be_mapped():
    """`jax.vmap(hq.solve)(games, taus)` and `jax.jit(hq.solve)(game, tau)`, literally."""
    payoffs = DRAW.uniform(-1, 1, (4, 2, 3, 2))
    taus = np.array([1.5, 0.05, 0.4, 3.0])
    games = [hq.NormalFormGame(u) for u in payoffs]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *games)
    many = jax.vmap(hq.solve)(stacked, taus)
    assert many.policy.shape == (4, 2, 1, 3)
    assert list(many.result) == ["successful"] * 4
    assert list(many.selection[[0, 3]]) == ["unique"] * 2
    assert many.selection[1] == "principal_branch"
    assert residuals(payoffs, taus, np.asarray(many.policy)).max() <= 1.01e-10
    compiled = jax.jit(hq.solve)
    for k in range(4):
        one = compiled(games[k], taus[k])
        assert one.result == "successful"
        np.testing.assert_allclose(one.policy, many.policy[k], rtol=0, atol=1e-9)
        assert one.selection == many.selection[k]


def test_one_game_at_many_temperatures():
    taus = np.stack([np.geomspace(0.2, 20, 7), np.geomspace(3, 0.4, 7)], axis=1)
    solver = hq.solvers.MirrorDescent(step=0.5)
    many = jax.vmap(lambda tau: hq.solve(hq.NormalFormGame(PAYOFFS), tau, solver=solver))(taus)
    assert (many.result == "successful").all()
    assert residuals(np.broadcast_to(PAYOFFS, (7, *PAYOFFS.shape)), taus, np.asarray(many.policy)).max() <= 1.01e-10
    assert len(np.unique(np.asarray(many.num_steps))) > 1


PENNIES = np.array([[[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]])
LANES = [
    # payoffs, temperature, and what a simultaneous step of 3 from (0.9, 0.3) comes to
    (PENNIES, 4.0, "successful"),
    (PENNIES, 0.01, "diverged"),
    (PENNIES * np.inf, 1.0, "nonfinite"),
    (PENNIES, np.nan, "nonfinite"),
    (PENNIES, -1.0, "nonfinite"),
    (PENNIES, 0.0, "nonfinite"),
    (PENNIES, np.inf, "nonfinite"),
    (np.array([[[2.0, -1.0], [0.5, 1.5]], [[-0.3, 1.0], [1.2, -0.8]]]), 3.0, "successful"),
]


@pytest.mark.parametrize(
    "solver", [hq.solvers.MirrorDescent(step=3.0), "principal_branch"], ids=["mirror_descent", "branch"]
)
def test_a_failed_lane_leaves_the_others_alone(solver):
    start = np.array([[[0.9, 0.1]], [[0.3, 0.7]]])

    @jax.jit
    @jax.vmap
    def both(payoffs, tau):
        def policy(tau):
            solution = hq.solve(hq.NormalFormGame(payoffs), tau, solver=solver, initial_policy=start, max_steps=4000)
            return solution.policy, solution

        slope, solution = jax.jacrev(policy, has_aux=True)(tau)
        return slope, solution

    payoffs, taus, expected = (np.stack(column) for column in zip(*LANES, strict=True))
    if solver == "principal_branch":
        expected[1] = "successful"
    slope, mixed = both(payoffs, taus)
    assert list(mixed.result) == list(expected)
    sound = expected == "successful"
    assert not bool(mixed.successful[~sound].any())
    assert (mixed.selection[~sound] == "unselected").all()
    assert residuals(payoffs[sound], taus[sound], np.asarray(mixed.policy)[sound]).max() <= 1.01e-10
    # With the failed lanes replaced by sound ones, bit for bit the same in the others.
    payoffs[~sound], taus[~sound] = PENNIES, 4.0
    alone_slope, alone = both(payoffs, taus)
    assert (alone.result == "successful").all()
    for together, apart in ((mixed.policy, alone.policy), (mixed.values, alone.values), (slope, alone_slope)):
        np.testing.assert_array_equal(np.asarray(together)[sound], np.asarray(apart)[sound])
        chex.assert_tree_all_finite(np.asarray(apart))


# --- Programs --------------------------------------------------------------------------------------------------


class Variants(chex.TestCase):
    """The same answers compiled and not, from inside a transformation and outside."""

    @chex.variants(with_jit=True, without_jit=True)
    def test_compiled_and_not(self):
        @self.variant
        def solve(payoffs, tau):
            solution = hq.solve(hq.NormalFormGame(payoffs), tau, solver="newton", max_steps=500)
            return solution.policy, solution.residual, solution.result_code

        policy, residual, code = solve(PAYOFFS, TAU)
        chex.assert_shape(policy, (2, 1, 3))
        chex.assert_tree_all_finite(policy)
        assert code == 0
        assert residual <= 1e-10
        assert residuals(PAYOFFS[None], TAU[None], np.asarray(policy)[None]) <= 1.01e-10


def test_a_second_question_of_the_same_shape_compiles_nothing(monkeypatch):
    monkeypatch.setattr(_compiled, "_MOST_MAPS", 10**9)  # other tests' programs are not to be forgotten just here
    compilations = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compilations.append(event) if "backend_compile" in event else None
    )

    def ask(payoffs, tau, title):
        game = hq.NormalFormGame(payoffs, labels=hq.Labels(title=title))
        return hq.solve(game, tau, solver=hq.solvers.MirrorDescent(step=1.0), max_steps=5000, tol=1e-9)

    # A shape of which no other test asks.
    first, second = np.random.default_rng(7).random((2, 2, 4, 7))
    ask(first, TAU, "first")
    assert compilations
    compilations.clear()
    ask(second, 2 * TAU, "second")
    assert compilations == []


def test_a_compiled_solve_is_traced_once():
    @jax.jit
    @chex.assert_max_traces(n=1)
    def solve(game, tau, step):
        return hq.solve(game, tau, solver=hq.solvers.MirrorDescent(step=step), max_steps=5000).policy

    first = solve(hq.NormalFormGame(PAYOFFS), TAU, 1.0)
    second = solve(hq.NormalFormGame(PAYOFFS), TAU, 0.5)
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-9)
    other = solve(hq.NormalFormGame(-PAYOFFS), TAU, 1.0)
    assert np.abs(np.asarray(first) - np.asarray(other)).max() > 0.1
