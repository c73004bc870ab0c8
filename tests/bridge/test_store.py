"""The store: nothing is bought twice, nothing is lost, budgets hold, damage is seen."""

import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scripted import QUESTIONS, Scripted, echo, filled, request

from hqre_jax.bridge.models import Controls, Failure, Message, Reply, Request, Usage
from hqre_jax.bridge.store import Store, StoredModel, call_key
from hqre_jax.bridge.store._encoding import encode_request
from hqre_jax.bridge.store._owner import new_owner
from hqre_jax.bridge.store._prices import Tally
from hqre_jax.bridge.store._store import Wanted
from hqre_jax.core._types import InputError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.sqlite"


def test_what_is_there_is_not_bought_again(path):
    model = echo()
    first = filled(path, model)
    again = filled(path, model, [*QUESTIONS, request("new"), request("new")])
    assert [reply.text for reply in first] == [f"re: question {k}" for k in range(20)]
    assert again[:20] == first
    assert again[20] == again[21]
    assert model.asked == [*QUESTIONS, request("new")]


@pytest.mark.parametrize(
    "other",
    [
        request("question 0", sample=1),
        request("question 0", seed=1),
        request("question 0", temperature=0.5),
        request("question 0", max_tokens=3),
        request("question 0", stop=("\n",)),
        Request((Message("system", "question 0"),)),
        Request((Message("user", "question"), Message("user", " 0"))),
    ],
)
def test_another_request_is_another_call(other):
    assert call_key("m", other) != call_key("m", QUESTIONS[0])


def test_another_model_is_another_call_and_another_spelling_is_not():
    assert call_key("m", QUESTIONS[0]) != call_key("n", QUESTIONS[0])
    numbers = Controls(temperature=np.float64(0), top_p=np.float64(1))
    assert call_key("m", Request(QUESTIONS[0].messages, numbers)) == call_key("m", QUESTIONS[0])
    with pytest.raises(InputError, match="controls"):
        call_key("m", request("q", temperature=float("nan")))


def test_a_failure_is_kept_and_tried_again(path):
    answers = iter([Failure("server", "oh", Usage(7, 0, 1)), "well", "never"])
    model = Scripted(lambda asked: next(answers))
    assert filled(path, model, QUESTIONS[:1]) == [Failure("server", "oh", Usage(7, 0, 1))]
    assert filled(path, model, QUESTIONS[:1])[0].text == "well"
    with Store(path, read_only=True) as store:
        (failed,) = store.failures()
        assert (failed.failure, failed.request) == (Failure("server", "oh", Usage(7, 0, 1)), QUESTIONS[0])
        (call,) = store.calls()
        assert (call.model, call.identity, call.reply.usage, call.run) == ("scripted", "s1", Usage(10, 2, 5), "first")
        (spent,) = store.spent()
        assert spent.tally == Tally(2, 17, 2, 6)


def test_a_reply_is_recorded_before_it_is_handed_out(path):
    """Seen from another connection, as another process would see it."""
    with Store(path) as store, Store(path, read_only=True) as other:
        handed = 0
        for place, reply in StoredModel(echo(), store, batch=3).as_completed(QUESTIONS):
            assert other.reply(call_key("s1", QUESTIONS[place])) == reply
            handed += 1
            assert len(other) >= handed
    assert handed == len(QUESTIONS)


class Late(Scripted):
    """Hands out results one at a time and is interrupted by the third."""

    def as_completed(self, requests):
        for place, asked in enumerate(requests):
            if place == 3:
                raise KeyboardInterrupt
            yield place, *self.generate([asked])


def test_what_had_come_is_kept_when_the_rest_is_interrupted(path):
    with pytest.raises(KeyboardInterrupt):
        filled(path, Late(lambda asked: "late"))
    model = echo()
    filled(path, model)
    assert model.asked == QUESTIONS[3:]


def test_a_model_that_forgets_a_request_is_found_out(path):
    model = echo()
    model.as_completed = lambda requests: iter([])
    with pytest.raises(RuntimeError, match="gave no result for 20 of 20"):
        filled(path, model)


# Several at once


