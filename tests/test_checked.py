"""Annotations are checked at each call, those of functions that are defined anew at each call too."""

import itertools
from typing import Literal

import checked as checking
import numpy as np
import pytest
from checked import checked
from jaxtyping import Float, TypeCheckError
from jaxtyping._storage import push_shape_memo


@checked
def scaled(values: Float[np.ndarray, " n"], factor: object, kept: object) -> Float[np.ndarray, " n"]:
    @checked
    def inner(factor: float) -> Float[np.ndarray, " m"]:
        return factor * values[kept]

    return inner(factor)


@pytest.mark.parametrize("size", [2, 3])
def test_what_fits_passes_in_every_size(size):
    np.testing.assert_array_equal(scaled(np.ones(size), 2.0, slice(size)), np.full(size, 2.0))


@pytest.mark.parametrize(
    ("values", "factor", "kept", "where"),
    [
        (np.ones((2, 2)), 2.0, slice(2), r"scaled\(\) parameter values"),
        (np.ones(2), "2", slice(2), r"inner\(\) parameter factor"),
        (np.ones(2), 2.0, np.newaxis, r"inner\(\) return"),
        (np.ones(2), 2.0, slice(1), r"scaled\(\) return"),
    ],
)
def test_what_does_not_fit_is_named(values, factor, kept, where):
    with pytest.raises(TypeCheckError, match=where):
        scaled(values, factor, kept)


@checked
def joined(parts: tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]], kind: Literal["sum", "mean"]) -> object:
    return parts, kind


@pytest.mark.parametrize(
    ("parts", "kind", "where"),
    [
        ((np.ones(2), np.ones(3)), "sum", "parts"),
        ((np.ones(2), np.ones(2, int)), "sum", "parts"),
        ((np.ones(2), "b"), "sum", "parts"),
        ((np.ones(2),), "sum", "parts"),
        ((np.ones(2), np.ones(2)), "product", "kind"),
        ([np.ones(2), np.ones(2)], "sum", "parts"),
    ],
)
def test_what_once_did_fit_is_known_by_what_is_in_it(parts, kind, where):
    for size, known in itertools.product((2, 3), ("sum", "mean")):
        joined((np.ones(size), np.ones(size)), kind=known)
    with pytest.raises(TypeCheckError, match=rf"joined\(\) parameter {where}"):
        joined(parts, kind=kind)


def test_it_is_not_looked_at_again(monkeypatch):
    """Where it is not, nobody opens a memory of sizes."""
    opened = []
    monkeypatch.setattr(checking, "push_shape_memo", lambda sizes: (opened.append(1), push_shape_memo(sizes)))

    @checked
    def first(parts: tuple[Float[np.ndarray, " n"], ...], kind: str) -> Float[np.ndarray, " n"]:
        return parts[0]

    for size, times in ((2, 1), (2, 1), (3, 2), (2, 2)):
        first((np.ones(size),), "any")
        assert len(opened) == times


@checked
def counted(names: list[str], values: Float[np.ndarray, " n"]) -> int:
    return len(names) + len(values)


def test_a_list_may_hold_anything_and_is_looked_at_each_time():
    counted(["a"], np.ones(2))
    with pytest.raises(TypeCheckError, match=r"counted\(\) parameter names"):
        counted([1], np.ones(2))


@checked
def numbered(names: tuple[str, ...], number: object) -> dict[str, int]:
    return dict.fromkeys(names, number)


def test_what_is_no_array_is_looked_at_each_time(monkeypatch):
    """And nothing of it is remembered."""
    monkeypatch.setattr(checking, "_kinds", None)
    for _ in range(2):
        assert numbered(("a", "b"), number=1) == {"a": 1, "b": 1}
    for names, number, where in (((1,), 1, "parameter names"), (("a",), "1", "return")):
        with pytest.raises(TypeCheckError, match=rf"numbered\(\) {where}"):
            numbered(names, number=number)


@checked
def same(value: object) -> Float[np.ndarray, " n"]:
    return value


def test_so_is_a_result():
    same(np.ones(2))
    for other in (np.ones((2, 2)), np.ones(2, int), [1.0]):
        with pytest.raises(TypeCheckError, match=r"same\(\) return"):
            same(other)
