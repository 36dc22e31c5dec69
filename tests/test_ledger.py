"""The ledger: what passes, what fails and with which words."""

import copy
import math
import pickle
import re

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from reluspec_lib import ledger as module
from reluspec_lib.ledger import Check, CheckFailed, Ledger
from reluspec_lib.record import stored

d = sp.Symbol("d", positive=True)


@pytest.fixture
def ledger():
    return Ledger("theorem-0-0")


def estimates(mean=2.0, spread=0.01, draws=100, seed=1):
    """Draws with exactly this mean and standard deviation."""
    values = np.random.default_rng(seed).normal(size=draws)
    return mean + spread * (values - values.mean()) / values.std(ddof=1)


def decays(exponent=-0.5, spread=0.02, draws=20, sizes=(100, 1000, 10_000)):
    noise = np.random.default_rng(1).normal(size=(draws, len(sizes)))
    return sizes, np.array(sizes, float) ** exponent * np.exp(spread * noise)


def full_ledger():
    ledger = Ledger("theorem-0-0")
    ledger.symbolic("constant", d + d, 2 * d)
    ledger.numeric("closed form", [1.0, 2.0], [1.0, 2.0 + 1e-6], tolerance=1e-5)
    ledger.simulation("mean", estimates(), 2.0)
    ledger.rate("in the width", *decays())
    return ledger


# --- the ledger


def test_an_estimate_shows_two_digits_of_its_error(ledger):
    result = ledger.simulation("mean", estimates(2.0, 0.0123), 2.001).result
    assert result == "2.0000 ± 0.0012 against 2.001, z = -0.8, 100 draws"
    result = ledger.simulation("mean", estimates(2000.0, 123.0), 2001.0, sensitivity=1).result
    assert result == "2000 ± 12 against 2001, z = -0.1, 100 draws"


def test_stated_values_show_four_digits(ledger):
    result = ledger.simulation("mean", estimates(1.23456, 0.0123), 1.23446).result
    assert result == "1.2346 ± 0.0012 against 1.234, z = 0.1, 100 draws"
    result = ledger.rate("decay", *decays(-1.23456, 0.01), -1.23456).result
    assert result.endswith(" (95 % confidence) against -1.235")


def test_a_check_records_what_it_found(ledger):
    found = ledger.symbolic("constant", d + d, 2 * d, covers="eq-a")
    expected = Check("S", "constant", "the difference simplifies to 0", "0", 0.0, ("eq-a",))
    assert found == expected
    found = ledger.simulation("mean", estimates(), 2.001234)
    assert (found.z, found.draws, found.error) == (-1.23, 100, "0.00062")


@pytest.mark.parametrize("statement", ["", None, 3, b"theorem"])
def test_a_statement_without_a_name_is_refused(statement):
    with pytest.raises(ValueError, match=r"^statement must be a non-empty string, got "):
        Ledger(statement)


@pytest.mark.parametrize("sensitivity", [0, -0.01, math.nan, math.inf])
def test_a_sensitivity_that_is_not_positive_is_refused(sensitivity):
    with pytest.raises(ValueError, match=r"^sensitivity must be a positive number, got "):
        Ledger("theorem-0-0", sensitivity)


def test_a_failed_check_is_an_assertion_error_and_is_not_recorded(ledger):
    assert issubclass(CheckFailed, AssertionError)
    sizes, errors = decays(exponent=-1)
    for fail in (
        lambda: ledger.symbolic("x", d, 2 * d),
        lambda: ledger.numeric("x", 1.0, 2.0),
        lambda: ledger.simulation("x", estimates(), 3.0),
        lambda: ledger.rate("x", sizes, errors),
    ):
        with pytest.raises(CheckFailed):
            fail()
    assert ledger.checks == []
    assert set(ledger.record()["status"].values()) == {"missing"}


# --- layer S


@pytest.mark.parametrize(
    "derived, stated",
    [
        (sp.sin(d) ** 2 + sp.cos(d) ** 2, 1),
        (sp.gamma(d + 1), d * sp.gamma(d)),
        (
            sp.beta(d / 2, sp.Rational(1, 2)),
            sp.sqrt(sp.pi) * sp.gamma(d / 2) / sp.gamma((d + 1) / 2),
        ),
        (sp.Matrix([[d, 1]]) * 2, sp.Matrix([[2 * d, 2]])),
        (sp.Integer(2), 2),
    ],
)
def test_expressions_that_are_equal_pass_as_exact(ledger, derived, stated):
    check = ledger.symbolic("identity", derived, stated)
    assert (check.layer, check.error, check.sensitivity) == ("S", "0", 0)
    assert ledger.checks == [check]


