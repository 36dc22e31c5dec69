"""The size of the tiles in which the feature matrix is computed and read.

A tile is written by one product and read by the next, so it has to stay in the part of the cache
that a core has to itself, of the second level. Its columns are few, since rows whose starts lie a
power of two of 4 KiB or more apart displace one another. The columns do not depend on the machine,
and with them the order of the sums over the units. The height does. All heights are multiples of
24: BLAS takes rows 4, 6, 8 or 12 at a time, and adds otherwise in what is left over, so that this
way each row falls to the same routine whatever the height.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import sys
from pathlib import Path

__all__ = ["COLUMNS", "ROWS", "cache_size", "pieces", "rows_at_once", "shape"]

#: Rows that a thread computes at once, in tiles one below the other.
ROWS = 960
#: Columns of a tile.
COLUMNS = 256
# More of them where each tile has outputs of many readout vectors to add, or little to do.
_MANY_VECTORS, _MORE_COLUMNS = 256, 1024
_FEW_ROWS, _MOST_COLUMNS = 32, 2048

# Of the second level, where it is not known: the least that is common.
_USUAL_CACHE = 2**19
_HEIGHTS = 480, 240, 120

_LINUX = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 2**10, "M": 2**20}


def rows_at_once(n: int) -> int:
    """Return how many rows a thread takes: half for few inputs, so that threads can share them."""
    return ROWS if n >= 2 * ROWS else ROWS // 2


def shape(n: int, vectors: int, itemsize: int) -> tuple[int, int]:
    """Return height and width of a tile, for so many rows, readout vectors and bytes a number."""
    fitting = (height for height in _HEIGHTS if height * COLUMNS * itemsize <= cache_size())
    height = next(fitting, _HEIGHTS[-1])
    if n <= _FEW_ROWS:
        return height, _MOST_COLUMNS
    return height, COLUMNS if vectors < _MANY_VECTORS else _MORE_COLUMNS


def pieces(start: int, stop: int, height: int) -> list[tuple[int, int]]:
    """Cut rows into tiles, without a last one of a single row: BLAS has another routine for it."""
    edges = [*range(start, max(stop - 1, start + 1), height), stop]
    return list(itertools.pairwise(edges))


@functools.cache
def cache_size() -> int:
    """Return the bytes of a core's cache of the second level."""
    return _from_linux(_LINUX) or _from_macos() or _USUAL_CACHE


def _from_linux(folder: Path) -> int:
    for index in folder.glob("index*"):
        try:
            if (index / "level").read_text().strip() != "2":
                continue
            size = (index / "size").read_text().strip()
            return int(size[:-1]) * _UNITS[size[-1]]
        except (OSError, ValueError, LookupError):
            continue  # incomplete, as in some containers
    return 0


def _from_macos() -> int:
    if sys.platform != "darwin":
        return 0
    size, length = ctypes.c_int64(), ctypes.c_size_t(8)
    system = ctypes.CDLL(None)
    for name in (b"hw.perflevel0.l2cachesize", b"hw.l2cachesize"):
        if not system.sysctlbyname(name, ctypes.byref(size), ctypes.byref(length), None, 0):
            return size.value
    return 0
