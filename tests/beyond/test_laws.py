"""Inputs of other laws: closed forms against quadrature, simulation and exact cases."""

import math
import re

import numpy as np
import pytest
from scipy import integrate, special, stats

from helpers import gauss_legendre, rng
from reluspec_lib import features, fisher, groups, laws

COVARIANCE = np.array([[2.0, 0.6, 0.0], [0.6, 1.0, -0.4], [0.0, -0.4, 0.5]])
MEAN = np.array([0.7, -1.1, 0.4])

# --- the matrix of a normal law


def density(z):
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def entry(w, v, mean, covariance):
    """E[relu(w x) relu(v x)]: the second factor given the first in closed form, then quadrature."""
    (a, s), (b, t) = ((u @ mean, math.sqrt(u @ covariance @ u)) for u in (w, v))
    rho = w @ covariance @ v / (s * t)
    left = t * math.sqrt(1 - rho**2)

    def integrand(z):
        centre = b + t * rho * z
        rest = centre * special.ndtr(centre / left) + left * density(centre / left)
        return (a + s * z) * rest * density(z)

    low = max(-a / s, -12)
    return integrate.quad(integrand, low, max(low + 1, 12), epsabs=1e-15, epsrel=1e-12)[0]


@pytest.mark.parametrize("scale", [0, 0.3, 1, 4])
def test_an_entry_equals_quadrature(scale):
    W = rng(3).normal(size=(3, 6))
    W[:, 4] = 0.1 - W[:, 3]
    W[:, 5] -= MEAN * (MEAN @ W[:, 5]) / (MEAN @ MEAN)  # this unit's mean is 0
    J = laws.matrix(W, scale * MEAN, COVARIANCE)
    for i in range(6):
        for j in range(i):
            stated = entry(W[:, i], W[:, j], scale * MEAN, COVARIANCE)
            assert J[i, j] == pytest.approx(stated, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("other", [[0.6, 0.8, -1], [0.6, 0.8, 1], [-0.6, 0.8, -1]])
def test_one_mean_is_exactly_zero(other):
    W, mean = np.array([[1.0, 0, 0], other]).T, np.array([0.0, 0, 1])
    stated = entry(W[:, 0], W[:, 1], mean, np.eye(3))
    assert laws.matrix(W, mean)[0, 1] == pytest.approx(stated, rel=1e-9)


def test_it_is_the_second_moment_of_the_features_and_symmetric():
    W, generator = rng(4).normal(size=(3, 300)), rng(5)
    J = laws.matrix(W, MEAN, COVARIANCE)
    assert (J == J.T).all()
    X = features(generator.multivariate_normal(MEAN, COVARIANCE, size=100_000), W[:, ::30])
    total = X.T @ X / len(X)
    error = np.sqrt(((X**2).T @ (X**2) / len(X) - total**2) / len(X))
    assert (np.abs(J[::30, ::30] - total) <= 5 * error + 1e-9).all()


def test_equal_opposite_and_zero_units_are_exact():
    w = np.array([0.5, 1.0, -2.0])
    W = np.array([w, 2 * w, -w, 0 * w]).T
    J = laws.matrix(W, MEAN, COVARIANCE)
    mean, spread = w @ MEAN, math.sqrt(w @ COVARIANCE @ w)
    h = mean / spread
    square = (mean**2 + spread**2) * stats.norm.cdf(h) + mean * spread * stats.norm.pdf(h)
    assert J[0, 0] == pytest.approx(square, rel=1e-13)
    assert J[0, 1] == pytest.approx(2 * square, rel=1e-13)
    assert J[0, 2] == pytest.approx(0, abs=1e-14)
    # A unit and its negative share the second moment.
    assert J[0, 0] + J[2, 2] == pytest.approx(mean**2 + spread**2, rel=1e-13)
    assert (J[3] == 0).all()


def test_both_means_zero_beside_others():
    W = np.array([[1.0, 0.6, 0], [0, 0.8, 0], [0, 0, 2]])
    J = laws.matrix(W, [0.0, 0.0, 1.0])
    assert J[0, 1] == pytest.approx(fisher.matrix(W[:2])[0, 1], rel=1e-13)


def test_without_a_mean_it_is_the_closed_form_at_other_weights():
    W = rng(6).normal(size=(3, 9))
    root = np.linalg.cholesky(COVARIANCE)
    for J in (laws.matrix(W, None, COVARIANCE), laws.matrix(W, np.zeros(3), COVARIANCE)):
        np.testing.assert_allclose(J, fisher.matrix(root.T @ W), atol=1e-13)
    np.testing.assert_allclose(laws.matrix(W), fisher.matrix(W), rtol=1e-14)
    np.testing.assert_allclose(laws.matrix(W, 1e-9 * MEAN), laws.matrix(W), rtol=1e-7, atol=1e-12)


def test_inputs_without_spread_are_one_input():
    W = rng(7).normal(size=(3, 5))
    X = features(MEAN, W)
    np.testing.assert_allclose(
        laws.matrix(W, MEAN, np.zeros((3, 3))), np.outer(X, X), rtol=1e-13, atol=1e-15
    )
    flat = np.diag([0.0, 0, 1])  # a line
    np.testing.assert_allclose(
        laws.matrix(W, MEAN, flat), laws.matrix(W, MEAN, flat + 1e-16 * np.eye(3)), atol=1e-6
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"mean": [1.0]}, r"mean must have shape \(3,\), got shape \(1,\)"),
        ({"covariance": [[1.0]]}, r"covariance must have shape \(3, 3\), got shape \(1, 1\)"),
        ({"covariance": np.diag([1.0, 1, -1])}, "covariance must have eigenvalues >= 0, got -1"),
        ({"covariance": np.triu(np.ones((3, 3)))}, "covariance must be symmetric"),
        ({"mean": [np.nan, 0, 0]}, "mean must be finite"),
        ({"mean": [1e200, 0, 0]}, "so small that J does not overflow"),
        ({"mean": [1.0, 0, 0], "covariance": 1e308 * np.eye(3)}, "J does not overflow"),
    ],
)
def test_wrong_moments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        laws.matrix(np.ones((3, 2)), **arguments)


