"""Every public function that takes an array, driven with the arrays that people really have.

One list of ugly arrays serves all functions. An array that holds the same numbers in another form
gives the same result; one at another scale gives the result at that scale; what is no array of
finite real numbers of the right shape is refused by a ValueError that names the argument.
"""

import copy
import functools
import pickle
import re
import warnings
from dataclasses import dataclass
from fractions import Fraction
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

import reluspec_lib
from helpers import processes
from reluspec_lib import (
    activations,
    depth,
    dynamics,
    fisher,
    fluctuations,
    forward,
    forward_antithetic,
    groups,
    guarantees,
    harmonics,
    inputs,
    laws,
    ledger,
    network,
    resolvent,
    risk,
    simulate,
    simulated_spectra,
    sphere,
    targets,
)

EIGHTHS = np.random.default_rng(17).integers(-16, 17, (7, 60)) / 8
# Binary fractions: scaled by a power of two, also into the subnormal numbers, they stay exact.
W = EIGHTHS[:3, :40] + 0.125
X = EIGHTHS[:5, 40:43] - 0.25
V = EIGHTHS[3:5, :40].T
SECOND = EIGHTHS[:, :40].T
Y = EIGHTHS[5:, :30]
POINTS = np.arange(-7, 8, 3) / 8
MODEL = resolvent.RandomFeatures(np.tanh, 1.0, 1.0)
QUARTIC = resolvent.RandomFeatures(resolvent.relu, 1.0, 1.0, bias_std=0.5)


