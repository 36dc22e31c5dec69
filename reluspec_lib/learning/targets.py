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

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib import groups, harmonics
from reluspec_lib._lengths import measured, restored
from reluspec_lib._validation import (
    Array,
    as_floating,
    check_count,
    check_inputs,
    check_number,
    check_weights,
)
from reluspec_lib.groups import Group
from reluspec_lib.learning._algebra import Combination, along, checked, expanded

__all__ = ["Target", "limit", "zonal"]

# Degrees from here on are those that no group has.
_FIRST_HIGHER = 3

# A target shows no more terms than this.
_SHOWN = 4


class Target(Combination):
    r"""A function y(x) on R^d, made of limit functions and zonal harmonics.

    :func:`limit` and :func:`zonal` make targets of one term. Targets of one dimension d can be
    added, subtracted, summed by ``sum``, and multiplied and divided by numbers; ``target(x)`` is
    the value at inputs x. Targets with the same terms are equal. Memory grows with the number of
    terms.

    Parameters
    ----------
    d : int
        Input dimension.
    coefficients : array_like, shape (d(d+3)/2,)
        The coefficient of each limit function, in the order of ``groups.ALL``.
    harmonics : sequence of tuple
        Triples (a, k, e): the terms a \|x\| P_k(e.x/\|x\|) of degree k >= 3, e a unit vector.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> target = limit(groups.NORM, 10) - 2 * limit(groups.PRODUCT, 10)
    >>> target
    <target at d = 10: 1 norm[0] - 2 product[0]>
    >>> target.coefficients[[0, 20]].tolist(), round(target.power, 4)
    ([1.0, -2.0], 1.7283)
    """

    def __init__(
        self,
        d: int,
        coefficients: ArrayLike,
        harmonics: Sequence[tuple[float, int, ArrayLike]] = (),
    ) -> None:
        d = check_count("d", d)
        shape = (d * (d + 3) // 2,)
        values = as_floating("coefficients", coefficients).astype(np.float64)
        if values.shape != shape:
            raise ValueError(f"coefficients must have shape {shape}, got shape {values.shape}")
        terms: dict[tuple[int, tuple[float, ...]], float] = {}
        for term in harmonics:
            a, k, e = _check_harmonic(d, term)
            terms[k, e] = terms.get((k, e), 0.0) + a
        self._set(d, np.arange(len(values)), values, terms)

    @property
    def d(self) -> int:
        """Input dimension."""
        return self._d

    @property
    def coefficients(self) -> Array:
        """The coefficient of each limit function, shape (d(d+3)/2,), in the order of the groups."""
        coefficients = np.zeros(self._d * (self._d + 3) // 2)
        coefficients[self._positions] = self._values
        return coefficients

    @property
    def harmonics(self) -> tuple[tuple[float, int, Array], ...]:
        r"""The terms a \|x\| P_k(e.x/\|x\|), as triples (a, k, e)."""
        return tuple((a, k, np.array(e)) for (k, e), a in self._terms.items())

    def __repr__(self) -> str:
        terms = [
            (values[i], f"{group.name}[{column}]")
            for group, columns, values in self._parts()
            for i, column in enumerate(columns)
        ]
        terms += [(a, f"zonal of degree {k}") for (k, _), a in self._terms.items()]
        text = " + ".join(f"{a:.4g} {name}" for a, name in terms[:_SHOWN]) or "0"
        text = text.replace("+ -", "- ")
        more = f" + ... ({len(terms)} terms)" if len(terms) > _SHOWN else ""
        return f"<target at d = {self._d}: {text}{more}>"

    def _parts(self) -> Iterator[tuple[Group, Array, Array]]:
        """Yield each group that has terms, with the columns and their coefficients."""
        basis = groups.Basis(groups.ALL, self._d)
        for group in basis.groups:
            part = basis.columns(group)
            first, last = np.searchsorted(self._positions, [part.start, part.stop])
            if first < last:
                yield group, self._positions[first:last] - part.start, self._values[first:last]

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
        return self._at(np.atleast_2d(x)).reshape(x.shape[:-1])

    def _at(self, x: Array) -> Array:
        """Return the values at inputs that are checked, shape (n, d)."""
        z, norms, powers = measured(x.T, axis=0)
        y = np.zeros(len(x), x.dtype)
        for group, columns, values in self._parts():
            y += values.astype(x.dtype) @ group._limit(z, norms, columns)
        for (k, e), a in self._terms.items():
            y += a * _zonal(z, norms, k, e)
        return restored(y, powers)

    def along(self, group: Group) -> Array:
        """Return the coefficients E[y F_i] / E[F_i^2] along the limit functions of one group.

        Parameters
        ----------
        group : Group
            One of the paper's, or your own.

        Returns
        -------
        ndarray, shape (group.size(d),)

        Raises
        ------
        ValueError
            If ``group`` is no group, or has no vectors at this d.
        """
        if group not in groups.ALL:
            return along(group, self._d, self.coefficients[:, None])[:, 0]
        coefficients = np.zeros(group.size(self._d))
        for found, columns, values in self._parts():
            if found == group:
                coefficients[columns] = values
        return coefficients

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
        return self._moment(W)

    def _moment(self, W: Array) -> Array:
        """Return the moment for weights that are checked."""
        W, norms, powers = measured(W, axis=0)
        b = np.zeros(len(norms))
        for group, columns, values in self._parts():
            b += group.eigenvalue(self.d) * (values @ group._vectors(W, norms, columns))
        for (k, e), a in self._terms.items():
            b += a * self.d * harmonics.relu_coefficient(self.d, k) * _zonal(W, norms, k, e)
        return restored(b, powers)

    @property
    def power(self) -> float:
        """The mean square E y(x)^2 for x ~ N(0, I_d)."""
        total = 0.0
        for group, _, values in self._parts():
            total += group.eigenvalue(self.d) * float(np.sum(values**2))
        for (k, e), a in self._terms.items():
            for (other_k, other_e), b in self._terms.items():
                if k == other_k:
                    # The reproducing kernel of degree k is N(d, k) P_k, and E|x|^2 = d.
                    cosine = min(1.0, max(-1.0, float(np.dot(e, other_e))))
                    overlap = float(harmonics.zonal(self.d, k, cosine))
                    total += a * b * self.d * overlap / harmonics.dimension(self.d, k)
        return total


def limit(group: Group, d: int, column: int = 0) -> Target:
    """Return the limit function F of one vector of a group as a target.

    Parameters
    ----------
    group : Group
        One of the paper's, or your own: every limit function is a sum of those of ``groups.ALL``.
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
        If ``group`` is no group, or has no such vector at this d.

    Examples
    --------
    >>> limit(groups.COORDINATE, 3, column=2)([[0.0, 0.0, 5.0]]).tolist()
    [2.5]
    >>> limit(groups.Linear("mean", [[0.5, 0.5]]), 2)
    <target at d = 2: 0.5 coordinate[0] + 0.5 coordinate[1]>
    """
    form = checked(group).form(d, column)
    if group not in groups.ALL:
        return Target(form.d, expanded(form))
    position = groups.Basis(groups.ALL, form.d).columns(group).start + int(column)
    return Target._of(form.d, np.array([position]), np.ones(1), {})


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
    given = np.arange(d) == 0 if direction is None else direction
    axis = np.array(as_floating("direction", given), dtype=np.float64)
    if axis.shape != (d,) or not axis.any():
        raise ValueError(f"direction must be a non-zero vector of shape ({d},), got {direction!r}")
    scaled, length, _ = measured(axis[None], axis=1)
    none = np.zeros(0, np.intp)
    return Target._of(d, none, none, {(k, tuple((scaled[0] / length).tolist())): 1.0})


def _check_harmonic(
    d: int, term: tuple[float, int, ArrayLike]
) -> tuple[float, int, tuple[float, ...]]:
    try:
        a, k, e = term
    except (TypeError, ValueError):
        raise ValueError(f"harmonics must be triples (a, k, e), got {term!r}") from None
    degree, axis = next(iter(zonal(d, k, e)._terms))
    if not np.allclose(axis, e, rtol=0, atol=1e-12):
        raise ValueError(f"harmonics must have unit vectors e, got {e!r}")
    return check_number("a", a), degree, axis


def _zonal(z: Array, norms: Array, k: int, e: tuple[float, ...]) -> Array:
    """Return |x| P_k(e.x/|x|) for the columns x of z, of these norms, and 0 at 0."""
    cosines = e @ z / np.where(norms > 0, norms, 1)
    values: Array = norms * harmonics.zonal(len(z), k, np.clip(cosines, -1, 1))
    return values
