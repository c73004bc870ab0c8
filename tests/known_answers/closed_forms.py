"""Equilibria worked out without the library: scalar roots, backward recursions, contractions, branches.

Everything here is mpmath or plain Python. Roots are good to 25 digits. Where several equilibria exist the one
on the principal branch is found by following it from infinite temperature, never by picking a root.

A *gap* is the advantage in expected payoff of an action over the last one of the same decision point; the
log-odds of a logit response are the gap over the temperature plus the log-odds of the reference.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import exp as float_exp

from mpmath import mp

mp.dps = 32
SETTLED = mp.mpf(10) ** -27
Gaps = Callable[[Sequence], Sequence]


def sigma(x):
    """The logistic function; exact enough for floats of any size, and for mpmath numbers."""
    if isinstance(x, float):
        return 1 / (1 + float_exp(-x)) if x > -700 else float_exp(max(x, -745.0))
    return 1 / (1 + mp.exp(-x))


def logit(p):
    return mp.log(p) - mp.log(1 - p)


def softmax(gaps):
    """Probabilities proportional to ``exp(gap)``, for one decision point."""
    top = max(gaps)
    exp = float_exp if isinstance(top, float) else mp.exp
    weights = [exp(g - top) for g in gaps]
    return [w / sum(weights) for w in weights]


def root(f, low, high):
    """The root of ``f`` in an interval at whose ends its signs differ (bisection, sped up after Anderson & Björck)."""
    low, high = mp.mpf(low), mp.mpf(high)
    assert mp.sign(f(low)) * mp.sign(f(high)) < 0, "no change of sign"
    return mp.findroot(f, (low, high), solver="anderson", tol=SETTLED)


def contraction(step, start, sweeps=5000):
    """The fixed point of a contraction, iterated until it stands still to 27 digits."""
    x = [mp.mpf(v) for v in start]
    for _ in range(sweeps):
        y = step(x)
        if max(abs(a - b) for a, b in zip(x, y, strict=True)) < SETTLED:
            return y
        x = y
    raise AssertionError("not a contraction here")


def first_arrival(rationality, start, end, target, num_points=4000):
    """The first point of a curve ``lambda(p)`` where it reaches ``target``, and the turns it took on the way.

    A symmetric game of two actions has ``log-odds(p) - log-odds(rho) = lambda g(p)``: its principal branch
    is the graph of ``lambda(p)``, walked from ``p = rho``. Its folds are the turning points of that graph.
    """
    start, end, target = mp.mpf(start), mp.mpf(end), mp.mpf(target)
    before, before_last, num_folds = mp.mpf(0), None, 0
    p = start
    for k in range(1, num_points):
        q = start + (end - start) * k / num_points
        now = rationality(q)
        if now >= target:
            return root(lambda x: rationality(x) - target, min(p, q), max(p, q)), num_folds
        if before_last is not None and (now - before) * (before - before_last) < 0:
            num_folds += 1
        before_last, before, p = before, now, q
    raise AssertionError("the curve never gets there")


# ---------------------------------------------------------------------------------------------- branches


def _solve_linear(matrix, right):
    rows = [[*row, r] for row, r in zip(matrix, right, strict=True)]
    n = len(rows)
    for i in range(n):
        pivot = max(range(i, n), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(i + 1, n):
            factor = rows[r][i] / rows[i][i]
            for c in range(i, n + 1):
                rows[r][c] -= factor * rows[i][c]
    x = [0.0] * n
    for i in reversed(range(n)):
        x[i] = (rows[i][n] - sum(rows[i][c] * x[c] for c in range(i + 1, n))) / rows[i][i]
    return x


def _jacobian(function, y, width=1e-6):
    columns = []
    for k in range(len(y)):
        up, down = list(y), list(y)
        up[k] += width
        down[k] -= width
        columns.append([(a - b) / (2 * width) for a, b in zip(function(up), function(down), strict=True)])
    return [list(row) for row in zip(*columns, strict=True)]


def principal_branch(gaps: Gaps, origin: Sequence[float], step=0.1, most_steps=20000):
    """The log-odds at ``s = 1`` on the curve ``z - origin = s gaps(z)`` from ``(origin, 0)``, and its folds.

    Pseudo-arclength continuation in floats up to the first arrival at ``s = 1``; Newton's method at 32 digits
    there. The gaps must already be divided by the temperatures.
    """
    n = len(origin)

    def curve(y):
        return [y[k] - origin[k] - y[n] * g for k, g in enumerate(gaps(y[:n]))]

    point, tangent, num_folds = [*origin, 0.0], [0.0] * n + [1.0], 0
    for _ in range(most_steps):
        new = _solve_linear([*_jacobian(curve, point), tangent], [0.0] * n + [1.0])
        length = sum(v * v for v in new) ** 0.5
        new = [v / length for v in new]
        num_folds += new[n] * tangent[n] < 0
        tangent, previous = new, point
        point = [a + step * b for a, b in zip(point, tangent, strict=True)]
        for _ in range(8):
            matrix = [*_jacobian(curve, point), tangent]
            ahead = sum((a - b) * t for a, b, t in zip(point, previous, tangent, strict=True)) - step
            change = _solve_linear(matrix, [-v for v in curve(point)] + [-ahead])
            point = [a + b for a, b in zip(point, change, strict=True)]
        assert max(map(abs, change)) < 1e-8, "the corrector did not settle: take shorter steps"
        if point[n] >= 1:
            share = (1 - previous[n]) / (point[n] - previous[n])
            guess = [a + share * (b - a) for a, b in zip(previous[:n], point[:n], strict=True)]
            polished = mp.findroot(
                lambda *z: [z[k] - mp.mpf(origin[k]) - g for k, g in enumerate(gaps(z))],
                guess,
                solver="mdnewton",
                tol=1e-50,
            )
            arrived = [polished[k] for k in range(n)]
            assert max(abs(a - b) for a, b in zip(arrived, guess, strict=True)) < 3 * step
            return arrived, num_folds
    raise AssertionError("the branch never gets there")


# ------------------------------------------------------------------------------------------ normal forms


def competitive_2x2(gap_row, gap_column, tau_row, tau_column):
    """Chances of the first actions: the row's gap rises in ``q``, the column's falls in ``p``; one root."""

    def q_of(p):
        return sigma(gap_column(p) / tau_column)

    p = root(lambda p: p - sigma(gap_row(q_of(p)) / tau_row), 0, 1)
    return p, q_of(p)


def perturbed_rps(tau, reference=(1, 1, 1)):
    """``tau log(pi/rho) = A pi + constant`` for the antisymmetric A of Sokota et al.; both players alike."""
    tau = mp.mpf(tau)

    def equations(x, y, z, constant):
        gains = (3 * z - y, x - 3 * z, 3 * y - 3 * x)
        own = [tau * mp.log(p / r) - g - constant for p, r, g in zip((x, y, z), reference, gains, strict=True)]
        return [*own, x + y + z - 1]

    # From the only Nash equilibrium (3, 3, 1)/7 where tau is small, from the reference where it is not.
    start = [mp.mpf(3) / 7, mp.mpf(3) / 7, mp.mpf(1) / 7] if tau < mp.mpf("0.1") else [mp.mpf(1) / 3] * 3
    found = mp.findroot(equations, [*start, mp.mpf(0)], solver="mdnewton", tol=1e-50)
    return [found[k] for k in range(3)]


def oneill(tau):
    """P(joker) of row and column: the other three cards are interchangeable, payoffs +-5."""

    def joker(gap):
        return 1 / (1 + 3 * mp.exp(-gap / tau))

    def y_of(x):
        return joker(-10 * (5 * x - 2) / 3)

    x = root(lambda x: x - joker(10 * (5 * y_of(x) - 2) / 3), 0, 1)
    return x, y_of(x)


# ---------------------------------------------------------------------------------------------- one mover


def take_or_pass(taus, continuation, entropy, reference):
    """The centipede of McKelvey and Palfrey (1992) backwards: P(take) at its four moves, and both values.

    ``continuation`` "soft" pays each player the entropy of its own later moves, "plain" pays nobody.
    """
    take = [(mp.mpf(a), mp.mpf(b)) for a, b in (("0.4", "0.1"), ("0.2", "0.8"), ("1.6", "0.4"), ("0.8", "3.2"))]
    value = [mp.mpf("6.4"), mp.mpf("1.6")]
    chances = []
    base = [mp.mpf(r) for r in reference] if entropy == "kl" else [1, 1]
    for move in (3, 2, 1, 0):
        mover, tau = move % 2, mp.mpf(taus[move])
        p = sigma((take[move][mover] - value[mover]) / tau + logit(mp.mpf(reference[0])))
        value = [p * t + (1 - p) * v for t, v in zip(take[move], value, strict=True)]
        if continuation == "soft":
            value[mover] -= tau * (p * mp.log(p / base[0]) + (1 - p) * mp.log((1 - p) / base[1]))
        chances.insert(0, p)
    return chances, value


def decision_process(rewards, transitions, discount, taus, reference, continuation, entropy):
    """P(first action) and value in each of two states of a one-player problem with two actions.

    ``V(s) = sum_a pi(a|s) Q(s,a)`` less, under "soft", ``tau`` times the KL (plus ``tau`` times the entropy).
    """

    def act(values):
        policy, new = [], []
        for s in range(2):
            q = [
                rewards[s][a] + discount * sum(p * v for p, v in zip(transitions[s][a], values, strict=True))
                for a in range(2)
            ]
            pi = softmax([q[a] / taus[s] + mp.log(reference[a]) for a in range(2)])
            value = sum(p * v for p, v in zip(pi, q, strict=True))
            if continuation == "soft":
                base = reference if entropy == "kl" else (1, 1)
                value -= taus[s] * sum(p * mp.log(p / r) for p, r in zip(pi, base, strict=True))
            policy.append(pi[0])
            new.append(value)
        return policy, new

    values = contraction(lambda v: act(v)[1], [0, 0])
    return act(values)[0], values


# ---------------------------------------------------------------------------------------------- Markov


def big_match(discount, tau_one, tau_two):
    """The big match, each entropy paid by the other side: P(stop), P(left), and the value while playing.

    Given the value V, stop pays player 1 ``y/(1-d)`` and continue ``(1-y) + d V``; player 2 pays it.
    """
    d, tau_one, tau_two = mp.mpf(discount), mp.mpf(tau_one), mp.mpf(tau_two)

    def divergence(p):
        return p * mp.log(p) + (1 - p) * mp.log(1 - p) + mp.log(2)

    def y_of(x):
        return sigma((1 - x - x / (1 - d)) / tau_two)

    def stage(value):
        x = root(lambda x: x - sigma((y_of(x) / (1 - d) - (1 - y_of(x)) - d * value) / tau_one), 0, 1)
        y = y_of(x)
        pay = x * y / (1 - d) + (1 - x) * (1 - y + d * value)
        return x, y, pay - tau_one * divergence(x) + tau_two * divergence(y)

    # The operator contracts with d, so that the secant method has one root to go to.
    value = mp.findroot(lambda v: v - stage(v)[2], (0, 1 / (1 - d)), solver="secant", tol=1e-45)
    return stage(value)


# ---------------------------------------------------------------------------------------------- trees


def stripped_down_poker(tau_king, tau_queen, tau_call):
    """P(bet | King), P(bet | Queen), P(call): Bob's belief in a King is bet(K)/(bet(K) + bet(Q))."""

    def bets(call):
        return sigma((2 + call) / tau_king), sigma((2 - 3 * call) / tau_queen)

    def call_after(king, queen):
        return sigma((3 * queen / (king + queen) - king / (king + queen)) / tau_call)

    call = root(lambda c: c - call_after(*bets(c)), 0, 1)
    return (*bets(call), call)


