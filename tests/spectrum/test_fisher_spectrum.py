"""Products with the Fisher information, its leading spectrum, and what equation (5) leaves out."""

import functools
import math
import pickle
import re

import numpy as np
import pytest
from scipy.sparse.linalg import ArpackError, aslinearoperator, eigs, eigsh, gmres

from helpers import rng, with_peak
from reluspec_lib import fisher, groups, harmonics, sample_weights
from reluspec_lib.network import features
from reluspec_lib.spectrum import _leading
from reluspec_lib.spectrum._kernel import Product


def weights(d, m):
    return sample_weights(d, m, rng())


def far_from_isotropic():
    return weights(5, 300) * np.array([4, 2, 1, 0.5, 0.25])[:, None]


def exact(W):
    """Eigenvalues in decreasing order by LAPACK from the closed form with arccos."""
    norms = np.linalg.norm(W, axis=0)
    cosine = np.clip((W / norms).T @ (W / norms), -1, 1)
    kernel = np.sqrt((1 - cosine) * (1 + cosine)) + (np.pi - np.arccos(cosine)) * cosine
    return np.linalg.eigvalsh(np.outer(norms, norms) * kernel / (2 * np.pi))[::-1]


@functools.cache
def exact_of_weights(d, m):
    return exact(weights(d, m))


# --- products


@pytest.mark.parametrize("m", [1, 2, 199, 200, 201, 700])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_products_equal_those_with_the_matrix(m, workers):
    W = weights(4, m)
    V = rng(2).standard_normal((m, 3))
    J = fisher.matrix(W)
    np.testing.assert_allclose(fisher.matvec(W, V, workers=workers), J @ V, atol=1e-13)
    np.testing.assert_allclose(fisher.matvec(W, V[:, 0], workers=workers), J @ V[:, 0], atol=1e-13)


@pytest.mark.parametrize("workers", [1, 2])
def test_products_know_the_sum_of_the_squared_entries(workers):
    W, V = weights(4, 700), rng(2).standard_normal((700, 3))
    J = fisher.matrix(W)
    found, size = Product(W, workers).with_size(V)
    assert size == pytest.approx((J**2).sum(), rel=1e-13)
    np.testing.assert_allclose(found, J @ V, atol=1e-13)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_matrix_does_not_depend_on_the_number_of_workers(workers):
    W = weights(5, 700)
    np.testing.assert_array_equal(fisher.matrix(W, workers=workers), fisher.matrix(W, workers=1))


def test_single_precision_is_kept_and_close():
    W = weights(5, 400)
    V = rng(2).standard_normal((400, 2))
    J = fisher.matrix(W)
    for single in (fisher.matrix(W, dtype=np.float32), fisher.matrix(W.astype(np.float32))):
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, J, atol=1e-7)
    product = fisher.matvec(W.astype(np.float32), V.astype(np.float32))
    assert product.dtype == np.float32
    np.testing.assert_allclose(product, J @ V, atol=1e-5)
    assert fisher.matrix(np.eye(3, dtype=int)).dtype == np.float64


def test_products_hold_no_matrix():
    W, V = weights(3, 4000), np.ones((4000, 2))
    fisher.matvec(W, V, workers=2)
    _, peak = with_peak(lambda: fisher.matvec(W, V, workers=2))
    assert peak < 10e6 < 4000**2 * 8 / 12


def test_single_precision_takes_half_the_memory_of_double():
    W, deep, V = weights(3, 401), np.eye(20_000, 20), np.ones((401, 2))

    def peaks(kind):
        calls = (
            lambda: fisher.matvec(W.astype(kind), V.astype(kind), workers=1),
            lambda: fisher.matrix(deep.astype(kind), workers=1),
        )
        return np.array([with_peak(call)[1] for call in calls])

    peaks(np.float32)  # what is loaded at the first call
    double = peaks(np.float64)
    assert (peaks(np.float32) < 0.55 * double).all()
    assert double[0] < 2 * 2**20  # of one worker


def test_the_operator_serves_scipys_solvers():
    W = weights(3, 600)
    start = np.ones(600)
    found = eigsh(fisher.operator(W), 4, v0=start, return_eigenvectors=False)[::-1]
    np.testing.assert_allclose(found, exact(W)[:4], rtol=1e-10)
    block = rng(3).standard_normal((600, 3))
    np.testing.assert_allclose(fisher.operator(W) @ block, fisher.matrix(W) @ block, atol=1e-13)


def test_the_operator_takes_complex_vectors_and_is_its_own_adjoint():
    W = weights(3, 60)
    J, A = fisher.matrix(W), fisher.operator(W)
    V = rng(4).standard_normal((60, 4)) @ [[1, 0], [0, 1], [1j, 0], [0, 1j]]
    for B in (A, A.H, A.T, A.adjoint(), pickle.loads(pickle.dumps(A))):
        np.testing.assert_allclose(B @ V, J @ V, atol=1e-13)
        np.testing.assert_allclose(B @ V[:, 0], J @ V[:, 0], atol=1e-13)
        np.testing.assert_allclose(B.rmatvec(V[:, 1]), J @ V[:, 1], atol=1e-13)


