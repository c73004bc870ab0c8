"""Loops over games, compiled by numba: what a careful afternoon gives with a compiler, one game after the other.

Imported only where numba is installed.
"""

import math

import numpy as np
from numba import njit

# Log-odds of a policy and of its logit response may differ by this much: four times as much as probabilities then do.
TOL = 3e-8
# Mirror descent's weight grows while the gap shrinks, and shrinks where it grows: as good as any on both workloads.
GROW, SHRINK, LEAST = 1.1, 0.7, 0.01


@njit(cache=False, fastmath=False, inline="always")
def _contract(tensor, out, left, actions, right, weights):
    """``out[l, r] = Σ_k tensor[l, k, r] weights[k]``, all flat."""
    for a in range(left):
        for r in range(right):
            total = 0.0
            for k in range(actions):
                total += tensor[(a * actions + k) * right + r] * weights[k]
            out[a * right + r] = total


@njit(inline="always")
def _action_values(payoffs, policy, players, actions, first, second, values):
    """Every player's ``Q_i(a_i)``: the others' axes are summed out one after the other, the last first."""
    for i in range(players):
        source, target = payoffs[i], first
        left = actions**players
        right = 1
        for j in range(players - 1, -1, -1):
            left //= actions
            if j == i:
                right = actions
                continue
            _contract(source, target, left, actions, right, policy[j])
            source = target
            target = second if target is first else first
        for a in range(actions):
            values[i, a] = source[a]


@njit(inline="always")
def _softmax(logits, out):
    players, actions = logits.shape
    for i in range(players):
        top = logits[i, 0]
        for a in range(1, actions):
            top = max(top, logits[i, a])
        total = 0.0
        for a in range(actions):
            out[i, a] = math.exp(logits[i, a] - top)
            total += out[i, a]
        share = 1.0 / total
        for a in range(actions):
            out[i, a] *= share


@njit(inline="always")
def _gap(values, logits):
    """Largest difference of any player's log-odds."""
    players, actions = logits.shape
    most = 0.0
    for i in range(players):
        low, high = np.inf, -np.inf
        for a in range(actions):
            difference = values[i, a] - logits[i, a]
            low, high = min(low, difference), max(high, difference)
        most = max(most, high - low)
    return most


@njit
def mirror_loop(payoffs, tau, actions, most_steps):
    """Mirror descent from the uniform policy, whose weight follows the gap between logits and their response.

    ``payoffs[game, player, profile]`` flat over joint actions; the result is ``(game, player, action)``.
    """
    games, players, size = payoffs.shape
    answers = np.empty((games, players, actions))
    logits = np.empty((players, actions))
    policy = np.empty((players, actions))
    values = np.empty((players, actions))
    first, second = np.empty(size), np.empty(size)
    rationality = 1.0 / tau
    for g in range(games):
        logits[:] = 0.0
        weight, last = 1.0, np.inf
        for _ in range(most_steps):
            _softmax(logits, policy)
            _action_values(payoffs[g], policy, players, actions, first, second, values)
            for i in range(players):
                for a in range(actions):
                    values[i, a] *= rationality
            gap = _gap(values, logits)
            if gap <= TOL:
                break
            weight = max(SHRINK * weight, LEAST) if gap >= last else min(GROW * weight, 1.0)
            last = gap
            for i in range(players):
                for a in range(actions):
                    logits[i, a] += weight * (values[i, a] - logits[i, a])
        answers[g] = policy
    return answers


@njit(inline="always")
def _eliminate(matrix, right, size):
    """Solve in place, two right-hand sides, partial pivoting; the determinant."""
    determinant = 1.0
    for k in range(size):
        best = k
        for r in range(k + 1, size):
            if abs(matrix[r, k]) > abs(matrix[best, k]):
                best = r
        if matrix[best, k] == 0.0:
            return 0.0
        if best != k:
            determinant = -determinant
            for c in range(size):
                matrix[k, c], matrix[best, c] = matrix[best, c], matrix[k, c]
            for c in range(2):
                right[k, c], right[best, c] = right[best, c], right[k, c]
        determinant *= matrix[k, k]
        for r in range(k + 1, size):
            factor = matrix[r, k] / matrix[k, k]
            for c in range(k, size):
                matrix[r, c] -= factor * matrix[k, c]
            for c in range(2):
                right[r, c] -= factor * right[k, c]
    for k in range(size - 1, -1, -1):
        for c in range(2):
            total = right[k, c]
            for j in range(k + 1, size):
                total -= matrix[k, j] * right[j, c]
            right[k, c] = total / matrix[k, k]
    return determinant


