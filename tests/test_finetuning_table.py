"""The published table of fine-tuning methods in small games: every number follows from the recorded runs."""

import json

import jax
import numpy as np
import pytest

from benchmarks.finetuning import __main__ as command
from benchmarks.finetuning._entries import all_entries
from benchmarks.finetuning._games import Inspection, Signalling, WhoAnswers
from benchmarks.finetuning._learn import train
from benchmarks.finetuning._measure import diagnosis, measure
from benchmarks.finetuning._table import build_table, markdown


@pytest.fixture(scope="module")
def record():
    return dict(np.load(command.RECORD, allow_pickle=False))


def test_every_published_number_follows_from_the_record(record):
    """Verdicts of T6 on one run each of two entries; `test_every_verdict` has all of them."""
    published = json.loads(command.TABLE.read_text(encoding="utf-8"))
    assert command.MARKDOWN.read_text(encoding="utf-8") == markdown(published)
    assert command.RECORD.stat().st_size < 2_000_000
    verdicts = set()
    for entry, row in zip(all_entries(), published["rows"], strict=True):
        judged = row.pop("diagnosis", None)
        _assert_close(measure(entry, record, diagnosed=False), row)
        if judged is not None and entry in (all_entries()[0], all_entries()[9]):
            _assert_close(diagnosis(entry, record[f"{entry.name}:policies"][1].astype(float), 1), judged[1])
            verdicts.add(judged[1]["verdict"])
    assert verdicts == {"stable", "unstable"}


@pytest.mark.thorough
def test_every_verdict(record):
    _assert_close(build_table(record), json.loads(command.TABLE.read_text(encoding="utf-8")))


def _assert_close(found, published):
    assert type(found) is type(published)
    if isinstance(found, dict):
        assert found.keys() == published.keys()
        for key in found:
            _assert_close(found[key], published[key])
    elif isinstance(found, list):
        for left, right in zip(found, published, strict=True):
            _assert_close(left, right)
    elif isinstance(found, float):
        assert found == pytest.approx(published, rel=1e-9, abs=1e-12)
    else:
        assert found == published


def test_another_run_has_other_numbers(record):
    entry = all_entries()[0]
    other = dict(record)
    other[f"{entry.name}:right"] = other[f"{entry.name}:right"][::-1] + np.float32(0.01)
    before, after = (measure(entry, one, diagnosed=False)["right"]["mean"] for one in (record, other))
    assert after == pytest.approx(before + 0.01)


@pytest.mark.parametrize("game", [Inspection(), WhoAnswers(), Signalling()], ids=lambda game: game.name)
def test_what_is_judged_exactly_is_what_plays_pay(game):
    """Scores of many plays, and what a best response would gain: the first policy of a run, and plays of it."""
    shape = 2, game.num_states, game.num_tokens
    policies = jax.nn.log_softmax(jax.random.normal(jax.random.key(3), shape))
    drawn = jax.jit(game.draw, static_argnums=2)(jax.random.key(4), policies, 40_000)
    right, gaps = game.judged(policies)
    assert float(drawn.score.mean()) == pytest.approx(float(right), abs=0.015)
    assert (np.asarray(gaps) >= 0).all()
    if game.name != "signalling":
        costs = np.einsum("rqab,qa,qb->r", game.costs, *np.exp(policies)) / game.questions
        np.testing.assert_allclose(drawn.cost.mean(0), costs, atol=0.01)


def test_recorded_runs_are_those_of_the_program(record, monkeypatch):
    """The first steps of a recorded run, computed again."""
    entry = next(entry for entry in all_entries() if entry.game.name == "who_answers")
    path = train(entry.game, entry.make_method(), entry.tau, jax.random.key(2))
    recorded = record[f"{entry.name}:policies"][2]
    np.testing.assert_allclose(np.exp(path.policies)[:41:4], recorded[:11], atol=1e-4)
