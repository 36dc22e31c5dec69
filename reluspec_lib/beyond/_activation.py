"""An activation: its values, what is known of it, and what the network and J take from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import special

from reluspec_lib import network
from reluspec_lib._validation import Array, check_number
from reluspec_lib.beyond import _entries, _series
from reluspec_lib.spectrum import _kernel

__all__ = ["Activation", "ClosedForm", "Homogeneous", "cosine", "erf", "gelu"]

Function = Callable[[Array], Array]
# E[s(a X) s(b Y)] at lengths a, b and a correlation with what is missing from it to 1 or -1.
Entries = Callable[[Array, Array, Array, Array], Array]

# Powers up to here have elementary kernels; beyond, a hypergeometric series.
_ELEMENTARY = (0.0, 1.0, 2.0, 3.0)
_LARGEST_POWER = 20.0


class Activation:
    r"""A function of the pre-activation, to be used wherever the library takes an activation.

    Parameters
    ----------
    function : callable
        Takes an ndarray, returns the values in the same shape.
    kinks : sequence of float
        Where the function or one of its derivatives jumps. It must be smooth elsewhere.
    name : str
        What it is called.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> clip = Activation(lambda t: np.clip(t, -1, 1), kinks=(-1, 1), name="clip")
    >>> clip([-3.0, 0.5]).tolist()
    [-1.0, 0.5]
    """

    def __init__(
        self, function: Function, kinks: Sequence[float] = (), name: str = "activation"
    ) -> None:
        if not callable(function):
            raise ValueError(f"function must be callable, got {function!r}")
        if not isinstance(name, str) or not name:
            raise ValueError(f"name must be a string with at least one letter, got {name!r}")
        try:
            places = [check_number("kinks", kink) for kink in kinks]
        except TypeError:
            raise ValueError(f"kinks must be a sequence of numbers, got {kinks!r}") from None
        self.function, self.name = function, name
        self.kinks = tuple(sorted(set(places)))

    def __call__(self, t: Any) -> Array:
        values: Array = self.function(np.asarray(t))
        return values

    def __repr__(self) -> str:
        return f"<activation {self.name!r}>"

    def second_moments(self, W: Array, kind: np.dtype[Any], workers: int) -> Array:
        """Return E[s(W^T x) s(W^T x)^T], x standard Gaussian, for checked weights."""
        return _entries.assembled(W, self.cross(W), kind, workers)

    def cross(self, W: Array) -> _entries.Tile:
        """Return what gives the second moments of two sets of columns of W."""
        return _series.Series(self.function, self.kinks, np.sqrt(np.einsum("lj,lj->j", W, W)))


class ClosedForm(Activation):
    """An activation whose second moments have a closed form."""

    def __init__(self, function: Function, name: str, entries: Entries) -> None:
        super().__init__(function, (), name)
        self.entries = entries

    def cross(self, W: Array) -> _entries.Tile:
        """Return what gives the second moments of two sets of columns of W."""
        lengths = np.sqrt(np.einsum("lj,lj->j", W, W))

        def tile(i: Array, j: Array, cosine: Array, gap: Array) -> Array:
            return self.entries(lengths[i], lengths[j], cosine, gap)

        return tile


class Homogeneous(ClosedForm):
    r"""The activation e \|t\|^alpha + o sgn(t) \|t\|^alpha, positively homogeneous of degree alpha.

    Parameters
    ----------
    even, odd : float
        e and o, not both 0.
    power : float
        alpha, from 0 to 20.
    name : str
        What it is called.

    Raises
    ------
    ValueError
        If an argument is not as described.
    """

    def __init__(self, even: float, odd: float, power: float, name: str) -> None:
        self.even, self.odd = check_number("even", even), check_number("odd", odd)
        self.power = check_number("power", power)
        if not 0 <= self.power <= _LARGEST_POWER:
            raise ValueError(f"power must be from 0 to {_LARGEST_POWER:g}, got {power!r}")
        if not (self.even or self.odd):
            raise ValueError("even and odd must not both be 0: the activation would be")
        super().__init__(self._values, name, self._cross)
        self.kinks = (0.0,)

    def _values(self, t: Array) -> Array:
        e, o = self.even, self.odd
        values: Array
        if self.power == 1:
            values = e * np.abs(t) + o * t if e != o else 2 * e * np.maximum(t, 0)
        elif self.power:
            values = np.abs(t) ** self.power * (e + o * np.sign(t))
        else:
            values = e + o * np.sign(t)
        return values

    @property
    def parts(self) -> network.Parts | None:
        """What the network's tiles need of degrees 0 and 1."""
        if self.power == 0:
            return network.Parts(network._sign, factor=self.odd, constant=self.even)
        if self.power != 1:
            return None
        if self.odd == 0:
            return network.Parts(network._magnitude, self.even)
        return network.Parts(network._rectify, 2 * self.even, self.odd - self.even)

    def second_moments(self, W: Array, kind: np.dtype[Any], workers: int) -> Array:
        """Return E[s(W^T x) s(W^T x)^T], x standard Gaussian, for checked weights."""
        if self.power != 1:
            return super().second_moments(W, kind, workers)
        # s(t) = 2 e ReLU(t) + (o - e) t: the matrix of the ReLU, and that of the identity.
        J = _kernel.assembled(W, kind, workers)
        linear = self.odd**2 - self.even**2
        if self.even != 0.5:
            J *= 4 * self.even**2
        if linear:
            identity = W.T @ W
            identity *= linear
            J += identity
        return J

    def _cross(self, a: Array, b: Array, cosine: Array, gap: Array) -> Array:
        even, odd = _absolute_moments(self.power, cosine, gap)
        found: Array = self.even**2 * even + self.odd**2 * odd
        return found * (a * b) ** self.power if self.power else found


