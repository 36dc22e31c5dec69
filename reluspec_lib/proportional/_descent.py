"""Self-consistent equations, followed from far above the real axis down to where they are asked."""

from __future__ import annotations

import abc

import numpy as np

from reluspec_lib._validation import Array

__all__ = ["REAL", "STEEP", "Descent"]

# Heights above the real axis are passed in steps of this factor, smaller ones after a failure.
_FACTOR = 0.02
# A failed step is tried again with the square root of its factor, until the factor exceeds this.
_SHORTEST = 0.999
# From this height on, relative to |z|, a step may go all the way down.
_JUMP = 0.05
_NEWTON_STEPS = 40

# On the real axis an imaginary part below this, relative to its number, is that of a real one.
REAL = 1e-7
# A number that changes by more than this factor relative to z is at an edge of the support.
STEEP = 1e5


class Descent(abc.ABC):
    """Equations that Newton's method solves at smaller and smaller heights."""

    @abc.abstractmethod
    def bound(self) -> float:
        """Return a bound of the support."""

    @abc.abstractmethod
    def start(self, z: Array) -> Array:
        """Return a first guess of the unknowns far above the axis."""

    @abc.abstractmethod
    def change(self, z: Array, found: Array) -> Array:
        """Return Newton's change of the unknowns."""

    @abc.abstractmethod
    def checked(self, z: Array, found: Array) -> tuple[Array, Array]:
        """Return the relative error of the equations, and which unknowns are admissible.

        These are limits, from above, of solutions in the upper half plane.
        """

    @abc.abstractmethod
    def transforms(self, z: Array, found: Array) -> tuple[Array, Array]:
        """Return s and h that belong to the unknowns."""

    def newton(self, z: Array, start: Array, tolerance: float) -> tuple[Array, Array, Array]:
        """Return the unknowns that Newton's method reaches, the residual and the steps.

        The residual is inf if it is above the tolerance or the unknowns are not admissible.
        """
        found, steps, active = start.copy(), np.zeros(z.shape, np.int64), np.arange(len(z))
        with np.errstate(all="ignore"):
            for _ in range(_NEWTON_STEPS):
                here = found.take(active, axis=1)
                change = self.change(z[active], here)
                found[:, active] = here = here + change
                steps[active] += 1
                size = np.abs(change / here).max(axis=0)
                # At an edge of the support the steps do not become small: there all are taken.
                active = active[(size > tolerance) & np.isfinite(size)]
                if not active.size:
                    break
            residual, admissible = self.checked(z, found)
        return found, np.where((residual <= tolerance) & admissible, residual, np.inf), steps

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
