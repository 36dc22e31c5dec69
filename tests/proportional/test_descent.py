"""The way down to the axis, by a semicircle, and the two systems of equations written out."""

import math

import numpy as np
import pytest

from reluspec_lib.proportional import _descent
from reluspec_lib.proportional._descent import REAL, STEEP, Descent
from reluspec_lib.proportional._fixed_point import FixedPoint, _Linearised
from reluspec_lib.proportional._layers import _POSITIVE, Layers, _Point


class Semicircle(Descent):
    """g = -1/(z + g), for which a step down by more than a factor is made to fail on demand."""

    def __init__(self, shortest=0.0):
        self.shortest, self.last, self.heights = shortest, 0.0, []

    def bound(self):
        return 2.0

    def start(self, z):
        return (-1 / z)[None]

    def change(self, z, found):
        return -(found + 1 / (z + found)) / (1 - 1 / (z + found) ** 2)

    def checked(self, z, found):
        height = z.imag.max()
        fine = height >= self.shortest * self.last or height == 0
        self.heights.append(height)
        if fine:
            self.last = height
        return np.abs(found[0] * (z + found[0]) + 1), (found[0].imag > -1e-9) & fine

    def transforms(self, z, found):
        return found[0], z * found[0]


def semicircle(z):
    root = np.sqrt(z - 2) * np.sqrt(z + 2)
    return (root - z) / 2


@pytest.mark.parametrize("z", [1j, 0.3 + 1e-3j, -1.2 + 1e-9j, 1.5 + 0j, 3 + 0j, -7 + 1e-12j, 50j])
def test_the_descent_reaches_a_semicircle(z):
    equations = Semicircle()
    s, h, residual, steps = equations.solve(np.array([z]), 1e-12, 5000)
    assert s[0] == pytest.approx(semicircle(z if z.imag else z + 1e-300j), abs=1e-10)
    assert h[0] == pytest.approx(z * s[0], rel=1e-12)
    assert residual[0] <= 1e-12
    assert 0 < steps[0] < 200
    # From twice the bound, or the point itself where that is higher.
    assert equations.heights[0] == max(z.imag, 2 * max(abs(z), 2))
    assert equations.heights[-1] == z.imag


def test_points_go_down_together_each_by_itself():
    z = np.array([1j, 0.3 + 1e-3j, 1.5 + 0j, 50j])
    s, _, residual, steps = Semicircle().solve(z, 1e-12, 5000)
    alone = [Semicircle().solve(each[None], 1e-12, 5000) for each in z]
    np.testing.assert_allclose(s, [each[0][0] for each in alone], rtol=1e-12)
    assert (residual <= 1e-12).all()
    assert steps.tolist() == [each[3][0] for each in alone]


@pytest.mark.parametrize("shortest", [0.1, 0.5, 0.9])
def test_a_step_that_fails_is_tried_again_over_less(shortest):
    equations = Semicircle(shortest)
    z = np.array([0.3 + 0.05j])
    s, _, residual, _ = equations.solve(z, 1e-12, 5000)
    assert s[0] == pytest.approx(semicircle(z[0]), abs=1e-10)
    assert residual[0] <= 1e-12
    # The heights that were taken lie no further apart than what succeeds.
    assert len(equations.heights) > math.log(0.05 / 4) / math.log(shortest)


def test_what_does_not_arrive_has_no_residual():
    z = np.array([0.3 + 1e-9j])
    _, _, residual, steps = Semicircle().solve(z, 1e-12, 1)
    assert residual.tolist() == [np.inf]
    assert steps[0] >= 1
    # Steps that only fail, however short.
    equations = Semicircle(1.5)
    assert equations.solve(z, 1e-12, 5000)[2].tolist() == [np.inf]
    assert len(equations.heights) < 100


def test_newton_reports_steps_and_what_it_did_not_reach():
    equations, z = Semicircle(), np.array([0.3 + 1j, 1 + 2j])
    exact = semicircle(z)
    found, residual, steps = equations.newton(z, np.array([exact[0], exact[1] * 1.1])[None], 1e-10)
    np.testing.assert_allclose(found[0], exact, rtol=1e-9)
    assert (residual <= 1e-10).all()
    assert steps[0] == 1 < steps[1] < 10
    _, residual, _ = equations.newton(z, (1 / exact)[None], 1e-10)
    # The other solution of the same equation, in the lower half plane.
    assert residual.tolist() == [np.inf, np.inf]


class Drift(Semicircle):
    """Unknowns that move on by the same amount for ever, with an error that is given."""

    def __init__(self, change, error=0.0):
        super().__init__()
        self.by, self.error = change, error

    def change(self, z, found):
        return np.full(found.shape, self.by)

    def checked(self, z, found):
        return np.full(z.shape, self.error), np.ones(z.shape, bool)


