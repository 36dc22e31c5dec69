"""Lengths of vectors of any size, against exact scaling by powers of two."""

import math

import numpy as np
import pytest

from reluspec_lib._lengths import measured, restored


def vectors(dtype=np.float64):
    return np.random.default_rng(1).normal(size=(3, 5)).astype(dtype)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_of_ordinary_size_come_back_as_they_are(axis, dtype):
    V = vectors(dtype)
    same, lengths, powers = measured(V, axis)
    assert same is V
    assert powers is None
    assert lengths.dtype == dtype
    np.testing.assert_allclose(lengths, np.linalg.norm(V, axis=axis), rtol=4 * np.finfo(dtype).eps)
    assert restored(lengths, powers) is lengths


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    ("dtype", "exponent"),
    [(np.float64, e) for e in (-1060, -1000, -600, 520, 1020)]
    + [(np.float32, e) for e in (-140, -90, 70, 125)],
)
def test_other_vectors_are_scaled_by_powers_of_two(axis, dtype, exponent):
    V = np.sign(vectors(dtype))  # lengths whose squares are 3 or 5
    scales = np.zeros(V.shape[1 - axis], int)
    scales[1] = exponent
    with np.errstate(all="raise"):
        scaled, lengths, powers = measured(np.ldexp(V, np.expand_dims(scales, axis)), axis)
    np.testing.assert_array_equal(np.flatnonzero(powers), [1])
    np.testing.assert_array_equal(
        np.ldexp(scaled, np.expand_dims(powers, axis)), np.ldexp(V, np.expand_dims(scales, axis))
    )
    assert scaled.dtype == lengths.dtype == dtype
    assert np.abs(scaled).max() <= 1
    root = math.sqrt(V.shape[axis])
    expected = root * 2.0 ** (scales - powers)
    np.testing.assert_allclose(lengths, expected, rtol=4 * np.finfo(dtype).eps)


def test_zero_vectors_have_the_length_zero():
    V = np.array([[0.0, 1e-300, 3.0], [0.0, 0.0, 4.0]])
    _, lengths, powers = measured(V, 0)
    assert restored(lengths, powers).tolist() == [0, 1e-300, 5]


def test_powers_belong_to_the_last_axis():
    values = np.ones((2, 3))
    assert restored(values, np.array([0, 1, -1])).tolist() == [[1, 2, 0.5]] * 2


@pytest.mark.parametrize(("dtype", "exponent"), [(np.float64, 459), (np.float32, 40)])
def test_the_range_of_ordinary_lengths(dtype, exponent):
    for power in (-exponent, exponent):
        _, lengths, powers = measured(np.array([[2.0**power]], dtype), 0)
        assert lengths.tolist() == [2.0**power]
        assert powers is None
    for power in (-exponent - 1, exponent + 1):
        _, lengths, powers = measured(np.array([[2.0**power]], dtype), 0)
        assert lengths.tolist() == [0.5]
        assert powers.tolist() == [power + 1]
