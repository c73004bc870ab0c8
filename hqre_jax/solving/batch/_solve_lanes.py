"""A group of lanes: the fast way where it is open, the careful one for what that leaves."""

import dataclasses

import jax
import numpy as np

from hqre_jax.core._results import SELECTIONS
from hqre_jax.solvers import PrincipalBranch
from hqre_jax.solvers.batch._lanes import Group
from hqre_jax.solvers.batch._options import Options
from hqre_jax.solvers.batch._small_games import is_small, solve_small
from hqre_jax.solving.batch._general import solve_group


def solve_lanes(group: Group, options: Options, memory: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Solve all lanes of a group.

    Args:
        group: Lanes of equal shape, their values known.
        options: What is asked of all of them.
        memory: Bytes that arrays in work may take on each device.

    Returns:
        The fields of a solution, each with a leading axis in the order of the group; and where uniqueness was not
        looked into beyond a first bound.
    """
    if not is_small(group, options):
        return solve_group(group, options, memory), np.zeros(len(group.lanes), bool)
    fields, left = solve_small(group, options, memory)
    if len(left):
        follow = dataclasses.replace(options, method=PrincipalBranch())
        careful = solve_group(_part(group, left), follow, memory, unique=np.zeros(len(left), bool))
        # Of a single block the fields are what the program returned, which cannot be written to.
        fields = {name: np.array(values) for name, values in fields.items()}
        for name, values in careful.items():
            fields[name][left] = values

    return fields, fields["selection_code"] != SELECTIONS.unique.code


def _part(group: Group, lanes: np.ndarray) -> Group:
    question, payoffs = jax.tree.map(lambda leaf: np.asarray(leaf)[lanes], (group.question, group.payoffs))
    return Group(group.lanes[lanes], question, payoffs)