def test_a_shifted_operator_serves_gmres():
    W, z = weights(3, 60), 0.3 + 0.2j
    A = fisher.operator(W) - z * aslinearoperator(np.eye(60))
    b = rng(5).standard_normal(60) * (1 + 1j)
    x, failed = gmres(A, b, rtol=1e-12)
    assert not failed
    np.testing.assert_allclose(x, np.linalg.solve(fisher.matrix(W) - z * np.eye(60), b), atol=1e-9)


def test_the_operator_serves_solvers_for_matrices_without_symmetry():
    W = weights(3, 60)
    found = eigs(fisher.operator(W), 3, v0=np.ones(60), return_eigenvectors=False)
    np.testing.assert_allclose(np.sort(found)[::-1], exact(W)[:3], rtol=1e-10)


def test_the_operator_keeps_single_precision_and_never_lowers_that_of_vectors():
    W = weights(3, 60).astype(np.float32)
    A, v = fisher.operator(W), rng(6).standard_normal(60)
    assert A.dtype == np.float32
    assert (A @ v.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(A @ v, fisher.matrix(W, dtype=np.float64) @ v, atol=1e-14)
    B = fisher.operator(W.astype(np.float64))
    for vector in (v.astype(np.float32), np.arange(60)):
        product = B @ vector
        assert product.dtype == np.float64
        expected = fisher.matrix(W, dtype=np.float64) @ vector
        np.testing.assert_allclose(product, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("dtype", "short", "long", "small", "tolerance"),
    [(np.float64, -600, 600, -500, 1e-12), (np.float32, -70, 100, -80, 1e-5)],
)
def test_products_keep_what_is_in_range_though_the_way_there_is_not(
    dtype, short, long, small, tolerance
):
    W, first = weights(3, 60).astype(dtype), np.arange(60) < 30
    V = rng(7).uniform(1, 2, (60, 2)).astype(dtype) * first[:, None]
    powers = np.where(first, short, long)
    expected = fisher.matrix(W, dtype=np.float64) @ V
    expected = np.ldexp(expected, powers[:, None] + short + small).astype(dtype)
    assert (expected[~first] > 0).any()
    W, V = np.ldexp(W, powers), np.ldexp(V, small)
    A = fisher.operator(W)
    for found in (fisher.matvec(W, V), A @ V, (A @ (V * dtype(1) * 1j)).imag):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=tolerance)


@pytest.mark.parametrize(
    ("short", "long", "powers"),
    # Only the last column is too small on the way; no float reaches from the first to the last.
    [(-500, 300, (0, 0, -560)), (0, 0, (-600, 0, 600))],
)
def test_columns_of_very_different_sizes_do_not_spoil_each_other(short, long, powers):
    W, first = weights(3, 60), np.arange(60) < 30
    V = rng(7).uniform(1, 2, (60, 3)) * [1, -1, 1] * first[:, None]
    units = np.where(first, short, long)
    expected = np.ldexp(fisher.matrix(W) @ V, units[:, None] + short + np.array(powers))
    found = fisher.matvec(np.ldexp(W, units), np.ldexp(V, powers))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_that_overflow_before_the_last_factor_are_no_overflow(sign):
    # 49 equal entries of half a squared length: their sum times V is out of range, J V is not.
    V = np.full(50, -1.7e308)
    V[-1] = 1.0
    found = fisher.matvec(np.full((1, 50), 0.1), sign * V)
    np.testing.assert_allclose(found, sign * 49 * 0.005 * V[0], rtol=1e-14)


def test_squares_of_lengths_that_overflow_give_no_warning_on_any_thread():
    # At 10^160 squares of lengths are infinite, at 10^100 so are products of two of them.
    W, v = weights(3, 300), rng(9).uniform(1, 2, 300)
    expected = fisher.matrix(W) @ v
    for power in (100, 160):
        long = W * 10.0**power
        for workers in (1, 2):
            found = fisher.matvec(long, v / 10.0 ** (2 * power - 100), workers=workers)
            np.testing.assert_allclose(found / 1e100, expected, rtol=1e-12)


@pytest.mark.parametrize("columns", [511, 512])
@pytest.mark.parametrize("workers", [1, 3])
def test_products_with_many_columns_take_tiles_that_cover_all(columns, workers):
    W, V = weights(3, 850), rng(8).standard_normal((850, columns))
    found = fisher.matvec(W, V, workers=workers)
    np.testing.assert_allclose(found, fisher.matrix(W) @ V, atol=1e-12)


def test_products_overflow_only_where_their_values_do():
    A = fisher.operator(np.eye(3) * 1e200)
    right = np.array([0.5, 1 / (2 * math.pi), 1 / (2 * math.pi)])
    np.testing.assert_allclose(A @ [1e-300, 0.0, 0.0], right * 1e100, rtol=1e-14)
    with pytest.raises(ValueError, match=r"^W and V must be so small that J V does not overflow"):
        A @ np.ones(3)
    # As for any operator, what is no number stays none, and infinity takes its own course.
    assert np.isnan(A @ [math.nan, 0.0, 0.0]).all()
    np.testing.assert_array_equal(fisher.operator([[1.0, 2.0]]) @ [math.inf, 1.0], [math.inf] * 2)
    assert np.isnan(fisher.operator([[1.0, 0.0]]) @ [1.0, math.inf]).all()


