"""Enclosures contain the truth, are as narrow as asked, and refuse what they cannot enclose."""

import math
import re
import sys
from fractions import Fraction

import numpy as np
import pytest
from flint import acb, arb, ctx
from hypothesis import given
from hypothesis import strategies as st

from helpers import NOT_COUNTS
from reluspec_lib.theorems.enclosures import EnclosureError, bounds, half_sphere_mean, integral


def exp_of(value):
    return arb(value).exp()


def half_pi():
    return arb.pi() / 2


def semicircle(z, analytic):
    return (1 - z**2).sqrt(analytic=analytic)


# --- bounds


@given(st.fractions(), st.integers(20, 200))
def test_bounds_lie_on_both_sides_and_at_most_one_unit_in_the_last_place_away(value, bits):
    with ctx.workprec(bits):
        ball = arb(value.numerator) / value.denominator
    lower, upper = bounds(ball)
    assert Fraction(lower) <= value <= Fraction(upper)
    assert lower <= ball.lower()
    assert upper >= ball.upper()
    if bits > 60 and abs(value) > 1e-300:
        assert upper - lower <= 2 * math.ulp(float(value))


@pytest.mark.parametrize("exact", [0.0, 1.0, -0.1, 5e-324, 1.7976931348623157e308])
def test_bounds_of_a_float_are_itself(exact):
    assert bounds(arb(exact)) == (exact, exact)


@pytest.mark.parametrize("middle", [-3.0, 0.0, 2.0])
def test_bounds_of_a_wide_ball_are_its_ends(middle):
    lower, upper = bounds(arb(middle, 0.5))
    assert lower == pytest.approx(middle - 0.5, rel=1e-8)  # a radius has 30 bits
    assert upper == pytest.approx(middle + 0.5, rel=1e-8)


@pytest.mark.parametrize(
    "text, lower, upper",
    [
        ("1e400", 1.7976931348623157e308, math.inf),
        ("-1e400", -math.inf, -1.7976931348623157e308),
        ("1e-400", 0.0, 5e-324),
        ("-1e-400", -5e-324, 0.0),
    ],
)
def test_bounds_beyond_the_floats(text, lower, upper):
    assert bounds(arb(text)) == (lower, upper)


@pytest.mark.parametrize("value", [arb.nan(), arb.pos_inf(), 1.0, None, acb(1), "1"])
def test_what_is_no_finite_real_ball_has_no_bounds(value):
    message = f"^ball must be a finite flint.arb, got {re.escape(repr(value))}$"
    with pytest.raises(ValueError, match=message):
        bounds(value)


def test_without_flint_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    message = r"^rigorous enclosures need python-flint: pip install 'reluspec\[book\]'$"
    with pytest.raises(ImportError, match=message):
        bounds(arb(1))


# --- integral


INTEGRALS = {
    "polynomial": (lambda z, _: z**2, 0, 3, lambda: arb(9)),
    "ends that are balls": (lambda z, _: z.exp(), arb(-2), "0.5", lambda: exp_of(0.5) - exp_of(-2)),
    "negative": (lambda z, _: -z.sin(), 0, half_pi, lambda: arb(-1)),
    "far from 1": (
        lambda z, _: (-99 * z).exp(),
        10,
        20,
        lambda: (exp_of(-990) - exp_of(-1980)) / 99,
    ),
    "a peak": (
        lambda z, _: z.cos() ** 10_000,
        0,
        half_pi,
        lambda: arb.bin_uiui(10_000, 5000) * half_pi() / arb(2) ** 10_000,
    ),
    "a root at both ends": (semicircle, -1, 1, half_pi),
}


@pytest.mark.parametrize("tolerance", [1e-3, 1e-18, 1e-40])
@pytest.mark.parametrize("case", INTEGRALS)
def test_integrals_contain_the_value_and_are_as_narrow_as_asked(case, tolerance):
    function, a, b, value = INTEGRALS[case]
    ball = integral(function, a, b, tolerance=tolerance)
    with ctx.workprec(400):
        assert ball.contains(value())
        assert ball.rad() <= tolerance * abs(ball)


