"""The Fisher information matrix, against quadrature, simulation and equation (5) of the paper."""

import math
import re

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import entry, rng
from reluspec_lib import activations, features, fisher, groups, sample_weights
from reluspec_lib.spectrum._kernel import COEFFICIENTS, _fit

OTHER_ROOT = groups.Square(root=-1)


def weights(law, d, m, generator):
    """Hidden weights of several laws, without a zero column."""
    if law == "gaussian":
        return sample_weights(d, m, generator)
    if law == "signs":
        return generator.choice([-1.0, 1.0], (d, m))
    if law == "heavy tails":
        return generator.standard_t(2, (d, m))
    if law == "sparse":
        W = generator.normal(size=(d, m)) * (generator.random((d, m)) < 0.3)
        W[generator.integers(d, size=m), np.arange(m)] += 1.5
        return W[:, np.linalg.norm(W, axis=0) > 0]
    return generator.uniform(0, 1, (d, m))  # "positive"


LAWS = ["gaussian", "signs", "heavy tails", "sparse", "positive"]


# --- entries


@pytest.mark.parametrize("angle", [0, 1e-6, 1e-4, 0.01, 0.5, 1, math.pi / 2, 2, 3, 3.14, math.pi])
@pytest.mark.parametrize("lengths", [(1, 1), (0.3, 7)])
def test_an_entry_equals_quadrature_over_the_angle_of_the_input(angle, lengths):
    a, b = lengths
    W = np.array([[a, b * math.cos(angle)], [0, b * math.sin(angle)]])
    with mp.workdps(50):
        # In polar coordinates of the plane: the integral of r^3 exp(-r^2/2) is 2.
        low, high = mp.mpf(angle) - mp.pi / 2, mp.pi / 2  # where both projections are positive
        integral = mp.quad(lambda t: mp.cos(t) * mp.cos(t - angle), [low, high])
        expected = float(2 * a * b * integral / (2 * mp.pi))
    assert fisher.matrix(W)[0, 1] == pytest.approx(expected, rel=1e-15, abs=1e-15 * a * b)


def test_the_diagonal_is_half_the_squared_norms():
    W = rng().normal(size=(7, 300))
    np.testing.assert_allclose(np.diag(fisher.matrix(W)), (W**2).sum(axis=0) / 2, rtol=1e-13)


def test_opposite_and_equal_units():
    J = fisher.matrix([[3.0, -3, 6], [4, -4, 8]])
    np.testing.assert_allclose(J, [[12.5, 0, 25], [0, 12.5, 0], [25, 0, 50]], atol=1e-14)


@pytest.mark.parametrize("d", [1, 2, 3, 10])
@pytest.mark.parametrize("law", LAWS)
def test_the_matrix_is_the_second_moment_of_the_features(d, law):
    W = weights(law, d, 6, rng())
    n = 100_000
    X = features(rng(2).normal(size=(n, d)), W)
    total = X.T @ X / n
    squares = (X**2).T @ (X**2) / n
    error = np.sqrt((squares - total**2) / n)
    assert (np.abs(fisher.matrix(W) - total) <= 5 * error + 1e-12 * total.max()).all()


@pytest.mark.parametrize("W, expected", [([[2.0]], [[2]]), ([[1.0, -2]], [[0.5, 0], [0, 2]])])
def test_one_dimension_works(W, expected):
    np.testing.assert_allclose(fisher.matrix(W), expected, atol=1e-15)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_activation_in_place_of_the_relu_gives_its_own_second_moments(kind, workers):
    # s(t) = r(t) - r(-t)/4, and r(a) r(-b) has the mean of r(a) r(b) at the angle pi - theta.
    W = rng().normal(size=(3, 250))
    lengths = np.linalg.norm(W, axis=0)
    angles = np.arccos(np.clip((W / lengths).T @ (W / lengths), -1, 1))
    expected = np.outer(lengths, lengths) * (17 / 16 * entry(angles) - entry(np.pi - angles) / 2)
    J = fisher.matrix(W, activation=activations.leaky(0.25), dtype=kind, workers=workers)
    assert J.dtype == kind
    np.testing.assert_allclose(J, expected, rtol=0, atol=30 * np.finfo(kind).eps)


# --- the polynomial in place of the arccosine


@pytest.mark.parametrize(("dtype", "degree"), [(np.float64, 8), (np.float32, 3)])
def test_the_kernel_polynomial_is_within_a_unit_everywhere(dtype, degree):
    coefficients = _fit(degree)
    assert coefficients == COEFFICIENTS[np.dtype(dtype)]
    with mp.workdps(40):
        for i in range(401):
            w = (1 - mp.sqrt(0.5)) * mp.mpf(i) / 400
            a = 2 * mp.acos(1 - w)
            exact = (mp.sin(a) - a * mp.cos(a)) / (2 * mp.pi)
            found = mp.polyval([mp.mpf(c) for c in coefficients], w) * w ** mp.mpf(1.5)
            assert abs(found - exact) < np.finfo(dtype).eps


