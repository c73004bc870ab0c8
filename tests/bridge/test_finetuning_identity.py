"""The mirror step of fine-tuning is the update of T2: on every play of a game, states as the policy visits them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.bridge.finetuning._mirror import exact_step, mirror_distance, mirror_terms, sampled_values
from hqre_jax.bridge.finetuning._turns import LogPolicies, Turns, at_states, divergence
from hqre_jax.bridge.finetuning.methods import Dice, DiceZero, Settings
from hqre_jax.problem import Problem
from hqre_jax.solvers import MirrorDescent

VOCABULARY, ETA = 3, 0.7
RNG = np.random.default_rng(5)


def log_policies(*shape):
    return jax.nn.log_softmax(jnp.asarray(RNG.normal(size=shape)))


def turns_of(states, actions, kinds, tau, score, price, weight):
    states, actions = np.asarray(states), np.asarray(actions)
    turn = len(states)
    return Turns(
        actions=jnp.asarray(actions, jnp.int32),
        mask=jnp.ones(states.shape, bool),
        kinds=jnp.asarray(kinds, jnp.int32),
        tau=jnp.asarray(tau),
        states=jnp.asarray(states, jnp.int32),
        group=jnp.arange(turn, dtype=jnp.int32),  # nobody else's play: the baseline, which changes nothing, is 0
        score=jnp.asarray(score),
        price=jnp.full(turn, price),
        weight=jnp.asarray(weight),
    )


def maximiser(method, turns, before, reference):
    """The logits of every state at which the loss over all plays is least, by Newton's method from zero."""

    def full(logits):
        policies = LogPolicies(*(table[None] for table in (jax.nn.log_softmax(logits), before, reference)))
        return method.anchored(policies)

    start = full(before)
    penalty = turns.tau * at_states(divergence(start.now, start.reference), turns)
    signal = method.signal(turns, penalty)

    def loss(flat):
        return jnp.sum(signal.weights * method.losses(full(flat.reshape(before.shape)), signal, turns))

    slope, curvature = jax.jit(jax.grad(loss)), jax.jit(jax.hessian(loss))
    flat = before.reshape(-1)
    for _ in range(30):
        move = np.linalg.pinv(curvature(flat), rcond=1e-12, hermitian=True) @ slope(flat)
        flat = flat - move / max(1.0, np.abs(move).max())
        if np.abs(move).max() < 1e-13:
            break
    assert np.abs(slope(flat)).max() < 1e-13
    return jax.nn.log_softmax(flat.reshape(before.shape))


def mirrored(problem, before):
    solver = MirrorDescent(step=ETA)
    return problem.log_policy(solver.step(problem, solver.init(problem, before)).iterate.logits)


@pytest.fixture(scope="module")
def sentences():
    """Two questions, replies of two tokens: a question is a state, and so is a question with the first token."""
    questions, price = np.array([0.3, 0.7]), 0.05
    score = RNG.normal(size=(2, VOCABULARY, VOCABULARY))
    num_states = 2 + 2 * VOCABULARY
    payoffs, moves = np.full((1, num_states, VOCABULARY), -price), np.zeros((num_states, VOCABULARY, num_states))
    for q in range(2):
        for a in range(VOCABULARY):
            then = 2 + q * VOCABULARY + a
            moves[q, a, then] = 1
            payoffs[0, then] += score[q, a]
    initial = np.concatenate([questions, np.zeros(2 * VOCABULARY)])
    game = hq.MarkovGame(payoffs, moves, 1.0, initial)
    plays = [(q, a, b) for q in range(2) for a in range(VOCABULARY) for b in range(VOCABULARY)]
    return game, plays, questions, score, price


@pytest.mark.parametrize(("entropy", "continuation"), [("kl", "soft"), ("shannon", "soft"), ("kl", "plain")])
def test_the_step_on_all_plays_is_the_update_of_mirror_descent(sentences, entropy, continuation):
    """Token by token, types with temperatures of their own, and penalties of tokens to come in Q where they belong."""
    game, plays, questions, score, price = sentences
    tau = jnp.asarray([0.4, 0.4, *[0.15] * (2 * VOCABULARY)])[None]  # first token: reasoning; second: answer
    before, reference = log_policies(8, VOCABULARY), log_policies(8, VOCABULARY)
    given = {} if entropy == "shannon" else {"reference": jnp.exp(reference)[None]}
    problem = Problem(game, tau, entropy=entropy, continuation=continuation, **given)
    states = np.array([[q, 2 + q * VOCABULARY + a] for q, a, _ in plays])
    actions = np.array([[a, b] for _, a, b in plays])
    chance = [
        questions[q] * np.exp(before[q, a] + before[s, b]) for (q, a, b), (_, s) in zip(plays, states, strict=True)
    ]
    turns = turns_of(
        states, actions, states > 1, tau[0][states], [score[play] for play in plays], price, np.array(chance)
    )
    method = Dice(Settings(eta=ETA, entropy=entropy, continuation=continuation))
    found = maximiser(method, turns, before, reference)
    np.testing.assert_allclose(jnp.exp(found), jnp.exp(mirrored(problem, before[None])[0]), atol=1e-10, rtol=0)


