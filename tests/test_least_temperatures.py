"""Least temperatures: certified on return, least where the answer is known, and no gain where none can be."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import hqre_jax as hq
from hqre_jax import problem as problems
from hqre_jax.bounds import interactions_under
from hqre_jax.certificates import _least_temperatures
from hqre_jax.core import _programs
from hqre_jax.core._programs import in_numpy


def coordination_on(edges, stake=1.0, size=2):
    edges = np.asarray(edges)
    return hq.PolymatrixGame(edges, np.broadcast_to(stake * np.eye(size), (len(edges), 2, size, size)))


@pytest.mark.parametrize("leaves", [1, 25])
def test_a_star_gains_what_the_theory_says(leaves):
    stake, margin = 2.0, 1e-6
    game = coordination_on([[0, k + 1] for k in range(leaves)], stake)
    least = hq.least_temperatures(game, margin=margin)
    kappa = (leaves + 1) * margin
    np.testing.assert_allclose(least.total_cost, leaves * stake + kappa, rtol=3e-6)
    np.testing.assert_allclose(least.common_cost, (leaves + 1) * np.sqrt(leaves) * stake / 2 + kappa, rtol=3e-6)
    np.testing.assert_allclose(least.tau[0, 0], leaves * stake / 2, rtol=1e-4)
    assert hq.certify(game, least.tau).margin >= margin


@pytest.mark.thorough
@pytest.mark.parametrize(
    "edges",
    [[[k, (k + 1) % 7] for k in range(7)], [[i, j] for i in range(5) for j in range(i)]],
    ids=["cycle", "complete"],
)
def test_regular_graphs_gain_nothing(edges):
    least = hq.least_temperatures(coordination_on(edges))
    np.testing.assert_allclose(least.total_cost, least.common_cost, rtol=1e-6)
    np.testing.assert_allclose(least.tau, least.common, rtol=1e-4)


def random_game(rng, kind):
    scale = 10.0 ** rng.uniform(-2, 2)
    if kind == "normal form":
        return hq.NormalFormGame(scale * rng.normal(size=(2, 2, 3)))
    if kind == "three players":
        return hq.NormalFormGame(scale * rng.normal(size=(3, 2, 2, 2)))
    prior = rng.dirichlet(np.ones(4)).reshape(2, 2)
    if rng.random() < 0.3:
        prior[1] = 0
        prior /= prior.sum()
    return hq.BayesianGame(prior, scale * rng.normal(size=(2, 2, 2, 2, 2)))


@pytest.mark.parametrize("kind", ["normal form", "three players", "bayesian"])
def test_the_margin_holds_on_return(kind):
    rng = np.random.default_rng(1)
    gains = []
    for _ in range(25):
        game, margin = random_game(rng, kind), 10.0 ** rng.uniform(-6, 0)
        cost = rng.uniform(0.2, 5, np.asarray(game.action_mask).shape[:2])
        least = hq.least_temperatures(game, cost, margin)
        certificate = hq.certify(game, least.tau, num_starts=0)
        assert certificate.margin >= margin
        # The bounds of the first few problems of a shape are numpy's, later ones a program's: rounding is all.
        assert least.margin == pytest.approx(certificate.margin, rel=0, abs=1e-12)
        assert certificate.verdict == "unique"
        assert least.total_cost <= least.common_cost
        np.testing.assert_allclose(least.total_cost, np.sum(cost * least.tau))
        gains.append(least.total_cost / least.common_cost)
        # Least: nine tenths of what the common temperature has beyond κ are not enough (zero-sum games need nothing).
        surplus = least.common > 1.001 * margin
        assert not surplus or hq.certify(game, margin + 0.9 * (least.common - margin), num_starts=0).margin < margin
    assert min(gains) < 0.8


@pytest.mark.parametrize("kind", ["normal form", "bayesian"])
def test_equal_weights_hold_and_are_no_cheaper(kind):
    rng = np.random.default_rng(4)
    for _ in range(10):
        game = random_game(rng, kind)
        equal, joint = (hq.least_temperatures(game, margin=1e-3, weights=w) for w in ("equal", "joint"))
        assert hq.certify(game, equal.tau, num_starts=0).margin >= 1e-3
        assert joint.total_cost <= equal.total_cost


def test_equal_weights_on_a_star():
    """Σ_j C_ij/2 of each: n·c in all, as theory.md says of w = 1 and unit costs."""
    leaves, stake, margin = 4, 2.0, 1e-6
    game = coordination_on([[0, k + 1] for k in range(leaves)], stake)
    least = hq.least_temperatures(game, margin=margin, weights="equal")
    np.testing.assert_allclose(least.tau[:, 0], [leaves * stake / 2] + [stake / 2] * leaves, rtol=3e-6)


def test_closed_form_is_the_geometric_program():
    """At w = 1 no s > 0 is cheaper than ``s = √cost``: a numerical minimum over log s agrees."""
    rng = np.random.default_rng(2)
    a = rng.random((5, 5)) * (1 - np.eye(5))
    a, cost = a + a.T, rng.uniform(0.1, 10, 5)

    def price(log_s):
        s = np.exp(log_s)
        return cost @ ((a @ s) / s)

    best = scipy.optimize.minimize(price, np.zeros(5), tol=1e-12)
    np.testing.assert_allclose(np.sqrt(cost) @ a @ np.sqrt(cost), best.fun, rtol=1e-8)
    np.testing.assert_allclose(price(0.5 * np.log(cost)), best.fun, rtol=1e-8)


def test_zero_sum_games_need_the_margin_only():
    u = np.random.default_rng(3).normal(size=(3, 3))
    for scale in (1.0, 7.0):
        least = hq.least_temperatures(hq.NormalFormGame(np.stack([u, -scale * u])), margin=1e-3)
        np.testing.assert_allclose(least.tau, 1e-3, rtol=1e-6)
    # At w = 1 the second would cost much more: the weights do it.
    edges = np.array([[0, 1], [1, 2], [2, 3]])
    pays = np.stack(
        [[m, -s * m] for m, s in zip(np.random.default_rng(4).normal(size=(3, 2, 2)), (1, 9, 0.2), strict=True)]
    )
    least = hq.least_temperatures(hq.PolymatrixGame(edges, pays), margin=1e-3)
    np.testing.assert_allclose(least.tau, 1e-3, rtol=1e-4)


def test_costs_default_to_what_entropy_can_weigh():
    u = np.random.default_rng(5).normal(size=(2, 2, 5))
    game = hq.NormalFormGame(u)
    least = hq.least_temperatures(game)
    explicit = hq.least_temperatures(game, [np.log(2), np.log(5)])
    np.testing.assert_array_equal(least.tau, explicit.tau)
    # Where entropy is dear, less of it is asked for.
    assert least.tau[1, 0] < hq.least_temperatures(game, 1.0).tau[1, 0]
    # Somebody without a choice costs nothing and needs the margin alone.
    alone = hq.least_temperatures(hq.NormalFormGame(np.random.default_rng(6).normal(size=(2, 1, 3))), margin=0.5)
    np.testing.assert_allclose(alone.tau, 0.5)


def test_hundreds_of_players():
    rng = np.random.default_rng(7)
    edges = np.array([[rng.integers(k), k] for k in range(1, 200)])
    game = hq.PolymatrixGame(edges, rng.normal(size=(199, 2, 2, 2)))
    least = hq.least_temperatures(game, margin=1e-3)
    assert least.margin >= 1e-3
    assert least.total_cost < 0.8 * least.common_cost


def test_bad_input_is_refused():
    game = hq.NormalFormGame(np.random.default_rng(8).random((2, 2, 2)))
    with pytest.raises(hq.InputError, match="margin"):
        hq.least_temperatures(game, margin=0.0)
    with pytest.raises(hq.InputError, match="cost"):
        hq.least_temperatures(game, [1.0, -1.0])
    for other in (
        hq.load_game("entry_deterrence"),
        hq.MarkovGame(np.ones((2, 1, 2, 2)), np.ones((1, 2, 2, 1)), 0.5),
    ):
        with pytest.raises(hq.InputError, match="trees and games that go on"):
            hq.least_temperatures(other)
    with pytest.raises(hq.InputError, match="weights"):
        hq.least_temperatures(coordination_on([[0, 1]]), weights="best")


@pytest.mark.parametrize("kind", ["normal form", "three players", "bayesian"])
def test_what_numpy_adds_up_programs_do(kind):
    """The terms of a search in numpy are those of one by a program, wherever it looks."""
    problem = hq.Problem(random_game(np.random.default_rng(3), kind), 1.0).centered()
    here, there = (interactions_under(where, 0) for where in (in_numpy(problem), problem))
    log_v, price = np.random.default_rng(4).normal(size=(2, here.keep.size))
    early = _least_temperatures._surplus_and_slope(here, log_v, np.exp(price))
    late = _least_temperatures._surplus_and_slope(there, jnp.asarray(log_v), jnp.exp(price))
    for first, second in zip(early, late, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["normal form", "three players", "bayesian"])
def test_scales_in_numpy_are_those_of_programs(monkeypatch, kind):
    problem = hq.Problem(random_game(np.random.default_rng(3), kind), 1.0)
    monkeypatch.setattr(_programs, "_ASKED", type(_programs._ASKED)())
    early = hq.bounds.cancelling_scales(problem)
    monkeypatch.setattr(problems, "_OFTEN", 0)
    np.testing.assert_allclose(early, hq.bounds.cancelling_scales(problem), rtol=0, atol=1e-12)