def test_newton_ends_where_the_change_is_small_beside_the_unknown():
    z, tolerance = np.array([1j]), 2.0**-40
    # The unknown 1 is reached by exactly the tolerance; 1e-3 moves by more than that for ever.
    _, _, steps = Drift(tolerance).newton(z, np.array([[1 - tolerance]]), tolerance)
    assert steps.tolist() == [1]
    _, _, steps = Drift(1e-16).newton(z, np.array([[1e-3]]), tolerance)
    assert steps.tolist() == [1]
    _, _, steps = Drift(1e-11).newton(z, np.array([[1e-3]]), tolerance)
    assert steps.tolist() == [_descent._NEWTON_STEPS]


def test_an_error_that_is_just_allowed():
    for error, expected in ((1e-10, 1e-10), (1.1e-10, np.inf)):
        _, residual, _ = Drift(0.0, error).newton(np.array([1j]), np.ones((1, 1)), 1e-10)
        assert residual.tolist() == [expected]


def test_newton_does_not_warn_where_it_leaves_the_numbers():
    z = np.array([0.3 + 1j])
    with np.errstate(all="raise"):
        _, residual, _ = Semicircle().newton(z, -z[None], 1e-10)
    assert residual.tolist() == [np.inf]


def test_steps_are_counted_over_all_heights_and_end_the_descent():
    z, counts = np.array([0.3 + 1e-9j]), []

    class Counted(Semicircle):
        def newton(self, *arguments):
            found = super().newton(*arguments)
            counts.append(int(found[2][0]))
            return found

    *_, steps = Counted().solve(z, 1e-12, 5000)
    assert len(counts) > 3
    assert steps.tolist() == [sum(counts)]
    total, passes = sum(counts[:2]), 2
    for most, expected in ((total - 1, passes), (total, passes), (total + 1, passes + 1)):
        counts.clear()
        Counted().solve(z, 1e-12, most)
        assert len(counts) == expected


# --- the two equations over rows


ZETA, NOISE, WEIGHT = (
    np.array([0.3, 1.1, 0.0]),
    np.array([0.8, 0.1, 0.5]),
    np.array([0.2, 0.5, 0.3]),
)
ALPHA, GAMMA = 1.7, 0.6


def written_out(z, s, t):
    """Return what both equations of the module miss, and the mean of h."""
    h = 1 / (1 + NOISE * s + ZETA * t)
    E, K = WEIGHT @ (NOISE * h), WEIGHT @ (ZETA * h)
    return z * s + 1 - GAMMA * (s * E + t * K), s - t - ALPHA * s * t * K, WEIGHT @ h


def test_rows_of_three_kinds_solve_the_equations_as_written():
    equations = FixedPoint(ZETA, NOISE, WEIGHT, ALPHA, GAMMA)
    z = np.array([1 + 2j, 0.2 + 0.01j, 5 + 1e-6j, -3 + 1e-3j])
    far = 1j * 30 + z
    np.testing.assert_array_equal(equations.start(far), [-1 / far, -1 / far])
    found = equations.newton(far, equations.start(far), 1e-12)[0]
    for each, (s, t) in zip(far, found.T, strict=True):
        first, second, _ = written_out(each, s, t)
        assert max(abs(first), abs(second)) < 1e-13
        assert min(s.imag, t.imag) > 0
    s, h, residual, _ = equations.solve(z, 1e-11, 5000)
    assert (residual <= 1e-11).all()
    # The first equation once more, for 1 - h is the mean of (e s + zeta t) h.
    np.testing.assert_allclose(z * s + 1, GAMMA * (1 - h), rtol=1e-9)
    # One Newton step squares the error, so that all derivatives are right.
    off = found * (1 + 1e-4j)
    after = off + equations.change(far, off)
    assert (np.abs(after / found - 1) < 1e-7).all()


def test_the_error_of_the_equations_over_rows():
    equations = FixedPoint(ZETA, NOISE, WEIGHT, ALPHA, GAMMA)
    z, s, t = 0.7 + 0.4j, -0.3 + 0.9j, 0.2 + 0.35j
    error, admissible = equations.checked(np.array([z]), np.array([[s], [t]]))
    first, second, mean = written_out(z, s, t)
    assert error[0] == pytest.approx(max(abs(first) / (1 + abs(z * s)), abs(second / s)), rel=1e-13)
    error, _ = equations.checked(np.array([200 * z]), np.array([[s], [t]]))
    first = written_out(200 * z, s, t)[0]
    assert error[0] == pytest.approx(abs(first) / (1 + abs(200 * z * s)), rel=1e-13)
    transforms = equations.transforms(np.array([z]), np.array([[s], [t]]))
    assert [each[0] for each in transforms] == [s, pytest.approx(mean, rel=1e-14)]
    assert admissible.tolist() == [True]
    for one, other in ((s, t.conjugate()), (s.conjugate(), t)):
        assert not equations.checked(np.array([z]), np.array([[one], [other]]))[1].any()


