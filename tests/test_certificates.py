"""Verdicts: never "unique" where there are two HQRE, never two witnesses where there is one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

import hqre_jax as hq
from hqre_jax.bounds import bounds, exhaust
from hqre_jax.bounds._certificates import cheap_certificate
from hqre_jax.bounds._exhaustive import _Tables
from hqre_jax.certificates import _certify
from proofs_check.certificates import tally

STAG_HUNT = np.array([[10.0, 1.0], [8.0, 5.0]])


def coordination(c=1.0):
    return hq.NormalFormGame(c * np.stack([np.eye(2)] * 2))


def assert_two_equilibria(certificate, game, tau, **options):
    assert certificate.verdict == "not_unique"
    first, second = certificate.witnesses
    assert np.abs(first - second).max() > 1e-6
    for witness in certificate.witnesses:
        assert float(hq.residual(game, witness, tau, **options)) <= 1e-10


def logit(q, tau):
    z = np.exp((q - q.max(-1, keepdims=True)) / tau)
    return z / z.sum(-1, keepdims=True)


def equilibria_2x2(u, tau):
    """Probabilities of the first row's first action at every HQRE of a 2×2 game: sign changes over its log-odds."""

    def response(odds):
        x = 1 / (1 + np.exp(-odds))
        column = (u[1, 0, 0] - u[1, 0, 1]) * x + (u[1, 1, 0] - u[1, 1, 1]) * (1 - x)
        y = 1 / (1 + np.exp(-column / tau))
        return ((u[0, 0, 0] - u[0, 1, 0]) * y + (u[0, 0, 1] - u[0, 1, 1]) * (1 - y)) / tau - odds

    reach = 1 + np.abs(u).max() * 2 / tau
    grid = np.linspace(-reach, reach, 2000)
    value = response(grid)
    crossings = np.flatnonzero(np.sign(value[:-1]) * np.sign(value[1:]) < 0)
    return np.array([1 / (1 + np.exp(-brentq(response, grid[k], grid[k + 1]))) for k in crossings])


def num_stable_equilibria(u, tau):
    """How many limits of averaged responses from the vertices solve the logit equations, per two-player game."""
    t, found = tau[:, None], [[] for _ in u]
    for a, b in np.ndindex(u.shape[2:]):
        x, y = (np.tile(np.eye(size)[k], (len(u), 1)) for k, size in zip((a, b), u.shape[2:], strict=True))
        for _ in range(400):
            x_reply = logit(np.einsum("gab,gb->ga", u[:, 0], y), t)
            y_reply = logit(np.einsum("gab,ga->gb", u[:, 1], x), t)
            error = np.maximum(np.abs(x - x_reply).max(1), np.abs(y - y_reply).max(1))
            x, y = (x + x_reply) / 2, (y + y_reply) / 2
        for g in np.flatnonzero(error < 1e-13):
            if all(np.abs(x[g] - other).max() > 1e-4 for other in found[g]):
                found[g].append(x[g])
    return np.array([len(points) for points in found])


def random_games(rng, count, size):
    """From pure noise to pure coordination, in all scales."""
    noise = rng.normal(size=(count, 2, size, size))
    lean = rng.uniform(0, 3, (count, 1, 1, 1))
    return (noise + lean * np.eye(size)) * 10.0 ** rng.uniform(-1, 1, (count, 1, 1, 1))


