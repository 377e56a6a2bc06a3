"""Tuples and their numbers."""

from itertools import product

import numpy as np
import pytest

from rhmtheory import InputError
from rhmtheory.tree._tuples import can_be_numbered, count, decode, encode


@pytest.mark.parametrize(("v", "s"), [(2, 2), (3, 4), (5, 1), (4, 0)])
def test_numbers_run_through_all_tuples_in_order(v, s):
    tuples = np.array(list(product(range(v), repeat=s)), np.uint8).reshape(v**s, s)
    np.testing.assert_array_equal(encode(tuples, v), np.arange(count(v, s)))
    np.testing.assert_array_equal(decode(np.arange(count(v, s)), v, s), tuples)


def test_numbers_of_any_shape_and_size():
    tuples = np.random.default_rng(0).integers(1000, size=(3, 1, 4, 6))
    numbers = encode(tuples, 1000)
    assert numbers.shape == (3, 1, 4)
    assert numbers[2, 0, 3] == int("".join(f"{x:03}" for x in tuples[2, 0, 3]))
    np.testing.assert_array_equal(decode(numbers, 1000, 6), tuples)


def test_tuples_that_cannot_be_numbered():
    assert can_be_numbered(2, 62)
    assert not can_be_numbered(2, 63)
    assert count(2, 62) == 2**62
    with pytest.raises(InputError, match=r"2\*\*63 tuples cannot be numbered in 63 bits: lower v or s"):
        count(2, 63)
    with pytest.raises(InputError, match="63 bits: use shorter tuples"):
        count(10, 20, "use shorter tuples")
