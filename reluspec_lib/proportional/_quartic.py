r"""The quartic of the proportional regime, for rows that are all of one kind.

Everything is a rational function of q = s h, with s the Stieltjes transform of (1/m) Y^T Y and
-h/z that of M = (1/m) Y Y^T: with D = 1 + alpha zeta q and N = D (1 - e q) - zeta q,

    h = N/D,    s = q/h,    z = N (gamma (D - N) - D) / (q D^2),

where alpha = n1/n0, gamma = n1/m and e = eta - zeta. As an equation for q the last one has degree 4
(3 for e = 0, 2 for zeta = 0), with a leading coefficient that does not depend on z unless e = 0.

For Im z > 0 one root alone has Im s > 0 and Im h < 0. At real x > 0 these two conditions are one,
so there is at most one pair of complex roots: where it exists is the support, and its edges are
among the values of z at its real critical points.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.polynomial import Polynomial

from reluspec_lib._validation import Array

__all__ = ["Quartic"]

# Next to the real axis an imaginary part below this, relative to its number, may be rounding.
_ROUNDING = 1e-8
_POLISH_STEPS = 4
# A root whose imaginary part is below this, relative to its size, is real.
_REAL = 1e-10

# Edges below this, relative to the largest eigenvalue, are zero.
_SMALLEST_EDGE = 1e-24

# A root that satisfies the equation no better than this is the product of rounding.
_SOLVED = 1e-11
# Such a root misses the equation by about its own size. What lies in between is in doubt, unless
# the pair is as close to the real axis as rounding brings it.
_FOREIGN = 1e-2
_TOUCHING = 1e-6


class Quartic:
    """The polynomials in q, and the branch of its roots that is a Stieltjes transform."""

    def __init__(
        self, zeta: float, noise: float, alpha: float, gamma: float, *, closed: bool
    ) -> None:
        self.zeta, self.noise, self.alpha, self.gamma = zeta, noise, alpha, gamma
        # Whether the support reaches down to 0, which no computed edge could decide.
        self.closed = closed
        slope = alpha * zeta
        D, N = np.array([[1, slope, 0], [1, slope - noise - zeta, -slope * noise]])
        self._numerator = np.convolve(N, gamma * (D - N) - D)
        denominator = [0, 1, 2 * slope, slope**2, 0]
        # In the special cases what is cut off here is 0.
        count = 3 if zeta == 0 else 4 if noise == 0 else 5
        self._coefficients = np.stack([self._numerator, denominator])[:, :count]

    def _linear(self, q: Array) -> Array:
        """Return D at q."""
        return 1 + self.alpha * self.zeta * q

    def h(self, q: Array) -> Array:
        """Return h = N/D at q."""
        return 1 - self.noise * q - self.zeta * q / self._linear(q)

    def z(self, q: Array) -> Array:
        """Return the rational function z(q)."""
        h = self.h(q)
        return np.asarray(h * (self.gamma * (1 - h) - 1) / q)

    def roots(self, z: Array, *, inverse: bool = False) -> Array:
        """Return all q with z(q) = z, shape (len(z), degree), or from an equation for 1/q.

        The eigenvalues of the companion matrix are as accurate as the largest of them: with little
        noise some q are 1e26 times smaller.
        """
        numerator, denominator = self._coefficients
        coefficients = numerator - z[:, None] * denominator
        if inverse:
            coefficients = coefficients[:, ::-1]
        degree = coefficients.shape[1] - 1
        companion = np.zeros((len(z), degree, degree), coefficients.dtype)
        steps = np.arange(degree - 1)
        companion[:, steps + 1, steps] = 1
        companion[:, :, -1] = -coefficients[:, :-1] / coefficients[:, -1:]
        q = np.linalg.eigvals(companion).astype(np.complex128)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return self._polish(z[:, None], 1 / q if inverse else q)

    def _equation(self, z: Array, q: Array) -> tuple[Array, Array]:
        """Return z(q) q - z q as it is, before it was expanded, and its derivative in q."""
        h = self.h(q)
        factor = self.gamma * (1 - h) - 1
        return h * factor - z * q, -self._descent(q) * (factor - self.gamma * h) - z

    def _curvature(self, q: Array) -> Array:
        """Return the second derivative of z(q) q in q."""
        bend = 2 * self.alpha * self.zeta**2 / self._linear(q) ** 3
        squares = 2 * self.gamma * self._descent(q) ** 2
        curvature: Array = bend * (self.gamma * (1 - 2 * self.h(q)) - 1) - squares
        return curvature

    def _descent(self, q: Array) -> Array:
        """Return -h'(q)."""
        descent: Array = self.noise + self.zeta / self._linear(q) ** 2
        return descent

    def _polish(self, z: Array, q: Array, *, pairs: bool = False) -> Array:
        """Return the roots after steps of Newton, or of Cauchy, whose parabola has a pair."""
        value, slope = self._equation(z, q)
        for _ in range(_POLISH_STEPS):
            if pairs:
                root = np.sqrt(slope**2 - 2 * value * self._curvature(q))
                # The nearer one of two, the upper one of a complex pair.
                root = np.where((slope.conj() * root).real < 0, -root, root)
                new = q - 2 * value / (slope + root)
            else:
                new = q - value / slope
            new_value, new_slope = self._equation(z, new)
            better = np.abs(new_value) < np.abs(value)
            q, value, slope = (
                np.where(better, after, before)
                for after, before in ((new, q), (new_value, value), (new_slope, slope))
            )
        return q

    def solve(self, z: Array) -> tuple[Array, Array, Array, Array]:
        """Return s, h, the residual of z(q) = z and no steps at the physical root, for Im z > 0."""
        z = z[:, None]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            q = self.roots(z[:, 0])
            h, residual = self._h_and_residual(z, q)
            s, rest = q / h, q * (self.noise + self.zeta / self._linear(q))
            # Derivatives in z of q, of rest = 1 - h, which is exact where it is small, and of s.
            q_slope = q / self._equation(z, q)[1]
            rest_slope = q_slope * self._descent(q)
            s_slope = (q_slope * h + q * rest_slope) / h**2
            score = np.minimum(_imaginary(s, s_slope, z), _imaginary(rest, rest_slope, z))
        # A pair that only rounding makes complex does not satisfy the equation.
        score = np.where(residual < _SOLVED, score, -np.inf)
        best = np.arange(len(z)), score.argmax(axis=1)
        residual = np.where(score[best] > 0, residual[best], np.inf)
        return s[best], h[best], residual, np.zeros(len(z), np.int64)

    def density(self, x: Array) -> Array:
        """Return the density of M at real x > 0: a quartic without complex roots means none.

        NaN where the roots are not accurate, as may be for nearly linear activations.
        """
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            q = self.roots(x)
            depth, solved = self._depth(x, q)
            if not solved.all():
                rest = x[~solved]
                q = np.hstack([q[~solved], self.roots(rest, inverse=True)])
                q = self._polish(rest[:, None], q, pairs=True)
                depth[~solved], _ = self._depth(rest, q)
        return np.asarray(depth / (np.pi * x))

    def _depth(self, x: Array, q: Array) -> tuple[Array, Array]:
        """Return -Im h of the pair among roots q, NaN in doubt, and whether all are solved."""
        h, residual = self._h_and_residual(x[:, None], q)
        pair = (residual < _SOLVED) & (np.abs(q.imag) > _REAL * np.abs(q))
        depth = np.where(pair, np.abs(h.imag), 0.0).max(axis=1)
        doubtful = (residual >= _SOLVED) & (residual < _FOREIGN)
        doubtful &= np.abs(q.imag) > _TOUCHING * np.abs(q)
        depth[doubtful.any(axis=1) & (depth == 0)] = np.nan
        return depth, np.all(residual < _SOLVED, axis=1)

    def _h_and_residual(self, z: Array, q: Array) -> tuple[Array, Array]:
        """Return h at roots q, and the errors of both equations relative to their terms."""
        h = direct = self.h(q)
        factor = self.gamma * (1 - h) - 1
        # A small h is a difference that loses its digits; the equation z q = h factor has them.
        h = np.where((np.abs(h) < 0.1) & (np.abs(h) < np.abs(factor)), z * q / factor, h)
        factor = self.gamma * (1 - h) - 1
        terms = 1 + np.abs(self.noise * q) + np.abs(self.zeta * q / self._linear(q))
        residual = np.abs(h - direct) / terms
        # Rounding of the terms of h moves h factor by its derivative times that.
        terms = terms * np.abs(factor - self.gamma * h) + np.abs(z * q)
        residual = np.maximum(residual, np.abs(h * factor - z * q) / terms)
        return h, np.where(np.isfinite(residual), residual, np.inf)

    def intervals(self, bound: float, density: Callable[[Array], Array]) -> Array:
        """Return the intervals of the support of a density below a bound, shape (k, 2)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.unique(self.z(self._critical_points()))
        # What differs from 0 by rounding is 0. Where D is nearly 0, rounding makes large z.
        ends = np.concatenate([[0.0], z[(z > _SMALLEST_EDGE * bound) & (z < bound)]])
        filled = density((ends[:-1] + ends[1:]) / 2) > 0
        filled[:1] |= self.closed
        # Edges are where filled and empty pieces meet.
        changes = np.flatnonzero(np.diff(np.concatenate([[False], filled, [False]])))
        return ends[changes].reshape(-1, 2)

    def _critical_points(self) -> Array:
        """Return the real q with z'(q) = 0; every edge of the support is z at one of them."""
        q, top = Polynomial([0.0, 1.0]), Polynomial(self._numerator)
        D = 1 + self.alpha * self.zeta * q
        slope = top.deriv() * q * D - top * (D + 2 * q * D.deriv())
        found = slope.trim().roots()
        real = found.real[np.abs(found.imag) <= 1e-6 * np.abs(found)]
        curvature = slope.deriv()
        for _ in range(3):
            step = slope(real) / np.where(curvature(real) == 0, np.inf, curvature(real))
            better = np.abs(slope(real - step)) < np.abs(slope(real))
            real = np.where(better, real - step, real)
        return np.asarray(real[real != 0])


def _imaginary(value: Array, slope: Array, z: Array) -> Array:
    """Return Im value / |value|, next to the real axis from the slope in z."""
    part = value.imag / np.abs(value)
    rounded = (np.abs(part) < _ROUNDING) & (z.imag < _ROUNDING**0.5 * np.abs(z))
    return np.where(rounded, z.imag * (slope / np.abs(value)).real, part)
