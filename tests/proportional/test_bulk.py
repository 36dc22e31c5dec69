"""The solvers behind one door: reports, densities and edges with closed forms, and fast."""

import math

import numpy as np
import pytest
from scipy import special

from reluspec_lib.proportional import _descent, _quartic
from reluspec_lib.proportional._bulk import Bulk
from reluspec_lib.proportional._rows import Rows
from reluspec_lib.proportional.resolvent import ConvergenceError, RandomFeatures, relu


def bulk_of_noise(phi, psi, kinds=(0.3, 0.7)):
    """Return the bulk of Marchenko and Pastur, with the rows said to be of several kinds."""
    none = np.zeros(len(kinds))
    return Bulk(Rows(np.array(kinds), none, none, none + 1, none, none, False), 1.0, phi, (psi,))


@pytest.mark.parametrize("phi, psi", [(0.3, 0.6), (2.0, 1.0), (300.0, 0.003)])
def test_rows_of_several_kinds_that_are_alike(phi, psi):
    bulk, gamma = bulk_of_noise(phi, psi), phi / psi
    lower, upper = edges = (1 + np.array([-1, 1]) * math.sqrt(gamma)) ** 2
    assert bulk.method == "fixed-point"
    # With many more rows than columns the support lies between two points of the grid.
    np.testing.assert_allclose(bulk.support, [edges], rtol=1e-9)
    assert bulk.atom() == max(0, 1 - 1 / gamma)
    x = np.array([lower / 2, lower + 0.1 * (upper - lower), 0.5 * (lower + upper), 1.005 * upper])
    inside = np.clip((upper - x) * (x - lower), 0, None)
    expected = np.sqrt(inside) / (2 * np.pi * gamma * x)
    np.testing.assert_allclose(bulk.density(x, "fixed-point"), expected, rtol=1e-9)


def test_a_bulk_between_two_points_of_the_grid_has_its_whole_mass():
    model = RandomFeatures(relu, 1e7, 1.0, bias_std=0.5)
    (lower, upper), middle = model.support()[0], 1e7 * model.eta
    assert lower < middle < upper < 1.002 * lower
    found = model.cdf([0.0, lower, upper])
    np.testing.assert_allclose(found, [1 - 1e-7, 1 - 1e-7, 1], rtol=1e-9)
    layers = RandomFeatures(relu, 1e7, 1.0, layers=[1.0])
    lower, upper = layers.support()[0]
    assert lower < 1e7 * layers.eta < upper < 1.002 * lower


@pytest.mark.parametrize("share", [2.0**-18, 2.0**-32, 2.0**-42])
@pytest.mark.parametrize("alpha, gamma", [(20.0, 1e-5), (2e4, 2e-5), (2e4, 7.0)])
def test_noise_that_is_nearly_nothing_beside_the_linear_part(share, alpha, gamma):
    # Roots of one quartic are up to 1e31 times apart here.
    none = np.zeros(1)
    rows = Rows(none + 1, none, none + 1 - share, none + share, none, none, False)
    bulk = Bulk(rows, 1.0, gamma / alpha, (1 / alpha,))
    noise, linear = bulk.support
    assert 0.9 * share < noise[1] < 15 * share
    # n1 W W^T/n0 and X X^T/m have n0 eigenvalues around alpha, of n1 in all.
    assert linear[0] < alpha < linear[1] < 2 * alpha
    middle = (noise[1] + linear[0]) / 2
    x = np.array([middle, linear.mean()])
    found = bulk.density(x, "quartic")
    np.testing.assert_allclose(found, bulk.density(x, "fixed-point"), rtol=1e-9)
    assert found[1] > 0 == found[0]
    assert bulk.cdf(np.array([middle]))[0] == pytest.approx(1 - 1 / alpha, abs=1e-8)


