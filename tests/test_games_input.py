"""What constructors refuse, each in one line that names the field; and what they allow under tracing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hqre_jax.core._types import InputError
from hqre_jax.games import (
    BayesianGame,
    ExtensiveFormGame,
    IncompleteInformationMarkovGame,
    MarkovGame,
    NormalFormGame,
    PolymatrixGame,
    PublicPrivateGame,
)

NAN = float("nan")
STAY = np.eye(2).reshape(2, 1, 1, 2)  # two states, one action each, nothing ever changes
U = np.zeros((2, 2, 1, 1))  # their payoffs


def markov(payoffs=U, transitions=STAY, discount=0.5, initial=None, **rest):
    return MarkovGame(payoffs, transitions, discount, initial, **rest)


def general(observations, payoffs=U, transitions=STAY, discount=0.5, initial=(0.5, 0.5), **rest):
    return IncompleteInformationMarkovGame(payoffs, transitions, observations, discount, initial, **rest)


def public(**changes):
    arguments = {
        "payoffs": np.zeros((2, 2, 1, 2, 1, 1)),
        "transitions": np.full((2, 1, 2, 1, 1, 2), 0.5),
        "type_prior": np.full((2, 1, 2), 0.5),
        "discount": 0.5,
    }
    return PublicPrivateGame(**(arguments | changes))


def tree(**changes):
    """Player 1 moves; after its first action chance, after its second player 2."""
    arguments = {
        "parent": [-1, 0, 0, 1, 1, 2, 2],
        "player": [0, -1, 1, -2, -2, -2, -2],
        "information_set": [0, -1, 0, -1, -1, -1, -1],
        "branch": [-1, 0, 1, 0, 1, 0, 1],
        "probability": [1, 1, 1, 0.25, 0.75, 1, 1],
        "payoffs": np.zeros((2, 7)),
    }
    return ExtensiveFormGame(**(arguments | changes))


REFUSED = {
    "no game": ("payoffs", lambda: NormalFormGame(3.0)),
    "players and axes": ("payoffs", lambda: NormalFormGame(np.zeros((3, 2, 2)))),
    "ragged": ("payoffs", lambda: NormalFormGame([[[1, 2], [3]], [[1, 2], [3, 4]]])),
    "words": ("payoffs", lambda: NormalFormGame([["a", "b"]])),
    "complex": ("payoffs", lambda: NormalFormGame(np.zeros((1, 2), complex))),
    "no actions": ("payoffs", lambda: NormalFormGame(np.zeros((2, 0, 2)))),
    "not a number": ("payoffs[1][0][1]", lambda: NormalFormGame([[[0, 0], [0, 0]], [[0, NAN], [0, 0]]])),
    "mask shape": ("action_mask", lambda: NormalFormGame(np.zeros((2, 2, 2)), action_mask=np.ones((2, 2)))),
    "mask type": ("action_mask", lambda: NormalFormGame(np.zeros((1, 2)), action_mask=[[[0.5, 1.0]]])),
    "all masked": ("action_mask", lambda: NormalFormGame(np.zeros((1, 2)), action_mask=[[[False, False]]])),
    "edge to itself": ("edges[1]", lambda: PolymatrixGame([(0, 1), (1, 1)], np.zeros((2, 2, 2, 2)))),
    "negative player": ("edges[0][1]", lambda: PolymatrixGame([(0, -1)], np.zeros((1, 2, 2, 2)))),
    "half a player": ("edges[0][0]", lambda: PolymatrixGame([(0.5, 1)], np.zeros((1, 2, 2, 2)))),
    "unknown player": (
        "edges[0][1]",
        lambda: PolymatrixGame([(0, 2)], np.zeros((1, 2, 2, 2)), action_mask=np.ones((2, 1, 2), bool)),
    ),
    "edges and payoffs": ("edges", lambda: PolymatrixGame([(0, 1)], np.zeros((2, 2, 2, 2)))),
    "edge payoffs": ("payoffs", lambda: PolymatrixGame([(0, 1)], np.zeros((1, 2, 2, 3)))),
    "prior sum": ("prior", lambda: BayesianGame([[0.5, 0.4]], np.zeros((2, 1, 2, 1, 1)))),
    "prior sign": ("prior[0][1]", lambda: BayesianGame([[1.5, -0.5]], np.zeros((2, 1, 2, 1, 1)))),
    "prior shape": ("prior", lambda: BayesianGame([0.5, 0.5], np.zeros((2, 1, 2, 1, 1)))),
    "Bayesian axes": ("payoffs", lambda: BayesianGame([[0.5, 0.5]], np.zeros((2, 1, 2, 1)))),
    "row sum": ("transitions[1][0][0]", lambda: markov(transitions=STAY * [[[[1.0]]], [[[0.9]]]])),
    "row sign": ("transitions[0][0][0][1]", lambda: markov(transitions=STAY + np.array([0.1, -0.1]))),
    "kernel shape": ("transitions", lambda: markov(transitions=np.ones((2, 1, 1, 1)))),
    "discount": ("discount", lambda: markov(discount=1.01)),
    "negative discount": ("discount", lambda: markov(discount=-0.1)),
    "discount per state": ("discount", lambda: markov(discount=[0.5, 0.5])),
    "play without end": ("transitions", lambda: markov(discount=1.0)),
    "initial": ("initial", lambda: markov(initial=[0.5, 0.6])),
    "Markov axes": ("payoffs", lambda: markov(payoffs=np.zeros((2, 2, 1)))),
    "unseen": ("observations[0]", lambda: general([[0, 2], [0, 1]])),
    "half seen": ("observations[1][1]", lambda: general([[0, 1], [0, 0.5]])),
    "observations": ("observations", lambda: general([[0, 1]])),
    "no initial": ("initial", lambda: general([[0, 1], [0, 0]], initial=None)),
    "type law": ("type_prior[1]", lambda: public(type_prior=[[[0.5, 0.5]], [[0.5, 0.4]]])),
    "type law shape": ("type_prior", lambda: public(type_prior=np.full((2, 2, 1), 0.5))),
    "public kernel": ("transitions", lambda: public(transitions=np.full((2, 2, 1, 1, 2), 0.5))),
    "public axes": ("payoffs", lambda: public(payoffs=np.zeros((2, 2, 1, 2, 1)))),
    "public without end": ("transitions", lambda: public(discount=1.0)),
    "two roots": ("parent", lambda: tree(parent=[-1, -1, 0, 1, 1, 2, 2])),
    "circle": ("parent[1]", lambda: tree(parent=[-1, 3, 0, 1, 1, 2, 2])),
    "nowhere": ("parent[6]", lambda: tree(parent=[-1, 0, 0, 1, 1, 2, 9])),
    "stranger": ("player[2]", lambda: tree(player=[0, -1, 2, -2, -2, -2, -2])),
    "ends too early": ("player[1]", lambda: tree(player=[0, -2, 1, -2, -2, -2, -2])),
    "moves at the end": ("player[6]", lambda: tree(player=[0, -1, 1, -2, -2, -2, 0])),
    "branches": ("branch", lambda: tree(branch=[-1, 0, 1, 0, 0, 0, 1])),
    "branch range": ("branch[4]", lambda: tree(branch=[-1, 0, 1, 0, 2, 0, 1])),
    "chance": ("probability", lambda: tree(probability=[1, 1, 1, 0.25, 0.7, 1, 1])),
    "chance sign": ("probability[4]", lambda: tree(probability=[1, 1, 1, 1.25, -0.25, 1, 1])),
    "no set": ("information_set[2]", lambda: tree(information_set=[0, -1, -1, -1, -1, -1, -1])),
    "skipped set": ("information_set", lambda: tree(information_set=[0, -1, 1, -1, -1, -1, -1])),
    "absent mind": (
        "information_set[2]",
        lambda: tree(player=[0, -1, 0, -2, -2, -2, -2], information_set=[0, -1, 0, -1, -1, -1, -1]),
    ),
    "forgotten move": (
        "information_set[2]",
        lambda: tree(player=[0, 0, 0, -2, -2, -2, -2], information_set=[0, 1, 1, -1, -1, -1, -1]),
    ),
    "masked set": ("action_mask", lambda: tree(action_mask=[[[True, True]], [[False, False]]])),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_by_name(name):
    field, build = REFUSED[name]
    with pytest.raises(InputError) as error:
        build()
    assert error.value.field == field
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{field}: ")


def test_good_neighbours_of_bad_input_pass():
    """The constructions that the table above spoils are sound."""
    for game in (markov(), general([[0, 1], [0, 0]]), public(), tree()):
        assert game.num_players == 2
    tree(player=[0, 0, 0, -2, -2, -2, -2], information_set=[0, 1, 2, -1, -1, -1, -1])


def test_undiscounted_play_must_end_under_every_policy():
    """Two states; in the second, action 2 ends play and action 1 stays there with certainty or not."""

    def kernel(stay):
        rows = np.zeros((2, 2, 1, 2))
        rows[0, :, 0, 1] = 1.0  # from the first state always to the second
        rows[1, 0, 0, 1] = stay
        return rows

    payoffs = np.zeros((2, 2, 2, 1))
    assert markov(payoffs, kernel(0.999), 1.0).undiscounted
    with pytest.raises(InputError, match="for ever from state 1"):
        markov(payoffs, kernel(1.0), 1.0)
    # A forbidden action cannot trap anybody.
    mask = np.ones((2, 2, 2), bool)
    mask[0, 1, 0] = False
    mask[1, :, 1] = False
    assert markov(payoffs, kernel(1.0), 1.0, action_mask=mask).undiscounted
    # Going round for ever is a trap too, although no state stays.
    around = np.zeros((2, 1, 1, 2))
    around[0, 0, 0, 1] = around[1, 0, 0, 0] = 1.0
    with pytest.raises(InputError, match="for ever"):
        markov(transitions=around, discount=1.0)
    # Rows that sum to less need discount 1.
    with pytest.raises(InputError, match="discount 1"):
        markov(payoffs, kernel(0.9), 0.9)


def test_row_sums_have_the_promised_tolerance():
    assert markov(transitions=STAY * (1 + 0.9e-8)).num_players == 2
    with pytest.raises(InputError):
        markov(transitions=STAY * (1 + 1.1e-8))


def test_padding_and_forbidden_payoffs_do_not_count():
    mask = np.array([[[True, True]], [[True, False]]])
    game = NormalFormGame([[[0, 900], [1, 800]], [[0, 700], [2, 600]]], action_mask=mask)
    np.testing.assert_array_equal(game.payoff_range(), [1, 2])


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
def test_whole_numbers_that_no_double_holds_are_refused(array):
    """In numpy's arrays as in JAX's."""
    exact = np.full((2, 2, 2), 2**53 + 2)
    np.testing.assert_array_equal(NormalFormGame(array(exact)).payoffs, exact)
    exact[1, 0, 1] -= 1
    with pytest.raises(InputError, match=r"^payoffs\[1\]\[0\]\[1\]: is 9007199254740993, which"):
        NormalFormGame(array(exact))


def test_floating_types_that_jax_has_not():
    """Bytes in another order are the same numbers; more digits than a double holds are rounded, as in a text."""
    for dtype, own in ((">f4", np.float32), (">f8", np.float64), (np.longdouble, np.float64)):
        game = NormalFormGame(np.full((2, 2, 2), 0.25, dtype))
        assert game.dtype == own
        np.testing.assert_array_equal(game.payoffs, 0.25)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_payoffs_decide_the_type(dtype):
    built = (
        NormalFormGame(np.zeros((2, 2, 2), dtype)),
        PolymatrixGame([(0, 1)], np.zeros((1, 2, 2, 2), dtype)),
        BayesianGame([[0.5, 0.5]], np.zeros((2, 1, 2, 1, 1), dtype)),
        markov(U.astype(dtype)),
        general([[0, 1], [0, 0]], U.astype(dtype)),
        public(payoffs=np.zeros((2, 2, 1, 2, 1, 1), dtype)),
        # In single precision a third and two thirds miss 1 by more than 1e-8.
        tree(payoffs=np.zeros((2, 7), dtype), probability=np.array([1, 1, 1, 1 / 3, 2 / 3, 1, 1], dtype)),
    )
    for game in built:
        mask = game.action_mask
        log_policy = jnp.zeros(mask.shape, dtype)
        bonus = jnp.zeros(mask.shape[:2], dtype)
        evaluation = jax.eval_shape(lambda g, p, b: g.evaluate(p, b, "soft"), game, log_policy, bonus)
        assert game.dtype == dtype
        assert {array.dtype for array in evaluation} == {np.dtype(dtype)}, type(game).__name__
    assert NormalFormGame([[1, 2]]).dtype == np.float64  # integers become JAX's own floating type


def test_games_are_built_under_vmap_and_jit():
    """Constructors trace: a stack of payoffs makes a stack of games."""
    payoffs = jnp.asarray(np.random.default_rng(0).uniform(size=(4, 2, 2, 3)))
    log_policy = jnp.log(jnp.array([[[0.5, 0.5, 0]], [[0.2, 0.3, 0.5]]]).at[0, 0, 2].set(1.0))

    def worth(u):
        game = NormalFormGame(u)
        return game.evaluate(log_policy, jnp.zeros((2, 1)), "soft").action_values

    stacked = eqx.filter_jit(jax.vmap(worth))(payoffs)
    np.testing.assert_allclose(stacked[2], eqx.filter_jit(worth)(payoffs[2]), rtol=1e-12, atol=1e-14)

    @jax.jit
    def value(discount):
        game = markov(U + 1.0, jnp.asarray(STAY), discount, jnp.array([0.5, 0.5]))
        return game.evaluate(jnp.zeros((2, 2, 1)), jnp.zeros((2, 2)), "soft").initial_values[0]

    # Games are arguments of jax.jit like any array: what is no number in them is static.
    game = markov(U + 1.0)
    traced = jax.jit(lambda g: g.evaluate(jnp.zeros((2, 2, 1)), jnp.zeros((2, 2)), "soft").initial_values)
    np.testing.assert_allclose(traced(game), [2.0, 2.0], rtol=1e-12)
    # V = 1/(1 − γ), and dV/dγ = 1/(1 − γ)².
    assert float(jax.grad(value)(0.5)) == pytest.approx(4.0, rel=1e-12)


def test_a_polymatrix_game_of_known_edges_is_built_while_tracing():
    payoffs = np.random.default_rng(0).random((2, 2, 2, 2))
    game = jax.jit(lambda u: PolymatrixGame([[0, 1], [1, 2]], u))(payoffs)
    assert game.num_players == 3
