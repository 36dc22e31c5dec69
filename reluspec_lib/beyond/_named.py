"""The activations with names, and those that a reader gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from reluspec_lib._validation import Array, check_number
from reluspec_lib.beyond import _activation
from reluspec_lib.beyond._activation import Activation, ClosedForm, Homogeneous

__all__ = [
    "absolute",
    "cos",
    "erf",
    "gelu",
    "identity",
    "leaky",
    "named",
    "relu",
    "relu_power",
    "sign",
    "silu",
    "sin",
    "softplus",
    "step",
    "tanh",
]

#: max(t, 0)
relu = Homogeneous(0.5, 0.5, 1, "relu")
#: 1 for t > 0, 1/2 at 0
step = Homogeneous(0.5, 0.5, 0, "step")
#: the sign of t
sign = Homogeneous(0, 1, 0, "sign")
#: |t|
absolute = Homogeneous(1, 0, 1, "absolute")
#: t
identity = Homogeneous(0, 1, 1, "identity")
#: t Phi(t)
gelu = ClosedForm(lambda t: t * special.ndtr(t), "gelu", _activation.gelu)
#: the error function
erf = ClosedForm(special.erf, "erf", _activation.erf)
#: the cosine
cos = ClosedForm(np.cos, "cos", _activation.cosine(1))
#: the sine
sin = ClosedForm(np.sin, "sin", _activation.cosine(-1))
#: t / (1 + exp(-t))
silu = Activation(lambda t: t * special.expit(t), name="silu")
#: log(1 + exp(t))
softplus = Activation(lambda t: np.logaddexp(0, t), name="softplus")
#: the hyperbolic tangent
tanh = Activation(np.tanh, name="tanh")

_NAMED = {a.name: a for a in (relu, step, sign, absolute, identity, gelu, erf, cos, sin, silu,
                              softplus, tanh)}  # fmt: skip


def leaky(slope: float) -> Activation:
    """Return the leaky ReLU: t for t > 0, slope t for t < 0.

    Parameters
    ----------
    slope : float
        Any finite number; 0 gives the ReLU, -1 the absolute value, 1 the identity.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If ``slope`` is not a finite number.
    """
    slope = check_number("slope", slope)
    return Homogeneous((1 - slope) / 2, (1 + slope) / 2, 1, f"leaky({slope:g})")


def relu_power(power: float) -> Activation:
    """Return ReLU(t)^power.

    Parameters
    ----------
    power : float
        From 0, the step, to 20.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If ``power`` is out of range.
    """
    return Homogeneous(0.5, 0.5, power, f"relu^{power:g}" if power != 1 else "relu")


def named(activation: Activation | str | Callable[[Array], Array]) -> Activation:
    """Return an activation from its name, or from a function that is smooth except at 0.

    Raises
    ------
    ValueError
        If there is no such name.

    Examples
    --------
    >>> named("gelu") is gelu, named(np.arctan)
    (True, <activation 'arctan'>)
    """
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str) and activation in _NAMED:
        return _NAMED[activation]
    if callable(activation):
        return Activation(activation, name=getattr(activation, "__name__", "activation"))
    raise ValueError(
        f"activation must be one of {', '.join(_NAMED)}, or a function, got {activation!r}"
    )
