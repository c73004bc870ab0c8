"""What a game says of itself: ranges that can be played, curvature, opposed payoffs, and how it was solved."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from host_games import HostBayesian

import hqre_jax as hq
from hqre_jax.certificates._certify import _curvature
from hqre_jax.core._types import ActionMask
from hqre_jax.problem import Problem, check_zero_sum

SMALL = np.array([[0.0, 1.0], [1.0, 3.0]])


def padded(u, value):
    """Payoffs with a third action that is masked; its entries would pay ``value``."""
    out = np.full((2, 3, 3), value)
    out[:, :2, :2] = u
    return out


MASK = np.array([[[True, True, False]], [[True, True, False]]])
# Payoffs far from 0, of which 0 would widen the range by 1e14.
MASKED = {
    "normal_form": lambda: hq.NormalFormGame(padded(1e14 + SMALL, 7.0), action_mask=MASK),
    "bayesian": lambda: hq.BayesianGame([[1.0]], padded(1e14 + SMALL, 7.0)[:, None, None], action_mask=MASK),
    "markov": lambda: hq.MarkovGame(
        padded(1e14 + SMALL, 7.0)[:, None], np.ones((1, 3, 3, 1)), 0.5, action_mask=MASK
    ),
    "polymatrix": lambda: hq.PolymatrixGame([[0, 1]], padded(1e14 + SMALL, 7.0)[None], action_mask=MASK),
}  # fmt: skip


@pytest.mark.parametrize("kind", MASKED)
def test_the_range_is_of_profiles_that_can_be_played(kind):
    game = MASKED[kind]()
    np.testing.assert_array_equal(game.payoff_range(), [3.0, 3.0])
    Problem(game, 1.0)  # beside a range of 1e14 this temperature is refused
    sampled = hq.SampledGame.from_game(game).simulator
    np.testing.assert_array_equal(sampled.return_low, [1e14, 1e14])
    if kind != "markov":  # whose returns are of many steps
        np.testing.assert_array_equal(sampled.return_high, [1e14 + 3, 1e14 + 3])
    if kind == "normal_form":
        stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), game)
        np.testing.assert_array_equal(jax.vmap(lambda g: g.payoff_range())(stacked), np.full((2, 2), 3.0))


def test_the_range_of_a_tree_is_of_plays_that_can_be_played():
    """One decision; its third action is masked."""
    game = hq.ExtensiveFormGame(
        parent=[-1, 0, 0, 0], player=[0, -2, -2, -2], information_set=[0, 0, 0, 0], branch=[-1, 0, 1, 2],
        probability=[1.0] * 4, payoffs=[[0.0, 1e14, 1e14 + 3, 7.0]], action_mask=[[[True, True, False]]],
    )  # fmt: skip
    np.testing.assert_array_equal(game.payoff_range(), [3.0])
    np.testing.assert_array_equal(hq.SampledGame.from_game(game).payoff_range(), [3.0])


class Wrapper(hq.AbstractGame):
    """A game of a user's own, which is another one and says no more than it must."""

    inner: hq.AbstractGame
    action_mask: ActionMask
    labels: hq.Labels = eqx.field(static=True)
    policy_independent_beliefs: bool = eqx.field(static=True)

    def __init__(self, inner):
        self.inner, self.action_mask = inner, inner.action_mask
        self.labels, self.policy_independent_beliefs = inner.labels, inner.policy_independent_beliefs

    def evaluate(self, log_policy, bonus, continuation, payoff_scale=1.0):
        return self.inner.evaluate(log_policy, bonus, continuation, payoff_scale)

    def centered(self):
        return Wrapper(self.inner.centered())

    def payoff_range(self):
        return self.inner.payoff_range()


class Frank(Wrapper):
    """The same, and it says what else it knows."""

    def curvature(self, mixing):
        return self.inner.curvature(mixing)

    def opposed(self):
        return self.inner.opposed()


Frank.__init__ = lambda self, inner: Wrapper.__init__(self, inner)
MARKOV = hq.MarkovGame(np.arange(16.0).reshape(2, 2, 2, 2) % 5, np.full((2, 2, 2, 2), 0.5), discount=0.95)


