"""The risk in closed form: against the fixed point as it is written, its limits, and networks."""

import copy
import itertools
import math
import pickle
import re

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate, optimize, stats

from helpers import rng
from reluspec_lib import (
    dynamics,
    features,
    fisher,
    groups,
    harmonics,
    risk,
    sample_weights,
    targets,
)
from reluspec_lib.learning import _equivalent
from reluspec_lib.learning.risk import Ridge, flow, optimal_alpha, sgd, stable_step

POWER = {0: 0.5, 1: 0.3, 2: 0.2}


# --- the pieces


@pytest.mark.parametrize("d", [2, 3, 5])
@pytest.mark.parametrize("kappa", [1e-2, 1e-6, 1e-9])
def test_sums_over_degrees_are_those_of_many_terms(d, kappa):
    # b_(k+2)/b_k and N by the recurrences, over all even degrees up to 2 * 10^6.
    k = np.arange(0.0, 2e6, 2)
    b = harmonics.relu_coefficient(d, 0) * np.cumprod(np.r_[1.0, (k - 1) / (k + d + 1)])[:-1]
    terms = np.arange(1, d - 1)
    N = (
        (2 * k + d - 2) / (d - 2) * np.prod([(k + j) / j for j in terms[:-1]], axis=0)
        if d > 2
        else 2
    )
    values, sizes = np.r_[0.25, d**2 * b**2], np.r_[float(d), np.broadcast_to(N, k.shape)]
    if d == 2:
        sizes[1] = 1
    found = [part[0] for part in _equivalent.spectrum(d).sums(np.array([kappa]))]
    ratio = values / (values + kappa)
    right = [(sizes * ratio).sum(), (sizes * ratio**2).sum(), (sizes * ratio**2 / values).sum()]
    # What the terms left out add to the first sum at most.
    np.testing.assert_allclose(found, right, rtol=1e-11 + 1e-18 * d / kappa)


@pytest.mark.parametrize("d", [1, 2, 3, 7, 40, 1000])
@pytest.mark.parametrize("u", [1e-6, 0.4, 1 - 1e-6])
def test_the_length_equation_is_solved_for_the_gamma_law(d, u):
    y = float(_equivalent.law(d).solve(np.array([u]))[0])
    law = stats.gamma(d / 2, scale=2 / d)
    places = law.ppf([1e-9, 1e-4, 0.1, 0.5, 0.9, 1 - 1e-9]).tolist()
    mean = sum(
        integrate.quad(
            lambda t: math.exp(t) * law.pdf(math.exp(t)) / (1 + y * math.exp(-t) / u),
            *ends,
            epsabs=1e-14,
        )[0]
        for ends in itertools.pairwise(np.log([1e-30, *places, 200.0]))
    )
    assert mean / u == pytest.approx(1, abs=1e-9 + 1e-12 / u)


@pytest.mark.parametrize("d", [1, 2, 3, 7, 8, 79, 81, 100, 399, 401, 1e6])
def test_the_law_of_the_lengths_has_the_moments_of_chi_squares(d):
    law = _equivalent.law(d)
    r = law.nodes
    moments = law.mean(np.stack([np.ones_like(r), r, r**2, r**3]))
    right = [1, 1, 1 + 2 / d, (1 + 2 / d) * (1 + 4 / d)]
    np.testing.assert_allclose(moments, right, rtol=1e-13)
    if d > 2:
        assert law.mean(1 / r) == pytest.approx(d / (d - 2), rel=1e-13)
    assert law.d == d


@pytest.mark.parametrize("z", [3.0, 5.0, 7.0, 20.0])
@pytest.mark.parametrize("a", [0.5, 1.0, 60.0])
def test_stirlings_series_is_off_by_less_than_the_first_term_left_out(z, a):
    with mp.workdps(30):
        exact = float(mp.loggamma(mp.mpf(z) + a) - mp.loggamma(z))
    left_out = (z**-9 + (z + a) ** -9) / 1188
    found = float(_equivalent._log_gamma_ratio(np.array([z]), a)[0])
    assert abs(found - exact) <= left_out + 4e-16 * (1 + a * math.log(z + a))


def test_levels_of_two_points_and_of_odd_degrees():
    values, parts = _equivalent.levels(1, [0, 1, 2, 3, 4])
    assert values.tolist() == [0.25, 0.25, 0, 0, 0]
    assert parts.tolist() == [0.25, 0.25, 0, 0, 0]
    values, parts = _equivalent.levels(3, [3, 1])
    assert (values.tolist(), parts.tolist()) == ([0, 0.25], [0, 0.75])


