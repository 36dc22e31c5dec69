"""Moments and densities of the uniform distribution on the sphere, against 50 digits."""

import functools
import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import DIGITS, angle_mean, gauss_legendre, relative
from reluspec_lib import sphere
from reluspec_lib.theorems.enclosures import bounds, half_sphere_mean

DIMENSIONS = [1, 2, 3, 4, 5, 10, 37, 38, 39, 40, 41, 42, 43, 50, 100, 999, 10**4, 10**6, 10**8]


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


@functools.cache
def chi_integral(n):
    """The integral of r^n exp(-r^2/2) over r > 0, by quadrature."""
    with mp.workdps(DIGITS):
        peak = mp.sqrt(n + 1)
        edges = [0, *(peak * s for s in (0.5, 1, 1.5, 2, 4)), 4 * peak + 20]
        return mp.quad(lambda r: r**n * mp.exp(-(r**2) / 2), edges)


def gaussian_moment(p):
    """E |g|^p of a standard Gaussian number."""
    return mp.sqrt(2 / mp.pi) * chi_integral(p)


def length_moment(d, p):
    """E |g|^p of a standard Gaussian vector in d dimensions, by its chi law."""
    return chi_integral(d - 1 + p) / chi_integral(d - 1)


# --- relu_mean


@pytest.mark.parametrize("d", DIMENSIONS)
def test_relu_mean_equals_the_beta_function_to_1e_13(d):
    assert relative(sphere.relu_mean(d), mp.beta(mp.mpf(d) / 2, 0.5) / (2 * mp.pi)) < 1e-13


@pytest.mark.parametrize("d", [10**16, 10**23, 10**30, 10**100, 10**300])
def test_relu_mean_keeps_its_digits_where_only_the_leading_term_is_left(d):
    assert (
        relative(sphere.relu_mean(d), 1 / mp.sqrt(2 * mp.pi * d) * (1 + mp.mpf(1) / (4 * d)))
        < 1e-13
    )


DENSE = sorted({*range(1, 60), *(round(10 ** (k / 10)) for k in range(15, 81))})


@pytest.mark.parametrize("powers", [(1,), (3,), (1, 2)])
def test_the_moments_of_the_paper_lie_in_their_enclosures_to_1e_13(powers):
    # Given u_1, the mean of u_2^2 is (1 - u_1^2)/(d - 1).
    integrand = {
        (1,): lambda t, _: 2 * t,
        (3,): lambda t, _: 2 * t**3,
        (1, 2): lambda t, _: 2 * t * (1 - t**2),
    }[powers]
    for d in DENSE[len(powers) - 1 :]:
        lower, upper = bounds(half_sphere_mean(integrand, d))
        value = sphere.absolute_moment(d, powers) * (d - 1 if len(powers) > 1 else 1)
        assert lower * (1 - 1e-13) < value < upper * (1 + 1e-13), d


@pytest.mark.parametrize("d", [2, 3, 4, 7, 10, 41, 100])
def test_relu_mean_equals_quadrature_over_the_angle(d):
    assert relative(sphere.relu_mean(d), angle_mean(d, mp.cos)) < 1e-13


@pytest.mark.parametrize("d, value", [(1, 1 / 2), (2, 1 / math.pi), (3, 1 / 4)])
def test_relu_mean_is_known_in_low_dimensions(d, value):
    assert sphere.relu_mean(d) == pytest.approx(value, rel=1e-14)


@settings(max_examples=100)
@given(st.integers(1, 10**8))
def test_relu_means_of_neighbouring_dimensions_have_a_rational_relation(d):
    c, c1, c2 = (sphere.relu_mean(d + k) for k in range(3))
    assert c2 / c == pytest.approx(d / (d + 1), rel=2e-13)
    assert c * c1 == pytest.approx(1 / (2 * math.pi * d), rel=2e-13)


# --- moments


