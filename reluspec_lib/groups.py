r"""The groups of approximate eigenvectors of the Fisher information, and what they learn.

Every vector of a group is :math:`v_j = q(w)`, w the j-th column of W, with a form

.. math:: q(w) = a \cdot w \qquad \text{or} \qquad q(w) = \frac{w \cdot A w}{|w|}, \quad A = A^\top.

All else follows from a or A. With :math:`\rho_d = d\, c_d / (d+1)`, c_d = ``sphere.relu_mean(d)``,

* the limit of the network's output is :math:`F(x) = \frac12 a \cdot x`, or
  :math:`\rho_d\, (q(x) + |x| \operatorname{tr} A)`;
* the second moment of a unit's share in it is :math:`\frac12 |a|^2 |x|^2 + (a \cdot x)^2`, or
  :math:`\frac{1}{2(d+4)} \big[(\operatorname{tr}^2\! A + 2 |A|^2) |x|^2
  + 4 \operatorname{tr} A\; x \cdot A x + 8 |A x|^2\big]`;
* the eigenvalue is ``harmonics.eigenvalue(d, k)``, with degree k = 1 for a, 0 for multiples of the
  identity and 2 for trace 0; any other A mixes the degrees 0 and 2.

The paper's groups are the members of ``ALL``, in its order; their vectors, d(d+3)/2 in number,
become orthonormal as m grows. ``CENTRED_SQUARE`` has the auxiliary vectors v_gg of Lemma 3.3.

========== =========== ===================================== ==============================
object     result      v_j                                   limit F(x)
========== =========== ===================================== ==============================
NORM       Theorem 3.1 \|w\| / sqrt(d)                       proportional to \|x\|
COORDINATE Theorem 3.2 w_l                                   x_l / 2
SQUARE     Theorem 3.4 v_gg + kappa v_dd                     F_gg + kappa F_dd
PRODUCT    Theorem 3.5 sqrt(d + 2) w_a w_b / \|w\|           proportional to x_a x_b / \|x\|
========== =========== ===================================== ==============================

:class:`Linear` and :class:`Quadratic` make groups of any a or A; :class:`Basis` puts the vectors
of several groups side by side.
"""

from __future__ import annotations

import itertools
import math
import operator
from abc import abstractmethod

import numpy as np

from reluspec_lib._forms import Form, Group, over
from reluspec_lib._own import Basis, Linear, Quadratic
from reluspec_lib._validation import Array, check_count

__all__ = ["ALL", "CENTRED_SQUARE", "COORDINATE", "NORM", "PRODUCT", "SQUARE"]
__all__ += ["Basis", "Form", "Group", "Linear", "Quadratic"]
__all__ += ["CentredSquare", "Coordinate", "Norm", "Product", "Square"]


class _Sparse(Group):
    """A group whose forms are one block, each time on other coordinates."""

    @abstractmethod
    def _parts(self, d: int, positions: Array) -> tuple[float, tuple[Array, ...], Array]:
        """Return the multiple of the identity, the axes and the block of the forms.

        Each axis is an array, of one coordinate per position, or of the one coordinate of all;
        those come first.
        """

    def _form_at(self, d: int, position: int) -> Form:
        multiple, axes, block = self._parts(d, np.array([position]))
        return Form(d, multiple, np.array([int(axis[0]) for axis in axes], np.intp), block)

    def _second_moments(self, z: Array, norms: Array, positions: Array) -> Array:
        multiple, axes, block = self._parts(len(z), positions)
        every = np.empty((len(axes), len(positions)), np.intp)
        for row, axis in zip(every, axes, strict=True):
            row[:] = axis
        return Form(len(z), multiple, every, block).second_moment(z, norms)

    def _values(self, z: Array, norms: Array, positions: Array, factor: float) -> Array:
        if not len(positions):
            return np.empty((0, z.shape[1]), z.dtype)
        multiple, axes, block = self._parts(len(z), positions)
        values = factor * multiple * norms
        for i, j in itertools.combinations_with_replacement(range(len(axes)), 2):
            weight = factor * float(block[i, j]) * (1 if i == j else 2)
            if not weight:
                continue
            other = _rows(z, axes[j])
            term = (other if i == j else _rows(z, axes[i])) * over(norms, weight)
            term *= other
            if values.any():
                term += values
            values = term
        return values if values.ndim == 2 else values[None].repeat(len(positions), axis=0)


