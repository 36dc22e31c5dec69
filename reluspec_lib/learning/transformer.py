"""The limit functions as features for scikit-learn.

A wide random ReLU network learns d(d+3)/2 functions first, whatever its width: those of
:mod:`reluspec_lib.groups`. Here they are a transformer, so that a linear model on top of it, with
all of scikit-learn's tools around it, is the truncated network of infinite width.

This module needs scikit-learn 1.6 or later: ``pip install 'reluspec[sklearn]'``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib import groups
from reluspec_lib._validation import Array

try:
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.utils.validation import (
        _check_feature_names_in,
        check_is_fitted,
        validate_data,
    )
except ImportError as error:
    raise ImportError(
        "the transformer needs scikit-learn >= 1.6: pip install 'reluspec[sklearn]'"
    ) from error

__all__ = ["LimitFeatures"]

NAMED = {group.name: group for group in groups.ALL}


class LimitFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Replace inputs by what the leading eigenvectors of a wide network give for them.

    Parameters
    ----------
    include : sequence of str, optional
        Names of the groups whose functions are wanted, among ``"norm"``, ``"coordinate"``,
        ``"square"`` and ``"product"``; all four by default.

    Attributes
    ----------
    n_features_in_ : int
        The input dimension d.
    feature_names_in_ : ndarray of str
        Names of the inputs, where they have names.

    Notes
    -----
    Nothing is estimated; ``fit`` only notes the dimension. Every feature is homogeneous of degree
    one, f(t x) = t f(x) for t > 0, and the features are orthogonal for standard Gaussian inputs.
    Their mean squares there are the eigenvalues of the Fisher information
    (``groups.NORM.eigenvalue`` and so on), so that ridge regression on them shrinks as the network
    does.

    Examples
    --------
    >>> from reluspec_lib.learning.transformer import LimitFeatures
    >>> features = LimitFeatures().fit([[1.0, 2.0]])
    >>> list(features.get_feature_names_out())
    ['norm 0', 'coordinate l=1', 'coordinate l=2', 'square g=1', 'product ab=1,2']
    >>> features.transform([[3.0, 4.0]]).round(2)
    array([[2.25, 1.5 , 2.  , 0.3 , 1.02]])
    """

    def __init__(self, include: Sequence[str] | None = None) -> None:
        self.include = include

    def fit(self, X: ArrayLike, y: Any = None) -> LimitFeatures:
        """Note the dimension of the inputs.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Inputs.
        y : object, optional
            Not used; scikit-learn's convention.

        Returns
        -------
        self : LimitFeatures
            This transformer.

        Raises
        ------
        ValueError
            If ``X`` is no finite (n, d) array, or ``include`` names something else than groups.
        """
        validate_data(self, X)
        self._basis()
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Return the limit functions at the inputs.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Inputs of the dimension that ``fit`` saw.

        Returns
        -------
        F : ndarray, shape (n, d (d + 3) / 2) for all groups
            One column per function, in the order of ``get_feature_names_out``; float32 for float32
            inputs, else float64.

        Raises
        ------
        ValueError
            If ``X`` is no finite array of the dimension that ``fit`` saw.
        sklearn.exceptions.NotFittedError
            If ``fit`` was not called.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False)
        return self._basis().limit(rows)

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> Array:
        """Return the names of the columns that ``transform`` gives.

        Parameters
        ----------
        input_features : sequence of str, optional
            Names of the inputs; they have to be those that ``fit`` saw and change nothing.

        Returns
        -------
        names : ndarray of str
            The name of the group and the label of the function in it.

        Raises
        ------
        ValueError
            If ``input_features`` are not those that ``fit`` saw.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        return np.array(self._basis().labels, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _basis(self) -> groups.Basis:
        names = list(NAMED if self.include is None else self.include)
        known = [name for name in names if isinstance(name, str) and name in NAMED]
        if not names or len(set(known)) < len(names):
            raise ValueError(
                f"include must be different names among {', '.join(NAMED)}, or None for all; "
                f"got {self.include!r}"
            )
        return groups.Basis([NAMED[name] for name in names], self.n_features_in_)
