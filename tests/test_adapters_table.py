"""The published table of adapters of the embedded model: every number follows from the recorded runs."""

import copy
import json

from benchmarks.adapters import __main__ as command
from benchmarks.adapters._cells import QUESTIONS, TOKENS, all_cells
from benchmarks.adapters._record import read_record, write_record
from benchmarks.adapters._table import build_table, markdown


def test_every_published_number_follows_from_the_record():
    record = read_record(command.RECORD)
    published = json.loads(command.TABLE.read_text(encoding="ascii"))
    assert build_table(record) == published
    assert command.MARKDOWN.read_text(encoding="utf-8") == markdown(published)
    assert command.RECORD.stat().st_size < 2_000_000


def test_recorded_runs_are_those_of_the_protocol(tmp_path):
    """Same settings, equal budgets, equal questions; and one run more or less is another table."""
    record, cells = read_record(command.RECORD), {cell.name: cell for cell in all_cells()}
    for name, line in record.items():
        assert line["digest"] == cells[name].config.digest
        assert line["tokens"][-1] <= TOKENS
        assert {one["split"] for one in line["evaluations"]} == {"test"}
        assert line["evaluations"][-1]["tokens"] == line["tokens"][-1]
        assert all(len(one["scores"]) == QUESTIONS for one in line["evaluations"])
        others = [other for other in record.values() if other["run"].split("-")[0] == name.split("-")[0]]
        assert {tuple(other["evaluations"][0]["scores"]) for other in others} == {
            tuple(line["evaluations"][0]["scores"])
        }  # the model that nobody has trained yet
    write_record(tmp_path / "runs.jsonl", record)
    assert read_record(tmp_path / "runs.jsonl") == record
    for kind in build_table(record)["classes"]:
        other = copy.deepcopy(record)
        name = f"{kind['class']}-dice-{kind['seeds'][0]}"
        other[name]["evaluations"][-1]["scores"] = [0.0] * QUESTIONS
        assert build_table(other) != build_table(record)
