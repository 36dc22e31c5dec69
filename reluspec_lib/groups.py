r"""The groups of approximate eigenvectors of the Fisher information, and what they learn.

A group is a family of readout vectors v that are built from the hidden weights W and become
orthonormal as the width m grows. The paper shows that the function f_v(x) = ReLU(x W) v of each
tends to a fixed function F(x). Everything known of a group stands together in one object:

========== =============== ============================================== =====================
object     result          v_j, with w the j-th column of W               limit F(x)
========== =============== ============================================== =====================
NORM       Theorem 3.1     \|w\| / sqrt(d)                                proportional to \|x\|
COORDINATE Theorem 3.2     w_l                                            x_l / 2
SQUARE     Theorem 3.4     v_gg + kappa v_dd                              F_gg + kappa F_dd
PRODUCT    Theorem 3.5     sqrt(d + 2) w_a w_b / \|w\|                    ~ x_a x_b / \|x\|
========== =============== ============================================== =====================

``ALL`` holds these four in the paper's order; together they have d(d+3)/2 vectors.
``CENTRED_SQUARE`` holds the d auxiliary vectors v_gg of Lemma 3.3, which sum to zero; SQUARE makes
an orthonormal family of d - 1 out of them.
"""

from __future__ import annotations

import itertools
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib import sphere
from reluspec_lib._lengths import measured, restored
from reluspec_lib._validation import Array, check_count, check_inputs, check_weights

__all__ = [
    "ALL",
    "CENTRED_SQUARE",
    "COORDINATE",
    "NORM",
    "PRODUCT",
    "SQUARE",
    "CentredSquare",
    "Coordinate",
    "Group",
    "Norm",
    "Product",
    "Square",
]


class Group(ABC):
    """A group of approximate eigenvectors: its vectors, limit functions and eigenvalue.

    Groups of one kind with the same parameters are equal, also in another process.
    """

    #: Short name, also the name of the group's column in simulation results.
    name: str
    #: Number of the result in the paper.
    theorem: str
    #: Smallest input dimension at which the group has a vector.
    smallest_d: int = 1

    def __repr__(self) -> str:
        return f"<group {self.name!r}, {self.theorem}>"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *sorted(vars(self).items())))

    def size(self, d: int) -> int:
        """Return the number of vectors of the group at input dimension d.

        Raises
        ------
        ValueError
            If ``d`` is not an integer >= 1.
        """
        return self._size(check_count("d", d))

    def labels(self, d: int) -> tuple[str, ...]:
        """Return one label per vector, in the order of the columns, with indices from 1.

        Raises
        ------
        ValueError
            If ``d`` is not an integer >= 1.
        """
        return self._labels(check_count("d", d))

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
        positions = self._positions(len(W), columns)
        W, norms, powers = measured(W, axis=0)
        return restored(self._eigenvectors(W, norms, positions), powers).T

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
        rows = np.atleast_2d(x)
        positions = self._positions(rows.shape[1], columns)
        rows, norms, powers = measured(rows, axis=1)
        F = restored(self._limit(rows, norms, positions).T, powers).T
        return F if x.ndim == 2 else F.reshape(-1)

    def variance(self, x: ArrayLike, columns: Sequence[int] | None = None) -> Array:
        r"""Return the variance of the fluctuations of a wide network around its limit.

        .. math:: s^2(x) = \lim_{m \to \infty} m \operatorname{Var}_W f_v(x), \qquad
                  \sqrt m\, (f_v(x) - F(x)) \to N(0, s^2(x))

        Parameters
        ----------
        x : array_like, shape (n, d) or (d,)
            Inputs.
        columns : sequence of int, optional
            Which vectors of the group, as positions in ``labels(d)``; all by default.

        Returns
        -------
        s2 : ndarray, shape (n, size) or (size,)
            ``s2[i, k]`` is the variance for the k-th vector at x_i; dtype of ``x``. Divided by m
            it is the variance of f_v(x) itself, exactly, at every width.

        Raises
        ------
        ValueError
            If ``x`` is not a finite array, or ``columns`` has a position that the group does not
            have.

        Notes
        -----
        f_v(x) is a mean of m independent terms, one per hidden unit, with expectation F(x).
        Source: this book; the paper has no second moments.
        """
        x = check_inputs(x)
        rows = np.atleast_2d(x)
        positions = self._positions(rows.shape[1], columns)
        rows, norms, powers = measured(rows, axis=1)
        second = self._second_moment(rows, norms, positions)
        s2 = second - self._limit(rows, norms, positions) ** 2
        s2 = restored(s2.T, None if powers is None else 2 * powers).T
        return s2 if x.ndim == 2 else s2.reshape(-1)

    def paper_eigenvalue(self, d: int) -> float:
        """Return the paper's approximate eigenvalue, its form at large d.

        Raises
        ------
        ValueError
            If ``d`` is not an integer, or too small for the group to have a vector.
        """
        return self._paper_eigenvalue(check_count("d", d, self.smallest_d))

    def eigenvalue(self, d: int) -> float:
        """Return the eigenvalue in the limit of large m, exact for every d.

        Raises
        ------
        ValueError
            If ``d`` is not an integer, or too small for the group to have a vector.
        """
        return self._eigenvalue(check_count("d", d, self.smallest_d))

    def _positions(self, d: int, columns: Sequence[int] | None) -> Array:
        size = self.size(d)
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

    @abstractmethod
    def _size(self, d: int) -> int: ...

    @abstractmethod
    def _labels(self, d: int) -> tuple[str, ...]: ...

    @abstractmethod
    def _eigenvectors(self, W: Array, norms: Array, positions: Array) -> Array:
        """Return one vector per row, shape (len(positions), m); norms (m,) are those of columns."""

    @abstractmethod
    def _limit(self, x: Array, norms: Array, positions: Array) -> Array:
        """Return limits, shape (n, len(positions)); norms (n,) are those of the rows of x."""

    @abstractmethod
    def _second_moment(self, x: Array, norms: Array, positions: Array) -> Array:
        """Return E[(sqrt(m) v_j ReLU(g . x))^2] with g = sqrt(m) W^(j), shape (n, positions)."""

    @abstractmethod
    def _form(self, d: int, position: int) -> Array:
        """Return the form of a vector: a with v_j = a . w, or symmetric A with v_j = w A w / |w|.

        What is known of fluctuations between inputs depends on the group only through it.
        """

    @abstractmethod
    def _axes(self, d: int, position: int) -> tuple[int, ...]:
        """Return the coordinates that the vector singles out; it treats all others alike."""

    @abstractmethod
    def _paper_eigenvalue(self, d: int) -> float: ...

    @abstractmethod
    def _eigenvalue(self, d: int) -> float: ...


