"""Known answers of extensive games: one mover at a time backwards, or a few beliefs solved for."""

from mpmath import mpf

from . import closed_forms as cf
from .known_answer import EXACT, KnownAnswer, chances, per_state
from .normal_forms import on_branch


def centipede(name, tau, continuation, entropy="kl", reference=None):
    """Moves 1 and 3 are player 1's two information sets, moves 2 and 4 player 2's."""
    moves = [tau] * 4 if isinstance(tau, float) else [tau[i % 2][i // 2] for i in range(4)]
    take, values = cf.take_or_pass(moves, continuation, entropy, reference or (mpf(1) / 2, mpf(1) / 2))
    return KnownAnswer(
        name,
        "centipede",
        "tree",
        tau,
        per_state(take[0::2], take[1::2]),
        EXACT,
        f"closed form: backward recursion, one mover at a time; {continuation}, {entropy}",
        continuation=continuation,
        entropy=entropy,
        reference=reference,
        values=dict(enumerate(values)),
    )


def entry_deterrence(tau):
    """The incumbent's choice does not depend on the entrant's; payoffs of Selten (1978)."""
    tau_entrant, tau_incumbent = map(mpf, tau)
    cooperate = cf.sigma(2 / tau_incumbent)
    enter = cf.sigma((2 * cooperate - 1) / tau_entrant)
    return KnownAnswer(
        "entry deterrence, two temperatures",
        "entry_deterrence",
        "tree",
        tau,
        chances(enter, cooperate),
        EXACT,
        "closed form: sigma(2/tau_2), then sigma((2 P(cooperate) - 1)/tau_1)",
        continuation="plain",
    )


def poker(name, tau, digits, king, queen, call, source, **more):
    policy = {
        (0, 0, 0): king,
        (0, 0, 1): 1 - king,
        (0, 1, 0): queen,
        (0, 1, 1): 1 - queen,
        (1, 0, 0): call,
        (1, 0, 1): 1 - call,
    }
    return KnownAnswer(name, "stripped_down_poker", "tree", tau, policy, digits, source, continuation="plain", **more)


def horse(name, rationality, digits):
    """The third player's chance to go left is near log(2)/lambda, and small: ask for more decimals."""
    return KnownAnswer(
        name,
        "selten_horse",
        "tree",
        1 / rationality,
        chances(*cf.selten_horse(1 / mpf(1 / rationality))),
        digits,
        "closed form: one equation in the third player's log-odds, followed in lambda from 0",
        continuation="plain",
    )


def kuhn(tau):
    """The reading order of the file mixes the cards: player 1 has J, Q, K twice each, player 2 Q, K, J."""
    bets = cf.kuhn_poker(mpf(tau))
    first, call, raised, met = (bets[k : k + 3] for k in (0, 3, 6, 9))
    passing = [
        [1 - chance for card in cards for chance in (early[card], late[card])]
        for early, late, cards in ((first, call, (0, 1, 2)), (raised, met, (1, 2, 0)))
    ]
    return KnownAnswer(
        "Kuhn poker, tau 1",
        "kuhn_poker",
        "tree",
        float(tau),
        per_state(*passing),
        EXACT,
        "closed form: twelve logit responses with Bayes' beliefs, a contraction at this temperature",
        continuation="plain",
    )


def beer_gaps(p):
    """Beer over quiche for the strong and the weak, then duel over retreat after beer and after quiche."""
    strong, weak, after_beer, after_quiche = p
    sway = 2 * (after_quiche - after_beer)
    beliefs = [w / (9 * s + w) for s, w in ((strong, weak), (1 - strong, 1 - weak))]
    return [1 + sway, sway - 1, *(2 * b - 1 for b in beliefs)]


def beer_policy(strong, weak, after_beer, after_quiche):
    return per_state([strong, weak], [after_beer, after_quiche])


REILEY = "D. H. Reiley, M. B. Urbancic and M. Walker, Journal of Economic Education 39 (2008) 323-341"

TREES = [
    centipede("centipede, plain", 0.5, "plain"),
    centipede("centipede, soft, four temperatures", ((0.2, 0.5), (0.4, 1.0)), "soft"),
    centipede("centipede, soft with Shannon entropy, four temperatures", ((0.2, 0.5), (0.4, 1.0)), "soft", "shannon"),
    centipede("centipede, soft with a biased reference", 0.5, "soft", reference=(0.3, 0.7)),
    entry_deterrence((1.0, 0.5)),
    poker(
        "stripped-down poker, rationality 1",
        1.0,
        EXACT,
        *cf.stripped_down_poker(mpf(1), mpf(1), mpf(1)),
        "closed form: one root in Bob's chance to call, his belief by Bayes' rule",
    ),
    poker(
        "stripped-down poker, three temperatures",
        ((0.5, 1.0), (0.25, 0.25)),
        EXACT,
        *cf.stripped_down_poker(mpf("0.5"), mpf(1), mpf("0.25")),
        "closed form: one root in Bob's chance to call, his belief by Bayes' rule",
    ),
    poker(
        "stripped-down poker, nearly rational",
        1e-4,
        3,
        mpf(1),
        mpf(1) / 3,
        mpf(2) / 3,
        f"{REILEY}: bluff with probability 1/3, call with 2/3",
        values={0: mpf(1) / 3},
        value_digits=3,
    ),
    horse("Selten's horse, rationality 1", 1.0, EXACT),
    horse("Selten's horse, rationality 1000", 1e3, 9),
    horse("Selten's horse, rationality 1e6", 1e6, 11),
    kuhn(1),
    KnownAnswer(
        "Kuhn poker, nearly rational",
        "kuhn_poker",
        "tree",
        1e-3,
        {(1, 3, 0): mpf(0), (1, 5, 0): mpf(1)},  # call with the King, fold the Jack: dominant
        EXACT,
        "H. W. Kuhn, Annals of Mathematics Studies 24 (1950) 97-103: the value is -1/18",
        continuation="plain",
        values={0: mpf(-1) / 18},
        value_digits=2,
    ),
    on_branch(
        "beer or quiche, two temperatures",
        "beer_quiche",
        beer_gaps,
        (0.5, 0.5, 0.3, 0.3),
        family="tree",
        tau=(0.5, 0.3),
        policy=beer_policy,
        continuation="plain",
    ),
]
