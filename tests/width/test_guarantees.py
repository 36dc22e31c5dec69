"""Bounds for the output of a network, and widths, against exact laws and simulated networks."""

import math

import numpy as np
import pytest
from scipy import stats

from reluspec_lib import fluctuations, forward, groups, guarantees, sample_weights
from reluspec_lib.groups import CENTRED_SQUARE, COORDINATE, NORM, PRODUCT
from reluspec_lib.width._terms import Term

each_group = pytest.mark.parametrize("group", groups.ALL, ids=lambda group: group.name)
OWN = groups.Quadratic("own", [[[1.0, 0.4, 0.0], [0.4, -0.3, 0.2], [0.0, 0.2, 0.5]]])
LONG = groups.Linear("long", [[3.0]])
FLAT = groups.Quadratic("flat", [np.diag([2.0, -1.0, -1.0])])


@each_group
def test_uniform_bound_and_its_version_with_a_probability_hold(group):
    rng, m = np.random.default_rng(13), 20
    angles = np.linspace(0, 2 * np.pi, 100)
    x = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    sups = []
    for _ in range(500):
        W = sample_weights(2, m, rng)
        error = forward(x, W, group.eigenvectors(W, [0]), workers=1) - group.limit(x, [0])
        sups.append(abs(error).max())
    bound = guarantees.uniform_bound(2, m, radius=3.0)
    assert bound == 4 * 3 * math.sqrt(4 / m)
    assert bound / 10 < np.mean(sups) < bound
    assert np.var(sups) < 9 * 4 / m
    allowed = (1 + math.sqrt(0.9 / 0.1) / 4) * bound
    assert np.mean(np.array(sups) > allowed) < 0.1


def test_tail_of_a_coordinate_is_above_the_exact_law():
    # At d = 1 the output is a mean of chi-squares of 1 degree over a binomial number of units.
    m, rows = 40, np.arange(41)
    weights = stats.binom.pmf(rows, m, 0.5)
    for t in (0.05, 0.2, 0.5, 1.0, 2.0):
        above = weights @ np.where(rows > 0, stats.chi2.sf(m * (0.5 + t), np.maximum(rows, 1)), 0)
        below = weights @ np.where(rows > 0, stats.chi2.cdf(m * (0.5 - t), np.maximum(rows, 1)), 1)
        exact = above + (below if t <= 0.5 else 0)
        bound = guarantees.tail(COORDINATE, [1.0], m, t)[0]
        assert exact <= bound <= 1
        # Chernoff's bound loses a factor of the order of the number of standard deviations.
        assert t < 1 or bound < 60 * exact
        assert guarantees.tail(COORDINATE, [-3.0], m, 3 * t)[0] == pytest.approx(bound)


@pytest.mark.parametrize("group", [*groups.ALL, CENTRED_SQUARE, OWN, FLAT], ids=repr)
def test_tail_is_above_that_of_simulated_networks(group):
    rng, m = np.random.default_rng(14), 15
    x = np.array([[1.0, 2.0, -1.0], [0.0, 0.0, 2.0], [-1.0, 1.0, 0.0]])
    g = rng.standard_normal((3, 10_000 * m))
    terms = group.eigenvectors(g)[:, :, None] * np.maximum(x @ g, 0).T[:, None, :]
    means = terms.reshape(10_000, m, *terms.shape[1:]).mean(axis=1)
    off = abs(means - group.limit(x).T)
    for deviations in (1, 2, 4, 7):
        t = deviations * float(np.sqrt(group.variance(x) / m).max())
        p = guarantees.tail(group, x, m, t)
        assert p.shape == (3, group.size(3))
        often = (off > t).mean(axis=0).T
        assert (often <= p + 3 * np.sqrt(p / 10_000)).all()
    alone = guarantees.tail(group, x[0], m, t, columns=[0])
    assert alone == pytest.approx(p[0, :1])


