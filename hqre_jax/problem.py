"""The whole question in one object: which game, at which temperatures, around which reference, who is paid what."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from hqre_jax.core._compiled import make_room
from hqre_jax.core._input import Entropy as Entropy
from hqre_jax.core._module import AbstractModule
from hqre_jax.core._namespace import Array, namespace
from hqre_jax.core._padding import cut_down, filled_up, padded_rows
from hqre_jax.core._programs import (
    compiled,
    compiled_later,
    in_numpy,
    is_familiar,
    make_familiar,
    remembered,
    unnamed,
    with_fields,
)
from hqre_jax.core._simplex import kl, log_softmax, probabilities
from hqre_jax.core._temperatures import as_array, as_float_array, concrete, full_tau
from hqre_jax.core._types import (
    ActionMask,
    ActionValues,
    InputError,
    LogPolicy,
    PerPlayer,
    Policy,
    Scalar,
    StateValues,
    checked_choice,
)
from hqre_jax.games._game import AbstractGame, Continuation, Evaluation, is_game

# Beyond this ratio of payoff range to temperature float64 cannot tell two actions' logits apart.
_MAX_RATIONALITY = 1e13
# Numbers of games that numpy answers for (payoffs, probabilities), and of those that go on, whose programs take longer
# to compile; questions of one size after which a program is worth its compilation.
_FEW_NUMBERS, _FEW_OF_LONG, _OFTEN = 512, 2**13, 30


class Problem(AbstractModule):
    """HQRE problem ``π_i(·|x) ∝ ρ_i(·|x) exp(Q_i^π(x,·)/τ_i(x))``.

    Args:
        game: The game.
        tau: Temperatures, scalar, per player or ``(player, information state)``; units of payoff.
        reference: Interior reference policy ρ, ``(player, information state, action)``; uniform by default.
        entropy: ``"kl"``: ``H = −KL(π‖ρ)``; ``"shannon"``: ``H = −Σ π log π``, which is KL to the uniform
            reference plus ``log A`` and so allows no other reference.
        continuation: ``"soft"``, ``"plain"`` or ``"zero_sum"`` (theory.md §2).

    Attributes:
        tau: Temperatures in full, padding 1.
        log_reference: ``log ρ``, padding 0.
        entropy_offset: The part of ``τ H`` that no choice changes: ``τ log A`` for Shannon entropy, 0 for KL.
        scale: Position s on the path ``τ/s`` from the reference (s = 0) to the problem itself (s = 1). What is
            scaled is ``s·payoffs`` at fixed τ, which is the same and finite at s = 0.
        is_centered: Whether the game is without its strategically irrelevant payoff terms already.

    Raises:
        InputError: Naming the argument at fault.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> problem = hq.Problem(game, [8.0, 9.0])
        >>> problem.tau.tolist(), hq.solve(problem).result
        ([[8.0], [9.0]], <RESULTS.successful: 'successful'>)
    """

    game: AbstractGame
    tau: StateValues
    log_reference: LogPolicy
    entropy_offset: StateValues
    scale: Scalar
    entropy: Entropy = eqx.field(static=True)
    continuation: Continuation = eqx.field(static=True)
    is_centered: bool = eqx.field(static=True, metadata={"decides": False})

    def __init__(
        self,
        game: AbstractGame,
        tau: Any,
        *,
        reference: Any = None,
        entropy: Entropy = "kl",
        continuation: Continuation = "soft",
    ):
        if not is_game(game):
            raise InputError(
                "game", f"is a {type(game).__name__}, not a game; build one, say hq.NormalFormGame(payoffs)"
            )
        make_room()
        mask = game.action_mask
        self.game = game
        self.tau = full_tau(tau, mask, game.dtype)
        checked_choice(entropy, ("kl", "shannon"), "entropy")
        if entropy == "shannon" and reference is not None:
            raise InputError("reference", 'goes with entropy="kl": Shannon entropy means the uniform reference')
        checked_choice(continuation, ("soft", "plain", "zero_sum"), "continuation")
        if continuation == "zero_sum":
            check_zero_sum(game)
        rho = None if reference is None else full_policy(reference, mask, game.dtype, "reference", interior=True)
        width, self.log_reference, self.entropy_offset = _look(game, self.tau, rho, entropy == "shannon")
        _check_rationality(width, self.tau)
        self.scale = as_array(1.0, game.dtype)
        self.entropy = entropy
        self.continuation = continuation
        self.is_centered = False

    @property
    def mask(self) -> ActionMask:
        """Valid actions."""
        return self.game.action_mask

    def well_posed(self) -> Bool[Array, ""]:
        """Whether temperatures and payoffs are what the constructor demands where it can see them."""
        ratio = self.game.payoff_range()[:, None] / self.tau
        xp = namespace(ratio)
        return xp.all((self.tau > 0) & xp.isfinite(self.tau) & (ratio <= _MAX_RATIONALITY))

    def at_scale(self, scale: Scalar | float) -> "Problem":
        """The problem at ``τ/scale`` (in units in which τ stays and payoffs shrink)."""
        return with_fields(self, scale=namespace(self.tau).asarray(scale, self.game.dtype))

    def reference(self) -> Policy:
        """ρ, ``(player, information state, action)``, padding 0."""
        return probabilities(self.log_reference, self.mask)

    def centered(self) -> "Problem":
        """The same problem on the game without its strategically irrelevant payoff terms (and without names).

        The one place where payoffs are centred: once for each problem, and never again for what comes out.
        """
        if self.is_centered:
            return self
        return remembered(self, "centered", self._centered)

    def _centered(self) -> "Problem":
        shared = self.rounded()
        if shared is not self:
            game = self.game.cut_from(shared.centered().game)
        elif self.game.speaks_numpy and (plain := in_numpy(self.game)) is not None:
            with np.errstate(all="ignore"):  # padding is infinite for a moment
                game = jax.tree.map(as_array, unnamed(plain).centered())
        else:
            visible = all(concrete(leaf) for leaf in jax.tree.leaves(self.game))
            game = _centered_game(self.game) if visible else self.game.centered()
        return with_fields(self, game=game, is_centered=True)

    def rounded(self) -> "Problem":
        """The same problem on the game as `AbstractGame.rounded` has it.

        Itself where that is the game itself, or under tracing.
        """
        game = self.game.rounded()
        if game is self.game or not all(concrete(leaf) for leaf in jax.tree.leaves(self)):
            return self
        shape = game.action_mask.shape

        def larger() -> Problem:
            return with_fields(
                self,
                game=game,
                tau=filled_up(self.tau, shape, 1.0),
                log_reference=filled_up(self.log_reference, shape, 0.0),
                entropy_offset=filled_up(self.entropy_offset, shape, 0.0),
            )

        return remembered(self, "rounded", larger)

    def bonus(self, log_policy: LogPolicy) -> StateValues:
        """``τ_i(x) H_i(x)`` in the units of `at_scale`."""
        return self.scale * self.entropy_offset - self.tau * kl(log_policy, self.log_reference, self.mask)

    def evaluate(self, log_policy: LogPolicy) -> Evaluation:
        """Worth of a policy under this problem's regularisation."""
        return self.game.evaluate(log_policy, self.bonus(log_policy), self.continuation, self.scale)

    def response_logits(self, log_policy: LogPolicy) -> LogPolicy:
        """``Q_i^π(x,·)/τ_i(x) + log ρ_i(·|x)``, padding 0."""
        return self.response_to(self.evaluate(log_policy).action_values)

    def response_to(self, action_values: ActionValues) -> LogPolicy:
        """``Q_i(x,·)/τ_i(x) + log ρ_i(·|x)``, the logits that answer given action values; padding 0."""
        xp = namespace(action_values, self.tau)
        return xp.where(self.mask, action_values / self.tau[..., None] + self.log_reference, 0.0)

    def log_policy(self, logits: LogPolicy) -> LogPolicy:
        """The log-policy of unnormalised logits."""
        return log_softmax(logits, self.mask)

    def policy(self, logits: LogPolicy) -> Policy:
        """The policy of unnormalised logits."""
        return probabilities(self.log_policy(logits), self.mask)


