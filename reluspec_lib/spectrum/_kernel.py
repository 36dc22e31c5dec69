"""Tiles of the Fisher information: the arc-cosine kernel and products with it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from reluspec_lib._lengths import measured, restored
from reluspec_lib._threads import check_stop, run
from reluspec_lib._validation import Array

__all__ = ["COEFFICIENTS", "Kernel", "Product", "norms_and_directions", "strips", "tiles"]

# Rows and columns of a tile of J: small enough for the cache, and large enough that threads seldom
# wait for each other between the numpy calls on a tile.
_TILE = 320


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


class Kernel:
    """The kernel on one tile of pairs of units after another, in buffers that are made once."""

    def __init__(self, directions: Array) -> None:
        dtype = directions.dtype
        self.coefficients = COEFFICIENTS[dtype]
        # Products of these are rho/2, and by a rounding unit too small ever to exceed 1/2.
        self.halves = directions * dtype.type(math.sqrt(0.5) * (1 - 4 * np.finfo(dtype).eps))
        self.buffers = [np.empty((_TILE, _TILE), dtype) for _ in range(3)]
        # Against an array of zeros numpy takes its vectorised loop; against a scalar it does not.
        self.zeros = np.zeros((_TILE, _TILE), dtype)

    def __call__(self, rows: slice, columns: slice) -> Array:
        """Return the kernel of these units; the array is valid until the next call."""
        height, width = rows.stop - rows.start, columns.stop - columns.start
        half, w, kernel = (buffer[:height, :width] for buffer in self.buffers)
        np.matmul(self.halves[:, rows].T, self.halves[:, columns], out=half)
        np.abs(half, out=w)
        w += 0.5
        np.sqrt(w, out=w)
        np.subtract(1, w, out=w)
        np.multiply(w, self.coefficients[0], out=kernel)
        for coefficient in self.coefficients[1:-1]:
            kernel += coefficient
            kernel *= w
        kernel += self.coefficients[-1]
        kernel *= w
        np.sqrt(w, out=w)
        kernel *= w
        np.maximum(half, self.zeros[:height, :width], out=half)
        kernel += half
        return kernel


def strips(m: int) -> int:
    """Return the number of rows of tiles, which is how many workers can share the work."""
    return -(-m // _TILE)


def tiles(m: int, worker: int, workers: int) -> Iterator[tuple[slice, slice]]:
    """Yield one worker's share of the tiles that cover the upper triangle."""
    for strip, top in enumerate(range(0, m, _TILE)):
        if strip % workers == worker:
            for left in range(top, m, _TILE):
                check_stop()
                yield slice(top, min(top + _TILE, m)), slice(left, min(left + _TILE, m))


def norms_and_directions(W: Array) -> tuple[Array, Array]:
    """Return the lengths of the columns and the columns over them, 0 for those of length 0."""
    columns, lengths, powers = measured(W, axis=0)
    return restored(lengths, powers), columns / np.where(lengths > 0, lengths, 1)


class Product:
    """Multiplication by J for one W."""

    def __init__(self, W: Array, workers: int) -> None:
        self.workers = workers
        self.norms, self.directions = norms_and_directions(W)

    def __call__(self, V: Array) -> Array:
        """Return J V."""
        return self._multiply(V, with_size=False)[0]

    def with_size(self, V: Array) -> tuple[Array, float]:
        """Return J V and the sum of the squared entries of J, from one pass over the tiles."""
        return self._multiply(V, with_size=True)

    def _multiply(self, V: Array, with_size: bool) -> tuple[Array, float]:
        scaled = self.norms[:, None] * V
        squares = self.norms.astype(np.float64) ** 2

        def add_up(worker: int) -> tuple[Array, float]:
            kernel, total, size = Kernel(self.directions), np.zeros_like(scaled), 0.0
            for rows, columns in tiles(len(V), worker, self.workers):
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
        total *= self.norms[:, None]
        return total, size