def test_two_functions_are_never_more_than_two_dimensions():
    found = _equivalent.no_ridge(_equivalent.spectrum(1), np.array([1.0, 2.0, 2.5, np.inf]))
    # Both eigenvalues are 1/4: 2/(1 + 4 kappa) = 1.
    assert found[0] == pytest.approx(0.25, rel=1e-12)
    assert found[1:].tolist() == [0, 0, 0]


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_ridge_of_any_size_for_few_units_and_samples(d):
    sizes = [1, 2, 3, 30, np.inf]
    m, n = np.array(list(itertools.product(sizes, sizes))).T
    power, noise = {0: 0.5, 1: 0.5}, 0.3
    for alpha in (1e-14, 1e-9, 1e-3, 1.0, 1e30):
        found = Ridge(d, m, n, alpha, power=power, noise=noise)
        assert np.isfinite(found.risk).all()
    # Then the zero function is what is learned.
    assert found.risk == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("m", [2, 3, np.inf])
@pytest.mark.parametrize("n", [2, 3, 30])
def test_two_functions_without_ridge_are_the_limit_of_a_small_one(m, n):
    setting = {"power": {0: 0.7, 1: 0.3}, "noise": 0.2, "lengths": False}
    none, small = (Ridge(1, m, n, alpha, **setting) for alpha in (0.0, 1e-13))
    if n > 2:
        assert none.risk == pytest.approx(small.risk, rel=1e-3)
        assert none.by_degree[0] == pytest.approx(small.by_degree[0], rel=1e-3)
    assert not np.isnan(none.risk)


def test_lengths_without_ridge_in_few_dimensions():
    # E[1/r] of the length of an input is infinite up to d = 2 and d/(d - 2) from 3 on.
    power = {0: 0.5, 1: 0.5}
    assert math.isfinite(Ridge(3, 90, 20, 0.0, power=power, noise=0.3).risk)
    # Whatever rounding makes of the kappa at which the effective dimension is n.
    found = Ridge(2, [[30], [91], [np.inf]], np.arange(1, 31), 0.0, power=power, noise=0.3)
    assert np.isinf(found.risk).all()
    without = Ridge(2, 90, 20, 0.0, power=power, noise=0.0)
    assert all(math.isfinite(part) for part in without.by_degree.values())


def test_without_lengths_the_equation_is_linear():
    law = _equivalent.law(math.inf)
    assert law.solve(np.array([0.0, 0.3, 1.0, 2.5])) == pytest.approx([1, 0.7, 0, 0], abs=1e-15)
    ends = _equivalent.law(3).solve(np.array([0.0, 1.0, 2.5]))
    np.testing.assert_array_equal(ends, [1, 0, 0])


@pytest.mark.parametrize("d", [2, 3, 9])
def test_high_degrees_are_those_of_the_recurrences(d):
    k = np.array([256, 300, 512])
    values, parts = _equivalent.levels(d, k)
    value, size = _equivalent._far(d, k.astype(float))
    np.testing.assert_allclose(np.exp(value), values, rtol=1e-12)
    np.testing.assert_allclose(np.exp(value + size), parts, rtol=1e-12)


def test_odd_degrees_have_no_eigenvalue():
    values, parts = _equivalent.levels(3, [5, 1, 2, 0, 3])
    right = [harmonics.eigenvalue(3, k) for k in (5, 1, 2, 0, 3)]
    np.testing.assert_allclose(values, right, rtol=1e-13)
    np.testing.assert_allclose(parts, np.array(right) * [0, 3, 5, 1, 0], rtol=1e-13)


@pytest.mark.parametrize(("z", "a"), [(128.0, 1.5), (127.5, -2.0), (1e5, 40.0), (300.0, 0.0)])
def test_ratios_of_gamma_functions(z, a):
    with mp.workdps(40):
        right = float(mp.loggamma(mp.mpf(z) + a) - mp.loggamma(z))
    assert _equivalent._log_gamma_ratio(np.array([z]), a)[0] == pytest.approx(right, rel=1e-13)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_without_ridge_the_effective_dimension_is_a_count(d):
    spectrum, count = _equivalent.spectrum(d), np.array([1.0, 7.0, 1e3, np.inf])
    found = _equivalent.no_ridge(spectrum, count)
    assert found[-1] == 0
    if d == 1:  # two functions, each of eigenvalue 1/4
        assert found.tolist() == pytest.approx([0.25, 0, 0, 0])
    else:
        np.testing.assert_allclose(spectrum.dimension(found[:-1]), count[:-1], rtol=1e-11)


@pytest.mark.parametrize("lengths", [3, math.inf])
def test_kappa_belongs_to_its_ridge(lengths):
    spectrum, law = _equivalent.spectrum(3), _equivalent.law(lengths)
    problem = _equivalent.Problem(3, spectrum, law, POWER, 0.0)
    m, n = np.array([30.0, 5, 1e4, np.inf]), np.array([8.0, 90, 1e6, 3])
    alpha = np.array([1e-5, 3.0, 1e-9, 0.2])
    kappa = _equivalent.kappa(problem, m, n, alpha)
    D = spectrum.dimension(kappa)
    np.testing.assert_allclose(kappa * law.solve(D / m) * law.solve(D / n), alpha, rtol=1e-9)
    none = _equivalent.kappa(problem, m[:3], n[:3], np.zeros(3))
    np.testing.assert_allclose(spectrum.dimension(none), [8, 5, 1e4], rtol=1e-11)


