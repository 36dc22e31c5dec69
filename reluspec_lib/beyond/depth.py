r"""Networks with more than one hidden layer of random weights: their spectrum, and their outputs.

A network of L layers maps x to h_1 = ReLU(x W_1), h_2 = ReLU(h_1 W_2), ..., and its features are
X(x) = ReLU(h_(L-1) W_L). The entries of W_l are iid N(0, 2/m_l) before the last layer, which keeps
the mean square, E\|h_l\|^2 = \|h_(l-1)\|^2, and N(0, 1/m_L) in the last, as in the paper: so the
trace of the Fisher information of the readout weights is d/2 in the mean at every depth, and one
layer is the network of the paper. With infinitely wide layers the kernel is

.. math:: E[X(x) X(x')^T] = \tfrac12 |x| |x'|\, \kappa^{(L)}(t), \qquad
          \kappa(t) = \frac{\sqrt{1 - t^2} + (\pi - \arccos t)\, t}{\pi},

t the cosine between x and x', and the functions \|x\| Y_k(x/\|x\|) stay its eigenfunctions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from reluspec_lib import harmonics, network
from reluspec_lib._validation import (
    Array,
    RandomSource,
    as_floating,
    check_count,
    check_dtype,
    check_inputs,
    check_interval,
    check_rng,
)
from reluspec_lib._weights import StreamedWeights
from reluspec_lib.beyond import _composed

__all__ = ["eigenvalue", "features", "forward", "kernel", "sample_weights", "shares"]

# Degrees are computed together with those below; so loops over degrees hit the cache.
_FEWEST_DEGREES = 16

# Rows of inputs that pass through the hidden layers at once.
_ROWS = 2048


def kernel(t: ArrayLike, layers: int) -> Array:
    r"""Return the normalised kernel of infinitely wide layers.

    .. math:: \kappa^{(L)}(t) = \kappa(\kappa(\cdots \kappa(t))), \qquad
              \kappa(t) = \frac{\sqrt{1 - t^2} + (\pi - \arccos t)\, t}{\pi}

    Parameters
    ----------
    t : array_like
        Cosines, in [-1, 1].
    layers : int
        Number of hidden layers L, at least 1.

    Returns
    -------
    ndarray of float64, shape of ``t``

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Notes
    -----
    Source: Cho and Saul (2009).

    Examples
    --------
    >>> kernel([-1.0, 0.0, 1.0], 1).round(4).tolist()
    [0.0, 0.3183, 1.0]
    """
    value, layers = check_interval("t", t), check_count("layers", layers)
    for _ in range(layers):
        sine = np.sqrt((1 - value) * (1 + value))
        value = np.minimum((sine + (math.pi - np.arccos(value)) * value) / math.pi, 1.0)
    return value


def eigenvalue(d: int, k: int, layers: int) -> float:
    r"""Return the eigenvalue of degree k of a network with infinitely wide layers.

    .. math:: \lambda_k^{(L)} = \frac d2\, E[\kappa^{(L)}(u_1) P_k(u_1)]

    Its multiplicity is ``harmonics.dimension(d, k)``. One layer is ``harmonics.eigenvalue``.

    Parameters
    ----------
    d : int
        Dimension, at least 1; at d = 1 there are only the degrees 0 and 1.
    k : int
        Degree, at least 0.
    layers : int
        Number of hidden layers L, at least 1.

    Returns
    -------
    float
        Relative error below 1e-12 for k up to 200 at any d, where the value is not subnormal; 0
        where it underflows, and at odd k >= 3 with one layer.

    Raises
    ------
    ValueError
        If an argument is not an integer in its range.

    Notes
    -----
    The sum with multiplicities is d/2 at every depth. Over k it decays like k^-(d+2). Time and
    memory grow faster than k^2: a second at k = 200, half a minute at k = 1000; and time as L.

    Examples
    --------
    >>> round(eigenvalue(10, 0, 1), 6), round(eigenvalue(10, 0, 3), 6)
    (1.673012, 3.08102)
    >>> eigenvalue(3, 3, 1), eigenvalue(3, 3, 2) > 0
    (0.0, True)
    """
    d, k = check_count("d", d), check_count("k", k, minimum=0)
    layers = check_count("layers", layers)
    if layers == 1:
        return harmonics.eigenvalue(d, k)
    if d == 1:
        if k > 1:
            raise ValueError(f"k must be 0 or 1 at d = 1, where the sphere is two points, got {k}")
        opposite = float(kernel(-1.0, layers))
        return (1 - opposite) / 4 if k else (1 + opposite) / 4
    j = np.arange(1.0, k + 1)
    return d / 2 * float(np.prod(j / ((d - 3) / 2 + j)) * _coefficients(d, k, layers)[k])


def shares(d: int, layers: int, kmax: int = 2) -> Array:
    r"""Return the share of each degree in the trace of the Fisher information.

    .. math:: \frac 2d\, N(d, k)\, \lambda_k^{(L)}, \qquad k = 0, \dots, k_{\max}

    Parameters
    ----------
    d : int
        Dimension, at least 1.
    layers : int
        Number of hidden layers L, at least 1.
    kmax : int
        Largest degree, at least 0; at 2 the shares are those of the paper's three groups.

    Returns
    -------
    ndarray of float64, shape (kmax + 1,)
        To the accuracy of :func:`eigenvalue`, also where the multiplicity overflows. At d = 1 the
        degrees from 2 on, which do not exist, have the share 0.

    Raises
    ------
    ValueError
        If an argument is not an integer in its range.

    Examples
    --------
    >>> shares(10, 1).round(4).tolist(), shares(10, 3).round(4).tolist()
    ([0.3346, 0.5, 0.1493], [0.6162, 0.2102, 0.1064])
    """
    d, layers = check_count("d", d), check_count("layers", layers)
    kmax = check_count("kmax", kmax, minimum=0)
    if d == 1:
        found = np.zeros(kmax + 1)
        found[:2] = [2 * eigenvalue(1, k, layers) for k in range(min(kmax, 1) + 1)]
        return found
    # N and the factor of the coefficients by their ratios, since N overflows.
    k = np.arange(1.0, kmax)
    ratios = (2 * k + d) * (k + d - 2) / ((2 * k + d - 2) * ((d - 1) / 2 + k))
    growth = np.cumprod(np.concatenate([[1.0, 2 * d / (d - 1)], ratios]))[: kmax + 1]
    found = growth * _coefficients(d, kmax, layers)[: kmax + 1]
    if layers == 1:
        found[3::2] = 0.0
    return found


def _coefficients(d: int, k: int, layers: int) -> Array:
    """Return the coefficients up to degree k or more."""
    kmax = max(_FEWEST_DEGREES, 1 << (k - 1).bit_length()) if k else _FEWEST_DEGREES
    return _composed.coefficients(d, kmax, layers)


def sample_weights(
    d: int, widths: Sequence[int], rng: RandomSource, *, dtype: DTypeLike = np.float64
) -> list[Array]:
    """Draw the weights of all layers, scaled so that they keep the mean square up to the last.

    Parameters
    ----------
    d : int
        Input dimension, at least 1.
    widths : sequence of int
        Widths m_1, ..., m_L of the layers, each at least 1.
    rng : numpy.random.Generator or seed
        Source of randomness.
    dtype : dtype
        float64 or float32.

    Returns
    -------
    list of ndarray
        W_l has shape (m_(l-1), m_l), m_0 = d; entries iid N(0, 2/m_l), in the last N(0, 1/m_L).

    Raises
    ------
    ValueError
        If ``d`` or a width is not an integer >= 1, there is no width, ``rng`` is neither a
        Generator nor a seed, or ``dtype`` is another type.

    Notes
    -----
    One width gives the numbers of :func:`reluspec_lib.network.sample_weights`.

    Examples
    --------
    >>> [W.shape for W in sample_weights(3, [100, 50], rng=0)]
    [(3, 100), (100, 50)]
    """
    sizes = [check_count("d", d), *_check_widths(widths)]
    rng, dtype = check_rng(rng), check_dtype("dtype", dtype)
    weights = [
        network.sample_weights(before, after, rng, dtype=dtype) for before, after in pairwise(sizes)
    ]
    for W in weights[:-1]:
        W *= W.dtype.type(math.sqrt(2))
    return weights


def features(x: ArrayLike, W: Sequence[ArrayLike]) -> Array:
    """Return the features of the last layer, X(x) = ReLU(h W_L).

    Parameters
    ----------
    x : array_like, shape (n, d) or (d,)
        One input per row, or a single input.
    W : sequence of array_like
        Weights of the layers as from :func:`sample_weights`, the last of shape (m_(L-1), m_L).

    Returns
    -------
    X : ndarray, shape (n, m_L) or (m_L,)
        float32 if all arguments are, else float64.

    Raises
    ------
    ValueError
        If there is no layer, a shape does not fit or an entry is not finite.

    Examples
    --------
    >>> features([1.0, 1.0], [[[1.0, -1.0], [1.0, 0.0]], [[1.0, -1.0], [0.0, 1.0]]])
    array([2., 0.])
    """
    hidden, last = _hidden(x, W)
    if isinstance(last, StreamedWeights):
        raise ValueError("W must end with an array; streamed weights are for forward alone")
    return network.features(hidden, last)


def forward(
    x: ArrayLike,
    W: Sequence[ArrayLike | StreamedWeights],
    V: ArrayLike | network.Readout,
    *,
    workers: int | None = None,
) -> Array:
    """Return the outputs f_v(x) = X(x) v of a network of any number of layers.

    Parameters
    ----------
    x : array_like, shape (n, d) or (d,)
        One input per row, or a single input.
    W : sequence of array_like
        Weights of the layers as from :func:`sample_weights`. The last may be
        :class:`reluspec_lib.network.StreamedWeights`.
    V, workers
        As for :func:`reluspec_lib.network.forward`. A callable gets weights of the last layer.

    Returns
    -------
    f : ndarray, shape (n, K)
        As from :func:`reluspec_lib.network.forward`.

    Raises
    ------
    ValueError
        If there is no layer, a shape does not fit, an entry is not finite, or ``workers`` is not a
        positive integer.

    Notes
    -----
    The features of the last layer are computed tile by tile: beyond the result, memory is that of
    the layer before, n m_(L-1) numbers, and a few MiB, whatever m_L.

    Examples
    --------
    >>> W = sample_weights(5, [300, 200], rng=1)
    >>> W[-1] = StreamedWeights(300, 10**5, rng=2)
    >>> forward(np.ones((2, 5)), W, lambda weights: np.ones(weights.shape[1])).shape
    (2,)
    """
    hidden, last = _hidden(x, W)
    return network.forward(hidden, last, V, workers=workers)


def _check_widths(widths: Sequence[int]) -> list[int]:
    """Return the widths of at least one layer as ints."""
    try:
        given = list(widths)
    except TypeError:
        given = []
    if not given:
        raise ValueError(f"widths must be a sequence with a width for each layer, got {widths!r}")
    return [check_count("widths", width) for width in given]


def _hidden(
    x: ArrayLike, W: Sequence[ArrayLike | StreamedWeights]
) -> tuple[Array, Array | StreamedWeights]:
    """Return what the last layer sees, and its weights."""
    last = W[-1] if len(W) else None
    before = [as_floating("W", w) for w in W[:-1] if not isinstance(w, StreamedWeights)]
    if last is None or len(before) < len(W) - 1:
        raise ValueError("W must hold the weights of at least one layer, streamed in the last only")
    if not isinstance(last, StreamedWeights):
        last = as_floating("W", last)
    shapes = [w.shape for w in (*before, last)]
    if any(len(s) != 2 for s in shapes) or any(s[1] != t[0] for s, t in pairwise(shapes)):
        raise ValueError(f"W must hold matrices, each for the layer before, got shapes {shapes}")
    x = check_inputs(x, shapes[0][0])
    if not before:
        return x, last
    points = np.atleast_2d(x)
    hidden = np.empty((len(points), shapes[-1][0]), np.result_type(x, *before))
    # In blocks, so that of the layers before only the last is held for all inputs.
    for top in range(0, len(points), _ROWS):
        block = points[top : top + _ROWS]
        for w in before:
            block = network.features(block, w)
        hidden[top : top + _ROWS] = block
    return hidden.reshape(*x.shape[:-1], -1), last
