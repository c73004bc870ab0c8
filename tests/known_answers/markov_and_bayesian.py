"""Known answers with several information states: Bayesian games, decision processes, Markov games."""

from mpmath import mp, mpf

from . import closed_forms as cf
from .known_answer import EXACT, KnownAnswer, distributions, per_state
from .normal_forms import on_branch

# ---------------------------------------------------------------------------------------------- Bayesian


def public_good(name, tau, digits=EXACT):
    """Costs 0.2, 0.5, 1.1: contribute gains ``P(the other keeps) - cost``; both players alike, one root."""
    costs, prior = [mpf("0.2"), mpf("0.5"), mpf("1.1")], [mpf("0.3"), mpf("0.4"), mpf("0.3")]
    taus = [mpf(t) for t in (tau[0] if isinstance(tau, tuple) else [tau] * 3)]

    def contributions(p):
        return [cf.sigma((1 - p - c) / t) for c, t in zip(costs, taus, strict=True)]

    def excess(p):
        return sum(w * x for w, x in zip(prior, contributions(p), strict=True)) - p

    row = contributions(cf.root(excess, 0, 1))
    return KnownAnswer(
        name,
        "public_good_private_costs",
        "bayesian",
        tau,
        per_state(row, row),
        digits,
        "closed form: p = sum_theta P(theta) sigma((1 - p - c_theta)/tau_theta), one root by bisection",
    )


def auction(tau):
    """Values 2 and 6, bids 0 to 3, ties split: log-ratios to the highest bid, both bidders alike."""
    values, bids = (2, 6), range(4)

    def bidding(z):
        return [cf.softmax([*z[k : k + 3], 0 * z[0]]) for k in (0, 3)]

    def gaps(z):
        market = [(x + y) / 2 for x, y in zip(*bidding(z), strict=True)]
        wins = [sum(market[:b]) + market[b] / 2 for b in bids]
        gains = [[(v - b) * wins[b] for b in bids] for v in values]
        return [(g - row[-1]) / tau for row in gains for g in row[:-1]]

    z, folds = cf.principal_branch(gaps, [0.0] * 6)
    rows = bidding(z)
    return KnownAnswer(
        "first-price auction, tau 1/2",
        "first_price_auction",
        "bayesian",
        tau,
        distributions(rows, rows),
        EXACT,
        "closed form: log-ratios = gaps/tau, both alike, pseudo-arclength from tau = infinity, then Newton",
        folds=folds,
    )


BAYESIAN = [
    public_good("public good, tau 0.2", 0.2),
    public_good("public good, three temperatures", ((0.1, 0.4, 0.3),) * 2),
    public_good("public good, nearly rational", 1e-3),
    auction(0.5),
]


# ---------------------------------------------------------------------------------------------- Markov

REWARDS = [[1.0, 0.0], [0.0, 2.0]]
TRANSITIONS = [[[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5], [0.1, 0.9]]]
DISCOUNT = 0.8


def decision_process(name, tau, continuation="soft", entropy="kl", reference=None):
    """One player, two states, two actions: the whole equilibrium is one fixed point of two values."""
    taus = [mpf(t) for t in (tau[0] if isinstance(tau, tuple) else (tau, tau))]
    policy, values = cf.decision_process(
        [[mpf(r) for r in row] for row in REWARDS],
        [[[mpf(p) for p in row] for row in rows] for rows in TRANSITIONS],
        mpf(DISCOUNT),
        taus,
        [mpf(r) for r in reference or (0.5, 0.5)],
        continuation,
        entropy,
    )
    arguments = {
        "payoffs": [REWARDS],
        "transitions": TRANSITIONS,
        "discount": DISCOUNT,
        "initial": [0.25, 0.75],
    }
    return KnownAnswer(
        name,
        ("MarkovGame", arguments),
        "markov",
        tau,
        per_state(policy),
        EXACT,
        f"closed form: V = E Q under pi = softmax(Q/tau), {continuation}, {entropy}, iterated to 27 digits",
        continuation=continuation,
        entropy=entropy,
        reference=reference,
        values={0: values[0] / 4 + 3 * values[1] / 4},
    )


