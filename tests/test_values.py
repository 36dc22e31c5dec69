"""Results that hold arrays: equality, hash and how they print."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from reluspec_lib._values import ByValue


@dataclass(eq=False, repr=False)
class Result(ByValue):
    name: str
    array: Any
    number: float = 0.5


@dataclass(eq=False, repr=False)
class Other(ByValue):
    name: str
    array: Any
    number: float = 0.5


ARRAY = np.array([1.0, np.nan, 3.0])


@pytest.mark.parametrize(
    "array", [ARRAY, 2.0, np.array(2.0), {"a": ARRAY, "b": 1}, {}, "text", np.zeros((0, 2))]
)
def test_equal_where_all_fields_are(array):
    copied = array.copy() if isinstance(array, (np.ndarray, dict)) else array
    assert Result("x", array) == Result("x", copied)
    assert Result("x", array) != Result("y", copied)
    assert Result("x", array) != Result("x", copied, 0.25)
    assert Result("x", array) != Other("x", copied)
    assert Result("x", array) != "x"


@pytest.mark.parametrize(
    "one, other",
    [
        (ARRAY, np.array([1.0, np.nan, 3.5])),
        (ARRAY, ARRAY[:2]),
        (ARRAY, ARRAY.astype(np.float32)),
        (np.array([1]), np.array([1.0])),
        (np.array(2.0), 2.0),
        (np.ones(2), 1.0),
        ({"a": ARRAY}, {"b": ARRAY}),
        ({"a": ARRAY}, {"a": ARRAY, "b": ARRAY}),
        ({"a": ARRAY, "b": ARRAY}, {"a": ARRAY, "b": ARRAY + 1}),
        ({"a": ARRAY}, ARRAY),
        ({}, 0),
    ],
)
def test_different_where_one_field_is(one, other):
    assert Result("x", one) != Result("x", other)
    assert Result("x", other) != Result("x", one)


def test_what_can_be_changed_has_no_hash():
    with pytest.raises(TypeError, match="unhashable"):
        hash(Result("x", ARRAY))


@pytest.mark.parametrize(
    "array, shown",
    [
        (ARRAY, "<float64 (3,)>"),
        (np.array([[2.5]]), "2.5"),
        (np.zeros(0, int), "<int64 (0,)>"),
        (1 / 3, "0.333"),
        (1, "1"),
        ({"a": ARRAY, 2: 0.5}, "{'a': <float64 (3,)>, 2: 0.5}"),
    ],
)
def test_arrays_print_by_type_and_shape_and_single_numbers_as_such(array, shown):
    assert repr(Result("x", array)) == f"Result(name='x', array={shown}, number=0.5)"
