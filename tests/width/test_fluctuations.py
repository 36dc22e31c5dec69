"""Fluctuations of finite networks, against quadrature, exact finite sums and Gaussian moments."""

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, linalg, special, stats

from helpers import rng, with_peak
from reluspec_lib import features, fluctuations, groups, sample_weights
from reluspec_lib.groups import (
    CENTRED_SQUARE,
    COORDINATE,
    NORM,
    PRODUCT,
    SQUARE,
    Linear,
    Quadratic,
    Square,
)

EVERY = [*groups.ALL, CENTRED_SQUARE, Square(-1)]
each_group = pytest.mark.parametrize(
    "group", EVERY, ids=lambda group: f"{group.name}{getattr(group, 'root', '')}"
)


def of_unit(group, g, column):
    """sqrt(m) v_j as a function of g = sqrt(m) W^(j), one unit per column of g."""
    return group.eigenvectors(g, [column])[:, 0]


def plane_moment(group, x, y):
    """E[(v ReLU(g.x)) (v ReLU(g.y))] at d = 2, by quadrature over the angle of g."""

    def integrand(angle):
        u = np.array([[math.cos(angle)], [math.sin(angle)]])
        v = of_unit(group, u, 0)[0]
        return v**2 * max(x @ u[:, 0], 0) * max(y @ u[:, 0], 0)

    kinks = sorted(
        (math.atan2(z[1], z[0]) + sign * math.pi / 2) % (2 * math.pi)
        for z in (x, y)
        for sign in (1, -1)
    )
    edges = [0.0, *kinks, 2 * math.pi]
    total = sum(
        integrate.quad(integrand, a, b, epsabs=1e-13)[0] for a, b in itertools.pairwise(edges)
    )
    # All four factors together have degree 4 in |g|, and E|g|^4 = 8 at d = 2.
    return 8 * total / (2 * math.pi)


@each_group
def test_covariance_is_that_of_quadrature_in_the_plane(group):
    for x, y in rng().normal(size=(6, 2, 2)):
        expected = plane_moment(group, x, y)
        expected -= (group.limit(x, [0]) * group.limit(y, [0])).item()
        found = fluctuations.covariance(group, x[None], y[None]).item()
        assert found == pytest.approx(expected, abs=1e-11)


@each_group
@pytest.mark.parametrize("d", [2, 3, 6])
def test_covariance_is_that_of_many_hidden_units(group, d):
    g, x = rng(d).standard_normal((d, 400_000)), rng(3).standard_normal((3, d))
    column = group.size(d) - 1
    terms = features(x, g) * of_unit(group, g, column)
    terms -= group.limit(x, [column])
    products = terms[:, None, :] * terms[None, :, :]
    error = products.std(axis=2) / math.sqrt(g.shape[1])
    found = fluctuations.covariance(group, x, column=column)
    assert (abs(products.mean(axis=2) - found) < 5 * error).all()


@each_group
@settings(max_examples=15)
@given(d=st.integers(2, 8), seed=st.integers(0, 2**32))
def test_the_variance_is_the_diagonal_of_the_covariance(group, d, seed):
    x = rng(seed).standard_normal((4, d))
    for column in range(group.size(d)):
        C = fluctuations.covariance(group, x, column=column)
        np.testing.assert_allclose(np.diag(C), group.variance(x, [column])[:, 0], rtol=1e-9)
        np.testing.assert_allclose(C, C.T, atol=1e-12)
        assert np.linalg.eigvalsh(C).min() > -1e-10


@each_group
def test_the_variance_takes_all_columns_at_once(group):
    x = rng().normal(size=(5, 6))
    size = group.size(6)
    whole = group.variance(x)
    assert whole.shape == (5, size)
    for column in range(size):
        np.testing.assert_allclose(whole[:, [column]], group.variance(x, [column]))
    np.testing.assert_allclose(group.variance(x[0]), whole[0])
    assert group.variance(x.astype(np.float32)).dtype == np.float32
    assert not group.variance(np.zeros((1, 6))).any()


