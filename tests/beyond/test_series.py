"""Second moments by Hermite series and in the plane, against closed forms and single integrals."""

import math
import re

import numpy as np
import pytest
from scipy import integrate, special

from helpers import with_peak
from reluspec_lib import activations
from reluspec_lib.beyond import _series
from reluspec_lib.proportional import _rows

Activation = activations.Activation


def jump(place, size=1.0, kinks=None):
    return Activation(lambda t: size * (t > place), kinks=(place,) if kinks is None else kinks)


def of_two(moments, rho):
    """The second moment of the columns 0 and 1, at a correlation >= 0."""
    first, second = np.array([[0], [1]])
    return moments(first, second, np.array([rho]), np.array([1 - rho]))[0]


def quadrant(h, k, rho):
    """P(X > h, Y > k) by Plackett: its derivative by the correlation is a density."""
    theta = math.asin(rho)
    found, _ = integrate.quad(
        lambda t: math.exp(-(h * h + k * k - 2 * h * k * math.sin(t)) / (2 * math.cos(t) ** 2)),
        0,
        theta,
        epsabs=1e-13,
        points=[theta * (1 - 0.1**n) for n in range(1, 6)],
    )
    return special.ndtr(-h) * special.ndtr(-k) + found / (2 * math.pi)


@pytest.mark.parametrize(
    "place, a, b, size",
    [
        (0.5, 1.0, 0.6, 1e-6),
        (0.5, 1.0, 0.6, 1e6),
        (-1.0, 3.0, 3.0, 1),
        (2.0, 40.0, 5.0, 1),
        (0.0, 0.3, 2e4, 1),
    ],
)
def test_jumps_of_any_size_at_any_place(place, a, b, size):
    h, k = place / a, place / b
    rho = np.array([-1.0, -0.97, 0.5, 0.97, 0.9999, 1 - 1e-9, 1.0])
    found = activations.kernel(jump(place, size), a, b, rho) / size**2
    expected = [quadrant(h, k, one) for one in rho]
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=1e-9 * math.sqrt(special.ndtr(-h) * special.ndtr(-k))
    )


def test_sums_of_up_to_all_terms_and_what_is_beyond():
    # The law of arcsines. Its terms say from which correlation on all of them are summed.
    n = np.arange(1, _series._TERMS, 2)
    rest = 1 - (2 * special.beta(n / 2, 0.5) / (math.pi**2 * n)).sum()
    all_of_them = (_series._TOLERANCE / rest) ** (1 / _series._TERMS)
    sign = Activation(np.sign, kinks=(0,)).cross(np.array([[1.0, 2.0]]))
    for rho in all_of_them * (1 + np.array([-0.1, -1e-3, -2e-5, 2e-5, 1e-3])):
        assert abs(of_two(sign, rho) - 2 / math.pi * math.asin(rho)) <= 1e-9


@pytest.mark.parametrize(
    "function, kinks, b, rho",
    [
        (lambda t: 1e-3 * np.tanh(t), (), 0.7, 0.99),
        (lambda t: 1e3 * np.tanh(t), (), 1.0, 0.99),
        (lambda t: 1.0 * (t > 0.5), (0.5,), 0.7, 0.5),
        (lambda t: 1.0 * (t > 0.5), (0.5,), 1.0, 1.0),
    ],
)
def test_pairs_of_a_short_remainder_cost_no_value_of_the_activation(function, kinks, b, rho):
    sizes = []

    def watched(t):
        sizes.append(t.size)
        return function(t)

    moments = Activation(watched, kinks).cross(np.array([[1.0, b]]))
    known = len(sizes)
    found = of_two(moments, rho)
    assert len(sizes) == known > 0
    assert found == activations.kernel(Activation(function, kinks), 1.0, b, rho)


@pytest.mark.parametrize("a, b", [(1.0, 1.0), (1.0, 0.7), (0.3, 1.0)])
def test_fast_growth_between_far_kinks(a, b):
    rho = np.array([-0.99, -0.4, 0.5, 0.9, 1.0])
    c = 0.2  # with 0.25 the second moment at length 1 is not finite

    def moment(a, b, rho):
        rest = (1 - 2 * c * a * a) * (1 - 2 * c * b * b) - (2 * c * a * b * rho) ** 2
        return 1 / np.sqrt(rest)

    found = activations.kernel(Activation(lambda t: np.exp(c * t * t)), a, b, rho)
    root = math.sqrt(moment(a, a, 1) * moment(b, b, 1))
    np.testing.assert_allclose(found, moment(a, b, rho), rtol=0, atol=1e-9 * root)
    # At its kinks and beyond, this one is more than a float can be.
    found = activations.kernel(Activation(np.cosh, kinks=(-1e3, 1e3)), 3 * a, 3 * b, rho)
    expected = math.exp(4.5 * (a * a + b * b)) * np.cosh(9 * a * b * rho)
    root = math.exp(9 * (a * a + b * b)) * math.sqrt(
        (1 + math.exp(-18 * a * a)) * (1 + math.exp(-18 * b * b)) / 4
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * root)


def test_oscillations():
    cosine = Activation(np.cos)
    rho = np.array([-0.9, 0.0, 0.95, 0.99, 1.0])
    expected = np.exp(-400 * (1 - rho)) / 2 + np.exp(-400 * (1 + rho)) / 2
    found = activations.kernel(cosine, 20.0, 20.0, rho)
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-10)
    assert float(activations.kernel(cosine, 32.0, 32.0, 1.0)) == pytest.approx(0.5, rel=1e-11)


