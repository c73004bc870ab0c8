"""Pictures: the lines are the numbers they claim to be, the axes say what they show, files are written."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import hqre_jax as hq

ROOT = Path(__file__).parents[1]
FAR_START = [[[0.99, 0.01]], [[0.5, 0.5]]]


@pytest.fixture(scope="module")
def descent():
    game = hq.load_game("matching_pennies")
    return hq.solve(game, 0.5, solver="mirror_descent", initial_policy=FAR_START, history=True)


@pytest.fixture(scope="module")
def folding():
    return hq.trace_branch(hq.load_game("group_polymatrix"), np.inf, np.array([0.01, 0.01, 1.0]))


def lines(ax) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The labelled lines of an axes as label -> (x, y); every number in them must be one."""
    found = {
        str(line.get_label()): (np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float))
        for line in ax.get_lines()
        if not str(line.get_label()).startswith("_")
    }
    for label, (x, y) in found.items():
        assert len(x) == len(y) > 0, label
        assert np.isfinite(x).all(), label
        assert np.isfinite(y).all(), label
    return found


def assert_readable(ax) -> None:
    """Labelled axes, a title, texts inside the picture that do not run into each other."""
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    assert ax.get_title()
    figure = ax.figure
    np.testing.assert_allclose(figure.get_size_inches(), (6, 4))
    figure.draw_without_rendering()
    width, height = figure.bbox.width, figure.bbox.height
    for artist in (ax.title, ax.xaxis.label, ax.yaxis.label):
        box = artist.get_window_extent()
        assert box.x0 >= 0, artist
        assert box.y0 >= 0, artist
        assert box.x1 <= width, artist
        assert box.y1 <= height, artist


def test_convergence_draws_divergence_residual_and_t2(descent):
    ax = hq.plotting.convergence(descent)
    assert_readable(ax)
    assert ax.get_yscale() == "log"
    drawn = lines(ax)
    (k, divergence), (steps, residual) = drawn["divergence $D_k$ (nats)"], drawn["residual (probability)"]
    np.testing.assert_array_equal(residual, np.asarray(descent.history.residuals)[steps.astype(int)])
    # The divergence by its definition, at the start, where nothing cancels: the equilibrium tosses coins.
    weights = descent.certificate.weights
    by_hand = weights[0, 0] * (0.5 * np.log(0.5 / 0.99) + 0.5 * np.log(0.5 / 0.01))
    assert divergence[0] == pytest.approx(by_hand, rel=1e-8)
    ((name, (theory_steps, theory)),) = [(name, line) for name, line in drawn.items() if name.startswith("T2")]
    certificate = descent.certificate
    q = 1 / (1 + certificate.max_step * certificate.margin)
    assert f"q = {q:.4g}" in name
    np.testing.assert_allclose(theory, divergence[0] * q**theory_steps, rtol=1e-12)
    # T2 itself: never above the line, and (matching pennies) close to it.
    bound = theory[k.astype(int)]
    assert (divergence <= bound * (1 + 1e-6)).all()
    assert divergence[100] >= 0.1 * bound[100]


def test_convergence_takes_a_bound_and_axes(descent):
    ax = Figure().add_subplot()
    assert hq.plotting.convergence(descent, bound=0.9, ax=ax) is ax
    steps, theory = lines(ax)["$D_0\\,q^k$, q = 0.9"]
    np.testing.assert_allclose(theory[1:] / theory[:-1], 0.9)
    assert len(steps) > 100


def test_convergence_claims_nothing_without_a_certificate():
    """Stag hunt at τ = 1 is not certified, and a failed solve has no equilibrium to measure from."""
    game = hq.load_game("stag_hunt")
    sol = hq.solve(game, 1.0, solver="mirror_descent", history=True, max_steps=3, throw=False)
    assert sol.result != "successful"
    ax = hq.plotting.convergence(sol)
    assert_readable(ax)
    assert list(lines(ax)) == ["residual (probability)"]
    on_branch = hq.plotting.convergence(hq.solve(game, 1.0, solver="principal_branch", history=True))
    # Along the branch residuals at τ mean nothing; rounding may leave the last one at exactly 0.
    assert "divergence $D_k$ (nats)" in lines(on_branch)
    assert not any("q =" in name for name in lines(on_branch))


