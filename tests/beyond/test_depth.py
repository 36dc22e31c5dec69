"""Deeper networks: eigenvalues of the composed kernel, shares, weights and outputs."""

import re

import mpmath as mp
import numpy as np
import pytest

from helpers import NOT_COUNTS, relative, rng, with_peak
from reluspec_lib import depth, harmonics, network
from reluspec_lib.beyond import _composed

PRECISE = 40


def composed(t, layers):
    for _ in range(layers):
        t = min(t, mp.mpf(1))
        t = (mp.sqrt(1 - t * t) + (mp.pi - mp.acos(t)) * t) / mp.pi
    return t


def legendre(d, k, t):
    before, now = mp.mpf(1), t
    for j in range(1, k):
        before, now = now, ((2 * j + d - 2) * t * now - j * before) / (j + d - 2)
    return now if k else before


def integral(d, k, layers):
    """Return the eigenvalue from its definition, with more digits than cancellation takes."""
    with mp.workdps(PRECISE):
        width = min(mp.pi / 2, 30 / mp.sqrt(d))
        ends = mp.linspace(mp.pi / 2 - width, mp.pi / 2 + width, 6 + k // 6)

        def term(a):
            t = mp.cos(a)
            return composed(t, layers) * legendre(d, k, t) * mp.sin(a) ** (d - 2)

        mass = mp.sqrt(mp.pi) * mp.gamma(mp.mpf(d - 1) / 2) / mp.gamma(mp.mpf(d) / 2)
        return mp.mpf(d) / 2 * mp.quad(term, ends, method="gauss-legendre") / mass


# --- eigenvalues


@pytest.mark.parametrize(
    "d, k, layers",
    [
        *[(2, 0, 2), (2, 13, 3), (3, 1, 2), (3, 24, 2), (10, 2, 3)],
        *[(10, 17, 2), (60, 9, 2), (1000, 4, 2), (5, 2, 12)],
    ],
)
def test_eigenvalues_are_the_integrals_that_define_them(d, k, layers):
    assert relative(depth.eigenvalue(d, k, layers), integral(d, k, layers)) < 1e-13


def deep_integral(d, k, layers):
    """Return E[kappa^(layers)(u_1) P_k(u_1)], k = 1 or 2, on panels that halve towards angle 0.

    Away from angle 0 the kernel is 1 but for the square of 1/layers.
    """
    nodes, weights = np.polynomial.legendre.leggauss(40)
    edges = np.pi * np.concatenate([[0], 2.0 ** np.arange(-30, 1)])
    sizes = np.diff(edges)[:, None] / 2
    angle = (edges[:-1, None] + sizes * (nodes + 1)).ravel()
    weight = (sizes * weights).ravel() * np.sin(angle) ** (d - 2)
    t, deep = np.cos(angle), angle
    for _ in range(layers):
        away = 2 * np.sin(deep / 2) ** 2 - (np.sin(deep) - deep * np.cos(deep)) / np.pi
        deep = 2 * np.arcsin(np.sqrt(away / 2))
    polynomial = t if k == 1 else (3 * t**2 - 1) / 2
    return -(2 * np.sin(deep / 2) ** 2 * polynomial) @ weight / weight.sum()


@pytest.mark.parametrize("d, k", [(2, 1), (3, 2)])
def test_eigenvalues_at_a_hundred_layers(d, k):
    expected = d / 2 * deep_integral(d, k, 150)
    assert relative(depth.eigenvalue(d, k, 150), expected) < 1e-11


@pytest.mark.parametrize("d, k, factor", [(2, 1, 2), (3, 2, 1)])
@pytest.mark.parametrize("layers", [100, 700])
def test_coefficients_at_hundreds_of_layers(d, k, factor, layers):
    found = factor * _composed.coefficients(d, k, layers)
    assert found.shape == (k + 1,)
    assert relative(found[k], deep_integral(d, k, layers)) < 1e-11


@pytest.mark.parametrize("d", [2, 3, 10, 200])
def test_one_layer_is_the_network_of_the_paper(d):
    for k in (0, 1, 2, 3, 4, 20):
        assert depth.eigenvalue(d, k, 1) == harmonics.eigenvalue(d, k)
    # The general route agrees with the closed form as well.
    found = depth.shares(d, 1, 40)
    assert found[:3].sum() == pytest.approx(harmonics.share(d, 2), rel=1e-13)
    assert found.sum() == pytest.approx(harmonics.share(d, 40), rel=1e-13)
    assert not found[3::2].any()


@pytest.mark.parametrize("layers", [1, 2, 3, 7])
def test_on_the_line_two_points_are_left(layers):
    opposite = float(depth.kernel(-1.0, layers))
    expected = [(1 + opposite) / 2, (1 - opposite) / 2]
    np.testing.assert_allclose(depth.shares(1, layers, 3), [*expected, 0, 0], rtol=1e-14)
    assert depth.shares(1, layers, 0) == pytest.approx([(1 + opposite) / 2])


@pytest.mark.parametrize("d, layers", [(3, 2), (10, 3), (40, 2)])
def test_shares_are_multiplicities_times_eigenvalues(d, layers):
    found = depth.shares(d, layers, 12)
    expected = [
        2 / d * harmonics.dimension(d, k) * depth.eigenvalue(d, k, layers) for k in range(13)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_the_trace_is_half_the_dimension_at_every_depth(layers):
    # At d = 6 the trace left beyond degree k decays as k^-3.
    found = depth.shares(6, layers, 120)
    left = [1 - found[: k + 1].sum() for k in (60, 120)]
    assert 0 < left[1] < 3e-6
    assert left[0] / left[1] == pytest.approx(8, rel=0.25)


def test_shares_where_multiplicities_overflow():
    # The kernel at two independent inputs, where t = 0, and its slope there.
    found = depth.shares(10**9, 2, 300)
    assert found[0] == pytest.approx(float(depth.kernel(0.0, 2)), rel=1e-8)
    slope = 0.5 * (1 - np.arccos(1 / np.pi) / np.pi)
    assert found[1] == pytest.approx(slope, rel=1e-8)
    assert 0.99 < found[:40].sum() < 1


def test_there_is_a_share_for_every_degree_asked_for():
    assert [len(depth.shares(10, 2, *kmax)) for kmax in ((), (0,), (1,), (17,))] == [3, 1, 2, 18]


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_odd_degrees_against_even_ones(layers):
    c, t = 1.0, 0.0
    for _ in range(layers - 1):
        c *= 1 - np.arccos(t) / np.pi
        t = float(depth.kernel(t, 1))
    odd, even = depth.eigenvalue(3, 101, layers), depth.eigenvalue(3, 100, layers)
    later = depth.eigenvalue(3, 102, layers)
    ratio = odd / np.sqrt(even * later)
    assert ratio == pytest.approx((layers - c) / (layers + c), rel=1e-3)


def test_values_do_not_depend_on_what_else_was_asked_for():
    _composed.coefficients.cache_clear()
    first = depth.eigenvalue(5, 3, 2)
    depth.shares(5, 2, 100)
    assert depth.eigenvalue(5, 3, 2) == first
    assert depth.shares(5, 2, 100)[3] == pytest.approx(
        first * harmonics.dimension(5, 3) * 2 / 5, rel=1e-13
    )


def test_the_kernel_is_the_angle_formula():
    t = np.linspace(-1, 1, 9)
    with mp.workdps(30):
        expected = [float(composed(mp.mpf(float(point)), 3)) for point in t]
    np.testing.assert_allclose(depth.kernel(t, 3), expected, rtol=1e-14)
    assert depth.kernel(1.0, 50) == 1.0


# --- weights and outputs


def test_weights_have_the_shapes_and_the_variances_of_their_layers():
    W = depth.sample_weights(7, [400, 300, 500], rng())
    assert [w.shape for w in W] == [(7, 400), (400, 300), (300, 500)]
    for w, expected in zip(W, (2 / 400, 2 / 300, 1 / 500), strict=True):
        assert w.var() == pytest.approx(expected, rel=5 * np.sqrt(2 / w.size))
    assert np.array_equal(depth.sample_weights(7, [40], 3)[0], network.sample_weights(7, 40, 3))
    assert depth.sample_weights(2, [3, 4], 1, dtype=np.float32)[0].dtype == np.float32


def test_the_mean_kernel_over_draws_is_the_composed_one():
    x = rng(4).standard_normal((3, 5))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    draws = []
    for seed in range(400):
        X = depth.features(x, depth.sample_weights(5, [100, 150, 100], seed))
        draws.append(X @ X.T)
    expected = depth.kernel(np.clip(x @ x.T, -1, 1), 3) / 2
    error = np.std(draws, axis=0) / 20
    # Off the diagonal the mean has a bias of the order of 1/m.
    assert (np.abs(np.mean(draws, axis=0) - expected) < 4 * error + 0.003).all()


@pytest.mark.parametrize("widths", [[9], [20, 9], [4, 6, 8, 9]])
@pytest.mark.parametrize("n", [1, 5, 2050])
def test_outputs_are_those_of_the_layers_one_after_another(widths, n):
    W = depth.sample_weights(3, widths, rng(6))
    x, V = rng(7).standard_normal((n, 3)), rng(8).standard_normal((9, 2))
    h = x
    for w in W:
        h = np.maximum(h @ w, 0)
    np.testing.assert_allclose(depth.features(x, W), h, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(depth.forward(x, W, V), h @ V, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(depth.forward(x[0], W, V[:, 0]), h[0] @ V[:, 0], rtol=1e-10)
    single = depth.forward(x.astype(np.float32), [w.astype(np.float32) for w in W], V)
    assert single.dtype == np.float64


@pytest.mark.parametrize("single", [(True, True, True), (False, True, True), (True, False, True)])
def test_single_precision_is_kept_where_all_is_single(single):
    kinds = [np.float32 if one else np.float64 for one in single]
    W = depth.sample_weights(3, [4, 5], rng(6))
    x, *W = (a.astype(kind) for a, kind in zip([np.ones((2, 3)), *W], kinds, strict=True))
    found = depth.features(x, W)
    assert found.dtype == (np.float32 if all(single) else np.float64)
    expected = np.maximum(np.maximum(x @ W[0], 0) @ W[1], 0)
    np.testing.assert_array_equal(found, expected)


def test_one_layer_is_the_forward_pass_of_the_network():
    W, x = network.sample_weights(3, 50, 1), rng(9).standard_normal((4, 3))
    V = rng(10).standard_normal((50, 2))
    assert np.array_equal(depth.forward(x, [W], V), network.forward(x, W, V))


def test_a_last_layer_that_is_streamed_is_never_held():
    W = depth.sample_weights(4, [50, 40], rng(11))[:1]
    streamed = network.StreamedWeights(50, 200_000, 12)
    x = rng(13).standard_normal((10, 4))
    held = np.hstack(list(streamed.blocks()))
    expected = np.maximum(np.maximum(x @ W[0], 0) @ held, 0) @ np.ones(held.shape[1])
    found, peak = with_peak(
        lambda: depth.forward(x, [*W, streamed], lambda w: np.ones(w.shape[1]), workers=1)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert peak < 32 * 2**20 < held.nbytes


# --- refusals


@pytest.mark.parametrize("wrong", NOT_COUNTS)
def test_numbers_of_layers_and_sizes_are_counts(wrong):
    for call in (
        lambda: depth.kernel(0.0, wrong),
        lambda: depth.eigenvalue(3, 1, wrong),
        lambda: depth.shares(3, wrong),
    ):
        with pytest.raises(ValueError, match="layers must be an integer >= 1"):
            call()
    with pytest.raises(ValueError, match="widths"):
        depth.sample_weights(3, [4, wrong], 1)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: depth.eigenvalue(0, 1, 2), "d must be an integer >= 1, got 0"),
        (lambda: depth.eigenvalue(3, -1, 2), "k must be an integer >= 0, got -1"),
        (lambda: depth.eigenvalue(1, 2, 2), "k must be 0 or 1 at d = 1"),
        (lambda: depth.shares(3, 2, -1), "kmax must be an integer >= 0, got -1"),
        (lambda: depth.kernel(1.5, 2), r"t must lie in \[-1, 1\], got 1.5"),
        (lambda: depth.sample_weights(3, [], 1), "widths must be a sequence with a width"),
        (lambda: depth.sample_weights(3, 5, 1), "widths must be a sequence with a width"),
        (lambda: depth.features([1.0], []), "W must hold the weights of at least one layer"),
        (lambda: depth.features([1.0], [[[1.0]], [1.0]]), r"got shapes \[\(1, 1\), \(1,\)\]"),
        (lambda: depth.features([1.0], [[[1.0]], [[1.0], [2.0]]]), "each for the layer before"),
        (lambda: depth.features([1.0, 2.0], [[[1.0]]]), "x must have as many coordinates"),
        (
            lambda: depth.features([1.0], [network.StreamedWeights(1, 2, 1)]),
            "W must end with an array",
        ),
        (
            lambda: depth.features([1.0], [network.StreamedWeights(1, 2, 1), np.ones((2, 1))]),
            "streamed in the last only",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: depth.eigenvalue(1, 2, 2),
            "k must be 0 or 1 at d = 1, where the sphere is two points, got 2",
        ),
        (lambda: depth.shares(0, 2), "d must be an integer >= 1, got 0"),
        (lambda: depth.sample_weights(0, [1], 1), "d must be an integer >= 1, got 0"),
        (lambda: depth.sample_weights(3, [2, 0], 1), "widths must be an integer >= 1, got 0"),
        (
            lambda: depth.sample_weights(3, 5, 1),
            "widths must be a sequence with a width for each layer, got 5",
        ),
        (
            lambda: depth.sample_weights(3, [5], 1, dtype=np.int64),
            "dtype must be float32 or float64, got <class 'numpy.int64'>",
        ),
        (
            lambda: depth.features([1.0], []),
            "W must hold the weights of at least one layer, streamed in the last only",
        ),
        (
            lambda: depth.features([1.0], [network.StreamedWeights(1, 2, 1)]),
            "W must end with an array; streamed weights are for forward alone",
        ),
        (
            lambda: depth.features([1.0], [[[1.0]], [[1.0], [2.0]]]),
            "W must hold matrices, each for the layer before, got shapes [(1, 1), (2, 1)]",
        ),
        (
            lambda: depth.features([1.0], [[[np.inf]], [[1.0]]]),
            "W must be finite, got inf at index (0, 0)",
        ),
        (
            lambda: depth.features([1.0], [[[1.0]], [[np.inf]]]),
            "W must be finite, got inf at index (0, 0)",
        ),
        (
            lambda: depth.forward([1.0], [[[1.0]]], [1.0], workers=0),
            "workers must be an integer >= 1, got 0",
        ),
    ],
)
def test_messages_in_full(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
