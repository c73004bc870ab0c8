"""Responses, residuals, gaps and exploitability against enumeration and closed forms."""

from importlib.resources import files
from itertools import product

import jax
import numpy as np
import pytest
from enumeration import bayesian_worlds, evaluate_tree, evaluate_worlds, markov_worlds, public_private_worlds

from hqre_jax.core._types import InputError
from hqre_jax.equilibrium._residual import bayesian_regret, exploitability, logit_response, regularized_gap, residual
from hqre_jax.games import ExtensiveFormGame, MarkovGame, NormalFormGame
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

KEY = jax.random.key(11)
TREE = ("parent", "player", "information_set", "branch", "probability", "payoffs")
TAU = 0.4


def normalised(weights):
    return weights / weights.sum(-1, keepdims=True)


def relative_entropy(p, q):
    return np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p / q, 1.0)), 0.0), axis=-1)


# --- Responses, residuals, gaps --------------------------------------------------------------------------------


def test_logit_response_is_softmax_of_expected_payoffs():
    game = NormalFormGame([[[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0], [0.0, 1.0]]])
    policy = np.array([[[0.25, 0.75]], [[0.6, 0.4]]])
    tau = np.array([0.5, 2.0])
    reference = np.array([[[0.1, 0.9]], [[0.5, 0.5]]])
    worth = np.array([[[0.6, 0.8]], [[0.75, 0.75]]])
    wanted = normalised(reference * np.exp(worth / tau[:, None, None]))
    response = logit_response(game, policy, tau, reference=reference)
    np.testing.assert_allclose(response, wanted, rtol=1e-14)
    gap = residual(game, policy, tau, reference=reference)
    assert float(gap) == pytest.approx(np.abs(policy - wanted).max(), rel=1e-14)
    expected = tau * relative_entropy(policy, wanted)[:, 0]
    np.testing.assert_allclose(regularized_gap(game, policy, tau, reference=reference), expected, rtol=1e-13)
    run = [policy, response, np.full((2, 1, 2), 0.5)]
    total = sum(np.asarray(regularized_gap(game, p, tau, reference=reference)) for p in run)
    np.testing.assert_allclose(bayesian_regret(game, run, tau, reference=reference), total, rtol=1e-13)


def test_residual_of_a_pure_policy_is_finite():
    game = random_normal_form(KEY, (2, 3))
    policy = np.array([[[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]]])
    assert 0 < float(residual(game, policy, 0.1)) <= 1
    gap = np.asarray(regularized_gap(game, policy, 0.1))
    # A pure policy's relative entropy is minus the log-probability of its action.
    response = np.asarray(logit_response(game, policy, 0.1))
    np.testing.assert_allclose(gap, -0.1 * np.log([response[0, 0, 0], response[1, 0, 2]]), rtol=1e-12)


def test_residual_sees_no_constant_in_payoffs():
    """Payoffs far from zero cost no digits: irrelevant terms are taken out first."""
    game = random_normal_form(KEY, (3, 3))
    policy = random_policy(KEY, game)
    plant = manufactured(game, policy, 0.01)
    # 2^20 is added exactly, up to the last bits of the payoffs themselves.
    far = NormalFormGame(np.asarray(plant.payoffs) + 2.0**20)
    near = NormalFormGame(np.asarray(far.payoffs) - 2.0**20)
    assert float(residual(far, policy, 0.01)) == pytest.approx(float(residual(near, policy, 0.01)), abs=1e-13)


def test_gap_weights_types_by_their_probability():
    game = random_bayesian(KEY, (2, 3), (2, 2))
    policy = np.asarray(random_policy(KEY, game))
    response = np.asarray(logit_response(game, policy, TAU))
    prior = np.asarray(game.prior)
    law = [prior.sum(1), prior.sum(0)]
    expected = [
        TAU * sum(law[i][t] * relative_entropy(policy[i, t], response[i, t]) for t in range(len(law[i])))
        for i in range(2)
    ]
    np.testing.assert_allclose(regularized_gap(game, policy, TAU), expected, rtol=1e-12)


