"""Bounds over time: contraction of games that go on, and the regret of repeated play."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.bounds import bounds, interactions_under, nested_factor, regret_majorant


def bounds_of(game, tau, **options):
    return bounds(hq.Problem(game, tau, **options))


def markov_game(rng, discount, scale=1.0):
    transitions = rng.dirichlet(np.ones(3), size=(3, 2, 2))
    return hq.MarkovGame(scale * rng.normal(size=(2, 3, 2, 2)), transitions, discount)


def loop_matrix(game, tau, *, shannon=False, plain=False):
    """The matrix of T4, whose spectral radius is q, by loops."""
    r, p, gamma = np.asarray(game.payoffs), np.asarray(game.transitions), float(game.discount)
    swing, width = np.zeros((2, 2)), np.ptp(r, axis=(1, 2, 3))
    if shannon:
        width = width + np.ptp(tau * np.log(2), axis=1)
    width /= 1 - gamma
    for i, j, s, other, a, b in np.ndindex(2, 2, 3, 2, 2, 2):
        first, second = ((s, a, other), (s, b, other)) if j == 0 else ((s, other, a), (s, other, b))
        variation = 0.5 * np.abs(p[first] - p[second]).sum()
        change = abs(r[i][first] - r[i][second]) + gamma * width[i] * variation
        swing[i, j] = max(swing[i, j], change)
    least = tau.min(axis=1)
    ratio = np.diag(swing) / least
    stretch = np.where(plain & (ratio > 1), 1 + (ratio - 1) ** 2 / (2 * ratio), 1)
    off = swing * (1 - np.eye(2))
    return gamma * np.diag(stretch) + 0.5 * off / least


def loop_factor(game, tau, **options):
    return np.abs(np.linalg.eigvals(loop_matrix(game, tau, **options))).max()


@pytest.mark.thorough
def test_markov_factor_matches_loops_for_every_continuation():
    rng = np.random.default_rng(11)
    for discount in (0.0, 0.4, 0.9):
        game, tau = markov_game(rng, discount), rng.uniform(1, 4, (2, 3))
        soft, plain = bounds_of(game, tau), bounds_of(game, tau, continuation="plain")
        shannon = bounds_of(game, tau, entropy="shannon")
        np.testing.assert_allclose(soft.contraction, loop_factor(game, tau), rtol=1e-9)
        np.testing.assert_allclose(shannon.contraction, loop_factor(game, tau, shannon=True), rtol=1e-9)
        np.testing.assert_allclose(plain.contraction, loop_factor(game, tau, plain=True), rtol=1e-9)
        assert np.isnan(soft.margin)
        nested = nested_factor(hq.Problem(game, tau), game)
        assert bool(soft.unique) == (min(soft.contraction, nested) < 1)
    zero_sum = hq.MarkovGame(np.stack([game.payoffs[0], -game.payoffs[0]]), game.transitions, 0.9)
    known = bounds_of(zero_sum, 0.01, continuation="zero_sum")
    assert known.contraction == 0.9
    assert known.unique


def test_plain_iteration_contracts_as_proved():
    """Q-iteration with the on-policy backup in the sup norm weighted by the Perron vector: each step by q or better."""
    rng = np.random.default_rng(12)
    worst = 0.0
    for _ in range(100):
        game = markov_game(rng, 0.5, scale=rng.uniform(0.2, 2))
        tau = rng.uniform(0.3, 2, 2)
        r, p = np.asarray(game.payoffs), np.asarray(game.transitions)

        def stage(v, policy, r=r, p=p):
            worth = r + 0.5 * np.einsum("sabt,it->isab", p, v)
            return np.stack(
                [np.einsum("sab,sb->sa", worth[0], policy[1]), np.einsum("sab,sa->sb", worth[1], policy[0])]
            )

        def iterate(q, tau=tau, stage=stage):
            policy = np.exp(q / tau[:, None, None])
            policy /= policy.sum(-1, keepdims=True)
            return stage((policy * q).sum(-1), policy)

        values, vectors = np.linalg.eig(loop_matrix(game, np.broadcast_to(tau[:, None], (2, 3)), plain=True))
        factor, norm = values.real.max(), np.abs(vectors[:, values.real.argmax()].real)[:, None, None]
        # Action values of arbitrary policies against arbitrary continuations lie in the box that is mapped into itself.
        low, high = r.min(axis=(1, 2, 3)) / 0.5, r.max(axis=(1, 2, 3)) / 0.5
        points = [
            stage(rng.uniform(low[:, None], high[:, None], (2, 3)), rng.dirichlet([0.3, 0.3], (2, 3))) for _ in range(2)
        ]
        for one, two in [points, (points[0], points[0] + 1e-6 * np.sign(rng.normal(size=(2, 3, 2))))]:
            ratio = np.max(np.abs(iterate(one) - iterate(two)) / norm) / np.max(np.abs(one - two) / norm)
            worst = max(worst, ratio / factor)
    assert 0.3 < worst <= 1 + 1e-6


def nearly_zero_sum(rng, lean, discount=0.1):
    """Own moves matter much, the others' little: stage games with margins, transitions that no pair twists together."""
    u = rng.normal(size=(3, 2, 2))
    payoffs = np.stack([u, -u]) + lean * rng.normal(size=(2, 3, 2, 2))
    parts = rng.dirichlet(np.ones(3), (2, 3, 2))
    return hq.MarkovGame(payoffs, 0.5 * parts[0][:, :, None] + 0.5 * parts[1][:, None], discount)


