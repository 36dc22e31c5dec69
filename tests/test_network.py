"""The network: features and outputs, against plain matrix products."""

import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import rng, run_python, with_peak
from reluspec_lib import (
    StreamedWeights,
    _tiles,
    _weights,
    features,
    forward,
    forward_antithetic,
    groups,
    network,
    sample_weights,
)

ROWS, COLUMNS = _tiles.ROWS, _tiles.COLUMNS


@pytest.mark.parametrize("columns", [0, 1.5, "0", [0.0], [[0]], [True]])
def test_columns_that_are_no_sequence_of_positions_are_named(columns):
    W = sample_weights(3, 5, 1)
    for function in (groups.COORDINATE.eigenvectors, groups.COORDINATE.limit):
        with pytest.raises(ValueError, match=r"^columns must be integers >= 0 and < 3"):
            function(W if function.__name__ == "eigenvectors" else W.T, columns)


# --- features and outputs: bad input


@pytest.mark.parametrize(
    "W, message",
    [
        ([1.0, 2.0], r"W must have shape \(d, m\), got shape \(2,\)"),
        (np.zeros((2, 2, 2)), r"W must have shape \(d, m\), got shape \(2, 2, 2\)"),
        (np.zeros((2, 0)), r"W must not be empty, got shape \(2, 0\)"),
        (np.zeros((0, 2)), r"W must not be empty, got shape \(0, 2\)"),
        ([[1.0, np.nan], [0, 1]], r"W must be finite, got nan at index \(0, 1\)"),
        ([[1.0, 2], [-np.inf, 1]], r"W must be finite, got -inf at index \(1, 0\)"),
        ([[1j, 2], [0, 1]], r"W must be an array of real numbers"),
        ([["a", "b"], ["c", "d"]], r"W must be an array of real numbers"),
        ([[1, 2], [3]], r"W must be an array of real numbers"),
        ([[10**400, 2], [3, 4]], r"W must be an array of real numbers"),
        (np.ma.masked_equal([[1.0, 2], [0, 1]], 0), r"W must have no masked entries, got 1"),
    ],
)
@pytest.mark.parametrize(
    "function", [lambda W: features([1.0, 2.0], W), lambda W: forward([1.0, 2.0], W, [1.0, 1.0])]
)
def test_wrong_weights_are_refused(function, W, message):
    with pytest.raises(ValueError, match="^" + message):
        function(W)


@pytest.mark.parametrize(
    "x, message",
    [
        (1.0, r"x must have shape \(n, d\) or \(d,\), got shape \(\)"),
        (np.ones((2, 2, 2)), r"x must have shape \(n, d\) or \(d,\), got shape \(2, 2, 2\)"),
        (np.ones(3), r"x must have as many coordinates as W has rows, d = 2, got shape \(3,\)"),
        (np.ones((2, 3)), r"x must have as many coordinates as W has rows, d = 2, got shape"),
        (np.ones((0, 2)), r"x must not be empty, got shape \(0, 2\)"),
        ([np.inf, 0], r"x must be finite, got inf at index \(0,\)"),
        ([1j, 0], r"x must be an array of real numbers"),
    ],
)
@pytest.mark.parametrize(
    "function", [features, lambda x, W: forward(x, W, np.ones((W.shape[1], 2)))]
)
def test_wrong_inputs_are_refused(function, x, message):
    with pytest.raises(ValueError, match="^" + message):
        function(x, np.ones((2, 4)))


@pytest.mark.parametrize(
    "V, message",
    [
        (np.ones(3), r"V must have shape \(m, K\) or \(m,\) with m = 4, .* got shape \(3,\)"),
        (np.ones((2, 4)), r"V must have shape .* got shape \(2, 4\)"),
        (np.ones((4, 1, 1)), r"V must have shape .* got shape \(4, 1, 1\)"),
        (1.0, r"V must have shape .* got shape \(\)"),
        (np.ones((4, 0)), r"V must not be empty, got shape \(4, 0\)"),
        ([1, 2, 3, np.nan], r"V must be finite, got nan at index \(3,\)"),
    ],
)
def test_wrong_readouts_are_refused(V, message):
    with pytest.raises(ValueError, match="^" + message):
        forward(np.ones(2), np.ones((2, 4)), V)


