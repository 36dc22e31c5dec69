"""Guarantees at finite width, against quadrature, exact laws and simulated networks."""

import math

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate, stats

from helpers import gauss_legendre
from reluspec_lib import fisher, forward, groups, guarantees, sample_weights
from reluspec_lib.groups import CENTRED_SQUARE, COORDINATE, NORM, PRODUCT, SQUARE, Square
from reluspec_lib.width._span import _remainder_norm
from reluspec_lib.width._terms import Term
from reluspec_lib.width._third import _cube

each_group = pytest.mark.parametrize("group", groups.ALL, ids=lambda group: group.name)
OWN = groups.Quadratic("own", [[[1.0, 0.4, 0.0], [0.4, -0.3, 0.2], [0.0, 0.2, 0.5]]])
FLAT = groups.Quadratic("flat", [np.diag([2.0, -1.0, -1.0])])


def entry(angle):
    """Entry of the Fisher information for unit weights at an angle: the arc-cosine kernel."""
    return (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)


def kernel(W):
    """The Fisher information, dense."""
    norms = np.linalg.norm(W, axis=0)
    scale = np.outer(norms, norms)
    return scale * entry(np.arccos(np.clip(W.T @ W / scale, -1, 1)))


def z_score(values, expected):
    values = np.asarray(values)
    return (values.mean() - expected) / (values.std(ddof=1) / math.sqrt(len(values)))


# --- one vector, all vectors ---------------------------------------------------------------------


@each_group
def test_residual_is_that_of_quadrature_in_the_plane(group):
    # Two units: one pair and its two diagonal terms. E|g|^2 = 2, E|g|^4 = 8, E|g|^6 = 48.
    angles = 2 * np.pi * np.arange(4000) / 4000
    u = np.stack([np.cos(angles), np.sin(angles)])
    theta, value = group.eigenvectors(u, [0])[:, 0], group.eigenvalue(2)
    from_first = entry(np.minimum(angles, 2 * np.pi - angles))
    # The mean over both angles is a correlation: of squares, and of the entries themselves.
    mean_square = (theta**2).mean()
    correlation = np.fft.ifft(abs(np.fft.fft(theta)) ** 2).real / 4000
    pair = 16 * (from_first**2).mean() * mean_square
    pair -= 2 * value * 4 * (from_first * correlation).mean() - value**2 * 2 * mean_square
    own = (48 / 4 - 8 * value + 2 * value**2) * mean_square
    for m in (1, 2, 50):
        expected = ((m - 1) * pair + own) / m**2
        assert guarantees.residual(group, 2, m) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("d, m", [(3, 12), (5, 40)])
def test_means_are_those_of_simulated_networks(d, m):
    rng = np.random.default_rng([7, d])
    basis = groups.Basis(groups.ALL, d)
    seen = {"orthonormality": [], "leakage": []} | {group: [] for group in groups.ALL}
    for _ in range(1000):
        W = sample_weights(d, m, rng)
        J, V = kernel(W), basis.eigenvectors(W)
        R = J - (V * basis.eigenvalues) @ V.T
        off = J @ V - V * basis.eigenvalues
        for group in groups.ALL:
            seen[group].append((off[:, basis.columns(group)] ** 2).sum(axis=0).mean())
        seen["leakage"].append(np.einsum("ik,ij,jk->k", V, R, V).mean())
        seen["orthonormality"].append(((V.T @ V - np.eye(basis.size)) ** 2).sum())
    for group in groups.ALL:
        assert abs(z_score(seen[group], guarantees.residual(group, d, m))) < 4
    assert abs(z_score(seen["leakage"], guarantees.leakage(d, m))) < 4
    assert abs(z_score(seen["orthonormality"], guarantees.orthonormality(d, m))) < 4
    assert all(np.std(values) / np.mean(values) < 2 for values in seen.values())