# --- structure


@pytest.mark.parametrize("exponent", [-700, -300, 300, 500])
def test_lengths_whose_squares_leave_the_range_keep_their_directions(exponent):
    W = rng().normal(size=(3, 40))
    V = rng(2).normal(size=(40, 2))
    mixed = W.copy()
    mixed[:, 5] = np.ldexp(W[:, 5], exponent)
    row = np.ldexp(fisher.matrix(W)[5], exponent)
    V[5] = 0  # its own square would not be representable
    expected = fisher.matrix(W) @ V
    expected[5] = (np.ldexp(fisher.matrix(W)[5], exponent) @ V) if exponent < 0 else row @ V
    np.testing.assert_allclose(fisher.matvec(mixed, V), expected, rtol=1e-11)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_columns_must_be_shorter_than_the_root_of_the_largest_number(kind):
    largest = np.finfo(kind).max
    limit = math.sqrt(largest)
    J = fisher.matrix([[math.nextafter(limit, 0)]], dtype=kind)
    assert J[0, 0] == pytest.approx(largest / 2, rel=1e-6)
    message = f"W must have columns shorter than {limit:.3g}, or J overflows in {np.dtype(kind)}"
    # The length of the last one overflows itself, which is no reason for a warning.
    cases = [([[limit]], limit), ([[1e200]], 1e200), (np.full((2, 1), largest), math.inf)]
    for W, length in cases:
        full = f"{message}, got one of length {length:.3g}"
        with pytest.raises(ValueError, match=f"^{re.escape(full)}$"):
            fisher.matrix(W, dtype=kind)


