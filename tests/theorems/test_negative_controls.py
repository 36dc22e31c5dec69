"""Negative controls: a wrong constant fails in each of the three layers of the ledger.

Every constant of the paper has a small check in each layer: S against a derivation in sympy, N
against 30 digits, M against independent random networks. The right constant passes all three; the
same checks refuse it with a factor that should not be there: 1.02, a wrong power of the dimension,
a factor left out.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from helpers import angle_mean
from reluspec_lib import forward, sample_weights, sphere
from reluspec_lib.groups import CENTRED_SQUARE, COORDINATE, NORM, PRODUCT, SQUARE
from reluspec_lib.ledger import CheckFailed, Ledger

D = 3  # where the layers N and M compare numbers
d, t = sp.symbols("d t", positive=True)


# --- stated values, as the library and the paper give them

c_d = sp.gamma(d / 2) / (2 * sp.sqrt(sp.pi) * sp.gamma((d + 1) / 2))
kappa = 1 / (sp.sqrt(d) - 1)


# --- derivations for layer S: chi moments and Gaussian moments, no formula of the library


def length(p):
    """E |g|^p by the chi law."""
    return 2 ** sp.Rational(p, 2) * sp.gamma((d + p) / 2) / sp.gamma(d / 2)


def fourth(a, b):
    """E u_a^2 u_b^2 on the sphere from Gaussian moments."""
    return (3 if a == b else 1) / sp.simplify(sp.gammasimp(length(4)))


relu_gauss = 1 / sp.sqrt(2 * sp.pi)  # E ReLU of a standard Gaussian number

# By Stein's lemma E[g_a g_b ReLU(g.x)] = x_a x_b E delta(g.x) = x_a x_b / (sqrt(2 pi) |x|), a != b;
# lengths and directions are independent.
degree_2 = length(2) * relu_gauss / length(3)

# --- routes for layer N: quadrature over the angle


def half_mean(function):
    """Mean over the sphere of f(u_1), f zero for negative u_1, at d = D."""
    return angle_mean(D, lambda a: function(mp.cos(a)))


def square_mean(function):
    """Mean over the sphere of f(u_1), f even."""
    return 2 * half_mean(function)


# --- estimates for layer M


def networks(m, draws):
    rng = np.random.default_rng(1)
    return (sample_weights(D, m, rng) for _ in range(draws))


def slope(group, shape):
    """Estimates of the constant in F = constant * shape, each a regression over 50 inputs."""
    x = np.random.default_rng(2).normal(size=(50, D))
    S = shape(x)
    outputs = (forward(x, W, group.eigenvectors(W, [0]))[:, 0] for W in networks(30_000, 20))
    return np.array([f @ S / (S @ S) for f in outputs])


def squared_norm(group):
    vectors = (group.eigenvectors(W, [0]) for W in networks(30_000, 30))
    return np.array([np.sum(v**2) for v in vectors])


def energy(group):
    """Estimates of E_x F(x)^2 without bias: the outputs of two independent networks, multiplied.

    The inputs are a cubature rule that is exact for squares of the limit functions.
    """
    points = np.array(list(itertools.product(*[[-1, 0, 1]] * D)), float) * math.sqrt(3)
    share = np.array([math.prod(2 / 3 if p == 0 else 1 / 6 for p in point) for point in points])
    lengths = np.linalg.norm(points, axis=1)
    share *= lengths**2 / (D + 2)

    def f(W):
        return forward(points, W, group.eigenvectors(W, [0]))[:, 0]

    draws = networks(40_000, 60)
    return np.array([share @ (f(one) * f(other)) for one, other in zip(draws, draws, strict=True)])


def norms(x):
    return np.linalg.norm(x, axis=1)


def centred(x, g=0):
    return x[:, g] ** 2 / norms(x) - norms(x) / D


K = 1 / (math.sqrt(D) - 1)
e1 = np.eye(D)[0]
diagonal = np.full(D, 1 / math.sqrt(D))


@dataclass
class Constant:
    """A constant with what each layer compares it with; ``dropped`` are factors one may forget."""

    name: str
    stated: sp.Expr
    derived: sp.Expr
    library: Callable[[], float]
    reference: Callable[[], mp.mpf]
    estimates: Callable[[], np.ndarray]
    dropped: list[sp.Expr]
    # What the mean of the estimates is, as a function of the constant.
    observed: Callable[[float], float] = field(default=lambda constant: constant)

    def symbolic(self, ledger, factor):
        return ledger.symbolic(self.name, self.derived, self.stated * factor)

    def numeric(self, ledger, factor):
        value = self.library() * float(factor.subs(d, D))
        return ledger.numeric(self.name, value, float(self.reference()))

    def simulation(self, ledger, factor, estimates):
        expected = self.observed(self.library() * float(factor.subs(d, D)))
        return ledger.simulation(self.name, estimates, expected)


def limit(group, x, shape):
    """The constant of a limit function, read off at one input where the shape is this."""
    return lambda: group.limit(x, [0])[0] / shape


def scale(group, w, shape):
    """The scale of an eigenvector, read off at one unit where the shape is this."""
    return lambda: group.eigenvectors(w[:, None], [0])[0, 0] / shape


def ratio_to_one(library):
    """Estimates have mean 1 for the library's scale, so (library / scale)^2 for another one."""
    return lambda scale: (library / scale) ** 2


