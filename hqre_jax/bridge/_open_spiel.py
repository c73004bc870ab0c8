"""OpenSpiel's games: as simulators that are only played, and, where they are small enough, as exact trees."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from hqre_jax.core._types import InputError, Labels
from hqre_jax.games import ExtensiveFormGame
from hqre_jax.sampled import AbstractHostSimulator

# Nodes of a game that are visited to number its information states; larger games need fewer cards or turns.
MAX_NODES = 1_000_000


class _Node(NamedTuple):
    """One node of the game tree, in the order of a depth-first walk."""

    parent: int
    branch: int
    probability: float
    state: Any


class _Census:
    """Every information state of a game, in the order in which a depth-first walk meets them.

    OpenSpiel names information states by strings and actions by numbers that need not be consecutive; here both are
    counted from 0, actions in OpenSpiel's order.
    """

    def __init__(self, game: Any):
        self.players = game.num_players()
        self.states: list[dict[str, int]] = [{} for _ in range(self.players)]
        self.legal: list[list[list[int]]] = [[] for _ in range(self.players)]
        self.names: list[list[tuple[str, ...]]] = [[] for _ in range(self.players)]

    def meet(self, state: Any) -> tuple[int, int]:
        """Player to move and its information state, numbered when met for the first time."""
        i = state.current_player()
        name = state.information_state_string(i)
        x = self.states[i].setdefault(name, len(self.legal[i]))
        if x == len(self.legal[i]):
            actions = state.legal_actions()
            self.legal[i].append(actions)
            self.names[i].append(tuple(state.action_to_string(i, a) for a in actions))
        return i, x

    @property
    def mask(self) -> Bool[np.ndarray, "player state action"]:
        """Valid actions."""
        most = max(len(states) for states in self.legal)
        widest = max(len(actions) for states in self.legal for actions in states)
        mask = np.zeros((self.players, most, widest), bool)
        for i, states in enumerate(self.legal):
            for x, actions in enumerate(states):
                mask[i, x, : len(actions)] = True
        return mask

    def labels(self, title: str) -> Labels:
        """OpenSpiel's own names."""
        return Labels(
            title=title,
            source="OpenSpiel",
            information_states=tuple(tuple(" ".join(name.split()) for name in states) for states in self.states),
            actions=tuple(tuple(names) for names in self.names),
        )


def open_spiel_tree(game: Any) -> ExtensiveFormGame:
    """The whole tree of an OpenSpiel game, for exact solving.

    Args:
        game: OpenSpiel's name with parameters, such as ``"kuhn_poker"`` or
            ``"bargaining(max_turns=2,max_num_instances=2)"``, or a ``pyspiel.Game``. Simultaneous moves are taken one
            after the other, unseen.

    Returns:
        The tree; players, information states and actions are numbered as `OpenSpielSimulator` numbers them.

    Raises:
        InputError: OpenSpiel is not installed, does not know the game, or the game has more than 1,000,000 nodes.

    Example:
        >>> import pyspiel
        >>> from hqre_jax.bridge import open_spiel_tree
        >>> tree = open_spiel_tree(pyspiel.load_game("kuhn_poker"))
        >>> tree.num_players, tree.action_mask.shape
        (2, (2, 6, 2))
    """
    loaded = _load(game)
    census = _Census(loaded)
    nodes = list(_walk(loaded))
    player, information_set, payoffs = [], [], []
    for node in nodes:
        kind, which = -1, -1
        if node.state.is_terminal():
            kind = -2
        elif not node.state.is_chance_node():
            kind, which = census.meet(node.state)
        player.append(kind)
        information_set.append(which)
        payoffs.append(node.state.returns() if kind == -2 else [0.0] * census.players)
    return ExtensiveFormGame(
        [node.parent for node in nodes],
        player,
        information_set,
        [node.branch for node in nodes],
        [node.probability for node in nodes],
        np.array(payoffs).T,
        labels=census.labels(str(loaded)),
    )