# --- norms of the limit functions


def exact(d):
    return np.array([group.eigenvalue(d) for group in groups.ALL])


@pytest.mark.parametrize("d", [3, 10, 100])
def test_gaussian_coordinates_have_the_eigenvalues(d):
    nodes, weights = np.polynomial.hermite_e.hermegauss(180)
    np.testing.assert_allclose(laws.norms(d, 3 * nodes, weights), 9 * exact(d), rtol=5e-5)


def test_uniform_coordinates_in_the_plane_equal_quadrature():
    beta = integrate.dblquad(
        lambda x, y: 4 * 3 * x**2 * y**2 / (x**2 + y**2), 0, 1, 0, 1, epsabs=1e-12
    )[0]
    nodes, weights = gauss_legendre(-1, 1, 200)
    found = laws.norms(2, nodes, weights)
    product = exact(2)[3] * beta / 3
    assert found.product == pytest.approx(product, rel=1e-7)
    assert found.square == pytest.approx(exact(2)[2] * 2 / 3 - product, rel=1e-7)


def test_a_skewed_law_equals_simulation():
    generator = rng(8)
    x = generator.exponential(size=(400_000, 5)) - 1
    nodes, weights = np.polynomial.laguerre.laggauss(150)
    found = laws.norms(5, nodes - 1, weights)
    for group, stated in zip(groups.ALL, found, strict=True):
        squares = (group.limit(x) ** 2).mean(axis=1)
        error = squares.std() / math.sqrt(len(x))
        assert squares.mean() == pytest.approx(stated, abs=4 * error)
        assert error < 0.01 * stated


@pytest.mark.parametrize("d", [2, 7, 1000])
def test_corners_of_a_cube_have_no_squares(d):
    found = laws.norms(d, [-2.0, 2.0])
    assert found.square == 0
    assert found.product == pytest.approx(4 * exact(d)[3] * (d + 2) / d, rel=1e-12)


