"""Any activation: coefficients, eigenvalues, limits and second moments from independent routes."""

import itertools
import math
import re

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate, special, stats

from helpers import rng
from reluspec_lib import activations, fisher, groups, harmonics
from reluspec_lib.beyond import _radial

CLIP = activations.Activation(lambda t: np.clip(t, -1, 1), kinks=(-1, 1), name="clip")
ELU = activations.Activation(lambda t: np.where(t > 0, t, np.expm1(np.minimum(t, 0))), name="elu")
ZERO = activations.Activation(np.zeros_like)


def jump(place, kind=float):
    """3 beyond a place, else 0."""
    return activations.Activation(lambda t: (3 * (t > place)).astype(kind), kinks=(place,))


def in_plane(function, a, b, rho):
    """The second moment by the trapezoidal rule on a fine grid, for smooth functions."""
    z = np.linspace(-9, 9, 721)
    w = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    other = function(b * (rho * z[:, None] + math.sqrt(1 - rho**2) * z))
    return float((function(a * z) * w) @ other @ w)


# --- coefficients and eigenvalues


@pytest.mark.parametrize("d, k", [(1, 0), (1, 1), (2, 4), (3, 0), (3, 1), (3, 3), (10, 2), (50, 6)])
def test_the_relu_has_the_coefficients_and_eigenvalues_of_the_core(d, k):
    relu = harmonics.relu_coefficient(d, k)
    assert activations.coefficient("relu", d, k) == pytest.approx(relu, rel=1e-12)
    assert activations.eigenvalue("relu", d, k) == pytest.approx(
        harmonics.eigenvalue(d, k), rel=1e-12
    )
    assert activations.eigenvalue("relu", d, k, rung=1) == 0


@pytest.mark.parametrize("slope", [-1.0, 0.25])
def test_the_parts_of_a_leaky_relu_have_a_factor_each(slope):
    for k in range(4):
        factor = 1 + slope if k % 2 else 1 - slope
        found = activations.coefficient(activations.leaky(slope), 4, k)
        assert found == pytest.approx(factor * harmonics.relu_coefficient(4, k), rel=1e-12)


@pytest.mark.parametrize("power", [0, 0.5, 1, 2, 3])
@pytest.mark.parametrize("d, k", [(2, 3), (3, 0), (3, 4), (7, 1), (7, 5)])
def test_coefficients_of_relu_powers_are_integrals(power, d, k):
    density = math.gamma(d / 2) / (math.sqrt(math.pi) * math.gamma((d - 1) / 2))
    expected, _ = integrate.quad(
        lambda a: (
            math.sin(a) ** power * math.cos(a) ** (d - 2) * harmonics.zonal(d, k, math.sin(a))
        ),
        0,
        math.pi / 2,
        epsabs=1e-14,
    )
    found = activations.coefficient(activations.relu_power(power), d, k, [1.0, 4.0])
    np.testing.assert_allclose(found, density * expected * np.array([1, 4.0**power]), atol=1e-12)


@pytest.mark.parametrize("activation", ["gelu", "tanh", "softplus", CLIP, ELU])
@pytest.mark.parametrize("d, k, s", [(3, 0, 0.3), (3, 1, 5.0), (10, 2, 20.0), (2, 3, 2.0)])
def test_coefficients_of_others_are_integrals(activation, d, k, s):
    act = activations.named(activation)
    density = math.gamma(d / 2) / (math.sqrt(math.pi) * math.gamma((d - 1) / 2))
    turns = [math.asin(c / s) for c in (-1, 1) if abs(c) < s]
    expected, _ = integrate.quad(
        lambda a: (
            float(act(s * math.sin(a)))
            * math.cos(a) ** (d - 2)
            * float(harmonics.zonal(d, k, math.sin(a)))
        ),
        -math.pi / 2,
        math.pi / 2,
        points=[0, *turns],
        epsabs=1e-13,
        limit=200,
    )
    assert activations.coefficient(act, d, k, s) == pytest.approx(density * expected, abs=1e-11)