def test_a_fixed_point_that_is_not_there_is_an_error():
    ends = np.array([-1.0, -1.0, 0.0]), np.array([1.0, 1.0, 1.0])

    def no_root(x, shift):
        return x**2 + shift

    with pytest.raises(ArithmeticError, match=r"^the fixed point was not found for 2 settings$"):
        _equivalent._root(no_root, *ends, np.array([1.0, 2.0, -0.25]))


# --- the fixed point


def as_written(d, m, n, alpha, noise, lengths):
    """The risk from the equations with H, s and q, solved as a system, with all sums in full."""
    degrees = [0, 1, *range(2, 2001, 2)]
    values = np.array([harmonics.eigenvalue(d, k) for k in degrees])
    sizes = np.array([float(harmonics.dimension(d, k)) for k in degrees])
    power = np.array([POWER.get(k, 0.0) for k in degrees])
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    if lengths:  # of d = 3: |g|^2 = r 3, with density |g|^2 exp(-|g|^2/2)
        r, p = nodes**2 / 3, weights * nodes**2
        p = p / p.sum()
    else:
        r, p = np.ones(1), np.ones(1)

    def parts(q, s):
        H = 1 / (s * q * values + alpha)
        trace = (sizes * values * H).sum()
        return H, trace / m, q * trace / n

    def residual(logs):
        q, s = np.exp(logs)
        _, eps, delta = parts(q, s)
        return [p @ (r / (1 + r * s * eps)) / q - 1, p @ (r / (1 + r * delta)) / s - 1]

    q, s = np.exp(optimize.root(residual, [-0.5, -0.5], tol=1e-14).x)
    H, eps, delta = parts(q, s)
    w = p @ (r / (1 + r * s * eps)) ** 2
    a1 = (sizes * values * H**2).sum() / m
    a2 = (sizes * values**2 * H**2).sum() / m
    slope = w * s * a1 / (1 - w * s**2 * a2)
    H2 = H**2 * (1 + s * slope * values)
    tau = (sizes * ((s * q * values * H) ** 2 + alpha**2 * s * slope * values * H**2)).sum()
    tau /= n * s**2
    omega, omega_1 = p @ (r / (1 + r * delta)) ** 2, p @ (r / (1 + r * delta) ** 2)
    excess = alpha**2 * (power * H2).sum() + noise**2 * tau * omega_1
    return excess / (1 - omega * tau), (sizes * values * H).sum() * s * q


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize(
    "m, n, alpha, noise",
    [(90, 70, 0.02, 0.3), (40, 200, 0.1, 0.0), (300, 20, 0.5, 1.0), (1, 1, 2.0, 1.0)],
)
def test_the_risk_is_that_of_the_fixed_point_as_it_is_written(m, n, alpha, noise, lengths):
    found = Ridge(3, m, n, alpha, power=POWER, noise=noise, lengths=lengths)
    right, dimension = as_written(3, m, n, alpha, noise, lengths)
    # 2000 degrees have all but 1e-9 of the trace.
    assert float(found.risk) == pytest.approx(right, rel=1e-9)
    assert float(found.effective_dimension) == pytest.approx(dimension, rel=1e-9)


def test_kernel_ridge_is_the_limit_of_great_width():
    # Canatar et al.: alpha = kappa (1 - D/n), with lengths fixed.
    d, n, noise, kappa = 5, 60.0, 0.4, 0.01
    D, D2, _ = (part[0] for part in _equivalent.spectrum(d).sums(np.array([kappa])))
    alpha = kappa * (1 - D / n)
    bias = sum(p * (kappa / (harmonics.eigenvalue(d, k) + kappa)) ** 2 for k, p in POWER.items())
    right = (bias + noise**2 * D2 / n) / (1 - D2 / n)
    found = Ridge(d, math.inf, 60, alpha, power=POWER, noise=noise, lengths=False)
    assert float(found.risk) == pytest.approx(right, rel=1e-12)
    wide = Ridge(d, [10**5, 10**7], 60, alpha, power=POWER, noise=noise)
    limit = Ridge(d, math.inf, 60, alpha, power=POWER, noise=noise)
    np.testing.assert_allclose(
        (wide.risk / limit.risk - 1) * [1, 100], wide.risk[0] / limit.risk - 1, rtol=0.02
    )


def test_with_all_data_what_the_width_cannot_represent_is_left():
    found = Ridge(5, 40, [10**6, 10**7, np.inf], 0.0, power=POWER)
    assert found.risk[2] > 0.001
    np.testing.assert_allclose(
        found.risk[0] - found.risk[2], 10 * (found.risk[1] - found.risk[2]), rtol=0.01
    )


