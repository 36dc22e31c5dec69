"""Data sets as people have them, checked once: arrays or frames, and what is done to them first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from reluspec_lib._validation import Array, as_floating

__all__ = ["check_data", "check_responses", "prepared"]

# Columns whose spread is below this share of their size are constant up to rounding, and
# directions whose variance is below this share of the largest (of columns of variance 1) depend on
# others.
_CONSTANT = 1e-12
_DEPENDENT = 1e-10

# Entries of a mixed table that numpy would turn into floats and that are none.
_NO_NUMBERS = (str, bytes, complex, np.complexfloating, np.datetime64, np.timedelta64)

# Names that a message lists before it says how many more there are.
_LISTED = 5


def check_data(x: Any) -> Array:
    """Return a data set as a finite float64 array (n, d), n > d >= 2, that can be whitened.

    A frame is anything with a method ``to_numpy``; its ``columns`` name what a message speaks of.
    """
    names, values = _unpacked(x)
    if values.ndim != 2 or values.shape[1] < 2:
        raise ValueError(f"x must have shape (n, d) with d >= 2, got shape {values.shape}")
    n, d = values.shape
    names = names if len(names) == d else range(d)
    if values.dtype.kind not in "biuf":
        values = _numeric(values, names)
    with np.errstate(invalid="ignore"):
        missing = np.asarray(~np.isfinite(values).all(axis=0))
    if missing.any():
        raise ValueError(
            f"x must be finite, got NaN or infinity in {_listed(names, missing)}; fill such "
            "entries or leave rows or columns out"
        )
    if n <= d:
        raise ValueError(
            f"x must have more rows than columns, got {n} rows and {d} columns; reduce the columns "
            "to principal components, or take more rows"
        )
    data = as_floating("x", values).astype(np.float64)
    size, low, high = np.abs(data).max(axis=0), data.min(axis=0), data.max(axis=0)
    constant = high / 2 - low / 2 <= _CONSTANT * size
    if constant.any():
        raise ValueError(
            f"x must have no constant column, got {_listed(names, constant)}; leave them out"
        )
    # One factor for the whole set changes nothing but units; a power of two loses no digit.
    data /= 2.0 ** np.frexp(size.max())[1]
    centred = data - data.mean(axis=0)
    spread = np.linalg.norm(centred, axis=0)
    if not (spread > 1e-150).all():
        raise ValueError(
            f"x must have columns of comparable size, got one whose spread is below 1e-150 of "
            f"the largest entry: {_listed(names, spread <= 1e-150)}"
        )
    centred /= spread
    variances = np.linalg.eigvalsh(centred.T @ centred)
    if variances[0] <= _DEPENDENT * variances[-1]:
        rank = int((variances > _DEPENDENT * variances[-1]).sum())
        raise ValueError(
            f"x must have linearly independent columns, got rank {rank} of {d} columns after "
            "centring; leave out those that follow from others"
        )
    return data


def check_responses(y: Any, n: int) -> Array:
    """Return responses as a finite float64 array (n,), not all 0."""
    values = y.to_numpy() if hasattr(y, "to_numpy") else y
    responses = as_floating("y", values).astype(np.float64)
    if responses.shape != (n,):
        raise ValueError(f"y must have shape ({n},), one per row of x, got {responses.shape}")
    if not responses.any():
        raise ValueError("y must not be 0 everywhere")
    size = float(np.abs(responses).max())
    if not 1e-100 <= size <= 1e100:
        raise ValueError(f"y must have its largest size from 1e-100 to 1e100, got {size:.3g}")
    return responses


def prepared(x: Array) -> Iterator[tuple[str, Array]]:
    r"""Yield the data raw, centred and whitened, each scaled to :math:`\overline{|x|^2} = d`.

    Whitening is by the symmetric root of the correlation matrix: it has no sign or basis to choose,
    and its result does not depend on the units of the columns. One view is held at a time.
    """
    yield "raw", _scaled(x)
    x = x - x.mean(axis=0)
    yield "centred", _scaled(x)
    x /= np.sqrt(np.einsum("ij,ij->j", x, x) / len(x))
    values, Q = np.linalg.eigh(x.T @ x / len(x))
    yield "whitened", _scaled(x @ ((Q / np.sqrt(values)) @ Q.T))


def _scaled(x: Array) -> Array:
    scaled: Array = x * np.sqrt(x.shape[1] * len(x) / np.einsum("ij,ij->", x, x))
    return scaled


def _unpacked(x: Any) -> tuple[Sequence[Any], Array]:
    """Return the names of the columns, none where they have none, and the entries."""
    names = list(getattr(x, "columns", ()))
    if hasattr(x, "to_numpy"):
        x = x.to_numpy()
    if np.ma.is_masked(x):
        raise ValueError("x must have no masked entries; fill them or leave rows or columns out")
    try:
        values = np.asarray(x)
    except ValueError:
        raise ValueError("x must be a table with rows of one length, got ragged rows") from None
    return names, values


def _numeric(values: Array, names: Sequence[Any]) -> Array:
    """Return entries of a mixed table as floats; text is no number even where it reads as one."""
    wrong = np.zeros(values.shape[1], bool)
    converted = np.empty(values.shape)
    for j, column in enumerate(values.T):
        try:
            if any(isinstance(entry, _NO_NUMBERS) for entry in column):
                raise TypeError
            converted[:, j] = np.array([np.nan if e is None else e for e in column], np.float64)
        except (TypeError, ValueError, OverflowError):
            wrong[j] = True
    if wrong.any():
        raise ValueError(
            f"x must hold numbers, got others in {_listed(names, wrong)}; encode or leave them out"
        )
    return converted


def _listed(names: Sequence[Any], chosen: Array) -> str:
    """Return the chosen columns by name or position, from 0."""
    found = [names[int(j)] for j in np.flatnonzero(chosen)]
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    kind = "column" if len(found) == 1 else "columns"
    return f"{kind} {', '.join(str(name) for name in found[:_LISTED])}{more}"
