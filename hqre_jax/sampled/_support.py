"""What a log can say of a policy: which plays count, and which values rest on actions that nobody ever took."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hqre_jax.core._temperatures import concrete
from hqre_jax.core._types import ActionMask, InputError, LogPolicy, Policy
from hqre_jax.sampled._episodes import Episodes


def usable(episodes: Any, mask: ActionMask, log_policy: LogPolicy) -> Episodes:
    """Episodes in which whatever counts is known, and failed plays are empty.

    Args:
        episodes: The play.
        mask: Valid actions of the game.
        log_policy: log π, which weights refer to.

    Returns:
        The episodes, nobody acting in those that failed.

    Raises:
        InputError: Naming the entry of a play that did not fail: a state or an action that the game does not have, a
            payoff or propensity that is no number, a propensity so small beside the policy that the weight of
            the play is beyond all numbers. Such a play says nothing: mark it as failed, or leave it out.
    """
    if not isinstance(episodes, Episodes):
        raise InputError("episodes", f"is a {type(episodes).__name__}; Episodes.from_log(log, game) gives them")
    if all(map(concrete, (*episodes, log_policy))):
        parts = {name: _column(part, name) for name, part in episodes._asdict().items()}
        _check_shapes(parts, mask)
        _check_values(parts, np.asarray(mask), np.asarray(log_policy))
    failed = jnp.asarray(episodes.failed)
    gone = failed[:, None, None]
    return Episodes(
        jnp.where(gone, -1, episodes.states),
        jnp.where(gone, 0, episodes.actions),
        jnp.where(gone, 0.0, episodes.rewards),
        jnp.where(gone, 0.0, episodes.log_propensities),
        jnp.asarray(episodes.ended),
        failed,
    )


def _column(part: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(part)
    except ValueError:
        raise InputError(f"episodes.{name}", "is ragged: lists at the same depth must have equal lengths") from None


def _check_shapes(parts: dict[str, np.ndarray], mask: ActionMask) -> None:
    shape = parts["states"].shape
    if len(shape) != 3 or not shape[0] or shape[2] != len(mask):
        raise InputError("episodes.states", f"has shape {shape}, where (episode, step, {len(mask)}) is wanted")
    for name in ("actions", "rewards", "log_propensities", "ended", "failed"):
        got, wanted = parts[name].shape, shape[:1] if name in ("ended", "failed") else shape
        if got != wanted:
            raise InputError(f"episodes.{name}", f"has shape {got}, where {wanted} is wanted")


def _check_values(
    parts: dict[str, np.ndarray], mask: Bool[np.ndarray, "player state action"], log_policy: np.ndarray
) -> None:
    kinds = {"states": "iu", "actions": "iu", "rewards": "iuf", "log_propensities": "iuf", "ended": "b", "failed": "b"}
    for name, part in parts.items():
        if part.dtype.kind not in kinds[name]:
            raise InputError(f"episodes.{name}", f"has type {part.dtype}, which it cannot have")
    states, actions, rewards, given, _, failed = parts.values()
    counts, moves = ~failed[:, None, None], states >= 0
    _reject("rewards", counts & ~np.isfinite(rewards), rewards, "it must be finite, or the play marked as failed")
    wrong = (states < -1) | (states >= mask.shape[1])
    _reject("states", counts & wrong, states, f"the game has {mask.shape[1]}, counted from 0, and −1 for nobody")
    player = np.broadcast_to(np.arange(len(mask)), states.shape)
    rows = np.clip(states, 0, mask.shape[1] - 1)
    chosen = np.clip(actions, 0, mask.shape[2] - 1)
    wrong = moves & ((chosen != actions) | ~mask[player, rows, chosen])
    _reject("actions", counts & wrong, actions, "it is no valid action there")
    wrong = moves & ~(np.isfinite(given) & (given <= 0))
    _reject("log_propensities", counts & wrong, given, "weights need the logarithm of a probability")
    gains = np.where(counts & moves, log_policy[player, rows, chosen] - np.where(counts & moves, given, 0.0), 0.0)
    # Squares of weights are summed: half of the largest logarithm.
    limit = 0.5 * np.log(np.finfo(log_policy.dtype).max)
    over = np.maximum(gains, 0).sum((1, 2)) > limit
    worst = np.zeros(gains.shape, bool)
    worst.reshape(len(gains), -1)[np.arange(len(gains)), gains.reshape(len(gains), -1).argmax(1)] = over
    _reject("log_propensities", worst, given, "the policy is so much likelier that the play says nothing: leave it out")


def _reject(name: str, bad: np.ndarray, values: np.ndarray, problem: str) -> None:
    found = np.argwhere(bad)
    if len(found):
        place = ", ".join(str(int(k)) for k in found[0])
        raise InputError(f"episodes.{name}[{place}]", f"is {values[tuple(found[0])]}; {problem}")


def unsupported(
    episodes: Episodes, policy: Policy, *, led_by_others: bool, led_by_own: bool
) -> Bool[Array, "player state action"]:
    """Cells whose value rests, somewhere else in the play, on actions that the policy takes and the log cannot show.

    At a decision point the policy takes actions that were never seen with probability m. Behaviour takes them with
    1 less the propensities of those that were. Where that is less than m no weights can make up for them; where
    it is not, as when behaviour is the policy itself, they are missing by chance alone, and weights are right.

    Args:
        episodes: Usable play.
        policy: π.
        led_by_others: Whether what leads to a visit is weighted for the moves of others.
        led_by_own: And for the player's own.

    Returns:
        Whether a visit was followed, or met, by such a point, or led there through one.
    """
    players = jnp.broadcast_to(jnp.arange(len(policy)), episodes.states.shape)
    moves, rows = episodes.states >= 0, jnp.maximum(episodes.states, 0)
    cell = players, rows, episodes.actions
    seen = jnp.zeros(policy.shape).at[cell].add(moves.astype(float))
    told = jnp.zeros(policy.shape).at[cell].add(jnp.where(moves, jnp.exp(episodes.log_propensities), 0.0))
    known = jnp.sum(told / jnp.maximum(seen, 1), axis=-1)
    missing = jnp.sum(jnp.where(seen > 0, 0.0, policy), axis=-1)
    rounding = 64 * jnp.finfo(policy.dtype).eps
    poor = moves & (missing > jnp.maximum(1 - known, 0.0) + rounding)[players, rows]
    anybody = jnp.any(poor, axis=-1, keepdims=True)
    others = jnp.sum(poor, axis=-1, keepdims=True) - poor > 0
    after = _any_before(jnp.flip(anybody, 1))
    led = _any_before(others) if led_by_others else jnp.zeros_like(others)
    led = led | (_any_before(poor) if led_by_own else jnp.zeros_like(poor))
    return jnp.zeros(policy.shape, bool).at[cell].max(moves & (others | led | jnp.flip(after, 1)))


def _any_before(flags: Bool[Array, "episode step p"]) -> Bool[Array, "episode step p"]:
    """Whether an earlier step is marked."""
    marked = jnp.cumsum(flags, axis=1)
    return marked - flags > 0


def leads_to(
    unknown: Bool[Array, " cell"], following: Float[Array, "cell state"], policy: Float[Array, "state action"]
) -> Bool[Array, " cell"]:
    """Cells from which play under the policy comes to an unknown one, itself included.

    Args:
        unknown: Which are unknown.
        following: Weight of each next information state.
        policy: π of each.

    Returns:
        The closure.
    """

    def grown(state):
        now, _ = state
        points = jnp.any(now.reshape(policy.shape) & (policy > 0), axis=-1)
        return now | jnp.any((following > 0) & points[None], axis=-1), now

    start = unknown, jnp.zeros_like(unknown)
    return jax.lax.while_loop(lambda state: jnp.any(state[0] != state[1]), grown, start)[0]
