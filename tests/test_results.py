"""What a solve says at its end, which equilibrium it says it found, and which questions it refuses."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

import hqre_jax as hq

ROOT = Path(__file__).parents[1]
PENNIES = np.array([[[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]])
STAG_HUNT = np.array([[[10.0, 1.0], [8.0, 5.0]], [[10.0, 8.0], [1.0, 5.0]]])
LOPSIDED = np.array([[[2.0, -1.0], [0.5, 1.5]], [[-0.3, 1.0], [1.2, -0.8]]])
ASIDE = np.array([[[0.9, 0.1]], [[0.3, 0.7]]])
# A number of steps is always given: with and without one, `solve` compiles two programs.
STEPS = 5_000


def solve(payoffs, tau, **options):
    return hq.solve(hq.NormalFormGame(payoffs), tau, **({"solver": "newton", "max_steps": STEPS} | options))


def endless(**options):
    """Payoffs that a float holds, for so long that their sum is none."""
    draw = np.random.RandomState(0)
    game = hq.MarkovGame(1e300 * draw.rand(2, 1, 2, 2), np.ones((1, 2, 2, 1)), 1 - 1e-12)
    return hq.solve(game, 1e290, solver="newton", max_steps=STEPS, **options)


# --- Results ---------------------------------------------------------------------------------------------------

ENDINGS = {
    # Rounding leaves more than the tolerance that was asked for.
    "almost_successful": lambda **options: solve(LOPSIDED, 0.2, tol=1e-18, **options),
    "max_steps_reached": lambda **options: solve(PENNIES, 0.05, initial_policy=ASIDE, max_steps=1, **options),
    # Best responses to best responses go round for ever, however close the equilibrium is.
    "diverged": lambda **options: solve(
        PENNIES, 0.05, initial_policy=ASIDE, solver=hq.solvers.MirrorDescent(step=1e6), **options
    ),
    "nonfinite": endless,
}
REMEDIES = {
    "almost_successful": "raise tol",
    "max_steps_reached": "raise max_steps",
    "diverged": "a smaller step",
    "nonfinite": "rescale payoffs",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_is_named_and_says_what_helps(ending):
    solution = ENDINGS[ending](throw=False)
    assert solution.result == ending
    assert not bool(solution.successful)
    with pytest.raises(hq.SolveError) as caught:
        ENDINGS[ending]()
    assert caught.value.solution.result == ending
    np.testing.assert_array_equal(caught.value.solution.policy, solution.policy)
    message = str(caught.value)
    assert message.startswith(f"{ending}: residual {float(solution.residual):.3g} after {int(solution.num_steps)} ")
    assert REMEDIES[ending] in message
    assert solution.result.message in message
    assert "\n" not in message


def test_the_most_robust_solver_is_not_told_to_try_itself():
    with pytest.raises(hq.SolveError, match=r"raise max_steps\.$"):
        solve(LOPSIDED, 0.2, solver="principal_branch", max_steps=1)


def test_every_result_has_an_ending():
    assert set(ENDINGS) | {"successful"} == set(hq.RESULTS)


def test_endings_fit_their_residuals():
    almost = ENDINGS["almost_successful"](throw=False)
    assert 1e-18 < almost.residual <= 1e-15
    short = ENDINGS["max_steps_reached"](throw=False)
    assert short.num_steps == 1
    assert short.residual > 1e-7
    astray = ENDINGS["diverged"](throw=False)
    assert 0.9 < astray.residual <= 1
    assert astray.num_steps < STEPS
    assert not np.isfinite(ENDINGS["nonfinite"](throw=False).residual)
    # The remedies work.
    assert solve(LOPSIDED, 0.2, tol=1e-12).result == "successful"
    assert solve(PENNIES, 0.05, initial_policy=ASIDE, solver="principal_branch").result == "successful"


def test_an_answer_given_is_taken_without_a_step():
    answer = solve(LOPSIDED, 0.2).policy
    again = solve(LOPSIDED, 0.2, initial_policy=answer, max_steps=0)
    assert again.result == "successful"
    assert again.num_steps == 0
    np.testing.assert_allclose(again.policy, answer, rtol=0, atol=1e-15)


def test_a_pure_start_is_no_trap():
    """An action of probability zero would never come back if it were taken at its word."""
    pure = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    solution = solve(PENNIES, 1.5, initial_policy=pure, solver=hq.solvers.MirrorDescent(step=1.0))
    np.testing.assert_allclose(solution.policy, 0.5, rtol=0, atol=1e-9)


# --- Which equilibrium -----------------------------------------------------------------------------------------


def test_among_three_the_one_on_the_principal_branch_is_returned_and_said():
    """At λ = 2 both hunt the stag with probability p where ``logit p = λ (6p − 4)``: three times."""

    def gap(p):
        return np.log(p / (1 - p)) - 2 * (6 * p - 4)

    grid = np.linspace(1e-6, 1 - 1e-6, 4000)
    brackets = [(a, b) for a, b in pairwise(grid) if gap(a) * gap(b) < 0]
    hunting = [brentq(gap, a, b, xtol=1e-15) for a, b in brackets]
    assert len(hunting) == 3
    for p in hunting:
        near = np.array([[[p, 1 - p]], [[p, 1 - p]]])
        local = solve(STAG_HUNT, 0.5, initial_policy=near)
        np.testing.assert_allclose(local.policy, near, rtol=0, atol=1e-9)
        assert local.result == "successful"
        assert local.selection == "unselected"
    for solver in ("principal_branch", "auto"):
        # From (½, ½), where the hare is worth more, the branch leads to the hare, wherever one starts.
        start = np.array([[[0.999, 0.001]], [[0.999, 0.001]]])
        chosen = solve(STAG_HUNT, 0.5, solver=solver, initial_policy=start)
        np.testing.assert_allclose(chosen.policy[:, 0, 0], hunting[0], rtol=0, atol=1e-9)
        assert chosen.selection == "principal_branch"
        assert chosen.certificate.verdict == "undecided"
    assert solve(STAG_HUNT, 6.0).selection == "unique"


def test_an_answer_that_is_none_is_not_selected():
    assert solve(STAG_HUNT, 0.5, solver="principal_branch", max_steps=2, throw=False).selection == "unselected"
    # The question has one answer, but this is not it.
    assert solve(PENNIES, 0.05, initial_policy=ASIDE, max_steps=1, throw=False).selection == "unselected"


# --- Refusals --------------------------------------------------------------------------------------------------

REFUSALS = """
import json
import jax
import jax.numpy as jnp
import numpy as np
import hqre_jax as hq

