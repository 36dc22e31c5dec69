"""What a method of learning returns: a path of readout weights, seen by group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from reluspec_lib import groups
from reluspec_lib._validation import Array
from reluspec_lib._values import ByValue
from reluspec_lib.groups import Group
from reluspec_lib.learning._algebra import along, coordinates
from reluspec_lib.learning._loss import unit
from reluspec_lib.learning.targets import Target
from reluspec_lib.spectrum import fisher

__all__ = ["Trajectory", "split"]

# Functions of which less than this is new, relative to the largest, depend on the others.
_DEPENDENT = 1e-10


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory(ByValue):
    """Readout weights along a path of learning, and the error of their function by group.

    Attributes
    ----------
    W : ndarray
        Shape (d, m), the hidden weights.
    target : Target or ndarray
        What was to be learned: a function, or readout weights of this network.
    times : ndarray
        Shape (T,); for a discrete method the number of steps times the step.
    readout : ndarray
        Shape (m, T), the readout weights at these times.
    start : ndarray
        Shape (m,), the readout weights at time 0.
    step : float or None
        The step of a discrete method, None for the flow.
    solver : str
        "dense" (eigendecomposition), "lanczos", "expm" (scipy's expm_multiply) or "sgd".
    products : int
        Products with J or J_n that "lanczos" took; 0 for the other solvers.
    """

    W: Array
    target: Target | Array
    times: Array
    readout: Array
    start: Array
    step: float | None
    solver: str
    products: int

    def along(self, group: Group) -> Array:
        """Return the coefficients of the limit functions of a group in f_v, v = v(t).

        Parameters
        ----------
        group : Group
            One of the paper's, or your own.

        Returns
        -------
        ndarray, shape (group.size(d), T)
            What E[f_v F_i] / E[F_i^2] is at every width, for x ~ N(0, I_d); v_i^T v(t), where the
            vectors of the group are of one degree and of norm 1 in the limit of large m.

        Raises
        ------
        ValueError
            If ``group`` is no group, or has no vectors at this d.
        """
        W, scale = unit(self.W)
        v = scale * self.readout
        if group in groups.ALL:
            return group.eigenvectors(W).T @ v
        basis = groups.Basis(groups.ALL, len(W))
        return along(group, len(W), basis.eigenvectors(W).T @ v)

    def error(self, group: Group) -> Array:
        r"""Return the mean square of the error's part in the span of a group's limit functions.

        .. math:: \sum_{i \in \text{group}} \lambda_i \big(c_i - v_i^\top v(t)\big)^2

        for the groups of the paper.

        Parameters
        ----------
        group : Group
            One of the paper's, or your own.

        Returns
        -------
        ndarray, shape (T,)

        Raises
        ------
        ValueError
            If ``group`` is no group, or has no vectors at this d.
        """
        return self._error(group, self.readout)

    def predicted(self, group: Group, eigenvalue: float | None = None) -> Array:
        """Return what the error of a group would be at infinite width, from the same start.

        Parameters
        ----------
        group : Group
            One of the paper's, or your own.
        eigenvalue : float, optional
            The rate; by default ``group.eigenvalue(d)``.

        Returns
        -------
        ndarray, shape (T,)
            The error at time 0 times exp(-2 lambda t), or times (1 - step lambda)^(2 s) after s
            steps. For SGD, without the noise of the gradients.

        Raises
        ------
        ValueError
            If ``group`` is no group, or has no vectors at this d, or no single eigenvalue and none
            is given.
        """
        first = self._error(group, self.start[:, None])
        if not first.any():
            return np.zeros(len(self.times))
        rate = group.eigenvalue(len(self.W)) if eigenvalue is None else eigenvalue
        if self.step is None:
            return first * np.exp(-2 * rate * self.times)
        decay: Array = np.abs(1 - self.step * rate) ** (2 * np.rint(self.times / self.step))
        return first * decay

    def risk(self) -> Array:
        """Return E(f_v(x) - y(x))^2 for x ~ N(0, I_d) and y without noise.

        Returns
        -------
        ndarray, shape (T,)
            Sum of the errors of all groups and the remainder. Exact, from the closed form of J.
        """
        W, v, function = self._away(self.readout)
        risk: Array = np.einsum("jt,jt->t", v, fisher.matvec(W, v))
        risk += function.power - 2 * function.moment(W) @ v
        return risk

    def remainder(self) -> Array:
        """Return the mean square of the error's part of degree 3 and more.

        Returns
        -------
        ndarray, shape (T,)
            Non-negative up to rounding.
        """
        basis, missing = self._missing(self.readout)
        rest: Array = self.risk() - basis.eigenvalues @ missing**2
        return rest

    def _away(self, readout: Array) -> tuple[Array, Array, Target]:
        """Return weights, readouts and a function: f_v - y is their network less the function."""
        offset, function = split(self.target, self.W)
        W, scale = unit(self.W)
        return W, scale * (readout - offset[:, None]), function

    def _missing(self, readout: Array) -> tuple[groups.Basis, Array]:
        """Return the error's coefficients along all limit functions of a basis."""
        W, v, function = self._away(readout)
        basis = groups.Basis(groups.ALL, len(W))
        return basis, function.coefficients[:, None] - basis.eigenvectors(W).T @ v

    def _error(self, group: Group, readout: Array) -> Array:
        if group in groups.ALL:
            W, v, function = self._away(readout)
            if not group.size(len(W)):
                return np.zeros(readout.shape[1])
            missing = function.along(group)[:, None] - group.eigenvectors(W).T @ v
            error: Array = group.eigenvalue(len(W)) * np.sum(missing**2, axis=0)
            return error
        rows = coordinates(group, len(self.W))
        basis, missing = self._missing(readout)
        roots = np.sqrt(basis.eigenvalues)[:, None]
        # Orthonormal functions of the group's span, which its own need not be.
        U = scipy.linalg.orth(roots * rows.T, rcond=_DEPENDENT)
        projection: Array = np.sum((U.T @ (roots * missing)) ** 2, axis=0)
        return projection


def split(target: Target | Array, W: Array) -> tuple[Array, Target]:
    """Return the target as readout weights of the network plus a function."""
    d, m = W.shape
    if isinstance(target, Target):
        return np.zeros(m), target
    return target, Target(d, np.zeros(d * (d + 3) // 2))
