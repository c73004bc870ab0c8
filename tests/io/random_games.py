"""Games of every kind for hypothesis: payoffs of any finite value, names with awkward characters."""

import itertools

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import hqre_jax.games as games
from hqre_jax.core._types import Labels, spoken

# The constructors' arguments, written out once more: the files must not change them.
ARGUMENTS = {
    games.NormalFormGame: ("payoffs",),
    games.PolymatrixGame: ("edges", "payoffs"),
    games.BayesianGame: ("prior", "payoffs"),
    games.MarkovGame: ("payoffs", "transitions", "discount", "initial"),
    games.IncompleteInformationMarkovGame: ("payoffs", "transitions", "observations", "discount", "initial"),
    games.PublicPrivateGame: ("payoffs", "transitions", "type_prior", "discount", "initial"),
    games.ExtensiveFormGame: ("parent", "player", "information_set", "branch", "probability", "payoffs"),
}
LABELS = (
    "title", "source", "players", "information_states", "actions",
    "nodes", "outcomes", "chance_moves", "chance_actions",
)  # fmt: skip

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([-0.0, 0.1, 1 / 3, 5e-324, 1e22])
texts = st.text(st.sampled_from(list('aé\\"{},;/\n\r\t\0😀 1')) | st.characters(exclude_categories=["Cs"]), max_size=6)
names = texts.filter(bool)


def payoffs(*shape):
    return hnp.arrays(np.float64, shape, elements=numbers)


def law(rng, shape, axes):
    """Distributions over the last ``axes`` axes, some of their entries 0."""
    p = rng.exponential(size=shape) * (rng.random(shape) < 0.8) + 1e-3
    return p / p.sum(tuple(range(-axes, 0)), keepdims=True)


@st.composite
def normal_form(draw):
    shape = draw(st.sampled_from([(2,), (2, 3), (3, 1), (2, 2, 3)]))
    return games.NormalFormGame, {"payoffs": draw(payoffs(len(shape), *shape))}


@st.composite
def polymatrix(draw):
    edges = draw(st.sampled_from([[[0, 1]], [[1, 0], [2, 1]], [[0, 2], [2, 0]]]))
    mask = np.ones((4, 1, 2), bool)  # one player more than the edges name
    mask[1, 0, 1] = draw(st.booleans())
    return games.PolymatrixGame, {
        "edges": edges,
        "payoffs": draw(payoffs(len(edges), 2, 2, 2)),
        "action_mask": mask,
    }


@st.composite
def bayesian(draw):
    types, actions = draw(st.sampled_from([((2, 1), (2, 3)), ((2, 3), (2, 2))]))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    return games.BayesianGame, {"prior": law(rng, types, 2), "payoffs": draw(payoffs(2, *types, *actions))}


@st.composite
def markov(draw):
    states, actions = draw(st.sampled_from([(1, (2,)), (3, (2, 3))]))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    arguments = {
        "payoffs": draw(payoffs(len(actions), states, *actions)),
        "transitions": law(rng, (states, *actions, states), 1),
        "discount": draw(st.floats(0, 0.99)),
    }
    return games.MarkovGame, arguments | draw(st.sampled_from([{}, {"initial": law(rng, (states,), 1)}]))


@st.composite
def incomplete_information_markov(draw):
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    return games.IncompleteInformationMarkovGame, {
        "payoffs": draw(payoffs(2, 3, 2, 2)),
        "transitions": law(rng, (3, 2, 2, 3), 1),
        "observations": np.array([[0, 1, 1], [0, 1, 2]]),
        "discount": draw(st.floats(0, 0.99)),
        "initial": law(rng, (3,), 1),
    }


@st.composite
def public_private(draw):
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    return games.PublicPrivateGame, {
        "payoffs": draw(payoffs(2, 2, 1, 2, 2, 3)),
        "transitions": law(rng, (2, 1, 2, 2, 3, 2), 1),
        "type_prior": law(rng, (2, 1, 2), 2),
        "discount": draw(st.floats(0, 0.99)),
        "initial": law(rng, (2,), 1),
    }


