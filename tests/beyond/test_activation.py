"""What an activation knows of itself: values, kinks and closed forms of second moments."""

import math
import re

import mpmath as mp
import numpy as np
import pytest

from reluspec_lib import activations, fisher
from reluspec_lib.beyond import _activation


def polar(power, rho, sign=1.0):
    """E ReLU(X)^power ReLU(sign Y)^power by quadrature over the angle, for correlation rho."""
    with mp.workdps(30):
        theta = mp.acos(mp.mpf(rho) * sign)
        part = mp.quad(
            lambda t: (mp.cos(t) * mp.cos(t - theta)) ** power, [theta - mp.pi / 2, mp.pi / 2]
        )
        return float(part * 2**power * mp.gamma(power + 1) / (2 * mp.pi))


def test_kinks_and_names():
    plain = activations.Activation(np.tanh, kinks=[2, -1, 2.0])
    assert plain.kinks == (-1.0, 2.0)
    assert plain.name == "activation"
    assert repr(plain) == "<activation 'activation'>"
    assert (activations.gelu.kinks, activations.relu.kinks) == ((), (0.0,))


@pytest.mark.parametrize("power", [0, 1, 2, 2.5, 20])
@pytest.mark.parametrize("even, odd", [(0.3, 0.3), (0.3, -0.2), (0, 2), (1.5, 0)])
def test_values_of_homogeneous_activations(even, odd, power):
    act = activations.Homogeneous(even, odd, power, "one")
    t = np.array([[-2.0, -0.5], [0.25, 3.0]])
    expected = np.abs(t) ** power * np.where(t > 0, even + odd, even - odd)
    np.testing.assert_allclose(act(t), expected, rtol=1e-14, atol=1e-15)
    assert act(0.0) == (0 if power else even)
    assert (act.even, act.odd, act.power) == (even, odd, power)
    assert (act.name, act.kinks) == ("one", (0.0,))


def test_a_rectifier_of_numbers_far_below_0_is_0():
    # Also where the parts on the two sides overflow by themselves.
    assert activations.Homogeneous(2, 2, 1, "one")([-1e308, 1.0]).tolist() == [0, 4]


