"""Groups of a reader's own, and the vectors of several groups side by side."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib._forms import Form, Group, over, side_by_side
from reluspec_lib._validation import Array, as_floating, check_count, check_inputs, check_weights

__all__ = ["Basis", "Linear", "Quadratic"]

# Traces and asymmetries of given forms are 0 up to this, relative to the size of the form.
_ROUNDING = 1e-12


class _Given(Group):
    """A group of forms that a reader gives, at the one dimension that they have."""

    theorem, _label = "", "k={}"

    def __init__(self, name: str, argument: str, forms: ArrayLike, axes: int) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(f"name must be a string with at least one letter, got {name!r}")
        array = as_floating(argument, forms).astype(np.float64) + 0.0  # a copy, without -0
        shape = "(K, d)" if axes == 1 else "(K, d, d)"
        if array.ndim != axes + 1 or array.shape[1] != array.shape[-1]:
            raise ValueError(f"{argument} must have shape {shape}, got shape {array.shape}")
        empty = ~array.any(axis=tuple(range(1, axes + 1)))
        if empty.any():
            raise ValueError(
                f"{argument} must be other than 0, got {argument[:-1]} {empty.argmax()} of zeros"
            )
        self.name, self.smallest_d, self._forms = name, array.shape[-1], array

    def __repr__(self) -> str:
        digest = zlib.crc32(self._forms.tobytes())
        return (
            f"<group {self.name!r}, {type(self).__name__.lower()} {self._forms.shape}, {digest:x}>"
        )

    def _key(self) -> tuple[object, ...]:
        return self.name, self._forms.shape, self._forms.tobytes()

    def _size(self, d: int) -> int:
        if d != self.smallest_d:
            raise ValueError(
                f"d must be {self.smallest_d}, that of the forms of {self.name}, got {d}"
            )
        return len(self._forms)

    def _form_at(self, d: int, position: int) -> Form:
        return Form(d, 0.0, np.arange(d), self._forms[position].copy())


class Linear(_Given):
    """A group of your own, of vectors v_j = a . w for given a.

    Parameters
    ----------
    name : str
        Its name.
    rows : array_like, shape (K, d)
        One a per row, other than 0. The group has these K vectors, at this d only.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> mean = Linear("mean", [[0.5, 0.5, 0.5, 0.5]])
    >>> mean.limit([1.0, 2.0, 3.0, 6.0]), mean.eigenvalue(4)
    (array([3.]), 0.25)
    """

    degree = 1

    def __init__(self, name: str, rows: ArrayLike) -> None:
        super().__init__(name, "rows", rows, 1)

    def _values(self, z: Array, norms: Array, positions: Array, factor: float) -> Array:
        values: Array = (factor * self._forms[positions]).astype(z.dtype) @ z
        return values


class Quadratic(_Given):
    r"""A group of your own, of vectors v_j = w . A w / \|w\| for given symmetric A.

    Parameters
    ----------
    name : str
        Its name.
    forms : array_like, shape (K, d, d)
        The matrices A, symmetric and other than 0. The group has these K vectors, at this d only.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> from reluspec_lib import groups
    >>> saddle = Quadratic("saddle", [[[1.0, 0.0], [0.0, -1.0]]])
    >>> saddle.eigenvalue(2) == groups.SQUARE.eigenvalue(2)
    True
    """

    def __init__(self, name: str, forms: ArrayLike) -> None:
        super().__init__(name, "forms", forms, 2)
        A, d = self._forms, self.smallest_d
        size, turned = np.abs(A).max(axis=(1, 2), keepdims=True), A.swapaxes(1, 2)
        skew = np.abs(A - turned) > _ROUNDING * size
        if skew.any():
            k, a, b = np.argwhere(skew)[0]
            raise ValueError(
                f"forms must be symmetric, got form {k} with {A[k, a, b]} at ({a}, {b}) and "
                f"{A[k, b, a]} at ({b}, {a})"
            )
        self._forms = (A + turned) / 2
        means = np.trace(A, axis1=1, axis2=2)[:, None, None] / d
        isotropic = (np.abs(A - means * np.eye(d)) <= _ROUNDING * size).all()
        traceless = (np.abs(means) <= _ROUNDING * size).all()
        self.degree = 0 if isotropic else 2 if traceless else None

    def _values(self, z: Array, norms: Array, positions: Array, factor: float) -> Array:
        values = np.empty((len(positions), z.shape[1]), z.dtype)
        for row, A in zip(values, self._forms[positions].astype(z.dtype), strict=True):
            np.einsum("ln,ln->n", A @ z, z, out=row)
        values *= over(norms, factor)
        return values


class Basis:
    """The vectors of several groups at one input dimension, side by side.

    Parameters
    ----------
    groups : sequence of Group
        Different groups, such as ``ALL``; their vectors stand in this order.
    d : int
        Input dimension.

    Raises
    ------
    ValueError
        If ``groups`` is no such sequence, or ``d`` not an integer >= 1 that all of them have.

    Examples
    --------
    >>> from reluspec_lib import groups
    >>> basis = Basis(groups.ALL, 3)
    >>> basis.labels[:2], basis.columns(groups.PRODUCT)
    (('norm 0', 'coordinate l=1'), slice(6, 9, None))
    >>> basis.eigenvectors([[3.0], [4.0], [0.0]]).shape, basis.limit([3.0, 4.0, 0.0]).shape
    ((1, 9), (9,))
    """

    def __init__(self, groups: Iterable[Group], d: int) -> None:
        members = tuple(groups) if isinstance(groups, Iterable) else ()
        if not members or not all(isinstance(group, Group) for group in members):
            raise ValueError(f"groups must be a sequence such as groups.ALL, got {groups!r}")
        if len(set(members)) < len(members):
            raise ValueError(f"groups must be different, got {groups!r}")
        self.groups, self.d = members, check_count("d", d)
        self._starts = [0, *itertools.accumulate(size for _, size in self._sizes())]

    def _sizes(self) -> list[tuple[Group, int]]:
        return [(group, group.size(self.d)) for group in self.groups]

    @property
    def size(self) -> int:
        """The number of vectors."""
        return self._starts[-1]

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of the group and the label in it, for each vector."""
        return tuple(f"{g.name} {label}" for g in self.groups for label in g.labels(self.d))

    @property
    def eigenvalues(self) -> Array:
        """The eigenvalue of each vector in the limit of large m, shape (size,)."""
        values = [np.full(n, group.eigenvalue(self.d)) for group, n in self._sizes() if n]
        return np.concatenate(values)

    def columns(self, group: Group) -> slice:
        """Return where the vectors of one of the groups stand, or raise a ValueError."""
        if group not in self.groups:
            raise ValueError(f"group must be one of {self.groups!r}, got {group!r}")
        index = self.groups.index(group)
        return slice(self._starts[index], self._starts[index + 1])

    def eigenvectors(self, W: ArrayLike) -> Array:
        """Return all vectors at hidden weights W (d, m), shape (m, size), or raise a ValueError."""
        return self._eigenvectors(check_weights(W))

    def _eigenvectors(self, W: Array) -> Array:
        if len(W) != self.d:
            raise ValueError(f"W must have shape ({self.d}, m), got shape {W.shape}")
        return side_by_side(W, [(group._vectors, np.arange(n)) for group, n in self._sizes()])

    def limit(self, x: ArrayLike) -> Array:
        """Return all limits at x, (n, d) or (d,), shape (n, size) or (size,), or a ValueError."""
        x = check_inputs(x)
        if x.shape[-1] != self.d:
            raise ValueError(f"x must have {self.d} coordinates, got shape {x.shape}")
        parts = [(group._limit, np.arange(n)) for group, n in self._sizes()]
        F = side_by_side(np.atleast_2d(x).T, parts)
        return F if x.ndim == 2 else F[0]