def test_convergence_of_nothing_to_do():
    """Started at the answer, there is no distance to draw."""
    sol = hq.solve(hq.load_game("matching_pennies"), 0.5, solver="mirror_descent", history=True)
    ax = hq.plotting.convergence(sol)
    assert int(sol.num_steps) == 0
    assert [text.get_text() for text in ax.texts] == ["the start was the answer"]


@pytest.mark.parametrize("bound", [0.0, 1.0, -0.5, float("nan")])
def test_convergence_refuses_what_is_no_factor(descent, bound):
    with pytest.raises(hq.InputError, match=r"^bound: "):
        hq.plotting.convergence(descent, bound=bound)


def test_convergence_needs_a_history():
    sol = hq.solve(hq.load_game("matching_pennies"), 0.5)
    with pytest.raises(hq.InputError, match=r"^sol: has no history"):
        hq.plotting.convergence(sol)


def test_folds_are_where_the_branch_turns(folding):
    """Beyond every point on both sides: the fold is the extreme of the curve, not of the points on it."""
    turns = np.flatnonzero(np.diff(np.sign(np.diff(folding.scales))) != 0) + 1
    first, second = (fold.scale for fold in folding.folds)
    assert len(turns) == 2
    assert first >= folding.scales[turns[0]]
    assert second <= folding.scales[turns[1]]
    for fold in folding.folds:
        residual = hq.residual(folding.problem.game, fold.policy, fold.tau)
        assert float(residual) <= 1e-7


def test_branch_draws_every_probability_and_fold(folding):
    ax = hq.plotting.branch(folding)
    assert_readable(ax)
    assert ax.get_xscale() == "log"
    assert ax.xaxis.get_inverted()
    assert "multiples" in ax.get_xlabel()
    drawn = lines(ax)
    assert list(drawn) == ["First: Left", "Second: Left", "Third: Left", "fold"]
    for i, name in enumerate(("First: Left", "Second: Left", "Third: Left")):
        scale, probability = drawn[name]
        np.testing.assert_allclose(1 / scale, folding.scales[1:])
        np.testing.assert_array_equal(probability, folding.policies[1:, i, 0, 0])
    circles = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert len(circles) == 3 * len(folding.folds)
    styles = {(line.get_color(), line.get_linestyle()) for line in ax.get_lines()[:7:3]}
    assert len(styles) == 3


def test_branch_with_one_temperature_shows_it():
    branch = hq.trace_branch(hq.load_game("stag_hunt"), np.inf, 0.8)
    ax = hq.plotting.branch(branch)
    assert "units of payoff" in ax.get_xlabel()
    tau, _ = lines(ax)["Row: Stag"]
    assert tau[-1] == pytest.approx(0.8)
    assert (tau[:-1] > 0.8).all()


def test_policy_draws_bars_of_length_one():
    sol = hq.solve(hq.load_game("stag_hunt"), 1.0)
    ax = hq.plotting.policy(sol)
    assert_readable(ax)
    widths = np.array([bar.get_width() for bar in ax.patches]).reshape(2, 2)
    np.testing.assert_allclose(widths, np.asarray(sol.policy)[:, 0])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Row", "Column"]


def test_names_are_not_read_as_mathematics(tmp_path):
    """A file may hold any names: none of them may break the picture."""
    labels = hq.Labels(
        title="$\\frac{1$ " + "very long " * 20,
        players=("$x", "_hidden\n"),
        actions=((("$\\alpha", "b"),), (("100% $", "_"),)),
    )
    game = hq.NormalFormGame(np.eye(2) * np.ones((2, 1, 1)), labels=labels)
    branch = hq.trace_branch(game, np.inf, 0.8)
    sol = hq.solve(game, 0.8, history=True)
    for k, ax in enumerate((hq.plotting.branch(branch), hq.plotting.policy(sol), hq.plotting.convergence(sol))):
        ax.figure.savefig(tmp_path / f"{k}.png")
        assert (tmp_path / f"{k}.png").stat().st_size > 1000
    assert len(hq.plotting.branch(branch).get_legend().get_texts()) == 2


def test_import_waits_for_no_plotter(tmp_path):
    """Whoever only computes does not load matplotlib, and drawing opens no window system."""
    program = """
import sys
import hqre_jax as hq
assert "matplotlib" not in sys.modules, "matplotlib was loaded"
from hqre_jax.plotting._canvas import axes_or_new
axes_or_new(None).figure.savefig(sys.argv[1])
assert "matplotlib.pyplot" not in sys.modules, "pyplot was loaded"
"""
    command = [sys.executable, "-c", program, str(tmp_path / "empty.png")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
