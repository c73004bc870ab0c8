"""What a few plays say is computed in numpy: as programs compute it, and without any."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.core import _programs

MASK = np.array([[[True] * 3, [True, True, False]], [[True] * 3, [True] * 3]])


@pytest.fixture(autouse=True)
def nothing_was_asked(monkeypatch):
    monkeypatch.setattr(_programs, "_ASKED", type(_programs._ASKED)())


def interior(seed):
    weights = np.where(MASK, np.random.default_rng(seed).random(MASK.shape) + 0.1, 0.0)
    return weights / weights.sum(-1, keepdims=True)


def plays(seed, count=300):
    """Actions, payoffs and information states, of which some are not known."""
    rng = np.random.default_rng(seed)
    states, payoffs = rng.integers(0, 2, (count, 2)), rng.normal(size=(count, 2))
    actions = np.where(rng.random((count, 2)) < 0.05, -1, rng.integers(0, 2, (count, 2)))
    return actions, np.where(rng.random((count, 2)) < 0.05, np.nan, payoffs), states


def estimated(seed, **options):
    actions, payoffs, states = plays(seed)
    kind = hq.stability.ActionValueEstimates
    return kind.from_rollouts(actions, payoffs, MASK, information_states=states, **options)


def everything():
    """What stability is judged by, once for every formula."""
    p, q, tau = interior(0), interior(1), [0.5, 0.7]
    here, there = estimated(0), estimated(1, cluster=np.arange(300) // 3, payoff_range=(-9.0, 9.0))
    said = [here, there, hq.stability.ActionValueEstimates.independent(p, q, 100 * q)]
    for step in (0.3, np.inf):
        said.append(hq.stability.directional(p, q, here, there, tau, step=step, action_mask=MASK))
    for reference in (None, q):
        said.append(hq.stability.soft_gap(p, here, tau, reference=reference, action_mask=MASK))
        said.append(hq.stability.effective_temperature(p, here, reference=reference, action_mask=MASK))
    path = np.stack([p, q, p, 0.5 * (p + q)])
    return [*said, hq.stability.oscillation_index(path), hq.stability.drift_index(path)]


def test_what_plays_say_is_what_programs_say(counted_programs, monkeypatch):
    with counted_programs() as compiling:
        early = everything()
    assert not {name for name in compiling if "_" in name} & {"jit(_means)", "jit(_directional)", "jit(_soft_gap)"}
    monkeypatch.setattr(_programs, "_OFTEN", 0)
    with counted_programs() as compiling:
        late = everything()
    assert {"jit(_means)", "jit(_directional)", "jit(_soft_gap)"} <= set(compiling)
    assert jax.tree.structure(early) == jax.tree.structure(late)
    for first, second in zip(jax.tree.leaves(early), jax.tree.leaves(late), strict=True):
        assert (type(first), first.shape, first.dtype) == (type(second), second.shape, second.dtype)
        np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("probability", [0.75, 0.975, 0.9999, 1 - 1e-7])
def test_quantiles_are_those_of_programs(monkeypatch, probability):
    """Of more degrees of freedom JAX's incomplete beta function has fewer digits."""
    freedom = jnp.asarray([1.0, 1.5, 4.0, 30.0, 399.0, 5e3, 1e6])
    early = hq.stability.student_quantile(probability, freedom)
    monkeypatch.setattr(_programs, "_OFTEN", 0)
    late = hq.stability.student_quantile(probability, freedom)
    np.testing.assert_allclose(early[:-2], late[:-2], rtol=1e-12)
    np.testing.assert_allclose(early, late, rtol=2e-9)


def test_the_first_few_of_a_shape_are_followed_by_programs(counted_programs, monkeypatch):
    monkeypatch.setattr(_programs, "_OFTEN", 2)
    counts = []
    for seed in range(4):
        actions, payoffs, states = (np.vstack([part[:41], part[:41]]) for part in plays(seed))
        with counted_programs() as compiling:
            hq.stability.ActionValueEstimates.from_rollouts(actions, payoffs, MASK, information_states=states)
        counts.append(compiling.count("jit(_means)"))
    assert counts == [0, 0, 1, 0]
