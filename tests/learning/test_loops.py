"""Learning is a loop of small products: BLAS starts no threads in it, and has its own after it."""

import numpy as np
import pytest
import scipy.linalg
from threadpoolctl import threadpool_info, threadpool_limits

from reluspec_lib import dynamics, groups, sample_weights, targets
from reluspec_lib.learning import _loss


def blas():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize(
    "learn",
    [
        lambda W, y: dynamics.flow(W, y, [1.0], solver="dense"),
        lambda W, y: dynamics.flow(W, y, [1.0], solver="lanczos"),
        lambda W, y: dynamics.flow(W, y, [1.0], solver="expm"),
        lambda W, y: dynamics.descent(W, y, 0.1, [3]),
    ],
)
def test_blas_has_one_thread_in_loops_of_small_products(learn, monkeypatch):
    seen = []

    def watched(function):
        def call(*arguments, **options):
            seen.extend(blas())
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(scipy.linalg, "eigh", watched(scipy.linalg.eigh))
    for name in ("lanczos", "expm_multiply"):
        monkeypatch.setattr(_loss, name, watched(getattr(_loss, name)))
    W = sample_weights(3, 20, np.random.default_rng(31))
    with threadpool_limits(2, user_api="blas"):
        learn(W, targets.limit(groups.NORM, 3))
        after = blas()
    assert set(seen) == {1}
    assert set(after) == {2}


def test_minibatches_have_one_thread_of_blas():
    seen = []

    class Watched(np.random.Generator):
        def standard_normal(self, *arguments, **options):
            seen.extend(blas())
            return super().standard_normal(*arguments, **options)

    W = sample_weights(3, 20, np.random.default_rng(32))
    with threadpool_limits(2, user_api="blas"):
        rng = Watched(np.random.PCG64(33))
        dynamics.sgd(W, targets.limit(groups.NORM, 3), 0.01, [2], 4, rng)
        after = blas()
    assert set(seen) == {1}
    assert set(after) == {2}
