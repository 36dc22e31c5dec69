r"""The proportional regime with several layers, and with correlated data: one unknown number.

Let C_0 = X^T X/n0 and C_l = Y_l^T Y_l/n_l, and let g_l be the limit of the Stieltjes transform of
C_l. With kappa = m/n_l, and zeta and e the variances of the linear part and of the rest, in units
of their sum, C_l is a sample covariance matrix for the covariance zeta C_(l-1) + e. Silverstein's
equation for it says that g_l at w_l follows from g_(l-1) at w_(l-1) by

    u = zeta w + e,    p = g/zeta,    h = 1 - kappa (1 + u p),    w_l = h u,    g_l = p/h .

Data whose columns have the covariance Sigma, with the spectral law nu, are the start of the chain:

    w_0 = -1/g_0 + integral of sigma/(1 + sigma g_0 m/n0) d nu(sigma) .

So the variable z = n_L/m w_L is a rational function of y = -1/g_0, whatever the number of layers.
The solution is the y for which all w_l and g_l have a positive imaginary part: then each layer has
the right transform of the one before, and Silverstein's equation has one such solution.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from reluspec_lib._validation import Array
from reluspec_lib.proportional._descent import REAL, STEEP, Descent

__all__ = ["Layers"]

# An imaginary part above this is positive: next to a hard edge at 0 there are small ones that are
# no rounding.
_POSITIVE = 1e-12
# The upper edge is looked for on grids of so many points, each between two points of the last.
_EDGE_ROUNDS = 9
_EDGE_POINTS = 64


class _Point(NamedTuple):
    """The end of the chain at y, with derivatives, and what has to be in the upper half plane."""

    z: Array
    slope: Array  # dz/dy
    s: Array  # of (1/m) Y^T Y
    h: Array
    size: Array  # how much of its own size rounding is in z, in units of the rounding of a float
    upper: list[tuple[Array, Array]]  # numbers and their derivatives in y


class Layers(Descent):
    """The chain of equations, for layers that share the activation.

    Parameters
    ----------
    zeta, noise : float
        Variances of the linear part and of the rest; the sum is 1 and zeta positive.
    phi : float
        n0/m.
    gammas : sequence of float
        n_l/m of the layers.
    sigma, weight : ndarray
        Eigenvalues of the covariance of the inputs with their shares; the mean is 1.
    """

    def __init__(
        self,
        zeta: float,
        noise: float,
        phi: float,
        gammas: list[float],
        sigma: Array,
        weight: Array,
    ) -> None:
        self.zeta, self.noise, self.phi, self.gammas = zeta, noise, phi, gammas
        self._poles, self._masses = sigma / phi, sigma * weight

    def at(self, y: Array) -> _Point:
        """Return the end of the chain that starts at y."""
        # (1 + w g) and not w g is carried from layer to layer: it is small where z is large.
        away = 1 / (y[:, None] - self._poles)
        r, r_slope = -(away @ self._masses), away**2 @ self._masses
        w, w_slope = y * (1 - r), 1 - r - y * r_slope
        g, g_slope = -1 / y, 1 / y**2
        upper = [(y, np.ones_like(y)), (w, w_slope)]
        h, size = np.ones_like(y), (1 + np.abs(r)) / np.abs(1 - r)
        for gamma in self.gammas:
            u, u_slope = self.zeta * w + self.noise, self.zeta * w_slope
            size = size * np.abs(self.zeta * w / u)
            p, p_slope = g / self.zeta, g_slope / self.zeta
            r, r_slope = r + self.noise * p, r_slope + self.noise * p_slope
            h, h_slope = 1 - r / gamma, -r_slope / gamma
            w, w_slope = h * u, h_slope * u + h * u_slope
            g, g_slope = p / h, (p_slope - p * h_slope / h) / h
            size = size + (1 + np.abs(r) / gamma) / np.abs(h)
            upper += [(w, w_slope), (g, g_slope)]
        gamma = self.gammas[-1]
        # The last w is z, which is given, and has the rounding of all before it.
        del upper[-2]
        return _Point(gamma * w, gamma * w_slope, g / gamma, h, size, upper)

    def change(self, z: Array, found: Array) -> Array:
        """Return Newton's change of y."""
        here = self.at(found[0])
        return ((z - here.z) / here.slope)[None]

    def checked(self, z: Array, found: Array) -> tuple[Array, Array]:
        """Return the relative error of the last equation, and which y are admissible."""
        here = self.at(found[0])
        return np.abs(here.z / z - 1) / (1 + here.size), self._admissible(z, here)

    def _admissible(self, z: Array, here: _Point) -> Array:
        """Tell which points are limits, from above, of ones in the upper half plane."""
        allowed = np.ones(z.shape, bool)
        for value, slope in here.upper:
            part, change = value.imag / np.abs(value), slope / here.slope
            # Next to the axis it is the slope in z that decides, except at an edge.
            real = (change.real > 0) | (np.abs(change * z / value) > STEEP)
            allowed &= (part > _POSITIVE) | ((np.abs(part) <= REAL) & real)
        return allowed

    def start(self, z: Array) -> Array:
        """Return y far above the axis, where every h is nearly 1."""
        w = z / self.gammas[-1]
        for _ in self.gammas:
            w = (w - self.noise) / self.zeta
        return np.asarray(w - 1)[None]

    def transforms(self, z: Array, found: Array) -> tuple[Array, Array]:
        """Return s and h at y."""
        with np.errstate(all="ignore"):
            here = self.at(found[0])
        return here.s, here.h

    def bound(self) -> float:
        """Return the upper edge of the support.

        Above it z grows with y, and so do all w, up from where dz/dy = 0 for the first time.
        """
        below = self._poles.max()
        above = 2 * below
        while not self._above(np.array([above]))[0]:
            below, above = above, 10 * above
        for _ in range(_EDGE_ROUNDS):
            grid = np.geomspace(below, above, _EDGE_POINTS)
            last = int(np.flatnonzero(~self._above(grid[:-1]))[-1:].sum())
            below, above = grid[last], grid[last + 1]
        return float(self.at(np.array([above])).z[0])

    def _above(self, y: Array) -> Array:
        """Tell at which real y the end of the chain is above the support."""
        with np.errstate(all="ignore"):
            here = self.at(y)
            slopes = [slope for _, slope in [*here.upper, (here.z, here.slope)]]
            signs = [here.z > 0, here.s < 0, *(slope > 0 for slope in slopes)]
            above: Array = np.logical_and.reduce(signs)
        return above
