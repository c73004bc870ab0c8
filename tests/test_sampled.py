"""Sampled games against the exact games that they play: simulators, probes, logs, intervals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from host_games import Crashing, HostBayesian

import hqre_jax as hq
from hqre_jax.core._programs import compiled
from hqre_jax.sampled import Moments, half_widths

KEY = jax.random.key(31)
TAU = 0.8
# Every kind of game with the continuation that it is asked about, small enough for one compilation each.
GAMES = {
    "normal_form": (hq.games.random.random_normal_form(KEY, (3, 2)), "soft"),
    "polymatrix": (hq.games.random.random_polymatrix(KEY, 3, 2, graph="cycle"), "soft"),
    "bayesian": (hq.games.random.random_bayesian(KEY, (2, 2), (2, 2)), "soft"),
    "markov": (hq.games.random.random_markov(KEY, 2, (2, 2), 0.5, family="zero_sum"), "zero_sum"),
    "public_private": (hq.games.random.random_public_private(KEY, 2, (2, 1), (2, 2), 0.5), "soft"),
    "incomplete_information": (
        hq.games.random.random_incomplete_information_markov(KEY, 3, (2, 2), (2, 2), 0.5),
        "soft",
    ),
    "tree": (hq.games.random.random_extensive_form(jax.random.key(4), 2, 4), "soft"),
}
NUM_PROBES = 20_000


def truth(game, continuation, policy):
    """Exact action values of a policy."""
    problem = hq.Problem(game, TAU, continuation=continuation)
    log_policy = jnp.where(game.action_mask, jnp.log(jnp.where(game.action_mask, policy, 1.0)), 0.0)
    return np.asarray(action_values(problem, log_policy)), problem, log_policy


@compiled
def action_values(problem, log_policy):
    return problem.evaluate(log_policy).action_values


def z_scores(estimate, exact, mask):
    """Errors in standard errors, at cells that were visited often enough to have one."""
    known = np.asarray(mask) & (np.asarray(estimate.counts) >= 20)
    error = np.asarray(estimate.action_values) - exact
    # Where nothing varies, the estimate must be exact but for rounding.
    rounding = 1e-12
    return np.where(np.abs(error) <= rounding, 0.0, error / np.maximum(estimate.standard_errors, rounding))[known]


@pytest.mark.parametrize("kind", GAMES)
def test_fresh_plays_estimate_the_exact_action_values(kind):
    game, continuation = GAMES[kind]
    policy = hq.games.random.random_policy(jax.random.key(1), game)
    exact, _, _ = truth(game, continuation, policy)
    sampled = hq.SampledGame.from_game(game, horizon=20) if game.plays_on and kind != "tree" else None
    sampled = sampled or hq.SampledGame.from_game(game)
    problem = hq.Problem(sampled, TAU, continuation=continuation)
    estimate = hq.sampled.estimate_action_values(problem, policy, NUM_PROBES, jax.random.key(2))
    scores = z_scores(estimate, exact, game.action_mask)
    # A normal variable exceeds 4.5 once in 150,000 times; there are fewer than 40 cells.
    assert np.abs(scores).max() < 4.5
    assert len(scores) >= 0.9 * np.asarray(game.action_mask).sum()
    # Where nobody's beliefs move, cells take turns: that is what T5 asks for.
    if sampled.covers_all:
        counts = np.asarray(estimate.counts)[np.asarray(game.action_mask)]
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("method", ["importance", "doubly_robust", "temporal_difference", "on_policy"])
@pytest.mark.parametrize("kind", ["tree", "markov"])
def test_logged_play_estimates_without_bias_and_with_honest_errors(kind, method):
    """Over seeds: the mean error is a few of its own standard errors, and 95 % intervals cover about 95 %."""
    game, continuation = GAMES[kind]
    policy = hq.games.random.random_policy(jax.random.key(1), game)
    uniform = np.asarray(game.action_mask) / np.maximum(np.asarray(game.action_mask).sum(-1, keepdims=True), 1)
    behaviour = policy if method == "on_policy" else 0.5 * policy + 0.5 * uniform
    exact, _, _ = truth(game, continuation, policy)
    # Long enough for 2^-horizon to be far below the standard errors.
    sampled = hq.SampledGame.from_game(game, horizon=24 if kind == "markov" else None)
    problem = hq.Problem(sampled, TAU, continuation=continuation)
    seeds, scores = 12, []
    for seed in range(seeds):
        episodes = sampled.play(behaviour, 1500, jax.random.key(seed))
        name = "importance" if method == "on_policy" else method
        # Doubly robust estimates are without bias whatever the baseline: here a poor one.
        baseline = jnp.where(game.action_mask, 2.0 - 2.0 * jnp.arange(game.num_actions), 0.0)
        more = {"baseline": baseline} if method == "doubly_robust" else {}
        estimate = hq.sampled.action_values_from_log(problem, episodes, policy, method=name, **more)
        errors = np.asarray(estimate.standard_errors)
        # Where nothing varies but the last digits, the value must be exact but for those.
        sure = np.asarray(game.action_mask) & (errors <= 1e-9)
        np.testing.assert_allclose(np.asarray(estimate.action_values)[sure], exact[sure], atol=1e-8)
        often = np.asarray(game.action_mask) & (np.asarray(estimate.counts) >= 50) & (errors > 1e-9)
        scores.append(
            np.where(often, (np.asarray(estimate.action_values) - exact) / np.where(often, errors, 1), np.nan)
        )
    scores = np.stack(scores)
    always = ~np.isnan(scores).any(axis=0)
    assert always.sum() >= 4
    scores = scores[:, always]
    assert np.abs(scores.mean(axis=0)).max() * np.sqrt(seeds) < 4.5
    assert 0.88 <= (np.abs(scores) < 1.96).mean() <= 0.99


METHODS = ("importance", "doubly_robust", "temporal_difference")


@pytest.fixture(scope="module")
def tree_plays():
    """The tree of above: its problem, a policy, exact values, and uniform play."""
    game, continuation = GAMES["tree"]
    policy = np.asarray(hq.games.random.random_policy(jax.random.key(1), game))
    exact, _, _ = truth(game, continuation, policy)
    sampled = hq.SampledGame.from_game(game)
    uniform = np.asarray(game.action_mask) / np.maximum(np.asarray(game.action_mask).sum(-1, keepdims=True), 1)
    problem = hq.Problem(sampled, TAU, continuation=continuation)
    return game, problem, policy, exact, uniform, sampled.play(uniform, 1500, jax.random.key(8))


@pytest.mark.parametrize("method", METHODS)
def test_a_failed_play_is_left_out(tree_plays, method):
    """Whatever stands in it, and as if it had never been there."""
    _, problem, policy, _, _, episodes = tree_plays
    failed = np.arange(1500) % 50 == 0
    gone = jnp.asarray(failed)[:, None, None]
    ruined = episodes._replace(
        failed=jnp.asarray(failed),
        log_propensities=jnp.where(gone, jnp.nan, episodes.log_propensities),
        rewards=jnp.where(gone, jnp.nan, episodes.rewards),
    )
    empty = episodes._replace(failed=jnp.asarray(failed), states=jnp.where(gone, -1, episodes.states))
    first, second = (
        hq.sampled.action_values_from_log(problem, plays, policy, method=method) for plays in (ruined, empty)
    )
    assert np.isfinite(first.action_values).all()
    assert int(first.num_failed) == 30
    for name in first._fields:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("method", METHODS)
def test_useless_plays_say_so(tree_plays, method):
    """A weight beyond all numbers is refused; a cell that one play decides has no error of its own."""
    game, problem, policy, _, _, episodes = tree_plays
    first = np.argwhere(np.asarray(episodes.states[0]) >= 0)[0]
    place = (0, *first)
    hopeless, useless = (
        episodes._replace(log_propensities=episodes.log_propensities.at[place].set(size)) for size in (-800.0, -60.0)
    )
    where = ", ".join(map(str, place))
    with pytest.raises(hq.InputError, match=rf"episodes.log_propensities\[{where}\]: is -800.0.*leave it out"):
        hq.sampled.action_values_from_log(problem, hopeless, policy, method=method)
    found = hq.sampled.action_values_from_log(problem, useless, policy, method=method)
    assert np.isfinite(found.action_values).all()
    one = found.effective_sample_size[np.asarray(game.action_mask)] < 1.5
    assert one.any()
    assert np.isinf(found.standard_errors[np.asarray(game.action_mask)][one]).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["tree", "markov"])
def test_lack_of_support_travels_up(kind, method):
    """One action of one point is never taken: values that rest on it have infinite errors, the others are right."""
    game, continuation = GAMES[kind]
    policy = np.asarray(hq.games.random.random_policy(jax.random.key(1), game))
    exact, _, _ = truth(game, continuation, policy)
    sampled = hq.SampledGame.from_game(game, horizon=24 if kind == "markov" else None)
    problem = hq.Problem(sampled, TAU, continuation=continuation)
    mask = np.asarray(game.action_mask)
    for i, x in np.argwhere(mask.sum(-1) > 1)[:4]:
        behaviour = mask / np.maximum(mask.sum(-1, keepdims=True), 1)
        behaviour[i, x] = np.where(np.arange(mask.shape[2]) == 0, 0.0, mask[i, x] / (mask[i, x].sum() - 1))
        episodes = sampled.play(behaviour, 1500, jax.random.key(3))
        found = hq.sampled.action_values_from_log(problem, episodes, policy, method=method)
        assert np.isinf(found.standard_errors[i, x, 0])
        known = np.asarray(found.counts) * np.isfinite(found.standard_errors)
        assert np.abs(z_scores(found._replace(counts=known), exact, mask)).max(initial=0.0) < 4.5
        # Play goes on for ever in the Markov game: everything rests on it.
        assert (known >= 20).any() == (kind == "tree")


def test_doubly_robust_estimates_vary_less():
    game, continuation = GAMES["markov"]
    policy = hq.games.random.random_policy(jax.random.key(1), game)
    exact, _, _ = truth(game, continuation, policy)
    sampled = hq.SampledGame.from_game(game, horizon=24)
    problem = hq.Problem(sampled, TAU, continuation=continuation)
    uniform = np.full(policy.shape, 0.5)
    episodes = sampled.play(uniform, 1500, jax.random.key(5))
    plain = hq.sampled.action_values_from_log(problem, episodes, policy, method="importance")
    robust = hq.sampled.action_values_from_log(problem, episodes, policy, baseline=jnp.asarray(exact))
    assert (np.asarray(robust.standard_errors) < np.asarray(plain.standard_errors)).all()
    # Weights cost observations.
    assert (np.asarray(plain.effective_sample_size) <= np.asarray(plain.counts) + 1e-9).all()


@pytest.mark.parametrize("kind", ["tree", "bayesian"])
def test_a_log_says_as_much_as_the_plays(kind):
    game, continuation = GAMES[kind]
    policy = hq.games.random.random_policy(jax.random.key(1), game)
    sampled = hq.SampledGame.from_game(game)
    problem = hq.Problem(sampled, TAU, continuation=continuation)
    episodes = sampled.play(policy, 300, jax.random.key(5))
    back = hq.sampled.Episodes.from_log(episodes.to_log(sampled), sampled)
    first, again = (
        hq.sampled.action_values_from_log(problem, plays, policy, method="temporal_difference")
        for plays in (episodes, back)
    )
    np.testing.assert_allclose(first.action_values, again.action_values, atol=1e-12)
    np.testing.assert_array_equal(first.counts, again.counts)


def test_intervals_hold_all_cells_at_once():
    """The finite-sample interval misses no cell in any of many repetitions; the level asks for one in 20 at most."""
    game, continuation = GAMES["bayesian"]
    policy = hq.games.random.random_policy(jax.random.key(1), game)
    exact, problem, log_policy = truth(game, continuation, policy)
    sampled = hq.SampledGame.from_game(game)
    bonus, cells = problem.bonus(log_policy), int(game.action_mask.sum())

    @jax.jit
    def missed(key):
        moments = sampled.probe(key, log_policy, bonus, continuation, 400)
        reach = half_widths(moments, jnp.log(0.05 / cells), sampled.return_width(bonus, continuation), "bernstein")
        centre = moments.total / moments.weight
        return jnp.any(game.action_mask & (jnp.abs(centre - exact) > reach)), jnp.max(
            jnp.where(game.action_mask, reach, 0)
        )

    missing, reach = jax.vmap(missed)(jax.random.split(jax.random.key(3), 200))
    assert np.mean(missing) <= 0.05
    # And it says something: less than the range of payoffs.
    assert float(reach.max()) < 0.9 * float(np.max(game.payoff_range()))


def test_moments_add_up():
    game, continuation = GAMES["bayesian"]
    policy = hq.games.random.random_policy(jax.random.key(1), game)
    _, problem, log_policy = truth(game, continuation, policy)
    sampled = hq.SampledGame.from_game(game)
    parts = [sampled.probe(jax.random.key(k), log_policy, problem.bonus(log_policy), continuation, 64) for k in (0, 1)]
    both = parts[0].plus(parts[1])
    assert int(both.episodes) == 128
    np.testing.assert_allclose(both.total, parts[0].total + parts[1].total)
    nothing = Moments.zero(game.action_mask, game.dtype)
    np.testing.assert_array_equal(nothing.plus(parts[0]).visits, parts[0].visits)


@pytest.mark.parametrize("num_workers", [1, 3])
def test_host_simulators_give_the_same_whatever_the_number_of_threads(num_workers):
    game, continuation = GAMES["bayesian"]
    policy = hq.games.random.random_policy(jax.random.key(1), game)
    exact, _, _ = truth(game, continuation, policy)
    sampled = hq.SampledGame(HostBayesian(game), num_workers=num_workers)
    problem = hq.Problem(sampled, TAU, continuation=continuation)
    estimate = hq.sampled.estimate_action_values(problem, policy, 4000, jax.random.key(2))
    assert np.abs(z_scores(estimate, exact, game.action_mask)).max() < 4.5
    alone = hq.SampledGame(HostBayesian(game), num_workers=2)
    other = hq.sampled.estimate_action_values(hq.Problem(alone, TAU), policy, 4000, jax.random.key(2))
    np.testing.assert_array_equal(estimate.action_values, other.action_values)
    np.testing.assert_array_equal(estimate.standard_errors, other.standard_errors)


def test_failed_plays_are_counted_and_left_out():
    game, continuation = GAMES["bayesian"]
    policy = hq.games.random.random_policy(jax.random.key(1), game)
    exact, _, _ = truth(game, continuation, policy)
    sampled = hq.SampledGame(Crashing(game))
    problem = hq.Problem(sampled, TAU, continuation=continuation)
    with pytest.warns(RuntimeWarning, match="out of order"):
        estimate = hq.sampled.estimate_action_values(problem, policy, 4000, jax.random.key(2))
    assert int(estimate.num_failed) > 0
    assert int(estimate.num_failed) + int(estimate.num_episodes) == 4000
    assert int(np.asarray(estimate.counts).sum()) == int(estimate.num_episodes)
    assert np.abs(z_scores(estimate, exact, game.action_mask)).max() < 4.5
    with pytest.warns(RuntimeWarning, match="out of order"):
        episodes = sampled.play(policy, 1000, jax.random.key(2))
    log = episodes.to_log(sampled)
    assert log.num_episodes == 1000
    assert log.failed.any()
    assert np.isnan(log.payoff[log.failed]).all()


def test_bad_descriptions_are_named():
    game, _ = GAMES["bayesian"]
    with pytest.raises(hq.InputError, match=r"^simulator: is a int"):
        hq.SampledGame(3)
    with pytest.raises(hq.InputError, match=r"^num_episodes: is 0"):
        hq.SampledGame.from_game(game, num_episodes=0)
    simulator = HostBayesian(game)
    simulator.return_high = simulator.return_low - 1
    with pytest.raises(hq.InputError, match=r"return_high: must be finite and no less"):
        hq.SampledGame(simulator)
    with pytest.raises(hq.InputError, match=r"^problem: is not of a sampled game"):
        hq.sampled.estimate_action_values(hq.Problem(game, TAU), hq.games.random.random_policy(KEY, game), 10, KEY)