def _absolute_moments(power: float, cosine: Array, gap: Array) -> tuple[Array, Array]:
    r"""Return E \|X Y\|^alpha and E sgn(X Y) \|X Y\|^alpha of unit Gaussians with this correlation.

    Where alpha is a small integer they are the arc-cosine kernels of Cho and Saul (2009), taken
    apart, in general hypergeometric functions.
    """
    if power not in _ELEMENTARY:
        square = np.minimum(cosine**2, 1)
        first = 2**power * math.gamma((power + 1) / 2) ** 2 / math.pi
        second = 2 ** (power + 1) * math.gamma(power / 2 + 1) ** 2 / math.pi
        return (
            first * special.hyp2f1(-power / 2, -power / 2, 0.5, square),
            second * cosine * special.hyp2f1((1 - power) / 2, (1 - power) / 2, 1.5, square),
        )
    sine = np.sqrt(gap * (2 - gap))
    # The arcsine of the cosine, from the gap, since it is steep at the ends.
    arc = np.copysign(math.pi / 2 - 2 * np.arcsin(np.sqrt(gap / 2)), cosine)
    if power == 0:
        return np.ones_like(cosine), 2 / math.pi * arc
    if power == 1:
        return 2 / math.pi * (sine + cosine * arc), cosine
    square = cosine**2
    if power == 2:
        return 1 + 2 * square, 2 / math.pi * (3 * cosine * sine + (1 + 2 * square) * arc)
    cubic = cosine * (9 + 6 * square)
    return 2 / math.pi * (sine * (4 + 11 * square) + cubic * arc), cubic


def erf(a: Array, b: Array, cosine: Array, gap: Array) -> Array:
    """Return the arcsine kernel of Williams (1997)."""
    found: Array = 2 * a * b * cosine / np.sqrt((1 + 2 * a**2) * (1 + 2 * b**2))
    # Far from the end of the arcsine: there the argument is below 1 by 1/(2 a^2) at least.
    return 2 / math.pi * np.arctan2(found, np.sqrt(_rest(2 * a**2, 2 * b**2, gap)))


def _rest(square_a: Array, square_b: Array, gap: Array) -> Array:
    """Return 1 - q^2 for q the argument of the arcsine kernel at these squared lengths."""
    product = square_a * square_b
    determinant = 1 + square_a + square_b + product * gap * (2 - gap)
    rest: Array = determinant / (1 + square_a + square_b + product)
    return rest


def gelu(a: Array, b: Array, cosine: Array, gap: Array) -> Array:
    """Return the kernel of t Phi(t): twice Stein's lemma on the arcsine kernel."""
    A, B, c = 1 + a**2, 1 + b**2, a * b * cosine
    rest = _rest(a**2, b**2, gap)
    arc = np.arctan2(c / np.sqrt(A * B), np.sqrt(rest))
    bracket = (a * b) ** 2 + c**2 * (1 / A + 1 / B - 1)
    found: Array = c / 4 + (c * arc + bracket / np.sqrt(A * B * rest)) / (2 * math.pi)
    return found


def cosine(sign: float) -> Entries:
    """Return the kernel of the cosine, or with sign = -1 of the sine."""

    def entries(a: Array, b: Array, cosine: Array, gap: Array) -> Array:
        # |v - w|^2 and |v + w|^2, the one that may be small from the gap.
        near, far = (a - b) ** 2 + 2 * a * b * gap, (a + b) ** 2 - 2 * a * b * gap
        minus, plus = np.where(cosine < 0, far, near), np.where(cosine < 0, near, far)
        found: Array = (np.exp(-minus / 2) + sign * np.exp(-plus / 2)) / 2
        return found

    return entries
