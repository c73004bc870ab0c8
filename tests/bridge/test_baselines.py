"""Baselines on scripted models: who is asked what, how often, who wins, what it costs."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from teams import game_items, samples_of, team_file

from hqre_jax.bridge.baselines import PUBLISHED, Front, NothingFits, find_methods, methods
from hqre_jax.bridge.baselines._per_class import Worth, assignments
from hqre_jax.bridge.baselines._solvers import Solver, majority, weighted_majority
from hqre_jax.bridge.baselines.adaptive_self_consistency import UntilSure, sureness
from hqre_jax.bridge.baselines.best_of_n import Likeliest, Verified
from hqre_jax.bridge.baselines.cascade import Steps
from hqre_jax.bridge.baselines.debate import Debaters
from hqre_jax.bridge.baselines.fixed_profile import OneRound
from hqre_jax.bridge.baselines.mixture_of_agents import Mixture
from hqre_jax.bridge.baselines.reconcile import RoundTable, stated, weight
from hqre_jax.bridge.baselines.self_consistency import Repeated
from hqre_jax.bridge.coordination import Outcome, Said, play_all
from hqre_jax.bridge.models import Failure, Reply, Request, Usage
from hqre_jax.core._types import InputError

MENU = [
    {"control": "abstain"},
    {"control": "direct", "temperature": 1.0},
    {"control": "step_by_step", "temperature": 1.0},
]
DIRECT, STEPS = Solver("agent 1", "direct", True), Solver("agent 1", "step_by_step", True)


def is_direct(request: Request) -> bool:
    return "step by step" not in request.messages[0].content


def in_order(letters: str) -> Callable[[Request], Reply]:
    """A model whose replies to one question are these letters, in the order in which they are asked for."""
    asked: dict[str, int] = {}

    def says(request: Request) -> Reply:
        question = request.messages[-1].content
        number = asked.get(question, 0)
        asked[question] = number + 1
        return Reply(letters[number % len(letters)], "stop", Usage(10, 0, 5), log_probs=(-1.0,))

    return says


def pool(says, count: int = 1, **more):
    samples, model = samples_of(team_file(MENU, **more), says)
    _, items = game_items(samples, count)
    return samples, model, [item for own in items.values() for item in own]


def play_one(player, says, **more) -> tuple[Outcome, list[Request]]:
    samples, model, items = pool(says, **more)
    (outcome,) = play_all(player if not callable(player) else player(samples), items, samples)
    return outcome, model.asked


def spoken(answer: str | None, log_probs: tuple[float, ...] | None = None) -> Said:
    return Said("agent 1", "direct", None, answer or "?", answer, Usage(10, 0, 5), log_probs)


def test_votes():
    assert majority([]) == []
    assert majority([spoken(None)]) == []
    assert majority([spoken("B"), spoken("A"), spoken("A")])[0].answer == "A"
    assert majority([spoken("B"), spoken("A")])[0].answer == "B"
    assert majority([spoken(None), spoken(None), spoken("C")])[0].answer == "C"
    assert weighted_majority([spoken("B"), spoken("A"), spoken("A")], [0.8, 0.3, 0.3])[0].answer == "B"
    assert weighted_majority([spoken("B"), spoken("A"), spoken("A")], [0.8, 0.5, 0.5])[0].answer == "A"
    assert weighted_majority([spoken(None)], [1.0]) == []


def test_self_consistency_asks_all_at_once_and_takes_the_most_frequent():
    outcome, asked = play_one(Repeated(DIRECT, 3), in_order("BAA"))
    assert (len(asked), outcome.rounds, outcome.calls, outcome.tokens) == (3, 1, 3, 45)
    assert outcome.score == 1
    outcome, asked = play_one(Repeated(DIRECT, 5), in_order("BBACA"), samples=5)
    assert outcome.judgement
    assert outcome.judgement.answer == "B"
    assert len({request.sample for request in asked}) == 5


def test_sureness_is_the_beta_probability():
    # P(p > ½) under Beta(2, 1) is 1 − ¼; under Beta(3, 2) it is 11/16.
    assert sureness(1, 0) == pytest.approx(3 / 4)
    assert sureness(2, 1) == pytest.approx(11 / 16)
    assert sureness(2, 0) == 0.875
    assert all(sureness(k, k) == pytest.approx(0.5) for k in range(5))


@pytest.mark.parametrize(
    ("letters", "threshold", "most", "calls", "wins"),
    [
        ("AAAA", 0.85, 5, 2, "A"),
        ("AAAA", 0.9, 5, 3, "A"),
        ("ABBB", 0.85, 3, 3, "B"),
        ("ABABABAB", 0.85, 4, 4, "A"),
        ("???A", 0.85, 3, 3, None),
    ],
)
def test_adaptive_self_consistency_stops_when_samples_agree(letters, threshold, most, calls, wins):
    outcome, asked = play_one(UntilSure(DIRECT, most, threshold), in_order(letters))
    assert (len(asked), outcome.calls) == (calls, calls)
    assert outcome.judgement
    assert outcome.judgement.answer == wins


def test_a_cascade_goes_on_only_where_samples_differ():
    def says(letters):
        cheap, dear = in_order(letters[:2]), in_order(letters[2:] or "?")
        return lambda request: (cheap if is_direct(request) else dear)(request)

    outcome, asked = play_one(Steps([DIRECT, STEPS]), says("AA"))
    assert [is_direct(request) for request in asked] == [True, True]
    assert outcome.score == 1
    outcome, asked = play_one(Steps([DIRECT, STEPS]), says("BAAA"))
    assert [is_direct(request) for request in asked] == [True, True, False, False]
    assert outcome.judgement
    assert outcome.judgement.answer == "A"
    # Four different answers: one of the dearest control's is taken.
    outcome, _ = play_one(Steps([DIRECT, STEPS]), says("BCDE"))
    assert outcome.judgement
    assert outcome.judgement.answer == "D"
    # Two replies without an answer agree on nothing.
    outcome, asked = play_one(Steps([DIRECT, STEPS]), says("??AA"))
    assert (len(asked), outcome.score) == (4, 1)


def test_the_verifier_is_asked_once_about_each_distinct_answer():
    def says(right: str):
        answers = in_order("BBA")

        def reply(request: Request) -> Reply:
            asked = request.messages[-1].content
            if "Is the answer right?" in asked:
                return Reply("Yes." if f"Answer: {right}\n" in asked else "No, yes is wrong.", "stop", Usage(20, 0, 1))
            return answers(request)

        return reply

    player = Verified(DIRECT, 3, Solver("agent 2", "direct", True))
    outcome, asked = play_one(player, says("A"))
    assert (len(asked), outcome.calls, outcome.tokens) == (5, 5, 3 * 15 + 2 * 21)
    assert outcome.score == 1
    assert set(outcome.usage) == {"agent 1", "agent 2"}
    # Nobody is right: the most frequent one.
    outcome, _ = play_one(player, says("Z"))
    assert outcome.judgement
    assert outcome.judgement.answer == "B"
    # All say the same: nothing to verify.
    outcome, asked = play_one(player, in_order("B"))
    assert (len(asked), outcome.score) == (3, 0)


def test_log_probability_in_all_and_per_token():
    replies = iter([("B", (-0.5, -0.5, -0.5, -0.5)), ("A", (-0.9, -0.9)), ("?", (-0.1,))] * 2)

    def says(request: Request) -> Reply:
        letter, log_probs = next(replies)
        return Reply(letter, "stop", Usage(10, 0, 5), log_probs)

    outcome, _ = play_one(Likeliest(DIRECT, 3, "total"), says)
    assert outcome.judgement
    assert outcome.judgement.answer == "A"
    outcome, _ = play_one(Likeliest(DIRECT, 3, "per token"), says)
    assert outcome.judgement
    assert outcome.judgement.answer == "B"
    samples, _, items = pool(lambda request: Reply("A", "stop", Usage(10, 0, 5)))
    (method,) = find_methods(["best_of_n_log_probability"])
    with pytest.raises(NothingFits):
        method.fit(items, samples, math.inf, 0)


def test_debaters_read_the_others_and_answer_again():
    first = in_order("ABC")

    def says(request: Request) -> Reply:
        if len(request.messages) == 2:
            return first(request)
        own, others = request.messages[2].content, request.messages[3].content
        assert f"One agent's reply: {own}" not in others
        assert others.count("One agent's reply: ") == 2
        return Reply("A", "stop", Usage(30, 0, 5))

    outcome, asked = play_one(lambda samples: Debaters(samples, DIRECT), says, agents=3)
    assert [len(request.messages) for request in asked] == [2, 2, 2, 4, 4, 4]
    assert (outcome.rounds, outcome.calls, outcome.tokens) == (2, 6, 3 * 15 + 3 * 35)
    assert outcome.score == 1


def test_the_aggregator_sees_all_proposals_and_decides():
    first = in_order("BB")

    def says(request: Request) -> Reply:
        if "replies of other models" in request.messages[-1].content:
            assert "1. B\n2. B" in request.messages[-1].content
            return Reply("A", "stop", Usage(30, 0, 5))
        return first(request)

    outcome, asked = play_one(lambda samples: Mixture(samples, (DIRECT, STEPS), DIRECT), says)
    assert (len(asked), outcome.tokens, outcome.score) == (3, 65, 1)


def test_stated_confidence_weighs_votes():
    assert [weight(p) for p in (1.0, 0.95, 0.8, 0.7, 0.2)] == [1.0, 0.8, 0.5, 0.3, 0.1]
    assert [stated(spoken(text)) for text in ("87", "about 0.5", "100%", "sure", "900")] == [0.87, 0.5, 1.0, 0.0, 1.0]

    def says(sure: str):
        letters, numbers = in_order("ABB"), iter(sure.split())

        def reply(request: Request) -> Reply:
            if "How sure" in request.messages[-1].content:
                return Reply(next(numbers), "stop", Usage(20, 0, 1))
            return letters(request)

        return reply

    table = lambda samples: RoundTable(samples, (DIRECT,) * 3)  # noqa: E731
    outcome, asked = play_one(table, says("100 70 70"), agents=3)
    assert (len(asked), outcome.tokens, outcome.score) == (6, 3 * 15 + 3 * 21, 1)
    outcome, _ = play_one(table, says("80 70 70"), agents=3)
    assert outcome.score == 0
    outcome, asked = play_one(table, in_order("A"), agents=3)
    assert (len(asked), outcome.score) == (3, 1)


def test_a_fixed_profile_is_one_round_of_the_game():
    samples, model, items = pool(in_order("AB"), rounds=2)
    states, _ = game_items(samples)
    player = OneRound(states, {states.classes[0]: ("abstain", "direct")})
    (outcome,) = play_all(player, items, samples)
    assert (len(model.asked), outcome.rounds, outcome.score, outcome.tokens) == (1, 1, 1, 15)


def control_scores(direct: str, steps: str, words: int = 50) -> Callable[[Request], Reply]:
    """Direct answers are cheap; by class and control the letter that is said."""
    return lambda request: Reply(
        direct if is_direct(request) else steps, "stop", Usage(10, 0, 5 if is_direct(request) else words)
    )


def test_the_best_control_is_chosen_within_the_budget():
    (single,) = find_methods(["single"])
    samples, model, items = pool(control_scores("B", "A"), 3)
    front = single.measure(items, samples, math.inf, 0)
    assert [(one.score, one.tokens) for one in front.measured] == [(0, 15), (1, 60)]
    assert front.within(60).setting.label == "step_by_step (agent 1)"
    assert front.within(59).setting.label == "direct (agent 1)"
    with pytest.raises(NothingFits, match=r"cheapest needs 15\.0"):
        front.within(14)
    assert len(model.asked) <= 3 * 2 * 4


def per_class(request: Request) -> Reply:
    """Easy questions are answered right either way, hard ones only step by step; steps cost four times as much."""
    direct, hard = is_direct(request), "hard" in request.messages[-1].content
    return Reply("B" if direct and hard else "A", "stop", Usage(10, 0, 5 if direct else 50))


@pytest.mark.parametrize("name", ["single_by_class", "best_profile_by_class"])
def test_tokens_go_to_the_class_where_they_help(name):
    both = {"tasks": [{"name": "letters", "classes": ["easy", "hard"]}]}
    samples, _, items = pool(per_class, 2, **both)
    (method,) = find_methods([name])
    front = method.measure(items, samples, math.inf, 0)
    best = front.within(math.inf)
    assert (best.score, best.tokens) == (1, (15 + 60) / 2)
    assert front.within(37).score == 0.5
    outcomes = play_all(best.setting.player, items, samples)
    assert [outcome.tokens for outcome in outcomes] == [15, 15, 60, 60]


def test_assignments_are_all_that_some_exchange_rate_prefers():
    table = {
        ("t", "a"): [Worth("low", 0.2, 10.0), Worth("high", 0.8, 20.0)],
        ("t", "b"): [Worth("low", 0.5, 10.0), Worth("high", 0.6, 30.0)],
    }
    found = [tuple(chosen.values()) for chosen in assignments(table)]
    assert found == [("high", "high"), ("high", "low"), ("low", "low")]


def test_best_profile_measures_every_profile_but_silence():
    samples, _, items = pool(control_scores("A", "B"), 2)
    (method,) = find_methods(["best_profile"])
    front = method.measure(items, samples, math.inf, 0)
    assert len(front.measured) == 3 * 3 - 1
    assert front.within(math.inf).setting.label == "(abstain, direct)"
    assert front.within(math.inf).tokens == 15


def test_votes_weigh_as_much_as_they_were_right():
    def says(request: Request) -> Reply:
        return Reply("A" if not is_direct(request) else "B", "stop", Usage(10, 0, 5))

    samples, _, items = pool(says, 8)
    (method,) = find_methods(["weighted_vote"])
    front = method.measure(items, samples, math.inf, 0)
    scores = {one.setting.label: one.score for one in front.measured}
    assert scores["direct (agent 1) + step_by_step (agent 1)"] == 1
    assert scores["direct (agent 1) + direct (agent 1) + step_by_step (agent 1)"] == 1
    assert scores["direct (agent 1) + direct (agent 1)"] == 0


def test_class_blind_examples_show_every_class_and_are_charged():
    def says(request: Request) -> Reply:
        return Reply("A", "stop", Usage(sum(len(message.content.split()) for message in request.messages), 0, 1))

    both = {"tasks": [{"name": "letters", "classes": ["easy", "hard"]}]}
    samples, model, items = pool(says, 1, **both)
    (method,) = find_methods(["class_blind_examples"])
    front = method.measure(items, samples, math.inf, 0)
    shown = [[message.content for message in request.messages if message.role == "user"] for request in model.asked]
    assert sorted({len(questions) for questions in shown}) == [3, 5]
    for *examples, _ in shown:
        assert sum("easy train" in one for one in examples) == sum("hard train" in one for one in examples) > 0
    assert front.measured[0].tokens < front.measured[1].tokens
    assert all(one.score == 1 for one in front.measured)


def test_a_failed_call_is_missing_and_a_dear_setting_is_not_asked():
    def says(request: Request) -> Reply | Failure:
        if "question 0" in request.messages[-1].content:
            return Failure("server", "down")
        return Reply("A", "stop", Usage(10, 0, 5))

    samples, _, items = pool(says, 3)
    (single, debate) = find_methods(["single", "debate"])
    front = single.measure(items, samples, math.inf, 0)
    assert [(one.score, one.missing) for one in front.measured] == [(1, 1), (1, 1)]
    samples, model, items = pool(in_order("A"), 3)
    front = debate.measure(items, samples, 50, 0)
    assert front == Front("debate", (), 90.0)
    assert all(len(request.messages) == 2 for request in model.asked)


def test_the_registry():
    known = methods()
    assert {method.family for method in known.values()} >= set(PUBLISHED)
    assert find_methods(["all"]) == list(known.values())
    with pytest.raises(InputError, match="single"):
        find_methods(["sinlge"])
    for name, method in known.items():
        assert method.name == name
        assert method.paper or method.family in ("fixed profile", "ablation", "mirror")


def test_no_player_looks_at_the_answer():
    """What is asked and answered is the same whatever the right answer is."""
    for name in ("single", "cascade", "debate", "reconcile", "best_of_n_verifier", "mixture_of_agents"):
        (method,) = find_methods([name])
        samples, model, items = pool(in_order("ABCA"), 2)
        player = method.fit(items, samples, math.inf, 0)
        del model.asked[:]
        plays = play_all(player, items, samples)
        other = play_all(player, [replace(item, answer="Z", solution="Z") for item in items], samples)
        assert [play.trace for play in plays] == [play.trace for play in other]


def test_the_page_lists_every_method_and_its_example_works():
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(listed) == sorted(methods())
    (example,) = re.findall(r"```python\n(.*?)```", page, re.S)
    names: dict = {}
    exec(compile(example, "example", "exec"), names)
    samples, _, items = pool(in_order("BA"), 1)
    front = names["METHODS"][0].measure(items, samples, math.inf, 0)
    assert [(one.score, one.tokens) for one in front.measured] == [(1, 30), (1, 30)]
