"""Learning: against plain loops, dense exponentials, simulation and closed forms at large width."""

import copy
import math
import pickle
import re

import mpmath as mp
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import gauss_legendre, rng, rotation
from reluspec_lib import dynamics, features, fisher, forward, groups, sample_weights, targets
from reluspec_lib.learning import _loss, _stability

D, M = 3, 60
SOLVERS = ["dense", "lanczos", "expm"]


def mixture(d):
    return (
        targets.limit(groups.NORM, d)
        + targets.limit(groups.COORDINATE, d)
        - 2 * targets.limit(groups.SQUARE, d)
        + targets.limit(groups.PRODUCT, d)
        + 0.5 * targets.zonal(d, 4)
    )


def setting(kind, m=M, d=D, seed=1):
    """Return W, the target, a sample or None, and the matrix A and force b of the loss."""
    generator = rng(seed)
    W = sample_weights(d, m, generator)
    target = generator.normal(size=m) if "readout" in kind else mixture(d)
    if "sample" not in kind:
        J = fisher.matrix(W)
        b = J @ target if "readout" in kind else target.moment(W)
        return W, target, None, J, b
    n = m // 3 if "small" in kind else 3 * m
    x, y = generator.normal(size=(n, d)), generator.normal(size=n)
    X = features(x, W)
    return W, target, (x, y), X.T @ X / n, X.T @ y / n


KINDS = ["function", "readout", "small sample", "large sample", "sample of a readout"]


def assert_same_readout(found, expected, relative=1e-10):
    np.testing.assert_allclose(found, expected, atol=relative * np.abs(expected).max())


def by_exponential(A, b, start, time):
    """Return v(t) for v' = b - A v by the exponential of the matrix with one more row."""
    size = len(b)
    extended = np.zeros((size + 1, size + 1))
    extended[:size, :size], extended[:size, size] = -A, b
    return (scipy.linalg.expm(time * extended) @ np.append(start, 1))[:size]


def by_loop(A, b, start, step, count):
    v = start.copy()
    for _ in range(count):
        v = v - step * (A @ v - b)
    return v


@pytest.mark.parametrize("method", ["flow", "descent"])
def test_what_is_learned_along_any_eigenvalue(method, monkeypatch):
    # The function that the solvers are given, with weights whose unit is 1.
    def solve(loss, growth, solver):
        given.append(growth)
        return solver, np.zeros((1, 4)), 0

    given, eigenvalues = [], [0, 1e-300, 1e-12, 0.1, 0.99, 1 - 1e-9, 1, 1.5, 1.9]
    monkeypatch.setattr(dynamics, "solve", solve)
    if method == "flow":
        counts = [0, 1e-3, 2, 1e6]
        dynamics.flow([[0.5]], [1.0], counts)
        learned = lambda x, t: -mp.expm1(-x * t) / x if x else t  # noqa: E731
    else:
        counts = [0, 1, 2, 1001]
        dynamics.descent([[0.5]], [1.0], 1.0, counts)
        learned = lambda x, s: (1 - (1 - x) ** s) / x if x else s  # noqa: E731
    with mp.workdps(400):
        expected = [[float(learned(mp.mpf(x), t)) for t in counts] for x in eigenvalues]
    found = given[0](np.array(eigenvalues))
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=0)


# --- arguments

W0, TARGET = np.ones((3, 4)) + np.eye(3, 4), targets.limit(groups.NORM, 3)
X0, Y0 = np.ones((5, 3)), np.ones(5)

# What each function takes, and what a change of it gives.
USUAL = {
    "flow": {"W": W0, "target": TARGET, "times": [1.0]},
    "descent": {"W": W0, "target": TARGET, "step": 0.1, "steps": [1]},
    "sgd": {"W": W0, "target": TARGET, "step": 0.01, "steps": [1], "batch": 2, "rng": 1},
    "largest_step": {"W": W0},
    "minibatch_square": {"W": W0, "batch": 4},
}


def call(function, change):
    return getattr(dynamics, function)(**(USUAL[function] | change))


# --- gradient flow


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_flow_equals_the_dense_exponential(kind, solver):
    W, target, sample, A, b = setting(kind)
    start, times = rng(2).normal(size=M), [0.0, 0.3, 4.0, 50.0]
    path = dynamics.flow(W, target, times, sample=sample, start=start, solver=solver)
    expected = np.column_stack([by_exponential(A, b, start, time) for time in times])
    assert_same_readout(path.readout, expected)
    assert (path.solver, path.step) == (solver, None)
    assert (path.products > 0) == (solver == "lanczos")
    np.testing.assert_array_equal(path.times, times)
    np.testing.assert_array_equal(path.start, start)


@pytest.mark.parametrize("d, m", [(1, 1), (1, 2), (2, 3), (10, 30), (3, 500)])
def test_solvers_agree_at_all_sizes(d, m):
    W, times = sample_weights(d, m, rng()), [0.5, 30.0]
    target = targets.limit(groups.NORM, d) + targets.limit(groups.COORDINATE, d)
    first, *others = (dynamics.flow(W, target, times, solver=solver) for solver in SOLVERS)
    for other in others:
        assert_same_readout(other.readout, first.readout, 1e-12)


def test_flow_for_ever_on_a_small_sample_gives_the_interpolant_of_least_norm():
    W, target, (x, y), _, _ = setting("small sample", m=600, d=10)
    path = dynamics.flow(W, target, [1e9], sample=(x[:40], y[:40]))
    expected = np.linalg.lstsq(features(x[:40], W), y[:40])[0]
    assert_same_readout(path.readout[:, 0], expected, 1e-8)
    np.testing.assert_allclose(forward(x[:40], W, path.readout[:, 0]), y[:40], atol=1e-8)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), s=st.floats(0.01, 20), t=st.floats(0.01, 20))
