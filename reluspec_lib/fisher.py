"""The Fisher information of the readout weights, for Gaussian inputs.

For y = f_v(x) + N(0, 1) with x ~ N(0, I_d), the Fisher information of v is the second moment of the
hidden features, J = E[X(x)^T X(x)]. Each entry is a Gaussian integral with a closed form: the
arc-cosine kernel of degree 1 of Cho and Saul (2009).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib._validation import Array, check_weights

__all__ = ["matrix"]

# Rows of J computed at a time, so that temporaries stay small beside the result.
_BLOCK = 256


def matrix(W: ArrayLike) -> Array:
    r"""Return the Fisher information matrix J of the readout weights in closed form.

    .. math:: J_{ij} = \frac{|w_i| |w_j|}{2\pi}
              \big( \sin\theta_{ij} + (\pi - \theta_{ij}) \cos\theta_{ij} \big)

    where theta is the angle between the columns w_i and w_j of W.

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights.

    Returns
    -------
    J : ndarray, shape (m, m)
        Symmetric and positive semidefinite; dtype of ``W``. Zero in the rows and columns of units
        whose weights are zero.

    Raises
    ------
    ValueError
        If ``W`` is not a finite (d, m) array.

    Notes
    -----
    Source: section 1 of the paper; Cho and Saul (2009) for the closed form.

    Examples
    --------
    >>> matrix([[1.0, 0.0], [0.0, 1.0]]).round(4).tolist()
    [[0.5, 0.1592], [0.1592, 0.5]]
    """
    W = check_weights(W)
    m = W.shape[1]
    norms = np.linalg.norm(W, axis=0)
    directions = W / np.where(norms > 0, norms, 1)
    J = np.empty((m, m), W.dtype)
    for top in range(0, m, _BLOCK):
        # Only the part on and right of the diagonal is computed; the rest is its mirror image.
        rows, columns = slice(top, top + _BLOCK), slice(top, None)
        cosine = np.clip(directions[:, rows].T @ directions[:, columns], -1, 1)
        # Factored, since 1 - cosine^2 loses digits at nearly parallel columns.
        block = np.sqrt((1 - cosine) * (1 + cosine)) + (np.pi - np.arccos(cosine)) * cosine
        block *= np.multiply.outer(norms[rows] / (2 * np.pi), norms[columns])
        J[rows, columns] = block
        J[columns, rows] = block.T
        # The product of the diagonal block with itself is symmetric only up to rounding.
        corner = np.triu(block[:, : len(block)])
        J[rows, rows] = corner + np.triu(corner, 1).T
    return J
