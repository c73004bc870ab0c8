"""The logit equation in numpy, ``z = log ρ + s · (gain over the first action)/τ``: normal forms and Markov games."""

import numpy as np

from benchmarks.branches._tracer import System


def normal_form_system(payoffs: np.ndarray, tau: np.ndarray) -> tuple[System, np.ndarray, np.ndarray]:
    """Equations of a batch, unknowns the log-odds of every action to its player's first.

    Args:
        payoffs: ``payoffs[b, i, a_1, …, a_N]``.
        tau: ``(b, player)``, in units of payoff.

    Returns:
        The system, its start (uniform policies), and the length to give to s: the largest payoff range over τ.
    """
    players, actions = payoffs.shape[1], payoffs.shape[2:]
    ends = np.cumsum([0, *(a - 1 for a in actions)])
    gains = []
    for i in range(players):
        own = np.moveaxis(payoffs[:, i], 1 + i, 1)
        gains.append((own[:, 1:] - own[:, :1]) / tau[:, i].reshape(-1, *[1] * players))
    width = np.ptp(payoffs.reshape(*payoffs.shape[:2], -1), axis=-1)

    def system(lanes, z, s):
        pi = []
        for i in range(players):
            odds = np.concatenate([np.zeros((len(z), 1)), z[:, ends[i] : ends[i + 1]]], axis=1)
            weight = np.exp(odds - odds.max(1, keepdims=True))
            pi.append(weight / weight.sum(1, keepdims=True))
        value, slope = np.empty_like(z), np.empty_like(z)
        jacobian = np.broadcast_to(np.eye(z.shape[1]), (len(z), z.shape[1], z.shape[1])).copy()
        for i in range(players):
            others = [j for j in range(players) if j != i]
            mine = slice(ends[i], ends[i + 1])
            tensor = gains[i][lanes]
            mean = _average(tensor, [pi[j] for j in others])
            slope[:, mine] = -mean
            value[:, mine] = z[:, mine] - s[:, None] * mean
            for place, j in enumerate(others):
                # gain given j's action b, minus the mean, times π_j(b): the derivative by j's log-odds.
                given = _average(np.moveaxis(tensor, 2 + place, 2), [pi[k] for k in others if k != j], keep=1)
                block = (given[:, :, 1:] - mean[:, :, None]) * pi[j][:, None, 1:]
                jacobian[:, mine, ends[j] : ends[j + 1]] = -s[:, None, None] * block
        return value, jacobian, slope

    return system, np.zeros((len(payoffs), ends[-1])), np.maximum((width / tau).max(1), 1.0)


def markov_system(
    payoffs: np.ndarray, transitions: np.ndarray, discount: float, tau: np.ndarray
) -> tuple[System, np.ndarray, np.ndarray]:
    """Equations of two players with two actions in every state, who are paid payoffs alone.

    With values ``V = (I − γP)⁻¹ u`` under the policies, ``Q_i(x, a)`` averages ``W_i = u_i + γ P V_i`` over the other's
    action; a change of k's action at x moves ``V_i(y)`` by the discounted visits of x from y times what W_i gains.

    Args:
        payoffs: ``payoffs[b, i, x, a_1, a_2]``.
        transitions: ``transitions[b, x, a_1, a_2, x']``.
        discount: γ.
        tau: ``(b, player)``, in units of payoff.

    Returns:
        The system, with the log-odds of the second action to the first ``(player, state)`` as unknowns; its start; and
        the length to give to s.
    """
    states = payoffs.shape[2]
    width = np.ptp(payoffs.reshape(*payoffs.shape[:2], -1), axis=-1) / (1 - discount)

    def system(lanes, z, s):
        u, chances, count = payoffs[lanes], transitions[lanes], len(z)
        second = 1 / (1 + np.exp(-z.reshape(count, 2, states)))
        pi = np.stack([1 - second, second], axis=-1)
        flow = np.einsum("lxa,lxb,lxaby->lxy", pi[:, 0], pi[:, 1], chances)
        visits = np.linalg.inv(np.eye(states) - discount * flow)
        value, slope = np.empty((count, 2, states)), np.empty((count, 2, states))
        jacobian = np.zeros((count, 2, states, 2, states))
        jacobian += np.eye(2 * states).reshape(2, states, 2, states)
        for i, other in ((0, 1), (1, 0)):
            worth = np.einsum("lxy,lya,lyb,lyab->lx", visits, pi[:, 0], pi[:, 1], u[:, i])
            paid = u[:, i] + discount * np.einsum("lxaby,ly->lxab", chances, worth)
            on = chances
            if i == 1:
                paid, on = paid.swapaxes(2, 3), chances.swapaxes(2, 3)
            # Own action first from here on.
            advantage = np.einsum("lxb,lxab->lxa", pi[:, other], paid)
            gain = (advantage[..., 1] - advantage[..., 0]) / tau[lanes, i, None]
            theirs = np.einsum("lxa,lxab->lxb", pi[:, i], paid)
            leads = np.einsum("lxb,lxaby->lxay", pi[:, other], on)
            leads = discount * (leads[:, :, 1] - leads[:, :, 0])
            for k, given in ((i, advantage), (other, theirs)):
                moved = pi[:, k, :, 0] * pi[:, k, :, 1]
                through = np.einsum("lxy,lyz->lxz", leads, visits) * ((given[..., 1] - given[..., 0]) * moved)[:, None]
                if k == other:
                    cross = paid[:, :, 1, 1] - paid[:, :, 1, 0] - paid[:, :, 0, 1] + paid[:, :, 0, 0]
                    through += np.eye(states) * (cross * moved)[:, None]
                jacobian[:, i, :, k] -= (s / tau[lanes, i])[:, None, None] * through
            slope[:, i] = -gain
            value[:, i] = z.reshape(count, 2, states)[:, i] - s[:, None] * gain
        size = 2 * states
        return value.reshape(count, size), jacobian.reshape(count, size, size), slope.reshape(count, size)

    return system, np.zeros((len(payoffs), 2 * states)), np.maximum((width / tau).max(1), 1.0)


def policies_of(z: np.ndarray, actions: tuple[int, ...]) -> np.ndarray:
    """Policies ``(lane, player, action)``, padding 0."""
    out, first = np.zeros((len(z), len(actions), max(actions))), 0
    for i, a in enumerate(actions):
        odds = np.concatenate([np.zeros((len(z), 1)), z[:, first : first + a - 1]], axis=1)
        weight = np.exp(odds - odds.max(1, keepdims=True))
        out[:, i, :a] = weight / weight.sum(1, keepdims=True)
        first += a - 1
    return out


def _average(tensor: np.ndarray, weights: list[np.ndarray], keep: int = 0) -> np.ndarray:
    """Averages over the last axes, one for each weight; ``keep`` axes after that of own actions stay."""
    for weight in reversed(weights):
        shape = (len(weight), *[1] * (tensor.ndim - 2), weight.shape[1])
        tensor = (tensor * weight.reshape(shape)).sum(-1)
    return tensor
