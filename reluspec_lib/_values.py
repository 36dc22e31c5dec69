"""Results that hold arrays: equal when all of their values are, and printed in one line."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

__all__ = ["ByValue"]


class ByValue:
    """Base of a dataclass whose fields may be arrays.

    Two of one class are equal if all fields are, arrays element by element (NaN equals NaN). As
    arrays can be changed, there is no hash.
    """

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(_same(a, b) for a, b in zip(_values(self), _values(other), strict=True))

    def __repr__(self) -> str:
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        shown = (f"{name}={_short(v)}" for name, v in zip(names, _values(self), strict=True))
        return f"{type(self).__name__}({', '.join(shown)})"


def _values(result: Any) -> list[Any]:
    return [getattr(result, field.name) for field in fields(result)]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return False
    return bool(a == b)


def _short(value: Any) -> str:
    """Return arrays of more than one number by dtype and shape."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_short(entry)}' for key, entry in value.items())}}}"
    if isinstance(value, np.ndarray):
        return repr(value.item()) if value.size == 1 else f"<{value.dtype} {value.shape}>"
    return f"{value:.3g}" if isinstance(value, float) else repr(value)