# --- trace, finite sample


def test_the_trace_is_that_of_the_matrix():
    W = weights(7, 300)
    assert fisher.trace(W) == pytest.approx(np.trace(fisher.matrix(W)), rel=1e-13)
    single = (W * 1e20).astype(np.float32)  # of which no square is in range
    assert fisher.trace(single) == pytest.approx(1e40 * fisher.trace(W), rel=1e-6)


def test_the_matrix_of_a_sample_tends_to_the_population():
    W = weights(3, 40)
    x = rng(4).standard_normal((200_000, 3))
    J_n = fisher.empirical(features(x, W))
    spread = np.sqrt(3 * np.outer(*2 * [(W**2).sum(axis=0)]) / len(x))
    assert (np.abs(J_n - fisher.matrix(W)) < 6 * spread).all()
    np.testing.assert_array_equal(J_n, J_n.T)


def test_the_rank_of_a_small_sample_is_its_size():
    x = rng(5).standard_normal((6, 3))
    J_n = fisher.empirical(features(x, weights(3, 50)))
    assert np.linalg.matrix_rank(J_n) == 6


# --- equation (5)


@pytest.mark.parametrize("d", [1, 2, 3, 10])
def test_what_equation_5_leaves_out_is_psd_with_the_share_of_the_higher_degrees(d):
    for W in (weights(d, 150), rng(6).standard_t(2, (d, 150))):
        R = fisher.residual(W)
        assert np.linalg.eigvalsh(R).min() > -1e-13 * fisher.trace(W)
        share = np.trace(R) / fisher.trace(W)
        assert share == pytest.approx(1 - harmonics.share(d, 2), abs=1e-13)


# --- leading spectrum


@pytest.mark.parametrize(("d", "m"), [(1, 50), (2, 200), (3, 400), (10, 1000)])
@pytest.mark.parametrize("tolerance", [1e-4, 1e-9, 1e-12])
def test_leading_eigenvalues_reach_the_tolerance(d, m, tolerance):
    W = weights(d, m)
    found = fisher.spectrum(W, tolerance=tolerance)
    size = d * (d + 3) // 2
    assert found.solver == "groups"
    assert found.eigenvalues.shape == (size,)
    error = np.abs(found.eigenvalues / exact_of_weights(d, m)[:size] - 1).max()
    assert error <= tolerance + 1e-13
    # The estimate does not flatter.
    assert error <= found.error + 1e-14


@pytest.mark.parametrize(("d", "m", "tolerance"), [(10, 2000, 1e-9), (4, 1000, 1e-9)])
def test_two_passes_suffice_for_nine_digits(d, m, tolerance):
    found = fisher.spectrum(sample_weights(d, m, np.random.default_rng(7)), tolerance=tolerance)
    assert (found.solver, found.passes) == ("groups", 2)


def test_short_columns_of_the_second_pass_are_no_rounding():
    # The eigenvalues of group 3 are 1/(d+1)^2 of the first: a thousandth from d = 31 on.
    found = fisher.spectrum(sample_weights(32, 2400, np.random.default_rng(7)), 5, tolerance=1e-9)
    assert (found.solver, found.passes) == ("groups", 3)


def test_a_smaller_tolerance_takes_more_passes():
    W = weights(10, 1000)
    passes = [fisher.spectrum(W, tolerance=t).passes for t in (1e-6, 1e-9, 1e-13)]
    assert passes == sorted(passes)
    assert passes[0] < passes[-1]


def test_vectors_are_orthonormal_eigenvectors():
    W = weights(4, 500)
    found = fisher.spectrum(W, vectors=True, tolerance=1e-13)
    U, J = found.eigenvectors, fisher.matrix(W)
    np.testing.assert_allclose(U.T @ U, np.eye(14), atol=1e-10)
    np.testing.assert_allclose(J @ U, U * found.eigenvalues, atol=1e-8)


def test_fewer_eigenvalues_are_the_first_of_all():
    W = weights(4, 500)
    first = fisher.spectrum(W, 3, tolerance=1e-12).eigenvalues
    np.testing.assert_allclose(first, exact(W)[:3], rtol=1e-11)


@pytest.fixture
def narrow(monkeypatch):
    """Send networks of test size to Lanczos, where wide ones would go."""
    monkeypatch.setattr(_leading, "_DENSE_WIDTH", 100)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("d", "m", "k", "solver"),
    [(3, 20, None, "dense"), (3, 60, 40, "dense"), (3, 400, 30, "lanczos"), (3, 400, 9, "groups")],
)
def test_other_solvers_take_over_and_say_so(d, m, k, solver):
    W = weights(d, m)
    found = fisher.spectrum(W, k, vectors=True)
    assert found.solver == solver
    reference = exact(W)[: len(found.eigenvalues)]
    np.testing.assert_allclose(found.eigenvalues, reference, rtol=1e-8, atol=1e-15)
    residual = fisher.matrix(W) @ found.eigenvectors - found.eigenvectors * found.eigenvalues
    assert np.abs(residual).max() < 1e-6


