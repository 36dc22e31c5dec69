"""How a check shows itself, in digits that are stable."""

import math

import numpy as np
import pytest
import sympy as sp

from reluspec_lib._check import Check, counted, interval, rounded, short, with_error
from reluspec_lib.ledger import CheckFailed, Ledger


@pytest.mark.parametrize(
    "certified, sensitivity, shown",
    [
        (False, 0.01234, "N passed: sum: 1 value; rejects an error of 0.012"),
        (True, 0.01234, "N certified: sum: 1 value; rejects an error of 0.012"),
        (False, 0.0, "N passed: sum: 1 value"),
        (True, None, "N certified: sum: 1 value"),
    ],
)
def test_a_check_says_whether_it_is_certified_and_what_it_rejects(certified, sensitivity, shown):
    check = Check("N", "sum", "1 value", "0", sensitivity, certified=certified)
    assert repr(check) == shown


@pytest.mark.parametrize(
    "value, shown",
    [(0.0078125, "0.0078"), (0.0078125 * (1 + 2e-16), "0.0078"), (1234.5, "1.2e+03"), (0, "0")],
)
def test_two_digits_do_not_depend_on_the_last_bit(value, shown):
    assert short(value) == shown


def test_more_digits_where_asked():
    assert short(math.pi, 4) == "3.142"


@pytest.mark.parametrize(
    "value, error, shown",
    [
        (1.23456, 0.0123, "1.235 ± 0.012"),
        (-5.0, 0.1, "-5.00 ± 0.10"),
        (123.4, 56.0, "123 ± 56"),
        # The digits are those of the error as it is shown.
        (2, 0.000999999, "2.0000 ± 0.0010"),
        (2, 0.0994, "2.000 ± 0.099"),
    ],
)
def test_a_value_has_the_digits_of_its_error(value, error, shown):
    assert with_error(value, error) == shown


def test_rounding_is_recorded_as_what_was_allowed():
    assert rounded(1e-15, 2e-12) == ("≤ 2e-12", 2e-12)
    assert rounded(1.04e-9, 2e-9) == ("1e-09", 3e-9)


def test_counts_and_bounds():
    assert [counted(n, "value") for n in (0, 1, 2)] == ["0 values", "1 value", "2 values"]
    assert counted(2, "inequality", "inequalities") == "2 inequalities"
    assert interval(np.array([0.0, 0.1]), np.array([1.0, 0.25]), 1) == "[0.10000000000000001, 0.25]"
    assert interval(np.array([0.0, 0.5]), np.array([1.0, 0.5]), 1) == "0.5"


def test_a_failure_brings_what_would_have_been_recorded():
    check = Check("M", "mean", "1", "0", 0.1)
    assert CheckFailed("no", check).check is check
    assert CheckFailed("no").check is None


def test_a_float_is_named():
    x = sp.Symbol("x")
    with pytest.raises(ValueError, match=r"^stated must be exact, got the float 0\.5.* in .*x"):
        Ledger("s").symbolic("halves", x / 2, 0.5 * x)


def test_beta_functions_are_told_by_gamma_functions():
    d = sp.Symbol("d", positive=True)
    ratio = sp.beta(d / 2 + 1, sp.Rational(1, 2)) * (d + 1) / d
    Ledger("s").symbolic("a recurrence", ratio, sp.beta(d / 2, sp.Rational(1, 2)))
    with pytest.raises(CheckFailed, match="simplifies to 1, not to 0"):
        Ledger("s").symbolic("one off", ratio + 1, sp.beta(d / 2, sp.Rational(1, 2)))
