"""Games evaluated the slow way: every world and every joint action, one at a time, in plain NumPy.

Shares no code with the library; it starts from the arrays that users hand to constructors. The worlds of a
game are listed with what the definition says of them (theory.md §1), and `evaluate_worlds` spells out §2.
"""

from dataclasses import dataclass, field
from itertools import product

import numpy as np

SHARES = {"soft": np.eye(2), "plain": np.zeros((2, 2)), "zero_sum": np.array([[1.0, -1.0], [-1.0, 1.0]])}


@dataclass
class Worlds:
    """A game, world by world."""

    seen: list[tuple[int, ...]]  # information state of each player
    initial: list[float]
    pays: list  # function of the joint action, one number per player
    leads: list  # function of the joint action, {world: probability}
    discount: float = 0.0
    belief: list[float] | None = None  # weights of worlds, where they are no occupancy
    sizes: tuple[int, ...] = field(default=())  # actions of each player


def normal_form_worlds(payoffs):
    u = np.asarray(payoffs)
    pays = [lambda a: u[(slice(None), *a)]]
    return Worlds([(0,) * u.shape[0]], [1.0], pays, [lambda a: {}], sizes=u.shape[1:])


def bayesian_worlds(prior, payoffs):
    u, prior = np.asarray(payoffs), np.asarray(prior)
    thetas = list(product(*map(range, prior.shape)))
    return Worlds(
        seen=thetas,
        initial=[prior[t] for t in thetas],
        pays=[lambda a, t=t: u[(slice(None), *t, *a)] for t in thetas],
        leads=[lambda a: {}] * len(thetas),
        sizes=u.shape[1 + prior.ndim :],
    )


def markov_worlds(payoffs, transitions, discount, initial, observations=None):
    u, p = np.asarray(payoffs), np.asarray(transitions)
    players, states = u.shape[:2]
    seen = np.tile(np.arange(states), (players, 1)) if observations is None else np.asarray(observations)
    return Worlds(
        seen=[tuple(seen[:, s]) for s in range(states)],
        initial=list(np.asarray(initial)),
        pays=[lambda a, s=s: u[(slice(None), s, *a)] for s in range(states)],
        leads=[lambda a, s=s: dict(enumerate(p[(s, *a)])) for s in range(states)],
        discount=discount,
        sizes=u.shape[2:],
    )


def public_private_worlds(payoffs, transitions, type_prior, discount, initial):
    u, p = np.asarray(payoffs), np.asarray(transitions)
    prior, initial = np.asarray(type_prior), np.asarray(initial)
    types = prior.shape[1:]
    thetas = list(product(*map(range, types)))
    worlds = [(s, t) for s in range(len(initial)) for t in thetas]
    number = {world: k for k, world in enumerate(worlds)}

    def leads(s, t, a):
        return {
            number[later, new]: p[(s, *t, *a, later)] * prior[(later, *new)]
            for later in range(len(initial))
            for new in thetas
        }

    return Worlds(
        seen=[tuple(s * types[i] + t[i] for i in range(len(types))) for s, t in worlds],
        initial=[initial[s] * prior[(s, *t)] for s, t in worlds],
        pays=[lambda a, s=s, t=t: u[(slice(None), s, *t, *a)] for s, t in worlds],
        leads=[lambda a, s=s, t=t: leads(s, t, a) for s, t in worlds],
        discount=discount,
        belief=[prior[(s, *t)] for s, t in worlds],
        sizes=u.shape[2 + len(types) :],
    )


