"""Random features with several layers and with correlated inputs."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize

from helpers import rng
from reluspec_lib import simulated_spectra
from reluspec_lib.proportional import _layers
from reluspec_lib.proportional.resolvent import ConvergenceError, RandomFeatures, relu

POINTS = np.array([1 + 1j, 0.3 + 1e-3j, 5 + 0.1j, 1e-3 + 1e-5j, 20 + 1e-6j])
TWO = [[0.2, 1.8], [0.5, 0.5]]


def mixture(share):
    """Return an activation with eta = 1 and zeta = share."""
    return lambda t: math.sqrt(share) * t + math.sqrt((1 - share) / 2) * (t**2 - 1)


def linear(t):
    return t


# --- special cases


@pytest.mark.parametrize("f", [relu, np.tanh, mixture(0.02), mixture(1 - 1e-6), linear])
@pytest.mark.parametrize("phi, psi", [(0.5, 0.8), (2.0, 0.7), (1.5, 1.5), (0.8, 1.0)])
def test_one_layer_and_white_inputs_are_the_quartic(f, phi, psi):
    plain, chained = RandomFeatures(f, phi, psi), RandomFeatures(f, phi, psi, input_spectrum=[1.0])
    assert RandomFeatures(f, phi, psi, layers=1) == plain
    expected, found = plain.solve(POINTS), chained.solve(POINTS)
    assert found.method == "layers"
    for name in ("stieltjes", "companion"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-11)
    np.testing.assert_allclose(chained.support(), plain.support(), rtol=1e-9, atol=1e-15)
    assert chained.atom() == plain.atom()
    x = plain.support()[-1, 1] * np.linspace(0.05, 1.1, 9)
    np.testing.assert_allclose(chained.density(x), plain.density(x), rtol=1e-10, atol=1e-12)


def test_one_layer_to_rounding():
    plain, chained = RandomFeatures(relu, 0.5, 0.8), RandomFeatures(relu, 0.5, 0.8, layers=2)
    white = RandomFeatures(relu, 0.5, 0.8, input_spectrum=[[1.0, 3.0], [1.0, 0.0]])
    expected = plain.stieltjes(POINTS)
    np.testing.assert_allclose(white.stieltjes(POINTS), expected, rtol=1e-12)
    assert np.abs(chained.stieltjes(POINTS) / expected - 1).max() > 0.05


def test_without_a_linear_part_the_last_layer_is_alone():
    f = mixture(0.0)
    deep = RandomFeatures(f, 0.5, 0.8, layers=3, input_spectrum=TWO)
    assert np.array_equal(deep.stieltjes(POINTS), RandomFeatures(f, 0.5, 0.8).stieltjes(POINTS))
    assert deep.stieltjes(POINTS, method="quartic").shape == POINTS.shape


def test_many_layers_without_noise_are_a_product_of_square_matrices():
    for factors in (2, 3, 4):
        model = RandomFeatures(linear, 1, 1, layers=factors - 1, input_spectrum=[1.0])
        expected = [math.comb((factors + 1) * k, k) / (factors * k + 1) for k in (1, 2, 3, 4)]
        found = [moment(model, k) for k in (1, 2, 3, 4)]
        np.testing.assert_allclose(found, expected, rtol=1e-8)
        top = (factors + 1) ** (factors + 1) / factors**factors
        np.testing.assert_allclose(model.support(), [[0, top]], rtol=1e-9)


def moment(model, k, nodes=400, radius=None):
    """Return the k-th moment of the bulk from its transform on a circle around the spectrum."""
    radius = 2 * model.support()[-1, 1] if radius is None else radius
    z = radius * np.exp(1j * np.pi * (np.arange(nodes) + 0.5) / nodes)
    return float(-np.mean((z ** (k + 1) * model.stieltjes(z)).real))


# --- many layers


def fuss_catalan(s, x):
    """Return the distribution function of a product of s square matrices, by its parameter."""

    def place(phi):
        return np.sin((s + 1) * phi) ** (s + 1) / np.sin(phi) / np.sin(s * phi) ** s

    def density(phi):
        return np.sin(phi) ** 2 * np.sin(s * phi) ** (s - 1) / np.pi / np.sin((s + 1) * phi) ** s

    def mass(phi):
        slope = (s + 1) ** 2 / np.tan((s + 1) * phi) - 1 / np.tan(phi) - s**2 / np.tan(s * phi)
        return -density(phi) * place(phi) * slope

    last = np.pi / (s + 1)
    start = optimize.brentq(lambda phi: place(phi) - x, 1e-6, last * (1 - 1e-9))
    return integrate.quad(mass, start, last)[0]


def test_small_eigenvalues_of_a_product_are_counted():
    # One in twenty lies below 1e-9 here, and one in seventy below what the density resolves.
    model = RandomFeatures(linear, 1, 1, layers=5)
    x = [1e-9, 1e-3, 1.0, 10.0]
    expected = [fuss_catalan(6, point) for point in x]
    np.testing.assert_allclose(model.cdf(x), expected, atol=1e-6)
    assert expected[0] > 0.045
    assert model.cdf([0.0, 20.0]) == pytest.approx([0, 1], abs=1e-6)


@pytest.mark.parametrize("f, phi, psi", [(relu, 0.5, 0.8), (np.tanh, 1.0, 1.0), (linear, 3, 0.2)])
def test_sixty_layers_have_the_moments_of_traces(f, phi, psi):
    model = RandomFeatures(f, phi, psi, layers=60)
    zeta, second = model.zeta / model.eta, 1 / phi + 1
    for _ in range(60):
        second = zeta**2 * second + 1 - zeta**2 + psi / phi
    expected = [model.eta, model.eta**2 * phi / psi * second]
    radius = 2 * model.eta * model._bulk.equations.bound()
    found = [moment(model, k, 80, radius) for k in (1, 2)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_edge_of_many_layers():
    factors = 61
    model = RandomFeatures(linear, 1, 1, layers=factors - 1)
    top = (factors + 1) * (1 + 1 / factors) ** factors
    assert model._bulk.equations.bound() == pytest.approx(top, rel=1e-12)
    assert (model.density([top * (1 - 1e-6), top * (1 + 1e-6)]) > 0).tolist() == [True, False]


def test_layers_with_noise_forget_the_first_ones():
    some, more = (RandomFeatures(relu, 0.5, 0.8, layers=count) for count in (90, 200))
    np.testing.assert_allclose(more.stieltjes(POINTS), some.stieltjes(POINTS), rtol=1e-10)


# --- other routes


@pytest.mark.parametrize("f", [relu, np.tanh])
@pytest.mark.parametrize("spectrum", [None, TWO, [[0.0, 0.5, 4.0], [0.2, 0.64, 0.12 * 17 / 12]]])
def test_the_first_two_moments_are_those_of_traces(f, spectrum):
    phi, psis = 0.7, (0.5, 2.0, 1.3)
    values, weights = np.ones((2, 1)) if spectrum is None else np.array(spectrum)
    weights = weights / weights.sum()
    values = values / (values @ weights)
    model = RandomFeatures(f, phi, psis[-1], layers=psis[:-1], input_spectrum=[values, weights])
    zeta = model.zeta / model.eta
    second = values**2 @ weights / phi + 1
    for psi in psis:
        second = zeta**2 * second + 1 - zeta**2 + psi / phi
    expected = [model.eta, model.eta**2 * phi / psis[-1] * second]
    np.testing.assert_allclose([moment(model, 1), moment(model, 2)], expected, rtol=1e-9)


def nested(z, zeta, phi, gammas, values, weights):
    """Return the transform of the last C_l by iteration of each layer's own equation."""
    g = -1 / z
    if not gammas:
        for _ in range(40):
            g = 0.5 * g + 0.5 / (weights @ (values / (1 + values * g / phi)) - z)
        return g
    *before, gamma = gammas
    h = 1.0
    for _ in range(40):
        u = z / h
        p = nested((u - 1 + zeta) / zeta, zeta, phi, before, values, weights) / zeta
        h = 0.5 * h + 0.5 * (1 - (1 + u * p) / gamma)
    return p / h