@pytest.mark.parametrize(
    "derived, stated",
    [
        (d, d + sp.Rational(1, 10**30)),
        (sp.gamma(d + 1), d * sp.gamma(d + 1)),
        (sp.sqrt(d), sp.sqrt(d + 1)),
        (sp.Matrix([[d, 1]]), sp.Matrix([[d, 2]])),
        (sp.nan, sp.nan),
        (sp.oo, sp.oo),
    ],
)
def test_expressions_that_differ_fail_with_what_is_left(ledger, derived, stated):
    with pytest.raises(CheckFailed, match=r"^identity: derived - stated simplifies to "):
        ledger.symbolic("identity", derived, stated)


@pytest.mark.parametrize("value", [sp.Float("1e-17"), 1e-17, np.float64(0.5), 1j, mp.mpf(1) / 3])
def test_a_float_is_not_exact(ledger, value):
    for pair in ((d + value, d), (d, d + value), (sp.Matrix([value]), sp.Matrix([d]))):
        with pytest.raises(ValueError, match=r"^(derived|stated) must be exact, got the float "):
            ledger.symbolic("identity", *pair)
    assert ledger.checks == []


@pytest.mark.parametrize("other", ["2*d", [d], (d,), {d: 1}, None, sp.true, sp.Eq(d, d), np.eye(2)])
def test_what_is_no_expression_is_refused(ledger, other):
    with pytest.raises(
        ValueError, match=r"^derived must be an expression or matrix of sympy, got "
    ):
        ledger.symbolic("identity", other, d)
    with pytest.raises(ValueError, match=r"^stated must be an expression or matrix of sympy, got "):
        ledger.symbolic("identity", d, other)


@pytest.mark.parametrize("stated", [sp.eye(3), sp.Matrix([1, 0, 0, 1]), sp.Integer(1)])
def test_shapes_that_differ_are_refused(ledger, stated):
    with pytest.raises(
        ValueError, match=r"^derived and stated must be two expressions or two matr"
    ):
        ledger.symbolic("identity", sp.eye(2), stated)


def test_integrals_are_evaluated(ledger):
    t = sp.Symbol("t", real=True)
    odd = sp.Integral(t * sp.exp(-(t**2)), (t, -sp.oo, sp.oo))
    ledger.symbolic("odd", odd, 0)
    ledger.symbolic("nothing", sp.Integral(0, (t, 0, 1)), 0)
    ledger.symbolic("twice", sp.Integral(t, (t, 0, d)), d**2 / 2)
    with pytest.raises(CheckFailed):
        ledger.symbolic("twice", sp.Integral(t, (t, 0, d)), d**2)


def test_a_value_between_two_roundings_is_shown_the_same_on_every_machine(ledger):
    """Given 0.0078125 and its neighbours, which differ by rounding, the text is one."""
    values = (0.0078125, np.nextafter(0.0078125, 0), np.nextafter(0.0078125, 1))
    shown = {ledger.simulation("x", estimates(0.0078125, 1e-5), value).result for value in values}
    assert len(shown) == 1


# --- layer N


@pytest.mark.parametrize("tolerance", [1e-15, 1e-6, 0.1])
def test_values_pass_up_to_the_tolerance_and_not_beyond(ledger, tolerance):
    reference = np.array([1.0, -3.0, 1e10, 1e-10])
    check = ledger.numeric("value", reference * (1 + 0.9 * tolerance), reference, 1e-15 + tolerance)
    assert check.layer == "N"
    assert check.result == "4 values"
    for sign in (1, -1):
        values = reference * np.array([1, 1, 1, 1 + sign * (1.1 * tolerance + 1e-15)])
        with pytest.raises(CheckFailed, match=r"^value: value .* at position 3: relative diff"):
            ledger.numeric("value", values, reference, tolerance)


def test_the_default_tolerance_is_1e_12(ledger):
    ledger.numeric("value", 1 + 5e-13, 1.0)
    with pytest.raises(CheckFailed, match=r"relative difference 2e-12, allowed 1e-12$"):
        ledger.numeric("value", 1 + 2e-12, 1.0)


def test_a_failure_shows_the_worst_point(ledger):
    with pytest.raises(CheckFailed) as failure:
        ledger.numeric("value", [[1, 2.5], [3, 4.1]], [[1, 2], [3, 4]], 1e-3)
    assert str(failure.value) == (
        "value: value 2.5 against 2 at position 1: relative difference 0.25, allowed 0.001"
    )