@pytest.mark.parametrize("size", [1e-60, 1e60])
def test_tail_does_not_depend_on_the_size_of_a_form(size):
    large = groups.Quadratic("own", [size * OWN.form(3).dense()])
    x, t = [[1.0, 2.0, -1.0], [0.3, 0.0, 0.1]], 0.5
    for m in (10, 1000):
        found = guarantees.tail(large, x, m, size * t)
        assert found == pytest.approx(guarantees.tail(OWN, x, m, t), rel=1e-9)


@pytest.mark.parametrize("x", [[0.6, 0.8, 0.0], [0.0, 1.2, -1.0], [0.0, 0.0, -2.0]])
def test_tail_of_a_row_is_the_least_of_three_bounds(x):
    a, x = np.array([1.0, -2.0, 0.5]), np.array(x)
    row, m = groups.Linear("row", [[0.0, 1.0, 0.0], a]), 200
    limit, variance = row.limit(x)[1], row.variance(x)[1]
    # E exp(step xi) = 1/2 + 1/2 (1 - 2 step a.x - step^2 (|a|^2 |x|^2 - (a.x)^2))^(-1/2)
    size = math.sqrt((a @ a) * (x @ x))

    def exponent(step, t):
        rest = 1 - 2 * step * (a @ x) - step**2 * (size**2 - (a @ x) ** 2)
        return math.log(0.5 + 0.5 / math.sqrt(rest)) - step * limit - abs(step) * t

    seen = set()
    for deviations in (0.5, 1.3, 4.0, 9.0):
        t = deviations * math.sqrt(variance / m)
        chernoff = 0.0
        for sign in (1, -1):
            pole = 1 / max(size + sign * (a @ x), 1e-9)
            step = np.linspace(0, min(pole, 40.0), 20_000, endpoint=False)[1:]
            chernoff += math.exp(m * min(exponent(sign * one, t) for one in step[::10]))
        bounds = [1.0, variance / m / t**2, chernoff]
        seen.add(int(np.argmin(bounds)))
        found = guarantees.tail(row, x, m, t, columns=[1, 0])
        assert found[0] == pytest.approx(min(bounds), rel=0.01)
        assert found[0] >= min(bounds) * 0.999
    assert seen == {0, 1, 2}


def test_tail_at_the_edges():
    x = [[0.0, 0.0], [1.0, 2.0]]
    assert guarantees.tail(PRODUCT, x, 10, 0.0).tolist() == [[0.0], [1.0]]
    assert guarantees.tail(NORM, [1e200, 0.0], 10, 1e199) == pytest.approx(
        guarantees.tail(NORM, [1e-200, 0.0], 10, 1e-201)
    )
    assert guarantees.tail(NORM, [1e-300, 0.0], 10, 1e300).tolist() == [0.0]
    assert guarantees.tail(NORM, [1e300, 0.0], 10, 1e-300).tolist() == [1.0]
    assert guarantees.tail(PRODUCT, x, 10, 1.0, columns=[]).shape == (2, 0)
    # The one centred square in one dimension is 0.
    assert guarantees.tail(CENTRED_SQUARE, [[1.0], [2.0]], 5, 0.1).tolist() == [[0.0], [0.0]]


# --- widths --------------------------------------------------------------------------------------


@each_group
def test_width_for_a_mean_error_is_the_smallest_with_that_mean_square(group):
    value = group.eigenvalue(6)
    width = guarantees.width_for(group, 6, 0.03)
    assert (4 - value) / width <= 0.03**2 * value < (4 - value) / (width - 1)
    practical = guarantees.width_for(group, 6, 0.03, guarantee=False)
    rng = np.random.default_rng(17)
    x = rng.standard_normal((200_000, 6))
    spread = np.sqrt(group.variance(x, [0])).mean()
    assert practical == pytest.approx(2 / np.pi * spread**2 / (0.03**2 * value), rel=0.01)