def evaluate_worlds(game, policy, bonus, continuation, sweeps=400):
    """``(action values, values, initial values, reach)`` by summation and value iteration.

    Args:
        game: `Worlds`.
        policy: ``(player, information state, action)``.
        bonus: ``τ_j(x) H_j(x)``.
        continuation: Who is paid whose bonus.
        sweeps: Number of backups; at γ = 0.9 and 400 the rest is 1e-18.
    """
    policy, bonus = np.asarray(policy), np.asarray(bonus)
    players, worlds = policy.shape[0], range(len(game.seen))
    shares = SHARES[continuation] if players == 2 else {"soft": 1.0, "plain": 0.0}[continuation] * np.eye(players)
    joint = list(product(*map(range, game.sizes)))
    # Probability of each joint action in each world, where a player may be left out.
    chance = np.ones((players + 1, len(game.seen), len(joint)))
    for w in worlds:
        for k, a in enumerate(joint):
            for left_out in range(players + 1):
                for j in range(players):
                    if j != left_out:
                        chance[left_out, w, k] *= policy[j, game.seen[w][j], a[j]]
    pay = np.array([[game.pays[w](a) for a in joint] for w in worlds])
    paid = np.array([shares @ [bonus[j, game.seen[w][j]] for j in range(players)] for w in worlds])
    kernel = np.zeros((len(game.seen), len(joint), len(game.seen)))
    for w in worlds:
        for k, a in enumerate(joint):
            for later, probability in game.leads[w](a).items():
                kernel[w, k, later] = probability
    value, visits = np.zeros((len(game.seen), players)), np.array(game.initial)
    occupancy = visits.copy()
    for _ in range(sweeps if kernel.any() and game.discount else 1):
        backup = pay + game.discount * kernel @ value
        value = (chance[players][:, :, None] * backup).sum(1) + paid
        visits = game.discount * np.einsum("w,wk,wkv->v", visits, chance[players], kernel)
        occupancy = occupancy + visits
    backup = pay + game.discount * kernel @ value
    weights = np.array(occupancy if game.belief is None else game.belief)

    action_values, values = np.zeros(policy.shape), np.zeros(policy.shape[:2])
    reach = np.zeros(policy.shape[:2])
    for i in range(players):
        for x in range(policy.shape[1]):
            here = [w for w in worlds if game.seen[w][i] == x]
            if not here:
                continue
            total = weights[here].sum()
            for w in here:
                belief = weights[w] / total if total > 0 else 1 / len(here)
                values[i, x] += belief * value[w, i]
                for k, a in enumerate(joint):
                    action_values[i, x, a[i]] += belief * chance[i, w, k] * backup[w, k, i]
            reach[i, x] = occupancy[here].sum() * ((1 - game.discount) if game.discount < 1 else 1)
    return action_values, values, np.array(game.initial) @ value, reach


def evaluate_tree(arrays, policy, bonus, continuation, root_only=False):
    """The same for a tree: every play from root to leaf, one at a time; or its initial values alone."""
    parent, player, information_set, branch, probability, payoffs = map(np.asarray, arrays)
    policy, bonus, players = np.asarray(policy), np.asarray(bonus), len(payoffs)
    shares = SHARES[continuation] if players == 2 else {"soft": 1.0, "plain": 0.0}[continuation] * np.eye(players)

    def path(node):
        return ([] if parent[node] < 0 else path(parent[node])) + [node]

    def step(node, without=None):
        """Probability of the edge into a node, a player's own choice left out."""
        mover = player[parent[node]]
        if mover < 0:
            return probability[node]
        return 1.0 if mover == without else policy[mover, information_set[parent[node]], branch[node]]

    def received(node):
        entropy = np.zeros(players)
        if player[node] >= 0:
            entropy[player[node]] = bonus[player[node], information_set[node]]
        return payoffs[:, node] + shares @ entropy

    plays = [path(leaf) for leaf in range(len(parent)) if player[leaf] == -2]

    def value(node):
        total = np.zeros(players)
        for play in plays:
            if node in play:
                rest = play[play.index(node) :]
                # Payments on the way belong to each play that passes; the weights of the plays sum to 1.
                weight = np.prod([step(later) for later in rest[1:]])
                total += weight * sum(received(later) for later in rest)
        return total

    root = value(int(np.flatnonzero(parent < 0)[0]))
    if root_only:
        return root
    action_values, values = np.zeros(policy.shape), np.zeros(policy.shape[:2])
    reach = np.zeros(policy.shape[:2])
    for i in range(players):
        for x in range(policy.shape[1]):
            nodes = [n for n in range(len(parent)) if player[n] == i and information_set[n] == x]
            others = np.array([np.prod([step(n, without=i) for n in path(node)[1:]]) for node in nodes])
            for node, weight in zip(nodes, others, strict=True):
                belief = weight / others.sum() if others.sum() > 0 else 1 / len(nodes)
                reach[i, x] += np.prod([step(n) for n in path(node)[1:]])
                values[i, x] += belief * value(node)[i]
                for child in np.flatnonzero(parent == node):
                    action_values[i, x, branch[child]] += belief * value(child)[i]
    return action_values, values, root, reach