class Norm(Group):
    r"""Group 1: the norms of the columns of W learn the norm of x (Theorem 3.1).

    .. math:: v_j = |W^{(j)}| / \sqrt{d}, \qquad
              F_0(x) = \sqrt{d}\, c_d\, |x| = \frac{\sqrt{d}}{2\pi} B(d/2, 1/2)\, |x|, \qquad
              s^2(x) = \frac{d+2}{2d}\, |x|^2 - F_0(x)^2

    Eigenvalue :math:`(2d+1)/(4\pi)` in the paper, exactly :math:`d^2 c_d^2`.
    """

    name = "norm"
    theorem = "Theorem 3.1"

    def _size(self, d: int) -> int:
        return 1

    def _labels(self, d: int) -> tuple[str, ...]:
        return ("0",)

    def _eigenvectors(self, W: Array, norms: Array, positions: Array) -> Array:
        return (norms / math.sqrt(len(W)))[None, :].repeat(len(positions), axis=0)

    def _limit(self, x: Array, norms: Array, positions: Array) -> Array:
        d = x.shape[1]
        F = math.sqrt(d) * sphere.relu_mean(d) * norms
        return F[:, None].repeat(len(positions), axis=1)

    def _second_moment(self, x: Array, norms: Array, positions: Array) -> Array:
        d = x.shape[1]
        second: Array = (d + 2) / (2 * d) * norms**2
        return second[:, None].repeat(len(positions), axis=1)

    def _form(self, d: int, position: int) -> Array:
        return np.eye(d) / math.sqrt(d)

    def _axes(self, d: int, position: int) -> tuple[int, ...]:
        return ()

    def _paper_eigenvalue(self, d: int) -> float:
        return (2 * d + 1) / (4 * math.pi)

    def _eigenvalue(self, d: int) -> float:
        return (d * sphere.relu_mean(d)) ** 2


