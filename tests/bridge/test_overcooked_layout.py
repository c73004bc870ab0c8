"""Layout files of Overcooked-AI as JaxMARL's kitchens."""

import jax
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.bridge.tasks import load_overcooked_layout

GRID = """XXPXXX
                O 21 X
                X  X X
                XDXSXX"""
FILE = (
    '{\n    "grid":  """' + GRID + '""",\n    "start_bonus_orders": [],\n    "start_all_orders" : [\n        '
    '{ "ingredients" : ["onion", "onion", "onion"]}\n    ],\n    "recipe_values" : [20],\n    "recipe_times" : [20],\n'
    '    "rew_shaping_params": None\n}\n'
)


def load(tmp_path, text):
    (tmp_path / "room.layout").write_text(text)
    return load_overcooked_layout(tmp_path / "room.layout")


def test_a_layout_is_read(tmp_path):
    layout = {key: np.asarray(value).tolist() for key, value in load(tmp_path, FILE).items()}
    assert layout == {
        "height": 4,
        "width": 6,
        "agent_idx": [9, 8],
        "goal_idx": [21],
        "plate_pile_idx": [19],
        "onion_pile_idx": [6],
        "pot_idx": [2],
        "wall_idx": [0, 1, 2, 3, 4, 5, 6, 11, 12, 15, 17, 18, 19, 20, 21, 22, 23],
    }


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:OvercookedV2 is now:DeprecationWarning")
def test_jaxmarl_plays_it_and_reads_its_own_drawing_alike(tmp_path):
    jaxmarl = pytest.importorskip("jaxmarl", reason="plays its Overcooked")
    layouts = pytest.importorskip("jaxmarl.environments.overcooked.layouts")
    layout = load(tmp_path, FILE)
    grid = "\n".join(line.strip() for line in GRID.split("\n"))
    theirs = layouts.layout_grid_to_dict(grid.translate(str.maketrans("XSD12", "WXBAA")))
    assert theirs.keys() == layout.keys()
    for key, places in theirs.items():
        assert sorted(np.ravel(places).tolist()) == sorted(np.ravel(layout[key]).tolist()), key
    with jax.numpy_rank_promotion("allow"):  # JaxMARL promotes
        _, state = jaxmarl.make("overcooked", layout=layout, max_steps=5).reset(jax.random.key(0))
    assert np.asarray(state.agent_pos).tolist() == [[3, 1], [2, 1]]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("O 21", "T 21", "has 'T' in line 2, column 1"),
        ("O 21", "O  1", "has no '2'"),
        ("O 21", "O211", "has '1' in line 2, column 4"),
        ("O 21", "O321", "has '3' in line 2"),
        ("XXPXXX", "XX XXX", "is open at its edge, in line 1, column 3"),
        ("XXPXXX", "XXXXXX", "has no 'P'"),
        ("XXPXXX", "XXPXX", "lines of different lengths"),
        ("XXPXXX", "X" * 60, "more than 50"),
        ('"recipe_times" : [20]', '"recipe_times" : [8]', r"has recipe_times '\[8\]', but JaxMARL's kitchen always"),
        ('"onion", "onion"]', '"tomato", "onion"]', "has start_all_orders"),
        ("rew_shaping_params", "wind", "says 'wind'"),
        ("None", "open('x')", "is not a literal"),
        ('"grid"', '"grit"', "says 'grit'"),
        ("{", "[" * 1000, "is not Python"),
        (FILE, "3", "is int, but a dictionary"),
        (FILE, "{}", "has no 'grid'"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, old, new, said):
    with pytest.raises(hq.InputError, match=said) as caught:
        load(tmp_path, FILE.replace(old, new, 1))
    assert "\n" not in str(caught.value)
