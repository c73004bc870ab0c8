"""Known answers of normal forms and polymatrix games: competitive, symmetric, and followed along a branch."""

from mpmath import mpf

from . import closed_forms as cf
from .known_answer import EXACT, KnownAnswer, chances, distributions

HALF, THIRD = mpf(1) / 2, mpf(1) / 3


# ------------------------------------------------------------------------------------- opposed interests


def competitive(name, game, gap_row, gap_column, tau):
    """A 2x2 game whose interactions oppose each other, hence one equilibrium at every temperature."""
    tau_row, tau_column = tau if isinstance(tau, tuple) else (tau, tau)
    p, q = cf.competitive_2x2(gap_row, gap_column, mpf(str(tau_row)), mpf(str(tau_column)))
    source = "closed form: p = sigma(gap(q)/tau_1), q = sigma(gap(p)/tau_2), one root by bisection"
    return KnownAnswer(name, game, "normal_form", tau, chances(p, q), EXACT, source)


def ochs(name, tau):
    return competitive(
        name,
        "asymmetric_matching_pennies",
        lambda q: mpf("1.1141") * q - mpf("0.2785") * (1 - q),
        lambda p: mpf("1.1141") * (1 - 2 * p),
        tau,
    )


def constant_sum(tau, digits, p, q):
    """Numbers printed by the authors of another solver, for a 2x2 game of sum 2."""
    return KnownAnswer(
        f"constant sum, tau {tau:.2f}",
        ("NormalFormGame", {"payoffs": [[[1, 1], [0, 1]], [[1, 1], [2, 1]]]}),
        "normal_form",
        tau,
        chances(mpf(p), mpf(q)),
        digits,
        "Gambit 16, test suite, test_nash.py, LOGIT_LAMBDA_CASES at lambda = 1, 2, 3",
        selection="unique",
    )


def oneill(name, tau, digits, jokers, source):
    rows = [[[(1 - p) / 3] * 3 + [p]] for p in jokers]
    return KnownAnswer(name, "oneill", "normal_form", tau, distributions(*rows), digits, source, selection="unique")


def perturbed(name, tau, reference=None):
    pi = cf.perturbed_rps(tau, reference or (1, 1, 1))
    return KnownAnswer(
        name,
        "perturbed_rock_paper_scissors",
        "normal_form",
        tau,
        distributions([pi], [pi]),
        EXACT,
        "closed form: tau log(pi/rho) = A pi + constant, Newton's method at 32 digits",
        reference=reference,
        selection="unique",
    )


OPPOSED = [
    KnownAnswer(
        "matching pennies",
        "matching_pennies",
        "normal_form",
        0.5,
        chances(HALF, HALF),
        EXACT,
        "closed form: both indifferent at 1/2, whatever the temperature",
        selection="unique",
    ),
    ochs("asymmetric pennies, rationality 1", 1.0),
    ochs("asymmetric pennies, two temperatures", (0.2, 1.0)),
    competitive(
        "pennies of 320, two temperatures",
        "matching_pennies_320",
        lambda q: 280 * q - 40 * (1 - q),
        lambda p: 40 - 80 * p,
        (40.0, 20.0),
    ),
    KnownAnswer(
        "pennies of 320, nearly rational",
        "matching_pennies_320",
        "normal_form",
        0.001,
        chances(HALF, mpf("0.125")),
        4,
        "J. K. Goeree and C. A. Holt, American Economic Review 91 (2001) 1402-1422: Nash at 1/2 and 1/8",
    ),
    constant_sum(1.0, 3, "0.643", "0.5883"),
    constant_sum(0.5, 4, "0.7727", "0.6117"),
    constant_sum(1 / 3, 4, "0.8595", "0.6038"),
    KnownAnswer(
        "rock paper scissors, rationality 1e6",
        "rock_paper_scissors",
        "normal_form",
        1e-6,
        distributions([[THIRD] * 3], [[THIRD] * 3]),
        EXACT,
        "closed form: the cyclic symmetry",
        selection="unique",
    ),
    perturbed("perturbed rock paper scissors, rationality 1e6", 1e-6),
    perturbed("perturbed rock paper scissors, biased reference", 1.0, (0.5, 0.3, 0.2)),
    oneill(
        "card game of O'Neill, tau 1",
        1.0,
        EXACT,
        cf.oneill(mpf(1)),
        "closed form: P(joker) = 1/(1 + 3 exp(-gap/tau)) for both, one root by bisection",
    ),
    oneill(
        "card game of O'Neill, nearly rational",
        1e-4,
        4,
        [mpf("0.4")] * 2,
        "B. O'Neill, Proceedings of the National Academy of Sciences 84 (1987) 2106-2109: minimax at 0.4",
    ),
]