class Coordinate(Group):
    r"""Group 2: the rows of W learn the coordinates of x (Theorem 3.2).

    .. math:: v_{l,j} = W_{lj}, \qquad F_l(x) = x_l / 2, \qquad
              s^2(x) = \tfrac12 |x|^2 + x_l^2 - F_l(x)^2, \qquad l = 1, \dots, d

    Eigenvalue 1/4, exact at every d.
    """

    name = "coordinate"
    theorem = "Theorem 3.2"

    def _size(self, d: int) -> int:
        return d

    def _labels(self, d: int) -> tuple[str, ...]:
        return tuple(f"l={index}" for index in range(1, self._size(d) + 1))

    def _eigenvectors(self, W: Array, norms: Array, positions: Array) -> Array:
        return W[positions]

    def _limit(self, x: Array, norms: Array, positions: Array) -> Array:
        return x[:, positions] / 2

    def _second_moment(self, x: Array, norms: Array, positions: Array) -> Array:
        second: Array = norms[:, None] ** 2 / 2 + x[:, positions] ** 2
        return second

    def _form(self, d: int, position: int) -> Array:
        a: Array = np.eye(d)[position]
        return a

    def _axes(self, d: int, position: int) -> tuple[int, ...]:
        return (position,)

    def _paper_eigenvalue(self, d: int) -> float:
        return 0.25

    def _eigenvalue(self, d: int) -> float:
        return 0.25


class _Quadratic(Group):
    """What the groups of degree 2 share: their eigenvalue and the factor in front of the limit."""

    smallest_d = 2

    @staticmethod
    def _factor(d: int) -> float:
        """Return sqrt(d+2) d c_d / (d+1): the limit for unit vectors along x_a x_b / |x|."""
        return math.sqrt(d + 2) * d / (d + 1) * sphere.relu_mean(d)

    def _second_moment(self, x: Array, norms: Array, positions: Array) -> Array:
        # With v_j = w A w / |w| and tr A = 0 it is (|A|^2 |x|^2 + 4 |A x|^2) / (d + 4).
        d = x.shape[1]
        size, image = self._form_norms(x, positions)
        second: Array = (size * norms[:, None] ** 2 + 4 * image) / (d + 4)
        return second

    @abstractmethod
    def _form_norms(self, x: Array, positions: Array) -> tuple[Array, Array]:
        """Return |A|^2, shape (positions,), and |A x|^2, shape (n, positions), of the forms A."""

    def _paper_eigenvalue(self, d: int) -> float:
        return 1 / (2 * math.pi * (d + 2))

    def _eigenvalue(self, d: int) -> float:
        return (d * sphere.relu_mean(d) / (d + 1)) ** 2


class _Diagonal(_Quadratic):
    """The groups whose forms are diagonal: combinations of squares."""

    @abstractmethod
    def _diagonals(self, d: int, positions: Array) -> Array:
        """Return the diagonals of the forms, shape (d, positions)."""

    def _form_norms(self, x: Array, positions: Array) -> tuple[Array, Array]:
        squares = (self._diagonals(x.shape[1], positions) ** 2).astype(x.dtype)
        return squares.sum(axis=0), x**2 @ squares

    def _form(self, d: int, position: int) -> Array:
        return np.diag(self._diagonals(d, np.array([position]))[:, 0])


class CentredSquare(_Diagonal):
    r"""The d auxiliary vectors of Lemma 3.3: squares of rows, less their part along the norm.

    .. math:: v_{gg,j} = \sqrt{\frac{d+2}{2}}\, \frac{W_{gj}^2 - |W^{(j)}|^2/d}{|W^{(j)}|}, \qquad
              F_{gg}(x) = \sqrt{\frac{d+2}{2}}\, \frac{d\, c_d}{d+1}
              \Big(\frac{x_g^2}{|x|} - \frac{|x|}{d}\Big), \qquad g = 1, \dots, d

    The variance of the fluctuations is that of SQUARE, with :math:`q_l` the entries of
    :math:`e_g - 1/d` and :math:`\frac{d-1}{d} |x|^2` in place of :math:`|x|^2`.

    Their squared norm tends to (d-1)/d and they sum to zero over g, so this family is not
    orthonormal and not a member of ``ALL``. Its span is that of SQUARE, with the same eigenvalue.
    """

    name = "centred square"
    theorem = "Lemma 3.3"

    def _size(self, d: int) -> int:
        return d

    def _labels(self, d: int) -> tuple[str, ...]:
        return tuple(f"gg={index},{index}" for index in range(1, self._size(d) + 1))

    def _eigenvectors(self, W: Array, norms: Array, positions: Array) -> Array:
        V = W[positions] / _check_nonzero(norms)
        V *= V
        V -= 1 / len(W)
        V *= math.sqrt((len(W) + 2) / 2) * norms
        return V

    def _limit(self, x: Array, norms: Array, positions: Array) -> Array:
        d, norms = x.shape[1], norms[:, None]
        F = x[:, positions]
        F *= np.divide(F, norms, out=np.zeros_like(F), where=norms > 0)
        F -= norms / d
        F *= self._factor(d) / math.sqrt(2)
        return F

    def _diagonals(self, d: int, positions: Array) -> Array:
        diagonals = np.full((d, len(positions)), -1 / d)
        diagonals[positions, np.arange(len(positions))] += 1
        return math.sqrt((d + 2) / 2) * diagonals

    def _axes(self, d: int, position: int) -> tuple[int, ...]:
        return (position,)