class OpenSpielSimulator(AbstractHostSimulator):
    """An OpenSpiel game that is only played: a play is asked for its states, rewards and moves, nothing else.

    Before, the tree is walked once, to number the information states.

    Args:
        game: As in `open_spiel_tree`.

    Raises:
        InputError: As in `open_spiel_tree`.

    Example:
        >>> import numpy as np
        >>> import pyspiel
        >>> from hqre_jax.bridge import OpenSpielSimulator
        >>> simulator = OpenSpielSimulator(pyspiel.load_game("kuhn_poker"))
        >>> simulator.observe(simulator.reset(np.array([0]))).shape, simulator.return_high.tolist()
        ((1, 2), [2.0, 2.0])
    """

    def __init__(self, game: Any):
        self.game = _load(game)
        self.census = census = _Census(self.game)
        depths, moves, ends = [0], np.zeros(census.players, int), []
        # What was paid before a decision is not part of the return from there on.
        paid = [np.zeros(census.players)]
        counts: list[np.ndarray] = []
        for node in _walk(self.game):
            count = np.zeros(census.players, int) if node.parent < 0 else counts[node.parent].copy()
            if node.state.is_terminal():
                depths.append(int(count.sum()))
                moves = np.maximum(moves, count)
                ends.append(node.state.returns())
            elif not node.state.is_chance_node():
                count[census.meet(node.state)[0]] += 1
                paid.append(node.state.returns())
            counts.append(count)
        self.action_mask = census.mask
        self.discount = 1.0
        self.return_low = np.min(ends, axis=0) - np.max(paid, axis=0)
        self.return_high = np.max(ends, axis=0) - np.min(paid, axis=0)
        self.horizon, self.num_moves = max(depths), int(moves.max())
        self.labels = census.labels(str(self.game))

    def reset(self, seeds: Int[np.ndarray, " play"]) -> list[tuple[Any, np.random.Generator]]:
        """See `AbstractHostSimulator`."""
        plays = [(self.game.new_initial_state(), np.random.default_rng(int(seed))) for seed in seeds]
        for state, rng in plays:
            _let_chance_move(state, rng)
        return plays

    def observe(self, state: list[tuple[Any, np.random.Generator]]) -> Int[np.ndarray, "play player"]:
        """See `AbstractHostSimulator`."""
        seen = np.full((len(state), self.census.players), -1)
        for k, (play, _) in enumerate(state):
            if not play.is_terminal():
                i, x = self.census.meet(play)
                seen[k, i] = x
        return seen

    def step(
        self, state: list[tuple[Any, np.random.Generator]], actions: Int[np.ndarray, "play player"]
    ) -> tuple[Any, Float[np.ndarray, "play player"], Bool[np.ndarray, " play"], Bool[np.ndarray, " play"]]:
        """See `AbstractHostSimulator`; rewards are what the move adds to OpenSpiel's returns."""
        rewards = np.zeros((len(state), self.census.players))
        ended = np.ones(len(state), bool)
        for k, (play, rng) in enumerate(state):
            if play.is_terminal():
                continue
            before = np.array(play.returns())
            i, x = self.census.meet(play)
            play.apply_action(self.census.legal[i][x][actions[k, i]])
            _let_chance_move(play, rng)
            rewards[k] = np.array(play.returns()) - before
            ended[k] = play.is_terminal()
        return state, rewards, ended, np.zeros(len(state), bool)


def _load(game: Any) -> Any:
    try:
        import pyspiel
    except ImportError:
        raise InputError("open_spiel", "is not installed: pip install 'hqre-jax[open-spiel]'") from None
    try:
        loaded = pyspiel.load_game(game) if isinstance(game, str) else game
        kind = loaded.get_type()
    except (RuntimeError, AttributeError) as error:
        raise InputError("game", f"is {game!r}, which OpenSpiel cannot load: {str(error).splitlines()[0]}") from None
    if kind.chance_mode == pyspiel.GameType.ChanceMode.SAMPLED_STOCHASTIC:
        raise InputError("game", f"is {game!r}, whose chance OpenSpiel only samples; its states cannot be numbered")
    if kind.dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS:
        loaded = pyspiel.convert_to_turn_based(loaded)
    return loaded


def _walk(game: Any) -> Iterator[_Node]:
    """All nodes, each after its parent."""
    stack, count = [_Node(-1, -1, 1.0, game.new_initial_state())], 0
    while stack:
        node = stack.pop()
        yield node
        if count >= MAX_NODES:
            raise InputError(
                "game", f"is {game}, which has more than {MAX_NODES:,} nodes; fewer cards or turns are wanted"
            )
        if not node.state.is_terminal():
            chance = node.state.is_chance_node()
            moves = node.state.chance_outcomes() if chance else [(a, 1.0) for a in node.state.legal_actions()]
            children = [_Node(count, k, p, node.state.child(a)) for k, (a, p) in enumerate(moves)]
            stack.extend(reversed(children))
        count += 1


def _let_chance_move(state: Any, rng: np.random.Generator) -> None:
    """Chance's moves until somebody acts or play is over."""
    while state.is_chance_node():
        outcomes = state.chance_outcomes()
        sums = np.cumsum([chance for _, chance in outcomes])
        # The last sum may miss 1 by rounding.
        state.apply_action(outcomes[min(int(np.searchsorted(sums, rng.random(), "right")), len(outcomes) - 1)][0])
