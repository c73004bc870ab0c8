"""Plays of several rounds: everybody speaks again, having heard everybody, and the last answers count."""

import finetuning
import numpy as np
import pytest
from finetuning import lines_of, run

from hqre_jax.bridge.finetuning import _plays, _samplers, read_config
from hqre_jax.bridge.finetuning._batch import batch_of
from hqre_jax.bridge.models import Completion, load

SOLVER = {"name": "solver", "max_tokens": 7, "price": 20.0, "tau": 0.05}
ROLES = [SOLVER | {"reads": ["solver", "other"]}, SOLVER | {"name": "other", "adapter": "solver", "reads": ["solver"]}]


def test_everybody_hears_the_latest_and_the_last_round_counts(monkeypatch):
    config = read_config(finetuning.config(roles=ROLES, plays={"plays": 2, "rounds": 2}))
    model = load(config.model)
    texts, shown = iter(["1", "2", "3", "4", "17", "2", "17", "5 6"]), []

    def scripted(model, prompts, controls, adapters=()):
        shown.extend(model.tokenizer.decode(prompt.tokens) for prompt in prompts)
        said = [tuple(model.tokenizer.encode_said(next(texts))) for _ in prompts]
        return [Completion(tokens, (0.0,) * len(tokens), True) for tokens in said]

    monkeypatch.setattr(_samplers, "sample_completions", scripted)
    players = _plays.Players(config, model)
    item = players.questions_of(1)[0]
    item = type(item)(**(vars(item) | {"answer": "17"}))
    plays = players.play([item], 2, dict.fromkeys(["solver", "other"]), "test")
    assert [(play.score, play.answer) for play in plays] == [(1.0, "17"), (0.0, "2")]
    heard = [[word in text for word in ("solver says: ", "other says: ")] for text in shown]
    assert heard == [[False, False]] * 2 + [[True, False]] * 2 + [[True, True]] * 2 + [[True, False]] * 2
    assert ("solver says: 1" in shown[4], "other says: 3" in shown[4], "solver says: 17" in shown[6]) == (True,) * 3
    method = config.make_method()
    batch = batch_of(plays, config.roles, method, model.tokenizer.decode)
    assert batch.roles == ("solver",) * 4 + ("other",) * 4
    assert batch.turns.play.tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
    assert batch.turns.round.tolist() == [0, 0, 1, 1] * 2
    assert batch.turns.group.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    # What came after the first decision of all: the score, less all tokens of the role in both rounds.
    first = method.signal(batch.turns, 0 * batch.turns.tau).advantages[:2, 0]
    tokens = [sum(len(turn.tokens) for turn in play.turns["solver"]) for play in plays]
    own = np.array([play.score for play in plays]) - 0.02 * np.array(tokens)
    np.testing.assert_allclose(first, own - own[::-1], atol=1e-6)


def test_a_run_of_two_rounds(capsys, tmp_path):
    config = finetuning.written(tmp_path, roles=ROLES, steps=1, plays={"rounds": 2})
    code, _, err = run(capsys, config, "--out", tmp_path / "out")
    assert code == 0, err
    (line,) = lines_of(tmp_path / "out")
    roles = line["adapters"]["solver"]["roles"]
    assert line["tokens"] == sum(role["tokens"] for role in roles.values())
    for role in roles.values():
        assert role["reward"] == pytest.approx(line["score"] - 0.02 * role["tokens"] / 6)