def is_small(problem: Problem) -> bool:
    """Whether its numbers are known and few, in double precision, and of a game that speaks numpy."""
    game = problem.game
    if not game.speaks_numpy or game.num_players < 2 or game.dtype != np.float64:
        return False
    most = _FEW_OF_LONG if game.plays_on else _FEW_NUMBERS
    if sum(leaf.size for leaf in jax.tree.leaves(game) if leaf.dtype == np.float64) > most:
        return False
    return all(map(concrete, jax.tree.leaves(problem)))


def is_early(problem: Problem, what: str) -> bool:
    """Whether a small problem is one of the first few of its size, before a program is worth its compilation.

    Args:
        problem: The problem.
        what: Which program that would be.
    """
    # As many shapes as share a program share a count.
    return is_small(problem) and not is_familiar(problem.rounded(), _OFTEN, what)


def leave_to_programs(problem: Problem, what: str) -> None:
    """Have no problem of this size be early any more: one took so long that this program was compiled for it."""
    make_familiar(problem.rounded(), _OFTEN, what)


# `compiled`, of formulas of a problem and more; in numpy for the first few small problems of a size.
early_or_compiled = compiled_later(lambda name, problem, *_: is_early(problem, name))


def posed(
    game: AbstractGame | Problem,
    tau: Any = None,
    *,
    reference: Any = None,
    entropy: Entropy | None = None,
    continuation: Continuation | None = None,
) -> Problem:
    """The problem that a verb is asked: the one it is given, or the one of a game and temperatures.

    Args:
        game: A problem, or a game.
        tau: Temperatures as in `Problem`; of a problem None, or what it says already. The same goes for all others.
        reference: ρ; uniform by default.
        entropy: "kl" (the default) or "shannon".
        continuation: "soft" (the default), "plain" or "zero_sum".

    Returns:
        The problem; the same object, if one is given.

    Raises:
        InputError: On bad input; if temperatures are missing; if an option says something else than the problem.
    """
    if not isinstance(game, Problem):
        if tau is None:
            raise InputError("tau", "is missing: give temperatures, or a Problem(game, tau) in place of the game")
        kind, paid = "kl" if entropy is None else entropy, "soft" if continuation is None else continuation
        return Problem(game, tau, reference=reference, entropy=kind, continuation=paid)
    mask, dtype = game.mask, game.game.dtype
    if tau is not None:
        _agree("tau", full_tau(tau, mask, dtype), game.tau)
    if reference is not None:
        _agree("reference", full_policy(reference, mask, dtype, "reference", interior=True), game.reference())
    for field, given, known in (
        ("entropy", entropy, game.entropy),
        ("continuation", continuation, game.continuation),
    ):
        if given not in (None, known):
            raise InputError(field, f"is {given!r}, but the problem has {known!r}: give it once, to Problem")
    return game