@pytest.mark.parametrize("d", [1, 2, 5])
def test_groups_that_are_empty_have_no_variance(d):
    for group in EVERY:
        assert group.variance(np.ones((2, d))).shape == (2, group.size(d))


@each_group
@pytest.mark.parametrize("m", [1, 3, 40])
def test_the_variance_holds_at_every_width(group, m):
    d, draws = 3, 200_000 // m
    W = sample_weights(d, m * draws, rng(5)) * math.sqrt(draws)
    x = np.array([1.0, -0.5, 2.0])
    terms = features(x, W) * group.eigenvectors(W, [0])[:, 0]
    f = terms.reshape(draws, m).sum(axis=1)
    squares = m * (f - group.limit(x, [0])) ** 2
    error = squares.std() / math.sqrt(draws)
    assert abs(squares.mean() - group.variance(x, [0]).item()) < 5 * error


@each_group
@settings(max_examples=15)
@given(scale=st.floats(0.01, 100), seed=st.integers(0, 2**32))
def test_covariance_is_homogeneous_in_each_input(group, scale, seed):
    x, y = rng(seed).standard_normal((2, 3, 4))
    once = fluctuations.covariance(group, x, y)
    np.testing.assert_allclose(
        fluctuations.covariance(group, scale * x, y), scale * once, rtol=1e-9, atol=1e-9 * scale
    )
    np.testing.assert_allclose(fluctuations.covariance(group, y, x), once.T, atol=1e-12)


@each_group
def test_nearly_parallel_inputs_lose_no_digits(group):
    x, step = rng().normal(size=(2, 5))
    s2 = group.variance(x, [0]).item()
    for size in 10.0 ** -np.arange(3, 13):
        found = fluctuations.covariance(group, x[None], (x + size * step)[None]).item()
        assert abs(found - s2) < 20 * size + 1e-12
    assert fluctuations.covariance(group, x[None], x[None]).item() == pytest.approx(s2, rel=1e-12)


@pytest.mark.parametrize("group", [CENTRED_SQUARE, SQUARE, PRODUCT, NORM])
@settings(max_examples=15)
@given(d=st.integers(2, 9), seed=st.integers(0, 2**32))
def test_forms_are_those_of_the_vectors(group, d, seed):
    W = rng(seed).standard_normal((d, 5))
    for column in range(group.size(d)):
        A = group.form(d, column).dense()
        v = np.einsum("aj,ab,bj->j", W, A, W) / np.linalg.norm(W, axis=0)
        np.testing.assert_allclose(group.eigenvectors(W, [column])[:, 0], v, atol=1e-12)


@each_group
@settings(max_examples=15)
@given(d=st.integers(2, 7), seed=st.integers(0, 2**32))
def test_variance_treats_all_other_coordinates_alike(group, d, seed):
    generator = rng(seed)
    x = generator.standard_normal(d)
    for column in range(group.size(d)):
        others = [k for k in range(d) if k not in group.form(d, column).axes]
        y = x.copy()
        y[others] = 0
        if others:
            y[others[0]] = np.linalg.norm(x[others])
        s2 = [group.variance(z, [column]).item() for z in (x, y)]
        assert s2[0] == pytest.approx(s2[1], rel=1e-10)


def own(d, seed):
    """Groups of random forms, one of each kind."""
    a, A = rng(seed).normal(size=(2, d)), rng(seed + 1).normal(size=(2, d, d))
    return [Linear("a", a), Quadratic("A", A + A.swapaxes(1, 2))]


@settings(max_examples=15)
@given(seed=st.integers(0, 2**30))
def test_own_covariances_are_those_of_quadrature_in_the_plane(seed):
    x, y = rng(seed).normal(size=(2, 2))
    for group in own(2, seed):
        expected = plane_moment(group, x, y) - (group.limit(x, [0]) * group.limit(y, [0])).item()
        found = fluctuations.covariance(group, x[None], y[None]).item()
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-10)


