"""Games: every special case equals the general one, and all equal summation by hand."""

import functools

import equinox as eqx
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

from hqre_jax.games import (
    BayesianGame,
    ExtensiveFormGame,
    IncompleteInformationMarkovGame,
    MarkovGame,
    NormalFormGame,
    PublicPrivateGame,
)
from hqre_jax.games._game import AbstractGame
from hqre_jax.games.conversions import as_bayesian, as_incomplete_information, as_normal_form, lift_policy
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

KEY = jax.random.key(20260608)
FIELDS = ("action_values", "values", "initial_values", "reach")


def continuations(game):
    return ("soft", "plain", "zero_sum") if game.num_players == 2 else ("soft", "plain")


@eqx.filter_jit
def evaluate(game, log_policy, bonus):
    return {c: game.evaluate(log_policy, bonus, c) for c in continuations(game)}


def logarithm(policy, mask):
    with np.errstate(divide="ignore"):
        return jnp.asarray(np.where(mask, np.log(np.where(mask, policy, 1.0)), 0.0))


def random_bonus(game, seed=0):
    """Any numbers do in the place of ``τH``."""
    bonus = np.random.default_rng(seed).uniform(-1, 1, game.action_mask.shape[:2])
    return bonus * np.asarray(game.action_mask).any(-1)


def evaluations(game, policy, bonus):
    return evaluate(game, logarithm(policy, np.asarray(game.action_mask)), jnp.asarray(bonus))


def assert_close(got, wanted, what):
    np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=1e-12, atol=1e-12, err_msg=what)


def masked(game, seed=1):
    """The same game with some actions forbidden, at least one left at each information state."""
    mask = np.asarray(game.action_mask)
    keep = np.random.default_rng(seed).random(mask.shape) < 0.7
    keep[..., 0] |= ~(mask & keep).any(-1)
    arguments = {
        name: getattr(game, name)
        for name in ("prior", "payoffs", "transitions", "observations", "type_prior", "discount", "initial")
        if hasattr(game, name)
    }
    return type(game)(**arguments, action_mask=mask & keep)


def impossible_type():
    game = random_bayesian(KEY, (2, 3), (3, 2))
    prior = np.array(game.prior)
    prior[1] = 0.0  # player 1's second type never occurs
    return BayesianGame(prior / prior.sum(), game.payoffs)


def unreachable_public_state():
    game = random_public_private(KEY, 2, (2, 2), (2, 3))
    stay = np.zeros(game.transitions.shape)
    stay[..., 0] = 1.0
    return PublicPrivateGame(game.payoffs, stay, game.type_prior, 0.9, [1.0, 0.0])


def unreachable_world():
    game = random_incomplete_information_markov(KEY, 4, (2, 3), (2, 3))
    kernel = np.array(game.transitions)
    kernel[:3, ..., 3] = 0.0  # nobody comes to the last world, and all start elsewhere
    kernel /= kernel.sum(-1, keepdims=True)
    observations = [[0, 1, 0, 1], [0, 1, 1, 2]]
    return IncompleteInformationMarkovGame(game.payoffs, kernel, observations, 0.9, [0.5, 0.5, 0.0, 0.0])


# Small instances of every kind: uneven actions, forbidden actions, unreachable types, states and worlds.
MAKERS = {
    "normal_form": lambda: random_normal_form(KEY, (2, 3, 2)),
    "masked_normal_form": lambda: masked(random_normal_form(KEY, (2, 3, 2))),
    "polymatrix": lambda: random_polymatrix(KEY, 4, 2, graph="random", degree=2.5),
    "bayesian": lambda: masked(random_bayesian(KEY, (2, 3), (3, 2))),
    "impossible_type": impossible_type,
    "markov": lambda: masked(random_markov(KEY, 3, (3, 2))),
    "ending_markov": lambda: random_markov(KEY, 3, (3, 2), 1.0),
    "general": lambda: masked(random_incomplete_information_markov(KEY, 4, (2, 3), (2, 3))),
    "ending_general": lambda: random_incomplete_information_markov(KEY, 4, (2, 3), (2, 3), 1.0),
    "unreachable_world": unreachable_world,
    "public_private": lambda: masked(random_public_private(KEY, 2, (2, 2), (2, 3))),
    "unreachable_public_state": unreachable_public_state,
    "tree": lambda: random_extensive_form(jax.random.key(3), 2, 4, 3, chance=0.3),
    "three_player_tree": lambda: random_extensive_form(jax.random.key(4), 3, 4, chance=0.3),
}