def test_absolute_differences_serve_where_the_reference_vanishes(ledger):
    assert ledger.numeric("zero", [1e-4, 100], [0, 100], 1e-3, absolute=True).error == "0.0001"
    with pytest.raises(ValueError, match=r"^reference must not contain 0; .* absolute=True"):
        ledger.numeric("zero", [1e-4], [0.0], 1e-3)
    with pytest.raises(CheckFailed, match=r"absolute difference 0.01, allowed 0.001$"):
        ledger.numeric("zero", [0.01], [0], 1e-3, absolute=True)


def test_errors_of_1e_9_and_more_are_shown_with_the_sensitivity(ledger):
    check = ledger.numeric("a", [1 + 2e-7, 1.0], [1.0, 1.0], 1e-6)
    assert (check.error, check.sensitivity) == ("2e-07", 1.2e-6)
    assert ledger.numeric("a", [1.1e-9], [0], 1e-6, absolute=True).error == "1.1e-09"
    assert ledger.numeric("a", [1e-9], [0], 1e-6, absolute=True).error == "1e-09"
    assert ledger.numeric("a", [0.9e-9], [0], 1e-6, absolute=True).error == "≤ 1e-06"


def test_errors_near_rounding_are_shown_as_the_bound(ledger):
    assert ledger.numeric("a", 1 + 1e-14, 1.0, 1e-12).error == "≤ 1e-12"
    assert ledger.numeric("a", 1 + 3e-15, 1.0, 1e-12) == ledger.numeric("a", 1.0, 1.0, 1e-12)
    assert ledger.numeric("a", 1 + 2e-7, 1.0, 1e-6).error == "2e-07"


def test_numbers_of_fifty_digits_are_read(ledger):
    with mp.workdps(50):
        assert ledger.numeric("pi", [math.pi], [mp.pi + 0]).result == "1 value"


@pytest.mark.parametrize(
    "values, reference, message",
    [
        ([1.0, 2.0], [1.0], r"values and reference must have one shape, got \(2,\) and \(1,\)"),
        ([], [], r"values must be a non-empty array of finite numbers"),
        ([math.nan], [1.0], r"values must be a non-empty array of finite numbers"),
        ([1.0], [math.inf], r"reference must be a non-empty array of finite numbers"),
    ],
)
def test_arrays_that_cannot_be_compared_are_refused(ledger, values, reference, message):
    with pytest.raises(ValueError, match="^" + message):
        ledger.numeric("value", values, reference)


@pytest.mark.parametrize("tolerance", [0, -1, math.nan, math.inf, "1e-12", None, [1e-12], 1j])
def test_a_tolerance_that_is_not_positive_is_refused(ledger, tolerance):
    for check, reference in ((ledger.numeric, 1.0), (ledger.certified, (1.0, 1.0))):
        with pytest.raises(ValueError, match=r"^tolerance must be a positive number, got "):
            check("value", 1.0, reference, tolerance)


def test_an_error_of_the_tolerance_is_allowed(ledger):
    assert ledger.numeric("value", 1.5, 1.0, 0.5).error == "0.5"
    assert ledger.certified("value", 1.5, (1.0, 1.0), 0.5).error == "0.5"


def test_an_imaginary_part_is_compared(ledger):
    ledger.numeric("complex", [1 + 1j, 2j], [1 + 1j, 2j * (1 + 1e-13)])
    for wrong in (1 + 9j, 1 - 1j, 1, 1 + 1j * (1 + 1e-9)):
        with pytest.raises(CheckFailed):
            ledger.numeric("complex", [1 + 1j], [wrong])
        with pytest.raises(CheckFailed):
            ledger.numeric("complex", [wrong], [1 + 1j], absolute=True)
    with pytest.raises(CheckFailed):  # numbers of mpmath and sympy come as objects
        ledger.numeric("complex", [mp.mpc(1, 1)], [mp.mpc(1, 9)])
    with pytest.raises(CheckFailed):
        ledger.numeric("complex", [1 + sp.I], [1 + 9 * sp.I])


@pytest.mark.parametrize("scale", [1e-200, 1e-308, 1e200, 1e308])
def test_sizes_do_not_matter(ledger, scale):
    ledger.numeric("size", [scale * (1 + 1e-13), -scale], [scale, -scale])
    with pytest.raises(CheckFailed):
        ledger.numeric("size", [scale], [scale * 1.001])
    with pytest.raises(CheckFailed):
        ledger.numeric("size", [scale], [-scale])
    with pytest.raises(CheckFailed):
        ledger.numeric("size", [1e308], [1e-308])
    ledger.certified("size", scale, (scale * (1 - 1e-13), scale))
    for value, bound in ((scale, -scale), (1e308, -1e308), (1e308, 1e-308)):
        with pytest.raises(CheckFailed):
            ledger.certified("size", value, (bound, bound))
    ledger.inequality("size", (-1e308, -1e308), (1e308, 1e308))


