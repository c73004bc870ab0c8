"""Runs: what learners make of recorded plays, and which equilibrium as many plays lead to."""

import jax
import numpy as np
from jaxtyping import Float

import hqre_jax as hq
from benchmarks.selection._entries import Entry
from benchmarks.selection._games import Policy, Recorded
from hqre_jax.bridge.baselines._learned import LARGE
from hqre_jax.bridge.baselines._training import BATCH, AbstractLearner, Visits
from hqre_jax.bridge.coordination import PublicStates
from hqre_jax.learning import BestResponse

# Plays of a run, as many as the published table's learners have, and runs.
PLAYS, RUNS = LARGE, 20
ROUNDS = PLAYS // BATCH

Path = Float[np.ndarray, "round agent choice"]


def run(entry: Entry, recorded: Recorded, states: PublicStates, seed: int) -> Path:
    """One run of a row.

    Args:
        entry: The row.
        recorded: The game.
        states: Its public states.
        seed: Of the plays, of the learner's chance, and of the first profile of best responses.

    Returns:
        The policies before the first batch and after each; of an equilibrium only itself.
    """
    if not entry.learns:
        return equilibrium(entry, recorded, seed)[None]
    if entry.learner is None:
        return best_responses(recorded, seed)
    return learn(entry.learner(states), recorded, seed)


def learn(learner: AbstractLearner, recorded: Recorded, seed: int) -> Path:
    """What a learner comes to, batch by batch; plays are drawn at random from the recorded ones."""
    rng = np.random.default_rng([seed, 1])
    path = [learner.policy()[:, 0]]
    for _ in range(ROUNDS):
        plays = rng.integers(len(recorded.scores), size=BATCH)
        choices = np.array([learner.choose(0, rng) for _ in plays])
        scores, paid = recorded.pay(plays, choices)
        learner.learn(Visits(np.zeros(BATCH, int), choices, paid, scores))
        path.append(learner.policy()[:, 0])
    return np.stack(path)


def best_responses(recorded: Recorded, seed: int) -> Path:
    """Simultaneous best responses to the last round, payoffs known exactly, from a profile drawn at random (T7)."""
    rng = np.random.default_rng([seed, 2])
    first = np.stack([np.eye(len(menu))[rng.choice(np.flatnonzero(menu))] for menu in recorded.mask])
    problem = hq.Problem(recorded.game, 1.0)  # the rule knows no temperature
    played = hq.play(problem, BestResponse(), ROUNDS, jax.random.key(seed), policy0=first[:, None])
    return np.asarray(played.policies)[:, :, 0]


def equilibrium(entry: Entry, recorded: Recorded, seed: int) -> Policy:
    """The HQRE of the game that as many plays show as a learner has, made uniformly at random."""
    rng = np.random.default_rng([seed, 3])
    plays = rng.integers(len(recorded.scores), size=PLAYS)
    choices = np.stack([rng.choice(np.flatnonzero(menu), size=PLAYS) for menu in recorded.mask], axis=1)
    scores, paid = recorded.pay(plays, choices)
    profile = np.ravel_multi_index(tuple(choices.T), (recorded.mask.shape[1],) * len(recorded.mask))
    count, score = (np.bincount(profile, w, len(recorded.profiles)) for w in (np.ones(PLAYS), scores))
    cost = np.zeros(recorded.mask.shape)
    agents = np.broadcast_to(np.arange(len(cost)), choices.shape)
    np.add.at(cost, (agents, choices), scores[:, None] - paid)
    often = np.zeros(recorded.mask.shape)
    np.add.at(often, (agents, choices), 1.0)
    game = recorded.of_means(score / np.maximum(count, 1), cost / np.maximum(often, 1))
    return np.asarray(hq.solve(game, entry.tau).policy)[:, 0]