def test_a_dense_solver_has_blocks_of_more_than_three_tenths_of_all_and_narrow_networks(
    monkeypatch,
):
    solvers = [fisher.spectrum(weights(3, m), 1).solver for m in (29, 30)]
    assert solvers == ["dense", "groups"]  # 9 vectors of three groups
    monkeypatch.setattr(_leading, "_DENSE_WIDTH", 100)
    solvers = [fisher.spectrum(weights(3, m), 12).solver for m in (100, 101)]
    assert solvers == ["dense", "lanczos"]


@pytest.fixture
def products(monkeypatch):
    """The types of W and V, as numpy's characters, and V itself of each product."""
    seen = []

    class Watched(Product):
        """Product that notes what it multiplies."""

        def __init__(self, W, workers):
            super().__init__(W, workers)
            self.kind = W.dtype.char

        def __call__(self, V):
            seen.append((self.kind + V.dtype.char, V))
            return super().__call__(V)

        def with_size(self, V):
            seen.append((self.kind + V.dtype.char, V))
            return super().with_size(V)

    monkeypatch.setattr(_leading, "Product", Watched)
    return seen


@pytest.mark.parametrize(
    ("tolerance", "kinds"),
    [(1e-3, ["ff", "dd"]), (1e-9, ["ff", "ff", "dd"]), (1e-12, ["ff", "ff", "dd", "dd"])],
)
def test_passes_are_in_single_precision_while_two_more_would_follow(products, tolerance, kinds):
    found = fisher.spectrum(weights(3, 200), tolerance=tolerance)
    assert [kind for kind, _ in products] == kinds
    assert found.passes == len(kinds)


def test_a_pass_in_single_precision_that_finds_columns_dependent_is_followed_by_a_double_one(
    products,
):
    W = weights(4, 160) * [[1], [1], [0], [1]]
    found = fisher.spectrum(W, 1)
    assert [kind for kind, _ in products] == ["ff", "dd", "dd", "dd"]
    assert (found.solver, found.passes) == ("groups", 4)
    np.testing.assert_allclose(found.eigenvalues, exact(W)[:1], rtol=1e-9)


def test_passes_that_bring_little_are_not_repeated(products):
    W = weights(4, 160) * [[1], [1], [0.01], [1]]
    assert fisher.spectrum(W, 1).solver == "dense"
    assert 2 < len(products) < _leading._MOST_PASSES


@pytest.mark.parametrize(("most", "solver"), [(1, "dense"), (2, "groups")])
def test_after_the_last_pass_that_is_allowed_another_solver_takes_over(monkeypatch, most, solver):
    monkeypatch.setattr(_leading, "_MOST_PASSES", most)
    assert fisher.spectrum(weights(3, 200), tolerance=1e-3).solver == solver


@pytest.mark.parametrize("k", [1, 5, 9])
def test_the_error_is_the_bound_of_the_documentation(products, k):
    W = weights(3, 200)
    found = fisher.spectrum(W, k, tolerance=1e-3)
    J, F = fisher.matrix(W), products[-1][1]
    A = J @ F @ np.linalg.solve(F.T @ J @ F, F.T @ J)
    nu, Z = (part[..., :-10:-1] for part in np.linalg.eigh((A + A.T) / 2))
    np.testing.assert_allclose(found.eigenvalues, nu[:k], rtol=1e-12)
    mean, square = (np.trace(E) / 191 for E in (J - A, J @ J - np.diag(np.sum(A**2, axis=1))))
    gamma = mean + math.sqrt(190 * (square - mean**2))
    D = Z - F @ np.linalg.lstsq(F, Z, rcond=None)[0]
    bound = gamma * nu[k - 1] / (nu[k - 1] - gamma) * np.linalg.norm(D, 2) ** 2
    assert found.error * nu[k - 1] == pytest.approx(bound, rel=1e-3, abs=0)


def test_what_is_left_out_is_compared_with_the_last_eigenvalue_that_is_asked_for():
    W = weights(4, 160) * [[1], [1], [0.3], [1]]
    some, all_of_them = (fisher.spectrum(W, k, tolerance=1e-2) for k in (1, 14))
    assert (some.solver, all_of_them.solver) == ("groups", "dense")
    np.testing.assert_allclose(some.eigenvalues, all_of_them.eigenvalues[:1], rtol=some.error)


def test_where_the_groups_span_is_exact_the_error_is_rounding():
    # At d = 1 the two sides do not meet: each has a matrix of rank one.
    W = weights(1, 50)
    sides = np.sort([(W[W * sign > 0] ** 2).sum() / 2 for sign in (1, -1)])[::-1]
    for k in (1, 2):
        found = fisher.spectrum(W, k)
        np.testing.assert_allclose(found.eigenvalues, sides[:k], rtol=1e-13)
        allowed = _leading._rounding(sides, 50) / sides[k - 1]
        assert found.error == pytest.approx(allowed, rel=0.05, abs=0)


def test_errors_are_relative_to_the_last_eigenvalue_and_infinite_where_they_hide_it():
    values = np.array([2.0, 0.5])
    found = [_leading._relative(error, values) for error in (1e-3, 0.4, 0.5, 0.6)]
    assert found == [2e-3, 0.8, math.inf, math.inf]


