"""Losses and functions of their matrices: against eigenvalues that are given and dense algebra."""

import math

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator
from threadpoolctl import threadpool_info, threadpool_limits

from helpers import rng, with_peak
from reluspec_lib import features, fisher, sample_weights
from reluspec_lib.learning import _loss

D, M = 3, 12


def flow(*times):
    """The growth of the gradient flow: (1 - exp(-lambda t))/lambda for each of the times."""
    t = np.array(times)

    def growth(values):
        z = values[:, None] * t
        return t * np.divide(-np.expm1(-z), z, out=np.ones_like(z), where=z > 0)

    return growth


def by_lanczos(values, growth):
    """Solve with these eigenvalues and a force along all of them alike.

    Return solution, products, and how often the growth was asked for. The products that are
    reported are those that were taken.
    """
    products, asked = [], []

    def multiply(v):
        products.append(1)
        return values * v.ravel()

    def counted(found):
        asked.append(1)
        return growth(found)

    A = LinearOperator(2 * (len(values),), multiply, dtype=np.float64)
    solution, taken = _loss.lanczos(A, np.ones(len(values)), counted)
    assert taken == len(products)
    return solution, taken, len(asked)


def assert_relative(solution, expected, limit):
    """Each time is as good as its own norm asks."""
    gaps = np.linalg.norm(solution - expected, axis=0) / np.linalg.norm(expected, axis=0)
    assert gaps.max() < limit


# --- sizes


@pytest.mark.parametrize("largest", [1.0, 1.5, 3e-300, 7e200, -5.0])
def test_the_unit_is_a_power_of_two_above_the_largest_entry(largest):
    array = np.array([[0.25, 1.0], [-0.5, 0.125]]) * largest
    scaled, unit = _loss.unit(array)
    assert math.frexp(unit)[0] == 0.5
    assert abs(largest) <= unit <= 2 * abs(largest)
    np.testing.assert_array_equal(scaled * unit, array)
    zeros, one = _loss.unit(np.zeros(3))
    assert (zeros.tolist(), one) == ([0, 0, 0], 1)
    assert _loss.unit(np.empty((2, 0)))[1] == 1


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1.0, 1e300])
def test_lengths_of_vectors_of_any_size(size):
    assert _loss.length_of(np.array([3.0, 0, -4]) * size) == pytest.approx(5 * size, rel=1e-3)
    assert _loss.length_of(np.zeros(3)) == 0


@pytest.mark.parametrize("size", [7, 7e-9])
def test_eigenvalues_that_are_rounding_are_not_learned(size):
    values = np.array([-1e-15, 0, 2.2e-14, 2.3e-14, 1e-3, 1.0]) * size
    # 100 rounding units of the largest.
    assert _loss.unlearned(values, 100).tolist() == [True] * 3 + [False] * 3
    grown = _loss.learned(lambda found: np.stack([1 + found, 2 + found], axis=1), values, 100)
    np.testing.assert_array_equal(grown[:3], np.zeros((3, 2)))
    np.testing.assert_array_equal(grown[3:], values[3:, None] + [1, 2])


def test_a_matrix_of_zeros_has_nothing_to_learn():
    assert _loss.unlearned(np.zeros(3), 3).tolist() == [True] * 3
    assert _loss.unlearned(np.zeros(0), 3).shape == (0,)
    found, products = _loss.lanczos(np.zeros((3, 3)), np.ones(3), flow(1, 2))
    np.testing.assert_array_equal(found, np.zeros((3, 2)))
    assert products == 1


# --- the losses


def in_population():
    """A loss with its matrix, dense, and its force, which is no solution's."""
    loss = _loss.Population(sample_weights(D, M, rng()))
    loss.force = rng(4).normal(size=M)
    return loss, fisher.matrix(loss.W), loss.force


def in_sample(n):
    X = features(rng(2).normal(size=(n, D)), sample_weights(D, M, rng()))
    loss = _loss.Sample(X)
    loss.residual = rng(3).normal(size=n)
    return loss, X.T @ X / n, X.T @ loss.residual / n


