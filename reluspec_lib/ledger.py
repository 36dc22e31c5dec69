"""The record of what a chapter of the book verified, and of how wrong it could still be.

A statement is checked in three layers, each against a reference of its own: S, a symbolic
derivation; N, numbers from a route that does not use the closed form under test; M, Monte Carlo
over independent hidden weights. A fourth kind of check, R, fits the observed rate of convergence.
Numbers of layer N are *certified* where the reference is a rigorous enclosure and not an
approximation. Each check states its *sensitivity*, the smallest relative error of the constant that
it would reject, and may name the equations of the book that it covers. A check that fails raises;
what a :class:`Ledger` holds has passed. Shown in a notebook it is a table with a machine-readable
copy beside it, which :func:`read` finds again in the stored notebook; each row has an id,
:func:`row_id`, to link to.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from reluspec_lib._validation import Array, check_number

__all__ = ["LAYERS", "MIME_TYPE", "VERSION", "Check", "CheckFailed", "Ledger", "read", "row_id"]

#: The layers that a statement needs, with their names.
LAYERS = {"S": "symbolic", "N": "numeric", "M": "simulation"}

#: Type under which a notebook stores a ledger.
MIME_TYPE = "application/vnd.reluspec.ledger+json"

#: Version of the record that a notebook stores.
VERSION = 2

_NAMES = LAYERS | {"R": "rate"}

# A simulated estimate this many standard errors away from the stated value is a failure.
_MAXIMUM_Z = 4.0
_FEWEST_DRAWS = 10

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
        return f"{text}; rejects an error of {_format(self.sensitivity)}"


class CheckFailed(AssertionError):
    """A statement did not pass one of its checks.

    Parameters
    ----------
    message : str
        What was found, and what is allowed.
    check : Check, optional
        Of a simulation or a rate: what would have been recorded.
    """

    def __init__(self, message: str, check: Check | None = None) -> None:
        super().__init__(message)
        self.check = check


class Ledger:
    """The checks that one statement passed.

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
        self.sensitivity = _check_positive("sensitivity", sensitivity)
        self.checks: list[Check] = []

    def symbolic(
        self, name: str, derived: Any, stated: Any, *, covers: str | Sequence[str] = ()
    ) -> Check:
        """Check that a derived expression equals the stated one identically.

        Parameters
        ----------
        name : str
            What is compared.
        derived, stated : sympy expressions
            Their difference must simplify to exactly 0.
        covers : str or sequence of str
            Labels of the equations of the book that this check covers.

        Raises
        ------
        CheckFailed
            If it does not.
        ValueError
            If one is not an expression or matrix of sympy, their shapes differ, or one holds a
            float, which is not exact.
        """
        equations = _check_labels(covers)
        derived, stated = _check_exact("derived", derived), _check_exact("stated", stated)
        if getattr(derived, "shape", None) != getattr(stated, "shape", None):
            raise ValueError(
                f"derived and stated must be two expressions or two matrices of one shape, got "
                f"{derived} and {stated}"
            )
        remainder = _simplify(derived - stated)
        if remainder != 0:
            raise CheckFailed(f"{name}: derived - stated simplifies to {remainder}, not to 0")
        return self._add(Check("S", name, "the difference simplifies to 0", "0", 0.0, equations))

    def numeric(
        self,
        name: str,
        values: ArrayLike,
        reference: ArrayLike,
        tolerance: float = 1e-12,
        *,
        absolute: bool = False,
        covers: str | Sequence[str] = (),
    ) -> Check:
        """Check values against a reference from another route.

        Parameters
        ----------
        name : str
            What is compared.
        values, reference : array_like
            Real or complex, same shape; the reference must not contain 0 unless ``absolute``.
        tolerance : float
            Largest difference allowed, relative to the reference.
        absolute : bool
            Compare differences as they are, for references that vanish.
        covers : str or sequence of str
            Labels of the equations of the book that this check covers.

        Raises
        ------
        CheckFailed
            If a difference exceeds the tolerance; the message has the worst point.
        ValueError
            If the arguments are not finite arrays of one shape, or a reference is 0.
        """
        equations = _check_labels(covers)
        values, reference = _check_finite("values", values), _check_finite("reference", reference)
        tolerance = _check_positive("tolerance", tolerance)
        if values.shape != reference.shape:
            raise ValueError(
                f"values and reference must have one shape, got {values.shape} and "
                f"{reference.shape}"
            )
        if not absolute and (reference == 0).any():
            raise ValueError("reference must not contain 0; compare with absolute=True")
        with np.errstate(over="ignore"):  # an infinite difference is more than any tolerance
            difference = np.abs(values - reference)
            if not absolute:
                difference = difference / np.abs(reference)
        worst = int(difference.argmax())
        error = float(difference.flat[worst])
        if error > tolerance:
            raise CheckFailed(
                f"{name}: value {values.flat[worst]:.17g} against {reference.flat[worst]:.17g} at "
                f"position {worst}: {'absolute' if absolute else 'relative'} difference "
                f"{error:.3g}, allowed {tolerance:.3g}"
            )
        shown, found = _rounded(error, tolerance)
        return self._add(Check("N", name, _count(values.size, "value"), shown, found, equations))

    def certified(
        self,
        name: str,
        values: ArrayLike,
        enclosures: ArrayLike,
        tolerance: float = 1e-12,
        *,
        covers: str | Sequence[str] = (),
    ) -> Check:
        """Check values against rigorous enclosures of what they stand for.

        Parameters
        ----------
        name : str
            What is compared.
        values : array_like of float
        enclosures : array_like of float, shape (*values.shape, 2)
            Lower and upper bounds that certainly contain the true values, as
            :func:`reluspec_lib.theorems.enclosures.bounds` gives them; neither may be 0.
        tolerance : float
            Largest relative difference allowed between a value and any point of its enclosure.
        covers : str or sequence of str
            Labels of the equations of the book that this check covers.

        Raises
        ------
        CheckFailed
            If a point of an enclosure differs by more, so that either the value or the enclosure
            is not good enough; the message has the worst one.
        ValueError
            If the arguments are not finite real arrays of these shapes, bounds are in the wrong
            order, or an enclosure contains 0.
        """
        equations = _check_labels(covers)
        values = _check_real("values", values)
        lower, upper = _check_enclosures("enclosures", enclosures, values.shape)
        tolerance = _check_positive("tolerance", tolerance)
        if ((lower <= 0) & (upper >= 0)).any():
            raise ValueError("enclosures must not contain 0, which has no relative error")
        with np.errstate(over="ignore"):
            distance = np.maximum(np.abs(values - lower), np.abs(values - upper))
            difference = distance / np.minimum(np.abs(lower), np.abs(upper))
        worst = int(difference.argmax())
        error = float(difference.flat[worst])
        if error > tolerance:
            raise CheckFailed(
                f"{name}: value {values.flat[worst]:.17g} against [{lower.flat[worst]:.17g}, "
                f"{upper.flat[worst]:.17g}] at position {worst}: relative difference up to "
                f"{error:.3g}, allowed {tolerance:.3g}"
            )
        shown, found = _rounded(error, tolerance)
        count = _count(values.size, "value")
        return self._add(Check("N", name, count, shown, found, equations, certified=True))

    def inequality(
        self,
        name: str,
        smaller: ArrayLike,
        larger: ArrayLike,
        *,
        covers: str | Sequence[str] = (),
    ) -> Check:
        """Check strict inequalities between numbers that are enclosed rigorously.

        Parameters
        ----------
        name : str
            What is compared.
        smaller, larger : array_like of float, shape (..., 2)
            Lower and upper bounds of each side, of one shape.
        covers : str or sequence of str
            Labels of the equations of the book that this check covers.

        Raises
        ------
        CheckFailed
            If the upper bound of a smaller side is not below the lower bound of the larger side.
        ValueError
            If the arguments are not finite real arrays of these shapes, or bounds are in the wrong
            order.
        """
        equations = _check_labels(covers)
        shape = np.shape(smaller)[:-1]
        left = _check_enclosures("smaller", smaller, shape)
        right = _check_enclosures("larger", larger, shape)
        with np.errstate(over="ignore"):
            margin = right[0] - left[1]
        worst = int(margin.argmin())
        if not margin.flat[worst] > 0:
            raise CheckFailed(
                f"{name}: at position {worst} [{left[0].flat[worst]:.17g}, "
                f"{left[1].flat[worst]:.17g}] is not below [{right[0].flat[worst]:.17g}, "
                f"{right[1].flat[worst]:.17g}]"
            )
        count = f"{margin.size} {'inequalities' if margin.size > 1 else 'inequality'}"
        return self._add(Check("N", name, count, "", None, equations, certified=True))

    def simulation(
        self,
        name: str,
        estimates: ArrayLike,
        expected: float,
        *,
        scale: float | None = None,
        sensitivity: float | None = None,
        covers: str | Sequence[str] = (),
    ) -> Check:
        """Check the mean of independent estimates against the stated value.

        Parameters
        ----------
        name : str
            What is estimated.
        estimates : array_like, shape (draws,)
            One unbiased estimate per independent draw, at least 10.
        expected : float
            The stated value.
        scale : float, optional
            Size that relative errors refer to; by default ``abs(expected)``. Needed at 0.
        sensitivity : float, optional
            Largest relative size allowed of 4 standard errors; by default the ledger's.
        covers : str or sequence of str
            Labels of the equations of the book that this check covers.

        Raises
        ------
        CheckFailed
            If the mean is more than 4 standard errors away from ``expected``, or if 4 standard
            errors are more than the asked sensitivity.
        ValueError
            If there are fewer than 10 estimates, one is not a finite real number, they do not vary,
            or the scale is 0.

        Notes
        -----
        Whether the check passes depends on abs(z) <= 4 and on the size of the standard error, not
        on the two together: a true statement fails as rarely as a normal variable leaves 4
        deviations. The sensitivity that is recorded is (4 standard errors + distance of the mean
        from the stated value) / scale: a stated value off by that much would have been rejected,
        whatever the sign.
        """
        equations = _check_labels(covers)
        expected = check_number("expected", expected)
        estimates = _check_real("estimates", estimates)
        if estimates.ndim != 1 or len(estimates) < _FEWEST_DRAWS:
            raise ValueError(
                f"estimates must have shape (draws,) with draws >= {_FEWEST_DRAWS}, "
                f"got shape {estimates.shape}"
            )
        scale = _check_positive("scale", abs(expected) if scale is None else scale)
        asked = self.sensitivity
        if sensitivity is not None:
            asked = _check_positive("sensitivity", sensitivity)
        mean, error = _mean_and_error(estimates)
        if error <= _NOISE * np.abs(estimates).max():
            raise ValueError(f"estimates must vary between draws, all are {mean:.17g}")
        z = (mean - expected) / error
        resolved = _MAXIMUM_Z * error / scale
        found = resolved + abs(mean - expected) / scale
        text = f"{_with_error(mean, error)} against {_format(expected, 4)}, z = {z:.1f}"
        shown, draws = _format(abs(mean - expected) / scale), len(estimates)
        result, found = f"{text}, {draws} draws", float(_format(found))
        check = Check("M", name, result, shown, found, equations, round(z, 2), draws)
        if not abs(z) <= _MAXIMUM_Z:
            message = f"{name}: {text}, allowed {_MAXIMUM_Z:.0f} standard errors"
            raise CheckFailed(message, check)
        if resolved > asked:
            message = (
                f"{name}: {text}: {_MAXIMUM_Z:.0f} standard errors are {_format(resolved)} of the "
                f"stated size, asked {_format(asked)}; use more draws or a larger width"
            )
            raise CheckFailed(message, check)
        return self._add(check)

    def rate(
        self,
        name: str,
        sizes: ArrayLike,
        errors: ArrayLike,
        exponent: float = -0.5,
        half_width: float = 0.05,
        *,
        covers: str | Sequence[str] = (),
    ) -> Check:
        """Check the observed exponent of an error that decays as a power of a size.

        Parameters
        ----------
        name : str
            What decays.
        sizes : sequence of float
            At least two different positive sizes.
        errors : array_like, shape (draws, len(sizes))
            Positive errors; draws (rows) are independent, at least 10.
        exponent : float
            The stated exponent.
        half_width : float
            Largest half-width allowed of the 95 % confidence interval.
        covers : str or sequence of str
            Labels of the equations of the book that this check covers.

        Raises
        ------
        CheckFailed
            If the exponent is more than 4 standard errors away from the stated one, or the
            confidence interval is wider than asked.
        ValueError
            If shapes do not fit, a number is not positive, or the draws do not vary.

        Notes
        -----
        One least-squares line of log error against log size per draw; the interval is Student's
        over draws.
        """
        equations = _check_labels(covers)
        exponent = check_number("exponent", exponent)
        errors, sizes = _check_real("errors", errors), _check_real("sizes", sizes)
        half_width = _check_positive("half_width", half_width)
        if sizes.ndim != 1 or not (sizes > 0).all() or len(np.unique(sizes)) < 2:
            raise ValueError(
                f"sizes must be at least two different positive numbers, got {sizes.tolist()}"
            )
        log_sizes = np.log(sizes)
        if errors.ndim != 2 or errors.shape[1] != log_sizes.size or len(errors) < _FEWEST_DRAWS:
            raise ValueError(
                f"errors must have shape (draws, {log_sizes.size}) with draws >= {_FEWEST_DRAWS}, "
                f"got shape {errors.shape}"
            )
        if not (errors > 0).all():
            raise ValueError(f"errors must be positive, got {errors.min()}")
        slopes = np.polyfit(log_sizes, np.log(errors).T, 1)[0]
        mean, error = _mean_and_error(slopes)
        if error <= _NOISE * np.abs(slopes).max():
            raise ValueError("errors must vary between draws, all have one slope")
        width = float(special.stdtrit(len(slopes) - 1, 0.975)) * error
        text = f"{_with_error(mean, width)} (95 % confidence) against {_format(exponent, 4)}"
        shown = _format(abs(mean - exponent))
        check = Check("R", name, f"exponent {text}", shown, None, equations)
        if not abs(mean - exponent) <= _MAXIMUM_Z * error or width > half_width:
            message = (
                f"{name}: exponent {text}; allowed {_MAXIMUM_Z:.0f} standard errors and a "
                f"half-width of {_format(half_width)}"
            )
            raise CheckFailed(message, check)
        return self._add(check)

    def record(self) -> dict[str, Any]:
        """Return the machine-readable record of this ledger.

        Returns
        -------
        dict
            Keys version, statement, status (per layer "passed" or "missing"), worst_error (of
            layer N), sensitivity (worst of layer M), rate, checks.
        """

        def of(layer: str) -> list[Check]:
            return [check for check in self.checks if check.layer == layer]

        numeric, simulated, rates = of("N"), of("M"), of("R")
        errors = (check.error for check in numeric if check.error)
        worst = max(errors, key=_value, default=None)
        return {
            "version": VERSION,
            "statement": self.statement,
            "status": {layer: "passed" if of(layer) else "missing" for layer in LAYERS},
            "worst_error": worst,
            "sensitivity": max((check.sensitivity or 0.0 for check in simulated), default=None),
            "rate": rates[0].result if rates else None,
            "checks": [
                asdict(check) | {"equations": list(check.equations)} for check in self.checks
            ],
        }

    def _add(self, check: Check) -> Check:
        self.checks.append(check)
        return check

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ledger):
            return NotImplemented
        return vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # a ledger grows

    def __repr__(self) -> str:
        return f"<Ledger {self.statement!r}: {_count(len(self.checks), 'check')}>"

    def __str__(self) -> str:
        lines = [f"{self.statement}: {self._summary()}"]
        return "\n".join(lines + [f"  {check!r}" for check in self.checks])

    def _summary(self) -> str:
        status = self.record()["status"]
        return ", ".join(f"{name} {status[layer]}" for layer, name in LAYERS.items())

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr id="{html.escape(row_id(self.statement, position))}">'
            f'<td><abbr title="{_NAMES[check.layer]}">{check.layer}</abbr></td>'
            f"<td>{html.escape(check.name)}</td><td>{_result_cell(check)}</td>"
            f"<td>{html.escape(check.error)}</td><td>{_sensitivity_cell(check)}</td>"
            "</tr>"
            for position, check in enumerate(self.checks, 1)
        )
        head = "".join(
            f'<th scope="col">{title}</th>'
            for title in ("Layer", "Check", "Result", "Error", "Sensitivity")
        )
        return (
            f'<table class="reluspec-ledger"><caption>{html.escape(self.statement)}: '
            f"{self._summary()}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return {
            MIME_TYPE: self.record(),
            "text/html": self._repr_html_(),
            "text/plain": str(self),
        }


