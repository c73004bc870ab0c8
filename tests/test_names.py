"""Names belong to their game, and compile nothing anew."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import hqre_jax as hq
from hqre_jax.core._programs import compiled, unnamed
from hqre_jax.games._world_states import StageGame
from hqre_jax.solvers.batch import lay_out

PAYOFFS = np.arange(8.0).reshape(2, 2, 2)


def named(title, payoffs=PAYOFFS):
    return hq.NormalFormGame(payoffs, labels=hq.Labels(title=title, players=("Row", "Column")))


def test_a_compiled_function_returns_the_names_of_its_argument():
    pass_through = eqx.filter_jit(lambda game: game)
    for title in ("first", "second", "first"):
        assert pass_through(named(title)).labels.title == title
        assert jax.jit(lambda game: game.centered())(named(title)).labels.title == title


def test_labels_are_equal_if_their_names_are():
    assert named("a").labels == named("a").labels != named("b").labels
    assert len({named("a").labels, named("a").labels, named("b").labels}) == 2
    # Whoever gives lists, where nobody checks annotations, gets what can be hashed.
    listed = object.__new__(hq.Labels)
    for name, value in {**vars(hq.Labels()), "actions": [[["left", "right"]]]}.items():
        object.__setattr__(listed, name, value)
    listed.__post_init__()
    assert hash(listed) == hash(hq.Labels(actions=((("left", "right"),),)))


def test_own_programs_are_compiled_once_for_all_names():
    traces = []

    @compiled
    def total(game):
        traces.append(game.labels)
        return game.payoffs.sum()

    assert {float(total(named(title))) for title in ("one", "two")} == {28.0}
    assert traces == [hq.Labels()]
    sampled = hq.SampledGame.from_game(named("one"))
    stage = StageGame(named("two"), jnp.zeros((2, 0)))
    for game in (sampled, stage):
        assert unnamed((game, {"key": game}))[0].labels == hq.Labels()
    assert unnamed(sampled).simulator.labels == unnamed(stage).game.labels == hq.Labels()
    plain = unnamed(sampled)
    assert unnamed(plain) is plain
    assert len(lay_out([named("one"), named("two")], 1.0, None, None, "soft").groups) == 1
    assert [s.problem.game.labels.title for s in hq.solve_batch([named("one"), named("two")], 9.0)] == ["one", "two"]
