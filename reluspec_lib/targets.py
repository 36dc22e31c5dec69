r"""Functions for the network to learn, with their exact moments against its features.

A target is a sum of limit functions F of the groups and of zonal harmonics of higher degree, all of
them \|x\| times a function of the direction of x. By the theorem of Funk and Hecke its moment
E[X(x)^T y(x)] with the features of any hidden weights W has a closed form,

.. math:: E_x[X(x)^\top F_i(x)] = \lambda_i v_i, \qquad
          E_x\big[\mathrm{ReLU}(w \cdot x)\, |x| P_k(e \cdot x/|x|)\big]
          = d\, b_k\, |w|\, P_k(e \cdot w/|w|),

v_i the group vector of F_i. So the loss of a network on a target needs no sampling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib import groups, harmonics
from reluspec_lib._validation import (
    Array,
    as_floating,
    check_count,
    check_inputs,
    check_number,
    check_weights,
)

__all__ = ["Target", "limit", "zonal"]

# Degrees from here on are those that no group has.
_FIRST_HIGHER = 3


@dataclass(frozen=True, eq=False)
class Target:
    r"""A function y(x) on R^d, made of limit functions and zonal harmonics.

    :func:`limit` and :func:`zonal` make targets of one term. Targets of one dimension d can be
    added, subtracted and multiplied by numbers; ``target(x)`` is the value at inputs x.

    Attributes
    ----------
    d : int
        Input dimension.
    coefficients : ndarray
        Shape (d(d+3)/2,), the coefficient of each limit function, in the order of ``groups.ALL``.
    harmonics : tuple
        Triples (a, k, e): the terms a \|x\| P_k(e.x/\|x\|) of degree k >= 3, e a unit vector.

    Examples
    --------
    >>> target = limit(groups.NORM, 10) - 2 * limit(groups.PRODUCT, 10)
    >>> target.coefficients[[0, 20]].tolist(), round(target.power, 4)
    ([1.0, -2.0], 1.7283)
    """

    d: int
    coefficients: Array
    harmonics: tuple[tuple[float, int, Array], ...] = ()

    def __post_init__(self) -> None:
        shape = (self.d * (self.d + 3) // 2,)
        if self.coefficients.shape != shape:
            raise ValueError(
                f"coefficients must have shape {shape}, got shape {self.coefficients.shape}"
            )

    def __call__(self, x: ArrayLike) -> Array:
        """Return the values at inputs x.

        Parameters
        ----------
        x : array_like, shape (n, d) or (d,)
            Inputs.

        Returns
        -------
        y : ndarray, shape (n,) or ()

        Raises
        ------
        ValueError
            If ``x`` is not a finite array of this dimension.
        """
        x = check_inputs(x)
        if x.shape[-1] != self.d:
            raise ValueError(
                f"x must have the {self.d} coordinates of the target, got shape {x.shape}"
            )
        rows = np.atleast_2d(x)
        y = np.zeros(len(rows), x.dtype)
        for group in groups.ALL:
            found = self.along(group)
            used = np.flatnonzero(found)
            if used.size:
                y += group.limit(rows, used.tolist()) @ found[used].astype(x.dtype)
        for a, k, e in self.harmonics:
            y += a * _zonal(rows, k, e)
        return y.reshape(x.shape[:-1])

    def along(self, group: groups.Group) -> Array:
        """Return the coefficients along the limit functions of one group.

        Parameters
        ----------
        group : Group
            A member of ``groups.ALL``.

        Returns
        -------
        ndarray, shape (group.size(d),)

        Raises
        ------
        ValueError
            If the group is not a member of ``groups.ALL``.
        """
        return self.coefficients[_positions(group, self.d)]

    def moment(self, W: ArrayLike) -> Array:
        """Return E[X(x)^T y(x)] for x ~ N(0, I_d), exact for every W.

        Parameters
        ----------
        W : array_like, shape (d, m)
            Hidden weights without a zero column.

        Returns
        -------
        b : ndarray, shape (m,), float64

        Raises
        ------
        ValueError
            If ``W`` is not a finite (d, m) array with this d, or has a zero column.

        Examples
        --------
        >>> limit(groups.COORDINATE, 2).moment([[3.0, 0.0], [4.0, 1.0]]).tolist()
        [0.75, 0.0]
        """
        W = check_weights(W).astype(np.float64, copy=False)
        if len(W) != self.d:
            raise ValueError(
                f"W must have shape (d, m) with the target's d = {self.d}, got shape {W.shape}"
            )
        b = np.zeros(W.shape[1])
        for group in groups.ALL:
            found = self.along(group)
            used = np.flatnonzero(found)
            if used.size:
                V = group.eigenvectors(W, used.tolist())
                b += group.eigenvalue(self.d) * (V @ found[used])
        for a, k, e in self.harmonics:
            b += a * self.d * harmonics.relu_coefficient(self.d, k) * _zonal(W.T, k, e)
        return b

    @property
    def power(self) -> float:
        """The mean square E y(x)^2 for x ~ N(0, I_d)."""
        total = 0.0
        for group in groups.ALL:
            if group.size(self.d):
                total += group.eigenvalue(self.d) * float(np.sum(self.along(group) ** 2))
        for a, k, e in self.harmonics:
            for other_a, other_k, other_e in self.harmonics:
                if k == other_k:
                    # The reproducing kernel of degree k is N(d, k) P_k, and E|x|^2 = d.
                    cosine = min(1.0, max(-1.0, float(e @ other_e)))
                    overlap = float(harmonics.zonal(self.d, k, cosine))
                    total += a * other_a * self.d * overlap / harmonics.dimension(self.d, k)
        return total

    def __add__(self, other: Target) -> Target:
        if not isinstance(other, Target):
            return NotImplemented
        if other.d != self.d:
            raise ValueError(f"targets must have one dimension, got {self.d} and {other.d}")
        coefficients = self.coefficients + other.coefficients
        return Target(self.d, coefficients, self.harmonics + other.harmonics)

    def __mul__(self, factor: float) -> Target:
        factor = check_number("factor", factor)
        terms = tuple((factor * a, k, e) for a, k, e in self.harmonics)
        return Target(self.d, factor * self.coefficients, terms)

    __rmul__ = __mul__

    def __neg__(self) -> Target:
        return -1.0 * self

    def __sub__(self, other: Target) -> Target:
        return self + (-other) if isinstance(other, Target) else NotImplemented


def limit(group: groups.Group, d: int, column: int = 0) -> Target:
    """Return the limit function F of one vector of a group as a target.

    Parameters
    ----------
    group : Group
        A member of ``groups.ALL``.
    d : int
        Input dimension.
    column : int
        Which vector of the group, as a position in ``group.labels(d)``.

    Returns
    -------
    Target

    Raises
    ------
    ValueError
        If the group is not a member of ``groups.ALL`` or has no such vector at this d.

    Examples
    --------
    >>> limit(groups.COORDINATE, 3, column=2)([[0.0, 0.0, 5.0]]).tolist()
    [2.5]
    """
    d, column = check_count("d", d), check_count("column", column, minimum=0)
    positions = np.arange(d * (d + 3) // 2)[_positions(group, d)]
    if column >= len(positions):
        raise ValueError(
            f"column must be an integer >= 0 and < {len(positions)}, the size of the group "
            f"{group.name} at d = {d}, got {column}"
        )
    coefficients = np.zeros(d * (d + 3) // 2)
    coefficients[positions[column]] = 1
    return Target(d, coefficients)


def zonal(d: int, k: int, direction: ArrayLike | None = None) -> Target:
    r"""Return the zonal harmonic \|x\| P_k(e.x/\|x\|) of a degree that no group has.

    Parameters
    ----------
    d : int
        Input dimension, at least 2.
    k : int
        Degree, at least 3. Odd ones are orthogonal to all features: no readout learns them.
    direction : array_like, shape (d,), optional
        The axis e, of any length but 0; by default the first coordinate.

    Returns
    -------
    Target

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> zonal(3, 4)([0.0, 0.0, 2.0]).item()
    0.75
    """
    d, k = check_count("d", d, 2), check_count("k", k, _FIRST_HIGHER)
    e = as_floating("direction", np.eye(d)[0] if direction is None else direction)
    e = e.astype(np.float64, copy=False)
    length = float(np.linalg.norm(e))
    if e.shape != (d,) or length == 0:
        raise ValueError(f"direction must be a non-zero vector of shape ({d},), got {direction!r}")
    return Target(d, np.zeros(d * (d + 3) // 2), ((1.0, k, e / length),))


def _positions(group: groups.Group, d: int) -> slice:
    """Return where the coefficients of a group stand."""
    start = 0
    for member in groups.ALL:
        if member is group:
            return slice(start, start + group.size(d))
        start += member.size(d)
    raise ValueError(f"group must be a member of groups.ALL, got {group!r}")


def _zonal(x: Array, k: int, e: Array) -> Array:
    """Return |x| P_k(e.x/|x|) for the rows x, and 0 at 0."""
    lengths = np.linalg.norm(x, axis=1)
    cosines = np.divide(x @ e, lengths, out=np.zeros(len(x)), where=lengths > 0)
    values: Array = lengths * harmonics.zonal(x.shape[1], k, np.clip(cosines, -1, 1))
    return values