@pytest.mark.parametrize("name", ["gelu", "erf", "cos", "sin"])
@pytest.mark.parametrize("a, b, rho", [(1.0, 2.0, 0.3), (0.7, 1.5, -0.95), (0.4, 0.4, 0.0)])
def test_closed_forms_are_what_series_add_up_to(name, a, b, rho):
    named = activations.named(name)
    plain = activations.kernel(activations.Activation(named.function), a, b, rho)
    assert activations.kernel(named, a, b, rho) == pytest.approx(plain, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("name", ["gelu", "erf", "step"])
@pytest.mark.parametrize("a, b", [(5, 5), (50, 30), (1e3, 2e4)])
@pytest.mark.parametrize("rho", [-1.0, -0.99, 0.9999, 1 - 1e-9])
def test_long_columns_that_are_nearly_parallel(name, a, b, rho):
    # A plain function goes to the series and the plane, the named one to its closed form.
    named = activations.named(name)
    plain = activations.Activation(named.function, kinks=named.kinks)
    size = np.sqrt(activations.kernel(named, a, a, 1) * activations.kernel(named, b, b, 1))
    expected = activations.kernel(named, a, b, rho)
    assert abs(activations.kernel(plain, a, b, rho) - expected) <= 2e-9 * size


@pytest.mark.parametrize("sign", [1, -1])
def test_cosine_and_sine_are_hyperbolic_ones_of_the_correlation(sign):
    entries = _activation.cosine(sign)
    hyperbolic = mp.cosh if sign == 1 else mp.sinh
    near = [1e-9, 1e-17]
    for a, b, rho, gap in [
        (0.7, 1.5, 0.25, 0.75),
        (0.7, 1.5, -0.25, 0.75),
        (2.0, 0.0, 0.0, 1.0),
        *[(1e4, 1e4 + 0.5, s * (1 - g), g) for s in (1, -1) for g in near],
    ]:
        with mp.workdps(40):
            exact = 1 - mp.mpf(gap) if rho >= 0 else mp.mpf(gap) - 1
            size = mp.exp(-(mp.mpf(a) ** 2 + mp.mpf(b) ** 2) / 2)
            expected = float(size * hyperbolic(mp.mpf(a) * b * exact))
        found = entries(*(np.array([value]) for value in (a, b, rho, gap)))
        np.testing.assert_allclose(found, [expected], rtol=1e-12 if a > 1e3 else 1e-14, atol=1e-17)


@pytest.mark.parametrize(
    "activation",
    [
        activations.silu,
        activations.gelu,
        *(activations.Homogeneous(1.5, 0.5, power, "one") for power in (0, 1, 2)),
    ],
)
def test_matrices_have_the_moments_of_columns_in_the_type_of_the_weights(activation):
    W = np.array([[0.5, 1.0, -1.5], [0.0, 2.0, 0.25]])
    lengths = np.linalg.norm(W, axis=0)
    rho = W.T @ W / np.outer(lengths, lengths)
    expected = activations.kernel(activation, lengths[:, None], lengths, np.clip(rho, -1, 1))
    for kind, rtol in ((np.float32, 1e-6), (np.float64, 1e-8)):
        J = fisher.matrix(W.astype(kind), activation=activation)
        assert J.dtype == kind
        np.testing.assert_allclose(J, expected, rtol=rtol)


def test_moments_of_degree_0_do_not_depend_on_lengths_whose_squares_are_not_floats():
    w = np.array([0.6, 0.8])
    J = fisher.matrix(np.column_stack([1e200 * w, 0 * w, w]), activation=activations.step)
    expected = [[0.5, 0.25, 0.5], [0.25, 0.25, 0.25], [0.5, 0.25, 0.5]]
    np.testing.assert_allclose(J, expected, rtol=1e-15)


@pytest.mark.parametrize("power", [0, 0.5, 1, 1.5, 2, 3, 4])
@pytest.mark.parametrize("rho", [-0.999, -0.6, 0.0, 0.3, 0.99])
def test_second_moments_of_relu_powers(power, rho):
    found = float(activations.kernel(activations.relu_power(power), 2.0, 0.5, rho))
    assert found == pytest.approx(polar(power, rho), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("power", [0, 0.5, 1, 2, 3])
@pytest.mark.parametrize("even, odd", [(1, 0), (0, 1), (0.75, -0.5)])
def test_second_moments_of_homogeneous_activations_are_sums_over_signs(even, odd, power):
    rho, act = -0.35, activations.Homogeneous(even, odd, power, "one")
    same, mixed = polar(power, rho), polar(power, rho, -1)
    expected = 2 * even**2 * (same + mixed) + 2 * odd**2 * (same - mixed)
    found = activations.kernel(act, [2.0, 2.0], [0.25, 1.5], rho)
    np.testing.assert_allclose(found, expected * np.array([0.5, 3.0]) ** power, rtol=1e-12)
    W = np.array([[2.0, 1.5 * rho], [0.0, 1.5 * math.sqrt(1 - rho**2)]])
    assert fisher.matrix(W, activation=act)[0, 1] == pytest.approx(found[1], rel=1e-12)


@pytest.mark.parametrize("slope", [-1, 0.0, 0.3, 2])
def test_second_moments_of_leaky_relus_are_sums_over_signs(slope):
    rho = 0.4
    same, mixed = polar(1, rho), polar(1, rho, -1)
    expected = (1 + slope**2) * same - 2 * slope * mixed
    assert float(activations.kernel(activations.leaky(slope), 1, 1, rho)) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: activations.Activation(3), "function must be callable, got 3"),
        (
            lambda: activations.Activation(np.tanh, name=""),
            "name must be a string with at least one letter, got ''",
        ),
        (
            lambda: activations.Activation(np.tanh, name=5),
            "name must be a string with at least one letter, got 5",
        ),
        (lambda: activations.Activation(np.tanh, 2), "kinks must be a sequence of numbers, got 2"),
        (lambda: activations.Activation(np.tanh, ["a"]), "kinks must be a finite number, got 'a'"),
        (lambda: activations.Homogeneous("a", 1, 1, "s"), "even must be a finite number, got 'a'"),
        (lambda: activations.Homogeneous(1, "a", 1, "s"), "odd must be a finite number, got 'a'"),
        (lambda: activations.Homogeneous(1, 1, "a", "s"), "power must be a finite number, got 'a'"),
        (lambda: activations.relu_power(20.5), "power must be from 0 to 20, got 20.5"),
        (
            lambda: activations.Homogeneous(0, 0, 1, "s"),
            "even and odd must not both be 0: the activation would be",
        ),
    ],
)
def test_messages_in_full(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
