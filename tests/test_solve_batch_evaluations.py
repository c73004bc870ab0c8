"""What `solve_batch` is measured in: one logit response of the whole batch."""

import numpy as np

from benchmarks._normal_form_case import action_values, logit
from benchmarks.evaluations import Evaluations, logit_response
from benchmarks.workloads.w2_many_players import w2_cases


def test_the_response_is_the_judges():
    case = next(w2_cases(3))
    uniform = np.full((3, 3, 5), 1 / 5)
    response = np.moveaxis(np.asarray(logit_response(case)()), -1, 0)
    np.testing.assert_allclose(response, logit(action_values(case.payoffs, uniform), case.tau), rtol=0, atol=1e-14)


def test_evaluations_are_a_ratio_of_times():
    assert Evaluations(solve_seconds=3e-3, evaluation_seconds=2e-4, failures=0).evaluations == 15