@each_group
@pytest.mark.parametrize("d", [10, 10**4, 10**7])
def test_residual_keeps_its_digits_in_high_dimension(group, d):
    with mp.workdps(60):
        values = [(mp.mpf(d) / (2 * mp.pi) * mp.beta(mp.mpf(d) / 2, 0.5)) ** 2, mp.mpf(1) / 4]
        counts = [1, d, d * (d + 1) // 2 - 1]
        values.append(values[0] / (d + 1) ** 2)
        # N(d, k) by binomials, the eigenvalues by their ratios.
        for k in range(4, 60, 2):
            values.append(values[-1] * (mp.mpf(k - 3) / (k + d - 1)) ** 2)
            counts.append(mp.binomial(d + k - 1, k) - mp.binomial(d + k - 3, k - 2))
        tau = mp.fsum(n * value**2 for n, value in zip(counts, values, strict=True))
        own, m = values[group.degree], 10**6
        first = mp.mpf(d + 2) / d * tau - own**2
        second = 2 * own**2 - (d + 2) * (tau / d + own) + mp.mpf(d + 2) * (d + 4) / 4
        expected = float(first / m + second / m**2)
    assert guarantees.residual(group, d, m) == pytest.approx(expected, rel=1e-11)


def test_residual_scales_with_the_square_of_a_vector():
    one = guarantees.residual(SQUARE, 6, 30)
    assert guarantees.residual(CENTRED_SQUARE, 6, 30) == pytest.approx(5 / 6 * one)
    row = groups.Linear("twice", [[0.0, 2.0, 0.0]])
    four = 4 * guarantees.residual(COORDINATE, 3, 30)
    assert guarantees.residual(row, 3, 30) == pytest.approx(four)
    with pytest.raises(ValueError, match="one degree"):
        guarantees.residual(OWN, 3, 30)


@pytest.mark.parametrize("d", [1, 2, 9])
def test_leakage_is_what_the_groups_leave_of_the_diagonal(d):
    # E[q^2 |g|^2] = d + 2, and |g|^2/d is the mean of the squares of all vectors of a degree.
    left = d / 2 - sum(group.size(d) * group.eigenvalue(d) for group in groups.ALL if group.size(d))
    for m in (1, 30):
        found = guarantees.leakage(d, m)
        assert found == pytest.approx(left * (d + 2) / d / m, rel=1e-12, abs=1e-15)


def test_orthonormality_is_exact_and_keeps_its_digits():
    assert guarantees.orthonormality(1, 1) == 10.0
    d = 10**6
    K = d * (d + 3) // 2
    assert guarantees.orthonormality(d, 7) == pytest.approx((K * K * (1 + 2 / d) - K) / 7)


# --- the span ------------------------------------------------------------------------------------


def principal_sines(W, U):
    """Sines of the angles between the span of the group vectors and that of U."""
    Q = np.linalg.qr(groups.Basis(groups.ALL, len(W)).eigenvectors(W))[0]
    return np.linalg.svd(U - Q @ (Q.T @ U), compute_uv=False)


@pytest.mark.parametrize("d", [2, 3])
def test_span_angle_is_that_of_wide_networks(d):
    rng, m = np.random.default_rng([8, d]), 1000
    seen = []
    for _ in range(80):
        W = sample_weights(d, m, rng)
        U = fisher.spectrum(W, vectors=True, workers=1).eigenvectors
        seen.append(m * (principal_sines(W, U) ** 2).sum())
    expected = m * guarantees.span_angle(d, m)
    assert abs(z_score(seen, expected)) < 4
    assert np.std(seen) / math.sqrt(80) < 0.08 * expected


def test_span_angle_is_zero_on_the_line():
    assert guarantees.span_angle(1, 10) == 0.0


@pytest.mark.parametrize("d, m", [(2, 60), (3, 100)])
def test_bounds_of_gram_and_remainder_hold_as_often_as_they_say(d, m):
    rng, basis = np.random.default_rng([9, d]), groups.Basis(groups.ALL, d)
    lower, upper = guarantees.gram_bounds(d, m, 0.9)
    largest = guarantees.remainder_bound(d, m, 0.9)
    gram, beyond = [], []
    for _ in range(300):
        W = sample_weights(d, m, rng)
        V = basis.eigenvectors(W)
        values = np.linalg.eigvalsh(V.T @ V)
        gram.append(values[0] < lower or values[-1] > upper)
        beyond.append(np.linalg.eigvalsh(kernel(W) - (V * basis.eigenvalues) @ V.T)[-1] > largest)
    assert np.mean(gram) < 0.1
    assert np.mean(beyond) < 0.1


@pytest.mark.parametrize("d", [1, 3, 20])
def test_bounds_of_gram_close_in_on_one(d):
    K = d * (d + 3) // 2
    for m, tolerance in ((10**6, 0.1), (10**10, 2e-3)):
        lower, upper = guarantees.gram_bounds(d, m)
        # To first order both are off by the same, which Bernstein's inequality has as well.
        spread = math.sqrt(2 * math.log(2 * K / 0.05) * (K * (1 + 2 / d) - 1) / m)
        assert upper - 1 == pytest.approx(spread, rel=tolerance)
        assert 1 - lower == pytest.approx(spread, rel=tolerance)


def test_remainder_bound_closes_in_on_the_first_eigenvalue_left_out():
    t = np.linspace(-1, 1, 200_001)
    density = (1 - t * t) ** 3.5
    # In dimension 10 the zonal polynomial of degree 4 is a multiple of this one.
    zonal = t**4 - 6 * t**2 / 14 + 3 / 168
    assert abs(integrate.trapezoid(zonal * t**2 * density, t)) < 1e-10
    mean = integrate.trapezoid(np.maximum(t, 0) * zonal / zonal[-1] * density, t)
    first = (10 * mean / integrate.trapezoid(density, t)) ** 2
    assert guarantees.remainder_bound(10, 10**10) == pytest.approx(first, rel=0.02)
    assert guarantees.remainder_bound(1, 10) == 0.0


@pytest.mark.parametrize("d, m", [(1, 5), (2, 3), (2, 40), (4, 120)])
@pytest.mark.parametrize("law", ["normal", "uniform", "cauchy"])
def test_sandwich_and_davis_kahan_hold_for_every_matrix(d, m, law):
    rng = np.random.default_rng([10, d, m])
    draw = {"normal": rng.normal, "uniform": rng.uniform, "cauchy": rng.standard_cauchy}[law]
    for _ in range(20):
        W = draw(size=(d, m))
        lower, upper = guarantees.sandwich(W)
        values, vectors = np.linalg.eigh(kernel(W))
        K = len(lower)
        assert min(d * (d + 3) // 2, m) == K
        room = 1e-12 * values[-1]
        assert (lower <= values[::-1][:K] + room).all()
        assert (upper >= values[::-1][:K] - room).all()
        if m > K:
            found = principal_sines(W, vectors[:, -K:])[0]
            assert found <= guarantees.davis_kahan(W) + 1e-7
    assert m > 3 or guarantees.davis_kahan(W) == 1.0


@pytest.mark.parametrize("d, m", [(2, 30), (4, 300)])
def test_sandwich_and_davis_kahan_are_what_their_formulas_say(d, m):
    W, basis = sample_weights(d, m, np.random.default_rng([19, d])), groups.Basis(groups.ALL, d)
    V, values, J = basis.eigenvectors(W), basis.eigenvalues, kernel(W)
    R = J - (V * values) @ V.T
    norm, gram = np.linalg.norm(R, 2), np.linalg.eigvalsh(V.T @ V)
    lower, upper = guarantees.sandwich(W)
    assert lower == pytest.approx(gram[0] * values)
    assert upper == pytest.approx(gram[-1] * values + norm)
    Q = np.linalg.qr(V)[0]
    outside = np.linalg.norm(R @ Q - Q @ (Q.T @ R @ Q), 2)
    gap = np.linalg.eigvalsh(Q.T @ J @ Q)[0] - norm
    assert guarantees.davis_kahan(W) == pytest.approx(min(outside / gap, 1.0) if gap > 0 else 1.0)


def test_remainder_norm_is_the_same_from_both_solvers(monkeypatch):
    W = sample_weights(4, 300, np.random.default_rng(11))
    basis = groups.Basis(groups.ALL, 4)
    V, values = basis.eigenvectors(W), basis.eigenvalues
    dense = _remainder_norm(W, V, values)
    assert dense == pytest.approx(np.linalg.eigvalsh(kernel(W) - (V * values) @ V.T)[-1])
    monkeypatch.setattr("reluspec_lib.width._span._DENSE_WIDTH", 100)
    assert dense <= _remainder_norm(W, V, values) * (1 + 1e-12)
    assert _remainder_norm(W, V, values) == pytest.approx(dense, rel=1e-4)


def test_davis_kahan_is_of_the_size_of_the_angle():
    W = sample_weights(3, 2000, np.random.default_rng(12))
    U = fisher.spectrum(W, vectors=True).eigenvectors
    assert guarantees.davis_kahan(W) < 3 * principal_sines(W, U)[0]


# --- the output ----------------------------------------------------------------------------------


@each_group
def test_uniform_bound_and_its_version_with_a_probability_hold(group):
    rng, m = np.random.default_rng(13), 20
    angles = np.linspace(0, 2 * np.pi, 400)
    x = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    sups = []
    for _ in range(2000):
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


def test_tail_at_the_edges():
    x = [[0.0, 0.0], [1.0, 2.0]]
    assert guarantees.tail(PRODUCT, x, 10, 0.0).tolist() == [[0.0], [1.0]]
    assert guarantees.tail(NORM, [1e200, 0.0], 10, 1e199) == pytest.approx(
        guarantees.tail(NORM, [1e-200, 0.0], 10, 1e-201)
    )
    assert guarantees.tail(NORM, [1e-300, 0.0], 10, 1e300).tolist() == [0.0]
    assert guarantees.tail(PRODUCT, x, 10, 1.0, columns=[]).shape == (2, 0)


# --- Berry and Esseen ----------------------------------------------------------------------------


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


def test_width_for_one_input_by_the_constants_for_all_inputs():
    # A coordinate at d = 1: an error of one eighth of |x|, second moment 3/2, variance 5/4, h = 1.
    steps, t = np.linspace(1e-4, 0.5, 200_000, endpoint=False), 1 / 8
    plain = steps * t - 0.75 * steps**2 * (1 + 2 * steps / (1 - 2 * steps))
    steps = steps / 2
    cubic = 3 * 4 * steps / (1 - 4 * steps)
    centred = steps * t - steps**2 * (0.625 + cubic)
    rate = max(plain.max(), centred.max())
    width = guarantees.width_for(COORDINATE, 1, 1 / 4, 0.999, "pointwise")
    assert width == pytest.approx(math.log(2000) / rate, rel=2e-3)


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
        (lambda: guarantees.residual("norm", 3, 5), "group must be a Group"),
        (lambda: guarantees.residual(PRODUCT, 1, 5), "column must be below 0"),
        (lambda: guarantees.residual(NORM, 3, 0), "m must be an integer >= 1"),
        (lambda: guarantees.leakage(0, 5), "d must be an integer >= 1"),
        (lambda: guarantees.orthonormality(3, 0.5), "m must be an integer >= 1"),
        (lambda: guarantees.gram_bounds(3, 5, 1), "probability must be between 0 and 1"),
        (lambda: guarantees.remainder_bound(3, 5, 0), "probability must be between 0 and 1"),
        (lambda: guarantees.sandwich([1.0, 2.0]), "W must"),
        (lambda: guarantees.davis_kahan([[1.0, 0.0], [0.0, 0.0]]), "zero column"),
        (lambda: guarantees.uniform_bound(3, 5, -1), "radius must be a positive number"),
        (lambda: guarantees.tail(NORM, [1.0], 5, -1), "t must be at least 0, got -1"),
        (lambda: guarantees.tail(NORM, [1.0], 5, 1, columns=[1]), "column must be below 1"),
        (lambda: guarantees.third_moment(NORM, 1), "d must be an integer >= 2"),
        (lambda: guarantees.third_moment(OWN, 3), "group must be one of groups.ALL"),
        (lambda: guarantees.width_for(NORM, 3, 0), "error must be a positive number"),
        (lambda: guarantees.width_for(NORM, 3, 1e-300), "error must be larger"),
        (lambda: guarantees.width_for(NORM, 3, 1, kind="mean"), "kind must be one of expected"),
        (
            lambda: guarantees.width_for(NORM, 3, 1, kind="uniform", guarantee=False),
            "guarantee must be True",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