@pytest.mark.parametrize("size", [2, 3])
def test_never_unique_where_a_scan_finds_two(size):
    rng = np.random.default_rng(size)
    count = 400
    games = random_games(rng, count, size)
    # Temperatures around each game's own threshold, where a wrong constant would show.
    ask = jax.jit(jax.vmap(lambda u, t: bounds(hq.Problem(hq.NormalFormGame(u), t))))
    reference = ask(games, jnp.ones(count))
    threshold = np.asarray(1 - reference.margin)
    # (Nearly zero-sum games have next to none; a scan has to see odds that floating numbers can hold.)
    threshold = np.maximum(threshold, 0.05 * np.abs(games).max(axis=(1, 2, 3)))
    tau = threshold * np.concatenate([rng.uniform(0.2, 1, count // 2), rng.uniform(1, 1.2, count // 2)])
    unique = np.asarray(ask(games, jnp.asarray(tau)).unique)
    if size == 2:
        several = np.array([len(equilibria_2x2(u, t)) > 1 for u, t in zip(games, tau, strict=True)])
    else:
        several = num_stable_equilibria(games, tau) > 1
    assert not (unique & several).any()
    # The test bites: both kinds are plenty, and twice the constant would have been wrong.
    assert unique.sum() >= 100
    assert several.sum() >= 20
    lowered = np.asarray(ask(games, jnp.asarray(2 * tau)).unique)
    assert (lowered & several).any()
    # With the best weights the margin subsumes the contraction.
    assert (ask(games, reference.contraction / 0.99).margin > 0).all()


def test_witnesses_are_equilibria_and_never_invented():
    rng = np.random.default_rng(7)
    verdicts = []
    for u in random_games(rng, 40, 2):
        tau = 0.25 * np.abs(u).max() * rng.uniform(0.3, 1)
        game = hq.NormalFormGame(u)
        certificate = hq.certify(game, tau)
        true = equilibria_2x2(u, tau)
        verdicts.append(str(certificate.verdict))
        assert (certificate.verdict == "unique") == (len(true) == 1)
        if certificate.verdict == "not_unique":
            assert_two_equilibria(certificate, game, tau)
            for witness in certificate.witnesses:
                assert np.abs(true - witness[0, 0, 0]).min() < 1e-8
        else:
            assert certificate.witnesses == ()
            assert len(true) == 1
    assert set(verdicts) == {"unique", "not_unique"}


def exhausted(u, tau):
    return exhaust(hq.Problem(hq.NormalFormGame(u), tau))


@pytest.mark.parametrize("size", [2, 3])
def test_exhaustion_proves_what_a_scan_finds(size):
    rng = np.random.default_rng(20 + size)
    games = random_games(rng, 100, size)
    tau = np.abs(games).max(axis=(1, 2, 3)) * rng.uniform(0.05, 0.4, len(games))
    unique = np.array([exhausted(u, t).unique for u, t in zip(games, tau, strict=True)])
    if size == 2:
        several = np.array([len(equilibria_2x2(u, t)) > 1 for u, t in zip(games, tau, strict=True)])
        np.testing.assert_array_equal(unique, ~several)
    else:
        several = num_stable_equilibria(games, tau) > 1
        assert not (unique & several).any()
        assert (unique | several).mean() > 0.98
    assert several.sum() >= 20
    # The proof goes beyond the margin: elsewhere it would be of no use.
    margins = jax.vmap(lambda u, t: bounds(hq.Problem(hq.NormalFormGame(u), t)).margin)(games, jnp.asarray(tau))
    assert (unique & (np.asarray(margins) < 0)).sum() >= 12


def test_exhaustion_of_three_players_masks_and_references():
    rng = np.random.default_rng(30)
    u = rng.random((3, 2, 2, 2))
    assert exhausted(u, 0.3).unique
    assert hq.certify(hq.NormalFormGame(u), 0.3).verdict == "unique"
    # Everybody wants what both others do: everybody on the first action, or everybody on the second.
    alike = np.zeros((3, 2, 2, 2))
    alike[:, 0, 0, 0] = alike[:, 1, 1, 1] = 1
    assert not exhausted(alike, 0.1).unique
    # A masked third action changes nothing, however it pays.
    small = rng.random((2, 2, 2))
    large = 1e3 * rng.random((2, 3, 3))
    large[:, :2, :2] = small
    masked = hq.NormalFormGame(large, action_mask=np.broadcast_to(np.arange(3) < 2, (2, 1, 3)))
    known = exhaust(hq.Problem(masked, 0.1))
    assert (known.unique, known.num_boxes) == (exhausted(small, 0.1).unique, exhausted(small, 0.1).num_boxes)
    # A reference far to one side leaves coordination a single HQRE; a uniform one does not.
    game, tilted = coordination(), np.array([[[0.99, 0.01]], [[0.99, 0.01]]])
    assert not exhaust(hq.Problem(game, 0.3)).unique
    assert exhaust(hq.Problem(game, 0.3, reference=tilted)).unique


def index_determinant(u, tau, policy):
    """``det(I − DR)`` of a two-player game as if the policy were its own response."""
    x, y = policy
    upper = (np.diag(x) - np.outer(x, x)) @ u[0] / tau[0]
    lower = (np.diag(y) - np.outer(y, y)) @ u[1].T / tau[1]
    return np.linalg.det(np.block([[np.eye(x.size), -upper], [-lower, np.eye(y.size)]]))


def test_exhaustion_bounds_hold_at_every_policy():
    """Responses at random policies lie within the bounds of their boxes, and determinants have the sign claimed."""
    rng = np.random.default_rng(31)
    for shape in ((2, 3), (2, 2, 3)):
        u, tau = rng.normal(size=(len(shape), *shape)), rng.uniform(0.2, 1, len(shape))
        problem = hq.Problem(hq.NormalFormGame(u), tau)
        table = _Tables(problem)
        for width in (1e-9, 0.05, 0.5):
            policy = [rng.dirichlet(np.full(a, 0.5)) for a in shape]
            lo = [np.maximum(p - width * rng.random(p.size), 0)[None] for p in policy]
            hi = [np.minimum(p + width * rng.random(p.size), 1)[None] for p in policy]
            for _ in range(40):
                inside = [p + rng.random() * (rng.dirichlet(np.ones(p.size)) - p) for p in policy]
                inside = [
                    q if ((low <= q) & (q <= high)).all() else p
                    for p, q, low, high in zip(policy, inside, lo, hi, strict=True)
                ]
                padded = np.zeros(problem.mask.shape)
                for i, p in enumerate(inside):
                    padded[i, 0, : p.size] = p
                if len(shape) == 2 and table.positive_determinant(lo, hi)[0]:
                    assert index_determinant(u, tau, inside) > 0
                reply = np.asarray(hq.logit_response(problem.game, padded, tau))
                for i, a in enumerate(shape):
                    below, above = table.response(i, lo, hi)
                    assert (below <= reply[i, 0, :a]).all()
                    assert (reply[i, 0, :a] <= above).all()


def test_coordination_is_exhibited_below_its_threshold_and_certified_above():
    for c in (1.0, 3.0):
        assert_two_equilibria(hq.certify(coordination(c), 0.45 * c), coordination(c), 0.45 * c)
        assert hq.certify(coordination(c), 0.5 * c + 1e-8).verdict == "unique"
    assert len(equilibria_2x2(np.stack([np.eye(2)] * 2), 0.45)) == 3
    assert len(equilibria_2x2(np.stack([np.eye(2)] * 2), 0.51)) == 1


def fold_policy():
    """Where ``τ log(x/(1−x)) = 6x − 4`` (symmetric HQRE, x on the stag) has a double root above ½."""
    return brentq(lambda x: 6 * x * (1 - x) * np.log(x / (1 - x)) - (6 * x - 4), 0.7, 0.99)


def fold_of_stag_hunt():
    """The temperature there."""
    return 6 * fold_policy() * (1 - fold_policy())


@pytest.mark.parametrize("distance", [1e-3, 1e-6, 1e-9, 1e-12])
def test_next_to_a_fold_nothing_is_invented(distance):
    """Stag hunt: three HQRE below the fold, one above it; closest to it none is told from another."""
    game, fold = hq.NormalFormGame(np.stack([STAG_HUNT, STAG_HUNT.T])), fold_of_stag_hunt()
    above, below = hq.certify(game, fold * (1 + distance)), hq.certify(game, fold * (1 - distance))
    assert above.verdict in ("undecided", "unique")
    assert below.verdict in ("undecided", "not_unique")
    if distance > 1e-4:
        assert above.verdict == "unique"
        assert_two_equilibria(below, game, fold * (1 - distance))


@pytest.mark.parametrize("distance", [1e-4, 1e-6, 1e-8])
def test_above_a_fold_no_newton_step_proves_an_equilibrium(distance):
    """Its sheets have met: the residual left there is small, the step is shorter than 1, and there is none nearby."""
    x, tau = fold_policy() + distance**0.5, fold_of_stag_hunt() * (1 + distance)
    z = jnp.asarray(np.tile(0.5 * np.log(x / (1 - x)) * np.array([1.0, -1.0]), (2, 1, 1)))
    problem = hq.Problem(hq.NormalFormGame(np.stack([STAG_HUNT, STAG_HUNT.T])), tau)
    exists, radius = _certify._is_equilibrium(problem, z)
    assert radius <= 1
    assert not exists


def test_neighbourhoods_of_two_witnesses_do_not_meet():
    p, q = np.array([[[0.75, 0.25]]]), np.array([[[0.25, 0.75]]])
    assert _certify._distinct_pair([(p, 0.3), (q, 0.3)]) == ()
    assert len(_certify._distinct_pair([(p, 0.2), (q, 0.2)])) == 2


@pytest.mark.parametrize("offset", [0.0, -1e-13, -1e-9])
def test_at_the_bifurcation_nothing_is_decided_wrongly(offset):
    """At c/2 the one HQRE is singular; just below, three lie closer than any residual of 1e-10 can tell."""
    certificate = hq.certify(coordination(), 0.5 + offset)
    assert certificate.verdict == "undecided"
    assert certificate.witnesses == ()


def test_stag_hunt_has_two():
    game = hq.NormalFormGame(np.stack([STAG_HUNT, STAG_HUNT.T]))
    certificate = hq.certify(game, 0.5)
    assert_two_equilibria(certificate, game, 0.5)
    assert certificate.margin < 0
    assert "not_unique" in str(certificate)
    # Low temperatures put the witnesses at vertices, where residuals alone say little.
    assert_two_equilibria(hq.certify(game, 1e-3), game, 1e-3)


def test_answers_do_not_depend_on_the_call():
    game = hq.NormalFormGame(np.stack([STAG_HUNT, STAG_HUNT.T]))
    first, second = hq.certify(game, 0.5), hq.certify(game, 0.5)
    for a, b in zip(first.witnesses, second.witnesses, strict=True):
        np.testing.assert_array_equal(a, b)
    assert hq.certify(game, 0.5, key=jax.random.key(5)).verdict == "not_unique"


def test_cheap_certificates_search_nothing():
    certificate = cheap_certificate(hq.Problem(coordination(), 0.3))
    assert (certificate.verdict, certificate.witnesses) == ("undecided", ())
    assert certificate.max_step is None
    certificate = cheap_certificate(hq.Problem(coordination(), 0.7))
    assert certificate.verdict == "unique"
    np.testing.assert_allclose(certificate.max_step, certificate.margin / certificate.lipschitz**2)
    assert hq.certify(coordination(), 0.3, num_starts=0).verdict == "undecided"
    with pytest.raises(hq.InputError, match="num_starts"):
        hq.certify(coordination(), 0.3, num_starts=-1)


def test_games_that_go_on():
    """A repeated coordination game: no margin; certified by T4 when hot, two stationary HQRE when cold."""
    payoffs = np.stack([np.eye(2)] * 2)[:, None]
    game = hq.MarkovGame(payoffs, np.ones((1, 2, 2, 1)), 0.5)
    hot = hq.certify(game, 3.0)
    assert (hot.verdict, hot.margin, hot.weights) == ("unique", None, None)
    np.testing.assert_allclose(hot.contraction, 0.5 + 0.5 / 3.0, rtol=1e-9)
    cold = hq.certify(game, 0.2, continuation="plain")
    assert cold.margin is None
    assert_two_equilibria(cold, game, 0.2, continuation="plain")


@pytest.mark.thorough
def test_trees_are_never_certified_unique_by_these_bounds():
    game = hq.load_game("entry_deterrence")
    certificate = hq.certify(game, 1.0, continuation="plain")
    assert certificate.verdict == "undecided"
    assert (certificate.margin, certificate.contraction, certificate.max_step) == (None, None, None)


def test_large_games_are_not_searched_and_say_so():
    players = 200
    edges = np.stack([np.arange(players - 1), np.arange(1, players)], axis=1)
    game = hq.PolymatrixGame(edges, np.broadcast_to(np.eye(3), (players - 1, 2, 3, 3)))
    certificate = hq.certify(game, 0.4)
    assert certificate.verdict == "undecided"
    assert "too many to search" in certificate.reason
    assert hq.certify(game, 1.01).verdict == "unique"


@pytest.mark.parametrize("tau", [0.1, 0.3])
def test_verdicts_against_a_search_that_knows_nothing_of_them(tau):
    """`python -m proofs_check.certificates` does the same for 10,000 games."""
    found = tally((2, 2), tau, 60)
    assert not found.refuted
    assert found.decided >= 0.99
    assert found.several <= found.not_unique
