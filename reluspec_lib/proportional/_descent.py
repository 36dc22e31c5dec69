"""Self-consistent equations, followed from far above the real axis down to where they are asked."""

from __future__ import annotations

import abc

import numpy as np

from reluspec_lib._validation import Array

__all__ = ["Descent"]

# Heights above the real axis are passed in steps of this factor, smaller ones after a failure.
_FACTOR = 0.02
# A failed step is tried again with the square root of its factor, until the factor exceeds this.
_SHORTEST = 0.999
# From this height on, relative to |z|, a step may go all the way down.
_JUMP = 0.05


class Descent(abc.ABC):
    """Equations that Newton's method solves at smaller and smaller heights."""

    @abc.abstractmethod
    def bound(self) -> float:
        """Return a bound of the support."""

    @abc.abstractmethod
    def start(self, z: Array) -> Array:
        """Return a first guess of the unknowns far above the axis."""

    @abc.abstractmethod
    def newton(self, z: Array, start: Array, tolerance: float) -> tuple[Array, Array, Array]:
        """Return the unknowns, the residual and the steps, from a guess of the unknowns.

        The residual, the largest relative error of the equations, is inf if it is above the
        tolerance or the solution is not a limit of admissible ones.
        """

    @abc.abstractmethod
    def transforms(self, z: Array, found: Array) -> tuple[Array, Array]:
        """Return s and h that belong to the unknowns."""

    def solve(
        self, z: Array, tolerance: float, most_steps: int
    ) -> tuple[Array, Array, Array, Array]:
        """Return s, h, the residual and the steps at every z with Im z >= 0, from far above."""
        height = np.maximum(z.imag, 2 * np.maximum(np.abs(z), self.bound()))
        far = z.real + 1j * height
        found, residual, steps = self.newton(far, self.start(far), tolerance)
        factor, jump = np.full(z.shape, _FACTOR), _JUMP * np.abs(z)
        while True:
            going = (height > z.imag) & (steps < most_steps) & (factor < _SHORTEST)
            k = np.flatnonzero(going & np.isfinite(residual))
            if not k.size:
                break
            jumps = height[k] <= jump[k]
            lower = np.where(jumps, z.imag[k], np.maximum(height[k] * factor[k], z.imag[k]))
            step, error, more = self.newton(z.real[k] + 1j * lower, found[:, k], tolerance)
            good = np.isfinite(error)
            done, failed = k[good], k[~good]
            found[:, done], residual[done] = step[:, good], error[good]
            height[done] = lower[good]
            steps[k] += more
            factor[done] = np.maximum(factor[done] ** 2, _FACTOR)
            # What failed is tried again over a smaller distance.
            jump[failed] = 0.1 * height[failed]
            factor[k[~good & ~jumps]] **= 0.5
        s, h = self.transforms(z, found)
        return s, h, np.where(height > z.imag, np.inf, residual), steps
