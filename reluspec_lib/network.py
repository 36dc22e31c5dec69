"""The two-layer ReLU network with random hidden weights.

A network of input dimension d and width m has hidden weights W of shape (d, m), drawn once and
never trained, and readout weights v of length m. Its features are X(x) = ReLU(x W) and its output
is f_v(x) = X(x) v.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib import _threads, _tiles
from reluspec_lib._validation import Array, check_inputs, check_readout, check_weights
from reluspec_lib._weights import StreamedWeights, in_blocks, sample_weights

__all__ = ["StreamedWeights", "features", "forward", "forward_antithetic", "sample_weights"]

# Gets the hidden weights of a block of units and returns their readout weights.
Readout = Callable[[Array], ArrayLike]


def features(
    x: ArrayLike, W: ArrayLike, *, activation: Callable[[Array], Array] | None = None
) -> Array:
    """Return the hidden features X(x) = ReLU(x W), or those of another activation.

    Parameters
    ----------
    x : array_like, shape (n, d) or (d,)
        One input per row, or a single input.
    W : array_like, shape (d, m)
        Hidden weights.
    activation : callable, optional
        In place of the ReLU: takes an array, returns the values in the same shape.

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
    if activation is None:
        return np.maximum(product, 0, out=product)
    product[...] = _values(_check_callable(activation), product)
    return _check_finite(product)


def forward(
    x: ArrayLike,
    W: ArrayLike | StreamedWeights,
    V: ArrayLike | Readout,
    *,
    activation: Callable[[Array], Array] | None = None,
    workers: int | None = None,
) -> Array:
    """Return the network outputs f_v(x) = ReLU(x W) v for each column v of V.

    Parameters
    ----------
    x : array_like, shape (n, d) or (d,)
        One input per row, or a single input.
    W : array_like or StreamedWeights, shape (d, m)
        Hidden weights.
    V : array_like, shape (m, K) or (m,), or callable
        One vector of readout weights per column, or a single one. A callable gets the hidden
        weights of a block of units, shape (d, b), and returns their readout weights, shape (b, K)
        or (b,): so neither W nor V need be held.
    activation : callable, optional
        In place of the ReLU: takes an array, returns the values in the same shape. Those of
        :mod:`reluspec_lib.beyond.activations` that are linear on both sides of 0 are as fast, the
        step and the sign nearly.
    workers : int, optional
        Number of threads, which share the inputs in blocks of 480 or 960; all processors by
        default. The result does not depend on it.

    Returns
    -------
    f : ndarray, shape (n, K)
        ``f[i, k]`` is f_v(x_i) for the k-th column v. An axis is dropped where ``x`` or ``V`` has
        one dimension, as in a matrix product. float32 if all arguments are, else float64.

    Raises
    ------
    ValueError
        If a shape does not fit, an entry is not finite, or ``workers`` is not a positive integer.

    Notes
    -----
    The feature matrix is computed tile by tile and never held. Beyond the result and what BLAS
    takes, memory is about 1 MiB and 1 more for each worker, whatever n and m (4 and 4 from 256
    columns v on). Where W or V is generated, a few blocks of 4 MiB come to it. Tiles are as high as
    the processor's cache has room for.

    Examples
    --------
    >>> forward([[1.0, 1.0], [0.0, 2.0]], [[1.0, -1.0], [1.0, 0.5]], [1.0, 10.0])
    array([ 2., 12.])

    A network with ten million weights, generated on the way:

    >>> from reluspec_lib import groups
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((1, 10))
    >>> f = forward(x, StreamedWeights(10, 1_000_000, rng), groups.NORM.eigenvectors)
    >>> abs(f / groups.NORM.limit(x) - 1).item() < 0.01
    True
    """
    parts = Parts(_rectify) if activation is None else _parts(activation)
    f, rest = _sum_over_units(x, W, V, parts, workers)
    if activation is None:
        return f
    f *= parts.factor
    f += rest
    return _check_finite(f)