class At(_Linearised):
    """Values of s and t whose slopes in z are given."""

    def __init__(self, z, values, slopes):
        self.z = np.array([z + 0j])
        self.s, self.t = np.array(values)[:, None] + 0j
        self.slopes = np.array(slopes)[:, None] + 0j

    def solve(self, first, second):
        return self.slopes


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(
    "value, slope, allowed",
    [
        (1 + 1e-6j, -1, True),
        (1 - 1e-6j, 1, False),
        (-1 - 1e-6j, STEEP * 10, False),
        # Next to the axis s and t grow with z, above it too.
        (1 - 1e-8j, 1, True),
        (-1 - 1e-8j, 1, True),
        (1 + 1e-8j, -1, False),
        (1, 0, False),
        # But not at an edge, where the slope is steep.
        (1, -1.05 * STEEP, True),
        (-1, -1.05 * STEEP, True),
        (1, -0.95 * STEEP, False),
        (-1, -0.95 * STEEP, False),
    ],
)
def test_which_solutions_over_rows_are_limits_from_above(size, value, slope, allowed):
    z = 0.25
    # One of the two alone decides, whichever it is.
    one, fine = (size * value, size * slope / z), (1j, 0)
    for (s, s_slope), (t, t_slope) in ((one, fine), (fine, one), (one, one)):
        here = At(z, [s, t], [s_slope, t_slope])
        assert here.admissible().tolist() == [allowed]


def test_the_bound_over_rows_is_that_of_the_largest():
    linear = math.sqrt(1.1) * (1 + math.sqrt(1.7)) * (1 + math.sqrt(0.6 / 1.7))
    expected = (linear + math.sqrt(0.8) * (1 + math.sqrt(0.6))) ** 2
    equations = FixedPoint(ZETA, NOISE, WEIGHT, ALPHA, GAMMA)
    assert equations.bound() == pytest.approx(expected, rel=1e-14)


# --- the chain of equations


SIGMA, SHARE = np.array([0.25, 1.75]), np.array([0.5, 0.5])


def chain(y, zeta, noise, phi, gammas):
    """Return z, s, h and all w and g of the chain of the module that starts at y = -1/g_0."""
    g = -1 / y
    w = -1 / g + np.sum(SHARE * SIGMA / (1 + SIGMA * g / phi))
    passed = [y, w]
    for gamma in gammas:
        u, p = zeta * w + noise, g / zeta
        h = 1 - (1 + u * p) / gamma
        w, g = h * u, p / h
        passed += [w, g]
    return gammas[-1] * w, g / gammas[-1], h, [*passed[:-2], g]


@pytest.mark.parametrize(
    "zeta, noise, phi, gammas", [(0.7, 0.3, 1.3, [0.6, 1.7]), (1, 0, 2, [0.5])]
)
def test_the_chain_as_written_and_its_derivatives(zeta, noise, phi, gammas):
    equations = Layers(zeta, noise, phi, gammas, SIGMA, SHARE)
    y, small = np.array([0.4 + 0.8j, -1.5 + 0.3j, 6 + 1e-3j]), 1e-6
    here, before, after = (equations.at(y + shift) for shift in (0, -small, small))
    for k, each in enumerate(y):
        z, s, h, upper = chain(each, zeta, noise, phi, gammas)
        assert [here.z[k], here.s[k], here.h[k]] == pytest.approx([z, s, h], rel=1e-12)
        assert [value[k] for value, _ in here.upper] == pytest.approx(upper, rel=1e-12)
    np.testing.assert_allclose(here.slope, (after.z - before.z) / 2 / small, rtol=1e-7)
    for one, low, high in zip(here.upper, before.upper, after.upper, strict=True):
        np.testing.assert_allclose(one[1], (high[0] - low[0]) / 2 / small, rtol=1e-6)
    # Newton's change, the error and the first guess.
    z = here.z * (1 + 1e-3j)
    np.testing.assert_allclose(equations.change(z, y[None])[0], (z - here.z) / here.slope)
    error, _ = equations.checked(z, y[None])
    np.testing.assert_allclose(error * (1 + here.size), np.abs(here.z / z - 1), rtol=1e-12)
    far = np.array([1e9 + 1e9j])
    np.testing.assert_allclose(equations.at(equations.start(far)[0]).z, far, rtol=1e-7)


