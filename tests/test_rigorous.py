"""Proofs with outward rounding: true claims get one, false claims and damaged proofs do not."""

import dataclasses
import json
import statistics
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.bounds import bounds
from hqre_jax.certificates.rigorous import load_proof, prove, recheck
from hqre_jax.certificates.rigorous._box import as_floats, jacobian
from hqre_jax.certificates.rigorous._data import problem_data
from hqre_jax.certificates.rigorous._evaluation import Equations
from hqre_jax.certificates.rigorous._proof import describe
from hqre_jax.games import random as draw

flint = pytest.importorskip("flint")

NUM_GAMES = 88
SOFT, PLAIN, SHANNON = {"continuation": "soft"}, {"continuation": "plain"}, {"entropy": "shannon"}
ZERO_SUM = {"continuation": "zero_sum"}


def seed(k):
    return jax.random.key(k)


# One of each class and option. Others differ from it in every number, but not in shape: little is compiled.
GAMES = {
    "normal_form": (lambda: draw.random_normal_form(seed(0), (3, 2, 4)), [SOFT]),
    "polymatrix": (lambda: draw.random_polymatrix(seed(1), 5, 3), [SOFT]),
    "bayesian": (lambda: draw.random_bayesian(seed(2), (2, 3), (3, 2)), [SOFT]),
    "markov": (lambda: draw.random_markov(seed(3), 3, (3, 2), 0.8), [SOFT, PLAIN, SHANNON]),
    "incomplete_information": (
        lambda: draw.random_incomplete_information_markov(seed(4), 4, (2, 3), (2, 3), 0.8), [SOFT],
    ),
    "public_private": (
        lambda: draw.random_public_private(seed(5), 2, (2, 2), (3, 2), 0.8), [PLAIN],
    ),
    "tree": (lambda: draw.random_extensive_form(seed(6), 2, 4), [SOFT, SHANNON]),
    "zero_sum": (lambda: draw.random_markov(seed(7), 2, (3, 3), 0.8, family="zero_sum"), [ZERO_SUM]),
}  # fmt: skip


@pytest.fixture(scope="module")
def templates():
    out = []
    for name, (build, options) in GAMES.items():
        game = build()
        worth = float(np.max(game.payoff_range())) / (1 - float(getattr(game, "discount", 0)))
        out += [(name, hq.Problem(game, worth, **option), worth) for option in options]
    return out


def random_problem(templates, k):
    """Well conditioned: temperatures of the size of payoffs, different at every decision point."""
    name, problem, worth = templates[k % len(templates)]
    rng = np.random.default_rng(k)

    def replaced(problem, field, values):
        return eqx.tree_at(field, problem, jnp.asarray(values))

    mask, payoffs = np.asarray(problem.mask), np.asarray(problem.game.payoffs)
    payoffs = payoffs * rng.uniform(-1.0, 1.0, payoffs.shape)
    if name == "zero_sum":
        payoffs[1] = -payoffs[0]
    problem = replaced(problem, lambda p: p.game.payoffs, payoffs)
    tau = worth * rng.uniform(0.3, 1.2, mask.shape[:2])
    problem = replaced(problem, lambda p: p.tau, tau)
    if hasattr(problem.game, "transitions"):
        kernel = np.asarray(problem.game.transitions) * rng.uniform(0.2, 1.0, problem.game.transitions.shape)
        total = kernel.sum(-1, keepdims=True)
        problem = replaced(problem, lambda p: p.game.transitions, kernel / np.where(total > 0, total, 1.0))
    if np.asarray(problem.entropy_offset).any():
        problem = replaced(problem, lambda p: p.entropy_offset, tau * np.log(np.maximum(mask.sum(-1), 1)))
    else:
        weights = np.where(mask, rng.uniform(0.2, 1.0, mask.shape), 0.0)
        rho = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300)
        problem = replaced(problem, lambda p: p.log_reference, np.log(np.where(mask, rho, 1.0)))
    return name, problem


