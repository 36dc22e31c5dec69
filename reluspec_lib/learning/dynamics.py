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

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib._threads import single
from reluspec_lib._validation import (
    Array,
    RandomSource,
    check_count,
    check_number,
    check_rng,
    check_times,
)
from reluspec_lib.learning._loss import MOST_PRODUCTS, exponential, solve
from reluspec_lib.learning._setting import Setting
from reluspec_lib.learning._stability import (
    bound,
    check_step,
    largest_step,
    minibatch_square,
    population_bound,
)
from reluspec_lib.learning._trajectory import Trajectory
from reluspec_lib.learning.targets import Target

__all__ = ["Trajectory", "descent", "flow", "largest_step", "minibatch_square", "sgd"]

_SOLVERS = ("dense", "lanczos", "expm")


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
    setting = Setting(W, target, start)
    loss = setting.loss(sample)
    scaled = setting.scaled(times)

    def growth(values: Array) -> Array:
        # (1 - exp(-x))/x is 1 at 0.
        z = values[:, None] * scaled
        mean: Array = np.divide(-np.expm1(-z), z, out=np.ones_like(z), where=z > 0)
        return scaled * mean

    if solver == "expm":
        latest = MOST_PRODUCTS / loss.trace if loss.trace else math.inf
        if scaled[-1] > latest:
            raise ValueError(
                f"times must not exceed {latest * times[-1] / scaled[-1]:.3g} with the solver "
                f"expm, which takes longer the later they are, got {times[-1]:.3g}"
            )
        change, products = exponential(loss, scaled), 0
    else:
        solver, change, products = solve(loss, growth, solver)
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
    setting = Setting(W, target, start)
    loss = setting.loss(sample)
    scaled = float(setting.scaled(np.array([step]))[0])
    if not unstable:
        check_step(step, bound(loss) * (step / scaled), "2/lambda_max", "gradient descent")

    def growth(values: Array) -> Array:
        z = scaled * values[:, None]
        # (1 - (1 - z)^s)/z, which is s at 0; beyond z = 1 the power alternates.
        slow = -np.expm1(counts * np.log1p(-np.minimum(z, 0.5)))
        fast = 1 - np.where(counts % 2, np.sign(1 - z), 1) * np.abs(1 - z) ** counts
        grown = np.where(z < 0.5, slow, fast)
        at_zero = np.broadcast_to(counts.astype(np.float64), grown.shape).copy()
        sum_of_powers: Array = np.divide(grown, z, out=at_zero, where=z > 0)
        return scaled * sum_of_powers

    with np.errstate(over="ignore", invalid="ignore"):
        solver, change, products = solve(loss, growth, solver)
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
    noise = check_number("noise", noise, minimum=0)
    setting = Setting(W, target, start)
    if not unstable:
        stable = population_bound(setting.unit, batch) / setting.scale**2
        check_step(step, stable, "the bound for this batch", "stochastic gradient descent")
    change = np.empty((len(setting.start), len(counts)))
    # v less the readout weights of the target, so that only its function is left to subtract.
    v, function = setting.scale * (setting.start - setting.offset), setting.function
    W, scaled = setting.unit, float(setting.scaled(np.array([step]))[0])
    silent, done = function.power == 0, 0
    with single(), np.errstate(over="ignore", invalid="ignore"):
        for position, count in enumerate(counts):
            for _ in range(count - done):
                x = rng.standard_normal((batch, len(W)))
                X = x @ W
                np.maximum(X, 0, out=X)
                residual = X @ v
                if not silent:
                    residual -= function._at(x)
                if noise:
                    residual -= noise * rng.standard_normal(batch)
                v -= (scaled / batch) * (residual @ X)
            done = count
            change[:, position] = v + setting.scale * (setting.offset - setting.start)
    return setting.trajectory(step * counts, change, step, "sgd", 0)


def _check_solver(solver: str | None, allowed: Sequence[str]) -> str | None:
    if solver is not None and solver not in allowed:
        raise ValueError(f"solver must be one of {', '.join(allowed)} or None, got {solver!r}")
    return solver
