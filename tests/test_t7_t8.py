"""T7 and T8: closed forms against brute force, statements on few games, controls, constants."""

import itertools

import jax
import numpy as np
import pytest

import hqre_jax as hq
from proofs_check import statements
from proofs_check.games.conventions import alternation, miscoordination
from proofs_check.t7_pathologies import claims as t7
from proofs_check.t8_heterogeneity import claims as t8
from proofs_check.t8_heterogeneity.graphs import FAMILIES, STARS

GAMES = 80


# Claims that fail in every game of their control, as they are equalities or play is of another kind.
ALWAYS = {"T7": {t7.OSCILLATION, t7.RATE}, "T8": {t8.MARGIN, t8.CERTIFIED, t8.GAIN, t8.CLOSED}}


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("name", ALWAYS)
def test_equalities_fail_in_every_game_of_their_control(name):
    control = statements()[name].negative_control(jax.random.key(4), GAMES)
    for claim in ALWAYS[name]:
        part = control.part(claim=claim)
        assert part.violations == part.games > 0, claim


@pytest.mark.slow
@pytest.mark.parametrize("name", ["T7", "T8"])
def test_constants_are_attained(name):
    for example in statements()[name].examples():
        assert example.ratio == pytest.approx(1, abs=1e-12), example


def transition_matrix(num_actions, noise, inertia):
    """Of the pair of actions, from the rule itself: each stays, or errs, or answers."""
    pairs = list(itertools.product(range(num_actions), repeat=2))
    kernel = np.zeros((len(pairs), len(pairs)))
    for (r, (a, b)), (c, (x, y)) in itertools.product(enumerate(pairs), repeat=2):
        chance = 1.0
        for i, (own, other, new) in enumerate(((a, b, x), (b, a, y))):
            reply = (1 - noise[i]) * (new == other) + noise[i] / num_actions
            chance *= inertia[i] * (new == own) + (1 - inertia[i]) * reply
        kernel[r, c] = chance
    return kernel, np.array([a != b for a, b in pairs], float)


@pytest.mark.parametrize("num_actions", [2, 3, 5])
def test_miscoordination_is_that_of_the_markov_chain(num_actions):
    rng, rounds = np.random.default_rng(num_actions), 25
    noise, inertia = rng.uniform(0.05, 1, 2), rng.uniform(0, 0.9, 2)
    kernel, apart = transition_matrix(num_actions, noise, inertia)
    np.testing.assert_allclose(kernel.sum(axis=1), 1)
    # From any opposed pair: expected number of rounds apart, the start included.
    law, expected = np.eye(len(kernel))[1], 0.0
    # What one more round apart at time k adds to what is expected from k on: w_k of the statement.
    effect, squares = np.zeros(len(kernel)), 0.0
    for _ in range(rounds):
        expected += law @ apart
        law = law @ kernel
        effect = apart + kernel @ effect
        squares += np.ptp(effect) ** 2
    chain = miscoordination(np.array([num_actions]), noise[None], inertia[None], rounds)
    np.testing.assert_allclose(chain.expected, expected, rtol=1e-12)
    np.testing.assert_allclose(chain.squares, squares, rtol=1e-12)


@pytest.mark.parametrize("num_actions", [2, 4])
def test_without_inertia_rare_mistakes_miscoordinate_as_often_as_frequent_ones(num_actions):
    for noise in (1e-3, 0.5):
        kernel, apart = transition_matrix(num_actions, (noise, noise), (0.0, 0.0))
        values, vectors = np.linalg.eig(kernel.T)
        stationary = np.real(vectors[:, np.argmax(values.real)])
        assert stationary @ apart / stationary.sum() == pytest.approx(1 - 1 / num_actions, rel=1e-9)


def test_large_steps_alternate_where_their_equation_says():
    size, tau, eta = np.array([1.0, 3.0]), np.array([0.2, 0.9]), np.array([12.0, 20.0])
    limit = alternation(eta, tau, size)
    x = np.array([1.0, 0.5])
    for _ in range(500):
        x = np.abs((x - eta * size * np.tanh(x / 2)) / (1 + eta * tau))
    np.testing.assert_allclose(limit, x, rtol=1e-12)


@pytest.mark.parametrize("cost", [0, 1], ids=["unit costs", "log A"])
def test_least_temperatures_beat_a_search(cost):
    """Descent on the cost over all scalings v ends at what the closed form says."""
    family = next(f for f in FAMILIES if f.name == "random graph")
    arrays = family.draw(np.random.default_rng(0), 4)
    known = t8.interactions(arrays, np.full(4, 0.1), np.random.default_rng(1).uniform(0.5, 2, (4, 8)))
    used, costs = known.costs[:, cost] > 0, known.costs[:, cost]
    log_v = np.zeros((4, known.matrix.shape[1]))
    for _ in range(4000):
        v = np.exp(log_v)
        # Of Σ_ij c_i C_ij v_j/v_i with respect to log v.
        flow = costs[:, :, None] * known.matrix * v[:, None, :] / v[:, :, None]
        log_v = log_v - 0.05 * (flow.sum(axis=1) - flow.sum(axis=2)) / known.matrix.sum(axis=(1, 2))[:, None]
    searched = known.scaled(np.exp(log_v)[:, None])[:, 0]
    least = known.least()[:, cost]
    np.testing.assert_allclose((costs * searched).sum(-1), (costs * least).sum(-1), rtol=1e-6)
    np.testing.assert_allclose(searched[used], least[used], rtol=1e-2)


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("family", [STARS, FAMILIES[3]], ids=lambda family: family.name)
def test_the_library_finds_temperatures_no_dearer_than_the_closed_form(family):
    """`least_temperatures` also chooses weights; on stars with equal stakes no weights are better than w = 1."""
    margin = 0.05
    arrays = family.draw(np.random.default_rng(5), 2)
    matrix = t8.interactions(arrays, np.full(2, margin), np.ones((2, 8))).matrix
    for g in range(2):
        found = hq.least_temperatures(family.build(*(part[g] for part in arrays)), cost=1.0, margin=margin)
        closed = 8 * margin + 0.5 * matrix[g].sum()
        assert found.margin >= margin
        assert found.total_cost <= closed * (1 + 1e-9)
        assert found.total_cost <= found.common_cost <= 8 * (margin + 0.5 * np.linalg.norm(matrix[g], 2)) * (1 + 1e-9)
        if family is STARS:
            assert found.total_cost == pytest.approx(closed, rel=1e-9)


def test_interactions_are_largest_double_differences():
    arrays = FAMILIES[1].draw(np.random.default_rng(1), 3)
    weights = np.random.default_rng(2).uniform(0.5, 2, (3, 8))
    matrix = t8.interactions(arrays, np.ones(3), weights).matrix
    edges, payoffs, mask = arrays
    for g, e in itertools.product(range(3), range(len(edges[0]))):
        i, j = edges[g, e]
        total = weights[g, i] * payoffs[g, e, 0] + weights[g, j] * payoffs[g, e, 1]
        rows, columns = (range(mask[g, k, 0].sum()) for k in (i, j))
        largest = max(
            total[a, b] - total[c, b] - total[a, d] + total[c, d]
            for a, c in itertools.product(rows, repeat=2)
            for b, d in itertools.product(columns, repeat=2)
        )
        expected = largest / 4 / np.sqrt(weights[g, i] * weights[g, j])
        assert matrix[g, i, j] == matrix[g, j, i] == pytest.approx(expected, rel=1e-12, abs=1e-300)
