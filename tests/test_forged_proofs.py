"""Whoever changes a proof and seals it anew has made another true one, or is refused, soon and in one line."""

import copy
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hqre_jax as hq
from hqre_jax.certificates.rigorous import load_proof, prove, recheck
from hqre_jax.certificates.rigorous._data import problem_data
from hqre_jax.certificates.rigorous._proof import describe
from hqre_jax.problem import Problem

pytest.importorskip("flint")
mpmath = pytest.importorskip("mpmath")

FIELDS = (
    "kind", "radius", "unique_radius", "centre", "scales", "bound", "weights", "vector", "bits", "problem",
)  # fmt: skip

# Three HQRE below τ = ½: both players' logits are 0 or ±z with z = tanh(z/2)/τ, by the monotone best reply.
COORDINATION = Problem(hq.NormalFormGame(np.stack([np.eye(2), np.eye(2)])), 0.4)
# One HQRE, by margin and by contraction. Differences of differences are 3 and 2.
UNIQUE = Problem(hq.NormalFormGame(np.array([[[1.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [0.0, 0.0]]])), [0.9, 0.8])
# All that a Markov game has: values among the unknowns, and contraction alone.
MARKOV = Problem(
    hq.MarkovGame(
        np.arange(16.0).reshape(2, 2, 2, 2) % 5, np.full((2, 2, 2, 2), 0.5) + 0.1 * np.array([1, -1]), discount=0.5
    ),
    20.0,
)


@pytest.fixture(scope="module")
def proofs():
    policy = np.log([[[0.95, 0.05]], [[0.95, 0.05]]])
    return {
        "krawczyk": (COORDINATION, prove(COORDINATION, "krawczyk", log_policy=policy)),
        "margin": (UNIQUE, prove(UNIQUE, "margin")),
        "contraction": (UNIQUE, prove(UNIQUE, "contraction")),
        "markov": (MARKOV, prove(MARKOV, "contraction")),
        "markov box": (MARKOV, prove(MARKOV, "krawczyk", log_policy=MARKOV.log_reference)),
    }


def forged(proof, **changes):
    """The proof with other fields, whatever they are, and where they can be sealed with the digest of those."""
    out = copy.copy(proof)
    for name, value in changes.items():
        object.__setattr__(out, name, value)
    try:
        object.__setattr__(out, "statement", describe(out.kind, out.radius, out.unique_radius, out.bound))
        object.__setattr__(out, "digest", out.seal())
    except (TypeError, ValueError, AttributeError):
        pass
    return out


def is_true(proof, problem):
    """Whether the claim holds, by what is known of these games: digits enough, and no interval of this library."""
    with mpmath.workdps(60):
        if problem is COORDINATION:
            if proof.kind != "krawczyk":
                return False
            z = mpmath.findroot(lambda z: z - mpmath.tanh(z / 2) / mpmath.mpf(0.4), 2)
            gaps = [max(abs(c - e) for c in map(mpmath.mpf, proof.centre)) for e in (-z, mpmath.mpf(0), z)]
            alone = sum(gap <= proof.unique_radius for gap in gaps) == 1
            return min(gaps) <= proof.radius and alone
        if problem is UNIQUE and proof.kind == "margin":
            return proof.bound <= best_margin()
        if problem is UNIQUE and proof.kind == "contraction":
            return proof.bound >= math.sqrt(3 / 4 / 0.9 * 2 / 4 / 0.8) * (1 - 1e-15)
    return None  # nothing is known but that the original is true


def best_margin():
    """The largest margin of UNIQUE over all weights: least eigenvalue of ``[[τ₁, −c], [−c, τ₂]]``."""
    ratio = np.linspace(0.3, 3.0, 100_001)
    u = np.array([3.0, 2.0])
    c = (u[0] * ratio + u[1] / ratio) / 8
    return np.max(0.85 - np.sqrt(0.05**2 + c**2)) * (1 + 1e-8)


def test_all_kinds_are_there_and_true(proofs):
    for problem, proof in proofs.values():
        assert recheck(proof, problem)
        assert is_true(proof, problem) in (True, None)


numbers = st.one_of(
    st.floats(),
    st.floats(-2, 2),
    st.sampled_from([0.0, -0.0, 5e-324, 1e308, 1e-300, 1.0, math.inf, -math.inf, math.nan]),
)
junk = st.one_of(
    numbers,
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.sampled_from([10**9, -(10**30), 10**5000, "0.5", "foo", "margin", "contraction", "krawczyk", b"x", (), {}, 1j]),
    st.lists(st.one_of(numbers, st.sampled_from(["1.0", None, True, 10**400, [1.0]])), max_size=5),
    st.builds(lambda n: [0.1] * n, st.sampled_from([0, 1, 2, 4, 1000])),
    st.builds(np.array, st.lists(numbers, max_size=3)),
)


@st.composite
def changes(draw, proof):
    """Some fields of a true proof, replaced: by anything, by near numbers, or by one with an entry changed."""
    out = {}
    for name in draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=2, unique=True)):
        value: Any = getattr(proof, name)
        if isinstance(value, float) and draw(st.booleans()):
            out[name] = value * draw(st.sampled_from([1 - 1e-15, 1 + 1e-15, 0.5, 0.9, 1.1, 2.0, 10.0, -1.0]))
        elif isinstance(value, list) and value and draw(st.booleans()):
            k = draw(st.integers(0, len(value) - 1))
            out[name] = [*value[:k], draw(junk), *value[k + 1 :]]
        elif name == "problem" and draw(st.booleans()):
            key = draw(st.sampled_from(sorted(value)))
            out[name] = {**value, key: draw(st.one_of(junk, st.just(np.array(str(value[key])))))}
        else:
            out[name] = draw(junk)
    return out