def test_samples_and_units_play_the_same_part_without_noise_in_the_effective_dimension():
    one, other = Ridge(4, 90, 30, 0.01, power=POWER), Ridge(4, 30, 90, 0.01, power=POWER)
    assert float(one.effective_dimension) == pytest.approx(
        float(other.effective_dimension), rel=1e-12
    )


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("m, n, alpha", [(50, 30, 0.02), (30, 50, 0.0), (30, 50, 3.0)])
def test_the_risk_is_the_sum_over_all_degrees(m, n, alpha, noise):
    everything = {k: POWER.get(k, 0.0) for k in [0, 1, *range(2, 1200, 2)]}
    found = Ridge(6, m, n, alpha, power=everything, noise=noise)
    assert sum(found.by_degree.values()) == pytest.approx(float(found.risk), rel=1e-7)
    assert float(found.bias + found.variance) == pytest.approx(float(found.risk), rel=1e-14)
    quiet = Ridge(6, m, n, alpha, power=everything)
    assert float(quiet.risk) == float(found.bias)
    assert (float(found.variance) > 0) == (noise > 0)


def test_without_ridge_the_risk_has_no_bound_where_samples_and_units_are_as_many():
    found = Ridge(6, 100, [50, 99, 100, 101, 400], 0.0, power=POWER, noise=0.1)
    assert np.isinf(found.risk[2])
    assert (np.delete(found.risk, 2) < np.inf).all()
    assert found.risk[1] > 10 * found.risk[0]
    np.testing.assert_allclose(found.effective_dimension, [50, 99, 100, 100, 100], rtol=1e-12)
    quiet = Ridge(6, 100, [99, 100], 0.0, power=POWER)
    assert np.isinf(quiet.risk).tolist() == [False, True]
    assert quiet.variance.tolist() == [0, 0]
    near = Ridge(6, 100, [50, 99, 101, 400], 1e-13, power=POWER, noise=0.1)
    np.testing.assert_allclose(near.risk, np.delete(found.risk, 2), rtol=1e-4)


def test_interpolated_noise_has_no_mean_on_the_plane_without_ridge():
    found = Ridge(2, 100, 50, 0.0, power=POWER, noise=0.1)
    assert np.isinf(found.risk)
    assert found.bias < 1


@pytest.mark.parametrize("d", [2, 3, 10, 1000, 10**5])
@pytest.mark.parametrize("m, n", [(1, 1), (1, 10**7), (10**7, 1), (10**7, 10**6)])
@pytest.mark.parametrize("alpha", [0.0, 1e-12, 1.0, 1e6])
def test_extreme_settings(d, m, n, alpha):
    found = Ridge(d, m, n, alpha, power=POWER, noise=0.0)
    total = sum(POWER.values())
    if m == n == 1 and alpha == 0:
        assert np.isinf(found.risk)
    else:
        assert 0 <= found.bias < np.inf
        assert found.effective_dimension <= min(m, n) * (1 + 1e-12)
    if alpha == 1e6:
        assert found.risk == pytest.approx(total, rel=1e-4 * d)


# --- networks


def target(x):
    """Parts of degrees 0, 1 and 2 with mean square 1."""
    r = np.linalg.norm(x, axis=1)
    d = x.shape[1]
    return np.stack([r / math.sqrt(d), x[:, 0], math.sqrt(d + 2) * x[:, 0] * x[:, 1] / r], axis=1)


def simulated(d, m, n, alpha, noise, rng):
    """The exact excess risk of one network with one sample."""
    weights = np.sqrt(list(POWER.values()))
    W, x = sample_weights(d, m, rng), rng.standard_normal((n, d))
    y = target(x) @ weights + noise * rng.standard_normal(n)
    X = features(x, W)
    v = np.linalg.solve(X.T @ X / n + alpha * np.eye(m), X.T @ y / n)
    b = d * np.array([harmonics.relu_coefficient(d, k) for k in POWER])
    return v @ fisher.matvec(W, v) - 2 * v @ (target(W.T) * b) @ weights + sum(POWER.values())


@pytest.mark.parametrize("m, n, alpha, noise", [(90, 70, 0.005, 0.3), (60, 150, 0.01, 0.5)])
def test_networks_have_the_risk_with_lengths_and_not_that_without(m, n, alpha, noise):
    rng = np.random.default_rng(31)
    draws = [simulated(4, m, n, alpha, noise, rng) for _ in range(150)]
    mean, error = np.mean(draws), np.std(draws) / math.sqrt(len(draws))
    with_, without = (
        float(Ridge(4, m, n, alpha, power=POWER, noise=noise, lengths=lengths).risk)
        for lengths in (True, False)
    )
    assert abs(mean - with_) < 4 * error
    assert mean - without > 4 * error


# --- ridge