@pytest.mark.parametrize("extra", [0, 1, 5, 14, 43])
@pytest.mark.parametrize(
    "powers", [(0,), (1,), (2,), (3,), (1, 2), (4, 1), (2, 2, 2), (1, 1, 3), (1, 1, 1, 1, 1)]
)
def test_absolute_moments_are_gaussian_moments_over_moments_of_the_length(extra, powers):
    d = len(powers) + extra
    product = mp.fprod(gaussian_moment(p) for p in powers)
    expected = product / length_moment(d, sum(powers))
    assert relative(sphere.absolute_moment(d, powers), expected) < 1e-13


@pytest.mark.parametrize("d", [1, 2, 3, 10, 99, 1000, 10**9, 10**300])
@pytest.mark.parametrize("p", [9, 100, 999, 10**6, 10**300])
def test_one_absolute_moment_of_any_size_to_3e_13(d, p):
    with mp.workdps(700):
        halves = (mp.mpf(k) / 2 for k in (d, 1, p + 1, d + p))
        here, one, power, both = (mp.loggamma(half) for half in halves)
        expected = mp.exp(here - one + power - both)
    value = sphere.absolute_moment(d, [p])
    assert relative(value, expected) < 3e-13 if expected > 1e-299 else value < 1e-298


@pytest.mark.parametrize("powers", [(7, 2), (2, 7), (3, 3), (50, 3), (3, 50), (2, 400, 1)])
@pytest.mark.parametrize("d", [3, 5, 49, 51, 52, 400])
def test_mixed_moments_on_both_sides_of_the_point_where_power_and_dimension_change_places(
    d, powers
):
    gammas = [mp.gamma(mp.mpf(p + 1) / 2) / mp.sqrt(mp.pi) for p in powers]
    length = mp.gamma(mp.mpf(d) / 2) / mp.gamma(mp.mpf(d + sum(powers)) / 2)
    assert relative(sphere.absolute_moment(d, powers), mp.fprod(gammas) * length) < 3e-13


@settings(max_examples=60)
@given(st.integers(1, 10**6), st.lists(st.integers(0, 6), max_size=4))
def test_squares_of_all_coordinates_sum_to_one_inside_every_moment(d, powers):
    powers = powers[:d]
    raised = [[*powers[:i], powers[i] + 2, *powers[i + 1 :]] for i in range(len(powers))]
    total = sum(sphere.absolute_moment(d, p) for p in raised)
    if d > len(powers):
        total += (d - len(powers)) * sphere.absolute_moment(d, [*powers, 2])
    assert total == pytest.approx(sphere.absolute_moment(d, powers), rel=2e-13)


@settings(max_examples=30)
@given(st.integers(4, 10**8), st.lists(st.integers(0, 6), max_size=3), st.randoms())
def test_absolute_moments_ignore_order_and_zeros(d, powers, random):
    shuffled = [*powers, 0]
    random.shuffle(shuffled)
    expected = sphere.absolute_moment(d, powers)
    assert sphere.absolute_moment(d, shuffled) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("d", [2, 3, 4, 9, 40])
@pytest.mark.parametrize("a, b", [(0, 0), (1, 0), (2, 0), (5, 0), (0, 2), (1, 2), (2, 4), (3, 6)])
def test_relu_moments_equal_quadrature_over_angles(d, a, b):
    # The second coordinate is the sine times a coordinate of a uniform point one dimension lower.
    other = 2 * angle_mean(d - 1, lambda t: mp.cos(t) ** b) if d > 2 and b else 1
    mean = angle_mean(d, lambda t: mp.cos(t) ** (a + 1) * mp.sin(t) ** b)
    assert relative(sphere.relu_moment(d, a, b), other * mean) < 1e-13


@pytest.mark.parametrize("d", [2, 3, 10**6])
@pytest.mark.parametrize("b", [1, 3, 7])
def test_relu_moments_with_an_odd_power_of_the_other_coordinate_vanish(d, b):
    assert sphere.relu_moment(d, 2, b) == 0