@pytest.mark.parametrize(
    "value",
    ["1", ["a"], [sp.Symbol("x")], np.ma.masked_array([1.0, 2], [False, True]), {1: 2}],
)
def test_what_is_no_array_of_numbers_is_refused(ledger, value):
    for check in (ledger.numeric, ledger.certified):
        with pytest.raises(ValueError, match=r"^values must be an array of numbers, got "):
            check("value", value, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"^estimates must be an array of numbers, got "):
        ledger.simulation("mean", value, 1.0)
    with pytest.raises(ValueError, match=r"^errors must be an array of numbers, got "):
        ledger.rate("rate", [1, 2], value)


# --- certified numbers and inequalities


def enclosed(*values, width=1e-15):
    return [(value - abs(value) * width, value + abs(value) * width) for value in values]


def test_a_value_within_the_tolerance_of_all_of_its_enclosure_is_certified(ledger):
    check = ledger.certified("value", [1.0, -3.0], enclosed(1.0, -3.0), 1e-14)
    assert (check.layer, check.certified, check.result) == ("N", True, "2 values")
    assert (check.error, check.sensitivity) == ("≤ 1e-14", 1e-14)
    assert repr(check) == "N certified: value: 2 values; rejects an error of 1e-14"
    with pytest.raises(
        CheckFailed, match=r"^value: value -3\S* against .* at position 1: relative"
    ):
        ledger.certified("value", [1.0, -3.0 * (1 + 2e-14)], enclosed(1.0, -3.0), 1e-14)
    assert ledger.certified("value", 2.0, (1.999, 2.001), 1e-3).sensitivity > 1e-3


@pytest.mark.parametrize("side", [-1, 1])
def test_an_enclosure_that_is_too_wide_certifies_nothing(ledger, side):
    bounds = sorted([2.0, 2.0 * (1 + 1e-3 * side)])
    with pytest.raises(CheckFailed, match=r"relative difference up to 0.001, allowed 0.0005$"):
        ledger.certified("value", [2.0], [bounds], 5e-4)
    ledger.certified("value", [2.0], [bounds], 2e-3)


def test_failures_of_enclosures_show_all_bounds(ledger):
    with pytest.raises(CheckFailed) as failure:
        ledger.certified("value", [[1.0], [2.5]], [[(1, 1)], [(2, 2.25)]])
    assert str(failure.value) == (
        "value: value 2.5 against [2, 2.25] at position 1: relative difference up to 0.25, "
        "allowed 1e-12"
    )
    with pytest.raises(CheckFailed) as failure:
        ledger.inequality("order", [[(0, 1)], [(2, 3)]], [[(2, 3)], [(2.5, 4)]])
    assert str(failure.value) == "order: at position 1 [2, 3] is not below [2.5, 4]"


def test_the_error_is_relative_to_the_bound_nearer_to_zero(ledger):
    with pytest.raises(CheckFailed, match=r"relative difference up to 1, "):
        ledger.certified("value", [-1.0], [(-2.0, -1.0)], 0.9)


@pytest.mark.parametrize(
    "values, enclosures, message",
    [
        ([1.0], [1.0], r"enclosures must have shape \(1, 2\), got shape \(1,\)"),
        ([1.0, 2], [(1, 1)], r"enclosures must have shape \(2, 2\), got shape \(1, 2\)"),
        ([1.0], [(1, 0.5)], r"enclosures must be pairs of a lower and an upper bound"),
        ([1.0], [(0, 1)], r"enclosures must not contain 0"),
        ([1.0], [(-1, 0)], r"enclosures must not contain 0"),
        ([1.0], [(-1, 1)], r"enclosures must not contain 0"),
        ([1j], [(1, 1)], r"values must be real numbers"),
        ([1.0], [(1j, 1)], r"enclosures must be real numbers"),
        ([1.0], [(1, math.nan)], r"enclosures must be a non-empty array of finite numbers"),
    ],
)
def test_enclosures_that_enclose_nothing_are_refused(ledger, values, enclosures, message):
    with pytest.raises(ValueError, match="^" + message):
        ledger.certified("value", values, enclosures)


def test_an_inequality_holds_for_all_points_of_the_enclosures(ledger):
    check = ledger.inequality("order", [(0, 1), (-2, -1)], [(1.5, 2), (0, 3)])
    assert (check.result, check.error, check.sensitivity) == ("2 inequalities", "", None)
    assert check.certified
    assert ledger.inequality("order", (0, 1), (2, 3)).result == "1 inequality"
    for smaller, larger in (((0, 1), (1, 2)), ((0, 1), (0.5, 2)), ((2, 3), (0, 1))):
        with pytest.raises(CheckFailed, match=r"^order: at position 1 \[.*\] is not below \["):
            ledger.inequality("order", [(0, 1), smaller], [(2, 3), larger])
    assert ledger.record()["worst_error"] is None