def read(path: str | PathLike[str]) -> list[dict[str, Any]]:
    """Return the records of the ledgers that a stored notebook shows, in its order.

    Parameters
    ----------
    path : path-like
        A notebook file.

    Returns
    -------
    list of dict
        As :meth:`Ledger.record` gives them.

    Raises
    ------
    ValueError
        If the file is not a notebook.
    """
    try:
        cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", ())]
        bundles = [output.get("data", {}) for output in outputs]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"path must be a notebook, got {path}: {error!r}") from None
    return [bundle[MIME_TYPE] for bundle in bundles if MIME_TYPE in bundle]


def row_id(statement: str, position: int) -> str:
    """Return the id of a row in the table of a ledger.

    Parameters
    ----------
    statement : str
        Identifier of the statement.
    position : int
        Place of the check in the ledger, counted from 1.

    Returns
    -------
    str

    Examples
    --------
    >>> row_id("theorem-3-1", 2)
    'check-theorem-3-1-2'
    """
    return f"check-{statement}-{position}"


def _simplify(expression: Any) -> Any:
    """Return the expression in a normal form that is 0 whenever sympy can tell."""
    import sympy as sp

    if isinstance(expression, sp.MatrixBase):
        entries = expression.applyfunc(_simplify)
        return sp.S.Zero if entries.is_zero_matrix else entries
    # Beta functions open up only after the rewrite, so functions are expanded before and after it.
    gammas = (sp.expand_func, lambda e: e.rewrite(sp.gamma), sp.expand_func)
    for step in (lambda e: e.doit(), *gammas, sp.gammasimp, sp.simplify):
        expression = step(expression)
        if expression == 0:
            break
    return expression


