"""W7: a chain of coordination games with a symmetry that the principal branch keeps while others branch off.

Left and right are alike, so the branch from uniform play keeps both equally likely; from about λ = 4.5 on there are
others beside it, on which the players agree on a side. What the methods do there:

* this library finds that the exchanges change nothing, follows the branch among symmetric policies, where others that
  leave it do not show, and ends at the symmetric equilibrium, selection "principal_branch"; fixed-point iteration ends
  there too, "unselected";
* iteration in numpy keeps the symmetry: at λ = 5 it converges to the same equilibrium, damped where it must be; at
  λ = 10 it does so only with values solved for in each step, and cycles beside value iteration;
* sgamesolver reaches λ = 3, but not λ = 5: without a limit it goes on for ever. Here it is stopped after as many steps
  as would do ten times over elsewhere, which counts as no answer.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks._markov_case import MarkovCase

_STATES, _DISCOUNT, _SAFE = 20, 0.95, 0.4
TEMPERATURES = (0.2, 0.1)


def symmetric_chain() -> tuple[np.ndarray, np.ndarray]:
    """Two players on a road of 20 states; at each they meet on the left or on the right, or stay at home.

    Meeting pays both ``(s+1)/20`` and leads on with probability 0.9; missing each other pays nothing and leads back
    with probability 0.9; staying at home pays 0.4 of what meeting pays, and nobody moves. Otherwise, and where the road
    ends, the state remains. Left and right may be exchanged for both, and so may the players.

    Returns:
        ``payoffs[state, player, a_1, a_2]`` and ``transitions[state, a_1, a_2, next state]``; the actions are left,
        right, at home.
    """
    states = np.arange(_STATES)
    payoffs = np.zeros((_STATES, 2, 3, 3))
    stake = (states + 1) / _STATES
    for a in (0, 1):
        payoffs[:, :, a, a] = stake[:, None]
    payoffs[:, 0, 2, :] = payoffs[:, 1, :, 2] = _SAFE * stake[:, None]
    transitions = np.zeros((_STATES, 3, 3, _STATES))
    for first, second in np.ndindex(3, 3):
        way = 0 if 2 in (first, second) else 1 if first == second else -1
        target = np.clip(states + way, 0, _STATES - 1)
        np.add.at(transitions, (states, first, second, target), 0.9)
        np.add.at(transitions, (states, first, second, states), 0.1)
    return payoffs, transitions


def w7_cases(num_games: int | None = None) -> Iterator[MarkovCase]:
    """One game, whatever the number of games asked for, at two temperatures below that of the bifurcation.

    Args:
        num_games: Not used: one such game is a batch.

    Yields:
        One case per temperature.
    """
    del num_games
    payoffs, transitions = symmetric_chain()
    for tau in TEMPERATURES:
        yield MarkovCase(
            workload="W7",
            label=f"W7 symmetric chain, S = {_STATES}, λ = {1 / tau:g}",
            tau=tau,
            payoffs=payoffs[None],
            transitions=transitions[None],
            discount=_DISCOUNT,
        )