def forward_antithetic(
    x: ArrayLike,
    W: ArrayLike | StreamedWeights,
    V: ArrayLike | Readout,
    *,
    workers: int | None = None,
) -> tuple[Array, Array]:
    r"""Return the network outputs at x and at -x, for the price of one of them.

    .. math:: f_v(\pm x) = \tfrac12 \big( |x W|\, v \pm x\, (W v) \big)

    since ReLU(t) = (\|t\| + t)/2. For averages over inputs whose law is symmetric: the 2n inputs
    cost what n cost, and their average is never less accurate than that over the n.

    Parameters
    ----------
    x, W, V, workers
        As for :func:`forward`.

    Returns
    -------
    positive, negative : ndarray, shape (n, K)
        f_v(x) and f_v(-x), with axes dropped as in :func:`forward`.

    Raises
    ------
    ValueError
        As :func:`forward`.

    Examples
    --------
    >>> forward_antithetic([[2.0, 0.0]], [[1.0, -1.0], [1.0, 0.5]], [1.0, 10.0])
    (array([2.]), array([20.]))
    """
    even, odd = _sum_over_units(x, W, V, Parts(_magnitude, slope=1), workers)
    return (even + odd) / 2, (even - odd) / 2


# Work on a tile in place; the array of zeros has the tile's shape.
_Activation = Callable[[Array, Array], object]


class Parts(NamedTuple):
    """What an activation is made of: factor h(t) + slope t + constant, h in place."""

    on_tile: _Activation
    factor: float = 1.0
    slope: float = 0.0
    constant: float = 0.0


def _rectify(tile: Array, zeros: Array) -> None:
    # Against an array of zeros numpy takes its vectorised loop; against a scalar it does not.
    np.maximum(tile, zeros, out=tile)


def _magnitude(tile: Array, zeros: Array) -> None:
    np.abs(tile, out=tile)


# Of the bits of infinity these leave 1, of those of minus infinity -1.
_ALL_BUT_ONE_BIT = {
    np.dtype(kind): ~(np.array(np.inf, kind).view(bits) ^ np.array(1, kind).view(bits))
    for kind, bits in ((np.float64, np.int64), (np.float32, np.int32))
}


def _sign(tile: Array, zeros: Array) -> None:
    # np.sign takes six times as long as the ReLU, this half as long again.
    try:
        with np.errstate(invalid="raise"):
            np.multiply(tile, tile.dtype.type(np.inf), out=tile)
    except FloatingPointError:  # 0 times infinity
        tile[np.isnan(tile)] = 0
        np.sign(tile, out=tile)
        return
    kept = _ALL_BUT_ONE_BIT[tile.dtype]
    bits = tile.view(kept.dtype)
    np.bitwise_and(bits, kept, out=bits)


def _check_callable(activation: Callable[[Array], Array]) -> Callable[[Array], Array]:
    if not callable(activation):
        raise ValueError(f"activation must be callable, got {activation!r}")
    return activation


def _check_finite(values: Array) -> Array:
    if not np.isfinite(values).all():
        raise ValueError("activation must return finite numbers at all pre-activations x W")
    return values


def _values(activation: Callable[[Array], Array], t: Array) -> Array:
    """Return the values of an activation that somebody gave, or raise a ValueError."""
    values = np.asarray(activation(t))
    if values.shape != t.shape or values.dtype.kind not in "biuf":
        raise ValueError(
            f"activation must return real numbers in the shape of its argument {t.shape}, got "
            f"{values.dtype} in shape {values.shape}"
        )
    return values


def _parts(activation: Callable[[Array], Array]) -> Parts:
    """Return the parts of an activation, which it may know."""
    known: Parts | None = getattr(activation, "parts", None)
    if known is not None:
        return known
    _check_callable(activation)

    def replace(tile: Array, zeros: Array) -> None:
        tile[...] = _values(activation, tile)

    return Parts(replace)


