"""The catalogue read by Gambit, and the closed forms compared with its solver: both independent of ours."""

import tomllib
from pathlib import Path

import pytest

import hqre_jax.games.named

from .cases import CASES

pygambit = pytest.importorskip("pygambit")

FOLDER = Path(hqre_jax.games.named.__file__).parent
TABLES = tomllib.loads((FOLDER / "catalogue.toml").read_text(encoding="utf-8"))
GAMBIT = {name: table["file"] for name, table in TABLES.items() if table["file"].endswith((".nfg", ".efg"))}
CONSTANT_SUM = {
    "matching_pennies",
    "rock_paper_scissors",
    "perturbed_rock_paper_scissors",
    "oneill",
    "kuhn_poker",
    "stripped_down_poker",
}


def read(name):
    path = FOLDER / GAMBIT[name]
    return pygambit.read_nfg(path) if path.suffix == ".nfg" else pygambit.read_efg(path)


def test_every_file_has_its_table_and_every_table_its_file():
    files = {path.name for path in FOLDER.iterdir() if path.suffix in (".nfg", ".efg", ".json")}
    assert files == {table["file"] for table in TABLES.values()}
    assert len(TABLES) >= 24


@pytest.mark.parametrize("name", GAMBIT)
def test_another_reader_agrees_on_title_recall_and_opposed_interests(name):
    game = read(name)
    assert game.title == TABLES[name]["title"] or TABLES[name]["title"].startswith(game.title)
    assert game.is_perfect_recall
    assert game.is_const_sum == (name in CONSTANT_SUM)


def test_the_game_with_nine_equilibria_has_nine():
    assert len(pygambit.nash.enumpoly_solve(read("mckelvey_mclennan")).equilibria) == 9


COMPARABLE = [
    case
    for case in CASES
    if isinstance(case.game, str)
    and case.game in GAMBIT
    and not case.heterogeneous
    and 0.1 <= case.tau <= 100
    and case.reference is None
    and (case.family == "normal_form" or case.continuation == "plain")
]


@pytest.mark.parametrize("case", COMPARABLE, ids=lambda case: case.name)
def test_closed_forms_agree_with_another_solver(case):
    """A check of the closed forms themselves: this library's solver is not involved."""
    found = pygambit.qre.logit_solve_lambda(read(case.game), [1 / case.tau], first_step=0.1, max_accel=1.1)[0]
    # Both sides go through players, their information sets and actions in the same order.
    expected = [float(p) for _, p in sorted(case.policy.items())]
    assert [found[k] for k in range(len(found))] == pytest.approx(expected, abs=1e-6)
