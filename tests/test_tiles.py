"""The size of tiles: from the machine's cache, and without a say in the outputs."""

import itertools
import sys

import numpy as np
import pytest

from helpers import rng
from reluspec_lib import _tiles, forward


@pytest.fixture
def cache(monkeypatch):
    """Return a function that gives the machine another cache."""
    return lambda size: monkeypatch.setattr(_tiles, "cache_size", lambda: size)


@pytest.mark.parametrize(
    "size, itemsize, height",
    [
        (1, 8, 120),
        (2**18, 8, 120),
        (240 * 2048 - 1, 8, 120),
        (240 * 2048, 8, 240),
        (2**19, 8, 240),
        (2**20, 8, 480),
        (2**24, 8, 480),
        (2**18, 4, 240),
        (2**19, 4, 480),
    ],
)
def test_a_tile_fills_the_cache_within_bounds(cache, size, itemsize, height):
    cache(size)
    assert _tiles.shape(33, 255, itemsize) == (height, 256)
    assert _tiles.shape(33, 256, itemsize) == (height, 1024)
    assert _tiles.shape(32, 256, itemsize) == (height, 2048)


def test_threads_have_half_of_few_rows():
    assert [_tiles.rows_at_once(n) for n in (1, 1919, 1920)] == [480, 480, 960]


@pytest.mark.parametrize(
    "stop, edges",
    [(6, [5, 6]), (8, [5, 8]), (9, [5, 9]), (10, [5, 8, 10]), (11, [5, 8, 11]), (12, [5, 8, 12])],
)
def test_no_row_is_left_alone(stop, edges):
    assert _tiles.pieces(5, stop, 3) == list(itertools.pairwise(edges))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("K", [1, 4, 300])
@pytest.mark.parametrize("n", [1, 241, 1333, 2161, 2399])  # three leave one row over
def test_the_cache_has_no_say_in_the_outputs(cache, dtype, K, n):
    x, W, V = (
        rng(k).normal(size=s).astype(dtype) for k, s in enumerate([(n, 5), (5, 700), (700, K)])
    )
    found = []
    for size in (0, 2**19, 2**20):
        cache(size)
        found.append(forward(x, W, V, workers=1))
    np.testing.assert_array_equal(found[1:], [found[0]] * 2)


def index(folder, number, level, size):
    path = folder / f"index{number}"
    path.mkdir()
    for name, text in (("level", level), ("size", size)):
        if text is not None:
            (path / name).write_text(f"{text}\n")


@pytest.mark.parametrize("text, size", [("512K", 2**19), ("2M", 2**21), ("1280K", 1280 * 2**10)])
def test_linux_tells_the_cache(tmp_path, text, size):
    for number, (level, entry) in enumerate([(1, "32K"), (1, "48K"), (2, text), (3, "32M")]):
        index(tmp_path, number, level, entry)
    assert _tiles._from_linux(tmp_path) == size


@pytest.mark.parametrize("level, size", [(None, "1M"), (2, None), (2, ""), (2, "big"), (3, "1M")])
def test_a_cache_that_is_not_told_is_unknown(tmp_path, level, size):
    index(tmp_path, 0, level, size)
    assert _tiles._from_linux(tmp_path) == 0
    assert _tiles._from_linux(tmp_path / "nowhere") == 0


def test_what_is_missing_in_one_place_is_looked_for_in_the_next(tmp_path):
    index(tmp_path, 0, 2, None)
    index(tmp_path, 1, 2, "1M")
    assert _tiles._from_linux(tmp_path) == 2**20


@pytest.mark.parametrize(
    "linux, macos, size", [(2**21, 2**22, 2**21), (0, 2**22, 2**22), (0, 0, 2**19)]
)
def test_the_first_that_knows_the_cache_is_believed(monkeypatch, linux, macos, size):
    monkeypatch.setattr(_tiles, "_from_linux", lambda folder: linux)
    monkeypatch.setattr(_tiles, "_from_macos", lambda: macos)
    assert _tiles.cache_size.__wrapped__() == size


class System:
    """A system library that knows some sizes by name, or none."""

    def __init__(self, known):
        self.known = known

    def sysctlbyname(self, name, size, length, new, new_length):
        if name not in self.known or length._obj.value != 8 or new is not None or new_length:
            return -1
        size._obj.value = self.known[name]
        return 0


@pytest.mark.parametrize(
    "known, size",
    [
        ({b"hw.perflevel0.l2cachesize": 2**24, b"hw.l2cachesize": 2**22}, 2**24),
        ({b"hw.l2cachesize": 2**18}, 2**18),
        ({}, 0),
    ],
)
def test_macos_tells_the_cache(monkeypatch, known, size):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(_tiles.ctypes, "CDLL", lambda name: System(known))
    assert _tiles._from_macos() == size
    monkeypatch.setattr(sys, "platform", "linux")
    assert _tiles._from_macos() == 0