# ------------------------------------------------------------------------------------- symmetric games


def symmetric_curve(name, game, num_players, rationality, start, end, tau, **more):
    """A symmetric game of two actions: the graph of lambda(p), walked from the reference."""
    p, folds = cf.first_arrival(rationality, start, end, 1 / mpf(tau))
    source = "closed form: lambda = (log-odds(p) - log-odds(rho)) / gap(p), first arrival from p = rho"
    policy = chances(*[p] * num_players)
    return KnownAnswer(name, game, "normal_form", tau, policy, EXACT, source, folds=folds, **more)


def stag(name, tau, end, **more):
    return symmetric_curve(name, "stag_hunt", 2, lambda p: cf.logit(p) / (6 * p - 4), HALF, end, tau, **more)


def stag_leaning(name, tau, **more):
    """The stag hunt, tie at p = 2/3, from a reference just short of the tie: the branch turns back twice."""
    rho = mpf(0.666)

    def rationality(p):
        return (cf.logit(p) - cf.logit(rho)) / (6 * p - 4)

    return symmetric_curve(name, "stag_hunt", 2, rationality, rho, 0.001, tau, reference=(0.666, 1 - 0.666), **more)


HARE = 2.24


def three_hunters():
    """9 each if all three hunt the stag, nothing to whoever hunts it with fewer, ``HARE`` for a hare."""

    def pay(own, everybody):
        return (9.0 if everybody else 0.0) if own == 0 else HARE

    moves = (0, 1)
    return "NormalFormGame", {
        "payoffs": [
            [[[pay((a, b, c)[i], (a, b, c) == (0, 0, 0)) for c in moves] for b in moves] for a in moves]
            for i in range(3)
        ]
    }


def hunters(name, tau, **more):
    return symmetric_curve(
        name, three_hunters(), 3, lambda p: cf.logit(p) / (9 * p * p - mpf(HARE)), HALF, 0.99999, tau, **more
    )


def volunteers(name, tau, **more):
    return symmetric_curve(
        name,
        "volunteers_dilemma",
        3,
        lambda p: cf.logit(p) / (2 * (1 - p) ** 2 - 1),
        HALF,
        0.2929,
        tau,
        **more,
    )


SYMMETRIC = [
    stag("stag hunt, tau 1", 1.0, 0.0001),
    stag("stag hunt, tau 1000 times the payoffs", 1e4, 0.4, selection="unique"),
    stag_leaning("stag hunt, beyond the folds of a leaning reference", 1.0, selection="principal_branch"),
    stag_leaning("stag hunt, before the folds of a leaning reference", 1 / 0.7, selection="principal_branch"),
    hunters("three hunters, before the folds", 2.5, selection="principal_branch"),
    hunters("three hunters, beyond the folds", 1 / 0.43),
    volunteers("volunteer's dilemma, tau 1/2", 0.5),
    volunteers("volunteer's dilemma, beyond the bifurcation", 0.05, selection="principal_branch"),
    KnownAnswer(
        "coordination, below the critical temperature",
        "coordination",
        "normal_form",
        0.3,
        chances(HALF, HALF),
        EXACT,
        "closed form: three equilibria for tau < 1/2; 1/2 continues the branch through the pitchfork",
        selection="principal_branch",
    ),
    KnownAnswer(
        "nine equilibria, tau 2",
        "mckelvey_mclennan",
        "normal_form",
        2.0,
        chances(HALF, HALF, cf.sigma(mpf("0.25"))),
        EXACT,
        "closed form: players 1 and 2 indifferent at 1/2, where the gap of player 3 is 1/2",
    ),
]


