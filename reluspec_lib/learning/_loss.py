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
from scipy.sparse.linalg import LinearOperator, eigsh, expm_multiply

from reluspec_lib._validation import Array
from reluspec_lib.network import features
from reluspec_lib.spectrum import fisher

__all__ = [
    "MOST_PRODUCTS",
    "Population",
    "Sample",
    "exponential",
    "power_of_two",
    "single_input_bound",
    "solve",
]

# Up to this many units or inputs an eigendecomposition is quick; beyond, Lanczos.
_DENSE_SIDE = 400

# Up to this width J is held, 50 MB; beyond, each product computes it anew.
_HELD_WIDTH = 2500

# Entries of a block of pairs of units: some arrays of 2 MB.
_BLOCK = 250_000

_EPS = float(np.finfo(np.float64).eps)

# What the last Lanczos steps may still have changed, relative to the norm of the solution. Rounding
# of the force in the directions of small eigenvalues grows with time, until these directions are
# learned, and that is the other limit.
_TOLERANCE = 1e-13
_ROUNDING = 0.1 * _EPS

# Products that scipy's expm_multiply may take, about: a minute for the largest J that is held.
MOST_PRODUCTS = 100_000

Growth = Callable[[Array], Array]


def power_of_two(array: Array) -> float:
    """Return a power of two that is at most twice the largest entry, for exact scaling."""
    largest = float(np.abs(array).max(initial=0))
    return 2.0 ** min(max(math.frexp(largest)[1], -1000), 1000) if largest else 1.0


def length_of(vector: Array) -> float:
    """Return the Euclidean norm of a vector of any size."""
    scale = power_of_two(vector)
    return scale * float(np.linalg.norm(vector / scale))


def unlearned(values: Array, size: int) -> Array:
    """Return which eigenvalues cannot be told from 0, given the size of the matrix."""
    below: Array = values <= size * _EPS * values.max(initial=0)
    return below


class Population:
    """The loss over all inputs: its matrix is J."""

    def __init__(self, W: Array) -> None:
        self.W = W
        self.size = self.side = W.shape[1]
        self.trace = fisher.trace(W)
        self.scale = 1.0
        self.held = fisher.matrix(W) if self.size <= _HELD_WIDTH else None
        self.force = np.zeros(self.size)

    def apply(self, V: Array) -> Array:
        product: Array = fisher.matvec(self.W, V) if self.held is None else self.held @ V
        return product

    def decomposed(self) -> tuple[Array, Array, Array]:
        """Return (values, U, w): the solution is U (growth(values) w)."""
        values, U = scipy.linalg.eigh(fisher.matrix(self.W) if self.held is None else self.held)
        return values, U, U.T @ self.force

    def largest_step(self) -> float:
        return bound(self.apply, self.trace, np.linalg.norm(self.W, axis=0))


class Sample:
    """The loss over n inputs: its matrix is J_n = X^T X/n, or X X^T/n seen from the inputs.

    X are the features over ``scale``, the size of the inputs.
    """

    def __init__(self, W: Array, x: Array) -> None:
        self.scale = power_of_two(x)
        self.X = features(x / self.scale, W)
        self.size = W.shape[1]
        self.side = min(self.X.shape)
        self.trace = float(np.einsum("ij,ij->", self.X, self.X)) / len(self.X)
        self.residual = np.zeros(len(self.X))
        self.force = np.zeros(self.size)

    def apply(self, V: Array) -> Array:
        product: Array = self.X.T @ (self.X @ V)
        return product / len(self.X)

    def decomposed(self) -> tuple[Array, Array, Array]:
        """Return (values, U, w): the solution is U (growth(values) w)."""
        n = len(self.X)
        if n >= self.size:
            values, U = scipy.linalg.eigh(fisher.empirical(self.X))
            return values, U, U.T @ self.force
        # growth(X^T X/n) X^T = X^T growth(X X^T/n).
        values, P = scipy.linalg.eigh(fisher.empirical(self.X.T) * (self.size / n))
        return values, self.X.T @ P, P.T @ self.residual / n

    def largest_step(self) -> float:
        return bound(self.apply, self.trace, self.X.sum(axis=0))


def bound(apply: Callable[[Array], Array], trace: float, start: Array) -> float:
    """Return 2 over the largest eigenvalue; the start is close to its eigenvector."""
    size = len(start)
    if trace == 0:
        return math.inf
    if size == 1:
        return 2 / float(apply(np.ones(1))[0])
    matrix = LinearOperator((size, size), matvec=apply, dtype=np.float64)
    # The error of the eigenvalue is of the order of the square of this tolerance.
    value = eigsh(matrix, 1, v0=start, ncv=min(size, 8), tol=1e-7, return_eigenvectors=False)
    return 2 / float(value[0])


