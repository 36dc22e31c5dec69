"""The quartic by itself: branch, accuracy and edges against many digits and closed forms."""

import math

import mpmath as mp
import numpy as np
import pytest

from reluspec_lib.proportional._fixed_point import FixedPoint
from reluspec_lib.proportional._quartic import Quartic

# zeta, noise, alpha, gamma: plain ones, both special cases, nearly these, and a factor that is
# small with h.
CASES = [
    (0.7, 0.3, 1.25, 0.6),
    (0.0, 1.0, 0.5, 2.0),
    (1.0, 0.0, 2.0, 0.7),
    (1 - 1e-9, 1e-9, 5.0, 3.0),
    (0.01, 0.99, 0.1, 1.05),
    (0.99, 0.01, 5.0, 0.5),
    (1 - 1e-4, 1e-4, 0.05, 20.0),
]


def quartic(case):
    return Quartic(*case, closed=False)


def refined(case, z, q):
    """Return s and h of the docstring at the root next to q, by Newton's method in many digits."""
    zeta, noise, alpha, gamma, q = *map(mp.mpf, case), mp.mpc(complex(q))
    z = mp.mpc(complex(z))
    for _ in range(6):
        D = 1 + alpha * zeta * q
        h, slope = 1 - noise * q - zeta * q / D, -noise - zeta / D**2
        factor = gamma * (1 - h) - 1
        q -= (h * factor - z * q) / (slope * (factor - gamma * h) - z)
    return q / h, h


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("height", [1.0, 1e-3, 1e-8, 1e-11, 1e-15])
def test_the_branch_is_the_one_in_the_half_planes_in_many_digits(case, height):
    equations = quartic(case)
    top = equations.intervals(1e3, equations.density)[-1, 1]
    z = top * np.array([1e-9, 0.03, 0.9, 1.3, 1e8]) * (1 + 1j * height)
    s, h, residual, steps = equations.solve(z)
    assert (residual < 1e-13).all()
    assert (steps.dtype, steps.tolist()) == (np.int64, [0] * len(z))
    with mp.workdps(40):
        exact = [refined(case, *each) for each in zip(z, s * h, strict=True)]
        assert all(one.imag > 0 > other.imag for one, other in exact)
    np.testing.assert_allclose(s, [complex(one) for one, _ in exact], rtol=1e-11)
    np.testing.assert_allclose(h, [complex(other) for _, other in exact], rtol=1e-11)


@pytest.mark.parametrize("case", CASES)
def test_the_density_at_the_axis_in_many_digits(case):
    equations = quartic(case)
    for lower, upper in equations.intervals(1e3, equations.density):
        x = lower + (upper - lower) * np.array([1e-3, 0.7, 0.999])
        s, h, _, _ = equations.solve(x * (1 + 1e-14j))
        with mp.workdps(40):
            exact = [refined(case, *each)[1].imag for each in zip(x, s * h, strict=True)]
        expected = np.array([float(-depth) for depth in exact]) / (math.pi * x)
        np.testing.assert_allclose(equations.density(x), expected, rtol=1e-9)
        outside = np.array([lower * (1 - 1e-4), upper * (1 + 1e-4)])
        assert equations.density(outside).tolist() == [0, 0]


@pytest.mark.parametrize("case", CASES)
def test_edges_are_where_a_pair_of_roots_meets(case):
    equations = quartic(case)
    zeta, noise, alpha, gamma = map(mp.mpf, case)

    def place(q):
        h = 1 - noise * q - zeta * q / (1 + alpha * zeta * q)
        return h * (gamma * (1 - h) - 1) / q

    for edge in equations.intervals(1e3, equations.density).ravel():
        # The pair next to the edge; its middle is next to the double root.
        roots = equations.roots(np.array([edge]))[0]
        gaps = np.abs(roots[:, None] / roots - 1) + 1e300 * np.eye(len(roots))
        one, other = np.unravel_index(gaps.argmin(), gaps.shape)
        with mp.workdps(40):
            start = mp.mpf(float(roots[[one, other]].real.mean()))
            double = mp.findroot(lambda q: mp.diff(place, q), start)
            assert edge == pytest.approx(float(place(double)), rel=1e-13)


def test_the_residual_is_the_error_of_either_equation_relative_to_its_terms():
    zeta, noise, alpha, gamma = case = (0.7, 0.3, 1.25, 0.6)
    equations, z = quartic(case), 0.5 + 0.25j
    for q in (-0.4 + 2.0j, 1.7 + 0.05j):
        D = 1 + alpha * zeta * q
        h = 1 - noise * q - zeta * q / D
        terms = 1 + abs(noise * q) + abs(zeta * q / D)
        small = abs(h) < 0.1
        taken = z * q / (gamma * (1 - h) - 1) if small else h
        factor = gamma * (1 - taken) - 1
        expected = abs(taken * factor - z * q) / (terms * abs(factor - gamma * taken) + abs(z * q))
        expected = max(expected, abs(taken - h) / terms)
        found, residual = equations._h_and_residual(np.array([[z]]), np.array([[q]]))
        assert small == (q.imag < 1)
        assert found[0, 0] == pytest.approx(taken, rel=1e-14)
        assert residual[0, 0] == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("side", [-1, 1])