class Frame:
    """What a DataFrame is to numpy: a table that can be asked for its array."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


def strided(array):
    wide = np.full(tuple(2 * size for size in array.shape), np.nan)
    part = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    part[...] = array
    return part


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def matrix(array):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.asmatrix(array) if array.ndim == 2 else array


SAME = {
    "columns first": np.asfortranarray,
    "strided": strided,
    "backwards": lambda a: np.flip(np.flip(a).copy()),
    "read-only": read_only,
    "nested lists": lambda a: a.tolist(),
    "object": lambda a: a.astype(object),
    "fractions": lambda a: np.vectorize(Fraction, otypes=[object])(a),
    "frame": Frame,
    "masked array without mask": np.ma.masked_array,
    "other byte order": lambda a: a.astype(">f8"),
    "single precision": lambda a: a.astype(np.float32),
    "half precision": lambda a: a.astype(np.float16),
    "matrix": matrix,
}

# Powers of two next to 1e200, 1e-200, and down among the subnormal numbers.
SCALES = {"huge": 664, "tiny": -664, "subnormal": -1068}


def put(array, value):
    array = array.copy()
    array.flat[-2] = value
    return array


def masked(array):
    return np.ma.masked_array(array, np.arange(array.size).reshape(array.shape) == 1)


REFUSED = {
    "empty": lambda a: np.zeros((0,) * a.ndim),
    "no rows": lambda a: np.zeros((0, *a.shape[1:])),
    "NaN": lambda a: put(a, np.nan),
    "infinite": lambda a: put(a, -np.inf),
    "object with None": lambda a: put(a.astype(object), None),
    "object with text": lambda a: put(a.astype(object), "1"),
    "masked": masked,
    "complex": lambda a: a + 1j,
    "text": lambda a: a.astype(str),
    "dates": lambda a: a.astype(int).astype("M8[s]"),
    "ragged": lambda a: [[1.0], [1.0, 2.0]],
    "four axes": lambda a: a.reshape((*a.shape, *(1,) * (4 - a.ndim))),
    "None": lambda a: None,
    "dictionary": lambda a: {"a": 1},
}


@dataclass
class Case:
    """A function of one array argument, and the power of a factor that it passes on."""

    argument: str
    call: Any
    array: np.ndarray
    degree: int | None
    none: bool = False  # the argument may be None
    many: bool = False  # an array of any shape is taken, an empty one too


def group_cases():
    for group in [*groups.ALL, groups.CENTRED_SQUARE]:
        yield f"{group.name} limit", Case("x", group.limit, X, 1)
        yield f"{group.name} eigenvectors", Case("W", group.eigenvectors, W, 1)
        yield f"{group.name} variance", Case("x", group.variance, X, 2)
        if group in groups.ALL:
            yield f"{group.name} target", Case("x", targets.limit(group, 3), X, 1)
        yield (
            f"{group.name} covariance",
            Case("x", lambda x, g=group: fluctuations.covariance(g, x), X, 2),
        )


TARGET = targets.limit(groups.NORM, 3)
LABELS = np.linspace(-1, 1, 5)
FOURTHS = np.arange(1.0, 5.0) / 4
ROWS = EIGHTHS[:2, :24].T
CASES = dict(group_cases()) | {
    "features x": Case("x", lambda x: network.features(x, W), X, 1),
    "features W": Case("W", lambda w: network.features(X, w), W, 1),
    "forward x": Case("x", lambda x: forward(x, W, V), X, 1),
    "forward W": Case("W", lambda w: forward(X, w, V), W, 1),
    "forward V": Case("V", lambda v: forward(X, W, v), V, 1),
    "antithetic x": Case("x", lambda x: np.array(forward_antithetic(x, W, V)), X, 1),
    "deep features x": Case("x", lambda x: depth.features(x, [W, SECOND]), X, 1),
    "deep features first W": Case("W", lambda w: depth.features(X, [w, SECOND]), W, 1),
    "deep features last W": Case("W", lambda w: depth.features(X, [W, w]), SECOND, 1),
    "deep forward x": Case("x", lambda x: depth.forward(x, [W, SECOND], Y.T[:7]), X, 1),
    "deep forward V": Case("V", lambda v: depth.forward(X, [W, SECOND], v), Y.T[:7], 1),
    "deep kernel": Case("t", lambda t: depth.kernel(t, 2), POINTS, None, many=True),
    "activation's coefficient": Case(
        "s", lambda s: activations.coefficient("tanh", 3, 1, s), FOURTHS, None, many=True
    ),
    "activation's radial part": Case(
        "r", lambda r: activations.radial("tanh", 3, 1, r), FOURTHS, None, many=True
    ),
    "activation's limit": Case("x", lambda x: activations.limit("gelu", groups.NORM, x), X, None),
    "activation's kernel": Case(
        "a", lambda a: activations.kernel("erf", a, 0.5, 0.25), FOURTHS, None, many=True
    ),
    "diagnosis": Case(
        "x", lambda x: inputs.diagnose(x, 20, 5, times=[1.0]).raw.eigenvalues, ROWS, None
    ),
    "normal law W": Case("W", laws.matrix, W, 2),
    "norms of a law": Case("values", lambda v: np.array(laws.norms(3, v)), FOURTHS, 2),
    "bound of a law": Case("covariance", laws.even_bound, np.diag([1.0, 0.5, 0.25]), 1),
    "matrix": Case("W", fisher.matrix, W, 2),
    "matvec W": Case("W", lambda w: fisher.matvec(w, V), W, 2),
    "matvec V": Case("V", lambda v: fisher.matvec(W, v), V, 1),
    "operator": Case("W", lambda w: fisher.operator(w) @ V[:, 0], W, 2),
    "trace": Case("W", fisher.trace, W, 2),
    "residual": Case("W", fisher.residual, W, 2),
    "spectrum": Case("W", lambda w: fisher.spectrum(w, 5).eigenvalues, W, 2),
    "empirical": Case("X", fisher.empirical, X, 2),
    "target's moment": Case("W", TARGET.moment, W, 1),
    "target's coefficients": Case(
        "coefficients", lambda c: targets.Target(3, c)(X), np.ones(9) / 8, None
    ),
    "target's direction": Case(
        "direction", lambda v: targets.zonal(3, 3, v)(X), X[0], 0, none=True
    ),
    "flow's W": Case("W", lambda w: dynamics.flow(w, TARGET, [0.0, 1.0]).readout, W, None),
    "flow's times": Case(
        "times", lambda t: dynamics.flow(W, TARGET, t).readout, np.array([0.0, 0.5, 2.0]), None
    ),
    "descent's W": Case("W", lambda w: dynamics.descent(w, TARGET, 0.01, [0, 3]).readout, W, None),
    "sgd's W": Case("W", lambda w: dynamics.sgd(w, TARGET, 1e-3, [2], 4, 23).readout, W, None),
    "draws x": Case("x", lambda x: fluctuations.sample_mae(groups.NORM, x, 50, 3, 29), X, 1),
    "simulated bias": Case(
        "bias",
        lambda b: simulated_spectra.simulate_spectrum(np.tanh, 4, 3, 5, 31, bias=b),
        np.array([0.5, -0.25, 1.0]),
        None,
        none=True,
    ),
    "tail": Case("x", lambda x: guarantees.tail(groups.NORM, x, 400, 0.5), X, None),
    "sandwich": Case("W", lambda w: np.array(guarantees.sandwich(w)), W, None),
    "Davis-Kahan": Case("W", guarantees.davis_kahan, W, None),
    "largest step": Case("W", dynamics.largest_step, W, -2),
    "minibatch's square": Case("W", lambda w: dynamics.minibatch_square(w, 3), W, 4),
    "spread x": Case("x", lambda x: fluctuations.mae_spread(groups.NORM, x, 50), X, 1),
    "marginal t": Case("t", lambda t: sphere.marginal_density(4, t), POINTS, None, many=True),
    "bivariate s": Case(
        "s", lambda s: sphere.bivariate_density(4, s, 0.25), POINTS, None, many=True
    ),
    "zonal t": Case("t", lambda t: harmonics.zonal(4, 5, t), POINTS, None, many=True),
    "spectra of Y": Case("Y", simulated_spectra.eigenvalues, Y, 2),
    "distance": Case(
        "eigenvalues",
        lambda v: simulated_spectra.kolmogorov_smirnov(v, lambda t: np.clip(t / 4, 0, 1)),
        np.arange(1.0, 7.0) / 2,
        None,
    ),
    "density": Case("x", MODEL.density, np.arange(1.0, 5.0) / 4, None, many=True),
    "input spectrum": Case(
        "input_spectrum",
        lambda s: resolvent.RandomFeatures(np.tanh, 1.0, 1.0, input_spectrum=s).density([0.5]),
        np.array([0.5, 1.5, 1.0]),
        None,
        none=True,
    ),
    "bias": Case(
        "bias",
        lambda b: resolvent.RandomFeatures(np.tanh, 1.0, 1.0, bias=b).density([0.5, 1.0]),
        np.array([0.5, -0.25, 1.0]),
        None,
        none=True,
    ),
}


# Times are a short list that is typed, not data: these two forms are refused.
REFUSED_FORMS = {("flow's times", "object"), ("flow's times", "fractions")}

each_case = pytest.mark.parametrize("name", CASES)


@functools.cache
def usual(name):
    """Return the result for the array as it is."""
    return np.asarray(CASES[name].call(CASES[name].array))


def refusal(call, given):
    """Return the message with which an array is refused, or what came back instead."""
    try:
        return str(call(given))
    except ValueError as error:
        return str(error)


@each_case
def test_another_form_gives_the_same_result(name):
    case, right = CASES[name], usual(name)
    size = np.abs(right).max()
    for form, change in SAME.items():
        given = change(case.array)
        if (name, form) in REFUSED_FORMS:
            message = refusal(case.call, given)
            assert message.startswith("times must be a non-empty sequence of numbers"), form
            continue
        found = np.asarray(case.call(given))
        assert found.shape == right.shape, form
        # Sums in another order differ by rounding, and results of float32 are float32.
        single = form in ("single precision", "half precision")
        relative, absolute = (2e-4, 1e-5 * max(size, 1)) if single else (1e-9, 1e-12 * size)
        allowed = np.maximum(relative * np.abs(right), absolute)
        assert (np.abs(found - right) <= allowed).all(), form


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.degree is not None])
def test_another_scale_gives_the_result_at_that_scale(name):
    case = CASES[name]
    for scale, exponent in SCALES.items():
        with np.errstate(over="ignore", under="ignore"):
            right = np.ldexp(usual(name), case.degree * exponent)
        given = np.ldexp(case.array, exponent)
        size = np.abs(right).max()
        if 0 < size < np.inf:
            # Entries that are subnormal themselves may be some steps off.
            allowed = np.maximum(1e-9 * np.abs(right), max(1e-11 * size, 1e-321))
            found = np.asarray(case.call(given))
            assert found.shape == right.shape, scale
            assert (np.abs(found - right) <= allowed).all(), scale
            continue
        try:
            with np.errstate(over="ignore"):
                found = np.asarray(case.call(given))
        except ValueError as error:
            message = str(error)
        else:
            # No float holds the result: zero and infinity are what comes nearest.
            message = f"{case.argument} must" if np.array_equal(found, right) else str(found)
        assert f"{case.argument} " in message, scale


def may_be(case, form):
    return case.none if form == "None" else case.many and form in ("empty", "no rows", "four axes")


@each_case
def test_what_is_no_array_of_real_numbers_is_refused_by_name(name):
    case = CASES[name]
    for form, change in REFUSED.items():
        if not may_be(case, form):
            message = refusal(case.call, change(case.array))
            assert re.search(rf"\b{case.argument} must\b", message), form


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.many])
def test_a_number_is_no_array(name):
    case = CASES[name]
    for value in (1.0, np.float32(1), np.array(1.0), 10**400):
        message = refusal(case.call, value)
        assert re.search(rf"\b{case.argument} must\b", message), repr(value)


# Arrays that are degenerate, against formulas of their own


DEGENERATE = {
    "repeated columns": np.repeat(W[:, :8], 5, axis=1),
    "rank one": np.outer([1.0, -2.0, 0.5], EIGHTHS[0, :40] + 0.0625),
    "a zero row": W * [[1.0], [0.0], [1.0]],
    "a zero column": np.hstack([W[:, :39], np.zeros((3, 1))]),
    "nothing but zeros": np.zeros((3, 40)),
    "one column": W[:, :1],
    "one row": W[:1],
    "one large column": np.hstack([W[:, :39], 2.0**40 * W[:, 39:]]),
    "opposite columns": np.hstack([W[:, :20], -W[:, :20]]),
}


def gram(weights):
    """Return E[ReLU(x W)^T ReLU(x W)] for standard Gaussian x, by the angles between columns."""
    norms = np.linalg.norm(weights, axis=0)
    units = weights / np.where(norms > 0, norms, 1)
    # Half the distance of unit vectors is the sine of half the angle: exact at 0, and at pi.
    near = [[np.linalg.norm(a - b) for b in units.T] for a in units.T]
    far = [[np.linalg.norm(a + b) for b in units.T] for a in units.T]
    angle = 2 * np.arctan2(near, far)
    kernel = (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    return np.outer(norms, norms) * kernel


@pytest.mark.parametrize("name", DEGENERATE)
def test_the_fisher_matrix_of_degenerate_weights(name):
    weights = DEGENERATE[name]
    right = gram(weights)
    size = max(np.abs(right).max(), 1e-300)
    allowed = 1e-11 * size
    assert fisher.matrix(weights) == pytest.approx(right, abs=allowed)
    assert fisher.trace(weights) == pytest.approx(np.trace(right), abs=allowed)
    assert fisher.matvec(weights, V[: weights.shape[1]]) == pytest.approx(
        right @ V[: weights.shape[1]], abs=100 * allowed
    )
    values = np.linalg.eigvalsh(right)[::-1]
    count = min(3, weights.shape[1])
    found = fisher.spectrum(weights, count)
    assert found.eigenvalues == pytest.approx(values[:count], abs=2e-9 * size)


@pytest.mark.parametrize("name", DEGENERATE)
def test_outputs_of_degenerate_weights(name):
    weights = DEGENERATE[name]
    inputs = X[:, : len(weights)]
    right = np.maximum(inputs @ weights, 0)
    assert network.features(inputs, weights) == pytest.approx(right, rel=1e-13, abs=1e-13)
    readout = V[: weights.shape[1]]
    found = forward(inputs, weights, readout)
    assert found == pytest.approx(right @ readout, rel=1e-11, abs=1e-12 * (1 + right.max()))


# Objects that travel: copies, pickles, other processes


LEDGER = ledger.Ledger("theorem-0-0")
LEDGER.numeric("constant", [1.0, 2.0], [1.0, 2.0 + 1e-6], tolerance=1e-5, covers="eq-0")
LEDGER.simulation("mean", 2 + EIGHTHS[0] / 1e3, 2.0)

OBJECTS = {
    "groups": groups.ALL,
    "the centred squares": groups.CENTRED_SQUARE,
    "the other root": groups.Square(root=-1),
    "groups of one's own": (
        groups.Linear("mean", [[0.5, 0.25, 0.25]]),
        groups.Quadratic("forms", [np.diag([1.0, -2.0, 1.0]), np.eye(3)[::-1]]),
    ),
    "a target": targets.limit(groups.PRODUCT, 4) + targets.zonal(4, 3),
    "streamed weights": network.StreamedWeights(3, 50, np.random.default_rng(5)),
    "a spectrum": fisher.spectrum(W, 3, vectors=True),
    "a trajectory": dynamics.flow(W, TARGET, [1.0, 2.0]),
    "a solution": MODEL.solve([1.0 + 0.5j]),
    "random features": QUARTIC,
    "random features in layers": resolvent.RandomFeatures(
        np.tanh, 1.0, 1.0, layers=[0.5], input_spectrum=[[0.5, 2.0], [2.0, 1.0]]
    ),
    "its rows": QUARTIC.rows,
    "its outlier": QUARTIC.outlier(50),
    "a ridge regression": risk.Ridge(3, [40, np.inf], 60, 0.1, power={1: 1.0, 4: 0.25}, noise=0.5),
    "a ledger": LEDGER,
    "checks": tuple(LEDGER.checks),
    "an operator": fisher.operator(W),
    "the settings of Table 1": simulate.TABLE_1,
}


def use(thing):
    """Return numbers that tell whether an object still is what it was."""
    if isinstance(thing, tuple):
        return np.concatenate([use(part) for part in thing])
    if isinstance(thing, groups.Group):
        return np.append(thing.limit(X).ravel(), thing is not None)
    if isinstance(thing, targets.Target):
        return thing(EIGHTHS[:4, :4])
    if isinstance(thing, network.StreamedWeights):
        return thing.columns(0, 50).ravel()
    if isinstance(thing, fisher.Spectrum):
        return np.append(thing.eigenvalues, thing.error)
    if isinstance(thing, dynamics.Trajectory):
        return np.append(thing.risk(), thing.readout.ravel())
    if isinstance(thing, resolvent.Solution):
        return np.abs(thing.stieltjes)
    if isinstance(thing, resolvent.RandomFeatures):
        return thing.density([0.5, 2.0])
    if isinstance(thing, resolvent.Rows):
        return np.append(thing.average(thing.noise), thing.affine)
    if isinstance(thing, resolvent.Outlier):
        return np.array([thing.position, thing.spread])
    if isinstance(thing, risk.Ridge):
        return thing.risk
    if isinstance(thing, ledger.Ledger):
        return use(tuple(thing.checks))
    if isinstance(thing, ledger.Check):
        return np.array([thing.sensitivity, *map(ord, repr(thing))])
    if isinstance(thing, np.ndarray):
        return np.array(thing.tolist(), dtype=float).ravel()
    return thing @ V[:, 0]


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
@pytest.mark.parametrize("name", OBJECTS)
def test_copies_are_what_they_copy(name, way):
    thing = OBJECTS[name]
    twin = way(thing)
    assert np.array_equal(use(twin), use(thing))
    if not isinstance(thing, (network.StreamedWeights, LinearOperator, np.ndarray)):
        assert twin == thing
    if isinstance(thing, (tuple, groups.Group, targets.Target, resolvent.Outlier)):
        assert hash(twin) == hash(thing)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_objects_are_the_same_in_another_process(method):
    with processes(method, 1) as pool:
        for thing in OBJECTS.values():
            assert np.array_equal(pool.submit(use, thing).result(), use(thing))
        # A group that came back is one of ALL.
        for group in groups.ALL:
            returned = pool.submit(copy.copy, group).result()
            assert returned in groups.ALL
            assert targets.limit(returned, 3) == targets.limit(group, 3)


def test_every_public_function_of_an_array_has_a_case():
    cases = {
        "network.features": "features x",
        "network.forward": "forward x",
        "network.forward_antithetic": "antithetic x",
        "depth.features": "deep features x",
        "depth.forward": "deep forward x",
        "depth.kernel": "deep kernel",
        "activations.coefficient": "activation's coefficient",
        "activations.radial": "activation's radial part",
        "activations.limit": "activation's limit",
        "activations.kernel": "activation's kernel",
        "inputs.diagnose": "diagnosis",
        "laws.matrix": "normal law W",
        "laws.norms": "norms of a law",
        "laws.even_bound": "bound of a law",
        "fisher.matrix": "matrix",
        "fisher.matvec": "matvec W",
        "fisher.operator": "operator",
        "fisher.trace": "trace",
        "fisher.residual": "residual",
        "fisher.spectrum": "spectrum",
        "fisher.empirical": "empirical",
        "sphere.marginal_density": "marginal t",
        "sphere.bivariate_density": "bivariate s",
        "harmonics.zonal": "zonal t",
        "fluctuations.covariance": "norm covariance",
        "fluctuations.mae_spread": "spread x",
        "fluctuations.sample_mae": "draws x",
        "guarantees.davis_kahan": "Davis-Kahan",
        "guarantees.sandwich": "sandwich",
        "guarantees.tail": "tail",
        "targets.zonal": "target's direction",
        "dynamics.flow": "flow's W",
        "dynamics.descent": "descent's W",
        "dynamics.sgd": "sgd's W",
        "dynamics.largest_step": "largest step",
        "dynamics.minibatch_square": "minibatch's square",
        "simulated_spectra.eigenvalues": "spectra of Y",
        "simulated_spectra.kolmogorov_smirnov": "distance",
        "simulated_spectra.simulate_spectrum": "simulated bias",
    }
    public = {
        f"{module}.{name}"
        for module in ("network", *reluspec_lib.__all__)
        if isinstance(space := getattr(reluspec_lib, module), ModuleType)
        for name in space.__all__
        if isinstance(function := getattr(space, name), FunctionType)
        and "ArrayLike" in str(function.__annotations__)
    }
    assert public == set(cases)
    assert set(cases.values()) <= set(CASES)
