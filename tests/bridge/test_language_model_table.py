"""The published table of the embedded model: every number follows from the recorded replies, without the model."""

import json
import math
from dataclasses import replace

import pytest
import scipy.stats
from scripted import Scripted

from benchmarks.language_models import __main__ as command
from benchmarks.language_models import _cells, _collect, _labels, _measure, _table
from hqre_jax.bridge import models
from hqre_jax.bridge.models import Reply, Usage
from hqre_jax.bridge.store import Budget, Store, StoredModel
from hqre_jax.bridge.tasks import all_tasks

FOLDER = command.RECORDING.parent
MOST_BYTES = 5_000_000


def test_every_published_number_follows_from_the_recording():
    assert command.RECORDING.stat().st_size <= MOST_BYTES
    table = _table.build_table(_cells.all_cells(), models.load(f"replay:{command.RECORDING}"))
    published = (FOLDER / "table.json").read_text(encoding="utf-8")
    assert json.loads(published) == table
    assert (FOLDER / "table.md").read_text(encoding="utf-8") == _table.markdown(table)
    assert all(row["items"] >= 200 for row in table["rows"])
    assert len(table["rows"]) + len(table["missing"]) == 5 * len(all_tasks())


def test_one_changed_reply_changes_the_numbers(small):
    cell, right = small, [item.answer for item in small.items()]
    same = _measure.measure(cell, answering(right))
    other = _measure.measure(cell, answering(["none", *right[1:]]))
    assert same is not None
    assert other is not None
    assert (same.accuracy, other.accuracy) == (1.0, 0.75)
    assert (same.answered, other.answered) == (1.0, 0.75)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(_cells, "NUM_ITEMS", 4)
    return _cells.Cell(all_tasks()["word_problems"], "one_step", "direct")


def answering(texts):
    """A model that gives these replies, in turn."""
    left = iter(texts)
    return Scripted(lambda asked: Reply(next(left), "stop", Usage(10, 0, 2)))


@pytest.mark.parametrize(("successes", "trials"), [(0, 200), (1, 200), (77, 200), (199, 200), (200, 200), (3, 4)])
def test_intervals_are_wilsons(successes, trials):
    expected = scipy.stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert _measure.wilson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_entropy_is_of_labels_and_no_answer_is_one():
    assert _measure.entropy(["a"] * 7) == 0
    assert _measure.entropy(["a", "b", None, None]) == pytest.approx(1.5 * math.log(2))


def test_balanced_accuracy_gives_every_right_answer_the_same_weight():
    right = ["yes"] * 30 + ["no"] * 10
    constant = [1.0] * 30 + [0.0] * 10
    assert _measure.balanced_accuracy(constant, right) == 0.5
    assert _measure.balanced_accuracy([1.0] * 15 + [0.0] * 15 + [1.0] * 10, right) == 0.75
    assert _measure.balanced_accuracy([1.0] * 19, ["yes"] * 10 + ["no"] * 9) is None


def judged(right, wrong, silent=0, chance=0.25, constant=0):
    """The word for so many right, wrong and silent replies; ``constant`` of the wrong and right ones are alike."""
    scores = [1.0] * right + [0.0] * (wrong + silent)
    said = [f"answer {k}" for k in range(right + wrong)] + [None] * silent
    said[:constant] = ["same"] * constant
    return _measure.judge_cell(_measure.wilson(right, len(scores)), chance, said, scores)


def test_words_at_their_edges():
    assert judged(100, 100) == ""
    assert judged(0, 200) == judged(0, 0, silent=200) == "floor"
    assert judged(11, 189) == "floor"
    assert judged(12, 188, chance=0.01) == ""
    assert _measure.wilson(11, 200)[1] < 0.1 < _measure.wilson(12, 200)[1]
    assert judged(63, 137, chance=_measure.wilson(63, 200)[0]) == "chance"
    assert judged(63, 137, chance=_measure.wilson(63, 200)[0] - 1e-9) == ""
    assert judged(20, 180) == "chance"  # below chance is no better
    assert judged(100, 100, constant=179) == ""
    assert judged(100, 100, constant=180) == judged(1, 199, constant=180) == "constant"
    assert judged(180, 20, constant=180) == ""  # then it is the question that is constant


