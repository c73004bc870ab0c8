"""Each special case written as the general one, and public histories folded into the state.

The conversions are for checking and for theory: what they return is evaluated by other code than what they
are given, and it is usually much larger.
"""

import dataclasses
from itertools import product
from typing import Any

import jax.numpy as jnp
import numpy as np

from hqre_jax.core._types import InputError, Labels, Policy
from hqre_jax.games import (
    BayesianGame,
    ExtensiveFormGame,
    IncompleteInformationMarkovGame,
    MarkovGame,
    NormalFormGame,
    PolymatrixGame,
    PublicPrivateGame,
)
from hqre_jax.games._checks import expect_shape, finite
from hqre_jax.games._game import AbstractGame
from hqre_jax.games._tree import CHANCE
from hqre_jax.games._world_states import AbstractWorldStateGame


def as_normal_form(game: PolymatrixGame) -> NormalFormGame:
    """The payoff tensor of a polymatrix game, ``u_i(a) = Σ_{e∋i} u_i^e(a_i, a_j)``.

    Args:
        game: A polymatrix game of few players: the tensor has ``N·A^N`` entries.

    Returns:
        The same game in normal form.
    """
    num_players, num_actions = game.num_players, game.num_actions
    payoffs = np.zeros((num_players, *[num_actions] * num_players))
    for (i, j), pair in zip(np.asarray(game.edges), np.asarray(game.payoffs), strict=True):
        shape = [1] * num_players
        shape[i] = shape[j] = num_actions
        # An edge's axes are (a_i, a_j); the tensor wants the player of lower number first.
        payoffs[i] += (pair[0] if i < j else pair[0].T).reshape(shape)
        payoffs[j] += (pair[1] if i < j else pair[1].T).reshape(shape)
    return NormalFormGame(jnp.asarray(payoffs, game.dtype), action_mask=game.action_mask, labels=game.labels)


def as_bayesian(game: NormalFormGame) -> BayesianGame:
    """A normal form as a Bayesian game in which everybody has one type.

    Args:
        game: A normal form.

    Returns:
        The same game with one type each.
    """
    ones = (1,) * game.num_players
    payoffs = game.payoffs.reshape(game.num_players, *ones, *game.payoffs.shape[1:])
    return BayesianGame(np.ones(ones), payoffs, action_mask=game.action_mask, labels=game.labels)


def as_incomplete_information(game: AbstractGame) -> IncompleteInformationMarkovGame:
    """Any game as the general one, the discounted incomplete-information Markov game (theory.md §1).

    * Normal form (and polymatrix, through its tensor): one world, γ = 0.
    * Bayesian game: a world per type profile, γ = 0.
    * Markov game: a world per state.
    * Public stream and private types: a world per ``(s, θ)``, in C order.
    * Tree: a world per node, in the order of the tree's arrays, γ = 1; a row of the kernel leads to the
      children and is empty at leaves. The payoff on reaching a node is paid in that node, so that where inner
      nodes pay, ``Q(x, ·)`` differs from the tree's by a constant. Players who do not move see one further
      information state of one action, the last one.

    Information states keep their numbers, and values, action values and reach agree wherever an information
    state is reached. At unreached ones they need not: the general game's belief is uniform there, a
    public-private game's is ``μ(θ|s)``, and a tree's is the limit as the player's own avoidance ends.

    Args:
        game: The game; a tree's size becomes ``N·nodes·A^N`` payoffs and ``nodes²·A^N`` transitions.

    Returns:
        The general game. For trees policies gain a row and are carried over by ``lift_policy``.

    Raises:
        InputError: If this kind of game has no general form here.
    """
    if isinstance(game, IncompleteInformationMarkovGame):
        return game
    if isinstance(game, PolymatrixGame):
        game = as_normal_form(game)
    if isinstance(game, ExtensiveFormGame):
        return _tree_as_general(game)
    if not isinstance(game, AbstractWorldStateGame):
        raise InputError("game", f"is a {type(game).__name__}, which has no general form here")
    payoffs = game.world_payoffs()
    kernel = game.world_transitions()
    if kernel is None:
        # Nothing comes afterwards: any kernel will do where γ = 0, so worlds stay what they are.
        num_worlds, num_actions = payoffs.shape[1], payoffs.shape[2:]
        stay = jnp.eye(num_worlds, dtype=payoffs.dtype).reshape(num_worlds, *(1 for _ in num_actions), num_worlds)
        kernel = jnp.broadcast_to(stay, (*payoffs.shape[1:], num_worlds))
    else:
        kernel = game.spread(kernel)
    return IncompleteInformationMarkovGame(
        payoffs,
        kernel,
        game.information_map(),
        game.discount_factor(),
        game.world_initial(),
        action_mask=game.action_mask,
        labels=game.labels,
    )


def lift_policy(game: ExtensiveFormGame, policy: Any) -> Policy:
    """A tree's policy for its general form: the row of those who do not move is added.

    Args:
        game: The tree that was given to `as_incomplete_information`.
        policy: Policy ``(player, information set, action)``.

    Returns:
        Policy ``(player, information set + 1, action)``; each player's waiting state is the first after its
        own sets.
    """
    lifted = np.zeros((game.num_players, game.num_information_states + 1, game.num_actions))
    lifted[:, :-1] = np.asarray(policy)
    lifted[np.arange(game.num_players), list(game.tree.num_states), 0] = 1.0
    return jnp.asarray(lifted, game.dtype)