LIMITS = [
    Constant(
        "limit of the norm",
        sp.sqrt(d) * c_d,
        length(2) * relu_gauss / length(1) / sp.sqrt(d),
        limit(NORM, e1, 1),
        lambda: mp.sqrt(D) * half_mean(lambda t: t),
        lambda: slope(NORM, norms),
        [sp.sqrt(d), c_d],
    ),
    Constant(
        "limit of the coordinates",
        sp.Rational(1, 2),
        length(2) / d / 2,
        limit(COORDINATE, e1, 1),
        lambda: D * half_mean(lambda t: t**2),
        lambda: slope(COORDINATE, lambda x: x[:, 0]),
        [sp.Rational(1, 2)],
    ),
    Constant(
        "limit of the centred squares",
        sp.sqrt((d + 2) / 2) * d / (d + 1) * c_d,
        sp.sqrt((d + 2) / 2) * degree_2,
        limit(CENTRED_SQUARE, e1, 1 - 1 / D),
        lambda: (
            mp.sqrt(mp.mpf(D + 2) / 2)
            * D
            * half_mean(lambda t: t * (t**2 - mp.mpf(1) / D))
            / (1 - mp.mpf(1) / D)
        ),
        lambda: slope(CENTRED_SQUARE, centred),
        [d / (d + 1), sp.sqrt(d + 2), 1 / sp.sqrt(2), c_d],
    ),
    Constant(
        "limit of the squares",
        sp.sqrt((d + 2) / 2) * d / (d + 1) * c_d,
        sp.sqrt((d + 2) / 2) * degree_2,
        limit(SQUARE, e1, 1 - (1 + K) / D),
        lambda: (
            mp.sqrt(mp.mpf(D + 2) / 2)
            * D
            * half_mean(lambda t: t * (t**2 - mp.mpf(1) / D))
            / (1 - mp.mpf(1) / D)
        ),
        lambda: slope(SQUARE, lambda x: centred(x) + K * centred(x, D - 1)),
        [d / (d + 1), sp.sqrt(d + 2), 1 / sp.sqrt(2), c_d],
    ),
    Constant(
        "limit of the products",
        sp.sqrt(d + 2) * d / (d + 1) * c_d,
        sp.sqrt(d + 2) * degree_2,
        limit(PRODUCT, diagonal, 1 / D),
        lambda: (
            mp.sqrt(D + 2)
            * D
            * half_mean(lambda t: t * (t**2 - mp.mpf(1) / D))
            / (1 - mp.mpf(1) / D)
        ),
        lambda: slope(PRODUCT, lambda x: x[:, 0] * x[:, 1] / norms(x)),
        [d / (d + 1), sp.sqrt(d + 2), c_d],
    ),
]

SCALES = [
    Constant(
        "scale of the norm",
        1 / sp.sqrt(d),
        1 / sp.sqrt(sp.gammasimp(length(2))),
        scale(NORM, e1, 1),
        lambda: 1 / mp.sqrt(D),
        lambda: squared_norm(NORM),
        [1 / sp.sqrt(d)],
        ratio_to_one(1 / math.sqrt(D)),
    ),
    Constant(
        "scale of the coordinates",
        sp.Integer(1),
        sp.sqrt(d / sp.gammasimp(length(2))),
        scale(COORDINATE, e1, 1),
        lambda: 1 / mp.sqrt(D * square_mean(lambda t: t**2)),
        lambda: squared_norm(COORDINATE),
        [1 / sp.sqrt(d)],
        ratio_to_one(1),
    ),
    Constant(
        "scale of the centred squares",
        sp.sqrt((d + 2) / 2),
        # squared norm (d-1)/d = scale^2 d (E u_1^4 - 1/d^2)
        sp.sqrt(sp.factor((d - 1) / d / (d * (fourth(1, 1) - 1 / d**2)))),
        scale(CENTRED_SQUARE, e1, 1 - 1 / D),
        lambda: mp.sqrt(
            (1 - mp.mpf(1) / D) / (D * square_mean(lambda t: (t**2 - mp.mpf(1) / D) ** 2))
        ),
        lambda: squared_norm(CENTRED_SQUARE) * D / (D - 1),
        [sp.sqrt(d + 2), 1 / sp.sqrt(2)],
        ratio_to_one(math.sqrt((D + 2) / 2)),
    ),
    Constant(
        "scale of the products",
        sp.sqrt(d + 2),
        1 / sp.sqrt(sp.factor(d * fourth(1, 2))),
        scale(PRODUCT, diagonal, 1 / D),
        # u_2^2 has mean (1 - u_1^2) / (D - 1) given u_1
        lambda: 1 / mp.sqrt(D * square_mean(lambda t: t**2 * (1 - t**2) / (D - 1))),
        lambda: squared_norm(PRODUCT),
        [sp.sqrt(d + 2)],
        ratio_to_one(math.sqrt(D + 2)),
    ),
    Constant(
        "kappa",
        kappa,
        (1 + sp.sqrt(1 + (d - 1))) / (d - 1),  # the quadratic formula
        lambda: SQUARE.kappa(D),
        lambda: mp.findroot(lambda k: (D - 1) * k**2 - 2 * k - 1, (1, 2), solver="anderson"),
        # Vectors that are orthonormal: |v|^2 = (d-1)/d (1 + k^2) - 2 k / d is 1 for the right k.
        lambda: squared_norm(SQUARE),
        [sp.sqrt(d)],
        lambda k: (D - 1) / D * (1 + k**2) - 2 * k / D,
    ),
]

