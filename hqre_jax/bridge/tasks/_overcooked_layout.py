"""Layout files of Overcooked-AI as the kitchens that JaxMARL plays."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hqre_jax.bridge.tasks._files import field, read_text
from hqre_jax.bridge.tasks._literals import read_literal
from hqre_jax.core._types import InputError

MAX_SIDE = 50
_THINGS = {"O": "onion_pile_idx", "D": "plate_pile_idx", "S": "goal_idx", "P": "pot_idx"}
# What JaxMARL's kitchen always does: soups of three onions, 20 steps of cooking, 20 points for a soup.
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "start_all_orders": ([{"ingredients": ["onion"] * 3}],),
    "start_bonus_orders": ([], None),
    "start_order_list": (None,),
    "num_items_for_soup": (3,),
    "cook_time": (20,),
    "delivery_reward": (20,),
    "recipe_times": ([20],),
    "recipe_values": ([20],),
}
# What has no part in what a play pays.
_IDLE = ("grid", "rew_shaping_params")


def load_overcooked_layout(path: str | Path) -> dict[str, Any]:
    """Read a layout file of Overcooked-AI for ``jaxmarl.make("overcooked", layout=…)``.

    Its form is a Python dictionary with "grid", a drawing in ``X`` (counter), space (floor), ``O`` (onions), ``D``
    (dishes), ``S`` (where soup is served), ``P`` (pot), ``1`` and ``2`` (the cooks); each line is stripped.

    Args:
        path: The file.

    Returns:
        "height" and "width", and the cells of everything, counted row by row.

    Raises:
        InputError: It has another form, or asks for what JaxMARL's kitchen does not do (tomatoes, other recipes, times
            or rewards, one cook or three): says what.

    Example:
        >>> import tempfile
        >>> from hqre_jax.bridge.tasks import load_overcooked_layout
        >>> grid = "XXPXX", "O1 2O", "X   X", "XDXSX"
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open(f"{folder}/small.layout", "w") as file:
        ...         print({"grid": chr(10).join(grid), "start_order_list": None}, file=file)
        ...     layout = load_overcooked_layout(f"{folder}/small.layout")
        >>> layout["height"], layout["width"]
        (4, 5)
    """
    where = str(path)
    layout = read_literal(read_text(path), where)
    if not isinstance(layout, dict):
        raise InputError(where, f"is {type(layout).__name__}, but a dictionary with 'grid' is wanted")
    for key, value in layout.items():
        if key not in _FIXED and key not in _IDLE:
            raise InputError(where, f"says {str(key)[:40]!r}, which JaxMARL's kitchen does not know")
        if key in _FIXED and value not in _FIXED[key]:
            said = f"has {key} {str(value)[:60]!r}, but JaxMARL's kitchen always has {_FIXED[key][0]!r}"
            raise InputError(where, said)
    rows = [line.strip() for line in field(layout, "grid", where).strip().split("\n")]
    height, width = len(rows), len(rows[0])
    if max(height, width) > MAX_SIDE or any(len(row) != width for row in rows):
        raise InputError(where, f"'grid' has lines of different lengths, or more than {MAX_SIDE} lines or columns")
    cells: dict[str, list[int]] = {"wall_idx": [], **{key: [] for key in _THINGS.values()}}
    cooks = dict[str, int]()
    for k, char in enumerate("".join(rows)):
        row, column = divmod(k, width)
        place = f"in line {row + 1}, column {column + 1}"
        if char in "12" and char not in cooks:
            cooks[char] = k
        elif char in _THINGS or char == "X":
            cells["wall_idx"].append(k)
            if char != "X":
                cells[_THINGS[char]].append(k)
        elif char != " ":
            raise InputError(where, f"'grid' has {char!r} {place}: a cook twice, or none of X O D S P")
        if char in " 12" and (row in (0, height - 1) or column in (0, width - 1)):
            raise InputError(where, f"'grid' is open at its edge, {place}")
    missing = [char for char, key in _THINGS.items() if not cells[key]] + [c for c in "12" if c not in cooks]
    if missing:
        raise InputError(
            where, f"'grid' has no {missing[0]!r}; two cooks 1 and 2 and one of each of O D S P are wanted"
        )
    found = {key: np.asarray(places, np.int32) for key, places in cells.items()}
    return {"height": height, "width": width, "agent_idx": np.asarray([cooks["1"], cooks["2"]], np.int32), **found}
