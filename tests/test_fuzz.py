"""Bad, extreme and degenerate input: the right answer or one `InputError` that names the field, nothing else."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hqre_jax as hq
from hqre_jax.cli import main

NAN, INF = float("nan"), float("inf")
# Those of the profile, of which the cheapest questions are asked more.
EXAMPLES = settings().max_examples
COORDINATION = np.array([[[1.0, 0.0], [0.0, 1.0]]] * 2)
# Two shapes only: a new shape is a new program to compile.
SHAPES = ((2, 2, 2), (2, 2, 3))


def independent_residual(payoffs: np.ndarray, policy: np.ndarray, tau: np.ndarray) -> float:
    """``max |π − softmax(Q/τ)|`` of a bimatrix game under a uniform reference, in extended precision."""
    u = payoffs.astype(np.longdouble)
    num_rows, num_columns = u.shape[1:]
    row, column = policy[0, 0, :num_rows].astype(np.longdouble), policy[1, 0, :num_columns].astype(np.longdouble)
    worst = 0.0
    for own, values, t in ((row, u[0] @ column, tau[0]), (column, row @ u[1], tau[1])):
        z = values / np.longdouble(t)
        answer = np.exp(z - z.max())
        worst = max(worst, float(np.abs(own - answer / answer.sum()).max()))
    return worst


def rounding(payoffs: np.ndarray, tau: np.ndarray) -> float:
    """What doubles cannot help: a relative error of 2⁻⁵³ in each payoff or logit, a few times over."""
    return 64 * 2.0**-53 * (1 + np.abs(payoffs).max() / tau.min())


def games(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Payoffs of every size from 1e-12 to 1e12, many of them equal."""
    size = int(np.prod(shape))
    numbers = st.one_of(st.integers(-3, 3).map(float), st.floats(-1, 1, allow_subnormal=False))
    draws = st.tuples(st.lists(numbers, min_size=size, max_size=size), st.integers(-12, 12))
    return draws.map(lambda drawn: np.reshape(drawn[0], shape) * 10.0 ** drawn[1])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@given(data=st.data())
def test_success_is_success(shape, data):
    """Whatever the payoffs: a solution that calls itself successful is one, checked without the library."""
    payoffs = data.draw(games(shape))
    width = max(float(np.ptp(payoffs[0])), float(np.ptp(payoffs[1])), 1e-300)
    tau = np.array(data.draw(st.lists(st.integers(-6, 6), min_size=2, max_size=2))) / 2.0
    tau = width * 10.0**tau
    sol = hq.solve(hq.NormalFormGame(payoffs), tau, throw=False)
    policy = np.asarray(sol.policy)
    assert np.isfinite(policy).all()
    np.testing.assert_allclose(policy.sum(-1), 1.0, atol=1e-12)
    measured = independent_residual(payoffs, policy, tau)
    assert abs(measured - float(sol.residual)) <= rounding(payoffs, tau)
    if sol.result == "successful":
        assert measured <= 1e-10 + rounding(payoffs, tau)
    else:
        # The principal branch of a game this small is lost only where rounding hides it.
        assert width / tau.min() > 100, (sol.result, measured)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
@given(data=st.data())
@settings(max_examples=8)
def test_units_of_payoff_do_not_matter(scale, data):
    payoffs = np.array(data.draw(st.lists(st.integers(-9, 9), min_size=8, max_size=8)), float).reshape(2, 2, 2)
    tau = np.array([2.0, 3.0])
    plain = hq.solve(hq.NormalFormGame(payoffs), tau, solver="principal_branch")
    scaled = hq.solve(hq.NormalFormGame(payoffs * scale), tau * scale, solver="principal_branch")
    np.testing.assert_allclose(scaled.policy, plain.policy, atol=1e-9)


@pytest.mark.parametrize("tau", [1e-300, 1e-12, 1.0, 1e300])
@pytest.mark.parametrize("level", [0.0, 7.5, -1e12])
def test_constant_payoffs_leave_the_reference(tau, level):
    """Nobody has anything to gain: exactly the reference, at any temperature."""
    reference = [[[0.3, 0.7]], [[0.9, 0.1]]]
    sol = hq.solve(hq.NormalFormGame(np.full((2, 2, 2), level)), tau, reference=reference)
    assert sol.result == "successful"
    np.testing.assert_allclose(sol.policy, reference, atol=1e-12)


def test_absurdly_high_temperatures_are_uniform():
    sol = hq.solve(hq.NormalFormGame(COORDINATION), 1e300)
    np.testing.assert_allclose(sol.policy, 0.5, atol=1e-15)
    assert sol.selection == "unique"