def test_integrals_are_narrow_by_default():
    assert integral(lambda z, _: z.exp(), 0, 1).rad() < 2e-18


def test_an_integrand_that_loses_digits_is_integrated_with_more():
    large = 10**30
    ball = integral(lambda z, _: (z + large) - large, 0, 3)
    with ctx.workprec(200):
        assert ball.contains(4.5)
        assert ball.rad() < 4.5e-18


@pytest.mark.parametrize("tolerance", [1e-3, 1e-30])
def test_an_integral_that_vanishes_needs_an_absolute_tolerance(tolerance):
    ball = integral(lambda z, _: z, -1, 1, tolerance=tolerance, absolute=True)
    assert ball.contains(0)
    assert ball.rad() <= tolerance
    message = (
        r"^no enclosure of the integral with a relative radius of 1\.23e-10, the best is \[.*\]; a "
        r"change of variables may take a singularity away, absolute=True serves integrals that "
        r"vanish$"
    )
    with pytest.raises(EnclosureError, match=message):
        integral(lambda z, _: z, -1, 1, tolerance=1.234e-10)


def test_the_answer_does_not_depend_on_the_precision_in_force():
    with ctx.workprec(20):
        coarse = integral(lambda z, _: z.sin(), 0, half_pi, tolerance=1e-30)
        assert ctx.prec == 20
    assert abs(coarse.mid() - 1) < 1e-30


@pytest.mark.parametrize(
    "function, a",
    [(lambda z, _: 1 / z, -1), (lambda z, _: z**-2, 0), (semicircle, arb("0 +/- 0.1"))],
    ids=["pole inside", "pole at an end", "an end that is not exact"],
)
def test_integrals_that_cannot_be_enclosed_say_so(function, a):
    with pytest.raises(
        EnclosureError, match=r"^no enclosure of the integral with a relative radius"
    ):
        integral(function, a, 1)


def test_an_absolute_tolerance_that_is_missed_is_named():
    rough = arb(100, 0.0015)
    with pytest.raises(EnclosureError, match=r"with an absolute radius of 0\.001, the best"):
        integral(lambda z, _: rough, 0, 1, tolerance=1e-3, absolute=True)
    assert integral(lambda z, _: rough, 0, 1, tolerance=1e-3).contains(100)


def test_integrands_that_are_not_real_are_refused():
    message = r"^function must be real on \[a, b\], its integral is .*1\.0.* \+ .*0\.5.*j$"
    with pytest.raises(ValueError, match=message):
        integral(lambda z, _: 1j * z + 1, 0, 1)


@pytest.mark.parametrize("value", [1, 1.0, arb(1), acb(1)])
def test_integrands_may_be_constants_of_any_kind(value):
    assert integral(lambda z, _: value, 0, 3).contains(3)
    for d in (1, 3):
        assert half_sphere_mean(lambda t, _: value, d).contains(0.5)


@pytest.mark.parametrize("value", [None, "1", 1j, np.float32(1), np.ones(2), [1]])
def test_integrands_that_give_no_ball_are_refused(value):
    for call in (
        lambda: integral(lambda z, _: value, 0, 1),
        lambda: half_sphere_mean(lambda t, _: value, 1),
        lambda: half_sphere_mean(lambda t, _: value, 3),
    ):
        message = f"^function must return a ball or a real number, got {re.escape(repr(value))}$"
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("value", [None, 1.0, "z", np.ones(2)])
def test_what_cannot_be_called_is_no_integrand(value):
    with pytest.raises(ValueError, match=r"^function must be callable, got "):
        integral(value, 0, 1)
    with pytest.raises(ValueError, match=r"^function must be callable, got "):
        half_sphere_mean(value, 3)


@pytest.mark.parametrize("value", [None, 1, np.ones(2), "yes"])
def test_absolute_is_true_or_false(value):
    with pytest.raises(ValueError, match=r"^absolute must be True or False, got "):
        integral(lambda z, _: z, 0, 1, absolute=value)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int8, np.int64, int, float, str, arb])
def test_ends_of_every_kind_of_number(kind):
    assert integral(lambda z, _: 2 * z, kind(1), kind(3)).contains(8)