@pytest.mark.parametrize("m", [1, 199, 200, 201, 400, 401, 700])
def test_the_matrix_is_exactly_symmetric_and_does_not_depend_on_blocks(m):
    W = rng().normal(size=(3, m))
    J = fisher.matrix(W)
    np.testing.assert_array_equal(J, J.T)
    some = np.unique([0, m // 2, m - 1])
    np.testing.assert_allclose(J[np.ix_(some, some)], fisher.matrix(W[:, some]), rtol=1e-12)


@pytest.mark.parametrize("d, m", [(1, 40), (2, 300), (3, 300), (20, 300)])
@pytest.mark.parametrize("law", LAWS)
def test_the_matrix_is_positive_semidefinite(d, m, law):
    eigenvalues = np.linalg.eigvalsh(fisher.matrix(weights(law, d, m, rng())))
    assert eigenvalues[0] > -1e-13 * eigenvalues[-1]


def test_units_without_weights_give_zero_rows_and_leave_the_rest():
    W = rng().normal(size=(3, 300))
    W[:, [0, 270]] = 0
    J = fisher.matrix(W)
    assert not J[[0, 270]].any()
    assert not J[:, [0, 270]].any()
    kept = np.delete(np.arange(300), [0, 270])
    np.testing.assert_allclose(J[np.ix_(kept, kept)], fisher.matrix(W[:, kept]), atol=1e-15)


@settings(max_examples=25)
@given(d=st.integers(1, 6), seed=st.integers(0, 2**32), c=st.floats(1e-6, 1e6))
def test_rotations_leave_the_matrix_and_scales_of_units_scale_it(d, seed, c):
    generator = rng(seed)
    W, Q = generator.normal(size=(d, 12)), np.linalg.qr(generator.normal(size=(d, d)))[0]
    J = fisher.matrix(W)
    np.testing.assert_allclose(fisher.matrix(Q @ W), J, atol=1e-11 * J.max())
    W[:, 3] *= c
    scales = np.where(np.arange(12) == 3, c, 1.0)
    expected = np.outer(scales, scales) * J
    np.testing.assert_allclose(fisher.matrix(W), expected, rtol=1e-9, atol=1e-11 * expected.max())


@pytest.mark.parametrize("d, m", [(5, 2000), (50, 2000)])
def test_the_trace_of_random_weights_is_close_to_half_the_dimension(d, m):
    trace = np.trace(fisher.matrix(sample_weights(d, m, rng())))
    assert abs(trace - d / 2) < 5 * math.sqrt(d / (2 * m))


# --- equation (5)


def remainder(W, eigenvalue, square=groups.SQUARE):
    """What the groups leave of the matrix."""
    d = len(W)
    R = fisher.matrix(W)
    for group in (groups.NORM, groups.COORDINATE, square, groups.PRODUCT):
        if group.size(d):
            V = group.eigenvectors(W)
            R -= eigenvalue(group, d) * V @ V.T
    return R


def exact(group, d):
    return group.eigenvalue(d)


def paper(group, d):
    return group.paper_eigenvalue(d)


@pytest.mark.parametrize("d", [1, 2, 3, 4, 10, 50])
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("square", [groups.SQUARE, OTHER_ROOT])
def test_equation_5_leaves_a_positive_remainder_of_known_trace_for_any_weights(d, law, square):
    W = weights(law, d, 150, rng())
    R = remainder(W, exact, square)
    scale = np.linalg.norm(W) ** 2
    assert np.linalg.eigvalsh(R)[0] > -1e-13 * scale
    with mp.workdps(30):
        lambda_0 = (d * mp.beta(mp.mpf(d) / 2, 0.5) / (2 * mp.pi)) ** 2
        degree_2 = mp.mpf((d - 1) * (d + 2)) / (2 * (d + 1) ** 2)
        share = float(2 * lambda_0 / d * (1 + degree_2) + 0.5)
    assert np.trace(R) == pytest.approx((1 - share) * scale / 2, rel=1e-9, abs=1e-13 * scale)


@pytest.mark.parametrize("d", [2, 3, 10, 50])
@pytest.mark.parametrize("law", LAWS)
def test_equation_5_with_the_papers_eigenvalues_leaves_the_same_share_for_any_weights(d, law):
    W = weights(law, d, 150, rng())
    R = remainder(W, paper)
    trace = np.trace(fisher.matrix(W))
    assert np.linalg.eigvalsh(R)[0] > -1e-12 * trace
    assert np.trace(R) == pytest.approx((1 / 2 - 3 / (2 * math.pi)) * trace, rel=1e-9)


@pytest.mark.parametrize("d", [2, 3, 6])
@pytest.mark.parametrize("index", range(4))
def test_equation_5_leaves_a_negative_remainder_when_an_eigenvalue_is_one_percent_larger(d, index):
    # Enough units that the group's vectors are nearly free of the terms of higher degree.
    W = sample_weights(d, 1500, rng())
    changed = groups.ALL[index]
    R = remainder(W, lambda g, d: exact(g, d) * (1.01 if g is changed else 1))
    # On a subspace it has no lower eigenvalue than anywhere.
    Q = np.linalg.qr(changed.eigenvectors(W))[0]
    assert np.linalg.eigvalsh(Q.T @ R @ Q)[0] < -1e-5 * changed.eigenvalue(d)


@pytest.mark.parametrize("d, m", [(3, 1000), (10, 1000)])
def test_the_largest_eigenvalues_of_a_wide_network_are_those_of_the_groups(d, m):
    eigenvalues = np.linalg.eigvalsh(fisher.matrix(sample_weights(d, m, rng())))[::-1]
    first, second = groups.NORM.eigenvalue(d), groups.COORDINATE.eigenvalue(d)
    assert eigenvalues[0] == pytest.approx(first, rel=7 / math.sqrt(m))
    assert eigenvalues[1 : d + 1].mean() == pytest.approx(second, rel=3.5 / math.sqrt(m))
    degree_2 = eigenvalues[d + 1 : d * (d + 3) // 2]
    assert degree_2.mean() == pytest.approx(groups.PRODUCT.eigenvalue(d), rel=0.1)


# --- numbers and bad input


def test_weights_are_not_modified():
    W = rng().normal(size=(4, 300))
    copy = W.copy()
    fisher.matrix(W)
    np.testing.assert_array_equal(W, copy)


@pytest.mark.parametrize(
    "W, message",
    [
        (np.ones(3), r"W must have shape \(d, m\), got shape \(3,\)"),
        (np.ones((0, 3)), r"W must not be empty, got shape \(0, 3\)"),
        ([[1, np.inf]], r"W must be finite, got inf at index \(0, 1\)"),
        ("W", r"W must be an array of real numbers, got 'W'"),
    ],
)
def test_arrays_that_are_no_weights_are_refused(W, message):
    with pytest.raises(ValueError, match="^" + message):
        fisher.matrix(W)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("d, m", [(500, 900), (1000, 1000), (3000, 300)])
def test_cosines_that_rounding_makes_larger_than_one(d, m, kind):
    # Sums of many products: those of a unit with itself or its copy come out above 1.
    W = np.random.default_rng(1).standard_normal((d, m)).astype(kind)
    W[:, m // 2 :] = W[:, : m - m // 2]
    ones = np.ones(m, kind)
    exact = W.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=0)
    cosine = np.clip(exact.T @ exact / np.outer(lengths, lengths), -1, 1)
    angle = np.arccos(cosine)
    J = (np.sin(angle) + (np.pi - angle) * cosine) / (2 * np.pi) * np.outer(lengths, lengths)
    rounding = 30 * np.finfo(kind).eps
    np.testing.assert_allclose(fisher.matrix(W), J, rtol=rounding)
    np.testing.assert_allclose(fisher.matvec(W, ones), J.sum(axis=1), rtol=rounding)
