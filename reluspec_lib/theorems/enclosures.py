"""Rigorous enclosures of the book's constants, by integration in ball arithmetic.

A *ball* is a midpoint with a radius that certainly contains a real number; Arb, by way of the
package python-flint, computes with balls so that they stay certain. The functions here enclose a
constant by its definition as an integral, and never by the closed form that is to be tested;
:meth:`reluspec_lib.ledger.Ledger.certified` compares the library's numbers with the result.

An integrand is a function of a point ``z`` (a complex ball, ``flint.acb``) and a flag ``analytic``.
Where the flag is set, the answer must be a non-finite ball unless the function is analytic on all
of ``z``. Polynomials, sines and their like may ignore the flag; functions with a branch cut must
pass it on, as in ``z.sqrt(analytic=analytic)``. Without that the enclosure is not rigorous.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from reluspec_lib._validation import check_count, check_number

if TYPE_CHECKING:
    import flint as flint_

__all__ = ["EnclosureError", "bounds", "half_sphere_mean", "integral"]

# Bits beyond those of the asked tolerance, for an integrand may lose some, such as log2(d) in a
# d-th power; and how often their number is doubled.
_GUARD_BITS = 64
_ATTEMPTS = 2

# What Arb may spend on one integral. Each part of the path may miss the goal by itself, so the goal
# is the tolerance over more parts than there should be.
_EVALUATIONS = 20_000
_PARTS = 1024

# The size of an integral is first looked for above 2^-20, then above the square of that, and so on.
_SIZES = 8


class EnclosureError(ArithmeticError):
    """No enclosure as narrow as asked was found."""


def bounds(ball: flint_.arb) -> tuple[float, float]:
    """Return floats below and above every number of a ball.

    Parameters
    ----------
    ball : flint.arb

    Returns
    -------
    lower, upper : float
        Rounded outward, by one unit in the last place at most. A bound beyond the largest float is
        infinite.

    Raises
    ------
    ValueError
        If ``ball`` is not a finite real ball.

    Examples
    --------
    >>> from flint import arb
    >>> lower, upper = bounds(arb(1) / 3)
    >>> 0 <= upper - lower < 2e-16
    True
    """
    flint = _flint()
    if not isinstance(ball, flint.arb) or not ball.is_finite():
        raise ValueError(f"ball must be a finite flint.arb, got {ball!r}")
    with flint.ctx.workprec(max(flint.ctx.prec, 128)):
        # An end that is itself rounded outward is an exact ball; its comparisons are certain.
        low, high = ball.lower(), ball.upper()
        lower, upper = float(low), float(high)
        while flint.arb(lower) > low:
            lower = math.nextafter(lower, -math.inf)
        while flint.arb(upper) < high:
            upper = math.nextafter(upper, math.inf)
    return lower, upper


def integral(
    function: Callable[[flint_.acb, bool], Any],
    a: Any,
    b: Any,
    *,
    tolerance: float = 1e-18,
    absolute: bool = False,
) -> flint_.arb:
    """Return a ball that contains the integral of a function that is real on [a, b].

    Parameters
    ----------
    function : callable
        Takes ``z`` and ``analytic`` (see the module's docstring), gives a ball or a real number.
    a, b : number, flint.arb, or callable
        The ends. An end that is no exact number, such as pi/2, is given as a function without
        arguments that computes it, so that it can be had in any precision.
    tolerance : float
        Largest radius allowed, relative to the value.
    absolute : bool
        Take the tolerance as it is, for an integral that may vanish.

    Returns
    -------
    flint.arb
        Later arithmetic rounds to the precision in force, 53 bits unless ``flint.ctx`` says
        otherwise, and is rigorous in each.

    Raises
    ------
    EnclosureError
        If no ball with a radius within the tolerance was found: there is a singularity on or next
        to the path, an end is not exact enough, or the tolerance is too small.
    ValueError
        If an argument is not as described, or the value is certainly not real.

    Examples
    --------
    >>> from flint import arb
    >>> area = integral(lambda z, analytic: (1 - z**2).sqrt(analytic=analytic), -1, 1)
    >>> area.overlaps(arb.pi() / 2)
    True
    """
    flint = _flint()
    function = _integrand(function)
    tolerance = check_number("tolerance", tolerance, positive=True)
    if not isinstance(absolute, bool):
        raise ValueError(f"absolute must be True or False, got {absolute!r}")
    bits = _bits(tolerance)
    found: Any = None
    for _ in range(_ATTEMPTS):
        with flint.ctx.workprec(bits):
            ends = _end("a", a), _end("b", b)
            # Relative to the size: Arb by itself spends its effort on tails below the tolerance.
            size = flint.arb(1) if absolute else _rough_size(function, *ends)
            goal = tolerance * size / _PARTS
            found = _integrate(function, *ends, rel_tol=flint.arb(0), abs_tol=goal)
            if _narrow(found.real, tolerance, absolute):
                if not found.imag.contains(0):
                    raise ValueError(f"function must be real on [a, b], its integral is {found}")
                value: flint_.arb = found.real
                return value
        bits *= 2
    kind = "an absolute" if absolute else "a relative"
    raise EnclosureError(
        f"no enclosure of the integral with {kind} radius of {tolerance:.3g}, the best is "
        f"{found.real}; a change of variables may take a singularity away, absolute=True serves "
        "integrals that vanish"
    )


def half_sphere_mean(
    function: Callable[[flint_.acb, bool], Any], d: int, *, tolerance: float = 1e-18
) -> flint_.arb:
    r"""Return a ball that contains :math:`E[f(u_1) 1(u_1 > 0)]` for u uniform on the sphere.

    .. math:: \frac12 \int_0^{\pi/2} f(\sin b) \cos^{d-2} b \, db
              \Big/ \int_0^{\pi/2} \cos^{d-2} b \, db

    The mean against ReLU is that of :math:`f(t) = t\,h(t)`.

    Parameters
    ----------
    function : callable
        Takes ``t`` and ``analytic`` (see the module's docstring), real on [0, 1].
    d : int
        Dimension, at least 1 (there u is a random sign).
    tolerance : float
        Largest relative radius allowed; the mean must not be 0.

    Returns
    -------
    flint.arb

    Raises
    ------
    EnclosureError
        If no ball with a radius within the tolerance was found.
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> half_sphere_mean(lambda t, analytic: t, 3).contains(0.25)
    True
    """
    flint = _flint()
    function, d = _integrand(function), check_count("d", d)
    tolerance = check_number("tolerance", tolerance, positive=True)
    with flint.ctx.workprec(_bits(tolerance)):
        if d == 1:
            at_one = function(flint.acb(1), False)
            if not at_one.imag.contains(0):
                raise ValueError(f"function must be real on [0, 1], at 1 it is {at_one}")
            value = at_one.real / 2
        else:

            def half_pi() -> Any:
                return flint.arb.pi() / 2

            def weighted(z: flint_.acb, analytic: bool) -> Any:
                return function(z.sin(), analytic) * z.cos() ** (d - 2)

            def weight(z: flint_.acb, analytic: bool) -> Any:
                return z.cos() ** (d - 2)

            above = integral(weighted, 0, half_pi, tolerance=tolerance / 4)
            value = above / (2 * integral(weight, 0, half_pi, tolerance=tolerance / 4))
        if not _narrow(value, tolerance, False):
            raise EnclosureError(f"no enclosure with a relative radius of {tolerance:.3g}: {value}")
        mean: flint_.arb = value
        return mean


def _flint() -> ModuleType:
    try:
        import flint
    except ImportError:  # pragma: no cover - the book's environment has python-flint
        raise ImportError(
            "rigorous enclosures need python-flint: pip install 'reluspec[book]'"
        ) from None
    return flint


def _integrate(function: Any, a: Any, b: Any, **goals: Any) -> Any:
    return _flint().acb.integral(function, a, b, eval_limit=_EVALUATIONS, **goals)


def _integrand(function: Any) -> Any:
    """Return the function with answers that are complex balls, whatever kind of number they are."""
    flint = _flint()
    if not callable(function):
        raise ValueError(f"function must be callable, got {function!r}")

    def integrand(z: flint_.acb, analytic: bool) -> Any:
        value = function(z, analytic)
        if isinstance(value, (int, float, flint.arb)):
            value = flint.acb(value)
        if not isinstance(value, flint.acb):
            raise ValueError(f"function must return a ball or a real number, got {value!r}")
        return value

    return integrand


def _rough_size(function: Any, a: Any, b: Any) -> Any:
    """Return a lower bound of the absolute value of an integral, or the smallest bound tried."""
    flint = _flint()
    goal = flint.arb(2) ** -20
    for _ in range(_SIZES):
        rough = _integrate(function, a, b, rel_tol=flint.arb(2) ** -4, abs_tol=goal)
        if not rough.is_finite():  # nor will it be with a finer goal
            break
        if rough.real.abs_lower() > 0:
            return rough.real.abs_lower()
        goal *= goal
    return goal


def _bits(tolerance: float) -> int:
    return _GUARD_BITS + max(0, math.ceil(-math.log2(tolerance)))


def _end(name: str, value: Any) -> Any:
    """Return an end of an integral as a finite ball."""
    flint = _flint()
    try:
        value = value() if callable(value) else value
        if isinstance(value, np.number):
            value = value.item()
        if value is None or isinstance(value, bool):  # which flint takes for 0 and 1
            raise TypeError
        end = flint.arb(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be a real number, a ball or a function, got {value!r}"
        ) from None
    if not end.is_finite():
        raise ValueError(f"{name} must be finite, got {value!r}")
    return end


def _narrow(ball: Any, tolerance: float, absolute: bool) -> bool:
    size = 1 if absolute else ball.abs_lower()
    return bool(ball.rad() <= tolerance * size)