def test_coefficients_without_length_and_far_out():
    bent = activations.Activation(lambda t: np.abs(t - 1), kinks=(1,))
    # E|s u - 1|, u uniform on [-1, 1]: (s + 1/s)/2 from s = 1 on.
    found = activations.coefficient(bent, 3, 0, [[0.0, 0.5], [1.0, 2.0]])
    np.testing.assert_allclose(found, [[1, 1], [1, 1.25]], rtol=1e-14)
    # What overflows on its way to a finite value gives no warning.
    logistic = activations.Activation(lambda t: 1 / (1 + np.exp(-t)))
    found = activations.coefficient(logistic, 3, 1, 1e4)
    assert found == pytest.approx(0.25 - math.pi**2 / 12e8, rel=1e-14)


@pytest.mark.parametrize("d, scale", [(1, 1.0), (3, 1.0), (10, 0.5), (4, 2.0)])
def test_the_ladders_of_cosine_and_sine_are_geometric(d, scale):
    # Mehler: the Fourier kernel has Gaussian times Hermite eigenfunctions.
    beta = (math.sqrt(1 + 4 * scale**2) - 1) / 2
    for k in range(2 if d == 1 else 4):
        found = activations.ladder("sin" if k % 2 else "cos", d, k, 3, scale=scale)
        order = k + 2 * np.arange(3)
        expected = (1 + beta) ** -d * (beta / (1 + beta)) ** order
        np.testing.assert_allclose(found.eigenvalues, expected, rtol=1e-10)
        assert found.error < 1e-12
        other = activations.ladder("cos" if k % 2 else "sin", d, k, 3, scale=scale)
        np.testing.assert_array_equal(other.eigenvalues, 0)


def test_the_numbers_of_rungs():
    # Those of the sine at d = 1, as above.
    beta = (math.sqrt(5) - 1) / 2
    expected = (beta / (1 + beta)) ** (1 + 2 * np.arange(12)) / (1 + beta)
    found = activations.ladder("sin", 1, 1, 12)
    np.testing.assert_allclose(found.eigenvalues, expected, rtol=1e-9)
    assert len(activations.ladder("sin", 1, 1).eigenvalues) == 4
    for rung in (0, 4, 11):
        value = activations.eigenvalue("sin", 1, 1, rung)
        assert value == pytest.approx(expected[rung], rel=1e-9)


@pytest.mark.parametrize("name, k", [("gelu", 1), ("silu", 1), ("sin", 3)])
def test_the_error_of_a_ladder_is_at_least_rounding(name, k):
    # Also where two rules agree to all digits.
    found = activations.ladder(name, 10, k, 2)
    assert found.error > 1e-15 * math.sqrt(activations.second_moment(name, 10))


@pytest.mark.parametrize(
    "activation, d",
    [*[(name, 1) for name in ("gelu", "silu", "tanh", "erf", "softplus", ELU)], ("silu", 2)],
)
def test_the_eigenvalues_add_up_to_the_second_moment(activation, d):
    total = sum(
        harmonics.dimension(d, k) * activations.ladder(activation, d, k, 8).eigenvalues.sum()
        for k in range(2 if d == 1 else 24)
    )
    assert total == pytest.approx(activations.second_moment(activation, d), rel=2e-5)


def test_the_second_moment_is_a_mean_over_lengths():
    z = np.linspace(-12, 12, 801)
    w = np.exp(-(z**2) / 2) * (z[1] - z[0]) / math.sqrt(2 * math.pi)
    r = np.linspace(0, 12, 401)
    chi = r**2 * np.exp(-(r**2) / 2) * (r[1] - r[0]) * math.sqrt(2 / math.pi)
    expected = chi @ (np.tanh(0.7 * np.outer(r, z)) ** 2 @ w)
    assert activations.second_moment("tanh", 3, scale=0.7) == pytest.approx(expected, rel=1e-6)
    assert activations.second_moment(activations.leaky(0.5), 4) == pytest.approx(4 * 0.625)


def test_second_moments_in_two_dimensions_are_means_of_the_law_of_laplace():
    # There g.x has the density exp(-|t|)/2.
    for scale in (0.25, 2.0):
        for kind in (float, np.int8):
            found = activations.second_moment(jump(1.0, kind), 2, scale=scale)
            assert found == pytest.approx(4.5 * math.exp(-1 / scale), rel=1e-13)
    one = activations.Activation(np.ones_like)
    assert activations.second_moment(one, 2) == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("d", [2, 3, 10])