def _agree(field: str, given: Array, known: Array) -> None:
    """Refuses numbers beside a problem that has others; a reference went through its logarithm."""
    if not (concrete(given) and concrete(known)):
        raise InputError(field, "is given twice, in the problem and beside it: give it once, to Problem")
    if given.shape != known.shape or not np.allclose(given, known, rtol=64 * jnp.finfo(known.dtype).eps, atol=0):
        raise InputError(field, "is not what the problem says: give it once, to Problem")


@compiled
def _centered_game(game: AbstractGame) -> AbstractGame:
    return game.centered()


def _look(
    game: AbstractGame, tau: StateValues, rho: Policy | None, shannon: bool
) -> tuple[PerPlayer, LogPolicy, StateValues]:
    """Range of the payoffs, ``log ρ``, and the part ``τ log A`` of Shannon entropy."""
    plain = in_numpy((game, tau, rho)) if game.speaks_numpy else None
    if plain is not None:
        with np.errstate(all="ignore"):  # payoffs that span too much are refused in words
            return jax.tree.map(as_array, _posed_terms(*plain, shannon=shannon))
    # Games that share a size share the program, too, that looks at their payoffs.
    work = game.rounded() if concrete(tau) and concrete(rho) else game
    full = work.action_mask.shape
    given = filled_up(tau, full, 1.0), None if rho is None else filled_up(rho, full, 0.0)
    width, log_reference, offset = _compiled_terms(work, *given, shannon)
    return width, cut_down(log_reference, game.action_mask.shape), cut_down(offset, game.action_mask.shape)


def _posed_terms(game: AbstractGame, tau: Any, rho: Any, shannon: bool) -> tuple[Any, Any, Any]:
    mask, xp = game.action_mask, namespace(tau)
    log_count = xp.log(xp.maximum(xp.sum(mask, axis=-1), 1).astype(tau.dtype))
    log_uniform = xp.broadcast_to(-log_count[..., None], mask.shape)
    log_reference = log_uniform if rho is None else xp.log(xp.where(mask, rho, 1.0))
    offset = tau * log_count if shannon else xp.zeros_like(tau)
    return game.payoff_range(), xp.where(mask, log_reference, 0.0), offset


