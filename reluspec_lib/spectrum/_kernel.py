"""The Fisher information tile by tile: the arc-cosine kernel, the whole matrix, products."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from reluspec_lib._lengths import measured, restored
from reluspec_lib._threads import check_stop, run
from reluspec_lib._validation import Array

__all__ = [
    "COEFFICIENTS",
    "Operator",
    "Product",
    "assembled",
    "half_squares",
    "second_moments",
    "strips",
]

# Rows and columns of a tile of J: small enough for the cache, and large enough that threads seldom
# wait for each other between the numpy calls on a tile. A row has an odd number of cache lines, so
# that the entries of a column do not all want the same place in the cache.
_TILE = 200

# From so many columns on, products with them take most of the time, and larger tiles fewer sums.
_MANY = 512
_LARGE_TILE = 400


def _fit(degree: int) -> list[float]:
    r"""Return the coefficients of P, highest first, in kernel(rho) = max(rho, 0)/2 + w^(3/2) P(w).

    The kernel of two unit vectors at an angle with cosine rho is (sin a + (pi - a) cos a)/(2 pi).
    Its second term here depends on a = arccos\|rho\| only: it is (sin a - a cos a)/(2 pi). With
    w = 1 - cos(a/2) it is w^(3/2) times a function that is smooth as far as w = 2, while all
    angles lie in 0 <= w <= 0.293; P interpolates it at Chebyshev points.
    """
    largest = 1 - math.sqrt(0.5)
    w = largest * (1 + np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))) / 2
    angle = 2 * np.arccos(1 - w)
    # sin a - a cos a by its series: the difference itself loses digits at small angles.
    k = np.arange(1, 16)
    factorials = np.array([math.factorial(2 * j + 1) for j in k], dtype=np.float64)
    series = (-1.0) ** (k + 1) * 2 * k / factorials * angle[:, None] ** (2 * k + 1)
    values = series.sum(axis=1) / w**1.5 / (2 * np.pi)
    coefficients: list[float] = np.linalg.solve(np.vander(w), values).tolist()
    return coefficients


# The degree leaves an error of a rounding unit of the type.
COEFFICIENTS = {np.dtype(np.float64): _fit(8), np.dtype(np.float32): _fit(3)}


class _Kernel:
    """The kernel on one tile of pairs of units after another, in buffers that are made once."""

    def __init__(self, directions: Array, side: int = _TILE) -> None:
        dtype = directions.dtype
        self.coefficients = COEFFICIENTS[dtype]
        # Products of these are rho/2.
        self.halves = directions * dtype.type(math.sqrt(0.5))
        self.buffers = [np.empty(side**2, dtype) for _ in range(3)]
        # Against an array of zeros numpy takes its vectorised loop; against a scalar it does not.
        self.zeros = np.zeros(side**2, dtype)

    def __call__(self, rows: slice, columns: slice) -> Array:
        """Return the kernel of these units; the array is valid until the next call."""
        # Smaller tiles, at the edges, are without gaps as well: numpy is several times as fast.
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        half, w, kernel, zeros = (_front(b, shape) for b in (*self.buffers, self.zeros))
        np.matmul(self.halves[:, rows].T, self.halves[:, columns], out=half)
        np.abs(half, out=w)
        w += 0.5
        np.sqrt(w, out=w)
        np.subtract(1, w, out=w)
        # Rounding of many products leaves a cosine above 1, and less than 0 here.
        np.abs(w, out=w)
        np.multiply(w, self.coefficients[0], out=kernel)
        for coefficient in self.coefficients[1:-1]:
            kernel += coefficient
            kernel *= w
        kernel += self.coefficients[-1]
        kernel *= w
        np.sqrt(w, out=w)
        kernel *= w
        np.maximum(half, zeros, out=half)
        kernel += half
        return kernel

    def outer(self, left: Array, right: Array) -> Array:
        """Return all products of these, in a buffer that the next call needs."""
        products = _front(self.buffers[0], (len(left), len(right)))
        np.multiply(left[:, None], right, out=products)
        return products


def _front(buffer: Array, shape: tuple[int, int]) -> Array:
    """Return the first entries of a buffer as a matrix."""
    return buffer[: shape[0] * shape[1]].reshape(shape)


def strips(m: int) -> int:
    """Return the number of rows of tiles, which is how many workers can share the work."""
    return -(-m // _TILE)


def _tiles(m: int, worker: int, workers: int, side: int = _TILE) -> Iterator[tuple[slice, slice]]:
    """Yield one worker's share of the tiles that cover the upper triangle."""
    for strip, top in enumerate(range(0, m, side)):
        if strip % workers == worker:
            for left in range(top, m, side):
                check_stop()
                yield slice(top, min(top + side, m)), slice(left, min(left + side, m))


def _norms_and_directions(W: Array) -> tuple[Array, Array]:
    """Return the lengths of the columns and the columns over them, 0 for those of length 0."""
    columns, lengths, powers = measured(W, axis=0)
    with np.errstate(over="ignore"):
        return restored(lengths, powers), columns / np.where(lengths > 0, lengths, 1)


def half_squares(W: Array) -> float:
    """Return half the sum of the squared weights, which is the trace of J."""
    return float(np.einsum("lj,lj->", W, W, dtype=np.float64) / 2)


