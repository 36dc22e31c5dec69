"""Monte Carlo over independent hidden weights: how far a finite network is from its limit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reluspec_lib._validation import Array, check_count, check_rng
from reluspec_lib.groups import Group
from reluspec_lib.network import forward, sample_weights

__all__ = ["mae"]


def mae(
    d: int,
    m: int,
    n: int,
    groups: Sequence[Group],
    draws: int,
    rng: np.random.Generator,
) -> Array:
    """Return the mean absolute error of f_v(x) against its limit F(x), one row per draw of W.

    Each draw takes new hidden weights and n new inputs x ~ N(0, I_d), and the first vector of each
    group; within a group all vectors have the same distribution of errors.

    Parameters
    ----------
    d, m, n : int
        Input dimension, width and number of inputs, at least 1.
    groups : sequence of Group
        Groups to evaluate, such as ``groups.ALL``, each with at least one vector at this d.
    draws : int
        Number of independent hidden weights.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    rows : structured ndarray, shape (draws,)
        Fields d, m, n, draw, and the error of each group under its name.

    Raises
    ------
    ValueError
        If a size is not an integer in its range, a group is empty at this d, or ``rng`` is not a
        Generator.

    Notes
    -----
    Source: section 4 of the paper, which reports one draw per setting in its Table 1.

    Examples
    --------
    >>> from reluspec_lib import groups
    >>> rows = mae(10, 1000, 50, [groups.NORM], 3, np.random.default_rng(0))
    >>> rows["norm"].shape
    (3,)
    """
    d, m, n = check_count("d", d), check_count("m", m), check_count("n", n)
    draws, rng = check_count("draws", draws), check_rng(rng)
    groups = list(groups)
    if not groups or len({group.name for group in groups}) < len(groups):
        raise ValueError(f"groups must be at least one, with different names, got {groups!r}")
    for group in groups:
        if not group.size(d):
            raise ValueError(f"groups must have a vector each, got {group.name} at d = {d}")
    sizes = [(name, np.int64) for name in ("d", "m", "n", "draw")]
    rows = np.empty(draws, [*sizes, *((group.name, np.float64) for group in groups)])
    rows["d"], rows["m"], rows["n"], rows["draw"] = d, m, n, np.arange(draws)
    for row in rows:
        W, x = sample_weights(d, m, rng), rng.standard_normal((n, d))
        V = np.hstack([group.eigenvectors(W, [0]) for group in groups])
        F = np.hstack([group.limit(x, [0]) for group in groups])
        errors = np.abs(forward(x, W, V) - F).mean(axis=0)
        for group, error in zip(groups, errors, strict=True):
            row[group.name] = error
    return rows