def _sum_over_units(
    x: ArrayLike,
    W: ArrayLike | StreamedWeights,
    V: ArrayLike | Readout,
    parts: Parts,
    workers: int | None,
) -> tuple[Array, Array]:
    """Return h(x W) V and (slope x W + constant) V, without the matrix x W."""
    if not isinstance(W, StreamedWeights):
        W = check_weights(W)
    d = W.shape[0]
    x = check_inputs(x, d)
    points = np.atleast_2d(x)
    workers = _threads.check_workers(workers, -(-len(points) // _tiles.rows_at_once(len(points))))
    f = mixed = total = largest = np.empty(0)
    for k, (weights, readout) in enumerate(_blocks(W, V)):
        vectors = readout.reshape(len(readout), -1)
        if not k:
            dtype = np.result_type(x, weights, vectors)
            shape = x.shape[:-1] + readout.shape[1:]
            points = points.astype(dtype, copy=False)
            f = np.zeros((len(points), vectors.shape[1]), dtype)
            mixed, largest = np.zeros((d, vectors.shape[1]), dtype), np.zeros(d, dtype)
            total = np.zeros(vectors.shape[1], dtype)
        _add_units(f, points, weights, vectors, parts.on_tile, workers)
        if parts.slope:
            mixed += weights @ vectors
        if parts.constant:
            total += vectors.sum(axis=0)
        if parts.on_tile is _sign:
            np.maximum(largest, weights.max(axis=1), out=largest)
            np.maximum(largest, -weights.min(axis=1), out=largest)
    with np.errstate(over="ignore"):  # the sign of what is no number would be one
        _check_finite(np.abs(points) @ largest)
    rest = parts.slope * (points @ mixed) + parts.constant * total
    return f.reshape(shape), rest.reshape(shape)


def _blocks(W: Array | StreamedWeights, V: ArrayLike | Readout) -> Iterator[tuple[Array, Array]]:
    """Yield hidden and readout weights of consecutive units, all at once where both are given."""
    if not callable(V):
        V = check_readout(V, W.shape[1])
        if not isinstance(W, StreamedWeights):
            yield W, V
            return
    start = 0
    for weights in in_blocks(W):
        width = weights.shape[1]
        if callable(V):
            yield weights, check_readout(V(weights), width, "V(W)")
        else:
            yield weights, V[start : start + width]
        start += width


def _add_units(
    f: Array, x: Array, W: Array, V: Array, activation: _Activation, workers: int
) -> None:
    """Add the contribution of these hidden units to f, in tiles that no worker count moves."""
    n, m = len(x), W.shape[1]
    rows_at_once = _tiles.rows_at_once(n)
    height, width = _tiles.shape(n, V.shape[1], f.itemsize)
    shape = min(n, height + 1), min(m, width)
    zeros = np.zeros(shape, f.dtype)

    def task(worker: int) -> None:
        tile = np.empty(shape, f.dtype)
        product = np.empty((len(tile), V.shape[1]), f.dtype)
        for start in range(worker * rows_at_once, n, workers * rows_at_once):
            pieces = _tiles.pieces(start, min(start + rows_at_once, n), height)
            views = [
                (x[a:b], tile[: b - a], zeros[: b - a], product[: b - a], f[a:b]) for a, b in pieces
            ]
            for left in range(0, m, width):
                right = min(left + width, m)
                weights = W[:, left:right].astype(f.dtype, copy=False)
                vectors = V[left:right]
                # Tiles below one another take the same weights, which are in the cache.
                for inputs, hidden, zero, outputs, sums in views:
                    _threads.check_stop()
                    if right - left < width:
                        hidden, zero = hidden[:, : right - left], zero[:, : right - left]
                    np.matmul(inputs, weights, out=hidden)
                    activation(hidden, zero)
                    np.matmul(hidden, vectors, out=outputs)
                    np.add(sums, outputs, out=sums)

    _threads.run(task, workers)