LOSSES = {
    "population": in_population,
    "small sample": lambda: in_sample(5),
    "large sample": lambda: in_sample(40),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_a_loss_has_its_matrix_its_trace_and_its_solution(kind):
    loss, A, force = LOSSES[kind]()
    np.testing.assert_allclose(loss.A @ np.eye(M), A, rtol=1e-12, atol=1e-15)
    assert loss.trace == pytest.approx(np.trace(A), rel=1e-14)
    np.testing.assert_allclose(loss.force, force, rtol=1e-12)
    values, U, w = loss.decomposed()
    values, w = values[:, None], w[:, None]
    solved = np.linalg.solve(A + 0.1 * np.eye(M), force)
    np.testing.assert_allclose(U @ (w / (values + 0.1)), solved[:, None], rtol=1e-10)


@pytest.mark.parametrize("solver", ["dense", "lanczos"])
@pytest.mark.parametrize("kind", LOSSES)
def test_a_loss_at_its_minimum_teaches_nothing(kind, solver):
    loss = LOSSES[kind]()[0]
    fresh = _loss.Population(loss.W) if kind == "population" else _loss.Sample(loss.X)
    np.testing.assert_array_equal(fresh.force, np.zeros(M))
    name, found, products = _loss.solve(fresh, flow(1, 2), solver)
    np.testing.assert_array_equal(found, np.zeros((M, 2)))
    assert (name, products) == (solver, 0)


@pytest.mark.parametrize("limit, held", [(M - 1, False), (M, True)])
def test_the_matrix_is_held_up_to_the_limit_and_never_computed_twice(limit, held, monkeypatch):
    monkeypatch.setattr(_loss, "_HELD_WIDTH", limit)
    loss, J, _ = in_population()
    assert isinstance(loss.A, np.ndarray) == held
    np.testing.assert_allclose(loss.A @ np.eye(M), J, rtol=1e-12, atol=1e-15)
    computed = []
    monkeypatch.setattr(fisher, "matrix", lambda W: computed.append(W) or J)
    np.testing.assert_allclose(loss.decomposed()[0], np.linalg.eigvalsh(J), atol=1e-14)
    assert len(computed) == (not held)
    assert all(W is loss.W for W in computed)


@pytest.mark.parametrize(
    "solver, side, threads",
    [("dense", M, 1), ("lanczos", M, 1), ("lanczos", M - 1, 1), ("dense", M - 1, 2)],
)
def test_only_large_eigendecompositions_use_the_threads_of_blas(solver, side, threads, monkeypatch):
    seen = []

    def growth(values):
        seen.extend(pool["num_threads"] for pool in threadpool_info() if "blas" in pool["user_api"])
        return flow(1)(values)

    monkeypatch.setattr(_loss, "_DENSE_SIDE", side)
    loss = in_population()[0]
    with threadpool_limits(2, user_api="blas"):
        _loss.solve(loss, growth, solver)
        assert set(seen) == {threads}
        assert _loss.solve(loss, growth, None)[0] == ("dense" if side == M else "lanczos")


# --- Lanczos


@pytest.mark.parametrize("values", [[3], [1, 2], [0.5, 3, 4]])
def test_as_many_products_as_eigenvalues_that_differ(values):
    eigenvalues = np.repeat(values, 200 // len(values)).astype(float)
    growth = flow(0.2, 3)
    found, products, _ = by_lanczos(eigenvalues, growth)
    assert_relative(found, growth(eigenvalues), 1e-13)
    assert products == len(values)


@pytest.mark.parametrize("size", [1, 2, 6, 7, 70])
def test_no_more_products_than_entries(size):
    values, growth = 10.0 ** -np.linspace(0, 3, size), flow(0.1, 1e9)
    found, products, _ = by_lanczos(values, growth)
    assert_relative(found, growth(values), 1e-11)
    assert products == size


@pytest.mark.parametrize("degree, most", [(0, 8), (3, 8), (4, 12), (7, 12), (8, 16)])
def test_a_polynomial_takes_few_more_products_than_its_degree(degree, most):
    values = np.linspace(0.1, 1, 300)
    growth = lambda found: (1 + found[:, None]) ** degree  # noqa: E731
    found, products, asked = by_lanczos(values, growth)
    assert_relative(found, growth(values), 1e-13)
    assert degree < products <= most
    # The eigenvalues of the tridiagonal matrix cost more than a product: not every time.
    assert asked <= 1 + products // 4


@pytest.mark.parametrize("size", [2.0**-60, 1.0, 2.0**60])
def test_the_products_taken_do_not_depend_on_the_unit_of_time(size):
    values, growth = np.linspace(0.01, 1, 300) * size, flow(0, 3 / size, 50 / size)
    found, products, asked = by_lanczos(values, growth)
    np.testing.assert_array_equal(found[:, 0], np.zeros(300))
    assert_relative(found[:, 1:], growth(values)[:, 1:], 1e-13)
    assert products == by_lanczos(values * 2, flow(1.5 / size, 25 / size))[1] < 50
    assert asked <= 1 + products // 4


def test_each_time_is_judged_by_its_own_size():
    values = np.linspace(0.1, 1, 300)
    slow = lambda found: 1 / (found[:, None] + 0.05)  # noqa: E731
    together = lambda found: np.hstack([1e9 * (1 + found[:, None]), slow(found)])  # noqa: E731
    found, products, _ = by_lanczos(values, together)
    assert_relative(found, together(values), 1e-13)
    # The large one is done first, and its rounding holds nothing up.
    assert products == by_lanczos(values, slow)[1] < 60


@pytest.mark.parametrize("share", [5.6e-11, 1e-10])
def test_what_is_learned_slowly_is_learned_to_the_end(share):
    # Polynomials approach a kink like one over their degree, so that the last change is small
    # against what is missing.
    values = np.linspace(0, 1, 401)[1:]
    growth = lambda found: 1 + share * np.abs(found[:, None] - 0.5)  # noqa: E731
    found, _, _ = by_lanczos(values, growth)
    assert_relative(found, growth(values), 1e-13)


@pytest.mark.parametrize("top, most, limit", [(1e3, 70, 1e-11), (1e6, 60, 1e-8)])
def test_rounding_along_small_eigenvalues_is_not_waited_for(top, most, limit):
    # A product is rounded to eps times the largest eigenvalue; the time is what it grows by.
    values, growth = np.append(np.linspace(0.01, 1, 299), top), flow(100)
    found, products, _ = by_lanczos(values, growth)
    assert_relative(found, growth(values), limit)
    assert products < most


def test_lanczos_holds_the_vectors_that_it_takes_and_few_more():
    values, growth = np.linspace(0.01, 1, 2000), flow(30)
    (_, products, _), peak = with_peak(lambda: by_lanczos(values, growth))
    assert 32 < products < 64
    assert peak < 128 * values.nbytes


# --- the exponential


@pytest.mark.parametrize("kind", LOSSES)
def test_the_exponential_is_of_a_matrix_with_its_adjoint_and_its_trace(kind, monkeypatch):
    loss, A, force = LOSSES[kind]()
    length, seen = np.linalg.norm(force), []
    expected = np.zeros((M + 1, M + 1))
    expected[:M, :M], expected[:M, M] = -A, force / length

    def multiply(augmented, state, traceA):
        seen.append((augmented, traceA))
        return state + 1

    monkeypatch.setattr(_loss, "expm_multiply", multiply)
    change = _loss.exponential(loss, np.array([0.5, 2.5]))
    # From one time to the next, starting at zeros and the constant 1.
    np.testing.assert_allclose(change, np.full((M, 2), [1, 2]) * length, rtol=1e-14)
    for (augmented, traced), span in zip(seen, [0.5, 2], strict=True):
        dense = span * expected
        assert traced == pytest.approx(np.trace(dense), rel=1e-13)
        assert augmented.dtype == np.float64
        np.testing.assert_allclose(augmented @ np.eye(M + 1), dense, atol=1e-14)
        np.testing.assert_allclose(augmented.H @ np.eye(M + 1), dense.T, atol=1e-14)
        v = rng(5).normal(size=M + 1)
        np.testing.assert_allclose(augmented @ v, dense @ v, atol=1e-13)
        np.testing.assert_allclose(augmented.H @ v, dense.T @ v, atol=1e-13)


@pytest.mark.parametrize("kind", LOSSES)
def test_the_exponential_solves_the_flow(kind):
    loss, A, force = LOSSES[kind]()
    times = np.array([0.0, 0.3, 4.0])
    values, U = np.linalg.eigh(A)
    expected = U @ (flow(*times)(np.maximum(values, 0)) * (U.T @ force)[:, None])
    np.testing.assert_allclose(_loss.exponential(loss, times), expected, atol=1e-12)
