"""The activations with names: which there are, and those of a parameter."""

import functools
import re

import numpy as np
import pytest

from reluspec_lib import activations


def test_names():
    assert activations.named(np.arctan).name == "arctan"
    assert activations.named(functools.partial(np.power, 2)).name == "activation"
    assert activations.named(activations.relu) is activations.relu
    names = [activations.leaky(-0.25).name, *(activations.relu_power(p).name for p in (1, 2.5))]
    assert names == ["leaky(-0.25)", "relu", "relu^2.5"]


@pytest.mark.parametrize("slope", [-0.25, 0, 3])
def test_leaky_relus(slope):
    act = activations.leaky(slope)
    assert act([-2.0, 0.0, 5.0]).tolist() == [-2 * slope, 0, 5]
    assert act.power == 1


@pytest.mark.parametrize("power", [0.5, 1, 3])
def test_powers_of_the_relu(power):
    np.testing.assert_allclose(activations.relu_power(power)([-2.0, 5.0]), [0, 5**power])


def test_the_names_are_those_of_the_module():
    names = ["relu", "step", "sign", "absolute", "identity", "gelu", "erf", "cos", "sin", "silu"]
    for name in [*names, "softplus", "tanh"]:
        assert activations.named(name) is getattr(activations, name)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: activations.leaky("a"), "slope must be a finite number, got 'a'"),
        *[
            (
                lambda given=given: activations.named(given),
                "activation must be one of relu, step, sign, absolute, identity, gelu, erf, cos, "
                f"sin, silu, softplus, tanh, or a function, got {given!r}",
            )
            for given in ("mish", 3)
        ],
    ],
)
def test_messages_in_full(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
