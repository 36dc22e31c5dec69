"""The outlier against its expansion for matrices of a finite size, in exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest

from reluspec_lib.proportional.resolvent import RandomFeatures

# f = sum of coefficients times powers; the biases of the rows with their shares.
PLAIN = ((Fraction(2, 5), Fraction(1), Fraction(3, 10), Fraction(-1, 5), Fraction(1, 10)), {0: 1})
BIASED = (PLAIN[0], {Fraction(3, 10): Fraction(1, 3), Fraction(-1, 2): Fraction(2, 3)})
SIZES = [(8, 10, 16), (12, 10, 5)]


def averages(powers, bias):
    """Return E f(w x + b), given |w|^2 or |x|^2/n0 = r, as a polynomial in r."""
    found = [Fraction(0)] * (len(powers) // 2 + 1)
    for p, coefficient in enumerate(powers):
        for j in range(p // 2 + 1):
            pairs = math.prod(range(1, 2 * j, 2))
            found[j] += coefficient * math.comb(p, 2 * j) * pairs * Fraction(bias) ** (p - 2 * j)
    return found


def over_length(polynomial, n0):
    """Return the mean over r, chi squared of n0 degrees over n0."""
    moments = [math.prod(Fraction(n0 + 2 * j, n0) for j in range(k)) for k in range(20)]
    return sum(c * moment for c, moment in zip(polynomial, moments, strict=False))


def product(one, other):
    """Return the coefficients of a product of polynomials."""
    found = [Fraction(0)] * (len(one) + len(other) - 1)
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            found[i + j] += a * b
    return found


def expansion(powers, kinds, n0, n1, m):
    """Return mean and variance to second order of the eigenvalue that E Y causes, n1 x m.

    With u, v the singular vectors of E Y it is (|Y v|^2 + |Y^T u|^2 - (u^T Y v)^2)/m; entries in
    one row depend on each other by |w| alone, and those in one column by |x|.
    """
    share = [Fraction(p) for p in kinds.values()]
    given = [averages(powers, b) for b in kinds]
    squares = [over_length(averages(product(powers, powers), b), n0) for b in kinds]
    mean = [over_length(one, n0) for one in given]
    pairs = [[over_length(product(one, other), n0) for other in given] for one in given]
    K = range(len(share))
    size = sum(share[k] * mean[k] ** 2 for k in K)
    # n1 u_i^2 is mean^2/size; all sums over rows are made of these.
    same = sum(share[k] * mean[k] ** 2 * squares[k] for k in K) / size
    row = sum(share[k] * mean[k] ** 2 * pairs[k][k] for k in K) / size
    column = sum(share[k] * share[j] * mean[k] * mean[j] * pairs[k][j] for k in K for j in K) / size
    fourth = sum(share[k] * mean[k] ** 4 for k in K) / size
    first = n1 * sum(share[k] * (squares[k] + (m - 1) * pairs[k][k]) for k in K)
    second = m * (same + n1 * column - row)
    both = same + (m - 1) * row + n1 * column - row + (m - 1) * (n1 * size - fourth)
    variance = 4 * Fraction(n1, m) * size * (both - n1 * m * size)
    return float((first + second - both) / m), float(variance)


@pytest.mark.parametrize("powers, kinds", [PLAIN, BIASED])
@pytest.mark.parametrize("sizes", SIZES)
def test_position_and_spread_are_those_of_the_expansion(powers, kinds, sizes):
    n0, n1, m = (10**6 * size for size in sizes)

    def f(t):
        return np.polynomial.polynomial.polyval(t, np.array(powers, float))

    rows = [float(b) for b, p in kinds.items() for _ in range(round(3 * p))]
    found = RandomFeatures(f, n0 / m, n0 / n1, bias=rows).outlier(n1)
    position, variance = expansion(powers, kinds, n0, n1, m)
    assert found.position == pytest.approx(position, rel=0, abs=1e-3)
    assert found.spread**2 == pytest.approx(variance, rel=1e-6)


def test_biases_that_are_drawn_add_the_spread_of_their_squares():
    # f(t) = 1/2 + t has rows with the means 1/2 + b and noise 1.
    found = RandomFeatures(lambda t: 0.5 + t, 0.6, 1.5, bias_std=0.7).outlier(50)
    square = 0.25 + 0.49
    assert found.position == pytest.approx(50 * square + 0.4 + 1, rel=1e-10)
    variance = 4 * 0.4 * square + 50 * (2 * 0.7**4 + 4 * 0.25 * 0.49)
    assert found.spread == pytest.approx(math.sqrt(variance), rel=1e-9)


def test_without_a_mean_there_is_none():
    assert RandomFeatures(np.tanh, 0.5, 0.8).outlier(100) is None
    assert RandomFeatures(lambda t: t, 0.5, 0.8, bias=[-1.0, 1.0]).outlier(7) is not None
