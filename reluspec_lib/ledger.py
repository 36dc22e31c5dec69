"""The record of what a chapter of the book verified, and of how wrong it could still be.

A statement is checked in three layers, each against a reference of its own: S, a symbolic
derivation; N, numbers from a route that does not use the closed form under test; M, Monte Carlo
over independent hidden weights. A fourth kind of check, R, fits the observed rate of convergence.
Numbers of layer N are *certified* where the reference is a rigorous enclosure and not an
approximation. Each check but a rate and an inequality states its *sensitivity*, the smallest
relative error of the constant that it would reject. A check that fails raises; what a
:class:`Ledger` holds has passed. Shown in a notebook it is a table with a machine-readable copy
beside it (:mod:`reluspec_lib.record.stored`), which ``ledger.read`` finds again in the stored
notebook.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib import _check
from reluspec_lib._check import Check, CheckFailed, counted, short, with_error
from reluspec_lib._validation import (
    Labels,
    check_draws,
    check_enclosures,
    check_labels,
    check_number,
    check_numbers,
    check_pair,
)

if TYPE_CHECKING:
    from reluspec_lib.record.stored import MIME_TYPE, VERSION, read, row_id

__all__ = ["LAYERS", "MIME_TYPE", "VERSION", "Check", "CheckFailed", "Ledger", "read", "row_id"]

#: The layers that a statement needs, with their names.
LAYERS = {"S": "symbolic", "N": "numeric", "M": "simulation"}

# A simulated estimate this many standard errors away from the stated value is a failure.
_MAXIMUM_Z = 4.0
_FEWEST_DRAWS = 10


class Ledger:
    """The checks that one statement passed.

    Each method is a check. Its ``name`` says what is compared; ``covers`` names the equations of
    the book that it covers, by one label or several. It returns the :class:`Check` that it enters.
    It raises :class:`CheckFailed` where the statement does not pass, with the worst point in the
    message, and ValueError where arguments are not finite or do not fit together.

    Parameters
    ----------
    statement : str
        Identifier of the statement in the book, such as "theorem-3-1".
    sensitivity : float
        Relative error of the constant that every simulated check must be able to reject.

    Raises
    ------
    ValueError
        If ``statement`` is empty or ``sensitivity`` is not positive.

    Examples
    --------
    >>> ledger = Ledger("theorem-3-1")
    >>> ledger.numeric("sum", [0.1 + 0.2], [0.3], tolerance=1e-15)
    N passed: sum: 1 value; rejects an error of 1e-15
    """

    def __init__(self, statement: str, sensitivity: float = 0.01) -> None:
        if not isinstance(statement, str) or not statement:
            raise ValueError(f"statement must be a non-empty string, got {statement!r}")
        self.statement = statement
        self.sensitivity = check_number("sensitivity", sensitivity, positive=True)
        self.checks: list[Check] = []

    def symbolic(self, name: str, derived: Any, stated: Any, *, covers: Labels = ()) -> Check:
        """Check that a derived expression equals the stated one identically.

        Parameters
        ----------
        derived, stated : expressions or matrices of sympy
            Of one shape, without floats, which are not exact. Their difference must simplify to 0.
        """
        from reluspec_lib.record._exact import remainder  # and with it sympy

        left = remainder(derived, stated)
        check = Check("S", name, "the difference simplifies to 0", "0", 0.0, check_labels(covers))
        return self._enter(check, left == 0, f"derived - stated simplifies to {left}, not to 0")

    def numeric(
        self,
        name: str,
        values: ArrayLike,
        reference: ArrayLike,
        tolerance: float = 1e-12,
        *,
        absolute: bool = False,
        covers: Labels = (),
    ) -> Check:
        """Check values against a reference from another route.

        Parameters
        ----------
        values, reference : array_like
            Real or complex, of one shape; the reference must not contain 0 unless ``absolute``.
        tolerance : float
            Largest difference allowed, relative to the reference.
        absolute : bool
            Compare differences as they are, for references that vanish.
        """
        values, reference = check_pair(values=values, reference=reference)
        if not absolute and (reference == 0).any():
            raise ValueError("reference must not contain 0; compare with absolute=True")
        tolerance = check_number("tolerance", tolerance, positive=True)
        labels, stated = check_labels(covers), (reference, reference)
        return self._enter(*_check.compared(name, values, stated, tolerance, labels, absolute))

    def certified(
        self,
        name: str,
        values: ArrayLike,
        enclosures: ArrayLike,
        tolerance: float = 1e-12,
        *,
        covers: Labels = (),
    ) -> Check:
        """Check values against rigorous enclosures of what they stand for.

        Parameters
        ----------
        values : array_like of float
        enclosures : array_like of float, shape (*values.shape, 2)
            Lower and upper bounds that certainly contain the true values, as
            :func:`~reluspec_lib.theorems.enclosures.bounds` gives them, and not 0.
        tolerance : float
            Largest relative difference allowed between a value and any point of its enclosure.
        """
        values = check_numbers("values", values, real=True)
        lower, upper = check_enclosures("enclosures", enclosures, values.shape)
        if ((lower <= 0) & (upper >= 0)).any():
            raise ValueError("enclosures must not contain 0, which has no relative error")
        tolerance = check_number("tolerance", tolerance, positive=True)
        labels, stated = check_labels(covers), (lower, upper)
        found = _check.compared(name, values, stated, tolerance, labels, certified=True)
        return self._enter(*found)

    def bounded(
        self,
        name: str,
        smaller: ArrayLike,
        larger: ArrayLike,
        slack: float = 1e-12,
        *,
        covers: Labels = (),
    ) -> Check:
        """Check inequalities between numbers, which state no sensitivity: any loose bound passes.

        Parameters
        ----------
        smaller, larger : array_like of float, of one shape
        slack : float
            Rounding: a smaller side may exceed the larger one by no more than this.
        """
        slack = check_number("slack", slack, positive=True)
        left, right = check_pair(real=True, smaller=smaller, larger=larger)
        labels = check_labels(covers)
        return self._enter(*_check.ordered(name, (left, left), (right, right), labels, slack))

    def inequality(
        self, name: str, smaller: ArrayLike, larger: ArrayLike, *, covers: Labels = ()
    ) -> Check:
        """Check strict inequalities between numbers that are enclosed rigorously.

        Parameters
        ----------
        smaller, larger : array_like of float, shape (..., 2)
            Lower and upper bounds of each side, of one shape. It passes if the upper bound of each
            smaller side is below the lower bound of the larger one.
        """
        shape = np.shape(smaller)[:-1]
        left = check_enclosures("smaller", smaller, shape)
        right = check_enclosures("larger", larger, shape)
        return self._enter(*_check.ordered(name, left, right, check_labels(covers)))

    def simulation(
        self,
        name: str,
        estimates: ArrayLike,
        expected: float,
        *,
        scale: float | None = None,
        sensitivity: float | None = None,
        covers: Labels = (),
    ) -> Check:
        """Check the mean of independent estimates against the stated value.

        It passes if abs(z) <= 4 and 4 standard errors are within the asked sensitivity, and not on
        the two together: a true statement fails as rarely as a normal variable leaves 4 deviations.
        The sensitivity that is recorded is (4 standard errors + distance of the mean from the
        stated value) / scale: a stated value off by that much would have been rejected, whatever
        the sign.

        Parameters
        ----------
        estimates : array_like, shape (draws,)
            One unbiased estimate per independent draw, at least 10 that are not all the same.
        expected : float
            The stated value.
        scale : float, optional
            Size that relative errors refer to; by default ``abs(expected)``. Needed at 0.
        sensitivity : float, optional
            Largest relative size allowed of 4 standard errors; by default the ledger's.
        """
        expected = check_number("expected", expected)
        draws = check_draws("estimates", estimates, _FEWEST_DRAWS)
        scale = check_number("scale", abs(expected) if scale is None else scale, positive=True)
        asked = self.sensitivity if sensitivity is None else sensitivity
        asked = check_number("sensitivity", asked, positive=True)
        mean, error = _check.mean_and_error(draws)
        if not error:
            raise ValueError(f"estimates must vary between draws, all are {mean:.17g}")
        z, distance = (mean - expected) / error, abs(mean - expected) / scale
        resolved = _MAXIMUM_Z * error / scale
        text = f"{with_error(mean, error)} against {short(expected, 4)}, z = {z:.1f}"
        count, found = counted(len(draws), "draw"), float(short(resolved + distance))
        known = short(distance), found, check_labels(covers), round(z, 2), len(draws)
        check = Check("M", name, f"{text}, {count}", *known)
        near = abs(z) <= _MAXIMUM_Z
        failure = (
            f": {_MAXIMUM_Z:.0f} standard errors are {short(resolved)} of the stated size, asked "
            f"{short(asked)}; use more draws or a larger width"
        )
        failure = failure if near else f", allowed {_MAXIMUM_Z:.0f} standard errors"
        return self._enter(check, near and resolved <= asked, text + failure)

    def rate(
        self,
        name: str,
        sizes: ArrayLike,
        errors: ArrayLike,
        exponent: float = -0.5,
        half_width: float = 0.05,
        *,
        covers: Labels = (),
    ) -> Check:
        """Check the observed exponent of an error that decays as a power of a size.

        One least-squares line of log error against log size per draw. It passes if the mean slope
        is within 4 standard errors of the stated exponent, and known well enough.

        Parameters
        ----------
        sizes : sequence of float
            At least two different positive sizes.
        errors : array_like, shape (draws, len(sizes))
            Positive errors; draws (rows) are independent, at least 10.
        exponent : float
            The stated exponent.
        half_width : float
            Largest half-width allowed of the 95 % confidence interval, Student's over draws.
        """
        from scipy import special

        exponent = check_number("exponent", exponent)
        half_width = check_number("half_width", half_width, positive=True)
        sizes = check_numbers("sizes", sizes, real=True)
        if sizes.ndim != 1 or not (sizes > 0).all() or len(np.unique(sizes)) < 2:
            given = sizes.tolist()
            raise ValueError(f"sizes must be at least two different positive numbers, got {given}")
        errors = check_draws("errors", errors, _FEWEST_DRAWS, sizes.size)
        if not (errors > 0).all():
            raise ValueError(f"errors must be positive, got {errors.min()}")
        slopes = np.polyfit(np.log(sizes), np.log(errors).T, 1)[0]
        mean, error = _check.mean_and_error(slopes)
        if not error:
            raise ValueError("errors must vary between draws, all have one slope")
        width = float(special.stdtrit(len(slopes) - 1, 0.975)) * error
        distance = abs(mean - exponent)
        text = f"exponent {with_error(mean, width)} (95 % confidence) against {short(exponent, 4)}"
        check = Check("R", name, text, short(distance), None, check_labels(covers))
        passed = distance <= _MAXIMUM_Z * error and width <= half_width
        allowed = f"{_MAXIMUM_Z:.0f} standard errors and a half-width of {short(half_width)}"
        return self._enter(check, passed, f"{text}; allowed {allowed}")

    def _enter(self, check: Check, passed: Any, failure: str) -> Check:
        """Enter a check that passed; raise where it did not."""
        if not passed:
            raise CheckFailed(f"{check.name}: {failure}", check)
        self.checks.append(check)
        return check

    def record(self) -> dict[str, Any]:
        """Return the machine-readable record, see :func:`reluspec_lib.record.stored.record`."""
        from reluspec_lib.record import stored

        return stored.record(self)

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if isinstance(other, Ledger) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # a ledger grows

    def __repr__(self) -> str:
        return f"<Ledger {self.statement!r}: {counted(len(self.checks), 'check')}>"

    def __str__(self) -> str:
        from reluspec_lib.record import stored

        return stored.text(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        from reluspec_lib.record import stored

        return stored.bundle(self)


def __getattr__(name: str) -> Any:
    """Load what a stored ledger needs when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("reluspec_lib.record.stored"), name)
