"""Linear combinations of limit functions and zonal harmonics, by their coefficients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

import numpy as np

from reluspec_lib import groups
from reluspec_lib._validation import Array, check_number
from reluspec_lib.groups import Form, Group

__all__ = ["Combination", "Terms", "along", "checked", "coordinates", "expanded"]

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
        values = np.bincount(where, np.concatenate([self._values, other._values]), len(positions))
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


def expanded(form: Form) -> Array:
    """Return the coefficients of the limit function of a form along those of ``groups.ALL``.

    A multiple of the identity is left to the norm, each entry off the diagonal to a product, and
    the rest of the diagonal to the squares, whose own diagonals are orthogonal.
    """
    d, A = form.d, form.dense()
    if A.ndim == 1:
        return np.concatenate([[0.0], A, np.zeros(d * (d + 1) // 2 - 1)])
    rest = np.diag(A) - form.trace / d
    # One dimension has no square, and nothing is left.
    squares = rest[:-1] + groups.SQUARE.kappa(max(d, 2)) * rest[-1]
    parts = [squares * math.sqrt(2 / (d + 2)), A[np.triu_indices(d, 1)] * (2 / math.sqrt(d + 2))]
    return np.concatenate([[form.trace / math.sqrt(d)], np.zeros(d), *parts])


def checked(group: Group) -> Group:
    """Return a group, or raise a ValueError for what is none."""
    if not isinstance(group, Group):
        raise ValueError(f"group must be a group such as groups.NORM, got {group!r}")
    return group


def coordinates(group: Group, d: int) -> Array:
    """Return the coefficients of the limit functions of a group, one in each row."""
    rows = [expanded(group.form(d, column)) for column in range(checked(group).size(d))]
    return np.reshape(rows, (len(rows), d * (d + 3) // 2))


def along(group: Group, d: int, coefficients: Array) -> Array:
    """Return E[y F_i] / E[F_i^2] for functions y with these coefficients, 0 where F_i is 0."""
    rows = coordinates(group, d)
    weights = rows * groups.Basis(groups.ALL, d).eigenvalues
    power = (weights * rows).sum(axis=1, keepdims=True)
    found: Array = (weights @ coefficients) / np.where(power > 0, power, 1)
    return found
