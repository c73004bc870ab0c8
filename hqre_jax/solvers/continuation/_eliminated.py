"""The logit equation of a Markov game to first order, solved state by state around a system in the values alone.

At logits z and values V that belong to them, with stage payoffs
``M_i(x, a) = s r_i(x, a) + γ Σ_y P(y|x, a) V_i(y)``, an equilibrium at scale s satisfies, at every state x,

    z_x = P[ E_{-i} M_i/τ_i + log ρ_i ],        V_x = E_π M_x + (the bonus paid at x).

To first order ``dz_x = A_x⁻¹ (f_x + B_x γ P dV)`` with ``A_x = I − ∂(response)/∂z_x``, which knows of no other state.
What is left is one system ``(I − γK) dV = g`` of N·S unknowns, ``K = C·P`` with a small matrix ``C_x`` at each state.
Apart from that system everything is a pass over the transitions, ``S² Π A_i`` numbers, or happens within a state:
arrays that belong to states have them as last axis, so that one instruction serves neighbouring ones.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from hqre_jax.core._simplex import kl, probabilities
from hqre_jax.core._types import LogPolicy, Scalar, StateValues
from hqre_jax.games._game import share
from hqre_jax.problem import Problem
from hqre_jax.solvers.continuation._conjugate_residuals import to_rounding
from hqre_jax.solvers.continuation._symmetry import Symmetry

# Unknowns up to which systems are factorised; beyond, Krylov iteration looks for their solutions.
DENSE = 1024
# Logits of one state up to which its matrix is inverted.
_STAGE = 32
# Powers a step by which a spectral radius is estimated: of small systems, of large ones.
_POWERS = {True: 3, False: 1}

Stage = Float[Array, "... state"]


class Linearised(NamedTuple):
    """What is known at a point z.

    Attributes:
        response: ``Q^π/τ + log ρ`` at the scale in question, centred.
        correction: Newton's step ``dz`` towards the branch at this scale.
        tangent: ``dz/ds`` along the branch.
        values: ``V^π``, from which the next values may be found faster.
        pieces: The Jacobian.
        change: How much it changed.
    """

    response: LogPolicy
    correction: LogPolicy
    tangent: LogPolicy
    values: StateValues
    pieces: "Pieces"
    change: "Change"


class Pieces(NamedTuple):
    """The Jacobian at a point, in the pieces that linear algebra here is made of.

    Attributes:
        stages: A, ``(n, n, state)``.
        coupling: γK, a matrix, where systems are factorised; else γC, ``(player, others, *joint, state)``.
        values: ``dV/ds`` along the branch.
    """

    stages: Stage
    coupling: Float[Array, "..."]
    values: StateValues


class Change(NamedTuple):
    """The Jacobian A in comparison with an earlier one A₀, bordered by the tangent there.

    Attributes:
        size: The larger one of ``max_x ‖A_x⁻¹(A_x − A₀_x)‖`` over states, and of an estimate from below of the spectral
            radius of ``K⁻¹(K − K₀)`` for the system in the values.
        direction: The direction that shows the latter, with which the next estimate begins.
    """

    size: Scalar
    direction: StateValues


def is_open(problem: Problem) -> bool:
    """Whether this linear algebra fits a problem: a Markov game, small in each state."""
    stages = problem.game.markov_stages()
    if stages is None:
        return False
    actions = stages.payoffs.shape[2:]
    # The coupling of all values takes no more room than some copies of the transitions.
    return sum(actions) <= _STAGE and len(actions) ** 2 <= 4 * math.prod(actions)


def beginning(problem: Problem) -> tuple[Pieces, StateValues]:
    """Pieces of the right shape, which are nobody's Jacobian, and a direction to begin with."""
    game = problem.game.markov_stages()
    assert game is not None
    players, states = problem.tau.shape
    actions, dtype = game.payoffs.shape[2:], problem.tau.dtype
    stages = jnp.zeros((sum(actions), sum(actions), states), dtype)
    size = players * states
    coupling = jnp.zeros((size, size) if size <= DENSE else (players, players, *actions, states), dtype)
    # A direction in which no symmetry of a game can be expected.
    direction = jnp.sin(1.0 + jnp.arange(size, dtype=dtype) ** 1.5).reshape(players, states)
    return Pieces(stages, coupling, jnp.zeros_like(problem.tau)), direction