class Norm(_Sparse):
    r"""Group 1: the norms of the columns of W learn the norm of x (Theorem 3.1).

    .. math:: v_j = |W^{(j)}| / \sqrt{d}, \qquad
              F_0(x) = \sqrt{d}\, c_d\, |x| = \frac{\sqrt{d}}{2\pi} B(d/2, 1/2)\, |x|, \qquad
              s^2(x) = \frac{d+2}{2d}\, |x|^2 - F_0(x)^2

    Eigenvalue :math:`(2d+1)/(4\pi)` in the paper, exactly :math:`d^2 c_d^2`.
    """

    name, theorem, degree, _label = "norm", "Theorem 3.1", 0, "0"

    def _size(self, d: int) -> int:
        return 1

    def _parts(self, d: int, positions: Array) -> tuple[float, tuple[Array, ...], Array]:
        return 1 / math.sqrt(d), (), np.empty((0, 0))


class Coordinate(_Sparse):
    r"""Group 2: the rows of W learn the coordinates of x (Theorem 3.2).

    .. math:: v_{l,j} = W_{lj}, \qquad F_l(x) = x_l / 2, \qquad
              s^2(x) = \tfrac12 |x|^2 + x_l^2 - F_l(x)^2, \qquad l = 1, \dots, d

    Eigenvalue 1/4, exact at every d.
    """

    name, theorem, degree, _label = "coordinate", "Theorem 3.2", 1, "l={}"

    def _size(self, d: int) -> int:
        return d

    def _parts(self, d: int, positions: Array) -> tuple[float, tuple[Array, ...], Array]:
        return 0.0, (positions,), np.ones(1)

    def _values(self, z: Array, norms: Array, positions: Array, factor: float) -> Array:
        values = _rows(z, positions)
        return np.array(values) if factor == 1 else factor * values


class CentredSquare(_Sparse):
    r"""The d auxiliary vectors of Lemma 3.3: squares of rows, less their part along the norm.

    .. math:: v_{gg,j} = \sqrt{\frac{d+2}{2}}\, \frac{W_{gj}^2 - |W^{(j)}|^2/d}{|W^{(j)}|}, \qquad
              F_{gg}(x) = \sqrt{\frac{d+2}{2}}\, \frac{d\, c_d}{d+1}
              \Big(\frac{x_g^2}{|x|} - \frac{|x|}{d}\Big), \qquad g = 1, \dots, d

    The variance of the fluctuations is that of SQUARE, with :math:`q_l` the entries of
    :math:`e_g - 1/d` and :math:`\frac{d-1}{d} |x|^2` in place of :math:`|x|^2`.

    Their squared norm tends to (d-1)/d and they sum to zero over g, so this family is not
    orthonormal and not a member of ``ALL``. Its span is that of SQUARE, with the same eigenvalue.
    """

    name, theorem, degree, _label = "centred square", "Lemma 3.3", 2, "gg={0},{0}"
    smallest_d = 2

    def _size(self, d: int) -> int:
        return d

    def _parts(self, d: int, positions: Array) -> tuple[float, tuple[Array, ...], Array]:
        c = math.sqrt((d + 2) / 2)
        return -c / d, (positions,), np.array([[c]])