@njit
def homotopy_loop(payoffs, tau, most_steps):
    """Continuation in ``s`` of ``τ/s`` for two players: Euler predictor, one Newton correction a step, guards.

    ``payoffs[game, 2, A, A]``. Unknowns are log-odds to the first action. A step is refused where the correction moves
    a probability by more than 0.05 or the determinant turns negative. Games that cannot be followed stay nan.
    """
    games, _, actions, _ = payoffs.shape
    free = actions - 1
    answers = np.full((games, 2, actions), np.nan)
    z, slope = np.zeros((2, free)), np.zeros((2, free))
    trial, gain = np.zeros((2, free)), np.zeros((2, free))
    policy, wide = np.empty((2, actions)), np.zeros((2, actions))
    couple = np.empty((2, free, free))
    matrix, right = np.empty((free, free)), np.empty((free, 2))
    other = np.empty((free, 2))
    for g in range(games):
        u, v = payoffs[g, 0], payoffs[g, 1]
        z[:] = 0.0
        slope[:] = 0.0
        s, step, landed = 0.0, 0.0, False
        for _ in range(most_steps):
            goal = min(1.0, s + step)
            trial[:] = z + (goal - s) * slope
            wide[:, 1:] = trial
            _softmax(wide, policy)
            for a in range(free):
                top, bottom = 0.0, 0.0
                for b in range(actions):
                    top += (u[a + 1, b] - u[0, b]) * policy[1, b]
                    bottom += (v[b, a + 1] - v[b, 0]) * policy[0, b]
                gain[0, a], gain[1, a] = top / tau, bottom / tau
            for a in range(free):
                for b in range(free):
                    couple[0, a, b] = goal * policy[1, b + 1] * ((u[a + 1, b + 1] - u[0, b + 1]) / tau - gain[0, a])
                    couple[1, a, b] = goal * policy[0, b + 1] * ((v[b + 1, a + 1] - v[b + 1, 0]) / tau - gain[1, a])
            for a in range(free):
                other[a, 0], other[a, 1] = goal * gain[1, a] - trial[1, a], gain[1, a]
            for a in range(free):
                right[a, 0], right[a, 1] = goal * gain[0, a] - trial[0, a], gain[0, a]
                for b in range(free):
                    right[a, 0] += couple[0, a, b] * other[b, 0]
                    right[a, 1] += couple[0, a, b] * other[b, 1]
                    total = 1.0 if a == b else 0.0
                    for k in range(free):
                        total -= couple[0, a, k] * couple[1, k, b]
                    matrix[a, b] = total
            determinant = _eliminate(matrix, right, free)
            for a in range(free):
                for b in range(free):
                    other[a, 0] += couple[1, a, b] * right[b, 0]
                    other[a, 1] += couple[1, a, b] * right[b, 1]
            moved = 0.0
            for i in range(2):
                mean = 0.0
                for a in range(free):
                    mean += policy[i, a + 1] * (right[a, 0] if i == 0 else other[a, 0])
                moved = max(moved, abs(policy[i, 0] * mean))
                for a in range(free):
                    change = right[a, 0] if i == 0 else other[a, 0]
                    moved = max(moved, abs(policy[i, a + 1] * (change - mean)))
            if not (determinant > 0.0 and moved <= 0.05):
                step *= 0.5
                if step < 1e-4 or landed:
                    break
                continue
            for a in range(free):
                z[0, a], z[1, a] = trial[0, a] + right[a, 0], trial[1, a] + other[a, 0]
                slope[0, a], slope[1, a] = right[a, 1], other[a, 1]
            if goal >= 1.0:
                landed = True
                if moved <= 1e-6:
                    wide[:, 1:] = z
                    _softmax(wide, policy)
                    answers[g] = policy
                    break
                s, step = 1.0, 0.0
                continue
            s = goal
            step = 0.1 if step == 0.0 else step * min(3.0, max(0.5, math.sqrt(0.02 / max(moved, 1e-9))))
    return answers
