r"""The spectrum of nonlinear random matrices whose three dimensions grow in proportion.

Y = f(WX + b 1^T) has n1 rows and m columns, W is n1 x n0 with iid entries of variance 1/n0, X is
n0 x m with iid entries of variance 1. As n0, n1, m grow in proportion, the bulk of the eigenvalues
of M = (1/m) Y Y^T takes a deterministic shape in which f enters through two numbers alone, the
variance eta of f(Z) and the square zeta of its linear coefficient E[Z f(Z)]. Without a bias its
Stieltjes transform is a root of a quartic; with one, every row has its own pair of numbers and a
fixed-point equation over rows takes its place. With several layers, Y_1 = f(W_1 X), Y_2 = f(W_2
Y_1), ..., or inputs whose coordinates are correlated, a chain of equations does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib._validation import Array, as_floating, check_count, check_number
from reluspec_lib._values import ByValue
from reluspec_lib.proportional import _arguments
from reluspec_lib.proportional._bulk import Bulk, ConvergenceError, Solution
from reluspec_lib.proportional._outlier import Outlier, outlier
from reluspec_lib.proportional._rows import Rows, check_std, relu, rows_of

__all__ = ["ConvergenceError", "Outlier", "RandomFeatures", "Rows", "Solution", "relu"]


@dataclass(init=False, eq=False, repr=False)
class RandomFeatures(ByValue):
    r"""The limit of the spectrum of M = (1/m) Y Y^T, Y = f(WX) or Y = f(WX + b 1^T).

    Parameters
    ----------
    activation : callable
        f: takes an ndarray, returns the values in the same shape. :func:`relu` has closed forms.
        In floats of less than 64 bits the integrals are as accurate as these.
    phi : float
        Ratio n0/m, from 1e-50 to 1e50, as phi/psi.
    psi : float
        Ratio n0/n1, from 1e-50 to 1e50.
    bias_std : float
        Standard deviation of the biases b_i, iid N(0, bias_std^2), from 0 to 1e4.
    bias : array_like, optional
        Biases of the rows in place of their law, shape (n1,): the spectrum given these.
    kinks : sequence of float
        Where f is not smooth, besides 0.
    layers : int or sequence of float
        Number of layers of n1 units, tested to 200; or the ratios n0/n_l of those before the last,
        that of ``psi``. Each sees (f - E f(Z))/sqrt(eta) of the one before; Y is f of the last.
    input_spectrum : array_like, optional
        Eigenvalues of the covariance of a column of X, of mean 1, shape (K,); with weights (2, K).

    Attributes
    ----------
    phi, psi, bias_std : float
        As given.
    layers, input_spectrum : tuple of float, ndarray or None
        All ratios n0/n_l, the last of them ``psi``; eigenvalues and weights, shape (2, K).
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
        grows too fast, if its variance is outside of 1e-300 to 1e300, a ratio of two sizes is
        outside of 1e-50 to 1e50, ``bias_std`` or ``input_spectrum`` is out of range, both ways to
        give a bias are used, or a bias comes with several layers or an input spectrum.

    Notes
    -----
    Only the bulk is described. A mean of f adds one eigenvalue of order n1 (:meth:`outlier`), and
    E[He_2(Z) f(Z)] != 0 may move a few eigenvalues of order one out of the bulk. Models are equal
    if their ratios, spectrum, ``bias_std`` and ``rows`` are, from whatever activation.

    Integrals over Z are by Gauss-Legendre quadrature on short pieces that end at 0 and at the
    kinks, which reaches rounding for sharp activations as well, where Gauss-Hermite does not. A
    second rule on the same pieces checks the accuracy; that E f(Z)^2 has ended within 38 standard
    deviations, where the Gaussian weight is the smallest float, is checked apart. What an
    activation does beyond is not known. Biases of Gaussian law are replaced by equally spaced ones.

    A linear part or a noise below 1e-13 of eta is left out of the equations. Without noise some
    eigenvalues may be 0 that are in truth below 1e-13 of eta; only :meth:`atom` tells them apart.

    Source: Pennington and Worah (2017), Benigni and Peche (2021), Piccolo and Schroeder (2021), for
    several layers Fan and Wang (2020).

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

    phi: float
    psi: float
    bias_std: float
    rows: Rows
    layers: tuple[float, ...]
    input_spectrum: Array | None

    def __init__(
        self,
        activation: Callable[[Array], Array],
        phi: float,
        psi: float,
        *,
        bias_std: float = 0.0,
        bias: ArrayLike | None = None,
        kinks: Sequence[float] = (),
        layers: int | Sequence[float] = 1,
        input_spectrum: ArrayLike | None = None,
    ) -> None:
        self.phi = check_number("phi", phi, positive=True)
        self.psi = check_number("psi", psi, positive=True)
        self.bias_std = check_std(bias_std)
        self.layers = _arguments.check_layers(layers, self.phi, self.psi)
        self.input_spectrum = _arguments.check_spectrum(input_spectrum)
        self._chained = len(self.layers) > 1 or self.input_spectrum is not None
        if self._chained and (bias is not None or self.bias_std > 0):
            raise ValueError("layers must be 1 and input_spectrum None with a bias")
        self.rows = rows_of(activation, self.bias_std, bias, _arguments.check_kinks(kinks))
        self.mean = self.rows.average(self.rows.mean)
        self.zeta = self.rows.average(self.rows.zeta)
        self.eta = self.zeta + self.rows.average(self.rows.noise)
        self._bulk = Bulk(self.rows, self.eta, self.phi, self.layers, self.input_spectrum)

    def __repr__(self) -> str:
        more = f", layers: {len(self.layers)}" if self._chained else ""
        return (
            f"RandomFeatures(eta={self.eta:.6g}, zeta={self.zeta:.6g}, phi={self.phi:g}, "
            f"psi={self.psi:g}, kinds of row: {len(self.rows.weight)}{more})"
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
            "quartic", the roots of the polynomial, where rows are all of one kind; "fixed-point",
            the equations over rows; "layers", a chain of them. By default the first that there is.
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
            If Im z <= 0, or the method is unknown or not one for the model.
        ConvergenceError
            If the equations are not solved to the tolerance at some z.
        """
        return self._bulk.solve(
            _arguments.check_upper(z),
            self._method(method),
            check_number("tolerance", tolerance, positive=True),
            check_count("most_steps", most_steps),
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
        as it may for nearly linear activations, the fixed point is taken. With a Gaussian
        law of the bias the density shows single kinds of row where their eigenvalues are far apart,
        far below the bulk; the mass there is small.

        Examples
        --------
        >>> RandomFeatures(relu, phi=0.5, psi=0.8).density([-1.0, 0.5, 2.0]).round(4).tolist()
        [0.0, 0.4773, 0.0]
        """
        chosen = self._method(method)
        return self._bulk.density(as_floating("x", x).astype(np.float64), chosen)

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
            eigenvalue counts as nearly zero: there the function is constant.

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
        return self._bulk.cdf(as_floating("x", x).astype(np.float64))

    def support(self) -> Array:
        """Return the intervals outside which the density of the bulk of M is zero.

        Returns
        -------
        ndarray, shape (k, 2)
            Lower and upper edges in increasing order; the atom at zero is not part of it. A lower
            edge of 0 says that the density diverges at 0. Without bias all intervals, exactly; with
            bias one interval from the lowest to the highest edge; with several layers or an input
            spectrum without gaps that are narrower than 5 % of their place.

        Raises
        ------
        ConvergenceError
            If the equations cannot be solved somewhere, as with sizes many powers of ten apart.

        Notes
        -----
        The upper edge that belongs to biases within 7.5 standard deviations is given, also for
        activations whose rows grow with the bias, for which there is none in the limit.
        """
        return self._bulk.support.copy()

    def atom(self) -> float:
        """Return the mass of the bulk of M at zero, the share of its rank that is missing.

        Returns
        -------
        float
            Exact: rows with noise are as independent as the m columns allow, and every row has
            noise unless f(t) = a + c t, when all of them span at most n0 dimensions.
        """
        return self._bulk.atom()

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
            If ``n1`` is not positive, or there is a mean with layers or correlated inputs.

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
        size = check_number("n1", check_count("n1", n1))
        if self._chained and self.mean:
            raise ValueError("layers must be 1 and input_spectrum None for the outlier of a mean")
        return outlier(self.rows, size, self.phi, self.psi, drawn=self.bias_std > 0)

    def _method(self, method: str | None) -> str:
        return self._bulk.method if method is None else self._bulk.check_method(method)