@pytest.mark.parametrize("a, b", [(1e3, 1e3), (1e5, 1.0), (1e7, 1e7)])
def test_long_columns_on_one_line(a, b):
    # On the scale of logarithms the arctan turns as slowly as at length 1.
    u, step = np.linspace(-45, 2.3, 2001, retstep=True)
    z = np.exp(u)
    bell = z * np.exp(-z * z / 2) * step * math.sqrt(2 / math.pi)
    expected = (np.arctan(a * z) * np.arctan(b * z)) @ bell
    found = activations.kernel(Activation(np.arctan), a, b, [1.0, -1.0])
    np.testing.assert_allclose(found, [expected, -expected], rtol=1e-12)


@pytest.mark.parametrize("a, b", [(0.5, 1e4), (1e4, 0.5)])
def test_a_long_column_next_to_the_line_of_a_short_one(a, b):
    rho = np.array([-0.9999, -0.97, 0.98, 0.999, 1 - 1e-9])
    found = activations.kernel(Activation(special.erf), a, b, rho)
    square = activations.kernel("erf", a, a, 1.0) * activations.kernel("erf", b, b, 1.0)
    expected = activations.kernel("erf", a, b, rho)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * math.sqrt(square))


def test_without_length():
    bent = Activation(lambda t: np.abs(t - 1), kinks=(1,))
    found = activations.kernel(bent, 0.0, 0.0, [-1.0, 0.5, 1.0])
    np.testing.assert_allclose(found, 1, rtol=1e-14)
    sign = Activation(np.sign, kinks=(0,))
    found = activations.kernel(sign, [0.0, 0.0, 2.0], [0.0, 2.0, 0.0], 0.99)
    np.testing.assert_allclose(found, 0, atol=1e-15)


def test_the_function_zero():
    zero = Activation(np.zeros_like)
    found = activations.kernel(zero, [1.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.3, 0.99, 1.0])
    assert found.tolist() == [0, 0, 0]


def test_how_many_lengths_are_taken_together_changes_nothing(monkeypatch):
    lengths = np.linspace(0.1, 3, 11)
    found = activations.kernel("tanh", lengths, lengths[::-1], 0.5)
    monkeypatch.setattr(_series, "_AT_ONCE", 4)
    few = activations.kernel("tanh", lengths, lengths[::-1], 0.5)
    np.testing.assert_allclose(few, found, rtol=1e-13)


@pytest.mark.parametrize(
    "function, kinks, rho, enough", [(np.sign, (0,), 0.1, 12), (np.tanh, (), 0.9, 40)]
)
def test_the_terms_that_a_sum_needs_are_all_that_are_read(function, kinks, rho, enough):
    # Few, where the correlation is small, and also where the terms are.
    moments = Activation(function, kinks).cross(np.array([[0.5, 0.4]]))
    expected = of_two(moments, rho)
    moments.terms[:, enough:] = np.nan
    assert of_two(moments, rho) == expected


@pytest.mark.parametrize("kind", [bool, np.int8, np.float32])
def test_values_of_other_types(kind):
    act = Activation(lambda t: (t > 0).astype(kind), kinks=(0,))
    rho = np.array([-0.5, 0.3, 0.9999])
    found = activations.kernel(act, 1.0, 2.0, rho)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, 0.25 + np.arcsin(rho) / (2 * math.pi), atol=1e-9)


def test_each_row_has_the_pieces_between_its_own_ends():
    rows = np.array([[0.0, 20.0, -2.0, -30.0], [1.0, -9.0, 0.5, 9.0]])
    z, weight = _series._pieces(rows, 24)
    for row, nodes, mass in zip(rows, z, weight, strict=True):
        for found, expected in zip((nodes, mass), _series._pieces(row, 24), strict=True):
            np.testing.assert_array_equal(found, expected)
        assert mass.sum() == pytest.approx(1, abs=1e-3)


def test_a_pair_in_the_plane_takes_little_memory():
    # Pieces of the inner integral are chosen anew for each node of the outer one.
    act = jump(2.0)
    _, peak = with_peak(lambda: activations.kernel(act, 40.0, 5.0, 0.97))
    assert peak < 2e7


# What is measured stands for #.
MEASURED = r"-?[0-9.]+(e[-+][0-9]+)?"


def test_growth_that_is_refused():
    # Its mean square is spread evenly, over all that the wider quadrature reaches.
    far, last = _rows._RADIUS, _rows._LAST
    message = (
        "activation must be smooth between its kinks, named so far: none, and grow so slowly that "
        "its second moment is finite; at length 1 two quadratures differ by "
        f"{1 - _series._FAR / far:.2g}, and a share of {1 - last / far:.2g} lies at the ends"
    )
    act = Activation(lambda t: 3 * np.exp(t * t / 4))
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        activations.kernel(act, 1.0, 1.0, 0.0)


@pytest.mark.parametrize("size", [1e-6, 1, 1e6])
@pytest.mark.parametrize(
    "place, kinks, start",
    [
        (0.3, (), "activation must be smooth between its kinks, named so far: none, and grow "),
        # The pieces on the line end at this place by chance, those in the plane do not.
        (
            1.5,
            (),
            "activation must be smooth between its kinks, named so far: none; two quadratures of "
            "one second moment give # and #",
        ),
        (
            1.5,
            (-2.5, 1),
            "activation must be smooth between its kinks, named so far: -2.5, 1; two quadratures "
            "of one second moment give # and #",
        ),
    ],
)
def test_jumps_that_are_not_named_are_found_whatever_their_size(place, kinks, start, size):
    act = Activation(lambda t: size * np.sign(t - place), kinks=kinks)
    pattern = re.escape(start).replace(re.escape("#"), MEASURED)
    with pytest.raises(ValueError, match=f"^{pattern}{'$' if '#' in start else ''}"):
        activations.kernel(act, 1.0, 1.0, 0.99)