@st.composite
def trees(draw, num_players=3):
    """A tree in prefix order with perfect recall, information sets numbered by first appearance.

    Nodes share an information set when the mover's own past, the number of actions and a coin agree.
    """
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    columns = {key: [] for key in ("parent", "player", "information_set", "branch", "probability")}
    sets = [{} for _ in range(num_players)]
    ahead = [(-1, -1, 1.0, ((),) * num_players)]
    while ahead:
        parent, branch, probability, past = ahead.pop()
        node = len(columns["parent"])
        depth = sum(map(len, past))
        player = int(rng.integers(-1, num_players)) if depth < 3 and node < 60 else -2
        player = node % num_players if node < num_players else player  # everybody moves somewhere
        width, index, chances = 0, -1, ()
        if player >= 0:
            width = int(rng.integers(1, 4))
            index = sets[player].setdefault((past[player], width, rng.random() < 0.5), len(sets[player]))
        elif player == -1:
            width = int(rng.integers(1, 5))
            chances = [1 / width] * width if rng.random() < 0.5 else law(rng, (width,), 1)
        for key, value in zip(columns, (parent, player, index, branch, probability), strict=True):
            columns[key].append(value)
        for a in reversed(range(width)):
            pasts = tuple(p + (((index, a),) if i == player else ()) for i, p in enumerate(past))
            ahead.append((node, a, float(chances[a]) if player == -1 else 1.0, pasts))
    paid = draw(payoffs(num_players, len(columns["parent"])))
    return games.ExtensiveFormGame, {key: np.array(column) for key, column in columns.items()} | {"payoffs": paid}


KINDS = {
    "normal_form": normal_form(),
    "polymatrix": polymatrix(),
    "bayesian": bayesian(),
    "markov": markov(),
    "incomplete_information_markov": incomplete_information_markov(),
    "public_private": public_private(),
    "extensive_form": trees(),
}


def labels(draw, game):
    """Names for everything in a game, from a draw of at most eight different ones."""
    pool = draw(st.lists(names, min_size=1, max_size=8))
    mask = np.asarray(game.action_mask)
    pick = itertools.cycle(pool)
    parts = {}
    if isinstance(game, games.NormalFormGame):
        parts = {"outcomes": draw(st.just(()) | st.just(tuple(next(pick) for _ in range(game.payoffs[0].size))))}
    if isinstance(game, games.ExtensiveFormGame):
        player, parent = np.asarray(game.player), np.asarray(game.parent)
        chance, by_chance = player == -1, (parent >= 0) & (player[parent] == -1)
        parts = {
            "nodes": tuple(next(pick) for _ in player),
            "outcomes": tuple(next(pick) for _ in player),
            "chance_moves": spoken([next(pick) if here else "" for here in chance]),
            "chance_actions": spoken([next(pick) + "!" if here else "" for here in by_chance]),
        }
    sizes = [[int(np.flatnonzero(row)[-1]) + 1 for row in own if row.any()] for own in mask]
    return Labels(
        title=draw(texts),
        source=draw(texts),
        players=tuple(next(pick) for _ in sizes),
        information_states=tuple(tuple(next(pick) for _ in own) for own in sizes),
        actions=tuple(tuple(tuple(next(pick) for _ in range(size)) for size in own) for own in sizes),
        **parts,
    )


def assert_same(game, other, *, without=()):
    """Same class, same bits in every array, same names."""
    assert type(game) is type(other)
    for key in (*ARGUMENTS[type(game)], "action_mask"):
        left, right = np.asarray(getattr(game, key)), np.asarray(getattr(other, key))
        assert left.dtype == right.dtype, key
        assert left.shape == right.shape, key
        assert left.tobytes() == right.tobytes(), key
    for key in LABELS:
        if key not in without:
            assert getattr(game.labels, key) == getattr(other.labels, key), key