def test_labels_are_places_among_the_options():
    """Always the one named last: another name each time, the same label."""
    for name, last in (("zebra", "option 2"), ("mystery", "option 4"), ("blocksworld", "option 4")):
        task = all_tasks()[name]
        items = task.items(task.classes[0], "dev", 20)
        said = [task.judge(item, f"The answer is {_labels.options(item)[-1]}.").answer for item in items]
        assert [_labels.label(item, answer) for item, answer in zip(items, said, strict=True)] == [last] * 20
        assert {_labels.label(item, item.answer) for item in items} <= {f"option {place}" for place in range(1, 5)}
        assert _labels.label(items[0], None) is None
    seats = all_tasks()["logic"].items("seats_3", "dev", 20)
    assert _labels.label(seats[0], ", ".join(seats[0].data["names"])) == "option 1"
    assert _labels.label(seats[0], "nobody") == "nobody"


def test_right_labels_where_there_is_one():
    cells = {cell.task.name: cell for cell in _cells.all_cells()}
    assert _measure.right_labels(cells["logic"], cells["logic"].items()[:20]) is None
    for name in ("zebra", "guessing", "arithmetic"):
        items = cells[name].items()[:20]
        right = _measure.right_labels(cells[name], items)
        assert right == [_labels.label(item, item.answer) for item in items]
    unknown = [replace(cells["arithmetic"].items()[0], answer=None)]
    assert _measure.right_labels(cells["arithmetic"], unknown) is None


def test_chance_is_a_uniform_guess_or_the_most_frequent_answer():
    tasks = all_tasks()
    items = tasks["mystery"].items("suspects_4", "dev", 200)
    assert 0.25 <= _labels.chance_level(tasks["mystery"], items) < 0.4
    first = [item for item in items if _labels.label(item, item.answer) == "option 1"][:10]
    assert _labels.chance_level(tasks["mystery"], first) == 1.0
    seats = tasks["logic"].items("seats_3", "dev", 5)
    orders = [[tasks["logic"].judge(item, order).score for order in _labels.options(item)] for item in seats]
    assert _labels.chance_level(tasks["logic"], seats) >= sum(map(sum, orders)) / 30


def test_collection_goes_on_where_it_was_stopped(small, tmp_path):
    cells = [replace(small, control=control) for control in ("direct", "two_examples")]
    told, lines = Reply("7", "stop", Usage(10, 0, 1)), list[str]()
    with Store(tmp_path / "calls.sqlite") as store:
        first = StoredModel(Scripted(lambda asked: told), store, Budget(calls=6))
        assert not _collect.collect(first, cells, lines.append, batch=2)
        assert first.stopped == "6 calls"
        second = Scripted(lambda asked: told)
        assert _collect.collect(StoredModel(second, store), cells, lines.append, batch=2)
        assert len(second.asked) == 2
        assert lines[-1].startswith("word_problems/one_step/two_examples (2 of 2): 4 of 4 answers")


def test_what_is_not_whole_is_missing(small, tmp_path, monkeypatch, capsys):
    cells = [replace(small, control=control) for control in ("direct", "two_examples")]
    monkeypatch.setattr(command, "RECORDING", tmp_path / "none.jsonl.xz")
    monkeypatch.setattr(command, "all_cells", lambda: cells)
    store = tmp_path / "calls.sqlite"
    with Store(store) as calls:
        model = StoredModel(
            Scripted(lambda asked: Reply("7", "stop", Usage(10, 0, 1), (-1.0,))), calls, Budget(calls=6)
        )
        _collect.collect(model, cells, lambda line: None, batch=2)
    assert command.main(["--store", str(store), "--out", str(tmp_path), "--seconds", "0"]) == 1
    table = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert [row["control"] for row in table["rows"]] == ["direct"]
    assert table["missing"] == ["word_problems/one_step/two_examples"]
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == text
    assert f"1 of 2: `word_problems` / `one_step` (two examples).\n\n    {_table.COMMAND}" in text
    with pytest.raises(SystemExit) as stop:
        command.main(["--seconds", "soon"])
    assert stop.value.code == 2


def test_a_call_that_fails_is_no_observation(small):
    broken = Scripted(lambda asked: models.Failure("model", "its logits are not numbers"))
    with Store(None) as store, pytest.raises(RuntimeError, match="word_problems/one_step/direct: model: its logits"):
        _collect.collect(StoredModel(broken, store), [small], lambda line: None)