def test_flow_is_a_semigroup_and_never_raises_the_risk(seed, s, t):
    W = sample_weights(D, 40, rng(seed))
    target = mixture(D)
    whole = dynamics.flow(W, target, [0.0, s, s + t])
    rest = dynamics.flow(W, target, [t], start=whole.readout[:, 1])
    assert_same_readout(rest.readout[:, 0], whole.readout[:, 2], 1e-11)
    assert (np.diff(whole.risk()) <= 1e-12 * target.power).all()


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_rotated_inputs_and_renamed_units_learn_the_norm_alike(seed):
    generator = rng(seed)
    W, times = sample_weights(D, 30, generator), [1.0, 9.0]
    target = targets.limit(groups.NORM, D)
    v = dynamics.flow(W, target, times).readout
    turned, order = rotation(D, generator) @ W, generator.permutation(30)
    np.testing.assert_allclose(dynamics.flow(turned, target, times).readout, v, atol=1e-10)
    renamed = dynamics.flow(W[:, order], target, times).readout
    np.testing.assert_allclose(renamed, v[order], atol=1e-10)


# --- long times, any scale


def hard_weights(kind):
    """Return weights for which J has small, equal or vanishing eigenvalues."""
    W = sample_weights(4, 150, rng(0))
    return {
        "Gaussian": lambda: W,
        "repeated columns": lambda: np.hstack([W[:, :75]] * 2),
        "opposite columns": lambda: np.hstack([W[:, :60], -W[:, :60], W[:, :30]]),
        "signs": lambda: np.sign(W),
        "no third row": lambda: W * [[1], [1], [0], [1]],
        "one row": lambda: W[:1],
    }[kind]()


