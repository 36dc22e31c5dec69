"""One view of a data set: what a random network makes of it, beside what the groups say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from reluspec_lib import groups, harmonics
from reluspec_lib._validation import Array
from reluspec_lib._values import ByValue
from reluspec_lib.learning.risk import Numbers, Ridge
from reluspec_lib.network import features

__all__ = ["GROUPS", "Curves", "View", "group_columns", "group_sizes", "view"]

GROUPS = ("norm", "coordinates", "group 3")

# Features that are held at once where there are more rows than units, 64 MB.
_ENTRIES = 1 << 23

_EPS = float(np.finfo(np.float64).eps)


def group_sizes(d: int) -> tuple[int, int, int]:
    """Return how many vectors the three groups have."""
    return 1, d, d * (d + 1) // 2 - 1


def group_columns(d: int) -> dict[str, slice]:
    """Return where the vectors of each group stand in a basis of all."""
    ends = np.cumsum((0, *group_sizes(d))).tolist()
    return {name: slice(ends[k], ends[k + 1]) for k, name in enumerate(GROUPS)}


@dataclass(frozen=True, eq=False, repr=False)
class Curves(ByValue):
    r"""Training error of the gradient flow from 0, over the mean square of the responses.

    Attributes
    ----------
    times : ndarray
        Shape (T,). In units in which the mean of :math:`|x|^2` is d.
    network : ndarray
        Shape (T,). Of this network, exact for its features.
    groups : ndarray
        Shape (T,). Of the model that has the limit functions of the groups as its only features.
    ideal : ndarray
        Shape (T,). By the eigenvalues of the theory, as if the functions were orthogonal on these
        inputs: one exponential for each group.
    power : dict
        Share of the responses that each group explains, in the paper's order, after those before.
    """

    times: Array
    network: Array
    groups: Array
    ideal: Array
    power: dict[str, float]


@dataclass(frozen=True, eq=False, repr=False)
class View(ByValue):
    r"""A data set raw, centred or whitened, in units in which the mean of :math:`|x|^2` is d.

    Attributes
    ----------
    name : str
        "raw", "centred" or "whitened".
    d, n, m : int
        Columns, rows, units.
    offset : float
        Share of the mean square of x that lies in its mean, :math:`|\bar x|^2/\overline{|x|^2}`.
    effective_rank : float
        Of the covariance S, (tr S)^2 / tr S^2, from 1 to d.
    kurtosis : float
        Fourth moment of a column over the square of its variance, mean over columns; 3 if Gaussian.
    eigenvalues : ndarray
        Shape (min(n, m),). Of J_n, in decreasing order.
    shares : dict
        Part of tr J_n along the vectors of each group, and ``"rest"``. That of a group that is not
        analysed is NaN.
    rates : ndarray
        Shape (d + 1,) or (d(d+3)/2,). Mean squares of the limit functions, in the order of the
        groups: the rate at which each is learned, if no other one is in its way.
    angles : dict
        Principal angles in degrees, increasing, between the leading eigenspace and the span of
        ``"norm"``, of norm and ``"coordinates"``, and of all with ``"group 3"``.
    residuals : dict
        Root mean square over the vectors of a group of
        :math:`|J_n v - \theta v|/(\theta |v|)`, with theta the Rayleigh quotient.
    tilt : float
        Angle in degrees between the norm and the leading eigenvector in the limit of wide networks,
        by the Gram matrix of the limit functions.
    late : int
        Principal directions, of the second moments about 0, that are learned later than the mean
        function of group 3.
    curves : Curves or None
        How responses are learned, where there are some.
    noise : float or None
        Standard deviation of what the groups do not explain of the responses, without bias.
    signal : dict or None
        Mean square of what each degree explains of the responses, without bias, at least 0.
    """

    name: str
    d: int
    n: int
    m: int
    offset: float
    effective_rank: float
    kurtosis: float
    eigenvalues: Array
    shares: dict[str, float]
    rates: Array
    angles: dict[str, Array]
    residuals: dict[str, float]
    tilt: float
    late: int
    curves: Curves | None
    noise: float | None
    signal: dict[int, float] | None

    @property
    def overlaps(self) -> dict[str, float]:
        """Mean squared cosine of the principal angles, for each of the three spans."""
        return {
            name: float((np.cos(np.radians(angles)) ** 2).mean())
            for name, angles in self.angles.items()
        }

    def ridge(self, n: Numbers, alpha: Numbers) -> Array:
        r"""Predict the mean square error on new data of ridge regression on n rows, m features.

        The features are those of this view. The prediction is ``risk.Ridge`` at the measured
        ``signal`` and ``noise``, plus the noise. It assumes independent Gaussian coordinates of
        mean 0 and variance 1, which whitening comes closest to.

        Parameters
        ----------
        n, alpha : array_like
            Numbers of rows to learn from, and ridges as in the objective
            :math:`\frac1n \sum_i (f_v(x_i) - y_i)^2 + \alpha |v|^2`; they broadcast.

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError
            If there were no responses, too few rows to tell noise from signal, or an argument is
            out of its range.
        """
        if self.signal is None or self.noise is None:
            raise ValueError(
                "ridge needs responses and more rows than functions: give y to diagnose, with "
                f"n > {self.d * (self.d + 3) // 2} rows, got {self.n}"
            )
        predicted = Ridge(self.d, self.m, n, alpha, power=self.signal, noise=self.noise)
        return predicted.risk + self.noise**2


def view(name: str, x: Array, W: Array, y: Array | None, times: Array) -> View:
    """Return what there is to say of checked data with the mean of |x|^2 at d."""
    n, d, m = *x.shape, W.shape[1]
    columns, seen = group_columns(d), d * (d + 3) // 2
    if seen > min(n, m):
        seen = 1 + d
    V = groups.Basis(groups.ALL if seen > 1 + d else groups.ALL[:2], d).eigenvectors(W)
    values, vectors, JV, force = _decomposed(x, W, V, y)
    gram, pull = _limits(x, seen > 1 + d, y)
    centred = x - x.mean(axis=0)
    covariance = centred.T @ centred / n
    variances = np.linalg.eigvalsh(covariance)
    centred *= centred
    kurtosis = np.einsum("ij,ij->j", centred, centred) / n / np.diag(covariance) ** 2
    quotients = np.einsum("jk,jk->k", V, JV)
    trace = float(values.sum())
    shares, residuals = {}, {}
    sizes = np.einsum("jk,jk->k", V, V)
    away = np.linalg.norm(JV - (quotients / sizes) * V, axis=0) / (quotients / np.sqrt(sizes))
    for group, where in columns.items():
        known = where.stop <= seen
        shares[group] = float(quotients[where].sum()) / trace if known else float("nan")
        residuals[group] = float(np.sqrt((away[where] ** 2).mean())) if known else float("nan")
    shares["rest"] = 1 - sum(shares.values())
    first = np.linalg.eigh(gram)[1][0, -1]
    curves = noise = signal = None
    if y is not None:
        curves, noise, signal = _learning(d, n, y, times, (values, vectors.T @ force), gram, pull)
    return View(
        name,
        d,
        n,
        m,
        offset=float((x.mean(axis=0) ** 2).sum()) / d,
        effective_rank=float(variances.sum() ** 2 / (variances**2).sum()),
        kurtosis=float(kurtosis.mean()),
        eigenvalues=values,
        shares=shares,
        rates=np.diag(gram).copy(),
        angles=_angles(V, values, vectors, columns),
        residuals=residuals,
        tilt=float(np.degrees(np.arccos(min(abs(first), 1.0)))),
        late=int((np.linalg.eigvalsh(x.T @ x / n) / 4 < harmonics.eigenvalue(d, 2)).sum()),
        curves=curves,
        noise=noise,
        signal=signal,
    )


def _blocks(x: Array, width: int) -> list[Array]:
    rows = max(_ENTRIES // width, 1)
    return [x[i : i + rows] for i in range(0, len(x), rows)]


def _decomposed(x: Array, W: Array, V: Array, y: Array | None) -> tuple[Array, Array, Array, Array]:
    """Return eigenvalues and eigenvectors of J_n, falling, J_n V and X^T y/n.

    Only the smaller of X^T X and X X^T is decomposed. The features of all rows are held only where
    there are no more rows than units.
    """
    n, m = len(x), W.shape[1]
    if n > m:
        J, force = np.zeros((m, m)), np.zeros(m)
        for start, block in zip(_starts(x, m), _blocks(x, m), strict=True):
            X = features(block, W)
            J += X.T @ X
            if y is not None:
                force += y[start : start + len(block)] @ X
        J /= n
        values, vectors = scipy.linalg.eigh(J, overwrite_a=False)
        return np.maximum(values[::-1], 0), vectors[:, ::-1], J @ V, force / n
    X = features(x, W)
    values, P = scipy.linalg.eigh(X @ X.T / n)
    values, P = np.maximum(values[::-1], 0), P[:, ::-1]
    kept = values > n * _EPS * values[0]
    vectors = np.zeros((m, n))
    vectors[:, kept] = X.T @ (P[:, kept] / np.sqrt(n * values[kept]))
    force = np.zeros(m) if y is None else y @ X / n
    return values, vectors, X.T @ (X @ V) / n, force


def _starts(x: Array, width: int) -> range:
    return range(0, len(x), max(_ENTRIES // width, 1))


def _limits(x: Array, third: bool, y: Array | None) -> tuple[Array, Array]:
    """Return the Gram matrix of the limit functions on the data, and their products with y."""
    basis = groups.Basis(groups.ALL if third else groups.ALL[:2], x.shape[1])
    gram, pull = np.zeros((basis.size, basis.size)), np.zeros(basis.size)
    for start, block in zip(_starts(x, basis.size), _blocks(x, basis.size), strict=True):
        F = basis.limit(block)
        gram += F.T @ F
        if y is not None:
            pull += y[start : start + len(block)] @ F
    return gram / len(x), pull / len(x)


def _angles(V: Array, values: Array, vectors: Array, columns: dict[str, slice]) -> dict[str, Array]:
    """Return the angles between the first vectors and the first eigenvectors, by their number."""
    rank = int((values > max(vectors.shape) * _EPS * values[0]).sum())
    found = {}
    for name, where in columns.items():
        if where.stop <= min(V.shape[1], rank):
            Q = np.linalg.qr(V[:, : where.stop])[0]
            cosines = np.linalg.svd(Q.T @ vectors[:, : where.stop], compute_uv=False)
            # Of small angles the sine knows more, but data give none that are small to rounding.
            found[name] = np.degrees(np.arccos(np.minimum(cosines, 1)))
    return found


def _learning(
    d: int, n: int, y: Array, times: Array, network: tuple[Array, Array], gram: Array, pull: Array
) -> tuple[Curves, float | None, dict[int, float] | None]:
    """Return the curves, the noise and the signal by degree."""
    size = float(y @ y) / n
    values, vectors = np.linalg.eigh(gram)
    by_groups = _error(values, vectors.T @ pull, size, times)
    explained = [0.0]
    # Functions of one size: the cut-off of least squares is about directions, not about units.
    lengths = np.sqrt(np.diag(gram))
    alike, pulled = gram / np.outer(lengths, lengths), pull / lengths
    for where in group_columns(d).values():
        stop = min(where.stop, len(gram))
        found = scipy.linalg.lstsq(alike[:stop, :stop], pulled[:stop])[0]
        explained.append(max(float(found @ pulled[:stop]), explained[-1]))
    gains = np.diff(explained)
    power = {name: float(gain / size) for name, gain in zip(GROUPS, gains, strict=True)}
    decays = [np.exp(-2 * harmonics.eigenvalue(d, k) * times) for k in range(3)]
    ideal = 1 - sum(
        (p * (1 - decay) for p, decay in zip(power.values(), decays, strict=True)),
        np.zeros(len(times)),
    )
    curves = Curves(times, _error(*network, size, times), by_groups, ideal, power)
    if n <= d * (d + 3) // 2 or len(gram) < d * (d + 3) // 2:
        return curves, None, None
    variance = max(size - explained[-1], 0.0) * n / (n - len(gram))
    sizes = group_sizes(d)
    signal = {k: max(float(gains[k]) - sizes[k] * variance / n, 0.0) for k in range(3)}
    return curves, float(np.sqrt(variance)), signal


def _error(values: Array, force: Array, size: float, times: Array) -> Array:
    """Return the mean square of the residual along the flow, over that of the responses.

    ``values`` are the eigenvalues of J_n and ``force`` is X^T y/n along its eigenvectors.
    """
    kept = values > len(values) * _EPS * values.max()
    decay: Callable[[Array], Array] = np.exp
    learned = 1 - decay(-2 * values[kept, None] * times)
    fit: Array = (force[kept] ** 2 / values[kept]) @ learned
    return 1 - fit / size