def test_the_best_ridge_is_where_the_risk_has_no_slope():
    m, n = np.array([20, 400]), np.array([[30], [200], [90]])
    for noise in (0.2, 1.0):
        best = optimal_alpha(5, m, n, power=POWER, noise=noise)
        assert best.shape == (3, 2)
        at = [Ridge(5, m, n, best * f, power=POWER, noise=noise).risk for f in (0.9, 1.0, 1.1)]
        assert (at[1] < at[0]).all()
        assert (at[1] < at[2]).all()
        assert (np.abs(at[0] - at[2]) < 0.3 * (at[0] - at[1] + at[2] - at[1])).all()


def test_the_best_ridge_of_many_samples_is_small_and_not_none():
    n = [10**4, 10**5]
    best = optimal_alpha(10, 300, n, power=POWER, noise=0.1)
    at = [Ridge(10, 300, n, best * f, power=POWER, noise=0.1).risk for f in (0.0, 0.5, 1.0, 2.0)]
    assert (best > 0).all()
    assert (np.delete(at, 2, axis=0) > at[2]).all()


@pytest.mark.parametrize(
    "n, noise, limit",
    [(1, 0.115, 1e-5), (1, 0.3, 1e-6), (4, 1.5, 1e-6), (1, 2.0, 1e-6), (4, 3e5, 5e-3)],
)
def test_with_all_units_and_one_eigenvalue_the_best_ridge_is_that_of_bayes(n, noise, limit):
    # At d = 1 there are two functions, each of eigenvalue 1/4. On n inputs the best ridge is
    # noise^2/n over the mean square of a coefficient, which is half the power over 1/4.
    power = {0: 0.5, 1: 0.3}
    best = optimal_alpha(1, np.inf, n, power=power, noise=noise, lengths=False)
    assert float(best) == pytest.approx(noise**2 / n / (0.8 / 2 / 0.25), rel=limit)


def test_where_no_ridge_is_best_it_is_0_and_the_others_are_found_as_well():
    setting = {"power": {0: 0.5, 1: 0.3}, "lengths": False}
    best = optimal_alpha(1, [np.inf, 1], 2, **setting)
    assert best[0] == 0
    assert best[1] == pytest.approx(float(optimal_alpha(1, 1, 2, noise=0.0, **setting)), rel=1e-6)
    at = Ridge(1, 1, 2, best[1] * np.array([0.99, 1, 1.01]), **setting).risk
    assert at[1] < min(at[0], at[2])


def test_of_pure_noise_the_best_is_nothing():
    assert optimal_alpha(5, 30, 40, power={1: 0.0}, noise=1.0) == np.inf


# --- SGD


def plane(rng, runs, batch, degrees, lengths):
    """Features of d = 2 in its infinitely many units, to the highest degree given."""
    x = rng.standard_normal((runs, batch, 2))
    r, angle = np.linalg.norm(x, axis=-1), np.arctan2(x[..., 1], x[..., 0])
    r = r if lengths else np.full_like(r, math.sqrt(2))
    columns = [r / math.sqrt(2)]
    for k in degrees[1:]:
        columns += [r * np.cos(k * angle), r * np.sin(k * angle)]
    return np.stack(columns, axis=-1)  # orthonormal under the Gaussian


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("batch, step", [(1, 0.3), (3, 0.8)])
def test_mean_risks_are_those_of_runs(batch, step, lengths):
    rng, degrees, runs = np.random.default_rng(5), [0, 1, 2, 4, 6, 8], 20_000
    values = np.repeat([harmonics.eigenvalue(2, k) for k in degrees], [1, *[2] * 5])
    error = np.zeros((runs, 11))
    error[:, [0, 1, 3]] = np.sqrt(list(POWER.values()))
    for _ in range(6):
        X = plane(rng, runs, batch, degrees, lengths)
        seen = np.einsum("rbk,rk->rb", X, error) + 0.5 * rng.standard_normal((runs, batch))
        error -= step * values * np.einsum("rbk,rb->rk", X, seen) / batch
    found = sgd(2, POWER, 0.5, step, batch, 6, lengths=lengths)
    for place, k in [(slice(0, 1), 0), (slice(1, 3), 1), (slice(3, 5), 2)]:
        risks = (error[:, place] ** 2).sum(axis=1)
        assert abs(risks.mean() - found[k]) < 4 * risks.std() / math.sqrt(runs)


def test_steps_are_counted_from_the_start():
    found = sgd(5, POWER, 0.1, 0.2, 4, [0, 3, 50])
    assert [found[k][0] for k in POWER] == pytest.approx(list(POWER.values()))
    assert found[1][2] == pytest.approx(float(sgd(5, POWER, 0.1, 0.2, 4, 50)[1]), rel=1e-12)
    assert found[3 - 1].shape == (3,)
    assert 3 not in found
    assert sgd(5, {3: 1.0}, 0.0, 0.2, 4, 10)[3] == 1  # an odd degree is not learned


