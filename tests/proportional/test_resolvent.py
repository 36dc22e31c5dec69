"""Nonlinear random matrices: row constants, transforms, densities, edges, atoms, outliers."""

import copy
import itertools
import math
import pickle
from functools import cache

import mpmath as mp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from reluspec_lib import simulated_spectra
from reluspec_lib.proportional import _arguments, _quartic
from reluspec_lib.proportional.resolvent import ConvergenceError, RandomFeatures, relu

# Aspect ratios over the range that the issue of the proportional regime asks for.
RATIO = st.floats(math.log(0.05), math.log(20)).map(math.exp)
# Shares of zeta in eta, with both special cases and what is next to them.
SHARE = st.sampled_from([0.0, 1e-9, 1e-4, 1 - 1e-4, 1 - 1e-9, 1.0]) | st.floats(0.01, 0.99)

# The tests that take the longest do with a fourth of the examples that the profile asks for.
FEWER = settings(max_examples=settings.default.max_examples // 4)
# The ReLU in closed form and by quadrature.
RELUS = (relu, lambda t: relu(t))


@pytest.fixture(scope="module")
def model():
    return RandomFeatures(relu, 0.5, 0.8)


def he2(t):
    return (t**2 - 1) / math.sqrt(2)


def mixture(share, scale=1.0):
    """Return an activation with eta = scale^2 and zeta = share eta."""
    return lambda t: scale * (math.sqrt(share) * t + math.sqrt(1 - share) * he2(t))


def points(model, count=12):
    """Return points of the upper half plane at all scales of the spectrum."""
    rng = np.random.default_rng(3)
    top = model.support()[-1, 1]
    height = np.exp(rng.uniform(-12, 2, count))
    return top * (np.exp(rng.uniform(-6, 1, count)) + 1j * height)


@cache
def crowded_rule():
    """Return points and weights on [0, 1] that make square and inverse cube roots smooth there."""
    t, weight = np.polynomial.legendre.leggauss(400)
    t = (t + 1) / 2
    return special.betainc(6, 6, t), weight / 2 * (t * (1 - t)) ** 5 / special.beta(6, 6)


def integrals(model, *powers):
    """Return the integrals of powers of x times the density."""
    shares, weight = crowded_rule()
    total = np.zeros(len(powers))
    for lower, upper in model.support():
        x = lower + (upper - lower) * shares
        mass = (upper - lower) * weight * model.density(x)
        total += [mass @ x**power for power in powers]
    return total


def moment(model, k, nodes=400):
    """Return the k-th moment of the bulk from its transform on a circle around the spectrum."""
    radius = 2 * model.support()[-1, 1]
    z = radius * np.exp(1j * np.pi * (np.arange(nodes) + 0.5) / nodes)
    return float(-np.mean((z ** (k + 1) * model.stieltjes(z)).real))


# --- the constants of the rows


@pytest.mark.parametrize(
    "activation, mean, eta, zeta",
    [
        (relu, 1 / math.sqrt(2 * math.pi), 1 / 2 - 1 / (2 * math.pi), 1 / 4),
        (lambda t: np.maximum(t, 0), 1 / math.sqrt(2 * math.pi), 0.5 - 1 / (2 * math.pi), 0.25),
        (np.abs, math.sqrt(2 / math.pi), 1 - 2 / math.pi, 0.0),
        (np.sign, 0.0, 1.0, 2 / math.pi),
        (special.erf, 0.0, 2 / math.pi * math.asin(2 / 3), 4 / (3 * math.pi)),
        (np.sin, 0.0, (1 - math.exp(-2)) / 2, math.exp(-1)),
        (np.exp, math.sqrt(math.e), math.e**2 - math.e, math.e),
        (lambda t: 3 * t + 2, 2.0, 9.0, 9.0),
        (lambda t: t**3, 0.0, 15.0, 9.0),
        (he2, 0.0, 1.0, 0.0),
    ],
)
def test_constants_of_known_activations(activation, mean, eta, zeta):
    model = RandomFeatures(activation, 0.5, 0.8)
    found = [model.mean, model.eta, model.zeta]
    np.testing.assert_allclose(found, [mean, eta, zeta], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("place", [-1.3, 0.4, 2.0])
def test_a_kink_that_is_named_costs_no_accuracy(place):
    def hinge(t):
        return np.maximum(t - place, 0)

    model = RandomFeatures(hinge, 1, 1, kinks=[place])
    tail = special.ndtr(-place)
    density = math.exp(-(place**2) / 2) / math.sqrt(2 * math.pi)
    mean = density - place * tail
    square = (1 + place**2) * tail - place * density
    np.testing.assert_allclose(
        [model.mean, model.zeta, model.eta], [mean, tail**2, square - mean**2], rtol=1e-12
    )


def test_a_sharp_activation_is_integrated_to_rounding():
    with mp.workdps(25):

        def moment(power, k):
            def weight(t):
                return t**k * mp.tanh(20 * t) ** power * mp.npdf(t)

            return 2 * mp.quad(weight, [0, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 9])

        expected = [float(moment(2, 0)), float(moment(1, 1)) ** 2]
    model = RandomFeatures(lambda t: np.tanh(20 * t), 1, 1)
    np.testing.assert_allclose([model.eta, model.zeta], expected, rtol=1e-12)


@pytest.mark.parametrize("std", [0.3, 1.0, 4.0])
def test_closed_forms_of_the_relu_with_bias_are_its_integrals(std):
    exact, quadrature = (RandomFeatures(f, 1, 1, bias_std=std).rows for f in RELUS)
    assert exact.weight.sum() == pytest.approx(1, rel=1e-14)
    for name in ("weight", "mean", "zeta", "noise", "hermite2", "hermite4"):
        np.testing.assert_allclose(
            getattr(exact, name), getattr(quadrature, name), rtol=1e-9, atol=1e-13, err_msg=name
        )


def test_rows_with_bias_against_the_closed_forms_of_the_error_function():
    bias = np.array([-1.5, 0.0, 0.2, 3.0])
    rows = RandomFeatures(special.erf, 1, 1, bias=bias).rows
    np.testing.assert_allclose(rows.weight, 0.25)
    np.testing.assert_allclose(rows.mean, special.erf(bias / math.sqrt(3)), rtol=1e-12)
    slope = 2 / math.sqrt(3 * math.pi) * np.exp(-(bias**2) / 3)
    np.testing.assert_allclose(rows.zeta, slope**2, rtol=1e-11)
    np.testing.assert_allclose(rows.hermite2, -2 * bias / 3 * slope, rtol=1e-11, atol=1e-15)


def test_averages_over_a_gaussian_bias_have_closed_forms():
    # E f(Z + sb N)^2 = E f(sqrt(1 + sb^2) Z)^2: half the second moment for the ReLU.
    model = RandomFeatures(relu, 1, 1, bias_std=0.7)
    squares = model.rows.average(model.rows.mean**2)
    assert model.eta + squares == pytest.approx((1 + 0.49) / 2, rel=1e-13)
    assert model.mean == pytest.approx(math.sqrt(1.49 / (2 * math.pi)), rel=1e-13)


# --- special cases in closed form


@given(RATIO, RATIO, st.floats(0.1, 10))
def test_without_linear_part_it_is_marchenko_pastur(phi, psi, scale):
    model = RandomFeatures(mixture(0.0, scale), phi, psi)
    gamma, eta = phi / psi, scale**2
    edges = eta * (1 + np.array([-1, 1]) * math.sqrt(gamma)) ** 2
    np.testing.assert_allclose(model.support(), [edges], rtol=1e-8, atol=1e-12 * eta)
    assert model.atom() == max(0.0, 1 - 1 / gamma)
    x = edges[0] + (edges[1] - edges[0]) * np.array([0.1, 0.5, 0.95])
    density = np.sqrt((edges[1] - x) * (x - edges[0])) / (2 * np.pi * gamma * eta * x)
    np.testing.assert_allclose(model.density(x), density, rtol=1e-9)
    z = points(model)
    g = model.stieltjes(z)
    residual = g * (eta * (1 - gamma - gamma * z * g) - z) - 1
    assert (np.abs(residual) < 1e-9 * (1 + np.abs(z * g))).all()


def test_a_linear_activation_in_the_square_case_is_fuss_catalan():
    model = RandomFeatures(lambda t: t, 1, 1)
    np.testing.assert_allclose(model.support(), [[0, 27 / 4]], rtol=1e-12)
    x = np.array([1e-6, 0.01, 1.0, 3.0, 6.7])
    root = 27 + 3 * np.sqrt(81 - 12 * x)
    density = 2 ** (1 / 3) * math.sqrt(3) / (12 * math.pi)
    density = density * (2 ** (1 / 3) * root ** (2 / 3) - 6 * x ** (1 / 3))
    density = density / (x ** (2 / 3) * root ** (1 / 3))
    np.testing.assert_allclose(model.density(x), density, rtol=1e-9)
    for k in range(1, 6):
        assert moment(model, k) == pytest.approx(math.comb(3 * k, k) / (2 * k + 1), rel=1e-11)


@given(RATIO, RATIO)
def test_a_linear_activation_is_a_free_product(phi, psi):
    # W^T W and X X^T / m are free, with S-transforms 1/(1/psi + y) and 1/(1 + phi y).
    model = RandomFeatures(lambda t: 2 * t, phi, psi)
    z = points(model)
    g = (model.stieltjes(z) + 1 / z) / psi - 1 / z
    y = -1 - z * g
    # Cleared of denominators: all terms vanish together where z is large.
    left, right = (1 + y) * (1 / psi + y) * (1 + phi * y) * 4, y * z
    scale = np.abs(right) + (1 + np.abs(y)) * (1 / psi + np.abs(y)) * (1 + phi * np.abs(y)) * 4
    assert (np.abs(left - right) < 1e-10 * scale).all()


# --- moments by counting


def walk_value(walk, eta, zeta, n0):
    """Return the leading order of the mean of the product of Y along a closed walk.

    Cut where the walk comes back to a vertex; parts that share more than that vertex do not count.
    A double edge has the value eta, a cycle of length 2l >= 4 the value zeta^l n0^(1 - l).
    """
    for start, stop in itertools.combinations(range(len(walk)), 2):
        if walk[start] == walk[stop]:
            inner, outer = walk[start:stop], walk[:start] + walk[stop:]
            if set(inner) & set(outer) != {walk[start]}:
                return 0.0
            return walk_value(inner, eta, zeta, n0) * walk_value(outer, eta, zeta, n0)
    half = len(walk) // 2
    return eta if half == 1 else zeta**half * n0 ** (1.0 - half)


def partitions(k):
    """Return all restricted growth strings of length k: one per partition of k things."""
    strings = [(0,)]
    for _ in range(k - 1):
        strings = [(*s, j) for s in strings for j in range(max(s) + 2)]
    return strings


def counted_moment(k, eta, zeta, alpha, gamma):
    """Return the limit of E tr M^k / n1 by counting the leading ways to identify indices."""
    # The powers of the sizes cancel, so that any sizes of the right ratios will do.
    n0, n1, m = 1.0, alpha, alpha / gamma
    total = 0.0
    for rows, columns in itertools.product(partitions(k), repeat=2):
        pairs = zip(rows, columns, strict=True)
        walk = tuple(vertex for i, j in pairs for vertex in (("row", i), ("column", j)))
        free = n1 ** (max(rows) + 1) * m ** (max(columns) + 1)
        total += free * walk_value(walk, eta, zeta, n0) / m**k / n1
    return total


def test_counting_gives_the_numbers_of_narayana_and_of_fuss_and_catalan():
    narayana = [math.comb(4, j) * math.comb(4, j - 1) / 4 * 0.3 ** (j - 1) for j in range(1, 5)]
    assert counted_moment(4, 1, 0, 1, 0.3) == pytest.approx(sum(narayana))
    assert counted_moment(4, 1, 1, 1, 1) == pytest.approx(math.comb(12, 4) / 9)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("phi, psi", [(0.5, 0.8), (3.0, 0.3), (0.1, 10.0)])
def test_the_first_four_moments_are_those_of_counting(share, phi, psi):
    model = RandomFeatures(mixture(share, 1.5), phi, psi)
    expected = [counted_moment(k, model.eta, model.zeta, 1 / psi, phi / psi) for k in range(1, 5)]
    np.testing.assert_allclose([moment(model, k) for k in range(1, 5)], expected, rtol=1e-10)
    np.testing.assert_allclose(integrals(model, 1, 2, 3, 4), expected, rtol=1e-6)


def test_with_bias_the_first_two_moments_are_averages_over_rows():
    rng = np.random.default_rng(8)
    model = RandomFeatures(np.tanh, 0.7, 1.4, bias=rng.standard_normal(5))
    alpha, gamma, rows = 1 / 1.4, 0.5, model.rows
    eta = rows.zeta + rows.noise
    second = rows.average(eta**2) + gamma * model.eta**2 + alpha * model.zeta**2
    assert moment(model, 1) == pytest.approx(model.eta, rel=1e-10)
    assert moment(model, 2) == pytest.approx(second, rel=1e-10)


# --- both solvers


@FEWER
@given(RATIO, RATIO, SHARE)
@example(1.0, 1.0, 1.0)
@example(20.0, 0.05, 1 - 1e-12)
def test_solvers_agree_everywhere_above_the_axis(phi, psi, share):
    model = RandomFeatures(mixture(share, 2.0), phi, psi)
    z = points(model)
    roots, fixed = model.solve(z, method="quartic"), model.solve(z, method="fixed-point")
    np.testing.assert_allclose(roots.stieltjes, fixed.stieltjes, rtol=1e-8)
    np.testing.assert_allclose(roots.companion, fixed.companion, rtol=1e-8)
    assert max(roots.residual, fixed.residual) <= 1e-11
    assert (roots.method, roots.steps) == ("quartic", 0)
    assert fixed.method == "fixed-point"
    assert fixed.steps > 0


@FEWER
@given(RATIO, RATIO, SHARE)
@example(5.004494810749827, 1.1659758540896081, 0.14904802337071255)
def test_solvers_agree_next_to_the_axis_and_on_it(phi, psi, share):
    model = RandomFeatures(mixture(share), phi, psi)
    x = model.support()[-1, 1] * np.geomspace(1e-3, 1.5, 15)
    for height in (1e-12, 1e-15):
        z = x * (1 + 1j * height)
        roots, fixed = (
            model.stieltjes(z, method="quartic"),
            model.stieltjes(z, method="fixed-point"),
        )
        np.testing.assert_allclose(roots, fixed, rtol=1e-8)
    density = model.density(x, method="quartic")
    np.testing.assert_allclose(
        density, model.density(x, method="fixed-point"), atol=1e-7, rtol=1e-7
    )


@FEWER
@given(RATIO, RATIO, SHARE)
def test_transforms_are_those_of_positive_measures_on_the_half_line(phi, psi, share):
    model = RandomFeatures(mixture(share), phi, psi)
    z = points(model)
    solution = model.solve(z)
    for g in (solution.stieltjes, solution.companion):
        assert (g.imag > 0).all()
        assert ((z * g).imag > -1e-12 * np.abs(z * g)).all()
        assert (np.abs(g) <= 1 / z.imag).all()
    far = np.array([1e6j, 1e6 + 1e6j]) * model.support()[-1, 1]
    np.testing.assert_allclose(far * model.stieltjes(far), -1, rtol=1e-5)
    # The two products of Y have the same eigenvalues but for zeros.
    gamma = phi / psi
    np.testing.assert_allclose(
        z * solution.companion + 1, gamma * (z * solution.stieltjes + 1), atol=1e-9 * (1 + gamma)
    )


def test_with_bias_plain_iteration_of_the_equations_gives_the_same():
    rng = np.random.default_rng(4)
    model = RandomFeatures(relu, 0.5, 0.8, bias=rng.standard_normal(20))
    z, rows, alpha, gamma = 1.2 + 1.5j, model.rows, 1 / 0.8, 0.5 / 0.8
    s, tau = -1 / z, 1.0
    for _ in range(400):
        h = 1 / (1 + s * rows.noise + s * tau * rows.zeta)
        tau = 1 / (1 + s * alpha * (rows.weight @ (rows.zeta * h)))
        new = -1 / (z - gamma * (1 - rows.weight @ h) / s)
        s = (s + new) / 2
    assert model.solve(z).companion == pytest.approx(s, rel=1e-11)
    assert model.stieltjes(z) == pytest.approx(-(rows.weight @ h) / z, rel=1e-11)


def test_equal_biases_are_one_kind_of_row_and_have_a_quartic():
    shifted = RandomFeatures(lambda t: np.tanh(t + 0.5), 0.5, 2)
    given_bias = RandomFeatures(np.tanh, 0.5, 2, bias=[0.5, 0.5, 0.5])
    z = points(shifted)
    np.testing.assert_allclose(
        given_bias.stieltjes(z, method="quartic"), shifted.stieltjes(z), rtol=1e-9
    )


def test_many_quantiles_of_the_bias_come_close_to_its_law():
    levels = (np.arange(2000) + 0.5) / 2000
    law = RandomFeatures(relu, 0.5, 0.8, bias_std=1.0)
    sample = RandomFeatures(relu, 0.5, 0.8, bias=special.ndtri(levels))
    # Next to zero the rows with small biases are seen one by one, if there are too few of them.
    z = np.array([0.002 + 0.0005j, 0.1 + 0.05j, 1 + 0.05j, 2 + 0.05j])
    np.testing.assert_allclose(sample.stieltjes(z), law.stieltjes(z), rtol=2e-5)
    x = np.linspace(0.1, 2.5, 30)
    np.testing.assert_allclose(sample.density(x), law.density(x), rtol=2e-3)


def test_biases_that_occur_twice_count_twice():
    z = np.array([0.1 + 0.1j, 1 + 1j])
    model = RandomFeatures(relu, 0.5, 0.8, bias=[1.0, -1.0, 1.0])
    np.testing.assert_allclose(model.rows.weight, [1 / 3, 2 / 3])
    other = RandomFeatures(relu, 0.5, 0.8, bias=[-1.0, -1.0, 1.0, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(model.stieltjes(z), other.stieltjes(z), rtol=1e-12)


def test_the_fixed_point_is_solved_at_the_edges_themselves():
    for model in (RandomFeatures(relu, 0.5, 0.8), RandomFeatures(mixture(0.99), 0.1, 0.2)):
        edges = model.support().ravel()
        near = np.concatenate([edges, edges * (1 + 1e-15), edges * (1 - 1e-13)])
        scale = model.density(model.support().mean(axis=1)).max()
        assert (model.density(near, method="fixed-point") < 1e-4 * scale).all()


def test_a_solution_that_is_not_the_transform_of_a_measure_is_refused(model):
    equations, z = model._bulk.equations, np.array([1.0, 3.0]) / model.eta + 0j
    s, h, _, _ = equations.solve(z, 1e-11, 5000)
    # The second equation gives t.
    q = s * h
    start = np.stack([s, s / (1 + model.zeta / model.eta / model.psi * q)])
    assert np.isfinite(equations.newton(z, start, 1e-11)[1]).all()
    assert equations.newton(z[:1], start[:, :1].conj(), 1e-11)[1] == [np.inf]
    # Outside of the support there are other real solutions: s z + 1 = gamma (1 - h) at a root h.
    q = model._bulk.quartic.roots(z[1:])[0]
    s = q / model._bulk.quartic.h(q)
    start = np.stack([s, s / (1 + model.zeta / model.eta / model.psi * q)])
    residual = equations.newton(np.repeat(z[1:], 4), start, 1e-11)[1]
    assert np.isfinite(residual).sum() == 1


def test_a_small_bias_changes_the_law_continuously():
    z = np.array([0.5 + 0.1j, 2 + 1j])
    without = RandomFeatures(np.tanh, 2, 0.5).stieltjes(z)
    np.testing.assert_allclose(
        RandomFeatures(np.tanh, 2, 0.5, bias_std=1e-6).stieltjes(z), without, 1e-9
    )


# --- density, distribution function, edges, atom


@FEWER
@given(RATIO, RATIO, SHARE, st.floats(0.1, 10))
def test_the_density_integrates_to_one_minus_the_atom(phi, psi, share, scale):
    model = RandomFeatures(mixture(share, scale), phi, psi)
    mass, mean = integrals(model, 0, 1)
    assert mean == pytest.approx(model.eta, rel=1e-5)
    # With next to no noise there is a part next to zero that these nodes do not resolve.
    if share < 0.999 or share == 1:
        assert mass == pytest.approx(1 - model.atom(), abs=1e-4)


@given(RATIO, RATIO, SHARE)
def test_the_density_is_positive_between_the_edges_and_zero_outside(phi, psi, share):
    model = RandomFeatures(mixture(share), phi, psi)
    support = model.support()
    assert (np.diff(support.ravel()) > 0).all()
    # The norm of the sum of a product of two Gaussian matrices and a third one.
    norm = math.sqrt(share) * (1 + psi**-0.5) * (1 + phi**0.5)
    assert support[-1, 1] <= (norm + math.sqrt(1 - share) * (1 + math.sqrt(phi / psi))) ** 2 + 1e-9
    for lower, upper in support:
        width = upper - lower
        inner = lower + width * np.array([1e-7, 1e-4, 0.3, 0.6, 1 - 1e-4, 1 - 1e-7])
        assert (model.density(inner) > 0).all()
        assert model.density(upper * (1 + 1e-7)) == 0
    outside = [support[0, 0] * 0.5, support[-1, 1] * (1 + 1e-7), support[-1, 1] * 2, 0.0, -1.0]
    assert (model.density(outside) == 0).all()


@given(RATIO, RATIO, st.floats(0.02, 0.98))
def test_the_density_starts_like_a_square_root_at_its_upper_edge(phi, psi, share):
    model = RandomFeatures(mixture(share), phi, psi)
    lower, upper = model.support()[-1]
    distance = (upper - lower) * np.array([1e-8, 4e-8])
    near = model.density(upper - distance)
    assert near[1] / near[0] == pytest.approx(2, rel=1e-2)


def test_little_noise_splits_the_spectrum_into_two_intervals_of_known_mass():
    # n0 = n1/5 strong directions above a bulk of noise.
    model = RandomFeatures(mixture(0.99), 0.1, 0.2)
    (a, b), (c, d) = model.support()
    assert 0 < a < b < c < d
    assert model.density((b + c) / 2) == 0
    np.testing.assert_allclose(model.cdf([a, b, c, d]), [0, 0.8, 0.8, 1], atol=1e-7)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n0, n1, m", [(10, 20, 40), (30, 40, 20), (10, 30, 15), (15, 10, 20)])
def test_the_atom_is_the_missing_rank_of_a_matrix(share, n0, n1, m):
    rng = np.random.default_rng(1)
    W, X = rng.standard_normal((n1, n0)), rng.standard_normal((n0, m))
    Y = mixture(share)(W @ X / math.sqrt(n0))
    model = RandomFeatures(mixture(share), n0 / m, n0 / n1)
    assert model.atom() == pytest.approx(1 - np.linalg.matrix_rank(Y) / n1, abs=1e-14)


@FEWER
@given(RATIO, RATIO, st.sampled_from([0.0, 0.5, 1.0]))
@example(1.0, 1.0, 1.0)
def test_the_atom_is_what_the_transform_shows_at_zero(phi, psi, share):
    model = RandomFeatures(mixture(share), phi, psi)
    z = 1e-13j * model.support()[-1, 1]
    # Without a gap at zero the convergence is slow: like the cube root in the worst case.
    roots, fixed = model.stieltjes(z, method="quartic"), model.stieltjes(z, method="fixed-point")
    assert float((-z * roots).real) == pytest.approx(model.atom(), abs=2e-3)
    np.testing.assert_allclose(roots, fixed, rtol=1e-4)


def test_the_distribution_function_is_the_integral_of_the_density():
    model = RandomFeatures(relu, 1.2, 0.4)
    lower, upper = model.support()[0]
    x = lower + (upper - lower) * np.array([0.05, 0.3, 0.8])
    for point, value in zip(x, model.cdf(x), strict=True):
        mass, _ = integrate.quad(model.density, lower, point, epsabs=1e-9)
        assert value == pytest.approx(model.atom() + mass, abs=2e-6)
    np.testing.assert_array_equal(model.cdf([-1.0, 0.0]), [0, model.atom()])
    assert model.cdf(2 * upper) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("activation, std", [(relu, 4.0), (np.tanh, 1.0)])
def test_with_bias_the_distribution_function_has_the_mass_of_the_density(activation, std):
    model = RandomFeatures(activation, 0.5, 0.8, bias_std=std)
    ((lower, upper),) = model.support()
    x = np.linspace(0.2, 0.8, 101) * upper
    cdf = model.cdf([x[0], x[-1], upper])
    assert cdf[1] - cdf[0] == pytest.approx(integrate.simpson(model.density(x), x=x), abs=1e-4)
    assert cdf[2] == pytest.approx(1, abs=2e-3)
    assert model.density(upper * (1 - 1e-6)) > 0
    assert model.density(upper * (1 + 1e-6)) == 0
    assert lower == 0 or model.density(lower * (1 - 1e-6)) == 0
    check_points_out_of_reach(model, error=2e-3)


@pytest.mark.parametrize("bias", [None, [-0.9, 0.1, 0.1, 0.6]])
def test_scaling_and_shifting_the_activation(bias):
    plain = RandomFeatures(np.tanh, 0.6, 1.5, bias=bias)
    moved = RandomFeatures(lambda t: 5 - 3 * np.tanh(t), 0.6, 1.5, bias=bias)
    np.testing.assert_allclose(moved.support(), 9 * plain.support(), rtol=1e-9)
    x = np.array([0.1, 0.4, 0.9]) * plain.support()[-1, 1]
    np.testing.assert_allclose(9 * moved.density(9 * x), plain.density(x), rtol=1e-9)


def test_the_smallest_and_the_largest_ratios():
    for ratio in (1e-50, 1e50):
        assert _arguments.check_layers(2, ratio, ratio) == (ratio, ratio)
        assert _arguments.check_layers(1, 1.0, ratio) == (ratio,)
        assert _arguments.check_layers(1, ratio, 1.0) == (1.0,)


def test_arguments_of_any_shape(model):
    z = np.array([[1 + 1j], [2 + 1j]])
    assert model.stieltjes(z).shape == (2, 1)
    assert model.stieltjes(1j).shape == ()
    assert model.stieltjes(np.array([1j], object)) == model.stieltjes([1j])
    assert model.density([[0.5, 1.0]]).shape == (1, 2)
    assert model.cdf(1).shape == ()
    # What comes back is the caller's own.
    support = model.support()
    expected = support.tolist()
    support[:] = 0
    assert model.support().tolist() == expected
    assert repr(model) == (
        "RandomFeatures(eta=0.340845, zeta=0.25, phi=0.5, psi=0.8, kinds of row: 1)"
    )


# --- a simulated matrix


# Biases of few kinds, with the quantiles of a Gaussian law.
BIASES = np.repeat(special.ndtri((np.arange(20) + 0.5) / 20), 15)


@pytest.mark.parametrize("bias, near, far", [(None, 0.012, 0.03), (BIASES, 0.02, 0.05)])
def test_a_simulated_spectrum_and_its_outlier(bias, near, far):
    n0, n1, m = 240, 300, 480
    *bulk, largest = simulated_spectra.simulate_spectrum(relu, n0, n1, m, 11, bias=bias)
    model = RandomFeatures(relu, n0 / m, n0 / n1, bias=bias)
    assert simulated_spectra.kolmogorov_smirnov(bulk, model.cdf) < near
    outlier = model.outlier(n1)
    assert abs(largest - outlier.position) < 4 * outlier.spread
    # A wrong constant is seen: the same eta with another zeta, or one kind of row for all.
    share = 0.4 if bias is None else model.zeta / model.eta
    wrong = RandomFeatures(mixture(share, math.sqrt(model.eta)), n0 / m, n0 / n1)
    assert simulated_spectra.kolmogorov_smirnov(bulk, wrong.cdf) > far


@pytest.mark.parametrize("std", [0.0, 0.5])
def test_mean_and_spread_of_the_outlier_over_many_matrices(std):
    n0, n1, m, draws = 60, 120, 180, 800
    rng = np.random.default_rng(13)
    found = []
    for _ in range(draws):
        W, X = rng.standard_normal((n1, n0)) / math.sqrt(n0), rng.standard_normal((n0, m))
        Y = relu(W @ X + std * rng.standard_normal((n1, 1)))
        v = np.ones(m)
        for _ in range(6):
            u = Y @ (v / np.linalg.norm(v))
            v = Y.T @ u
        found.append(u @ u / m)
    outlier = RandomFeatures(relu, n0 / m, n0 / n1, bias_std=std).outlier(n1)
    error = outlier.spread / math.sqrt(draws)
    # What the expansion leaves out is of the order of 1/n1.
    assert abs(np.mean(found) - outlier.position) < 3 * error + 2 / n1
    assert np.std(found) == pytest.approx(outlier.spread, rel=0.15)


def test_parts_of_the_activation_that_are_rounding_count_as_nothing():
    rounded = RandomFeatures(lambda t: (t + 1000.0) - 1000.0, 0.25, 0.5)
    assert (rounded.rows.noise, rounded.rows.affine, rounded.atom()) == (0, True, 0.5)
    assert RandomFeatures(lambda t: he2(t) * 1.1 - 0.1 * he2(t), 1, 1).zeta == 0


@pytest.mark.parametrize("small", [1e-9, 1e-5])
def test_parts_of_the_activation_that_are_small_are_seen(small):
    model = RandomFeatures(lambda t: t + small * he2(t), 0.25, 0.5)
    assert model.rows.noise[0] == pytest.approx(small**2, rel=1e-5)
    assert (model.rows.affine, model.atom()) == (False, 0)
    assert RandomFeatures(lambda t: he2(t) + small * t, 1, 1).zeta == pytest.approx(small**2)


@pytest.mark.parametrize("b", [-36, -20, -3, 0, 3, 6, 6.8, 7, 8, 10, 20, 40])
def test_closed_forms_and_quadrature_agree_at_every_bias(b):
    exact, found = (RandomFeatures(f, 0.5, 0.8, bias=[b, b]) for f in RELUS)
    top = exact.support()[-1, 1]
    x = top * np.linspace(0.001, 1.05, 30)
    np.testing.assert_allclose(found.support() / top, exact.support() / top, atol=1e-9)
    np.testing.assert_allclose(found.density(x) * top, exact.density(x) * top, rtol=1e-9)
    np.testing.assert_allclose(found.cdf(x), exact.cdf(x), atol=1e-9)
    fixed = exact.density(x, method="fixed-point")
    np.testing.assert_allclose(exact.density(x), fixed, rtol=1e-9, atol=1e-9 / top)
    assert found.atom() == exact.atom() == 0


@pytest.mark.parametrize("b", [8.0, 8.5, 40.0])
def test_a_relu_that_is_always_on_has_the_law_of_a_linear_function(b):
    linear = RandomFeatures(lambda t: t, 0.5, 0.8)
    for bias in ([b], [b, b + 1]):
        model = RandomFeatures(relu, 0.5, 0.8, bias=bias)
        assert model.density([3.0])[0] == pytest.approx(0.06326204, rel=1e-7)
        np.testing.assert_allclose(model.support(), linear.support(), rtol=1e-8)
        x = [0.0, 1.0, 3.0, 10.0]
        np.testing.assert_allclose(model.cdf(x), linear.cdf(x), atol=2e-3 * (len(bias) > 1) + 1e-9)
        # The missing rank of a linear function is eigenvalues next to zero here, and not zero.
        assert (model.atom(), linear.atom()) == (0, pytest.approx(0.2, rel=1e-15))


@pytest.mark.parametrize("f, std", [(relu, 5.0), (relu, 30.0), (lambda t: relu(t), 10.0)])
def test_no_rank_is_missing_under_a_wide_law_of_the_bias(f, std):
    assert RandomFeatures(f, 0.5, 0.8, bias_std=std).atom() == 0
    assert RandomFeatures(f, 2.0, 0.8, bias_std=std).atom() == pytest.approx(0.6, rel=1e-15)


def test_the_constants_of_a_relu_are_right_where_it_is_hardly_ever_on():
    with mp.workdps(120):
        b = mp.mpf(-15)
        mean, tail = b * mp.ncdf(b) + mp.npdf(b), mp.ncdf(b)
        noise = (1 + b**2) * tail + b * mp.npdf(b) - mean**2 - tail**2
        expected = [float(value) for value in (mean, noise, tail**2)]
    for f in RELUS:
        rows = RandomFeatures(f, 1, 1, bias=[-15.0]).rows
        assert rows.noise[0] == pytest.approx(expected[1], rel=1e-10)
        size = math.sqrt(expected[1])
        assert rows.mean[0] == pytest.approx(expected[0], rel=1e-10, abs=1e-12 * size)
        assert rows.zeta[0] == pytest.approx(expected[2], rel=1e-10, abs=1e-20 * expected[1])


@pytest.mark.parametrize("rate", [1.0, 5.0])
def test_growth_that_the_gaussian_bounds_is_integrated(rate):
    model = RandomFeatures(lambda t: np.exp(rate * t), 1, 1)
    # E exp(rate Z) = exp(rate^2 / 2), and E Z exp(rate Z) is rate times that.
    mean = math.exp(rate**2 / 2)
    assert model.mean == pytest.approx(mean, rel=1e-11)
    assert model.zeta == pytest.approx((rate * mean) ** 2, rel=1e-11)
    assert model.eta == pytest.approx(math.exp(2 * rate**2) - mean**2, rel=1e-11)
    # As far out as floats go.
    model = RandomFeatures(lambda t: np.exp(14 * t), 1, 1)
    assert model.eta == pytest.approx(math.exp(392), rel=1e-11)
    squared = RandomFeatures(lambda t: np.exp(0.15 * t**2), 1, 1)
    # E exp(c Z^2) = (1 - 2c)^(-1/2).
    assert squared.mean == pytest.approx(0.7**-0.5, rel=1e-12)
    assert squared.eta == pytest.approx(0.4**-0.5 - 0.7**-1, rel=1e-12)


@pytest.mark.parametrize(
    "f, message",
    [
        (lambda t: np.exp(t**2 / 2), "must return finite real numbers"),
        (
            lambda t: np.exp(t**2 / 4),
            "must grow so slowly .* a share of 0.0[0-9]+ lies at the ends",
        ),
        (lambda t: np.exp(17.9 * t), "must grow so slowly"),
        (lambda t: np.exp(np.abs(t) ** 3 / 100), "must grow so slowly"),
        (
            lambda t: 1e200 * np.tanh(t),
            r"a variance between 1e-300 and 1e\+300, .* of inf; scale it",
        ),
        (lambda t: 1e-200 * np.tanh(t), "a variance between 1e-300 .* of 0; scale it"),
        (np.ones_like, "must not be constant"),
        (lambda t: np.abs(t - 0.1), "must be smooth between its kinks, named so far: 0; two"),
    ],
)
def test_activations_are_refused_for_the_right_reason(f, message):
    with pytest.raises(ValueError, match=f"^activation .*{message}"):
        RandomFeatures(f, 1, 1)


def test_growth_is_refused_at_the_bias_where_it_matters():
    model = RandomFeatures(lambda t: np.exp(t), 1, 1, bias=[-700.0, 1.0])
    assert model.mean == pytest.approx(math.exp(1.5) / 2, rel=1e-12)
    with pytest.raises(ValueError, match="standard deviations of the bias -1; a share"):
        RandomFeatures(lambda t: np.exp(t**2 / 4), 1, 1, bias=[-1.0, 2.0])


def gelu(t):
    return t * special.ndtr(t)


def test_a_smooth_activation_with_a_wide_law_of_the_bias():
    model = RandomFeatures(gelu, 1, 1, bias_std=5.0)
    # E f'(Z + b) with f'(t) = Phi(t) + t phi(t), averaged over b by the trapezoidal rule.
    b, step = np.linspace(-50, 50, 4001, retstep=True)
    slope = special.ndtr(b / math.sqrt(2)) + b / 2 * np.exp(-(b**2) / 4) / math.sqrt(4 * math.pi)
    zeta = np.sum(slope**2 * np.exp(-(b**2) / 50)) * step / (5 * math.sqrt(2 * math.pi))
    assert model.zeta == pytest.approx(zeta, rel=1e-11)
    assert model.mean == pytest.approx(26 / math.sqrt(2 * math.pi * 27), rel=1e-12)


def test_activations_with_a_root_or_a_logarithm_at_a_kink():
    def power(p):
        return 2 ** (p / 2) * math.gamma((p + 1) / 2) / math.sqrt(math.pi)

    root = RandomFeatures(lambda t: np.sqrt(np.abs(t)), 1, 1)
    assert root.mean == pytest.approx(power(0.5), rel=1e-12)
    assert root.eta == pytest.approx(power(1) - power(0.5) ** 2, rel=1e-12)
    logarithm = RandomFeatures(lambda t: np.log(np.abs(t)), 1, 1)
    assert logarithm.mean == pytest.approx(-(np.euler_gamma + math.log(2)) / 2, rel=1e-9)
    assert logarithm.eta == pytest.approx(math.pi**2 / 8, rel=1e-8)


@pytest.mark.parametrize("dtype, accuracy", [(np.float16, 1e-3), (np.float32, 1e-7)])
def test_activations_in_short_floats(dtype, accuracy):
    exact = RandomFeatures(np.tanh, 0.5, 0.8)
    model = RandomFeatures(lambda t: np.tanh(t).astype(dtype), 0.5, 0.8)
    assert model.eta == pytest.approx(exact.eta, rel=accuracy)
    assert model.zeta == pytest.approx(exact.zeta, rel=accuracy)
    linear = RandomFeatures(lambda t: (3 * t + 1).astype(dtype), 0.25, 0.5)
    assert linear.atom() == 0.5
    steps = RandomFeatures(lambda t: t > 0, 1, 1)
    assert (steps.mean, steps.eta) == (pytest.approx(0.5), pytest.approx(0.25))


def test_large_and_small_activations_change_the_scale_alone():
    plain = RandomFeatures(np.tanh, 0.5, 0.8)
    x = np.array([0.1, 0.9])
    for scale in (1e149, 1e-149):
        model = RandomFeatures(lambda t, scale=scale: scale * np.tanh(t), 0.5, 0.8)
        unit = scale * scale
        np.testing.assert_allclose(model.support() / unit, plain.support(), rtol=1e-12)
        np.testing.assert_allclose(model.density(x * unit) * unit, plain.density(x), rtol=1e-12)
        np.testing.assert_allclose(model.cdf(x * unit), plain.cdf(x), rtol=1e-9)


@pytest.mark.parametrize("bias", [None, [8.0, 8.5]])
def test_points_out_of_reach(bias):
    check_points_out_of_reach(RandomFeatures(relu, 1, 0.8, bias=bias))


def check_points_out_of_reach(model, error=1e-9):
    far = [1e300, 1e10, -1e300, 0.0]
    assert model.density(far).tolist() == [0, 0, 0, 0]
    assert model.cdf(far[:3]) == pytest.approx([1, 1, 0], abs=error)
    assert model.stieltjes(1e300j) == pytest.approx(1e-300j, rel=1e-12)


@pytest.mark.parametrize("p", [0.05, 0.3, 1.0, 1.7, 20.0])
@pytest.mark.parametrize("share", [0.0, 1e-9, 0.3, 1 - 1e-4, 1.0])
def test_the_lower_edge_is_zero_exactly_where_two_sizes_agree(p, share):
    f = mixture(share)
    if share < 1:
        # n1 = m.
        assert RandomFeatures(f, p, p).support()[0, 0] == 0
        assert RandomFeatures(f, 1.2 * p, p).support()[0, 0] > 0
        return
    for phi, psi, closed in (
        (p, p, p >= 1),  # n1 = m, no more than n0
        (p, 1.0, p <= 1),  # n0 = n1, no more than m
        (1.0, p, p <= 1),  # n0 = m, no more than n1
        (0.9 * p, 1.1 * p, False),
    ):
        assert (RandomFeatures(f, phi, psi).support()[0, 0] == 0) == closed


def test_results_are_equal_by_value_and_short_in_print():
    models = [RandomFeatures(relu, 0.5, psi, bias=[0.0, 1.0]) for psi in (0.8, 0.8, 0.9)]
    same, again, other = (model.solve([1j, 1 + 1j]) for model in models)
    assert same == again
    assert same != other
    assert models[0].rows == models[2].rows != RandomFeatures(relu, 0.5, 0.8).rows
    assert models[0].rows != "rows"
    with pytest.raises(TypeError, match="unhashable"):
        hash(same)
    assert repr(models[0].rows) == (
        "Rows(weight=<float64 (2,)>, mean=<float64 (2,)>, zeta=<float64 (2,)>, "
        "noise=<float64 (2,)>, hermite2=<float64 (2,)>, hermite4=<float64 (2,)>, affine=False)"
    )
    assert repr(same).startswith(
        "Solution(stieltjes=<complex128 (2,)>, companion=<complex128 (2,)>"
    )
    for result in (same, models[0].rows, models[0].outlier(10)):
        assert pickle.loads(pickle.dumps(result)) == copy.deepcopy(result) == result
    model = pickle.loads(pickle.dumps(models[0]))
    np.testing.assert_array_equal(model.density([0.5]), models[0].density([0.5]))


def test_models_are_equal_if_they_have_the_same_law():
    def model(f=np.tanh, phi=0.5, psi=0.8, **options):
        return RandomFeatures(f, phi, psi, **options)

    # Another function with the same values, and no bias said in two ways.
    assert model() == model(lambda t: np.tanh(t)) == model(bias=[0.0, 0.0])
    assert model(bias=[1, -1]) == model(bias=[-1.0, 1, 1, -1])
    different = [
        model(),
        model(relu),
        model(phi=0.6),
        model(psi=0.9),
        model(bias=[0.0, 1.0]),
        model(bias=[1.0]),
        model(bias_std=0.5),
    ]
    for one, other in itertools.combinations(different, 2):
        assert one != other
    assert model() != model().rows
    with pytest.raises(TypeError, match="unhashable"):
        hash(model())
    # The activation is not kept, so that functions without a name do no harm.
    for one in (model(lambda t: t**3), model(bias=[0.0, 1.0]), model(bias_std=0.5)):
        again = pickle.loads(pickle.dumps(one))
        assert again == copy.deepcopy(one) == one
        assert again.solve([1j, 0.5 + 0.1j]) == one.solve([1j, 0.5 + 0.1j])


def test_a_centred_activation_has_no_outlier():
    assert RandomFeatures(np.tanh, 1, 1).outlier(100) is None
    assert RandomFeatures(lambda t: relu(t) - 1 / math.sqrt(2 * math.pi), 1, 1).outlier(9) is None


# --- what several layers and correlated inputs change


def test_layers_and_an_input_spectrum_reach_the_equations():
    plain, deep = (RandomFeatures(np.tanh, 0.5, 0.8, layers=count) for count in (1, 2))
    data = RandomFeatures(np.tanh, 0.5, 0.8, input_spectrum=[0.5, 1.5])
    assert (plain.layers, deep.layers, data.layers) == ((0.8,), (0.8, 0.8), (0.8,))
    assert plain.input_spectrum is deep.input_spectrum is None
    assert data.input_spectrum.tolist() == [[0.5, 1.5], [0.5, 0.5]]
    endings = [repr(model).partition("kinds of row: ")[2] for model in (plain, deep, data)]
    assert endings == ["1)", "1, layers: 2)", "1, layers: 1)"]
    # The mean square of the eigenvalues of a covariance is a factor of the linear part.
    eta, zeta, gamma = plain.eta, plain.zeta, 0.5 / 0.8
    for model, square in ((plain, 1), (data, 1.25)):
        second = eta**2 * (1 + gamma) + zeta**2 / 0.8 * square
        assert moment(model, 2) == pytest.approx(second, rel=1e-10)


@pytest.mark.parametrize("chain", [{"layers": 2}, {"input_spectrum": [0.5, 1.5]}])
def test_what_a_chain_of_layers_does_not_know_is_refused(chain):
    for options in ({"bias": [0.0, 1.0]}, {"bias": [0.0]}, {"bias_std": 0.5}):
        message = r"^layers must be 1 and input_spectrum None with a bias$"
        with pytest.raises(ValueError, match=message):
            RandomFeatures(np.tanh, 0.5, 0.8, **chain, **options)
    message = r"^layers must be 1 and input_spectrum None for the outlier of a mean$"
    with pytest.raises(ValueError, match=message):
        RandomFeatures(relu, 0.5, 0.8, **chain).outlier(100)
    assert RandomFeatures(np.tanh, 0.5, 0.8, **chain).outlier(100) is None


def test_biases_that_are_given_do_not_make_the_outlier_vary():
    sample = RandomFeatures(relu, 0.5, 0.8, bias=BIASES).outlier(300)
    law = RandomFeatures(relu, 0.5, 0.8, bias_std=1.0).outlier(300)
    assert sample.position == pytest.approx(law.position, rel=0.05)
    assert sample.spread < 0.7 * law.spread


# --- what is refused


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("relu", 1, 1), r"^activation must be callable, got 'relu'$"),
        ((np.log, 1, 1), r"^activation must return finite real numbers .* not finite$"),
        ((np.sum, 1, 1), r"^activation must return .* shape of its argument .*, got shape \(\)$"),
        ((lambda t: t + 1j, 1, 1), r"^activation must return finite real numbers"),
        ((relu, 0, 1), r"^phi must be a positive number, got 0$"),
        ((relu, 1, -2.0), r"^psi must be a positive number, got -2.0$"),
        ((relu, math.inf, 1), r"^phi must be a positive number, got inf$"),
        ((relu, 1, math.nan), r"^psi must be a positive number, got nan$"),
        ((relu, 1, "2"), r"^psi must be a positive number, got '2'$"),
        (
            (relu, 1e-51, 1),
            r"^phi, psi and phi/psi must be between 1e-50 and 1e\+50, got phi = 1e-51, psi = 1$",
        ),
        ((relu, 1e51, 1e2), r"^phi, psi and phi/psi must .* got phi = 1e\+51, psi = 100$"),
        ((relu, 1, 1e51), r"^phi, psi and phi/psi must .* got phi = 1, psi = 1e\+51$"),
        ((relu, 1e2, 1e-51), r"^phi, psi and phi/psi must .* got phi = 100, psi = 1e-51$"),
        ((relu, 1e30, 1e-30), r"^phi, psi and phi/psi must .* got phi = 1e\+30, psi = 1e-30$"),
        ((relu, 1e-30, 1e30), r"^phi, psi and phi/psi must .* got phi = 1e-30, psi = 1e\+30$"),
    ],
)
def test_wrong_models_are_refused(arguments, message):
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
        RandomFeatures(*arguments)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"bias_std": -0.5}, "bias_std must be from 0 to 10000, got -0.5$"),
        ({"bias_std": 10_001}, "bias_std must be from 0 to 10000, got 10001$"),
        ({"bias_std": math.inf}, "bias_std must be a finite number, got inf$"),
        ({"bias_std": 0.5, "bias": [1.0]}, "bias must not be given together with a bias_std"),
        ({"bias": [[1.0, 2.0]]}, r"bias must have shape \(n1,\), got shape \(1, 2\)$"),
        ({"bias": [1.0, math.nan]}, r"bias must be finite, got nan at index \(1,\)$"),
        ({"kinks": [math.inf]}, "kinks must be a finite number, got inf$"),
        ({"kinks": 0.4}, "kinks must be a sequence of numbers, got 0.4$"),
    ],
)
def test_wrong_biases_and_kinks_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        RandomFeatures(relu, 1, 1, **options)