def test_how_much_rounding_is_in_the_end_of_the_chain():
    # Each layer passes on what its linear part has, and adds what the terms of h lose in their sum.
    zeta, noise, gammas = 0.7, 0.3, [0.6, 1.7]
    equations = Layers(zeta, noise, 1.3, gammas, SIGMA, SHARE)
    y = np.array([0.4 + 0.8j, -1.5 + 0.3j, 6 + 1e-3j, 0.21 + 0.01j])
    for each, found in zip(y, equations.at(y).size, strict=True):
        w = chain(each, zeta, noise, 1.3, gammas[:1])[3][1]
        size = (1 + abs(1 - w / each)) / abs(w / each)
        for layer in (1, 2):
            u = zeta * w + noise
            z, _, h, _ = chain(each, zeta, noise, 1.3, gammas[:layer])
            size = size * abs(zeta * w / u) + (1 + abs(1 - h)) / abs(h)
            w = z / gammas[layer - 1]
        assert found == pytest.approx(size, rel=1e-12)


def test_the_first_guess_is_the_chain_of_sizes_far_above_that_of_the_data():
    # Then every h is 1, and w_0 is y + 1.
    equations = Layers(0.7, 0.3, 1e9, [1e9, 2e9], SIGMA, SHARE)
    z = 2e9 * np.array([5 + 1j, -3 + 2j])
    np.testing.assert_allclose(equations.at(equations.start(z)[0]).z, z, rtol=1e-8)


@pytest.mark.parametrize(
    "value, slope, allowed",
    [
        (1 + 1j, -1, True),
        (1 + 1e-11j, -1, True),
        (1 - 1e-6j, 1, False),
        # Next to the axis the slope in z decides, that of z in y being -2 here.
        (1 + 1e-13j, -1, True),
        (1 - 1e-8j, -1, True),
        (1 + 0j, 0, False),
        (1 + 1e-13j, 1, False),
        (1 - 1e-8j, 1, False),
        # But not at an edge: the slope times z = 0.5 is more than 1e5 times the value.
        (1 - 1e-8j, 4.1e5, True),
        (1 - 1e-8j, 3.9e5, False),
        (1 + 0j, 4e5, False),
        (1e3 * (1 - 1e-8j), 4.1e5, False),
        (1e-3 * (1 - 1e-8j), 4.1e2, True),
    ],
)
def test_what_is_a_limit_from_above(value, slope, allowed):
    equations, z = Layers(0.7, 0.3, 1.3, [0.6], SIGMA, SHARE), np.array([0.5 + 0j])
    fine, one = (np.array([2 + 1j]), np.ones(1)), np.ones(1)
    number = np.array([value]), np.array([slope + 0j])
    # One number alone decides, wherever it stands.
    for upper in ([number], [fine, number], [number, fine]):
        here = _Point(z, np.array([-2 + 0j]), one, one, one, upper)
        assert equations._admissible(z, here).tolist() == [allowed]


@pytest.mark.parametrize("part", [_POSITIVE, -REAL])
def test_an_imaginary_part_that_is_as_large_as_rounding(part):
    equations, z, one = Layers(0.7, 0.3, 1.3, [0.6], SIGMA, SHARE), np.array([0.5 + 0j]), np.ones(1)
    # A number of the size 1, so that its imaginary part is not rounded.
    near = 1 - np.arange(99) * 2.0**-53 + 1j * part
    value = near[np.abs(near) == 1][:1]
    for slope, allowed in ((-1, False), (1, True)):
        here = _Point(z, one, one, one, one, [(value, slope * one)])
        assert equations._admissible(z, here).tolist() == [allowed]


def test_transforms_at_a_pole_of_the_chain_warn_of_nothing():
    equations = Layers(0.7, 0.3, 1.0, [0.6], SIGMA, SHARE)
    with np.errstate(all="raise"):
        s, h = equations.transforms(np.ones(1, complex), np.array([[SIGMA[0], 0.0]]))
    assert len(s) == len(h) == 2


@pytest.mark.parametrize("phi, psi", [(0.5, 0.8), (2.0, 0.7)])
def test_the_upper_edge_of_a_product_of_two(phi, psi):
    # The edge is the least z(y) to the right of all poles, one layer of white inputs: z'(y) = 0.
    equations = Layers(1.0, 0.0, phi, [phi / psi], np.ones(1), np.ones(1))
    y = np.linspace(1.0001 / phi, 40 / phi, 400_001)
    z = equations.at(y + 0j).z.real
    positive = z[(equations.at(y + 0j).h.real > 0)]
    assert equations.bound() == pytest.approx(positive.min(), rel=1e-7)
