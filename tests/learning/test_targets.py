"""Targets: values, moments and powers, against quadrature, simulation and plain formulas."""

import copy
import math
import pickle
import re

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import rng, with_peak
from reluspec_lib import features, fisher, groups, sample_weights, targets

ONE_EACH = [(groups.NORM, 0), (groups.COORDINATE, 1), (groups.SQUARE, 0), (groups.PRODUCT, 2)]


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


def other_groups(d, generator):
    """Groups that are not the paper's: a reader's own, another basis, dependent functions."""
    A = generator.normal(size=(2, d, d))
    rows = groups.Linear("rows", generator.normal(size=(2, d)))
    forms = groups.Quadratic("forms", A + A.swapaxes(1, 2))
    return rows, forms, groups.Square(-1), groups.CENTRED_SQUARE


# --- values


@pytest.mark.parametrize("group, column", ONE_EACH)
def test_a_limit_is_the_function_of_its_group(group, column):
    x = rng().normal(size=(5, 4))
    values = targets.limit(group, 4, column)(x)
    np.testing.assert_allclose(values, group.limit(x)[:, column], rtol=1e-14)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_limits_of_any_group_are_sums_of_those_of_the_paper(d):
    x = rng().normal(size=(5, d))
    for group in other_groups(d, rng(2)):
        limits = [targets.limit(group, d, column) for column in range(group.size(d))]
        for target, expected in zip(limits, group.limit(x).T, strict=True):
            np.testing.assert_allclose(target(x), expected, rtol=1e-12, atol=1e-13)


def test_coefficients_along_any_group_are_ratios_of_means():
    # Trigonometric polynomials on the circle, where equidistant points have the exact means.
    angle, target = np.arange(32) * np.pi / 16, full(2, rng())
    u = np.column_stack([np.cos(angle), np.sin(angle)])
    for group in (*other_groups(2, rng(2)), *groups.ALL):
        F = group.limit(u)
        expected = (F.T @ target(u)) / (F**2).sum(axis=0)
        np.testing.assert_allclose(target.along(group), expected, rtol=1e-12)
    # The centred square of one dimension is 0.
    assert targets.limit(groups.NORM, 1).along(groups.CENTRED_SQUARE).tolist() == [0]


def test_coefficients_along_other_groups_in_three_dimensions_and_where_there_are_none():
    rows = groups.Linear("rows", [[0.6, 0.8, 0], [0, 0, 2.0]])
    target = 3 * targets.limit(rows, 3, 0) - targets.limit(rows, 3, 1)
    np.testing.assert_allclose(target.along(rows), [3, -1], rtol=1e-14)
    assert targets.limit(groups.NORM, 1).along(groups.Square(-1)).shape == (0,)


def test_a_zonal_harmonic_is_its_polynomial():
    x, e = rng().normal(size=(6, 3)), np.array([1.0, -2.0, 2.0])
    length, t = np.linalg.norm(x, axis=1), x @ e / 3 / np.linalg.norm(x, axis=1)
    legendre = (35 * t**4 - 30 * t**2 + 3) / 8
    np.testing.assert_allclose(targets.zonal(3, 4, e)(x), length * legendre, rtol=1e-12)


def test_directions_of_any_type_have_double_precision():
    expected = np.array([1.0, 2, 2]) / 3
    for kind in (np.float32, np.float64, np.int8):
        e = targets.zonal(3, 4, np.array([1, 2, 2], kind)).harmonics[0][2]
        assert e.dtype == np.float64
        np.testing.assert_allclose(e, expected, rtol=1e-15)


def test_on_the_axis_a_cosine_beyond_one_is_rounding():
    for e in rng().normal(size=(100, 3)):
        x = np.array([e, -e, 3 * e]) / np.linalg.norm(e)
        np.testing.assert_allclose(targets.zonal(3, 5, e)(x), [1, -1, 3], rtol=1e-13)


