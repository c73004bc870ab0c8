"""Compiled programs stay few, and deep trees compile as shallow ones do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.core import _compiled, _programs
from hqre_jax.games import _tree


def chain(depth):
    """Two players in turn take or pass; every move is an information set of its own."""
    parent, player, sets, branch, paid = [], [], [], [], []
    for k in range(depth):
        parent += [2 * k - 2 if k else -1, 2 * k]
        player += [k % 2, -2]
        sets += [k // 2, -1]
        branch += [1 if k else -1, 0]
        paid += [(0, 0), (k % 5 + 1, k * 3 % 7)]
    columns = ([*parent, 2 * depth - 2], [*player, -2], [*sets, -1], [*branch, 1], np.ones(2 * depth + 1))
    return hq.ExtensiveFormGame(*columns, np.array([*paid, (3, 3)], float).T)


def evaluation(game):
    """Everything that a tree is evaluated for, and its derivatives forwards and backwards."""
    mask = game.action_mask
    logits = jnp.asarray(np.random.default_rng(0).normal(size=mask.shape))
    policy = jax.nn.log_softmax(logits, where=mask, axis=-1)

    def worth(log_policy):
        found = game.evaluate(log_policy, jnp.full(mask.shape[:2], 0.3), "soft")
        return found.action_values, found.values, found.initial_values, found.reach

    forwards = jax.jit(jax.jacfwd(lambda p: worth(p)[0]))
    backwards = jax.jit(jax.grad(lambda p: jnp.sum(jnp.sin(worth(p)[0])) + jnp.sum(worth(p)[1])))
    return (*worth(policy), game.payoff_range()), (forwards(policy), backwards(policy))


@pytest.mark.parametrize("name", ["stripped_down_poker", pytest.param("chain", marks=pytest.mark.thorough)])
def test_the_loop_is_what_is_written_out(monkeypatch, name):
    """To the last bit; gradients, which the compiler adds up in another order, to rounding."""
    found = []
    for written_out in (100, 0):
        monkeypatch.setattr(_tree, "WRITTEN_OUT", written_out)
        found.append(evaluation(chain(4) if name == "chain" else hq.load_game(name)))
    (values, slopes), (again, slopes_again) = found
    assert all(jnp.array_equal(a, b) for a, b in zip(values, again, strict=True))
    for a, b in zip(slopes, slopes_again, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14, atol=2e-15)


def test_programs_do_not_grow_with_depth():
    """The text of the compiled evaluation of 20 moves and of 60 is equally long, but for the digits of sizes."""
    lengths = []
    for depth in (20, 60):
        game = chain(depth)
        ask = jax.jit(lambda p, game=game: game.evaluate(p, jnp.zeros(p.shape[:2]), "plain").action_values)
        lengths.append(ask.lower(jnp.zeros(game.action_mask.shape)).as_text().count("\n"))
    assert lengths[0] == lengths[1]


def test_many_programs_are_forgotten(monkeypatch):
    """Where memory maps are many, the next problem makes room; answers and transformations are what they were."""
    game = hq.NormalFormGame(np.array([[[1.0, 0.0], [0.0, 2.0]]] * 2))
    before = hq.solve(game, 1.0)
    forgotten = []
    clear = jax.clear_caches
    monkeypatch.setattr(jax, "clear_caches", lambda: (forgotten.append(1), clear()))
    monkeypatch.setattr(_compiled._Census, "fresh", 0)
    jax.jit(lambda x: x + 17.25)(1.0)
    hq.Problem(game, 1.0)
    assert not forgotten  # one program is not many
    monkeypatch.setattr(_compiled, "_LOOK_EVERY", 1)
    jax.jit(lambda x: x + 18.25)(1.0)
    hq.Problem(game, 1.0)
    assert not forgotten  # nor are the maps
    monkeypatch.setattr(_compiled, "_MOST_MAPS", 0)
    monkeypatch.setattr(_compiled, "_MOST_PROGRAMS", 0)
    jax.jit(lambda x: x + 19.25)(1.0)
    after = hq.solve(game, 1.0)
    assert forgotten
    assert jnp.array_equal(before.policy, after.policy)


@pytest.mark.thorough
def test_a_thousand_trees_in_one_process():
    """Bounded memory maps, each tree with a shape of its own."""
    most = 0
    for depth in range(1, 1001):
        hq.solve(chain(depth), 1.0, solver="fixed_point", continuation="plain", max_steps=3, throw=False)
        most = max(most, _compiled._maps())
    assert most < 30_000


def test_the_outermost_program_says_how_it_is_compiled(monkeypatch):
    """A program of the library is compiled with its options where it stands alone; inside another they are not its."""
    monkeypatch.setattr(_programs, "known_options", lambda options: {"xla_no_such_option": True})
    monkeypatch.setattr(_programs, "_optimizes", lambda: True)
    square = _programs.compiled(lambda x: x * x)
    assert jax.jit(lambda: square(jnp.asarray(3.0)))() == 9
    assert jax.grad(square)(3.0) == 6
    assert jnp.array_equal(jax.vmap(square)(jnp.arange(3.0)), [0, 1, 4])
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_no_such_option"):
        square(jnp.asarray(3.0))


def test_options_that_a_compiler_does_not_know_are_left_out():
    options = {"xla_cpu_use_fusion_emitters": False}
    assert _programs.known_options(options) == options
    assert _programs.known_options({"xla_no_such_option": True}) == {}
