r"""What the theory says of a data set: :func:`diagnose`, in one call.

A network of m units sees a table x of n rows and d columns through the Fisher information of its
rows, :math:`J_n = X^\top X / n`. For every table, whatever its law,

.. math:: \mathbb{E}_W \sum_{v \in \text{group}} v^\top J_n v = \frac{\overline{|x|^2}}{d}\, N
          \Big[ \lambda + \frac1m \Big( \frac{d+2}{2} - \lambda \Big) \Big],
          \qquad \mathbb{E}_W \operatorname{tr} J_n = \frac{\overline{|x|^2}}{2} :

the share of each group in the trace says nothing about the data. What the data decide is whether
the functions of the groups are orthogonal on them, and so whether the groups are eigenvectors: the
angles between the two spaces, the residuals, and the rates of learning. An offset mixes the norm
with the coordinate along the mean; unequal variances spread the coordinates over all rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib import groups, harmonics
from reluspec_lib._validation import RandomSource, check_count, check_rng, check_times
from reluspec_lib._values import ByValue
from reluspec_lib.beyond._data import check_data, check_responses, prepared
from reluspec_lib.beyond._view import GROUPS, Curves, View, group_sizes, view
from reluspec_lib.network import sample_weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Curves", "Diagnosis", "View", "diagnose", "expected_shares", "mixing_angle"]

# The groups can be used where the mean squared cosine between the leading eigenspaces and the norm,
# and norm and coordinates, is at least this: a root-mean-square angle of 18 degrees; and where the
# eigenvalues of the coordinates are 1/4 up to this factor: an exponential exp(-2 t/4) is then wrong
# by 1/4 at most.
USABLE = 0.9
FACTOR = 2.0

# From this angle in degrees between the norm and the first eigenvector on, an offset is large.
LARGE_ANGLE = 10.0


def expected_shares(d: int, m: int) -> dict[str, float]:
    r"""Return the part of the trace along each group's vectors, the same for every data set.

    .. math:: \frac{2 N}{d} \Big[ \lambda + \frac1m \Big( \frac{d+2}{2} - \lambda \Big) \Big]

    Parameters
    ----------
    d, m : int
        Columns, at least 2, and units.

    Returns
    -------
    dict
        For each group and ``"rest"``. Means over W of v^T J_n v, over the mean of tr J_n; at small
        width the vectors of the groups overlap, and the rest may be negative.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    Source: this book.

    Examples
    --------
    >>> {name: round(share, 3) for name, share in expected_shares(10, 10**6).items()}
    {'norm': 0.335, 'coordinates': 0.5, 'group 3': 0.149, 'rest': 0.016}
    """
    d, m = check_count("d", d, 2), check_count("m", m)
    shares = {}
    for k, (name, size) in enumerate(zip(GROUPS, group_sizes(d), strict=True)):
        value = harmonics.eigenvalue(d, k)
        shares[name] = 2 * size / d * (value + ((d + 2) / 2 - value) / m)
    shares["rest"] = 1 - sum(shares.values())
    return shares


def mixing_angle(d: int, offset: float) -> float:
    r"""Return how far an offset turns the first eigenvector from the norm, in degrees.

    .. math:: \tan^2 \varphi = \frac{d\, o}{4 \lambda_0} \approx \frac{\pi o}{2},
              \qquad o = \frac{|\bar x|^2}{\overline{|x|^2}}

    Parameters
    ----------
    d : int
        Columns.
    offset : float
        Share o of the mean square of x that lies in its mean, from 0 to 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    For rows of one length, and without what they vary along their mean. Source: this book.

    Examples
    --------
    >>> round(mixing_angle(100, 0.02), 1)
    10.1
    """
    d, offset = check_count("d", d), _fraction(offset)
    return math.degrees(math.atan(math.sqrt(d * offset / 4 / harmonics.eigenvalue(d, 0))))


def _fraction(offset: Any) -> float:
    if not isinstance(offset, (int, float, np.number)) or not 0 <= offset <= 1:
        raise ValueError(f"offset must be a number from 0 to 1, got {offset!r}")
    return float(offset)


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis(ByValue):
    """A data set as a network of m units sees it: raw, centred and whitened.

    Attributes
    ----------
    d, n, m : int
        Columns, rows, units.
    raw, centred, whitened : View
        The same hidden weights see all three.
    """

    d: int
    n: int
    m: int
    raw: View
    centred: View
    whitened: View

    def __repr__(self) -> str:
        return f"<Diagnosis of {self.n} rows, {self.d} columns at {self.m} units>"

    @property
    def views(self) -> tuple[View, View, View]:
        """The three views in their order."""
        return self.raw, self.centred, self.whitened

    @property
    def ideal(self) -> tuple[float, float, float]:
        """The eigenvalues of the three groups in the theory."""
        norm, coordinate, third = (harmonics.eigenvalue(self.d, k) for k in range(3))
        return norm, coordinate, third

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the functions whose ``rates`` a view has."""
        labels = groups.Basis(groups.ALL, self.d).labels
        return labels[: len(self.raw.rates)]

    def order(self, name: str = "raw") -> list[str]:
        """Return the names of the functions, in the predicted order of learning.

        Parameters
        ----------
        name : {"raw", "centred", "whitened"}
            Which view.

        Returns
        -------
        list of str
            By falling rate; equal ones in the order of the groups.

        Raises
        ------
        ValueError
            If there is no such view.
        """
        chosen = {view.name: view for view in self.views}
        if name not in chosen:
            raise ValueError(f"name must be one of {', '.join(chosen)}, got {name!r}")
        labels, rates = self.labels, chosen[name].rates
        return [labels[i] for i in np.argsort(-rates, kind="stable")]

    def records(self) -> list[dict[str, Any]]:
        """Return one flat record for each view, for a table or a frame.

        Returns
        -------
        list of dict
            Angles are given by their overlap, the mean squared cosine; NaN where a group has more
            vectors than there are rows or units.
        """
        rows = []
        for one in self.views:
            row: dict[str, Any] = {"view": one.name, "offset": one.offset}
            row |= {"effective rank": one.effective_rank, "kurtosis": one.kurtosis}
            row |= {f"share {name}": share for name, share in one.shares.items()}
            row |= {f"overlap {name}": one.overlaps.get(name, math.nan) for name in GROUPS}
            row |= {f"residual {name}": one.residuals[name] for name in GROUPS}
            rows.append(row | {"tilt": one.tilt, "late": one.late, "usable": usable(one)})
        return rows

    def table(self) -> str:
        """Return the records as text, one column for each view."""
        records = self.records()
        lines = [f"{self.n} rows, {self.d} columns, {self.m} units"]
        for key in records[0]:
            cells = (_cell(record[key]) for record in records)
            lines.append(f"{key:20s}" + "".join(f"{cell:>10s}" for cell in cells))
        return "\n".join([*lines, *(f"- {line}" for line in self.advice())])

    def advice(self) -> list[str]:
        """Return what to do with the data before a network of this kind sees them.

        Returns
        -------
        list of str
            By the rule: centre, where the offset alone turns the first eigenvector by more than 10
            degrees; whiten, where a principal direction is learned later than group 3, or where the
            groups are not usable without; use the groups, where the overlaps of the norm, and of
            norm and coordinates, with the leading eigenspaces are 0.9 or more, and the eigenvalues
            of the coordinates from 1/8 to 1/2.
        """
        said = []
        angle = mixing_angle(self.d, min(self.raw.offset, 1.0))
        if angle > LARGE_ANGLE:
            said.append(
                f"centre: the mean alone turns the first eigenvector by {angle:.0f} degrees"
            )
        late = self.centred.late
        if late:
            said.append(f"whiten: {late} of {self.d} principal directions come after group 3")
        elif not usable(self.centred):
            said.append("whiten: the coordinates are not an eigenspace of the centred data")
        good = [one.name for one in self.views if usable(one)]
        said.append(
            f"the groups can be used: {', '.join(good)}"
            if good
            else "the groups cannot be used, whatever is done first"
        )
        return said

    def figure(self) -> Figure:
        """Return the spectra beside the theory, and how responses are learned, where there are any.

        Returns
        -------
        matplotlib.figure.Figure
            In the style that is in use. matplotlib is loaded only here.
        """
        from reluspec_lib.beyond._figure import draw

        return draw(self)


