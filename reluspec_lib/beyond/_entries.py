"""Second moments of the features, tile by tile, from lengths and angles of the columns of W."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reluspec_lib._lengths import measured, restored
from reluspec_lib._threads import check_stop, run
from reluspec_lib._validation import Array

__all__ = ["Tile", "assembled", "cosines"]

# Gets columns i and j, arrays that are broadcast, the cosines of their angles and what is missing
# from these to 1 or -1; returns the second moments.
Tile = Callable[[Array, Array, Array, Array], Array]

_TILE = 256
# Cosines beyond this have lost digits of what is missing from 1.
_NEAR = 0.99


def cosines(U: Array, V: Array) -> tuple[Array, Array]:
    """Return the cosines of the angles between unit columns, and 1 - |cosine| with its digits."""
    found = np.clip(U.T @ V, -1, 1)
    gap = 1 - np.abs(found)
    i, j = np.nonzero(np.abs(found) > _NEAR)
    between = U[:, i] - np.sign(found[i, j]) * V[:, j]
    gap[i, j] = np.einsum("lp,lp->p", between, between) / 2
    return found, gap


def assembled(W: Array, entries: Tile, kind: np.dtype[Any], workers: int) -> Array:
    """Return the matrix of second moments in this type, exactly symmetric."""
    columns, lengths, powers = measured(W.astype(np.float64), axis=0)
    directions = columns / np.where(lengths > 0, lengths, 1)
    m = W.shape[1]
    J = np.empty((m, m), kind)

    def fill(worker: int) -> None:
        for top in range(worker * _TILE, m, workers * _TILE):
            i = np.arange(top, min(top + _TILE, m))
            for left in range(top, m, _TILE):
                check_stop()
                j = np.arange(left, min(left + _TILE, m))
                cosine, gap = cosines(directions[:, i], directions[:, j])
                if left == top:
                    # A column and itself, to the last digit; one without length has no direction.
                    here = lengths[i] > 0
                    np.fill_diagonal(cosine, here)
                    np.fill_diagonal(gap, ~here)
                    tile = entries(i[:, None], j[None, :], cosine, gap)
                    tile = np.triu(tile) + np.triu(tile, 1).T
                else:
                    tile = entries(i[:, None], j[None, :], cosine, gap)
                J[top : i[-1] + 1, left : j[-1] + 1] = tile
                J[left : j[-1] + 1, top : i[-1] + 1] = tile.T

    run(fill, workers)
    if not np.isfinite(np.diag(J)).all():
        raise ValueError(
            f"W must be so small that the second moments do not overflow in {kind}, got a column "
            f"of length {float(restored(lengths, powers).max()):.3g}"
        )
    return J
