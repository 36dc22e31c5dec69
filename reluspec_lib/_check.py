"""One check of a ledger: what is recorded of it, in the digits that are stable across machines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from reluspec_lib._validation import Array

__all__ = [
    "Check",
    "CheckFailed",
    "compared",
    "counted",
    "interval",
    "mean_and_error",
    "ordered",
    "rounded",
    "short",
    "with_error",
]

# Errors below this are rounding, which differs between machines: they are recorded as the bound
# that was asked for, so that a notebook executed elsewhere compares equal.
_ROUNDING = 1e-9

# Draws that differ relatively by no more than this do not vary.
_NOISE = 1e-14


@dataclass(frozen=True)
class Check:
    """One check that passed, in the digits that are stable across machines.

    Attributes
    ----------
    layer : str
        "S", "N", "M" or "R".
    name : str
        What was compared.
    result : str
        What was found.
    error : str
        Difference from the stated value.
    sensitivity : float or None
        Smallest error of the stated value that the check rejects whatever its sign, relative
        unless the comparison is absolute; 0 where it is exact, None where it has no meaning (a
        rate, an inequality).
    equations : tuple of str
        Labels of the equations of the book that the check covers.
    z : float or None
        Of a simulation: distance of the mean from the stated value in standard errors.
    draws : int or None
        Of a simulation: number of independent estimates.
    certified : bool
        Whether the comparison is rigorous: with enclosures, not with approximations.
    """

    layer: str
    name: str
    result: str
    error: str
    sensitivity: float | None
    equations: tuple[str, ...] = ()
    z: float | None = None
    draws: int | None = None
    certified: bool = False

    def __repr__(self) -> str:
        how = "certified" if self.certified else "passed"
        text = f"{self.layer} {how}: {self.name}: {self.result}"
        if not self.sensitivity:
            return text
        return f"{text}; rejects an error of {short(self.sensitivity)}"


class CheckFailed(AssertionError):
    """A statement did not pass one of its checks.

    Parameters
    ----------
    message : str
        What was found, and what is allowed.
    check : Check, optional
        What would have been recorded.
    """

    def __init__(self, message: str, check: Check | None = None) -> None:
        super().__init__(message)
        self.check = check


def short(value: float, digits: int = 2) -> str:
    """Return a number in a few digits, which do not depend on the last bit of the value."""
    # To twelve digits first: a value on the border between two roundings, such as 0.0078125, would
    # be shown as its last bit says, which differs between machines.
    return f"{float(f'{value:.12g}'):.{digits}g}"


def with_error(value: float, error: float) -> str:
    """Return value and error in decimals, to two digits of the error."""
    # The exponent of the error after rounding: 0.00099999 is 0.0010.
    decimals = max(0, 1 - int(f"{error:.1e}".partition("e")[2]))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def rounded(error: float, tolerance: float) -> tuple[str, float]:
    """Return the error of an allowed difference as it is recorded, and the sensitivity."""
    if error < _ROUNDING:
        return f"≤ {short(tolerance)}", tolerance
    return short(error), float(short(tolerance + error))


def counted(size: int, one: str, many: str = "") -> str:
    """Return a number with what it counts."""
    return f"{size} {one if size == 1 else many or one + 's'}"


def interval(lower: Array, upper: Array, position: int) -> str:
    """Return the bounds at a position, or the one number that they are, with all digits."""
    if lower.flat[position] == upper.flat[position]:
        return f"{upper.flat[position]:.17g}"
    return f"[{lower.flat[position]:.17g}, {upper.flat[position]:.17g}]"


def mean_and_error(values: Array) -> tuple[float, float]:
    """Return mean and standard error, 0 where values differ by rounding only."""
    size = np.abs(values).max()
    exponent = int(np.frexp(size)[1])  # squares of neither large nor small values are lost
    scaled = np.ldexp(values, -exponent)
    mean = math.ldexp(float(scaled.mean()), exponent)
    error = math.ldexp(float(scaled.std(ddof=1) / math.sqrt(len(values))), exponent)
    return mean, error if error > _NOISE * size else 0.0


def compared(
    name: str,
    values: Array,
    stated: tuple[Array, Array],
    tolerance: float,
    labels: tuple[str, ...],
    absolute: bool = False,
    certified: bool = False,
) -> tuple[Check, bool, str]:
    """Return a check that values differ little from all points between two bounds.

    With it whether it passed, and the message if it did not.
    """
    lower, upper = stated
    with np.errstate(over="ignore"):  # an infinite difference is more than any tolerance
        difference = np.maximum(np.abs(values - lower), np.abs(values - upper))
        if not absolute:
            difference = difference / np.minimum(np.abs(lower), np.abs(upper))
    worst = int(difference.argmax())
    error = float(difference.flat[worst])
    how = f"{'absolute' if absolute else 'relative'} difference{' up to' if certified else ''}"
    failure = (
        f"value {values.flat[worst]:.17g} against {interval(lower, upper, worst)} at position "
        f"{worst}: {how} {error:.3g}, allowed {tolerance:.3g}"
    )
    count, shown = counted(values.size, "value"), rounded(error, tolerance)
    check = Check("N", name, count, *shown, labels, certified=certified)
    return check, error <= tolerance, failure


def ordered(
    name: str,
    left: tuple[Array, Array],
    right: tuple[Array, Array],
    labels: tuple[str, ...],
    slack: float | None = None,
) -> tuple[Check, bool, str]:
    """Return a check that the left sides are below the right ones, whatever is between the bounds.

    It is certified without ``slack``, by which left sides may exceed right ones. With it whether it
    passed, and the message if it did not.
    """
    with np.errstate(over="ignore"):
        margin = right[0] - left[1]
    worst = int(margin.argmin())
    least, sides = margin.flat[worst], [interval(*side, worst) for side in (left, right)]
    count = counted(margin.size, "inequality", "inequalities")
    if slack is None:
        passed, failure = least > 0, f"at position {worst} {sides[0]} is not below {sides[1]}"
    else:
        count += f", up to {short(slack)}"
        passed, failure = least >= -slack, f"at position {worst} {sides[0]} exceeds {sides[1]}"
        failure += f" by {-least:.3g}, allowed {slack:.3g}"
    check = Check("N", name, count, "", None, labels, certified=slack is None)
    return check, bool(passed), failure