@pytest.mark.parametrize(("width", "solver"), [(100, "lanczos"), (2000, "dense")])
def test_weights_far_from_isotropic_go_to_lanczos_or_a_dense_solver(monkeypatch, width, solver):
    monkeypatch.setattr(_leading, "_DENSE_WIDTH", width)
    W = far_from_isotropic()
    found = fisher.spectrum(W)
    assert found.solver == solver
    assert found.passes == 0
    np.testing.assert_allclose(found.eigenvalues, exact(W)[:20], rtol=1e-8)


# --- any weights

M = 160
KINDS = {
    "isotropic": lambda r: r.normal(size=(4, M)),
    "zero row": lambda r: r.normal(size=(4, M)) * [[1], [1], [0], [1]],
    "small row": lambda r: r.normal(size=(4, M)) * [[1], [1], [0.01], [1]],
    "shifted": lambda r: r.normal(size=(4, M)) + 0.3,
    "positive": lambda r: np.abs(r.normal(size=(4, M))),
    "signs": lambda r: r.choice([-1.0, 1.0], (4, M)),
    "noisy signs": lambda r: r.choice([-1.0, 1.0], (4, M)) + 0.03 * r.normal(size=(4, M)),
    "one direction": lambda r: np.outer([1.0, 2, 3, 4], r.normal(size=M)),
    "long column": lambda r: r.normal(size=(4, M)) * np.where(np.arange(M) == 7, 100.0, 1),
    "very long column": lambda r: r.normal(size=(4, M)) * np.where(np.arange(M) == 7, 1e8, 1),
    "repeated columns": lambda r: np.repeat(r.normal(size=(4, 4)), M // 4, axis=1),
    "heavy tails": lambda r: r.standard_cauchy((4, M)),
    "one row": lambda r: r.normal(size=(1, M)),
    "zero columns": lambda r: r.normal(size=(4, M)) * (np.arange(M) < 0.9 * M),
    "nearly all zero": lambda r: r.normal(size=(4, M)) * (np.arange(M) < 3),
}


@pytest.mark.parametrize("width", [0, 2000])
@pytest.mark.parametrize("kind", KINDS)
def test_the_error_is_a_bound_for_any_weights(monkeypatch, kind, width):
    monkeypatch.setattr(_leading, "_DENSE_WIDTH", width)
    W = KINDS[kind](rng(8))
    J = fisher.matrix(W)
    reference = np.maximum(np.linalg.eigvalsh(J)[::-1], 0)
    for k, tolerance in ((1, 1e-9), (None, 1e-9), (None, 1e-3), (20, 1e-9)):
        found = fisher.spectrum(W, k, tolerance=tolerance, vectors=True, workers=1)
        expected = reference[: len(found.eigenvalues)]
        difference = np.abs(found.eigenvalues - expected)
        # The reference is itself right to some rounding units of the largest eigenvalue.
        unit = 3e-15 * reference[0]
        if math.isinf(found.error):
            assert found.eigenvalues[-1] <= 1e-13 * reference[0]
            assert (difference <= 1e-13 * reference[0]).all()
        else:
            assert (difference <= found.error * found.eigenvalues + unit).all()
        U = found.eigenvectors
        np.testing.assert_allclose(U.T @ U, np.eye(U.shape[1]), atol=1e-10)
        # A residual is at most the root of the norm times the error.
        size = 1e-7 * reference[0] if tolerance == 1e-9 else 0.1 * reference[0]
        assert np.abs(J @ U - U * found.eigenvalues).max() <= size


@pytest.mark.parametrize("kind", ["isotropic", "zero row", "small row", "one row", "zero columns"])
@pytest.mark.parametrize("exponent", [-400, -60, 0, 60, 400])
def test_scales_of_the_weights_are_scales_of_the_spectrum(kind, exponent):
    W = KINDS[kind](rng(9))
    plain, scaled = fisher.spectrum(W), fisher.spectrum(np.ldexp(W, exponent))
    expected = np.ldexp(plain.eigenvalues, 2 * exponent)
    np.testing.assert_array_equal(scaled.eigenvalues, expected)
    assert (scaled.solver, scaled.passes) == (plain.solver, plain.passes)


def test_eigenvalues_that_underflow_have_no_relative_error():
    with np.errstate(under="raise"):
        found = fisher.spectrum(weights(3, 200) * 1e-200)
    assert not found.eigenvalues.any()
    assert found.error == math.inf


def test_a_unit_of_negligible_length_leaves_the_spectrum():
    W = weights(4, 400)
    longer = np.hstack([W, 1e-200 * W[:, :2]])
    found = fisher.spectrum(longer, vectors=True)
    plain = fisher.spectrum(W)
    np.testing.assert_allclose(found.eigenvalues, plain.eigenvalues, rtol=1e-13)
    assert not found.eigenvectors[400:].any()


def test_no_weights_at_all_give_zeros():
    found = fisher.spectrum(np.zeros((2, 5)), 3, vectors=True)
    np.testing.assert_array_equal(found.eigenvalues, np.zeros(3))
    np.testing.assert_array_equal(found.eigenvectors, np.eye(5)[:, :3])
    assert found.error == math.inf
    assert (found.solver, found.passes) == ("dense", 0)


@pytest.mark.usefixtures("narrow")
def test_lanczos_finds_every_copy_of_an_eigenvalue():
    # Orthogonal families of directions: J is a multiple of a projection on each of them.
    W = np.kron(np.ones((1, 20)), np.eye(7))
    found = fisher.spectrum(W, 40, tolerance=1e-6, workers=1)
    assert found.solver == "lanczos"
    reference = np.linalg.eigvalsh(fisher.matrix(W))[::-1][:40]
    np.testing.assert_allclose(found.eigenvalues, np.maximum(reference, 0), atol=1e-12)


def test_a_second_run_finds_what_the_first_passed_over(monkeypatch):
    monkeypatch.setattr(_leading, "_DENSE_WIDTH", 40)
    W, found = weights(3, 60), []

    def forgetful(A, k, **options):
        found.append(k)
        if len(found) > 1:
            return eigsh(A, k, **options)
        # The first run loses the third largest.
        values, U = eigsh(A, k + 1, **options)
        return np.delete(values, -3), np.delete(U, -3, axis=1)

    monkeypatch.setattr(_leading, "eigsh", forgetful)
    first = fisher.spectrum(W, 12, vectors=True, workers=1)
    np.testing.assert_allclose(first.eigenvalues, exact(W)[:12], rtol=1e-8)
    assert found == [12, 1, 1]
    # Every start is fixed: the same again, bit for bit.
    found.clear()
    assert fisher.spectrum(W, 12, vectors=True, workers=1) == first


def test_lanczos_gives_the_same_bits_each_time(monkeypatch):
    monkeypatch.setattr(_leading, "_DENSE_WIDTH", 40)
    W = weights(3, 60)
    first, again = (fisher.spectrum(W, 12, vectors=True, workers=1) for _ in range(2))
    assert first.solver == "lanczos"
    assert first == again


@pytest.mark.usefixtures("narrow")
def test_a_dense_solver_serves_where_lanczos_fails(monkeypatch):
    def failing(*arguments, **options):
        raise ArpackError(-9)

    monkeypatch.setattr(_leading, "eigsh", failing)
    W = far_from_isotropic()
    found = fisher.spectrum(W)
    assert found.solver == "dense"
    np.testing.assert_allclose(found.eigenvalues, exact(W)[:20], rtol=1e-10)


def test_the_bound_of_what_is_left_out_is_the_largest_of_numbers_with_these_moments():
    numbers = np.array([5.0, 1, 1, 1])  # the worst case: all others are equal
    kept = np.array([7.0, 6.0])
    everything = np.concatenate([kept, numbers])
    bound = _leading._largest_left_out(everything.sum(), (everything**2).sum(), kept, 6)
    assert bound == pytest.approx(5, rel=1e-12)


def test_the_bound_of_what_is_left_out_allows_for_rounding_of_the_sum_of_squares():
    numbers, kept = np.array([5.0, 1, 1, 1]), np.array([2e4, 1e4])
    total, size = kept.sum() + numbers.sum(), (kept**2).sum() + (numbers**2).sum()
    for units in (-32, 0, 32):
        rounded = size * (1 + units * np.finfo(float).eps)
        assert 5 < _leading._largest_left_out(total, rounded, kept, 6) < 5.00001


def test_the_largest_eigenvalue_left_out_of_isotropic_weights():
    # At d = 3: lambda_4/lambda_2 = (b_4/b_2)^2 = 1/36, and there are 9 harmonics of degree 4.
    assert _leading._left_out(3, 9) == pytest.approx((1 + 1) ** 2 / 36, rel=1e-13)
    assert _leading._left_out(3, 36) == pytest.approx((1 + 1 / 2) ** 2 / 36, rel=1e-13)
    assert _leading._left_out(1, 36) == 0


def rotated_by(angle, m):
    """Two orthonormal columns, and the same with one turned out of their plane."""
    Q = np.linalg.qr(rng(3).normal(size=(m, 3)))[0]
    return Q[:, :2], np.column_stack(
        [Q[:, 0] * math.cos(angle) + Q[:, 2] * math.sin(angle), Q[:, 1]]
    )


@pytest.mark.parametrize("m", [9, 36])
@pytest.mark.parametrize("angle", [0.3, 1.2])
def test_the_error_after_one_more_pass_is_foreseen_from_the_angle_of_the_spans(m, angle):
    F, found = rotated_by(angle, m)
    F = F @ [[2.0, 1.0], [0.0, 0.5]]  # the span counts, not its basis
    noise = 9 / m
    left_out = (1 + math.sqrt(noise)) ** 2 / 36
    size = math.sqrt(9 * (1 + noise)) / 36
    foreseen = size * (left_out / 2) ** 2 * math.sin(angle) ** 2
    assert _leading._foreseen(3, F, F.T @ found) == pytest.approx(foreseen, rel=1e-12)
    assert _leading._foreseen(1, F, F.T @ found) == 0


def test_eigenvalues_of_a_matrix_by_their_place():
    square = np.diag([5.0, 2.0, 7.0])
    assert [_leading._extreme(square, index) for index in range(3)] == pytest.approx([2, 5, 7])


def some_block(m=40, k=3):
    """A positive matrix, and a block of columns of several lengths with its product."""
    generator = rng(4)
    A = generator.normal(size=(m, m))
    J, F = A @ A.T, generator.normal(size=(m, k)) * [1, 0.5, 2]
    return J, F, J @ F


def test_the_nystrom_approximation_is_that_of_its_formula():
    _, F, Y = some_block()
    kept, B, values, rotation, overlap = _leading._nystrom(F, Y)
    A = Y @ np.linalg.solve(F.T @ Y, Y.T)
    np.testing.assert_allclose(B @ B.T, A, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(A)[:-4:-1], rtol=1e-10)
    Z = B @ rotation
    np.testing.assert_allclose(Z.T @ Z, np.eye(3), atol=1e-11)
    np.testing.assert_allclose(A @ Z, Z * values, rtol=1e-9, atol=1e-9)
    assert sorted(kept) == [0, 1, 2]
    np.testing.assert_allclose(overlap, F[:, kept].T @ Z, atol=1e-11)


@pytest.mark.parametrize(("added", "count"), [(1e-3, 3), (1e-6, 2), (0, 2)])
def test_columns_that_add_nothing_leave_the_nystrom_approximation(added, count):
    J, F, _ = some_block()
    F[:, 0] = F[:, 2] / 2 + added * rng(6).normal(size=len(F))
    kept, B, values, rotation, overlap = _leading._nystrom(F, J @ F)
    assert len(kept) == len(values) == B.shape[1] == count
    Z = B @ rotation
    np.testing.assert_allclose(Z.T @ Z, np.eye(count), atol=1e-8)
    np.testing.assert_allclose(overlap, F[:, kept].T @ Z, atol=1e-6)


def test_a_filtered_block_spans_what_the_shift_leaves():
    _, F, Y = some_block()
    basis = _leading._filtered(3, F, Y.astype(np.float32), 1e-3)
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-13)
    shift = _leading._left_out(3, len(F)) * np.einsum("jk,jk->k", F, Y).min() / 2
    wanted = Y - shift * F
    rest = wanted - basis @ (basis.T @ wanted)
    assert np.abs(rest).max() < 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("factor", "shortest", "stays"),
    [(1, 1e-3, True), (1.5e-3, 1e-3, False), (1.5e-3, 1e-4, True), (0, 1e-4, False)],
)
def test_short_columns_do_not_leave_a_filter(factor, shortest, stays):
    # At d = 1 there is no shift: the columns of Y are those of the block.
    F = np.eye(20, 3)
    Y = F * [2.0, 1.0, factor]
    Y[:, 1] += 0.01
    assert (_leading._filtered(1, F, Y, shortest) is not None) == stays