def test_weights_count_values():
    np.testing.assert_allclose(
        laws.norms(4, [1.0, 1, 1, 2, 7], [1, 1, 1, 1, 0]), laws.norms(4, [1.0, 2], [3, 1])
    )


@pytest.mark.parametrize("d", [10, 10**8, 10**12])
def test_rare_values_keep_their_kurtosis_in_high_dimensions(d):
    # One value, with the probability 1e-3, else 0: |x|^2 counts the coordinates that are not 0.
    q = 1e-3
    found = laws.norms(d, [0.0, 1.0], np.array([1 - q, q]))
    # d (d - 1) E[x_1^2 x_2^2/|x|^2] is the mean of n - 1 for the count n, where n >= 1.
    mean = (d + 2) / (d * (d - 1)) * (d * q - 1 + (1 - q) ** d)
    assert found.product == pytest.approx(exact(d)[3] * mean, rel=1e-10)
    # d E[x_1^4/|x|^2] is the probability of n >= 1; for large d the difference loses all digits.
    square = (d + 2) / (2 * d) * (1 - (1 - q) ** d) - mean / 2 if d == 10 else (1 - q) / 2
    assert found.square == pytest.approx(exact(d)[2] * square, rel=1e-4 if d > 10 else 1e-11)


def test_weights_of_single_precision_count_as_they_are():
    p = np.array([0.1, 0.9], dtype=np.float32)
    np.testing.assert_allclose(
        laws.norms(3, [1.0, 2.0], p), laws.norms(3, [1.0, 2.0], p.astype(float)), rtol=1e-14
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((1, [1.0]), "d must be an integer >= 2"),
        ((3, [[1.0]]), r"values must have shape \(n,\)"),
        ((3, [0.0, 0.0]), "values must not all be 0"),
        ((3, [1e160, 2e160]), "values must have squares in the range"),
        ((3, [1e-170, 2e-170]), "values must have squares in the range"),
        ((3, [0.0, 1.0], [1.0, 0.0]), "values must not all be 0"),
        ((3, [0.0, 1.0], [1.0, -1.0]), "weights must be 2 numbers >= 0"),
        ((3, [0.0, 1.0], [1.0]), "weights must be 2 numbers >= 0"),
        ((3, [0.0, 1.0], [0.0, 0.0]), "weights must be 2 numbers >= 0"),
    ],
)
def test_wrong_coordinates_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        laws.norms(*arguments)


# --- even functions, units that turn


def test_points_on_the_axes_attain_the_bound():
    # x = +-e_1, +-e_2: the even kernel is 1/4 at one axis and 1/(2 pi) between the two.
    expected = 1 / 8 - 1 / (4 * math.pi)
    assert laws.even_bound(np.diag([0.5, 0.5])) == pytest.approx(expected, rel=1e-14)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    covariance = turn @ np.diag([0.2, 0.5]) @ turn.T
    assert laws.even_bound(covariance) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("shift", [0, 2])
def test_no_more_than_one_and_the_coordinates_exceed_it(shift):
    x = rng(10).standard_t(2, (80, 4)) + shift
    x = np.linalg.solve(np.linalg.cholesky(x.T @ x / 80), x.T).T  # second moments 1
    values = np.linalg.eigvalsh(fisher.matrix(x.T) / 80)  # the kernel on the points
    assert values[-6] < laws.even_bound(x.T @ x / 80) < 0.25 < values[-4]


@pytest.mark.parametrize("covariance", [[1.0], [[1.0, 2.0]], [[-1.0]], [[0.0, 1], [0, 0]]])
def test_a_wrong_covariance_has_no_bound(covariance):
    with pytest.raises(ValueError, match="covariance must"):
        laws.even_bound(covariance)