@pytest.mark.parametrize("time", [1e3, 1e12, 1e17])
@pytest.mark.parametrize(
    "kind", ["Gaussian", "repeated columns", "opposite columns", "signs", "no third row", "one row"]
)
def test_the_risk_is_right_at_any_time(kind, time):
    W = hard_weights(kind)
    target = targets.limit(groups.NORM, len(W))
    J, b = fisher.matrix(W), target.moment(W)
    values, U = np.linalg.eigh(J)
    kept = values > 1e-13 * values[-1]
    part = (U.T @ b)[kept] ** 2 / values[kept]
    expected = target.power - np.sum(part * -np.expm1(-2 * values[kept] * time))
    for solver in SOLVERS[:2]:
        path = dynamics.flow(W, target, [time], solver=solver)
        assert path.risk()[0] == pytest.approx(expected, abs=1e-12)
        # At step 1/lambda_max every step takes the share lambda/lambda_max of what is left.
        count = min(int(time), 10**18)
        path = dynamics.descent(W, target, 0.999 / values[-1], [count], solver=solver)
        left = np.maximum(1 - 0.999 * values[kept] / values[-1], 0) ** (2.0 * count)
        assert path.risk()[0] == pytest.approx(target.power - np.sum(part * (1 - left)), abs=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_nothing_is_learned_where_all_features_vanish(solver):
    start = rng(2).normal(size=4)
    options = {"sample": (-X0, Y0), "start": start, "solver": solver}
    path = dynamics.flow(W0, TARGET, [1.0, 1e300], **options)
    np.testing.assert_array_equal(path.readout, np.stack([start, start], axis=1))
    assert path.products == 0


def test_the_value_at_the_end_of_time():
    W = sample_weights(4, 600, rng(0))
    path = dynamics.flow(W, targets.limit(groups.NORM, 4), [1e17, 1e300])
    assert path.solver == "lanczos"
    np.testing.assert_allclose(path.risk(), 2.137091e-06, atol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("size", [1e-100, 3e-30, 1e60])
@pytest.mark.parametrize("kind", ["function", "readout", "small sample", "large sample"])
def test_the_scale_of_the_weights_is_a_unit(kind, size, solver):
    W, target, sample, _, _ = setting(kind)
    start, times = rng(2).normal(size=M), np.array([0.0, 0.3, 4.0])
    path = dynamics.flow(W, target, times, sample=sample, start=start, solver=solver)
    if "readout" in kind:
        target = target / size
    options = {"sample": sample, "start": start / size, "solver": solver}
    other = dynamics.flow(size * W, target, times / size**2, **options)
    assert_same_readout(size * other.readout, path.readout, 1e-11)
    np.testing.assert_allclose(other.risk(), path.risk(), rtol=1e-9)
    for group in groups.ALL:
        np.testing.assert_allclose(other.along(group), path.along(group), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(other.error(group), path.error(group), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [1e-100, 1e60])
def test_the_scale_of_the_inputs_and_of_discrete_steps(size):
    W, target, (x, y), _, _ = setting("small sample")
    sample, scaled = (x, y), (size * x, y)
    assert dynamics.largest_step(W, x=size * x) == pytest.approx(
        dynamics.largest_step(W, x=x) / size**2, rel=1e-9
    )
    path = dynamics.descent(W, target, 0.1, [7], sample=sample)
    other = dynamics.descent(W, target, 0.1 / size**2, [7], sample=scaled)
    assert_same_readout(size * other.readout, path.readout, 1e-11)
    noisy = dynamics.sgd(W, target, 0.05, [7], 5, rng(3))
    other = dynamics.sgd(size * W, target, 0.05 / size**2, [7], 5, rng(3))
    assert_same_readout(size * other.readout, noisy.readout, 1e-11)
    assert dynamics.largest_step(size * W, batch=3) == pytest.approx(
        dynamics.largest_step(W, batch=3) / size**2, rel=1e-9
    )


@pytest.mark.parametrize("size", [1e-200, 1e-320, 1e200])
def test_sizes_whose_squares_are_no_numbers_are_refused(size):
    for function in USUAL:
        with pytest.raises(ValueError, match=r"^W must have its largest entry between 1e-150"):
            call(function, {"W": size * W0})
    with pytest.raises(ValueError, match=r"^x must have its largest entry between 1e-150"):
        call("flow", {"sample": (size * X0, Y0)})
    with pytest.raises(ValueError, match=r"^x must have its largest entry"):
        call("largest_step", {"W": 1e100 * W0, "x": 1e100 * X0})


def test_times_that_overflow_in_units_of_the_weights_are_for_ever():
    W, target, *_ = setting("readout", m=8)
    late = dynamics.flow(1e100 * W, target, [1e200, 1e300]).readout
    assert_same_readout(late[:, 1], late[:, 0])
    assert_same_readout(late[:, 1], target, 1e-4)


def test_huge_responses_are_learned_too():
    W, target, (x, y), _, _ = setting("small sample")
    for solver in SOLVERS:
        path = dynamics.flow(W, target, [2.0], sample=(x, y), solver=solver)
        other = dynamics.flow(W, target, [2.0], sample=(x, 1e200 * y), solver=solver)
        assert_same_readout(other.readout / 1e200, path.readout, 1e-11)


def test_the_solver_by_products_takes_the_last_time_that_it_allows(monkeypatch):
    # One unit of length 1: J = 1/2, so that time 16 is 8 products.
    monkeypatch.setattr(dynamics, "MOST_PRODUCTS", 8)
    path = dynamics.flow([[1.0]], [3.0], [16.0], solver="expm")
    np.testing.assert_allclose(path.readout, [[-3 * math.expm1(-8)]], rtol=1e-13)
    with pytest.raises(ValueError, match=r"^times must not exceed 16 with the solver expm, "):
        dynamics.flow([[1.0]], [3.0], [np.nextafter(16, 17)], solver="expm")


def test_the_solver_by_products_refuses_times_that_take_for_ever():
    W, target, _, _, _ = setting("function")
    latest = 100_000 / fisher.trace(W)
    message = rf"^times must not exceed {re.escape(f'{latest:.3g}')} with the solver expm, .*17$"
    with pytest.raises(ValueError, match=message):
        dynamics.flow(W, target, [1.0, 1e17], solver="expm")


# --- gradient descent


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS[:2])
@pytest.mark.parametrize("share", [0.01, 0.25, 0.7, 0.99])
def test_descent_equals_the_loop(kind, solver, share):
    W, target, sample, A, b = setting(kind)
    start, steps = rng(2).normal(size=M), [0, 1, 2, 3, 100, 2001]
    step = share * 2 / np.linalg.eigvalsh(A)[-1]
    path = dynamics.descent(W, target, step, steps, sample=sample, start=start, solver=solver)
    expected = np.column_stack([by_loop(A, b, start, step, count) for count in steps])
    assert_same_readout(path.readout, expected)
    np.testing.assert_allclose(path.times, step * np.array(steps))
    assert (path.solver, path.step) == (solver, step)


def test_the_default_of_a_wide_network_is_lanczos_with_few_products_at_any_number_of_steps():
    W = sample_weights(10, 800, rng())
    target, counts = mixture(10), [10, 10**4, 10**6]
    dense = dynamics.descent(W, target, 0.5, counts, solver="dense").readout.T
    limits = zip(counts, dense, (40, 90, 250), (1e-13, 3e-12, 1e-10), strict=True)
    for count, expected, most, gap in limits:
        path = dynamics.descent(W, target, 0.5, [count])
        assert path.solver == "lanczos"
        assert 0 < path.products < most
        assert_same_readout(path.readout[:, 0], expected, gap)
    assert dynamics.descent(W[:, :400], target, 0.1, [1]).solver == "dense"


def test_wide_networks_never_hold_the_matrix(monkeypatch):
    W, target, _, _, _ = setting("function", m=410)
    held = dynamics.descent(W, target, 0.5, [50], solver="lanczos")
    monkeypatch.setattr(_loss, "_HELD_WIDTH", 0)
    monkeypatch.delattr(fisher, "matrix")
    free = dynamics.descent(W, target, 0.5, [50])
    assert free.solver == "lanczos"
    assert_same_readout(free.readout, held.readout, 1e-12)
    exponential = dynamics.flow(W, target, [3.0], solver="expm")
    assert_same_readout(exponential.readout, dynamics.flow(W, target, [3.0]).readout, 1e-12)


@pytest.mark.parametrize("solver", SOLVERS[:2])
def test_one_unit_learns_by_a_power_of_what_each_step_leaves(solver):
    # One unit of length 1: J = 1/2, and a step of size 2 ends at the target.
    for step in (0.5, 0.999, 1.0, 1.001, 1.999, 2.0, 2.001, 3.5):
        path = dynamics.descent([[1.0]], [3.0], step, [0, 1, 2, 7], solver=solver)
        left = (1 - step / 2) ** np.array([0, 1, 2, 7])
        np.testing.assert_allclose(path.readout, [3 - 3 * left], rtol=1e-13)


def test_many_small_steps_are_the_flow():
    W, target, _, _, _ = setting("function")
    smooth = dynamics.flow(W, target, [2.0]).readout[:, 0]
    gaps = []
    for count in (1000, 2000):
        readout = dynamics.descent(W, target, 2 / count, [count]).readout[:, 0]
        gaps.append(np.linalg.norm(readout - smooth))
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=1e-2)


def test_no_steps_and_no_error_change_nothing():
    W, v, _, _, _ = setting("readout")
    for solver in SOLVERS[:2]:
        np.testing.assert_array_equal(
            dynamics.descent(W, v, 0.1, [0, 7], start=v, solver=solver).readout, np.stack([v, v], 1)
        )
    np.testing.assert_array_equal(
        dynamics.flow(W, v, [3.0], start=v, solver="expm").readout[:, 0], v
    )


# --- stability


@pytest.mark.parametrize("kind", ["function", "small sample", "large sample"])
def test_the_bound_is_two_over_the_largest_eigenvalue(kind):
    W, _, sample, A, _ = setting(kind)
    bound = dynamics.largest_step(W, x=None if sample is None else sample[0])
    assert bound == pytest.approx(2 / np.linalg.eigvalsh(A)[-1], rel=1e-9)


@pytest.mark.parametrize("W, expected", [([[2.0]], 1.0), ([[0.0]], math.inf), ([[1, -3]], 4 / 9)])
def test_the_bound_of_tiny_networks(W, expected):
    assert dynamics.largest_step(W) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["function", "small sample", "large sample"])