def selten_horse(rationality):
    """P(across) of players 1 and 2 and P(left) of player 3, from infinite temperature to ``rationality``.

    With ``w`` the log-odds of left, all else follows: ``r = sigma(w)``, ``q = sigma(lambda (1 - 4 r))``,
    ``p = sigma(lambda (q + 4 (1-q) r - 3 r))``, the belief ``m = (1-p)/((1-p) + p (1-q))`` that player 1
    went down, and ``w = lambda (3 m - 1)``. The root is followed in steps of lambda too small to lose it;
    no fold is met.
    """

    def play(w, rate):
        r = sigma(w)
        gap_two = rate * (1 - 4 * r)
        q = sigma(gap_two)
        gap_one = rate * (q + 4 * (1 - q) * r - 3 * r)
        # (1-p)/((1-p) + p(1-q)), divided through by 1-p so that nothing is lost where p and q are near 1.
        belief = 1 / (1 + mp.exp(gap_one) * sigma(-gap_two))
        return sigma(gap_one), q, r, belief

    def error(rate, w):
        return w - rate * (3 * play(w, rate)[3] - 1)

    w, rate, rationality = mp.mpf(0), mp.mpf(0), mp.mpf(rationality)
    slope = mp.mpf(1)  # of w in lambda at 0, where the belief is 2/3
    while rate < rationality:
        new_rate = min(rationality, max(rate + mp.mpf("0.05"), rate * mp.mpf("1.2")))
        new_w = _nearest_root(partial(error, new_rate), w + slope * (new_rate - rate))
        slope, w, rate = (new_w - w) / (new_rate - rate), new_w, new_rate
    return play(w, rate)[:3]