def _tree_as_general(game: ExtensiveFormGame) -> IncompleteInformationMarkovGame:
    num_players, num_nodes = game.payoffs.shape
    player, parent = np.asarray(game.player), np.asarray(game.parent)
    branch, chance = np.asarray(game.branch), np.asarray(game.probability)
    num_states, num_actions = game.tree.num_states, game.num_actions
    joint = (num_actions,) * num_players
    kernel = np.zeros((num_nodes, *joint, num_nodes))
    for node in np.flatnonzero(parent >= 0):
        above = parent[node]
        rows: list[Any] = [slice(None)] * num_players
        if player[above] != CHANCE:
            rows[player[above]] = branch[node]
        kernel[(above, *rows, node)] = chance[node] if player[above] == CHANCE else 1.0
    waiting = np.asarray(num_states)[:, None]
    moves = player[None, :] == np.arange(num_players)[:, None]
    observations = np.where(moves, np.asarray(game.information_set)[None, :], waiting)
    action_mask = np.zeros((num_players, game.num_information_states + 1, num_actions), bool)
    action_mask[:, :-1] = np.asarray(game.action_mask)
    action_mask[np.arange(num_players), list(num_states), 0] = True
    payoffs = np.asarray(game.payoffs).reshape(num_players, num_nodes, *(1 for _ in joint))
    return IncompleteInformationMarkovGame(
        np.broadcast_to(payoffs, (num_players, num_nodes, *joint)),
        kernel,
        observations,
        1.0,
        (parent < 0).astype(payoffs.dtype),
        action_mask=action_mask,
        labels=Labels(title=game.labels.title, source=game.labels.source, players=game.labels.players),
    )


def with_public_history(
    game: MarkovGame | PublicPrivateGame, num_messages: int, messages: Any = None
) -> MarkovGame | PublicPrivateGame:
    """The same game whose players remember the last m public messages: finite-memory histories.

    A state becomes ``(s, h)`` with h the last at most m messages, oldest first, numbered ``s·H + h``; h = 0
    is the empty history, then come the histories of length 1, 2, …, m, each length in lexicographic order.
    With M messages there are ``H = 1 + M + … + M^m`` histories. Play starts without history.

    Args:
        game: A Markov game or a game of a public state and private types.
        num_messages: m ≥ 0; 0 gives the game itself.
        messages: Which message follows, integers ``messages[s, a_1, …, a_N]`` counted 0, 1, 2, …; by
            default the joint action itself in C order (``M = Π A_i``).

    Returns:
        A game of the same kind, with ``S·H`` states. Its payoffs do not depend on the history; policies may.

    Raises:
        InputError: If m is negative or the messages are not such an array.
    """
    if num_messages < 0:
        raise InputError("num_messages", f"is {num_messages}; it must not be negative")
    if num_messages == 0:
        return game
    num_players, num_states = game.payoffs.shape[:2]
    kinds = game.payoffs.shape[2:-num_players]  # type profile, where there are private types
    num_actions = game.payoffs.shape[-num_players:]
    if messages is None:
        said = np.broadcast_to(np.arange(np.prod(num_actions)).reshape(num_actions), (num_states, *num_actions))
    else:
        said = _message_numbers(messages, (num_states, *num_actions))
    vocabulary = range(int(said.max()) + 1)
    histories = [h for length in range(num_messages + 1) for h in product(vocabulary, repeat=length)]
    number = {history: h for h, history in enumerate(histories)}
    # follows[h, m]: the history after h and the message m.
    follows = np.asarray([[number[(*h, m)[-num_messages:]] for m in vocabulary] for h in histories])
    size = len(histories)

    kernel = np.asarray(game.transitions).reshape(num_states, -1, *num_actions, num_states)
    remembered = np.zeros((num_states, size, *kernel.shape[1:], size), kernel.dtype)
    for h in range(size):
        arrived = follows[h][said][:, None, ..., None, None] == np.arange(size)
        remembered[:, h] = kernel[..., None] * arrived
    states = num_states * size
    initial = np.zeros((num_states, size))
    initial[:, 0] = np.asarray(game.initial)
    labels = dataclasses.replace(game.labels, information_states=(), actions=())
    transitions = remembered.reshape(states, *kinds, *num_actions, states)
    payoffs = np.repeat(np.asarray(game.payoffs), size, axis=1)
    if isinstance(game, MarkovGame):
        mask = np.repeat(np.asarray(game.action_mask), size, axis=1)
        return MarkovGame(payoffs, transitions, game.discount, initial.reshape(-1), action_mask=mask, labels=labels)
    type_prior = np.repeat(np.asarray(game.type_prior), size, axis=0)
    mask = np.zeros((num_players, states * max(kinds), max(num_actions)), bool)
    for i, count in enumerate(kinds):
        own = np.asarray(game.action_mask)[i, : num_states * count].reshape(num_states, 1, count, -1)
        mask[i, : states * count] = np.repeat(own, size, axis=1).reshape(states * count, -1)
    return PublicPrivateGame(
        payoffs, transitions, type_prior, game.discount, initial.reshape(-1), action_mask=mask, labels=labels
    )


def _message_numbers(messages: Any, shape: tuple[int, ...]) -> np.ndarray:
    said = np.asarray(finite(messages, "messages"))
    expect_shape(said, "messages", shape)
    if (said != np.floor(said)).any() or (said < 0).any():
        raise InputError("messages", "must be integers 0, 1, 2, …")
    return said.astype(int)