def test_targets_form_a_vector_space():
    x, d = rng().normal(size=(7, 3)), 3
    a, b = full(d, rng(2)), full(d, rng(3))
    combined = 2 * a - b * 3 + (-a)
    np.testing.assert_allclose(combined(x), a(x) - 3 * b(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(combined.coefficients, a.coefficients - 3 * b.coefficients)


def test_targets_can_be_summed_and_divided():
    x, parts = rng().normal(size=(7, 3)), [full(3, rng(seed)) for seed in (2, 3, 4)]
    np.testing.assert_allclose(sum(parts)(x), sum(part(x) for part in parts), atol=1e-12)
    assert sum(parts) == parts[0] + parts[1] + parts[2]
    np.testing.assert_allclose((parts[0] / 4)(x), parts[0](x) / 4, rtol=1e-12)
    assert parts[0] / 4 == 0.25 * parts[0] == parts[0] * np.float64(0.25)
    assert np.float32(0.25) * parts[0] == parts[0] / np.int64(4)


def test_targets_with_the_same_terms_are_equal():
    a, b = full(3, rng(2)), full(3, rng(3))
    assert a + b == b + a
    assert hash(a + b) == hash(b + a) != hash(a)
    assert a + a == 2 * a
    assert a - a == 0 * b == targets.Target(3, np.zeros(9)) == targets.Target(3, -np.zeros(9))
    assert a != b
    assert a + targets.zonal(3, 4) != a
    assert targets.zonal(3, 4) != targets.zonal(3, 6)
    assert targets.zonal(3, 4) != targets.zonal(3, 4, [0, 1.0, 0])
    assert targets.limit(groups.NORM, 3) != targets.limit(groups.NORM, 4)
    assert a != a.coefficients.tolist()
    assert targets.Target(3, a.coefficients, a.harmonics) == a
    for twin in (copy.deepcopy(a), pickle.loads(pickle.dumps(a))):
        assert twin == a
        assert twin.moment(np.eye(3)).tolist() == a.moment(np.eye(3)).tolist()


def test_nothing_outside_changes_a_target():
    values, axis = np.ones(9), np.array([0.0, 1.0, 0.0])
    target = targets.Target(3, values, [(2.0, 4, axis)])
    before = pickle.dumps(target)
    values[:], axis[:] = 7, 7
    target.coefficients[:], target.harmonics[0][2][:] = 7, 7
    target.along(groups.COORDINATE)[:] = 7
    assert pickle.loads(before) == target
    with pytest.raises(AttributeError):
        target.d = 4


def test_a_target_shows_its_first_terms():
    target = targets.limit(groups.NORM, 10) / 3 - targets.limit(groups.PRODUCT, 10, 7)
    assert repr(target) == "<target at d = 10: 0.3333 norm[0] - 1 product[7]>"
    target = -2 * targets.zonal(10, 4) + 1e-7 * targets.limit(groups.SQUARE, 10, 8)
    assert repr(target) == "<target at d = 10: 1e-07 square[8] - 2 zonal of degree 4>"
    four = target + targets.limit(groups.NORM, 10) + targets.zonal(10, 6)
    assert repr(four).endswith("square[8] - 2 zonal of degree 4 + 1 zonal of degree 6>")
    assert repr(0 * target) == "<target at d = 10: 0>"
    assert repr(full(10, rng())).endswith(" + ... (68 terms)>")
    assert len(repr(full(10, rng()))) < 150


def test_memory_grows_with_the_terms_of_a_target():
    d = 20_000

    def power():
        target = targets.limit(groups.PRODUCT, d, 10**8) + targets.limit(groups.NORM, d)
        return (target / 2).power

    found, peak = with_peak(power)
    assert peak < 10**6  # all coefficients have 1.6 GB
    expected = groups.PRODUCT.eigenvalue(d) + groups.NORM.eigenvalue(d)
    assert found == pytest.approx(expected / 4, rel=1e-13)


@pytest.mark.parametrize("d", [np.int8(20), np.uint8(20), np.int16(20)])
def test_dimensions_of_any_integer_type(d):
    target = targets.Target(d, np.ones(230)) + targets.zonal(d, np.int8(4))
    assert target == targets.Target(20, np.ones(230)) + targets.zonal(20, 4)
    assert target.coefficients.shape == (230,)
    assert targets.limit(groups.PRODUCT, d, np.uint8(189)).along(groups.PRODUCT)[189] == 1


@pytest.mark.parametrize("scale", [2.0**-700, 2.0**700])
def test_values_and_moments_at_any_size(scale):
    target, W, x = full(3, rng()), rng().normal(size=(3, 5)), rng(2).normal(size=(4, 3))
    np.testing.assert_allclose(target(scale * x), scale * target(x), rtol=1e-12)
    np.testing.assert_allclose(target.moment(scale * W), scale * target.moment(W), rtol=1e-12)
    axis = rng().normal(size=3)
    one, other = targets.zonal(3, 4, scale * axis), targets.zonal(3, 4, axis)
    assert one == other


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

ONE, NORM = np.ones(9), targets.limit(groups.NORM, 3)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: targets.limit("norm", 3),
            r"group must be a group such as groups\.NORM, got 'norm'",
        ),
        (lambda: NORM.along(groups.Linear), r"group must be a group .*, got <class"),
        (lambda: NORM.along(groups.Linear("a", [[1.0, 2]])), r"d must be 2, .* got 3"),
        (lambda: targets.limit(groups.Linear("a", [[1.0, 2]]), 3), r"d must be 2, .* got 3"),
        (
            lambda: targets.limit(groups.PRODUCT, 3, 3),
            r"column must be below 3, .* product .*got 3",
        ),
        (lambda: targets.limit(groups.SQUARE, 1), r"column must be below 0, .* square at d = 1"),
        (lambda: targets.limit(groups.NORM, 3, -1), r"column must be an integer >= 0, got -1"),
        (lambda: targets.limit(groups.NORM, 0), r"d must be an integer >= 1, got 0"),
        (lambda: targets.zonal(3, 2), r"k must be an integer >= 3, got 2"),
        (lambda: targets.zonal(1, 4), r"d must be an integer >= 2, got 1"),
        (lambda: targets.zonal(3, 4, [0, 0, 0]), r"direction must be a non-zero vector"),
        (lambda: targets.zonal(3, 4, [1, 0]), r"direction .* of shape \(3,\)"),
        (lambda: targets.zonal(3, 4, [math.nan, 0, 0]), r"direction must be finite, got nan"),
        (lambda: NORM([1.0, 2]), r"x must have the 3 coordinates"),
        (lambda: NORM.moment([[1.0]]), r"W must have shape \(d, m\) with the target's d = 3, got"),
        (
            lambda: targets.limit(groups.PRODUCT, 2).moment([[1.0, 0], [1, 0]]),
            r"W must have no zero column",
        ),
        (
            lambda: NORM + targets.limit(groups.NORM, 2),
            r"targets must have one dimension, got 3 and 2$",
        ),
        (lambda: math.nan * NORM, r"factor must be a finite number"),
        (lambda: NORM * targets.zonal(3, 4), r"factor must be a finite"),
        (lambda: np.ones(2) * NORM, r"factor must be a finite number"),
        (lambda: NORM / 0, r"divisor must be a finite number other"),
        (lambda: NORM / math.nan, r"divisor must be a finite number"),
        (lambda: 1e308 * NORM * 10, r"coefficients must be finite"),
        (lambda: 1e308 * NORM / 1e-2, r"coefficients must be finite"),
        (lambda: 1e308 * targets.zonal(3, 4) / 1e-2, r"coefficients must be finite"),
        (lambda: sum([1e308 * NORM] * 2), r"coefficients must be finite"),
        (lambda: targets.Target(3, ONE[1:]), r"coefficients must have shape \(9,\)"),
        (lambda: targets.Target(3, math.nan * ONE), r"coefficients must be finite"),
        (lambda: targets.Target(3, ["a"] * 9), r"coefficients must be an array of real"),
        (lambda: targets.Target(3.0, ONE), r"d must be an integer >= 1, got 3\.0"),
        (lambda: targets.Target(3, ONE, [4]), r"harmonics must be triples"),
        (
            lambda: targets.Target(3, ONE, [(1.0, 4, [1 + 1e-9, 0, 0])]),
            r"harmonics must have unit vectors",
        ),
        (lambda: targets.Target(3, ONE, [(1.0, 2, [1.0, 0, 0])]), r"k must be an integer >= 3"),
        (
            lambda: targets.Target(3, ONE, [(math.inf, 4, [1.0, 0, 0])]),
            r"a must be a finite number",
        ),
        (
            lambda: targets.Target(3, ONE, [(1e308, 4, [1.0, 0, 0])] * 2),
            r"coefficients must be finite",
        ),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: NORM.along("a"), "group must be a group such as groups.NORM, got 'a'"),
        (lambda: math.nan * NORM, "factor must be a finite number, got nan"),
        (lambda: NORM / math.nan, "divisor must be a finite number, got nan"),
        (lambda: NORM / 0, "divisor must be a finite number other than 0, got 0"),
        (
            lambda: 1e308 * NORM * 10,
            "coefficients must be finite, but a sum, product or quotient overflows",
        ),
        (lambda: targets.Target(0, ONE), "d must be an integer >= 1, got 0"),
        (
            lambda: targets.Target(3, ONE[1:]),
            "coefficients must have shape (9,), got shape (8,)",
        ),
        (
            lambda: targets.Target(1, [math.inf, 0]),
            "coefficients must be finite, got inf at index (0,)",
        ),
        (lambda: targets.Target(3, ONE, [4]), "harmonics must be triples (a, k, e), got 4"),
        (
            lambda: targets.Target(3, ONE, [(1.0, 4, [2, 0, 0])]),
            "harmonics must have unit vectors e, got [2, 0, 0]",
        ),
        (
            lambda: targets.Target(3, ONE, [(math.inf, 4, [1.0, 0, 0])]),
            "a must be a finite number, got inf",
        ),
        (
            lambda: targets.zonal(3, 4, [1, 0]),
            "direction must be a non-zero vector of shape (3,), got [1, 0]",
        ),
        (
            lambda: targets.zonal(2, 4, [0, math.inf]),
            "direction must be finite, got inf at index (1,)",
        ),
        (lambda: targets.zonal(1, 4), "d must be an integer >= 2, got 1"),
        (lambda: targets.zonal(3, 2), "k must be an integer >= 3, got 2"),
        (
            lambda: NORM(np.ones((4, 2))),
            "x must have the 3 coordinates of the target, got shape (4, 2)",
        ),
        (
            lambda: NORM.moment(np.ones((2, 4))),
            "W must have shape (d, m) with the target's d = 3, got shape (2, 4)",
        ),
    ],
)
def test_messages_say_what_was_given_and_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


@pytest.mark.parametrize(
    "call", [lambda: NORM + 1, lambda: NORM - 1, lambda: 1 + NORM, lambda: 1 / NORM]
)
def test_a_target_and_a_number_do_not_add_up(call):
    with pytest.raises(TypeError):
        call()