# --- Exploitability --------------------------------------------------------------------------------------------


def pure_strategies(mask):
    """Every pure strategy of one player, ``(information state, action)`` as one-hot rows."""
    choices = [np.flatnonzero(row) for row in mask if row.any()]
    for pick in product(*choices):
        strategy = np.zeros(mask.shape)
        strategy[np.arange(len(pick)), list(pick)] = 1.0
        yield strategy


def best_gains(game, policy, initial_values):
    """Gain of each player's best pure strategy, by trying all of them."""
    policy = np.asarray(policy)
    current = initial_values(policy)
    gains = []
    for i in range(game.num_players):
        candidates = []
        for strategy in pure_strategies(np.asarray(game.action_mask)[i]):
            deviation = policy.copy()
            deviation[i] = strategy
            candidates.append(initial_values(deviation)[i])
        gains.append(max(candidates) - current[i])
    return gains


def markov_values(game):
    worlds = markov_worlds(game.payoffs, game.transitions, float(game.discount), game.initial)
    return lambda policy: evaluate_worlds(worlds, policy, np.zeros(policy.shape[:2]), "plain")[2]


def bayesian_values(game):
    worlds = bayesian_worlds(game.prior, game.payoffs)
    return lambda policy: evaluate_worlds(worlds, policy, np.zeros(policy.shape[:2]), "plain")[2]


def public_private_values(game):
    arrays = game.payoffs, game.transitions, game.type_prior, float(game.discount), game.initial
    worlds = public_private_worlds(*arrays)
    return lambda policy: evaluate_worlds(worlds, policy, np.zeros(policy.shape[:2]), "plain", sweeps=100)[2]


def tree_values(game):
    arrays = [getattr(game, name) for name in TREE]
    return lambda policy: evaluate_tree(arrays, policy, np.zeros(policy.shape[:2]), "plain", root_only=True)


EXPLOITED = {
    "markov": (lambda: random_markov(KEY, 2, (3, 2), 0.8), markov_values),
    "ending_markov": (lambda: random_markov(KEY, 2, (3, 2), 1.0), markov_values),
    "bayesian": (lambda: random_bayesian(KEY, (2, 3), (3, 2)), bayesian_values),
    "public_private": (lambda: random_public_private(KEY, 2, (2, 1), (2, 2), 0.7), public_private_values),
    "tree": (lambda: random_extensive_form(jax.random.key(3), 2, 4, 3, chance=0.3), tree_values),
    "three_player_tree": (lambda: random_extensive_form(jax.random.key(4), 3, 4, chance=0.3), tree_values),
}


@pytest.mark.parametrize("name", EXPLOITED)
def test_exploitability_is_the_best_of_all_pure_strategies(name):
    build, values = EXPLOITED[name]
    game = build()
    for seed, spread in ((0, 1.0), (1, 40.0)):  # the second policy is nearly pure
        policy = random_policy(jax.random.key(seed), game, spread)
        wanted = best_gains(game, policy, values(game))
        np.testing.assert_allclose(exploitability(game, policy), wanted, rtol=1e-10, atol=1e-10)
        assert max(wanted) > (1e-2 if spread == 1.0 else 0.0)


def kuhn():
    return ExtensiveFormGame.from_efg(str(files("hqre_jax.games.named") / "kuhn_poker.efg"))


