"""Arguments that are checked in this part alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib._validation import Array, as_floating, check_count, check_number, check_unmasked

__all__ = ["check_kinks", "check_layers", "check_spectrum", "check_upper", "given_biases"]

# The mean of an input spectrum may miss 1 by this.
_ROUNDING = 1e-9
# Products of several ratios stay floats.
_LARGEST_RATIO = 1e50


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


def check_layers(layers: int | Sequence[float], phi: float, psi: float) -> tuple[float, ...]:
    """Return the ratios n0/n_l of all layers, or raise a ValueError."""
    if isinstance(layers, (Sequence, np.ndarray)) and not isinstance(layers, str):
        ratios = (*(check_number("layers", ratio, positive=True) for ratio in layers), psi)
    else:
        ratios = (psi,) * check_count("layers", layers)
    for ratio in ratios:
        if not all(
            1 / _LARGEST_RATIO <= each <= _LARGEST_RATIO for each in (phi, ratio, phi / ratio)
        ):
            raise ValueError(
                f"phi, psi and phi/psi must be between {1 / _LARGEST_RATIO:g} and "
                f"{_LARGEST_RATIO:g}, got phi = {phi:g}, psi = {ratio:g}"
            )
    return ratios


def check_spectrum(spectrum: ArrayLike | None) -> Array | None:
    """Return eigenvalues of mean 1 with weights of sum 1, shape (2, K), or None."""
    if spectrum is None:
        return None
    given = as_floating("input_spectrum", spectrum).astype(np.float64)
    if given.ndim == 1:
        given = np.stack([given, np.ones_like(given)])
    if given.ndim != 2 or len(given) != 2:
        raise ValueError(f"input_spectrum must have shape (K,) or (2, K), got shape {given.shape}")
    if (given < 0).any() or not given[1].any():
        raise ValueError(
            "input_spectrum must hold numbers >= 0, and weights that are not all 0, "
            f"got {given.min()}"
        )
    values, inverse = np.unique(given[0], return_inverse=True)
    weight = np.bincount(inverse, given[1] / given[1].sum())
    mean = float(values @ weight)
    if abs(mean - 1) > _ROUNDING:
        raise ValueError(f"input_spectrum must have mean 1, got {mean:.12g}; divide it by its mean")
    return np.stack([values, weight])