class Square(_Diagonal):
    r"""Group 3, first part: an orthonormal family from the squares of rows (Theorem 3.4).

    .. math:: v_g = v_{gg} + \kappa\, v_{dd}, \qquad F_g(x) = F_{gg}(x) + \kappa\, F_{dd}(x),
              \qquad g = 1, \dots, d-1, \\
              s^2(x) = \frac{d+2}{2(d+4)} \Big(|x|^2 + 4 \sum_l q_l^2 x_l^2\Big) - F_g(x)^2

    where q is the unit vector :math:`e_g + \kappa e_d - (1 + \kappa)/d` and kappa is a root of
    :math:`(d-1)\kappa^2 - 2\kappa - 1 = 0`. Both roots give a family that is orthonormal in the
    limit, and the two span the same space. The paper's source does not tell which one it takes;
    ``SQUARE`` takes the positive one.

    Eigenvalue :math:`1/(2\pi(d+2))` in the paper, exactly :math:`d^2 c_d^2/(d+1)^2`.

    Parameters
    ----------
    root : {1, -1}
        Sign of the root: kappa = 1/(sqrt(d) - 1) for 1, kappa = -1/(sqrt(d) + 1) for -1.

    Raises
    ------
    ValueError
        If ``root`` is neither 1 nor -1.
    """

    name = "square"
    theorem = "Theorem 3.4"

    def __init__(self, root: int = 1) -> None:
        try:
            sign = 0 if isinstance(root, (bool, np.bool_)) else operator.index(root)
        except TypeError:
            sign = 0
        if sign not in (1, -1):
            raise ValueError(f"root must be 1 or -1, got {root!r}")
        self._root = sign

    @property
    def root(self) -> int:
        """The sign of the root kappa."""
        return self._root

    def __repr__(self) -> str:
        return f"<group {self.name!r}, {self.theorem}, root {self.root}>"

    def kappa(self, d: int) -> float:
        """Return the root kappa at input dimension d.

        Raises
        ------
        ValueError
            If ``d`` is not an integer >= 2.
        """
        return self.root / (math.sqrt(check_count("d", d, self.smallest_d)) - self.root)

    def _size(self, d: int) -> int:
        return d - 1

    def _labels(self, d: int) -> tuple[str, ...]:
        return tuple(f"g={index}" for index in range(1, self._size(d) + 1))

    def _eigenvectors(self, W: Array, norms: Array, positions: Array) -> Array:
        d = len(W)
        if d < self.smallest_d:
            return np.empty((0, W.shape[1]), W.dtype)
        V = CENTRED_SQUARE._eigenvectors(W, norms, positions)
        V += self.kappa(d) * CENTRED_SQUARE._eigenvectors(W, norms, np.array([d - 1]))
        return V

    def _limit(self, x: Array, norms: Array, positions: Array) -> Array:
        d = x.shape[1]
        if d < self.smallest_d:
            return np.empty((len(x), 0), x.dtype)
        F = CENTRED_SQUARE._limit(x, norms, positions)
        F += self.kappa(d) * CENTRED_SQUARE._limit(x, norms, np.array([d - 1]))
        return F

    def _diagonals(self, d: int, positions: Array) -> Array:
        if d < self.smallest_d:
            return np.empty((d, 0))
        diagonals = CENTRED_SQUARE._diagonals(d, positions)
        return diagonals + self.kappa(d) * CENTRED_SQUARE._diagonals(d, np.array([d - 1]))

    def _axes(self, d: int, position: int) -> tuple[int, ...]:
        return (position, d - 1)