EIGENVALUES = [
    Constant(
        f"eigenvalue of group {name}",
        stated,
        derived,
        lambda group=group: group.eigenvalue(D),
        lambda coefficient=coefficient: (D * half_mean(coefficient)) ** 2,
        lambda group=group: energy(group),
        dropped,
    )
    for name, group, stated, derived, coefficient, dropped in [
        (
            "norm",
            NORM,
            (d * c_d) ** 2,
            (length(2) * relu_gauss / length(1)) ** 2,
            lambda t: t,
            [d, c_d**2],
        ),
        (
            "coordinate",
            COORDINATE,
            sp.Rational(1, 4),
            (length(2) / d / 2) ** 2,
            lambda t: t**2,
            [sp.Rational(1, 2)],
        ),
        (
            "square",
            SQUARE,
            (d * c_d / (d + 1)) ** 2,
            degree_2**2,
            lambda t: t * (D * t**2 - 1) / (D - 1),
            [(d / (d + 1)) ** 2, c_d**2],
        ),
        (
            "product",
            PRODUCT,
            (d * c_d / (d + 1)) ** 2,
            degree_2**2,
            lambda t: t * (D * t**2 - 1) / (D - 1),
            [(d / (d + 1)) ** 2, c_d**2],
        ),
    ]
]

CONSTANTS = [*LIMITS, *SCALES, *EIGENVALUES]

# Wrong for every constant: 2 % off either way, a square root of another number, the power one for
# the power one half.
GENERAL = [sp.Rational(102, 100), sp.Rational(98, 100), sp.sqrt((d + 1) / d), sp.sqrt(d)]

each_constant = pytest.mark.parametrize("constant", CONSTANTS, ids=lambda c: c.name)


def wrong_factors(constant):
    return [*GENERAL, *(1 / factor for factor in constant.dropped)]


@pytest.fixture(scope="module")
def estimates():
    """Each constant's estimates, simulated once for all tests of this module."""
    cache = {}

    def get(constant):
        if constant.name not in cache:
            cache[constant.name] = constant.estimates()
        return cache[constant.name]

    return get


@each_constant
def test_the_right_constant_passes_every_layer(constant, estimates):
    ledger = Ledger("control", sensitivity=0.02)
    right = sp.Integer(1)
    constant.symbolic(ledger, right)
    constant.numeric(ledger, right)
    constant.simulation(ledger, right, estimates(constant))
    assert set(ledger.record()["status"].values()) == {"passed"}


# Constants with one formula and one derivation are one for the layer S.
DISTINCT = {(constant.stated, constant.derived): constant for constant in reversed(CONSTANTS)}


@pytest.mark.parametrize("constant", DISTINCT.values(), ids=lambda c: c.name)
def test_layer_s_refuses_every_wrong_factor(constant):
    for factor in wrong_factors(constant):
        with pytest.raises(CheckFailed, match="simplifies to"):
            constant.symbolic(Ledger("control"), factor)


@each_constant
def test_layer_n_refuses_every_wrong_factor(constant):
    for factor in wrong_factors(constant):
        with pytest.raises(CheckFailed, match="relative difference"):
            constant.numeric(Ledger("control"), factor)


@each_constant
def test_layer_m_refuses_every_wrong_factor(constant, estimates):
    for factor in wrong_factors(constant):
        with pytest.raises(CheckFailed, match="allowed 4 standard errors"):
            constant.simulation(Ledger("control"), factor, estimates(constant))


def test_a_wrong_exponent_of_the_width_fails():
    rng, sizes = np.random.default_rng(1), (100, 1000, 10_000)
    x = rng.normal(size=(20, D))

    def error(m):
        W = sample_weights(D, m, rng)
        return np.abs(forward(x, W, COORDINATE.eigenvectors(W)) - COORDINATE.limit(x)).mean()

    errors = [[error(m) for m in sizes] for _ in range(120)]
    Ledger("control").rate("in the width", sizes, errors)
    for exponent in (-0.45, -0.55, -1.0, 0.5):
        with pytest.raises(CheckFailed, match="exponent"):
            Ledger("control").rate("in the width", sizes, errors, exponent)


def test_the_symbols_agree_with_the_library():
    for dimension in (1, 2, 5, 30):
        assert sphere.relu_mean(dimension) == pytest.approx(float(c_d.subs(d, dimension)))
    assert SQUARE.kappa(7) == pytest.approx(float(kappa.subs(d, 7)))