def _mean_and_error(values: Array) -> tuple[float, float]:
    """Return mean and standard error; squares of neither large nor small values are lost."""
    exponent = int(np.frexp(np.abs(values).max())[1])
    scaled = np.ldexp(values, -exponent)
    error = float(scaled.std(ddof=1) / math.sqrt(len(values)))
    return math.ldexp(float(scaled.mean()), exponent), math.ldexp(error, exponent)


def _check_finite(name: str, value: ArrayLike) -> Array:
    """Return a float64 array, or a complex128 one where the numbers are complex."""
    try:
        if np.ma.is_masked(value):
            raise TypeError  # an array of numpy would take what the mask hides for values
        array = np.asarray(value)
        if array.dtype.kind == "O":  # numbers of sympy or mpmath
            array = array.astype(np.complex128)
            array = array if array.imag.any() else array.real
        elif array.dtype.kind not in "biufc":
            raise TypeError
        array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of numbers, got {value!r}") from None
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name} must be a non-empty array of finite numbers, got {value!r}")
    return array


def _check_real(name: str, value: ArrayLike) -> Array:
    array = _check_finite(name, value)
    if array.dtype.kind == "c":
        raise ValueError(f"{name} must be real numbers, got {value!r}")
    return array


def _check_enclosures(name: str, value: ArrayLike, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return lower and upper bounds."""
    pairs = _check_real(name, value)
    if pairs.shape != (*shape, 2):
        raise ValueError(f"{name} must have shape {(*shape, 2)}, got shape {pairs.shape}")
    lower, upper = pairs[..., 0], pairs[..., 1]
    if (lower > upper).any():
        raise ValueError(f"{name} must be pairs of a lower and an upper bound, got {value!r}")
    return lower, upper


def _check_exact(name: str, expression: Any) -> Any:
    """Return a sympy expression or matrix without floats."""
    try:
        import sympy as sp
    except ImportError:  # pragma: no cover - the book's environment has sympy
        raise ImportError("symbolic checks need sympy: pip install 'reluspec[book]'") from None
    try:
        exact = sp.sympify(expression, strict=True)  # a string would bring symbols of its own
    except sp.SympifyError:
        exact = None
    if not isinstance(exact, sp.Expr | sp.MatrixBase):
        raise ValueError(f"{name} must be an expression or matrix of sympy, got {expression!r}")
    if exact.has(sp.Float):
        float_ = sorted(exact.atoms(sp.Float))[0]
        raise ValueError(f"{name} must be exact, got the float {float_} in {exact}")
    return exact


def _check_labels(covers: str | Sequence[str]) -> tuple[str, ...]:
    labels = (covers,) if isinstance(covers, str) else covers
    if not isinstance(labels, (tuple, list)) or not all(
        isinstance(label, str) and label for label in labels
    ):
        raise ValueError(f"covers must be labels of equations, got {covers!r}")
    return tuple(labels)


def _check_positive(name: str, value: Any) -> float:
    return check_number(name, value, positive=True)


def _format(value: float, digits: int = 2) -> str:
    # To twelve digits first: a value on the border between two roundings, such as 0.0078125, would
    # be shown as its last bit says, which differs between machines.
    return f"{float(f'{value:.12g}'):.{digits}g}"


def _count(size: int, what: str) -> str:
    return f"{size} {what}{'' if size == 1 else 's'}"


def _rounded(error: float, tolerance: float) -> tuple[str, float]:
    """Return error and sensitivity as recorded, in digits that are stable across machines."""
    if error < _ROUNDING:
        return f"≤ {_format(tolerance)}", tolerance
    return _format(error), float(_format(tolerance + error))


def _value(shown: str) -> float:
    return float(shown.removeprefix("≤ "))


def _with_error(value: float, error: float) -> str:
    """Return value and error in decimals, to two digits of the error."""
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def _result_cell(check: Check) -> str:
    """Return a cell of the table, with a mark on what is certified."""
    mark = ', <span class="certified">certified</span>' if check.certified else ""
    return html.escape(check.result) + mark


def _sensitivity_cell(check: Check) -> str:
    if check.sensitivity is None:
        return ""
    return "exact" if check.sensitivity == 0 else _format(check.sensitivity)