@functools.cache
def instance(name) -> AbstractGame:
    return MAKERS[name]()


def enumerated(game, policy, bonus, continuation):
    if isinstance(game, ExtensiveFormGame):
        names = ("parent", "player", "information_set", "branch", "probability", "payoffs")
        return evaluate_tree([getattr(game, n) for n in names], policy, bonus, continuation)
    if isinstance(game, BayesianGame):
        worlds = bayesian_worlds(game.prior, game.payoffs)
    elif isinstance(game, PublicPrivateGame):
        worlds = public_private_worlds(
            game.payoffs, game.transitions, game.type_prior, float(game.discount), game.initial
        )
    elif isinstance(game, MarkovGame | IncompleteInformationMarkovGame):
        seen = getattr(game, "observations", None)
        worlds = markov_worlds(game.payoffs, game.transitions, float(game.discount), game.initial, seen)
    else:
        tensor = game.payoffs if isinstance(game, NormalFormGame) else polymatrix_tensor(game)
        worlds = normal_form_worlds(tensor)
    return evaluate_worlds(worlds, policy, bonus, continuation)


def polymatrix_tensor(game):
    actions = [range(game.num_actions)] * game.num_players
    tensor = np.zeros((game.num_players, *map(len, actions)))
    for a in np.ndindex(tensor.shape[1:]):
        for (i, j), pair in zip(np.asarray(game.edges), np.asarray(game.payoffs), strict=True):
            tensor[(i, *a)] += pair[0, a[i], a[j]]
            tensor[(j, *a)] += pair[1, a[i], a[j]]
    return tensor


@pytest.mark.parametrize("name", MAKERS)
def test_evaluation_is_summation(name):
    game = instance(name)
    policy, bonus = random_policy(KEY, game), random_bonus(game)
    for continuation, evaluation in evaluations(game, policy, bonus).items():
        compare_with_enumeration(game, policy, bonus, continuation, evaluation)


@pytest.mark.parametrize("name", ["general", "tree", "three_player_tree"])
def test_pure_policy_is_evaluated_by_summation(name):
    """A pure policy leaves information sets unreached: beliefs there are the limit in a tree, else uniform."""
    game = instance(name)
    policy = np.asarray(random_policy(KEY, game))
    policy = np.where(policy == policy.max(-1, keepdims=True), 1.0, 0.0) * np.asarray(game.action_mask)
    evaluation = evaluations(game, policy, random_bonus(game))["soft"]
    compare_with_enumeration(game, policy, random_bonus(game), "soft", evaluation)
    if name != "general":
        assert (np.asarray(evaluation.reach) == 0)[np.asarray(game.action_mask).any(-1)].any()


def compare_with_enumeration(game, policy, bonus, continuation, evaluation):
    action_values, *rest = enumerated(game, policy, bonus, continuation)
    wanted = (np.where(game.action_mask, action_values, 0.0), *rest)
    for field, value in zip(FIELDS, wanted, strict=True):
        assert_close(getattr(evaluation, field), value, f"{continuation}, {field}")


def full_observation():
    game = instance("ending_markov")
    seen = [[0, 1, 2]] * 2
    seeing = IncompleteInformationMarkovGame(game.payoffs, game.transitions, seen, 1.0, game.initial)
    assert seeing.policy_independent_beliefs
    return seeing, game


def one_type_each():
    game = random_public_private(KEY, 3, (1, 1), (3, 2))
    payoffs, kernel = game.payoffs[:, :, 0, 0], game.transitions[:, 0, 0]
    return game, MarkovGame(payoffs, kernel, game.discount, game.initial)


