"""The limit functions as a scikit-learn transformer."""

import importlib.util
import pickle
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from reluspec_lib import groups, sphere
from reluspec_lib.learning.transformer import LimitFeatures


@parametrize_with_checks([LimitFeatures(), LimitFeatures(include=("coordinate", "product"))])
def test_it_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("d", [1, 2, 5, 20])
def test_there_are_as_many_functions_as_leading_eigenvectors(d):
    x = np.random.default_rng(3).standard_normal((4, d))
    fitted = LimitFeatures().fit(x)
    names = fitted.get_feature_names_out()
    assert fitted.transform(x).shape == (4, d * (d + 3) // 2)
    assert len(set(names)) == len(names) == d * (d + 3) // 2


def test_the_functions_are_those_of_the_theorems():
    x = np.array([[3.0, 4.0], [-1.0, 0.5], [0.0, 0.0]])
    found = LimitFeatures().fit_transform(x)
    norm = np.linalg.norm(x, axis=1)
    assert found[:, 0] == pytest.approx(np.sqrt(2) * sphere.relu_mean(2) * norm, rel=1e-14)
    assert found[:, 1:3] == pytest.approx(x / 2, rel=1e-15)
    # F = sqrt(d + 2) E[ReLU(x . u) u_a u_b] d for the product, by quadrature over the circle.
    angle = (np.arange(20000) + 0.5) * 2 * np.pi / 20000
    u = np.array([np.cos(angle), np.sin(angle)])
    product = 2 * np.mean(np.maximum(x @ u, 0) * 2 * u[0] * u[1], axis=1)
    assert found[:, 4] == pytest.approx(product, abs=1e-6)


def test_a_choice_of_groups_keeps_its_order():
    x = np.random.default_rng(5).standard_normal((6, 3))
    chosen = LimitFeatures(include=["product", "norm"]).fit(x)
    assert list(chosen.get_feature_names_out()[[0, -1]]) == ["product ab=1,2", "norm 0"]
    right = np.hstack([groups.PRODUCT.limit(x), groups.NORM.limit(x)])
    assert np.array_equal(chosen.transform(x), right)


def test_mean_squares_are_the_eigenvalues():
    d, n = 4, 200_000
    x = np.random.default_rng(7).standard_normal((n, d))
    squares = LimitFeatures().fit_transform(x) ** 2
    right = np.concatenate([[group.eigenvalue(d)] * group.size(d) for group in groups.ALL])
    error = squares.std(axis=0) / np.sqrt(n)
    assert (np.abs(squares.mean(axis=0) - right) < 4.5 * error).all()


def test_a_pipeline_learns_a_homogeneous_target_exactly():
    x = np.random.default_rng(11).standard_normal((200, 3))
    y = np.linalg.norm(x, axis=1) - 2 * x[:, 1] + x[:, 0] * x[:, 2] / np.linalg.norm(x, axis=1)
    model = make_pipeline(LimitFeatures(), Ridge(alpha=1e-10)).fit(x[:100], y[:100])
    assert model.score(x[100:], y[100:]) == pytest.approx(1, abs=1e-9)


def test_names_of_inputs_are_those_that_fit_saw():
    fitted = LimitFeatures().fit(np.eye(2))
    names = fitted.get_feature_names_out(["u", "v"])
    assert names.dtype == object
    assert list(names) == list(fitted.get_feature_names_out())
    with pytest.raises(ValueError, match="input_features should have length"):
        fitted.get_feature_names_out(["u"])
    with pytest.raises(NotFittedError):
        LimitFeatures().get_feature_names_out()


def test_whole_numbers_are_inputs_too():
    x = np.array([[3, 4], [0, 1]])
    assert np.array_equal(LimitFeatures().fit_transform(x), LimitFeatures().fit_transform(x * 1.0))


def test_single_precision_is_kept():
    x = np.ones((2, 3), dtype=np.float32)
    assert LimitFeatures().fit_transform(x).dtype == np.float32


def test_copies_are_alike():
    fitted = LimitFeatures(include=["square"]).fit(np.eye(3))
    other = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(other.transform(np.eye(3)), fitted.transform(np.eye(3)))
    assert clone(fitted).get_params() == {"include": ["square"]}
    with pytest.raises(NotFittedError):
        clone(fitted).transform(np.eye(3))


@pytest.mark.parametrize(
    "include", ["norm", [], ["cube"], ["norm", "cube"], ["norm", "norm"], [groups.NORM]]
)
def test_other_names_are_refused(include):
    with pytest.raises(
        ValueError,
        match=r"^include must be different names among norm, coordinate, square, product, or "
        r"None for all; got ",
    ):
        LimitFeatures(include=include).fit(np.eye(3))


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    spec = importlib.util.find_spec("reluspec_lib.learning.transformer")
    with pytest.raises(ImportError, match=r">= 1\.6: pip install 'reluspec\[sklearn\]'$"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