# --- features and outputs: values


def test_features_are_the_positive_parts_of_the_projections():
    x, W = [[1, 2], [-3, 1]], [[1, 0, -1], [1, -1, 2]]
    assert features(x, W).tolist() == [[3, 0, 3], [0, 0, 5]]
    assert features(x[1], W).tolist() == [0, 0, 5]


@pytest.mark.parametrize("n", [1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 1])
@pytest.mark.parametrize("m", [1, COLUMNS - 1, COLUMNS, COLUMNS + 1, 2 * COLUMNS + 1])
def test_outputs_equal_features_times_readout_across_tile_edges(n, m):
    x, W, V = rng().normal(size=(n, 3)), rng().normal(size=(3, m)), rng().normal(size=(m, 2))
    expected = np.maximum(x @ W, 0) @ V
    np.testing.assert_allclose(forward(x, W, V), expected, rtol=1e-11, atol=1e-11)


@settings(max_examples=25)
@given(
    d=st.integers(1, 6),
    m=st.integers(1, 600),
    shape=st.tuples(st.integers(1, 600), st.integers(1, 7)),
    seed=st.integers(0, 2**32),
)
def test_outputs_equal_features_times_readout(d, m, shape, seed):
    n, K = shape
    generator = rng(seed)
    x, W = generator.normal(size=(n, d)), generator.normal(size=(d, m))
    V = generator.normal(size=(m, K))
    expected = features(x, W) @ V
    np.testing.assert_allclose(forward(x, W, V), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("m", [2047, 2048, 2049, 5000])
def test_outputs_equal_features_times_readout_at_few_inputs(m):
    x, W, V = rng().normal(size=(32, 3)), rng().normal(size=(3, m)), rng().normal(size=(m, 2))
    np.testing.assert_allclose(forward(x, W, V), features(x, W) @ V, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("single_x", [True, False])
@pytest.mark.parametrize("single_V", [True, False])
def test_one_dimensional_arguments_drop_their_axis(single_x, single_V):
    x, W, V = rng().normal(size=(5, 3)), rng().normal(size=(3, 400)), rng().normal(size=(400, 1))
    expected = features(x, W) @ V
    x, expected = (x[2], expected[2]) if single_x else (x, expected)
    V, expected = (V[:, 0], expected[..., 0]) if single_V else (V, expected)
    f = forward(x, W, V)
    assert f.shape == expected.shape
    np.testing.assert_allclose(f, expected, rtol=1e-12)


def test_masked_arrays_without_masked_entries_are_arrays():
    x, W = rng().normal(size=(5, 3)), rng().normal(size=(3, 4))
    found = features(np.ma.array(x), np.ma.array(W, mask=False))
    assert not isinstance(found, np.ma.MaskedArray)
    np.testing.assert_array_equal(found, features(x, W))


def test_any_memory_layout_gives_the_same_outputs():
    x, W, V = rng().normal(size=(700, 4)), rng().normal(size=(4, 300)), rng().normal(size=(300, 3))
    expected = features(x, W) @ V
    for order in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2]):
        np.testing.assert_allclose(forward(*map(order, (x, W, V))), expected, rtol=1e-11)


