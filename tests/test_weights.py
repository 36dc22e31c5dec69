"""Hidden weights, drawn at once and generated in pieces: law, streams and refusals."""

import math
import pickle

import numpy as np
import pytest
from scipy import stats

from helpers import NOT_COUNTS, one_line, rng
from reluspec_lib import StreamedWeights, _weights, sample_weights

# --- drawn at once


@pytest.mark.parametrize("name", ["d", "m"])
@pytest.mark.parametrize("value", NOT_COUNTS)
@pytest.mark.parametrize("function", [sample_weights, StreamedWeights])
def test_sizes_that_are_not_positive_integers_are_refused(function, name, value):
    sizes = {"d": 3, "m": 4} | {name: value}
    with pytest.raises(ValueError, match=rf"^{name} must be an integer >= 1, got "):
        function(**sizes, rng=rng())


@pytest.mark.parametrize(
    "value",
    [
        *[None, True, 1.0, -1, [], [1, -2], [True], "1", [[1], 2]],
        pytest.param(np.random, id="module"),
        pytest.param(np.random.RandomState(1), id="RandomState"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("function", [sample_weights, StreamedWeights])
def test_what_is_neither_a_generator_nor_a_seed_is_refused(function, value):
    with pytest.raises(ValueError, match=r"^rng must be a numpy\.random\.Generator .*, or a seed "):
        function(2, 3, value)


@pytest.mark.parametrize(
    "seed",
    [0, np.int8(7), 2**100, [5], (1, 2), np.array([3, 4]), np.random.SeedSequence(5)],
    ids=one_line,
)
def test_a_seed_is_the_generator_of_that_seed(seed):
    expected = sample_weights(3, 50, np.random.default_rng(seed))
    np.testing.assert_array_equal(sample_weights(3, 50, seed), expected)
    assert StreamedWeights(3, 50, seed) == StreamedWeights(3, 50, np.random.default_rng(seed))


def test_a_bit_generator_is_taken_as_it_is():
    expected = sample_weights(3, 50, np.random.Generator(np.random.Philox(3)))
    np.testing.assert_array_equal(sample_weights(3, 50, np.random.Philox(3)), expected)


@pytest.mark.parametrize("d, m", [(1, 1), (1, 7), (7, 1), (np.int8(3), np.int32(5))])
@pytest.mark.parametrize("dtype", [np.float64, "float32", np.dtype("f4")])
def test_weights_have_the_shape_and_the_type_that_is_asked_for(d, m, dtype):
    W = sample_weights(d, m, rng(), dtype=dtype)
    assert W.shape == (d, m)
    assert W.dtype == dtype
    assert sample_weights(d, m, rng()).dtype == np.float64


@pytest.mark.parametrize("dtype", ["float65", "int", "float16", np.complex128, ">f8", None, 3])
def test_other_types_of_weights_are_refused(dtype):
    with pytest.raises(ValueError, match=r"^dtype must be float32 or float64, got "):
        sample_weights(2, 3, 1, dtype=dtype)


def test_weights_in_single_precision_have_the_same_law():
    g = sample_weights(20, 5000, rng(), dtype=np.float32).ravel() * math.sqrt(5000)
    assert stats.kstest(g, "norm").pvalue > 1e-4


@pytest.mark.parametrize("d, m", [(10, 100_000), (1000, 1000)])
def test_weights_have_mean_zero_and_variance_one_over_m(d, m):
    g = sample_weights(d, m, rng()) * np.sqrt(m)
    count = d * m
    assert abs(g.mean()) < 5 / np.sqrt(count)
    assert abs(g.var() - 1) < 5 * np.sqrt(2 / count)


def test_weights_are_gaussian():
    g = sample_weights(20, 5000, rng()).ravel() * np.sqrt(5000)
    assert stats.kstest(g, "norm").pvalue > 1e-4


def test_weights_of_different_units_and_inputs_are_uncorrelated():
    g = sample_weights(5, 200_000, rng()) * np.sqrt(200_000)
    correlation = np.corrcoef(g)[np.triu_indices(5, 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(200_000)
    assert abs((g[:, 1:] * g[:, :-1]).mean()) < 5 / np.sqrt(g.size)


def test_the_seed_alone_decides_the_weights():
    first, again, other = (sample_weights(4, 10_000, rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert abs((first * other).mean() * 10_000) < 5 / np.sqrt(first.size)


# --- generated in pieces


@pytest.fixture
def small_runs(monkeypatch):
    """Runs of 10 units at d = 3, so that a few units need several streams."""
    monkeypatch.setattr(_weights, "_STREAM_ENTRIES", 30)


def test_streamed_weights_are_the_same_in_whatever_pieces(small_runs):
    W = StreamedWeights(3, 47, rng())
    whole = W.columns(0, 47)
    for start, stop in [(0, 1), (3, 10), (9, 11), (10, 20), (5, 46), (46, 47)]:
        np.testing.assert_array_equal(W.columns(start, stop), whole[:, start:stop])
    np.testing.assert_array_equal(np.hstack(list(W.blocks())), whole)
    np.testing.assert_array_equal(StreamedWeights(3, 47, rng()).columns(0, 47), whole)
    assert whole.shape == (3, 47)


def test_units_of_more_weights_than_a_stream_have_one_each(small_runs):
    W = StreamedWeights(40, 3, rng())
    assert [block.shape for block in W.blocks()] == [(40, 1)] * 3
    assert len(np.unique(W.columns(0, 3))) == 120


def test_streams_are_independent_of_each_other_and_of_other_seeds(small_runs):
    W = StreamedWeights(3, 40, rng()).columns(0, 40)
    assert len(np.unique(W)) == W.size
    assert not np.isin(StreamedWeights(3, 40, rng(2)).columns(0, 40), W).any()


def test_widths_of_one_seed_share_their_first_units(small_runs):
    few, many = (StreamedWeights(3, m, rng()).columns(0, 25) * math.sqrt(m) for m in (25, 400))
    np.testing.assert_allclose(few, many)


def test_streamed_weights_are_gaussian_with_variance_one_over_the_width():
    W = StreamedWeights(5, 100_000, rng()).columns(0, 100_000) * math.sqrt(100_000)
    assert stats.kstest(W.ravel(), "norm").pvalue > 1e-3
    np.testing.assert_allclose(np.corrcoef(W), np.eye(5), atol=0.02)


def test_a_seed_survives_pickling():
    W = StreamedWeights(3, 47, rng())
    copy = pickle.loads(pickle.dumps(W))
    np.testing.assert_array_equal(copy.columns(0, 47), W.columns(0, 47))
    assert copy == W
    assert hash(copy) == hash(W)


@pytest.mark.parametrize("other", [(3, 48, 1), (4, 47, 1), (3, 47, 2)])
def test_other_weights_are_not_equal(other):
    assert StreamedWeights(3, 47, 1) != StreamedWeights(*other)
    assert StreamedWeights(3, 47, 1) != (3, 47)
    assert repr(StreamedWeights(3, 47, 1)) == "<streamed weights, d = 3, m = 47>"


def test_dimensions_of_a_small_type_do_not_overflow():
    W = StreamedWeights(np.int8(100), np.int16(2000), 1)
    assert StreamedWeights(100, 2000, 1) == W
    np.testing.assert_array_equal(
        W.columns(np.int8(3), np.int8(9)), StreamedWeights(100, 2000, 1).columns(3, 9)
    )


@pytest.mark.parametrize("start, stop", [(3, 3), (3, 2), (0, 48), (47, 48)])
def test_columns_outside_the_weights_are_refused(start, stop):
    message = f"start and stop must be 0 <= start < stop <= m = 47, got {start} and {stop}"
    with pytest.raises(ValueError, match=f"^{message}$"):
        StreamedWeights(3, 47, rng()).columns(start, stop)


@pytest.mark.parametrize("start, stop", [(-1, 3), (0.0, 3), (0, "3"), (0, 0)])
def test_columns_that_are_no_positions_are_refused(start, stop):
    with pytest.raises(ValueError, match=r"^(start|stop) must be an integer >= "):
        StreamedWeights(3, 47, rng()).columns(start, stop)


def test_other_weights_have_another_hash():
    assert len({hash(StreamedWeights(3, m, seed)) for m in (4, 5) for seed in (1, 2)}) == 4


@pytest.mark.parametrize("d, m", [(1, 1), (3, 47), (_weights._STREAM_ENTRIES, 3), (7, 700_000)])
def test_blocks_are_all_units_once_in_pieces_of_a_few_megabytes(d, m):
    if d > 100:
        W = np.broadcast_to(np.arange(3.0), (d, m))
    else:
        W = np.arange(float(d * m)).reshape(d, m)
    blocks = list(_weights.in_blocks(W))
    width = max(_weights._STREAM_ENTRIES // d, 1)
    assert [block.shape[1] for block in blocks[:-1]] == [width] * (len(blocks) - 1)
    assert sum(block.shape[1] for block in blocks) == m
    starts = np.cumsum([0, *(block.shape[1] for block in blocks)])
    for start, block in zip(starts, blocks, strict=False):
        np.testing.assert_array_equal(block[:1], W[:1, start : start + block.shape[1]])


def test_blocks_of_streamed_weights_are_theirs():
    W = StreamedWeights(100, 30_000, 1)
    blocks = list(_weights.in_blocks(W))
    assert len(blocks) > 1
    np.testing.assert_array_equal(np.hstack(blocks), W.columns(0, 30_000))