@pytest.mark.parametrize(
    "value, allowed",
    [
        *((value, "a real number, a ball or a function") for value in (None, True, "one", [0])),
        (acb(0, 1), "a real number, a ball or a function"),
        *((value, "finite") for value in (math.nan, -math.inf, arb.pos_inf())),
    ],
)
def test_ends_that_are_no_real_numbers_are_refused(value, allowed):
    for ends, name in (((value, 1), "a"), ((0, value), "b"), ((0, lambda: value), "b")):
        # Not the whole, for flint shows as many digits as the precision in force has.
        message = f"^{name} must be {allowed}, got {re.escape(repr(value)[:9])}"
        with pytest.raises(ValueError, match=message):
            integral(lambda z, _: z, *ends)


@pytest.mark.parametrize("value", [0, -1e-3, math.nan, None, "1"])
def test_tolerances_that_are_not_positive_are_refused(value):
    with pytest.raises(ValueError, match=r"^tolerance must be a positive number, got "):
        integral(lambda z, _: z, 0, 1, tolerance=value)
    with pytest.raises(ValueError, match=r"^tolerance must be a positive number, got "):
        half_sphere_mean(lambda t, _: t, 3, tolerance=value)


# --- half_sphere_mean


@pytest.mark.parametrize("d", [1, 2, 3, 4, 11, 38, 1000, 10**8])
def test_the_mass_and_the_second_moment_of_a_half_sphere(d):
    for tolerance in (1e-6, 1e-18, 1e-30):
        mass, second = (
            half_sphere_mean(lambda t, _, p=p: t**p, d, tolerance=tolerance) for p in (0, 2)
        )
        with ctx.workprec(200):
            for ball, value in ((mass, arb(1) / 2), (second, arb(1) / (2 * d))):
                assert ball.contains(value)
                assert ball.rad() <= tolerance * value


@pytest.mark.parametrize(
    "d, value", [(1, lambda: arb(0.5)), (2, lambda: 1 / arb.pi()), (3, lambda: arb(0.25))]
)
def test_the_mean_of_the_relu_in_low_dimensions(d, value):
    ball = half_sphere_mean(lambda t, _: t, d)
    with ctx.workprec(200):
        assert ball.contains(value())
        assert ball.rad() < 1e-18


def test_functions_with_a_branch_cut_pass_the_flag_on():
    # At d = 3 the coordinate is uniform.
    ball = half_sphere_mean(lambda t, analytic: t.sqrt(analytic=analytic), 3)
    with ctx.workprec(200):
        assert ball.contains(arb(1) / 3)


def test_at_one_dimension_the_function_is_only_evaluated_and_need_not_be_analytic():
    ball = half_sphere_mean(lambda t, analytic: t if analytic is False else acb("nan"), 1)
    assert ball.contains(0.5)


def test_a_function_that_is_known_too_roughly_has_no_mean():
    rough = arb("1e-30 +/- 1e-35")
    assert half_sphere_mean(lambda t, _: rough, 1, tolerance=1e-4).contains(5e-31)
    message = r"^no enclosure with a relative radius of 1\.23e-06: \[5\.000.*\]$"
    with pytest.raises(EnclosureError, match=message):
        half_sphere_mean(lambda t, _: rough, 1, tolerance=1.234e-6)


def test_functions_that_are_not_real_have_no_mean():
    for d, where in (
        (1, r"\[0, 1\], at 1 it is 1\.0+ \+ 1\.0+j$"),
        (3, r"\[a, b\], its integral is"),
    ):
        with pytest.raises(ValueError, match=r"^function must be real on " + where):
            half_sphere_mean(lambda t, _: 1j * t + 1, d)


def test_means_that_cannot_be_enclosed_say_so():
    for d in (1, 3):
        with pytest.raises(EnclosureError, match=r"relative radius"):
            half_sphere_mean(lambda t, _: 1 / (t - t), d)


@pytest.mark.parametrize("d", NOT_COUNTS)
def test_dimensions_that_are_no_counts_are_refused(d):
    with pytest.raises(ValueError, match=r"^d must be an integer >= 1, got "):
        half_sphere_mean(lambda t, _: t, d)