@pytest.mark.parametrize("z", [1.0, -1j, [1j, 0.0], complex("nan+1j"), complex("inf+1j")])
def test_points_that_are_not_in_the_upper_half_plane_are_refused(z):
    with pytest.raises(ValueError, match=r"^z must be finite with Im z > 0, got "):
        RandomFeatures(relu, 1, 1).stieltjes(z)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m: m.stieltjes("x"), "z must be complex numbers with Im z > 0, got 'x'$"),
        (lambda m: m.stieltjes("1+1j"), r"z must be complex numbers with Im z > 0, got '1\+1j'$"),
        (
            lambda m: m.stieltjes(np.ma.masked_array([1j, 2j], [True, False])),
            "z must have no masked entries, got 1",
        ),
        (lambda m: m.stieltjes([]), "z must not be empty"),
        (lambda m: m.outlier(10**400), "n1 must be a finite number, got 1000"),
        (lambda m: m.outlier(0), "n1 must be an integer >= 1, got 0$"),
        (
            lambda m: m.density(1.0, method="no"),
            "method must be one of quartic, fixed-point, layers, got 'no'$",
        ),
        (
            lambda m: RandomFeatures(relu, 1, 1, bias=[0.0, 1.0]).stieltjes(1j, method="quartic"),
            "method must be fixed-point for this model, got quartic$",
        ),
        (lambda m: m.density(math.nan), r"x must be finite, got nan at index \(\)$"),
        (lambda m: m.cdf(math.nan), r"x must be finite, got nan at index \(\)$"),
        (lambda m: m.solve(1j, tolerance=0), "tolerance must be a positive number, got 0$"),
        (lambda m: m.solve(1j, most_steps=0), "most_steps must be an integer >= 1, got 0$"),
    ],
)
def test_other_wrong_arguments_are_refused(model, call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call(model)


def test_a_solver_that_does_not_converge_says_so(model):
    message = r"^the fixed-point solver did not converge at z = 1\+1e-09j after \d+ steps: residual"
    with pytest.raises(ConvergenceError, match=message):
        model.solve(1 + 1e-9j, method="fixed-point", most_steps=1)
    with pytest.raises(ConvergenceError, match=r"^the quartic solver did not converge .* 1e-30$"):
        model.solve(np.array([1 + 1j, 2 + 1j]), tolerance=1e-30)


def test_where_roots_are_not_accurate_the_fixed_point_takes_over(model, monkeypatch):
    x = np.linspace(0.2, 2.0, 9)
    expected = model.density(x)
    monkeypatch.setattr(_quartic, "_SOLVED", 1e-30)
    assert np.isnan(model._bulk.quartic.density(x[:4])).any()
    np.testing.assert_allclose(model.density(x), expected, rtol=1e-9, atol=1e-12)
