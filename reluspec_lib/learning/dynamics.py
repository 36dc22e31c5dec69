r"""Learning the readout weights by gradient descent, seen in function space.

The hidden weights W stay as drawn. On the loss L(v) = E(f_v(x) - y(x))^2 / 2 over inputs
x ~ N(0, I_d) the gradient is J v - b, with the Fisher information J and b = E[X(x)^T y(x)], so

.. math:: v(t) = v(0) + \varphi_t(J)\, (b - J v(0)), \qquad
          \varphi_t(\lambda) = \frac{1 - e^{-\lambda t}}{\lambda}
          \quad\text{or}\quad \frac{1 - (1 - \eta\lambda)^s}{\lambda}

for the flow to time t and for s steps of size eta. On a finite sample J_n = X^T X/n and X^T y/n
take the places of J and b. A :class:`Trajectory` measures its error always over all inputs: with
the limit functions F_i of the groups, y = sum_i c_i F_i + (degree >= 3) and any W,

.. math:: E(f_v - y)^2 = \sum_i \lambda_i (c_i - v_i^\top v)^2 + (\text{degree} \ge 3),

since v_i^T v is the coefficient of F_i in the function f_v. In the limit of large width the term of
a function F_i decays as exp(-2 lambda_i t).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib import groups
from reluspec_lib._validation import (
    Array,
    RandomSource,
    as_floating,
    check_count,
    check_number,
    check_rng,
    check_rows,
    check_times,
    check_weights,
)
from reluspec_lib._values import ByValue
from reluspec_lib.groups import Group
from reluspec_lib.learning._loss import (
    MOST_PRODUCTS,
    Population,
    Sample,
    exponential,
    power_of_two,
    single_input_bound,
    solve,
)
from reluspec_lib.learning.targets import Target
from reluspec_lib.spectrum import fisher

__all__ = ["Trajectory", "descent", "flow", "largest_step", "sgd"]

_SOLVERS = ("dense", "lanczos", "expm")

# Sizes of weights and inputs whose squares are normal numbers, with room for sums.
_SMALLEST, _LARGEST = 1e-150, 1e150

# Times beyond this are for ever, in units in which the largest feature weight is about 1.
_FOR_EVER = 1e250


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory(ByValue):
    """Readout weights along a path of learning, and the error of their function by group.

    Attributes
    ----------
    W : ndarray
        Shape (d, m), the hidden weights.
    target : Target or ndarray
        What was to be learned: a function, or readout weights of this network.
    times : ndarray
        Shape (T,); for a discrete method the number of steps times the step.
    readout : ndarray
        Shape (m, T), the readout weights at these times.
    start : ndarray
        Shape (m,), the readout weights at time 0.
    step : float or None
        The step of a discrete method, None for the flow.
    solver : str
        "dense" (eigendecomposition), "lanczos", "expm" (scipy's expm_multiply) or "sgd".
    products : int
        Products with J or J_n that "lanczos" took; 0 for the other solvers.
    """

    W: Array
    target: Target | Array
    times: Array
    readout: Array
    start: Array
    step: float | None
    solver: str
    products: int

    def along(self, group: Group) -> Array:
        """Return the coefficients v_i^T v(t) of the limit functions of a group.

        Parameters
        ----------
        group : Group
            A member of ``groups.ALL``.

        Returns
        -------
        ndarray, shape (group.size(d), T)
            What E[f_v F_i] / E[F_i^2] is at every width, for x ~ N(0, I_d).
        """
        W, scale = _unit(self.W)
        coefficients: Array = group.eigenvectors(W).T @ (scale * self.readout)
        return coefficients

    def error(self, group: Group) -> Array:
        r"""Return the mean square of the error's part in the span of a group's limit functions.

        .. math:: \sum_{i \in \text{group}} \lambda_i \big(c_i - v_i^\top v(t)\big)^2

        Parameters
        ----------
        group : Group
            A member of ``groups.ALL``.

        Returns
        -------
        ndarray, shape (T,)

        Raises
        ------
        ValueError
            If the group is not a member of ``groups.ALL``.
        """
        return _weighted(group, len(self.W), self._missing(group, self.readout))

    def predicted(self, group: Group, eigenvalue: float | None = None) -> Array:
        """Return what the error of a group would be at infinite width, from the same start.

        Parameters
        ----------
        group : Group
            A member of ``groups.ALL``.
        eigenvalue : float, optional
            The rate; by default ``group.eigenvalue(d)``.

        Returns
        -------
        ndarray, shape (T,)
            The error at time 0 times exp(-2 lambda t), or times (1 - step lambda)^(2 s) after s
            steps. For SGD, without the noise of the gradients.

        Raises
        ------
        ValueError
            If the group is not a member of ``groups.ALL``.
        """
        first = _weighted(group, len(self.W), self._missing(group, self.start[:, None]))
        if not first.any():
            return np.zeros(len(self.times))
        rate = group.eigenvalue(len(self.W)) if eigenvalue is None else eigenvalue
        if self.step is None:
            return first * np.exp(-2 * rate * self.times)
        decay: Array = np.abs(1 - self.step * rate) ** (2 * np.rint(self.times / self.step))
        return first * decay

    def risk(self) -> Array:
        """Return E(f_v(x) - y(x))^2 for x ~ N(0, I_d) and y without noise.

        Returns
        -------
        ndarray, shape (T,)
            Sum of the errors of all groups and the remainder. Exact, from the closed form of J.
        """
        offset, function = _split(self.target, self.W)
        W, scale = _unit(self.W)
        v = scale * (self.readout - offset[:, None])
        risk: Array = np.einsum("jt,jt->t", v, fisher.matvec(W, v))
        risk += function.power - 2 * function.moment(W) @ v
        return risk

    def remainder(self) -> Array:
        """Return the mean square of the error's part of degree 3 and more.

        Returns
        -------
        ndarray, shape (T,)
            Non-negative up to rounding.
        """
        rest = self.risk()
        for group in groups.ALL:
            rest -= self.error(group)
        return rest

    def _missing(self, group: Group, readout: Array) -> Array:
        """Return c_i - v_i^T v for the columns v of a readout."""
        offset, function = _split(self.target, self.W)
        W, scale = _unit(self.W)
        v = scale * (readout - offset[:, None])
        missing: Array = function.along(group)[:, None] - group.eigenvectors(W).T @ v
        return missing


def flow(
    W: ArrayLike,
    target: Target | ArrayLike,
    times: ArrayLike,
    *,
    sample: tuple[ArrayLike, ArrayLike] | None = None,
    start: ArrayLike | None = None,
    solver: str | None = None,
) -> Trajectory:
    """Follow the gradient flow v' = -grad L(v) exactly.

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights without a zero column.
    target : Target or array_like of shape (m,)
        What the error is measured against: a function of the module ``targets``, or readout
        weights v*, for the function f_v* of this network. Without ``sample`` it is also what
        is learned.
    times : array_like, shape (T,)
        Times >= 0 in increasing order.
    sample : (x, y), optional
        Inputs of shape (n, d) and responses of shape (n,) to learn from: the loss is then the mean
        over the sample. By default it is the mean over all inputs x ~ N(0, I_d), which noise in
        the responses would not change but for a constant.
    start : array_like, shape (m,), optional
        Readout weights at time 0, by default zeros.
    solver : {"dense", "lanczos", "expm"}, optional
        Eigendecomposition of J (with a sample, of the smaller side), Lanczos, or
        ``scipy.sparse.linalg.expm_multiply``. By default "dense" up to a size of 400, beyond it
        "lanczos".

    Returns
    -------
    Trajectory

    Raises
    ------
    ValueError
        If an argument has a wrong shape or is outside its range.

    Notes
    -----
    The solvers agree to about 1e-12 of the norm of v while t lambda_max < 1000. Later, rounding of
    the gradient grows along small eigenvalues lambda, by the factor lambda_max min(t, 1/lambda).
    The function f_v is not concerned: the risk is good to 1e-12 of the power of the target at every
    time. Eigenvalues below m eps lambda_max, with eps = 2.2e-16 and n for m where n < m, cannot be
    told from 0 in this precision: nothing is learned along them.

    Above m = 2500 "lanczos" and "expm" never hold J; "dense" does. A sample's features, n x m, are
    held. The number of products of "lanczos" grows slowly with time, to at most m (as long as
    t lambda_max < 1000, it is some dozens); of "expm" it grows like the time times the largest
    eigenvalue, and times that would take more than some 100,000 are refused.

    Examples
    --------
    >>> from reluspec_lib import groups, sample_weights, targets
    >>> W = sample_weights(3, 1000, np.random.default_rng(0))
    >>> path = flow(W, targets.limit(groups.NORM, 3), [0.0, 1.0, 2.0])
    >>> path.error(groups.NORM).round(2).tolist()
    [0.56, 0.19, 0.06]
    >>> path.predicted(groups.NORM).round(2).tolist()
    [0.56, 0.18, 0.06]
    """
    times = check_times("times", times)
    solver = _check_solver(solver, _SOLVERS)
    setting = _Setting(W, target, start)
    problem = setting.problem(sample)
    scaled = setting.scaled(times)

    def growth(values: Array) -> Array:
        # (1 - exp(-x))/x is 1 at 0.
        z = values[:, None] * scaled
        mean: Array = np.divide(-np.expm1(-z), z, out=np.ones_like(z), where=z > 0)
        return scaled * mean

    if solver == "expm":
        latest = MOST_PRODUCTS / problem.trace if problem.trace else math.inf
        if scaled[-1] > latest:
            raise ValueError(
                f"times must not exceed {latest * times[-1] / scaled[-1]:.3g} with the solver "
                f"expm, which takes longer the later they are, got {times[-1]:.3g}"
            )
        change, products = exponential(problem, scaled), 0
    else:
        solver, change, products = solve(problem, growth, solver)
    return setting.trajectory(times, change, None, solver, products)


def descent(
    W: ArrayLike,
    target: Target | ArrayLike,
    step: float,
    steps: Sequence[int] | Array,
    *,
    sample: tuple[ArrayLike, ArrayLike] | None = None,
    start: ArrayLike | None = None,
    solver: str | None = None,
    unstable: bool = False,
) -> Trajectory:
    """Follow gradient descent v <- v - step grad L(v), any number of steps at once.

    Parameters
    ----------
    W, target, sample, start
        As for :func:`flow`.
    step : float
        Size of a step, positive and below :func:`largest_step`.
    steps : sequence of int, shape (T,)
        Numbers of steps >= 0, in increasing order, after which the trajectory is reported.
    solver : {"dense", "lanczos"}, optional
        As for :func:`flow`.
    unstable : bool
        Allow a step beyond the bound, for which the error grows without limit.

    Returns
    -------
    Trajectory
        ``times`` are the numbers of steps times ``step``.

    Raises
    ------
    ValueError
        If an argument has a wrong shape or is outside its range, or the step is not below the
        bound.

    Notes
    -----
    The plain loop and this function agree to about 1e-12 of the norm of v for up to 1000 steps;
    what :func:`flow` says of long times holds for many steps. Time grows slowly with the numbers
    of steps.

    Examples
    --------
    >>> from reluspec_lib import groups, sample_weights, targets
    >>> W = sample_weights(3, 1000, np.random.default_rng(0))
    >>> path = descent(W, targets.limit(groups.COORDINATE, 3), 0.5, [0, 10, 10**6])
    >>> path.error(groups.COORDINATE)[:2].round(2).tolist()
    [0.25, 0.02]
    """
    step = check_number("step", step, positive=True)
    counts = check_times("steps", np.asarray(steps), integers=True)
    solver = _check_solver(solver, _SOLVERS[:2])
    setting = _Setting(W, target, start)
    problem = setting.problem(sample)
    scaled = float(setting.scaled(np.array([step]))[0])
    if not unstable:
        bound = problem.largest_step() * (step / scaled)
        _check_step(step, bound, "2/lambda_max", "gradient descent")

    def growth(values: Array) -> Array:
        z = scaled * values[:, None]
        # (1 - (1 - z)^s)/z, which is s at 0; beyond z = 1 the power alternates.
        slow = -np.expm1(counts * np.log1p(-np.minimum(z, 0.5)))
        with np.errstate(over="ignore"):
            fast = 1 - np.where(counts % 2, np.sign(1 - z), 1) * np.abs(1 - z) ** counts
        grown = np.where(z < 0.5, slow, fast)
        at_zero = np.broadcast_to(counts.astype(np.float64), grown.shape).copy()
        sum_of_powers: Array = np.divide(grown, z, out=at_zero, where=z > 0)
        return scaled * sum_of_powers

    with np.errstate(over="ignore", invalid="ignore"):
        solver, change, products = solve(problem, growth, solver)
    return setting.trajectory(step * counts, change, step, solver, products)


def sgd(
    W: ArrayLike,
    target: Target | ArrayLike,
    step: float,
    steps: Sequence[int] | Array,
    batch: int,
    rng: RandomSource,
    *,
    noise: float = 0.0,
    start: ArrayLike | None = None,
    unstable: bool = False,
) -> Trajectory:
    """Follow stochastic gradient descent, each step on a minibatch of new inputs x ~ N(0, I_d).

    Parameters
    ----------
    W, target, start
        As for :func:`flow`.
    step, steps, unstable
        As for :func:`descent`.
    batch : int
        Number of inputs per step.
    rng : numpy.random.Generator or seed
        Source of randomness.
    noise : float
        Standard deviation of Gaussian noise in the responses.

    Returns
    -------
    Trajectory
        Its errors are those of the current readout over all inputs, not over the minibatch.

    Raises
    ------
    ValueError
        If an argument has a wrong shape or is outside its range, or the step is not below
        ``largest_step(W, batch=batch)``.

    Notes
    -----
    A step takes time of the order of batch x m x d; J is used for the bound only.

    Examples
    --------
    >>> from reluspec_lib import groups, sample_weights, targets
    >>> W = sample_weights(3, 500, np.random.default_rng(0))
    >>> y = targets.limit(groups.NORM, 3)
    >>> path = sgd(W, y, 0.1, [0, 10, 100], 50, np.random.default_rng(1))
    >>> path.error(groups.NORM).round(2).tolist()
    [0.56, 0.18, 0.0]
    """
    step = check_number("step", step, positive=True)
    counts = check_times("steps", np.asarray(steps), integers=True)
    batch, rng = check_count("batch", batch), check_rng(rng)
    noise = check_number("noise", noise)
    if noise < 0:
        raise ValueError(f"noise must be a finite number >= 0, got {noise}")
    setting = _Setting(W, target, start)
    if not unstable:
        bound = largest_step(setting.W, batch=batch)
        _check_step(step, bound, "the bound for this batch", "stochastic gradient descent")

    change = np.empty((setting.W.shape[1], len(counts)))
    # v less the readout weights of the target, so that only its function is left to subtract.
    v, function = setting.scale * (setting.start - setting.offset), setting.function
    W, scaled = setting.unit, float(setting.scaled(np.array([step]))[0])
    silent = function.power == 0
    done = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for position, count in enumerate(counts):
            for _ in range(count - done):
                x = rng.standard_normal((batch, len(W)))
                X = x @ W
                np.maximum(X, 0, out=X)
                residual = X @ v
                if not silent:
                    residual -= function(x)
                if noise:
                    residual -= noise * rng.standard_normal(batch)
                v -= (scaled / batch) * (residual @ X)
            done = count
            change[:, position] = v + setting.scale * (setting.offset - setting.start)
    return setting.trajectory(step * counts, change, step, "sgd", 0)


def largest_step(W: ArrayLike, *, x: ArrayLike | None = None, batch: int | None = None) -> float:
    r"""Return a bound below which a step of gradient descent is stable.

    .. math:: \frac{2}{\lambda_{\max}}, \qquad \text{for minibatches of size } B \quad
              \frac{2}{(1 - \frac1B) \lambda_{\max} + \frac{1}{B}\, \mu}

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights.
    x : array_like, shape (n, d), optional
        Inputs of a finite sample, for the bound of descent on it; by default all inputs.
    batch : int, optional
        Number of new inputs in each step of :func:`sgd`.

    Returns
    -------
    float
        Infinite if all features vanish.

    Raises
    ------
    ValueError
        If an argument has a wrong shape or is outside its range, or both ``x`` and ``batch`` are
        given.

    Notes
    -----
    lambda_max is that of the matrix at hand, J or J_n, and beyond 2/lambda_max descent diverges.
    The bound for minibatches is sufficient, not necessary: for the W at hand, whatever it is, no
    step below it increases the mean squared distance to readout weights without an error. That is
    so if step E[S^2] <= 2 J for the matrix S of a minibatch, where E[S^2] is
    (1 - 1/B) J^2 + E[\|X\|^2 X^T X]/B. The first matrix is at most (1 - 1/B) lambda_max J, and mu
    is a number with E[\|X\|^2 X^T X] <= mu J for this W. With G = W W^T, a = x^T W,
    h = sum_j a_j \|a_j\| and gamma^2 the largest eigenvalue of E[h^2 x x^T], it is (d+2) \|G\| or
    the larger eigenvalue of

    .. math:: \frac12 \begin{pmatrix} \operatorname{tr} G + 2 \lVert G \rVert & \gamma \\
              \gamma & (d + 2) \lVert G \rVert \end{pmatrix}

    if that is smaller. For Gaussian weights mu tends to (d+2)/2 as m grows, and so does the
    smallest number with this property.

    Examples
    --------
    >>> round(largest_step([[1.0, 0.0], [0.0, 1.0]]), 3)
    3.034
    >>> round(largest_step([[1.0, 0.0], [0.0, 1.0]], batch=1), 3)
    0.5
    """
    W = check_weights(W).astype(np.float64, copy=False)
    if x is not None and batch is not None:
        raise ValueError("x and batch exclude each other: a minibatch has new inputs")
    batch = None if batch is None else check_count("batch", batch)
    unit, scale = _unit(W)
    _check_size("W", scale)
    if x is not None:
        finite = Sample(unit, check_rows("x", x, len(W)))
        _check_size("x", finite.scale, scale)
        return finite.largest_step() / (scale * finite.scale) ** 2
    bound = Population(unit).largest_step()
    if batch is not None and not math.isinf(bound):
        bound = 2 / ((1 - 1 / batch) * 2 / bound + single_input_bound(unit) / batch)
    return bound / scale**2


class _Setting:
    """Checked arguments that all methods share."""

    def __init__(self, W: ArrayLike, target: Target | ArrayLike, start: ArrayLike | None) -> None:
        self.W = check_weights(W).astype(np.float64, copy=False)
        self.unit, self.scale = _unit(self.W)
        _check_size("W", self.scale)
        m = self.W.shape[1]
        self.target = target if isinstance(target, Target) else _check_vector("target", target, m)
        self.start = np.zeros(m) if start is None else _check_vector("start", start, m)
        self.offset, self.function = _split(self.target, self.W)

    def problem(self, sample: tuple[ArrayLike, ArrayLike] | None) -> Population | Sample:
        """Return the loss in units of the weights' size, with its negative gradient at the start.

        With W = scale unit, f_v is the function of the weights ``unit`` at the readout scale v.
        Inputs of a sample are scaled as well, and ``scale`` becomes that of both.
        """
        if sample is None:
            population = Population(self.unit)
            v = self.scale * (self.start - self.offset)
            population.force = self.function.moment(self.unit) - population.apply(v)
            return population
        if not isinstance(sample, tuple) or len(sample) != 2:
            raise ValueError(f"sample must be a pair (x, y), got {type(sample).__name__}")
        finite = Sample(self.unit, check_rows("x", sample[0], len(self.W)))
        _check_size("x", finite.scale, self.scale)
        self.scale *= finite.scale
        n = len(finite.X)
        finite.residual = _check_vector("y", sample[1], n) - finite.X @ (self.scale * self.start)
        finite.force = finite.X.T @ finite.residual / n
        return finite

    def scaled(self, times: Array) -> Array:
        """Return times, or steps, for the loss in units: its matrix is J over scale^2."""
        with np.errstate(over="ignore"):
            scaled: Array = np.minimum(times * self.scale**2, _FOR_EVER)
        return scaled

    def trajectory(
        self, times: Array, change: Array, step: float | None, solver: str, products: int
    ) -> Trajectory:
        readout = self.start[:, None] + change / self.scale
        return Trajectory(self.W, self.target, times, readout, self.start, step, solver, products)


def _unit(W: Array) -> tuple[Array, float]:
    """Return W over a power of two of its size, and that power."""
    scale = power_of_two(W)
    return W / scale, scale


def _check_size(name: str, scale: float, other: float = 1.0) -> None:
    """Refuse arrays for which entries of J would underflow or overflow."""
    if not _SMALLEST < min(scale, scale * other) <= max(scale, scale * other) < _LARGEST:
        raise ValueError(
            f"{name} must have its largest entry between 1e-150 and 1e150 in size (inputs also "
            f"times that of W), got about {scale:.3g}"
        )


def _split(target: Target | Array, W: Array) -> tuple[Array, Target]:
    """Return the target as readout weights of the network plus a function."""
    d, m = W.shape
    if isinstance(target, Target):
        return np.zeros(m), target
    return target, Target(d, np.zeros(d * (d + 3) // 2))


def _weighted(group: Group, d: int, missing: Array) -> Array:
    """Return the mean square of the function with these coefficients, one per column."""
    if not len(missing):
        return np.zeros(missing.shape[1])
    total: Array = group.eigenvalue(d) * np.sum(missing**2, axis=0)
    return total


def _check_vector(name: str, value: ArrayLike, length: int) -> Array:
    vector = as_floating(name, value).astype(np.float64, copy=False)
    if vector.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), got shape {vector.shape}")
    return vector


def _check_solver(solver: str | None, allowed: Sequence[str]) -> str | None:
    if solver is not None and solver not in allowed:
        raise ValueError(f"solver must be one of {', '.join(allowed)} or None, got {solver!r}")
    return solver


def _check_step(step: float, bound: float, what: str, method: str) -> None:
    if not step < bound:
        raise ValueError(
            f"step must be below {what} = {bound:.6g}, where {method} is stable, got {step:.6g}; "
            "to exceed it, pass unstable=True"
        )