@pytest.mark.parametrize(("added", "stays"), [(1e-2, True), (1e-4, False), (0, False)])
def test_columns_that_depend_do_not_leave_a_filter(added, stays):
    F = np.eye(20, 3)
    Y = F.copy()
    Y[:, 1] = F[:, 0] + added * F[:, 1]
    assert (_leading._filtered(1, F, Y, 1e-3) is not None) == stays


def test_ritz_pairs_of_a_span_and_what_is_outside_of_it():
    W = weights(3, 50)
    J, product = fisher.matrix(W), Product(W, 1)
    values, U = np.linalg.eigh(J)
    span = np.column_stack([U[:, -1], U[:, -4] + 0.5 * U[:, 3], U[:, -2]]) @ rng(5).normal(
        size=(3, 3)
    )
    found, Q, R = _leading._ritz(product, span, 2)
    np.testing.assert_allclose(found, values[:-3:-1], rtol=1e-12)
    np.testing.assert_allclose(np.abs(Q.T @ U[:, :-3:-1]), np.eye(2), atol=1e-12)
    assert np.abs(R).max() < 1e-12
    V = rng(6).normal(size=(50, 2))
    # Of vectors that are no eigenvectors it matters that they are taken out before and after.
    for Q in (U[:, [-1, -3]], np.linalg.qr(rng(7).normal(size=(50, 2)))[0]):
        P = np.eye(50) - Q @ Q.T
        np.testing.assert_allclose(_leading._outside(product, Q) @ V, P @ J @ P @ V, atol=1e-12)