def assembled(W: Array, kind: np.dtype[Any], workers: int) -> Array:
    """Return J in this type, or raise a ValueError if it overflows."""
    norms, directions = _norms_and_directions(W.astype(np.result_type(W, kind), copy=False))
    longest, limit = float(norms.max()), math.sqrt(float(np.finfo(kind).max))
    if not longest < limit:
        raise ValueError(
            f"W must have columns shorter than {limit:.3g}, or J overflows in {kind}, got one of "
            f"length {longest:.3g}"
        )
    norms, directions = norms.astype(kind, copy=False), directions.astype(kind, copy=False)
    m = len(norms)
    J = np.empty((m, m), kind)

    def fill(worker: int) -> None:
        kernel = _Kernel(directions)
        for rows, columns in _tiles(m, worker, workers):
            tile = kernel(rows, columns)
            tile *= kernel.outer(norms[rows], norms[columns])
            if rows == columns:
                # The product of a tile with itself is symmetric only up to rounding.
                tile = np.triu(tile) + np.triu(tile, 1).T
            J[rows, columns] = tile
            J[columns, rows] = tile.T

    run(fill, workers)
    np.fill_diagonal(J, norms**2 / 2)
    return J


def second_moments(W: Array, activation: Any, kind: np.dtype[Any], workers: int) -> Array:
    """Return J for an activation that knows its second moments, for the ReLU without one."""
    if activation is None:
        return assembled(W, kind, workers)
    if not hasattr(activation, "second_moments"):
        raise ValueError(f"activation must be one of reluspec_lib.activations, got {activation!r}")
    moments: Array = activation.second_moments(W, kind, workers)
    return moments


class Product:
    """Multiplication by J for one W."""

    def __init__(self, W: Array, workers: int) -> None:
        self.workers = workers
        self.norms, self.directions = _norms_and_directions(W)

    def __call__(self, V: Array) -> Array:
        """Return J V, or raise a ValueError if it overflows."""
        limits = np.finfo(V.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = self.norms[:, None] * V
            largest = np.maximum(scaled.max(axis=0), -scaled.min(axis=0))
            sizes = np.append(largest, self.norms.max())
            # Far from the ends of the range nothing overflows on the way, and nothing is lost.
            if sizes.min() > limits.tiny / limits.eps**2 and sizes.max() < limits.max**0.5 / 2**52:
                result = self._sums(scaled)[0]
                result *= self.norms[:, None]
            else:
                result = self._with_powers_apart(V)
        if not np.isfinite(result).all() and np.isfinite(V).all():
            raise ValueError(f"W and V must be so small that J V does not overflow in {V.dtype}")
        return result

    def with_size(self, V: Array) -> tuple[Array, float]:
        """Return J V and the sum of the squared entries of J, for W and V of moderate size."""
        total, size = self._sums(self.norms[:, None] * V, with_size=True)
        total *= self.norms[:, None]
        return total, size

    def _with_powers_apart(self, V: Array) -> Array:
        """Return J V, where only a value that is itself too large or too small leaves the range."""
        (lengths, powers), (mantissas, orders) = np.frexp(self.norms[:, None]), np.frexp(V)
        scaled = lengths * mantissas
        # The exponent of 0 is below that of every product of two numbers.
        orders = np.where(scaled, orders + powers, -(2**12))
        highest = orders.max(axis=0)
        total = self._sums(np.ldexp(scaled, orders - highest))[0]
        result: Array = np.ldexp(total * lengths, highest + powers)
        return result

    def _sums(self, scaled: Array, with_size: bool = False) -> tuple[Array, float]:
        """Return the kernel times these, and if asked for the sum of the squared entries of J."""
        m, squares = len(scaled), self.norms.astype(np.float64) ** 2
        side = _LARGE_TILE if scaled.shape[1] >= _MANY else _TILE

        def add_up(worker: int) -> tuple[Array, float]:
            kernel, total, size = _Kernel(self.directions, side), np.zeros_like(scaled), 0.0
            for rows, columns in _tiles(m, worker, self.workers, side):
                tile = kernel(rows, columns)
                total[rows] += tile @ scaled[columns]
                if rows != columns:
                    total[columns] += tile.T @ scaled[rows]
                if with_size:
                    np.square(tile, out=tile)
                    weight = 1 if rows == columns else 2
                    size += weight * float(squares[rows] @ (tile @ squares[columns]))
            return total, size

        (total, size), *others = run(add_up, self.workers)
        for other, part in others:
            total += other
            size += part
        return total, size


class Operator(LinearOperator):  # type: ignore[misc]
    """J for the solvers of scipy: symmetric, and real though it takes complex vectors as well."""

    def __init__(self, W: Array, workers: int) -> None:
        super().__init__(W.dtype, (W.shape[1], W.shape[1]))
        self._weights, self._workers = W, workers
        self._products: dict[np.dtype[Any], Product] = {}

    def _matmat(self, V: Array) -> Array:
        V = np.asarray(V)
        if V.dtype.kind == "c":
            # Real and imaginary parts are columns side by side.
            parts = self._matmat(np.ascontiguousarray(V).view(V.real.dtype))
            return parts.view(np.result_type(parts, np.complex64))
        kind = np.dtype(np.result_type(self._weights, V))
        if kind not in self._products:
            self._products[kind] = Product(self._weights.astype(kind, copy=False), self._workers)
        return self._products[kind](V.astype(kind, copy=False))

    def _adjoint(self) -> Operator:
        return self

    _transpose = _adjoint
