"""Margins, Lipschitz constants and contraction factors against brute force, and where they are known to be sharp."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import hqre_jax as hq
from hqre_jax.bounds import (
    _matrices,
    _one_shot,
    bounds,
    double_difference,
    interactions_under,
    spectral_radius,
)


def bounds_of(game, tau, **options):
    return bounds(hq.Problem(game, tau, **options))


def brute_difference(matrix, rows=None, cols=None):
    rows = range(matrix.shape[0]) if rows is None else np.flatnonzero(rows)
    cols = range(matrix.shape[1]) if cols is None else np.flatnonzero(cols)
    corners = itertools.product(rows, rows, cols, cols)
    return max(matrix[a, b] - matrix[c, b] - matrix[a, d] + matrix[c, d] for a, c, b, d in corners)


def brute_matrices(payoffs, prior, v):
    """C, Λ and P of theory.md §3 by loops over type profiles and action profiles; decision point (i, θ_i)."""
    n, types = prior.ndim, prior.shape
    points = [(i, t) for i in range(n) for t in range(types[i])]
    p = np.array([prior.take(t, axis=i).sum() for i, t in points])
    c, lam = np.zeros((2, len(points), len(points)))
    for profile in np.ndindex(types):
        u = payoffs[(slice(None), *profile)]
        for i, j in itertools.permutations(range(n), 2):
            x, y = points.index((i, profile[i])), points.index((j, profile[j]))
            shared, own = [], []
            for rest in itertools.product(
                *(range(u.shape[k + 1]) if k not in (i, j) else (slice(None),) for k in range(n))
            ):
                shared.append(brute_difference(v[x] * u[(i, *rest)] + v[y] * u[(j, *rest)]))
                own.append(brute_difference(u[(i, *rest)]))
            c[x, y] += 0.25 * prior[profile] * max(shared)
            if p[x] > 0:
                lam[x, y] += 0.25 * prior[profile] / p[x] * max(own)
    return c, lam, p


def brute_constants(payoffs, prior, tau, weights):
    """κ and L at given weights, types of probability zero dropped."""
    p = brute_matrices(payoffs, prior, np.ones(weights.size))[2]
    keep = p > 0
    v = np.where(keep, weights / np.where(keep, p, 1), 0)
    c, lam, _ = brute_matrices(payoffs, prior, v)
    root = np.sqrt(weights[keep])
    c, lam, tau = c[np.ix_(keep, keep)], lam[np.ix_(keep, keep)], tau[keep]
    kappa = np.linalg.eigvalsh(np.diag(tau) - 0.5 * c / np.outer(root, root))[0]
    return kappa, np.linalg.norm(root[:, None] * lam / root, 2), np.abs(np.linalg.eigvals(lam / tau[:, None])).max()


@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (2, 2)])
def test_double_difference_is_the_largest_interaction(shape):
    rng = np.random.default_rng(0)
    c = rng.normal(size=(5, *shape))
    rows, cols = rng.random((5, shape[0])) < 0.7, rng.random((5, shape[1])) < 0.7
    rows[:, 0] = cols[:, 0] = True
    expected = [brute_difference(c[k], rows[k], cols[k]) for k in range(5)]
    largest = double_difference(jnp.asarray(c), jnp.asarray(rows), jnp.asarray(cols))
    np.testing.assert_allclose(largest, expected, atol=1e-14)
    # A term of the row alone and one of the column alone cancel.
    moved = c + rng.normal(size=(5, shape[0], 1)) + rng.normal(size=(5, 1, shape[1]))
    largest = double_difference(jnp.asarray(moved), jnp.asarray(rows), jnp.asarray(cols))
    np.testing.assert_allclose(largest, expected, atol=1e-14)


def test_large_matrices_get_an_upper_bound(monkeypatch):
    rng = np.random.default_rng(1)
    c, rows, cols = rng.normal(size=(6, 7)), np.arange(6) < 5, np.arange(7) > 0
    exact = brute_difference(c, rows, cols)
    monkeypatch.setattr(_matrices, "_EXACT_LIMIT", 1)
    quick = double_difference(jnp.asarray(c), jnp.asarray(rows), jnp.asarray(cols))
    assert exact <= quick <= 4 * exact


def test_constants_of_large_games_are_weaker_but_hold(monkeypatch):
    """Doubly centred payoffs and no search for weights: κ not above the exact one, τ itself in a zero-sum game."""
    rng = np.random.default_rng(5)
    u = rng.normal(size=(3, 3, 4))
    zero_sum = rng.normal(size=(3, 4))
    general = hq.NormalFormGame(u[:2] + np.array([100.0, -50.0])[:, None, None])  # what does not interact is no matter
    opposed = hq.NormalFormGame(np.stack([zero_sum, -3 * zero_sum]))
    exact = bounds_of(general, 1.0)
    monkeypatch.setattr(_matrices, "_EXACT_LIMIT", 1)
    monkeypatch.setattr(_one_shot, "_SEARCH_LIMIT", 1)
    # Another continuation is no other game here, but compiled anew.
    quick = bounds_of(general, 1.0, continuation="plain")
    assert quick.margin < exact.margin
    assert exact.lipschitz < quick.lipschitz < 5 * exact.lipschitz
    assert exact.contraction < quick.contraction < 5 * exact.contraction
    assert bounds_of(opposed, 0.1, continuation="plain").margin == pytest.approx(0.1, rel=1e-12)


def test_spectral_radius_is_tight_and_never_too_small():
    rng = np.random.default_rng(2)
    radius = jax.jit(spectral_radius)
    for density in (0.2, 0.4, 1.0):
        for _ in range(40):
            a = rng.random((5, 5)) * (rng.random((5, 5)) < density) * 10.0 ** rng.integers(-3, 4, (5, 5))
            exact = np.abs(np.linalg.eigvals(a)).max()
            # Eigenvalues of defective matrices are computed to eps^(1/5) only: nilpotent ones are checked below.
            if np.linalg.matrix_power(a, 5).any():
                assert exact * (1 - 1e-10) <= radius(a) <= exact * (1 + 1e-6)
    cycle = np.roll(np.diag([1e6, 1e-6, 1.0, 1.0, 1.0]), 1, axis=1)
    np.testing.assert_allclose(radius(cycle), 1.0, rtol=1e-9)
    assert radius(np.triu(np.ones((5, 5)), 1)) == 0
    # A path has no self-loops and even powers only: 2 cos(π/(n+1)); 70 rows take the other route.
    path = np.eye(70, k=1) + np.eye(70, k=-1)
    assert 2 * np.cos(np.pi / 71) <= spectral_radius(jnp.asarray(path)) <= 2 * np.cos(np.pi / 71) * (1 + 1e-3)


def test_coordination_threshold_is_exactly_half_the_stake():
    """Sharpness: c·I is certified iff τ > c/2, the temperature of the bifurcation."""
    for c in (1.0, 3.0):
        game = hq.NormalFormGame(c * np.stack([np.eye(2)] * 2))
        for tau in (0.3 * c, 0.5 * c, 2 * c):
            known = bounds_of(game, tau)
            assert abs(known.margin - (tau - c / 2)) <= 1e-9
            assert abs(known.contraction - c / 2 / tau) <= 1e-9
            assert bool(known.unique) == (tau > c / 2)
            assert abs(known.lipschitz - c / 2) <= 1e-9
        assert np.isnan(bounds_of(game, 0.5 * c).max_step)
        np.testing.assert_allclose(bounds_of(game, 2 * c).max_step, 1.5 * c / (c / 2) ** 2)


@pytest.mark.parametrize("ratio", [1.0, 3.7, 1e-4])
def test_zero_sum_games_of_any_scale_pass_at_every_temperature(ratio):
    rng = np.random.default_rng(3)
    u = rng.normal(size=(3, 3))
    game = hq.NormalFormGame(np.stack([u, -ratio * u]))
    for tau in (1e-9, 1e-3, 1.0):
        known = bounds_of(game, [tau, 2 * tau])
        assert bool(known.unique)
        assert tau * (1 - 1e-4) <= known.margin <= tau


def test_zero_sum_polymatrix_passes_with_its_own_weights():
    rng = np.random.default_rng(4)
    edges = np.array([[0, 1], [2, 1], [0, 1], [1, 2]])
    scale = np.array([1.0, 20.0, 0.3])  # u_j = -(scale_j / scale_i) u_i on every edge
    u = rng.normal(size=(4, 2, 2))
    pairs = [[scale[i] * m, -scale[j] * m] for (i, j), m in zip(edges, u, strict=True)]
    known = bounds_of(hq.PolymatrixGame(edges, pairs), 1e-6)
    assert 0.99e-6 <= known.margin <= 1e-6
    np.testing.assert_allclose(known.weights[:, 0] * scale, (known.weights[:, 0] * scale)[0], rtol=1e-8)


@pytest.mark.parametrize("shape", [(2, 3, 3), (3, 2, 3, 2)])
def test_normal_form_constants_match_brute_force(shape):
    rng = np.random.default_rng(5)
    n = shape[0]
    prior, tau = np.ones((1,) * n), rng.uniform(1, 3, n)
    for _ in range(4):
        u = rng.normal(size=shape)
        known = bounds_of(hq.NormalFormGame(u), tau)
        typed = u.reshape(n, *(1,) * n, *shape[1:])
        weights = np.asarray(known.weights).ravel()
        kappa, lipschitz, contraction = brute_constants(typed, prior, tau, weights)
        assert kappa - 1e-9 <= known.margin <= kappa
        np.testing.assert_allclose(known.lipschitz, lipschitz, rtol=1e-9)
        np.testing.assert_allclose(known.contraction, contraction, rtol=1e-9)
        np.testing.assert_allclose(weights.sum(), n)
        # No weights do visibly better: κ is quasi-concave in them.
        best = scipy.optimize.minimize(
            lambda log_w, typed=typed: -brute_constants(typed, prior, tau, np.exp(np.append(log_w, 0)))[0],
            np.zeros(n - 1),
            method="Nelder-Mead",
            options={"maxfev": 60},
        )
        assert known.margin >= -best.fun - 2e-3


def test_irrelevant_payoff_terms_change_nothing():
    rng = np.random.default_rng(6)
    u = rng.normal(size=(2, 3, 3))
    plain = bounds_of(hq.NormalFormGame(u), 1.3)
    moved = u.copy()
    moved[0] += rng.normal(size=(1, 3)) + 2 * rng.normal(size=(3, 1))
    moved[1] += rng.normal(size=(3, 1)) + 2 * rng.normal(size=(1, 3))
    for before, after in zip(plain, bounds_of(hq.NormalFormGame(moved), 1.3), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-5)
    np.testing.assert_allclose(bounds_of(hq.NormalFormGame(moved), 1.3).contraction, plain.contraction, rtol=1e-12)


def test_masked_actions_count_for_nothing():
    rng = np.random.default_rng(7)
    small = rng.normal(size=(2, 2, 2))
    large = rng.normal(size=(2, 3, 3)) * 100
    large[:, :2, :2] = small
    mask = np.arange(3) < 2
    masked = hq.NormalFormGame(large, action_mask=np.broadcast_to(mask, (2, 1, 3)))
    for a, b in zip(bounds_of(masked, 1.0), bounds_of(hq.NormalFormGame(small), 1.0), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_bayesian_game_with_one_type_is_its_normal_form():
    u = np.random.default_rng(8).normal(size=(2, 3, 3))
    normal = bounds_of(hq.NormalFormGame(u), 1.0)
    typed = bounds_of(hq.BayesianGame(np.ones((1, 1)), u.reshape(2, 1, 1, 3, 3)), 1.0)
    for a, b in zip(normal, typed, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_bayesian_constants_match_brute_force():
    rng = np.random.default_rng(9)
    for zero in (False, True):
        prior = rng.dirichlet(np.ones(9)).reshape(3, 3)
        if zero:
            prior[2] = 0
            prior /= prior.sum()
        u, tau = rng.normal(size=(2, 3, 3, 2, 2)), rng.uniform(1, 2, (2, 3))
        known = bounds_of(hq.BayesianGame(prior, u), tau)
        kappa, lipschitz, contraction = brute_constants(u, prior, tau.ravel(), np.asarray(known.weights).ravel())
        assert kappa - 1e-9 <= known.margin <= kappa
        np.testing.assert_allclose(known.lipschitz, lipschitz, rtol=1e-9)
        np.testing.assert_allclose(known.contraction, contraction, rtol=1e-9)
        assert (known.weights[0, 2] == 0) == zero


def test_irrelevant_types_leave_the_zero_sum_margin_and_the_safe_step():
    """Types nobody cares about: κ = τ as without them; a joint instead of a conditional Λ would shrink L."""
    pennies = np.array([[1.0, -1.0], [-1.0, 1.0]])
    u = np.broadcast_to(np.stack([pennies, -pennies])[:, None, None], (2, 3, 3, 2, 2))
    known = bounds_of(hq.BayesianGame(np.full((3, 3), 1 / 9), u), 0.1)
    alone = bounds_of(hq.NormalFormGame(np.stack([pennies, -pennies])), 0.1)
    np.testing.assert_allclose([known.margin, known.lipschitz], [alone.margin, alone.lipschitz], rtol=1e-9)
    np.testing.assert_allclose(known.max_step, alone.max_step, rtol=1e-9)


def test_averaging_payoffs_over_types_would_certify_too_much():
    """Coordination at equal types, anti-coordination at unequal ones: averaged to nothing, bounded as it should be."""
    u = np.where(np.eye(2, dtype=bool)[:, :, None, None], np.eye(2), 1 - np.eye(2))
    u = np.pad(u, ((0, 1), (0, 1), (0, 0), (0, 0)))
    prior = np.pad(np.full((2, 2), 0.25), (0, 1))
    known = bounds_of(hq.BayesianGame(prior, np.stack([u, u])), 0.45)
    assert known.margin < 0
    assert not known.unique


def test_replies_among_types_of_probability_zero_must_be_unique_too():
    prior = np.zeros((3, 3))
    prior[0, 0] = 1
    u = np.zeros((2, 3, 3, 2, 2))
    u[:, 1, 1] = 12 * np.eye(2)  # both types believe that they meet with probability 1/3: stakes 4, threshold 2
    known = bounds_of(hq.BayesianGame(prior, u), 1.9)
    assert known.margin > 0
    assert not known.unique
    assert bounds_of(hq.BayesianGame(prior, u), 2.1).unique


def test_polymatrix_matches_its_normal_form():
    """With payoffs on one edge per pair, dd of a sum over edges is that of the edge: the constants are equal."""
    rng = np.random.default_rng(10)
    edges = np.array([[0, 1], [2, 1], [2, 0], [1, 0]])  # the last joins a pair a second time
    pairs = rng.normal(size=(4, 2, 2, 2))
    game = hq.PolymatrixGame(edges, pairs)
    sparse, dense = (
        bounds_of(game, [1.0, 2.0, 1.5]),
        bounds_of(hq.games.conversions.as_normal_form(game), [1.0, 2.0, 1.5]),
    )
    for a, b in zip(sparse, dense, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(sparse.contraction, dense.contraction, rtol=1e-10)


def test_what_no_bound_covers_is_nan():
    rng = np.random.default_rng(14)
    hidden = hq.IncompleteInformationMarkovGame(
        rng.normal(size=(2, 2, 2, 2)), rng.dirichlet([1, 1], (2, 2, 2)), [[0, 0], [0, 1]], 0.5, [0.5, 0.5]
    )
    ends = hq.MarkovGame(rng.normal(size=(2, 1, 2, 2)), np.full((1, 2, 2, 1), 0.5), 1.0)
    for game in (hq.load_game("stripped_down_poker"), hidden, ends):
        known = bounds_of(game, 100.0)
        assert np.isnan([known.margin, known.contraction, known.lipschitz, known.max_step]).all()
        assert not known.unique


def test_bounds_trace_under_jit_and_vmap():
    rng = np.random.default_rng(13)
    u = jnp.asarray(rng.normal(size=(5, 2, 3, 3)))
    tau = jnp.asarray(rng.uniform(1, 3, (5, 2)))
    together = jax.jit(jax.vmap(lambda u, t: bounds(hq.Problem(hq.NormalFormGame(u), t))))(u, tau)
    for k in range(5):
        alone = bounds_of(hq.NormalFormGame(u[k]), tau[k])
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a[k], b, rtol=1e-6)


@pytest.mark.parametrize(("family", "graph"), [("uniform", "random"), ("zero_sum", "star")])
def test_constants_without_matrices_are_on_the_safe_side(monkeypatch, family, graph):
    """Meeting by meeting, as in games of hundreds of players: never better than with matrices, and hardly worse."""
    game = hq.games.random.random_polymatrix(jax.random.key(0), 6, 2, graph=graph, family=family)
    exact = bounds_of(game, 2.0)
    monkeypatch.setattr(_one_shot, "_MATRIX_LIMIT", 1)
    edgewise = bounds_of(game, 2.0, continuation="plain")
    assert exact.contraction * (1 - 1e-12) <= edgewise.contraction <= exact.contraction * (1 + 1e-6)
    assert exact.margin - 0.05 <= edgewise.margin <= exact.margin + 1e-12
    # Each at weights of its own: κ and L belong to the weights that go with them.
    matrices = interactions_under(hq.Problem(game, 2.0), 0)
    root = np.sqrt(np.asarray(edgewise.weights).ravel())
    common = np.asarray(matrices.common(jnp.asarray(root**2)))
    kappa = np.linalg.eigvalsh(np.diag(np.full(6, 2.0)) - 0.5 * common / np.outer(root, root))[0]
    steepness = np.linalg.norm(root[:, None] * np.asarray(matrices.influence()) / root, 2)
    assert kappa - 1e-3 <= edgewise.margin <= kappa + 1e-12
    assert steepness * (1 - 1e-12) <= edgewise.lipschitz <= steepness * (1 + 1e-3)


def test_a_star_of_hundreds_of_zero_sum_players_is_unique():
    game = hq.games.random.random_polymatrix(jax.random.key(1), 300, 2, graph="star", family="zero_sum")
    known = bounds_of(game, 0.5)
    assert known.unique
    assert known.margin == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (5, 2), (4, 4)])
def test_numpy_and_the_program_agree(shape):
    """The first few problems of a shape are bounded in numpy, later ones by a program: the same to rounding."""
    rng, seen = np.random.default_rng(5), 0
    for scale in (1e-3, 1.0, 1e6):
        payoffs = jnp.asarray(scale * rng.normal(size=(2, *shape)))
        for tau in (0.3 * scale, [2.0 * scale, 5.0 * scale]):
            problem = hq.Problem(hq.NormalFormGame(payoffs), tau).centered()
            here, there = hq.bounds._by_numpy(problem), hq.bounds._bounds(problem)
            for ours, theirs in zip(here, there, strict=True):
                assert ours.dtype == theirs.dtype
                np.testing.assert_allclose(ours, theirs, rtol=1e-12)
            seen += bool(here.unique)
    assert 0 < seen < 6


def test_numbers_that_are_none_have_no_bounds():
    """Squares of the largest payoffs overflow on the way: numpy finds no eigenvalues, and JAX none that is a number."""
    game = hq.NormalFormGame(1e308 * np.array([[[1.0, -0.7], [-0.2, 0.3]], [[0.5, -1.0], [-0.9, 0.6]]]) / 4)
    problem = hq.Problem(game, 1e300).centered()
    for ours, theirs in zip(hq.bounds.bounds(problem), hq.bounds._bounds(problem), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