class Square(_Sparse):
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

    name, theorem, degree, _label = "square", "Theorem 3.4", 2, "g={}"
    smallest_d = 2

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

    def _key(self) -> tuple[object, ...]:
        return (self._root,)

    def kappa(self, d: int) -> float:
        """Return the root kappa at input dimension d >= 2, or raise a ValueError."""
        return self.root / (math.sqrt(check_count("d", d, self.smallest_d)) - self.root)

    def _size(self, d: int) -> int:
        return d - 1

    def _parts(self, d: int, positions: Array) -> tuple[float, tuple[Array, ...], Array]:
        c, kappa = math.sqrt((d + 2) / 2), self.kappa(d)
        return -c * (1 + kappa) / d, (np.array([d - 1]), positions), np.diag([c * kappa, c])


class Product(_Sparse):
    r"""Group 3, second part: products of rows learn products of coordinates (Theorem 3.5).

    .. math:: v_{ab,j} = \sqrt{d+2}\, \frac{W_{aj} W_{bj}}{|W^{(j)}|}, \qquad
              F_{ab}(x) = \sqrt{d+2}\, \frac{d\, c_d}{d+1}\, \frac{x_a x_b}{|x|}, \qquad a < b, \\
              s^2(x) = \frac{d+2}{2(d+4)} \big(|x|^2 + 2 x_a^2 + 2 x_b^2\big) - F_{ab}(x)^2

    The pairs are in lexicographic order: (1,2), (1,3), ..., (d-1,d).
    Eigenvalue :math:`1/(2\pi(d+2))` in the paper, exactly :math:`d^2 c_d^2/(d+1)^2`.
    """

    name, theorem, degree = "product", "Theorem 3.5", 2
    smallest_d = 2

    def labels(self, d: int) -> tuple[str, ...]:  # noqa: D102
        d = check_count("d", d)
        return tuple(f"ab={a},{b}" for a, b in itertools.combinations(range(1, d + 1), 2))

    def _size(self, d: int) -> int:
        return d * (d - 1) // 2

    def _parts(self, d: int, positions: Array) -> tuple[float, tuple[Array, ...], Array]:
        half = math.sqrt(d + 2) / 2
        return 0.0, _pairs(d, positions), np.array([[0, half], [half, 0]])

    def _values(self, z: Array, norms: Array, positions: Array, factor: float) -> Array:
        d, size = len(z), self._size(len(z))
        if len(positions) != size or (positions != np.arange(size)).any():
            return super()._values(z, norms, positions, factor)
        # The whole family: each block of pairs (a, a+1), ..., (a, d) is written in place, without
        # gathered copies of the rows.
        weight = factor * math.sqrt(d + 2)
        scaled = z * over(norms, weight)
        values = np.empty((size, z.shape[1]), z.dtype)
        stop = 0
        for a in range(d - 1):
            start, stop = stop, stop + d - 1 - a
            np.multiply(scaled[a], z[a + 1 :], out=values[start:stop])
        return values


def _rows(z: Array, positions: Array) -> Array:
    """Return rows of z, without a copy where they follow each other."""
    if (
        len(positions)
        and (positions == np.arange(positions[0], positions[0] + len(positions))).all()
    ):
        rows: Array = z[positions[0] : positions[-1] + 1]
        return rows
    return z[positions]


def _pairs(d: int, positions: Array) -> tuple[Array, Array]:
    """Return the pairs a < b at these positions of their lexicographic order, from 0."""
    # Counted from the end, where row r + 1 from the bottom has r + 1 pairs, nothing cancels. The
    # square root lies between 2r + 1 and 2r + 3, so half of it gives r or r + 1 however it rounds.
    left = d * (d - 1) // 2 - 1 - positions
    r = (np.sqrt(8.0 * left + 1) / 2).astype(np.intp)
    r -= r * (r + 1) // 2 > left
    first = d - 2 - r
    return first, d - 1 - (left - r * (r + 1) // 2)


#: The groups of the paper, and the auxiliary family of Lemma 3.3.
NORM = Norm()
COORDINATE = Coordinate()
CENTRED_SQUARE = CentredSquare()
SQUARE = Square()
PRODUCT = Product()

#: The four groups in the paper's order.
ALL: tuple[Group, ...] = (NORM, COORDINATE, SQUARE, PRODUCT)
