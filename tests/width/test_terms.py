"""What the bounds know of one unit's term, against quadrature that is exact for its powers."""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, special

from reluspec_lib import groups
from reluspec_lib.groups import CENTRED_SQUARE, COORDINATE, NORM, PRODUCT, Linear, Quadratic, Square
from reluspec_lib.width._terms import Term, form_of

each_group = pytest.mark.parametrize("group", groups.ALL, ids=lambda group: group.name)
ROW = Linear("row", [[1.0, -2.0, 0.5]])
OWN = Quadratic("own", [[[1.0, 0.4, 0.0], [0.4, -0.3, 0.2], [0.0, 0.2, 0.5]]])
FLAT = Quadratic("flat", [np.diag([2.0, -1.0, -1.0])])
LEAN = Quadratic("lean", [np.diag([1.0, -0.9, -0.2])])
LONG = Quadratic("long", [np.diag([9.0, 4.0, 0.0])])
DOWN = Quadratic("down", [np.diag([-1.0, 0.0, -0.5])])
QUADRATIC = [NORM, PRODUCT, CENTRED_SQUARE, Square(-1), OWN, FLAT, LEAN, LONG, DOWN]
each_quadratic = pytest.mark.parametrize("group", QUADRATIC, ids=repr)
EVERY = [COORDINATE, ROW, *QUADRATIC]


def directions(d):
    """Points and weights on the unit sphere, exact for polynomials of degree 199."""
    if d == 1:
        return np.array([[1.0, -1.0]]), np.full(2, 0.5)
    angle = 2 * np.pi * np.arange(200) / 200
    circle = np.stack([np.cos(angle), np.sin(angle)])
    if d == 2:
        return circle, np.full(200, 1 / 200)
    height, weights = np.polynomial.legendre.leggauss(100)
    points = np.sqrt(1 - height**2)[:, None] * circle[:, None, :]
    u = np.stack([*points, np.broadcast_to(height[:, None], (100, 200))])
    return u.reshape(3, -1), np.repeat(weights / 400, 200)


def length(d, power):
    """E |g|^power."""
    return 2 ** (power / 2) * math.exp(special.gammaln((d + power) / 2) - special.gammaln(d / 2))


def even_moment(group, x, k):
    """E xi^k / k! for even k and a quadratic form: one half of that without the ReLU."""
    u, weights = directions(len(x))
    mean = weights @ (group.eigenvectors(u, [0])[:, 0] * (x @ u)) ** k
    return mean * length(len(x), 2 * k) / math.factorial(k) / 2


def moments_and_bounds(group, x):
    """E |xi|^k / k! for k = 0 ... 64, the odd ones from those on both sides by Lyapunov."""
    even = {k: even_moment(group, x, k) if k else 1.0 for k in range(0, 65, 2)}
    odd = {k: math.sqrt(even[k - 1] * even[k + 1] * (k + 1) / k) for k in range(1, 64, 2)}
    return [(even | odd)[k] for k in range(65)]


def test_forms_are_of_a_group_and_a_vector_of_it():
    assert form_of(PRODUCT, 4, 3).axes.tolist() == PRODUCT.form(4, 3).axes.tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"^group must be a Group such as groups.NORM, got 'norm'"):
        form_of("norm", 4, 0)


@pytest.mark.parametrize("group", EVERY, ids=repr)
def test_sizes_are_means_over_directions(group):
    term, (u, weights) = Term.of(group.form(3)), directions(3)
    q = group.eigenvectors(u, [0])[:, 0]
    assert (term.d, term.linear) == (3, group in (COORDINATE, ROW))
    assert term.size == pytest.approx(3 * weights @ q**2)
    assert term.power == pytest.approx(3 * weights @ group.limit(u.T, [0])[:, 0] ** 2)
    for k in range(1, 32):
        double_factorial = math.prod(range(1, 2 * k, 2))
        moment = length(3, 2 * k) * weights @ q ** (2 * k)
        assert moment <= double_factorial * term.height ** (2 * k) * (1 + 1e-9)


@pytest.mark.parametrize("group", [NORM, COORDINATE], ids=repr)
def test_on_the_line_a_term_is_that_of_one_normal(group):
    term = Term.of(group.form(1))
    assert term.size == pytest.approx(1)
    assert term.height == pytest.approx(1)
    assert term.power == pytest.approx(1 / 4)