def single_input_bound(W: Array) -> float:
    r"""Return a number mu with E[|X|^2 X^T X] <= mu J, in the order of positive matrices.

    Split f_v into its odd part l.x, linear, and its even part p. As |X|^2 = (x^T G x + h)/2 with
    G = W W^T and the odd function h = sum_j a_j |a_j|, a = x^T W,

        E[|X|^2 f_v^2] = E[x^T G x (l.x)^2]/2 + E[x^T G x p^2]/2 + E[h (l.x) p].

    The three terms are at most (tr G + 2 |G|)/2 times E(l.x)^2, (d+2)/2 |G| times E p^2, and gamma
    times the roots of both, where gamma^2 is the largest eigenvalue of E[h^2 x x^T] (Cauchy and
    Schwarz). That matrix is known by Gaussian integration by parts. J is the sum of both parts.
    Where units are few, |X|^2 <= |x|^2 |G| is better: mu = (d+2) |G|.
    """
    # Columns whose squares vanish, zeros among them, have no direction in floating point, and they
    # add less than rounding to any of the sums.
    W = W[:, np.linalg.norm(W, axis=0) > 0]
    d, lengths = len(W), np.linalg.norm(W, axis=0)
    units, squares = W / lengths, lengths**2
    total, curved = 0.0, np.zeros((d, d))
    rows = max(1, _BLOCK // len(lengths))
    for start in range(0, len(lengths), rows):
        part = slice(start, start + rows)
        cosine = np.clip(units[:, part].T @ units, -1, 1)
        sine, angle = np.sqrt((1 - cosine) * (1 + cosine)), np.arcsin(cosine)
        fourth = angle * (1 + 2 * cosine**2) + 3 * cosine * sine  # E a|a| b|b|, times pi/2
        total += float(squares[part] @ fourth @ squares)
        single = (angle + cosine * sine) @ squares  # E sign(a) h
        both = (sine + angle * cosine) @ (lengths * W).T  # E |a||b|, over all b
        curved += 4 * (W[:, part] * single) @ W[:, part].T
        curved += 8 * (W[:, part] * lengths[part]) @ both
    largest = np.linalg.eigvalsh(2 / math.pi * (total * np.eye(d) + curved))[-1]
    gamma, top = math.sqrt(max(0.0, largest)), float(np.linalg.norm(W, 2)) ** 2
    odd, even = (float(squares.sum()) + 2 * top) / 2, (d + 2) * top / 2
    return min(2 * even, (odd + even + math.hypot(odd - even, gamma)) / 2)


def solve(
    problem: Population | Sample, growth: Growth, solver: str | None
) -> tuple[str, Array, int]:
    """Return the solver, growth(A) force for all times, and the number of products."""
    if solver is None:
        solver = "dense" if problem.side <= _DENSE_SIDE else "lanczos"
    if solver == "dense":
        values, U, w = problem.decomposed()
        return solver, U @ (learned(growth, values, problem.side) * w[:, None]), 0
    change, products = lanczos(problem.apply, problem.force, growth)
    return solver, change, products


def learned(growth: Growth, values: Array, size: int) -> Array:
    """Return growth of eigenvalues, and 0 for those that count as 0."""
    grown = growth(np.maximum(values, 0))
    grown[unlearned(values, size)] = 0
    return grown


def lanczos(apply: Callable[[Array], Array], force: Array, growth: Growth) -> tuple[Array, int]:
    """Return growth(A) force by Lanczos with full reorthogonalisation, and the products taken."""
    length, size = length_of(force), len(force)
    basis = np.empty((min(size, 64), size))
    diagonal: list[float] = []
    beside: list[float] = []
    before: Array | None = None
    last_change, next_check = np.inf, 4
    times = growth(np.zeros(1))[0]
    if length == 0:
        return np.zeros((size, len(times))), 0
    q = force / length
    while True:
        k = len(diagonal)
        if k == len(basis):
            basis = np.concatenate([basis, np.empty((min(k, size - k), size))])
        basis[k] = q
        q = apply(q)
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
            if before is not None:
                changed = y.copy()
                changed[: len(before)] -= before
                sizes = np.linalg.norm(y, axis=0)
                least = values[~unlearned(values, size)].min(initial=np.inf)
                grown = np.minimum(times, 1 / least)
                allowed = np.maximum(_TOLERANCE, _ROUNDING * values[-1] * grown)
                allowed *= np.where(sizes, sizes, 1)
                change = float(np.max(np.linalg.norm(changed, axis=0) / allowed))
                # Changes that shrink slowly add up: their sum as a geometric series.
                ratio = min(change / last_change, 0.99) if last_change else 0.0
                finished |= change / (1 - ratio) <= 1
                last_change = change
            if finished:
                return length * (basis[: k + 1].T @ y), k + 1
            before, next_check = y, k + 1 + max(4, k // 8)
        beside.append(norm)
        q = q / norm


def exponential(problem: Population | Sample, times: Array) -> Array:
    """Return the change v(t) - v(0) by the exponential of a matrix with one more row.

    The change w solves w' = -A w + force. With a constant s as a last entry this is linear:
    (w, s)' = ((-A, force/s), (0, 0)) (w, s).
    """
    size, length = problem.size, length_of(problem.force)
    change = np.zeros((size, len(times)))
    if length == 0:
        return change
    unit = problem.force / length

    def forward(Z: Array) -> Array:
        Z = Z.reshape(size + 1, -1)
        return np.vstack([unit[:, None] * Z[-1] - problem.apply(Z[:-1]), np.zeros(Z.shape[1])])

    def backward(Z: Array) -> Array:
        Z = Z.reshape(size + 1, -1)
        return np.vstack([-problem.apply(Z[:-1]), unit @ Z[:-1]])

    augmented = LinearOperator(
        (size + 1, size + 1),
        matvec=lambda z: forward(z)[:, 0],
        rmatvec=lambda z: backward(z)[:, 0],
        matmat=forward,
        rmatmat=backward,
        dtype=np.float64,
    )
    state, now = np.append(np.zeros(size), 1.0), 0.0
    for position, time in enumerate(times):
        span = time - now
        if span > 0:
            state = expm_multiply(span * augmented, state, traceA=-span * problem.trace)
        change[:, position], now = length * state[:-1], time
    return change