@pytest.mark.parametrize("c", [0.0, 0.5, 3.0])
def test_outputs_scale_with_non_negative_inputs(c):
    x, W, V = rng().normal(size=(5, 3)), rng().normal(size=(3, 40)), rng().normal(size=(40, 2))
    np.testing.assert_allclose(forward(c * x, W, V), c * forward(x, W, V), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("wide", [None, "x", "W", "V"])
def test_float32_is_kept_only_where_all_arguments_have_it(wide):
    arrays = {"x": np.ones((2, 3)), "W": np.ones((3, 4)), "V": np.ones((4, 1))}
    arrays = {k: a if k == wide else a.astype(np.float32) for k, a in arrays.items()}
    x, W, V = arrays["x"], arrays["W"], arrays["V"]
    expected = np.float32 if wide is None else np.float64
    assert forward(x, W, V).dtype == expected
    assert features(x, W).dtype == (np.float64 if wide in ("x", "W") else np.float32)


@pytest.mark.parametrize("kind", [int, np.float16, bool, object])
def test_other_real_types_become_float64(kind):
    x, W, V = (np.ones(shape, kind) for shape in [(2, 3), (3, 4), 4])
    assert features(x, W).dtype == forward(x, W, V).dtype == np.float64
    assert forward(x, W, V).tolist() == [12, 12]


def test_arguments_are_not_modified():
    arrays = [rng().normal(size=s) for s in [(600, 3), (3, 300), (300, 2)]]
    copies = [a.copy() for a in arrays]
    forward(*arrays)
    features(*arrays[:2])
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_features_are_held_once():
    x, W = rng().normal(size=(500, 2)), rng().normal(size=(2, 400))
    X, peak = with_peak(lambda: features(x, W))
    assert peak < 1.5 * X.nbytes


def test_the_feature_matrix_is_never_held():
    n, m = 6000, 4000  # a feature matrix of 192 MB
    x, W, V = rng().normal(size=(n, 2)), rng().normal(size=(2, m)), rng().normal(size=(m, 3))
    f, peak = with_peak(lambda: forward(x, W, V, workers=2))
    assert peak - f.nbytes < 16 * 2**20


# --- several threads


@pytest.mark.parametrize("shape", [(2000, 3, 700, 4), (513, 10, 1, 1), (1, 2, 5000, 3)])
def test_the_result_is_the_same_whatever_the_number_of_workers(shape):
    n, d, m, K = shape
    x, W, V = rng().normal(size=(n, d)), rng().normal(size=(d, m)), rng().normal(size=(m, K))
    one = forward(x, W, V, workers=1)
    for workers in (2, 3, 7, None):
        np.testing.assert_array_equal(forward(x, W, V, workers=workers), one)


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True])
def test_wrong_numbers_of_workers_are_refused(value):
    for function in (forward, forward_antithetic):
        with pytest.raises(ValueError, match=r"^workers must be an integer >= 1, got "):
            function(np.ones((2, 2)), np.ones((2, 4)), np.ones(4), workers=value)


class Failed(Exception):
    pass


def test_a_failure_in_one_thread_ends_the_others_at_their_next_tile(monkeypatch):
    seen, lock = [], threading.Lock()

    def failing(tile, zeros):
        with lock:
            seen.append(threading.get_ident())
            if len(seen) == 10:
                raise Failed

    monkeypatch.setattr(network, "_rectify", failing)
    with pytest.raises(Failed):
        forward(np.ones((8 * ROWS, 1)), np.ones((1, 100 * COLUMNS)), np.ones(100 * COLUMNS))
    assert len(seen) < 400  # of 1600 tiles or more


INTERRUPTED = """
import os, signal, threading, time
import numpy as np
from reluspec_lib import _tiles, forward, network

started = threading.Event()
def work(tile, zeros):
    started.set()
    tiles.append(1)
    time.sleep(0.001)  # so that a busy machine has no time for all of them before the signal
tiles, network._rectify = [], work
# A shell that starts the tests in the background has signals ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Thread(target=lambda: started.wait() and os.kill(os.getpid(), signal.SIGINT)).start()
m = 5000 * _tiles.COLUMNS
try:
    forward(np.ones((4 * _tiles.ROWS, 1)), np.ones((1, m)), np.ones(m), workers=2)
except KeyboardInterrupt:
    print(len(tiles))
"""


@pytest.mark.skipif(os.name == "nt", reason="Unix only: SIGINT")
def test_an_interruption_does_not_wait_for_all_of_the_work():
    assert int(run_python(INTERRUPTED)) < 15_000  # of 40,000 tiles or more


# --- antithetic inputs


