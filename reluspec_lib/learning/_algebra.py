"""Linear combinations of limit functions and zonal harmonics, by their coefficients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

import numpy as np

from reluspec_lib._validation import Array, check_number

__all__ = ["Combination", "Terms"]

# The coefficients of zonal harmonics, by degree and axis.
Terms = Mapping[tuple[int, tuple[float, ...]], float]


class Combination:
    """A vector: the coefficients that are not 0.

    ``_positions`` and ``_values`` are those of limit functions, in increasing order.
    """

    # numpy leaves products with targets to this class.
    __array_ufunc__ = None

    _d: int
    _positions: Array
    _values: Array
    _terms: Terms

    @classmethod
    def _of(cls, d: int, positions: Array, values: Array, terms: Terms) -> Self:
        target = cls.__new__(cls)
        target._set(d, positions, values, terms)
        return target

    def _set(self, d: int, positions: Array, values: Array, terms: Terms) -> None:
        if not (np.isfinite(values).all() and all(map(math.isfinite, terms.values()))):
            raise ValueError(
                "coefficients must be finite, but a sum, product or quotient overflows"
            )
        used = values != 0
        self._d, self._positions, self._values = d, positions[used], values[used]
        # In an order that does not depend on how it came about.
        self._terms = {name: a for name, a in sorted(terms.items()) if a != 0}

    def _key(self) -> tuple[object, ...]:
        limits = tuple(self._positions.tolist()), tuple(self._values.tolist())
        return (self._d, *limits, *self._terms.items())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Combination):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __add__(self, other: Self) -> Self:
        if not isinstance(other, Combination):
            return NotImplemented
        if other._d != self._d:
            raise ValueError(f"targets must have one dimension, got {self._d} and {other._d}")
        both = np.concatenate([self._positions, other._positions])
        positions, where = np.unique(both, return_inverse=True)
        values = np.zeros(len(positions))
        with np.errstate(over="ignore"):
            np.add.at(values, where, np.concatenate([self._values, other._values]))
        terms = {name: a + self._terms.get(name, 0.0) for name, a in other._terms.items()}
        return self._of(self._d, positions, values, {**self._terms, **terms})

    def __radd__(self, other: object) -> Self:
        # The built-in sum starts from 0.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __mul__(self, factor: float) -> Self:
        return self._scaled(check_number("factor", factor), 1.0)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Self:
        divisor = check_number("divisor", divisor)
        if divisor == 0:
            raise ValueError("divisor must be a finite number other than 0, got 0")
        return self._scaled(1.0, divisor)

    def _scaled(self, factor: float, divisor: float) -> Self:
        with np.errstate(over="ignore"):
            values = factor * self._values / divisor
        terms = {name: factor * a / divisor for name, a in self._terms.items()}
        return self._of(self._d, self._positions, values, terms)

    def __neg__(self) -> Self:
        return self._scaled(-1.0, 1.0)

    def __sub__(self, other: Self) -> Self:
        return self + (-other)