def test_curvature_is_what_the_game_says_or_unknown():
    problem = Problem(MARKOV, 2.0)
    z = jnp.zeros(problem.mask.shape)
    known = float(_curvature(problem, z))
    # N Σ m range/τ (1−γ)⁻³, with m = 1 at uniform policies.
    assert known == pytest.approx(2 * 2 * 4 / 2 * 20.0**3)
    assert float(_curvature(Problem(Frank(MARKOV), 2.0), z)) == known
    assert np.isinf(float(_curvature(Problem(Wrapper(MARKOV), 2.0), z)))
    once = Problem(hq.NormalFormGame(np.stack([SMALL, SMALL])), 2.0)
    assert float(_curvature(once, jnp.zeros((2, 1, 2)))) == pytest.approx(2 * 1 * 3 / 2)


def test_zero_sum_is_asked_of_every_game():
    matrix = np.array([[1.0, -2.0], [0.0, 3.0]])
    opposed, common = (hq.NormalFormGame(np.stack([matrix, sign * matrix])) for sign in (-1, 1))
    trees = [hq.games.random.random_extensive_form(jax.random.key(1), 2, 2, family=f) for f in ("zero_sum", "uniform")]
    edges = [hq.PolymatrixGame([[0, 1]], np.stack([matrix, sign * matrix])[None]) for sign in (-1, 1)]
    for good, bad in ((opposed, common), trees, edges):
        for wrap in (lambda g: g, hq.SampledGame.from_game, Frank):
            check_zero_sum(wrap(good))
            with pytest.raises(hq.InputError, match=r"needs payoffs\[1\] = −payoffs\[0\]"):
                check_zero_sum(wrap(bad))
    for silent in (
        Wrapper(opposed),
        hq.SampledGame(HostBayesian(hq.games.random.random_bayesian(jax.random.key(2), (2, 2), (2, 2)))),
    ):
        with pytest.raises(hq.InputError, match="opposed"):
            check_zero_sum(silent)


def test_a_markov_games_history_is_where_it_was():
    """Each residual is that of the policy beside it, on the way and at the end."""
    sol = hq.solve(MARKOV, 2.0, history=True, solver="markov_branch")
    assert isinstance(hq.solvers.MarkovBranch(), hq.AbstractSolver)
    history = sol.history
    assert len(history.residuals) == int(sol.num_steps) + 1
    for policy, residual in zip(history.policies, history.residuals, strict=True):
        assert float(hq.residual(MARKOV, policy, 2.0)) == pytest.approx(float(residual), abs=1e-12)
    assert history.residuals[0] > 1e-3
    assert history.scales[0] == 0
    assert history.scales[-1] == 1
    assert len(np.unique(history.scales)) > 2
    np.testing.assert_allclose(history.policies[-1], sol.policy, rtol=0, atol=1e-12)


def test_a_problem_remembers_its_entropy():
    game = hq.NormalFormGame(np.ones((2, 1, 1)))
    for entropy in ("kl", "shannon"):
        # Where nobody has a choice, no array tells the two apart.
        assert Problem(game, 1.0, entropy=entropy).entropy == entropy
        assert hq.solve(game, 1.0, entropy=entropy).problem.entropy == entropy


def test_parameters_of_the_stochastic_solver_can_be_traced():
    game = hq.NormalFormGame(np.stack([SMALL, -SMALL]))

    @jax.jit
    def run(step, margin, lipschitz, noise):
        solver = hq.solvers.StochasticMirror(step, margin=margin, lipschitz=lipschitz, noise=noise)
        return hq.solve(game, 1.0, solver=solver, max_steps=5).policy

    plain = hq.solve(
        game,
        1.0,
        solver=hq.solvers.StochasticMirror(0.1, margin=0.5, lipschitz=2.0, noise=0.1),
        max_steps=5,
        throw=False,
    )
    np.testing.assert_allclose(run(0.1, 0.5, 2.0, 0.1), plain.policy, rtol=0, atol=1e-12)
    with pytest.raises(hq.InputError, match=r"^margin: "):
        hq.solvers.StochasticMirror(margin=-1.0)
