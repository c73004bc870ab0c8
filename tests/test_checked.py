"""Annotations are checked at each call, those of functions that are defined anew at each call too."""

import numpy as np
import pytest
from checked import checked
from jaxtyping import Float, TypeCheckError


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