def test_second_moments_of_exponentials_are_those_of_the_characteristic_function(d):
    # E exp(tT) = (1 - t^2)^(-d/2) for T = g.x.
    growing = activations.Activation(lambda t: np.exp(0.2 * t))
    assert activations.second_moment(growing, d) == pytest.approx(0.84 ** (-d / 2), rel=1e-13)
    found = activations.second_moment("cos", d, scale=6.0)
    assert found == pytest.approx((1 + 145 ** (-d / 2)) / 2, rel=1e-13)


@pytest.mark.parametrize("activation", ["gelu", "silu", "softplus"])
@pytest.mark.parametrize("d, scale", [(1, 1.0), (5, 0.4)])
def test_an_odd_part_of_one_half_t_has_one_eigenvalue(activation, d, scale):
    found = activations.ladder(activation, d, 1, 3, scale=scale).eigenvalues
    np.testing.assert_allclose(found, [scale**2 / 4, 0, 0], rtol=1e-12, atol=1e-25)
    if d > 1:
        assert activations.eigenvalue(activation, d, 3, scale=scale) == 0


@pytest.mark.parametrize("power, fourth", [(1, 3.0), (2, 15.0)])
def test_the_ladder_of_a_homogeneous_activation_has_one_rung(power, fourth):
    act = activations.relu_power(power)
    found = activations.ladder(act, 3, 1, 3, scale=0.5)
    # E t^(2 power) of the length t in three dimensions.
    value = activations.coefficient(act, 3, 1) * 0.5**power * fourth
    np.testing.assert_allclose(found.radial, [value, 0, 0], rtol=1e-12)
    np.testing.assert_allclose(found.eigenvalues, [value**2, 0, 0], rtol=1e-12)
    assert 0 < found.error < 1e-13
    r = np.array([[0.5, 1.0], [2.0, 4.0]])
    expected = np.zeros((3, 2, 2))
    expected[0] = r**power / math.sqrt(fourth)
    np.testing.assert_allclose(found.functions(r), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    "order, t",
    [(3.5, 2.0), (30.0, 1e-10), (200.0, 1e-3), (400.0, 40.0), (400.0, 100.0), (600.0, 120.0)],
)
def test_bessel_functions_that_overflow_by_their_logarithm(order, t):
    with mp.workdps(30):
        expected = float(mp.log(mp.besselk(order, t)))
    found = _radial._log_bessel(order, np.array([t]))[0]
    # Debye's expansion leaves out the fourth power of 1/order.
    assert abs(found - expected) < 1e-3 / order**4 + 1e-15 * abs(expected)


def test_a_large_scale_makes_a_gelu_a_relu():
    found = activations.eigenvalue("gelu", 3, 2, scale=300.0) / 300**2
    assert found == pytest.approx(harmonics.eigenvalue(3, 2), rel=1e-3)


def test_ladders_are_eigenpairs_on_a_fine_grid():
    d, k = 3, 1
    r = np.linspace(0.02, 7, 175)
    chi = r ** (d - 1) * np.exp(-(r**2) / 2)
    chi /= chi.sum()
    kernel = activations.coefficient("erf", d, k, np.outer(r, r))
    found = activations.ladder("erf", d, k, 2)
    functions = found.functions(r)
    np.testing.assert_allclose((functions * chi) @ functions.T, np.eye(2), atol=2e-3)
    image = kernel @ (chi * functions).T
    np.testing.assert_allclose(image[:, 0], found.radial[0] * functions[0], atol=3e-3)


@pytest.mark.parametrize(
    "activation, k, expected",
    [("step", 1, 0.0625), ("relu", 1, 0.25), ("relu", 0, 3 * 3 * 0.25**2), ("gelu", 1, 0.25)],
)
def test_eigenvalues_on_the_sphere(activation, k, expected):
    assert activations.on_sphere(activation, 3, k) == pytest.approx(expected, rel=1e-12)


def test_eigenvalues_on_the_sphere_are_means_over_lengths():
    t = np.linspace(0, 10, 4001)
    chi = t**2 * np.exp(-(t**2) / 2)
    squares = activations.coefficient("tanh", 3, 1, 2.0 * t) ** 2
    found = activations.on_sphere("tanh", 3, 1, radius=4.0, scale=0.5)
    assert found == pytest.approx(squares @ chi / chi.sum(), rel=1e-8)


