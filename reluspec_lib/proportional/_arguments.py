"""Arguments that are checked in this part alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib._validation import Array, as_floating, check_number, check_unmasked

__all__ = ["check_kinks", "check_upper", "given_biases"]


def given_biases(bias: ArrayLike, std: float) -> Array:
    """Return the biases of the rows, or raise a ValueError; they have no law besides."""
    if std:
        raise ValueError("bias must not be given together with a bias_std other than 0")
    biases = as_floating("bias", bias).astype(np.float64)
    if biases.ndim != 1:
        raise ValueError(f"bias must have shape (n1,), got shape {biases.shape}")
    return biases


def check_kinks(kinks: Sequence[float]) -> tuple[float, ...]:
    """Return 0 and the places that are named, or raise a ValueError."""
    try:
        named = tuple(kinks)
    except TypeError:
        raise ValueError(f"kinks must be a sequence of numbers, got {kinks!r}") from None
    return (0.0, *(check_number("kinks", kink) for kink in named))


def check_upper(z: ArrayLike) -> Array:
    """Return points of the upper half plane, or raise a ValueError."""
    check_unmasked("z", z)
    try:
        points = np.asarray(z)
        if points.dtype.kind not in "biufcO":
            raise TypeError
        points = points.astype(np.complex128)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"z must be complex numbers with Im z > 0, got {z!r}") from None
    if points.size == 0:
        raise ValueError(f"z must not be empty, got shape {points.shape}")
    wrong = ~(np.isfinite(points) & (points.imag > 0))
    if wrong.any():
        raise ValueError(f"z must be finite with Im z > 0, got {points[wrong].flat[0]}")
    return points