def big_match(name, tau):
    stop, left, value = cf.big_match("0.9", *(mpf(t) for t in (tau if isinstance(tau, tuple) else (tau, tau))))
    return KnownAnswer(
        name,
        "big_match",
        "markov",
        tau,
        {(0, 0, 0): stop, (0, 0, 1): 1 - stop, (1, 0, 0): left, (1, 0, 1): 1 - left},
        EXACT,
        "closed form: the stage game given the value has one root, the value is the root of a contraction",
        continuation="zero_sum",
        values={0: value, 1: -value},
    )


def dynamic_dilemma(p):
    """Both players cooperate with the same chances in the low and in the high state; plain continuation."""
    low, high = p
    d = 0.75
    pay_low = 100 * low**2 + (30 + 125) * low * (1 - low) + 60 * (1 - low) ** 2
    pay_high = 200 * high**2 + (130 + 280) * high * (1 - high) + 190 * (1 - high) ** 2
    # V_high - V_low: the low state is left when both cooperate, the high one when both defect.
    advantage = (pay_high - pay_low) / (1 - d * (1 - (1 - high) ** 2 - low**2))
    return [
        -25 * low - 30 * (1 - low) + d * low * advantage,
        -80 * high - 60 * (1 - high) + d * (1 - high) * advantage,
    ]


def opt_in_or_out(tau):
    """Coordination is a toss-up on the principal branch, so that opting in costs 5 x 0.9^2."""
    d = mpf("0.9")
    gap = -5 * d**2
    opt_in = cf.sigma(gap / tau)
    # V = d^2 (5 + d V) + tau log((1 + exp(gap/tau))/2): player 1's soft value, three steps a round
    value = (5 * d**2 + tau * mp.log((1 + mp.exp(gap / tau)) / 2)) / (1 - d**3)
    return KnownAnswer(
        "opting in or out, tau 5",
        "opt_in_or_out",
        "markov",
        float(tau),
        {(0, 0, 0): opt_in, (0, 0, 1): 1 - opt_in, (1, 1, 0): mpf(1) / 2, (1, 1, 1): mpf(1) / 2},
        EXACT,
        "closed form: sigma(-5 d^2/tau) and a geometric series, by the symmetry of the coordination",
        values={0: value},
    )


MARKOV = [
    decision_process("decision process, soft", 0.5),
    decision_process("decision process, plain", 0.5, "plain"),
    decision_process("decision process, Shannon entropy, a temperature per state", ((0.5, 2.0),), "soft", "shannon"),
    decision_process(
        "decision process, biased reference, a temperature per state", ((1.0, 0.1),), reference=(0.2, 0.8)
    ),
    big_match("big match, tau 1/2", 0.5),
    big_match("big match, two temperatures", (0.2, 1.0)),
    KnownAnswer(
        "big match, nearly rational",
        "big_match",
        "markov",
        1e-4,
        {(0, 0, 0): mpf(1) / 11, (1, 0, 0): mpf(1) / 2},
        4,
        "closed form: at tau = 0 stop with (1-d)/(2-d), left with 1/2, value 1/2 a stage (the game of "
        "D. Blackwell and T. S. Ferguson, Annals of Mathematical Statistics 39 (1968) 159-163)",
        continuation="zero_sum",
        values={0: mpf(5)},
        value_digits=3,
    ),
    on_branch(
        "dynamic prisoner's dilemma, tau 60",
        "dynamic_prisoners_dilemma",
        dynamic_dilemma,
        (60, 60),
        family="markov",
        tau=60.0,
        policy=lambda low, high: per_state([low, high], [low, high]),
        continuation="plain",
    ),
    opt_in_or_out(mpf(5)),
]