def test_nested_iteration_certifies_markov_games_that_plain_contraction_does_not():
    rng = np.random.default_rng(15)
    gains = 0
    # One program for all games.
    factor_of = jax.jit(lambda problem: nested_factor(problem, problem.game))
    for _ in range(40):
        game, tau = nearly_zero_sum(rng, 0.05), rng.uniform(0.3, 2)
        factor = float(factor_of(hq.Problem(game, tau)))
        known = bounds_of(game, tau)
        assert bool(known.unique) == (min(factor, float(known.contraction)) < 1)
        gains += bool(known.unique) and known.contraction >= 1
        # The map itself: stage equilibria by averaged responses, then one backup, from two ends of the box.
        if factor < 1:
            r, p = np.asarray(game.payoffs), np.asarray(game.transitions)
            low, high = r.min(axis=(1, 2, 3)) / 0.9, r.max(axis=(1, 2, 3)) / 0.9
            values = rng.uniform(low[:, None], high[:, None], (2, 2, 3))
            stages = [r + 0.1 * np.einsum("sabt,it->isab", p, v) for v in values]
            backed = np.stack(np.split(backup(np.concatenate(stages, axis=1), tau), 2, axis=1))
            before, after = (np.abs(x[0] - x[1]).max(axis=1) for x in (values, backed))
            ratios = [
                np.linalg.norm(root * after) / np.linalg.norm(root * before) for root in ([1, 1], (high - low) ** -0.5)
            ]
            assert min(ratios) <= factor * (1 + 1e-9)
    assert gains >= 10
    together = hq.MarkovGame(np.broadcast_to(np.eye(2), (2, 1, 2, 2)), np.ones((1, 2, 2, 1)), 0.05)
    assert nested_factor(hq.Problem(together, 0.45), together) == np.inf
    assert not bounds_of(together, 0.45).unique
    assert nested_factor(hq.Problem(together, 1.0, continuation="plain"), together) == np.inf


def backup(stage, tau):
    """``V_i(s) = τ log mean exp(Q_i/τ)`` at the equilibrium of every stage game."""
    x = y = np.full((stage.shape[1], 2), 0.5)
    for _ in range(3000):
        q = np.einsum("sab,sb->sa", stage[0], y), np.einsum("sab,sa->sb", stage[1], x)
        worth = [np.exp(part / tau) for part in q]
        replies = [part / part.sum(-1, keepdims=True) for part in worth]
        off = max(np.abs(replies[0] - x).max(), np.abs(replies[1] - y).max())
        x, y = 0.95 * x + 0.05 * replies[0], 0.95 * y + 0.05 * replies[1]
        # Rounding alone keeps it at some 1e-16.
        if off < 1e-14:
            break
    return tau * np.log(np.exp(np.stack(q) / tau).mean(-1))


def test_regret_stays_below_its_majorant():
    rng = np.random.default_rng(16)
    worst = 0.0
    majorant = jax.jit(regret_majorant, static_argnums=7)
    for _ in range(10):
        u = rng.normal(size=(2, 2, 2))
        tau = np.full(2, 1.3) + rng.random(2)
        game, problem = hq.NormalFormGame(u), hq.Problem(hq.NormalFormGame(u), tau)
        known = bounds(problem)
        if not known.margin > 0:
            continue
        weights, step = np.asarray(known.weights)[:, 0], float(known.max_step)
        star = np.asarray(hq.solve(game, tau, tol=1e-13).policy)[:, 0]
        policy = rng.dirichlet([0.3, 0.3], 2)
        log_ratio = np.ptp(np.log(policy) - np.log(star), axis=1)
        divergence = weights @ np.sum(star * (np.log(star) - np.log(policy)), axis=1)
        influence = interactions_under(problem, 0).influence()
        bound = majorant(
            jnp.asarray(tau),
            jnp.asarray(weights),
            influence,
            known.max_step,
            known.margin,
            jnp.asarray(divergence),
            jnp.asarray(log_ratio),
            60,
        )
        gaps = []
        for _ in range(60):
            q = np.stack([u[0] @ policy[1], u[1].T @ policy[0]])
            best = np.exp(q / tau[:, None])
            best /= best.sum(1, keepdims=True)
            gaps.append(tau * np.sum(policy * (np.log(policy) - np.log(best)), axis=1))
            policy = policy ** (1 / (1 + step * tau))[:, None] * np.exp(q * (step / (1 + step * tau))[:, None])
            policy /= policy.sum(1, keepdims=True)
        assert (np.array(gaps) <= bound.rounds * (1 + 1e-9) + 1e-14).all()
        assert (bound.rounds.sum(0) <= bound.total * (1 + 1e-12)).all()
        many = majorant(
            jnp.asarray(tau),
            jnp.asarray(weights),
            influence,
            known.max_step,
            known.margin,
            jnp.asarray(divergence),
            jnp.asarray(log_ratio),
            400,
        )
        np.testing.assert_allclose(many.rounds.sum(0), bound.total, rtol=1e-3)
        worst = max(worst, np.max(np.array(gaps)[:3] / bound.rounds[:3]))
    assert worst > 0.05