@pytest.mark.parametrize("d", [1, 2, 5, 10**8])
def test_relu_moment_with_no_powers_is_relu_mean_and_with_one_is_half_the_variance(d):
    assert sphere.relu_moment(d, 0) == sphere.relu_mean(d)
    assert sphere.relu_moment(d, 1) == pytest.approx(1 / (2 * d), rel=1e-13)


@pytest.mark.parametrize("d", [2, 3, 5, 50, 10**7])
def test_the_two_moments_of_appendix_g(d):
    first, second = sphere.relu_moment(d, 2), sphere.relu_moment(d, 0, 2)
    assert first == pytest.approx(2 * second, rel=1e-13)
    assert first - second == pytest.approx(sphere.relu_mean(d) / (d + 1), rel=3e-13)
    assert first + (d - 1) * second == pytest.approx(sphere.relu_mean(d), rel=1e-13)


def test_relu_moments_at_dimension_one_are_those_of_a_random_sign():
    assert [sphere.relu_moment(1, a) for a in range(4)] == pytest.approx([0.5] * 4, rel=1e-14)


# --- densities, through t = sin(angle), which removes the singular edges

ANGLES = gauss_legendre(0, np.pi / 2, 400)
FEW_ANGLES = gauss_legendre(0, np.pi / 2, 60)


@pytest.mark.parametrize("d", [2, 3, 4, 5, 10, 100, 1000])
@pytest.mark.parametrize("p", [0, 1, 2, 4])
def test_the_marginal_density_gives_the_absolute_moments(d, p):
    angle, weights = ANGLES
    density = sphere.marginal_density(d, np.sin(angle)) * np.cos(angle)
    moment = 2 * weights @ (density * np.sin(angle) ** p)
    assert moment == pytest.approx(sphere.absolute_moment(d, [p]), rel=1e-10)


@pytest.mark.parametrize("d", [3, 4, 5, 10, 100])
@pytest.mark.parametrize("a, b", [(0, 0), (1, 0), (2, 0), (0, 2), (2, 2), (1, 4)])
def test_the_bivariate_density_gives_the_absolute_moments(d, a, b):
    angle, weights = ANGLES
    radius, turn = np.sin(angle)[:, None], FEW_ANGLES
    s, t = radius * np.cos(turn[0]), radius * np.sin(turn[0])
    area = np.outer(weights * np.sin(angle) * np.cos(angle), turn[1])
    moment = 4 * (sphere.bivariate_density(d, s, t) * s**a * t**b * area).sum()
    assert moment == pytest.approx(sphere.absolute_moment(d, [a, b]), rel=1e-9)


@pytest.mark.parametrize("d", [4, 5, 9])
def test_integrating_out_the_second_coordinate_leaves_the_marginal_density(d):
    angle, weights = ANGLES
    for s in (0.0, 0.3, -0.9):
        edge = math.sqrt(1 - s**2)
        joint = sphere.bivariate_density(d, s, edge * np.sin(angle)) * edge * np.cos(angle)
        assert 2 * weights @ joint == pytest.approx(sphere.marginal_density(d, s), rel=1e-9)


@pytest.mark.parametrize("d", [2, 3, 5, 10**8])
def test_densities_are_even(d):
    t = np.array([0.0, 1e-5, 1e-4, 0.5])
    np.testing.assert_array_equal(sphere.marginal_density(d, t), sphere.marginal_density(d, -t))
    assert sphere.marginal_density(d, 0.0) > 0


@pytest.mark.parametrize("d", [10**4, 10**8])
def test_at_large_dimension_a_coordinate_is_gaussian_of_variance_one_over_d(d):
    z = np.array([0.0, 0.5, 1.0, 3.0])
    gaussian = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    density = sphere.marginal_density(d, z / math.sqrt(d)) / math.sqrt(d)
    np.testing.assert_allclose(density, gaussian, rtol=20 / d + 1e-11)