@each_quadratic
def test_height_and_top_are_norms_of_the_form(group):
    term, A = Term.of(group.form(3)), group.form(3).dense()
    mean = np.trace(A) / 3
    of_mean, of_rest = np.linalg.norm(mean * np.eye(3)), np.linalg.norm(A - mean * np.eye(3))
    assert term.height == pytest.approx(of_mean + of_rest)
    assert term.top == pytest.approx(np.linalg.norm(A, 2))


@pytest.mark.parametrize("d", [2, 3, 7])
@pytest.mark.parametrize("group", [*groups.ALL, CENTRED_SQUARE, Square(-1)], ids=repr)
def test_moments_are_the_limit_and_its_variance(group, d):
    column = group.size(d) - 1
    term = Term.of(group.form(d, column))
    for x in np.random.default_rng(d).standard_normal((3, d)):
        unit = x / np.linalg.norm(x)
        limit, second = term.moments(unit)
        assert limit == pytest.approx(group.limit(unit, [column])[0])
        assert second - limit**2 == pytest.approx(group.variance(unit, [column])[0])


@pytest.mark.parametrize("group", EVERY, ids=repr)
def test_moments_are_those_of_the_length_of_a_form(group):
    unit = np.array([2.0, -1.0, 2.0]) / 3
    limit, second = Term.of(group.form(3)).moments(unit)
    assert limit == pytest.approx(group.limit(unit, [0])[0])
    assert second - limit**2 == pytest.approx(group.variance(unit, [0])[0])