# ------------------------------------------------------------------------------------- followed branches


def on_branch(name, game, gaps, taus, *, tau=None, origin=None, step=0.1, policy=chances, **more):
    """A game followed in all its log-odds; ``gaps`` maps the chances of the first actions to payoff gaps."""
    rates = [1 / mpf(t) for t in taus]

    def scaled(z):
        found = gaps([cf.sigma(v) for v in z])
        scale = [float(r) for r in rates] if isinstance(z[0], float) else rates
        return [g * r for g, r in zip(found, scale, strict=True)]

    z, folds = cf.principal_branch(scaled, origin or [0.0] * len(rates), step)
    return KnownAnswer(
        name,
        game,
        more.pop("family", "normal_form"),
        tau or tuple(taus),
        policy(*(cf.sigma(v) for v in z)),
        EXACT,
        "closed form: log-odds = gap/tau + reference, pseudo-arclength from tau = infinity, then Newton",
        folds=folds,
        **more,
    )


def hunters_gaps(p):
    return [9 * p[1] * p[2] - HARE, 9 * p[0] * p[2] - HARE, 9 * p[0] * p[1] - HARE]


def travelers(tau):
    """Five claims, symmetric: log-ratios to the highest claim."""
    claims = [2, 3, 4, 5, 6]

    def pay(x, y):
        return x if x == y else (x + 2 if x < y else y - 2)

    def gaps(z):
        pi = cf.softmax([*z, 0 * z[0]])
        gains = [sum(p * pay(x, y) for p, y in zip(pi, claims, strict=True)) for x in claims]
        return [(g - gains[-1]) / tau for g in gains[:-1]]

    z, folds = cf.principal_branch(gaps, [0.0] * 4)
    pi = cf.softmax([*z, mpf(0)])
    return KnownAnswer(
        "traveler's dilemma, tau 1",
        "travelers_dilemma",
        "normal_form",
        float(tau),
        distributions([pi], [pi]),
        EXACT,
        "closed form: log-ratios = gaps/tau, both alike, pseudo-arclength from tau = infinity, then Newton",
        folds=folds,
    )


BRANCHES = [
    on_branch(
        "prisoner's dilemma, two temperatures",
        "prisoners_dilemma",
        lambda p: [-1 - p[1], -1 - p[0]],
        (1.0, 0.5),
        selection="unique",
    ),
    on_branch("chicken, two temperatures", "chicken", lambda p: [2 - 3 * p[1], 2 - 3 * p[0]], (0.8, 1.2)),
    on_branch(
        "battle of the sexes, two temperatures",
        "battle_of_the_sexes",
        lambda p: [5 * p[1] - 2, 5 * p[0] - 3],
        (0.5, 1.0),
    ),
    on_branch(
        "pairwise coordination and zero-sum, three temperatures",
        "group_polymatrix",
        lambda p: [3 * p[1] - 1 + 4 * p[2] - 2, 3 * p[0] - 1 + 5 * p[2] - 2, 4 - 4 * p[0] - 5 * p[1]],
        (1.0, 0.8, 1.2),
    ),
    on_branch("three hunters, three temperatures beyond the folds", three_hunters(), hunters_gaps, (2.2, 2.25, 2.3)),
    on_branch(
        "stag hunt, two temperatures beyond the folds of a leaning reference",
        "stag_hunt",
        lambda p: [6 * p[1] - 4, 6 * p[0] - 4],
        (1.3, 1.2),
        origin=[float(cf.logit(mpf(0.666)))] * 2,
        reference=(0.666, 1 - 0.666),
    ),
    travelers(1),
]
