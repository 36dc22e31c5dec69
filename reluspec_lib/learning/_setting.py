"""The arguments that all methods of learning share, checked once, in units of their sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib._validation import Array, as_floating, check_rows, check_weights
from reluspec_lib.learning._loss import Population, Sample, unit
from reluspec_lib.learning._trajectory import Trajectory, split
from reluspec_lib.learning.targets import Target
from reluspec_lib.network import features

__all__ = ["Setting", "check_flag", "checked_features", "checked_weights"]

# Sizes of weights and inputs whose squares are normal numbers, with room for sums.
_SMALLEST, _LARGEST = 1e-150, 1e150

# Times beyond this are for ever, in units in which the largest feature weight is about 1.
_FOR_EVER = 1e250


class Setting:
    """Checked arguments.

    With W = scale unit, f_v is the function of the weights ``unit`` at the readout scale v. The
    target is the function of the readout ``offset``, plus ``function``.
    """

    def __init__(self, W: ArrayLike, target: Target | ArrayLike, start: ArrayLike | None) -> None:
        self.W, self.unit, self.scale = checked_weights(W)
        d, m = self.W.shape
        if isinstance(target, Target) and target.d != d:
            raise ValueError(
                f"W must have shape (d, m) with the target's d = {target.d}, got shape {(d, m)}"
            )
        self.target = target if isinstance(target, Target) else _vector("target", target, m)
        self.start = np.zeros(m) if start is None else _vector("start", start, m)
        self.offset, self.function = split(self.target, self.W)

    def loss(self, sample: tuple[ArrayLike, ArrayLike] | None) -> Population | Sample:
        """Return the loss in units, where learning starts.

        Inputs of a sample are scaled as well, and ``scale`` becomes that of both.
        """
        if sample is None:
            population = Population(self.unit)
            away = self.scale * (self.start - self.offset)
            population.force = self.function._moment(self.unit) - population.A @ away
            return population
        if not isinstance(sample, tuple) or len(sample) != 2:
            raise ValueError(f"sample must be a pair (x, y), got {type(sample).__name__}")
        X, size = checked_features(sample[0], self.unit, self.scale)
        self.scale *= size
        finite = Sample(X)
        finite.residual = _vector("y", sample[1], len(X)) - X @ (self.scale * self.start)
        return finite

    def scaled(self, times: Array) -> Array:
        """Return times, or steps, for the loss in units: its matrix is J over scale^2."""
        with np.errstate(over="ignore"):
            scaled: Array = np.minimum(times * self.scale**2, _FOR_EVER)
        return scaled

    def trajectory(
        self, times: Array, change: Array, step: float | None, solver: str, products: int
    ) -> Trajectory:
        """Return the path whose readout in units changed by so much."""
        readout = self.start[:, None] + change / self.scale
        return Trajectory(self.W, self.target, times, readout, self.start, step, solver, products)


def checked_weights(W: ArrayLike) -> tuple[Array, Array, float]:
    """Return hidden weights, and these over a power of two, with that power."""
    W = check_weights(W).astype(np.float64, copy=False)
    scaled, scale = unit(W)
    _check_size("W", scale)
    return W, scaled, scale


def checked_features(x: ArrayLike, W: Array, scale: float) -> tuple[Array, float]:
    """Return the features of inputs over a power of two, and that power.

    The weights W are over ``scale``.
    """
    x, size = unit(check_rows("x", x, len(W)))
    _check_size("x", size, scale)
    return features(x, W), size


def check_flag(name: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def _check_size(name: str, scale: float, other: float = 1.0) -> None:
    """Refuse arrays for which entries of J would underflow or overflow."""
    if not _SMALLEST < min(scale, scale * other) <= max(scale, scale * other) < _LARGEST:
        raise ValueError(
            f"{name} must have its largest entry between 1e-150 and 1e150 in size (inputs also "
            f"times that of W), got about {scale:.3g}"
        )


def _vector(name: str, value: ArrayLike, length: int) -> Array:
    vector = as_floating(name, value).astype(np.float64, copy=False)
    if vector.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), got shape {vector.shape}")
    return vector