def linearise(
    problem: Problem,
    logits: LogPolicy,
    scale: Scalar,
    guess: StateValues,
    before: Pieces,
    direction: StateValues,
    border: tuple[StateValues, Scalar],
    symmetry: Symmetry,
) -> Linearised:
    """Response, Newton correction and tangent of the branch at a point.

    Args:
        problem: A Markov game and temperatures, at scale 1.
        logits: z, centred.
        scale: s of ``τ/s``.
        guess: Values ``(player, state)`` near ``V^π``, where an iteration may begin.
        before: The Jacobian with which this one is compared.
        direction: Where the comparison begins.
        border: A tangent of the branch, in values and scale, by which both are bordered.
        symmetry: What z is symmetric under; the Jacobian is that of symmetric policies.

    Returns:
        The `Linearised` equation.
    """
    # With states last, what a state has one of meets what it has several of by promotion of the rank.
    with jax.numpy_rank_promotion("allow"):
        return _linearise(problem, logits, scale, guess, before, direction, border, symmetry)


def _linearise(problem, logits, scale, guess, before: Pieces, direction, border, symmetry: Symmetry) -> Linearised:
    game = problem.game.markov_stages()
    assert game is not None
    players, states = guess.shape
    actions = game.payoffs.shape[2:]
    kernel = game.transitions.reshape(states, -1, states)
    stage = _Stage(problem, logits)
    rewards = [jnp.moveaxis(u, 0, -1) for u in game.payoffs]

    def later(values: Float[Array, "k state"]) -> list[Stage]:
        """``γ Σ_y P(y|x,a) V(y)`` of several V, one pass."""
        ahead = (kernel.reshape(-1, states) @ values.T).reshape(states, *actions, len(values))
        return [game.discount * jnp.moveaxis(ahead[..., k], 0, -1) for k in range(len(values))]

    joint = stage.joint()
    moves = (joint.reshape(-1, states).T[:, None] @ kernel)[:, 0]
    paid = jnp.stack([_over(joint * u) for u in rewards])
    values = _solve(game.discount * moves, scale * paid + stage.bonus(scale), guess)
    worth = [scale * u + v for u, v in zip(rewards, later(values), strict=True)]

    own = [stage.average(m, (i,)) for i, m in enumerate(worth)]
    response = [stage.response(i, q) for i, q in enumerate(own)]
    answers, valued = stage.derivatives(worth, own, symmetry)
    off = [stage.flat([r - z for r, z in zip(response, stage.logits, strict=True)])]
    off.append(stage.flat([stage.respond(i, stage.average(u, (i,))) for i, u in enumerate(rewards)]))
    inverse = _inverse(answers)
    through = jnp.sum(valued[:, :, None] * inverse[None], axis=1)
    gained = [jnp.sum(through * f[None], axis=1) for f in off]
    gained[1] = gained[1] + paid + stage.entropy_offset()

    weights = game.discount * stage.weights(through, joint)
    coupling = jnp.moveaxis(weights.reshape(players**2, -1, states), 2, 0) @ kernel
    dense = states * players <= DENSE
    # Rows by player, then state; by state, then player, as they come, where copies are dear.
    rows = coupling.reshape(states, players, players, states)
    coupling = (rows.swapaxes(0, 1) if dense else rows).reshape(states * players, -1)
    solve = _coupled(coupling, dense)
    change = jnp.stack([symmetry.of_values(solve(g)) for g in gained])
    pieces = Pieces(answers, coupling if dense else weights, change[1])
    moved = before.coupling - pieces.coupling

    def relative(v: StateValues) -> StateValues:
        """``K⁻¹(K − K₀) v`` for symmetric values, one pass over the transitions at most."""
        if dense:
            return symmetry.of_values(solve((moved @ v.ravel()).reshape(v.shape)))
        ahead = kernel.reshape(-1, states) @ v.T
        joint_last = jnp.moveaxis(ahead.reshape(states, *actions, players), 0, -1)
        felt = moved * jnp.moveaxis(joint_last, -2, 0)[None]
        return symmetry.of_values(solve(jnp.sum(felt, axis=tuple(range(1, felt.ndim - 1)))))

    estimate, direction = _spectral_radius(relative, change[1], direction, border, dense)
    ahead = later(change.reshape(2 * players, states))
    steps = []
    for k, f in enumerate(off):
        felt = [stage.respond(i, stage.average(ahead[k * players + i], (i,))) for i in range(players)]
        steps.append(stage.unflat(jnp.sum(inverse * (f + stage.flat(felt))[None], axis=1)))
    return Linearised(
        response=stage.policy_like(response),
        correction=stage.policy_like(steps[0]),
        tangent=stage.policy_like(steps[1]),
        values=values,
        pieces=pieces,
        change=Change(jnp.maximum(estimate, _largest_change(inverse, answers - before.stages)), direction),
    )


