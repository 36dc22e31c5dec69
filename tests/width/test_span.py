"""Bounds for the span of the group vectors, against other solvers and simulated networks."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize

from helpers import kernel, z_score
from reluspec_lib import fisher, groups, guarantees, harmonics, sample_weights
from reluspec_lib.width._span import _least, _remainder_norm


def principal_sines(W, U):
    """Sines of the angles between the span of the group vectors and that of U."""
    Q = np.linalg.qr(groups.Basis(groups.ALL, len(W)).eigenvectors(W))[0]
    return np.linalg.svd(U - Q @ (Q.T @ U), compute_uv=False)


def test_span_angle_is_that_of_wide_networks():
    d, m, seen, rng = 2, 1000, [], np.random.default_rng(8)
    for _ in range(30):
        W = sample_weights(d, m, rng)
        U = fisher.spectrum(W, vectors=True, workers=1).eigenvectors
        seen.append(m * (principal_sines(W, U) ** 2).sum())
    expected = m * guarantees.span_angle(d, m)
    assert abs(z_score(seen, expected)) < 4
    assert np.std(seen) / math.sqrt(30) < 0.12 * expected


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


def least(function, largest):
    """Least value of a function of one variable below a largest one, by its logarithm."""
    found = optimize.minimize_scalar(
        lambda power: function(largest * math.exp(-power)),
        bounds=(0.0, 25.0),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return found.fun


@pytest.mark.parametrize(
    "d, m, probability", [(1, 30, 0.5), (2, 300, 0.95), (5, 4000, 0.9), (3, 1, 0.5)]
)
def test_bounds_of_gram_are_those_of_the_laplace_transform(d, m, probability):
    # |q|^2 is K/d times chi^2 with d degrees of freedom; directions count alike.
    K = d * (d + 3) // 2
    price = math.log(2 * K / (1 - probability)) / m

    def growth(theta):
        return math.log1p(((1 - 2 * theta * K / d) ** (-d / 2) - 1) / K)

    lower, upper = guarantees.gram_bounds(d, m, probability)
    # Beyond the bracket that is looked at, the bounds are far from the least ones.
    above = least(lambda theta: (growth(theta) + price) / theta, 0.499999 * d / K)
    below = least(lambda theta: (growth(-theta) + price) / theta, 40.0)
    assert upper == pytest.approx(above, rel=1e-4)
    assert lower == pytest.approx(max(-below, 0.0), rel=1e-4)
    assert m < 100 or lower > 0.2


@pytest.mark.parametrize("d, m, probability", [(2, 60, 0.5), (3, 100, 0.9), (6, 20_000, 0.99)])
def test_remainder_bound_is_that_of_its_formula(d, m, probability):
    degrees = range(4, 600, 2)
    sizes = np.array([float(harmonics.dimension(d, k)) for k in degrees])
    values = np.array([harmonics.eigenvalue(d, k) for k in degrees])
    trace = d / 2 - sum(harmonics.dimension(d, k) * harmonics.eigenvalue(d, k) for k in range(3))

    def bound(theta):
        # The mean of (exp(theta s |g|^2 / m) - 1) / (s d), with the share s of the trace.
        h = math.expm1(-d / 2 * math.log1p(-2 * theta * trace / d / m)) / trace
        return math.log1p(sizes @ np.expm1(m * np.log1p(values * h)) / (1 - probability)) / theta

    found = guarantees.remainder_bound(d, m, probability)
    assert found == pytest.approx(least(bound, 0.999 * m * d / 2 / trace), rel=1e-4)


def test_remainder_bound_takes_the_degrees_beyond_the_last_one_for_it(monkeypatch):
    d, m, probability = 3, 100, 0.9
    full = guarantees.remainder_bound(d, m, probability)
    monkeypatch.setattr("reluspec_lib.width._means._DEGREES", 2)
    sizes = np.array([harmonics.dimension(d, k) for k in (4, 6)])
    values = np.array([harmonics.eigenvalue(d, k) for k in (4, 6)])
    trace = d / 2 * (1 - harmonics.share(d, 2))
    left = trace - sizes @ values

    def bound(theta):
        h = math.expm1(-d / 2 * math.log1p(-2 * theta * trace / d / m)) / trace
        total = sizes @ np.expm1(m * np.log1p(values * h))
        total += left * m * h * math.exp(m * values[1] * h)
        return math.log1p(total / (1 - probability)) / theta

    found = guarantees.remainder_bound(d, m, probability)
    assert found == pytest.approx(least(bound, 0.999 * m * d / 2 / trace), rel=1e-4)
    assert full < found < 1.5 * full


@pytest.mark.parametrize("d", [200, 1000])
def test_bounds_in_high_dimension_overflow_nowhere(d):
    lower, upper = guarantees.gram_bounds(d, 10**12)
    assert 1 - lower == pytest.approx(upper - 1, rel=0.1)
    first = harmonics.eigenvalue(d, 4)
    assert first < guarantees.remainder_bound(d, 10**14) < 2 * first


def test_the_least_value_is_found_inside_and_at_both_ends():
    # Three brackets of 60 steps each: the last one has steps of a thousandth.
    for place in np.geomspace(1e-9, 0.9, 20):
        assert _least(lambda t, place=place: abs(math.log(t / place)), 1.0) < 6e-4
    assert _least(lambda t: 1 / t, 5.0) == pytest.approx(1 / 5, rel=2e-6)
    assert _least(lambda t: t, 5.0) == pytest.approx(5 * math.exp(-60), rel=1e-3)
    # Of many values infinite ones, or of none a finite one.
    assert _least(lambda t: t if t > 0.1 else math.inf, 5.0) == pytest.approx(0.1, rel=0.02)


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
        assert m >= d * (d + 3) // 2 or not lower.any()
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


def test_davis_kahan_at_its_edges():
    # In one dimension no degree is left out, and two units with two signs span the plane.
    assert guarantees.davis_kahan([[1.0, -2.0]]) == pytest.approx(0.0, abs=1e-12)
    # An angle bound above a right one, a gap below 0, and fewer units than vectors.
    for seed, m in ((17, 6), (2, 6), (0, 4)):
        W = sample_weights(2, m, np.random.default_rng(seed))
        assert guarantees.davis_kahan(W) == 1.0


def test_remainder_norm_is_the_same_from_both_solvers(monkeypatch):
    W = sample_weights(4, 300, np.random.default_rng(11))
    basis = groups.Basis(groups.ALL, 4)
    V, values = basis.eigenvectors(W), basis.eigenvalues
    dense = _remainder_norm(W, V, values)
    assert dense == pytest.approx(np.linalg.eigvalsh(kernel(W) - (V * values) @ V.T)[-1])
    monkeypatch.setattr("reluspec_lib.width._span._DENSE_WIDTH", 100)
    found = _remainder_norm(W, V, values)
    assert dense * (1 - 1e-12) <= found <= dense * (1 + 2e-6)
    assert _remainder_norm(W, V, values) == found


def test_davis_kahan_is_of_the_size_of_the_angle():
    W = sample_weights(3, 2000, np.random.default_rng(12))
    U = fisher.spectrum(W, vectors=True).eigenvectors
    assert guarantees.davis_kahan(W) < 3 * principal_sines(W, U)[0]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: guarantees.gram_bounds(0, 5), "d must be an integer >= 1, got 0"),
        (lambda: guarantees.gram_bounds(3, 0), "m must be an integer >= 1, got 0"),
        (lambda: guarantees.gram_bounds(3, 5, 1), "probability must be between 0 and 1, got 1$"),
        (lambda: guarantees.remainder_bound(0, 5), "d must be an integer >= 1, got 0"),
        (lambda: guarantees.remainder_bound(3, 0), "m must be an integer >= 1, got 0"),
        (lambda: guarantees.remainder_bound(3, 5, 0), "probability must be between 0 and 1, got 0"),
        (lambda: guarantees.remainder_bound(3, 5, "a"), "probability must be a"),
        (lambda: guarantees.sandwich([1.0, 2.0]), "W must"),
        (lambda: guarantees.davis_kahan([[1.0, 0.0], [0.0, 0.0]]), ".*zero column"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match="^" + message):
        call()
