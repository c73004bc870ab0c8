"""The empirical game against enumeration by hand, unbiased for every joint profile."""

import itertools
import random
from collections import Counter

import numpy as np
import pytest
from teams import dice, game_items, kind_of, samples_of, team_file

from hqre_jax.bridge.coordination import TeamGame, uniform_law
from hqre_jax.bridge.coordination._worth import profile_chances
from hqre_jax.bridge.models import Failure, Reply, Usage
from hqre_jax.core._types import InputError

MENU = [
    {"control": "abstain"},
    {"control": "direct", "temperature": 1.0},
    {"control": "step_by_step", "temperature": 1.0},
    {"control": "read_stream", "temperature": 1.0},
]
CHANCES = {"direct": {"A": 0.5, "B": 0.3, "?": 0.2}, "steps": {"A": 0.7, "C": 0.3}}
WORDS = {"direct": 3, "steps": 20, "reads": 7}


def says(request):
    """As the dice fall; a reader takes A where somebody said so, else D."""
    if kind_of(request) != "reads":
        return dice(CHANCES, WORDS)(request)
    heard = request.messages[-1].content.partition("The team has said so far:")[2].partition("Reconsider")[0]
    return Reply("A" if ": A" in heard else "D", "stop", Usage(10, 0, WORDS["reads"]))