@pytest.mark.parametrize("d", [60, 100, 10_000])
def test_large_dimensions(d):
    # E cos(c g.x)^2 by the characteristic function of g.x.
    scale = 1 / math.sqrt(d)
    expected = (1 + (1 + 4 * scale**2) ** (-d / 2)) / 2
    assert activations.second_moment("cos", d, scale=scale) == pytest.approx(expected, rel=1e-9)
    assert activations.eigenvalue("gelu", d, 1) == pytest.approx(0.25, rel=1e-10)


def test_the_function_zero_has_only_zeros():
    assert activations.eigenvalue(ZERO, 3, 0) == 0
    assert activations.second_moment(ZERO, 3) == 0
    assert activations.on_sphere(ZERO, 3, 0) == 0
    assert activations.radial(ZERO, 3, 1, [1.0, 2.0]).tolist() == [0, 0]


# --- limits


@pytest.mark.parametrize("group", groups.ALL)
def test_the_limits_of_the_relu_are_those_of_the_groups(group):
    x = np.vstack([rng().normal(size=(4, 5)), np.zeros(5)])
    np.testing.assert_allclose(activations.limit("relu", group, x), group.limit(x), atol=1e-13)
    np.testing.assert_allclose(activations.limit("relu", group, x[0], [0]), group.limit(x[0], [0]))


@pytest.mark.parametrize("name", ["relu", "softplus"])
def test_numbers_give_floats_and_arrays_arrays(name):
    for function in (activations.coefficient, activations.radial):
        assert type(function(name, 3, 1, 2.0)) is float
        assert function(name, 3, 1, [[2.0, 1.0]]).shape == (1, 2)


def test_radial_parts_of_any_scale_and_power():
    # E[t^a t c r/4] for the odd part c r t/2 of both, of which b_1 is a third.
    for name in ("relu", "softplus"):
        for scale, power in ((0.5, 20.0), (3.0, 1.0)):
            found = activations.radial(name, 3, 1, 2.0, power=power, scale=scale)
            moment = 2 ** ((power + 1) / 2) * math.gamma((power + 4) / 2) / math.gamma(1.5)
            assert found == pytest.approx(scale * moment / 3, rel=1e-12)
    # Rules are compared until they agree, whatever the size of the activation.
    small = activations.Activation(lambda t: 1e-6 * np.tanh(t))
    found = activations.radial(small, 3, 1, 20.0) / 1e-6
    assert found == pytest.approx(activations.radial("tanh", 3, 1, 20.0), rel=1e-12)


