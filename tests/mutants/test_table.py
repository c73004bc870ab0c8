"""Every mutant of the table can be made, and the test that must kill it is one that `make test` runs."""

import pytest
from table import ROOT, load, missing_test

MUTANTS = load()


def test_there_are_enough_and_names_are_unique():
    assert len(MUTANTS) >= 60
    assert len({(m.area, m.name) for m in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.area}: {m.name}")
def test_mutant_can_be_made_and_has_its_test(mutant):
    text = mutant.applied(ROOT)
    compile(text, mutant.file, "exec")
    assert missing_test(mutant) is None


def test_cases_that_mutants_name_are_not_for_thorough_runs(on_request):
    """Marks of single parameters, too, in the files that are run beside this one."""
    assert [mutant.test for mutant in MUTANTS if mutant.test in on_request] == []
