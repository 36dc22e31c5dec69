"""The one eigenvalue outside of the bulk that grows with the matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reluspec_lib.proportional._rows import Rows

__all__ = ["Outlier", "outlier"]


@dataclass(frozen=True)
class Outlier:
    """The eigenvalue of order n1 that the mean of the activation causes.

    Attributes
    ----------
    position : float
        Its mean, up to an error that vanishes as n1 grows.
    spread : float
        Its standard deviation over W, X and, if they are random, the biases.
    """

    position: float
    spread: float


def outlier(rows: Rows, size: float, phi: float, psi: float, *, drawn: bool) -> Outlier | None:
    """Return the outlier of a matrix of so many rows, whose biases are drawn or given."""
    alpha, gamma, average = 1 / psi, phi / psi, rows.average
    mu, second, eta = rows.mean, rows.hermite2, rows.zeta + rows.noise
    square = average(mu**2)
    if square == 0:
        return None
    own = average(mu**2 * eta) / square
    shared = average(mu * second) ** 2 / square
    position = size * square + gamma * average(eta) + own
    position += alpha / 2 * (average(second**2) + shared + average(mu * rows.hermite4))
    projected = own + (average(mu**2 * second**2) / square / phi + alpha * shared) / 2
    variance = 4 * gamma * square * projected
    if drawn:
        variance += size * (average(mu**4) - square**2)
    return Outlier(position, math.sqrt(variance))