def test_an_edge_that_is_zero_to_rounding_is_zero(side):
    # Marchenko and Pastur: the lower edge is about 1e-27, which is no gap that can be seen.
    equations = Quartic(0.0, 1.0, 0.5, 1 + side * 1e-13, closed=False)
    np.testing.assert_allclose(equations.intervals(5.0, equations.density), [[0, 4]], rtol=1e-12)


@pytest.mark.parametrize("case", [(0.0, 1.0, 0.05, 0.05), (0.7, 0.3, 1.25, 0.6), (0.0, 1.0, 5, 1)])
def test_points_at_the_limits_of_floats_give_neither_warnings_nor_a_density(case):
    equations = quartic(case)
    x = np.array([1e-300, 1e-20, 1.0, 4.0, 1e10, 1e300])
    density = equations.density(x)
    assert density[[4, 5]].tolist() == [0, 0]
    assert density[2] > 0
    s, h, residual, _ = equations.solve(1j * x)
    assert (residual[2:] < 1e-12).all()
    np.testing.assert_allclose(1j * x[4:] * s[4:], -1, rtol=1e-9)
    np.testing.assert_allclose(h[4:], 1, rtol=1e-9)
    assert equations.solve(x * (1 + 1e-15j))[0].shape == (6,)
    assert len(equations.roots(x)) == 6


def many_digits(case, x):
    """Return the density from all roots of the polynomial in 60 digits."""
    zeta, noise, alpha, gamma, x = map(mp.mpf, (*case, x))
    slope = alpha * zeta
    # D and N by rising powers of q, and N (gamma (D - N) - D) - x q D^2.
    D, N = [1, slope, 0], [1, slope - noise - zeta, -slope * noise]
    inner = [gamma * (one - other) - one for one, other in zip(D, N, strict=True)]
    polynomial = [mp.mpf(0)] * 5
    for i in range(3):
        for j in range(3):
            polynomial[i + j] += N[i] * inner[j]
            if i + j < 4:
                polynomial[i + j + 1] -= x * D[i] * D[j]
    roots = mp.polyroots(polynomial[::-1], maxsteps=500, extraprec=400)
    depths = [abs((1 - noise * q - zeta * q / (1 + slope * q)).imag) for q in roots]
    largest = max(depths)
    return float(largest / mp.pi / x) if largest > mp.mpf(10) ** -40 else 0.0


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-5, 1e-6, 1e-8])
@pytest.mark.parametrize("noise", [2.0**-40, 2.0**-24])
def test_next_to_a_double_root_the_density_is_that_of_the_pair(noise, distance):
    # In one of the cases the companion matrix has an eigenvalue of 1e26 beside those of 0.04.
    case = (1 - noise, noise, 20.0, 0.05)
    equations = quartic(case)
    edge = equations.intervals(1e3, equations.density)[-1, 1]
    x = edge * np.array([1 - distance, 1 + distance])
    with mp.workdps(60):
        exact = [many_digits(case, each) for each in x]
    assert exact[0] > 0 == exact[1]
    # An error of 1e-12 of the equation is one of the distance.
    np.testing.assert_allclose(equations.density(x), exact, rtol=1e-6 + 1e-12 / distance)


@pytest.mark.parametrize("case", [(0.7, 0.3, 1.25, 0.6), (1.6, 0.4, 2.5, 3.0)])
def test_both_derivatives_of_the_equation(case):
    zeta, noise, alpha, gamma = map(mp.mpf, case)
    z, q = 0.4 + 0.2j, np.array([0.3 + 0.5j, -1.7 - 0.1j])

    def equation(q):
        h = 1 - noise * q - zeta * q / (1 + alpha * zeta * q)
        return h * (gamma * (1 - h) - 1) - z * q

    equations = quartic(case)
    found = [*equations._equation(np.array(z), q), equations._curvature(q)]
    with mp.workdps(40):
        for order, values in enumerate(found):
            exact = [complex(mp.diff(equation, mp.mpc(each), order)) for each in q]
            np.testing.assert_allclose(values, exact, rtol=1e-13)


def product(*polynomials):
    """Return the coefficients of a product, by rising powers, of any type."""
    result = [mp.mpf(1)]
    for factor in polynomials:
        terms = [mp.mpf(0)] * (len(result) + len(factor) - 1)
        for i, one in enumerate(result):
            for j, other in enumerate(factor):
                terms[i + j] += one * other
        result = terms
    return result