# --- results


def test_results_are_equal_by_value():
    W = weights(3, 200)
    found, again = (fisher.spectrum(W, vectors=True) for _ in range(2))
    assert found == again
    assert found != fisher.spectrum(W, 3, vectors=True)
    assert found != fisher.spectrum(W)
    assert found != 3
    assert pickle.loads(pickle.dumps(found)) == found


def test_results_have_a_short_repr():
    found = fisher.Spectrum(np.array([3.0, 2, 1.25]), None, 1.26e-9, 4, "groups")
    assert repr(found) == (
        "<Spectrum: 3 eigenvalues from 3 to 1.25, error 1.3e-09, solver 'groups', 4 passes>"
    )


def test_all_eigenvalues_can_be_asked_for():
    W = weights(2, 30)
    np.testing.assert_allclose(fisher.spectrum(W, 30).eigenvalues, exact(W), atol=1e-14)


def test_the_spectrum_of_a_wide_network_nears_the_limit():
    found = fisher.spectrum(weights(3, 4000)).eigenvalues
    limits = [group.eigenvalue(3) for group in groups.ALL for _ in range(group.size(3))]
    np.testing.assert_allclose(found, limits, rtol=0.2)


# --- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fisher.matrix(np.ones((2, 3)), dtype=int), r"^dtype must be float32 or float64"),
        (lambda: fisher.matrix(np.ones((2, 3)), workers=0), r"^workers must be an integer >= 1"),
        (lambda: fisher.matvec(np.ones((2, 3)), np.ones(2)), r"^V must have shape .* m = 3"),
        (lambda: fisher.operator(np.ones(3)), r"^W must have shape \(d, m\)"),
        (lambda: fisher.trace([[math.nan]]), r"^W must be finite"),
        (lambda: fisher.empirical(np.ones(3)), r"^X must have shape \(n, m\)"),
        (lambda: fisher.residual([[1.0, 0.0], [1.0, 0.0]]), r"^W must have no zero column"),
        (lambda: fisher.spectrum(np.eye(3), 4), r"^k must be an integer in 1 \.\.\. m = 3, got 4"),
        (lambda: fisher.spectrum(np.eye(3), 0), r"^k must be an integer >= 1, got 0"),
        (lambda: fisher.spectrum(np.eye(3), tolerance=0.0), r"^tolerance must be in \(1e-15, 1\)"),
        (lambda: fisher.spectrum(np.eye(3), tolerance="x"), r"^tolerance must be a finite number"),
        (
            lambda: fisher.spectrum(np.eye(3) * 1e200),
            r"^W must be so small that J does not overflow",
        ),
        (
            lambda: fisher.matrix(np.eye(3) * 1e160),
            r"^W must have columns shorter than 1\.34e\+154",
        ),
        (lambda: fisher.matrix(np.eye(3) * 1e20, dtype="f4"), r"^W must have columns shorter than"),
        (
            lambda: fisher.matrix(np.eye(2), dtype="foo"),
            r"^dtype must be float32 or float64, got 'f",
        ),
        (lambda: fisher.matvec(np.eye(2) * 1e160, np.ones(2)), r"^W and V must be so small"),
        (lambda: fisher.matvec(np.eye(2), [1j, 0]), r"^V must be an array of real numbers"),
        (lambda: fisher.trace(np.eye(2) * 1e160), r"^W must be so small"),
        (lambda: fisher.empirical(np.eye(2) * 1e160), r"^X must be so small that X\^T X does not"),
        (lambda: fisher.residual(np.eye(2) * 1e160), r"^W must have columns shorter than"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fisher.empirical([[1.0, math.nan]]),
            "X must be finite, got nan at index (0, 1)",
        ),
        (lambda: fisher.empirical([1.0, 2.0]), "X must have shape (n, m), got shape (2,)"),
        (
            # Off the diagonal infinity meets its opposite.
            lambda: fisher.empirical([[1e160, 1e160], [1e160, -2e160]]),
            "X must be so small that X^T X does not overflow in float64, got an entry of size "
            "2e+160",
        ),
        (
            lambda: fisher.trace([[1e160, -2e160]]),
            "W must be so small that its squares add up, got an entry of size 2e+160",
        ),
        (
            lambda: fisher.matrix(np.eye(2), activation="relu"),
            "activation must be one of reluspec_lib.activations, got 'relu'",
        ),
        (
            lambda: fisher.matrix(np.eye(3) * 1e160),
            "W must have columns shorter than 1.34e+154, or J overflows in float64, got one of "
            "length 1e+160",
        ),
        (
            lambda: fisher.matvec(np.eye(2) * 1e160, np.ones(2)),
            "W and V must be so small that J V does not overflow in float64",
        ),
        (lambda: fisher.spectrum(np.eye(3), 4), "k must be an integer in 1 ... m = 3, got 4"),
        (
            lambda: fisher.spectrum(np.eye(3), tolerance=1),
            "tolerance must be in (1e-15, 1), got 1.0",
        ),
        (
            lambda: fisher.spectrum(np.eye(3), tolerance=1e-15),
            "tolerance must be in (1e-15, 1), got 1e-15",
        ),
        (
            lambda: fisher.spectrum([[1e200, 2e200]]),
            "W must be so small that J does not overflow, got entries of 2^666",
        ),
    ],
)
def test_messages_say_what_was_given_and_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda workers: fisher.matrix(np.eye(2), workers=workers),
        lambda workers: fisher.matvec(np.eye(2), np.ones(2), workers=workers),
        lambda workers: fisher.operator(np.eye(2), workers=workers),
        lambda workers: fisher.spectrum(np.eye(2), workers=workers),
    ],
)
def test_every_number_of_workers_is_checked(call):
    with pytest.raises(ValueError, match=r"^workers must be an integer >= 1, got 0$"):
        call(0)


def test_double_precision_of_weights_or_of_vectors_is_kept():
    W, V = weights(3, 40).astype(np.float32), rng(2).standard_normal((40, 2)).astype(np.float32)
    expected = fisher.matrix(W, dtype=np.float64) @ V
    for one, other in ((W.astype(float), V), (W, V.astype(float))):
        product = fisher.matvec(one, other)
        assert product.dtype == np.float64
        np.testing.assert_allclose(product, expected, atol=1e-14)