@settings(max_examples=15)
@given(d=st.integers(2, 8), seed=st.integers(0, 2**30))
def test_own_variances_are_the_diagonal_of_the_covariance(d, seed):
    x = rng(seed).standard_normal((4, d))
    for group in own(d, seed):
        for column in (0, 1):
            C = fluctuations.covariance(group, x, column=column)
            np.testing.assert_allclose(np.diag(C), group.variance(x, [column])[:, 0], rtol=1e-9)
            np.testing.assert_allclose(C, C.T, rtol=1e-12, atol=1e-12 * np.abs(C).max())
            assert np.linalg.eigvalsh(C).min() > -1e-12 * np.trace(C)


@each_group
@pytest.mark.parametrize("d", [2, 3, 4, 7])
def test_the_papers_groups_made_from_their_forms_have_the_same_fluctuations(group, d):
    kind, x = Linear if group is COORDINATE else Quadratic, rng().standard_normal((5, d))
    last = group.size(d) - 1
    copy = kind("copy", [group.form(d, last).dense()])
    expected = fluctuations.covariance(group, x, column=last)
    np.testing.assert_allclose(fluctuations.covariance(copy, x), expected, rtol=1e-11, atol=1e-12)
    found = fluctuations.expected_mae(copy, d, 9)
    assert found == pytest.approx(fluctuations.expected_mae(group, d, 9), rel=1e-12)
    assert found == pytest.approx(fluctuations.expected_mae(group, d, 9, column=last), rel=1e-12)
    spread = fluctuations.mae_spread(group, x, 9, last)
    assert fluctuations.mae_spread(copy, x, 9) == pytest.approx(spread, rel=1e-10)
    draws = fluctuations.sample_mae(group, x, 9, 3, 1, column=last)
    np.testing.assert_allclose(fluctuations.sample_mae(copy, x, 9, 3, 1), draws, rtol=1e-6)


def test_one_covariance_needs_no_matrix_of_the_size_of_a_form():
    d = 20_000
    x = rng().standard_normal((3, d))
    for group in EVERY:
        column = group.size(d) - 1
        C, peak = with_peak(lambda g=group, k=column: fluctuations.covariance(g, x, column=k))
        last = group.variance(x, [column])[:, 0]
        np.testing.assert_allclose(np.diag(C), last, rtol=1e-9)
        assert peak < 20 * x.nbytes


# --- the mean absolute error


@pytest.mark.parametrize("d", [1, 2, 3, 4, 10, 1000, 100_000])
def test_the_norm_group_has_its_expected_error_in_closed_form(d):
    # s(x) = |x| sqrt((d+2)/(2d) - d c_d^2), and c_d = 1 / (sqrt(2 pi) E|x|).
    mp.mp.dps = 40
    length = mp.sqrt(2) * mp.gammaprod([mp.mpf(d + 1) / 2], [mp.mpf(d) / 2])
    share = mp.mpf(d + 2) / (2 * d) - d / (2 * mp.pi * length**2)
    expected = mp.sqrt(2 / (7 * mp.pi)) * length * mp.sqrt(share)
    assert fluctuations.expected_mae(NORM, d, 7) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("d", [3, 4, 10, 51])
def test_the_coordinate_group_has_the_error_of_a_one_dimensional_integral(d):
    # s(u)^2 = 1/2 + 3 t^2 / 4 with t the first coordinate of a point of the sphere.
    def integrand(t):
        return mp.sqrt(0.5 + 0.75 * t**2) * (1 - t**2) ** (mp.mpf(d - 3) / 2)

    mp.mp.dps = 25
    mean = mp.quad(integrand, [-1, 0, 1]) / mp.beta(mp.mpf(d - 1) / 2, 0.5)
    length = mp.sqrt(2) * mp.gammaprod([mp.mpf(d + 1) / 2], [mp.mpf(d) / 2])
    expected = mp.sqrt(2 / mp.pi) * length * mean
    found = fluctuations.expected_mae(COORDINATE, d, 1)
    assert found == pytest.approx(float(expected), rel=1e-11)