@pytest.mark.parametrize("group", [*groups.ALL, OWN], ids=repr)
@pytest.mark.parametrize("error, probability", [(2.0, 0.5), (0.3, 0.95), (0.01, 0.999)])
def test_width_for_one_input_keeps_its_promise_at_every_input(group, error, probability):
    width = guarantees.width_for(group, 3, error, probability, "pointwise")
    x = np.random.default_rng(18).standard_normal((30, 3))
    x = np.concatenate([x, np.eye(3)])
    x *= math.sqrt(3) / np.linalg.norm(x, axis=1, keepdims=True)
    t = error * math.sqrt(Term.of(group.form(3)).power)
    s2 = group.variance(x, [0])[:, 0].max()
    p = guarantees.tail(group, x, width, t, columns=[0]).max()
    # The bounds for all inputs are a little weaker than the one for each.
    assert p <= (1 - probability) * 1.02 or s2 / width / t**2 <= 1 - probability
    practical = guarantees.width_for(group, 3, error, probability, "pointwise", guarantee=False)
    quantile = stats.norm.ppf((1 + probability) / 2)
    assert practical == pytest.approx((quantile / t) ** 2 * s2, rel=0.1, abs=1)
    assert practical <= width <= 6 * practical + 6


@pytest.mark.parametrize("group, d", [(COORDINATE, 1), (LONG, 1), (OWN, 3), (FLAT, 3)], ids=repr)
@pytest.mark.parametrize("error", [0.01, 0.25, 20.0])
def test_width_for_one_input_by_the_constants_for_all_inputs(group, d, error):
    term = Term.of(group.form(d))
    (second, variance), h = term.largest, term.height
    t = error * math.sqrt(term.power / d)
    # E|xi|^k <= k!/2 (3/2) h^2 (2h)^(k - 2), and 2^k times as much about the mean.
    steps = np.linspace(0, 1 / (2 * h), 100_001)[1:-1]
    plain = steps * t - steps**2 / 2 * (second + 1.5 * h**2 * 2 * h * steps / (1 - 2 * h * steps))
    steps = steps / 2
    beyond = 6 * h**2 * 4 * h * steps / (1 - 4 * h * steps)
    centred = steps * t - steps**2 / 2 * (variance + beyond)
    bernstein = math.log(2000) / max(plain.max(), centred.max())
    width = guarantees.width_for(group, d, error, 0.999, "pointwise")
    assert width == pytest.approx(bernstein, rel=2e-3, abs=1)
    # At a small probability Chebyshev's inequality is the better one.
    width = guarantees.width_for(group, d, error, 0.4, "pointwise")
    assert width == max(math.ceil(variance / t**2 / 0.6), 1) or error > 1
    width = guarantees.width_for(group, d, error, 0.9, "pointwise", guarantee=False)
    assert width == max(math.ceil(variance * (stats.norm.ppf(0.95) / t) ** 2), 1)


def test_width_for_a_mean_error_of_a_form_of_your_own():
    angle = np.linspace(0, np.pi, 64, endpoint=False)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    group = groups.Quadratic("own", [[[1.0, 0.4], [0.4, -0.3]]])
    # |x|^2 has the mean 2, and the polynomials on the circle are of degree 4.
    mean_square = 2 * group.variance(x)[:, 0].mean()
    power = 2 * (group.limit(x)[:, 0] ** 2).mean()
    width = guarantees.width_for(group, 2, 0.1)
    assert width == math.ceil(mean_square / (0.01 * power))
    practical = fluctuations.expected_mae(group, 2, 1) ** 2 / (0.01 * power)
    assert guarantees.width_for(group, 2, 0.1, guarantee=False) == math.ceil(practical)
    # E q^2 takes the place of 1 in the bound for all inputs.
    size = Term.of(group.form(2)).size
    factor = 4 + math.sqrt(0.8 / 0.2)
    uniform = guarantees.width_for(group, 2, 0.1, 0.8, "uniform")
    assert uniform == math.ceil(2 * 4 * size * factor**2 / (0.01 * power))


