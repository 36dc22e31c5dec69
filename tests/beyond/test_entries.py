"""Matrices of second moments, tile by tile."""

import math
import re

import numpy as np
import pytest

from reluspec_lib import activations, fisher, sample_weights
from reluspec_lib.beyond import _entries


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 0.1, 0.3, 1.5, 3.1, math.pi - 1e-6])
def test_cosines_and_what_they_lack(angle):
    U = np.array([[1.0, 0.6], [0.0, 0.8]])
    V = np.array([[math.cos(angle)], [math.sin(angle)]])
    found, gap = _entries.cosines(U, V)
    between = [angle, angle - math.atan2(0.8, 0.6)]
    np.testing.assert_allclose(found[:, 0], np.cos(between), atol=1e-15)
    lacking = [2 * math.sin(min(abs(b), math.pi - abs(b)) / 2) ** 2 for b in between]
    np.testing.assert_allclose(gap[:, 0], lacking, rtol=1e-9, atol=1e-17)


def test_no_cosine_is_beyond_one():
    U = np.linalg.qr(np.random.default_rng(1).standard_normal((200, 4, 4)))[0].reshape(-1, 4).T
    assert np.abs(np.einsum("ij,ij->j", U, U)).max() > 1
    found, gap = _entries.cosines(U, np.hstack([U, -U]))
    assert np.abs(found).max() == 1
    assert gap.min() >= 0


@pytest.mark.parametrize("length", [0.1, 1, 3])
def test_columns_along_the_axes_and_between_them(length):
    W = length * np.array([[1, 0, 0.6], [0, 1, 0.8]])
    J = fisher.matrix(W, activation=activations.step)
    angles = np.arccos(np.array([[1, 0, 0.6], [0, 1, 0.8], [0.6, 0.8, 1]]))
    np.testing.assert_allclose(J, (1 - angles / math.pi) / 2, rtol=1e-15)


@pytest.mark.parametrize("workers", [1, 3])
def test_equal_opposite_long_and_missing_columns(workers):
    w = np.array([1.2, -0.5])
    W = np.column_stack([w, w, -w, 0 * w, 1e100 * w])
    J = fisher.matrix(W, activation=activations.step, workers=workers)
    half = 0.5 * np.array([[1, 1, 0, 0.5, 1], [0, 0, 1, 0.5, 0]])
    # Of a column without length the feature is the value at 0.
    expected = 2 * half.T @ half
    np.testing.assert_allclose(J, expected, atol=1e-15)
    J = fisher.matrix(W[:, :4], activation=activations.erf, workers=workers)
    square = 2 / math.pi * math.asin(2 * 1.69 / (1 + 2 * 1.69))
    signs = np.array([1, 1, -1, 0])
    np.testing.assert_allclose(J, square * np.outer(signs, signs), rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("workers", [1, 2])
def test_tiles_and_types(workers):
    W = sample_weights(3, 530, 1)
    J = fisher.matrix(W, activation=activations.gelu, workers=workers)
    some = [0, 255, 256, 511, 512, 529]
    small = fisher.matrix(W[:, some], activation=activations.gelu)
    np.testing.assert_allclose(J[np.ix_(some, some)], small, rtol=1e-12)
    single = fisher.matrix(W.astype(np.float32), activation=activations.gelu)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, J, rtol=1e-5, atol=1e-6)
    same = fisher.matrix(W, activation=activations.relu)
    np.testing.assert_array_equal(same, fisher.matrix(W))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "call, message",
    [
        *[
            (
                lambda size=size, kind=kind: fisher.matrix(
                    np.diag([0, size, 1]).astype(kind), activation=activations.relu_power(2)
                ),
                "W must be so small that the second moments do not overflow in "
                f"{kind}, got a column of length {size:g}",
            )
            for size, kind in ((1e100, "float64"), (1e200, "float64"), (1e20, "float32"))
        ],
    ],
)
def test_messages_in_full(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