@pytest.mark.parametrize(
    "smaller, larger", [(1.0, 2.0), ([(0, 1)], [(0, 1)] * 2), ([1, 0], [2, 3])]
)
def test_bounds_of_an_inequality_are_checked(ledger, smaller, larger):
    with pytest.raises(ValueError, match=r"^(smaller|larger) must "):
        ledger.inequality("order", smaller, larger)


def test_numbers_are_bounded_up_to_rounding(ledger):
    check = ledger.bounded("order", [1.0, 2.0], [1.0, 3.0])
    assert repr(check) == "N passed: order: 2 inequalities, up to 1e-12"
    assert (check.error, check.sensitivity, check.certified) == ("", None, False)
    # Binary fractions: the excess is exactly the slack, or one bit more.
    ledger.bounded("order", 1 + 2.0**-40, 1.0, 2.0**-40)
    for excess in (2.0**-40 + 2.0**-52, 1.0):
        with pytest.raises(CheckFailed, match=r"^order: at position 1 \S+ exceeds 1 by "):
            ledger.bounded("order", [0.0, 1 + excess], [1.0, 1.0], 2.0**-40)
    with pytest.raises(CheckFailed) as failure:
        ledger.bounded("order", [[2.5], [2.0]], [[2.0], [2.0]], 1e-9)
    message = "order: at position 0 2.5 exceeds 2 by 0.5, allowed 1e-09"
    assert str(failure.value) == message
    assert not failure.value.check.certified
    ledger.bounded("size", -1e308, 1e308)
    assert len(ledger.checks) == 3


def test_numbers_that_look_like_bounds_are_not_certified(ledger):
    assert not ledger.bounded("order", [0.1, 0.2], [0.3, 0.9]).certified


@pytest.mark.parametrize(
    "smaller, larger, slack, message",
    [
        ([1.0, 2.0], [3.0], 1e-9, r"smaller and larger must have one shape, got \(2,\) and \(1,\)"),
        ([1.0], [1j], 1e-9, "larger must be real numbers"),
        ([math.nan], [1.0], 1e-9, "smaller must be a non-empty array of finite numbers"),
        ([1.0], [2.0], 0.0, "slack must be "),
        ([1.0], [2.0], -1.0, "slack must be "),
    ],
)
def test_sides_and_slack_of_an_inequality_are_checked(ledger, smaller, larger, slack, message):
    with pytest.raises(ValueError, match="^" + message):
        ledger.bounded("order", smaller, larger, slack)


# --- the equations that a check covers


def every_check(ledger, **options):
    return [
        ledger.symbolic("a", d, d, **options),
        ledger.numeric("b", 1.0, 1.0, **options),
        ledger.certified("c", 1.0, (1.0, 1.0), **options),
        ledger.inequality("d", (0, 1), (2, 3), **options),
        ledger.bounded("d", 0, 1, **options),
        ledger.simulation("e", estimates(), 2.0, **options),
        ledger.rate("f", *decays(), **options),
    ]


@pytest.mark.parametrize(
    "covers, labels", [("equation-5", ["equation-5"]), (["a", "b"], ["a", "b"]), ((), [])]
)
def test_every_check_names_the_equations_that_it_covers(ledger, covers, labels):
    assert [list(check.equations) for check in every_check(ledger, covers=covers)] == [labels] * 7
    assert [check["equations"] for check in ledger.record()["checks"]] == [labels] * 7


@pytest.mark.parametrize("covers", ["", [""], [3], None, 3, {"a"}, [["a"]]])
def test_labels_that_are_no_names_are_refused(ledger, covers):
    with pytest.raises(ValueError, match=r"^covers must be labels of equations, got ") as failure:
        every_check(ledger, covers=covers)
    assert repr(covers) in str(failure.value)


# --- layer M: 100 draws of spread 0.01 about 2 have a standard error of 0.001


@pytest.mark.parametrize("z", [-3.9, 0, 3.9])
def test_a_mean_within_four_standard_errors_passes(ledger, z):
    check = ledger.simulation("mean", estimates(), 2.0 - 0.001 * z)
    assert check.layer == "M"
    assert f"z = {z:.1f}" in check.result
    assert "2.0000 ± 0.0010" in check.result
    assert check.result.endswith(", 100 draws")