@pytest.mark.parametrize("d", [2, 3, 5, 100, 10**12])
@pytest.mark.parametrize("t", [3e-9, 3e-6, 0.49, 0.51, 0.9, 1 - 1e-10])
def test_the_marginal_density_keeps_its_digits_at_the_pole_and_at_the_equator(d, t):
    scale = mp.gamma(mp.mpf(d) / 2) / mp.gamma(mp.mpf(d - 1) / 2) / mp.sqrt(mp.pi)
    log_density = mp.log(1 - mp.mpf(t) ** 2) * (mp.mpf(d - 3) / 2)
    if log_density > -50:
        value = sphere.marginal_density(d, t)
        assert relative(value, scale * mp.exp(log_density)) < 2e-14 * (1 + abs(log_density))


@pytest.mark.parametrize("d", [3, 4, 5, 100])
def test_the_bivariate_density_is_the_power_of_the_height(d):
    for a, b in ((0.0, 0.0), (0.1, -0.2), (0.6, 0.7)):
        height = 1 - mp.mpf(a) ** 2 - mp.mpf(b) ** 2
        expected = (d - 2) / (2 * mp.pi) * height ** (mp.mpf(d - 4) / 2)
        assert relative(float(sphere.bivariate_density(d, a, b)), expected) < 1e-13


@pytest.mark.parametrize("x", [0.5, 1, 9.5, 10, 10.5, 11, 100, 1e8])
@pytest.mark.parametrize("s", [0, 0.5, 1, 1.5, 7, 50])
def test_ratios_of_gamma_functions_across_the_point_where_the_series_starts(x, s):
    with mp.workdps(60):
        expected = mp.loggamma(mp.mpf(x) + s) - mp.loggamma(mp.mpf(x))
    assert abs(sphere.log_gamma_ratio(x, s) - expected) <= 1e-15 * (4 + abs(expected))


def test_densities_at_the_singular_edges():
    assert sphere.marginal_density(2, [-1.0, 1.0]).tolist() == [math.inf, math.inf]
    assert sphere.marginal_density(3, [-1.0, 1.0]) == pytest.approx([0.5, 0.5])
    assert sphere.marginal_density(4, [-1.0, 1.0]).tolist() == [0, 0]
    assert sphere.bivariate_density(3, [1.0, 0.0], [0.0, -1.0]).tolist() == [math.inf, math.inf]
    assert sphere.bivariate_density(5, 1.0, 0.0) == 0


@pytest.mark.parametrize("d", [3, 4, 5, 50])
def test_the_bivariate_density_vanishes_outside_the_disc(d):
    assert sphere.bivariate_density(d, [0.8, -1.0], [0.8, 1.0]).tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,)])
def test_densities_have_the_shape_of_their_points(shape):
    t = np.full(shape, 0.25)
    for d in (3, 4, 5):
        assert np.shape(sphere.marginal_density(d, t)) == shape
        assert np.shape(sphere.bivariate_density(d, t, 0.5)) == shape
    assert np.shape(sphere.bivariate_density(5, np.zeros((2, 1)), np.zeros(3))) == (2, 3)


def test_points_are_not_modified():
    t = np.array([0.1, 0.2])
    for d in (3, 4, 6):
        sphere.marginal_density(d, t)
        sphere.bivariate_density(d, t, t)
    assert t.tolist() == [0.1, 0.2]


# --- bad input


@pytest.mark.parametrize(
    "function, smallest",
    [
        (lambda d: sphere.relu_mean(d), 1),
        (lambda d: sphere.absolute_moment(d, [1]), 1),
        (lambda d: sphere.relu_moment(d, 1), 1),
        (lambda d: sphere.relu_moment(d, 1, 2), 2),
        (lambda d: sphere.marginal_density(d, 0.0), 2),
        (lambda d: sphere.bivariate_density(d, 0.0, 0.0), 3),
    ],
)
def test_dimensions_too_small_or_not_integers_are_refused(function, smallest):
    assert math.isfinite(function(smallest))
    for d in (smallest - 1, 0, -3, 5.0, True, "5", None):
        with pytest.raises(ValueError, match=rf"^d must be an integer >= {smallest}, got "):
            function(d)


TOO_LARGE = 10**300 + 1