@pytest.mark.parametrize("name", ["krawczyk", "margin", "contraction", "markov", "markov box"])
def test_changed_and_resealed_proofs_are_refused_unless_true(proofs, name):
    problem, proof = proofs[name]
    accepted = []

    @settings(max_examples=100)
    @given(changes(proof))
    def check(change):
        fake = forged(proof, **change)
        if recheck(fake, problem):
            # Only these leave another true proof.
            assert change.keys() <= {
                "radius",
                "unique_radius",
                "scales",
                "bound",
                "weights",
                "vector",
                "bits",
                "centre",
            }
            assert fake.fault() is None
            assert is_true(fake, problem) in (True, None)
            accepted.append(fake)

    check()


# Each number of a statement has a side on which it lies.
LIES = {
    "krawczyk": [{"radius": 1e-40}, {"unique_radius": 10.0}, {"centre": [0.0, 1.776]}, {"centre": [1.776, 1.776]}],
    "margin": [{"bound": best_margin() * 1.0001}, {"bound": -1e-300}, {"kind": "contraction", "weights": []}],
    "contraction": [{"bound": 0.6}, {"bound": -1e9}, {"bound": 1.0}, {"kind": "margin", "weights": [1.0, 1.0]}],
    "markov": [{"bound": 0.4}, {"bound": -0.5}, {"bound": 2.0}, {"kind": "margin", "weights": [1.0] * 4}],
}


@pytest.mark.parametrize("name", LIES)
def test_false_claims_next_to_true_ones(proofs, name):
    """What is known to be false is refused, well sealed as it may be."""
    problem, proof = proofs[name]
    lies = LIES[name]
    lies += [{"kind": "foo"}, {"kind": "foo", "bound": -1e9}, {"bits": 0}, {"bits": 10**9}, {"bits": True}]
    for change in lies:
        assert not recheck(forged(proof, **change), problem), change


def test_no_kind_but_three_and_no_bound_below_zero():
    """The game ``2 I₂`` at τ = .2 has three HQRE, and where nobody has a choice a factor below zero is no factor."""
    problem = Problem(hq.NormalFormGame(2 * np.stack([np.eye(2), np.eye(2)])), 0.2)
    empty = {"radius": None, "unique_radius": None, "centre": [], "scales": []}
    local = prove(problem, "krawczyk", log_policy=problem.log_reference)
    assert not recheck(forged(local, kind="foo", bound=-1e9, **empty), problem)
    still = Problem(hq.NormalFormGame(np.ones((2, 1, 1))), 1.0)
    assert recheck(prove(still, "contraction"), still)
    assert not recheck(forged(prove(still, "contraction"), bound=-1e9), still)