@pytest.mark.parametrize("group", EVERY, ids=repr)
def test_largest_moments_are_attained_between_the_ends_of_the_form(group):
    form = group.form(3)
    A = np.outer(form.dense(), form.dense()) if group in (COORDINATE, ROW) else form.dense()
    ends = np.linalg.eigh(A)[1][:, [0, -1]]
    angle = np.linspace(0, np.pi, 40_001)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1) @ ends.T
    variance, limit = group.variance(x, [0])[:, 0], group.limit(x, [0])[:, 0]
    found = Term.of(form).largest
    assert found == pytest.approx([(variance + limit**2).max(), variance.max()], rel=1e-7)
    x = np.random.default_rng(1).standard_normal((1000, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    assert group.variance(x, [0]).max() <= found[1] * (1 + 1e-12)


# --- series and cumulants


@each_quadratic
@pytest.mark.parametrize("x", [[2 / 3, -1 / 3, 2 / 3], [0.0, 0.0, 1.0]], ids=["all", "last"])
def test_series_is_that_of_exact_even_moments(group, x):
    x = np.array(x)
    term = Term.of(group.form(3))
    expected = np.array(moments_and_bounds(group, x)) / term.top ** np.arange(65)
    np.testing.assert_allclose(term.series(x), expected, rtol=1e-9)


@pytest.mark.parametrize("fraction", [0.05, 0.4, 0.9, 0.999])
@each_quadratic
def test_cumulants_are_bounded_by_the_moments_they_need(group, fraction):
    x = np.array([2.0, -1.0, 2.0]) / 3
    term, values = Term.of(group.form(3)), np.linalg.eigvalsh(group.form(3).dense())
    step = fraction / (2 * term.height)
    coefficients = moments_and_bounds(group, x)
    higher = math.fsum(coefficients[k] * step**k for k in range(3, 65))
    # E|xi|^k / k! <= (3/16) (2 h)^k beyond.
    higher += 3 / 16 * fraction**65 / (1 - fraction)
    limit = group.limit(x, [0])[0]
    for found, sign in zip(term.cumulants(x, np.array([step])), (1, -1), strict=True):
        # Where sign xi <= 0, exp(y) <= 1 + y + y^2/2 needs no more.
        needed = higher if (sign * values).max() > 1e-12 else 0.0
        growth = sign * step * limit + coefficients[2] * step**2 + needed
        assert found == pytest.approx(math.log1p(growth) - sign * step * limit, rel=1e-9)


def test_cumulants_are_finite_up_to_a_pole():
    own = Quadratic("own", [np.diag([0.5, 0.5, -0.5, -0.5])])  # of height 1
    found = Term.of(own.form(4)).cumulants(np.eye(4)[0], np.array([0.25, 0.4999, 0.5, 0.6, 40.0]))
    assert np.isfinite(found).tolist() == 2 * [[True, True, False, False, False]]
    term = Term.of(Linear("row", [[0.0, 2.0]]).form(2))
    # Of 2 g_2 ReLU(0.6 g_1 + 0.8 g_2): 1 / (2 (1 + 0.8)) and 1 / (2 (1 - 0.8)).
    steps = np.array([0.27, 0.28, 2.4999, 2.51])
    found = term.cumulants(np.array([0.6, 0.8]), steps)
    assert np.isfinite(found).tolist() == [[True, *3 * [False]], [*3 * [True], False]]
    found = term.cumulants(np.array([0.6, -0.8]), steps)
    assert np.isfinite(found).tolist() == [[*3 * [True], False], [True, *3 * [False]]]
    assert np.isinf(term.cumulants(np.array([1.0, 0.0]), np.array([0.5]))).all()


@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("x", [[0.6, 0.8, 0.0], [0.0, 0.6, 0.8], [0.0, 0.0, 1.0]])
def test_cumulants_of_a_row_are_exact(x, fraction):
    a, x = ROW.form(3).dense(), np.array(x)
    along, square = a @ x, a @ a - (a @ x) ** 2
    for row, sign in enumerate((1, -1)):
        step = fraction / (math.sqrt(a @ a) + sign * along)
        # Given z = g.x, the rest of a.g is normal.
        value = integrate.quad(
            lambda z, step=step, sign=sign: math.exp(
                sign * step * along * z**2 + (step**2 * square - 1) * z**2 / 2
            ),
            0,
            math.inf,
            epsabs=1e-13,
            epsrel=1e-12,
        )[0]
        exact = math.log(0.5 + value / math.sqrt(2 * math.pi)) - sign * step * along / 2
        found = Term.of(ROW.form(3)).cumulants(x, np.array([step]))[row]
        assert found == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize("size", [1e-90, 1e-7, 1e7, 1e90])
@pytest.mark.parametrize("group", [ROW, OWN], ids=repr)
def test_cumulants_do_not_depend_on_the_size_of_a_form(group, size):
    kind, forms = (Linear, [size * ROW.form(3).dense()]) if group is ROW else (
        Quadratic, [size * OWN.form(3).dense()]
    )  # fmt: skip
    x, steps = np.array([2.0, -1.0, 2.0]) / 3, np.array([1e-3, 0.05, 0.19])
    found = Term.of(kind("other", forms).form(3)).cumulants(x, steps / size)
    np.testing.assert_allclose(found, Term.of(group.form(3)).cumulants(x, steps), rtol=1e-9)


def in_the_plane(group, x, function, power):
    """E over the angle of a function of q(u) ReLU(u.x)."""

    def integrand(angle):
        u = np.array([math.cos(angle), math.sin(angle)])
        return function(group.eigenvectors(u[:, None], [0])[0, 0] * max(u @ x, 0)) ** power

    kink = math.atan2(x[1], x[0]) + math.pi / 2
    edges = (kink - math.pi, kink)
    silent = function(0.0) ** power / 2
    value = integrate.quad(integrand, *edges, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
    return value / (2 * math.pi) + silent


@each_group
def test_moments_and_cumulants_are_those_of_quadrature(group):
    x = np.array([math.cos(0.7), math.sin(0.7)])
    term = Term.of(group.form(2))
    limit, second = term.moments(x)
    assert limit == pytest.approx(2 * in_the_plane(group, x, float, 1))
    assert second == pytest.approx(8 * in_the_plane(group, x, float, 2))
    steps = np.array([0.01, 0.05, 0.1, 0.17, 40.0])
    found = term.cumulants(x, steps)
    assert np.isinf(found[:, -1]).all()
    for sign, step in itertools.product((1, -1), range(4)):
        # |g|^2 is exponential with mean 2, so that E exp(c |g|^2) = 1 / (1 - 2 c).
        scale = sign * steps[step]
        exact = in_the_plane(group, x, lambda v, c=scale: 1 / (1 - 2 * c * v), 1)
        exact = math.log(exact) - scale * limit
        bound = found[(1 - sign) // 2, step]
        assert exact <= bound * (1 + 1e-10)
        assert bound < 2 * exact
        if group is COORDINATE:
            assert bound == pytest.approx(exact, rel=1e-8)
    if group is COORDINATE:
        return
    series = term.series(x) * term.top ** np.arange(65)
    for k in (3, 5, 9):
        # E|g|^(2k) / k! = 2^k.
        exact = 2**k * in_the_plane(group, x, abs, k)
        assert exact <= series[k] < 3 * exact