@pytest.mark.parametrize("z", [-4.1, 4.1, 1000])
def test_a_mean_beyond_four_standard_errors_fails(ledger, z):
    message = rf"^mean: 2\.0000 ± 0\.0010 against .*, z = {z:.1f}, allowed 4 standard errors"
    with pytest.raises(CheckFailed, match=message):
        ledger.simulation("mean", estimates(), 2.0 - 0.001 * z)


@pytest.mark.parametrize("z", [0, 2, -3])
def test_the_sensitivity_is_four_standard_errors_and_the_distance_over_the_scale(ledger, z):
    expected = 2.0 - 0.001 * z
    check = ledger.simulation("mean", estimates(), expected)
    assert check.sensitivity == pytest.approx(0.001 * (4 + abs(z)) / expected, rel=0.05)
    doubled = ledger.simulation("mean", estimates(), expected, scale=4.0)
    assert doubled.sensitivity == pytest.approx(0.001 * (4 + abs(z)) / 4, rel=0.05)


@settings(max_examples=60)
@given(z=st.floats(-3.9, 3.9), sign=st.sampled_from([-1, 1]), seed=st.integers(0, 2**32))
def test_a_constant_wrong_by_the_sensitivity_is_rejected_whatever_its_sign(z, sign, seed):
    values, expected = estimates(seed=seed), 2.0 - 0.001 * z
    found = Ledger("theorem-0-0").simulation("mean", values, expected).sensitivity
    with pytest.raises(CheckFailed):  # 1.06: the sensitivity is stored to two digits
        Ledger("theorem-0-0").simulation("mean", values, expected * (1 + 1.06 * sign * found))


@pytest.mark.parametrize("expected", [1.998, -1.998])
def test_the_error_is_the_distance_from_the_stated_value(ledger, expected):
    values = math.copysign(1, expected) * estimates()
    check = ledger.simulation("mean", values, expected)
    assert (check.error, abs(check.z), check.draws) == ("0.001", 2.0, 100)
    assert ledger.simulation("mean", values, expected, scale=1).error == "0.002"


def test_a_distant_mean_passes_as_long_as_4_standard_errors_are_small(ledger):
    # 4 standard errors are 0.2 % of 2, and a mean 3.9 of them away makes the sensitivity 0.4 %.
    check = ledger.simulation("mean", estimates(), 2.0 - 0.0039, sensitivity=0.00201)
    assert check.sensitivity == pytest.approx(0.004, abs=1e-4)


def test_the_thresholds_themselves_are_allowed(ledger):
    values = [-3, 3] * 5  # the standard error is 1
    assert ledger.simulation("mean", values, 4, scale=8, sensitivity=0.5).z == -4
    with pytest.raises(CheckFailed):
        ledger.simulation("mean", values, 4.001, scale=8, sensitivity=0.5)
    with pytest.raises(CheckFailed):
        ledger.simulation("mean", values, 4, scale=8, sensitivity=0.499)


def test_a_failure_holds_what_would_have_been_recorded(ledger):
    with pytest.raises(CheckFailed) as failure:
        ledger.simulation("mean", estimates(), 1.99, covers="a")
    check = failure.value.check
    assert (check.layer, check.z, check.draws, check.equations) == ("M", 10.0, 100, ("a",))
    with pytest.raises(CheckFailed) as failure:
        ledger.simulation("mean", estimates(spread=0.06), 2.0)
    assert failure.value.check.z == 0
    with pytest.raises(CheckFailed) as failure:
        ledger.rate("rate", *decays(), exponent=-1)
    assert failure.value.check.layer == "R"
    assert CheckFailed("text").check is None


@pytest.mark.parametrize("expected", [sp.Integer(2), sp.Rational(4, 2), np.float32(2), mp.mpf(2)])
def test_a_stated_value_may_be_any_real_number(ledger, expected):
    assert ledger.simulation("mean", estimates(), expected).z == 0
    with pytest.raises(ValueError, match=r"^expected must be a finite number"):
        ledger.simulation("mean", estimates(), expected + 1j if expected == 0 else 2 + 1j)


@pytest.mark.parametrize("size", [1e-200, 1e-160, 1e160, 1e200, 1e-320])
def test_small_and_large_estimates_have_a_standard_error(ledger, size):
    spread = 0.25 if size < 1e-300 else 0.01  # subnormal numbers have few digits
    check = ledger.simulation("mean", size * estimates(2, spread), 2 * size, sensitivity=0.1)
    assert abs(check.z) < 0.5
    with pytest.raises(CheckFailed):
        ledger.simulation("mean", size * estimates(2, spread), 2.5 * size, sensitivity=0.1)