@pytest.mark.parametrize(
    "case", [*CASES[::5], CASES[6], (0.7, 0.3, 1.25, 0.6), (1 - 2.0**-30, 2.0**-30, 5.0, 3.0)]
)
def test_critical_points_in_many_digits(case):
    zeta, noise, alpha, gamma = map(mp.mpf, case)
    slope = alpha * zeta
    D, N = [1, slope], [1, slope - noise - zeta, -slope * noise]
    with mp.workdps(50):
        inner = [gamma * (one - other) - one for one, other in zip([*D, 0], N, strict=True)]
        top, bottom = product(N, inner), product([0, 1], D, D)
        steep, flat = ([k * c for k, c in enumerate(each)][1:] for each in (top, bottom))
        both = zip(product(steep, bottom), product(top, flat), strict=True)
        difference = [one - other for one, other in both]
        while abs(difference[-1]) < mp.mpf(10) ** -40:
            difference.pop()
        roots = mp.polyroots(difference[::-1], maxsteps=800, extraprec=800)
        real = [float(q.real) for q in roots if abs(q.imag) < 1e-30]
    # D = 0 is a pole of z, and no critical point.
    expected = sorted(q for q in real if abs(1 + alpha * zeta * q) > 1e-20)
    found = np.sort(quartic(case)._critical_points())
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("pole", [-1.0, -np.inf])
def test_a_critical_point_that_rounding_puts_on_a_pole_is_no_edge(pole, monkeypatch):
    equations = Quartic(0.5, 0.5, 2.0, 0.6, closed=False)
    edges, points = equations.intervals(1e3, equations.density), equations._critical_points()
    monkeypatch.setattr(equations, "_critical_points", lambda: np.append(points, pole))
    with np.errstate(all="raise"):
        found = equations.intervals(1e3, lambda x: np.where(x < edges[-1, 1], 1.0, 0.0))
    assert found.tolist() == [[0, edges[-1, 1]]]


def test_pieces_are_as_the_density_says_that_is_given():
    # Edges at 0.5 and 4.5; a pair that is nearly there, or whose density is not a number, is none.
    equations = Quartic(0.0, 2.0, 0.5, 0.25, closed=False)
    for value, pieces in ((1.0, [[0, 4.5]]), (0.0, []), (math.nan, [])):
        found = equations.intervals(5.0, lambda x, value=value: np.full(x.shape, value))
        np.testing.assert_allclose(found.tolist(), pieces, rtol=1e-14)
    assert equations.intervals(0.1, equations.density).shape == (0, 2)
    assert Quartic(0.0, 2.0, 0.5, 0.25, closed=True).intervals(5.0, equations.density)[0, 0] == 0


@pytest.mark.parametrize(
    "case", [(1 - 2.0**-31, 2.0**-31, 3e3, 1.0), (1 - 2.0**-23, 2.0**-23, 2e4, 1.0)]
)
def test_a_density_that_rounding_leaves_in_doubt_is_not_a_number(case):
    zeta, noise, alpha, gamma = case
    equations = quartic(case)
    # What is in doubt in the middle of the last piece is inside.
    pieces = equations.intervals(1e5, lambda x: np.nan_to_num(equations.density(x), nan=1.0))
    lower, upper = pieces[-1]
    near = 1 + np.array([-1, 1])[:, None] * np.logspace(-15, -1, 29)
    x = np.concatenate([lower * near.ravel(), upper * near.ravel(), [1.01 * lower, 0.6 * upper]])
    density = equations.density(x)
    doubtful = np.isnan(density)
    distance = np.minimum(np.abs(x / lower - 1), np.abs(x / upper - 1))
    assert 0 < doubtful.mean() < 1
    # The other equations have no such doubt.
    fixed = FixedPoint(np.array([zeta]), np.array([noise]), np.ones(1), alpha, gamma)
    clear = ~doubtful & (distance > 1e-6)
    _, h, _, _ = fixed.solve(x[clear] + 0j, 1e-11, 5000)
    np.testing.assert_allclose(
        density[clear], -h.imag / np.pi / x[clear], rtol=1e-4, atol=1e-5 * np.nanmax(density)
    )


def test_an_edge_whose_q_is_one():
    # Marchenko and Pastur with noise 2: the edges 2 (1 -+ 1/2)^2 are at q = 1 and -1.
    equations = Quartic(0.0, 2.0, 0.5, 0.25, closed=False)
    np.testing.assert_allclose(
        equations.intervals(5.0, equations.density), [[0.5, 4.5]], rtol=1e-14
    )
    assert 1.0 in equations._critical_points()
