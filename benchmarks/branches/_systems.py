"""The logit equation of games in normal form, in numpy: ``z = log ρ + s · (gain of each action over the first)/τ``."""

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
