r"""The spectrum of nonlinear random matrices whose three dimensions grow in proportion.

Y = f(WX + b 1^T) has n1 rows and m columns, W is n1 x n0 with iid entries of variance 1/n0, X is
n0 x m with iid entries of variance 1. As n0, n1, m grow in proportion, the bulk of the eigenvalues
of M = (1/m) Y Y^T takes a deterministic shape in which f enters through two numbers alone, the
variance eta of f(Z) and the square zeta of its linear coefficient E[Z f(Z)]. Without a bias its
Stieltjes transform is a root of a quartic; with one, every row has its own pair of numbers and a
fixed-point equation over rows takes its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from reluspec_lib._validation import (
    Array,
    as_floating,
    check_count,
    check_number,
    check_unmasked,
)
from reluspec_lib._values import ByValue
from reluspec_lib.proportional._fixed_point import FixedPoint
from reluspec_lib.proportional._quartic import Quartic
from reluspec_lib.proportional._rows import Rows, gaussian_biases, kink_places, relu, rows

__all__ = ["ConvergenceError", "Outlier", "RandomFeatures", "Rows", "Solution", "relu"]

_METHODS = ("quartic", "fixed-point")

# A linear part or a noise below this share of the variance is left out of the equations: it moves
# no eigenvalue that can be told from zero.
_INVISIBLE = 1e-13

# Every unit of this takes 60 kinds of row.
_LARGEST_STD = 1e4

# Points times kinds of row that the fixed point holds at once: 16 MiB for each of its arrays.
_CHUNK = 2**20

# The cumulative distribution is integrated on so many nodes, which crowd at the edges with this
# power, and must find the whole mass up to this error; each first without, then with bias.
_CDF_NODES = (4097, 2049)
_CDF_POWER = 6
_CDF_ERROR = (1e-6, 2e-3)

# With bias the edges are looked for on a grid over so many decades, then by repeated refinement.
_EDGE_DECADES = 14
_EDGE_GRID = 300
_EDGE_ROUNDS = 7


class ConvergenceError(RuntimeError):
    """The equations were not solved to the accuracy that was asked for."""


@dataclass(frozen=True, eq=False, repr=False)
class Solution(ByValue):
    """Stieltjes transforms with a report on how they were found.

    Attributes
    ----------
    stieltjes : ndarray
        Of the bulk of M = (1/m) Y Y^T, in the shape of z.
    companion : ndarray
        Of the bulk of (1/m) Y^T Y, which has the same eigenvalues but for zeros.
    residual : float
        Largest relative error with which the equations are satisfied.
    steps : int
        Largest number of steps that a point took; 0 for the roots of the quartic.
    method : str
        "quartic" or "fixed-point".
    """

    stieltjes: Array
    companion: Array
    residual: float
    steps: int
    method: str


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


class RandomFeatures:
    r"""The limit of the spectrum of M = (1/m) Y Y^T, Y = f(WX) or Y = f(WX + b 1^T).

    Parameters
    ----------
    activation : callable
        f: takes an ndarray, returns the values in the same shape. :func:`relu` has closed forms.
        In floats of less than 64 bits the integrals are as accurate as these.
    phi : float
        Ratio n0/m, positive.
    psi : float
        Ratio n0/n1, positive.
    bias_std : float
        Standard deviation of the biases b_i, iid N(0, bias_std^2), from 0 to 1e4.
    bias : array_like, optional
        Biases of the rows in place of their law, shape (n1,): the spectrum given these.
    kinks : sequence of float
        Where f is not smooth, besides 0.

    Attributes
    ----------
    phi, psi, bias_std : float
        As given.
    mean, eta, zeta : float
        E f(Z), Var f(Z) and (E[Z f(Z)])^2, Z standard Gaussian; with bias Z + b_i in the argument
        of f, and averages over rows. The variance of (WX)_ij is 1, so zeta is the variance of the
        linear part whether there is bias or not.
    rows : Rows
        The same numbers for each kind of row.

    Raises
    ------
    ValueError
        If the activation is constant, not finite, of a wrong shape, not smooth between its kinks or
        grows too fast, if its variance is outside of 1e-300 to 1e300, a ratio is not a positive
        number, ``bias_std`` is out of range, or both ways to give a bias are used.

    Notes
    -----
    Only the bulk is described. A mean of f adds one eigenvalue of order n1 (:meth:`outlier`), and
    E[He_2(Z) f(Z)] != 0 may move a few eigenvalues of order one out of the bulk.

    Integrals over Z are by Gauss-Legendre quadrature on short pieces that end at 0 and at the
    kinks, which reaches rounding for sharp activations as well, where Gauss-Hermite does not. A
    second rule on the same pieces checks the accuracy; that E f(Z)^2 has ended within 38 standard
    deviations, where the Gaussian weight is the smallest float, is checked apart. What an
    activation does beyond is not known. Biases of Gaussian law are replaced by equally spaced ones.

    A linear part or a noise below 1e-13 of eta is left out of the equations. Without noise some
    eigenvalues may be 0 that are in truth below 1e-13 of eta; only :meth:`atom` tells them apart.

    Source: Pennington and Worah (2017), Benigni and Peche (2021), Piccolo and Schroeder (2021).

    Examples
    --------
    >>> model = RandomFeatures(relu, phi=0.5, psi=0.8)
    >>> round(model.eta, 6), model.zeta
    (0.340845, 0.25)
    >>> model.support().round(4).tolist()
    [[0.0072, 1.8103]]
    >>> model.stieltjes([1 + 1j]).round(4).tolist()
    [(-0.3841+0.6636j)]
    """

    def __init__(
        self,
        activation: Callable[[Array], Array],
        phi: float,
        psi: float,
        *,
        bias_std: float = 0.0,
        bias: ArrayLike | None = None,
        kinks: Sequence[float] = (),
    ) -> None:
        if not callable(activation):
            raise ValueError(f"activation must be callable, got {activation!r}")
        self.phi = check_number("phi", phi, positive=True)
        self.psi = check_number("psi", psi, positive=True)
        self.bias_std = check_number("bias_std", bias_std)
        if not 0 <= self.bias_std <= _LARGEST_STD:
            raise ValueError(f"bias_std must be from 0 to {_LARGEST_STD:g}, got {bias_std!r}")
        places = kink_places(kinks)
        if bias is None:
            biases, weight = gaussian_biases(self.bias_std)
        elif self.bias_std:
            raise ValueError("bias must not be given together with a bias_std other than 0")
        else:
            biases = as_floating("bias", bias).astype(np.float64)
            if biases.ndim != 1:
                raise ValueError(f"bias must have shape (n1,), got shape {biases.shape}")
            biases, counts = np.unique(biases, return_counts=True)
            weight = counts / counts.sum()
        self.rows = rows(activation, biases, weight, places)
        self.mean = self.rows.average(self.rows.mean)
        self.zeta = self.rows.average(self.rows.zeta)
        self.eta = self.zeta + self.rows.average(self.rows.noise)
        self._alpha, self._gamma = 1 / self.psi, self.phi / self.psi
        if not (math.isfinite(self._alpha) and 0 < self._gamma < math.inf):
            raise ValueError(f"phi and psi must have a ratio that a float holds, got {phi}, {psi}")
        # Both solvers work with the eigenvalues in units of eta.
        parts = self.rows.zeta / self.eta, self.rows.noise / self.eta
        shares = [self.rows.average(part) for part in parts]
        zeta, noise = (
            part * (share > _INVISIBLE) for part, share in zip(parts, shares, strict=True)
        )
        self._linear = not noise.any()
        self._quartic: Quartic | None = None
        if len(weight) == 1:
            self._quartic = Quartic(
                float(zeta[0]), float(noise[0]), self._alpha, self._gamma, closed=self._closed()
            )
        self._fixed_point = FixedPoint(self.rows, zeta, noise, self._alpha, self._gamma)
        # No eigenvalue lies above, in units of eta.
        self._bound = 1.01 * self._fixed_point.bound()

    def __repr__(self) -> str:
        return (
            f"RandomFeatures(eta={self.eta:.6g}, zeta={self.zeta:.6g}, phi={self.phi:g}, "
            f"psi={self.psi:g}, kinds of row: {len(self.rows.weight)})"
        )

    def solve(
        self,
        z: ArrayLike,
        *,
        method: str | None = None,
        tolerance: float = 1e-11,
        most_steps: int = 5000,
    ) -> Solution:
        """Return the Stieltjes transforms at z with a report on how they were found.

        Parameters
        ----------
        z : array_like of complex
            Points with Im z > 0.
        method : str, optional
            "quartic", the roots of the polynomial, or "fixed-point", the equations over rows. By
            default the first where rows are all of one kind, else the second.
        tolerance : float
            Largest residual allowed.
        most_steps : int
            Largest number of steps of the fixed point.

        Returns
        -------
        Solution

        Raises
        ------
        ValueError
            If Im z <= 0, or the method is unknown or "quartic" with a bias.
        ConvergenceError
            If the equations are not solved to the tolerance at some z.
        """
        points = _check_upper(z)
        tolerance = check_number("tolerance", tolerance, positive=True)
        return self._solve(
            points, self._method(method), tolerance, check_count("most_steps", most_steps)
        )

    def stieltjes(self, z: ArrayLike, *, method: str | None = None) -> Array:
        r"""Return the Stieltjes transform of the bulk of M.

        .. math:: g(z) = \lim \frac{1}{n_1} \mathrm{tr}\,(M - z)^{-1}

        Parameters
        ----------
        z, method
            As for :meth:`solve`.

        Returns
        -------
        ndarray of complex128, shape of ``z``

        Raises
        ------
        ValueError, ConvergenceError
            As :meth:`solve`.
        """
        return self.solve(z, method=method).stieltjes

    def density(self, x: ArrayLike, *, method: str | None = None) -> Array:
        """Return the density of the bulk of M, without its atom at zero.

        Parameters
        ----------
        x : array_like
            Real points.
        method : str, optional
            As for :meth:`solve`.

        Returns
        -------
        ndarray of float64, shape of ``x``
            It integrates to 1 - :meth:`atom`, unless there are eigenvalues that cannot be told
            from 0; it is 0 for x <= 0.

        Raises
        ------
        ValueError, ConvergenceError
            As :meth:`solve`.

        Notes
        -----
        Computed on the real axis itself, not next to it. Where rounding leaves the roots in doubt,
        next to the edges of nearly linear activations, the fixed point is taken.

        With a Gaussian law of the bias the density shows single kinds of row where their
        eigenvalues are far apart, far below the bulk; the mass there is small.

        Examples
        --------
        >>> RandomFeatures(relu, phi=0.5, psi=0.8).density([-1.0, 0.5, 2.0]).round(4).tolist()
        [0.0, 0.4773, 0.0]
        """
        chosen = self._method(method)
        points = as_floating("x", x).astype(np.float64)
        result = np.zeros(points.shape)
        with np.errstate(over="ignore", under="ignore"):
            points = points / self.eta
        inside = (points > 0) & (points <= self._bound)
        if inside.any():
            result[inside] = self._density(points[inside], chosen) / self.eta
        return result

    def cdf(self, x: ArrayLike) -> Array:
        """Return the cumulative distribution function of the bulk of M, with its atom at zero.

        Parameters
        ----------
        x : array_like
            Real points.

        Returns
        -------
        ndarray of float64, shape of ``x``
            Absolute error below 1e-6, with bias 2e-3. What is smaller than 1e-14 times the largest
            eigenvalue counts as zero.

        Raises
        ------
        ValueError
            If ``x`` is not finite.
        ConvergenceError
            If the density does not integrate to one, with the atom, to that error.

        Examples
        --------
        >>> RandomFeatures(relu, phi=2, psi=1).cdf([-1.0, 0.0, 100.0]).round(4).tolist()
        [0.0, 0.5, 1.0]
        """
        # Here and not above: nothing else needs it, and it takes a good part of the import's time.
        from scipy.interpolate import CubicSpline

        points = as_floating("x", x).astype(np.float64)
        biased = self._quartic is None
        t = np.linspace(0, 1, _CDF_NODES[biased])
        share = special.betainc(_CDF_POWER, _CDF_POWER, t[1:-1])
        crowding = (t * (1 - t))[1:-1] ** (_CDF_POWER - 1) / special.beta(_CDF_POWER, _CDF_POWER)
        support = self.support()
        if biased:
            # Rows of every size: what lies below the last decade is taken as a whole.
            support = np.maximum(support, support[0, 1] * 10.0**-_EDGE_DECADES)
            below = self._mass_below(*support[0].tolist())
        else:
            below = self._missing(self._linear)
        result, total = np.where(points < 0, 0.0, below), below
        for lower, upper in support:
            values = np.zeros_like(t)
            if lower > 0:
                # Logarithms, since there may be eigenvalues of all sizes.
                width = math.log(upper / lower)
                inner = lower * np.exp(width * share)
                values[1:-1] = self.density(inner) * inner * crowding * width
                position = np.log(np.clip(points, lower, upper) / lower) / width
            else:
                values[1:-1] = self.density(upper * share) * crowding * upper
                position = np.clip(points, 0, upper) / upper
            mass = CubicSpline(t, values).antiderivative()
            result += mass(special.betaincinv(_CDF_POWER, _CDF_POWER, np.clip(position, 0, 1)))
            total += float(mass(1.0))
        if not abs(total - 1) <= _CDF_ERROR[biased]:
            raise ConvergenceError(f"the density integrates, with the atom, to {total:.8f}, not 1")
        return np.clip(result, 0, 1)

    def support(self) -> Array:
        """Return the intervals outside which the density of the bulk of M is zero.

        Returns
        -------
        ndarray, shape (k, 2)
            Lower and upper edges in increasing order; the atom at zero is not part of it. A lower
            edge of 0 says that the density diverges at 0. Without bias all intervals, exactly; with
            bias one interval from the lowest to the highest edge.

        Raises
        ------
        ConvergenceError
            If the equations cannot be solved somewhere.

        Notes
        -----
        Without bias z is a rational function of q = s h, with s and -h/z the transforms of the two
        products of Y, and edges are among its values at its real critical points; between these the
        density is positive where the quartic has complex roots.

        The upper edge that belongs to biases within 7.5 standard deviations is given, also for
        activations whose rows grow with the bias, for which there is none in the limit.
        """
        if self._quartic is not None:
            return self._quartic.intervals(self._bound) * self.eta
        grid = self._bound * np.logspace(-_EDGE_DECADES, 0, _EDGE_GRID)
        inside = np.flatnonzero(self._density(grid, "fixed-point") > 0)
        if not inside.size:  # pragma: no cover - the bound holds the whole spectrum
            raise ConvergenceError("no point of the support was found")
        first, last = int(inside[0]), int(inside[-1])
        lower = 0.0 if self._closed() or first == 0 else self._edge(grid[first], grid[first - 1])
        return np.array([[lower, self._edge(grid[last], grid[last + 1])]]) * self.eta

    def atom(self) -> float:
        """Return the mass of the bulk of M at zero, the share of its rank that is missing.

        Returns
        -------
        float
            Exact: rows with noise are as independent as the m columns allow, and every row has
            noise unless f(t) = a + c t, when all of them span at most n0 dimensions.
        """
        return self._missing(self.rows.affine)

    def _missing(self, linear: bool) -> float:
        """Return the share of missing rank, with or without noise in the rows."""
        rank = min(1.0, 1 / self._gamma)
        return 1 - (min(rank, 1 / self._alpha) if linear else rank)

    def _closed(self) -> bool:
        """Tell whether there is no gap at zero.

        Among n0, n1 and m (without noise), or n1 and m (with), the two smallest are equal. Equal
        sizes give ratios that are equal as floats as well.
        """
        if not self._linear:
            return self.phi == self.psi
        ties = (self.psi == 1 and self.phi <= 1), (self.phi == 1 and self.psi <= 1)
        return any(ties) or self.phi == self.psi >= 1

    def outlier(self, n1: int) -> Outlier | None:
        r"""Return the eigenvalue of order n1 that the mean of the activation causes.

        Parameters
        ----------
        n1 : int
            Number of rows, at least 1.

        Returns
        -------
        Outlier or None
            None if every row has mean 0.

        Raises
        ------
        ValueError
            If ``n1`` is not a positive integer.

        Notes
        -----
        Second-order perturbation of the singular value of E Y, with the Hermite coefficients
        a_k = E[He_k(Z) f(Z + b_i)], mu = a_0, and means <.> over rows:

        .. math:: n_1 \langle\mu^2\rangle + \gamma \langle\eta\rangle
                  + \frac{\langle\mu^2\eta\rangle}{\langle\mu^2\rangle}
                  + \frac{\alpha}{2} \Big( \langle a_2^2\rangle
                  + \frac{\langle\mu a_2\rangle^2}{\langle\mu^2\rangle}
                  + \langle\mu a_4\rangle \Big), \qquad
                  \alpha = \frac{n_1}{n_0}, \quad \gamma = \frac{n_1}{m}

        up to terms that vanish as n1 grows. The terms with alpha/2 and the spread are those of
        Gaussian entries of W and X; for other laws the term n1 <mu^2> alone is common. The outlier
        is one only if it lies above the support.

        Examples
        --------
        >>> found = RandomFeatures(relu, phi=0.5, psi=0.8).outlier(1000)
        >>> round(found.position, 3), round(found.spread, 3)
        (159.808, 0.488)
        """
        n1 = check_count("n1", n1)
        size = check_number("n1", n1)
        rows, alpha, gamma = self.rows, self._alpha, self._gamma
        mu, second, eta = rows.mean, rows.hermite2, rows.zeta + rows.noise
        square = rows.average(mu**2)
        if square == 0:
            return None
        own = rows.average(mu**2 * eta) / square
        shared = rows.average(mu * second) ** 2 / square
        position = size * square + gamma * self.eta + own
        position += (
            alpha / 2 * (rows.average(second**2) + shared + rows.average(mu * rows.hermite4))
        )
        projected = own + (rows.average(mu**2 * second**2) / square / self.phi + alpha * shared) / 2
        variance = 4 * gamma * square * projected
        if self.bias_std:
            variance += size * (rows.average(mu**4) - square**2)
        return Outlier(position, math.sqrt(variance))

    def _method(self, method: str | None) -> str:
        if method is None:
            return _METHODS[self._quartic is None]
        if method not in _METHODS:
            raise ValueError(f"method must be one of {', '.join(_METHODS)}, got {method!r}")
        if method == "quartic" and self._quartic is None:
            raise ValueError("method must be fixed-point with a bias: there is no quartic")
        return method

    def _solve(self, z: Array, method: str, tolerance: float, most_steps: int) -> Solution:
        """Return the solution at z of any shape with Im z >= 0."""
        flat = z.ravel() / self.eta
        if method == "quartic" and self._quartic is not None:
            s, h, residual = self._quartic.solve(flat)
            steps = np.zeros(flat.shape, np.int64)
        else:
            size = max(1, _CHUNK // len(self.rows.weight))
            pieces = [flat[k : k + size] for k in range(0, len(flat), size)]
            found = [self._fixed_point.solve(piece, tolerance, most_steps) for piece in pieces]
            s, h = (np.concatenate([getattr(f, name) for f in found]) for name in ("s", "h"))
            residual = np.concatenate([f.residual for f in found])
            steps = np.concatenate([f.steps for f in found])
        worst = int(np.argmax(np.where(np.isnan(residual), np.inf, residual)))
        if not residual[worst] <= tolerance:
            raise ConvergenceError(
                f"the {method} solver did not converge at z = {flat[worst] * self.eta:.6g} after "
                f"{steps[worst]} steps: residual {residual[worst]:.3g}, allowed {tolerance:.3g}"
            )
        return Solution(
            (-h / flat / self.eta).reshape(z.shape),
            (s / self.eta).reshape(z.shape),
            float(residual[worst]),
            int(steps.max()),
            method,
        )

    def _density(self, x: Array, method: str) -> Array:
        """Return the density at real x > 0, eigenvalues in units of eta."""
        if method == "quartic" and self._quartic is not None:
            density = self._quartic.density(x)
            doubtful = np.isnan(density)
            if doubtful.any():
                density[doubtful] = self._density(x[doubtful], "fixed-point")
            return density
        solution = self._solve(x * self.eta + 0j, method, 1e-11, 5000)
        density = solution.stieltjes.imag * self.eta / np.pi
        # Where a density is not there, rounding leaves one next to nothing.
        visible = density > 1e-7 * np.abs(solution.stieltjes) * self.eta
        return np.where(visible, density, 0.0)

    def _mass_below(self, x: float, upper: float) -> float:
        """Return the mass of the eigenvalues below x, from the transform on the line above x."""
        # The real part of 1/(w - x - iy) integrates over y > 0 to pi/2 times the sign of w - x.
        log_y, step = np.linspace(math.log(x) - 25, math.log(upper) + 25, 1000, retstep=True)
        y = np.exp(log_y)
        return float(0.5 - (self.stieltjes(x + 1j * y).real * y).sum() * step / np.pi)

    def _edge(self, inside: float, outside: float) -> float:
        """Return the edge between a point of the support and one outside, in units of eta."""
        for _ in range(_EDGE_ROUNDS):
            grid = np.linspace(inside, outside, 50)
            empty = int(np.flatnonzero(self._density(grid, "fixed-point") == 0)[0])
            inside, outside = grid[empty - 1], grid[empty]
        return float((inside + outside) / 2)


def _check_upper(z: ArrayLike) -> Array:
    check_unmasked("z", z)
    try:
        points = np.asarray(z)
        if points.dtype.kind not in "biufcO":
            raise TypeError
        points = points.astype(np.complex128)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"z must be complex numbers with Im z > 0, got {z!r}") from None
    if points.size == 0:
        raise ValueError(f"z must not be empty, got shape {points.shape}")
    wrong = ~(np.isfinite(points) & (points.imag > 0))
    if wrong.any():
        raise ValueError(f"z must be finite with Im z > 0, got {points[wrong].flat[0]}")
    return points
