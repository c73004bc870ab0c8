"""Random games are what their names say; conversions and histories ask the same question."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from hqre_jax.core._types import InputError
from hqre_jax.equilibrium._residual import residual
from hqre_jax.games import ExtensiveFormGame, MarkovGame, PublicPrivateGame
from hqre_jax.games.conversions import as_incomplete_information, with_public_history
from hqre_jax.games.manufactured import manufactured
from hqre_jax.games.random import (
    random_bayesian,
    random_extensive_form,
    random_incomplete_information_markov,
    random_markov,
    random_normal_form,
    random_policy,
    random_polymatrix,
    random_public_private,
)

KEY = jax.random.key(7)

BUILDERS = {
    "normal_form": lambda key, **kw: random_normal_form(key, (3, 3), **kw),
    "polymatrix": lambda key, **kw: random_polymatrix(key, 5, 3, **kw),
    "bayesian": lambda key, **kw: random_bayesian(key, (2, 2), (3, 3), **kw),
    "markov": lambda key, **kw: random_markov(key, 3, (3, 3), **kw),
    "general": lambda key, **kw: random_incomplete_information_markov(key, 4, (2, 3), (3, 3), **kw),
    "public_private": lambda key, **kw: random_public_private(key, 2, (2, 2), (3, 3), **kw),
    "extensive_form": lambda key, **kw: random_extensive_form(key, 2, 4, **kw),
}


def two_players(game):
    """Payoffs with the player first and the two own actions last."""
    u = np.asarray(game.payoffs)
    return np.swapaxes(u, 0, 1) if hasattr(game, "edges") else u


@pytest.mark.parametrize("kind", BUILDERS)
def test_same_key_same_game(kind):
    build = BUILDERS[kind]
    first, again, other = build(KEY), build(KEY), build(jax.random.key(8))
    np.testing.assert_array_equal(first.payoffs, again.payoffs)
    assert first.payoffs.shape != other.payoffs.shape or not np.array_equal(first.payoffs, other.payoffs)


@pytest.mark.parametrize("kind", BUILDERS)
def test_families_keep_their_promise(kind):
    build = BUILDERS[kind]
    zero = two_players(build(KEY, family="zero_sum"))
    np.testing.assert_array_equal(zero[0], -zero[1])
    near = two_players(build(KEY, family="near_zero_sum"))
    assert 0.01 < np.abs(near[0] + near[1]).max() <= 0.2
    common = two_players(build(KEY, family="common_interest"))
    np.testing.assert_array_equal(common[0], common[1])
    assert np.abs(two_players(build(KEY, family="uniform"))).max() <= 1
    if kind == "extensive_form":
        with pytest.raises(InputError, match="family"):
            build(KEY, family="coordination")
        return
    coordination = two_players(build(KEY, family="coordination"))
    diagonal = np.diagonal(coordination, axis1=-2, axis2=-1)
    assert ((diagonal >= 0.5) & (diagonal <= 1.5)).all()
    assert np.count_nonzero(coordination) == diagonal.size
    # A potential game: what a deviation brings its player, it brings to the potential, whoever deviates.
    first, second = two_players(build(KEY, family="potential"))
    rows = np.diff(first, axis=-2)
    columns = np.diff(second, axis=-1)
    np.testing.assert_allclose(np.diff(rows, axis=-1), np.diff(columns, axis=-2), atol=1e-13)


def test_three_players_sum_to_zero():
    game = random_normal_form(KEY, (2, 3, 2), family="zero_sum")
    np.testing.assert_allclose(game.payoffs.sum(0), 0.0, atol=1e-15)


@pytest.mark.parametrize("graph", ["complete", "cycle", "star", "random"])
def test_graphs(graph):
    edges = np.asarray(random_polymatrix(KEY, 12, 2, graph=graph, degree=5.0).edges)
    expected = {"complete": 66, "cycle": 12, "star": 11, "random": 30}[graph]
    assert len({frozenset(map(int, edge)) for edge in edges}) == len(edges) == expected
    assert set(edges.ravel()) == set(range(12))
    degree = np.bincount(edges.ravel())
    assert {"complete": 11, "cycle": 2, "star": 1, "random": 2}[graph] == degree.min()


def test_smallest_graphs():
    for graph in ("complete", "cycle", "star", "random"):
        assert random_polymatrix(KEY, 2, 2, graph=graph).edges.shape == (1, 2)


def test_independent_types_are_independent():
    prior = np.asarray(random_bayesian(KEY, (3, 2), (2, 2), independent=True).prior)
    np.testing.assert_allclose(prior, np.outer(prior.sum(1), prior.sum(0)), atol=1e-15)
    law = np.asarray(random_public_private(KEY, 2, (3, 2), (2, 2), independent=True).type_prior)
    np.testing.assert_allclose(law, law.sum(2, keepdims=True) * law.sum(1, keepdims=True), atol=1e-15)


def test_branching_limits_the_followers():
    kernel = np.asarray(random_markov(KEY, 6, (2, 2), branching=2).transitions)
    assert ((kernel > 0).sum(-1) == 2).all()
    ending = np.asarray(random_markov(KEY, 4, (2, 2), 1.0).transitions)
    np.testing.assert_allclose(ending.sum(-1), 0.8, rtol=1e-14)


def test_random_trees_are_games():
    """The constructor itself checks the tree and perfect recall; here: that there is something to check."""
    decisions, sets, chances = 0, 0, 0
    for seed in range(8):
        game = random_extensive_form(jax.random.key(seed), 3, 5, 3)
        player, leaves = np.asarray(game.player), np.asarray(game.player) == -2
        decisions += (player >= 0).sum()
        sets += sum(game.tree.num_states)
        chances += (player == -1).sum()
        assert np.count_nonzero(game.payoffs[:, ~leaves]) == 0
        assert np.all(np.asarray(game.payoffs)[:, leaves] != 0)
    assert sets < 0.8 * decisions, "information sets hide little"
    assert chances > 30


def test_random_policy_is_interior_and_padded_with_zero():
    game = random_normal_form(KEY, (2, 4))
    policy = np.asarray(random_policy(KEY, game, 3.0))
    assert (policy[np.asarray(game.action_mask)] > 0).all()
    assert (policy[~np.asarray(game.action_mask)] == 0).all()
    np.testing.assert_allclose(policy.sum(-1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(random_policy(KEY, game, 0.0)[1, 0], 0.25, rtol=1e-14)


@pytest.mark.parametrize(
    ("field", "build"),
    {
        "key": lambda: random_normal_form(0, (2, 2)),
        "key ": lambda: random_normal_form(jax.random.split(KEY, 2), (2, 2)),
        "num_players": lambda: random_polymatrix(KEY, 1, 2),
        "num_information_states": lambda: random_incomplete_information_markov(KEY, 2, (3, 1), (2, 2)),
        "num_messages": lambda: with_public_history(random_markov(KEY, 2, (2, 2)), -1),
        "messages": lambda: with_public_history(random_markov(KEY, 2, (2, 2)), 1, np.full((2, 2, 2), 0.5)),
    }.items(),
)
def test_bad_input_is_refused(field, build):
    with pytest.raises(InputError) as error:
        build()
    assert error.value.field == field.strip()


def test_unknown_names_are_refused():
    """Where annotations are checked (in tests) they may speak first."""
    refusals = (InputError, jaxtyping.TypeCheckError)
    with pytest.raises(refusals, match="family"):
        random_normal_form(KEY, (2, 2), family="cooperative")
    with pytest.raises(refusals, match="graph"):
        random_polymatrix(KEY, 3, 2, graph="tree")


HISTORIES = {
    "public_private": (lambda: random_public_private(KEY, 2, (2, 1), (2, 3), 0.8), None, 1 + 6),
    "markov": (lambda: random_markov(KEY, 2, (2, 2), 0.8), [[[0, 1], [1, 0]], [[1, 1], [0, 0]]], 1 + 2 + 4),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_history_that_nobody_heeds_changes_nothing(name):
    """An HQRE of the game, played whatever was said, is an HQRE of the game with histories; values are the same."""
    build, messages, count = HISTORIES[name]
    game = build()
    num_messages = 2 if messages else 1
    longer = with_public_history(game, num_messages, messages)
    policy = random_policy(KEY, game)
    plant = manufactured(game, policy, 0.5)
    remembered = with_public_history(plant, num_messages, messages)
    assert remembered.payoffs.shape[1] == 2 * count
    types = game.type_prior.shape[1:] if isinstance(game, PublicPrivateGame) else (1, 1)
    heedless = np.zeros(remembered.action_mask.shape)
    for i, own in enumerate(types):
        rows = np.asarray(policy)[i, : 2 * own].reshape(2, 1, own, -1)
        heedless[i, : 2 * count * own] = np.repeat(rows, count, axis=1).reshape(2 * count * own, -1)
    assert float(residual(remembered, heedless, 0.5)) <= 1e-12
    assert float(residual(longer, heedless, 0.5)) > 1e-3, "the negative control: the game as it was"


def test_messages_are_remembered_in_order():
    """The state after two moves names both, the older first."""
    # One state; player 1's action is the message.
    game = MarkovGame(np.zeros((2, 1, 3, 1)), np.ones((1, 3, 1, 1)), 0.5)
    longer = with_public_history(game, 2)
    assert longer.payoffs.shape[1] == 1 + 3 + 9
    kernel = np.asarray(longer.transitions)[..., 0, :]

    def after(state, message):
        (following,) = np.flatnonzero(kernel[state, message])
        return following

    first = after(0, 2)
    assert first == 1 + 2
    both = after(first, 1)
    assert both == 1 + 3 + 2 * 3 + 1
    assert after(both, 0) == 1 + 3 + 1 * 3 + 0
    assert np.asarray(longer.initial)[0] == 1.0
    assert with_public_history(game, 0) is game


def test_history_keeps_what_is_forbidden():
    base = random_public_private(KEY, 2, (1, 2), (2, 2))
    mask = np.array(base.action_mask)
    mask[1, 3, 1] = False  # player 2, second state, second type
    fields = ("payoffs", "transitions", "type_prior", "discount", "initial")
    game = PublicPrivateGame(*(getattr(base, f) for f in fields), action_mask=mask)
    longer = np.asarray(with_public_history(game, 1).action_mask)
    assert longer.shape == (2, 2 * 5 * 2, 2)
    # States of player 2: (s·5 + h)·2 + θ.
    forbidden = {(1, (5 + h) * 2 + 1, 1) for h in range(5)}
    valid = np.zeros_like(longer)
    valid[0, :10] = valid[1] = True
    assert {tuple(int(k) for k in row) for row in np.argwhere(valid & ~longer)} == forbidden


def test_general_form_of_a_tree_has_a_world_per_node():
    tree = random_extensive_form(jax.random.key(3), 2, 4)
    general = as_incomplete_information(tree)
    assert isinstance(tree, ExtensiveFormGame)
    assert general.transitions.shape[0] == tree.payoffs.shape[1]
    assert float(general.discount) == 1.0
    assert as_incomplete_information(general) is general
    waiting = np.asarray(general.observations) == np.asarray(tree.tree.num_states)[:, None]
    moves = np.asarray(tree.player)[None, :] == np.arange(2)[:, None]
    np.testing.assert_array_equal(waiting, ~moves)
    assert jnp.asarray(general.action_mask)[:, -1].sum() <= 2
