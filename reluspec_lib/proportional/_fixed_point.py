r"""The self-consistent equations of the proportional regime, for rows of any number of kinds.

In s, the Stieltjes transform of (1/m) Y^T Y, and t, that of the part of it which X carries, with
h_i = 1/(1 + e_i s + zeta_i t) for the rows of kind i, alpha = n1/n0 and gamma = n1/m:

    s = 1/(-z + gamma (E + 1/(1/K + alpha s))),    t = 1/(1/s + alpha K),

where E and K are the means of e_i h_i and zeta_i h_i over rows. For Im z > 0 the right sides map
pairs with Im s > 0 and Im t > 0 into such pairs: there is one solution among them and no other
(Earle and Hamilton), so a solution in this set is the right one, however it was found.
"""

from __future__ import annotations

import numpy as np

from reluspec_lib._validation import Array
from reluspec_lib.proportional._descent import REAL, STEEP, Descent

__all__ = ["FixedPoint"]


class FixedPoint(Descent):
    """The two equations in s and t."""

    def __init__(
        self, zeta: Array, noise: Array, weight: Array, alpha: float, gamma: float
    ) -> None:
        self.zeta, self.noise = zeta, noise
        self.alpha, self.gamma = alpha, gamma
        self.first = weight[:, None] * np.stack([noise, zeta, np.ones_like(zeta)], axis=1)
        self.second = weight[:, None] * np.stack([noise**2, noise * zeta, zeta**2], axis=1)

    def change(self, z: Array, found: Array) -> Array:
        """Return Newton's change of s and t."""
        here = _Linearised(self, z, *found)
        return here.solve(-here.first, -here.second)

    def checked(self, z: Array, found: Array) -> tuple[Array, Array]:
        """Return the relative error of the equations, and which s and t are admissible."""
        here = _Linearised(self, z, *found)
        first = np.abs(here.first) / (1 + np.abs(z * here.s))
        return np.maximum(first, np.abs(here.second / here.s)), here.admissible()

    def start(self, z: Array) -> Array:
        """Return s and t far above the axis."""
        return np.stack([-1 / z, -1 / z])

    def transforms(self, z: Array, found: Array) -> tuple[Array, Array]:
        """Return s and the mean of h over rows."""
        return found[0], _Linearised(self, z, *found).h

    def bound(self) -> float:
        """Return a bound of the support: the squared norm of a row-wise sum of two matrices."""
        gamma, alpha = self.gamma, self.alpha
        linear = np.sqrt(self.zeta.max()) * (1 + np.sqrt(alpha)) * (1 + np.sqrt(gamma / alpha))
        return float((linear + np.sqrt(self.noise.max()) * (1 + np.sqrt(gamma))) ** 2)


class _Linearised:
    """The two equations at given s and t, with their derivatives."""

    def __init__(self, equations: FixedPoint, z: Array, s: Array, t: Array) -> None:
        alpha, gamma = equations.alpha, equations.gamma
        h = 1 / (1 + s[:, None] * equations.noise + t[:, None] * equations.zeta)
        # E, K and the mean of h; the means of e^2 h^2, e zeta h^2 and zeta^2 h^2.
        (E, K, self.h), (ee, ec, cc) = (h @ equations.first).T, (h**2 @ equations.second).T
        self.z, self.s, self.t = z, s, t
        # 1 - h as a sum that is free of cancellation for large z.
        self.first = z * s + 1 - gamma * (s * E + t * K)
        self.second = s - t - alpha * s * t * K
        self._a, self._b = z - gamma * (E - s * ee - t * ec), -gamma * (K - s * ec - t * cc)
        self._c, self._d = 1 - alpha * t * (K - s * ec), -1 - alpha * s * (K - t * cc)

    def solve(self, first: Array, second: Array) -> Array:
        """Return the changes of s and t that change the equations by so much, shape (2, n)."""
        a, b, c, d = self._a, self._b, self._c, self._d
        changes = np.stack([d * first - b * second, a * second - c * first])
        return np.asarray(changes / (a * d - b * c))

    def admissible(self) -> Array:
        """Tell which solutions are limits, from above, of ones with Im s > 0 and Im t > 0."""
        allowed = np.ones(self.z.shape, bool)
        slopes = self.solve(-self.s, np.zeros_like(self.s))
        for value, slope in zip((self.s, self.t), slopes, strict=True):
            part, slope = value.imag / np.abs(value), slope * self.z / value
            # Next to the axis it is the slope in z that decides, except at an edge.
            real = (slope * value / self.z).real > 0
            allowed &= np.where(np.abs(part) > REAL, part > 0, real | (np.abs(slope) > STEEP))
        return allowed