def test_sizes_too_far_apart_for_the_quartic():
    model = RandomFeatures(np.tanh, 1e18, 1.0)
    with pytest.raises(ConvergenceError, match=r"^no edge of the support was found: the sizes are"):
        model.support()


def test_the_report_of_a_solution():
    model, z = RandomFeatures(relu, 0.5, 0.8), np.array([[1 + 1j], [0.5 + 1e-3j]])
    roots, fixed = model.solve(z), model.solve(z, method="fixed-point")
    assert (roots.method, roots.steps, fixed.method) == ("quartic", 0, "fixed-point")
    assert isinstance(fixed.steps, int)
    assert fixed.steps > 0
    for found in (roots, fixed):
        assert found.stieltjes.shape == found.companion.shape == z.shape
        assert isinstance(found.residual, float)
        assert 0 < found.residual < 1e-11
    np.testing.assert_allclose(fixed.companion, roots.companion, rtol=1e-10)
    # The residual may be as large as what is allowed, and no larger.
    assert model.solve(z, tolerance=roots.residual) == roots
    allowed = roots.residual / 2
    message = (
        f"^the quartic solver did not converge at z = .* after 0 steps: "
        f"residual {roots.residual:.3g}, allowed {allowed:.3g}$"
    )
    with pytest.raises(ConvergenceError, match=message):
        model.solve(z, tolerance=allowed)


def test_an_error_names_the_solver_that_failed(monkeypatch):
    model, x = RandomFeatures(relu, 0.5, 0.8), np.array([0.3, 0.9])
    chained, bulk = RandomFeatures(relu, 0.5, 0.8, layers=2), bulk_of_noise(0.3, 0.6)
    density = model.density(x)
    monkeypatch.setattr(_descent, "_NEWTON_STEPS", 0)
    # The quartic does not need Newton's method for two unknowns.
    np.testing.assert_array_equal(model.density(x), density)
    fixed, layers = "^the fixed-point solver did not", "^the layers solver did not"
    for call, message in (
        (lambda: model.density(x, method="fixed-point"), fixed),
        (lambda: chained.density(x), layers),
        (lambda: bulk._edge(1.0, 50.0), fixed),
        (lambda: bulk._mass_below(0.1, 2.0), fixed),
    ):
        with pytest.raises(ConvergenceError, match=message):
            call()
    monkeypatch.setattr(_quartic, "_SOLVED", 1e-30)
    with pytest.raises(ConvergenceError, match=fixed):
        model.density(x)


def test_points_that_leave_the_floats_in_the_unit_of_the_model():
    for scale, far in ((1e-149, [1e300, -1e300]), (1e149, [1e-300, -1e-300])):
        model = RandomFeatures(lambda t, scale=scale: scale * np.tanh(t), 0.5, 0.8)
        with np.errstate(all="raise"):
            assert model.density(far).tolist() == [0, 0]


def test_the_distribution_function_of_known_pieces():
    bulk = bulk_of_noise(0.3, 0.6)
    # Pieces of the mass 0.3 and 0.4 with the density of 1 and of 1/x.
    near, far = (lambda t, mass=mass: mass * special.betainc(6, 6, t) for mass in (0.3, 0.4))
    bulk.__dict__["_masses"] = (0.1, 0.3, [(0.0, 2.0, near), (3.0, 12.0, far)])
    found = bulk.cdf(np.array([-1.0, 0.0, 1e-9, 0.5, 2.0, 2.5, 6.0, 12.0, 1e9]))
    np.testing.assert_allclose(
        found, [0, 0.1, 0.3, 0.375, 0.6, 0.6, 0.8, 1, 1], rtol=1e-9, atol=1e-12
    )
    # Rounding of the integrals leads neither below 0 nor above 1.
    bulk.__dict__["_masses"] = (0.0, 0.0, [(1.0, 2.0, lambda t: 1.00001 * t - 1e-6)])
    assert bulk.cdf(np.array([0.5, 1.0, 2.0])).tolist() == [0, 0, 1]