def test_threads_share_a_store(path):
    """Four buyers of the same twenty calls: each call is made once, everybody gets it."""
    models, results = [echo() for _ in range(4)], {}
    with Store(path) as store:

        def buy(k: int) -> None:
            results[k] = StoredModel(models[k], store, batch=3).generate(QUESTIONS)

        threads = [threading.Thread(target=buy, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    asked = [asked.messages[0].content for model in models for asked in model.asked]
    assert sorted(asked) == sorted(question.messages[0].content for question in QUESTIONS)
    assert results[0] == results[1] == results[2] == results[3]


def test_a_claim_waits_for_its_owner_and_ends_with_it(path):
    """What somebody is making is not made by others, until he is known to be dead or his lease has run out."""
    wanted = Wanted("key", "m", "i", "{}", Tally(1, 1, 0, 1))

    def claims_of(store: Store, owner: str) -> int:
        return len(store.claim([wanted], owner, "r", lambda spent: None, 9).mine)

    with Store(path) as one, Store(path) as two:
        mine = new_owner()
        assert claims_of(one, mine) == 1
        assert claims_of(two, new_owner()) == 0
        machine, _, started, word = mine.split(" ")
        # This process's number with another start: the number was used again, its owner is dead.
        for dead in (f"{machine} {os.getpid()} 1 {word}", f"{machine} 4194305 {started} {word}"):
            one._rows("UPDATE claims SET owner = ?", dead)
            assert claims_of(two, new_owner()) == 1
        # Of another machine nothing is known but the lease.
        one._rows("UPDATE claims SET owner = ?", f"elsewhere {os.getpid()} 1 {word}")
        assert claims_of(two, new_owner()) == 0
        one._rows("UPDATE claims SET expires = 0")
        assert claims_of(two, mine) == 1
        one._rows("UPDATE claims SET expires = 1e10")
        two.renew(mine)
        assert one._rows("SELECT expires < 1e10 FROM claims") == [(1,)]
        two.release(mine)
        assert claims_of(one, new_owner()) == 1


def test_what_comes_second_is_not_used_but_counted(path):
    """A claim that ran out was taken over: both calls were paid for, one reply is everybody's."""
    wanted = Wanted(call_key("i", QUESTIONS[0]), "m", "i", encode_request(QUESTIONS[0]), Tally(1, 9, 0, 9))
    first, second = (Reply(text, "stop", Usage(4, 0, 2)) for text in ("first", "second"))
    with Store(path) as store:
        assert store.record(wanted, first, "r", 0.0) == first
        assert store.record(wanted, second, "r", 0.0) == first
        assert (len(store), len(list(store.failures()))) == (1, 1)
        assert store.charged("r") == {"m": Tally(2, 8, 0, 4)}


def test_many_make_the_file_at_once(path):
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: Store(path), range(8)))
    for store in stores:
        assert len(store) == 0
        store.close()


def test_processes_share_a_store_and_survive_being_killed(tmp_path):
    """Fifty times kill -9: the program says what it found; see there."""
    program = Path(__file__).parent / "store_processes.py"
    run = subprocess.run([sys.executable, program, str(tmp_path)], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert "50 kills" in run.stdout


# Damage


def refused(path, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        Store(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_damaged_file_is_refused_with_what_to_do(path):
    filled(path)
    whole = path.read_bytes()
    assert len(whole) > 3 * 4096
    path.write_bytes(b"not a database at all, only text" * 300)
    refused(path, "is damaged or no store .* restore a copy")
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "is damaged")
    path.write_bytes(whole[:4096] + os.urandom(8192) + whole[12288:])
    refused(path, "is damaged")


def test_a_changed_reply_is_seen_when_it_is_read(path):
    """A flipped bit inside a text breaks no page of the database; the seal of the call sees it."""
    filled(path)
    whole = path.read_bytes()
    assert b"re: question 7" in whole
    path.write_bytes(whole.replace(b"re: question 7", b"re: question 8"))
    with Store(path) as store:
        assert store.reply(call_key("s1", QUESTIONS[3])) == Reply("re: question 3", "stop", Usage(10, 2, 5))
        with pytest.raises(InputError, match="is not as it was written"):
            store.reply(call_key("s1", QUESTIONS[7]))


def test_newer_and_foreign_files_are_refused(path, tmp_path):
    filled(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    refused(path, "newer hqre-jax .format 99, this one reads 1.: upgrade")
    other = tmp_path / "other.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = other.read_bytes()
    refused(other, "another program's")
    assert other.read_bytes() == before
    with pytest.raises(InputError, match="is a folder; name a file"):
        Store(tmp_path)
    with pytest.raises(InputError, match="there is no such store"):
        Store(tmp_path / "none.sqlite", read_only=True)
    with pytest.raises(InputError, match="does not exist"):
        Store(tmp_path / "no" / "folder.sqlite")


def test_a_file_of_no_bytes_is_a_new_store(path):
    """It is what a process leaves that was killed before the first write."""
    path.touch()
    assert len(filled(path)) == 20