jax.config.update("jax_enable_x64", True)
game = hq.NormalFormGame([[[1.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [0.0, 1.0]]])
three = hq.NormalFormGame(np.zeros((3, 2, 2, 2)))
nan = float("nan")
calls = [
    ("game", dict(game="stag_hunt")),
    ("game", dict(game=np.zeros((2, 2, 2)))),
    *[("tau", dict(tau=tau)) for tau in (0, -1.0, nan, np.inf, [1.0, 0.0], [1.0] * 3, "warm", None, 1e-14, 5e-324)],
    *[("tol", dict(tol=tol)) for tol in (0, -1e-9, 1, nan, True, "tight", [1e-3], 1e-3j)],
    *[("max_steps", dict(max_steps=steps)) for steps in (-1, 2.5, True, "many", nan)],
    *[("solver", dict(solver=solver)) for solver in ("simplex", 3, None, hq.solvers.Newton)],
    *[("entropy", dict(entropy=entropy)) for entropy in ("tsallis", True, 2)],
    *[("continuation", dict(continuation=continuation)) for continuation in ("hard", True, "zero_sum")],
    ("continuation", dict(game=three, continuation="zero_sum")),
    ("reference", dict(entropy="shannon", reference=[[[0.5, 0.5]], [[0.5, 0.5]]])),
    ("reference[1][0][0]", dict(reference=[[[0.5, 0.5]], [[0.0, 1.0]]])),
    *[
        (field + place, {field: policy})
        for field in ("reference", "initial_policy")
        for place, policy in (
            ("", np.full((2, 2), 0.5)),
            ("", [[[0.5, 0.5]]]),
            ("[0][0]", [[[0.5, 0.6]], [[0.5, 0.5]]]),
            ("[1][0][1]", [[[0.5, 0.5]], [[1.5, -0.5]]]),
            ("[0][0][0]", [[[nan, 0.5]], [[0.5, 0.5]]]),
        )
    ],
]
heard = []
for field, arguments in calls:
    question = {"game": game, "tau": 1.0} | arguments
    try:
        hq.solve(question.pop("game"), question.pop("tau"), **question)
        said = "was accepted", ""
    except hq.InputError as error:
        said = error.field, str(error)
    except Exception as error:
        said = type(error).__name__, str(error)
    heard.append((field, repr(arguments), *said))
try:
    hq.trace_branch(game, np.inf, 1.0, max_steps=2.5)
except hq.InputError as error:
    heard.append(("max_steps", "trace_branch", error.field, str(error)))
print(json.dumps(heard))
"""


def test_questions_that_make_no_sense_are_refused_in_one_line():
    """As a user meets them, without the type checker that watches over these tests."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", REFUSALS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    heard = json.loads(run.stdout)
    assert len(heard) > 45
    for field, arguments, blamed, message in heard:
        assert blamed == field, f"{arguments}: {blamed} {message}"
        assert message.startswith(f"{field}: ")
        assert "\n" not in message


def test_history_is_refused_under_tracing():
    with pytest.raises(hq.InputError, match="jit") as caught:
        jax.jit(lambda u: hq.solve(hq.NormalFormGame(u), 1.0, solver="newton", history=True))(PENNIES)
    assert caught.value.field == "history"


def test_a_result_has_no_words_under_tracing():
    def told(payoffs):
        return (
            hq.solve(hq.NormalFormGame(payoffs), 1.0, solver=hq.solvers.MirrorDescent(step=1.0)).result == "successful"
        )

    with pytest.raises(TypeError, match="result_code"):
        jax.jit(told)(PENNIES)


def test_one_player_is_a_game_too():
    sol = hq.solve(hq.NormalFormGame([[1.0, 2.0]]), 1.0)
    assert (sol.result, sol.selection) == ("successful", "unique")
    np.testing.assert_allclose(sol.policy[0, 0, 1], 1 / (1 + np.exp(-1.0)), atol=1e-10)


def test_what_is_refused_in_the_open_is_no_success_under_tracing():
    game = hq.NormalFormGame([[[2.0, 0.0], [0.0, 1.0]]] * 2)
    with pytest.raises(hq.InputError, match="tau"):
        hq.solve(game, 1e-300)
    lanes = jax.jit(jax.vmap(lambda tau: hq.solve(game, tau).result_code))(jnp.array([1.0, 1e-300, -1.0, jnp.nan]))
    assert [list(hq.RESULTS)[code] for code in lanes] == ["successful", "nonfinite", "nonfinite", "nonfinite"]
