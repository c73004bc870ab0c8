"""The rollout log: what it refuses, and that files give back what went in, crashes included."""

import json

import numpy as np
import pytest

import hqre_jax as hq


def random_log(seed, plays=20, players=3, steps=2):
    """Several runs and steps, unknown propensities, failed plays; rows in no order."""
    rng = np.random.default_rng(seed)
    run, episode, step, agent = np.indices((2, plays, steps, players)).reshape(4, -1)
    rows = len(run)
    failed = rng.random(rows) < 0.1
    columns = {
        "run": run,
        "episode": episode,
        "step": step,
        "agent": agent,
        "information_state": rng.integers(0, 2, rows),
        "action": rng.integers(0, 3, rows),
        "log_propensity": np.where(rng.random(rows) < 0.2, np.nan, np.log(rng.uniform(0.1, 1, rows))),
        "payoff": np.where(failed, np.nan, rng.standard_normal(rows)),
        "failed": failed,
    }
    order = rng.permutation(rows)
    labels = hq.Labels(title="a «game»", players=("ann", "bob", "cy"))
    return hq.RolloutLog(
        **{name: column[order] for name, column in columns.items()},
        num_actions=[[3, 3]] * players,
        labels=labels,
    )


def rows(log):
    """Rows in the order of their keys, and the key order itself."""
    order = np.lexsort([log.agent, log.step, log.episode, log.run])
    return {name: column[order] for name, column in log.columns().items()}


def assert_same_rows(a, b):
    for name, column in rows(a).items():
        np.testing.assert_array_equal(column, rows(b)[name], err_msg=name)


def one_shot(**changes):
    columns = {"episode": [0, 0, 1, 1], "agent": [0, 1, 0, 1], "action": [0, 1, 1, 1], "payoff": [0.1, 0.2, 0.3, 0.4]}
    return hq.RolloutLog(**(columns | changes))


def test_columns_cannot_be_changed():
    log = one_shot()
    with pytest.raises(ValueError, match="read-only"):
        log.payoff[0] = 1.0
    with pytest.raises(AttributeError):
        log.payoff = np.zeros(4)  # pyright: ignore


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"agent": [0, 1, 0]}, "agent: has 3 rows, where episode has 4"),
        ({"action": [0, 1, -1, 1]}, r"action\[2\]: is -1; counts start from 0"),
        ({"action": [0, 1, 0.5, 1]}, "action: has type float64; whole numbers are wanted"),
        ({"payoff": [0.1, np.nan, 0.3, 0.4]}, r"payoff\[1\]: is nan; it must be finite, or the row marked as failed"),
        ({"payoff": [0.1, np.inf, 0.3, 0.4], "failed": True}, r"payoff\[1\]: is inf; an unknown payoff is NaN"),
        ({"log_propensity": [0.0, 0.1, 0.0, 0.0]}, r"log_propensity\[1\]: is 0.1; the logarithm"),
        ({"log_propensity": -np.inf}, r"log_propensity\[0\]: is -inf: what was played had a positive"),
        ({"agent": [0, 1, 0, 0]}, r"run\[3\]: repeats run 0, episode 1, step 0, agent 0: .*renumbered"),
        ({"num_actions": [[2]]}, r"agent\[1\]: is 1, where 1 players are"),
        ({"num_actions": [[2], [1]]}, r"action\[1\]: is 1, where 1 actions are, counted from 0"),
        (
            {"num_actions": [[2], [2]], "information_state": [0, 0, 0, 1]},
            r"information_state\[3\]: is 1, where player 1",
        ),
        ({"num_actions": [[2], [0]]}, r"num_actions\[1\]\[0\]: is 0; it must be a whole number, 1 or more"),
        ({"num_actions": [[10**50], [2]]}, r"num_actions\[0\]\[0\]: is .*; arrays number actions with 64 bits"),
        ({"failed": [0, 1, 0, 1]}, "failed: has type int64; true and false are wanted"),
        ({"episode": [[0, 0], [1, 1]]}, "episode: has 2 axes; a column has one"),
    ],
)
def test_ill_formed_columns_are_refused(changes, message):
    with pytest.raises(hq.InputError, match=message):
        one_shot(**changes)


