r"""Second moments of any activation: Hermite series with a bounded remainder, else quadrature.

With h_n(a) = E[s(a Z) He_n(Z)] / sqrt(n!) the moment is the sum of h_n(a) h_n(b) rho^n (Mehler).
What N terms leave out is at most \|rho\|^N sqrt(T(a) T(b)), T(a) = E s(a Z)^2 minus the sum of
h_n(a)^2 so far (Cauchy and Schwarz). Pairs for which that is too much go to quadrature in the
plane.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from reluspec_lib._validation import Array
from reluspec_lib.proportional._rows import _LAST, _legendre, _sample

__all__ = ["Series"]

_TERMS = 512
# On the line: pieces to this radius, which shrink towards kinks and 0, where an activation turns
# that has a long pre-activation, in a width of one over its length.
_NODES = 20
_FAR = 20.0
_FAR_PIECES = 80
# How many lengths are taken together.
_AT_ONCE = 256
_NEAR = np.append(np.outer([-1, 1], 0.25 / 2.0 ** np.arange(6)).ravel(), 0.0)
# What the remainder may be, relative to the root of the product of the two second moments.
_TOLERANCE = 1e-9
# Two quadratures in the plane that differ by more say that there are kinks that were not named.
_SMOOTH = 1e-7
_TAIL = 1e-13
# In the plane: so many ends of pieces to this radius, and around a place where the inner integral
# turns quickly, in units of the width there. Further out the pieces grow by this factor.
_RADIUS = 9.0
_PIECES = 10
_AROUND = np.array([-6.0, -2, 0, 2, 6])
_GROWING = 4.0


class Series:
    """The second moments of one activation at given lengths."""

    def __init__(
        self, function: Callable[[Array], Array], kinks: Sequence[float], lengths: Array
    ) -> None:
        self.function, self.kinks = function, np.asarray(kinks, dtype=np.float64)
        self.lengths, self.index = np.unique(lengths, return_inverse=True)
        self.squares, self.terms = self._expanded()
        # A column without length may have no second moment: its terms are 0 as well.
        shares = self.terms**2 / np.where(self.squares > 0, self.squares, 1)[:, None]
        left = np.maximum(1 - np.cumsum(shares, axis=1), 0) + 1e-15
        self.left, self.worst = left[:, -1], left.max(axis=0)

    def __call__(self, i: Array, j: Array, cosine: Array, gap: Array) -> Array:
        """Return the second moments of these columns."""
        i, j = self.index[i], self.index[j]
        same = (gap == 0) & (cosine > 0) & (i == j)
        largest = float(np.abs(cosine[~same]).max(initial=0.0))
        with np.errstate(under="ignore"):
            bound = largest ** np.arange(1, _TERMS + 1) * self.worst
        count = int(np.argmax(bound <= _TOLERANCE)) + 1 if (bound <= _TOLERANCE).any() else _TERMS
        total = np.zeros_like(cosine)
        for n in range(count - 1, -1, -1):
            total *= cosine
            total += self.terms[i, n] * self.terms[j, n]
        left = np.abs(cosine) ** _TERMS * np.sqrt(self.left[i] * self.left[j])
        total = np.where(same, self.squares[i], total)
        for place in np.argwhere((left > _TOLERANCE) & ~same):
            p, q = (np.broadcast_to(k, cosine.shape)[tuple(place)] for k in (i, j))
            total[tuple(place)] = self._pair(
                int(p), int(q), cosine[tuple(place)], gap[tuple(place)]
            )
        return total

    def _expanded(self) -> tuple[Array, Array]:
        """Return E s(a Z)^2 and h_n(a) for each length."""
        self._check_growth(float(self.lengths.max()))
        squares, terms = np.empty(len(self.lengths)), np.empty((len(self.lengths), _TERMS))
        if self.kinks.any():
            for k, a in enumerate(self.lengths.tolist()):
                z, weight = self._nodes(a)
                part = _values(self.function, a * z)
                squares[k] = part**2 @ weight
                part *= weight
                for n, row in enumerate(_hermite(z)):
                    terms[k, n] = row @ part
        else:  # all lengths share their nodes
            z, weight = self._nodes(float(self.lengths.max()))
            basis = np.array(list(_hermite(z)))
            for start in range(0, len(self.lengths), _AT_ONCE):
                some = slice(start, start + _AT_ONCE)
                part = _values(self.function, self.lengths[some, None] * z)
                squares[some] = part**2 @ weight
                part *= weight
                terms[some] = part @ basis.T
        return squares, terms

    def _nodes(self, a: float) -> tuple[Array, Array]:
        """Return nodes and weights of the standard Gaussian for the function at lengths up to a."""
        places = np.append(self.kinks / a, 0.0) if a else np.zeros(1)
        ends = [np.linspace(-_FAR, _FAR, _FAR_PIECES + 1), np.add.outer(places, _NEAR).ravel()]
        ends.append(_around(places, 1 / a if a else 1.0))
        return _pieces(np.unique(np.concatenate(ends)), _NODES, _FAR)

    def _check_growth(self, a: float) -> None:
        """Compare the second moment at the largest length with one that reaches further."""
        places = [0.0, *(self.kinks / a if a else ())]
        z, root, values, _ = _sample(lambda t: self.function(a * t), 0.0, places, _NODES)
        part = values * root
        square, total = part**2, np.array([part @ part, part @ (root * (1 + z))])
        size, outside = float(total[0]), float(square[np.abs(z) > _LAST].sum())
        near, weight = self._nodes(a)
        values = _values(self.function, a * near)
        found = np.array([values**2 @ weight, values @ (weight * (1 + near))])
        wrong = np.abs(found - total) / np.array([size or 1, math.sqrt(size) or 1])
        if not (outside <= _TAIL * size and wrong.max() <= _SMOOTH):
            raise ValueError(
                "activation must be smooth between its kinks, named so far: "
                f"{', '.join(f'{kink:g}' for kink in self.kinks) or 'none'}, and grow so slowly "
                f"that its second moment is finite; at length {a:.3g} two quadratures differ by "
                f"{wrong.max():.2g}, and a share of {outside / (size or 1):.2g} lies at the ends"
            )

    def _pair(self, i: int, j: int, cosine: float, gap: float) -> float:
        """Return one second moment by quadrature in the plane, checked by a coarser one."""
        fine, coarse = (self._plane(i, j, cosine, gap, nodes) for nodes in (14, 10))
        size = math.sqrt(self.squares[i] * self.squares[j])
        if not abs(fine - coarse) <= _SMOOTH * size:
            raise ValueError(
                "activation must be smooth between its kinks, named so far: "
                f"{', '.join(f'{kink:g}' for kink in self.kinks) or 'none'}; two quadratures of "
                f"one second moment give {fine:.10g} and {coarse:.10g}"
            )
        return fine

    def _plane(self, i: int, j: int, cosine: float, gap: float, nodes: int) -> float:
        a, b = float(self.lengths[i]), float(self.lengths[j])
        width = math.sqrt(gap * (2 - gap))
        ends = np.linspace(-_RADIUS, _RADIUS, _PIECES)
        turning = np.append(self.kinks, 0.0)
        every = [ends]
        if a:
            every.append(_around(turning / a, 1 / a))
        if b:
            turns = turning / (b * cosine)
            every.append(np.add.outer(turns[:-1], width * _AROUND).ravel())
            every.append(_around(turns, max(width, 1 / b)))
        z, weight = _pieces(np.concatenate(every), nodes)
        if width:
            inner = np.broadcast_to(ends, (len(z), len(ends)))
            if b:
                turns = (turning - b * cosine * z[:, None]) / (b * width)
                inner = np.concatenate([inner, _around(turns, 1 / (b * width))], axis=1)
            y, mass = _pieces(inner, nodes)
            other = (self.function(b * (cosine * z[:, None] + width * y)) * mass).sum(axis=1)
        else:
            other = self.function(b * cosine * z)
        return float((self.function(a * z) * weight) @ other)


def _around(places: Array, width: float) -> Array:
    """Return these places, along the last axis, with ends around them that grow from this width."""
    if width >= 1:
        return places
    steps = width * _GROWING ** np.arange(math.ceil(math.log(1 / width, _GROWING)))
    around = np.concatenate([[0.0], steps, -steps])
    ends: Array = np.add.outer(places, around).reshape(*places.shape[:-1], -1)
    return ends


def _pieces(ends: Array, nodes: int, radius: float = _RADIUS) -> tuple[Array, Array]:
    """Return nodes and weights of the standard Gaussian on the pieces between these ends."""
    points, gauss = _legendre(nodes)
    ends = np.sort(np.clip(ends, -radius, radius), axis=-1)
    half = np.diff(ends, axis=-1)[..., None] / 2
    z = (ends[..., :-1, None] + half * (1 + points)).reshape(*ends.shape[:-1], -1)
    weight = (half * gauss).reshape(z.shape) * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return z, weight


def _values(function: Callable[[Array], Array], t: Array) -> Array:
    values = np.asarray(function(t), dtype=np.float64)
    if values.shape != t.shape or not np.isfinite(values).all():
        raise ValueError(
            "activation must return finite real numbers in the shape of its argument "
            f"{t.shape}, got shape {values.shape} or entries that are not finite"
        )
    return values


def _hermite(z: Array) -> Iterator[Array]:
    """Yield the normalised Hermite polynomials at z, from degree 0 on."""
    before, current = np.zeros_like(z), np.ones_like(z)
    for n in range(_TERMS):
        yield current
        following = z * current
        following -= math.sqrt(n) * before
        following /= math.sqrt(n + 1)
        before, current = current, following
