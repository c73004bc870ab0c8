"""Every solver against the others and against residuals summed by hand; traces, parameters and float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from enumeration import (
    bayesian_worlds,
    evaluate_tree,
    evaluate_worlds,
    markov_worlds,
    normal_form_worlds,
    public_private_worlds,
)

import hqre_jax as hq
from hqre_jax.solvers import SOLVERS

pytestmark = pytest.mark.optimised

KEY = jax.random.key(23)
TREE = ("parent", "player", "information_set", "branch", "probability", "payoffs")
# A number of steps is always given: with and without one, `solve` compiles two programs.
STEPS = 20_000


def games():
    """A game of every kind with temperatures, and how to evaluate it by hand."""
    nf = hq.games.random.random_normal_form(KEY, (3, 2))
    pm = hq.games.random.random_polymatrix(KEY, 3, 2, graph="cycle")
    by = hq.games.random.random_bayesian(KEY, (2, 2), (2, 2))
    mk = hq.games.random.random_markov(KEY, 2, (2, 2), 0.7, family="zero_sum")
    pp = hq.games.random.random_public_private(KEY, 2, (2, 1), (2, 2), 0.7)
    ii = hq.games.random.random_incomplete_information_markov(KEY, 3, (2, 2), (2, 2), 0.7)
    tree = hq.games.random.random_extensive_form(jax.random.key(4), 2, 4)
    own = np.array([1.1, 1.9])
    markov = markov_worlds(mk.payoffs, mk.transitions, 0.7, mk.initial)
    partial = markov_worlds(ii.payoffs, ii.transitions, 0.7, ii.initial, ii.observations)
    public = public_private_worlds(pp.payoffs, pp.transitions, pp.type_prior, 0.7, pp.initial)
    states = np.linspace(0.9, 1.6, 4).reshape(2, 2)
    return {
        "normal_form": (nf, own, "soft", normal_form_worlds(nf.payoffs)),
        "polymatrix": (
            pm,
            np.array([2.1, 1.4, 1.8]),
            "soft",
            normal_form_worlds(hq.games.conversions.as_normal_form(pm).payoffs),
        ),
        "bayesian": (by, states, "soft", bayesian_worlds(by.prior, by.payoffs)),
        "markov_soft": (mk, states, "soft", markov),
        "markov_plain": (mk, states, "plain", markov),
        "markov_zero_sum": (mk, states / 4, "zero_sum", markov),
        "public_private": (pp, own, "soft", public),
        "incomplete_information": (ii, states, "soft", partial),
        "tree": (tree, own, "plain", tree),
    }


GAMES = games()
# Each method on the kinds it must know, by default steps; the methods differ in all but the equations.
METHODS = {
    "normal_form": ("auto", "mirror_descent", "extragradient", "fixed_point", "newton", "principal_branch"),
    "polymatrix": ("auto", "mirror_descent"),
    "bayesian": ("auto", "extragradient"),
    "markov_soft": ("auto", *SOLVERS),
    "markov_plain": ("soft_value_iteration", "newton"),
    "markov_zero_sum": ("soft_value_iteration", "fixed_point"),
    "public_private": ("auto", "soft_value_iteration"),
    "incomplete_information": ("auto", "newton"),
    "tree": ("auto", "mirror_descent"),
}


def solve(kind, solver="auto", **options):
    game, tau, continuation, _ = GAMES[kind]
    options = {"max_steps": STEPS} | options
    return hq.solve(game, tau, solver=solver, continuation=continuation, **options)


def residual_by_hand(kind, policy, log_reference=None):
    """``max |π − softmax(Q/τ + log ρ)|`` over valid actions, the action values summed world by world."""
    game, tau, continuation, described = GAMES[kind]
    policy, mask = np.asarray(policy), np.asarray(game.action_mask)
    tau = np.broadcast_to(tau if tau.ndim == 2 else tau[:, None], mask.shape[:2])
    count = np.maximum(mask.sum(-1, keepdims=True), 1)
    log_reference = np.broadcast_to(-np.log(count), mask.shape) if log_reference is None else log_reference
    bonus = -tau * np.where(mask, policy * (np.log(np.where(mask, policy, 1.0)) - log_reference), 0.0).sum(-1)
    if kind == "tree":
        arrays = [getattr(described, name) for name in TREE]
        worth = evaluate_tree(arrays, policy, bonus, continuation)[0]
    else:
        worth = evaluate_worlds(described, policy, bonus, continuation, sweeps=110)[0]
    logits = np.where(mask, worth / tau[..., None] + log_reference, -np.inf)
    used = mask.any(-1)
    weights = np.exp(logits[used] - logits[used].max(-1, keepdims=True))
    return np.abs(policy[used] - weights / weights.sum(-1, keepdims=True)).max()


# --- The same answer from all, and an honest residual ----------------------------------------------------------


@pytest.mark.parametrize("kind", METHODS)
def test_all_methods_find_the_same_equilibrium(kind):
    solutions = {name: solve(kind, name) for name in METHODS[kind]}
    for name, solution in solutions.items():
        assert solution.result == "successful", name
        assert solution.residual <= 1e-10, name
        assert residual_by_hand(kind, solution.policy) <= 1.01e-10, name
        policy, mask = np.asarray(solution.policy), np.asarray(GAMES[kind][0].action_mask)
        assert (policy[~mask] == 0).all()
        np.testing.assert_allclose(policy.sum(-1)[mask.any(-1)], 1, rtol=1e-14)
        np.testing.assert_allclose(policy, next(iter(solutions.values())).policy, rtol=0, atol=1e-8, err_msg=name)
        if kind in ("normal_form", "polymatrix", "bayesian"):
            assert solution.selection == "unique"


@pytest.mark.parametrize("kind", ["normal_form", "markov_plain", "markov_zero_sum"])
def test_an_unfinished_answer_reports_its_own_residual(kind):
    """The undamped residual of the very policy returned, far from success too."""
    solver = hq.solvers.MirrorDescent(step=0.2) if kind == "normal_form" else "soft_value_iteration"
    solution = solve(kind, solver, max_steps=2, throw=False)
    assert solution.result == "max_steps_reached"
    assert solution.num_steps == 2
    assert solution.residual > 1e-4
    assert float(solution.residual) == pytest.approx(residual_by_hand(kind, solution.policy), rel=1e-10)


def test_residual_is_measured_around_the_reference():
    reference = hq.games.random.random_policy(jax.random.key(1), GAMES["normal_form"][0], 0.7)
    solution = solve("normal_form", "newton", reference=reference)
    log_reference = np.log(np.where(reference > 0, reference, 1.0))
    assert residual_by_hand("normal_form", solution.policy, log_reference) <= 1e-10
    assert residual_by_hand("normal_form", solution.policy) > 1e-2


@pytest.mark.parametrize("kind", ["normal_form", "bayesian", "incomplete_information", "tree"])
def test_value_iteration_is_refused_where_it_means_nothing(kind):
    with pytest.raises(hq.InputError, match="soft_value_iteration") as caught:
        solve(kind, "soft_value_iteration")
    assert caught.value.field == "solver"


# --- Traces ----------------------------------------------------------------------------------------------------


def divergences(certificate, answer, policies):
    """``D_k = Σ_x w_x KL(π* ‖ π^k)`` of T2."""
    ratio = np.where(answer > 0, answer, 1.0) / np.where(policies > 0, policies, 1.0)
    return (certificate.weights * (answer * np.log(ratio)).sum(-1)).sum((-2, -1))


def test_mirror_descent_contracts_as_promised():
    answer = np.asarray(solve("normal_form", "newton").policy)
    run = solve("normal_form", "mirror_descent", history=True)
    certificate = run.certificate
    kappa, eta = certificate.margin, certificate.max_step
    assert eta == pytest.approx(kappa / certificate.lipschitz**2, rel=1e-12)
    distance = divergences(certificate, answer, run.history.policies)
    # Below, rounding in a difference of logarithms.
    seen = distance[:-1] > 1e-13
    assert seen.sum() >= 3
    assert (distance[1:][seen] <= distance[:-1][seen] / (1 + eta * kappa)).all()


@pytest.mark.parametrize("name", ["mirror_descent", "principal_branch"])
def test_history_ends_at_the_answer(name):
    run, plain = solve("normal_form", name, history=True), solve("normal_form", name)
    history, steps = run.history, int(run.num_steps)
    assert plain.history is None
    assert steps == plain.num_steps > 2
    assert history.policies.shape == (steps + 1, *run.policy.shape)
    assert history.residuals.shape == history.scales.shape == (steps + 1,)
    np.testing.assert_allclose(history.policies[-1], run.policy, rtol=0, atol=1e-15)
    np.testing.assert_allclose(run.policy, plain.policy, rtol=0, atol=1e-14)
    np.testing.assert_allclose(history.residuals[-1], run.residual, rtol=1e-12)
    mask = np.asarray(GAMES["normal_form"][0].action_mask)
    uniform = mask / mask.sum(-1, keepdims=True)
    np.testing.assert_allclose(history.policies[0], uniform, rtol=0, atol=1e-15)
    assert history.scales[-1] == 1
    if name == "mirror_descent":
        by_hand = [residual_by_hand("normal_form", policy) for policy in history.policies]
        np.testing.assert_allclose(history.residuals, by_hand, rtol=0, atol=1e-14)
        assert (history.scales == 1).all()
    else:
        assert history.scales[0] == 0
        assert 0 < history.scales[2] < 1


# --- Solvers with parameters -----------------------------------------------------------------------------------


def test_one_mirror_step_is_the_formula():
    """``π⁺ ∝ π^{1/(1+ητ)} ρ^{ητ/(1+ητ)} exp(ηQ/(1+ητ))`` with the η that was asked for."""
    game, tau, _, _ = GAMES["normal_form"]
    start = np.asarray(hq.games.random.random_policy(jax.random.key(2), game, 0.5))
    eta = 0.2
    step = solve("normal_form", hq.solvers.MirrorDescent(step=eta), initial_policy=start, max_steps=1, throw=False)
    (rows, columns), u = start[:, 0], np.asarray(game.payoffs)
    for i, (before, worth) in enumerate([(rows, u[0] @ columns[:2]), (columns[:2], rows @ u[1])]):
        weight = 1 / (1 + eta * tau[i])
        after = before**weight * np.exp(eta * weight * worth)
        np.testing.assert_allclose(step.policy[i, 0, : len(after)], after / after.sum(), rtol=1e-13)


def test_a_light_weight_takes_more_steps_to_the_same_values():
    heavy, light = (
        solve("markov_soft", "soft_value_iteration"),
        solve("markov_soft", hq.solvers.SoftValueIteration(weight=0.5)),
    )
    assert light.num_steps > 1.5 * heavy.num_steps
    np.testing.assert_allclose(light.policy, heavy.policy, rtol=0, atol=1e-8)


def test_a_longer_memory_takes_fewer_steps():
    short, long = (solve("markov_soft", hq.solvers.FixedPoint(memory=m)) for m in (1, 8))
    assert short.num_steps > long.num_steps
    np.testing.assert_allclose(short.policy, long.policy, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: hq.solvers.MirrorDescent(step=0.0), "step"),
        (lambda: hq.solvers.MirrorDescent(step=jnp.nan), "step"),
        (lambda: hq.solvers.Extragradient(step=-1.0), "step"),
        (lambda: hq.solvers.FixedPoint(memory=0), "memory"),
        (lambda: hq.solvers.SoftValueIteration(weight=0.0), "weight"),
        (lambda: hq.solvers.SoftValueIteration(weight=1.5), "weight"),
    ],
)
def test_senseless_parameters_are_refused(make, field):
    with pytest.raises(hq.InputError) as caught:
        make()
    assert caught.value.field == field


# --- Single precision, and the same numbers twice --------------------------------------------------------------


def single(game):
    return jax.tree.map(lambda x: x.astype(jnp.float32) if jnp.issubdtype(x.dtype, jnp.floating) else x, game)


@pytest.mark.parametrize(("kind", "solver"), [("normal_form", "newton"), ("markov_soft", "fixed_point")])
def test_single_precision_reaches_its_own_tolerance(kind, solver):
    game, tau, continuation, _ = GAMES[kind]
    solution = hq.solve(single(game), tau, solver=solver, continuation=continuation)
    assert solution.result == "successful"
    assert solution.residual <= 1e-5
    kinds = {leaf.dtype for leaf in jax.tree.leaves(solution) if jnp.issubdtype(leaf.dtype, jnp.floating)}
    assert kinds == {jnp.dtype(jnp.float32)}
    np.testing.assert_allclose(solution.policy, solve(kind, solver).policy, rtol=0, atol=2e-5)
    assert residual_by_hand(kind, solution.policy) <= 1.1e-5


@pytest.mark.parametrize("solver", ["fixed_point", "principal_branch"])
def test_a_solve_gives_the_same_bits_twice(solver):
    first, second = (solve("markov_soft", solver) for _ in range(2))
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_solution_keeps_the_names_of_its_own_game():
    payoffs = np.random.default_rng(0).random((2, 2, 2))
    for title in ("first", "second"):
        game = hq.NormalFormGame(payoffs, labels=hq.Labels(title=title))
        assert hq.solve(game, 1.0).problem.game.labels.title == title
