"""The principal branch against Gambit's, and Markov games against other algorithms written here in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import root

import hqre_jax as hq


def softmax(logits):
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


# --- Normal forms and a tree, by Gambit ------------------------------------------------------------------------

SHAPES = {(3, 3): 100, (2, 2, 2): 50, (2, 2, 2, 2): 25, (4, 2, 3): 25}
LARGEST = (4, 3, 3, 2)


def expected_payoffs(payoffs, policy):
    """``u_i(a_i, π_-i)`` of every player: all other axes of its payoffs averaged out, one after the other."""
    worth = []
    for i, table in enumerate(payoffs):
        for j in reversed(range(len(policy))):
            if j != i:
                table = np.moveaxis(table, j, -1) @ policy[j]
        worth.append(table)
    return worth


def gambit_point(pygambit, game, rationality):
    """Gambit's point on the principal branch at ``λ = 1/τ``, its probabilities numbered throughout."""
    found = pygambit.qre.logit_solve_lambda(game, [rationality], first_step=0.03, max_accel=1.1)[0]
    assert found.lam == pytest.approx(rationality, rel=1e-6)
    return found


@jax.jit
@jax.vmap
def on_principal_branch(payoffs, mask, tau):
    return hq.solve(hq.NormalFormGame(payoffs, action_mask=mask), tau, solver="principal_branch")


def padded(payoffs):
    """The game among players with at most `LARGEST` actions; players of no consequence have one."""
    shape = payoffs.shape[1:]
    mask = np.arange(max(LARGEST)) < np.array([*shape, 1, 1])[: len(LARGEST), None]
    table = np.full((len(LARGEST), *LARGEST), np.pi)
    table[(slice(None), *map(slice, shape), *[0] * (len(LARGEST) - len(shape)))] = 0.0
    table[(slice(len(shape)), *map(slice, shape), *[0] * (len(LARGEST) - len(shape)))] = payoffs
    return table, mask[:, None]


@pytest.fixture(scope="module")
def comparison():
    """Per shape: our result strings, Gambit's residuals, and the largest differences between the two.

    All shapes are solved in one batch, padded to the largest: one program to compile, and masks at work.
    """
    pygambit = pytest.importorskip("pygambit")
    draw = np.random.RandomState(1000)
    shapes = [shape for shape, count in SHAPES.items() for _ in range(count)]
    games = [draw.rand(len(shape), *shape) for shape in shapes]
    # Up to 10 per payoff range, a quarter of them exactly that.
    scaled = np.where(np.arange(len(games)) % 4 == 0, 10.0, draw.uniform(0.5, 10.0, len(games)))
    span = [max(np.ptp(table) for table in payoffs) for payoffs in games]
    rationality = scaled / np.array(span)
    payoffs, masks = map(np.stack, zip(*map(padded, games), strict=True))
    ours = on_principal_branch(payoffs, masks, 1 / rationality)
    found, residuals, differences = np.asarray(ours.policy)[:, :, 0], np.zeros(len(games)), np.zeros(len(games))
    for k, shape in enumerate(shapes):
        theirs = gambit_point(pygambit, pygambit.Game.from_arrays(*games[k]), rationality[k])
        policy = np.split(np.array([theirs[n] for n in range(sum(shape))]), np.cumsum(shape)[:-1])
        response = [softmax(rationality[k] * q) for q in expected_payoffs(games[k], policy)]
        residuals[k] = max(np.abs(p - r).max() for p, r in zip(policy, response, strict=True))
        differences[k] = max(np.abs(found[k, i, : shape[i]] - policy[i]).max() for i in range(len(shape)))
    return {
        shape: (ours.result[same], residuals[same], differences[same])
        for shape in SHAPES
        for same in [np.array([other == shape for other in shapes])]
    }


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_principal_branch_is_where_gambit_finds_it(comparison, shape):
    results, residuals, differences = comparison[shape]
    assert (results == "successful").all()
    assert differences[residuals <= 1e-9].max() <= 1e-6


def test_gambit_is_exact_often_enough_to_compare(comparison):
    residuals = np.concatenate([residuals for _, residuals, _ in comparison.values()])
    assert len(residuals) == 200
    assert (residuals <= 1e-9).sum() >= 190


def test_poker_in_agent_form_is_gambits():
    pygambit = pytest.importorskip("pygambit")
    game = hq.load_game("kuhn_poker")
    tree = pygambit.read_efg(hq.named_game("kuhn_poker").path)
    # Gambit numbers actions by player, information set and place; ours are found again by their names.
    actions = [action for player in tree.players for infoset in player.infosets for action in infoset.actions]
    assert len(actions) == 2 * 6 * 2 == int(game.action_mask.sum())
    for tau in (4.0, 0.7, 0.15):
        ours = np.asarray(hq.solve(game, tau, continuation="plain", solver="principal_branch").policy)
        theirs = gambit_point(pygambit, tree, 1 / tau)
        for n, action in enumerate(actions):
            i = action.infoset.player.number
            x = game.labels.information_states[i].index(action.infoset.label)
            a = game.labels.actions[i][x].index(action.label)
            assert ours[i, x, a] == pytest.approx(theirs[n], abs=1e-6), (tau, action.infoset.label, action.label)


