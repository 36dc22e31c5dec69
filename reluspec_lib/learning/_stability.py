"""How large a step of gradient descent may be."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import eigsh

from reluspec_lib._validation import Array, check_count
from reluspec_lib.learning._loss import Population, Sample
from reluspec_lib.learning._setting import checked_features, checked_weights

__all__ = ["bound", "check_step", "largest_step", "population_bound"]

# Entries of a block of pairs of units: some arrays of 2 MB.
_BLOCK = 250_000


def largest_step(W: ArrayLike, *, x: ArrayLike | None = None, batch: int | None = None) -> float:
    r"""Return a bound below which a step of gradient descent is stable.

    .. math:: \frac{2}{\lambda_{\max}}, \qquad \text{for minibatches of size } B \quad
              \frac{2}{(1 - \frac1B) \lambda_{\max} + \frac{1}{B}\, \mu}

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights.
    x : array_like, shape (n, d), optional
        Inputs of a finite sample, for the bound of descent on it; by default all inputs.
    batch : int, optional
        Number of new inputs in each step of :func:`sgd`.

    Returns
    -------
    float
        Infinite if all features vanish.

    Raises
    ------
    ValueError
        If an argument has a wrong shape or is outside its range, or both ``x`` and ``batch`` are
        given.

    Notes
    -----
    lambda_max is that of the matrix at hand, J or J_n, and beyond 2/lambda_max descent diverges.
    The bound for minibatches is sufficient, not necessary: for the W at hand, whatever it is, no
    step below it increases the mean squared distance to readout weights without an error. That is
    so if step E[S^2] <= 2 J for the matrix S of a minibatch, where E[S^2] is
    (1 - 1/B) J^2 + E[\|X\|^2 X^T X]/B. The first matrix is at most (1 - 1/B) lambda_max J, and mu
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
    """
    if x is not None and batch is not None:
        raise ValueError("x and batch exclude each other: a minibatch has new inputs")
    batch = None if batch is None else check_count("batch", batch)
    _, W, scale = checked_weights(W)
    if x is not None:
        X, size = checked_features(x, W, scale)
        return bound(Sample(X)) / (scale * size) ** 2
    return population_bound(W, batch) / scale**2


def population_bound(W: Array, batch: int | None) -> float:
    """Return the bound for all inputs, in minibatches or all at once."""
    all_at_once = bound(Population(W))
    if batch is None or math.isinf(all_at_once):
        return all_at_once
    return 2 / ((1 - 1 / batch) * 2 / all_at_once + single_input_bound(W) / batch)


def bound(loss: Population | Sample) -> float:
    """Return 2 over the largest eigenvalue of the matrix of a loss."""
    size = len(loss.top)
    if loss.trace == 0:
        return math.inf
    if size == 1:
        return 2 / float((loss.A @ np.ones(1))[0])
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


def check_step(step: float, bound: float, what: str, method: str) -> None:
    """Refuse a step that is not below the bound."""
    if not step < bound:
        raise ValueError(
            f"step must be below {what} = {bound:.6g}, where {method} is stable, got {step:.6g}; "
            "to exceed it, pass unstable=True"
        )
