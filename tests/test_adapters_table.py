"""The published table of adapters of the embedded model: every number follows from the recorded runs."""

import copy
import json

import numpy as np
import pytest

from benchmarks.adapters import __main__ as command
from benchmarks.adapters._cells import CANDIDATES, CHOSEN, QUESTIONS, TOKENS, choice_cells, table_cell, table_cells
from benchmarks.adapters._record import evaluations, line_of, read_record, write_record
from benchmarks.adapters._table import build_table, markdown


def test_every_published_number_follows_from_the_record():
    record = read_record(command.RECORD)
    published = json.loads(command.TABLE.read_text(encoding="ascii"))
    assert build_table(record) == published
    assert command.MARKDOWN.read_text(encoding="utf-8") == markdown(published)
    assert command.RECORD.stat().st_size < 2_000_000


def test_recorded_runs_are_those_of_the_protocol(tmp_path):
    """Same settings, equal budgets, equal questions; and one run more or less is another table."""
    record = read_record(command.RECORD)
    cells = {cell.name: cell for cell in [*choice_cells(), *table_cells()]}
    for name, line in record.items():
        assert line["digest"] == cells[name].config("test").digest
        assert line["tokens"][-1] <= TOKENS
        assert all(len(one["scores"]) == QUESTIONS for one in line["evaluations"])
        others = [other for other in record.values() if other["run"].split("-")[0] == name.split("-")[0]]
        for split in {one["split"] for one in line["evaluations"]}:
            assert evaluations(line, split)[-1]["tokens"] == line["tokens"][-1]
            untrained = [one for other in others for one in evaluations(other, split) if one["tokens"] == 0]
            assert len({tuple(one["scores"]) for one in untrained}) == 1  # the model that nobody has trained yet
    write_record(tmp_path / "runs.jsonl", record)
    assert read_record(tmp_path / "runs.jsonl") == record
    table = build_table(record)
    for kind in table["classes"]:
        other = copy.deepcopy(record)
        name = table_cell(kind["task"], kind["class"], "dice", kind["seeds"][0]).name
        evaluations(other[name], "test")[-1]["scores"] = [0.0] * QUESTIONS
        assert build_table(other) != table


@pytest.mark.parametrize("seconds", ["nan", "-3"])
def test_no_number_of_seconds_trains_nothing(seconds, monkeypatch, capsys):
    monkeypatch.setattr(command, "_train", None)
    with pytest.raises(SystemExit, match="2"):
        command.main(["--seconds", seconds])
    assert "argument --seconds" in capsys.readouterr().err


def test_a_file_is_no_folder_for_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "_train", None)
    (tmp_path / "here").write_text("")
    with pytest.raises(SystemExit, match="2"):
        command.main(["--seconds", "0", "--out", str(tmp_path / "here")])
    assert "is no folder" in capsys.readouterr().err


def test_settings_are_those_that_dev_chose():
    """The best mean, the first one of equals; of all candidates, and of none that a run is missing of."""
    record = read_record(command.RECORD)
    rows = build_table(record)["choice"]
    assert [row["settings"] for row in rows] == list(CANDIDATES)
    assert int(np.argmax([row["mean"] for row in rows])) == CHOSEN
    del record[choice_cells()[0].name]
    assert [row["settings"] for row in build_table(record)["choice"]] == list(CANDIDATES[1:])
    assert "No seed has been trained" in markdown(build_table({}))


def test_a_step_without_right_samples_has_no_gradient(tmp_path):
    learnt = {"gradients": [], "distance": 0.0, "roles": {"solver": {"kinds": {}}}}
    step = {"step": 1, "seconds": 2.0, "tokens": 3, "score": 0.0, "adapters": {"solver": learnt}}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(step) + "\n")
    (tmp_path / "evaluations.jsonl").write_text("")
    cell = table_cell("blocksworld", "what_is_below", "sft", 1)
    assert line_of(cell, tmp_path)["gradients"] == [0.0]