def test_descent_is_stable_up_to_the_bound_and_not_beyond(kind):
    W, target, sample, A, b = setting(kind)
    bound = dynamics.largest_step(W, x=None if sample is None else sample[0])
    with pytest.raises(ValueError, match=rf"below 2/lambda_max = {bound:.6g}.*got.*unstable=True"):
        dynamics.descent(W, target, 1.001 * bound, [1], sample=sample)
    losses = []
    for factor in (0.99, 1.01):
        v = dynamics.descent(
            W, target, factor * bound, [1000, 2000, 3000], sample=sample, unstable=True
        ).readout
        losses.append(np.einsum("jt,jk,kt->t", v, A, v) / 2 - b @ v)
    assert (np.diff(losses[0]) < 0).all()
    np.testing.assert_allclose(losses[1][1:] / losses[1][:-1], 1.02**2000, rtol=0.01)


def test_an_overflow_is_infinite_without_a_warning():
    W, target, _, _, _ = setting("function")
    for solver in SOLVERS[:2]:
        path = dynamics.descent(W, target, 50.0, [1000], unstable=True, solver=solver)
        assert not np.isfinite(path.readout).any()


def test_a_power_that_is_a_number_yet_no_readout_is_infinite_without_a_warning():
    # One unit of length 1, whose error doubles in size and changes its sign at each step.
    path = dynamics.descent([[1.0]], [1e5], 6.0, [1000, 1015, 1023], unstable=True)
    assert path.readout[0, 0] == pytest.approx(-1e5 * 2.0**1000, rel=1e-12)
    assert path.readout[0, 1:].tolist() == [math.inf, math.inf]


def test_an_overflow_of_stochastic_descent_is_no_warning_either():
    W, target, _, _, _ = setting("function")
    path = dynamics.sgd(W, target, 50.0, [2000], 4, rng(1), unstable=True)
    assert not np.isfinite(path.readout).any()


def plane_rule(W):
    """Return points on the circle and weights of mean 1, exact between the kinks of the units."""
    kinks = np.arctan2(W[1], W[0])[:, None] + np.array([-np.pi, np.pi]) / 2
    ends = np.unique(np.concatenate([kinks.ravel() % (2 * np.pi), [0, np.pi, 2 * np.pi]]))
    angles, weights = gauss_legendre(ends[:-1, None], ends[1:, None], 16)
    u = np.column_stack([np.cos(angles.ravel()), np.sin(angles.ravel())])
    return u, weights.ravel() / (2 * np.pi)


PLANE = {
    "one unit": [[3.0], [4.0]],
    "two units": np.eye(2),
    "half plane": sample_weights(2, 9, rng(5)) * [[1], [0]] + np.abs(sample_weights(2, 9, rng(6))),
    "with zero and twice": [[1.0, 0, 1, -2], [0.5, 0, 0.5, 1]],
    "line": np.outer([3.0, 4], [1.0, 2, -1, 3]),
    "stretched": [[10], [0.1]] * sample_weights(2, 12, rng(7)),
    "Gaussian": sample_weights(2, 40, rng(8)),
}


@pytest.mark.parametrize("name", PLANE)
def test_the_bound_for_one_input_holds_for_any_weights(name):
    W = np.array(PLANE[name])
    u, weight = plane_rule(W)
    a, X = u @ W, features(u, W)
    # E|x|^2 = 2, E|x|^4 = 8 and E|x|^6 = 48 at d = 2.
    J = 2 * (weight[:, None] * X).T @ X
    M = 8 * (weight[:, None] * (X**2).sum(axis=1, keepdims=True) * X).T @ X
    mu = _stability.single_input_bound(W)
    values, U = np.linalg.eigh(J)
    U = (U / np.sqrt(np.where(values > 1e-9 * values[-1], values, np.inf)))[:, values > 0]
    needed = np.linalg.eigvalsh(U.T @ M @ U)[-1]
    assert needed <= mu * (1 + 1e-12)
    assert mu <= 2 * needed
    G, h = W @ W.T, (a * np.abs(a)).sum(axis=1)
    curved = 48 * (weight[:, None] * h[:, None] ** 2 * u).T @ u
    gamma, top = math.sqrt(np.linalg.eigvalsh(curved)[-1]), np.linalg.eigvalsh(G)[-1]
    form = np.array([[np.trace(G) + 2 * top, gamma], [gamma, 4 * top]]) / 2
    assert mu == pytest.approx(min(4 * top, np.linalg.eigvalsh(form)[-1]), rel=1e-11)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("name", PLANE)
def test_the_exact_step_is_that_of_the_plane(name, batch):
    W = np.array(PLANE[name])
    u, weight = plane_rule(W)
    X = features(u, W)
    J = 2 * (weight[:, None] * X).T @ X
    M = 8 * (weight[:, None] * (X**2).sum(axis=1, keepdims=True) * X).T @ X
    values, U = np.linalg.eigh(J)
    U = (U / np.sqrt(np.where(values > 1e-10 * values[-1], values, np.inf)))[:, values > 0]
    needed = np.linalg.eigvalsh(U.T @ ((1 - 1 / batch) * J @ J + M / batch) @ U)[-1]
    step = dynamics.largest_step(W, batch=batch, exact=True)
    assert step == pytest.approx(2 / needed, rel=1e-7)
    assert step >= dynamics.largest_step(W, batch=batch) * (1 - 1e-12)
    assert dynamics.largest_step(3 * W, batch=batch, exact=True) == pytest.approx(step / 9)