def test_a_width_has_a_kind_and_a_probability_by_default():
    plain = guarantees.width_for(NORM, 3, 0.1)
    assert plain == guarantees.width_for(NORM, 3, 0.1, 0.95, "expected", guarantee=True)
    pointwise = guarantees.width_for(NORM, 3, 0.1, kind="pointwise")
    assert pointwise == guarantees.width_for(NORM, 3, 0.1, 0.95, "pointwise")
    assert guarantees.uniform_bound(14, 10_000) == guarantees.uniform_bound(14, 10_000, 1.0) == 0.16


@each_group
def test_width_for_all_inputs_is_that_of_the_uniform_bound(group):
    width = guarantees.width_for(group, 5, 0.2, 0.9, "uniform")
    for m, inside in ((width, True), (width - 1, False)):
        bound = guarantees.uniform_bound(5, m, math.sqrt(5)) * (1 + 3 / 4)
        assert (bound <= 0.2 * math.sqrt(group.eigenvalue(5)) * (1 + 1e-12)) is inside


def test_width_for_a_group_of_your_own():
    row = groups.Linear("thrice", [[0.0, 0.0, 3.0]])
    for kind in ("expected", "pointwise", "uniform"):
        expected = guarantees.width_for(COORDINATE, 3, 0.1, kind=kind)
        assert guarantees.width_for(row, 3, 0.1, kind=kind) == pytest.approx(expected, abs=1)
    assert guarantees.width_for(OWN, 3, 0.1) > 100
    assert guarantees.width_for(NORM, 3, 1e6) == 1


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: guarantees.uniform_bound(0, 5), "d must be an integer >= 1, got 0"),
        (lambda: guarantees.uniform_bound(3, 0), "m must be an integer >= 1, got 0"),
        (lambda: guarantees.uniform_bound(3, 5, -1), "radius must be a positive number, got -1"),
        (lambda: guarantees.tail("norm", [1.0], 5, 1), "group must be a Group such as groups.NORM"),
        (lambda: guarantees.tail(NORM, [np.nan], 5, 1), "x must be finite"),
        (lambda: guarantees.tail(NORM, [1.0], 0, 1), "m must be an integer >= 1, got 0"),
        (lambda: guarantees.tail(NORM, [1.0], 5, "a"), "t must be a finite number, got 'a'"),
        (lambda: guarantees.tail(NORM, [1.0], 5, -1), "t must be at least 0, got -1"),
        (
            lambda: guarantees.tail(NORM, [1.0], 5, 1, columns=[1]),
            r"columns must be integers >= 0 and < 1, the size of .* norm at d = 1, got \[1\]$",
        ),
        (
            lambda: guarantees.tail(COORDINATE, [1.0, 2.0], 5, 1, columns=1),
            "columns must be integers >= 0 and < 2, the size of the group .* at d = 2, got 1$",
        ),
        (lambda: guarantees.width_for("norm", 3, 1), "group must be a Group such as groups.NORM"),
        (lambda: guarantees.width_for(NORM, 0, 1), "d must be an integer >= 1, got 0"),
        (lambda: guarantees.width_for(NORM, 3, 0), "error must be a positive number, got 0"),
        (lambda: guarantees.width_for(NORM, 3, 1, 1), "probability must be between 0 and 1, got 1"),
        (
            lambda: guarantees.width_for(CENTRED_SQUARE, 1, 1),
            "group must have a limit that is not 0, got <group 'centred square', Lemma 3.3>$",
        ),
        (
            lambda: guarantees.width_for(NORM, 3, 1e-300),
            "error must be larger, no float holds the width for 1e-300$",
        ),
        (
            lambda: guarantees.width_for(NORM, 3, 1, kind="mean"),
            "kind must be one of expected, pointwise, uniform, got 'mean'$",
        ),
        (
            lambda: guarantees.width_for(NORM, 3, 1, kind="uniform", guarantee=False),
            "guarantee must be True for kind 'uniform': the largest error of a wide network over a "
            "ball has no closed form; simulate it at one width, it falls as 1/sqrt\\(m\\)$",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match="^" + message):
        call()
