"""Statements as folders: one that is put there is found, drawn, measured and reported, and no other file is told."""

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hqre_jax as hq
import proofs_check
from hqre_jax.cli import main
from proofs_check import claims, statements
from proofs_check.runner import tasks

ROOT = Path(__file__).parents[1]
PENNIES = hq.NormalFormGame([[[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]])

NEW = '''
"""T10: a logit response is no further from its reference than payoffs and temperatures allow."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

import hqre_jax as hq
from hqre_jax.core._simplex import span
from proofs_check import Example, Experiment, Sides, Statement
from proofs_check.experiment import each_game
from proofs_check.games.certified import NEAR_ZERO_SUM, pose


class Games(NamedTuple):
    """Problems of which nothing need be certified."""

    problem: hq.Problem


@each_game
def spread(case, told):
    """(a): ``span(log BR_i - log rho_i) <= range_i/tau_i``, the bound being told ``told`` times the range."""
    problem = case.problem
    away = problem.log_policy(problem.response_logits(problem.log_reference)) - problem.log_reference
    bound = told * problem.game.payoff_range()[:, None] / problem.tau
    return Sides(span(away, problem.mask), bound, 1e-12 * (1 + bound))


def draw(drawing):
    """Games of two players at one temperature."""
    return Games(pose(hq.NormalFormGame, NEAR_ZERO_SUM.draw(drawing.rng, drawing.num), np.full(drawing.num, 0.5),
                      np.zeros((drawing.num, 2, 1, 3))))


def experiment(told):
    """Judged by ``told`` times the bound."""
    return Experiment(
        (NEAR_ZERO_SUM,),
        lambda cases, sample: {"(a) span(log BR) ≤ range/τ": spread(cases, sample)},
        lambda cases, drawing: told * jnp.ones(len(cases.problem.tau)),
        draw=draw,
        given=Games,
    )


STATEMENT = Statement(
    name="T10",
    title="responses stay near",
    experiments=(experiment(1.0),),
    control="a tenth of the range",
    controls=(experiment(0.1),),
    examples=lambda: (Example("nothing at stake", "itself", 1.0, 1.0),),
)
'''


@pytest.fixture
def new_folder(tmp_path, monkeypatch):
    """The package with one more folder, which no other file speaks of."""
    folder = tmp_path / "t10_responses"
    folder.mkdir()
    (folder / "statement.md").write_text("# T10: responses stay near\n\nBy Hölder's inequality.\n", encoding="utf-8")
    (folder / "__init__.py").write_text(NEW.lstrip(), encoding="utf-8")
    monkeypatch.setattr(proofs_check, "__path__", [*proofs_check.__path__, str(tmp_path)])


def test_a_new_statement_is_one_new_folder(new_folder, capsys):
    found = statements()
    assert list(found)[-2:] == ["T9", "T10"], "found, and put after T9"
    planned = tasks.plan({"T10": found["T10"]}, 20)
    records = {task.role: tasks.run_task(task, found["T10"], 0) for task in planned}
    assert records["check"].outcome.games == 20
    assert records["check"].outcome.violations == 0
    assert records["check"].outcome.worst > 0.5
    assert records["control"].outcome.violations > 0
    assert records["sharpness"].examples[0].ratio == 1.0
    answer = claims.check("T10(a)", hq.Problem(PENNIES, 0.7))
    assert answer.applies
    assert answer.holds
    assert answer.bound == pytest.approx([2 / 0.7] * 2)
    assert main(["verify", "--theorem", "T10", "--game", "stag_hunt", "--tau", "1", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["statements"]["T10"]["applies"]
    assert "Hölder" in found["T10"].text, "what the report prints of it"


@pytest.mark.parametrize("name", statements())
def test_the_text_says_what_is_claimed_and_proves_it(name):
    """Problem, statement, proof, tightness, reference; every claim that is measured; constants by their names."""
    text = statements()[name].text
    assert text.startswith(f"# {name}: ")
    headings = set(re.findall(r"^## (.+)$", text, re.MULTILINE))
    assert {"Problem", "Statement", "Tightness", "Reference"} <= headings
    assert headings & {"Proof", "Method"}
    source = "\n".join(file.read_text(encoding="utf-8") for file in _folder(name).glob("*.py"))
    measured = set(re.findall(r'^[A-Z_]+ = "(\([a-z]\)) ', source, re.MULTILINE))
    assert measured or name == "T9"
    for claim in measured:
        assert claim in text, f"{claim} is measured and not stated"
    if "Constants" in headings:
        named = re.findall(r"`([a-z_]+)`", text.partition("## Constants")[2].partition("\n## ")[0])
        library = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "hqre_jax").rglob("*.py"))
        for word in named:
            assert re.search(rf"\bdef {word}\b|^    {word}: ", library, re.MULTILINE), f"{word}: not in the library"


def _folder(name):
    (folder,) = (ROOT / "proofs_check").glob(f"{name.lower()}_*/")
    return folder


@pytest.mark.slow
def test_one_claim_about_one_game():
    """Matching pennies at 0.7: the margin is τ, L is 1, and 40 steps obey D⁺ ≤ D/(1+ηκ)."""
    problem = hq.Problem(PENNIES, 0.7)
    answer = claims.check("T2(a)", problem)
    (comparison,) = answer.comparisons
    assert (answer.claim, answer.applies, answer.holds) == ("(a) D⁺ ≤ D/(1+ηκ)", True, True)
    # What is promised of a step is 1/(1+τ²) of what the step before left.
    np.testing.assert_allclose(answer.bound[1:], answer.observed[:-1] / (1 + 0.7**2), rtol=1e-6)
    assert 0.9 < answer.ratio <= 1.0
    again = statements()["T2"].measure(jax.tree.map(lambda x: jnp.asarray(x)[None], problem), jax.random.key(0))
    np.testing.assert_array_equal(comparison.observed, again[0].observed)
    cold = claims.check("T2(a)", hq.Problem(hq.NormalFormGame(np.stack([np.eye(2), np.eye(2)])), 0.4))
    assert not cold.applies
    assert cold.holds
    assert np.isnan(cold.ratio)


@pytest.mark.parametrize(
    ("name", "remedy"), [("T0(a)", "say T2(a)"), ("7", "say T2(a)"), ("T9(a)", "not about single games")]
)
def test_what_is_no_claim_is_bad_input(name, remedy):
    with pytest.raises(hq.InputError, match=re.escape(remedy)):
        claims.check(name, hq.Problem(PENNIES, 0.7))


def test_a_letter_that_is_no_claim_is_bad_input(new_folder):
    with pytest.raises(hq.InputError, match=re.escape("there are (a)")):
        claims.check("T10(z)", hq.Problem(PENNIES, 0.7))
