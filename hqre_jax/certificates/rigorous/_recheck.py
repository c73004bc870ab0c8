"""The checker: short enough to be read, and all that has to be believed besides the equations and the matrices."""

import math
from typing import Any, cast

from hqre_jax.certificates.rigorous._arithmetic import flint
from hqre_jax.certificates.rigorous._box import as_floats, contains_one, jacobian, preconditioners
from hqre_jax.certificates.rigorous._data import problem_data, same_data
from hqre_jax.certificates.rigorous._evaluation import Equations
from hqre_jax.certificates.rigorous._matrices import decision_points, global_test
from hqre_jax.certificates.rigorous._proof import Proof, describe
from hqre_jax.core._types import InputError
from hqre_jax.games._game import AbstractGame, Continuation
from hqre_jax.problem import Entropy, Problem, posed


def recheck(
    proof: Any,
    game: AbstractGame | Problem,
    tau: Any = None,
    *,
    reference: Any = None,
    entropy: Entropy | None = None,
    continuation: Continuation | None = None,
) -> bool:
    """Whether a proof is valid, and is one of this problem.

    Args:
        proof: The proof, perhaps from a file.
        game: The game, or a `Problem`.
        tau: Its temperatures, as in `solve`.
        reference: ρ, as in `solve`.
        entropy: As in `solve`.
        continuation: As in `solve`.

    Returns:
        True only if the proof is of one of the three kinds and each of its fields in its range, it is intact, speaks
        of exactly this problem, and its inequalities hold with outward rounding. Whoever forges a proof must forge
        true inequalities, which then prove what they say.

    Raises:
        InputError: If this is no `Proof`, python-flint is missing, or game and temperatures are no problem.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> proof = hq.prove(game, tau=8.0)
        >>> hq.recheck(proof, game, 8.0)
        True
        >>> hq.recheck(proof, game, 1.0)
        False
    """
    if not isinstance(proof, Proof):
        raise InputError("proof", f"is a {type(proof).__name__}, not a proof; load_proof reads one from a file")
    data = problem_data(posed(game, tau, reference=reference, entropy=entropy, continuation=continuation))
    # In this order: what is well formed can be digested, and of the problem itself it is known how long it takes.
    if proof.fault() is not None or not same_data(proof.problem, data) or proof.digest != proof.seal():
        return False
    if proof.statement != describe(proof.kind, proof.radius, proof.unique_radius, proof.bound):
        return False
    with flint().ctx.workprec(proof.bits):
        return _box_holds(proof) if proof.kind == "krawczyk" else matrix_holds(proof)


def _box_holds(proof: Proof) -> bool:
    arb, matrix = flint().arb, flint().arb_mat
    equations = Equations(proof.problem, arb)
    sizes = {len(proof.centre), len(proof.scales), equations.size}
    if len(sizes) > 1 or any(s != 1 for s in proof.scales[: equations.num_logits]):
        return False
    near, alone = cast(float, proof.radius), cast(float, proof.unique_radius)
    boxes = [[radius * s for s in proof.scales] for radius in (near, alone)]
    if near > alone or not all(0 < r < math.inf for box in boxes for r in box):
        return False
    value, slope = jacobian(equations, [arb(y) for y in proof.centre])
    inverses = preconditioners(as_floats(slope), equations.num_logits)
    if inverses is None:
        return False
    column = matrix(equations.size, 1, value)
    return all(contains_one(equations, proof.centre, radii, inverses, column)[0] for radii in boxes)


def matrix_holds(proof: Proof) -> bool:
    arb = flint().arb
    if proof.kind == "margin" and len(proof.weights) != len(decision_points(proof.problem)):
        return False
    test = global_test(proof.problem, proof.kind, proof.weights, arb(proof.bound))
    if test is None or len(test[0]) != len(proof.vector):
        return False
    vector = [arb(z) for z in proof.vector]
    return all(
        sum(a * z for a, z in zip(row, vector, strict=True)) < d * vector[k]
        for k, (row, d) in enumerate(zip(*test, strict=True))
    )