def test_complex_estimates_are_refused(ledger):
    for check, arguments in (
        (ledger.simulation, (1j * estimates(), 2.0)),
        (ledger.rate, ([1, 2], np.full((10, 2), 1j))),
    ):
        with pytest.raises(ValueError, match=r"^(estimates|errors) must be real numbers"):
            check("mean", *arguments)


def test_a_noisy_run_does_not_pass_for_a_verification(ledger):
    noisy = estimates(spread=0.06)  # would reject 4 * 0.006 / 2 = 1.2 %
    with pytest.raises(
        CheckFailed, match=r"4 standard errors are 0.012 of the stated size, asked 0.01;"
    ):
        ledger.simulation("mean", noisy, 2.0)
    assert ledger.simulation("mean", noisy, 2.0, sensitivity=0.013).sensitivity == 0.012
    assert Ledger("theorem-0-0", 0.013).simulation("mean", noisy, 2.0).sensitivity == 0.012


def test_a_stated_value_of_zero_needs_a_scale(ledger):
    with pytest.raises(ValueError, match=r"^scale must be a positive number, got 0"):
        ledger.simulation("zero", estimates(mean=0.0), 0.0)
    assert ledger.simulation("zero", estimates(mean=0.0), 0.0, scale=1.0).sensitivity == 0.004


def test_a_stated_value_that_is_no_number_never_passes(ledger):
    with pytest.raises((CheckFailed, ValueError)):
        ledger.simulation("mean", estimates(), math.nan)
    with pytest.raises((CheckFailed, ValueError)):
        ledger.simulation("mean", estimates(), math.nan, scale=1.0)


@pytest.mark.parametrize(
    "values, message",
    [
        (estimates(draws=9), r"estimates must have shape \(draws,\) with draws >= 10, .* \(9,\)"),
        (np.ones((10, 10)), r"estimates must have shape \(draws,\) .* got shape \(10, 10\)"),
        (np.full(20, 2.0), r"estimates must vary between draws, all are 2"),
        (np.full(13, 0.1), r"estimates must vary between draws, all are 0\.1"),
        ([1.0, math.nan] * 10, r"estimates must be a non-empty array of finite numbers"),
    ],
)
def test_estimates_that_give_no_standard_error_are_refused(ledger, values, message):
    with pytest.raises(ValueError, match="^" + message):
        ledger.simulation("mean", values, 2.0)


# --- layer R


def interval(check):
    """The exponent that a check found and the half-width of its confidence interval."""
    return [float(number) for number in re.search(r"(\S+) ± (\S+)", check.result).groups()]


@pytest.mark.parametrize("exponent", [-0.5, -1.0, 0.25])
def test_a_power_law_of_the_stated_exponent_passes(ledger, exponent):
    check = ledger.rate("decay", *decays(exponent), exponent)
    assert (check.layer, check.sensitivity) == ("R", None)
    value, width = interval(check)
    assert abs(value - exponent) < 2 * width < 0.02
    assert float(check.error) == pytest.approx(abs(value - exponent), abs=1e-4)
    assert f"(95 % confidence) against {exponent:g}" in check.result


def test_the_confidence_interval_is_students(ledger):
    sizes, errors = decays(draws=10)
    logs = np.log(np.array(sizes, float))
    slopes = (np.log(errors) @ (logs - logs.mean())) / ((logs - logs.mean()) ** 2).sum()
    width = 2.2621572 * slopes.std(ddof=1) / math.sqrt(10)  # 97.5 % point at 9 degrees of freedom
    assert interval(ledger.rate("decay", sizes, errors))[1] == pytest.approx(width, rel=0.05)
    ledger.rate("decay", sizes, errors, half_width=1.0001 * width)
    with pytest.raises(CheckFailed):
        ledger.rate("decay", sizes, errors, half_width=0.9999 * width)


@pytest.mark.parametrize("exponent", [-0.55, -0.45, -1, 0.5])
def test_a_power_law_of_another_exponent_fails(ledger, exponent):
    with pytest.raises(CheckFailed, match=r"^decay: exponent .* ± .* against -0.5; allowed 4 "):
        ledger.rate("decay", *decays(exponent))


def test_a_rate_that_is_too_uncertain_fails(ledger):
    sizes, errors = decays(spread=1.0)
    with pytest.raises(CheckFailed, match=r"half-width of 0.05$"):
        ledger.rate("decay", sizes, errors)
    ledger.rate("decay", sizes, errors, half_width=0.5)


