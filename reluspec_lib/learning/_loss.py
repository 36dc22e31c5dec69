r"""The quadratic losses of the readout weights, and functions of their matrix.

Gradient methods on v^T A v/2 - b^T v change v by growth(A) (b - A v), where growth is a function of
the eigenvalues for each time. A is the Fisher information J, or J_n on a sample. The force b - A v
lies in the range of A. So eigenvalues that rounding cannot tell from 0 count as 0, and nothing is
learned along them: there the force would be rounding, multiplied by the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.linalg
from scipy.sparse.linalg import LinearOperator, expm_multiply

from reluspec_lib._threads import single
from reluspec_lib._validation import Array
from reluspec_lib.spectrum import fisher

__all__ = ["MOST_PRODUCTS", "Population", "Sample", "exponential", "solve", "unit"]

# Up to this many units or inputs an eigendecomposition is quick; beyond, Lanczos.
_DENSE_SIDE = 400

# Up to this width J is held, 50 MB; beyond, each product computes it anew.
_HELD_WIDTH = 2500

_EPS = float(np.finfo(np.float64).eps)

# What the last Lanczos steps may still have changed, relative to the norm of the solution. Rounding
# of the force in the directions of small eigenvalues grows with time, until these directions are
# learned, and that is the other limit.
_TOLERANCE = 1e-13
_ROUNDING = 0.1 * _EPS

# Products that scipy's expm_multiply may take, about: a minute for the largest J that is held.
MOST_PRODUCTS = 100_000

Growth = Callable[[Array], Array]


def unit(array: Array) -> tuple[Array, float]:
    """Return an array over a power of two, for exact scaling, and that power.

    The power is at most twice the largest entry, if this is not below 2^-1001; it is 1 for zeros.
    """
    largest = float(np.abs(array).max(initial=0))
    scale = 2.0 ** min(max(math.frexp(largest)[1], -1000), 1000)
    return array / scale, scale


def length_of(vector: Array) -> float:
    """Return the Euclidean norm of a vector of any size."""
    scaled, scale = unit(vector)
    return scale * float(np.linalg.norm(scaled))


def unlearned(values: Array, size: int) -> Array:
    """Return which eigenvalues cannot be told from 0, given the size of the matrix."""
    below: Array = values <= size * _EPS * values.max(initial=0)
    return below


class Population:
    """The loss over all inputs: its matrix A is J.

    ``force`` is its negative gradient where learning starts, ``top`` close to the leading
    eigenvector of A.
    """

    def __init__(self, W: Array) -> None:
        self.W, self.side, self.trace = W, W.shape[1], fisher.trace(W)
        self.A = fisher.matrix(W) if self.side <= _HELD_WIDTH else fisher.operator(W)
        self.top = np.linalg.norm(W, axis=0)
        self.force = np.zeros(self.side)

    def decomposed(self) -> tuple[Array, Array, Array]:
        """Return (values, U, w): the solution is U (growth(values) w)."""
        held = isinstance(self.A, np.ndarray)
        values, U = scipy.linalg.eigh(self.A if held else fisher.matrix(self.W))
        return values, U, U.T @ self.force


class Sample:
    """The loss over inputs with features X: its matrix A is J_n = X^T X/n.

    ``residual`` are responses less outputs where learning starts.
    """

    def __init__(self, X: Array) -> None:
        def product(V: Array) -> Array:
            found: Array = X.T @ (X @ V)
            return found / len(X)

        self.X, self.side = X, min(X.shape)
        self.A = LinearOperator(2 * X.shape[1:], product, matmat=product, dtype=X.dtype)
        self.trace = float(np.einsum("ij,ij->", X, X)) / len(X)
        self.top = X.sum(axis=0)
        self.residual = np.zeros(len(X))

    @property
    def force(self) -> Array:
        force: Array = self.X.T @ self.residual / len(self.X)
        return force

    def decomposed(self) -> tuple[Array, Array, Array]:
        """Return (values, U, w): the solution is U (growth(values) w)."""
        n, m = self.X.shape
        if n >= m:
            values, U = scipy.linalg.eigh(fisher.empirical(self.X))
            return values, U, U.T @ self.force
        # Seen from the inputs: growth(X^T X/n) X^T = X^T growth(X X^T/n).
        values, P = scipy.linalg.eigh(fisher.empirical(self.X.T) * (m / n))
        return values, self.X.T @ P, P.T @ self.residual / n


def solve(loss: Population | Sample, growth: Growth, solver: str | None) -> tuple[str, Array, int]:
    """Return the solver, growth(A) force for all times, and the number of products."""
    small = loss.side <= _DENSE_SIDE
    if solver is None:
        solver = "dense" if small else "lanczos"
    with single(small or solver == "lanczos"):
        if solver == "dense":
            values, U, w = loss.decomposed()
            return solver, U @ (learned(growth, values, loss.side) * w[:, None]), 0
        return solver, *lanczos(loss.A, loss.force, growth)


def learned(growth: Growth, values: Array, size: int) -> Array:
    """Return growth of eigenvalues, and 0 for those that count as 0."""
    grown = growth(np.maximum(values, 0))
    grown[unlearned(values, size)] = 0
    return grown


def lanczos(A: Array | LinearOperator, force: Array, growth: Growth) -> tuple[Array, int]:
    """Return growth(A) force by Lanczos with full reorthogonalisation, and the products taken."""
    length, size = length_of(force), len(force)
    basis = np.empty((min(size, 64), size))
    diagonal: list[float] = []
    beside: list[float] = []
    before, last_change, next_check = np.zeros((0, 0)), np.inf, 4
    times = growth(np.zeros(1))[0]
    if length == 0:
        return np.zeros((size, len(times))), 0
    q = force / length
    while True:
        k = len(diagonal)
        if k == len(basis):
            basis = np.concatenate([basis, np.empty((min(k, size - k), size))])
        basis[k] = q
        q = A @ q
        diagonal.append(float(basis[k] @ q))
        # Twice is enough: what the first pass leaves along the basis is rounding.
        for _ in range(2):
            q -= basis[: k + 1].T @ (basis[: k + 1] @ q)
        norm = float(np.linalg.norm(q))
        finished = k + 1 == size or norm <= 1e-15 * max(map(abs, diagonal))
        if finished or k + 1 == next_check:
            values, S = scipy.linalg.eigh_tridiagonal(diagonal, beside)
            y = S @ (learned(growth, values, size) * S[0][:, None])
            finished |= not np.isfinite(y).all()
            if len(before):
                changed = y.copy()
                changed[: len(before)] -= before
                sizes = np.linalg.norm(y, axis=0)
                least = values[~unlearned(values, size)].min(initial=np.inf)
                grown = np.minimum(times, 1 / least)
                allowed = np.maximum(_TOLERANCE, _ROUNDING * values[-1] * grown)
                allowed *= np.where(sizes, sizes, 1)
                change = float(np.max(np.linalg.norm(changed, axis=0) / allowed))
                # Changes that shrink slowly add up: their sum as a geometric series.
                ratio = min(change / last_change, 0.99)
                finished |= change / (1 - ratio) <= 1
                last_change = change
            if finished:
                return length * (basis[: k + 1].T @ y), k + 1
            before, next_check = y, k + 1 + max(4, k // 8)
        beside.append(norm)
        q = q / norm


def exponential(loss: Population | Sample, times: Array) -> Array:
    """Return the change v(t) - v(0) by the exponential of a matrix with one more row.

    The change w solves w' = -A w + force. With a constant s as a last entry this is linear:
    (w, s)' = ((-A, force/s), (0, 0)) (w, s).
    """
    A, force = loss.A, loss.force
    size, length = len(force), length_of(force)
    change = np.zeros((size, len(times)))
    if length == 0:
        return change
    pull = force / length

    def forward(Z: Array) -> Array:
        Z = Z.reshape(size + 1, -1)
        return np.vstack([pull[:, None] * Z[-1] - A @ Z[:-1], np.zeros(Z.shape[1])])

    def backward(Z: Array) -> Array:
        Z = Z.reshape(size + 1, -1)
        return np.vstack([-(A @ Z[:-1]), pull @ Z[:-1]])

    augmented = LinearOperator(
        2 * (size + 1,), forward, backward, matmat=forward, rmatmat=backward, dtype=np.float64
    )
    state, now = np.append(np.zeros(size), 1.0), 0.0
    with single():
        for position, time in enumerate(times):
            span = time - now
            if span > 0:
                state = expm_multiply(span * augmented, state, traceA=-span * loss.trace)
            change[:, position], now = length * state[:-1], time
    return change
