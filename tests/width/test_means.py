"""Exact means over hidden weights, against quadrature, exact laws and simulated networks."""

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest

from helpers import entry, kernel, z_score
from reluspec_lib import groups, guarantees, sample_weights
from reluspec_lib.groups import CENTRED_SQUARE, COORDINATE, NORM, PRODUCT, SQUARE
from reluspec_lib.width import _means

each_group = pytest.mark.parametrize("group", groups.ALL, ids=lambda group: group.name)


def ladder(d, top):
    """Eigenvalues of the degrees 0, 1, 2, 4, 6, ... below top and multiplicities, of 60 digits."""
    with mp.workdps(60):
        values = [(mp.mpf(d) / (2 * mp.pi) * mp.beta(mp.mpf(d) / 2, 0.5)) ** 2, mp.mpf(1) / 4]
        values.append(values[0] / (d + 1) ** 2)
        counts = [1, d, d * (d + 1) // 2 - 1]
        # N(d, k) by binomials, the eigenvalues by their ratios.
        for k in range(4, top, 2):
            values.append(values[-1] * (mp.mpf(k - 3) / (k + d - 1)) ** 2)
            counts.append(mp.binomial(d + k - 1, k) - mp.binomial(d + k - 3, k - 2))
        return values, counts


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


@pytest.mark.parametrize("d, m", [(3, 12), (4, 5)])
def test_means_are_those_of_simulated_networks(d, m):
    rng = np.random.default_rng([7, d])
    basis = groups.Basis(groups.ALL, d)
    seen = {"orthonormality": [], "leakage": []} | {group: [] for group in groups.ALL}
    for _ in range(500):
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
    values, counts = ladder(d, 60)
    with mp.workdps(60):
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
    rows = groups.Linear("rows", [[3.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    assert guarantees.residual(rows, 3, 30, column=1) == pytest.approx(four)
    mixed = groups.Quadratic("mixed", [np.diag([1.0, 0.0, 0.0])])
    with pytest.raises(ValueError, match="one degree"):
        guarantees.residual(mixed, 3, 30)


@pytest.mark.parametrize("m", [1, 2, 7])
@pytest.mark.parametrize("group", [NORM, COORDINATE], ids=repr)
def test_residual_on_the_line_is_that_of_two_sums(group, m):
    # Units of one sign see each other: with the sum S of their w^2, J v = S v / 2 among them.
    one, two, three = 1 / 2, 3 / 2, 15 / 2  # moments of g^2 above 0
    first = one
    second = (m * two + m * (m - 1) * one**2) / m**2
    third = (m * three + 3 * m * (m - 1) * two * one + m * (m - 1) * (m - 2) * one**3) / m**3
    expected = 2 * (third / 4 - second / 4 + first / 16)
    assert guarantees.residual(group, 1, m) == pytest.approx(expected)


@pytest.mark.parametrize("d", [1, 2, 9])
def test_leakage_is_what_the_groups_leave_of_the_diagonal(d):
    # E[q^2 |g|^2] = d + 2, and |g|^2/d is the mean of the squares of all vectors of a degree.
    left = d / 2 - sum(group.size(d) * group.eigenvalue(d) for group in groups.ALL if group.size(d))
    for m in (1, 30):
        found = guarantees.leakage(d, m)
        assert found == pytest.approx(left * (d + 2) / d / m, rel=1e-12, abs=1e-15)


def test_orthonormality_is_exact_and_keeps_its_digits():
    assert guarantees.orthonormality(1, 1) == 10.0
    for d in (7, 10**6 + 1, 10**12 + 39):
        K = d * (d + 3) // 2
        exact = (Fraction(d + 2, d) * K**2 - K) / 7
        assert guarantees.orthonormality(d, 7) == float(exact)


@pytest.mark.parametrize("d, top", [(2, 1000), (3, 1000), (10, 100), (100_000, 40)])
def test_span_angle_is_the_sum_over_pairs_of_degrees(d, top):
    values, counts = ladder(d, top)
    pairs = sum(
        counts[k] * counts[j] * (values[j] / (values[k] - values[j])) ** 2
        for k in range(3)
        for j in range(3, len(values))
    )
    for m in (1, 50):
        expected = float((1 + mp.mpf(2) / d) * pairs / m)
        assert guarantees.span_angle(d, m) == pytest.approx(expected, rel=1e-9)


def test_span_angle_is_zero_on_the_line():
    assert guarantees.span_angle(1, 10) == 0.0


@pytest.mark.parametrize("d", [2, 5, 10**9])
def test_higher_degrees_are_those_from_four_on(d):
    counts, eigenvalues, traces = _means.higher_degrees(d)
    values, exact = ladder(d, 12)
    assert len(counts) == _means._DEGREES or d > 100
    np.testing.assert_allclose(eigenvalues[:4], np.array(values[3:7], float), rtol=1e-11)
    np.testing.assert_allclose(counts[:4], np.array(exact[3:7], float), rtol=1e-11)
    np.testing.assert_allclose(counts * eigenvalues, traces, rtol=1e-11)
    assert [part.shape for part in _means.higher_degrees(1)] == 3 * [(0,)]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: guarantees.residual("norm", 3, 5), "group must be a Group"),
        (lambda: guarantees.residual(PRODUCT, 1, 5), "column must be below 0"),
        (lambda: guarantees.residual(NORM, 0, 5), "d must be an integer >= 1, got 0"),
        (lambda: guarantees.residual(NORM, 3, 0), "m must be an integer >= 1, got 0"),
        (lambda: guarantees.leakage(0, 5), "d must be an integer >= 1, got 0"),
        (lambda: guarantees.leakage(3, 0), "m must be an integer >= 1, got 0"),
        (lambda: guarantees.orthonormality(0, 5), "d must be an integer >= 1, got 0"),
        (lambda: guarantees.orthonormality(3, 0.5), "m must be an integer >= 1, got 0.5"),
        (lambda: guarantees.span_angle(0, 5), "d must be an integer >= 1, got 0"),
        (lambda: guarantees.span_angle(3, 0), "m must be an integer >= 1, got 0"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match="^" + message):
        call()