def by_hand(rounds):
    """Expected gain, transition chances and reach of every state and profile under uniform play, all by recursion."""
    gain, moves, reach = Counter(), Counter(), Counter()

    def outcomes(choice, stream):
        kinds = {1: "direct", 2: "steps", 3: "steps"}
        if choice == 0:
            return [("", 1.0)]
        if choice == 3 and stream:
            return [("A" if "A" in stream else "D", 1.0)]
        return list(CHANCES[kinds[choice]].items())

    def verdict(votes):
        """Plurality, ties to the latest round, there to the first agent."""
        given = [(letter, number // 2, number % 2) for number, letter in enumerate(votes) if letter not in ("", "?")]
        if not given:
            return 0.0, "none"
        count = Counter(letter for letter, _, _ in given)
        best = max(given, key=lambda vote: (count[vote[0]], vote[1], -vote[2]))[0]
        top, all_ = count[best], len(given)
        return float(best == "A"), "one" if all_ == 1 else "agreed" if top >= 2 and 2 * top > all_ else "split"

    def play(number, votes, stream, weight):
        value, agreed = verdict(votes)
        x = (number, agreed)
        reach[x] += weight
        menu = (0, 1, 2, 3) if number else (0, 1, 2)
        for profile in itertools.product(menu, repeat=2):
            for said in itertools.product(*(outcomes(choice, stream) for choice in profile)):
                chance = np.prod([p for _, p in said])
                after = votes + tuple(letter for letter, _ in said)
                heard = stream + tuple(letter for letter, _ in said if letter)
                now, then = verdict(after)
                gain[x, profile] += weight * chance * (now - value)
                if number + 1 < rounds:
                    moves[x, profile, then] += weight * chance
                    play(number + 1, after, heard, weight * chance / len(menu) ** 2)

    play(0, (), (), 1.0)
    return gain, moves, reach


def test_all_profiles_agree_with_enumeration():
    """Within sampling error at every state and profile: the largest of some hundred z-scores is below 4.5."""
    samples, model = samples_of(team_file(MENU, rounds=2, questions=250), says)
    states, items = game_items(samples)
    game = TeamGame.from_samples(samples, items, replicates=4, per_question=8)
    (moments,) = game.moments
    gain, moves, reach = by_hand(2)
    scores = []
    for x, state in enumerate(states.states):
        place = (state.round - 1, state.agreement)
        for profile in itertools.product(range(4), repeat=2):
            if not all(states.mask[i, x, k] for i, k in enumerate(profile)):
                continue
            p = np.ravel_multi_index(profile, (4, 4))
            weight = moments.weight[:, x, p]
            pairs = [(moments.gain[:, x, p], gain[place, profile] / reach[place])]
            for y, then in enumerate(states.states):
                if then.round == state.round + 1:
                    pairs.append((moments.moves[:, x, p, y], moves[place, profile, then.agreement] / reach[place]))
            for sums, exact in pairs:
                error = (sums - exact * weight).std(ddof=1) / np.sqrt(len(weight)) / weight.mean()
                estimate = sums.mean() / weight.mean()
                scores.append(abs(estimate - exact) / error if error > 1e-12 else 1e9 * abs(estimate - exact))
    assert len(scores) > 100
    assert max(scores) < 4.5
    prices = (10 * np.array([0, 3, 20, 7]) + np.array([0, 10, 10, 10])) / 1000
    np.testing.assert_allclose(game.estimated.cost[:, 2:], np.broadcast_to(prices, (2, 3, 4)), atol=1e-12)
    # The same sample is never generated twice.
    assert len(model.asked) == len(set(map(repr, model.asked)))
    assert sum(request.sample < 4 for request in model.asked) == 2 * 4 * 250, "what readers are asked is numbered apart"


def test_other_laws_weight_the_same_histories():
    """Under a law that always takes one profile, later states are as after that profile; nothing new is asked."""
    samples, model = samples_of(team_file(MENU[:3], rounds=2, questions=60), says)
    states, items = game_items(samples)
    game = TeamGame.from_samples(samples, items, per_question=32)
    asked = len(model.asked)
    law = uniform_law(states)
    law[:, 0] = [0.0, 0.0, 1.0]
    (moments,) = game.under(law).moments
    weight = moments.weight[..., 0].sum(0)
    names = [state.agreement for state in states.states]
    assert weight[names.index("one")] == weight[1:][names[1:].index("none")] == 0
    one = {name: weight[k] / weight[1:].sum() for k, name in enumerate(names) if k}
    assert one["agreed"] == pytest.approx(0.7**2 + 0.3**2, abs=0.08)
    assert len(model.asked) == asked


def test_a_failed_call_is_missing_not_zero():
    """Profiles that use it lose an observation; their estimates stay where they were."""
    exact = {}
    for failing in (False, True):

        def fails(request, failing=failing):
            return Failure("server", "down") if failing and request.sample == 1 else Reply("A", "stop", Usage(1, 0, 1))

        samples, _ = samples_of(team_file(MENU[:2], rounds=1, questions=8), fails)
        _, items = game_items(samples)
        game = TeamGame.from_samples(samples, items)
        exact[failing] = game.estimated.rise[0]
        lost = game.moments[0].weight[:, 0].sum(0)
    np.testing.assert_array_equal(exact[True], exact[False])
    np.testing.assert_array_equal(exact[True], [0, 1, 1, 1])
    assert lost[0] > lost[1] > lost[3]


def test_too_few_samples_are_refused():
    samples, _ = samples_of(team_file(MENU[:2], rounds=2, samples=3), says)
    _, items = game_items(samples)
    with pytest.raises(InputError, match="are 3 of each question and control, and a play may need 4"):
        TeamGame.from_samples(samples, items)
    samples, _ = samples_of(team_file(MENU[:2], rounds=1), lambda request: Failure("server", "down"))
    with pytest.raises(InputError, match="no play says what 'direct' costs agent 'agent 1': every call failed"):
        _ = TeamGame.from_samples(samples, items).game

    def second_fails(request):
        return Failure("server", "down") if request.sample else Reply("A", "stop", Usage(1, 0, 1))

    samples, _ = samples_of(team_file(MENU[:2], rounds=1, samples=2), second_fails)
    with pytest.raises(InputError, match=r"show nothing of \(direct, direct\) in state letters/easy, round 1, none"):
        _ = TeamGame.from_samples(samples, items).game


def test_divided_questions():
    """The team is right where every part is somebody's; the game is one of arbitrary conventions."""
    parts = [{"name": part, "control": "direct", "part": part} for part in ("left", "right")]
    samples, model = samples_of(
        team_file(parts, task="halves", rounds=1), lambda asked: asked.messages[-1].content.split()[-1][0].upper()
    )
    states, items = game_items(samples)
    game = TeamGame.from_samples(samples, items)
    np.testing.assert_array_equal(game.estimated.rise[0], [0, 1, 1, 0])
    assert len(model.asked) == 2 * 3, "at temperature 0 one sample is all there is"
    with pytest.raises(InputError, match="none fits"):
        game_items(samples_of(team_file(parts, rounds=1), says)[0])
    assert states.parts == (("left", "right"),)


def test_states_that_are_not_seen_are_joined():
    document = team_file(MENU[:3], rounds=2, questions=20, state={"sees": ["round"]})
    samples, _ = samples_of(document, says)
    states, items = game_items(samples)
    game = TeamGame.from_samples(samples, items)
    assert [str(state) for state in states.states] == ["round 1", "round 2"]
    moves = np.asarray(game.game.transitions)
    np.testing.assert_allclose(moves[0, ..., 1], 1.0)
    assert not moves[1].any()


def test_a_play_may_end_early():
    """Agreement ends it: there is no such state in the second round."""
    document = team_file(MENU[:2], rounds=2, questions=20, state={"stops": ["agreed", "silent"]})
    samples, _ = samples_of(document, says)
    states, items = game_items(samples)
    moves = np.asarray(TeamGame.from_samples(samples, items).game.transitions)
    agreed = [state.agreement for state in states.states].index("agreed")
    assert not moves[0, ..., agreed].any()
    assert not moves[0, 0, 0].any(), "nobody answers: silence"
    assert moves[0, 1, 1].sum() < 1


def test_intervals_resample_questions_and_samples():
    """Where worked examples, which all questions share, make most of the chance, intervals are as wide as they must be.

    With questions alone resampled they would be half as wide.
    """

    def moody(request):
        good = random.Random(f"{request.controls.seed}/{request.sample}").random() < 0.5
        letter = "A" if random.Random(repr(request)).random() < (0.95 if good else 0.2) else "B"
        return Reply(letter, "stop", Usage(1, 0, 1))

    policy = np.array([[[0.0, 1.0]], [[1.0, 0.0]]])
    document = team_file(MENU[:2], rounds=1, questions=20, samples=6)

    def worths(seed, draws, samples_too=True):
        samples, _ = samples_of(document, moody, seed=seed)
        _, items = game_items(samples)
        game, rng = TeamGame.from_samples(samples, items, replicates=24), np.random.default_rng(seed)
        found = [game.estimated.worth(policy).score]
        for _ in range(draws):
            other = game.perturbed(rng) if samples_too else game
            times = np.bincount(rng.integers(20, size=20), minlength=20).astype(float)
            found.append(other.resampled([times]).worth(policy).score)
        return found

    truth = np.std([worths(seed, 0)[0] for seed in range(60)])
    both, questions = (np.mean([np.std(worths(seed, 12, too)[1:]) for seed in range(6)]) for too in (True, False))
    assert 0.75 < both / truth < 1.6
    assert questions / truth < 0.6


def test_a_score_is_never_more_than_one():
    """Of two questions, what later rounds are estimated to add may come to more than there is to gain."""
    samples, _ = samples_of(team_file(MENU[:3], rounds=2), dice(CHANCES))
    states, items = game_items(samples, 2)
    game, rng = TeamGame.from_samples(samples, items), np.random.default_rng(0)
    scores, sums = [], []
    for _ in range(50):
        policy = np.zeros_like(game.law)
        for i, x in np.argwhere(states.mask.any(-1)):
            policy[i, x, rng.choice(np.flatnonzero(states.mask[i, x]))] = 1.0
        estimated = game.under(0.9 * policy + 0.1 * game.law).estimated
        worth = estimated.worth(policy)
        scores.append(worth.score)
        sums.append(worth.visits @ (profile_chances(policy) * estimated.rise).sum(-1))
    assert max(sums) > 1.05, "or there was nothing to cut"
    np.testing.assert_array_equal(scores, np.clip(sums, 0.0, 1.0))