@pytest.mark.parametrize("d, batch", [(1, 1), (2, 1), (5, 1), (5, 4), (10, 64), (100, 10**6)])
@pytest.mark.parametrize("lengths", [True, False])
def test_below_the_stable_step_the_risk_is_bounded_and_above_it_is_not(d, batch, lengths):
    limit, power, late = (
        stable_step(d, batch, lengths=lengths),
        {0: 1.0, 1: 1.0},
        [10**9, 2 * 10**9],
    )
    below, above = (
        sgd(d, power, 0.1, factor * limit, batch, late, lengths=lengths)
        for factor in (1 - 1e-3, 1 + 1e-3)
    )
    assert sum(below.values())[0] < np.inf
    assert sum(below.values())[1] == pytest.approx(sum(below.values())[0], rel=0.02)
    assert sum(above.values())[1] == np.inf


@pytest.mark.parametrize("d, batch", [(2, 2), (3, 7), (5, 64), (1000, 1000), (10**6, 40)])
def test_the_stable_step_solves_its_equation(d, batch):
    step, degrees = stable_step(d, batch, lengths=True), [0, 1, *range(2, 61, 2)]
    values = np.array([harmonics.eigenvalue(d, k) for k in degrees])
    traces = values * [float(harmonics.dimension(d, k)) for k in degrees]
    # Beyond these degrees eigenvalues are small beside 2/step; their traces add up to the rest.
    parts = np.append(traces / (2 - step * (1 - 1 / batch) * values), (d / 2 - traces.sum()) / 2)
    assert (1 + 2 / d) * step / batch * parts.sum() == pytest.approx(1, rel=1e-7)
    assert stable_step(d, batch) == step < stable_step(d, batch, lengths=False)


@pytest.mark.parametrize("power, noise", [({1: 1.0}, 0.0), ({128: 1.0}, 0.0), ({1: 0.0}, 0.3)])
def test_the_risks_follow_their_recursion(power, noise):
    d, step, batch = 3, 0.4, 5
    degrees = [0, 1, *range(2, 129, 2)]
    values = np.array([harmonics.eigenvalue(d, k) for k in degrees])
    sizes = np.array([float(harmonics.dimension(d, k)) for k in degrees])
    risks = np.array([power.get(k, 0.0) for k in degrees])
    for _ in range(7):
        kept = 1 - 2 * step * values + step**2 * (1 - 1 / batch) * values**2
        charge = (1 + 2 / d) * risks.sum() + noise**2
        risks = kept * risks + step**2 * values**2 * sizes / batch * charge
    found = sgd(d, power, noise, step, batch, 7)
    assert list(found) == degrees
    np.testing.assert_allclose(np.array(list(found.values())), risks, rtol=1e-12)
    assert found == sgd(d, power, noise, step, batch, 7, lengths=True)


def test_in_one_dimension_there_are_two_degrees():
    assert list(sgd(1, {1: 1.0}, 0.0, 0.1, 2, 3)) == [0, 1]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("step", [1e9, 1e200])
def test_what_is_not_learned_stays_finite_when_the_rest_overflows(step, batch):
    found = sgd(5, {1: 1.0, 3: 0.5}, 0.1, step, batch, [0, 1, 10**6])
    np.testing.assert_array_equal(found[3], 0.5)
    assert found[1][-1] == found[2][-1] == np.inf
    assert sgd(5, {1: 1.0}, 1e200, 0.1, batch, 3)[1] == np.inf
    assert sgd(5, {1: 1e300}, 0.0, 1e20, batch, 1)[1] == np.inf  # without infinity on the way
    nothing = sgd(5, {1: 0.0}, 0.0, step, batch, 10**6)
    assert not any(risk.any() for risk in nothing.values())


@pytest.mark.parametrize("d", [1, 2, 50])
def test_with_huge_batches_the_stable_step_is_that_of_all_inputs(d):
    limit = 2 / harmonics.eigenvalue(d, 0)
    assert stable_step(d, 10**30) == pytest.approx(limit, rel=1e-14)


# --- the flow


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("m, n, noise", [(30, 90, 0.4), (90, 30, 0.0), (90, np.inf, 0.0)])
def test_the_flow_begins_at_zero_and_ends_at_the_ridgeless_estimator(m, n, noise, lengths):
    setting = {"power": POWER, "noise": noise, "lengths": lengths}
    early, late = flow(10, m, n, [0.0, 1e14], **setting)
    assert early == 1.0
    assert late == pytest.approx(float(Ridge(10, m, n, 0, **setting).risk), rel=1e-5)


@pytest.mark.parametrize("d, m, n", [(1, 1, 3), (1, 3, 1), (2, np.inf, 5)])
def test_the_flow_of_the_smallest_settings_is_found(d, m, n):
    power = {0: 0.5, 1: 0.5}
    (late,) = flow(d, m, n, [1e12], power=power)
    assert late == pytest.approx(float(Ridge(d, m, n, 0, power=power).risk), rel=1e-5)