@given(data=st.data())
def test_both_signs_are_what_the_network_gives_there(data):
    n, d, m, K = (data.draw(st.integers(1, size)) for size in (4, 5, 6, 3))
    generator = rng(data.draw(st.integers(0, 2**32)))
    x, W, V = (
        generator.normal(size=(n, d)),
        generator.normal(size=(d, m)),
        generator.normal(size=(m, K)),
    )
    positive, negative = forward_antithetic(x, W, V)
    np.testing.assert_allclose(positive, forward(x, W, V), atol=1e-12)
    np.testing.assert_allclose(negative, forward(-x, W, V), atol=1e-12)


@pytest.mark.parametrize("x_shape", [(3, 2), (2,)])
@pytest.mark.parametrize("V_shape", [(4, 3), (4,)])
def test_both_signs_have_the_shape_of_the_network(x_shape, V_shape):
    x, W, V = rng().normal(size=x_shape), rng().normal(size=(2, 4)), rng().normal(size=V_shape)
    for output in forward_antithetic(x, W, V):
        assert output.shape == forward(x, W, V).shape
    single = [a.astype(np.float32) for a in (x, W, V)]
    assert all(output.dtype == np.float32 for output in forward_antithetic(*single))


# --- weights that are generated


@pytest.mark.parametrize("workers", [1, 2])
def test_the_network_takes_generated_weights_in_place_of_arrays(workers, monkeypatch):
    monkeypatch.setattr(_weights, "_STREAM_ENTRIES", 30)  # several streams for a few units
    W = StreamedWeights(3, 47, rng())
    whole, x = W.columns(0, 47), rng(2).normal(size=(1100, 3))
    V = groups.ALL[1].eigenvectors(whole)
    expected = features(x, whole) @ V
    for weights in (W, whole):
        for readout in (V, groups.COORDINATE.eigenvectors):
            f = forward(x, weights, readout, workers=workers)
            np.testing.assert_allclose(f, expected, atol=1e-13)
            pair = forward_antithetic(x, weights, readout, workers=workers)
            np.testing.assert_allclose(pair[1], features(-x, whole) @ V, atol=1e-13)
    one = forward(x, W, lambda weights: weights[0], workers=workers)
    np.testing.assert_allclose(one, expected[:, 0], atol=1e-13)


def test_readout_weights_of_a_wrong_shape_are_refused_by_name():
    W = StreamedWeights(3, 47, rng())
    with pytest.raises(ValueError, match=r"^V\(W\) must have shape \(m, K\) or \(m,\) with m = 47"):
        forward(np.ones(3), W, lambda weights: np.ones(5))
    with pytest.raises(ValueError, match=r"^V\(W\) must be finite"):
        forward(np.ones(3), W, lambda weights: np.full(47, np.nan))
    with pytest.raises(ValueError, match=r"^V must have shape .* with m = 47"):
        forward(np.ones(3), W, np.ones(46))
    with pytest.raises(ValueError, match=r"^x must have as many coordinates as W has rows, d = 3"):
        forward(np.ones(2), W, np.ones(47))


def test_a_wide_network_needs_no_memory_for_its_width():
    x, W = rng().normal(size=(20, 2)), StreamedWeights(2, 3_000_000, rng())
    _, peak = with_peak(lambda: forward(x, W, groups.COORDINATE.eigenvectors))
    assert peak < 32 * 2**20  # W alone is 48 MB


# --- other activations


