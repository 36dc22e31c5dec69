"""Spherical harmonics: dimensions, zonal polynomials, Funk-Hecke coefficients, eigenvalues."""

import math

import flint
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special

from reluspec_lib import enclosures, groups, harmonics, sphere


def exact_coefficient(d, k):
    """Closed form of b_k for even k >= 2 at 40 digits, by log-gammas instead of the recurrence."""
    with mp.workdps(40):
        d, k = mp.mpf(d), mp.mpf(k)
        logarithm = mp.loggamma(d / 2) + mp.loggamma(k - 1) - k * mp.log(2)
        logarithm -= mp.loggamma(k / 2) + mp.loggamma((k + d + 1) / 2)
        return mp.exp(logarithm) / mp.sqrt(mp.pi) * (-1) ** (int(k) // 2 + 1)


# --- dimension


def test_the_first_dimensions_are_the_sizes_of_the_groups():
    for d in (1, 2, 3, 10, 100):
        norm, coordinate, square, product = (group.size(d) for group in groups.ALL)
        sizes = [harmonics.dimension(d, k) for k in range(3)]
        assert sizes == [norm, coordinate, square + product]


@given(st.integers(1, 12), st.integers(0, 12))
def test_dimensions_count_homogeneous_polynomials_modulo_the_norm(d, k):
    # Homogeneous polynomials of degree k are harmonics of degree k, k - 2, ... times powers of
    # the squared norm.
    homogeneous = math.comb(d + k - 1, k)
    assert sum(harmonics.dimension(d, j) for j in range(k, -1, -2)) == homogeneous


def test_on_the_circle_there_are_two_and_on_two_points_none_above_degree_one():
    assert [harmonics.dimension(2, k) for k in range(5)] == [1, 2, 2, 2, 2]
    assert [harmonics.dimension(1, k) for k in range(5)] == [1, 1, 0, 0, 0]


# --- zonal polynomials


@pytest.mark.parametrize("d", [3, 4, 7, 30])
@pytest.mark.parametrize("k", [0, 1, 2, 3, 8, 25])
def test_zonal_polynomials_are_normalised_gegenbauer_polynomials(d, k):
    t = np.linspace(-1, 1, 41)
    alpha = (d - 2) / 2
    expected = special.eval_gegenbauer(k, alpha, t) / special.eval_gegenbauer(k, alpha, 1.0)
    np.testing.assert_allclose(harmonics.zonal(d, k, t), expected, atol=1e-13)


def test_on_the_circle_they_are_chebyshev_polynomials_up_to_high_degree():
    angle = np.linspace(0, np.pi, 50)
    zonal = harmonics.zonal(2, 1000, np.cos(angle))
    np.testing.assert_allclose(zonal, np.cos(1000 * angle), atol=1e-10)


@given(st.integers(1, 50), st.integers(0, 60))
def test_they_are_one_at_one_and_alternate_at_minus_one(d, k):
    k = min(k, 1) if d == 1 else k
    values = harmonics.zonal(d, k, [1.0, -1.0])
    np.testing.assert_allclose(values, [1, (-1) ** k], atol=1e-11)


@pytest.mark.parametrize("d", [2, 3, 6])
def test_they_are_orthogonal_with_the_inverse_dimension_as_square(d):
    nodes, weights = special.roots_jacobi(40, (d - 3) / 2, (d - 3) / 2)
    P = np.array([harmonics.zonal(d, k, nodes) for k in range(8)])
    gram = (P * (weights / weights.sum())) @ P.T
    expected = np.diag([1 / harmonics.dimension(d, k) for k in range(8)])
    np.testing.assert_allclose(gram, expected, atol=1e-13)


# --- coefficients of the ReLU


@pytest.mark.parametrize("d", [2, 3, 4, 10, 101, 1000, 10_000])
@pytest.mark.parametrize("k", [2, 4, 6, 20, 100, 1000, 10_000])
def test_relu_coefficients_keep_their_digits_at_high_degree_and_dimension(d, k):
    expected = exact_coefficient(d, k)
    if abs(expected) < 1e-300:
        assert abs(harmonics.relu_coefficient(d, k)) < 1e-300
    else:
        assert float(abs(harmonics.relu_coefficient(d, k) / expected - 1)) < 1e-12


@pytest.mark.parametrize("d", [2, 3, 5, 12])
@pytest.mark.parametrize("k", range(8))
def test_relu_coefficients_are_the_moments_that_define_them(d, k):
    def integrand(angle):
        t = math.cos(angle)
        return t * float(harmonics.zonal(d, k, t)) * math.sin(angle) ** (d - 2)

    top = integrate.quad(integrand, 0, np.pi / 2, epsabs=1e-14)[0]
    whole = integrate.quad(lambda a: math.sin(a) ** (d - 2), 0, np.pi, epsabs=1e-14)[0]
    assert harmonics.relu_coefficient(d, k) == pytest.approx(top / whole, rel=1e-10, abs=1e-13)


def exact_zonal(d, k):
    """The zonal polynomial with rational coefficients."""
    t = flint.fmpq_poly([0, 1])
    before, current = flint.fmpq_poly([1]), t
    for j in range(1, k):
        before, current = current, (t * current * (2 * j + d - 2) - before * j) / (j + d - 2)
    return current if k else before


@pytest.mark.parametrize("d", [2, 3, 10, 200])
@pytest.mark.parametrize("k", [0, 1, 2, 4, 6, 12, 30])
def test_relu_coefficients_lie_in_their_enclosures(d, k):
    P = exact_zonal(d, k)
    ball = enclosures.half_sphere_mean(lambda t, analytic: t * flint.acb_poly(P)(t), d)
    lower, upper = enclosures.bounds(ball)
    value = harmonics.relu_coefficient(d, k)
    assert max(abs(value / lower - 1), abs(value / upper - 1)) < 3e-15


def test_the_smallest_coefficients_are_exact_to_the_last_digit():
    assert harmonics.relu_coefficient(3, 0) == 0.25
    assert harmonics.relu_coefficient(3, 2) == 0.0625
    assert harmonics.relu_coefficient(1, 0) == 0.5
    assert harmonics.relu_coefficient(np.int8(100), np.int8(1)) == 0.005


def test_on_two_points_there_are_two_coefficients():
    assert harmonics.relu_coefficient(1, 0) == harmonics.relu_coefficient(1, 1) == 0.5


@pytest.mark.parametrize("d", [2, 3, 10, 57])
def test_the_first_eigenvalues_are_those_of_the_groups(d):
    exact = [group.eigenvalue(d) for group in (groups.NORM, groups.COORDINATE, groups.SQUARE)]
    np.testing.assert_allclose([harmonics.eigenvalue(d, k) for k in range(3)], exact, rtol=1e-14)


@pytest.mark.parametrize("d", [2, 3, 10])
def test_eigenvalues_decay_like_the_stated_power_of_the_degree(d):
    ratio = harmonics.eigenvalue(d, 8000) / harmonics.eigenvalue(d, 4000)
    assert math.log2(ratio) == pytest.approx(-(d + 2), abs=0.01)


# --- share of the trace


@pytest.mark.parametrize("d", [2, 3, 10, 50])
def test_shares_add_up_the_eigenvalues_with_their_multiplicities(d):
    for kmax in (0, 1, 2, 3, 4, 5, 12):
        terms = (harmonics.dimension(d, k) * harmonics.eigenvalue(d, k) for k in range(kmax + 1))
        assert harmonics.share(d, kmax) == pytest.approx(2 / d * sum(terms), rel=1e-13)


@pytest.mark.parametrize("d", [1, 2, 3, 10])
def test_all_degrees_together_have_the_whole_trace(d):
    assert harmonics.share(d, 20_000) == pytest.approx(1, abs=1e-7)


def test_three_groups_have_a_share_that_falls_to_the_papers():
    shares = [harmonics.share(d, 2) for d in (1, 2, 3, 10, 100, 10_000, 10**8)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == pytest.approx(0.5 + 1.5 / math.pi, rel=1e-7)


def test_shares_stay_finite_where_dimensions_overflow():
    assert 0.977 < harmonics.share(10_000, 400) < 1


@pytest.mark.parametrize("d", [2, 3, 10, 50])
def test_even_degrees_have_these_eigenvalues_and_shares_of_the_trace(d):
    values, traces = harmonics.even_degrees(d, 6)
    exact = np.array([harmonics.eigenvalue(d, k) for k in range(2, 13, 2)])
    sizes = [harmonics.dimension(d, k) for k in range(2, 13, 2)]
    np.testing.assert_allclose(values, exact, rtol=1e-13)
    np.testing.assert_allclose(traces, sizes * exact, rtol=1e-13)


# --- any activation


@pytest.mark.parametrize("d", [1, 2, 3, 10, 300, 10_000])
def test_quadrature_gives_the_coefficients_of_the_relu(d):
    for k in range(2 if d == 1 else 13):
        expected = harmonics.relu_coefficient(d, k)
        found = harmonics.funk_hecke(lambda t: np.maximum(t, 0), d, k)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("slope", [0.0, 0.25, -1.0])
def test_on_two_points_quadrature_is_a_mean_of_two_values(slope):
    def leaky(t):
        return np.where(t > 0, t, slope * t)

    expected = [(1 - slope) / 2, (1 + slope) / 2]
    assert [harmonics.funk_hecke(leaky, 1, k) for k in (0, 1)] == expected


@pytest.mark.parametrize("d", [2, 3, 8, 10**6])
def test_quadrature_gives_the_coefficients_of_the_step(d):
    found = [harmonics.funk_hecke(lambda t: t > 0, d, k) for k in range(6)]
    c_d = sphere.relu_mean(d)
    expected = [0.5, c_d, 0, -c_d / (d + 1), 0, 3 * c_d / ((d + 1) * (d + 3))]
    np.testing.assert_allclose(found, expected, atol=1e-14)


@pytest.mark.parametrize("d", [2, 3, 58, 10**6])
@pytest.mark.parametrize("k", [100, 401, 5000])
def test_quadrature_gives_the_coefficients_of_high_degree(d, k):
    found = harmonics.funk_hecke(lambda t: np.maximum(t, 0), d, k)
    assert abs(found - harmonics.relu_coefficient(d, k)) < (1e-15 if k == 100 else 1e-13)


def test_quadrature_integrates_a_zonal_polynomial_against_itself():
    # On the circle the mean of cos^2(k a) is 1/2, at every degree.
    for k in (1, 40, 777):
        found = harmonics.funk_hecke(lambda t, k=k: np.cos(k * np.arccos(t)), 2, k)
        assert found == pytest.approx(0.5, abs=1e-13)


@pytest.mark.parametrize("kind", [bool, np.int8, np.float32, np.float64])
def test_activations_may_return_any_real_type(kind):
    found = harmonics.funk_hecke(lambda t: (t > 0).astype(kind), 5, 1)
    assert found == pytest.approx(sphere.relu_mean(5), rel=1e-14)


@pytest.mark.parametrize("d", [3, 20])
def test_quadrature_gives_smooth_functions_their_coefficients(d):
    # exp(t) has the coefficients of the modified Bessel functions.
    order = d / 2 - 1
    expected = [special.gamma(d / 2) * 2**order * special.iv(order + k, 1.0) for k in range(6)]
    found = [harmonics.funk_hecke(np.exp, d, k) for k in range(6)]
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-15)


# --- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: harmonics.dimension(0, 1), r"^d must be an integer >= 1, got 0"),
        (lambda: harmonics.dimension(3, -1), r"^k must be an integer >= 0, got -1"),
        (lambda: harmonics.zonal(1, 2, 0.5), r"^k must be 0 or 1 at d = 1"),
        (lambda: harmonics.zonal(3, 2, 1.5), r"^t must lie in \[-1, 1\], got 1.5"),
        (lambda: harmonics.zonal(3, 2, math.nan), r"^t must lie in \[-1, 1\], got nan"),
        (lambda: harmonics.relu_coefficient(2.5, 0), r"^d must be an integer >= 1, got 2.5"),
        (lambda: harmonics.relu_coefficient(1, 2), r"^k must be 0 or 1 at d = 1"),
        (lambda: harmonics.eigenvalue(3, "2"), r"^k must be an integer >= 0, got '2'"),
        (lambda: harmonics.share(0, 2), r"^d must be an integer >= 1, got 0"),
        (lambda: harmonics.share(3, -1), r"^kmax must be an integer >= 0, got -1"),
        (lambda: harmonics.funk_hecke(lambda t: t / 0, 3, 1), r"^s must return finite numbers"),
        (lambda: harmonics.funk_hecke(lambda t: 1.0, 3, 1), r"^s must return finite .* shape \(\)"),
        (lambda: harmonics.funk_hecke(lambda t: 1j * t, 3, 1), r"^s must return real numbers"),
        (lambda: harmonics.funk_hecke(lambda t: t + 0j, 3, 1), r"^s must return real .*complex128"),
        (lambda: harmonics.funk_hecke(lambda t: ["a"] * 3, 3, 1), r"^s must return real numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