def test_plays_are_rows():
    log = hq.RolloutLog.from_plays([[0, 1], [1, 1]], [[1.0, 2.0], [np.nan, np.nan]], failed=[[False], [True]])
    assert (len(log), log.num_episodes, log.num_players) == (4, 2, 2)
    np.testing.assert_array_equal(log.agent, [0, 1, 0, 1])
    np.testing.assert_array_equal(log.action, [0, 1, 1, 1])
    np.testing.assert_array_equal(log.failed, [False, False, True, True])
    with pytest.raises(hq.InputError, match=r"payoffs: has shape \(3, 2\), where \(2, 2\)"):
        hq.RolloutLog.from_plays([[0, 1], [1, 1]], np.zeros((3, 2)))


def test_filters_and_concatenation_are_inverse():
    log = random_log(0)
    parts = [log.filter(agent=i) for i in range(3)]
    assert [set(part.agent) for part in parts] == [{0}, {1}, {2}]
    assert_same_rows(hq.RolloutLog.concatenate(parts), log)
    assert len(log.filter(log.failed, agent=[0, 2])) == np.sum(log.failed & (log.agent != 1))
    assert len(log.filter(agent=9)) == 0
    with pytest.raises(hq.InputError, match="player: is no column"):
        log.filter(player=0)


def test_copies_are_refused_and_runs_can_be_told_apart():
    log = random_log(1)
    with pytest.raises(hq.InputError, match="repeats run"):
        hq.RolloutLog.concatenate([log, log])
    both = hq.RolloutLog.concatenate([log, log.renumbered(2)])
    assert set(both.run) == {0, 1, 2, 3}
    assert both.labels.title == "a «game»"
    with pytest.raises(hq.InputError, match="of different games"):
        hq.RolloutLog.concatenate([one_shot(num_actions=[[2], [2]]), one_shot(run=1, num_actions=[[2], [3]])])


@pytest.mark.parametrize("extension", [".jsonl", ".npz"])
def test_files_give_back_the_log(tmp_path, extension):
    log = random_log(2)
    path = tmp_path / f"log{extension}"
    hq.io.save_rollout_log(log, path)
    back = hq.io.load_rollout_log(path)
    assert_same_rows(log, back)
    assert back.num_actions == log.num_actions
    assert (back.labels.title, back.labels.players) == (log.labels.title, log.labels.players)
    hq.io.save_rollout_log(back.filter(agent=9), path)
    assert len(hq.io.load_rollout_log(path)) == 0


def test_appending_is_concatenation(tmp_path):
    log = random_log(3)
    path = tmp_path / "log.jsonl"
    for run in (0, 1):
        hq.io.append_rollout_log(log.filter(run=run), path)
    assert_same_rows(hq.io.load_rollout_log(path), log)
    assert len(path.read_bytes().splitlines()) == 1 + log.num_episodes


def test_every_cut_loses_one_episode_and_is_reported(tmp_path):
    """A file cut at any byte of its last line: refused with the line's number, or read and mended without it."""
    log = random_log(4, plays=2)
    path, kept, last = tmp_path / "log.jsonl", log.filter(run=0), log.filter(run=1, episode=1)
    hq.io.save_rollout_log(kept, path)
    whole = path.read_bytes()
    hq.io.append_rollout_log(last, path)
    full = path.read_bytes()
    number = whole.count(b"\n") + 1
    for cut in range(len(whole) + 1, len(full) - 1, 7):
        path.write_bytes(full[:cut])
        with pytest.raises(hq.InputError, match=f"log.jsonl:{number}: is cut off: pass incomplete="):
            hq.io.load_rollout_log(path)
        with pytest.raises(hq.InputError, match=f"log.jsonl:{number}: is cut off"):
            hq.io.append_rollout_log(last, path)
        assert_same_rows(hq.io.load_rollout_log(path, incomplete="skip"), kept)
        hq.io.append_rollout_log(last, path, incomplete="skip")
        assert path.read_bytes() == full
    path.write_bytes(full[:-1])  # the newline alone is missing: nothing is lost
    assert len(hq.io.load_rollout_log(path)) == len(kept) + len(last)
    hq.io.append_rollout_log(last.renumbered(9), path)
    assert len(hq.io.load_rollout_log(path)) == len(kept) + 2 * len(last)