def test_problems_compare_by_shape_type_and_value(proofs):
    problem, proof = proofs["margin"]
    data = problem_data(problem)
    for key, value in data.items():
        others = (
            [f"{value}.", int(value == 1), None]
            if not isinstance(value, np.ndarray)
            else [value[None], value.astype(np.float32)]
        )
        if isinstance(value, np.ndarray):
            others += [value.astype(np.int64 if value.dtype == bool else complex), value.tolist(), value.astype(object)]
        for other in others:
            assert not recheck(forged(proof, problem={**data, key: other}), problem), key
    assert not recheck(forged(proof, problem={k: v for k, v in data.items() if k != "tau"}), problem)
    assert not recheck(forged(proof, problem={**data, "more": 1}), problem)


def test_whole_numbers_that_no_double_holds_are_no_payoffs():
    """2⁵³ + 1 and 2⁵³ would be the same game; 2⁵³ + 2 is another, and is taken."""
    payoffs = np.zeros((2, 2, 2), np.int64)
    payoffs[1, 0, 1] = 2**53 + 1
    with pytest.raises(ValueError, match=r"^payoffs\[1\]\[0\]\[1\]: is 9007199254740993, which floating numbers"):
        hq.NormalFormGame(payoffs)
    payoffs[1, 0, 1] += 1
    game = hq.NormalFormGame(payoffs)
    assert float(game.payoffs[1, 0, 1]) == 2**53 + 2
    payoffs[1, 0, 1] = 2**53
    proof = prove(Problem(game, 1e17), "margin")
    assert recheck(proof, game, 1e17)
    assert not recheck(proof, hq.NormalFormGame(payoffs), 1e17)
    whole = forged(proof, problem={**proof.problem, "payoffs": proof.problem["payoffs"].astype(np.int64)})
    assert not recheck(whole, game, 1e17)


def test_what_is_no_proof_is_one_message(proofs):
    for nothing in (None, "proof", {}, proofs):
        with pytest.raises(ValueError, match=r"^proof: is a .*, not a proof"):
            recheck(nothing, COORDINATION)


@st.composite
def damaged(draw, text):
    """A proof's file with one value replaced, or with bytes of it changed."""
    if draw(st.booleans()):
        k, n = draw(st.integers(0, len(text))), draw(st.integers(0, 40))
        return text[:k] + draw(st.text(max_size=5)) + text[k + n :]
    content = json.loads(text)
    literal = st.sampled_from(
        ["NaN", "Infinity", "1e999", "-1", "0", "1e9", "1000000000", "9" * 5000, '"0.5"', "null", "true", "[]", "{}",
         "[[1.0]]", "[" * 50_000, '{"dtype": "float64", "shape": [-1], "entries": ["1.0"]}',
         '{"dtype": "float64", "shape": [0, 1' + "0" * 30 + '], "entries": []}',
         '{"dtype": "object", "shape": [1], "entries": [null]}', '{"dtype": [], "shape": 1, "entries": {}}']
    )  # fmt: skip
    part = content if draw(st.booleans()) else content["problem"]
    part[draw(st.sampled_from(sorted(part)))] = "@"
    return json.dumps(content).replace('"@"', draw(literal))


@pytest.mark.parametrize("name", ["krawczyk", "markov"])
def test_damaged_files_are_refused_in_one_line(proofs, name, tmp_path):
    problem, proof = proofs[name]
    path = tmp_path / "proof.json"
    proof.save(path)
    text, complaints = path.read_text(), []

    @settings(max_examples=100)
    @given(damaged(text))
    def check(spoiled):
        path.write_text(spoiled, encoding="utf-8")
        try:
            read = load_proof(path)
        except hq.InputError as error:
            complaints.append(str(error))
        else:
            assert recheck(read, problem) == (read.content() == proof.content())

    check()
    assert complaints
    assert not any("\n" in complaint for complaint in complaints)