@pytest.fixture(scope="module")
def cases(templates):
    """Games of every class, each with a policy as good as a solver leaves it: within about 1e-10 of an HQRE."""
    out = []
    for k in range(NUM_GAMES):
        name, problem = random_problem(templates, k)
        first = prove(problem, "krawczyk", log_policy=problem.log_reference)
        if first is None:
            out.append((name, problem, None))
            continue
        noise = 1e-10 * np.random.default_rng(k).standard_normal(problem.mask.shape)
        with np.errstate(divide="ignore"):
            log_policy = np.where(problem.mask, np.log(first.policy()) + noise, 0.0)
        out.append((name, problem, log_policy))
    return out


@pytest.fixture(scope="module")
def timed(cases):
    """Proofs and the seconds of this process that they took, the first of each shape made twice."""
    for _, problem, policy in cases[:11]:
        prove(problem, "krawczyk", log_policy=policy)
    out = []
    for _, problem, policy in cases:
        start = time.process_time()
        proof = None if policy is None else prove(problem, "krawczyk", log_policy=policy)
        out.append((proof, time.process_time() - start))
    return out


@pytest.fixture(scope="module")
def proofs(timed):
    return [proof for proof, _ in timed]


@eqx.filter_jit
def library_residual(problem, policy):
    log_policy = jnp.log(jnp.where(problem.mask, policy, 1.0))
    return jnp.max(jnp.abs(jnp.where(problem.mask, policy - problem.policy(problem.response_logits(log_policy)), 0.0)))


def test_random_games_get_a_box_fast(cases, timed, capsys):
    """At least 95 % of well-conditioned games, eight a class and option, within 0.1 s each, and the checker agrees."""
    good = [
        (problem, proof, seconds)
        for (_, problem, _), (proof, seconds) in zip(cases, timed, strict=True)
        if proof is not None and seconds <= 0.1
    ]
    assert all(recheck(proof, problem) for problem, proof, _ in good)
    seconds = [seconds for _, seconds in timed]
    radii = [proof.unique_radius for _, proof, _ in good]
    sizes = [len(proof.centre) for _, proof, _ in good]
    with capsys.disabled():
        print(
            f"\n{len(good)}/{NUM_GAMES} proved within 0.1 s: median {1e3 * statistics.median(seconds):.1f} ms, "
            f"max {1e3 * max(seconds):.1f} ms; {min(sizes)}-{max(sizes)} unknowns; "
            f"radius of uniqueness: median {statistics.median(radii):.2g}"
        )
    assert len(good) >= 0.95 * NUM_GAMES
    # Not vacuous: boxes are small where the HQRE is, and not tiny where it is alone.
    assert max(proof.radius for _, proof, _ in good) < 1e-11
    assert statistics.median(radii) > 1e-3


def test_the_library_has_the_same_equations(cases, proofs):
    """Two evaluations that share no code agree on where the HQRE is, for every class and option."""
    compared = [
        (name, float(library_residual(problem, jnp.asarray(proof.policy()))))
        for (name, problem, _), proof in zip(cases, proofs, strict=True)
        if proof is not None
    ]
    assert {name for name, _ in compared} == set(GAMES)
    assert max(size for _, size in compared) < 1e-13