@pytest.mark.parametrize("power", [-0.5, 0.0, 0.5, 1.0, 7.0, 800.0])
def test_the_rule_for_the_radius_is_that_of_gauss_and_jacobi(power):
    nodes, weights = special.roots_jacobi(fluctuations._RADII, power, 0.0)
    found = fluctuations._beta_rule(power)
    np.testing.assert_allclose(found[0], (1 + nodes) / 2, atol=1e-13)
    np.testing.assert_allclose(found[1], weights / weights.sum(), atol=1e-13)


@each_group
@pytest.mark.parametrize("d", [2, 3, 4, 20])
def test_expected_errors_are_averages_over_gaussian_inputs(group, d):
    s = np.sqrt(group.variance(rng().standard_normal((200_000, d)), [0]))
    expected = math.sqrt(2 / (math.pi * 9)) * s.mean()
    error = math.sqrt(2 / (math.pi * 9)) * s.std() / math.sqrt(len(s))
    assert abs(fluctuations.expected_mae(group, d, 9) - expected) < 5 * error


@pytest.mark.parametrize(
    "values", [[3, 1, 1], [1, 2, 2, 5], [0.5, 0.5, 0.5, -3, 2], [2, 1, 1, 1, 1, 1, 1, 0]]
)
def test_expected_errors_of_own_forms_do_not_depend_on_the_axes(values):
    d = len(values)
    Q = np.linalg.qr(rng().standard_normal((d, d)))[0]
    for A in (np.diag(values), np.diag(values[::-1]), Q @ np.diag(values) @ Q.T):
        group = Quadratic("own", [np.eye(d), A])
        s = np.sqrt(group.variance(rng().standard_normal((200_000, d)), [1]))
        found = fluctuations.expected_mae(group, d, 1, column=1) / math.sqrt(2 / math.pi)
        assert abs(found - s.mean()) < 5 * s.std() / math.sqrt(len(s))
        plain = fluctuations.expected_mae(Quadratic("own", [np.diag(values)]), d, 1)
        assert found * math.sqrt(2 / math.pi) == pytest.approx(plain, rel=1e-12)


def test_the_expected_error_of_an_own_direction_is_that_of_a_coordinate_times_its_length():
    a = rng().standard_normal(6)
    expected = np.linalg.norm(a) * fluctuations.expected_mae(COORDINATE, 6, 10)
    assert fluctuations.expected_mae(Linear("a", [a]), 6, 10) == pytest.approx(expected, rel=1e-12)


@each_group
def test_twice_as_many_points_of_quadrature_change_nothing(group, monkeypatch):
    for d in (2, 3, 5, 40):
        once = fluctuations.expected_mae(group, d, 1)
        with monkeypatch.context() as patch:
            patch.setattr(fluctuations, "_RADII", 40)
            patch.setattr(fluctuations, "_ANGLES", 96)
            assert fluctuations.expected_mae(group, d, 1) == pytest.approx(once, rel=1e-13)


@pytest.mark.parametrize("group", [NORM, COORDINATE])
def test_one_dimension_has_an_expected_error(group):
    s = math.sqrt(group.variance([1.0]).item())
    assert fluctuations.expected_mae(group, 1, 5) == pytest.approx(
        math.sqrt(2 / (5 * math.pi)) * math.sqrt(2 / math.pi) * s
    )