def test_kuhn_poker():
    """The uniform policy can be exploited for 11/12 in sum (both best responses); its best reply is a pure strategy.

    Lanctot et al. (2019), OpenSpiel: NashConv of the uniform policy in Kuhn poker is 0.9166….
    """
    game = kuhn()
    policy = random_policy(KEY, game, 0.0)
    assert float(np.sum(exploitability(game, policy))) == pytest.approx(11 / 12, abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "entropy"), [("normal_form", "kl"), ("polymatrix", "kl"), ("bayesian", "kl"), ("bayesian", "shannon")]
)
def test_soft_exploitability_is_the_regularised_gap_when_play_ends_at_once(kind, entropy):
    game = {
        "normal_form": lambda: random_normal_form(KEY, (2, 3)),
        "polymatrix": lambda: random_polymatrix(KEY, 4, 2),
        "bayesian": lambda: random_bayesian(KEY, (2, 3), (2, 2)),
    }[kind]()
    policy = random_policy(KEY, game, 2.0)
    soft = exploitability(game, policy, TAU, entropy=entropy)
    np.testing.assert_allclose(soft, regularized_gap(game, policy, TAU, entropy=entropy), rtol=1e-9, atol=1e-12)
    assert float(np.min(soft)) > 1e-3


def test_soft_exploitability_is_what_soft_value_iteration_gains():
    game = random_markov(KEY, 3, (3, 2), 0.8)
    policy = np.asarray(random_policy(KEY, game))
    payoffs, kernel = np.asarray(game.payoffs), np.asarray(game.transitions)
    gains = exploitability(game, policy, TAU)
    for i in range(2):
        # The other player's policy averaged out: a decision process of states and own actions.
        others = policy[1 - i][:, : payoffs.shape[3 - i]]
        reward = np.einsum("sab,sb->sa" if i == 0 else "sab,sa->sb", payoffs[i], others)
        moves = np.einsum("sabt,sb->sat" if i == 0 else "sabt,sa->sbt", kernel, others)
        own = policy[i][:, : reward.shape[1]]
        best, current = np.zeros(3), np.zeros(3)
        for _ in range(400):
            best = TAU * np.log(np.mean(np.exp((reward + 0.8 * moves @ best) / TAU), axis=1))
            backup = reward + 0.8 * moves @ current
            current = np.sum(own * backup, 1) - TAU * relative_entropy(own, 1 / own.shape[1])
        assert float(gains[i]) == pytest.approx(np.asarray(game.initial) @ (best - current), rel=1e-9)


@pytest.mark.parametrize(
    ("kind", "entropy"), [("markov", "kl"), ("public_private", "kl"), ("tree", "kl"), ("tree", "shannon")]
)
def test_planted_equilibrium_cannot_be_exploited(kind, entropy):
    """Under ``soft`` an HQRE is an equilibrium of regularised returns, not of single moves alone."""
    game = EXPLOITED[kind][0]()
    policy = random_policy(KEY, game)
    assert float(np.max(exploitability(game, policy, TAU, entropy=entropy))) > 1e-2
    plant = manufactured(game, policy, TAU, entropy=entropy)
    gain = np.asarray(exploitability(plant, policy, TAU, entropy=entropy))
    assert np.all((gain >= 0) & (gain <= 1e-10))


def test_exploitability_refuses_what_it_cannot_answer():
    general = random_incomplete_information_markov(KEY, 4, (2, 3), (2, 2))
    with pytest.raises(InputError, match="own policy"):
        exploitability(general, random_policy(KEY, general))
    for name in ("markov", "tree"):
        game = EXPLOITED[name][0]()
        with pytest.raises(InputError, match="plain"):
            exploitability(game, random_policy(KEY, game), TAU, continuation="plain")


# --- Kullback–Leibler against Shannon (theory.md §2) -------------------------------------------------------------


def masked_markov(discount=0.8):
    """The first state offers player 1 three actions, the second two: ``τ log A`` varies over states."""
    game = random_markov(KEY, 2, (3, 2), discount)
    mask = np.array(game.action_mask)
    mask[0, 1, 2] = False
    return MarkovGame(game.payoffs, game.transitions, game.discount, game.initial, action_mask=mask)