@pytest.mark.parametrize(
    "name, call",
    [
        ("d", lambda: sphere.relu_mean(TOO_LARGE)),
        ("d", lambda: sphere.absolute_moment(10**5000, [1])),
        ("powers", lambda: sphere.absolute_moment(3, [1, TOO_LARGE])),
        ("a", lambda: sphere.relu_moment(3, TOO_LARGE)),
        ("b", lambda: sphere.relu_moment(3, 1, TOO_LARGE)),
        ("d", lambda: sphere.marginal_density(TOO_LARGE, 0.0)),
        ("d", lambda: sphere.bivariate_density(TOO_LARGE, 0.0, 0.0)),
    ],
)
def test_counts_that_no_float_holds_are_refused(name, call):
    with pytest.raises(ValueError, match=rf"^{name} must be at most 10\*\*300, got "):
        call()


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.int64, np.array])
def test_dimensions_of_every_integer_type_give_what_int_gives(kind):
    assert sphere.relu_mean(kind(100)) == sphere.relu_mean(100)
    powers = np.array([100, 27], dtype=np.int8)
    assert sphere.absolute_moment(kind(100), powers) == sphere.absolute_moment(100, [100, 27])
    assert sphere.relu_moment(kind(100), kind(99), kind(100)) == sphere.relu_moment(100, 99, 100)
    assert sphere.marginal_density(kind(100), 0.1) == sphere.marginal_density(100, 0.1)
    assert sphere.bivariate_density(kind(100), 0.1, 0) == sphere.bivariate_density(100, 0.1, 0)


@pytest.mark.parametrize("mask", [[True, False], [True, True]])
def test_masked_points_are_refused_and_unmasked_ones_are_points(mask):
    hidden = np.ma.array([0.1, 0.2], mask=mask)
    with pytest.raises(ValueError, match=r"^t must have no masked entries"):
        sphere.marginal_density(3, hidden)
    with pytest.raises(ValueError, match=r"^s must have no masked entries"):
        sphere.bivariate_density(3, hidden, 0.0)
    shown = sphere.marginal_density(5, np.ma.array([0.1, 0.2]))
    assert not np.ma.isMaskedArray(shown)
    assert shown.tolist() == sphere.marginal_density(5, [0.1, 0.2]).tolist()


@pytest.mark.parametrize("value", [-1, 1.0, True, None, "1"])
def test_powers_that_are_not_counts_are_refused(value):
    with pytest.raises(ValueError, match=r"powers.* must be .*integer.* >= 0, got"):
        sphere.absolute_moment(5, [1, value])
    with pytest.raises(ValueError, match=r"^a must be an integer >= 0, got"):
        sphere.relu_moment(5, value)
    with pytest.raises(ValueError, match=r"^b must be an integer >= 0, got"):
        sphere.relu_moment(5, 0, value)


def test_powers_that_are_no_sequence_are_refused():
    with pytest.raises(ValueError, match=r"^powers must be a sequence of integers >= 0, got 2"):
        sphere.absolute_moment(5, 2)


def test_more_powers_than_coordinates_are_refused():
    with pytest.raises(ValueError, match=r"^powers must have at most d = 2 entries, got 3"):
        sphere.absolute_moment(2, [1, 1, 1])


@pytest.mark.parametrize("value", [1.0000001, -2.0, np.nan, np.inf, [0.0, 1.5]])
def test_points_outside_the_interval_are_refused(value):
    with pytest.raises(ValueError, match=r"^t must lie in \[-1, 1\], got "):
        sphere.marginal_density(3, value)
    with pytest.raises(ValueError, match=r"^t must lie in \[-1, 1\], got "):
        sphere.bivariate_density(3, 0.0, value)
    with pytest.raises(ValueError, match=r"^s must lie in \[-1, 1\], got "):
        sphere.bivariate_density(3, value, 0.0)


@pytest.mark.parametrize("value", ["a", None, [[0.1], 0.2], 1j])
def test_points_that_are_not_numbers_are_refused(value):
    with pytest.raises(ValueError, match=r"^t must "):
        sphere.marginal_density(3, value)
