"""Budgets stop a run before it costs more than it may; costs are computed when they are asked."""

import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import QUESTIONS, Scripted, echo, filled, request

from hqre_jax.bridge.models import Failure, Reply, Request, Usage
from hqre_jax.bridge.store import Budget, Store, StoredModel, Tally, read_prices
from hqre_jax.core._types import InputError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.sqlite"


@pytest.mark.parametrize(
    ("limits", "bought"),
    [
        ({"calls": 7}, 7),
        ({"calls": 0}, 0),
        # A call costs 15 tokens; it may cost 90 + 256 (or 91 + 256) for all that is known before.
        ({"tokens": 400}, 4),
        ({"tokens": 345}, 0),
        ({"seconds": 0}, 0),
    ],
)
def test_budgets_stop_the_run_and_keep_what_was_bought(path, limits, bought):
    model = echo()
    with Store(path) as store:
        run = StoredModel(model, store, Budget(**limits))
        results = run.generate(QUESTIONS)
        assert [isinstance(result, Reply) for result in results] == [True] * bought + [False] * (20 - bought)
        assert {result.kind for result in results[bought:]} == {"budget"}
        assert len(model.asked) == len(store) == bought
        assert str(*limits.values()) in run.stopped
        assert run.generate(QUESTIONS[:bought]) == results[:bought]
        assert not store.spent() or store.spent()[0].tally == Tally(bought, 10 * bought, 2 * bought, 5 * bought)


@given(st.integers(0, 6000), st.lists(st.integers(1, 300), min_size=1, max_size=12), st.integers(1, 5))
def test_a_token_budget_is_never_passed_and_never_wasted(limit, sizes, batch):
    """Whatever calls cost, their sum stays within the limit, and when the run stops no further call certainly fits."""
    costs = dict(enumerate(sizes))

    def says(asked: Request) -> Reply:
        return Reply("x", "stop", Usage(20, 0, costs[asked.sample]))

    model = Scripted(says)
    with Store(None) as store:
        run = StoredModel(model, store, Budget(tokens=limit), batch=batch)
        results = run.generate([request("q", sample, max_tokens=300) for sample in costs])
        spent = sum(20 + costs[asked.sample] for asked in model.asked)
        assert spent <= limit
        if run.stopped:
            assert spent + 300 + model.most_prompt_tokens(request("q").messages) > limit
        assert sum(isinstance(result, Reply) for result in results) == len(model.asked)


def test_a_run_with_a_name_has_one_budget(path):
    """Two models, then a restart: the label says that they share the limit."""
    with Store(path) as store:
        for model in (Scripted(lambda asked: "a", "a", "a"), Scripted(lambda asked: "b", "b", "b")):
            StoredModel(model, store, Budget(calls=5), run="night").generate(QUESTIONS[:3])
    with Store(path) as store:
        assert {name: tally.calls for name, tally in store.charged("night").items()} == {"a": 3, "b": 2}
        again = StoredModel(echo(), store, Budget(calls=5), run="night")
        assert isinstance(again.generate(QUESTIONS[:1])[0], Failure)
        assert isinstance(StoredModel(echo(), store, Budget(calls=5)).generate(QUESTIONS[:1])[0], Reply)


PRICES = """
currency = "USD"
[[price]]
model = "scripted"
since = 2020-01-01
prompt = 1000
cached = 100
completion = 10_000.5
[[price]]
model = "scripted"
since = 2999-01-01
prompt = 1
completion = 1
"""


def test_money_is_exact_and_computed_when_asked(path, tmp_path):
    file = tmp_path / "prices.toml"
    file.write_text(PRICES)
    prices = read_prices(file)
    filled(path)
    with Store(path) as store:
        each = (8 * Decimal(1000) + 2 * Decimal(100) + 5 * Decimal("10000.5")) / 1_000_000
        assert prices.total(store.spent()) == 20 * each
        assert prices.total(store.spent(), on=datetime.date(2999, 5, 1)) == 20 * Decimal(15) / 1_000_000
        with pytest.raises(InputError, match="no price of 'scripted' for 1999"):
            prices.total(store.spent(), on=datetime.date(1999, 1, 1))
        # The dearest question may cost 91 prompt tokens and 256 others; three are certain to fit, two more turn out to.
        run = StoredModel(echo(), store, Budget(money="3", prices=prices))
        results = run.generate([request(f"another {k}") for k in range(20)])
        assert run.stopped.startswith("3 USD (with the next call up to 3.")
        bought = sum(isinstance(result, Reply) for result in results)
        most = (
            Decimal(run.most_prompt_tokens(request("another 10").messages)) * 1000 + 256 * Decimal("10000.5")
        ) / 10**6
        assert bought * each <= 3 < bought * each + most


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "currency"),
        ('currency = "USD"', r"\[\[price\]\]"),
        (PRICES + "\n[extra]", "nothing else"),
        (PRICES.replace("2020-01-01", "2020"), r"price\[0\]: since"),
        (PRICES.replace("1000\n", "-1\n", 1), r"price\[0\]: prompt"),
        (PRICES.replace("1000\n", "nan\n", 1), r"price\[0\]: prompt"),
        (PRICES.replace("cached", "cache"), r"price\[0\]: cache"),
        (PRICES.replace('model = "scripted"', ""), r"price\[0\]: model"),
        ("x", "TOML"),
    ],
)
def test_a_wrong_price_table_is_refused(tmp_path, text, complaint):
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=complaint):
        read_prices(file)


@pytest.mark.parametrize(
    "limits", [{"calls": -1}, {"tokens": True}, {"money": "x"}, {"money": 1}, {"seconds": float("inf")}]
)
def test_a_wrong_budget_is_refused(limits):
    with pytest.raises(InputError, match=f"budget {next(iter(limits))}"):
        Budget(**limits)


def test_unknown_tokens_are_charged_at_their_most_and_reported_as_unknown(path):
    model = Scripted(lambda asked: Reply("x", "stop", None))
    filled(path, model, [request("q", max_tokens=9)])
    with Store(path) as store:
        assert store.charged("first") == {"scripted": Tally(1, 1 + 16 + 64, 0, 9)}
        (spent,) = store.spent()
        assert (spent.tally, spent.unknown) == (Tally(1, 0, 0, 0), 1)
        assert next(store.calls()).reply.usage is None
