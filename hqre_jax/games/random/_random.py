"""Random games: a seeded family for every kind of game, and random interior policies to go with them.

Games are drawn on the host from a typed threefry key: the same key gives the same game, whatever device
computes with it afterwards. Payoffs are of order 1, so that temperatures count in the same unit everywhere.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from hqre_jax.core._types import InputError, Policy
from hqre_jax.games import (
    BayesianGame,
    ExtensiveFormGame,
    IncompleteInformationMarkovGame,
    MarkovGame,
    NormalFormGame,
    PolymatrixGame,
    PublicPrivateGame,
)
from hqre_jax.games._game import AbstractGame
from hqre_jax.games._tree import CHANCE, TERMINAL
from hqre_jax.games.random._draws import (
    Family,
    Graph,
    family_payoffs,
    generator,
    random_edges,
    random_kernel,
    random_type_law,
)


def random_normal_form(key: Any, num_actions: Sequence[int], *, family: Family = "uniform") -> NormalFormGame:
    """Random normal form.

    Families (payoffs of order 1, independent over joint actions unless said):

    * ``uniform``: U[−1, 1]; ``normal``: N(0, 1);
    * ``zero_sum``: U[−1, 1], the last player paid minus the sum of the others; ``near_zero_sum``: the same
      plus 0.1·U[−1, 1];
    * ``common_interest``: everybody is paid the same U[−1, 1];
    * ``coordination``: U[½, 3/2] where all choose the same action, else 0: each player has its own favourite;
    * ``potential``: a common U[−1, 1] plus a term that a player's own action does not change.

    Args:
        key: Typed key, ``jax.random.key(seed)``.
        num_actions: Number of actions of each player.
        family: As above.

    Returns:
        The game.

    Raises:
        InputError: If the key is no typed key or the family is unknown.

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.games.random.random_normal_form(jax.random.key(0), (2, 3))
        >>> game.action_mask.shape
        (2, 1, 3)
    """
    rng = generator(key)
    return NormalFormGame(family_payoffs(rng, family, len(num_actions), (), tuple(num_actions)))


def random_polymatrix(
    key: Any,
    num_players: int,
    num_actions: int,
    *,
    graph: Graph = "complete",
    degree: float = 4.0,
    family: Family = "uniform",
) -> PolymatrixGame:
    """Random polymatrix game: a random two-player game on every edge of a graph.

    Args:
        key: Typed key, ``jax.random.key(seed)``.
        num_players: Number of players.
        num_actions: Number of actions of every player.
        graph: ``complete``, ``cycle``, ``star`` (player 0 in the middle) or ``random`` (a cycle, so that
            nobody is alone, plus random chords).
        degree: Mean number of neighbours in the ``random`` graph, at least 2.
        family: Family of the edges' games (`random_normal_form`); ``zero_sum`` makes them pairwise zero-sum.

    Returns:
        The game.

    Raises:
        InputError: If the key is no typed key, or the family or graph is unknown.

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.games.random.random_polymatrix(jax.random.key(0), 3, 2)
        >>> game.action_mask.shape
        (3, 1, 2)
    """
    rng = generator(key)
    edges = random_edges(rng, num_players, graph, degree)
    payoffs = np.swapaxes(family_payoffs(rng, family, 2, (len(edges),), (num_actions, num_actions)), 0, 1)
    return PolymatrixGame(edges, payoffs)


def random_bayesian(
    key: Any,
    num_types: Sequence[int],
    num_actions: Sequence[int],
    *,
    family: Family = "uniform",
    independent: bool = False,
) -> BayesianGame:
    """Random Bayesian game.

    Args:
        key: Typed key, ``jax.random.key(seed)``.
        num_types: Number of types of each player.
        num_actions: Number of actions of each player.
        family: Family of payoffs at each type profile (`random_normal_form`).
        independent: Whether types are independent; else the prior is drawn from the flat Dirichlet law over
            type profiles.

    Returns:
        The game.

    Raises:
        InputError: If the key is no typed key or the family is unknown.

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.games.random.random_bayesian(jax.random.key(0), (2, 1), (2, 3))
        >>> game.action_mask.shape
        (2, 2, 3)
    """
    rng = generator(key)
    payoffs = family_payoffs(rng, family, len(num_actions), tuple(num_types), tuple(num_actions))
    return BayesianGame(random_type_law(rng, (), tuple(num_types), independent), payoffs)


def random_markov(
    key: Any,
    num_states: int,
    num_actions: Sequence[int],
    discount: float = 0.9,
    *,
    family: Family = "uniform",
    branching: int | None = None,
) -> MarkovGame:
    """Random Markov game; rows of the kernel are flat Dirichlet.

    Args:
        key: Typed key, ``jax.random.key(seed)``.
        num_states: Number of states.
        num_actions: Number of actions of each player, the same in every state.
        discount: γ in [0, 1]. With γ = 1 every move ends play with probability 0.2.
        family: Family of payoffs in each state (`random_normal_form`).
        branching: Number of states that can follow a move; all by default.

    Returns:
        The game; its initial distribution is random too.

    Raises:
        InputError: If the key is no typed key or the family is unknown.

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.games.random.random_markov(jax.random.key(0), 2, (2, 3))
        >>> game.action_mask.shape
        (2, 2, 3)
    """
    rng = generator(key)
    payoffs = family_payoffs(rng, family, len(num_actions), (num_states,), tuple(num_actions))
    kernel = random_kernel(rng, (num_states, *num_actions), num_states, branching, discount)
    return MarkovGame(payoffs, kernel, discount, rng.dirichlet(np.ones(num_states)))


def random_incomplete_information_markov(
    key: Any,
    num_worlds: int,
    num_information_states: Sequence[int],
    num_actions: Sequence[int],
    discount: float = 0.9,
    *,
    family: Family = "uniform",
    branching: int | None = None,
) -> IncompleteInformationMarkovGame:
    """Random discounted incomplete-information Markov game with a random information map.

    Args:
        key: Typed key, ``jax.random.key(seed)``.
        num_worlds: Number of world states.
        num_information_states: Number of information states of each player, at most ``num_worlds``.
        num_actions: Number of actions of each player.
        discount: γ in [0, 1]. With γ = 1 every move ends play with probability 0.2.
        family: Family of payoffs in each world state (`random_normal_form`).
        branching: Number of world states that can follow a move; all by default.

    Returns:
        The game; every information state is seen somewhere.

    Raises:
        InputError: If the key is no typed key, the family is unknown, or there are fewer worlds than
            information states.

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.games.random.random_incomplete_information_markov(jax.random.key(0), 3, (2, 2), (2, 2))
        >>> game.action_mask.shape
        (2, 2, 2)
    """
    rng = generator(key)
    if max(num_information_states) > num_worlds:
        raise InputError("num_information_states", f"exceeds the number of worlds, {num_worlds}")
    payoffs = family_payoffs(rng, family, len(num_actions), (num_worlds,), tuple(num_actions))
    kernel = random_kernel(rng, (num_worlds, *num_actions), num_worlds, branching, discount)
    # Each information state is shown once; the other worlds show any of them.
    observations = np.stack(
        [
            rng.permutation(np.concatenate([np.arange(x), rng.integers(x, size=num_worlds - x)]))
            for x in num_information_states
        ]
    )
    initial = rng.dirichlet(np.ones(num_worlds))
    return IncompleteInformationMarkovGame(payoffs, kernel, observations, discount, initial)


def random_public_private(
    key: Any,
    num_states: int,
    num_types: Sequence[int],
    num_actions: Sequence[int],
    discount: float = 0.9,
    *,
    family: Family = "uniform",
    branching: int | None = None,
    independent: bool = False,
) -> PublicPrivateGame:
    """Random game of a public state and private types redrawn each period.

    Args:
        key: Typed key, ``jax.random.key(seed)``.
        num_states: Number of public states.
        num_types: Number of types of each player.
        num_actions: Number of actions of each player.
        discount: γ in [0, 1]. With γ = 1 every move ends play with probability 0.2.
        family: Family of payoffs at each state and type profile (`random_normal_form`).
        branching: Number of public states that can follow a move; all by default.
        independent: Whether types are independent given the public state.

    Returns:
        The game; its initial distribution is random too.

    Raises:
        InputError: If the key is no typed key or the family is unknown.

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.games.random.random_public_private(jax.random.key(0), 2, (2, 1), (2, 2))
        >>> game.action_mask.shape
        (2, 4, 2)
    """
    rng = generator(key)
    worlds = (num_states, *num_types)
    payoffs = family_payoffs(rng, family, len(num_actions), worlds, tuple(num_actions))
    kernel = random_kernel(rng, (*worlds, *num_actions), num_states, branching, discount)
    type_prior = random_type_law(rng, (num_states,), tuple(num_types), independent)
    return PublicPrivateGame(payoffs, kernel, type_prior, discount, rng.dirichlet(np.ones(num_states)))


def random_extensive_form(
    key: Any,
    num_players: int,
    depth: int,
    num_actions: int = 2,
    *,
    chance: float = 0.2,
    hidden: float = 0.7,
    early_end: float = 0.1,
    family: Family = "uniform",
) -> ExtensiveFormGame:
    """Random tree with chance, hidden moves and perfect recall.

    Grown level by level: at each level one player moves, with one number of actions, but for the nodes that are
    chance or ends. Nodes of a level that follow the same own last move of the player may be put into one
    information set: that is perfect recall.

    Args:
        key: Typed key, ``jax.random.key(seed)``.
        num_players: Number of players; one that never gets to move is possible in small trees.
        depth: Number of moves (chance included) on the longest play; nodes grow like ``num_actions**depth``.
        num_actions: Largest number of actions at a node, at least 2; the smallest is 2.
        chance: Probability that a node is chance.
        hidden: Probability that a decision node joins the information set of its like, rather than being
            alone.
        early_end: Probability that play ends at a node before the last level, from the third on.
        family: Payoffs at leaves: any family of `random_normal_form` but ``coordination`` and ``potential``.

    Returns:
        The game.

    Raises:
        InputError: If the key is no typed key, or the family is unknown or makes no sense for a tree.

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.games.random.random_extensive_form(jax.random.key(0), 2, 3)
        >>> game.action_mask.shape
        (2, 4, 2)
    """
    rng = generator(key)
    parent, player, information_set, branch, probability = [-1], [], [], [-1], [1.0]
    # Each player's last own move at a node, (information set, action): what perfect recall preserves.
    last_moves: list[tuple] = [((-1, -1),) * num_players]
    num_states = [0] * num_players
    level = [0]
    for height in range(depth + 1):
        # One player and one number of actions to a level, so that there are nodes to be confused with others.
        mover_here, width_here = int(rng.integers(num_players)), int(rng.integers(2, num_actions + 1))
        shared: dict[tuple, int] = {}
        following: list[int] = []
        for node in level:
            ends = height == depth or (height > 1 and rng.random() < early_end)
            interrupted = height > 0 and rng.random() < chance
            mover = TERMINAL if ends else CHANCE if interrupted else mover_here
            width = 0 if ends else width_here
            own_set = -1
            if mover >= 0:
                like = (mover, last_moves[node][mover])
                if rng.random() < hidden and like in shared:
                    own_set = shared[like]
                else:
                    own_set = num_states[mover]
                    num_states[mover] += 1
                    shared.setdefault(like, own_set)
            player.append(mover)
            information_set.append(own_set)
            odds = rng.dirichlet(np.ones(width)) if mover == CHANCE else np.ones(width)
            for action in range(width):
                child = len(parent)
                parent.append(node)
                branch.append(action)
                probability.append(float(odds[action]))
                moves = list(last_moves[node])
                if mover >= 0:
                    moves[mover] = (own_set, action)
                last_moves.append(tuple(moves))
                following.append(child)
        level = following
    leaves = np.asarray(player) == TERMINAL
    payoffs = np.zeros((num_players, len(parent)))
    payoffs[:, leaves] = family_payoffs(rng, family, num_players, (int(leaves.sum()),), ())
    return ExtensiveFormGame(parent, player, information_set, branch, probability, payoffs)


def random_policy(key: Any, game: AbstractGame, spread: float = 1.0) -> Policy:
    """Random interior policy, ``π_i(·|x) ∝ exp(spread · N(0, 1))`` over the valid actions.

    Args:
        key: Typed key, ``jax.random.key(seed)``.
        game: For the shape and the valid actions.
        spread: Standard deviation of the logits; 0 gives the uniform policy.

    Returns:
        Policy ``(player, information state, action)``, padding exactly 0.

    Raises:
        InputError: If the key is no typed key.

    Example:
        >>> import jax
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> hq.games.random.random_policy(jax.random.key(0), game).sum(-1).round(6).tolist()
        [[1.0], [1.0]]
    """
    mask = np.asarray(game.action_mask)
    weights = np.where(mask, np.exp(spread * generator(key).standard_normal(mask.shape)), 0.0)
    total = weights.sum(-1, keepdims=True)
    return jnp.asarray(weights / np.where(total > 0, total, 1.0), game.dtype)
