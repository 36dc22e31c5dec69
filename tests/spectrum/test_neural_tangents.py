"""The Fisher matrix against the same kernel from another project, where that is installed.

neural-tangents needs an old jax, so it is not in the lock: pip install "jax<0.6" neural-tangents.
"""

import numpy as np
import pytest

from reluspec_lib import fisher

REASON = "neural-tangents is not installed (it needs an old jax, so the lock does not have it)"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("d", [2, 3, 10, 50])
def test_the_fisher_matrix_is_the_kernel_of_a_relu_layer(d):
    pytest.importorskip("neural_tangents", reason=REASON)
    import jax
    from neural_tangents import stax

    jax.config.update("jax_enable_x64", True)
    W = np.random.default_rng(d).standard_normal((d, 300))
    kernel = stax.serial(stax.Dense(1, W_std=1.0, b_std=None), stax.Relu())[2]
    # The layer divides by its number of inputs.
    expected = d * np.array(kernel(W.T, None, "nngp"))
    np.testing.assert_allclose(fisher.matrix(W), expected, atol=1e-14 * expected.max())
