"""A checkpoint belongs to one question: everything that decides how the run goes on, and nothing else."""

import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.core._checkpoint import fingerprint
from hqre_jax.problem import Problem

PENNIES = hq.NormalFormGame(np.array([[[2.0, -1.0], [-1.0, 1.0]], [[-2.0, 1.0], [1.0, -1.0]]]))
CHAIN = hq.MarkovGame(np.ones((2, 2, 2, 2)), np.full((2, 2, 2, 2), 0.5), discount=0.5)


def test_a_checkpoint_is_of_one_continuation(tmp_path):
    """``plain`` is another question than ``soft``, though no array tells them apart."""
    solver = hq.solvers.StochasticMirror(0.1, noise=0.1, checkpoint=tmp_path / "run")
    hq.solve(CHAIN, 1.0, solver=solver, max_steps=1, throw=False)
    with pytest.raises(hq.InputError, match="belongs to another question"):
        hq.solve(CHAIN, 1.0, solver=solver, continuation="plain", max_steps=1, throw=False)


class Die:
    """Something of the user's own that a run depends on."""

    def __init__(self, sides, rolled=0):
        self.sides, self._rolled = sides, rolled


def falling(rate):
    return lambda k: rate / (k + 1)


MIRROR = hq.solvers.StochasticMirror
QUESTIONS = [
    Problem(CHAIN, 1.0), Problem(CHAIN, 1.0, continuation="plain"), Problem(CHAIN, 1.0, entropy="shannon"),
    hq.SampledGame.from_game(PENNIES, num_episodes=7), hq.SampledGame.from_game(PENNIES, num_episodes=8),
    MIRROR(), MIRROR("variance_aware"), MIRROR(0.1), MIRROR(falling(1.0)), MIRROR(falling(2.0)),
    MIRROR(lambda k: k + 1), MIRROR(lambda k: k + 2), MIRROR(lambda k: jnp.sin(k)), MIRROR(lambda k: jnp.cos(k)),
    MIRROR(batch_size=7), MIRROR(averaging=True), MIRROR(level=0.9), MIRROR(interval="normal"), MIRROR(check_every=7),
    hq.solvers.FixedPoint(), hq.solvers.FixedPoint(memory=3),
    Die(6), Die(20), (1, 2), (1, (2,)), ["12"], {"a": 1}, {"b": 1},
]  # fmt: skip


def test_every_field_that_decides_is_in_the_fingerprint():
    prints = [fingerprint(question) for question in QUESTIONS]
    assert len(set(prints)) == len(prints)


def test_a_class_of_the_library_may_be_moved(monkeypatch):
    """A run goes on with its checkpoint also after the file that defines a solver has got another name."""
    before = fingerprint(hq.solvers.FixedPoint()), fingerprint(Die(6))
    monkeypatch.setattr(hq.solvers.FixedPoint, "__module__", "hqre_jax.elsewhere")
    monkeypatch.setattr(Die, "__module__", "elsewhere")
    assert fingerprint(hq.solvers.FixedPoint()) == before[0]
    assert fingerprint(Die(6)) != before[1]


def test_what_changes_no_number_is_not():
    named = hq.NormalFormGame(PENNIES.payoffs, labels=hq.Labels("pennies"))
    pairs = [
        (PENNIES, named),
        (hq.SampledGame.from_game(PENNIES), hq.SampledGame.from_game(PENNIES, num_workers=5)),
        (MIRROR(checkpoint="here"), MIRROR(checkpoint="there")),
        (MIRROR(falling(2.0)), MIRROR(falling(2.0))),
        (Die(6), Die(6, rolled=3)),
    ]
    for one, other in pairs:
        assert fingerprint(one) == fingerprint(other)
