"""The two-layer ReLU network with random hidden weights.

A network of input dimension d and width m has hidden weights W of shape (d, m), drawn once and
never trained, and readout weights v of length m. Its features are X(x) = ReLU(x W) and its output
is f_v(x) = X(x) v.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib._validation import (
    Array,
    check_count,
    check_inputs,
    check_readout,
    check_rng,
    check_weights,
)

__all__ = ["features", "forward", "sample_weights"]

# A tile of the feature matrix, 1 MiB in float64: it stays in the cache between the product that
# writes it and the product that reads it.
_TILE_ROWS = 512
_TILE_COLUMNS = 256


def sample_weights(d: int, m: int, rng: np.random.Generator) -> Array:
    """Draw hidden weights with independent Gaussian entries of variance 1/m.

    Parameters
    ----------
    d : int
        Input dimension, at least 1.
    m : int
        Number of hidden units, at least 1.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    W : ndarray, shape (d, m), float64
        ``W[l, j]`` is the weight from input l to hidden unit j, iid N(0, 1/m).

    Raises
    ------
    ValueError
        If ``d`` or ``m`` is not an integer >= 1, or ``rng`` is not a Generator.

    Notes
    -----
    With this scaling the Fisher information of the readout has trace close to d/2 at every width.
    Source: section 1 of the paper.

    Examples
    --------
    >>> W = sample_weights(3, 1000, np.random.default_rng(0))
    >>> W.shape
    (3, 1000)
    """
    d, m = check_count("d", d), check_count("m", m)
    W: Array = check_rng(rng).standard_normal((d, m))
    W /= np.sqrt(m)
    return W


def features(x: ArrayLike, W: ArrayLike) -> Array:
    """Return the hidden features X(x) = ReLU(x W).

    Parameters
    ----------
    x : array_like, shape (n, d) or (d,)
        One input per row, or a single input.
    W : array_like, shape (d, m)
        Hidden weights.

    Returns
    -------
    X : ndarray, shape (n, m) or (m,)
        Features, float32 if both arguments are float32, else float64.

    Raises
    ------
    ValueError
        If a shape does not fit or an entry is not finite.

    Notes
    -----
    The whole matrix is held; :func:`forward` evaluates the network without it.

    Examples
    --------
    >>> features([1.0, 1.0], [[1.0, -1.0], [1.0, 0.0]])
    array([2., 0.])
    """
    W = check_weights(W)
    product: Array = check_inputs(x, W.shape[0]) @ W
    return np.maximum(product, 0, out=product)


def forward(x: ArrayLike, W: ArrayLike, V: ArrayLike) -> Array:
    """Return the network outputs f_v(x) = ReLU(x W) v for each column v of V.

    Parameters
    ----------
    x : array_like, shape (n, d) or (d,)
        One input per row, or a single input.
    W : array_like, shape (d, m)
        Hidden weights.
    V : array_like, shape (m, K) or (m,)
        One vector of readout weights per column, or a single one.

    Returns
    -------
    f : ndarray, shape (n, K)
        ``f[i, k]`` is f_v(x_i) for the k-th column v. An axis is dropped where ``x`` or ``V`` has
        one dimension, as in a matrix product. float32 if all arguments are, else float64.

    Raises
    ------
    ValueError
        If a shape does not fit or an entry is not finite.

    Notes
    -----
    The feature matrix is computed tile by tile and never held: beyond the result, memory is about
    2 MiB whatever n and m.

    Examples
    --------
    >>> forward([[1.0, 1.0], [0.0, 2.0]], [[1.0, -1.0], [1.0, 0.5]], [1.0, 10.0])
    array([ 2., 12.])
    """
    W = check_weights(W)
    d, m = W.shape
    x, V = check_inputs(x, d), check_readout(V, m)
    shape = x.shape[:-1] + V.shape[1:]
    x, V = np.atleast_2d(x), V.reshape(m, -1)

    dtype = np.result_type(x, W, V)
    n, x = len(x), x.astype(dtype, copy=False)
    f = np.zeros((n, V.shape[1]), dtype)
    tile = np.empty((min(n, _TILE_ROWS), min(m, _TILE_COLUMNS)), dtype)
    # Against an array of zeros numpy takes its vectorised loop; against a scalar it does not.
    zeros = np.zeros_like(tile)
    for top in range(0, n, _TILE_ROWS):
        rows = slice(top, top + _TILE_ROWS)
        for left in range(0, m, _TILE_COLUMNS):
            columns = slice(left, left + _TILE_COLUMNS)
            height, width = len(x[rows]), W[:, columns].shape[1]
            hidden = tile[:height, :width]
            np.matmul(x[rows], W[:, columns].astype(dtype, copy=False), out=hidden)
            np.maximum(hidden, zeros[:height, :width], out=hidden)
            f[rows] += hidden @ V[columns]
    return f.reshape(shape)
