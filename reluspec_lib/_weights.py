"""Hidden weights: drawn at once, or generated where they are needed.

The hidden weights W of a network have shape (d, m); they are drawn once and never trained.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from reluspec_lib._validation import (
    Array,
    RandomSource,
    check_count,
    check_dtype,
    check_rng,
    spawn_seeds,
)

__all__ = ["StreamedWeights", "in_blocks", "sample_weights"]

# Entries of W that one stream of random numbers fills, 4 MiB: enough to make the start of a stream
# cheap, little enough to hold.
_STREAM_ENTRIES = 2**19


def sample_weights(d: int, m: int, rng: RandomSource, *, dtype: DTypeLike = np.float64) -> Array:
    """Draw hidden weights with independent Gaussian entries of variance 1/m.

    Parameters
    ----------
    d : int
        Input dimension, at least 1.
    m : int
        Number of hidden units, at least 1.
    rng : numpy.random.Generator or seed
        Source of randomness; a seed gives the same as ``numpy.random.default_rng`` of it.
    dtype : dtype
        float64 or float32; the two have different numbers.

    Returns
    -------
    W : ndarray, shape (d, m)
        ``W[l, j]`` is the weight from input l to hidden unit j, iid N(0, 1/m).

    Raises
    ------
    ValueError
        If ``d`` or ``m`` is not an integer >= 1, ``rng`` is neither a Generator nor a seed, or
        ``dtype`` is another type.

    Notes
    -----
    With this scaling the Fisher information of the readout has trace close to d/2 at every width.
    Source: section 1 of the paper.

    Examples
    --------
    >>> W = sample_weights(3, 1000, rng=0)
    >>> W.shape
    (3, 1000)
    """
    d, m = check_count("d", d), check_count("m", m)
    W: Array = check_rng(rng).standard_normal((d, m), check_dtype("dtype", dtype))
    W /= W.dtype.type(math.sqrt(m))
    return W


class StreamedWeights:
    r"""Hidden weights that are generated where they are needed and never held as a whole.

    A network of any width fits in memory this way: :func:`forward` takes these weights in place of
    an array. The hidden units are cut into runs of a length that depends on d alone, and each run
    has a random stream of its own, so that a unit gets the same weights whoever asks for it, in
    whatever pieces and on however many workers.

    Parameters
    ----------
    d : int
        Input dimension, at least 1.
    m : int
        Number of hidden units, at least 1.
    rng : numpy.random.Generator or seed
        Source of randomness. The weights follow from its state, which is advanced.

    Raises
    ------
    ValueError
        If ``d`` or ``m`` is not an integer >= 1, or ``rng`` is neither a Generator nor a seed.

    Notes
    -----
    The entries are iid N(0, 1/m), as those of :func:`sample_weights`, but not the same numbers.
    Two widths from the same seed share their first units up to the factor :math:`1/\sqrt m`.
    Objects of the same weights are equal.

    Examples
    --------
    >>> W = StreamedWeights(3, 10**9, rng=0)
    >>> W.shape, W.columns(10**8, 10**8 + 4).shape
    ((3, 1000000000), (3, 4))
    """

    def __init__(self, d: int, m: int, rng: RandomSource) -> None:
        self.shape = check_count("d", d), check_count("m", m)
        (self._seed,) = spawn_seeds(rng, 1)
        self._run = max(_STREAM_ENTRIES // self.shape[0], 1)

    def _identity(self) -> tuple[Any, ...]:
        return *self.shape, *self._seed.generate_state(4).tolist()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StreamedWeights):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return f"<streamed weights, d = {self.shape[0]}, m = {self.shape[1]}>"

    def columns(self, start: int, stop: int) -> Array:
        """Return the weights of the hidden units start, ..., stop - 1, of shape (d, stop - start).

        Raises
        ------
        ValueError
            If not 0 <= start < stop <= m.
        """
        start, stop = check_count("start", start, 0), check_count("stop", stop)
        if not start < stop <= self.shape[1]:
            raise ValueError(
                f"start and stop must be 0 <= start < stop <= m = {self.shape[1]}, "
                f"got {start} and {stop}"
            )
        first, last = start // self._run, (stop - 1) // self._run
        runs = [self._generate(k, stop - k * self._run) for k in range(first, last + 1)]
        W = runs[0] if first == last else np.hstack(runs)
        return W[:, start - first * self._run :]

    def blocks(self) -> Iterator[Array]:
        """Yield the weights of all hidden units in order, a few MiB at a time."""
        for start in range(0, self.shape[1], self._run):
            yield self.columns(start, min(start + self._run, self.shape[1]))

    def _generate(self, k: int, most: int) -> Array:
        """Return the first units of run k, at most so many."""
        key = (*self._seed.spawn_key, k)
        rng = np.random.default_rng(np.random.SeedSequence(self._seed.entropy, spawn_key=key))
        # One unit after another, so that a run that is cut short has the same first units.
        W: Array = rng.standard_normal((min(self._run, most), self.shape[0])).T
        W /= np.sqrt(self.shape[1])
        return W


def in_blocks(W: Array | StreamedWeights) -> Iterator[Array]:
    """Yield the weights of all hidden units in order, a few MiB at a time."""
    if isinstance(W, StreamedWeights):
        yield from W.blocks()
        return
    width = max(_STREAM_ENTRIES // len(W), 1)
    for start in range(0, W.shape[1], width):
        yield W[:, start : start + width]