class _Stage:
    """The games of all states at a policy, which depend on one another through the worth of joint actions only."""

    def __init__(self, problem: Problem, logits: LogPolicy):
        game = problem.game.markov_stages()
        assert game is not None
        self.problem, self.actions = problem, game.payoffs.shape[2:]
        self.players = range(len(self.actions))
        self.log_policy = problem.log_policy(logits)
        self.mask = self._rows(problem.mask)
        self.logits = self._rows(logits)
        self.policy = self._rows(probabilities(self.log_policy, problem.mask))
        self.log_reference = self._rows(problem.log_reference)
        self.count = [jnp.maximum(jnp.sum(m, axis=0), 1) for m in self.mask]

    def _rows(self, array: Shaped[Array, "player state action"]) -> list[Array]:
        return [array[i, :, :a].T for i, a in enumerate(self.actions)]

    def policy_like(self, rows: list[Stage]) -> LogPolicy:
        """Back to ``(player, state, action)``."""
        most = max(self.actions)
        return jnp.stack([jnp.pad(row, ((0, most - len(row)), (0, 0))).T for row in rows])

    @staticmethod
    def flat(rows: list[Stage]) -> Stage:
        """All players' actions as one axis."""
        return jnp.concatenate(rows)

    def unflat(self, column: Stage) -> list[Stage]:
        """The inverse of `flat`."""
        ends = [sum(self.actions[:i]) for i in range(len(self.actions) + 1)]
        return [column[ends[i] : ends[i + 1]] for i in self.players]

    def center(self, i: int, x: Stage) -> Stage:
        """Less the mean over valid actions, the first axis."""
        valid = self.mask[i].reshape(len(x), *(1,) * (x.ndim - 2), -1)
        return jnp.where(valid, x - jnp.sum(jnp.where(valid, x, 0.0), axis=0) / self.count[i], 0.0)

    def respond(self, i: int, own: Stage) -> Stage:
        """What action values add to player i's response."""
        return self.center(i, own / self.problem.tau[i])

    def response(self, i: int, own: Stage) -> Stage:
        """Player i's centred response to action values."""
        return self.center(i, own / self.problem.tau[i] + self.log_reference[i])

    def average(self, tensor: Float[Array, "*joint state"], kept: tuple[int, ...]) -> Stage:
        """Over all players' actions but those of ``kept``, whose order remains."""
        for j in reversed(self.players):
            if j not in kept:
                weight = self.policy[j].reshape(*(1,) * j, self.actions[j], *(1,) * (tensor.ndim - j - 2), -1)
                tensor = jnp.sum(tensor * weight, axis=j)
        return tensor

    def joint(self, without: int | None = None) -> Float[Array, "*joint state"]:
        """``Π_j π_j(a_j)``, perhaps without one player."""
        product = jnp.ones((1,) * len(self.actions) + self.policy[0].shape[1:], self.problem.tau.dtype)
        for j in self.players:
            if j != without:
                product = product * jnp.expand_dims(self.policy[j], [k for k in self.players if k != j])
        return product

    def bonus(self, scale: Scalar) -> StateValues:
        """The regularisation paid, ``(player, state)``."""
        problem = self.problem
        own = scale * problem.entropy_offset - problem.tau * kl(self.log_policy, problem.log_reference, problem.mask)
        return share(own, problem.continuation)

    def entropy_offset(self) -> StateValues:
        """Its derivative by the scale."""
        return share(self.problem.entropy_offset, self.problem.continuation)

    def derivatives(self, worth: list[Stage], values: list[Stage], symmetry: Symmetry) -> tuple[Stage, Stage]:
        """``I − ∂(response)/∂z`` of symmetric z, ``(n, n, state)``, and ``∂(value)/∂z``, ``(player, n, state)``.

        With j's action b known i's action values are ``Q_i(a|b)``: ``∂Q_i(a)/∂z_j(b) = π_j(b) (Q_i(a|b) − Q_i(a))``.
        """
        problem, blocks, valued = self.problem, [], []
        for i in self.players:
            expected = jnp.sum(self.policy[i] * values[i], axis=0)
            row, moves = [], []
            for j in self.players:
                if j == i:
                    one = jnp.eye(self.actions[i], dtype=expected.dtype)[:, :, None]
                    row.append(jnp.broadcast_to(one, (*one.shape[:2], len(expected))))
                    moves.append(self.policy[i] * (values[i] - expected))
                    continue
                given = self.average(worth[i], (i, j))
                moved = self.policy[j][None] * ((given if i < j else jnp.swapaxes(given, 0, 1)) - values[i][:, None])
                row.append(-self.center(i, moved / problem.tau[i]))
                moves.append(jnp.sum(self.policy[i][:, None] * moved, axis=0))
            blocks.append(jnp.concatenate(row, axis=1))
            valued.append(self.flat(moves))
        entropies = [
            -problem.tau[j] * self.policy[j] * (surprise - jnp.sum(self.policy[j] * surprise, axis=0))
            for j, surprise in enumerate(self._surprises())
        ]
        nobody = [jnp.zeros_like(e) for e in entropies]
        # Column by column, whose logit moves whose bonus.
        felt = [self.flat([*nobody[:j], entropies[j], *nobody[j + 1 :]]) for j in self.players]
        own = jnp.stack(felt)
        shared = share(own.reshape(len(own), -1), problem.continuation).reshape(own.shape)
        return symmetry.of_stages(jnp.concatenate(blocks)), jnp.stack(valued) + shared

    def _surprises(self) -> list[Stage]:
        log_policy = self._rows(self.log_policy)
        return [jnp.where(m, p - r, 0.0) for m, p, r in zip(self.mask, log_policy, self.log_reference, strict=True)]

    def weights(
        self, through: Stage, joint: Float[Array, "*joint state"]
    ) -> Float[Array, "player others *joint state"]:
        """C: how i's value answers to what a joint action is worth to j, ``through`` being ``∂(value)/∂(response)``."""
        columns = []
        for j, part in enumerate(self.unflat(jnp.moveaxis(through, 1, 0))):
            felt = jnp.moveaxis(self.center(j, part), 1, 0) / self.problem.tau[j]
            others = [k + 1 for k in self.players if k != j]
            column = jnp.expand_dims(felt, others) * self.joint(j)
            columns.append(column.at[j].add(jnp.broadcast_to(joint, column.shape[1:])))
        return jnp.stack(columns, axis=1)