def test_the_matrix_of_one_input_in_higher_dimension():
    # Weights that are not centred make the odd part of |X|^2 count.
    W = sample_weights(4, 6, rng()) + np.array([[0.3], [0.1], [0], [0]])
    J, single = _stability.single_input_matrix(W)
    np.testing.assert_allclose(J, fisher.matrix(W), rtol=1e-12)
    X = features(rng(2).normal(size=(200_000, 4)), W)
    sampled = X.T @ ((X**2).sum(axis=1, keepdims=True) * X) / len(X)
    np.testing.assert_allclose(single, sampled, rtol=0.04)
    whole = dynamics.minibatch_square(3 * W, 4)
    np.testing.assert_allclose(whole, 81 * (0.75 * J @ J + single / 4), rtol=1e-12)


def test_the_exact_step_of_no_feature_is_infinite_and_a_zero_unit_does_not_count():
    assert dynamics.largest_step(np.zeros((2, 3)), batch=1, exact=True) == math.inf
    W = sample_weights(3, 8, rng())
    with_zero = np.insert(W, 2, 0, axis=1)
    steps = [dynamics.largest_step(A, batch=2, exact=True) for A in (W, with_zero)]
    assert steps[1] == pytest.approx(steps[0], rel=1e-12)
    square = dynamics.minibatch_square(with_zero, 2)
    assert not square[2].any()
    np.testing.assert_array_equal(
        np.delete(np.delete(square, 2, 0), 2, 1), dynamics.minibatch_square(W, 2)
    )
    assert not dynamics.minibatch_square(np.zeros((2, 3)), 2).any()


def test_one_unit_alone_needs_its_fourth_moment_and_copies_share_it():
    # E ReLU^4 = 3/2 and E ReLU^2 = 1/2: 3 |w|^2 for batches of one, and n times that for n copies.
    W = np.array([[0.6], [0.8], [1.2]])
    for copies in (1, 2, 5):
        many, needed = np.repeat(W, copies, axis=1), 3 * copies * np.sum(W**2)
        step = dynamics.largest_step(many, batch=1, exact=True)
        assert 2 / step == pytest.approx(needed, rel=1e-12)
    assert dynamics.largest_step([[1.0, -1.0]], batch=1, exact=True) == pytest.approx(2 / 3)


@pytest.mark.parametrize("size", [1e-100, 1e100])
def test_fourth_powers_that_are_no_numbers_are_refused(size):
    with pytest.raises(ValueError, match=r"^W must have its largest entry between 1e-75 and 1e75"):
        dynamics.minibatch_square([[size]], 2)


@pytest.mark.parametrize("block", [1, 100, 10**9])
def test_the_bound_for_one_input_does_not_depend_on_blocks_or_scale(block, monkeypatch):
    W = sample_weights(4, 30, rng())
    mu = _stability.single_input_bound(W)
    assert _stability.single_input_bound(3 * W) == pytest.approx(9 * mu, rel=1e-12)
    monkeypatch.setattr(_stability, "_BLOCK", block)
    assert _stability.single_input_bound(W) == pytest.approx(mu, rel=1e-12)


@pytest.mark.parametrize(
    "W",
    [[[1, 1e-170], [0, 0]], [[1, 1e-165, 0.5], [0, 1e-165, 0.2], [0, 0, 0.1]]],
    ids=["two units", "three units"],
)
def test_a_unit_whose_square_is_no_number_does_not_count_for_one_input(W):
    without = np.delete(W, 1, axis=1)
    expected = dynamics.largest_step(without, batch=1)
    assert dynamics.largest_step(W, batch=1) == pytest.approx(expected, rel=1e-12)


def test_the_bound_for_minibatches_interpolates():
    W = sample_weights(10, 500, rng())
    top, mu = 2 / dynamics.largest_step(W), _stability.single_input_bound(W)
    assert 6 < mu < 9  # (d + 2)/2 in the limit
    for batch in (1, 2, 10, 1000):
        expected = 2 / ((1 - 1 / batch) * top + mu / batch)
        assert dynamics.largest_step(W, batch=batch) == pytest.approx(expected, rel=1e-12)
        assert dynamics.largest_step(3 * W, batch=batch) == pytest.approx(expected / 9)


def test_a_step_that_is_called_stable_is_so_for_the_network_at_hand():
    # The mean square of an error after a step, over many inputs: below the bound it falls, and
    # for the worst error of this network it grows at 4/(d + 2), the bound of infinite width.
    W, x = sample_weights(10, 60, rng()), rng(2).normal(size=(60_000, 10))
    X = features(x[:30_000], W)
    weighted = (X * (X**2).sum(axis=1, keepdims=True)).T @ X / len(X)
    worst = scipy.linalg.eigh(weighted, X.T @ X / len(X))[1][:, -1]
    worst /= np.linalg.norm(worst)
    X = features(x[30_000:], W)
    grown = []
    for step in (dynamics.largest_step(W, batch=1), 4 / 12):
        after = worst - step * (X @ worst)[:, None] * X
        change = (after**2).sum(axis=1) - 1
        grown.append(change.mean() / (change.std() / math.sqrt(len(x) / 2)))
    assert grown[0] < -5
    assert grown[1] > 5


@pytest.mark.parametrize("batch, factor, grows", [(1, 0.5, False), (1, 2, True), (8, 2, True)])
def test_minibatches_are_stable_below_the_bound(batch, factor, grows):
    W = sample_weights(10, 300, rng())
    v = rng(2).normal(size=300)
    bound = dynamics.largest_step(W, batch=batch)
    assert factor * bound < dynamics.largest_step(W) or batch > 1
    path = dynamics.sgd(W, v, factor * bound, [0, 300], batch, rng(3), unstable=True)
    before, after = path.risk()
    assert (after > before) == grows