def usable(one: View) -> bool:
    """Return whether norm and coordinates are the leading eigenspaces of a view, nearly."""
    overlaps, steps = one.overlaps, 4 * one.eigenvalues[1 : 1 + one.d]
    spans = all(overlaps.get(name, 0.0) >= USABLE for name in GROUPS[:2])
    return bool(spans and steps[0] <= FACTOR and steps[-1] >= 1 / FACTOR)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    # The mean of centred data is rounding, which differs between machines.
    return "0" if abs(value) < 1e-12 else f"{value:.3g}"


def diagnose(
    x: ArrayLike,
    m: int,
    rng: RandomSource,
    y: ArrayLike | None = None,
    *,
    times: ArrayLike | None = None,
) -> Diagnosis:
    r"""Say of a data set what a random network of m units makes of it, raw, centred and whitened.

    Parameters
    ----------
    x : array_like or frame, shape (n, d)
        Numbers, one row for each sample, n > d >= 2. A frame is anything with ``to_numpy``; its
        ``columns`` name what an error message speaks of.
    m : int
        Number of units.
    rng : numpy.random.Generator or seed
        Source of the hidden weights, N(0, 1/m).
    y : array_like, shape (n,), optional
        Responses, for the curves of learning. The network has no bias: centre them.
    times : array_like, shape (T,), optional
        Times >= 0, in increasing order, of the gradient flow; by default 60 from before the norm to
        after group 3, in units in which the mean of :math:`|x|^2` is d.

    Returns
    -------
    Diagnosis
        Its ``table()`` is text, its ``figure()`` a picture, ``records()`` are for a frame.

    Raises
    ------
    ValueError
        If entries are no finite numbers, a column is constant or follows from others, there are no
        more rows than columns, or another argument is out of its range.

    Notes
    -----
    Each view is scaled to a mean square of d first, as N(0, I_d) has: the network is homogeneous,
    so that this changes the unit of time and nothing else.

    The smaller of J_n and of the Gram matrix of the rows is decomposed, in time of the order of
    n m min(n, m) and a memory of about 24 min(n, m)^2 + 8 m d(d+3)/2 bytes and some copies of x;
    features are held in blocks of 64 MB where there are more rows than units. On one core 100,000
    rows, 100 columns and 1000 units take half a minute at most, and 10 times the units 100 times as
    long. Group 3 has d(d+1)/2 - 1 vectors. Where
    the groups together have more vectors than there are rows or units, it is left out.

    Examples
    --------
    >>> x = np.random.default_rng(1).standard_normal((2000, 4)) + 1.0
    >>> found = diagnose(x, 1000, np.random.default_rng(2))
    >>> found
    <Diagnosis of 2000 rows, 4 columns at 1000 units>
    >>> [round(one.offset, 1) for one in found.views]
    [0.5, 0.0, 0.0]
    >>> print(found.advice()[-1])
    the groups can be used: centred, whitened
    """
    data, m = check_data(x), check_count("m", m)
    n, d = data.shape
    responses = None if y is None else check_responses(y, n)
    norm, third = harmonics.eigenvalue(d, 0), harmonics.eigenvalue(d, 2)
    when = (
        np.geomspace(0.05 / norm, 5 / third, 60) if times is None else check_times("times", times)
    )
    W = sample_weights(d, m, check_rng(rng))
    views = {name: view(name, z, W, responses, when) for name, z in prepared(data)}
    return Diagnosis(d, n, m, **views)
