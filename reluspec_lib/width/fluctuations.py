r"""How far a finite network is from its limit: the central limit theorem over hidden units.

The output f_v(x) of a network with a group vector v is a mean over its m hidden units, so that
:math:`\sqrt m\,(f_v(x) - F(x))` tends to a Gaussian random function of x as m grows. The groups
hold its variance; here stand its covariance, and what follows from it for the mean absolute error
that the paper reports.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from reluspec_lib import sphere
from reluspec_lib._validation import Array, RandomSource, check_count, check_rng, check_rows
from reluspec_lib.groups import Form, Group
from reluspec_lib.width._terms import form_of

__all__ = ["covariance", "expected_mae", "mae_spread", "sample_mae"]

# Points in the radius and around the circle; the integrand is smooth, and twice as many change the
# result by less than 1e-13.
_RADII = 20
_ANGLES = 48

# Eigenvalues of a form count as equal up to this, relative to the largest.
_EQUAL = 1e-12


def covariance(group: Group, x: ArrayLike, y: ArrayLike | None = None, column: int = 0) -> Array:
    r"""Return the covariance of the fluctuations at two inputs, over hidden weights.

    .. math:: C(x, y) = m \operatorname{Cov}_W\big(f_v(x), f_v(y)\big)
              = m^2\, \mathbb{E}\big[v_j^2 \operatorname{ReLU}(w_j \cdot x)
              \operatorname{ReLU}(w_j \cdot y)\big] - F(x) F(y)

    Parameters
    ----------
    group : Group
        A group with a vector at this d.
    x : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (k, d), optional
        More inputs; ``x`` by default.
    column : int
        Which vector of the group, as a position in ``labels(d)``.

    Returns
    -------
    C : ndarray, shape (n, k), float64
        ``C[i, j]`` belongs to x_i and y_j; the diagonal of ``covariance(group, x)`` is
        ``group.variance(x)``. The same at every width.

    Raises
    ------
    ValueError
        If an array is not finite or of another shape, or the group has no such vector.

    Notes
    -----
    With :math:`v_j = w \cdot A w / |w|` the expectation is over
    :math:`(g \cdot A g)^2 \operatorname{ReLU}(g \cdot x) \operatorname{ReLU}(g \cdot y) / |g|^2`;
    the length of g factors out, and four integrations by parts leave the arc-cosine kernel and
    its derivatives. Source: this book.

    Examples
    --------
    >>> from reluspec_lib import groups
    >>> x = [[3.0, 0.0, 4.0], [0.0, 1.0, 0.0]]
    >>> covariance(groups.COORDINATE, x).round(4)
    array([[19.25  ,  1.0823],
           [ 1.0823,  0.5   ]])
    """
    x = check_rows("x", x)
    d = x.shape[1]
    y = x if y is None else check_rows("y", y, d)
    form = form_of(group, d, column)
    # Unit vectors first: squares of very short or long inputs are no floats.
    (p, p_length), (q, q_length) = _directions(x), _directions(y)
    second = _linear(form, p, q) if form.block.ndim == 1 else _quadratic(form, p, q)
    C: Array = second - group.limit(p, [column]) @ group.limit(q, [column]).T
    C *= p_length[:, None]
    C *= q_length
    return C


def expected_mae(group: Group, d: int, m: int, column: int = 0) -> float:
    r"""Return the mean absolute error of a wide network, averaged over weights and inputs.

    .. math:: \mathbb{E}_{W, x} |f_v(x) - F(x)| \approx \sqrt{\frac{2}{\pi m}}\;
              \mathbb{E}_x\, s(x), \qquad x \sim N(0, I_d)

    Parameters
    ----------
    group : Group
        A group with a vector at this d.
    d, m : int
        Input dimension and width.
    column : int
        Which vector, as a position in ``labels(d)``; in a group of the paper all have one error.

    Returns
    -------
    mae : float
        The first order in :math:`1/\sqrt m`, to twelve digits.

    Raises
    ------
    ValueError
        If ``d`` or ``m`` is not an integer >= 1, the group has no such vector, or more than two of
        the eigenvalues of its form A differ from the others, which have to be equal.

    Notes
    -----
    Length and direction of x separate. The standard deviation s depends on two coordinates of the
    direction, along eigenvectors of A or along a, over which a product of Gauss–Jacobi and
    trapezoidal rules integrates. For any other A, average ``group.variance`` over inputs.

    Examples
    --------
    >>> from reluspec_lib import groups
    >>> round(expected_mae(groups.COORDINATE, 10, 10_000), 4)
    0.0186
    """
    d, m = check_count("d", d), check_count("m", m)
    frame = _frame(form_of(group, d, column))
    mean = 0.0
    for weight, points in _circles(d):
        mean += weight * float(np.sqrt(group.variance(points @ frame, [column])).mean())
    mean_length = 1 / (math.sqrt(2 * math.pi) * sphere.relu_mean(d))
    return math.sqrt(2 / (math.pi * m)) * mean_length * mean


def mae_spread(group: Group, x: ArrayLike, m: int, column: int = 0) -> float:
    r"""Return the standard deviation over weights of the mean absolute error at given inputs.

    .. math:: \operatorname{Var}_W \frac1n \sum_i |e_i| \approx \frac{2}{\pi m n^2} \sum_{i,k}
              s_i s_k \Big(\sqrt{1 - \rho_{ik}^2} + \rho_{ik} \arcsin \rho_{ik} - 1\Big)

    with the errors :math:`e_i = f_v(x_i) - F(x_i)` and their correlations rho.

    Parameters
    ----------
    group : Group
        A group with a vector at this d.
    x : array_like, shape (n, d)
        Inputs; memory is that of a few n x n matrices.
    m : int
        Width.
    column : int
        Which vector of the group, as a position in ``labels(d)``.

    Returns
    -------
    spread : float
        The first order in :math:`1/\sqrt m`.

    Raises
    ------
    ValueError
        If ``x`` is not a finite (n, d) array, ``m`` is not an integer >= 1, or the group has no
        such vector.

    Examples
    --------
    >>> from reluspec_lib import groups
    >>> x = np.random.default_rng(0).standard_normal((500, 10))
    >>> mae_spread(groups.NORM, x, 100) / mae_spread(groups.NORM, x, 10_000)
    10.0
    """
    m = check_count("m", m)
    x, unit = _in_units(check_rows("x", x))
    C = covariance(group, x, column=column)
    s = np.sqrt(np.maximum(np.diag(C), 0))
    scale = np.outer(s, s)
    rho = np.clip(np.divide(C, scale, out=np.zeros_like(C), where=scale > 0), -1, 1)
    excess = np.sqrt(1 - rho**2) + rho * np.arcsin(rho) - 1
    return unit * math.sqrt(2 / (math.pi * m) * float((scale * excess).mean()))


def sample_mae(
    group: Group, x: ArrayLike, m: int, draws: int, rng: RandomSource, column: int = 0
) -> Array:
    """Draw mean absolute errors at given inputs from the Gaussian limit, without any network.

    Parameters
    ----------
    group : Group
        A group with a vector at this d.
    x : array_like, shape (n, d)
        Inputs; the cost is that of the eigenvectors of an n x n matrix.
    m : int
        Width.
    draws : int
        Number of draws, each in place of a new W.
    rng : numpy.random.Generator or seed
        Source of randomness; a seed gives the same as ``numpy.random.default_rng`` of it.
    column : int
        Which vector of the group, as a position in ``labels(d)``.

    Returns
    -------
    mae : ndarray, shape (draws,)
        Mean over the inputs of the absolute value of a Gaussian function with
        :func:`covariance` / m.

    Raises
    ------
    ValueError
        If an argument is out of its range, as in :func:`mae_spread`.

    Examples
    --------
    >>> from reluspec_lib import groups
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((300, 10))
    >>> draws = sample_mae(groups.PRODUCT, x, 10_000, 1000, rng)
    >>> abs(draws.std() / mae_spread(groups.PRODUCT, x, 10_000) - 1) < 0.1
    np.True_
    """
    m, draws, rng = check_count("m", m), check_count("draws", draws), check_rng(rng)
    x, unit = _in_units(check_rows("x", x))
    eigenvalues, vectors = np.linalg.eigh(covariance(group, x, column=column))
    # The symmetric root: eigenvectors have free signs, and of equal eigenvalues a free basis, and
    # it depends on neither. Where C is singular, rounding leaves eigenvalues of its own size, of
    # either sign; their roots would be noise of 1e-8.
    noise = len(eigenvalues) * np.finfo(float).eps * eigenvalues[-1]
    root = vectors * np.sqrt(np.where(eigenvalues > noise, eigenvalues, 0) / m) @ vectors.T
    mae: Array = np.abs(root @ rng.standard_normal((len(root), draws))).mean(axis=0)
    return unit * mae


def _in_units(x: Array) -> tuple[Array, float]:
    """Return inputs divided by their largest entry, and that entry; everything is homogeneous."""
    unit = float(np.abs(x).max()) or 1.0
    return x / unit, unit


def _directions(x: Array) -> tuple[Array, Array]:
    """Return unit vectors, 0 where an input is 0, and lengths."""
    largest = np.abs(x).max(axis=1, keepdims=True)
    p = np.divide(x, largest, out=np.zeros_like(x), where=largest > 0)
    lengths = np.linalg.norm(p, axis=1, keepdims=True)
    np.divide(p, lengths, out=p, where=lengths > 0)
    return p, (lengths * largest)[:, 0]


def _angles(p: Array, q: Array) -> tuple[Array, Array, Array]:
    """Return cosine, sine and pi minus the angle between unit vectors."""
    cosine = np.clip(p @ q.T, -1, 1)
    return cosine, np.sqrt(1 - cosine**2), np.arccos(-cosine)


def _linear(form: Form, p: Array, q: Array) -> Array:
    """Return E[(a . g)^2 ReLU(g . p) ReLU(g . q)] for unit p, q, by two integrations by parts."""
    (cosine, sine, rest), a = _angles(p, q), form.block
    ap, aq = (p[:, form.axes] @ a)[:, None], q[:, form.axes] @ a
    second: Array = a @ a * (sine + rest * cosine) + (ap**2 + aq**2) * sine + 2 * ap * aq * rest
    return second / (2 * math.pi)


def _quadratic(form: Form, p: Array, q: Array) -> Array:
    """Return E[(g . A g)^2 ReLU(g . p) ReLU(g . q) / |g|^2], by four integrations by parts."""
    cosine, sine, rest = _angles(p, q)
    trace, Ap, Aq = form.trace, form.image(p), form.image(q)
    # p A p, q A q, p A q; and those of B = 2 tr(A) A + 4 A^2, which two derivatives contract with.
    pp, qq, pq = (p * Ap).sum(axis=1)[:, None], (q * Aq).sum(axis=1), Ap @ q.T
    Bpp = 2 * trace * pp + 4 * (Ap**2).sum(axis=1)[:, None]
    Bqq = 2 * trace * qq + 4 * (Aq**2).sum(axis=1)
    Bpq = 2 * trace * pq + 4 * Ap @ Aq.T
    none = (trace**2 + 2 * form.square) * (sine + rest * cosine)
    two = (Bpp + Bqq) * sine + 2 * Bpq * rest
    # The first term tends to zero with the sine.
    gap = (pp - 2 * cosine * pq + qq) ** 2
    four = np.divide(gap, sine, out=np.zeros_like(gap), where=sine > 0)
    four -= 2 * sine * (pp**2 + qq**2 - 2 * pq**2)
    second: Array = (none + two + four) / (2 * math.pi * (form.d + 4))
    return second


def _frame(form: Form) -> Array:
    """Return three orthonormal rows, or d if there are fewer, two of which a vector singles out.

    The variance is even in the coordinates along both, and depends on all others, for which the
    last row stands, by the sum of their squares.
    """
    d, block = form.d, form.block
    values, turn = np.linalg.eigh(np.outer(block, block) if block.ndim == 1 else block)
    k = len(values)
    values = np.concatenate([values, np.zeros(d - k)])
    order = np.argsort(values)
    if d > 2:  # all but two are equal: the highest, the lowest, or those between two others
        gaps = values[order[d - 3 :]] - values[order[:3]]
        start = int(np.argmin(gaps))
        if gaps[start] > _EQUAL * np.abs(values).max():
            raise ValueError(
                "group must have a form A with at most two eigenvalues other than a common one, "
                "for an average in closed form; average group.variance over inputs instead"
            )
        order = np.array([*order[:start], *order[start + d - 2 :], order[start]])
    frame = np.zeros((len(order), d))
    rest = np.delete(np.arange(d), form.axes)
    for row, index in zip(frame, order, strict=True):
        if index < k:
            row[form.axes] = turn[:, index]
        else:
            row[rest[index - k]] = 1
    return frame


def _circles(d: int) -> Iterator[tuple[float, Array]]:
    """Yield weights and points of the sphere, as coordinates along the rows of a frame."""
    if d == 1:
        yield 1.0, np.ones((1, 1))
        return
    # One quarter of the points around the circle; the others are their mirror images.
    quarter = _ANGLES // 4
    angle = 2 * np.pi * (np.arange(quarter) + 0.5) / _ANGLES
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    squared, weights = _beta_rule((d - 4) / 2) if d > 2 else (np.ones(1), np.ones(1))
    for r2, weight in zip(squared, weights, strict=True):
        rest = np.full((quarter, 1), np.sqrt(1 - r2))
        yield float(weight), np.hstack([np.sqrt(r2) * circle, rest])[:, :d]


def _beta_rule(power: float) -> tuple[Array, Array]:
    """Return nodes and weights for the density proportional to (1 - t)^power on [0, 1].

    Golub and Welsch, from the recurrence of the Jacobi polynomials; scipy's rule of this name
    overflows from a power of 1000 on.
    """
    k = np.arange(_RADII)
    degree = 2 * k + power
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = -(power**2) / (degree * (degree + 2))
        coupling = 4 * k**2 * (k + power) ** 2 / (degree**2 * (degree + 1) * (degree - 1))
    # The first of each has a common factor, which is zero for some powers.
    centre[0] = -power / (power + 2)
    coupling[1] = 4 * (1 + power) / ((2 + power) ** 2 * (3 + power))
    nodes, vectors = linalg.eigh_tridiagonal(centre, np.sqrt(coupling[1:]))
    return (1 + nodes) / 2, vectors[0] ** 2
