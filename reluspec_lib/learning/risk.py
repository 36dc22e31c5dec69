r"""Test errors in closed form: ridge regression and gradient flow on all m features, and SGD.

Inputs and hidden weights are Gaussian. A target is known here by its power at each degree, the mean
square of its part at that degree; labels carry independent noise. The risk is the excess, the mean
square of f_v(x) - target(x) over new inputs, weights, samples and noise.

That of ridge regression is a deterministic equivalent, for large m and n. At fixed lengths it is
that of Defilippis, Loureiro and Misiakiewicz (2024), who prove it for features with a concentration
property. With the lengths of inputs and weights in it, it is a heuristic of this book, which the
chapter on ridge regression tests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from reluspec_lib._validation import Array, check_count, check_number, check_times
from reluspec_lib._values import ByValue
from reluspec_lib.learning import _equivalent, _flow
from reluspec_lib.learning._equivalent import Problem
from reluspec_lib.learning._setting import check_flag
from reluspec_lib.learning._sgd import check_power, sgd, stable_step

__all__ = ["Ridge", "flow", "optimal_alpha", "sgd", "stable_step"]

# Sizes and ridges are typed, one or a list of them; they are no data.
Numbers = float | Sequence[float] | Array

# Settings that are solved together; their sums over degrees and lengths share memory.
_TOGETHER = 2048


@dataclass(init=False, eq=False, repr=False)
class Ridge(ByValue):
    r"""The risk of ridge regression on all m features, by its deterministic equivalent.

    The readout minimises :math:`\frac1n \sum_i (f_v(x_i) - y_i)^2 + \alpha |v|^2`. With
    eigenvalues :math:`\lambda_k` of multiplicity :math:`N_k` and powers :math:`p_k`,

    .. math:: \text{risk} = \frac{\sum_k p_k \frac{\kappa^2}{(\lambda_k + \kappa)^2}
              (1 + \lambda_k \mu) + \sigma^2 \Omega_1 \tau}{1 - \Omega \tau}, \qquad
              \tau = \frac1n \sum_k N_k
              \frac{\lambda_k^2 + \kappa^2 \mu \lambda_k}{(\lambda_k + \kappa)^2}

    where kappa, and s and q, solve :math:`\alpha = \kappa s q`,
    :math:`\mathbb{E} \frac{r}{s + r D/n} = \mathbb{E} \frac{t}{q + t D/m} = 1` with the effective
    dimension :math:`D = \sum_k N_k \lambda_k/(\lambda_k + \kappa)`, and r, t are squared lengths
    :math:`\chi^2_d/d`; :math:`\Omega = \mathbb{E} \frac{r^2}{(s + r D/n)^2}`,
    :math:`\Omega_1 = \mathbb{E} \frac{r}{(s + r D/n)^2}`, and with
    :math:`w = \frac1m \mathbb{E} \frac{t^2}{(q + t D/m)^2}`

    .. math:: \mu = \frac{w \sum_k N_k \lambda_k/(\lambda_k + \kappa)^2}
              {1 - w \sum_k N_k \lambda_k^2/(\lambda_k + \kappa)^2}

    Parameters
    ----------
    d : int
        Input dimension.
    m, n, alpha : array_like
        Width, number of samples and ridge, which broadcast; m and n may be ``inf``, for the limits,
        and alpha may be 0, for its limit from above.
    power : mapping of int to float
        Mean square of the target's part at each degree; none at other degrees.
    noise : float
        Standard deviation of the noise of labels.
    lengths : bool
        Whether inputs and weights have Gaussian lengths; else both are on spheres.

    Attributes
    ----------
    risk : ndarray
        Excess risk, in the shape to which m, n and alpha broadcast; ``inf`` where it has no bound.
    bias, variance : ndarray
        Its parts without noise of labels, and by that noise.
    by_degree : dict
        An array for each degree of ``power``: the part of the risk there; what is missing lies at
        other degrees.
    effective_dimension : ndarray
        D, below m and n.

    Raises
    ------
    ValueError
        If an argument is out of its range, or there is nothing to regularise: m, n infinite and
        alpha 0.
    ArithmeticError
        If the fixed point is not found.

    Examples
    --------
    >>> ridge = Ridge(4, 90, [35, 70, 140], 0.005, power={0: 0.5, 1: 0.3, 2: 0.2})
    >>> ridge.risk.round(4)
    array([0.0315, 0.0182, 0.0136])
    """

    risk: Array
    bias: Array
    variance: Array
    by_degree: dict[int, Array]
    effective_dimension: Array

    def __init__(
        self,
        d: int,
        m: Numbers,
        n: Numbers,
        alpha: Numbers,
        *,
        power: Mapping[int, float],
        noise: float = 0.0,
        lengths: bool = True,
    ) -> None:
        problem = _problem(d, power, noise, lengths)
        sizes, shape = _sizes(m, n, alpha)
        if (np.isinf(sizes[0]) & np.isinf(sizes[1]) & (sizes[2] == 0)).any():
            raise ValueError("alpha must be positive where both m and n are infinite, got 0")
        starts = range(0, len(sizes[0]), _TOGETHER)
        parts = [_solved(problem, *(a[i : i + _TOGETHER] for a in sizes)) for i in starts]
        columns = zip(*parts, strict=True)
        risk, bias, D, *degrees = (np.concatenate(column).reshape(shape) for column in columns)
        self.risk, self.bias, self.effective_dimension = risk, bias, D
        with np.errstate(invalid="ignore"):  # inf - inf
            self.variance = np.where(problem.noise > 0, risk - bias, np.zeros(shape))
        self.by_degree = dict(zip(problem.power, degrees, strict=True))


def optimal_alpha(
    d: int,
    m: Numbers,
    n: Numbers,
    *,
    power: Mapping[int, float],
    noise: float = 0.0,
    lengths: bool = True,
) -> Array:
    """Return the ridge of least risk, by the equivalent of :class:`Ridge`.

    Parameters
    ----------
    d, m, n, power, noise, lengths
        As for :class:`Ridge`; m and n broadcast, and not both are infinite.

    Returns
    -------
    alpha : ndarray
        As well as the risk in floats tells it: to about eight digits, less where the minimum is
        flatter (two for n = 1 and noise 1e-4); 0 where no ridge is best, ``inf`` where the zero
        function is.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> alpha = optimal_alpha(4, 90, [35, 70], power={0: 0.5, 1: 0.3, 2: 0.2}, noise=0.3)
    >>> best = Ridge(4, 90, [35, 70], alpha, power={0: 0.5, 1: 0.3, 2: 0.2}, noise=0.3)
    >>> more = Ridge(4, 90, [35, 70], 1.3 * alpha, power={0: 0.5, 1: 0.3, 2: 0.2}, noise=0.3)
    >>> (best.risk < more.risk).all()
    np.True_
    """
    problem = _problem(d, power, noise, lengths)
    (m, n, _), shape = _sizes(m, n, 0.0)
    if (np.isinf(m) & np.isinf(n)).any():
        raise ValueError("m and n must not both be infinite")
    lowest = _equivalent.no_ridge(problem.spectrum, np.minimum(m, n))
    found = np.empty(len(m))
    for i, start in enumerate(lowest):

        def risk(log_kappa: Numbers, m: Array = m[i : i + 1], n: Array = n[i : i + 1]) -> Array:
            kappa = np.exp(np.atleast_1d(log_kappa))
            risks = _equivalent.risks(problem, *np.broadcast_arrays(kappa, m, n))
            return risks[0]

        # Risk has one minimum in all that we have seen; a grid finds its place, whatever it is.
        first = math.log(max(float(start), 1e-250))
        grid = np.linspace(first, max(first, math.log(d)) + 25, 400)
        # With many samples it is just above the kappa of no ridge, where alpha grows from 0.
        near = first + np.geomspace(1e-7, 1, 40) * (grid[1] - first)
        grid = np.concatenate([grid[:1], near[:-1], grid[1:]])
        place = int(np.argmin(risk(grid)))
        if place in (0, len(grid) - 1):
            found[i] = 0.0 if place == 0 else np.inf
            continue
        bounds = grid[place - 1], grid[place + 1]
        best = optimize.minimize_scalar(
            lambda x: float(risk(x)[0]), bounds=bounds, method="bounded", options={"xatol": 1e-9}
        ).x
        kappa = np.exp(np.array([best]))
        D = problem.spectrum.dimension(kappa)
        found[i] = (kappa * problem.law.solve(D / m[i]) * problem.law.solve(D / n[i]))[0]
    return found.reshape(shape)


def flow(
    d: int,
    m: float,
    n: float,
    times: Sequence[float] | Array,
    *,
    power: Mapping[int, float],
    noise: float = 0.0,
    lengths: bool = True,
) -> Array:
    r"""Return the mean risk of gradient flow on a sample, from readout 0: early stopping.

    The flow of half the mean square error, :math:`\dot v = -\frac1n X^\top (X v - y)`. With
    :math:`v(\alpha)` the readout of :class:`Ridge`, its readout is

    .. math:: v_t = \frac{1}{2 \pi i} \int \frac{e^{t \alpha}}{\alpha}\, v(\alpha)\, d\alpha

    around the negative axis. The mean product of the errors at two ridges has the equivalent of
    :class:`Ridge` with every square taken apart, such as :math:`\kappa^2/(\lambda_k + \kappa)^2`
    into :math:`\kappa_1 \kappa_2/((\lambda_k + \kappa_1)(\lambda_k + \kappa_2))`.

    Parameters
    ----------
    d : int
        Input dimension.
    m, n : int
        Width and number of samples; either may be ``inf``.
    times : sequence of float
        Times >= 0, increasing. A step eta of gradient descent takes the time eta, if it is small.
    power, noise, lengths
        As for :class:`Ridge`.

    Returns
    -------
    risk : ndarray, shape (times,)
        Mean excess risk, to about ten digits of the largest.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    ArithmeticError
        If the fixed point is not found.

    Notes
    -----
    As that of ridge regression, the equivalent is for large m and n. Atanasov, Bordelon,
    Zavatone-Veth, Paquette and Pehlevan (2025) derive equivalents for two resolvents in linear
    models; with the lengths it is a heuristic of this book, which the chapter on the truncated
    model tests.

    Examples
    --------
    >>> flow(4, 90, 70, [1, 10, 100, 1000], power={0: 0.5, 1: 0.3, 2: 0.2}, noise=0.3).round(4)
    array([0.5125, 0.1625, 0.0359, 0.0333])
    """
    problem = _problem(d, power, noise, lengths)
    (m_value, n_value, _), shape = _sizes(m, n, 0.0)
    if shape:
        raise ValueError(f"m and n must be single numbers, got {m!r} and {n!r}")
    times = check_times("times", times)
    risk = np.full(len(times), sum(problem.power.values()), np.float64)
    later = times > 0
    if later.any():
        risk[later] = _flow.risks(problem, float(m_value[0]), float(n_value[0]), times[later])
    return risk


def _solved(problem: Problem, m: Array, n: Array, alpha: Array) -> list[Array]:
    return _equivalent.risks(problem, _equivalent.kappa(problem, m, n, alpha), m, n)


def _problem(d: Any, power: Any, noise: Any, lengths: Any) -> Problem:
    d = check_count("d", d)
    law = _equivalent.law(d if check_flag("lengths", lengths) else math.inf)
    power, noise = check_power(d, power), check_number("noise", noise, minimum=0)
    return Problem(d, _equivalent.spectrum(d), law, power, noise)


def _sizes(m: Any, n: Any, alpha: Any) -> tuple[tuple[Array, Array, Array], tuple[int, ...]]:
    """Return m, n and alpha as float arrays of one length, and the shape that they broadcast to."""
    arrays = []
    for name, value, least in (("m", m, 1), ("n", n, 1), ("alpha", alpha, 0)):
        what = "integers >= 1 or inf" if least else "finite numbers >= 0"
        try:
            array = np.asarray(value)
            if array.dtype.kind not in "iuf" or np.ma.is_masked(value) or not array.size:
                raise TypeError
            array = array.astype(float)
        except (TypeError, ValueError):
            raise ValueError(f"{name} must be {what}, got {value!r}") from None
        whole = array == np.floor(array) if least else np.isfinite(array)
        if not ((array >= least) & whole).all():
            raise ValueError(f"{name} must be {what}, got {value!r}")
        arrays.append(array)
    try:
        m, n, alpha = np.broadcast_arrays(*arrays)
    except ValueError:
        shapes = [array.shape for array in arrays]
        raise ValueError(f"m, n and alpha must broadcast, got shapes {shapes}") from None
    return (m.ravel(), n.ravel(), alpha.ravel()), m.shape