def test_roles_of_a_team_with_types_of_their_own(sentences):
    """A Bayesian game of two roles, one temperature each information state: all roles move at once, as in T2."""
    del sentences
    prior = np.array([[0.1, 0.2], [0.3, 0.4]])
    payoffs = RNG.normal(size=(2, 2, 2, VOCABULARY, VOCABULARY))
    game = hq.BayesianGame(prior, payoffs)
    tau = jnp.asarray([[0.2, 0.5], [0.9, 0.3]])
    before, reference = log_policies(2, 2, VOCABULARY), log_policies(2, 2, VOCABULARY)
    wanted = mirrored(Problem(game, tau, reference=jnp.exp(reference)), before)
    profiles = [(s, t, a, b) for s in (0, 1) for t in (0, 1) for a in range(VOCABULARY) for b in range(VOCABULARY)]
    chance = np.array([prior[s, t] * np.exp(before[0, s, a] + before[1, t, b]) for s, t, a, b in profiles])
    for role, (own, token) in enumerate([(0, 2), (1, 3)]):
        states, actions = (np.array([[play[place]] for play in profiles]) for place in (own, token))
        score = np.array([payoffs[(role, *play)] for play in profiles])
        turns = turns_of(states, actions, states, tau[role][states], score, 0.0, chance)
        found = maximiser(Dice(Settings(eta=ETA)), turns, before[role], reference[role])
        np.testing.assert_allclose(jnp.exp(found), jnp.exp(wanted[role]), atol=1e-10, rtol=0)


def test_without_temperatures_only_the_last_policy_holds_the_step():
    assert DiceZero(Settings()).temperatures({"answer": 0.3}) == {"answer": 0.0}
    before, values = log_policies(4, VOCABULARY), jnp.asarray(RNG.normal(size=(4, VOCABULARY)))
    step = exact_step(before, before[::-1], values, jnp.zeros(4), jnp.asarray(ETA))
    np.testing.assert_allclose(step, jax.nn.log_softmax(before + ETA * values), atol=1e-12)


@pytest.mark.parametrize("exploration", [0.0, 0.2])
def test_what_a_policy_falls_short_of_is_its_divergence_from_the_exact_step(exploration):
    """J(π*) − J(π) = (1/η + τ) KL(π ‖ π*), summed over visits, with the values that the plays themselves show."""
    states, actions = RNG.integers(0, 3, size=(7, 2)), RNG.integers(0, VOCABULARY, size=(7, 2))
    tables = [log_policies(3, VOCABULARY) for _ in range(3)]
    taus = jnp.array([[0.1, 0.6, 0.3]])
    tau = taus[0][states]
    turns = turns_of(states, actions, states, tau, np.zeros(7), 0.0, np.ones(7))
    policies = LogPolicies(*(table[None] for table in tables))
    advantages, eta = jnp.asarray(RNG.normal(size=(7, 2))), jnp.asarray(ETA)
    method = Dice(Settings(eta=ETA, exploration=exploration))
    signal = method.signal(turns, jnp.zeros((7, 2)))._replace(advantages=advantages)

    def objective(now):
        return -np.sum(method.losses(policies._replace(now=now), signal, turns))

    values = sampled_values(advantages, policies, turns, exploration)
    exact = exact_step(policies.before, policies.reference, values, taus, eta)
    left, whole = mirror_distance(policies, advantages, turns, eta, exploration)
    np.testing.assert_allclose(objective(exact) - objective(policies.now), np.sum((1 / ETA + tau) * left), rtol=1e-10)
    np.testing.assert_allclose(
        objective(exact) - objective(policies.before), np.sum((1 / ETA + tau) * whole), rtol=1e-10
    )


def test_exploration_bounds_what_a_rare_token_is_worth():
    """Â/(π_k + γ) is at most max|Â|/γ, and without exploration the 1/π_k that is right in the mean."""
    before = jnp.log(jnp.asarray([[[1e-6, 0.3, 0.7 - 1e-6]]]))
    turns = turns_of([[0]], [[0]], [[0]], [[0.1]], np.zeros(1), 0.0, np.ones(1))
    policies, advantages = LogPolicies(before, before, before), jnp.asarray([[0.8]])
    for exploration, worth in ((0.0, 0.8e6), (0.1, 0.8 / (1e-6 + 0.1))):
        values = sampled_values(advantages, policies, turns, exploration)
        np.testing.assert_allclose(values, [[[worth, 0.0, 0.0]]], rtol=1e-12)
        (term,) = mirror_terms(policies, advantages, turns, jnp.asarray(ETA), exploration)
        np.testing.assert_allclose(term, 1e-6 * worth, rtol=1e-9)  # who stays pays no divergence
