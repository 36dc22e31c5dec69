"""Gaussian integrals of single rows, and when two quadratures of them are believed."""

import math
import re

import mpmath as mp
import numpy as np
import pytest

from reluspec_lib.proportional import _rows
from reluspec_lib.proportional._rows import check_std, gaussian_biases, relu, rows


def row(activation, bias=0.0, kinks=(0.0,)):
    """Return the only kind of row, for one bias."""
    return rows(activation, np.array([bias]), np.ones(1), kinks)


def he2(t):
    return (t**2 - 1) / math.sqrt(2)


# --- biases


@pytest.mark.parametrize("std", [4.4, 10.0, 33.3])
def test_biases_lie_close_enough_for_a_row_to_see_them_one_by_one(std):
    biases, weight = gaussian_biases(std)
    gaps = np.diff(biases)
    # Some 60 to a standard deviation of them: a fourth of that of Z.
    np.testing.assert_allclose(gaps, gaps[0], rtol=1e-9)
    assert 0.235 < gaps[0] <= 0.25
    # One of them is none, and the others come in pairs.
    np.testing.assert_allclose(biases, -biases[::-1], atol=1e-13 * std)
    assert abs(biases[len(biases) // 2]) < 1e-13 * std
    assert weight.sum() == pytest.approx(1, rel=1e-14)
    assert weight @ biases**2 == pytest.approx(std**2, rel=1e-11)


def test_narrow_laws_of_the_bias_have_as_many_nodes_as_a_quadrature_needs():
    for std in (1e-3, 1.0, 4.2):
        biases, weight = gaussian_biases(std)
        assert len(biases) == 257
        assert weight @ (biases / std) ** 8 == pytest.approx(105, rel=1e-8)
    assert [each.tolist() for each in gaussian_biases(0.0)] == [[0.0], [1.0]]


def test_the_narrowest_and_the_widest_law_of_the_bias():
    assert [check_std(std) for std in (0, 1e4)] == [0, 1e4]


# --- integrals


@pytest.mark.parametrize("bias", [-35.7, -12.3, -4.1, -0.7, 0.9])
def test_the_mean_of_a_relu_is_right_where_it_is_hardly_ever_on(bias):
    with mp.workdps(40):
        # The density alone has the rounding of the square of the bias.
        density = mp.mpf(math.exp(-bias * bias / 2)) / mp.sqrt(2 * mp.pi)
        mean = density * (1 + bias * mp.ncdf(bias) / mp.npdf(bias))
    found = _rows._relu_integrals(np.array([bias]))[0][0]
    assert found == pytest.approx(float(mean), rel=2e-12, abs=0)


@pytest.mark.parametrize("small, kept", [(6e-14, False), (2e-13, True)])
def test_a_mean_that_is_rounding_counts_as_none(small, kept):
    found = row(lambda t: 1e5 * (t + small))
    assert found.mean[0] == (pytest.approx(1e5 * small, rel=1e-2) if kept else 0)


@pytest.mark.parametrize("small, kept", [(6e-13, False), (2e-12, True)])
def test_a_linear_part_that_is_rounding_counts_as_none(small, kept):
    found = row(lambda t: 1e5 * (he2(t) + small * t))
    assert found.zeta[0] == (pytest.approx(1e10 * small**2, rel=1e-2, abs=0) if kept else 0)


def test_a_row_that_is_zero_beside_one_that_is_not():
    def ramp(t):
        return np.maximum(t, 0)

    both = rows(ramp, np.array([-100.0, 0.3]), np.array([0.25, 0.75]), (0.0,))
    alone = row(relu, 0.3)
    for name in ("mean", "zeta", "noise", "hermite2", "hermite4"):
        zero, other = getattr(both, name)
        assert zero == 0
        assert other == pytest.approx(getattr(alone, name)[0], rel=1e-11)


def test_a_function_that_is_zero_is_a_constant():
    with pytest.raises(ValueError, match=r"^activation must not be constant: it leaves no bulk$"):
        row(np.zeros_like)


def test_what_is_linear_where_the_rows_see_it_may_not_be_so_elsewhere():
    far = np.array([100.0])
    for f, affine in (
        (lambda t: 2 * t + 1, True),
        (lambda t: np.abs(t), False),
        # Not even finite around its kink, where no row comes.
        (lambda t: np.where(t > 20, t, np.nan), False),
    ):
        found = rows(f, far, np.ones(1), (0.0,))
        assert (found.affine, found.noise[0]) == (affine, 0)


# --- when two quadratures are believed

WEIGHT, BIASES = np.array([0.7, 0.3]), np.array([0.0, -2.5])
SQUARE = np.array([4e6, 9e-22])
# The share of the root mean square over all rows that does not matter.
LEAST = 1e-15 * math.sqrt(0.7 * 4e6)


def quadrature(scale, rounding=1e-12, **changes):
    """Return integrals of two rows, one of them next to nothing, each divided by its scale."""
    values = {
        "scale": scale * np.array([50.0, 2e-12]),
        "mean": np.array([300.0, 2e-12]),
        "linear": np.array([-500.0, 1e-12]),
        "square": SQUARE,
        "outside": np.zeros(2),
        **{name: np.zeros(2) for name in ("noise", "hermite2", "hermite4")},
        "rounding": np.full(2, rounding),
    }
    for name, change in changes.items():
        values[name] = values[name] + np.array(change)
    for name, power in (("mean", 1), ("linear", 1), ("square", 2), ("outside", 2)):
        values[name] = values[name] / values["scale"] ** power
    return _rows._Integrals(**values)


def believed(fine, coarse, kinks=(0.0,)):
    _rows._check_accuracy(BIASES, WEIGHT, fine, coarse, kinks)


# The scale of each quadrature is its own: the largest value on its nodes.
SCALES = pytest.mark.parametrize("fine, coarse", [(1.0, 1.0), (1.0, 0.4), (0.3, 1.0)])


@SCALES
@pytest.mark.parametrize("rounding, tolerance", [(1e-12, 1e-9), (3e-6, 3e-6)])
@pytest.mark.parametrize("name", ["mean", "linear", "square"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_two_quadratures_may_differ_by_a_share_or_by_what_does_not_matter(
    fine, coarse, rounding, tolerance, name, sign
):
    power = 2 if name == "square" else 1
    allowed = tolerance * SQUARE ** (power / 2) + LEAST**power
    one = quadrature(fine, rounding)
    believed(one, quadrature(coarse, rounding))
    believed(one, quadrature(coarse, **{name: sign * 0.95 * allowed}))
    for change in 1.05 * np.eye(2):
        other = quadrature(coarse, **{name: sign * change * allowed})
        with pytest.raises(ValueError, match="must be smooth between its kinks"):
            believed(one, other)


@SCALES
def test_the_ends_may_hold_a_share_or_what_does_not_matter(fine, coarse):
    allowed = 1e-13 * SQUARE + LEAST**2
    believed(quadrature(fine, outside=0.95 * allowed), quadrature(coarse))
    for change in 1.05 * np.eye(2):
        with pytest.raises(ValueError, match="must grow so slowly"):
            believed(quadrature(fine, outside=change * allowed), quadrature(coarse))


def test_a_quadrature_that_is_not_a_number_is_not_believed():
    for name, message in (("outside", "grow so slowly"), ("mean", "smooth"), ("square", "grow")):
        with pytest.raises(ValueError, match=message):
            believed(quadrature(1.0, **{name: [math.nan, 0]}), quadrature(1.0))


@pytest.mark.parametrize("outside, where", [([80.0, 0.0], ""), ([0.0, 9e-23], " of the bias -2.5")])
def test_the_message_about_ends(outside, where):
    share = "2e-05" if outside[0] else "0.1"
    message = (
        "activation must grow so slowly that E f(Z)^2 is finite and lies within 38.5 standard "
        f"deviations{where}; a share of {share} lies at the ends of that range"
    )
    fine = quadrature(1.0, outside=outside)
    if where:
        # What is next to nothing beside the other row is seen alone.
        fine = fine._replace(square=fine.square * [0, 1])
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        believed(fine, fine)


def test_the_message_about_kinks():
    message = (
        "activation must be smooth between its kinks, named so far: 0, -1.5, 2; two quadratures "
        "of one Gaussian integral, divided by 50, give 6 and 6.02"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        believed(quadrature(1.0), quadrature(1.0, mean=[1.0, 0]), (0.0, -1.5, 2.0))