def general(name):
    return instance(name), as_incomplete_information(instance(name))


PAIRS = {
    "polymatrix, normal form": lambda: (instance("polymatrix"), as_normal_form(instance("polymatrix"))),
    "normal form, one type": lambda: (instance("normal_form"), as_bayesian(instance("normal_form"))),
    "one type each, Markov": one_type_each,
    "full observation, Markov": full_observation,
    "normal form, general": lambda: general("masked_normal_form"),
    "polymatrix, general": lambda: general("polymatrix"),
    "Bayesian, general": lambda: general("bayesian"),
    "impossible type, general": lambda: general("impossible_type"),
    "Markov, general": lambda: general("markov"),
    "ending Markov, general": lambda: general("ending_markov"),
    "public and private, general": lambda: general("public_private"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_special_case_is_the_general_one(name):
    special, general = PAIRS[name]()
    np.testing.assert_array_equal(special.action_mask, general.action_mask)
    policy, bonus = random_policy(KEY, special), random_bonus(special)
    wanted = evaluations(general, policy, bonus)
    for continuation, evaluation in evaluations(special, policy, bonus).items():
        for field in FIELDS:
            pair = getattr(evaluation, field), getattr(wanted[continuation], field)
            assert_close(*pair, f"{continuation}, {field}")


@pytest.mark.parametrize("inner", [False, True], ids=["payoffs_at_leaves", "payoffs_on_the_way"])
def test_tree_is_the_general_game(inner):
    tree = instance("tree")
    if inner:
        paid = np.random.default_rng(5).uniform(-1, 1, tree.payoffs.shape)
        tree = eqx.tree_at(lambda g: g.payoffs, tree, jnp.asarray(paid))
    general = as_incomplete_information(tree)
    policy, bonus = random_policy(KEY, tree), random_bonus(tree)
    wanted = evaluations(general, lift_policy(tree, policy), np.pad(bonus, ((0, 0), (0, 1))))
    used = np.asarray(tree.action_mask).any(-1)
    for continuation, evaluation in evaluations(tree, policy, bonus).items():
        other = wanted[continuation]
        assert_close(evaluation.initial_values, other.initial_values, continuation)
        for field in ("values", "reach"):
            got, expected = getattr(evaluation, field), np.asarray(getattr(other, field))[:, :-1]
            assert_close(np.asarray(got)[used], expected[used], f"{continuation}, {field}")
        # What a node pays on arrival is no part of the tree's Q, and the same for all actions.
        differences = np.asarray(evaluation.action_values - other.action_values[:, :-1])
        first = differences[..., :1] if inner else 0.0
        assert_close(np.where(tree.action_mask, differences - first, 0.0), np.zeros_like(differences), continuation)


def test_markov_that_stops_is_a_row_of_normal_forms():
    game = random_markov(KEY, 3, (3, 2), 0.0)
    policy, bonus = random_policy(KEY, game), random_bonus(game)
    together = evaluations(game, policy, bonus)
    for s in range(3):
        alone = evaluations(NormalFormGame(game.payoffs[:, s]), policy[:, s : s + 1], bonus[:, s : s + 1])
        for continuation in continuations(game):
            for field in ("action_values", "values"):
                got = getattr(together[continuation], field)[:, s]
                assert_close(got, getattr(alone[continuation], field)[:, 0], f"{s}, {continuation}, {field}")


@pytest.mark.parametrize("name", MAKERS)
def test_beliefs_that_no_policy_moves_are_declared(name):
    dependent = ("general", "ending_general", "unreachable_world", "tree", "three_player_tree")
    assert instance(name).policy_independent_beliefs == (name not in dependent)


def test_tree_beliefs_survive_underflow():
    """Reach is kept in logarithms: at 1e-700 the ratio of two nodes is still what it is."""
    # Chance, then player 1 goes on with tiny probability from both nodes, then player 2 guesses which it was.
    parent = [-1, 0, 0, 1, 1, 2, 2, 3, 3, 5, 5]
    player = [-1, 0, 0, 1, -2, 1, -2, -2, -2, -2, -2]
    information_set = [-1, 0, 1, 0, -1, 0, -1, -1, -1, -1, -1]
    branch = [-1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
    probability = [1, 0.5, 0.5, 1, 1, 1, 1, 1, 1, 1, 1]
    payoffs = np.zeros((2, 11))
    payoffs[1, [7, 10]] = 1.0
    game = ExtensiveFormGame(parent, player, information_set, branch, probability, payoffs)
    log_policy = jnp.log(jnp.full(game.action_mask.shape, 0.5))
    log_policy = log_policy.at[0, :, 0].set(jnp.array([-1600.0, -1600.0 + np.log(3.0)])).at[0, :, 1].set(0.0)
    log_policy = jnp.where(game.action_mask, log_policy, 0.0)
    evaluation = evaluate(game, log_policy, jnp.zeros((2, 2)))["plain"]
    assert_close(evaluation.action_values[1, 0], [0.25, 0.75], "beliefs 1 : 3")


def test_own_moves_are_no_evidence_of_the_world():
    """A player who never goes there believes, once there, what chance alone says: nine to one, not one to one."""
    # Chance draws one of two worlds unseen; the player stops or goes on, then guesses which it was.
    game = ExtensiveFormGame(
        parent=[-1, 0, 0, 1, 1, 2, 2, 3, 3, 5, 5],
        player=[-1, 0, 0, 0, -2, 0, -2, -2, -2, -2, -2],
        information_set=[-1, 0, 0, 1, -1, 1, -1, -1, -1, -1, -1],
        branch=[-1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1],
        probability=[1, 0.9, 0.1, 1, 1, 1, 1, 1, 1, 1, 1],
        payoffs=[[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1]],
    )
    stops = jnp.asarray([[[-jnp.inf, 0.0], [jnp.log(0.5), jnp.log(0.5)]]])
    evaluation = evaluate(game, stops, jnp.zeros((1, 2)))["plain"]
    assert_close(evaluation.action_values[0, 1], [0.9, 0.1], "beliefs 9 : 1")


@eqx.filter_jit
def evaluate_centered(game, log_policy, bonus):
    centered = game.centered()
    return centered.evaluate(log_policy, bonus, "soft").action_values, centered.payoff_range(), game.payoff_range()


@pytest.mark.parametrize("name", ["normal_form", "polymatrix", "bayesian", "markov", "general", "tree"])
def test_centred_game_asks_the_same_question(name):
    """Taking out irrelevant terms moves Q by a constant in a, at any temperature."""
    game = instance(name)
    mask = np.asarray(game.action_mask)
    policy, bonus = random_policy(KEY, game), random_bonus(game)
    before = evaluations(game, policy, bonus)["soft"].action_values
    after, narrow, wide = evaluate_centered(game, logarithm(policy, mask), bonus)
    moved = np.asarray(after - before)
    first = np.take_along_axis(moved, mask.argmax(-1)[..., None], -1)
    assert_close(np.where(mask, moved - first, 0.0), np.zeros(mask.shape), name)
    assert np.all(np.asarray(narrow) <= np.asarray(wide) + 1e-12)


@pytest.mark.parametrize("name", ["polymatrix", "bayesian", "general", "public_private", "tree"])
def test_evaluation_is_linear_in_payoffs_and_bonus(name):
    game = instance(name)
    log_policy = logarithm(random_policy(KEY, game), np.asarray(game.action_mask))
    bonus = jnp.asarray(random_bonus(game))

    @eqx.filter_jit
    def parts(game, log_policy, bonus):
        scaled = game.evaluate(log_policy, 2 * bonus, "soft", 0.3)
        return (
            scaled,
            game.evaluate(log_policy, bonus, "soft", 0.0),
            game.evaluate(log_policy, 0 * bonus, "soft"),
        )

    scaled, entropy, payoffs = parts(game, log_policy, bonus)
    for field in ("action_values", "values", "initial_values"):
        wanted = 2 * getattr(entropy, field) + 0.3 * getattr(payoffs, field)
        assert_close(getattr(scaled, field), wanted, field)