def test_with_all_inputs_and_units_each_degree_decays_on_its_own():
    times = np.array([0.1, 3.0, 40.0])
    stated = sum(p * np.exp(-2 * harmonics.eigenvalue(6, k) * times) for k, p in POWER.items())
    np.testing.assert_allclose(
        flow(6, np.inf, np.inf, times, power=POWER), stated, rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("m, n", [(40, 25), (20, 50)])
def test_the_flow_agrees_with_a_closed_contour_and_equations_solved_apart(m, n):
    # The readout of the flow is a sum over ridges on an ellipse around the eigenvalues too. With
    # fixed lengths s = 1 - D/n and q = 1 - D/m; every kappa is sought by itself.
    t, noise, count = 3.0, 0.3, 40
    top = 4 * harmonics.eigenvalue(5, 0)
    angle = 2 * np.pi * (np.arange(count) + 0.5) / count
    z = top / 2 * (1 + np.cosh(1.4 + 1j * angle))
    step = top / 2 * np.sinh(1.4 + 1j * angle) / count
    weights = step * np.expm1(-t * z) / z
    spectrum = _equivalent.spectrum(5)
    values, traces = spectrum.eigenvalues, spectrum.traces

    def dimension(kappa):
        return (traces / (values + kappa)).sum()

    def difference(pair, alpha):
        kappa = complex(*pair)
        D = dimension(kappa)
        error = kappa * (1 - D / n) * (1 - D / m) - alpha
        return error.real, error.imag

    kappas = np.zeros(count, dtype=complex)
    for place, alpha in enumerate(-z[: count // 2]):
        guess = 1e3 * alpha
        for factor in np.geomspace(1e3, 1, 20):
            root = optimize.root(difference, (guess.real, guess.imag), factor * alpha, tol=1e-13)
            guess = complex(*root.x)
        # The ellipse lies on both sides of the real line alike.
        kappas[[place, -1 - place]] = guess, guess.conjugate()
    risk_of = 0.0
    left = 1 / (values + kappas[:, None])
    firsts, seconds = left * traces @ left.T, left * traces * values @ left.T
    for a, b in itertools.product(range(count), repeat=2):
        one, two = kappas[a], kappas[b]
        first, second = firsts[a, b], seconds[a, b]
        # At fixed lengths s + D/n = q + D/m = 1, and all means over lengths are 1.
        mu = first / m / (1 - second / m)
        tau = (second + one * two * mu * first) / n
        base = sum(
            p * one * two / ((lam + one) * (lam + two)) * (1 + lam * mu)
            for k, p in POWER.items()
            for lam in [harmonics.eigenvalue(5, k)]
        )
        product = (base + noise**2 * tau) / (1 - tau)
        risk_of += weights[a] * weights[b] * product
    # On an ellipse the weights do not sum to 1; the rest belongs to the ridge at infinity.
    rest = 1 - weights.sum()
    for a, one in enumerate(kappas):
        mean = sum(p * one / (harmonics.eigenvalue(5, k) + one) for k, p in POWER.items())
        risk_of += 2 * rest * weights[a] * mean
    risk_of += rest**2 * sum(POWER.values())
    (found,) = flow(5, m, n, [t], power=POWER, noise=noise, lengths=False)
    assert found == pytest.approx(risk_of.real, rel=1e-9)


def test_networks_follow_the_flow():
    draws, d, m, n, stops = rng(4), 4, 60, 45, [2.0, 30.0]
    target = targets.limit(groups.NORM, d) * (1 / math.sqrt(harmonics.eigenvalue(d, 0)))
    risks = []
    for _ in range(150):
        W, x = sample_weights(d, m, draws), draws.standard_normal((n, d))
        sample = x, target(x) + 0.3 * draws.standard_normal(n)
        risks.append(dynamics.flow(W, target, stops, sample=sample).risk())
    z = stats.ttest_1samp(risks, flow(d, m, n, stops, power={0: 1.0}, noise=0.3)).statistic
    assert np.abs(z).max() < 4


# --- form


def test_settings_broadcast_and_equal_those_alone():
    found = Ridge(4, [[50], [90]], [35, 70, 140], 0.005, power=POWER, noise=0.1)
    assert found.risk.shape == found.by_degree[1].shape == (2, 3)
    alone = Ridge(4, 90, 70, 0.005, power=POWER, noise=0.1)
    assert found.risk[1, 1] == pytest.approx(float(alone.risk), rel=1e-13)
    assert list(alone.by_degree) == list(POWER)


def test_results_are_values():
    one = Ridge(4, 50, [35, 70], 0.1, power=POWER)
    assert one == copy.deepcopy(one) == pickle.loads(pickle.dumps(one))
    assert one != Ridge(4, 50, [35, 71], 0.1, power=POWER)
    assert repr(one).startswith("Ridge(risk=")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"d": 0}, "d must be an integer >= 1, got 0"),
        ({"m": 0}, "m must be integers >= 1 or inf, got 0"),
        ({"m": 1.5}, "m must be integers >= 1 or inf, got 1.5"),
        ({"n": [3, np.nan]}, r"n must be integers >= 1 or inf, got \[3, nan\]"),
        ({"n": "many"}, "n must be integers >= 1 or inf, got 'many'"),
        ({"alpha": -1e-9}, "alpha must be finite numbers >= 0, got -1e-09"),
        ({"alpha": np.inf}, "alpha must be finite numbers >= 0, got inf"),
        ({"power": {}}, "power must map degrees to mean squares, got {}"),
        ({"power": {1: -1}}, "power at degree 1 must be a finite number >= 0, got -1"),
        ({"power": {0.5: 1}}, "degrees of power must be an integer >= 0, got 0.5"),
        ({"d": 1, "power": {2: 1}}, "degrees of power must be 0 or 1 at d = 1, got 2"),
        ({"noise": -1}, "noise must be a finite number >= 0, got -1"),
        ({"lengths": "yes"}, "lengths must be True or False, got 'yes'"),
        ({"m": [1, 2, 3], "n": [1, 2]}, r"m, n and alpha must broadcast, got shapes"),
        (
            {"m": np.inf, "n": np.inf, "alpha": 0},
            "alpha must be positive where both m and n are inf",
        ),
    ],
)
def test_wrong_arguments_are_named(change, message):
    right = {"d": 4, "m": 90, "n": 70, "alpha": 0.1, "power": POWER}
    with pytest.raises(ValueError, match=message):
        Ridge(**(right | change))


