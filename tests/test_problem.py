"""Every verb takes a `Problem` in place of a game with temperatures: the same numbers, posed and centred once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax import problem as room
from hqre_jax.learning import LogitDynamics, play
from hqre_jax.stability import ActionValueEstimates, diagnose

PAYOFFS = np.array([[[3.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [0.0, 3.0]]])
GAME = hq.NormalFormGame(PAYOFFS)
TAU = np.array([0.5, 0.6])
REFERENCE = np.array([[[0.4, 0.6]], [[0.7, 0.3]]])
POLICY = np.array([[[0.2, 0.8]], [[0.5, 0.5]]])
OPTIONS = {"reference": REFERENCE, "continuation": "plain"}
PROBLEM = hq.Problem(GAME, TAU, **OPTIONS)
WARM = hq.Problem(GAME, 5.0)


def drawn(axes):
    return [np.asarray(part.get_xydata() if hasattr(part, "get_xydata") else part.get_bbox())
            for part in (*axes.lines, *axes.patches)]  # fmt: skip


def estimates():
    worth = [np.asarray(hq.Problem(GAME, 1.0).evaluate(jnp.log(p)).action_values) for p in (POLICY, REFERENCE)]
    return [ActionValueEstimates.independent(q, np.zeros_like(q), np.full(q.shape, 1e6)) for q in worth]


# Each verb, asked of a problem and in its short form.
VERBS = {
    "solve": (lambda: hq.solve(PROBLEM), lambda: hq.solve(GAME, TAU, **OPTIONS)),
    "certify": (lambda: hq.certify(PROBLEM, num_starts=4), lambda: hq.certify(GAME, TAU, num_starts=4, **OPTIONS)),
    "trace_branch": (lambda: hq.trace_branch(PROBLEM), lambda: hq.trace_branch(GAME, np.inf, TAU, **OPTIONS)),
    "trace_branch, part": (
        lambda: hq.trace_branch(PROBLEM, 2 * TAU), lambda: hq.trace_branch(GAME, 2 * TAU, TAU, **OPTIONS)
    ),
    "residual": (lambda: hq.residual(PROBLEM, POLICY), lambda: hq.residual(GAME, POLICY, TAU, **OPTIONS)),
    "logit_response": (
        lambda: hq.logit_response(PROBLEM, POLICY), lambda: hq.logit_response(GAME, POLICY, TAU, **OPTIONS)
    ),
    "regularized_gap": (
        lambda: hq.regularized_gap(PROBLEM, POLICY), lambda: hq.regularized_gap(GAME, POLICY, TAU, **OPTIONS)
    ),
    "bayesian_regret": (
        lambda: hq.equilibrium.bayesian_regret(PROBLEM, [POLICY]),
        lambda: hq.equilibrium.bayesian_regret(GAME, [POLICY], TAU, **OPTIONS),
    ),
    "exploitability": (
        lambda: hq.exploitability(PROBLEM, POLICY), lambda: hq.exploitability(GAME, POLICY, TAU, **OPTIONS)
    ),
    "least_temperatures": (lambda: hq.least_temperatures(PROBLEM), lambda: hq.least_temperatures(GAME)),
    "play": (
        lambda: play(PROBLEM, LogitDynamics(0.5), 3, jax.random.key(0)),
        lambda: play(GAME, LogitDynamics(0.5), 3, jax.random.key(0), tau=TAU, **OPTIONS),
    ),
    "diagnose": (
        lambda: diagnose([POLICY, REFERENCE], estimates(), PROBLEM),
        lambda: diagnose([POLICY, REFERENCE], estimates(), TAU, reference=REFERENCE),
    ),
    "plotting.policy": (
        lambda: drawn(hq.plotting.policy(PROBLEM)), lambda: drawn(hq.plotting.policy(hq.solve(GAME, TAU, **OPTIONS)))
    ),
    "plotting.branch": (
        lambda: drawn(hq.plotting.branch(PROBLEM)),
        lambda: drawn(hq.plotting.branch(hq.trace_branch(GAME, np.inf, TAU, **OPTIONS))),
    ),
    "plotting.convergence": (
        lambda: drawn(hq.plotting.convergence(PROBLEM)),
        lambda: drawn(hq.plotting.convergence(hq.solve(GAME, TAU, history=True, **OPTIONS))),
    ),
}  # fmt: skip


def parts(answer):
    """Everything in an answer, however it is nested, but for the question itself."""
    if isinstance(answer, dict | list | tuple):
        values = answer.values() if isinstance(answer, dict) else answer
        return [part for value in values for part in parts(value)]
    if isinstance(answer, hq.Problem | hq.Labels):
        return []
    if hasattr(answer, "__dataclass_fields__"):
        return parts(vars(answer))
    return [answer]


@pytest.mark.parametrize("verb", VERBS)
def test_a_problem_is_as_good_as_a_game_with_temperatures(verb):
    one, two = (parts(form()) for form in VERBS[verb])
    assert len(one) == len(two) > 0
    for x, y in zip(one, two, strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def test_proofs_are_of_a_problem_or_of_a_game_with_temperatures():
    pytest.importorskip("flint")
    proof = hq.prove(WARM)
    assert proof.digest == hq.prove(GAME, tau=5.0).digest
    assert hq.recheck(proof, WARM)
    assert hq.recheck(proof, GAME, 5.0)
    assert not hq.recheck(proof, GAME, 5.5)
    with pytest.raises(hq.InputError, match="give it once, to Problem"):
        hq.recheck(proof, WARM, 5.5)


def test_a_batch_of_problems():
    other = hq.NormalFormGame(np.arange(12.0).reshape(2, 2, 3) % 5)
    games, taus = [GAME, other], [0.5, 0.7]
    listed = hq.solve_batch([hq.Problem(g, t) for g, t in zip(games, taus, strict=True)])
    plain = hq.solve_batch(games, np.asarray(taus)[:, None])
    np.testing.assert_array_equal(listed.policy, plain.policy)
    np.testing.assert_array_equal(listed.residual, plain.residual)
    assert listed.selection.tolist() == plain.selection.tolist()
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(hq.Problem(GAME, t) for t in taus))
    alike = hq.solve_batch(jax.tree.map(lambda x: jnp.stack([x, x]), GAME), np.asarray(taus)[:, None])
    np.testing.assert_array_equal(hq.solve_batch(stacked).policy, alike.policy)
    # References go through their logarithms.
    referred = hq.solve_batch([PROBLEM, hq.Problem(GAME, 2 * TAU, reference=POLICY, continuation="plain")])
    both = hq.solve_batch([GAME, GAME], np.stack([TAU, 2 * TAU]), reference=[REFERENCE, POLICY], continuation="plain")
    np.testing.assert_allclose(referred.policy, both.policy, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("options", "field"),
    [({"tau": 0.7}, "tau"), ({"reference": POLICY}, "reference"), ({"entropy": "shannon"}, "entropy"),
     ({"continuation": "soft"}, "continuation")],
)  # fmt: skip
def test_what_contradicts_a_problem_is_refused(options, field):
    for verb in (
        hq.solve, hq.certify, hq.prove, lambda p, **o: hq.residual(p, POLICY, **o),
        lambda p, **o: play(p, LogitDynamics(0.5), 1, jax.random.key(0), **o),
    ):  # fmt: skip
        with pytest.raises(hq.InputError, match=f"^{field}: .*give it once, to Problem"):
            verb(PROBLEM, **options)
    beside = {"tau_to" if field == "tau" else field: options[field]}
    with pytest.raises(hq.InputError, match="give it once, to Problem"):
        hq.trace_branch(PROBLEM, **beside)
    with pytest.raises(hq.InputError, match="give it once, to Problem"):
        hq.solve_batch([PROBLEM], **{"taus" if field == "tau" else field: options[field]})


def test_what_repeats_a_problem_is_none():
    again = room.posed(PROBLEM, TAU, entropy="kl", **OPTIONS)
    assert again is PROBLEM
    for missing in (lambda: hq.solve(GAME), lambda: hq.residual(GAME, POLICY), lambda: hq.solve_batch([GAME])):
        with pytest.raises(hq.InputError, match=r"^taus?: (is|are) missing"):
            missing()
    with pytest.raises(hq.InputError, match="in one batch"):
        hq.solve_batch([PROBLEM, WARM])
    with pytest.raises(hq.InputError, match=r"^action_mask: "):
        diagnose([POLICY, REFERENCE], estimates(), PROBLEM, action_mask=np.ones((2, 1, 3), bool))


@pytest.fixture
def counted(monkeypatch):
    """How often problems are posed, and payoffs centred: in numpy or by the program for it, or inside of another."""
    count = {"posed": 0, "centred": 0, "centred by the way": 0}

    def counting(name, function):
        def call(*args, **kwargs):
            count[name] += 1
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(hq.Problem, "__init__", counting("posed", hq.Problem.__init__))
    monkeypatch.setattr(room, "_centered_game", counting("centred", room._centered_game))
    centered = hq.NormalFormGame.centered

    def centering(game):
        count["centred" if isinstance(game.payoffs, np.ndarray) else "centred by the way"] += 1
        return centered(game)

    monkeypatch.setattr(hq.NormalFormGame, "centered", centering)
    return count


def test_a_payoff_tensor_is_posed_and_centred_once_on_its_way(counted):
    """From `solve` to certificate, gap and second opinion; by `certify` through all that it tries."""
    fresh = np.pad(PAYOFFS, ((0, 0), (0, 0), (0, 1)))  # nothing of this shape has been compiled here
    sol = hq.solve(fresh_game := hq.NormalFormGame(fresh), 0.4)
    _ = sol.certificate, sol.gap(), hq.certify(sol.problem, num_starts=4), hq.residual(sol.problem, sol.policy)
    assert counted["posed"] == counted["centred"] == 1
    assert counted["centred by the way"] <= 1, "centred inside of another program, too"
    assert hq.certify(fresh_game, 0.4, num_starts=4).verdict == "not_unique"
    assert counted["posed"] == counted["centred"] == 2
    assert counted["centred by the way"] <= 1


def test_under_tracing_it_is_centred_once_too(counted):
    fresh = np.pad(PAYOFFS, ((0, 0), (0, 1), (0, 1)))
    slope = jax.jit(jax.grad(lambda u: hq.solve(hq.NormalFormGame(u), 5.0, solver="newton").policy[0, 0, 0]))(fresh)
    assert np.isfinite(slope).all()
    assert counted["posed"] == counted["centred by the way"] == 1
    assert counted["centred"] == 0


def test_a_problem_keeps_no_number_of_a_trace():
    problem = hq.Problem(GAME, 0.5)
    jax.jit(lambda x: x + problem.centered().game.payoff_range()[0])(0.0)
    assert hq.solve(problem).successful
    moved = jax.tree.map(lambda leaf: leaf, problem)
    assert moved.centered() is not problem.centered()
    assert problem.centered().centered() is problem.centered() is problem.centered()