# --- stochastic gradient descent


@pytest.mark.parametrize("noise", [0, 0.5])
@pytest.mark.parametrize("kind", ["function", "function of power 1", "readout"])
def test_sgd_equals_a_plain_loop_on_the_same_draws(kind, noise):
    W, target, _, _, _ = setting(kind)
    if "power 1" in kind:
        target = 2 * targets.limit(groups.COORDINATE, D)
        assert target.power == 1
    start = rng(4).normal(size=M)
    options = {"noise": noise} if noise else {}
    path = dynamics.sgd(W, target, 0.1, [0, 3, 10], 5, rng(3), start=start, **options)
    generator, v, expected = rng(3), start.copy(), [start.copy()]
    for count in range(1, 11):
        x = generator.normal(size=(5, D))
        y = forward(x, W, target) if kind == "readout" else target(x)
        if noise:
            y = y + noise * generator.normal(size=5)
        X = features(x, W)
        v = v - 0.1 * X.T @ (X @ v - y) / 5
        if count in (3, 10):
            expected.append(v)
    np.testing.assert_allclose(path.readout.T, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(path.times, [0, 0.3, 1])
    assert (path.solver, path.products, path.step) == ("sgd", 0, 0.1)
    np.testing.assert_array_equal(path.start, start)


def test_sgd_with_huge_batches_is_descent():
    W, target, _, _, _ = setting("function", m=20)
    noisy = dynamics.sgd(W, target, 0.5, [5], 50_000, rng(2), noise=0.1).readout
    exact = dynamics.descent(W, target, 0.5, [5]).readout
    assert np.linalg.norm(noisy - exact) < 0.02 * np.linalg.norm(exact)


# --- what a trajectory reports


@pytest.mark.parametrize("kind", ["function", "readout"])
def test_risk_and_coefficients_are_means_over_inputs(kind):
    W, target, _, _, _ = setting(kind)
    path = dynamics.flow(W, target, [0.0, 1.0, 10.0])
    x = rng(7).normal(size=(40_000, D))
    y = forward(x, W, target) if kind == "readout" else target(x)
    outputs = forward(x, W, path.readout)
    squares = (outputs - y[:, None]) ** 2
    error = squares.std(axis=0) / math.sqrt(len(x))
    assert (np.abs(squares.mean(axis=0) - path.risk()) < 5 * error).all()
    for group in groups.ALL:
        for F, found in zip(group.limit(x).T, path.along(group), strict=True):
            products = F[:, None] * outputs / group.eigenvalue(D)
            bars = products.std(axis=0) / math.sqrt(len(x)) + 1e-12
            assert (np.abs(products.mean(axis=0) - found) < 5 * bars).all()


@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_the_projections_and_sum_to_the_risk(kind):
    W, target, sample, _, _ = setting(kind)
    path = dynamics.flow(W, target, [0.5, 5.0], sample=sample)
    total = path.remainder()
    for group in groups.ALL:
        V = group.eigenvectors(W)
        wanted = V.T @ target if "readout" in kind else target.along(group)
        missing = wanted[:, None] - V.T @ path.readout
        expected = group.eigenvalue(D) * (missing**2).sum(axis=0)
        np.testing.assert_allclose(path.error(group), expected, rtol=1e-10)
        total = total + path.error(group)
    np.testing.assert_allclose(total, path.risk(), rtol=1e-12)


def other_groups(d):
    """Groups that are not the paper's, the last with functions of two degrees."""
    A, rows = rng(6).normal(size=(2, d, d)), rng(7).normal(size=(2, d))
    forms = groups.Quadratic("forms", A + A.swapaxes(1, 2))
    return groups.Linear("rows", rows), groups.Square(-1), groups.CENTRED_SQUARE, forms


@pytest.mark.parametrize("kind", ["function", "readout"])
def test_errors_and_coefficients_of_any_group_are_those_of_least_squares(kind):
    W, target, _, _, _ = setting(kind, m=12, d=2)
    path = dynamics.flow(W, target, [0.0, 1.0, 10.0], start=rng(2).normal(size=12))
    u, weight = plane_rule(W)
    y = forward(u, W, target) if kind == "readout" else target(u)
    outputs, root = forward(u, W, path.readout), np.sqrt(2 * weight)[:, None]  # E|x|^2 = 2
    for group in (*other_groups(2), *groups.ALL):
        F = group.limit(u)
        along = (F.T * weight) @ outputs / ((F.T**2) @ weight)[:, None]
        np.testing.assert_allclose(path.along(group), along, rtol=1e-11, atol=1e-13)
        fit = F @ np.linalg.lstsq(root * F, root * (outputs - y[:, None]), rcond=1e-10)[0]
        expected = ((root * fit) ** 2).sum(axis=0)
        np.testing.assert_allclose(path.error(group), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("added", [0, 1e-13])
def test_functions_that_differ_by_rounding_count_once(added):
    path = dynamics.flow(sample_weights(3, 40, rng()), mixture(3), [0.0, 2.0])
    one, two = (
        groups.Linear("one", [[1.0, 2, 0]]),
        groups.Linear("two", [[1.0, 2, 0], [2, 4, added]]),
    )
    np.testing.assert_allclose(path.error(two), path.error(one), rtol=1e-9)


def test_predictions_for_any_group_take_its_own_rate_or_one_that_is_given():
    path = dynamics.flow(sample_weights(3, 40, rng()), mixture(3), [0.0, 2.0])
    *pure, mixed = other_groups(3)
    for group, rate in zip(pure, [0.25, *2 * [groups.SQUARE.eigenvalue(3)]], strict=True):
        expected = path.error(group)[0] * np.exp([0, -4 * rate])
        np.testing.assert_allclose(path.predicted(group), expected, rtol=1e-12)
    expected = path.error(mixed)[0] * np.exp([0, -2])
    np.testing.assert_allclose(path.predicted(mixed, 0.5), expected, rtol=1e-12)
    with pytest.raises(ValueError, match="eigenvalues belong to groups of one degree"):
        path.predicted(mixed)


def test_the_remainder_is_the_quadratic_form_of_the_residual():
    W = sample_weights(D, M, rng())
    target = targets.limit(groups.NORM, D) + targets.limit(groups.PRODUCT, D)
    path = dynamics.flow(W, target, [0.1, 1.0, 20.0])
    R = fisher.residual(W)
    expected = np.einsum("jt,jk,kt->t", path.readout, R, path.readout)
    np.testing.assert_allclose(path.remainder(), expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("group", groups.ALL)
def test_one_function_decays_at_its_own_rate_in_a_wide_network(group):
    W, times = sample_weights(3, 1600, rng()), np.array([0.0, 0.5, 1])
    path = dynamics.flow(W, targets.limit(group, 3), times / group.eigenvalue(3))
    np.testing.assert_allclose(path.error(group), path.predicted(group), rtol=0.25)
    initial = group.eigenvalue(3)
    np.testing.assert_allclose(path.predicted(group), initial * np.exp(-2 * times), rtol=1e-12)


def test_the_prediction_of_a_discrete_method_counts_steps():
    W = sample_weights(3, 50, rng())
    target = 2 * targets.limit(groups.COORDINATE, 3)
    start = rng(2).normal(size=50)
    first = np.sum((target.along(groups.COORDINATE) - W @ start) ** 2) / 4
    path = dynamics.descent(W, target, 0.5, [0, 1, 9], start=start)
    expected = first * (1 - 0.5 / 4) ** np.array([0, 2, 18])
    np.testing.assert_allclose(path.predicted(groups.COORDINATE), expected, rtol=1e-12)
    other = path.predicted(groups.COORDINATE, eigenvalue=0.5)
    np.testing.assert_allclose(other, first * 0.75 ** np.array([0, 2, 18]), rtol=1e-12)
    smooth = dynamics.flow(W, target, [0, 1], start=start).predicted(groups.COORDINATE, 0.5)
    np.testing.assert_allclose(smooth, first * np.exp([0, -1]), rtol=1e-12)


def test_groups_that_a_small_dimension_lacks_have_no_error():
    W = sample_weights(1, 20, rng())
    path = dynamics.flow(W, targets.limit(groups.NORM, 1), [0.0, 3.0])
    for group in (groups.SQUARE, groups.PRODUCT, groups.Square(-1), groups.CENTRED_SQUARE):
        np.testing.assert_array_equal(path.error(group), [0, 0])
        np.testing.assert_array_equal(path.predicted(group), [0, 0])


def test_trajectories_are_values():
    W, target, _, _, _ = setting("function", m=30)
    path, same = (dynamics.flow(W, target, [0.0, 1.0]) for _ in range(2))
    assert path == same == pickle.loads(pickle.dumps(path)) == copy.deepcopy(path)
    assert path != dynamics.flow(W, target, [0.0, 2.0])
    assert path != dynamics.flow(W, 2 * target, [0.0, 1.0])
    assert path != "path"
    assert len(repr(path)) < 400
    assert repr(path).startswith("Trajectory(W=<float64 (3, 30)>, target=<target at d = 3:")
    with pytest.raises(TypeError, match="unhashable"):
        hash(path)


def test_a_seed_is_as_good_as_a_generator():
    W, target, _, _, _ = setting("function")
    paths = [dynamics.sgd(W, target, 0.05, [3], 4, source, noise=1) for source in (5, rng(5), [5])]
    assert paths[0] == paths[1] == paths[2]


@pytest.mark.parametrize("bad", [1j, np.ma.masked_invalid([np.nan])[0], np.datetime64(1, "D")])
def test_numbers_that_are_not_real_are_refused_by_name(bad):
    def of(array):
        return np.ma.array(array, mask=True) if bad is np.ma.masked else array + bad

    if isinstance(bad, np.datetime64):
        of = lambda array: np.full(np.shape(array), bad)  # noqa: E731
    for name, function, change in (
        ("W", "flow", {"W": of(W0)}),
        ("target", "flow", {"target": of(np.ones(4))}),
        ("times", "flow", {"times": of(np.ones(1))}),
        ("start", "flow", {"start": of(np.ones(4))}),
        ("x", "descent", {"sample": (of(X0), Y0)}),
        ("y", "descent", {"sample": (X0, of(Y0))}),
        ("steps", "sgd", {"steps": of(np.ones(1))}),
    ):
        with pytest.raises(ValueError, match=rf"^{name} must "):
            call(function, change)


def test_float32_weights_are_taken_in_float64():
    W = sample_weights(D, M, rng()).astype(np.float32)
    path = dynamics.flow(W, mixture(D), [1.0])
    assert path.readout.dtype == np.float64
    assert_same_readout(path.readout, dynamics.flow(W.astype(float), mixture(D), [1.0]).readout)


# --- messages


@pytest.mark.parametrize(
    "function, change, message",
    [
        ("flow", {"target": np.ones(5)}, r"target must have shape \(4,\), got .*5"),
        ("flow", {"W": np.ones((2, 4))}, r"W .*target's d = 3, got shape \(2, 4\)"),
        ("sgd", {"W": np.ones((2, 4))}, r"W .*target's d = 3, got shape \(2, 4\)"),
        ("flow", {"times": [2.0, 1.0]}, r"times must be numbers >= 0 in increasing"),
        ("flow", {"times": [-1.0]}, r"times must be numbers >= 0"),
        ("flow", {"times": [math.nan]}, r"times must be numbers >= 0"),
        ("flow", {"times": 1.0}, r"times must be a non-empty sequence of numbers"),
        ("flow", {"times": []}, r"times must be a non-empty sequence"),
        ("flow", {"start": np.ones(3)}, r"start must have shape"),
        ("flow", {"solver": "fast"}, r"solver .* one of dense, lanczos, expm or"),
        ("flow", {"sample": X0}, r"sample must be a pair \(x, y\), got ndarray"),
        ("flow", {"sample": (X0, Y0, Y0)}, r"sample must be a pair \(x, y\), got tuple"),
        ("flow", {"sample": (X0, Y0[1:])}, r"y must have shape \(5,\)"),
        ("flow", {"sample": (X0[0], Y0)}, r"x must have shape \(n, 3\), got shape \(3,\)"),
        ("flow", {"sample": (X0[:, :2], Y0)}, r"x must have shape \(n, 3\), got shape \(5, 2\)"),
        ("descent", {"step": 0}, r"step must be a positive number, got 0"),
        ("descent", {"step": "1"}, r"step must be a positive number, got '1'"),
        ("descent", {"steps": [1.5]}, r"steps must be .* of integers >= 0"),
        ("descent", {"steps": [3, 3]}, r"steps must be integers .* increasing"),
        ("descent", {"solver": "expm"}, r"solver .*dense, lanczos or None"),
        ("descent", {"step": 9.0}, r"step must be below 2/lambda_max = 0\.208004, where"),
        ("sgd", {"step": 9.0}, r"step must be below the bound for this batch = "),
        ("sgd", {"batch": 0}, r"batch must be an integer >= 1"),
        ("sgd", {"rng": -7}, r"rng must be a numpy.random.Generator .* or a seed .*; got -7"),
        ("sgd", {"noise": -1}, r"noise must be a finite number >= 0, got -1"),
        ("largest_step", {"x": X0, "batch": 2}, r"x and batch exclude each other"),
        ("minibatch_square", {"batch": 0}, r"batch must be an integer >= 1, got 0"),
        ("largest_step", {"exact": True}, r"exact needs batch"),
        ("largest_step", {"exact": 1, "batch": 2}, r"exact must be True or False, got 1"),
        ("largest_step", {"batch": 0}, r"batch must be an integer >= 1, got 0"),
    ],
)
def test_wrong_arguments_are_named(function, change, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call(function, change)


TOO_LARGE = "is stable, got 9; to exceed it, pass unstable=True"


@pytest.mark.parametrize(
    "function, change, message",
    [
        (
            "flow",
            {"solver": "fast"},
            "solver must be one of dense, lanczos, expm or None, got 'fast'",
        ),
        ("descent", {"solver": "expm"}, "solver must be one of dense, lanczos or None, got 'expm'"),
        ("flow", {"times": [-1.0]}, "times must be numbers >= 0 in increasing order, got [-1.0]"),
        (
            "flow",
            {"solver": "expm", "times": [1.0, 2.0, 1e17]},
            f"times must not exceed {1e5 / (np.sum(W0**2) / 2):.3g} with the solver expm, which "
            "takes longer the later they are, got 1e+17",
        ),
        ("descent", {"step": -1}, "step must be a positive number, got -1"),
        (
            "descent",
            {"steps": [1.5]},
            "steps must be a non-empty sequence of integers >= 0, got array([1.5])",
        ),
        (
            "descent",
            {"step": 9},
            "step must be below 2/lambda_max = "
            f"{2 / np.linalg.eigvalsh(fisher.matrix(W0))[-1]:.6g}, where gradient descent "
            + TOO_LARGE,
        ),
        (
            # Every feature of every input is 3 or 4, all inputs are alike.
            "descent",
            {"step": 9, "sample": (X0, Y0)},
            f"step must be below 2/lambda_max = {2 / 57:.6g}, where gradient descent " + TOO_LARGE,
        ),
        ("sgd", {"step": -1}, "step must be a positive number, got -1"),
        (
            "sgd",
            {"steps": [1.5]},
            "steps must be a non-empty sequence of integers >= 0, got array([1.5])",
        ),
        ("sgd", {"batch": 0}, "batch must be an integer >= 1, got 0"),
        ("sgd", {"noise": -1}, "noise must be a finite number >= 0, got -1"),
        (
            "sgd",
            {"step": 9},
            f"step must be below the bound for this batch = "
            f"{dynamics.largest_step(W0, batch=2):.6g}, where stochastic gradient descent "
            + TOO_LARGE,
        ),
        (
            "largest_step",
            {"x": X0, "batch": 2},
            "x and batch exclude each other: a minibatch has new inputs",
        ),
        (
            "largest_step",
            {"exact": True},
            "exact needs batch: without it the step is exact anyway",
        ),
        ("largest_step", {"exact": 1}, "exact must be True or False, got 1"),
        ("largest_step", {"batch": 0}, "batch must be an integer >= 1, got 0"),
        ("minibatch_square", {"batch": 0}, "batch must be an integer >= 1, got 0"),
        (
            # About is to the next power of two.
            "minibatch_square",
            {"W": [[2.0**250]]},
            "W must have its largest entry between 1e-75 and 1e75 in size, got about "
            f"{2.0**251:.3g}",
        ),
    ],
)
def test_messages_say_what_was_given_and_what_is_allowed(function, change, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call(function, change)


@pytest.mark.parametrize("method", ["along", "error", "predicted"])
def test_what_is_no_group_of_this_dimension_is_refused(method):
    path = dynamics.flow(W0, TARGET, [1.0])
    with pytest.raises(ValueError, match=r"^group must be a group such as .* got 'norm'"):
        getattr(path, method)("norm")
    with pytest.raises(ValueError, match=r"^d must be 2, .* got 3"):
        getattr(path, method)(groups.Linear("a", [[1.0, 2]]))
