"""The default solver against equilibria that were published or worked out by hand."""

from math import isclose

import numpy as np
import pytest

import hqre_jax as hq

from .cases import CASES

pytestmark = pytest.mark.optimised


def game_of(case):
    if isinstance(case.game, str):
        return hq.load_game(case.game)
    constructor, arguments = case.game
    return getattr(hq, constructor)(**arguments)


def solve(case):
    game = game_of(case)
    reference = None
    if case.reference is not None:
        reference = np.broadcast_to(np.array(case.reference), game.action_mask.shape)
    tau = np.array(case.tau) if case.heterogeneous else case.tau
    return hq.solve(game, tau, reference=reference, entropy=case.entropy, continuation=case.continuation, throw=False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_solver_finds_the_known_answer(case):
    solution = solve(case)
    assert solution.result == "successful"
    policy = np.asarray(solution.policy)
    expected = {entry: float(p) for entry, p in case.policy.items()}
    found = {entry: policy[entry] for entry in expected}
    assert found == pytest.approx(expected, rel=0, abs=0.5 * 10.0**-case.digits)
    for i, value in case.values.items():
        initial = float(np.asarray(solution.initial_values)[i])
        assert initial == pytest.approx(float(value), rel=0, abs=0.5 * 10.0**-case.value_digits)
    if case.selection is None:
        assert solution.selection in ("unique", "principal_branch")
    else:
        assert solution.selection == case.selection


def is_uniform(case):
    rows = {}
    for (i, x, _), p in case.policy.items():
        rows.setdefault((i, x), []).append(float(p))
    return all(isclose(p, row[0], abs_tol=1e-9) for row in rows.values() for p in row)


def test_the_cases_cover_what_they_should():
    families = [case.family for case in CASES]
    assert len({case.name for case in CASES}) == len(CASES) >= 30
    assert len({case.game_name for case in CASES}) >= 14
    assert families.count("tree") >= 6
    assert families.count("markov") + families.count("bayesian") >= 6
    assert sum(case.heterogeneous for case in CASES) >= 9
    assert sum(case.folds > 0 for case in CASES) >= 3
    assert sum(is_uniform(case) for case in CASES) <= 5
    spans = [float(np.ptp(np.asarray(game_of(case).payoffs))) for case in CASES]
    scaled = [tau / span for case, span in zip(CASES, spans, strict=True) for tau in np.ravel(case.tau)]
    assert min(scaled) <= 1e-6
    assert max(scaled) >= 1e3
    coldest = {case.game: np.min(case.tau) for case in CASES if isinstance(case.game, str)}
    for case in CASES:
        if isinstance(case.game, str):
            coldest[case.game] = min(coldest[case.game], np.min(case.tau))
    assert all(
        coldest[name] <= 1e-6 for name in ("selten_horse", "rock_paper_scissors", "perturbed_rock_paper_scissors")
    )
