"""Checks at the public edge of the library.

Every public function passes its arguments through these helpers, so that a wrong argument is
refused with a message that names the argument, what was given and what is allowed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[Any]

# What numpy.random.default_rng takes, except None.
RandomSource = (
    np.random.Generator
    | np.random.BitGenerator
    | np.random.SeedSequence
    | int
    | np.integer[Any]
    | Sequence[int]
    | NDArray[np.integer[Any]]
)

# Names of equations, one or several.
Labels = str | Sequence[str]

__all__ = [
    "Array",
    "Labels",
    "RandomSource",
    "as_floating",
    "check_count",
    "check_draws",
    "check_dtype",
    "check_enclosures",
    "check_inputs",
    "check_interval",
    "check_labels",
    "check_number",
    "check_numbers",
    "check_pair",
    "check_readout",
    "check_rng",
    "check_rows",
    "check_times",
    "check_unmasked",
    "check_weights",
    "spawn_seeds",
]


def check_count(name: str, value: Any, minimum: int = 1) -> int:
    """Return ``value`` as an int of at least ``minimum``, or raise a ValueError naming it."""
    try:
        if isinstance(value, (bool, np.bool_)) or np.ma.is_masked(value):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {value!r}") from None
    if count < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {count}")
    return count


def check_rng(rng: Any) -> np.random.Generator:
    """Return a numpy Generator: ``rng`` itself, or a new one from a seed; else a ValueError."""
    if isinstance(rng, np.random.Generator):
        return rng
    # None would be a seed that nobody knows, a bool or a float hardly one that is meant; a
    # RandomState has streams of its own.
    seed = rng if isinstance(rng, (np.random.SeedSequence, np.random.BitGenerator)) else _seed(rng)
    if seed is None:
        raise ValueError(
            "rng must be a numpy.random.Generator such as numpy.random.default_rng(1), or a seed "
            f"for one: an integer >= 0, several of them or a SeedSequence; got {rng!r}"
        )
    return np.random.default_rng(seed)


def _seed(value: Any) -> list[int] | None:
    """Return integers >= 0, or None if the value holds anything else."""
    values = value if isinstance(value, (list, tuple)) else np.ravel(value).tolist()
    integral = [isinstance(entry, (int, np.integer)) and entry >= 0 for entry in values]
    if not values or not all(integral) or any(isinstance(entry, bool) for entry in values):
        return None
    # An integer and a list of it are the same seed.
    return [int(entry) for entry in values]


def spawn_seeds(rng: Any, count: int) -> list[np.random.SeedSequence]:
    """Return seeds of independent streams that follow from a generator's state, and advance it.

    The seed that a generator was made from will not do: a generator that was jumped, or restored
    from its state, has the seed of another one, and the state does not know how often it spawned.
    """
    entropy = check_rng(rng).bit_generator.random_raw(4)
    return np.random.SeedSequence(entropy.tolist()).spawn(count)


def check_unmasked(name: str, value: Any) -> None:
    """Refuse masked entries: as plain arrays they would come back as the numbers that they hide."""
    if np.ma.is_masked(value):
        raise ValueError(
            f"{name} must have no masked entries, got {np.ma.getmaskarray(value).sum()}; fill them "
            "or leave them out"
        )


def check_dtype(name: str, value: DTypeLike) -> np.dtype[Any]:
    """Return ``value`` as one of the two types that the library computes in."""
    try:
        dtype = np.dtype(value)
        if value is None or dtype not in (np.float32, np.float64):
            raise TypeError
    except TypeError:
        raise ValueError(f"{name} must be float32 or float64, got {value!r}") from None
    return dtype


def _check_real(array: Array) -> Array:
    """Raise a TypeError where the entries are no real numbers; strings of digits are none."""
    texts = array.dtype.kind == "O" and any(isinstance(entry, (str, bytes)) for entry in array.flat)
    if array.dtype.kind not in "biufO" or texts:
        raise TypeError
    return array


def as_floating(name: str, value: ArrayLike) -> Array:
    """Return a float32 or float64 array: float32 is kept, every other real type becomes float64."""
    check_unmasked(name, value)
    try:
        array = _check_real(np.asarray(value))
        array = array if array.dtype == np.float32 else array.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be an array of real numbers, got {value!r}") from None
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    # The sum is finite for all but absurd arrays, and needs no second array of the same size.
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(array.sum())
    if not finite and not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, got {array[where]} at index {where}")
    return array


def check_weights(W: ArrayLike) -> Array:
    """Return hidden weights as a finite floating array of shape (d, m)."""
    weights = as_floating("W", W)
    if weights.ndim != 2:
        raise ValueError(f"W must have shape (d, m), got shape {weights.shape}")
    return weights


def check_inputs(x: ArrayLike, d: int | None = None) -> Array:
    """Return inputs as a finite floating array of shape (n, d) or (d,)."""
    inputs = as_floating("x", x)
    if inputs.ndim not in (1, 2):
        raise ValueError(f"x must have shape (n, d) or (d,), got shape {inputs.shape}")
    if d is not None and inputs.shape[-1] != d:
        raise ValueError(
            f"x must have as many coordinates as W has rows, d = {d}, got shape {inputs.shape}"
        )
    return inputs


def check_rows(name: str, value: ArrayLike, d: int | None = None) -> Array:
    """Return inputs, one per row, as a finite float64 array of shape (n, d)."""
    rows = as_floating(name, value).astype(np.float64, copy=False)
    if rows.ndim != 2 or d not in (None, rows.shape[1]):
        raise ValueError(f"{name} must have shape (n, {d or 'd'}), got shape {rows.shape}")
    return rows


def check_readout(V: ArrayLike, m: int, name: str = "V") -> Array:
    """Return readout weights as a finite floating array of shape (m, K) or (m,)."""
    readout = as_floating(name, V)
    if readout.ndim not in (1, 2) or readout.shape[0] != m:
        raise ValueError(
            f"{name} must have shape (m, K) or (m,) with m = {m}, the number of columns of W, "
            f"got shape {readout.shape}"
        )
    return readout


def check_interval(name: str, value: ArrayLike) -> Array:
    """Return points of [-1, 1] as a float64 array, or raise a ValueError."""
    check_unmasked(name, value)
    try:
        array = _check_real(np.asarray(value)).astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be real numbers, got {value!r}") from None
    # The comparison is False for NaN, so NaN is refused with the rest.
    if not (np.abs(array) <= 1).all():
        raise ValueError(f"{name} must lie in [-1, 1], got {array[~(np.abs(array) <= 1)].flat[0]}")
    return array


def check_number(
    name: str, value: Any, *, positive: bool = False, minimum: float = -math.inf
) -> float:
    """Return ``value`` as a finite float in its range, or raise a ValueError naming it."""
    wanted = "a positive number" if positive else "a finite number"
    wanted += f" >= {minimum}" if math.isfinite(minimum) else ""
    try:
        if isinstance(value, (str, bytes)) or np.ndim(value) or np.ma.is_masked(value):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be {wanted}, got {value!r}") from None
    if not math.isfinite(number) or (positive and number <= 0) or number < minimum:
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return number


def check_times(name: str, value: ArrayLike, *, integers: bool = False) -> Array:
    """Return times >= 0 in increasing order, or whole numbers of steps, as an array (T,)."""
    what = "integers" if integers else "numbers"
    check_unmasked(name, value)
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.empty(0)
    kinds = ("i", "u") if integers else ("i", "u", "f")
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in kinds:
        raise ValueError(f"{name} must be a non-empty sequence of {what} >= 0, got {value!r}")
    array = array.astype(np.int64 if integers else np.float64)
    if not np.isfinite(array).all() or array[0] < 0 or (np.diff(array) <= 0).any():
        raise ValueError(f"{name} must be {what} >= 0 in increasing order, got {value!r}")
    return array


def check_numbers(name: str, value: ArrayLike, *, real: bool = False) -> Array:
    """Return finite numbers as a float64 array, or a complex128 one where they are complex."""
    try:
        if np.ma.is_masked(value):
            raise TypeError  # an array of numpy would take what the mask hides for values
        array = np.asarray(value)
        if array.dtype.kind == "O":  # numbers of sympy or mpmath
            array = array.astype(np.complex128)
            array = array if array.imag.any() else array.real
        elif array.dtype.kind not in "biufc":
            raise TypeError
        array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of numbers, got {value!r}") from None
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name} must be a non-empty array of finite numbers, got {value!r}")
    if real and array.dtype.kind == "c":
        raise ValueError(f"{name} must be real numbers, got {value!r}")
    return array


def check_pair(*, real: bool = False, **sides: ArrayLike) -> tuple[Array, Array]:
    """Return two arrays of numbers, given by their names, of one shape."""
    first, second = (check_numbers(name, side, real=real) for name, side in sides.items())
    if first.shape != second.shape:
        shapes = f"{first.shape} and {second.shape}"
        raise ValueError(f"{' and '.join(sides)} must have one shape, got {shapes}")
    return first, second


def check_draws(name: str, value: ArrayLike, fewest: int, *columns: int) -> Array:
    """Return real numbers of shape (draws, *columns) with enough draws."""
    draws = check_numbers(name, value, real=True)
    if draws.shape[1:] != columns or draws.ndim == 0 or len(draws) < fewest:
        wanted = ", ".join(["draws", *map(str, columns)]) + ("" if columns else ",")
        raise ValueError(
            f"{name} must have shape ({wanted}) with draws >= {fewest}, got shape {draws.shape}"
        )
    return draws


def check_enclosures(name: str, value: ArrayLike, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return lower and upper bounds, given as pairs."""
    pairs = check_numbers(name, value, real=True)
    if pairs.shape != (*shape, 2):
        raise ValueError(f"{name} must have shape {(*shape, 2)}, got shape {pairs.shape}")
    lower, upper = pairs[..., 0], pairs[..., 1]
    if (lower > upper).any():
        raise ValueError(f"{name} must be pairs of a lower and an upper bound, got {value!r}")
    return lower, upper


def check_labels(covers: Labels) -> tuple[str, ...]:
    """Return the labels of the equations that a check covers."""
    labels = (covers,) if isinstance(covers, str) else covers
    if not isinstance(labels, (tuple, list)) or not all(
        isinstance(label, str) and label for label in labels
    ):
        raise ValueError(f"covers must be labels of equations, got {covers!r}")
    return tuple(labels)
