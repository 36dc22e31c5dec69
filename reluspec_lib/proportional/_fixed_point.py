r"""The self-consistent equations of the proportional regime, for rows of any number of kinds.

In s, the Stieltjes transform of (1/m) Y^T Y, and t, that of the part of it which X carries, with
h_i = 1/(1 + e_i s + zeta_i t) for the rows of kind i, alpha = n1/n0 and gamma = n1/m:

    s = 1/(-z + gamma (E + 1/(1/K + alpha s))),    t = 1/(1/s + alpha K),

where E and K are the means of e_i h_i and zeta_i h_i over rows. For Im z > 0 the right sides map
pairs with Im s > 0 and Im t > 0 into such pairs: there is one solution among them and no other
(Earle and Hamilton), so a solution in this set is the right one, however it was found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reluspec_lib._validation import Array
from reluspec_lib.proportional._rows import Rows

__all__ = ["FixedPoint", "State"]

# Heights above the real axis are passed in steps of this factor, smaller ones after a failure.
_FACTOR = 0.2
# A failed step is tried again with the square root of its factor, until the factor exceeds this.
_SHORTEST = 0.999
# From this height on, relative to |z|, a step may go all the way down.
_JUMP = 0.05

_NEWTON_STEPS = 40
_MAP_STEPS = 20

# On the real axis an imaginary part below this, relative to its number, is that of a real one.
_REAL = 1e-7
# A solution that changes by more than this factor relative to z is at an edge of the support.
_STEEP = 1e5


@dataclass
class State:
    """Solutions at many points, with what it took to find them.

    Attributes
    ----------
    s, t, h : ndarray
        Solutions; h is the mean over rows.
    residual : ndarray
        Largest relative error of the two equations at each point, inf where none was found.
    steps : ndarray
        Steps of the iteration spent on each point.
    """

    s: Array
    t: Array
    h: Array
    residual: Array
    steps: Array


class FixedPoint:
    """The two equations, solved by iteration far above the real axis, by Newton's method below."""

    def __init__(self, rows: Rows, zeta: Array, noise: Array, alpha: float, gamma: float) -> None:
        self.zeta, self.noise, self.weight = zeta, noise, rows.weight
        self.alpha, self.gamma = alpha, gamma
        first = np.stack([noise, zeta, np.ones_like(zeta)], axis=1)
        second = np.stack([noise**2, noise * zeta, zeta**2], axis=1)
        self._first, self._second = rows.weight[:, None] * first, rows.weight[:, None] * second

    def sums(self, s: Array, t: Array) -> tuple[Array, Array]:
        """Return E, K and the mean of h, and the means of e^2 h^2, e zeta h^2, zeta^2 h^2."""
        h = 1 / (1 + s[:, None] * self.noise + t[:, None] * self.zeta)
        return (h @ self._first).T, (h**2 @ self._second).T

    def _map(self, z: Array, s: Array, t: Array) -> tuple[Array, Array]:
        """Return the right sides of the equations, with t / s in place of 1/(1 + alpha s K)."""
        (E, K, _), _ = self.sums(s, t)
        ratio = 1 / (1 + self.alpha * s * K)
        return 1 / (-z + self.gamma * (E + K * ratio)), s * ratio

    def _newton(self, z: Array, s: Array, t: Array, tolerance: float) -> State:
        """Return what Newton's method reaches from s and t, residual inf if no solution."""
        s, t, steps = s.copy(), t.copy(), np.zeros(z.shape, np.int64)
        active = np.arange(len(z))
        for _ in range(_NEWTON_STEPS):
            linear = _Linearised(self, z[active], s[active], t[active])
            ds, dt = linear.solve(-linear.first, -linear.second)
            s[active] += ds
            t[active] += dt
            steps[active] += 1
            size = np.maximum(np.abs(ds / s[active]), np.abs(dt / t[active]))
            # At an edge of the support the steps do not become small: there all are taken.
            active = active[(size > tolerance) & np.isfinite(size)]
            if not active.size:
                break
        linear = _Linearised(self, z, s, t)
        residual = np.maximum(np.abs(linear.first) / (1 + np.abs(z * s)), np.abs(linear.second / s))
        right = (residual <= tolerance) & linear.admissible()
        return State(s, t, linear.h, np.where(right, residual, np.inf), steps)

    def solve(self, z: Array, tolerance: float, most_steps: int) -> State:
        """Return the solution at every z with Im z >= 0, going down to it from far above."""
        height = np.maximum(z.imag, 2 * np.maximum(np.abs(z), self.bound()))
        s = t = -1 / (z.real + 1j * height)
        for _ in range(_MAP_STEPS):
            s, t = self._map(z.real + 1j * height, s, t)
        found = self._newton(z.real + 1j * height, s, t, tolerance)
        found.steps += _MAP_STEPS
        factor, jump = np.full(z.shape, _FACTOR), _JUMP * np.abs(z)
        while True:
            going = (height > z.imag) & (found.steps < most_steps) & (factor < _SHORTEST)
            k = np.flatnonzero(going & np.isfinite(found.residual))
            if not k.size:
                break
            jumps = height[k] <= jump[k]
            lower = np.where(jumps, z.imag[k], np.maximum(height[k] * factor[k], z.imag[k]))
            point = z.real[k] + 1j * lower
            step = self._newton(point, found.s[k], found.t[k], tolerance)
            good = np.isfinite(step.residual)
            done, failed = k[good], k[~good]
            for values, new in (
                (found.s, step.s),
                (found.t, step.t),
                (found.h, step.h),
                (found.residual, step.residual),
                (height, lower),
            ):
                values[done] = new[good]
            found.steps[k] += step.steps
            factor[done] = np.maximum(factor[done] ** 2, _FACTOR)
            # What failed is tried again over a smaller distance.
            jump[failed] = 0.1 * height[failed]
            factor[k[~good & ~jumps]] **= 0.5
        found.residual[height > z.imag] = np.inf
        return found

    def bound(self) -> float:
        """Return a bound of the support: the squared norm of a row-wise sum of two matrices."""
        gamma, alpha = self.gamma, self.alpha
        linear = np.sqrt(self.zeta.max()) * (1 + np.sqrt(alpha)) * (1 + np.sqrt(gamma / alpha))
        return float((linear + np.sqrt(self.noise.max()) * (1 + np.sqrt(gamma))) ** 2)