@pytest.mark.parametrize(
    "sizes, errors, message",
    [
        ((1, 10), np.ones((9, 2)), r"errors must have shape \(draws, 2\) with draws >= 10, got"),
        ((1, 10), np.ones((10, 3)), r"errors must have shape \(draws, 2\) .* got shape \(10, 3\)"),
        ((1, 10), np.ones(10), r"errors must have shape"),
        ((1, 10), np.zeros((10, 2)), r"errors must be positive, got 0"),
        ((1, 10), np.full((10, 2), math.nan), r"errors must be a non-empty array of finite"),
        ((1, math.inf), np.ones((10, 2)), r"sizes must be a non-empty array of finite numbers"),
        ((1, 10), np.ones((10, 2)), r"errors must vary between draws"),
        ((10, 10), np.ones((10, 2)), r"sizes must be at least two different positive numbers"),
        (
            (0, 10),
            np.ones((10, 2)),
            r"sizes must be at least two different positive numbers, got \[0.*10.*\]$",
        ),
        ((1, 10j), np.ones((10, 2)), r"sizes must be real numbers, got \(1, 10j\)$"),
        ((10,), np.ones((10, 1)), r"sizes must be at least two different positive numbers"),
    ],
)
def test_errors_that_give_no_rate_are_refused(ledger, sizes, errors, message):
    with pytest.raises(ValueError, match="^" + message):
        ledger.rate("decay", sizes, errors)


@pytest.mark.parametrize("value", [math.nan, math.inf, "-0.5", None])
def test_an_exponent_that_is_no_number_is_refused(ledger, value):
    with pytest.raises(ValueError, match=r"^exponent must be a finite number"):
        ledger.rate("decay", *decays(), value)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_a_width_or_sensitivity_that_cannot_fail_is_refused(ledger, value):
    with pytest.raises(ValueError, match=r"^sensitivity must be a positive number"):
        ledger.simulation("mean", estimates(), 2.0, sensitivity=value)
    with pytest.raises(ValueError, match=r"^half_width must be a positive number"):
        ledger.rate("decay", *decays(), half_width=value)


# --- ledgers as values


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_rounding_noise_does_not_show_in_the_record(seed):
    noise = 1 + 1e-15 * np.random.default_rng(seed).uniform(-1, 1, size=60)
    sizes, errors = decays()

    def record(noise):
        ledger = Ledger("theorem-0-0")
        ledger.numeric("value", [1.0, 3.0] * noise[:2], [1.0, 3.0])
        ledger.numeric("loose", [1.0] * noise[:1], [1 + 2.6e-6], 1e-5)
        ledger.simulation("mean", estimates(draws=60) * noise, 2.001)
        ledger.rate("rate", sizes, errors * noise.reshape(20, 3))
        return ledger.record()

    assert record(noise) == record(np.ones(60))


def test_ledgers_are_equal_if_what_they_hold_is():
    assert full_ledger() == full_ledger() != Ledger("theorem-0-0")
    assert Ledger("a") != Ledger("b")
    assert Ledger("a") != Ledger("a", 0.02)
    assert Ledger("a") != "a"
    with pytest.raises(TypeError):
        hash(full_ledger())
    assert full_ledger().checks[2] == full_ledger().checks[2] != full_ledger().checks[1]
    assert repr(full_ledger()) == "<Ledger 'theorem-0-0': 4 checks>"
    assert repr(Ledger("a")) == "<Ledger 'a': 0 checks>"
    assert pickle.loads(pickle.dumps(full_ledger())) == copy.deepcopy(full_ledger())


def test_a_ledger_shows_as_text_and_as_a_table():
    ledger = full_ledger()
    assert str(ledger) == stored.text(ledger)
    bundle = ledger._repr_mimebundle_(include=None)
    assert bundle == stored.bundle(ledger)
    assert bundle["text/plain"].startswith("theorem-0-0: ")


def test_names_of_what_is_stored_are_found_in_the_ledger_too():
    for name in ("MIME_TYPE", "VERSION", "read", "row_id"):
        assert getattr(module, name) is getattr(stored, name)
    with pytest.raises(AttributeError, match=r"^module 'reluspec_lib.ledger' has no attribute 're"):
        module.reader  # noqa: B018


def test_a_failure_of_any_kind_holds_what_would_have_been_recorded(ledger):
    for layer, fail in (
        ("S", lambda: ledger.symbolic("x", d, 2 * d, covers="a")),
        ("N", lambda: ledger.numeric("x", 1.0, 2.0, covers="a")),
        ("N", lambda: ledger.certified("x", 1.0, (2.0, 2.0), covers="a")),
        ("N", lambda: ledger.inequality("x", (2, 3), (0, 1), covers="a")),
    ):
        with pytest.raises(CheckFailed) as failure:
            fail()
        check = failure.value.check
        assert (check.layer, check.name, check.equations) == (layer, "x", ("a",))
