"""From the form of a vector to everything else that is known of it.

A group gives the forms of its vectors, :mod:`reluspec_lib.groups` says which; the formulas that
follow from a form stand here once, for the paper's groups and for any others.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib import harmonics, sphere
from reluspec_lib._lengths import measured, restored
from reluspec_lib._validation import Array, check_count, check_inputs, check_weights

__all__ = ["Form", "Group", "over", "side_by_side"]


class Form(NamedTuple):
    """The form of one vector: a or A, by the few numbers that it takes.

    a is ``block`` (k,) on the coordinates ``axes`` (k,) and 0 elsewhere; A is ``multiple`` times
    the identity of size d, plus ``block`` (k, k) on these coordinates.
    """

    d: int
    multiple: float
    axes: Array
    block: Array

    @property
    def trace(self) -> float:
        """The trace of A."""
        return self.d * self.multiple + float(np.trace(self.block))

    @property
    def square(self) -> float:
        """The sum of the squares of all entries of A."""
        rest = self.multiple * (self.trace + float(np.trace(self.block)))
        return float((self.block**2).sum()) + rest

    def image(self, x: Array) -> Array:
        """Return A x for each row of x, shape (n, d)."""
        image: Array = self.multiple * x
        image[:, self.axes] += x[:, self.axes] @ self.block
        return image

    def dense(self) -> Array:
        """Return a, shape (d,), or A, shape (d, d)."""
        if self.block.ndim == 1:
            a = np.zeros(self.d)
            a[self.axes] = self.block
            return a
        return self.image(np.eye(self.d))

    def second_moment(self, z: Array, norms: Array) -> Array:
        """Return E[(sqrt(m) v_j ReLU(g . x))^2], g = sqrt(m) w, for the columns x of z, shape (n,).

        For axes of shape (k, K), those of K forms with one block, it has the shape (K, n).
        """
        entries, multiple = z[self.axes], self.multiple
        part = np.tensordot(self.block, entries, 1)
        if self.block.ndim == 1:
            linear: Array = self.block @ self.block / 2 * norms**2 + part**2
            return linear
        trace, inner = self.trace, np.einsum("k...,k...->...", part, entries)
        images = np.einsum("k...,k...->...", part, part)
        images += multiple * (2 * inner + multiple * norms**2)
        constant = (trace**2 + 2 * self.square + 4 * trace * multiple) * norms**2
        moment: Array = (constant + 4 * trace * inner + 8 * images) / (2 * (self.d + 4))
        return moment


class Group(ABC):
    """A group of approximate eigenvectors: its vectors, limit functions and eigenvalue.

    Groups of one kind with the same parameters are equal, also in another process.
    """

    #: Short name, also the name of the group's column in simulation results.
    name: str
    #: Number of the result in the paper.
    theorem: str
    #: Degree of the harmonics that its limit functions are on the sphere; None if they mix two.
    degree: int | None
    #: Smallest input dimension at which the group has a vector.
    smallest_d: int = 1

    _label = "{}"

    def __repr__(self) -> str:
        return f"<group {self.name!r}, {self.theorem}>"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash((type(self), self._key()))

    def _key(self) -> tuple[object, ...]:
        return ()

    def size(self, d: int) -> int:
        """Return the number of vectors at input dimension d, or raise a ValueError."""
        return self._size(check_count("d", d))

    def labels(self, d: int) -> tuple[str, ...]:
        """Return one label per vector, in the order of the columns, with indices from 1."""
        return tuple(self._label.format(index) for index in range(1, self.size(d) + 1))

    def form(self, d: int, column: int = 0) -> Form:
        """Return the form of one vector, by its position in ``labels(d)``, or raise a ValueError.

        Examples
        --------
        >>> from reluspec_lib import groups
        >>> form = groups.PRODUCT.form(7, column=1)
        >>> form.axes.tolist(), form.block.tolist()
        ([0, 2], [[0.0, 1.5], [1.5, 0.0]])
        """
        size, column = self.size(d), check_count("column", column, 0)
        if column >= size:
            raise ValueError(
                f"column must be below {size}, the number of vectors of the group "
                f"{self.name} at d = {d}, got {column}"
            )
        return self._form_at(int(d), column)

    def eigenvectors(self, W: ArrayLike, columns: Sequence[int] | None = None) -> Array:
        """Return the approximate eigenvectors of the Fisher information at hidden weights W.

        Parameters
        ----------
        W : array_like, shape (d, m)
            Hidden weights with E W_lj^2 = 1/m.
        columns : sequence of int, optional
            Which vectors of the group, as positions in ``labels(d)``; all by default.

        Returns
        -------
        V : ndarray, shape (m, size), in column-major order
            One vector per column, of unit norm in the limit of large m; dtype of ``W``.

        Raises
        ------
        ValueError
            If ``W`` is not a finite (d, m) array, if a column of it is zero and the group divides
            by its norm, or if ``columns`` has a position that the group does not have.
        """
        W = check_weights(W)
        return side_by_side(W, [(self._vectors, self._positions(len(W), columns))])

    def limit(self, x: ArrayLike, columns: Sequence[int] | None = None) -> Array:
        """Return the limit F(x) of f_v(x) as m grows, for each vector of the group.

        Parameters
        ----------
        x : array_like, shape (n, d) or (d,)
            Inputs.
        columns : sequence of int, optional
            Which vectors of the group, as positions in ``labels(d)``; all by default.

        Returns
        -------
        F : ndarray, shape (n, size) or (size,)
            ``F[i, k]`` is the limit for the k-th vector at x_i, 0 at ``x = 0``; dtype of ``x``.

        Raises
        ------
        ValueError
            If ``x`` is not a finite array, or ``columns`` has a position that the group does not
            have.
        """
        x = check_inputs(x)
        positions = self._positions(x.shape[-1], columns)
        F = side_by_side(np.atleast_2d(x).T, [(self._limit, positions)])
        return F if x.ndim == 2 else F[0]

    def variance(self, x: ArrayLike, columns: Sequence[int] | None = None) -> Array:
        r"""Return the variance of the fluctuations of a wide network around its limit.

        .. math:: s^2(x) = \lim_{m \to \infty} m \operatorname{Var}_W f_v(x), \qquad
                  \sqrt m\, (f_v(x) - F(x)) \to N(0, s^2(x))

        Parameters
        ----------
        x, columns
            As for :meth:`limit`.

        Returns
        -------
        s2 : ndarray, shape (n, size) or (size,)
            ``s2[i, k]`` is the variance for the k-th vector at x_i; dtype of ``x``. Divided by m
            it is the variance of f_v(x) itself, exactly, at every width.

        Raises
        ------
        ValueError
            As for :meth:`limit`.

        Notes
        -----
        f_v(x) is a mean of m independent terms, one per hidden unit, with expectation F(x); s^2 is
        their second moment less F^2. Source: this book; the paper has no second moments.
        """
        x = check_inputs(x)
        positions = self._positions(x.shape[-1], columns)
        s2 = side_by_side(np.atleast_2d(x).T, [(self._variance, positions)], degree=2)
        return s2 if x.ndim == 2 else s2[0]

    def paper_eigenvalue(self, d: int) -> float:
        """Return the paper's approximate eigenvalue, its form at large d.

        Raises
        ------
        ValueError
            As for :meth:`eigenvalue`.
        """
        d, k = self._dimension_and_degree(d)
        return ((2 * d + 1) / (4 * math.pi), 0.25, 1 / (2 * math.pi * (d + 2)))[k]

    def eigenvalue(self, d: int) -> float:
        """Return the eigenvalue in the limit of large m, exact for every d.

        Raises
        ------
        ValueError
            If ``d`` is not an integer, or too small for the group to have a vector; or if the
            vectors are no eigenvectors in the limit, since their forms mix the degrees 0 and 2.
        """
        return harmonics.eigenvalue(*self._dimension_and_degree(d))

    def _dimension_and_degree(self, d: int) -> tuple[int, int]:
        d = check_count("d", d, self.smallest_d)
        self._size(d)
        if self.degree is None:
            raise ValueError(
                "eigenvalues belong to groups of one degree: of rows, of forms with trace 0, or of "
                f"multiples of the identity; got {self!r}"
            )
        return d, self.degree

    def _positions(self, d: int, columns: Sequence[int] | None) -> Array:
        size = self._size(d)
        if columns is None:
            return np.arange(size)
        try:
            positions = np.asarray(columns)
        except ValueError:  # sequences of different lengths
            positions = np.asarray(None)
        if positions.shape == (0,):
            return np.arange(0)
        integral = positions.dtype.kind in "iu" and positions.ndim == 1
        if not integral or not ((positions >= 0) & (positions < size)).all():
            raise ValueError(
                f"columns must be integers >= 0 and < {size}, the size of the group {self.name} at "
                f"d = {d}, got {columns!r}"
            )
        return positions.astype(np.intp)

    # The arrays below have one row per position; z has columns of these norms.

    def _vectors(self, W: Array, norms: Array, positions: Array) -> Array:
        if len(positions) and self.degree in (2, None) and not norms.all():
            zero = int(np.flatnonzero(norms == 0)[0])
            raise ValueError(
                f"W must have no zero column, since this group divides by the norm of each; "
                f"column {zero} is zero"
            )
        return self._values(W, norms, positions, 1.0)

    def _limit(self, z: Array, norms: Array, positions: Array) -> Array:
        d = len(z)
        factor = 0.5 if self.degree == 1 else d / (d + 1) * sphere.relu_mean(d)
        F = self._values(z, norms, positions, factor)
        if self.degree in (0, None):
            traces = [factor * self._form_at(d, position).trace for position in positions]
            F += np.array(traces, z.dtype)[:, None] * norms
        return F

    def _variance(self, z: Array, norms: Array, positions: Array) -> Array:
        s2 = -(self._limit(z, norms, positions) ** 2)
        if len(positions):
            s2 += self._second_moments(z, norms, positions)
        return s2

    def _second_moments(self, z: Array, norms: Array, positions: Array) -> Array:
        forms = (self._form_at(len(z), position) for position in positions)
        return np.array([form.second_moment(z, norms) for form in forms])

    @abstractmethod
    def _size(self, d: int) -> int: ...

    @abstractmethod
    def _form_at(self, d: int, position: int) -> Form: ...

    @abstractmethod
    def _values(self, z: Array, norms: Array, positions: Array, factor: float) -> Array:
        """Return q(z) times a factor, with q(0) = 0."""


# What a group computes at the columns of z, given their lengths: one row per position.
Rows = Callable[[Array, Array, Array], Array]


def side_by_side(z: Array, parts: Sequence[tuple[Rows, Array]], degree: int = 1) -> Array:
    """Return all rows of these parts as columns; they are homogeneous of this degree."""
    z, norms, powers = measured(z, axis=0)
    rows = [compute(z, norms, positions) for compute, positions in parts]
    whole = rows[0] if len(rows) == 1 else np.concatenate(rows)
    return restored(whole, None if powers is None else degree * powers).T


def over(norms: Array, weight: float) -> Array:
    """Return weight / norms, and a number where a norm is 0, to multiply entries that are 0."""
    quotients: Array = weight / (norms if norms.all() else np.where(norms > 0, norms, 1))
    return quotients