@pytest.mark.parametrize("r, distance", [(1, 0.5), (2, 3.0), (3, 1.0)])
def test_units_that_turn_are_counted(r, distance):
    g = rng(9).normal(size=(r + 1, 200_000))
    turns = (np.abs(g[0]) * distance < 2 * np.linalg.norm(g[1:], axis=0)).mean()
    stated = laws.turning(r, 2.0, distance)
    assert turns == pytest.approx(stated, abs=4 * math.sqrt(stated * (1 - stated) / 200_000))


def test_on_a_circle_off_the_origin_the_probability_is_a_sine():
    assert laws.turning(2, 1.0, 3.0) == pytest.approx(1 / math.sqrt(10), rel=1e-14)
    assert laws.turning(5, 1.0, 0.0) == 1


@pytest.mark.parametrize("arguments", [(0, 1.0, 1.0), (2, 0.0, 1.0), (2, 1.0, -1.0)])
def test_wrong_spheres_are_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        laws.turning(*arguments)


def test_rounding_of_a_covariance_is_forgiven():
    # As much as 1e-10 of the largest entry.
    limit = 4e-10
    for part, allowed in ((0.9, True), (1.1, False)):
        asymmetric = np.array([[4.0, 1.0], [1.0 + part * limit, 4.0]])
        negative = np.diag([4.0, -part * limit])
        if allowed:
            assert laws.even_bound(asymmetric) == pytest.approx(5 * (1 - 2 / math.pi) / 4)
            found = laws.matrix(np.eye(2), [1.0, 2.0], negative)
            np.testing.assert_allclose(
                found, laws.matrix(np.eye(2), [1.0, 2.0], np.diag([4.0, 0.0])), rtol=1e-12
            )
        else:
            with pytest.raises(ValueError, match="covariance must be symmetric"):
                laws.even_bound(asymmetric)
            with pytest.raises(ValueError, match="covariance must have eigenvalues"):
                laws.even_bound(negative)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: laws.matrix(np.ones((3, 2)), [1, 0, 0], 1e308 * np.eye(3)),
            "W, mean and covariance must be so small that J does not overflow",
        ),
        (
            lambda: laws.matrix(np.ones((3, 2)), "abc"),
            "mean must be an array of real numbers, got 'abc'",
        ),
        (lambda: laws.norms(1, [1]), "d must be an integer >= 2, got 1"),
        (lambda: laws.norms(2, "abc"), "values must be an array of real numbers, got 'abc'"),
        (lambda: laws.norms(2, [[1]]), "values must have shape (n,), got shape (1, 1)"),
        (lambda: laws.norms(2, [1], "abc"), "weights must be an array of real numbers, got 'abc'"),
        (
            lambda: laws.norms(2, [1, 2, 3], [0.5, -1, 4]),
            "weights must be 3 numbers >= 0, not all 0, got shape (3,) and -1.0 ... 4.0",
        ),
        (lambda: laws.norms(2, [0, 0]), "values must not all be 0"),
        (
            lambda: laws.norms(2, [1e160, 2e160]),
            "values must have squares in the range of float64, got up to 2e+160",
        ),
        (lambda: laws.even_bound("abc"), "covariance must be an array of real numbers, got 'abc'"),
        (lambda: laws.even_bound([[1, 2]]), "covariance must have shape (d, d), got shape (1, 2)"),
        (lambda: laws.even_bound([1, 2]), "covariance must have shape (d, d), got shape (2,)"),
        (
            lambda: laws.even_bound([[1, 0.5], [0.25, 1]]),
            "covariance must be symmetric, got an asymmetry of 0.25",
        ),
        (
            lambda: laws.even_bound([[1, 2], [2, 1]]),
            "covariance must have eigenvalues >= 0, got -1",
        ),
        (lambda: laws.turning(0, 1, 1), "r must be an integer >= 1, got 0"),
        (lambda: laws.turning(1, 0, 1), "radius must be a positive number, got 0"),
        (lambda: laws.turning(1, 1, -1), "distance must be a finite number >= 0.0, got -1"),
    ],
)
def test_messages_in_full(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
