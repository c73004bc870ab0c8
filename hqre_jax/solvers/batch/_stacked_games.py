"""Games of any kinds and shapes, kept so that each goes where its lane goes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax.core._temperatures import concrete
from hqre_jax.core._types import InputError
from hqre_jax.games._game import AbstractGame

# Bytes that games of unequal size may take side by side.
_LARGEST = 2**32

# What a game is beside its numbers: the structure of its tree, and shape and type of each leaf.
Form = tuple[Any, tuple[tuple[tuple[int, ...], Any], ...]]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class StackedGames:
    """A list of games as rows of numbers.

    Whoever indexes all arrays of a batch alike, as ``jax.tree.map(lambda x: x[order], sols)`` does, moves whole games,
    of whatever shapes.

    Attributes:
        rows: By type of number, all leaves of that type of each game in a row, ``(lane, entry)``, zeros after them.
        form: Which of the forms each game has, ``(lane,)``.
        forms: Structures and shapes.
    """

    rows: dict[str, Any]
    form: Any
    forms: tuple[Form, ...] = field(metadata={"static": True})

    def __len__(self) -> int:
        return len(self.form)

    def __iter__(self) -> Iterator[AbstractGame]:
        return (self[lane] for lane in range(len(self)))

    def __getitem__(self, lane: int) -> AbstractGame:
        structure, shapes = self._form(lane)
        leaves, used = [], dict.fromkeys(self.rows, 0)
        for shape, dtype in shapes:
            start, size = used[dtype], int(np.prod(shape))
            leaves.append(jnp.asarray(self.rows[dtype][lane, start : start + size].reshape(shape)))
            used[dtype] += size
        return jax.tree.unflatten(structure, leaves)

    def mask_shape(self, lane: int) -> tuple[int, ...]:
        """Numbers of players, information states and actions of one game."""
        structure, shapes = self._form(lane)
        blank = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes]
        return jax.tree.unflatten(structure, blank).action_mask.shape

    def _form(self, lane: int) -> Form:
        # Games that are alike are known also where their places are traced.
        return self.forms[int(self.form[lane]) if len(self.forms) > 1 else 0]


def stack_games(games: Sequence[AbstractGame]) -> StackedGames:
    """Write games as rows of numbers.

    Args:
        games: The games.

    Returns:
        The `StackedGames`.

    Raises:
        InputError: If the largest game, as many times as there are games, takes more than 4 GiB.
    """
    forms: dict[Form, int] = {}
    form, contents = [], []
    for game in games:
        leaves, structure = jax.tree.flatten(game)
        by_type: dict[str, list[Any]] = {}
        for leaf in leaves:
            by_type.setdefault(str(leaf.dtype), []).append(leaf)
        shapes = tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves)
        form.append(forms.setdefault((structure, shapes), len(forms)))
        contents.append(by_type)
    rows = {}
    for dtype in sorted({dtype for by_type in contents for dtype in by_type}):
        lists = [by_type.get(dtype, []) for by_type in contents]
        width = max(sum(leaf.size for leaf in leaves) for leaves in lists)
        if width * len(games) * np.dtype(dtype).itemsize > _LARGEST:
            raise InputError("games", "differ too much in size to be kept side by side: solve the largest ones apart")
        rows[dtype] = _side_by_side(lists, width, dtype)
    return StackedGames(rows, np.array(form), tuple(forms))


def _side_by_side(lists: list[list[Any]], width: int, dtype: str) -> Any:
    if all(concrete(leaf) for leaves in lists for leaf in leaves):
        out = np.zeros((len(lists), width), dtype)
        for row, leaves in zip(out, lists, strict=True):
            start = 0
            for leaf in leaves:
                row[start : start + leaf.size] = np.ravel(leaf)
                start += leaf.size
        return out
    empty = jnp.zeros(0, dtype)
    whole = [jnp.concatenate([empty, *map(jnp.ravel, leaves)]) for leaves in lists]
    return jnp.stack([jnp.pad(row, (0, width - row.size)) for row in whole])