def test_success_at_the_bifurcation_itself():
    """At τ = 1/2 the branch of the coordination game forks: its last step is singular, its end an equilibrium."""
    sol = hq.solve(hq.NormalFormGame(COORDINATION), 0.5, throw=False)
    np.testing.assert_allclose(sol.policy, 0.5, atol=1e-12)
    assert float(sol.residual) <= 1e-10
    assert sol.result == "successful"


def test_absurdly_low_temperatures_are_refused():
    """Below one part in 1e13 rounding would decide: a refusal, not an answer."""
    for tau in (1e-300, 5e-324, 1e-14):
        with pytest.raises(hq.InputError, match=r"^tau: .* too small"):
            hq.solve(hq.NormalFormGame(COORDINATION), tau)


def test_players_with_one_action():
    """The other player then decides alone: the logit of its two payoffs."""
    payoffs = np.array([[[4.0, -2.0]], [[1.0, 2.5]]])
    sol = hq.solve(hq.NormalFormGame(payoffs), [1.0, 0.5])
    assert sol.unpadded_policy()[0] == [[1.0]]
    chance = 1 / (1 + np.exp(-1.5 / 0.5))
    np.testing.assert_allclose(sol.unpadded_policy()[1][0], [1 - chance, chance], atol=1e-10)
    assert sol.selection == "unique"


def test_types_of_probability_zero():
    """They answer the uniform belief; the others do as if they were not there."""
    rng = np.random.default_rng(4)
    prior = np.array([[0.4, 0.6], [0.0, 0.0]])
    payoffs = rng.normal(size=(2, 2, 2, 2, 2))
    tau = np.array([[1.0, 2.0], [1.5, 0.8]])
    sol = hq.solve(hq.BayesianGame(prior, payoffs), tau)
    first, second = np.asarray(sol.policy)

    def logit(values, t):
        answer = np.exp((values - values.max()) / t)
        return answer / answer.sum()

    seen = sum(prior[0, k] * payoffs[0, 0, k] @ second[k] for k in range(2))
    unseen = sum(0.5 * payoffs[0, 1, k] @ second[k] for k in range(2))
    np.testing.assert_allclose(first[0], logit(seen, tau[0, 0]), atol=1e-9)
    np.testing.assert_allclose(first[1], logit(unseen, tau[0, 1]), atol=1e-9)
    for k in range(2):
        np.testing.assert_allclose(second[k], logit(first[0] @ payoffs[1, 0, k], tau[1, k]), atol=1e-9)


def test_states_that_are_never_reached():
    """Play there is what it would be if play began there."""
    rng = np.random.default_rng(5)
    payoffs = rng.normal(size=(2, 2, 2, 2))
    transitions = np.zeros((2, 2, 2, 2))
    transitions[0, ..., 0] = 1.0
    transitions[1, ..., 0] = 1.0
    here, there = (
        hq.solve(hq.MarkovGame(payoffs, transitions, 0.7, initial=initial), 1.0) for initial in ([1.0, 0.0], [0.0, 1.0])
    )
    assert here.result == "successful"
    np.testing.assert_allclose(here.policy, there.policy, atol=1e-9)
    # The second state is left at once and for good: a normal form of its own, continuation values do not matter.
    alone = hq.solve(hq.NormalFormGame(payoffs[:, 1]), 1.0)
    if alone.selection == "unique":
        np.testing.assert_allclose(np.asarray(here.policy)[:, 1], np.asarray(alone.policy)[:, 0], atol=1e-9)
    assert independent_residual(payoffs[:, 1], np.asarray(here.policy)[:, 1:], np.ones(2)) <= 1e-9


