"""Lengths of vectors, also of those whose squares leave the range of floating point numbers."""

from __future__ import annotations

import numpy as np

from reluspec_lib._validation import Array

__all__ = ["measured", "restored"]


def measured(vectors: Array, axis: int) -> tuple[Array, Array, Array | None]:
    """Return vectors with squares that fit, their lengths, and the powers of two taken out.

    The vectors are the columns of a matrix for ``axis=0``, its rows for ``axis=1``. Those that are
    neither very long nor very short come back as they are, and so does the whole matrix, with None
    for the powers, if it has no others. The exact scaling loses no digit.
    """
    # Squares in this range keep their digits, and leave room for sums and products of them.
    smallest = np.finfo(vectors.dtype).tiny / np.finfo(vectors.dtype).eps ** 2
    squares = _squares(vectors, axis)
    fits = (squares >= smallest) & (squares <= 1 / smallest)
    if fits.all():
        return vectors, np.sqrt(squares), None
    largest = np.abs(vectors).max(axis=axis)
    powers = np.where(fits, 0, np.frexp(largest)[1])
    scaled = np.ldexp(vectors, -np.expand_dims(powers, axis))
    return scaled, np.sqrt(_squares(scaled, axis)), powers


def restored(values: Array, powers: Array | None) -> Array:
    """Return values times these powers of two, which belong to their last axis."""
    scaled: Array = values if powers is None else np.ldexp(values, powers)
    return scaled


def _squares(vectors: Array, axis: int) -> Array:
    columns = vectors if axis == 0 else vectors.T
    squares: Array = np.einsum("lj,lj->j", columns, columns)
    return squares