def test_wrong_arguments_of_the_others_are_named():
    with pytest.raises(ValueError, match=r"^m and n must not both be infinite"):
        optimal_alpha(4, np.inf, np.inf, power=POWER)
    with pytest.raises(ValueError, match=r"^batch must be an integer >= 1, got 0"):
        stable_step(4, 0)
    with pytest.raises(ValueError, match=r"^d must be an integer >= 1, got 0"):
        stable_step(0, 4)
    with pytest.raises(ValueError, match=r"^m and n must be single numbers, got \[3, 4\] and 5"):
        flow(4, [3, 4], 5, [1.0], power=POWER)
    with pytest.raises(ValueError, match=r"^times must be"):
        flow(4, 3, 5, [2.0, 1.0], power=POWER)
    assert set(risk.__all__) == {"Ridge", "flow", "optimal_alpha", "sgd", "stable_step"}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"m": 0}, "m must be integers >= 1 or inf, got 0"),
        ({"m": True}, "m must be integers >= 1 or inf, got True"),
        ({"n": []}, "n must be integers >= 1 or inf, got []"),
        ({"n": "many"}, "n must be integers >= 1 or inf, got 'many'"),
        ({"n": [[3], [4, 5]]}, "n must be integers >= 1 or inf, got [[3], [4, 5]]"),
        ({"alpha": [0, -1]}, "alpha must be finite numbers >= 0, got [0, -1]"),
        ({"alpha": np.ma.masked}, "alpha must be finite numbers >= 0, got masked"),
        (
            {"m": [np.inf, 3], "n": np.inf, "alpha": 0},
            "alpha must be positive where both m and n are infinite, got 0",
        ),
        (
            {"m": [1, 2, 3], "n": [1, 2]},
            "m, n and alpha must broadcast, got shapes [(3,), (2,), ()]",
        ),
        ({"noise": -1}, "noise must be a finite number >= 0, got -1"),
        ({"lengths": 1}, "lengths must be True or False, got 1"),
    ],
)
def test_messages_say_what_was_given_and_what_is_allowed(change, message):
    right = {"d": 4, "m": 90, "n": 70, "alpha": 0.1, "power": POWER}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Ridge(**(right | change))


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: optimal_alpha(4, [3, np.inf], np.inf, power=POWER),
            "m and n must not both be infinite",
        ),
        (
            lambda: flow(4, 3, [5], [1.0], power=POWER),
            "m and n must be single numbers, got 3 and [5]",
        ),
        (
            lambda: flow(4, 3, 5, [2.0, 1.0], power=POWER),
            "times must be numbers >= 0 in increasing order, got [2.0, 1.0]",
        ),
    ],
)
def test_messages_of_the_others_say_what_was_given_and_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"d": 0}, "d must be an integer >= 1, got 0"),
        ({"power": {1: -1}}, "power at degree 1 must be a finite number >= 0, got -1"),
        ({"d": 1}, "degrees of power must be 0 or 1 at d = 1, got 2"),
        ({"noise": -1}, "noise must be a finite number >= 0, got -1"),
        ({"step": 0}, "step must be a positive number, got 0"),
        ({"batch": 0}, "batch must be an integer >= 1, got 0"),
        ({"steps": [1.5]}, "steps must be a non-empty sequence of integers >= 0"),
        ({"lengths": 1}, "lengths must be True or False, got 1"),
    ],
)
def test_wrong_arguments_of_sgd_are_named(change, message):
    right = {"d": 4, "power": POWER, "noise": 0.0, "step": 0.1, "batch": 4, "steps": 3}
    with pytest.raises(ValueError, match=f"^{message}"):
        sgd(**(right | change))