@pytest.mark.parametrize("slope", [0.0, -1.0, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_that_are_linear_on_both_sides(slope, dtype):
    from reluspec_lib import activations

    x, W = rng(1).normal(size=(7, 3)).astype(dtype), rng(2).normal(size=(3, 700)).astype(dtype)
    V = rng(3).normal(size=(700, 2)).astype(dtype)
    found = forward(x, W, V, activation=activations.leaky(slope))
    t = x @ W
    expected = np.where(t > 0, t, slope * t) @ V
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, atol=(1e-12 if dtype == np.float64 else 2e-3))
    if slope == 0:
        np.testing.assert_array_equal(found, forward(x, W, V))


@pytest.mark.parametrize("name, at_zero", [("step", 0.5), ("sign", 0.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_that_are_constant_on_both_sides(name, at_zero, dtype):
    from reluspec_lib import activations

    activation = activations.named(name)
    # Small integers: no sum is rounded, and many of the pre-activations are 0.
    x, W, V = (
        rng(k).integers(-2, 3, s).astype(dtype) for k, s in enumerate([(9, 3), (3, 700), 700])
    )
    t, right = x @ W, activation(1.0)
    expected = np.where(t > 0, right, np.where(t < 0, activation(-1.0), at_zero)) @ V
    np.testing.assert_array_equal(forward(x, W, V, activation=activation), expected)
    tiny = np.finfo(dtype).smallest_subnormal
    signs = forward([[tiny], [-tiny]], [[dtype(1)]], [dtype(1)], activation=activation)
    assert signs.tolist() == [right, activation(-1.0)]


@pytest.mark.filterwarnings("ignore:.*encountered in matmul")
@pytest.mark.parametrize("signs", [(1, 1), (-1, 1), (1, -1)])
@pytest.mark.parametrize("dtype, size", [(np.float64, 1e200), (np.float32, 1e30)])
def test_a_sign_is_not_taken_of_what_overflows(signs, dtype, size):
    from reluspec_lib import activations

    message = "^activation must return finite numbers at all pre-activations x W$"
    x = np.array([[1, 1], [signs[0] * size, -signs[0] * size]], dtype)
    W = np.full((2, 3), signs[1] * size, dtype)
    for activation in (activations.step, activations.sign):
        with pytest.raises(ValueError, match=message):
            forward(x, W, np.ones(3, dtype), activation=activation)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sign_is_taken_where_large_weights_meet_small_inputs(sign):
    from reluspec_lib import activations

    W = sign * np.array([[1e-200], [1e200]])
    assert forward([1e200, 1.0], W, [1.0], activation=activations.sign) == sign


@pytest.mark.parametrize("name", ["leaky", "step", "sign", "tanh"])
def test_generated_weights_with_other_activations(name, monkeypatch):
    from reluspec_lib import activations

    activation = activations.leaky(0.1) if name == "leaky" else activations.named(name)
    monkeypatch.setattr(_weights, "_STREAM_ENTRIES", 30)  # several streams for a few units
    W, x = StreamedWeights(3, 47, rng()), rng(2).normal(size=(5, 3))
    V = groups.COORDINATE.eigenvectors(W.columns(0, 47))
    expected = features(x, W.columns(0, 47), activation=activation) @ V
    found = forward(x, W, groups.COORDINATE.eigenvectors, activation=activation)
    np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_are_asked_in_the_type_of_the_arguments(dtype):
    def activation(t):
        assert t.dtype == dtype
        return np.tanh(t)

    x, W, V = (rng().normal(size=shape).astype(dtype) for shape in [(5, 3), (3, 7), 7])
    assert forward(x, W, V, activation=activation).dtype == dtype
    assert features(x, W, activation=activation).dtype == dtype


@pytest.mark.parametrize("activation", [np.tanh, np.sign])
def test_any_function_is_an_activation(activation):
    x, W, V = rng(1).normal(size=(1500, 3)), rng(2).normal(size=(3, 700)), rng(3).normal(size=700)
    np.testing.assert_allclose(
        forward(x, W, V, activation=activation), activation(x @ W) @ V, atol=1e-10
    )
    np.testing.assert_array_equal(features(x, W, activation=activation), activation(x @ W))


@pytest.mark.parametrize("activation", ["tanh", lambda t: t[:1], lambda t: t * np.inf])
@pytest.mark.parametrize("call", [features, lambda x, W, **k: forward(x, W, np.ones(4), **k)])
def test_wrong_activations_are_refused(activation, call):
    with pytest.raises(ValueError, match="activation must"), np.errstate(invalid="ignore"):
        call(np.ones((2, 3)), np.eye(3, 4), activation=activation)