def _over(tensor: Float[Array, "*joint state"]) -> Float[Array, " state"]:
    return jnp.sum(tensor, axis=tuple(range(tensor.ndim - 1)))


def _inverse(matrix: Float[Array, "n n state"]) -> Float[Array, "n n state"]:
    """Inverses by elimination without pivots: close to the identity none are needed.

    A pivot that is nearly 0 spoils the inverse; whoever uses it looks at what it does.
    """
    size = matrix.shape[0]

    def step(k, work):
        here = (jnp.arange(size) == k)[:, None]
        row = jnp.where(here, 1.0, work[k]) / work[k, k]
        column = jnp.where(here, 0.0, work[:, k])
        # Row and column of the pivot give way to those of the inverse.
        rest = jnp.where(here[:, None] | here[None], 0.0, work)
        return rest - column[:, None] * row[None] + jnp.where(here[:, None], row[None], 0.0)

    return jax.lax.fori_loop(0, size, step, matrix)


def _largest_change(inverse: Float[Array, "n n state"], change: Float[Array, "n n state"]) -> Scalar:
    """``max_x ‖A_x⁻¹ (A_x − A₀_x)‖_F``."""
    product = jnp.zeros_like(inverse)
    for k in range(len(inverse)):
        product += inverse[:, k, None] * change[k]
    return jnp.sqrt(jnp.max(jnp.sum(product**2, axis=(0, 1))))


