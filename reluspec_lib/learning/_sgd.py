"""SGD at infinite width: the mean risk of each degree, which closes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import optimize

from reluspec_lib._validation import Array, check_count, check_number, check_times
from reluspec_lib.learning import _equivalent
from reluspec_lib.learning._setting import check_flag

__all__ = ["check_power", "sgd", "stable_step"]

# Degrees that are followed: through those beyond, noise brings less than 1e-14 of its sum.
_FOLLOWED = 128


def sgd(
    d: int,
    power: Mapping[int, float],
    noise: float,
    step: float,
    batch: int,
    steps: int | Sequence[int] | Array,
    *,
    lengths: bool = True,
) -> dict[int, Array]:
    r"""Return the mean risk by degree of stochastic gradient descent at infinite width.

    From readout 0, each step sees a fresh batch of B samples. The mean risks close,

    .. math:: R_k \leftarrow \Big(1 - 2 \eta \lambda_k + \eta^2 \big(1 - \tfrac1B\big)
              \lambda_k^2\Big) R_k + \frac{\eta^2 \lambda_k^2 N_k}{B}
              \Big[\zeta \sum_j R_j + \sigma^2\Big], \qquad \zeta = 1 + \tfrac2d

    Parameters
    ----------
    d : int
        Input dimension.
    power : mapping of int to float
        Mean square of the target's part at each degree.
    noise : float
        Standard deviation of the noise of labels.
    step : float
        Step eta of the readout along minus half the gradient of the batch's mean square error.
    batch : int
        Samples in a step.
    steps : int or sequence of int
        Numbers of steps, increasing.
    lengths : bool
        Whether inputs have Gaussian lengths; else they are on a sphere, and zeta is 1.

    Returns
    -------
    dict
        An array for each degree of ``power`` and 0, 1, 2, 4, ... up to 128: mean risks after those
        steps, in the shape of ``steps``; they grow without bound above :func:`stable_step`.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    The sum over a degree of the squares of its eigenfunctions is the same in all directions and
    proportional to :math:`|x|^2`, and zeta is :math:`\mathbb{E}|x|^4/(\mathbb{E}|x|^2)^2`.

    Examples
    --------
    >>> found = sgd(5, {1: 1.0}, 0.0, 0.1, 4, [0, 60])
    >>> found[1].round(4)
    array([1.    , 0.0509])
    """
    d, power = check_count("d", d), check_power(d, power)
    noise = check_number("noise", noise, minimum=0)
    step, batch = check_number("step", step, positive=True), check_count("batch", batch)
    counts = check_times("steps", np.atleast_1d(np.asarray(steps)), integers=True)
    zeta = _spread_of_lengths(d, lengths)
    degrees = sorted({*power, 0, 1, *(range(2, _FOLLOWED + 1, 2) if d > 1 else ())})
    values, traces = _equivalent.levels(d, degrees)
    moved = step * values
    # Above the stable step all of this may overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        kept = 1 - 2 * moved + (1 - 1 / batch) * moved**2
        fed = moved * (step / batch * traces)
        from_noise = np.square(noise) * fed
    # The last entry of the state is 1, so that noise is part of one matrix.
    update = np.zeros((len(degrees) + 1,) * 2)
    update[:-1, :-1] = np.diag(kept) + zeta * fed[:, None]
    update[:-1, -1], update[-1, -1] = from_noise, 1
    state = np.array([*(power.get(k, 0.0) for k in degrees), 1.0])
    # Nothing is learned at an eigenvalue 0, and without target and noise all stays at 0.
    moving = np.append((values > 0) & bool(noise or state[:-1].any()), False)
    risks, before = [], 0
    for count in counts:
        # No entry is negative, for on the diagonal what is kept and what is fed are together at
        # least (1 - eta lambda)^2: so NaN comes of infinity alone, which soon feeds all that moves.
        with np.errstate(over="ignore", invalid="ignore"):
            many = np.linalg.matrix_power(update, int(count) - before)
            later = np.nan_to_num(many @ state, nan=np.inf, posinf=np.inf)
        state = np.where(moving, later, state)
        risks.append(state[:-1])
        before = int(count)
    shape = np.shape(steps)
    return {k: column.reshape(shape) for k, column in zip(degrees, np.array(risks).T, strict=True)}


def stable_step(d: int, batch: int, *, lengths: bool = True) -> float:
    r"""Return the step below which the mean risk of SGD stays bounded at infinite width.

    The root eta of, with zeta as in :func:`sgd`,

    .. math:: \zeta \sum_k
              \frac{\eta \lambda_k N_k}{B\,(2 - \eta\,(1 - 1/B)\,\lambda_k)} = 1

    Parameters
    ----------
    d, batch : int
        Input dimension and samples in a step.
    lengths : bool
        Whether inputs have Gaussian lengths, else they are on a sphere.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> round(stable_step(5, 1), 4)
    0.5714
    """
    d, batch = check_count("d", d), check_count("batch", batch)
    zeta, spectrum = _spread_of_lengths(d, lengths), _equivalent.spectrum(d)
    largest = float(spectrum.eigenvalues.max())

    def excess(step: float) -> float:
        rest = 2 - step * (1 - 1 / batch) * spectrum.eigenvalues
        return zeta * step / batch * float((spectrum.traces / rest).sum()) - 1

    linear = 4 * batch / (zeta * d)  # what the sum would give without its denominators' second term
    if batch == 1:
        return linear
    pole = 2 / ((1 - 1 / batch) * largest) * (1 - 1e-15)
    if pole < linear and excess(pole) <= 0:  # batches so large that the root is the pole, rounded
        return pole
    return float(optimize.brentq(excess, 0.0, min(linear, pole), xtol=1e-300))


def _spread_of_lengths(d: int, lengths: bool) -> float:
    """Return E|x|^4/(E|x|^2)^2."""
    return 1 + 2 / d if check_flag("lengths", lengths) else 1.0


def check_power(d: int, power: Any) -> dict[int, float]:
    if not isinstance(power, Mapping) or not power:
        raise ValueError(f"power must map degrees to mean squares, got {power!r}")
    checked = {}
    for degree, value in power.items():
        k = check_count("degrees of power", degree, 0)
        if d == 1 and k > 1:
            raise ValueError(f"degrees of power must be 0 or 1 at d = 1, got {k}")
        checked[k] = check_number(f"power at degree {k}", value, minimum=0)
    return checked
