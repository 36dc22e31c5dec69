"""How large a step of gradient descent may be."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import eigsh

from reluspec_lib._threads import single
from reluspec_lib._validation import Array, check_count
from reluspec_lib.learning._loss import Population, Sample
from reluspec_lib.learning._setting import check_flag, checked_features, checked_weights

__all__ = ["bound", "check_step", "largest_step", "minibatch_square", "population_bound"]

# Entries of a block of pairs of units: some arrays of 2 MB.
_BLOCK = 250_000
# Eigenvalues of J beside the largest: below, the matrix of one input is rounding.
_LOST = 1e-10
# Sizes whose fourth powers are numbers.
_SMALLEST, _LARGEST = 1e-75, 1e75


def largest_step(
    W: ArrayLike, *, x: ArrayLike | None = None, batch: int | None = None, exact: bool = False
) -> float:
    r"""Return a bound below which a step of gradient descent is stable.

    .. math:: \frac{2}{\lambda_{\max}}, \qquad \text{for minibatches of size } B \quad
              \frac{2}{(1 - \frac1B) \lambda_{\max} + \frac{1}{B}\, \mu}

    and with ``exact`` 2 over the largest eigenvalue of E[S^2] against J, for the matrix S of a
    minibatch.

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights.
    x : array_like, shape (n, d), optional
        Inputs of a finite sample, for the bound of descent on it; by default all inputs.
    batch : int, optional
        Number of new inputs in each step of :func:`sgd`.
    exact : bool
        Whether to solve for the largest step, with matrices m x m in memory and a time of the
        order of m^3, instead of bounding it from below in a time of the order of m^2 d.

    Returns
    -------
    float
        Infinite if all features vanish.

    Raises
    ------
    ValueError
        If an argument has a wrong shape or is outside its range, or both ``x`` and ``batch`` are
        given, or ``exact`` without ``batch``.

    Notes
    -----
    lambda_max is that of the matrix at hand, J or J_n, and beyond 2/lambda_max descent diverges.
    That for minibatches is sufficient, not necessary: for the W at hand, whatever it is, no
    step below it increases the mean squared distance to readout weights without an error. That is
    so if step E[S^2] <= 2 J for the matrix S of a minibatch, where E[S^2] is
    (1 - 1/B) J^2 + E[\|X\|^2 X^T X]/B, and with ``exact`` only then: above it, the distance of some
    readout weights increases in the next step. Left out of the exact step are directions along
    which J is less than 1e-10 of its largest eigenvalue, for rounding hides what they need. The
    limit of stability at infinite width is :func:`reluspec_lib.learning.risk.stable_step`.

    Without ``exact``, the first matrix is at most (1 - 1/B) lambda_max J, and mu
    is a number with E[\|X\|^2 X^T X] <= mu J for this W. With G = W W^T, a = x^T W,
    h = sum_j a_j \|a_j\| and gamma^2 the largest eigenvalue of E[h^2 x x^T], it is (d+2) \|G\| or
    the larger eigenvalue of

    .. math:: \frac12 \begin{pmatrix} \operatorname{tr} G + 2 \lVert G \rVert & \gamma \\
              \gamma & (d + 2) \lVert G \rVert \end{pmatrix}

    if that is smaller. For Gaussian weights mu tends to (d+2)/2 as m grows, and so does the
    smallest number with this property.

    Examples
    --------
    >>> round(largest_step([[1.0, 0.0], [0.0, 1.0]]), 3)
    3.034
    >>> round(largest_step([[1.0, 0.0], [0.0, 1.0]], batch=1), 3)
    0.5
    >>> round(largest_step([[1.0, 0.0], [0.0, 1.0]], batch=1, exact=True), 3)
    0.552
    """
    if x is not None and batch is not None:
        raise ValueError("x and batch exclude each other: a minibatch has new inputs")
    if check_flag("exact", exact) and batch is None:
        raise ValueError("exact needs batch: without it the step is exact anyway")
    batch = None if batch is None else check_count("batch", batch)
    _, W, scale = checked_weights(W)
    if x is not None:
        X, size = checked_features(x, W, scale)
        return bound(Sample(X)) / (scale * size) ** 2
    if exact and batch is not None:
        return _exact_bound(W, batch) / scale**2
    return population_bound(W, batch) / scale**2


def minibatch_square(W: ArrayLike, batch: int) -> Array:
    r"""Return the mean square of the matrix S that a minibatch has in place of J.

    .. math:: \mathbb{E} S^2 = \Big(1 - \frac1B\Big) J^2
              + \frac1B\, \mathbb{E}\big[|X|^2 X^\top X\big], \qquad
              S = \frac1B \sum_{b=1}^B X(x_b)^\top X(x_b)

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights.
    batch : int
        Number of inputs x ~ N(0, I_d) in a minibatch.

    Returns
    -------
    ndarray of float64, shape (m, m)

    Raises
    ------
    ValueError
        If an argument has a wrong shape or is outside its range, for W the one in which fourth
        powers neither overflow nor underflow.

    Examples
    --------
    >>> minibatch_square([[2.0]], 1)  # w^4 E ReLU(x)^4
    array([[24.]])
    """
    batch = check_count("batch", batch)
    _, W, scale = checked_weights(W)
    if not _SMALLEST < scale < _LARGEST:
        raise ValueError(
            f"W must have its largest entry between 1e-75 and 1e75 in size, got about {scale:.3g}"
        )
    square = np.zeros((W.shape[1],) * 2)
    on = np.flatnonzero(np.linalg.norm(W, axis=0) > 0)
    if len(on):
        J, single = single_input_matrix(W[:, on])
        square[np.ix_(on, on)] = scale**4 * ((1 - 1 / batch) * (J @ J) + single / batch)
    return square


def population_bound(W: Array, batch: int | None) -> float:
    """Return the bound for all inputs, in minibatches or all at once."""
    all_at_once = bound(Population(W))
    if batch is None or math.isinf(all_at_once):
        return all_at_once
    with single():
        return 2 / ((1 - 1 / batch) * 2 / all_at_once + single_input_bound(W) / batch)


def bound(loss: Population | Sample) -> float:
    """Return 2 over the largest eigenvalue of the matrix of a loss."""
    size = len(loss.top)
    if loss.trace == 0:
        return math.inf
    if size == 1:
        return 2 / float((loss.A @ np.ones(1))[0])
    with single():
        # The error of the eigenvalue is of the order of the square of this tolerance.
        value = eigsh(loss.A, 1, v0=loss.top, ncv=min(size, 8), tol=1e-7, return_eigenvectors=False)
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


def _exact_bound(W: Array, batch: int) -> float:
    """Return 2 over the largest eigenvalue of E[S^2] against J, for the S of a minibatch."""
    W = W[:, np.linalg.norm(W, axis=0) > 0]
    if not W.size:
        return math.inf
    J, single = single_input_matrix(W)
    values, U = np.linalg.eigh(J)
    kept = values > _LOST * values[-1]
    values, U = values[kept], U[:, kept] / np.sqrt(values[kept])
    pencil = np.diag((1 - 1 / batch) * values) + U.T @ (single @ U) / batch
    return 2 / float(np.linalg.eigvalsh(pencil)[-1])


def single_input_matrix(W: Array) -> tuple[Array, Array]:
    r"""Return J and E[|X|^2 X^T X], for columns that are not 0.

    With |X|^2 as in :func:`single_input_bound`, and X_i X_j = (a b + |a||b| + a|b| + b|a|)/4 for
    a = a_i, b = a_j, the even part of |X|^2 meets all of X_i X_j, and h the last two terms.
    Integration by parts leaves means over two units only:

        E[x^T G x X_i X_j] = tr G J_ij + w_i.G w_i E[delta(a) X_j] + w_j.G w_j E[delta(b) X_i]
                             + 2 w_i.G w_j P(a > 0, b > 0),
        E[c|c| a|b|] = 2 w_i.w_k E|c||b| + w_i.w_j E[c|c| sign(b)],  c = a_k.
    """
    lengths = np.linalg.norm(W, axis=0)
    units = W / lengths
    cosine = np.clip(units.T @ units, -1, 1)
    sine, angle = np.sqrt((1 - cosine) * (1 + cosine)), np.arcsin(cosine)
    both = math.pi / 2 + angle  # 2 pi times the probability that two units are on
    J = np.outer(lengths, lengths) * (sine + both * cosine) / (2 * math.pi)
    G = W @ W.T
    curvature = np.einsum("ij,ij->j", W, G @ W)
    switch = np.outer(curvature / lengths, lengths) * sine
    even = np.trace(G) * J + (switch + switch.T + 2 * (W.T @ G @ W) * both) / (2 * math.pi)
    sizes = W @ ((sine + angle * cosine) * np.outer(lengths, lengths))
    signs = lengths**2 @ (angle + cosine * sine)
    odd = 2 / math.pi * (2 * W.T @ sizes + (W.T @ W) * signs)
    return J, even / 2 + (odd + odd.T) / 8


def check_step(step: float, bound: float, what: str, method: str) -> None:
    """Refuse a step that is not below the bound."""
    if not step < bound:
        raise ValueError(
            f"step must be below {what} = {bound:.6g}, where {method} is stable, got {step:.6g}; "
            "to exceed it, pass unstable=True"
        )