def _spectral_radius(
    relative: Callable[[StateValues], StateValues],
    onwards: StateValues,
    direction: StateValues,
    border: tuple[StateValues, Scalar],
    dense: bool,
) -> tuple[Scalar, StateValues]:
    """Of ``K⁻¹(K − K₀)``, bordered: by powers, which go on from step to step along the branch."""
    along, rate = border
    across = jnp.sum(along * onwards) + rate

    def power(_, carry):
        _, v = carry
        y = relative(v)
        # Back into the hyperplane along the curve.
        y = y - jnp.sum(along * y) / across * onwards
        size = jnp.sqrt(jnp.sum(y * y))
        return size, jnp.where(size > 0, y / jnp.where(size > 0, size, 1.0), v)

    start = (jnp.zeros((), direction.dtype), direction / jnp.sqrt(jnp.sum(direction**2)))
    size, v = jax.lax.fori_loop(0, _POWERS[dense], power, start)
    return jnp.where(jnp.isfinite(size), size, jnp.inf), jnp.where(jnp.isfinite(size), v, direction)


def _solve(moves: Float[Array, "state next"], paid: StateValues, guess: StateValues) -> StateValues:
    """``V_i = paid_i + (γP) V_i`` for every player."""
    if len(moves) <= DENSE:
        return jnp.linalg.solve(jnp.eye(len(moves), dtype=moves.dtype) - moves, paid.T).T
    return jnp.stack([to_rounding(lambda v: v - moves @ v, b, v) for b, v in zip(paid, guess, strict=True)])


def _coupled(coupling: Float[Array, "n n"], dense: bool) -> Callable[[StateValues], StateValues]:
    """The inverse of ``I − γK``, γK the coupling."""
    if dense:
        factors = jax.scipy.linalg.lu_factor(jnp.eye(len(coupling), dtype=coupling.dtype) - coupling)
        return lambda g: jax.scipy.linalg.lu_solve(factors, g.ravel()).reshape(g.shape)

    def solve(g: StateValues) -> StateValues:
        def apply(v: Float[Array, " n"]) -> Float[Array, " n"]:
            return v - (coupling @ v).reshape(g.shape[::-1]).T.ravel()

        return to_rounding(apply, g.ravel(), jnp.zeros_like(g).ravel()).reshape(g.shape)

    return solve
