"""Games with states in plain batched numpy: logit responses with value iteration, plain and as fast as it can be made.

What all values of a player have in common makes no difference to anybody, yet it converges most slowly, by γ a step.
Plain value iteration waits for it; relative value iteration stops when the values' differences have settled.
"""

import functools
from collections.abc import Callable

import numpy as np

from benchmarks._case import Entrant, Prepared
from benchmarks._markov_case import MarkovCase
from benchmarks._normal_form_case import logit

# Steps in all, between two looks at who is done, and after which play that comes no closer is taken to cycle.
_MOST_STEPS, _BETWEEN_LOOKS, _PATIENCE = 4_000, 4, 64
# Play that cycles is begun anew with smaller steps.
_WEIGHTS = (1.0, 0.5, 0.2, 0.05)


class Backups:
    """The passes over a batch of games, each game's transitions laid out as a matrix from joint actions to states."""

    def __init__(self, payoffs: np.ndarray, transitions: np.ndarray, discount: float):
        games, states, players, *actions = payoffs.shape
        self.payoffs, self.discount = payoffs, discount
        self.transitions = transitions.reshape(games, states, -1, states)
        self.matrix = self.transitions.reshape(games, -1, states)
        self.actions = tuple(actions)
        self.letters = "abcdefgh"[:players]

    def keep(self, going: np.ndarray) -> "Backups":
        """The games that are not done."""
        shape = (-1, self.payoffs.shape[1], *self.actions, self.payoffs.shape[1])
        return Backups(self.payoffs[going], self.transitions.reshape(shape)[going], self.discount)

    def worth(self, values: np.ndarray) -> np.ndarray:
        """``u_i(s, a) + γ Σ P(s'|s, a) V_i(s')``, all joint actions: one product of matrices a game."""
        games, states, players = values.shape
        later = (self.matrix @ values).reshape(games, states, *self.actions, players)
        return self.payoffs + self.discount * np.moveaxis(later, -1, 2)

    def own(self, worth: np.ndarray, policies: np.ndarray) -> np.ndarray:
        """Averages over the others' actions, ``(game, state, player, own action)``."""
        players, columns = policies.shape[2], []
        for i in range(players):
            rest = np.moveaxis(worth[:, :, i], i + 2, 2)
            for j in reversed([j for j in range(players) if j != i]):
                weight = policies[:, :, j].reshape(*rest.shape[:2], *(1,) * (rest.ndim - 3), -1)
                rest = (rest * weight).sum(axis=-1)
            columns.append(rest)
        return np.stack(columns, axis=2)

    def moves(self, policies: np.ndarray) -> np.ndarray:
        """``P_π(s'|s)``."""
        joint = policies[:, :, 0]
        for j in range(1, policies.shape[2]):
            joint = (joint[..., None] * policies[:, :, j, None, :]).reshape(*joint.shape[:2], -1)
        return (joint[:, :, None] @ self.transitions)[:, :, 0]


def iterate_values(games: Backups, values: np.ndarray, policies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One backup: action values, and the values of the policy in them."""
    own = games.own(games.worth(values), policies)
    return own, (own * policies).sum(axis=-1)


def solve_for_values(games: Backups, values: np.ndarray, policies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of the policy from a linear system, and action values from them."""
    states = policies.shape[1]
    rewards = (games.own(games.payoffs, policies) * policies).sum(axis=-1)
    values = np.linalg.solve(np.eye(states) - games.discount * games.moves(policies), rewards)
    return games.own(games.worth(values), policies), values


def mirror(
    payoffs: np.ndarray,
    transitions: np.ndarray,
    discount: float,
    tau: float,
    tol: float,
    update: Callable[[Backups, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    relative: bool = True,
) -> np.ndarray:
    """Simultaneous mirror steps ``z ← (1−w) z + w Q/τ``, full ones first; games that are done leave the batch.

    Args:
        payoffs: ``(game, state, player, a_1, …, a_N)``.
        transitions: ``(game, state, a_1, …, a_N, next state)``.
        discount: γ.
        tau: Temperature.
        tol: Residual wanted.
        update: `iterate_values` or `solve_for_values`.
        relative: Whether to stop at values that are right up to a constant for each player.

    Returns:
        Policies ``(game, state, player, action)``; the last iterate where nothing converged.
    """
    games, states, players, actions = payoffs.shape[:4]
    answers = np.full((games, states, players, actions), 1.0 / actions)
    waiting = np.arange(games)
    for weight in _WEIGHTS:
        if not len(waiting):
            break
        live, batch = waiting, Backups(payoffs[waiting], transitions[waiting], discount)
        logits = np.zeros((len(live), states, players, actions))
        values = np.zeros((len(live), states, players))
        least, stuck = np.full(len(live), np.inf), []
        for step in range(int(_MOST_STEPS / np.sqrt(weight))):
            policies = logit(logits, 1.0)
            own, backed_up = update(batch, values, policies)
            if step % _BETWEEN_LOOKS == _BETWEEN_LOOKS - 1:
                answers[live] = policies
                off = np.abs(policies - logit(own, tau)).max(axis=(1, 2, 3))
                change = backed_up - values if update is iterate_values else np.zeros_like(values)
                low, high = change.min(axis=1), change.max(axis=1)
                moved = (high - low if relative else np.maximum(high, -low)).max(axis=1)
                going = np.maximum(off, moved * discount / ((1 - discount) * tau)) > tol
                if (step + 1) % _PATIENCE == 0:
                    cycling = going & (off > 0.7 * least)
                    stuck.append(live[cycling])
                    going, least = going & ~cycling, np.minimum(off, least)
                live, least = live[going], least[going]
                if not len(live):
                    break
                if not going.all():
                    batch = batch.keep(going)
                    logits, own, backed_up = logits[going], own[going], backed_up[going]
            logits = (1.0 - weight) * logits + weight * own / tau
            values = backed_up
        waiting = np.concatenate([*stuck, live])
    return answers


def _prepare(update: Callable, relative: bool, case: MarkovCase) -> Prepared:
    question = case.payoffs, case.transitions, case.discount, case.tau, case.residual_tol
    return Prepared(lambda: mirror(*question, update, relative), case.num_games)


def _entrant(name: str, update: Callable, relative: bool, most_states: int) -> Entrant:
    return Entrant(
        name,
        np.__version__,
        functools.partial(_prepare, update, relative),
        accepts=lambda case: isinstance(case, MarkovCase) and case.num_states <= most_states,
    )


def entrants() -> tuple[Entrant, ...]:
    """Value iteration, plain and relative, and values solved for anew in each step (``S³``: not for many states)."""
    return (
        _entrant("numpy mirror + value iteration", iterate_values, False, 2_000),
        _entrant("numpy mirror + relative value iteration", iterate_values, True, 2_000),
        _entrant("numpy mirror + values solved for", solve_for_values, True, 200),
    )