# --- Markov games, by a root finder and by regularised value iteration -----------------------------------------

GAMMAS = np.array([0.0, 0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
STATES, ACTIONS = 3, (2, 3)


def markov_games(seed, *, opposed):
    """Payoffs ``(game, player, state, a, b)`` and kernels ``(game, state, a, b, next)``; one game per γ."""
    draw = np.random.RandomState(seed)
    payoffs = draw.uniform(-1, 1, (len(GAMMAS), 2, STATES, *ACTIONS))
    if opposed:
        payoffs[:, 1] = -payoffs[:, 0]
    return payoffs, draw.dirichlet(np.ones(STATES), (len(GAMMAS), STATES, *ACTIONS))


def solve_all(payoffs, kernels, tau, continuation):
    def one(r, p, gamma):
        game = hq.MarkovGame(r, p, gamma)
        return hq.solve(game, jnp.asarray(tau), continuation=continuation, solver="principal_branch")

    solved = jax.jit(jax.vmap(one))(payoffs, kernels, GAMMAS)
    assert (solved.result == "successful").all()
    return np.asarray(solved.policy), np.asarray(solved.initial_values)


def plain_response(logits, payoffs, kernel, gamma, tau):
    """Logits ``Q/τ`` against policies ``softmax(logits)`` of both players, and values, ``(2, state)``."""
    x, y = softmax(logits[:, : ACTIONS[0]]), softmax(logits[:, ACTIONS[0] :])
    stay = np.einsum("sabt,sa,sb->st", kernel, x, y)
    received = np.einsum("isab,sa,sb->is", payoffs, x, y)
    values = np.linalg.solve(np.eye(STATES) - gamma * stay, received.T).T
    worth = payoffs + gamma * np.einsum("sabt,it->isab", kernel, values)
    first, second = np.einsum("sab,sb->sa", worth[0], y), np.einsum("sab,sa->sb", worth[1], x)
    return np.hstack([first / tau[0], second / tau[1]]), values


def test_plain_markov_equilibria_solve_the_logit_equations():
    """Against a root finder that is led from the uniform policy to the temperature by small steps."""
    tau = np.array([0.5, 0.8])
    payoffs, kernels = markov_games(7, opposed=False)
    policies, values = solve_all(payoffs, kernels, tau, "plain")
    for k, gamma in enumerate(GAMMAS):

        def defect(z, scale, k=k, gamma=gamma):
            logits = z.reshape(STATES, sum(ACTIONS))
            return (logits - scale * plain_response(logits, payoffs[k], kernels[k], gamma, tau)[0]).ravel()

        found = np.zeros(STATES * sum(ACTIONS))
        for scale in np.linspace(0.02, 1, 50):
            answer = root(defect, found, args=(scale,), tol=1e-13)
            assert np.abs(answer.fun).max() < 1e-10
            found = answer.x
        logits = found.reshape(STATES, sum(ACTIONS))
        np.testing.assert_allclose(policies[k, 0, :, :2], softmax(logits[:, :2]), rtol=0, atol=1e-8)
        np.testing.assert_allclose(policies[k, 1], softmax(logits[:, 2:]), rtol=0, atol=1e-8)
        paid = plain_response(logits, payoffs[k], kernels[k], gamma, tau)[1].mean(-1)
        np.testing.assert_allclose(values[k], paid, rtol=0, atol=1e-7)


def test_opposed_interests_agree_with_regularised_value_iteration():
    """Against Shapley's operator with entropies, each stage game solved by short mirror steps."""
    tau = np.array([0.4, 0.7])
    payoffs, kernels = markov_games(8, opposed=True)
    policies, values = solve_all(payoffs, kernels, tau, "zero_sum")
    z, w = np.zeros((len(GAMMAS), STATES, 2)), np.zeros((len(GAMMAS), STATES, 3))
    value = np.zeros((len(GAMMAS), STATES))
    for _ in range(450):
        stage = payoffs[:, 0] + GAMMAS[:, None, None, None] * np.einsum("gsabt,gt->gsab", kernels, value)
        for _ in range(12):
            x, y = softmax(z), softmax(w)
            z = 0.8 * z + 0.2 * np.einsum("gsab,gsb->gsa", stage, y) / tau[0]
            w = 0.8 * w - 0.2 * np.einsum("gsab,gsa->gsb", stage, x) / tau[1]
        x, y = softmax(z), softmax(w)
        first = tau[0] * (x * np.log(2 * x)).sum(-1)
        second = tau[1] * (y * np.log(3 * y)).sum(-1)
        value = np.einsum("gsab,gsa,gsb->gs", stage, x, y) - first + second
    np.testing.assert_allclose(policies[:, 0, :, :2], x, rtol=0, atol=1e-8)
    np.testing.assert_allclose(policies[:, 1], y, rtol=0, atol=1e-8)
    np.testing.assert_allclose(values[:, 0], value.mean(-1), rtol=0, atol=1e-7)
    np.testing.assert_allclose(values[:, 1], -value.mean(-1), rtol=0, atol=1e-7)