class _Linearised:
    """The two equations at given s and t, with their derivatives."""

    def __init__(self, equations: FixedPoint, z: Array, s: Array, t: Array) -> None:
        alpha, gamma = equations.alpha, equations.gamma
        (E, K, self.h), (ee, ec, cc) = equations.sums(s, t)
        self.z, self.s, self.t = z, s, t
        # 1 - h as a sum that is free of cancellation for large z.
        self.first = z * s + 1 - gamma * (s * E + t * K)
        self.second = s - t - alpha * s * t * K
        self._a, self._b = z - gamma * (E - s * ee - t * ec), -gamma * (K - s * ec - t * cc)
        self._c, self._d = 1 - alpha * t * (K - s * ec), -1 - alpha * s * (K - t * cc)

    def solve(self, first: Array, second: Array) -> tuple[Array, Array]:
        """Return the changes of s and t that change the equations by so much."""
        determinant = self._a * self._d - self._b * self._c
        return (
            (self._d * first - self._b * second) / determinant,
            (self._a * second - self._c * first) / determinant,
        )

    def admissible(self) -> Array:
        """Tell which solutions are limits, from above, of ones with Im s > 0 and Im t > 0."""
        allowed = np.ones(self.z.shape, bool)
        slopes = self.solve(-self.s, np.zeros_like(self.s))
        for value, slope in zip((self.s, self.t), slopes, strict=True):
            part, slope = value.imag / np.abs(value), slope * self.z / value
            # Next to the axis it is the slope in z that decides, except at an edge.
            real = (slope * value / self.z).real > 0
            allowed &= np.where(np.abs(part) > _REAL, part > 0, real | (np.abs(slope) > _STEEP))
        return allowed
