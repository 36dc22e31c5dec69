"""The third absolute moment of one unit's term, against quadrature, closed forms, simulations."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from helpers import gauss_legendre, z_score
from reluspec_lib import groups, guarantees
from reluspec_lib.groups import CENTRED_SQUARE, COORDINATE, NORM, PRODUCT, SQUARE, Square
from reluspec_lib.width._third import _cube


def test_third_moments_have_the_limits_of_independent_normals():
    third = 2 * math.sqrt(2 / math.pi)
    density = stats.norm.pdf
    mean = 1 / math.sqrt(2 * math.pi)
    above = [integrate.quad(lambda z: abs(z - mean) ** 3 * density(z), *ends)[0]
             for ends in ((0, mean), (mean, 12))]  # fmt: skip
    norm = (sum(above) + mean**3 / 2) / (0.5 - mean**2) ** 1.5
    halves = [integrate.quad(lambda z: abs(z * z - 1) ** 3 * density(z), *ends)[0]
              for ends in ((0, 1), (1, 14))]  # fmt: skip
    square = 2 * sum(halves) / 2**1.5 * third / 2 / 0.5**1.5
    product = third**3 / 2 / 0.5**1.5
    d = 100_000
    assert guarantees.third_moment(NORM, d) == pytest.approx(norm, rel=1e-3)
    assert guarantees.third_moment(SQUARE, d) == pytest.approx(square, rel=3e-3)
    assert guarantees.third_moment(PRODUCT, d) == pytest.approx(product, rel=1e-3)
    for d in (2, 10, 100_000):
        found = guarantees.third_moment(COORDINATE, d)
        assert found == pytest.approx(8 * math.sqrt(2) / math.pi, rel=1e-9)


@pytest.mark.parametrize("d", [3, 4, 12])
def test_third_moment_of_a_product_in_closed_form(d):
    def length(power):
        return 2 ** (power / 2) * math.gamma((d + power) / 2) / math.gamma(d / 2)

    third = 2 * math.sqrt(2 / math.pi)
    cube = (d + 2) ** 1.5 * third**3 / 2 * length(6) / length(9)
    expected = cube / ((d + 2) / (2 * (d + 4))) ** 1.5
    assert guarantees.third_moment(PRODUCT, d) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "group, axis, d", [(NORM, 0, 2), (NORM, 0, 5), (SQUARE, 1, 3), (SQUARE, 1, 5)], ids=repr
)
def test_third_moment_is_that_of_a_simulation(group, axis, d):
    g, x = np.random.default_rng([16, d]).standard_normal((d, 1_000_000)), np.eye(d)[axis]
    off = group.eigenvectors(g, [0])[:, 0] * np.maximum(g[axis], 0) - group.limit(x, [0])[0]
    cubes = abs(off) ** 3 / group.variance(x, [0])[0] ** 1.5
    assert abs(z_score(cubes, guarantees.third_moment(group, d))) < 4


def latitudes(power):
    """Angles above an equator, and weights proportional to cos^power; the pole below power 0."""
    if power < 0:
        return np.array([math.pi / 2]), np.ones(1)
    angles, weights = gauss_legendre(0, math.pi / 2, 50)
    weights = weights * np.cos(angles) ** power
    return angles, weights / weights.sum()


@pytest.mark.parametrize("d", [2, 3, 4, 12])
@pytest.mark.parametrize("group", [NORM, SQUARE, Square(-1), CENTRED_SQUARE], ids=repr)
def test_third_moment_is_that_of_quadrature_over_the_sphere(group, d):
    if isinstance(group, Square) and d == 2:
        with pytest.raises(
            ValueError, match=r"^d must be larger, square singles out every axis at d = 2$"
        ):
            guarantees.third_moment(group, d)
        return
    # The input is along axis 1; no form singles out others than the first and the last.
    rules = [latitudes(d - 2 - k) for k in range(3)]
    a, b, c = (part.ravel() for part in np.meshgrid(*(angles for angles, _ in rules)))
    weights = np.prod(np.meshgrid(*(weights for _, weights in rules)), axis=0).ravel()
    levels = [np.sin(a), np.cos(a) * np.sin(b), np.cos(a) * np.cos(b) * np.sin(c)]
    levels.append(np.cos(a) * np.cos(b) * np.cos(c))
    u = np.zeros((d, len(a)))
    for axis, level in zip([1, 0, d - 1, 2][:d], levels, strict=False):
        u[axis] = level
    theta = group.eigenvectors(u, [0])[:, 0] * u[1]
    limit, variance = (part(np.eye(d)[1], [0])[0] for part in (group.limit, group.variance))
    # E|s theta - F|^3 from moments of s ~ chi^2 on both sides of F / theta.
    total = np.zeros(len(a))
    for i, moment in enumerate(np.cumprod([1, d, d + 2, d + 4])):
        sides = 2 * stats.chi2.sf(limit / theta, d + 2 * i) - 1
        total += math.comb(3, i) * theta**i * (-limit) ** (3 - i) * moment * sides
    expected = (weights @ abs(total) + abs(limit) ** 3) / 2 / variance**1.5
    assert guarantees.third_moment(group, d) == pytest.approx(expected, rel=3e-6)


def test_the_third_moment_around_a_limit_needs_no_quotient_by_zero():
    for limit in (0.0, 0.7, -0.7):
        cube = stats.chi2(3).expect(lambda s, limit=limit: abs(s - limit) ** 3)
        found = _cube(3, np.array([0.0, 1.0]), limit)
        assert found == pytest.approx([abs(limit) ** 3, cube], rel=1e-7)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: guarantees.third_moment(NORM, 1), "d must be an integer >= 2, got 1"),
        (
            lambda: guarantees.third_moment(groups.Quadratic("own", [np.eye(3)]), 3),
            "group must be one of groups.ALL, got <group 'own', quadratic",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match="^" + message):
        call()