@pytest.mark.parametrize(
    "tau",
    [
        NAN, INF, -INF, 0.0, -0.0, -1.0, True, 1j, "1", None, object, [], [1.0], [1.0, NAN], [1.0, -1.0], [1.0] * 3,
        [[1.0], [2.0, 3.0]], [[1.0, 1.0], [1.0, 1.0]], [[[1.0]], [[1.0]]], ["a", "b"], [1.0, None], {"tau": 1.0},
        np.array([1.0, 2.0], dtype=object), np.array([True, True]), np.array(["1"]), np.array([1 + 0j, 1]), 10**400,
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("ask", [hq.solve, hq.certify, lambda game, tau: hq.trace_branch(game, INF, tau)])
def test_bad_temperatures(ask, tau):
    with pytest.raises(hq.InputError, match=r"^tau(_to)?\b") as caught:
        ask(hq.NormalFormGame(COORDINATION), tau)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "payoffs",
    [
        None, 1.0, [], [[]], [1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]], "payoffs", [[["a", "b"], ["c", "d"]]] * 2, object,
        [[[1.0, 0.0], [0.0]]] * 2, [[[1.0, 0.0], [0.0, NAN]]] * 2, [[[1.0, 0.0], [0.0, -INF]]] * 2, [[[1j, 0]]] * 2,
        [[[True, False], [False, True]]] * 2, np.ones((3, 2, 2)), np.ones((2, 2, 2, 2)), np.ones((2, 0, 2)),
        np.array([[[1, 0], [0, None]]] * 2, dtype=object), {"a": 1}, [[[10**400, 0], [0, 1]]] * 2,
        np.array([[["2020-01-01"]]] * 2, dtype="datetime64[D]"),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_bad_payoffs(payoffs):
    with pytest.raises(hq.InputError, match=r"^payoffs") as caught:
        hq.NormalFormGame(payoffs)
    assert "\n" not in str(caught.value)


def test_payoffs_too_far_apart():
    with pytest.raises(hq.InputError, match=r"^payoffs: .*rescale"):
        hq.solve(hq.NormalFormGame([[[1.7e308, -1.7e308], [0.0, 0.0]]] * 2), 1e300)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("reference", [[[0.5, 0.5]]]), ("reference", [[[1.0, 0.0]], [[0.5, 0.5]]]), ("reference", 0.5),
        ("reference", [[[0.5, 0.6]], [[0.5, 0.5]]]), ("reference", [[[NAN, 0.5]], [[0.5, 0.5]]]), ("reference", "ρ"),
        ("reference", [[[0.5, "x"]], [[0.5, 0.5]]]), ("reference", [[0.5, 0.5], [0.5, 0.5]]), ("reference", {}),
        ("reference", np.full((2, 1, 2), 0.5 + 0j)), ("reference", [[[-0.5, 1.5]], [[0.5, 0.5]]]), ("reference", []),
        ("reference", [[[[0.5], [0.5]]], [[0.5, 0.5]]]), ("reference", [[[1.0]], [[0.5, 0.5]]]),
        ("initial_policy", [[[0.5, 0.6]], [[0.5, 0.5]]]), ("initial_policy", np.ones((2, 2))),
        ("initial_policy", [[[INF, 0.5]], [[0.5, 0.5]]]), ("solver", "nash"), ("tol", 0.0),
        ("tol", NAN), ("tol", -1e-9),
        ("max_steps", -1),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_bad_options(option, value):
    with pytest.raises(hq.InputError, match=rf"^{option}\b") as caught:
        hq.solve(hq.NormalFormGame(COORDINATION), 1.0, **{option: value})
    assert "\n" not in str(caught.value)


# From here on: files and words, as the command line takes them.

CATALOGUE = Path(hq.__file__).parent / "games" / "named"
# Small ones of every format: parsing is what is tested.
SAMPLES = sorted(
    path for path in CATALOGUE.iterdir() if path.suffix in (".nfg", ".efg", ".json") and path.stat().st_size < 3000
)


def outcome(*argv: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(argv))
    return code, out.getvalue(), err.getvalue()


def refusal(*argv: str) -> str:
    """The one line with which bad input is refused."""
    code, out, err = outcome(*argv)
    assert code == 2, (argv, out, err)
    assert out == ""
    assert err.startswith("hqre: ")
    assert err.endswith("\n")
    assert err[:-1].isprintable(), err
    return err


@st.composite
def damaged(draw) -> tuple[str, bytes]:
    """The ending and the content of a catalogue file, cut off, or with bytes replaced, inserted or removed."""
    path = draw(st.sampled_from(SAMPLES))
    content = bytearray(path.read_bytes())
    at = draw(st.integers(0, len(content) - 1))
    what = draw(st.sampled_from(("cut", "replace", "insert", "remove")))
    if what == "cut":
        del content[at:]
    elif what == "remove":
        del content[at : at + draw(st.integers(1, 20))]
    else:
        sharp = st.sampled_from([b'"', b"{", b"]", b"-", b"1e999", b"NaN", b"\x00", b"\n", b"\xff"])
        piece = draw(st.binary(min_size=1, max_size=4) | sharp)
        content[at : at + (len(piece) if what == "replace" else 0)] = piece
    return path.suffix, bytes(content)


@given(file=damaged())
@settings(max_examples=2 * EXAMPLES)
def test_damaged_games(tmp_path_factory, file):
    """Either the fault is found, and the file named, or what is left is a game, and then τ = 0 is the fault."""
    suffix, content = file
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    path.write_bytes(content)
    line = refusal("solve", str(path), "--tau", "0")
    assert line.startswith((f"hqre: {path}:", "hqre: tau: temperature is 0")), line


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_truncated_npz(tmp_path, path):
    whole = tmp_path / "game.npz"
    hq.save_game(hq.load_game(path), whole)
    content = whole.read_bytes()
    for at in np.linspace(0, len(content) - 1, 12).astype(int):
        whole.write_bytes(content[:at])
        assert refusal("certify", str(whole), "--tau", "1").startswith(f"hqre: {whole}: ")


NUMBERS = st.one_of(st.floats(), st.integers(-3, 3), st.floats(0.1, 5), st.booleans(), st.none(), st.text(max_size=3))
DOCUMENTS = st.recursive(
    NUMBERS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip


def is_number(value) -> bool:
    return type(value) in (int, float) and np.isfinite(value) and value > 1e-12


def fits(tau) -> bool:
    """What a bimatrix game takes as temperatures."""
    if is_number(tau):
        return True
    if not isinstance(tau, list) or len(tau) != 2:
        return False
    return all(map(is_number, tau)) or all(isinstance(t, list) and len(t) == 1 and is_number(t[0]) for t in tau)


@given(tau=DOCUMENTS)
@settings(max_examples=2 * EXAMPLES)
def test_any_json_as_temperatures(tmp_path_factory, tau):
    path = tmp_path_factory.getbasetemp() / "tau.json"
    path.write_text(json.dumps(tau), encoding="utf-8")
    argv = ("solve", "coordination", "--tau-file", str(path), "--format", "json")
    if fits(tau):
        code, out, _ = outcome(*argv)
        assert code == 0
        assert np.abs(json.loads(out)["residual"]) <= 1e-10
    else:
        assert refusal(*argv).startswith((f"hqre: {path}: tau", "hqre: tau: "))


@given(value=DOCUMENTS, command=st.sampled_from(("solve", "certify")))
@settings(max_examples=2 * EXAMPLES)
def test_any_json_as_reference(tmp_path_factory, value, command):
    """None of what is drawn here is a policy: rows of two numbers that sum to 1 have measure zero."""
    path = tmp_path_factory.getbasetemp() / "rho.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    line = refusal(command, "coordination", "--tau", "1", "--reference-file", str(path))
    assert line.startswith(f"hqre: {path}: reference"), line


@given(
    content=st.binary(max_size=200), head=st.sampled_from([b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"[[", b"\xff"])
)
@settings(max_examples=2 * EXAMPLES)
def test_any_bytes_as_temperatures(tmp_path_factory, content, head):
    for name in ("tau.npy", "tau.json", "tau.txt"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(head + content + b"!")
        assert refusal("solve", "coordination", "--tau-file", str(path)).startswith(f"hqre: {path}")


def test_npy_of_the_wrong_kind(tmp_path):
    path = tmp_path / "tau.npy"
    for array in (np.array([1j, 1]), np.array(["a", "b"]), np.array([True, True]), np.ones((3, 3)), np.array([])):
        np.save(path, array)
        assert refusal("solve", "coordination", "--tau-file", str(path)).startswith(f"hqre: {path}: tau")
    np.save(path, np.array([{}, 1], dtype=object), allow_pickle=True)
    assert refusal("solve", "coordination", "--tau-file", str(path)).startswith(f"hqre: {path}: is no .npy array")


WORDS = st.text(st.characters(exclude_characters="\0"), max_size=12)


@given(
    words=st.lists(WORDS | st.sampled_from(["solve", "coordination", "--tau", "--tol", "--format", "0"]), max_size=5)
)
@settings(max_examples=3 * EXAMPLES)
def test_any_words(words):
    """Nothing is guessed: whatever is not a command is refused, in one line."""
    code, out, err = outcome(*words)
    if code == 2:
        assert out == ""
        assert err.startswith("hqre: ")
        assert err[:-1].isprintable()
    else:
        known = {"solve", "games", "certify", "trace", "demo", "-h", "--help"}
        assert code == 0
        assert known & set(words)


@given(tau=WORDS | st.floats().map(str))
@settings(max_examples=2 * EXAMPLES)
def test_any_word_as_temperature(tau):
    """Refused, or a number (or two) and then solved."""
    code, out, err = outcome("solve", "coordination", f"--tau={tau}", "--format", "json")
    if code == 2:
        assert out == ""
        assert err.startswith("hqre: tau: ")
        assert err[:-1].isprintable()
    else:
        values = [float(word) for word in tau.split(",")]
        assert code == 0
        assert all(np.isfinite(values))
        assert json.loads(out)["tau"] == [[values[0]], [values[-1]]]