HEADER = {"schema": "hqre-rollout-log", "version": 1}
ROW = {"episode": 0, "agent": 0, "action": 0, "payoff": 1.0}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER | {"version": 2}], r":1: version: is 2; only version 1 can be read: convert the log, or use the rel"),
        ([HEADER | {"version": True}], ":1: version: is true; only version 1"),
        ([{"version": 1}, ROW], ':1: schema: must be "hqre-rollout-log"'),
        ([HEADER | {"colour": 1}], ":1: colour: is no key of the header"),
        ([HEADER | {"num_actions": [[1]]}, ROW | {"action": 1}], r":2: action: is 1, where 1 actions are"),
        ([HEADER | {"num_actions": 3}], ":1: num_actions: must list"),
        ([HEADER, ROW, ROW], ":3: run: repeats run 0, episode 0, step 0, agent 0"),
        ([HEADER, ROW | {"reward": 1}], ":2: reward: is no column"),
        ([HEADER, {"episode": 0}], ":2: agent: is missing"),
        ([HEADER, ROW | {"action": [0, 1], "agent": [0, 1, 2]}], ":2: action: has 2 entries, where agent has 3"),
        ([HEADER, ROW | {"action": "0"}], ':2: action: is "0", where a whole number belongs'),
        ([HEADER, ROW | {"action": 2**70}], ":2: action: is a whole number beyond 64 bits"),
        ([HEADER, ROW | {"failed": 1}], ":2: failed: is 1, where true or false belongs"),
        ([HEADER, ROW | {"payoff": None}], ":2: payoff: is nan; it must be finite"),
        ([HEADER, ROW, '{"episode": 1, }'], r":3:15: is not JSON|:3:16: is not JSON"),
        ([HEADER, "[1]"], ":2:1: must hold one object"),
    ],
)
def test_bad_lines_are_named(tmp_path, lines, message):
    path = tmp_path / "log.jsonl"
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines), encoding="utf-8")
    with pytest.raises(hq.InputError, match=f"log.jsonl{message}"):
        hq.io.load_rollout_log(path)


def test_rows_alone_are_lines_too(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(map(json.dumps, [HEADER, ROW, ROW | {"agent": 1, "payoff": None, "failed": True}])))
    log = hq.io.load_rollout_log(path)
    assert (len(log), int(log.failed.sum()), log.num_episodes) == (2, 1, 1)


def test_other_files_are_refused(tmp_path):
    log = one_shot()
    with pytest.raises(hq.InputError, match=r"must end in .jsonl or .npz"):
        hq.io.save_rollout_log(log, tmp_path / "log.csv")
    with pytest.raises(hq.InputError, match="cannot be read"):
        hq.io.load_rollout_log(tmp_path / "none.jsonl")
    hq.save_game(hq.NormalFormGame(np.zeros((2, 2, 2))), tmp_path / "game.npz")
    with pytest.raises(hq.InputError, match="header: is missing: this is no rollout log"):
        hq.io.load_rollout_log(tmp_path / "game.npz")
    hq.io.save_rollout_log(log, tmp_path / "log.npz")
    with pytest.raises(hq.InputError, match=r"cannot be appended to: append to a .jsonl file"):
        hq.io.append_rollout_log(log, tmp_path / "log.npz")


def test_another_games_log_is_not_appended_to(tmp_path):
    path = tmp_path / "log.jsonl"
    hq.io.append_rollout_log(one_shot(num_actions=[[2], [2]]), path)
    with pytest.raises(hq.InputError, match=r"log.jsonl:1: num_actions: differs"):
        hq.io.append_rollout_log(one_shot(run=1, num_actions=[[3], [2]]), path)