@each_group
def test_the_spread_is_that_of_draws_and_their_mean_that_of_the_variances(group):
    x = rng().standard_normal((60, 4))
    draws = fluctuations.sample_mae(group, x, 10, 40_000, rng(2))
    spread = fluctuations.mae_spread(group, x, 10)
    assert draws.std() == pytest.approx(spread, rel=5 / math.sqrt(40_000))
    mean = math.sqrt(2 / (10 * math.pi)) * np.sqrt(group.variance(x, [0])).mean()
    assert abs(draws.mean() - mean) < 5 * spread / math.sqrt(40_000)


def test_the_spread_at_one_input_is_that_of_an_absolute_gaussian():
    x = np.array([[3.0, 0.0, 4.0]])
    s = math.sqrt(PRODUCT.variance(x, [1]).item())
    expected = s * math.sqrt((1 - 2 / math.pi) / 100)
    assert fluctuations.mae_spread(PRODUCT, x, 100, column=1) == pytest.approx(expected)


def test_draws_are_those_of_networks():
    d, m, x = 3, 3000, rng().standard_normal((20, 3))
    found = []
    for generator in rng(2).spawn(400):
        W = sample_weights(d, m, generator)
        f = features(x, W) @ SQUARE.eigenvectors(W, [1])
        found.append(np.abs(f - SQUARE.limit(x, [1])).mean())
    expected = fluctuations.sample_mae(SQUARE, x, m, 20_000, rng(3), column=1)
    assert stats.ks_2samp(found, expected).pvalue > 1e-3


def test_draws_go_through_the_symmetric_root():
    # Inputs that a symmetry group permutes: a covariance with degenerate eigenvalues, full rank.
    x = np.vstack([np.eye(4), -np.eye(4)])
    C = fluctuations.covariance(NORM, x)
    assert np.linalg.matrix_rank(C) == len(x)
    assert np.diff(np.linalg.eigvalsh(C)).min() < 1e-12
    expected = np.abs(linalg.sqrtm(C) @ rng(3).standard_normal((8, 20))).mean(axis=0) / 10
    np.testing.assert_allclose(fluctuations.sample_mae(NORM, x, 100, 20, 3), expected, rtol=1e-9)


@each_group
def test_draws_at_inputs_of_one_direction_are_multiples_of_one_normal(group):
    x = np.outer([1.0, 2.0, 0.5, 4.0, 3.0], [0.3, -1.0, 2.0])
    s = np.sqrt(group.variance(x, [0])[:, 0])
    normal = s @ rng(3).standard_normal((5, 20)) / np.linalg.norm(s)
    expected = s.mean() * np.abs(normal) / math.sqrt(7)
    found = fluctuations.sample_mae(group, x, 7, 20, 3)
    # Eigenvalues that are 0 but for rounding would be noise of 1e-8.
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    spread = math.sqrt((1 - 2 / math.pi) / 7) * s.mean()
    assert fluctuations.mae_spread(group, x, 7) == pytest.approx(spread)


@each_group
def test_draws_do_not_depend_on_the_basis_of_an_eigenspace(group, monkeypatch):
    x = rng().standard_normal((15, 5))
    x = np.vstack([x, -x])
    plain, eigh = fluctuations.sample_mae(group, x, 1, 50, 3), np.linalg.eigh

    def other(C):
        values, vectors = eigh(C)
        edges = np.flatnonzero(np.diff(values) > 1e-9 * values[-1]) + 1
        spaces = []
        for V in np.split(vectors, edges, axis=1):
            turn = np.linalg.qr(rng(len(spaces)).standard_normal((V.shape[1],) * 2))[0]
            spaces.append(V @ turn)
        return values, np.hstack(spaces)

    monkeypatch.setattr(np.linalg, "eigh", other)
    np.testing.assert_allclose(fluctuations.sample_mae(group, x, 1, 50, 3), plain, rtol=1e-6)


