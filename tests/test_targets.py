"""Targets: values, moments and powers, against quadrature, simulation and plain formulas."""

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reluspec_lib import features, fisher, groups, sample_weights, targets

ONE_EACH = [(groups.NORM, 0), (groups.COORDINATE, 1), (groups.SQUARE, 0), (groups.PRODUCT, 2)]


def rng(seed=1):
    return np.random.default_rng(seed)


def full(d, generator):
    """A target with every limit function and three harmonics, two of one degree."""
    target = targets.Target(d, generator.normal(size=d * (d + 3) // 2))
    for k, factor in ((4, 2.0), (4, -1.0), (6, 0.5)):
        target = target + factor * targets.zonal(d, k, generator.normal(size=d))
    return target


def mean_on_the_plane(function, kinks=()):
    """Return the mean over x ~ N(0, I_2) of |x|^2 h(angle): 2 times the mean over the angle."""
    points = [-mp.pi, *sorted(kinks), mp.pi]
    with mp.workdps(25):
        return float(2 * mp.quad(function, points) / (2 * mp.pi))


# --- values


@pytest.mark.parametrize("group, column", ONE_EACH)
def test_a_limit_is_the_function_of_its_group(group, column):
    x = rng().normal(size=(5, 4))
    values = targets.limit(group, 4, column)(x)
    np.testing.assert_allclose(values, group.limit(x)[:, column], rtol=1e-14)


def test_a_zonal_harmonic_is_its_polynomial():
    x, e = rng().normal(size=(6, 3)), np.array([1.0, -2.0, 2.0])
    length, t = np.linalg.norm(x, axis=1), x @ e / 3 / np.linalg.norm(x, axis=1)
    legendre = (35 * t**4 - 30 * t**2 + 3) / 8
    np.testing.assert_allclose(targets.zonal(3, 4, e)(x), length * legendre, rtol=1e-12)


def test_targets_form_a_vector_space():
    x, d = rng().normal(size=(7, 3)), 3
    a, b = full(d, rng(2)), full(d, rng(3))
    combined = 2 * a - b * 3 + (-a)
    np.testing.assert_allclose(combined(x), a(x) - 3 * b(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(combined.coefficients, a.coefficients - 3 * b.coefficients)


def test_shapes_and_the_origin():
    target = full(3, rng())
    x = rng().normal(size=3)
    assert target(x).shape == ()
    assert target(x) == pytest.approx(target(x[None, :])[0])
    np.testing.assert_array_equal(target(np.zeros((2, 3))), [0, 0])
    assert target(x.astype(np.float32)).dtype == np.float32


def test_coefficients_stand_in_the_order_of_the_groups():
    target = targets.Target(4, np.arange(14.0))
    found = [target.along(group).tolist() for group in groups.ALL]
    assert found == [[0], [1, 2, 3, 4], [5, 6, 7], [8, 9, 10, 11, 12, 13]]
    for group in groups.ALL:
        for column in range(group.size(4)):
            assert targets.limit(group, 4, column).along(group)[column] == 1
            assert targets.limit(group, 4, column).coefficients.sum() == 1


def test_one_dimension_has_two_functions():
    target = targets.limit(groups.NORM, 1) + targets.limit(groups.COORDINATE, 1)
    np.testing.assert_allclose(target([[2.0], [-2.0]]), [2, 0], atol=1e-15)
    assert target.power == pytest.approx(0.5)


# --- moments and powers


@pytest.mark.parametrize("group, column", [*ONE_EACH[:3], (groups.PRODUCT, 0)])
def test_moments_equal_quadrature_over_the_plane(group, column):
    target, angle = targets.limit(group, 2, column), 0.7
    w = 1.5 * np.array([math.cos(angle), math.sin(angle)])

    def integrand(t):
        y = target([float(mp.cos(t)), float(mp.sin(t))])
        return max(1.5 * mp.cos(t - angle), 0) * y.item()

    kinks = [angle - mp.pi / 2, angle + mp.pi / 2]
    expected = mean_on_the_plane(integrand, kinks)
    np.testing.assert_allclose(target.moment(w[:, None]), [expected], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("k", [4, 6, 7])
def test_moments_of_zonal_harmonics_equal_quadrature(k):
    target, angle = targets.zonal(2, k, [1.0, 1.0]), -0.4
    w = np.array([[math.cos(angle)], [math.sin(angle)]])
    kinks = [angle - mp.pi / 2, angle + mp.pi / 2]

    def integrand(t):  # the zonal polynomial of the plane is cos(k t)
        return max(mp.cos(t - angle), 0) * mp.cos(k * (t - mp.pi / 4))

    assert target.moment(w)[0] == pytest.approx(mean_on_the_plane(integrand, kinks), abs=1e-13)


@pytest.mark.parametrize("d", [3, 5])
def test_moments_and_power_equal_means_over_inputs(d):
    target, W, n = full(d, rng()), sample_weights(d, 6, rng(2)), 200_000
    x = rng(3).normal(size=(n, d))
    y, X = target(x), features(x, W)
    values = X * y[:, None]
    error = values.std(axis=0) / math.sqrt(n)
    assert (np.abs(values.mean(axis=0) - target.moment(W)) < 5 * error).all()
    assert abs((y**2).mean() - target.power) < 5 * (y**2).std() / math.sqrt(n)


@pytest.mark.parametrize("group, column", ONE_EACH)
def test_the_moment_of_a_limit_is_its_eigenvalue_times_its_vector(group, column):
    W = rng().exponential(size=(4, 9)) - 0.3
    moment = targets.limit(group, 4, column).moment(W)
    expected = group.eigenvalue(4) * group.eigenvectors(W)[:, column]
    np.testing.assert_allclose(moment, expected, rtol=1e-13, atol=1e-15)


def test_no_features_see_odd_degrees():
    W = sample_weights(3, 10, rng())
    np.testing.assert_array_equal(targets.zonal(3, 5).moment(W), np.zeros(10))


def test_powers_of_one_degree_add_by_their_angle():
    one, other = targets.zonal(4, 4), targets.zonal(4, 4, [0.0, 1, 0, 0])
    assert (one - one).power == pytest.approx(0, abs=1e-15)
    assert (one + one).power == pytest.approx(4 * one.power)
    # P_4 at a right angle, in four dimensions: sin(5 t)/(5 sin t) at t = pi/2.
    assert (one + other).power == pytest.approx(one.power * (2 + 2 / 5))
    assert one.power == pytest.approx(4 / 25)


@settings(max_examples=20)
@given(d=st.integers(1, 8), seed=st.integers(0, 2**32), factor=st.floats(-1e3, 1e3))
def test_moments_are_linear_and_never_exceed_what_the_network_can_fit(d, seed, factor):
    generator = rng(seed)
    W = generator.normal(size=(d, 5))
    target = targets.Target(d, generator.normal(size=d * (d + 3) // 2))
    b = target.moment(W)
    np.testing.assert_allclose((factor * target).moment(W), factor * b, rtol=1e-12, atol=1e-12)
    # The best fit explains at most the power, by Bessel's inequality.
    explained = b @ np.linalg.pinv(fisher.matrix(W), hermitian=True) @ b
    assert explained <= target.power * (1 + 1e-9)


# --- messages


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: targets.limit(groups.CENTRED_SQUARE, 3), r"group must be a member of groups\.ALL"),
        (
            lambda: targets.limit(groups.PRODUCT, 3, 3),
            r"column .* < 3, the size .* product.* got 3",
        ),
        (lambda: targets.limit(groups.SQUARE, 1), r"column .* < 0, the size of the group square"),
        (lambda: targets.limit(groups.NORM, 0), r"d must be an integer >= 1, got 0"),
        (lambda: targets.zonal(3, 2), r"k must be an integer >= 3, got 2"),
        (lambda: targets.zonal(1, 4), r"d must be an integer >= 2, got 1"),
        (lambda: targets.zonal(3, 4, [0, 0, 0]), r"direction must be a non-zero vector"),
        (lambda: targets.zonal(3, 4, [1, 0]), r"direction .* of shape \(3,\)"),
        (lambda: targets.limit(groups.NORM, 3)([1.0, 2]), r"x must have the 3 coordinates"),
        (lambda: targets.limit(groups.NORM, 3).moment([[1.0]]), r"target's d = 3, got shape"),
        (lambda: targets.limit(groups.PRODUCT, 2).moment([[1.0, 0], [1, 0]]), r"no zero column"),
        (
            lambda: targets.limit(groups.NORM, 3) + targets.limit(groups.NORM, 2),
            r"one dimension, got 3 and 2",
        ),
        (lambda: math.nan * targets.limit(groups.NORM, 3), r"factor must be a finite number"),
        (lambda: targets.Target(3, np.ones(8)), r"coefficients must have shape \(9,\)"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_target_and_a_number_do_not_add_up():
    with pytest.raises(TypeError):
        targets.limit(groups.NORM, 3) + 1
    with pytest.raises(TypeError):
        targets.limit(groups.NORM, 3) - 1