@pytest.mark.parametrize("size", [0.0, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("group", groups.ALL)
def test_limits_are_radial_parts_times_those_of_directions(group, size):
    # Without length there is no direction: only a function of the length alone is not 0 there.
    direction = np.array([0.6, -0.8, 0.0])
    part = activations.radial("gelu", 3, group.degree, size) / (
        activations.radial("relu", 3, group.degree, 1.0)
    )
    expected = part * group.limit(direction)
    found = activations.limit("gelu", group, size * direction)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("d", [1, 2])
def test_the_limit_of_the_norm_where_there_is_no_length(d):
    part = activations.radial("softplus", d, 0, 0.0) / activations.radial("relu", d, 0, 1.0)
    found = activations.limit("softplus", groups.NORM, np.zeros(d))
    np.testing.assert_allclose(found, part * groups.NORM.limit(np.eye(d)[0]), rtol=1e-13)


@pytest.mark.parametrize("activation", ["gelu", "tanh", "step", "softplus", CLIP])
@pytest.mark.parametrize("group", groups.ALL)
def test_limits_are_those_of_wide_networks(activation, group):
    act, scale = activations.named(activation), 0.6
    x = np.array([0.5, -1.2, 2.0])
    G = rng(7).normal(size=(3, 400_000))
    terms = act(scale * (x @ G)) * group.eigenvectors(G, [0])[:, 0]
    error = terms.std() / math.sqrt(len(terms))
    found = activations.limit(act, group, x, [0], scale=scale)
    assert abs(found[0] - terms.mean()) <= 4.5 * error


@pytest.mark.parametrize("power", [0.0, 2.0])
def test_the_radial_part_for_other_powers(power):
    G = rng(3).normal(size=(4, 400_000))
    t = np.linalg.norm(G, axis=0)
    terms = t**power * np.tanh(2.0 * G[0]) * G[0] / t
    found = activations.radial("tanh", 4, 1, 2.0, power=power)
    assert abs(found - terms.mean()) <= 4.5 * terms.std() / math.sqrt(len(t))
    exact = activations.radial("step", 4, 1, [1.0, 3.0], power=power)
    np.testing.assert_allclose(exact[0], exact[1], rtol=1e-14)


# --- second moments


@pytest.mark.parametrize("activation", ["gelu", "erf", "cos", "sin", "tanh", "silu", "softplus"])
@pytest.mark.parametrize("a, b, rho", [(1.0, 2.0, 0.3), (0.7, 1.5, -0.95), (0.4, 0.4, 0.0)])
def test_second_moments_of_smooth_activations(activation, a, b, rho):
    act = activations.named(activation)
    expected = in_plane(act, a, b, rho)
    assert float(activations.kernel(act, a, b, rho)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


SHIFTED = activations.Activation(lambda t: np.maximum(t - 1, 0), kinks=(1,), name="shifted")


@pytest.mark.parametrize("d", [1, 2, 3, 10, 200])
def test_means_over_lengths_with_kinks_are_those_of_stein(d):
    r = np.array([0.0, 0.1, 1.5, 1.5, 30.0])
    with np.errstate(divide="ignore"):
        turn = 1 / r
    # E[z s(r z)] = r E s'(r z), and E[(z^2 - 1) s(r z)] = r^2 E s''(r z).
    first = r * special.erf(turn / math.sqrt(2))
    np.testing.assert_allclose(activations.radial(CLIP, d, 1, r), first, rtol=1e-12)
    if d > 1:
        second = r * stats.norm.pdf(turn)
        found = activations.radial(SHIFTED, d, 2, r, power=2.0)
        np.testing.assert_allclose(found, second, rtol=1e-9, atol=1e-13)


def test_on_a_sphere_with_kinks():
    def square(t):
        s = math.sqrt(3) * t
        return (
            (s / 3 if s < 1 else 0.5 - 1 / (6 * s * s)) ** 2
            * t
            * t
            * math.exp(-t * t / 2)
            * math.sqrt(2 / math.pi)
        )

    ends = [0, 1 / math.sqrt(3), 4, 12]
    expected = sum(integrate.quad(square, *piece)[0] for piece in itertools.pairwise(ends))
    assert activations.on_sphere(CLIP, 3, 1) == pytest.approx(expected, rel=1e-10)


def test_on_a_sphere_with_a_jump_and_with_a_far_kink():
    # At d = 1 the mean over the two points has a jump itself, where the length t reaches 1/2.
    found = activations.on_sphere(jump(1.0), 1, 0, radius=2.0)
    assert found == pytest.approx(1.5**2 * 2 * stats.norm.sf(0.5), rel=1e-12)
    # sinh(s)/s is the mean of cosh(s u); at its kink and beyond cosh is more than a float can be.
    cosh = activations.Activation(np.cosh, kinks=(1e3,))
    found = activations.on_sphere(cosh, 3, 0, scale=0.1)
    assert found == pytest.approx(math.expm1(0.06) / 0.06, rel=1e-13)


def test_means_over_lengths_with_jumps():
    r = np.array([[0.5, 1.5], [1.5, 30.0]])
    for d in (1, 3):
        found = activations.radial(jump(1.0), d, 1, r)
        np.testing.assert_allclose(found, 3 * stats.norm.pdf(1 / r), rtol=1e-13)

    # E t 1(z > -h) in the plane, less what is missing from E t at each angle.
    def missing(angle, h):
        q = h / math.cos(angle)
        return q * math.exp(-q * q / 2) + math.sqrt(math.pi / 2) * math.erfc(q / math.sqrt(2))

    expected = [
        math.sqrt(math.pi / 2)
        - integrate.quad(missing, -math.pi / 2, math.pi / 2, args=(1 / one,), epsabs=1e-14)[0]
        / (2 * math.pi)
        for one in (0.5, 30.0)
    ]
    found = activations.radial(jump(-1.0), 2, 0, [0.5, 30.0])
    np.testing.assert_allclose(found, 3 * np.array(expected), rtol=1e-12)


@pytest.mark.parametrize("name", ["relu", "gelu"])
@pytest.mark.parametrize("function", [activations.ladder, activations.on_sphere])
def test_scales_that_overflow_are_refused(name, function):
    with refused("scale must leave E sigma"):
        function(name, 3, 0, scale=1e200)
    assert activations.eigenvalue(name, 3, 0, scale=1e100) == pytest.approx(0.5625e200)


@pytest.mark.parametrize("rho", [0.3, -0.97, 0.9999, 1.0])
def test_second_moments_with_kinks(rho):
    # Given X, the mean of the clipped Y is an integral of the normal distribution function.
    def given(z):
        mean, width = 1.3 * rho * z, 1.3 * math.sqrt(1 - rho**2)
        if not width:
            return np.clip(mean, -1, 1)
        low, high = (-1 - mean) / width, (1 - mean) / width
        inside = mean * (special.ndtr(high) - special.ndtr(low))
        bell = (np.exp(-(low**2) / 2) - np.exp(-(high**2) / 2)) / math.sqrt(2 * math.pi)
        return inside + width * bell - special.ndtr(low) + special.ndtr(-high)

    z = np.linspace(-9, 9, 200_001)
    w = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    expected = (np.clip(0.8 * z, -1, 1) * w) @ given(z)
    assert float(activations.kernel(CLIP, 0.8, 1.3, rho)) == pytest.approx(expected, abs=1e-8)


# --- the Fisher information


ALL = ["relu", "step", "absolute", "gelu", "erf", "cos", "tanh", "softplus", CLIP]


@pytest.mark.parametrize("activation", [*ALL, activations.leaky(0.2), activations.relu_power(2)])
def test_the_matrix_has_the_second_moments_as_entries(activation):
    act = activations.named(activation)
    W = rng(5).normal(size=(4, 9))
    J = fisher.matrix(W, activation=act)
    np.testing.assert_array_equal(J, J.T)
    lengths = np.linalg.norm(W, axis=0)
    cosines = (W / lengths).T @ (W / lengths)
    i, j = np.triu_indices(9, 1)
    expected = activations.kernel(act, lengths[i], lengths[j], cosines[i, j])
    np.testing.assert_allclose(J[i, j], expected, rtol=1e-8, atol=1e-10)
    z = np.linspace(-10, 10, 100_001)
    w = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    diagonal = [act(a * z) ** 2 @ w for a in lengths]
    np.testing.assert_allclose(np.diag(J), diagonal, rtol=1e-4)
    assert np.linalg.eigvalsh(J)[0] > -1e-9


@pytest.mark.parametrize("activation", ["gelu", "silu", "softplus", "relu"])
def test_the_odd_part_is_a_quarter_of_the_gram_matrix(activation):
    half = rng(9).normal(size=(3, 20))
    W = np.hstack([half, -half])
    J = fisher.matrix(W, activation=activations.named(activation))
    odd = (J[:20, :20] - J[:20, 20:]) / 2
    np.testing.assert_allclose(odd, half.T @ half / 4, atol=1e-8)


@pytest.mark.parametrize("activation", ["step", "erf", "gelu", "tanh", CLIP])
def test_equal_opposite_and_missing_columns(activation):
    act = activations.named(activation)
    w = np.array([1.2, -0.7])
    J = fisher.matrix(np.column_stack([w, w, -w, 0 * w]), activation=act)
    z = np.linspace(-10, 10, 200_000)
    weight = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    t = np.linalg.norm(w) * z
    values = np.array([act(t), act(t), act(-t), act(0 * t)])
    np.testing.assert_allclose(J, (values * weight) @ values.T, atol=1e-7)


# --- what is refused


@pytest.mark.parametrize("rate, passes", [(0.2, True), (0.3, False)])
def test_the_fourth_moment_must_be_finite(rate, passes):
    # g.x falls like exp(-|t|): the fourth moment of exp(rate t) is finite for rates below 1/4.
    act = activations.Activation(lambda t: np.exp(rate * t))
    if passes:
        assert activations.eigenvalue(act, 2, 0) > 1
    else:
        with pytest.raises(ValueError, match="finite fourth moment"):
            activations.eigenvalue(act, 2, 0)


@pytest.mark.parametrize(
    "function, share",
    [
        # Its fourth moment is spread evenly over the positive half of the range.
        (lambda t: np.exp(t / 4), 1 / (_radial._GROWTH_PIECES * (1 + 0.5 / _radial._FARTHEST))),
        (lambda t: np.where(t > 5, np.nan, t), 1.0),
    ],
)
def test_the_share_at_the_ends_of_the_range(function, share):
    message = (
        "activation must have a finite fourth moment E s(g.x)^4, g and x standard Gaussian in R^2, "
        f"with the pre-activation times 1; got a share of {share:.2g} of it at the ends of the "
        "range"
    )
    with refused(f"^{re.escape(message)}$"):
        activations.eigenvalue(activations.Activation(function), 2, 0)


def refused(message):
    return pytest.raises(ValueError, match=message)


def test_wrong_arguments_are_named():
    with refused("activation must be one of relu, step"):
        activations.eigenvalue("mish", 3, 0)
    with refused("function must be callable"):
        activations.Activation(3)
    with refused("kinks must be a sequence"):
        activations.Activation(np.tanh, kinks=2)
    with refused("name must be"):
        activations.Activation(np.tanh, name="")
    with refused("power must be from 0 to 20"):
        activations.relu_power(-1)
    with refused("slope must be a finite"):
        activations.leaky(math.nan)
    with refused("k must be 0 or 1 at d = 1"):
        activations.eigenvalue("gelu", 1, 2)
    with refused("rung must be an integer >= 0"):
        activations.eigenvalue("gelu", 3, 0, -1)
    with refused(r"rungs must be an integer in 1 \.\.\. 12"):
        activations.ladder("gelu", 3, 0, 13)
    with refused("power must be from 0 to 20"):
        activations.radial("gelu", 3, 0, 1.0, power=600)
    with refused("scale must be a positive"):
        activations.ladder("gelu", 3, 0, scale=0)
    with refused("s must be >= 0"):
        activations.coefficient("gelu", 3, 0, [-1.0])
    with refused("radius must be a positive"):
        activations.on_sphere("gelu", 3, 0, radius=-1)
    with refused("group must be a group of one degree"):
        activations.limit("gelu", "norm", [1.0, 2.0])
    with refused("rho must lie"):
        activations.kernel("gelu", 1, 1, 1.5)
    with refused("activation must be one of reluspec_lib.activations"):
        fisher.matrix(np.eye(2), activation=np.tanh)
    with refused("even and odd must not both be 0"):
        activations.Homogeneous(0, 0, 1, "zero")


MESSAGES = [
    (lambda: activations.ladder("gelu", 3, 0, 0), "rungs must be an integer >= 1, got 0"),
    (
        lambda: activations.ladder("gelu", 3, 0, 13),
        "rungs must be an integer in 1 ... 12, got 13",
    ),
    (lambda: activations.eigenvalue("gelu", 3, 0, -1), "rung must be an integer >= 0, got -1"),
    (
        lambda: activations.on_sphere("gelu", 3, 0, radius=0),
        "radius must be a positive number, got 0",
    ),
    (
        lambda: activations.on_sphere("gelu", 3, 0, scale=0),
        "scale must be a positive number, got 0",
    ),
    (
        lambda: activations.ladder("gelu", 3, 0, scale=1e200),
        "scale must leave E sigma(scale g.x)^2 a float, got 1e+200",
    ),
    (lambda: activations.coefficient("gelu", 3, 0, [1, -2.0]), "s must be >= 0, got -2.0"),
    (lambda: activations.radial("gelu", 3, 0, [1, -2.0]), "r must be >= 0, got -2.0"),
    (lambda: activations.ladder("gelu", 3, 0).functions(-2.0), "r must be >= 0, got -2.0"),
    (lambda: activations.kernel("gelu", -2.0, 1, 1), "a must be >= 0, got -2.0"),
    (lambda: activations.kernel("gelu", 1, -2.0, 1), "b must be >= 0, got -2.0"),
    (lambda: activations.kernel("gelu", "a", 1, 1), "a must be an array of real numbers, got 'a'"),
    (lambda: activations.kernel("gelu", 1, 1, 1.5), "rho must lie in [-1, 1], got 1.5"),
    (
        lambda: activations.radial("gelu", 3, 0, 1, power=-1),
        "power must be a finite number >= 0, got -1",
    ),
    (
        lambda: activations.radial("gelu", 3, 0, 1, power=20.5),
        "power must be from 0 to 20, got 20.5",
    ),
    (
        lambda: activations.limit("gelu", "norm", [1, 2]),
        "group must be a group of one degree, got 'norm'",
    ),
    (
        lambda: activations.coefficient(activations.Activation(lambda t: t[..., :1]), 1, 1),
        "activation must return finite real numbers in the shape of its argument (1, 2), got shape "
        "(1, 1)",
    ),
    (
        lambda: activations.coefficient(activations.Activation(lambda t: t / 0), 1, 1),
        "activation must return finite real numbers in the shape of its argument (1, 2), got "
        "entries that are not finite",
    ),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("call, message", MESSAGES)
def test_messages_in_full(call, message):
    with refused(f"^{re.escape(message)}$"):
        call()


# What is measured stands for #.
MEASURED = r"[0-9.]+(e[-+][0-9]+)?"
JUMP = activations.Activation(lambda t: np.sign(t - 0.3))


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: fisher.matrix(np.eye(2), activation=JUMP),
            "activation must be smooth between its kinks, named so far: none, and grow so slowly "
            "that its second moment is finite; at length 1 two quadratures differ by #, and a "
            "share of # lies at the ends",
        ),
        (
            lambda: activations.kernel(
                activations.Activation(JUMP.function, kinks=(1, -2.5)), 1, 2, 0
            ),
            "activation must be smooth between its kinks, named so far: -2.5, 1, and grow so "
            "slowly that its second moment is finite; at length 2 two quadratures differ by #, and "
            "a share of # lies at the ends",
        ),
        (
            lambda: activations.ladder(JUMP, 3, 0),
            "activation must be smooth between its kinks (); two rules for the radial operator of "
            "degree 0 differ by #",
        ),
        (
            lambda: activations.radial(JUMP, 3, 1, 2.0),
            "activation must be smooth between its kinks, and turn slowly at the lengths given; "
            "two rules for the mean over the lengths of weights differ by #",
        ),
        (
            lambda: activations.ladder(activations.Activation(lambda t: np.exp(0.3 * t)), 2, 0),
            "activation must have a finite fourth moment E s(g.x)^4, g and x standard Gaussian in "
            "R^2, with the pre-activation times 1; got a share of # of it at the ends of the range",
        ),
        (
            lambda: activations.kernel(
                activations.Activation(lambda t: np.tanh(t).ravel()), 1, 1, 0
            ),
            "activation must return finite real numbers in the shape of its argument (1, #), got "
            "shape (#,) or entries that are not finite",
        ),
    ],
)
def test_messages_with_what_was_measured(call, message):
    with refused(f"^{re.escape(message).replace(re.escape('#'), MEASURED)}$"):
        call()


@pytest.mark.parametrize("function", [lambda t: t[..., :1], lambda t: t * np.nan, lambda t: t + 1j])
def test_wrong_values_are_named(function):
    act = activations.Activation(function)
    with refused("activation must"):
        activations.coefficient(act, 3, 1)
    with refused("activation must"):
        fisher.matrix(np.eye(2), activation=act)


def test_kinks_that_are_not_named_are_found():
    jump = activations.Activation(lambda t: np.sign(t - 0.3))
    for found in (
        lambda: fisher.matrix(np.eye(2), activation=jump),
        lambda: activations.ladder(jump, 3, 0),
        lambda: activations.on_sphere(jump, 3, 0),
        lambda: activations.radial(jump, 3, 1, 2.0),
    ):
        with refused("smooth between its kinks"):
            found()


def test_a_turn_that_the_rules_for_lengths_miss_is_refused():
    # E tanh(1000 Z)^2 is 1 - 0.0008, which no Gauss rule of the half-normal law sees.
    with refused("turn slowly"):
        activations.on_sphere("tanh", 1, 1, scale=1000.0)