SHANNON_MOVES = {
    # game, temperatures, whether Shannon entropy moves the soft response
    "normal form": (lambda: random_normal_form(KEY, (2, 3)), TAU, False),
    "same everywhere, for ever": (lambda: random_markov(KEY, 2, (3, 2), 0.8), TAU, False),
    "temperatures vary": (lambda: random_markov(KEY, 2, (3, 2), 0.8), np.array([[0.2, 0.8], [0.5, 0.5]]), True),
    "action counts vary": (masked_markov, TAU, True),
    "play can end": (lambda: random_markov(KEY, 2, (3, 2), 1.0), TAU, True),
    "tree": (lambda: random_extensive_form(jax.random.key(3), 2, 4, 3, chance=0.3), TAU, True),
}


@pytest.mark.parametrize("name", SHANNON_MOVES)
def test_when_shannon_entropy_moves_the_equilibrium(name):
    build, tau, moves = SHANNON_MOVES[name]
    game = build()
    policy = random_policy(KEY, game)
    plain = [logit_response(game, policy, tau, entropy=e, continuation="plain") for e in ("kl", "shannon")]
    np.testing.assert_allclose(plain[0], plain[1], atol=1e-13)
    soft = [np.asarray(logit_response(game, policy, tau, entropy=e)) for e in ("kl", "shannon")]
    gap = np.abs(soft[0] - soft[1]).max()
    if not moves:
        assert gap <= 1e-13
    elif name == "play can end":
        # Every move ends play with the same probability here, whatever one does: a constant again ...
        assert gap <= 1e-13
        # ... but not if one of the moves ends it.
        kernel = np.array(game.transitions)
        kernel[:, 0] *= 0.5
        leaving = MarkovGame(game.payoffs, kernel, 1.0, game.initial)
        soft = [np.asarray(logit_response(leaving, policy, tau, entropy=e)) for e in ("kl", "shannon")]
        assert np.abs(soft[0] - soft[1]).max() > 1e-2
    else:
        assert gap > 1e-2


def test_continuations_differ_where_play_goes_on_only():
    once, on = random_normal_form(KEY, (3, 2), family="zero_sum"), random_markov(KEY, 2, (3, 2), family="zero_sum")
    for game, differ in ((once, False), (on, True)):
        policy = random_policy(KEY, game)
        answers = [np.asarray(logit_response(game, policy, TAU, continuation=c)) for c in ("soft", "plain", "zero_sum")]
        for k in (1, 2):
            assert (np.abs(answers[k] - answers[k - 1]).max() > 1e-3) == differ


# --- What a problem refuses --------------------------------------------------------------------------------------

GAME = NormalFormGame(np.eye(2)[None].repeat(2, 0) + 1.0)
UNIFORM = np.full((2, 1, 2), 0.5)
REFUSED = {
    "temperature zero": ("tau", {"tau": 0.0}),
    "temperature infinite": ("tau", {"tau": np.inf}),
    "temperature negative": ("tau", {"tau": [0.5, -1.0]}),
    "temperatures of nobody": ("tau", {"tau": [0.5, 0.5, 0.5]}),
    "temperature too small": ("tau", {"tau": 1e-14}),
    "reference on the boundary": ("reference[0][0][1]", {"reference": [[[1.0, 0.0]], [[0.5, 0.5]]]}),
    "reference and Shannon": ("reference", {"reference": UNIFORM, "entropy": "shannon"}),
    "not zero-sum": ("continuation", {"continuation": "zero_sum"}),
    "policy sum": ("policy[1][0]", {"policy": [[[0.5, 0.5]], [[0.5, 0.4]]]}),
    "policy sign": ("policy[0][0][1]", {"policy": [[[1.5, -0.5]], [[0.5, 0.5]]]}),
    "policy shape": ("policy", {"policy": np.full((2, 2), 0.5)}),
    "policy of nobody": ("policy", {"policy": [[[0.5, 0.5]]]}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_by_name(name):
    field, changes = REFUSED[name]
    arguments = {"policy": UNIFORM, "tau": 0.5} | changes
    policy, tau = arguments.pop("policy"), arguments.pop("tau")
    with pytest.raises(InputError) as error:
        residual(GAME, policy, tau, **arguments)
    assert error.value.field == field