_compiled_terms = compiled(_posed_terms)


def full_policy(value: Any, mask: ActionMask, dtype: Any, field: str, *, interior: bool = False) -> Policy:
    """A policy given as padded array or as nested lists (player, information state, action) without padding.

    Args:
        value: The policy; each valid row sums to 1 within 1e-8 (single precision: 1e-5).
        mask: Valid actions.
        dtype: Floating type of the result.
        field: The name that error messages give it.
        interior: Whether every valid action must have positive probability.

    Returns:
        Array of the mask's shape, rows normalised, padding 0.

    Raises:
        InputError: On a wrong shape, a negative or non-finite entry, or a row that sums to something else.
    """
    if isinstance(value, list | tuple):
        value = padded_rows(value, np.asarray(mask), field)
    array = as_float_array(value, field, dtype)
    if array.shape != mask.shape:
        raise InputError(field, f"has shape {tuple(array.shape)}, where {mask.shape} (player, state, action) is wanted")
    plain = in_numpy((array, mask))
    array, mask = (array, mask) if plain is None else plain
    xp = namespace(array)
    array = xp.where(mask, array, 0.0)
    if concrete(array) and concrete(mask):
        p, valid = np.asarray(array, np.float64), np.asarray(mask)
        bad = np.argwhere(valid & ~(np.isfinite(p) & ((p > 0) if interior else (p >= 0))))
        if len(bad):
            place = "".join(f"[{k}]" for k in bad[0])
            wanted = "finite and positive" if interior else "finite and not negative"
            raise InputError(field + place, f"is {p[tuple(bad[0])]:g}; it must be {wanted}")
        sums, tol = p.sum(-1), max(1e-8, 64 * float(jnp.finfo(dtype).eps))
        off = np.argwhere(valid.any(-1) & (np.abs(sums - 1) > tol))
        if len(off):
            i, x = off[0]
            raise InputError(f"{field}[{i}][{x}]", f"sums to {sums[i, x]:.12g}, not to 1")
    total = xp.sum(array, axis=-1, keepdims=True)
    array = array / xp.where(total > 0, total, 1.0)
    return array if plain is None else as_array(array)


def tolerance(tol: float | None, problem: Problem) -> Scalar:
    """The tolerance as an array: 1e-10 in float64 and 1e-5 in float32 where none is given."""
    return as_array(tolerance_in(tol, problem.game.dtype))


def tolerance_in(tol: float | None, dtype: Any) -> Float[Array | np.ndarray, ""]:
    """`tolerance` of problems whose floating type is ``dtype``, of numpy if it is known."""
    if tol is None:
        tol = 1e-10 if dtype == jnp.float64 else 1e-5
    elif concrete(tol) and not (np.ndim(tol) == 0 and np.isreal(tol) and 0 < float(tol) < 1):
        raise InputError("tol", f"is {tol!r}; it must lie strictly between 0 and 1")
    return (np if concrete(tol) else jnp).asarray(tol, dtype)


def check_zero_sum(game: AbstractGame) -> None:
    """Refuses "zero_sum" continuation of a game whose two players are not paid opposite amounts."""
    if game.num_players != 2:
        raise InputError("continuation", f'"zero_sum" is for two players; this game has {game.num_players}')
    opposed = game.opposed()
    if opposed is None:
        raise InputError("continuation", '"zero_sum" needs a game whose `opposed()` says that payoffs[1] = −payoffs[0]')
    if concrete(opposed) and not opposed:
        raise InputError("continuation", '"zero_sum" needs payoffs[1] = −payoffs[0]')


def _check_rationality(width: PerPlayer, tau: StateValues) -> None:
    if not (concrete(width) and concrete(tau)):
        return
    ranges, limit = np.asarray(width), _MAX_RATIONALITY
    if not np.isfinite(ranges).all():
        raise InputError("payoffs", "hold no number, or span more than floats do: rescale payoffs and tau together")
    with np.errstate(over="ignore"):
        ratio = ranges[:, None] / np.asarray(tau)
    i, x = np.unravel_index(np.argmax(ratio), ratio.shape)
    if ratio[i, x] > limit:
        raise InputError(
            "tau",
            f"{tau[i, x]:g} of player {i + 1} is too small beside payoffs that range over {ranges[i]:g} "
            f"(ratio above {limit:g}): rounding would decide the answer; raise tau",
        )
