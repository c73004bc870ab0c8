"""Learning dynamics of T7 and T2 by name: what is played, round after round.

All share one signature, ``(game or problem, policy0, num_rounds, key) -> policies``. Two of them go wrong where several
conventions compete (theory.md, T7); the third is the update of T2.
"""

from typing import Any

from jaxtyping import Array, Float

from hqre_jax.games._game import AbstractGame
from hqre_jax.learning._learners import BestResponse, MirrorPlay
from hqre_jax.learning._play import play
from hqre_jax.problem import Problem

Policies = Float[Array, "time player state action"]


def best_response_dynamics(game: AbstractGame, policy0: Any, num_rounds: int, key: Any) -> Policies:
    """Simultaneous best response: everybody plays an action that was best against the last round.

    ``π_i^{k+1}(x) ∈ argmax_a Q_i^{π^k}(x, a)``, ties broken at random; where play goes on, Q is the value of one
    step against π^k and then π^k for ever.

    Args:
        game: The game.
        policy0: π⁰, ``(player, information state, action)``.
        num_rounds: Number of updates K.
        key: Typed key; it only breaks ties.

    Returns:
        π⁰, …, π^K, the first axis being time; all but π⁰ are pure.

    Raises:
        InputError: On a bad policy or number of rounds.

    Failure modes: in coordination games it may never coordinate (T7).

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> start = [[[1.0, 0.0]], [[0.0, 1.0]]]
        >>> path = hq.learning.best_response_dynamics(game, start, 2, jax.random.key(0))
        >>> path[:, :, 0, 0].tolist()
        [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    return noisy_best_response_dynamics(game, policy0, num_rounds, key, noise=0.0)


def noisy_best_response_dynamics(
    game: AbstractGame, policy0: Any, num_rounds: int, key: Any, *, noise: Any, inertia: Any = 0.0
) -> Policies:
    """Best response with mistakes, and with agents that do not always look.

    At each of its information states player i, independently of everybody else, draws its action again from its
    last policy with probability ``inertia_i``; otherwise it errs, choosing uniformly, with probability ``noise_i``,
    and else plays a best response to the last round, ties broken at random.

    Args:
        game: The game.
        policy0: π⁰, ``(player, information state, action)``.
        num_rounds: Number of updates K.
        key: Typed key.
        noise: Probability of a mistake, in [0, 1]; a number or one per player.
        inertia: Probability of staying, in [0, 1]; a number or one per player.

    Returns:
        π⁰, …, π^K, the first axis being time; all but π⁰ are pure: what was played.

    Raises:
        InputError: On a bad policy, probability or number of rounds.

    Failure modes: it wanders between conventions (T7).

    Source: Kandori, Mailath & Rob (1993); Young (1993).

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> start = [[[1.0, 0.0]], [[0.0, 1.0]]]
        >>> path = hq.learning.noisy_best_response_dynamics(game, start, 2, jax.random.key(0), noise=0.1)
        >>> path.shape
        (3, 2, 1, 2)
    """
    # The rule knows no temperature: any will do.
    return play(Problem(game, 1.0), BestResponse(noise, inertia), num_rounds, key, policy0=policy0).policies


def mirror_dynamics(problem: Problem, policy0: Any, num_rounds: int, key: Any, *, step: Any) -> Policies:
    """Simultaneous mirror updates, ``π⁺ ∝ π^{1/(1+ητ)} ρ^{ητ/(1+ητ)} exp(ηQ(π)/(1+ητ))``.

    With a positive margin κ and ``η ≤ κ/L²`` they converge to the one HQRE at a linear rate (T2), and regret stays
    bounded (T3). With larger steps they may oscillate (T7).

    Args:
        problem: The problem: game, temperatures, reference.
        policy0: π⁰, ``(player, information state, action)``, positive at every valid action.
        num_rounds: Number of updates K.
        key: Not used, the updates being deterministic; here so that dynamics can be exchanged.
        step: η, in units of 1/payoff; infinite for the logit response itself.

    Returns:
        π⁰, …, π^K, the first axis being time.

    Raises:
        InputError: On a bad policy, step or number of rounds.

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> problem, start = hq.Problem(game, 8.0), [[[0.5, 0.5]], [[0.5, 0.5]]]
        >>> path = hq.learning.mirror_dynamics(problem, start, 20, jax.random.key(0), step=0.1)
        >>> print(path[-1, :, 0].round(3))
        [[0.462 0.538]
         [0.462 0.538]]
    """
    return play(problem, MirrorPlay(step), num_rounds, key, policy0=policy0).policies