def _nearest_root(f, guess):
    """The root next to a guess: a bracket widened around it until the sign changes, then bisection."""
    width = mp.mpf("1e-4")
    while f(guess - width) * f(guess + width) > 0:
        width *= 2
    return root(f, guess - width, guess + width)


def kuhn_poker(tau):
    """P(bet) at the twelve information sets of Kuhn poker: three each of first, call, raised and met.

    Cards 0 < 1 < 2; ``first`` and ``call`` are player 1's chances to bet and to call after pass and bet,
    ``raised`` and ``met`` player 2's to bet after a pass and to call a bet.
    """

    def wins(a, b):
        return 1 if a > b else -1

    def others(card):
        return [b for b in range(3) if b != card]

    def average(weights, gains):
        return sum(w * g for w, g in zip(weights, gains, strict=True)) / sum(weights)

    def respond(chances):
        first, call, raised, met = chances[0:3], chances[3:6], chances[6:9], chances[9:12]

        def called(a, b):
            return call[a] * 2 * wins(a, b) - (1 - call[a])

        gaps = []
        for a in range(3):
            bet = [met[b] * 2 * wins(a, b) + 1 - met[b] for b in others(a)]
            keep = [(1 - raised[b]) * wins(a, b) + raised[b] * called(a, b) for b in others(a)]
            gaps.append(average([1, 1], [x - y for x, y in zip(bet, keep, strict=True)]))
        for a in range(3):
            gaps.append(average([raised[b] for b in others(a)], [2 * wins(a, b) + 1 for b in others(a)]))
        for b in range(3):
            gaps.append(average([1 - first[a] for a in others(b)], [wins(a, b) - called(a, b) for a in others(b)]))
        for b in range(3):
            gaps.append(average([first[a] for a in others(b)], [1 - 2 * wins(a, b) for a in others(b)]))
        return [sigma(g / tau) for g in gaps]

    return contraction(respond, [0.5] * 12)