class Product(_Quadratic):
    r"""Group 3, second part: products of rows learn products of coordinates (Theorem 3.5).

    .. math:: v_{ab,j} = \sqrt{d+2}\, \frac{W_{aj} W_{bj}}{|W^{(j)}|}, \qquad
              F_{ab}(x) = \sqrt{d+2}\, \frac{d\, c_d}{d+1}\, \frac{x_a x_b}{|x|}, \qquad a < b, \\
              s^2(x) = \frac{d+2}{2(d+4)} \big(|x|^2 + 2 x_a^2 + 2 x_b^2\big) - F_{ab}(x)^2

    The pairs are in lexicographic order: (1,2), (1,3), ..., (d-1,d).
    Eigenvalue :math:`1/(2\pi(d+2))` in the paper, exactly :math:`d^2 c_d^2/(d+1)^2`.
    """

    name = "product"
    theorem = "Theorem 3.5"

    def _size(self, d: int) -> int:
        return d * (d - 1) // 2

    def _labels(self, d: int) -> tuple[str, ...]:
        return tuple(f"ab={a},{b}" for a, b in itertools.combinations(range(1, d + 1), 2))

    def _eigenvectors(self, W: Array, norms: Array, positions: Array) -> Array:
        return _pair_products(W, math.sqrt(len(W) + 2) / _check_nonzero(norms), positions)

    def _limit(self, x: Array, norms: Array, positions: Array) -> Array:
        factors = np.zeros_like(norms)
        np.divide(self._factor(x.shape[1]), norms, out=factors, where=norms > 0)
        return _pair_products(x.T, factors, positions).T

    def _form_norms(self, x: Array, positions: Array) -> tuple[Array, Array]:
        d, squares = x.shape[1], x**2
        first, second = _pairs(d, positions)
        sums = squares[:, first] + squares[:, second]
        return np.full(len(positions), (d + 2) / 2, x.dtype), sums * ((d + 2) / 4)

    def _form(self, d: int, position: int) -> Array:
        a, b = self._axes(d, position)
        A = np.zeros((d, d))
        A[a, b] = A[b, a] = math.sqrt(d + 2) / 2
        return A

    def _axes(self, d: int, position: int) -> tuple[int, ...]:
        first, second = _pairs(d, np.array([position]))
        return int(first[0]), int(second[0])


#: The groups of the paper, and the auxiliary family of Lemma 3.3.
NORM = Norm()
COORDINATE = Coordinate()
CENTRED_SQUARE = CentredSquare()
SQUARE = Square()
PRODUCT = Product()

#: The four groups in the paper's order.
ALL: tuple[Group, ...] = (NORM, COORDINATE, SQUARE, PRODUCT)


def _check_nonzero(norms: Array) -> Array:
    """Return the norms of the columns of W, or raise a ValueError if one is zero."""
    if not norms.all():
        zero = int(np.flatnonzero(norms == 0)[0])
        raise ValueError(
            f"W must have no zero column, since this group divides by the norm of each; "
            f"column {zero} is zero"
        )
    return norms


def _pairs(d: int, positions: Array) -> tuple[Array, Array]:
    """Return the pairs a < b at these positions of their lexicographic order, from 0."""
    # Counted from the end, where row r + 1 from the bottom has r + 1 pairs, nothing cancels. The
    # square root lies between 2r + 1 and 2r + 3, so half of it gives r or r + 1 however it rounds.
    left = d * (d - 1) // 2 - 1 - positions
    r = (np.sqrt(8.0 * left + 1) / 2).astype(np.intp)
    r -= r * (r + 1) // 2 > left
    first = d - 2 - r
    return first, d - 1 - (left - r * (r + 1) // 2)


def _pair_products(A: Array, factors: Array, positions: Array) -> Array:
    """Return factors A_a A_b of rows, a < b, at these positions of the lexicographic order."""
    d, width = A.shape
    if len(positions) < d * (d - 1) // 2:
        first, second = _pairs(d, positions)
        products: Array = A[first]
        products *= factors
        products *= A[second]
        return products
    # The whole family: each block of pairs (a, a+1), ..., (a, d) is written in place, without
    # gathered copies of the rows.
    scaled = A * factors
    products = np.empty((len(positions), width), A.dtype)
    start = 0
    for a in range(d - 1):
        stop = start + d - 1 - a
        np.multiply(scaled[a], A[a + 1 :], out=products[start:stop])
        start = stop
    return products[positions] if (positions != np.arange(len(positions))).any() else products