@pytest.mark.parametrize("k", range(11))
def test_derivatives_against_differences(templates, k):
    """Enclosures of derivatives hold those of the same equations in floating numbers."""
    _, problem = random_problem(templates, k)
    data = problem_data(problem)
    equations, floating = Equations(data, flint.arb), Equations(data, float)
    y = np.random.default_rng(k).uniform(0.1, 1.0, equations.size)
    value, slope = jacobian(equations, [flint.arb(v) for v in y.tolist()])
    np.testing.assert_allclose([float(v) for v in value], floating(y.tolist()), rtol=1e-13, atol=1e-13)
    step = 1e-5
    columns = [
        (np.array(floating((y + e).tolist())) - np.array(floating((y - e).tolist()))) / (2 * step)
        for e in step * np.eye(equations.size)
    ]
    np.testing.assert_allclose(as_floats(slope), np.stack(columns, axis=1), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("k", range(11))
def test_enclosures_hold_samples(templates, k):
    """F over a box contains F at points of it."""
    _, problem = random_problem(templates, k)
    equations = Equations(problem_data(problem), flint.arb)
    rng = np.random.default_rng(k)
    y = rng.uniform(0.1, 1.0, equations.size)
    wide = equations([flint.arb(v, 0.01) for v in y.tolist()])
    for _ in range(5):
        inner = y + rng.uniform(-0.01, 0.01, y.size)
        points = equations([flint.arb(v) for v in inner.tolist()])
        assert all(box.contains(point) for box, point in zip(wide, points, strict=True))


def resealed(proof, **changes):
    """A forger who knows the format: the digest and the sentence fit the changed numbers."""
    changed = dataclasses.replace(proof, **changes)
    sentence = describe(changed.kind, changed.radius, changed.unique_radius, changed.bound)
    return dataclasses.replace(changed, statement=sentence).sealed()


def moved_centre(proof, k):
    centre = list(proof.centre)
    centre[k % len(centre)] += 1e-6
    return resealed(proof, centre=centre)


LOCAL_FORGERIES = {
    "centre moved": moved_centre,
    "radius shrunk": lambda proof, k: resealed(proof, radius=proof.radius * 1e-3),
    "radius of uniqueness stretched": lambda proof, k: resealed(proof, unique_radius=proof.unique_radius * 100),
    "unknown dropped": lambda proof, k: resealed(proof, centre=proof.centre[:-1], scales=proof.scales[:-1]),
    "scales forged": lambda proof, k: resealed(proof, scales=[1e-3 * s for s in proof.scales]),
    "digits changed": lambda proof, k: dataclasses.replace(proof, radius=np.nextafter(proof.radius, 1).item()),
    "statement changed": lambda proof, k: dataclasses.replace(proof, statement=proof.statement + "!").sealed(),
    "called global": lambda proof, k: resealed(proof, kind="margin", bound=0.0),
}


@pytest.mark.parametrize("forgery", LOCAL_FORGERIES)
def test_forged_boxes_are_rejected(forgery, cases, proofs):
    tried = 0
    for k, ((_, problem, _), proof) in enumerate(zip(cases, proofs, strict=True)):
        if proof is not None:
            assert not recheck(LOCAL_FORGERIES[forgery](proof, k), problem), f"game {k}"
            tried += 1
    assert tried >= 0.95 * NUM_GAMES


def test_proofs_of_other_problems_are_rejected(cases, proofs, templates):
    """Another game, other temperatures, another continuation; even if the forger swaps the problem's data."""
    step = len(templates)
    for k in range(2 * step):
        (_, problem, _), proof = cases[k], proofs[k]
        _, other, _ = cases[k + step]
        warmer = eqx.tree_at(lambda p: p.tau, problem, problem.tau * (1 + 1e-6))
        wrongs = [other, warmer]
        if problem.game.plays_on:
            swap = {"soft": "plain", "plain": "soft", "zero_sum": "plain"}[problem.continuation]
            wrongs.append(eqx.tree_at(lambda p: p.tau, problem, problem.tau))
            object.__setattr__(wrongs[-1], "continuation", swap)
        for wrong in wrongs:
            assert not recheck(proof, wrong)
            assert not recheck(resealed(proof, problem=problem_data(wrong)), wrong)


def test_files_keep_proofs_exactly(cases, proofs, tmp_path):
    for k in range(11):
        path = tmp_path / f"{k}.json"
        proofs[k].save(path)
        read = load_proof(path)
        assert read.content() == proofs[k].content()
        assert recheck(read, cases[k][1])
        text = path.read_text()
        digits = repr(read.centre[0])
        # Not the last digit: two decimals of 17 digits may name one float.
        spoiled = digits[:-4] + str((int(digits[-4]) + 1) % 10) + digits[-3:]
        assert digits in text
        assert "e" not in digits
        path.write_text(text.replace(digits, spoiled, 1))
        assert not recheck(load_proof(path), cases[k][1])
    for content in ("", "[]", "{}", json.dumps({"problem": {}}), '{"problem": 3}'):
        path.write_text(content)
        with pytest.raises(ValueError, match="is no proof"):
            load_proof(path)


def coordination(scale=1.0):
    return hq.NormalFormGame(scale * np.stack([np.eye(2), np.eye(2)]))


def at_policy(game, tau, p):
    return prove(hq.Problem(game, tau), "krawczyk", log_policy=np.log([[[p, 1 - p]], [[p, 1 - p]]]))


def test_three_equilibria_get_three_separate_boxes():
    """Below τ = c/2 the coordination game has three HQRE; no box of uniqueness reaches a neighbour."""
    game, tau = coordination(), 0.4
    three = [at_policy(game, tau, p) for p in (0.95, 0.5, 0.05)]
    for proof in three:
        assert recheck(proof, game, tau)
    logits = [proof.centre[0] for proof in three]
    # The outer two solve z = tanh(z/2)/τ.
    np.testing.assert_allclose(logits[0], np.tanh(logits[0] / 2) / tau, rtol=1e-14)
    np.testing.assert_allclose(logits[1:], [0.0, -logits[0]], rtol=1e-14)
    for a in range(3):
        assert not three[a].excludes(three[a])
        for b in range(a):
            assert three[a].excludes(three[b])
            assert three[a].unique_radius < abs(logits[a] - logits[b])


def test_nothing_is_proved_at_the_bifurcation():
    """At τ = c/2 the Jacobian at the uniform policy is singular and the margin is 0: no proof of any kind."""
    weights = np.ones((2, 1))
    for scale in (1.0, 0.7):
        problem = hq.Problem(coordination(scale), scale / 2)
        assert at_policy(problem.game, scale / 2, 0.5) is None
        assert prove(problem, "margin", weights=weights) is None
        assert prove(problem, "contraction") is None
    near = [at_policy(coordination(), 0.5 * (1 + gap), 0.5) for gap in (1e-2, 1e-4)]
    # Near it the boxes shrink with the distance to the two HQRE that are about to split off.
    assert near[0].unique_radius > 5 * near[1].unique_radius > 0
    above = hq.Problem(coordination(), 0.5 * (1 + 1e-4))
    proof = prove(above, "margin", weights=weights)
    assert recheck(proof, above)
    assert proof.bound == pytest.approx(0.5e-4, rel=1e-2)


BOTH, MARGIN, FACTOR = ("margin", "contraction"), ("margin",), ("contraction",)
GLOBAL = {
    "normal_form": (lambda: draw.random_normal_form(seed(0), (3, 2, 4)), 2.0, "soft", BOTH),
    "zero_sum": (lambda: draw.random_normal_form(seed(0), (3, 3), family="zero_sum"), 0.01, "soft", MARGIN),
    "polymatrix": (lambda: draw.random_polymatrix(seed(1), 4, 3), 6.0, "soft", BOTH),
    "bayesian": (lambda: draw.random_bayesian(seed(2), (2, 3), (3, 2)), 2.0, "soft", BOTH),
    "markov_soft": (lambda: draw.random_markov(seed(3), 3, (3, 2), 0.5), 8.0, "soft", FACTOR),
    "markov_plain": (lambda: draw.random_markov(seed(3), 3, (3, 2), 0.5), 8.0, "plain", FACTOR),
    "markov_zero_sum": (
        lambda: draw.random_markov(seed(3), 3, (3, 2), 0.9, family="zero_sum"), 0.1, "zero_sum", FACTOR,
    ),
    "public_private": (lambda: draw.random_public_private(seed(5), 2, (2, 2), (3, 2), 0.5), 8.0, "soft", FACTOR),
}  # fmt: skip


@pytest.mark.parametrize("name", GLOBAL)
def test_global_proofs_agree_with_the_bounds(name):
    """Exact claims a little weaker than the floating bounds; nothing better can be forged."""
    build, tau, continuation, kinds = GLOBAL[name]
    problem = hq.Problem(build(), tau, continuation=continuation)
    known = bounds(problem)
    for kind in kinds:
        proof = prove(problem, kind)
        assert recheck(proof, problem)
        if kind == "margin":
            assert 0 < proof.bound <= float(known.margin) * (1 + 1e-9)
            assert proof.bound == pytest.approx(float(known.margin), rel=1e-4)
            better = resealed(proof, bound=proof.bound * 1.01)
        else:
            assert 1 > proof.bound >= float(known.contraction) * (1 - 1e-9)
            assert proof.bound == pytest.approx(float(known.contraction), rel=1e-4)
            better = resealed(proof, bound=proof.bound * 0.99)
        forged = [
            better,
            resealed(proof, vector=[-z for z in proof.vector]),
            resealed(proof, vector=proof.vector[:-1]),
            dataclasses.replace(proof, vector=[2 * z for z in proof.vector]),
        ]
        if name not in ("zero_sum", "markov_zero_sum"):  # there the matrix is diagonal: any positive vector will do
            forged.append(resealed(proof, vector=[z * 50**k for k, z in enumerate(proof.vector)]))
        if kind == "margin":
            forged.append(resealed(proof, weights=[v * 50**k for k, v in enumerate(proof.weights)]))
        assert not any(recheck(f, problem) for f in forged)
        colder = eqx.tree_at(lambda p: p.tau, problem, problem.tau * 0.999)
        assert not recheck(proof, colder)


def test_unreached_types_must_pass_too():
    """A coordination game among types of probability zero has several HQRE at low τ: nothing is proved."""
    prior = np.array([[1.0, 0.0], [0.0, 0.0]])
    payoffs = np.zeros((2, 2, 2, 2, 2))
    payoffs[:, 1, 1] = np.eye(2)
    game = hq.BayesianGame(prior, payoffs)
    weights = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert prove(hq.Problem(game, 0.2), "margin", weights=weights) is None
    assert prove(hq.Problem(game, 0.2), "contraction") is None
    # Unreached types believe in uniform types, so that half of the interaction counts: the threshold is ¼.
    warm = hq.Problem(game, 0.26)
    assert recheck(prove(warm, "margin", weights=weights), warm)


def test_zero_sum_claims_need_opposed_payoffs_exactly():
    game = draw.random_markov(seed(3), 2, (2, 2), 0.9, family="zero_sum")
    payoffs = np.asarray(game.payoffs).copy()
    payoffs[1, 0, 0, 0] = np.nextafter(payoffs[1, 0, 0, 0], 9)
    assert prove(hq.Problem(hq.MarkovGame(payoffs, game.transitions, 0.9), 0.1, continuation="zero_sum")) is None
    assert prove(hq.Problem(game, 0.1, continuation="zero_sum")).kind == "contraction"


def test_low_temperatures_lose_no_digits():
    """Odds of e^±3000 do not fit floating probabilities; logits and balls hold them."""
    game = hq.NormalFormGame(np.array([[[3.0, 0.0], [5.0, 1.0]], [[3.0, 5.0], [0.0, 1.0]]]))
    sol = hq.solve(game, 1e-3)
    proof = prove(sol)
    assert recheck(proof, game, 1e-3)
    assert proof.radius < 1e-9
    np.testing.assert_allclose(proof.centre, [-1000.0, -1000.0], rtol=1e-12)


def test_missing_flint_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ValueError, match=r"^rigorous: needs python-flint: pip install 'hqre-jax\[rigorous\]'$"):
        prove(hq.Problem(coordination(), 1.0))


def test_problems_without_a_policy_or_a_theorem():
    tree = hq.Problem(GAMES["tree"][0](), 1.0)
    assert prove(tree) is None
    with pytest.raises(ValueError, match="log_policy"):
        prove(tree, "krawczyk")
