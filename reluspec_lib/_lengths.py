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
    range_ = np.finfo(vectors.dtype)
    squares = _squares(vectors, axis)
    short = squares < range_.tiny / range_.eps**2
    fits = ~short & (squares < range_.max * range_.eps)
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
    with np.errstate(over="ignore", under="ignore"):
        squares: Array = np.einsum("lj,lj->j" if axis == 0 else "jl,jl->j", vectors, vectors)
    return squares
