"""Products with the Fisher information, its leading spectrum, and what equation (5) leaves out."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

from reluspec_lib import fisher, groups, harmonics, sample_weights
from reluspec_lib.network import features


def weights(d, m, seed=1):
    return sample_weights(d, m, np.random.default_rng(seed))


def exact(W):
    """Eigenvalues in decreasing order by LAPACK from the closed form with arccos."""
    norms = np.linalg.norm(W, axis=0)
    cosine = np.clip((W / norms).T @ (W / norms), -1, 1)
    kernel = np.sqrt((1 - cosine) * (1 + cosine)) + (np.pi - np.arccos(cosine)) * cosine
    return np.linalg.eigvalsh(np.outer(norms, norms) * kernel / (2 * np.pi))[::-1]


# --- products


@pytest.mark.parametrize("m", [1, 2, 319, 320, 321, 700])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_products_equal_those_with_the_matrix(m, workers):
    W = weights(4, m)
    V = np.random.default_rng(2).standard_normal((m, 3))
    J = fisher.matrix(W)
    np.testing.assert_allclose(fisher.matvec(W, V, workers), J @ V, atol=1e-13)
    np.testing.assert_allclose(fisher.matvec(W, V[:, 0], workers), J @ V[:, 0], atol=1e-13)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_matrix_does_not_depend_on_the_number_of_workers(workers):
    W = weights(5, 700)
    np.testing.assert_array_equal(fisher.matrix(W, workers=workers), fisher.matrix(W, workers=1))


def test_single_precision_is_kept_and_close():
    W = weights(5, 400)
    V = np.random.default_rng(2).standard_normal((400, 2))
    J = fisher.matrix(W)
    for single in (fisher.matrix(W, dtype=np.float32), fisher.matrix(W.astype(np.float32))):
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, J, atol=1e-7)
    product = fisher.matvec(W.astype(np.float32), V.astype(np.float32))
    assert product.dtype == np.float32
    np.testing.assert_allclose(product, J @ V, atol=1e-5)


def test_products_hold_no_matrix():
    W, V = weights(3, 4000), np.ones((4000, 2))
    fisher.matvec(W, V, workers=2)
    tracemalloc.start()
    fisher.matvec(W, V, workers=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6 < 4000**2 * 8 / 12


def test_the_operator_serves_scipys_solvers():
    W = weights(3, 600)
    start = np.ones(600)
    found = eigsh(fisher.operator(W), 4, v0=start, return_eigenvectors=False)[::-1]
    np.testing.assert_allclose(found, exact(W)[:4], rtol=1e-10)
    block = np.random.default_rng(3).standard_normal((600, 3))
    np.testing.assert_allclose(fisher.operator(W) @ block, fisher.matrix(W) @ block, atol=1e-13)


# --- trace, finite sample


def test_the_trace_is_that_of_the_matrix():
    W = weights(7, 300)
    assert fisher.trace(W) == pytest.approx(np.trace(fisher.matrix(W)), rel=1e-13)


def test_the_matrix_of_a_sample_tends_to_the_population():
    W = weights(3, 40)
    x = np.random.default_rng(4).standard_normal((200_000, 3))
    J_n = fisher.empirical(features(x, W))
    spread = np.sqrt(3 * np.outer(*2 * [(W**2).sum(axis=0)]) / len(x))
    assert (np.abs(J_n - fisher.matrix(W)) < 6 * spread).all()
    np.testing.assert_array_equal(J_n, J_n.T)


def test_the_rank_of_a_small_sample_is_its_size():
    x = np.random.default_rng(5).standard_normal((6, 3))
    J_n = fisher.empirical(features(x, weights(3, 50)))
    assert np.linalg.matrix_rank(J_n) == 6


# --- equation (5)


@pytest.mark.parametrize("d", [1, 2, 3, 10])
def test_what_equation_5_leaves_out_is_psd_with_the_share_of_the_higher_degrees(d):
    for W in (weights(d, 150), np.random.default_rng(6).standard_t(2, (d, 150))):
        R = fisher.residual(W)
        assert np.linalg.eigvalsh(R).min() > -1e-13 * fisher.trace(W)
        share = np.trace(R) / fisher.trace(W)
        assert share == pytest.approx(1 - harmonics.share(d, 2), abs=1e-13)


# --- leading spectrum


@pytest.mark.parametrize(("d", "m"), [(1, 50), (2, 200), (3, 400), (10, 1500)])
@pytest.mark.parametrize("tolerance", [1e-4, 1e-9, 1e-12])
def test_leading_eigenvalues_reach_the_tolerance(d, m, tolerance):
    W = weights(d, m)
    found = fisher.spectrum(W, tolerance=tolerance)
    size = d * (d + 3) // 2
    assert found.solver == "groups"
    assert found.eigenvalues.shape == (size,)
    error = np.abs(found.eigenvalues / exact(W)[:size] - 1).max()
    assert error <= tolerance + 1e-13
    # The estimate does not flatter.
    assert error <= found.error + 1e-14


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


def test_weights_far_from_isotropic_go_to_lanczos():
    W = weights(5, 600) * np.array([4, 2, 1, 0.5, 0.25])[:, None]
    found = fisher.spectrum(W)
    assert found.solver == "lanczos"
    np.testing.assert_allclose(found.eigenvalues, exact(W)[:20], rtol=1e-8)


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
        (lambda: fisher.spectrum(np.eye(2, 50)), r"^W must have no zero column"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