@each_group
@pytest.mark.parametrize("scale", [1e-290, 1e-160, 1e160, 1e290])
def test_very_short_and_very_long_inputs_keep_their_digits(group, scale):
    x = rng().standard_normal((10, 4))
    for function in (fluctuations.mae_spread, lambda *a: fluctuations.sample_mae(*a, 5, 3)):
        expected = scale * np.asarray(function(group, x, 7))
        np.testing.assert_allclose(function(group, scale * x, 7), expected, rtol=1e-12)
    mixed = fluctuations.covariance(group, scale * x, x / scale)
    np.testing.assert_allclose(mixed, fluctuations.covariance(group, x), rtol=1e-10, atol=1e-12)


def test_inputs_at_the_origin_have_no_error():
    for group in EVERY:
        assert not fluctuations.covariance(group, np.zeros((2, 3)), np.ones((1, 3))).any()
        assert fluctuations.mae_spread(group, np.zeros((2, 3)), 1) == 0
        assert not fluctuations.sample_mae(group, np.zeros((2, 3)), 1, 4, 1).any()


def test_memory_of_the_expected_error_does_not_grow_with_the_square_of_d():
    found, peak = with_peak(lambda: fluctuations.expected_mae(PRODUCT, 100_000, 100))
    # At large d the rule of the chapter holds: sqrt(d / (pi m)).
    assert found == pytest.approx(math.sqrt(100_000 / (100 * math.pi)), rel=1e-4)
    assert peak < 32 * 2**20


# --- wrong arguments


X = np.ones((2, 3))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: fluctuations.covariance("norm", X), "group must be a Group such as groups.NORM"),
        (
            lambda: fluctuations.covariance(NORM, X[0]),
            r"x must have shape \(n, d\), got",
        ),
        (lambda: fluctuations.covariance(NORM, X, X[:, :2]), r"y must have shape \(n, 3\), got"),
        (lambda: fluctuations.covariance(NORM, X, X * np.nan), r"y must be finite, got nan at"),
        (lambda: fluctuations.covariance(NORM, X, column=1), r"column must be below 1, the number"),
        (lambda: fluctuations.covariance(NORM, X, column=-1), r"column must be an integer >= 0"),
        (lambda: fluctuations.expected_mae(PRODUCT, 1, 5), r"column must be below 0, the number"),
        (lambda: fluctuations.expected_mae(NORM, 0, 5), r"d must be an integer >= 1, got 0"),
        (lambda: fluctuations.expected_mae(NORM, 2, 0), r"m must be an integer >= 1, got 0"),
        (lambda: fluctuations.expected_mae(NORM, 2, 5, 1), r"column must be below 1, the number"),
        (
            lambda: fluctuations.expected_mae(Quadratic("A", [np.diag([1.0, 2, 3, 4])]), 4, 5),
            "group must have a form A with at most two eigenvalues other than a common one",
        ),
        (lambda: fluctuations.mae_spread(NORM, X, 2.5), r"m must be an integer >= 1, got 2.5"),
        (lambda: fluctuations.mae_spread(NORM, X, 2, 3), r"column must be below 1, the number"),
        (lambda: fluctuations.mae_spread(NORM, X[0], 2), r"x must have shape \(n, d\), got"),
        (lambda: fluctuations.sample_mae(NORM, X[0], 2, 2, 1), r"x must have shape \(n, d\), got"),
        (lambda: fluctuations.sample_mae(NORM, X, 0, 2, 1), r"m must be an integer >= 1, got 0"),
        (lambda: fluctuations.sample_mae(NORM, X, 2, 0, rng()), r"draws must be an integer >= 1"),
        (
            lambda: fluctuations.sample_mae(NORM, X, 2, 2, None),
            r"rng must be a numpy.random.Generator",
        ),
        (
            lambda: fluctuations.sample_mae(NORM, np.ma.masked_less(X, 2), 2, 2, 1),
            r"x must have no masked entries, got 6",
        ),
        (lambda: NORM.variance([np.nan]), r"x must be finite, got nan at index"),
        (lambda: SQUARE.variance(X, [2]), r"columns must be"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match="^" + message):
        call()