@pytest.mark.parametrize("z", [1 + 2j, -0.5 + 1j, 6 + 1.5j])
def test_each_layer_solves_the_equation_of_silverstein(z):
    model = RandomFeatures(np.tanh, 0.8, 0.5, layers=[0.4], input_spectrum=TWO)
    found = model.solve(z * model.eta * 1.6)
    expected = nested(z, model.zeta / model.eta, 0.8, [2.0, 1.6], *np.array(TWO))
    assert found.companion * 1.6 * model.eta == pytest.approx(expected, rel=1e-9)


def simulated(f, n0, widths, m, sigma, generator):
    """Return the eigenvalues of a draw, the activation centred and scaled between layers."""
    law = RandomFeatures(f, 1, 1)
    Y = generator.standard_normal((n0, m)) * np.sqrt(sigma)[:, None]
    for width in widths:
        W = generator.standard_normal((width, len(Y))) / math.sqrt(len(Y))
        Z = f(W @ Y) - law.mean
        Y = Z / math.sqrt(law.eta)
    return simulated_spectra.eigenvalues(Z)


@pytest.mark.parametrize(
    "f, widths, spectrum",
    [
        (np.tanh, (300, 200), None),
        (relu, (200, 350, 200), None),
        (np.tanh, (250,), [0.1, 1.9]),
        (linear, (150, 300, 200), [0.0, 2.0]),
    ],
)
def test_a_simulated_spectrum(f, widths, spectrum):
    n0, m = 240, 360
    ratios = [n0 / width for width in widths]
    model = RandomFeatures(f, n0 / m, ratios[-1], layers=ratios[:-1], input_spectrum=spectrum)
    sigma = np.ones(n0) if spectrum is None else np.repeat(spectrum, n0 // 2)
    found = simulated(f, n0, widths, m, sigma, rng(4))
    assert simulated_spectra.kolmogorov_smirnov(found, model.cdf) < 0.02
    # The same draw is far from what one layer of white inputs gives.
    plain = RandomFeatures(f, n0 / m, ratios[-1])
    assert simulated_spectra.kolmogorov_smirnov(found, plain.cdf) > 0.03


# --- density, support, atom


def test_an_input_spectrum_with_a_gap_shows_in_the_support():
    model = RandomFeatures(linear, 0.02, 0.5, input_spectrum=[[0.05, 1.95], [0.5, 0.5]])
    edges = model.support()
    assert edges.shape == (2, 2)
    middle = edges.ravel()[1:3].mean()
    assert model.density(middle) == 0
    # Half of the features span n0 of n1 = n0/0.5 dimensions.
    assert model.atom() == pytest.approx(0.5)
    assert model.cdf(middle) == pytest.approx(0.5 + 0.5 * 0.5, abs=1e-5)


@pytest.mark.parametrize("layers", [2, [0.3], [2.0, 0.6]])
@pytest.mark.parametrize("psi", [0.5, 0.7, 1.4])
def test_the_density_has_all_of_the_mass_and_ends_at_the_edges(layers, psi):
    model = RandomFeatures(relu, 0.7, psi, layers=layers, input_spectrum=TWO)
    assert model.atom() == pytest.approx(max(0, 1 - psi / 0.7))
    assert model.cdf([-1.0, 0.0, 1e3]) == pytest.approx([0, model.atom(), 1], abs=1e-6)
    (lower, upper), *more = model.support()
    assert not more
    inside, outside = [lower * 1.001, upper * 0.999], [lower * 0.999, upper * 1.001]
    assert (model.density(inside) > 0).all() == (lower > 0)
    assert not model.density(outside[int(lower == 0) :]).any()
    assert (lower == 0) == (psi == 0.7)


@pytest.mark.parametrize(
    "psis, spectrum, rank",
    [
        ([2.0, 0.5], None, 0.5),
        ([0.4, 0.5], [0.0, 2.0], 0.5),
        ([0.4, 0.8], None, 1 / 1.25),
        ([0.4, 0.25], None, 1 / 4),
    ],
)
def test_without_noise_the_smallest_size_is_the_rank(psis, spectrum, rank):
    # In units of n0, with m = n0/phi = n0 the sizes are 1, 1/psi and 1.
    model = RandomFeatures(linear, 1.0, psis[-1], layers=psis[:-1], input_spectrum=spectrum)
    size = min(1.0, *(1 / psi for psi in psis), 0.5 if spectrum else 1.0)
    assert model.atom() == pytest.approx(1 - size * psis[-1])
    assert model.cdf(0.0) == pytest.approx(model.atom(), abs=1e-9)


def test_points_where_rounding_of_small_layers_is_what_is_left():
    model = RandomFeatures(linear, 2 / 3, 1.2, layers=[1.5, 0.75])
    z = 1e-11 * np.array([1 + 1j, 1e-3 + 1j])
    # The mass at 0 is all that is seen from there.
    np.testing.assert_allclose(-z * model.stieltjes(z), model.atom(), rtol=1e-6)


# --- as objects, and what is refused


def test_models_are_equal_if_layers_and_spectra_are():
    model = RandomFeatures(relu, 0.5, 0.8, layers=3)
    assert model == RandomFeatures(relu, 0.5, 0.8, layers=[0.8, 0.8])
    assert model.layers == (0.8, 0.8, 0.8)
    assert model != RandomFeatures(relu, 0.5, 0.8, layers=2)
    assert model != RandomFeatures(relu, 0.5, 0.8, layers=3, input_spectrum=[1.0])
    one = RandomFeatures(relu, 0.5, 0.8, input_spectrum=[0.5, 0.5, 2.0])
    assert one == RandomFeatures(relu, 0.5, 0.8, input_spectrum=[[2.0, 0.5], [1, 2]])
    assert repr(model).endswith("kinds of row: 1, layers: 3)")
    assert RandomFeatures(np.tanh, 1, 1, layers=2).outlier(100) is None


@pytest.mark.parametrize(
    "options, message",
    [
        ({"layers": 0}, "layers must be an integer >= 1, got 0$"),
        ({"layers": 1.5}, "layers must be an integer >= 1, got 1.5$"),
        ({"layers": "2"}, "layers must be an integer >= 1, got '2'$"),
        ({"layers": [1.0, -1.0]}, "layers must be a positive number, got -1.0$"),
        (
            {"layers": [1e-310]},
            r"phi, psi and phi/psi must be between 1e-50 and 1e\+50, got phi = 1, psi = 1e-310$",
        ),
        ({"layers": 2, "bias_std": 0.5}, "layers must be 1 and input_spectrum None with a bias$"),
        ({"input_spectrum": [1.0], "bias": [0.5]}, "layers must be 1 and input_spectrum None"),
        ({"input_spectrum": [1.0, 2.0]}, "input_spectrum must have mean 1, got 1.5; divide it"),
        ({"input_spectrum": [3.0, -1.0]}, "input_spectrum must hold numbers >= 0, .* got -1.0$"),
        ({"input_spectrum": [[1.0], [0.0]]}, "input_spectrum must hold numbers >= 0, and weights"),
        ({"input_spectrum": [[[1.0]]]}, r"input_spectrum must have shape \(K,\) or \(2, K\)"),
        ({"input_spectrum": [[1.0]]}, r"input_spectrum must have .*, got shape \(1, 1\)$"),
        ({"input_spectrum": []}, "input_spectrum must not be empty"),
    ],
)
def test_wrong_layers_and_spectra_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        RandomFeatures(relu, 1, 1, **options)


def test_what_is_not_known_for_layers_is_refused():
    model = RandomFeatures(relu, 0.5, 0.8, layers=2)
    with pytest.raises(ValueError, match=r"^layers must be 1 .* for the outlier of a mean$"):
        model.outlier(100)
    for method in ("quartic", "fixed-point"):
        with pytest.raises(
            ValueError, match=f"^method must be layers for this model, got {method}"
        ):
            model.density(1.0, method=method)
    with pytest.raises(ValueError, match=r"^method must be quartic or fixed-point for this model"):
        RandomFeatures(relu, 0.5, 0.8).density(1.0, method="layers")
    with pytest.raises(ConvergenceError, match=r"^the layers solver did not converge at z = "):
        model.solve(1 + 1e-9j, most_steps=1)


def test_a_solution_outside_of_the_half_plane_is_refused():
    model = RandomFeatures(relu, 0.5, 0.8, layers=2)
    equations, z = model._bulk.equations, np.array([0.7 + 0.1j])
    assert isinstance(equations, _layers.Layers)
    y = equations.start(np.array([0.7 + 50j]))
    for height in 10.0 ** np.arange(1.7, -1.1, -0.2):
        y = equations.newton(np.array([0.7 + 1j * max(height, 0.1)]), y, 1e-11)[0]
    assert np.isfinite(equations.newton(z, y, 1e-11)[1]).all()
    assert equations.newton(z.conj(), y.conj(), 1e-11)[1] == [np.inf]
